//! What was found out about backups by somebody who meant harm: other states with the same place, clocks that are years ahead, places
//! that are gone, states that only seem damaged.

use crate::backup::{files, prepare, set};
use crate::repo::{ends, json, ok};
use crate::support::sandbox::{Run, Sandbox};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

const DAY: i64 = 86_400_000_000;

fn in_folder() -> Sandbox {
    let mut s = Sandbox::new();
    let place = format!("file://{}", s.work().join("place").display());
    prepare(&mut s, &place);
    s
}

/// Runs kf when its clock says that it is so many days later.
fn after(s: &Sandbox, days: i64, args: &[&str]) -> Run {
    let time = kf::base::time::Timestamp::from_micros(s.next_start() + days * DAY);
    s.finish(s.command(env!("CARGO_BIN_EXE_kf")).env("KF_CLOCK", time.to_string()).args(args))
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("there").permissions().mode() & 0o777
}

/// The lock is one of the state, and somebody prunes the place with another one.
#[test]
fn no_set_is_made_whose_objects_are_gone() {
    let s = in_folder();
    let right = s.read("mlops.toml");
    let objects = s.work().join("place/sha256").display().to_string();
    // All that is there by then, or only what is large: the list of objects is not.
    for removes in [format!("rm -rf {objects}"), format!("find {objects} -type f -size +8k -delete")] {
        let removing = format!("command = [\"sh\", \"-c\", \"{removes}; echo words\"]");
        let text = right.replace("command = [\"echo\", \"some words\"]", &removing);
        assert_ne!(text, right);
        s.write("mlops.toml", text);
        let run = ends(&s, 1, ["backup", "run"]);
        assert!(
            run.stderr.contains("gone from files in") && run.stderr.contains("of another copy of this state"),
            "{removes}: {run}"
        );
        let sets = s.work().join("place/sets");
        assert!(files(&s.work().join("place")).iter().all(|path| !path.starts_with(&sets)), "{removes}: no manifest");
    }
    s.write("mlops.toml", right);
    ok(&s, ["backup", "run"]);
    ok(&s, ["backup", "verify", "--read-data", "all"]);
}

#[test]
fn modes_and_holes_come_back_and_nobody_else_reads_them() {
    let s = in_folder();
    let uploads = s.work().join("uploads");
    let holes = std::fs::File::create(uploads.join("holes")).expect("a file");
    holes.set_len(4 << 20).expect("a hole");
    std::fs::set_permissions(uploads.join("a"), std::os::unix::fs::PermissionsExt::from_mode(0o555)).expect("a mode");
    std::fs::set_permissions(&uploads, std::os::unix::fs::PermissionsExt::from_mode(0o710)).expect("a mode");
    ok(&s, ["backup", "run"]);
    ok(&s, ["backup", "drill"]);
    let back = s.root().join("back");
    ok(&s, ["backup", "restore", "latest", "--to", &back.display().to_string()]);
    let restored = back.join("restored/uploads");
    assert_eq!((mode(&back), mode(&restored), mode(&restored.join("a"))), (0o700, 0o710, 0o555));
    assert_eq!(std::fs::metadata(restored.join("holes")).expect("there").len(), 4 << 20);
    // Over what is there: that is kept in a set, which is read again first.
    let other = s.root().join("other");
    std::fs::create_dir(&other).expect("a folder");
    let file = std::fs::File::create(other.join("theirs")).expect("a file");
    file.set_len(4 << 20).expect("a hole");
    let into = other.display().to_string();
    let run = ok(&s, ["backup", "restore", "latest", "--component", "uploads", "--into", &into, "--force", "--format", "json"]);
    let safety = json(&run)["safety"].as_str().expect("a set").to_owned();
    assert_eq!(mode(&other), 0o710, "{run}");
    let way_back = s.root().join("way-back");
    ok(&s, ["backup", "restore", &safety, "--component", "uploads", "--to", &way_back.display().to_string()]);
    assert_eq!(std::fs::metadata(way_back.join("restored/uploads/theirs")).expect("there").len(), 4 << 20);
}

/// One jump of the clock: what it left must neither hide nor be what is older than it says.
#[test]
fn what_a_clock_years_ahead_left_silences_nobody() {
    let s = in_folder();
    let right = set(&ok(&s, ["backup", "run", "--format", "json"]));
    let ahead = set(&after(&s, 3650, &["backup", "run", "--format", "json"]));
    assert_eq!(after(&s, 3650, &["backup", "drill"]).code, Some(0));
    let latest = ok(&s, ["backup", "verify", "latest", "--format", "json"]);
    assert_eq!(json(&latest)["set"], right.as_str());
    assert!(latest.stderr.contains(&ahead) && latest.stderr.contains("the clock here says"), "{latest}");
    ok(&s, ["backup", "drill"]);
    let status = ends(&s, 3, ["backup", "status"]);
    assert!(status.stdout.contains(&format!("{ahead}, or a drill of it, is of a time yet to come")), "{status}");
    // No set for a week: told, although there is one of a later time.
    let late = after(&s, 7, &["backup", "status"]);
    assert!(late.code == Some(3) && late.stdout.contains("hours old"), "{late}");
    assert!(after(&s, 7, &["health"]).stdout.contains("hours old"), "the log alone tells it, too");
    // Who has looked removes what the clock left.
    std::fs::remove_file(s.work().join("place/sets").join(&ahead)).expect("removed");
    ok(&s, ["backup", "status"]);
}

