//! The figures of two columns of texts. No thresholds.

use super::classifier::{Classifier, classifier};
use super::{Descriptor, TextProfile};
use crate::domain::drift::compare::{Numbers, numbers};
use crate::stats::contingency::{Proportions, proportions};

/// All that is told of two columns of texts.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// The share of nulls; `None` when a side has no rows.
    pub nulls: Option<Proportions>,
    /// The share of texts that are empty, nulls left out; `None` when a side has no others.
    pub empty: Option<Proportions>,
    /// Each descriptor as a numeric column.
    pub descriptors: Vec<(Descriptor, Numbers)>,
    /// Whether anything tells the texts apart; `None` with too few on a side.
    pub classifier: Option<Classifier>,
}

/// Compares two columns of texts. `None` when the current one was not counted with the words of the reference.
pub fn compare(reference: &TextProfile, current: &TextProfile) -> Option<Figures> {
    reference.fits(current).then_some(())?;
    let one = |which: &Descriptor| Some((*which, numbers(reference.column(*which), current.column(*which))?));
    let share = |of: fn(&TextProfile) -> (u64, u64)| proportions(of(reference), of(current));
    Some(Figures {
        nulls: share(|side| (side.nulls(), side.rows())),
        empty: share(|side| (side.empty(), side.rows() - side.nulls())),
        descriptors: Descriptor::ALL.iter().map(one).collect::<Option<_>>()?,
        classifier: classifier(reference.sample(), current.sample(), reference.seed()),
    })
}
