//! Gates that say nothing of a branch, because what they go by is not measured here; and the commands that judge them.

use crate::base::name::{Name, Stage};
use crate::config::{Dataset, Gate, Project};
use crate::domain::eval::judged::{self, JudgedId};
use crate::domain::eval::metrics::{self, MetricId};
use crate::domain::eval::suite::{self, Suite};
use std::collections::BTreeMap;

/// Which metrics are measured.
pub(super) struct Measured<'a> {
    /// Those that are computed.
    pub(super) computed: &'a [MetricId],
    /// Those that are judged.
    pub(super) judged: &'a [JudgedId],
    /// Whether `--metric` says which.
    pub(super) chosen: bool,
}

impl Measured<'_> {
    fn has(&self, gate: &Gate) -> bool {
        let metric = gate.metric();
        match (metrics::find(metric), judged::find(metric)) {
            _ if !self.chosen => true,
            (Some(m), _) => self.computed.contains(&m.id),
            (None, Some(m)) => self.judged.contains(&m.id),
            // Budgets are told of every answer.
            (None, None) => true,
        }
    }
}

/// Why a gate is not judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    /// It goes by a dataset that is not asked.
    Dataset,
    /// It goes by a suite, and none is run.
    Suite(Suite),
    /// It goes by a metric that `--metric` leaves out.
    Metric,
}

/// Gates that are not judged.
#[derive(Default)]
pub(super) struct Unjudged(Vec<(Why, Gate)>);

impl Unjudged {
    /// Takes the gates that cannot be judged on this dataset, by what is measured, out of a configuration.
    pub(super) fn take(project: &mut Project, dataset: &str, measured: &Measured<'_>) -> Self {
        let golden = project.golden.dataset.clone();
        let (mut mine, mut others) = (Vec::new(), Vec::new());
        for mut gate in std::mem::take(&mut project.gates) {
            let named = gate.dataset.as_ref().or(golden.as_ref()).map(ToString::to_string);
            if gate.dataset == golden && suite::of_metric(gate.metric()).is_some() {
                // What `kf eval` asks by itself need not be said.
                gate.dataset = None;
            }
            match (suite::of_metric(gate.metric()), named.as_deref() == Some(dataset)) {
                (Some(suite), _) => others.push((Why::Suite(suite), gate)),
                (None, false) => others.push((Why::Dataset, gate)),
                (None, true) if !measured.has(&gate) => others.push((Why::Metric, gate)),
                (None, true) => mine.push(gate),
            }
        }
        project.gates = mine;
        Self(others)
    }

    /// What a person is told of those that guard a model at one of these stages.
    pub(super) fn notes(&self, model: &Name, stages: &[Stage]) -> Vec<String> {
        let mut by: BTreeMap<(Why, Option<String>), Vec<&str>> = BTreeMap::new();
        for (why, gate) in self.0.iter().filter(|(_, gate)| stages.iter().any(|stage| gate.guards(model, *stage))) {
            let dataset = gate.dataset.as_ref().map(Dataset::to_string).filter(|_| *why != Why::Metric);
            by.entry((*why, dataset)).or_default().push(gate.name.as_str());
        }
        by.into_iter().map(|((why, dataset), gates)| note(model, why, dataset, &gates.join(", "))).collect()
    }
}

fn note(model: &Name, why: Why, dataset: Option<String>, gates: &str) -> String {
    let on = dataset.map(|dataset| format!(" --dataset {dataset}")).unwrap_or_default();
    match why {
        Why::Dataset => {
            format!("gates that go by another dataset were not judged: {gates}; `kf eval --changed{on}` judges them")
        }
        Why::Suite(suite) => format!(
            "gates that go by a suite were not judged: {gates}; once the version is registered, `kf eval {model} --suite {suite}{on}` judges them"
        ),
        Why::Metric => format!(
            "gates that go by other metrics than those of `--metric` were not judged: {gates}; `kf eval --changed` without `--metric` judges them"
        ),
    }
}
