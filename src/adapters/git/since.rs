//! What a pull request is to Git: the files that changed since the branch it goes into, and these files as they were there.
//!
//! The comparison is that of three dots (`git diff A...`): with the commit at which both parted, so that what others merged meanwhile
//! counts for nobody. What is not committed counts too. Reading changes nothing, not even the index; `.kf/` never counts.

use super::{discover, is_ours, real, worded};
use crate::base::error::{Context, Error, Result};
use crate::base::text::{did_you_mean, visible};
use git2::{Commit, Delta, DiffFindOptions, DiffOptions, ErrorCode, ObjectType, Oid, Repository, Tree};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// What a folder of a repository became since another branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Since {
    /// The branch, tag or commit that was named.
    pub reference: String,
    /// The commit at which both parted.
    pub base: String,
    /// The commit that is checked out.
    pub head: String,
    /// The files that differ, by path.
    pub files: Vec<Changed>,
}

/// What happened to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It has other content.
    Changed,
    /// It has another name.
    Renamed,
}

/// A file that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Its path from the folder that was asked about.
    pub path: String,
    /// Its path before, when it was renamed within that folder.
    pub from: Option<String>,
    /// What happened to it.
    pub status: Status,
    /// True when it differs from what is committed.
    pub uncommitted: bool,
}

impl Since {
    /// Whether a file is another one: itself, its name before, or a link on the way to it.
    pub fn touches(&self, path: &str) -> bool {
        let on_the_way = |f: &Changed| path.strip_prefix(&f.path).is_some_and(|rest| rest.starts_with('/'));
        self.of(path).is_some() || self.files.iter().any(on_the_way)
    }

    /// The change of a file, whether it is called so now or was before.
    pub fn of(&self, path: &str) -> Option<&Changed> {
        self.files.iter().find(|f| f.path == path || f.from.as_deref() == Some(path))
    }
}

/// What changed below `dir` since the branch, tag or commit `wanted`; without one, since the first of `usual` that there is.
///
/// # Errors
/// When `dir` is in no work tree, nothing is committed, there is no such reference, or both have no commit in common. A clone without
/// the history says so.
pub fn since(dir: &Path, wanted: Option<&str>, usual: &[String]) -> Result<Since> {
    let repository = discover(dir)?.filter(|r| r.workdir().is_some()).ok_or_else(|| {
        Error::new(format!("`{}` is in no Git work tree, so nothing is known of what changed", dir.display()))
            .hint("run this in a clone; `kf eval MODEL` evaluates a registered version")
    })?;
    let head = match repository.head().and_then(|head| head.peel_to_commit()) {
        Ok(head) => head,
        Err(e) if matches!(e.code(), ErrorCode::UnbornBranch | ErrorCode::NotFound) => {
            return Err(Error::new("nothing is committed yet, so there is nothing to compare with").hint("commit first"));
        }
        Err(e) => return Err(worded(e, dir)),
    };
    let (reference, tip) = find(&repository, wanted, usual)?;
    let base = match repository.merge_base(tip.id(), head.id()) {
        Ok(id) => repository.find_commit(id).map_err(|e| worded(e, dir))?,
        Err(e) if e.code() == ErrorCode::NotFound => return Err(apart(&repository, &reference)),
        Err(e) => return Err(worded(e, dir)),
    };
    let prefix = prefix(&repository, dir);
    let files = changes(&repository, (&base, &head), &prefix).map_err(|e| worded(e, dir))?;
    Ok(Since { reference, base: base.id().to_string(), head: head.id().to_string(), files })
}

/// Where `dir` is in its work tree.
fn prefix(repository: &Repository, dir: &Path) -> PathBuf {
    let top = repository.workdir().map(real).unwrap_or_default();
    real(dir).strip_prefix(&top).map(Path::to_owned).unwrap_or_default()
}

