//! Sends a request to one version: which endpoint, how long, and whether it may be sent again.
//!
//! A request is sent again only when nobody can have acted on it: its connection was refused, or a kept connection turned out to be
//! closed before a byte was taken, in which case hyper hands the request back; or when its method may be repeated (RFC 9110, section
//! 9.2.2) and it has no body, and the kept connection broke before an answer. What was sent on a new connection and not answered is
//! an error, and never sent to anybody else.

use super::Gateway;
use super::body::{Outgoing, Progress, Upload};
use super::endpoint::{Endpoint, Link};
use super::patience::{Alarm, after};
use super::routes::Arm;
use hyper::body::Incoming;
use hyper::header::HOST;
use hyper::{Method, Request, Response};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

/// An answer and where it came from.
pub(super) struct Answered {
    pub(super) response: Response<Incoming>,
    pub(super) link: Link,
    pub(super) endpoint: Arc<Endpoint>,
}

/// Why nobody took a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unsent {
    /// The version has no endpoint that may be asked.
    Nobody,
    /// All refused a connection.
    Refused,
    /// One at least did not take a connection in time.
    Late,
}

/// Why there is no answer.
pub(super) enum Failure {
    /// Nobody took the request; it comes back.
    Unsent(Box<Request<Outgoing>>, Unsent),
    /// An endpoint took the request and gave no answer.
    Broken,
    /// It gave none in time.
    Late,
    /// The user's body ended early, as told.
    User(Progress),
}

/// What one attempt came to.
enum Attempt {
    Done(Result<Answered, Failure>),
    /// The same endpoint once more, on another connection.
    Again(Request<Outgoing>),
    /// The next endpoint; whether this one was late.
    Next(Request<Outgoing>, bool),
}

/// Sending to one version.
pub(super) struct Sender<'a> {
    pub(super) gateway: &'a Gateway,
    pub(super) arm: &'a Arm,
    /// Whether it is the version that serves, for which a doubtful endpoint is better than none.
    pub(super) serves: bool,
    pub(super) upload: Option<&'a Upload>,
    /// When the whole request has to be over.
    pub(super) end: Instant,
}

impl Sender<'_> {
    /// The head of the answer.
    pub(super) async fn send(&self, mut request: Request<Outgoing>) -> Result<Answered, Failure> {
        let endpoints = self.arm.in_turn(self.serves);
        if endpoints.is_empty() {
            return Err(Failure::Unsent(Box::new(request), Unsent::Nobody));
        }
        let (mut late, last) = (false, endpoints.len() - 1);
        for (i, endpoint) in endpoints.into_iter().enumerate() {
            let mut fresh = false;
            loop {
                match self.attempt(&endpoint, request, fresh).await {
                    Attempt::Done(result) => return result,
                    Attempt::Again(back) => (request, fresh) = (back, true),
                    Attempt::Next(back, was_late) => {
                        (request, late) = (back, late || was_late);
                        break;
                    }
                }
                self.arm.tally.retried();
            }
            if i < last {
                self.arm.tally.retried();
            }
        }
        Err(Failure::Unsent(Box::new(request), if late { Unsent::Late } else { Unsent::Refused }))
    }

    async fn attempt(&self, endpoint: &Arc<Endpoint>, mut request: Request<Outgoing>, fresh: bool) -> Attempt {
        let dialer = &self.gateway.dialer;
        let rule = &self.gateway.settings.health;
        let link = if fresh { endpoint.dial(dialer).await } else { endpoint.link(dialer).await };
        let mut link = match link {
            Ok(link) => link,
            Err(unreachable) => {
                endpoint.health.strike(rule, &unreachable.why);
                return Attempt::Next(request, unreachable.late);
            }
        };
        let spare = if link.reused { repeatable(&request) } else { None };
        // Clients of HTTP/1.0 need not name a host, servers of HTTP/1.1 must be told one.
        request.headers_mut().entry(HOST).or_insert_with(|| endpoint.authority.clone());
        let answer = link.sender.try_send_request(request);
        match self.in_time(answer).await {
            Some(Ok(response)) => {
                endpoint.health.took();
                Attempt::Done(Ok(Answered { response, link, endpoint: Arc::clone(endpoint) }))
            }
            Some(Err(mut failed)) => {
                if let Some(back) = failed.take_message() {
                    // A new connection that takes nothing is as good as none.
                    if link.reused {
                        return Attempt::Again(back);
                    }
                    endpoint.health.strike(rule, "the connection was closed before it took a request");
                    return Attempt::Next(back, false);
                }
                if let Some(spare) = spare {
                    return Attempt::Again(spare);
                }
                Attempt::Done(Err(self.failed(endpoint, "the connection broke before an answer", Failure::Broken)))
            }
            None => Attempt::Done(Err(self.failed(endpoint, "no answer in time", Failure::Late))),
        }
    }

    /// Who is to blame for a request that was sent and not answered.
    fn failed(&self, endpoint: &Endpoint, why: &str, failure: Failure) -> Failure {
        match self.upload.map(Upload::progress) {
            Some(by_user @ (Progress::TooLong | Progress::Stalled | Progress::Broken)) => Failure::User(by_user),
            _ => {
                endpoint.health.strike(&self.gateway.settings.health, why);
                failure
            }
        }
    }

    /// What a future comes to, unless the answer is late: the wait begins again while the request's body is moving.
    async fn in_time<T>(&self, answer: impl Future<Output = T>) -> Option<T> {
        let wait = self.gateway.settings.waits.first_byte;
        let mut answer = pin!(answer);
        let (mut alarm, mut since, mut pieces) = (Alarm::default(), Instant::now(), 0);
        std::future::poll_fn(|cx| {
            if let Poll::Ready(done) = answer.as_mut().poll(cx) {
                return Poll::Ready(Some(done));
            }
            while alarm.poll(cx, after(since, wait).min(self.end)) {
                let moved = self.upload.map_or(0, Upload::pieces);
                if moved == pieces || Instant::now() >= self.end {
                    return Poll::Ready(None);
                }
                (pieces, since) = (moved, Instant::now());
            }
            Poll::Pending
        })
        .await
    }
}

/// A second request like this one, if it may be made twice and has no body.
fn repeatable(request: &Request<Outgoing>) -> Option<Request<Outgoing>> {
    let idempotent = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE);
    if !idempotent || !request.body().is_empty() {
        return None;
    }
    let mut again = Request::new(Outgoing::Empty);
    *again.method_mut() = request.method().clone();
    *again.uri_mut() = request.uri().clone();
    *again.headers_mut() = request.headers().clone();
    Some(again)
}
