//! Eight processes that write at once: nothing is lost, nothing is torn, nobody fails.

use crate::repo::{events, init, json, ok, on_both};
use std::collections::BTreeSet;

/// How many processes.
const WRITERS: usize = 8;
/// How many versions each registers.
const EACH: usize = 3;

#[test]
fn on_different_models_and_on_the_same() {
    on_both(|s| {
        init(s);
        for writer in 0..WRITERS {
            for n in 0..EACH {
                s.write(format!("own/{writer}-{n}.bin"), format!("own {writer} {n}"));
                s.write(format!("same/{writer}-{n}.bin"), format!("same {writer} {n}"));
            }
        }
        for n in 0..EACH {
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
            assert_eq!(of(&format!("m{writer}")).len(), EACH, "writer {writer}");
        }
        assert_eq!(of("shared").len(), WRITERS * EACH, "each has a number of its own");
        let expected = 1 + 2 * WRITERS * EACH;
        assert_eq!(events(s), expected as u64, "one event for each, and the first of the state");
        ok(s, ["audit", "verify"]);
        ok(s, ["fsck"]);
        let log = json(&ok(s, ["audit", "log", "--limit", "1000", "--format", "json"]));
        let mut seen: Vec<u64> = log["entries"].as_array().expect("entries").iter().filter_map(|e| e["index"].as_u64()).collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..expected as u64).collect::<Vec<_>>(), "no gap and no double");
    });
}
