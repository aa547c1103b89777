//! Eight processes write at once: nothing is lost, nothing is doubled, and the log has no gap.

use crate::repo::{events, init, json, ok, on_both};
use crate::support::sandbox::on_both_engines;
use std::collections::BTreeSet;

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

#[test]
fn versions_of_one_model_take_turns() {
    on_both(|s| {
        init(s);
        for writer in 0..WRITERS {
            for n in 0..ROUNDS {
                s.write(format!("own/{writer}-{n}.bin"), format!("own {writer} {n}"));
                s.write(format!("same/{writer}-{n}.bin"), format!("same {writer} {n}"));
            }
        }
        for n in 0..ROUNDS {
            for (model, folder) in [("own", "own"), ("same", "same")] {
                let runs = s.kf_at_once(WRITERS, |writer| {
                    let name = if model == "own" { format!("m{writer}") } else { "shared".to_owned() };
                    let file = format!("{folder}/{writer}-{n}.bin");
                    ["register", &name, &file, "--type", "other", "--lock-timeout", "60s"].map(str::to_owned).to_vec()
                });
                runs.iter().for_each(|run| assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{run}"));
            }
        }
        let of = |name: &str| {
            let list = json(&ok(s, ["list", name, "--format", "json"]));
            let versions = list["versions"].as_array().cloned().unwrap_or_default();
            versions.iter().map(|v| v["version"].as_str().unwrap_or_default().to_owned()).collect::<BTreeSet<_>>()
        };
        for writer in 0..WRITERS {
            assert_eq!(of(&format!("m{writer}")).len(), ROUNDS, "writer {writer}");
        }
        assert_eq!(of("shared").len(), WRITERS * ROUNDS, "each has a number of its own");
        let expected = 1 + 2 * WRITERS * ROUNDS;
        assert_eq!(events(s), expected as u64, "one event for each, and the first of the state");
        ok(s, ["audit", "verify"]);
        ok(s, ["fsck"]);
        let log = json(&ok(s, ["audit", "log", "--limit", "1000", "--format", "json"]));
        let mut seen: Vec<u64> = log["entries"].as_array().expect("entries").iter().filter_map(|e| e["index"].as_u64()).collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..expected as u64).collect::<Vec<_>>(), "no gap and no double");
    });
}
