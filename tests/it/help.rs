//! `kf help`, and what kf says when it is given nothing, too much or the wrong words.

use crate::repo::{ends, init, json, ok};
use crate::support::sandbox::{Run, Sandbox};
use insta::assert_snapshot;

/// Runs kf by a shell, so that its output can go anywhere.
fn shell(s: &Sandbox, script: &str) -> Run {
    s.finish(s.command("sh").args(["-c", script]))
}

#[test]
fn help_is_the_same_by_every_door() {
    let s = Sandbox::new();
    let mut commands = vec![vec![]];
    let mut built = kf::cli::command();
    built.build();
    for command in built.get_subcommands() {
        commands.push(vec![command.get_name().to_owned()]);
        let below = command.get_subcommands().map(|c| vec![command.get_name().to_owned(), c.get_name().to_owned()]);
        commands.extend(below);
    }
    assert!(commands.len() > 35, "{commands:?}");
    for words in commands {
        let by_verb = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).arg("help").args(&words));
        let by_flag = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(&words).arg("--help"));
        assert_eq!((by_verb.code, by_flag.code), (Some(0), Some(0)), "{words:?} {by_verb} {by_flag}");
        assert_eq!(by_verb.stdout.trim_end(), by_flag.stdout.trim_end(), "{words:?}");
        assert!(by_verb.stdout.ends_with('\n') && by_verb.stderr.is_empty(), "{words:?} {by_verb}");
        assert!(by_verb.stdout.contains("Examples:\n  "), "{words:?} shows an example\n{by_verb}");
    }
}

#[test]
fn words_that_are_no_command_are_told_the_nearest() {
    let s = Sandbox::new();
    assert_snapshot!(ends(&s, 2, ["help", "statsu"]), @"
    -- stderr --
    error: there is no command `statsu`
    hint: did you mean `status`?
    -- exit status: 2 --
    ");
    assert_snapshot!(ends(&s, 2, ["help", "config", "chekc"]), @"
    -- stderr --
    error: there is no command `config chekc`
    hint: did you mean `check`?
    -- exit status: 2 --
    ");
    assert_snapshot!(ends(&s, 2, ["help", "list", "bot"]), @"
    -- stderr --
    error: there is no command `list bot`
    hint: `kf list --help` tells all about it
    -- exit status: 2 --
    ");
    assert_snapshot!(ends(&s, 2, ["promot", "bot"]), @"
    -- stderr --
    error: unrecognized subcommand 'promot'

      tip: some similar subcommands exist: 'prompt', 'promote'

    Usage: kf [OPTIONS] <COMMAND>

    For more information, try '--help'.
    -- exit status: 2 --
    ");
    assert_snapshot!(ends(&s, 2, ["list", "--fromat", "json"]), @"
    -- stderr --
    error: unexpected argument '--fromat' found

      tip: a similar argument exists: '--format'

    Usage: kf list --format <FORMAT> [NAME]

    For more information, try '--help'.
    -- exit status: 2 --
    ");
    assert_snapshot!(ends(&s, 2, ["list", "--fromat", "--format", "json"]), @r#"
    -- stderr --
    {"schema":"kf.error/1","error":"unexpected argument '--fromat' found","causes":[],"hints":["tip: a similar argument exists: '--format'","Usage: kf list --format <FORMAT> [NAME]","For more information, try '--help'."]}
    -- exit status: 2 --
    "#);
    for words in [&[][..], &["config"], &["audit"], &["state"]] {
        let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(words));
        assert_eq!(run.code, Some(2), "{run}");
        assert!(run.stdout.is_empty() && run.stderr.contains("Usage: kf"), "{run}");
    }
}

#[test]
fn a_usage_error_is_json_for_who_asked_for_json() {
    let mut s = Sandbox::new();
    let said = |run: &Run| {
        let doc: serde_json::Value = serde_json::from_str(&run.stderr).unwrap_or_else(|e| panic!("{e}: {run}"));
        assert_eq!((doc["schema"].as_str(), run.code), (Some("kf.error/1"), Some(2)), "{run}");
        doc["error"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(said(&s.kf(["list", "--nope", "--format", "json"])), "unexpected argument '--nope' found");
    assert_eq!(said(&s.kf(["list", "--nope", "--format=jsonl"])), "unexpected argument '--nope' found");
    s.set("KF_FORMAT", "json");
    assert_eq!(said(&s.kf(["list", "--nope"])), "unexpected argument '--nope' found");
    assert!(s.kf(["list", "--nope", "--format", "table"]).stderr.starts_with("error: "), "the flag wins");
    assert!(ok(&s, ["--help"]).stdout.starts_with("Versions, evaluates"), "help is for people");
}

#[test]
fn a_wrong_word_of_any_length_and_kind_is_shown_in_short_and_in_plain() {
    let s = Sandbox::new();
    init(&s);
    let long = "x".repeat(10_000);
    let strange = "\u{1b}[31mred\u{7}";
    for bad in [long.as_str(), strange] {
        for args in [
            ["register", bad, "p"].as_slice(),
            &[bad],
            &["list", "--stage", bad],
            &["list", &format!("--{bad}")],
            &["show", &format!("bot@{bad}")],
            &["help", bad],
            &["list", "--tag", bad],
        ] {
            let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(args));
            assert!(run.stderr.len() + run.stdout.len() < 1500, "{} bytes", run.stderr.len());
            assert!(!run.stderr.contains(['\u{1b}', '\u{7}']), "{run:?}");
        }
    }
}

#[test]
fn a_full_output_is_an_error_and_a_closed_one_is_not() {
    let s = Sandbox::new();
    init(&s);
    for command in ["--help", "--version", "help list", "list", "config schema", "completions bash", "status --format json"] {
        let run = shell(&s, &format!("kf {command} > /dev/full"));
        assert_eq!(run.code, Some(1), "kf {command}\n{run}");
        assert!(run.stderr.contains("cannot write to standard output"), "kf {command}\n{run}");
        let run = shell(&s, &format!("kf {command} | true; kf {command} | head -c 1 > /dev/null"));
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "kf {command}\n{run}");
    }
}

#[test]
fn colour_is_for_who_wants_it() {
    let s = Sandbox::new();
    let coloured = |before: &str| shell(&s, &format!("{before} kf status")).stderr.contains("\u{1b}[");
    assert!(!coloured(""), "a pipe gets none");
    assert!(coloured("CLICOLOR_FORCE=1"));
    assert!(!coloured("CLICOLOR_FORCE=0"));
    assert!(!coloured("NO_COLOR=1 CLICOLOR_FORCE=1"));
}

#[test]
fn man_pages_are_written_for_every_command() {
    let s = Sandbox::new();
    let doc = json(&ok(&s, ["help", "--man", "man", "--format", "json"]));
    let pages = std::fs::read_dir(s.work().join("man")).expect("a folder").count();
    assert_eq!(doc["pages"].as_u64(), u64::try_from(pages).ok());
    assert!(s.read("man/kf-audit-verify.1").contains(".TH kf-audit-verify"));
    std::fs::create_dir(s.work().join("elsewhere")).expect("a folder");
    ok(&s, ["-C", "elsewhere", "help", "--man", "pages"]);
    assert!(s.read("elsewhere/pages/kf.1").contains(".TH kf"), "as every other path, relative to -C");
}
