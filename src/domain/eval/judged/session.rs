//! One row on its way through the judges: each step takes what was said when it was, and else notes what has to be asked.
//!
//! A metric is written as if every answer were there already. It is run again from its start whenever one more is, which costs
//! nothing beside the answers, and it needs no state of its own: what was said is all there is.

use super::prompts::{self, Prompt};
use super::read;
use super::{Case, Memo, Need, Reply, Settings, Tally, Useless};
use crate::base::digest::Digest;
use crate::domain::eval::metrics::refusal::is_refusal;
use crate::domain::ingest::chunk::sentences_of;
use crate::seams::model::{FailureKind, Message, Request};
use serde_json::Value;

/// Why a metric has no value now.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Halt {
    /// Something was asked that nobody answered yet.
    Wait,
    /// It never will: a clause.
    Unscored(String),
    /// Asking failed: a clause.
    Error(String),
}

pub(super) type Step<T> = Result<T, Halt>;

/// What an answer says.
pub(super) enum Claims {
    /// It declines to answer.
    Declines,
    /// Its statements, at least one.
    Statements(Vec<String>),
}

pub(super) struct Session<'s> {
    pub(super) case: &'s Case<'s>,
    pub(super) settings: &'s Settings,
    sample: u32,
    memo: &'s Memo,
    pub(super) needs: Vec<Need>,
    pub(super) tally: Tally,
    pub(super) useless: Useless,
}

/// The leading judge.
const LEAD: usize = 0;

impl<'s> Session<'s> {
    pub(super) fn new(case: &'s Case<'s>, settings: &'s Settings, sample: u32, memo: &'s Memo) -> Self {
        Self { case, settings, sample, memo, needs: Vec::new(), tally: Tally::default(), useless: Vec::new() }
    }

