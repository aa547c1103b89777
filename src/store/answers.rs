//! What services answered before, in a file of its own beside the state: a cache of calls that cost money.
//!
//! It is no state: it may be deleted at any time, no event tells of it, and what is in it was made once from exactly the key. Every
//! answer is committed as it comes, so a process that is killed loses those under way and no other. Several processes may share
//! it; of two answers to one key the first stays. There is no limit of size: what is dropped unseen is paid for twice.
//!
//! Answers of systems (`said`) are kept apart, because a system may answer otherwise tomorrow: each has its time, the newest takes the place
//! of an older one, and it is known whether a run that ended has used it.

use crate::base::digest::Digest;
use crate::base::error::{Context, Error, Result};
use crate::base::time::Timestamp;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `kf` with the number of this kind of file, so that another is not taken for it.
const APPLICATION_ID: i32 = 0x6b66_0002;
/// How long to wait for another process that writes.
const WAIT: Duration = Duration::from_secs(10);

/// A cache of answers.
#[derive(Debug)]
pub struct Answers {
    db: Connection,
    path: PathBuf,
    /// False in a file of before, opened to read.
    has_said: bool,
}

/// What a system said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The answer.
    pub value: String,
    /// When it was given.
    pub at: Timestamp,
    /// Whether a run that came to its end has used it.
    pub ended: bool,
}

