//! The judged metrics: name, direction, what each needs of a row, and its definition.

use crate::base::name::words;
use crate::domain::eval::metrics::Direction;

words! {
    /// A metric that a language model judges.
    JudgedId, "judged metric" {
        /// Share of the answer's statements that follow from the contexts.
        Faithfulness = "faithfulness",
        /// One less faithfulness.
        Hallucination = "hallucination",
        /// How near questions made of the answer are to the one that was asked.
        AnswerRelevancy = "answer-relevancy",
        /// Average precision of the contexts by usefulness.
        ContextPrecision = "llm-context-precision",
        /// Share of the reference's statements that follow from the contexts.
        ContextRecall = "llm-context-recall",
        /// F1 of statements and nearness of meaning.
        AnswerCorrectness = "answer-correctness",
        /// F1 of claims checked both ways.
        FactualCorrectness = "factual-correctness",
        /// Wrong statements that come from relevant contexts.
        NoiseSensitivity = "noise-sensitivity",
        /// Wrong statements that come from irrelevant contexts only.
        NoiseSensitivityIrrelevant = "noise-sensitivity-irrelevant",
        /// Entities of the reference in the contexts.
        ContextEntityRecall = "context-entity-recall",
        /// A score for criteria in words.
        Rubric = "rubric",
    }
}

/// What is to be known of a judged metric before using it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JudgedInfo {
    /// What [`super::judge`] takes.
    pub id: JudgedId,
    /// The name in configuration and reports.
    pub name: &'static str,
    /// Which way it improves.
    pub direction: Direction,
    /// Requests for a row with one reference and one judge, when nothing is asked again.
    pub calls: u32,
    /// True when it rests on vectors too.
    pub vectors: bool,
    /// One line: what is computed, and whose definition it is.
    pub definition: &'static str,
}

/// Every judged metric lies between these.
pub const RANGE: (f64, f64) = (0.0, 1.0);

/// Every judged metric, in the order of reports.
pub fn all() -> &'static [JudgedInfo] {
    ALL
}

/// The judged metric of a name.
pub fn find(name: &str) -> Option<&'static JudgedInfo> {
    ALL.iter().find(|m| m.name == name)
}

/// What is to be known of a judged metric.
pub fn info(id: JudgedId) -> &'static JudgedInfo {
    ALL.iter().find(|m| m.id == id).expect("the test below holds the list to be complete")
}

const fn metric(id: JudgedId, calls: u32, definition: &'static str) -> JudgedInfo {
    JudgedInfo { id, name: id.word(), direction: Direction::HigherIsBetter, calls, vectors: false, definition }
}

const fn with_vectors(id: JudgedId, calls: u32, definition: &'static str) -> JudgedInfo {
    JudgedInfo { vectors: true, ..metric(id, calls, definition) }
}

const fn lower(id: JudgedId, calls: u32, definition: &'static str) -> JudgedInfo {
    JudgedInfo { direction: Direction::LowerIsBetter, ..metric(id, calls, definition) }
}

const ALL: &[JudgedInfo] = &[
    metric(JudgedId::Faithfulness, 2, "statements of the answer that follow from the contexts / its statements (ragas)"),
    lower(JudgedId::Hallucination, 2, "1 − faithfulness, from the same verdicts; less is better"),
    with_vectors(
        JudgedId::AnswerRelevancy,
        1,
        "mean cosine of the question and n questions that the answer would answer, 0 if it commits to nothing (ragas)",
    ),
    metric(
        JudgedId::ContextPrecision,
        1,
        "average precision over the ranks of the contexts that are useful for the reference, else for the answer (ragas)",
    ),
    metric(JudgedId::ContextRecall, 1, "statements of the reference that the contexts hold / its statements (ragas)"),
    with_vectors(
        JudgedId::AnswerCorrectness,
        3,
        "0.75 × F1 of the statements of answer and reference + 0.25 × cosine of both texts (ragas)",
    ),
    metric(JudgedId::FactualCorrectness, 4, "F1 of claims: those of the answer checked against the reference, and back (ragas)"),
    lower(
        JudgedId::NoiseSensitivity,
        5,
        "wrong statements of the answer that follow from a relevant context / its statements; less is better (ragas)",
    ),
    lower(
        JudgedId::NoiseSensitivityIrrelevant,
        5,
        "wrong statements that follow from irrelevant contexts only / its statements; less is better (ragas)",
    ),
    metric(JudgedId::ContextEntityRecall, 2, "entities of the reference that the contexts name / its entities (ragas)"),
    metric(JudgedId::Rubric, 1, "what the judge gives for `judge.rubric`, 0 to 10, / 10 (after G-Eval, Liu et al. 2023)"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::eval::metrics;

    #[test]
    fn every_judged_metric_is_listed_once_under_a_name_of_its_own() {
        assert_eq!(all().iter().map(|m| m.id).collect::<Vec<_>>(), JudgedId::ALL);
        for metric in all() {
            assert_eq!((find(metric.name), info(metric.id)), (Some(metric), metric));
            assert_eq!(metrics::find(metric.name), None, "{}", metric.name);
        }
    }
}
