//! `kf optimize`: variants of a version are tried on one half of a golden dataset, judged on the other, and the better one goes to staging.

mod report;
mod tools;

use super::alert;
use super::promote::no_gates;
use super::version_doc::VersionDoc;
use crate::base::error::{Error, Result};
use crate::base::exit::Exit;
use crate::base::name::{ModelType, Name, Stage};
use crate::base::quantity::PicoUsd;
use crate::base::reference::Reference;
use crate::base::verdict::Verdict;
use crate::base::weight::Weight;
use crate::cli::arg::{self, cache_of, money_of};
use crate::cli::complete;
use crate::cli::cx::Cx;
use crate::config::{Llm, Loaded as Configured, Project, System};
use crate::domain::eval::judged::JudgedId;
use crate::domain::eval::metrics::MetricId;
use crate::domain::golden::{Answer, Mapping, Row};
use crate::domain::optimize::split::{Split, split};
use crate::domain::optimize::vary::{self, Reads};
use crate::domain::optimize::{Files, Variant};
use crate::domain::registry::parts::{Layout, Parts, Prompt};
use crate::domain::registry::retrieval::Retrieval;
use crate::domain::registry::table::{self, VersionRow};
use crate::release::answer;
use crate::release::evaluate::{self, Loaded};
use crate::release::gates::Reading;
use crate::release::judging::{self, CacheMode};
use crate::release::optimize::enter::{self, Because, Origin};
use crate::release::optimize::given::{Proposer, Stock, given, proposed};
use crate::release::optimize::lab::{Ask, Both, Judge, Lab, Player, Target, computed};
use crate::release::optimize::review::review;
use crate::release::optimize::search::{Came, Runner, search};
use crate::release::optimize::{self, Decided, Plan, Size};
use crate::release::register::Place;
use crate::release::{alert as alerts, prompt};
use crate::store::Mode;
use clap_complete::engine::ArgValueCompleter;
use report::{End, Optimized, PromotedDoc, SplitDoc};
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use tools::Tools;

/// Try variants of a version on a golden dataset, and take the better one to staging
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf optimize support-bot@production --dry-run        what would be tried, and what it takes\n  kf optimize support-bot@production --metric token-f1\n  kf optimize support-bot --variants drafts/ --no-promote\n  kf optimize support-bot@production --model --max-cost 5 --notify team\n\nExits 4 when more rows are needed to tell, 3 or 4 when a gate of staging says so, 3 when recall is below 0.85, 5 when it\nstopped at --max-cost. That no variant is better is 0."
)]
pub(crate) struct Args {
    /// The version
    #[arg(add = ArgValueCompleter::new(complete::references))]
    reference: Reference,
    /// The golden dataset: a file, or a registered dataset (default: `golden.dataset` in mlops.toml)
    #[arg(long, value_name = "D")]
    dataset: Option<String>,
    /// What decides (default: faithfulness, by the judge of mlops.toml or else as offline proxy)
    #[arg(long, value_name = "NAME")]
    metric: Option<String>,
    /// Try these: a file is another prompt, a folder holds such files and folders of files that replace the version's
    #[arg(long, value_name = "PATH", num_args = 1..)]
    variants: Vec<PathBuf>,
    /// Try prompts that the model of `[llm]` proposes, this many (4)
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "4")]
    model: Option<NonZeroUsize>,
    /// Try other settings of retrieval, the prompt in other orders and with examples; so it is without --variants and --model
    #[arg(long)]
    deterministic: bool,
    /// Try at most this many
    #[arg(long, value_name = "N", default_value = "24")]
    trials: NonZeroUsize,
    /// Draws which rows decide, and in which order rows are asked
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
    /// The share of the rows that decide, where the dataset has no `split`
    #[arg(long, value_name = "SHARE", default_value = "0.5", value_parser = share_of)]
    holdout: Weight,
    /// Ask no model any more once they cost this many US dollars; the command then exits with 5
    #[arg(long, value_name = "USD", value_parser = money_of)]
    max_cost: Option<PicoUsd>,
    /// Answers of models that are kept: read, write (read and add), only (ask nobody) or off
    #[arg(long, value_name = "USE", default_value = "write", value_parser = cache_of)]
    cache: CacheMode,
    /// Register the better variant and leave it there
    #[arg(long)]
    no_promote: bool,
    /// Tell this channel of mlops.toml when a version came to staging; again for more
    #[arg(long, value_name = "CHANNEL", conflicts_with = "no_promote")]
    notify: Vec<Name>,
    /// The ticket that asks for it
    #[arg(long, value_name = "ID", value_parser = arg::ticket())]
    ticket: Option<String>,
}

