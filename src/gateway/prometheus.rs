//! What a gateway counted, in Prometheus' text format (<https://prometheus.io/docs/instrumenting/exposition_formats/>).
//!
//! Labels are the model, its versions and the addresses of the table: bounded by who governs, never by who asks. Buckets of durations
//! are every quarter of a factor of ten, exact, because they are edges of the finer ones.

use super::histogram::Histogram;
use super::routes::Routes;
use super::table::{Counted, Counters};
use super::tally::Tally;
use crate::base::version::Version;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// Name, kind, help and value of what is counted by version.
type Family = (&'static str, &'static str, &'static str, fn(&Counted) -> u64);

const FAMILIES: &[Family] = &[
    ("requests_total", "counter", "Requests answered or given up; not those whose client went away", |c| c.requests),
    ("errors_total", "counter", "Of those: answers of 5xx, no connection, time-outs, answers cut short", |c| c.errors),
    ("cut_total", "counter", "Of those: answers that broke off after a good status", |c| c.cut),
    ("aborted_total", "counter", "Requests whose client went away before the answer was whole", |c| c.aborted),
    ("retries_total", "counter", "Attempts that were made again", |c| c.retries),
    (
        "diverted_total",
        "counter",
        "Requests of this version that the stable one took, because no endpoint of this one did",
        |c| c.diverted,
    ),
    ("shadowed_total", "counter", "Copies that were sent to this version as a shadow", |c| c.shadowed),
    ("active_requests", "gauge", "Requests that are being answered", |c| c.active),
];

/// A page of metrics that is being written.
struct Page {
    text: String,
    model: String,
}

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a text cannot fail.
        let _ = write!(self.text, "# HELP kf_gateway_{name} {help}\n# TYPE kf_gateway_{name} {kind}\n");
    }

    fn line(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        let model = &self.model;
        let _ = writeln!(self.text, "kf_gateway_{name}{{model=\"{model}\"{labels}}} {value}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl std::fmt::Display) {
        self.head(name, "gauge", help);
        self.line(name, "", value);
    }

    fn histogram(&mut self, name: &str, help: &str, of: &[(Version, &Histogram)]) {
        self.head(name, "histogram", help);
        for (version, histogram) in of {
            let (below, n, sum) = histogram.quarters();
            for (edge, count) in below {
                self.line(&format!("{name}_bucket"), &format!(",version=\"{version}\",le=\"{edge}\""), count);
            }
            let version = format!(",version=\"{version}\"");
            self.line(&format!("{name}_bucket"), &format!("{version},le=\"+Inf\""), n);
            self.line(&format!("{name}_sum"), &version, sum);
            self.line(&format!("{name}_count"), &version, n);
        }
    }
}

/// The page.
pub(super) fn text(routes: &Routes, counters: &Counters, tallies: &BTreeMap<Version, Arc<Tally>>) -> String {
    let mut page = Page { text: String::new(), model: routes.table.model.to_string() };
    for (name, kind, help, value) in FAMILIES {
        page.head(name, kind, help);
        for (version, counted) in &counters.arms {
            page.line(name, &format!(",version=\"{version}\""), value(counted));
        }
    }
    let all = |of: fn(&Tally) -> &Histogram| -> Vec<(Version, &Histogram)> { tallies.iter().map(|(v, t)| (*v, of(t))).collect() };
    page.histogram("request_duration_seconds", "Until the last byte of an answer", &all(|t| &t.latency));
    page.histogram("first_byte_seconds", "Until the first byte of an answer", &all(|t| &t.first_byte));
    weights(&mut page, routes);
    page.gauge("table_generation", "The generation of the table", routes.table.generation);
    page.gauge("fuse_blown", "1 while the canary gets nothing because it failed too often", u8::from(counters.fuse.is_some()));
    page.head("shadow_dropped_total", "counter", "Copies for a shadow that were dropped");
    page.line("shadow_dropped_total", "", counters.shadow_dropped);
    page.head(
        "endpoint_healthy",
        "gauge",
        "1 for an endpoint that gets requests, 0 for one that does not; none while nobody knows",
    );
    for state in &counters.endpoints {
        if let Some(healthy) = state.healthy {
            let labels = format!(",version=\"{}\",endpoint=\"{}\"", state.version, state.endpoint);
            page.line("endpoint_healthy", &labels, u8::from(healthy));
        }
    }
    page.text
}

fn weights(page: &mut Page, routes: &Routes) {
    page.head("weight_ratio", "gauge", "The part of the requests that a version gets, 0 to 1");
    let canary = routes.weight().share();
    for arm in routes.arms() {
        let part = if routes.is_canary(arm) { canary } else { 1.0 - canary };
        page.line("weight_ratio", &format!(",version=\"{}\"", arm.version), part);
    }
}
