//! Tests as reports show them.

use crate::base::name::Name;
use crate::base::table::Table;
use crate::base::text::{count, group};
use crate::base::time::Timestamp;
use crate::cli::report::{Block, Report};
use crate::domain::ab::analyse::Decision;
use crate::domain::ab::size::{self, Size};
use crate::domain::ab::table::{Batch, Test};
use crate::domain::ab::{Design, Guardrail, Metric, Rule, Setup};
use serde::Serialize;

/// What was planned.
#[derive(Serialize)]
pub(super) struct AimDoc {
    pub(super) effect: f64,
    pub(super) base: f64,
    pub(super) power: f64,
    /// Units of both variants together; `None` where no number would do.
    pub(super) units: Option<Size>,
}

impl AimDoc {
    pub(super) fn of(setup: &Setup) -> Option<Self> {
        let aim = setup.aim?;
        let units = size::needed(&setup.metric, setup.design, setup.split, aim);
        Some(Self { effect: aim.effect, base: aim.base, power: aim.power, units })
    }

    /// In words.
    pub(super) fn words(&self, design: Design) -> String {
        units(self.units, self.effect, self.power, design)
    }
}

/// How many units a plan takes, in words.
pub(super) fn units(size: Option<Size>, effect: f64, power: f64, design: Design) -> String {
    let what = if design == Design::Paired { "pairs" } else { "units of both variants together" };
    let n = |n: u64| group(usize::try_from(n).unwrap_or(usize::MAX));
    match size {
        Some(Size { once, looking: Some(looking) }) => format!(
            "a difference of {effect} is found with a chance of {power} by {} {what}, looking whenever you like ({} looking once, at the end, by `--rule bayes`)",
            n(looking),
            n(once)
        ),
        Some(Size { once, looking: None }) => {
            format!(
                "a difference of {effect} is found with a chance of {power} by {} {what} looking once, at the end, by `--rule bayes`",
                n(once)
            )
        }
        None => format!("no number of {what} finds a difference of {effect}"),
    }
}

/// A batch of values.
#[derive(Serialize)]
pub(super) struct BatchDoc {
    seq: i64,
    source: String,
    values: i64,
    at: Timestamp,
    event: i64,
}

/// A test.
#[derive(Serialize)]
pub(super) struct TestDoc {
    pub(super) name: Name,
    control: String,
    treatment: String,
    metric: Metric,
    guardrails: Vec<Guardrail>,
    /// The part of the treatment, in percent.
    split: f64,
    pub(super) design: Design,
    rule: Rule,
    pub(super) plan: Option<AimDoc>,
    open: bool,
    decision: Option<Decision>,
    created: Timestamp,
    changed: Timestamp,
    batches: Vec<BatchDoc>,
}

impl TestDoc {
    pub(super) fn begun(setup: &Setup, now: Timestamp) -> Self {
        Self {
            name: setup.name.clone(),
            control: setup.control.reference(),
            treatment: setup.treatment.reference(),
            metric: setup.metric.clone(),
            guardrails: setup.guardrails.clone(),
            split: setup.split.percent(),
            design: setup.design,
            rule: setup.rule,
            plan: AimDoc::of(setup),
            open: true,
            decision: None,
            created: now,
            changed: now,
            batches: Vec::new(),
        }
    }

    pub(super) fn of(test: &Test, batches: Vec<Batch>) -> Self {
        let doc = |b: Batch| BatchDoc { seq: b.seq, source: b.source, values: b.rows, at: b.at, event: b.event };
        Self {
            open: test.open,
            decision: test.decision,
            changed: test.changed,
            batches: batches.into_iter().map(doc).collect(),
            ..Self::begun(&test.setup, test.created)
        }
    }

    /// Where it stands, in words.
    pub(super) fn standing(&self) -> String {
        match (self.open, self.decision) {
            (true, _) => "running".to_owned(),
            (false, Some(decision)) => format!("stopped: {decision}"),
            (false, None) => "stopped".to_owned(),
        }
    }

    pub(super) fn row(&self) -> [String; 5] {
        [self.name.to_string(), self.standing(), self.control.clone(), self.treatment.clone(), self.metric.to_string()]
    }
}

impl Report for TestDoc {
    const SCHEMA: &'static str = "kf.ab-test/1";

    fn blocks(&self) -> Vec<Block> {
        let who = match self.design {
            Design::Split => format!("{} % of the users get the treatment", self.split),
            Design::Paired => "each unit gets both".to_owned(),
        };
        let mut lines = vec![self.summary(), format!("decides: {}; rule: {}; {who}", self.metric, self.rule)];
        lines.extend(self.guardrails.iter().map(|g| format!("guardrail: {}, at most {} worse", g.metric, g.margin)));
        lines.extend(self.plan.as_ref().map(|plan| plan.words(self.design)));
        let mut t = Table::new(&["batch", "from", ">values", "at", ">event"]);
        for b in &self.batches {
            t.row([b.seq.to_string(), b.source.clone(), b.values.to_string(), b.at.to_string(), b.event.to_string()]);
        }
        let mut blocks = vec![lines.join("\n").into()];
        blocks.extend(Block::filled(t));
        blocks
    }

    fn summary(&self) -> String {
        format!("{}: {} against {}, {}", self.name, self.treatment, self.control, self.standing())
    }
}

/// Every test.
#[derive(Serialize)]
pub(super) struct Listed {
    pub(super) tests: Vec<TestDoc>,
}

impl Report for Listed {
    const SCHEMA: &'static str = "kf.ab-list/1";

    fn blocks(&self) -> Vec<Block> {
        let mut t = Table::new(&["test", "state", "control", "treatment", "metric"]);
        for test in &self.tests {
            t.row(test.row());
        }
        if self.tests.is_empty() { vec![self.summary().into()] } else { vec![t.into()] }
    }

    fn summary(&self) -> String {
        count(self.tests.len(), "A/B test")
    }

    fn items(&self) -> Option<Vec<serde_json::Value>> {
        self.tests.iter().map(|test| serde_json::to_value(test).ok()).collect()
    }
}
