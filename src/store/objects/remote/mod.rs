//! Objects in an object store: key `<prefix>/sha256/ab/cdef…`, removed ones under `<prefix>/trash/`, corrupt
//! ones under `<prefix>/quarantine/`.
//!
//! A key gets bytes only when their digest is known, by a conditional put (or a multipart upload above 64 MiB, which appears
//! as a whole when it is completed); every request carries the SHA-256 of its body, so the server refuses what was damaged on
//! the way. A reply that is lost leaves it open whether the object is there: the key is asked again before anything is
//! repeated. An object of the right size is trusted to be right, as the server checked it when it came; [`Objects::verify`]
//! reads it. Callbacks never run inside a task, so they may call `store` themselves.
//!
//! [`Objects::verify`]: super::Objects::verify

mod errors;
mod locks;
mod open;
mod requests;
#[cfg(feature = "s3")]
mod signed;
mod upload;
mod versions;

pub use open::RemoteOptions;

use super::lock::{LockMode, Of, Probe, Retention};
use super::pieces::{self, Again, Pieces};
use super::source::{Sink, Source};
use super::{ALGORITHM, Backend, Each, Fill, Look, NAMED_MAX, Stored, TRASH, Trashed, digest_of_hex, pool};
use crate::base::digest::Digest;
use crate::base::error::{Context as _, Error, Result};
use crate::base::time::Timestamp;
use crate::store::runtime::block_on;
use futures_util::StreamExt as _;
use object_store::path::Path as Key;
use object_store::{Error as StoreError, GetOptions, GetRange, ObjectStore, ObjectStoreExt as _, PutMode};
use open::Opened;
use requests::Requests;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Above this many bytes an object is uploaded in parts.
const ONE_PUT: u64 = 64 << 20;
/// Files above this size are uploaded one after the other, so that memory stays below `UPLOADS` × this + 64 MiB.
const SMALL: u64 = 4 << 20;
/// Uploads at the same time.
const UPLOADS: usize = 16;
/// The largest object that S3 copies in one request (Amazon S3 API Reference, CopyObject).
const ONE_COPY: u64 = 5 << 30;

pub(super) struct Remote {
    store: Arc<dyn ObjectStore>,
    prefix: Key,
    /// Where it is, for people.
    place: String,
    /// Set once the bucket has answered: "no such object" and "no such bucket" look alike when only a head is asked for.
    bucket_seen: OnceLock<()>,
    large: Mutex<()>,
    /// Requests that the client does not know; there where locks are asked for, and then versions count, not what deletions hide.
    requests: Option<Arc<dyn Requests>>,
}

impl Remote {
    pub(super) fn open(url: &str, options: &RemoteOptions) -> Result<Self> {
        let Opened { store, prefix, place, requests } = open::open("artifacts.url", url, options)?;
        Ok(Self { store, prefix, place, bucket_seen: OnceLock::new(), large: Mutex::default(), requests })
    }

    fn key(&self, digest: &Digest) -> Key {
        let hex = digest.hex();
        self.prefix.clone().join(ALGORITHM).join(&hex[..2]).join(&hex[2..])
    }

    fn aside_key(&self, folder: &str, item: &Trashed) -> Key {
        self.prefix.clone().join(folder).join(item.name())
    }

    fn named(&self, name: &str) -> Key {
        name.split('/').fold(self.prefix.clone(), |key, part| key.join(part))
    }

    fn worded(&self, e: StoreError, what: impl std::fmt::Display) -> crate::base::error::Error {
        errors::worded(&e, what, &self.place)
    }

    /// The size of what is under a key; none when there is nothing.
    fn size_of(&self, key: &Key) -> Result<Option<u64>> {
        match block_on(self.store.head(key))? {
            Ok(meta) => {
                let _ = self.bucket_seen.set(());
                Ok(Some(meta.size))
            }
            Err(StoreError::NotFound { .. }) => {
                self.see_bucket()?;
                Ok(None)
            }
            // The answer to a head has no body, hence no reason: a get tells it.
            Err(e) => match block_on(self.store.get(key))? {
                Ok(found) => Ok(Some(found.meta.size)),
                Err(told) if errors::code(&told).is_some() => Err(self.worded(told, "cannot look for an object")),
                Err(_) => Err(self.worded(e, "cannot look for an object")),
            },
        }
    }

