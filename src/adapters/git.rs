//! What kf wants of Git: where a version came from, who works here, and a commit of one file.
//!
//! Reading goes through libgit2, so that it needs no program and costs milliseconds; the commit goes through the `git`
//! program, so that hooks and signing work as configured. Invariants: reading changes nothing, not even the index; a commit
//! holds exactly one file and leaves whatever else is staged as it was. The environment's `GIT_DIR` and its like are not
//! followed, so a call from within a hook of another repository still finds the right one. `.kf/` never counts as a change.

pub mod since;

use super::process::{Program, why};
use crate::base::error::{Context, Error, Result};
use crate::domain::registry::table::GitFacts;
use git2::{ErrorCode, Repository, StatusOptions};
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

/// How long `git` may take, with hooks and a passphrase to type.
const GIT_TIMEOUT: Duration = Duration::from_secs(300);
/// The most commits that are looked at for versions of a file: a second of work.
const COMMITS_MAX: usize = 50_000;
/// Variables that would point `git` to another repository (`git rev-parse --local-env-vars`).
const LOCAL_ENV: [&str; 9] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_WORK_TREE",
];

/// The commit, branch and cleanliness of the repository that `dir` is in; `None` outside a repository or before the first
/// commit. Only changes of the files and directories `only` count, when there are any; they may be relative to `dir`.
/// Files that Git ignores and submodules do not count.
///
/// # Errors
/// When the repository belongs to somebody else, is damaged, or uses what libgit2 does not know.
pub fn facts(dir: &Path, only: &[PathBuf]) -> Result<Option<GitFacts>> {
    let Some(repository) = discover(dir)? else { return Ok(None) };
    let head = match repository.head() {
        Ok(head) => head,
        Err(e) if matches!(e.code(), ErrorCode::UnbornBranch | ErrorCode::NotFound) => return Ok(None),
        Err(e) => return Err(worded(e, dir)),
    };
    let commit = head.peel_to_commit().map_err(|e| worded(e, dir))?.id().to_string();
    let branch = head.is_branch().then(|| head.shorthand().ok().map(str::to_owned)).flatten();
    let dirty = is_dirty(&repository, dir, only)?;
    Ok(Some(GitFacts { commit, branch, dirty }))
}

/// The e-mail address that Git is configured with for `dir`, if any.
///
/// # Errors
/// When the repository or the configuration cannot be read.
pub fn user_email(dir: &Path) -> Result<Option<String>> {
    let config = match discover(dir)? {
        Some(repository) => repository.config(),
        None => git2::Config::open_default(),
    };
    let found = config.and_then(|mut c| c.snapshot()).and_then(|c| c.get_string("user.email"));
    match found {
        Ok(email) => Ok(Some(email.trim().to_owned()).filter(|e| !e.is_empty())),
        Err(e) if e.code() == ErrorCode::NotFound => Ok(None),
        Err(e) => Err(worded(e, dir)),
    }
}

/// Commits one file as it is in the work tree and nothing else; gives the commit, or `None` when it was committed before.
///
/// # Errors
/// When the file does not exist, is ignored or is in no repository; what `git commit` refuses: a hook, a missing identity or
/// key, a merge that is not finished. A file that was new then is no more in the index than before.
pub fn commit_file(path: &Path, message: &str) -> Result<Option<String>> {
    let what = || format!("cannot commit `{}`", path.display());
    let path = &path.canonicalize().context(what)?;
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Error::new(format!("{}: it is a directory", what())));
    };
    let status = git(dir, ["status", "--porcelain", "-z", "--untracked-files=all", "--ignored", "--"], name);
    let status = status.output(b"").context(what)?;
    let new = match status.get(..2) {
        None => return Ok(None),
        Some(b"!!") => {
            return Err(Error::new(format!("{}: Git ignores it", what()))
                .hint(format!("take it out of .gitignore, or add it once yourself: `git add -f {}`", path.display())));
        }
        Some(code) => code == b"??",
    };
    if new {
        git(dir, ["add", "--intent-to-add", "--"], name).output(b"").context(what)?;
    }
    let done = git(dir, ["commit", "--quiet", "--only", "--file=-", "--"], name).attached().run(message.as_bytes())?;
    if !done.ended.success() {
        if new {
            git(dir, ["rm", "--quiet", "--cached", "--force", "--"], name).output(b"").context(what)?;
        }
        return Err(Error::new(why("git commit", &done.ended, &done.stderr))).context(what);
    }
    let id = git(dir, ["rev-parse"], OsStr::new("HEAD")).output(b"").context(what)?;
    Ok(Some(String::from_utf8_lossy(&id).trim().to_owned()))
}

