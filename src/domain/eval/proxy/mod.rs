//! Whether an answer is held by its contexts and speaks to its question, told without a model: the offline proxies.
//!
//! Each sentence of the answer looks for the sentences of the contexts that may support it (`support`: beginnings of words and the
//! vectors of an embedder's table), its words are held against theirs, and what cannot be true together takes the score down
//! (`veto`: numbers and units after normalisation, limits, negation and opposites, names, roles, shares). Words alone do not do:
//! an edited fact shares more words with its source than a paraphrase.
//!
//! Invariants: pure, no network and no file; the same texts give the same score; a score is in 0 to 1; what cannot be said is no
//! score but a reason. A proxy is a ranking aid: its numbers are never mixed with those of a judge, and a threshold on them has
//! to be calibrated on labels. The method is that of the project's evaluation research, section e; weights were set on two
//! thirds of `examples/proxy/pairs.jsonl`.

pub mod labels;
mod lists;
mod numerals;
mod often;
mod quantity;
mod roles;
mod support;
mod units;
mod veto;
mod words;

pub use lists::Lang;
pub use veto::Finding;

use super::metrics::refusal;
use crate::seams::embedder::SentenceVectors;
use std::cmp::Ordering;
use support::{Evidence, align, dot};
use words::Sentence;

/// The share of the aligned words in the support of a sentence; the rest is the cosine of the sentences.
const OF_WORDS: f64 = 0.7;
/// Cosines of sentences below the first say nothing; from the second on they mean the same.
const COSINES: [f64; 2] = [0.2, 0.85];
/// What a word counts that is held by another candidate than the best.
const ELSEWHERE: f64 = 0.9;
/// Supported from here on, until a threshold is calibrated.
pub const SUPPORTED: f64 = 0.5;
/// Below this support there is no evidence to speak of.
const EVIDENCE: f64 = 0.25;
/// The most sentences of an answer that are checked.
const SENTENCES_MAX: usize = 500;

/// What is said of a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The contexts say so.
    Supported,
    /// The contexts say otherwise.
    Contradicted,
    /// The contexts speak of the matter, but do not say so.
    Unsupported,
    /// Nothing in the contexts is near, or the sentence says nothing that can be checked.
    Unsure,
}

/// A sentence of an answer, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked<'a> {
    /// The sentence.
    pub text: &'a str,
    /// How well it is held, 0 to 1; `None` when it says nothing that can be checked.
    pub score: Option<f64>,
    /// What that means.
    pub verdict: Verdict,
    /// What speaks against it.
    pub findings: Vec<Finding>,
}

/// The language of a text by its words without content, which short texts have, too; `None` when two languages have as many.
pub fn language(text: &str) -> Option<Lang> {
    words::language(words::tokens(text).iter().map(|t| t.folded.as_str()))
}

/// How well the contexts hold an answer: the mean of its sentences, 0 to 1.
///
/// # Errors
/// The reason why there is no score, as a clause.
pub fn faithfulness(question: &str, answer: &str, contexts: &[String], near: &dyn SentenceVectors) -> Result<f64, &'static str> {
    let scores: Vec<f64> = check(question, answer, contexts, near)?.iter().filter_map(|c| c.score).collect();
    if scores.is_empty() {
        return Err("no sentence of the answer says anything that can be checked");
    }
    Ok(scores.iter().sum::<f64>() / scores.len() as f64)
}

/// Every sentence of an answer, held against the contexts.
///
/// # Errors
/// The reason why nothing can be said, as a clause.
pub fn check<'a>(
    question: &str,
    answer: &'a str,
    contexts: &[String],
    near: &dyn SentenceVectors,
) -> Result<Vec<Checked<'a>>, &'static str> {
    if answer.trim().is_empty() {
        return Err("the answer is empty");
    }
    if contexts.iter().all(|c| c.trim().is_empty()) {
        return Err("no context was retrieved");
    }
    if refusal::is_refusal(answer) {
        return Err("the answer declines to answer");
    }
    let said: Vec<&str> = support::pieces(answer).take(SENTENCES_MAX + 1).collect();
    if said.len() > SENTENCES_MAX {
        return Err("the answer has more than 500 sentences");
    }
    let all = words::tokens(answer);
    let lang = words::language(all.iter().map(|t| t.folded.as_str()));
    // Every sentence, then its parts: a sentence may join what two sentences of a context say, each about the other.
    let parts: Vec<Vec<&str>> = said.iter().map(|text| words::statements(text, lang)).collect();
    let sought: Vec<&str> = said.iter().copied().chain(parts.iter().flatten().copied()).collect();
    let evidence = Evidence::gather(&sought, question, contexts, lang, near);
    let mut checked = sought.iter().zip(&evidence.claims).map(|(text, claim)| one(text, claim, &evidence, near));
    let whole: Vec<Checked<'a>> = checked.by_ref().take(said.len()).collect();
    Ok(whole.into_iter().zip(parts).map(|(whole, parts)| worst(whole, checked.by_ref().take(parts.len()))).collect())
}

/// A sentence by its parts, where it has any: the worst that something speaks against, else the mean.
fn worst<'a>(whole: Checked<'a>, parts: impl Iterator<Item = Checked<'a>>) -> Checked<'a> {
    let parts: Vec<Checked<'a>> = parts.filter(|p| p.score.is_some()).collect();
    if parts.is_empty() {
        return whole;
    }
    let score = mean(parts.iter().filter_map(|p| p.score));
    // The whole sees what stands across its parts; its quantities and words may come from two sentences of a context.
    let across =
        |f: &Finding| matches!(f, Finding::Role | Finding::Negation | Finding::Share | Finding::Limit | Finding::Addition);
    let text = whole.text;
    let whole = Some(whole).filter(|w| w.findings.iter().any(across));
    let against = parts.into_iter().chain(whole).filter(|p| !p.findings.is_empty());
    match against.min_by(|a, b| a.score.partial_cmp(&b.score).unwrap_or(Ordering::Equal)) {
        Some(part) => Checked { text, ..part },
        None => judged(text, score, score, Vec::new()),
    }
}

