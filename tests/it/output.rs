//! What every command keeps to: formats, silence, dry runs, pipes, CI.

use crate::repo::{ends, json, next_bot, ok, on_both, refused, release, with_bot};
use crate::support::sandbox::Sandbox;
use insta::assert_snapshot;

#[test]
fn json_begins_with_its_schema_and_lines_are_documents() {
    on_both(|s| {
        with_bot(s);
        for (args, schema) in [
            (&["status"][..], "kf.status/1"),
            (&["list"], "kf.list/1"),
            (&["log", "bot"], "kf.log/1"),
            (&["show", "bot"], "kf.show/1"),
            (&["history", "bot"], "kf.history/1"),
            (&["diff", "bot", "bot"], "kf.diff/1"),
            (&["register", "bot", "bot"], "kf.register/1"),
            (&["tag", "bot", "x"], "kf.tag/1"),
            (&["alias", "bot", "champion"], "kf.alias/1"),
            (&["promote", "bot", "--to", "staging"], "kf.promote/1"),
            (&["archive", "bot"], "kf.move/1"),
            (&["restore", "bot"], "kf.move/1"),
            (&["checkout", "bot", "out"], "kf.checkout/1"),
            (&["config", "show"], "kf.config/1"),
            (&["config", "check"], "kf.config-check/1"),
            (&["init"], "kf.init/1"),
        ] {
            let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(args).args(["--format", "json"]));
            assert_eq!(run.code, Some(0), "{args:?}\n{run}");
            assert!(run.stdout.starts_with(&format!("{{\n  \"schema\": \"{schema}\"")), "{args:?}\n{run}");
            json(&run);
            for format in ["jsonl", "csv", "markdown", "table"] {
                let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(args).args(["--format", format, "--dry-run"]));
                assert_eq!(run.code, Some(0), "{args:?} {format}\n{run}");
                if format == "jsonl" {
                    run.stdout.lines().for_each(|l| assert!(serde_json::from_str::<serde_json::Value>(l).is_ok(), "{l}"));
                }
            }
        }
    });
}

