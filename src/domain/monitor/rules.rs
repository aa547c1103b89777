//! Alert rules for Prometheus, as the file that it loads.
//!
//! Limits are those of the specification: response time 20 % above its week, success below 95 %, quality 2, 5 or 10 points below its
//! week, machines above 80 %. What a repository says itself is not said again: gates and bands of drift come judged, with the limits
//! of `mlops.toml`. A week's usual value is its median, which a few odd days cannot move; hours, because figures come hourly.
//!
//! The format: <https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/>.

use super::expr::{cost, disks, latency, memory, of_kf, processors, score, success, week};
use crate::base::error::{Context, Result};
use serde::Serialize;
use std::collections::BTreeMap;

/// An alert.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Its name.
    pub alert: &'static str,
    /// What must have a value for it to fire.
    pub expr: &'static str,
    /// How long; empty for at once.
    pub lasting: &'static str,
    /// `info` to look at some day, `warning` to look at today, `critical` to wake somebody.
    pub severity: &'static str,
    /// What is wrong, in a line.
    pub summary: &'static str,
    /// What it means and what to type.
    pub description: &'static str,
}

/// The alerts by group, in the order of the file.
pub const GROUPS: &[(&str, &[Rule])] = &[
    ("kf-health", HEALTH),
    ("kf-performance", PERFORMANCE),
    ("kf-quality", QUALITY),
    ("kf-drift", DRIFT),
    ("kf-cost", COST),
    ("kf-backup", BACKUP),
];

const HEALTH: &[Rule] = &[
    Rule {
        alert: "KfFiguresMissing",
        expr: "absent(kf_figures_timestamp_seconds)",
        lasting: "15m",
        severity: "critical",
        summary: "No figures of kf arrive",
        description: "No other alert of kf can fire. Look at the cron job that runs `kf monitor metrics` and at the textfile collector that reads its file.",
    },
    Rule {
        alert: "KfFiguresStale",
        expr: "time() - kf_figures_timestamp_seconds > 7200",
        lasting: "5m",
        severity: "critical",
        summary: "The figures of kf are {{ $value | humanizeDuration }} old",
        description: "`kf monitor metrics` should run every hour and did not succeed. Run it by hand: it says why.",
    },
    Rule {
        alert: "KfAuditLogShrank",
        expr: "kf_audit_events < max_over_time(kf_audit_events[1d])",
        lasting: "",
        severity: "critical",
        summary: "The audit log lost entries",
        description: "It has {{ $value }} entries and had more within a day. An audit log never shrinks: an older state was put back, or somebody removed entries. Run `kf audit verify` against the newest checkpoint or anchor.",
    },
    Rule {
        alert: "KfAuditLogUnsigned",
        expr: "kf_audit_unsigned_events > 0",
        lasting: "1d",
        severity: "warning",
        summary: "The newest {{ $value }} entries of the audit log are unsigned for a day",
        description: "Where the log key is, run `kf audit checkpoint`.",
    },
    Rule {
        alert: "KfEngineBehind",
        expr: "kf_engine_waiting_changes > 0",
        lasting: "1h",
        severity: "warning",
        summary: "Searches in {{ $labels.collection }} of {{ $labels.tenant }} may miss {{ $value }} changes",
        description: "The engine of its vectors or its graph did not confirm them for an hour. `kf doctor` says what is wrong with it; the next `kf ingest` or `kf index rebuild` tells it again.",
    },
];

const PERFORMANCE: &[Rule] = &[
    Rule {
        alert: "KfLatencyUp",
        expr: concat!(latency!(""), " > 1.2 * ", week!(latency!(""))),
        lasting: "",
        severity: "warning",
        summary: "{{ $labels.model }} answers more than 20 % slower than in the week before",
        description: "The 95th percentile on {{ $labels.dataset }} is {{ $value | humanizeDuration }}. Compare with `kf log {{ $labels.model }}`; `kf rollback {{ $labels.model }}` takes the newest release back.",
    },
    Rule {
        alert: "KfSuccessLow",
        expr: concat!(success!(""), " < 0.95"),
        lasting: "",
        severity: "critical",
        summary: "{{ $labels.model }} answers only {{ $value | humanizePercentage }} of questions",
        description: "The rest of {{ $labels.dataset }} failed. `kf eval {{ $labels.model }}@production` says with what.",
    },
    Rule {
        alert: "KfProcessorBusy",
        expr: of_kf!(concat!(processors!(), " > 0.8")),
        lasting: "15m",
        severity: "warning",
        summary: "The processors of {{ $labels.instance }} are {{ $value | humanizePercentage }} busy",
        description: "Above 80 % for 15 minutes: give the machine more, or move work away.",
    },
    Rule {
        alert: "KfMemoryShort",
        expr: of_kf!(concat!(memory!(), " > 0.8")),
        lasting: "15m",
        severity: "warning",
        summary: "The memory of {{ $labels.instance }} is {{ $value | humanizePercentage }} used",
        description: "Above 80 % for 15 minutes: give the machine more, or move work away.",
    },
    Rule {
        alert: "KfDiskFull",
        expr: of_kf!(concat!(disks!(), " > 0.8")),
        lasting: "15m",
        severity: "warning",
        summary: "{{ $labels.mountpoint }} of {{ $labels.instance }} is {{ $value | humanizePercentage }} full",
        description: "kf changes nothing on a full disk. `kf gc --apply` removes what nothing needs.",
    },
];

