//! Language models that answer the prompts of a suite: `[llm]` of `mlops.toml`, or one that the suite names as promptfoo does.
//!
//! What was answered is kept as answers of judges are, under the service, the model and the whole request; what failed is not. A key is
//! named and never written, and it goes to the address of its maker alone unless the suite names it for another.

use super::Models;
use super::provider::{Call, Each, Provider};
use crate::base::error::{Error, Kind, Result};
use crate::base::quantity::{PicoUsd, TokenPrice};
use crate::base::text::{did_you_mean, ellipsis};
use crate::config::{self, Llm, LlmProvider, SecretRef};
use crate::domain::prompt::book::Rendered;
use crate::release::judging::Cached;
use crate::seams::answerer::{Answer, Kept};
use crate::seams::model::{Completion, FailureKind, Message, Model, Outcome, Request};
use serde_json::{Map, Value};
use std::cell::{Cell, RefCell};
use std::sync::mpsc::channel;
use std::time::Duration;

/// What a suite may say of a model: promptfoo's words, and those of `[llm]` that it has none for.
const KEYS: &[&str] = &[
    "apiBaseUrl",
    "apiKey",
    "apiKeyEnvar",
    "concurrency",
    "max-retries",
    "max_tokens",
    "price-input",
    "price-output",
    "seed",
    "temperature",
    "timeout",
];

/// Kinds of OpenAI's interface at promptfoo that are not chat completions.
const OTHER_KINDS: &[&str] = &[
    "agents",
    "assistant",
    "chatkit",
    "codex-sdk",
    "completion",
    "embedding",
    "embeddings",
    "image",
    "moderation",
    "realtime",
    "responses",
    "transcription",
    "video",
];

/// The model that an id names; `None` when it names none that kf can ask.
pub(super) fn named(id: &str) -> Option<(LlmProvider, &str)> {
    let model = |text: &str| !text.trim().is_empty();
    if let Some(name) = id.strip_prefix("anthropic:messages:") {
        return Some((LlmProvider::Anthropic, name)).filter(|(_, name)| model(name));
    }
    let rest = id.strip_prefix("openai:")?;
    if let Some(name) = rest.strip_prefix("chat:") {
        return Some((LlmProvider::OpenAi, name)).filter(|(_, name)| model(name));
    }
    let kind = rest.split(':').next().unwrap_or_default();
    Some((LlmProvider::OpenAi, rest)).filter(|(_, name)| model(name) && !OTHER_KINDS.contains(&kind))
}

/// Reads what a suite says of a model.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read((provider, model): (LlmProvider, &str), config: &Map<String, Value>) -> Result<Llm, String> {
    if let Some(odd) = config.keys().find(|key| !KEYS.contains(&key.as_str())) {
        let hint = did_you_mean(odd, KEYS.iter().copied()).unwrap_or_default();
        return Err(format!("`{}` is not said of a language model; {hint}", ellipsis(odd, 40)));
    }
    let base = match config.get("apiBaseUrl") {
        None => None,
        Some(value) => Some(value.as_str().filter(|url| is_address(url)).ok_or_else(|| {
            format!("`apiBaseUrl` is an address such as `http://localhost:11434/v1`, and this is {}", shown(value))
        })?),
    };
    let home = match provider {
        LlmProvider::Anthropic => "https://api.anthropic.com",
        LlmProvider::OpenAi => "https://api.openai.com/v1",
    };
    let temperature = match config.get("temperature") {
        None => 0.0,
        Some(value) => value.as_f64().filter(|t| (0.0..=2.0).contains(t)).ok_or("`temperature` is a number from 0 to 2")?,
    };
    let timeout = match config.get("timeout") {
        None => Duration::from_secs(120),
        Some(Value::String(text)) => config::duration(text)?,
        Some(value) => Duration::from_millis(value.as_u64().ok_or("`timeout` is a duration such as `30s`, or milliseconds")?),
    };
    if timeout.is_zero() {
        return Err("`timeout` must not be zero".to_owned());
    }
    Ok(Llm {
        provider,
        base_url: base.unwrap_or(home).to_owned(),
        model: model.trim().to_owned(),
        api_key: key(provider, base.is_some(), config)?,
        timeout,
        concurrency: whole(config, "concurrency", 1..=64)?.unwrap_or(4),
        max_retries: whole(config, "max-retries", 0..=20)?.unwrap_or(5),
        rpm: None,
        max_tokens: whole(config, "max_tokens", 1..=1_000_000)?.unwrap_or(4_096),
        temperature,
        seed: whole(config, "seed", 0..=u32::MAX)?,
        price_input: price(config, "price-input")?,
        price_output: price(config, "price-output")?,
    })
}

