//! `[rollout.<name>]`: in which steps a version gets traffic, what it is held to on the way, and who is told.
//!
//! Whether the steps make a plan and the limits can be judged is for the domain to say; here is what was written, with its place.

use crate::base::name::{Name, words};
use crate::base::text::did_you_mean;
use crate::base::weight::Weight;
use crate::config::check::{Check as _, CheckNamed, CheckOne, Checker};
use crate::config::diag::{Diagnostic, Spot};
use crate::config::leaf::word_leaf;
use crate::config::shape::{At, Item, Layer, Leaf, Many, Part as _, Sub, Walk, table};
use crate::config::tables::metrics::{Counter, Metrics, RawMetrics};
use serde_json::{Value, json};
use std::time::Duration;
use toml::Spanned;
use toml::de::DeValue;

words! {
    /// A schedule of the specifications.
    PlanPreset, "preset" {
        /// 5 % for an hour, 20 % for three, then all.
        FourHours = "four-hours",
        /// 5 % for 6 hours, 20 % for 12, 50 % for 24, then all.
        TwoDays = "two-days",
        /// 5 % and 10 more every 15 minutes up to 50 %, then all, in at most 4 hours.
        Ramp = "ramp",
    }
}

words! {
    /// What becomes of a rollout that could not be decided in its time.
    Undecided, "word for `on-inconclusive`" {
        /// It stays where it is and a person is asked.
        Hold = "hold",
        /// It is taken back.
        Rollback = "rollback",
    }
}

words! {
    /// What to do when the target shows another weight than was set.
    WeightMoved, "word for `on-drift`" {
        /// Leave it and ask a person.
        Hold = "hold",
        /// Set it again.
        Reassert = "reassert",
        /// Take the canary back.
        Abort = "abort",
    }
}

words! {
    /// How it is decided that a limit is broken.
    Judging, "mode" {
        /// By evidence, with a bound on false alarms.
        Evidence = "evidence",
        /// By the numbers of single windows.
        Threshold = "threshold",
    }
}

word_leaf! {
    PlanPreset, "preset";
    Undecided, "word for `on-inconclusive`";
    WeightMoved, "word for `on-drift`";
    Judging, "mode";
}

/// A limit: its number, or `false` for none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CanaryLimit {
    /// It is not checked.
    Off,
    /// Its number, in its unit.
    At(f64),
}

impl Leaf for CanaryLimit {
    fn read(value: &Spanned<DeValue<'_>>, walk: &mut Walk<'_>) -> Option<Self> {
        match value.get_ref().as_bool() {
            Some(false) => Some(Self::Off),
            Some(true) => {
                walk.wrong_type(value, "a number, or false to switch it off");
                None
            }
            None => f64::read(value, walk).map(Self::At),
        }
    }

    fn schema() -> Value {
        json!({ "anyOf": [{ "type": "number" }, { "type": "boolean", "const": false }] })
    }

    fn json(&self) -> Value {
        match self {
            Self::Off => json!(false),
            Self::At(number) => json!(number),
        }
    }
}

const MINUTE: u64 = 60;
/// The percentage of requests that a shadow gets: each copy costs what an answer costs.
const SHADOW: f64 = 10.0;

