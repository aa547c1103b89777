//! `kf archive`.

use crate::repo::{next_bot, on_both, refused, release, with_bot};
use insta::assert_snapshot;

#[test]
fn a_version_retires_but_not_from_production() {
    on_both(|s| {
        with_bot(s);
        next_bot(s, 8);
        assert_snapshot!(refused(s, 0, ["archive", "bot", "--dry-run"]), @"
        bot@1.0.1: development → archived
        -- stderr --
        dry run: nothing was changed
        -- exit status: 0 --
        ");
        assert_snapshot!(s.kf(["archive", "bot", "--reason", "a mistake"]), @"
        bot@1.0.1: development → archived
        -- exit status: 0 --
        ");
        assert_snapshot!(refused(s, 0, ["archive", "bot@1.0.1"]), @"
        bot@1.0.1 is archived already
        -- exit status: 0 --
        ");
        release(s, "bot@1.0.0");
        assert_snapshot!(refused(s, 1, ["archive", "bot@production"]), @"
        -- stderr --
        error: bot@1.0.0 is in production
        hint: promote another version first, or take it back: `kf rollback bot`
        -- exit status: 1 --
        ");
        assert_snapshot!(refused(s, 1, ["archive", "bot@7.0.0"]), @"
        -- stderr --
        error: there is no bot@7.0.0
        hint: the newest versions are: 1.0.1, 1.0.0
        -- exit status: 1 --
        ");
    });
}
