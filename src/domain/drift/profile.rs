//! What is kept of a numeric column: counts, moments, exact counts of fixed cells and a grid of exact order statistics.
//!
//! About 66 kB whatever the rows. Profiles of parts merge to one of the whole when they have the same cells. A profile stores
//! every `f64` as its bits: what is read back is what was written, to the last digit.

use super::bins::{Histogram, edges};
use crate::stats::moments::Moments;
use crate::stats::ordered::{GRID, Ordered};
use serde::{Deserialize, Serialize};

/// A numeric column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Numeric {
    /// Rows that hold a finite number.
    pub finite: u64,
    /// Rows that are null.
    pub nulls: u64,
    /// Rows that are NaN.
    pub nan: u64,
    /// Rows that are +∞ or −∞.
    pub infinite: u64,
    #[serde(with = "exact::moments")]
    moments: Option<Moments>,
    histogram: Histogram,
    #[serde(with = "exact::ordered")]
    grid: Option<Ordered>,
}

/// The cells of a column on their way to a profile: eight bytes for each finite one.
#[derive(Debug, Default)]
pub struct Gathered {
    nulls: u64,
    nan: u64,
    infinite: u64,
    values: Vec<f64>,
}

impl Gathered {
    /// None yet, with room for so many.
    pub fn with_room(rows: usize) -> Self {
        Self { values: Vec::with_capacity(rows), ..Self::default() }
    }

    /// Adds a cell; `None` is a null.
    pub fn add(&mut self, cell: Option<f64>) {
        match cell {
            None => self.nulls += 1,
            Some(value) if value.is_nan() => self.nan += 1,
            Some(value) if value.is_infinite() => self.infinite += 1,
            Some(value) => self.values.push(value),
        }
    }

    /// Their profile, as [`Numeric::of`] makes it.
    pub fn profile(self, given: Option<&[f64]>) -> Option<Numeric> {
        let Self { nulls, nan, infinite, values } = self;
        let (finite, moments) = (values.len() as u64, Moments::of(&values));
        let grid = Ordered::of(values);
        let own = || grid.as_ref().map(edges).unwrap_or_default();
        let edges = given.map_or_else(own, <[f64]>::to_vec);
        let histogram = match &grid {
            Some(sample) => Histogram::of(sample, &edges)?,
            None => Histogram::empty(edges)?,
        };
        Some(Numeric { finite, nulls, nan, infinite, moments, histogram, grid })
    }
}

impl Numeric {
    /// The profile of a column's cells, exact ([`Self::stored`] makes it small); `None` is a null. Its values are counted in cells with
    /// the `edges` given, which must be finite and strictly ascending (those of a profile are), else at quantiles of its own. `None`
    /// only for other edges.
    pub fn of(cells: impl IntoIterator<Item = Option<f64>>, given: Option<&[f64]>) -> Option<Self> {
        let mut gathered = Gathered::default();
        cells.into_iter().for_each(|cell| gathered.add(cell));
        gathered.profile(given)
    }

    /// The same in the size that is stored: at most [`GRID`] order statistics.
    #[must_use]
    pub fn stored(&self) -> Self {
        Self { grid: self.grid.as_ref().map(|grid| grid.thinned(GRID)), ..self.clone() }
    }

    /// The profile of both. `None` when their cells differ or the rows are beyond counting.
    pub fn merged(&self, other: &Self) -> Option<Self> {
        let both = |a: u64, b: u64| a.checked_add(b);
        // A part whose moments are beyond `f64` leaves the whole without.
        let moments = match (self.finite, other.finite) {
            (0, _) => other.moments,
            (_, 0) => self.moments,
            _ => self.moments.zip(other.moments).and_then(|(a, b)| a.merged(&b)),
        };
        let grid = match (&self.grid, &other.grid) {
            (Some(a), Some(b)) => Some(a.merged(b)?),
            (one, another) => one.as_ref().or(another.as_ref()).cloned(),
        };
        Some(Self {
            finite: both(self.finite, other.finite)?,
            nulls: both(self.nulls, other.nulls)?,
            nan: both(self.nan, other.nan)?,
            infinite: both(self.infinite, other.infinite)?,
            moments,
            histogram: self.histogram.merged(&other.histogram)?,
            grid,
        })
    }

    /// All rows.
    pub fn rows(&self) -> u64 {
        self.finite.saturating_add(self.nulls).saturating_add(self.nan).saturating_add(self.infinite)
    }

    /// Moments of the finite values; `None` when there are none or they are beyond `f64`.
    pub fn moments(&self) -> Option<&Moments> {
        self.moments.as_ref()
    }

    /// The finite values by cell; exact whatever was merged.
    pub fn histogram(&self) -> &Histogram {
        &self.histogram
    }

    /// The finite values in order; `None` when there are none. Says itself by how much it may be off.
    pub fn sample(&self) -> Option<&Ordered> {
        self.grid.as_ref()
    }
}

/// How an `f64` is stored: as its bits, because decimal digits are read back right by some readers only.
pub(super) mod exact {
    pub(crate) mod list {
        use serde::{Deserialize, Deserializer, Serialize, Serializer};

        pub(crate) fn serialize<S: Serializer>(values: &[f64], to: S) -> Result<S::Ok, S::Error> {
            values.iter().map(|v| v.to_bits()).collect::<Vec<u64>>().serialize(to)
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<f64>, D::Error> {
            Ok(Vec::<u64>::deserialize(from)?.into_iter().map(f64::from_bits).collect())
        }
    }

