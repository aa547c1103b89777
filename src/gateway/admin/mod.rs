//! The admin interface of a gateway: JSON over HTTP, described in `docs/gateway.md`.
//!
//! `/health` and `/ready` are open, so that whatever watches the process needs no token; everything else is for whom `guard` admits.
//! A refusal is `{"error": …}` with a status that says what kind it is.

pub(super) mod connections;
mod flags;
mod guard;
mod health;

use super::asking::Asking;
use super::control::{Control, Refusal};
use super::table::{Answering, Counters, Routes, Shown};
use crate::base::name::Name;
use crate::base::version::Version;
use crate::config::Secret;
use crate::seams::traffic::Arm;
use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::header::{CONTENT_TYPE, ETAG, IF_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get};
use axum::{Json, Router};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// The largest request, in bytes.
const BODY_MAX: usize = 64 << 10;
/// What Prometheus wants its text to be called.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Whom requests come to.
#[derive(Clone)]
struct Desk {
    control: Arc<Control>,
    token: Option<Arc<Secret>>,
    flags: Arc<flags::Flags>,
    health: Arc<health::Asked>,
}

/// What an admin interface is made of.
pub(super) struct Parts {
    /// What may be done to the gateway.
    pub(super) control: Arc<Control>,
    /// What whoever asks must show.
    pub(super) token: Option<Secret>,
    /// Who has the state.
    pub(super) asking: Asking,
    /// Whose flags are meant where nobody says so.
    pub(super) tenant: Name,
    /// How long what the system stands on may take to answer.
    pub(super) timeout: Duration,
}

/// Versions that answer.
#[derive(Serialize)]
struct Versions {
    versions: Vec<Answering>,
    /// What served before, with its files at hand.
    previous: Option<Arm>,
}

/// What answers requests on the admin address.
pub(super) fn router(parts: Parts) -> Router {
    let Parts { control, token, asking, tenant, timeout } = parts;
    let desk = Desk {
        control,
        token: token.map(Arc::new),
        flags: Arc::new(flags::Flags::new(asking.clone(), tenant)),
        health: Arc::new(health::Asked::new(asking, timeout)),
    };
    let guarded = Router::new()
        .route("/v1/table", get(table).put(route))
        .route("/v1/versions", get(versions).post(start))
        .route("/v1/versions/{version}", delete(stop))
        .route("/v1/counters", get(counters))
        .route("/metrics", get(metrics))
        .merge(flags::router())
        .layer(map_response(worded))
        .layer(from_fn_with_state(desk.clone(), guarded));
    Router::new()
        .route("/health", get(healthy))
        .route("/ready", get(ready))
        .merge(guarded)
        .fallback(async || refused(StatusCode::NOT_FOUND, "there is no such path; docs/gateway.md lists them"))
        .method_not_allowed_fallback(async || refused(StatusCode::METHOD_NOT_ALLOWED, "this path does not take that method"))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(desk)
}

async fn guarded(State(desk): State<Desk>, request: Request, next: Next) -> Response {
    match guard::admit(request.headers(), desk.token.as_deref()) {
        Ok(()) => next.run(request).await,
        Err((status, why)) => refused(status, why),
    }
}

/// A refusal of the framework itself, as of a body that is too long, in the form of all the others.
async fn worded(answer: Response) -> Response {
    let status = answer.status();
    let ours = answer.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if ours || !(status.is_client_error() || status.is_server_error()) {
        return answer;
    }
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => refused(status, &format!("a request may have {} KiB", BODY_MAX >> 10)),
        _ => refused(status, "this request cannot be read"),
    }
}

async fn healthy(State(desk): State<Desk>) -> Json<Value> {
    Json(desk.health.now(desk.control).await)
}

async fn ready(State(desk): State<Desk>) -> Response {
    match desk.control.serves() {
        Ok(_) => Json(json!({"ready": true})).into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"ready": false, "why": why}))).into_response(),
    }
}

async fn table(State(desk): State<Desk>) -> Response {
    shown(desk.control.shown())
}

fn shown(shown: Shown) -> Response {
    let tag = format!("\"{}\"", shown.table.generation);
    ([(ETAG, tag)], Json(shown)).into_response()
}

