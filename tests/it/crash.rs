//! A command is killed, or the disk fails or fills up, at each system call by which it changes something. Whatever is left is
//! sound: `kf fsck` and `kf audit verify` accept it, the next command works, and a retry ends where an undisturbed run would have ended.
//!
//! `cargo test crash` takes a sample of the points; `KF_TEST_SWEEP=all cargo test crash` takes all of them.

use crate::support::crash::Sweep;
use crate::support::receiver::{Heard, Receiver};
use crate::support::sandbox::{Engine, Run, Sandbox};
use crate::support::skip;
use crate::support::strace::{CHANGING, FAILING, Fault, Strace};
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A command to strike, and what must be true of the state when it has taken effect.
struct Case {
    name: &'static str,
    command: &'static [&'static str],
    /// Brings a fresh repository to where the command starts.
    before: fn(&Sandbox),
    /// The log's action that the command records, and how many such entries there are before it.
    action: &'static str,
    entries: usize,
    /// How many more there may be after a retry, when there were so many (0 or 1) before it.
    retried: fn(usize) -> RangeInclusive<usize>,
    /// Says what is wrong after the retry, if anything.
    done: fn(&Sandbox) -> Result<(), String>,
}

/// A retry of what has happened changes nothing.
const ONCE: fn(usize) -> RangeInclusive<usize> = |_| 1..=1;

const REGISTER: Case = Case {
    name: "register",
    command: &["register", "bot", "cfg", "--type", "other"],
    before: |sandbox| {
        register(sandbox, "one");
        sandbox.write("cfg/deep/prompt.txt", "two");
        sandbox.write("cfg/large.bin", vec![7; 300_000]);
    },
    action: "version.registered",
    entries: 1,
    retried: ONCE,
    done: |sandbox| in_stage(sandbox, "bot@1.1.0", "development"),
};

const PROMOTE: Case = Case {
    name: "promote",
    command: &["promote", "bot@latest", "--to", "production"],
    before: |sandbox| {
        release_one(sandbox);
        register(sandbox, "two");
        sandbox.works(["promote", "bot@latest", "--to", "staging"]);
    },
    action: "version.promoted",
    entries: 3,
    retried: ONCE,
    done: |sandbox| in_stage(sandbox, "bot@1.0.1", "production"),
};

const ROLLBACK: Case = Case {
    name: "rollback",
    command: &["rollback", "bot", "--to", "1.0.0"],
    before: |sandbox| {
        release_one(sandbox);
        register(sandbox, "two");
        sandbox.works(["promote", "bot@latest", "--to", "staging"]);
        sandbox.works(["promote", "bot@latest", "--to", "production"]);
    },
    action: "version.rolled-back",
    entries: 0,
    retried: ONCE,
    done: |sandbox| in_stage(sandbox, "bot@1.0.0", "production"),
};

const GC: Case = Case {
    name: "gc",
    command: &["gc", "--apply", "--grace", "2h"],
    before: |sandbox| {
        sandbox.write("mlops.toml", sandbox.read("mlops.toml") + "[policy]\nretention-days = 0\nrollback-window = 1\n");
        register(sandbox, "one");
        sandbox.works(["archive", "bot@1.0.0"]);
        register(sandbox, "two");
        let days_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
        for path in objects(sandbox) {
            std::fs::File::open(path).and_then(|f| f.set_modified(days_ago)).expect("an object is dated");
        }
    },
    action: "gc.run",
    entries: 0,
    // What one run decided about and did not come to move is decided about anew.
    retried: |found| found..=found + 1,
    done: |sandbox| {
        let run = sandbox.kf(["gc"]);
        let left = objects(sandbox).len();
        // The prompt and the manifest of the version that stays.
        if run.stdout.contains("would go: 0 objects") && left == 2 { Ok(()) } else { Err(format!("{left} objects, {run}")) }
    },
};

const EVAL: Case = Case {
    name: "eval",
    command: &["eval", "bot", "--dataset", "golden.jsonl", "--answers", "answers.jsonl"],
    before: |sandbox| {
        register(sandbox, "one");
        let row = |i: usize| format!("{{\"id\": \"q{i}\", \"question\": \"Why {i}?\", \"reference\": \"So {i}.\"}}\n");
        let answer = |i: usize| format!("{{\"id\": \"q{i}\", \"answer\": \"So {i}.\"}}\n");
        sandbox.write("golden.jsonl", (0..30).map(row).collect::<String>());
        sandbox.write("answers.jsonl", (0..30).map(answer).collect::<String>());
    },
    action: "evaluation.recorded",
    entries: 0,
    // To evaluate again is another evaluation.
    retried: |found| found + 1..=found + 1,
    done: |sandbox| {
        let run = sandbox.kf(["show", "bot", "--format", "json"]);
        if run.stdout.contains("\"exact-match\"") { Ok(()) } else { Err(format!("no evaluation is shown: {run}")) }
    },
};

