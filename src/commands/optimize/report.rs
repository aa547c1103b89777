//! What `kf optimize` says: what was tried, what decided, what became of the best, and whether retrieval finds enough.

use crate::base::digest::Digest;
use crate::base::exit::Exit;
use crate::base::name::Stage;
use crate::base::quantity::PicoUsd;
use crate::base::table::Table;
use crate::base::text::{count, ellipsis, fixed};
use crate::base::verdict::Verdict;
use crate::cli::report::{Block, Report};
use crate::commands::promote::{gate_annotations, gate_table};
use crate::commands::version_doc::VersionDoc;
use crate::domain::eval::gate::Judged;
use crate::domain::optimize::split::Split;
use crate::release::optimize::review::Review;
use crate::release::optimize::search::Trial;
use crate::release::optimize::{Decided, Plan};
use serde::Serialize;

/// How the dataset is divided.
#[derive(Serialize)]
pub(super) struct SplitDoc {
    /// Rows that are searched on.
    pub(super) dev: usize,
    /// Rows that decide.
    pub(super) holdout: usize,
    /// Rows of another `split`.
    pub(super) left: usize,
    /// True when the dataset says it, false when it was drawn.
    pub(super) given: bool,
    /// By which seed.
    pub(super) seed: u64,
}

impl SplitDoc {
    pub(super) fn of(split: &Split, seed: u64) -> Self {
        Self { dev: split.dev.len(), holdout: split.holdout.len(), left: split.left, given: split.given, seed }
    }

    fn line(&self) -> String {
        let how = if self.given { "as the dataset says".to_owned() } else { format!("drawn by seed {}", self.seed) };
        let left = if self.left > 0 { format!("; {} of another split", count(self.left, "row")) } else { String::new() };
        format!("{} to search on, {} that decide, {how}{left}", count(self.dev, "row"), count(self.holdout, "row"))
    }
}

/// The end of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum End {
    /// A variant is better.
    Better,
    /// None is.
    NoneBetter,
    /// It cannot be said yet.
    Inconclusive,
    /// The money was spent before.
    Stopped,
}

/// What became of the best.
#[derive(Serialize)]
pub(super) struct PromotedDoc {
    /// Where it stands.
    pub(super) stage: Stage,
    /// True when it moved.
    pub(super) changed: bool,
    /// Over all gates.
    pub(super) verdict: Verdict,
    /// The gates.
    pub(super) gates: Vec<Judged>,
    /// Why it did not move, where no gate says it.
    pub(super) reason: Option<String>,
}

/// What a search gave.
#[derive(Serialize)]
pub(super) struct Optimized {
    pub(super) version: VersionDoc,
    pub(super) dataset: String,
    pub(super) dataset_digest: Digest,
    pub(super) metric: String,
    pub(super) split: SplitDoc,
    pub(super) plan: Plan,
    /// The names of the variants, in a dry run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) would_try: Vec<String>,
    /// Missing when nobody was asked.
    pub(super) result: Option<End>,
    pub(super) reason: String,
    /// Rows that would decide, when it is inconclusive for want of rows.
    pub(super) needed: Option<u64>,
    /// The version's own mean on all rows.
    pub(super) mean: Option<f64>,
    /// The evaluation of the version that was kept.
    pub(super) evaluation: Option<String>,
    pub(super) trials: Vec<Trial>,
    pub(super) finalists: Vec<Decided>,
    /// The variant that was registered.
    pub(super) registered: Option<VersionDoc>,
    pub(super) promotion: Option<PromotedDoc>,
    pub(super) recall: Option<Review>,
    /// What models and systems say that it cost, in US dollars.
    pub(super) spent_usd: PicoUsd,
}

/// Rows and names that a table lists.
const SHOWN: usize = 10;

impl Report for Optimized {
    const SCHEMA: &'static str = "kf.optimize/1";

