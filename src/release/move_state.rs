//! Moving a state, and its objects when asked to, to another place, and proving there that nothing is missing.
//!
//! Order: objects first, while the state still works; then, under the writer's lock, what was stored meanwhile and every row
//! (`store::transfer`). Every object is read again where it arrived. Killed anywhere, the same command goes on: objects that
//! are there are not copied again, rows are copied anew until the source is sealed, and a sealed source only needs the copy to
//! be opened. Nothing is removed at the source.

use super::index::index_all;
use super::parallel;
use crate::base::digest::{Digest, Hasher};
use crate::base::error::{Context, Error, Result};
use crate::base::event::{Event, Resource};
use crate::store::lock::{Hold, Matter};
use crate::store::objects::{Fault, Health, Objects};
use crate::store::transfer::{self, Incoming, Place, Proof, TableSum};
use crate::store::{Settings, Store};
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where objects go.
pub struct Artifacts<'a> {
    /// The place.
    pub to: &'a Objects,
    /// A folder on this machine for objects on their way.
    pub scratch: &'a Path,
    /// How many threads read and write.
    pub jobs: usize,
}

/// Where a state goes.
pub struct Request<'a> {
    /// How to open the place.
    pub target: Settings,
    /// The place as `state.url` names it, without password.
    pub place: &'a str,
    /// Where its objects go; `None` leaves them where they are.
    pub artifacts: Option<Artifacts<'a>>,
}

/// How far the move is, for people.
#[derive(Clone, Copy, Debug)]
pub enum Progress {
    /// So many objects of so many were copied.
    Copied(u64, u64),
    /// So many objects of so many were read again at the new place.
    Verified(u64, u64),
    /// So many rows of a table were copied.
    Rows(&'static str, u64),
}

/// What was proven about the objects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Carried {
    /// Objects at the new place whose bytes were read again and are right: all that the old place has.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Those among them that had to be copied.
    pub copied: u64,
    /// The digest over all their digests, in order.
    pub digest: Option<Digest>,
}

/// What a move did, or would do.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Where the state was.
    pub from: String,
    /// Where it is.
    pub to: String,
    /// False when it only tells what would be done, or everything was done before.
    pub changed: bool,
    /// What was proven about the rows and the log; `None` when nothing was moved now.
    pub proof: Option<Proof>,
    /// What would be copied, when it was not.
    pub tables: Vec<TableSum>,
    /// What was proven about the objects, when they moved.
    pub artifacts: Option<Carried>,
}

/// Moves a state; `waiting` is told who holds its lock.
///
/// # Errors
/// When the place is taken, something cannot be read or written, or the copy is not the same; the state is then where it was.
pub fn run(
    store: &Store,
    objects: &Objects,
    request: Request<'_>,
    waiting: &mut dyn FnMut(&str),
    progress: &mut dyn FnMut(Progress),
) -> Result<Report> {
    let mut report = Report {
        from: store.describe(),
        to: request.target.target.describe(),
        changed: false,
        proof: None,
        tables: Vec::new(),
        artifacts: None,
    };
    if store.is_dry_run() {
        report.tables = store.read(|view| transfer::sums(view.db()))?;
        return Ok(report);
    }
    let _alone = store.lock(Matter::Work, Hold::Alone, "state move", waiting)?;
    let (copy, sealed) = match transfer::receive(store, request.target, request.place)? {
        Place::Empty(copy) => (copy, false),
        Place::Sealed(copy) => (copy, true),
        Place::Done(_) => return Ok(report),
    };
    let mut carrier = request.artifacts.map(|a| Carrier { from: objects, place: a, done: BTreeMap::new(), copied: 0 });
    if let Some(carrier) = &mut carrier {
        carrier.carry(progress)?;
    }
    let proof = match sealed {
        true => copy.prove(store)?,
        false => seal(store, &copy, request.place, carrier.as_mut(), progress)?,
    };
    report.artifacts = carrier.map(|c| c.sum());
    copy.activate(moved(&report, &proof), &mut |tx| index_all(tx).map(drop))?;
    Ok(Report { changed: true, proof: Some(proof), ..report })
}

fn seal(
    store: &Store,
    copy: &Incoming,
    place: &str,
    carrier: Option<&mut Carrier<'_>>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Proof> {
    let progress = std::cell::RefCell::new(progress);
    let mut carrier = carrier;
    let mut before_rows = || match &mut carrier {
        // What was stored since the first round: rows must not name what is not there.
        Some(carrier) => carrier.carry(&mut **progress.borrow_mut()),
        None => Ok(()),
    };
    store.seal_into(copy, place, &mut before_rows, &mut |table, rows| progress.borrow_mut()(Progress::Rows(table, rows)))
}

fn moved(report: &Report, proof: &Proof) -> Event {
    let mut tables = Hasher::new();
    for table in &proof.tables {
        tables.update(format!("{} {} {}\n", table.table, table.rows, table.digest).as_bytes());
    }
    let event = Event::new("state.moved", Resource::new("state", &proof.state_id))
        .with("from", report.from.as_str())
        .with("to", report.to.as_str())
        .with("log", json!({"size": proof.log_size, "root": proof.log_root}))
        .with("rows", json!({"n": proof.tables.iter().map(|t| t.rows).sum::<u64>(), "digest": tables.finish()}));
    match &report.artifacts {
        Some(a) => event.with("objects", json!({"n": a.objects, "bytes": a.bytes, "digest": a.digest})),
        None => event,
    }
}

