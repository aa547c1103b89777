//! `kf eval --changed`: the models that a branch changes, each answered for as it was and as it is, on the same rows.
//!
//! Nothing is recorded: what is not merged is no version of anything, and a runner that is thrown away needs no state.

mod report;
mod unjudged;

use super::answering::{coming, leave_out, leave_out_rates, without};
use super::judging;
use super::{Answers, Args, Whose, answers, dataset_of, reading};
use crate::adapters::git::since::{Since, since};
use crate::base::digest::Digest;
use crate::base::error::{Context, Error, Kind, Result};
use crate::base::exit::Exit;
use crate::base::name::{Name, Stage};
use crate::base::quantity::PicoUsd;
use crate::base::text::count;
use crate::base::verdict::Verdict;
use crate::cli::cx::Cx;
use crate::cli::report::{json, markdown};
use crate::config::{Dataset, GateKind, Loaded as Configured, OnInconclusive, Project, System, env};
use crate::domain::eval::judged::JudgedId;
use crate::domain::eval::marks::Marks;
use crate::domain::eval::metrics::MetricId;
use crate::domain::eval::record::Evaluation;
use crate::domain::eval::score::{COVERAGE, ERROR_RATE, Scores};
use crate::domain::golden::Answer;
use crate::domain::registry::table::VersionRow;
use crate::domain::review::decide::{Before, decide};
use crate::domain::review::doc::{GateDoc, ModelReview, PromptDoc, Review, SinceDoc};
use crate::release::evaluate::{self, Loaded};
use crate::release::gates::{self, Fresh, Reading};
use crate::release::judging::Outcome;
use crate::release::kept::Ending;
use crate::release::review::base::Base;
use crate::release::review::changed::{Changes, Found, Read, Side, changes};
use crate::release::review::measured::{self, Answered};
use crate::release::review::scratch::Scratch;
use crate::release::{calibration, judging as judges};
use crate::store::Mode;
use report::Reviewed;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use unjudged::{Measured, Unjudged};

pub(super) fn run(cx: &Cx, args: &Args, reference: &str) -> Result<Exit> {
    if let Some(file) = args.reports.iter().find(|file| !["markdown", "json"].contains(&file.kind.as_str())) {
        let error = Error::usage(format!("what changed is not written as {}", file.kind));
        return Err(error.hint("write `--report json=PATH` or `--report markdown=PATH`"));
    }
    let config = cx.project()?;
    let paths = cx.report_paths(&args.reports)?;
    let since = since(&config.root, Some(reference).filter(|r| !r.is_empty()), &usual(cx))?;
    let base = Base::of(&config.root, &since, &|dir| cx.project_at(dir))?;
    base.complete(&config.root, &config.project, &since)?;
    let found = found(cx, args, config, &base, &since)?;
    let mut review = review(config, &since, &found);
    let mut trouble = Exit::Ok;
    if !found.found.is_empty() {
        let dirty = if found.uncommitted.is_empty() { "" } else { "-dirty" };
        let mut work = Work::new(cx, args, config, &base, (since.base.clone(), format!("{}{dirty}", since.head)))?;
        for one in &found.found {
            let (model, ended) = work.model(one).context(|| format!("cannot evaluate {}", one.name))?;
            review.models.push(model);
            trouble = trouble.and(ended);
        }
    }
    review.verdict = Verdict::all(review.models.iter().map(|m| m.verdict));
    let report = Reviewed { review, trouble };
    for (file, path) in args.reports.iter().zip(&paths) {
        let text = match file.kind.as_str() {
            "markdown" => markdown(&report),
            _ => serde_json::to_string_pretty(&json(&report)?).context(|| "cannot write JSON")?,
        };
        cx.write_output(path, &text).context(|| format!("cannot write the report {}", path.display()))?;
    }
    cx.out.emit(&report)
}

/// What a branch goes into where nobody says it: what GitHub says of a pull request, else the server's main branch.
fn usual(cx: &Cx) -> Vec<String> {
    let pull = cx.env.text(env::GITHUB_BASE_REF).filter(|_| cx.env.text(env::GITHUB_ACTIONS) == Some("true"));
    let known = ["origin/HEAD", "origin/main", "origin/master", "main", "master"].map(str::to_owned);
    pull.map_or_else(|| known.to_vec(), |branch| vec![format!("origin/{branch}")])
}

