//! A folder that is given out: its files are summed up while they are written, and it is at its place whole or not at all.
//!
//! It is written beside its place, synced, and renamed. What is at the place already is exchanged in one step with what was
//! written, where the file system can do that (`RENAME_EXCHANGE`, `renameat2(2)`); elsewhere a kill between two renames leaves both
//! of them beside the place.

use crate::base::digest::{Digest, Hasher};
use crate::base::error::{Context, Error, Result};
use crate::store::Store;
use crate::store::objects::atomic::{sync_dir, write_file};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::Serialize;
use std::fs::{DirBuilder, File};
use std::io::{BufWriter, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A file of a folder that is given out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Written {
    /// Its name in the folder.
    pub path: &'static str,
    /// Its lines; of vectors how many they are.
    pub lines: u64,
    /// Its bytes.
    pub bytes: u64,
    /// The SHA-256 of its bytes.
    pub digest: Digest,
}

/// A file that is summed up while it is written.
pub struct Lines {
    path: &'static str,
    /// `None` where only the sum is asked for.
    file: Option<BufWriter<File>>,
    hasher: Hasher,
    lines: u64,
    bytes: u64,
}

impl Lines {
    /// An empty file in a folder, or the sum of one that is nowhere.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(dir: Option<&Path>, path: &'static str) -> Result<Self> {
        let file = dir.map(|dir| File::create_new(dir.join(path))).transpose().context(|| format!("cannot write {path}"))?;
        Ok(Self { path, file: file.map(BufWriter::new), hasher: Hasher::new(), lines: 0, bytes: 0 })
    }

    /// Writes a value as one line of JSON.
    ///
    /// # Errors
    /// When it is no JSON, or cannot be written.
    pub fn push(&mut self, value: &impl Serialize) -> Result<()> {
        let mut line = serde_json::to_vec(value).context(|| format!("cannot write {}", self.path))?;
        line.push(b'\n');
        self.raw(&line)
    }

    /// Writes bytes that count as one line.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn raw(&mut self, bytes: &[u8]) -> Result<()> {
        self.hasher.update(bytes);
        self.lines += 1;
        self.bytes += bytes.len() as u64;
        let Some(file) = &mut self.file else { return Ok(()) };
        file.write_all(bytes).context(|| format!("cannot write {}", self.path))
    }

    /// Its sum, once its bytes are on disk.
    ///
    /// # Errors
    /// When they cannot be brought there.
    pub fn finish(self) -> Result<Written> {
        if let Some(file) = self.file {
            let file = file.into_inner().map_err(std::io::IntoInnerError::into_error);
            file.and_then(|f| f.sync_all()).context(|| format!("cannot write {}", self.path))?;
        }
        Ok(Written { path: self.path, lines: self.lines, bytes: self.bytes, digest: self.hasher.finish() })
    }
}

/// The file that sums up the others.
pub const MANIFEST: &str = "manifest.json";

/// Writes a manifest, or only sums it up.
///
/// # Errors
/// When it cannot be written.
pub fn manifest(dir: Option<&Path>, value: &impl Serialize) -> Result<Digest> {
    let mut text = serde_json::to_string_pretty(value).context(|| "cannot write the manifest of an export")?;
    text.push('\n');
    if let Some(dir) = dir {
        write_file(&dir.join(MANIFEST), text.as_bytes(), 0o644)?;
    }
    Ok(Digest::of(text.as_bytes()))
}

/// Gives a folder out: `write` fills it, `record` notes that in the audit log, and then it is at its place. A dry run writes
/// nothing and gives `write` no folder.
///
/// # Errors
/// Those of both, and when the folder cannot be written.
pub fn give_out<T>(
    store: &Store,
    place: &Path,
    write: impl FnOnce(Option<&Path>) -> Result<T>,
    record: impl FnOnce(&T) -> Result<()>,
) -> Result<T> {
    let scratch = if store.is_dry_run() { None } else { Some(Scratch::beside(place)?) };
    let written = write(scratch.as_ref().map(Scratch::path).as_deref())?;
    record(&written)?;
    scratch.map_or(Ok(()), Scratch::publish)?;
    Ok(written)
}

/// A folder that is written beside its place; what is not published goes when it is dropped.
struct Scratch {
    beside: TempDir,
    place: PathBuf,
}

impl Scratch {
    /// An empty folder beside `place`, whose folders above are made when they are not there. Nobody but its owner reads it: it holds
    /// texts of documents.
    ///
    /// # Errors
    /// When it cannot be made.
    fn beside(place: &Path) -> Result<Self> {
        let trouble = || format!("cannot write the export to {}", place.display());
        let parent = place.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(parent).context(trouble)?;
        let beside = tempfile::Builder::new().prefix(".kf-export-").tempdir_in(parent).context(trouble)?;
        DirBuilder::new().mode(0o700).create(beside.path().join(NEW)).context(trouble)?;
        Ok(Self { beside, place: place.to_owned() })
    }

    /// Where its files are written.
    fn path(&self) -> PathBuf {
        self.beside.path().join(NEW)
    }

    /// Puts it at its place, in the stead of what is there.
    ///
    /// # Errors
    /// When it cannot be renamed; what is there stays then.
    fn publish(self) -> Result<()> {
        let trouble = || format!("cannot write the export to {}", self.place.display());
        sync_dir(&self.path())?;
        if self.place.symlink_metadata().is_ok() {
            exchange(&self.path(), &self.place, &self.beside.path().join(OLD)).context(trouble)?;
        } else {
            std::fs::rename(self.path(), &self.place).context(trouble)?;
        }
        sync_dir(self.beside.path().parent().unwrap_or(Path::new(".")))
    }
}

/// What is written, beside its place.
const NEW: &str = "new";
/// What was at its place, until it is removed.
const OLD: &str = "old";

fn exchange(new: &Path, place: &Path, old: &Path) -> std::io::Result<()> {
    if renameat_with(CWD, new, CWD, place, RenameFlags::EXCHANGE).is_ok() {
        return Ok(());
    }
    std::fs::rename(place, old)?;
    std::fs::rename(new, place).or_else(|e| std::fs::rename(old, place).and(Err(e)))
}

/// Refuses a place where something is that `ours` does not know as what is written there; an empty folder is nothing.
///
/// # Errors
/// When something else is there, or it cannot be read.
pub fn refuse_foreign(place: &Path, ours: impl Fn(&Path) -> bool, hint: &str) -> Result<()> {
    let Ok(there) = place.symlink_metadata() else { return Ok(()) };
    let empty =
        || Ok::<_, Error>(std::fs::read_dir(place).context(|| format!("cannot read {}", place.display()))?.next().is_none());
    if there.is_dir() && (empty()? || ours(place)) {
        return Ok(());
    }
    Err(Error::new(format!("{} is there already", place.display())).hint(hint))
}
