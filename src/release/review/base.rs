//! The repository as it was at the commit that a pull request parted from: its files in a scratch folder, and its `mlops.toml`.

use crate::adapters::git::since::{Since, files_at};
use crate::base::error::{Context, Result};
use crate::config::{FILE_NAME, Loaded, Model, Project};
use crate::release::gather::{Gathered, gather};
use crate::release::reads;
use std::path::{Path, PathBuf};

/// What there was.
pub struct Base {
    folder: tempfile::TempDir,
    /// What its `mlops.toml` says; `None` when there was none.
    pub loaded: Option<Loaded>,
    /// Why it says nothing, when it cannot be read.
    pub broken: Option<String>,
}

impl Base {
    /// Writes the files of `root` as they were, and reads their configuration by `load`.
    ///
    /// # Errors
    /// When the files cannot be had. A configuration that is wrong is none: who changes it is who mends it.
    pub fn of(root: &Path, since: &Since, load: &dyn Fn(&Path) -> Result<Loaded>) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("kf-base-").tempdir().context(|| "cannot make a scratch folder")?;
        let files = folder.path().join("files");
        files_at(root, &since.base, &files)?;
        let (loaded, broken) = match files.join(FILE_NAME).is_file() {
            false => (None, None),
            true => match load(&files) {
                Ok(loaded) => (Some(loaded), None),
                Err(e) => (None, Some(format!("{FILE_NAME} of then cannot be read: {e}"))),
            },
        };
        Ok(Self { folder, loaded, broken })
    }

    /// Takes the files of models and of the system that Git does not know, or knows by a pointer of Git LFS alone, as they are now: what
    /// they were is nowhere.
    ///
    /// # Errors
    /// When a file cannot be read or put there.
    pub fn complete(&self, root: &Path, project: &Project, since: &Since) -> Result<()> {
        let Some(base) = &self.loaded else { return Ok(()) };
        let real = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        let known = |m: &&Model| base.project.model(m.name.as_str()).is_some();
        for model in project.models.iter().filter(known) {
            let paths: Vec<PathBuf> = model.paths.iter().map(|p| p.under(root)).collect();
            let files = gather(root, &paths).context(|| format!("cannot read the files of {}", model.name))?;
            self.take_over(&real, &files, since)?;
        }
        self.take_over(&real, &reads::files(&project.system, root)?, since)
    }

    fn take_over(&self, root: &Path, files: &[Gathered], since: &Since) -> Result<()> {
        for file in files {
            let relative = file.source.strip_prefix(root).unwrap_or(&file.source);
            let was = self.path(relative);
            let lacks = !was.exists() || is_pointer(&was);
            if lacks && !since.touches(&relative.to_string_lossy()) {
                put(&file.source, &was).context(|| format!("cannot write {}", was.display()))?;
            }
        }
        Ok(())
    }

    /// Where a file of the repository lies as it was.
    pub fn path(&self, relative: &Path) -> PathBuf {
        self.folder.path().join("files").join(relative)
    }
}

/// How a pointer of Git LFS begins (git-lfs, docs/spec.md); none is longer than 1,024 bytes.
const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/v1";

fn is_pointer(path: &Path) -> bool {
    let small = std::fs::metadata(path).is_ok_and(|m| m.len() < 1024);
    small && std::fs::read(path).is_ok_and(|bytes| bytes.starts_with(POINTER))
}

/// The same file under another name where that can be; weights are large.
fn put(file: &Path, dest: &Path) -> std::io::Result<()> {
    if let Some(folder) = dest.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let _ = std::fs::remove_file(dest);
    std::fs::hard_link(file, dest).or_else(|_| std::fs::copy(file, dest).map(|_| ()))
}