/// A path from the root of the repository, of what the command line names; `None` outside of it.
fn inside(config: &Configured, path: &Path) -> Option<String> {
    let real = |p: &Path| p.canonicalize().ok();
    let (path, root) = (real(path)?, real(&config.root)?);
    path.strip_prefix(root).ok().map(|p| p.to_string_lossy().into_owned())
}

fn found(cx: &Cx, args: &Args, config: &Configured, base: &Base, since: &Since) -> Result<Changes> {
    let named = args.dataset.clone().or_else(|| config.project.golden.dataset.as_ref().map(ToString::to_string));
    let dataset = named.and_then(|name| inside(config, &config.root.join(name)));
    let answers = args.answers.as_ref().and_then(|path| inside(config, &cx.cwd.join(path)));
    let read = Read { dataset: dataset.as_deref(), answers: answers.as_deref() };
    let head = Side { project: &config.project, root: &config.root };
    let was = base.loaded.as_ref().map(|loaded| Side { project: &loaded.project, root: &loaded.root });
    changes(head, was, since, read, cx.jobs())
}

fn review(config: &Configured, since: &Since, found: &Changes) -> Review {
    let names = |all: &[Name]| all.iter().map(ToString::to_string).collect();
    Review {
        since: SinceDoc {
            reference: since.reference.clone(),
            base: since.base.clone(),
            head: since.head.clone(),
            uncommitted: found.uncommitted.clone(),
        },
        verdict: Verdict::Pass,
        inconclusive_allowed: config.project.policy.inconclusive == OnInconclusive::Allow,
        models: Vec::new(),
        unchanged: names(&found.unchanged),
        removed: names(&found.removed),
        files_elsewhere: found.elsewhere,
    }
}

/// What every model is evaluated with.
struct Work<'a> {
    cx: &'a Cx,
    args: &'a Args,
    config: &'a Configured,
    base: &'a Base,
    scratch: Scratch,
    /// The rows that are asked.
    loaded: Loaded,
    reading: Reading,
    /// Why gates take no notice of what is measured.
    ignored: Option<String>,
    metrics: Vec<MetricId>,
    judged: Vec<JudgedId>,
    /// The configuration with the gates that can be judged here.
    project: Project,
    /// The gates that cannot.
    unjudged: Unjudged,
    /// What judges have cost.
    spent: PicoUsd,
    /// The commits of before and of now, which stand for the version towards a system: a number would be that of another.
    commits: (String, String),
}

/// One side of a model: its version in the scratch state, what it answered, and under which judges that is kept.
struct Done {
    version: VersionRow,
    answered: Answered,
    judges: Vec<String>,
    /// What judging came to that went wrong.
    trouble: Vec<String>,
    ended: Exit,
    /// True when the judges came to `--max-cost`.
    stopped: bool,
    /// Rows without an answer because a dry run asks nobody.
    unasked: usize,
    /// What is to be noted once the branch is judged.
    ending: Option<Ending>,
}

impl<'a> Work<'a> {
    fn new(cx: &'a Cx, args: &'a Args, config: &'a Configured, base: &'a Base, commits: (String, String)) -> Result<Self> {
        let (metrics, judged) = evaluate::metrics_of(&args.metrics, &config.project.gates)?;
        let wanted = dataset_of(args, &config.project)?;
        let configured = Reading::configured(&config.project.golden)?;
        let mut reading = reading(args, &configured);
        let mut scratch = Scratch::new(&|file| cx.settings_of_scratch(file), cx.jobs())?;
        let is_file = config.root.join(&wanted).is_file();
        let mut loaded = match is_file {
            true => evaluate::load(scratch.store(), scratch.objects(), &config.root, &wanted, &reading.map)?,
            false => evaluate::load(&cx.store(Mode::Read)?, &cx.objects()?, &config.root, &wanted, &reading.map)?,
        };
        reading.rows = args.judging.drawn().apply(&mut loaded)?;
        let mut project = config.project.clone();
        let measured = Measured { computed: &metrics, judged: &judged, chosen: !args.metrics.is_empty() };
        let unjudged = Unjudged::take(&mut project, &wanted, &measured);
        if !is_file {
            let adopted = Dataset::Model(scratch.adopt(&loaded)?);
            project.golden.dataset = Some(adopted);
            project.gates.iter_mut().for_each(|gate| gate.dataset = None);
        }
        let (ignored, spent) = (reading.ignored(&configured), PicoUsd::default());
        Ok(Self { cx, args, config, base, scratch, loaded, reading, ignored, metrics, judged, project, unjudged, spent, commits })
    }

