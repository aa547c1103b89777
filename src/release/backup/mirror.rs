//! The objects of versions in a backup: each encrypted once, however many sets name it.
//!
//! The list of them, which names what each was and what is stored for it, is not encrypted: a host that cannot read what it wrote must
//! know what it need not write again. It tells digests and sizes, nothing else.

use super::Place;
use super::pack::seal;
use crate::adapters::age::Recipients;
use crate::base::digest::Digest;
use crate::base::error::{Context, Error, Result};
use crate::domain::backup::manifest::{Artifacts, Stream};
use crate::release::parallel;
use crate::store::objects::Objects;
use std::collections::{BTreeMap, BTreeSet};

/// The most bytes of a list: a million objects.
const INDEX_MAX: u64 = 512 << 20;

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
    let (mut all, mut missing) = (Index::new(), Vec::new());
    from.list(&mut |digest, size, _| {
        match before.get(&digest).filter(|s| stored.contains(&(s.object, s.size))) {
            Some(stream) => drop(all.insert(digest, *stream)),
            None => missing.push((digest, size)),
        }
        Ok(())
    })?;
    let (of, mut failed) = (missing.len() as u64, None);
    let one = |(digest, _): &(Digest, u64)| sealed(place, from, recipients, digest);
    parallel::each(&missing, place.jobs, &one, &mut |_, stream: Result<Stream>, done| {
        match stream {
            Ok(stream) => drop(all.insert(stream.plain, stream)),
            Err(e) => failed = failed.take().or(Some(e)),
        }
        told(done, of);
    });
    if let Some(e) = failed {
        return Err(e);
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

/// One object, encrypted; only when it is what its name says.
fn sealed(place: &Place<'_>, from: &Objects, recipients: &Recipients, digest: &Digest) -> Result<Stream> {
    let file = place.scratch.join(format!("{}.object", digest.hex()));
    from.copy_to(digest, &file)?;
    let failed = || format!("cannot read {}", file.display());
    let sealed = seal(place.objects, place.scratch, recipients, &mut |to| {
        let mut from = std::fs::File::open(&file).context(failed)?;
        std::io::copy(&mut from, to).context(failed).map(drop)
    });
    let _ = std::fs::remove_file(&file);
    let sealed = sealed?;
    if sealed.plain != *digest {
        return Err(Error::new(format!("object {digest} changed while it was read")));
    }
    Ok(sealed)
}
