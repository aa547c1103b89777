//! A whole state and its objects between files, PostgreSQL and S3: moved there and back, checked, collected, healed, and moved
//! through connections that break at the worst moment.

use crate::support::proxy::{Fault, Proxy};
use crate::support::{pg, s3, skip};
use kf::base::digest::Digest;
use kf::base::error::{Error, Result};
use kf::base::event::{Event, Resource};
use kf::base::name::{ModelType, Stage};
use kf::base::random::Random;
use kf::base::time::Clock;
use kf::base::verdict::Verdict;
use kf::config::secret::Secret;
use kf::domain::eval::record::{self, NewEvaluation, RowScore, Summary};
use kf::domain::registry::change::{self, Move, NewVersion, Number, Way, move_to};
use kf::domain::registry::manifest::{FileEntry, Manifest};
use kf::domain::registry::retention::Rules;
use kf::domain::registry::table;
use kf::release::move_state::{self, Artifacts, Progress, Request};
use kf::release::{fsck, gc};
use kf::store::objects::{Objects, RemoteOptions};
use kf::store::transfer::{self, TableSum};
use kf::store::{DbTarget, Identity, Mode, PostgresTarget, Settings, Store};
use std::sync::Arc;
use std::time::Duration;

/// The servers, and a folder for files.
struct Place {
    dir: tempfile::TempDir,
    pg: &'static pg::Server,
    s3: &'static s3::Server,
    database: String,
}

impl Place {
    /// None, with a word on stderr, where there are no servers.
    fn new() -> Option<Self> {
        let servers = pg::shared().and_then(|pg| s3::shared().map(|s3| (pg, s3)));
        match servers {
            Ok((pg, s3)) => {
                let dir = tempfile::tempdir().expect("a directory");
                Some(Self { dir, pg, s3, database: pg.database() })
            }
            Err(why) => {
                skip(why);
                None
            }
        }
    }

    fn sqlite(&self, file: &str) -> DbTarget {
        DbTarget::Sqlite(self.dir.path().join(file))
    }

    fn postgres(&self, schema: &str, port: u16) -> DbTarget {
        let url = self.pg.url(&self.database, port);
        DbTarget::Postgres(PostgresTarget { url, password: None, schema: schema.into() })
    }

    fn settings(&self, target: DbTarget) -> Settings {
        Settings {
            target,
            lock_timeout: Duration::from_secs(20),
            identity: Identity { kind: "user".into(), name: "ada".into(), host: "engine".into() },
            clock: Arc::new(Clock::System),
            random: Arc::new(Random::System),
            seal: None,
            project: "demo".into(),
            copies: self.dir.path().to_owned(),
            keys: kf::store::objects::Keys::default(),
        }
    }

    fn open(&self, target: DbTarget) -> Store {
        Store::open(self.settings(target), Mode::Write).expect("a state")
    }

    fn files(&self, name: &str) -> Objects {
        Objects::files(&self.dir.path().join(name)).expect("objects")
    }

    fn bucket(&self) -> Objects {
        let options = RemoteOptions {
            endpoint: Some(format!("http://127.0.0.1:{}", self.s3.port())),
            access_key: Some(Secret::new("AKIATEST".into())),
            secret_key: Some(Secret::new("hunter2".into())),
            allow_http: true,
            ..RemoteOptions::default()
        };
        Objects::open(&self.s3.fresh(), &options).expect("objects")
    }

    fn carry(
        &self,
        from: (&Store, &Objects),
        to: DbTarget,
        place: &str,
        objects: Option<&Objects>,
    ) -> Result<move_state::Report> {
        let artifacts = objects.map(|to| Artifacts { to, scratch: self.dir.path(), jobs: 4 });
        let request = Request { target: self.settings(to), place, artifacts };
        move_state::run(from.0, from.1, request, &mut |_| {}, &mut |_: Progress| {})
    }