    fn model(&mut self, found: &Found) -> Result<(ModelReview, Exit)> {
        let (mut before, was) = self.before(found)?;
        let file = self.args.answers.as_ref().map(|path| self.cx.cwd.join(path));
        let version = self.scratch.register(&self.config.project, &self.config.root, &found.name)?;
        let now = self.answer(self.config, (version, &self.commits.1.clone()), file)?;
        if let (Before::There { same, rows }, Some(was)) = (&mut before, &was) {
            *same = measured::same(&self.loaded, &was.answered, &now.answered);
            *rows = self.loaded.golden.rows.len();
        }
        let gates = if now.unasked > 0 { Vec::new() } else { self.gates(&now, was.is_some())? };
        for ending in [&now].into_iter().chain(&was).filter_map(|done| done.ending.as_ref()) {
            ending.note()?;
        }
        let was_answered = was.as_ref().map(|w| &w.answered);
        let mut figures = measured::figures(&self.loaded, was_answered, &now.answered);
        let decision = decide(&mut figures, &gates, &before);
        let deciding: Vec<&str> = figures.iter().filter(|f| f.decides).map(|f| f.metric.as_str()).collect();
        let compared = |w: &Done| measured::worst(&self.loaded, &w.answered, &now.answered, &deciding);
        let (prompts, diff) = self.differing(found, was.as_ref(), &now.version)?;
        let stopped = now.stopped || was.as_ref().is_some_and(|w| w.stopped);
        let ended = now.ended.and(was.as_ref().map_or(Exit::Ok, |w| w.ended)).and(self.answering(&now.answered, &gates));
        let mut notes = self.notes(&found.name, &now.answered, stopped);
        notes.extend((now.unasked > 0).then(|| without(now.unasked)));
        notes.extend(now.trouble.iter().cloned());
        notes.extend(was.iter().flat_map(|w| &w.trouble).map(|note| format!("before: {note}")));
        let review = ModelReview {
            name: found.name.to_string(),
            verdict: decision.verdict,
            reasons: decision.reasons,
            needed: decision.needed,
            why: found.why.clone(),
            files: found.files.clone(),
            is_new: before == Before::New,
            dataset: self.loaded.dataset.name.clone(),
            rows: self.loaded.golden.rows.len(),
            system: now.answered.system.clone(),
            same_answers: match before {
                Before::There { same, .. } => Some(same),
                _ => None,
            },
            budgets: measured::budgets(&self.loaded, was_answered, &now.answered),
            slices: was.as_ref().map(|w| measured::slices(&self.loaded, &w.answered, &now.answered)).unwrap_or_default(),
            worst: was.as_ref().map(compared).unwrap_or_default(),
            gates,
            prompts,
            diff,
            notes,
            figures,
        };
        Ok((review, ended))
    }

    /// What there was before, answered for and in production in the scratch state.
    fn before(&mut self, found: &Found) -> Result<(Before, Option<Done>)> {
        if let Some(why) = &self.base.broken {
            return Ok((Before::Unknown(why.clone()), None));
        }
        let Some(base) = self.base.loaded.as_ref().filter(|_| !found.is_new) else { return Ok((Before::New, None)) };
        if found.same {
            return Ok((Before::Same, None));
        }
        let done = match self.recorded_before()? {
            Err(why) => return Ok((Before::Unknown(why), None)),
            Ok(file) => self
                .scratch
                .register(&base.project, &base.root, &found.name)
                .and_then(|v| self.answer(base, (v, &self.commits.0.clone()), file)),
        };
        match done {
            Ok(done) => {
                self.scratch.put_in_production(&done.version)?;
                self.keep(&done)?;
                Ok((Before::There { same: 0, rows: 0 }, Some(done)))
            }
            Err(e) if matches!(e.kind(), Kind::Failed | Kind::Usage) => Ok((Before::Unknown(e.to_string()), None)),
            Err(e) => Err(e),
        }
    }

