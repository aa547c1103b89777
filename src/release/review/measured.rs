//! What two evaluations of the same rows come to, as a reviewer is told: figures, slices that lost, the rows that lost most.

use crate::base::name::Stage;
use crate::config::{Gate, GateKind};
use crate::domain::eval::compare::SEED;
use crate::domain::eval::gate::Judged;
use crate::domain::eval::known::known;
use crate::domain::eval::marks::Marks;
use crate::domain::eval::record::{RowScore, Summary};
use crate::domain::eval::score::{COST_PER_QUERY, COVERAGE, ERROR_RATE, LATENCY_P95, Scores, is_lost};
use crate::domain::eval::slice;
use crate::domain::golden::{Answer, Row};
use crate::domain::review::doc::{BudgetDoc, FigureDoc, GateDoc, RowDoc, SliceDoc};
use crate::domain::review::shortened;
use crate::release::evaluate::{Compared, Loaded, paired};
use crate::stats::bootstrap::{self, DRAWS, Method};
use crate::stats::describe::mean;
use crate::stats::interval::{CONFIDENCE, Interval};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// The answers of one side, and their scores.
pub struct Answered {
    /// The answers, by row.
    pub answers: HashMap<String, Answer>,
    /// How they came.
    pub system: String,
    /// What was computed, then what was judged, where something was.
    pub scores: Vec<Scores>,
}

/// How many rows are kept that lost most.
const ROWS_MAX: usize = 20;
/// How much of a text is kept, in characters: a reviewer reads no more, and an answer may be a megabyte.
const TEXT_MAX: usize = 4_000;

const BUDGETS: [&str; 4] = [COST_PER_QUERY, COVERAGE, ERROR_RATE, LATENCY_P95];

/// Every metric that has a score now, against what it was where there is something.
pub fn figures(loaded: &Loaded, before: Option<&Answered>, now: &Answered) -> Vec<FigureDoc> {
    let mut all: Vec<FigureDoc> = match before {
        Some(before) => now.scores.iter().zip(&before.scores).flat_map(|(n, b)| both(loaded, b, n)).collect(),
        None => {
            now.scores.iter().flat_map(|s| &s.sums).filter(|s| !BUDGETS.contains(&s.metric.as_str())).filter_map(alone).collect()
        }
    };
    all.sort_by(|a, b| a.metric.cmp(&b.metric));
    all
}

/// What both sides scored, compared; then what one of them should have.
fn both(loaded: &Loaded, before: &Scores, now: &Scores) -> Vec<FigureDoc> {
    let mut all: Vec<FigureDoc> = paired(loaded, before, now).into_iter().map(compared).collect();
    let had: HashSet<(&str, &str)> =
        before.rows.iter().filter(|r| r.value.is_some()).map(|r| (r.metric.as_str(), r.row.as_str())).collect();
    for sum in now.sums.iter().filter(|s| !BUDGETS.contains(&s.metric.as_str())) {
        let mine = now.rows.iter().filter(|r| r.metric == sum.metric && r.reason.as_deref().is_some_and(is_lost));
        let lost = mine.filter(|r| had.contains(&(r.metric.as_str(), r.row.as_str()))).count();
        let unscored = sum.unscored.clone().filter(|why| sum.mean.is_none() && is_lost(why));
        match all.iter_mut().find(|f| f.metric == sum.metric) {
            Some(found) => found.lost = lost,
            None if lost > 0 || unscored.is_some() => {
                let base = before.sums.iter().find(|s| s.metric == sum.metric).and_then(|s| s.mean);
                all.push(FigureDoc { lost, unscored, ..gone(&sum.metric, base) });
            }
            None => {}
        }
    }
    all
}

/// A metric that no row has a score by now.
fn gone(metric: &str, base: Option<f64>) -> FigureDoc {
    FigureDoc {
        metric: metric.to_owned(),
        decides: false,
        base,
        head: None,
        difference: None,
        low: None,
        high: None,
        n: 0,
        clusters: None,
        p_value: None,
        detectable: None,
        verdict: Some("inconclusive".to_owned()),
        needed: None,
        lost: 0,
        unscored: None,
    }
}

