//! `kf prompt test`: a suite of prompts × providers × cases, with assertions on every answer.

use super::prompt;
use crate::base::error::{Context, Error, Kind, Result};
use crate::base::exit::Exit;
use crate::base::quantity::PicoUsd;
use crate::base::table::Table;
use crate::base::text::{count, ellipsis, fixed};
use crate::cli::arg::{cache_of, money_of, report_file};
use crate::cli::cx::Cx;
use crate::cli::progress;
use crate::cli::report::{Block, Report, json, markdown};
use crate::domain::prompt::suite::outcome::{Cell, End, Tally, tallies};
use crate::domain::prompt::suite::{From, PromptSource, junit};
use crate::domain::registry::table;
use crate::release::calibration;
use crate::release::evaluate::{self, ReportFile};
use crate::release::judging::CacheMode;
use crate::release::prompt_suite::{self, Choice, Estimates, JudgedBy, Models, Place, Plan, Purse};
use crate::store::Mode;
use serde::Serialize;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Test prompts by a suite: prompts, who answers, cases, and what must hold of every answer
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf prompt test prompts.test.yaml\n  kf prompt test prompts.test.yaml --report junit=prompts.xml --report markdown=prompts.md\n  kf prompt test promptfooconfig.yaml --filter refund --limit 20\n  kf prompt test prompts.test.yaml --on answer@staging\n  kf prompt test prompts.test.yaml --max-cost 0.50\n  kf prompt test prompts.test.yaml --cache only     no request to a model or a judge: what was answered before\n\nExits 3 when an assertion fails, 4 when none fails and one could not be judged, 5 when some calls have no answer and 1 when\nnone has, 2 when the suite, a prompt or a value is wrong: then nobody is asked."
)]
pub(crate) struct Args {
    /// The suite (default: prompts.test.yaml, .yml, .toml or .json, or promptfooconfig.yaml, in this folder)
    #[arg(value_name = "FILE")]
    suite: Option<PathBuf>,
    /// Only cases with this in their name
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Only the first cases
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Only this prompt of the suite
    #[arg(long, value_name = "LABEL")]
    prompt: Option<String>,
    /// Only this provider of the suite
    #[arg(long, value_name = "LABEL")]
    provider: Option<String>,
    /// Test the prompts of this version instead of the suite's: NAME[@…][#PROMPT]; again for more
    #[arg(long, value_name = "REF")]
    on: Vec<String>,
    /// Answers of models and judges that are kept: read, write (read and add), only (ask nobody) or off
    #[arg(long, value_name = "USE", default_value = "write", value_parser = cache_of)]
    cache: CacheMode,
    /// Send no further request to a model or a judge once they cost this many US dollars; the command then exits with 5
    #[arg(long, value_name = "USD", value_parser = money_of)]
    max_cost: Option<PicoUsd>,
    /// Also write the report to a file: junit, markdown or json; again for more
    #[arg(long = "report", value_name = "KIND=PATH", value_parser = report_of)]
    reports: Vec<ReportFile>,
}

fn report_of(text: &str) -> Result<ReportFile, String> {
    report_file(text, &["junit", "markdown", "json"])
}

/// Names of suites that are looked for.
const NAMES: [&str; 6] = [
    "prompts.test.yaml",
    "prompts.test.yml",
    "prompts.test.toml",
    "prompts.test.json",
    "promptfooconfig.yaml",
    "promptfooconfig.yml",
];

#[derive(Serialize)]
struct Tested {
    suite: String,
    description: Option<String>,
    /// Missing when nobody was asked.
    verdict: Option<&'static str>,
    /// How many answers there are, or would be.
    calls: usize,
    /// What models will take, in a dry run that would ask any.
    #[serde(skip_serializing_if = "Option::is_none")]
    estimate: Option<Estimates>,
    passed: usize,
    failed: usize,
    unscored: usize,
    errors: usize,
    tallies: Vec<Tally>,
    /// What language models that answer were asked; missing when there are none.
    models: Option<ModelsDoc>,
    /// Who judged; missing when nobody did.
    judging: Option<JudgingDoc>,
    /// What answers and judgements cost now; missing when nobody was asked, or when a price is not known.
    spent_usd: Option<PicoUsd>,
    /// True when it ended at `--max-cost`.
    stopped: bool,
    cells: Vec<Cell>,
    /// True when the next run finds what was asked for now.
    #[serde(skip)]
    goes_on: bool,
}

