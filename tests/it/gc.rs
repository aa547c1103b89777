//! `kf gc`: what is kept and why, what goes, and that it goes only when told.

use crate::repo::{ends, events, json, next_bot, ok, on_both, refused, release, with_bot};
use insta::assert_snapshot;

#[test]
fn what_is_needed_stays_and_why() {
    on_both(|s| {
        with_bot(s);
        next_bot(s, 8);
        release(s, "bot@1.0.0");
        next_bot(s, 9);
        ok(s, ["alias", "bot@1.0.1", "champion"]);
        ok(s, ["archive", "bot@1.0.2"]);
        let before = events(s);
        assert_snapshot!(s.kf(["gc"]), @"
        VERSION    KEPT BECAUSE
        bot@1.0.0  stage production
        bot@1.0.1  stage development
        bot@1.0.2  retention until 2027-11-21

        would go: 0 objects (0 B); past retention: 0 versions
        -- exit status: 0 --
        ");
        assert_eq!(events(s), before, "telling changes nothing");
        ok(s, ["gc", "--apply"]);
        for version in ["bot@1.0.0", "bot@1.0.1", "bot@1.0.2"] {
            ok(s, ["checkout", version, version]);
        }
        ok(s, ["fsck"]);
    });
}

#[test]
fn versions_past_their_retention_go_with_their_files() {
    on_both(|s| {
        with_bot(s);
        next_bot(s, 8);
        let old = s.read("mlops.toml");
        s.write("mlops.toml", format!("{old}\n[policy]\nretention-days = 0\nrollback-window = 1\n"));
        ok(s, ["archive", "bot@1.0.0"]);
        let told = json(&ok(s, ["gc", "--grace", "1s", "--force", "--format", "json"]));
        let expired = |doc: &serde_json::Value| doc["expired"].as_array().map(Vec::len);
        assert_eq!((expired(&told), told["applied"].as_bool()), (Some(1), Some(false)), "{told}");
        ok(s, ["checkout", "bot@1.0.0", "still-there"]);
        let dry = json(&ok(s, ["gc", "--apply", "--dry-run", "--grace", "1s", "--force", "--format", "json"]));
        assert_eq!(dry["applied"], false, "a dry run is one: {dry}");
        let done = json(&ok(s, ["gc", "--apply", "--grace", "1s", "--force", "--format", "json"]));
        assert_eq!((expired(&done), done["applied"].as_bool()), (Some(1), Some(true)), "{done}");
        let run = refused(s, 1, ["checkout", "bot@1.0.0", "gone"]);
        assert!(run.stderr.contains("retention"), "{run}");
        ok(s, ["checkout", "bot@1.0.1", "kept"]);
        ok(s, ["fsck"]);
    });
}

#[test]
fn a_short_grace_asks_for_force() {
    on_both(|s| {
        with_bot(s);
        assert_snapshot!(refused(s, 2, ["gc", "--apply", "--grace", "1s"]), @"
        -- stderr --
        error: a grace of 1 s is shorter than an hour: a registration that runs now could lose its files
        hint: give `--grace 1h` or more; when nothing registers at the moment, `--force` allows less
        -- exit status: 2 --
        ");
        assert_snapshot!(ends(s, 2, ["gc", "--grace", "soon"]), @"
        -- stderr --
        error: invalid value 'soon' for '--grace <TIME>': `soon` is not a duration: write it as 30s or 5m

        For more information, try '--help'.
        -- exit status: 2 --
        ");
    });
}