    /// A new state in a SQLite file, with objects in files beside it.
    fn filled(&self) -> (Store, Objects) {
        let (store, _) = Store::init(self.settings(self.sqlite("here.db"))).expect("a state");
        let objects = self.files("objects");
        register(&store, &objects, "base@1.0.0", &[("a.bin", b"\0\x01\xff"), ("empty", b"")], &[]);
        register(&store, &objects, "m@1.0.0", &[("a.txt", b"one"), ("shared", b"shared")], &["base@1.0.0"]);
        register(&store, &objects, "m@1.1.0", &[("a.txt", b"two"), ("shared", b"shared")], &[]);
        stage(&store, "m@1.0.0", Stage::Production);
        stage(&store, "m@1.1.0", Stage::Production);
        evaluate(&store, "m@1.1.0");
        let many = |tx: &kf::store::Tx<'_>| {
            (0..700).for_each(|i| {
                let event = Event::new("model.looked-at", Resource::new("model", format!("Müller {i}")));
                tx.record(event.because(Some("T-1"), Some("because of \"quotes\", \\ and\nlines")));
            });
            Ok(())
        };
        store.write(many).expect("written");
        (store, objects)
    }
}

fn version(store: &Store, reference: &str) -> table::VersionRow {
    let reference = reference.parse().expect("a reference");
    store.read(|view| table::resolve(view, &reference)).expect("a version")
}

fn register(store: &Store, objects: &Objects, reference: &str, files: &[(&str, &[u8])], needs: &[&str]) -> change::Registered {
    let entry = |(path, bytes): &(&str, &[u8])| {
        let stored = objects.put_bytes(bytes).expect("stored");
        FileEntry { path: (*path).into(), digest: stored.digest, size: stored.size, media: "text/plain".into() }
    };
    let manifest = Manifest::new(ModelType::Other, files.iter().map(entry).collect(), Vec::new()).expect("a manifest");
    objects.put_bytes(&manifest.to_bytes()).expect("stored");
    let (name, number) = reference.split_once('@').expect("a version");
    let new = NewVersion {
        name: name.parse().expect("a name"),
        kind: ModelType::Other,
        number: Number::Exactly(number.parse().expect("a number")),
        digest: manifest.digest(),
        files: manifest.files().len() as i64,
        bytes: manifest.total_size() as i64,
        git: None,
        metrics: vec![("f1".into(), 0.1)],
        meta: vec![("owner".into(), "Zoë".into())],
        tags: vec!["Tag".into(), "tag".into()],
        links: needs.iter().map(|n| ("depends".to_owned(), version(store, n))).collect(),
        advised_from: None,
        ticket: None,
        reason: None,
    };
    store.write(|tx| change::register(tx, &new)).expect("registered")
}

fn stage(store: &Store, reference: &str, to: Stage) {
    let version = version(store, reference);
    let change = Move { way: Way::Promote, to, ticket: None, reason: None, detail: serde_json::Map::new() };
    store.write(|tx| move_to(tx, &version, &change)).expect("moved");
}

/// Row scores that test how doubles travel: thirds, denormals, negative zero, none.
fn evaluate(store: &Store, reference: &str) {
    let values = [Some(1.0 / 3.0), Some(5e-324), Some(-0.0), Some(1.797e308), None];
    let score = |i: usize| RowScore {
        pos: i as i64,
        row: format!("q{i}"),
        metric: "f1".into(),
        value: values[i % values.len()].map(|v| v + 0.0),
        reason: values[i % values.len()].is_none().then(|| "no answer".into()),
    };
    let rows: Vec<RowScore> = (0..1200).map(score).collect();
    store.feed(|f| record::append_rows(f, "e1", &rows)).expect("fed");
    let new = NewEvaluation {
        id: "e1".into(),
        version: version(store, reference),
        dataset: "golden.jsonl".into(),
        dataset_digest: Digest::of(b"golden"),
        judge: "deterministic".into(),
        system: "recorded".into(),
        rows: 1200,
        rows_digest: record::digest_of(&rows).expect("a digest"),
        metrics: vec![Summary {
            metric: "f1".into(),
            mean: Some(0.1 + 0.2),
            low: None,
            high: Some(1.0),
            n: 960,
            total: 1200,
            unscored: None,
        }],
    };
    store.write(|tx| record::record(tx, &new)).expect("recorded");
}

fn check(store: &Store, objects: &Objects, repair: bool) -> fsck::Report {
    let options = fsck::Options { quick: false, repair, jobs: 4, keys: &[], journal: None };
    fsck::check(store, objects, options, &mut |_, _| {}, &mut |_| {}).expect("checked")
}

