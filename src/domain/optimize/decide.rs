//! When a variant is better than its parent, on rows that nobody saw before.
//!
//! * The gain is more than [`GAIN`], in the unit of the metric. All metrics lie in 0 to 1, where one hundredth is at least one per cent of
//!   whatever the parent has, so who reads "more than 1 %" either way is served. A smaller one is a no where the interval ends there too.
//! * There are at least [`ROWS_MIN`] rows, and as many clusters where rows share them.
//! * The chance that there is a gain is at least [`SURE`]: Bayes' for pairs with the reference prior ([`crate::stats::posterior`]), of rows in
//!   clusters by their cluster-robust error. Where all rows differ by the same, or all clusters, there is no spread to go by, and the exact
//!   test says it.
//! * The paired test agrees, one-sided at 1 − [`SURE`], by Holm's correction over everything that came this far: the best of five is lucky
//!   more often than one.
//! * No other metric that a gate guards is worse, in three values: surely worse is a no, surely within its margin is a yes, and between the
//!   two more rows are needed. Surely within is what a regression gate calls so: by the interval that counts what rows not seen may do.
//!   A metric that no row changed is within any margin.
//!
//! A row that the parent scored and the variant did not leaves the answer open: failing on what is hard must not raise a mean.

use crate::base::text::count;
use crate::base::verdict::Verdict;
use crate::domain::eval::compare::{Difference, Pairs};
use crate::domain::eval::known::known;
use crate::stats::describe::Moments;
use crate::stats::interval::Interval;
use crate::stats::power::{self, Goal, POWER, Spread};
use crate::stats::{multiplicity, posterior};
use serde::Serialize;

/// The least gain that counts, in the unit of the metric.
pub const GAIN: f64 = 0.01;
/// The least chance of a gain.
pub const SURE: f64 = 0.95;
/// How much of another metric may be lost where no regression gate says it, in its unit.
pub const MARGIN: f64 = 0.05;
/// The fewest rows that decide anything, and the fewest clusters where rows share them.
pub const ROWS_MIN: usize = 5;

/// The scores of a row with parent and variant, and its cluster.
pub type Pair = (f64, f64, Option<String>);

/// A metric of parent and variant on the rows that decide.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Its name.
    pub metric: String,
    /// Parent and variant, with the row's cluster.
    pub pairs: Vec<Pair>,
    /// Rows that the parent has a score of and the variant has not.
    pub lost: usize,
    /// How much of it may be lost; of what decides nothing.
    pub margin: f64,
}

/// A variant that came this far.
#[derive(Clone, Debug)]
pub struct Finalist {
    /// What decides.
    pub target: Measured,
    /// What must not get worse.
    pub guards: Vec<Measured>,
}

/// A metric that must not get worse.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Guarded {
    /// Its name.
    pub metric: String,
    /// The parent's mean.
    pub before: Option<f64>,
    /// The variant's.
    pub now: Option<f64>,
    /// The difference, positive when it got better.
    pub difference: Option<f64>,
    /// Lower end of its 95 % interval.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// How much may be lost.
    pub margin: f64,
    /// Whether it is within its margin.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
}

/// A variant judged.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judged {
    /// The parent's mean.
    pub before: Option<f64>,
    /// The variant's.
    pub now: Option<f64>,
    /// The gain, positive when it is better whichever way the metric improves.
    pub gain: Option<f64>,
    /// Lower end of its 95 % interval.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// Rows.
    pub n: usize,
    /// Clusters of them, where rows share one.
    pub clusters: Option<usize>,
    /// The chance that there is a gain.
    pub probability: Option<f64>,
    /// The one-sided chance of such a gain where there is none, by Holm's correction.
    pub p_value: Option<f64>,
    /// What must not get worse.
    pub guards: Vec<Guarded>,
    /// Whether it is better.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
    /// About how many rows would decide it, when it is inconclusive for want of rows.
    pub needed: Option<u64>,
}

