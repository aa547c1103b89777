//! The metrics that kf prints, each described once.
//!
//! Names follow the conventions of Prometheus (<https://prometheus.io/docs/practices/naming/>): prefix `kf_`, base units in the name,
//! ratios from 0 to 1. All are gauges: they are read from the state, which can shrink. Labels are bounded by what the repository
//! declares (models, gates, datasets, collections), never by what users send.

/// A metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// The names of its labels, in order.
    pub labels: &'static [&'static str],
    /// What it is: one line without a backslash.
    pub help: &'static str,
}

const fn metric(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, labels, help }
}

/// Labels of what is known of a version by an evaluation.
const EVALUATED: &[&str] = &["model", "version", "dataset"];
/// Labels of what is known of a drift.
const CHECKED: &[&str] = &["name", "model"];
/// Labels of what is known of backups.
const PLAN: &[&str] = &["plan"];
/// Labels of what is searched.
const COLLECTION: &[&str] = &["tenant", "collection"];

/// 1.
pub const BUILD: Metric = metric("kf_build_info", &["version"], "1, with the version of kf that read the figures");
/// Seconds since 1970.
pub const READ_AT: Metric = metric("kf_figures_timestamp_seconds", &[], "When the figures were read from the state");
/// Events.
pub const EVENTS: Metric = metric("kf_audit_events", &[], "Entries of the audit log; never shrinks");
/// Events; not printed for a log that was never signed.
pub const UNSIGNED: Metric = metric("kf_audit_unsigned_events", &[], "Entries after the newest signature of the audit log");
/// Versions.
pub const VERSIONS: Metric = metric("kf_model_versions", &["model", "stage"], "Versions of a model that stand in a stage");
/// 1.
pub const IN_STAGE: Metric =
    metric("kf_model_stage_info", &["model", "stage", "version"], "1 for each version in staging or production");
/// 1 for the verdict that holds, 0 for the others.
pub const GATE: Metric = metric(
    "kf_gate_verdict",
    &["model", "version", "gate", "verdict"],
    "1 for the verdict of a gate of production on the version there, 0 for the other verdicts",
);
/// In the unit of the metric.
pub const SCORE: Metric = metric(
    "kf_evaluation_score",
    &["model", "version", "dataset", "metric", "better"],
    "Mean of a metric in the newest evaluation of the version in production",
);
/// Rows.
pub const SCORED: Metric = metric(
    "kf_evaluation_scored_rows",
    &["model", "version", "dataset", "metric"],
    "Rows that this mean rests on; 0 where the metric could not be had",
);
/// Seconds.
pub const LATENCY: Metric =
    metric("kf_evaluation_latency_p95_seconds", EVALUATED, "95th percentile of the time to answer in that evaluation");
/// US dollars.
pub const COST: Metric = metric("kf_evaluation_cost_usd", EVALUATED, "Mean cost of a question in that evaluation");
/// 0 to 1.
pub const ERRORS: Metric = metric("kf_evaluation_error_ratio", EVALUATED, "Share of questions that the system failed on");
/// 0 to 1.
pub const COVERAGE: Metric = metric("kf_evaluation_coverage_ratio", EVALUATED, "Share of questions that have an answer to score");
/// Seconds since 1970.
pub const EVALUATED_AT: Metric = metric("kf_evaluation_timestamp_seconds", EVALUATED, "When that evaluation was recorded");
/// 1 for the verdict that holds, 0 for the others.
pub const DRIFT: Metric = metric(
    "kf_drift_verdict",
    &["name", "model", "verdict"],
    "1 for the verdict of the newest drift check, 0 for the other verdicts",
);
/// Without unit.
pub const INDEX: Metric =
    metric("kf_drift_index", &["name", "model", "column"], "Population stability index of a column in the newest drift check");
/// Seconds since 1970.
pub const CHECKED_AT: Metric = metric("kf_drift_check_timestamp_seconds", CHECKED, "When that check was made");
/// Rows.
pub const CHECKED_ROWS: Metric = metric("kf_drift_check_rows", CHECKED, "Rows of new data that it read");
/// Actions.
pub const PENDING: Metric =
    metric("kf_drift_pending_actions", &["name", "model", "action"], "Actions about drift that are open or failed");
