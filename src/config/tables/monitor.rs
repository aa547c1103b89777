//! `[monitor]`: which metrics are watched, how, and where their values come from.
//!
//! Defaults are those of the specification: a week before each value, 3 and 4 standard deviations (M4); response times that grow by
//! 20 %, successes below 95 %, resources above 80 % of what there is (M3).

use crate::base::name::{Name, words};
use crate::config::check::{Check as _, CheckNamed, CheckOne, Checker};
use crate::config::diag::{Diagnostic, Spot};
use crate::config::leaf::word_leaf;
use crate::config::secret::SecretRef;
use crate::config::shape::{At, Item, Part as _, Sub, Tables, table};
use crate::config::tables::drift::DriftRule;
use std::num::NonZeroU32;
use std::time::Duration;

words! {
    /// Which values of a metric are bad.
    Direction, "direction" {
        /// Those that are unusually high.
        Up = "up",
        /// Those that are unusually low.
        Down = "down",
        /// Both.
        Both = "both",
    }
}

words! {
    /// What a value is held against.
    Method, "method" {
        /// Mean and standard deviation of the week before.
        Zscore = "zscore",
        /// Median and median deviation of the week before.
        Robust = "robust",
        /// What the same hour of earlier weeks lets expect.
        Seasonal = "seasonal",
        /// Nothing.
        None = "none",
    }
}

words! {
    /// What a metric may not pass, whatever is usual.
    LimitKind, "limit" {
        /// Response times against those of the week before.
        ResponseTime = "response-time",
        /// The share of requests that succeed.
        SuccessRate = "success-rate",
        /// The use of something of which there is so much.
        Resource = "resource",
    }
}

words! {
    /// The severity from which on an episode makes a check fail.
    FailFrom, "severity that fails" {
        /// Beyond 3 standard deviations.
        Medium = "medium",
        /// Beyond 4.
        High = "high",
    }
}

word_leaf! {
    Direction, "direction";
    Method, "method";
    LimitKind, "limit";
    FailFrom, "severity that fails";
}

const DAY: u64 = 24 * 3600;

fn hours(n: u64) -> Duration {
    Duration::from_secs(n * 3600)
}

table! {
    /// As written.
    RawMonitor {
        /// How long samples of metrics are kept.
        keep: At<Duration> = "keep", or Duration::from_secs(35 * DAY);
        /// The severity from which on an open episode makes `kf monitor check` fail.
        fail_on: At<FailFrom> = "fail-on", or FailFrom::Medium;
        /// Names of the `[alerts.<name>]` that are told when an episode begins, worsens and ends.
        alerts: At<Vec<Item<Name>>> = "alerts", or Vec::new();
        /// The Prometheus server that is asked for values.
        prometheus: Sub<RawPrometheus> = "prometheus";
        /// The metrics that are watched, by name; all that were recorded when none is named.
        metrics: Tables<RawWatch> = "metrics";
    }
}

table! {
    /// As written.
    RawPrometheus {
        /// Its address, such as `http://localhost:9090`; a path before `/api/v1` belongs to it.
        url: Option<At<String>> = "url";
        /// A token for it, as `env:NAME` or `file:PATH`.
        token: Option<At<SecretRef>> = "token";
        /// How long a query may take.
        timeout: At<Duration> = "timeout", or Duration::from_secs(10);
    }
}

table! {
    /// As written.
    RawWatch {
        /// The PromQL query whose value `kf monitor record` takes.
        query: Option<At<String>> = "query";
        /// What a value is held against: zscore, robust, seasonal or none.
        method: At<Method> = "method", or Method::Zscore;
        /// Which values are bad: up, down or both.
        direction: At<Direction> = "direction", or Direction::Both;
        /// Whether the limits of 3 and 4 are fitted to the number of values (calibrated) or taken literally (spec).
        rule: At<DriftRule> = "rule", or DriftRule::Calibrated;
        /// The fewest values before one that is judged.
        min_samples: At<NonZeroU32> = "min-samples", or NonZeroU32::new(7).unwrap_or(NonZeroU32::MIN);
        /// What it may not pass, whatever is usual: response-time, success-rate or resource.
        limit: Option<At<LimitKind>> = "limit";
        /// In the place of 0.2 for response times, 0.95 for successes, 0.8 for resources.
        limit_at: Option<At<f64>> = "limit-at";
        /// How much there is of a resource, in the unit of its values.
        scale: Option<At<f64>> = "scale";
        /// The time whose values are held against the limit together.
        window: At<Duration> = "window", or hours(24);
        /// How old the newest value may be.
        fresh: At<Duration> = "fresh", or hours(3);
    }
}

