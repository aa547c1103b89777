//! The folder of this machine for what is on its way. What a process that was killed left there is swept when nobody is at work: whoever
//! is holds a lock that goes with the process.
//!
//! Programs that it left behind go with it: a smoke test, a server. They are known by the folder that they work in, which is one of those
//! that are swept, and which nobody else can enter. Where there is no `/proc` they stay.

use crate::adapters::component::postgres;
use crate::base::error::{Context, Result};
use std::fs::{File, OpenOptions, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

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

/// Makes a folder of one's own, and sweeps what others left there before.
///
/// # Errors
/// When it cannot be made.
pub fn room(dir: &Path) -> Result<Room> {
    sweep(dir)?;
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
        if is_dir {
            abandoned(&entry.path())?;
        } else {
            std::fs::remove_file(entry.path()).context(failed)?;
        }
        swept += 1;
    }
    Ok(swept)
}

/// Ends what still works in a folder that was left, and removes it.
fn abandoned(folder: &Path) -> Result<()> {
    let failed = || format!("cannot sweep {}", folder.display());
    let mut homes: Vec<PathBuf> = vec![folder.to_owned()];
    for entry in std::fs::read_dir(folder).context(failed)? {
        homes.extend(postgres::left(&entry.context(failed)?.path()));
    }
    for home in homes.iter().rev() {
        end_below(home);
        remove(home).context(|| format!("cannot remove {}", home.display()))?;
    }
    Ok(())
}

/// Ends the processes that work in a folder, and waits for their end a moment.
fn end_below(folder: &Path) {
    let Ok(folder) = folder.canonicalize() else { return };
    // A server's children end with it; what it started meanwhile is found the next time.
    for _ in 0..100 {
        if end(&folder) == 0 {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Kills the processes that work in a folder; how many there were. A process is held by a descriptor before it is looked at, so that no
/// stranger with its number is hit (`pidfd_open(2)`). One at a terminal of its own is somebody's shell.
#[cfg(target_os = "linux")]
fn end(folder: &Path) -> usize {
    use rustix::process::{Pid, PidfdFlags, Signal, getpid, pidfd_open, pidfd_send_signal};
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok()).filter_map(Pid::from_raw);
    let found = ids.filter(|pid| *pid != getpid()).filter_map(|pid| {
        let held = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        let process = PathBuf::from(format!("/proc/{}", pid.as_raw_nonzero()));
        let works_in = std::fs::read_link(process.join("cwd")).ok()?;
        (works_in.starts_with(folder) && !is_shell(&process)).then_some(held)
    });
    found.filter(|held| pidfd_send_signal(held, Signal::KILL).is_ok()).count()
}

/// Whether a process leads the session of a terminal: numbers 6 and 7 of `/proc/PID/stat` (proc(5)), after a name in parentheses.
#[cfg(target_os = "linux")]
fn is_shell(process: &Path) -> bool {
    let stat = std::fs::read_to_string(process.join("stat")).unwrap_or_default();
    let pid = stat.split(' ').next().unwrap_or_default();
    let rest: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    rest.get(3).is_some_and(|session| *session == pid) && rest.get(4).is_some_and(|terminal| *terminal != "0")
}

#[cfg(not(target_os = "linux"))]
fn end(_: &Path) -> usize {
    0
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

    #[cfg(target_os = "linux")]
    #[test]
    fn programs_that_were_left_behind_end_with_their_folder_and_others_go_on() {
        use std::process::Command;
        let root = tempfile::tempdir().expect("a folder");
        let dir = root.path().join("cache/backup");
        let below = dir.join("backup-x/restored");
        std::fs::create_dir_all(&below).expect("a folder");
        let start = |dir: &Path| Command::new("sleep").arg("600").current_dir(dir).spawn().expect("starts");
        let (mut left, mut other) = (start(&below), start(root.path()));
        let at_work = hold(&dir).expect("held");
        assert_eq!(sweep(&dir).expect("left alone"), 0);
        assert!(left.try_wait().expect("asked").is_none(), "somebody is at work");
        drop(at_work);
        let room = room(&dir).expect("swept before");
        assert!(!left.wait().expect("ended").success());
        assert!(!below.exists() && room.path().exists());
        assert!(other.try_wait().expect("asked").is_none(), "the other one runs");
        other.kill().expect("killed");
        other.wait().expect("ended");
    }

    #[test]
    fn the_folder_of_a_server_goes_with_the_scratch_folder_that_names_it_and_no_other_does() {
        let root = tempfile::tempdir().expect("a folder");
        let dir = root.path().join("cache/backup");
        let kept = tempfile::Builder::new().prefix("kf-drill-").tempdir().expect("a folder");
        let own = tempfile::Builder::new().prefix("kf-other-").tempdir().expect("a folder");
        let naming = |home: &Path| {
            let scratch = dir.join("backup-x/backup-y");
            std::fs::create_dir_all(&scratch).expect("a folder");
            std::fs::write(scratch.join("server-home"), home.display().to_string()).expect("written");
            assert_eq!(sweep(&dir).expect("swept"), 1);
        };
        naming(own.path());
        naming(Path::new("/tmp/../etc"));
        assert!(own.path().exists(), "what was restored may name anything");
        naming(kept.path());
        assert!(!kept.path().exists());
    }
}
