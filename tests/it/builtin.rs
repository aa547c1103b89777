//! `[system] kind = "builtin"`: the documents answer, by the retrieval settings of the version.

use crate::repo::{ends, json, ok, on_both};
use crate::support::sandbox::Sandbox;
use serde_json::Value;

pub(crate) const CONFIG: &str = "[system]\nkind = \"builtin\"\n[golden]\ndataset = \"golden.jsonl\"\n";

/// Three topics in as many documents, and a question for each that names its document.
pub(crate) fn handbook(s: &Sandbox) {
    s.repository(CONFIG);
    for (name, text) in [
        ("returns", "A parcel may be sent back within thirty days after it arrived. The original box is required for that."),
        ("payment", "We accept credit cards and bank transfers. Invoices must be paid within two weeks of their date."),
        ("shipping", "Standard shipping costs five euros everywhere in the country. Express shipping takes one working day."),
    ] {
        s.write(
            format!("docs/{name}.md"),
            format!("# {name}\n\n{text} Our staff is glad to help you with all of this by phone.\n"),
        );
    }
    ok(s, ["ingest", "docs", "--collection", "handbook"]);
    let row = |id: &str, question: &str, answer: &str| {
        serde_json::json!({"id": id, "question": question, "reference": answer, "reference_context_ids": [format!("docs/{id}.md")]})
            .to_string()
    };
    let rows = [
        row("returns", "Within how many days may a parcel be sent back?", "A parcel may be sent back within thirty days."),
        row("payment", "Which credit cards and bank transfers do you accept?", "We accept credit cards and bank transfers."),
        row("shipping", "What does standard shipping cost?", "Standard shipping costs five euros."),
    ];
    s.write("golden.jsonl", rows.join("\n") + "\n");
}

pub(crate) fn registered(s: &Sandbox, retrieval: &str) {
    s.write("bot/prompts/answer.txt", "Answer {question} from {context}.\n");
    s.write("bot/retrieval.yaml", retrieval);
    ok(s, ["register", "bot", "bot"]);
}

pub(crate) fn mean(report: &Value, metric: &str) -> Option<f64> {
    let metrics = report["evaluation"]["metrics"].as_array().expect("metrics");
    metrics.iter().find(|m| m["metric"] == metric).expect("asked for")["mean"].as_f64()
}

fn evaluated(s: &Sandbox, code: i32) -> Value {
    let metrics = ["eval", "bot", "--metric", "mrr", "--metric", "recall-at-k", "--metric", "token-f1", "--format", "json"];
    json(&ends(s, code, metrics))
}

#[test]
fn what_search_finds_is_scored_and_quoted() {
    on_both(|s| {
        handbook(s);
        registered(s, "collection: handbook\ntop_k: 3\nhybrid_weight: 0.5\n");
        let report = evaluated(s, 0);
        assert_eq!(report["evaluation"]["system"], "builtin");
        assert_eq!((mean(&report, "mrr"), mean(&report, "recall-at-k")), (Some(1.0), Some(1.0)), "{report:#}");
        assert!(mean(&report, "token-f1").is_some_and(|f1| f1 > 0.2), "{report:#}");
        // The settings of the version decide: a filter that keeps the right documents out is seen in the scores.
        registered(s, "collection: handbook\ntop_k: 3\nfilters:\n  source: docs/payment\n");
        assert_eq!(mean(&evaluated(s, 0), "recall-at-k"), Some(1.0 / 3.0));
    });
}

#[test]
fn settings_that_nothing_follows_are_refused() {
    on_both(|s| {
        handbook(s);
        registered(s, "collection: handbook\nrerank:\n  top: 3\n");
        let run = ends(s, 1, ["eval", "bot"]);
        assert!(run.stderr.contains("knows no setting `rerank`"), "{run}");
        registered(s, "collection: handbok\n");
        let run = ends(s, 1, ["eval", "bot"]);
        assert!(run.stderr.contains("has no collection handbok") && run.stderr.contains("`handbook`"), "{run}");
    });
}