table! {
    /// As written.
    RawRollout {
        /// The target whose traffic goes this way when no plan is named: the name of a `[target.NAME]`.
        target: Option<At<Name>> = "target";
        /// A schedule of the specifications: four-hours, two-days or ramp.
        preset: Option<At<PlanPreset>> = "preset";
        /// The steps, the last with a weight of 100.
        steps: Many<RawStep> = "steps";
        /// In the short form the first weight, in percent; 5 when it is left out.
        initial: Option<At<f64>> = "initial";
        /// In the short form by how much the weight rises, in percent; 10 when it is left out.
        step: Option<At<f64>> = "step";
        /// In the short form the last weight before 100, in percent; 50 when it is left out.
        max: Option<At<f64>> = "max";
        /// How long a window of the judge is, a minute when it is left out; in the short form how long each step lasts.
        window: Option<At<Duration>> = "window";
        /// The longest that all steps may take; twice what they hold when it is left out.
        max_duration: Option<At<Duration>> = "max-duration";
        /// Of `kf deploy --strategy shadow`: the percentage of requests of which the version gets a copy, and nobody its answers.
        shadow: At<f64> = "shadow", or SHADOW;
        /// How long it gets copies, counted while data arrives; an hour when it is left out, or `max-duration` when that is less.
        shadow_hold: Option<At<Duration>> = "shadow-hold";
        /// How long the version is watched at 100 %, with the old one standing by.
        monitor: At<Duration> = "monitor", or Duration::from_secs(10 * MINUTE);
        /// What becomes of it when its time is over without a decision: hold or rollback.
        on_inconclusive: At<Undecided> = "on-inconclusive", or Undecided::Hold;
        /// What to do when somebody else changed the weight: hold, reassert or abort.
        on_drift: At<WeightMoved> = "on-drift", or WeightMoved::Hold;
        /// How many errors in a row are waited out.
        errors: At<u32> = "errors", or 4;
        /// How it is decided that a limit is broken: evidence or threshold.
        mode: At<Judging> = "mode", or Judging::Evidence;
        /// The requests that a version must have answered in a step before it goes on.
        min_requests: At<u32> = "min-requests", or 200;
        /// The judged answers that a version must have in a step before it goes on.
        min_judged: At<u32> = "min-judged", or 30;
        /// What the canary is held to.
        limits: Sub<RawCanaryLimits> = "limits";
        /// Who counts what both versions did; what splits the traffic when it is left out.
        source: Sub<RawMetrics> = "source";
        /// A program that tests the canary before it gets traffic, and its arguments.
        smoke: Option<At<Vec<Item<String>>>> = "smoke";
        /// A load test of the canary, such as `["k6", "run", "load.js"]`.
        load: Option<At<Vec<Item<String>>>> = "load";
        /// The fewest requests that a load test must have made, as its k6 summary says; 0 asks for none.
        load_requests: At<u32> = "load-requests", or 100;
        /// How long a smoke test or a load test may take.
        test_timeout: At<Duration> = "test-timeout", or Duration::from_secs(10 * MINUTE);
        /// Names of the `[alerts.<name>]` that are told.
        alerts: At<Vec<Item<Name>>> = "alerts", or Vec::new();
    }
}

table! {
    /// As written.
    RawStep {
        /// The canary's part of the traffic, in percent.
        weight: Option<At<f64>> = "weight" [required];
        /// How long it stays there at least, counted while data arrives.
        hold: At<Duration> = "hold", or Duration::ZERO;
        /// Whether the judge must find it good before it goes on; false for a step without traffic.
        analysis: At<bool> = "analysis", or true;
        /// Whether a person must approve before it goes on.
        approval: At<bool> = "approval", or false;
        /// Whether the smoke test runs before the weight is set.
        smoke: At<bool> = "smoke", or false;
        /// Whether the load test runs before the weight is set.
        load: At<bool> = "load", or false;
    }
}

table! {
    /// As written.
    RawCanaryLimits {
        /// The highest share of requests that fail.
        error_rate: Option<At<CanaryLimit>> = "error-rate";
        /// How many times the stable version's share of failures.
        error_ratio: Option<At<CanaryLimit>> = "error-ratio";
        /// The longest that 95 of 100 answers may take, in milliseconds.
        latency_p95: Option<At<CanaryLimit>> = "latency-p95";
        /// How many times the stable version's 95th percentile: before the start, or without figures from then in the same windows.
        latency_ratio: Option<At<CanaryLimit>> = "latency-ratio";
        /// How many times the stable version's median, from the same time.
        latency_degradation: Option<At<CanaryLimit>> = "latency-degradation";
        /// The lowest mean of the scores for faithfulness.
        faithfulness: Option<At<CanaryLimit>> = "faithfulness";
        /// By how much the mean of the scores for accuracy may be below the stable version's.
        accuracy: Option<At<CanaryLimit>> = "accuracy";
        /// How many times the stable version's cost of an answer.
        cost: Option<At<CanaryLimit>> = "cost";
    }
}

/// How versions reach users.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollout {
    /// The name.
    pub name: Name,
    /// The target whose traffic goes this way when no plan is named.
    pub target: Option<Name>,
    /// The steps.
    pub schedule: Schedule,
    /// How long a window of the judge is, or in the short form a step.
    pub window: Option<Duration>,
    /// The longest that all steps may take.
    pub max_duration: Option<Duration>,
    /// The part of the requests that a shadow gets copies of.
    pub shadow: Weight,
    /// How long it gets them.
    pub shadow_hold: Option<Duration>,
    /// How long the version is watched at 100 %.
    pub monitor: Duration,
    /// What becomes of it when its time is over.
    pub on_inconclusive: Undecided,
    /// What to do when somebody else changed the weight.
    pub on_drift: WeightMoved,
    /// Errors in a row that are waited out.
    pub errors: u32,
    /// How it is decided that a limit is broken.
    pub mode: Judging,
    /// Requests before a version goes on.
    pub min_requests: u32,
    /// Judged answers before it goes on.
    pub min_judged: u32,
    /// What was said of limits, by the name of the check.
    pub limits: Vec<(&'static str, CanaryLimit)>,
    /// Who counts.
    pub source: Metrics,
    /// The smoke test; not empty.
    pub smoke: Option<Vec<String>>,
    /// The load test; not empty.
    pub load: Option<Vec<String>>,
    /// The fewest requests of a load test.
    pub load_requests: u32,
    /// How long a test may take; not zero.
    pub test_timeout: Duration,
    /// Who is told.
    pub alerts: Vec<Name>,
}

