//! Metrics that need no model, network or clock: the same row gives the same score everywhere.
//!
//! A score is a finite number within the metric's range, or it is [`Score::Unscored`] with the reason; what cannot be said is
//! never 0. Each family is a file that names the definition it follows, and `tests/fixtures/metrics` holds the scores of the
//! reference implementations.

pub mod bleu;
pub mod chrf;
pub mod citation;
pub mod contexts;
pub mod exact;
pub mod refusal;
pub mod registry;
pub mod retrieval;
pub mod rouge;

mod apart;
mod bits;
mod ngram;
mod text;
#[cfg(test)]
mod vectors;

pub use registry::{Direction, MetricInfo, all, find, info};

use super::proxy;
use crate::base::name::words;
use crate::seams::embedder::SentenceVectors;
use retrieval::{Gain, Ranking};
use rouge::Tokens;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

words! {
    /// A metric that needs no model.
    MetricId, "metric" {
        /// The answer is a reference.
        ExactMatch = "exact-match",
        /// The answer is a reference after SQuAD's normalisation.
        ExactMatchNormalized = "exact-match-normalized",
        /// F1 of words as SQuAD counts them.
        TokenF1 = "token-f1",
        /// Sentence BLEU.
        Bleu = "bleu",
        /// F1 of words.
        Rouge1 = "rouge-1",
        /// F1 of word pairs.
        Rouge2 = "rouge-2",
        /// F1 of the longest common subsequence.
        RougeL = "rouge-l",
        /// `rouge-1` as `rouge_score` gives it.
        Rouge1Ascii = "rouge-1-ascii",
        /// `rouge-2` as `rouge_score` gives it.
        Rouge2Ascii = "rouge-2-ascii",
        /// `rouge-l` as `rouge_score` gives it.
        RougeLAscii = "rouge-l-ascii",
        /// F of character n-grams.
        Chrf = "chrf",
        /// Average precision of the retrieved contexts by similarity.
        ContextPrecision = "context-precision",
        /// Share of the reference contexts found by similarity.
        ContextRecall = "context-recall",
        /// Relevant ids among the first k, divided by k.
        PrecisionAtK = "precision-at-k",
        /// Relevant ids among the first k, divided by all relevant.
        RecallAtK = "recall-at-k",
        /// A relevant id is among the first k.
        HitAtK = "hit-at-k",
        /// Reciprocal rank.
        Mrr = "mrr",
        /// Average precision at k.
        Map = "map",
        /// nDCG at k with linear gain.
        Ndcg = "ndcg",
        /// nDCG at k with exponential gain.
        NdcgExponential = "ndcg-exponential",
        /// The answer declines exactly when it should.
        RefusalCorrect = "refusal-correct",
        /// What is cited was retrieved.
        CitationValidity = "citation-validity",
        /// What the answer says is held by its contexts, without a judge.
        FaithfulnessProxy = "faithfulness (offline proxy)",
        /// The answer speaks to its question, without a judge.
        RelevancyProxy = "relevancy (offline proxy)",
    }
}

impl MetricId {
    /// Whether it is a proxy of a metric that a judge gives: computed where it is asked for by name, and never in a judge's place.
    pub fn is_proxy(self) -> bool {
        matches!(self, Self::FaithfulnessProxy | Self::RelevancyProxy)
    }

    /// Whether it tells right from wrong: each of its scores is 0 or 1.
    pub fn is_right_or_wrong(self) -> bool {
        matches!(self, Self::ExactMatch | Self::ExactMatchNormalized | Self::HitAtK | Self::RefusalCorrect)
    }
}

/// The vectors that proxies compare by.
#[derive(Clone, Copy)]
pub struct Near<'a>(pub &'a dyn SentenceVectors);

impl fmt::Debug for Near<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Near({})", self.0.dimensions())
    }
}

/// The score of one row, or why it has none.
#[derive(Clone, Debug, PartialEq)]
pub enum Score {
    /// A finite number within the range of its metric.
    Scored(f64),
    /// The reason why there is no score, as a clause: "the row has no reference answer".
    Unscored(Cow<'static, str>),
}

impl Score {
    /// The number, when there is one.
    pub fn value(&self) -> Option<f64> {
        match self {
            Self::Scored(value) => Some(*value),
            Self::Unscored(_) => None,
        }
    }