fn share_of(text: &str) -> Result<Weight, String> {
    let share: Option<f64> = text.parse().ok();
    let weight = share.and_then(|share| Weight::from_percent(share * 100.0));
    weight.filter(|w| ![Weight::NONE, Weight::FULL].contains(w)).ok_or_else(|| "expected a share such as 0.5".to_owned())
}

/// What is varied, and on what.
struct Case<'a> {
    args: &'a Args,
    configured: &'a Configured,
    version: VersionRow,
    files: Files,
    parts: Parts,
    layout: Layout,
    reads: Reads,
    loaded: Loaded,
    reading: Reading,
    split: Split,
    target: Target,
    /// What is judged by a model.
    judged: Vec<JudgedId>,
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let configured = cx.project()?;
    let project = &configured.project;
    args.notify.iter().try_for_each(|name| alerts::channel(project, name.as_str()).map(|_| ()))?;
    answers_variants(project)?;
    let mut place =
        Place { store: cx.store(Mode::Write)?, objects: cx.objects()?, root: configured.root.clone(), jobs: cx.jobs() };
    let case = case(args, configured, &place)?;
    proposing(&case)?;
    let tools = Tools::new(cx, args, project)?;
    let mut variants = made(cx, &case)?;
    if project.system == System::Builtin {
        // A dry run says so too: otherwise the real one fails at its first question.
        answer::searchable(&place.store, project, &case.parts)?;
    }
    let room = args.trials.get().saturating_sub(args.model.map_or(0, NonZeroUsize::get)).max(1);
    if variants.len() > room {
        cx.out.note(&format!("note: {} variants are not tried: `--trials`", variants.len() - room));
        variants.truncate(room);
    }
    let plan = plan(&case, &tools, variants.len());
    if cx.global.dry_run {
        return cx.out.emit(&dry(&case, plan, &variants));
    }
    if tools.asks() {
        let cost =
            plan.cost_usd.map_or_else(|| "price unknown".to_owned(), |cost| format!("about ${:.2} for models", cost.usd()));
        cx.out.note(&format!("at most {} answers and {} requests to judges, {cost}", plan.answers, plan.judgements));
    }
    let store = cx.store(Mode::Read)?;
    let ask = |dir: &Path, number: &str, rows: &[Row]| tools.ask((&case.version, &store), dir, number, rows);
    let judge = |ids: &[JudgedId], rows: &[Row], answers: &HashMap<String, Answer>| tools.judge(ids, rows, answers);
    let lab = lab(&case, cx.jobs(), &tools, (&ask, &judge));
    let report = tried(&case, &tools, &lab, &mut place, (plan, variants))?;
    if report.promotion.as_ref().is_some_and(|p| p.changed) {
        if report.promotion.as_ref().is_some_and(|p| p.gates.is_empty()) {
            no_gates(cx, Stage::Staging);
        }
        alert::deliver(cx, &place.store);
    }
    cx.out.emit(&report)
}

/// Refuses systems that cannot answer with files that are not registered.
fn answers_variants(project: &Project) -> Result<()> {
    let hint = "set `[system] kind = \"builtin\"`, or \"command\" with a program that answers by the files in KF_VERSION_DIR";
    let refused = |why: &str| Err(Error::usage(why).hint(hint));
    if project.policy.require_clean_git {
        return Err(Error::usage(
            "a variant is in no commit, and `policy.require-clean-git` lets only committed files be registered",
        )
        .hint("commit the files of variants and compare them with `kf eval`, or take the policy back"));
    }
    match project.system {
        System::Builtin | System::Command { .. } => Ok(()),
        System::Http { .. } => {
            refused("an HTTP service knows its versions itself: `[system] kind = \"http\"` cannot answer with a variant")
        }
        System::Recorded => refused("answers that were recorded are those of one version: nobody answers with a variant"),
    }
}

