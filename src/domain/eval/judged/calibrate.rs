//! How a judge agrees with people: Cohen's kappa, the Matthews correlation, sensitivity and specificity, each with its interval.
//!
//! Two who call nearly everything good agree nearly always and prove nothing, so a share of agreement is shown and never counts.
//! Kappa (Cohen 1960) has the large-sample interval of Fleiss, Cohen and Everitt (1969), as statsmodels' `cohens_kappa` gives it;
//! the Matthews correlation is Pearson's on two yes-or-no columns and has Fisher's interval; shares have Wilson's.

use crate::stats::interval::{self, Interval};
use serde::{Deserialize, Serialize};

/// The kappa from which on a judge may decide a gate ("substantial", Landis and Koch 1977).
pub const KAPPA_MIN: f64 = 0.6;
/// Labels below which nothing is said of a judge: fewer leave an interval of kappa that is wider than half its range.
pub const LABELS_MIN: u64 = 20;

/// Rows by what a person and the judge say of them: good or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    /// Both say good.
    pub both_good: u64,
    /// The judge alone says good.
    pub judge_good: u64,
    /// The person alone says good.
    pub person_good: u64,
    /// Neither does.
    pub both_bad: u64,
}

/// A figure with its 95 % interval; `None` where it cannot be said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Figure {
    /// The value.
    pub value: Option<f64>,
    /// Lower end.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
}

/// How a judge agrees with people.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Agreement {
    /// Rows compared.
    pub n: u64,
    /// The rows by what both say.
    pub confusion: Confusion,
    /// Share of rows on which both say the same; says little.
    pub agreement: Figure,
    /// Cohen's kappa; `None` when both say the same of every row, which leaves nothing to agree on.
    pub kappa: Figure,
    /// The Matthews correlation; `None` when one of both never changes its mind.
    pub mcc: Figure,
    /// Share of the rows good to people that the judge finds good.
    pub sensitivity: Figure,
    /// Share of the rows bad to people that the judge finds bad.
    pub specificity: Figure,
}

impl Confusion {
    /// Adds a row.
    pub fn add(&mut self, person: bool, judge: bool) {
        let count = match (person, judge) {
            (true, true) => &mut self.both_good,
            (false, true) => &mut self.judge_good,
            (true, false) => &mut self.person_good,
            (false, false) => &mut self.both_bad,
        };
        *count += 1;
    }

    /// All rows.
    pub fn n(&self) -> u64 {
        self.both_good + self.judge_good + self.person_good + self.both_bad
    }

    /// What these rows say of the judge.
    pub fn agreement(&self) -> Agreement {
        let (good, bad) = (self.both_good + self.person_good, self.judge_good + self.both_bad);
        Agreement {
            n: self.n(),
            confusion: *self,
            agreement: proportion(self.both_good + self.both_bad, self.n()),
            kappa: self.kappa(),
            mcc: self.mcc(),
            sensitivity: proportion(self.both_good, good),
            specificity: proportion(self.both_bad, bad),
        }
    }

    /// (po − pe) / (1 − pe), with the variance of Fleiss, Cohen and Everitt (1969), formula 13.
    fn kappa(&self) -> Figure {
        let [[a, b], [c, d]] = self.shares();
        let (person, judge) = ([a + b, c + d], [a + c, b + d]);
        let observed = a + d;
        let expected = person[0] * judge[0] + person[1] * judge[1];
        if self.n() == 0 || expected >= 1.0 {
            return Figure::default();
        }
        let kappa = (observed - expected) / (1.0 - expected);
        let cell = [[a, b], [c, d]];
        let (mut on, mut off) = (0.0, 0.0);
        for i in 0..2 {
            on += cell[i][i] * (1.0 - (person[i] + judge[i]) * (1.0 - kappa)).powi(2);
            let j = 1 - i;
            off += cell[i][j] * (judge[i] + person[j]).powi(2);
        }
        let off = off * (1.0 - kappa).powi(2);
        let last = (kappa - expected * (1.0 - kappa)).powi(2);
        let variance = (on + off - last) / ((1.0 - expected).powi(2) * number(self.n()));
        let half = variance.max(0.0).sqrt() * z();
        around(kappa, kappa - half, kappa + half)
    }

    /// Pearson's correlation of the two columns, with Fisher's interval.
    fn mcc(&self) -> Figure {
        let [a, b, c, d] = [self.both_good, self.person_good, self.judge_good, self.both_bad].map(number);
        let below = (a + b) * (a + c) * (d + b) * (d + c);
        if below <= 0.0 {
            return Figure::default();
        }
        let mcc = (a * d - b * c) / below.sqrt();
        // atanh has no value at 1, where no row speaks against the judge and nothing says how far the next ones may.
        if self.n() <= 3 || mcc.abs() >= 1.0 {
            return Figure { value: Some(mcc), low: None, high: None };
        }
        let half = z() / number(self.n() - 3).sqrt();
        around(mcc, (mcc.atanh() - half).tanh(), (mcc.atanh() + half).tanh())
    }

    /// Rows are what people say, columns what the judge says.
    fn shares(&self) -> [[f64; 2]; 2] {
        let n = number(self.n().max(1));
        [[number(self.both_good) / n, number(self.person_good) / n], [number(self.judge_good) / n, number(self.both_bad) / n]]
    }
}

impl Agreement {
    /// Why this judge must not decide a gate; `None` when it may.
    pub fn refused(&self) -> Option<String> {
        if self.n < LABELS_MIN {
            return Some(format!("{} labels say nothing of it, {LABELS_MIN} are needed", self.n));
        }
        match self.kappa.value {
            None => Some("its labels are all the same, so agreement proves nothing".to_owned()),
            Some(kappa) if kappa < KAPPA_MIN => Some(format!("its kappa with people is {kappa:.2}, needed is {KAPPA_MIN}")),
            Some(_) => None,
        }
    }
}

fn z() -> f64 {
    interval::z_quantile(interval::CONFIDENCE).unwrap_or(1.96)
}

fn proportion(of: u64, n: u64) -> Figure {
    let found: Option<Interval> = interval::wilson(of, n, interval::CONFIDENCE);
    let value = (n > 0).then(|| number(of) / number(n));
    Figure { value, low: found.map(|i| i.low), high: found.map(|i| i.high) }
}

fn around(value: f64, low: f64, high: f64) -> Figure {
    Figure { value: Some(value), low: Some(low.max(-1.0)), high: Some(high.min(1.0)) }
}

#[expect(clippy::cast_precision_loss, reason = "counts of labels")]
fn number(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests;
