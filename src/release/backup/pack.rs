//! A folder as one stream and back: tar, zstd, age, in this order, so that `age -d | zstd -d | tar x` reads it without kf.
//!
//! What comes out of an archive is believed only as far as it goes: names stay below the folder, links do not lead out of it, nothing is
//! written through a link, and no more bytes are written than the manifest says.

use super::Place;
use crate::adapters::age::{Identities, Recipients};
use crate::base::digest::{Digest, Hasher};
use crate::base::error::{Context, Error, Kind, Result};
use crate::domain::backup::manifest::Stream;
use crate::store::objects::Objects;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{File, Permissions};
use std::io::{BufReader, BufWriter, Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};
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
            self.bytes = self.bytes.saturating_add(entry.size());
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

/// Writes a folder as tar: itself for its mode, then files, folders and links as they are, in the order of their names.
pub(super) fn archive(root: &Path, to: &mut dyn Write) -> Result<Packed> {
    let mut builder = tar::Builder::new(to);
    builder.follow_symlinks(false);
    builder.mode(tar::HeaderMode::Complete);
    // Holes are written as zeros, which cost nothing once they are compressed: any tar reads them back.
    builder.sparse(false);
    builder.append_dir(".", root).context(|| format!("cannot pack {}", root.display()))?;
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
        } else if meta.is_symlink() && leads_out(below, &std::fs::read_link(&path).context(|| failed(&path))?, &on_disk(root)) {
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

/// Where the links below a folder lead, as they are there.
fn on_disk(root: &Path) -> impl Fn(&Path) -> Option<PathBuf> + '_ {
    |path| std::fs::read_link(root.join(path)).ok()
}

/// Writes what a tar holds below a folder that is empty; without one it only reads it.
pub(super) fn extract(from: &mut dyn Read, to: Option<&Path>) -> Result<Packed> {
    let mut archive = tar::Archive::new(from);
    let mut packed = Packed::default();
    let mut unpacked = Unpacked::default();
    for entry in archive.entries().context(|| "the archive cannot be read")? {
        let mut entry = entry.context(|| "the archive cannot be read")?;
        let name = entry.path().context(|| "the archive holds a name that is none")?.into_owned();
        let path = unpacked.admit(&name, &entry)?;
        if let Some(to) = to {
            let failed = || format!("cannot write {}", to.join(&path).display());
            if entry.header().entry_type().is_dir() {
                // Its mode comes last: nobody but root writes into a folder that is for reading only.
                make_dir(to, &path).context(failed)?;
            } else if !entry.unpack_in(to).context(failed)? {
                return Err(broken(format!("the archive holds the name `{}`, which leads out of it", name.display())));
            }
        }
        packed.took(&entry);
    }
    unpacked.finish(to)?;
    Ok(packed)
}

fn broken(what: String) -> Error {
    Error::of(Kind::Broken, what)
}

/// A folder of an archive; what was there under its name must be one, and no link to one.
fn make_dir(to: &Path, path: &Path) -> std::io::Result<()> {
    let dir = to.join(path);
    std::fs::create_dir_all(&dir)?;
    match std::fs::symlink_metadata(&dir)?.is_dir() {
        true => Ok(()),
        false => Err(std::io::ErrorKind::AlreadyExists.into()),
    }
}

/// What came out of an archive so far, as far as it decides what may come next.
#[derive(Default)]
struct Unpacked {
    /// Where each link leads.
    links: BTreeMap<PathBuf, PathBuf>,
    /// The mode of each folder.
    folders: BTreeMap<PathBuf, u32>,
}

impl Unpacked {
    /// Where an entry goes, when it may go there.
    fn admit<R: Read>(&mut self, name: &Path, entry: &tar::Entry<'_, R>) -> Result<PathBuf> {
        if !stays_below(name) || name.components().any(|part| part == Component::ParentDir) {
            return Err(broken(format!(
                "the archive holds the name `{}`, which leads out of it: nothing more is taken from it",
                name.display()
            )));
        }
        let path: PathBuf = name.components().filter(|part| matches!(part, Component::Normal(_))).collect();
        // What a link says is checked against the names in the archive: written through another link it would mean something else.
        if let Some(link) = path.ancestors().skip(1).find(|above| self.links.contains_key(*above)) {
            return Err(broken(format!(
                "the archive holds `{}` below `{}`, which is a link there: it leads out of what it seems to be in",
                name.display(),
                link.display()
            )));
        }
        let kind = entry.header().entry_type();
        if kind.is_symlink() {
            let target = entry.link_name().context(|| "the archive holds a link that is none")?.unwrap_or_default().into_owned();
            if !stays_below(&path.parent().unwrap_or(Path::new("")).join(&target)) {
                return Err(out(&path, &target));
            }
            self.links.insert(path.clone(), target);
        } else if kind.is_dir() {
            self.folders.insert(path.clone(), entry.header().mode().unwrap_or(0o755));
        } else if kind.is_file() || kind.is_gnu_sparse() {
            // It takes the place of a link of this name.
            self.links.remove(&path);
        } else {
            return Err(broken(format!("the archive holds `{}`, which is no file, folder or link", name.display())));
        }
        Ok(path)
    }

    /// Looks where the links lead now that all of them are known, and gives folders their modes, the deepest first.
    fn finish(self, to: Option<&Path>) -> Result<()> {
        let read = |path: &Path| self.links.get(path).cloned();
        for (path, target) in &self.links {
            if leads_out(path.parent().unwrap_or(Path::new("")), target, &read) {
                if let Some(to) = to {
                    // Nobody shall follow it in what is left of this.
                    let _ = std::fs::remove_file(to.join(path));
                }
                return Err(out(path, target));
            }
        }
        let Some(to) = to else { return Ok(()) };
        for (path, mode) in self.folders.iter().rev() {
            let dir = to.join(path);
            let set = std::fs::set_permissions(&dir, Permissions::from_mode(mode & 0o777));
            set.context(|| format!("cannot give {} its mode", dir.display()))?;
        }
        Ok(())
    }
}

fn out(link: &Path, target: &Path) -> Error {
    broken(format!("the archive holds the link `{}` to `{}`, which leads out of it", link.display(), target.display()))
}

/// So many links on the way are followed by no system.
const HOPS: u32 = 40;

/// Whether a link in the folder `parent` leads above where names begin: by its words, or by the links that it goes through, which `read`
/// tells.
fn leads_out(parent: &Path, target: &Path, read: &dyn Fn(&Path) -> Option<PathBuf>) -> bool {
    if !stays_below(&parent.join(target)) {
        return true;
    }
    let mut at: PathBuf = parent.to_owned();
    let mut steps: Vec<OsString> = reversed(target);
    let mut hops = 0;
    while let Some(step) = steps.pop() {
        match Path::new(&step).components().next() {
            Some(Component::Normal(name)) => {
                at.push(name);
                let Some(next) = read(&at) else { continue };
                hops += 1;
                if hops > HOPS {
                    return false;
                }
                if next.is_absolute() {
                    return true;
                }
                at.pop();
                steps.extend(reversed(&next));
            }
            Some(Component::ParentDir) if !at.pop() => return true,
            Some(Component::RootDir | Component::Prefix(_)) => return true,
            _ => {}
        }
    }
    false
}

/// The parts of a path, the last first.
fn reversed(path: &Path) -> Vec<OsString> {
    path.components().rev().map(|part| part.as_os_str().to_owned()).collect()
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
