//! Language models over HTTP: Anthropic's Messages API and the `/chat/completions` of OpenAI and most servers.
//!
//! What both share is here: at most so many requests at a time, their pace, what is sent again and what is not, and what an
//! answer must be to count. What differs (addresses, headers, bodies, words for how an answer ended) is in `anthropic` and
//! `openai`. An answer that was cut, that refuses, that is empty or not in its form is a failure with its reason and its cost.

mod anthropic;
mod openai;
mod reply;

use crate::adapters::http::{self, Http, Pace, Policy, Refused};
use crate::base::error::Result;
use crate::base::quantity::{PicoUsd, TokenPrice};
use crate::base::random::Random;
use crate::base::text::ellipsis;
use crate::config::secret::Secret;
use crate::config::{Llm, LlmProvider};
use crate::seams::answerer::Tokens;
use crate::seams::model::{About, Completion, Done, Failure, FailureKind, Model, Outcome, Request};
use crate::store::runtime::runtime;
use reply::Reply;
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// How much of a service's own words a reason repeats.
const SAID_MAX: usize = 300;

/// How one provider is asked and read.
trait Protocol: Send + Sync {
    /// Where requests are posted, below the base address.
    fn url(&self, base: &str) -> String;

    /// Puts the key where the service looks for it.
    fn key(&self, request: http::Request, key: &Secret) -> Result<http::Request>;

    /// Headers that every request has.
    fn headers(&self, request: http::Request) -> Result<http::Request>;

    /// The body, as the service takes it.
    fn body(&self, model: &str, request: &Request) -> Value;

    /// What an answer of status 200 says.
    ///
    /// # Errors
    /// When it is not in the form that is published.
    fn read(&self, request: &Request, body: &Value) -> Result<Reply, String>;

    /// Learns from a refusal of status 400 or 422; true when the same request may pass when it is written anew.
    fn learn(&self, said: &str, request: &Request) -> bool;

    /// The message of an error, taken out of its body.
    fn message(&self, body: &Value) -> Option<String>;
}

/// Whom a model of `mlops.toml` names; nothing is opened, and no key is needed.
pub fn about(settings: &Llm) -> About {
    About {
        provider: settings.provider.word().to_owned(),
        endpoint: protocol(settings.provider).url(settings.base_url.trim_end_matches('/')),
        model: settings.model.clone(),
        concurrency: usize::try_from(settings.concurrency).unwrap_or(1).max(1),
    }
}

fn protocol(provider: LlmProvider) -> Box<dyn Protocol> {
    match provider {
        LlmProvider::Anthropic => Box::new(anthropic::Anthropic::default()),
        LlmProvider::OpenAi => Box::new(openai::OpenAi::default()),
    }
}

/// A language model of a service.
#[derive(Clone)]
pub struct Endpoint {
    inner: Arc<Inner>,
}

struct Inner {
    http: Http,
    pace: Pace,
    turns: Arc<Semaphore>,
    request: http::Request,
    protocol: Box<dyn Protocol>,
    about: About,
    prices: (Option<TokenPrice>, Option<TokenPrice>),
}

impl Endpoint {
    /// The model that `mlops.toml` names; it is not asked yet.
    ///
    /// # Errors
    /// When TLS cannot be set up or the key cannot be sent.
    pub fn new(settings: &Llm, key: Option<&Secret>, random: Random) -> Result<Self> {
        let attempts = settings.max_retries.saturating_add(1);
        let http = Http::new(Policy { attempts, timeout: settings.timeout, ..Policy::default() }, random)?;
        Self::with(http, settings, key)
    }

    fn with(http: Http, settings: &Llm, key: Option<&Secret>) -> Result<Self> {
        let (protocol, about) = (protocol(settings.provider), about(settings));
        let mut request = protocol.headers(http::Request::post(&about.endpoint)?.timeout(settings.timeout))?;
        if let Some(key) = key {
            request = protocol.key(request, &Secret::new(key.expose().trim().to_owned()))?;
        }
        Ok(Self {
            inner: Arc::new(Inner {
                http,
                pace: Pace::per_minute(settings.rpm),
                turns: Arc::new(Semaphore::new(about.concurrency)),
                request,
                protocol,
                about,
                prices: (settings.price_input, settings.price_output),
            }),
        })
    }
}

impl Model for Endpoint {
    fn about(&self) -> &About {
        &self.inner.about
    }

    fn cost(&self, tokens: Tokens) -> Option<PicoUsd> {
        self.inner.cost(tokens)
    }

