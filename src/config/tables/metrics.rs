//! `[rollout.<name>.source]`: who counts what the two versions of a rollout did. A table inside another one: whoever has it as a
//! `Sub<RawMetrics>` calls `checked` with the name of the table.

use crate::base::name::{Name, words};
use crate::config::check::{Check as _, CheckNamed, Checker};
use crate::config::diag::{Diagnostic, Spot};
use crate::config::leaf::word_leaf;
use crate::config::secret::SecretRef;
use crate::config::shape::{At, Item, Layer, Part as _, Tables, table};
use crate::config::tables::monitor::Prometheus;
use std::time::Duration;

words! {
    /// Who counts requests.
    CounterKind, "source of metrics" {
        /// What splits the traffic.
        Target = "target",
        /// A Prometheus server.
        Prometheus = "prometheus",
        /// A program.
        Command = "command",
        /// A file of JSON lines.
        File = "file",
    }
}

words! {
    /// What the ends of the buckets of a histogram are in.
    LatencyUnit, "unit of durations" {
        /// Seconds.
        Seconds = "s",
        /// Milliseconds.
        Milliseconds = "ms",
    }
}

word_leaf! {
    CounterKind, "source of metrics";
    LatencyUnit, "unit of durations";
}

table! {
    /// As written.
    RawMetrics {
        /// Who counts requests: `target` (what splits the traffic), `prometheus`, `command` or `file`.
        kind: At<CounterKind> = "kind", or CounterKind::Target;
        /// Whether recorded evaluations of both versions count as judged answers.
        evaluations: At<bool> = "evaluations", or false;
        /// How long a query or the program may take.
        timeout: At<Duration> = "timeout", or Duration::from_secs(10);
        /// The address of the server, unless it is that of `[monitor.prometheus]` (`prometheus`).
        url: Option<At<String>> = "url";
        /// A token for it, as `env:NAME` or `file:PATH` (`prometheus`).
        token: Option<At<SecretRef>> = "token";
        /// PromQL of the number of requests, with `{version}` or `{arm}`, `{window}`, and `{model}` where it is needed (`prometheus`).
        requests: Option<At<String>> = "requests";
        /// PromQL of the number of requests that failed (`prometheus`).
        errors: Option<At<String>> = "errors";
        /// PromQL of the numbers of durations by `le`, the buckets of a histogram (`prometheus`).
        latency: Option<At<String>> = "latency";
        /// What `le` is in: `s` or `ms` (`prometheus`).
        latency_unit: At<LatencyUnit> = "latency-unit", or LatencyUnit::Seconds;
        /// Scores from 0 to 1, by metric (`prometheus`).
        scores: Tables<RawScore> = "scores";
        /// The program and its arguments, which prints `kf.counted/1` (`command`).
        command: Option<At<Vec<Item<String>>>> = "command";
        /// The file, one JSON object a line (`file`).
        path: Option<At<String>> = "path";
    }
}

table! {
    /// As written.
    RawScore {
        /// PromQL of the sum of the scores.
        sum: Option<At<String>> = "sum" [required];
        /// PromQL of the number of the scores.
        count: Option<At<String>> = "count" [required];
    }
}

/// Who counts what two versions did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// Who counts requests.
    pub counter: Counter,
    /// Whether recorded evaluations count too.
    pub evaluations: bool,
}

/// Who counts requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Counter {
    /// What splits the traffic.
    Target,
    /// A Prometheus server.
    Prometheus(Queries),
    /// A program.
    Command {
        /// It and its arguments; not empty.
        argv: Vec<String>,
        /// How long it may take; not zero.
        timeout: Duration,
    },
    /// A file of JSON lines.
    File(String),
}

/// What a Prometheus server is asked. Templates: `{model}`, `{version}`, `{arm}` and `{window}` are put in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queries {
    /// The server.
    pub server: Prometheus,
    /// The number of requests.
    pub requests: String,
    /// The number of requests that failed.
    pub errors: Option<String>,
    /// Numbers of durations by `le`.
    pub latency: Option<String>,
    /// What `le` is in.
    pub unit: LatencyUnit,
    /// Scores from 0 to 1.
    pub scores: Vec<ScoreQueries>,
}

/// What is asked for the mean of a score.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScoreQueries {
    /// The metric.
    pub metric: Name,
    /// The sum of the scores.
    pub sum: String,
    /// Their number.
    pub count: String,
}

impl RawMetrics {
    /// Its meaning; nothing after a problem that leaves none. `table` is what it is called: `rollout.bot.source`.
    pub(in crate::config) fn checked(&self, table: &str, cx: &mut Checker<'_>) -> Option<Metrics> {
        if self.timeout.value.is_zero() {
            let title = format!("`{table}.timeout` must not be zero");
            cx.refuse(&self.timeout.spot, title, "write how long an answer may take: `10s`");
        }
        self.refuse_unused(table, cx);
        let counter = match self.kind.value {
            CounterKind::Target => Some(Counter::Target),
            CounterKind::Prometheus => self.queries(table, cx).map(Counter::Prometheus),
            CounterKind::Command => {
                let help = "add the program and its arguments: `command = [\"python3\", \"count.py\"]`";
                let written = self.command.as_ref().map(|at| at.value.iter().map(|item| item.value.clone()).collect());
                let argv: Option<Vec<String>> = self.needed(table, "command", written, Vec::is_empty, help, cx);
                argv.map(|argv| Counter::Command { argv, timeout: self.timeout.value })
            }
            CounterKind::File => {
                let help = "add the file that answers are logged in: `path = \"logs/answers.jsonl\"`";
                let written = self.path.as_ref().map(|at| at.value.clone());
                self.needed(table, "path", written, String::is_empty, help, cx).map(Counter::File)
            }
        };
        Some(Metrics { counter: counter?, evaluations: self.evaluations.value })
    }