    /// The reason, when there is no number.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Scored(_) => None,
            Self::Unscored(reason) => Some(reason),
        }
    }
}

/// What one row offers to the metrics; an empty list means the row says nothing of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Row<'a> {
    /// What the system answered; `None` when it gave no answer.
    pub answer: Option<&'a str>,
    /// Answers that are right.
    pub references: &'a [String],
    /// The texts that were retrieved, best first.
    pub contexts: &'a [String],
    /// The texts that should be retrieved.
    pub reference_contexts: &'a [String],
    /// The ids that were retrieved, best first.
    pub context_ids: &'a [String],
    /// The ids that should be retrieved.
    pub reference_context_ids: &'a [String],
    /// How relevant each id is (0 not at all); takes the place of `reference_context_ids` when given.
    pub relevance: Option<&'a BTreeMap<String, f64>>,
    /// Whether the documents answer the question at all.
    pub answerable: Option<bool>,
    /// How alike `contexts` and `reference_contexts` are, when that was found out before; else a metric that needs it does.
    pub alike: Option<&'a contexts::Alike>,
    /// What was asked; empty when it is not known.
    pub question: &'a str,
    /// The vectors that proxies compare by; without them these are unscored.
    pub near: Option<Near<'a>>,
}

const NO_REFERENCE: &str = "the row has no reference answer";

/// Scores one row by one metric. `k` is how much of a ranking counts, at least 1; metrics that look at no ranking ignore it.
pub fn score(metric: MetricId, row: &Row<'_>, k: usize) -> Score {
    let answer = |of: &dyn Fn(&str, &[String]) -> Score| match row.answer {
        Some(answer) => of(answer, row.references),
        None => Score::Unscored("the row has no answer".into()),
    };
    let ranked = |of: &dyn Fn(&Ranking, usize) -> Score| match ranking(row) {
        Ok(ranking) => of(&ranking, k),
        Err(reason) => Score::Unscored(reason.into()),
    };
    match metric {
        MetricId::ExactMatch => answer(&exact::exact_match),
        MetricId::ExactMatchNormalized => answer(&exact::exact_match_normalized),
        MetricId::TokenF1 => answer(&exact::token_f1),
        MetricId::Bleu => answer(&bleu::bleu),
        MetricId::Rouge1 => answer(&|a, r| rouge::rouge_n(a, r, 1, Tokens::Unicode)),
        MetricId::Rouge2 => answer(&|a, r| rouge::rouge_n(a, r, 2, Tokens::Unicode)),
        MetricId::RougeL => answer(&|a, r| rouge::rouge_l(a, r, Tokens::Unicode)),
        MetricId::Rouge1Ascii => answer(&|a, r| rouge::rouge_n(a, r, 1, Tokens::Ascii)),
        MetricId::Rouge2Ascii => answer(&|a, r| rouge::rouge_n(a, r, 2, Tokens::Ascii)),
        MetricId::RougeLAscii => answer(&|a, r| rouge::rouge_l(a, r, Tokens::Ascii)),
        MetricId::Chrf => answer(&chrf::chrf),
        MetricId::ContextPrecision => alike(row, contexts::context_precision),
        MetricId::ContextRecall => alike(row, contexts::context_recall),
        MetricId::PrecisionAtK => ranked(&retrieval::precision_at_k),
        MetricId::RecallAtK => ranked(&retrieval::recall_at_k),
        MetricId::HitAtK => ranked(&retrieval::hit_at_k),
        MetricId::Mrr => ranked(&retrieval::reciprocal_rank),
        MetricId::Map => ranked(&retrieval::average_precision),
        MetricId::Ndcg => ranked(&|r, k| retrieval::ndcg(r, k, Gain::Linear)),
        MetricId::NdcgExponential => ranked(&|r, k| retrieval::ndcg(r, k, Gain::Exponential)),
        MetricId::RefusalCorrect => answer(&|a, _| match row.answerable {
            Some(answerable) => refusal::refusal_correct(a, answerable),
            None => Score::Unscored("the row does not say whether it can be answered".into()),
        }),
        MetricId::FaithfulnessProxy => {
            answer(&|a, _| proxied(row, |near| proxy::faithfulness(row.question, a, row.contexts, near)))
        }
        MetricId::RelevancyProxy => answer(&|a, _| proxied(row, |near| proxy::relevancy(row.question, a, near))),
        MetricId::CitationValidity => answer(&|a, _| citation::citation_validity(a, row.contexts.len(), row.context_ids)),
    }
}

