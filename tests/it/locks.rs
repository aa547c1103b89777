//! What takes longer than a transaction excludes what it would disturb, on this machine and on others that share the state.

use crate::repo::{ok, on_both, refused};
use crate::support::sandbox::Sandbox;
use kf::base::random::Random;
use kf::base::time::Clock;
use kf::store::lock::{Hold, Lock, Matter};
use kf::store::{DbTarget, Identity, Mode, PostgresTarget, Settings, Store};
use std::sync::Arc;
use std::time::Duration;

/// Opens the state of a sandbox as another machine would.
pub(crate) fn elsewhere(sandbox: &Sandbox) -> Store {
    let target = match sandbox.environment().remove("KF_STATE_URL") {
        Some(url) => DbTarget::Postgres(PostgresTarget { url, password: None, schema: "kf".into() }),
        None => DbTarget::Sqlite(sandbox.work().join(".kf/state.db")),
    };
    let settings = Settings {
        target,
        lock_timeout: Duration::from_secs(10),
        identity: Identity { kind: "user".into(), name: "bob@example.com".into(), host: "elsewhere".into() },
        clock: Arc::new(Clock::System),
        random: Arc::new(Random::System),
        seal: None,
        project: "shop".into(),
        copies: sandbox.root().join("tmp"),
        keys: kf::store::objects::Keys::default(),
    };
    Store::open(settings, Mode::Write).expect("the state")
}

fn hold(store: &Store, matter: Matter, hold: Hold, what: &str) -> Lock {
    store.lock(matter, hold, what, &mut |holder| panic!("{holder} has it")).expect("the lock")
}

/// A repository with a bot, and another working directory that has its files and, where the state is on servers, shares it.
fn two_places(sandbox: &Sandbox) -> &'static str {
    sandbox.repository("");
    for dir in ["", "../other/"] {
        sandbox.write(format!("{dir}mlops.toml"), sandbox.read("mlops.toml"));
        sandbox.write(format!("{dir}cfg/prompt.txt"), "text");
    }
    sandbox.works(["register", "bot", "cfg", "--type", "other"]);
    if sandbox.environment().contains_key("KF_STATE_URL") { "../other" } else { "." }
}

#[test]
fn long_work_is_done_by_one_at_a_time() {
    on_both(|s| {
        let place = two_places(s);
        let store = elsewhere(s);
        let held = hold(&store, Matter::Work, Hold::Alone, "gc");
        let to = format!("file://{}", s.root().join("moved").display());
        for args in [
            &["gc", "--apply"][..],
            &["fsck", "--repair"],
            &["state", "move", "--to", "postgres://kf@127.0.0.1:1/none", "--artifacts", &to],
        ] {
            let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(["-C", place, "--lock-timeout", "1s"]).args(args));
            assert_eq!(run.code, Some(11), "kf {args:?}\n{run}");
            assert!(run.stderr.contains("the state is locked by `kf gc` (pid "), "{run}");
        }
        ok(s, ["-C", place, "gc"]);
        ok(s, ["-C", place, "register", "other", "cfg", "--type", "other"]);
        held.check().expect("it is still held");
        drop(held);
        ok(s, ["-C", place, "gc", "--apply"]);
    });
}

#[test]
fn nothing_is_collected_while_objects_are_published() {
    on_both(|s| {
        let place = two_places(s);
        let store = elsewhere(s);
        let held = hold(&store, Matter::Objects, Hold::Shared, "register");
        let run = refused(s, 11, ["-C", place, "gc", "--apply", "--lock-timeout", "1s"]);
        assert!(run.stderr.contains("register"), "{run}");
        s.write("cfg/prompt.txt", "more");
        ok(s, ["register", "bot", "cfg", "--type", "other"]);
        drop(held);
        ok(s, ["-C", place, "gc", "--apply"]);
    });
}

#[test]
fn nothing_is_published_while_objects_are_collected() {
    on_both(|s| {
        let place = two_places(s);
        s.write(format!("{place}/cfg/prompt.txt"), "more");
        let register = ["-C", place, "register", "bot", "cfg", "--type", "other", "--lock-timeout", "1s"];
        let store = elsewhere(s);
        let held = hold(&store, Matter::Objects, Hold::Alone, "gc");
        let run = refused(s, 11, register);
        assert!(run.stderr.contains("the state is locked by `kf gc` (pid "), "{run}");
        drop(held);
        ok(s, register);
        ok(s, ["fsck"]);
    });
}

/// Who waits is told for whom, once it takes longer than a moment.
#[test]
fn who_waits_is_told_for_whom() {
    on_both(|s| {
        let place = two_places(s);
        let store = elsewhere(s);
        let held = hold(&store, Matter::Objects, Hold::Alone, "gc");
        let waits = |words: &[&str], told: bool| {
            let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(["-C", place]).args(words));
            assert_eq!(run.code, Some(11), "kf {words:?}\n{run}");
            assert_eq!(run.stderr.contains("waiting for `kf gc` (pid "), told, "kf {words:?}\n{run}");
        };
        waits(&["register", "new", "cfg", "--type", "other", "--lock-timeout", "3s"], true);
        waits(&["register", "new", "cfg", "--type", "other", "--lock-timeout", "300ms"], false);
        drop(held);
        let held = hold(&store, Matter::Work, Hold::Alone, "gc");
        waits(&["fsck", "--repair", "--lock-timeout", "3s"], true);
        drop(held);
    });
}

#[test]
fn a_lock_that_went_with_its_connection_is_noticed() {
    on_both(|s| {
        two_places(s);
        let Some(url) = s.environment().remove("KF_STATE_URL") else { return };
        let store = elsewhere(s);
        let held = hold(&store, Matter::Work, Hold::Alone, "gc");
        held.check().expect("it is held");
        let database = url.rsplit('/').next().and_then(|d| d.split('?').next()).expect("a database");
        let server = crate::support::pg::shared().expect("a server");
        let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'kf gc%elsewhere)'";
        assert_eq!(server.query(database, kill).as_deref(), Ok("t"), "its session was there, with its name");
        let e = held.check().expect_err("it is gone");
        assert!(e.to_string().contains("the lock of the state was lost"), "{e}");
        ok(s, ["gc", "--apply"]);
    });
}
