use super::*;
use std::fs;
use tempfile::TempDir;

pub(super) struct Repo(pub(super) TempDir);

impl Repo {
    /// A repository that no configuration of this machine reaches.
    pub(super) fn new() -> Self {
        let repo = Self(tempfile::tempdir().expect("a directory"));
        repo.git(&["init", "--quiet", "--initial-branch=main"]);
        for (key, value) in [("user.name", "Ada"), ("user.email", "ada@example.com"), ("commit.gpgsign", "false")] {
            repo.git(&["config", key, value]);
        }
        repo.git(&["config", "core.hooksPath", ".git/hooks"]);
        repo
    }

    pub(super) fn with_commit() -> Self {
        let repo = Self::new();
        repo.write("a.txt", "1");
        repo.write("dir/b.txt", "1");
        repo.git(&["add", "."]);
        repo.git(&["commit", "--quiet", "-m", "first"]);
        repo
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("has one")).expect("made");
        fs::write(path, text).expect("written");
    }

    pub(super) fn git(&self, args: &[&str]) -> String {
        let program = LOCAL_ENV.iter().fold(Program::new("git").args(args).dir(self.0.path()), Program::unset);
        String::from_utf8(program.output(b"").expect("git")).expect("text").trim_end().to_owned()
    }

    fn facts(&self, only: &[&str]) -> Option<GitFacts> {
        let only: Vec<PathBuf> = only.iter().map(PathBuf::from).collect();
        facts(self.0.path(), &only).expect("read")
    }

    fn dirty(&self, only: &[&str]) -> bool {
        self.facts(only).expect("has a commit").dirty
    }
}

#[test]
fn no_repository_and_no_commit_are_none() {
    let plain = tempfile::tempdir().expect("a directory");
    assert_eq!(facts(plain.path(), &[]).expect("read"), None);
    assert_eq!(Repo::new().facts(&[]), None);
}

#[test]
fn commit_and_branch_are_found_from_below() {
    let repo = Repo::with_commit();
    let commit = repo.git(&["rev-parse", "HEAD"]);
    let expected = GitFacts { commit, branch: Some("main".into()), dirty: false };
    assert_eq!(facts(&repo.path("dir"), &[]).expect("read"), Some(expected.clone()));
    repo.git(&["checkout", "--quiet", "-b", "feature/x"]);
    assert_eq!(repo.facts(&[]).and_then(|f| f.branch).as_deref(), Some("feature/x"));
    repo.git(&["checkout", "--quiet", "--detach"]);
    assert_eq!(repo.facts(&[]), Some(GitFacts { branch: None, ..expected }));
}

#[test]
fn a_linked_work_tree_has_its_own_branch() {
    let repo = Repo::with_commit();
    let other = tempfile::tempdir().expect("a directory");
    let place = other.path().join("linked");
    repo.git(&["worktree", "add", "--quiet", "-b", "linked", place.to_str().expect("text")]);
    fs::write(place.join("a.txt"), "2").expect("written");
    let found = facts(&place, &[]).expect("read").expect("has a commit");
    assert_eq!((found.branch.as_deref(), found.dirty), (Some("linked"), true));
    assert!(!repo.dirty(&[]));
}

#[test]
fn every_kind_of_change_counts() {
    let check = |change: &dyn Fn(&Repo), dirty: bool| {
        let repo = Repo::with_commit();
        repo.write(".gitignore", "*.log\n");
        repo.git(&["add", "."]);
        repo.git(&["commit", "--quiet", "-m", "ignore"]);
        change(&repo);
        assert_eq!(repo.dirty(&[]), dirty);
    };
    check(&|_| {}, false);
    check(&|r| r.write("a.txt", "2"), true);
    check(&|r| r.write("new.txt", ""), true);
    check(&|r| fs::remove_file(r.path("a.txt")).expect("removed"), true);
    check(&|r| drop(r.git(&["rm", "--quiet", "--cached", "a.txt"])), true);
    check(&|r| r.write("x.log", ""), false);
    check(&|r| r.write(".kf/state.db", ""), false);
    check(&|r| r.write("sub/.kf/state.db", ""), false);
}

#[test]
fn only_the_paths_of_a_version_count() {
    let repo = Repo::with_commit();
    repo.write("a.txt", "2");
    repo.write("dir2/c[1].txt", "new");
    let check = |only: &[&str], dirty: bool| assert_eq!(repo.dirty(only), dirty, "{only:?}");
    check(&["dir"], false);
    check(&["dir", "a.txt"], true);
    check(&["./dir/../a.txt"], true);
    check(&["."], true);
    check(&["dir2"], true);
    check(&["dir2/c[1].txt"], true);
    check(&["a.tx*"], false);
    check(&["/usr"], false);
    check(&[repo.path("a.txt").to_str().expect("text")], true);
    fs::remove_file(repo.path("dir/b.txt")).expect("removed");
    check(&["dir/b.txt"], true);
    check(&["dir"], true);
}