fn compared(c: Compared) -> FigureDoc {
    FigureDoc {
        metric: c.metric,
        decides: false,
        base: Some(c.production),
        head: Some(c.candidate),
        difference: Some(c.difference),
        low: c.low,
        high: c.high,
        n: c.n,
        clusters: c.clusters,
        p_value: Some(c.p_value),
        detectable: c.detectable,
        verdict: Some(c.verdict.to_owned()),
        needed: c.needed,
        lost: 0,
        unscored: None,
    }
}

fn alone(sum: &Summary) -> Option<FigureDoc> {
    Some(FigureDoc {
        metric: sum.metric.clone(),
        decides: false,
        base: None,
        head: Some(sum.mean?),
        difference: None,
        low: sum.low,
        high: sum.high,
        n: usize::try_from(sum.n).unwrap_or(0),
        clusters: None,
        p_value: None,
        detectable: None,
        verdict: None,
        needed: None,
        lost: 0,
        unscored: None,
    })
}

/// Cost, latency, errors and coverage.
pub fn budgets(loaded: &Loaded, before: Option<&Answered>, now: &Answered) -> Vec<BudgetDoc> {
    let of = |side: &Answered, metric: &str| {
        side.scores.iter().flat_map(|s| &s.sums).find(|s| s.metric == metric).and_then(|s| s.mean)
    };
    let dearer = before.and_then(|before| dearer(loaded, before, now));
    let one = |metric: &str| {
        let found = dearer.filter(|_| metric == COST_PER_QUERY);
        BudgetDoc {
            metric: metric.to_owned(),
            base: before.and_then(|b| of(b, metric)),
            head: of(now, metric),
            difference: found.map(|(difference, _)| difference),
            low: found.map(|(_, interval)| interval.low),
            high: found.map(|(_, interval)| interval.high),
        }
    };
    BUDGETS.map(one).to_vec()
}

/// How much more a row costs now, in US dollars, with its 95 % interval: bootstrapped (BCa), because costs have no highest and a few long
/// answers make most of them. Rows of one cluster are drawn together. `None` where fewer than two rows differ.
fn dearer(loaded: &Loaded, before: &Answered, now: &Answered) -> Option<(f64, Interval)> {
    let cost = |side: &Answered, row: &Row| side.answers.get(&row.id).and_then(|a| a.cost_usd);
    let paired = loaded.golden.rows.iter().filter_map(|row| Some((row.id.as_str(), cost(now, row)? - cost(before, row)?)));
    let (rows, differences): (Vec<&str>, Vec<f64>) = paired.unzip();
    let clusters = Marks::of(&loaded.golden.rows).clusters(rows.into_iter());
    let how = (Method::Bca, DRAWS, CONFIDENCE);
    Some((mean(&differences)?, bootstrap::of_mean(&differences, Some(&clusters), how, SEED)?))
}

/// The slices that got worse, those that lost most first.
pub fn slices(loaded: &Loaded, before: &Answered, now: &Answered) -> Vec<SliceDoc> {
    let rows = |side: &Answered| side.scores.iter().flat_map(|s| s.rows.clone()).collect::<Vec<RowScore>>();
    let before = rows(before).into_iter().filter_map(|r| Some(((r.metric, r.row), r.value?))).collect();
    let table = slice::table(&loaded.golden.rows, &rows(now), &before);
    let worse = table.into_iter().filter(|s| s.verdict == Some("worse"));
    let mut worse: Vec<SliceDoc> = worse
        .filter_map(|s| {
            Some(SliceDoc { slice: s.slice, metric: s.metric, difference: s.difference?, n: s.n, q_value: s.q_value })
        })
        .collect();
    worse.sort_by(|a, b| b.difference.abs().total_cmp(&a.difference.abs()));
    worse
}

