//! The treatment against control in one metric: chances, evidence, intervals; and guardrails against their margins.

use super::analyse::{Compared, Guarded, Held, Side, Values};
use super::{Better, Design, Guardrail, Kind, Metric, Setup};
use crate::stats::contingency::newcombe;
use crate::stats::describe::Moments;
use crate::stats::interval::{CONFIDENCE, z_quantile};
use crate::stats::power::{ALPHA, POWER};
use crate::stats::{evidence, multiplicity, posterior, sequential, tail};

/// How large a difference is looked for where nobody planned one, in standard deviations (Cohen's small effect is 0.2).
const REACH: f64 = 0.1;
/// Beyond e^700 nothing is left to be told apart.
pub(super) const LOG_MAX: f64 = 700.0;

/// Of moments those of the values turned so that more is better, and within 0 to 1 where they were.
fn turned(metric: &Metric, values: &Moments) -> Moments {
    match (metric.better, metric.kind) {
        (Better::Higher, _) => *values,
        (Better::Lower, Kind::Mean) => Moments { mean: -values.mean, ..*values },
        (Better::Lower, _) => Moments { mean: 1.0 - values.mean, ..*values },
    }
}

/// The values of a metric turned so that more is better.
fn better(metric: &Metric, values: &Values) -> Values {
    let (control, treatment) = (turned(metric, &values.control), turned(metric, &values.treatment));
    let mut good = Values { control, treatment, ..values.clone() };
    if metric.better == Better::Lower {
        good.pairs.mean = -good.pairs.mean;
        good.differences.iter_mut().for_each(|d| *d = -*d);
    }
    good
}

/// A count of ones; moments of zeros and ones give it back exactly.
fn hits(values: &Moments) -> (u64, u64) {
    ((values.mean * values.n as f64).round() as u64, values.n)
}

/// How large a difference is looked for: what was planned, else a part of the spread.
fn reach_of(planned: Option<f64>, values: &[&Moments]) -> f64 {
    let spread = values.iter().map(|m| m.squares()).sum::<f64>() / values.iter().map(|m| m.n as f64).sum::<f64>().max(1.0);
    planned.unwrap_or(REACH * spread.sqrt())
}

/// The treatment against control; `planned` is the difference that was planned.
pub(super) fn compare(setup: &Setup, metric: &Metric, values: &Values, planned: Option<f64>) -> Compared {
    let pair = Pair::of(setup, metric, values);
    let (good, paired, rates) = (&pair.good, setup.design == Design::Paired, pair.rates);
    let found = if paired {
        posterior::of_pairs(&good.pairs)
    } else if rates {
        posterior::of_rates(hits(&good.control), hits(&good.treatment)).filter(|_| good.control.n + good.treatment.n > 0)
    } else {
        posterior::of_means(&good.control, &good.treatment)
    };
    let spread: &[&Moments] = if paired { &[&good.pairs] } else { &[&good.control, &good.treatment] };
    let reach = reach_of(planned, spread);
    let side = |m: &Moments| Side { n: m.n, mean: (m.n > 0).then_some(m.mean) };
    let both = values.control.n > 0 && values.treatment.n > 0;
    let difference = if paired {
        (values.pairs.n > 0).then_some(values.pairs.mean)
    } else {
        both.then_some(values.treatment.mean - values.control.mean)
    };
    let (range, error) = range(values, paired, rates, difference);
    Compared {
        metric: metric.clone(),
        control: side(&values.control),
        treatment: side(&values.treatment),
        difference,
        low: range.map(|r| r.0),
        high: range.map(|r| r.1),
        probability: found.map(|p| p.higher),
        loss_promote: found.map(|p| p.loss_second),
        loss_keep: found.map(|p| p.loss_first),
        evidence: pair.better(reach).min(LOG_MAX).exp(),
        evidence_keep: pair.not_better(planned.unwrap_or(0.0), reach).min(LOG_MAX).exp(),
        detectable: error.and_then(|e| Some((z_quantile(1.0 - ALPHA)? + z_quantile(2.0 * POWER - 1.0)?) * e)),
        repeated: values.repeated,
    }
}

/// Two variants held against each other, their values turned so that more is better.
struct Pair<'a> {
    setup: &'a Setup,
    kind: Kind,
    good: Values,
    /// True for counts of two variants.
    rates: bool,
}

impl<'a> Pair<'a> {
    fn of(setup: &'a Setup, metric: &Metric, values: &Values) -> Self {
        let rates = metric.kind == Kind::Rate && values.binary && setup.design == Design::Split;
        Self { setup, kind: metric.kind, good: better(metric, values), rates }
    }

    /// ln E that the treatment is better.
    fn better(&self, reach: f64) -> f64 {
        if self.rates {
            return sequential::of_rates(hits(&self.good.control), hits(&self.good.treatment), self.setup.split.share());
        }
        self.by_sign(0.0).map_or_else(|| self.above(0.0, reach), |(log, _)| log)
    }

    /// ln E that the treatment is not better by as much.
    fn not_better(&self, by: f64, reach: f64) -> f64 {
        if self.rates && by == 0.0 {
            return sequential::of_rates(hits(&self.good.treatment), hits(&self.good.control), 1.0 - self.setup.split.share());
        }
        self.by_sign(by).map_or_else(|| self.below(by, reach), |(_, log)| log)
    }