    fn see_bucket(&self) -> Result<()> {
        if self.bucket_seen.get().is_some() {
            return Ok(());
        }
        let mut list = self.store.list(Some(&self.prefix.clone().join(ALGORITHM)));
        if let Some(Err(e)) = block_on(list.next())? {
            return Err(self.worded(e, "cannot look for an object"));
        }
        let _ = self.bucket_seen.set(());
        Ok(())
    }

    /// Goes through the keys under a directory of the prefix: name below it, size, time.
    fn walk(&self, dir: &str, each: &mut dyn FnMut(&str, u64, Timestamp) -> Result<()>) -> Result<()> {
        let dir = self.prefix.clone().join(dir);
        if self.requests.is_some() {
            return self.walk_versions(&dir, each);
        }
        let mut list = self.store.list(Some(&dir));
        while let Some(next) = block_on(list.next())? {
            let meta = next.map_err(|e| self.worded(e, "cannot list the objects"))?;
            let Some(name) = meta.location.as_ref().strip_prefix(dir.as_ref()) else { continue };
            let time = Timestamp::from_micros(meta.last_modified.timestamp_micros());
            each(name.trim_start_matches('/'), meta.size, time)?;
        }
        Ok(())
    }

    /// Copies within the store; what is too large for one request goes through this machine.
    fn copy(&self, from: &Key, to: &Key, size: u64) -> Result<()> {
        if size <= ONE_COPY {
            return block_on(self.store.copy(from, to))?.map_err(|e| self.worded(e, format!("cannot copy an object to {to}")));
        }
        let failed = |e| self.worded(e, format!("cannot copy an object to {to}"));
        let mut stream = block_on(self.store.get(from))?.map_err(failed)?.into_stream();
        let sent = self.send_parts(to, size, &mut || block_on(stream.next())?.transpose().map_err(failed))?;
        sent.map_err(failed)
    }

    fn delete(&self, key: &Key) -> Result<()> {
        match block_on(self.store.delete(key))? {
            Ok(()) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(e) => Err(self.worded(e, format!("cannot delete {key}"))),
        }
    }
}

/// Reads any object of a store by its URL, unverified, giving each piece to `sink`.
pub(super) fn fetch(url: &str, options: &RemoteOptions, sink: Sink<'_>) -> Result<()> {
    let Opened { store, prefix: key, place, .. } = open::open("URL", url, options)?;
    let failed = |e: StoreError| match e {
        StoreError::NotFound { .. } if errors::is_only_the_object_missing(&e) => {
            Error::new(format!("cannot read {place}: there is no such object"))
                .hint("check the name of the bucket and of the object")
        }
        e => errors::worded(&e, "cannot read an object", &place),
    };
    let mut stream = block_on(store.get(&key))?.map_err(failed)?.into_stream();
    while let Some(bytes) = block_on(stream.next())? {
        sink(&bytes.map_err(failed)?)?;
    }
    Ok(())
}

impl Backend for Remote {
    fn put_file(&self, path: &Path) -> Result<Stored> {
        let mut source = Source::open(path)?;
        let size = source.size();
        let _alone = (size > SMALL).then(|| self.large.lock().unwrap_or_else(PoisonError::into_inner));
        if size <= ONE_PUT {
            let mut bytes = vec![0; usize::try_from(size).unwrap_or(usize::MAX)];
            let read = source.fill(&mut bytes)?;
            source.finish(read as u64)?;
            return self.put_small(bytes.into());
        }
        let (digest, size) = source.read(&mut |_| Ok(()))?;
        self.put_large(digest, size, &|| pieces::of_file(path, digest))
    }

    fn put_bytes(&self, bytes: &[u8]) -> Result<Stored> {
        if bytes.len() as u64 <= ONE_PUT {
            return self.put_small(bytes::Bytes::copy_from_slice(bytes));
        }
        self.put_large(Digest::of(bytes), bytes.len() as u64, &|| Ok(pieces::of_bytes(bytes)))
    }

