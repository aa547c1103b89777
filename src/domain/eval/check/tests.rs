//! Each fact of an evaluation is edited in turn, and each edit is found.

use super::*;
use crate::base::name::ModelType;
use crate::base::random::Random;
use crate::base::time::Clock;
use crate::base::version::Bump;
use crate::domain::eval::record::{NewEvaluation, RowScore, Summary};
use crate::domain::registry::change::{NewVersion, Number, register};
use crate::store::check::{Stored, read_log};
use crate::store::{DbTarget, Identity, Settings, Store};
use std::sync::Arc;

fn rows() -> Vec<RowScore> {
    let score = |pos: i64, value: Option<f64>| RowScore {
        pos,
        row: format!("q{pos}"),
        metric: "f1".into(),
        value,
        reason: value.is_none().then(|| "no answer".to_owned()),
    };
    vec![score(0, Some(0.25)), score(1, None), score(2, Some(1.0))]
}

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
    let version = NewVersion {
        name: "m".parse().expect("a name"),
        kind: ModelType::Other,
        number: Number::Bumped(Bump::Minor),
        digest: Digest::of(b"m"),
        files: 1,
        bytes: 1,
        git: None,
        metrics: Vec::new(),
        meta: Vec::new(),
        tags: Vec::new(),
        links: Vec::new(),
        advised_from: None,
        ticket: None,
        reason: None,
    };
    let version = store.write(|tx| register(tx, &version)).expect("registered").version;
    let rows = rows();
    store.feed(|f| record::append_rows(f, "e1", &rows)).expect("fed");
    store.feed(|f| record::append_rows(f, "unfinished", &rows[..2])).expect("fed");
    let new = NewEvaluation {
        id: "e1".into(),
        version,
        dataset: "golden.jsonl".into(),
        dataset_digest: Digest::of(b"golden"),
        judge: "deterministic".into(),
        system: "recorded".into(),
        rows: 3,
        rows_digest: record::digest_of(&rows).expect("a digest"),
        metrics: vec![Summary {
            metric: "f1".into(),
            mean: Some(0.625),
            low: Some(0.25),
            high: Some(1.0),
            n: 2,
            total: 3,
            unscored: None,
        }],
    };
    store.write(|tx| record::record(tx, &new)).expect("recorded");
    store
}

fn checked(store: &Store, read_rows: bool) -> Checked {
    let mut replay = Replay::default();
    let take = &mut |stored: Stored<'_>| {
        if let Some(entry) = Entry::governed(stored, ACTIONS) {
            replay.take(&entry);
        }
    };
    store.read(|view| read_log(view, take)).expect("read");
    store.read(|view| replay.compare(view, read_rows)).expect("compared")
}

fn check(sql: &str, says: &str) {
    let dir = tempfile::tempdir().expect("a directory");
    let store = filled(dir.path());
    store.db().execute("PRAGMA foreign_keys = OFF", &[]).expect("off");
    assert!(store.db().execute(sql, &[]).expect("edited") > 0, "{sql} changed nothing");
    let found = checked(&store, true).findings;
    assert!(found.len() == 1 && found[0].problem.contains(says), "{sql}: {found:#?}");
    assert!(found[0].subject.contains("e1") && found[0].fix.contains("`kf eval`"), "{found:#?}");
}

#[test]
fn an_evaluation_that_was_recorded_agrees_and_unfinished_ones_are_only_counted() {
    let dir = tempfile::tempdir().expect("a directory");
    let found = checked(&filled(dir.path()), true);
    assert_eq!(found.findings, []);
    assert_eq!((found.evaluations, found.rows, found.unfinished), (1, 3, 2));
}

#[test]
fn edits_are_found() {
    check("UPDATE evaluation SET judge = 'human'", "judge is human, recorded was deterministic");
    check("UPDATE evaluation SET dataset = 'other'", "dataset is");
    check("UPDATE evaluation SET dataset_digest = zeroblob(32)", "dataset_digest is");
    check("UPDATE evaluation SET digest = zeroblob(32)", "digest is");
    check("UPDATE evaluation SET system = 'http'", "system is");
    check("UPDATE evaluation SET row_count = 4", "row_count is 4, recorded was 3");
    check("UPDATE evaluation SET event = 1", "event is 1, recorded was 2");
    check("UPDATE evaluation_metric SET mean = 0.9", "mean is 0.9, recorded was 0.625");
    check("UPDATE evaluation_metric SET n = 3", "n is 3, recorded was 2");
    check("UPDATE evaluation_metric SET low = 0.3", "low is 0.3, recorded was 0.25");
    check("UPDATE evaluation_metric SET high = NULL", "high is nothing, recorded was 1");
    check("UPDATE eval_row SET value = 0.5 WHERE pos = 0 AND evaluation = 'e1'", "its 3 row scores have the digest");
    check("UPDATE eval_row SET pos = 7 WHERE pos = 2 AND evaluation = 'e1'", "its 3 row scores have the digest");
    check("UPDATE eval_row SET reason = 'x' WHERE pos = 1 AND evaluation = 'e1'", "its 3 row scores have the digest");
    check("DELETE FROM eval_row WHERE pos = 2 AND evaluation = 'e1'", "its 2 row scores have the digest");
    check("DELETE FROM evaluation", "its row is gone");
}

#[test]
fn without_reading_rows_none_is_claimed_to_be_verified() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = filled(dir.path());
    store.db().execute("DELETE FROM eval_row", &[]).expect("deleted");
    assert_eq!(checked(&store, false).rows, 0);
}

#[test]
fn a_version_row_that_is_not_the_one_evaluated_is_found() {
    check("UPDATE version SET patch = 7", "version is m@1.0.7, recorded was m@1.0.0");
}
