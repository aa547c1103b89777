//! A command is killed, or the disk fails or fills up, at each system call by which it changes something. Whatever is left is
//! sound: `kf fsck` and `kf audit verify` accept it, the next command works, and a retry ends where an undisturbed run would have ended.
//!
//! `cargo test crash` takes a sample of the points; `KF_TEST_SWEEP=all cargo test crash` takes all of them.

use crate::support::crash::Sweep;
use crate::support::sandbox::{Engine, Run, Sandbox};
use crate::support::skip;
use crate::support::strace::{CHANGING, FAILING, Fault, Strace};

/// A command to strike, and what must be true of the state when it has taken effect once.
struct Case {
    name: &'static str,
    command: &'static [&'static str],
    /// Brings a fresh repository to where the command starts.
    before: fn(&Sandbox),
    /// The log's action that the command records, and how many such entries there are once it has taken effect.
    action: &'static str,
    entries: usize,
    /// What `kf list bot` says of the newest version then.
    stage: &'static str,
}

const REGISTER: Case = Case {
    name: "register",
    command: &["register", "bot", "cfg", "--type", "other"],
    before: |sandbox| {
        register(sandbox, "one");
        sandbox.write("cfg/deep/prompt.txt", "two");
        sandbox.write("cfg/large.bin", vec![7; 300_000]);
    },
    action: "version.registered",
    entries: 2,
    stage: "development",
};

const PROMOTE: Case = Case {
    name: "promote",
    command: &["promote", "bot@latest", "--to", "production"],
    before: |sandbox| {
        register(sandbox, "one");
        sandbox.works(["promote", "bot", "--to", "staging"]);
        sandbox.works(["promote", "bot", "--to", "production"]);
        register(sandbox, "two");
        sandbox.works(["promote", "bot@latest", "--to", "staging"]);
    },
    action: "version.promoted",
    entries: 4,
    stage: "production",
};

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
    let entries = |when: &str| -> Result<usize, String> {
        let log = demand("audit log", sandbox.kf(["audit", "log", "--action", case.action, "--format", "jsonl"]))?;
        let found = log.stdout.lines().filter(|l| l.contains(&format!("\"action\":\"{}\"", case.action))).count();
        let whole = found == case.entries || (found + 1 == case.entries && when == "before the retry");
        if whole { Ok(found) } else { Err(format!("{found} × {} {when}:\n{log}", case.action)) }
    };
    let found = entries("before the retry")?;
    if struck.code == Some(0) && found != case.entries {
        return Err(format!("exit 0, but only {found} × {}", case.action));
    }
    let retried = sandbox.finish(sandbox.command(env!("CARGO_BIN_EXE_kf")).args(case.command));
    demand("the retry", retried)?;
    entries("after the retry")?;
    let list = demand("list", sandbox.kf(["list", "bot", "--format", "jsonl"]))?;
    if list.stdout.contains(&format!("\"stage\":\"{}\"", case.stage)) {
        return demand("fsck after the retry", sandbox.kf(["fsck"])).map(|_| ());
    }
    Err(format!("no version is in {}:\n{list}", case.stage))
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
