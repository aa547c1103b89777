//! Objects in files: `sha256/ab/cdef…`, mode 0444, with temporaries in `tmp/` removed ones in `trash/` and corrupt ones in `quarantine/`.
//!
//! Publish = write while hashing, fsync, rename, fsync the fan-out directory. A name is never trusted: what is there already
//! is hashed, because a power cut before the fsync of another program, or a bad disk, leaves wrong bytes under a right name;
//! wrong ones are replaced. A rename over right bytes by a second writer of the same object changes nothing.
//!
//! Many files share two flushes of the whole file system (`syncfs`, which reports lost writes since Linux 5.8) instead of two
//! for each; where there is no `syncfs` every file is flushed by the thread that wrote it.

use super::atomic::{is_disk_error, make_dirs, parent, rename, shown, sync_dir, sync_file, temporary, worded};
use super::pieces::{Again, PIECE, Pieces};
use super::sealed::{Header, PEEK};
use super::source::{Sink, Source, drain};
use super::{ALGORITHM, Backend, Each, Fill, Health, Look, Stored, TRASH, Trashed, digest_of_hex, health, named, pool};
use crate::base::digest::{Digest, Hasher};
use crate::base::error::{Error, Result};
use crate::base::time::Timestamp;
use std::collections::BTreeSet;
use std::fs::{DirEntry, File, Metadata};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use tempfile::{NamedTempFile, TempPath};

/// From this many on, one flush of the file system is cheaper than one for each.
const MANY: usize = 8;

pub(super) struct Files {
    root: PathBuf,
}

/// An object written to a temporary; none when the object is there already.
struct Written {
    digest: Digest,
    size: u64,
    temporary: Option<TempPath>,
}

/// Brings a file to a temporary, flushed when told so; tells the number of bytes done to its last argument.
type Write<'a> = &'a (dyn Fn(&Path, bool, &mut dyn FnMut(u64)) -> Result<Written> + Sync);

impl Files {
    pub(super) fn new(root: &Path) -> Result<Self> {
        match std::fs::metadata(root) {
            Ok(m) if !m.is_dir() => Err(Error::new(format!("{} is not a directory", shown(root)))
                .hint("move that file away, or set `artifacts.url` to another folder")),
            _ => Ok(Self { root: root.to_owned() }),
        }
    }

    fn place_of(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.root.join(ALGORITHM).join(&hex[..2]).join(&hex[2..])
    }

    fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    fn trash_dir(&self) -> PathBuf {
        self.root.join(TRASH)
    }

    /// Makes the layout when the first object comes. All 256 fan-out directories appear at once, durably, so that no writer
    /// ever relies on a directory that another has made but not flushed.
    fn prepare(&self) -> Result<()> {
        let objects = self.root.join(ALGORITHM);
        make_dirs(&self.tmp())?;
        if objects.is_dir() {
            return Ok(());
        }
        let failed = |e| worded(e, format!("cannot lay out {}", shown(&self.root)));
        let fresh = tempfile::Builder::new().prefix("kf-").tempdir_in(self.tmp()).map_err(failed)?;
        let fan_out = fresh.path().join(ALGORITHM);
        std::fs::create_dir(&fan_out).map_err(failed)?;
        for i in 0..=u8::MAX {
            std::fs::create_dir(fan_out.join(format!("{i:02x}"))).map_err(failed)?;
        }
        sync_dir(&fan_out)?;
        match std::fs::rename(&fan_out, &objects) {
            // Another process was faster.
            Err(_) if objects.is_dir() => Ok(()),
            Err(e) => Err(failed(e)),
            Ok(()) => sync_dir(&self.root),
        }
    }

