//! What of `kf eval` is about judges: what is asked, what it may cost, which rows, and what it took.

use crate::base::error::{Error, Result};
use crate::base::quantity::PicoUsd;
use crate::base::text::count;
use crate::cli::arg::{cache_of, money_of};
use crate::cli::cx::Cx;
use crate::cli::progress;
use crate::config::{Gate, Project, Rule};
use crate::domain::eval::attempts::{Limit, meets};
use crate::domain::eval::judged::{JudgedId, Tally};
use crate::domain::eval::known::known;
use crate::domain::eval::marks::is_mark;
use crate::domain::eval::metrics::Direction;
use crate::domain::eval::record;
use crate::domain::eval::score::is_lost;
use crate::domain::eval::suite::{self, Suite};
use crate::domain::golden::Answer;
use crate::domain::registry::table::VersionRow;
use crate::release::answer::forecast::Asking;
use crate::release::answer::writer::Writer;
use crate::release::calibration;
use crate::release::evaluate::{self, Loaded};
use crate::release::gates::Reading;
use crate::release::judging::{self, Bench, CacheMode, Coming, Estimate, Outcome, Took};
use crate::release::kept::Use;
use crate::release::optimize::Purse;
use crate::release::selection::Selection;
use crate::release::suite::most_for_each_row;
use crate::store::Store;
use serde::Serialize;
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Which rows are listed, or asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Rows {
    /// List every row with its scores
    All,
    /// Ask only the rows that the last evaluation found bad: below a gate's limit, or below 0.5 where no gate has one
    Failing,
    /// Ask only the rows that the last evaluation has no answer of, or no judged score
    Unscored,
}

#[derive(clap::Args, Clone, Debug)]
pub(super) struct JudgeArgs {
    /// Ask only this many rows, from the start of the dataset
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Ask only this many rows, drawn by --seed
    #[arg(long, value_name = "N")]
    sample: Option<usize>,
    /// The seed of --sample, and of what --suite draws; gates go by suites of seed 0
    #[arg(long, value_name = "SEED", default_value_t = 0, requires = "drawn")]
    pub(super) seed: u64,
    /// List every row with its scores; or ask only the rows that were bad or unscored the last time
    #[arg(long, value_name = "WHICH", num_args = 0..=1, default_missing_value = "all")]
    pub(super) rows: Option<Rows>,
    /// Ask the system every question this often, and judge each answer once; the mean of a row counts. Recorded answers are judged this often
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(super) repeat: u32,
    /// Send no further request to a judge or the model of `[llm]`, or of --suite to the system, once they cost this many US dollars; the
    /// command then exits with 5
    #[arg(long, value_name = "USD", value_parser = money_of)]
    pub(super) max_cost: Option<PicoUsd>,
    /// What the model of `[llm]` and the judges are paid from, once one of them was asked.
    #[arg(skip)]
    purse: OnceCell<Purse>,
    /// Answers that are kept: read, write (read and add), only (ask nobody) or off [default: write; of an `http` or `command` system what a run left that did not end]
    #[arg(long, value_name = "USE", value_parser = cache_of)]
    cache: Option<CacheMode>,
}

/// How answers were judged.
#[derive(Serialize)]
pub(super) struct JudgingDoc {
    /// The models.
    models: Vec<String>,
    /// All answers that the scores rest on, when they were given.
    total: Took,
    /// What was asked for now.
    asked: Took,
    /// What of it came to nothing.
    failed: Took,
    /// Rows without a score because something went wrong, by metric.
    errors: BTreeMap<String, usize>,
    /// Single repeats that went wrong, by metric; a row may have a score of the others.
    failed_repeats: BTreeMap<String, usize>,
    /// Verdicts and scores that several judges gave, and how many of them they disagreed on.
    tally: TallyDoc,
    /// How often each row was judged.
    repeat: u32,
    /// Rows and metrics whose repeats differ.
    moved: usize,
    /// True when something was not asked because of `--max-cost`.
    stopped: bool,
    /// True when the next run finds what was asked for now.
    #[serde(skip)]
    kept: bool,
    /// What people's labels say of this judge, by metric; only of those that it was compared on.
    calibrations: BTreeMap<String, CalibrationDoc>,
}

#[derive(Serialize)]
struct CalibrationDoc {
    labels: u64,
    kappa: Option<f64>,
    /// Why gates do not go by it; `None` when they do.
    refused: Option<String>,
    event: i64,
}