    fn blocks(&self) -> Vec<Block> {
        let head = format!(
            "{} on {} ({}, {}), by {}\n{}",
            self.version.reference(),
            self.dataset,
            count(self.split.dev + self.split.holdout + self.split.left, "row"),
            self.dataset_digest.short(),
            self.metric,
            self.split.line()
        );
        let mut blocks: Vec<Block> = vec![head.into()];
        if self.result.is_none() {
            blocks.push(self.would().into());
            return blocks;
        }
        blocks.extend(Block::filled(self.tried()));
        blocks.extend(Block::filled(self.decided()));
        blocks.extend(Block::filled(self.guards()));
        if let Some(promotion) = self.promotion.as_ref().filter(|p| !p.gates.is_empty()) {
            blocks.push(gate_table(&promotion.gates).titled("gates of staging").into());
        }
        blocks.push(self.lines().join("\n").into());
        blocks.extend(self.recall.as_ref().filter(|r| r.below).map(review).into_iter().flatten());
        blocks
    }

    fn summary(&self) -> String {
        match self.result {
            None => self.would().lines().next().unwrap_or_default().to_owned(),
            Some(_) => self.lines().first().cloned().unwrap_or_default(),
        }
    }

    fn exit(&self) -> Exit {
        let end = match self.result {
            None | Some(End::Better | End::NoneBetter) => Exit::Ok,
            Some(End::Inconclusive) => Exit::Inconclusive,
            Some(End::Stopped) => Exit::Partial,
        };
        let refused = self.promotion.as_ref().filter(|p| !p.changed);
        let recall = if self.recall.as_ref().is_some_and(|r| r.below) { Exit::No } else { Exit::Ok };
        end.and(refused.map_or(Exit::Ok, |p| Exit::from(p.verdict))).and(recall)
    }

    fn outputs(&self) -> Vec<(&'static str, String)> {
        let registered = self.registered.as_ref().map(|v| ("version", v.version.to_string()));
        let result = self.result.and_then(|end| serde_json::to_value(end).ok()).and_then(|v| v.as_str().map(str::to_owned));
        registered.into_iter().chain(result.map(|r| ("result", r))).collect()
    }

    fn annotations(&self) -> Vec<(Option<String>, String, String)> {
        self.promotion.as_ref().map(|p| gate_annotations(&p.gates)).unwrap_or_default()
    }
}

fn signed(value: Option<f64>) -> String {
    value.map(|v| format!("{v:+.4}")).unwrap_or_default()
}

fn plain(value: Option<f64>) -> String {
    value.map(|v| fixed(v, 4)).unwrap_or_default()
}

impl Optimized {
    /// What a search would take.
    fn would(&self) -> String {
        let Plan { variants, answers, judgements, proposals, cost_usd } = &self.plan;
        let cost = cost_usd.map_or_else(|| "price unknown".to_owned(), |cost| format!("about ${:.2} for models", cost.usd()));
        let mut lines = vec![format!(
            "would try {}: at most {answers} answers, {judgements} requests to judges and {proposals} for prompts, {cost}",
            count(*variants, "variant")
        )];
        lines.extend(self.would_try.iter().map(|name| format!("  {name}")));
        lines.join("\n")
    }

    fn tried(&self) -> Table {
        let mut t = Table::new(&["variant", ">rows", ">on dev", "outcome"]);
        for trial in &self.trials {
            let why = trial.reason.as_ref().map(|why| format!(": {}", ellipsis(why, 100))).unwrap_or_default();
            t.row([trial.name.clone(), trial.rows.to_string(), signed(trial.gain), format!("{}{why}", trial.came)]);
        }
        t
    }

    fn decided(&self) -> Table {
        let columns = [
            "variant",
            ">before",
            ">now",
            ">gain",
            "95 % interval",
            ">n",
            ">chance",
            ">p (Holm)",
            ">words",
            ">USD",
            "verdict",
            "why",
        ];
        let mut t = Table::new(&columns).titled("on the rows that decide");
        for d in &self.finalists {
            let j = &d.judged;
            let interval = j.low.zip(j.high).map(|(low, high)| format!("{low:.4} … {high:.4}")).unwrap_or_default();
            let needed = j.needed.map(|n| format!("; needs n = {n}")).unwrap_or_default();
            let change = |[before, now]: [Option<f64>; 2], digits: usize| {
                let both = before.zip(now).filter(|(a, b)| *a != 0.0 || *b != 0.0);
                both.map(|(a, b)| format!("{} → {}", fixed(a, digits), fixed(b, digits))).unwrap_or_default()
            };
            t.row([
                d.name.clone(),
                plain(j.before),
                plain(j.now),
                signed(j.gain),
                interval,
                j.clusters.map_or_else(|| j.n.to_string(), |c| format!("{} in {c}", j.n)),
                j.probability.map(|p| fixed(p, 4)).unwrap_or_default(),
                j.p_value.map(|p| fixed(p, 4)).unwrap_or_default(),
                change(d.words, 0),
                change(d.cost_usd, 5),
                j.verdict.to_string(),
                format!("{}{needed}", j.reason),
            ]);
        }
        t
    }