const RECORD: Case = Case {
    name: "monitor record",
    command: &["monitor", "record", "--data", "samples.jsonl"],
    before: |sandbox| {
        let now = sandbox.next_start() / 1_000_000;
        let line = |i: i64| format!("{{\"name\": \"queue\", \"value\": {}, \"at\": {}}}\n", i % 7, now - 60 * i);
        sandbox.write("samples.jsonl", (0..3000).map(line).collect::<String>());
    },
    action: "monitor.recorded",
    entries: 0,
    retried: ONCE,
    done: |sandbox| {
        let run = sandbox.kf(["monitor", "record", "--data", "samples.jsonl"]);
        if run.stdout.contains("recorded 0 samples, 3,000 there already") { Ok(()) } else { Err(run.to_string()) }
    },
};

/// From servers to files, so that both messages and files are struck.
const MOVE: Case = Case {
    name: "state move",
    command: &["state", "move", "--to", "sqlite", "--artifacts", "moved"],
    before: |sandbox| {
        release_one(sandbox);
        register(sandbox, "two");
    },
    action: "state.sealed",
    entries: 0,
    retried: ONCE,
    done: |sandbox| {
        for args in [&["audit", "verify"][..], &["fsck"], &["promote", "bot@1.0.1", "--to", "staging"]] {
            let mut there = sandbox.command(env!("CARGO_BIN_EXE_kf"));
            there.args(args).env("KF_STATE_URL", "sqlite").env("KF_ARTIFACTS_URL", "moved");
            let run = sandbox.finish(&mut there);
            if run.code != Some(0) {
                return Err(format!("{args:?} at the new place: {run}"));
            }
        }
        let run = sandbox.kf(["tag", "bot@1.0.0", "late"]);
        if run.stderr.contains("this state was moved to sqlite") {
            Ok(())
        } else {
            Err(format!("the old place takes changes: {run}"))
        }
    },
};

const EXPORT: Case = Case {
    name: "index export",
    command: &["index", "export", "snap", "--collection", "handbook"],
    before: |sandbox| {
        take_handbook(sandbox);
        // What is there is exchanged.
        sandbox.works(["index", "export", "snap", "--tenant", "acme", "--collection", "handbook"]);
    },
    action: "collection.exported",
    entries: 1,
    // To give it out again is another time.
    retried: |found| found + 1..=found + 1,
    done: |sandbox| is_snapshot(sandbox, "third"),
};

const IMPORT: Case = Case {
    name: "index import",
    command: &["index", "import", "snap", "--collection", "restored"],
    before: |sandbox| {
        take_handbook(sandbox);
        sandbox.works(["index", "export", "snap", "--collection", "handbook"]);
    },
    action: "collection.imported",
    entries: 0,
    retried: ONCE,
    done: |sandbox| is_snapshot(sandbox, "restored"),
};

/// Who takes the alerts of every sandbox, each under a path of its own.
fn receiver() -> &'static Receiver {
    static RECEIVER: OnceLock<Receiver> = OnceLock::new();
    RECEIVER.get_or_init(Receiver::start)
}

fn hook(sandbox: &Sandbox) -> String {
    format!("/{}", sandbox.root().file_name().expect("a name").display())
}

const ALERT_SEND: Case = Case {
    name: "alert send",
    command: &["alert", "send", "--all"],
    before: |sandbox| {
        register(sandbox, "one");
        let table = "[drift.bot]\nexclude = [\"id\"]\non-critical = [\"notify\"]\nalerts = [\"hook\"]\n[alerts.hook]\nurl = \"file:hook.url\"\n";
        sandbox.write("mlops.toml", sandbox.read("mlops.toml") + table);
        sandbox.write("accepted.csv", crate::story::rows(0, "region"));
        sandbox.write("moved.csv", crate::story::rows(60, "region"));
        sandbox.works(["drift", "baseline", "bot@1.0.0", "--data", "accepted.csv"]);
        sandbox.write("hook.url", "");
        assert_eq!(sandbox.kf(["drift", "check", "bot", "--data", "moved.csv"]).code, Some(3));
        sandbox.write("hook.url", receiver().url(&hook(sandbox)));
    },
    action: "alert.delivered",
    entries: 0,
    retried: ONCE,
    // It may have come twice, and can be told then.
    done: |sandbox| {
        let heard: Vec<Heard> = receiver().heard().into_iter().filter(|h| h.path == hook(sandbox)).collect();
        let ids: BTreeSet<&String> = heard.iter().map(|h| &h.headers["webhook-id"]).collect();
        if ids.len() == 1 && heard.len() <= 2 { Ok(()) } else { Err(format!("{} messages: {ids:?}", heard.len())) }
    },
};

