//! A fake of services with language models: Anthropic's `POST /v1/messages` (reference "Messages", version 2023-06-01) and OpenAI's
//! `POST /v1/chat/completions`, made from what both publish; what is not in it is refused as they refuse it, with their forms of
//! errors. It shares no type with kf.
//!
//! Its one model judges by a rule of thumb that tests can work out: sentences are statements, a statement follows from a text that
//! holds all its words. A mark such as `[[cut]]` in the texts of a request asks for a fault.

mod judgement;

use self::judgement::{form_of, judgement};
use super::sandbox::Sandbox;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The key that it takes.
pub(crate) const KEY: &str = "sk-live-0123456789abcdef";
/// The model that it has.
pub(crate) const MODEL: &str = "judge-1";

/// The key as a service may write it that repeats it in another encoding, or cuts it.
pub(crate) fn forms() -> Vec<String> {
    let each = |one: &dyn Fn(u8) -> String| KEY.bytes().map(one).collect::<String>();
    vec![
        each(&|b| format!("%{b:02x}")),
        each(&|b| format!("%{b:02X}")),
        KEY.replace('-', "%2D"),
        each(&|b| format!("\\u{b:04x}")),
        STANDARD.encode(KEY),
        STANDARD.encode(format!("Bearer {KEY}")),
        URL_SAFE_NO_PAD.encode(format!("user:{KEY}")),
        STANDARD.encode(format!("{{\"x-api-key\": \"{KEY}\"}}")).replace('=', "%3D"),
        each(&|b| format!("{b:02x}")),
        each(&|b| format!("{b:02X}")),
        format!("{}…", &KEY[..17]),
    ]
}

/// How it differs from a service that takes everything that is published.
#[derive(Clone, Debug, Default)]
pub(crate) struct Manner {
    /// `json_schema` is refused, as many servers do.
    pub(crate) no_schema: bool,
    /// `json_object` is refused too; data comes in fences.
    pub(crate) no_object: bool,
    /// `max_tokens` and `temperature` are refused, as newer models of OpenAI do.
    pub(crate) newer: bool,
    /// How long every answer takes.
    pub(crate) delay: Duration,
    /// No statement follows from anything: a judge of another mind.
    pub(crate) contrary: bool,
    /// How many requests are answered, in the order in which they come; the others wait.
    pub(crate) room: Option<usize>,
}

#[derive(Default)]
struct Shared {
    manner: Manner,
    /// When each request came, with its texts.
    heard: Vec<(Instant, String)>,
    refused: Vec<String>,
    answered: usize,
    now: usize,
    most: usize,
    /// How often a text was asked about.
    seen: BTreeMap<String, usize>,
}

/// The services.
#[derive(Clone)]
pub(crate) struct Models {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

impl Models {
    pub(crate) fn start() -> Self {
        let shared: Arc<Mutex<Shared>> = Arc::default();
        let address = super::serve(Router::new().fallback(take).with_state(Arc::clone(&shared)));
        Self { address, shared }
    }

    /// The keys of `[judge]` or `[llm]` for it, by either protocol.
    pub(crate) fn keys(&self, provider: &str) -> String {
        let path = if provider == "anthropic" { "" } else { "/v1" };
        format!(
            "provider = \"{provider}\"\nbase-url = \"http://{}{path}\"\nmodel = \"{MODEL}\"\napi-key = \"env:MODEL_KEY\"\n\
             price-input = 0.15\nprice-output = 0.6\n",
            self.address
        )
    }

    pub(crate) fn manner(&self, change: impl FnOnce(&mut Manner)) {
        change(&mut self.shared.lock().expect("nobody panicked").manner);
    }

    /// Requests that came, faults and refusals included.
    pub(crate) fn requests(&self) -> usize {
        self.shared.lock().expect("nobody panicked").heard.len()
    }

    /// Requests that were answered: not those that whoever asked did not wait for.
    pub(crate) fn answered(&self) -> usize {
        self.shared.lock().expect("nobody panicked").answered
    }

    /// Requests that wait for their answers.
    pub(crate) fn under_way(&self) -> usize {
        self.shared.lock().expect("nobody panicked").now
    }

