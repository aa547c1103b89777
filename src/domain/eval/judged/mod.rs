//! Metrics that a language model judges: requests out, verdicts in, scores from verdicts. No I/O here.
//!
//! The definitions are those of ragas 0.4.3 and of G-Eval (Liu et al. 2023), with rules of kf where these leave rows to chance:
//!
//! * A score exists only when every verdict that it needs was given, for exactly the ids that were asked about. What is missing or
//!   too many is told to the judge once; then the row is an error, as one is whose answer did not come. None is a number.
//! * An answer that declines is judged by itself: right when the row cannot be answered, wrong otherwise, by every metric that
//!   looks at what the answer says. Nothing is right or wrong that was not claimed.
//! * A reason stands before each verdict; contexts have numbers, and a verdict in favour must cite one that is there.
//! * All contexts, and all questions, are one request: five in place of eleven for the four usual metrics and five contexts.
//! * Of several judges the first takes texts apart, all give verdicts, the majority of those who answered counts, and a tie counts
//!   against; of whole scores the median counts.
//!
//! [`judge`] is a function of the row and of what was said so far: it gives the score, or what has to be asked before it is known.
//! Asking, in whatever order and from whatever cache, is somebody else's.

pub mod calibrate;
pub(in crate::domain) mod fence;
mod metrics;
pub mod name;
mod prompts;
mod read;
pub mod registry;
mod session;

pub use registry::{JudgedId, JudgedInfo, all, find, info};

use crate::base::digest::Digest;
use crate::seams::model::{FailureKind, Request};
use serde_json::Value;
use session::{Halt, Session};
use std::collections::HashMap;

/// What a row offers to a judge.
#[derive(Clone, Copy, Debug, Default)]
pub struct Case<'a> {
    /// What was asked.
    pub question: &'a str,
    /// What was answered; `None` when nothing was.
    pub answer: Option<&'a str>,
    /// What was retrieved, best first.
    pub contexts: &'a [String],
    /// Right answers, any of them will do.
    pub references: &'a [String],
    /// Whether the documents answer the question at all; a row that does not say so can be answered.
    pub answerable: Option<bool>,
    /// What a good answer to this very question does.
    pub rubric: Option<&'a str>,
}

/// How one judge draws its words.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drawing {
    /// Tokens that an answer may have.
    pub max_tokens: u32,
    /// How freely words are drawn.
    pub temperature: f64,
    /// For services that can draw the same again.
    pub seed: Option<u64>,
}

/// How rows are judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The judges, the leading one first; at least one.
    pub judges: Vec<Drawing>,
    /// True when the sentences of a text are its statements, and no judge takes it apart.
    pub sentences: bool,
    /// Questions that answer-relevancy makes; at least 1.
    pub questions: usize,
    /// What `rubric` asks for where the row says nothing of its own.
    pub rubric: Option<String>,
}

/// What has to be known before a score is.
#[derive(Clone, Debug, PartialEq)]
pub enum Need {
    /// What a judge says.
    Ask {
        /// Which judge.
        judge: usize,
        /// What it is asked.
        request: Box<Request>,
        /// [`Request::digest`] of it.
        key: Digest,
    },
    /// The vector of a text.
    Vector(String),
}

/// What a judge said, or why it said nothing.
pub type Reply = Result<Value, (FailureKind, String)>;

/// What is known so far.
#[derive(Debug, Default)]
pub struct Memo {
    /// By judge and [`Request::digest`].
    pub replies: HashMap<(usize, Digest), Reply>,
    /// Unit vectors by text, or why there is none.
    pub vectors: HashMap<String, Result<Vec<f32>, String>>,
}

/// What became of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Judged {
    /// It has a score within the range of its metric.
    Scored(f64),
    /// There is nothing to score; a clause.
    Unscored(String),
    /// Asking failed, or the judge gave no answer that can be used; a clause.
    Error(String),
}

impl Judged {
    /// The score, where there is one.
    pub fn value(&self) -> Option<f64> {
        if let Self::Scored(value) = self { Some(*value) } else { None }
    }
}

/// How judges agreed on a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Verdicts and scores that were asked of more than one judge.
    pub asked: usize,
    /// Those that they were not of one mind about.
    pub split: usize,
    /// Judges who gave no answer that counts, over all requests.
    pub absent: usize,
}

/// Judges a row by a metric, for the `sample`-th time from 0.
///
/// # Errors
/// What has to be asked first, at least one thing.
pub fn judge(
    metric: JudgedId,
    case: &Case<'_>,
    settings: &Settings,
    sample: u32,
    memo: &Memo,
) -> Result<(Judged, Tally), Vec<Need>> {
    judge_and_tell(metric, case, settings, sample, memo).map(|(judged, tally, _)| (judged, tally))
}

/// Answers that could not be used, by judge and [`Request::digest`].
pub type Useless = Vec<(usize, Digest)>;

/// The same with the answers that could not be used.
///
/// # Errors
/// As [`judge`].
pub fn judge_and_tell(
    metric: JudgedId,
    case: &Case<'_>,
    settings: &Settings,
    sample: u32,
    memo: &Memo,
) -> Result<(Judged, Tally, Useless), Vec<Need>> {
    let mut session = Session::new(case, settings, sample, memo);
    let judged = match metrics::score(metric, &mut session) {
        // SQLite keeps no negative zero, and the digest that seals the rows must be that of what is read back.
        Ok(value) => Judged::Scored(value.clamp(0.0, 1.0) + 0.0),
        Err(Halt::Wait) => return Err(session.needs),
        Err(Halt::Unscored(why)) => Judged::Unscored(why),
        Err(Halt::Error(why)) => Judged::Error(why),
    };
    Ok((judged, session.tally, session.useless))
}

#[cfg(test)]
mod tests;
