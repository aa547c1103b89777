//! Which files are documents: a walk over the paths that a person names.
//!
//! Folders are walked in the order of their names, so that a run meets the same files in the same order wherever it runs.
//! Hidden entries are passed over unless they are named. Links inside a folder are passed over when their target lies in the
//! folder too, because the walk meets the target itself, and refused when they leave it. Pipes, sockets and devices are
//! refused without being opened.

use super::open::Stat;
use crate::base::error::{Context, Error, Result};
use crate::domain::ingest::reason::{Refusal, Refused};
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};

/// A file that was met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Met {
    /// What it is called in the collection: its path below the repository, or its absolute path.
    pub source: String,
    /// Where it is.
    pub path: PathBuf,
    /// What the file system says of it, or why it is no document.
    pub found: Result<Stat, Refused>,
}

/// What a walk met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Walked {
    /// The files, each source once.
    pub files: Vec<Met>,
    /// The folders that were walked: what is known below them and was not met is gone.
    pub folders: Vec<PathBuf>,
    /// Folders that could not be read: nothing is known of what is below them.
    pub unread: Vec<PathBuf>,
}

impl Walked {
    /// True when a file of the repository at `root` would have been met, were it still there.
    pub fn covers(&self, root: &Path, source: &str) -> bool {
        let path = root.join(source);
        self.folders.iter().any(|f| path.starts_with(f)) && !self.unread.iter().any(|f| path != *f && path.starts_with(f))
    }
}

/// Meets documents again by their sources; the file of one may be gone, or have become a folder.
///
/// # Errors
/// When the repository cannot be found.
pub fn again(root: &Path, sources: &[String]) -> Result<Walked> {
    let root = root.canonicalize().context(|| format!("cannot find the repository {}", root.display()))?;
    let mut walk = Walk { root: &root, walked: Walked::default() };
    for source in sources {
        let path = root.join(source);
        match fs::symlink_metadata(&path) {
            Ok(meta) if meta.is_dir() => match walk.folder(&path) {
                Ok(()) => walk.walked.folders.push(path),
                Err(e) => walk.refuse(&path, Refusal::Unreadable, e.chain().join(": ")),
            },
            Ok(meta) if meta.is_symlink() => walk.refuse(&path, Refusal::NotAFile, "a link".to_owned()),
            Ok(meta) => walk.file(&path, &meta),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => walk.walked.folders.push(path),
            Err(e) => walk.refuse(&path, Refusal::Unreadable, e.to_string()),
        }
    }
    Ok(walk.sorted())
}

/// Walks the paths.
///
/// # Errors
/// When a path is not there or a named folder cannot be read; what is below a folder is never an error.
pub fn walk(root: &Path, paths: &[PathBuf]) -> Result<Walked> {
    let root = root.canonicalize().context(|| format!("cannot find the repository {}", root.display()))?;
    let mut walk = Walk { root: &root, walked: Walked::default() };
    for path in paths {
        walk.named(path)?;
    }
    Ok(walk.sorted())
}

struct Walk<'a> {
    root: &'a Path,
    walked: Walked,
}

