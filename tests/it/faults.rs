//! The database goes away at the worst moment: what was acknowledged is there, once, and what was refused is not.
//!
//! On SQLite the worst moments are system calls, which `crash.rs` strikes; here it is the server and the wire to it.

use crate::support::pg::{self, Server};
use crate::support::proxy::{Fault, Proxy};
use crate::support::skip;
use kf::base::error::Result;
use kf::base::event::{Event, Resource};
use kf::base::random::Random;
use kf::base::time::Clock;
use kf::store::{DbTarget, Identity, Mode, PostgresTarget, Settings, Store, log};
use kf::values;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

fn settings(url: &str) -> Settings {
    let target = PostgresTarget { url: url.to_owned(), password: None, schema: "kf".into() };
    Settings {
        target: DbTarget::Postgres(target),
        lock_timeout: Duration::from_secs(30),
        identity: Identity { kind: "user".into(), name: "ada@example.com".into(), host: "engine".into() },
        clock: Arc::new(Clock::stepping("2026-11-21T08:00:00Z".parse().expect("a time"))),
        random: Arc::new(Random::System),
        seal: None,
        project: "faults".into(),
        copies: std::env::temp_dir(),
        keys: kf::store::objects::Keys::default(),
    }
}

/// Adds a model once: a retry finds it and changes nothing, as every command of kf does it.
fn add(store: &Store, name: &str) -> Result<()> {
    store.write(|tx| {
        if tx.view().count("SELECT count(*) FROM model WHERE name = ?1", values![name])? == 0 {
            tx.record(Event::new("model.made", Resource::new("model", name)));
            tx.insert("INSERT INTO model (name, kind, created) VALUES (?1, ?2, ?3)", values![name, "config", tx.now()])?;
        }
        Ok(())
    })
}

/// The names of the models, and the numbers of the log's entries.
fn found(store: &Store) -> (BTreeSet<String>, Vec<i64>) {
    let read = store.read(|v| {
        let names = v.all("SELECT name FROM model", &[], |r| r.text(0).map(str::to_owned))?;
        let numbers = v.all("SELECT seq FROM eb ORDER BY seq", &[], |r| r.int(0))?;
        Ok((names.into_iter().collect(), numbers))
    });
    read.expect("the state can be read")
}

/// Loses one message around COMMIT; `kept` says whether the change must be there afterwards.
fn check_commit(fault: Fault, kept: bool) {
    let server = match pg::shared() {
        Ok(server) => server,
        Err(why) => return skip(why),
    };
    let database = server.database();
    let proxy = Proxy::to(server.port());
    let (store, _) = Store::init(settings(&server.url(&database, proxy.port()))).expect("a new state");
    // The statement itself: `READ COMMITTED` begins every transaction.
    proxy.arm("COMMIT\0", fault);
    let outcome = add(&store, "m");
    assert_eq!(proxy.fired(), 1, "the fault happened");
    assert_eq!(outcome.is_ok(), kept, "{outcome:?}");
    let direct = Store::open(settings(&server.url(&database, server.port())), Mode::Read).expect("the state");
    let (names, numbers) = found(&direct);
    assert_eq!((names.len(), numbers.len()), if kept { (1, 2) } else { (0, 1) });
    add(&store, "m").expect("a retry is harmless");
    let (names, numbers) = found(&direct);
    assert_eq!((names.len(), numbers.len()), (1, 2), "and has taken effect once");
}

#[test]
fn a_commit_whose_answer_is_lost_is_known_to_have_happened() {
    check_commit(Fault::CutReply(0), true);
}

#[test]
fn a_commit_that_never_arrived_is_known_not_to_have_happened() {
    check_commit(Fault::Drop, false);
}

/// Makes every COMMIT with an event take some seconds, and then do what `end` says.
fn delay_commits(server: &Server, database: &str, seconds: u32, end: &str) {
    let sql = format!(
        "CREATE FUNCTION kf.late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep({seconds}); {end} RETURN NULL; END $$;
         CREATE CONSTRAINT TRIGGER late AFTER INSERT ON kf.ev DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION kf.late()"
    );
    server.query(database, &sql).expect("a trigger");
}

