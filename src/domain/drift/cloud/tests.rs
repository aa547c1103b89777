//! Clouds of vectors from reading to ruling: laws without drift, what is found, what is refused.

use super::compare::{Figures, compare};
use super::rule::{Effect, Limits, calibrated, specified};
use super::*;
use crate::stats::rng::Rng;

/// Five clumps of different size in `width` directions, more of them far out than a normal law has, as embeddings are.
pub(in crate::domain::drift) fn vectors(rng: &mut Rng, rows: usize, width: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(rows * width);
    for _ in 0..rows {
        let clump = [0, 0, 0, 1, 1, 2, 2, 3, 3, 4][rng.below(10)];
        let heavy = 1.0 + rng.normal().abs();
        out.extend((0..width).map(|i| {
            let centre = if i % 5 == clump { 4.0 } else { 0.5 };
            (centre + heavy * rng.normal() * 0.7 / (1.0 + i as f64 / 8.0)) as f32
        }));
    }
    out
}

fn present(values: &[f32], width: usize) -> Vec<bool> {
    vec![true; values.len() / width]
}

fn frame(values: &[f32], width: usize, seed: u64) -> Result<Frame, Refused> {
    let rows = (values.len() / width) as u64;
    let mut fit = Fit::new(width, rows, Some("m"), seed)?;
    // In two parts, to see that a part is no whole.
    let (first, rest) = values.split_at(rows as usize / 3 * width);
    for part in [first, rest] {
        fit.add(width, part, &present(part, width))?;
    }
    fit.frame()
}

pub(in crate::domain::drift) fn reference(values: &[f32], width: usize, seed: u64) -> CloudProfile {
    let mut tally = Tally::reference(frame(values, width, seed).expect("a frame"), (values.len() / width) as u64);
    tally.add(width, values, &present(values, width)).expect("the same rows");
    tally.profile()
}

pub(in crate::domain::drift) fn current(reference: &CloudProfile, values: &[f32]) -> CloudProfile {
    let width = reference.frame().width();
    let mut tally = Tally::current(reference, (values.len() / width) as u64, Some("m")).expect("the same model");
    tally.add(width, values, &present(values, width)).expect("the same width");
    tally.profile()
}

fn figures(a: &[f32], b: &[f32], width: usize, seed: u64) -> Figures {
    let reference = reference(a, width, seed);
    compare(&reference, &current(&reference, b)).expect("one frame")
}

fn drifted(figures: &Figures) -> Option<bool> {
    calibrated(figures, figures.discrepancy.map(|d| d.p_value), &Limits::default()).drifted
}

/// A hundred pairs without drift of 200 to 2,000 rows. Below 0.05 there are more than 13 once in a thousand, and outside of 34 to 66 below
/// 0.5; of the divergence, whose law is that of normal vectors, the bias is asked only.
#[test]
fn without_drift_chances_are_uniform_and_nothing_is_called() {
    let width = 40;
    let all: Vec<Figures> = (0..100u64)
        .map(|seed| {
            let mut rng = Rng::new(5_000 + seed);
            let rows = 200 + 22 * (seed as usize % 10).pow(2);
            let (a, b) = (vectors(&mut rng, rows, width), vectors(&mut rng, rows * 2 / 3, width));
            figures(&a, &b, width, seed)
        })
        .collect();
    let uniform = |what: &str, p: &dyn Fn(&Figures) -> Option<f64>| {
        let p: Vec<f64> = all.iter().map(|f| p(f).unwrap_or_else(|| panic!("no {what}"))).collect();
        let below = |bar: f64| p.iter().filter(|p| **p < bar).count();
        assert!(below(0.05) <= 13 && (34..=66).contains(&below(0.5)), "{what}: {} and {} of 100", below(0.05), below(0.5));
    };
    uniform("discrepancy", &|f| f.discrepancy.map(|d| d.p_value));
    uniform("clusters", &|f| f.clusters.as_ref().map(|c| c.contingency.p_value));
    uniform("centroid", &|f| f.centroid.map(|s| s.p_value));
    uniform("components", &|f| f.components.as_ref().map(|c| c.p_value));
    uniform("distance from the mean", &|f| f.from_mean.smirnov.map(|s| s.p_value));
    uniform("distance from the components", &|f| f.outside.smirnov.map(|s| s.p_value));
    let mean = |of: &dyn Fn(&Figures) -> Option<f64>| all.iter().filter_map(of).sum::<f64>() / all.len() as f64;
    let shift = mean(&|f| f.centroid.map(|s| s.value));
    assert!((0.7..1.4).contains(&shift), "{shift} is not about 1");
    assert!(mean(&|f| f.gaussian.map(|g| g.value)) < 0.03, "a divergence less its bias");
    assert!(mean(&|f| f.novelty.map(|n| n.difference)).abs() < 0.01 && mean(&|f| f.reconstruction) < 1.15);
    let called = all.iter().filter(|f| drifted(f) != Some(false)).count();
    assert_eq!(called, 0, "drift called where there is none");
}

