//! The audit log as a component of its own: its tiles and its newest signed checkpoint, which strangers' tools read, too.

use super::Place;
use crate::base::digest::Digest;
use crate::base::error::{Context, Error, Kind, Result};
use crate::domain::audit::export::{self, Way};
use crate::domain::audit::key::VerifierKey;
use crate::domain::audit::verify::verify;
use crate::domain::backup::manifest::Log;
use crate::seams::backup::{Counts, Dumped};
use crate::store::Store;
use std::path::Path;

/// Writes the log below a folder, after all of it was verified.
pub(super) fn dump(store: &Store, place: &Place<'_>, to: &Path) -> Result<(Log, Dumped)> {
    store.read(|view| {
        let found = verify(view, place.known, &[], place.jobs)?;
        if let Some(first) = found.findings.first() {
            let what = format!("the audit log was altered: {} findings, the first: {}", found.finding_count, first.what);
            return Err(Error::of(Kind::Broken, what).hint("`kf audit verify` names all of them"));
        }
        export::tiles(view, to, Way::Write).map(drop)
    })?;
    let log = read(to, place.known)?;
    let counts = Counts::from([("entries".into(), log.size)]);
    Ok((log, Dumped { root: to.to_owned(), counts, tool: None }))
}

/// Computes the root of the log in a folder from its entries.
fn read(files: &Path, known: &[VerifierKey]) -> Result<Log> {
    let found = export::read_again(files, known)?;
    Ok(Log { origin: found.origin, size: found.size, root: Digest::from_bytes(found.root) })
}

/// The log that was restored is the one that was kept; told for people.
pub(super) fn proven(files: &Path, kept: &Log, known: &[VerifierKey]) -> Result<String> {
    let found = read(files, known).context(|| "the audit log did not come back whole")?;
    match found == *kept {
        true => Ok(format!("{} log entries, whose root was computed again", found.size)),
        false => Err(Error::new(format!(
            "the log has {} entries and the root {}, and {} with {} were kept",
            found.size, found.root, kept.size, kept.root
        ))),
    }
}
