//! `kf eval` with the offline proxies: the labelled pairs of `examples/proxy`, bad input, gates.

use crate::repo::{ends, json, ok, refused, with_bot};
use crate::support::project;
use crate::support::sandbox::Sandbox;
use kf::adapters::embedder::builtin::builtin;
use kf::domain::eval::proxy::faithfulness;
use kf::domain::eval::proxy::labels::{self, Label, Labelled};
use kf::stats::auc;
use kf::stats::rng::Rng;
use serde_json::Value;
use std::collections::BTreeSet;

const FAITHFUL: &str = "faithfulness (offline proxy)";
const RELEVANT: &str = "relevancy (offline proxy)";
const LANGUAGES: [&str; 4] = ["en", "es", "fr", "de"];

/// A repository with a bot whose golden dataset has these rows, with their answers.
fn with(rows: &str, gates: &str) -> Sandbox {
    let s = Sandbox::new();
    with_bot(&s);
    s.write("golden.jsonl", rows);
    s.write("mlops.toml", format!("[project]\nname = \"shop\"\n[golden]\ndataset = \"golden.jsonl\"\n{gates}"));
    s
}

fn row(report: &Value, id: &str, metric: &str) -> (Option<f64>, Option<String>) {
    let rows = report["rows"].as_array().expect("rows");
    let row = rows.iter().find(|r| r["id"] == id).unwrap_or_else(|| panic!("a row {id} in {report}"));
    (row["scores"][metric].as_f64(), row["unscored"][metric].as_str().map(str::to_owned))
}

fn pairs() -> Vec<Labelled> {
    labelled("pairs.jsonl")
}

fn labelled(file: &str) -> Vec<Labelled> {
    labels::read(&std::fs::read_to_string(project().join("examples/proxy").join(file)).expect("pairs")).expect("labelled pairs")
}

fn scored(pairs: &[Labelled]) -> Vec<(&Labelled, Option<f64>)> {
    pairs.iter().map(|l| (l, faithfulness(&l.question, &l.answer, &l.contexts, builtin()).ok())).collect()
}

fn area_of(rows: &[(&Labelled, Option<f64>)], of: &str) -> f64 {
    let area = labels::areas(rows).into_iter().find(|a| a.of == of).and_then(|a| a.area);
    area.unwrap_or_else(|| panic!("an area of {of}")).0
}

#[test]
fn every_language_has_pairs_of_every_label() {
    let pairs = pairs();
    assert!(pairs.len() >= 200);
    assert_eq!(pairs.iter().map(|p| p.id.as_str()).collect::<BTreeSet<_>>().len(), pairs.len(), "an id twice");
    for lang in LANGUAGES {
        let of = |label| pairs.iter().filter(|p| p.language == lang && p.label == label).count();
        assert!(pairs.iter().filter(|p| p.language == lang).count() >= 50, "{lang}");
        assert!(Label::ALL.iter().all(|label| of(*label) >= 10), "{lang}");
    }
}

/// The bars of the project, 0.70 overall and 0.65 against contradictions, also on rows that nothing was set on.
#[test]
fn labelled_pairs_are_told_apart() {
    let pairs = pairs();
    let rows = scored(&pairs);
    let (held, tuned): (Vec<_>, Vec<_>) = rows.iter().copied().partition(|(l, _)| l.is_held_out());
    assert!(held.len() * 4 > tuned.len() && rows.iter().all(|(_, score)| score.is_some()));
    let fresh = labelled("fresh.jsonl");
    for (rows, name) in [(&held, "held out"), (&tuned, "the others"), (&scored(&fresh), "fresh")] {
        let (all, against) = (area_of(rows, "overall"), area_of(rows, "contradicted"));
        assert!(all >= 0.7 && against >= 0.65, "{name}: {all:.3} overall, {against:.3} against contradictions");
    }
    for lang in LANGUAGES {
        let area = area_of(&rows, &format!("language {lang}"));
        assert!(area >= 0.7, "{lang}: {area:.3}");
    }
}

/// Scores that knew the set rather than its labels would tell shuffled labels apart, too.
#[test]
fn shuffled_labels_are_not_told_apart() {
    const SHUFFLES: u32 = 200;
    let pairs = pairs();
    let rows = scored(&pairs);
    let (mut rng, mut labels) = (Rng::new(7), pairs.iter().map(|p| p.label).collect::<Vec<_>>());
    let supported = labels.iter().filter(|l| **l == Label::Supported).count();
    let sd = auc::null_sd(supported, labels.len() - supported).expect("two sides");
    let mut shuffled = || {
        let all = labels.len();
        rng.draw(&mut labels, all);
        let other: Vec<Labelled> = pairs.iter().zip(&labels).map(|(p, l)| Labelled { label: *l, ..p.clone() }).collect();
        area_of(&other.iter().zip(&rows).map(|(p, (_, score))| (p, *score)).collect::<Vec<_>>(), "overall")
    };
    let areas: Vec<f64> = (0..SHUFFLES).map(|_| shuffled()).collect();
    let mean = areas.iter().sum::<f64>() / f64::from(SHUFFLES);
    let inside = areas.iter().filter(|a| (**a - 0.5).abs() <= 1.96 * sd).count();
    assert!((mean - 0.5).abs() < 3.0 * sd / f64::from(SHUFFLES).sqrt(), "{mean}");
    assert!((180..=200).contains(&inside), "{inside} of {SHUFFLES} within the interval of no difference");
}

