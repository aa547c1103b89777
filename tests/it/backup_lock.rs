//! Locks of backups: nobody removes what is locked, what was hidden by a deletion is still read, and whether locks hold is tried.
//!
//! moto keeps locks of buckets but allows to shorten them, which real servers do not in compliance: kf tells that. These tests run at the
//! time of the machine, because the server compares locks with it.

use crate::backup::prepare;
use crate::repo::next_bot;
use crate::support::proxy::{Fault, Proxy};
use crate::support::s3::Server;
use crate::support::sandbox::{Run, Sandbox};
use crate::support::{s3, skip};
use serde_json::Value;

/// A repository whose backups go to a bucket, by a plan that locks them; `None` where there is no server.
fn locked(plan: &str) -> Option<(Sandbox, &'static Server, String)> {
    let server = match s3::shared() {
        Ok(server) => server,
        Err(why) => {
            skip(why);
            return None;
        }
    };
    let (mut s, bucket) = (Sandbox::new(), server.locked_bucket());
    prepare(&mut s, &format!("s3://{bucket}/kf"));
    s.write("mlops.toml", format!("{}[backup.plans.daily]\n{plan}\n", s.read("mlops.toml")));
    Some((s, server, bucket))
}

const DAILY: &str = "keep-last = 1\nlock-days = 5\nlock-mode = \"compliance\"";

/// Runs kf at the time of the machine, some days later.
fn kf_after(s: &Sandbox, days: Option<i64>, args: &[&str]) -> Run {
    let mut command = s.command(env!("CARGO_BIN_EXE_kf"));
    match days {
        None => command.env_remove("KF_CLOCK"),
        Some(days) => command.env("KF_CLOCK", now().plus_micros(days * 86_400_000_000).to_string()),
    };
    s.finish(command.args(args))
}

fn now() -> kf::base::time::Timestamp {
    kf::base::time::Clock::System.now()
}

#[track_caller]
fn works(s: &Sandbox, args: &[&str]) -> Run {
    let run = kf_after(s, None, args);
    assert_eq!(run.code, Some(0), "kf {args:?}\n{run}");
    run
}

fn doc(run: &Run) -> Value {
    crate::repo::json(run)
}

/// Every version in a bucket: key, version and whether it is the marker of a deletion.
fn versions(server: &Server, bucket: &str) -> Vec<(String, String, bool)> {
    let (status, body) = server.request("GET", &format!("/{bucket}?versions&max-keys=1000"), "").expect("a list");
    assert_eq!(status, 200, "{body}");
    let tag = |text: &str, name: &str| -> String {
        let (_, rest) = text.split_once(&format!("<{name}>")).expect("a tag");
        rest.split_once("</").expect("its end").0.to_owned()
    };
    let mut all = Vec::new();
    for (name, marker) in [("<Version>", false), ("<DeleteMarker>", true)] {
        all.extend(body.split(name).skip(1).map(|item| (tag(item, "Key"), tag(item, "VersionId"), marker)));
    }
    all
}

/// When the lock of a version ends, as the server tells it.
fn until(server: &Server, bucket: &str, (key, id, _): &(String, String, bool)) -> Option<String> {
    server.header(&format!("/{bucket}/{key}?versionId={id}"), "x-amz-object-lock-retain-until-date")
}

fn lock(server: &Server, bucket: &str, (key, id, _): &(String, String, bool), time: &str) {
    let body = format!("<Retention><Mode>COMPLIANCE</Mode><RetainUntilDate>{time}</RetainUntilDate></Retention>");
    let header = "x-amz-sdk-checksum-algorithm: SHA256\r\n";
    let path = format!("/{bucket}/{key}?retention&versionId={id}");
    let (status, body) = server.request_with("PUT", &path, header, &body).expect("an answer");
    assert_eq!(status, 200, "{body}");
}

fn is_of_a_set((key, ..): &&(String, String, bool)) -> bool {
    key.contains("/sha256/") || key.contains("/sets/")
}

