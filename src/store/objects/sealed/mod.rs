//! Objects that are encrypted where they lie, around either place: streams of age v1 that stock `age -d` reads.
//!
//! All of kf goes on naming an object by the SHA-256 of its plain bytes, and so does its place. What is stored instead of them begins
//! with a label in the header, which programs of age pass over:
//!
//! ```text
//! -> kf-object DIGEST SIZE RECIPIENTS
//! ```
//!
//! digest and size of the plain bytes, and an id of the keys that it was encrypted for (headers of X25519 keys do not tell). So without
//! any key it is known whether an object is encrypted, for whom, how long its bytes are (stated, and derived from the length of the
//! stream), and that it is not another object's stream. A file that happens to be an age stream is not mistaken for one: no
//! stream can hold its own digest. Whoever has a key knows that the label is its writer's, as the header is authenticated.
//!
//! Where the keys come from is a matter of each host. One that has only recipients stores and cannot read; what it finds in its place it
//! believes by the label. One that has only an identity reads, and stores in the clear what is new, but never over
//! what is encrypted. The identity is fetched when the first encrypted object is read, so commands that read none need none. Objects that
//! are not encrypted, or for other keys, are read as ever; [`Sealed::rewrite`] brings them to the keys of now: the new stream takes the place
//! of the old in one step, after all of the old was read and found right.
//!
//! Nothing is said to be right that was not decrypted and hashed. There is no digest of the ciphertext: it would have to lie beside
//! the stream or behind it, and neither is age any more.

mod header;
mod keys;
mod stream;

pub(super) use header::{Header, PEEK};
pub use keys::{Fetch, Keys, NoKey};
pub(super) use stream::Damaged;

use super::atomic::is_disk_error;
use super::pieces::{self, Again, Pieces};
use super::source::{Sink, Source};
use super::{Backend, Each, Fault, Fill, Health, Looked, Stored, health, pool};
use crate::base::digest::{Digest, Hasher};
use crate::base::error::{Context as _, Error, Kind, Result};
use crate::base::time::Timestamp;
use crate::store::age::Recipients;
use bytes::Bytes;
use std::path::{Path, PathBuf};

/// Files up to this size are in memory while they are stored; larger ones are read twice.
const WHOLE: u64 = 4 << 20;
/// From this size on an object is decrypted by a thread of its own.
const LARGE: u64 = 1 << 20;
/// Objects whose headers are asked for together.
const WINDOW: usize = 512;
/// Questions to a place far away at the same time.
const ASKED: usize = 16;

/// Who can read an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cover {
    /// Everybody: it is not encrypted.
    Plain,
    /// The recipients that are configured, by what its label says.
    Current,
    /// Others.
    Other,
}

/// A place of objects with the keys of this host.
pub(super) struct Sealed {
    pub(super) inner: Box<dyn Backend>,
    pub(super) keys: Keys,
}

impl Sealed {
    pub(super) fn put_file(&self, path: &Path) -> Result<Stored> {
        if self.keys.recipients().is_none() {
            return self.inner.put_file(path);
        }
        let mut stored = self.put_files(&[path.to_owned()], 1, &|_| {})?;
        stored.pop().ok_or_else(|| Error::of(Kind::Bug, "a file was stored without an answer"))
    }

    pub(super) fn put_bytes(&self, bytes: &[u8]) -> Result<Stored> {
        let Some(recipients) = self.keys.recipients() else { return self.inner.put_bytes(bytes) };
        let (digest, size) = (Digest::of(bytes), bytes.len() as u64);
        let new = !self.is_there(&digest, size)?;
        if new {
            self.inner.place(&digest, size, &*give(recipients, digest, size, move || Ok(pieces::of_bytes(bytes))))?;
        }
        Ok(Stored { digest, size, new })
    }

    pub(super) fn put_files(&self, paths: &[PathBuf], jobs: usize, progress: &dyn Fn(u64)) -> Result<Vec<Stored>> {
        match self.keys.recipients() {
            None => self.inner.put_files(paths, jobs, progress),
            Some(recipients) => self.inner.put_looked_at(paths, jobs, progress, &|path, tick| self.look(recipients, path, tick)),
        }
    }

    /// What is to be encrypted is written to `scratch` first: its label has its digest.
    pub(super) fn put_filled(&self, count: usize, jobs: usize, scratch: &Path, fill: Fill<'_>) -> Result<Vec<Stored>> {
        if self.keys.recipients().is_none() {
            return self.inner.put_filled(count, jobs, scratch, fill);
        }
        let failed = || format!("cannot write in {}", scratch.display());
        let all: Vec<usize> = (0..count).collect();
        let waiting = pool::each(&all, jobs, &|_| (), &|at, _| {
            let mut waits = tempfile::NamedTempFile::new_in(scratch).context(failed)?;
            fill(*at, waits.as_file_mut())?;
            Ok(waits)
        })?;
        let paths: Vec<PathBuf> = waiting.iter().map(|file| file.path().to_owned()).collect();
        self.put_files(&paths, jobs, &|_| ())
    }

