//! Logistic regression on sparse rows, with a ridge: the weights that tell two samples apart.
//!
//! Minimises ½·|w|² + C·Σ ln(1 + exp(−y·(w·x + b))), the intercept b free, as scikit-learn's `LogisticRegression(C)` does, by Newton's method
//! with conjugate gradients (Lin, Weng and Keerthi 2008, JMLR 9). Without randomness: the same rows give the same weights.

/// Steps of Newton's method; some six are enough.
const STEPS: usize = 50;
/// Steps of conjugate gradients for each.
const INNER: usize = 100;
/// Ends when the gradient is this small beside that at the start.
const PRECISION: f64 = 1e-7;

/// The features of a row that are not 0: number and value.
pub type Sparse = Vec<(usize, f64)>;

/// What tells the samples apart. Invariant: finite.
#[derive(Clone, Debug, PartialEq)]
pub struct Logistic {
    /// One for each feature.
    pub weights: Vec<f64>,
    /// What a row without features has.
    pub intercept: f64,
}

impl Logistic {
    /// The logarithm of the odds that a row is of the second sample. Features beyond the weights count for nothing.
    pub fn score(&self, row: &Sparse) -> f64 {
        self.intercept + row.iter().filter_map(|(feature, value)| Some(self.weights.get(*feature)? * value)).sum::<f64>()
    }
}

/// Fits the weights of so many `features`; `second` tells of each row which sample it is of. `None` for a feature beyond them, a
/// value or a `strength` (C) that is not finite, another number of rows, or a sample without rows.
pub fn logistic(rows: &[Sparse], second: &[bool], features: usize, strength: f64) -> Option<Logistic> {
    let sound = rows.iter().flatten().all(|(feature, value)| *feature < features && value.is_finite());
    let both = second.contains(&true) && second.contains(&false);
    (rows.len() == second.len() && sound && both && strength > 0.0 && strength.is_finite()).then_some(())?;
    let problem = Problem { rows, second, strength };
    // The intercept is the last.
    let mut at = vec![0.0; features + 1];
    let mut best = problem.loss(&at);
    let start = norm(&problem.gradient(&at).0);
    for _ in 0..STEPS {
        let (gradient, curvature) = problem.gradient(&at);
        if norm(&gradient) <= PRECISION * start {
            break;
        }
        let step = problem.step(&gradient, &curvature);
        // Newton's step may go too far away from the solution; half of it, and so on, does not.
        let Some((next, loss)) = (0..30).find_map(|halvings| {
            let next: Vec<f64> = at.iter().zip(&step).map(|(a, s)| a + s / f64::from(1 << halvings)).collect();
            let loss = problem.loss(&next);
            (loss < best).then_some((next, loss))
        }) else {
            break;
        };
        (at, best) = (next, loss);
    }
    let intercept = at.pop()?;
    let finite = at.iter().chain([&intercept]).all(|v| v.is_finite());
    finite.then_some(Logistic { weights: at, intercept })
}

struct Problem<'a> {
    rows: &'a [Sparse],
    second: &'a [bool],
    strength: f64,
}

