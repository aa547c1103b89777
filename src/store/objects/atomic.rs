//! Files that are there whole or not at all: write beside the place, fsync, rename, fsync the directory.
//!
//! After a crash the place holds the old bytes or the new ones. A failed fsync is final: the kernel marks the pages clean, so
//! a second fsync of the same descriptor would succeed and prove nothing (Rebello et al., USENIX ATC 2020); the temporary is
//! thrown away and the caller starts again. Modes are narrowed by the umask, as with every other program.

use crate::base::error::{Context, Error, Result};
use crate::base::text::ellipsis;
use std::convert::Infallible;
use std::fmt::Display;
use std::fs::{File, Permissions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use tempfile::{NamedTempFile, TempPath};

/// `EIO`, which `std` has no name for; the same number on Linux and macOS.
const EIO: i32 = 5;
/// `ENFILE` and `EMFILE`: the system or this process has too many open files; the same numbers on Linux and macOS.
const TOO_MANY_FILES: [i32; 2] = [23, 24];

/// Puts `bytes` at `path`, in place of what was there; what is no file but takes bytes, a pipe or `/dev/null`, stays and is written to.
///
/// # Errors
/// When the directory does not exist or cannot be written; the old file is then untouched.
pub fn write_file(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    if takes_bytes(path) {
        let written = File::options().write(true).open(path).and_then(|mut to| to.write_all(bytes));
        return written.map_err(|e| worded(e, format!("cannot write {}", shown(path))));
    }
    let mut temporary = temporary_beside(path, mode)?;
    temporary.write_all(bytes).map_err(|e| worded(e, format!("cannot write {}", shown(path))))?;
    replace(temporary, path)
}

/// Makes sure that [`write_file`] can put a file at `path`, before the bytes of the file are known; leaves nothing there.
///
/// # Errors
/// When the directory does not exist or cannot be written, or `path` is a directory.
pub fn probe(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Err(Error::new(format!("{} is a directory", shown(path))).hint("name a file in it"));
    }
    if takes_bytes(path) {
        return Ok(());
    }
    temporary_beside(path, 0o600).map(drop)
}

/// True for a device, a pipe or a socket: one that is renamed over is gone, for every program of the machine.
fn takes_bytes(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}

/// Makes sure that the names in a directory survive a power cut.
///
/// # Errors
/// When it cannot be opened or the disk reports an error.
pub fn sync_dir(dir: &Path) -> Result<()> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(|e| worded(e, format!("cannot sync the directory {}", shown(dir))))
}

/// A path for a message: on one line, whatever it is made of.
pub fn shown(path: &Path) -> String {
    ellipsis(&path.to_string_lossy(), 300)
}

/// The directory that a path is in.
pub(super) fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// An empty file with a name of its own in `dir`, removed when dropped.
pub(super) fn temporary(dir: &Path, mode: u32) -> Result<NamedTempFile> {
    tempfile::Builder::new()
        .prefix("kf-")
        .suffix(".tmp")
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(dir)
        .map_err(|e| worded(e, format!("cannot make a file in {}", shown(dir))))
}

/// An empty file in the directory of `path`, so that it can be renamed to it.
pub(super) fn temporary_beside(path: &Path, mode: u32) -> Result<NamedTempFile> {
    temporary(parent(path), mode)
}

/// Makes a written temporary durable; it has its bytes on disk but not yet its name.
pub(super) fn sync_file(temporary: NamedTempFile) -> Result<TempPath> {
    let synced = temporary.as_file().sync_all();
    synced.map_err(|e| worded(e, format!("cannot sync {} to disk", shown(temporary.path()))))?;
    Ok(temporary.into_temp_path())
}

/// Gives a durable temporary its name, in place of what has it now. The directory is still to be synced.
pub(super) fn rename(temporary: TempPath, path: &Path) -> Result<()> {
    temporary.persist(path).map_err(|e| worded(e.error, format!("cannot write {}", shown(path))))
}

/// Puts a written temporary durably at `path`.
pub(super) fn replace(temporary: NamedTempFile, path: &Path) -> Result<()> {
    rename(sync_file(temporary)?, path)?;
    sync_dir(parent(path))
}

