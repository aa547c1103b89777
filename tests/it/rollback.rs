//! `kf rollback`.

use crate::repo::{flip_a_bit, json, next_bot, ok, on_both, refused, release, with_bot};
use crate::support::sandbox::Sandbox;
use insta::assert_snapshot;

#[test]
fn the_last_good_version_comes_back() {
    on_both(|s| {
        with_bot(s);
        next_bot(s, 8);
        release(s, "bot@1.0.0");
        release(s, "bot@1.0.1");
        assert_snapshot!(refused(s, 0, ["rollback", "bot", "--dry-run"]), @"
        bot@1.0.0 is in production again; 1.0.1 is archived
        -- stderr --
        dry run: nothing was changed
        -- exit status: 0 --
        ");
        assert_snapshot!(s.kf(["rollback", "bot", "--ticket", "INC-1", "--reason", "worse"]), @"
        bot@1.0.0 is in production again; 1.0.1 is archived
        -- exit status: 0 --
        ");
        assert_eq!(json(&ok(s, ["show", "bot@production", "--format", "json"]))["version"], "1.0.0");
        assert_snapshot!(refused(s, 0, ["rollback", "bot", "--to", "1.0.0"]), @"
        bot@1.0.0 is in production already
        -- exit status: 0 --
        ");
        assert_snapshot!(s.kf(["rollback", "bot", "--to", "1.0.1", "--expect", "1.0.0"]), @"
        bot@1.0.1 is in production again; 1.0.0 is archived
        -- exit status: 0 --
        ");
    });
}

#[test]
fn nothing_to_roll_back_to() {
    on_both(|s| {
        with_bot(s);
        assert_snapshot!(refused(s, 1, ["rollback", "bot"]), @"
        -- stderr --
        error: bot has no earlier good production version
        hint: `kf history bot` shows what was in production; `kf rollback bot --to VERSION` chooses one
        -- exit status: 1 --
        ");
        release(s, "bot");
        assert_snapshot!(refused(s, 1, ["rollback", "bot"]), @"
        -- stderr --
        error: bot has no earlier good production version
        hint: `kf history bot` shows what was in production; `kf rollback bot --to VERSION` chooses one
        -- exit status: 1 --
        ");
        next_bot(s, 8);
        assert_snapshot!(refused(s, 1, ["rollback", "bot", "--to", "1.0.1"]), @"
        -- stderr --
        error: bot@1.0.1 was never in production, so it is nothing to roll back to
        hint: release it with its gates: `kf promote bot@1.0.1 --to production`
        -- exit status: 1 --
        ");
        assert_snapshot!(refused(s, 1, ["rollback", "bot", "--to", "3.0.0"]), @"
        -- stderr --
        error: there is no bot@3.0.0
        hint: `kf history bot` shows what was in production
        -- exit status: 1 --
        ");
        assert_snapshot!(refused(s, 1, ["rollback", "bot", "--expect", "1.0.1"]), @"
        -- stderr --
        error: expected bot@1.0.1 in production, found bot@1.0.0
        hint: somebody changed it meanwhile: look at `kf history bot` before trying again
        -- exit status: 1 --
        ");
        assert_snapshot!(refused(s, 1, ["rollback", "bit"]), @"
        -- stderr --
        error: there is no model `bit`
        hint: did you mean `bot`?
        -- exit status: 1 --
        ");
    });
}

#[test]
fn a_version_with_a_damaged_file_does_not_come_back() {
    let s = Sandbox::new();
    with_bot(&s);
    s.write("bot/prompts/answer.txt", "Answer {question} from {context}, briefly.\n");
    ok(&s, ["register", "bot", "bot"]);
    release(&s, "bot@1.0.0");
    release(&s, "bot@1.0.1");
    flip_a_bit(&s, "bot@1.0.0");
    assert_snapshot!(refused(&s, 3, ["rollback", "bot"]), @"
    -- stderr --
    error: the file prompts/answer.txt of bot@1.0.0 is not what was registered: its 34 bytes have the digest sha256:7070155566746dfff2321bb7ffa1592e238558d8eaf2740fbea741e178c6b9e8
    hint: `kf fsck --repair` sets damaged objects aside; registering the same files again heals them: `kf register bot PATH --version 1.0.0`
    -- exit status: 3 --
    ");
    refused(&s, 3, ["rollback", "bot", "--dry-run"]);
}
