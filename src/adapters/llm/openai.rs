//! The `/chat/completions` of OpenAI (API reference, "Create chat completion"), which most servers speak, few of them all of it.
//!
//! Data is asked for as `json_schema` in strict mode, then as `json_object`, then in words alone, whatever of these the service
//! takes; what it took is remembered for the next request. Remembered are also `max_completion_tokens` in place of `max_tokens`
//! and that a temperature is refused, both of which newer models of OpenAI do.

use super::Protocol;
use super::reply::{Ended, Reply};
use crate::adapters::http;
use crate::base::error::Result;
use crate::config::secret::Secret;
use crate::seams::answerer::Tokens;
use crate::seams::model::{Request, Shape};
use serde_json::{Map, Value, json};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// How data is asked for, in the order in which it is tried.
const SCHEMA: u8 = 0;
const OBJECT: u8 = 1;
const WORDS: u8 = 2;

#[derive(Default)]
pub(super) struct OpenAi {
    /// How data is asked for.
    way: AtomicU8,
    /// Set once the service wanted the limit of tokens under its newer name.
    completion_tokens: AtomicBool,
    /// Set once the service refused a temperature.
    no_temperature: AtomicBool,
    /// Set once the service refused a seed.
    no_seed: AtomicBool,
}

impl Protocol for OpenAi {
    fn url(&self, base: &str) -> String {
        if base.ends_with("/chat/completions") { base.to_owned() } else { format!("{base}/chat/completions") }
    }

    fn key(&self, request: http::Request, key: &Secret) -> Result<http::Request> {
        request.secret_header("authorization", &Secret::new(format!("Bearer {}", key.expose())))
    }

    fn headers(&self, request: http::Request) -> Result<http::Request> {
        Ok(request)
    }

    fn body(&self, model: &str, request: &Request) -> Value {
        let way = self.way.load(Ordering::Relaxed);
        let mut body = Map::new();
        body.insert("model".into(), json!(model));
        body.insert("messages".into(), messages(request, way));
        let limit = if self.completion_tokens.load(Ordering::Relaxed) { "max_completion_tokens" } else { "max_tokens" };
        body.insert(limit.into(), json!(request.max_tokens));
        if let Some(temperature) = request.temperature.filter(|_| !self.no_temperature.load(Ordering::Relaxed)) {
            body.insert("temperature".into(), json!(temperature));
        }
        if let Some(seed) = request.seed.filter(|_| !self.no_seed.load(Ordering::Relaxed)) {
            body.insert("seed".into(), json!(seed));
        }
        match (&request.shape, way) {
            (Some(Shape { name, schema }), SCHEMA) => {
                let schema = json!({"name": name, "strict": true, "schema": schema});
                body.insert("response_format".into(), json!({"type": "json_schema", "json_schema": schema}));
            }
            (Some(_), OBJECT) => {
                body.insert("response_format".into(), json!({"type": "json_object"}));
            }
            _ => {}
        }
        Value::Object(body)
    }

    fn read(&self, _: &Request, body: &Value) -> Result<Reply, String> {
        let Some(choice) = body["choices"].get(0) else {
            // Some servers answer errors with status 200.
            return Err(match self.message(body) {
                Some(message) => format!("the answer is an error: {message}"),
                None => "the answer has no `choices`".to_owned(),
            });
        };
        let message = choice["message"].as_object().ok_or("the answer has no `message`")?;
        let stop = choice["finish_reason"].as_str().ok_or("the answer has no `finish_reason`")?.to_owned();
        let refusal = message.get("refusal").and_then(Value::as_str).map(str::to_owned);
        let ended = match stop.as_str() {
            "length" => Ended::Cut,
            "content_filter" => Ended::Refused,
            "stop" | "tool_calls" | "eos" if refusal.is_some() => Ended::Refused,
            "stop" | "eos" => Ended::Whole,
            _ => Ended::Unknown,
        };
        let counted = |key: &str| body["usage"][key].as_u64();
        Ok(Reply {
            ended,
            stop: if refusal.is_some() { "refusal".to_owned() } else { stop },
            text: text_of(message.get("content")),
            object: None,
            refusal,
            model: body["model"].as_str().map(str::to_owned),
            fingerprint: body["system_fingerprint"].as_str().map(str::to_owned),
            tokens: Tokens { input: counted("prompt_tokens"), output: counted("completion_tokens") },
        })
    }

    fn learn(&self, said: &str, request: &Request) -> bool {
        let said = said.to_ascii_lowercase();
        let about = |words: &[&str]| words.iter().any(|word| said.contains(word));
        if about(&["max_completion_tokens"]) && !self.completion_tokens.swap(true, Ordering::Relaxed) {
            return true;
        }
        if request.temperature.is_some() && about(&["temperature"]) && !self.no_temperature.swap(true, Ordering::Relaxed) {
            return true;
        }
        if request.seed.is_some()
            && about(&["`seed`", "'seed'", "\"seed", "seed is not"])
            && !self.no_seed.swap(true, Ordering::Relaxed)
        {
            return true;
        }
        let form = about(&["response_format", "json_schema", "json_object", "structured output", "guided", "grammar"]);
        let way = self.way.load(Ordering::Relaxed);
        if request.shape.is_none() || !form || way >= WORDS {
            return false;
        }
        // Of two requests that are refused at a time, the second must not skip a way.
        let _ = self.way.compare_exchange(way, way + 1, Ordering::Relaxed, Ordering::Relaxed);
        true
    }

    fn message(&self, body: &Value) -> Option<String> {
        let error = &body["error"];
        // vLLM and others put the message at the top.
        let message = error["message"].as_str().or(error.as_str()).or(body["message"].as_str())?;
        let kind = error["code"].as_str().or(error["type"].as_str());
        Some(kind.map_or_else(|| message.to_owned(), |kind| format!("{kind}: {message}")))
    }
}

/// The conversation; where no schema can be sent, its words say the form.
fn messages(request: &Request, way: u8) -> Value {
    let form =
        request.shape.as_ref().filter(|_| way > SCHEMA).map(|shape| {
            format!("Answer with one JSON object and nothing else. It must fit this JSON Schema:\n{}", shape.schema)
        });
    let system: Vec<&str> = request.system.as_deref().into_iter().chain(form.as_deref()).collect();
    let mut all = Vec::new();
    if !system.is_empty() {
        all.push(json!({"role": "system", "content": system.join("\n\n")}));
    }
    all.extend(request.messages.iter().map(|m| json!({"role": m.role, "content": m.text})));
    Value::Array(all)
}

/// The text of an answer: a string, or parts of which some are text.
fn text_of(content: Option<&Value>) -> String {
    match content {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => parts.iter().filter_map(|p| p["text"].as_str()).collect(),
        _ => String::new(),
    }
}
