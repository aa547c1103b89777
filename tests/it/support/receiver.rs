//! Fakes of those who take alerts over HTTP: Slack's incoming webhooks, PagerDuty's Events API v2, a webhook that verifies signatures.
//! Made from what their makers publish, on one port: `/slack`, `/v2/enqueue`, `/hook`. What is not in the published format is
//! refused as they refuse it. A test may ask for other answers first.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// An answer in place of the one that the format deserves.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// A status, with a header `Retry-After` of so many seconds.
    Status(u16, Option<u64>),
    /// What was sent, as an error: a receiver that repeats secrets.
    Echo(u16),
    /// Taken, and then nothing: the answer is lost.
    Lose,
    /// What it deserves, after two seconds.
    Slow,
    /// Taken, with an answer of a megabyte.
    Long,
    /// Taken, with an answer that does not end.
    Endless,
}

/// A request that was taken.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) text: String,
    pub(crate) body: Value,
}

#[derive(Debug, Default)]
struct Shared {
    heard: Vec<Heard>,
    refused: Vec<String>,
    requests: usize,
    answers: VecDeque<Answer>,
}

/// The receivers.
#[derive(Clone, Debug)]
pub(crate) struct Receiver {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        let shared: Arc<Mutex<Shared>> = Arc::default();
        let address = super::serve(Router::new().fallback(take).with_state(Arc::clone(&shared)));
        Self { address, shared }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What the next requests are answered, one each.
    pub(crate) fn answer(&self, answers: impl IntoIterator<Item = Answer>) {
        self.shared.lock().expect("nobody panicked").answers.extend(answers);
    }

    /// Requests that were taken.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.shared.lock().expect("nobody panicked").heard.clone()
    }

    /// Why requests were refused.
    pub(crate) fn refused(&self) -> Vec<String> {
        self.shared.lock().expect("nobody panicked").refused.clone()
    }

    /// How many requests came, whatever was answered.
    pub(crate) fn requests(&self) -> usize {
        self.shared.lock().expect("nobody panicked").requests
    }
}

async fn take(State(shared): State<Arc<Mutex<Shared>>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let asked = {
        let mut shared = shared.lock().expect("nobody panicked");
        shared.requests += 1;
        shared.answers.pop_front()
    };
    let text = String::from_utf8_lossy(&body).into_owned();
    let status = |code: u16| StatusCode::from_u16(code).expect("a status");
    match asked {
        Some(Answer::Status(code, None)) => return (status(code), "no").into_response(),
        Some(Answer::Status(code, Some(after))) => {
            return (status(code), [("retry-after", after.to_string())], "later").into_response();
        }
        Some(Answer::Echo(code)) => return (status(code), format!("{uri} {text}")).into_response(),
        Some(Answer::Slow) => tokio::time::sleep(Duration::from_secs(2)).await,
        Some(Answer::Lose | Answer::Long | Answer::Endless) | None => {}
    }
    let path = uri.path().to_owned();
    let headers = headers.iter().map(|(k, v)| (k.to_string(), String::from_utf8_lossy(v.as_bytes()).into_owned())).collect();
    let parsed: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    let wrong = match path.as_str() {
        "/slack" => slack(&parsed).err(),
        "/v2/enqueue" => pagerduty(&parsed).err(),
        _ => None,
    };
    if let Some(why) = wrong {
        let body = match path.as_str() {
            "/slack" => "invalid_blocks".to_owned(),
            _ => json!({"status": "invalid event", "errors": [why]}).to_string(),
        };
        shared.lock().expect("nobody panicked").refused.push(why);
        return (status(400), body).into_response();
    }
    let key = parsed["dedup_key"].clone();
    shared.lock().expect("nobody panicked").heard.push(Heard { path: path.clone(), headers, text, body: parsed });
    if matches!(asked, Some(Answer::Lose)) {
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    match asked {
        Some(Answer::Long) => return vec![b'x'; 1 << 20].into_response(),
        Some(Answer::Endless) => {
            let never = futures_util::stream::pending::<Result<Bytes, std::io::Error>>();
            return axum::body::Body::from_stream(never).into_response();
        }
        _ => {}
    }
    match path.as_str() {
        "/v2/enqueue" => {
            let body = json!({"status": "success", "message": "Event processed", "dedup_key": key});
            (status(202), body.to_string()).into_response()
        }
        _ => "ok".into_response(),
    }
}

fn must(holds: bool, why: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why.to_owned()) }
}

fn length(value: &Value) -> usize {
    value.as_str().map_or(0, |text| text.encode_utf16().count())
}

fn only(value: &Value, keys: &[&str]) -> Result<(), String> {
    let unknown = value.as_object().into_iter().flatten().find(|(key, _)| !keys.contains(&key.as_str()));
    unknown.map_or(Ok(()), |(key, _)| Err(format!("`{key}` is not in the format")))
}

