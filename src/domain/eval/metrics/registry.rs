//! The metrics that need no model: name, direction, range, definition and source of each.

use super::MetricId;
use super::MetricId::{
    Bleu, Chrf, CitationValidity, ContextPrecision, ContextRecall, ExactMatch, ExactMatchNormalized, FaithfulnessProxy, HitAtK,
    Map, Mrr, Ndcg, NdcgExponential, PrecisionAtK, RecallAtK, RefusalCorrect, RelevancyProxy, Rouge1, Rouge1Ascii, Rouge2,
    Rouge2Ascii, RougeL, RougeLAscii, TokenF1,
};

/// Which way a metric improves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// More is better.
    HigherIsBetter,
    /// Less is better.
    LowerIsBetter,
}

/// What is to be known of a metric before using it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MetricInfo {
    /// What [`super::score`] takes.
    pub id: MetricId,
    /// The name in configuration and reports, in kebab case; a proxy says in brackets that it is one.
    pub name: &'static str,
    /// Which way it improves.
    pub direction: Direction,
    /// The lowest and the highest score there is.
    pub range: (f64, f64),
    /// True when it looks at the first k of a ranking.
    pub uses_k: bool,
    /// One line: what is computed, and whose definition it is.
    pub definition: &'static str,
}

impl MetricInfo {
    /// The largest difference that two scores can have.
    pub fn span(&self) -> f64 {
        self.range.1 - self.range.0
    }
}

/// Every metric, in the order of reports.
pub fn all() -> &'static [MetricInfo] {
    ALL
}

/// The metric of a name. A proxy is also found by its name in kebab case, which a shell need not quote.
pub fn find(name: &str) -> Option<&'static MetricInfo> {
    let kebab = |m: &MetricInfo| m.name.replace(['(', ')'], "").replace(' ', "-");
    ALL.iter().find(|m| m.name == name || (m.id.is_proxy() && kebab(m) == name))
}

/// What is to be known of a metric.
pub fn info(id: MetricId) -> &'static MetricInfo {
    ALL.iter().find(|m| m.id == id).expect("the test below holds the list to be complete")
}

const fn text(id: MetricId, definition: &'static str) -> MetricInfo {
    let (direction, range) = (Direction::HigherIsBetter, (0.0, 1.0));
    MetricInfo { id, name: id.word(), direction, range, uses_k: false, definition }
}

const fn ranking(id: MetricId, definition: &'static str) -> MetricInfo {
    MetricInfo { uses_k: true, ..text(id, definition) }
}

const ALL: &[MetricInfo] = &[
    text(ExactMatch, "the answer is a reference, character by character"),
    text(ExactMatchNormalized, "the answer is a reference without case, ASCII punctuation and English articles (SQuAD)"),
    text(TokenF1, "F1 of the normalised words as multisets, best reference (SQuAD)"),
    text(Bleu, "sentence BLEU: 13a tokens, exponential smoothing, effective order; sacrebleu / 100"),
    text(Rouge1, "F1 of words, best reference (ROUGE, Lin 2004); words of every script"),
    text(Rouge2, "F1 of word pairs, best reference (ROUGE, Lin 2004); words of every script"),
    text(RougeL, "F1 of the longest common subsequence of words, best reference (ROUGE, Lin 2004); words of every script"),
    text(Rouge1Ascii, "rouge-1 on [a-z0-9] words only, as rouge_score without stemmer"),
    text(Rouge2Ascii, "rouge-2 on [a-z0-9] words only, as rouge_score without stemmer"),
    text(RougeLAscii, "rouge-l on [a-z0-9] words only, as rouge_score without stemmer"),
    text(Chrf, "chrF2: F of character 1- to 6-grams with recall weighted twice, best reference; sacrebleu / 100"),
    text(
        ContextPrecision,
        "average precision of retrieved contexts at least half similar to a reference context (ragas, non-LLM)",
    ),
    text(ContextRecall, "share of reference contexts more than half similar to a retrieved context (ragas, non-LLM)"),
    ranking(PrecisionAtK, "relevant ids among the first k, divided by k (trec_eval)"),
    ranking(RecallAtK, "relevant ids among the first k, divided by all relevant (trec_eval)"),
    ranking(HitAtK, "a relevant id is among the first k"),
    ranking(Mrr, "1 / rank of the first relevant id among the first k; the mean over rows is MRR (trec_eval)"),
    ranking(Map, "average precision of the first k, divided by min(relevant, k); the mean over rows is MAP@k"),
    ranking(Ndcg, "discounted gain of the first k over the best possible, gain = grade (Järvelin and Kekäläinen 2002)"),
    ranking(NdcgExponential, "discounted gain of the first k over the best possible, gain = 2^grade − 1 (Burges et al. 2005)"),
    text(
        RefusalCorrect,
        "the answer declines if and only if the row cannot be answered (offline proxy: phrases in en, es, fr, de)",
    ),
    text(CitationValidity, "share of bracketed citations that name a retrieved id or place"),
    text(
        FaithfulnessProxy,
        "how well the contexts hold each sentence of the answer, less what numbers, negation, names and roles speak against",
    ),
    text(RelevancyProxy, "how well the answer takes up the question: words and vectors; 0 for an answer that declines"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_found_by_a_name_without_spaces() {
        assert_eq!(find("faithfulness-offline-proxy").map(|m| m.id), Some(FaithfulnessProxy));
        assert_eq!(find("relevancy-offline-proxy").map(|m| m.name), Some("relevancy (offline proxy)"));
    }

    #[test]
    fn every_metric_is_listed_once_and_found_by_its_name() {
        assert_eq!(all().iter().map(|m| m.id).collect::<Vec<_>>(), MetricId::ALL);
        for metric in all() {
            assert_eq!((find(metric.name), info(metric.id)), (Some(metric), metric));
            assert_eq!(metric.name.parse(), Ok(metric.id));
            assert!(metric.range.0 < metric.range.1);
        }
        assert_eq!(find("faithfulness"), None);
    }
}
