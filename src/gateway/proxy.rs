//! One request from its head to the head of its answer; [`super::body`] carries the rest.
//!
//! Invariant: a request is counted for the version whose fault its end is. One whose version could not take it at all is taken by the
//! stable version instead: its user gets an answer, its version gets the error.

use super::Gateway;
use super::body::{Answer, Outgoing, Passed, Progress, Stream, Upload};
use super::headers::{self, From, Refused};
use super::inbound::{Gate, Turn};
use super::patience::{Patience, after};
use super::problem::Problem;
use super::routes::{Arm, Routes};
use super::send::{Answered, Failure, Sender, Unsent};
use super::server::Phase;
use super::shadow::Draft;
use super::split::{Choice, NoChoice, choose};
use super::tally::{End, Flight};
use super::tunnel;
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONTENT_LENGTH, SET_COOKIE, UPGRADE};
use hyper::http::request::Parts;
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response, StatusCode, Version};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::watch;

/// The connection that a request came by.
pub(super) struct Peer {
    pub(super) from: From,
    /// `None` for HTTP/2, where requests do not wait for each other.
    pub(super) gate: Option<Arc<Gate>>,
    pub(super) phase: watch::Receiver<Phase>,
}

/// A request that is ready to be passed on.
struct Ready {
    request: Request<Outgoing>,
    upload: Option<Arc<Upload>>,
    /// The user's side of an upgrade.
    upgrade: Option<OnUpgrade>,
    began: Instant,
    end: Instant,
}

