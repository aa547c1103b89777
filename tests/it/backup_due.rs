//! When backups are due: one at a time whoever asks, once for what was missed, and never on the word of a wrong clock alone.

use crate::backup::prepare;
use crate::repo::{ends, json, next_bot, ok};
use crate::support::sandbox::{Engine, Run, Sandbox, on_both_engines};
use crate::support::{s3, wait_until};
use std::process::Stdio;

const DAY: i64 = 86_400_000_000;

fn place_of(s: &Sandbox) -> String {
    match s.engine() {
        Engine::Files => format!("file://{}", s.work().join("place").display()),
        Engine::Servers => s3::shared().expect("a server").fresh(),
    }
}

fn sets(s: &Sandbox) -> usize {
    json(&ok(s, ["backup", "list", "--format", "json"]))["sets"].as_array().expect("sets").len()
}

/// Runs kf when its clock says that it is so many days later.
fn after(s: &Sandbox, days: i64, args: &[&str]) -> Run {
    let time = kf::base::time::Timestamp::from_micros(s.next_start() + days * DAY);
    let mut command = s.command(env!("CARGO_BIN_EXE_kf"));
    s.finish(command.env("KF_CLOCK", time.to_string()).args(args))
}

#[test]
fn of_several_jobs_at_once_one_makes_the_set() {
    on_both_engines(|s| {
        let place = place_of(s);
        prepare(s, &place);
        let due = |_| ["backup", "run", "--due", "--lock-timeout", "120s"].map(str::to_owned).to_vec();
        for run in s.kf_at_once(4, due) {
            assert_eq!(run.code, Some(0), "{run}");
        }
        assert_eq!(sets(s), 1);
    });
}

