//! Tab completes commands, names and versions from the state, in the shells people use, in a real terminal.

use crate::offers::TEXT;
use crate::support::sandbox::Sandbox;
use crate::support::skip;
use crate::support::tty::{Shell, Tty};

/// A repository with the versions 1.0.0 and 1.1.0 of `support-bot`, and the collection `handbook` of the tenant `acme`.
fn repository() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.repository("");
    for (text, version) in [("one", "1.0.0"), ("two", "1.1.0")] {
        sandbox.write("cfg/prompt.txt", text);
        sandbox.works(["register", "support-bot", "cfg", "--type", "other", "--version", version]);
    }
    sandbox.write("docs/a.md", TEXT);
    sandbox.works(["ingest", "docs", "--tenant", "acme", "--collection", "handbook"]);
    sandbox
}

/// How the help of `kf completions` says that completion is switched on.
fn switch_on(shell: Shell) -> &'static str {
    match shell {
        Shell::Bash => "source <(kf completions bash)",
        Shell::Zsh => "source <(kf completions zsh)",
        Shell::Fish => "kf completions fish | source",
    }
}

/// Types a beginning, presses Tab, and waits for what must stand there then.
fn check(shell: Shell, typed: &str, completed: &str) {
    let sandbox = repository();
    let tty = match Tty::start(&sandbox, shell) {
        Ok(tty) => tty,
        Err(why) => return skip(&why),
    };
    tty.line(switch_on(shell));
    tty.key("C-l");
    tty.text(typed);
    tty.wait_for(typed);
    tty.key("Tab");
    tty.wait_for(completed);
}

#[test]
fn a_command() {
    for shell in Shell::ALL {
        check(shell, "kf regis", "kf register");
    }
}

#[test]
fn the_name_of_a_model() {
    for shell in Shell::ALL {
        check(shell, "kf show sup", "kf show support-bot");
    }
}

#[test]
fn a_version() {
    for shell in Shell::ALL {
        check(shell, "kf show support-bot@1.1", "kf show support-bot@1.1.0");
    }
}

#[test]
fn a_tenant_and_its_collection() {
    for shell in Shell::ALL {
        check(shell, "kf search x --tenant ac", "kf search x --tenant acme");
        check(shell, "kf search x --tenant acme --collection ha", "--collection handbook");
    }
}

#[test]
fn several_are_listed() {
    for shell in Shell::ALL {
        let sandbox = repository();
        let tty = match Tty::start(&sandbox, shell) {
            Ok(tty) => tty,
            Err(why) => return skip(&why),
        };
        tty.line(switch_on(shell));
        tty.text("kf show support-bot@1.");
        for _ in 0..2 {
            tty.key("Tab");
        }
        tty.wait_for("1.0.0");
        tty.wait_for("1.1.0");
    }
}
