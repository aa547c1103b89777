//! How many units a test needs.
//!
//! Two numbers, because looking costs: `once` is the textbook's for whoever looks once, at the end ([`crate::stats::power`]); `looking`
//! is the one at which the evidence that may be looked at whenever one likes reaches its bar with the power asked for. The latter is found by
//! putting the difference that is seen at least so often (the planned one less z₁₋β standard errors) into the evidence itself.

use super::{Aim, Design, Kind, Metric};
use crate::base::weight::Weight;
use crate::stats::contingency::LEAST_EXPECTED;
use crate::stats::describe::Moments;
use crate::stats::interval::z_quantile;
use crate::stats::power::{ALPHA, Goal, Spread, rows_for_means, rows_for_rates, rows_needed_repeated};
use crate::stats::{evidence, sequential};
use serde::Serialize;

/// Units of both variants together; of pairs, pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Size {
    /// For whoever looks once.
    pub once: u64,
    /// For whoever looks whenever they like.
    pub looking: Option<u64>,
}

/// More units than this are "never".
const MOST: u64 = 1 << 40;

/// Whether there can be such a test.
///
/// # Errors
/// In words, when there cannot.
pub fn check(metric: &Metric, design: Design, aim: Aim) -> Result<(), String> {
    let Aim { effect, base, power } = aim;
    if !(effect.is_finite() && effect > 0.0) {
        return Err("the effect is how much better the treatment should be: a number above 0".to_owned());
    }
    if !(power > 0.5 && power < 1.0) {
        return Err("the power is a chance above 0.5 and below 1".to_owned());
    }
    if of_rates(metric, design) {
        let other = moved(metric, aim);
        if !(base > 0.0 && base < 1.0) {
            return Err("the base rate of control is between 0 and 1".to_owned());
        }
        if !(0.0..=1.0).contains(&other) {
            return Err(format!("{effect} better than a rate of {base} is {other}, which no rate is"));
        }
    } else if !(base.is_finite() && base > 0.0) {
        return Err("the standard deviation is a number above 0".to_owned());
    }
    Ok(())
}

/// Whether a plan starts from a rate; others start from a standard deviation.
pub fn of_rates(metric: &Metric, design: Design) -> bool {
    metric.kind == Kind::Rate && design == Design::Split
}

/// The rate of the treatment that is looked for.
fn moved(metric: &Metric, aim: Aim) -> f64 {
    match metric.better {
        super::Better::Higher => aim.base + aim.effect,
        super::Better::Lower => aim.base - aim.effect,
    }
}

/// The units that a plan takes; `None` for a plan that [`check`] refuses or that no number of units fulfils.
pub fn needed(metric: &Metric, design: Design, split: Weight, aim: Aim) -> Option<Size> {
    check(metric, design, aim).ok()?;
    let goal = Goal { alpha: ALPHA, power: aim.power };
    let ratio = split.share() / (1.0 - split.share());
    let both = |(one, two): (u64, u64)| one.saturating_add(two);
    let once = match design {
        Design::Paired => {
            // Of a pair the spread of the difference is known as a whole.
            let spread = Spread { difference: aim.base * aim.base, baseline: (0.0, 1.0), candidate: (0.0, 1.0) };
            rows_needed_repeated(&spread, aim.effect, goal)?
        }
        Design::Split if of_rates(metric, design) => both(rows_for_rates(aim.base, moved(metric, aim) - aim.base, ratio, goal)?),
        Design::Split => both(rows_for_means(aim.base, aim.effect, ratio, goal)?),
    };
    let z = z_quantile(2.0 * aim.power - 1.0)?;
    let reached = |n: u64| evidence_at(metric, design, split.share(), aim, n, z) >= (1.0 / ALPHA).ln();
    Some(Size { once, looking: first(once, reached) })
}

