//! Eight processes write at once: nothing is lost, nothing is doubled, and the log has no gap.

use crate::support::sandbox::on_both_engines;

const WRITERS: usize = 8;
const ROUNDS: usize = 4;

#[test]
fn eight_processes_lose_nothing() {
    on_both_engines(|sandbox| {
        sandbox.repository("");
        sandbox.write("cfg/prompt.txt", "text");
        for round in 0..ROUNDS {
            let args = |n: usize| ["register", &format!("m-{round}-{n}"), "cfg", "--type", "other"].map(str::to_owned).to_vec();
            for run in sandbox.kf_at_once(WRITERS, args) {
                assert_eq!(run.code, Some(0), "{run}");
            }
        }
        let list = sandbox.works(["list", "--format", "jsonl"]);
        let names: std::collections::BTreeSet<_> = list.stdout.lines().filter_map(|l| l.split('"').nth(3)).collect();
        assert_eq!(names.len(), WRITERS * ROUNDS, "{list}");
        let verified = sandbox.works(["audit", "verify"]);
        let entries = WRITERS * ROUNDS + 1;
        assert!(verified.stdout.contains(&format!("{entries} entries")), "{verified}");
    });
}

#[test]
fn of_eight_that_register_the_same_one_does() {
    on_both_engines(|sandbox| {
        sandbox.repository("");
        sandbox.write("cfg/prompt.txt", "text");
        let runs = sandbox.kf_at_once(WRITERS, |_| ["register", "bot", "cfg", "--type", "other"].map(str::to_owned).to_vec());
        assert!(runs.iter().all(|r| r.code == Some(0)), "{runs:#?}");
        let already = runs.iter().filter(|r| r.stdout.contains("already registered")).count();
        assert_eq!(already, WRITERS - 1, "{runs:#?}");
        let log = sandbox.works(["audit", "log", "--action", "version.registered", "--format", "jsonl"]);
        assert_eq!(log.stdout.lines().count(), 1, "{log}");
    });
}
