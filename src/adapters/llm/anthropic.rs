//! Anthropic's Messages API (reference "Messages", version 2023-06-01): data comes as the input of the one tool that is forced.
//!
//! Errors have the form `{"type": "error", "error": {"type", "message"}}`; 529 is "overloaded". There is no seed, so none is sent.
//! Models from 2026 on may refuse `temperature`; it is left out from then on.

use super::Protocol;
use super::reply::{Ended, Reply};
use crate::adapters::http;
use crate::base::error::Result;
use crate::config::secret::Secret;
use crate::seams::answerer::Tokens;
use crate::seams::model::Request;
use serde_json::{Map, Value, json};
use std::sync::atomic::{AtomicBool, Ordering};

/// The version of the API that is spoken.
const VERSION: &str = "2023-06-01";

#[derive(Default)]
pub(super) struct Anthropic {
    /// Set once the service refused a temperature.
    no_temperature: AtomicBool,
}

impl Protocol for Anthropic {
    fn url(&self, base: &str) -> String {
        let base = base.strip_suffix("/messages").unwrap_or(base);
        let base = base.strip_suffix("/v1").unwrap_or(base);
        format!("{base}/v1/messages")
    }

    fn key(&self, request: http::Request, key: &Secret) -> Result<http::Request> {
        request.secret_header("x-api-key", key)
    }

    fn headers(&self, request: http::Request) -> Result<http::Request> {
        request.header("anthropic-version", VERSION)
    }

    fn body(&self, model: &str, request: &Request) -> Value {
        let mut body = Map::new();
        body.insert("model".into(), json!(model));
        body.insert("max_tokens".into(), json!(request.max_tokens));
        if let Some(system) = &request.system {
            body.insert("system".into(), json!(system));
        }
        let messages: Vec<Value> = request.messages.iter().map(|m| json!({"role": m.role, "content": m.text})).collect();
        body.insert("messages".into(), json!(messages));
        // Its scale ends at 1.
        if let Some(temperature) = request.temperature.filter(|_| !self.no_temperature.load(Ordering::Relaxed)) {
            body.insert("temperature".into(), json!(temperature.min(1.0)));
        }
        if let Some(shape) = &request.shape {
            let tool = json!({"name": shape.name, "description": "Gives the answer.", "input_schema": shape.schema});
            body.insert("tools".into(), json!([tool]));
            let choice = json!({"type": "tool", "name": shape.name, "disable_parallel_tool_use": true});
            body.insert("tool_choice".into(), choice);
        }
        Value::Object(body)
    }

    fn read(&self, request: &Request, body: &Value) -> Result<Reply, String> {
        if body["type"] == "error" {
            return Err(format!("the answer is an error: {}", self.message(body).unwrap_or_default()));
        }
        let Some(blocks) = body["content"].as_array() else {
            return Err("the answer has no `content`".to_owned());
        };
        let stop = body["stop_reason"].as_str().ok_or("the answer has no `stop_reason`")?.to_owned();
        let text: String = blocks.iter().filter(|b| b["type"] == "text").filter_map(|b| b["text"].as_str()).collect();
        let object = request.shape.as_ref().and_then(|shape| {
            blocks.iter().find(|b| b["type"] == "tool_use" && b["name"] == shape.name.as_str()).map(|b| b["input"].clone())
        });
        let ended = match stop.as_str() {
            "end_turn" | "stop_sequence" | "tool_use" => Ended::Whole,
            "max_tokens" | "model_context_window_exceeded" => Ended::Cut,
            "refusal" => Ended::Refused,
            _ => Ended::Unknown,
        };
        let usage = &body["usage"];
        let counted = |key: &str| usage[key].as_u64();
        // What was read from or put into its prompt cache was read too.
        let cached = ["cache_creation_input_tokens", "cache_read_input_tokens"].into_iter().filter_map(counted).sum::<u64>();
        let tokens = Tokens { input: counted("input_tokens").map(|n| n + cached), output: counted("output_tokens") };
        Ok(Reply {
            ended,
            stop,
            text,
            object: object.filter(Value::is_object),
            refusal: None,
            model: body["model"].as_str().map(str::to_owned),
            fingerprint: None,
            tokens,
        })
    }

    fn learn(&self, said: &str, request: &Request) -> bool {
        let about = said.to_ascii_lowercase().contains("temperature");
        about && request.temperature.is_some() && !self.no_temperature.swap(true, Ordering::Relaxed)
    }

    fn message(&self, body: &Value) -> Option<String> {
        let error = &body["error"];
        let message = error["message"].as_str()?;
        Some(error["type"].as_str().map_or_else(|| message.to_owned(), |kind| format!("{kind}: {message}")))
    }
}