#[derive(Serialize)]
struct TallyDoc {
    asked: usize,
    split: usize,
    absent: usize,
}

impl JudgingDoc {
    /// Rows and metrics without a score because something went wrong, and single repeats that did.
    pub(super) fn failed(&self) -> usize {
        self.errors.values().chain(self.failed_repeats.values()).sum()
    }

    pub(super) fn stopped(&self) -> bool {
        self.stopped
    }

    /// What a person is told above the table.
    pub(super) fn lines(&self) -> Vec<String> {
        let cost = self.total.cost_usd.map_or_else(|| "cost unknown".to_owned(), |c| format!("${:.4}", c.usd()));
        let now = match (self.asked.requests, self.total.requests) {
            (0, _) => "all from the cache".to_owned(),
            (n, all) if n >= all => "asked now".to_owned(),
            (n, _) => format!("{n} asked now"),
        };
        let mut lines = vec![format!(
            "judged by {}: {} ({now}), {} tokens in, {} out, {cost}",
            self.models.join(", "),
            count(self.total.requests, "answer"),
            self.total.tokens_in,
            self.total.tokens_out,
        )];
        if self.failed.tokens_out > 0 || self.failed.cost_usd != Some(PicoUsd(0)) {
            lines.push(format!("paid for and of no use: {}", took(&self.failed)));
        }
        if self.stopped {
            let next = if self.kept { ": the same command with a higher one goes on from here" } else { "" };
            lines.push(format!("the judges stopped at --max-cost{next}"));
        }
        lines.extend(self.failed_repeats.iter().map(|(metric, n)| format!("{metric}: {} failed", count(*n, "repeat"))));
        lines.extend(self.errors.iter().map(|(metric, n)| format!("{metric}: {} with an error", count(*n, "row"))));
        for (metric, with) in &self.calibrations {
            let kappa = with.kappa.map_or_else(|| "unknown".to_owned(), |k| format!("{k:.2}"));
            lines.push(format!(
                "{metric}: kappa with people {kappa} on {}",
                count(usize::try_from(with.labels).unwrap_or(0), "label")
            ));
        }
        if self.tally.split > 0 {
            lines.push(format!("the judges disagreed on {} of {}", self.tally.split, count(self.tally.asked, "verdict")));
        }
        if self.tally.absent > 0 {
            lines.push(format!("a judge gave no answer that counts {}", times(self.tally.absent)));
        }
        if self.moved > 0 {
            lines.push(format!("{} changed from one judgement to the next", count(self.moved, "score")));
        }
        lines
    }
}

/// What asking took, for a person.
fn took(took: &Took) -> String {
    let cost = took.cost_usd.map_or_else(|| "cost unknown".to_owned(), |c| format!("${:.4}", c.usd()));
    format!("{}, {} tokens in, {} out, {cost}", count(took.requests, "request"), took.tokens_in, took.tokens_out)
}

fn times(n: usize) -> String {
    if n == 1 { "once".to_owned() } else { format!("{n} times") }
}

/// What judging gave, and how it was done.
pub(super) struct Judging {
    pub(super) outcome: Outcome,
    pub(super) name: String,
    models: Vec<String>,
    repeat: u32,
    kept: bool,
}

impl Judging {
    pub(super) fn doc(&self, store: &Store) -> Result<JudgingDoc> {
        let Tally { asked, split, absent } = self.outcome.tally;
        let mut calibrations = BTreeMap::new();
        for sum in &self.outcome.scores.sums {
            let found = store.read(|view| calibration::newest(view, &self.name, &sum.metric))?;
            calibrations.extend(found.map(|c| {
                let (labels, kappa) = (c.agreement.n, c.agreement.kappa.value);
                (c.metric, CalibrationDoc { labels, kappa, refused: c.agreement.refused(), event: c.event })
            }));
        }
        Ok(JudgingDoc {
            models: self.models.clone(),
            total: self.outcome.total,
            asked: self.outcome.asked,
            failed: self.outcome.failed,
            errors: self.outcome.errors.clone(),
            failed_repeats: self.outcome.failed_repeats.clone(),
            tally: TallyDoc { asked, split, absent },
            repeat: self.repeat,
            moved: self.outcome.moved,
            stopped: self.outcome.stopped,
            kept: self.kept,
            calibrations,
        })
    }

