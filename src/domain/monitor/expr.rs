//! Expressions that rules and dashboard share. `$only` narrows what is looked at: `""`, or labels in braces.
//!
//! Macros, because `concat!` takes no constants. The version of a model is left out: what is watched goes on when another one is
//! released.

/// The median of the seven days before.
macro_rules! week {
    ($of:expr) => {
        concat!("quantile_over_time(0.5, ", $of, "[7d:1h])")
    };
}

macro_rules! latency {
    ($only:expr) => {
        concat!("max by (model, dataset) (kf_evaluation_latency_p95_seconds", $only, ")")
    };
}

macro_rules! score {
    ($only:expr) => {
        concat!("max by (model, dataset, metric) (kf_evaluation_score", $only, ")")
    };
}

macro_rules! cost {
    ($only:expr) => {
        concat!("max by (model, dataset) (kf_evaluation_cost_usd", $only, ")")
    };
}

macro_rules! success {
    ($only:expr) => {
        concat!("1 - max by (model, dataset) (kf_evaluation_error_ratio", $only, ")")
    };
}

/// The share of the processors' time that is not idle.
macro_rules! processors {
    () => {
        "1 - avg by (instance) (rate(node_cpu_seconds_total{mode=\"idle\"}[5m]))"
    };
}

/// The share of memory that is used.
macro_rules! memory {
    () => {
        "1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes"
    };
}

/// The share of each file system that is used; those that live in memory or are read only are left out.
macro_rules! disks {
    () => {
        "1 - node_filesystem_avail_bytes{fstype!~\"tmpfs|ramfs|squashfs|overlay\"} / node_filesystem_size_bytes"
    };
}

/// Only of machines whose collector carries figures of kf.
macro_rules! of_kf {
    ($of:expr) => {
        concat!($of, " and on (instance) kf_build_info")
    };
}

pub(super) use {cost, disks, latency, memory, of_kf, processors, score, success, week};