fn one<'a>(text: &'a str, claim: &support::Claim, evidence: &Evidence, near: &dyn SentenceVectors) -> Checked<'a> {
    let said = &claim.sentence;
    let nothing = said.words.is_empty() && said.quantities.is_empty();
    let candidates = evidence.candidates(claim, near);
    let mut ranked: Vec<_> = candidates.iter().map(|c| (c, align(said, &c.sentence))).collect();
    ranked.sort_by(|a, b| support_of(said, b).total_cmp(&support_of(said, a)));
    let Some(((best, held), rest)) = ranked.split_first().filter(|_| !nothing) else {
        return Checked { text, score: None, verdict: Verdict::Unsure, findings: Vec::new() };
    };
    let mut anywhere: Vec<f64> = held.iter().map(|h| h.map_or(0.0, |h| h.alike)).collect();
    for (_, held) in rest {
        anywhere.iter_mut().zip(held).for_each(|(best, h)| *best = best.max(h.map_or(0.0, |h| h.alike * ELSEWHERE)));
    }
    let others: Vec<&support::Candidate> = rest.iter().map(|(c, _)| *c).collect();
    let case = veto::Case { claim: said, best: &best.sentence, held, others: &others, evidence, anywhere: &anywhere };
    let findings = veto::findings(&case);
    let firm = held.iter().flatten().filter(|h| h.alike >= support::FORM).count();
    let shared = firm as f64 / held.len().max(1) as f64;
    let base =
        OF_WORDS * mean(anywhere.iter().copied().chain(numbers(said, &best.sentence))) + (1.0 - OF_WORDS) * scaled(best.cosine);
    let score = base * veto::left(&findings, shared);
    judged(text, base, score, findings)
}

fn judged(text: &str, base: f64, score: f64, findings: Vec<Finding>) -> Checked<'_> {
    let verdict = match () {
        () if base < EVIDENCE => Verdict::Unsure,
        () if findings.iter().any(|f| f.contradicts()) => Verdict::Contradicted,
        () if score >= SUPPORTED => Verdict::Supported,
        () => Verdict::Unsupported,
    };
    Checked { text, score: Some(score.clamp(0.0, 1.0)), verdict, findings }
}

/// How well one candidate holds a claim, before anything speaks against it.
fn support_of(said: &Sentence, (candidate, held): &(&support::Candidate, Vec<Option<support::Held>>)) -> f64 {
    let alike = held.iter().map(|h| h.map_or(0.0, |h| h.alike));
    OF_WORDS * mean(alike.chain(numbers(said, &candidate.sentence))) + (1.0 - OF_WORDS) * scaled(candidate.cosine)
}

/// 1 for every quantity of the claim that the candidate has, 0 for every other; rates are left out, and how often where the candidate
/// says of nothing how often.
fn numbers(said: &Sentence, candidate: &Sentence) -> impl Iterator<Item = f64> {
    // A loss of 20 is −20, and 20 degrees are no −20.
    let same = |q: &quantity::Quantity, o: &quantity::Quantity| match quantity::compare(q, o) {
        quantity::Match::Sign => q.unit != quantity::Unit::Degrees,
        found => found == quantity::Match::Same,
    };
    let has = move |q: &quantity::Quantity| candidate.quantities.iter().any(|o| same(q, o));
    let often = |s: &Sentence| s.quantities.iter().any(|q| q.unit == quantity::Unit::Often);
    let counts = often(candidate);
    said.quantities.iter().filter(move |q| !q.soft && (counts || q.unit != quantity::Unit::Often)).map(move |q| f64::from(has(q)))
}

fn scaled(cosine: f64) -> f64 {
    ((cosine - COSINES[0]) / (COSINES[1] - COSINES[0])).clamp(0.0, 1.0)
}

/// The mean; of nothing 1: what else there is decides.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, n) = values.fold((0.0, 0.0), |(sum, n), v| (sum + v, n + 1.0));
    if n > 0.0 { sum / n } else { 1.0 }
}

/// How well an answer speaks to its question, 0 to 1: the cosine of the two and the share of the question's words that the answer
/// takes up; 0 for an answer that declines.
///
/// # Errors
/// The reason why there is no score, as a clause.
pub fn relevancy(question: &str, answer: &str, near: &dyn SentenceVectors) -> Result<f64, &'static str> {
    if answer.trim().is_empty() {
        return Err("the answer is empty");
    }
    if refusal::is_refusal(answer) {
        return Ok(0.0);
    }
    let asked = Sentence::of(question, None, near);
    if asked.words.is_empty() {
        return Err("the question has no word to look for");
    }
    let (mut a, mut q) = (vec![0.0; near.dimensions()], vec![0.0; near.dimensions()]);
    near.sentence_vector(question, &mut q);
    let mut best: Option<f64> = None;
    for piece in support::pieces(answer).take(SENTENCES_MAX) {
        near.sentence_vector(piece, &mut a);
        let said = Sentence::of(piece, asked.lang, near);
        let taken = align(&asked, &said).into_iter().map(|h| h.map_or(0.0, |h| h.alike));
        let score = 0.5 * mean(taken) + 0.5 * scaled(dot(&a, &q));
        best = Some(best.map_or(score, |b| b.max(score)));
    }
    Ok(best.unwrap_or(0.0).clamp(0.0, 1.0))
}
