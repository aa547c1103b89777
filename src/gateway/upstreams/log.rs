//! What the program of a version wrote: in a file that is bounded, and its last lines at hand.

use crate::base::error::{Context, Result};
use crate::base::text::visible;
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// So much is written to a file before it takes the place of the older one, in bytes; two are kept.
const FILE_MAX: u64 = 4 << 20;
/// How many of the last bytes are kept at hand.
const TAIL: usize = 4096;
/// How many of the last lines are shown, and how much of each.
const LINES: usize = 10;
const LINE: usize = 200;

/// The output of a program.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    file: File,
    written: u64,
    tail: VecDeque<u8>,
}

impl Log {
    /// Goes on with the file at a place.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let trouble = || format!("cannot write the log {}", path.display());
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir).context(trouble)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(path).context(trouble)?;
        let written = file.metadata().context(trouble)?.len();
        Ok(Self { path: path.to_owned(), file, written, tail: VecDeque::new() })
    }

    /// Takes what was written. A disk that takes no more costs the log, not the service.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.tail.extend(bytes);
        let excess = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..excess);
        if self.written >= FILE_MAX {
            self.turn();
        }
        if self.file.write_all(bytes).is_ok() {
            self.written += bytes.len() as u64;
        }
    }

    fn turn(&mut self) {
        let older = self.path.with_extension("log.1");
        let fresh = std::fs::rename(&self.path, older).and_then(|()| File::create(&self.path));
        if let Ok(file) = fresh {
            self.file = file;
        }
        // Where that fails it is tried again after as much.
        self.written = 0;
    }

    /// The last lines.
    pub(super) fn lines(&self) -> Vec<String> {
        let bytes: Vec<u8> = self.tail.iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let lines: Vec<String> = text.lines().filter(|l| !l.trim().is_empty()).map(|l| visible(l, LINE)).collect();
        lines[lines.len().saturating_sub(LINES)..].to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_files_of_bounded_size_are_kept_and_the_last_lines_are_at_hand() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("log/1.0.0.log");
        let mut log = Log::open(&path).expect("opened");
        let line = format!("{}\n", "x".repeat(1023));
        let lines = FILE_MAX / 1024 * 3;
        for _ in 0..lines {
            log.take(line.as_bytes());
        }
        log.take(b"\x1b[31mlast\n");
        let size = |path: &Path| std::fs::metadata(path).expect("a file").len();
        assert_eq!(std::fs::read_dir(dir.path().join("log")).expect("a directory").count(), 2);
        assert!(size(&path) <= FILE_MAX + 1024 && size(&path.with_extension("log.1")) <= FILE_MAX + 1024);
        let shown = log.lines();
        assert_eq!(shown.last().map(String::as_str), Some("\\u{1b}[31mlast"));
        assert!(shown.len() <= LINES && shown.iter().all(|l| l.chars().count() <= LINE + 1), "{shown:?}");
    }

    #[test]
    fn a_gateway_that_starts_again_goes_on_with_the_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a.log");
        Log::open(&path).expect("opened").take(b"one\n");
        Log::open(&path).expect("opened").take(b"two\n");
        assert_eq!(std::fs::read_to_string(path).expect("a file"), "one\ntwo\n");
    }
}
