//! `kf eval`: scores of one version on a golden dataset, compared with production, with the gates they decide.

mod judging;
mod report;
mod suite;

use super::version_doc::VersionDoc;
use crate::base::error::{Context, Error, Result};
use crate::base::exit::Exit;
use crate::base::name::Stage;
use crate::base::reference::Reference;
use crate::base::text::{count, ellipsis};
use crate::cli::arg::{report_file, told_in_a_line};
use crate::cli::complete;
use crate::cli::cx::Cx;
use crate::cli::progress;
use crate::cli::report::{json, markdown};
use crate::config::System;
use crate::domain::eval::gate::Judged;
use crate::domain::eval::slice::Sliced;
use crate::domain::eval::suite::Suite;
use crate::domain::eval::{html, junit};
use crate::domain::golden::{Answer, Mapping, Override, Unmatched};
use crate::domain::registry::table::{self, VersionRow};
use crate::release::eval_view::{Parts, view};
use crate::release::evaluate::{self, Compared, Loaded, ReportFile};
use crate::release::gates::{Fresh, Reading};
use crate::release::{answer, gates, system};
use crate::seams::answerer::Answerer;
use crate::store::objects::Objects;
use crate::store::{Mode, Store};
use clap_complete::engine::ArgValueCompleter;
use report::{Evaluated, failures, row_docs};
use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;
use std::path::PathBuf;

/// Score a version on a golden dataset, compare it with production, judge its gates
#[derive(clap::Args, Debug)]
#[command(
    group(clap::ArgGroup::new("drawn").args(["sample", "suite"]).multiple(true)),
    after_long_help = "Examples:\n  kf eval support-bot --answers answers.jsonl\n  kf eval support-bot@1.2.0 --dataset golden@2.0.0 --report junit=eval.xml --report html=eval.html\n  kf eval support-bot --metric token-f1 --metric ndcg --k 10 --gate production\n  kf eval support-bot --metric faithfulness --sample 50 --seed 7 --max-cost 0.50\n  kf eval support-bot --suite robustness --limit 50\n  kf eval support-bot --cache only          no request to a judge: what was answered before\n\nExits 3 when a gate fails, 4 when one is inconclusive, 5 when a judge failed on some rows or stopped at --max-cost."
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
    /// Ask the system every row as it is and changed, and score how often the answer stays as it should: robustness (typos, other words,
    /// other contexts …) or bias (another name, gender, origin, age)
    #[arg(long, value_name = "SUITE", value_parser = suite_of, conflicts_with_all = ["answers", "repeat"])]
    suite: Option<Suite>,
    /// Only this metric; again for more (default: all that the data allows, proxies only where a gate names them)
    #[arg(long = "metric", value_name = "NAME")]
    metrics: Vec<String>,
    /// How much of a ranking counts (default: `golden.k` in mlops.toml, else 5)
    #[arg(long, value_name = "N")]
    k: Option<NonZeroU32>,
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
    /// List every language and tag with its own rows, against production
    #[arg(long)]
    slices: bool,
    #[command(flatten)]
    judging: judging::JudgeArgs,
}

fn override_of(text: &str) -> Result<Override, String> {
    text.parse().map_err(|e| told_in_a_line(&e))
}

fn suite_of(text: &str) -> Result<Suite, String> {
    text.parse()
}

const KINDS: [&str; 4] = ["junit", "html", "markdown", "json"];

fn report_of(text: &str) -> Result<ReportFile, String> {
    report_file(text, &KINDS)
}