impl Problem<'_> {
    fn scores(&self, at: &[f64]) -> Vec<f64> {
        let (intercept, weights) = at.split_last().expect("there is an intercept");
        self.rows.iter().map(|row| intercept + row.iter().map(|(i, v)| weights[*i] * v).sum::<f64>()).collect()
    }

    fn loss(&self, at: &[f64]) -> f64 {
        let ridge = at[..at.len() - 1].iter().map(|w| w * w).sum::<f64>() / 2.0;
        let of_row = |(score, second): (f64, &bool)| {
            let margin = if *second { score } else { -score };
            // ln(1 + exp(−margin)) without overflow.
            (-margin.abs()).exp().ln_1p() + (-margin).max(0.0)
        };
        ridge + self.strength * self.scores(at).into_iter().zip(self.second).map(of_row).sum::<f64>()
    }

    /// The gradient, and how much each row bends the loss.
    fn gradient(&self, at: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let chances: Vec<f64> = self.scores(at).into_iter().map(|score| 1.0 / (1.0 + (-score).exp())).collect();
        let errors: Vec<f64> = chances.iter().zip(self.second).map(|(p, second)| p - f64::from(u8::from(*second))).collect();
        (self.gathered(&errors, at), chances.iter().map(|p| p * (1.0 - p)).collect())
    }

    /// C·Σ factor·(x, 1) over the rows, and the ridge's share of it.
    fn gathered(&self, factors: &[f64], at: &[f64]) -> Vec<f64> {
        let mut sum = at.to_vec();
        let (intercept, weights) = sum.split_last_mut().expect("there is an intercept");
        *intercept = self.strength * factors.iter().sum::<f64>();
        for (row, factor) in self.rows.iter().zip(factors) {
            row.iter().for_each(|(i, v)| weights[*i] += self.strength * factor * v);
        }
        sum
    }

    /// The solution of curvature · step = −gradient, near enough for a step.
    fn step(&self, gradient: &[f64], curvature: &[f64]) -> Vec<f64> {
        let mut step = vec![0.0; gradient.len()];
        let mut rest: Vec<f64> = gradient.iter().map(|g| -g).collect();
        let mut along = rest.clone();
        let mut square = dot(&rest, &rest);
        // The nearer the solution, the better the step: then the last ones square the error.
        let enough = square * (0.1f64.min(square.sqrt())).powi(2);
        for _ in 0..INNER {
            let factors: Vec<f64> = self.scores(&along).into_iter().zip(curvature).map(|(score, bend)| score * bend).collect();
            let bent = self.gathered(&factors, &along);
            let length = dot(&along, &bent);
            if length <= 0.0 || square <= enough {
                break;
            }
            let by = square / length;
            step.iter_mut().zip(&along).for_each(|(s, a)| *s += by * a);
            rest.iter_mut().zip(&bent).for_each(|(r, b)| *r -= by * b);
            let next = dot(&rest, &rest);
            along.iter_mut().zip(&rest).for_each(|(a, r)| *a = r + next / square * *a);
            square = next;
        }
        step
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::vectors::{cloud_rows, near};

    /// scikit-learn 1.9.1 `LogisticRegression(C=1, tol=1e-12)`.
    #[test]
    fn weights_agree_with_scikit_learn() {
        for row in cloud_rows("logistic") {
            let width = row.u64("width") as usize;
            let sparse = |values: &[f64]| values.iter().copied().enumerate().filter(|(_, v)| *v != 0.0).collect::<Sparse>();
            let rows: Vec<Sparse> = row.list("rows").chunks(width).map(sparse).collect();
            let second: Vec<bool> = row.list("labels").iter().map(|label| *label == 1.0).collect();
            let got = logistic(&rows, &second, width, 1.0).expect("weights");
            near(Some(got.intercept), row.f64("intercept"), 1e-5, "intercept");
            for (got, want) in got.weights.iter().zip(row.list("weights")) {
                assert!((got - want).abs() < 1e-6, "{got} is not {want}");
            }
        }
    }

    #[test]
    fn rows_that_can_be_told_apart_are_and_weights_stay_finite() {
        let rows: Vec<Sparse> = (0..40).map(|i| vec![(usize::from(i % 2 == 0), 1.0)]).collect();
        let second: Vec<bool> = (0..40).map(|i| i % 2 == 0).collect();
        let got = logistic(&rows, &second, 2, 1e6).expect("weights");
        assert!(rows.iter().zip(&second).all(|(row, second)| (got.score(row) > 0.0) == *second), "{got:?}");
        assert_eq!(got.score(&vec![(9, 1.0)]), got.intercept);
    }

    #[test]
    fn what_cannot_be_fitted_is_none() {
        let row = |feature, value| vec![(feature, value)];
        let two = [row(0, 1.0), row(0, 2.0)];
        assert!(logistic(&two, &[true, true], 1, 1.0).is_none() && logistic(&two, &[true], 1, 1.0).is_none());
        assert!(logistic(&two, &[true, false], 0, 1.0).is_none() && logistic(&[], &[], 1, 1.0).is_none());
        assert!(logistic(&[row(0, f64::NAN), row(0, 1.0)], &[true, false], 1, 1.0).is_none());
        assert!([0.0, f64::NAN, f64::INFINITY].iter().all(|c| logistic(&two, &[true, false], 1, *c).is_none()));
    }
}
