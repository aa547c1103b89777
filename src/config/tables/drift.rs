//! `[drift.<name>]`: what new data is compared with, from which band on it counts, and what is done then.
//!
//! The bands are those of the specification: an index of 0.1, 0.2 and 0.3, and a loss of accuracy of 2, 5 and 10 points, are
//! `monitor`, `warning` and `critical`. With 48 hours for a warning, 24 for one of accuracy, and none for what is critical.

use crate::base::name::{Name, words};
use crate::config::check::{CheckNamed, Checker};
use crate::config::diag::{Diagnostic, Spot};
use crate::config::leaf::word_leaf;
use crate::config::shape::{At, Free, Item, table};
use crate::config::source::{DataSource, indexed};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

words! {
    /// How a column is compared.
    ColumnKind, "kind of column" {
        /// As numbers, in the reference's quantile cells.
        Number = "number",
        /// As levels.
        Category = "category",
        /// As written language.
        Text = "text",
        /// As vectors of an embedder.
        Embedding = "embedding",
    }
}

words! {
    /// How an index becomes a band.
    DriftRule, "rule of drift" {
        /// A band counts only above what chance gives at this number of rows.
        Calibrated = "calibrated",
        /// The numbers of the specification, whatever the number of rows.
        Spec = "spec",
    }
}

words! {
    /// What makes a check fail.
    FailOn, "band that fails" {
        /// Whatever is not ok, too little data too.
        Inconclusive = "inconclusive",
        /// From 0.1 on.
        Monitor = "monitor",
        /// From 0.2 on.
        Warning = "warning",
        /// Above 0.3.
        Critical = "critical",
    }
}

words! {
    /// What is done about drift.
    ActionKind, "kind of action" {
        /// A message to each of `alerts`.
        Notify = "notify",
        /// A task with a deadline, one for each model at a time.
        OpenTicket = "open-ticket",
        /// The program `command` runs.
        Command = "command",
        /// `kf promote` refuses the model until the action is closed.
        FreezePromotions = "freeze-promotions",
    }
}

impl ActionKind {
    /// Whether there is one for a model, not one for a name.
    pub fn is_of_model(self) -> bool {
        self == Self::OpenTicket
    }

    /// Whether kf does it, and it is done then; the others stay until somebody closes them.
    pub fn is_performed(self) -> bool {
        matches!(self, Self::Notify | Self::Command)
    }
}

word_leaf! {
    ColumnKind, "kind of column";
    DriftRule, "rule of drift";
    FailOn, "band that fails";
    ActionKind, "kind of action";
}

/// The bands in their order, for lists of three.
const BANDS: &str = "`monitor`, `warning` and `critical`";

fn numbers(of: [f64; 3]) -> Vec<Item<f64>> {
    of.into_iter().map(Item::built_in).collect()
}

fn hours(n: u64) -> Duration {
    Duration::from_secs(n * 3600)
}

fn ticket() -> Vec<Item<ActionKind>> {
    vec![Item::built_in(ActionKind::OpenTicket)]
}

