//! `examples/run-all.sh`, with the kf under test.

use crate::support::project;
use crate::support::sandbox::Sandbox;

#[test]
fn every_example_runs() {
    let s = Sandbox::new();
    let script = project().join("examples/run-all.sh");
    let run = s.finish(s.command("sh").arg(script).arg(env!("CARGO_BIN_EXE_kf")).env_remove("KF_CLOCK").env_remove("KF_SEED"));
    assert_eq!(run.code, Some(0), "{run}");
    assert!(run.stdout.ends_with("All examples ran.\n"), "{run}");
}