impl Answers {
    /// Opens the file, making it and its folder when it is not there.
    ///
    /// # Errors
    /// When it cannot be made, or is none.
    pub fn open(path: &Path) -> Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).context(|| format!("cannot make {}", folder.display()))?;
        }
        Self::with(path, path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)
    }

    /// Opens the file to read it; `None` when it is not there.
    ///
    /// # Errors
    /// When it cannot be read, or is none.
    pub fn open_to_read(path: &Path) -> Result<Option<Self>> {
        if !path.exists() {
            return Ok(None);
        }
        match Self::with(path, path, OpenFlags::SQLITE_OPEN_READ_ONLY) {
            // Beside the file SQLite makes one that readers share, which a folder that takes no file forbids. Then nobody can write either,
            // and without a log of what was written the file is all there is.
            Err(_) if is_at_rest(path) => {
                let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
                let uri = url::Url::from_file_path(whole)
                    .map_err(|()| Error::new(format!("{} cannot be written as a URL", path.display())))?;
                let name = PathBuf::from(format!("{uri}?immutable=1"));
                Self::with(path, &name, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI)
            }
            opened => opened,
        }
        .map(Some)
    }

    /// The file of this path, which SQLite finds by this name.
    fn with(path: &Path, name: &Path, flags: OpenFlags) -> Result<Self> {
        let made = || -> Result<Connection, rusqlite::Error> {
            let db = Connection::open_with_flags(name, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
            db.busy_timeout(WAIT)?;
            let id: i32 = db.query_row("PRAGMA application_id", [], |row| row.get(0))?;
            if id == 0 && !flags.contains(OpenFlags::SQLITE_OPEN_READ_ONLY) {
                // Synced at every checkpoint: what a power cut takes was only a cache.
                db.execute_batch(&format!(
                    "PRAGMA journal_mode = WAL; PRAGMA application_id = {APPLICATION_ID}; \
                     CREATE TABLE IF NOT EXISTS answer (key BLOB PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
                ))?;
            }
            if matches!(id, 0 | APPLICATION_ID) && !flags.contains(OpenFlags::SQLITE_OPEN_READ_ONLY) {
                db.execute_batch(
                    "CREATE TABLE IF NOT EXISTS said (key TEXT PRIMARY KEY, value TEXT NOT NULL, at INTEGER NOT NULL, \
                     ended INTEGER NOT NULL) WITHOUT ROWID;",
                )?;
            }
            db.execute_batch("PRAGMA synchronous = NORMAL;")?;
            Ok(db)
        };
        let opened = made().context(|| format!("cannot open the cache {}", path.display()));
        let db = opened.hint(|| "it may be deleted: what is in it is asked for again".into())?;
        let id: i32 = db
            .query_row("PRAGMA application_id", [], |row| row.get(0))
            .context(|| format!("cannot read the cache {}", path.display()))?;
        if id != APPLICATION_ID {
            return Err(Error::new(format!("{} is not a cache of answers", path.display())).hint("move it away"));
        }
        let has_said = db
            .query_row("SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'said'", [], |row| row.get(0))
            .context(|| format!("cannot read the cache {}", path.display()))?;
        Ok(Self { db, path: path.to_owned(), has_said })
    }

    /// What was kept under a key.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn find(&self, key: &Digest) -> Result<Option<String>> {
        let found = self
            .db
            .prepare_cached("SELECT value FROM answer WHERE key = ?1")
            .and_then(|mut s| s.query_row([key.hex()], |row| row.get(0)).optional());
        found.context(|| format!("cannot read the cache {}", self.path.display()))
    }

    /// Keeps an answer; one that is there already stays.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn keep(&self, key: &Digest, value: &str) -> Result<()> {
        let sql = "INSERT INTO answer (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO NOTHING";
        let kept = self.db.prepare_cached(sql).and_then(|mut s| s.execute([&key.hex(), value]));
        kept.context(|| format!("cannot write the cache {}", self.path.display())).map(drop)
    }

    /// Forgets an answer, so that it is asked for again.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn forget(&self, key: &Digest) -> Result<()> {
        let gone = self.db.prepare_cached("DELETE FROM answer WHERE key = ?1").and_then(|mut s| s.execute([key.hex()]));
        gone.context(|| format!("cannot write the cache {}", self.path.display())).map(drop)
    }

    /// What a system said under a key.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn said(&self, key: &Digest) -> Result<Option<Said>> {
        if !self.has_said {
            return Ok(None);
        }
        let read = |row: &rusqlite::Row<'_>| {
            Ok(Said { value: row.get(0)?, at: Timestamp::from_micros(row.get(1)?), ended: row.get(2)? })
        };
        let found = self
            .db
            .prepare_cached("SELECT value, at, ended FROM said WHERE key = ?1")
            .and_then(|mut s| s.query_row([key.hex()], read).optional());
        found.context(|| format!("cannot read the cache {}", self.path.display()))
    }

    /// Keeps what a system said, in the place of what it said before; no run has ended with it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn keep_said(&self, key: &Digest, value: &str, at: Timestamp) -> Result<()> {
        let sql = "INSERT INTO said (key, value, at, ended) VALUES (?1, ?2, ?3, 0) \
                   ON CONFLICT (key) DO UPDATE SET value = excluded.value, at = excluded.at, ended = 0";
        let kept = self.db.prepare_cached(sql).and_then(|mut s| s.execute((key.hex(), value, at.micros())));
        kept.context(|| format!("cannot write the cache {}", self.path.display())).map(drop)
    }

    /// Forgets what a system said under these keys, all of it or nothing.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn unsay(&self, keys: &[Digest]) -> Result<()> {
        self.each_said(keys, "DELETE FROM said WHERE key = ?1")
    }

    /// Notes that a run has come to its end with these, all of them or none.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn end(&self, keys: &[Digest]) -> Result<()> {
        self.each_said(keys, "UPDATE said SET ended = 1 WHERE key = ?1")
    }

    fn each_said(&self, keys: &[Digest], sql: &str) -> Result<()> {
        let all = || -> Result<(), rusqlite::Error> {
            let tx = self.db.unchecked_transaction()?;
            let mut one = tx.prepare_cached(sql)?;
            keys.iter().try_for_each(|key| one.execute([key.hex()]).map(drop))?;
            drop(one);
            tx.commit()
        };
        all().context(|| format!("cannot write the cache {}", self.path.display()))
    }
}

