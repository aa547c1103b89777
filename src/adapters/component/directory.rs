//! The files below a folder, as they are when they are read: a program that writes there meanwhile is not waited for.

use super::folder;
use crate::base::error::{Context, Error, Result};
use crate::seams::backup::{Component, Counted, Counts, Dumped, Kind};
use std::path::{Path, PathBuf};

/// A folder.
pub struct Directory {
    path: PathBuf,
    named: String,
}

impl Directory {
    /// The folder `named` of a repository.
    pub fn new(root: &Path, named: &str) -> Self {
        Self { path: root.join(named), named: named.to_owned() }
    }
}

impl Component for Directory {
    fn kind(&self) -> Kind {
        Kind { kind: "directory".into(), place: self.named.clone() }
    }

    fn dump(&self, _: &Path) -> Result<Dumped> {
        if !self.path.is_dir() {
            return Err(
                Error::new(format!("{} is no folder", self.path.display())).hint("check `path` of the component in mlops.toml")
            );
        }
        // What is in it is counted as it is packed.
        Ok(Dumped { root: self.path.clone(), counts: Counts::new(), tool: None })
    }

    fn count(&self, files: &Path, _: &Path) -> Result<Option<Counted>> {
        std::fs::read_dir(files).context(|| format!("cannot read {}", files.display()))?;
        Ok(Some(Counted { counts: Counts::from([("files".into(), folder::files(files)?)]), by: "unpacked".into() }))
    }

    fn occupied(&self) -> Result<Option<String>> {
        folder::occupied(&self.path)
    }

    fn load(&self, files: &Path, _: &Path, _: bool) -> Result<Counts> {
        folder::replaced(&self.path, |staged| {
            folder::copy(files, staged)?;
            folder::mode(files, staged)
        })?;
        Ok(Counts::from([("files".into(), folder::files(&self.path)?)]))
    }
}
