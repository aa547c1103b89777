//! Moving between SQLite files, killed at each step; the same on PostgreSQL is shown by the tests of the binary.

use super::*;
use crate::base::random::Random;
use crate::base::time::Clock;
use crate::store::{DbTarget, Identity, Mode};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const PLACE: &str = "sqlite:there.db";

fn settings(file: &Path) -> Settings {
    Settings {
        target: DbTarget::Sqlite(file.to_owned()),
        lock_timeout: Duration::from_millis(200),
        identity: Identity { kind: "user".into(), name: "ada@example.com".into(), host: "engine".into() },
        clock: Arc::new(Clock::stepping("2026-11-21T08:00:00Z".parse().expect("a time"))),
        random: Arc::new(Random::System),
        seal: None,
        project: "demo".into(),
        copies: file.parent().expect("a directory").to_owned(),
        keys: crate::store::objects::Keys::default(),
    }
}

/// A state with rows of every type of column, in more than one batch.
fn filled(dir: &Path) -> Store {
    let (store, _) = Store::init(settings(&dir.join("here.db"))).expect("a state");
    store
        .write(|tx| {
            for i in 0..700 {
                tx.insert("INSERT INTO model (name, kind, created) VALUES (?1, ?2, ?3)", values![format!("m-{i}"), "other", i])?;
                tx.record(Event::new("model.made", Resource::new("model", format!("m-{i}"))).because(Some("T-1"), Some("é\"\n")));
            }
            Ok(())
        })
        .expect("filled");
    let columns = ["evaluation", "pos", "row_id", "metric", "value", "reason"];
    let row = |i: i64| -> Vec<Value> {
        let value = if i % 3 == 0 { Value::Null } else { Value::Real(0.1 / (i as f64) - 0.5) };
        vec!["e".into(), i.into(), format!("row-{i}").into(), "m".into(), value, None::<&str>.into()]
    };
    store.feed(|f| f.append("eval_row", &columns, (0..1300).map(row))).expect("fed");
    store
}

fn place(source: &Store, dir: &Path) -> Place {
    receive(source, settings(&dir.join("there.db")), PLACE).expect("a place")
}

fn empty(source: &Store, dir: &Path) -> Incoming {
    match place(source, dir) {
        Place::Empty(copy) => copy,
        Place::Sealed(_) => panic!("sealed"),
        Place::Done(_) => panic!("done"),
    }
}

fn carry(source: &Store, copy: &Incoming) -> Result<Proof> {
    source.seal_into(copy, PLACE, &mut || Ok(()), &mut |_, _| {})
}

fn moved() -> Event {
    Event::new("state.moved", Resource::new("state", "x"))
}

fn add(store: &Store, name: &str) -> Result<i64> {
    store.write(|tx| {
        tx.record(Event::new("model.made", Resource::new("model", name)));
        tx.insert("INSERT INTO model (name, kind, created) VALUES (?1, ?2, ?3)", values![name, "other", tx.now()])
    })
}

fn opened(file: &Path) -> Result<Store> {
    Store::open(settings(file), Mode::Write)
}

fn size(store: &Store) -> u64 {
    log::head(&store.db()).expect("a head").frontier.size()
}

#[test]
fn a_state_is_carried_over_whole_and_goes_on_there() {
    let dir = tempfile::tempdir().expect("a directory");
    let source = filled(dir.path());
    let before = sums(&source.db()).expect("sums");
    let copy = empty(&source, dir.path());
    let proof = carry(&source, &copy).expect("carried");
    assert_eq!(proof.log_size, 702, "created, 700 models, sealed");
    let rows = |name: &str| proof.tables.iter().find(|t| t.table == name).expect("a table").rows;
    assert_eq!((rows("model"), rows("eval_row"), rows("opening"), rows("eb")), (700, 1300, 700, 702));
    let same = |t: &&TableSum| proof.tables.contains(t);
    let changed: Vec<_> = before.iter().filter(|t| !same(t)).map(|t| t.table).collect();
    assert_eq!(changed, ["log_head", "dict", "ev", "eb"], "only the seal's own event is new");

    let there = copy.activate(moved(), &mut |_| Ok(())).expect("activated");
    assert_eq!(add(&there, "next").expect("takes changes"), 701, "numbers go on");
    assert_eq!(size(&opened(&dir.path().join("there.db")).expect("opens")), 704);
}

#[test]
fn the_log_of_the_copy_extends_the_log_of_the_source() {
    let dir = tempfile::tempdir().expect("a directory");
    let source = filled(dir.path());
    let copy = empty(&source, dir.path());
    carry(&source, &copy).expect("carried");
    let there = copy.activate(moved(), &mut |_| Ok(())).expect("activated");
    let bodies = |s: &Store| s.read(|v| v.all("SELECT body FROM eb ORDER BY seq", &[], |r| Ok(r.text(0)?.to_owned())));
    let (old, new) = (bodies(&source).expect("bodies"), bodies(&there).expect("bodies"));
    assert_eq!(old[..], new[..old.len()]);
    assert!(old.last().expect("one").contains("state.sealed") && new.last().expect("one").contains("state.moved"));
}

#[test]
fn a_sealed_source_takes_nothing_more_and_says_where_to_go() {
    let dir = tempfile::tempdir().expect("a directory");
    let source = filled(dir.path());
    carry(&source, &empty(&source, dir.path())).expect("carried");
    let e = add(&source, "late").expect_err("sealed");
    assert!(e.to_string().contains(PLACE) && e.hints()[0].contains("state.url"), "{e} {:?}", e.hints());
    let row = || [vec!["e".into(), 9_999.into(), "r".into(), "m".into()]];
    source
        .feed(|f| f.append("eval_row", &["evaluation", "pos", "row_id", "metric"], row()))
        .expect_err("sealed for the feed too");
    source.read(|v| v.count("SELECT count(*) FROM model", &[])).expect("still readable");
}

