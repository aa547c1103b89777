//! Connections that stop being HTTP: WebSockets and whatever else a client upgrades to.
//!
//! The upgrade is the request: it is counted when the upstream has agreed, with the time until then; what flows afterwards has no
//! limit of time. `h2c` is not passed on, because the requests inside would go by unseen.

use super::headers::has_token;
use super::inbound::Turn;
use super::server::Phase;
use super::tally::Flight;
use hyper::header::{CONNECTION, CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING, UPGRADE};
use hyper::http::request::Parts;
use hyper::upgrade::OnUpgrade;
use hyper::{HeaderMap, Version};
use hyper_util::rt::TokioIo;
use tokio::sync::watch;

/// What a request wants to become; `None` when it stays HTTP.
pub(super) fn wanted(parts: &Parts) -> Option<HeaderValue> {
    let mut all = parts.headers.get_all(UPGRADE).iter();
    let (protocol, None) = (all.next()?, all.next()) else { return None };
    let name = protocol.to_str().ok()?.trim().to_ascii_lowercase();
    let other = !name.is_empty()
        && !name.contains(',')
        && !name.starts_with("h2")
        && !name.starts_with("http")
        && !name.starts_with("tls");
    let bodiless = !parts.headers.contains_key(TRANSFER_ENCODING)
        && parts.headers.get(CONTENT_LENGTH).is_none_or(|length| length.as_bytes() == b"0");
    let meant = parts.version == Version::HTTP_11 && has_token(&parts.headers, &CONNECTION, "upgrade");
    (other && bodiless && meant).then(|| protocol.clone())
}

/// Marks a head as one that upgrades.
pub(super) fn mark(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol);
}

/// Carries bytes both ways until one side ends, or the gateway does. The user's turn lasts as long: no head comes any more.
pub(super) fn join(user: OnUpgrade, upstream: OnUpgrade, held: (Flight, Option<Turn>), mut phase: watch::Receiver<Phase>) {
    tokio::spawn(async move {
        let carried = async {
            let (user, upstream) = (user.await.ok()?, upstream.await.ok()?);
            tokio::io::copy_bidirectional(&mut TokioIo::new(user), &mut TokioIo::new(upstream)).await.ok()
        };
        let ended = async { drop(phase.wait_for(|phase| *phase == Phase::Ended).await) };
        futures_util::future::select(std::pin::pin!(carried), std::pin::pin!(ended)).await;
        drop(held);
    });
}