fn find<'r>(repository: &'r Repository, wanted: Option<&str>, usual: &[String]) -> Result<(String, Commit<'r>)> {
    let commit = |name: &str| repository.revparse_single(name).and_then(|o| o.peel_to_commit()).ok();
    match wanted {
        Some(name) => match commit(name) {
            Some(found) => Ok((name.to_owned(), found)),
            None => Err(unknown(repository, name)),
        },
        None => usual.iter().find_map(|name| Some((name.clone(), commit(name)?))).ok_or_else(|| {
            let error = Error::usage(format!("there is none of {}, so nothing says what to compare with", usual.join(", ")));
            with_history(repository, error).hint("name the branch that this goes into: `--changed=origin/BRANCH`")
        }),
    }
}

/// A clone without history gets the way to have it.
fn with_history(repository: &Repository, error: Error) -> Error {
    if !repository.is_shallow() {
        return error;
    }
    error.hint("this clone has no history: set `fetch-depth: 0` at `actions/checkout`, or run `git fetch --unshallow origin`")
}

fn unknown(repository: &Repository, name: &str) -> Error {
    let error = Error::usage(format!("there is no branch, tag or commit `{}`", visible(name, 80)));
    let error = with_history(repository, error);
    let names: Vec<String> = repository
        .references()
        .into_iter()
        .flatten()
        .filter_map(|r| r.ok()?.shorthand().ok().map(str::to_owned))
        .filter(|n| !n.ends_with("/HEAD"))
        .collect();
    // A branch that only the server's copy of has is the commonest slip.
    let remote = names.iter().find(|n| n.strip_suffix(name).is_some_and(|rest| rest.ends_with('/')));
    match remote {
        Some(remote) => error.hint(format!("did you mean `{remote}`?")),
        None => did_you_mean(name, names.iter().map(String::as_str)).into_iter().fold(error, Error::hint),
    }
}

fn apart(repository: &Repository, reference: &str) -> Error {
    let error = Error::new(format!("`{}` and HEAD have no commit in common here", visible(reference, 80)));
    if repository.is_shallow() {
        return with_history(repository, error);
    }
    error.hint("name the branch that this one was made from")
}