    /// What a file is, and its encrypted bytes when it is not stored yet.
    fn look<'a>(&self, recipients: &'a Recipients, path: &Path, tick: &mut dyn FnMut(u64)) -> Result<Looked<'a>> {
        let mut source = Source::open(path)?;
        if source.size() > WHOLE {
            let (digest, size) = source.read(&mut |bytes| {
                tick(bytes.len() as u64);
                Ok(())
            })?;
            let path = path.to_owned();
            // Reading and hashing it again is half of the work.
            let plain = move || pieces::of_file(&path, digest).map(pieces::ahead);
            let give = if self.is_there(&digest, size)? { None } else { Some(give(recipients, digest, size, plain)) };
            return Ok(Looked { digest, size, give });
        }
        let mut bytes = vec![0; usize::try_from(source.size()).unwrap_or(usize::MAX)];
        let read = source.fill(&mut bytes)?;
        source.finish(read as u64)?;
        let (digest, size, bytes) = (Digest::of(&bytes), bytes.len() as u64, Bytes::from(bytes));
        tick(size);
        let plain = move || Ok(pieces::of_one(bytes.clone()));
        let give = if self.is_there(&digest, size)? { None } else { Some(give(recipients, digest, size, plain)) };
        Ok(Looked { digest, size, give })
    }

    /// Whether an object is there and right, as far as this host can know. What the disk cannot read is as wrong as other bytes.
    fn is_there(&self, digest: &Digest, size: u64) -> Result<bool> {
        let Some((start, stored)) = self.inner.head(digest, PEEK)? else { return Ok(false) };
        let header = Header::read(digest, &start);
        let stated = header.as_ref().map_or(stored, |h| h.plain_size(stored));
        if stated != size || header.is_some_and(|h| h.size != size) {
            return Ok(false);
        }
        // What the place checked when it came is trusted, as without encryption.
        if self.inner.is_far() {
            return Ok(true);
        }
        let right = match self.examine(digest, &mut |_| Ok(())) {
            Ok(found) => health(digest, found) == Health::Ok,
            // With keys at hand that cannot read it, storing it anew is what makes it readable.
            Err(e) if e.cause::<NoKey>().is_some() => !self.keys.are_here(),
            Err(e) if e.cause::<std::io::Error>().is_some_and(is_disk_error) => false,
            Err(e) => return Err(e),
        };
        if right {
            // Whoever wrote it may not have flushed it, and our caller is about to rely on it.
            self.inner.keep(digest)?;
        }
        Ok(right)
    }

    /// Gives the plain bytes in order, and tells their digest and number, or those of what lies there where that is damaged; none when
    /// there is no such object.
    pub(super) fn examine(&self, digest: &Digest, sink: Sink<'_>) -> Result<Option<(Digest, u64)>> {
        let (mut hasher, mut size) = (Hasher::new(), 0);
        let read = self.stream(digest, &mut |bytes| {
            hasher.update(bytes);
            size += bytes.len() as u64;
            sink(bytes)
        });
        match read {
            Err(e) if e.cause::<Damaged>().is_some() => self.as_it_lies(digest),
            Err(e) => Err(e),
            Ok(there) => Ok(there.then(|| (hasher.finish(), size))),
        }
    }

    fn as_it_lies(&self, digest: &Digest) -> Result<Option<(Digest, u64)>> {
        let Some(mut stored) = self.inner.open(digest)? else { return Ok(None) };
        let (mut hasher, mut size) = (Hasher::new(), 0);
        while let Some(bytes) = stored()? {
            hasher.update(&bytes);
            size += bytes.len() as u64;
        }
        Ok(Some((hasher.finish(), size)))
    }

    /// Gives the plain bytes in order, unverified; false when there is no such object.
    pub(super) fn stream(&self, digest: &Digest, sink: Sink<'_>) -> Result<bool> {
        let Some((mut plain, header)) = self.plain(digest)? else { return Ok(false) };
        if header.is_some_and(|h| h.size > LARGE) {
            pieces::pump(plain, sink)?;
        } else {
            while let Some(bytes) = plain()? {
                sink(&bytes)?;
            }
        }
        Ok(true)
    }

    /// The plain bytes, unverified; none when there is no such object.
    fn plain(&self, digest: &Digest) -> Result<Option<(Box<Pieces<'_>>, Option<Header>)>> {
        let Some(mut stored) = self.inner.open(digest)? else { return Ok(None) };
        let start = pieces::take(&mut *stored, PEEK)?;
        let header = Header::read(digest, &start);
        let stored = pieces::after(start, stored);
        let plain = match &header {
            None => stored,
            Some(header) => {
                let opened = self
                    .keys
                    .identities_for(header)
                    .and_then(|keys| stream::unseal(keys, stored, &|| self.keys.not_ours(header)));
                opened.context(|| format!("cannot read object {digest} from {}", self.inner.describe()))?
            }
        };
        Ok(Some((plain, header)))
    }

    pub(super) fn stat(&self, digest: &Digest) -> Result<Option<u64>> {
        match self.keys.are_configured() {
            true => Ok(self.cover(digest)?.map(|(size, _)| size)),
            false => self.inner.stat(digest),
        }
    }

    pub(super) fn list(&self, each: Each<'_>) -> Result<()> {
        match self.keys.are_configured() {
            true => self.survey(&mut |digest, size, at, _| each(digest, size, at)),
            false => self.inner.list(each),
        }
    }

    /// Size and cover of an object by its first bytes.
    fn cover(&self, digest: &Digest) -> Result<Option<(u64, Cover)>> {
        let Some((start, stored)) = self.inner.head(digest, PEEK)? else { return Ok(None) };
        Ok(Some(match Header::read(digest, &start) {
            None => (stored, Cover::Plain),
            Some(header) => {
                let current = self.keys.recipients().is_some_and(|r| r.id() == header.recipients);
                (header.plain_size(stored), if current { Cover::Current } else { Cover::Other })
            }
        }))
    }

    /// Goes through all objects in the order of their digests, with who can read each.
    pub(super) fn survey(&self, each: &mut dyn FnMut(Digest, u64, Timestamp, Cover) -> Result<()>) -> Result<()> {
        let mut window = Vec::with_capacity(WINDOW);
        self.inner.list(&mut |digest, _, at| {
            window.push((digest, at));
            if window.len() == WINDOW {
                self.covers(&window)?.into_iter().try_for_each(|(d, size, at, cover)| each(d, size, at, cover))?;
                window.clear();
            }
            Ok(())
        })?;
        self.covers(&window)?.into_iter().try_for_each(|(d, size, at, cover)| each(d, size, at, cover))
    }

    /// The covers of several objects; what was removed meanwhile is passed over.
    fn covers(&self, window: &[(Digest, Timestamp)]) -> Result<Vec<(Digest, u64, Timestamp, Cover)>> {
        let one = |(digest, at): &(Digest, Timestamp)| {
            let cover = self.cover(digest);
            cover.map(|found| found.map(|(size, cover)| (*digest, size, *at, cover)))
        };
        if !self.inner.is_far() {
            return window.iter().filter_map(|item| one(item).transpose()).collect();
        }
        let one = &one;
        let share = window.len().div_ceil(ASKED).max(1);
        std::thread::scope(|scope| {
            let asked: Vec<_> = window
                .chunks(share)
                .map(|part| scope.spawn(move || part.iter().filter_map(|item| one(item).transpose()).collect::<Vec<_>>()))
                .collect();
            let joined =
                asked.into_iter().flat_map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            joined.collect()
        })
    }

    /// Encrypts an object for the recipients of now, or leaves it in the clear where there are none. What is there stays until all of
    /// it was read and found right, and the new stream is durable. False when there is no such object.
    pub(super) fn rewrite(&self, digest: &Digest) -> Result<bool> {
        let Some((size, _)) = self.cover(digest)? else { return Ok(false) };
        let right = || self.right(digest);
        let placed = match self.keys.recipients() {
            None => self.inner.place(digest, size, &right),
            Some(recipients) => self.inner.place(digest, size, &*give(recipients, *digest, size, right)),
        };
        match placed {
            Err(e) if e.cause::<Damaged>().is_some() => match self.as_it_lies(digest)? {
                Some((found, size)) => Err(Fault::Corrupt { digest: *digest, found, size })
                    .context(|| format!("cannot read object {digest} from {}", self.inner.describe())),
                None => Ok(false),
            },
            placed => placed.map(|()| true),
        }
    }

    /// The plain bytes; they end with an error when they were not the right ones.
    fn right(&self, digest: &Digest) -> Result<Box<Pieces<'_>>> {
        let (digest, place) = (*digest, self.inner.describe());
        let cannot = move || format!("cannot read object {digest} from {place}");
        let Some((mut plain, _)) = self.plain(&digest)? else { return Err(Fault::Missing(digest)).context(cannot) };
        let (mut hasher, mut size) = (Some(Hasher::new()), 0);
        Ok(Box::new(move || {
            let next = plain()?;
            match &next {
                Some(bytes) => {
                    size += bytes.len() as u64;
                    hasher.iter_mut().for_each(|hasher| hasher.update(bytes));
                }
                None => {
                    let found = hasher.take().map_or(digest, Hasher::finish);
                    if found != digest {
                        return Err(Fault::Corrupt { digest, found, size }).context(&cannot);
                    }
                }
            }
            Ok(next)
        }))
    }
}

/// The encrypted bytes of what `plain` gives.
fn give<'a>(
    recipients: &'a Recipients,
    digest: Digest,
    size: u64,
    plain: impl Fn() -> Result<Box<Pieces<'a>>> + Send + Sync + 'a,
) -> Box<Again<'a>> {
    Box::new(move || stream::seal(recipients, &header::label(&digest, size, recipients.id()), plain()?))
}

#[cfg(test)]
mod tests;