fn is_sound(store: &Store, objects: &Objects) {
    let report = check(store, objects, false);
    assert_eq!((report.findings, report.verdict), (Vec::new(), Verdict::Pass));
}

/// Every table but those that the events of a move itself go to.
fn untouched(store: &Store) -> Vec<TableSum> {
    let sums = store.read(|view| transfer::sums(view.db())).expect("sums");
    sums.into_iter().filter(|t| !["log_head", "dict", "ev", "eb"].contains(&t.table)).collect()
}

#[test]
fn a_state_goes_from_files_to_servers_and_back_and_is_the_same() {
    let Some(place) = Place::new() else { return };
    let (here, objects) = place.filled();
    let before = untouched(&here);
    let bucket = place.bucket();
    let there = place.postgres("one", place.pg.port());
    let report = place.carry((&here, &objects), there.clone(), "postgres://one", Some(&bucket)).expect("moved");
    assert_eq!(report.artifacts.expect("objects").objects, 8);
    let there = place.open(there);
    assert_eq!(untouched(&there), before);
    is_sound(&there, &bucket);
    // Numbers that the server gives go on after those that came.
    assert!(register(&there, &bucket, "m@1.2.0", &[("a.txt", b"three")], &["m@1.1.0"]).changed);
    stage(&there, "m@1.2.0", Stage::Production);

    let second = place.postgres("two", place.pg.port());
    place.carry((&there, &bucket), second.clone(), "postgres://two", None).expect("moved between schemas");
    let second = place.open(second);
    assert_eq!(untouched(&second), untouched(&there));
    register(&second, &bucket, "n@1.0.0", &[("a.txt", b"four")], &[]);

    let (home, files) = (place.sqlite("home.db"), place.files("home"));
    place.carry((&second, &bucket), home.clone(), "sqlite:home.db", Some(&files)).expect("moved back");
    let home = place.open(home);
    assert_eq!(untouched(&home), untouched(&second));
    is_sound(&home, &files);
    register(&home, &files, "n@1.1.0", &[("a.txt", b"five")], &[]);
    let e = here.write(|tx| change::tag(tx, &version(&home, "m@1.0.0"), "late", false)).expect_err("sealed");
    assert!(e.hints()[0].contains("postgres://one"), "{:?}", e.hints());
}

/// When a fault is armed.
#[derive(Clone, Copy, Debug)]
enum From {
    /// Before anything is sent.
    Start,
    /// When the last table is being copied.
    LastTable,
}

/// True when a state takes changes.
fn takes_changes(store: &Store) -> bool {
    let event = Event::new("model.looked-at", Resource::new("model", "m"));
    store
        .write(|tx| {
            tx.record(event);
            Ok(())
        })
        .is_ok()
}

/// Moves through a connection on which a fault strikes; then at most one of the two takes changes, and the same move succeeds.
fn survives(from: From, text: &str, fault: Fault) {
    let Some(place) = Place::new() else { return };
    let (here, objects) = place.filled();
    let proxy = Proxy::to(place.pg.port());
    let target = || place.postgres("broken", proxy.port());
    // The tables are there already: what breaks is the move.
    drop(Store::open(place.settings(target()), Mode::Create).expect("an empty schema"));
    let armed = std::cell::Cell::new(false);
    let arm = || {
        if !armed.replace(true) {
            proxy.arm(text, fault.clone());
        }
    };
    if matches!(from, From::Start) {
        arm();
    }
    let request = Request { target: place.settings(target()), place: "postgres://broken", artifacts: None };
    let first = move_state::run(&here, &objects, request, &mut |_| {}, &mut |p| {
        if matches!(p, Progress::Rows("eval_row", _)) {
            arm();
        }
    });
    assert_eq!(proxy.fired(), 1, "{text} was never sent");
    if let Err(e) = &first {
        assert!(!e.hints().is_empty(), "{e}");
        let there: Result<Store, Error> = Store::open(place.settings(target()), Mode::Write);
        let both = takes_changes(&here) && there.as_ref().is_ok_and(takes_changes);
        assert!(!both, "two states take changes after {fault:?} of {text} from {from:?}");
        place.carry((&here, &objects), target(), "postgres://broken", None).expect("the second time");
    }
    is_sound(&place.open(target()), &objects);
    assert!(!takes_changes(&here), "the source is sealed");
}

