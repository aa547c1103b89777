//! `kf judge calibrate`: the judge of mlops.toml against rows that people labelled good or bad.

use crate::base::error::{Context, Error, Result};
use crate::base::exit::Exit;
use crate::base::table::Table;
use crate::base::text::{count, did_you_mean, visible};
use crate::cli::arg::{cache_of, told_in_a_line};
use crate::cli::cx::Cx;
use crate::cli::progress;
use crate::cli::report::{Block, Report};
use crate::domain::eval::judged::calibrate::{Agreement, Confusion, Figure};
use crate::domain::eval::judged::{self, JudgedId};
use crate::domain::eval::known::known;
use crate::domain::eval::score::ERROR;
use crate::domain::golden::{self, Answer, Override, Row};
use crate::release::calibration;
use crate::release::judging::{self, Bench, CacheMode, Outcome, Took};
use crate::store::Mode;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::PathBuf;

/// The fields that a label is looked for in.
const LABELS: [&str; 4] = ["label", "human", "human_label", "expected_verdict"];
/// The labels that are understood: good, and bad.
const GOOD: [&str; 6] = ["pass", "good", "yes", "true", "1", "correct"];
const BAD: [&str; 6] = ["fail", "bad", "no", "false", "0", "incorrect"];

/// Compare the judge with people's labels, and record how they agree
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf judge calibrate labels.jsonl\n  kf judge calibrate labels.csv --metric rubric --threshold 0.7 --map rating=label\n\nEach row has question, response, retrieved_contexts and reference as the metric needs them, and `label`: pass or fail.\nLabel 50 to 100 rows, among them as many bad ones as you can find. Exits 3 when the judge may not decide gates, 5 when it failed on so many rows that nothing is recorded."
)]
pub(crate) struct Args {
    /// Rows with labels (JSON, JSONL or CSV)
    labels: PathBuf,
    /// The metric that the judge gives
    #[arg(long, value_name = "NAME", default_value = "faithfulness", value_parser = metric_of)]
    metric: JudgedId,
    /// The score from which on a row counts as good; where less is better, up to which
    #[arg(long, value_name = "SCORE", default_value = "0.5", value_parser = threshold_of)]
    threshold: String,
    /// Read this column as this field, COLUMN=FIELD; `label` is a field here; again for more
    #[arg(long = "map", value_name = "COLUMN=FIELD")]
    map: Vec<String>,
    /// Answers of judges that are kept: read, write (read and add), only (ask nobody) or off
    #[arg(long, value_name = "USE", default_value = "write", value_parser = cache_of)]
    cache: CacheMode,
}

fn metric_of(text: &str) -> Result<JudgedId, String> {
    text.parse()
}

/// Kept as it is written, because the log keeps no numbers with a fraction.
fn threshold_of(text: &str) -> Result<String, String> {
    let fits = text.parse::<f64>().is_ok_and(|t| (0.0..=1.0).contains(&t));
    if fits { Ok(text.to_owned()) } else { Err("expected a score from 0 to 1".to_owned()) }
}

#[derive(Serialize)]
struct Calibrated {
    judge: String,
    metric: &'static str,
    threshold: String,
    labels: Value,
    rows: usize,
    /// Rows without a score, by reason.
    unscored: Vec<Unscored>,
    agreement: Agreement,
    /// Why gates do not go by this judge; `None` when they do.
    refused: Option<String>,
    took: Took,
    /// Rows on which the judge failed.
    errors: usize,
    /// Why nothing was recorded; `None` when it was.
    unrecorded: Option<String>,
    /// The entry of the audit log; 0 when nothing was recorded.
    event: i64,
    /// True when nobody was asked for what is not known.
    #[serde(skip)]
    dry: bool,
}

#[derive(Serialize)]
struct Unscored {
    reason: String,
    rows: usize,
}

impl Report for Calibrated {
    const SCHEMA: &'static str = "kf.judge-calibrate/1";

    fn blocks(&self) -> Vec<Block> {
        if self.dry && self.unrecorded.is_some() {
            return vec![self.summary().into()];
        }
        let c = self.agreement.confusion;
        let mut both = Table::new(&["", ">judge: good", ">judge: bad"]);
        both.row(["people: good".to_owned(), c.both_good.to_string(), c.person_good.to_string()]);
        both.row(["people: bad".to_owned(), c.judge_good.to_string(), c.both_bad.to_string()]);
        let mut figures = Table::new(&["figure", ">value", "95 % interval"]);
        let a = &self.agreement;
        for (name, figure) in [
            ("kappa", a.kappa),
            ("Matthews correlation", a.mcc),
            ("sensitivity", a.sensitivity),
            ("specificity", a.specificity),
            ("agreement", a.agreement),
        ] {
            figures.row([name.to_owned(), value(&figure), range(&figure)]);
        }
        let mut lines = vec![format!("{} by {} on {} labels, good from {}", self.judge, self.metric, a.n, self.threshold)];
        lines.extend(self.unscored.iter().map(|u| format!("{} without a score: {}", count(u.rows, "row"), u.reason)));
        vec![lines.join("\n").into(), both.into(), figures.into(), self.summary().into()]
    }

