//! Erasures that a set does not know of are done again in what was restored, before anybody opens it.

use crate::base::error::{Context, Result};
use crate::base::event::{Event, Resource};
use crate::domain::backup::erasure::{Erasure, What, heard_of, of_export, of_state};
use crate::domain::backup::manifest::{Found, Manifest};
use crate::domain::ingest::table::{Scope, Tenant, Whom};
use crate::release::index::index_all;
use crate::release::tenant;
use crate::store::{Store, fulltext, log, state_id};
use std::path::Path;

/// The action of the event in a state that was restored and then changed.
pub const RESTORED: &str = "state.restored";

/// Who is asked for erasures.
#[derive(Clone, Copy)]
pub enum Asked<'a> {
    /// The state in use.
    Live(&'a Store),
    /// A file of `kf audit export jsonl`.
    Export(&'a Path),
    /// There is nobody.
    Nobody,
}

/// What became of erasures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Erased {
    /// The set has no state.
    None,
    /// All that is known of are in it, so many of them done again.
    Again(usize),
    /// Nobody could say; why.
    Unknown(String),
}

/// The erasures that are known of; why not, when nobody can say.
///
/// # Errors
/// When somebody who is there cannot be read: then nobody may take what is restored for clean.
pub fn known(asked: Asked<'_>, set: &Manifest) -> Result<std::result::Result<Vec<Erasure>, String>> {
    let Some(kept) = &set.log else { return Ok(Ok(Vec::new())) };
    match asked {
        Asked::Nobody => Ok(Err("the state in use is not to be had here".to_owned())),
        Asked::Export(path) => {
            let file = std::fs::File::open(path).context(|| format!("cannot read {}", path.display()))?;
            let all = of_export(std::io::BufReader::new(file), kept).context(|| format!("cannot use {}", path.display()))?;
            Ok(Ok(all))
        }
        Asked::Live(store) => store.read(|view| {
            let head = log::head(view.db())?;
            if head.origin != kept.origin {
                return Ok(Err(format!("the state of this repository is another one ({})", head.origin)));
            }
            if head.frontier.size() < kept.size {
                return Ok(Err("the state of this repository is older than the set".to_owned()));
            }
            of_state(view).map(Ok)
        }),
    }
}

/// Does erasures again that a restored state has not heard of; gives how many there were. Nothing of
/// them is left in its file.
///
/// # Errors
/// When the state cannot be written: then it must not be used.
pub fn again(restored: &Store, set: &Manifest, erasures: &[Erasure], cache: &Path) -> Result<usize> {
    let heard = restored.read(heard_of)?;
    let mut done = Vec::new();
    for erasure in erasures.iter().filter(|erasure| !heard.contains(&erasure.id)) {
        if restored.read(|view| Tenant::find(view, &erasure.tenant))?.is_none() {
            continue;
        }
        let documents = match &erasure.what {
            What::All => None,
            What::Documents(all) => Some(all.as_slice()),
        };
        let whom = Whom::Again { documents, again: &erasure.id };
        let reason = format!("erased on {} and done again in a restored backup", erasure.at);
        let erased = tenant::erase(restored, &erasure.tenant, whom, (None, &reason), cache)?;
        done.extend(erased.event.map(|_| erasure.id.clone()));
    }
    if !done.is_empty() {
        let event = Event::new(RESTORED, Resource::new("state", state_id(&restored.db())?)).with("set", set.id.as_str());
        let event = event.with("erased-again", done.clone());
        restored.write(|tx| Ok(tx.record(event)))?;
        restored.compact()?;
    }
    Ok(done.len())
}

/// Opens the state of a file, to read and write.
pub type Open<'a> = &'a dyn Fn(&Path) -> Result<Store>;

/// The same for a folder in which a set was restored.
///
/// # Errors
/// As [`known`] and [`again`].
pub fn in_folder(asked: Asked<'_>, set: &Found, folder: &Path, open: Open<'_>) -> Result<Erased> {
    let file = folder.join(".kf/state.db");
    if !file.exists() {
        return Ok(Erased::None);
    }
    let known = known(asked, &set.manifest)?;
    let copy = open(&file)?;
    words(&copy, &set.manifest)?;
    match known {
        Err(why) => Ok(Erased::Unknown(why)),
        Ok(erasures) => again(&copy, &set.manifest, &erasures, &folder.join(".kf/cache")).map(Erased::Again),
    }
}

/// Makes the indexes of words where there are none: a state of PostgreSQL is kept without them.
pub(super) fn words(copy: &Store, set: &Manifest) -> Result<()> {
    let lacking = copy.read(|view| {
        for scope in Scope::everywhere(view)? {
            if scope.totals(view)?.chunks > 0 && fulltext::numbers(view, scope.id())?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    })?;
    if !lacking {
        return Ok(());
    }
    let event = Event::new(RESTORED, Resource::new("state", state_id(&copy.db())?)).with("set", set.id.as_str());
    copy.write(|tx| {
        let indexed = index_all(tx)?;
        Ok(tx.record(event.with("collections-indexed", indexed)))
    })?;
    Ok(())
}