/// In which steps.
#[derive(Clone, Debug, PartialEq)]
pub enum Schedule {
    /// A schedule of the specifications.
    Preset(PlanPreset),
    /// From `initial` in steps of `step` to `max`.
    Ramp {
        /// The first weight.
        initial: Weight,
        /// By how much it rises.
        step: Weight,
        /// The last before all of the traffic.
        max: Weight,
    },
    /// These.
    Steps(Vec<RolloutStep>),
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RolloutStep {
    /// The canary's part of the traffic.
    pub weight: Weight,
    /// How long it stays there at least.
    pub hold: Duration,
    /// Whether the judge must find it good.
    pub analysis: bool,
    /// Whether a person must approve.
    pub approval: bool,
    /// Whether the smoke test runs before.
    pub smoke: bool,
    /// Whether the load test runs before.
    pub load: bool,
}

impl Rollout {
    /// What holds where `mlops.toml` says nothing of it.
    pub fn named(name: &Name, schedule: Schedule) -> Self {
        RawRollout::default().plain(name, schedule, Vec::new(), Metrics { counter: Counter::Target, evaluations: false })
    }
}

impl CheckOne for RawCanaryLimits {
    type Plain = Vec<(&'static str, CanaryLimit)>;
    fn check(&self, _: &mut Checker<'_>) -> Option<Self::Plain> {
        let all = [
            ("error-rate", &self.error_rate),
            ("error-ratio", &self.error_ratio),
            ("latency-p95", &self.latency_p95),
            ("latency-ratio", &self.latency_ratio),
            ("latency-degradation", &self.latency_degradation),
            ("faithfulness", &self.faithfulness),
            ("accuracy", &self.accuracy),
            ("cost", &self.cost),
        ];
        Some(all.into_iter().filter_map(|(name, at)| Some((name, at.as_ref()?.value))).collect())
    }
}

impl CheckNamed for RawRollout {
    type Plain = Rollout;
    fn check(&self, name: &Name, _: &Spot, cx: &mut Checker<'_>) -> Option<Rollout> {
        let targets = &cx.raw.target;
        if let Some(at) = self.target.as_ref().filter(|at| targets.get(at.value.as_str()).is_none()) {
            let hint = did_you_mean(at.value.as_str(), targets.names());
            let hint = hint.unwrap_or_else(|| format!("add `[target.{}]` with `kind = \"gateway\"`", at.value));
            cx.refuse(&at.spot, format!("there is no `[target.{}]`", at.value), hint);
        }
        cx.known_alerts(&self.alerts.value);
        for (key, at) in [("smoke", &self.smoke), ("load", &self.load)] {
            if let Some(at) = at.as_ref().filter(|at| at.value.is_empty()) {
                cx.refuse(&at.spot, format!("`rollout.{name}.{key}` is an empty list"), "write the program and its arguments");
            }
        }
        for (key, at) in [("window", self.window.as_ref()), ("test-timeout", Some(&self.test_timeout))] {
            // What is below a second has no whole number of them.
            if let Some(at) = at.filter(|at| at.value < Duration::from_secs(1)) {
                cx.refuse(&at.spot, format!("`rollout.{name}.{key}` must be at least a second"), "write it as `30s` or `1m`");
            }
        }
        weight(&self.shadow, &format!("rollout.{name}.shadow"), cx)?;
        let limits = self.limits.check(&format!("rollout.{name}.limits"), cx)?;
        let source = self.source.body.checked(&format!("rollout.{name}.source"), cx);
        let schedule = self.schedule(name, cx)?;
        Some(self.plain(name, schedule, limits, source?))
    }
}

impl RawRollout {
    fn plain(&self, name: &Name, schedule: Schedule, limits: Vec<(&'static str, CanaryLimit)>, source: Metrics) -> Rollout {
        let words = |at: &Option<At<Vec<Item<String>>>>| -> Option<Vec<String>> {
            Some(at.as_ref()?.value.iter().map(|item| item.value.clone()).collect())
        };
        Rollout {
            name: name.clone(),
            target: self.target.as_ref().map(|at| at.value.clone()),
            schedule,
            window: self.window.as_ref().map(|at| at.value),
            max_duration: self.max_duration.as_ref().map(|at| at.value),
            // What is no percentage was refused.
            shadow: Weight::from_percent(self.shadow.value).unwrap_or(Weight::NONE),
            shadow_hold: self.shadow_hold.as_ref().map(|at| at.value),
            monitor: self.monitor.value,
            on_inconclusive: self.on_inconclusive.value,
            on_drift: self.on_drift.value,
            errors: self.errors.value,
            mode: self.mode.value,
            min_requests: self.min_requests.value,
            min_judged: self.min_judged.value,
            limits,
            source,
            smoke: words(&self.smoke),
            load: words(&self.load),
            load_requests: self.load_requests.value,
            test_timeout: self.test_timeout.value,
            alerts: self.alerts.value.iter().map(|item| item.value.clone()).collect(),
        }
    }

    /// One of the three ways in which steps can be said.
    fn schedule(&self, name: &Name, cx: &mut Checker<'_>) -> Option<Schedule> {
        let short = [("initial", &self.initial), ("step", &self.step), ("max", &self.max)];
        let (steps, preset) = (self.steps.given().map(|(key, _)| key), self.preset.as_ref());
        let first = short.iter().find_map(|(_, at)| Some(&at.as_ref()?.key));
        let mut said = [steps, preset.map(|at| &at.key), first].into_iter().flatten();
        if let (Some(one), Some(other)) = (said.next(), said.next()) {
            let title = format!("`[rollout.{name}]` says its steps twice");
            cx.diags.add(Diagnostic::new(title).at(one).at_with(other, "and here").help("take one of them out"));
            return None;
        }
        if let Some(key) = steps {
            if self.steps.items.is_empty() {
                let help =
                    "steps rise from a weight above 0 to 100, such as `[{ weight = 5 }, { weight = 20 }, { weight = 100 }]`";
                cx.refuse(key, format!("`rollout.{name}.steps` has no step"), help);
                return None;
            }
            let steps: Vec<Option<RolloutStep>> =
                self.steps.items.iter().enumerate().map(|(i, e)| e.body.check(name, i, (&e.spot, e.flawed), self, cx)).collect();
            return Some(Schedule::Steps(steps.into_iter().collect::<Option<_>>()?));
        }
        if let Some(preset) = preset {
            return Some(Schedule::Preset(preset.value));
        }
        let mut percent = |(key, at): (&str, &Option<At<f64>>), usual: u16| match at {
            Some(at) => weight(at, &format!("rollout.{name}.{key}"), cx),
            None => Weight::from_hundredths(usual * 100),
        };
        let (initial, step, max) = (percent(short[0], 5), percent(short[1], 10), percent(short[2], 50));
        Some(Schedule::Ramp { initial: initial?, step: step?, max: max? })
    }
}

/// A percentage as a weight.
fn weight(at: &At<f64>, key: &str, cx: &mut Checker<'_>) -> Option<Weight> {
    let weight = Weight::from_percent(at.value);
    if weight.is_none() {
        let help = "write a percentage from 0 to 100 with at most two decimals";
        cx.refuse(&at.spot, format!("`{key}` is no part of the traffic: {} %", at.value), help);
    }
    weight
}

impl RawStep {
    fn check(&self, name: &Name, i: usize, at: (&Spot, bool), of: &RawRollout, cx: &mut Checker<'_>) -> Option<RolloutStep> {
        let key = format!("rollout.{name}.steps.{}", i + 1);
        let Some(percent) = &self.weight else {
            if !at.1 {
                cx.diags.add(Diagnostic::new(format!("`{key}` has no `weight`")).at(at.0).help("add `weight = …`, in percent"));
            }
            return None;
        };
        let weight = weight(percent, &format!("{key}.weight"), cx)?;
        for (what, wanted, program) in [("smoke", &self.smoke, &of.smoke), ("load", &self.load, &of.load)] {
            if wanted.value && program.is_none() {
                let title = format!("`{key}` asks for a {what} test, and `[rollout.{name}]` has none");
                cx.refuse(&wanted.spot, title, format!("add `{what} = [\"PROGRAM\", …]` to `[rollout.{name}]`"));
            }
        }
        let analysis = self.analysis.value && (weight > Weight::NONE || self.analysis.layer > Layer::BuiltIn);
        Some(RolloutStep {
            weight,
            hold: self.hold.value,
            analysis,
            approval: self.approval.value,
            smoke: self.smoke.value,
            load: self.load.value,
        })
    }
}