fn is_address(url: &str) -> bool {
    (url.starts_with("https://") || url.starts_with("http://")) && !url.contains(['@', '?', '#', ' '])
}

fn shown(value: &Value) -> String {
    ellipsis(&value.to_string(), 60)
}

fn whole(config: &Map<String, Value>, key: &str, range: std::ops::RangeInclusive<u32>) -> Result<Option<u32>, String> {
    let Some(value) = config.get(key) else { return Ok(None) };
    let number = value.as_u64().and_then(|n| u32::try_from(n).ok()).filter(|n| range.contains(n));
    number
        .map(Some)
        .ok_or_else(|| format!("`{key}` is a number from {} to {}, and this is {}", range.start(), range.end(), shown(value)))
}

fn price(config: &Map<String, Value>, key: &str) -> Result<Option<TokenPrice>, String> {
    let Some(value) = config.get(key) else { return Ok(None) };
    let price = Some(value).filter(|v| v.is_number()).and_then(|v| TokenPrice::parse(&v.to_string()));
    price
        .map(Some)
        .ok_or_else(|| format!("`{key}` is US dollars for a million tokens, at most six decimals, and this is {}", shown(value)))
}

/// Which key is sent: the one that the suite names, or at its maker's own address the one that promptfoo takes.
fn key(provider: LlmProvider, elsewhere: bool, config: &Map<String, Value>) -> Result<Option<SecretRef>, String> {
    let named = |name: &str| {
        format!("env:{name}").parse().map_err(|_| format!("`{}` is no name of an environment variable", ellipsis(name, 40)))
    };
    match (config.get("apiKeyEnvar"), config.get("apiKey")) {
        (Some(_), Some(_)) => Err("`apiKey` and `apiKeyEnvar` mean the same; keep one of them".to_owned()),
        (Some(Value::String(name)), None) => named(name).map(Some),
        (Some(_), None) => Err("`apiKeyEnvar` is the name of an environment variable".to_owned()),
        (None, Some(Value::String(text))) => {
            let inside = text.trim().strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}")).map(str::trim);
            match (inside.and_then(|name| name.strip_prefix("env.")), text.parse()) {
                (Some(name), _) => named(name).map(Some),
                (None, Ok(reference)) => Ok(Some(reference)),
                // What stands there may be a key, so it is not repeated.
                (None, Err(_)) => {
                    Err("`apiKey` names a key and never is one: write `env:NAME`, `{{env.NAME}}` or `file:PATH`".to_owned())
                }
            }
        }
        (None, Some(_)) => Err("`apiKey` names a key: write `env:NAME`".to_owned()),
        (None, None) if elsewhere => Ok(None),
        (None, None) => named(match provider {
            LlmProvider::Anthropic => "ANTHROPIC_API_KEY",
            LlmProvider::OpenAi => "OPENAI_API_KEY",
        })
        .map(Some),
    }
}

/// What may be spent in a run of a suite, and what it took.
#[derive(Debug, Default)]
pub struct Purse {
    most: Option<PicoUsd>,
    spent: Cell<Option<PicoUsd>>,
    asked: Cell<usize>,
    kept: Cell<usize>,
    stopped: Cell<bool>,
}

impl Purse {
    /// A purse that holds so much, or as much as there is.
    pub fn new(most: Option<PicoUsd>) -> Self {
        Self { most, spent: Cell::new(Some(PicoUsd(0))), ..Self::default() }
    }

    /// The limit, where there is one.
    pub fn limit(&self) -> Option<PicoUsd> {
        self.most
    }

    /// What is left of the limit.
    pub(super) fn left(&self) -> Option<PicoUsd> {
        self.most.map(|most| PicoUsd(self.spent.get().map_or(0, |spent| most.0.saturating_sub(spent.0).max(0))))
    }

    /// True when nothing may be asked for any more; it is remembered that this was so.
    pub(super) fn is_empty(&self) -> bool {
        let empty = self.left().is_some_and(|left| left.0 == 0);
        self.stopped.set(self.stopped.get() || empty);
        empty
    }

    pub(super) fn pay(&self, requests: usize, cost: Option<PicoUsd>) {
        self.asked.set(self.asked.get() + requests);
        self.spent.set(self.spent.get().zip(cost).map(|(sum, cost)| sum.and(cost)));
    }

    pub(super) fn stop(&self) {
        self.stopped.set(true);
    }

    pub(super) fn keep(&self, answers: usize) {
        self.kept.set(self.kept.get() + answers);
    }

