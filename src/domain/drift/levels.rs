//! The levels of a categorical column with their counts, in bounded memory, and two columns laid over each other.
//!
//! Exact up to [`CAPACITY`] levels. Beyond, the summary of Misra and Gries (1982) in the mergeable form of Agarwal et al. (2012): the
//! largest counts are kept, each too low by at most [`Levels::slack`], itself at most rows / (capacity + 1).

use crate::stats::contingency::LEAST_EXPECTED;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Levels that are kept when there are more than twice as many.
pub const CAPACITY: usize = 65_536;
/// Levels that are compared one by one at most; all others are one.
pub const COMPARED: usize = 50;

/// Counts of levels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Levels {
    counts: BTreeMap<String, u64>,
    rows: u64,
    nulls: u64,
    slack: u64,
}

/// What was stored, before it is believed.
#[derive(Deserialize)]
struct Stored {
    counts: BTreeMap<String, u64>,
    rows: u64,
    nulls: u64,
    slack: u64,
}

impl TryFrom<Stored> for Levels {
    type Error = &'static str;

    fn try_from(Stored { counts, rows, nulls, slack }: Stored) -> Result<Self, Self::Error> {
        let counted = counts.values().try_fold(0u64, |sum, c| sum.checked_add(*c));
        if counted.is_some_and(|counted| counted <= rows) && counts.len() <= 2 * CAPACITY && slack <= rows {
            Ok(Self { counts, rows, nulls, slack })
        } else {
            Err("levels have more rows than their column")
        }
    }
}

impl Levels {
    /// The levels of these cells; `None` is a null.
    pub fn of<'a>(cells: impl IntoIterator<Item = Option<&'a str>>) -> Self {
        let mut levels = Self::default();
        cells.into_iter().for_each(|cell| levels.add(cell, 1));
        levels
    }

    /// Counts `rows` rows of a level, or of nulls.
    pub fn add(&mut self, level: Option<&str>, rows: u64) {
        let Some(level) = level else {
            self.nulls = self.nulls.saturating_add(rows);
            return;
        };
        self.rows = self.rows.saturating_add(rows);
        match self.counts.get_mut(level) {
            Some(count) => *count = count.saturating_add(rows),
            None => {
                self.counts.insert(level.to_owned(), rows);
                self.prune(2 * CAPACITY, CAPACITY);
            }
        }
    }

    /// The levels of both. Counts that are kept are too low by at most the sum of both slacks.
    #[must_use]
    pub fn merged(mut self, other: &Self) -> Self {
        other.counts.iter().for_each(|(level, rows)| self.add(Some(level), *rows));
        // Rows that the other had counted and given up.
        self.rows = self.rows.saturating_add(other.rows - other.counts.values().sum::<u64>().min(other.rows));
        self.nulls = self.nulls.saturating_add(other.nulls);
        self.slack = self.slack.saturating_add(other.slack);
        self
    }

    /// Rows that are not null.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Rows that are null.
    pub fn nulls(&self) -> u64 {
        self.nulls
    }

    /// By how much a count may be too low; 0 when all are exact.
    pub fn slack(&self) -> u64 {
        self.slack
    }

    /// The levels kept, in bytewise order, with their rows.
    pub fn counts(&self) -> impl ExactSizeIterator<Item = (&str, u64)> {
        self.counts.iter().map(|(level, rows)| (level.as_str(), *rows))
    }

    /// With more than `most` levels, keeps the `keep` largest, all counts less the largest that is given up.
    fn prune(&mut self, most: usize, keep: usize) {
        if self.counts.len() <= most {
            return;
        }
        let mut sizes: Vec<u64> = self.counts.values().copied().collect();
        let (_, given_up, _) = sizes.select_nth_unstable_by(keep, |a, b| b.cmp(a));
        let given_up = *given_up;
        self.slack += given_up;
        self.counts.retain(|_, rows| {
            *rows = rows.saturating_sub(given_up);
            *rows > 0
        });
    }
}

/// Two columns over the same levels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Laid {
    /// The largest levels of both sides together in falling order of their rows, equal ones bytewise; none that is too rare to be
    /// compared on its own.
    pub names: Vec<String>,
    /// Their rows in the reference; the last, one more than names, is of all other levels.
    pub reference: Vec<u64>,
    /// Their rows in the current data, likewise.
    pub current: Vec<u64>,
    /// Levels that only the current data have, the largest first, equal ones bytewise, with their rows there. Empty when the reference
    /// gave up counts: then a level it does not name may have been seen.
    pub unseen: Vec<(String, u64)>,
    /// How many levels kept of the reference do not occur in the current data.
    pub gone: usize,
    /// Rows on each side with which the largest level would be a cell of its own; absent without levels.
    pub needed: Option<u64>,
}