    /// Under which name the evaluation is kept: one that was stopped counts for no gate.
    pub(super) fn judge(&self, reading: &Reading) -> String {
        let stopped = if self.outcome.stopped { record::STOPPED } else { "" };
        format!("{}{stopped}", reading.judge_of(&self.name))
    }
}

impl JudgeArgs {
    /// The rows that are asked; those that were bad the last time are told by the judge `own`, or else by those of every evaluation.
    pub(super) fn selection(
        &self,
        store: &Store,
        project: &Project,
        version: &VersionRow,
        (loaded, reading): (&Loaded, &Reading),
        own: Option<String>,
    ) -> Result<Selection> {
        let only = match self.rows {
            None | Some(Rows::All) => None,
            Some(which) => {
                let judges = match own {
                    Some(own) => vec![own],
                    None => {
                        let judge = judging::name(project)?.map(|name| reading.judge_of(&name));
                        std::iter::once(reading.judge()).chain(judge).collect()
                    }
                };
                Some(earlier(store, project, version, (loaded, &judges), which)?)
            }
        };
        Ok(Selection { only, ..self.drawn() })
    }

    /// The rows that are asked, whatever was found before.
    pub(super) fn drawn(&self) -> Selection {
        Selection { only: None, sample: self.sample.map(|n| (n, self.seed)), limit: self.limit }
    }

    /// What answers of models are used for that are kept.
    fn cache(&self) -> CacheMode {
        self.cache.unwrap_or(CacheMode::Write)
    }

    /// What answers of an `http` or `command` system are used for that are kept. A dry run writes none; nor does, unless it is told to, a
    /// command that `leaves` nothing where there is no `.kf`.
    pub(super) fn kept(&self, cx: &Cx, leaves: bool) -> Use {
        let there = leaves || cx.kf_dir().is_ok_and(|dir| dir.exists());
        match (cx.global.dry_run, self.cache) {
            (false, None) if there => Use::Resume,
            (false, None) => Use::As(CacheMode::Off),
            (false, Some(mode)) | (true, Some(mode @ CacheMode::Only)) => Use::As(mode),
            (true, Some(CacheMode::Read | CacheMode::Write)) => Use::As(CacheMode::Read),
            (true, _) => Use::As(CacheMode::Off),
        }
    }

    /// The model that writes answers, where `[llm]` names one. A dry run asks nobody, so there it is not opened. A suite counts what its
    /// answers cost itself, so there nobody else does.
    pub(super) fn writer(&self, cx: &Cx, project: &Project, suite: bool) -> Result<Option<Writer>> {
        let Some(llm) = project.llm.clone() else { return Ok(None) };
        let mode = if cx.global.dry_run { CacheMode::Only } else { self.cache() };
        let mut models = cx.models(std::slice::from_ref(&llm), mode != CacheMode::Only)?;
        if self.max_cost.is_some() && !suite {
            judging::priced(&models)?;
        }
        let cache = cx.answers(mode)?;
        let model = models.pop().map(|model| if suite { model } else { self.purse().meter(model) });
        Ok(model.map(|model| Writer { model, cache, settings: llm, dry: cx.global.dry_run }))
    }

    /// How the model that writes answers will be asked; `None` where nobody may be asked.
    pub(super) fn asking(&self, suite: Option<Suite>, repeat: u32) -> Option<Asking> {
        let times = suite.map_or(repeat, most_for_each_row);
        let again = self.cache() == CacheMode::Off;
        (self.cache() != CacheMode::Only).then_some(Asking { times, same: suite.is_none(), again })
    }

    fn purse(&self) -> &Purse {
        self.purse.get_or_init(|| Purse::new(self.max_cost))
    }

    /// True when the model that writes answers was not asked for all of them, because of `--max-cost`.
    pub(super) fn stopped_writing(&self) -> bool {
        self.purse.get().is_some_and(Purse::has_refused)
    }

