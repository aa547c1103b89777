//! Reading one file safely: a regular file, not a link, bounded, and the same before and after.

use crate::base::error::Result;
use crate::domain::ingest::reason::{Refusal, Refused};
use rustix::fs::{Mode, OFlags, open};
use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What the file system says of a file: while it says the same, the file is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Bytes.
    pub size: u64,
    /// When its content changed, nanoseconds since 1970.
    pub modified: i128,
    /// When its inode changed, nanoseconds since 1970: rises also where a program sets `modified` back.
    pub changed: i128,
    /// Its inode.
    pub inode: u64,
}

impl Stat {
    /// The marks of a file.
    pub fn of(meta: &Metadata) -> Self {
        let nanos = |s: i64, ns: i64| i128::from(s) * 1_000_000_000 + i128::from(ns);
        Self {
            size: meta.size(),
            modified: nanos(meta.mtime(), meta.mtime_nsec()),
            changed: nanos(meta.ctime(), meta.ctime_nsec()),
            inode: meta.ino(),
        }
    }
}

/// Reads a file whole.
///
/// # Errors
/// With the reason: not a regular file, too large, unreadable, or changed while it was read.
pub fn read(path: &Path, limit: u64) -> Result<(Vec<u8>, Stat), Refused> {
    let unreadable = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::NotFound => Refused::new(Refusal::Changed, "gone before it was read"),
        _ => Refused::new(Refusal::Unreadable, e.to_string()),
    };
    // Not blocking, so that a pipe put in the file's place meanwhile cannot hold the run.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut file: File = open(path, flags, Mode::empty()).map_err(|e| unreadable(e.into()))?.into();
    let meta = file.metadata().map_err(unreadable)?;
    if !meta.is_file() {
        return Err(Refused::new(Refusal::NotAFile, "no regular file"));
    }
    let before = Stat::of(&meta);
    if before.size > limit {
        return Err(Refused::new(Refusal::TooLarge, format!("{} bytes, the limit is {limit}", before.size)));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(before.size).unwrap_or(0));
    // One byte more than it should have: a file that grows is noticed without being read to an end that never comes.
    (&mut file).take(before.size + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    let after = Stat::of(&file.metadata().map_err(unreadable)?);
    if after != before || bytes.len() as u64 != before.size {
        return Err(Refused::new(Refusal::Changed, "it changed while it was read"));
    }
    Ok((bytes, before))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_within_the_limit_are_read() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("a.txt");
        std::fs::write(&file, "twelve bytes").expect("a file");
        assert_eq!(read(&file, 12).expect("read").0, b"twelve bytes");
        let reason = |path: &Path, limit| read(path, limit).expect_err("refused").reason;
        assert_eq!(reason(&file, 11), Refusal::TooLarge);
        assert_eq!(reason(&dir.path().join("gone"), 99), Refusal::Changed);
        assert_eq!(reason(dir.path(), 99), Refusal::NotAFile);
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&file, &link).expect("a link");
        assert_eq!(reason(&link, 99), Refusal::Unreadable);
        let pipe = dir.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, Mode::from_bits_truncate(0o600), 0)
            .expect("a pipe");
        assert_eq!(reason(&pipe, 99), Refusal::NotAFile);
    }

    #[test]
    fn a_file_that_grows_while_it_is_read_is_refused_and_reading_ends() {
        use std::io::Write;
        use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("log.txt");
        std::fs::write(&path, vec![b'a'; 16 << 20]).expect("a file");
        let (stop, written) = (AtomicBool::new(false), AtomicU64::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut file = std::fs::File::options().append(true).open(&path).expect("open");
                while !stop.load(Ordering::Relaxed) {
                    written.fetch_add(1, Ordering::Relaxed);
                    file.write_all(b"one more line\n").expect("written");
                }
            });
            while written.load(Ordering::Relaxed) == 0 {
                std::thread::yield_now();
            }
            // A busy machine may not let the writer in between; it will in one of many times.
            let found = (0..1_000).find_map(|_| read(&path, 1 << 40).err());
            stop.store(true, Ordering::Relaxed);
            assert_eq!(found.map(|refused| refused.reason), Some(Refusal::Changed));
        });
    }
}
