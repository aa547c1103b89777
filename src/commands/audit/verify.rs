//! `kf audit verify`: reads the whole log again and says whether anything in it was changed.

use super::anchor::PATH;
use super::{Trust, entries};
use crate::base::error::{Context, Kind, Result};
use crate::base::exit::Exit;
use crate::base::table::Table;
use crate::base::text::{count, group};
use crate::base::verdict::Verdict;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::commands::fsck::damaged;
use crate::domain::audit::verify::{Anchor, Anchored, Finding, Verified, verify};
use crate::store::{Mode, Store};
use serde::Serialize;
use std::path::PathBuf;

/// Read the whole log again and say whether anything in it was changed
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf audit verify\n  kf audit verify --against yesterday.checkpoint\n  kf audit verify --key kf/au/62627681a398d3e5+e28068f2+ATuWjJ6FLuxApwuR+E7h85Ne6PrFh2qSJOgf0VQRUkUT\n\nExits 3 when something was changed, 4 when signatures could not be checked for want of a key, or there are none though the log has a key.\n`audit/checkpoint` of the repository, if there is one, is compared too, and what is committed of it."
)]
pub(crate) struct Args {
    /// Compare with this checkpoint from outside; may be given several times
    #[arg(long, value_name = "FILE")]
    against: Vec<PathBuf>,
    #[command(flatten)]
    trust: Trust,
}

#[derive(Serialize)]
struct Checked {
    verdict: Verdict,
    #[serde(flatten)]
    found: Verified,
}

/// What a verdict of this command is about, and what it is not.
const COVERS: &str =
    "covers   the log, its index, names, reasons; `kf fsck` compares versions, stages, evaluations and files with it";

impl Checked {
    fn lines(&self) -> Vec<String> {
        let f = &self.found;
        let root = f.root.map_or_else(|| "none: too much is missing".into(), |root| root.to_string());
        let mut lines = vec![format!("log      {}", f.origin), format!("root     {root}")];
        if f.root != Some(f.head) {
            lines.push(format!("head     {}", f.head));
        }
        lines.push(format!(
            "read     {}, {}, {}, {}, {}",
            entries(f.entries),
            count(f.tiles as usize, "sealed tile"),
            count(f.openings as usize, "opening"),
            count(f.names as usize, "name"),
            count(f.facts as usize, "long fact")
        ));
        if f.locked > 0 {
            lines.push(format!(
                "locked   {} of the names and reasons: no key of this host reads them, so they were not compared",
                f.locked
            ));
        }
        lines.push(format!("signed   {}", self.signed()));
        let older = |a: &&Anchored| a.agrees && a.name.starts_with(PATH) && a.name != PATH;
        let agree = f.anchors.iter().filter(older).count();
        if agree > 0 {
            lines.push(format!("anchor   {PATH} in {} of Git agrees", count(agree, "other version")));
        }
        for a in f.anchors.iter().filter(|a| !older(a)) {
            let found = a.found.map_or_else(|| "none".into(), |root| root.to_string());
            let how = if a.agrees { "agrees".to_owned() } else { format!("DISAGREES: {} there, {found} here", a.root) };
            lines.push(format!("anchor   {} at {} {how}", a.name, entries(a.size)));
        }
        lines.push(COVERS.to_owned());
        if let Some(first) = f.regressions.first() {
            let seconds = first.micros.div_euclid(1_000_000);
            lines.push(format!(
                "clock    went back {}, first at entry {} by {seconds} s; the order of the log is its index",
                count(f.regression_count as usize, "time"),
                first.index
            ));
        }
        lines
    }

    fn signed(&self) -> String {
        let f = &self.found;
        let all = count(f.checkpoints as usize, "checkpoint");
        if f.never_signed {
            return "nothing since the log has a key: hosts without it appended, or the checkpoints were removed; \
                    `kf audit verify` where the key is says more"
                .into();
        }
        if f.checkpoints == 0 {
            return "nothing: whoever can write the state can rewrite it; `kf audit key --generate` makes a key".into();
        }
        if f.unchecked > 0 {
            return format!("{all} that nobody could check: give the public key with `--key VKEY`");
        }
        let tail = match f.unsigned {
            0 => "all entries".to_owned(),
            n => format!("all but the newest {}; `kf audit checkpoint` signs them where the key is", group_of(n)),
        };
        format!("{tail} ({all})")
    }
}

fn group_of(n: u64) -> String {
    group(usize::try_from(n).unwrap_or(usize::MAX))
}

fn place(f: &Finding) -> String {
    match (f.index, f.last) {
        (Some(from), Some(to)) if from == to => from.to_string(),
        (Some(from), Some(to)) => format!("{from} to {to}"),
        _ => "log".into(),
    }
}

impl Report for Checked {
    const SCHEMA: &'static str = "kf.audit-verify/1";

    fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = vec![self.summary().into(), self.lines().join("\n").into()];
        if !self.found.findings.is_empty() {
            let mut t = Table::new(&[">entry", "what is wrong"]);
            for f in &self.found.findings {
                t.row([place(f), f.what.clone()]);
            }
            blocks.push(t.into());
        }
        blocks
    }

    fn summary(&self) -> String {
        let f = &self.found;
        let all = entries(f.size);
        match (self.verdict, f.findings.first()) {
            (Verdict::Pass, _) => format!("pass: nothing in the {all} of the audit log was changed"),
            (Verdict::Inconclusive, _) if f.never_signed => {
                format!("inconclusive: the {all} of the audit log agree, but are unsigned though the log has a key")
            }
            (Verdict::Inconclusive, _) => {
                format!("inconclusive: the {all} of the audit log agree, but their signatures could not be checked")
            }
            (Verdict::Fail, first) => {
                let what = first.map_or_else(String::new, |f| format!("; look first at {}: {}", place(f), f.what));
                format!("fail: the audit log was changed: {}{what}", count(f.finding_count as usize, "finding"))
            }
        }
    }

    fn exit(&self) -> Exit {
        self.verdict.into()
    }

    fn outputs(&self) -> Vec<(&'static str, String)> {
        let root = self.found.root.map(|root| root.to_string()).unwrap_or_default();
        vec![("size", self.found.size.to_string()), ("root", root)]
    }

    fn annotations(&self) -> Vec<(Option<String>, String, String)> {
        self.found.findings.iter().map(|f| (None, format!("audit log, entry {}", place(f)), f.what.clone())).collect()
    }
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let keys = args.trust.keys(cx)?;
    let state = cx.db_target()?.describe();
    let store = cx.store(Mode::Read).map_err(|e| damaged(e, &state))?;
    let anchors = anchors(cx, args, &store)?;
    let found = store.read(|view| verify(view, &keys, &anchors, cx.jobs())).map_err(|e| damaged(e, &state))?;
    cx.out.emit(&Checked { verdict: found.verdict(), found })
}

fn anchors(cx: &Cx, args: &Args, store: &Store) -> Result<Vec<Anchor>> {
    let mut anchors = Vec::new();
    for path in &args.against {
        let bytes = std::fs::read(cx.cwd.join(path)).context(|| format!("cannot read `{}`", path.display()))?;
        anchors.push(Anchor::read(path.display().to_string(), &bytes)?);
    }
    // Kf wrote them there: somebody changed one that cannot be read.
    let committed = super::anchor::all(cx, store).map_err(|e| e.kind_of(Kind::Broken));
    anchors.extend(committed.hint(|| format!("`git log -p -- {PATH}` shows who changed it"))?);
    Ok(anchors)
}