#[test]
fn a_job_that_was_killed_blocks_nobody() {
    on_both_engines(|s| {
        let place = place_of(s);
        prepare(s, &place);
        let slow = "[backup.components.slow]\nkind = \"command\"\ncommand = [\"sh\", \"-c\", \"touch ../slow; exec sleep 60\"]\n";
        let text = s.read("mlops.toml");
        s.write("mlops.toml", format!("{text}{slow}"));
        let mut command = s.command(env!("CARGO_BIN_EXE_kf"));
        let mut child = command.args(["backup", "run"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("kf starts");
        let flag = s.root().join("slow");
        assert!(wait_until(60, || flag.exists()), "the slow component is reached");
        let waiting = ends(s, 11, ["backup", "prune", "--apply", "--lock-timeout", "1s"]);
        assert!(waiting.stderr.contains("is locked by `kf backup run`"), "{waiting}");
        child.kill().expect("killed");
        child.wait().expect("waited for");
        s.write("mlops.toml", text);
        ok(s, ["backup", "run", "--due", "--lock-timeout", "20s"]);
        assert_eq!(sets(s), 1);
        let left: Vec<_> =
            std::fs::read_dir(s.work().join(".kf/cache/backup")).expect("a folder").flatten().map(|e| e.file_name()).collect();
        assert_eq!(left, ["lock"], "what the killed one left is swept");
    });
}

#[test]
fn only_what_is_no_backup_is_a_change() {
    on_both_engines(|s| {
        let place = place_of(s);
        prepare(s, &place);
        s.write("mlops.toml", s.read("mlops.toml") + "[backup.plans.change]\nevery = \"change\"\nkeep-last = 2\n");
        ok(s, ["backup", "run", "--due"]);
        let nothing = |what: &str| {
            let run = ok(s, ["backup", "run", "--due"]);
            assert!(run.stdout.contains("nothing is due of change"), "after {what}: {run}");
        };
        nothing("a backup");
        ok(s, ["backup", "drill"]);
        nothing("a drill");
        ok(s, ["backup", "run"]);
        ok(s, ["backup", "run"]);
        ok(s, ["backup", "prune", "--apply"]);
        nothing("a prune");
        next_bot(s, 6);
        let run = ok(s, ["backup", "run", "--due", "--format", "json"]);
        assert_eq!(json(&run)["sets"].as_array().map(Vec::len), Some(1), "{run}");
        nothing("a backup of the change");
    });
}

#[test]
fn a_set_of_one_component_is_no_backup_of_the_plan() {
    let mut s = Sandbox::new();
    let place = place_of(&s);
    prepare(&mut s, &place);
    ok(&s, ["backup", "run", "--component", "state"]);
    let run = ok(&s, ["backup", "run", "--due", "--format", "json"]);
    assert_eq!(json(&run)["sets"].as_array().map(Vec::len), Some(1), "{run}");
    assert!(ok(&s, ["backup", "run", "--due"]).stdout.contains("nothing is due"));
}

/// Missed days are made up for once; a set from the future blocks nobody; and nothing goes because a clock jumped.
#[test]
fn wrong_clocks_lose_nothing_and_stop_nothing() {
    let mut s = Sandbox::new();
    let place = place_of(&s);
    prepare(&mut s, &place);
    s.write("mlops.toml", s.read("mlops.toml") + "[backup.plans.daily]\nkeep-days = 3\n");
    for day in 0..4 {
        assert_eq!(after(&s, day, &["backup", "run", "--due"]).code, Some(0));
    }
    dated(&s);
    assert_eq!(sets(&s), 4);
    // Behind: within the hour it is no second backup, far behind nothing is removed.
    let behind = after(&s, -700, &["backup", "prune", "--apply"]);
    assert!(behind.code == Some(1) && behind.stderr.contains("nothing was removed"), "{behind}");
    // Ten days without the job: one set, not ten.
    assert_eq!(after(&s, 6, &["backup", "run", "--due"]).code, Some(0));
    dated(&s);
    assert_eq!(sets(&s), 5);
    assert!(after(&s, 6, &["backup", "run", "--due"]).stdout.contains("nothing is due"));
    // Ten years ahead: a set is made, and everything else would be old at once.
    assert_eq!(after(&s, 3650, &["backup", "run", "--due"]).code, Some(0));
    dated(&s);
    let ahead = after(&s, 3650, &["backup", "prune", "--apply"]);
    assert!(ahead.code == Some(1) && ahead.stderr.contains("did the clock jump?"), "{ahead}");
    assert!(ahead.stderr.contains("kf backup prune --apply --clock-is-right"), "{ahead}");
    assert_eq!(sets(&s), 6);
    // Right again: the set from the future neither keeps the next from being made nor makes others old.
    let right = after(&s, 8, &["backup", "run", "--due", "--format", "json"]);
    assert_eq!(json(&right)["sets"].as_array().map(Vec::len), Some(1), "{right}");
    dated(&s);
    let refused = after(&s, 8, &["backup", "prune", "--apply"]);
    assert!(refused.code == Some(1) && refused.stderr.contains("nothing was removed"), "{refused}");
    let told = after(&s, 8, &["backup", "prune", "--apply", "--clock-is-right"]);
    assert!(told.code == Some(0) && told.stdout.contains("which is yet to come"), "{told}");
    assert_eq!(sets(&s), 3, "three days, and the one from the future: {told}");
    ok(&s, ["backup", "verify", "--read-data", "all"]);
}

/// The place's own times tell another story than the manifests.
#[test]
fn what_is_old_by_one_clock_only_stays() {
    let mut s = Sandbox::new();
    let place = place_of(&s);
    prepare(&mut s, &place);
    s.write("mlops.toml", s.read("mlops.toml") + "[backup.plans.daily]\nkeep-days = 3\n");
    for day in [0, 2, 4, 6, 8] {
        assert_eq!(after(&s, day, &["backup", "run"]).code, Some(0));
    }
    // By the times of the files all were made today.
    let run = after(&s, 8, &["backup", "prune", "--apply"]);
    assert!(run.code == Some(1) && run.stderr.contains("by its manifest the backup set"), "{run}");
    dated(&s);
    let run = after(&s, 8, &["backup", "prune", "--apply"]);
    assert_eq!((run.code, sets(&s)), (Some(0), 2), "{run}");
}

/// A set that was made while the clock was behind says that it is old; the log, which only grows, knows better.
#[test]
fn what_was_made_while_the_clock_was_behind_is_not_old() {
    let mut s = Sandbox::new();
    let place = place_of(&s);
    prepare(&mut s, &place);
    s.write("mlops.toml", s.read("mlops.toml") + "[backup.plans.daily]\nkeep-days = 3\n");
    for day in [0, 1, -400] {
        assert_eq!(after(&s, day, &["backup", "run"]).code, Some(0));
    }
    dated(&s);
    let run = after(&s, 2, &["backup", "prune", "--apply"]);
    assert!(run.code == Some(1) && run.stderr.contains("and says that it is older"), "{run}");
    assert_eq!(sets(&s), 3);
}

/// Gives each manifest the time at which it says that it was written.
fn dated(s: &Sandbox) {
    for path in crate::backup::files(&s.work().join("place/sets")) {
        let text = std::fs::read_to_string(&path).expect("a manifest");
        let (_, rest) = text.split_once("\"ended\":\"").expect("a time");
        let time: kf::base::time::Timestamp = rest.split_once('"').expect("its end").0.parse().expect("a time");
        let since = std::time::Duration::from_micros(time.micros().unsigned_abs());
        let file = std::fs::File::open(&path).expect("a file");
        file.set_modified(std::time::SystemTime::UNIX_EPOCH + since).expect("dated");
    }
}