/// A fifth of the rows in a new place is found at 200 rows a side, in every seed; what grew and what is new is told.
#[test]
fn a_fifth_that_moved_is_found() {
    let width = 12;
    for seed in 0..10 {
        let mut rng = Rng::new(seed);
        let (a, mut b) = (vectors(&mut rng, 240, width), vectors(&mut rng, 240, width));
        for row in b.chunks_mut(width).take(48) {
            row.iter_mut().enumerate().for_each(|(i, v)| *v = (if i == 7 { -6.0 } else { 0.0 } + rng.normal() * 0.5) as f32);
        }
        let figures = figures(&a, &b, width, seed);
        assert_eq!(drifted(&figures), Some(true), "seed {seed}: {:?}", figures.discrepancy);
        assert!(figures.novelty.is_some_and(|n| n.difference > 0.05) && figures.centroid.is_some_and(|s| s.value > 4.0));
        assert_eq!(specified(&figures, &Limits::default()).drifted, Some(true), "seed {seed}");
    }
}

/// Rows off the space of the components, which is all that they share: only the distances outside of it tell, and the discrepancy.
#[test]
fn what_leaves_the_components_is_found() {
    let (width, rows) = (60, 1200);
    let draw = |rng: &mut Rng, moved: bool| -> Vec<f32> {
        let mut out = Vec::new();
        for _ in 0..rows {
            out.extend((0..width).map(|i| {
                let off = if moved && i == 55 { 1.5 } else { 0.0 };
                (rng.normal() * if i < 34 { 2.0 } else { 0.3 } + off) as f32
            }));
        }
        out
    };
    let mut rng = Rng::new(8);
    let (a, b, c) = (draw(&mut rng, false), draw(&mut rng, false), draw(&mut rng, true));
    let reference = reference(&a, width, 1);
    let [same, moved] = [&b, &c].map(|side| compare(&reference, &current(&reference, side)).expect("one frame"));
    assert_eq!((drifted(&same), drifted(&moved)), (Some(false), Some(true)));
    let ruling = calibrated(&moved, Some(0.0), &Limits::default());
    let passed: Vec<Effect> = ruling.effects.iter().filter(|found| found.passed).map(|found| found.effect).collect();
    assert!(passed.contains(&Effect::Outside) && !passed.contains(&Effect::Clusters), "{passed:?}");
}

