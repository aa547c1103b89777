//! What judging will take at most, before anybody is asked.
//!
//! Requests are known; what is in them is known but for what the judge makes of it. Tokens are a quarter of the characters, which is
//! near for English and low by a fifth for Spanish, French and German, and an answer is taken to repeat what it judges. Where the
//! answer that is to be judged has not been given yet, a stated length is taken for its own.

use super::case_of;
use crate::base::quantity::PicoUsd;
use crate::base::text::count;
use crate::domain::eval::judged::{self, Case, JudgedId};
use crate::domain::golden::{Answer, Row};
use crate::seams::answerer::Tokens;
use crate::seams::model::Model;
use serde::Serialize;
use std::collections::HashMap;
use std::fmt;

/// Characters of a token.
const CHARACTERS: u64 = 4;
/// Tokens of a prompt of ours with the form of its answer.
const PROMPT: u64 = 500;
/// Tokens of an answer beside what it repeats: reasons and verdicts.
const VERDICTS: u64 = 120;

/// Tokens of an answer that nobody has given yet.
pub const WRITTEN: u64 = 200;

/// Tokens of the passages of rows that an answer is yet to come to, by their ids.
pub type Coming = HashMap<String, u64>;

/// What judging will take at most.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// Rows that can be judged.
    pub rows: usize,
    /// Those of them whose answer is yet to come.
    pub unanswered: usize,
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
    #[serde(rename = "cost_usd")]
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
            Some(cost) => write!(f, "about {}; what is in the cache is not asked for", money(cost))?,
            None => f.write_str("price unknown: `price-input` and `price-output` say it")?,
        }
        match self.unanswered {
            0 => Ok(()),
            n => write!(f, "; {n} of the answers are yet to come and taken to have {WRITTEN} tokens each"),
        }
    }
}

/// Tokens of a text, about.
pub fn tokens(text: &str) -> u64 {
    (text.chars().count() as u64).div_ceil(CHARACTERS)
}

/// An estimate of money, with cents, or of little money with what it has.
pub fn money(cost: PicoUsd) -> String {
    if cost.usd() < 0.095 { format!("${:.4}", cost.usd()) } else { format!("${:.2}", cost.usd()) }
}

/// Who judges, by which metrics, how often.
#[derive(Clone, Copy)]
pub struct Judges<'a> {
    /// The judges.
    pub models: &'a [Box<dyn Model>],
    /// By which metrics.
    pub metrics: &'a [JudgedId],
    /// How often each row.
    pub repeat: u32,
}

/// Adds up what judging these rows takes. To the rows of `coming` an answer will be given that has not been yet, from passages of so
/// many tokens; others without an answer are not judged.
pub fn estimate(judges: Judges<'_>, rows: &[Row], answers: &HashMap<String, Answer>, coming: Option<&Coming>) -> Estimate {
    let mut total = Estimate {
        rows: 0,
        unanswered: 0,
        metrics: judges.metrics.len(),
        judges: judges.models.iter().map(|m| m.about().model.as_str()).collect::<Vec<_>>().join(" and "),
        requests: 0,
        tokens_in: 0,
        tokens_out: 0,
        cost: Some(PicoUsd(0)),
    };
    for row in rows {
        let case = case_of(row, answers.get(&row.id));
        let size = match (case.answer, coming.and_then(|coming| coming.get(&row.id))) {
            (Some(answer), _) => Size { said: tokens(answer), contexts: case.contexts.iter().map(|c| tokens(c)).sum() },
            (None, Some(contexts)) => Size { said: WRITTEN, contexts: *contexts },
            (None, None) => continue,
        };
        total.rows += 1;
        total.unanswered += usize::from(case.answer.is_none());
        for metric in judges.metrics {
            add(&mut total, judges, *metric, (&case, &size));
        }
    }
    total
}

/// Tokens of what is judged.
struct Size {
    said: u64,
    contexts: u64,
}

fn add(total: &mut Estimate, judges: Judges<'_>, metric: JudgedId, (case, size): (&Case<'_>, &Size)) {
    let references: u64 = case.references.iter().map(|r| tokens(r)).sum();
    let calls = u64::from(judged::info(metric).calls) * u64::from(judges.repeat.max(1));
    let tokens = Tokens {
        input: Some(calls * (PROMPT + tokens(case.question) + size.said + references + size.contexts)),
        output: Some(calls * (VERDICTS + size.said + references)),
    };
    for model in judges.models {
        total.requests += calls;
        total.tokens_in += tokens.input.unwrap_or(0);
        total.tokens_out += tokens.output.unwrap_or(0);
        total.cost = total.cost.zip(model.cost(tokens)).map(|(a, b)| a.and(b));
    }
}