/// True when nothing was written to the file that is not in it.
fn is_at_rest(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(&log).map_or_else(|e| e.kind() == std::io::ErrorKind::NotFound, |log| log.len() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_found_by_others_and_stays() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("cache").join("judge.db");
        assert!(Answers::open_to_read(&path).expect("nothing there").is_none());
        let (one, two) = (Answers::open(&path).expect("made"), Answers::open(&path).expect("there"));
        let key = Digest::of(b"key");
        assert_eq!(one.find(&key).expect("read"), None);
        one.keep(&key, "first").expect("kept");
        two.keep(&key, "second").expect("kept");
        let reader = Answers::open_to_read(&path).expect("read").expect("there");
        for cache in [&one, &two, &reader] {
            assert_eq!(cache.find(&key).expect("read").as_deref(), Some("first"));
        }
        one.keep(&Digest::of(b"useless"), "x").expect("kept");
        two.forget(&Digest::of(b"useless")).expect("forgotten");
        assert_eq!(reader.find(&Digest::of(b"useless")).expect("read"), None);
        assert!(reader.forget(&key).is_err(), "a reader forgets nothing");
        assert!(reader.keep(&Digest::of(b"other"), "x").is_err(), "a reader writes nothing");
    }

    #[test]
    fn what_a_system_said_gives_way_to_what_it_says_now() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("answers.db");
        let (one, two) = (Answers::open(&path).expect("made"), Answers::open(&path).expect("there"));
        let (key, other) = (Digest::of(b"key"), Digest::of(b"other"));
        one.keep_said(&key, "first", Timestamp::from_micros(1)).expect("kept");
        one.keep_said(&other, "x", Timestamp::from_micros(1)).expect("kept");
        two.end(&[key, Digest::of(b"gone")]).expect("written");
        let said = |value: &str, at, ended| Some(Said { value: value.into(), at: Timestamp::from_micros(at), ended });
        assert_eq!(
            (one.said(&key).expect("read"), one.said(&other).expect("read")),
            (said("first", 1, true), said("x", 1, false))
        );
        two.unsay(&[other, Digest::of(b"gone")]).expect("written");
        assert_eq!((one.said(&other).expect("read"), one.said(&key).expect("read")), (None, said("first", 1, true)));
        two.keep_said(&key, "second", Timestamp::from_micros(2)).expect("kept");
        let reader = Answers::open_to_read(&path).expect("read").expect("there");
        assert_eq!(reader.said(&key).expect("read"), said("second", 2, false), "nobody has ended with the new one");
        // A file of before has no such answers, until somebody writes one.
        Connection::open(&path).and_then(|db| db.execute_batch("DROP TABLE said;")).expect("an old file");
        let old = Answers::open_to_read(&path).expect("read").expect("there");
        assert_eq!(old.said(&key).expect("read"), None);
        Answers::open(&path).expect("opened").keep_said(&key, "third", Timestamp::from_micros(3)).expect("kept");
    }

    #[test]
    fn what_cannot_be_written_to_can_be_read() {
        let dir = tempfile::tempdir().expect("a folder");
        let (path, key) = (dir.path().join("a b?.db"), Digest::of(b"key"));
        Answers::open(&path).expect("made").keep(&key, "first").expect("kept");
        // As on media that take no file: that of the readers cannot be made.
        std::fs::create_dir(dir.path().join("a b?.db-shm")).expect("in its place");
        let reader = Answers::open_to_read(&path).expect("read").expect("there");
        assert_eq!(reader.find(&key).expect("read").as_deref(), Some("first"));
        // What lies beside the file would be left out in silence, so then it stays with SQLite to read it.
        assert!(is_at_rest(&path));
        std::fs::write(dir.path().join("a b?.db-wal"), "written").expect("a log");
        assert!(!is_at_rest(&path));
    }

    #[test]
    fn another_file_is_not_taken_for_one() {
        let dir = tempfile::tempdir().expect("a folder");
        let (text, database) = (dir.path().join("text.db"), dir.path().join("other.db"));
        std::fs::write(&text, "not a database, and long enough to be seen as none".repeat(100)).expect("written");
        let e = Answers::open(&text).expect_err("no database");
        assert!(e.to_string().contains("cannot open the cache") && !e.hints().is_empty(), "{e}");
        Connection::open(&database).and_then(|db| db.execute_batch("PRAGMA application_id = 7;")).expect("a database");
        assert!(Answers::open(&database).expect_err("another's").to_string().contains("is not a cache of answers"));
    }
}
