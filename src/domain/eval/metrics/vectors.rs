//! Holds the metrics to the scores of the reference implementations, made by `tests/fixtures/metrics/make.py`.

use super::{MetricId, Row, score};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const TOLERANCE: f64 = 1e-6;

fn strings(row: &Value, key: &str) -> Vec<String> {
    let items = row[key].as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().map(|v| v.as_str().expect("a string").to_owned()).collect()
}

/// Scores every row of a fixture, which must have at least `rows` of them and cover exactly `metrics`.
fn check(json: &str, rows: usize, metrics: &[MetricId]) {
    let fixture: Value = serde_json::from_str(json).expect("JSON");
    assert!(fixture["source"].as_str().is_some_and(|s| !s.is_empty()), "the source is named");
    let all = fixture["rows"].as_array().expect("rows");
    assert!(all.len() >= rows, "{} rows", all.len());
    let mut wrong = Vec::new();
    for row in all {
        let (references, contexts) = (strings(row, "references"), strings(row, "contexts"));
        let (reference_contexts, context_ids) = (strings(row, "reference_contexts"), strings(row, "context_ids"));
        let relevance: Option<BTreeMap<String, f64>> =
            row["relevance"].as_object().map(|m| m.iter().map(|(k, v)| (k.clone(), v.as_f64().expect("a grade"))).collect());
        let parts = Row {
            answer: row["answer"].as_str(),
            references: &references,
            contexts: &contexts,
            reference_contexts: &reference_contexts,
            context_ids: &context_ids,
            relevance: relevance.as_ref(),
            ..Row::default()
        };
        let k = row["k"].as_u64().map_or(1, |k| k as usize);
        let scores = row["scores"].as_object().expect("scores");
        let named: BTreeSet<MetricId> = scores.keys().map(|name| name.parse().expect("a metric")).collect();
        assert_eq!(named, metrics.iter().copied().collect(), "{}", row["name"]);
        for (metric, want) in scores {
            let (metric, want): (MetricId, f64) = (metric.parse().expect("a metric"), want.as_f64().expect("a number"));
            let got = score(metric, &parts, k);
            if got.value().is_none_or(|g| (g - want).abs() > TOLERANCE) {
                wrong.push(format!("{} {metric}: {got:?}, expected {want}", row["name"]));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn text_metrics_agree_with_sacrebleu_rouge_score_and_squad() {
    let metrics = [
        MetricId::ExactMatch,
        MetricId::ExactMatchNormalized,
        MetricId::TokenF1,
        MetricId::Bleu,
        MetricId::Rouge1,
        MetricId::Rouge2,
        MetricId::RougeL,
        MetricId::Rouge1Ascii,
        MetricId::Rouge2Ascii,
        MetricId::RougeLAscii,
        MetricId::Chrf,
    ];
    check(include_str!("../../../../tests/fixtures/metrics/text.json"), 50, &metrics);
    check(include_str!("../../../../tests/fixtures/metrics/random.json"), 150, &metrics);
}

#[test]
fn context_metrics_agree_with_ragas() {
    let metrics = [MetricId::ContextPrecision, MetricId::ContextRecall];
    check(include_str!("../../../../tests/fixtures/metrics/contexts.json"), 15, &metrics);
}

#[test]
fn retrieval_metrics_agree_with_their_formulas() {
    let metrics = [
        MetricId::PrecisionAtK,
        MetricId::RecallAtK,
        MetricId::HitAtK,
        MetricId::Mrr,
        MetricId::Map,
        MetricId::Ndcg,
        MetricId::NdcgExponential,
    ];
    check(include_str!("../../../../tests/fixtures/metrics/retrieval.json"), 12, &metrics);
}