fn proxied(row: &Row<'_>, score: impl Fn(&dyn SentenceVectors) -> Result<f64, &'static str>) -> Score {
    let Some(Near(near)) = row.near else { return Score::Unscored("there are no vectors to compare by".into()) };
    score(near).map_or_else(|reason| Score::Unscored(reason.into()), Score::Scored)
}

fn alike(row: &Row<'_>, metric: fn(&contexts::Alike) -> Score) -> Score {
    match row.alike {
        Some(known) => metric(known),
        None => metric(&contexts::Alike::of(row.contexts, row.reference_contexts)),
    }
}

fn ranking(row: &Row<'_>) -> Result<Ranking, &'static str> {
    let ranking = Ranking::new(row.context_ids, row.reference_context_ids, row.relevance)?;
    if row.context_ids.is_empty() && !row.contexts.is_empty() {
        return Err("the retrieved contexts have no ids");
    }
    Ok(ranking)
}

/// The highest of the scores against each reference; unscored when there is no reference.
fn best_of(references: &[String], score: impl FnMut(&str) -> f64) -> Score {
    match references.iter().map(String::as_str).map(score).reduce(f64::max) {
        Some(best) => Score::Scored(best),
        None => Score::Unscored(NO_REFERENCE.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// How often each letter is there: vectors enough to tell equal texts from others.
    struct Letters;

    impl SentenceVectors for Letters {
        fn dimensions(&self) -> usize {
            26
        }

        fn sentence_vector(&self, sentence: &str, into: &mut [f32]) {
            into.fill(0.0);
            sentence.bytes().filter(u8::is_ascii_lowercase).for_each(|b| into[usize::from(b - b'a')] += 1.0);
            crate::seams::embedder::normalise(into);
        }
    }

    #[test]
    fn a_row_that_says_nothing_is_unscored_by_every_metric() {
        for metric in MetricId::ALL {
            let score = score(*metric, &Row::default(), 5);
            assert!(score.reason().is_some_and(|r| !r.is_empty()), "{metric}: {score:?}");
        }
        let answered = Row { answer: Some("yes"), ..Row::default() };
        for metric in MetricId::ALL {
            assert_eq!(score(*metric, &answered, 5).value(), None, "{metric}");
        }
    }

    #[test]
    fn a_perfect_row_has_the_highest_score_by_every_metric() {
        let (text, id) = (["30 days [doc-1]".to_owned()], ["doc-1".to_owned()]);
        let row = Row {
            answer: Some(&text[0]),
            references: &text,
            contexts: &text,
            reference_contexts: &text,
            context_ids: &id,
            reference_context_ids: &id,
            relevance: None,
            answerable: Some(true),
            alike: None,
            question: &text[0],
            near: Some(Near(&Letters)),
        };
        for metric in all() {
            let got = score(metric.id, &row, 1).value();
            assert!(got.is_some_and(|g| (g - metric.range.1).abs() < 1e-12), "{}: {got:?}", metric.name);
        }
    }

    #[test]
    fn a_ranking_without_ids_is_not_an_empty_ranking() {
        let (text, id) = (["some text".to_owned()], ["doc-1".to_owned()]);
        let row = Row { contexts: &text, reference_context_ids: &id, ..Row::default() };
        assert_eq!(score(MetricId::RecallAtK, &row, 5).reason(), Some("the retrieved contexts have no ids"));
        assert_eq!(score(MetricId::RecallAtK, &Row { contexts: &[], ..row }, 5), Score::Scored(0.0));
    }

    proptest! {
        #[test]
        fn any_text_has_a_score_within_the_range(answer in ".{0,60}", references in proptest::collection::vec(".{0,60}", 1..3)) {
            let row = Row {
                answer: Some(&answer),
                references: &references,
                contexts: &references,
                reference_contexts: std::slice::from_ref(&answer),
                answerable: Some(false),
                question: &references[0],
                near: Some(Near(&Letters)),
                ..Row::default()
            };
            for metric in all() {
                let (low, high) = metric.range;
                let got = score(metric.id, &row, 3);
                prop_assert!(got.value().is_none_or(|g| low <= g && g <= high + 1e-12), "{}: {:?}", metric.name, got);
            }
        }
    }
}
