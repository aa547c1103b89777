//! Where a series changed: three detectors over its values in the order they came, with row numbers and means in words.
//!
//! ADWIN and Page–Hinkley for any series, HDDM for shares (all values within 0 and 1) only. The detectors' constants are for
//! shares: another series is taken less its median, in units of four times the spread of its middle half, about the spread of a
//! share. Page–Hinkley with its threshold of 50 is slow and calm. A detector notices some rows late; since when the mean differs is
//! where the squared distances from two means are least.

use super::why::about;
use crate::base::name::words;
use crate::stats::describe::mean;
use crate::stats::ordered::Ordered;
use crate::stats::stream::Change;
use crate::stats::stream::adwin::Adwin;
use crate::stats::stream::hddm::Hddm;
use crate::stats::stream::page_hinkley::PageHinkley;
use crate::stats::wasserstein::scale;
use serde::{Deserialize, Serialize};

words! {
    /// Who noticed.
    Detector, "detector" {
        /// A window cut where two parts of it differ.
        Adwin = "adwin",
        /// Cumulative sums of deviations.
        PageHinkley = "page-hinkley",
        /// The mean of all against the best so far, by Hoeffding's bound.
        Hddm = "hddm",
    }
}

words! {
    /// Which way the mean went.
    Direction, "direction" {
        /// It rose.
        Up = "up",
        /// It fell.
        Down = "down",
    }
}

/// A change that was noticed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Who noticed.
    pub detector: Detector,
    /// At which row, from 1.
    pub row: u64,
    /// Since which row the mean most likely differs.
    pub since: u64,
    /// Which way the mean went.
    pub direction: Direction,
    /// The mean from the change before (or the start) to this one, in the unit of the values.
    pub before: f64,
    /// The mean from this change to the next (or the end).
    pub after: f64,
    /// In words.
    pub words: String,
}

impl Point {
    /// It in words, with both rows as `since` and `noticed` name them.
    pub fn said(&self, since: &str, noticed: &str) -> String {
        let Self { direction, before, after, .. } = self;
        let means = format!("{} to {}", about(*before), about(*after));
        format!("since {since} the mean is {direction} from {means}, noticed at {noticed}")
    }
}

/// ADWIN's chance of a wrong cut.
const ADWIN: f64 = 0.002;
/// HDDM's chance of a wrong change.
const HDDM: f64 = 0.001;
/// Page–Hinkley's tolerance and threshold.
const PAGE_HINKLEY: (f64, f64) = (0.005, 50.0);
/// Spreads of the middle half that are about as wide as a share.
const SPREADS: f64 = 4.0;

/// All changes of a series in the order of their rows; rows that are absent or no number keep their number and are not taken.
pub fn changes(values: &[Option<f64>]) -> Vec<Point> {
    let taken: Vec<(u64, f64)> =
        (1..).zip(values).filter_map(|(row, value)| Some((row, (*value).filter(|v| v.is_finite())?))).collect();
    let Some((scaled, shares)) = scaled(&taken) else { return vec![] };
    let mut adwin = Adwin::new(ADWIN);
    let mut found =
        points(Detector::Adwin, &taken, &scaled, |value| adwin.take(value).map(|change| (change, Some(adwin.rows()))));
    let mut sums = PageHinkley::new(PAGE_HINKLEY.0, PAGE_HINKLEY.1);
    found.extend(points(Detector::PageHinkley, &taken, &scaled, |value| sums.take(value).map(|change| (change, None))));
    if shares {
        let mut bound = Hddm::new(HDDM);
        found.extend(points(Detector::Hddm, &taken, &scaled, |value| bound.take(value).map(|change| (change, None))));
    }
    found.sort_by_key(|point| (point.row, point.detector));
    found
}

/// The values as the detectors take them, and whether all are shares. `None` when they have no spread or one beyond `f64`.
fn scaled(taken: &[(u64, f64)]) -> Option<(Vec<f64>, bool)> {
    let values: Vec<f64> = taken.iter().map(|(_, value)| *value).collect();
    if values.iter().all(|value| (0.0..=1.0).contains(value)) {
        return Some((values, true));
    }
    let sample = Ordered::of(values.clone())?;
    let (middle, (spread, _)) = (sample.quantile(0.5)?, scale(&sample)?);
    let scaled = values.into_iter().map(|value| (value - middle) / (SPREADS * spread));
    Some((scaled.collect(), false))
}

/// A change before its means are known; places in the values taken.
struct Noticed {
    /// Where it was noticed first.
    at: usize,
    /// Where it was noticed last.
    last: usize,
    change: Change,
}