    /// Writes the bytes that `fill` gives to its sink to a temporary, not yet flushed.
    fn write(&self, fill: impl FnOnce(Sink<'_>) -> Result<(Digest, u64)>) -> Result<(NamedTempFile, Digest, u64)> {
        let mut temporary = temporary(&self.tmp(), 0o444)?;
        let (digest, size) = fill(&mut |bytes| {
            temporary.write_all(bytes).map_err(|e| worded(e, format!("cannot write to {}", shown(&self.root))))
        })?;
        Ok((temporary, digest, size))
    }

    /// Whether the object is there and right. What the disk cannot read is as wrong as other bytes: writing anew heals both.
    fn is_right(&self, digest: &Digest, size: u64) -> Result<bool> {
        let place = self.place_of(digest);
        let words = |e| worded(e, format!("cannot read {}", shown(&place)));
        let mut file = match File::open(&place) {
            Ok(file) => file,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(words(e)),
        };
        if file.metadata().map_err(words)?.len() != size {
            // What is encrypted is never replaced by what is not.
            return self.is_encrypted(digest);
        }
        let mut hasher = Hasher::new();
        let read = drain(
            &mut file,
            |bytes| {
                hasher.update(bytes);
                Ok(())
            },
            words,
        );
        match read {
            Ok(()) => {}
            Err(e) if e.cause::<std::io::Error>().is_some_and(is_disk_error) => return Ok(false),
            Err(e) => return Err(e),
        }
        // Whoever wrote it may not have flushed it, and our caller is about to rely on it.
        file.sync_all().map_err(|e| worded(e, format!("cannot sync {} to disk", shown(&place))))?;
        Ok(health(digest, Some((hasher.finish(), size))) == Health::Ok)
    }

    /// Whether what is there is this object, encrypted.
    fn is_encrypted(&self, digest: &Digest) -> Result<bool> {
        Ok(self.head(digest, PEEK)?.is_some_and(|(start, _)| Header::read(digest, &start).is_some()))
    }

    /// Gives a durable temporary its place.
    fn link(&self, temporary: TempPath, digest: &Digest) -> Result<()> {
        let place = self.place_of(digest);
        // Absent only in a store that was copied without its empty directories.
        make_dirs(parent(&place))?;
        rename(temporary, &place)
    }

    fn put(&self, fill: impl FnOnce(Sink<'_>) -> Result<(Digest, u64)>) -> Result<Stored> {
        self.prepare()?;
        let (temporary, digest, size) = self.write(fill)?;
        let new = !self.is_right(&digest, size)?;
        if new {
            self.link(sync_file(temporary)?, &digest)?;
        }
        sync_dir(parent(&self.place_of(&digest)))?;
        Ok(Stored { digest, size, new })
    }

    fn write_one(&self, path: &Path, flush: bool, tick: &mut dyn FnMut(u64)) -> Result<Written> {
        let source = Source::open(path)?;
        let (temporary, digest, size) = self.write(|sink| {
            source.read(&mut |bytes| {
                tick(bytes.len() as u64);
                sink(bytes)
            })
        })?;
        self.written(temporary, (digest, size), flush)
    }

    fn write_filled(&self, at: usize, flush: bool, fill: Fill<'_>) -> Result<Written> {
        let mut temporary = temporary(&self.tmp(), 0o444)?;
        let mut to = Hashing { inner: temporary.as_file_mut(), hasher: Hasher::new(), size: 0 };
        fill(at, &mut to)?;
        let (digest, size) = (to.hasher.finish(), to.size);
        self.written(temporary, (digest, size), flush)
    }

    /// What was written needs a place only when the same is not there already.
    fn written(&self, temporary: NamedTempFile, (digest, size): (Digest, u64), flush: bool) -> Result<Written> {
        let temporary = match self.is_right(&digest, size)? {
            true => None,
            false if flush => Some(sync_file(temporary)?),
            false => Some(temporary.into_temp_path()),
        };
        Ok(Written { digest, size, temporary })
    }

    /// The same for one that was looked at before.
    fn write_looked_at(&self, path: &Path, flush: bool, tick: &mut dyn FnMut(u64), look: Look<'_, '_>) -> Result<Written> {
        let looked = look(path, tick)?;
        let temporary = match &looked.give {
            None => None,
            Some(give) => {
                let temporary = self.write_pieces(give)?;
                Some(if flush { sync_file(temporary)? } else { temporary.into_temp_path() })
            }
        };
        Ok(Written { digest: looked.digest, size: looked.size, temporary })
    }

    fn write_pieces(&self, give: &Again<'_>) -> Result<NamedTempFile> {
        let (mut temporary, mut pieces) = (temporary(&self.tmp(), 0o444)?, give()?);
        while let Some(bytes) = pieces()? {
            temporary.write_all(&bytes).map_err(|e| worded(e, format!("cannot write to {}", shown(&self.root))))?;
        }
        Ok(temporary)
    }

    /// Stores what `write` brings to a temporary for each path.
    fn put_all(&self, paths: &[PathBuf], jobs: usize, progress: &dyn Fn(u64), write: Write<'_>) -> Result<Vec<Stored>> {
        self.prepare()?;
        let flush = Flush::open(&self.root, paths.len())?;
        let written = pool::each(paths, jobs, progress, &|path, tick| write(path, flush.is_none(), tick))?;
        self.settle(written, flush.as_ref())
    }

    /// Flushes what was written, unless each was, and gives it its places.
    fn settle(&self, written: Vec<Written>, flush: Option<&Flush>) -> Result<Vec<Stored>> {
        if let Some(flush) = flush {
            flush.all(&self.root)?;
        }
        let mut stored = Vec::with_capacity(written.len());
        let (mut published, mut dirs) = (BTreeSet::new(), BTreeSet::new());
        for Written { digest, size, temporary } in written {
            dirs.insert(parent(&self.place_of(&digest)).to_owned());
            // The same bytes under two paths are one object.
            let temporary = temporary.filter(|_| published.insert(digest));
            stored.push(Stored { digest, size, new: temporary.is_some() });
            if let Some(temporary) = temporary {
                self.link(temporary, &digest)?;
            }
        }
        match flush {
            Some(flush) if dirs.len() >= MANY => flush.all(&self.root)?,
            _ => dirs.iter().try_for_each(|dir| sync_dir(dir))?,
        }
        Ok(stored)
    }

    /// The entries of a directory by name; none when there is no such directory.
    fn entries(&self, dir: &Path) -> Result<Vec<(String, DirEntry)>> {
        let words = |e| worded(e, format!("cannot list {}", shown(dir)));
        let mut entries = Vec::new();
        match std::fs::read_dir(dir) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(entries),
            Err(e) => return Err(words(e)),
            Ok(all) => {
                for entry in all {
                    let entry = entry.map_err(words)?;
                    entries.push((entry.file_name().to_string_lossy().into_owned(), entry));
                }
            }
        }
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(entries)
    }
}

/// Hashes and counts what goes to a file.
struct Hashing<'a> {
    inner: &'a mut File,
    hasher: Hasher,
    size: u64,
}

