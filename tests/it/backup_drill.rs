//! What a drill proves, what it gives the programs that it starts, and what is told of it afterwards.

use crate::backup::{place_of, prepare, set};
use crate::repo::{ends, json, next_bot, ok};
use crate::schemas;
use crate::story::{RETURNS, TERMS};
use crate::support::sandbox::Sandbox;
use serde_json::Value;

fn prepared() -> Sandbox {
    let mut s = Sandbox::new();
    let place = place_of(&s);
    prepare(&mut s, &place);
    s
}

/// Puts keys into `[backup]`.
fn with_keys(s: &Sandbox, keys: &str) {
    s.write("mlops.toml", s.read("mlops.toml").replace("\n[backup]\n", &format!("\n[backup]\n{keys}\n")));
}

/// What a step of a drill found, or why it failed.
fn step<'d>(doc: &'d Value, what: &str) -> &'d Value {
    doc["steps"].as_array().expect("steps").iter().find(|step| step["what"] == what).unwrap_or_else(|| panic!("{what}: {doc}"))
}

#[test]
fn a_smoke_test_gets_the_copy_and_nothing_by_which_it_could_reach_what_is_in_use() {
    let mut s = prepared();
    for name in ["PGPASSWORD", "PGHOST", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "GITHUB_TOKEN"] {
        s.set(name, "a-secret");
    }
    let script = "test -z \"$PGPASSWORD$PGHOST$AWS_SECRET_ACCESS_KEY$AWS_PROFILE$GITHUB_TOKEN$KF_CLOCK\" || exit 7; \
                  test \"$KF_STATE_URL\" = sqlite || exit 8; test -f \"$KF_DIR/.kf/state.db\" || exit 9; test -f mlops.toml || exit 10; echo well";
    with_keys(&s, &format!("smoke = [\"sh\", \"-c\", '''{script}''']"));
    ok(&s, ["backup", "run"]);
    let doc = json(&ok(&s, ["backup", "drill", "--format", "json"]));
    assert_eq!(step(&doc, "smoke test")["found"], "well", "{doc}");
    s.write("mlops.toml", s.read("mlops.toml").replace("smoke = [", "smoke = []\n#"));
    let empty = ends(&s, 2, ["backup", "drill"]);
    assert!(empty.stderr.contains("`backup.smoke` names no program"), "{empty}");
}

#[test]
fn answers_that_are_known_must_come_back_and_what_was_erased_must_not() {
    let s = prepared();
    ok(&s, ["promote", "bot", "--to", "staging"]);
    ok(&s, ["promote", "bot", "--to", "production"]);
    s.write("one/about.md", RETURNS.replace("parcel", "Lovelacezarquon"));
    s.write("one/terms.md", TERMS);
    ok(&s, ["ingest", "one", "--tenant", "acme"]);
    ok(&s, ["backup", "run"]);
    ok(&s, ["tenant", "erase", "acme", "--subject", "Lovelacezarquon", "--yes", "--reason", "asked for"]);
    let doc = json(&ok(&s, ["backup", "drill", "--format", "json"]));
    assert_eq!(
        step(&doc, "production")["found"].as_str().map(|found| found.starts_with("1 version in production")),
        Some(true),
        "{doc}"
    );
    assert_eq!(step(&doc, "erasures")["found"], "1 done again", "{doc}");
    assert_eq!(step(&doc, "search")["found"], "1 question in 1 collection found their documents", "{doc}");
    assert_eq!(doc["lost_events"], 1, "the erasure, and not what the log tells of backups: {doc}");
    assert!(doc["newest_event"].is_string(), "{doc}");
    let left = crate::backup::files(&s.work().join(".kf/cache/backup"));
    assert!(left.iter().all(|path| path.ends_with("lock")), "nothing of the drill stays; {left:?}");
}

#[test]
fn a_log_that_was_rewritten_is_found_by_a_checkpoint_in_git() {
    let s = prepared();
    ok(&s, ["audit", "key", "--generate", "--out", "log.key"]);
    s.write("mlops.toml", format!("{}[signing]\nlog-key = \"file:log.key\"\n", s.read("mlops.toml")));
    s.write(".gitignore", format!("{}log.key\n", s.read(".gitignore")));
    let copy = |from: &str, to: &str| {
        let done =
            std::process::Command::new("cp").arg("-a").arg(s.work().join(from)).arg(s.work().join(to)).status().expect("cp");
        assert!(done.success());
    };
    copy(".kf", "../before");
    next_bot(&s, 6);
    ok(&s, ["audit", "anchor"]);
    ok(&s, ["backup", "run"]);
    let doc = json(&ok(&s, ["backup", "drill", "--format", "json"]));
    assert!(step(&doc, "audit log")["found"].as_str().is_some_and(|found| found.contains("checkpoint")), "{doc}");
    // Whoever has the state and the key goes back, and tells another story that is as long.
    std::fs::remove_dir_all(s.work().join(".kf")).expect("removed");
    copy("../before", ".kf");
    next_bot(&s, 9);
    ok(&s, ["tag", "bot@1.0.0", "good"]);
    ok(&s, ["backup", "run"]);
    let drill = ends(&s, 3, ["backup", "drill", "--format", "json"]);
    let why = step(&json(&drill), "audit log")["failed"].as_str().unwrap_or_default().to_owned();
    assert!(why.contains("the audit log is not the one that is known here"), "{drill}");
}

#[test]
fn an_older_set_is_drilled_too_and_the_series_of_drills_is_kept_with_its_alarms() {
    let s = prepared();
    let first = set(&ok(&s, ["backup", "run", "--format", "json"]));
    let alone = json(&ok(&s, ["backup", "drill", "--also-older", "--format", "json"]));
    assert!(alone["older"].is_null(), "there is none: {alone}");
    next_bot(&s, 6);
    let second = set(&ok(&s, ["backup", "run", "--format", "json"]));
    let both = json(&ok(&s, ["backup", "drill", "--also-older", "--format", "json"]));
    assert_eq!((both["set"].as_str(), both["older"]["set"].as_str()), (Some(second.as_str()), Some(first.as_str())), "{both}");
    let series = json(&ok(&s, ["backup", "status", "--history", "--format", "json"]));
    schemas::fit("backup-history", std::slice::from_ref(&series));
    let sets: Vec<&str> = series["drills"].as_array().expect("drills").iter().filter_map(|drill| drill["set"].as_str()).collect();
    assert_eq!(sets, [first.as_str(), second.as_str(), first.as_str()], "{series}");
    assert_eq!(series["rto_limit_ms"], 4 * 3_600_000);
    ok(&s, ["backup", "status"]);
    assert!(!ok(&s, ["status"]).stdout.contains("backup  "));
    let metrics = ok(&s, ["monitor", "metrics"]).stdout;
    assert!(
        metrics.contains("kf_backup_overdue{plan=\"daily\"} 0") && metrics.contains("kf_backup_proven_timestamp_seconds{plan="),
        "{metrics}"
    );

    with_keys(&s, "rto = \"1ms\"");
    let slow = ends(&s, 3, ["backup", "status"]);
    assert!(slow.stdout.contains("the recovery time is"), "{slow}");
    assert!(ok(&s, ["status"]).stdout.contains("backup  daily: the recovery time is"));
    assert!(ends(&s, 3, ["health"]).stdout.contains("the recovery time is"));
    s.write("mlops.toml", s.read("mlops.toml").replace("rto = \"1ms\"", "rto = \"0s\""));
    let zero = ends(&s, 2, ["backup", "status"]);
    assert!(zero.stderr.contains("`backup.rto` must not be zero"), "{zero}");
}