/// ln E with `n` units when the difference is so much less than planned as it is with the chance 1 − power.
fn evidence_at(metric: &Metric, design: Design, share: f64, aim: Aim, n: u64, z: f64) -> f64 {
    let (two, all) = ((n as f64 * share).round(), n as f64);
    let one = all - two;
    let of = |n: f64, mean: f64| Moments { n: n as u64, mean, sd: aim.base };
    if design == Design::Paired {
        let seen = aim.effect - z * aim.base / all.sqrt();
        let pairs = of(all, seen);
        return match metric.kind {
            Kind::Mean => sequential::of_pairs(&pairs, aim.effect),
            _ => beyond_none(&pairs),
        };
    }
    if of_rates(metric, design) {
        // Turned so that more is better.
        let base = if metric.better == super::Better::Higher { aim.base } else { 1.0 - aim.base };
        let (p, q) = (base, base + aim.effect);
        let seen = aim.effect - z * (p * (1.0 - p) / one + q * (1.0 - q) / two).sqrt();
        let hits = |n: f64, rate: f64| ((n * rate).round().clamp(0.0, n) as u64, n as u64);
        // Where hardly a hit is expected the normal law says nothing.
        return if one * p < LEAST_EXPECTED { 0.0 } else { sequential::of_rates(hits(one, p), hits(two, p + seen), share) };
    }
    let seen = aim.effect - z * aim.base * (1.0 / one + 1.0 / two).sqrt();
    match metric.kind {
        Kind::Mean => sequential::of_means(&of(one, 0.0), &of(two, seen), aim.effect),
        // Where a score lies matters little; its spread does.
        _ => {
            let centre = f64::midpoint(1.0, -seen);
            evidence::of_drop(&of(two, centre + seen), &of(one, centre), 0.0)
        }
    }
}

/// ln E that the mean of differences within −1 to 1 is above 0, of their moments: at most that of the values themselves.
fn beyond_none(pairs: &Moments) -> f64 {
    // Turned over and scaled to 0..1, "at most 0" is "at least a half".
    let scaled = Moments { mean: f64::midpoint(1.0, -pairs.mean), sd: pairs.sd / 2.0, ..*pairs };
    evidence::mixed(&evidence::of_low_mean(&scaled, 0.5))
}

