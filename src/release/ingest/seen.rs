//! What each file looked like when it was last read, so that a file that looks the same need not be read again.
//!
//! As in git's index: the same size, times and inode mean the same bytes, unless the file was written so shortly before it was
//! looked at that a later change could bear the same time; such entries are not kept. The file is a cache of this host: when
//! it is missing, damaged or of another collection, everything is read again and found unchanged by its digest.

use super::open::Stat;
use crate::base::digest::Digest;
use crate::base::error::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Times of a file system may be this coarse, in nanoseconds: a file that is younger may change without showing it.
const COARSE: i128 = 2_000_000_000;

/// One file.
#[derive(Serialize, Deserialize)]
struct Line {
    source: String,
    size: u64,
    modified: i128,
    changed: i128,
    inode: u64,
    content: Digest,
}

/// The files that were seen before.
#[derive(Debug)]
pub struct Seen {
    path: PathBuf,
    key: String,
    files: HashMap<String, (Stat, Digest)>,
    altered: bool,
}

impl Seen {
    /// What was seen; empty when nothing can be trusted. `key` names the collection and the state.
    pub fn load(path: PathBuf, key: String) -> Self {
        let files = load(&path, &key).unwrap_or_default();
        Self { path, key, files, altered: false }
    }

    /// The digest of a file that looks as it did.
    pub fn digest(&self, source: &str, stat: &Stat) -> Option<Digest> {
        self.files.get(source).filter(|(known, _)| known == stat).map(|(_, digest)| *digest)
    }

    /// Notes what a file looked like at `now`, nanoseconds since 1970.
    pub fn note(&mut self, source: &str, stat: Stat, digest: Digest, now: i128) {
        if self.digest(source, &stat) == Some(digest) {
            return;
        }
        self.altered = true;
        if now - stat.modified.max(stat.changed) < COARSE {
            self.files.remove(source);
        } else {
            self.files.insert(source.to_owned(), (stat, digest));
        }
    }

    /// Drops a file that is gone.
    pub fn drop(&mut self, source: &str) {
        self.altered |= self.files.remove(source).is_some();
    }

    /// Writes the cache, whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written; nothing but speed is lost then.
    pub fn save(&self) -> Result<()> {
        if !self.altered {
            return Ok(());
        }
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let context = || format!("cannot write {}", self.path.display());
        std::fs::create_dir_all(folder).context(context)?;
        let file = tempfile::NamedTempFile::new_in(folder).context(context)?;
        let mut out = BufWriter::new(file);
        writeln!(out, "{}", self.key).context(context)?;
        let mut sources: Vec<_> = self.files.iter().collect();
        sources.sort_by_key(|(source, _)| *source);
        for (source, (stat, content)) in sources {
            let Stat { size, modified, changed, inode } = *stat;
            let line = Line { source: source.clone(), size, modified, changed, inode, content: *content };
            serde_json::to_writer(&mut out, &line).context(context)?;
            out.write_all(b"\n").context(context)?;
        }
        let file = out.into_inner().map_err(std::io::IntoInnerError::into_error).context(context)?;
        file.persist(&self.path).context(context).map(|_| ())
    }
}

fn load(path: &Path, key: &str) -> Option<HashMap<String, (Stat, Digest)>> {
    let mut lines = BufReader::new(std::fs::File::open(path).ok()?).lines();
    if lines.next()?.ok()? != key {
        return None;
    }
    let mut files = HashMap::new();
    for line in lines {
        let line: Line = serde_json::from_str(&line.ok()?).ok()?;
        let Line { source, size, modified, changed, inode, content } = line;
        files.insert(source, (Stat { size, modified, changed, inode }, content));
    }
    Some(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: Stat = Stat { size: 1, modified: 10, changed: 20, inode: 3 };

    #[test]
    fn what_looks_the_same_is_known_and_what_is_too_young_is_not() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("sub/seen");
        let mut seen = Seen::load(path.clone(), "k".into());
        let digest = Digest::of(b"x");
        seen.note("a\nb", STAT, digest, 20 + COARSE);
        seen.note("young", STAT, digest, 19 + COARSE);
        seen.save().expect("saved");
        let again = Seen::load(path.clone(), "k".into());
        assert_eq!(again.digest("a\nb", &STAT), Some(digest));
        assert_eq!(again.digest("a\nb", &Stat { inode: 4, ..STAT }), None);
        assert_eq!(again.digest("young", &STAT), None);
        assert_eq!(Seen::load(path.clone(), "other".into()).digest("a\nb", &STAT), None);
        std::fs::write(&path, "k\n{broken").expect("written");
        assert_eq!(Seen::load(path, "k".into()).digest("a\nb", &STAT), None);
    }
}
