//! `kf demo`: it runs the real commands on the real sample, so changed data must change what is seen.

use crate::repo::{ends, json, ok};
use crate::support::sandbox::Sandbox;
use insta::assert_snapshot;

#[test]
fn the_story_is_told_with_the_real_commands_and_the_folder_stays_when_named() {
    let s = Sandbox::new();
    let run = ok(&s, ["demo", "--dir", "shop"]);
    for told in [
        "4 documents taken; 40 chunks",
        "You can return an unused item within 30 days of delivery.",
        "$ kf promote bot --to production --first-release",
        "(exit code 3)",
        "prompts.test.yaml: 0 of 1 answer passed, 1 failed",
        "prompts.test.yaml: 1 of 1 answer passed",
        "cited: promote: the treatment is better with a chance of 1.0000",
        "says 1.0.0",
        "bot@3.0.1 is in production with all of the traffic of local",
        "says 3.0.1",
        "was taken back",
        "bot@1.0.0 is in production with all of the traffic of local",
        "an altered copy is refused",
        "quotes@1.0.1 is better than quotes@1.0.0: top_k = 1: a gain of +0.1",
        "quotes@1.0.1 is in staging",
        "was restored, and all of it is there: recovery time ",
        "every plan in ",
        "Done: a worse version was refused, a better one tried on users, released and rolled back, a broken one taken back by itself, drift was \
         found, better settings were, and the log verified.",
    ] {
        assert!(run.stdout.contains(told), "{told}\n{run}");
    }
    let status = ok(&s, ["-C", "shop", "status"]).stdout;
    assert!(status.contains("bot     1.0.0       3.0.0    3.0.1 (archived)"), "{status}");
    ok(&s, ["-C", "shop", "audit", "verify"]);
    let drill = json(&ok(&s, ["-C", "shop", "audit", "log", "--action", "backup.drilled", "--format", "json"]));
    let of = &drill["entries"][0]["detail"];
    assert!(
        of["report"].as_str().is_some_and(|report| report.contains("kf.backup-drill/1") && report.contains("\n— kf/")),
        "signed: {drill}"
    );
    assert!(
        of["rto-ms"].as_u64().is_some_and(|ms| ms < 60_000) && of["rpo-ms"].as_u64().is_some_and(|ms| ms < 60_000),
        "{drill}"
    );
    assert_snapshot!(ends(&s, 1, ["demo", "--dir", "shop"]), @"
    -- stderr --
    error: cannot make [ROOT]/work/shop
    caused by: File exists (os error 17)
    hint: name a folder that does not exist yet, in one that does
    -- exit status: 1 --
    ");
}

#[test]
fn a_demo_leaves_nothing_behind_and_minds_no_settings_of_the_caller() {
    let mut s = Sandbox::new();
    s.set("KF_STATE_URL", "postgres://nobody@127.0.0.1:1/none");
    s.set("KF_FORMAT", "table");
    let run = ok(&s, ["demo"]);
    assert!(run.stdout.contains("Done:"), "{run}");
    let left = |dir: &str| std::fs::read_dir(s.root().join(dir)).expect("a folder").count();
    assert_eq!((left("tmp"), left("work")), (0, 0), "no scratch folder stays");
}