fn take_handbook(sandbox: &Sandbox) {
    sandbox.write("docs/returns.md", crate::story::RETURNS);
    sandbox.works(["ingest", "docs", "--skeleton", "--tenant", "acme", "--collection", "handbook"]);
    sandbox.write("docs/other.md", crate::story::RETURNS.replace("parcel", "letter").replace("money", "stamp"));
    sandbox.works(["ingest", "docs", "--skeleton", "--collection", "handbook"]);
}

/// The folder is a whole snapshot, and so is the collection that it is taken into.
fn is_snapshot(sandbox: &Sandbox, collection: &str) -> Result<(), String> {
    for args in [["index", "import", "snap", "--collection", collection], ["index", "verify", "-q", "--collection", collection]] {
        let run = sandbox.kf(args);
        if run.code != Some(0) {
            return Err(format!("{args:?}: {run}"));
        }
    }
    Ok(())
}

fn release_one(sandbox: &Sandbox) {
    register(sandbox, "one");
    sandbox.works(["promote", "bot", "--to", "staging"]);
    sandbox.works(["promote", "bot", "--to", "production"]);
}

fn in_stage(sandbox: &Sandbox, version: &str, stage: &str) -> Result<(), String> {
    let run = sandbox.kf(["show", version, "--format", "json"]);
    if run.stdout.contains(&format!("\"stage\": \"{stage}\"")) {
        Ok(())
    } else {
        Err(format!("{version} is not in {stage}: {run}"))
    }
}

/// The files of the objects.
fn objects(sandbox: &Sandbox) -> Vec<PathBuf> {
    let entries = |dir: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(dir).map(|all| all.flatten().map(|e| e.path()).collect()).unwrap_or_default()
    };
    entries(&sandbox.work().join(".kf/objects/sha256")).iter().flat_map(|fan| entries(fan)).collect()
}

fn register(sandbox: &Sandbox, text: &str) {
    sandbox.write("cfg/prompt.txt", text);
    sandbox.works(["register", "bot", "cfg", "--type", "other"]);
}

fn prepare(case: &Case, engine: Engine) -> Sandbox {
    let mut sandbox = Sandbox::on(engine).expect("tried before");
    // One thread, so that the n-th call of a thread is the n-th call.
    sandbox.set("KF_JOBS", "1");
    sandbox.repository("");
    (case.before)(&sandbox);
    sandbox
}

/// True of the state at any moment, and after a retry what `case` says.
fn sound(case: &Case, sandbox: &Sandbox, struck: &Run) -> Result<(), String> {
    let demand = |what: &str, run: Run| if run.code == Some(0) { Ok(run) } else { Err(format!("{what}: {run}")) };
    demand("audit verify", sandbox.kf(["audit", "verify"]))?;
    demand("fsck", sandbox.kf(["fsck"]))?;
    demand("the next command", sandbox.kf(["status"]))?;
    let entries = |allowed: RangeInclusive<usize>, when: &str| -> Result<usize, String> {
        let log = demand("audit log", sandbox.kf(["audit", "log", "--action", case.action, "--format", "jsonl"]))?;
        let found = log.stdout.lines().filter(|l| l.contains(&format!("\"action\":\"{}\"", case.action))).count();
        match found.checked_sub(case.entries) {
            Some(more) if allowed.contains(&more) => Ok(more),
            _ => Err(format!("{found} × {} {when}:\n{log}", case.action)),
        }
    };
    let found = entries(0..=1, "before the retry")?;
    if struck.code == Some(0) && found == 0 {
        return Err(format!("exit 0, but no {}", case.action));
    }
    let retried = sandbox.finish(sandbox.command(env!("CARGO_BIN_EXE_kf")).args(case.command));
    demand("the retry", retried)?;
    entries((case.retried)(found), "after the retry")?;
    (case.done)(sandbox)?;
    demand("fsck after the retry", sandbox.kf(["fsck"])).map(|_| ())
}