/// "Send an alert event" of the Events API v2, and PD-CEF.
pub(crate) fn pagerduty(event: &Value) -> Result<(), String> {
    only(event, &["routing_key", "event_action", "dedup_key", "payload", "images", "links", "client", "client_url"])?;
    must(length(&event["routing_key"]) == 32, "Length of 'routing_key' is incorrect (should be 32 characters)")?;
    must(length(&event["dedup_key"]) <= 255, "Length of 'dedup_key' is incorrect (should be at most 255 characters)")?;
    let payload = &event["payload"];
    match event["event_action"].as_str() {
        Some("acknowledge" | "resolve") => return must(length(&event["dedup_key"]) > 0, "'dedup_key' is missing or blank"),
        Some("trigger") => {}
        _ => return Err("'event_action' is invalid".to_owned()),
    }
    only(payload, &["summary", "source", "severity", "timestamp", "component", "group", "class", "custom_details"])?;
    must((1..=1024).contains(&length(&payload["summary"])), "'payload.summary' is missing, blank or too long")?;
    must(length(&payload["source"]) > 0, "'payload.source' is missing or blank")?;
    let severity = payload["severity"].as_str().unwrap_or_default();
    must(["critical", "error", "warning", "info"].contains(&severity), "'payload.severity' is invalid")?;
    let at = &payload["timestamp"];
    must(at.is_null() || at.as_str().is_some_and(|t| t.parse::<kf::base::time::Timestamp>().is_ok()), "'timestamp' is invalid")?;
    let details = &payload["custom_details"];
    must(details.is_null() || details.is_object() || details.is_string(), "'custom_details' is invalid")?;
    must(event.to_string().len() <= 512 * 1024, "the event is larger than 512 KB")
}

/// "Sending messages using incoming webhooks" and the references of blocks and text objects.
pub(crate) fn slack(message: &Value) -> Result<(), String> {
    only(message, &["text", "blocks"])?;
    must(length(&message["text"]) > 0, "no_text")?;
    escaped(&message["text"])?;
    let blocks = message["blocks"].as_array().ok_or("invalid_blocks_format")?;
    must((1..=50).contains(&blocks.len()), "too many blocks")?;
    blocks.iter().try_for_each(block)
}

fn block(block: &Value) -> Result<(), String> {
    match block["type"].as_str() {
        Some("header") => {
            only(block, &["type", "text", "block_id"])?;
            must(block["text"]["type"] == "plain_text", "a header is plain text")?;
            text(&block["text"], 150)
        }
        Some("section") => {
            only(block, &["type", "text", "block_id", "fields", "accessory", "expand"])?;
            text(&block["text"], 3000)
        }
        Some("context") => {
            only(block, &["type", "elements", "block_id"])?;
            let elements = block["elements"].as_array().ok_or("a context has elements")?;
            must((1..=10).contains(&elements.len()), "too many elements")?;
            elements.iter().try_for_each(|element| text(element, 3000))
        }
        other => Err(format!("unsupported block {other:?}")),
    }
}

fn text(object: &Value, max: usize) -> Result<(), String> {
    let markup = object["type"] == "mrkdwn";
    only(object, if markup { &["type", "text", "verbatim"] } else { &["type", "text", "emoji"] })?;
    must((1..=max).contains(&length(&object["text"])), &format!("must be 1 to {max} characters: {object}"))?;
    if markup { escaped(&object["text"]) } else { Ok(()) }
}

/// `&`, `<` and `>` stand for what Slack makes of them.
fn escaped(value: &Value) -> Result<(), String> {
    let text = value.as_str().unwrap_or_default();
    must(!text.contains(['<', '>']), "a control sequence")?;
    let rest = text.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "");
    must(!rest.contains('&'), "an `&` that is not escaped")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples that their makers publish are taken, and what they say is wrong is not.
    #[test]
    fn the_published_examples_are_taken() {
        let event = json!({
            "payload": {
                "summary": "DISK at 99% on machine prod-datapipe03.example.com",
                "timestamp": "2015-07-17T08:42:58.315Z",
                "severity": "critical",
                "source": "prod-datapipe03.example.com",
                "component": "mysql",
                "group": "prod-datapipe",
                "class": "disk",
                "custom_details": {"free space": "1%", "ping time": "1500ms", "load avg": 0.75},
            },
            "routing_key": "a".repeat(32),
            "dedup_key": "srv01/mysql",
            "links": [{"href": "https://example.com/", "text": "Link text"}],
            "event_action": "trigger",
            "client": "Sample Monitoring Service",
        });
        assert_eq!(pagerduty(&event), Ok(()));
        assert_eq!(pagerduty(&json!({"routing_key": "a".repeat(32), "dedup_key": "k", "event_action": "resolve"})), Ok(()));
        for (pointer, value) in [
            ("/routing_key", json!("short")),
            ("/dedup_key", json!("k".repeat(256))),
            ("/payload/severity", json!("bad")),
            ("/payload/summary", json!("s".repeat(1025))),
            ("/event_action", json!("fire")),
        ] {
            let mut wrong = event.clone();
            *wrong.pointer_mut(pointer).expect(pointer) = value;
            assert!(pagerduty(&wrong).is_err(), "{pointer}");
        }
        let message = json!({"text": "a", "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": "A Heartfelt Header"}},
            {"type": "section", "text": {"type": "mrkdwn", "text": "a &lt;b&gt; &amp; c"}},
        ]});
        assert_eq!(slack(&message), Ok(()));
        for (pointer, value) in [
            ("/blocks/0/text/text", json!("h".repeat(151))),
            ("/blocks/1/text/text", json!("<!channel>")),
            ("/blocks/1/text/text", json!("a & b")),
            ("/blocks/1/text/text", json!("")),
            ("/text", json!("")),
        ] {
            let mut wrong = message.clone();
            *wrong.pointer_mut(pointer).expect(pointer) = value;
            assert!(slack(&wrong).is_err(), "{pointer}");
        }
    }
}
