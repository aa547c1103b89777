//! The two doors on SQLite; the same on PostgreSQL is shown by the tests of the binary.

use super::*;
use crate::base::merkle::{Frontier, leaf_hash};

pub(super) fn settings(dir: &std::path::Path) -> Settings {
    Settings {
        target: DbTarget::Sqlite(dir.join("state.db")),
        lock_timeout: Duration::from_secs(20),
        identity: Identity { kind: "user".into(), name: "ada@example.com".into(), host: "engine".into() },
        clock: Arc::new(Clock::stepping("2026-11-21T08:00:00Z".parse().expect("a time"))),
        random: Arc::new(Random::System),
        seal: None,
        project: "demo".into(),
        copies: dir.to_owned(),
        keys: crate::store::objects::Keys::default(),
    }
}

fn event() -> Event {
    Event::new("model.made", Resource::new("model", "m"))
}

fn add(store: &Store, name: &str) -> Result<i64> {
    store.write(|tx| {
        tx.record(event());
        tx.insert("INSERT INTO model (name, kind, created) VALUES (?1, ?2, ?3)", values![name, "config", tx.now()])
    })
}

fn models(store: &Store) -> i64 {
    store.read(|v| v.count("SELECT count(*) FROM model", &[])).expect("a count")
}

#[test]
fn a_change_and_its_event_commit_together() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, made) = Store::init(settings(dir.path())).expect("a state");
    assert!(made);
    assert_eq!(add(&store, "m").expect("added"), 1);
    assert_eq!(log::head(&store.db()).expect("a head").frontier.size(), 2);
    let failed = store.write(|tx| {
        tx.execute("DELETE FROM model", &[])?;
        tx.record(event());
        Err::<(), _>(Error::new("no"))
    });
    assert!(failed.is_err());
    assert_eq!((models(&store), log::head(&store.db()).expect("a head").frontier.size()), (1, 2));
    assert!(!Store::init(settings(dir.path())).expect("a state").1, "made only once");
}

#[test]
fn a_change_without_an_event_is_a_bug_and_changes_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = Store::init(settings(dir.path())).expect("a state");
    let e = store
        .write(|tx| tx.execute("INSERT INTO model (name, kind, created) VALUES ('a', 'config', 1)", &[]))
        .expect_err("no event");
    assert_eq!(e.kind(), Kind::Bug);
    assert_eq!(models(&store), 0);
}

#[test]
fn a_dry_run_changes_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = Store::init(settings(dir.path())).expect("a state");
    store.set_dry_run(true);
    add(&store, "m").expect("tried");
    assert_eq!(models(&store), 0);
}

#[test]
fn the_feed_writes_only_its_own_tables() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = Store::init(settings(dir.path())).expect("a state");
    let columns = ["evaluation", "pos", "row_id", "metric", "value"];
    let rows = || (0..5000i64).map(|i| vec!["e".into(), i.into(), "r".into(), "m".into(), 0.5.into()]);
    assert_eq!(store.feed(|f| f.append("eval_row", &columns, rows())).expect("appended"), 5000);
    assert_eq!(store.feed(|f| f.append("eval_row", &columns, rows())).expect("a retry is harmless"), 0);
    let e = store.feed(|f| f.append("model", &["name"], [vec!["x".into()]])).expect_err("governed");
    assert_eq!(e.kind(), Kind::Bug);
}

#[test]
fn there_is_no_state_until_it_is_made() {
    let dir = tempfile::tempdir().expect("a directory");
    let e = Store::open(settings(dir.path()), Mode::Read).err().expect("no state");
    assert_eq!(e.kind(), Kind::NoRepository);
    assert!(!dir.path().join("state.db").exists());
}

#[test]
fn a_state_of_a_newer_kf_is_refused_by_its_writer() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = Store::init(settings(dir.path())).expect("a state");
    set_meta(&store.db(), META_SCHEMA, "99").expect("set");
    set_meta(&store.db(), META_WRITER, "9.9.9").expect("set");
    let e = Store::open(settings(dir.path()), Mode::Write).err().expect("newer");
    assert!(e.to_string().contains("written by kf 9.9.9"), "{e}");
}

#[test]
fn the_head_sums_up_every_body_and_full_tiles_are_sealed() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = Store::init(settings(dir.path())).expect("a state");
    store
        .write(|tx| {
            for _ in 0..600 {
                tx.record(event().because(Some("T-1"), Some("because")));
            }
            Ok(())
        })
        .expect("written");
    let mut frontier = Frontier::new();
    let mut leaves = Vec::new();
    store
        .read(|v| {
            v.each("SELECT body FROM eb ORDER BY seq", &[], |row| {
                let leaf = leaf_hash(row.text(0)?.as_bytes());
                leaves.push(leaf);
                frontier.push(leaf);
                Ok(())
            })
        })
        .expect("read");
    let head = log::head(&store.db()).expect("a head");
    assert_eq!((head.frontier.size(), head.frontier.root()), (601, frontier.root()));
    assert!(head.origin.starts_with("kf/demo/"), "{}", head.origin);
    let tiles = store.read(|v| v.all("SELECT hash FROM tile WHERE level = 1 ORDER BY idx", &[], |r| r.digest(0))).expect("tiles");
    let expected: Vec<_> = leaves.chunks_exact(256).map(log::tile_root).collect();
    assert_eq!(tiles.iter().map(|d| *d.as_bytes()).collect::<Vec<_>>(), expected);
}

#[test]
fn two_connections_that_write_at_once_lose_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    Store::init(settings(dir.path())).expect("a state");
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let dir = dir.path();
            scope.spawn(move || {
                let store = Store::open(settings(dir), Mode::Write).expect("a state");
                for i in 0..25 {
                    add(&store, &format!("m-{writer}-{i}")).expect("added");
                }
            });
        }
    });
    let store = Store::open(settings(dir.path()), Mode::Read).expect("a state");
    assert_eq!((models(&store), log::head(&store.db()).expect("a head").frontier.size()), (100, 101));
}
