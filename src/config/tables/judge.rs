//! `[judge]`: who judges answers, by which metrics, and how.
//!
//! The keys of a model are those of `[llm]`; `[[judge.panel]]` names further models that judge beside the first.

use super::llm::{Llm, LlmProvider, RawLlm, at_least_one};
use crate::base::name::words;
use crate::base::quantity::TokenPrice;
use crate::base::text::nearest;
use crate::config::check::{CheckOne, Checker};
use crate::config::diag::Diagnostic;
use crate::config::secret::SecretRef;
use crate::config::shape::{At, Item, Many, Part as _, shown, table};
use std::num::NonZeroU32;
use std::time::Duration;

/// The most judges: more cost more and change little.
const JUDGES_MAX: usize = 3;
/// The most questions that are made of an answer.
const QUESTIONS_MAX: u32 = 10;

words! {
    /// Who takes an answer apart into statements.
    Statements, "way to find statements" {
        /// The judge.
        Judge = "judge",
        /// Its sentences are its statements: a call less, and the same every time.
        Sentences = "sentences",
    }
}

crate::config::leaf::word_leaf! { Statements, "way to find statements"; }

table! {
    /// As written.
    RawJudge {
        /// How the judge is asked: as Anthropic's Messages API, or as OpenAI's `/chat/completions`, which most servers speak.
        provider: Option<At<LlmProvider>> = "provider";
        /// Where it is: the address up to `/v1/messages` (`anthropic`) or `/chat/completions` (`openai`); that of its maker when it is not given.
        base_url: Option<At<String>> = "base-url";
        /// The name of the model as the service knows it; better not of the family of the model that answers.
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
        /// The judged metrics of every evaluation, beside those that gates name; none when it is not given.
        metrics: At<Vec<Item<String>>> = "metrics", or Vec::new();
        /// What the metric `rubric` asks for, in words; a row's own `rubric` takes its place.
        rubric: Option<At<String>> = "rubric";
        /// Who takes answers apart into statements: the judge, or the ends of their sentences.
        statements: At<Statements> = "statements", or Statements::Judge;
        /// How many questions answer-relevancy makes of an answer, 1 to 10.
        questions: At<NonZeroU32> = "questions", or at_least_one(3);
        /// The share of rows that a judged metric must have scored for a gate to go by it, 0 to 1.
        min_coverage: At<f64> = "min-coverage", or 0.9;
        /// One or two models more that judge the same; the majority of verdicts and the median of scores count.
        panel: Many<RawLlm> = "panel";
    }
}

/// Who judges, by which metrics, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Judge {
    /// The models, the leading one first; one to three.
    pub models: Vec<Llm>,
    /// The judged metrics of every evaluation, each once.
    pub metrics: Vec<String>,
    /// What the metric `rubric` asks for.
    pub rubric: Option<String>,
    /// Who takes answers apart.
    pub statements: Statements,
    /// How many questions are made of an answer; 1 to 10.
    pub questions: u32,
    /// The share of rows that must have been scored, 0 to 1.
    pub min_coverage: f64,
}

impl CheckOne for RawJudge {
    type Plain = Option<Judge>;
    fn check(&self, cx: &mut Checker<'_>) -> Option<Option<Judge>> {
        let lead = self.lead().checked("judge", cx)?;
        let Some(lead) = lead else {
            if let Some((key, _)) = self.settings().into_iter().flatten().next() {
                let problem = Diagnostic::new("`[judge]` says how answers are judged, and not by whom").at(key);
                cx.absent(problem.help("add `provider = \"anthropic\"` and `model = \"…\"`"));
            }
            return Some(None);
        };
        let mut models = vec![lead];
        for (i, member) in self.panel.items.iter().enumerate() {
            let name = format!("judge.panel.{}", i + 1);
            match member.body.checked(&name, cx) {
                Some(Some(model)) => models.push(model),
                Some(None) => {
                    cx.refuse(&member.spot, format!("`[[{name}]]` is empty"), "name a `provider` and a `model`, or remove it")
                }
                None => {}
            }
        }
        if let Some(extra) = self.panel.items.get(JUDGES_MAX - 1) {
            cx.refuse(&extra.spot, format!("there are more than {JUDGES_MAX} judges"), "leave two in `[[judge.panel]]`");
        }
        for (i, model) in models.iter().enumerate() {
            let again = models[..i].iter().any(|m| (&m.base_url, &m.model) == (&model.base_url, &model.model));
            if let Some(member) = self.panel.items.get(i.wrapping_sub(1)).filter(|_| again) {
                let title = format!("`{}` judges twice", shown(&model.model));
                cx.refuse(&member.spot, title, "name another model, best of another family");
            }
        }
        if self.questions.value.get() > QUESTIONS_MAX {
            cx.refuse(&self.questions.spot, format!("`judge.questions` must not be above {QUESTIONS_MAX}"), "3 are usual");
        }
        if !(0.0..=1.0).contains(&self.min_coverage.value) {
            cx.refuse(
                &self.min_coverage.spot,
                "`judge.min-coverage` must be between 0 and 1",
                "write a share of 1: 0.9 for 90 %",
            );
        }
        if let Some(at) = self.rubric.as_ref().filter(|at| at.value.trim().is_empty()) {
            cx.refuse(&at.spot, "`judge.rubric` is empty", "write what a good answer does, or remove it");
        }
        Some(Some(Judge {
            models,
            metrics: self.judged(cx),
            rubric: self.rubric.as_ref().map(|at| at.value.trim().to_owned()),
            statements: self.statements.value,
            questions: self.questions.value.get(),
            min_coverage: self.min_coverage.value,
        }))
    }
}

impl RawJudge {
    /// The keys of the leading model.
    fn lead(&self) -> RawLlm {
        RawLlm {
            provider: self.provider.clone(),
            base_url: self.base_url.clone(),
            model: self.model.clone(),
            api_key: self.api_key.clone(),
            timeout: self.timeout.clone(),
            concurrency: self.concurrency.clone(),
            max_retries: self.max_retries.clone(),
            rpm: self.rpm.clone(),
            max_tokens: self.max_tokens.clone(),
            temperature: self.temperature.clone(),
            seed: self.seed.clone(),
            price_input: self.price_input.clone(),
            price_output: self.price_output.clone(),
        }
    }

    /// The keys that mean nothing without a model.
    fn settings(&self) -> [Option<(&crate::config::diag::Spot, crate::config::shape::Layer)>; 6] {
        [
            self.metrics.given(),
            self.rubric.given(),
            self.statements.given(),
            self.questions.given(),
            self.min_coverage.given(),
            self.panel.given(),
        ]
    }

    fn judged(&self, cx: &mut Checker<'_>) -> Vec<String> {
        let known = cx.vocabulary.judged;
        let mut names = Vec::new();
        for item in &self.metrics.value {
            if known.contains(&item.value.as_str()) {
                names.push(item.value.clone());
                continue;
            }
            let near = nearest(&item.value, known.iter().copied()).map(|near| format!("did you mean `{near}`?"));
            let help = near.unwrap_or_else(|| format!("expected some of: {}", known.join(", ")));
            cx.refuse(&item.spot, format!("`{}` is no metric that is judged", shown(&item.value)), help);
        }
        names.sort_unstable();
        names.dedup();
        names
    }
}
