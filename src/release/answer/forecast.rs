//! What the answers of a language model will take, before it is asked for any of them.
//!
//! Each prompt is rendered as it will be sent, with the passages that will be found. Where a service makes the vectors or holds the
//! passages, it is not asked: each passage is taken to be as long as chunks may be. Of a large dataset some rows stand for all, so
//! that looking ahead costs next to nothing. How long answers will be nobody knows: they are taken to have a stated number of tokens,
//! and the most that they may have is told beside it.

use super::Builtin;
use super::writer::{Script, Writer};
use crate::base::error::Result;
use crate::base::quantity::PicoUsd;
use crate::base::text::count;
use crate::domain::golden::Row;
use crate::release::judging::{Coming, WRITTEN, money, tokens};
use crate::seams::answerer::{Question, Tokens};
use crate::seams::model::{Model, Request};
use serde::Serialize;
use std::collections::HashMap;
use std::fmt;

/// Rows that are looked ahead at; of more, so many that lie evenly stand for all.
const LOOKED_AT: usize = 200;

/// How rows will be asked.
#[derive(Clone, Copy, Debug)]
pub struct Asking {
    /// How often each, at most.
    pub times: u32,
    /// Whether it is the same question each time, so that what is kept can be known.
    pub same: bool,
    /// Whether what is kept is asked for again.
    pub again: bool,
}

/// What the answers will take.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// What is answered, for a person: a row, a prompt.
    #[serde(skip)]
    pub what: &'static str,
    /// The model.
    pub model: String,
    /// Rows that can be asked.
    pub rows: usize,
    /// How often each is asked, at most.
    pub repeat: u32,
    /// Requests, at most.
    pub requests: u64,
    /// Answers that are kept and not asked for; `None` when nobody looked.
    pub kept: Option<u64>,
    /// Tokens read, about.
    pub tokens_in: u64,
    /// Tokens written, about.
    pub tokens_out: u64,
    /// Tokens written, when every answer is as long as it may be.
    pub tokens_out_max: u64,
    /// What it costs, about; `None` when a price is not known.
    pub cost_usd: Option<PicoUsd>,
    /// What it costs when every answer is as long as it may be.
    pub cost_max_usd: Option<PicoUsd>,
}

/// What a model will be asked.
pub(in crate::release) struct Asked {
    pub(in crate::release) what: &'static str,
    /// How many of these.
    pub(in crate::release) number: usize,
    pub(in crate::release) repeat: u32,
    pub(in crate::release) requests: u64,
    pub(in crate::release) kept: Option<u64>,
    pub(in crate::release) tokens_in: u64,
}

impl Estimate {
    /// What it takes of a model whose answers have so many tokens at most.
    pub(in crate::release) fn of((model, max_tokens): (&dyn Model, u32), asked: Asked) -> Self {
        let Asked { what, number, repeat, requests, kept, tokens_in } = asked;
        let most = u64::from(max_tokens);
        let cost = |each: u64| model.cost(Tokens { input: Some(tokens_in), output: Some(each * requests) });
        let usual = WRITTEN.min(most);
        Self {
            what,
            model: model.about().model.clone(),
            rows: number,
            repeat,
            requests,
            kept,
            tokens_in,
            tokens_out: usual * requests,
            tokens_out_max: most * requests,
            cost_usd: cost(usual),
            cost_max_usd: cost(most),
        }
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "answering {} with {}: at most {}, about {} tokens in and {} out (at most {}), ",
            count(self.rows, self.what),
            self.model,
            count(usize::try_from(self.requests).unwrap_or(usize::MAX), "request"),
            self.tokens_in,
            self.tokens_out,
            self.tokens_out_max,
        )?;
        match self.cost_usd.zip(self.cost_max_usd) {
            Some((cost, most)) => write!(f, "about {} (at most {})", money(cost), money(most))?,
            None => f.write_str("price unknown: `price-input` and `price-output` say it")?,
        }
        match self.kept {
            Some(0) => Ok(()),
            Some(kept) => write!(f, "; {} from the cache", count(usize::try_from(kept).unwrap_or(usize::MAX), "answer")),
            None => f.write_str("; what is in the cache is not asked for"),
        }
    }
}

