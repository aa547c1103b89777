//! Labels, predictions and the chances that predictions give themselves, row by row and in sum.
//!
//! Words are right when they are the same to the letter; whole numbers of few values are words. Other numbers are never just right:
//! of them it is kept how far they are off. What the columns are is decided on the reference and holds for new data.

use super::cells::{NONE, at_of, numbers};
use crate::base::error::{Error, Result};
use crate::base::text::{count, visible};
use crate::config::ColumnKind;
use crate::data::{Column, Kind, Table};
use crate::domain::drift::baseline::Selection;
use crate::domain::drift::calibration::Reliability;
use crate::domain::drift::concept::Tally;
use crate::domain::drift::profile::exact;
use crate::domain::drift::read::words;
use crate::domain::drift::why::{about, percent, share};
use crate::stats::moments::Moments;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};

/// Whole numbers of at most so many values are classes.
const CLASSES_MAX: usize = 20;

/// How a model answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answers {
    /// The column of what would have been right.
    pub label: String,
    /// The column of what was said.
    pub prediction: String,
    /// The column of the chance that the prediction gave itself.
    pub score: Option<String>,
    /// Held against each other.
    pub truth: Truth,
    /// What came of the chances.
    pub reliability: Option<Reliability>,
}

/// Predictions held against labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Truth {
    /// How many are the same.
    Classes(Tally),
    /// How far numbers are off.
    Numbers(Errors),
}

/// How far predicted numbers are off, in their unit and in its square.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Errors {
    /// Of absolute errors; absent without rows.
    #[serde(with = "exact::moments")]
    pub absolute: Option<Moments>,
    /// Of squared errors.
    #[serde(with = "exact::moments")]
    pub squared: Option<Moments>,
    /// Rows whose label or prediction is no number.
    pub unknown: u64,
}

/// What came of each row.
pub(super) enum Rows {
    /// 1 for a right answer, 0 for a wrong one, [`NONE`] for an unknown one.
    Classes(Vec<u8>),
    /// By how much a number is off.
    Numbers(Vec<Option<f64>>),
}

impl Rows {
    /// Right and wrong of classes.
    pub(super) fn right(&self) -> Option<&[u8]> {
        match self {
            Self::Classes(right) => Some(right),
            Self::Numbers(_) => None,
        }
    }

    /// What [`Self::errors`] are, in words.
    pub(super) fn errors_are(&self) -> &'static str {
        match self {
            Self::Classes(_) => "wrong answers",
            Self::Numbers(_) => "absolute errors",
        }
    }

    /// What is to be small: 1 for a wrong answer, or the absolute error.
    pub(super) fn errors(&self) -> Vec<Option<f64>> {
        match self {
            Self::Classes(right) => right.iter().map(|right| (*right != NONE).then(|| f64::from(1 - *right))).collect(),
            Self::Numbers(off) => off.iter().map(|off| off.map(f64::abs)).collect(),
        }
    }
}

impl Answers {
    /// Rows whose label or prediction is not there.
    pub fn unknown(&self) -> u64 {
        match &self.truth {
            Truth::Classes(tally) => tally.unknown,
            Truth::Numbers(errors) => errors.unknown,
        }
    }

    /// In one sentence.
    pub fn words(&self) -> String {
        let rows = |n: u64| count(usize::try_from(n).unwrap_or(usize::MAX), "labelled row");
        let (said, of) = match &self.truth {
            Truth::Classes(tally) => {
                (format!("{} of predictions are right", percent(share(tally.correct, tally.rows))), tally.rows)
            }
            Truth::Numbers(Errors { absolute, .. }) => {
                let off = absolute.map_or_else(|| "unknown".to_owned(), |m| about(m.mean));
                (format!("the mean absolute error of predictions is {off}"), absolute.map_or(0, |m| m.rows))
            }
        };
        let chances = self.reliability.as_ref().and_then(Reliability::error);
        let chances = chances.map(|error| format!("; their calibration error is {}", about(error))).unwrap_or_default();
        let missing = if self.unknown() > 0 { format!(", {} without", self.unknown()) } else { String::new() };
        format!("{said} ({}{missing}){chances}", rows(of))
    }