#[test]
fn proxies_tell_labelled_pairs_apart_without_a_network() {
    let pairs = std::fs::read_to_string(project().join("examples/proxy/pairs.jsonl")).expect("pairs");
    let s = &with(&pairs, "");
    let metrics = [
        "eval",
        "bot",
        "--no-gates",
        "--rows",
        "--metric",
        "faithfulness-offline-proxy",
        "--metric",
        RELEVANT,
        "--format",
        "json",
    ];
    let report = json(&ok(s, metrics));
    let pairs = labels::read(&pairs).expect("labelled pairs");
    let rows: Vec<_> = pairs.iter().map(|p| (p, row(&report, &p.id, FAITHFUL).0)).collect();
    assert_eq!(labels::areas(&rows), labels::areas(&scored(&pairs)), "what is reported is what is measured");
    let metrics: Vec<&str> =
        report["evaluation"]["metrics"].as_array().expect("metrics").iter().filter_map(|m| m["metric"].as_str()).collect();
    assert!(metrics.contains(&FAITHFUL) && metrics.contains(&RELEVANT), "{metrics:?}");
}

#[test]
fn what_cannot_be_said_has_its_reason() {
    let context = "[\"The fee is 5 euros. It is paid monthly.\"]";
    let long = format!("[\"{}\"]", "The fee is 5 euros. ".repeat(52_000));
    let rows = [
        ("good", "The fee is 5 euros.", context),
        ("wrong", "The fee is 50 euros.", context),
        ("empty", " ", context),
        ("bare", "The fee is 5 euros.", "[]"),
        ("declined", "I do not know.", context),
        ("nothing", "…", context),
        ("long", "The fee is 5 euros.", &long),
    ];
    let line = |(id, answer, contexts): &(&str, &str, &str)| {
        format!("{{\"id\": \"{id}\", \"question\": \"What is the fee?\", \"answer\": \"{answer}\", \"contexts\": {contexts}}}\n")
    };
    let s = &with(&rows.iter().map(line).collect::<String>(), "");
    let args = ["eval", "bot", "--no-gates", "--rows", "--metric", FAITHFUL, "--metric", RELEVANT, "--format", "json"];
    // A blank answer is none.
    let report = json(&ends(s, 5, args));
    let scores = |id| row(&report, id, FAITHFUL);
    assert!(scores("good").0 > Some(0.8) && scores("long").0 > Some(0.8) && scores("wrong").0 < Some(0.3), "{report}");
    assert_eq!(scores("bare").1.as_deref(), Some("no context was retrieved"));
    assert_eq!(scores("declined").1.as_deref(), Some("the answer declines to answer"));
    assert_eq!(row(&report, "declined", RELEVANT).0, Some(0.0));
    assert_eq!(scores("empty").1.as_deref(), Some("the system failed: golden.jsonl has no answer to it"));
    assert!(scores("nothing").1.is_some(), "{report}");
}

#[test]
fn a_gate_names_a_proxy_and_others_leave_it_out() {
    let rows: String = (0..40)
        .map(|i| format!("{{\"id\": \"q{i}\", \"question\": \"What is the fee?\", \"answer\": \"The fee is 5 euros.\", \"contexts\": [\"The fee is 5 euros.\"]}}\n"))
        .collect();
    let gate = "[gates.held]\nstage = [\"staging\"]\nkind = \"absolute\"\nmetric = \"faithfulness (offline proxy)\"\nmin = 0.7\nallow-recorded = true\n";
    let s = &with(&rows, gate);
    let run = ends(s, 0, ["eval", "bot"]);
    assert!(run.stdout.contains(FAITHFUL) && !run.stdout.contains(RELEVANT), "{run}");
    let s = &with(&rows, "");
    assert!(!ends(s, 0, ["eval", "bot"]).stdout.contains("proxy"), "no gate names one");
    let e = refused(s, 2, ["eval", "bot", "--metric", "faithfulness (offline prox)"]);
    assert!(e.stderr.contains(FAITHFUL), "{e}");
}
