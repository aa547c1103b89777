//! `[llm]`: the language model that answers for a version, and what every table says that names a language model.
//!
//! Prices are in US dollars for a million tokens, read as decimal text: a float would make another price of them.

use crate::base::name::words;
use crate::base::quantity::TokenPrice;
use crate::config::check::{CheckOne, Checker};
use crate::config::diag::Diagnostic;
use crate::config::secret::SecretRef;
use crate::config::shape::{At, Leaf, Table as _, Walk, shown, table};
use serde_json::{Value, json};
use std::num::NonZeroU32;
use std::time::Duration;
use toml::Spanned;
use toml::de::DeValue;

words! {
    /// How a language model is asked.
    LlmProvider, "provider" {
        /// As Anthropic's Messages API.
        Anthropic = "anthropic",
        /// As OpenAI's `/chat/completions`, which most servers speak.
        OpenAi = "openai",
    }
}

crate::config::leaf::word_leaf! { LlmProvider, "provider"; }

impl LlmProvider {
    /// Where its maker serves it.
    const fn home(self) -> &'static str {
        match self {
            Self::Anthropic => "https://api.anthropic.com",
            Self::OpenAi => "https://api.openai.com/v1",
        }
    }
}

/// US dollars for a million tokens.
impl Leaf for TokenPrice {
    fn read(value: &Spanned<DeValue<'_>>, walk: &mut Walk<'_>) -> Option<Self> {
        let text = match value.get_ref() {
            DeValue::Float(f) => f.as_str(),
            DeValue::Integer(i) if i.radix() == 10 => i.as_str(),
            _ => {
                walk.wrong_type(value, "a price in US dollars for a million tokens");
                return None;
            }
        };
        let read = Self::parse(&text.replace('_', ""));
        if read.is_none() {
            let spot = walk.spot(value.span());
            let title = format!("`{}` is no price that can be counted exactly", shown(text));
            let help = "write US dollars for a million tokens, not negative, with at most six decimals: `0.15`";
            walk.diags.add(Diagnostic::new(title).at(&spot).help(help));
        }
        read
    }

    fn schema() -> Value {
        json!({ "type": "number", "minimum": 0, "multipleOf": 0.000_001 })
    }

    fn json(&self) -> Value {
        json!(self.to_string().parse::<f64>().ok())
    }
}

/// A number that cannot be zero, for defaults.
pub(in crate::config) const fn at_least_one(n: u32) -> NonZeroU32 {
    match NonZeroU32::new(n) {
        Some(n) => n,
        None => NonZeroU32::MIN,
    }
}

table! {
    /// As written.
    RawLlm {
        /// How it is asked: as Anthropic's Messages API, or as OpenAI's `/chat/completions`, which most servers speak.
        provider: Option<At<LlmProvider>> = "provider";
        /// Where it is: the address up to `/v1/messages` (`anthropic`) or `/chat/completions` (`openai`); that of its maker when it is not given.
        base_url: Option<At<String>> = "base-url";
        /// The name of the model as the service knows it.
        model: Option<At<String>> = "model";
        /// Key of the service, as `env:NAME` or `file:PATH`.
        api_key: Option<At<SecretRef>> = "api-key";
        /// How long an answer may take.
        timeout: At<Duration> = "timeout", or Duration::from_secs(120);
        /// How many requests are under way at a time.
        concurrency: At<NonZeroU32> = "concurrency", or at_least_one(8);
        /// How often a request is sent again that the service was too busy for or that broke off.
        max_retries: At<u32> = "max-retries", or 5;
        /// The most requests a minute; as many as there are when it is not given.
        rpm: Option<At<NonZeroU32>> = "rpm";
        /// The most tokens of an answer; one that would be longer is an error.
        max_tokens: At<NonZeroU32> = "max-tokens", or at_least_one(4_096);
        /// How freely words are drawn, 0 to 2; left out of requests to services that refuse it.
        temperature: At<f64> = "temperature", or 0.0;
        /// For services that can draw the same again (`openai`).
        seed: Option<At<u32>> = "seed";
        /// US dollars for a million tokens read.
        price_input: Option<At<TokenPrice>> = "price-input";
        /// US dollars for a million tokens written.
        price_output: Option<At<TokenPrice>> = "price-output";
    }
}