/// What is watched.
#[derive(Clone, Debug, PartialEq)]
pub struct Monitor {
    /// How long samples are kept; at least eight days.
    pub keep: Duration,
    /// The severity from which on an open episode fails a check.
    pub fail_on: FailFrom,
    /// Who is told of episodes.
    pub alerts: Vec<Name>,
    /// The server that is asked for values, when one is named.
    pub prometheus: Option<Prometheus>,
    /// The metrics; all that were recorded when there are none.
    pub metrics: Vec<Watch>,
}

/// A Prometheus server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prometheus {
    /// Its address.
    pub url: String,
    /// A token for it.
    pub token: Option<SecretRef>,
    /// How long a query may take; not zero.
    pub timeout: Duration,
}

/// A metric and how it is watched.
#[derive(Clone, Debug, PartialEq)]
pub struct Watch {
    /// Its name.
    pub name: Name,
    /// The PromQL query of its value.
    pub query: Option<String>,
    /// What a value is held against.
    pub method: Method,
    /// Which values are bad.
    pub direction: Direction,
    /// Whether limits are fitted to the number of values.
    pub rule: DriftRule,
    /// The fewest values before one that is judged.
    pub min_samples: usize,
    /// What it may not pass.
    pub limit: Option<Limit>,
    /// How old the newest value may be.
    pub fresh: Duration,
}

/// What a metric may not pass, whatever is usual.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// What it is.
    pub kind: LimitKind,
    /// The growth, the least share of successes, or the most use as a share of the scale.
    pub at: f64,
    /// How much there is of a resource; 1 for the others.
    pub scale: f64,
    /// The time whose values are held against it together; from an hour to a week.
    pub window: Duration,
}

impl Watch {
    /// What holds where `mlops.toml` names no metric.
    pub fn named(name: &Name) -> Self {
        RawWatch::default().plain(name)
    }
}

impl CheckOne for RawMonitor {
    type Plain = Monitor;
    fn check(&self, cx: &mut Checker<'_>) -> Option<Monitor> {
        if self.keep.value < Duration::from_secs(8 * DAY) {
            let title = "`monitor.keep` must be at least `8d`: a value is held against the week before it";
            cx.refuse(&self.keep.spot, title, "`35d` also has what `method = \"seasonal\"` needs");
        }
        cx.known_alerts(&self.alerts.value);
        let alerts = self.alerts.value.iter().map(|item| item.value.clone()).collect();
        let prometheus = self.prometheus.check("monitor.prometheus", cx)?;
        let metrics = self.metrics.check("monitor.metrics", cx)?;
        for raw in self.metrics.0.iter().filter(|_| prometheus.is_none()) {
            let Some(query) = &raw.body.query else { continue };
            let title = format!("`monitor.metrics.{}` has a query, and there is no server to ask", raw.name);
            cx.absent(Diagnostic::new(title).at(&query.spot).help("add `[monitor.prometheus]` with `url = \"http://…:9090\"`"));
        }
        Some(Monitor { keep: self.keep.value, fail_on: self.fail_on.value, alerts, prometheus, metrics })
    }
}

impl CheckOne for RawPrometheus {
    type Plain = Option<Prometheus>;
    fn check(&self, cx: &mut Checker<'_>) -> Option<Option<Prometheus>> {
        if self.timeout.value.is_zero() {
            let title = "`monitor.prometheus.timeout` must not be zero";
            cx.refuse(&self.timeout.spot, title, "write how long a query may take: `10s`");
        }
        let Some(at) = &self.url else {
            if let Some((key, _)) = self.token.given().or(self.timeout.given()) {
                cx.absent(Diagnostic::new("`[monitor.prometheus]` has no `url`").at(key).help("add `url = \"http://…:9090\"`"));
            }
            return Some(None);
        };
        let password = "take it out and name it by `token = \"env:NAME\"`";
        let url = cx.url("monitor.prometheus.url", at, &["https", "http"], password)?;
        Some(Some(Prometheus { url, token: self.token.as_ref().map(|at| at.value.clone()), timeout: self.timeout.value }))
    }
}