fn stage_of(text: &str) -> Result<Stage, String> {
    Stage::of_release(text, "no gate guards")
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let config = cx.project()?;
    let paths = cx.report_paths(&args.reports)?;
    let (store, objects) = (cx.store(Mode::Write)?, cx.objects()?);
    let (wanted, asked) = evaluate::metrics_of(&args.metrics, &config.project.gates)?;
    let version = store.read(|view| table::resolve(view, &args.reference))?;
    let dataset = args.dataset.clone().or_else(|| config.project.golden.dataset.as_ref().map(ToString::to_string));
    let dataset = dataset.ok_or_else(|| {
        Error::usage("no golden dataset named").hint("name one with `--dataset`, or set `[golden] dataset` in mlops.toml")
    })?;
    let configured = Reading::configured(&config.project.golden)?;
    let mut reading = reading(args, &configured);
    let mut loaded = evaluate::load(&store, &objects, &config.root, &dataset, &reading.map)?;
    let own = args.suite.map(|suite| reading.judge_of(&suite.judge(args.judging.seed)));
    let selection = args.judging.selection(&store, &config.project, &version, (&loaded, &reading), own)?;
    // A file of answers is held against all rows, a system is asked those that were chosen.
    // A file of answers is held against all rows, a system is asked those that were chosen.
    let of_file = args.answers.as_ref().map(|_| answers(cx, args, &objects, &version, &loaded, &reading.map)).transpose()?;
    reading.rows = selection.apply(&mut loaded)?;
    let (answered, suite) = match args.suite {
        Some(suite) => suite::tried(cx, args, suite, (&objects, &version, &loaded), &reading)?,
        None => (of_file.map_or_else(|| answers(cx, args, &objects, &version, &loaded, &reading.map), Ok)?, None),
    };
    let Answers { mut answers, system, mapping: answers_mapping } = answered;
    let chosen: HashSet<&str> = loaded.golden.rows.iter().map(|r| r.id.as_str()).collect();
    answers.retain(|id, _| chosen.contains(id.as_str()));
    let system = system.as_str();
    let (scores, judging) = match &suite {
        Some(suite) => (suite.scores.clone(), None),
        None => {
            let asked = judging::wanted(&config.project, &version, (&args.metrics, asked));
            let scores = evaluate::score(&loaded, &answers, &wanted, reading.k, cx.jobs());
            (scores, args.judging.judge(cx, asked, &loaded, &answers)?)
        }
    };
    let by = suite.as_ref().map_or_else(|| reading.judge(), |suite| suite.judge(&reading));
    let evaluation = evaluate::keep(&store, &version, &loaded, (&by, system), &scores)?;
    let judged = match &judging {
        Some(j) => Some(evaluate::keep(&store, &version, &loaded, (&j.judge(&reading), system), &j.outcome.scores)?),
        None => None,
    };
    let judged_scores = judging.as_ref().map(|j| &j.outcome.scores);
    let must_pass = &evaluate::must_pass(&loaded);
    let mut fresh = vec![Fresh { evaluation: &evaluation, scores: &scores, must_pass }];
    fresh.extend(judged.as_ref().zip(judged_scores).map(|(evaluation, scores)| Fresh { evaluation, scores, must_pass }));
    let (production, comparison) = compare(&store, &version, &loaded, &fresh)?;
    let slices = args.slices.then(|| slices(&store, &version, &loaded, &fresh)).transpose()?;
    let (stage, gates) = judge(cx, args, &store, &version, &fresh)?;
    let report = Evaluated {
        version: (&version).into(),
        mapping: loaded.golden.mapping.clone(),
        answers_mapping,
        failures: failures(&answers),
        ignored: suite.as_ref().map_or_else(|| reading.ignored(&configured), |suite| suite.ignored(&reading, &configured)),
        production,
        comparison,
        stage,
        verdict: gates::overall(&gates),
        gates,
        slices,
        rows: args.judging.rows.map(|_| row_docs(&[&scores].into_iter().chain(judged_scores).collect::<Vec<_>>())),
        judging: judging.as_ref().map(|j| j.doc(&store)).transpose()?,
        suite: suite.map(suite::Ran::into_doc),
        evaluation,
        judged,
    };
    let parts = Parts {
        version: &version,
        evaluation: &report.evaluation,
        judged: report.judged.as_ref().zip(judged_scores),
        loaded: &loaded,
        answers: &answers,
        scores: &scores,
        gates: &report.gates,
        compared: report.comparison.as_deref(),
    };
    for (file, path) in args.reports.iter().zip(&paths) {
        let text = report_text(&file.kind, &report, &parts)?;
        cx.write_output(path, &text).context(|| format!("cannot write the report {}", path.display()))?;
    }
    cx.out.emit(&report)
}