/// A committed version of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The newest commit that has it.
    pub commit: String,
    /// Whether that is HEAD.
    pub in_head: bool,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// The newest versions of a file that are committed on the way to HEAD, at most `max` different ones, the newest first. None outside a repository or when it never was committed.
///
/// # Errors
/// When the repository cannot be read.
pub fn committed(path: &Path, max: usize) -> Result<Vec<Committed>> {
    let path = real(path);
    let dir = path.ancestors().skip(1).find(|dir| dir.is_dir()).unwrap_or(Path::new("/"));
    let Some(repository) = discover(dir)? else { return Ok(Vec::new()) };
    let Some(top) = repository.workdir().map(real) else { return Ok(Vec::new()) };
    let Ok(inside) = path.strip_prefix(&top) else { return Ok(Vec::new()) };
    versions(&repository, inside, max).map_err(|e| worded(e, dir))
}

fn versions(repository: &Repository, path: &Path, max: usize) -> Result<Vec<Committed>, git2::Error> {
    let mut walk = repository.revwalk()?;
    // Asked apart: of a branch without a commit `push_head` only says that something went wrong.
    match repository.head() {
        Err(e) if matches!(e.code(), ErrorCode::UnbornBranch | ErrorCode::NotFound) => return Ok(Vec::new()),
        head => walk.push(head?.peel_to_commit()?.id())?,
    }
    walk.set_sorting(git2::Sort::TOPOLOGICAL | git2::Sort::TIME)?;
    let (mut found, mut seen) = (Vec::new(), std::collections::BTreeSet::new());
    for (n, id) in walk.take(COMMITS_MAX).enumerate() {
        let commit = repository.find_commit(id?)?;
        let tree = commit.tree()?;
        let Ok(entry) = tree.get_path(path) else { continue };
        if seen.insert(entry.id())
            && let Ok(blob) = repository.find_blob(entry.id())
        {
            found.push(Committed { commit: commit.id().to_string(), in_head: n == 0, bytes: blob.content().to_vec() });
        }
        if found.len() >= max {
            break;
        }
    }
    Ok(found)
}

/// Makes Git ignore a file that must never be committed: adds it to `.gitignore` at the top of its work tree, or of `root` when
/// that is in none. Gives that `.gitignore` when it was changed; nothing is to do for a file that is in neither.
///
/// # Errors
/// When the repository cannot be read or `.gitignore` cannot be written.
pub fn ignore_file(path: &Path, root: &Path) -> Result<Option<PathBuf>> {
    let path = real(path);
    let dir = path.ancestors().skip(1).find(|dir| dir.is_dir()).unwrap_or(root);
    let repository = discover(dir)?;
    let top = repository.as_ref().map_or_else(|| Some(real(root)), |r| r.workdir().map(real));
    let Some(top) = top.filter(|top| path.starts_with(top)) else { return Ok(None) };
    let inside = path.strip_prefix(&top).unwrap_or(&path);
    if let Some(repository) = &repository
        && repository.is_path_ignored(inside).map_err(|e| worded(e, dir))?
    {
        return Ok(None);
    }
    let file = top.join(".gitignore");
    let what = || format!("cannot add {} to {}", path.display(), file.display());
    let old = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(e) => return Err(e).context(what),
    };
    let line = ignore_line(inside);
    if old.lines().any(|l| l == line) {
        return Ok(None);
    }
    let gap = if old.is_empty() || old.ends_with('\n') { "" } else { "\n" };
    std::fs::write(&file, format!("{old}{gap}{line}\n")).context(what)?;
    Ok(Some(file))
}