fn case<'a>(args: &'a Args, configured: &'a Configured, place: &Place) -> Result<Case<'a>> {
    let project = &configured.project;
    let version = place.store.read(|view| table::resolve(view, &args.reference))?;
    let dataset = args.dataset.clone().or_else(|| project.golden.dataset.as_ref().map(ToString::to_string));
    let dataset = dataset.ok_or_else(|| {
        Error::usage("no golden dataset named").hint("name one with `--dataset`, or set `[golden] dataset` in mlops.toml")
    })?;
    let reading = Reading::configured(&project.golden)?;
    let loaded = evaluate::load(&place.store, &place.objects, &configured.root, &dataset, &reading.map)?;
    Mapping::check(&[&loaded.golden.mapping])?;
    let split = split(&loaded.golden.rows, args.holdout, args.seed)?;
    let layout = prompt::layout(project, &version.name)?;
    let files = optimize::files_of(&place.objects, &version)?;
    let parts = optimize::parts_of(&version, &files, &layout)?;
    let builtin = project.system == System::Builtin;
    // Other types than a configuration have no settings of retrieval, and get none.
    let reads = Reads { prompt: !builtin || project.llm.is_some(), builtin: builtin && version.kind == ModelType::Config };
    let target = target(args.metric.as_deref(), project)?;
    let mut judged = evaluate::judged_of(project, &version.name);
    if let Target::Judged(id) = target {
        judged.push(id);
        judged.sort_by_key(|id| id.word());
        judged.dedup();
    }
    Ok(Case { args, configured, version, files, parts, layout, reads, loaded, reading, split, target, judged })
}

/// What decides: what is asked for, else faithfulness.
fn target(wanted: Option<&str>, project: &Project) -> Result<Target> {
    let name = match wanted {
        Some(name) => name,
        None if project.judge.is_some() => JudgedId::Faithfulness.word(),
        None => MetricId::FaithfulnessProxy.word(),
    };
    let (computed, judged) = evaluate::metrics_of(&[name.to_owned()], &[])?;
    match (judged.first(), computed.first()) {
        (Some(_), _) if project.judge.is_none() => Err(Error::usage(format!("a model judges {name}, and mlops.toml names none"))
            .hint("add `[judge]` with `provider`, `model` and `api-key`")),
        (Some(id), _) => Ok(Target::Judged(*id)),
        (None, Some(id)) => Ok(Target::Computed(*id)),
        (None, None) => Err(Error::usage(format!("there is no metric `{name}`"))),
    }
}

/// The variants that are there before anybody answers.
fn made(cx: &Cx, case: &Case<'_>) -> Result<Vec<Variant>> {
    let Case { args, files, parts, layout, reads, loaded, split, .. } = case;
    let stock = Stock { version: &case.version, files, parts, layout, reads_prompt: reads.prompt };
    let paths: Vec<PathBuf> = args.variants.iter().map(|path| cx.cwd.join(path)).collect();
    let mut found = given(&stock, &paths)?;
    if args.deterministic || (args.variants.is_empty() && args.model.is_none()) {
        found.extend(optimize::deterministic(files, parts, *reads, (&loaded.golden.rows, &split.dev))?);
    }
    if found.is_empty() && args.model.is_none() {
        return Err(Error::new(format!("{} has nothing that can be varied", case.version.reference()))
            .hint("give variants with `--variants PATH`, or let the model of `[llm]` propose prompts with `--model`"));
    }
    Ok(found)
}

fn plan(case: &Case<'_>, tools: &Tools<'_>, variants: usize) -> Plan {
    let Case { args, split, loaded, .. } = case;
    let models = |of: &[Llm]| tools.models(of, false).unwrap_or_default();
    let writer = models(tools.writer.map_or(&[], std::slice::from_ref));
    let proposer = models(tools.project.llm.as_slice());
    let judges = models(tools.judges.map_or(&[], |j| &j.models));
    let k = Retrieval::of(&case.parts).unwrap_or_default().k as u64;
    let searched: Vec<JudgedId> = if let Target::Judged(id) = case.target { vec![id] } else { Vec::new() };
    optimize::plan(Size {
        variants: variants + args.model.map_or(0, NonZeroUsize::get),
        dev: split.dev.len(),
        holdout: split.holdout.len(),
        rows: loaded.golden.rows.len(),
        proposes: args.model.is_some(),
        writer: writer.first().map(Box::as_ref),
        proposer: proposer.first().map(Box::as_ref),
        judges: &judges,
        searched: &searched,
        judged: &case.judged,
        passages: k * u64::from(tools.project.ingest.chunk_tokens),
    })
}

