//! The geometry of drawings: bars, boxes and lines as the short paths of SVG.
//!
//! Coordinates are rounded to a tenth, which is less than a pixel, and lie within the drawing whatever the numbers.

use crate::base::page::place;
use crate::domain::drift::figures::{Cell, Figures, Sample, Sides};
use crate::domain::drift::policy::Bands;
use crate::domain::drift::why::share;
use std::fmt::Write as _;

/// The height of a drawing of bars.
const HEIGHT: f64 = 100.0;
/// The width of a cell in it; its bars take a little less.
const CELL: f64 = 10.0;
/// The width of an axis that is drawn along.
pub const AXIS: f64 = 100.0;

/// Both distributions, two bars for each cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Bars {
    /// The width of the drawing; its height is 100.
    pub width: f64,
    /// The paths of the bars.
    pub paths: Sides<String>,
    /// The largest share, which the height stands for.
    pub largest: f64,
}

/// The shares of a cell on both sides.
pub fn shares(figures: &Figures, cell: &Cell) -> Sides<f64> {
    Sides::new(share(cell.rows.reference, figures.n_ref), share(cell.rows.current, figures.n_cur))
}

/// Both distributions of a column; `None` without cells or rows.
pub fn bars(figures: &Figures) -> Option<Bars> {
    let of: Vec<Sides<f64>> = figures.cells.iter().map(|cell| shares(figures, cell)).collect();
    let largest = of.iter().map(|s| s.reference.max(s.current)).fold(0.0, f64::max);
    (largest > 0.0).then_some(())?;
    let path = |offset: f64, side: fn(&Sides<f64>) -> f64| {
        of.iter().enumerate().fold(String::new(), |mut path, (at, shares)| {
            let height = place(side(shares) / largest * HEIGHT);
            if height > 0.0 {
                // Writing to a string cannot fail.
                let _ = write!(path, "M{} 100h4v-{height}h-4z", place(at as f64 * CELL + offset));
            }
            path
        })
    };
    let paths = Sides::new(path(0.8, |s| s.reference), path(5.2, |s| s.current));
    Some(Bars { width: of.len() as f64 * CELL, paths, largest })
}

/// A length on an axis from 0 to `reach`.
pub fn along(value: f64, reach: f64) -> f64 {
    if reach > 0.0 && value.is_finite() { place((value / reach).clamp(0.0, 1.0) * AXIS) } else { 0.0 }
}

/// How far the axis of the index reaches: past the bands and the largest index, but no further than 1, from where all are alike.
pub fn reach(bands: &Bands, indices: impl Iterator<Item = f64>) -> f64 {
    let bands = bands.critical * 4.0 / 3.0;
    bands.max(indices.filter(|i| i.is_finite()).fold(0.0, f64::max).min(1.0))
}

/// The middle of a sample on an axis that both sides share: its 5 %, 25 %, 50 %, 75 % and 95 % points.
pub fn boxes(samples: &Sides<Sample>) -> Option<Sides<[f64; 5]>> {
    let middle = |s: &Sample| s.quantiles.get(1..6).and_then(|q| <[f64; 5]>::try_from(q).ok());
    let (r, c) = (middle(&samples.reference)?, middle(&samples.current)?);
    let (from, to) = (r[0].min(c[0]), r[4].max(c[4]));
    // Halves, because the distance of two finite numbers may not be one.
    let width = to / 2.0 - from / 2.0;
    (width > 0.0).then_some(())?;
    let on_axis = |q: [f64; 5]| q.map(|v| along(v / 2.0 - from / 2.0, width));
    Some(Sides::new(on_axis(r), on_axis(c)))
}

/// A line through values, the oldest at the left, in a drawing 100 wide and 20 high that reaches from 0 to `reach`; `None` for fewer than
/// two.
pub fn line(values: &[f64], reach: f64) -> Option<String> {
    let values: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    let last = values.len().checked_sub(1).filter(|last| *last > 0)?;
    let points = values.iter().enumerate().map(|(at, v)| {
        let (x, y) = (at as f64 / last as f64 * AXIS, 19.0 - along(*v, reach) / AXIS * 18.0);
        format!("{},{}", place(x), place(y))
    });
    Some(points.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cell(reference: u64, current: u64) -> Cell {
        Cell { label: "x".into(), low: None, high: None, rows: Sides::new(reference, current), term: 0.0 }
    }

    #[test]
    fn bars_have_the_height_of_their_share() {
        let figures = Figures { n_ref: 100, n_cur: 50, cells: vec![cell(100, 25), cell(0, 25)], ..Figures::default() };
        let bars = bars(&figures).expect("rows");
        assert_eq!((bars.width, bars.largest), (20.0, 1.0));
        assert_eq!(bars.paths.reference, "M0.8 100h4v-100h-4z");
        assert_eq!(bars.paths.current, "M5.2 100h4v-50h-4zM15.2 100h4v-50h-4z");
        assert_eq!(super::bars(&Figures::default()), None);
    }

    #[test]
    fn both_boxes_stand_on_one_axis() {
        let sample = |quantiles: [f64; 7]| Sample { mean: None, sd: None, quantiles: quantiles.to_vec() };
        let boxes_of = |r, c| boxes(&Sides::new(sample(r), sample(c)));
        let got = boxes_of([-9.0, 0.0, 1.0, 2.0, 3.0, 5.0, 99.0], [0.0, 5.0, 6.0, 7.0, 8.0, 10.0, 11.0]).expect("a width");
        assert_eq!(got, Sides::new([0.0, 10.0, 20.0, 30.0, 50.0], [50.0, 60.0, 70.0, 80.0, 100.0]));
        assert_eq!(boxes_of([4.0; 7], [4.0; 7]), None);
        assert!(boxes_of([f64::MIN; 7], [f64::MAX; 7]).is_some_and(|b| b.reference == [0.0; 5] && b.current == [100.0; 5]));
    }

    #[test]
    fn an_axis_reaches_past_its_bands_and_not_past_one() {
        let bands = Bands { monitor: 0.1, warning: 0.2, critical: 0.3 };
        let of = |indices: &[f64]| reach(&bands, indices.iter().copied());
        assert!((of(&[]) - 0.4).abs() < 1e-12);
        assert_eq!((of(&[0.5, f64::NAN]), of(&[7.0])), (0.5, 1.0));
    }

    proptest! {
        #[test]
        fn lines_stay_in_their_drawing(values in proptest::collection::vec(any::<f64>(), 0..20), reach in 0.0..10.0) {
            for point in line(&values, reach).unwrap_or_default().split_whitespace() {
                let (x, y) = point.split_once(',').expect("a point");
                let (x, y): (f64, f64) = (x.parse().expect("x"), y.parse().expect("y"));
                prop_assert!((0.0..=100.0).contains(&x) && (1.0..=19.0).contains(&y), "{}", point);
            }
        }
    }
}