/// Lays two columns over each other in cells for [`crate::stats::divergence::psi`]: at most [`COMPARED`] levels, each with
/// [`LEAST_EXPECTED`] rows expected on the smaller side, and all others as one cell, which takes in the smallest level if it has
/// fewer itself.
///
/// Which level is a cell depends on its rows of both sides together. Cells chosen by the reference's rows are those it has by
/// chance too many of, and all it missed by chance is in the last one: on 50 levels that follow Zipf's law the index of 200 rows
/// against 20,000 then passes its critical value at 0.001 in 31 % of samples without drift; so chosen in 0.2 %.
pub fn laid(reference: &Levels, current: &Levels) -> Laid {
    let rows_of = |levels: &Levels, name: &str| levels.counts.get(name).copied().unwrap_or(0);
    let only_current = || current.counts().filter(|(name, _)| !reference.counts.contains_key(*name));
    let names = reference.counts.keys().map(String::as_str).chain(only_current().map(|(name, _)| name));
    let mut cells: Vec<(&str, u64, u64)> = names.map(|name| (name, rows_of(reference, name), rows_of(current, name))).collect();
    cells.sort_by(|a, b| total(b).cmp(&total(a)).then_with(|| a.0.cmp(b.0)));
    let needed = cells.first().map(|largest| rows_for(total(largest), reference.rows.saturating_add(current.rows)));
    cells.truncate(compared(&cells, reference.rows, current.rows));
    let with_rest = |counts: Vec<u64>, rows: u64| {
        let rest = rows.saturating_sub(counts.iter().sum());
        counts.into_iter().chain([rest]).collect()
    };
    let mut unseen: Vec<(String, u64)> = match reference.slack {
        0 => only_current().map(|(name, rows)| (name.to_owned(), rows)).collect(),
        _ => vec![],
    };
    unseen.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    Laid {
        reference: with_rest(cells.iter().map(|cell| cell.1).collect(), reference.rows),
        current: with_rest(cells.iter().map(|cell| cell.2).collect(), current.rows),
        unseen,
        gone: reference.counts.keys().filter(|level| !current.counts.contains_key(*level)).count(),
        needed,
        names: cells.into_iter().map(|(name, ..)| name.to_owned()).collect(),
    }
}

fn total((_, reference, current): &(&str, u64, u64)) -> u64 {
    reference.saturating_add(*current)
}

/// Rows of the smaller side with which [`LEAST_EXPECTED`] rows of a level are expected there, which has `rows` of all.
fn rows_for(rows: u64, all: u64) -> u64 {
    let share = rows.max(1) as f64 / all.max(1) as f64;
    // At most 5 · 2⁶⁴ in theory, and then cut.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and cut where it is too large")]
    {
        (LEAST_EXPECTED / share).ceil() as u64
    }
}