/// Files that are on their way at the same time, and their bytes.
const BATCH_FILES: usize = 256;
const BATCH_BYTES: u64 = 256 << 20;

/// Brings objects over.
struct Carrier<'a> {
    from: &'a Objects,
    place: Artifacts<'a>,
    /// What is proven to be there, with its size.
    done: BTreeMap<Digest, u64>,
    copied: u64,
}

impl Carrier<'_> {
    /// Brings over what is not proven to be there yet, and proves it.
    fn carry(&mut self, progress: &mut dyn FnMut(Progress)) -> Result<()> {
        let mut open = Vec::new();
        self.from.list(&mut |digest, size, _| {
            if !self.done.contains_key(&digest) {
                open.push((digest, size));
            }
            Ok(())
        })?;
        let missing = self.missing(&open)?;
        let mut rest = &missing[..];
        while !rest.is_empty() {
            let (batch, after) = rest.split_at(batch_of(rest));
            self.copy(batch)?;
            rest = after;
            progress(Progress::Copied((missing.len() - rest.len()) as u64, missing.len() as u64));
        }
        self.copied += missing.len() as u64;
        self.prove(&open, progress)
    }

    /// What is not at the new place in its right size.
    fn missing(&self, open: &[(Digest, u64)]) -> Result<Vec<(Digest, u64)>> {
        let (mut missing, mut failed) = (Vec::new(), None);
        parallel::each(open, self.place.jobs, &|(digest, _)| self.place.to.stat(digest), &mut |item, there, _| match there {
            Ok(there) if there == Some(item.1) => {}
            Ok(_) => missing.push(*item),
            Err(e) => failed = Some(e),
        });
        missing.sort_unstable();
        failed.map_or(Ok(missing), Err)
    }

    fn copy(&self, batch: &[(Digest, u64)]) -> Result<()> {
        let scratch = self.place.scratch;
        let dir = tempfile::Builder::new()
            .prefix("moving-")
            .tempdir_in(scratch)
            .context(|| format!("cannot make a folder in {}", scratch.display()))?;
        let paths: Vec<PathBuf> = batch.iter().map(|(digest, _)| dir.path().join(digest.hex())).collect();
        for ((digest, _), path) in batch.iter().zip(&paths) {
            self.from.copy_to(digest, path).map_err(|e| match e.cause::<Fault>() {
                Some(_) => e.hint("run `kf fsck --repair`, which sets it aside and says what needs it; then move again"),
                None => e,
            })?;
        }
        let stored = self.place.to.put_files(&paths, self.place.jobs, &|_| {})?;
        match stored.iter().zip(batch).find(|(stored, (digest, _))| stored.digest != *digest) {
            Some((stored, (digest, _))) => Err(Error::new(format!(
                "object {digest} changed on its way: it arrived as {} at {}",
                stored.digest,
                self.place.to.describe()
            ))
            .hint("check the disk, then run `kf state move` again")),
            None => Ok(()),
        }
    }

    /// Reads every object again where it arrived.
    fn prove(&mut self, open: &[(Digest, u64)], progress: &mut dyn FnMut(Progress)) -> Result<()> {
        let to = self.place.to;
        let (mut right, mut wrong, mut failed) = (Vec::new(), Vec::new(), None);
        parallel::each(open, self.place.jobs, &|(digest, _)| to.verify(digest), &mut |item, health, done| {
            match health {
                Ok(Health::Ok) => right.push(*item),
                Ok(_) => wrong.push(*item),
                Err(e) => failed = Some(e),
            }
            progress(Progress::Verified(done, open.len() as u64));
        });
        if let Some(e) = failed {
            return Err(e);
        }
        if let Some((digest, _)) = wrong.first() {
            return Err(Error::new(format!(
                "object {digest} has other bytes at {}, as have {} in all",
                to.describe(),
                wrong.len()
            ))
            .hint("remove those objects there, or choose an empty place, and run `kf state move` again"));
        }
        self.done.extend(right);
        Ok(())
    }

    fn sum(self) -> Carried {
        let mut digests = Hasher::new();
        for digest in self.done.keys() {
            digests.update(digest.as_bytes());
        }
        Carried {
            objects: self.done.len() as u64,
            bytes: self.done.values().sum(),
            copied: self.copied,
            digest: Some(digests.finish()),
        }
    }
}

/// How many of these go on their way together: at least one.
fn batch_of(rest: &[(Digest, u64)]) -> usize {
    let mut bytes = 0u64;
    let fits = rest.iter().take(BATCH_FILES).take_while(|(_, size)| {
        bytes = bytes.saturating_add(*size);
        bytes <= BATCH_BYTES
    });
    fits.count().max(1)
}

#[cfg(test)]
mod tests;