    pub(crate) mod ordered {
        use crate::stats::ordered::Ordered;
        use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

        pub(crate) fn serialize<S: Serializer>(sample: &Option<Ordered>, to: S) -> Result<S::Ok, S::Error> {
            let points = |s: &Ordered| s.points().iter().map(|(v, upto)| (v.to_bits(), *upto)).collect::<Vec<_>>();
            sample.as_ref().map(|s| (points(s), s.slack(), s.shift().to_bits())).serialize(to)
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Ordered>, D::Error> {
            let Some((points, slack, shift)) = Option::<(Vec<(u64, u64)>, u64, u64)>::deserialize(from)? else { return Ok(None) };
            let points = points.into_iter().map(|(bits, upto)| (f64::from_bits(bits), upto)).collect();
            let sample = Ordered::from_parts(points, slack, f64::from_bits(shift));
            sample.map(Some).ok_or_else(|| D::Error::custom("order statistics must ascend"))
        }
    }

    pub(crate) mod moments {
        use crate::stats::moments::Moments;
        use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

        pub(crate) fn serialize<S: Serializer>(moments: &Option<Moments>, to: S) -> Result<S::Ok, S::Error> {
            moments.map(|m| (m.rows, [m.mean, m.squares, m.least, m.greatest].map(f64::to_bits))).serialize(to)
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Moments>, D::Error> {
            let Some((rows, bits)) = Option::<(u64, [u64; 4])>::deserialize(from)? else { return Ok(None) };
            let [mean, squares, least, greatest] = bits.map(f64::from_bits);
            let finite = [mean, squares, least, greatest].iter().all(|v| v.is_finite());
            let sound = rows > 0 && finite && squares >= 0.0 && least <= greatest;
            sound.then_some(Some(Moments { rows, mean, squares, least, greatest })).ok_or_else(|| D::Error::custom("no moments"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn column(cells: &[Option<f64>]) -> Numeric {
        Numeric::of(cells.iter().copied(), None).expect("own edges")
    }

    #[test]
    fn what_is_no_finite_number_is_counted_by_kind() {
        let got = column(&[Some(1.0), None, Some(f64::NAN), Some(f64::INFINITY), Some(f64::NEG_INFINITY), Some(2.0), None]);
        assert_eq!((got.finite, got.nulls, got.nan, got.infinite, got.rows()), (2, 2, 1, 2, 7));
        assert_eq!(got.moments().map(|m| (m.mean, m.least, m.greatest)), Some((1.5, 1.0, 2.0)));
    }

    #[test]
    fn a_column_without_numbers_is_a_profile_too() {
        for cells in [&[][..], &[None, None], &[Some(f64::NAN)]] {
            let got = column(cells);
            assert_eq!((got.finite, got.moments(), got.sample(), got.histogram().counts()), (0, None, None, &[0u64][..]));
        }
    }

    #[test]
    fn other_cells_do_not_merge_and_bad_edges_are_refused() {
        let (a, b) = (column(&[Some(1.0)]), column(&[Some(2.0)]));
        assert_eq!(a.merged(&b), None);
        assert_eq!(Numeric::of([Some(1.0)], Some(&[2.0, 1.0])), None);
    }

    #[test]
    fn sums_beyond_f64_leave_the_order() {
        let got = column(&[Some(f64::MAX), Some(-f64::MAX)]);
        assert!(got.moments().is_none() && got.sample().is_some());
        let more = Numeric::of([Some(1.0)], Some(got.histogram().edges())).expect("the same edges");
        assert!(more.merged(&got).is_some_and(|m| m.moments().is_none() && m.finite == 3));
    }

    #[test]
    fn a_stored_profile_that_is_none_is_refused() {
        let good = serde_json::to_value(column(&[Some(1.0), Some(2.0)])).expect("JSON");
        for (key, bad) in
            [("grid", "[[[9, 1], [3, 2]], 0, 0]"), ("moments", "[0, [0, 0, 0, 0]]"), ("histogram", r#"{"edges":[],"counts":[]}"#)]
        {
            let mut changed = good.clone();
            changed[key] = serde_json::from_str(bad).expect("JSON");
            assert!(serde_json::from_value::<Numeric>(changed).is_err(), "{key}");
        }
    }

    proptest! {
        #[test]
        fn parts_make_the_whole_and_survive_storage(
            a in proptest::collection::vec(proptest::option::of(proptest::num::f64::ANY), 0..80),
            b in proptest::collection::vec(proptest::option::of(-5f64..5.0), 0..80),
        ) {
            let whole = column(&[a.clone(), b.clone()].concat());
            let edges = Some(whole.histogram().edges());
            let part = |cells: Vec<Option<f64>>| Numeric::of(cells, edges).expect("edges").stored();
            let merged = part(a).merged(&part(b)).expect("the same cells");
            prop_assert_eq!((merged.finite, merged.nulls, merged.nan, merged.infinite), (whole.finite, whole.nulls, whole.nan, whole.infinite));
            prop_assert_eq!((merged.histogram(), merged.sample()), (whole.histogram(), whole.sample()));
            let stored = serde_json::to_string(&merged).expect("JSON");
            prop_assert_eq!(serde_json::from_str::<Numeric>(&stored).expect("read back"), merged);
        }
    }
}