#[test]
fn a_connection_that_breaks_while_rows_are_copied_loses_nothing() {
    survives(From::Start, "INSERT INTO version_note", Fault::Drop);
    survives(From::Start, "INSERT INTO eval_row", Fault::CutReply(0));
}

#[test]
fn a_commit_that_gets_lost_or_whose_answer_gets_lost_loses_nothing() {
    for from in [From::Start, From::LastTable] {
        survives(from, "COMMIT", Fault::CutReply(0));
        survives(from, "COMMIT", Fault::Drop);
    }
}

#[test]
fn the_last_step_may_break_too() {
    for (text, fault) in [("DELETE FROM meta", Fault::Drop), ("COMMIT", Fault::CutReply(0)), ("COMMIT", Fault::Drop)] {
        let Some(place) = Place::new() else { return };
        let (here, objects) = place.filled();
        let proxy = Proxy::to(place.pg.port());
        let (target, name) = (|| place.postgres("last", proxy.port()), "postgres://last");
        let received = transfer::receive(&here, place.settings(target()), name).expect("a place");
        let transfer::Place::Empty(copy) = received else { panic!("the place is not empty") };
        here.seal_into(&copy, name, &mut || Ok(()), &mut |_, _| {}).expect("sealed");
        proxy.arm(text, fault.clone());
        let moved = Event::new("state.moved", Resource::new("state", "x"));
        let activated = copy.activate(moved, &mut |_| Ok(())).is_ok();
        assert_eq!(proxy.fired(), 1);
        let again = place.carry((&here, &objects), target(), name, None).expect("finished");
        assert_eq!(again.changed, !activated, "{fault:?} of {text}: nothing is done twice");
        is_sound(&place.open(target()), &objects);
        assert!(!takes_changes(&here), "the source is sealed");
    }
}

#[test]
fn a_corrupt_object_on_s3_is_set_aside_and_healed_by_storing_it_again() {
    let Some(place) = Place::new() else { return };
    let (here, objects) = place.filled();
    let wrong = Digest::of(b"two");
    let bucket = place.bucket();
    let there = place.postgres("heal", place.pg.port());
    place.carry((&here, &objects), there.clone(), "postgres://heal", Some(&bucket)).expect("moved");
    let there = place.open(there);
    damage(&place, &bucket, &wrong, "TWO");
    let report = check(&there, &bucket, true);
    assert_eq!((report.repaired.quarantined, report.verdict), (vec![wrong], Verdict::Fail));
    let again = register(&there, &bucket, "m@1.1.0", &[("a.txt", b"two"), ("shared", b"shared")], &[]);
    assert!(!again.changed);
    is_sound(&there, &bucket);
}

/// Puts other bytes of the same length under an object's key.
fn damage(place: &Place, bucket: &Objects, digest: &Digest, bytes: &str) {
    let hex = digest.hex();
    let described = bucket.describe();
    let prefix =
        described.split(['/', ' ', ',']).find(|p| p.starts_with('t') && p[1..].parse::<u32>().is_ok()).expect("a prefix");
    let path = format!("/{}/{prefix}/sha256/{}/{}", s3::BUCKET, &hex[..2], &hex[2..]);
    let (status, body) = place.s3.request("PUT", &path, bytes).expect("an answer");
    assert_eq!(status, 200, "{body}");
}

