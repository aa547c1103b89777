//! What was seen of a test, judged. Pure: sums in, a decision with its reasons out.
//!
//! * The chance that the treatment is better is Bayes' ([`crate::stats::posterior`]): at least [`PROMOTE`] promotes, at most [`KEEP`] keeps.
//! * Whoever looks every day and stops when the chance is high enough promotes too often: looking after every 20 of 2,000 units, about two
//!   in five tests of a version against itself (docs/ab.md has the figures). So a promotion also takes evidence that holds at every look
//!   ([`crate::stats::sequential`]), unless the test's rule is `bayes`. Keeping control takes the chance alone: it costs a better version at
//!   worst, and no user is given a worse one.
//! * Guardrails: each is held against its margin by evidence of the same kind, both ways. One that is surely worse by more (Holm over all of
//!   them) stops the test; a promotion needs every one surely within its margin, which needs no correction since all must hold.
//! * A split that did not come out as planned means that units were lost on the way, and then no number means what it says.

use super::{Better, Design, Guardrail, Kind, Metric, Rule, Setup};
use crate::base::name::words;
use crate::stats::contingency::{fits, newcombe};
use crate::stats::describe::Moments;
use crate::stats::interval::{CONFIDENCE, z_quantile};
use crate::stats::power::{ALPHA, POWER};
use crate::stats::{evidence, multiplicity, posterior, sequential, tail};
use serde::Serialize;

/// The chance of being better from which on the treatment is promoted.
pub const PROMOTE: f64 = 0.95;
/// The chance of being better up to which control is kept.
pub const KEEP: f64 = 0.05;
/// The chance of a split as uneven as this when nothing is wrong, below which nothing is believed.
pub const MISMATCH: f64 = 0.001;
/// How large a difference is looked for where nobody planned one, in standard deviations (Cohen's small effect is 0.2).
pub const REACH: f64 = 0.1;

/// The values of a metric, one a unit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Values {
    /// Of control.
    pub control: Moments,
    /// Of the treatment.
    pub treatment: Moments,
    /// Treatment minus control of the units that have both.
    pub pairs: Moments,
    /// The same one by one.
    pub differences: Vec<f64>,
    /// True while every value is 0 or 1.
    pub binary: bool,
    /// Units with more than one record, whose mean counts.
    pub repeated: u64,
}

/// What was seen of a test.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// Units of control.
    pub control: u64,
    /// Units of the treatment.
    pub treatment: u64,
    /// True when all of them are units that were assigned, and none a sum that somebody counted.
    pub assigned: bool,
    /// The values of each metric, in the order of [`Setup::metrics`].
    pub values: Vec<Values>,
}

words! {
    /// What is to be done.
    Decision, "decision" {
        /// Take the treatment.
        Promote = "promote",
        /// Keep control.
        Keep = "keep",
        /// Go on.
        Continue = "continue",
        /// Stop: a guardrail is broken.
        Guarded = "guarded",
        /// Believe nothing: the split is not the planned one.
        Invalid = "invalid",
    }
}

words! {
    /// How a guardrail stands.
    Held, "state of a guardrail" {
        /// Surely within its margin.
        Holds = "holds",
        /// Surely worse by more.
        Broken = "broken",
        /// Neither yet.
        Open = "open",
    }
}

/// A variant's values of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Side {
    /// Units.
    pub n: u64,
    /// Their mean, in the unit of the metric.
    pub mean: Option<f64>,
}

/// The treatment against control in one metric.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compared {
    /// The metric.
    pub metric: Metric,
    /// Control.
    pub control: Side,
    /// Treatment.
    pub treatment: Side,
    /// Treatment minus control, in the unit of the metric.
    pub difference: Option<f64>,
    /// Lower end of its 95 % interval, for whoever looks once.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// The chance that the treatment is better.
    pub probability: Option<f64>,
    /// What promoting loses on average, in the unit of the metric.
    pub loss_promote: Option<f64>,
    /// What keeping loses on average.
    pub loss_keep: Option<f64>,
    /// The evidence that the treatment is better: 20 has a chance of 5 % at most of ever coming up when it is not.
    pub evidence: f64,
    /// The least difference that so many units show with power 0.8, looking once.
    pub detectable: Option<f64>,
    /// Units with more than one record, whose mean counts.
    pub repeated: u64,
}

/// A guardrail with what is known of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Guarded {
    /// The metric, compared.
    #[serde(flatten)]
    pub compared: Compared,
    /// How much worse it may be.
    pub margin: f64,
    /// The chance at most of so much evidence of harm where there is none, with Holm's correction.
    pub p_broken: f64,
    /// The chance at most of so much evidence of no harm where there is some.
    pub p_holds: f64,
    /// How it stands.
    pub state: Held,
}

