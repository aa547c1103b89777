//! A folder as one stream and back: tar, zstd, age, in this order, so that `age -d | zstd -d | tar x` reads it without kf.
//!
//! What comes out of an archive is believed only as far as it goes: names stay below the folder, links do not lead out of it, and no more
//! bytes are written than the manifest says.

use super::Place;
use crate::adapters::age::{Identities, Recipients};
use crate::base::digest::{Digest, Hasher};
use crate::base::error::{Context, Error, Kind, Result};
use crate::domain::backup::manifest::Stream;
use crate::store::objects::Objects;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Component, Path};
use std::sync::{Mutex, PoisonError};

/// How much zstd compresses: its own default, faster than a disk writes.
const LEVEL: i32 = 3;
/// The bytes of a buffer.
const BUFFER: usize = 1 << 17;

/// How many files a folder has, and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Packed {
    pub(super) files: u64,
    pub(super) bytes: u64,
    /// Links that lead out of the folder: nobody could tell what they are elsewhere, and no archive with one is unpacked.
    pub(super) links_out: u64,
}

impl Packed {
    fn took<R: Read>(&mut self, entry: &tar::Entry<'_, R>) {
        if !entry.header().entry_type().is_dir() {
            self.files += 1;
            self.bytes += entry.size();
        }
    }
}

/// Hashes and counts what goes through.
struct Tally<T> {
    inner: T,
    hasher: Hasher,
    size: u64,
}

impl<T> Tally<T> {
    fn new(inner: T) -> Self {
        Self { inner, hasher: Hasher::new(), size: 0 }
    }

    fn took(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
    }
}

impl<W: Write> Write for Tally<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let n = self.inner.write(bytes)?;
        self.took(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Read for Tally<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(buffer)?;
        let (taken, _) = buffer.split_at(n);
        self.hasher.update(taken);
        self.size += n as u64;
        Ok(n)
    }
}

/// Encrypts what `fill` writes, compressed by so many threads besides this one; digest and size of what that was.
pub(super) fn encrypt(
    to: &mut dyn Write,
    (recipients, threads): (&Recipients, u32),
    fill: &mut dyn FnMut(&mut dyn Write) -> Result<()>,
) -> Result<(Digest, u64)> {
    let failed = || "cannot write a stream of the backup".to_owned();
    let age = recipients.writer(BufWriter::with_capacity(BUFFER, to))?;
    let mut zstd = zstd::Encoder::new(age, LEVEL).context(failed)?;
    zstd.multithread(threads).context(failed)?;
    let mut plain = Tally::new(zstd);
    fill(&mut plain)?;
    let Tally { inner, hasher, size } = plain;
    let age = inner.finish().context(failed)?;
    age.finish().context(failed)?.flush().context(failed)?;
    Ok((hasher.finish(), size))
}

/// Encrypts what `fill` writes into the store of a place.
pub(super) fn seal(
    place: &Place<'_>,
    recipients: &Recipients,
    fill: &mut (dyn FnMut(&mut dyn Write) -> Result<()> + Send),
) -> Result<Stream> {
    let threads = compressing(place.jobs);
    let (fill, plain) = (Mutex::new(fill), Mutex::new(None));
    let stored = place.objects.put_filled(1, 1, place.scratch, &|_, to| {
        let mut fill = fill.lock().unwrap_or_else(PoisonError::into_inner);
        let made = encrypt(to, (recipients, threads), &mut **fill)?;
        *plain.lock().unwrap_or_else(PoisonError::into_inner) = Some(made);
        Ok(())
    })?;
    let plain = plain.into_inner().unwrap_or_else(PoisonError::into_inner);
    match (stored.first(), plain) {
        (Some(stored), Some((plain, plain_size))) => Ok(Stream { object: stored.digest, size: stored.size, plain, plain_size }),
        _ => Err(Error::new("a stream of the backup was not written")),
    }
}

/// How many threads compress one big stream: each takes some 20 MiB.
pub(super) fn compressing(jobs: usize) -> u32 {
    u32::try_from(jobs).unwrap_or(1).min(3)
}

/// Gives what a stream holds to `read`, and fails when it was not all of it, or something else. What `read` made of it counts only then.
pub(super) fn open<T>(
    (from, scratch): (&Objects, &Path),
    (identities, stream): (&Identities, &Stream),
    read: &mut dyn FnMut(&mut dyn Read) -> Result<T>,
) -> Result<T> {
    let failed = || "cannot read a stream of the backup".to_owned();
    if from.lockable() {
        // What was overwritten over a lock is still there as an older version: which one is right is known before anything is read.
        let file = scratch.join(format!("{}.stream", stream.object.hex()));
        from.copy_to(&stream.object, &file)?;
        let opened = File::open(&file).context(failed).and_then(|file| decrypt(file, identities, stream, read));
        let _ = std::fs::remove_file(&file);
        return opened;
    }
    let (out, mut pipe) = std::io::pipe().context(failed)?;
    let opened = std::thread::scope(|scope| {
        // Every bit of a stream is authenticated and what it holds is hashed: its own digest would tell nothing more.
        let fetched = scope.spawn(move || {
            let mut wanted = true;
            from.stream_unverified(&stream.object, &mut |bytes| {
                // Who reads may have had enough.
                wanted = wanted && pipe.write_all(bytes).is_ok();
                Ok(())
            })
        });
        let opened = decrypt(out, identities, stream, read);
        let fetched = fetched.join().unwrap_or_else(|_| Err(Error::new(failed())));
        fetched.and(opened)
    });
    // Other bytes than were written are told from another key and from what was wrong when it was written.
    opened.or_else(|e| from.stream(&stream.object, &mut |_| Ok(())).and(Err(e)))
}