#[test]
fn an_unfinished_copy_cannot_be_used_and_the_source_still_works() {
    let dir = tempfile::tempdir().expect("a directory");
    let source = filled(dir.path());
    drop(empty(&source, dir.path()));
    let e = opened(&dir.path().join("there.db")).err().expect("refused");
    assert_eq!(e.kind(), Kind::NoRepository);
    assert!(e.hints()[0].contains("kf state move"), "{:?}", e.hints());
    Store::init(settings(&dir.path().join("there.db"))).err().expect("init does not take it over");
    add(&source, "still").expect("works");
}

#[test]
fn what_fails_in_the_middle_leaves_the_source_as_it_was() {
    let dir = tempfile::tempdir().expect("a directory");
    let source = filled(dir.path());
    let copy = empty(&source, dir.path());
    let mut fails = || Err(Error::new("no network"));
    source.seal_into(&copy, PLACE, &mut fails, &mut |_, _| {}).expect_err("failed");
    drop(copy);
    add(&source, "still").expect("works");
    let copy = empty(&source, dir.path());
    let proof = carry(&source, &copy).expect("carried the second time");
    assert_eq!(proof.log_size, 703);
}

/// The copy committed, the source did not: as after a kill between the two.
#[test]
fn a_complete_copy_of_a_source_that_did_not_seal_is_made_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let source = filled(dir.path());
    source.db().keep_copy(&dir.path().join("kept.db")).expect("a copy");
    carry(&source, &empty(&source, dir.path())).expect("carried");
    let source = opened(&dir.path().join("kept.db")).expect("the source before its seal");
    add(&source, "meanwhile").expect("works");
    let copy = empty(&source, dir.path());
    let rows = carry(&source, &copy).expect("carried").tables.iter().find(|t| t.table == "model").expect("a table").rows;
    assert_eq!(rows, 701, "the first copy is gone");
}

#[test]
fn a_kill_after_the_seal_is_finished_by_the_same_call() {
    let dir = tempfile::tempdir().expect("a directory");
    let source = filled(dir.path());
    let proof = carry(&source, &empty(&source, dir.path())).expect("carried");
    let Place::Sealed(copy) = place(&source, dir.path()) else { panic!("not found as sealed") };
    assert_eq!(copy.prove(&source).expect("the same"), proof);
    copy.activate(moved(), &mut |_| Ok(())).expect("activated");
    assert!(matches!(place(&source, dir.path()), Place::Done(_)), "a retry is harmless");
}

#[test]
fn a_place_that_is_taken_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let source = filled(dir.path());
    Store::init(settings(&dir.path().join("there.db"))).expect("another state");
    let e = receive(&source, settings(&dir.path().join("there.db")), PLACE).err().expect("refused");
    assert!(e.to_string().contains("holds a state already"), "{e}");

    let (other, _) = Store::init(settings(&dir.path().join("other.db"))).expect("another state");
    drop(receive(&other, settings(&dir.path().join("copy.db")), "x").expect("a place"));
    let e = receive(&source, settings(&dir.path().join("copy.db")), PLACE).err().expect("refused");
    assert!(e.to_string().contains("unfinished copy of the state"), "{e}");

    carry(&source, &{
        let Place::Empty(copy) = receive(&source, settings(&dir.path().join("new.db")), PLACE).expect("a place") else {
            panic!("not empty")
        };
        copy
    })
    .expect("carried");
    let e = receive(&source, settings(&dir.path().join("third.db")), "elsewhere").err().expect("refused");
    assert!(e.to_string().contains("moved to sqlite:there.db already"), "{e}");
}

#[test]
fn a_copy_that_differs_in_one_value_is_not_accepted() {
    let dir = tempfile::tempdir().expect("a directory");
    let source = filled(dir.path());
    for spoil in [
        "UPDATE eval_row SET value = 0.25 WHERE pos = 1000",
        "UPDATE opening SET salt = x'00' WHERE seq = 5",
        "DELETE FROM pseudonym WHERE kind = 'host'",
        "INSERT INTO meta (key, value) VALUES ('extra', '')",
    ] {
        let copy = empty(&source, dir.path());
        let sums = within(&copy.store.db(), || copy_all(&source.db(), &copy.store.db(), &mut |_, _| {})).expect("copied");
        prove(&source.db(), &sums, &copy).expect("the same before");
        assert_eq!(copy.store.db().execute(spoil, &[]).expect("spoilt"), 1, "{spoil}");
        prove(&source.db(), &sums, &copy).expect_err(spoil);
    }
}

#[test]
fn every_table_has_a_key_to_order_by() {
    for table in migrations::tables() {
        for column in primary_key(table).expect("a key") {
            assert!(table.columns.iter().any(|c| c.name == column && !c.null), "{}.{column}", table.name);
        }
    }
}

#[test]
fn a_value_cannot_pass_for_its_neighbour() {
    let digest = |values: &[Value]| {
        let mut hasher = Hasher::new();
        values.iter().for_each(|v| sum_up(&mut hasher, v));
        hasher.finish()
    };
    let text = |s: &str| Value::Text(s.into());
    assert_ne!(digest(&[text("ab"), text("c")]), digest(&[text("a"), text("bc")]));
    assert_ne!(digest(&[text("a")]), digest(&[Value::Blob(b"a".to_vec())]));
    assert_ne!(digest(&[Value::Null, text("")]), digest(&[text(""), Value::Null]));
}
