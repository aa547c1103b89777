//! What both protocols send and read; whole runs against servers are in `tests/it/judge.rs`.

use super::super::http::tests::{client, nowhere, serve};
use super::*;
use crate::seams::model::{Content, Message, Shape};
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use axum::routing::any;
use serde_json::json;
use std::time::Duration;

fn settings(provider: LlmProvider, base_url: &str) -> Llm {
    Llm {
        provider,
        base_url: base_url.to_owned(),
        model: "m".into(),
        api_key: None,
        timeout: Duration::from_secs(5),
        concurrency: 3,
        max_retries: 1,
        rpm: None,
        max_tokens: 100,
        temperature: 1.5,
        seed: None,
        price_input: TokenPrice::parse("3"),
        price_output: TokenPrice::parse("15"),
    }
}

fn request() -> Request {
    let shape = Shape { name: "verdicts".into(), schema: json!({"type": "object"}) };
    let mut request = Request::ask("You judge.", "Is it so?", 100);
    request.messages.extend([Message::assistant("No."), Message::user("Again.")]);
    Request { temperature: Some(1.5), seed: Some(7), shape: Some(shape), ..request }
}

#[test]
fn bodies_are_as_published() {
    let anthropic = protocol(LlmProvider::Anthropic).body("m", &request());
    assert_eq!(
        anthropic,
        json!({
            "model": "m", "max_tokens": 100, "system": "You judge.", "temperature": 1.0,
            "messages": [
                {"role": "user", "content": "Is it so?"},
                {"role": "assistant", "content": "No."},
                {"role": "user", "content": "Again."},
            ],
            "tools": [{"name": "verdicts", "description": "Gives the answer.", "input_schema": {"type": "object"}}],
            "tool_choice": {"type": "tool", "name": "verdicts", "disable_parallel_tool_use": true},
        })
    );
    let openai = protocol(LlmProvider::OpenAi);
    let body = openai.body("m", &request());
    assert_eq!((&body["seed"], &body["temperature"], &body["max_tokens"]), (&json!(7), &json!(1.5), &json!(100)));
    assert_eq!(body["messages"][0], json!({"role": "system", "content": "You judge."}));
    let schema = json!({"name": "verdicts", "strict": true, "schema": {"type": "object"}});
    assert_eq!(body["response_format"], json!({"type": "json_schema", "json_schema": schema}));
    // Each refusal teaches one thing, and the last one nothing any more.
    for (said, learnt) in [
        ("'max_tokens' is not supported, use 'max_completion_tokens'", true),
        ("max_completion_tokens is too large", false),
        ("response_format of type json_schema is unknown", true),
        ("this model has no response_format", true),
        ("response_format again", false),
        ("your prompt is bad", false),
    ] {
        assert_eq!(openai.learn(said, &request()), learnt, "{said}");
    }
    let body = openai.body("m", &request());
    assert_eq!((body.get("max_tokens"), body.get("response_format")), (None, None));
    assert!(
        body["messages"][0]["content"].as_str().is_some_and(|s| s.ends_with("JSON Schema:\n{\"type\":\"object\"}")),
        "{body}"
    );
}

#[test]
fn addresses_are_those_of_the_service_however_they_are_written() {
    for (provider, base, want) in [
        (LlmProvider::Anthropic, "https://api.anthropic.com/", "https://api.anthropic.com/v1/messages"),
        (LlmProvider::Anthropic, "https://proxy/a/v1", "https://proxy/a/v1/messages"),
        (LlmProvider::Anthropic, "https://proxy/v1/messages", "https://proxy/v1/messages"),
        (LlmProvider::OpenAi, "http://localhost:8000/v1/", "http://localhost:8000/v1/chat/completions"),
        (LlmProvider::OpenAi, "http://host/v1/chat/completions", "http://host/v1/chat/completions"),
    ] {
        assert_eq!(about(&settings(provider, base)).endpoint, want);
    }
}

