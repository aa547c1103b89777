//! What was seen of a test, judged. Pure: sums in, a decision with its reasons out.
//!
//! * The chance that the treatment is better is Bayes' ([`crate::stats::posterior`]): at least [`PROMOTE`] promotes, at most [`KEEP`] keeps.
//! * Whoever looks every day and stops when the chance is high enough promotes too often: looking after every 20 of 2,000 units, about one
//!   in three tests of a version against itself (docs/ab.md has the figures). So a promotion also takes evidence that holds at every look
//!   ([`crate::stats::sequential`]), unless the test's rule is `bayes`. Whoever looks often also sees a low chance of a better version by
//!   luck, most of all after a few units, so keeping control takes 30 units of each variant and either the units of the plan or
//!   evidence that holds at every look.
//! * Where all values of a variant are alike there is no spread, and so no chance; the evidence decides alone.
//! * Guardrails: each is held against its margin by evidence of the same kind, both ways. One that is surely worse by more (Holm over all of
//!   them) stops the test; a promotion needs every one surely within its margin, which needs no correction since all must hold.
//! * A split that did not come out as planned means that units were lost on the way, and then no number means what it says. That, too, is
//!   held against evidence that may be looked at whenever one likes ([`crate::stats::split`]).

use super::compare::{LOG_MAX, compare, guard};
use super::decide::{Case, decide};
use super::{Design, Metric, Setup};
use crate::base::name::words;
use crate::stats::contingency::fits;
use crate::stats::describe::Moments;
use crate::stats::split::of_split;
use serde::Serialize;

/// The chance of being better from which on the treatment is promoted.
pub const PROMOTE: f64 = 0.95;
/// The chance of being better up to which control is kept.
pub const KEEP: f64 = 0.05;
/// The chance at most that a sound split is ever called another one, however often one looks.
pub const MISMATCH: f64 = 0.001;

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
    /// Units of control; what somebody counted has none.
    pub control: u64,
    /// Units of the treatment.
    pub treatment: u64,
    /// True when there are sums among the values that somebody counted.
    pub counted: bool,
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
    /// The evidence that the treatment is not better by the difference that was planned; without a plan, that it is worse.
    pub evidence_keep: f64,
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
    /// The chance of a split as uneven, for whoever looks once; `None` when it says nothing: pairs, no units.
    pub p_value: Option<f64>,
    /// The evidence that the split is not the planned one: 1,000 has a chance of 0.1 % at most of ever coming up while it is. `None` as above.
    pub evidence: Option<f64>,
}

impl Split {
    /// True when it is not the planned one.
    pub fn is_another(&self) -> bool {
        self.evidence.is_some_and(|e| e >= 1.0 / MISMATCH)
    }
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
    let (decision, reason) =
        decide(&Case { setup, split: &split, primary: &primary, guardrails: &guardrails, values: values(0) });
    Analysis { split, primary, guardrails, decision, reason }
}

