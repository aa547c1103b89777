//! `kf alias`.

use crate::repo::{events, json, next_bot, ok, on_both, refused, with_bot};
use insta::assert_snapshot;

#[test]
fn an_alias_moves_and_goes() {
    on_both(|s| {
        with_bot(s);
        next_bot(s, 8);
        assert_snapshot!(s.kf(["alias", "bot@1.0.0", "champion"]), @"
        bot@champion now means 1.0.0
        -- exit status: 0 --
        ");
        assert_snapshot!(refused(s, 0, ["alias", "bot@1.0.0", "champion"]), @"
        bot@champion means 1.0.0 already
        -- exit status: 0 --
        ");
        assert_snapshot!(refused(s, 0, ["alias", "bot", "champion", "--dry-run"]), @"
        bot@champion now means 1.0.1, before 1.0.0
        -- stderr --
        dry run: nothing was changed
        -- exit status: 0 --
        ");
        assert_snapshot!(s.kf(["alias", "bot", "champion"]), @"
        bot@champion now means 1.0.1, before 1.0.0
        -- exit status: 0 --
        ");
        assert_eq!(json(&ok(s, ["show", "bot@champion", "--format", "json"]))["version"], "1.0.1");
        let size = events(s);
        assert_snapshot!(s.kf(["alias", "bot", "champion", "--remove"]), @"
        bot has no alias champion any more
        -- exit status: 0 --
        ");
        assert_eq!(events(s), size + 1);
        assert_snapshot!(refused(s, 1, ["alias", "bot", "champion", "--remove"]), @"
        -- stderr --
        error: bot has no alias `champion`
        hint: `kf show bot` lists the aliases
        -- exit status: 1 --
        ");
    });
}

#[test]
fn words_that_mean_something_else_are_refused() {
    on_both(|s| {
        with_bot(s);
        assert_snapshot!(refused(s, 2, ["alias", "bot", "production"]), @"
        -- stderr --
        error: `production` cannot be an alias: after `@` it means something else
        hint: choose a word that is no stage, no version and not `latest`
        -- exit status: 2 --
        ");
        for word in ["latest", "1.0.0", "none", "Staging", "a b", "é"] {
            refused(s, 2, ["alias", "bot", word]);
        }
    });
}
