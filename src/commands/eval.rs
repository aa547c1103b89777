//! `kf eval`: scores of one version on a golden dataset, compared with production, with the gates they decide.

use super::promote::gate_table;
use super::version_doc::VersionDoc;
use crate::base::digest::Digest;
use crate::base::error::{Context, Error, Result};
use crate::base::exit::Exit;
use crate::base::name::Stage;
use crate::base::reference::Reference;
use crate::base::table::Table;
use crate::base::text::{count, ellipsis};
use crate::base::verdict::Verdict;
use crate::cli::complete;
use crate::cli::cx::Cx;
use crate::cli::progress;
use crate::cli::report::{self, Block, Report};
use crate::config::System;
use crate::domain::eval::gate::Judged;
use crate::domain::eval::record::Evaluation;
use crate::domain::eval::score::Scores;
use crate::domain::eval::{html, junit};
use crate::domain::golden::{Answer, Mapped, Mapping, Override, Unmatched};
use crate::domain::registry::table::{self, VersionRow};
use crate::release::eval_view::{Parts, view};
use crate::release::evaluate::{self, Compared, Loaded, ReportFile};
use crate::release::gates::Fresh;
use crate::release::{gates, system};
use crate::store::objects::{Objects, atomic};
use crate::store::{Mode, Store};
use clap_complete::engine::ArgValueCompleter;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

/// Score a version on a golden dataset, compare it with production, judge its gates
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf eval support-bot --answers answers.jsonl\n  kf eval support-bot@1.2.0 --dataset golden@2.0.0 --report junit=eval.xml --report html=eval.html\n  kf eval support-bot --metric token-f1 --metric ndcg --k 10 --gate production\n\nExits 3 when a gate fails, 4 when one is inconclusive."
)]
pub(crate) struct Args {
    /// The version
    #[arg(add = ArgValueCompleter::new(complete::references))]
    reference: Reference,
    /// The golden dataset: a file, or a registered dataset (default: `golden.dataset` in mlops.toml)
    #[arg(long, value_name = "D")]
    dataset: Option<String>,
    /// Recorded answers (JSON, JSONL or CSV), joined by id or question
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
    /// Only this metric; again for more (default: all that the data allows)
    #[arg(long = "metric", value_name = "NAME")]
    metrics: Vec<String>,
    /// How much of a ranking counts
    #[arg(long, default_value_t = K, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    k: u16,
    /// Read this column as this field, COLUMN=FIELD; again for more
    #[arg(long = "map", value_name = "COLUMN=FIELD", value_parser = override_of)]
    map: Vec<Override>,
    /// Judge the gates of this stage (default: the next one)
    #[arg(long, value_name = "STAGE", value_parser = stage_of, conflicts_with = "no_gates", add = ArgValueCompleter::new(complete::stages))]
    gate: Option<Stage>,
    /// Judge no gates
    #[arg(long)]
    no_gates: bool,
    /// Also write the report to a file: junit, html, markdown or json; again for more
    #[arg(long = "report", value_name = "KIND=PATH", value_parser = report_of)]
    reports: Vec<ReportFile>,
    /// List every row with its scores
    #[arg(long)]
    rows: bool,
}

fn override_of(text: &str) -> Result<Override, String> {
    text.parse()
        .map_err(|e: Error| std::iter::once(e.to_string()).chain(e.hints().iter().cloned()).collect::<Vec<_>>().join("; "))
}

/// How much of a ranking counts when nothing else is said.
const K: u16 = 5;

const KINDS: [&str; 4] = ["junit", "html", "markdown", "json"];

fn report_of(text: &str) -> Result<ReportFile, String> {
    let (kind, path) = text.split_once('=').ok_or("expected KIND=PATH")?;
    if !KINDS.contains(&kind) {
        return Err(format!("`{kind}` is not one of: {}", KINDS.join(", ")));
    }
    Ok(ReportFile { kind: kind.to_owned(), path: path.into() })
}