/// What asking language models for answers took.
#[derive(Serialize)]
struct ModelsDoc {
    /// Requests that were sent.
    asked: usize,
    /// Answers that were there already.
    kept: usize,
}

#[derive(Serialize)]
struct JudgingDoc {
    #[serde(flatten)]
    by: JudgedBy,
    /// Why people's labels do not vouch for it, by metric.
    uncalibrated: BTreeMap<&'static str, String>,
}

/// How many of those that did not pass a table shows.
const SHOWN: usize = 50;

impl Report for Tested {
    const SCHEMA: &'static str = "kf.prompt-test/1";

    fn blocks(&self) -> Vec<Block> {
        if self.verdict.is_none() {
            return vec![self.summary().into()];
        }
        let mut t = Table::new(&["prompt", "provider", ">pass", ">fail", ">unscored", ">error", ">score", ">ms", ">USD"]);
        for a in &self.tallies {
            let number = |n: Option<f64>, digits: usize| n.map(|n| fixed(n, digits)).unwrap_or_default();
            t.row([
                a.prompt.clone(),
                a.provider.clone(),
                a.passed.to_string(),
                a.failed.to_string(),
                a.unscored.to_string(),
                a.errors.to_string(),
                number(a.score, 3),
                number(a.latency_ms, 0),
                number(a.cost_usd, 4),
            ]);
        }
        let mut blocks: Vec<Block> = vec![t.into()];
        blocks.extend(self.asking().map(Block::from));
        let mut figures = Table::new(&["prompt", "provider", "figure", ">mean", ">n"]);
        for a in &self.tallies {
            for (name, figure) in &a.metrics {
                figures.row([a.prompt.clone(), a.provider.clone(), name.clone(), fixed(figure.mean, 3), figure.n.to_string()]);
            }
        }
        blocks.extend(Block::filled(figures));
        let worse: Vec<&Cell> = self.cells.iter().filter(|c| c.end != End::Pass).collect();
        let mut lines: Vec<String> = worse.iter().take(SHOWN).map(|c| told(c)).collect();
        if worse.len() > SHOWN {
            lines.push(format!("… and {} more: `--format json` has them all", worse.len() - SHOWN));
        }
        if !lines.is_empty() {
            blocks.push(Block::Verbatim(lines.join("\n")));
        }
        blocks.push(self.summary().into());
        blocks
    }

    fn summary(&self) -> String {
        if self.verdict.is_none() {
            return format!("{}: nothing is wrong with it; {} would be asked for", self.suite, count(self.calls, "answer"));
        }
        let all = count(self.cells.len(), "answer");
        let rest = [(self.failed, "failed"), (self.unscored, "unscored"), (self.errors, "without an answer")];
        let rest: Vec<String> = rest.into_iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        let rest = if rest.is_empty() { String::new() } else { format!(", {}", rest.join(", ")) };
        format!("{}: {} of {all} passed{rest}", self.suite, self.passed)
    }

    fn exit(&self) -> Exit {
        // What nobody was asked for is neither held nor broken.
        let stopped = if self.stopped { Exit::Partial } else { Exit::Ok };
        let errors = match self.errors {
            0 => Exit::Ok,
            n if n == self.calls => Exit::Failed,
            _ => Exit::Partial,
        };
        let failed = if self.failed > 0 { Exit::No } else { Exit::Ok };
        let unscored = if self.unscored > 0 { Exit::Inconclusive } else { Exit::Ok };
        errors.and(stopped).and(failed).and(unscored)
    }

    fn items(&self) -> Option<Vec<serde_json::Value>> {
        Some(self.cells.iter().filter_map(|v| serde_json::to_value(v).ok()).collect())
    }