    fn put_files(&self, paths: &[PathBuf], jobs: usize, progress: &dyn Fn(u64)) -> Result<Vec<Stored>> {
        pool::each(paths, jobs.min(UPLOADS), progress, &|path, tick| {
            let stored = self.put_file(path)?;
            tick(stored.size);
            Ok(stored)
        })
    }

    fn put_filled(&self, count: usize, jobs: usize, scratch: &Path, fill: Fill<'_>) -> Result<Vec<Stored>> {
        let failed = || format!("cannot write in {}", scratch.display());
        let all: Vec<usize> = (0..count).collect();
        pool::each(&all, jobs.min(UPLOADS), &|_| (), &|at, _| {
            let mut waits = tempfile::NamedTempFile::new_in(scratch).context(failed)?;
            fill(*at, waits.as_file_mut())?;
            self.put_file(waits.path())
        })
    }

    fn put_looked_at(&self, paths: &[PathBuf], jobs: usize, progress: &dyn Fn(u64), look: Look<'_, '_>) -> Result<Vec<Stored>> {
        pool::each(paths, jobs.min(UPLOADS), progress, &|path, tick| {
            let looked = look(path, tick)?;
            if let Some(give) = &looked.give {
                self.place(&looked.digest, looked.size, give)?;
            }
            Ok(Stored { digest: looked.digest, size: looked.size, new: looked.give.is_some() })
        })
    }

    fn place(&self, digest: &Digest, size: u64, give: &Again<'_>) -> Result<()> {
        let _alone = (size > SMALL).then(|| self.large.lock().unwrap_or_else(PoisonError::into_inner));
        self.overwrite(&self.key(digest), size, give)
    }

