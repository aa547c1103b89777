//! What the tests of commands start from: a repository with a small bot in it, and ways to look at what a command left behind.

use crate::support::sandbox::{Run, Sandbox, on_both_engines};
use serde_json::Value;
use std::path::PathBuf;

/// Runs a test on both engines; the same snapshots must hold on both.
pub(crate) fn on_both(test: impl Fn(&mut Sandbox)) {
    insta::allow_duplicates!(on_both_engines(test));
}

/// Runs kf and expects success.
#[track_caller]
pub(crate) fn ok<const N: usize>(sandbox: &Sandbox, args: [&str; N]) -> Run {
    let run = sandbox.kf(args);
    assert_eq!(run.code, Some(0), "kf {args:?}\n{run}");
    run
}

/// Runs kf and expects this exit code.
#[track_caller]
pub(crate) fn ends<const N: usize>(sandbox: &Sandbox, code: i32, args: [&str; N]) -> Run {
    let run = sandbox.kf(args);
    assert_eq!(run.code, Some(code), "kf {args:?}\n{run}");
    run
}

/// Makes the working directory a repository named `shop`.
pub(crate) fn init(sandbox: &Sandbox) {
    ok(sandbox, ["init", "--name", "shop"]);
}

/// Writes the first configuration of the bot into `bot/`.
pub(crate) fn write_bot(sandbox: &Sandbox) {
    sandbox.write("bot/prompts/answer.txt", "Answer {question} from {context}.\n");
    sandbox.write("bot/retrieval.yaml", "top-k: 5\nmode: hybrid\n");
    sandbox.write("bot/routing.yaml", "default: small\n");
}

/// A repository whose bot is registered as 1.0.0.
pub(crate) fn with_bot(sandbox: &Sandbox) {
    init(sandbox);
    write_bot(sandbox);
    ok(sandbox, ["register", "bot", "bot"]);
}

/// Changes a value of the bot and registers the next version.
pub(crate) fn next_bot(sandbox: &Sandbox, top_k: u32) {
    sandbox.write("bot/retrieval.yaml", format!("top-k: {top_k}\nmode: hybrid\n"));
    ok(sandbox, ["register", "bot", "bot"]);
}

/// Puts a version of the bot into production by way of staging.
pub(crate) fn release(sandbox: &Sandbox, reference: &str) {
    ok(sandbox, ["promote", reference, "--to", "staging"]);
    ok(sandbox, ["promote", reference, "--to", "production"]);
}

/// The JSON document on standard output.
#[track_caller]
pub(crate) fn json(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|e| panic!("not JSON ({e}):\n{run}"))
}

/// All that `kf status` knows, to compare before and after.
#[track_caller]
pub(crate) fn state(sandbox: &Sandbox) -> Value {
    json(&ok(sandbox, ["status", "--format", "json"]))
}

/// The number of events in the audit log.
#[track_caller]
pub(crate) fn events(sandbox: &Sandbox) -> u64 {
    state(sandbox)["audit"]["size"].as_u64().expect("a size")
}

/// Runs kf, expects this exit code, and that it left the state as it was.
#[track_caller]
pub(crate) fn refused<const N: usize>(sandbox: &Sandbox, code: i32, args: [&str; N]) -> Run {
    let before = state(sandbox);
    let run = ends(sandbox, code, args);
    assert_eq!(state(sandbox), before, "kf {args:?} changed the state\n{run}");
    run
}

/// The object of a version's first file, in a sandbox whose objects are files.
#[track_caller]
pub(crate) fn first_object(sandbox: &Sandbox, reference: &str) -> PathBuf {
    let shown = json(&ok(sandbox, ["show", reference, "--format", "json"]));
    let digest = shown["manifest"][0]["digest"].as_str().expect("a digest").trim_start_matches("sha256:").to_owned();
    let objects = sandbox.work().join(".kf/objects/sha256").join(&digest[..2]);
    [objects.join(&digest[2..]), objects.join(&digest)].into_iter().find(|o| o.exists()).expect("the object")
}

/// Flips a bit of the object of a version's first file; its size stays.
#[track_caller]
pub(crate) fn flip_a_bit(sandbox: &Sandbox, reference: &str) {
    let object = first_object(sandbox, reference);
    let mut bytes = std::fs::read(&object).expect("the object");
    bytes[0] ^= 1;
    std::fs::remove_file(&object).expect("removed");
    std::fs::write(&object, bytes).expect("written");
}
