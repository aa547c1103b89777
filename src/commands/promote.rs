//! `kf promote`: moves a version to a stage when its gates pass.

use super::version_doc::VersionDoc;
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::name::Stage;
use crate::base::reference::Reference;
use crate::base::table::Table;
use crate::base::verdict::Verdict;
use crate::base::version::Version;
use crate::cli::arg;
use crate::cli::complete;
use crate::cli::cx::Cx;
use crate::cli::progress;
use crate::cli::report::{Block, Report};
use crate::domain::eval::gate::Judged;
use crate::release::freeze::Frozen;
use crate::release::intact::Reader;
use crate::release::promote::{Promotion, Request, moving, promote};
use crate::release::rollout::start::require_finished;
use crate::store::Mode;
use clap_complete::engine::ArgValueCompleter;
use serde::Serialize;

/// Move a version to staging or production, if its gates pass
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf promote support-bot --to staging\n  kf promote support-bot@1.2.0 --to production --ticket OPS-7 --reason \"better recall\"\n  kf promote support-bot@1.2.0 --to production --dry-run\n\nExits 3 when a gate fails, 4 when one is inconclusive."
)]
pub(crate) struct Args {
    /// The version
    #[arg(add = ArgValueCompleter::new(complete::references))]
    reference: Reference,
    /// staging or production
    #[arg(long, value_name = "STAGE", value_parser = stage_of, add = ArgValueCompleter::new(complete::stages))]
    to: Stage,
    /// Fail unless this version is in that stage now
    #[arg(long, value_name = "VERSION", add = ArgValueCompleter::new(complete::versions))]
    expect: Option<Version>,
    /// Let regression gates stay open, because nothing is in production to compare with
    #[arg(long)]
    first_release: bool,
    /// Leave the traffic where it is: where the model has a target, a rollout moves both
    #[arg(long)]
    no_traffic: bool,
    /// The ticket that asks for it
    #[arg(long, value_name = "ID", value_parser = arg::ticket())]
    ticket: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT", value_parser = arg::reason())]
    reason: Option<String>,
}

#[derive(Serialize)]
struct Promoted {
    version: VersionDoc,
    from: Stage,
    to: Stage,
    changed: bool,
    verdict: Verdict,
    gates: Vec<Judged>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    frozen: Vec<Frozen>,
    replaced: Option<VersionDoc>,
    event: Option<i64>,
    #[serde(skip)]
    refused: bool,
}

impl Report for Promoted {
    const SCHEMA: &'static str = "kf.promote/1";

    fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        if !self.gates.is_empty() {
            blocks.push(gate_table(&self.gates).into());
        }
        let mut lines = vec![self.summary()];
        if self.refused && self.gates.iter().any(|g| g.first_release) {
            lines.push("hint: for a first release, say that there is nothing to compare with: `--first-release`".into());
        }
        blocks.push(lines.join("\n").into());
        blocks
    }

    fn summary(&self) -> String {
        let v = self.version.reference();
        match (self.changed, self.refused) {
            (_, true) if !self.frozen.is_empty() => {
                let why: Vec<String> = self.frozen.iter().map(Frozen::told).collect();
                format!("{v} stays in {}: {}", self.from, why.join("; "))
            }
            (_, true) => format!("{v} stays in {}: {}", self.from, refusal(&self.gates)),
            (true, _) => {
                let replaced = self.replaced.as_ref().map(|r| format!("; {} is archived", r.version)).unwrap_or_default();
                format!("{v}: {} → {}{replaced}", self.from, self.to)
            }
            (false, false) => format!("{v} is in {} already", self.to),
        }
    }

    fn exit(&self) -> Exit {
        if self.refused { self.verdict.into() } else { Exit::Ok }
    }

    fn outputs(&self) -> Vec<(&'static str, String)> {
        vec![
            ("version", self.version.version.to_string()),
            ("stage", self.version.stage.to_string()),
            ("changed", self.changed.to_string()),
        ]
    }

    fn annotations(&self) -> Vec<(Option<String>, String, String)> {
        gate_annotations(&self.gates)
    }
}

/// One annotation for each gate that does not pass.
pub(super) fn gate_annotations(gates: &[Judged]) -> Vec<(Option<String>, String, String)> {
    let bad = gates.iter().filter(|g| g.verdict != Verdict::Pass);
    bad.map(|g| (Some("mlops.toml".to_owned()), format!("gate {} {}", g.gate, g.verdict), gate_line(g))).collect()
}

