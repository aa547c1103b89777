//! `kf rollback --emergency` while the state cannot be used (DESIGN 2.1): traffic moves by what the target shows, and the state hears of
//! it from the journal, once.

use crate::canary::{Driver, PLAN, canary_at_30, phase};
use crate::repo::{json, ok};
use crate::schemas::fit;
use crate::support::free_port;
use crate::support::gateway::{Gateway, configure, register, repository};
use crate::support::rollout::{Asked, Users, live as kf};
use crate::support::sandbox::{Run, Sandbox};
use serde_json::{Value, json as value};
use std::path::PathBuf;
use std::time::Duration;

/// The command.
pub(crate) const EMERGENCY: [&str; 3] = ["rollback", "bot", "--emergency"];

/// The entries that wait.
pub(crate) fn entries(s: &Sandbox) -> Vec<PathBuf> {
    let listed = std::fs::read_dir(s.work().join(".kf/emergency")).into_iter().flatten().flatten();
    // Who is killed while it writes leaves a part of a file, which is no entry.
    listed.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "entry")).collect()
}

/// The events of emergencies.
pub(crate) fn events(s: &Sandbox) -> Vec<Value> {
    let log = json(&ok(s, ["audit", "log", "--format", "json"]));
    let all = log["entries"].as_array().cloned().expect("entries");
    all.into_iter().filter(|event| event["action"] == "rollback.emergency").collect()
}

/// What becomes of a state.
#[derive(Clone, Copy, Debug)]
pub(crate) enum How {
    /// Its file is overwritten.
    Damaged,
    /// Its file is gone.
    Missing,
    /// Somebody else writes.
    Locked,
}

/// A state that cannot be used as long as this lives; then it is as it was.
pub(crate) struct Lost<'a> {
    aside: Option<&'a Sandbox>,
    _writer: Option<rusqlite::Connection>,
}

/// The state file, and whatever lies beside it and is of it; and where they are meanwhile.
fn files(s: &Sandbox) -> impl Iterator<Item = (PathBuf, PathBuf)> {
    let work = s.work();
    ["", "-wal", "-shm"].into_iter().map(move |end| (work.join(format!(".kf/state.db{end}")), work.join(format!("kept.db{end}"))))
}

/// Takes the state away.
pub(crate) fn losing(s: &Sandbox, how: How) -> Lost<'_> {
    if matches!(how, How::Locked) {
        let db = rusqlite::Connection::open(s.work().join(".kf/state.db")).expect("the state");
        db.execute_batch("BEGIN IMMEDIATE").expect("the writer's lock");
        return Lost { aside: None, _writer: Some(db) };
    }
    for (path, kept) in files(s).filter(|(path, _)| path.exists()) {
        std::fs::rename(path, kept).expect("set aside");
    }
    if matches!(how, How::Damaged) {
        s.write(".kf/state.db", "this is no database ".repeat(500));
    }
    Lost { aside: Some(s), _writer: None }
}

impl Drop for Lost<'_> {
    fn drop(&mut self) {
        for (path, kept) in self.aside.into_iter().flat_map(files) {
            let _ = std::fs::remove_file(&path);
            let _ = std::fs::rename(kept, path);
        }
    }
}

#[track_caller]
pub(crate) fn moved(run: &Run) -> Value {
    assert_eq!(run.code, Some(0), "{run}");
    assert!(run.stderr.contains("the state cannot be used"), "{run}");
    let document = json(run);
    fit("rollback-emergency", std::slice::from_ref(&document));
    document
}

#[test]
fn a_canary_is_taken_back_while_the_state_is_locked_and_the_state_hears_of_it_once() {
    let s = &Sandbox::new();
    let place = repository(s);
    let _gateway = Gateway::serving(s);
    canary_at_30(s, &place);
    let locked = losing(s, How::Locked);
    let args = ["rollback", "bot", "--emergency", "--reason", "wrong language", "--ticket", "INC-9", "--format", "json"];
    let done = moved(&kf(s, &args));
    let said = ["from", "to", "changed", "signed"].map(|key| done[key].clone());
    assert_eq!(said, [value!("1.0.1"), value!("1.0.0"), value!(true), value!(false)], "{done}");
    assert_eq!(place.ask("GET", "/v1/table", "", &Value::Null).1["effective"], 0);
    let kept = entries(s);
    assert_eq!(kept.len(), 1, "{kept:?}");
    let text = std::fs::read_to_string(&kept[0]).expect("an entry");
    drop(locked);
    let next = kf(s, &["list"]);
    assert!(next.code == Some(0) && next.stderr.contains("is in the audit log now"), "{next}");
    assert_eq!((phase(s)["phase"].as_str(), entries(s).len()), (Some("rolled-back"), 0));
    let known = events(s);
    assert_eq!((known.len(), known[0]["ticket"].as_str()), (1, Some("INC-9")), "{known:?}");
    // Whoever took it in may have been killed before the entry was gone.
    std::fs::write(&kept[0], text).expect("put back");
    assert_eq!(kf(s, &["status"]).code, Some(0));
    assert_eq!((events(s).len(), entries(s).len()), (1, 0));
    ok(s, ["fsck"]);
    ok(s, ["audit", "verify"]);
}

