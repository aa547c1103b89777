//! Rendering a prompt: the slowest of a hundred, of a template as long as those of RAG systems are and with one of every kind of field.

use crate::line::{Bar, Line};
use crate::measure::Sample;
use kf::base::error::{Error, Result};
use kf::domain::prompt::render::{Compiled, Values};
use serde_json::{Value, json};
use std::time::Instant;

/// Renderings.
const RUNS: usize = 20_000;

/// Every kind of field among a page of text.
const TEMPLATE: &str = "You are the assistant of {company!r}. Answer {question} in {config[language][name]} from {passages[0]} and \
    {passages[1]:.200}. Prices: {price:>12,.2f} {price:e} {count:#010x} {share:.1%} {none!s:^9} {all}. {{literal}} {text:{width}.{width}} \
    Be brief, cite every passage that you use as [id], and say that you cannot answer when the passages do not answer the question. ";

/// How often the template is repeated.
const PARAGRAPHS: usize = 5;

pub(crate) fn run() -> Result<Vec<Line>> {
    let text = TEMPLATE.repeat(PARAGRAPHS);
    let compiled = Compiled::new(&text).map_err(|faults| Error::new(format!("{faults:?}")))?;
    let named = json!({
        "company": "Kestrel & Söhne", "question": "How long may a parcel be under way before I get my money back?",
        "config": {"language": {"name": "English"}}, "passages": ["A parcel takes thirty days. ".repeat(8), "Money comes back. ".repeat(20)],
        "price": 1234567.891, "count": 48_879, "share": 0.3725, "none": null, "all": {"a": [1, 2.5, true, "x"]}, "text": "cut here", "width": 6
    });
    let Value::Object(named) = named else { return Err(Error::new("the values are no map")) };
    let values = Values { positional: &[], named: &named };
    let mut times = Vec::with_capacity(RUNS);
    let mut bytes = 0;
    for _ in 0..RUNS {
        let started = Instant::now();
        let rendered = compiled.render(values).map_err(|fault| Error::new(fault.to_string()))?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
        bytes = rendered.len();
    }
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((RUNS - 1) as f64 * share) as usize];
    let mut parses = Vec::with_capacity(RUNS / 10);
    for _ in 0..RUNS / 10 {
        let started = Instant::now();
        Compiled::new(&text).map_err(|faults| Error::new(format!("{faults:?}")))?;
        parses.push(started.elapsed().as_secs_f64() * 1e3);
    }
    parses.sort_by(f64::total_cmp);
    let note = format!(
        "p50 {:.1} µs, p99 {:.1} µs; {} fields, {bytes} bytes; made ready in {:.0} µs",
        at(0.5) * 1e3,
        at(0.99) * 1e3,
        12 * PARAGRAPHS,
        parses[parses.len() / 2] * 1e3
    );
    let p99 = Sample { cpu_ms: at(0.99), wall_ms: at(0.99) };
    Ok(vec![Line::timed("render: p99 of a long prompt", p99, Bar::WallMs(0.05)).noted(note)])
}