fn refusal(gates: &[Judged]) -> String {
    let named = |verdict| gates.iter().filter(|g| g.verdict == verdict).map(|g| g.gate.as_str()).collect::<Vec<_>>().join(", ");
    let (failed, open) = (named(Verdict::Fail), named(Verdict::Inconclusive));
    match (failed.is_empty(), open.is_empty()) {
        (false, true) => format!("gates failed: {failed}"),
        (false, false) => format!("gates failed: {failed}; inconclusive: {open}"),
        _ => format!("gates inconclusive: {open}"),
    }
}

fn gate_line(g: &Judged) -> String {
    let measured = g.measured.map_or("nothing measured".to_owned(), |v| format!("{} = {v:.4}", g.metric));
    let needed = g.needed.map(|n| format!("; about {n} rows would decide")).unwrap_or_default();
    format!("{measured}, {}: {}{needed}", g.threshold, g.reason)
}

/// The gates as a table: measured value, threshold and verdict of each.
pub(super) fn gate_table(gates: &[Judged]) -> Table {
    let mut t = Table::new(&["gate", "metric", ">measured", "95 % interval", "threshold", ">n", "verdict", "why"]);
    for g in gates {
        let interval = g.low.zip(g.high).map(|(l, h)| format!("{l:.4} … {h:.4}")).unwrap_or_default();
        let needed = g.needed.map(|n| format!("; about {n} rows would decide")).unwrap_or_default();
        t.row([
            g.gate.clone(),
            g.metric.clone(),
            g.measured.map(|v| format!("{v:.4}")).unwrap_or_default(),
            interval,
            g.threshold.clone(),
            g.n.to_string(),
            g.verdict.to_string(),
            format!("{}{needed}", g.reason),
        ]);
    }
    t
}

fn stage_of(text: &str) -> Result<Stage, String> {
    let refused = |e| if text == Stage::Archived.word() { format!("{e}; `kf archive` retires a version") } else { e };
    Stage::of_release(text, "nothing is promoted to").map_err(refused)
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let loaded = cx.project()?;
    let objects = cx.objects()?;
    let bar = progress::bytes(&cx.out, "verifying", 0);
    let told = |total, read| {
        bar.set_length(total);
        bar.inc(read);
    };
    let reader = Reader::new(&objects, cx.jobs(), &told);
    let request = Request {
        files: &|version| reader.require(version),
        reference: &args.reference,
        to: args.to,
        first_release: args.first_release,
        expect: args.expect,
        ticket: args.ticket.as_deref(),
        reason: args.reason.as_deref(),
    };
    let store = cx.store(Mode::Write)?;
    if let Some(version) = store.read(|view| moving(view, &loaded.project, &loaded.root, &request))? {
        reader.read(&version);
    }
    let done = store.write(|tx| {
        if !args.no_traffic {
            require_finished(tx.view(), &loaded.project, &args.reference, args.to)?;
        }
        promote(tx, &loaded.project, &loaded.root, &request)
    });
    bar.finish_and_clear();
    let done = done?;
    if done.changed && done.gates.is_empty() {
        no_gates(cx, args.to);
    }
    emit(cx, done, args.to)
}

/// Says that nothing was asked of a version before it came to a stage.
pub(super) fn no_gates(cx: &Cx, to: Stage) {
    cx.out.note(&format!("note: no gate of {to} is configured, so no evaluation was asked for: `[gates.NAME]` in mlops.toml"));
}

/// Says what came of a promotion.
pub(super) fn emit(cx: &Cx, done: Promotion, to: Stage) -> Result<Exit> {
    match done.broken {
        Some(broken) => Err(broken),
        None => cx.out.emit(&report(done, to)),
    }
}

fn report(done: Promotion, to: Stage) -> Promoted {
    Promoted {
        refused: !done.changed && done.event.is_some(),
        version: (&done.version).into(),
        from: done.from,
        to,
        changed: done.changed,
        verdict: done.verdict,
        gates: done.gates,
        frozen: done.frozen,
        replaced: done.replaced.as_ref().map(VersionDoc::from),
        event: done.event,
    }
}
