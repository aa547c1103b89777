//! The objects of versions in a backup: each encrypted once, however many sets name it.
//!
//! The list of them, which names what each was and what is stored for it, is not encrypted: a host that cannot read what it wrote must
//! know what it need not write again. It tells digests and sizes, nothing else.

use super::Place;
use super::pack::{compressing, encrypt};
use crate::adapters::age::Recipients;
use crate::base::digest::Digest;
use crate::base::error::{Context, Error, Kind, Result};
use crate::domain::backup::manifest::{Artifacts, Stream};
use crate::store::objects::Objects;
use std::collections::{BTreeMap, BTreeSet};

/// The most bytes of a list: a million objects.
const INDEX_MAX: u64 = 512 << 20;

/// From so many bytes on an object is compressed by several threads, one after the other.
const BIG: u64 = 64 << 20;
/// Objects that share flushes of the disk.
const BATCH: usize = 512;
/// The most that are encrypted at once: each takes some 5 MiB.
const THREADS: usize = 16;

/// What is stored for each object, by the digest that it had.
pub(super) type Index = BTreeMap<Digest, Stream>;

/// Reads the list of a set.
///
/// # Errors
/// When it is missing or damaged.
pub(super) fn index(place: &Objects, of: &Artifacts) -> Result<Index> {
    let bytes = place.read(&of.index, INDEX_MAX)?;
    let damaged = || "the list of objects of a backup set is damaged".to_owned();
    let text = std::str::from_utf8(&bytes).context(damaged)?;
    let line = |line: &str| serde_json::from_str::<Stream>(line).map(|s| (s.plain, s)).context(damaged);
    text.lines().map(line).collect()
}

/// Brings every object that is not there yet; `before` is what an earlier set has.
///
/// # Errors
/// When an object cannot be read, is corrupt, or cannot be written.
pub(super) fn mirror(
    place: &Place<'_>,
    from: &Objects,
    recipients: &Recipients,
    before: Index,
    told: &mut dyn FnMut(u64, u64),
) -> Result<Artifacts> {
    let mut stored = BTreeSet::new();
    place.objects.list(&mut |digest, size, _| {
        stored.insert((digest, size));
        Ok(())
    })?;
    let (mut all, mut missing): (Index, Vec<(Digest, u64)>) = (Index::new(), Vec::new());
    from.list(&mut |digest, size, _| {
        match before.get(&digest).filter(|s| stored.contains(&(s.object, s.size))) {
            Some(stream) => drop(all.insert(digest, *stream)),
            None => missing.push((digest, size)),
        }
        Ok(())
    })?;
    let (known, of) = (all.len() as u64, missing.len() as u64);
    // The big ones first: what comes last is small, and no thread waits long for another.
    missing.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
    let big = missing.partition_point(|(_, size)| *size >= BIG);
    for batch in missing[..big].chunks(1).chain(missing[big..].chunks(BATCH)) {
        brought(place, from, recipients, batch, &mut all)?;
        told(all.len() as u64 - known, of);
    }
    let lines: Vec<String> =
        all.values().map(serde_json::to_string).collect::<Result<_, _>>().context(|| "a list has no JSON")?;
    let text = lines.into_iter().map(|line| line + "\n").collect::<String>();
    let sum = |of: fn(&Stream) -> u64| all.values().map(of).sum::<u64>();
    Ok(Artifacts {
        index: place.objects.put_bytes(text.as_bytes())?.digest,
        objects: all.len() as u64,
        bytes: sum(|s| s.plain_size),
        stored: sum(|s| s.size),
    })
}

/// Encrypts some objects, each only when it is what its name says.
fn brought(place: &Place<'_>, from: &Objects, recipients: &Recipients, batch: &[(Digest, u64)], all: &mut Index) -> Result<()> {
    let threads = if batch.len() == 1 { compressing(place.jobs) } else { 0 };
    let stored = place.objects.put_filled(batch.len(), place.jobs.min(THREADS), place.scratch, &|at, to| {
        let (digest, size) = batch[at];
        let plain = encrypt(to, (recipients, threads), &mut |to| {
            let failed = || "cannot write a stream of the backup".to_owned();
            from.stream_unverified(&digest, &mut |bytes| to.write_all(bytes).context(failed))
        })?;
        match plain == (digest, size) {
            true => Ok(()),
            false => Err(Error::of(Kind::Broken, format!("object {digest} is corrupt, or changed while it was read"))
                .hint("`kf fsck --repair` sets it aside; store the same file again, or restore it from an earlier backup")),
        }
    })?;
    for ((digest, size), stored) in batch.iter().zip(stored) {
        all.insert(*digest, Stream { object: stored.digest, size: stored.size, plain: *digest, plain_size: *size });
    }
    Ok(())
}
