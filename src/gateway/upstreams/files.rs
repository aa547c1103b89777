//! The files of a version where its program finds them: `run/TARGET/VERSION/files`, with the manifest they came by beside them.
//!
//! Invariants: a folder is at its place whole or not at all; before a program is started on it every byte is compared with the
//! manifest, and the manifest with the digest, so what a program wrote into its own version is not taken for it. Files that are
//! there need no state: a gateway starts again while the database is away.

use crate::base::error::{Context, Error, Result};
use crate::base::name::Name;
use crate::domain::registry::manifest::Manifest;
use crate::domain::registry::table;
use crate::release::checkout::{check_out, manifest_of};
use crate::seams::traffic::Arm;
use crate::store::Store;
use crate::store::objects::atomic::write_file;
use crate::store::objects::{Objects, digest_files};
use std::path::{Path, PathBuf};

const FILES: &str = "files";
const MANIFEST: &str = "manifest.json";
/// How the names of folders begin that are being written.
const SCRATCH: &str = ".kf-run-";

/// The files of a version, when they are there and every byte of them is right.
pub(super) fn present(runs: &Path, arm: &Arm) -> Option<PathBuf> {
    let place = runs.join(arm.version.to_string());
    let bytes = std::fs::read(place.join(MANIFEST)).ok()?;
    let manifest = Manifest::from_bytes(&bytes).ok().filter(|m| m.digest() == arm.digest)?;
    let dir = place.join(FILES);
    let paths: Vec<PathBuf> = manifest.files().iter().map(|file| dir.join(&file.path)).collect();
    let found = digest_files(&paths, 1, &|_| {}).ok()?;
    let same = found.iter().map(|stored| stored.digest).eq(manifest.files().iter().map(|file| file.digest));
    same.then_some(dir)
}

/// Writes the files of a version out of the state, in place of what is there.
///
/// # Errors
/// When the state has no such version or another under its number, its files cannot be had, or the folder cannot be written.
pub fn fetch(runs: &Path, model: &Name, arm: &Arm, store: &Store, objects: &Objects) -> Result<PathBuf> {
    let row = store.read(|view| {
        let of_model = table::model(view, model)?;
        table::find_version(view, of_model.id, arm.version)
    })?;
    let row = row.filter(|row| row.digest == arm.digest).ok_or_else(|| {
        Error::new(format!("the state has no {model}@{} with the digest {}", arm.version, arm.digest))
            .hint(format!("`kf list {model}` shows the versions with their digests"))
    })?;
    let manifest = manifest_of(objects, &row)?;
    let trouble = || format!("cannot write the files of {}", row.reference());
    std::fs::create_dir_all(runs).context(trouble)?;
    let scratch = tempfile::Builder::new().prefix(SCRATCH).tempdir_in(runs).context(trouble)?;
    let place = scratch.path().join("new");
    std::fs::create_dir_all(place.join(FILES)).context(trouble)?;
    check_out(objects, &manifest, &place.join(FILES), false)?;
    write_file(&place.join(MANIFEST), &manifest.to_bytes(), 0o644)?;
    let at = runs.join(arm.version.to_string());
    forget(runs, arm)?;
    std::fs::rename(&place, &at).context(trouble)?;
    Ok(at.join(FILES))
}

/// Removes the files of a version.
///
/// # Errors
/// When they cannot be removed.
pub(super) fn forget(runs: &Path, arm: &Arm) -> Result<()> {
    let place = runs.join(arm.version.to_string());
    match std::fs::remove_dir_all(&place) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e).context(|| format!("cannot remove {}", place.display())),
        _ => Ok(()),
    }
}

/// Removes what a gateway left that was killed while it wrote a folder.
pub(super) fn sweep(runs: &Path) {
    for entry in std::fs::read_dir(runs).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(SCRATCH) {
            // What cannot be removed is in nobody's way.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
