//! The endpoint against a fake that is made from the published API and shares no type with kf.

use super::*;
use crate::adapters::http::tests::{client, serve};
use crate::config::Prefixes;
use axum::Router;
use axum::body::Bytes as Body;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response as Outgoing};
use axum::routing::post;
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

/// What the fake saw and how it misbehaves.
#[derive(Default)]
struct Fake {
    voyage: bool,
    dimensions: usize,
    /// Texts above this number, or words above that in one request, are refused.
    texts_max: usize,
    words_max: usize,
    /// The request that carries this text is answered so.
    fault: Option<(&'static str, StatusCode)>,
    /// How often each text was answered with a vector.
    answered: Mutex<HashMap<String, usize>>,
    requests: Mutex<Vec<usize>>,
}

fn problem(status: StatusCode, said: &str) -> Outgoing {
    (status, axum::Json(json!({"error": {"message": said, "type": "invalid_request_error"}}))).into_response()
}

impl Fake {
    /// The API reference of OpenAI ("Create embeddings") and of Voyage ("Text embedding models"), and nothing else.
    fn answer(&self, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Outgoing {
        let bad = |said: &str| problem(StatusCode::BAD_REQUEST, said);
        if uri.path() != "/v1/embeddings" {
            return problem(StatusCode::NOT_FOUND, "no such path");
        }
        if headers.get("authorization").and_then(|v| v.to_str().ok()) != Some("Bearer sk-hunter22") {
            return problem(StatusCode::UNAUTHORIZED, "Incorrect API key provided: sk-hunter22");
        }
        let Ok(Value::Object(asked)) = serde_json::from_slice(body) else { return bad("no JSON") };
        let known: &[&str] = match self.voyage {
            true => &["input", "model", "input_type", "truncation", "output_dimension", "output_dtype", "encoding_format"],
            false => &["input", "model", "dimensions", "encoding_format", "user"],
        };
        if let Some(key) = asked.keys().find(|k| !known.contains(&k.as_str())) {
            return bad(&format!("Unrecognized request argument supplied: {key}"));
        }
        let Some(input) = asked["input"].as_array() else { return bad("input") };
        let input: Vec<&str> = input.iter().filter_map(Value::as_str).filter(|s| !s.is_empty()).collect();
        if Some(input.len()) != asked["input"].as_array().map(Vec::len) || asked["model"] != "m-1" {
            return bad("'$.input' is invalid");
        }
        self.requests.lock().expect("lock").push(input.len());
        if input.len() > self.texts_max {
            return bad(&format!("'$.input' is too long: at most {}", self.texts_max));
        }
        if input.iter().map(|t| t.split_whitespace().count()).sum::<usize>() > self.words_max {
            return problem(StatusCode::PAYLOAD_TOO_LARGE, "payload");
        }
        if let Some((_, status)) = self.fault.filter(|(text, _)| input.contains(text)) {
            return problem(status, "the model has left");
        }
        let size = asked.get(if self.voyage { "output_dimension" } else { "dimensions" });
        let size = size.and_then(Value::as_u64).map_or(self.dimensions, |n| usize::try_from(n).expect("small"));
        let mut data: Vec<Value> = Vec::new();
        for (index, text) in input.iter().enumerate() {
            *self.answered.lock().expect("lock").entry((*text).to_owned()).or_default() += 1;
            let first = text.bytes().map(usize::from).sum::<usize>() % 97 + 1;
            let embedding: Vec<usize> = (0..size).map(|i| if i == 0 { first } else { 50 }).collect();
            data.push(json!({"object": "embedding", "index": index, "embedding": embedding}));
        }
        // The order of the list is not promised, `index` is.
        data.reverse();
        axum::Json(json!({"object": "list", "data": data, "model": "m-1", "usage": {"total_tokens": 1}})).into_response()
    }

    fn serve(self) -> (Arc<Self>, String) {
        let fake = Arc::new(self);
        let state = Arc::clone(&fake);
        let app = Router::new()
            .fallback(post(move |uri: Uri, headers: HeaderMap, body: Body| async move { state.answer(&uri, &headers, &body) }));
        (fake, format!("{}v1", serve(app)))
    }
}

fn fake() -> Fake {
    Fake { dimensions: 4, texts_max: 2_048, words_max: usize::MAX, ..Fake::default() }
}

fn settings(url: &str) -> Settings {
    Settings {
        url: url.to_owned(),
        model: "m-1".into(),
        api_key: None,
        protocol: EmbedderProtocol::OpenAi,
        dimensions: 4,
        shorten: false,
        batch: 10,
        batch_tokens: 100_000,
        concurrency: 3,
        timeout: Duration::from_secs(5),
        prefixes: Prefixes::default(),
    }
}

fn endpoint(settings: &Settings) -> Endpoint {
    let http = client(Policy { attempts: 3, ..Policy::default() });
    Endpoint::with(http, settings, Some(&Secret::new("sk-hunter22\n".into()))).expect("an endpoint")
}

fn embed(endpoint: &Endpoint, texts: &[String]) -> Result<Vec<Vec<f32>>> {
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    endpoint.embed(&texts, Purpose::Document)
}

fn texts(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("text number {i}")).collect()
}

/// The vector that the fake means for a text.
fn expected(text: &str) -> Vec<f32> {
    let first = u16::try_from(text.bytes().map(usize::from).sum::<usize>() % 97 + 1).expect("small");
    let mut vector = vec![f32::from(first), 50.0, 50.0, 50.0];
    assert!(normalise(&mut vector));
    vector
}

#[test]
fn vectors_come_in_the_order_of_the_texts_and_once() {
    let (fake, url) = fake().serve();
    let texts = texts(95);
    let vectors = embed(&endpoint(&settings(&url)), &texts).expect("embedded");
    for (text, vector) in texts.iter().zip(&vectors) {
        assert_eq!(*vector, expected(text), "{text}");
    }
    assert_eq!(vectors.len(), 95);
    assert!(fake.answered.lock().expect("lock").values().all(|n| *n == 1));
    assert_eq!(fake.requests.lock().expect("lock").len(), 10);
}

#[test]
fn a_batch_that_is_too_large_is_cut_and_nothing_is_paid_for_twice() {
    for fake in [Fake { texts_max: 3, ..fake() }, Fake { words_max: 10, ..fake() }] {
        let (fake, url) = fake.serve();
        let vectors = embed(&endpoint(&settings(&url)), &texts(25)).expect("embedded");
        assert_eq!(vectors[24], expected("text number 24"));
        let answered = fake.answered.lock().expect("lock");
        assert!(answered.len() == 25 && answered.values().all(|n| *n == 1), "{answered:?}");
    }
    let (_, url) = Fake { words_max: 2, ..fake() }.serve();
    let e = embed(&endpoint(&settings(&url)), &texts(1)).expect_err("too long");
    assert!(e.chain().iter().any(|c| c.contains("one text of 13 bytes is too long for the model")), "{:?}", e.chain());
}

#[test]
fn tokens_bound_a_batch() {
    let (fake, url) = fake().serve();
    let endpoint = endpoint(&Settings { batch_tokens: 12, ..settings(&url) });
    embed(&endpoint, &texts(9)).expect("embedded");
    // Three tokens and two around them: two texts a request.
    assert_eq!(*fake.requests.lock().expect("lock").iter().max().expect("asked"), 2);
    assert_eq!(ranges(&[5, 200, 5, 5], 2, 100), [0..1, 1..2, 2..4]);
    assert_eq!(ranges(&[], 2, 100), Vec::<Range<usize>>::new());
}

#[test]
fn a_fault_at_batch_37_keeps_what_came_before() {
    let (fake, url) = Fake { fault: Some(("text number 365", StatusCode::SERVICE_UNAVAILABLE)), ..fake() }.serve();
    let all = texts(5_000);
    let texts: Vec<&str> = all.iter().map(String::as_str).collect();
    let mut kept = Vec::new();
    let failed = endpoint(&settings(&url)).embed_each(&texts, Purpose::Document, &mut |some| {
        kept.extend(some);
        Ok(())
    });
    let e = failed.expect_err("the service is away");
    let said = e.chain().join("\n");
    assert!(said.contains("batch 37 of 500") && said.contains("503 Service Unavailable"), "{said}");
    assert!(said.contains(&format!("embedded {} of 5000 texts", kept.len())), "{said}");
    // Others go on while the failing one is tried again, and end soon after it was given up.
    assert!((360..4_000).contains(&kept.len()), "{} kept", kept.len());
    assert!(kept.iter().all(|(at, vector)| *vector == expected(&all[*at])));
    assert_eq!(kept.len(), fake.answered.lock().expect("lock").len(), "what was answered is handed out");
}

#[test]
fn the_callers_error_ends_the_work() {
    let (fake, url) = fake().serve();
    let all = texts(1_000);
    let texts: Vec<&str> = all.iter().map(String::as_str).collect();
    let failed = endpoint(&settings(&url)).embed_each(&texts, Purpose::Document, &mut |_| Err(Error::new("disk full")));
    assert_eq!(failed.expect_err("refused").to_string(), "disk full");
    assert!(fake.requests.lock().expect("lock").len() < 100);
}

#[test]
fn voyage_is_told_what_a_text_is_for() {
    let (_, url) = Fake { voyage: true, dimensions: 9, ..fake() }.serve();
    let prefixes = Prefixes { query: "q: ".into(), document: "d: ".into() };
    let settings = Settings { protocol: EmbedderProtocol::Voyage, shorten: true, prefixes, ..settings(&url) };
    let endpoint = endpoint(&settings);
    assert_eq!(endpoint.embed(&["why", " "], Purpose::Query).expect("embedded"), [expected("q: why"), vec![0.0; 4]]);
    assert_eq!(endpoint.embed(&["why"], Purpose::Document).expect("embedded"), [expected("d: why")]);
    let body = |purpose| endpoint.body(&["why"], purpose);
    assert_eq!(
        (&body(Purpose::Query)["input_type"], &body(Purpose::Document)["input_type"]),
        (&json!("query"), &json!("document"))
    );
    assert_eq!(body(Purpose::Query)["truncation"], json!(false));
}

#[test]
fn answers_out_of_the_protocol_are_refused() {
    let check = |body: Value, said: &str| {
        let app = Router::new().fallback(post(move || async move { axum::Json(body) }));
        let e = embed(&endpoint(&settings(serve(app).as_str())), &texts(2)).expect_err(said);
        assert!(e.chain().join("\n").contains(said), "{:?}", e.chain());
    };
    let item = |index: usize, numbers: &[f32]| json!({"index": index, "embedding": numbers});
    check(json!({"data": [item(0, &[1.0; 4])]}), "1 vectors for 2 texts");
    check(json!({"data": [item(0, &[1.0; 4]), item(0, &[1.0; 4])]}), "index 0 twice or out of range");
    check(json!({"data": [item(0, &[1.0; 4]), item(7, &[1.0; 4])]}), "index 7 twice or out of range");
    check(json!({"data": [item(0, &[1.0; 4]), item(1, &[1.0; 3])]}), "vectors of 3 numbers, `embedder.dimensions` says 4");
    check(json!({"data": [item(0, &[0.0; 4]), item(1, &[1.0; 4])]}), "has no direction");
    check(json!({"error": "no"}), "the answer is not a list of embeddings");
    let (_, url) = fake().serve();
    let http = client(Policy::default());
    let wrong = Endpoint::with(http, &settings(&url), Some(&Secret::new("sk-other".into()))).expect("an endpoint");
    let e = embed(&wrong, &texts(1)).expect_err("unauthorized");
    assert!(e.hints().iter().any(|h| h.contains("key or token")), "{e:?}");
}

#[test]
fn what_changes_vectors_changes_the_digest() {
    let digest = |s: Settings| endpoint(&s).model().digest;
    let base = settings("http://a/v1");
    assert_eq!(digest(base.clone()), digest(Settings { url: "http://b/v1/embeddings/".into(), batch: 3, ..base.clone() }));
    assert_ne!(digest(base.clone()), digest(Settings { model: "m-2".into(), ..base.clone() }));
    assert_ne!(digest(base.clone()), digest(Settings { dimensions: 5, ..base.clone() }));
    let prefixes = Prefixes { query: "q".into(), document: String::new() };
    assert_ne!(digest(base.clone()), digest(Settings { prefixes, ..base }));
}