    /// Requests that were sent, answers that were there already, what was spent now where every price is known, and whether it ended there.
    pub fn took(&self) -> (usize, usize, Option<PicoUsd>, bool) {
        (self.asked.get(), self.kept.get(), self.spent.get(), self.stopped.get())
    }
}

/// Why there is no answer after the limit of cost was reached.
const STOPPED: &str = "nobody was asked, because `--max-cost` was reached";

/// A language model that answers.
pub(super) struct Language<'p> {
    model: Box<dyn Model>,
    settings: Llm,
    cache: Cached,
    purse: &'p Purse,
}

impl<'p> Language<'p> {
    pub(super) fn new(settings: &Llm, models: &'p Models<'_>) -> Result<Self> {
        let cache = (models.cache)()?;
        let mut made = (models.make)(std::slice::from_ref(settings), !cache.is_all())?;
        if models.purse.limit().is_some() {
            crate::release::judging::priced(&made)?;
        }
        let model = made.pop().ok_or_else(|| Error::of(Kind::Bug, "a language model was not made"))?;
        Ok(Self { model, settings: settings.clone(), cache, purse: &models.purse })
    }

    fn request(&self, rendered: &Rendered) -> Result<Request, String> {
        let mut request = Request {
            max_tokens: self.settings.max_tokens,
            temperature: Some(self.settings.temperature),
            seed: self.settings.seed.map(u64::from),
            ..Request::default()
        };
        match rendered {
            Rendered::Text(text) => request.messages.push(Message::user(text.clone())),
            Rendered::Chat(messages) => {
                for message in messages.as_array().into_iter().flatten() {
                    let text =
                        message["content"].as_str().ok_or("a message of the prompt is no text, and a model is sent texts")?;
                    match message["role"].as_str().unwrap_or("user") {
                        "system" | "developer" => {
                            let before = request.system.take().map_or_else(String::new, |before| format!("{before}\n\n"));
                            request.system = Some(before + text);
                        }
                        "assistant" => request.messages.push(Message::assistant(text)),
                        _ => request.messages.push(Message::user(text)),
                    }
                }
            }
        }
        if request.messages.iter().all(|message| message.text.trim().is_empty()) {
            return Err("the prompt is empty".to_owned());
        }
        Ok(request)
    }

    /// One that was answered, or failed after it was sent.
    fn take(&self, digest: &crate::base::digest::Digest, outcome: Outcome) -> Result<Result<Answer, String>> {
        match outcome {
            Ok(completion) => {
                self.cache.keep(self.model.about(), digest, &completion)?;
                self.purse.pay(1, completion.cost);
                Ok(Ok(said(completion, None)))
            }
            Err(failure) if failure.kind == FailureKind::Misconfigured => Err(failure.into_error()),
            Err(failure) => {
                self.purse.pay(1, failure.paid());
                Ok(Err(failure.reason))
            }
        }
    }
}

fn said(completion: Completion, kept: Option<Kept>) -> Answer {
    Answer {
        text: completion.content.text(),
        latency_ms: Some(completion.latency_ms),
        cost: completion.cost.map(PicoUsd::micro),
        tokens: completion.tokens,
        kept,
        ..Answer::default()
    }
}

