//! Content-addressed objects: bytes by their SHA-256, in files or in an object store.
//!
//! Invariants: an object appears under its digest only when all its bytes are durably there; what is read is hashed again and
//! handed out only when it is what its name says; storing the same bytes again is harmless and heals an object that is wrong.
//! They may be encrypted where they lie ([`Objects::encrypted`]); their names and sizes are those of the plain bytes all the same.
//! Removal has two phases, so that a mistake can be undone: [`Objects::trash`], and later [`Objects::empty_trash`].
//!
//! All calls block, may come from several threads at once, and need memory that does not grow with the object (but for
//! [`Objects::read`] and [`Objects::put_bytes`], whose bytes are in memory anyway).

pub mod atomic;
mod files;
pub mod lock;
mod named;
mod pieces;
mod pool;
mod remote;
mod sealed;
mod source;

pub use remote::RemoteOptions;
pub use sealed::{Cover, Fetch, Keys, NoKey};

use crate::base::digest::{Digest, Hasher};
use crate::base::error::{Context, Error, Result};
use crate::base::time::Timestamp;
use lock::{LockMode, Of, Probe, Retention};
use pieces::{Again, Pieces};
use sealed::Sealed;
use source::Sink;
use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The hash algorithm's name, the first part of every object's place.
const ALGORITHM: &str = "sha256";

/// The most bytes that have a name of their own.
const NAMED_MAX: u64 = 64 << 20;

/// The folder of what garbage collection removed.
const TRASH: &str = "trash";

/// The folder of what was found corrupt.
const QUARANTINE: &str = "quarantine";

/// What storing some bytes came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The identity of the bytes.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
    /// True when they were not there before, or what was there was wrong. Of several writers at once each may say so.
    pub new: bool,
}

/// What reading an object's bytes again showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// The bytes are what the name says.
    Ok,
    /// There is no such object.
    Missing,
    /// The bytes are others.
    Corrupt {
        /// The digest of what is there.
        found: Digest,
        /// The number of bytes there.
        size: u64,
    },
}

/// Why an object cannot be had; found with [`Error::cause`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is no such object.
    Missing(Digest),
    /// The bytes under this name are others.
    Corrupt {
        /// The name.
        digest: Digest,
        /// The digest of what is there.
        found: Digest,
        /// The number of bytes there.
        size: u64,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(_) => write!(f, "there is no such object"),
            Self::Corrupt { found, size, .. } => write!(f, "the object is corrupt: its {size} bytes have the digest {found}"),
        }
    }
}

impl std::error::Error for Fault {}

/// An object that is in the trash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Trashed {
    /// The object.
    pub digest: Digest,
    /// When it was put there.
    pub since: Timestamp,
}

impl Trashed {
    /// The name in the trash: the time is part of it, because copies and restores do not keep file times.
    fn name(&self) -> String {
        format!("{}.{}", self.digest.hex(), self.since.micros())
    }

    fn parse(name: &str) -> Option<Self> {
        let (hex, micros) = name.split_once('.')?;
        Some(Self { digest: digest_of_hex(hex)?, since: Timestamp::from_micros(micros.parse().ok()?) })
    }
}

/// A digest from exactly 64 lower-case hexadecimal digits, as they stand in names.
fn digest_of_hex(hex: &str) -> Option<Digest> {
    hex.parse::<Digest>().ok().filter(|d| d.hex() == hex)
}

/// Is told digest, size in bytes and time of storing of each object.
pub type Each<'a> = &'a mut dyn FnMut(Digest, u64, Timestamp) -> Result<()>;