/// What one detector noticed; it tells a change and, if it has a window, how many values that still holds.
fn points(
    detector: Detector,
    taken: &[(u64, f64)],
    scaled: &[f64],
    mut take: impl FnMut(f64) -> Option<(Change, Option<u64>)>,
) -> Vec<Point> {
    let mut noticed: Vec<Noticed> = Vec::new();
    for (at, value) in scaled.iter().enumerate() {
        let Some((change, window)) = take(*value) else { continue };
        let begins = window.map(|rows| (at + 1).saturating_sub(usize::try_from(rows).unwrap_or(usize::MAX)));
        match noticed.last_mut() {
            // A window that is cut again before all of it is new tells of the same change.
            Some(before) if before.change == change && begins.is_some_and(|begins| begins <= before.at) => before.last = at,
            _ => noticed.push(Noticed { at, last: at, change }),
        }
    }
    let starts = noticed.iter().scan(0, |from, noticed| {
        *from = split(scaled, *from, noticed.last + 1);
        Some(*from)
    });
    let starts: Vec<usize> = std::iter::once(0).chain(starts).chain([taken.len()]).collect();
    let of = |from: usize, upto: usize| mean(&taken.get(from..upto)?.iter().map(|(_, value)| *value).collect::<Vec<_>>());
    let mut found = Vec::new();
    for (noticed, at) in noticed.iter().zip(starts.windows(3)) {
        let (Some(before), Some(after)) = (of(at[0], at[1]), of(at[1], at[2])) else { continue };
        let direction = match noticed.change {
            Change::Up => Direction::Up,
            Change::Down => Direction::Down,
        };
        let (row, since) = (taken[noticed.at].0, taken[at[1]].0);
        let point = Point { detector, row, since, direction, before, after, words: String::new() };
        let words = format!("{} ({detector})", point.said(&format!("row {since}"), &format!("row {row}")));
        found.push(Point { words, ..point });
    }
    found
}

/// The place between `from` and `upto` at which two means leave the least squared distances; after `from` and before `upto`.
fn split(values: &[f64], from: usize, upto: usize) -> usize {
    let part = &values[from..upto];
    let (all, total) = (part.len() as f64, part.iter().sum::<f64>());
    let (mut best, mut sum) = ((0.0, upto - 1), 0.0);
    for (k, value) in (1..part.len()).zip(part) {
        sum += value;
        let (left, right) = (k as f64, all - k as f64);
        // What two means explain, but for a factor that is the same for all places.
        let explained = (sum - left / all * total).powi(2) / (left * right);
        if explained > best.0 {
            best = (explained, from + k);
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::rng::Rng;
    use proptest::prelude::*;

    fn draws(rng: &mut Rng, rows: usize, of_a_hundred: usize) -> Vec<Option<f64>> {
        (0..rows).map(|_| Some(if rng.below(100) < of_a_hundred { 1.0 } else { 0.0 })).collect()
    }

    #[test]
    fn errors_that_come_and_go_are_noticed_both_ways() {
        let mut rng = Rng::new(4);
        let series = [draws(&mut rng, 1000, 10), draws(&mut rng, 1000, 25), draws(&mut rng, 1000, 10)].concat();
        let found = changes(&series);
        for detector in [Detector::Adwin, Detector::Hddm] {
            let of: Vec<&Point> = found.iter().filter(|point| point.detector == detector).collect();
            assert!(of.len() >= 2 && of[0].direction == Direction::Up, "{found:#?}");
            assert!((1000..1600).contains(&of[0].row) && of[0].before < 0.13 && of[0].after > 0.19, "{:?}", of[0]);
            assert!(of.iter().any(|point| point.direction == Direction::Down && (2000..2600).contains(&point.row)), "{of:#?}");
        }
        let first = found.iter().find(|point| point.detector == Detector::Adwin).expect("a change");
        assert!((900..=1100).contains(&first.since), "{first:?}");
        assert!(first.words.contains("the mean is up from 0.1"), "{}", first.words);
    }

    #[test]
    fn a_calm_series_of_any_unit_says_nothing_and_a_step_is_seen() {
        let mut rng = Rng::new(9);
        let mut noise = |rows: usize, mean: f64| (0..rows).map(|_| Some(mean + rng.below(1000) as f64 * 1e3)).collect::<Vec<_>>();
        assert_eq!(changes(&noise(2000, 5e6)), []);
        let step = changes(&[noise(800, 5e6), noise(800, 7e6)].concat());
        assert!(step.iter().any(|point| point.detector == Detector::Adwin && point.direction == Direction::Up), "{step:#?}");
        assert!(step.iter().all(|point| point.detector != Detector::Hddm && point.row > 800), "{step:#?}");
    }

    #[test]
    fn rows_that_are_absent_keep_their_number() {
        let gaps = std::iter::repeat_n(None, 500);
        let series: Vec<Option<f64>> = gaps.chain([Some(0.0); 300]).chain([Some(f64::NAN); 7]).chain([Some(1.0); 300]).collect();
        let found = changes(&series);
        assert!(found.iter().any(|point| point.since == 808), "{found:#?}");
        for nothing in [vec![], vec![None; 5], vec![Some(3.0); 500], vec![Some(f64::MAX), Some(-f64::MAX), Some(5.0)]] {
            assert_eq!(changes(&nothing), []);
        }
    }

    proptest! {
        #[test]
        fn no_input_makes_nan(values in proptest::collection::vec(proptest::option::of(proptest::num::f64::ANY), 0..200)) {
            for point in changes(&values) {
                prop_assert!(point.before.is_finite() && point.after.is_finite() && point.row <= 200);
            }
        }
    }
}
