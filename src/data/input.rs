//! Where data comes from: a file, what has been brought or written into a temporary one, or a query.

use super::query::Query;
use crate::base::digest::{Digest, Hasher};
use crate::base::error::{Context, Error, Result};
use crate::store::db::Foreign;
use crate::store::objects::{RemoteOptions, fetch};
use flate2::bufread::MultiGzDecoder;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use std::fs::File;
use std::io::{BufReader, Read, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::{NamedTempFile, TempPath};

/// Bytes that are read at once to hash them, many, and to find the head of a page of Parquet, few.
const BUFFER: usize = 256 << 10;

/// Takes bytes that follow those before; an error ends the writing.
pub type EachBytes<'a> = &'a mut dyn FnMut(&[u8]) -> Result<()>;

/// One file of data, or the rows of a query.
#[derive(Clone, Debug)]
pub struct Input {
    name: String,
    place: Place,
    /// What is told of it in the place of the SHA-256 of its bytes.
    stand_in: Option<Digest>,
}

#[derive(Clone, Debug)]
enum Place {
    File(PathBuf),
    /// Is removed with the last that uses it.
    Temporary(Arc<TempPath>),
    /// Is run each time it is read.
    Query(Arc<Query>),
}

impl Input {
    /// A file of this machine.
    pub fn file(path: &Path) -> Self {
        Self::new(path.display().to_string(), Place::File(path.to_owned()))
    }

    /// Everything that comes from a reader that can be read only once (`-`, the standard input), kept in a temporary file.
    ///
    /// # Errors
    /// When it cannot be read, or the temporary file not be written.
    pub fn spooled(name: &str, from: &mut dyn Read) -> Result<Self> {
        let mut file = temporary()?;
        std::io::copy(from, &mut file).context(|| no_room(name)).hint(more_room)?;
        Ok(Self::kept(name, file))
    }

    /// An object of a store (`s3://bucket/key`), kept in a temporary file.
    ///
    /// # Errors
    /// When it cannot be read ([`fetch`]), or the temporary file not be written.
    pub fn object(url: &str, options: &RemoteOptions) -> Result<Self> {
        let mut file = temporary()?;
        fetch(url, options, &mut |bytes| file.write_all(bytes).context(|| no_room(url)).hint(more_room))?;
        Ok(Self::kept(url, file))
    }

    /// Rows that `write` makes as lines of JSON, kept in a temporary file. What it answers is told of them in the place of the
    /// SHA-256 of their bytes, where nobody may recognise the rows by that.
    ///
    /// # Errors
    /// When the temporary file cannot be written, and those of `write`.
    pub fn made(name: &str, write: &mut dyn FnMut(EachBytes<'_>) -> Result<Digest>) -> Result<Self> {
        let mut file = temporary()?;
        let stand_in = write(&mut |bytes| file.write_all(bytes).context(|| no_room(name)).hint(more_room))?;
        Ok(Self { stand_in: Some(stand_in), ..Self::kept(name, file) })
    }

    /// The rows of a query, which runs when they are read.
    pub fn query(place: Foreign, sql: &str) -> Self {
        let name = format!("the query on {}", place.describe());
        Self::new(name, Place::Query(Arc::new(Query { place, sql: sql.to_owned() })))
    }

    fn kept(name: &str, file: NamedTempFile) -> Self {
        Self::new(name.to_owned(), Place::Temporary(Arc::new(file.into_temp_path())))
    }

    fn new(name: String, place: Place) -> Self {
        Self { name, place, stand_in: None }
    }

    /// Its name, for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is told of it in the place of the digest of its bytes.
    pub(super) fn stand_in(&self) -> Option<Digest> {
        self.stand_in
    }

    /// What there is to read.
    pub(super) fn source(&self) -> Result<Opened<'_>> {
        match &self.place {
            Place::File(path) => self.open(path).map(Opened::File),
            Place::Temporary(path) => self.open(path).map(Opened::File),
            Place::Query(query) => Ok(Opened::Query(query)),
        }
    }

    /// Opens it for reading from the start.
    fn open(&self, path: &Path) -> Result<File> {
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

/// What is read.
pub(super) enum Opened<'a> {
    /// A file, at its start.
    File(File),
    /// A query that has not run.
    Query(&'a Query),
}

fn temporary() -> Result<NamedTempFile> {
    NamedTempFile::new().context(|| "cannot make a temporary file").hint(more_room)
}

fn no_room(name: &str) -> String {
    format!("cannot bring {name} into a temporary file")
}

/// What helps where temporary files cannot be written.
pub(super) fn more_room() -> String {
    "free some space in the folder for temporary files, or set TMPDIR to one with more".to_owned()
}

/// What a file looked like when it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Still {
    bytes: u64,
    changed: (i64, i64),
}

impl Still {
    pub(super) fn of(file: &File) -> std::io::Result<Self> {
        file.metadata().map(|m| Self { bytes: m.len(), changed: (m.mtime(), m.mtime_nsec()) })
    }

    pub(super) fn bytes(self) -> u64 {
        self.bytes
    }
}

/// A file read from a place of its own: several may read one file at once.
pub(super) struct Positioned {
    file: Arc<File>,
    at: u64,
}

impl Positioned {
    pub(super) fn new(file: &Arc<File>, at: u64) -> Self {
        Self { file: Arc::clone(file), at }
    }
}

impl Read for Positioned {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let n = self.file.read_at(out, self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

impl Length for Positioned {
    fn len(&self) -> u64 {
        self.file.metadata().map_or(0, |m| m.len())
    }
}

impl ChunkReader for Positioned {
    type T = BufReader<Self>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(BufReader::new(Self::new(&self.file, start)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<bytes::Bytes> {
        // Asked first: a broken file may name a length that no memory holds.
        if start.checked_add(length as u64).is_none_or(|end| end > Length::len(self)) {
            return Err(ParquetError::EOF("it names bytes beyond its end".to_owned()));
        }
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, start)?;
        Ok(bytes.into())
    }
}

/// The bytes that a file means: unpacked where it is packed. Its own are hashed as they are read.
pub(super) enum Unpacked {
    Plain(Hashed<File>),
    Gzip(MultiGzDecoder<BufReader<Hashed<File>>>),
}

impl Unpacked {
    /// The bytes of a file from where it stands.
    pub(super) fn new(file: File, is_gzip: bool) -> Self {
        let hashed = Hashed::new(file);
        if is_gzip { Self::Gzip(MultiGzDecoder::new(BufReader::with_capacity(BUFFER, hashed))) } else { Self::Plain(hashed) }
    }

    /// `, gzip` for what was packed.
    pub(super) fn packing(&self) -> &'static str {
        match self {
            Self::Plain(_) => "",
            Self::Gzip(_) => ", gzip",
        }
    }

    /// Digest and number of the bytes of the file that were read.
    pub(super) fn finish(self) -> (Digest, u64) {
        match self {
            Self::Plain(hashed) => hashed.finish(),
            Self::Gzip(decoder) => decoder.into_inner().into_inner().finish(),
        }
    }
}

impl Read for Unpacked {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(hashed) => hashed.read(out),
            Self::Gzip(decoder) => decoder.read(out).map_err(|e| {
                let words = format!("what gzip packed is cut short or broken: {e}");
                std::io::Error::new(e.kind(), words)
            }),
        }
    }
}

/// Something whose bytes are hashed as they are read.
pub(super) struct Hashed<R> {
    from: R,
    hasher: Hasher,
    bytes: u64,
}

impl<R: Read> Hashed<R> {
    pub(super) fn new(from: R) -> Self {
        Self { from, hasher: Hasher::new(), bytes: 0 }
    }

    /// Digest and number of all bytes.
    pub(super) fn all(from: R) -> std::io::Result<(Digest, u64)> {
        let mut hashed = BufReader::with_capacity(BUFFER, Self::new(from));
        std::io::copy(&mut hashed, &mut std::io::sink())?;
        Ok(hashed.into_inner().finish())
    }

    /// Digest and number of the bytes that were read.
    pub(super) fn finish(self) -> (Digest, u64) {
        (self.hasher.finish(), self.bytes)
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let n = self.from.read(out)?;
        self.hasher.update(&out[..n]);
        self.bytes += n as u64;
        Ok(n)
    }
}
