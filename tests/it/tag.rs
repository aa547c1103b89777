//! `kf tag`.

use crate::repo::{events, ok, on_both, refused, with_bot};
use insta::assert_snapshot;

#[test]
fn a_tag_comes_and_goes() {
    on_both(|s| {
        with_bot(s);
        assert_snapshot!(refused(s, 0, ["tag", "bot", "reviewed", "--dry-run"]), @"
        bot@1.0.0 is now tagged reviewed
        -- stderr --
        dry run: nothing was changed
        -- exit status: 0 --
        ");
        assert_snapshot!(s.kf(["tag", "bot", "reviewed"]), @"
        bot@1.0.0 is now tagged reviewed
        -- exit status: 0 --
        ");
        let size = events(s);
        assert_snapshot!(s.kf(["tag", "bot", "reviewed"]), @"
        bot@1.0.0 was tagged already: reviewed
        -- exit status: 0 --
        ");
        assert_eq!(events(s), size, "no event for nothing");
        assert!(ok(s, ["list", "--tag", "reviewed"]).stdout.contains("bot"));
        assert_snapshot!(s.kf(["tag", "bot", "reviewed", "--remove"]), @"
        bot@1.0.0 is no longer tagged reviewed
        -- exit status: 0 --
        ");
        assert_snapshot!(refused(s, 0, ["tag", "bot", "reviewed", "--remove"]), @"
        bot@1.0.0 was not tagged reviewed
        -- exit status: 0 --
        ");
        assert_snapshot!(refused(s, 2, ["tag", "bot", "two words"]), @"
        -- stderr --
        error: invalid value 'two words' for '<TAG>': `two words` cannot be a name: ` ` is not allowed, use letters, digits, `-`, `_` and `.`, such as `two-words`

        For more information, try '--help'.
        -- exit status: 2 --
        ");
    });
}
