//! `kf eval`: scores of one version on a golden dataset, compared with production, with the gates they decide.

mod answering;
mod changed;
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
use crate::cli::report::{json, markdown};
use crate::config::{Loaded as Configured, Project, System};
use crate::domain::eval::attempts::{Attempted, attempted};
use crate::domain::eval::gate::Judged;
use crate::domain::eval::marks::Marks;
use crate::domain::eval::record::{Evaluation, STOPPED};
use crate::domain::eval::score::Scores;
use crate::domain::eval::slice::Sliced;
use crate::domain::eval::suite::Suite;
use crate::domain::eval::{html, junit};
use crate::domain::golden::{Answer, Mapping, Override, Unmatched};
use crate::domain::registry::table::{self, VersionRow};
use crate::release::answer::forecast::Forecast;
use crate::release::eval_view::{Parts, view};
use crate::release::evaluate::{self, Compared, Loaded, ReportFile};
use crate::release::gates::{Fresh, Reading};
use crate::release::kept::{Ending, Remembered};
use crate::release::{answer, gates, system};
use crate::seams::answerer::Answerer;
use crate::store::objects::Objects;
use crate::store::{Mode, Store};
use answering::AnsweringDoc;
use clap_complete::engine::ArgValueCompleter;
use report::{EstimateDoc, Evaluated, failures, row_docs};
use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;
use std::path::PathBuf;

/// Score a version on a golden dataset, compare it with production, judge its gates
#[derive(clap::Args, Debug)]
#[command(
    group(clap::ArgGroup::new("drawn").args(["sample", "suite"]).multiple(true)),
    after_long_help = "Examples:\n  kf eval support-bot --answers answers.jsonl\n  kf eval support-bot@1.2.0 --dataset golden@2.0.0 --report junit=eval.xml --report html=eval.html\n  kf eval support-bot --metric token-f1 --metric ndcg --k 10 --gate production\n  kf eval support-bot --metric faithfulness --sample 50 --seed 7 --max-cost 0.50\n  kf eval support-bot --suite robustness --limit 50\n  kf eval support-bot --cache only          no request to a judge: what was answered before\n  kf eval --changed                         what this branch changes, against what there was before\n  kf eval --changed=origin/main --format json > eval.json && kf ci comment eval.json\n\nExits 3 when a gate fails, 4 when one is inconclusive, 5 when a judge failed on some rows or stopped at --max-cost."
)]
pub(crate) struct Args {
    /// The version
    #[arg(required_unless_present = "changed", add = ArgValueCompleter::new(complete::references))]
    reference: Option<Reference>,
    /// Evaluate the models whose files changed since this branch parted from REF, each against what it was then; records nothing
    #[arg(
        long,
        value_name = "REF",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "",
        conflicts_with_all = ["reference", "slices", "rows", "suite"]
    )]
    changed: Option<String>,
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
    /// Only this metric, again for more; where all that are named are judged, every computed one too (default: all that the data allows,
    /// proxies only where a gate names them)
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
    match (&args.changed, &args.reference) {
        (Some(since), _) => changed::run(cx, args, since),
        (None, Some(reference)) => one(cx, args, reference),
        (None, None) => Err(Error::usage("no version named").hint("name one, or ask for what changed: `kf eval --changed`")),
    }
}