/// A comparison turned so that positive is better.
struct Turned {
    found: Difference,
    /// The interval that counts what rows not seen may do.
    bounded: Option<Interval>,
    differences: Vec<f64>,
    before: f64,
    now: f64,
}

impl Measured {
    fn turned(&self) -> Option<Turned> {
        let info = known(&self.metric);
        // The other way round a score is its distance from the best: rows of 0 and 1 stay what they are.
        let top = info.filter(|m| !m.higher_is_better()).map(|m| m.range.0 + m.range.1);
        let turn = |score: f64| top.map_or(score, |top| top - score);
        let pairs = Pairs::of(self.pairs.iter().map(|(a, b, cluster)| (turn(*a), turn(*b), cluster.as_deref())));
        let span = info.map(|m| m.span());
        let pairs = pairs.spanning(span);
        let mut found = pairs.compared()?;
        found.interval = found.interval.map(|i| span.map_or(i, |span| i.within(-span, span)));
        let n = self.pairs.len() as f64;
        let mean = |of: fn(&Pair) -> f64| self.pairs.iter().map(of).sum::<f64>() / n;
        let differences = pairs.scores().iter().map(|(before, now)| now - before).collect();
        Some(Turned { found, bounded: pairs.bounded(), differences, before: mean(|p| p.0), now: mean(|p| p.1) })
    }
}

impl Turned {
    /// Why so few decide nothing; `None` where there are enough of them.
    fn too_few(&self) -> Option<String> {
        let (n, clusters) = (self.differences.len(), self.found.clusters);
        if n < ROWS_MIN {
            return Some(format!("{} of both say nothing, at least {ROWS_MIN} are needed", count(n, "row")));
        }
        let clusters = clusters.filter(|c| *c < ROWS_MIN)?;
        Some(format!("{n} rows in {} say nothing, at least {ROWS_MIN} clusters are needed", count(clusters, "cluster")))
    }

    /// True where no row says anything else than before.
    fn is_unchanged(&self) -> bool {
        self.differences.iter().all(|d| *d == 0.0)
    }

    /// The one-sided chance of such a difference where there is none.
    fn p_value(&self) -> f64 {
        let half = self.found.p_value / 2.0;
        if self.found.difference > 0.0 { half } else { 1.0 - half }
    }

    /// The chance that the difference is above 0.
    fn probability(&self) -> f64 {
        let whole = || Moments::of(&self.differences).and_then(|m| posterior::of_pairs(&m)).map(|p| p.higher);
        let of_rows = if self.found.clusters.is_some() { None } else { whole() };
        of_rows.unwrap_or_else(|| 1.0 - self.p_value())
    }
}

/// Judges everything that came this far.
pub fn decide(finalists: &[Finalist]) -> Vec<Judged> {
    let turned: Vec<Option<Turned>> = finalists.iter().map(|f| f.target.turned()).collect();
    let p: Vec<f64> = turned.iter().map(|t| t.as_ref().map_or(1.0, Turned::p_value)).collect();
    let corrected = multiplicity::holm(&p).unwrap_or_else(|| vec![1.0; p.len()]);
    let one = |((finalist, turned), p): ((&Finalist, Option<Turned>), f64)| judge(finalist, turned, p, finalists.len());
    finalists.iter().zip(turned).zip(corrected).map(one).collect()
}

