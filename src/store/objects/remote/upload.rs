//! Bringing bytes to their key exactly once, whatever happens to the replies.

use super::{ONE_PUT, Remote, errors};
use crate::base::digest::Digest;
use crate::base::error::Result;
use crate::store::objects::pieces::{Again, Pieces};
use crate::store::objects::sealed::{Header, PEEK};
use crate::store::objects::{Backend as _, Stored};
use crate::store::runtime::{block_on, runtime};
use bytes::Bytes;
use object_store::path::Path as Key;
use object_store::{Error as StoreError, ObjectStore as _, ObjectStoreExt as _, PutMode, WriteMultipart};
use std::time::Duration;

/// How often an upload whose reply was lost is looked for and, when it is not there, begun again.
const ATTEMPTS: u32 = 4;
/// The smallest part. S3 wants at least 5 MiB (Amazon S3 User Guide, "Multipart upload limits").
const PART: u64 = 16 << 20;
/// S3 takes at most 10,000 parts (same source); some are left as margin.
const PARTS: u64 = 9_000;
/// Parts under way at the same time.
const UNDER_WAY: usize = 3;

impl Remote {
    /// Stores bytes that are in memory by one conditional put.
    pub(super) fn put_small(&self, bytes: Bytes) -> Result<Stored> {
        let (digest, size) = (Digest::of(&bytes), bytes.len() as u64);
        let key = self.key(&digest);
        let new = self.settle(&digest, size, &mut |replace| {
            let mode = if replace { PutMode::Overwrite } else { PutMode::Create };
            Ok(block_on(self.store.put_opts(&key, bytes.clone().into(), mode.into()))?.map(|_| ()))
        })?;
        Ok(Stored { digest, size, new })
    }

    /// Stores what `pieces` begins to read anew for each attempt, in parts.
    pub(super) fn put_large(&self, digest: Digest, size: u64, pieces: &Again<'_>) -> Result<Stored> {
        let key = self.key(&digest);
        let new = self.settle(&digest, size, &mut |_| self.send_parts(&key, size, &mut *pieces()?))?;
        Ok(Stored { digest, size, new })
    }

    /// Stores what `pieces` begins to read anew for each attempt, about `size` bytes, in place of what is there. To do so twice is
    /// harmless, so nobody asks what an answer that was lost said.
    pub(super) fn overwrite(&self, key: &Key, size: u64, pieces: &Again<'_>) -> Result<()> {
        let mut attempt = 1;
        loop {
            let mut pieces = pieces()?;
            let sent = if size <= ONE_PUT {
                let mut all = Vec::new();
                while let Some(next) = pieces()? {
                    all.extend_from_slice(&next);
                }
                block_on(self.store.put_opts(key, Bytes::from(all).into(), PutMode::Overwrite.into()))?.map(|_| ())
            } else {
                self.send_parts(key, size, &mut *pieces)?
            };
            match sent {
                Ok(()) => return Ok(()),
                Err(e) if attempt < ATTEMPTS && errors::may_have_happened(&e) => {
                    std::thread::sleep(Duration::from_millis(100 << attempt));
                }
                Err(e) => return Err(self.worded(e, format!("cannot store an object as {key}"))),
            }
            attempt += 1;
        }
    }

    /// Sends until the key holds `size` bytes; false when it did before. `send` is told whether wrong bytes are to be replaced.
    fn settle(&self, digest: &Digest, size: u64, send: &mut dyn FnMut(bool) -> Result<Result<(), StoreError>>) -> Result<bool> {
        let (key, mut attempt) = (&self.key(digest), 1);
        loop {
            let found = self.size_of(key)?;
            if found == Some(size) {
                return Ok(attempt > 1);
            }
            // What is encrypted is never replaced by what is not.
            if found.is_some() && self.head(digest, PEEK)?.is_some_and(|(start, _)| Header::read(digest, &start).is_some()) {
                return Ok(false);
            }
            match send(found.is_some())? {
                Ok(()) => return Ok(true),
                // Our own put whose reply was lost, or somebody who was faster.
                Err(StoreError::AlreadyExists { .. }) if attempt < ATTEMPTS => {}
                Err(e) if attempt < ATTEMPTS && errors::may_have_happened(&e) => {
                    std::thread::sleep(Duration::from_millis(100 << attempt));
                }
                Err(e) => return Err(self.worded(e, format!("cannot store an object as {key}"))),
            }
            attempt += 1;
        }
    }

    /// Uploads in parts; the key changes only in the last step, which `pieces` prevents by failing.
    pub(super) fn send_parts(&self, key: &Key, size: u64, pieces: &mut Pieces<'_>) -> Result<Result<(), StoreError>> {
        let runtime = runtime()?;
        let upload = match block_on(self.store.put_multipart(key))? {
            Ok(upload) => upload,
            Err(e) => return Ok(Err(e)),
        };
        let mut writer = WriteMultipart::new_with_chunk_size(upload, part_size(size));
        loop {
            let fed = match pieces() {
                Ok(Some(bytes)) => {
                    // The writer starts tasks.
                    let _entered = runtime.enter();
                    writer.put(bytes);
                    block_on(writer.wait_for_capacity(UNDER_WAY))
                }
                Ok(None) => return Ok(block_on(writer.finish())?.map(|_| ())),
                Err(e) => Err(e),
            };
            if matches!(fed, Ok(Ok(()))) {
                continue;
            }
            // The first error counts; parts that stay behind are the bucket's lifecycle rule's.
            let _ = block_on(writer.abort())?;
            return fed;
        }
    }
}

/// Bytes in each part of an object.
fn part_size(size: u64) -> usize {
    let needed = size.div_ceil(PARTS).next_multiple_of(1 << 20);
    usize::try_from(needed.max(PART)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stay_within_the_limits_of_s3() {
        for size in [1_u64, 5 << 30, 140 << 30, 5 << 40] {
            let part = part_size(size) as u64;
            assert!((PART..=5 << 30).contains(&part) && size.div_ceil(part) <= 10_000, "{size}: {part}");
        }
    }
}
