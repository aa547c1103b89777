//! Names that are given once, in folders beside the objects of a directory: written beside the place, flushed, and linked only where
//! the name is free.

use super::NAMED_MAX;
use super::atomic::{make_dirs, parent, shown, sync_dir, sync_file, temporary, worded};
use crate::base::error::{Error, Result};
use crate::base::time::Timestamp;
use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::Path;

/// Gives a name to some bytes; false when it is taken.
pub(super) fn publish(place: &Path, tmp: &Path, bytes: &[u8]) -> Result<bool> {
    make_dirs(tmp)?;
    make_dirs(parent(place))?;
    let mut file = temporary(tmp, 0o444)?;
    file.write_all(bytes).map_err(|e| worded(e, format!("cannot write {}", shown(place))))?;
    let taken = match sync_file(file)?.persist_noclobber(place) {
        Ok(()) => false,
        Err(e) if e.error.kind() == ErrorKind::AlreadyExists => true,
        Err(e) => return Err(worded(e.error, format!("cannot write {}", shown(place)))),
    };
    sync_dir(parent(place))?;
    Ok(!taken)
}

/// The bytes of a name; none when it is free.
pub(super) fn read(place: &Path) -> Result<Option<Vec<u8>>> {
    let words = |e| worded(e, format!("cannot read {}", shown(place)));
    let file = match File::open(place) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(words(e)),
    };
    let mut bytes = Vec::new();
    file.take(NAMED_MAX + 1).read_to_end(&mut bytes).map_err(words)?;
    if bytes.len() as u64 > NAMED_MAX {
        return Err(Error::new(format!("{} has more than {NAMED_MAX} bytes, too many to read at once", shown(place))));
    }
    Ok(Some(bytes))
}

/// The names of a folder and of those in it, each with the time of its file.
pub(super) fn list(folder: &Path, below: &str, all: &mut Vec<(String, Timestamp)>) -> Result<()> {
    let words = |e| worded(e, format!("cannot list {}", shown(folder)));
    let entries = match std::fs::read_dir(folder) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(words(e)),
        Ok(entries) => entries,
    };
    for entry in entries {
        let entry = entry.map_err(words)?;
        let name = format!("{below}{}", entry.file_name().to_string_lossy());
        match entry.metadata() {
            // Taken away meanwhile.
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(words(e)),
            Ok(m) if m.is_dir() => list(&entry.path(), &format!("{name}/"), all)?,
            Ok(m) => all.push((name, super::files::modified(&m))),
        }
    }
    Ok(())
}

/// Takes a name away.
pub(super) fn remove(place: &Path) -> Result<()> {
    match std::fs::remove_file(place) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        Err(e) => Err(worded(e, format!("cannot remove {}", shown(place)))),
        Ok(()) => sync_dir(parent(place)),
    }
}