#[test]
fn everything_that_a_set_names_is_locked_and_a_lock_is_never_shortened() {
    let Some((s, server, bucket)) = locked(DAILY) else { return };
    let run = works(&s, &["backup", "run"]);
    assert!(run.stdout.contains("what is locked cannot be removed, but its lock can be shortened"), "{run}");
    let shown = doc(&works(&s, &["backup", "show", "latest", "--format", "json"]));
    let wanted = shown["manifest"]["lock"]["until"].as_str().expect("a time").to_owned();
    assert_eq!(
        (shown["lock"]["until"].as_str(), shown["lock"]["mode"].as_str()),
        (Some(wanted.as_str()), Some("compliance")),
        "{shown}"
    );
    let all = versions(server, &bucket);
    assert!(all.iter().filter(is_of_a_set).count() > 6, "{all:?}");
    for version in all.iter().filter(is_of_a_set) {
        assert!(until(server, &bucket, version).is_some_and(|time| time >= wanted), "{version:?}");
        let (status, _) =
            server.request("DELETE", &format!("/{bucket}/{}?versionId={}", version.0, version.1), "").expect("an answer");
        assert_eq!(status, 403, "{version:?} could be removed");
    }
    works(&s, &["backup", "verify", "--read-data", "all"]);
    // The next set names some of the same objects: those that are locked for longer stay so, one that is not is locked again.
    let objects: Vec<_> = all.iter().filter(|v| v.0.contains("/sha256/")).collect();
    lock(server, &bucket, objects[0], "2099-01-01T00:00:00Z");
    next_bot(&s, 6);
    s.write("mlops.toml", s.read("mlops.toml").replace("lock-days = 5", "lock-days = 9"));
    works(&s, &["backup", "run"]);
    assert_eq!(until(server, &bucket, objects[0]).as_deref(), Some("2099-01-01T00:00:00Z"));
    // Nothing is proven yet, which is another matter.
    let second = doc(&kf_after(&s, None, &["backup", "status", "--format", "json"]))["plans"][0]["locked_until"]
        .as_str()
        .expect("a time")
        .to_owned();
    assert!(second > wanted, "{second} {wanted}");
    works(&s, &["backup", "verify", "--read-data", "all"]);
    // One object's lock is shorter than the set says: that is found.
    let manifest = doc(&works(&s, &["backup", "show", "latest", "--format", "json"]));
    let digest = manifest["manifest"]["components"][0]["stored"]["object"]
        .as_str()
        .expect("a digest")
        .trim_start_matches("sha256:")
        .to_owned();
    let all = versions(server, &bucket);
    let one = all.iter().find(|v| v.0.ends_with(&digest[2..])).expect("the object");
    lock(server, &bucket, one, "2001-01-01T00:00:00Z");
    let found = kf_after(&s, None, &["backup", "verify", "latest"]);
    assert!(
        found.code == Some(3) && found.stdout.contains("it is locked until 2001-01-01T00:00:00Z, and should be until"),
        "{found}"
    );
}

#[test]
fn what_somebody_deleted_or_overwrote_is_told_and_comes_back() {
    let Some((s, server, bucket)) = locked(DAILY) else { return };
    works(&s, &["backup", "run"]);
    let set = doc(&works(&s, &["backup", "list", "--format", "json"]))["sets"][0]["set"].as_str().expect("a set").to_owned();
    for (key, ..) in versions(server, &bucket) {
        let (status, _) = server.request("DELETE", &format!("/{bucket}/{key}"), "").expect("an answer");
        assert_eq!(status, 204, "a plain deletion puts a marker");
    }
    let list = works(&s, &["backup", "list"]);
    assert!(list.stdout.contains(&format!("somebody deleted or overwrote the manifest of {set}")), "{list}");
    let status = kf_after(&s, None, &["backup", "status"]);
    assert!(status.code == Some(3) && status.stdout.contains("somebody deleted or overwrote the manifest of"), "{status}");
    works(&s, &["backup", "verify", "latest", "--read-data", "all"]);
    works(&s, &["backup", "restore", "latest", "--to", "../back"]);
    assert_eq!(std::fs::read(s.root().join("back/restored/uploads/a/photo.bin")).expect("a file"), vec![7; 200_000]);
    // Something else under the name of the manifest.
    let put = |key: &str| {
        let (status, body) = server.request("PUT", &format!("/{bucket}/{key}"), "nonsense").expect("an answer");
        assert_eq!(status, 200, "{body}");
    };
    put(&format!("kf/sets/{set}"));
    works(&s, &["backup", "verify", "latest", "--read-data", "all"]);
    assert!(works(&s, &["backup", "list"]).stdout.contains("deleted or overwrote"));
    // And over every object: that is found, and what is locked under it still comes back.
    for (key, ..) in versions(server, &bucket).iter().filter(|(key, ..)| key.contains("/sha256/")) {
        put(key);
    }
    assert_eq!(kf_after(&s, None, &["backup", "verify", "latest", "--read-data", "all"]).code, Some(3));
    std::fs::remove_dir_all(s.root().join("back")).expect("removed");
    works(&s, &["backup", "restore", "latest", "--component", "uploads", "--to", "../back"]);
    assert_eq!(std::fs::read(s.root().join("back/restored/uploads/a/photo.bin")).expect("a file"), vec![7; 200_000]);
}

