//! What is said of answers, and what it adds to a judgement.

use super::answers::{Answers, Truth};
use super::{Cause, Outcome};
use crate::base::text::group;
use crate::domain::drift::calibration::{Calibration, calibration};
use crate::domain::drift::change::Change;
use crate::domain::drift::concept::{self, ABSOLUTE, SQUARED, Tally};
use crate::domain::drift::figures::{Role, Sides};
use crate::domain::drift::policy::{Policy, Status};
use crate::domain::drift::upstream::{Part, What};
use crate::domain::drift::verdict::{Judgement, least_rows};
use crate::domain::drift::why::{level, rows_of};
use crate::stats::moments::Moments;

/// Draws are always the same.
const SEED: u64 = 20_261_121;
/// Columns that are named as what moved too.
const NAMED: usize = 3;

/// How right the answers of both sides are, and whether their chances come true.
pub(super) fn answered(outcome: &mut Outcome, (before, now): (&Answers, &Answers), judgement: &Judgement, policy: &Policy) {
    let names = [before.label.as_str(), before.prediction.as_str()];
    outcome.unlabelled = Sides::new(before.unknown(), now.unknown());
    let late = match outcome.unlabelled.current {
        0 => String::new(),
        rows => {
            format!("; {} of the new rows have no label or no prediction", group(usize::try_from(rows).unwrap_or(usize::MAX)))
        }
    };
    let all: Vec<Change> = right(&before.truth, &now.truth, policy).into_iter().map(|change| enough(change, policy)).collect();
    let moved = all.first().is_some_and(|change| change.status.moved());
    let told = |change: Change| {
        let change = concept::after(change, &judgement.findings, &names);
        Change { why: format!("{}{late}", change.why), ..change }
    };
    outcome.accuracy = all.into_iter().map(told).collect();
    outcome.cause = outcome.accuracy().filter(|_| moved).map(|change| cause(change, judgement));
    if let Some((r, c)) = before.reliability.as_ref().zip(now.reliability.as_ref()) {
        let Calibration { sides, error } = calibration(r, c, SEED, policy);
        outcome.calibration = Some(Calibration { sides, error: concept::after(error, &judgement.findings, &names) });
    }
}

fn right(before: &Truth, now: &Truth, policy: &Policy) -> Vec<Change> {
    match (before, now) {
        (Truth::Classes(r), Truth::Classes(c)) => {
            let part = |tally: &Tally| Part { rows: tally.correct, of: tally.rows };
            vec![concept::accuracy(part(r), part(c), policy)]
        }
        (Truth::Numbers(r), Truth::Numbers(c)) => {
            let errors = |name: &str, sides: [Option<&Moments>; 2], squared| match sides {
                [Some(r), Some(c)] => concept::errors(r, c, squared, policy),
                [r, c] => {
                    let n = Sides::new(r, c).map(|side| side.map_or(0, |moments| moments.rows));
                    Change::open(name, n, format!("{} have a label and a prediction", rows_of(n)))
                }
            };
            let absolute = errors(ABSOLUTE, [r.absolute.as_ref(), c.absolute.as_ref()], false);
            vec![absolute, errors(SQUARED, [r.squared.as_ref(), c.squared.as_ref()], true)]
        }
        _ => Vec::new(),
    }
}

/// The same, or that there are too few rows.
fn enough(change: Change, policy: &Policy) -> Change {
    let least = least_rows(policy);
    if change.n.reference.min(change.n.current) >= least || change.status == Status::Inconclusive {
        return change;
    }
    let why = format!("{}; {} have a label and a prediction, {least} are the least", change.why, rows_of(change.n));
    Change { status: Status::Inconclusive, needed: Some(change.n.map(|rows| rows.max(least))), why, ..change }
}

/// Why less is right, of a change that moved before what broke upstream was known.
fn cause(change: &Change, judgement: &Judgement) -> Cause {
    match change.status {
        Status::Inconclusive => Cause::Upstream,
        _ if moved_too(judgement).next().is_some() => Cause::Data,
        _ => Cause::Concept,
    }
}

/// The columns that the model sees and that moved far, by their values or by what is rare in the reference.
fn moved_too(judgement: &Judgement) -> impl Iterator<Item = &str> {
    let heavy = |status: Option<Status>| status.is_some_and(|status| status >= Status::Warning);
    let findings = move |name: &str| {
        let elsewhere = |what| matches!(what, What::Range | What::Unseen | What::Cardinality);
        judgement.findings.iter().any(|f| f.column.as_deref() == Some(name) && elsewhere(f.what) && heavy(Some(f.status)))
    };
    let seen = judgement.columns.iter().filter(|column| column.role == Role::Feature && !column.broken);
    seen.filter(move |column| heavy(column.band) || findings(&column.name)).map(|column| column.name.as_str())
}

/// The judgement with what columns say together.
pub(super) fn summed(judgement: Judgement, outcome: Outcome) -> Judgement {
    let accuracy = outcome.accuracy().map(|change| change.status);
    let calibration = outcome.calibration.as_ref().map(|calibration| calibration.error.status);
    let slices = outcome.slice_words().map(|(status, _)| status.min(Status::Monitor));
    let status = Status::heaviest([judgement.status].into_iter().chain(accuracy).chain(calibration).chain(slices));
    let reason = std::iter::once(judgement.reason.clone()).chain(said(&outcome, &judgement)).collect::<Vec<_>>().join("; ");
    Judgement { status, reason, accuracy, outcome: Some(Box::new(outcome)), ..judgement }
}

/// What the reason of a check says of it.
fn said(outcome: &Outcome, judgement: &Judgement) -> Vec<String> {
    let mut parts = Vec::new();
    if let Some(change) = outcome.accuracy() {
        let name = &change.name;
        parts.extend(match (change.status, outcome.cause) {
            (_, Some(Cause::Upstream)) => Some(format!("{name} cannot be judged before that is mended")),
            (Status::Inconclusive, _) => Some(format!("{name} cannot be decided yet")),
            (_, Some(Cause::Data)) => {
                let moved: Vec<String> = moved_too(judgement).take(NAMED).map(level).collect();
                Some(format!("{}; the data moved too: {}", change.why, moved.join(", ")))
            }
            (_, Some(Cause::Concept)) => Some(format!("concept drift, for what the model sees did not move: {}", change.why)),
            (_, None) => None,
        });
    }
    // Fewer right answers make chances wrong too.
    let also = outcome.cause.is_none();
    if let Some(calibration) = outcome.calibration.as_ref().filter(|calibration| also && calibration.error.status.moved()) {
        parts.push(format!("{}: {}", calibration.error.name, calibration.error.why));
    }
    let slices: Vec<&str> = outcome.slice_words().map(|(_, words)| words).collect();
    if let Some(first) = slices.first() {
        let more = slices.len() - 1;
        parts.push(if more > 0 { format!("{first} (and {more} more)") } else { (*first).to_owned() });
    }
    parts
}
