//! Whether what a system stands on answers, in the words of the specification: `healthy` or `degraded`, and true or false a check.
//!
//! What is not configured or not asked is null: it is neither. Invariant: degraded is what has a check that is false.

use crate::base::name::words;
use serde::Serialize;
use serde_json::{Map, Value};

words! {
    /// Whether everything that is configured answers.
    Status, "status" {
        /// It does.
        Healthy = "healthy",
        /// Something does not.
        Degraded = "degraded",
    }
}

words! {
    /// How one thing is.
    Standing, "standing" {
        /// It answers.
        Healthy = "healthy",
        /// It does not.
        Failing = "failing",
        /// Nobody said where it is.
        Unset = "not-configured",
        /// Asking it costs more than this may cost.
        Unasked = "not-asked",
    }
}

/// What was found of one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Its name.
    #[serde(skip)]
    pub name: String,
    /// How it is.
    pub standing: Standing,
    /// What it said, or why it is not healthy.
    pub told: String,
    /// What to type next, when that is known.
    pub hint: Option<String>,
}

/// How everything is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Health {
    /// In a word.
    pub status: Status,
    /// By name: true, false, or null for what is not configured or not asked.
    pub checks: Map<String, Value>,
    /// The version of kf.
    pub version: String,
    /// By name, what was found.
    pub details: Map<String, Value>,
    #[serde(skip)]
    found: Vec<Found>,
}

impl Health {
    /// Of what was found, in its order.
    pub fn of(found: Vec<Found>, version: &str) -> Self {
        let failing = found.iter().any(|f| f.standing == Standing::Failing);
        let word = |f: &Found| match f.standing {
            Standing::Unset | Standing::Unasked => Value::Null,
            standing => (standing == Standing::Healthy).into(),
        };
        Self {
            status: if failing { Status::Degraded } else { Status::Healthy },
            checks: found.iter().map(|f| (f.name.clone(), word(f))).collect(),
            version: version.to_owned(),
            details: found.iter().map(|f| (f.name.clone(), serde_json::to_value(f).unwrap_or_default())).collect(),
            found,
        }
    }

    /// What was found, in order.
    pub fn found(&self) -> &[Found] {
        &self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(name: &str, standing: Standing) -> Found {
        Found { name: name.into(), standing, told: "so".into(), hint: None }
    }

    /// The shape of the specification: status, checks, version.
    #[test]
    fn what_is_not_configured_is_neither() {
        let parts = [("api", Standing::Unset), ("target_far", Standing::Unasked), ("database", Standing::Healthy)];
        let good = Health::of(parts.map(|(name, standing)| found(name, standing)).into(), "1.2.3");
        let detail = |standing: &str| json!({"standing": standing, "told": "so", "hint": null});
        assert_eq!(
            serde_json::to_value(&good).expect("JSON"),
            json!({
                "status": "healthy", "checks": {"api": null, "target_far": null, "database": true}, "version": "1.2.3",
                "details": {"api": detail("not-configured"), "target_far": detail("not-asked"), "database": detail("healthy")}
            })
        );
        let bad = Health::of(vec![found("cache", Standing::Failing), found("database", Standing::Healthy)], "1.2.3");
        assert_eq!((bad.status, &bad.checks["cache"]), (Status::Degraded, &json!(false)));
        assert_eq!(Health::of(Vec::new(), "").status, Status::Healthy);
    }
}