    fn summary(&self) -> String {
        match (&self.unrecorded, &self.refused) {
            (Some(why), _) => format!("nothing is recorded: {why}"),
            (None, None) => format!("gates may go by {} for {}", self.judge, self.metric),
            (None, Some(why)) => format!("gates do not go by {} for {}: {why}", self.judge, self.metric),
        }
    }

    fn exit(&self) -> Exit {
        if self.unrecorded.is_some() {
            return if self.dry { Exit::Ok } else { Exit::Partial };
        }
        let verdict = if self.refused.is_some() { Exit::No } else { Exit::Ok };
        verdict.and(if self.errors > 0 { Exit::Partial } else { Exit::Ok })
    }
}

fn value(figure: &Figure) -> String {
    figure.value.map_or_else(|| "—".to_owned(), |v| format!("{v:.4}"))
}

fn range(figure: &Figure) -> String {
    figure.low.zip(figure.high).map(|(l, h)| format!("{l:.4} … {h:.4}")).unwrap_or_default()
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let project = &cx.project()?.project;
    let (Some(judge), Some(name)) = (&project.judge, judging::name(project)?) else {
        return Err(Error::usage("mlops.toml names no judge").hint("add `[judge]` with `provider`, `model` and `api-key`"));
    };
    let (rows, labels, source) = labelled(cx, args)?;
    let answers: HashMap<String, Answer> = rows.iter().filter_map(|r| Some((r.id.clone(), Answer::of_row(r)?))).collect();
    // A dry run goes by what is known; nobody can be asked without a key, and then nobody has to be.
    let mode = if cx.global.dry_run { CacheMode::Only } else { args.cache };
    let bench = Bench {
        models: cx.models(&judge.models, mode != CacheMode::Only)?,
        settings: judging::settings(judge),
        min_coverage: judge.min_coverage,
        embedder: &*cx.embedder()?,
        metrics: vec![args.metric],
        repeat: 1,
        max_cost: None,
        cache: &cx.answers(mode)?,
    };
    cx.out.note(&judging::estimate(bench.judges(), &rows, &answers, None).to_string());
    let store = cx.store(Mode::Write)?;
    let bar = progress::things(&cx.out, "judging", rows.len() as u64);
    let outcome = judging::run(&bench, &rows, &answers, &|| bar.inc(1))?;
    bar.finish_and_clear();
    let (confusion, reasons) = compared(args, &outcome, &labels);
    let (errors, dry) = (outcome.errors.values().sum(), cx.global.dry_run);
    let unrecorded = match (errors, dry) {
        (0, _) => None,
        (n, true) => Some(format!("{} of {} would be asked for", n, count(rows.len(), "row"))),
        (n, false) => too_few(n, rows.len(), judge.min_coverage),
    };
    if errors == rows.len() && !dry {
        let why = reasons.first().map(|u| u.reason.strip_prefix(ERROR).unwrap_or(&u.reason)).unwrap_or_default();
        return Err(Error::new(format!("the judge failed on {}, so nothing is recorded: {why}", every_row(errors)))
            .hint("what was recorded before stays; run it again when the judge answers"));
    }
    let agreement = confusion.agreement();
    let metric = judged::info(args.metric).name;
    let event = match &unrecorded {
        None => store.write(|tx| Ok(calibration::record(tx, (&name, metric), &args.threshold, &source, &confusion)))?,
        Some(_) => 0,
    };
    cx.out.emit(&Calibrated {
        judge: name,
        metric,
        threshold: args.threshold.clone(),
        labels: source,
        rows: rows.len(),
        unscored: reasons,
        refused: agreement.refused(),
        agreement,
        took: outcome.total,
        errors,
        unrecorded,
        event,
        dry,
    })
}