    fn outputs(&self) -> Vec<(&'static str, String)> {
        vec![("passed", self.passed.to_string()), ("failed", self.failed.to_string())]
    }

    fn annotations(&self) -> Vec<(Option<String>, String, String)> {
        let worse = self.cells.iter().filter(|c| matches!(c.end, End::Fail | End::Error));
        worse.map(|c| (Some(self.suite.clone()), format!("{} / {}", c.case, c.prompt), told(c))).collect()
    }
}

impl Tested {
    /// What asking models and judges took, for a person.
    fn asking(&self) -> Option<String> {
        let mut lines = Vec::new();
        lines.extend(self.models.as_ref().filter(|m| m.kept > 0).map(|models| {
            format!("{} of {} of models from the cache", models.kept, count(models.kept + models.asked, "answer"))
        }));
        lines.extend(self.judging.as_ref().map(|JudgingDoc { by, .. }| {
            let cost = by.total.cost_usd.map_or_else(|| "cost unknown".to_owned(), |cost| format!("${:.4}", cost.usd()));
            let (models, all) = (by.models.join(", "), count(by.total.requests, "answer"));
            format!("judged by {models}: {all} ({} asked now), {cost}", by.asked.requests)
        }));
        let next = if self.goes_on { ": the same command with a higher one goes on from here" } else { "" };
        lines.extend(self.stopped.then(|| format!("stopped at --max-cost{next}")));
        (!lines.is_empty()).then(|| lines.join("\n"))
    }
}

/// Why people's labels do not vouch for a judge, by metric.
fn uncalibrated(cx: &Cx, by: &JudgedBy) -> Result<BTreeMap<&'static str, String>> {
    let store = match cx.store(Mode::Read) {
        Ok(store) => Some(store),
        // Where there is no state, nobody has calibrated anything.
        Err(e) if e.kind() == Kind::NoRepository => None,
        Err(e) => return Err(e),
    };
    let mut found = BTreeMap::new();
    for metric in by.metrics.iter().copied() {
        let newest = store.as_ref().map(|store| store.read(|view| calibration::newest(view, &by.judge, metric))).transpose()?;
        let why = match newest.flatten() {
            None => Some("nobody compared it with people's labels".to_owned()),
            Some(calibration) => calibration.agreement.refused(),
        };
        found.extend(why.map(|why| (metric, why)));
    }
    Ok(found)
}

