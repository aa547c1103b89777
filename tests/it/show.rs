//! `kf show`.

use crate::repo::{ends, json, next_bot, ok, on_both, release, with_bot};
use crate::story::{self, alter};
use insta::assert_snapshot;

#[test]
fn every_kind_of_reference_finds_its_version() {
    on_both(|s| {
        with_bot(s);
        next_bot(s, 8);
        release(s, "bot@1.0.0");
        ok(s, ["alias", "bot@1.0.0", "champion"]);
        let shown = json(&ok(s, ["show", "bot@1.0.0", "--format", "json"]));
        assert_eq!(shown["schema"], "kf.show/1");
        let digest = shown["digest"].as_str().expect("a digest").to_owned();
        for (reference, version) in [
            ("bot".to_owned(), "1.0.1"),
            ("bot@latest".into(), "1.0.1"),
            ("bot@production".into(), "1.0.0"),
            ("bot@champion".into(), "1.0.0"),
            (format!("bot@{digest}"), "1.0.0"),
            (format!("bot@{}", &digest[..15]), "1.0.0"),
        ] {
            let found = json(&ok(s, ["show", &reference, "--format", "json"]));
            assert_eq!(found["version"], version, "{reference}");
        }
        assert_snapshot!(s.kf(["show", "bot@champion"]), @"
        bot@1.0.0  config (production)
        digest   sha256:553a4168a31dbad4322fe02fa5d7e445390276ee4d6692351eda5b8a22e9d761
        created  2026-11-21T08:01:00Z by ada, audit event 1
        aliases  champion

        FILE                SIZE  TYPE              DIGEST
        prompts/answer.txt  34 B  text/plain        f6fe36d23e77
        retrieval.yaml      22 B  application/yaml  8114d9c1964e
        routing.yaml        15 B  application/yaml  b8821b557f9d
        -- exit status: 0 --
        ");
    });
}

#[test]
fn references_that_name_nothing() {
    on_both(|s| {
        with_bot(s);
        ok(s, ["alias", "bot@1.0.0", "champion"]);
        assert_snapshot!(ends(s, 1, ["show", "bto"]), @"
        -- stderr --
        error: there is no model `bto`
        hint: did you mean `bot`?
        -- exit status: 1 --
        ");
        assert_snapshot!(ends(s, 1, ["show", "bot@1.0.7"]), @"
        -- stderr --
        error: there is no bot@1.0.7
        hint: the newest versions are: 1.0.0
        -- exit status: 1 --
        ");
        assert_snapshot!(ends(s, 1, ["show", "bot@production"]), @"
        -- stderr --
        error: no version of bot is in production
        hint: `kf list bot` shows where its versions stand
        -- exit status: 1 --
        ");
        assert_snapshot!(ends(s, 1, ["show", "bot@champoin"]), @"
        -- stderr --
        error: bot has no alias `champoin`
        hint: did you mean `bot@champion`?
        -- exit status: 1 --
        ");
        for (written, meant) in [
            ("bot@produciton", "bot@production"),
            ("bot@prod", "bot@production"),
            ("bot@Latest", "bot@latest"),
            ("bot@v1.0.0", "bot@1.0.0"),
            ("bot@ab12cd", "bot@sha256:ab12cd"),
        ] {
            for command in ["show", "promote", "diff", "tag"] {
                let more: &[&str] = match command {
                    "promote" => &["--to", "staging"],
                    "diff" => &["bot@1.0.0"],
                    "tag" => &["good"],
                    _ => &[],
                };
                let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args([command, written]).args(more));
                assert!(run.stderr.ends_with(&format!("hint: did you mean `{meant}`?\n")), "{command} {run}");
            }
        }
        assert_snapshot!(ends(s, 1, ["show", "bot@sha256:0123456789ab"]), @"
        -- stderr --
        error: there is no bot@sha256:0123456789ab
        hint: the newest versions are: 1.0.0
        -- exit status: 1 --
        ");
        assert_snapshot!(ends(s, 2, ["show", "bot@"]), @"
        -- stderr --
        error: invalid value 'bot@' for '<REFERENCE>': `` does not name a version of bot: expected a version (1.2.0), a stage, an alias, `latest` or `sha256:…`

        For more information, try '--help'.
        -- exit status: 2 --
        ");
        assert_snapshot!(ends(s, 2, ["show", "bot@sha256:xyz"]), @"
        -- stderr --
        error: invalid value 'bot@sha256:xyz' for '<REFERENCE>': `bot@sha256:xyz` is not a reference: a digest has 4 to 64 hexadecimal digits

        For more information, try '--help'.
        -- exit status: 2 --
        ");
    });
}

#[test]
fn what_is_not_as_it_was_recorded_is_not_shown() {
    on_both(|s| {
        story::tell(s);
        // An older evaluation of the same kind is no sign that the newest was taken away.
        ends(s, 5, ["eval", "bot@1.0.0", "--answers", "answers.jsonl"]);
        let shown = json(&ok(s, ["show", "bot@1.0.0", "--format", "json"]));
        assert_eq!(shown["evaluations"].as_array().map(Vec::len), Some(2), "{shown}");
        let store = story::open(s);
        let oldest = "evaluation = (SELECT id FROM evaluation WHERE event = (SELECT min(event) FROM evaluation))";
        for (edit, undo, says) in [
            (
                format!("UPDATE evaluation_metric SET mean = mean - 0.5 WHERE metric = 'exact-match' AND {oldest}"),
                format!("UPDATE evaluation_metric SET mean = mean + 0.5 WHERE metric = 'exact-match' AND {oldest}"),
                "mean is 0.5, recorded was 1",
            ),
            (
                "UPDATE version SET stage = 'archived' WHERE stage = 'production'".into(),
                "UPDATE version SET stage = 'production' WHERE stage = 'archived' AND patch = 0".into(),
                "version bot@1.0.0",
            ),
        ] {
            assert_eq!(alter(s, &store, &edit), 1, "{edit}");
            let run = ends(s, 3, ["show", "bot@1.0.0"]);
            assert!(run.stdout.is_empty() && run.stderr.contains(says) && run.stderr.contains("kf fsck"), "{edit}: {run}");
            assert_eq!(alter(s, &store, &undo), 1, "{undo}");
            ok(s, ["show", "bot@1.0.0"]);
        }
    });
}