/// Whether the units came as they were assigned.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Split {
    /// Units of control.
    pub control: u64,
    /// Units of the treatment.
    pub treatment: u64,
    /// The planned part of the treatment, as a share of 1.
    pub planned: f64,
    /// The chance of a split as uneven; `None` when it says nothing: pairs, sums that somebody counted, no units.
    pub p_value: Option<f64>,
}

/// A test judged.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Analysis {
    /// The split.
    pub split: Split,
    /// What decides.
    pub primary: Compared,
    /// What must not get worse.
    pub guardrails: Vec<Guarded>,
    /// What is to be done.
    pub decision: Decision,
    /// Why.
    pub reason: String,
}

/// Judges a test by what was seen of it.
pub fn analyse(setup: &Setup, seen: &Seen) -> Analysis {
    let none = Values::default();
    let values = |i: usize| seen.values.get(i).unwrap_or(&none);
    let reach = setup.aim.map(|aim| aim.effect);
    let primary = compare(setup, &setup.metric, values(0), reach);
    let guardrails = guard(setup, &|i| values(i + 1));
    let split = split(setup, seen);
    let (decision, reason) = decide(setup, &split, &primary, &guardrails);
    Analysis { split, primary, guardrails, decision, reason }
}

fn split(setup: &Setup, seen: &Seen) -> Split {
    let planned = setup.split.share();
    // Of what somebody counted the units are not known, only how many values there are.
    let counted = || seen.values.first().map_or((0, 0), |v| (v.control.n, v.treatment.n));
    let (control, treatment) =
        if seen.assigned || setup.design == Design::Paired { (seen.control, seen.treatment) } else { counted() };
    let said = seen.assigned && setup.design == Design::Split;
    let p_value = said.then(|| fits(&[seen.control, seen.treatment], &[1.0 - planned, planned])).flatten();
    Split { control, treatment, planned, p_value }
}

fn decide(setup: &Setup, split: &Split, primary: &Compared, guardrails: &[Guarded]) -> (Decision, String) {
    if let Some(p) = split.p_value.filter(|p| *p < MISMATCH) {
        let (t, c, part) = (split.treatment, split.control, 100.0 * split.planned);
        return (
            Decision::Invalid,
            format!(
                "{t} units of the treatment and {c} of control are not a split of {part} % (chance {p:.2e}): units were lost on the way"
            ),
        );
    }
    let named = |state: Held| -> Vec<&str> {
        guardrails.iter().filter(|g| g.state == state).map(|g| g.compared.metric.name.as_str()).collect()
    };
    let broken = named(Held::Broken);
    if !broken.is_empty() {
        return (Decision::Guarded, format!("worse than control by more than the margin: {}", broken.join(", ")));
    }
    let Some(chance) = primary.probability else {
        return (Decision::Continue, format!("{} has too few values to say anything", primary.metric.name));
    };
    if chance <= KEEP {
        return (Decision::Keep, format!("the treatment is better with a chance of {chance:.4} only"));
    }
    if chance < PROMOTE {
        return (
            Decision::Continue,
            format!("the treatment is better with a chance of {chance:.4}: {KEEP} keeps control, {PROMOTE} promotes"),
        );
    }
    let bar = 1.0 / ALPHA;
    if setup.rule == Rule::Both && primary.evidence < bar {
        let why = format!(
            "the chance is {chance:.4}, but whoever looks again and again sees that by luck too: the evidence is {:.2}, {bar} promotes",
            primary.evidence
        );
        return (Decision::Continue, why);
    }
    let open = named(Held::Open);
    if !open.is_empty() {
        return (
            Decision::Continue,
            format!("the treatment is better, but not yet surely within the margin: {}", open.join(", ")),
        );
    }
    (Decision::Promote, format!("the treatment is better with a chance of {chance:.4}"))
}

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