/// Answers a request.
pub(super) async fn answer(gateway: Arc<Gateway>, peer: Arc<Peer>, request: Request<Incoming>) -> Response<Answer> {
    let began = Instant::now();
    let turn = peer.gate.as_ref().map(Turn::of);
    let ambiguous = peer.gate.as_ref().is_some_and(|gate| gate.is_ambiguous());
    let (mut parts, body) = request.into_parts();
    let checked = headers::check(&mut parts);
    if ambiguous && checked.is_ok() {
        let why = Refused::Bad("a request has one of Content-Length and Transfer-Encoding");
        return Problem::Refused(why).answer(turn);
    }
    if let Err(refused) = checked {
        return Problem::Refused(refused).answer(turn);
    }
    let routes = gateway.routes();
    let choice = choose(&routes, &gateway.marks, &parts.headers, &gateway.dice, || gateway.new_key());
    let Choice { arm, forced, session } = match choice {
        Ok(choice) => choice,
        Err(NoChoice::Nothing) => return Problem::Unavailable.answer(turn),
        Err(NoChoice::Unknown) => return Problem::NoSuchVersion.answer(turn),
    };
    let ready = match prepare(&gateway, &routes, &arm, &peer.from, (parts, body), began) {
        Ok(ready) => ready,
        Err(problem) => return problem.answer(turn),
    };
    let mut response = pass(&gateway, &routes, arm, forced, ready, &peer, turn).await;
    if let Some(cookie) = session.and_then(|key| gateway.marks.set_cookie(&key)) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

/// Makes a user's request one to an upstream.
fn prepare(
    gateway: &Arc<Gateway>,
    routes: &Arc<Routes>,
    arm: &Arc<Arm>,
    from: &From,
    (mut parts, body): (Parts, Incoming),
    began: Instant,
) -> Result<Ready, Problem> {
    let limit = gateway.settings.limits.body;
    let declared = parts.headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
    if declared.is_some_and(|length| length > limit) {
        return Err(Problem::TooLong);
    }
    let protocol = tunnel::wanted(&parts);
    let upgrade = protocol.is_some().then(|| parts.extensions.remove::<OnUpgrade>()).flatten();
    headers::forward(&mut parts, from, gateway.settings.names.trust_forwarded, || gateway.dice.trace());
    let draft = if protocol.is_some() { None } else { Draft::begin(gateway, routes, arm, &parts) };
    if let Some(protocol) = protocol {
        tunnel::mark(&mut parts.headers, protocol);
    }
    let waits = &gateway.settings.waits;
    let end = after(began, waits.total);
    let (body, upload) = if body.is_end_stream() {
        if let Some(draft) = draft {
            draft.send();
        }
        (Outgoing::Empty, None)
    } else {
        let (upload, patience) = (Arc::new(Upload::default()), Patience::new(waits.stall, end));
        let passed = Passed { inner: body, upload: Arc::clone(&upload), left: limit, patience, draft };
        (Outgoing::Passed(Box::new(passed)), Some(upload))
    };
    // What was said on the user's connection (its upgrade, its informational answers) stays there.
    parts.extensions.clear();
    Ok(Ready { request: Request::from_parts(parts, body), upload, upgrade, began, end })
}

/// Passes a request on to its version, and if no endpoint of that takes it, to the stable one.
async fn pass(
    gateway: &Arc<Gateway>,
    routes: &Arc<Routes>,
    arm: Arc<Arm>,
    forced: bool,
    ready: Ready,
    peer: &Peer,
    turn: Option<Turn>,
) -> Response<Answer> {
    let Ready { request, upload, upgrade, began, end } = ready;
    let serves = !routes.is_canary(&arm);
    let mut flight = Flight::new(Arc::clone(routes), Arc::clone(&arm), began);
    let sender = |arm, serves| Sender { gateway, arm, serves, upload: upload.as_deref(), end };
    let sent = sender(&arm, serves).send(request).await;
    let instead = routes.stable.as_ref().filter(|_| !serves && !forced);
    let sent = match (sent, instead) {
        (Err(Failure::Unsent(request, why)), Some(stable)) => {
            arm.tally.diverted();
            flight.end(if why == Unsent::Nobody { End::Elsewhere } else { End::Failed });
            flight = Flight::new(Arc::clone(routes), Arc::clone(stable), began);
            sender(stable, true).send(*request).await
        }
        (sent, _) => sent,
    };
    match sent {
        Ok(answered) => finish(gateway, answered, Passing { flight, upload, upgrade, end, turn }, peer),
        Err(failure) => failed(gateway, flight, &failure, turn),
    }
}

/// What goes on while an answer is passed on.
struct Passing {
    flight: Flight,
    upload: Option<Arc<Upload>>,
    upgrade: Option<OnUpgrade>,
    end: Instant,
    turn: Option<Turn>,
}

/// Passes the answer on.
fn finish(gateway: &Gateway, answered: Answered, passing: Passing, peer: &Peer) -> Response<Answer> {
    let Passing { mut flight, upload, upgrade, end, turn } = passing;
    let Answered { mut response, link, endpoint } = answered;
    let label = flight.arm().label.clone();
    let becomes = response.headers().get(UPGRADE).cloned();
    headers::clean(response.headers_mut());
    response.headers_mut().insert(gateway.marks.version.clone(), label);
    *response.version_mut() = Version::HTTP_11;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        flight.answered(response.status().is_server_error());
        let link = Some((link, endpoint, Arc::clone(&gateway.dialer)));
        let patience = Patience::new(gateway.settings.waits.idle, end);
        return response.map(|inner| Answer::passed(Stream { inner, flight, link, upload, patience }, turn));
    }
    let (Some(user), Some(protocol)) = (upgrade, becomes) else {
        // An upstream that switches without being asked speaks something else.
        endpoint.health.strike(&gateway.settings.health, "it switched protocols without being asked");
        return failed(gateway, flight, &Failure::Broken, turn);
    };
    flight.answered(false);
    flight.end(End::Whole);
    let upstream = hyper::upgrade::on(&mut response);
    tunnel::join(user, upstream, (flight, turn), peer.phase.clone());
    tunnel::mark(response.headers_mut(), protocol);
    response.map(|_| Answer::held(bytes::Bytes::new(), None))
}

/// Answers in place of a version that did not.
fn failed(gateway: &Gateway, mut flight: Flight, failure: &Failure, turn: Option<Turn>) -> Response<Answer> {
    let (problem, end) = match failure {
        Failure::Unsent(_, Unsent::Nobody) => (Problem::Unavailable, End::Failed),
        Failure::Unsent(_, Unsent::Late) | Failure::Late => (Problem::Late, End::Failed),
        Failure::Unsent(_, Unsent::Refused) | Failure::Broken => (Problem::BadGateway, End::Failed),
        Failure::User(Progress::TooLong) => (Problem::TooLong, End::Client),
        Failure::User(Progress::Stalled) => (Problem::Stalled, End::Client),
        Failure::User(_) => (Problem::Broken, End::Client),
    };
    flight.end(end);
    let mut response = problem.answer(turn);
    response.headers_mut().insert(gateway.marks.version.clone(), flight.arm().label.clone());
    response
}