#[test]
fn parts_make_the_whole_and_survive_storage() {
    let width = 36;
    let mut rng = Rng::new(3);
    let (a, b) = (vectors(&mut rng, 400, width), vectors(&mut rng, 300, width));
    let reference = reference(&a, width, 1);
    let stored = serde_json::to_string(&reference.stored()).expect("JSON");
    let read: CloudProfile = serde_json::from_str(&stored).expect("read back");
    assert_eq!(read, reference.stored());
    let (first, rest) = b.split_at(150 * width);
    let merged = current(&read, first).merged(&current(&read, rest)).expect("one frame");
    let whole = current(&read, &b);
    assert_eq!((merged.counted(), merged.measured()), (whole.counted(), whole.measured()));
    assert_eq!((&merged.0.along, &merged.0.clusters, merged.0.novel), (&whole.0.along, &whole.0.clusters, whole.0.novel));
    assert_eq!((&merged.0.near, &merged.0.farthest), (&whole.0.near, &whole.0.farthest));
    let [one, two] = [&merged, &whole].map(|side| compare(&read, side).expect("one frame"));
    let close = |a: Option<f64>, b: Option<f64>| a.zip(b).is_some_and(|(a, b)| (a - b).abs() < 1e-9 * (1.0 + b.abs()));
    assert!(close(one.centroid.map(|s| s.value), two.centroid.map(|s| s.value)) && close(one.cosine, two.cosine));
    assert!(close(one.gaussian.map(|g| g.value), two.gaussian.map(|g| g.value)) && close(one.reconstruction, two.reconstruction));
    let elsewhere = self::reference(&a, width, 2);
    assert_eq!(elsewhere.merged(&reference).err(), Some(Refused::Frame));
    assert_eq!(compare(&elsewhere, &whole).err(), Some(Refused::Frame));
}

#[test]
fn a_stored_profile_that_is_none_is_refused() {
    let profile = reference(&vectors(&mut Rng::new(3), 60, 3), 3, 1);
    let good = serde_json::to_value(&profile).expect("JSON");
    assert!(serde_json::from_value::<CloudProfile>(good.clone()).is_ok());
    for (path, bad) in [
        ("/clusters", "[1, 2]"),
        ("/measured", "999"),
        ("/block", "0"),
        ("/blocks", "\"AAAA\""),
        ("/frame/edges", "[]"),
        ("/frame/basis", "[]"),
        ("/frame/basis/2", "\"AAAAAAAA8D8=\""),
        ("/frame/novel", "9221120237041090560"),
        ("/centre", "[0, \"\", 0]"),
        ("/cloud", "[1, \"AAAAAAAA8D8=\"]"),
    ] {
        let mut changed = good.clone();
        *changed.pointer_mut(path).expect(path) = serde_json::from_str(bad).expect("JSON");
        assert!(serde_json::from_value::<CloudProfile>(changed).is_err(), "{path}");
    }
}

#[test]
fn rows_that_cannot_be_used_are_counted_by_kind() {
    let width = 4;
    let a = vectors(&mut Rng::new(1), 300, width);
    let reference = reference(&a, width, 1);
    let mut b = vectors(&mut Rng::new(2), 100, width);
    b[..width].fill(0.0);
    b[width] = f32::NAN;
    b[2 * width] = f32::INFINITY;
    b[3 * width..4 * width].fill(f32::MAX);
    b[4 * width] = f32::MIN;
    let mut there = present(&b, width);
    there[9] = false;
    let mut tally = Tally::current(&reference, 100, None).expect("no model is told");
    tally.add(width, &b, &there).expect("the same width");
    let profile = tally.profile();
    assert_eq!(*profile.counted(), Counted { usable: 96, far: 2, absent: 1, not_finite: 2, zero: 1 });
    assert_eq!((profile.counted().rows(), profile.farthest()[0].row, profile.measured()), (100, 3, 96));
    let figures = compare(&reference, &profile).expect("one frame");
    assert!(figures.zero.is_some_and(|p| p.difference == 0.01) && figures.absent.is_some_and(|p| p.difference == 0.01));
    finite(&figures);
    assert!(figures.not_finite.is_some_and(|p| p.difference == 0.02));
}

/// Every number that is told is one.
fn finite(figures: &Figures) {
    let told = format!("{figures:?}");
    assert!(!told.contains("NaN") && !told.contains("inf"), "{told}");
}

