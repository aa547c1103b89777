//! `GET /health` of a gateway: status, checks and version in the words of the specification (`domain::monitor::health`).
//!
//! It is open, so it names what is asked and not where: `kf health` tells that. It answers 200 also when something does not answer,
//! because what asks it (a liveness probe) would end the gateway otherwise, and answers before such a probe gives up.

use super::super::asking::Asking;
use super::super::control::Control;
use super::super::recent::Recent;
use crate::domain::monitor::health::{Found, Health, Standing};
use crate::release::health::ask;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// A probe of Kubernetes waits for one second, unless it is told otherwise.
const WAIT: Duration = Duration::from_millis(400);
/// How long an answer is given again: it is open, and what it asks must not be flooded.
const RECENT: Duration = Duration::from_secs(1);
/// The check that is about the gateway itself.
const API: &str = "api";

/// What was found last.
pub(super) struct Asked {
    asking: Asking,
    /// How long what is asked may take.
    timeout: Duration,
    recent: Recent<Arc<Vec<Found>>>,
}

impl Asked {
    pub(super) fn new(asking: Asking, timeout: Duration) -> Self {
        Self { asking, timeout: timeout.min(WAIT), recent: Recent::new(RECENT) }
    }

    /// How everything is; while nobody can say what is to be asked, how the gateway is.
    pub(super) async fn now(&self, control: Arc<Control>) -> Value {
        let (asking, timeout) = (self.asking.clone(), self.timeout);
        let read = async {
            let read = tokio::task::spawn_blocking(move || asking.probes(WAIT).map(|probes| ask(probes, timeout))).await;
            read.map_err(|e| e.to_string())?.map(Arc::new).map_err(|e| e.to_string())
        };
        let found = self.recent.get(read).await.map(|found| found.to_vec()).unwrap_or_default();
        let serves = tokio::task::spawn_blocking(move || control.serves().is_ok()).await.unwrap_or(false);
        let health = Health::of(with_api(found, serves), env!("CARGO_PKG_VERSION"));
        json!({"status": health.status, "checks": health.checks, "version": health.version})
    }
}

/// Where no other api is configured, the gateway is it.
fn with_api(mut found: Vec<Found>, serves: bool) -> Vec<Found> {
    let standing = if serves { Standing::Healthy } else { Standing::Failing };
    match found.iter_mut().find(|f| f.name == API) {
        Some(api) if api.standing == Standing::Unset => api.standing = standing,
        Some(_) => {}
        None => found.insert(0, Found { name: API.to_owned(), standing, told: String::new(), hint: None }),
    }
    found
}