impl Walk<'_> {
    fn sorted(self) -> Walked {
        let mut walked = self.walked;
        walked.files.sort_by(|a, b| a.source.cmp(&b.source));
        walked.files.dedup_by(|a, b| a.source == b.source);
        walked
    }

    fn named(&mut self, path: &Path) -> Result<()> {
        let real = path
            .canonicalize()
            .context(|| format!("cannot find {}", path.display()))
            .hint(|| "name a file or folder that is there; quote a name with spaces".into())?;
        let meta = fs::metadata(&real).context(|| format!("cannot look at {}", path.display()))?;
        if !meta.is_dir() {
            self.file(&real, &meta);
            return Ok(());
        }
        if real.starts_with(self.root.join(".kf")) {
            return Err(Error::usage(format!("{} belongs to kf itself", path.display())).hint("name a folder of documents"));
        }
        self.folder(&real)?;
        self.walked.folders.push(real);
        Ok(())
    }

    /// Walks a folder without recursion: its depth is the file system's, not the stack's.
    fn folder(&mut self, top: &Path) -> Result<()> {
        let mut open = vec![top.to_owned()];
        while let Some(folder) = open.pop() {
            let entries = fs::read_dir(&folder).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
            let mut entries = match entries {
                Ok(entries) => entries,
                Err(e) if folder == top => return Err(e).context(|| format!("cannot read the folder {}", folder.display())),
                Err(e) => {
                    self.refuse(&folder, Refusal::Unreadable, format!("cannot read the folder: {e}"));
                    self.walked.unread.push(folder);
                    continue;
                }
            };
            entries.sort_by_key(fs::DirEntry::file_name);
            for entry in entries {
                if entry.file_name().as_encoded_bytes().starts_with(b".") {
                    continue;
                }
                let path = entry.path();
                match fs::symlink_metadata(&path) {
                    Ok(meta) if meta.is_dir() => open.push(path),
                    Ok(meta) if meta.is_symlink() => self.link(top, &path),
                    Ok(meta) => self.file(&path, &meta),
                    Err(e) => self.refuse(&path, Refusal::Changed, format!("gone before it was read: {e}")),
                }
            }
        }
        Ok(())
    }

    fn link(&mut self, top: &Path, path: &Path) {
        match path.canonicalize() {
            Ok(real) if real.starts_with(top) => {}
            Ok(_) => self.refuse(path, Refusal::NotAFile, "a link that leaves the folder".to_owned()),
            Err(e) => self.refuse(path, Refusal::NotAFile, format!("a link that leads nowhere: {e}")),
        }
    }

    fn file(&mut self, path: &Path, meta: &Metadata) {
        if meta.is_file() {
            let met = match path.to_str() {
                Some(_) => Ok(Stat::of(meta)),
                None => Err(Refused::new(Refusal::Unreadable, "its name is not UTF-8")),
            };
            self.met(path, met);
        } else {
            self.refuse(path, Refusal::NotAFile, "a pipe, a socket or a device".to_owned());
        }
    }

    fn refuse(&mut self, path: &Path, reason: Refusal, detail: String) {
        self.met(path, Err(Refused::new(reason, detail)));
    }

    fn met(&mut self, path: &Path, found: Result<Stat, Refused>) {
        self.walked.files.push(Met { source: self.source(path), path: path.to_owned(), found });
    }

    fn source(&self, path: &Path) -> String {
        path.strip_prefix(self.root).unwrap_or(path).to_string_lossy().into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(walked: &Walked) -> Vec<(String, Option<Refusal>)> {
        walked.files.iter().map(|m| (m.source.clone(), m.found.as_ref().err().map(|r| r.reason))).collect()
    }

    #[test]
    fn a_folder_is_walked_in_order_and_what_is_no_file_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let root = dir.path();
        for name in ["docs/b.txt", "docs/a/z.md", "docs/a/new\nline.txt", "docs/.hidden", "outside.txt"] {
            fs::create_dir_all(root.join(name).parent().expect("a parent")).expect("folders");
            fs::write(root.join(name), "text").expect("a file");
        }
        std::os::unix::fs::symlink(root.join("outside.txt"), root.join("docs/out")).expect("a link");
        std::os::unix::fs::symlink(root.join("docs/b.txt"), root.join("docs/in")).expect("a link");
        std::os::unix::fs::symlink(root.join("docs"), root.join("docs/circle")).expect("a link");
        std::os::unix::fs::symlink(root.join("nowhere"), root.join("docs/broken")).expect("a link");
        let _socket = std::os::unix::net::UnixListener::bind(root.join("docs/socket")).expect("a socket");
        let walked = walk(root, &[root.join("docs"), root.join("docs/b.txt")]).expect("walked");
        assert_eq!(
            names(&walked),
            [
                ("docs/a/new\nline.txt".to_owned(), None),
                ("docs/a/z.md".to_owned(), None),
                ("docs/b.txt".to_owned(), None),
                ("docs/broken".to_owned(), Some(Refusal::NotAFile)),
                ("docs/out".to_owned(), Some(Refusal::NotAFile)),
                ("docs/socket".to_owned(), Some(Refusal::NotAFile)),
            ]
        );
        assert_eq!(walked.folders, [root.canonicalize().expect("real").join("docs")]);
        assert!(walk(root, &[root.join("missing")]).expect_err("nothing there").to_string().contains("cannot find"));
    }

    #[test]
    fn what_is_covered_is_below_by_whole_names_and_not_below_what_was_not_read() {
        let walked = |folder: &str, unread: &[&str]| Walked {
            folders: vec![folder.into()],
            unread: unread.iter().map(PathBuf::from).collect(),
            ..Walked::default()
        };
        let root = Path::new("/r");
        assert!(walked("/r/docs", &[]).covers(root, "docs/a.txt"));
        assert!(!walked("/r/docs", &[]).covers(root, "docs2/a.txt"));
        assert!(walked("/r", &[]).covers(root, "a.txt"));
        assert!(walked("/", &[]).covers(root, "a.txt"), "a folder around the repository");
        assert!(!walked("/r", &[]).covers(root, "/elsewhere/a.txt"));
        assert!(!walked("/r", &["/r/locked"]).covers(root, "locked/a.txt"));
        assert!(walked("/r", &["/r/locked"]).covers(root, "locked"), "what was told of the folder itself");
    }
}