table! {
    /// As written.
    RawDrift {
        /// The model whose baseline is the reference; the name of this table when it is not given.
        model: Option<At<Name>> = "model";
        /// Files of new data, or `index:COLLECTION`, that `kf drift check` reads when `--data` names none.
        data: At<Vec<Item<String>>> = "data", or Vec::new();
        /// A query on `source` whose rows are the new data, in place of files.
        sql: Option<At<String>> = "sql";
        /// The database of `sql` and `--sql`: `sqlite:PATH`, `postgres://USER@HOST/DATABASE`, or `env:NAME` or `file:PATH` that holds one.
        source: Option<At<DataSource>> = "source";
        /// Columns that are compared; all when it is not given.
        columns: Option<At<Vec<Item<String>>>> = "columns";
        /// Columns that are not compared.
        exclude: At<Vec<Item<String>>> = "exclude", or Vec::new();
        /// How a column is compared, where its cells do not tell: number, category, text or embedding.
        kinds: Free<ColumnKind> = "kinds";
        /// Whether baselines and reports keep texts as they are, and not digests of them.
        keep_texts: At<bool> = "keep-texts", or true;
        /// The column that the model says; its drift is told apart.
        prediction: Option<At<String>> = "prediction";
        /// The column of what would have been right; rows without are left out until it comes.
        label: Option<At<String>> = "label";
        /// The column of the chance, 0 to 1, that the prediction gives itself of being right.
        score: Option<At<String>> = "score";
        /// Columns by whose values the rows are told apart; those of few levels when it is not given.
        slices: Option<At<Vec<Item<String>>>> = "slices";
        /// Columns of numbers in which the row is looked for from which on they changed.
        stream: At<Vec<Item<String>>> = "stream", or Vec::new();
        /// The column that says in which order rows came; that of the files when it is not given.
        time: Option<At<String>> = "time";
        /// How an index becomes a band.
        rule: At<DriftRule> = "rule", or DriftRule::Calibrated;
        /// The stability index from which on a column is `monitor`, `warning` and `critical`.
        psi: At<Vec<Item<f64>>> = "psi", or numbers([0.1, 0.2, 0.3]);
        /// The accuracy lost from which on it is `monitor`, `warning` and `critical`: 0.02 is two points.
        accuracy: At<Vec<Item<f64>>> = "accuracy", or numbers([0.02, 0.05, 0.1]);
        /// Rows of either side below which a check is inconclusive.
        min_rows: At<NonZeroU32> = "min-rows", or NonZeroU32::new(30).unwrap_or(NonZeroU32::MIN);
        /// The band from which on a check fails.
        fail_on: At<FailOn> = "fail-on", or FailOn::Warning;
        /// What is done at `monitor`.
        on_monitor: At<Vec<Item<ActionKind>>> = "on-monitor", or Vec::new();
        /// What is done at `warning`.
        on_warning: At<Vec<Item<ActionKind>>> = "on-warning", or ticket();
        /// What is done at `critical`.
        on_critical: At<Vec<Item<ActionKind>>> = "on-critical", or ticket();
        /// The program of the action `command`, and its arguments.
        command: At<Vec<Item<String>>> = "command", or Vec::new();
        /// Names of the `[alerts.<name>]` that the action `notify` tells.
        alerts: At<Vec<Item<Name>>> = "alerts", or Vec::new();
        /// How long a ticket about a warning may stay open; one about `critical` is due at once.
        deadline: At<Duration> = "deadline", or hours(48);
        /// The same for a warning about accuracy.
        accuracy_deadline: At<Duration> = "accuracy-deadline", or hours(24);
        /// How long after an action ended the same one is not begun again, unless the band rose.
        cool_down: At<Duration> = "cool-down", or hours(24);
        /// How many checks in a row must be in a band before something is done about it.
        windows: At<NonZeroU32> = "windows", or NonZeroU32::MIN;
    }
}

/// What new data is compared with, and what follows.
#[derive(Clone, Debug, PartialEq)]
pub struct Drift {
    /// Its name.
    pub name: Name,
    /// The model whose baseline is the reference.
    pub model: Name,
    /// Files of new data, relative to the repository, addresses, or `index:` and a collection.
    pub data: Vec<String>,
    /// A query whose rows are the new data; without `data`, and with a `source`.
    pub sql: Option<String>,
    /// The database that queries are asked of.
    pub source: Option<DataSource>,
    /// Columns that are compared; `None` for all.
    pub columns: Option<Vec<String>>,
    /// Columns that are not compared.
    pub exclude: Vec<String>,
    /// How columns are compared, where it is said.
    pub kinds: BTreeMap<String, ColumnKind>,
    /// Whether baselines and reports keep texts as they are.
    pub keep_texts: bool,
    /// The column that the model says.
    pub prediction: Option<String>,
    /// The column of what would have been right.
    pub label: Option<String>,
    /// The column of the chance that the prediction gives itself; only with both of these.
    pub score: Option<String>,
    /// Columns by whose values rows are told apart; `None` for those of few levels.
    pub slices: Option<Vec<String>>,
    /// Columns in which a change is looked for row by row.
    pub stream: Vec<String>,
    /// The column that says in which order rows came.
    pub time: Option<String>,
    /// How an index becomes a band.
    pub rule: DriftRule,
    /// The stability index of `monitor`, `warning` and `critical`; positive and ascending.
    pub psi: [f64; 3],
    /// The accuracy lost of `monitor`, `warning` and `critical`, as shares; positive and ascending.
    pub accuracy: [f64; 3],
    /// Rows of either side below which a check is inconclusive.
    pub min_rows: u32,
    /// The band from which on a check fails.
    pub fail_on: FailOn,
    /// What is done.
    pub actions: Actions,
}