/// Evaluates one version and records it.
fn one(cx: &Cx, args: &Args, reference: &Reference) -> Result<Exit> {
    let config = cx.project()?;
    let paths = cx.report_paths(&args.reports)?;
    let (store, objects) = (cx.store(Mode::Write)?, cx.objects()?);
    let (wanted, asked) = evaluate::metrics_of(&args.metrics, &config.project.gates)?;
    let version = store.read(|view| table::resolve(view, reference))?;
    let dataset = dataset_of(args, &config.project)?;
    let configured = Reading::configured(&config.project.golden)?;
    let mut reading = reading(args, &configured);
    let mut loaded = evaluate::load(&store, &objects, &config.root, &dataset, &reading.map)?;
    let own = args.suite.map(|suite| reading.judge_of(&suite.judge(args.judging.seed)));
    let selection = args.judging.selection(&store, &config.project, &version, (&loaded, &reading), own)?;
    // A file of answers is held against all rows, a system is asked those that were chosen.
    let file = args.answers.as_ref().map(|path| cx.cwd.join(path));
    let whose = Whose { config, objects: &objects, version: &version, file, tells: true, leaves: true, called: None };
    let of_file = whose.file.as_ref().map(|_| answers(cx, args, &whose, &loaded, &reading.map)).transpose()?;
    reading.rows = selection.apply(&mut loaded)?;
    let (answered, suite) = match args.suite {
        Some(suite) => suite::tried(cx, args, suite, (&whose, &loaded), &reading)?,
        None => (of_file.map_or_else(|| answers(cx, args, &whose, &loaded, &reading.map), Ok)?, None),
    };
    let Answers { mut samples, system, mapping: answers_mapping, mut answering, ending, forecast } = answered;
    let coming = answering::coming(cx, forecast.as_ref());
    let unasked = coming.map_or(0, |coming| answering::leave_out(&mut samples, coming));
    answering.iter_mut().for_each(|a| a.leave(unasked));
    let stopped = args.judging.stopped_writing();
    answering.iter_mut().for_each(|a| a.stopped = stopped);
    let chosen: HashSet<&str> = loaded.golden.rows.iter().map(|r| r.id.as_str()).collect();
    samples.iter_mut().for_each(|answers| answers.retain(|id, _| chosen.contains(id.as_str())));
    let each: Vec<&HashMap<String, Answer>> = samples.iter().collect();
    let system = system.as_str();
    let (mut scores, (judging_takes, judging)) = match &suite {
        Some(suite) => (suite.scores.clone(), (None, None)),
        None => {
            let asked = judging::wanted(&config.project, &version, (&args.metrics, asked));
            let scores = evaluate::score(&loaded, &each, &wanted, reading.k, cx.jobs());
            (scores, args.judging.judge(cx, asked, &loaded, (&each, coming))?)
        }
    };
    answering::leave_out_rates(&mut scores, unasked);
    let by = suite.as_ref().map_or_else(|| reading.judge(), |suite| suite.judge(&reading));
    // What was asked for in part counts for no gate, by whomever it is scored.
    let whole = |judge: String| if stopped && !judge.ends_with(STOPPED) { judge + STOPPED } else { judge };
    let by = whole(by);
    let evaluation = evaluate::keep(&store, &version, &loaded, (&by, system), &scores)?;
    let judged = match &judging {
        Some(j) => Some(evaluate::keep(&store, &version, &loaded, (&whole(j.judge(&reading)), system), &j.outcome.scores)?),
        None => None,
    };
    // What was recorded has ended, whatever gates say of it.
    ending.map_or(Ok(()), |ending| ending.note())?;
    let answers = answering::shown(&samples);
    let judged_scores = judging.as_ref().map(|j| &j.outcome.scores);
    let marks = &Marks::of(&loaded.golden.rows);
    let mut fresh = vec![Fresh { evaluation: &evaluation, scores: &scores, marks }];
    fresh.extend(judged.as_ref().zip(judged_scores).map(|(evaluation, scores)| Fresh { evaluation, scores, marks }));
    let (production, comparison) = compare(&store, &version, &loaded, &fresh)?;
    let slices = args.slices.then(|| slices(&store, &version, &loaded, &fresh)).transpose()?;
    let (stage, gates) = if unasked > 0 { (None, Vec::new()) } else { judge(cx, args, &store, &version, &fresh)? };
    let report = Evaluated {
        dry_run: cx.global.dry_run,
        version: (&version).into(),
        mapping: loaded.golden.mapping.clone(),
        answers_mapping,
        estimate: cx.global.dry_run.then(|| EstimateDoc { answering: forecast.map(|f| f.estimate), judging: judging_takes }),
        answering,
        failures: failures(&each),
        unanswered: answers.values().filter(|a| a.answer.is_none()).count(),
        ignored: match &suite {
            None => reading
                .ignored(&configured)
                .map_or_else(|| elsewhere(&store, config, &version, (stage, &evaluation)), |why| Ok(Some(why)))?,
            Some(suite) => suite.ignored(&reading, &configured),
        },
        production,
        comparison,
        stage,
        verdict: gates::overall(&gates),
        gates,
        slices,
        rows: args.judging.rows.map(|_| row_docs(&[&scores].into_iter().chain(judged_scores).collect::<Vec<_>>())),
        judging: judging.as_ref().map(|j| j.doc(&store)).transpose()?,
        suite: suite.map(suite::Ran::into_doc),
        attempts: (samples.len() > 1).then(|| attempts(&config.project, marks, [Some(&scores), judged_scores])),
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

/// The golden dataset that is asked.
fn dataset_of(args: &Args, project: &Project) -> Result<String> {
    let dataset = args.dataset.clone().or_else(|| project.golden.dataset.as_ref().map(ToString::to_string));
    dataset.ok_or_else(|| {
        Error::usage("no golden dataset named").hint("name one with `--dataset`, or set `[golden] dataset` in mlops.toml")
    })
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

/// Why no gate of a stage goes by the dataset of an evaluation; `None` where one does, or there is none.
fn elsewhere(
    store: &Store,
    config: &Configured,
    version: &VersionRow,
    (stage, evaluation): (Option<Stage>, &Evaluation),
) -> Result<Option<String>> {
    let Some(stage) = stage else { return Ok(None) };
    let datasets = store.read(|view| gates::datasets(view, &config.project, &config.root, version, stage))?;
    if datasets.is_empty() || datasets.iter().any(|(_, digest)| *digest == Some(evaluation.dataset_digest)) {
        return Ok(None);
    }
    let names: Vec<&str> = datasets.keys().map(String::as_str).collect();
    Ok(Some(format!(
        "gates take no notice of this evaluation: they go by {}, and by what was recorded of it before",
        names.join(", ")
    )))
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

/// What several answers to each row come to, by every metric that says which of them pass.
fn attempts(project: &Project, marks: &Marks, scores: [Option<&Scores>; 2]) -> Vec<Attempted> {
    let limits = |metric: &str| judging::limits(project, metric);
    let mut all: Vec<Attempted> = scores.into_iter().flatten().flat_map(|s| attempted(s, marks, &limits)).collect();
    all.sort_by(|a, b| a.metric.cmp(&b.metric));
    all
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
    /// By row id, once for each time that the questions were asked; at least one.
    samples: Vec<HashMap<String, Answer>>,
    /// How they came; gates tell by it what they may rest on.
    system: String,
    /// How a file of recorded answers was read.
    mapping: Option<Mapping>,
    /// How a system was asked.
    answering: Option<AnsweringDoc>,
    /// What is to be noted once the evaluation is recorded.
    ending: Option<Ending>,
    /// What was known before anybody was asked; `None` where no model writes answers.
    forecast: Option<Forecast>,
}

impl Answers {
    fn recorded(answers: HashMap<String, Answer>, mapping: Option<Mapping>) -> Self {
        Self { samples: vec![answers], system: RECORDED.to_owned(), mapping, answering: None, ending: None, forecast: None }
    }
}

/// Whose answers are wanted: those of a version, as the configuration says that it stands in, or of a file.
struct Whose<'a> {
    config: &'a Configured,
    objects: &'a Objects,
    version: &'a VersionRow,
    file: Option<PathBuf>,
    /// Whether a person is told of answers in the file that belong to no row.
    tells: bool,
    /// Whether a cache of answers is begun where there is no `.kf`.
    leaves: bool,
    /// What a program or a service is told in the place of the number of the version, which is none that it could know.
    called: Option<&'a str>,
}

fn answers(cx: &Cx, args: &Args, whose: &Whose<'_>, loaded: &Loaded, map: &[Override]) -> Result<Answers> {
    let Whose { file, tells, .. } = whose;
    if let Some(path) = file {
        let file = evaluate::answers_from_file(path, loaded, map)?;
        Mapping::check(&[&loaded.golden.mapping, &file.mapping])?;
        let shown = args.answers.as_deref().unwrap_or(path).display().to_string();
        for warning in warnings(&shown, &loaded.dataset.name, &file.unmatched).iter().filter(|_| *tells) {
            cx.out.note(warning);
        }
        return Ok(Answers::recorded(file.answers, Some(file.mapping)));
    }
    Mapping::check(&[&loaded.golden.mapping])?;
    let found = live(cx, args, (whose, loaded), &mut |system, how| asked(cx, system, how, loaded))?;
    let Some(Live { found: answers, ending, forecast }) = found else { return recorded(loaded) };
    Ok(Answers { ending, forecast, ..answers })
}

/// Asks a system, which is called so and is asked so often.
type Ask<'a, T> = dyn FnMut(&dyn Answerer, (String, u32)) -> Result<T> + 'a;

/// What came of asking a system.
struct Live<T> {
    found: T,
    /// What is to be noted at the end.
    ending: Option<Ending>,
    /// What was known before it was asked.
    forecast: Option<Forecast>,
}

/// Asks the system that answers for the version, which is told how it is called and how often it is asked; `None` where answers are
/// recorded. What a model will take is told before it is asked.
fn live<T>(cx: &Cx, args: &Args, (whose, loaded): (&Whose<'_>, &Loaded), ask: &mut Ask<'_, T>) -> Result<Option<Live<T>>> {
    let Whose { config, objects, version, leaves, called, .. } = whose;
    if config.project.system == System::Recorded {
        return Ok(None);
    }
    let how = args.judging.kept(cx, *leaves);
    if config.project.system == System::Builtin {
        let files = evaluate::unpack(objects, version)?;
        let (store, embedder, cache) = (cx.store(Mode::Read)?, cx.embedder()?, cx.kf_dir()?.join("cache").join("vectors"));
        let qdrant: answer::QdrantOf<'_> = &|scope| cx.qdrant_for(scope);
        let writer = args.judging.writer(cx, &config.project, args.suite.is_some())?;
        let model = writer.as_ref().map(|w| w.model.about().model.clone());
        let system = answer::builtin(&store, embedder.as_ref(), &config.project, version, files.path(), (cache, qdrant), writer)?;
        // What is quoted is the same every time.
        let repeat = if model.is_some() { args.judging.repeat } else { 1 };
        let name = model.map_or_else(|| system.kind().to_owned(), |model| format!("{}, {model}", system.kind()));
        let forecast = answering::forecast(cx, args, &system, loaded, repeat)?;
        let found = ask(&system, (name, repeat));
        cx.tell_of_engine(system.note());
        return Ok(Some(Live { found: found?, ending: None, forecast }));
    }
    let number = called.map_or_else(|| version.version.to_string(), str::to_owned);
    let named = (version.name.as_ref(), number.as_str());
    let Some(about) = system::identity(&config.project.system, named, &version.digest, &config.root)? else {
        return Ok(None);
    };
    // Where nobody may be asked, nothing is needed for asking.
    let files = if how.is_all() { None } else { Some(evaluate::unpack(objects, version)?) };
    let system = match &files {
        Some(files) => system::answerer_as(&config.project.system, named, &config.root, files.path(), &|r| cx.secret(r))?,
        None => None,
    };
    let kind = config.project.system.kind().word();
    let remembered = Remembered::open((system.as_deref(), kind, about), &cx.answers_file()?, how, &cx.clock)?;
    let found = ask(&remembered, (kind.to_owned(), args.judging.repeat))?;
    Ok(Some(Live { found, ending: Some(remembered.ending()), forecast: None }))
}

/// Asks a system that is called `name` every question so often.
fn asked(cx: &Cx, system: &dyn Answerer, (name, repeat): (String, u32), loaded: &Loaded) -> Result<Answers> {
    let (rounds, answering) = answering::rounds(cx, system, loaded, repeat)?;
    let kept = if answering.has_kept() { gates::FROM_CACHE } else { "" };
    let samples = rounds.into_iter().map(|round| round.answers).collect();
    let system = format!("{name}{kept}");
    Ok(Answers { samples, system, mapping: None, answering: Some(answering), ending: None, forecast: None })
}

fn recorded(loaded: &Loaded) -> Result<Answers> {
    Ok(Answers::recorded(evaluate::answers_in_dataset(loaded)?, None))
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
