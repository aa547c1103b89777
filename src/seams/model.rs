//! A language model: the one seam between kf and whatever completes a conversation.
//!
//! Invariants of every implementation: a request that was begun is answered exactly once, from a thread of the implementation's
//! own; how many are under way is bounded inside, so that anybody may begin as many as they like; a completion is whole (it was
//! neither cut nor refused, and it is an object where one was asked for), and everything else is a [`Failure`] with its reason,
//! never an empty or a half text. No key is in any reason. Money is exact: tokens times a price in whole trillionths of a dollar.

use crate::base::canonical;
use crate::base::digest::Digest;
use crate::base::error::{Context, Error, Kind, Result};
use crate::base::name::words;
use crate::base::quantity::PicoUsd;
use crate::seams::answerer::Tokens;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fmt;
use std::sync::mpsc::channel;

words! {
    /// Who says a message of a conversation.
    Role, "role" {
        /// Who asks.
        User = "user",
        /// The model.
        Assistant = "assistant",
    }
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    /// Who says it.
    pub role: Role,
    /// What is said.
    pub text: String,
}

impl Message {
    /// Something asked.
    pub fn user(text: impl Into<String>) -> Self {
        Self { role: Role::User, text: text.into() }
    }

    /// Something that the model said before.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self { role: Role::Assistant, text: text.into() }
    }
}

/// The form of an answer that is to be data: one JSON object.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Shape {
    /// A name for it in letters, digits, `_` and `-`.
    pub name: String,
    /// Its JSON Schema, of an object in which every property is required and no other is allowed, as OpenAI's strict mode wants.
    pub schema: Value,
}

/// What a model is asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Request {
    /// What it is to be; not part of the conversation.
    pub system: Option<String>,
    /// The conversation, which ends with the user.
    pub messages: Vec<Message>,
    /// Tokens that the answer may have; more are cut off, which is a failure.
    pub max_tokens: u32,
    /// How freely words are drawn; `None` leaves it to the service.
    pub temperature: Option<f64>,
    /// For services that can draw the same again.
    pub seed: Option<u64>,
    /// The form of the answer when it is to be data; text otherwise.
    pub shape: Option<Shape>,
    /// Which of several answers to the same request it is, from 0. It is not sent; it keeps repeats apart.
    pub sample: u32,
    /// The version of the prompt that made it. It is not sent either.
    pub prompt_version: String,
}

impl Request {
    /// One question to a model that is told what it is.
    pub fn ask(system: impl Into<String>, question: impl Into<String>, max_tokens: u32) -> Self {
        Self { system: Some(system.into()), messages: vec![Message::user(question)], max_tokens, ..Self::default() }
    }

    /// What makes two requests of the same model the same: all of it.
    ///
    /// # Errors
    /// When a number in it is not finite.
    pub fn digest(&self) -> Result<Digest> {
        // Numbers with a fraction have no canonical form, so the temperature is its text.
        let mut whole = serde_json::to_value(self).context(|| "a request cannot be written")?;
        whole["temperature"] = json!(self.temperature.map(|t| t.to_string()));
        let text = canonical::to_string(&whole).context(|| "a request has no canonical form")?;
        Ok(Digest::of(text.as_bytes()))
    }
}

/// Whom a request goes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct About {
    /// The protocol: `anthropic` or `openai`.
    pub provider: String,
    /// The address, without anything secret.
    pub endpoint: String,
    /// The model, as it is asked for.
    pub model: String,
    /// Requests that are sent at a time; at least 1. Of more, the rest waits.
    #[serde(skip)]
    pub concurrency: usize,
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.model)
    }
}

/// What was said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    /// Words.
    Text(String),
    /// The object that was asked for by a [`Shape`]; whether it fits the schema is for the reader to see.
    Json(Value),
}

impl Content {
    /// What was said as text; data as JSON.
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Json(value) => value.to_string(),
        }
    }
}

/// A whole answer. `None` is unknown, which is not zero.
#[derive(Clone, Debug, PartialEq)]
pub struct Completion {
    /// What was said.
    pub content: Content,
    /// The model that answered, as the service says.
    pub model: String,
    /// The service's own mark of what computed it (`system_fingerprint`), where there is one.
    pub fingerprint: Option<String>,
    /// Why it ended, in the service's word.
    pub stop: String,
    /// Tokens used.
    pub tokens: Tokens,
    /// What it cost, when the price is known.
    pub cost: Option<PicoUsd>,
    /// From the request that brought it to its last byte, without waits and attempts before, in milliseconds.
    pub latency_ms: f64,
    /// True when nobody was asked now: time and cost are those of the first time.
    pub cached: bool,
}