#[test]
fn what_nothing_needs_is_collected_on_servers_too() {
    let Some(place) = Place::new() else { return };
    let (here, objects) = place.filled();
    let (there, bucket) = (place.postgres("collect", place.pg.port()), place.bucket());
    place.carry((&here, &objects), there.clone(), "postgres://collect", Some(&bucket)).expect("moved");
    let there = place.open(there);
    let options = gc::Options {
        rules: Rules { retention_days: 0, rollback_window: 1 },
        grace: Duration::from_millis(1),
        force: true,
        apply: true,
    };
    // Object stores keep times by the second.
    std::thread::sleep(Duration::from_millis(1_500));
    let report = gc::run(&there, &bucket, options, &mut |_| {}).expect("collected");
    let expired: Vec<_> = report.expired.iter().map(|e| e.version.as_str()).collect();
    assert_eq!((expired, report.removed.len()), (vec!["m@1.0.0"], 2), "its manifest and its own file");
    is_sound(&there, &bucket);
    let later = gc::run(&there, &bucket, options, &mut |_| {}).expect("emptied");
    assert_eq!(report.deleted + later.deleted, 2);
    let entry = register(&there, &bucket, "m@1.0.0", &[("a.txt", b"one"), ("shared", b"shared")], &[]);
    assert!(entry.changed && entry.version.purged.is_none());
    is_sound(&there, &bucket);
}

/// Runs a check on a state in a SQLite file, and on one on PostgreSQL, after something was done to each behind the log's back.
fn after(sql: &str, repair: bool, judge: impl Fn(&fsck::Report)) {
    let Some(place) = Place::new() else { return };
    let (here, objects) = place.filled();
    let there = place.postgres("edited", place.pg.port());
    let copy = place.dir.path().join("kept.db").display().to_string();
    here.db().execute("VACUUM INTO ?1", &[copy.into()]).expect("a copy");
    let kept = place.open(place.sqlite("kept.db"));
    kept.db().execute("PRAGMA foreign_keys = OFF", &[]).expect("off");
    place.carry((&here, &objects), there.clone(), "postgres://edited", None).expect("moved");
    let there = place.open(there);
    assert!(kept.db().execute(sql, &[]).expect("edited") > 0, "{sql}");
    place
        .pg
        .query(&place.database, &format!("SET search_path TO edited; SET session_replication_role = replica; {sql}"))
        .expect("edited");
    for store in [&kept, &there] {
        judge(&check(store, &objects, repair));
    }
}

/// Expects findings, one of which is about this and says this.
fn found(sql: &str, subject: &str, says: &str) {
    after(sql, false, |report| {
        let found = report.findings.iter().any(|f| f.subject.contains(subject) && f.problem.contains(says));
        assert!(found && report.verdict == Verdict::Fail, "{sql}: {:#?}", report.findings);
        assert!(report.findings.iter().all(|f| f.fix.contains('`') || f.fix.contains("backup")), "{:#?}", report.findings);
    });
}

#[test]
fn edited_rows_are_findings_on_both_engines() {
    found("UPDATE version SET stage = 'staging' WHERE minor = 1", "version m@1.1.0", "stage is staging");
    found(
        "UPDATE version SET purged = 1 WHERE minor = 1",
        "version m@1.1.0",
        "purged is 1970-01-01T00:00:00.000001Z, recorded was nothing",
    );
    found("UPDATE version SET files = 7 WHERE minor = 1", "version m@1.1.0", "its row says 7 files");
    found("UPDATE eval_row SET value = 0.9 WHERE pos = 3", "scores of evaluation e1", "row scores have the digest");
    found("UPDATE model SET name = '' WHERE id = 1", "registry", "cannot be read");
    found("DELETE FROM version_link", "link depends base@1.0.0 of m@1.0.0", "its row is gone");
}

#[test]
fn edited_entries_are_findings_on_both_engines() {
    found(
        "UPDATE eb SET body = replace(body, 'Müller 5\"', 'Meier 5\"') WHERE seq > 7",
        "audit log entry",
        "does not have the hash",
    );
    found("DELETE FROM eb WHERE seq = 4", "audit log entry 4", "entry 4 is missing");
    found("DELETE FROM ev WHERE seq = 4", "audit log entry 4", "no narrow columns");
    found("DELETE FROM log_head", "audit log", "the head of the log is missing");
}

#[test]
fn missing_hashes_of_tiles_are_rebuilt_on_both_engines() {
    after("DELETE FROM tile", false, |report| {
        assert!(!report.findings.is_empty() && report.findings.iter().all(|f| f.fix.contains("kf fsck --repair")), "{report:#?}");
    });
    after("DELETE FROM tile", true, |report| {
        assert_eq!((&report.findings, report.repaired.tiles), (&Vec::new(), 2));
    });
}