/// Answers as services give them, and what becomes of each.
#[test]
fn answers_are_whole_or_a_reason() {
    let read = |provider: LlmProvider, shape: bool, body: Value| -> Result<Content, String> {
        let request = Request { shape: request().shape.filter(|_| shape), ..Request::ask("s", "u", 9) };
        let reply = protocol(provider).read(&request, &body)?;
        reply.content(&request, &|text: &str| text.to_owned()).map_err(|(kind, why)| format!("{kind}: {why}"))
    };
    let anthropic = |stop: &str, content: Value| json!({"content": content, "stop_reason": stop, "usage": {}});
    let openai = |finish: &str, message: Value| json!({"choices": [{"message": message, "finish_reason": finish}]});
    let (a, o) = (LlmProvider::Anthropic, LlmProvider::OpenAi);
    let text = |t: &str| json!([{"type": "text", "text": t}]);
    assert_eq!(read(a, false, anthropic("end_turn", text("Yes."))), Ok(Content::Text("Yes.".into())));
    let tool =
        json!([{"type": "thinking", "thinking": "hm"}, {"type": "tool_use", "id": "1", "name": "verdicts", "input": {"a": 1}}]);
    assert_eq!(read(a, true, anthropic("tool_use", tool)), Ok(Content::Json(json!({"a": 1}))));
    // A model that talks in place of using its tool may still give the object.
    assert_eq!(read(a, true, anthropic("end_turn", text("So: {\"a\": 2}"))), Ok(Content::Json(json!({"a": 2}))));
    assert_eq!(read(o, true, openai("stop", json!({"content": "```json\n{\"a\": 3}\n```"}))), Ok(Content::Json(json!({"a": 3}))));
    let parts = json!({"content": [{"type": "text", "text": "Ye"}, {"type": "text", "text": "s."}], "refusal": null});
    assert_eq!(read(o, false, openai("stop", parts)), Ok(Content::Text("Yes.".into())));
    for (provider, shape, body, why) in [
        (a, true, anthropic("max_tokens", text("{\"a\": 1}")), "truncated: the answer was cut off at 9 tokens (max_tokens)"),
        (a, true, anthropic("refusal", json!([])), "refused: the model declined to answer (refusal)"),
        (a, false, anthropic("end_turn", text(" ")), "empty: the answer is empty"),
        (a, true, anthropic("end_turn", text("No.")), "malformed: the answer holds no JSON object: No."),
        (
            a,
            false,
            anthropic("pause_turn", text("x")),
            "malformed: the answer ended for a reason that kf does not know: `pause_turn`",
        ),
        (a, false, json!({"content": [], "stop_reason": null}), "the answer has no `stop_reason`"),
        (
            a,
            false,
            json!({"type": "error", "error": {"type": "api_error", "message": "boom"}}),
            "the answer is an error: api_error: boom",
        ),
        (a, false, json!([]), "the answer has no `content`"),
        (o, true, openai("length", json!({"content": "{\"a\": 1}"})), "truncated: the answer was cut off at 9 tokens (length)"),
        (o, true, openai("content_filter", json!({"content": ""})), "refused: the model declined to answer (content_filter)"),
        (
            o,
            true,
            openai("stop", json!({"content": null, "refusal": "I won't."})),
            "refused: the model declined to answer (refusal): I won't.",
        ),
        (o, true, openai("stop", json!({"content": null})), "empty: the answer is empty"),
        (o, false, json!({"error": {"message": "boom", "code": "bad"}}), "the answer is an error: bad: boom"),
        (o, false, json!({"choices": []}), "the answer has no `choices`"),
        (o, false, openai("stop", json!("x")), "the answer has no `message`"),
    ] {
        let found = read(provider, shape, body.clone()).expect_err("no content");
        assert!(found.starts_with(why), "{body}: {found}");
    }
}

fn endpoint(settings: &Llm, key: &str) -> Endpoint {
    let http = client(Policy { attempts: settings.max_retries + 1, ..Policy::default() });
    Endpoint::with(http, settings, Some(&Secret::new(key.to_owned()))).expect("a model")
}

#[test]
fn what_it_costs_is_exact_and_failures_say_what_to_do() {
    let app = axum::Router::new().fallback(any(|request: axum::extract::Request| async move {
        let key = request.headers().get("x-api-key").and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
        match key.as_str() {
            "right-key" => axum::Json(json!({
                "content": [{"type": "text", "text": "Yes."}], "stop_reason": "end_turn", "model": "m-2",
                "usage": {"input_tokens": 10, "output_tokens": 2, "cache_read_input_tokens": 1},
            }))
            .into_response(),
            "slow-key" => {
                tokio::time::sleep(Duration::from_secs(60)).await;
                ().into_response()
            }
            _ => {
                let error = json!({"type": "error", "error": {"type": "authentication_error", "message": format!("invalid x-api-key {key}")}});
                (StatusCode::UNAUTHORIZED, axum::Json(error)).into_response()
            }
        }
    }));
    let url = serve(app);
    let settings = Llm { timeout: Duration::from_millis(300), ..settings(LlmProvider::Anthropic, url.as_str()) };
    let ask = |key: &str| endpoint(&settings, key).complete(Request::ask("s", "u", 9)).expect("asked");
    let found = ask("right-key").expect("answered");
    // 11 × $3 + 2 × $15 a million: 63 millionths of a dollar.
    assert_eq!((found.cost, found.model.as_str(), found.tokens.input), (Some(PicoUsd(63_000_000)), "m-2", Some(11)));
    let wrong = ask("wrong-key-0123").expect_err("refused");
    assert_eq!(wrong.kind, FailureKind::Misconfigured);
    assert_eq!(wrong.reason, "m: status 401: authentication_error: invalid x-api-key ***");
    assert!(wrong.hint.is_some_and(|h| h.contains("api-key")));
    let slow = ask("slow-key").expect_err("too slow");
    assert_eq!((slow.kind, slow.reason.contains("no answer within 0.3 s")), (FailureKind::Unavailable, true), "{}", slow.reason);
    let away = Llm { base_url: nowhere().to_string(), ..settings.clone() };
    let away = endpoint(&away, "key").complete(Request::ask("s", "u", 9)).expect("asked").expect_err("away");
    assert!(away.kind == FailureKind::Unavailable && away.reason.contains("cannot connect"), "{}", away.reason);
    let unpriced = Llm { price_output: None, ..settings.clone() };
    assert_eq!(endpoint(&unpriced, "key").cost(Tokens { input: Some(1), output: Some(1) }), None);
    assert_eq!(endpoint(&settings, "key").cost(Tokens { input: Some(1), output: None }), None, "unknown is not zero");
}
