//! `kf fsck`: whether rows, objects, manifests and log agree; reads everything.

use super::gc::waiting;
use crate::base::error::{Error, Kind, Result};
use crate::base::exit::Exit;
use crate::base::quantity::Bytes;
use crate::base::table::Table;
use crate::base::text::count;
use crate::cli::cx::Cx;
use crate::cli::progress;
use crate::cli::report::{Block, Report};
use crate::release::fsck::{self, Options};
use crate::store::Mode;
use serde::Serialize;

/// Check that rows, objects, manifests and the audit log agree, by reading all of them
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf fsck\n  kf fsck --repair       mend what can be mended, set damaged objects aside\n  kf fsck --quick        only ask whether objects are there\n\nExits 3 when something is wrong."
)]
pub(crate) struct Args {
    /// Only ask whether objects are there and how large they are; verifies nothing
    #[arg(long)]
    quick: bool,
    /// Mend what can be mended, and set damaged objects aside so that registering the same files heals them
    #[arg(long, conflicts_with = "quick")]
    repair: bool,
}

#[derive(Serialize)]
struct Checked {
    #[serde(flatten)]
    report: fsck::Report,
}

impl Report for Checked {
    const SCHEMA: &'static str = "kf.fsck/1";

    fn blocks(&self) -> Vec<Block> {
        let r = &self.report;
        let size = |n: u64| Bytes(n).to_string();
        let counted = |n: u64, noun: &str| count(usize::try_from(n).unwrap_or(usize::MAX), noun);
        let read = if r.quick {
            format!("{} present, none read", counted(r.content.present, "object"))
        } else {
            format!("{} of {} verified, {}", r.content.verified, counted(r.content.named, "object"), size(r.content.bytes))
        };
        let mut lines = vec![
            format!("state      {}", r.state),
            format!("log        {}, {} signed", counted(r.log.entries, "entry").replace("entrys", "entries"), r.log.signed),
            format!("rows       {}, {}", counted(r.rows.versions, "version"), counted(r.rows.evaluations, "evaluation")),
            format!("artifacts  {}: {read}", r.artifacts),
        ];
        if r.content.locked > 0 {
            let locked = counted(r.content.locked, "object");
            lines.push(format!(
                "locked     {locked}: encrypted, and no key here reads them: set `artifacts.identity` and check again"
            ));
        }
        if r.content.clear + r.content.other_keys > 0 {
            let (clear, other) = (counted(r.content.clear, "object"), r.content.other_keys);
            lines.push(format!(
                "encryption {clear} in the clear, {other} for other keys: `kf rekey` encrypts them for those of now"
            ));
        }
        if r.content.orphans > 0 {
            let orphans = counted(r.content.orphans, "object");
            lines.push(format!("unneeded   {orphans}, {}: `kf gc` removes them in time", size(r.content.orphan_bytes)));
        }
        let mended = &r.repaired;
        if mended.event.is_some() {
            lines.push(format!(
                "repaired   {} rebuilt, {} set aside, {} taken out of the trash, {} swept",
                counted(mended.tiles, "tile"),
                counted(mended.quarantined.len() as u64, "object"),
                counted(mended.restored.len() as u64, "object"),
                counted(mended.temporaries, "temporary file")
            ));
        }
        let mut blocks = vec![Block::Verbatim(lines.join("\n"))];
        if !r.findings.is_empty() {
            let mut t = Table::new(&["what", "problem", "what to do"]);
            for f in &r.findings {
                t.row([f.subject.clone(), f.problem.clone(), f.fix.clone()]);
            }
            blocks.push(t.into());
        }
        if r.findings.iter().any(|f| f.fix.contains("backup")) {
            blocks.push(restore(&r.state).into());
        }
        blocks.push(self.summary().into());
        blocks
    }

    fn summary(&self) -> String {
        let locked = self.report.content.locked;
        match (self.report.findings.len(), self.report.quick) {
            (0, false) if locked > 0 => {
                let objects = count(usize::try_from(locked).unwrap_or(usize::MAX), "object");
                format!("nothing is wrong with what could be read; {objects} could not be read here")
            }
            (0, true) => "nothing is missing; nothing was read".into(),
            (0, false) => "rows, objects, manifests and log agree".into(),
            (1, _) => "1 thing does not agree".into(),
            (n, _) => format!("{} do not agree", count(n, "thing")),
        }
    }

    fn exit(&self) -> Exit {
        self.report.verdict.into()
    }

    fn annotations(&self) -> Vec<(Option<String>, String, String)> {
        self.report.findings.iter().map(|f| (None, f.subject.clone(), format!("{}: {}", f.problem, f.fix))).collect()
    }
}

/// How a state that is damaged is put back, by the engine that holds it.
fn restore(state: &str) -> &'static str {
    if state.starts_with("SQLite") {
        "to restore: stop what writes, put a backup in the place of `.kf/state.db`, remove `state.db-wal` and `state.db-shm` beside it; \
         without a backup, `sqlite3 .kf/state.db .recover | sqlite3 saved.db` saves what can still be read. Then `kf audit verify` and `kf fsck`"
    } else {
        "to restore: `pg_restore --clean` a dump of the schema, or go back to a point in time. Then `kf audit verify` and `kf fsck`"
    }
}

/// A state that is too damaged to be checked is a no as well, and the way out of it is not this command.
pub(super) fn damaged(e: Error, state: &str) -> Error {
    if !e.hints().iter().any(|hint| hint.contains("kf fsck")) {
        return e;
    }
    e.without_hints().kind_of(Kind::Broken).hint(restore(state))
}

pub(crate) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let state = cx.db_target()?.describe();
    check(cx, args).map_err(|e| damaged(e, &state))
}

fn check(cx: &Cx, args: &Args) -> Result<Exit> {
    let store = cx.store(if args.repair { Mode::Write } else { Mode::Read })?;
    let objects = cx.objects()?;
    let keys: Vec<_> = cx.log_verifier()?.into_iter().collect();
    let (repair, journal) = (args.repair && !cx.global.dry_run, super::emergency::folder(cx)?);
    let options = Options { quick: args.quick, repair, jobs: cx.jobs(), keys: &keys, journal: Some(&journal) };
    let bar = progress::things(&cx.out, "checking", 0);
    let mut progress = |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    };
    let report = fsck::check(&store, &objects, options, &mut progress, &mut waiting(cx))?;
    bar.finish_and_clear();
    cx.out.emit(&Checked { report })
}