/// The line of `.gitignore` that means exactly this path.
fn ignore_line(path: &Path) -> String {
    let mut line = String::from("/");
    for c in path.to_string_lossy().chars() {
        if matches!(c, '*' | '?' | '[' | '\\' | ' ') {
            line.push('\\');
        }
        line.push(c);
    }
    line
}

/// The `git` program in `dir`; the last argument is never read as a pattern.
fn git<const N: usize>(dir: &Path, args: [&str; N], last: &OsStr) -> Program {
    let program = Program::new("git").arg("--literal-pathspecs").args(args).arg(last).dir(dir).timeout(GIT_TIMEOUT);
    LOCAL_ENV.iter().fold(program, Program::unset)
}

fn discover(dir: &Path) -> Result<Option<Repository>> {
    match Repository::discover(dir) {
        Ok(repository) => Ok(Some(repository)),
        Err(e) if e.code() == ErrorCode::NotFound => Ok(None),
        Err(e) => Err(worded(e, dir)),
    }
}

fn is_dirty(repository: &Repository, dir: &Path, only: &[PathBuf]) -> Result<bool> {
    let Some(root) = repository.workdir() else { return Ok(false) };
    let root = real(root);
    let inside: Vec<PathBuf> =
        only.iter().filter_map(|p| real(&dir.join(p)).strip_prefix(&root).ok().map(Path::to_owned)).collect();
    if inside.is_empty() && !only.is_empty() {
        return Ok(false);
    }
    let mut options = StatusOptions::new();
    options.include_untracked(true).recurse_untracked_dirs(true).exclude_submodules(true);
    options.disable_pathspec_match(true).update_index(false);
    // The root of the work tree stands for everything, which is what no restriction means.
    if inside.iter().all(|p| !p.as_os_str().is_empty()) {
        inside.iter().for_each(|p| {
            options.pathspec(p);
        });
    }
    let statuses = repository.statuses(Some(&mut options)).map_err(|e| worded(e, dir))?;
    Ok(statuses.iter().any(|entry| !is_ours(entry.path_bytes())))
}

/// True for what is in a `.kf` directory.
fn is_ours(path: &[u8]) -> bool {
    path.split(|b| *b == b'/').any(|part| part == b".kf")
}

/// The path without symbolic links, as far as it exists: what is deleted is a change too.
fn real(path: &Path) -> PathBuf {
    let existing = path.ancestors().find_map(|a| Some((a, a.canonicalize().ok()?)));
    let Some((ancestor, mut real)) = existing else { return path.to_owned() };
    for part in path.strip_prefix(ancestor).unwrap_or(Path::new("")).components() {
        match part {
            Component::ParentDir => {
                real.pop();
            }
            Component::Normal(name) => real.push(name),
            _ => {}
        }
    }
    real
}

/// Words an error of libgit2.
fn worded(e: git2::Error, dir: &Path) -> Error {
    let hint = match e.code() {
        ErrorCode::Owner => Some(
            "if you trust it: `git config --global --add safe.directory \"$(git rev-parse --show-toplevel)\"`, \
             or run kf as its owner",
        ),
        _ if e.message().contains("extension") || e.message().contains("repository version") => Some(
            "kf reads repositories with libgit2, which does not know this format: `git config --local --list | grep extensions`",
        ),
        _ => None,
    };
    let owner = if e.code() == ErrorCode::Owner { ": it belongs to another user" } else { "" };
    let message = format!("cannot read the Git repository of `{}`{owner}: {}", dir.display(), e.message());
    let error = Error::new(message);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

#[cfg(test)]
mod tests;
