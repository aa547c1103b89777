//! `kf register`.

use crate::repo::{ends, events, init, json, next_bot, ok, on_both, refused, with_bot, write_bot};
use insta::assert_snapshot;

#[test]
fn the_first_version_is_1_0_0_and_the_same_again_is_nothing_new() {
    on_both(|s| {
        init(s);
        write_bot(s);
        assert_snapshot!(s.kf(["register", "bot", "bot"]), @"
        registered bot@1.0.0 (553a4168a31d, 3 files, 71 B)
        -- exit status: 0 --
        ");
        let size = events(s);
        assert_snapshot!(s.kf(["register", "bot", "bot"]), @"
        bot@1.0.0 is already registered (553a4168a31d)
        -- exit status: 0 --
        ");
        let again = json(&ok(s, ["register", "bot", "bot", "--format", "json"]));
        assert_eq!(again["schema"], "kf.register/1");
        assert_eq!(again["models"][0]["changed"], false);
        assert_eq!(events(s), size, "no event for nothing");
    });
}

#[test]
fn advice_on_the_number_says_why() {
    on_both(|s| {
        with_bot(s);
        s.write("bot/retrieval.yaml", "top-k: 8\nmode: hybrid\n");
        assert_snapshot!(s.kf(["register", "bot", "bot"]), @"
        registered bot@1.0.1 (8d12a3e5e995, 3 files, 71 B)
        patch version:
          - `top-k` of `retrieval.yaml` changed
        -- exit status: 0 --
        ");
        s.write("bot/prompts/answer.txt", "Answer {question} from {context} in {language}.\n");
        assert_snapshot!(s.kf(["register", "bot", "bot"]), @"
        registered bot@2.0.0 (c4ba9c0e4a04, 3 files, 85 B)
        major version:
          - the prompt `prompts/answer.txt` needs the new variable `language`
          - the text of `prompts/answer.txt` changed
        -- exit status: 0 --
        ");
        s.write("bot/retrieval.yaml", "top-k: 9\nmode: hybrid\n");
        assert_snapshot!(s.kf(["register", "bot", "bot", "--bump", "major"]), @"
        registered bot@3.0.0 (de8489d106f4, 3 files, 85 B)
        major version
        -- exit status: 0 --
        ");
    });
}

#[test]
fn numbers_must_rise_within_their_line() {
    on_both(|s| {
        init(s);
        let add = |version: &str| {
            s.write("w.bin", version);
            s.kf(["register", "m", "w.bin", "--version", version])
        };
        for version in ["1.2.0", "1.3.0", "1.2.5"] {
            assert_eq!(add(version).code, Some(0), "{version}");
        }
        let size = events(s);
        assert_snapshot!(add("1.2.1"), @"
        -- stderr --
        error: 1.2.1 is not above m@1.2.5, the highest of its line
        hint: register m@1.2.6 or a higher one
        -- exit status: 1 --
        ");
        s.write("w.bin", "other");
        assert_snapshot!(ends(s, 1, ["register", "m", "w.bin", "--version", "1.2.5"]), @"
        -- stderr --
        error: m@1.2.5 exists already with other bytes (cf2e0ad6e411)
        hint: a version never changes: leave `--version` out, or give it 1.2.6
        -- exit status: 1 --
        ");
        assert_snapshot!(ends(s, 1, ["register", "m", "w.bin", "--version", "1.2.0"]), @"
        -- stderr --
        error: m@1.2.0 exists already with other bytes (ffd855136809)
        hint: a version never changes: leave `--version` out, or give it 1.2.6
        -- exit status: 1 --
        ");
        s.write("w.bin", "1.3.0");
        assert_snapshot!(ends(s, 1, ["register", "m", "w.bin", "--version", "2.0.0"]), @"
        -- stderr --
        error: these bytes are registered already as m@1.3.0
        hint: use m@1.3.0, or change the files before registering m@2.0.0
        -- exit status: 1 --
        ");
        assert_eq!(events(s), size, "refusals change nothing");
    });
}

#[test]
fn everything_known_about_a_version_is_kept() {
    on_both(|s| {
        init(s);
        s.write("golden.jsonl", "{\"question\": \"Q\", \"answer\": \"A\"}\n");
        s.write("e/config.json", "{\"dim\": 3}\n");
        write_bot(s);
        ok(s, ["register", "golden", "golden.jsonl", "--type", "dataset"]);
        ok(s, ["register", "embedder", "e", "--type", "embedding"]);
        ok(
            s,
            [
                "register",
                "bot",
                "bot",
                "--metric",
                "f1=0.83",
                "--meta",
                "author=ada",
                "--tag",
                "reviewed",
                "--depends",
                "embedder@1.0.0",
                "--dataset",
                "golden@latest",
                "--ticket",
                "OPS-7",
                "--reason",
                "first",
            ],
        );
        assert_snapshot!(s.kf(["show", "bot"]), @"
        bot@1.0.0  config (development)
        digest   sha256:2861200dc7f2be781f6275d7b1a8960bc20b9e609eb94a0316650d8e66e59fe5
        created  2026-11-21T08:03:00Z by ada, audit event 3
        metrics  f1 = 0.83
        meta     author = ada
        tags     reviewed
        uses     dataset golden@1.0.0, depends embedder@1.0.0

        FILE                SIZE  TYPE              DIGEST
        prompts/answer.txt  34 B  text/plain        f6fe36d23e77
        retrieval.yaml      22 B  application/yaml  8114d9c1964e
        routing.yaml        15 B  application/yaml  b8821b557f9d
        -- exit status: 0 --
        ");
        assert_snapshot!(ends(s, 1, ["register", "bot2", "bot", "--depends", "embeder@1.0.0"]), @"
        -- stderr --
        error: cannot depend on embeder@1.0.0
        caused by: there is no model `embeder`
        hint: did you mean `embedder`?
        -- exit status: 1 --
        ");
        assert_snapshot!(ends(s, 1, ["register", "bot2", "bot", "--dataset", "embedder"]), @"
        -- stderr --
        error: embedder@1.0.0 is a model of type embedding, not a dataset
        hint: name a version that was registered with `--type dataset`
        -- exit status: 1 --
        ");
    });
}

#[test]
fn all_models_of_the_configuration_at_once() {
    on_both(|s| {
        init(s);
        write_bot(s);
        s.write("data.jsonl", "{\"question\": \"Q\", \"answer\": \"A\"}\n");
        let models = "[project]\nname = \"shop\"\n[model.bot]\ntype = \"config\"\npath = \"bot\"\n";
        s.write("mlops.toml", format!("{models}[model.data]\ntype = \"dataset\"\npath = \"data.jsonl\"\n"));
        assert_snapshot!(s.kf(["register", "--all"]), @"
        MODEL  VERSION  RESULT      DIGEST        FILES  SIZE
        bot    1.0.0    registered  553a4168a31d      3  71 B
        data   1.0.0    registered  e393e9d02017      1  33 B
        -- exit status: 0 --
        ");
        let size = events(s);
        assert_snapshot!(s.kf(["register", "--all"]), @"
        MODEL  VERSION  RESULT              DIGEST        FILES  SIZE
        bot    1.0.0    already registered  553a4168a31d      3  71 B
        data   1.0.0    already registered  e393e9d02017      1  33 B
        -- exit status: 0 --
        ");
        assert_eq!(events(s), size);
        std::fs::remove_file(s.work().join("data.jsonl")).expect("removed");
        s.write("bot/routing.yaml", "default: large\n");
        assert_snapshot!(ends(s, 5, ["register", "--all", "--format", "csv"]), @"
        model,version,result,digest,files,size
        bot,1.0.1,registered,1f4f9bfd29b7,3,71 B
        data,,failed: cannot read [ROOT]/work/data.jsonl: No such file or directory (os error 2),,,
        -- stderr --
        hint: data: check the path; a link to something that is gone counts as missing too
        -- exit status: 5 --
        ");
        s.write("mlops.toml", "[project]\nname = \"shop\"\n");
        assert_snapshot!(ends(s, 2, ["register", "--all"]), @"
        -- stderr --
        error: mlops.toml has no models
        hint: add a table: `[model.NAME]` with `type` and `path`
        -- exit status: 2 --
        ");
    });
}

#[test]
fn a_part_that_does_not_parse_is_shown_with_its_place() {
    on_both(|s| {
        init(s);
        write_bot(s);
        s.write("bot/retrieval.yaml", "top-k: 5\nmode: [hybrid\n");
        s.write("bot/routing.json", "{\"default\": \"small\",}\n");
        s.write("bot/agents.toml", "[planner]\nmodel = \n");
        s.write("bot/prompts/answer.txt", "Answer {question from {context}.\n");
        assert_snapshot!(refused(s, 1, ["register", "bot", "bot"]), @"
        -- stderr --
        error: 4 parts of this config cannot be read:
        agents.toml:2:9: string values must be quoted, expected literal string
        prompts/answer.txt:1:23: `{` within the name of a field; a brace as text is written `{{`
        retrieval.yaml:3:1: did not find expected ',' or ']', while parsing a flow sequence at line 2 column 7
        routing.json:1:21: trailing comma
        hint: mend these files, or register them with `--type other` if they are no parts
        -- exit status: 1 --
        ");
    });
}

#[test]
fn metrics_are_finite_numbers() {
    let s = crate::support::sandbox::Sandbox::new();
    with_bot(&s);
    assert_snapshot!(refused(&s, 2, ["register", "bot", "bot", "--metric", "f1=NaN"]), @"
    -- stderr --
    error: invalid value 'f1=NaN' for '--metric <K=V>': `NaN` is not a finite number: leave an unknown metric out

    For more information, try '--help'.
    -- exit status: 2 --
    ");
    assert_snapshot!(refused(&s, 2, ["register", "bot", "bot", "--metric", "f1=inf"]), @"
    -- stderr --
    error: invalid value 'f1=inf' for '--metric <K=V>': `inf` is not a finite number: leave an unknown metric out

    For more information, try '--help'.
    -- exit status: 2 --
    ");
    assert_snapshot!(refused(&s, 2, ["register", "bot", "bot", "--metric", "f1=high"]), @"
    -- stderr --
    error: invalid value 'f1=high' for '--metric <K=V>': `high` is not a number

    For more information, try '--help'.
    -- exit status: 2 --
    ");
    assert_snapshot!(refused(&s, 2, ["register", "bot", "bot", "--metric", "f1"]), @"
    -- stderr --
    error: invalid value 'f1' for '--metric <K=V>': expected NAME=VALUE

    For more information, try '--help'.
    -- exit status: 2 --
    ");
    assert_snapshot!(refused(&s, 2, ["register", "bot", "bot", "--bump", "huge"]), @"
    -- stderr --
    error: invalid value 'huge' for '--bump <BUMP>': `huge` is not one of: auto, major, minor, patch

    For more information, try '--help'.
    -- exit status: 2 --
    ");
    assert_snapshot!(refused(&s, 2, ["register", "bot", "bot", "--version", "1.2"]), @"
    -- stderr --
    error: invalid value '1.2' for '--version <VERSION>': `1.2` is not a version: expected MAJOR.MINOR.PATCH, such as 1.2.0

    For more information, try '--help'.
    -- exit status: 2 --
    ");
    assert_snapshot!(refused(&s, 2, ["register", "bot"]), @"
    -- stderr --
    error: no path given, and mlops.toml has no `[model.bot]` with a path
    hint: name the files: `kf register bot PATH`
    -- exit status: 2 --
    ");
    assert_snapshot!(refused(&s, 2, ["register"]), @"
    -- stderr --
    error: the following required arguments were not provided:
      <NAME>

    Usage: kf register <NAME> [PATHS]...

    For more information, try '--help'.
    -- exit status: 2 --
    ");
}

#[test]
fn a_dry_run_changes_nothing() {
    on_both(|s| {
        with_bot(s);
        s.write("bot/routing.yaml", "default: large\n");
        let run = refused(s, 0, ["register", "bot", "bot", "--dry-run"]);
        assert_snapshot!(run, @"
        registered bot@1.0.1 (1f4f9bfd29b7, 3 files, 71 B)
        patch version:
          - `default` of `routing.yaml` changed
        -- stderr --
        dry run: nothing was changed
        -- exit status: 0 --
        ");
        next_bot(s, 7);
        assert!(ok(s, ["list", "bot"]).stdout.contains("1.0.1"));
    });
}

#[test]
fn git_is_recorded_and_can_be_demanded() {
    on_both(|s| {
        s.git(["init", "-q", "-b", "main"]);
        init(s);
        write_bot(s);
        s.git(["add", "."]);
        s.git(["commit", "-q", "-m", "first"]);
        let run = ok(s, ["register", "bot", "bot", "--format", "json"]);
        let git = &json(&run)["models"][0]["version"]["git"];
        assert_eq!((git["branch"].as_str(), git["dirty"].as_bool()), (Some("main"), Some(false)), "{run}");
        s.write("bot/routing.yaml", "default: large\n");
        assert_snapshot!(s.kf(["register", "bot", "bot"]), @"
        registered bot@1.0.1 (1f4f9bfd29b7, 3 files, 71 B)
        patch version:
          - `default` of `routing.yaml` changed
        -- stderr --
        warning: these files have changes that are not committed to Git
        -- exit status: 0 --
        ");
        s.write("mlops.toml", "[project]\nname = \"shop\"\n[policy]\nrequire-clean-git = true\n");
        s.write("bot/routing.yaml", "default: medium\n");
        assert_snapshot!(refused(s, 1, ["register", "bot", "bot"]), @"
        -- stderr --
        error: policy asks for a clean Git commit, and these files have changes that are not committed
        hint: commit them first, or set `policy.require-clean-git = false`
        -- exit status: 1 --
        ");
    });
}

/// A version keeps what it was registered with: what is given later is not dropped in silence.
#[test]
fn what_is_given_with_bytes_that_are_registered_already_is_told() {
    on_both(|s| {
        init(s);
        write_bot(s);
        let first = ["register", "bot", "bot", "--metric", "f1=0.5", "--meta", "license=MIT", "--tag", "new"];
        ok(s, first);
        assert_eq!(ok(s, first).stderr, "", "the same again is nothing to tell");
        let again = ["register", "bot", "bot", "--metric", "f1=0.6", "--meta", "language=en", "--tag", "fine", "--tag", "new"];
        assert_snapshot!(refused(s, 0, again), @"
        bot@1.0.0 is already registered (553a4168a31d)
        -- stderr --
        warning: bot@1.0.0 is registered already, and these were not added: metric f1=0.6, meta language=en: a version keeps what it was registered with, a changed one takes them
        warning: bot@1.0.0 is registered already, and these tags were not added: fine: `kf tag bot@1.0.0 fine` does
        -- exit status: 0 --
        ");
    });
}
