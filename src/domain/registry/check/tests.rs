//! Every column that the log tells about is edited in turn, and each edit is found.

use super::*;
use crate::base::digest::Digest;
use crate::base::event::{Event, Resource};
use crate::base::name::ModelType;
use crate::base::random::Random;
use crate::base::time::Clock;
use crate::domain::registry::change::{self, Move, NewVersion, Number, Way, move_to, register};
use crate::domain::registry::table::{self, GitFacts, VersionRow};
use crate::store::check::{Stored, read_log};
use crate::store::{DbTarget, Identity, Settings, Store};
use std::sync::Arc;

fn new(name: &str, number: &str, links: Vec<(String, VersionRow)>) -> NewVersion {
    NewVersion {
        name: name.parse().expect("a name"),
        kind: ModelType::Other,
        number: Number::Exactly(number.parse().expect("a version")),
        digest: Digest::of(format!("{name}{number}").as_bytes()),
        files: 2,
        bytes: 30,
        git: Some(GitFacts { commit: "c0ffee".into(), branch: Some("main".into()), dirty: false }),
        metrics: Vec::new(),
        meta: Vec::new(),
        tags: Vec::new(),
        links,
        advised_from: None,
        ticket: None,
        reason: None,
    }
}

fn promote(to: Stage) -> Move<'static> {
    let way = if to == Stage::Archived { Way::Archive } else { Way::Promote };
    Move { way, to, ticket: None, reason: None, detail: serde_json::Map::new() }
}

/// Two models; m has 1.0.0 (replaced), 1.1.0 (in production), 1.2.0 (archived by hand); m@best names 1.1.0.
fn filled(dir: &std::path::Path) -> Store {
    let settings = Settings {
        target: DbTarget::Sqlite(dir.join("state.db")),
        lock_timeout: std::time::Duration::from_secs(1),
        identity: Identity { kind: "user".into(), name: "ada".into(), host: "engine".into() },
        clock: Arc::new(Clock::stepping("2026-11-21T08:00:00Z".parse().expect("a time"))),
        random: Arc::new(Random::System),
        seal: None,
        project: "demo".into(),
        copies: dir.to_owned(),
        keys: crate::store::objects::Keys::default(),
    };
    let (store, _) = Store::init(settings).expect("a state");
    let write = |f: &dyn Fn(&crate::store::Tx<'_>) -> Result<()>| store.write(f).expect("written");
    let row = |tx: &crate::store::Tx<'_>, reference: &str| {
        table::resolve(tx.view(), &reference.parse().expect("a reference")).expect("a version")
    };
    write(&|tx| register(tx, &new("data", "1.0.0", Vec::new())).map(|_| ()));
    write(&|tx| register(tx, &new("m", "1.0.0", Vec::new())).map(|_| ()));
    write(&|tx| register(tx, &new("m", "1.1.0", vec![("dataset".into(), row(tx, "data@1.0.0"))])).map(|_| ()));
    write(&|tx| register(tx, &new("m", "1.2.0", Vec::new())).map(|_| ()));
    write(&|tx| move_to(tx, &row(tx, "m@1.0.0"), &promote(Stage::Production)).map(|_| ()));
    write(&|tx| move_to(tx, &row(tx, "m@1.1.0"), &promote(Stage::Production)).map(|_| ()));
    write(&|tx| move_to(tx, &row(tx, "m@1.2.0"), &promote(Stage::Archived)).map(|_| ()));
    for alias in ["best", "gone"] {
        write(&|tx| change::set_alias(tx, &row(tx, "m@1.1.0"), &alias.parse().expect("a name")).map(|_| ()));
    }
    write(&|tx| {
        let m = table::model(tx.view(), &"m".parse().expect("a name"))?;
        change::remove_alias(tx, &m, &"gone".parse().expect("a name"))
    });
    // A refusal names stages too and moves nothing.
    write(&|tx| {
        let refused = Event::new("version.promotion-refused", change::resource(&row(tx, "m@1.2.0")));
        tx.record(refused.outcome(crate::base::event::Outcome::Denied).with("from", "archived").with("to", "production"));
        Ok(())
    });
    store
}

fn findings(store: &Store) -> Vec<Finding> {
    let mut replay = Replay::default();
    let take = &mut |stored: Stored<'_>| {
        if let Some(entry) = Entry::governed(stored, ACTIONS) {
            replay.take(&entry);
        }
    };
    store.read(|view| read_log(view, take)).expect("read");
    store.read(|view| replay.compare(view)).expect("compared")
}

/// Makes a change behind the log's back and expects one finding, about this subject, that says this.
fn check(sql: &[&str], subject: &str, says: &str) {
    let dir = tempfile::tempdir().expect("a directory");
    let store = filled(dir.path());
    store.db().execute("PRAGMA foreign_keys = OFF", &[]).expect("off");
    for sql in sql {
        assert!(store.db().execute(sql, &[]).expect("edited") > 0, "{sql} changed nothing");
    }
    let found = findings(&store);
    let about: Vec<_> = found.iter().filter(|f| f.subject == subject).collect();
    assert!(about.iter().any(|f| f.problem.contains(says)), "{sql:?}: {found:#?}");
    assert!(about.iter().all(|f| f.fix.contains("backup")), "{about:#?}");
}

