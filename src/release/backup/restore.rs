//! Gets a set back into a new folder: the Git repository with its state and objects, other components beside them.
//!
//! Everything is brought below `FOLDER.restoring` and read again there; only then the folder gets its name. So what has the name is whole,
//! and after an interruption the same command goes on: objects that are there are not fetched again.

use super::pack::{extract, open};
use super::{Place, mirror, scratch};
use crate::adapters::component::git::BUNDLE;
use crate::adapters::process::Program;
use crate::base::error::{Context, Error, Kind, Result};
use crate::base::name::Name;
use crate::domain::backup::manifest::{Found, Part};
use crate::store::objects::{Health, Objects, atomic};
use crate::store::snapshot;
use std::path::{Path, PathBuf};

/// Where other components are in the folder.
pub const BESIDE: &str = "restored";

/// What came back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// The components, each with where its files are.
    pub components: Vec<(Name, PathBuf)>,
    /// Objects of versions.
    pub objects: u64,
    /// The bytes of all of it.
    pub bytes: u64,
}

/// How far it is, for people: so many objects of so many.
pub type Told<'a> = &'a mut dyn FnMut(u64, u64);

/// Restores a set, or some of its components, into a folder that is not there yet.
///
/// # Errors
/// When the folder is there, something is missing or damaged, or there is no key; then there is no folder. `before_named` is given the
/// folder while nobody else opens what is in it.
pub fn restore(
    place: &Place<'_>,
    set: &Found,
    only: &[Name],
    to: &Path,
    before_named: &mut dyn FnMut(&Path) -> Result<()>,
    told: Told<'_>,
) -> Result<Restored> {
    if std::fs::symlink_metadata(to).is_ok() {
        return Err(Error::new(format!("{} is there already, and nothing is restored over what is there", to.display()))
            .hint("name a folder that is not there yet: `--to FOLDER`"));
    }
    let unknown = only.iter().find(|name| !names(set).any(|n| n == name.as_str()));
    if let Some(name) = unknown {
        let hint = format!("it has: {}", names(set).collect::<Vec<_>>().join(", "));
        return Err(Error::usage(format!("the backup set {} has no component `{name}`", set.manifest.id)).hint(hint));
    }
    let name = to.file_name().ok_or_else(|| Error::usage(format!("`{}` is no name of a folder", to.display())))?;
    let within = to.with_file_name(format!("{}.restoring", name.to_string_lossy()));
    begin(&within, set)?;
    let restored = restore_into(place, set, only, &within, told)?;
    before_named(&within)?;
    atomic::sync_dir(&within)?;
    std::fs::rename(&within, to).context(|| format!("cannot name {}", to.display()))?;
    atomic::sync_dir(to.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")))?;
    // Last: without its mark a folder that has not got its name yet would be nobody's.
    std::fs::remove_file(to.join(MARK)).context(|| format!("cannot finish {}", to.display()))?;
    let moved = |(name, path): (Name, PathBuf)| {
        let below = path.strip_prefix(&within).map(Path::to_owned).unwrap_or(path);
        (name, to.join(below))
    };
    Ok(Restored { components: restored.components.into_iter().map(moved).collect(), ..restored })
}

/// The file that says which set is being restored.
const MARK: &str = ".kf-restoring";

fn names(set: &Found) -> impl Iterator<Item = &str> {
    let all = set.manifest.components.iter().map(|part| part.name.as_str());
    all.chain(set.manifest.artifacts.map(|_| "artifacts"))
}

/// Makes the folder, which only we may read, or goes on with the one of an earlier call for the same set; objects stay, all else is brought
/// anew.
fn begin(within: &Path, set: &Found) -> Result<()> {
    let failed = || format!("cannot make {}", within.display());
    let there = std::fs::symlink_metadata(within).ok();
    if there.as_ref().is_some_and(|there| !there.is_dir()) {
        return Err(Error::new(format!("{} is there already, and is no folder", within.display()))
            .hint("remove it, or name another folder: nothing is restored through a link"));
    }
    if there.is_some() && !is_bare(within)? {
        let mark = std::fs::read_to_string(within.join(MARK)).unwrap_or_default();
        if mark != set.manifest.id {
            return Err(Error::new(format!(
                "{} is there already, and is no restore of the set {}",
                within.display(),
                set.manifest.id
            ))
            .hint("remove it, or name another folder"));
        }
        for entry in std::fs::read_dir(within).context(failed)? {
            let path = entry.context(failed)?.path();
            match path.file_name().and_then(|n| n.to_str()) {
                Some(MARK | OBJECTS) => continue,
                _ if path.is_dir() && !path.is_symlink() => scratch::remove(&path).context(failed)?,
                _ => std::fs::remove_file(&path).context(failed)?,
            }
        }
        return Ok(());
    }
    std::fs::create_dir_all(within).context(failed)?;
    std::fs::set_permissions(within, std::os::unix::fs::PermissionsExt::from_mode(0o700)).context(failed)?;
    atomic::write_file(&within.join(MARK), set.manifest.id.as_bytes(), 0o600)
}

/// Whether nothing is there but what writing the mark leaves behind when it is interrupted.
fn is_bare(within: &Path) -> Result<bool> {
    let failed = || format!("cannot read {}", within.display());
    for entry in std::fs::read_dir(within).context(failed)? {
        if !entry.context(failed)?.file_name().to_string_lossy().ends_with(".tmp") {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Where objects are while the folder has no repository yet.
const OBJECTS: &str = ".objects";

/// The same into a folder that is there; nobody else uses it.
pub(super) fn restore_into(place: &Place<'_>, set: &Found, only: &[Name], to: &Path, told: Told<'_>) -> Result<Restored> {
    let mut done = Restored::default();
    let wanted = |name: &str| only.is_empty() || only.iter().any(|n| n.as_str() == name);
    for part in set.manifest.components.iter().filter(|part| wanted(part.name.as_str())) {
        let files = to.join(BESIDE).join(part.name.as_str());
        component(place, part, &files).context(|| format!("cannot restore {}", part.name))?;
        done.bytes += part.stored.plain_size;
        done.components.push((part.name.clone(), files));
    }
    if let Some(all) = set.manifest.artifacts.filter(|_| wanted("artifacts")) {
        let objects = Objects::files(&to.join(OBJECTS))?;
        let index = mirror::index(place.objects, &all)?;
        done.objects = index.len() as u64;
        done.bytes += index.values().map(|stream| stream.plain_size).sum::<u64>();
        objects_back(place, &index, (&objects, to), told)?;
    }
    assemble(to, &mut done)?;
    Ok(done)
}

/// Objects that share flushes of the disk.
const BATCH: usize = 512;

/// Brings the objects that are not there yet.
pub(super) fn objects_back(
    place: &Place<'_>,
    index: &mirror::Index,
    (to, scratch): (&Objects, &Path),
    told: Told<'_>,
) -> Result<()> {
    let mut missing = Vec::new();
    for (digest, stream) in index {
        if to.verify(digest)? != Health::Ok {
            missing.push((digest, stream));
        }
    }
    let (of, identities) = (index.len() as u64, place.readable()?);
    let mut there = of - missing.len() as u64;
    for batch in missing.chunks(BATCH) {
        let stored = to.put_filled(batch.len(), place.jobs, scratch, &|at, to| {
            open((place.objects, scratch), (identities, batch[at].1), &mut |from| {
                std::io::copy(from, to).context(|| "cannot write an object").map(drop)
            })
        })?;
        if let Some(((digest, _), _)) = batch.iter().zip(stored).find(|((digest, _), stored)| **digest != stored.digest) {
            return Err(Error::of(Kind::Broken, format!("object {digest} came back with other bytes")));
        }
        there += batch.len() as u64;
        told(there, of);
    }
    Ok(())
}

pub(super) fn component(place: &Place<'_>, part: &Part, files: &Path) -> Result<()> {
    let failed = || format!("cannot make {}", files.display());
    std::fs::create_dir_all(files).context(failed)?;
    let beside = files.parent().unwrap_or(files);
    let packed = open((place.objects, beside), (place.readable()?, &part.stored), &mut |from| extract(from, Some(files)))?;
    match part.counts.get("files") {
        Some(files) if *files != packed.files => {
            Err(Error::of(Kind::Broken, format!("{} files came back of {files}", packed.files)))
        }
        _ => Ok(()),
    }
}

/// Puts the repository, its state and its objects where kf looks for them.
fn assemble(to: &Path, done: &mut Restored) -> Result<()> {
    let failed = || format!("cannot put {} together", to.display());
    let of = |name: &str| done.components.iter().position(|(n, _)| n.as_str() == name);
    if let Some(at) = of("git") {
        // Into a folder of its own first: `git clone` takes none that has something in it.
        let (bundle, clone) = (done.components[at].1.join(BUNDLE), to.join(".clone"));
        Program::new("git").args(["clone", "--quiet", "--origin", "backup"]).arg(&bundle).arg(&clone).dir(to).output(b"")?;
        for entry in std::fs::read_dir(&clone).context(failed)? {
            let entry = entry.context(failed)?;
            std::fs::rename(entry.path(), to.join(entry.file_name())).context(failed)?;
        }
        std::fs::remove_dir(&clone).context(failed)?;
    }
    let kf = to.join(".kf");
    std::fs::create_dir_all(&kf).context(failed)?;
    if let Some(at) = of("state") {
        let state = kf.join("state.db");
        std::fs::rename(done.components[at].1.join("state.db"), &state).context(failed)?;
        std::fs::remove_dir(&done.components[at].1).context(failed)?;
        done.components[at].1 = state.clone();
        snapshot::read(&state)?;
    }
    if to.join(OBJECTS).exists() {
        std::fs::rename(to.join(OBJECTS), kf.join("objects")).context(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::digest::Digest;
    use crate::base::time::Timestamp;
    use crate::domain::backup::manifest::Manifest;
    use std::os::unix::fs::PermissionsExt as _;

    fn set() -> Found {
        let at = Timestamp::from_micros(1_795_000_000_000_000);
        let manifest = Manifest {
            schema: Manifest::schema(),
            id: "20261121t080000z-daily-00000000".into(),
            plan: "daily".parse().expect("a name"),
            began: at,
            ended: at,
            kf: "0.1.0".into(),
            recipients: Vec::new(),
            log: None,
            components: Vec::new(),
            artifacts: None,
            lock: None,
        };
        Found { manifest, signed_by: None, digest: Digest::of(b"") }
    }

    #[test]
    fn a_restore_is_begun_in_a_folder_of_ours_and_never_through_a_link() {
        let dir = tempfile::tempdir().expect("a folder");
        let (within, theirs) = (dir.path().join("back.restoring"), dir.path().join("theirs"));
        std::fs::create_dir(&theirs).expect("a folder");
        std::os::unix::fs::symlink(&theirs, &within).expect("a link");
        let e = begin(&within, &set()).expect_err("refused").to_string();
        assert!(e.contains("is there already, and is no folder"), "{e}");
        assert_eq!(std::fs::read_dir(&theirs).expect("a folder").count(), 0, "nothing was written there");
        std::fs::remove_file(&within).expect("removed");
        begin(&within, &set()).expect("begun");
        let mode = std::fs::metadata(&within).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "what comes back may be secret");
        begin(&within, &set()).expect("gone on with");
    }
}