    /// What a kind cannot do without.
    fn needed<T>(
        &self,
        table: &str,
        key: &str,
        written: Option<T>,
        empty: impl Fn(&T) -> bool,
        help: &str,
        cx: &mut Checker<'_>,
    ) -> Option<T> {
        let found = written.filter(|value| !empty(value));
        if found.is_none() {
            let title = format!("`[{table}]` with `kind = \"{}\"` needs `{key}`", self.kind.value);
            cx.absent(Diagnostic::new(title).at(&self.kind.spot).help(help));
        }
        found
    }

    fn queries(&self, table: &str, cx: &mut Checker<'_>) -> Option<Queries> {
        let server = self.server(table, cx);
        let help = "add PromQL: `requests = 'sum(increase(http_requests_total{version=\"{version}\"}[{window}]))'`";
        let requests = self.needed(table, "requests", self.requests.clone(), |at| at.value.is_empty(), help, cx);
        let mut plain = |key: &str, at: &Option<At<String>>| at.as_ref().map(|at| template(&format!("{table}.{key}"), at, cx));
        let (requests, errors, latency) =
            (plain("requests", &requests), plain("errors", &self.errors), plain("latency", &self.latency));
        let scores = self.scores.check(&format!("{table}.scores"), cx);
        Some(Queries { server: server?, requests: requests?, errors, latency, unit: self.latency_unit.value, scores: scores? })
    }

    /// The server that is named here, or the one that is watched by.
    fn server(&self, table: &str, cx: &mut Checker<'_>) -> Option<Prometheus> {
        let watched = &cx.raw.monitor.body.prometheus.body;
        let (at, token, timeout) = match (&self.url, &watched.url) {
            (Some(at), _) => (at, &self.token, &self.timeout),
            (None, Some(at)) => {
                let timeout = if self.timeout.layer > Layer::BuiltIn { &self.timeout } else { &watched.timeout };
                (at, if self.token.is_some() { &self.token } else { &watched.token }, timeout)
            }
            (None, None) => {
                let title = format!("`[{table}]` with `kind = \"prometheus\"` needs `url`");
                let help = "add the address of the server: `url = \"http://prometheus:9090\"`";
                cx.absent(Diagnostic::new(title).at(&self.kind.spot).help(help));
                return None;
            }
        };
        let (token, timeout) = (token.as_ref().map(|at| at.value.clone()), timeout.value);
        let url = cx.url(&format!("{table}.url"), at, &["https", "http"], "take it out and name it by `token = \"env:NAME\"`")?;
        Some(Prometheus { url, token, timeout })
    }

    fn refuse_unused(&self, table: &str, cx: &mut Checker<'_>) {
        use CounterKind::{Command, File, Prometheus};
        for (given, key, kinds) in [
            (self.timeout.given(), "timeout", &[Prometheus, Command] as &[CounterKind]),
            (self.url.given(), "url", &[Prometheus]),
            (self.token.given(), "token", &[Prometheus]),
            (self.requests.given(), "requests", &[Prometheus]),
            (self.errors.given(), "errors", &[Prometheus]),
            (self.latency.given(), "latency", &[Prometheus]),
            (self.latency_unit.given(), "latency-unit", &[Prometheus]),
            (self.scores.given(), "scores", &[Prometheus]),
            (self.command.given(), "command", &[Command]),
            (self.path.given(), "path", &[File]),
        ] {
            if !kinds.contains(&self.kind.value) {
                let kinds = kinds.iter().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(" and ");
                let title = format!("`{table}.{key}` is for a source of kind {kinds}, this one is `{}`", self.kind.value);
                cx.unused(given, &self.kind, title);
            }
        }
    }
}

impl CheckNamed for RawScore {
    type Plain = ScoreQueries;
    fn check(&self, name: &Name, _: &Spot, cx: &mut Checker<'_>) -> Option<ScoreQueries> {
        let mut plain = |key: &str, at: &Option<At<String>>| Some(template(&format!("scores.{name}.{key}"), at.as_ref()?, cx));
        let (sum, count) = (plain("sum", &self.sum), plain("count", &self.count));
        Some(ScoreQueries { metric: name.clone(), sum: sum?, count: count? })
    }
}

/// A query, which must tell the versions and the windows apart: otherwise both versions would be alike, always.
fn template(key: &str, at: &At<String>, cx: &mut Checker<'_>) -> String {
    let help = "for example `sum(increase(http_requests_total{version=\"{version}\"}[{window}]))`";
    if !at.value.contains("{version}") && !at.value.contains("{arm}") {
        cx.refuse(
            &at.spot,
            format!("`{key}` has neither `{{version}}` nor `{{arm}}`, so both versions would count the same"),
            help,
        );
    }
    if !at.value.contains("{window}") {
        cx.refuse(&at.spot, format!("`{key}` has no `{{window}}`, so it would count all of the past in each window"), help);
    }
    at.value.clone()
}