fn compare(setup: &Setup, metric: &Metric, values: &Values, planned: Option<f64>) -> Compared {
    let good = better(metric, values);
    let paired = setup.design == Design::Paired;
    let rates = metric.kind == Kind::Rate && values.binary && !paired;
    let found = if paired {
        posterior::of_pairs(&good.pairs)
    } else if rates {
        posterior::of_rates(hits(&good.control), hits(&good.treatment)).filter(|_| good.control.n + good.treatment.n > 0)
    } else {
        posterior::of_means(&good.control, &good.treatment)
    };
    let log = match (paired, metric.kind) {
        (true, Kind::Mean) => sequential::of_pairs(&good.pairs, reach_of(planned, &[&good.pairs])),
        (true, _) => sequential::of_bounded(&good.differences, 0.0),
        (false, _) if rates => sequential::of_rates(hits(&good.control), hits(&good.treatment), setup.split.share()),
        (false, Kind::Mean) => {
            sequential::of_means(&good.control, &good.treatment, reach_of(planned, &[&good.control, &good.treatment]))
        }
        (false, _) => evidence::of_drop(&good.treatment, &good.control, 0.0),
    };
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
        // Beyond e^700 nothing is left to be told apart.
        evidence: log.min(700.0).exp(),
        detectable: error.and_then(|e| Some((z_quantile(1.0 - ALPHA)? + z_quantile(2.0 * POWER - 1.0)?) * e)),
        repeated: values.repeated,
    }
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
    let Guardrail { metric, margin } = guardrail;
    let good = better(metric, values);
    let flipped = |m: &Moments| Moments { mean: -m.mean, ..*m };
    let moved = |m: &Moments| Moments { mean: m.mean + margin, ..*m };
    match (setup.design, metric.kind) {
        (Design::Paired, Kind::Mean) => {
            let worse = flipped(&moved(&good.pairs));
            (sequential::of_pairs(&worse, *margin), sequential::of_pairs(&moved(&good.pairs), *margin))
        }
        (Design::Paired, _) => {
            let worse: Vec<f64> = good.differences.iter().map(|d| -d).collect();
            (sequential::of_bounded(&worse, *margin), sequential::of_bounded(&good.differences, -margin))
        }
        (Design::Split, Kind::Mean) => {
            let treatment = moved(&good.treatment);
            (sequential::of_means(&treatment, &good.control, *margin), sequential::of_means(&good.control, &treatment, *margin))
        }
        (Design::Split, _) => (
            evidence::of_drop(&good.control, &good.treatment, *margin),
            evidence::of_drop(&good.treatment, &good.control, -margin),
        ),
    }
}

