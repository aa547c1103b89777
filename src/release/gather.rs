//! Which files make a version: a walk over the paths that a person names.
//!
//! One folder gives paths relative to it; several paths, or files, give paths relative to the lowest folder that holds them
//! all. `.git` and `.kf` are never part of a version. Links are followed inside the repository and refused when they leave it
//! or run in a circle. Names keep every character that is UTF-8.

use crate::base::error::{Context, Error, Result};
use std::fs::{self, Metadata};
use std::path::{Component, Path, PathBuf};

/// A file that will be part of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gathered {
    /// Its path in the version: relative, separated by `/`.
    pub name: String,
    /// Where it is now.
    pub source: PathBuf,
    /// Its size in bytes when it was found.
    pub size: u64,
}

/// Folders that are never part of a version: the repository's history and the state itself.
const NEVER: [&str; 2] = [".git", ".kf"];

/// The most files that one version may have.
pub const FILES_MAX: usize = 1_000_000;

/// Gathers the files of a version, sorted by name.
///
/// # Errors
/// When a path is outside `root`, missing, unreadable, neither file nor folder, a link that leaves or circles, not UTF-8, or
/// when there is no file at all.
pub fn gather(root: &Path, paths: &[PathBuf]) -> Result<Vec<Gathered>> {
    let root = root.canonicalize().context(|| format!("cannot find the repository {}", root.display()))?;
    let real = paths.iter().map(|p| inside(&root, p)).collect::<Result<Vec<_>>>()?;
    let base = base_of(&real)?;
    let mut walk = Walk { root: &root, base: &base, found: Vec::new(), above: Vec::new() };
    for path in &real {
        walk.visit(path)?;
    }
    let mut found = walk.found;
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found.dedup_by(|a, b| a.name == b.name);
    if found.is_empty() {
        let shown: Vec<String> = paths.iter().map(|p| p.display().to_string()).collect();
        return Err(Error::new(format!("there is no file in {}", shown.join(", "))).hint("a version needs at least one file"));
    }
    Ok(found)
}

/// The real path of something that must lie inside the repository.
fn inside(root: &Path, path: &Path) -> Result<PathBuf> {
    let real = path.canonicalize().map_err(|e| worded(e, path))?;
    if !real.starts_with(root) {
        return Err(Error::new(format!("{} is outside the repository {}", path.display(), root.display()))
            .hint("put the files inside the repository, or run kf with `-C` in the repository that holds them"));
    }
    let below = real.strip_prefix(root).unwrap_or(&real);
    if below.components().any(|c| NEVER.iter().any(|n| c.as_os_str() == *n)) {
        return Err(Error::new(format!("{} belongs to {}, not to a model", path.display(), NEVER.join(" or ")))
            .hint("name the files of the model"));
    }
    Ok(real)
}

fn worded(e: std::io::Error, path: &Path) -> Error {
    let circle = e.raw_os_error() == Some(ELOOP);
    let missing = e.kind() == std::io::ErrorKind::NotFound;
    let done = Err::<(), _>(e).context(|| format!("cannot read {}", path.display()));
    match done {
        Err(e) if circle => e.hint("this link runs in a circle: remove it or point it to a file"),
        Err(e) if missing => e.hint("check the path; a link to something that is gone counts as missing too"),
        Err(e) => e.hint("check who may read it: `ls -l` tells"),
        Ok(()) => Error::new("cannot read"),
    }
}

/// `ELOOP` on Linux; macOS has 62, where the walk's own check answers first.
const ELOOP: i32 = 40;

fn base_of(paths: &[PathBuf]) -> Result<PathBuf> {
    let holder = |p: &PathBuf| if p.is_dir() && paths.len() == 1 { p.clone() } else { p.parent().unwrap_or(p).to_owned() };
    let mut holders = paths.iter().map(holder);
    let Some(first) = holders.next() else {
        return Err(Error::usage("no path given").hint("name the file or folder that makes the version: `kf register NAME PATH`"));
    };
    Ok(holders.fold(first, |a, b| a.components().zip(b.components()).take_while(|(x, y)| x == y).map(|(x, _)| x).collect()))
}

struct Walk<'a> {
    root: &'a Path,
    base: &'a Path,
    found: Vec<Gathered>,
    /// Real paths of the folders that the walk is in, to notice a circle.
    above: Vec<PathBuf>,
}

