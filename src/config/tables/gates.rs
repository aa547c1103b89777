//! `[gates.<name>]`: conditions that must hold before a version enters a stage.
//!
//! Which keys a kind of gate takes: `absolute` `min` and/or `max`; `regression` `margin` and `against`; `budget` `max`, or
//! `min` for coverage. A key that a kind does not take is refused, because a gate must mean what its author reads in it.

use crate::base::name::{Name, Stage, words};
use crate::base::text::nearest;
use crate::config::check::{CheckNamed, Checker};
use crate::config::diag::{Diagnostic, Spot};
use crate::config::leaf::{OneOrMany, word, word_leaf};
use crate::config::path::Dataset;
use crate::config::shape::{At, Item, Leaf, Part as _, Walk, shown, table};
use serde_json::{Value, json};
use std::str::FromStr;
use toml::Spanned;
use toml::de::DeValue;

/// The loss that a regression gate accepts when it names none, in the unit of the metric.
pub const MARGIN: f64 = 0.01;

words! {
    /// What a gate compares.
    GateKind, "kind of gate" {
        /// A score with fixed limits.
        Absolute = "absolute",
        /// A score with that of the version in production.
        Regression = "regression",
        /// Cost, latency, errors or coverage with fixed limits.
        Budget = "budget",
    }
}

words! {
    /// What of a score must hold.
    Bound, "bound" {
        /// The mean alone.
        Mean = "mean",
        /// The end of the confidence interval that counts against the version.
        Interval = "interval",
    }
}

words! {
    /// What a regression gate compares with.
    Against, "version to compare with" {
        /// The version in production.
        Production = "production",
    }
}

words! {
    /// What a budget limits.
    Budget, "budget metric" {
        /// US dollars per question; needs `max`.
        CostPerQuery = "cost-per-query",
        /// The 95th percentile of the time to answer in milliseconds; needs `max`.
        LatencyP95 = "latency-p95",
        /// The share of questions that failed, 0 to 1; needs `max`.
        ErrorRate = "error-rate",
        /// The share of questions that could be scored, 0 to 1; needs `min`.
        Coverage = "coverage",
    }
}

word_leaf! {
    GateKind, "kind of gate";
    Bound, "bound";
    Against, "version to compare with";
}

table! {
    /// As written.
    RawGate {
        /// The stage that it guards, or a list of them.
        stage: Option<At<OneOrMany<Guarded>>> = "stage" [required];
        /// What it compares.
        kind: Option<At<GateKind>> = "kind" [required];
        /// A metric of the evaluation; for `budget` one of cost-per-query (US dollars), latency-p95 (milliseconds), error-rate, coverage (shares of 1).
        metric: Option<At<String>> = "metric" [required];
        /// The score must not be below (`absolute`, and `budget` on coverage).
        min: Option<At<f64>> = "min";
        /// The score must not be above (`absolute`, and the other budgets).
        max: Option<At<f64>> = "max";
        /// What of the score must hold: the mean, or the end of the confidence interval that counts.
        bound: At<Bound> = "bound", or Bound::Interval;
        /// The loss that a regression gate accepts, in the unit of the metric; 0.01 when it is not given.
        margin: Option<At<f64>> = "margin";
        /// What a regression gate compares with.
        against: Option<At<Against>> = "against";
        /// Names of the models that it is for; all when it is not given.
        models: Option<At<Vec<Item<Name>>>> = "models";
        /// The dataset that the evaluation must be on; `golden.dataset` when it is not given.
        dataset: Option<At<String>> = "dataset";
        /// Accept an evaluation of recorded answers.
        allow_recorded: At<bool> = "allow-recorded", or false;
        /// Accept a judged metric of a judge that people's labels do not vouch for (`kf judge calibrate`).
        allow_uncalibrated: At<bool> = "allow-uncalibrated", or false;
    }
}

/// A condition that must hold before a stage.
#[derive(Clone, Debug, PartialEq)]
pub struct Gate {
    /// Its name.
    pub name: Name,
    /// The stages that it guards, at least one, each once.
    pub stages: Vec<Stage>,
    /// What must hold.
    pub rule: Rule,
    /// What of the score must hold.
    pub bound: Bound,
    /// The models that it is for; `None` for all.
    pub models: Option<Vec<Name>>,
    /// The dataset that the evaluation must be on; `None` for the one that the version was evaluated on.
    pub dataset: Option<Dataset>,
    /// True when an evaluation of recorded answers counts.
    pub allow_recorded: bool,
    /// True when a judge counts that nobody calibrated, or that agrees too little with people.
    pub allow_uncalibrated: bool,
}