fn split(setup: &Setup, seen: &Seen) -> Split {
    let planned = setup.split.share();
    // Of what somebody counted the units are not known, only how many values there are.
    let counted = || seen.values.first().map_or((0, 0), |v| (v.control.n, v.treatment.n));
    let units = seen.control + seen.treatment > 0;
    let (control, treatment) = if seen.counted && !units { counted() } else { (seen.control, seen.treatment) };
    let said = units && setup.design == Design::Split;
    let p_value = said.then(|| fits(&[seen.control, seen.treatment], &[1.0 - planned, planned])).flatten();
    let evidence = said.then(|| of_split(seen.control, seen.treatment, planned).min(LOG_MAX).exp());
    Split { control, treatment, planned, p_value, evidence }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ab::tests::setup;
    use crate::domain::ab::{Aim, Rule};

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
        Seen { control, treatment, counted: false, values }
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
        let found = analyse(&paired, &Seen { control: 200, treatment: 200, counted: false, values: vec![pairs.clone()] });
        assert_eq!((found.decision, found.split.p_value), (Decision::Promote, None), "{found:?}");
        let means = Setup { metric: "latency:mean:lower".parse().expect("one"), ..paired };
        let found = analyse(&means, &Seen { control: 200, treatment: 200, counted: false, values: vec![pairs] });
        assert_eq!(found.decision, Decision::Keep, "{found:?}");
    }

    /// Three users of each variant show a low chance by luck, and so does whoever looks often.
    #[test]
    fn keeping_takes_as_much_as_luck_does_not_bring() {
        let few = of("converted", (3, 3), (0, 3));
        assert!(few.primary.probability.is_some_and(|p| p < KEEP), "{few:?}");
        assert!(few.decision == Decision::Continue && few.reason.contains("fewer than 30 units"), "{}", few.reason);
        let judge = |rule: Rule, aim: Option<Aim>, control: (u64, u64), treatment: (u64, u64)| {
            let s = Setup { rule, aim, ..setup("converted", &[]) };
            analyse(&s, &seen(vec![values(rate(control.0, control.1), rate(treatment.0, treatment.1))]))
        };
        assert_eq!(judge(Rule::Bayes, None, (3, 3), (0, 3)).decision, Decision::Keep, "by the chance alone");
        let aim = Some(Aim { effect: 0.05, base: 0.2, power: 0.8 });
        let unclear = judge(Rule::Both, aim, (12, 40), (5, 40));
        assert!(unclear.primary.probability.is_some_and(|p| p < KEEP), "{unclear:?}");
        assert!(unclear.decision == Decision::Continue && unclear.reason.contains("80 of the planned"), "{}", unclear.reason);
        assert!(judge(Rule::Both, None, (12, 40), (5, 40)).reason.contains("the evidence that it is worse is"));
        let clear = judge(Rule::Both, aim, (240, 800), (150, 800));
        assert!(clear.decision == Decision::Keep && clear.primary.evidence_keep > 20.0, "{clear:?}");
        // All units of the plan are there.
        let planned = judge(Rule::Both, aim, (1_000, 5_000), (930, 5_000));
        assert_eq!(planned.decision, Decision::Keep, "{planned:?}");
    }

    /// Without a spread there is no chance, and the evidence decides.
    #[test]
    fn values_that_are_all_alike_are_decided_by_the_evidence() {
        let paired = |metric: &str, n: usize, difference: f64, aim: Option<Aim>| {
            let differences = vec![difference; n];
            let of = |mean| Moments { n: n as u64, mean, sd: 0.0 };
            let pairs = Moments::of(&differences).expect("finite");
            let values = Values { control: of(0.5), treatment: of(0.5 + difference), pairs, differences, ..Values::default() };
            let s = Setup { design: Design::Paired, aim, ..setup(metric, &[]) };
            let found = analyse(&s, &Seen { control: n as u64, treatment: n as u64, counted: false, values: vec![values] });
            assert_eq!(found.primary.probability, None);
            found
        };
        for metric in ["quality:score", "quality:mean"] {
            let better = paired(metric, 500, 0.5, None);
            assert_eq!(better.decision, Decision::Promote, "{better:?}");
            assert!(better.reason.starts_with("all 500 pairs differ by 0.5: the treatment is better"), "{}", better.reason);
            assert_eq!(paired(metric, 500, -0.5, None).decision, Decision::Keep);
            assert_eq!(paired(&format!("{metric}:lower"), 500, -0.5, None).decision, Decision::Promote);
            assert!(paired(metric, 20, 0.5, None).reason.contains("too few values"));
            assert_eq!(paired(metric, 500, 0.0, None).decision, Decision::Continue);
            let aim = Some(Aim { effect: 0.2, base: 0.2, power: 0.8 });
            assert_eq!(paired(metric, 500, 0.0, aim).decision, Decision::Keep, "it is not better by 0.2");
        }
        let split = |metric: &str, one: f64, two: f64| {
            let of = |mean| Moments { n: 200, mean, sd: 0.0 };
            let values = Values { control: of(one), treatment: of(two), ..Values::default() };
            analyse(&setup(metric, &[]), &seen(vec![values]))
        };
        assert_eq!(split("quality:score", 0.0, 1.0).decision, Decision::Promote);
        assert_eq!(split("latency:mean:lower", 400.0, 350.0).decision, Decision::Promote);
        assert_eq!(split("latency:mean:lower", 350.0, 400.0).decision, Decision::Keep);
        let same = split("latency:mean:lower", 350.0, 350.0);
        assert!(same.decision == Decision::Continue && same.reason.contains("alike"), "{}", same.reason);
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
        s.counted = true;
        assert_eq!(analyse(&setup("converted", &[]), &s).decision, Decision::Invalid, "requests change nothing of the units");
        (s.control, s.treatment) = (0, 0);
        let requests = analyse(&setup("converted", &[]), &s);
        assert_eq!((requests.decision, requests.split.p_value), (Decision::Promote, None), "requests are not units");
        assert_eq!((requests.split.control, requests.split.treatment), (1_000, 1_000));
        // What one look in a thousand shows by luck proves nothing to whoever looks often.
        (s.control, s.treatment) = (5_170, 4_830);
        let lucky = analyse(&setup("converted", &[]), &s);
        assert!(lucky.split.p_value.is_some_and(|p| p < MISMATCH) && !lucky.split.is_another(), "{lucky:?}");
        assert_eq!(lucky.decision, Decision::Promote);
        let nothing = analyse(&setup("converted", &[]), &Seen::default());
        assert_eq!((nothing.decision, nothing.primary.detectable), (Decision::Continue, None));
    }
}
