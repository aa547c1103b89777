//! `kf log`.

use crate::repo::{ends, json, next_bot, ok, on_both, with_bot};
use insta::assert_snapshot;

#[test]
fn versions_newest_first() {
    on_both(|s| {
        with_bot(s);
        next_bot(s, 8);
        ok(s, ["tag", "bot@1.0.0", "reviewed"]);
        assert_snapshot!(s.kf(["log", "bot"]), @"
        bot@1.0.1  (development)
          digest   sha256:8d12a3e5e995773df20a6e778a01469c29202eeb4d86db30db99af1c15590196
          author   ada, 2026-11-21T08:02:00Z
          content  3 files, 71 B

        bot@1.0.0  (development)
          digest   sha256:553a4168a31dbad4322fe02fa5d7e445390276ee4d6692351eda5b8a22e9d761
          author   ada, 2026-11-21T08:01:00Z
          content  3 files, 71 B
          tags     reviewed
        -- exit status: 0 --
        ");
        let one = json(&ok(s, ["log", "bot", "--limit", "1", "--format", "json"]));
        assert_eq!((&one["schema"], one["versions"].as_array().map(Vec::len)), (&"kf.log/1".into(), Some(1)));
        assert_snapshot!(ends(s, 1, ["log", "robot"]), @"
        -- stderr --
        error: there is no model `robot`
        hint: there is: bot
        -- exit status: 1 --
        ");
    });
}
