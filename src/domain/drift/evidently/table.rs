//! Two tables as Evidently compares them when nothing is configured: what it takes each column for, and the score of its default.
//!
//! The type of a column is that of the new data as pandas reads them (`infer_column_type` of `evidently/core/datasets.py`): whole
//! numbers without holes and with at most ten values are levels, texts of which more than half differ are written language. What it
//! scores with random draws or not at all is told and not scored.

use super::{Method, by_value, distinct, levels, numbers};
use crate::base::error::Result;
use crate::base::name::words;
use crate::data::{Column, Kind, Table};
use crate::domain::drift::levels::Levels;
use crate::domain::drift::read;
use crate::stats::ordered::Ordered;
use std::collections::BTreeMap;

/// Whole numbers with at most so many values are levels.
const FEW_WHOLE: usize = 10;

words! {
    /// What Evidently takes a column for.
    Taken, "type of column" {
        /// Numbers.
        Numbers = "num",
        /// Levels.
        Levels = "cat",
    }
}

/// What Evidently says of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// Its score.
    Score {
        /// What it takes the column for.
        taken: Taken,
        /// How it is scored.
        method: Method,
        /// The score: a p-value or a distance.
        score: f64,
    },
    /// None, and why.
    Nothing(String),
}

/// Scores a column of the new data; `said` is the kind that somebody said of it (`number`, `category`, …).
///
/// # Errors
/// When a column cannot be read.
pub fn column(name: &str, reference: &dyn Table, current: &dyn Table, said: Option<&str>) -> Result<Said> {
    let at = |table: &dyn Table| table.columns().iter().position(|column| column.name == name);
    let (Some(before), Some(now)) = (at(reference), at(current)) else {
        return Ok(Said::Nothing("it is not in both".to_owned()));
    };
    let column = &current.columns()[now];
    match (column.kind, said) {
        (_, Some("text" | "embedding")) | (Kind::Vector { .. }, _) => {
            Ok(Said::Nothing("it is scored with random draws".to_owned()))
        }
        (Kind::Time, _) => Ok(Said::Nothing("times are not scored".to_owned())),
        (Kind::Integer | Kind::Number, Some("category")) | (Kind::Boolean | Kind::Text, _) => {
            words(column, (reference, before), (current, now), said)
        }
        (Kind::Integer | Kind::Number, _) => values((reference, before), (current, now), said),
    }
}

/// A column of numbers.
fn values(reference: (&dyn Table, usize), current: (&dyn Table, usize), said: Option<&str>) -> Result<Said> {
    if !is_numeric(&reference.0.columns()[reference.1]) {
        return Ok(Said::Nothing("the reference has no numbers there".to_owned()));
    }
    let (before, whole_before) = sample(reference)?;
    let (now, whole) = sample(current)?;
    let (Some(before), Some(now)) = (before, now) else { return Ok(empty()) };
    if whole && now.points().len() <= FEW_WHOLE && said.is_none() {
        let (r, c): (Vec<u64>, Vec<u64>) = by_value(&before, &now).into_iter().unzip();
        let method = Method::of_levels(before.rows(), r.len());
        return Ok(scored(Taken::Levels, method, levels(method, &r, &c)));
    }
    let method = Method::of_numbers(before.rows(), distinct(&before, &now));
    Ok(scored(Taken::Numbers, method, numbers(method, &before, &now, whole && whole_before)))
}

/// The finite numbers of a column, and whether all of its rows hold a whole one, as an integer column of pandas does.
fn sample((table, at): (&dyn Table, usize)) -> Result<(Option<Ordered>, bool)> {
    let cells = read::cells(table, at)?;
    let finite: Vec<f64> = cells.iter().flatten().copied().filter(|value| value.is_finite()).collect();
    let whole = table.columns()[at].kind == Kind::Integer && finite.len() == cells.len();
    Ok((Ordered::of(finite), whole))
}

/// A column of words.
fn words(column: &Column, reference: (&dyn Table, usize), current: (&dyn Table, usize), said: Option<&str>) -> Result<Said> {
    if matches!(reference.0.columns()[reference.1].kind, Kind::Vector { .. }) {
        return Ok(Said::Nothing("the reference has no levels there".to_owned()));
    }
    let (before, now) = (read::levels(reference.0, reference.1)?, read::levels(current.0, current.1)?);
    if before.slack() > 0 || now.slack() > 0 {
        return Ok(Said::Nothing("it has too many levels".to_owned()));
    }
    if column.kind == Kind::Boolean && now.nulls() > 0 && said.is_none() {
        return Ok(Said::Nothing("booleans with holes have no type there".to_owned()));
    }
    if said.is_none() && column.kind == Kind::Text && now.counts().len() as u64 > now.rows() / 2 {
        return Ok(Said::Nothing("it is written language there, which is scored with random draws".to_owned()));
    }
    if before.rows() == 0 || now.rows() == 0 {
        return Ok(empty());
    }
    let (r, c) = both(&before, &now);
    let method = Method::of_levels(before.rows(), r.len());
    Ok(scored(Taken::Levels, method, levels(method, &r, &c)))
}

/// The rows of every level on both sides, in the order of the levels.
fn both(reference: &Levels, current: &Levels) -> (Vec<u64>, Vec<u64>) {
    let mut rows: BTreeMap<&str, (u64, u64)> = reference.counts().map(|(level, rows)| (level, (rows, 0))).collect();
    current.counts().for_each(|(level, now)| rows.entry(level).or_default().1 = now);
    rows.into_values().unzip()
}

fn is_numeric(column: &Column) -> bool {
    matches!(column.kind, Kind::Integer | Kind::Number)
}

fn empty() -> Said {
    Said::Nothing("a side has no values".to_owned())
}

fn scored(taken: Taken, method: Method, score: Option<f64>) -> Said {
    match score {
        Some(score) => Said::Score { taken, method, score },
        None => Said::Nothing(format!("{method} has no value here")),
    }
}