const QUALITY: &[Rule] = &[
    Rule {
        alert: "KfGateFails",
        expr: "kf_gate_verdict{verdict=\"fail\"} == 1",
        lasting: "",
        severity: "critical",
        summary: "{{ $labels.model }} {{ $labels.version }} is in production and fails the gate {{ $labels.gate }}",
        description: "`kf eval {{ $labels.model }}@production` says by how much; `kf rollback {{ $labels.model }}` takes the release back.",
    },
    Rule {
        alert: "KfQualityDown",
        expr: concat!(week!(score!("{better=\"higher\"}")), " - ", score!("{better=\"higher\"}"), " > 0.02"),
        lasting: "",
        severity: "info",
        summary: "{{ $labels.metric }} of {{ $labels.model }} is more than 2 points below its week",
        description: "It fell by {{ $value | printf \"%.3f\" }} on {{ $labels.dataset }}. Watch it: `kf log {{ $labels.model }}`.",
    },
    Rule {
        alert: "KfQualityLow",
        expr: concat!(week!(score!("{better=\"higher\"}")), " - ", score!("{better=\"higher\"}"), " > 0.05"),
        lasting: "",
        severity: "warning",
        summary: "{{ $labels.metric }} of {{ $labels.model }} is more than 5 points below its week",
        description: "It fell by {{ $value | printf \"%.3f\" }} on {{ $labels.dataset }}. Find out why within a day: `kf eval {{ $labels.model }}@production`.",
    },
    Rule {
        alert: "KfQualityVeryLow",
        expr: concat!(week!(score!("{better=\"higher\"}")), " - ", score!("{better=\"higher\"}"), " > 0.1"),
        lasting: "",
        severity: "critical",
        summary: "{{ $labels.metric }} of {{ $labels.model }} is more than 10 points below its week",
        description: "It fell by {{ $value | printf \"%.3f\" }} on {{ $labels.dataset }}. `kf rollback {{ $labels.model }}` takes the newest release back.",
    },
    Rule {
        alert: "KfNotEvaluated",
        expr: "kf_model_stage_info{stage=\"production\"} unless on (model, version) kf_evaluation_timestamp_seconds",
        lasting: "1d",
        severity: "info",
        summary: "Nobody evaluated {{ $labels.model }} {{ $labels.version }}, which is in production",
        description: "Its quality is unknown, and no alert about it can fire. Run `kf eval {{ $labels.model }}@production`.",
    },
];

const DRIFT: &[Rule] = &[
    Rule {
        alert: "KfDriftMonitor",
        expr: "kf_drift_verdict{verdict=\"monitor\"} == 1",
        lasting: "",
        severity: "info",
        summary: "The data of {{ $labels.name }} begins to drift from what {{ $labels.model }} was accepted on",
        description: "Watch it: `kf drift history {{ $labels.name }}`.",
    },
    Rule {
        alert: "KfDriftWarning",
        expr: "kf_drift_verdict{verdict=\"warning\"} == 1",
        lasting: "",
        severity: "warning",
        summary: "The data of {{ $labels.name }} drifted from what {{ $labels.model }} was accepted on",
        description: "`kf drift report {{ $labels.name }}` says what moved, `kf drift due` what is to be done by when.",
    },
    Rule {
        alert: "KfDriftCritical",
        expr: "kf_drift_verdict{verdict=\"critical\"} == 1",
        lasting: "",
        severity: "critical",
        summary: "The data of {{ $labels.name }} is no longer what {{ $labels.model }} was accepted on",
        description: "`kf drift report {{ $labels.name }}` says what moved or broke, `kf drift due` what is to be done now.",
    },
    Rule {
        alert: "KfDriftUnchecked",
        expr: "time() - kf_drift_check_timestamp_seconds > 172800",
        lasting: "5m",
        severity: "warning",
        summary: "Nobody checked the data of {{ $labels.name }} for {{ $value | humanizeDuration }}",
        description: "Look at the cron job that runs `kf drift check {{ $labels.name }}`.",
    },
    Rule {
        alert: "KfDriftActionOverdue",
        expr: "kf_drift_overdue_actions > 0",
        lasting: "",
        severity: "critical",
        summary: "What was to be done about {{ $labels.name }} is overdue",
        description: "{{ $value }} actions of {{ $labels.model }} are past their deadline. `kf drift due` lists them, `kf drift close` closes what is done.",
    },
];

