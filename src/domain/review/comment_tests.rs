use super::*;
use crate::domain::review::doc::{Cell, FileDoc, GateDoc, SinceDoc, SliceDoc};
use std::collections::BTreeMap;

fn figure(metric: &str, decides: bool, by: f64, verdict: &str, needed: Option<u64>) -> FigureDoc {
    FigureDoc {
        metric: metric.into(),
        decides,
        base: Some(0.9),
        head: Some(0.9 + by),
        difference: Some(by),
        low: Some(by - 0.05),
        high: Some(by + 0.05),
        n: 44,
        clusters: None,
        p_value: Some(0.5),
        detectable: Some(0.05),
        verdict: Some(verdict.into()),
        needed,
        lost: 0,
        unscored: None,
    }
}

fn row(id: &str, answer: &str) -> RowDoc {
    RowDoc {
        id: id.into(),
        must_pass: true,
        question: "How long?".into(),
        expected: Some("Four weeks.".into()),
        base: Some("Four weeks.".into()),
        head: Some(answer.into()),
        scores: BTreeMap::from([("token-f1".into(), (Some(1.0), Some(0.25)))]),
    }
}

fn model(name: &str, verdict: Verdict) -> ModelReview {
    ModelReview {
        name: name.into(),
        verdict,
        reasons: vec!["token-f1 is worse".into()],
        needed: None,
        why: vec!["mlops.toml: `[system]`".into()],
        files: vec![FileDoc { path: "prompts/a.txt".into(), status: "renamed".into(), from: Some("prompts/b.txt".into()) }],
        is_new: false,
        dataset: "golden.jsonl".into(),
        rows: 44,
        system: "command".into(),
        same_answers: Some(3),
        figures: vec![figure("token-f1", true, -0.2, "worse", None), figure("bleu", false, 0.01, "inconclusive", Some(1200))],
        budgets: vec![BudgetDoc {
            metric: "latency-p95".into(),
            base: Some(800.0),
            head: Some(900.0),
            difference: None,
            low: None,
            high: None,
        }],
        slices: vec![SliceDoc {
            slice: "language de".into(),
            metric: "token-f1".into(),
            difference: -0.4,
            n: 11,
            q_value: Some(0.01),
        }],
        gates: vec![GateDoc {
            gate: "words".into(),
            stage: "production".into(),
            metric: "token-f1".into(),
            regression: false,
            measured: Some(0.7),
            threshold: "≥ 0.8".into(),
            verdict: Verdict::Fail,
            reason: "the mean misses it".into(),
            needed: None,
        }],
        worst: vec![row("q1", "Two.")],
        prompts: vec![PromptDoc {
            prompt: "a.txt".into(),
            status: "changed".into(),
            variables_added: vec!["tone".into()],
            variables_removed: Vec::new(),
            tokens_before: Some(40),
            tokens_after: Some(30),
        }],
        diff: Some("changed prompts/a.txt\n    -Be exact.\n    +Be brief.\n".into()),
        notes: Vec::new(),
    }
}

fn review(models: Vec<ModelReview>) -> Review {
    let since = SinceDoc {
        reference: "origin/main".into(),
        base: "0123456789abcdef".into(),
        head: "f".repeat(40),
        uncommitted: Vec::new(),
    };
    let verdict = Verdict::all(models.iter().map(|m| m.verdict));
    let unchanged = vec!["other".into()];
    Review { since, verdict, inconclusive_allowed: false, models, unchanged, removed: Vec::new(), files_elsewhere: 0 }
}

fn text(inputs: &[Input]) -> String {
    render(&"prompts".parse().expect("a name"), None, inputs)
}

#[test]
fn the_verdict_comes_first_and_the_evidence_is_folded() {
    let said = text(&[Input::Review(review(vec![model("bot", Verdict::Fail)]))]);
    assert_eq!(said.trim_end(), include_str!("comment_tests.md").replace('¦', "\u{200b}").trim_end());
}

#[test]
fn within_noise_the_first_line_says_how_many_rows_it_takes() {
    let open = ModelReview { needed: Some(1540), gates: Vec::new(), worst: Vec::new(), ..model("bot", Verdict::Inconclusive) };
    let said = text(&[Input::Review(review(vec![open]))]);
    assert!(said.contains("## Prompt evaluation: ❔ inconclusive, needs n = 1,540\n"), "{said}");
    let none = text(&[Input::Review(review(Vec::new()))]);
    assert!(none.starts_with("<!-- kf-ci-comment:prompts -->\n## Prompt evaluation: no model changed\n"), "{none}");
}

