//! Writing a version's files out: each is verified against its digest while it is copied, and appears under its name only
//! when it is whole.

use crate::base::error::{Context, Error, Result};
use crate::base::text::count;
use crate::domain::registry::manifest::Manifest;
use crate::domain::registry::table::VersionRow;
use crate::store::objects::Objects;
use std::path::Path;

/// The largest manifest that is read, in bytes: a million files with long names.
pub const MANIFEST_MAX: u64 = 512 * 1024 * 1024;

/// The manifest of a version, verified.
///
/// # Errors
/// When its files were removed, the object is missing or damaged, or it is no manifest.
pub fn manifest_of(objects: &Objects, version: &VersionRow) -> Result<Manifest> {
    if let Some(purged) = version.purged {
        return Err(Error::new(format!(
            "the files of {} were removed on {}, after its retention",
            version.reference(),
            purged.day()
        ))
        .hint(format!("`kf list {}` shows the versions that are kept", version.name)));
    }
    let bytes = objects
        .read(&version.digest, MANIFEST_MAX)
        .context(|| format!("cannot read the manifest of {}", version.reference()))
        .hint(|| "`kf fsck` tells what is missing; registering the same files again heals it".into())?;
    Manifest::from_bytes(&bytes).context(|| format!("the manifest of {} is damaged", version.reference()))
}

/// Writes the files of a manifest into `dir`.
///
/// # Errors
/// When a file is there already and `force` is not given, or an object is missing or damaged; what is written is whole.
pub fn check_out(objects: &Objects, manifest: &Manifest, dir: &Path, force: bool) -> Result<()> {
    if !force {
        refuse_overwriting(manifest, dir)?;
    }
    for file in manifest.files() {
        let dest = dir.join(&file.path);
        if let Some(parent) = dest.parent() {
            std::fs::create_dir_all(parent).context(|| format!("cannot make {}", parent.display()))?;
        }
        refuse_links(dir, &dest)?;
        objects.copy_to(&file.digest, &dest).context(|| format!("cannot write {}", dest.display()))?;
    }
    Ok(())
}

fn refuse_overwriting(manifest: &Manifest, dir: &Path) -> Result<()> {
    let taken: Vec<&str> =
        manifest.files().iter().map(|f| f.path.as_str()).filter(|p| dir.join(p).symlink_metadata().is_ok()).collect();
    match taken.first() {
        Some(first) => Err(Error::new(format!(
            "{} holds {} of this version already, such as {first}",
            dir.display(),
            count(taken.len(), "file")
        ))
        .hint("choose an empty folder, or overwrite them with `--force`")),
        None => Ok(()),
    }
}

/// A link inside the folder could lead the copy elsewhere.
fn refuse_links(dir: &Path, dest: &Path) -> Result<()> {
    let mut at = dest.parent();
    while let Some(folder) = at.filter(|f| f.starts_with(dir) && *f != dir) {
        if folder.symlink_metadata().is_ok_and(|m| m.is_symlink()) {
            return Err(Error::new(format!("{} is a link: files are not written through it", folder.display()))
                .hint("remove the link, or choose an empty folder"));
        }
        at = folder.parent();
    }
    Ok(())
}
