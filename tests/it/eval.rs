//! `kf eval`, and the gates that stand on it.

use crate::repo::{ends, events, json, next_bot, ok, on_both, refused, release, with_bot};
use crate::support::sandbox::Sandbox;
use insta::assert_snapshot;

/// A golden dataset of eight questions; the answers beside it are right but for the last `wrong`.
fn golden(s: &Sandbox, wrong: usize) {
    let rows = (0..8).map(|i| format!("{{\"id\": \"q{i}\", \"question\": \"Question {i}?\", \"reference\": \"answer {i}\"}}\n"));
    s.write("golden.jsonl", rows.collect::<String>());
    let text = |i: usize| if i < 8 - wrong { format!("answer {i}") } else { "no idea".to_owned() };
    let answers = (0..8).map(|i| format!("{{\"id\": \"q{i}\", \"answer\": \"{}\"}}\n", text(i)));
    s.write("answers.jsonl", answers.collect::<String>());
}

const GATED: &str = "[project]\nname = \"shop\"\n[golden]\ndataset = \"golden.jsonl\"\n\
    [gates.exact]\nstage = [\"staging\", \"production\"]\nkind = \"absolute\"\nmetric = \"exact-match\"\nmin = 0.6\nallow-recorded = true\n";

#[test]
fn a_good_version_passes_its_gates_and_a_worse_one_is_refused() {
    on_both(|s| {
        with_bot(s);
        golden(s, 0);
        s.write("mlops.toml", GATED);
        assert_snapshot!(s.kf(["eval", "bot", "--answers", "answers.jsonl", "--metric", "exact-match"]), @"
        bot@1.0.0 on golden.jsonl (8 rows, 996c88f187d3), answers: recorded

        METRIC         MEAN  95 % INTERVAL    SCORED  OF
        coverage     1.0000                        8   8
        error-rate   0.0000                        8   8
        exact-match  1.0000  0.6756 … 1.0000       8   8

        gates of staging
        GATE   METRIC       MEASURED  95 % INTERVAL    THRESHOLD  N  VERDICT  WHY
        exact  exact-match    1.0000  0.6756 … 1.0000  ≥ 0.6      8  pass     the whole 95 % interval meets it

        bot@1.0.0: the gates of staging pass
        -- exit status: 0 --
        ");
        release(s, "bot@1.0.0");
        next_bot(s, 8);
        golden(s, 8);
        assert_snapshot!(ends(s, 3, ["eval", "bot", "--answers", "answers.jsonl", "--metric", "exact-match"]), @"
        bot@1.0.1 on golden.jsonl (8 rows, 996c88f187d3), answers: recorded

        METRIC         MEAN  95 % INTERVAL    SCORED  OF
        coverage     1.0000                        8   8
        error-rate   0.0000                        8   8
        exact-match  0.0000  0.0000 … 0.3244       8   8

        against bot@1.0.0 in production, paired by row
        METRIC       PRODUCTION    THIS  DIFFERENCE  95 % INTERVAL      N  VERDICT
        exact-match      1.0000  0.0000     -1.0000  -1.0000 … -0.4840  8  worse

        gates of staging
        GATE   METRIC       MEASURED  95 % INTERVAL    THRESHOLD  N  VERDICT  WHY
        exact  exact-match    0.0000  0.0000 … 0.3244  ≥ 0.6      8  fail     the whole 95 % interval misses it

        bot@1.0.1: the gates of staging fail
        -- exit status: 3 --
        ");
        let dry = refused(s, 3, ["eval", "bot", "--answers", "answers.jsonl", "--dry-run"]);
        assert!(dry.stderr.contains("dry run: nothing was changed"), "{dry}");
        let shown = json(&ok(s, ["show", "bot", "--format", "json"]));
        assert_eq!(shown["evaluations"].as_array().map(Vec::len), Some(1), "a dry run is not recorded");
        let size = events(s);
        assert_snapshot!(ends(s, 3, ["promote", "bot", "--to", "staging"]), @"
        GATE   METRIC       MEASURED  95 % INTERVAL    THRESHOLD  N  VERDICT  WHY
        exact  exact-match    0.0000  0.0000 … 0.3244  ≥ 0.6      8  fail     the whole 95 % interval misses it

        bot@1.0.1 stays in development: gates failed: exact
        -- exit status: 3 --
        ");
        assert_eq!(events(s), size + 1, "a refusal is recorded");
        let doc = json(&ends(s, 3, ["promote", "bot", "--to", "staging", "--dry-run", "--format", "json"]));
        assert_eq!((&doc["verdict"], &doc["gates"][0]["gate"]), (&"fail".into(), &"exact".into()));
    });
}

#[test]
fn a_dataset_that_changed_needs_a_new_evaluation() {
    on_both(|s| {
        with_bot(s);
        golden(s, 0);
        s.write("mlops.toml", GATED);
        ok(s, ["eval", "bot", "--answers", "answers.jsonl"]);
        s.write("golden.jsonl", s.read("golden.jsonl").replace("Question 1?", "Question one?"));
        let run = ends(s, 4, ["promote", "bot", "--to", "staging"]);
        assert!(run.stdout.contains("has no evaluation on golden.jsonl"), "{run}");
    });
}

#[test]
fn data_that_cannot_be_used() {
    on_both(|s| {
        with_bot(s);
        golden(s, 0);
        assert_snapshot!(refused(s, 2, ["eval", "bot"]), @"
        -- stderr --
        error: no golden dataset named
        hint: name one with `--dataset`, or set `[golden] dataset` in mlops.toml
        -- exit status: 2 --
        ");
        assert_snapshot!(refused(s, 1, ["eval", "bot", "--dataset", "missing.jsonl"]), @"
        -- stderr --
        error: no file of the repository and no registered dataset is called missing.jsonl
        caused by: there is no model `missing.jsonl`
        hint: there is: bot
        -- exit status: 1 --
        ");
        assert_snapshot!(refused(s, 1, ["eval", "bot", "--dataset", "golden.jsonl"]), @r#"
        -- stderr --
        error: golden.jsonl holds no answers, and nothing says how a version answers
        hint: give recorded answers with `--answers FILE`, or set `[system] kind = "command"` or "http" in mlops.toml
        -- exit status: 1 --
        "#);
        assert_snapshot!(refused(s, 2, ["eval", "bot", "--dataset", "golden.jsonl", "--metric", "exact-mach"]), @"
        -- stderr --
        error: there is no metric `exact-mach`
        hint: did you mean `exact-match`?
        -- exit status: 2 --
        ");
        s.write("bad.jsonl", "{\"question\": \"Q\", \"answer\": \"A\"}\n{\"answer\": \"A\"}\n{\"question\": \"\"}\n");
        assert_snapshot!(refused(s, 1, ["eval", "bot", "--dataset", "bad.jsonl"]), @"
        -- stderr --
        error: the dataset bad.jsonl cannot be used:
        bad.jsonl:2: the row has no question; it has: answer
        bad.jsonl:3: the row has no question; it has: question
        hint: mend these lines; `--map COLUMN=FIELD` says which column is which field
        -- exit status: 1 --
        ");
        s.write("broken.jsonl", "{\"question\": \"Q\", \"answer\": \"A\"}\nnot json\n");
        assert_snapshot!(refused(s, 1, ["eval", "bot", "--dataset", "broken.jsonl"]), @"
        -- stderr --
        error: the dataset broken.jsonl cannot be used:
        broken.jsonl:2: not JSON: expected ident (column 2)
        hint: mend these lines; `--map COLUMN=FIELD` says which column is which field
        -- exit status: 1 --
        ");
        s.write("empty.jsonl", "");
        assert_snapshot!(refused(s, 1, ["eval", "bot", "--dataset", "empty.jsonl"]), @"
        -- stderr --
        error: the dataset empty.jsonl cannot be used:
        empty.jsonl:1: the file is empty
        hint: mend these lines; `--map COLUMN=FIELD` says which column is which field
        -- exit status: 1 --
        ");
        s.write("strangers.jsonl", "{\"id\": \"zz\", \"answer\": \"A\"}\n");
        assert_snapshot!(refused(s, 1, ["eval", "bot", "--dataset", "golden.jsonl", "--answers", "strangers.jsonl"]), @"
        -- stderr --
        error: no answer in [ROOT]/work/strangers.jsonl belongs to a row of golden.jsonl
        hint: answers are joined by `id`, or by `question` where they have no id
        -- exit status: 1 --
        ");
    });
}
