//! `kf config`.

use crate::repo::{ends, init, json, ok};
use crate::support::sandbox::Sandbox;
use insta::assert_snapshot;

#[test]
fn every_mistake_is_shown_at_once_with_its_place() {
    let s = Sandbox::new();
    init(&s);
    s.write(
        "mlops.toml",
        "[project]\nname = \"my shop\"\n\n[model.bot]\ntype = \"confg\"\npth = \"bot\"\n\n[gates.g]\nstage = \"prod\"\nkind = \"absolute\"\nmetric = \"bleuu\"\n\n[stat]\nurl = 1\n",
    );
    assert_snapshot!(ends(&s, 2, ["config", "check"]), @r#"
    -- stderr --
    error: `my shop` cannot be a name: ` ` is not allowed, use letters, digits, `-`, `_` and `.`
     --> [ROOT]/work/mlops.toml:2:8
      |
    2 | name = "my shop"
      |        ^^^^^^^^^

    error: `confg` is not a model type
     --> [ROOT]/work/mlops.toml:5:8
      |
    5 | type = "confg"
      |        ^^^^^^^
      |
      = help: did you mean `config`?

    error: unknown key `pth` in `[model.bot]`
     --> [ROOT]/work/mlops.toml:6:1
      |
    6 | pth = "bot"
      | ^^^
      |
      = help: did you mean `path`?

    error: `prod` is not a stage that a gate guards
     --> [ROOT]/work/mlops.toml:9:9
      |
    9 | stage = "prod"
      |         ^^^^^^
      |
      = help: did you mean `production`?

    error: there is no metric `bleuu`
      --> [ROOT]/work/mlops.toml:11:10
       |
    11 | metric = "bleuu"
       |          ^^^^^^^
       |
       = help: did you mean `bleu`?

    error: unknown key `stat` at the top level
      --> [ROOT]/work/mlops.toml:13:2
       |
    13 | [stat]
       |  ^^^^
       |
       = help: did you mean `state`?
    -- exit status: 2 --
    "#);
    assert_eq!(s.kf(["status"]).code, Some(2), "every command says so");
}

#[test]
fn broken_toml_is_shown_with_its_place() {
    let s = Sandbox::new();
    init(&s);
    s.write("mlops.toml", "[project]\nname = \"shop\n");
    assert_snapshot!(ends(&s, 2, ["config", "check"]), @r#"
    -- stderr --
    error: not TOML: invalid basic string, expected `"`
     --> [ROOT]/work/mlops.toml:2:13
      |
    2 | name = "shop
      |             ^
    -- exit status: 2 --
    "#);
    s.write("mlops.toml", "[project]\nname = \"shop\"\nname = \"twice\"\n");
    assert_snapshot!(ends(&s, 2, ["config", "check"]), @r#"
    -- stderr --
    error: not TOML: duplicate key
     --> [ROOT]/work/mlops.toml:3:1
      |
    3 | name = "twice"
      | ^^^^
    -- exit status: 2 --
    "#);
    s.write("mlops.toml", b"[project]\nname = \"\xff\"\n");
    assert_snapshot!(ends(&s, 2, ["config", "check"]), @"
    -- stderr --
    error: `[ROOT]/work/mlops.toml` is not UTF-8: line 2, byte 18 of the file
    hint: save it as UTF-8
    -- exit status: 2 --
    ");
    s.write("mlops.toml", "");
    assert_snapshot!(ends(&s, 2, ["config", "check"]), @"
    -- stderr --
    error: `[project]` has no `name`
     |
     = help: add `[project]` with `name = …`
    -- exit status: 2 --
    ");
}

#[test]
fn each_value_tells_where_it_comes_from() {
    let mut s = Sandbox::new();
    init(&s);
    s.write(
        "mlops.toml",
        "[project]\nname = \"shop\"\n\n[policy]\nskip-staging = true\n\n[profile.ci.policy]\nskip-staging = false\n",
    );
    s.set("KF_LOCK_TIMEOUT", "7s");
    assert_snapshot!(s.kf(["config", "show", "--origin"]), @"
    KEY                       VALUE        ORIGIN
    project.name              shop         mlops.toml:2
    state.url                 sqlite       built-in
    state.schema              kf           built-in
    state.lock-timeout        7s           $KF_LOCK_TIMEOUT
    artifacts.url             .kf/objects  built-in
    artifacts.allow-http      false        built-in
    policy.skip-staging       true         mlops.toml:5
    policy.require-ticket     []           built-in
    policy.require-clean-git  false        built-in
    policy.retention-days     365          built-in
    policy.rollback-window    5            built-in
    policy.inconclusive       block        built-in
    golden.k                  5            built-in
    system.kind               recorded     built-in
    system.timeout            1m           built-in
    system.concurrency        4            built-in
    -- exit status: 0 --
    ");
    let ci = json(&ok(&s, ["config", "show", "--profile", "ci", "--format", "json"]));
    let skip = ci["settings"].as_array().into_iter().flatten().find(|v| v["key"] == "policy.skip-staging");
    assert_eq!(skip.map(|v| v["value"].as_str().unwrap_or_default()), Some("false"), "{ci}");
    assert_snapshot!(ends(&s, 2, ["config", "show", "--profile", "cii"]), @"
    -- stderr --
    error: there is no profile `cii`
     |
     = help: did you mean `ci`?
    -- exit status: 2 --
    ");
    assert_snapshot!(s.kf(["config", "check"]), @"
    [ROOT]/work/mlops.toml is right: 0 models, 0 gates
    -- exit status: 0 --
    ");
}

#[test]
fn the_schema_is_a_schema() {
    let s = Sandbox::new();
    let schema = json(&ok(&s, ["config", "schema"]));
    assert_eq!(schema["type"], "object");
    assert!(schema["properties"]["project"].is_object() && schema["properties"]["gates"].is_object(), "{schema}");
}