    /// When each request came that holds a text.
    pub(crate) fn times(&self, text: &str) -> Vec<Instant> {
        let shared = self.shared.lock().expect("nobody panicked");
        shared.heard.iter().filter(|(_, said)| said.contains(text)).map(|(at, _)| *at).collect()
    }

    /// Lets `kf` be asked for so many more answers, waits until it has kept them and asks on, and kills it.
    pub(crate) fn kill_after(&self, more: usize, s: &Sandbox, args: &[&str]) {
        let (room, kept) = (self.requests() + more, s.answers_kept() as usize + more);
        self.manner(|m| m.room = Some(room));
        let mut command = s.command(env!("CARGO_BIN_EXE_kf"));
        let mut child = command.args(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("kf starts");
        let asks_on = || self.requests() > room && s.answers_kept() as usize == kept;
        assert!(super::wait_until(60, asks_on), "it asks: {} of {room}, {} of {kept}", self.requests(), s.answers_kept());
        child.kill().expect("killed");
        child.wait().expect("ended");
        assert!(super::wait_until(60, || self.under_way() == 0), "what it asked for is given up");
        self.manner(|m| m.room = None);
    }

    /// Why requests were refused that are not as published.
    pub(crate) fn refused(&self) -> Vec<String> {
        self.shared.lock().expect("nobody panicked").refused.clone()
    }

    /// The most requests at a time.
    pub(crate) fn most_at_once(&self) -> usize {
        self.shared.lock().expect("nobody panicked").most
    }
}

/// One of the two protocols.
#[derive(Clone, Copy, PartialEq)]
enum Speaks {
    Anthropic,
    OpenAi,
}

/// What a request asks for, read from either protocol.
struct Asked {
    system: String,
    /// What the user said last but for being told of mistakes: the first message.
    text: String,
    /// Turns of the conversation.
    turns: usize,
    /// The name of the form, when data is asked for.
    form: Option<String>,
}

type Refusal = (u16, &'static str, String);

fn invalid(why: impl Into<String>) -> Refusal {
    (400, "invalid_request_error", why.into())
}

fn refusal(speaks: Speaks, (status, kind, why): &Refusal) -> Response {
    let body = match speaks {
        Speaks::Anthropic => json!({"type": "error", "error": {"type": kind, "message": why}, "request_id": "req_1"}),
        Speaks::OpenAi => json!({"error": {"message": why, "type": kind, "param": null, "code": null}}),
    };
    (StatusCode::from_u16(*status).expect("a status"), axum::Json(body)).into_response()
}

/// Counts requests under way; one that the client gave up counts no more.
struct Under(Arc<Mutex<Shared>>);

impl Drop for Under {
    fn drop(&mut self) {
        if let Ok(mut shared) = self.0.lock() {
            shared.now -= 1;
        }
    }
}

async fn take(State(shared): State<Arc<Mutex<Shared>>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let text = String::from_utf8_lossy(&body).into_owned();
    let (manner, at) = {
        let mut shared = shared.lock().expect("nobody panicked");
        shared.heard.push((Instant::now(), text.clone()));
        shared.now += 1;
        shared.most = shared.most.max(shared.now);
        (shared.manner.clone(), shared.heard.len())
    };
    let _under = Under(Arc::clone(&shared));
    let speaks = if uri.path() == "/v1/messages" { Speaks::Anthropic } else { Speaks::OpenAi };
    let parsed: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    let asked = match (uri.path(), speaks) {
        ("/v1/messages", _) => anthropic(&headers, &parsed),
        ("/v1/chat/completions", _) => openai(&headers, &parsed, &manner),
        (path, _) => Err((404, "not_found_error", format!("nothing is at {path}"))),
    };
    let asked = match asked {
        Ok(asked) => asked,
        Err(why) => {
            // What a manner refuses is no mistake of the client.
            if !why.2.contains("is not supported") {
                shared.lock().expect("nobody panicked").refused.push(why.2.clone());
            }
            return refusal(speaks, &why);
        }
    };
    let times = {
        let mut shared = shared.lock().expect("nobody panicked");
        let seen = shared.seen.entry(text).or_default();
        *seen += 1;
        *seen
    };
    tokio::time::sleep(manner.delay).await;
    let waits = || shared.lock().expect("nobody panicked").manner.room.is_some_and(|room| at > room);
    while waits() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    shared.lock().expect("nobody panicked").answered += 1;
    match fault(speaks, &asked, times).await {
        Some(response) => response,
        None => answer(speaks, &asked, "", &judgement(&asked, &manner), &manner),
    }
}

/// The fault that a mark in the texts asks for.
async fn fault(speaks: Speaks, asked: &Asked, times: usize) -> Option<Response> {
    let marked = |mark: &str| asked.text.contains(&format!("[[{mark}]]"));
    let json_type = [("content-type", "application/json")];
    let plain = Manner::default();
    let cut_words = if speaks == Speaks::Anthropic { "max_tokens" } else { "length" };
    if marked("429") && times == 1 {
        let (status, kind) = (StatusCode::TOO_MANY_REQUESTS, "rate_limit_error");
        let mut response = refusal(speaks, &(status.as_u16(), kind, "This request would exceed your rate limit.".into()));
        response.headers_mut().insert("retry-after", "1".parse().expect("a header"));
        return Some(response);
    }
    if marked("529") && times == 1 {
        return Some(refusal(speaks, &(529, "overloaded_error", "Overloaded".into())));
    }
    if marked("500") {
        // A service that repeats what it was sent, key and all.
        return Some(refusal(speaks, &(500, "api_error", format!("Internal server error for {KEY}"))));
    }
    if marked("broken") {
        return Some((json_type, "{\"id\": \"msg_1\", \"content\": [{").into_response());
    }
    if marked("echo-html") {
        // The key stands where a cut goes through it.
        return Some(([("content-type", "text/html")], format!("<html>{}{KEY}</html>", "x".repeat(64))).into_response());
    }
    if marked("echo-error") {
        let error = json!({"type": "api_error", "message": format!("no credit for {KEY}")});
        return Some(axum::Json(json!({"type": "error", "error": error})).into_response());
    }
    for (n, form) in forms().into_iter().enumerate() {
        if marked(&format!("form-{n}-refusal")) {
            return Some(refusal(speaks, &(400, "invalid_request_error", format!("no such key: {form}"))));
        }
        if marked(&format!("form-{n}-html")) {
            return Some(([("content-type", "text/html")], format!("<html>{form}</html>")).into_response());
        }
        if marked(&format!("form-{n}-verdict")) && asked.form.as_deref() == Some("verdicts") {
            let verdict = json!({"id": form, "reason": form, "contexts": ["c1"], "supported": true});
            return Some(answer(speaks, asked, "", &json!({"verdicts": [verdict]}), &plain));
        }
        if marked(&format!("form-{n}-text")) {
            return Some(answer(speaks, asked, "", &json!(format!("It is {form}.")), &plain));
        }
    }
    if marked("html") {
        return Some(([("content-type", "text/html")], "<html>Gateway</html>").into_response());
    }
    if marked("hang") {
        tokio::time::sleep(Duration::from_secs(3600)).await;
    }
    if marked("reset") && times == 1 {
        let half: Vec<Result<Bytes, std::io::Error>> =
            vec![Ok(Bytes::from_static(b"{\"id\": ")), Err(std::io::Error::other("the connection breaks"))];
        return Some((json_type, Body::from_stream(futures_util::stream::iter(half))).into_response());
    }
    if marked("cut") || (marked("second") && times == 2) {
        return Some(answer(speaks, asked, cut_words, &json!({"reason": "", "statements": []}), &plain));
    }
    if marked("refuse") {
        return Some(answer(speaks, asked, "refusal", &Value::Null, &plain));
    }
    if marked("empty") {
        return Some(answer(speaks, asked, "empty", &Value::Null, &plain));
    }
    if marked("echo-id") && asked.form.as_deref() == Some("verdicts") {
        let verdict = json!({"id": KEY, "reason": KEY, "contexts": ["c1"], "supported": true});
        return Some(answer(speaks, asked, "", &json!({"verdicts": [verdict]}), &plain));
    }
    let wrong_ids = marked("ids") || (marked("ids-once") && asked.turns == 1);
    if wrong_ids && asked.form.as_deref() == Some("verdicts") {
        let verdict = json!({"id": "s99", "reason": "", "contexts": ["c1"], "supported": true});
        return Some(answer(speaks, asked, "", &json!({"verdicts": [verdict]}), &plain));
    }
    None
}

/// An answer in its protocol; `end` is how it ends other than by itself.
fn answer(speaks: Speaks, asked: &Asked, end: &str, said: &Value, manner: &Manner) -> Response {
    let words = match (said, &asked.form) {
        (Value::Null, _) => String::new(),
        (Value::String(text), _) => text.clone(),
        // Where nobody holds it to a form it talks.
        (said, _) if manner.no_object => format!("Here you are:\n```json\n{said:#}\n```"),
        (said, _) => said.to_string(),
    };
    let body = match speaks {
        Speaks::Anthropic => {
            let content = match (&asked.form, end) {
                (_, "refusal" | "empty") => json!([]),
                (Some(form), _) => json!([{"type": "tool_use", "id": "toolu_1", "name": form, "input": said}]),
                (None, _) => json!([{"type": "text", "text": words}]),
            };
            let stop = match end {
                "" if asked.form.is_some() => "tool_use",
                "" | "empty" => "end_turn",
                other => other,
            };
            json!({
                "id": "msg_1", "type": "message", "role": "assistant", "model": "judge-1-20261101", "content": content,
                "stop_reason": stop, "stop_sequence": null,
                "usage": {"input_tokens": 1000, "output_tokens": 100, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0},
            })
        }
        Speaks::OpenAi => {
            let refusal = if end == "refusal" { json!("I can't help with that.") } else { Value::Null };
            let content = if end == "refusal" { Value::Null } else { json!(words) };
            let finish = if end == "length" { "length" } else { "stop" };
            json!({
                "id": "chatcmpl-1", "object": "chat.completion", "created": 1_790_000_000, "model": "judge-1-2026-11-01",
                "choices": [{"index": 0, "message": {"role": "assistant", "content": content, "refusal": refusal}, "logprobs": null, "finish_reason": finish}],
                "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100},
                "system_fingerprint": "fp_1",
            })
        }
    };
    axum::Json(body).into_response()
}

fn fields(body: &Value, known: &[&str]) -> Result<(), Refusal> {
    let object = body.as_object().ok_or_else(|| invalid("the body is not a JSON object"))?;
    match object.keys().find(|k| !known.contains(&k.as_str())) {
        Some(key) => Err(invalid(format!("{key}: Extra inputs are not permitted"))),
        None => Ok(()),
    }
}

fn conversation(body: &Value, roles: &[&str]) -> Result<Vec<(String, String)>, Refusal> {
    let all = body["messages"].as_array().filter(|m| !m.is_empty()).ok_or_else(|| invalid("messages: Field required"))?;
    let mut found = Vec::new();
    for message in all {
        fields(message, &["role", "content"])?;
        let role = message["role"].as_str().filter(|r| roles.contains(r)).ok_or_else(|| invalid("messages: unknown role"))?;
        let text = message["content"].as_str().filter(|t| !t.is_empty()).ok_or_else(|| invalid("messages: content is empty"))?;
        found.push((role.to_owned(), text.to_owned()));
    }
    match found.last().map(|(role, _)| role.as_str()) {
        Some("user") => Ok(found),
        _ => Err(invalid("messages: the last one must be of the user")),
    }
}

fn anthropic(headers: &HeaderMap, body: &Value) -> Result<Asked, Refusal> {
    let header = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    if header("x-api-key") != Some(KEY) {
        return Err((401, "authentication_error", "invalid x-api-key".into()));
    }
    if header("anthropic-version") != Some("2023-06-01") {
        return Err(invalid("anthropic-version: header is required"));
    }
    fields(body, &["model", "max_tokens", "system", "messages", "temperature", "tools", "tool_choice"])?;
    if body["model"] != MODEL {
        return Err((404, "not_found_error", format!("model: {}", body["model"])));
    }
    if body["max_tokens"].as_u64().is_none_or(|n| n == 0) {
        return Err(invalid("max_tokens: Field required"));
    }
    if !body["temperature"].is_null() && body["temperature"].as_f64().is_none_or(|t| !(0.0..=1.0).contains(&t)) {
        return Err(invalid("temperature: Input should be less than or equal to 1"));
    }
    let messages = conversation(body, &["user", "assistant"])?;
    let form = match body["tools"].as_array().map(Vec::as_slice) {
        None => None,
        Some([tool]) => {
            fields(tool, &["name", "description", "input_schema"])?;
            fields(&body["tool_choice"], &["type", "name", "disable_parallel_tool_use"])?;
            let forced = body["tool_choice"]["type"] == "tool" && body["tool_choice"]["name"] == tool["name"];
            if !forced || tool["input_schema"]["type"] != "object" {
                return Err(invalid("tools: the one tool must be forced and take an object"));
            }
            Some(tool["name"].as_str().ok_or_else(|| invalid("tools: name"))?.to_owned())
        }
        Some(_) => return Err(invalid("tools: one is expected here")),
    };
    Ok(Asked {
        system: body["system"].as_str().unwrap_or_default().to_owned(),
        text: messages[0].1.clone(),
        turns: messages.len(),
        form,
    })
}

fn openai(headers: &HeaderMap, body: &Value, manner: &Manner) -> Result<Asked, Refusal> {
    let given = headers.get("authorization").and_then(|v| v.to_str().ok());
    if given != Some(format!("Bearer {KEY}").as_str()) {
        return Err((401, "invalid_request_error", "Incorrect API key provided.".into()));
    }
    fields(body, &["model", "messages", "max_tokens", "max_completion_tokens", "temperature", "seed", "response_format"])?;
    if body["model"] != MODEL {
        return Err((404, "invalid_request_error", format!("The model {} does not exist", body["model"])));
    }
    if manner.newer && !body["max_tokens"].is_null() {
        let why = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.";
        return Err(invalid(why));
    }
    if manner.newer && !body["temperature"].is_null() {
        return Err(invalid("Unsupported value: 'temperature' is not supported with this model."));
    }
    let messages = conversation(body, &["system", "user", "assistant"])?;
    let system = messages.iter().filter(|(role, _)| role == "system").map(|(_, text)| text.as_str()).collect::<String>();
    let format = &body["response_format"];
    let form = match format["type"].as_str() {
        None => system.contains("JSON Schema").then(|| form_of(&system)),
        Some("json_schema") if manner.no_schema => {
            return Err(invalid("response_format: 'json_schema' is not supported by this server"));
        }
        Some("json_object") if manner.no_object => {
            return Err(invalid("response_format: 'json_object' is not supported by this server"));
        }
        Some("json_object") => {
            if !messages.iter().any(|(_, text)| text.to_lowercase().contains("json")) {
                return Err(invalid("'messages' must contain the word 'json' in some form"));
            }
            Some(form_of(&system))
        }
        Some("json_schema") => {
            let schema = &format["json_schema"];
            fields(schema, &["name", "strict", "schema"])?;
            strict(&schema["schema"])?;
            Some(schema["name"].as_str().ok_or_else(|| invalid("response_format: name"))?.to_owned())
        }
        Some(other) => return Err(invalid(format!("response_format: `{other}`"))),
    };
    let mut said = messages.into_iter().filter(|(role, _)| role != "system");
    let text = said.next().map(|(_, text)| text).unwrap_or_default();
    Ok(Asked { system, text, turns: 1 + said.count(), form })
}

/// In strict mode every object lists all its properties as required and allows no other.
fn strict(schema: &Value) -> Result<(), Refusal> {
    if schema["type"] == "object" {
        let properties = schema["properties"].as_object().ok_or_else(|| invalid("schema: properties"))?;
        let required: BTreeSet<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if schema["additionalProperties"] != false || properties.keys().any(|k| !required.contains(k.as_str())) {
            return Err(invalid("Invalid schema for response_format: 'required' must list every property"));
        }
        properties.values().try_for_each(strict)?;
    }
    if schema["type"] == "array" { strict(&schema["items"]) } else { Ok(()) }
}