fn decrypt<T>(
    from: impl Read,
    identities: &Identities,
    stream: &Stream,
    read: &mut dyn FnMut(&mut dyn Read) -> Result<T>,
) -> Result<T> {
    let failed = || "cannot read a stream of the backup".to_owned();
    let zstd = zstd::Decoder::new(identities.reader(BufReader::with_capacity(BUFFER, from))?).context(failed)?;
    // One byte more than there may be shows a bomb before it fills the disk.
    let mut plain = Tally::new(zstd.take(stream.plain_size.saturating_add(1)));
    let got = read(&mut plain)?;
    std::io::copy(&mut plain, &mut std::io::sink()).context(failed)?;
    let Tally { hasher, size, .. } = plain;
    if (hasher.finish(), size) != (stream.plain, stream.plain_size) {
        let what = format!("the stream {} holds something else than its manifest says", stream.object.short());
        return Err(Error::of(Kind::Broken, what));
    }
    Ok(got)
}

/// Writes a folder as tar: files, folders and links as they are, in the order of their names.
pub(super) fn archive(root: &Path, to: &mut dyn Write) -> Result<Packed> {
    let mut builder = tar::Builder::new(to);
    builder.follow_symlinks(false);
    builder.mode(tar::HeaderMode::Complete);
    let mut packed = Packed::default();
    add(&mut builder, root, Path::new(""), &mut packed)?;
    builder.finish().context(|| format!("cannot pack {}", root.display()))?;
    Ok(packed)
}

fn add(builder: &mut tar::Builder<&mut dyn Write>, root: &Path, below: &Path, packed: &mut Packed) -> Result<()> {
    let dir = root.join(below);
    let failed = |path: &Path| format!("cannot pack {}", path.display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&dir).context(|| failed(&dir))? {
        names.push(entry.context(|| failed(&dir))?.file_name());
    }
    names.sort();
    for name in names {
        let (path, inside) = (dir.join(&name), below.join(&name));
        let meta = std::fs::symlink_metadata(&path).context(|| failed(&path))?;
        if meta.is_dir() {
            builder.append_dir(&inside, &path).context(|| failed(&path))?;
            add(builder, root, &inside, packed)?;
        } else if meta.is_symlink() && !stays_below(&below.join(std::fs::read_link(&path).context(|| failed(&path))?)) {
            packed.links_out += 1;
        } else if meta.is_file() || meta.is_symlink() {
            // A file that grows meanwhile is kept as long as it was when it was opened; one that shrinks fails.
            builder.append_path_with_name(&path, &inside).context(|| failed(&path))?;
            packed.files += 1;
            packed.bytes += if meta.is_file() { meta.len() } else { 0 };
        }
        // Sockets, pipes and devices have nothing to keep.
    }
    Ok(())
}

/// Writes what a tar holds below a folder that is empty; without one it only reads it.
pub(super) fn extract(from: &mut dyn Read, to: Option<&Path>) -> Result<Packed> {
    let mut archive = tar::Archive::new(from);
    let mut packed = Packed::default();
    let broken = |what: String| Error::of(Kind::Broken, what);
    for entry in archive.entries().context(|| "the archive cannot be read")? {
        let mut entry = entry.context(|| "the archive cannot be read")?;
        let path = entry.path().context(|| "the archive holds a name that is none")?.into_owned();
        if !stays_below(&path) {
            return Err(broken(format!(
                "the archive holds the name `{}`, which leads out of it: nothing more is taken from it",
                path.display()
            )));
        }
        let kind = entry.header().entry_type();
        if kind.is_symlink() {
            let target = entry.link_name().context(|| "the archive holds a link that is none")?.unwrap_or_default().into_owned();
            if !stays_below(&path.parent().unwrap_or(Path::new("")).join(&target)) {
                return Err(broken(format!(
                    "the archive holds the link `{}` to `{}`, which leads out of it",
                    path.display(),
                    target.display()
                )));
            }
        } else if !(kind.is_file() || kind.is_dir()) {
            return Err(broken(format!("the archive holds `{}`, which is no file, folder or link", path.display())));
        }
        let Some(to) = to else {
            packed.took(&entry);
            continue;
        };
        if !entry.unpack_in(to).context(|| format!("cannot write {}", to.join(&path).display()))? {
            return Err(broken(format!("the archive holds the name `{}`, which leads out of it", path.display())));
        }
        packed.took(&entry);
    }
    Ok(packed)
}

/// True when a path has no root and never climbs above where it begins.
fn stays_below(path: &Path) -> bool {
    // To join an absolute path gives that path.
    let mut depth = 0_i64;
    for part in path.components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir => depth -= 1,
            Component::RootDir | Component::Prefix(_) => return false,
        }
        if depth < 0 {
            return false;
        }
    }
    true
}

/// A folder that only we can read, beside where big things go.
///
/// # Errors
/// When it cannot be made.
pub(super) fn scratch(beside: &Path) -> Result<tempfile::TempDir> {
    std::fs::create_dir_all(beside).context(|| format!("cannot make {}", beside.display()))?;
    // Without this others could read it where the process lets them: what is in it is decrypted, or not encrypted yet.
    let ours = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    tempfile::Builder::new()
        .prefix("backup-")
        .permissions(ours)
        .tempdir_in(beside)
        .context(|| format!("cannot make a folder in {}", beside.display()))
}

#[cfg(test)]
#[path = "pack_tests.rs"]
mod tests;