    fn guards(&self) -> Table {
        let mut t = Table::new(&["variant", "metric", ">before", ">now", ">difference", "verdict", "why"])
            .titled("what must not get worse");
        for d in &self.finalists {
            for g in &d.judged.guards {
                let verdict = g.verdict.to_string();
                t.row([
                    d.name.clone(),
                    g.metric.clone(),
                    plain(g.before),
                    plain(g.now),
                    signed(g.difference),
                    verdict,
                    g.reason.clone(),
                ]);
            }
        }
        t
    }

    /// What came of it; the first line alone is the summary.
    fn lines(&self) -> Vec<String> {
        let parent = self.version.reference();
        let mut lines = vec![match (self.result, &self.registered) {
            (Some(End::Better), Some(v)) => format!("{} is better than {parent}: {}", v.reference(), self.reason),
            (Some(End::Better), None) => format!("a variant is better than {parent}: {}", self.reason),
            (Some(End::Inconclusive), _) => {
                let needed = self.needed.map(|n| format!(", needs n = {n} rows that decide")).unwrap_or_default();
                format!("inconclusive{needed}: {}", self.reason)
            }
            (Some(End::Stopped), _) => "stopped at --max-cost: the same command with a higher one goes on from here".to_owned(),
            _ => format!("no variant is better than {parent}: {}", self.reason),
        }];
        if let Some(v) = &self.registered {
            if let Some(promotion) = &self.promotion {
                lines.push(match (&promotion.reason, promotion.changed) {
                    (Some(why), _) => format!("{} stays in {}: {why}", v.reference(), promotion.stage),
                    (None, true) => format!("{} is in {}", v.reference(), promotion.stage),
                    (None, false) => {
                        format!("{} stays in {}: the gates are {}", v.reference(), promotion.stage, promotion.verdict)
                    }
                });
            }
            lines.push(format!("what changed: `kf diff {parent} {r}`; its files: `kf checkout {r} DIR`", r = v.reference()));
        }
        if let Some(recall) = &self.recall {
            let verdict = if recall.below { format!("below {}: review retrieval", recall.limit) } else { "enough".to_owned() };
            lines.push(format!("recall: {} is {} on {} rows, {verdict}", recall.metric, fixed(recall.mean, 4), recall.n));
        }
        lines
    }
}

/// Where to look when too little is found.
fn review(found: &Review) -> Vec<Block> {
    let mut settings = Table::new(&["setting", "is", "where", "what another value may do"]).titled("settings to review");
    for s in &found.settings {
        settings.row([s.setting.clone(), ellipsis(&s.value, 40), s.place.clone(), s.advice.clone()]);
    }
    let mut tried = Table::new(&["variant", ">rows", ">recall", ">with it"]).titled("what other settings found");
    for t in found.tried.iter().take(SHOWN) {
        tried.row([t.name.clone(), t.rows.to_string(), fixed(t.before, 4), fixed(t.now, 4)]);
    }
    let mut missed = Table::new(&["row", ">found", "question", "should be found"])
        .titled(format!("{} missed something", count(found.missed.len(), "row")));
    for m in found.missed.iter().take(SHOWN) {
        let wanted = m.wanted.first().map(|w| ellipsis(w, 60)).unwrap_or_default();
        missed.row([m.row.clone(), fixed(m.score, 2), ellipsis(&m.question, 60), wanted]);
    }
    let mut blocks: Vec<Block> = [settings, tried, missed].into_iter().flat_map(Block::filled).collect();
    if found.missed.len() > SHOWN {
        blocks.push(format!("… and {} more: `--format json` has them all", found.missed.len() - SHOWN).into());
    }
    blocks
}