    /// The file that holds what was recorded before, where answers are recorded; or why there is none that tells.
    fn recorded_before(&self) -> Result<std::result::Result<Option<PathBuf>, String>> {
        let now = match (&self.args.answers, &self.config.project.system) {
            (Some(path), _) => self.cx.cwd.join(path),
            (None, System::Recorded) => self.config.root.join(&self.loaded.dataset.name),
            (None, _) => return Ok(Ok(None)),
        };
        let Some(path) = inside(self.config, &now) else {
            return Ok(Err(format!(
                "{} is no file of this repository, so nothing is known of what was recorded before",
                now.display()
            )));
        };
        let was = self.base.path(Path::new(&path));
        if !was.is_file() {
            return Ok(Err(format!("there was no {path}: nothing was recorded before")));
        }
        let digest = |p: &Path| std::fs::read(p).map(|b| Digest::of(&b)).context(|| format!("cannot read {}", p.display()));
        if digest(&was)? == digest(&now)? {
            let why = format!("the answers in {path} are those of before, so they say nothing of this change: record them again");
            return Ok(Err(why));
        }
        Ok(Ok(Some(was)))
    }

    /// Lets a version answer, and scores it.
    fn answer(&mut self, config: &Configured, (version, called): (VersionRow, &str), file: Option<PathBuf>) -> Result<Done> {
        // Rows may be a sample, and the file of before may hold rows that are gone.
        let objects = self.scratch.objects();
        let whose = Whose { config, objects, version: &version, file, tells: false, leaves: false, called: Some(called) };
        let Answers { mut samples, system, ending, forecast, .. } =
            answers(self.cx, self.args, &whose, &self.loaded, &self.reading.map)?;
        let chosen: HashSet<&str> = self.loaded.golden.rows.iter().map(|r| r.id.as_str()).collect();
        samples.iter_mut().for_each(|answers| answers.retain(|id, _| chosen.contains(id.as_str())));
        let coming = coming(self.cx, forecast.as_ref());
        let unasked = coming.map_or(0, |coming| leave_out(&mut samples, coming));
        let each: Vec<&HashMap<String, Answer>> = samples.iter().collect();
        let mut scores = vec![evaluate::score(&self.loaded, &each, &self.metrics, self.reading.k, self.cx.jobs())];
        leave_out_rates(&mut scores[0], unasked);
        let (mut names, mut ended, mut stopped) = (vec![self.reading.judge()], Exit::Ok, false);
        let mut trouble = Vec::new();
        if self.args.judging.stopped_writing() {
            (ended, stopped) = (Exit::Partial, true);
        }
        let wanted = judging::wanted(&self.config.project, &version, (&self.args.metrics, self.judged.clone()));
        let left = self.args.judging.max_cost.map(|most| PicoUsd(most.0.saturating_sub(self.spent.0).max(0)));
        let mut asking = self.args.judging.clone();
        asking.max_cost = left;
        if let Some(judging) = asking.judge(self.cx, wanted, &self.loaded, (&each, coming))?.1 {
            self.spent = self.spent.and(judging.outcome.asked.cost_usd.unwrap_or_default());
            names.push(judging.judge(&self.reading));
            stopped |= judging.outcome.stopped;
            let Outcome { errors, failed_repeats, .. } = &judging.outcome;
            if stopped || !errors.is_empty() || !failed_repeats.is_empty() {
                ended = Exit::Partial;
            }
            let failed = |(metric, rows): (&String, &usize)| format!("the judge failed on {} by {metric}", count(*rows, "row"));
            let repeats = |(metric, n): (&String, &usize)| format!("{metric}: {} failed", count(*n, "repeat"));
            // Where it stopped, that is why rows have no score.
            trouble.extend(errors.iter().filter(|_| !stopped).map(failed).chain(failed_repeats.iter().map(repeats)));
            scores.push(judging.outcome.scores);
        }
        // Of several answers to a question the first is shown.
        let answers = samples.into_iter().next().unwrap_or_default();
        let answered = Answered { answers, system, scores };
        Ok(Done { version, answered, judges: names, trouble, ended, stopped, unasked, ending })
    }

    /// Keeps what a side came to in the scratch state.
    fn keep(&self, done: &Done) -> Result<Vec<Evaluation>> {
        let one = |(judge, scores): (&String, &Scores)| {
            let by = (judge.as_str(), done.answered.system.as_str());
            evaluate::keep(self.scratch.store(), &done.version, &self.loaded, by, scores)
        };
        done.judges.iter().zip(&done.answered.scores).map(one).collect()
    }