words! {
    /// What kind of failure it is.
    FailureKind, "kind of failure" {
        /// The answer was cut off at its limit of tokens.
        Truncated = "truncated",
        /// The model or the service declined to answer.
        Refused = "refused",
        /// The answer has nothing in it.
        Empty = "empty",
        /// The answer is not what the protocol or the shape says.
        Malformed = "malformed",
        /// The service was not reached, was too slow, broke off, or has too much to do.
        Unavailable = "unavailable",
        /// The service does not take this request: the next one may pass.
        Rejected = "rejected",
        /// The service takes none of them: a wrong key, a model or an address that is not there.
        Misconfigured = "misconfigured",
        /// Nobody was asked, because nobody may be.
        NotAsked = "not-asked",
    }
}

impl FailureKind {
    /// True when the model answered, and was paid for it, though nobody can use what it said.
    pub fn is_answered(self) -> bool {
        matches!(self, Self::Truncated | Self::Refused | Self::Empty | Self::Malformed)
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// What kind of failure it is.
    pub kind: FailureKind,
    /// Why, for a person; without secrets.
    pub reason: String,
    /// What to type next, where there is something.
    pub hint: Option<String>,
    /// Tokens that it took all the same.
    pub tokens: Tokens,
    /// What it cost all the same, when that is known.
    pub cost: Option<PicoUsd>,
}

impl Failure {
    /// A failure that cost nothing.
    pub fn new(kind: FailureKind, reason: impl Into<String>) -> Self {
        Self { kind, reason: reason.into(), hint: None, tokens: Tokens::default(), cost: None }
    }

    /// What it cost; `None` when that is not known. One that nobody answered is taken to have cost nothing.
    pub fn paid(&self) -> Option<PicoUsd> {
        let answered = self.kind.is_answered() || self.tokens.output.is_some();
        if answered { self.cost } else { Some(self.cost.unwrap_or_default()) }
    }

    /// As an error of kf, for who asks once.
    pub fn into_error(self) -> Error {
        let error = Error::new(self.reason);
        self.hint.into_iter().fold(error, Error::hint)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

/// What becomes of a request.
pub type Outcome = Result<Completion, Failure>;

/// Takes the outcome of one request.
pub type Done = Box<dyn FnOnce(Outcome) + Send>;

/// What completes conversations.
pub trait Model: Send + Sync {
    /// Whom it asks.
    fn about(&self) -> &About;

    /// What so many tokens in and out cost, when the prices are known.
    fn cost(&self, tokens: Tokens) -> Option<PicoUsd>;

    /// Begins a request; `done` gets its outcome, once, on another thread, and must not wait for anything there.
    ///
    /// # Errors
    /// When the system gives no threads; `done` is not called then.
    fn begin(&self, request: Request, done: Done) -> Result<()>;

    /// Asks and waits.
    ///
    /// # Errors
    /// As [`Model::begin`]; trouble with the request is its outcome.
    fn complete(&self, request: Request) -> Result<Outcome> {
        let (sender, receiver) = channel();
        self.begin(request, Box::new(move |outcome| drop(sender.send(outcome))))?;
        receiver.recv().map_err(|_| Error::of(Kind::Bug, "a request to a model was never answered"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_the_same_only_when_all_of_it_is() {
        let base = Request::ask("You judge.", "Is it so?", 100);
        let digest = |change: &dyn Fn(&mut Request)| {
            let mut other = base.clone();
            change(&mut other);
            other.digest().expect("a digest")
        };
        let shape = |name: &str| Some(Shape { name: name.into(), schema: json!({"type": "object"}) });
        let all = [
            digest(&|_| {}),
            digest(&|r| r.system = None),
            digest(&|r| r.messages.push(Message::assistant("No."))),
            digest(&|r| r.messages[0].role = Role::Assistant),
            digest(&|r| r.max_tokens = 101),
            digest(&|r| r.temperature = Some(0.0)),
            digest(&|r| r.temperature = Some(0.3)),
            digest(&|r| r.seed = Some(0)),
            digest(&|r| r.shape = shape("a")),
            digest(&|r| r.shape = shape("b")),
            digest(&|r| r.sample = 1),
            digest(&|r| r.prompt_version = "2".into()),
        ];
        let distinct: std::collections::BTreeSet<String> = all.iter().map(ToString::to_string).collect();
        assert_eq!(distinct.len(), all.len());
        assert_eq!(all[0], base.clone().digest().expect("a digest"));
    }
}
