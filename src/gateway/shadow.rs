//! Copies of requests for a canary whose answers nobody gets.
//!
//! Invariants: a copy is sent only after the user's request was passed on to its end, by a task of its own, so that it cannot delay
//! anybody; what is too long or finds all places taken is dropped and counted; a copy is never sent twice.

use super::Gateway;
use super::body::Outgoing;
use super::headers::SHADOW;
use super::routes::{Arm, Routes};
use crate::base::weight::Weight;
use bytes::{Bytes, BytesMut};
use hyper::body::Body as _;
use hyper::header::HeaderValue;
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Request, Uri};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use tokio::sync::Semaphore;

/// The places for copies, and how many found none.
pub(super) struct Places {
    free: Arc<Semaphore>,
    dropped: AtomicU64,
}

impl Places {
    pub(super) fn new(at_once: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(at_once.min(Semaphore::MAX_PERMITS))), dropped: AtomicU64::new(0) }
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn drop_one(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

/// A copy that is being written along.
pub(super) struct Draft {
    gateway: Arc<Gateway>,
    routes: Arc<Routes>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: BytesMut,
}

impl Draft {
    /// Begins a copy of a request to the stable version, if the table wants one and it does no harm.
    pub(super) fn begin(gateway: &Arc<Gateway>, routes: &Arc<Routes>, to: &Arc<Arm>, parts: &Parts) -> Option<Box<Self>> {
        let wanted = routes.canary.is_some() && !routes.is_canary(to) && gateway.dice.hits(routes.table.shadow);
        if !wanted || !may_be_made_twice(gateway, parts) {
            return None;
        }
        let (method, uri, headers) = (parts.method.clone(), parts.uri.clone(), parts.headers.clone());
        let (gateway, routes) = (Arc::clone(gateway), Arc::clone(routes));
        Some(Box::new(Self { gateway, routes, method, uri, headers, body: BytesMut::new() }))
    }

    /// The next piece of the body; false when it is too long to be copied.
    pub(super) fn push(&mut self, piece: &Bytes) -> bool {
        if self.body.len() + piece.len() > self.gateway.settings.shadow.body {
            self.gateway.places.drop_one();
            return false;
        }
        self.body.extend_from_slice(piece);
        true
    }

    /// The user's request was passed on: sends the copy, if there is a place.
    pub(super) fn send(self) {
        let Ok(place) = Arc::clone(&self.gateway.places.free).try_acquire_owned() else {
            return self.gateway.places.drop_one();
        };
        tokio::spawn(async move {
            self.ask().await;
            drop(place);
        });
    }

    async fn ask(self) {
        let Self { gateway, routes, method, uri, mut headers, body } = self;
        let Some(canary) = &routes.canary else { return };
        let Some(endpoint) = canary.in_turn(false).into_iter().next() else { return gateway.places.drop_one() };
        headers.insert(SHADOW, HeaderValue::from_static("1"));
        let mut request = Request::new(if body.is_empty() { Outgoing::Empty } else { Outgoing::Held(Some(body.freeze())) });
        (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) = (method, uri, headers);
        let began = Instant::now();
        let exchange = async {
            let mut link = endpoint.link(&gateway.dialer).await.ok()?;
            let answer = link.sender.send_request(request).await.ok()?;
            let failed = answer.status().is_server_error();
            let mut body = answer.into_body();
            while let Some(piece) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                piece.ok()?;
            }
            endpoint.give_back(link, &gateway.dialer);
            Some(failed)
        };
        let answered = tokio::time::timeout(gateway.settings.shadow.timeout, exchange).await.ok().flatten();
        let alone = routes.weight() == Weight::NONE;
        canary.tally.shadowed(answered.unwrap_or(true), began.elapsed(), alone);
    }
}

fn may_be_made_twice(gateway: &Gateway, parts: &Parts) -> bool {
    let safe = matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
    safe || gateway.settings.shadow.paths.iter().any(|path| parts.uri.path().starts_with(path))
}