    /// What makes one doubt that the right columns are named.
    pub fn doubt(&self) -> Option<String> {
        let Truth::Classes(tally) = &self.truth else { return None };
        (tally.rows > 0 && tally.correct == 0).then(|| {
            let (prediction, label) = (visible(&self.prediction, 60), visible(&self.label, 60));
            format!("no `{prediction}` is the `{label}` of its row: are these the right columns?")
        })
    }
}

/// Reads the answers of a table; `None` without the columns for it. `numeric_before`: how they were read in the reference.
///
/// # Errors
/// A usage error when they cannot be held against each other; when one cannot be read.
pub(super) fn read(table: &dyn Table, selection: &Selection, numeric_before: Option<bool>) -> Result<Option<(Answers, Rows)>> {
    let Some((label, prediction)) = selection.label.as_deref().zip(selection.prediction.as_deref()) else { return Ok(None) };
    let at = |name: &str| at_of(table, name).ok_or_else(|| Error::new(format!("there is no column `{}`", visible(name, 60))));
    let places = (at(label)?, at(prediction)?);
    let numeric = match numeric_before {
        Some(numeric) => numeric,
        None => numbers_of(table, places, selection)?,
    };
    let rows = if numeric { off(table, places)? } else { right(table, places)? };
    let truth = truth(&rows);
    let scored = selection.score.as_deref().map(|score| reliability(table, at(score)?, &rows));
    if let (Some(_), Truth::Numbers(_)) = (&scored, &truth) {
        return Err(Error::usage("`score` is a chance of being right, and predicted numbers are never just right")
            .hint("take `score` out, or set `kinds` of the label to `category`"));
    }
    let answers = Answers {
        label: label.to_owned(),
        prediction: prediction.to_owned(),
        score: selection.score.clone(),
        truth,
        reliability: scored.transpose()?,
    };
    if numeric_before.is_none()
        && let (Some(score), Some(reliability)) = (&answers.score, &answers.reliability)
        && reliability.rows() == 0
    {
        return Err(Error::usage(format!("no labelled row has a `{}` from 0 to 1", visible(score, 60)))
            .hint("`score` is the chance that the prediction gives itself; percents are a hundred times that"));
    }
    Ok(Some((answers, rows)))
}

/// The answers of the reference and of new data, and the rows of these.
pub(super) type Both<'a> = (&'a Answers, Answers, Rows);

/// Both sides; says why when new data cannot be read as the reference was. `None` when nothing was asked for.
pub(super) fn beside<'a>(
    kept: Option<&'a Answers>,
    table: &dyn Table,
    selection: &Selection,
) -> Option<Result<Both<'a>, String>> {
    let (label, prediction) = selection.label.as_deref().zip(selection.prediction.as_deref())?;
    let same = |kept: &&Answers| kept.label == label && kept.prediction == prediction && kept.score == selection.score;
    let Some(kept) = kept.filter(same) else {
        return Some(Err("the baseline was taken without these `label`, `prediction` and `score`: take it again".to_owned()));
    };
    if at_of(table, label).is_none() {
        return Some(Err(format!("the new data have no `{}` yet", visible(label, 60))));
    }
    match read(table, selection, Some(matches!(kept.truth, Truth::Numbers(_)))) {
        Ok(Some((now, rows))) => Some(Ok((kept, now, rows))),
        Ok(None) => None,
        Err(e) => Some(Err(e.to_string())),
    }
}

