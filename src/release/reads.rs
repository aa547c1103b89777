//! What the answers of a program depend on beside the files of the version: what `system.files` in mlops.toml names.
//!
//! Folders are taken whole, links are followed inside the repository. What Python compiles from the files beside it is left out: it is
//! written by the first run, and says nothing that they do not.

use crate::base::error::{Context, Error, Result};
use crate::config::{FILE_NAME, System};
use crate::release::gather::{Gathered, gather};
use std::path::Path;

/// Folders in which Python keeps what it compiled.
const COMPILED: &str = "__pycache__";

/// The files, by their paths in the repository.
///
/// # Errors
/// When a path is not there, cannot be read or leaves the repository.
pub fn files(system: &System, root: &Path) -> Result<Vec<Gathered>> {
    let real = root.canonicalize().context(|| format!("cannot find the repository {}", root.display()))?;
    let mut found: Vec<Gathered> = Vec::new();
    for path in system.files() {
        let full = path.under(root);
        if full.symlink_metadata().is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound) {
            return Err(Error::usage(format!("`system.files` in {FILE_NAME} names {path}, which is not there"))
                .hint("paths there are relative to the repository; `kf config check` looks for every file that is named"));
        }
        let files = gather(root, &[full]).context(|| format!("cannot read {path}, which `system.files` in {FILE_NAME} names"))?;
        let kept = files.into_iter().filter(|f| !f.source.components().any(|part| part.as_os_str() == COMPILED));
        found.extend(kept.map(|file| {
            let name = file.source.strip_prefix(&real).unwrap_or(&file.source).to_string_lossy().into_owned();
            Gathered { name, ..file }
        }));
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found.dedup_by(|a, b| a.name == b.name);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn folders_are_whole_each_file_is_once_and_what_was_compiled_is_left_out() {
        let dir = tempfile::tempdir().expect("a folder");
        for path in ["lib/a.py", "lib/deep/b.py", "lib/__pycache__/a.pyc", "handbook.md", "other.md"] {
            let full = dir.path().join(path);
            std::fs::create_dir_all(full.parent().expect("a folder")).expect("made");
            std::fs::write(full, path).expect("written");
        }
        let of = |paths: &[&str]| {
            let files = paths.iter().map(|p| p.parse().expect("a path")).collect();
            let system = System::Command { command: vec!["x".into()], files, timeout: Duration::from_secs(1), concurrency: 1 };
            files_of(&system, dir.path())
        };
        let files_of_all = of(&["lib/", "handbook.md", "lib/a.py"]).expect("read");
        assert_eq!(files_of_all, ["handbook.md", "lib/a.py", "lib/deep/b.py"]);
        let e = of(&["handbok.md"]).expect_err("nothing there").to_string();
        assert_eq!(e, "`system.files` in mlops.toml names handbok.md, which is not there");
        assert_eq!(files_of(&System::Recorded, dir.path()).expect("read"), [] as [&str; 0]);
    }

    fn files_of(system: &System, root: &Path) -> Result<Vec<String>> {
        Ok(files(system, root)?.into_iter().map(|f| f.name).collect())
    }
}