fn judge(finalist: &Finalist, turned: Option<Turned>, p_value: f64, tried: usize) -> Judged {
    let guards: Vec<Guarded> = finalist.guards.iter().map(guard).collect();
    let n = finalist.target.pairs.len();
    let mut judged = Judged {
        before: None,
        now: None,
        gain: None,
        low: None,
        high: None,
        n,
        clusters: None,
        probability: None,
        p_value: None,
        guards,
        verdict: Verdict::Inconclusive,
        reason: String::new(),
        needed: None,
    };
    let Some(turned) = turned else {
        judged.reason = format!("no row has a score of {} with both", finalist.target.metric);
        return judged;
    };
    let (gain, probability) = (turned.found.difference, turned.probability());
    (judged.before, judged.now, judged.gain) = (Some(turned.before), Some(turned.now), Some(gain));
    (judged.low, judged.high) = (turned.found.interval.map(|i| i.low), turned.found.interval.map(|i| i.high));
    judged.clusters = turned.found.clusters;
    (judged.probability, judged.p_value) = (Some(probability), Some(p_value));
    (judged.verdict, judged.reason) = verdict(finalist, &judged, &turned);
    let is_open = probability < SURE || p_value > 1.0 - SURE || gain <= GAIN;
    if judged.verdict == Verdict::Inconclusive && finalist.target.lost == 0 && is_open {
        judged.needed = needed(&turned, tried);
    }
    judged
}

fn verdict(finalist: &Finalist, judged: &Judged, turned: &Turned) -> (Verdict, String) {
    let (n, gain) = (judged.n, turned.found.difference);
    let (probability, p_value) = (turned.probability(), judged.p_value.unwrap_or(1.0));
    if finalist.target.lost > 0 {
        let lost = finalist.target.lost;
        return (Verdict::Inconclusive, format!("{lost} of {} rows have no score any more", n + lost));
    }
    if let Some(why) = turned.too_few() {
        return (Verdict::Inconclusive, why);
    }
    if let Some(worse) = judged.guards.iter().find(|g| g.verdict == Verdict::Fail) {
        return (Verdict::Fail, format!("{} got worse: {}", worse.metric, worse.reason));
    }
    if gain <= GAIN {
        let why = format!("a gain of {gain:+.4} is not more than {GAIN}");
        return match turned.found.interval.filter(|i| i.high > GAIN && !turned.is_unchanged()) {
            Some(i) => (Verdict::Inconclusive, format!("{why}, and one of up to {:+.4} is not ruled out", i.high)),
            None => (Verdict::Fail, why),
        };
    }
    if probability < SURE || p_value > 1.0 - SURE {
        let why = format!("the chance of a gain is {probability:.3}, and p = {p_value:.3} among what was tried");
        return (Verdict::Inconclusive, why);
    }
    if let Some(open) = judged.guards.iter().find(|g| g.verdict == Verdict::Inconclusive) {
        return (Verdict::Inconclusive, format!("{} may have got worse: {}", open.metric, open.reason));
    }
    (Verdict::Pass, format!("a gain of {gain:+.4} with a chance of {probability:.3}, and nothing else is worse"))
}

/// About how many rows show such a gain with power 0.8, at the level that Holm's correction leaves to one of so many; of one that is too
/// small how many rule out that it is large enough. `None` where more clusters are wanted, or where no number of rows will do.
fn needed(turned: &Turned, tried: usize) -> Option<u64> {
    let (found, n) = (&turned.found, turned.differences.len());
    let few = found.clusters.is_none() && n < ROWS_MIN;
    if turned.too_few().is_some() && !few {
        return None;
    }
    let gain = found.difference;
    let rows = found.sd.and_then(|sd| {
        let spread = Spread { difference: sd.powi(2), baseline: (0.0, 1.0), candidate: (0.0, 1.0) };
        // The test is one-sided, and a goal is two-sided. The interval is not corrected.
        let goal = Goal { alpha: 2.0 * (1.0 - SURE) / tried.max(1) as f64, power: POWER };
        let (apart, goal) = if gain > GAIN { (gain, goal) } else { (GAIN - gain, Goal { alpha: power::ALPHA, power: POWER }) };
        power::rows_needed_repeated(&spread, apart, goal)
    });
    let least = few.then_some(ROWS_MIN as u64);
    Some(rows.or(least)?.max(n as u64 + 1).max(ROWS_MIN as u64))
}

