//! `kf canary explain`: why each decision was taken, with the numbers that it rests on.

use super::doc::{RolloutDoc, findings, word};
use super::ordered::{By, is_order};
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::table::Table;
use crate::base::text::{count, ellipsis, fixed};
use crate::base::time::Timestamp;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::domain::audit::entry::Reader;
use crate::domain::rollout::judge::Judgement;
use crate::domain::rollout::machine::{Held, Phase};
use crate::domain::rollout::table::{self, Latency, MoveRow, Rollout, Tick};
use crate::domain::rollout::tail::{self, Tail};
use crate::store::{Mode, View};
use serde::Serialize;
use std::collections::BTreeMap;

/// Say why a rollout was let on, held or taken back, with the numbers
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf canary explain bot\n  kf canary explain bot --format markdown\n\nEvidence is ln E: a good version reaches what is needed with a chance of at most 5 % over the whole rollout."
)]
pub(crate) struct Args {
    /// The model, or the end of the rollout's id; not needed when one rollout is under way
    rollout: Option<String>,
}

/// A decision.
#[derive(Serialize)]
struct Decision {
    at: Timestamp,
    what: String,
    phase: Phase,
    held: Option<Held>,
    /// Counted from 1.
    step: usize,
    weight: f64,
    why: String,
    /// The pseudonym of who made it; `actor` is the name.
    by: String,
    #[serde(flatten)]
    made: By,
    event: i64,
    judgement: Option<Judgement>,
}

#[derive(Serialize)]
struct Explained {
    #[serde(flatten)]
    of: RolloutDoc,
    decisions: Vec<Decision>,
    /// What the judge found in the newest window.
    now: Option<Judgement>,
    /// How many windows were judged in this attempt.
    windows: usize,
    unjudged: Vec<String>,
    /// With what of the stable version durations are compared.
    compared: Vec<String>,
    /// What the newest window could not have, and where windows were left out, with the reason.
    left_out: Vec<String>,
    /// Durations of the newest step with windows, in seconds; for people, not for the verdict.
    latency: Option<Tail>,
}

impl Report for Explained {
    const SCHEMA: &'static str = "kf.canary-explain/1";

    fn blocks(&self) -> Vec<Block> {
        let mut t = Table::new(&["at", "what", ">step", ">weight", "then", "who", "ticket", "why"]);
        for d in &self.decisions {
            let then = d.held.map_or_else(|| word(&d.phase), |held| format!("{}, held ({})", word(&d.phase), word(&held)));
            // What kf does by itself it does for whoever drives it.
            let By { actor, ticket, reason } = if is_order(&d.what) { d.made.clone() } else { By::default() };
            let why = reason.map_or_else(|| d.why.clone(), |reason| format!("{}: {reason}", d.why));
            let (weight, ticket) = (format!("{} %", d.weight), ticket.unwrap_or_default());
            t.row([d.at.to_string(), d.what.clone(), d.step.to_string(), weight, then, actor, ticket, ellipsis(&why, 200)]);
        }
        let mut blocks: Vec<Block> = vec![t.into()];
        let decided = self.decisions.iter().rev().find_map(|d| d.judgement.as_ref().map(|j| (d.at.to_string(), j)));
        let newest =
            self.now.as_ref().filter(|_| self.of.phase != Phase::RolledBack).map(|j| ("the newest window".to_owned(), j));
        if let Some((when, judgement)) = newest.or(decided) {
            blocks.push(findings(&judgement.findings).titled(format!("what the judge found at {when}")).into());
            let reasons = judgement.findings.iter().map(|f| format!("{}: {}", f.check, f.reason));
            blocks.push(reasons.collect::<Vec<_>>().join("\n").into());
        }
        if let Some(latency) = &self.latency {
            blocks.extend(tail_table(latency));
        }
        let mut lines: Vec<String> = self.compared.iter().map(|l| format!("compared: {l}")).collect();
        lines.extend(self.unjudged.iter().map(|l| format!("not judged: {l}")));
        lines.extend(self.left_out.iter().map(|l| format!("left out: {l}")));
        lines.push(self.summary());
        blocks.push(lines.join("\n").into());
        blocks
    }

    fn summary(&self) -> String {
        format!("{} ({})", self.of.told(), count(self.windows, "window"))
    }