/// What the answers will take, and to which rows they will come.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// What they take.
    pub estimate: Estimate,
    /// The rows that will be asked.
    pub coming: Coming,
}

/// One row, as far as it is known before it is asked.
struct Ahead {
    /// Tokens of the prompt.
    prompt: u64,
    /// Tokens of the passages.
    passages: u64,
    /// Answers to it that are kept.
    kept: u64,
}

impl Builtin<'_> {
    /// What answers to these rows will take; `None` where no model writes them.
    ///
    /// # Errors
    /// When the documents or the cache cannot be read.
    pub fn forecast(&self, rows: &[Row], asking: Asking) -> Result<Option<Forecast>> {
        let Some((writer, script)) = &self.writer else { return Ok(None) };
        let rows: Vec<&Row> = rows.iter().filter(|row| !row.question.trim().is_empty()).collect();
        let (mut ahead, mut unfit): (HashMap<&str, Ahead>, usize) = (HashMap::new(), 0);
        let looked = rows.len().min(LOOKED_AT);
        for row in (0..looked).map(|i| rows[i * rows.len() / looked]) {
            match self.ahead((writer, script), &row.question, asking)? {
                Some(found) => drop(ahead.insert(&row.id, found)),
                None => unfit += 1,
            }
        }
        // What a prompt cannot be rendered for is not asked; beyond the rows that were looked at nobody knows it.
        let all = if looked == rows.len() { rows.len() - unfit } else { rows.len() };
        let known = looked == rows.len() && self.elsewhere.is_none() && asking.same && !asking.again;
        let scaled = |sum: u64| if ahead.is_empty() { 0 } else { sum * all as u64 / ahead.len() as u64 };
        let times = u64::from(asking.times);
        let left = |a: &Ahead| times - if known { a.kept } else { 0 };
        let requests = scaled(ahead.values().map(left).sum());
        let tokens_in = scaled(ahead.values().map(|a| a.prompt * left(a)).sum());
        let kept = if asking.again { Some(0) } else { known.then(|| ahead.values().map(|a| a.kept).sum()) };
        let asked = Asked { what: "row", number: all, repeat: asking.times, requests, kept, tokens_in };
        let estimate = Estimate::of((writer.model.as_ref(), writer.settings.max_tokens), asked);
        let usual = ahead.values().map(|a| a.passages).sum::<u64>() / (ahead.len() as u64).max(1);
        let passages = |row: &&Row| match ahead.get(row.id.as_str()) {
            Some(a) => Some((row.id.clone(), a.passages)),
            None => (looked < rows.len()).then(|| (row.id.clone(), usual)),
        };
        let coming = rows.iter().filter_map(passages).collect();
        Ok(Some(Forecast { estimate, coming }))
    }

    /// What is known of a question before it is asked; `None` when no prompt can be made of it.
    fn ahead(&self, (writer, script): (&Writer, &Script), question: &str, asking: Asking) -> Result<Option<Ahead>> {
        if let Some(passages) = self.elsewhere {
            let Ok(request) = script.request(question, &[], &writer.settings) else { return Ok(None) };
            let read = if script.reads_context() { passages } else { 0 };
            return Ok(Some(Ahead { prompt: length(&request) + read, passages, kept: 0 }));
        }
        let question = Question { question: question.to_owned(), ..Question::default() };
        let Ok((found, request)) = self.prompt((writer, script), &question)? else { return Ok(None) };
        let mut kept = 0;
        if asking.same && !asking.again {
            for sample in 0..asking.times {
                let digest = Request { sample, ..request.clone() }.digest()?;
                kept += u64::from(writer.cache.completion(writer.model.about(), &digest)?.is_some());
            }
        }
        let passages = found.contexts.iter().flatten().map(|text| tokens(text)).sum();
        Ok(Some(Ahead { prompt: length(&request), passages, kept }))
    }
}

/// Tokens of a request, about.
fn length(request: &Request) -> u64 {
    let texts = request.system.iter().chain(request.messages.iter().map(|m| &m.text));
    texts.map(|text| tokens(text)).sum()
}