/// The stage whose gates are judged, and their verdicts.
fn judge(cx: &Cx, args: &Args, store: &Store, version: &VersionRow, fresh: &[Fresh<'_>]) -> Result<(Option<Stage>, Vec<Judged>)> {
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
    let judged = store.read(|view| gates::judge_all(view, &config.project, &config.root, version, stage, fresh))?;
    Ok((Some(stage), judged))
}

/// What is asked for on the command line, then what mlops.toml says.
fn reading(args: &Args, configured: &Reading) -> Reading {
    let map = args.map.iter().chain(&configured.map).cloned().collect();
    Reading { k: args.k.unwrap_or(configured.k), map, rows: None }
}

/// The version in production with all metrics that both have, by name.
fn compare(
    store: &Store,
    version: &VersionRow,
    loaded: &Loaded,
    fresh: &[Fresh<'_>],
) -> Result<(Option<VersionDoc>, Option<Vec<Compared>>)> {
    let (mut production, mut all): (Option<VersionDoc>, Option<Vec<Compared>>) = (None, None);
    for one in fresh {
        if let Some((found, compared)) = evaluate::compare(store, version, one.evaluation, (loaded, one.scores))? {
            production = production.or_else(|| Some(VersionDoc::from(&found)));
            all.get_or_insert_default().extend(compared);
        }
    }
    if let Some(all) = &mut all {
        all.sort_by(|a, b| a.metric.cmp(&b.metric));
    }
    Ok((production, all))
}

/// Every slice of every metric.
fn slices(store: &Store, version: &VersionRow, loaded: &Loaded, fresh: &[Fresh<'_>]) -> Result<Vec<Sliced>> {
    let mut all = Vec::new();
    for one in fresh {
        all.extend(evaluate::slices(store, version, one.evaluation, (loaded, one.scores))?);
    }
    Ok(all)
}

/// How answers came that nobody was asked for.
const RECORDED: &str = "recorded";

struct Answers {
    answers: HashMap<String, Answer>,
    /// How they came; gates tell by it what they may rest on.
    system: String,
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
        return Ok(Answers { answers: file.answers, system: RECORDED.to_owned(), mapping: Some(file.mapping) });
    }
    Mapping::check(&[&loaded.golden.mapping])?;
    let found = live(cx, args, objects, version, &mut |system| asked(cx, system, loaded))?;
    let Some((answers, system)) = found else { return recorded(loaded) };
    Ok(Answers { answers, system, mapping: None })
}

/// Asks the system that answers for the version, and says how it is called; `None` where answers are recorded.
fn live<T>(
    cx: &Cx,
    args: &Args,
    objects: &Objects,
    version: &VersionRow,
    ask: &mut dyn FnMut(&dyn Answerer) -> Result<T>,
) -> Result<Option<(T, String)>> {
    let config = cx.project()?;
    if config.project.system == System::Recorded {
        return Ok(None);
    }
    let files = evaluate::unpack(objects, version)?;
    if config.project.system == System::Builtin {
        let (store, embedder, cache) = (cx.store(Mode::Read)?, cx.embedder()?, cx.kf_dir()?.join("cache").join("vectors"));
        let qdrant: answer::QdrantOf<'_> = &|scope| cx.qdrant_for(scope);
        let writer = args.judging.writer(cx)?;
        let model = writer.as_ref().map(|w| w.model.about().model.clone());
        let system = answer::builtin(&store, embedder.as_ref(), &config.project, version, files.path(), (cache, qdrant), writer)?;
        let found = ask(&system);
        cx.tell_of_engine(system.note());
        let kept = if system.cached() > 0 { gates::FROM_CACHE } else { "" };
        let name = model.map_or_else(|| system.kind().to_owned(), |m| format!("{}, {m}{kept}", system.kind()));
        return Ok(Some((found?, name)));
    }
    let system = system::answerer(&config.project.system, version, &config.root, files.path(), &|r| cx.secret(r))?;
    let Some(system) = system else { return Ok(None) };
    Ok(Some((ask(system.as_ref())?, system.kind().to_owned())))
}

fn asked(cx: &Cx, system: &dyn Answerer, loaded: &Loaded) -> Result<HashMap<String, Answer>> {
    let bar = progress::things(&cx.out, "answering", loaded.golden.rows.len() as u64);
    let answers = evaluate::answers_from(system, loaded, &|| bar.inc(1))?;
    bar.finish_and_clear();
    Ok(answers)
}

fn recorded(loaded: &Loaded) -> Result<Answers> {
    Ok(Answers { answers: evaluate::answers_in_dataset(loaded)?, system: RECORDED.to_owned(), mapping: None })
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

fn report_text(kind: &str, report: &Evaluated, parts: &Parts<'_>) -> Result<String> {
    match kind {
        "junit" => junit::render(&view(parts)),
        "html" => html::render(&view(parts)),
        "markdown" => Ok(markdown(report)),
        _ => serde_json::to_string_pretty(&json(report)?).context(|| "cannot write JSON"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_column_is_mapped_to_a_field_that_is_there() {
        assert_eq!(override_of("a=id"), Ok(Override::new("a", "id").expect("a field")));
        let e = override_of("a=idd").expect_err("no field");
        assert!(e.ends_with("; did you mean `id`?"), "{e}");
    }
}
