//! Bytes that are asked for piece by piece, so that no object is ever in memory as a whole.

use super::source::{Sink, Source, changed};
use crate::base::digest::{Digest, Hasher};
use crate::base::error::{Error, Kind, Result};
use bytes::Bytes;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes in one piece of a file or of memory.
pub(super) const PIECE: usize = 1 << 20;

/// Gives the next bytes; none at the end.
pub(super) type Pieces<'a> = dyn FnMut() -> Result<Option<Bytes>> + Send + 'a;

/// Begins to give the same bytes anew, for each attempt to store them.
pub(super) type Again<'a> = dyn Fn() -> Result<Box<Pieces<'a>>> + Send + Sync + 'a;

/// The pieces of a file that was hashed before; fails at its end when it is no longer the same.
pub(super) fn of_file<'a>(path: &Path, digest: Digest) -> Result<Box<Pieces<'a>>> {
    let (path, mut source): (PathBuf, _) = (path.to_owned(), Some(Source::open(path)?));
    let mut hasher = Hasher::new();
    let mut read = 0;
    Ok(Box::new(move || {
        let Some(open) = &mut source else { return Ok(None) };
        let mut buffer = vec![0; PIECE];
        let n = open.fill(&mut buffer)?;
        hasher.update(&buffer[..n]);
        read += n as u64;
        if let Some(done) = source.take_if(|_| n < PIECE) {
            done.finish(read)?;
            if std::mem::take(&mut hasher).finish() != digest {
                return Err(changed(&path));
            }
        }
        buffer.truncate(n);
        Ok((n > 0).then(|| buffer.into()))
    }))
}

/// The pieces of bytes in memory.
pub(super) fn of_bytes<'a>(bytes: &'a [u8]) -> Box<Pieces<'a>> {
    let mut chunks = bytes.chunks(PIECE);
    Box::new(move || Ok(chunks.next().map(Bytes::copy_from_slice)))
}

/// One piece and nothing after it.
pub(super) fn of_one<'a>(bytes: Bytes) -> Box<Pieces<'a>> {
    let mut left = Some(bytes).filter(|b| !b.is_empty());
    Box::new(move || Ok(left.take()))
}

/// Pieces that were taken, followed by the others.
pub(super) fn after<'a>(first: Bytes, mut rest: Box<Pieces<'a>>) -> Box<Pieces<'a>> {
    let mut first = Some(first).filter(|b| !b.is_empty());
    Box::new(move || match first.take() {
        Some(first) => Ok(Some(first)),
        None => rest(),
    })
}

/// The next pieces until there are at least `enough` bytes, or all.
pub(super) fn take(pieces: &mut Pieces<'_>, enough: usize) -> Result<Bytes> {
    let Some(first) = pieces()? else { return Ok(Bytes::new()) };
    if first.len() >= enough {
        return Ok(first);
    }
    let mut all = first.to_vec();
    while all.len() < enough {
        let Some(next) = pieces()? else { break };
        all.extend_from_slice(&next);
    }
    Ok(all.into())
}

/// Pieces waiting between two threads.
const WAITING: usize = 4;

/// The same pieces, made by a thread of their own while those before are used.
pub(super) fn ahead<'a>(mut pieces: Box<Pieces<'static>>) -> Box<Pieces<'a>> {
    let (send, receive) = sync_channel(WAITING);
    std::thread::spawn(move || send_all(&mut *pieces, &send));
    // The end is said: a thread that is gone without a word is not one that is done.
    Box::new(move || receive.recv().unwrap_or_else(|_| Err(Error::of(Kind::Bug, "the thread that reads a file is gone"))))
}

/// Gives all pieces to `sink`, made by a thread of their own.
pub(super) fn pump(mut pieces: Box<Pieces<'_>>, sink: Sink<'_>) -> Result<()> {
    std::thread::scope(|scope| {
        let (send, receive) = sync_channel(WAITING);
        scope.spawn(move || send_all(&mut *pieces, &send));
        receive.iter().try_for_each(|piece| piece?.map_or(Ok(()), |bytes| sink(&bytes)))
    })
}