impl std::io::Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let n = self.inner.write(bytes)?;
        let (taken, _) = bytes.split_at(n);
        self.hasher.update(taken);
        self.size += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

/// Flushes a file system once for all that was written to it, errors since it was opened included.
struct Flush {
    #[cfg(target_os = "linux")]
    anchor: File,
}

impl Flush {
    /// To be opened before the writes whose errors it shall see. None where there is no such call, or too little to do.
    fn open(root: &Path, files: usize) -> Result<Option<Self>> {
        #[cfg(target_os = "linux")]
        if files >= MANY {
            let anchor = File::open(root).map_err(|e| worded(e, format!("cannot open {}", shown(root))))?;
            return Ok(Some(Self { anchor }));
        }
        let _ = (root, files);
        Ok(None)
    }

    #[cfg(target_os = "linux")]
    fn all(&self, root: &Path) -> Result<()> {
        rustix::fs::syncfs(&self.anchor).map_err(|e| worded(e.into(), format!("cannot sync {} to disk", shown(root))))
    }

    #[cfg(not(target_os = "linux"))]
    fn all(&self, _: &Path) -> Result<()> {
        Ok(())
    }
}

impl Backend for Files {
    fn put_file(&self, path: &Path) -> Result<Stored> {
        let source = Source::open(path)?;
        self.put(|sink| source.read(sink))
    }

