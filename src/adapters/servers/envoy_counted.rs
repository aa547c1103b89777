//! What Envoy counted of each version since it started, out of its statistics.
//!
//! From the documentation of its administration interface (`/stats?format=json&histogram_buckets=detailed`) and of the statistics of a
//! cluster. A request that no endpoint took is one of 503 there. Durations are whole milliseconds, rounded down, until the last
//! byte; Envoy adds them up every `stats_flush_interval` (5 s), so the newest are in the next reading. A stream that is cut
//! after a good status counts as that status.

use super::envoy_config::Config;
use crate::base::error::{Error, Result};
use crate::base::version::Version;
use crate::seams::routes::{Counted, Counters, Took};
use serde::Deserialize;
use serde_json::Value;

/// Ends of names of the statistics that are read.
const COMPLETED: &str = ".upstream_rq_completed";
const FAILED: &str = ".upstream_rq_5xx";
const TOOK: &str = ".upstream_rq_time";

/// One statistic, or all histograms.
#[derive(Deserialize)]
#[serde(untagged)]
enum Entry {
    Histograms { histograms: Histograms },
    Number { name: String, value: u64 },
}

#[derive(Deserialize)]
struct Histograms {
    #[serde(default)]
    details: Vec<Histogram>,
}

#[derive(Deserialize)]
struct Histogram {
    name: String,
    #[serde(default)]
    totals: Vec<Totalled>,
}

/// Durations in milliseconds from `lower_bound` on.
#[derive(Deserialize)]
struct Totalled {
    lower_bound: f64,
    width: f64,
    count: u64,
}

#[derive(Deserialize)]
struct Statistics {
    stats: Vec<Entry>,
}

/// The statistics that [`counters`] reads, as a pattern for Envoy.
pub(super) fn filter(config: &Config) -> String {
    let ends = [COMPLETED, FAILED, TOOK].map(|end| end.trim_start_matches('.')).join("|");
    format!("^cluster\\.{}-[0-9]+_[0-9]+_[0-9]+\\.({ends})$", config.name())
}

/// What was counted; `boot` tells one life of Envoy from the next.
///
/// # Errors
/// When these are no statistics.
pub(super) fn counters(config: &Config, statistics: Value, boot: String) -> Result<Counters> {
    let unlike = |e: serde_json::Error| Error::new(format!("these are not the statistics of Envoy: {e}"));
    let read: Statistics = serde_json::from_value(statistics).map_err(unlike)?;
    let mut counters = Counters { boot, ..Counters::default() };
    for entry in read.stats {
        match entry {
            Entry::Number { name, value } => {
                if let Some(counted) = of(config, &mut counters, &name, COMPLETED) {
                    counted.requests = value;
                } else if let Some(counted) = of(config, &mut counters, &name, FAILED) {
                    counted.errors = value;
                }
            }
            Entry::Histograms { histograms } => {
                for histogram in histograms.details {
                    if let Some(counted) = of(config, &mut counters, &histogram.name, TOOK) {
                        counted.latency = histogram.totals.iter().map(bucket).collect();
                    }
                }
            }
        }
    }
    Ok(counters)
}

/// What is counted of the version whose cluster has a statistic of this name.
fn of<'c>(config: &Config, counters: &'c mut Counters, name: &str, end: &str) -> Option<&'c mut Counted> {
    let cluster = name.strip_prefix("cluster.")?.strip_suffix(end)?;
    let version: Version = cluster.strip_prefix(&config.name())?.strip_prefix('-')?.replace('_', ".").parse().ok()?;
    Some(counters.arms.entry(version).or_default())
}

/// A bucket in seconds. One without a width holds a single number of milliseconds, which were rounded down.
fn bucket(found: &Totalled) -> Took {
    let width = if found.width > 0.0 { found.width } else { 1.0 };
    (found.lower_bound / 1000.0, Some((found.lower_bound + width) / 1000.0), found.count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn config() -> Config {
        Config { target: "edge".parse().expect("a name"), sticky_header: None, session_cookie: None }
    }

    /// As Envoy 1.40 answered for two versions of which one refused connections.
    #[test]
    fn requests_failures_and_durations_are_read_by_version() {
        let totals = json!([{"lower_bound": 0, "width": 0, "count": 9}, {"lower_bound": 11, "width": 1, "count": 12}]);
        let statistics = json!({"stats": [
            {"name": "cluster.kf-edge-1_0_0.upstream_rq_completed", "value": 21},
            {"name": "cluster.kf-edge-1_1_0.upstream_rq_5xx", "value": 9},
            {"name": "cluster.kf-edge-1_1_0.upstream_rq_completed", "value": 9},
            {"name": "cluster.kf-edge2-1_1_0.upstream_rq_completed", "value": 5},
            {"histograms": {"supported_percentiles": [0, 100], "details": [
                {"name": "cluster.kf-edge-1_0_0.upstream_rq_time", "totals": totals, "intervals": [], "percentiles": []},
            ]}},
        ]});
        let read = counters(&config(), statistics, "b".to_owned()).expect("read");
        let told: Vec<_> = read.arms.iter().map(|(v, c)| (v.to_string(), c.requests, c.errors, c.latency.clone())).collect();
        let latency = vec![(0.0, Some(0.001), 9), (0.011, Some(0.012), 12)];
        assert_eq!(told, [("1.0.0".to_owned(), 21, 0, latency), ("1.1.0".to_owned(), 9, 9, vec![])]);
        for garbage in [json!({}), json!([]), json!({"stats": [{"name": 1}]}), json!({"stats": [{"name": "a", "value": -1}]})] {
            assert!(counters(&config(), garbage, "b".to_owned()).is_err());
        }
    }
}
