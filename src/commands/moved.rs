//! The report of commands that move a version between stages without asking gates: archive and restore.

use super::version_doc::VersionDoc;
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::name::Stage;
use crate::base::reference::Reference;
use crate::cli::cx::Cx;
use crate::cli::out::sentences;
use crate::cli::report::{Block, Report};
use crate::domain::registry::change::{Move, move_to};
use crate::domain::registry::table::{self, VersionRow};
use crate::store::{Mode, View};
use serde::Serialize;

#[derive(Serialize)]
struct MovedDoc {
    version: VersionDoc,
    from: Stage,
    to: Stage,
    changed: bool,
}

impl Report for MovedDoc {
    const SCHEMA: &'static str = "kf.move/1";

    fn blocks(&self) -> Vec<Block> {
        sentences([self.summary()])
    }

    fn summary(&self) -> String {
        let v = self.version.reference();
        match (self.changed, self.to) {
            (true, _) => format!("{v}: {} → {}", self.from, self.to),
            (false, Stage::Archived) => format!("{v} is archived already"),
            (false, _) => format!("{v} is in {} already", self.to),
        }
    }
}

/// Moves a version and reports it; `allowed` may refuse.
pub(super) fn run(
    cx: &Cx,
    reference: &Reference,
    change: &Move<'_>,
    allowed: impl FnOnce(View<'_>, &VersionRow) -> Result<()>,
) -> Result<Exit> {
    let report = cx.store(Mode::Write)?.write(|tx| {
        let version = table::resolve(tx.view(), reference)?;
        let from = version.stage;
        if from == change.to {
            return Ok(MovedDoc { version: (&version).into(), from, to: change.to, changed: false });
        }
        allowed(tx.view(), &version)?;
        move_to(tx, &version, change)?;
        let after = VersionDoc { stage: change.to, ..VersionDoc::from(&version) };
        Ok(MovedDoc { version: after, from, to: change.to, changed: true })
    })?;
    cx.out.emit(&report)
}