/// What is done about drift.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actions {
    /// At `monitor`, each once.
    pub monitor: Vec<ActionKind>,
    /// At `warning`, each once.
    pub warning: Vec<ActionKind>,
    /// At `critical`, each once.
    pub critical: Vec<ActionKind>,
    /// The program of `command` and its arguments; not empty where `command` is an action.
    pub command: Vec<String>,
    /// Whom `notify` tells; not empty where `notify` is an action.
    pub alerts: Vec<Name>,
    /// How long a ticket about a warning may stay open.
    pub deadline: Duration,
    /// The same for a warning about accuracy.
    pub accuracy_deadline: Duration,
    /// How long after an action ended the same one is not begun again.
    pub cool_down: Duration,
    /// How many checks in a row must be in a band; at least 1.
    pub windows: u32,
}

impl Drift {
    /// What holds where `mlops.toml` says nothing of this name.
    pub fn named(name: &Name) -> Self {
        RawDrift::default().plain(name)
    }
}

impl CheckNamed for RawDrift {
    type Plain = Drift;
    fn check(&self, name: &Name, _: &Spot, cx: &mut Checker<'_>) -> Option<Drift> {
        rises("psi", &self.psi, "[0.1, 0.2, 0.3]", cx);
        rises("accuracy", &self.accuracy, "[0.02, 0.05, 0.1]", cx);
        self.scored(name, cx);
        self.files(name, cx);
        cx.known_alerts(&self.alerts.value);
        self.query(name, cx);
        for (on, actions) in
            [("on-monitor", &self.on_monitor), ("on-warning", &self.on_warning), ("on-critical", &self.on_critical)]
        {
            self.supplied(name, on, actions, cx);
        }
        for item in self.columns.iter().flat_map(|at| &at.value).filter(|item| self.excludes(&item.value)) {
            let title =
                format!("`drift.{name}` compares the column `{}` and excludes it", crate::config::shape::shown(&item.value));
            cx.refuse(&item.spot, title, "take it out of `columns` or of `exclude`");
        }
        Some(self.plain(name))
    }
}

impl RawDrift {
    fn plain(&self, name: &Name) -> Drift {
        let texts = |at: &At<Vec<Item<String>>>| values(&at.value);
        Drift {
            name: name.clone(),
            model: self.model.as_ref().map_or_else(|| name.clone(), |at| at.value.clone()),
            data: texts(&self.data),
            sql: self.sql.as_ref().map(|at| at.value.clone()),
            source: self.source.as_ref().map(|at| at.value.clone()),
            columns: self.columns.as_ref().map(texts),
            exclude: texts(&self.exclude),
            kinds: self.kinds.0.iter().map(|(column, at)| (column.clone(), at.value)).collect(),
            keep_texts: self.keep_texts.value,
            prediction: self.prediction.as_ref().map(|at| at.value.clone()),
            label: self.label.as_ref().map(|at| at.value.clone()),
            score: self.score.as_ref().map(|at| at.value.clone()),
            slices: self.slices.as_ref().map(texts),
            stream: texts(&self.stream),
            time: self.time.as_ref().map(|at| at.value.clone()),
            rule: self.rule.value,
            psi: three(&self.psi).unwrap_or_default(),
            accuracy: three(&self.accuracy).unwrap_or_default(),
            min_rows: self.min_rows.value.get(),
            fail_on: self.fail_on.value,
            actions: Actions {
                monitor: each_once(&self.on_monitor),
                warning: each_once(&self.on_warning),
                critical: each_once(&self.on_critical),
                command: texts(&self.command),
                alerts: values(&self.alerts.value),
                deadline: self.deadline.value,
                accuracy_deadline: self.accuracy_deadline.value,
                cool_down: self.cool_down.value,
                windows: self.windows.value.get(),
            },
        }
    }