impl Provider for Language<'_> {
    fn complete(&self, calls: &[Call], each: Each<'_>) -> Result<()> {
        let most = self.model.about().concurrency.saturating_mul(2).max(1);
        let (sender, answers) = channel();
        let open = RefCell::new(0_usize);
        let next = |each: &mut dyn FnMut(usize, Result<Answer, String>) -> Result<()>| -> Result<()> {
            let lost = |_| Error::of(Kind::Bug, "a question to a language model was lost");
            let (at, digest, outcome): (usize, _, Outcome) = answers.recv().map_err(lost)?;
            *open.borrow_mut() -= 1;
            each(at, self.take(&digest, outcome)?)
        };
        for (at, call) in calls.iter().enumerate() {
            let request = match self.request(&call.rendered) {
                Ok(request) => request,
                Err(why) => {
                    each(at, Err(why))?;
                    continue;
                }
            };
            let digest = request.digest()?;
            if let Some((completion, given)) = self.cache.given(self.model.about(), &digest)? {
                self.purse.keep(1);
                each(at, Ok(said(completion, Some(Kept { at: given }))))?;
            } else if self.cache.is_all() {
                each(at, Err("nobody was asked: it is not in the cache".to_owned()))?;
            } else if self.purse.is_empty() {
                each(at, Err(STOPPED.to_owned()))?;
            } else {
                let sender = sender.clone();
                self.model.begin(request, Box::new(move |outcome| drop(sender.send((at, digest, outcome)))))?;
                *open.borrow_mut() += 1;
            }
            while *open.borrow() >= most {
                next(each)?;
            }
        }
        while *open.borrow() > 0 {
            next(each)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn llm(id: &str, config: Value) -> Result<Llm, String> {
        read(named(id).unwrap_or_else(|| panic!("{id} is one")), config.as_object().expect("a map"))
    }

    #[test]
    fn ids_of_promptfoo_name_models() {
        use LlmProvider::{Anthropic, OpenAi};
        for (id, found) in [
            ("anthropic:messages:claude-haiku-4-5", Some((Anthropic, "claude-haiku-4-5"))),
            ("openai:chat:gpt-5-mini", Some((OpenAi, "gpt-5-mini"))),
            ("openai:gpt-5", Some((OpenAi, "gpt-5"))),
            ("openai:chat:ft:gpt-4.1:acme::x", Some((OpenAi, "ft:gpt-4.1:acme::x"))),
            ("openai:responses:gpt-5", None),
            ("openai:embedding", None),
            ("openai:", None),
            ("anthropic:messages:", None),
            ("anthropic:claude-agent-sdk", None),
            ("azure:chat:x", None),
        ] {
            assert_eq!(named(id), found, "{id}");
        }
    }

    #[test]
    fn keys_are_named_and_go_to_their_maker_alone() {
        let key = |id: &str, config: Value| llm(id, config).expect("read").api_key.map(|key| key.to_string());
        assert_eq!(key("openai:chat:m", json!({})).as_deref(), Some("env:OPENAI_API_KEY"));
        assert_eq!(key("anthropic:messages:m", json!({})).as_deref(), Some("env:ANTHROPIC_API_KEY"));
        assert_eq!(key("openai:chat:m", json!({"apiBaseUrl": "http://localhost:1/v1"})), None);
        assert_eq!(
            key("openai:chat:m", json!({"apiBaseUrl": "http://localhost:1/v1", "apiKeyEnvar": "K"})).as_deref(),
            Some("env:K")
        );
        assert_eq!(key("openai:chat:m", json!({"apiKey": "{{ env.K }}"})).as_deref(), Some("env:K"));
        assert_eq!(key("openai:chat:m", json!({"apiKey": "file:key"})).as_deref(), Some("file:key"));
        let why = llm("openai:chat:m", json!({"apiKey": "sk-live-1"})).expect_err("a key");
        assert!(why.contains("never is one") && !why.contains("sk-live"), "{why}");
    }

    #[test]
    fn what_is_said_of_a_model_is_read_or_refused() {
        let config = json!({"temperature": 0.5, "max_tokens": 100, "seed": 7, "timeout": 1500, "concurrency": 2, "price-input": 0.15,
            "price-output": 0.6, "apiBaseUrl": "http://here/v1"});
        let found = llm("openai:chat:m", config).expect("read");
        assert_eq!((found.temperature, found.max_tokens, found.seed, found.concurrency), (0.5, 100, Some(7), 2));
        assert_eq!((found.timeout, found.base_url.as_str()), (Duration::from_millis(1500), "http://here/v1"));
        assert_eq!(found.price_input.map(|p| p.to_string()).as_deref(), Some("0.15"));
        let check = |config: Value, words: &str| {
            let why = llm("openai:chat:m", config).expect_err(words);
            assert!(why.contains(words), "{why}");
        };
        check(json!({"max_token": 1}), "did you mean `max_tokens`?");
        check(json!({"tools": []}), "`tools` is not said of a language model");
        check(json!({"temperature": 3}), "from 0 to 2");
        check(json!({"max_tokens": 0}), "from 1 to 1000000, and this is 0");
        check(json!({"apiBaseUrl": "http://user:pw@here/"}), "an address such as");
        check(json!({"price-input": "free"}), "US dollars for a million tokens");
        check(json!({"timeout": 0}), "must not be zero");
        check(json!({"apiKey": "env:A", "apiKeyEnvar": "B"}), "mean the same");
    }

    #[test]
    fn a_purse_is_empty_when_it_is_and_when_nobody_knows() {
        let purse = Purse::new(Some(PicoUsd(10)));
        purse.pay(1, Some(PicoUsd(9)));
        assert!(!purse.is_empty() && purse.left() == Some(PicoUsd(1)));
        purse.pay(1, Some(PicoUsd(9)));
        assert!(purse.is_empty() && purse.took() == (2, 0, Some(PicoUsd(18)), true));
        let unknown = Purse::new(Some(PicoUsd(10)));
        unknown.pay(1, None);
        assert!(unknown.is_empty() && !Purse::new(None).is_empty());
    }
}