    fn items(&self) -> Option<Vec<serde_json::Value>> {
        Some(self.decisions.iter().filter_map(|d| serde_json::to_value(d).ok()).collect())
    }
}

/// Quantiles of both versions, and how far one lies above the other.
fn tail_table(tail: &Tail) -> Vec<Block> {
    let mut t = Table::new(&["seconds", ">canary", "95 % interval", ">stable", "95 % interval"]);
    let number = |v: Option<f64>| v.map_or_else(|| "-".to_owned(), |v| fixed(v, 3));
    for row in &tail.quantiles {
        let ends = |of: Option<tail::Ends>| {
            let interval = of.map(|e| format!("{} … {}", number(e.low), number(e.high))).unwrap_or_default();
            (number(of.map(|e| e.value)), interval)
        };
        let (canary, stable) = (ends(row.canary), ends(row.stable));
        t.row([format!("p{}", row.q * 100.0), canary.0, canary.1, stable.0, stable.1]);
    }
    let mut blocks: Vec<Block> = vec![t.into()];
    if let (Some(effect), Some(shift)) = (tail.effect, tail.shift) {
        let interval = format!("{} … {}", number(tail.shift_low), number(tail.shift_high));
        let p = tail.p_value.map(|p| format!(", p = {p:.3} looked at once")).unwrap_or_default();
        blocks.push(
            format!(
                "an answer of the canary is slower in {:.1} of 100 pairs; typically by {} s ({interval}){p}",
                effect * 100.0,
                fixed(shift, 3)
            )
            .into(),
        );
    }
    blocks
}

pub(super) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let report = cx.store(Mode::Read)?.read(|view| {
        let of = table::select(view, args.rollout.as_deref())?;
        explain(view, &of)
    })?;
    cx.out.emit(&report)
}

fn explain(view: View<'_>, of: &Rollout) -> Result<Explained> {
    let windows = table::windows(view, &of.uid, of.state.attempt)?;
    let mut left_out = windows.last().and_then(|t| t.seen.as_ref()).map(|s| s.left_out.clone()).unwrap_or_default();
    left_out.extend(table::gaps(view, &of.uid)?.into_iter().map(|(at, why)| format!("{at}: {why}")));
    let mut reader = Reader::new(view);
    let decisions = table::moves(view, &of.uid)?.into_iter().map(|m| Ok(decision(By::read(&mut reader, &m)?, m)));
    let decisions = decisions.collect::<Result<_>>()?;
    Ok(Explained {
        of: RolloutDoc::read(view, of)?,
        decisions,
        now: windows.last().and_then(|t| t.judgement.clone()),
        latency: latency(&windows),
        windows: windows.len(),
        unjudged: of.setup.unjudged.clone(),
        compared: of.setup.compared(),
        left_out,
    })
}

fn decision(made: By, m: MoveRow) -> Decision {
    Decision {
        at: m.at,
        what: m.what,
        phase: m.state.phase,
        held: m.state.held,
        step: m.state.step + 1,
        weight: m.state.observed.percent(),
        why: m.reason,
        by: m.actor,
        made,
        event: m.event,
        judgement: m.judgement,
    }
}

/// The durations of the step that the newest window is of.
fn latency(windows: &[Tick]) -> Option<Tail> {
    let step = windows.last()?.seen.as_ref()?.step;
    let of_step = windows.iter().filter(|t| t.seen.as_ref().is_some_and(|s| s.step == step)).filter_map(|t| t.latency.as_ref());
    let all: Vec<&Latency> = of_step.collect();
    let sum = |arm: fn(&Latency) -> &Vec<(f64, u64)>| -> Vec<(f64, u64)> {
        let mut sum: BTreeMap<u64, u64> = BTreeMap::new();
        // Durations are above 0, where the bits of numbers stand in their order.
        for (seconds, n) in all.iter().flat_map(|l| arm(l)) {
            let of = sum.entry(seconds.to_bits()).or_default();
            *of = of.saturating_add(*n);
        }
        sum.into_iter().map(|(bits, n)| (f64::from_bits(bits), n)).collect()
    };
    let (stable, canary) = (sum(|l| &l.stable), sum(|l| &l.canary));
    (!canary.is_empty()).then(|| tail::report(&stable, &canary))
}
