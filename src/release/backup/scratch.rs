//! The folder of this machine for what is on its way. What a process that was killed left there is swept when nobody is at work: whoever
//! is holds a lock that goes with the process.

use crate::base::error::{Context, Result};
use std::fs::{File, OpenOptions, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// The file whose lock tells whether somebody is at work.
const LOCK: &str = "lock";

/// Held while somebody is at work in the folder.
#[derive(Debug)]
pub(super) struct AtWork(#[expect(dead_code, reason = "the lock lasts as long as the file is open")] File);

fn opened(dir: &Path) -> Result<File> {
    std::fs::create_dir_all(dir).context(|| format!("cannot make {}", dir.display()))?;
    let path = dir.join(LOCK);
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    file.context(|| format!("cannot open {}", path.display()))
}

/// Makes the folder, and keeps others from sweeping it.
pub(super) fn hold(dir: &Path) -> Result<AtWork> {
    let file = opened(dir)?;
    // Whoever sweeps is done in a moment.
    file.lock_shared().context(|| format!("cannot lock {}", dir.display()))?;
    Ok(AtWork(file))
}

/// A folder of one's own in that folder, which goes when it is dropped and is not swept before.
#[derive(Debug)]
pub struct Room {
    folder: tempfile::TempDir,
    _at_work: AtWork,
}

impl Drop for Room {
    fn drop(&mut self) {
        // The folder itself goes with its field; what cannot be removed now is swept later.
        let _ = writable(self.folder.path());
    }
}

/// Lets us remove what is in the folders below one: those of a backup may be for reading only.
fn writable(dir: &Path) -> std::io::Result<()> {
    let mode = std::fs::symlink_metadata(dir)?.permissions().mode();
    if mode & 0o700 != 0o700 {
        std::fs::set_permissions(dir, Permissions::from_mode(mode | 0o700))?;
    }
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            writable(&entry.path())?;
        }
    }
    Ok(())
}

/// Removes a folder with all that is in it, whatever the modes of the folders in it.
pub(super) fn remove(dir: &Path) -> std::io::Result<()> {
    writable(dir)?;
    std::fs::remove_dir_all(dir)
}

impl Room {
    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Makes a folder of one's own.
///
/// # Errors
/// When it cannot be made.
pub fn room(dir: &Path) -> Result<Room> {
    let at_work = hold(dir)?;
    Ok(Room { folder: super::pack::scratch(dir)?, _at_work: at_work })
}

/// Removes what was left in the folder, unless somebody is at work there; how many things.
pub(super) fn sweep(dir: &Path) -> Result<u64> {
    let failed = || format!("cannot sweep {}", dir.display());
    if !dir.exists() {
        return Ok(0);
    }
    let file = opened(dir)?;
    if file.try_lock().is_err() {
        return Ok(0);
    }
    let mut swept = 0;
    for entry in std::fs::read_dir(dir).context(failed)? {
        let entry = entry.context(failed)?;
        if entry.file_name() == LOCK {
            continue;
        }
        let is_dir = entry.file_type().context(failed)?.is_dir();
        if is_dir { remove(&entry.path()) } else { std::fs::remove_file(entry.path()) }.context(failed)?;
        swept += 1;
    }
    Ok(swept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_is_swept_unless_somebody_is_at_work() {
        let root = tempfile::tempdir().expect("a folder");
        let dir = root.path().join("cache/backup");
        assert_eq!(sweep(&dir).expect("nothing"), 0);
        let at_work = hold(&dir).expect("held");
        let also = hold(&dir).expect("held by several");
        std::fs::create_dir(dir.join("backup-x")).expect("a folder");
        std::fs::write(dir.join("backup-x/state.db"), "secret").expect("a file");
        std::fs::create_dir_all(dir.join("backup-x/a/b")).expect("folders");
        std::fs::set_permissions(dir.join("backup-x/a"), Permissions::from_mode(0o555)).expect("for reading only");
        std::fs::write(dir.join("ab.object"), "secret").expect("a file");
        assert_eq!(sweep(&dir).expect("left alone"), 0);
        drop((at_work, also));
        assert_eq!(sweep(&dir).expect("swept"), 2);
        assert_eq!(std::fs::read_dir(&dir).expect("a folder").count(), 1, "the lock stays");
    }
}