#[test]
fn strange_files_hold_nothing_back_and_damaged_manifests_are_told() {
    let s = in_folder();
    let first = set(&ok(&s, ["backup", "run", "--format", "json"]));
    ok(&s, ["backup", "drill"]);
    let second = set(&ok(&s, ["backup", "run", "--format", "json"]));
    let sets = s.work().join("place/sets");
    std::fs::write(sets.join(".DS_Store"), "strange").expect("written");
    let orphan = s.work().join("place/sha256/ab").join("0".repeat(62));
    std::fs::create_dir_all(orphan.parent().expect("a folder")).expect("a folder");
    std::fs::write(&orphan, "nobody's").expect("written");
    let long_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
    std::fs::File::open(&orphan).and_then(|file| file.set_modified(long_ago)).expect("dated");
    let path = sets.join(&second);
    let text = std::fs::read_to_string(&path).expect("a manifest");
    std::fs::remove_file(&path).expect("removed");
    std::fs::write(&path, text.replace("\"kf\":", "\"kg\":")).expect("written");
    let to = s.root().join("back").display().to_string();
    for run in [ends(&s, 3, ["backup", "verify", &second]), ends(&s, 3, ["backup", "restore", &second, "--to", &to])] {
        assert!(run.stderr.contains("is damaged"), "{run}");
    }
    let latest = ok(&s, ["backup", "verify", "latest", "--format", "json"]);
    assert_eq!(json(&latest)["set"], first.as_str());
    assert!(latest.stderr.contains(&format!("the newer set {second} is not taken for the latest")), "{latest}");
    let status = ends(&s, 3, ["backup", "status"]);
    assert!(status.stdout.contains(&format!("the manifest of {second} cannot be read")), "{status}");
    let held = ok(&s, ["backup", "prune", "--apply"]);
    assert!(held.stdout.contains(&format!("while nobody knows what {second} needs")) && orphan.exists(), "{held}");
    std::fs::write(&path, text).expect("written");
    let pruned = ok(&s, ["backup", "prune", "--apply"]);
    assert!(pruned.stdout.contains("1 objects were removed") && !orphan.exists(), "{pruned}");
}

#[test]
fn a_place_without_the_earlier_sets_is_told() {
    let s = in_folder();
    assert!(!ok(&s, ["backup", "run"]).stderr.contains("warning"));
    ok(&s, ["backup", "run"]);
    // What was mounted there is not any more.
    std::fs::rename(s.work().join("place"), s.root().join("disk")).expect("moved");
    let run = ok(&s, ["backup", "run", "--format", "json"]);
    assert!(run.stderr.contains("none of the 2 earlier sets"), "{run}");
    assert_eq!(json(&run)["earlier_gone"], 2, "{run}");
    assert_eq!(json(&ok(&s, ["backup", "run", "--format", "json"]))["earlier_gone"], 0, "told once");
}

#[test]
fn a_state_that_a_newer_kf_wrote_is_no_damaged_one() {
    let s = in_folder();
    ok(&s, ["backup", "run"]);
    let state = s.work().join(".kf/state.db");
    let db = rusqlite::Connection::open(&state).expect("a state");
    let sql = "UPDATE meta SET value = '999' WHERE key = 'schema'; UPDATE meta SET value = '99.0.0' WHERE key = 'writer';";
    db.execute_batch(sql).expect("changed");
    drop(db);
    let before = std::fs::read(&state).expect("a state");
    let run = s.kf(["backup", "restore", "latest", "--here", "--force"]);
    assert_eq!(run.code, Some(1), "{run}");
    assert!(run.stderr.contains("nothing takes its place") && run.stderr.contains("install kf 99.0.0 or newer"), "{run}");
    assert!(std::fs::read(&state).expect("a state") == before, "nothing was changed");
    // A disk that is full while it is copied says nothing of it either.
    let kf = s.work().join(".kf");
    let aside = |dir: &Path| {
        std::fs::read_dir(dir)
            .expect("read")
            .filter_map(Result::ok)
            .all(|e| !e.file_name().to_string_lossy().starts_with("damaged-"))
    };
    assert!(aside(&kf));
}
