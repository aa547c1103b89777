//! Scoring 1,000 rows by seven metrics: of answers alone, and of answers and long retrieved contexts.

use crate::line::{Bar, Line};
use crate::measure::{Of, Sample, median};
use kf::adapters::embedder::builtin::builtin;
use kf::base::error::{Context as _, Error, Result};
use kf::domain::eval::metrics::{MetricId, Near};
use kf::domain::eval::score::{How, score_all};
use kf::domain::golden::{Answer, Row};
use std::collections::HashMap;
use std::path::Path;

/// Rows.
const ROWS: usize = 1000;

/// Words of an answer and of its reference.
const WORDS: usize = 60;

/// The first 700 words of a language made up here: long-tailed, as words are.
const VOCABULARY: usize = 700;

/// Metrics of answers alone.
const OF_ANSWERS: [MetricId; 7] = [
    MetricId::ExactMatch,
    MetricId::TokenF1,
    MetricId::Bleu,
    MetricId::Rouge1,
    MetricId::Rouge2,
    MetricId::RougeL,
    MetricId::Chrf,
];

/// Metrics of which two compare texts of pages.
const OF_CONTEXTS: [MetricId; 7] = [
    MetricId::ExactMatch,
    MetricId::TokenF1,
    MetricId::Bleu,
    MetricId::RougeL,
    MetricId::Chrf,
    MetricId::ContextPrecision,
    MetricId::ContextRecall,
];

/// Contexts that each row retrieved.
const CONTEXTS: usize = 5;

/// Bytes of the shortest context and by how many the longest has more.
const CONTEXT_BYTES: [usize; 2] = [2000, 6000];

pub(crate) fn run() -> Result<Vec<Line>> {
    let prose = prose()?;
    let (mut rows, mut answers) = (Vec::new(), HashMap::new());
    for i in 0..ROWS {
        rows.push(row(i));
        answers.insert(rows[i].id.clone(), answer(i));
    }
    let of_answers = score(&rows, &answers, &OF_ANSWERS)?;
    for (i, row) in rows.iter_mut().enumerate() {
        let contexts: Vec<String> = (0..CONTEXTS).map(|j| chunk(&prose, i * CONTEXTS + j, 0)).collect();
        // One reference is a chunk that was retrieved, cut elsewhere; one was not retrieved.
        row.reference_contexts = vec![chunk(&prose, i * CONTEXTS + i % CONTEXTS, 7), chunk(&prose, (ROWS + i) * CONTEXTS, 0)];
        answers.entry(row.id.clone()).or_default().contexts = contexts;
    }
    let of_contexts = score(&rows, &answers, &OF_CONTEXTS)?;
    let of_proxies = proxies(&mut rows, &answers)?;
    let words = format!("{WORDS} words each, one thread");
    let kilobytes = format!("{CONTEXTS} contexts of 2 to 8 kB and 2 references, one thread");
    Ok(vec![
        Line::timed("score: 1,000 rows × 7 metrics", of_answers, Bar::CpuMs(300.0)).noted(words),
        Line::timed("score: … with long contexts", of_contexts, Bar::CpuMs(300.0)).noted(kilobytes.clone()),
        Line::timed("score: 1,000 rows × 2 offline proxies", of_proxies, Bar::CpuMs(3000.0)).noted(kilobytes),
    ])
}

/// The offline proxies on the same contexts: answers of two sentences taken from a context, with a number that it does not have.
fn proxies(rows: &mut [Row], answers: &HashMap<String, Answer>) -> Result<Sample> {
    let mut said = answers.clone();
    for row in rows.iter_mut() {
        let answer = said.entry(row.id.clone()).or_default();
        let context = answer.contexts.first().map_or("", String::as_str);
        let sentence = &context[..context.ceil_char_boundary(context.len().min(240))];
        answer.answer = Some(format!("{sentence}. This takes 217 seconds and is not paid by the owner of the version."));
        row.question = "How long does it take and who pays for it?".into();
    }
    let how = How { k: 5, near: Some(Near(builtin())) };
    let metrics = [MetricId::FaithfulnessProxy, MetricId::RelevancyProxy];
    median(Of::Own, 1, || {
        let scores = score_all(rows, &said, &metrics, how, 1);
        match scores.rows.iter().filter(|r| r.value.is_some()).count() {
            n if n == ROWS * metrics.len() => Ok(()),
            n => Err(Error::new(format!("only {n} of {} scores were computed", ROWS * metrics.len()))),
        }
    })
}

fn score(rows: &[Row], answers: &HashMap<String, Answer>, metrics: &[MetricId]) -> Result<Sample> {
    median(Of::Own, 1, || {
        let scores = score_all(rows, answers, metrics, 5, 1);
        match scores.rows.iter().filter(|r| r.value.is_some()).count() {
            n if n == ROWS * metrics.len() => Ok(()),
            n => Err(Error::new(format!("only {n} of {} scores were computed", ROWS * metrics.len()))),
        }
    })
}

/// English as people write it: kf's own pages, one after the other.
fn prose() -> Result<String> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let entries = std::fs::read_dir(&docs).context(|| "cannot list docs/")?;
    let mut pages: Vec<_> = entries.flatten().map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "md")).collect();
    pages.sort();
    let texts: Result<Vec<String>> =
        pages.iter().map(|p| std::fs::read_to_string(p).context(|| format!("cannot read {}", p.display()))).collect();
    Ok(texts?.concat())
}

/// A piece of the prose; `percent` of its length further on than the piece of this number.
fn chunk(prose: &str, number: usize, percent: usize) -> String {
    let [least, more] = CONTEXT_BYTES;
    let scattered = number.wrapping_mul(2_654_435_761);
    let length = least + (scattered >> 8) % more;
    let from = (scattered >> 3) % (prose.len() - 2 * (least + more)) + length * percent / 100;
    prose[prose.ceil_char_boundary(from)..prose.ceil_char_boundary(from + length)].to_owned()
}

fn row(i: usize) -> Row {
    Row { id: format!("q{i}"), question: format!("question {i}"), references: vec![text(i, 0)], ..Row::default() }
}

/// An answer that shares about two words of three with its reference, in order.
fn answer(i: usize) -> Answer {
    Answer { answer: Some(text(i, 3)), ..Answer::default() }
}

fn text(seed: usize, every: usize) -> String {
    let word = |j: usize| {
        let other = every > 0 && j.is_multiple_of(every);
        let x = seed.wrapping_mul(6_364_136_223).wrapping_add(j.wrapping_mul(1_442_695_041)).wrapping_add(usize::from(other));
        // Squaring a uniform number makes low ranks frequent.
        let rank = (x >> 7) % VOCABULARY;
        format!("w{}rd", rank * rank / VOCABULARY)
    };
    (0..WORDS).map(word).collect::<Vec<_>>().join(" ")
}