#[test]
fn prune_leaves_what_is_locked_and_removes_it_for_good_afterwards() {
    let Some((s, server, bucket)) = locked(DAILY) else { return };
    works(&s, &["backup", "run"]);
    let first = doc(&works(&s, &["backup", "list", "--format", "json"]))["sets"][0]["set"].as_str().expect("a set").to_owned();
    next_bot(&s, 6);
    works(&s, &["backup", "run"]);
    let pruned = doc(&works(&s, &["backup", "prune", "--apply", "--format", "json"]));
    let of = |doc: &Value| doc["sets"].as_array().expect("sets").iter().find(|set| set["set"] == first.as_str()).cloned();
    let fate = of(&pruned).expect("the first set");
    assert!(fate["kept"] == true && fate["because"].as_str().is_some_and(|why| why.starts_with("locked until")), "{fate}");
    // The clock here is ahead: the place knows better, and nothing is removed.
    let ahead = kf_after(&s, Some(30), &["backup", "prune", "--apply", "--clock-is-right"]);
    assert!(ahead.code == Some(1) && ahead.stderr.contains("is still locked by its place"), "{ahead}");
    works(&s, &["backup", "verify", &first, "--read-data", "all"]);
    // The locks have ended.
    for version in versions(server, &bucket).iter().filter(|version| !version.2) {
        lock(server, &bucket, version, "2001-01-01T00:00:00Z");
    }
    let removed = doc(&kf_after(&s, Some(30), &["backup", "prune", "--apply", "--clock-is-right", "--format", "json"]));
    assert!(removed["removed"] == true && of(&removed).is_some_and(|fate| fate["kept"] == false), "{removed}");
    let left = versions(server, &bucket);
    assert!(!left.iter().any(|(key, ..)| key.ends_with(&first)), "no version and no marker is left: {left:?}");
    let list = works(&s, &["backup", "list", "--format", "json"]);
    assert_eq!(doc(&list)["sets"].as_array().map(Vec::len), Some(1), "{list}");
    let read = kf_after(&s, None, &["backup", "verify", "--read-data", "all"]);
    assert!(!read.stdout.contains("missing"), "{read}");
}

#[test]
fn a_place_that_keeps_no_locks_is_told_and_the_set_is_kept() {
    let Some((mut s, server, bucket)) = locked(DAILY) else { return };
    // A server that removes what is locked.
    let proxy = Proxy::to(server.port());
    s.set("AWS_ENDPOINT_URL", &format!("http://127.0.0.1:{}", proxy.port()));
    proxy.arm("DELETE /", Fault::http("204 No Content", ""));
    let run = kf_after(&s, None, &["backup", "run"]);
    assert!(run.code == Some(3) && run.stdout.contains("WORM is not enforced here"), "{run}");
    works(&s, &["backup", "verify", "--read-data", "all"]);
    proxy.arm("DELETE /", Fault::http("204 No Content", ""));
    let drill = kf_after(&s, None, &["backup", "drill"]);
    assert!(drill.code == Some(3) && drill.stdout.contains("WORM is not enforced here"), "{drill}");
    assert_eq!(proxy.fired(), 2);
    assert!(drill.stdout.contains("was restored, and all of it is there"), "it is proven all the same: {drill}");
    // A bucket that was made without locks.
    s.write("mlops.toml", s.read("mlops.toml").replace(&format!("s3://{bucket}/kf"), &server.fresh()));
    let run = kf_after(&s, None, &["backup", "run"]);
    assert!(run.code == Some(3) && run.stdout.contains("this place has no locks"), "{run}");
    works(&s, &["backup", "verify", "--read-data", "all"]);
    let status = kf_after(&s, None, &["backup", "status"]);
    assert!(status.stdout.contains("the last backup is not locked"), "{status}");
}

#[test]
fn locks_where_none_can_be_are_refused() {
    let mut s = Sandbox::new();
    prepare(&mut s, "file:///tmp/kf-nowhere");
    let with = |plan: &str| {
        let text = s.read("mlops.toml");
        s.write("mlops.toml", format!("{text}[backup.plans.daily]\nkeep-last = 1\n{plan}\n"));
        let run = s.kf(["config", "check"]);
        s.write("mlops.toml", text);
        run
    };
    let none = with("lock-days = 5");
    assert!(none.code == Some(2) && none.stderr.contains("needs a place with locks"), "{none}");
    let mode = with("lock-mode = \"compliance\"");
    assert!(mode.code == Some(2) && mode.stderr.contains("locks nothing without `lock-days`"), "{mode}");
    let long = with("lock-days = 99999");
    assert!(long.code == Some(2) && long.stderr.contains("more than a hundred years"), "{long}");
}
