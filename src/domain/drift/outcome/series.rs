//! Rows in the order they came: where a series of new data changed, and from when to when the rows are.
//!
//! The order is that of the files, or of the column `time`; rows without a time are left out then. Numbers of rows are always those of
//! the files. Both are told and weigh nothing: a detector says when, not how much.

use super::answers::Rows;
use super::cells::{at_of, numbers};
use crate::base::error::Result;
use crate::base::text::{count, visible};
use crate::base::time::Timestamp;
use crate::data::{Kind, Table};
use crate::domain::drift::baseline::{Selection, told};
use crate::domain::drift::figures::Sides;
use crate::domain::drift::streams::{Detector, Point, changes};
use serde::{Deserialize, Serialize};

/// Changes of a series that are told.
const TURNS_MAX: usize = 20;
/// Microseconds of a second.
const MICROS: f64 = 1e6;

/// A series and where it changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stream {
    /// The column, or what is counted by row: `wrong answers`, `absolute errors`.
    pub column: String,
    /// The column that orders the rows; absent for the order of the files.
    pub time: Option<String>,
    /// Rows that have a place in the order.
    pub rows: u64,
    /// How many changes there were.
    pub changes: usize,
    /// The first of them.
    pub turns: Vec<Turning>,
    /// Why it could not be looked at.
    pub why: Option<String>,
}

/// A change of a series, as the first of those says that noticed it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Turning {
    /// What was noticed.
    #[serde(flatten)]
    pub point: Point,
    /// Who noticed.
    pub detectors: Vec<Detector>,
    /// When the row since which it holds came.
    pub since_at: Option<Timestamp>,
    /// When the row came at which it was noticed.
    pub at: Option<Timestamp>,
}

/// From when to when the rows of a column of times are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The column.
    pub column: String,
    /// Rows that have a time.
    pub rows: u64,
    /// The first.
    pub first: Timestamp,
    /// The last.
    pub last: Timestamp,
}

/// The spans of all columns of times.
///
/// # Errors
/// When one cannot be read.
pub(super) fn spans(table: &dyn Table) -> Result<Vec<Span>> {
    let of_times = |at: &usize| table.columns()[*at].kind == Kind::Time;
    let all = (0..table.columns().len()).filter(of_times).map(|at| span(table, at)).collect::<Result<Vec<_>>>()?;
    Ok(all.into_iter().flatten().collect())
}

fn span(table: &dyn Table, at: usize) -> Result<Option<Span>> {
    let times: Vec<f64> = numbers(table, at)?.into_iter().flatten().collect();
    let ends = times.iter().copied().reduce(f64::min).zip(times.iter().copied().reduce(f64::max));
    Ok(ends.map(|(first, last)| Span {
        column: told(&table.columns()[at].name),
        rows: times.len() as u64,
        first: time_of(first),
        last: time_of(last),
    }))
}

/// Seconds since 1970 as a time.
#[expect(clippy::cast_possible_truncation, reason = "times of data are far within 2^63 microseconds; others are cut to that")]
fn time_of(seconds: f64) -> Timestamp {
    Timestamp::from_micros((seconds * MICROS).round() as i64)
}

/// The spans of both sides by column; what cannot be read has none.
pub(super) fn times(before: &[Span], table: &dyn Table) -> Vec<Sides<Option<Span>>> {
    let of_now = |name: &str| {
        let at = at_of(table, name).filter(|at| table.columns()[*at].kind == Kind::Time)?;
        span(table, at).ok().flatten()
    };
    let known = before.iter().map(|span| Sides::new(Some(span.clone()), of_now(&span.column)));
    let fresh = table.columns().iter().filter(|column| column.kind == Kind::Time).map(|column| told(&column.name));
    let fresh = fresh.filter(|name| !before.iter().any(|span| span.column == *name));
    known.chain(fresh.map(|name| Sides::new(None, of_now(&name)))).filter(|sides| *sides != Sides::new(None, None)).collect()
}

/// In which order rows are looked at: their numbers in the table, from 0, and their times.
struct Order {
    column: Option<String>,
    rows: Option<Vec<usize>>,
    times: Option<Vec<Option<f64>>>,
}

impl Order {
    /// By the column `time`; says why not.
    fn of(table: &dyn Table, time: Option<&str>) -> Result<Self, String> {
        let Some(name) = time else { return Ok(Self { column: None, rows: None, times: None }) };
        let at = at_of(table, name).ok_or_else(|| format!("there is no column `{}` to order the rows by", visible(name, 60)))?;
        let times = numbers(table, at).map_err(|e| e.to_string())?;
        let mut rows: Vec<(usize, f64)> = times.iter().enumerate().filter_map(|(row, time)| Some((row, (*time)?))).collect();
        rows.sort_by(|a, b| a.1.total_cmp(&b.1).then_with(|| a.0.cmp(&b.0)));
        let rows = rows.into_iter().map(|(row, _)| row).collect();
        // A number that is no time orders rows and names no moment.
        let times = (table.columns()[at].kind == Kind::Time).then_some(times);
        Ok(Self { column: Some(name.to_owned()), rows: Some(rows), times })
    }