/// Whether labels and predictions are numbers that are off by something, rather than classes.
fn numbers_of(table: &dyn Table, (label, prediction): (usize, usize), selection: &Selection) -> Result<bool> {
    let columns = [&table.columns()[label], &table.columns()[prediction]];
    let is_number = |c: &&Column| matches!(c.kind, Kind::Integer | Kind::Number);
    if let Some(other) = columns.iter().find(|c| matches!(c.kind, Kind::Vector { .. } | Kind::Time)) {
        return Err(Error::usage(format!("the column `{}` holds neither words nor numbers", visible(&other.name, 60)))
            .hint("`label` and `prediction` are columns of classes, or of numbers"));
    }
    match columns.iter().filter(|c| is_number(c)).count() {
        0 => return Ok(false),
        1 => return mixed(table, (label, prediction)).map(|()| false),
        _ => {}
    }
    let said = |kind: ColumnKind| columns.iter().any(|c| selection.kinds.get(&c.name).is_some_and(|k| k == kind.word()));
    if said(ColumnKind::Category) || said(ColumnKind::Number) {
        return Ok(!said(ColumnKind::Category));
    }
    let mut values = HashSet::new();
    words(table, label, &mut |cell| {
        if let Some(cell) = cell.filter(|_| values.len() <= CLASSES_MAX) {
            values.insert(cell.to_owned());
        }
    })?;
    Ok(values.len() > CLASSES_MAX || columns.iter().any(|c| c.kind != Kind::Integer))
}

/// Words and numbers can be held against each other only where some are written alike.
fn mixed(table: &dyn Table, places: (usize, usize)) -> Result<()> {
    let Rows::Classes(right) = right(table, places)? else { return Ok(()) };
    if right.contains(&1) {
        return Ok(());
    }
    Err(Error::usage("one of `label` and `prediction` holds numbers and the other words, and none are alike")
        .hint("name the column of the predicted class; a predicted chance is `score`"))
}

fn right(table: &dyn Table, (label, prediction): (usize, usize)) -> Result<Rows> {
    const ABSENT: u32 = 0;
    let mut known: HashMap<Box<str>, u32> = HashMap::new();
    let mut labels: Vec<u32> = Vec::new();
    words(table, label, &mut |cell| {
        let next = u32::try_from(known.len() + 1).unwrap_or(u32::MAX);
        labels.push(cell.map_or(ABSENT, |cell| match known.get(cell) {
            Some(code) => *code,
            None => *known.entry(cell.into()).or_insert(next),
        }));
    })?;
    let mut right = Vec::with_capacity(labels.len());
    words(table, prediction, &mut |cell| {
        let label = labels.get(right.len()).copied().unwrap_or(ABSENT);
        right.push(match cell {
            Some(cell) if label != ABSENT => u8::from(known.get(cell) == Some(&label)),
            _ => NONE,
        });
    })?;
    Ok(Rows::Classes(right))
}

fn off(table: &dyn Table, (label, prediction): (usize, usize)) -> Result<Rows> {
    let (labels, predictions) = (numbers(table, label)?, numbers(table, prediction)?);
    let off = |(label, prediction): (Option<f64>, Option<f64>)| {
        label.zip(prediction).map(|(label, prediction)| prediction - label).filter(|off| off.is_finite())
    };
    Ok(Rows::Numbers(labels.into_iter().zip(predictions).map(off).collect()))
}

fn truth(rows: &Rows) -> Truth {
    match rows {
        Rows::Classes(right) => {
            let of = |what: u8| right.iter().filter(|right| **right == what).count() as u64;
            Truth::Classes(Tally { correct: of(1), rows: of(0) + of(1), unknown: of(NONE) })
        }
        Rows::Numbers(off) => {
            let absolute: Vec<f64> = off.iter().flatten().map(|off| off.abs()).collect();
            let squared: Vec<f64> = absolute.iter().map(|off| off * off).collect();
            Truth::Numbers(Errors {
                unknown: (off.len() - absolute.len()) as u64,
                absolute: Moments::of(&absolute),
                squared: Moments::of(&squared),
            })
        }
    }
}

fn reliability(table: &dyn Table, score: usize, rows: &Rows) -> Result<Reliability> {
    let mut reliability = Reliability::default();
    for (chance, right) in numbers(table, score)?.into_iter().zip(rows.right().unwrap_or_default()) {
        if *right != NONE {
            // What is no number is no chance either.
            reliability.add(chance.unwrap_or(f64::NAN), *right == 1);
        }
    }
    Ok(reliability)
}