/// A language model of a service.
#[derive(Clone, Debug, PartialEq)]
pub struct Llm {
    /// How it is asked.
    pub provider: LlmProvider,
    /// Where it is.
    pub base_url: String,
    /// Its name there.
    pub model: String,
    /// Its key.
    pub api_key: Option<SecretRef>,
    /// How long an answer may take; not zero.
    pub timeout: Duration,
    /// Requests at a time; at least 1.
    pub concurrency: u32,
    /// How often a request is sent again.
    pub max_retries: u32,
    /// The most requests a minute.
    pub rpm: Option<NonZeroU32>,
    /// The most tokens of an answer.
    pub max_tokens: u32,
    /// How freely words are drawn, 0 to 2.
    pub temperature: f64,
    /// For services that can draw the same again.
    pub seed: Option<u32>,
    /// What a token read costs.
    pub price_input: Option<TokenPrice>,
    /// What a token written costs.
    pub price_output: Option<TokenPrice>,
}

impl CheckOne for RawLlm {
    type Plain = Option<Llm>;
    fn check(&self, cx: &mut Checker<'_>) -> Option<Option<Llm>> {
        self.checked("llm", cx)
    }
}

impl RawLlm {
    /// Its meaning; nothing when nobody wrote the table called `name`.
    pub(in crate::config) fn checked(&self, name: &str, cx: &mut Checker<'_>) -> Option<Option<Llm>> {
        if self.first_given().is_none() {
            return Some(None);
        }
        if self.provider.is_none() {
            let problem = Diagnostic::new(format!("`[{name}]` has no `provider`"));
            cx.absent(problem.help("add `provider = \"anthropic\"`, or `\"openai\"` for every server that speaks its protocol"));
        }
        if self.model.is_none() {
            let problem = Diagnostic::new(format!("`[{name}]` has no `model`"));
            cx.absent(problem.help("add the name that the service knows the model by: `model = \"…\"`"));
        }
        if let Some(at) = self.model.as_ref().filter(|at| at.value.trim().is_empty()) {
            cx.refuse(&at.spot, format!("`{name}.model` is empty"), "write the name that the service knows the model by");
        }
        if self.timeout.value.is_zero() {
            let title = format!("`{name}.timeout` must not be zero");
            cx.refuse(&self.timeout.spot, title, "write how long an answer may take: `120s`");
        }
        if !(0.0..=2.0).contains(&self.temperature.value) {
            cx.refuse(
                &self.temperature.spot,
                format!("`{name}.temperature` must be between 0 and 2"),
                "0 draws the likeliest words",
            );
        }
        let base_url = match &self.base_url {
            Some(at) => {
                let help = "take it out and name it by `api-key = \"env:NAME\"`";
                Some(cx.url(&format!("{name}.base-url"), at, &["https", "http"], help)?)
            }
            None => None,
        };
        let provider = self.provider.as_ref()?.value;
        Some(Some(Llm {
            provider,
            base_url: base_url.unwrap_or_else(|| provider.home().to_owned()),
            model: self.model.as_ref()?.value.trim().to_owned(),
            api_key: self.api_key.as_ref().map(|at| at.value.clone()),
            timeout: self.timeout.value,
            concurrency: self.concurrency.value.get(),
            max_retries: self.max_retries.value,
            rpm: self.rpm.as_ref().map(|at| at.value),
            max_tokens: self.max_tokens.value.get(),
            temperature: self.temperature.value,
            seed: self.seed.as_ref().map(|at| at.value),
            price_input: self.price_input.as_ref().map(|at| at.value),
            price_output: self.price_output.as_ref().map(|at| at.value),
        }))
    }
}
