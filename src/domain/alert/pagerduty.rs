//! An event of PagerDuty's Events API v2 ("Send an alert event", PD-CEF): `dedup_key` is at most 255 characters, `summary` 1,024, an
//! event 512 KB. An event that resolves needs no payload.

use super::cut;
use crate::seams::notifier::{Act, Message};
use serde_json::{Map, Value, json};

/// Where events go, unless the account is in another region.
pub const ENQUEUE: &str = "https://events.pagerduty.com/v2/enqueue";
/// The length of a routing key, in characters.
pub const ROUTING_KEY: usize = 32;
/// The longest summary.
const SUMMARY_MAX: usize = 1_024;

/// The event; the routing key is a secret and stays in the request.
pub fn event(message: &Message, routing_key: &str) -> Value {
    let mut event = json!({"routing_key": routing_key, "event_action": message.act.word(), "dedup_key": message.key});
    if message.act == Act::Resolve {
        return event;
    }
    let mut details: Map<String, Value> = message.facts.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    details.insert("body".to_owned(), json!(message.body));
    details.insert("id".to_owned(), json!(message.id));
    // A summary must say something.
    let summary = if message.title.trim().is_empty() { &message.about } else { &message.title };
    event["client"] = json!("kf");
    event["payload"] = json!({
        "summary": cut(summary, SUMMARY_MAX),
        "source": message.source,
        "severity": message.severity.word(),
        "timestamp": message.at.to_string(),
        "component": message.about,
        "custom_details": details,
    });
    event
}