/// The first number of units from which on it holds, found by doubling and halving, to a thousandth.
fn first(from: u64, holds: impl Fn(u64) -> bool) -> Option<u64> {
    let (mut low, mut high) = (from.max(2) / 2, from.max(2));
    while !holds(high) {
        (low, high) = (high, high * 2);
        if high > MOST {
            return None;
        }
    }
    while high - low > (low / 1000).max(1) {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    Some(high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ab::tests::setup;
    use crate::stats::rng::Rng;

    fn half() -> Weight {
        Weight::from_hundredths(5000).expect("a part")
    }

    #[test]
    fn looking_takes_more_units_than_waiting() {
        let aim = Aim { effect: 0.05, base: 0.1, power: 0.8 };
        let metric = setup("converted", &[]).metric;
        let size = needed(&metric, Design::Split, half(), aim).expect("a size");
        // statsmodels 0.15.0: samplesize_proportions_2indep_onetail(0.05, 0.1, 0.8) is 685.6 of each.
        assert_eq!(size.once, 2 * 686);
        let looking = size.looking.expect("a number");
        assert!(looking > 3 * size.once / 2 && looking < 3 * size.once, "{size:?}");
        let lower = Metric { better: super::super::Better::Lower, ..metric };
        let less = needed(&lower, Design::Split, half(), Aim { base: 0.15, ..aim }).expect("a size");
        assert_eq!(less.once, size.once);
        for text in ["score:score", "time:mean:lower"] {
            let metric: Metric = text.parse().expect("a metric");
            let size = needed(&metric, Design::Split, half(), Aim { effect: 0.05, base: 0.2, power: 0.8 }).expect("a size");
            let pairs = needed(&metric, Design::Paired, half(), Aim { effect: 0.05, base: 0.2, power: 0.8 }).expect("a size");
            assert_eq!((size.once, pairs.once), (504, 126), "{text}");
            assert!(
                size.looking.is_some_and(|n| n > 504 && n < 504 * 4) && pairs.looking.is_some_and(|n| n > 126),
                "{size:?} {pairs:?}"
            );
        }
    }

    /// Tests of the size that is planned find the difference about as often as promised: 200 of them, which leaves a standard deviation of
    /// 5.7.
    #[test]
    fn the_planned_size_has_the_planned_power() {
        let metric = setup("converted", &[]).metric;
        let aim = Aim { effect: 0.08, base: 0.2, power: 0.8 };
        let n = needed(&metric, Design::Split, half(), aim).and_then(|s| s.looking).expect("a number") / 2;
        let mut rng = Rng::new(20_261_122);
        let mut found = 0;
        for _ in 0..200 {
            let mut hits = |rate: f64| (0..n).filter(|_| rng.unit() < rate).count() as u64;
            let (one, two) = (hits(0.2), hits(0.28));
            found += u32::from(sequential::of_rates((one, n), (two, n), 0.5) >= 20f64.ln());
        }
        assert!((143..=180).contains(&found), "{found} of 200");
    }

    /// The same of scores, means and pairs.
    #[test]
    fn the_planned_size_has_the_planned_power_for_scores_means_and_pairs() {
        let aim = Aim { effect: 0.06, base: 0.2, power: 0.8 };
        for (text, design) in
            [("q:score", Design::Split), ("q:mean", Design::Split), ("q:score", Design::Paired), ("q:mean", Design::Paired)]
        {
            let metric: Metric = text.parse().expect("a metric");
            let n = needed(&metric, design, half(), aim).and_then(|s| s.looking).expect("a number");
            let (mut rng, mut found) = (Rng::new(7), 0);
            for _ in 0..100 {
                let reached = match design {
                    Design::Paired => reached_by_pairs(&mut rng, metric.kind, n, aim),
                    Design::Split => reached_by_arms(&mut rng, metric.kind, n / 2, aim),
                };
                found += u32::from(reached >= 20f64.ln());
            }
            assert!(found >= 70, "{found} of 100 with {n} for {text} {design}");
        }
    }

    /// Even values about a mean with the planned spread.
    fn drawn(rng: &mut Rng, n: u64, mean: f64, sd: f64) -> Vec<f64> {
        (0..n).map(|_| mean + (rng.unit() - 0.5) * 12f64.sqrt() * sd).collect()
    }

    fn reached_by_pairs(rng: &mut Rng, kind: Kind, n: u64, aim: Aim) -> f64 {
        let differences = drawn(rng, n, aim.effect, aim.base);
        match kind {
            Kind::Mean => sequential::of_pairs(&Moments::of(&differences).expect("finite"), aim.effect),
            _ => sequential::of_bounded(&differences, 0.0),
        }
    }

    fn reached_by_arms(rng: &mut Rng, kind: Kind, n: u64, aim: Aim) -> f64 {
        let [one, two] = [0.5, 0.5 + aim.effect].map(|mean| Moments::of(&drawn(rng, n, mean, aim.base)).expect("finite"));
        match kind {
            Kind::Mean => sequential::of_means(&one, &two, aim.effect),
            _ => evidence::of_drop(&two, &one, 0.0),
        }
    }

    #[test]
    fn what_is_no_plan_says_why() {
        let metric = setup("converted", &[]).metric;
        let aim = Aim { effect: 0.05, base: 0.1, power: 0.8 };
        for (aim, why) in [
            (Aim { effect: 0.0, ..aim }, "above 0"),
            (Aim { effect: f64::NAN, ..aim }, "above 0"),
            (Aim { power: 1.0, ..aim }, "below 1"),
            (Aim { base: 0.0, ..aim }, "between 0 and 1"),
            (Aim { base: 0.97, ..aim }, "which no rate is"),
        ] {
            assert!(check(&metric, Design::Split, aim).expect_err("no plan").contains(why), "{aim:?}");
            assert_eq!(needed(&metric, Design::Split, half(), aim), None);
        }
        let mean: Metric = "time:mean".parse().expect("a metric");
        assert!(check(&mean, Design::Split, Aim { base: 0.0, ..aim }).is_err());
    }
}