#[derive(Serialize)]
struct RowDoc {
    id: String,
    scores: BTreeMap<String, Option<f64>>,
    unscored: BTreeMap<String, String>,
}

/// Why there is no answer, and to how many rows.
#[derive(Serialize)]
struct FailureDoc {
    reason: String,
    rows: usize,
}

#[derive(Serialize)]
struct Evaluated {
    version: VersionDoc,
    evaluation: Evaluation,
    mapping: Mapping,
    answers_mapping: Option<Mapping>,
    failures: Vec<FailureDoc>,
    production: Option<VersionDoc>,
    comparison: Option<Vec<Compared>>,
    stage: Option<Stage>,
    verdict: Verdict,
    gates: Vec<Judged>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<Vec<RowDoc>>,
}

impl Report for Evaluated {
    const SCHEMA: &'static str = "kf.eval/1";

    fn blocks(&self) -> Vec<Block> {
        let e = &self.evaluation;
        let mut lines = vec![format!(
            "{} on {} ({}, {}), answers: {}",
            self.version.reference(),
            e.dataset,
            count(rows_of(e), "row"),
            e.dataset_digest.short(),
            e.system
        )];
        lines.extend(read_as("read as", &self.mapping));
        lines.extend(self.answers_mapping.as_ref().and_then(|m| read_as("answers read as", m)));
        lines.extend(
            self.failures.iter().take(FAILURES_SHOWN).map(|f| format!("no answer to {}: {}", count(f.rows, "row"), f.reason)),
        );
        let mut blocks = vec![lines.join("\n").into(), metric_table(e).into()];
        if let (Some(production), Some(compared)) = (&self.production, &self.comparison) {
            blocks.push(compared_table(production, compared).into());
        }
        if let Some(rows) = &self.rows {
            blocks.push(row_table(rows).into());
        }
        if !self.gates.is_empty() {
            blocks.push(gate_table(&self.gates).titled(format!("gates of {}", self.stage.map_or("", Stage::word))).into());
        }
        blocks.push(self.summary().into());
        blocks
    }

    fn summary(&self) -> String {
        let v = self.version.reference();
        match (self.stage, self.gates.is_empty()) {
            (Some(stage), false) => format!(
                "{v}: the gates of {stage} {}",
                match self.verdict {
                    Verdict::Pass => "pass",
                    Verdict::Fail => "fail",
                    Verdict::Inconclusive => "are inconclusive",
                }
            ),
            _ => format!("{v}: {} recorded", count(self.evaluation.metrics.len(), "metric")),
        }
    }

    fn exit(&self) -> Exit {
        self.verdict.into()
    }

    fn outputs(&self) -> Vec<(&'static str, String)> {
        vec![("version", self.version.version.to_string()), ("evaluation", self.evaluation.id.clone())]
    }

    fn annotations(&self) -> Vec<(Option<String>, String, String)> {
        super::promote::gate_annotations(&self.gates)
    }
}

/// The fields that were read under another name than their own, or for a reason.
fn read_as(what: &str, mapping: &Mapping) -> Option<String> {
    // Its own name in another number, case or spelling says nothing that a reader does not see.
    let plain = |name: &str| name.to_lowercase().replace(['-', ' '], "_").trim_end_matches('s').to_owned();
    let told = |m: &&Mapped| plain(&m.source) != plain(m.field.word()) || m.note.is_some();
    let one = |m: &Mapped| match &m.note {
        Some(note) => format!("{} → {} ({note})", m.source, m.field),
        None => format!("{} → {}", m.source, m.field),
    };
    let mapped: Vec<String> = mapping.used.iter().filter(told).map(one).collect();
    (!mapped.is_empty()).then(|| format!("{what}: {}", mapped.join(", ")))
}

/// How many different reasons a person is shown.
const FAILURES_SHOWN: usize = 3;