async fn route(State(desk): State<Desk>, headers: HeaderMap, body: Bytes) -> Response {
    let seen = match seen(&headers) {
        Ok(seen) => seen,
        Err((status, why)) => return refused(status, why),
    };
    let wanted: Routes = match parsed(&headers, &body) {
        Ok(wanted) => wanted,
        Err((status, why)) => return refused(status, &why),
    };
    let done = blocking(move || {
        let seen = seen.unwrap_or_else(|| desk.control.shown().table.generation);
        desk.control.route(&wanted, seen)
    });
    done.await.map_or_else(|refusal| refusal, shown)
}

/// The generation that a writer saw; `None` for any.
fn seen(headers: &HeaderMap) -> Result<Option<u64>, (StatusCode, &'static str)> {
    let Some(tag) = headers.get(IF_MATCH) else {
        let why = "say which table you saw: `If-Match: \"GENERATION\"`, as `GET /v1/table` gives it in `ETag`";
        return Err((StatusCode::PRECONDITION_REQUIRED, why));
    };
    let tag = tag.to_str().unwrap_or_default().trim();
    if tag == "*" {
        return Ok(None);
    }
    let generation = tag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).and_then(|number| number.parse().ok());
    generation.map(Some).ok_or((StatusCode::BAD_REQUEST, "`If-Match` must be the generation in quotes"))
}

async fn versions(State(desk): State<Desk>) -> Response {
    Json(Versions { versions: desk.control.upstreams().shown(), previous: desk.control.previous() }).into_response()
}

async fn start(State(desk): State<Desk>, headers: HeaderMap, body: Bytes) -> Response {
    let arm: Arm = match parsed(&headers, &body) {
        Ok(arm) => arm,
        Err((status, why)) => return refused(status, &why),
    };
    let started = blocking(move || desk.control.start(&arm)).await;
    started.map_or_else(|refusal| refusal, |answering| (StatusCode::ACCEPTED, Json(answering)).into_response())
}

async fn stop(State(desk): State<Desk>, version: Result<Path<String>, PathRejection>) -> Response {
    let Some(version) = version.ok().and_then(|Path(version)| version.parse::<Version>().ok()) else {
        return refused(StatusCode::BAD_REQUEST, "the path must end with a version: `/v1/versions/1.2.0`");
    };
    let stopped = blocking(move || desk.control.stop(version)).await;
    stopped.map_or_else(|refusal| refusal, |()| (StatusCode::ACCEPTED, Json(json!({"version": version}))).into_response())
}

async fn counters(State(desk): State<Desk>) -> Json<Counters> {
    Json(desk.control.proxy().counters())
}

async fn metrics(State(desk): State<Desk>) -> Response {
    ([(CONTENT_TYPE, PROMETHEUS)], desk.control.proxy().metrics_text()).into_response()
}

/// Does what writes to disk or waits for locks where that holds up nobody.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Refusal> + Send + 'static) -> Result<T, Response> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(refusal)) => Err(answer(&refusal)),
        Err(_) => Err(refused(StatusCode::INTERNAL_SERVER_ERROR, "the gateway failed to do this")),
    }
}

fn answer(refusal: &Refusal) -> Response {
    let status = match refusal {
        Refusal::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
        Refusal::NotNow(_) => StatusCode::CONFLICT,
        Refusal::Stale(_) => StatusCode::PRECONDITION_FAILED,
        Refusal::Unknown(_) => StatusCode::NOT_FOUND,
        Refusal::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    refused(status, &refusal.words())
}

/// The body as a value.
///
/// # Errors
/// With what status it is refused, and why.
fn parsed<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, (StatusCode, String)> {
    let kind = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).and_then(|v| v.split(';').next());
    if !kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")) {
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, "send JSON: `Content-Type: application/json`".to_owned()));
    }
    serde_json::from_slice(body).map_err(|e| (StatusCode::UNPROCESSABLE_ENTITY, format!("this cannot be read: {e}")))
}

fn refused(status: StatusCode, why: &str) -> Response {
    (status, Json(json!({"error": why}))).into_response()
}
