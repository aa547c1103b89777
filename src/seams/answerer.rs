//! How a version answers questions: the one seam between an evaluation and the system it evaluates.
//!
//! Invariants of every implementation: each question gets exactly one [`Answered`], in any order, on the caller's thread;
//! a question that could not be answered carries the reason and never an empty answer; how many are asked at once is
//! bounded inside. Answers that were given out stay given out when a later error ends the work.

use crate::base::error::{Error, Result};
use crate::base::quantity::MicroUsd;
use crate::base::time::Timestamp;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::fmt;

/// Why a system cannot be trusted with anything that it said in this run: it does not answer as is agreed. The cause of an error,
/// found with [`Error::cause`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untrusted(pub String);

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Untrusted {}

/// A question of a golden dataset.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Question {
    /// Unique among the questions of one call.
    pub id: String,
    /// The text that a user would type.
    pub question: String,
    /// Contexts to answer from instead of retrieving; `None` leaves retrieval to the system.
    pub contexts: Option<Vec<String>>,
    /// What else the dataset says of the row; passed on unchanged.
    pub meta: Map<String, Value>,
    /// Which of several answers to the same question it is, from 0. Systems are not told; it keeps repeats apart.
    pub sample: u32,
}

/// What an answer was that nobody was asked for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// When it was given; `None` when nobody wrote that down.
    pub at: Option<Timestamp>,
}

/// Tokens that an answer took, as the system stated them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Read by the model.
    pub input: Option<u64>,
    /// Written by the model.
    pub output: Option<u64>,
}

/// An answer with what it was made from. `None` is unknown, which is not zero.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// The text.
    pub text: String,
    /// The retrieved contexts, best first.
    pub contexts: Option<Vec<String>>,
    /// Identifiers of the retrieved contexts, best first.
    pub context_ids: Option<Vec<String>>,
    /// From question to answer, in milliseconds.
    pub latency_ms: Option<f64>,
    /// What the answer cost.
    pub cost: Option<MicroUsd>,
    /// Tokens used.
    pub tokens: Tokens,
    /// Set when it was given in an earlier run: its time and its cost are those of then.
    pub kept: Option<Kept>,
}

/// What became of a question.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// The question's id.
    pub id: String,
    /// The answer, or why there is none.
    pub outcome: Result<Answer, String>,
}

/// Something that answers questions.
pub trait Answerer {
    /// Answers all questions; `each` takes them as they come. Its first error ends the work and is returned.
    ///
    /// # Errors
    /// When the system cannot be asked at all or does not keep to its protocol; trouble with one question is its outcome.
    fn answer(&self, questions: &[Question], each: &mut dyn FnMut(Answered) -> Result<()>) -> Result<()>;

    /// The word in `system.kind` that chooses this one.
    fn kind(&self) -> &'static str;
}

/// Where each question stands, by its id.
///
/// # Errors
/// When two questions have the same id, whose answers could not be told apart.
pub fn index(questions: &[Question]) -> Result<HashMap<&str, usize>> {
    let mut found = HashMap::with_capacity(questions.len());
    for (i, q) in questions.iter().enumerate() {
        if found.insert(q.id.as_str(), i).is_some() {
            return Err(
                Error::new(format!("two questions have the id `{}`", q.id)).hint("give every row of the dataset its own id")
            );
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique() {
        let q = |id: &str| Question { id: id.into(), ..Question::default() };
        assert_eq!(index(&[q("a"), q("b")]).expect("unique").get("b"), Some(&1));
        assert!(index(&[q("a"), q("a")]).expect_err("twice").to_string().contains("two questions have the id `a`"));
    }
}
