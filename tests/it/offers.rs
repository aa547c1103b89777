//! What Tab offers, asked for as bash asks; `completions` types in real shells.

use crate::repo::{ends, next_bot, ok, on_both, with_bot};
use crate::support::sandbox::Sandbox;
use crate::support::{free_port, wait_until};
use insta::assert_snapshot;
use std::process::Stdio;

/// Long enough to be taken in.
pub(crate) const TEXT: &str = "# Returns\n\nYou can return an unused item within thirty days of delivery. The original packaging is required, \
    and the refund arrives on the card that paid within a week of the return.\n";

#[test]
fn a_script_for_each_shell() {
    let s = Sandbox::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let run = ok(&s, ["completions", shell]);
        assert!(run.stdout.contains("KF_COMPLETE"), "{run}");
    }
    assert_snapshot!(ends(&s, 2, ["completions", "tcsh"]), @"
    -- stderr --
    error: there is no completion for `tcsh`
    hint: choose one of: bash, elvish, fish, powershell, zsh
    -- exit status: 2 --
    ");
}

/// What bash is offered for the words typed so far.
fn offered(s: &Sandbox, words: &[&str]) -> Vec<String> {
    let mut command = s.command(env!("CARGO_BIN_EXE_kf"));
    let index = words.len().to_string();
    command.env("KF_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", index).env("_CLAP_IFS", "\n").args(["--", "kf"]).args(words);
    let run = s.finish(&mut command);
    assert_eq!(run.stderr, "", "{run}");
    run.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn names_come_from_the_state() {
    on_both(|s| {
        assert!(offered(s, &["show", ""]).iter().all(|o| o.starts_with('-')), "nothing, and no error, without a repository");
        with_bot(s);
        next_bot(s, 8);
        ok(s, ["alias", "bot", "champion"]);
        assert!(offered(s, &["show", "b"]).contains(&"bot".to_owned()));
        let references = offered(s, &["promote", "bot@"]);
        for reference in ["bot@1.0.0", "bot@1.0.1", "bot@champion", "bot@production", "bot@latest"] {
            assert!(references.contains(&reference.to_owned()), "{reference}: {references:?}");
        }
        assert_eq!(offered(s, &["promote", "bot", "--to", "s"]), ["staging"]);
        assert!(offered(s, &["regis"]).contains(&"register".to_owned()));
    });
}

#[test]
fn values_of_flags_and_of_other_arguments() {
    on_both(|s| {
        with_bot(s);
        ok(s, ["alias", "bot", "champion"]);
        s.write("golden/support.jsonl", "");
        assert_eq!(offered(s, &["list", "--stage", ""]), ["development", "staging", "production", "archived"]);
        assert_eq!(offered(s, &["list", "--stage=pro"]), ["--stage=production"]);
        assert_eq!(offered(s, &["register", "bot", "--type", "p"]), ["prompt"]);
        assert_eq!(offered(s, &["list", "--format", "j"]), ["json", "jsonl"]);
        assert_eq!(offered(s, &["audit", "log", "--outcome", "d"]), ["denied"]);
        assert_eq!(offered(s, &["eval", "bot", "--metric", "rouge-2"]), ["rouge-2", "rouge-2-ascii"]);
        assert_eq!(offered(s, &["eval", "bot", "--report", "ju"]), ["junit="]);
        assert_eq!(offered(s, &["eval", "bot", "--dataset", "golden/"]), ["golden/support.jsonl"]);
        assert_eq!(offered(s, &["eval", "bot", "--dataset", "bot@ch"]), ["bot@champion"]);
        assert_eq!(offered(s, &["alias", "bot@1.0.0", "ch"]), ["champion"]);
        assert_eq!(offered(s, &["audit", "log", "--resource", "b"]), ["bot"]);
        // Three entries: the state was made, the bot registered, the alias set.
        assert_eq!(offered(s, &["audit", "show", ""])[..3], ["0", "1", "2"]);
    });
}

/// Collections are those of the tenant on the command line; which other tenants have which, Tab tells nobody.
#[test]
fn tenants_and_their_collections() {
    on_both(|s| {
        with_bot(s);
        s.write("docs/a.md", TEXT);
        for (tenant, collection) in [("default", "manuals"), ("acme", "letters"), ("acme", "ledger")] {
            ok(s, ["ingest", "docs", "--tenant", tenant, "--collection", collection]);
        }
        assert_eq!(offered(s, &["search", "x", "--tenant", ""]), ["acme", "default"]);
        assert_eq!(offered(s, &["tenant", "export", "a"]), ["acme"]);
        assert_eq!(offered(s, &["search", "x", "--collection", ""]), ["manuals"]);
        assert_eq!(offered(s, &["ingest", "show", "a", "--tenant", "acme", "--collection", "le"]), ["ledger", "letters"]);
        assert_eq!(offered(s, &["index", "verify", "--tenant=acme", "--collection", "let"]), ["letters"]);
        assert_eq!(offered(s, &["search", "x", "--tenant", "nobody", "--collection", ""]), Vec::<String>::new());
        assert_eq!(offered(s, &["search", "x", "--tenant", "no name", "--collection", ""]), Vec::<String>::new());
        s.write("mlops.toml", "[project]\nname = \"shop\"\n[ingest]\ntenant = \"acme\"\n");
        assert_eq!(offered(s, &["search", "x", "--collection", ""]), ["ledger", "letters"]);
    });
}

#[test]
fn the_state_is_that_of_the_command_line_typed() {
    let s = Sandbox::new();
    with_bot(&s);
    std::fs::create_dir(s.work().join("elsewhere")).expect("a directory");
    s.write("other/mlops.toml", "[project]\nname = \"other\"\n");
    ok(&s, ["-C", "other", "init"]);
    assert_eq!(offered(&s, &["show", "b"]), ["bot"]);
    assert_eq!(offered(&s, &["-C", "other", "show", "b"]), Vec::<String>::new());
    assert_eq!(offered(&s, &["-Cother", "show", "b"]), Vec::<String>::new());
    // Nothing listens there, so that a bot on offer comes from the wrong state.
    let nowhere =
        format!("[project]\nname = \"shop\"\n[profile.ci.state]\nurl = \"postgres://kf@127.0.0.1:{}/kf\"\n", free_port());
    s.write("mlops.toml", nowhere);
    assert_eq!(offered(&s, &["show", "b"]), ["bot"]);
    assert_eq!(offered(&s, &["--profile", "ci", "show", "b"]), Vec::<String>::new());
    assert_eq!(offered(&s, &["--profile=ci", "show", "b"]), Vec::<String>::new());
    assert_eq!(offered(&s, &["-C", "elsewhere", "show", "b"]), ["bot"], "found by walking up");
    assert_eq!(offered(&s, &["-C", "nowhere", "show", "b"]), Vec::<String>::new());
}

#[test]
fn what_stands_in_the_configuration_needs_no_state() {
    let s = Sandbox::new();
    let hook = "[alerts.team]\nkind = \"slack\"\nurl = \"env:HOOK\"\n";
    let target = "[model.bot]\ntype = \"config\"\npath = \"bot\"\n[target.local]\nkind = \"gateway\"\nmodel = \"bot\"\ncommand = [\"serve\"]\n";
    s.write("mlops.toml", format!("[project]\nname = \"shop\"\n{hook}{target}[rollout.quick]\npreset = \"ramp\"\n"));
    s.write("bot/prompt.txt", "Answer.");
    assert_eq!(offered(&s, &["canary", "start", "bot", "--plan", "qu"]), ["quick"]);
    assert_eq!(offered(&s, &["rollback", "bot", "--target", ""]), ["local"]);
    assert_eq!(offered(&s, &["alert", "test", "te"]), ["team"]);
}

/// A server that takes a connection and says nothing would be waited for until the handshake's limit, 15 seconds.
#[test]
fn a_server_that_does_not_answer_is_not_waited_for() {
    let mute = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = mute.local_addr().expect("an address").port();
    let s = Sandbox::new();
    s.write("mlops.toml", format!("[project]\nname = \"shop\"\n[state]\nurl = \"postgres://kf@127.0.0.1:{port}/kf\"\n"));
    let mut command = s.command(env!("CARGO_BIN_EXE_kf"));
    command.env("KF_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", "2").env("_CLAP_IFS", "\n").args(["--", "kf", "show", "b"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("kf starts");
    let ended = wait_until(10, || child.try_wait().expect("kf is there").is_some());
    let _ = child.kill();
    let out = child.wait_with_output().expect("kf ends");
    assert!(ended, "Tab waited for the server");
    assert_eq!((out.stdout.as_slice(), out.stderr.as_slice(), out.status.code()), (&b""[..], &b""[..], Some(0)));
    assert!(mute.accept().is_ok(), "the server was asked");
}
