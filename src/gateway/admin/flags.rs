//! Flags over HTTP: a flagd file, and OpenFeature's Remote Evaluation Protocol (`domain::flag::ofrep`).
//!
//! The tenant is named by `?tenant=` or the header `x-kf-tenant`; without either it is the one of `mlops.toml`.

use super::super::asking::Asking;
use super::super::recent::Recent;
use super::{Desk, refused};
use crate::base::digest::Digest;
use crate::base::name::Name;
use crate::domain::flag::Flag;
use crate::domain::flag::document::flagd;
use crate::domain::flag::ofrep::{self, Failed};
use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long flags are given as they were read: a change is seen within a second.
const RECENT: Duration = Duration::from_millis(500);
/// How long to wait for the state.
const WAIT: Duration = Duration::from_secs(2);
/// Of how many tenants flags are kept at once.
const TENANTS_MAX: usize = 1000;
/// The header that names a tenant.
const TENANT: &str = "x-kf-tenant";

/// The flags of one tenant.
type Kept = Arc<Recent<Arc<Vec<Flag>>>>;

/// The flags that were asked for.
pub(super) struct Flags {
    asking: Asking,
    /// Whose flags are meant where nobody says so.
    tenant: Name,
    kept: Mutex<BTreeMap<Name, Kept>>,
}

impl Flags {
    pub(super) fn new(asking: Asking, tenant: Name) -> Self {
        Self { asking, tenant, kept: Mutex::default() }
    }

    /// The flags of a tenant, as they are or were half a second ago.
    ///
    /// # Errors
    /// Why not.
    async fn of(&self, tenant: &Name) -> Result<Arc<Vec<Flag>>, String> {
        let kept = {
            let mut all = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if all.len() >= TENANTS_MAX && !all.contains_key(tenant) {
                // Those that are asked for again are read again.
                all.clear();
            }
            Arc::clone(all.entry(tenant.clone()).or_insert_with(|| Arc::new(Recent::new(RECENT))))
        };
        let (asking, wanted) = (self.asking.clone(), tenant.clone());
        let read = async {
            let read = tokio::task::spawn_blocking(move || asking.flags(&wanted, WAIT)).await;
            read.map_err(|e| e.to_string())?.map(Arc::new).map_err(|e| e.chain().join(": "))
        };
        kept.get(read).await
    }

    /// Whom a request is about.
    ///
    /// # Errors
    /// In words, when the name is none.
    fn tenant(&self, uri: &Uri, headers: &HeaderMap) -> Result<Name, String> {
        let query = uri.query().unwrap_or_default().as_bytes();
        let asked = url::form_urlencoded::parse(query).find(|(key, _)| key == "tenant").map(|(_, name)| name.into_owned());
        let said = headers.get(TENANT).map(|name| String::from_utf8_lossy(name.as_bytes()).into_owned());
        asked.or(said).map_or_else(|| Ok(self.tenant.clone()), |name| name.parse().map_err(|e| format!("{e}")))
    }
}

/// What answers requests for flags.
pub(super) fn router() -> Router<Desk> {
    Router::new()
        .route("/v1/flags", get(file))
        .route("/ofrep/v1/evaluate/flags", post(all))
        .route("/ofrep/v1/evaluate/flags/{key}", post(one))
}

async fn file(State(desk): State<Desk>, uri: Uri, headers: HeaderMap) -> Response {
    let tenant = match desk.flags.tenant(&uri, &headers) {
        Ok(tenant) => tenant,
        Err(why) => return refused(StatusCode::BAD_REQUEST, &why),
    };
    match desk.flags.of(&tenant).await {
        Ok(flags) => tagged(&headers, &flagd(&tenant, &flags)),
        Err(why) => refused(StatusCode::INTERNAL_SERVER_ERROR, &why),
    }
}

async fn one(
    State(desk): State<Desk>,
    flag: Result<Path<String>, PathRejection>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Ok(Path(flag)) = flag else {
        return Refusal::Failed(Failed::general("the key of the flag is not UTF-8".to_owned())).answer(None);
    };
    let (tenant, key, flags) = match asked(&desk, &uri, &headers, &body).await {
        Ok(asked) => asked,
        Err(refusal) => return refusal.answer(Some(&flag)),
    };
    let found = flags.iter().find(|f| f.name.as_str() == flag).ok_or_else(|| Failed::not_found(&tenant, &flag));
    match found.and_then(|found| ofrep::evaluated(found, key.as_deref())) {
        Ok(value) => said(StatusCode::OK, &value),
        Err(failed) => Refusal::Failed(failed).answer(Some(&flag)),
    }
}

async fn all(State(desk): State<Desk>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    match asked(&desk, &uri, &headers, &body).await {
        Ok((tenant, key, flags)) => tagged(&headers, &ofrep::all(&tenant, &flags, key.as_deref())),
        Err(refusal) => refusal.answer(None),
    }
}

/// Why there is no evaluation.
enum Refusal {
    /// The request's fault.
    Failed(Failed),
    /// The state's.
    State(String),
}

impl Refusal {
    fn answer(&self, flag: Option<&str>) -> Response {
        match self {
            Self::State(why) => said(StatusCode::INTERNAL_SERVER_ERROR, &json!({"errorDetails": why})),
            Self::Failed(failed) if failed.code == "FLAG_NOT_FOUND" => said(StatusCode::NOT_FOUND, &failed.answer(flag)),
            Self::Failed(failed) => said(StatusCode::BAD_REQUEST, &failed.answer(flag)),
        }
    }
}

/// The tenant, the targeting key and the flags of a request.
async fn asked(
    desk: &Desk,
    uri: &Uri,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(Name, Option<String>, Arc<Vec<Flag>>), Refusal> {
    let key = ofrep::targeting_key(body).map_err(Refusal::Failed)?;
    let tenant = desk.flags.tenant(uri, headers).map_err(|why| Refusal::Failed(Failed::general(why)))?;
    let flags = desk.flags.of(&tenant).await.map_err(Refusal::State)?;
    Ok((tenant, key, flags))
}

fn said(status: StatusCode, value: &Value) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

/// An answer that need not be sent again to whom has it: its tag is of what it says.
fn tagged(headers: &HeaderMap, value: &Value) -> Response {
    let tag = format!("\"{}\"", Digest::of(value.to_string().as_bytes()).short());
    if has(headers, &tag) {
        (StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response()
    } else {
        ([(ETAG, tag)], said(StatusCode::OK, value)).into_response()
    }
}

/// Whether a client says that it has this (RFC 9110 §13.1.2: any of several, compared weakly).
fn has(headers: &HeaderMap, tag: &str) -> bool {
    let lines = headers.get_all(IF_NONE_MATCH).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim).any(|t| t == "*" || t.strip_prefix("W/").unwrap_or(t) == tag)
}
