//! What Tab offers, asked for as bash asks; `completions` types in real shells.

use crate::repo::{ends, next_bot, ok, on_both, with_bot};
use crate::support::sandbox::Sandbox;
use insta::assert_snapshot;

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
