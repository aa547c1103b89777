//! What people and machines watch: the metrics that kf prints, the alert rules and the dashboard made of them; and the metrics that are
//! recorded here, with the episodes in which they were unusual.
//!
//! The way of a sample: [`sample`] reads it, [`record`] keeps it, [`watch`] says what is unusual, [`episode`] what follows from that;
//! [`table`] reads the rows, [`check`] compares them with the audit log, [`daily`] is what people read of a day. [`health`] is whether what a system
//! stands on answers now.
//!
//! Rules and dashboard name no metric but those of [`metric::ALL`], which `kf monitor metrics` prints, and those of
//! [`metric::COLLECTOR`], which the collector that carries them adds; a test holds them to it.

pub mod check;
pub mod daily;
pub mod dashboard;
pub mod episode;
pub mod exposition;
mod expr;
pub mod health;
mod limit;
pub mod metric;
pub mod probes;
pub mod record;
pub mod rules;
pub mod sample;
mod seasonal;
pub mod table;
pub mod watch;

#[cfg(test)]
mod tests {
    use super::{dashboard, metric, rules};
    use std::collections::BTreeSet;

    /// The names in an expression that look like a metric's.
    fn named(expr: &str) -> impl Iterator<Item = &str> {
        let words = expr.split(|c: char| !c.is_alphanumeric() && c != '_');
        words.filter(|w| ["kf_", "node_"].iter().any(|prefix| w.starts_with(prefix)))
    }

    #[test]
    fn rules_and_dashboard_ask_only_for_what_there_is() {
        let there: BTreeSet<&str> =
            metric::ALL.iter().map(|m| m.name).chain(metric::COLLECTOR.iter().map(|(name, _)| *name)).collect();
        let alerts = rules::GROUPS.iter().flat_map(|(_, rules)| *rules).map(|r| r.expr);
        let asked: BTreeSet<&str> = alerts.chain(dashboard::expressions()).flat_map(named).collect();
        let lacking: Vec<&&str> = asked.difference(&there).collect();
        assert!(asked.len() > 10 && lacking.is_empty(), "{lacking:?} is printed by nobody");
        let unused: Vec<&&str> = metric::COLLECTOR.iter().map(|(name, _)| name).filter(|name| !asked.contains(*name)).collect();
        assert!(unused.is_empty(), "{unused:?} is asked for by nobody");
    }
}
