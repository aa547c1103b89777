//! `kf history`.

use crate::repo::{ends, json, next_bot, ok, on_both, release, with_bot};
use insta::assert_snapshot;

#[test]
fn who_put_what_where_when_why_and_what_it_replaced() {
    on_both(|s| {
        with_bot(s);
        assert_snapshot!(s.kf(["history", "bot"]), @"
        No version of bot has left development yet.
        -- exit status: 0 --
        ");
        next_bot(s, 8);
        release(s, "bot@1.0.0");
        release(s, "bot@1.0.1");
        ok(s, ["rollback", "bot", "--ticket", "INC-1", "--reason", "answers got worse", "--as", "grace@example.com"]);
        assert_snapshot!(s.kf(["history", "bot"]), @"
        WHEN                  VERSION  HOW       FROM         TO          REPLACED  WHO                TICKET  WHY                EVENT
        2026-11-21T08:08:00Z  1.0.0    rollback  archived     production  1.0.1     grace@example.com  INC-1   answers got worse      7
        2026-11-21T08:08:00Z  1.0.1    replaced  production   archived              grace@example.com  INC-1   answers got worse      7
        2026-11-21T08:07:00Z  1.0.1    promote   staging      production  1.0.0     ada                                               6
        2026-11-21T08:07:00Z  1.0.0    replaced  production   archived              ada                                               6
        2026-11-21T08:06:00Z  1.0.1    promote   development  staging               ada                                               5
        2026-11-21T08:05:00Z  1.0.0    promote   staging      production            ada                                               4
        2026-11-21T08:04:00Z  1.0.0    promote   development  staging               ada                                               3
        -- exit status: 0 --
        ");
        let one = json(&ok(s, ["history", "bot", "--limit", "1", "--format", "json"]));
        assert_eq!(one["schema"], "kf.history/1");
        assert_eq!((&one["changes"][0]["how"], one["changes"].as_array().map(Vec::len)), (&"rollback".into(), Some(1)));
        assert_snapshot!(ends(s, 1, ["history", "bott"]), @"
        -- stderr --
        error: there is no model `bott`
        hint: did you mean `bot`?
        -- exit status: 1 --
        ");
    });
}