    /// Judges the answers by these metrics; `None` when there is none, or in a dry run, which says what it would take, with that of the
    /// answers that are yet `coming`.
    pub(super) fn judge(
        &self,
        cx: &Cx,
        metrics: Vec<JudgedId>,
        loaded: &Loaded,
        (samples, coming): (&[&HashMap<String, Answer>], Option<&Coming>),
    ) -> Result<(Option<Estimate>, Option<Judging>)> {
        if metrics.is_empty() {
            return Ok((None, None));
        }
        let project = &cx.project()?.project;
        let (Some(judge), Some(name)) = (&project.judge, judging::name(project)?) else {
            let error = Error::usage(format!("a model judges {}, and mlops.toml names none", metrics[0]));
            return Err(error.hint("add `[judge]` with `provider`, `model` and `api-key`"));
        };
        // Without a key nobody can be asked, and nobody has to be.
        let keyless = cx.global.dry_run || self.cache() == CacheMode::Only;
        let bench = Bench {
            models: cx.models(&judge.models, !keyless)?,
            settings: judging::settings(judge),
            min_coverage: judge.min_coverage,
            embedder: &*cx.embedder()?,
            metrics,
            repeat: self.repeat,
            max_cost: self.purse().left(),
            cache: &cx.answers(if cx.global.dry_run { CacheMode::Off } else { self.cache() })?,
        };
        let rows = &loaded.golden.rows;
        let first = samples.first().filter(|_| !bench.cache.is_all());
        let takes = first.map(|first| judging::estimate(bench.judges(), rows, first, coming));
        if let Some(takes) = &takes {
            cx.out.note(&takes.to_string());
        }
        if cx.global.dry_run {
            return Ok((takes, None));
        }
        let jobs = rows.len() * bench.metrics.len() * usize::try_from(self.repeat).unwrap_or(1);
        let bar = progress::things(&cx.out, "judging", jobs as u64);
        let outcome = judging::run_samples(&bench, rows, samples, &|| bar.inc(1))?;
        self.purse().settle(outcome.asked.cost_usd);
        bar.finish_and_clear();
        let models = bench.models.iter().map(|m| m.about().model.clone()).collect();
        let kept = bench.cache.is_kept();
        Ok((takes, Some(Judging { outcome, name, models, repeat: self.repeat, kept })))
    }
}

/// The rows that the last evaluations of this version on this dataset found bad, or have nothing to say of.
fn earlier(
    store: &Store,
    project: &Project,
    version: &VersionRow,
    (loaded, judges): (&Loaded, &[String]),
    which: Rows,
) -> Result<BTreeSet<String>> {
    let found = store.read(|view| {
        let mut scores = Vec::new();
        for judge in judges {
            if let Some(e) = record::newest(view, version.id, &loaded.dataset.digest, judge)? {
                scores.extend(record::all_rows(view, &e.id)?);
            }
        }
        Ok(scores)
    })?;
    if found.is_empty() {
        let reference = version.reference();
        let suite = judges.iter().find_map(|j| suite::of_judge(j)).map(|s| format!(" --suite {s}")).unwrap_or_default();
        return Err(Error::new(format!("{reference} has no evaluation on {} to go by", loaded.dataset.name))
            .hint(format!("run `kf eval {reference}{suite}` first")));
    }
    let wanted = found.iter().filter(|score| !is_mark(&score.metric)).filter(|score| match (which, score.value) {
        (Rows::Failing, Some(value)) => is_bad(project, &score.metric, value),
        (Rows::Unscored, None) => score.reason.as_deref().is_some_and(is_lost) || known(&score.metric).is_some_and(|m| m.judged),
        _ => false,
    });
    Ok(wanted.map(|score| score.row.clone()).collect())
}

/// Whether a row's score is beyond the limit of a gate, or in the worse half where no gate has one.
fn is_bad(project: &Project, metric: &str, value: f64) -> bool {
    let limits = limits(project, metric);
    if limits.is_empty() {
        let lower = known(metric).is_some_and(|m| m.direction == Direction::LowerIsBetter);
        return if lower { value > 0.5 } else { value < 0.5 };
    }
    !meets(&limits, value)
}

/// What the gates hold a metric to, whichever stage they guard.
pub(super) fn limits(project: &Project, metric: &str) -> Vec<Limit> {
    let limit = |gate: &Gate| match &gate.rule {
        Rule::Absolute { metric: of, min, max } if of == metric => Some((*min, *max)),
        _ => None,
    };
    project.gates.iter().filter_map(limit).collect()
}

/// The metrics that are judged: those asked for by name, or where none was named those that mlops.toml says.
pub(super) fn wanted(project: &Project, version: &VersionRow, (names, asked): (&[String], Vec<JudgedId>)) -> Vec<JudgedId> {
    if names.is_empty() { evaluate::judged_of(project, &version.name) } else { asked }
}
