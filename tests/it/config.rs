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
    error: `my shop` cannot be a name: ` ` is not allowed, use letters, digits, `-`, `_` and `.`, such as `my-shop`
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
     --> [ROOT]/work/mlops.toml:1:1
      |
    1 |
      | ^
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
    assert_snapshot!(s.kf(["config", "show", "--origin"]), @r#"
    KEY                         VALUE                  ORIGIN
    project.name                shop                   mlops.toml:2
    state.url                   sqlite                 built-in
    state.schema                kf                     built-in
    state.lock-timeout          7s                     $KF_LOCK_TIMEOUT
    artifacts.url               .kf/objects            built-in
    artifacts.allow-http        false                  built-in
    artifacts.timeout           5m                     built-in
    artifacts.encrypt           []                     built-in
    policy.skip-staging         true                   mlops.toml:5
    policy.require-ticket       []                     built-in
    policy.require-clean-git    false                  built-in
    policy.retention-days       365                    built-in
    policy.rollback-window      5                      built-in
    policy.inconclusive         block                  built-in
    golden.k                    5                      built-in
    system.kind                 recorded               built-in
    system.timeout              1m                     built-in
    system.concurrency          4                      built-in
    llm.timeout                 2m                     built-in
    llm.concurrency             8                      built-in
    llm.max-retries             5                      built-in
    llm.max-tokens              4096                   built-in
    llm.temperature             0.0                    built-in
    judge.timeout               2m                     built-in
    judge.concurrency           8                      built-in
    judge.max-retries           5                      built-in
    judge.max-tokens            4096                   built-in
    judge.temperature           0.0                    built-in
    judge.metrics               []                     built-in
    judge.statements            judge                  built-in
    judge.questions             3                      built-in
    judge.min-coverage          0.9                    built-in
    embedder.kind               builtin                built-in
    embedder.protocol           openai                 built-in
    embedder.shorten            false                  built-in
    embedder.batch              128                    built-in
    embedder.batch-tokens       100000                 built-in
    embedder.concurrency        4                      built-in
    embedder.timeout            1m                     built-in
    ingest.chunk-tokens         512                    built-in
    ingest.chunk-overlap        64                     built-in
    ingest.max-file-mib         256                    built-in
    ingest.max-pages            10000                  built-in
    ingest.timeout              1m                     built-in
    ingest.skeleton             false                  built-in
    ingest.languages            ["en","es","fr","de"]  built-in
    ingest.min-chars            100                    built-in
    ingest.min-readability      30.0                   built-in
    ingest.pii-limit            3.0                    built-in
    ingest.warn-below           0.7                    built-in
    ingest.reject               ["length"]             built-in
    graph.engine                embedded               built-in
    graph.database              neo4j                  built-in
    graph.user                  neo4j                  built-in
    graph.timeout               30s                    built-in
    vectors.engine              embedded               built-in
    vectors.timeout             30s                    built-in
    monitor.keep                840h                   built-in
    monitor.fail-on             medium                 built-in
    monitor.alerts              []                     built-in
    monitor.prometheus.timeout  10s                    built-in
    health.timeout              5s                     built-in
    backup.place.allow-http     false                  built-in
    backup.place.timeout        5m                     built-in
    backup.recipients           []                     built-in
    backup.rto                  4h                     built-in
    backup.rpo                  24h                    built-in
    -- exit status: 0 --
    "#);
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

#[test]
fn files_that_are_not_there_are_named_with_their_place() {
    let s = Sandbox::new();
    init(&s);
    s.write("bot/prompts/answer.txt", "Answer {question}.\n");
    s.write("weights.bin.dvc", "outs:\n- path: weights.bin\n");
    std::os::unix::fs::symlink("nowhere", s.work().join("link")).expect("a link");
    s.write(
        "mlops.toml",
        "[project]\nname = \"shop\"\n\n[model.bot]\ntype = \"config\"\npath = \"bot\"\nparts = { prompts = \"promts\" }\n\n[model.two]\ntype = \"other\"\npaths = [\n  \"bot\",\n  \"bto\",\n  \"weights.bin\",\n]\n\n[model.three]\ntype = \"other\"\npath = \"./link\"\n\n[golden]\ndataset = \"golden/rows.jsonl\"\n\n[gates.one]\nstage = \"staging\"\nkind = \"regression\"\nmetric = \"token-f1\"\n\n[gates.two]\nstage = \"staging\"\nkind = \"regression\"\nmetric = \"token-f1\"\ndataset = \"other.jsonl\"\n",
    );
    assert_snapshot!(ends(&s, 2, ["config", "check"]), @r#"
    -- stderr --
    error: `model.bot.parts.prompts`: there is no `promts` in `[ROOT]/work/bot`
     --> [ROOT]/work/mlops.toml:7:21
      |
    7 | parts = { prompts = "promts" }
      |                     ^^^^^^^^
      |
      = help: did you mean `prompts`?

    error: `model.two.paths`: there is no `bto` in `[ROOT]/work`
      --> [ROOT]/work/mlops.toml:13:3
       |
    13 |   "bto",
       |   ^^^^^
       |
       = help: did you mean `bot`?

    error: `model.three.path`: `link` cannot be read: No such file or directory (os error 2)
      --> [ROOT]/work/mlops.toml:19:8
       |
    19 | path = "./link"
       |        ^^^^^^^^
       |
       = help: it is a link: `ls -l` shows where it leads

    error: `golden.dataset`: there is no `golden/rows.jsonl` in `[ROOT]/work`
      --> [ROOT]/work/mlops.toml:22:11
       |
    22 | dataset = "golden/rows.jsonl"
       |           ^^^^^^^^^^^^^^^^^^^
       |
       = help: paths here are relative to the repository

    error: `gates.two.dataset`: there is no `other.jsonl` in `[ROOT]/work`
      --> [ROOT]/work/mlops.toml:33:11
       |
    33 | dataset = "other.jsonl"
       |           ^^^^^^^^^^^^^
       |
       = help: paths here are relative to the repository
    -- exit status: 2 --
    "#);
    ok(&s, ["list"]);
    s.write("golden/rows.jsonl", "");
    s.write("other.jsonl", "");
    s.write("bto", "");
    s.write("nowhere", "");
    std::fs::create_dir(s.work().join("bot/promts")).expect("a folder");
    assert_snapshot!(s.kf(["config", "check"]), @"
    [ROOT]/work/mlops.toml is right: 3 models, 2 gates
    -- exit status: 0 --
    ");
}

#[test]
fn limits_that_no_score_can_meet_or_miss_are_shown() {
    let s = Sandbox::new();
    init(&s);
    s.write(
        "mlops.toml",
        "[project]\nname = \"shop\"\n\n[gates.a]\nstage = \"staging\"\nkind = \"absolute\"\nmetric = \"token-f1\"\nmin = 1.6\nmax = -1\n\n[gates.b]\nstage = \"staging\"\nkind = \"regression\"\nmetric = \"token-f1\"\nmargin = 1.5\n\n[gates.c]\nstage = \"staging\"\nkind = \"absolute\"\nmetric = \"token-f1\"\nmin = 0\nmax = 1\ndataset = \"golde\"\n\n[model.golden]\ntype = \"dataset\"\npath = \"g\"\n",
    );
    assert_snapshot!(ends(&s, 2, ["config", "check"]), @r#"
    -- stderr --
    error: gate `a` can never pass: min > max
     --> [ROOT]/work/mlops.toml:8:7
      |
    8 | min = 1.6
      |       ^^^
    9 | max = -1
      |       --
      |
      = help: swap them

    error: `min` of `token-f1` must be between 0 and 1
     --> [ROOT]/work/mlops.toml:8:7
      |
    8 | min = 1.6
      |       ^^^
      |
      = help: write a share of 1: 0.85 for 85 %

    error: `max` of `token-f1` must be between 0 and 1
     --> [ROOT]/work/mlops.toml:9:7
      |
    9 | max = -1
      |       ^^
      |
      = help: write a share of 1: 0.85 for 85 %

    error: this gate can never fail: `token-f1` is between 0 and 1
      --> [ROOT]/work/mlops.toml:15:10
       |
    15 | margin = 1.5
       |          ^^^
       |
       = help: 0 accepts no loss, 0.01 a loss of one hundredth

    error: there is no dataset `golde`
      --> [ROOT]/work/mlops.toml:23:11
       |
    23 | dataset = "golde"
       |           ^^^^^^^
       |
       = help: did you mean `golden`?
    -- exit status: 2 --
    "#);
}

#[test]
fn a_configuration_that_is_no_file_is_named_and_not_waited_for() {
    let s = crate::support::sandbox::Sandbox::new();
    let path = s.work().join("mlops.toml");
    let make: [(&str, &dyn Fn()); 3] = [
        ("is a directory", &|| std::fs::create_dir(&path).expect("a folder")),
        ("is a link that leads nowhere", &|| std::os::unix::fs::symlink("mlops.toml", &path).expect("a loop")),
        ("is not a regular file", &|| {
            assert!(std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo").success());
        }),
    ];
    for (what, make) in make {
        make();
        let run = s.kf(["status"]);
        assert_eq!(run.code, Some(2), "{run}");
        assert!(run.stderr.starts_with("error: `[ROOT]/work/mlops.toml` ") && run.stderr.contains(what), "{run}");
        if path.is_dir() { std::fs::remove_dir(&path) } else { std::fs::remove_file(&path) }.expect("removed");
    }
}