/// One cell that did not pass, in a few lines.
fn told(cell: &Cell) -> String {
    let word = match cell.end {
        End::Pass => "pass",
        End::Fail => "FAIL",
        End::Unscored => "unscored",
        End::Error => "ERROR",
    };
    let mut lines = vec![format!("{word}  {}, prompt {}, by {}", cell.case, cell.prompt, cell.provider)];
    let wanted =
        if cell.end == End::Fail { crate::base::verdict::Verdict::Fail } else { crate::base::verdict::Verdict::Inconclusive };
    let open: Vec<String> = cell
        .assertions
        .iter()
        .filter(|j| j.verdict == wanted && j.weight > 0.0)
        .map(|j| format!("      {}: {}", j.name, j.reason))
        .collect();
    match (open.is_empty(), &cell.reason) {
        (true, Some(reason)) => lines.push(format!("      {}", ellipsis(reason, 500))),
        _ => lines.extend(open),
    }
    lines.join("\n")
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let loaded = cx.project()?;
    let file = suite_file(cx, args)?;
    let paths = cx.report_paths(&args.reports)?;
    let shown = file.strip_prefix(&cx.cwd).unwrap_or(&file).display().to_string();
    let place = Place {
        project: &loaded.project,
        root: &loaded.root,
        dir: file.parent().unwrap_or(Path::new("")).to_owned(),
        version: &|reference| {
            let version = cx.store(Mode::Read)?.read(|view| table::resolve(view, reference))?;
            let layout = prompt::layout(&loaded.project, &version.name)?;
            let pages = prompt::of_version(&cx.objects()?, &version, &layout)?;
            Ok((version, pages))
        },
        unpack: &|version| evaluate::unpack(&cx.objects()?, version),
        secret: &|reference| cx.secret(reference),
        embedder: &|| cx.embedder(),
        models: Models {
            make: &|settings, keys| cx.models(settings, keys),
            cache: &|| cx.answers(args.cache),
            purse: Purse::new(args.max_cost),
            judged: RefCell::default(),
        },
    };
    let on = |text: &String| {
        let (reference, which) = text.split_once('#').map_or((text.as_str(), None), |(r, w)| (r, Some(w.to_owned())));
        PromptSource { label: None, from: From::Version(reference.to_owned(), which), place: (0, 0) }
    };
    let choice = Choice {
        filter: args.filter.clone(),
        limit: args.limit,
        prompt: args.prompt.clone(),
        provider: args.provider.clone(),
        on: args.on.iter().map(on).collect(),
    };
    let plan = prompt_suite::prepare(&file, &shown, &place, &choice)?;
    let dry = cx.global.dry_run;
    let takes = expected(cx, args, &plan, &place)?;
    let cells = if dry { Vec::new() } else { answers(cx, &plan, &place)? };
    let judging = match place.models.judged.take() {
        Some(by) => Some(JudgingDoc { uncalibrated: uncalibrated(cx, &by)?, by }),
        None => None,
    };
    for (metric, why) in judging.iter().flat_map(|judging| &judging.uncalibrated) {
        cx.out.note(&format!(
            "warning: the judge's {metric} is not calibrated: {why}; `kf judge calibrate LABELS --metric {metric}`"
        ));
    }
    let (asked, kept, spent, stopped) = place.models.purse.took();
    let ends = |end: End| cells.iter().filter(|c| c.end == end).count();
    let mut report = Tested {
        suite: shown.clone(),
        description: plan.description().map(str::to_owned),
        verdict: None,
        calls: plan.calls(),
        estimate: takes.filter(|_| dry),
        passed: ends(End::Pass),
        failed: ends(End::Fail),
        unscored: ends(End::Unscored),
        errors: ends(End::Error),
        tallies: tallies(&cells),
        models: (asked + kept > 0).then_some(ModelsDoc { asked, kept }),
        spent_usd: spent.filter(|_| asked + kept > 0 || judging.is_some()),
        judging,
        stopped,
        cells,
        goes_on: args.cache == CacheMode::Write,
    };
    report.verdict = (!dry).then(|| report.exit().word());
    for (kind, path) in args.reports.iter().zip(&paths) {
        let text = match kind.kind.as_str() {
            "junit" => junit::render(&shown, &report.cells)?,
            "markdown" => markdown(&report),
            _ => serde_json::to_string_pretty(&json(&report)?).context(|| "cannot write JSON")?,
        };
        cx.write_output(path, &text).context(|| format!("cannot write the report {}", path.display()))?;
    }
    cx.out.emit(&report)
}

/// What models will take, told before they are asked; `None` where none is.
fn expected(cx: &Cx, args: &Args, plan: &Plan, place: &Place<'_>) -> Result<Option<Estimates>> {
    if args.cache == CacheMode::Only {
        return Ok(None);
    }
    let takes = Some(prompt_suite::estimate(plan, place)?).filter(|takes| !takes.is_empty());
    if let Some(takes) = &takes {
        cx.out.note(&takes.to_string());
    }
    Ok(takes)
}

fn answers(cx: &Cx, plan: &Plan, place: &Place<'_>) -> Result<Vec<Cell>> {
    let bar = progress::things(&cx.out, "answering", plan.calls() as u64);
    let cells = prompt_suite::run(plan, place, &|| bar.inc(1))?;
    bar.finish_and_clear();
    Ok(cells)
}

fn suite_file(cx: &Cx, args: &Args) -> Result<PathBuf> {
    if let Some(file) = &args.suite {
        return Ok(cx.cwd.join(file));
    }
    let found = NAMES.iter().map(|name| cx.cwd.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| Error::usage("there is no suite in this folder").hint(format!("name one, or call it {}", NAMES[0])))
}