#[test]
fn reading_does_not_touch_the_index() {
    let repo = Repo::with_commit();
    let before = fs::read(repo.path(".git/index")).expect("read");
    repo.write("a.txt", "1");
    assert!(!repo.dirty(&[]));
    assert_eq!(fs::read(repo.path(".git/index")).expect("read"), before);
}

#[test]
fn the_address_comes_from_the_configuration() {
    let repo = Repo::new();
    assert_eq!(user_email(repo.0.path()).expect("read").as_deref(), Some("ada@example.com"));
    repo.git(&["config", "user.email", " "]);
    assert_eq!(user_email(repo.0.path()).expect("read"), None);
}

#[test]
fn a_commit_holds_one_file_and_leaves_the_index() {
    let repo = Repo::with_commit();
    repo.write("a.txt", "staged");
    repo.git(&["add", "a.txt"]);
    repo.write("dir/b.txt", "not staged");
    repo.write("anchor/[1] head.txt", "root 1");
    let anchor = repo.path("anchor/[1] head.txt");

    let id = commit_file(&anchor, "Anchor\n\n# 1").expect("committed").expect("new");
    assert_eq!(repo.git(&["rev-parse", "HEAD"]), id);
    assert_eq!(repo.git(&["show", "--format=%B", "--name-only", "HEAD"]), "Anchor\n\n# 1\n\n\nanchor/[1] head.txt");
    assert_eq!(repo.git(&["status", "--porcelain"]), "M  a.txt\n M dir/b.txt");

    assert_eq!(commit_file(&anchor, "again").expect("nothing to do"), None);
    repo.write("anchor/[1] head.txt", "root 2");
    assert!(commit_file(&anchor, "second").expect("committed").is_some_and(|second| second != id));
    assert_eq!(repo.git(&["status", "--porcelain"]), "M  a.txt\n M dir/b.txt");
}

#[test]
fn a_file_can_be_the_first_commit() {
    let repo = Repo::new();
    repo.write("head.txt", "root");
    assert!(commit_file(&repo.path("head.txt"), "first").expect("committed").is_some());
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
}

#[test]
fn hooks_are_run_and_a_refusal_leaves_nothing() {
    use std::os::unix::fs::PermissionsExt as _;
    let repo = Repo::with_commit();
    let hook = repo.path(".git/hooks/pre-commit");
    repo.write(".git/hooks/pre-commit", "#!/bin/sh\necho 'no commits on Friday' >&2\nexit 1\n");
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).expect("set");
    repo.write("head.txt", "root");
    let e = commit_file(&repo.path("head.txt"), "x").expect_err("refused");
    assert!(e.to_string().contains("`git commit` ended with exit status 1: no commits on Friday"), "{e}");
    assert_eq!(repo.git(&["status", "--porcelain"]), "?? head.txt");
}

#[test]
fn what_cannot_be_committed_is_said() {
    let repo = Repo::with_commit();
    repo.write(".gitignore", "*.log\n");
    repo.write("x.log", "");
    let plain = tempfile::tempdir().expect("a directory");
    fs::write(plain.path().join("f"), "").expect("written");
    let check = |path: &Path, message: &str| {
        let e = commit_file(path, "x").expect_err(message);
        assert!(e.to_string().contains(message), "{e}");
    };
    check(&repo.path("x.log"), "Git ignores it");
    check(&repo.path("none"), "cannot commit");
    check(&plain.path().join("f"), "not a git repository");
}

#[test]
fn a_repository_of_somebody_else_has_a_hint() {
    let e = git2::Error::new(ErrorCode::Owner, git2::ErrorClass::Config, "repository path '/x/' is not owned by current user");
    let e = worded(e, Path::new("/x"));
    assert!(e.to_string().contains("it belongs to another user"), "{e}");
    assert!(e.hints().iter().any(|h| h.contains("safe.directory")), "{:?}", e.hints());
}

#[test]
fn a_repository_without_a_commit_has_no_versions_of_anything() {
    let repo = Repo::new();
    repo.write("audit/checkpoint", "1");
    assert_eq!(committed(&repo.path("audit/checkpoint"), 5).expect("none"), []);
    repo.git(&["add", "."]);
    repo.git(&["commit", "--quiet", "-m", "first"]);
    assert_eq!(committed(&repo.path("audit/checkpoint"), 5).expect("one").len(), 1);
}