/// Actions.
pub const OVERDUE: Metric = metric("kf_drift_overdue_actions", CHECKED, "Of these, actions that are past their deadline");
/// Episodes.
pub const EPISODES: Metric =
    metric("kf_monitor_episodes", &["metric", "kind", "severity"], "Open episodes of metrics that `kf monitor check` watches");
/// Documents.
pub const DOCUMENTS: Metric = metric("kf_documents", COLLECTION, "Documents of a collection");
/// Documents.
pub const REFUSED: Metric = metric("kf_documents_refused", COLLECTION, "Documents that were refused by the checks of quality");
/// Chunks.
pub const CHUNKS: Metric = metric("kf_chunks", COLLECTION, "Pieces of documents that can be found");
/// Changes.
pub const WAITING: Metric =
    metric("kf_engine_waiting_changes", COLLECTION, "Changes that an engine outside of the state has not confirmed");

/// Seconds since 1970.
pub const BACKED_UP: Metric = metric("kf_backup_timestamp_seconds", PLAN, "When the newest backup set of a plan was made");
/// Seconds since 1970; not printed before the first proof.
pub const PROVEN: Metric =
    metric("kf_backup_proven_timestamp_seconds", PLAN, "When a drill last proved that a backup set of a plan comes back");
/// 0 to 1, and beyond.
pub const RECOVERY: Metric =
    metric("kf_backup_recovery_ratio", &["plan", "what"], "Recovery time and point of that drill, as parts of what is allowed");
/// 1 or 0.
pub const BACKUP_LATE: Metric =
    metric("kf_backup_overdue", PLAN, "1 when the next backup set of a plan is overdue, 0 when it is not");

/// Every metric that kf prints, in the order in which it prints them.
pub const ALL: &[Metric] = &[
    BUILD,
    READ_AT,
    EVENTS,
    UNSIGNED,
    VERSIONS,
    IN_STAGE,
    GATE,
    SCORE,
    SCORED,
    LATENCY,
    COST,
    ERRORS,
    COVERAGE,
    EVALUATED_AT,
    DRIFT,
    INDEX,
    CHECKED_AT,
    CHECKED_ROWS,
    PENDING,
    OVERDUE,
    EPISODES,
    DOCUMENTS,
    REFUSED,
    CHUNKS,
    WAITING,
    BACKED_UP,
    PROVEN,
    RECOVERY,
    BACKUP_LATE,
];

/// What node_exporter tells of the machine whose textfile collector carries the figures, with what rules and dashboard use of it;
/// described at <https://github.com/prometheus/node_exporter>.
pub const COLLECTOR: &[(&str, &str)] = &[
    ("node_cpu_seconds_total", "Seconds that processors spent in each mode"),
    ("node_memory_MemAvailable_bytes", "Memory that could be had without swapping"),
    ("node_memory_MemTotal_bytes", "Memory of the machine"),
    ("node_filesystem_avail_bytes", "Bytes that may still be written"),
    ("node_filesystem_size_bytes", "Size of the file system"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_follow_the_conventions() {
        let names: BTreeSet<&str> = ALL.iter().map(|m| m.name).collect();
        assert_eq!(names.len(), ALL.len(), "each name once");
        for m in ALL {
            let plain = |s: &str| s.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
            assert!(m.name.starts_with("kf_") && plain(m.name), "{}", m.name);
            assert!(m.labels.iter().all(|l| plain(l) && !l.is_empty()), "{}", m.name);
            assert!(!m.help.contains(['\\', '\n', '"']) && !m.help.ends_with('.'), "{}", m.name);
            // Reserved for counters, summaries and histograms, which none of these is.
            assert!(["_total", "_count", "_sum", "_bucket"].iter().all(|end| !m.name.ends_with(end)), "{}", m.name);
        }
    }
}
