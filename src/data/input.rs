//! Where data comes from: a file, or what has been brought into a temporary one.

use crate::base::digest::{Digest, Hasher};
use crate::base::error::{Context, Error, Result};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempPath;

/// One file of data.
#[derive(Clone, Debug)]
pub struct Input {
    name: String,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    File(PathBuf),
    /// Is removed with the last that uses it.
    Temporary(Arc<TempPath>),
}

impl Input {
    /// A file of this machine.
    pub fn file(path: &Path) -> Self {
        Self { name: path.display().to_string(), place: Place::File(path.to_owned()) }
    }

    /// Everything that comes from a reader that can be read only once (`-`, the standard input), kept in a temporary file.
    ///
    /// # Errors
    /// When it cannot be read, or the temporary file not be written.
    pub fn spooled(name: &str, from: &mut dyn Read) -> Result<Self> {
        let mut file = tempfile::NamedTempFile::new().context(|| "cannot make a temporary file")?;
        std::io::copy(from, &mut file).context(|| format!("cannot bring {name} into a temporary file"))?;
        Ok(Self { name: name.to_owned(), place: Place::Temporary(Arc::new(file.into_temp_path())) })
    }

    /// Its name, for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Opens it for reading from the start.
    pub(super) fn open(&self) -> Result<File> {
        let path = match &self.place {
            Place::File(path) => path.as_path(),
            Place::Temporary(path) => path,
        };
        let failed = || format!("cannot read {}", self.name);
        // Asked before opening: opening a named pipe would wait for a writer.
        let kind = std::fs::metadata(path).context(failed)?;
        if kind.is_dir() {
            return Err(Error::new(format!("{}: it is a directory", failed())).hint("name the files in it"));
        }
        if !kind.is_file() {
            return Err(Error::new(format!("{}: it is not a regular file", failed())).hint("pipe it in and name it `-`"));
        }
        File::open(path).context(failed)
    }
}

/// A file whose bytes are hashed as they are read.
pub(super) struct Hashed {
    file: File,
    hasher: Hasher,
    bytes: u64,
}

impl Hashed {
    pub(super) fn new(file: File) -> Self {
        Self { file, hasher: Hasher::new(), bytes: 0 }
    }

    /// Digest and number of the bytes that were read.
    pub(super) fn finish(self) -> (Digest, u64) {
        (self.hasher.finish(), self.bytes)
    }
}

impl Read for Hashed {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let n = self.file.read(out)?;
        self.hasher.update(&out[..n]);
        self.bytes += n as u64;
        Ok(n)
    }
}