/// Why answers are missing, the most frequent reason first.
fn failures(answers: &HashMap<String, Answer>) -> Vec<FailureDoc> {
    let mut counted: BTreeMap<&str, usize> = BTreeMap::new();
    for reason in answers.values().filter(|a| a.answer.is_none()).filter_map(|a| a.error.as_deref()) {
        *counted.entry(reason).or_default() += 1;
    }
    let mut failures: Vec<_> = counted.into_iter().map(|(r, rows)| FailureDoc { reason: r.to_owned(), rows }).collect();
    failures.sort_by_key(|f| std::cmp::Reverse(f.rows));
    failures
}

fn rows_of(e: &Evaluation) -> usize {
    usize::try_from(e.rows).unwrap_or(0)
}

fn number(value: f64) -> String {
    if value.abs() >= 1000.0 { format!("{value:.1}") } else { format!("{value:.4}") }
}

fn range(low: Option<f64>, high: Option<f64>) -> String {
    low.zip(high).map(|(l, h)| format!("{} … {}", number(l), number(h))).unwrap_or_default()
}

fn metric_table(e: &Evaluation) -> Table {
    let mut t = Table::new(&["metric", ">mean", "95 % interval", ">scored", ">of"]);
    for m in &e.metrics {
        let mean = m.mean.map_or("unscored".to_owned(), number);
        t.row([m.metric.clone(), mean, range(m.low, m.high), m.n.to_string(), m.total.to_string()]);
    }
    t
}

fn compared_table(production: &VersionDoc, compared: &[Compared]) -> Table {
    let mut t = Table::new(&["metric", ">production", ">this", ">difference", "95 % interval", ">n", "verdict"])
        .titled(format!("against {} in production, paired by row", production.reference()));
    for c in compared {
        let needed = c.needed.map(|n| format!(", about {n} rows would decide")).unwrap_or_default();
        t.row([
            c.metric.clone(),
            number(c.production),
            number(c.candidate),
            format!("{:+.4}", c.difference),
            range(c.low, c.high),
            c.n.to_string(),
            format!("{}{needed}", c.verdict),
        ]);
    }
    t
}

fn row_table(rows: &[RowDoc]) -> Table {
    let names: Vec<&str> = rows.first().map(|r| r.scores.keys().map(String::as_str).collect()).unwrap_or_default();
    let columns: Vec<String> = std::iter::once("row".to_owned()).chain(names.iter().map(|n| format!(">{n}"))).collect();
    let mut t = Table::new(&columns.iter().map(String::as_str).collect::<Vec<_>>());
    for row in rows {
        let cells = row.scores.values().map(|s| s.map_or("unscored".to_owned(), number));
        t.row(std::iter::once(row.id.clone()).chain(cells));
    }
    t
}

fn stage_of(text: &str) -> Result<Stage, String> {
    Stage::of_release(text, "no gate guards")
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let config = cx.project()?;
    let (store, objects) = (cx.store(Mode::Write)?, cx.objects()?);
    let wanted = evaluate::metrics_of(&args.metrics)?;
    let version = store.read(|view| table::resolve(view, &args.reference))?;
    let dataset = args.dataset.clone().or_else(|| config.project.golden.dataset.as_ref().map(ToString::to_string));
    let dataset = dataset.ok_or_else(|| {
        Error::usage("no golden dataset named").hint("name one with `--dataset`, or set `[golden] dataset` in mlops.toml")
    })?;
    let map = overrides(args, &config.project.golden.map)?;
    let loaded = evaluate::load(&store, &objects, &config.root, &dataset, &map)?;
    let Answers { answers, system, mapping: answers_mapping } = answers(cx, args, &objects, &version, &loaded, &map)?;
    let scores = evaluate::score(&loaded, &answers, &wanted, usize::from(args.k), cx.jobs());
    let evaluation = evaluate::keep(&store, &version, &loaded, (&judge_of(args), system), &scores)?;
    let compared = evaluate::compare(&store, &version, &evaluation, &scores)?;
    let (stage, gates) = judge(cx, args, &store, &version, Fresh { evaluation: &evaluation, scores: &scores })?;
    let (production, comparison) = compared.map_or((None, None), |(p, c)| (Some(VersionDoc::from(&p)), Some(c)));
    let report = Evaluated {
        version: (&version).into(),
        mapping: loaded.golden.mapping.clone(),
        answers_mapping,
        failures: failures(&answers),
        production,
        comparison,
        stage,
        verdict: gates::overall(&gates),
        gates,
        rows: args.rows.then(|| row_docs(&scores)),
        evaluation,
    };
    let parts = Parts {
        version: &version,
        evaluation: &report.evaluation,
        loaded: &loaded,
        answers: &answers,
        scores: &scores,
        gates: &report.gates,
        compared: report.comparison.as_deref(),
    };
    for file in &args.reports {
        write_report(cx, file, &report, &parts)?;
    }
    cx.out.emit(&report)
}