#[test]
fn sides_without_spread_have_figures_without_nan() {
    let width = 3;
    let constant = vec![0.25f32; 80 * width];
    let wide = vectors(&mut Rng::new(4), 80, width);
    let huge: Vec<f32> = wide.iter().map(|v| v * 1e37).collect();
    let tiny: Vec<f32> = wide.iter().map(|v| v * 1e-30).collect();
    for a in [&constant, &wide, &huge, &tiny] {
        let reference = reference(a, width, 7);
        for b in [&constant, &wide, &huge, &tiny, &Vec::new(), &vec![1.0; width]] {
            let current = current(&reference, b);
            let figures = compare(&reference, &current).expect("one frame");
            finite(&figures);
            let same = a == b;
            let drifted = specified(&figures, &Limits::default()).drifted;
            assert!(!same || drifted != Some(true), "drift of a side from itself: {figures:?}");
            let stored = serde_json::to_string(&current).expect("JSON");
            assert_eq!(serde_json::from_str::<CloudProfile>(&stored).expect("read back"), current);
        }
    }
    // A constant that moved: no spread, no components, no kernel; the distance tells it.
    let moved = figures(&constant, &vec![0.5; 80 * width], width, 1);
    assert!(moved.discrepancy.is_none() && moved.from_mean.cells.is_some_and(|c| c.psi.p_value < 1e-9));
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let a = vectors(&mut Rng::new(1), 100, 4);
    let profile = reference(&a, 4, 1);
    assert_eq!(Fit::new(0, 9, None, 1).err(), Some(Refused::Unusable { width: 0 }));
    assert!(Fit::new(WIDTH_MOST + 1, 9, None, 1).is_err());
    let other = Refused::Model { reference: "m".to_owned(), current: "other".to_owned() };
    assert_eq!(Tally::current(&profile, 9, Some("other")).err(), Some(other));
    let mut tally = Tally::current(&profile, 9, None).expect("no model is told");
    assert_eq!(tally.add(5, &[1.0; 5], &[true]), Err(Refused::Width { reference: 4, current: 5 }));
    assert_eq!(tally.add(4, &[1.0; 5], &[true]), Err(Refused::Ragged));
    assert!(matches!(frame(&a[..8 * 4], 4, 1), Err(Refused::TooFew { least: ROWS_LEAST, .. })));
    for refused in [Refused::Frame, Refused::Overflow, Refused::Ragged] {
        assert!(!refused.to_string().is_empty());
    }
}

#[test]
fn wanted_rows_get_their_texts() {
    let a = vectors(&mut Rng::new(1), 200, 4);
    let mut profile = reference(&a, 4, 1);
    let wanted = profile.wanted();
    assert!(wanted.len() >= profile.frame().clusters() && wanted.iter().all(|row| *row < 200));
    wanted.iter().for_each(|row| profile.tell(*row, &format!("row {row} {}", "ä".repeat(300))));
    profile.tell(9_999, "no row");
    for near in (0..profile.frame().clusters()).flat_map(|i| profile.near(i)).chain(profile.farthest()) {
        let text = near.text.as_ref().expect("told");
        assert!(text.starts_with(&format!("row {} ", near.row)) && text.chars().count() == 200);
    }
    assert!(profile.near(99).is_empty());
}

/// The literal rule tells how often it is wrong: for few rows nearly always, for many nearly never.
#[test]
fn the_specified_rule_tells_its_false_alarms() {
    let width = 12;
    let alarms = |rows: usize| {
        let mut rng = Rng::new(rows as u64);
        let (a, b) = (vectors(&mut rng, rows, width), vectors(&mut rng, rows, width));
        let ruling = specified(&figures(&a, &b, width, 1), &Limits::default());
        let of = |effect| ruling.effects.iter().find(|f| f.effect == effect).and_then(|f| f.false_alarms).expect("a law");
        (of(Effect::Components), ruling.drifted)
    };
    let (few, called) = alarms(100);
    assert!(few > 0.9 && called == Some(true), "{few} {called:?}");
    let (many, called) = alarms(1500);
    assert!(many < 1e-3 && called == Some(false), "{many} {called:?}");
}