/// What a dataset holds is somebody else's text.
#[test]
fn hostile_rows_stay_text() {
    let evil = "@everyone | table\n```\n<img src=x onerror=alert(1)>\n</details>\n[x](https://evil.example) #1 GH-1";
    let mut bad = model(evil, Verdict::Fail);
    bad.worst = vec![RowDoc {
        id: evil.into(),
        question: evil.into(),
        expected: Some(evil.into()),
        base: Some(evil.into()),
        ..row("x", evil)
    }];
    bad.reasons = vec![evil.into()];
    bad.notes = vec![evil.into()];
    bad.gates[0].reason = evil.into();
    bad.slices[0].slice = evil.into();
    bad.files[0].path = evil.into();
    bad.why = vec![evil.into()];
    bad.prompts[0].prompt = evil.into();
    bad.diff = Some(format!("{evil}\n````\n{evil}"));
    let mut page = review(vec![bad]);
    page.since.reference = evil.into();
    let tested = Tested {
        suite: evil.into(),
        verdict: Some("fail".into()),
        passed: 0,
        failed: 1,
        unscored: 0,
        errors: 0,
        cells: vec![Cell {
            case: evil.into(),
            prompt: evil.into(),
            provider: evil.into(),
            end: "fail".into(),
            reason: Some(evil.into()),
            answer: Some(evil.into()),
        }],
    };
    let said = text(&[Input::Review(page), Input::Tested(tested)]);
    let (mut fence, mut folds): (Option<&str>, i32) = (None, 0);
    for line in said.lines() {
        let ticks = &line[..line.len() - line.trim_start_matches('`').len()];
        match fence {
            None if ticks.len() >= 3 => fence = Some(ticks),
            Some(open) if line == open => fence = None,
            Some(_) => {}
            None => {
                folds += i32::from(line.starts_with("<details")) - i32::from(line == "</details>");
                assert!(!line.contains("<img") && !line.contains("https://") && !line.contains('@'), "{line}");
                assert!(
                    !line.contains("@e") && !line.contains("#1 ") && !line.contains("](") && !line.contains("GH-1"),
                    "{line}"
                );
            }
        }
    }
    assert_eq!((fence, folds), (None, 0), "every fence and every fold is closed: {said}");
    // A table has as many cells in each row as in its head: five columns of slices, seven of gates.
    let cells = |start: &str| said.lines().find(|l| l.starts_with(start)).map(|l| l.matches('|').count());
    assert_eq!((cells("| &#64;"), cells("| words")), (Some(6), Some(8)), "{said}");
}

/// A comment of GitHub has at most 65,536 characters: the worst is said, and that there is more.
#[test]
fn a_comment_has_room_for_what_weighs_most() {
    let long = "word ".repeat(200_000);
    let models: Vec<ModelReview> = (0..60)
        .map(|i| ModelReview {
            worst: (0..20).map(|r| row(&format!("q{r}"), &long)).collect(),
            diff: Some(long.clone()),
            ..model(&format!("bot-{i}"), if i == 42 { Verdict::Fail } else { Verdict::Pass })
        })
        .collect();
    let said = text(&[Input::Review(review(models))]);
    assert!(said.encode_utf16().count() < 65_536, "{}", said.len());
    assert!(said.contains("left out or shortened") && (0..60).all(|i| said.contains(&format!("### bot-{i}: "))), "{said}");
    let first = said.find("### ").expect("a model");
    assert!(said[first..].starts_with("### bot-42: ❌ fail"), "what fails comes first");
    assert!(said.contains("The 10 rows that lost most"), "there is room for the worst rows of the model that fails");
}

#[test]
fn suites_stand_beside_models() {
    let tested = |failed, verdict: Option<&str>| Tested {
        suite: "prompts.test.yaml".into(),
        verdict: verdict.map(str::to_owned),
        passed: 2,
        failed,
        unscored: 0,
        errors: 0,
        cells: Vec::new(),
    };
    let said = |t: Tested| text(&[Input::Review(review(Vec::new())), Input::Tested(t)]);
    assert!(said(tested(0, Some("pass"))).contains("## Prompt evaluation: ✅ pass\n"));
    assert!(said(tested(1, Some("fail"))).contains("### Suite prompts.test.yaml: ❌ fail"));
    assert!(said(tested(0, None)).contains("❔ inconclusive\n\nnobody was asked."));
}
