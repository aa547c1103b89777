//! What columns say together, in rows and lines that every report shows.

use super::{UNKNOWN, chance, rows};
use crate::domain::drift::calibration::Side;
use crate::domain::drift::change::Change;
use crate::domain::drift::concept::{ABSOLUTE, ACCURACY, SQUARED};
use crate::domain::drift::figures::Sides;
use crate::domain::drift::outcome::{Cause, Outcome, Span};
use crate::domain::drift::policy::Status;
use crate::domain::drift::verdict::Judgement;
use crate::domain::drift::why::{about, percent};

/// The columns of [`answers`].
pub const HEADINGS: [&str; 8] = ["answers", "status", ">before", ">now", ">worse by", ">95 % interval", ">rows", "why"];

/// What is said of answers: one row for each number.
pub fn answers(outcome: &Outcome) -> Vec<(Status, [String; 8])> {
    let brier = outcome.calibration.as_ref().map(|calibration| brier(&calibration.sides));
    outcome.changes().map(change).chain(brier).collect()
}

fn change(change: &Change) -> (Status, [String; 8]) {
    let is_error = [ABSOLUTE, SQUARED].contains(&change.name.as_str());
    let share = change.name == ACCURACY;
    let known = |value: Option<f64>, of: &dyn Fn(f64) -> String| value.map_or_else(|| UNKNOWN.to_owned(), of);
    let value = |value| known(value, &|v| if share { percent(v) } else { about(v) });
    let by = |value| known(value, &|v| if share || is_error { percent(v) } else { about(v) });
    let interval = match (change.low, change.high) {
        (None, None) => UNKNOWN.to_owned(),
        (low, high) => format!("{} … {}", by(low), by(high)),
    };
    let n = change.n.map(rows);
    let cells = [
        change.name.clone(),
        change.status.to_string(),
        value(change.reference),
        value(change.current),
        by(change.change),
        interval,
        format!("{} → {}", n.reference, n.current),
        change.why.clone(),
    ];
    (change.status, cells)
}

/// The Brier score, which is shown and not judged.
fn brier(sides: &Sides<Side>) -> (Status, [String; 8]) {
    let value = |side: &Side| side.brier.map_or_else(|| UNKNOWN.to_owned(), about);
    let n = format!("{} → {}", rows(sides.reference.rows), rows(sides.current.rows));
    let none = String::new;
    let (before, now) = (value(&sides.reference), value(&sides.current));
    (Status::Ok, ["Brier score".to_owned(), none(), before, now, none(), none(), n, "shown, not judged".to_owned()])
}

/// Slices, series and times, one sentence each.
pub fn lines(outcome: &Outcome) -> Vec<String> {
    let slices = outcome.slice_words().map(|(status, words)| format!("slice: {status}: {words}"));
    let none = outcome.sliced > 0 && outcome.slice_words().next().is_none();
    let calm = none.then(|| format!("slices: {} tested, none stands out", rows(outcome.sliced as u64)));
    let streams = outcome.streams.iter().flat_map(|stream| {
        let quiet = stream.why.is_none() && stream.turns.is_empty();
        let none = quiet.then(|| format!("{}: no change in {} rows", stream.column, rows(stream.rows)));
        none.into_iter().chain(stream.lines()).map(|line| format!("stream: {line}"))
    });
    let times = outcome.times.iter().filter_map(time);
    slices.chain(calm).chain(streams).chain(times).collect()
}

/// `time: at: 2026-11-20T… … 2026-11-21T…; the reference 2026-10-01T… … 2026-10-31T…`.
fn time(sides: &Sides<Option<Span>>) -> Option<String> {
    let span = |span: &Span| format!("{} … {}", span.first, span.last);
    let column = sides.current.as_ref().or(sides.reference.as_ref()).map(|span| &span.column)?;
    let now = sides.current.as_ref().map_or_else(|| "no times".to_owned(), span);
    let before = sides.reference.as_ref().map_or_else(|| "has none".to_owned(), span);
    let overlap = sides.current.as_ref().zip(sides.reference.as_ref()).is_some_and(|(now, before)| now.first <= before.last);
    let overlap = if overlap { "; the new data begin before it ends" } else { "" };
    Some(format!("time: {column}: {now}; the reference {before}{overlap}"))
}

/// The kinds of drift with what is said of each; only for checks that look for more than one.
pub fn kinds(judgement: &Judgement) -> Option<String> {
    let outcome = judgement.outcome.as_deref();
    (judgement.prediction.is_some() || judgement.accuracy.is_some()).then_some(())?;
    let cause = match outcome.and_then(|outcome| outcome.cause) {
        None => String::new(),
        Some(Cause::Upstream) => " (broken upstream)".to_owned(),
        Some(Cause::Data) => " (the data moved too)".to_owned(),
        Some(Cause::Concept) => " (concept drift)".to_owned(),
    };
    let calibration = outcome.and_then(|outcome| outcome.calibration.as_ref()).map(|calibration| calibration.error.status);
    let named = [
        ("upstream", Some(judgement.upstream)),
        ("data", Some(judgement.data)),
        ("prediction", judgement.prediction),
        ("accuracy", judgement.accuracy),
        ("calibration", calibration),
    ];
    let said = named.into_iter().filter_map(|(kind, status)| {
        let cause = if kind == "accuracy" { cause.as_str() } else { "" };
        Some(format!("{kind} {}{cause}", status?))
    });
    Some(said.collect::<Vec<_>>().join(", "))
}

/// Slices with their numbers, for who wants to know more.
pub const SLICE_HEADINGS: [&str; 7] = ["where", "what", "status", ">worse by / PSI", ">q", ">rows", ">coverage"];

/// The slices that were kept, moved or not.
pub fn slices(outcome: &Outcome) -> Vec<[String; 7]> {
    let lost = outcome.losses.iter().map(|loss| {
        let n = loss.change.n.map(rows);
        [
            format!("{} = {}", loss.column, loss.level),
            loss.change.name.clone(),
            loss.change.status.to_string(),
            loss.change.change.map_or_else(|| UNKNOWN.to_owned(), percent),
            chance(loss.q),
            format!("{} → {}", n.reference, n.current),
            percent(loss.coverage),
        ]
    });
    let moved = outcome.slices.iter().map(|slice| {
        [
            format!("{} = {}", slice.column, slice.level),
            slice.target.clone(),
            slice.status.to_string(),
            format!("{:.3}", slice.psi),
            chance(Some(slice.q)),
            format!("{} → {}", rows(slice.n_ref), rows(slice.n_cur)),
            percent(slice.coverage),
        ]
    });
    lost.chain(moved).collect()
}