    /// ln E that the treatment's mean less control's is above `by`. `reach` is about how much further it may be.
    fn above(&self, by: f64, reach: f64) -> f64 {
        let good = &self.good;
        match (self.setup.design, self.kind) {
            (Design::Paired, Kind::Mean) => sequential::of_pairs(&moved(&good.pairs, -by), reach),
            (Design::Paired, _) => sequential::of_bounded(&good.differences, by),
            (Design::Split, Kind::Mean) => sequential::of_means(&good.control, &moved(&good.treatment, -by), reach),
            (Design::Split, _) => evidence::of_drop(&good.treatment, &good.control, by),
        }
    }

    /// ln E that it is below.
    fn below(&self, by: f64, reach: f64) -> f64 {
        let good = &self.good;
        let flipped = |m: Moments| Moments { mean: -m.mean, ..m };
        match (self.setup.design, self.kind) {
            (Design::Paired, Kind::Mean) => sequential::of_pairs(&flipped(moved(&good.pairs, -by)), reach),
            (Design::Paired, _) => {
                let worse: Vec<f64> = good.differences.iter().map(|d| -d).collect();
                sequential::of_bounded(&worse, -by)
            }
            (Design::Split, Kind::Mean) => sequential::of_means(&moved(&good.treatment, -by), &good.control, reach),
            (Design::Split, _) => evidence::of_drop(&good.control, &good.treatment, -by),
        }
    }

    /// ln E that any number of the treatment is above one of control by as much, and below, where no value differs from another: the limit
    /// law needs a spread, a sign needs none.
    fn by_sign(&self, by: f64) -> Option<(f64, f64)> {
        let good = &self.good;
        if self.kind != Kind::Mean {
            return None;
        }
        if self.setup.design == Design::Paired {
            let (n, gain) = (good.pairs.n, good.pairs.mean - by);
            let both = || (sequential::of_alike_pairs(n, gain), sequential::of_alike_pairs(n, -gain));
            return (good.pairs.sd == 0.0).then(both);
        }
        let (one, two, share) = (&good.control, &good.treatment, self.setup.split.share());
        let gain = two.mean - one.mean - by;
        let both = || {
            let better = sequential::of_alike_arms(one.n, two.n, gain, share);
            (better, sequential::of_alike_arms(two.n, one.n, -gain, 1.0 - share))
        };
        (one.sd == 0.0 && two.sd == 0.0).then(both)
    }
}

fn moved(m: &Moments, by: f64) -> Moments {
    Moments { mean: m.mean + by, ..*m }
}

/// The 95 % interval of a difference and its standard error.
fn range(values: &Values, paired: bool, rates: bool, difference: Option<f64>) -> (Option<(f64, f64)>, Option<f64>) {
    let Some(difference) = difference else { return (None, None) };
    let (one, two) = (&values.control, &values.treatment);
    if rates {
        let part = |m: &Moments| m.mean * (1.0 - m.mean) / m.n as f64;
        let error = (part(one) + part(two)).sqrt();
        let range = newcombe(hits(one), hits(two), CONFIDENCE).map(|i| (i.low, i.high));
        return (range, Some(error).filter(|e| *e > 0.0));
    }
    let student = if paired {
        let n = values.pairs.n as f64;
        (values.pairs.n > 1 && values.pairs.sd > 0.0).then(|| (values.pairs.sd / n.sqrt(), n - 1.0))
    } else {
        posterior::welch(one, two)
    };
    let range = student.and_then(|(error, degrees)| {
        let half = error * tail::t_critical(1.0 - CONFIDENCE, degrees)?;
        Some((difference - half, difference + half))
    });
    (range, student.map(|s| s.0))
}

/// ln E that the treatment is worse by more than a margin, and that it is not.
fn against_margin(setup: &Setup, guardrail: &Guardrail, values: &Values) -> (f64, f64) {
    let pair = Pair::of(setup, &guardrail.metric, values);
    (pair.below(-guardrail.margin, guardrail.margin), pair.above(-guardrail.margin, guardrail.margin))
}

/// Every guardrail against its margin; `values` are those of each.
pub(super) fn guard<'v>(setup: &Setup, values: &dyn Fn(usize) -> &'v Values) -> Vec<Guarded> {
    let logs: Vec<(f64, f64)> = setup.guardrails.iter().enumerate().map(|(i, g)| against_margin(setup, g, values(i))).collect();
    let chance = |log: f64| (-log).exp().min(1.0);
    let broken: Vec<f64> = logs.iter().map(|(broken, _)| chance(*broken)).collect();
    let broken = multiplicity::holm(&broken).unwrap_or_else(|| vec![1.0; logs.len()]);
    let one = |(i, guardrail): (usize, &Guardrail)| {
        let (p_broken, p_holds) = (broken[i], chance(logs[i].1));
        let state = if p_broken <= ALPHA {
            Held::Broken
        } else if p_holds <= ALPHA {
            Held::Holds
        } else {
            Held::Open
        };
        let compared = compare(setup, &guardrail.metric, values(i), None);
        Guarded { compared, margin: guardrail.margin, p_broken, p_holds, state }
    };
    setup.guardrails.iter().enumerate().map(one).collect()
}