fn lab<'a>(case: &'a Case<'_>, jobs: usize, tools: &Tools<'_>, (ask, judge): (Ask<'a>, Judge<'a>)) -> Lab<'a> {
    let gated = case.configured.project.gates.iter().map(|gate| gate.metric());
    Lab {
        rows: &case.loaded.golden.rows,
        ask,
        judge,
        target: case.target,
        computed: computed(gated.chain([case.target.word()])),
        judged: case.judged.clone(),
        k: case.reading.k,
        jobs,
        purse: tools.purse.clone(),
    }
}

/// A report of nothing yet.
fn dry(case: &Case<'_>, plan: Plan, variants: &[Variant]) -> Optimized {
    Optimized {
        version: (&case.version).into(),
        dataset: case.loaded.dataset.name.clone(),
        dataset_digest: case.loaded.dataset.digest,
        metric: case.target.word().to_owned(),
        split: SplitDoc::of(&case.split, case.args.seed),
        plan,
        would_try: variants.iter().map(|v| v.name.clone()).collect(),
        result: None,
        reason: String::new(),
        needed: None,
        mean: None,
        evaluation: None,
        trials: Vec::new(),
        finalists: Vec::new(),
        registered: None,
        promotion: None,
        recall: None,
        spent_usd: PicoUsd(0),
    }
}

/// The whole search, from the version's own answers to the winner's promotion.
fn tried(
    case: &Case<'_>,
    tools: &Tools<'_>,
    lab: &Lab<'_>,
    place: &mut Place,
    (plan, mut variants): (Plan, Vec<Variant>),
) -> Result<Optimized> {
    let (project, split) = (&case.configured.project, &case.split);
    let all: Vec<usize> = (0..lab.rows.len()).collect();
    let number = case.version.version.to_string();
    let mut parent = Player::new(case.files.clone(), number.clone())?;
    parent.ask(lab, &all)?;
    let scores = parent.scores(lab, &all)?;
    let model = judging::name(project)?.map(|name| case.reading.judge_of(&name));
    let judges = (case.reading.judge(), model);
    let judges = (judges.0.as_str(), judges.1.as_deref());
    let mut report = dry(case, plan, &[]);
    let whole = [Some(&scores.0), scores.1.as_ref()];
    let sum = whole.into_iter().flatten().flat_map(|s| &s.sums).find(|s| s.metric == case.target.word());
    report.mean = sum.and_then(|s| s.mean);
    report.recall = review(lab, &scores.0, (&parent, &[]), (project, &case.parts, case.reads.builtin));
    if lab.purse.is_empty() {
        report.result = Some(End::Stopped);
        return Ok(Optimized { spent_usd: lab.purse.spent(), ..report });
    }
    let (evaluation, _) = enter::keep(place, &case.version, (&case.loaded, &parent), judges, &scores)?;
    report.evaluation = Some(evaluation.id);
    variants.extend(proposals(case, tools, lab, &mut parent)?);
    let mut runners = search(lab, &mut parent, variants, &split.dev, &number, case.args.seed)?;
    let guards = optimize::guards(project, &case.version, case.target.word());
    report.finalists = optimize::decide(lab, &mut parent, &mut runners, &split.holdout, &guards)?;
    (report.result, report.reason, report.needed) = ended(&report.finalists, &runners, lab);
    let won =
        optimize::best(&report.finalists, Verdict::Pass).filter(|_| report.result == Some(End::Better)).map(|d| d.name.clone());
    report.recall = review(lab, &scores.0, (&parent, &runners), (project, &case.parts, case.reads.builtin));
    if let Some(at) = won.and_then(|name| runners.iter().position(|r| r.trial.name == name)) {
        runners[at].player.ask(lab, &all)?;
        let scores = runners[at].player.scores(lab, &all)?;
        if lab.purse.is_empty() {
            report.result = Some(End::Stopped);
        } else {
            taken(case, place, &runners[at], (judges, &scores), &mut report)?;
            let parts = optimize::parts_of(&case.version, &runners[at].player.files, &case.layout)?;
            report.recall = review(lab, &scores.0, (&parent, &runners), (project, &parts, case.reads.builtin));
        }
    }
    report.trials = runners.into_iter().map(|r| r.trial).collect();
    Ok(Optimized { spent_usd: lab.purse.spent(), ..report })
}