/// What must hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// A score within limits, of which there is at least one.
    Absolute {
        /// Name of the metric.
        metric: String,
        /// Not below this.
        min: Option<f64>,
        /// Not above this.
        max: Option<f64>,
    },
    /// A score that is not worse than another version's.
    Regression {
        /// Name of the metric.
        metric: String,
        /// The accepted loss in the unit of the metric, not negative.
        margin: f64,
        /// The version to compare with.
        against: Against,
    },
    /// A cost within its limit: the least coverage, the most of everything else.
    Budget {
        /// What is limited.
        metric: Budget,
        /// The limit, in the unit that [`Budget`] names.
        limit: f64,
    },
}

impl Gate {
    /// True when the gate guards this stage for this model.
    pub fn guards(&self, model: &Name, stage: Stage) -> bool {
        self.stages.contains(&stage) && self.models.as_ref().is_none_or(|models| models.contains(model))
    }

    /// What the gate compares.
    pub fn kind(&self) -> GateKind {
        match self.rule {
            Rule::Absolute { .. } => GateKind::Absolute,
            Rule::Regression { .. } => GateKind::Regression,
            Rule::Budget { .. } => GateKind::Budget,
        }
    }

    /// The name of its metric.
    pub fn metric(&self) -> &str {
        match &self.rule {
            Rule::Absolute { metric, .. } | Rule::Regression { metric, .. } => metric,
            Rule::Budget { metric, .. } => metric.word(),
        }
    }
}

impl CheckNamed for RawGate {
    type Plain = Gate;
    fn check(&self, name: &Name, key: &Spot, cx: &mut Checker<'_>) -> Option<Gate> {
        let rule = self.rule(name, key, cx);
        let stages = self.stage.as_ref().map(|stage| stages(name, stage, cx));
        let models = self.models.as_ref().map(|models| self.scope(name, models, cx));
        let dataset = self.dataset.as_ref().or(cx.raw.golden.body.dataset.as_ref()).and_then(|at| cx.dataset(at));
        Some(Gate {
            name: name.clone(),
            stages: stages?,
            rule: rule?,
            bound: self.bound.value,
            models,
            dataset,
            allow_recorded: self.allow_recorded.value,
            allow_uncalibrated: self.allow_uncalibrated.value,
        })
    }
}

fn stages(name: &Name, at: &At<OneOrMany<Guarded>>, cx: &mut Checker<'_>) -> Vec<Stage> {
    if at.value.0.is_empty() {
        let problem = Diagnostic::new(format!("gate `{name}` guards no stage")).at(&at.spot);
        cx.absent(problem.help("name `staging`, `production` or both"));
    }
    let mut stages: Vec<Stage> = at.value.0.iter().map(|s| s.value.0).collect();
    stages.sort_unstable();
    stages.dedup();
    stages
}

impl RawGate {
    fn rule(&self, name: &Name, key: &Spot, cx: &mut Checker<'_>) -> Option<Rule> {
        let (kind, metric) = (self.kind.as_ref()?, self.metric.as_ref()?);
        match kind.value {
            GateKind::Absolute => self.absolute(name, key, kind, metric, cx),
            GateKind::Regression => self.regression(kind, metric, cx),
            GateKind::Budget => self.budget(key, kind, metric, cx),
        }
    }

    fn absolute(&self, name: &Name, key: &Spot, kind: &At<GateKind>, metric: &At<String>, cx: &mut Checker<'_>) -> Option<Rule> {
        self.no_comparison(kind, cx);
        if let (Some(min), Some(max)) = (&self.min, &self.max)
            && min.value > max.value
        {
            let problem = Diagnostic::new(format!("gate `{name}` can never pass: min > max"));
            cx.diags.add(problem.at(&min.spot).at(&max.spot).help("swap them"));
        }
        if self.min.is_none() && self.max.is_none() {
            let problem = Diagnostic::new(format!("gate `{name}` has no limit")).at(key).at_with(&kind.spot, "needs one");
            cx.absent(problem.help("add `min`, `max` or both"));
        }
        if !cx.vocabulary.metrics.iter().any(|(name, _)| *name == metric.value) && metric.value.parse::<Budget>().is_ok() {
            let problem = Diagnostic::new(format!("`{}` is not a score, it is a budget", metric.value)).at(&metric.spot);
            cx.diags.add(problem.at(&kind.spot).help("write `kind = \"budget\"`"));
            return None;
        }
        let (metric, (low, high)) = cx.metric(metric)?;
        for (limit, key) in [(&self.min, "min"), (&self.max, "max")] {
            if let Some(at) = limit.as_ref().filter(|at| !(low..=high).contains(&at.value)) {
                let help = if high == 1.0 { "write a share of 1: 0.85 for 85 %" } else { "write a score that there is" };
                cx.refuse(&at.spot, format!("`{key}` of `{metric}` must be between {low} and {high}"), help);
            }
        }
        let limit = |at: &Option<At<f64>>| at.as_ref().map(|at| at.value);
        Some(Rule::Absolute { metric, min: limit(&self.min), max: limit(&self.max) })
    }

