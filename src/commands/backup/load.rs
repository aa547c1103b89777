//! `kf backup restore SET --component NAME --into PLACE`: loads one component into a server or folder.

use super::restore::Args;
use super::{Desk, configured};
use crate::base::error::{Error, Result};
use crate::base::exit::Exit;
use crate::base::table::Table;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::commands::gc::waiting;
use crate::release::backup::load::{Loaded, Request, load, part};
use crate::release::backup::parts;
use crate::seams::backup::Counts;
use crate::store::Mode;
use serde::Serialize;

#[derive(Serialize)]
struct Done {
    set: String,
    component: String,
    into: String,
    counts: Counts,
    safety: Option<String>,
    dry_run: bool,
}

impl Report for Done {
    const SCHEMA: &'static str = "kf.backup-load/1";

    fn blocks(&self) -> Vec<Block> {
        let mut t = Table::new(&["what", ">there now"]);
        for (name, n) in &self.counts {
            t.row([name.clone(), n.to_string()]);
        }
        let mut blocks = Block::filled(t);
        blocks.push(self.summary().into());
        blocks
    }

    fn summary(&self) -> String {
        let loaded = if self.dry_run { "would be loaded" } else { "was loaded, as many as were kept" };
        let before = self.safety.as_ref().map(|id| format!("; what was there before is in the set {id}")).unwrap_or_default();
        format!("{} of {} {loaded}: {}{before}", self.component, self.set, self.into)
    }

    fn outputs(&self) -> Vec<(&'static str, String)> {
        self.safety.iter().map(|id| ("safety", id.clone())).collect()
    }
}

pub(super) fn run(cx: &Cx, args: &Args) -> Result<Exit> {
    let [name] = args.component.as_slice() else {
        return Err(Error::usage("one component is loaded into a place").hint("name it: `--component NAME`"));
    };
    let desk = Desk::open(cx, Some(&args.key))?;
    let place = desk.place();
    let set = args.which.find(cx, &place, name.as_str(), args.trust.unsigned)?;
    let backup = configured(cx)?;
    let kind = &part(&set, name)?.kind;
    let secret = args.secret.as_ref().map(|reference| cx.secret(reference)).transpose()?;
    let artifacts = cx.objects()?;
    let request = Request { set: &set, name, force: args.force, recipients: &backup.recipients, artifacts: &artifacts };
    let to = parts::Into { name, kind, places: &args.into, secret, cwd: &cx.cwd };
    let into = parts::into(backup, to, (&cx.project()?.root, cx.jobs()), &|reference| cx.secret(reference))?;
    let store = cx.store(Mode::Write)?;
    let Loaded { into, counts, safety } = load(&store, &place, &request, into, &mut waiting(cx))?;
    let dry_run = store.is_dry_run();
    cx.out.emit(&Done { set: set.manifest.id.clone(), component: name.to_string(), into, counts, safety, dry_run })
}