    fn excludes(&self, column: &str) -> bool {
        self.exclude.value.iter().any(|item| item.value == column)
    }

    /// A chance of being right says something only beside what was said and what is right.
    fn scored(&self, name: &Name, cx: &mut Checker<'_>) {
        let (Some(score), None) = (&self.score, self.label.as_ref().zip(self.prediction.as_ref())) else { return };
        let title =
            format!("`drift.{name}.score` needs `prediction` and `label`: whether a prediction was right follows from them");
        cx.refuse(&score.spot, title, "name all three, or none");
    }

    fn files(&self, name: &Name, cx: &mut Checker<'_>) {
        for item in self.data.value.iter().filter(|item| item.value.is_empty()) {
            cx.refuse(&item.spot, format!("`drift.{name}.data` names no file"), "write the path of a file: `\"data/new.csv\"`");
        }
        for item in &self.data.value {
            if let Some(Err(refused)) = indexed(&item.value) {
                let title = format!("`drift.{name}.data` names no collection: {refused}");
                cx.refuse(&item.spot, title, "write `\"index:COLLECTION\"`, or `\"./index:…\"` for a file of that name");
            }
        }
    }

    fn query(&self, name: &Name, cx: &mut Checker<'_>) {
        let Some(sql) = &self.sql else { return };
        if sql.value.trim().is_empty() {
            cx.refuse(&sql.spot, format!("`drift.{name}.sql` is empty"), "write a query: `\"SELECT …\"`");
        }
        if !self.data.value.is_empty() {
            cx.refuse(&sql.spot, format!("`drift.{name}` has both `data` and `sql`"), "take one of them out");
        }
        if self.source.is_none() {
            let problem = Diagnostic::new(format!("`drift.{name}` has `sql`, but there is no `source` to ask"));
            cx.absent(problem.at(&sql.spot).help("add `source = \"sqlite:PATH\"` or `source = \"env:NAME\"`"));
        }
    }

    /// An action that lacks what it acts with could never be done.
    fn supplied(&self, name: &Name, on: &str, actions: &At<Vec<Item<ActionKind>>>, cx: &mut Checker<'_>) {
        for item in &actions.value {
            let (lacks, add) = match item.value {
                ActionKind::Command if self.command.value.is_empty() => ("command", "command = [\"./retrain.sh\"]"),
                ActionKind::Notify if self.alerts.value.is_empty() => ("alerts", "alerts = [\"team\"]"),
                _ => continue,
            };
            let problem = Diagnostic::new(format!("`drift.{name}.{on}` has `{}`, but there is no `{lacks}`", item.value));
            cx.absent(problem.at(&item.spot).help(format!("add `{add}` to `[drift.{name}]`")));
        }
    }
}

fn three(at: &At<Vec<Item<f64>>>) -> Option<[f64; 3]> {
    values(&at.value).try_into().ok()
}

/// Bands must be three, and rise.
fn rises(key: &str, at: &At<Vec<Item<f64>>>, usual: &str, cx: &mut Checker<'_>) {
    if !three(at).is_some_and(|[a, b, c]| 0.0 < a && a < b && b < c) {
        let title = format!("`{key}` must be three numbers above 0 that rise: for {BANDS}");
        cx.refuse(&at.spot, title, format!("`{usual}` is what is usual"));
    }
}

fn values<T: Clone>(items: &[Item<T>]) -> Vec<T> {
    items.iter().map(|item| item.value.clone()).collect()
}

fn each_once(at: &At<Vec<Item<ActionKind>>>) -> Vec<ActionKind> {
    let mut all = values(&at.value);
    all.sort_unstable();
    all.dedup();
    all
}