fn guard<'v>(setup: &Setup, values: &dyn Fn(usize) -> &'v Values) -> Vec<Guarded> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ab::tests::setup;

    /// Zeros and ones.
    fn rate(hits: u64, n: u64) -> Moments {
        let mean = hits as f64 / n as f64;
        Moments { n, mean, sd: (mean * (1.0 - mean) * n as f64 / (n as f64 - 1.0)).sqrt() }
    }

    fn values(control: Moments, treatment: Moments) -> Values {
        Values { control, treatment, binary: true, ..Values::default() }
    }

    fn seen(values: Vec<Values>) -> Seen {
        let (control, treatment) = (values[0].control.n, values[0].treatment.n);
        Seen { control, treatment, assigned: true, values }
    }

    fn of(metric: &str, control: (u64, u64), treatment: (u64, u64)) -> Analysis {
        analyse(&setup(metric, &[]), &seen(vec![values(rate(control.0, control.1), rate(treatment.0, treatment.1))]))
    }

    #[test]
    fn what_is_clear_is_decided_both_ways() {
        let better = of("converted", (100, 1_000), (180, 1_000));
        assert_eq!((better.decision, better.primary.evidence > 20.0), (Decision::Promote, true), "{better:?}");
        assert_eq!(of("converted", (180, 1_000), (100, 1_000)).decision, Decision::Keep);
        assert_eq!(of("converted:lower", (180, 1_000), (100, 1_000)).decision, Decision::Promote);
        assert_eq!(of("converted:lower", (100, 1_000), (180, 1_000)).decision, Decision::Keep);
        assert_eq!(of("converted", (100, 1_000), (105, 1_000)).decision, Decision::Continue);
        // The chance of 0.95 alone promotes only where the rule says so.
        let lucky = of("converted", (100, 1_000), (124, 1_000));
        assert!(lucky.primary.probability.is_some_and(|p| p > 0.95), "{lucky:?}");
        assert_eq!(lucky.decision, Decision::Continue);
        assert!(lucky.reason.contains("looks again and again"), "{}", lucky.reason);
        let bayes = Setup { rule: Rule::Bayes, ..setup("converted", &[]) };
        let lucky = analyse(&bayes, &seen(vec![values(rate(100, 1_000), rate(124, 1_000))]));
        assert_eq!(lucky.decision, Decision::Promote);
    }

    #[test]
    fn scores_means_and_pairs_are_decided_too() {
        let moments = |n, mean, sd| Moments { n, mean, sd };
        let split = |metric: &str, control, treatment| {
            let values = Values { control, treatment, binary: false, ..Values::default() };
            analyse(&setup(metric, &[]), &seen(vec![values]))
        };
        let score = split("quality:score", moments(900, 0.6, 0.2), moments(900, 0.7, 0.2));
        assert_eq!(score.decision, Decision::Promote, "{score:?}");
        let mean = split("latency:mean:lower", moments(900, 400.0, 100.0), moments(900, 350.0, 100.0));
        assert_eq!(mean.decision, Decision::Promote, "{mean:?}");
        assert_eq!(split("latency:mean:lower", moments(900, 350.0, 100.0), moments(900, 400.0, 100.0)).decision, Decision::Keep);
        // The difference with its interval: 50 ± 1.96 · √(100²/900 · 2) = 9.24.
        assert!((mean.primary.low.expect("one") + 59.24).abs() < 0.02 && mean.primary.difference == Some(-50.0), "{mean:?}");
        let paired = Setup { design: Design::Paired, ..setup("quality:score", &[]) };
        let differences: Vec<f64> = (0..200).map(|i| if i % 2 == 0 { 0.16 } else { -0.04 }).collect();
        let pairs = Values {
            differences: differences.clone(),
            control: moments(200, 0.6, 0.2),
            treatment: moments(200, 0.66, 0.2),
            pairs: Moments::of(&differences).expect("finite"),
            ..Values::default()
        };
        let found = analyse(&paired, &Seen { control: 200, treatment: 200, assigned: false, values: vec![pairs.clone()] });
        assert_eq!((found.decision, found.split.p_value), (Decision::Promote, None), "{found:?}");
        let means = Setup { metric: "latency:mean:lower".parse().expect("one"), ..paired };
        let found = analyse(&means, &Seen { control: 200, treatment: 200, assigned: false, values: vec![pairs] });
        assert_eq!(found.decision, Decision::Keep, "{found:?}");
    }

    #[test]
    fn a_broken_guardrail_stops_and_an_open_one_waits() {
        let judge = |control: (u64, u64), treatment: (u64, u64)| {
            let guards = values(rate(control.0, control.1), rate(treatment.0, treatment.1));
            analyse(
                &setup("converted", &["errors:lower=0.02"]),
                &seen(vec![values(rate(1_000, 10_000), rate(1_300, 10_000)), guards]),
            )
        };
        let holds = judge((100, 10_000), (100, 10_000));
        assert_eq!((holds.decision, holds.guardrails[0].state), (Decision::Promote, Held::Holds), "{holds:?}");
        let broken = judge((100, 10_000), (600, 10_000));
        assert_eq!((broken.decision, broken.guardrails[0].state), (Decision::Guarded, Held::Broken), "{broken:?}");
        let open = judge((100, 10_000), (280, 10_000));
        assert_eq!((open.decision, open.guardrails[0].state), (Decision::Continue, Held::Open), "{open:?}");
        assert!(open.reason.ends_with("within the margin: errors"), "{}", open.reason);
        assert_eq!(judge((0, 0), (0, 0)).decision, Decision::Continue, "no values at all");
        let mean = |sd: f64, shift: f64| {
            let of = |mean| Moments { n: 2_000, mean, sd };
            let guard = Values { control: of(400.0), treatment: of(400.0 + shift), ..Values::default() };
            let s = setup("converted", &["latency:mean:lower=20"]);
            analyse(&s, &seen(vec![values(rate(1_000, 10_000), rate(1_300, 10_000)), guard])).guardrails[0].state
        };
        assert_eq!((mean(100.0, 0.0), mean(100.0, 40.0), mean(100.0, 20.0)), (Held::Holds, Held::Broken, Held::Open));
    }

    /// Of several guardrails the p-values are Holm's: one in ten that is unlucky is not broken.
    #[test]
    fn many_guardrails_are_corrected_for() {
        let names: Vec<String> = (0..10).map(|i| format!("g{i}:lower=0.02")).collect();
        let guards = |n: usize| {
            let s = setup("converted", &names[..n].iter().map(String::as_str).collect::<Vec<_>>());
            let worse = values(rate(100, 10_000), rate(420, 10_000));
            let fine = values(rate(100, 10_000), rate(100, 10_000));
            let all = std::iter::once(fine.clone()).chain(std::iter::once(worse)).chain(std::iter::repeat_n(fine, n - 1));
            analyse(&s, &seen(all.collect())).guardrails[0].clone()
        };
        let (alone, among) = (guards(1), guards(10));
        assert!((among.p_broken / alone.p_broken - 10.0).abs() < 1e-9, "{alone:?} {among:?}");
    }

    #[test]
    fn a_split_that_is_not_the_planned_one_makes_all_of_it_worthless() {
        let mut s = seen(vec![values(rate(100, 1_000), rate(180, 1_000))]);
        (s.control, s.treatment) = (5_300, 4_700);
        let found = analyse(&setup("converted", &[]), &s);
        assert_eq!(found.decision, Decision::Invalid);
        assert!(found.reason.contains("units were lost on the way"), "{}", found.reason);
        s.assigned = false;
        assert_eq!(analyse(&setup("converted", &[]), &s).decision, Decision::Promote, "requests are not units");
        let nothing = analyse(&setup("converted", &[]), &Seen { assigned: true, ..Seen::default() });
        assert_eq!((nothing.decision, nothing.primary.detectable), (Decision::Continue, None));
    }
}
