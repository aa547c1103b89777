//! `kf promote`.

use crate::repo::{ends, events, first_object, flip_a_bit, json, next_bot, ok, on_both, refused, release, with_bot, write_bot};
use crate::support::sandbox::Sandbox;
use insta::assert_snapshot;

/// A gate on a golden file, for both stages.
const GATED: &str = "[project]\nname = \"shop\"\n[golden]\ndataset = \"golden.jsonl\"\n\
    [gates.exact]\nstage = [\"staging\", \"production\"]\nkind = \"absolute\"\nmetric = \"exact-match\"\nmin = 0.9\n";

#[test]
fn by_way_of_staging_and_the_replaced_version_is_archived() {
    on_both(|s| {
        with_bot(s);
        next_bot(s, 8);
        assert_snapshot!(refused(s, 1, ["promote", "bot", "--to", "production"]), @"
        -- stderr --
        error: bot@1.0.1 is in development, and production takes versions from staging only
        hint: run `kf promote bot@1.0.1 --to staging` first, or set `policy.skip-staging = true`
        -- exit status: 1 --
        ");
        assert_snapshot!(s.kf(["promote", "bot@1.0.0", "--to", "staging"]), @"
        bot@1.0.0: development → staging
        -- stderr --
        note: no gate of staging is configured, so no evaluation was asked for: `[gates.NAME]` in mlops.toml
        -- exit status: 0 --
        ");
        assert_snapshot!(s.kf(["promote", "bot@1.0.0", "--to", "production", "--ticket", "OPS-7", "--reason", "go"]), @"
        bot@1.0.0: staging → production
        -- stderr --
        note: no gate of production is configured, so no evaluation was asked for: `[gates.NAME]` in mlops.toml
        -- exit status: 0 --
        ");
        assert_snapshot!(refused(s, 0, ["promote", "bot@1.0.0", "--to", "production"]), @"
        bot@1.0.0 is in production already
        -- exit status: 0 --
        ");
        ok(s, ["promote", "bot", "--to", "staging"]);
        assert_snapshot!(refused(s, 0, ["promote", "bot", "--to", "production", "--dry-run"]), @"
        bot@1.0.1: staging → production; 1.0.0 is archived
        -- stderr --
        note: no gate of production is configured, so no evaluation was asked for: `[gates.NAME]` in mlops.toml
        dry run: nothing was changed
        -- exit status: 0 --
        ");
        assert_snapshot!(s.kf(["promote", "bot", "--to", "production"]), @"
        bot@1.0.1: staging → production; 1.0.0 is archived
        -- stderr --
        note: no gate of production is configured, so no evaluation was asked for: `[gates.NAME]` in mlops.toml
        -- exit status: 0 --
        ");
        assert_snapshot!(s.kf(["status"]).stdout.lines().skip(1).collect::<Vec<_>>().join("\n"), @"

        MODEL  PRODUCTION  STAGING  NEWEST
        bot    1.0.1                1.0.1 (production)

        audit   7 events, unsigned: `kf audit key --generate` makes a key that signs them
        ");
        let history = json(&ok(s, ["history", "bot", "--format", "json"]));
        assert_eq!(history["changes"][0]["replaced"], "1.0.0");
    });
}

#[test]
fn policy_opens_the_short_way_and_asks_for_tickets() {
    on_both(|s| {
        with_bot(s);
        s.write("mlops.toml", "[project]\nname = \"shop\"\n[policy]\nskip-staging = true\nrequire-ticket = [\"production\"]\n");
        assert_snapshot!(refused(s, 2, ["promote", "bot", "--to", "production"]), @"
        -- stderr --
        error: policy asks for a ticket to promote to production
        hint: add `--ticket ID`
        -- exit status: 2 --
        ");
        refused(s, 2, ["promote", "bot", "--to", "production", "--ticket", " "]);
        ok(s, ["promote", "bot", "--to", "production", "--ticket", "OPS-7"]);
    });
}

#[test]
fn ways_that_do_not_exist() {
    on_both(|s| {
        with_bot(s);
        assert_snapshot!(refused(s, 2, ["promote", "bot", "--to", "archived"]), @"
        -- stderr --
        error: invalid value 'archived' for '--to <STAGE>': nothing is promoted to archived, expected staging or production; `kf archive` retires a version

        For more information, try '--help'.
        -- exit status: 2 --
        ");
        assert_snapshot!(refused(s, 2, ["promote", "bot", "--to", "prod"]), @"
        -- stderr --
        error: invalid value 'prod' for '--to <STAGE>': `prod` is not a stage, did you mean `production`?

        For more information, try '--help'.
        -- exit status: 2 --
        ");
        assert_snapshot!(refused(s, 2, ["promote", "bot"]), @"
        -- stderr --
        error: the following required arguments were not provided:
          --to <STAGE>

        Usage: kf promote --to <STAGE> <REFERENCE>

        For more information, try '--help'.
        -- exit status: 2 --
        ");
        release(s, "bot");
        assert_snapshot!(refused(s, 1, ["promote", "bot", "--to", "staging"]), @"
        -- stderr --
        error: bot@1.0.0 is in production and cannot go back to staging
        hint: `kf rollback bot` puts the version before it back
        -- exit status: 1 --
        ");
        next_bot(s, 8);
        ok(s, ["archive", "bot@1.0.1"]);
        assert_snapshot!(refused(s, 1, ["promote", "bot@1.0.1", "--to", "staging"]), @"
        -- stderr --
        error: bot@1.0.1 is archived
        hint: bring it back first: `kf restore bot@1.0.1`, or put a former production version back: `kf rollback bot`
        -- exit status: 1 --
        ");
    });
}

#[test]
fn what_was_expected_must_still_hold() {
    on_both(|s| {
        with_bot(s);
        next_bot(s, 8);
        release(s, "bot@1.0.0");
        ok(s, ["promote", "bot", "--to", "staging"]);
        assert_snapshot!(refused(s, 1, ["promote", "bot", "--to", "production", "--expect", "0.9.0"]), @"
        -- stderr --
        error: expected bot@0.9.0 in production, found bot@1.0.0
        hint: somebody changed it meanwhile: look at `kf history bot` before trying again
        -- exit status: 1 --
        ");
        ok(s, ["promote", "bot", "--to", "production", "--expect", "1.0.0"]);
    });
}

#[test]
fn without_an_evaluation_a_gate_is_inconclusive_and_the_refusal_is_an_event() {
    on_both(|s| {
        with_bot(s);
        s.write("golden.jsonl", "{\"question\": \"Q\", \"answer\": \"A\"}\n");
        s.write("mlops.toml", GATED);
        let size = events(s);
        assert_snapshot!(ends(s, 4, ["promote", "bot", "--to", "staging"]), @"
        GATE   METRIC       MEASURED  95 % INTERVAL  THRESHOLD  N  VERDICT       WHY
        exact  exact-match                           ≥ 0.9      0  inconclusive  bot@1.0.0 has no evaluation on golden.jsonl (42864cb42d09): run `kf eval bot@1.0.0 --dataset golden.jsonl`

        bot@1.0.0 stays in development: gates inconclusive: exact
        -- exit status: 4 --
        ");
        assert_eq!(events(s), size + 1, "a refusal is recorded");
        assert_snapshot!(s.kf(["show", "bot"]).stdout.lines().next().expect("a line"), @"bot@1.0.0  config (development)");
        assert_snapshot!(refused(s, 4, ["promote", "bot", "--to", "staging", "--dry-run"]), @"
        GATE   METRIC       MEASURED  95 % INTERVAL  THRESHOLD  N  VERDICT       WHY
        exact  exact-match                           ≥ 0.9      0  inconclusive  bot@1.0.0 has no evaluation on golden.jsonl (42864cb42d09): run `kf eval bot@1.0.0 --dataset golden.jsonl`

        bot@1.0.0 stays in development: gates inconclusive: exact
        -- stderr --
        dry run: nothing was changed
        -- exit status: 4 --
        ");
        std::fs::remove_file(s.work().join("golden.jsonl")).expect("removed");
        assert_snapshot!(ends(s, 4, ["promote", "bot", "--to", "staging"]), @"
        GATE   METRIC       MEASURED  95 % INTERVAL  THRESHOLD  N  VERDICT       WHY
        exact  exact-match                           ≥ 0.9      0  inconclusive  the golden dataset golden.jsonl cannot be read: no file of the repository and no registered dataset is called golden.jsonl: there is no model `golden.jsonl`

        bot@1.0.0 stays in development: gates inconclusive: exact
        -- exit status: 4 --
        ");
    });
}

#[test]
fn a_gate_on_a_metric_that_does_not_exist_is_a_mistake_in_the_configuration() {
    on_both(|s| {
        with_bot(s);
        write_bot(s);
        let good = s.read("mlops.toml");
        s.write("mlops.toml", GATED.replace("exact-match", "exakt-match"));
        assert_snapshot!(ends(s, 2, ["promote", "bot", "--to", "staging"]), @r#"
        -- stderr --
        error: there is no metric `exakt-match`
         --> [ROOT]/work/mlops.toml:8:10
          |
        8 | metric = "exakt-match"
          |          ^^^^^^^^^^^^^
          |
          = help: did you mean `exact-match`?
        -- exit status: 2 --
        "#);
        s.write("mlops.toml", good);
        assert_eq!(events(s), 2, "the state's own event and the registration");
    });
}

#[test]
fn a_version_with_a_damaged_file_is_not_released_until_it_is_healed() {
    let s = Sandbox::new();
    with_bot(&s);
    flip_a_bit(&s, "bot");
    let size = events(&s);
    refused(&s, 3, ["promote", "bot", "--to", "staging", "--dry-run"]);
    assert_snapshot!(ends(&s, 3, ["promote", "bot", "--to", "staging", "--jobs", "3"]), @"
    -- stderr --
    error: the file prompts/answer.txt of bot@1.0.0 is not what was registered: its 34 bytes have the digest sha256:7070155566746dfff2321bb7ffa1592e238558d8eaf2740fbea741e178c6b9e8
    hint: `kf fsck --repair` sets damaged objects aside; registering the same files again heals them: `kf register bot PATH --version 1.0.0`
    -- exit status: 3 --
    ");
    assert_eq!(events(&s), size + 1, "a refusal is recorded");
    assert_eq!(json(&ok(&s, ["show", "bot", "--format", "json"]))["stage"], "development");
    ends(&s, 3, ["fsck", "--repair"]);
    ok(&s, ["register", "bot", "bot", "--version", "1.0.0"]);
    ok(&s, ["promote", "bot", "--to", "staging"]);
    std::fs::remove_file(first_object(&s, "bot")).expect("removed");
    assert_snapshot!(ends(&s, 3, ["promote", "bot", "--to", "production"]), @"
    -- stderr --
    error: the file prompts/answer.txt of bot@1.0.0 is not what was registered: it is missing
    hint: `kf fsck --repair` sets damaged objects aside; registering the same files again heals them: `kf register bot PATH --version 1.0.0`
    -- exit status: 3 --
    ");
}
