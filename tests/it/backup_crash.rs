//! A backup, a prune or a restore is killed, or the disk has no room, at system calls by which it changes something. Whatever is left:
//! the sets that were there verify and come back, nothing half-made is listed, the next command completes, and what was left is swept.
//!
//! `cargo test backup_crash` takes a sample of the points, the first of each kind of call among them; `KF_TEST_SWEEP=all` takes all.

use crate::backup::prepare;
use crate::repo::{json, next_bot, ok};
use crate::support::sandbox::{Run, Sandbox};
use crate::support::strace::{CHANGING, FAILING, Fault, Strace};
use crate::support::{say, skip, variable};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A command, and from where it starts.
struct Case {
    name: &'static str,
    command: &'static [&'static str],
    before: fn(&Sandbox),
    /// How many sets there may be after it, and a retry, were done.
    sets: std::ops::RangeInclusive<usize>,
}

const FIRST: Case = Case { name: "first backup", command: &["backup", "run"], before: |_| (), sets: 1..=2 };

const SECOND: Case = Case {
    name: "second backup",
    command: &["backup", "run"],
    before: |s| {
        ok(s, ["backup", "run"]);
        next_bot(s, 6);
    },
    sets: 2..=3,
};

const PRUNE: Case = Case {
    name: "prune",
    command: &["backup", "prune", "--apply"],
    before: |s| {
        s.write("mlops.toml", s.read("mlops.toml") + "[backup.plans.daily]\nkeep-last = 1\n");
        ok(s, ["backup", "run"]);
        next_bot(s, 6);
        ok(s, ["backup", "run"]);
        s.write("uploads/note.txt", "changed");
        ok(s, ["backup", "run"]);
    },
    sets: 1..=1,
};

const RESTORE: Case = Case {
    name: "restore",
    command: &["backup", "restore", "latest", "--to", "../back"],
    before: |s| drop(ok(s, ["backup", "run"])),
    sets: 1..=1,
};

fn fresh(case: &Case) -> Sandbox {
    let mut s = Sandbox::new();
    s.set("KF_JOBS", "1");
    let place = format!("file://{}", s.work().join("place").display());
    prepare(&mut s, &place);
    (case.before)(&s);
    s
}

fn demand(what: &str, run: Run) -> Result<Run, String> {
    if run.code == Some(0) { Ok(run) } else { Err(format!("{what}: {run}")) }
}

/// The names of the sets, each of which verifies; nothing else is listed.
fn whole(s: &Sandbox) -> Result<BTreeSet<String>, String> {
    let list = json(&demand("list", s.kf(["backup", "list", "--format", "json"]))?);
    if list["unreadable"].as_array().is_none_or(|all| !all.is_empty()) {
        return Err(format!("something half-made is listed: {list}"));
    }
    let names = list["sets"].as_array().cloned().unwrap_or_default();
    let names: BTreeSet<String> = names.iter().filter_map(|set| set["set"].as_str().map(str::to_owned)).collect();
    for name in &names {
        demand("verify", s.kf(["backup", "verify", name, "--read-data", "all"]))?;
    }
    Ok(names)
}

fn below(dir: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(dir).map(|all| all.flatten().map(|entry| entry.path()).collect()).unwrap_or_default()
}

/// Makes what was left in the place look as old as it will be when somebody comes to look.
fn age(s: &Sandbox) {
    let long_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
    for path in below(&s.work().join("place/tmp")) {
        std::fs::File::open(path).and_then(|file| file.set_modified(long_ago)).expect("dated");
    }
}

