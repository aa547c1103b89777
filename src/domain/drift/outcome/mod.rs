//! What columns say together: how often the model is right, whether its chances mean what they say, where it changed, and when.
//!
//! The way of it: [`reference()`] reads a table once more into [`Together`], which the baseline keeps; [`beside`] reads new data
//! likewise and lays it over that. Only numbers of rows are kept, none of the rows. Invariants: what broke upstream is never called a
//! change of the concept ([`Cause`]); what is not labelled yet is neither right nor wrong; slices are one family of tests of their
//! own and weigh as `monitor` at most, because they are many; streams and times are told and weigh nothing.

mod answers;
mod cells;
mod series;
mod sliced;
mod sum;

pub use answers::Answers;
pub use series::{Span, Stream, Turning};
pub use sliced::Loss;

use super::baseline::{Baseline, Kept, Selection};
use super::calibration::Calibration;
use super::change::Change;
use super::concept::ACCURACY;
use super::figures::Sides;
use super::policy::{Policy, Status};
use super::slices::Slice;
use super::verdict::Judgement;
use crate::base::error::{Context, Result};
use crate::base::name::words;
use crate::data::Table;
use serde::{Deserialize, Serialize};
use sliced::Cut;

words! {
    /// Why less is right than was.
    Cause, "cause" {
        /// Something broke before the model: nothing can be said of what is right.
        Upstream = "upstream",
        /// The data moved too, and the model may know too little of what came.
        Data = "data",
        /// Nothing else moved: what is right is another thing than it was.
        Concept = "concept",
    }
}

/// What a baseline keeps of columns together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Together {
    /// How often the model was right; absent without the two columns for it.
    pub answers: Option<Answers>,
    /// Rows by slice.
    cuts: Vec<Cut>,
    /// From when to when the rows are.
    pub times: Vec<Span>,
}

/// What a check says of columns together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The share of right answers, or for numbers the mean absolute error and the root mean squared error. The first is judged, a
    /// further one shown. Empty without the columns for it.
    pub accuracy: Vec<Change>,
    /// Why less is right, where less is.
    pub cause: Option<Cause>,
    /// Rows without a label or a prediction.
    pub unlabelled: Sides<u64>,
    /// Whether predicted chances come true; absent without a column of them.
    pub calibration: Option<Calibration>,
    /// How many slices were tested.
    pub sliced: usize,
    /// Slices in which a column moved most, the first most; at most [`SHOWN`].
    pub slices: Vec<Slice>,
    /// Slices that lost most of what was right; likewise.
    pub losses: Vec<Loss>,
    /// Where series changed.
    pub streams: Vec<Stream>,
    /// From when to when the rows are.
    pub times: Vec<Sides<Option<Span>>>,
}

/// What a history shows of answers.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Right {
    /// What it is.
    pub name: String,
    /// It in the new data of the check.
    pub current: Option<f64>,
    /// What was said.
    pub status: Status,
}

/// What a history shows of the answers of a check, read from its report without the rest of it.
///
/// # Errors
/// When it is no report of a check.
pub fn rights(report: &[u8]) -> Result<Vec<Right>> {
    #[derive(Deserialize)]
    struct Report {
        judgement: Judged,
    }
    #[derive(Deserialize)]
    struct Judged {
        outcome: Option<Rights>,
    }
    #[derive(Deserialize)]
    struct Rights {
        accuracy: Vec<Right>,
    }
    let report: Report = serde_json::from_slice(report).context(|| "the object is no report of a check")?;
    Ok(report.judgement.outcome.map(|outcome| outcome.accuracy).unwrap_or_default())
}

/// Slices that are told.
pub const SHOWN: usize = 10;

impl Outcome {
    /// True when there is nothing to tell.
    fn is_empty(&self) -> bool {
        self.accuracy.is_empty() && self.sliced == 0 && self.streams.is_empty() && self.times.is_empty()
    }

    /// What of it is about one column.
    #[must_use]
    pub fn of(self, column: &str) -> Self {
        let is = |name: &str| name == column;
        Self {
            slices: self.slices.into_iter().filter(|slice| is(&slice.target) || is(&slice.column)).collect(),
            losses: self.losses.into_iter().filter(|loss| is(&loss.column)).collect(),
            streams: self.streams.into_iter().filter(|stream| is(&stream.column)).collect(),
            times: self
                .times
                .into_iter()
                .filter(|s| s.current.as_ref().or(s.reference.as_ref()).is_some_and(|t| is(&t.column)))
                .collect(),
            ..Self::default()
        }
    }

    /// What is said of how often the model is right.
    pub fn accuracy(&self) -> Option<&Change> {
        self.accuracy.first()
    }

    /// The slices that moved or lost, each in words, the heaviest first.
    pub fn slice_words(&self) -> impl Iterator<Item = (Status, &str)> {
        let lost = self.losses.iter().map(|loss| (loss.change.status, loss.words.as_str()));
        let moved = self.slices.iter().map(|slice| (slice.status, slice.words.as_str()));
        lost.chain(moved).filter(|(status, _)| status.moved())
    }

    /// What is judged and what is shown of it, with the ones of numbers.
    pub fn changes(&self) -> impl Iterator<Item = &Change> {
        self.accuracy.iter().chain(self.calibration.iter().map(|calibration| &calibration.error))
    }
}

/// Reads the columns of a reference together; `columns` are those that it keeps.
///
/// # Errors
/// A usage error when `label`, `prediction`, `score` or `slices` name columns that say nothing together; when one cannot be read.
pub fn reference(table: &dyn Table, columns: &[Kept], selection: &Selection) -> Result<Together> {
    let read = answers::read(table, selection, None)?;
    let right = read.as_ref().and_then(|(_, rows)| rows.right());
    Ok(Together {
        cuts: sliced::reference(table, columns, selection, right)?,
        times: series::spans(table)?,
        answers: read.map(|(answers, _)| answers),
    })
}

/// Lays new data over a reference and adds what it says together to a judgement. What cannot be read is told, never an error.
#[must_use]
pub fn beside(
    baseline: &Baseline,
    table: &dyn Table,
    (selection, policy): (&Selection, &Policy),
    judgement: Judgement,
) -> Judgement {
    let together = &baseline.together;
    let mut outcome = Outcome::default();
    let mut rows = None;
    match answers::beside(together.answers.as_ref(), table, selection) {
        None => {}
        Some(Ok((before, now, read))) => {
            sum::answered(&mut outcome, (before, &now), &judgement, policy);
            rows = Some(read);
        }
        Some(Err(why)) => outcome.accuracy = vec![Change::open(ACCURACY, Sides::default(), why)],
    }
    sliced::beside(&together.cuts, (table, rows.as_ref().and_then(answers::Rows::right)), (&judgement, policy), &mut outcome);
    outcome.streams = series::streams(table, selection, rows.as_ref());
    outcome.times = series::times(&together.times, table);
    if outcome.is_empty() { judgement } else { sum::summed(judgement, outcome) }
}

#[cfg(test)]
mod tests;