    /// The answer, when there is one.
    pub(super) fn answer(&self) -> Step<&'s str> {
        self.case.answer.ok_or_else(|| Halt::Unscored("the row has no answer".to_owned()))
    }

    /// The retrieved contexts, when there are some.
    pub(super) fn contexts(&self) -> Step<Vec<&'s str>> {
        match self.case.contexts {
            [] => Err(Halt::Unscored("the row has no retrieved contexts".to_owned())),
            some => Ok(some.iter().map(String::as_str).collect()),
        }
    }

    /// The references with something in them, when there are some.
    pub(super) fn references(&self) -> Step<Vec<&'s str>> {
        let all: Vec<&str> = self.case.references.iter().map(String::as_str).filter(|r| !r.trim().is_empty()).collect();
        if all.is_empty() { Err(Halt::Unscored("the row has no reference answer".to_owned())) } else { Ok(all) }
    }

    /// What the answer claims.
    pub(super) fn claims(&mut self, answer: &str) -> Step<Claims> {
        // A proxy would do for words that decline, but nothing at all needs nobody to judge it.
        if answer.trim().is_empty() || (self.settings.sentences && is_refusal(answer)) {
            return Ok(Claims::Declines);
        }
        let said = self.statements(answer)?;
        match (said.declines, said.statements.is_empty()) {
            (true, _) => Ok(Claims::Declines),
            (false, true) => Err(Halt::Unscored("the judge found no statement in the answer".to_owned())),
            (false, false) => Ok(Claims::Statements(said.statements)),
        }
    }

    /// The statements of a right answer, at least one.
    pub(super) fn reference_statements(&mut self, reference: &str) -> Step<Vec<String>> {
        let said = self.statements(reference)?;
        match said.statements.is_empty() {
            true => Err(Halt::Unscored("the judge found no statement in the reference answer".to_owned())),
            false => Ok(said.statements),
        }
    }

    fn statements(&mut self, text: &str) -> Step<read::Said> {
        if self.settings.sentences {
            let statements = sentences_of(text).into_iter().map(str::to_owned).collect();
            return Ok(read::Said { declines: false, statements });
        }
        let prompt = prompts::statements(self.case.question, text);
        self.ask(LEAD, &prompt, &read::statements)
    }

    /// Whether each statement follows from the contexts, and from which of them.
    pub(super) fn support(&mut self, statements: &[String], contexts: &[&str]) -> Step<Vec<read::Support>> {
        let (n, k) = (statements.len(), contexts.len());
        let votes = self.poll(&prompts::support(statements, contexts), &|value| read::support(value, n, k))?;
        let mut all = Vec::with_capacity(n);
        for i in 0..n {
            let supported = self.majority(votes.iter().map(|v| v[i].supported));
            let most = |c: usize| 2 * votes.iter().filter(|v| v[i].contexts.contains(&c)).count() > votes.len();
            let mut places: Vec<usize> = (0..k).filter(|c| most(*c)).collect();
            if supported && places.is_empty() {
                // They agree that it follows and not from what: what any of them named.
                places = (0..k).filter(|c| votes.iter().any(|v| v[i].contexts.contains(c))).collect();
            }
            all.push(read::Support { supported, contexts: if supported { places } else { Vec::new() } });
        }
        Ok(all)
    }

    /// Which contexts are useful for an answer.
    pub(super) fn useful(&mut self, answer: &str, contexts: &[&str]) -> Step<Vec<bool>> {
        let n = contexts.len();
        let prompt = prompts::useful(self.case.question, answer, contexts);
        let votes = self.poll(&prompt, &|value| read::flags(value, "verdicts", "useful", "c", n))?;
        Ok((0..n).map(|i| self.majority(votes.iter().map(|v| v[i]))).collect())
    }

    /// The share of a reference that the contexts hold.
    pub(super) fn recall(&mut self, reference: &str, contexts: &[&str]) -> Step<f64> {
        let n = contexts.len();
        let prompt = prompts::recall(self.case.question, reference, contexts);
        let votes = self.poll(&prompt, &|value| read::recall(value, n))?;
        let shares: Vec<f64> = votes.iter().filter(|v| !v.is_empty()).map(|v| share(v)).collect();
        match shares.is_empty() {
            true => Err(Halt::Unscored("the judge found no statement in the reference answer".to_owned())),
            false => Ok(self.median(&shares)),
        }
    }

    /// Which statements of the answer are right, and which right ones it covers.
    pub(super) fn classify(&mut self, answer: &[String], reference: &[String]) -> Step<(Vec<bool>, Vec<bool>)> {
        let (n, m) = (answer.len(), reference.len());
        let read = |value: &Value| {
            let correct = read::flags(value, "answer", "correct", "a", n)?;
            Ok((correct, read::flags(value, "reference", "covered", "r", m)?))
        };
        let votes = self.poll(&prompts::classify(self.case.question, answer, reference), &read)?;
        let correct = (0..n).map(|i| self.majority(votes.iter().map(|v| v.0[i]))).collect();
        let covered = (0..m).map(|i| self.majority(votes.iter().map(|v| v.1[i]))).collect();
        Ok((correct, covered))
    }

    /// Questions that the answer would answer; `None` when it commits to nothing.
    pub(super) fn questions(&mut self, answer: &str) -> Step<Option<Vec<String>>> {
        let n = self.settings.questions;
        let (noncommittal, questions) = self.ask(LEAD, &prompts::questions(answer, n), &|value| read::questions(value, n))?;
        Ok((!noncommittal).then_some(questions))
    }

    /// The entities of texts.
    pub(super) fn entities(&mut self, texts: &[&str]) -> Step<Vec<String>> {
        self.ask(LEAD, &prompts::entities(texts), &read::entities)
    }

    /// What the judges give by criteria in words, 0 to 10.
    pub(super) fn rubric(&mut self, answer: &str, criteria: &str) -> Step<f64> {
        let reference = self.case.references.first().map(String::as_str).filter(|r| !r.trim().is_empty());
        let prompt = prompts::rubric(self.case.question, answer, reference, criteria);
        let votes = self.poll(&prompt, &read::score)?;
        Ok(self.median(&votes))
    }

    /// The cosine of two texts.
    pub(super) fn cosine(&mut self, one: &str, other: &str) -> Step<f64> {
        // Rounding would leave it a little below.
        if one == other {
            return Ok(1.0);
        }
        // Both are noted before either is waited for.
        let (a, b) = (self.vector(one), self.vector(other));
        let (a, b) = (a?, b?);
        Ok(a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum())
    }

    fn vector(&mut self, text: &str) -> Step<&'s [f32]> {
        match self.memo.vectors.get(text) {
            Some(Ok(vector)) => Ok(vector),
            Some(Err(why)) => Err(Halt::Error(format!("no vectors: {why}"))),
            None => {
                self.need(Need::Vector(text.to_owned()));
                Err(Halt::Wait)
            }
        }
    }

    /// Asks one judge, and once more when its answer cannot be used. When the second cannot either, neither is worth keeping.
    fn ask<T>(&mut self, judge: usize, prompt: &Prompt, read: &dyn Fn(&Value) -> Result<T, String>) -> Step<T> {
        let drawing = self.settings.judges[judge];
        let mut request = Request {
            max_tokens: drawing.max_tokens,
            temperature: Some(drawing.temperature),
            seed: drawing.seed,
            shape: Some(prompt.shape.clone()),
            sample: self.sample,
            prompt_version: prompts::VERSION.to_owned(),
            ..Request::ask(prompt.system.clone(), prompt.text.clone(), drawing.max_tokens)
        };
        let (first, reply) = self.reply(judge, &request)?;
        let (fault, said) = match reply {
            Ok(value) => match read(value) {
                Ok(found) => return Ok(found),
                Err(fault) => (fault, Some(value.to_string())),
            },
            Err((FailureKind::Malformed, why)) => (format!("it holds no JSON object of this form ({why})"), None),
            Err((_, why)) => return Err(Halt::Error(why.clone())),
        };
        request.messages.extend(said.map(Message::assistant));
        request.messages.push(Message::user(prompts::again(&fault)));
        let (second, reply) = self.reply(judge, &request)?;
        let halt = match reply {
            Ok(value) => match read(value) {
                Ok(found) => return Ok(found),
                Err(fault) => Halt::Error(format!("the judge's answer cannot be used, asked twice: {fault}")),
            },
            // Nobody looked for a better answer yet.
            Err((FailureKind::NotAsked, why)) => return Err(Halt::Error(why.clone())),
            Err((_, why)) => Halt::Error(why.clone()),
        };
        self.useless.extend([(judge, first), (judge, second)]);
        Err(halt)
    }

    /// Asks every judge; those who fail are left out while there is another.
    fn poll<T>(&mut self, prompt: &Prompt, read: &dyn Fn(&Value) -> Result<T, String>) -> Step<Vec<T>> {
        let all: Vec<Step<T>> = (0..self.settings.judges.len()).map(|judge| self.ask(judge, prompt, read)).collect();
        if all.iter().any(|one| matches!(one, Err(Halt::Wait))) {
            return Err(Halt::Wait);
        }
        let mut failed = None;
        let mut votes = Vec::new();
        for one in all {
            match one {
                Ok(vote) => votes.push(vote),
                Err(halt) => {
                    self.tally.absent += 1;
                    failed = failed.or(Some(halt));
                }
            }
        }
        match failed {
            Some(halt) if votes.is_empty() => Err(halt),
            _ => Ok(votes),
        }
    }

    fn reply(&mut self, judge: usize, request: &Request) -> Step<(Digest, &'s Reply)> {
        let key: Digest = request.digest().map_err(|e| Halt::Error(e.to_string()))?;
        if let Some(reply) = self.memo.replies.get(&(judge, key)) {
            return Ok((key, reply));
        }
        self.need(Need::Ask { judge, request: Box::new(request.clone()), key });
        Err(Halt::Wait)
    }

    fn need(&mut self, need: Need) {
        if !self.needs.contains(&need) {
            self.needs.push(need);
        }
    }

    /// True when more than half say so.
    fn majority(&mut self, votes: impl Iterator<Item = bool>) -> bool {
        let votes: Vec<bool> = votes.collect();
        let yes = votes.iter().filter(|v| **v).count();
        if votes.len() > 1 {
            self.tally.asked += 1;
            self.tally.split += usize::from(yes != 0 && yes != votes.len());
        }
        2 * yes > votes.len()
    }

    /// The middle of some numbers; of two in the middle their mean.
    fn median(&mut self, votes: &[f64]) -> f64 {
        let mut sorted = votes.to_vec();
        sorted.sort_by(f64::total_cmp);
        if sorted.len() > 1 {
            self.tally.asked += 1;
            self.tally.split += usize::from(sorted.first() != sorted.last());
        }
        let upper = sorted.len() / 2;
        if sorted.len() % 2 == 1 { sorted[upper] } else { f64::midpoint(sorted[upper - 1], sorted[upper]) }
    }
}

/// The share of those that are true; 0 of none.
#[expect(clippy::cast_precision_loss, reason = "counts of statements")]
pub(super) fn share(flags: &[bool]) -> f64 {
    let yes = flags.iter().filter(|f| **f).count();
    if flags.is_empty() { 0.0 } else { yes as f64 / flags.len() as f64 }
}