/// Who judged. Another `--k` or `--map` measures something else, so that gates, which ask for the plain judge, take no notice.
fn judge_of(args: &Args) -> String {
    if args.k == K && args.map.is_empty() {
        return gates::DETERMINISTIC.to_owned();
    }
    let map = Digest::of(format!("{:?}", args.map).as_bytes());
    format!("{};k={};map={}", gates::DETERMINISTIC, args.k, if args.map.is_empty() { "none".to_owned() } else { map.short() })
}

/// The stage whose gates are judged, and their verdicts.
fn judge(cx: &Cx, args: &Args, store: &Store, version: &VersionRow, fresh: Fresh<'_>) -> Result<(Option<Stage>, Vec<Judged>)> {
    if args.no_gates {
        return Ok((None, Vec::new()));
    }
    let next = if version.stage == Stage::Staging { Stage::Production } else { Stage::Staging };
    let stage = match (args.gate, version.stage) {
        (Some(stage), _) => stage,
        (None, Stage::Production | Stage::Archived) => return Ok((None, Vec::new())),
        (None, _) => next,
    };
    let config = cx.project()?;
    let judged = store.read(|view| gates::judge_all(view, &config.project, &config.root, version, stage, Some(fresh)))?;
    Ok((Some(stage), judged))
}

/// What is asked for on the command line, then what mlops.toml says; of two for one column the first counts.
fn overrides(args: &Args, configured: &BTreeMap<String, String>) -> Result<Vec<Override>> {
    let mut map = args.map.clone();
    for (column, field) in configured {
        map.push(Override::new(column, field).context(|| format!("`golden.map.{column}` in mlops.toml is wrong"))?);
    }
    Ok(map)
}

struct Answers {
    answers: HashMap<String, Answer>,
    system: &'static str,
    /// How a file of recorded answers was read.
    mapping: Option<Mapping>,
}

fn answers(cx: &Cx, args: &Args, objects: &Objects, version: &VersionRow, loaded: &Loaded, map: &[Override]) -> Result<Answers> {
    if let Some(path) = &args.answers {
        let file = evaluate::answers_from_file(&cx.cwd.join(path), loaded, map)?;
        Mapping::check(&[&loaded.golden.mapping, &file.mapping])?;
        for warning in warnings(&path.display().to_string(), &loaded.dataset.name, &file.unmatched) {
            cx.out.note(&warning);
        }
        return Ok(Answers { answers: file.answers, system: "recorded", mapping: Some(file.mapping) });
    }
    Mapping::check(&[&loaded.golden.mapping])?;
    let config = cx.project()?;
    if config.project.system == System::Recorded {
        return recorded(loaded);
    }
    let files = evaluate::unpack(objects, version)?;
    let system = system::answerer(&config.project.system, version, &config.root, files.path(), &|r| cx.secret(r))?;
    let Some(system) = system else { return recorded(loaded) };
    let bar = progress::things(&cx.out, "answering", loaded.golden.rows.len() as u64);
    let answers = evaluate::answers_from(system.as_ref(), loaded, &|| bar.inc(1))?;
    bar.finish_and_clear();
    Ok(Answers { answers, system: system.kind(), mapping: None })
}

