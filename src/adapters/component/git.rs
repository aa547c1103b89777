//! A Git repository as a bundle of all of its refs (git-bundle(1)), which `git clone` reads.

use crate::adapters::process::Program;
use crate::base::error::{Context, Result};
use crate::seams::backup::{Component, Counted, Counts, Dumped, Kind};
use std::path::{Path, PathBuf};

/// The file of the bundle.
pub const BUNDLE: &str = "repository.bundle";

/// The repository that a folder is in.
pub struct GitComponent {
    root: PathBuf,
}

impl GitComponent {
    /// The repository that `root` is in.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }
}

impl Component for GitComponent {
    fn kind(&self) -> Kind {
        Kind { kind: "git".into(), place: ".".into() }
    }

    fn dump(&self, scratch: &Path) -> Result<Dumped> {
        git(&self.root).args(["bundle", "create", "--quiet"]).arg(scratch.join(BUNDLE)).arg("--all").output(b"")?;
        let counts = counted(&self.root)?;
        Ok(Dumped { root: scratch.to_owned(), counts, tool: super::version("git") })
    }

    fn count(&self, files: &Path, scratch: &Path) -> Result<Option<Counted>> {
        let copy = scratch.join("repository.git");
        git(scratch).bare().args(["clone", "--quiet", "--mirror"]).arg(files.join(BUNDLE)).arg(&copy).output(b"")?;
        git(&copy).args(["fsck", "--full", "--strict", "--no-progress"]).output(b"")?;
        Ok(Some(Counted { counts: counted(&copy)?, by: "cloned, and checked by `git fsck`".into() }))
    }
}

fn git(dir: &Path) -> Program {
    Program::new("git").dir(dir).unset("GIT_DIR").unset("GIT_WORK_TREE").unset("GIT_INDEX_FILE").env("LC_ALL", "C")
}

/// Its commits and refs.
fn counted(dir: &Path) -> Result<Counts> {
    let commits = git(dir).args(["rev-list", "--all", "--count"]).output(b"")?;
    let commits = String::from_utf8_lossy(&commits).trim().parse().context(|| "`git rev-list` printed no number")?;
    let refs = git(dir).args(["for-each-ref", "--format=%(refname)"]).output(b"")?;
    Ok(Counts::from([("commits".into(), commits), ("refs".into(), String::from_utf8_lossy(&refs).lines().count() as u64)]))
}