fn guard(measured: &Measured) -> Guarded {
    let turned = measured.turned();
    let margin = measured.margin;
    let is_worse = |t: &Turned| t.found.interval.is_some_and(|i| i.high < 0.0) && t.found.p_value <= power::ALPHA;
    let is_within = |t: &Turned| t.bounded.is_some_and(|i| i.low >= -margin);
    let (verdict, reason) = match &turned {
        _ if measured.lost > 0 => (Verdict::Inconclusive, format!("{} rows have no score any more", measured.lost)),
        // Neither has a row: there is nothing to lose.
        None => (Verdict::Pass, "no row has a score with either".to_owned()),
        Some(t) if t.is_unchanged() => (Verdict::Pass, "no row changed".to_owned()),
        Some(t) if is_worse(t) => (Verdict::Fail, format!("{:+.4}, surely below 0", t.found.difference)),
        Some(t) if t.too_few().is_none() && is_within(t) => (Verdict::Pass, format!("surely not worse by more than {margin}")),
        Some(t) => {
            let why = t.too_few().map(|why| format!("; {why}")).unwrap_or_default();
            (Verdict::Inconclusive, format!("{:+.4}, and a loss of {margin} is not ruled out{why}", t.found.difference))
        }
    };
    // The interval that the verdict goes by.
    let of_verdict = |t: &Turned| if verdict == Verdict::Fail { t.found.interval } else { t.bounded.or(t.found.interval) };
    let interval = turned.as_ref().and_then(of_verdict);
    Guarded {
        metric: measured.metric.clone(),
        before: turned.as_ref().map(|t| t.before),
        now: turned.as_ref().map(|t| t.now),
        difference: turned.as_ref().map(|t| t.found.difference),
        low: interval.map(|i| i.low),
        high: interval.map(|i| i.high),
        margin,
        verdict,
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::rng::Rng;

    fn measured(metric: &str, pairs: impl IntoIterator<Item = (f64, f64)>) -> Measured {
        let pairs = pairs.into_iter().map(|(a, b)| (a, b, None)).collect();
        Measured { metric: metric.into(), pairs, lost: 0, margin: MARGIN }
    }

    fn alone(target: Measured) -> Judged {
        decide(&[Finalist { target, guards: Vec::new() }]).remove(0)
    }

    /// In clusters of ten rows, the variant with the same gain in every other row of each.
    fn clumped(clusters: usize, gain: f64) -> Vec<Pair> {
        (0..clusters * 10)
            .map(|i| (0.25, if i % 2 == 0 { 0.25 + 2.0 * gain } else { 0.25 }, Some(format!("c{}", i / 10))))
            .collect()
    }

    /// Rows of the parent between 0.3 and 0.7, and the variant with a gain and noise of ±0.1.
    fn noisy(n: usize, gain: f64, seed: u64) -> Vec<(f64, f64)> {
        let mut rng = Rng::new(seed);
        (0..n)
            .map(|_| {
                let before = 0.3 + 0.4 * rng.unit();
                (before, (before + gain + 0.2 * (rng.unit() - 0.5)).clamp(0.0, 1.0))
            })
            .collect()
    }

    #[test]
    fn a_gain_is_more_than_a_hundredth_and_sure() {
        assert_eq!(alone(measured("token-f1", noisy(40, 0.2, 1))).verdict, Verdict::Pass);
        let small = alone(measured("token-f1", [(0.5, 0.509); 40]));
        assert_eq!((small.verdict, small.needed), (Verdict::Fail, None), "{small:?}");
        // The same gain everywhere has no spread: the sign-flip test has p = 2⁻ⁿ one-sided.
        let same = |n: usize| alone(measured("token-f1", vec![(0.5, 0.6); n]));
        assert_eq!((same(4).verdict, same(5).verdict, same(5).p_value), (Verdict::Inconclusive, Verdict::Pass, Some(1.0 / 32.0)));
        let lower = alone(measured("hallucination", noisy(40, -0.2, 2)));
        assert_eq!(lower.verdict, Verdict::Pass, "less of it is better: {lower:?}");
        assert!(lower.gain.is_some_and(|g| g > 0.1) && lower.now < lower.before, "{lower:?}");
    }

    /// scipy 1.17.1: `t.sf` and the formula of `stats::power`: mean 0.05, standard deviation 0.2, so ((1.645 + 0.842)·0.2/0.05)² = 98.9 rows;
    /// of three finalists the level is 0.05/3: ((2.128 + 0.842)·4)² = 141.1.
    #[test]
    fn what_is_open_says_how_many_rows_would_decide() {
        let shape: Vec<f64> = (0..20).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
        // Twenty differences of mean 0.05 whose standard deviation (divisor 19) is 0.2.
        let swing = 0.2 * (19.0_f64 / 20.0).sqrt();
        let target = measured("token-f1", shape.iter().map(|s| (0.5, 0.55 + s * swing)));
        let open = alone(target.clone());
        assert_eq!((open.verdict, open.needed), (Verdict::Inconclusive, Some(99)), "{open:?}");
        assert!(open.probability.is_some_and(|p| (p - 0.861).abs() < 0.01), "{open:?}");
        let three = vec![Finalist { target, guards: Vec::new() }; 3];
        assert_eq!(decide(&three)[0].needed, Some(142));
    }

    #[test]
    fn nothing_else_may_be_worse() {
        let target = || measured("token-f1", noisy(40, 0.2, 3));
        let with = |guard: Measured| decide(&[Finalist { target: target(), guards: vec![guard] }]).remove(0);
        let same = (0..40).map(|i| (f64::from(i % 2), f64::from(i % 2)));
        assert_eq!(with(measured("refusal-correct", same)).verdict, Verdict::Pass, "no row changed");
        let worse = with(measured("context-recall", noisy(40, -0.1, 4)));
        assert_eq!(worse.verdict, Verdict::Fail, "{worse:?}");
        assert!(worse.reason.contains("context-recall got worse"), "{worse:?}");
        let open = with(measured("context-recall", noisy(40, -0.03, 5).into_iter().step_by(4)));
        assert_eq!((open.verdict, open.needed), (Verdict::Inconclusive, None), "{open:?}");
        let lost = with(Measured { lost: 1, ..measured("context-recall", [(0.5, 0.5); 40]) });
        assert_eq!(lost.verdict, Verdict::Inconclusive, "{lost:?}");
        let gone = decide(&[Finalist { target: Measured { lost: 2, ..target() }, guards: Vec::new() }]).remove(0);
        assert_eq!((gone.verdict, gone.reason.as_str()), (Verdict::Inconclusive, "2 of 42 rows have no score any more"));
        assert_eq!(with(measured("context-recall", [])).verdict, Verdict::Pass, "what neither has is not lost");
    }

    /// Of three variants that only add noise, the best is called better in no more than 5 of 100 tries: the correction holds what it says.
    /// One that changes nothing is never better.
    #[test]
    fn what_changes_nothing_is_never_better_and_noise_hardly_ever() {
        let (mut lucky, tries) = (0, 200);
        for seed in 0..tries {
            let noise = |i: u64| Finalist { target: measured("token-f1", noisy(12, 0.0, seed * 10 + i)), guards: Vec::new() };
            let mut all: Vec<Finalist> = (1..=3).map(noise).collect();
            let before: Vec<(f64, f64)> = noisy(12, 0.0, seed).into_iter().map(|(a, _)| (a, a)).collect();
            all.push(Finalist { target: measured("token-f1", before), guards: Vec::new() });
            let found = decide(&all);
            assert_eq!((found[3].verdict, found[3].gain), (Verdict::Fail, Some(0.0)), "seed {seed}");
            lucky += u64::from(found.iter().any(|j| j.verdict == Verdict::Pass));
        }
        // 200 tries at 5 % are 10 ± 3.1; three standard deviations above.
        assert!(lucky <= 19, "{lucky} of {tries}");
    }

    #[test]
    fn rows_of_one_cluster_are_one() {
        let pairs = |clusters: usize| {
            let row = |(i, (a, b)): (usize, (f64, f64))| (a, b, Some(format!("c{}", i % clusters)));
            noisy(40, 0.06, 8).into_iter().enumerate().map(row).collect::<Vec<_>>()
        };
        let of = |clusters| alone(Measured { pairs: pairs(clusters), ..measured("token-f1", []) });
        assert_eq!((of(1).verdict, of(1).probability), (Verdict::Inconclusive, Some(0.5)), "{:?}", of(1));
        assert_eq!((of(10).clusters, of(40).clusters), (Some(10), None));
        assert_eq!(of(40).verdict, Verdict::Pass);
    }

    /// Two clusters that agree have p = 0.25 one-sided, five 1/32: no smaller than their number allows, however many rows they hold.
    #[test]
    fn clusters_that_agree_prove_what_their_number_does() {
        let of = |clusters| alone(Measured { pairs: clumped(clusters, 0.25), ..measured("token-f1", []) });
        let two = of(2);
        assert_eq!((two.verdict, two.p_value, two.needed), (Verdict::Inconclusive, Some(0.25), None), "{two:?}");
        assert!(two.low < Some(0.25) && two.high > Some(0.25) && two.reason.contains("2 clusters"), "{two:?}");
        assert_eq!((of(4).verdict, of(5).verdict, of(5).p_value), (Verdict::Inconclusive, Verdict::Pass, Some(1.0 / 32.0)));
    }

    #[test]
    fn few_rows_decide_nothing_either_way() {
        for (n, gain) in [(1, 0.0), (1, -0.3), (4, 0.005), (4, 0.3)] {
            let few = alone(measured("token-f1", vec![(0.5, 0.5 + gain); n]));
            assert_eq!(few.verdict, Verdict::Inconclusive, "{few:?}");
            assert!(few.needed.is_some_and(|needed| needed >= 5) && few.reason.contains("at least 5"), "{few:?}");
        }
    }

    /// A standard deviation of 0.1 and a gain of 0: ((1.960 + 0.842)·0.1/0.01)² = 784.9 rows rule out 0.01.
    #[test]
    fn a_small_gain_that_may_be_a_large_one_is_open() {
        let of = |n: usize, gain: f64| {
            let swing = 0.1 * ((n as f64 - 1.0) / n as f64).sqrt();
            alone(measured("token-f1", (0..n).map(|i| (0.5, 0.5 + gain + if i % 2 == 0 { swing } else { -swing }))))
        };
        let open = of(20, 0.0);
        assert_eq!((open.verdict, open.needed), (Verdict::Inconclusive, Some(785)), "{open:?}");
        assert!(open.reason.contains("not ruled out"), "{open:?}");
        assert_eq!((of(2000, 0.0).verdict, of(20, -0.2).verdict), (Verdict::Fail, Verdict::Fail));
    }

    /// Rows that hardly change say nothing of a sixth that loses all: of n rows that agree 0.025^(1/n) of the way from the worst is
    /// sure, so that on a scale of 2 a loss of 0.05 is ruled out from 146 rows on.
    #[test]
    fn a_few_rows_that_agree_are_not_surely_within_a_margin() {
        let of = |n: usize| guard(&measured("context-recall", (0..n).map(|i| (0.5, if i == 0 { 0.5001 } else { 0.5 }))));
        for n in [3, 5, 40] {
            assert_eq!(of(n).verdict, Verdict::Inconclusive, "{:?}", of(n));
        }
        assert!(of(3).reason.contains("at least 5") && of(40).low < Some(-0.05), "{:?}", of(40));
        assert_eq!(of(200).verdict, Verdict::Pass, "{:?}", of(200));
    }
}
