//! `kf restore`.

use crate::repo::{ok, on_both, refused, with_bot};
use insta::assert_snapshot;

#[test]
fn an_archived_version_comes_back_to_development() {
    on_both(|s| {
        with_bot(s);
        assert_snapshot!(refused(s, 0, ["restore", "bot@1.0.0"]), @"
        bot@1.0.0 is in development already
        -- exit status: 0 --
        ");
        ok(s, ["archive", "bot"]);
        assert_snapshot!(refused(s, 0, ["restore", "bot@1.0.0", "--dry-run"]), @"
        bot@1.0.0: archived → development
        -- stderr --
        dry run: nothing was changed
        -- exit status: 0 --
        ");
        assert_snapshot!(s.kf(["restore", "bot@1.0.0"]), @"
        bot@1.0.0: archived → development
        -- exit status: 0 --
        ");
        ok(s, ["promote", "bot", "--to", "staging"]);
        assert_snapshot!(refused(s, 1, ["restore", "bot"]), @"
        -- stderr --
        error: bot@1.0.0 is in staging, not archived
        hint: only archived versions are restored; `kf promote` moves the others
        -- exit status: 1 --
        ");
    });
}