/// The rows that lost most by the metrics that decide; one that has no answer any more lost all.
pub fn worst(loaded: &Loaded, before: &Answered, now: &Answered, deciding: &[&str]) -> Vec<RowDoc> {
    let of = |side: &Answered| -> HashMap<(String, String), f64> {
        let rows = side.scores.iter().flat_map(|s| &s.rows).filter(|r| deciding.contains(&r.metric.as_str()));
        rows.filter_map(|r| Some(((r.row.clone(), r.metric.clone()), r.value?))).collect()
    };
    let (old, new) = (of(before), of(now));
    let mut lost: Vec<(f64, RowDoc)> = Vec::new();
    for row in &loaded.golden.rows {
        let (mut by, mut n, mut scores) = (0.0, 0.0, BTreeMap::new());
        for metric in deciding {
            let key = (row.id.clone(), (*metric).to_owned());
            let (was, is) = (old.get(&key).copied(), new.get(&key).copied());
            if let (Some(was), Some(is)) = (was, is) {
                by += gain(metric, is - was);
                n += 1.0;
            }
            if was.is_some() || is.is_some() {
                scores.insert((*metric).to_owned(), (was, is));
            }
        }
        let silent = answered(before, row) && !answered(now, row);
        let change = if silent {
            f64::NEG_INFINITY
        } else if n > 0.0 {
            by / n
        } else {
            0.0
        };
        if change < 0.0 {
            lost.push((change, row_doc(row, (before, now), scores)));
        }
    }
    lost.sort_by(|a, b| a.0.total_cmp(&b.0));
    lost.into_iter().take(ROWS_MAX).map(|(_, row)| row).collect()
}

/// A difference of a metric as a share of its range, more being better.
fn gain(metric: &str, by: f64) -> f64 {
    let Some(known) = known(metric) else { return by };
    let share = by / known.span();
    if known.higher_is_better() { share } else { -share }
}

fn answered(side: &Answered, row: &Row) -> bool {
    side.answers.get(&row.id).is_some_and(|a| a.answer.is_some())
}

fn row_doc(row: &Row, (before, now): (&Answered, &Answered), scores: BTreeMap<String, (Option<f64>, Option<f64>)>) -> RowDoc {
    let text = |side: &Answered| {
        let found = side.answers.get(&row.id)?;
        let said = found.answer.clone().or_else(|| found.error.as_ref().map(|e| format!("(no answer: {e})")));
        said.map(|t| shortened(&t, TEXT_MAX))
    };
    RowDoc {
        id: row.id.clone(),
        must_pass: row.must_pass == Some(true),
        question: shortened(&row.question, TEXT_MAX),
        expected: row.references.first().map(|t| shortened(t, TEXT_MAX)),
        base: text(before),
        head: text(now),
        scores,
    }
}

/// How many rows have the same answer, letter by letter.
pub fn same(loaded: &Loaded, before: &Answered, now: &Answered) -> usize {
    let of = |side: &Answered, id: &str| side.answers.get(id).and_then(|a| a.answer.clone());
    loaded.golden.rows.iter().filter(|r| of(now, &r.id).is_some() && of(now, &r.id) == of(before, &r.id)).count()
}

/// Rows that the system failed on.
pub fn failed(loaded: &Loaded, side: &Answered) -> usize {
    let failed = |row: &&Row| side.answers.get(&row.id).is_some_and(|a| a.answer.is_none() && a.error.is_some());
    loaded.golden.rows.iter().filter(failed).count()
}

/// Gates that were judged at a stage.
pub fn gates(judged: Vec<Judged>, stage: Stage, all: &[Gate]) -> Vec<GateDoc> {
    let regression: BTreeSet<&str> = all.iter().filter(|g| g.kind() == GateKind::Regression).map(|g| g.name.as_str()).collect();
    let one = |j: Judged| GateDoc {
        regression: regression.contains(j.gate.as_str()),
        gate: j.gate,
        stage: stage.word().to_owned(),
        metric: j.metric,
        measured: j.measured,
        threshold: j.threshold,
        verdict: j.verdict,
        reason: j.reason,
        needed: j.needed.and_then(|n| u64::try_from(n).ok()),
    };
    judged.into_iter().map(one).collect()
}