impl Walk<'_> {
    fn visit(&mut self, path: &Path) -> Result<()> {
        let meta = fs::metadata(path).map_err(|e| worded(e, path))?;
        if fs::symlink_metadata(path).is_ok_and(|m| m.is_symlink()) {
            inside(self.root, path)?;
        }
        if meta.is_dir() { self.folder(path) } else { self.file(path, &meta) }
    }

    fn folder(&mut self, path: &Path) -> Result<()> {
        let real = path.canonicalize().map_err(|e| worded(e, path))?;
        if self.above.contains(&real) {
            return Err(Error::new(format!("a link on the way to {} runs in a circle", path.display())).hint("remove the link"));
        }
        self.above.push(real);
        let mut entries =
            fs::read_dir(path).and_then(Iterator::collect::<std::io::Result<Vec<_>>>).map_err(|e| worded(e, path))?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            if NEVER.iter().all(|n| entry.file_name() != *n) {
                self.visit(&entry.path())?;
            }
        }
        self.above.pop();
        Ok(())
    }

    fn file(&mut self, path: &Path, meta: &Metadata) -> Result<()> {
        if !meta.is_file() {
            return Err(Error::new(format!("{} is neither a file nor a folder", path.display()))
                .hint("pipes, sockets and devices cannot be part of a version"));
        }
        if self.found.len() >= FILES_MAX {
            return Err(
                Error::new(format!("more than {FILES_MAX} files")).hint("pack them into archives, or register a smaller folder")
            );
        }
        let relative = path.strip_prefix(self.base).unwrap_or(path);
        let parts: Option<Vec<&str>> =
            relative.components().map(|c| if let Component::Normal(part) = c { part.to_str() } else { None }).collect();
        let name = parts.map(|p| p.join("/")).ok_or_else(|| {
            Error::new(format!("the name of {} is not UTF-8", path.display()))
                .hint("rename the file: names must read the same everywhere")
        })?;
        self.found.push(Gathered { name, source: path.to_owned(), size: meta.len() });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn repo(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a directory");
        for f in files {
            let path = dir.path().join(f);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, f).expect("written");
        }
        dir
    }

    fn names(dir: &Path, paths: &[&str]) -> Result<Vec<String>> {
        let paths: Vec<PathBuf> = paths.iter().map(|p| dir.join(p)).collect();
        Ok(gather(dir, &paths)?.into_iter().map(|g| g.name).collect())
    }

    #[test]
    fn paths_are_relative_to_what_was_named() {
        let dir = repo(&["cfg/a.yaml", "cfg/prompts/b 🚀 \"x\".txt", "cfg/.git/x", "m/w.bin"]);
        assert_eq!(names(dir.path(), &["cfg"]).expect("files"), ["a.yaml", "prompts/b 🚀 \"x\".txt"]);
        assert_eq!(names(dir.path(), &["cfg/a.yaml"]).expect("files"), ["a.yaml"]);
        assert_eq!(names(dir.path(), &["cfg/a.yaml", "m"]).expect("files"), ["cfg/a.yaml", "m/w.bin"]);
    }

    #[test]
    fn what_is_no_file_of_the_repository_is_refused() {
        let dir = repo(&["a/x"]);
        symlink("/etc/hostname", dir.path().join("a/out")).expect("a link");
        assert!(names(dir.path(), &["a"]).expect_err("leaves").to_string().contains("outside the repository"));
        assert!(names(dir.path(), &["/etc/hostname"]).is_err());
        assert!(names(dir.path(), &["missing"]).is_err());
        let empty = repo(&[]);
        fs::create_dir(empty.path().join("e")).expect("made");
        assert!(names(empty.path(), &["e"]).expect_err("empty").to_string().contains("no file"));
    }

    #[test]
    fn links_inside_are_followed_and_circles_are_found() {
        let dir = repo(&["a/x", "b/y"]);
        symlink("../b", dir.path().join("a/b")).expect("a link");
        assert_eq!(names(dir.path(), &["a"]).expect("files"), ["b/y", "x"]);
        symlink("..", dir.path().join("a/up")).expect("a link");
        assert!(names(dir.path(), &["a"]).expect_err("circle").to_string().contains("circle"));
        let own = repo(&["a/x"]);
        symlink("self", own.path().join("a/self")).expect("a link");
        assert!(names(own.path(), &["a"]).is_err());
    }
}