/// Writes the bytes of one of several objects, told by its number, to a sink.
pub type Fill<'a> = &'a (dyn Fn(usize, &mut dyn Write) -> Result<()> + Sync);
/// Gives the bytes of something to a sink, and fails in the end when they were not the right ones.
type Stream<'a> = &'a dyn Fn(Sink<'_>) -> Result<()>;

/// Where objects are. Implemented by files and by what `object_store` reaches.
trait Backend: Send + Sync {
    fn put_file(&self, path: &Path) -> Result<Stored>;
    fn put_bytes(&self, bytes: &[u8]) -> Result<Stored>;
    fn put_files(&self, paths: &[PathBuf], jobs: usize, progress: &dyn Fn(u64)) -> Result<Vec<Stored>>;
    /// Stores `count` objects whose bytes `fill` writes; those of a place that is far away wait in `scratch`.
    fn put_filled(&self, count: usize, jobs: usize, scratch: &Path, fill: Fill<'_>) -> Result<Vec<Stored>>;
    /// Stores what `look` finds to be missing, each under the digest that it tells.
    fn put_looked_at(&self, paths: &[PathBuf], jobs: usize, progress: &dyn Fn(u64), look: Look<'_, '_>) -> Result<Vec<Stored>>;
    /// Stores what `give` gives, about `size` bytes, under a digest in place of what is there; on an error of it nothing changes.
    fn place(&self, digest: &Digest, size: u64, give: &Again<'_>) -> Result<()>;
    /// Gives what lies there in order, unverified; none when there is no such object.
    fn open(&self, digest: &Digest) -> Result<Option<Box<Pieces<'_>>>>;
    /// The first bytes of what lies there, at most `max`, and the number of all; none when there is no such object.
    fn head(&self, digest: &Digest, max: usize) -> Result<Option<(Vec<u8>, u64)>>;
    /// True for a place over a network, which checks what it is given when it comes.
    fn is_far(&self) -> bool;
    /// Makes sure that what lies there outlasts a power cut.
    fn keep(&self, digest: &Digest) -> Result<()>;
    fn stat(&self, digest: &Digest) -> Result<Option<u64>>;
    fn list(&self, each: Each<'_>) -> Result<()>;
    /// Moves an object to a folder beside the objects; false when there is no such object.
    fn set_aside(&self, folder: &str, item: &Trashed) -> Result<bool>;
    fn trashed(&self) -> Result<Vec<Trashed>>;
    /// Moves an object back; the place is known to hold nothing that is right.
    fn restore(&self, item: &Trashed) -> Result<()>;
    fn purge(&self, item: &Trashed) -> Result<()>;
    fn sweep_temporaries(&self, older_than: Timestamp) -> Result<u64>;
    /// Gives a name to some bytes, durably; false when it is taken, and then nothing changes.
    fn publish(&self, name: &str, bytes: &[u8]) -> Result<bool>;
    /// What has a name; `None` when nothing has it.
    fn published(&self, name: &str) -> Result<Option<Vec<u8>>>;
    /// The names below a folder, each with the time at which the place got it.
    fn names(&self, folder: &str) -> Result<Vec<(String, Timestamp)>>;
    fn unpublish(&self, name: &str) -> Result<()>;
    fn describe(&self) -> String;
    fn lockable(&self) -> bool {
        false
    }
    /// The same as `stream` of what was there before it was overwritten, the newest first; false when there is none.
    fn stream_older(&self, _: &Digest, _: usize, _: Sink<'_>) -> Result<bool> {
        Ok(false)
    }
    fn retain(&self, _: Of<'_>, _: Retention) -> Result<Retention> {
        Err(lock::none(self.describe()))
    }
    fn retained(&self, _: Of<'_>) -> Result<Option<Retention>> {
        Ok(None)
    }
    fn publish_locked(&self, _: &str, _: &[u8], _: Retention) -> Result<bool> {
        Err(lock::none(self.describe()))
    }
    fn probe_locks(&self, _: &str, _: LockMode) -> Result<Probe> {
        Ok(Probe::NoLocks(lock::none(self.describe()).to_string()))
    }
    fn hidden(&self, _: &str) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
    fn older(&self, _: &str) -> Result<Vec<Vec<u8>>> {
        Ok(Vec::new())
    }
    fn expunge(&self, _: Of<'_>) -> Result<bool> {
        Err(lock::none(self.describe()))
    }
}

/// What a file is, and what to store for it under its digest when that is not there yet.
struct Looked<'a> {
    digest: Digest,
    size: u64,
    give: Option<Box<Again<'a>>>,
}

/// Looks at a file; tells the number of bytes done to its second argument.
type Look<'l, 'a> = &'l (dyn Fn(&Path, &mut dyn FnMut(u64)) -> Result<Looked<'a>> + Sync + 'l);

/// Is told digest, size in bytes, time of storing and cover of each object.
pub type EachCover<'a> = &'a mut dyn FnMut(Digest, u64, Timestamp, Cover) -> Result<()>;

/// The objects of a repository.
pub struct Objects {
    sealed: Sealed,
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Objects({})", self.describe())
    }
}

impl Objects {
    /// Objects in files under `dir`, which is made when the first object is stored.
    ///
    /// # Errors
    /// When `dir` is there and is not a directory.
    pub fn files(dir: &Path) -> Result<Self> {
        Ok(Self { sealed: Sealed { inner: Box::new(files::Files::new(dir)?), keys: Keys::default() } })
    }

    /// Objects under a URL such as `s3://bucket/prefix`. Nothing is asked over the network yet.
    ///
    /// # Errors
    /// A usage error when the URL or the options are wrong, or this kf was built without the protocol.
    pub fn open(url: &str, options: &RemoteOptions) -> Result<Self> {
        Ok(Self { sealed: Sealed { inner: Box::new(remote::Remote::open(url, options)?), keys: Keys::default() } })
    }

    /// The same objects, encrypted and read with these keys. Without any, what is encrypted cannot be read, and is never replaced by
    /// what is not.
    #[must_use]
    pub fn encrypted(self, keys: Keys) -> Self {
        Self { sealed: Sealed { keys, ..self.sealed } }
    }

    /// An id of the keys that objects are encrypted for, and their number; none when new objects are stored in the clear.
    pub fn recipients(&self) -> Option<(String, usize)> {
        self.sealed.keys.told()
    }

    /// Makes sure that this host can read what it encrypts.
    ///
    /// # Errors
    /// When it has no key, or another.
    pub fn prove_keys(&self) -> Result<()> {
        self.sealed.keys.prove()
    }

    /// Goes through all objects in the order of their digests, with who can read each as its label says.
    ///
    /// # Errors
    /// When the place cannot be read; whatever `each` fails with.
    pub fn survey(&self, each: EachCover<'_>) -> Result<()> {
        self.sealed.survey(each)
    }

    /// Encrypts an object for the recipients of now, or stores it in the clear when there are none; false when there is no such object.
    /// What reads it meanwhile sees the old bytes or the new, and so does whoever comes after a crash.
    ///
    /// # Errors
    /// When it cannot be read or is corrupt, or cannot be written. What is there stays as it is.
    pub fn rewrite(&self, digest: &Digest) -> Result<bool> {
        self.sealed.rewrite(digest)
    }

    /// Stores a file of any size. It is read once (twice by object stores above 64 MiB) and must hold still meanwhile.
    ///
    /// # Errors
    /// When the file cannot be read or changes, or the object cannot be written; nothing is then under its name.
    pub fn put_file(&self, path: &Path) -> Result<Stored> {
        self.sealed.put_file(path)
    }

    /// Stores some bytes.
    ///
    /// # Errors
    /// When the object cannot be written.
    pub fn put_bytes(&self, bytes: &[u8]) -> Result<Stored> {
        self.sealed.put_bytes(bytes)
    }

    /// Stores many files with up to `jobs` threads and as few disk flushes as can be; results are in the order of `paths`.
    /// `progress` is told numbers of bytes as they are done, on the calling thread.
    ///
    /// # Errors
    /// The first failure; some of the other files may have been stored.
    pub fn put_files(&self, paths: &[PathBuf], jobs: usize, progress: &dyn Fn(u64)) -> Result<Vec<Stored>> {
        self.sealed.put_files(paths, jobs, progress)
    }

    /// Stores `count` objects whose bytes `fill` writes, with up to `jobs` threads and as few disk flushes as can be; results are in the
    /// order of their numbers. What goes to an object store waits in the folder `scratch` until its digest is known.
    ///
    /// # Errors
    /// The first failure, that of `fill` included: what was being written is then under no name.
    pub fn put_filled(&self, count: usize, jobs: usize, scratch: &Path, fill: Fill<'_>) -> Result<Vec<Stored>> {
        self.sealed.put_filled(count, jobs, scratch, fill)
    }

    /// The bytes of an object, verified.
    ///
    /// # Errors
    /// [`Fault`] when it is missing or corrupt; when it has more than `max` bytes.
    pub fn read(&self, digest: &Digest, max: u64) -> Result<Vec<u8>> {
        self.newest_right(digest, &|stream| {
            let mut out = Vec::new();
            stream(&mut |bytes| {
                if (out.len() + bytes.len()) as u64 > max {
                    return Err(Error::new(format!("object {digest} has more than {max} bytes, too many to read at once")));
                }
                out.extend_from_slice(bytes);
                Ok(())
            })?;
            Ok(out)
        })
    }

    /// Writes an object's bytes to `dest`, mode 0644, in place of what was there; verified before it gets its name. What somebody
    /// wrote over an object that was locked is passed over.
    ///
    /// # Errors
    /// [`Fault`] when it is missing or corrupt; when `dest` cannot be written. `dest` is then as it was.
    pub fn copy_to(&self, digest: &Digest, dest: &Path) -> Result<()> {
        self.newest_right(digest, &|stream| {
            let mut temporary = atomic::temporary_beside(dest, 0o644)?;
            stream(&mut |bytes| {
                temporary.write_all(bytes).map_err(|e| atomic::worded(e, format!("cannot write {}", atomic::shown(dest))))
            })?;
            atomic::replace(temporary, dest)
        })
    }

    /// What `read` makes of an object; where it is locked and was overwritten, of the newest version that is right.
    fn newest_right<T>(&self, digest: &Digest, read: &dyn Fn(Stream<'_>) -> Result<T>) -> Result<T> {
        let corrupt = |e: &Error| matches!(e.cause(), Some(Fault::Corrupt { .. }));
        let e = match read(&|sink| self.verified(digest, sink)) {
            Err(e) if self.lockable() && corrupt(&e) => e,
            done => return done,
        };
        for n in 0.. {
            match read(&|sink| self.stream_older(digest, n, sink)) {
                Err(older) if corrupt(&older) => {}
                Err(_) => break,
                done => return done,
            }
        }
        Err(e)
    }

    /// Gives the bytes of an object in order to `sink`. They are verified at the end only: what `sink` made of them counts when this
    /// succeeds, and not before.
    ///
    /// # Errors
    /// [`Fault`] when it is missing or corrupt; whatever `sink` fails with.
    pub fn stream(&self, digest: &Digest, sink: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        self.verified(digest, sink)
    }

    /// The same for who hashes the bytes anyway, and verifies them.
    ///
    /// # Errors
    /// When there is no such object, or it cannot be read; whatever `sink` fails with.
    pub fn stream_unverified(&self, digest: &Digest, sink: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        match self.sealed.stream(digest, sink)? {
            true => Ok(()),
            false => self.fault(Fault::Missing(*digest)),
        }
    }

    /// Reads an object's bytes again and says whether they are right.
    ///
    /// # Errors
    /// When they cannot be read, which says nothing about them.
    pub fn verify(&self, digest: &Digest) -> Result<Health> {
        self.verify_telling(digest, &|_| {})
    }

    /// The same; `progress` is told numbers of bytes as they are read.
    ///
    /// # Errors
    /// When they cannot be read, which says nothing about them.
    pub fn verify_telling(&self, digest: &Digest, progress: &dyn Fn(u64)) -> Result<Health> {
        let found = self.sealed.examine(digest, &mut |bytes| {
            progress(bytes.len() as u64);
            Ok(())
        });
        Ok(health(digest, found?))
    }

    /// The number of bytes of an object as its place states it, unverified; `None` when it is missing.
    ///
    /// # Errors
    /// When the place cannot be asked.
    pub fn stat(&self, digest: &Digest) -> Result<Option<u64>> {
        self.sealed.stat(digest)
    }

    /// Goes through all objects in the order of their digests. What is not an object is passed over.
    ///
    /// # Errors
    /// When the place cannot be read; whatever `each` fails with.
    pub fn list(&self, each: Each<'_>) -> Result<()> {
        self.sealed.list(each)
    }

    /// Moves an object to the trash; false when there is no such object.
    ///
    /// # Errors
    /// When it cannot be moved.
    pub fn trash(&self, digest: &Digest, now: Timestamp) -> Result<bool> {
        self.sealed.inner.set_aside(TRASH, &Trashed { digest: *digest, since: now })
    }

    /// Moves an object that is corrupt out of the way, so that storing the right bytes makes it anew; false when there is no
    /// such object. Nothing deletes what is in the quarantine: it may be the last that is left of those bytes.
    ///
    /// # Errors
    /// When it cannot be moved.
    pub fn quarantine(&self, digest: &Digest, now: Timestamp) -> Result<bool> {
        self.sealed.inner.set_aside(QUARANTINE, &Trashed { digest: *digest, since: now })
    }

    /// Everything in the trash, by digest, then time.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn trashed(&self) -> Result<Vec<Trashed>> {
        let mut all = self.sealed.inner.trashed()?;
        all.sort();
        Ok(all)
    }

    /// Takes an object back out of the trash; false when it is neither there nor in its place.
    ///
    /// # Errors
    /// When it cannot be moved, or comes back corrupt ([`Fault::Corrupt`]).
    pub fn untrash(&self, digest: &Digest) -> Result<bool> {
        if self.is_in_place(digest)? {
            return Ok(true);
        }
        let Some(newest) = self.trashed()?.into_iter().rfind(|t| t.digest == *digest) else { return Ok(false) };
        self.sealed.inner.restore(&newest)?;
        match self.verified(digest, &mut |_| Ok(())) {
            Err(e) if e.cause::<NoKey>().is_none() => Err(e),
            _ => Ok(true),
        }
    }

    /// Whether an object is there and right; one that no key here reads is left where it is.
    fn is_in_place(&self, digest: &Digest) -> Result<bool> {
        match self.verify(digest) {
            Err(e) if e.cause::<NoKey>().is_some() => Ok(true),
            health => Ok(health? == Health::Ok),
        }
    }

    /// Deletes for good what was put into the trash before a time, and tells what that was.
    ///
    /// # Errors
    /// When something cannot be deleted.
    pub fn empty_trash(&self, older_than: Timestamp) -> Result<Vec<Trashed>> {
        let mut old = self.trashed()?;
        old.retain(|t| t.since < older_than);
        for item in &old {
            self.sealed.inner.purge(item)?;
        }
        Ok(old)
    }

    /// Removes what interrupted writes left behind before a time (give a day of grace); tells how many.
    /// Object stores abandon unfinished uploads by a lifecycle rule of the bucket, so there it finds nothing.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn sweep_temporaries(&self, older_than: Timestamp) -> Result<u64> {
        self.sealed.inner.sweep_temporaries(older_than)
    }

    /// Gives a name, which is never given again while it is there, to some bytes of at most a few megabytes: `folder/name`, letters of
    /// ASCII, digits, `.`, `-` and `_`. False when it is taken; what has it is then left as it is.
    ///
    /// # Errors
    /// When it cannot be written; the name is then free or has all of the bytes.
    pub fn publish(&self, name: &str, bytes: &[u8]) -> Result<bool> {
        self.sealed.inner.publish(name, bytes)
    }

    /// The bytes that have a name; `None` when it is free.
    ///
    /// # Errors
    /// When the place cannot be read.
    pub fn published(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.sealed.inner.published(name)
    }

    /// The names of a folder in their order, without it, each with the time at which the place got it.
    ///
    /// # Errors
    /// When the place cannot be read.
    pub fn names(&self, folder: &str) -> Result<Vec<(String, Timestamp)>> {
        let mut names = self.sealed.inner.names(folder)?;
        names.sort();
        Ok(names)
    }

    /// Takes a name away, for good; harmless when it is free.
    ///
    /// # Errors
    /// When it cannot be taken away.
    pub fn unpublish(&self, name: &str) -> Result<()> {
        self.sealed.inner.unpublish(name)
    }

    /// Where the objects are, for people; without credentials.
    pub fn describe(&self) -> String {
        self.sealed.inner.describe()
    }

    /// Gives an object's bytes to `sink` and fails in the end when they were not the right ones.
    fn verified(&self, digest: &Digest, sink: Sink<'_>) -> Result<()> {
        self.judged(digest, self.sealed.examine(digest, sink)?)
    }

    /// The same for an older version, which no key of this host encrypted where it lies: only backups are locked.
    fn stream_older(&self, digest: &Digest, n: usize, sink: Sink<'_>) -> Result<()> {
        let (mut hasher, mut size) = (Hasher::new(), 0);
        let there = self.sealed.inner.stream_older(digest, n, &mut |bytes| {
            hasher.update(bytes);
            size += bytes.len() as u64;
            sink(bytes)
        })?;
        self.judged(digest, there.then(|| (hasher.finish(), size)))
    }

    fn judged(&self, digest: &Digest, found: Option<(Digest, u64)>) -> Result<()> {
        match health(digest, found) {
            Health::Ok => Ok(()),
            Health::Missing => self.fault(Fault::Missing(*digest)),
            Health::Corrupt { found, size } => self.fault(Fault::Corrupt { digest: *digest, found, size }),
        }
    }

    fn fault<T>(&self, fault: Fault) -> Result<T> {
        let (Fault::Missing(digest) | Fault::Corrupt { digest, .. }) = fault;
        Err(fault)
            .context(|| format!("cannot read object {digest} from {}", self.describe()))
            .hint(|| "store the same file again, which heals the object, or restore it from a backup".into())
    }
}

/// Reads an object that kf did not store, by its URL (`s3://bucket/key`), giving its bytes in order to `sink`.
///
/// # Errors
/// A usage error when the URL or the options are wrong, or this kf was built without the protocol; when it cannot be read; what
/// `sink` fails with.
pub fn fetch(url: &str, options: &RemoteOptions, sink: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
    remote::fetch(url, options, sink)
}

/// What storing these files would come to, stored nowhere; as with [`Objects::put_files`], but for what is there already.
///
/// # Errors
/// The first file that cannot be read or does not hold still.
pub fn digest_files(paths: &[PathBuf], jobs: usize, progress: &dyn Fn(u64)) -> Result<Vec<Stored>> {
    pool::each(paths, jobs, progress, &|path, tick| {
        let read = source::Source::open(path)?.read(&mut |bytes| {
            tick(bytes.len() as u64);
            Ok(())
        });
        read.map(|(digest, size)| Stored { digest, size, new: true })
    })
}

fn health(digest: &Digest, found: Option<(Digest, u64)>) -> Health {
    match found {
        None => Health::Missing,
        Some((found, _)) if found == *digest => Health::Ok,
        Some((found, size)) => Health::Corrupt { found, size },
    }
}

#[cfg(test)]
mod tests;