/// How many of the levels, the largest first, are a cell of their own. Where a side has no rows nothing is too rare.
fn compared(cells: &[(&str, u64, u64)], reference: u64, current: u64) -> usize {
    let (all, smaller) = (reference as f64 + current as f64, reference.min(current) as f64);
    let enough = |rows: f64| smaller == 0.0 || rows * (smaller / all) >= LEAST_EXPECTED;
    let frequent = cells.iter().take(COMPARED).take_while(|cell| enough(total(cell) as f64)).count();
    let rest = all - cells[..frequent].iter().map(|cell| total(cell) as f64).sum::<f64>();
    if rest > 0.0 && !enough(rest) { frequent.saturating_sub(1) } else { frequent }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nulls_are_counted_apart() {
        let levels = Levels::of([Some("a"), None, Some("b"), Some("a"), None]);
        assert_eq!((levels.rows(), levels.nulls(), levels.counts().collect::<Vec<_>>()), (3, 2, vec![("a", 2), ("b", 1)]));
    }

    #[test]
    fn stored_levels_are_read_back_or_refused() {
        let levels = Levels::of([Some("a"), None, Some("a")]);
        let stored = serde_json::to_string(&levels).expect("JSON");
        assert_eq!(serde_json::from_str::<Levels>(&stored).expect("levels"), levels);
        for bad in [r#"{"counts":{"a":3},"rows":2,"nulls":0,"slack":0}"#, r#"{"counts":{},"rows":2,"nulls":0,"slack":3}"#] {
            assert!(serde_json::from_str::<Levels>(bad).is_err(), "{bad}");
        }
    }

    fn counted(levels: &[(&str, u64)]) -> Levels {
        let mut counted = Levels::default();
        levels.iter().for_each(|(level, rows)| counted.add(Some(level), *rows));
        counted
    }

    #[test]
    fn what_is_new_and_what_is_gone_is_told() {
        let reference = counted(&[("a", 20), ("b", 10), ("c", 20)]);
        let got = laid(&reference, &counted(&[("a", 10), ("x", 15), ("y", 25)]));
        assert_eq!(got.names, ["a", "y", "c", "x", "b"]);
        assert_eq!((got.reference, got.current), (vec![20, 0, 20, 0, 10, 0], vec![10, 25, 0, 15, 0, 0]));
        assert_eq!((got.unseen, got.gone), (vec![("y".to_owned(), 25), ("x".to_owned(), 15)], 2));
    }

    #[test]
    fn rare_levels_are_one_and_that_one_is_not_rare() {
        // 5 rows expected on either side take 10 in sum: b has 9 and is rare, and too few alone, so it takes c in.
        let got = laid(&counted(&[("a", 50), ("b", 5), ("c", 10)]), &counted(&[("a", 50), ("b", 4), ("c", 11)]));
        assert_eq!((got.names, got.reference, got.current), (vec!["a".to_owned()], vec![50, 15], vec![50, 15]));
        let got = laid(&counted(&[("a", 50), ("b", 5), ("c", 5)]), &counted(&[("a", 50), ("b", 4), ("c", 6)]));
        assert_eq!((got.names, got.reference), (vec!["a".to_owned()], vec![50, 10]));
        let empty = laid(&counted(&[("a", 1), ("b", 2)]), &Levels::default());
        assert_eq!(
            (empty.names, empty.reference, empty.current),
            (vec!["b".to_owned(), "a".to_owned()], vec![2, 1, 0], vec![0; 3])
        );
    }

    #[test]
    fn only_the_largest_levels_are_compared_one_by_one() {
        let names: Vec<String> = (0..200).map(|i| format!("{i:03}")).collect();
        let mut levels = Levels::default();
        names.iter().zip(1..).for_each(|(name, rows)| levels.add(Some(name), rows));
        let got = laid(&levels, &levels);
        assert_eq!((got.names.len(), got.names[0].as_str(), got.reference.len()), (COMPARED, "199", COMPARED + 1));
        assert_eq!((got.reference.last(), got.reference.iter().sum::<u64>()), (Some(&(150 * 151 / 2)), 200 * 201 / 2));
        assert_eq!(got.reference, got.current);
    }

    #[test]
    fn more_levels_than_fit_keep_the_large_ones() {
        let mut levels = Levels::default();
        levels.add(Some("large"), 500);
        (0..3 * CAPACITY).for_each(|i| levels.add(Some(&i.to_string()), 1));
        let kept = levels.counts().find(|(level, _)| *level == "large").expect("kept").1;
        assert!(levels.slack() > 0 && kept + levels.slack() >= 500 && kept <= 500, "{kept} {}", levels.slack());
        assert!(levels.slack() <= levels.rows() / (CAPACITY as u64 + 1) && levels.counts().len() <= 2 * CAPACITY);
        assert_eq!(levels.rows(), 500 + 3 * CAPACITY as u64);
        assert!(laid(&levels, &Levels::of([Some("never")])).unseen.is_empty(), "not sure, so not said");
        let twice = levels.clone().merged(&levels);
        assert_eq!((twice.rows(), twice.slack()), (2 * levels.rows(), 2 * levels.slack()));
    }

    proptest! {
        #[test]
        fn pruned_counts_are_too_low_by_at_most_the_slack(draws in proptest::collection::vec(0u8..40, 1..300)) {
            let (mut exact, mut pruned) = (Levels::default(), Levels::default());
            for draw in &draws {
                let name = draw.to_string();
                exact.add(Some(&name), 1);
                pruned.add(Some(&name), 1);
                pruned.prune(8, 4);
            }
            prop_assert!(pruned.slack() <= draws.len() as u64 / 5, "{}", pruned.slack());
            for (level, rows) in exact.counts() {
                let got = pruned.counts.get(level).copied().unwrap_or(0);
                prop_assert!(got <= rows && rows <= got + pruned.slack(), "{}: {} of {}", level, got, rows);
            }
        }
    }
}
