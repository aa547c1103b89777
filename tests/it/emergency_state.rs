//! What `kf rollback --emergency` wrote down, and what becomes of it: signatures, `kf fsck`, `kf state move`, a state on PostgreSQL.

use crate::canary::{canary_at_30, phase};
use crate::emergency::{EMERGENCY, How, entries, events, losing, moved};
use crate::repo::{json, ok};
use crate::support::gateway::{Gateway, Place, digest, register, repository};
use crate::support::rollout::live as kf;
use crate::support::sandbox::Sandbox;
use crate::support::{pg, skip, wait_until};
use serde_json::json as value;

/// An order that is written down, and which the target cannot carry out: 1.0.2 is there and never ready.
#[track_caller]
fn fails(s: &Sandbox, place: &Place, how: How) {
    register(s, &value!({"unready": true}));
    let arm = value!({"version": "1.0.2", "digest": digest(s, "1.0.2")});
    assert_eq!(place.ask("POST", "/v1/versions", "", &arm).0, 202);
    let lost = losing(s, how);
    let failed = kf(s, &[&EMERGENCY[..], &["--to", "1.0.2", "--max-wait", "1s"]].concat());
    assert_eq!((failed.code, entries(s).len()), (Some(1), 1), "{failed}");
    drop(lost);
}

/// One entry that was changed is told of and stays outside; the one after it is taken in, and every command does its work.
#[test]
fn a_changed_entry_stays_outside_and_blocks_nothing_else() {
    let s = &Sandbox::new();
    let place = repository(s);
    let _gateway = Gateway::serving(s);
    canary_at_30(s, &place);
    ok(s, ["audit", "key", "--generate", "--out", "log.key"]);
    s.write("mlops.toml", format!("{}[signing]\nlog-key = \"file:log.key\"\n", s.read("mlops.toml")));
    let key = ok(s, ["audit", "key"]).stdout;
    let (name, _) = key.trim().split_once('+').expect("a public key");
    fails(s, &place, How::Damaged);
    let lost = losing(s, How::Damaged);
    let first = entries(s).remove(0);
    let done = moved(&kf(s, &[&EMERGENCY[..], &["--format", "json"]].concat()));
    assert_eq!((done["signed"].as_bool(), done["to"].as_str()), (Some(true), Some("1.0.0")), "{done}");
    let whole = std::fs::read_to_string(&first).expect("an entry");
    std::fs::write(&first, whole.replace("\"to\":\"1.0.2\"", "\"to\":\"1.0.3\"")).expect("changed");
    assert_ne!(std::fs::read_to_string(&first).expect("an entry"), whole);
    drop(lost);

    let next = kf(s, &["list"]);
    let file = first.file_name().expect("a name").to_string_lossy().into_owned();
    for words in ["not in the state yet", file.as_str(), "does not match the text", "is in the audit log now: bot@1.0.0"] {
        assert!(next.code == Some(0) && next.stderr.contains(words), "{words}: {next}");
    }
    assert_eq!((entries(s), phase(s)["phase"].as_str()), (vec![first.clone()], Some("rolled-back")));
    let known = events(s);
    let shown = ok(s, ["audit", "show", &known[0]["index"].to_string()]).stdout;
    assert!(known.len() == 1 && shown.contains("signed-by") && shown.contains(name), "{shown}");

    let red = kf(s, &["status"]);
    assert!(red.code == Some(3) && red.stdout.contains("1 emergency rollback not in the state yet"), "{red}");
    let checked = kf(s, &["fsck", "--format", "json"]);
    let findings = json(&checked)["findings"].clone();
    let subject = format!("emergency rollback {file}");
    assert_eq!(
        (checked.code, findings.as_array().map(Vec::len), findings[0]["subject"].as_str()),
        (Some(3), Some(1), Some(&*subject))
    );
    let kept = kf(s, &["state", "move", "--to", "postgres://kf@127.0.0.1:1/kf?sslmode=disable"]);
    for words in ["1 emergency rollback not in this state yet, so it is not moved", "`kf status` takes them in", ".aside'`"] {
        assert!(kept.code == Some(1) && kept.stderr.contains(words), "{words}: {kept}");
    }
    std::fs::write(&first, whole).expect("as it was");
    assert_eq!(kf(s, &["status"]).code, Some(0));
    assert_eq!((events(s).len(), entries(s).len()), (2, 0));
    ok(s, ["fsck"]);
    ok(s, ["audit", "verify"]);
}