#[test]
fn what_served_before_comes_back_while_the_state_is_damaged() {
    let s = &Sandbox::new();
    let place = repository(s);
    configure(s, &place, PLAN);
    let _gateway = Gateway::serving(s);
    register(s, &value!({"better": true}));
    let users = Users::of(place.users);
    let released = kf(s, &["canary", "start", "bot@1.0.1"]);
    assert_eq!((released.code, place.get("/").1.as_str()), (Some(0), "1.0.1"), "{released}");
    let damaged = losing(s, How::Damaged);
    let wrong = kf(s, &["rollback", "bot", "--emergency", "--expect", "1.0.0"]);
    assert!(wrong.code == Some(1) && wrong.stderr.contains("the target shows bot@1.0.1"), "{wrong}");
    let dry = kf(s, &["rollback", "bot", "--emergency", "--dry-run", "--format", "json"]);
    assert_eq!((moved(&dry)["to"].as_str(), place.get("/").1.as_str(), entries(s).len()), (Some("1.0.0"), "1.0.1", 0));
    let done = moved(&kf(s, &["rollback", "bot", "--emergency", "--format", "json"]));
    assert_eq!((done["from"].as_str(), done["to"].as_str()), (Some("1.0.1"), Some("1.0.0")), "{done}");
    assert_eq!(place.get("/"), (200, "1.0.0".to_owned()));
    let again = moved(&kf(s, &["rollback", "bot", "--emergency", "--to", "1.0.0", "--format", "json"]));
    assert_eq!((again["changed"].as_bool(), entries(s).len()), (Some(false), 1), "{again}");
    drop(damaged);
    assert_eq!(json(&ok(s, ["show", "bot@production", "--format", "json"]))["version"], "1.0.0");
    assert_eq!((events(s).len(), entries(s).len()), (1, 0));
    let Asked { lost, .. } = users.end();
    assert_eq!(lost, 0, "nobody was without an answer");
    ok(s, ["fsck"]);
}

#[test]
fn a_server_of_the_state_that_is_gone_keeps_nobody_from_going_back() {
    let s = &Sandbox::new();
    let place = repository(s);
    let _gateway = Gateway::serving(s);
    canary_at_30(s, &place);
    let said = s.read("mlops.toml");
    s.write("mlops.toml", format!("{said}[state]\nurl = \"postgres://kf@127.0.0.1:{}/kf\"\n", free_port()));
    let done = moved(&kf(s, &["rollback", "bot", "--emergency", "--format", "json"]));
    assert_eq!(done["to"], "1.0.0", "{done}");
    s.write("mlops.toml", said);
    assert_eq!(kf(s, &["status"]).code, Some(0));
    assert_eq!((phase(s)["phase"].as_str(), events(s).len()), (Some("rolled-back"), 1));
    ok(s, ["fsck"]);
}

#[test]
fn whoever_is_killed_on_the_way_back_is_followed() {
    let s = &Sandbox::new();
    let place = repository(s);
    let _gateway = Gateway::serving(s);
    canary_at_30(s, &place);
    let damaged = losing(s, How::Damaged);
    for round in 1..12_u64 {
        let driver = Driver::start(s, &["rollback", "bot", "--emergency"]);
        std::thread::sleep(Duration::from_millis(25 * round));
        drop(driver);
    }
    let done = kf(s, &["rollback", "bot", "--emergency"]);
    assert_eq!(done.code, Some(0), "{done}");
    assert!(!entries(s).is_empty(), "whoever moved the traffic had said so before");
    drop(damaged);
    assert_eq!(kf(s, &["status"]).code, Some(0));
    assert_eq!(entries(s).len(), 0);
    if phase(s)["open"] == true {
        kf(s, &["canary", "run", "bot"]);
    }
    assert_eq!((phase(s)["phase"].as_str(), place.get("/").1.as_str()), (Some("rolled-back"), "1.0.0"));
    ok(s, ["fsck"]);
}

#[test]
fn an_entry_that_tells_nothing_keeps_the_status_red() {
    let s = &Sandbox::new();
    repository(s);
    s.write(".kf/emergency/0193.entry", "{}\n");
    let red = kf(s, &["status"]);
    assert_eq!(red.code, Some(3), "{red}");
    assert!(red.stdout.contains("1 emergency rollback not in the state yet") && red.stderr.contains("0193.entry"), "{red}");
}