/// The judge's scores beside people's labels, and why rows have none.
fn compared(args: &Args, outcome: &Outcome, labels: &[bool]) -> (Confusion, Vec<Unscored>) {
    let threshold: f64 = args.threshold.parse().unwrap_or(0.5);
    let higher = known(args.metric.word()).is_none_or(|m| m.higher_is_better());
    let mut confusion = Confusion::default();
    let mut reasons: Vec<Unscored> = Vec::new();
    for (score, label) in outcome.scores.rows.iter().zip(labels) {
        match (score.value, &score.reason) {
            (Some(value), _) => confusion.add(*label, if higher { value >= threshold } else { value <= threshold }),
            (None, reason) => {
                let reason = reason.clone().unwrap_or_default();
                match reasons.iter_mut().find(|u| u.reason == reason) {
                    Some(known) => known.rows += 1,
                    None => reasons.push(Unscored { reason, rows: 1 }),
                }
            }
        }
    }
    (confusion, reasons)
}

/// Why a judge that failed on so many rows is not compared with anybody: an outage must not take the place of a calibration.
#[expect(clippy::cast_precision_loss, reason = "counts of rows")]
fn too_few(errors: usize, rows: usize, min_coverage: f64) -> Option<String> {
    let answered = rows - errors;
    let share = answered as f64 / rows.max(1) as f64;
    (share < min_coverage).then(|| {
        let needed = min_coverage * 100.0;
        format!("the judge failed on {errors} of {}, `judge.min-coverage` asks for {needed} %", count(rows, "row"))
    })
}

fn every_row(n: usize) -> String {
    if n == 1 { "the one row".to_owned() } else { format!("all {n} rows") }
}

/// The rows, what people say of each, and what names the file.
fn labelled(cx: &Cx, args: &Args) -> Result<(Vec<Row>, Vec<bool>, Value)> {
    let name = args.labels.display().to_string();
    let bytes = std::fs::read(cx.cwd.join(&args.labels)).context(|| format!("cannot read the labels {name}"))?;
    // The label is no field of golden data, so a column that is mapped to it is looked for by its own name.
    let own: Vec<&str> = args.map.iter().filter_map(|m| m.strip_suffix("=label")).collect();
    let others = args.map.iter().filter(|m| !m.ends_with("=label"));
    let map: Vec<Override> =
        others.map(|m| m.parse::<Override>().map_err(|e| Error::usage(told_in_a_line(&e)))).collect::<Result<_>>()?;
    let data = golden::read(&name, &bytes, &map).map_err(|problems| {
        Error::new(format!("the labels {name} cannot be used:\n{problems}"))
            .hint("mend these lines; `--map COLUMN=FIELD` says which column is which field")
    })?;
    let mut labels = Vec::with_capacity(data.rows.len());
    for row in &data.rows {
        let found = own.iter().copied().chain(LABELS).find_map(|key| row.extra.get(key));
        let found = found.ok_or_else(|| {
            let fields: Vec<&String> = row.extra.keys().collect();
            let e = Error::new(format!("row {} of {name} has no `label`", visible(&row.id, 60)));
            let near = did_you_mean("label", fields.iter().map(|f| f.as_str()));
            e.hint(near.unwrap_or_else(|| "add `label` with pass or fail, or say `--map COLUMN=label`".to_owned()))
        })?;
        labels.push(good(found).ok_or_else(|| {
            Error::new(format!("row {} of {name} has the label `{}`", visible(&row.id, 60), visible(&found.to_string(), 40)))
                .hint("write `pass` or `fail`")
        })?);
    }
    let digest = data.digest;
    Ok((data.rows, labels, json!({"name": name, "digest": digest})))
}

/// What a label says; `None` when it is none.
fn good(label: &Value) -> Option<bool> {
    let word = match label {
        Value::Bool(flag) => return Some(*flag),
        Value::Number(number) => number.as_f64().map(|n| n.to_string())?,
        Value::String(text) => text.trim().to_lowercase(),
        _ => return None,
    };
    match (GOOD.contains(&word.as_str()), BAD.contains(&word.as_str())) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_words_numbers_and_flags() {
        for (label, want) in [
            (json!("Pass"), Some(true)),
            (json!(" bad "), Some(false)),
            (json!(1), Some(true)),
            (json!(0.0), Some(false)),
            (json!(true), Some(true)),
            (json!("maybe"), None),
            (json!(0.5), None),
            (json!(null), None),
        ] {
            assert_eq!(good(&label), want, "{label}");
        }
    }

    #[test]
    fn a_threshold_is_a_score() {
        assert_eq!(threshold_of("0.70").as_deref(), Ok("0.70"));
        for bad in ["", "1.1", "-0.1", "nan", "half"] {
            assert!(threshold_of(bad).is_err(), "{bad}");
        }
    }
}
