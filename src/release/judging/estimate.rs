//! What judging will take at most, before anybody is asked.
//!
//! Requests are known; what is in them is known but for what the judge makes of it. Tokens are a quarter of the characters, which is
//! near for English and low by a fifth for Spanish, French and German, and an answer is taken to repeat what it judges.

use super::{Bench, case_of};
use crate::base::quantity::PicoUsd;
use crate::base::text::count;
use crate::domain::eval::judged::{self, Case, JudgedId};
use crate::domain::golden::{Answer, Row};
use crate::seams::answerer::Tokens;
use std::collections::HashMap;
use std::fmt;

/// Characters of a token.
const CHARACTERS: u64 = 4;
/// Tokens of a prompt of ours with the form of its answer.
const PROMPT: u64 = 500;
/// Tokens of an answer beside what it repeats: reasons and verdicts.
const VERDICTS: u64 = 120;

/// What judging will take at most.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// Rows that can be judged.
    pub rows: usize,
    /// Metrics.
    pub metrics: usize,
    /// The judges, by the names of their models.
    pub judges: String,
    /// Requests, when nothing is in the cache and nothing is asked twice.
    pub requests: u64,
    /// Tokens read, about.
    pub tokens_in: u64,
    /// Tokens written, about.
    pub tokens_out: u64,
    /// What it costs, about; `None` when a price is not known.
    pub cost: Option<PicoUsd>,
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "judging {} by {} with {}: at most {}, about {} tokens in and {} out, ",
            count(self.rows, "row"),
            count(self.metrics, "metric"),
            self.judges,
            count(usize::try_from(self.requests).unwrap_or(usize::MAX), "request"),
            self.tokens_in,
            self.tokens_out,
        )?;
        match self.cost {
            Some(cost) => write!(f, "about ${:.2}; what is in the cache is not asked for", cost.usd()),
            None => f.write_str("price unknown: `price-input` and `price-output` say it"),
        }
    }
}

/// Adds up what judging these rows takes.
pub fn estimate(bench: &Bench<'_>, rows: &[Row], answers: &HashMap<String, Answer>) -> Estimate {
    let mut total = Estimate {
        rows: 0,
        metrics: bench.metrics.len(),
        judges: bench.models.iter().map(|m| m.about().model.as_str()).collect::<Vec<_>>().join(" and "),
        requests: 0,
        tokens_in: 0,
        tokens_out: 0,
        cost: Some(PicoUsd(0)),
    };
    for row in rows {
        let case = case_of(row, answers.get(&row.id));
        if case.answer.is_none() {
            continue;
        }
        total.rows += 1;
        for metric in &bench.metrics {
            add(&mut total, bench, *metric, &case);
        }
    }
    total
}

fn add(total: &mut Estimate, bench: &Bench<'_>, metric: JudgedId, case: &Case<'_>) {
    let length = |text: &str| text.chars().count() as u64 / CHARACTERS;
    let said = length(case.answer.unwrap_or_default());
    let references: u64 = case.references.iter().map(|r| length(r)).sum();
    let contexts: u64 = case.contexts.iter().map(|c| length(c)).sum();
    let calls = u64::from(judged::info(metric).calls) * u64::from(bench.repeat.max(1));
    let tokens = Tokens {
        input: Some(calls * (PROMPT + length(case.question) + said + references + contexts)),
        output: Some(calls * (VERDICTS + said + references)),
    };
    for model in &bench.models {
        total.requests += calls;
        total.tokens_in += tokens.input.unwrap_or(0);
        total.tokens_out += tokens.output.unwrap_or(0);
        total.cost = total.cost.zip(model.cost(tokens)).map(|(a, b)| a.and(b));
    }
}