/// Who proposes prompts in the place of which, where that is asked for.
fn proposing<'c>(case: &'c Case<'_>) -> Result<Option<(&'c Llm, &'c Prompt, NonZeroUsize)>> {
    let Some(wanted) = case.args.model else { return Ok(None) };
    let llm = case.configured.project.llm.as_ref().ok_or_else(|| {
        Error::usage("`--model` asks the model of `[llm]`, and mlops.toml has none")
            .hint("add `[llm]` with `provider` and `model`")
    })?;
    let prompt = vary::asked(&case.parts, case.reads);
    // Why there is none is what the version's own answer would say.
    let none = || case.parts.answering().err().unwrap_or_else(|| Error::usage("nobody reads the prompt"));
    Ok(Some((llm, prompt.ok_or_else(none)?, wanted)))
}

/// The prompts that a model proposes.
fn proposals(case: &Case<'_>, tools: &Tools<'_>, lab: &Lab<'_>, parent: &mut Player) -> Result<Vec<Variant>> {
    let Some((llm, prompt, wanted)) = proposing(case)? else { return Ok(Vec::new()) };
    let (models, cache) = (tools.models(std::slice::from_ref(llm), tools.keyed())?, tools.cx.answers(case.args.cache)?);
    let Some(model) = models.first() else { return Ok(Vec::new()) };
    let who = Proposer { model: model.as_ref(), cache: &cache, wanted: wanted.get(), seed: case.args.seed };
    let (found, refused) = proposed(lab, (&case.files, prompt), parent, &case.split.dev, &who)?;
    refused.iter().for_each(|why| tools.cx.warn(why));
    Ok(found)
}

/// How a search ends, why, and how many rows would decide.
fn ended(decided: &[Decided], runners: &[Runner], lab: &Lab<'_>) -> (Option<End>, String, Option<u64>) {
    if lab.purse.is_empty() || runners.iter().any(|r| r.trial.came == Came::Stopped) {
        return (Some(End::Stopped), String::new(), None);
    }
    let told = |d: &Decided| format!("{}: {}", d.name, d.judged.reason);
    if let Some(best) = optimize::best(decided, Verdict::Pass) {
        return (Some(End::Better), told(best), None);
    }
    if let Some(open) = optimize::best(decided, Verdict::Inconclusive) {
        return (Some(End::Inconclusive), told(open), open.judged.needed);
    }
    let nobody = || "none gains anything on the rows that are searched on".to_owned();
    let reason = optimize::best(decided, Verdict::Fail).map_or_else(nobody, told);
    (Some(End::NoneBetter), reason, None)
}

/// The names of who computed and of who judged.
type Judges<'n> = (&'n str, Option<&'n str>);

/// Registers, keeps and promotes the variant that is better.
fn taken(
    case: &Case<'_>,
    place: &mut Place,
    runner: &Runner,
    (judges, scores): (Judges<'_>, &Both),
    report: &mut Optimized,
) -> Result<()> {
    let (project, root) = (&case.configured.project, &case.configured.root);
    let origin = Origin {
        parent: &case.version,
        variant: &runner.trial.name,
        operator: runner.trial.operator.word(),
        seed: case.args.seed,
        gain: format!("{}, by {}", report.reason, case.target.word()),
    };
    let entered = enter::enter(place, project, root, &runner.player, &origin)?;
    let version = entered.version;
    enter::keep(place, &version, (&case.loaded, &runner.player), judges, scores)?;
    report.registered = Some(VersionDoc::from(&version));
    if case.args.no_promote {
        return Ok(());
    }
    let stays = |stage, reason: String| PromotedDoc {
        stage,
        changed: false,
        verdict: Verdict::Pass,
        gates: Vec::new(),
        reason: Some(reason),
    };
    if version.stage != Stage::Development {
        report.promotion = Some(stays(version.stage, "these files were registered before".to_owned()));
        return Ok(());
    }
    let because = Because { notify: &case.args.notify, ticket: case.args.ticket.as_deref(), reason: &origin.gain };
    let done = enter::promote(place, project, root, &version, (&origin, &because))?;
    if let Some(broken) = done.broken {
        return Err(broken);
    }
    report.registered = Some(VersionDoc::from(&done.version));
    let frozen = (!done.frozen.is_empty()).then(|| done.frozen.iter().map(|f| f.told()).collect::<Vec<_>>().join("; "));
    let (stage, changed, verdict, gates) = (done.version.stage, done.changed, done.verdict, done.gates);
    report.promotion = Some(PromotedDoc { stage, changed, verdict, gates, reason: frozen });
    Ok(())
}