#[test]
fn errors_can_be_json_too() {
    let s = Sandbox::new();
    with_bot(&s);
    assert_snapshot!(ends(&s, 1, ["show", "bto", "--format", "json"]), @r#"
    -- stderr --
    {"schema":"kf.error/1","error":"there is no model `bto`","causes":[],"hints":["did you mean `bot`?"]}
    -- exit status: 1 --
    "#);
}

#[test]
fn quiet_is_silent_on_success_and_speaks_on_failure() {
    on_both(|s| {
        with_bot(s);
        for args in [["list", "bot", "-q"], ["register", "bot", "-q"], ["tag", "bot", "-q"]] {
            let run = match args[0] {
                "register" => s.kf(["register", "bot", "bot", "-q"]),
                "tag" => s.kf(["tag", "bot", "x", "--quiet"]),
                _ => s.kf(args),
            };
            assert_eq!(run.to_string(), "-- exit status: 0 --", "{args:?}");
        }
        assert!(!ends(s, 1, ["show", "bto", "--quiet"]).stderr.is_empty());
        s.write("golden.jsonl", "{\"question\": \"Q\", \"answer\": \"A\"}\n");
        s.write("mlops.toml", GATED);
        assert_snapshot!(ends(s, 4, ["promote", "bot", "--to", "staging", "--quiet"]), @"
        GATE   METRIC       MEASURED  95 % INTERVAL  THRESHOLD  N  VERDICT       WHY
        exact  exact-match                           ≥ 0.9      0  inconclusive  bot@1.0.0 has no evaluation on golden.jsonl (42864cb42d09): run `kf eval bot@1.0.0 --dataset golden.jsonl`

        bot@1.0.0 stays in development: gates inconclusive: exact
        -- exit status: 4 --
        ");
        for format in ["table", "json", "jsonl", "csv", "markdown"] {
            let args = ["promote", "bot", "--to", "staging", "--dry-run", "--format", format];
            let (loud, quiet) = (ends(s, 4, args), s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(args).arg("-q")));
            assert_eq!((quiet.code, &quiet.stdout), (Some(4), &loud.stdout), "{format}: the report that was asked for");
            assert_eq!(quiet.stderr, "", "{format}");
            let silent = ok(s, ["list", "bot", "-q", "--format", format]);
            assert_eq!(silent.to_string(), "-- exit status: 0 --", "{format}");
        }
    });
}

/// A gate that 1.0.0 fails once it is evaluated.
const GATED: &str = "[project]\nname = \"shop\"\n[golden]\ndataset = \"golden.jsonl\"\n\
    [gates.exact]\nstage = [\"staging\", \"production\"]\nkind = \"absolute\"\nmetric = \"exact-match\"\nmin = 0.9\n";

#[test]
fn files_that_github_cannot_be_told_in_change_nothing_about_how_a_command_ends() {
    on_both(|s| {
        with_bot(s);
        let summary = s.root().join("tmp/summary.md");
        s.set("GITHUB_STEP_SUMMARY", &summary.display().to_string());
        ok(s, ["tag", "bot", "first"]);
        assert!(!summary.exists(), "outside of GitHub Actions the variable means nothing");
        s.set("GITHUB_ACTIONS", "true");
        s.set("GITHUB_STEP_SUMMARY", "/nonexistent/summary");
        s.set("GITHUB_OUTPUT", "/");
        assert_snapshot!(ok(s, ["tag", "bot", "second"]).stderr, @"
        warning: cannot write /nonexistent/summary (GITHUB_STEP_SUMMARY): No such file or directory (os error 2)
        warning: cannot write / (GITHUB_OUTPUT): Is a directory (os error 21)
        ");
        s.write("golden.jsonl", "{\"question\": \"Q\", \"reference\": \"yes\", \"answer\": \"no\"}\n");
        s.write("mlops.toml", GATED);
        ok(s, ["eval", "bot", "--no-gates", "--quiet", "--metric", "exact-match"]);
        let run = ends(s, 3, ["promote", "bot", "--to", "staging"]);
        assert!(run.stderr.contains("::error file=mlops.toml,title=gate exact fail::"), "{run}");
    });
}

#[test]
fn github_gets_a_summary_outputs_and_annotations() {
    on_both(|s| {
        with_bot(s);
        s.write("golden.jsonl", "{\"question\": \"Q\", \"reference\": \"yes\", \"answer\": \"no\"}\n");
        s.write("mlops.toml", GATED);
        let (summary, output) = (s.root().join("tmp/summary.md"), s.root().join("tmp/output"));
        s.set("GITHUB_ACTIONS", "true");
        s.set("GITHUB_STEP_SUMMARY", &summary.display().to_string());
        s.set("GITHUB_OUTPUT", &output.display().to_string());
        s.set("GITHUB_ACTOR", "octo");
        s.set("GITHUB_WORKFLOW", "release");
        ok(s, ["eval", "bot", "--no-gates", "--quiet", "--metric", "exact-match"]);
        for file in [&summary, &output] {
            std::fs::write(file, "").expect("emptied");
        }
        assert_snapshot!(ends(s, 3, ["promote", "bot", "--to", "staging"]), @"
        GATE   METRIC       MEASURED  95 % INTERVAL    THRESHOLD  N  VERDICT  WHY
        exact  exact-match    0.0000  0.0000 … 0.7935  ≥ 0.9      1  fail     the whole 95 % interval misses it

        bot@1.0.0 stays in development: gates failed: exact
        -- stderr --
        ::error file=mlops.toml,title=gate exact fail::exact-match = 0.0000, ≥ 0.9: the whole 95 %25 interval misses it
        -- exit status: 3 --
        ");
        assert_snapshot!(std::fs::read_to_string(&summary).expect("a summary"), @"
        ### kf promote: bot@1.0.0 stays in development: gates failed: exact

        | gate | metric | measured | 95 % interval | threshold | n | verdict | why |
        | --- | --- | ---: | --- | --- | ---: | --- | --- |
        | exact | exact-match | 0.0000 | 0.0000 … 0.7935 | ≥ 0.9 | 1 | fail | the whole 95 % interval misses it |

        bot@1.0.0 stays in development: gates failed: exact
        ");
        let outputs = std::fs::read_to_string(&output).expect("outputs");
        let delimiter = outputs.lines().find_map(|l| l.split_once("<<")).expect("a delimiter").1.to_owned();
        assert_snapshot!(outputs.replace(&delimiter, "END"), @"
        verdict<<END
        fail
        END
        summary<<END
        bot@1.0.0 stays in development: gates failed: exact
        END
        version<<END
        1.0.0
        END
        stage<<END
        development
        END
        changed<<END
        false
        END
        ");
        assert_snapshot!(ends(s, 1, ["promote", "bto", "--to", "staging"]), @"
        -- stderr --
        error: there is no model `bto`
        hint: did you mean `bot`?
        ::error title=kf::there is no model `bto`
        -- exit status: 1 --
        ");
    });
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let s = Sandbox::new();
    with_bot(&s);
    let script = "set -o pipefail; kf list --format json | head -c 0; echo ${PIPESTATUS[0]}; kf help | head -c 1 >/dev/null; echo ${PIPESTATUS[0]}";
    let run = s.finish(s.command("bash").args(["-c", script]));
    assert_eq!(run.stdout, "0\n0\n", "{run}");
    assert_eq!(run.stderr, "", "{run}");
    let closed = s.finish(s.command("bash").args(["-c", "kf list >&-; echo $?"]));
    assert_snapshot!(closed, @"
    0
    -- exit status: 0 --
    ");
    let full = s.finish(s.command("bash").args(["-c", "kf list >/dev/full; echo $?"]));
    assert_snapshot!(full, @"
    1
    -- stderr --
    error: cannot write to standard output
    caused by: No space left on device (os error 28)
    -- exit status: 0 --
    ");
}

#[test]
fn who_acts_comes_from_the_flag_then_the_variable_then_git_then_the_user() {
    on_both(|s| {
        with_bot(s);
        let author = |s: &Sandbox, top_k: u32| {
            next_bot(s, top_k);
            json(&ok(s, ["show", "bot", "--format", "json"]))["author"].as_str().map(str::to_owned)
        };
        assert_eq!(author(s, 11).as_deref(), Some("ada"));
        s.git(["init", "-q"]);
        s.git(["config", "user.email", "ada@example.com"]);
        assert_eq!(author(s, 12).as_deref(), Some("ada@example.com"));
        s.set("KF_AS", "grace");
        assert_eq!(author(s, 13).as_deref(), Some("grace"));
    });
}

#[test]
fn a_dry_run_of_anything_changes_nothing() {
    on_both(|s| {
        with_bot(s);
        next_bot(s, 8);
        release(s, "bot@1.0.0");
        release(s, "bot@1.0.1");
        let run = refused(s, 0, ["rollback", "bot", "--dry-run"]);
        assert!(run.stderr.contains("dry run: nothing was changed"), "{run}");
        refused(s, 0, ["archive", "bot@1.0.0", "--dry-run"]);
        refused(s, 0, ["restore", "bot@1.0.0", "--dry-run"]);
        refused(s, 0, ["alias", "bot@1.0.0", "champion", "--dry-run"]);
        refused(s, 0, ["tag", "bot@1.0.0", "x", "--dry-run"]);
        assert!(!ok(s, ["show", "bot@1.0.0"]).stdout.contains("tags"));
    });
}