/// Sends pieces until the end, an error, or nobody takes them.
fn send_all(pieces: &mut Pieces<'_>, to: &SyncSender<Result<Option<Bytes>>>) {
    loop {
        let piece = pieces();
        let last = !matches!(piece, Ok(Some(_)));
        if to.send(piece).is_err() || last {
            break;
        }
    }
}

/// Pieces for who reads. An error of theirs goes by, and is found in what [`Reader::trouble`] gives.
pub(super) struct Reader<'a> {
    pieces: Box<Pieces<'a>>,
    left: Bytes,
    trouble: Trouble,
}

/// What went wrong below a [`Reader`].
#[derive(Clone, Default)]
pub(super) struct Trouble(Arc<Mutex<Option<Error>>>);

impl Trouble {
    /// The error, once.
    pub(super) fn take(&self) -> Option<Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(pieces: Box<Pieces<'a>>) -> Self {
        Self { pieces, left: Bytes::new(), trouble: Trouble::default() }
    }

    pub(super) fn trouble(&self) -> Trouble {
        self.trouble.clone()
    }
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.left.is_empty() {
            match (self.pieces)() {
                Ok(Some(next)) => self.left = next,
                Ok(None) => return Ok(0),
                Err(e) => {
                    *self.trouble.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(e);
                    return Err(io::Error::other("what is below cannot be read"));
                }
            }
        }
        let n = self.left.len().min(buffer.len());
        buffer[..n].copy_from_slice(&self.left.split_to(n));
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(mut pieces: Box<Pieces<'_>>) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(bytes) = pieces()? {
            all.extend_from_slice(&bytes);
        }
        Ok(all)
    }

    #[test]
    fn pieces_give_the_bytes_or_say_that_the_file_changed() {
        for len in [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE] {
            let bytes: Vec<u8> = (0..len).map(|i| (i % 253) as u8).collect();
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), &bytes).unwrap();
            assert!(collect(of_file(file.path(), Digest::of(&bytes)).unwrap()).unwrap() == bytes, "{len}");
            assert!(collect(of_bytes(&bytes)).unwrap() == bytes, "{len}");
            assert!(collect(of_one(bytes.clone().into())).unwrap() == bytes, "{len}");
            assert!(collect(ahead(of_file(file.path(), Digest::of(&bytes)).unwrap())).unwrap() == bytes, "{len}");
            let mut pumped = Vec::new();
            let mut take = |piece: &[u8]| {
                pumped.extend_from_slice(piece);
                Ok(())
            };
            pump(of_bytes(&bytes), &mut take).unwrap();
            assert!(pumped == bytes, "{len}");
            let e = collect(of_file(file.path(), Digest::of(b"before")).unwrap()).unwrap_err();
            assert!(e.to_string().contains("changed while being read"), "{e}");
            let e = collect(ahead(of_file(file.path(), Digest::of(b"before")).unwrap())).unwrap_err();
            assert!(e.to_string().contains("changed while being read"), "{e}");
        }
    }

    #[test]
    fn what_was_taken_comes_first_again() {
        let bytes: Vec<u8> = (0..2 * PIECE + 7).map(|i| (i % 249) as u8).collect();
        for enough in [1, PIECE, PIECE + 1, 5 * PIECE] {
            let mut pieces = of_bytes(&bytes);
            let first = take(&mut *pieces, enough).unwrap();
            assert!(first.len() >= enough.min(bytes.len()));
            assert!(collect(after(first, pieces)).unwrap() == bytes, "{enough}");
        }
    }

    #[test]
    fn a_reader_gives_all_of_it_and_keeps_the_error() {
        let mut read = Vec::new();
        Reader::new(of_bytes(&[7; 3_000_000])).read_to_end(&mut read).unwrap();
        assert!(read == [7; 3_000_000]);
        let mut reader = Reader::new(Box::new(|| Err(Error::new("the disk is gone"))));
        let trouble = reader.trouble();
        assert!(reader.read(&mut [0; 10]).is_err());
        assert_eq!(trouble.take().unwrap().to_string(), "the disk is gone");
        assert!(trouble.take().is_none());
    }
}