impl CheckNamed for RawWatch {
    type Plain = Watch;
    fn check(&self, name: &Name, _: &Spot, cx: &mut Checker<'_>) -> Option<Watch> {
        let key = |key: &str| format!("`monitor.metrics.{name}.{key}`");
        if let Some(query) = self.query.as_ref().filter(|at| at.value.trim().is_empty()) {
            cx.refuse(&query.spot, format!("{} is empty", key("query")), "write PromQL, or leave the key out");
        }
        if self.fresh.value.is_zero() {
            cx.refuse(&self.fresh.spot, format!("{} must not be zero", key("fresh")), "write how old a value may be: `3h`");
        }
        let window = hours(1)..=hours(7 * 24);
        if !window.contains(&self.window.value) {
            cx.refuse(&self.window.spot, format!("{} must be from an hour to a week", key("window")), "`24h` is usual");
        }
        let kind = self.limit.as_ref().map(|at| at.value);
        for (given, word) in [(&self.limit_at, "limit-at"), (&self.scale, "scale")] {
            let Some(at) = given else { continue };
            if kind.is_none() {
                cx.refuse(&at.spot, format!("{} says nothing without `limit`", key(word)), "add `limit = \"resource\"`");
            } else if at.value <= 0.0 {
                cx.refuse(&at.spot, format!("{} must be above 0", key(word)), "write it in the unit of the values");
            }
        }
        self.scaled(name, cx);
        if self.method.value == Method::None && kind.is_none() {
            let title = format!("`monitor.metrics.{name}` has neither a method nor a limit, so nothing would be watched");
            cx.refuse(&self.method.spot, title, "take `method` out, or add `limit`");
        }
        Some(self.plain(name))
    }
}

impl RawWatch {
    /// Only what is used up has a scale, and without one nothing can be said of it; a share ends at 1.
    fn scaled(&self, name: &Name, cx: &mut Checker<'_>) {
        let Some(limit) = &self.limit else { return };
        match (limit.value, &self.scale) {
            (LimitKind::Resource, None) => {
                let title = format!("`monitor.metrics.{name}.limit = \"resource\"` needs `scale`");
                cx.absent(Diagnostic::new(title).at(&limit.spot).help("add how much there is, in the unit of the values"));
            }
            (LimitKind::ResponseTime | LimitKind::SuccessRate, Some(scale)) => {
                let title = format!("`monitor.metrics.{name}.scale` is for `limit = \"resource\"`");
                cx.refuse(&scale.spot, title, "take it out");
            }
            _ => {}
        }
        let Some(at) = self.limit_at.as_ref().filter(|at| at.value > 1.0) else { return };
        if limit.value == LimitKind::SuccessRate {
            cx.refuse(&at.spot, format!("`monitor.metrics.{name}.limit-at` must be a share"), "write 0.95 for 95 %");
        }
    }

    fn plain(&self, name: &Name) -> Watch {
        let usual = |kind| match kind {
            LimitKind::ResponseTime => 0.2,
            LimitKind::SuccessRate => 0.95,
            LimitKind::Resource => 0.8,
        };
        let limit = self.limit.as_ref().map(|at| Limit {
            kind: at.value,
            at: self.limit_at.as_ref().map_or_else(|| usual(at.value), |at| at.value),
            scale: self.scale.as_ref().map_or(1.0, |at| at.value),
            window: self.window.value,
        });
        Watch {
            name: name.clone(),
            query: self.query.as_ref().map(|at| at.value.clone()),
            method: self.method.value,
            direction: self.direction.value,
            rule: self.rule.value,
            min_samples: usize::try_from(self.min_samples.value.get()).unwrap_or(usize::MAX),
            limit,
            fresh: self.fresh.value,
        }
    }
}