fn changes(
    repository: &Repository,
    (base, head): (&Commit<'_>, &Commit<'_>),
    prefix: &Path,
) -> Result<Vec<Changed>, git2::Error> {
    let open: BTreeSet<PathBuf> = diff(repository, &head.tree()?, prefix)?.into_iter().map(|f| f.0).collect();
    let mut found = Vec::new();
    for (path, from, status) in diff(repository, &base.tree()?, prefix)? {
        let uncommitted = open.contains(&path);
        let inside = |p: &Path| p.strip_prefix(prefix).ok().map(|p| p.to_string_lossy().into_owned());
        let Some(path) = inside(&path) else { continue };
        let from = from.and_then(|from| inside(&from));
        let status = if status == Status::Renamed && from.is_none() { Status::Added } else { status };
        found.push(Changed { path, from, status, uncommitted });
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// The files that differ between a tree and what lies on disk: path, path before, what happened.
fn diff(repository: &Repository, tree: &Tree<'_>, prefix: &Path) -> Result<Vec<(PathBuf, Option<PathBuf>, Status)>, git2::Error> {
    let mut options = DiffOptions::new();
    options.include_untracked(true).recurse_untracked_dirs(true).ignore_submodules(true).include_typechange(true);
    options.disable_pathspec_match(true).update_index(false);
    if !prefix.as_os_str().is_empty() {
        options.pathspec(prefix);
    }
    let mut diff = repository.diff_tree_to_workdir_with_index(Some(tree), Some(&mut options))?;
    diff.find_similar(Some(DiffFindOptions::new().renames(true).for_untracked(true)))?;
    let mut found = Vec::new();
    for delta in diff.deltas() {
        let (old, new) = (delta.old_file(), delta.new_file());
        let status = match delta.status() {
            Delta::Added | Delta::Untracked | Delta::Copied => Status::Added,
            Delta::Deleted => Status::Removed,
            Delta::Renamed => Status::Renamed,
            Delta::Modified | Delta::Typechange | Delta::Conflicted => Status::Changed,
            Delta::Unmodified | Delta::Ignored | Delta::Unreadable => continue,
        };
        let is_kf = |p: &Path| is_ours(p.as_os_str().as_encoded_bytes());
        let (before, now) = (old.path().filter(|p| !is_kf(p)), new.path().filter(|p| !is_kf(p)));
        // A file of kf's own may look like the new name of one that is gone.
        found.extend(match (before, now, status) {
            (Some(before), Some(now), Status::Renamed) => Some((now.to_owned(), Some(before.to_owned()), status)),
            (Some(before), None, Status::Renamed) => Some((before.to_owned(), None, Status::Removed)),
            (None, Some(now), Status::Renamed) => Some((now.to_owned(), None, Status::Added)),
            (before, now, _) => now.or(before).map(|path| (path.to_owned(), None, status)),
        });
    }
    Ok(found)
}

/// Writes the files that `dir` had in a commit into the folder `dest`; false when it was not there. Submodules are left out.
///
/// # Errors
/// When an object is missing, as in a clone without blobs, a name would lead elsewhere, or a file cannot be written.
pub fn files_at(dir: &Path, commit: &str, dest: &Path) -> Result<bool> {
    let Some(repository) = discover(dir)? else { return Ok(false) };
    let read =
        |e: git2::Error| worded(e, dir).hint("a clone without its objects cannot tell: fetch them, `git fetch --refetch origin`");
    let tree = Oid::from_str(commit).and_then(|id| repository.find_commit(id)).and_then(|c| c.tree()).map_err(read)?;
    let prefix = prefix(&repository, dir);
    let tree = match prefix.as_os_str().is_empty() {
        true => tree,
        false => match tree.get_path(&prefix) {
            Ok(entry) if entry.kind() == Some(ObjectType::Tree) => repository.find_tree(entry.id()).map_err(read)?,
            _ => return Ok(false),
        },
    };
    std::fs::create_dir_all(dest).context(|| format!("cannot make {}", dest.display()))?;
    write(&repository, &tree, dest, &read)?;
    Ok(true)
}

/// Nothing is written over what is there: a tree made by hand may have one name twice, first as a link to somewhere else.
fn write(repository: &Repository, tree: &Tree<'_>, dest: &Path, read: &dyn Fn(git2::Error) -> Error) -> Result<()> {
    for entry in tree {
        let name = entry.name_bytes();
        // What Git itself refuses to check out: a commit made by hand may hold it.
        if name.is_empty() || name == b"." || name == b".." || name.eq_ignore_ascii_case(b".git") || name.contains(&b'/') {
            return Err(Error::new(format!(
                "the commit holds a file called `{}`, which is not written",
                visible(&String::from_utf8_lossy(name), 80)
            )));
        }
        let path = dest.join(path_of(name));
        match entry.kind() {
            Some(ObjectType::Tree) => {
                std::fs::create_dir(&path).context(|| format!("cannot make {}", path.display()))?;
                write(repository, &repository.find_tree(entry.id()).map_err(read)?, &path, read)?;
            }
            Some(ObjectType::Blob) => {
                let blob = repository.find_blob(entry.id()).map_err(read)?;
                put(&path, blob.content(), entry.filemode()).context(|| format!("cannot write {}", path.display()))?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn path_of(name: &[u8]) -> &Path {
    use std::os::unix::ffi::OsStrExt as _;
    Path::new(std::ffi::OsStr::from_bytes(name))
}

/// Modes of Git: a link, and a file that is run.
const LINK: i32 = 0o120_000;
const PROGRAM: i32 = 0o100_755;

fn put(path: &Path, content: &[u8], mode: i32) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    if mode == LINK {
        return std::os::unix::fs::symlink(path_of(content), path);
    }
    let mut file = std::fs::File::create_new(path)?;
    file.write_all(content)?;
    if mode == PROGRAM {
        file.set_permissions(std::fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "since_tests.rs"]
mod tests;