    /// Where a series of these values, given in the order of the files, changed.
    fn stream(&self, column: String, values: Vec<Option<f64>>) -> Stream {
        let values = match &self.rows {
            Some(rows) => rows.iter().map(|row| values.get(*row).copied().flatten()).collect(),
            None => values,
        };
        let found = agreed(changes(&values));
        Stream {
            rows: values.len() as u64,
            time: self.column.clone(),
            changes: found.len(),
            turns: found.into_iter().take(TURNS_MAX).map(|found| self.turning(found)).collect(),
            why: None,
            column,
        }
    }

    fn turning(&self, (point, detectors): (Point, Vec<Detector>)) -> Turning {
        let row = |place: u64| {
            let at = usize::try_from(place.saturating_sub(1)).unwrap_or(usize::MAX);
            self.rows.as_ref().map_or(place, |rows| rows.get(at).map_or(place, |row| *row as u64 + 1))
        };
        let (row, since) = (row(point.row), row(point.since));
        let time = |row: u64| {
            let at = usize::try_from(row.saturating_sub(1)).ok()?;
            self.times.as_ref()?.get(at).copied().flatten().map(time_of)
        };
        let (at, since_at) = (time(row), time(since));
        let named = |row: u64, time: Option<Timestamp>| time.map_or(format!("row {row}"), |time| format!("{time} (row {row})"));
        let by: Vec<&str> = detectors.iter().map(|detector| detector.word()).collect();
        let words = format!("{} ({})", point.said(&named(since, since_at), &named(row, at)), by.join(", "));
        Turning { point: Point { row, since, words, ..point }, detectors, since_at, at }
    }
}

/// Each change once, with all who noticed it. HDDM looks at every row anew whether the mean differs from the best so far, and on a
/// calm series says so now and then: it counts where another one noticed the same.
fn agreed(mut points: Vec<Point>) -> Vec<(Point, Vec<Detector>)> {
    points.sort_by_key(|point| (point.detector, point.row));
    let mut all: Vec<(Point, Vec<Detector>)> = Vec::new();
    for point in points {
        let same = |known: &Point| known.direction == point.direction && known.since <= point.row && point.since <= known.row;
        match all.iter_mut().find(|(known, _)| same(known)) {
            Some((_, by)) if !by.contains(&point.detector) => by.push(point.detector),
            Some(_) => {}
            None if point.detector == Detector::Hddm => {}
            None => all.push((point.clone(), vec![point.detector])),
        }
    }
    all.sort_by_key(|(point, _)| (point.since, point.row));
    all
}

/// Where the columns of `stream` and the answers changed.
pub(super) fn streams(table: &dyn Table, selection: &Selection, answers: Option<&Rows>) -> Vec<Stream> {
    let unseen = |column: &str, why: String| Stream {
        column: column.to_owned(),
        time: selection.time.clone(),
        rows: 0,
        changes: 0,
        turns: vec![],
        why: Some(why),
    };
    if selection.stream.is_empty() && answers.is_none() {
        return Vec::new();
    }
    let order = Order::of(table, selection.time.as_deref());
    let one = |column: &str, values: Result<Vec<Option<f64>>, String>| match (&order, values) {
        (Ok(order), Ok(values)) => order.stream(column.to_owned(), values),
        (Err(why), _) => unseen(column, why.clone()),
        (_, Err(why)) => unseen(column, why),
    };
    let of_column = |name: &String| {
        let at = at_of(table, name).ok_or_else(|| "there is no such column".to_owned());
        one(name, at.and_then(|at| numbers(table, at).map_err(|e| e.to_string())))
    };
    let of_answers = answers.map(|rows| one(rows.errors_are(), Ok(rows.errors())));
    of_answers.into_iter().chain(selection.stream.iter().map(of_column)).collect()
}

impl Stream {
    /// Each change in words, or that there is none.
    pub fn lines(&self) -> Vec<String> {
        let column = visible(&self.column, 60);
        if let Some(why) = &self.why {
            return vec![format!("{column}: not looked at: {why}")];
        }
        let mut lines: Vec<String> = self.turns.iter().map(|turn| format!("{column}: {}", turn.point.words)).collect();
        let more = self.changes - self.turns.len().min(self.changes);
        lines.extend((more > 0).then(|| format!("{column}: {}", count(more, "more change"))));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::drift::streams::Direction::{self, Down, Up};

    fn point(detector: Detector, since: u64, row: u64, direction: Direction) -> Point {
        Point { detector, row, since, direction, before: 0.0, after: 1.0, words: String::new() }
    }

    #[test]
    fn a_change_is_told_once_and_hddm_alone_is_not_believed() {
        use Detector::{Adwin, Hddm, PageHinkley};
        let found = agreed(vec![
            point(Hddm, 100, 120, Up),
            point(PageHinkley, 400, 500, Up),
            point(Adwin, 402, 440, Up),
            point(Hddm, 410, 430, Up),
            point(Adwin, 700, 760, Down),
        ]);
        let told: Vec<_> = found.iter().map(|(point, by)| (point.detector, point.since, by.as_slice())).collect();
        assert_eq!(told, [(Adwin, 402, &[Adwin, PageHinkley, Hddm][..]), (Adwin, 700, &[Adwin][..])]);
    }
}
