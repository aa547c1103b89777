//! Reading a file that is to be stored: whole, in order, and only if it holds still.
//!
//! A file that changes while it is read would be stored as a mixture that never existed. Size and modification time are
//! compared before and after, and the bytes read are counted; what escapes is a write of equal length within the tick of the
//! file system's clock (about 4 ms), which still is stored under the digest of what was read.

use super::atomic::{shown, worded};
use crate::base::digest::{Digest, Hasher};
use crate::base::error::{Error, Result};
use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Bytes in one read: large enough that system calls cost nothing, small enough to stay in the processor's cache.
pub(super) const BUFFER: usize = 256 * 1024;

/// Takes bytes in order; an error ends the reading.
pub(super) type Sink<'a> = &'a mut dyn FnMut(&[u8]) -> Result<()>;

/// An open file together with what it looked like when it was opened.
pub(super) struct Source {
    file: File,
    path: PathBuf,
    before: Metadata,
}

impl Source {
    pub(super) fn open(path: &Path) -> Result<Self> {
        // Asked before opening: opening a named pipe would wait for a writer.
        let kind = std::fs::metadata(path).map_err(|e| cannot_read(e, path))?;
        if !kind.is_file() {
            let what = if kind.is_dir() { "a directory" } else { "not a regular file" };
            return Err(Error::new(format!("cannot store {}: it is {what}", shown(path)))
                .hint("name the files in it, or a pattern that matches them"));
        }
        let file = File::open(path).map_err(|e| cannot_read(e, path))?;
        let before = file.metadata().map_err(|e| cannot_read(e, path))?;
        Ok(Self { file, path: path.to_owned(), before })
    }

    /// The size in bytes when it was opened.
    pub(super) fn size(&self) -> u64 {
        self.before.len()
    }

    /// The next bytes, as many as fit; fewer only at the end.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.file.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(cannot_read(e, &self.path)),
            }
        }
        Ok(filled)
    }

    /// Reads everything, giving each piece to `sink`; digest and size of what was read.
    pub(super) fn read(mut self, sink: Sink<'_>) -> Result<(Digest, u64)> {
        let mut hasher = Hasher::new();
        let mut buffer = vec![0; BUFFER];
        let mut size = 0;
        loop {
            let n = self.fill(&mut buffer)?;
            hasher.update(&buffer[..n]);
            size += n as u64;
            sink(&buffer[..n])?;
            if n < BUFFER {
                break;
            }
        }
        self.finish(size)?;
        Ok((hasher.finish(), size))
    }

    /// Checks that the file held still while its `read` bytes were read.
    pub(super) fn finish(self, read: u64) -> Result<()> {
        let after = self.file.metadata().map_err(|e| cannot_read(e, &self.path))?;
        let stamp = |m: &Metadata| (m.len(), m.mtime(), m.mtime_nsec());
        if stamp(&self.before) != stamp(&after) || read != after.len() {
            return Err(changed(&self.path));
        }
        Ok(())
    }
}

/// The error for a file that did not hold still.
pub(super) fn changed(path: &Path) -> Error {
    Error::new(format!("{} changed while being read", shown(path)))
        .hint("wait until nothing writes to it, then run the command again")
}

fn cannot_read(e: std::io::Error, path: &Path) -> Error {
    worded(e, format!("cannot read {}", shown(path)))
}

/// Reads an open file to its end, giving each piece to `sink`.
pub(super) fn drain(
    file: &mut File,
    mut sink: impl FnMut(&[u8]) -> Result<()>,
    words: impl Fn(std::io::Error) -> Error,
) -> Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => sink(&buffer[..n])?,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(words(e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn a_file_that_grows_while_it_is_read_is_refused() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&vec![7; BUFFER + 1]).unwrap();
        let source = Source::open(file.path()).unwrap();
        let mut grown = false;
        let e = source
            .read(&mut |_| {
                if !std::mem::replace(&mut grown, true) {
                    file.write_all(b"more").unwrap();
                }
                Ok(())
            })
            .unwrap_err();
        assert!(e.to_string().contains("changed while being read"), "{e}");
    }

    #[test]
    fn a_file_that_is_cut_short_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), vec![7; 3 * BUFFER]).unwrap();
        let source = Source::open(file.path()).unwrap();
        let e = source
            .read(&mut |_| {
                file.as_file().set_len(1).unwrap();
                Ok(())
            })
            .unwrap_err();
        assert!(e.to_string().contains("changed while being read"), "{e}");
    }

    #[test]
    fn what_is_no_file_is_refused_without_waiting() {
        let dir = tempfile::tempdir().unwrap();
        let e = Source::open(dir.path()).map(|_| ()).unwrap_err();
        assert!(e.to_string().contains("it is a directory"), "{e}");
        let pipe = dir.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let e = Source::open(&pipe).map(|_| ()).unwrap_err();
        assert!(e.to_string().contains("not a regular file"), "{e}");
        assert!(Source::open(&dir.path().join("nothing")).is_err());
    }

    #[test]
    fn digest_and_size_are_those_of_the_bytes() {
        for len in [0, 1, BUFFER - 1, BUFFER, BUFFER + 1, 3 * BUFFER] {
            let bytes: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), &bytes).unwrap();
            let mut seen = Vec::new();
            let read = Source::open(file.path()).unwrap().read(&mut |b| {
                seen.extend_from_slice(b);
                Ok(())
            });
            assert_eq!(read.unwrap(), (Digest::of(&bytes), len as u64));
            assert!(seen == bytes, "{len}");
        }
    }
}