/// Makes a directory and those above it, durably.
pub(super) fn make_dirs(dir: &Path) -> Result<()> {
    let mut missing: Vec<PathBuf> = Vec::new();
    let mut at = dir;
    while !at.is_dir() {
        missing.push(at.to_owned());
        at = parent(at);
    }
    for dir in missing.iter().rev() {
        match std::fs::create_dir(dir) {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => {
                return Err(worded(e, format!("cannot make the directory {}", shown(dir))));
            }
            _ => sync_dir(parent(dir))?,
        }
    }
    Ok(())
}

/// True when the disk itself could not read or write.
pub(super) fn is_disk_error(e: &io::Error) -> bool {
    e.raw_os_error() == Some(EIO)
}

/// Words a failure of the file system: what failed, why, and what helps.
pub(super) fn worded(e: io::Error, what: impl Display) -> Error {
    let hint = match e.kind() {
        ErrorKind::StorageFull => Some("free some space on that file system (`df -h`), then run the command again"),
        ErrorKind::QuotaExceeded => Some("free some space under your quota (`quota -s`), then run the command again"),
        ErrorKind::PermissionDenied => Some("check who may read and write it with `ls -ld`"),
        ErrorKind::ReadOnlyFilesystem => Some("mount the file system writable, or run on a copy of it"),
        _ if is_disk_error(&e) => {
            Some("the disk is failing: look at `dmesg`, copy what still reads, then run the command again on another disk")
        }
        _ if e.raw_os_error().is_some_and(|code| TOO_MANY_FILES.contains(&code)) => {
            Some("raise the limit of open files (`ulimit -n 4096`) or use fewer `--jobs`")
        }
        _ => None,
    };
    let Err(error) = Err::<Infallible, _>(e).context(|| what);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_pipe_is_written_to_and_stays_one() {
        use std::os::unix::fs::FileTypeExt as _;
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo").success());
        probe(&path).expect("it can be written");
        let reader = std::thread::spawn({
            let path = path.clone();
            move || std::fs::read(path).expect("read")
        });
        write_file(&path, b"a report", 0o644).expect("written");
        assert_eq!(reader.join().expect("a reader"), b"a report");
        assert!(std::fs::metadata(&path).expect("there").file_type().is_fifo());
        assert_eq!(std::fs::read_dir(dir.path()).expect("a directory").count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_file_is_replaced_and_nothing_else_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("note");
        write_file(&path, b"one", 0o600).unwrap();
        write_file(&path, b"two", 0o600).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(names(dir.path()), ["note"]);
    }

    #[test]
    fn a_missing_directory_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let e = write_file(&dir.path().join("no/such/note"), b"x", 0o644).unwrap_err();
        assert!(e.to_string().contains("no/such"), "{e}");
        assert!(names(dir.path()).is_empty());
    }

    #[test]
    fn a_place_that_is_a_directory_is_refused_without_leftovers() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("taken")).unwrap();
        assert!(write_file(&dir.path().join("taken"), b"x", 0o644).is_err());
        assert_eq!(names(dir.path()), ["taken"]);
    }

    #[test]
    fn directories_are_made_with_those_above_them() {
        let dir = tempfile::tempdir().unwrap();
        make_dirs(&dir.path().join("a/b/c")).unwrap();
        make_dirs(&dir.path().join("a/b/c")).unwrap();
        assert!(dir.path().join("a/b/c").is_dir());
        std::fs::write(dir.path().join("file"), b"").unwrap();
        assert!(make_dirs(&dir.path().join("file/below")).is_err());
    }

    #[test]
    fn each_trouble_of_a_disk_has_its_hint() {
        // Numbers of Linux: ENOSPC, EACCES, EROFS, EIO, EMFILE.
        let hints = [(28, "df -h"), (13, "ls -ld"), (30, "writable"), (5, "dmesg"), (24, "ulimit -n")];
        for (code, hint) in hints {
            let e = worded(io::Error::from_raw_os_error(code), "cannot write x");
            assert!(e.hints()[0].contains(hint), "{code}: {:?}", e.hints());
            assert_eq!(e.chain()[0], "cannot write x");
            assert!(e.cause::<io::Error>().is_some());
        }
        assert!(worded(ErrorKind::NotFound.into(), "x").hints().is_empty());
    }

    #[test]
    fn a_path_is_shown_on_one_line() {
        assert_eq!(shown(Path::new("a\nb\u{1b}[31m")), "a b [31m");
    }
}