    fn put_bytes(&self, bytes: &[u8]) -> Result<Stored> {
        self.put(|sink| sink(bytes).map(|()| (Digest::of(bytes), bytes.len() as u64)))
    }

    fn put_files(&self, paths: &[PathBuf], jobs: usize, progress: &dyn Fn(u64)) -> Result<Vec<Stored>> {
        self.put_all(paths, jobs, progress, &|path, flush, tick| self.write_one(path, flush, tick))
    }

    fn put_filled(&self, count: usize, jobs: usize, _: &Path, fill: Fill<'_>) -> Result<Vec<Stored>> {
        self.prepare()?;
        let flush = Flush::open(&self.root, count)?;
        let all: Vec<usize> = (0..count).collect();
        let written = pool::each(&all, jobs, &|_| (), &|at, _| self.write_filled(*at, flush.is_none(), fill))?;
        self.settle(written, flush.as_ref())
    }

    fn put_looked_at(&self, paths: &[PathBuf], jobs: usize, progress: &dyn Fn(u64), look: Look<'_, '_>) -> Result<Vec<Stored>> {
        self.put_all(paths, jobs, progress, &|path, flush, tick| self.write_looked_at(path, flush, tick, look))
    }

    fn place(&self, digest: &Digest, _: u64, give: &Again<'_>) -> Result<()> {
        self.prepare()?;
        self.link(sync_file(self.write_pieces(give)?)?, digest)?;
        sync_dir(parent(&self.place_of(digest)))
    }

