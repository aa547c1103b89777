//! Whoever is told over HTTP: a webhook that takes `kf.alert/1`, Slack, PagerDuty. One request each, whose body is the receiver's own.
//!
//! The address of a webhook is a secret, as is the key that PagerDuty takes in the body: neither comes up in an error, also when
//! the receiver repeats it. A request that is refused for now is sent up to three times within the time that telling may take.

use super::http::{Http, Policy, Refused, Request, Response};
use crate::base::error::{Error, Result};
use crate::base::quantity::Bytes;
use crate::base::random::Random;
use crate::base::text::ellipsis;
use crate::base::time::Timestamp;
use crate::config::secret::Secret;
use crate::domain::alert::webhook::{document, key, signature};
use crate::domain::alert::{pagerduty, slack};
use crate::seams::notifier::{Message, Notifier, Told};
use crate::store::runtime::block_on;
use reqwest::Method;
use ring::hmac;
use std::time::Duration;
use url::Url;

/// Somebody who is told over HTTP.
#[derive(Debug)]
pub struct Webhook {
    http: Http,
    request: Request,
    body: Body,
    limit: Duration,
}

#[derive(Debug)]
enum Body {
    Document(Option<hmac::Key>),
    Slack,
    PagerDuty(Secret),
}

/// How much of an answer is told, in characters.
const ANSWER_MAX: usize = 200;
/// How long the words of a receiver that has taken a message are waited for.
const BODY_WAIT: Duration = Duration::from_secs(1);

/// The address of `what` in a secret, which is in no message, not even when it is none.
fn address(what: &str, text: &str) -> Result<Url> {
    let hint = "write the whole address, with `https://`";
    let url: Url = text.trim().parse().map_err(|e| Error::new(format!("the address of {what} is none: {e}")).hint(hint))?;
    match url.scheme() {
        "https" | "http" => Ok(url),
        _ => Err(Error::new(format!("the address of {what} is not one of the web")).hint(hint)),
    }
}

impl Webhook {
    /// A webhook that takes `kf.alert/1`; `secret` is what its messages are signed with.
    ///
    /// # Errors
    /// When a secret holds no address or no key, or TLS cannot be set up; as for all below.
    pub fn document(what: &str, url: &Secret, secret: Option<&Secret>, limit: Duration) -> Result<Self> {
        let key = secret.map(|secret| key(secret.expose())).transpose()?;
        Self::new(Request::new(Method::POST, address(what, url.expose())?).secret_path(), Body::Document(key), limit)
    }

    /// An incoming webhook of Slack.
    pub fn slack(what: &str, url: &Secret, limit: Duration) -> Result<Self> {
        Self::new(Request::new(Method::POST, address(what, url.expose())?).secret_path(), Body::Slack, limit)
    }

    /// An integration of PagerDuty; `url` is where events go.
    pub fn pagerduty(what: &str, url: &str, routing_key: &Secret, limit: Duration) -> Result<Self> {
        let routing_key = Secret::new(routing_key.expose().trim().to_owned());
        let length = routing_key.expose().chars().count();
        if length != pagerduty::ROUTING_KEY {
            return Err(Error::new(format!("the routing key of {what} has {length} characters, not {}", pagerduty::ROUTING_KEY))
                .hint("copy the integration key of an Events API v2 integration of the service"));
        }
        let request = Request::new(Method::POST, address(what, url)?).secret_path().hide(&routing_key);
        Self::new(request, Body::PagerDuty(routing_key), limit)
    }

    fn new(request: Request, body: Body, limit: Duration) -> Result<Self> {
        let policy = Policy {
            attempts: 3,
            longest_wait: limit / 2,
            timeout: limit,
            body_max: Bytes(64 << 10),
            body_wait: Some(BODY_WAIT.min(limit / 4)),
            ..Policy::default()
        };
        Ok(Self { http: Http::new(policy, Random::System)?, request, body, limit })
    }

    fn request(&self, message: &Message, now: Timestamp) -> Result<Request> {
        let request = self.request.clone();
        let key = match &self.body {
            Body::Slack => return Ok(request.json(&slack::payload(message))),
            Body::PagerDuty(routing_key) => return Ok(request.json(&pagerduty::event(message, routing_key.expose()))),
            Body::Document(key) => key,
        };
        let body = document(message);
        let seconds = now.micros().div_euclid(1_000_000);
        let request = request.header("webhook-id", &message.id)?.header("webhook-timestamp", &seconds.to_string())?;
        let request = match key {
            Some(key) => {
                request.header("webhook-signature", &signature(key, &message.id, seconds, body.to_string().as_bytes()))?
            }
            None => request,
        };
        Ok(request.json(&body))
    }

    fn send(&self, request: &Request) -> Result<Response> {
        let sent = block_on(async { tokio::time::timeout(self.limit, self.http.send(request)).await })?;
        sent.map_err(|_| Error::new(format!("{request:?}: it was not taken within {} s", self.limit.as_secs_f64())))?
    }
}

/// Whether the receiver, or who stands before it, may take the message later: the time that it took to come (408), its turn (425),
/// and whatever is wrong on their side, such as a proxy's 520 to 530.
fn is_for_now(refused: &Refused) -> bool {
    refused.is_temporary() || matches!(refused.status, 408 | 425 | 500..)
}

impl Notifier for Webhook {
    fn tell(&self, message: &Message, now: Timestamp) -> Told {
        let request = match self.request(message, now) {
            Ok(request) => request,
            Err(e) => return Told::Refused(e),
        };
        match self.send(&request) {
            Ok(answer) => {
                let said = request.redacted(&String::from_utf8_lossy(&answer.body));
                Told::Taken(ellipsis(format!("status {} {}", answer.status, said.trim()).trim(), ANSWER_MAX))
            }
            Err(e) => match e.cause::<Refused>().map(|refused| (is_for_now(refused), refused.retry_after)) {
                Some((false, _)) => Told::Refused(e),
                asked => Told::Missed(e, asked.and_then(|(_, asked)| asked)),
            },
        }
    }
}