#[test]
fn fsck_tells_of_what_the_state_does_not_know() {
    let s = &Sandbox::new();
    let place = repository(s);
    let _gateway = Gateway::serving(s);
    canary_at_30(s, &place);
    ok(s, ["fsck"]);
    let lost = losing(s, How::Locked);
    moved(&kf(s, &[&EMERGENCY[..], &["--format", "json"]].concat()));
    let checked = kf(s, &["fsck", "--format", "json"]);
    let findings = json(&checked)["findings"].clone();
    assert_eq!((checked.code, findings.as_array().map(Vec::len)), (Some(3), Some(1)), "{checked}");
    let problem = findings[0]["problem"].as_str().expect("words");
    assert!(problem.contains("gave the traffic of local to bot@1.0.0") && problem.contains("(not signed"), "{problem}");
    assert_eq!(findings[0]["fix"], "`kf status` takes it in, or says why it cannot");
    drop(lost);
    ok(s, ["fsck"]);
    assert_eq!((events(s).len(), entries(s).len()), (1, 0));
}

/// What waits is taken in before a state is moved; and on a server that was locked each entry comes to the log once, however many
/// commands see it at the same time.
#[test]
fn a_state_on_a_server_hears_of_each_once() {
    let server = match pg::shared() {
        Ok(server) => server,
        Err(why) => return skip(why),
    };
    let s = &Sandbox::new();
    let place = repository(s);
    let _gateway = Gateway::serving(s);
    canary_at_30(s, &place);
    fails(s, &place, How::Missing);
    let database = server.database();
    let url = server.url(&database, server.port());
    let there = kf(s, &["state", "move", "--to", &url]);
    assert!(there.code == Some(0) && there.stderr.contains("is in the audit log now"), "{there}");
    s.write("mlops.toml", format!("{}[state]\nurl = \"{url}\"\n", s.read("mlops.toml")));
    assert_eq!((events(s).len(), entries(s).len()), (1, 0));

    let sleeps = "FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()";
    let ask = |sql: &str| server.query(&database, sql).expect("an answer");
    let table = ask("SELECT schemaname || '.log_head' FROM pg_tables WHERE tablename = 'log_head'");
    let hold = format!("BEGIN; SELECT 1 FROM {table} FOR UPDATE; SELECT pg_sleep(600)");
    let done = std::thread::scope(|scope| {
        let holder = scope.spawn(|| server.query(&database, &hold));
        assert!(wait_until(60, || ask(&format!("SELECT count(*) {sleeps}")) == "1"), "somebody else writes");
        let done = kf(s, &[&EMERGENCY[..], &["--format", "json"]].concat());
        let pending = entries(s).len();
        ask(&format!("SELECT pg_terminate_backend(pid) {sleeps}"));
        assert!(holder.join().expect("it ends").is_err(), "it held the lock until it was ended");
        assert_eq!(pending, 1, "{done}");
        done
    });
    assert_eq!(moved(&done)["to"], "1.0.0", "{done}");
    let runs = std::thread::scope(|scope| {
        let all: Vec<_> = (0..4).map(|_| scope.spawn(|| kf(s, &["status"]))).collect();
        all.into_iter().map(|run| run.join().expect("it ends")).collect::<Vec<_>>()
    });
    // Who comes while another writes may leave it to that one.
    assert!(runs.iter().all(|run| [Some(0), Some(3)].contains(&run.code) && !run.stderr.contains("cannot")), "{runs:?}");
    assert_eq!(kf(s, &["status"]).code, Some(0));
    assert_eq!((events(s).len(), entries(s).len(), phase(s)["phase"].as_str()), (2, 0, Some("rolled-back")));
    ok(s, ["fsck"]);
    ok(s, ["audit", "verify"]);
}