    fn open(&self, digest: &Digest) -> Result<Option<Box<Pieces<'_>>>> {
        let place = self.place_of(digest);
        let words = move |e| worded(e, format!("cannot read {}", shown(&place)));
        let mut file = match File::open(self.place_of(digest)) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(words(e)),
            Ok(file) => file,
        };
        Ok(Some(Box::new(move || {
            let mut buffer = vec![0; PIECE / 4];
            loop {
                match file.read(&mut buffer) {
                    Err(e) if e.kind() == ErrorKind::Interrupted => {}
                    Err(e) => return Err(words(e)),
                    Ok(n) => {
                        buffer.truncate(n);
                        return Ok((n > 0).then(|| buffer.into()));
                    }
                }
            }
        })))
    }

    fn head(&self, digest: &Digest, max: usize) -> Result<Option<(Vec<u8>, u64)>> {
        let place = self.place_of(digest);
        let words = |e| worded(e, format!("cannot read {}", shown(&place)));
        let file = match File::open(&place) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(words(e)),
            Ok(file) => file,
        };
        let (size, mut start) = (file.metadata().map_err(words)?.len(), Vec::new());
        file.take(max as u64).read_to_end(&mut start).map_err(words)?;
        Ok(Some((start, size)))
    }

    fn is_far(&self) -> bool {
        false
    }

    fn keep(&self, digest: &Digest) -> Result<()> {
        let place = self.place_of(digest);
        let synced = File::open(&place).and_then(|file| file.sync_all());
        synced.map_err(|e| worded(e, format!("cannot sync {} to disk", shown(&place))))?;
        sync_dir(parent(&place))
    }

    fn stat(&self, digest: &Digest) -> Result<Option<u64>> {
        let place = self.place_of(digest);
        match std::fs::metadata(&place) {
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(worded(e, format!("cannot read {}", shown(&place)))),
            Ok(m) => Ok(Some(m.len())),
        }
    }

    fn list(&self, each: Each<'_>) -> Result<()> {
        for (fan, dir) in self.entries(&self.root.join(ALGORITHM))? {
            if fan.len() != 2 || !dir.path().is_dir() {
                continue;
            }
            for (rest, entry) in self.entries(&dir.path())? {
                let Some(digest) = digest_of_hex(&format!("{fan}{rest}")) else { continue };
                match entry.metadata() {
                    // Moved to the trash meanwhile.
                    Err(e) if e.kind() == ErrorKind::NotFound => {}
                    Err(e) => return Err(worded(e, format!("cannot read {}", shown(&entry.path())))),
                    Ok(m) => each(digest, m.len(), modified(&m))?,
                }
            }
        }
        Ok(())
    }

    fn set_aside(&self, folder: &str, item: &Trashed) -> Result<bool> {
        let (place, folder) = (self.place_of(&item.digest), self.root.join(folder));
        if self.stat(&item.digest)?.is_none() {
            return Ok(false);
        }
        make_dirs(&folder)?;
        match std::fs::rename(&place, folder.join(item.name())) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(worded(e, format!("cannot move {} to {}", shown(&place), shown(&folder)))),
            Ok(()) => {}
        }
        // The new name first: between the two an object has two names, never none.
        sync_dir(&folder)?;
        sync_dir(parent(&place))?;
        Ok(true)
    }

    fn trashed(&self) -> Result<Vec<Trashed>> {
        Ok(self.entries(&self.trash_dir())?.iter().filter_map(|(name, _)| Trashed::parse(name)).collect())
    }

    fn restore(&self, item: &Trashed) -> Result<()> {
        let place = self.place_of(&item.digest);
        make_dirs(parent(&place))?;
        std::fs::rename(self.trash_dir().join(item.name()), &place)
            .map_err(|e| worded(e, format!("cannot take {} out of the trash", item.digest)))?;
        sync_dir(parent(&place))?;
        sync_dir(&self.trash_dir())
    }

    fn purge(&self, item: &Trashed) -> Result<()> {
        match std::fs::remove_file(self.trash_dir().join(item.name())) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(worded(e, format!("cannot delete {} from the trash", item.digest))),
            _ => sync_dir(&self.trash_dir()),
        }
    }

    fn sweep_temporaries(&self, older_than: Timestamp) -> Result<u64> {
        let mut swept = 0;
        for (_, entry) in self.entries(&self.tmp())? {
            let path = entry.path();
            let removed = match entry.metadata() {
                Ok(m) if modified(&m) >= older_than => continue,
                Ok(m) if m.is_dir() => std::fs::remove_dir_all(&path),
                Ok(_) => std::fs::remove_file(&path),
                Err(e) => Err(e),
            };
            match removed {
                Ok(()) => swept += 1,
                // Its writer finished or cleaned up meanwhile.
                Err(e) if e.kind() == ErrorKind::NotFound => {}
                Err(e) => return Err(worded(e, format!("cannot remove {}", shown(&path)))),
            }
        }
        Ok(swept)
    }

    fn publish(&self, name: &str, bytes: &[u8]) -> Result<bool> {
        named::publish(&self.root.join(name), &self.tmp(), bytes)
    }

    fn published(&self, name: &str) -> Result<Option<Vec<u8>>> {
        named::read(&self.root.join(name))
    }

    fn names(&self, folder: &str) -> Result<Vec<(String, Timestamp)>> {
        let mut all = Vec::new();
        named::list(&self.root.join(folder), "", &mut all)?;
        Ok(all)
    }

    fn unpublish(&self, name: &str) -> Result<()> {
        named::remove(&self.root.join(name))
    }

    fn describe(&self) -> String {
        format!("files in {}", shown(&self.root))
    }
}

pub(super) fn modified(m: &Metadata) -> Timestamp {
    Timestamp::from_micros(m.mtime().saturating_mul(1_000_000).saturating_add(m.mtime_nsec() / 1000))
}
