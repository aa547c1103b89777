//! A check as people read it: an HTML file with drawings, and Markdown for tickets and summaries of CI.
//!
//! Plain values in, worked out elsewhere; nothing here judges. Columns come with the heaviest status first, then by index.

pub mod draw;
pub mod html;
pub mod markdown;
pub mod together;

use super::figures::{Effect, Figures, Measure, Unit};
use super::verdict::{Judged, Judgement};
use super::why;
use crate::base::table::Table;
use crate::base::text::{group, visible};
use crate::base::time::Timestamp;
use std::collections::BTreeMap;

/// What stands where a number is unknown.
const UNKNOWN: &str = "–";
/// Characters that are shown of a text.
const TEXT_MAX: usize = 120;

/// A check.
#[derive(Clone, Debug)]
pub struct Page<'a> {
    /// The name of the drift.
    pub name: &'a str,
    /// What the reference belongs to: `faq@1.0.0`.
    pub baseline: &'a str,
    /// When the new data was looked at.
    pub at: Timestamp,
    /// What was compared and how, each as a word and a value: `new data`, `july.parquet`.
    pub facts: &'a [(String, String)],
    /// What is said.
    pub judgement: &'a Judgement,
    /// What was wrong with the files, and what was left out, each in a sentence.
    pub remarks: &'a [String],
    /// The index of columns in checks before, the oldest first.
    pub history: &'a BTreeMap<String, Vec<f64>>,
    /// What was opened or is open because of it.
    pub actions: &'a [ActionView],
}

/// An action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionView {
    /// What is to be done: `open-ticket`.
    pub what: String,
    /// How far it is: `open`.
    pub state: String,
    /// The band that asked for it.
    pub band: String,
    /// When it is to be done by.
    pub due: Option<Timestamp>,
}

impl Page<'_> {
    /// The columns, the heaviest first.
    fn columns(&self) -> Vec<&Judged> {
        let mut columns: Vec<&Judged> = self.judgement.columns.iter().collect();
        let index = |c: &Judged| c.figures.psi.unwrap_or(-1.0);
        columns.sort_by(|a, b| {
            let by_status = b.status.weight().cmp(&a.status.weight());
            by_status.then_with(|| index(b).total_cmp(&index(a))).then_with(|| a.name.cmp(&b.name))
        });
        columns
    }

    /// The index of a column over time, this check last; empty when there was none before.
    fn history_of(&self, column: &Judged) -> Vec<f64> {
        let before = self.history.get(&column.name).map(Vec::as_slice).unwrap_or_default();
        if before.is_empty() { Vec::new() } else { before.iter().copied().chain(column.figures.psi).collect() }
    }

    /// How many columns have each status, the heaviest first: `2 critical, 17 ok`.
    fn tally(&self) -> Vec<(usize, &'static str)> {
        let mut counted: BTreeMap<(super::policy::Status, &str), usize> = BTreeMap::new();
        for column in &self.judgement.columns {
            *counted.entry((column.status.weight(), column.status.word())).or_default() += 1;
        }
        counted.into_iter().rev().map(|((_, word), n)| (n, word)).collect()
    }

    /// How it was judged, as facts are written.
    fn judged_by(&self) -> [(String, String); 2] {
        let Judgement { policy, family, adjustment, tests, .. } = self.judgement;
        let named: Vec<String> = tests.iter().map(|t| format!("{} {}", t.tests, t.test)).collect();
        let of = if named.is_empty() { String::new() } else { format!(" ({})", named.join(", ")) };
        let bands = policy.psi;
        let rule = format!("{}: PSI {}, {}, {}", policy.rule, bands.monitor, bands.warning, bands.critical);
        [("rule".to_owned(), rule), ("tests".to_owned(), format!("{family}{of}, adjusted by {adjustment}"))]
    }
}

/// The index that fills a mark: above it everything is critical by the specification.
pub const INDEX: f64 = 0.4;

/// One mark for each value, the oldest first, on a scale from 0 to `full`; `·` for none.
pub fn spark(values: impl IntoIterator<Item = Option<f64>>, full: f64) -> String {
    const MARKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let share = |v: f64| if full > 0.0 { (v / full).clamp(0.0, 1.0) } else { 0.0 };
    let level = |v: f64| (share(v) * (MARKS.len() - 1) as f64).round() as usize;
    let mark = |v: f64| MARKS[level(v).min(MARKS.len() - 1)];
    values.into_iter().map(|v| v.filter(|v| v.is_finite()).map_or('·', mark)).collect()
}

/// The texts that moved: which way, their cluster, row and beginning; `cell` makes one fit where it is shown.
pub fn texts(figures: &Figures, cell: fn(&str) -> String) -> Table {
    let mut t = Table::new(&["", ">cluster", ">row", "text"]);
    for moved in &figures.texts {
        let cluster = moved.cluster.map_or_else(String::new, |cluster| cluster.to_string());
        let text = moved.text.as_deref().map_or_else(|| UNKNOWN.to_owned(), |text| visible(text.trim(), TEXT_MAX));
        t.row([moved.way.to_string(), cluster, moved.row.to_string(), cell(&text)]);
    }
    t
}

/// A number with three decimals.
fn three(value: Option<f64>) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), |v| format!("{v:.3}"))
}

/// A chance.
fn chance(p: Option<f64>) -> String {
    match p {
        None => UNKNOWN.to_owned(),
        Some(0.0) => "<1e-300".to_owned(),
        Some(p) if p < 1e-3 => format!("{p:.0e}"),
        Some(p) => format!("{p:.3}"),
    }
}

fn effect(effect: Option<Effect>) -> String {
    let Some(Effect { measure, value, unit }) = effect else { return UNKNOWN.to_owned() };
    let of = match (measure, unit) {
        (Measure::Wasserstein, Some(Unit::MiddleHalf)) => "robust sd",
        (Measure::Wasserstein, Some(Unit::StandardDeviation)) => "sd",
        (Measure::Wasserstein, Some(Unit::Median)) => "medians",
        (Measure::Wasserstein, None) => "Wasserstein",
        (Measure::CramersV, _) => "Cramér's V",
        (Measure::Mmd, _) => "MMD",
        (Measure::Auc, _) => "AUC",
    };
    format!("{} {of}", why::decimals(value))
}

fn rows(n: u64) -> String {
    group(usize::try_from(n).unwrap_or(usize::MAX))
}

/// Rows that hold a value, before and now; unknown of a column that could not be compared.
fn held(figures: &Figures) -> String {
    match (figures.n_ref, figures.n_cur) {
        (0, 0) => UNKNOWN.to_owned(),
        (before, now) => format!("{} → {}", rows(before), rows(now)),
    }
}

/// Before and now, when there are any: `12 → 3,400`.
fn nulls(figures: &Figures) -> String {
    let of = figures.nulls;
    if of.reference == 0 && of.current == 0 { "0".to_owned() } else { format!("{} → {}", rows(of.reference), rows(of.current)) }
}

#[cfg(test)]
pub(super) mod tests;
