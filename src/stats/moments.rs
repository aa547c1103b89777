//! Count, mean, spread and range of a sample as numbers that merge: those of two parts make those of the whole.
//!
//! Merged as Chan, Golub and LeVeque 1979 do; [`super::describe`] for a sample that is in one piece.

use super::describe::{mean, sd};

/// Moments of at least one finite value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// How many values.
    pub rows: u64,
    /// Their mean, in their unit.
    pub mean: f64,
    /// The sum of their squared distances from the mean, in their unit squared; never negative.
    pub squares: f64,
    /// The least value.
    pub least: f64,
    /// The greatest value.
    pub greatest: f64,
}

impl Moments {
    /// The moments of these values. `None` for no values, values that are not finite, or sums beyond `f64`.
    pub fn of(values: &[f64]) -> Option<Self> {
        let rows = values.len() as u64;
        let squares = sd(values).map_or(0.0, |sd| sd * sd * (rows as f64 - 1.0));
        let least = values.iter().copied().reduce(f64::min)?;
        let greatest = values.iter().copied().reduce(f64::max)?;
        Self { rows, mean: mean(values)?, squares, least, greatest }.finite().filter(|_| rows == 1 || sd(values).is_some())
    }

    /// Those of both samples. `None` beyond `f64` or 2⁶⁴ rows.
    pub fn merged(&self, other: &Self) -> Option<Self> {
        let rows = self.rows.checked_add(other.rows)?;
        let share = other.rows as f64 / rows as f64;
        let apart = other.mean - self.mean;
        let mean = if apart == 0.0 { self.mean } else { self.mean + apart * share };
        let squares = self.squares + other.squares + apart * apart * share * self.rows as f64;
        let (least, greatest) = (self.least.min(other.least), self.greatest.max(other.greatest));
        Self { rows, mean, squares, least, greatest }.finite()
    }

    /// The standard deviation (divisor n − 1), in the unit of the values; `None` for a single row.
    pub fn sd(&self) -> Option<f64> {
        (self.rows > 1).then(|| (self.squares / (self.rows as f64 - 1.0)).sqrt())
    }

    fn finite(self) -> Option<Self> {
        (self.mean.is_finite() && self.squares.is_finite()).then_some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_has_no_moments_is_none() {
        assert_eq!((Moments::of(&[]), Moments::of(&[f64::NAN]), Moments::of(&[1.0, f64::INFINITY])), (None, None, None));
        assert_eq!(Moments::of(&[f64::MAX, -f64::MAX]), None);
        let (low, high) = (Moments::of(&[-f64::MAX]).expect("one"), Moments::of(&[f64::MAX]).expect("one"));
        assert_eq!((low.merged(&high), low.sd()), (None, None));
    }

    proptest! {
        #[test]
        fn parts_make_the_whole(a in proptest::collection::vec(-1e3f64..1e3, 1..40), b in proptest::collection::vec(-1e3f64..1e3, 1..40)) {
            let whole = Moments::of(&[a.clone(), b.clone()].concat()).expect("moments");
            let parts = Moments::of(&a).and_then(|a| a.merged(&Moments::of(&b)?)).expect("moments");
            prop_assert_eq!((whole.rows, whole.least, whole.greatest), (parts.rows, parts.least, parts.greatest));
            prop_assert!((whole.mean - parts.mean).abs() < 1e-9 && (whole.squares - parts.squares).abs() < 1e-6 * (1.0 + whole.squares));
        }
    }
}