    fn open(&self, digest: &Digest) -> Result<Option<Box<Pieces<'_>>>> {
        let what = format!("cannot read object {digest}");
        let found = match block_on(self.store.get(&self.key(digest)))? {
            Ok(found) => found,
            Err(e @ StoreError::NotFound { .. }) if errors::is_only_the_object_missing(&e) => {
                return self.open_version(&self.key(digest), 0);
            }
            Err(e) => return Err(self.worded(e, what)),
        };
        let mut stream = found.into_stream();
        Ok(Some(Box::new(move || block_on(stream.next())?.transpose().map_err(|e| self.worded(e, &what)))))
    }

    fn head(&self, digest: &Digest, max: usize) -> Result<Option<(Vec<u8>, u64)>> {
        let key = self.key(digest);
        let failed = |e| self.worded(e, format!("cannot read object {digest}"));
        let options = GetOptions { range: Some(GetRange::Bounded(0..max as u64)), ..GetOptions::default() };
        match block_on(self.store.get_opts(&key, options))? {
            Ok(found) => {
                let size = found.meta.size;
                Ok(Some((block_on(found.bytes())?.map_err(failed)?.to_vec(), size)))
            }
            // Nothing has no first bytes, says S3.
            Err(e) => match self.size_of(&key)? {
                None => Ok(None),
                Some(0) => Ok(Some((Vec::new(), 0))),
                Some(_) => Err(failed(e)),
            },
        }
    }

    fn is_far(&self) -> bool {
        true
    }

    fn keep(&self, _: &Digest) -> Result<()> {
        Ok(())
    }

    fn stat(&self, digest: &Digest) -> Result<Option<u64>> {
        self.size_of(&self.key(digest))
    }

    fn list(&self, each: Each<'_>) -> Result<()> {
        self.walk(ALGORITHM, &mut |name, size, time| match digest_of_hex(&name.replacen('/', "", 1)) {
            Some(digest) if name.find('/') == Some(2) => each(digest, size, time),
            _ => Ok(()),
        })
    }

    fn set_aside(&self, folder: &str, item: &Trashed) -> Result<bool> {
        let key = self.key(&item.digest);
        let Some(size) = self.size_of(&key)? else { return Ok(false) };
        self.copy(&key, &self.aside_key(folder, item), size)?;
        self.delete(&key)?;
        Ok(true)
    }

    fn trashed(&self) -> Result<Vec<Trashed>> {
        let mut all = Vec::new();
        self.walk(TRASH, &mut |name, _, _| {
            all.extend(Trashed::parse(name));
            Ok(())
        })?;
        Ok(all)
    }

    fn restore(&self, item: &Trashed) -> Result<()> {
        let (from, to) = (self.aside_key(TRASH, item), self.key(&item.digest));
        let Some(size) = self.size_of(&from)? else { return Ok(()) };
        self.copy(&from, &to, size)?;
        self.delete(&from)
    }

    fn purge(&self, item: &Trashed) -> Result<()> {
        self.delete(&self.aside_key(TRASH, item))
    }

    fn sweep_temporaries(&self, _: Timestamp) -> Result<u64> {
        Ok(0)
    }

    fn publish(&self, name: &str, bytes: &[u8]) -> Result<bool> {
        let key = self.named(name);
        let put = self.store.put_opts(&key, bytes::Bytes::copy_from_slice(bytes).into(), PutMode::Create.into());
        match block_on(put)? {
            Ok(_) => Ok(true),
            Err(StoreError::AlreadyExists { .. } | StoreError::Precondition { .. }) => {
                // Nobody can tell whether an earlier try of this very call was answered into the void.
                Ok(self.published(name)?.as_deref() == Some(bytes))
            }
            Err(e) => Err(self.worded(e, format!("cannot write {name}"))),
        }
    }

    fn published(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let failed = |e| self.worded(e, format!("cannot read {name}"));
        let found = match block_on(self.store.get(&self.named(name)))? {
            Ok(found) => found,
            Err(e @ StoreError::NotFound { .. }) if errors::is_only_the_object_missing(&e) => {
                return self.hidden_bytes(&self.named(name));
            }
            Err(e) => return Err(failed(e)),
        };
        if found.meta.size > NAMED_MAX {
            return Err(Error::new(format!("{name} has {} bytes, too many to read at once", found.meta.size)));
        }
        Ok(Some(block_on(found.bytes())?.map_err(failed)?.to_vec()))
    }

    fn names(&self, folder: &str) -> Result<Vec<(String, Timestamp)>> {
        let mut all = Vec::new();
        self.walk(folder, &mut |name, _, time| {
            all.push((name.to_owned(), time));
            Ok(())
        })?;
        Ok(all)
    }

    fn unpublish(&self, name: &str) -> Result<()> {
        self.delete(&self.named(name))
    }

    fn describe(&self) -> String {
        self.place.clone()
    }
    fn lockable(&self) -> bool {
        self.requests.is_some()
    }

    fn retain(&self, of: Of<'_>, at_least: Retention) -> Result<Retention> {
        self.lock_longer(&self.key_of(of), at_least)
    }

    fn stream_older(&self, digest: &Digest, n: usize, sink: Sink<'_>) -> Result<bool> {
        self.stream_version(&self.key(digest), n + 1, sink)
    }

    fn retained(&self, of: Of<'_>) -> Result<Option<Retention>> {
        self.longest_lock(&self.key_of(of))
    }

    fn publish_locked(&self, name: &str, bytes: &[u8], lock: Retention) -> Result<bool> {
        match self.put_locked(&self.named(name), bytes, lock)? {
            Some(_) => Ok(true),
            // Nobody can tell whether an earlier try of this very call was answered into the void.
            None => Ok(self.published(name)?.as_deref() == Some(bytes)),
        }
    }

    fn probe_locks(&self, name: &str, mode: LockMode) -> Result<Probe> {
        self.probe(name, mode)
    }

    fn hidden(&self, folder: &str) -> Result<Vec<String>> {
        self.hidden_below(&self.prefix.clone().join(folder))
    }

    fn older(&self, name: &str) -> Result<Vec<Vec<u8>>> {
        self.older_bytes(&self.named(name))
    }

    fn expunge(&self, of: Of<'_>) -> Result<bool> {
        self.remove_versions(&self.key_of(of))
    }
}
