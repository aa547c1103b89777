//! Folders that are there as a whole or not at all: what is loaded is made beside them and gets their name at the end.

use crate::base::error::{Context, Error, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// How many files and links are below a folder; none when it is not there.
pub(super) fn files(dir: &Path) -> Result<u64> {
    let mut all = 0;
    each(dir, &mut |_| all += 1)?;
    Ok(all)
}

fn each(dir: &Path, told: &mut dyn FnMut(&Path)) -> Result<()> {
    let failed = || format!("cannot read {}", dir.display());
    if fs::symlink_metadata(dir).is_err() {
        return Ok(());
    }
    for entry in fs::read_dir(dir).context(failed)? {
        let entry = entry.context(failed)?;
        let kind = entry.file_type().context(failed)?;
        if kind.is_dir() {
            each(&entry.path(), told)?;
        } else if kind.is_file() || kind.is_symlink() {
            told(&entry.path());
        }
    }
    Ok(())
}

/// What is in a folder, for people; `None` when it is empty or not there.
pub(super) fn occupied(dir: &Path) -> Result<Option<String>> {
    let failed = || format!("cannot read {}", dir.display());
    match fs::symlink_metadata(dir) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e).context(failed),
        Ok(is) if !is.is_dir() => Err(Error::new(format!("{} is no folder", dir.display())).hint("name another one")),
        Ok(_) => match fs::read_dir(dir).context(failed)?.next() {
            None => Ok(None),
            Some(_) => Ok(Some(format!("{} files", files(dir)?))),
        },
    }
}

/// Fills a folder: `fill` gets an empty one beside it, which takes its place when all went well. What was there goes then.
pub(super) fn replaced(dir: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let staged = beside(dir, "loading")?;
    let failed = || format!("cannot write {}", staged.display());
    if staged.exists() {
        // Left by a load that was interrupted.
        fs::remove_dir_all(&staged).context(failed)?;
    }
    fs::create_dir_all(&staged).context(failed)?;
    if let Err(e) = fill(&staged) {
        let _ = fs::remove_dir_all(&staged);
        return Err(e);
    }
    let before = beside(dir, "before")?;
    let swap = || -> std::io::Result<()> {
        let there = fs::symlink_metadata(dir).is_ok();
        if there {
            fs::rename(dir, &before)?;
        }
        fs::rename(&staged, dir)?;
        if there { fs::remove_dir_all(&before) } else { Ok(()) }
    };
    swap().context(|| format!("cannot put {} in its place", dir.display()))
}

fn beside(dir: &Path, what: &str) -> Result<PathBuf> {
    let name = dir.file_name().ok_or_else(|| Error::usage(format!("`{}` is no name of a folder", dir.display())))?;
    Ok(dir.with_file_name(format!("{}.{what}", name.to_string_lossy())))
}

/// Copies what is below a folder as it is: modes, times and links.
pub(super) fn copy(from: &Path, to: &Path) -> Result<()> {
    let failed = || format!("cannot copy {} to {}", from.display(), to.display());
    for entry in fs::read_dir(from).context(failed)? {
        let entry = entry.context(failed)?;
        let (kind, target) = (entry.file_type().context(failed)?, to.join(entry.file_name()));
        if kind.is_dir() {
            fs::create_dir(&target).context(failed)?;
            copy(&entry.path(), &target)?;
        } else if kind.is_symlink() {
            let leads = fs::read_link(entry.path()).context(failed)?;
            std::os::unix::fs::symlink(leads, &target).context(failed)?;
            continue;
        } else {
            fs::copy(entry.path(), &target).context(failed)?;
        }
        let meta = entry.metadata().context(failed)?;
        if kind.is_file() {
            let file = fs::File::options().read(true).open(&target).context(failed)?;
            file.set_modified(meta.modified().context(failed)?).context(failed)?;
            file.sync_all().context(failed)?;
        }
        fs::set_permissions(&target, meta.permissions()).context(failed)?;
    }
    Ok(())
}

/// Gives a folder the mode of another.
pub(super) fn mode(from: &Path, to: &Path) -> Result<()> {
    let set = fs::metadata(from).and_then(|meta| fs::set_permissions(to, meta.permissions()));
    set.context(|| format!("cannot give {} its mode", to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_folder_is_replaced_whole_or_stays() {
        let home = tempfile::tempdir().expect("a folder");
        let (from, to) = (home.path().join("from"), home.path().join("to"));
        fs::create_dir_all(from.join("a/b")).expect("folders");
        fs::write(from.join("a/b/script"), "x").expect("written");
        fs::set_permissions(from.join("a/b/script"), fs::Permissions::from_mode(0o750)).expect("a mode");
        std::os::unix::fs::symlink("b/script", from.join("a/link")).expect("a link");
        assert_eq!((occupied(&to).expect("read"), files(&from).expect("read")), (None, 2));
        replaced(&to, |staged| copy(&from, staged)).expect("filled");
        let mode = fs::metadata(to.join("a/link")).expect("a file").permissions().mode() & 0o777;
        assert_eq!((mode, files(&to).expect("read")), (0o750, 2));
        assert_eq!(occupied(&to).expect("read").as_deref(), Some("2 files"));
        let e = replaced(&to, |staged| {
            fs::write(staged.join("half"), "").expect("written");
            Err(Error::new("no"))
        });
        assert!(e.is_err() && to.join("a/b/script").is_file(), "what was there stays");
        replaced(&to, |_| Ok(())).expect("emptied");
        let left: Vec<_> = fs::read_dir(home.path()).expect("read").map(|e| e.expect("an entry").file_name()).collect();
        assert_eq!((left.len(), files(&to).expect("read")), (2, 0), "{left:?}");
    }
}