    fn begin(&self, request: Request, done: Done) -> Result<()> {
        let inner = Arc::clone(&self.inner);
        runtime()?.spawn(async move {
            // It is never closed, so a turn always comes.
            let turn = Arc::clone(&inner.turns).acquire_owned().await;
            let outcome = inner.ask(&request).await;
            drop(turn);
            done(outcome);
        });
        Ok(())
    }
}

impl Inner {
    fn cost(&self, tokens: Tokens) -> Option<PicoUsd> {
        let (input, output) = (self.prices.0?.of(tokens.input?), self.prices.1?.of(tokens.output?));
        Some(input.and(output))
    }

    async fn ask(&self, request: &Request) -> Outcome {
        loop {
            let body = self.protocol.body(&self.about.model, request);
            match self.http.send_at(&self.pace, &self.request.clone().json(&body)).await {
                Ok(response) => return self.read(request, &response),
                Err(e) => {
                    let said = e.cause::<Refused>().filter(|r| matches!(r.status, 400 | 422)).map(ToString::to_string);
                    if said.is_some_and(|said| self.protocol.learn(&said, request)) {
                        continue;
                    }
                    return Err(self.failure(&e));
                }
            }
        }
    }

    /// What an answer of status 200 comes to. What a service says is redacted before anything of it is cut.
    fn read(&self, request: &Request, response: &http::Response) -> Outcome {
        let redacted = |text: &str| self.request.redacted(text);
        let failure = |kind, reason: String| {
            Failure::new(kind, format!("{}: {}", self.about.model, ellipsis(&redacted(&reason), SAID_MAX)))
        };
        let kind = response.headers.get("content-type").and_then(|v| v.to_str().ok()).unwrap_or("application/json");
        if !kind.to_ascii_lowercase().contains("json") {
            let said = redacted(&String::from_utf8_lossy(&response.body));
            let reason = format!("the answer is {}, not JSON: {}", ellipsis(&redacted(kind), 40), ellipsis(said.trim(), 80));
            return Err(failure(FailureKind::Malformed, reason));
        }
        let body: Value = serde_json::from_slice(&response.body)
            .map_err(|e| failure(FailureKind::Malformed, format!("the answer is not JSON: {e}")))?;
        let body = self.request.without_keys(body);
        let reply = self.protocol.read(request, &body).map_err(|why| failure(FailureKind::Malformed, why))?;
        let (tokens, cost) = (reply.tokens, self.cost(reply.tokens));
        let content = reply.content(request, &redacted).map_err(|(kind, why)| Failure { tokens, cost, ..failure(kind, why) })?;
        Ok(Completion {
            content,
            model: reply.model.unwrap_or_else(|| self.about.model.clone()),
            fingerprint: reply.fingerprint,
            stop: reply.stop,
            tokens,
            cost,
            latency_ms: response.elapsed.as_secs_f64() * 1e3,
            cached: false,
        })
    }

    /// What an error of the client is here. Its text has no secret: the client keeps those out.
    fn failure(&self, e: &crate::base::error::Error) -> Failure {
        let refused = e.cause::<Refused>();
        let kind = match refused.map(|r| r.status) {
            None => FailureKind::Unavailable,
            Some(status) if refused.is_some_and(Refused::is_temporary) || status == 408 => FailureKind::Unavailable,
            Some(401..=405) => FailureKind::Misconfigured,
            Some(_) => FailureKind::Rejected,
        };
        let words = e.chain().join(": ");
        // The body of a refusal is JSON with one sentence for a person in it.
        let plain = refused.and_then(|r| {
            let said = r.to_string();
            let object: Value = serde_json::from_str(&said[said.find('{')?..]).ok()?;
            // What JSON writes in another way is found now.
            let message = self.request.redacted(&self.protocol.message(&object)?);
            Some(format!("status {}: {}", r.status, ellipsis(&message, SAID_MAX)))
        });
        let reason = plain.map_or_else(
            || ellipsis(&words, SAID_MAX),
            |plain| match words.split_once(": POST") {
                Some((tries, _)) => format!("{tries}: {plain}"),
                None => plain,
            },
        );
        let hint = match kind {
            FailureKind::Misconfigured => {
                Some("check `provider`, `base-url`, `model` and `api-key` of this model in mlops.toml".into())
            }
            _ => e.hints().first().cloned(),
        };
        Failure { hint, ..Failure::new(kind, format!("{}: {reason}", self.about.model)) }
    }
}

#[cfg(test)]
mod tests;