/// What holds after a strike, and after the retry.
fn sound(case: &Case, before: &BTreeSet<String>, s: &Sandbox) -> Result<(), String> {
    let after = whole(s)?;
    // A prune takes away, nothing else does; the newest stays in any case.
    let newest: BTreeSet<String> = before.iter().max().cloned().into_iter().collect();
    let must = if case.name == "prune" { &newest } else { before };
    if !must.is_subset(&after) {
        return Err(format!("{must:?} were there, {after:?} are left"));
    }
    let restored = s.root().join("back");
    if case.name == "restore" && restored.exists() {
        // Only the answer was lost: what has the name is whole.
        check_restored(&restored)?;
        std::fs::remove_dir_all(&restored).map_err(|e| e.to_string())?;
    }
    age(s);
    demand("the retry", s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(case.command)))?;
    let names = whole(s)?;
    if !case.sets.contains(&names.len()) || !must.is_subset(&names) {
        return Err(format!("{names:?} after the retry"));
    }
    if case.name != "restore" {
        demand("prune", s.kf(["backup", "prune", "--apply"]))?;
        let again = demand("prune again", s.kf(["backup", "prune"]))?;
        if !again.stdout.contains("there is nothing to remove") {
            return Err(format!("something was left: {again}"));
        }
        let left = below(&s.work().join("place/tmp"));
        let cache: Vec<PathBuf> =
            below(&s.work().join(".kf/cache/backup")).into_iter().filter(|p| !p.ends_with("lock")).collect();
        if !left.is_empty() || !cache.is_empty() {
            return Err(format!("left behind: {left:?} {cache:?}"));
        }
        demand("restore", s.kf(["backup", "restore", "latest", "--to", "../back"]))?;
    }
    check_restored(&restored)?;
    demand("audit verify", s.kf(["audit", "verify"]))?;
    demand("fsck", s.kf(["fsck"])).map(drop)
}

fn check_restored(dir: &Path) -> Result<(), String> {
    let photo = std::fs::read(dir.join("restored/uploads/a/photo.bin")).map_err(|e| format!("the photo: {e}"))?;
    let there = photo == vec![7; 200_000] && dir.join(".kf/state.db").is_file() && dir.join("mlops.toml").is_file();
    if there { Ok(()) } else { Err("what came back is not what was there".to_owned()) }
}

/// The sets that are there before the command.
fn listed(s: &Sandbox) -> BTreeSet<String> {
    let list = json(&ok(s, ["backup", "list", "--format", "json"]));
    list["sets"].as_array().expect("sets").iter().map(|set| set["set"].as_str().expect("a name").to_owned()).collect()
}

/// Strikes at a sample of the points, at most about `most`: the first of each kind of call, the last, and some between.
fn sweep(case: &Case, fault: Fault, calls: &[&str], most: usize) {
    let strace = match Strace::find() {
        Ok(strace) => strace,
        Err(why) => return skip(&why),
    };
    let command: Vec<String> = [env!("CARGO_BIN_EXE_kf")].iter().chain(case.command).map(|&word| word.to_owned()).collect();
    let s = fresh(case);
    let before = listed(&s);
    let (run, points) = strace.rehearse(&s, calls, &command);
    assert_eq!(run.code, Some(0), "{run}");
    if case.name == "restore" {
        std::fs::remove_dir_all(s.root().join("back")).expect("removed");
    }
    sound(case, &before, &s).unwrap_or_else(|why| panic!("{} without a fault: {why}", case.name));
    let all = variable("KF_TEST_SWEEP").is_some_and(|v| v == "all");
    let step = if all { 1 } else { points.len().div_ceil(most).max(1) };
    let (mut seen, mut taken, mut felt, mut broken) = (BTreeSet::new(), 0, 0, Vec::new());
    for (at, point) in points.iter().enumerate() {
        let first = seen.insert(point.call.clone());
        if !(first || at % step == 0 || at + 1 == points.len()) {
            continue;
        }
        let s = fresh(case);
        let before = listed(&s);
        let Some(run) = strace.strike(&s, fault, point, &command) else { continue };
        taken += 1;
        felt += usize::from(run.code != Some(0));
        if let Err(why) = sound(case, &before, &s) {
            broken.push(format!("{point}: {why}"));
        }
    }
    say(&format!("{} with {fault:?} at {taken} of {} points, felt at {felt}; {seen:?}", case.name, points.len()));
    assert!(felt > 0 && broken.is_empty(), "{}: broken at {} points\n{}", case.name, broken.len(), broken.join("\n"));
}

#[test]
fn a_first_backup_survives_a_kill() {
    sweep(&FIRST, Fault::Kill, CHANGING, 6);
}

#[test]
fn a_second_backup_survives_a_kill() {
    sweep(&SECOND, Fault::Kill, CHANGING, 8);
}

#[test]
fn a_prune_survives_a_kill() {
    sweep(&PRUNE, Fault::Kill, CHANGING, 9);
}

#[test]
fn a_restore_survives_a_kill() {
    sweep(&RESTORE, Fault::Kill, CHANGING, 6);
}

#[test]
fn a_backup_without_room_keeps_the_earlier_ones() {
    sweep(&SECOND, Fault::NoSpace, FAILING, 5);
}

#[test]
fn a_restore_without_room_opens_nothing_half() {
    sweep(&RESTORE, Fault::NoSpace, FAILING, 5);
}