    /// The stages whose gates are judged.
    fn stages(&self) -> Vec<Stage> {
        match self.args.gate {
            _ if self.args.no_gates => Vec::new(),
            Some(stage) => vec![stage],
            None => vec![Stage::Production, Stage::Staging],
        }
    }

    /// The gates of staging and production, or of the stage that is asked for, each once.
    fn gates(&self, now: &Done, compared: bool) -> Result<Vec<GateDoc>> {
        let mut project = self.project.clone();
        project.gates.retain(|gate| compared || gate.kind() != GateKind::Regression);
        self.vouch(&project)?;
        // What is judged must not be found as what was before, when both are the same files.
        self.scratch.store().set_dry_run(true);
        let kept = self.keep(now);
        self.scratch.store().set_dry_run(false);
        let (kept, marks) = (kept?, Marks::of(&self.loaded.golden.rows));
        let fresh: Vec<Fresh<'_>> = kept
            .iter()
            .zip(&now.answered.scores)
            .map(|(evaluation, scores)| Fresh { evaluation, scores, marks: &marks })
            .collect();
        let (mut all, mut seen): (Vec<GateDoc>, BTreeSet<String>) = (Vec::new(), BTreeSet::new());
        for stage in self.stages() {
            let root = &self.config.root;
            let judged =
                self.scratch.store().read(|view| gates::judge_branch((view, &project, root), &now.version, stage, &fresh))?;
            let new = measured::gates(judged, stage, &project.gates).into_iter().filter(|g| seen.insert(g.gate.clone()));
            all.extend(new);
        }
        Ok(all)
    }

    /// Takes over what people's labels say of the judge that gates go by, where this repository has a state that knows it.
    fn vouch(&self, project: &Project) -> Result<()> {
        let judged: Vec<&str> = project.gates.iter().map(|g| g.metric()).filter(|m| is_judged(m)).collect();
        let (Some(name), false) = (judges::name(&self.config.project)?, judged.is_empty()) else { return Ok(()) };
        let store = match self.cx.store(Mode::Read) {
            Ok(store) => store,
            Err(e) if e.kind() == Kind::NoRepository => return Ok(()),
            Err(e) => return Err(e),
        };
        for metric in judged {
            if let Some(found) = store.read(|view| calibration::newest(view, &name, metric))? {
                self.scratch.vouch(&found)?;
            }
        }
        Ok(())
    }

    /// The prompts that differ, and the change of the files as text.
    fn differing(&self, found: &Found, was: Option<&Done>, now: &VersionRow) -> Result<(Vec<PromptDoc>, Option<String>)> {
        let (Some(was), Some(base)) = (was, &self.base.loaded) else { return Ok((Vec::new(), None)) };
        if found.files.is_empty() {
            return Ok((Vec::new(), None));
        }
        let prompts = self.scratch.prompts((&was.version, &base.project), (now, &self.config.project))?;
        let diff = self.scratch.diff(&self.config.project, (&was.version, now))?;
        Ok((prompts, Some(diff).filter(|d| !d.is_empty())))
    }

    /// How asking ended: failed when the system failed on every row, partly done when it failed on some, unless a gate says how many
    /// are too many.
    fn answering(&self, now: &Answered, gates: &[GateDoc]) -> Exit {
        let gated = gates.iter().any(|g| [ERROR_RATE, COVERAGE].contains(&g.metric.as_str()));
        match measured::failed(&self.loaded, now) {
            0 => Exit::Ok,
            n if n == self.loaded.golden.rows.len() => Exit::Failed,
            _ if gated => Exit::Ok,
            _ => Exit::Partial,
        }
    }

    fn notes(&self, model: &Name, now: &Answered, stopped: bool) -> Vec<String> {
        let mut notes: Vec<String> = self.ignored.clone().into_iter().collect();
        notes.extend(self.unjudged.notes(model, &self.stages()));
        if stopped {
            notes.push("the judges stopped at `--max-cost`, so they did not score every row".to_owned());
        }
        let (failed, rows) = (measured::failed(&self.loaded, now), self.loaded.golden.rows.len());
        if failed > 0 {
            notes.push(format!("the system failed on {failed} of {rows} rows"));
        }
        notes
    }
}

fn is_judged(metric: &str) -> bool {
    crate::domain::eval::known::known(metric).is_some_and(|m| m.judged)
}
