use super::*;
use crate::adapters::git::tests::Repo;
use std::fs;

fn all(repo: &Repo, dir: &str, reference: &str) -> Vec<(String, Status, bool)> {
    let found = since(&repo.path(dir), Some(reference), &[]).expect("read");
    found.files.into_iter().map(|f| (f.path, f.status, f.uncommitted)).collect()
}

fn said(e: &Error) -> String {
    format!("{e} {}", e.hints().join(" "))
}

/// What others merged into the branch meanwhile is nobody's change here, and what is not committed is one.
#[test]
fn changes_are_those_since_both_parted() {
    let repo = Repo::with_commit();
    repo.write("dir/long.txt", &"the same words, called otherwise\n".repeat(20));
    repo.git(&["add", "."]);
    repo.git(&["commit", "-qm", "more"]);
    repo.git(&["checkout", "-qb", "topic"]);
    repo.write("dir/b.txt", "2");
    repo.git(&["mv", "dir/long.txt", "dir/other.txt"]);
    repo.git(&["rm", "-q", "a.txt"]);
    repo.git(&["commit", "-qam", "topic"]);
    repo.git(&["checkout", "-q", "main"]);
    repo.write("theirs.txt", "1");
    repo.git(&["add", "."]);
    repo.git(&["commit", "-qm", "theirs"]);
    repo.git(&["checkout", "-q", "topic"]);
    repo.write("dir/new.txt", "1");
    repo.write("dir/.kf/state.db", "1");
    let changed = |path: &str, status, open| (path.to_owned(), status, open);
    let wanted = [
        changed("a.txt", Status::Removed, false),
        changed("dir/b.txt", Status::Changed, false),
        changed("dir/new.txt", Status::Added, true),
        changed("dir/other.txt", Status::Renamed, false),
    ];
    assert_eq!(all(&repo, ".", "main"), wanted);
    let below = since(&repo.path("dir"), None, &["nowhere".into(), "main".into()]).expect("read");
    assert_eq!(below.files.iter().map(|f| f.path.as_str()).collect::<Vec<_>>(), ["b.txt", "new.txt", "other.txt"]);
    assert_eq!(below.of("long.txt").and_then(|f| f.from.as_deref()), Some("long.txt"), "it is found by its old name");
    assert_eq!((below.reference.as_str(), below.base == repo.git(&["rev-parse", "main~1"])), ("main", true));
    let dest = tempfile::tempdir().expect("a folder");
    assert!(files_at(&repo.path("dir"), &below.base, &dest.path().join("base")).expect("written"));
    let there = |name: &str| fs::read_to_string(dest.path().join("base").join(name)).ok();
    assert_eq!((there("b.txt").as_deref(), there("new.txt"), there("long.txt").is_some()), (Some("1"), None, true));
    assert!(!files_at(&repo.path("elsewhere"), &below.base, &dest.path().join("none")).expect("read"));
}

#[test]
fn a_reference_that_is_not_there_says_what_to_type() {
    let repo = Repo::with_commit();
    repo.git(&["update-ref", "refs/remotes/origin/release", "HEAD"]);
    let refused = |name: Option<&str>| said(&since(repo.0.path(), name, &["origin/main".into()]).expect_err("refused"));
    assert!(refused(Some("mian")).ends_with("did you mean `main`?"), "{}", refused(Some("mian")));
    assert!(refused(Some("release")).ends_with("did you mean `origin/release`?"));
    assert!(refused(None).contains("there is none of origin/main") && !refused(None).contains("fetch-depth"));
    let plain = tempfile::tempdir().expect("a directory");
    assert!(since(plain.path(), None, &[]).expect_err("refused").to_string().contains("in no Git work tree"));
    assert!(since(Repo::new().0.path(), None, &[]).expect_err("refused").to_string().contains("nothing is committed"));
    repo.git(&["checkout", "-q", "--orphan", "alone"]);
    repo.git(&["commit", "-qm", "alone"]);
    assert!(refused(Some("main")).contains("no commit in common"), "{}", refused(Some("main")));
}

/// `actions/checkout` fetches one commit unless told otherwise.
#[test]
fn a_clone_without_history_is_told_so() {
    let repo = Repo::with_commit();
    repo.write("a.txt", "2");
    repo.git(&["commit", "-qam", "second"]);
    let clone = tempfile::tempdir().expect("a directory");
    let (from, to) = (format!("file://{}", repo.0.path().display()), clone.path().join("c").display().to_string());
    repo.git(&["clone", "-q", "--depth", "1", &from, &to]);
    for wanted in [Some("origin/topic"), None] {
        let e = since(&clone.path().join("c"), wanted, &["origin/nowhere".into()]).expect_err("refused");
        assert!(said(&e).contains("fetch-depth: 0"), "{}", said(&e));
    }
}

#[test]
fn links_and_programs_are_written_as_they_are() {
    use std::os::unix::fs::PermissionsExt as _;
    let repo = Repo::with_commit();
    repo.write("run.sh", "#!/bin/sh\n");
    fs::set_permissions(repo.path("run.sh"), fs::Permissions::from_mode(0o755)).expect("set");
    std::os::unix::fs::symlink("dir/b.txt", repo.path("link")).expect("a link");
    repo.git(&["add", "."]);
    repo.git(&["commit", "-qm", "more"]);
    let dest = tempfile::tempdir().expect("a folder");
    let base = since(repo.0.path(), Some("main"), &[]).expect("read").base;
    assert!(files_at(repo.0.path(), &base, dest.path()).expect("written"));
    assert_eq!(fs::read_to_string(dest.path().join("link")).expect("through the link"), "1");
    assert_eq!(fs::metadata(dest.path().join("run.sh")).expect("there").permissions().mode() & 0o777, 0o755);
    assert!(files_at(repo.0.path(), &base, dest.path()).is_err(), "nothing is written over");
}