fn recorded(loaded: &Loaded) -> Result<Answers> {
    Ok(Answers { answers: evaluate::answers_in_dataset(loaded)?, system: "recorded", mapping: None })
}

/// One line for each reason why answers belong to no row.
fn warnings(file: &str, dataset: &str, unmatched: &[(usize, String, Unmatched)]) -> Vec<String> {
    let one = |(reason, rows, which): (Unmatched, &str, &str)| {
        let of: Vec<_> = unmatched.iter().filter(|(.., why)| *why == reason).collect();
        let (line, names, _) = of.first()?;
        let (n, names) = (count(of.len(), "answer"), ellipsis(names, 60));
        Some(format!("warning: {rows} of {dataset} for {n} of {file}{which}, the first on line {line}: `{names}`"))
    };
    [(Unmatched::NoRow, "no row", ""), (Unmatched::Ambiguous, "several rows", " without id")]
        .into_iter()
        .filter_map(one)
        .collect()
}

fn row_docs(scores: &Scores) -> Vec<RowDoc> {
    let mut docs: Vec<RowDoc> = Vec::new();
    for s in &scores.rows {
        if docs.last().is_none_or(|d| d.id != s.row) {
            docs.push(RowDoc { id: s.row.clone(), scores: BTreeMap::new(), unscored: BTreeMap::new() });
        }
        if let Some(doc) = docs.last_mut() {
            doc.scores.insert(s.metric.clone(), s.value);
            if let Some(reason) = &s.reason {
                doc.unscored.insert(s.metric.clone(), reason.clone());
            }
        }
    }
    docs
}

fn write_report(cx: &Cx, file: &ReportFile, report: &Evaluated, parts: &Parts<'_>) -> Result<()> {
    let text = match file.kind.as_str() {
        "junit" => junit::render(&view(parts))?,
        "html" => html::render(&view(parts))?,
        "markdown" => report::markdown(report),
        _ => serde_json::to_string_pretty(&report::json(report)?).context(|| "cannot write JSON")?,
    };
    let path = cx.output_path(&file.path)?;
    atomic::write_file(&path, text.as_bytes(), 0o644).context(|| format!("cannot write the report {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::golden::Field;

    #[test]
    fn answers_without_row_are_told_by_reason() {
        let unmatched = [(3, "r9", Unmatched::NoRow), (4, "twice", Unmatched::Ambiguous), (5, "r8", Unmatched::NoRow)];
        let unmatched = unmatched.map(|(line, names, why)| (line, names.to_owned(), why));
        assert_eq!(
            warnings("a.jsonl", "d.csv", &unmatched),
            [
                "warning: no row of d.csv for 2 answers of a.jsonl, the first on line 3: `r9`",
                "warning: several rows of d.csv for 1 answer of a.jsonl without id, the first on line 4: `twice`",
            ]
        );
        assert!(warnings("a.jsonl", "d.csv", &[]).is_empty());
    }

    #[test]
    fn what_was_read_as_something_else_is_told() {
        let mapped = |source: &str, field, note: Option<&str>| Mapped {
            source: source.into(),
            field,
            rows: 1,
            note: note.map(str::to_owned),
        };
        let used = vec![
            mapped("question", Field::Question, None),
            mapped("reference", Field::References, None),
            mapped("Context IDs", Field::ContextIds, None),
            mapped("ground_truth", Field::References, None),
            mapped("contexts", Field::Contexts, Some("as in ragas")),
        ];
        let mapping = Mapping { used, ..Mapping::default() };
        let told = "read as: ground_truth → references, contexts → contexts (as in ragas)";
        assert_eq!(read_as("read as", &mapping).as_deref(), Some(told));
        assert_eq!(read_as("read as", &Mapping::default()), None);
    }

    #[test]
    fn a_column_is_mapped_to_a_field_that_is_there() {
        assert_eq!(override_of("a=id"), Ok(Override::new("a", "id").expect("a field")));
        let e = override_of("a=idd").expect_err("no field");
        assert!(e.ends_with("; did you mean `id`?"), "{e}");
    }
}