    fn regression(&self, kind: &At<GateKind>, metric: &At<String>, cx: &mut Checker<'_>) -> Option<Rule> {
        for (given, key) in [(self.min.given(), "min"), (self.max.given(), "max")] {
            cx.unused(given, kind, format!("a regression gate takes `margin`, not `{key}`"));
        }
        if let Some(margin) = self.margin.as_ref().filter(|m| m.value < 0.0) {
            cx.refuse(&margin.spot, "`margin` must not be negative", "0 accepts no loss, 0.01 a loss of one hundredth");
        }
        let (metric, (low, high)) = cx.metric(metric)?;
        if let Some(margin) = self.margin.as_ref().filter(|m| m.value > high - low) {
            let title = format!("this gate can never fail: `{metric}` is between {low} and {high}");
            cx.refuse(&margin.spot, title, "0 accepts no loss, 0.01 a loss of one hundredth");
        }
        let margin = self.margin.as_ref().map_or(MARGIN, |m| m.value);
        let against = self.against.as_ref().map_or(Against::Production, |a| a.value);
        Some(Rule::Regression { metric, margin, against })
    }

    fn budget(&self, key: &Spot, kind: &At<GateKind>, metric: &At<String>, cx: &mut Checker<'_>) -> Option<Rule> {
        self.no_comparison(kind, cx);
        let Ok(budget) = metric.value.parse::<Budget>() else {
            let words: Vec<&str> = Budget::ALL.iter().map(|b| b.word()).collect();
            let near = nearest(&metric.value, words.iter().copied()).map(|word| format!("did you mean `{word}`?"));
            let help = near.unwrap_or_else(|| format!("expected one of: {}", words.join(", ")));
            cx.refuse(&metric.spot, format!("`{}` is not a budget metric", shown(&metric.value)), help);
            return None;
        };
        let (takes, limit, not, other) = match budget {
            Budget::Coverage => ("min", &self.min, "max", &self.max),
            _ => ("max", &self.max, "min", &self.min),
        };
        cx.unused(other.given(), metric, format!("a budget of {budget} takes `{takes}`, not `{not}`"));
        let Some(limit) = limit else {
            let problem = Diagnostic::new(format!("a budget of {budget} needs `{takes}`")).at(key).at(&metric.spot);
            cx.absent(problem.help(format!("add `{takes} = …`")));
            return None;
        };
        let most = if matches!(budget, Budget::ErrorRate | Budget::Coverage) { 1.0 } else { f64::MAX };
        if !(0.0..=most).contains(&limit.value) {
            let range = if most > 1.0 { "must not be negative" } else { "must be between 0 and 1" };
            cx.refuse(
                &limit.spot,
                format!("a limit of {budget} {range}"),
                "0.05 is five in a hundred; cost is in US dollars, latency in milliseconds",
            );
        }
        Some(Rule::Budget { metric: budget, limit: limit.value })
    }

    fn no_comparison(&self, kind: &At<GateKind>, cx: &mut Checker<'_>) {
        for (given, key) in [(self.margin.given(), "margin"), (self.against.given(), "against")] {
            cx.unused(given, kind, format!("`{key}` is for regression gates"));
        }
    }

    fn scope(&self, name: &Name, models: &At<Vec<Item<Name>>>, cx: &mut Checker<'_>) -> Vec<Name> {
        if models.value.is_empty() {
            let problem = Diagnostic::new(format!("gate `{name}` is for no model")).at(&models.spot);
            cx.absent(problem.help("remove `models` to mean all"));
        }
        for item in &models.value {
            cx.known_model(&item.value, &item.spot);
        }
        models.value.iter().map(|i| i.value.clone()).collect()
    }
}

/// A stage that a gate can guard.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Guarded(Stage);

impl Guarded {
    const WORDS: [&str; 2] = [Stage::RELEASE[0].word(), Stage::RELEASE[1].word()];
}

impl FromStr for Guarded {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        Stage::of_release(s, "no gate guards").map(Self)
    }
}

impl Leaf for Guarded {
    fn read(value: &Spanned<DeValue<'_>>, walk: &mut Walk<'_>) -> Option<Self> {
        word(value, "stage that a gate guards", &Self::WORDS, walk)
    }

    fn schema() -> Value {
        json!({ "type": "string", "enum": Self::WORDS })
    }

    fn json(&self) -> Value {
        json!(self.0)
    }
}