/// A COMMIT that the server gets, on a connection that breaks at once: what the writer was told, and the state as it is then.
fn leave_during_commit(lock_timeout: u64, seconds: u32, end: &str) -> Option<(Result<()>, Store)> {
    let server = pg::shared().map_err(skip).ok()?;
    let database = server.database();
    let proxy = Proxy::to(server.port());
    let patient = |port| Settings { lock_timeout: Duration::from_secs(lock_timeout), ..settings(&server.url(&database, port)) };
    let (store, _) = Store::init(patient(proxy.port())).expect("a new state");
    delay_commits(server, &database, seconds, end);
    proxy.arm("COMMIT\0", Fault::Leave);
    let outcome = add(&store, "m");
    assert_eq!(proxy.fired(), 1, "the fault happened");
    Some((outcome, Store::open(patient(server.port()), Mode::Write).expect("the state")))
}

#[test]
fn a_commit_that_the_server_is_still_at_work_on_is_waited_for() {
    let Some((outcome, store)) = leave_during_commit(30, 2, "") else { return };
    assert!(outcome.is_ok(), "{outcome:?}");
    assert_eq!(found(&store).1, [0, 1]);
}

#[test]
fn a_commit_that_fails_late_is_known_not_to_have_happened() {
    let Some((outcome, store)) = leave_during_commit(30, 2, "RAISE EXCEPTION 'no';") else { return };
    let e = outcome.expect_err("nothing was committed");
    assert!(e.to_string().contains("nothing was changed"), "{e}");
    assert_eq!(found(&store).1, [0]);
}

#[test]
fn a_commit_that_takes_too_long_is_said_to_be_unknown() {
    let Some((outcome, store)) = leave_during_commit(1, 12, "") else { return };
    let e = outcome.expect_err("nobody can know");
    assert!(e.to_string().contains("it is not known whether the change took effect"), "{e}");
    assert!(e.hints().iter().any(|h| h.contains("`kf audit log --action model.made --limit 5`")), "{:?}", e.hints());
    assert_eq!(found(&store).1, [0], "it has not happened yet");
    assert!(crate::support::wait_until(60, || add(&store, "m").is_ok()), "a retry waits for it");
    assert_eq!(found(&store).1, [0, 1], "it happened, once");
}

const WRITERS: usize = 8;
const EACH: usize = 40;

/// Ends the writers when the test fails, so that it fails at once and not when they have lost their patience.
struct GoOn<'a>(&'a AtomicBool);

impl Drop for GoOn<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(false, Ordering::SeqCst);
        }
    }
}

/// One writer: every name it was told is kept. After an error it opens the state again and retries.
fn write_all(url: &str, writer: usize, done: &AtomicUsize, go_on: &AtomicBool) -> Vec<String> {
    let mut store = None;
    let mut acknowledged = Vec::new();
    for i in 0..EACH {
        let name = format!("m-{writer}-{i}");
        for _ in 0..600 {
            if !go_on.load(Ordering::SeqCst) {
                return acknowledged;
            }
            let open = match store.take() {
                Some(open) => Ok(open),
                None => Store::open(settings(url), Mode::Write),
            };
            if let Ok(open) = open
                && add(&open, &name).is_ok()
            {
                store = Some(open);
                acknowledged.push(name);
                done.fetch_add(1, Ordering::SeqCst);
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    acknowledged
}

#[test]
fn eight_writers_lose_nothing_when_the_server_dies() {
    let mut server = match Server::start() {
        Ok(server) => server,
        Err(why) => return skip(&why),
    };
    let database = server.database();
    let url = server.url(&database, server.port());
    Store::init(settings(&url)).expect("a new state");
    let (done, go_on) = (AtomicUsize::new(0), AtomicBool::new(true));
    let acknowledged: Vec<String> = std::thread::scope(|scope| {
        let (url, done, go_on) = (url.as_str(), &done, &go_on);
        let _ends_them = GoOn(go_on);
        let writers: Vec<_> = (0..WRITERS).map(|w| scope.spawn(move || write_all(url, w, done, go_on))).collect();
        for deaths in 1..=3 {
            let soon = WRITERS * EACH * deaths / 4;
            assert!(crate::support::wait_until(60, || done.load(Ordering::SeqCst) >= soon), "the writers go on");
            server.kill().expect("killed");
            server.start_again().expect("started again");
        }
        writers.into_iter().flat_map(|w| w.join().expect("a writer ends")).collect()
    });
    assert_eq!(acknowledged.len(), WRITERS * EACH, "every writer came through");
    let store = Store::open(settings(&url), Mode::Read).expect("the state");
    let (names, numbers) = found(&store);
    assert_eq!(names, acknowledged.into_iter().collect());
    assert_eq!(numbers, (0..=(WRITERS * EACH) as i64).collect::<Vec<_>>(), "one entry each, without a gap");
    assert_eq!(log::head(&store.db()).expect("a head").frontier.size(), (WRITERS * EACH) as u64 + 1);
}