const BACKUP: &[Rule] = &[
    Rule {
        alert: "KfBackupUnproven",
        expr: "time() - kf_backup_proven_timestamp_seconds > 3024000",
        lasting: "",
        severity: "critical",
        summary: "Nobody proved for {{ $value | humanizeDuration }} that backups of the plan {{ $labels.plan }} come back",
        description: "A backup that no drill restored is a hope. Run `kf backup drill`; cron should, every month.",
    },
    Rule {
        alert: "KfBackupNeverProven",
        expr: "kf_backup_timestamp_seconds unless on (plan) kf_backup_proven_timestamp_seconds",
        lasting: "1d",
        severity: "warning",
        summary: "No backup of the plan {{ $labels.plan }} was ever proven to come back",
        description: "Run `kf backup drill`.",
    },
    Rule {
        alert: "KfBackupLate",
        expr: "kf_backup_overdue == 1",
        lasting: "5m",
        severity: "critical",
        summary: "The next backup of the plan {{ $labels.plan }} is overdue",
        description: "Look at the cron job that runs `kf backup run --due`; `kf audit log --action backup.failed` says what went wrong.",
    },
    Rule {
        alert: "KfRecoverySlow",
        expr: "kf_backup_recovery_ratio >= 0.8",
        lasting: "",
        severity: "warning",
        summary: "The recovery {{ $labels.what }} of the plan {{ $labels.plan }} is {{ $value | humanizePercentage }} of what is allowed",
        description: "`kf backup status --history` shows how it grew. Back up more often, restore faster, or allow more in `[backup]`.",
    },
];

const COST: &[Rule] = &[Rule {
    alert: "KfCostUp",
    expr: concat!(cost!(""), " > 1.5 * ", week!(cost!(""))),
    lasting: "",
    severity: "warning",
    summary: "A question to {{ $labels.model }} costs more than half again what it did in the week before",
    description: "It is {{ $value }} US dollars on {{ $labels.dataset }}. Compare with `kf log {{ $labels.model }}`.",
}];

/// A rule as the file has it.
#[derive(Serialize)]
struct Written {
    alert: &'static str,
    expr: &'static str,
    #[serde(rename = "for", skip_serializing_if = "str::is_empty")]
    lasting: &'static str,
    labels: BTreeMap<&'static str, &'static str>,
    annotations: BTreeMap<&'static str, &'static str>,
}

#[derive(Serialize)]
struct Group {
    name: &'static str,
    rules: Vec<Written>,
}

/// The file: YAML with a line that says how it was made.
///
/// # Errors
/// When the rules have no form in YAML, which they have.
pub fn file() -> Result<String> {
    let written = |rule: &Rule| Written {
        alert: rule.alert,
        expr: rule.expr,
        lasting: rule.lasting,
        labels: [("severity", rule.severity)].into(),
        annotations: [("summary", rule.summary), ("description", rule.description)].into(),
    };
    let group = |(name, rules): &(&'static str, &[Rule])| Group { name, rules: rules.iter().map(written).collect() };
    let groups: BTreeMap<&str, Vec<Group>> = [("groups", GROUPS.iter().map(group).collect())].into();
    let yaml = serde_yaml::to_string(&groups).context(|| "cannot write the alert rules")?;
    Ok(format!(
        "# Alert rules of kf {}; `kf monitor export prometheus-rules` writes them anew.\n{yaml}",
        env!("CARGO_PKG_VERSION")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_alert_is_whole_and_named_once() {
        let rules: Vec<&Rule> = GROUPS.iter().flat_map(|(_, rules)| *rules).collect();
        let names: BTreeSet<&str> = rules.iter().map(|r| r.alert).collect();
        assert_eq!(names.len(), rules.len());
        for r in rules {
            assert!(r.alert.starts_with("Kf"), "{}", r.alert);
            assert!(["info", "warning", "critical"].contains(&r.severity), "{}", r.alert);
            assert!(!r.summary.ends_with('.') && r.description.ends_with('.'), "{}", r.alert);
        }
    }

    #[test]
    fn the_file_is_read_back() {
        let read: serde_yaml::Value = serde_yaml::from_str(&file().expect("YAML")).expect("YAML");
        let rule = &read["groups"][0]["rules"][1];
        assert_eq!(rule["alert"], "KfFiguresStale");
        assert_eq!((&rule["for"], &rule["labels"]["severity"]), (&"5m".into(), &"critical".into()));
        assert!(read["groups"][0]["rules"][2].get("for").is_none(), "at once");
    }
}