fn sweep(case: &Case, engine: Engine, fault: Fault, calls: &[&str], every: usize) {
    let strace = match Strace::find() {
        Ok(strace) => strace,
        Err(why) => return skip(&why),
    };
    if let Err(why) = Sandbox::on(engine) {
        return skip(&format!("{engine}: {why}"));
    }
    let command: Vec<String> = [env!("CARGO_BIN_EXE_kf")].iter().chain(case.command).map(|&word| word.to_owned()).collect();
    let name = format!("{} on {engine}", case.name);
    let prepare = || prepare(case, engine);
    let invariant = |sandbox: &Sandbox, run: &Run| sound(case, sandbox, run);
    let sweep = Sweep { name: &name, fault, calls, every, prepare: &prepare, command: &command, invariant: &invariant };
    sweep.run(&strace).assert_sound();
}

#[test]
fn register_survives_a_kill_on_files() {
    sweep(&REGISTER, Engine::Files, Fault::Kill, CHANGING, 3);
}

#[test]
fn promote_survives_a_kill_on_files() {
    sweep(&PROMOTE, Engine::Files, Fault::Kill, CHANGING, 3);
}

#[test]
fn register_survives_a_kill_on_servers() {
    sweep(&REGISTER, Engine::Servers, Fault::Kill, CHANGING, 5);
}

#[test]
fn promote_survives_a_kill_on_servers() {
    sweep(&PROMOTE, Engine::Servers, Fault::Kill, CHANGING, 5);
}

#[test]
fn register_survives_a_failing_disk() {
    sweep(&REGISTER, Engine::Files, Fault::IoError, FAILING, 3);
}

#[test]
fn promote_survives_a_failing_disk() {
    sweep(&PROMOTE, Engine::Files, Fault::IoError, FAILING, 3);
}

#[test]
fn register_survives_a_full_disk() {
    sweep(&REGISTER, Engine::Files, Fault::NoSpace, FAILING, 3);
}

#[test]
fn promote_survives_a_full_disk() {
    sweep(&PROMOTE, Engine::Files, Fault::NoSpace, FAILING, 3);
}

#[test]
fn rollback_survives_a_kill_on_files() {
    sweep(&ROLLBACK, Engine::Files, Fault::Kill, CHANGING, 5);
}

#[test]
fn rollback_survives_a_kill_on_servers() {
    sweep(&ROLLBACK, Engine::Servers, Fault::Kill, CHANGING, 9);
}

#[test]
fn eval_survives_a_kill_on_files() {
    sweep(&EVAL, Engine::Files, Fault::Kill, CHANGING, 9);
}

#[test]
fn eval_survives_a_kill_on_servers() {
    sweep(&EVAL, Engine::Servers, Fault::Kill, CHANGING, 9);
}

#[test]
fn recording_metrics_survives_a_kill_on_files() {
    sweep(&RECORD, Engine::Files, Fault::Kill, CHANGING, 9);
}

#[test]
fn recording_metrics_survives_a_kill_on_servers() {
    sweep(&RECORD, Engine::Servers, Fault::Kill, CHANGING, 9);
}

#[test]
fn gc_survives_a_kill() {
    sweep(&GC, Engine::Files, Fault::Kill, CHANGING, 5);
}

#[test]
fn gc_survives_a_failing_disk() {
    sweep(&GC, Engine::Files, Fault::IoError, FAILING, 5);
}

#[test]
fn a_move_survives_a_kill() {
    sweep(&MOVE, Engine::Servers, Fault::Kill, CHANGING, 40);
}

#[test]
fn a_move_survives_a_full_disk() {
    sweep(&MOVE, Engine::Servers, Fault::NoSpace, FAILING, 40);
}

#[test]
fn sending_alerts_survives_a_kill_on_files() {
    sweep(&ALERT_SEND, Engine::Files, Fault::Kill, CHANGING, 9);
}

#[test]
fn sending_alerts_survives_a_kill_on_servers() {
    sweep(&ALERT_SEND, Engine::Servers, Fault::Kill, CHANGING, 15);
}

#[test]
fn an_export_survives_a_kill() {
    sweep(&EXPORT, Engine::Files, Fault::Kill, CHANGING, 9);
}

#[test]
fn an_export_survives_a_full_disk() {
    sweep(&EXPORT, Engine::Files, Fault::NoSpace, FAILING, 9);
}

#[test]
fn an_import_survives_a_kill_on_files() {
    sweep(&IMPORT, Engine::Files, Fault::Kill, CHANGING, 9);
}

#[test]
fn an_import_survives_a_kill_on_servers() {
    sweep(&IMPORT, Engine::Servers, Fault::Kill, CHANGING, 15);
}
