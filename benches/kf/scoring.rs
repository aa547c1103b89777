//! Scoring 1,000 rows by seven metrics.

use crate::line::{Bar, Line};
use crate::measure::{Of, median};
use kf::base::error::{Error, Result};
use kf::domain::eval::metrics::MetricId;
use kf::domain::eval::score::score_all;
use kf::domain::golden::{Answer, Row};
use std::collections::HashMap;

/// Rows.
const ROWS: usize = 1000;

/// Words of an answer and of its reference.
const WORDS: usize = 60;

/// The first 700 words of a language made up here: long-tailed, as words are.
const VOCABULARY: usize = 700;

const METRICS: [MetricId; 7] = [
    MetricId::ExactMatch,
    MetricId::TokenF1,
    MetricId::Bleu,
    MetricId::Rouge1,
    MetricId::Rouge2,
    MetricId::RougeL,
    MetricId::Chrf,
];

pub(crate) fn run() -> Result<Vec<Line>> {
    let rows: Vec<Row> = (0..ROWS).map(row).collect();
    let answers: HashMap<String, Answer> = rows.iter().enumerate().map(|(i, r)| (r.id.clone(), answer(i))).collect();
    let sample = median(Of::Own, 2, || {
        let scores = score_all(&rows, &answers, &METRICS, 5, 1);
        match scores.rows.iter().filter(|r| r.value.is_some()).count() {
            n if n == ROWS * METRICS.len() => Ok(()),
            n => Err(Error::new(format!("only {n} of {} scores were computed", ROWS * METRICS.len()))),
        }
    })?;
    let note = format!("{WORDS} words each, one thread");
    Ok(vec![Line::timed("score: 1,000 rows × 7 metrics", sample, Bar::CpuMs(300.0)).noted(note)])
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