#[test]
fn rows_that_were_written_through_the_door_agree() {
    let dir = tempfile::tempdir().expect("a directory");
    assert_eq!(findings(&filled(dir.path())), []);
}

#[test]
fn an_edited_column_of_a_version_is_found() {
    let edit = |set: &str| format!("UPDATE version SET {set} WHERE major = 1 AND minor = 1");
    let case = |set: &str, says: &str| check(&[&edit(set)], "version m@1.1.0", says);
    case("digest = zeroblob(32)", "digest is sha256:0000");
    case("files = 3", "files is 3, recorded was 2");
    case("bytes = 31", "bytes is 31, recorded was 30");
    case("git_commit = 'beef'", "git_commit is beef, recorded was c0ffee");
    case("git_dirty = 1", "git_dirty is 1, recorded was 0");
    case("git_dirty = 2", "git_dirty is 2, recorded was 0");
    case("git_branch = 'x'", "git_branch is x, recorded was main");
    case("author = 'user-0'", "author is user-0, recorded was user-");
    case("created = created - 1", "created is 2026-11-21T08:0");
    case("event = event + 1", "event is 4, recorded was 3");
    case("purged = 5", "purged is 1970-01-01T00:00:00.000005Z, recorded was nothing");
    case("retired = 5", "retired is");
    case("stage = 'staging'", "stage is staging, recorded was production");
    let model = ["UPDATE model SET kind = 'prompt' WHERE name = 'm'"];
    check(&model, "model m", "kind is prompt, recorded was other");
    check(&["UPDATE model SET created = created + 1 WHERE name = 'm'"], "model m", "created is");
}

#[test]
fn a_version_retired_earlier_than_recorded_is_found() {
    let sql = ["UPDATE version SET retired = retired - 1 WHERE minor = 2"];
    check(&sql, "version m@1.2.0", "retired is");
}

#[test]
fn a_second_version_in_production_is_found() {
    check(
        &["UPDATE version SET stage = 'production', retired = NULL WHERE minor = 2"],
        "model m",
        "2 versions are in production",
    );
}

#[test]
fn rows_that_came_or_went_are_found() {
    check(&["DELETE FROM version WHERE minor = 2"], "version m@1.2.0", "its row is gone");
    let copied = "INSERT INTO version (model, major, minor, patch, digest, stage, created, author, files, bytes, event) \
         SELECT model, 9, 0, 0, zeroblob(32), 'staging', created, author, files, bytes, event FROM version WHERE minor = 2";
    check(&[copied], "version m@9.0.0", "no event of the audit log tells of this row");
    check(&["DELETE FROM stage_change WHERE how = 'replaced'"], "move of m@1.0.0 by entry 6", "its row is gone");
    check(
        &["UPDATE stage_change SET to_stage = 'staging' WHERE how = 'archive'"],
        "move of m@1.2.0 by entry 7",
        "to_stage is staging, recorded was archived",
    );
    check(
        &["INSERT INTO model (name, kind, created) VALUES ('x', 'other', 1)"],
        "model x",
        "no event of the audit log tells of this row",
    );
    check(&["DELETE FROM version_link"], "link dataset data@1.0.0 of m@1.1.0", "its row is gone");
}

#[test]
fn an_alias_that_was_bent_is_found() {
    let bent = "UPDATE alias SET version = (SELECT id FROM version WHERE minor = 2)";
    check(&[bent], "alias m@best", "version is m@1.2.0, recorded was m@1.1.0");
    check(&["UPDATE alias SET version = 99"], "alias m@best", "version is #99, recorded was m@1.1.0");
    check(&["DELETE FROM alias"], "alias m@best", "its row is gone");
    let again = "INSERT INTO alias (model, name, version) SELECT model, 'gone', version FROM alias";
    check(&[again], "alias m@gone", "no event of the audit log tells of this row");
}

#[test]
fn tiles_that_are_missing_are_rebuilt_as_they_were() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = filled(dir.path());
    let many = |tx: &crate::store::Tx<'_>| {
        (0..800).for_each(|_| {
            tx.record(Event::new("model.looked-at", Resource::new("model", "m")));
        });
        Ok(())
    };
    store.write(many).expect("written");
    let tiles = || store.read(|v| v.all("SELECT hash FROM tile ORDER BY level, idx", &[], |r| r.digest(0))).expect("tiles");
    let before = tiles();
    store.db().execute("DELETE FROM tile WHERE idx <> 1", &[]).expect("deleted");
    let missing = || store.read(|view| read_log(view, &mut |_| {})).expect("read");
    store.record_repair(&missing(), serde_json::Map::new()).expect("repaired");
    assert_eq!((tiles(), before.len(), missing()), (before, 3, Vec::new()));
    store.db().execute("DELETE FROM tile WHERE idx = 1", &[]).expect("deleted");
    store.db().execute("UPDATE eb SET body = body || ' ' WHERE seq = 7", &[]).expect("edited");
    assert_eq!(missing(), [], "nothing is rebuilt from entries that were altered");
}
