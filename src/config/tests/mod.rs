//! Tests of the whole room: what a person writes, what kf makes of it, what it says.

mod alerts;
mod drift;
mod file;
mod gates;
mod judge;
mod kubernetes;
mod metrics;
mod tables;
mod targets;

use super::*;
use crate::base::error::Kind;
use crate::base::name::Stage;
use proptest::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const METRICS: &[(&str, (f64, f64))] =
    &[("faithfulness", (0.0, 1.0)), ("answer-relevancy", (0.0, 1.0)), ("context-recall", (0.0, 1.0))];
const NAMED: &str = "[project]\nname = \"bot\"\n";

fn parsed(text: &str, env: &[(&str, &str)], profile: Option<&str>) -> crate::base::error::Result<Loaded> {
    let env = Env::new(env.iter().copied());
    parse(text, Path::new("mlops.toml"), &env, profile, &Vocabulary { metrics: METRICS, judged: &["faithfulness"] })
}

#[track_caller]
fn loaded(text: &str, env: &[(&str, &str)], profile: Option<&str>) -> Loaded {
    parsed(&format!("{NAMED}{text}"), env, profile).unwrap_or_else(|e| panic!("{e}"))
}

/// What kf says about a text that it refuses. Nothing that it says may hold the secret of these tests.
#[track_caller]
fn refused(text: &str) -> String {
    refused_with(text, &[], None)
}

#[track_caller]
fn refused_with(text: &str, env: &[(&str, &str)], profile: Option<&str>) -> String {
    let error = parsed(text, env, profile).expect_err("a problem");
    assert!(error.is_rendered() && error.kind() == Kind::Usage);
    let said = error.to_string();
    assert!(!said.contains("hunter2"), "{said}");
    said
}

/// Where each value came from, as `kf config show --origin` tells it.
fn origins(loaded: &Loaded) -> String {
    loaded.origins.iter().map(|s| format!("{} = {} ({})\n", s.key, s.value, s.origin)).collect()
}

#[test]
fn a_name_is_enough() {
    let all = loaded("", &[], None);
    let p = &all.project;
    assert_eq!(p.project.name.as_str(), "bot");
    assert_eq!(p.state, State { place: StatePlace::Sqlite(".kf/state.db".into()), lock_timeout: Duration::from_secs(30) });
    assert_eq!(p.artifacts.place, Artifacts::Local(".kf/objects".into()));
    assert_eq!((p.system.clone(), p.models.len(), p.gates.len()), (System::Recorded, 0, 0));
    insta::assert_snapshot!(origins(&all), @r#"
    project.name = bot (mlops.toml:2)
    state.url = sqlite (built-in)
    state.schema = kf (built-in)
    state.lock-timeout = 30s (built-in)
    artifacts.url = .kf/objects (built-in)
    artifacts.allow-http = false (built-in)
    artifacts.timeout = 5m (built-in)
    artifacts.encrypt = [] (built-in)
    policy.skip-staging = false (built-in)
    policy.require-ticket = [] (built-in)
    policy.require-clean-git = false (built-in)
    policy.retention-days = 365 (built-in)
    policy.rollback-window = 5 (built-in)
    policy.inconclusive = block (built-in)
    golden.k = 5 (built-in)
    system.kind = recorded (built-in)
    system.timeout = 1m (built-in)
    system.concurrency = 4 (built-in)
    llm.timeout = 2m (built-in)
    llm.concurrency = 8 (built-in)
    llm.max-retries = 5 (built-in)
    llm.max-tokens = 4096 (built-in)
    llm.temperature = 0.0 (built-in)
    judge.timeout = 2m (built-in)
    judge.concurrency = 8 (built-in)
    judge.max-retries = 5 (built-in)
    judge.max-tokens = 4096 (built-in)
    judge.temperature = 0.0 (built-in)
    judge.metrics = [] (built-in)
    judge.statements = judge (built-in)
    judge.questions = 3 (built-in)
    judge.min-coverage = 0.9 (built-in)
    embedder.kind = builtin (built-in)
    embedder.protocol = openai (built-in)
    embedder.shorten = false (built-in)
    embedder.batch = 128 (built-in)
    embedder.batch-tokens = 100000 (built-in)
    embedder.concurrency = 4 (built-in)
    embedder.timeout = 1m (built-in)
    ingest.chunk-tokens = 512 (built-in)
    ingest.chunk-overlap = 64 (built-in)
    ingest.max-file-mib = 256 (built-in)
    ingest.max-pages = 10000 (built-in)
    ingest.timeout = 1m (built-in)
    ingest.skeleton = false (built-in)
    ingest.languages = ["en","es","fr","de"] (built-in)
    ingest.min-chars = 100 (built-in)
    ingest.min-readability = 30.0 (built-in)
    ingest.pii-limit = 3.0 (built-in)
    ingest.warn-below = 0.7 (built-in)
    ingest.reject = ["length"] (built-in)
    graph.engine = embedded (built-in)
    graph.database = neo4j (built-in)
    graph.user = neo4j (built-in)
    graph.timeout = 30s (built-in)
    vectors.engine = embedded (built-in)
    vectors.timeout = 30s (built-in)
    monitor.keep = 840h (built-in)
    monitor.fail-on = medium (built-in)
    monitor.alerts = [] (built-in)
    monitor.prometheus.timeout = 10s (built-in)
    health.timeout = 5s (built-in)
    backup.place.allow-http = false (built-in)
    backup.place.timeout = 5m (built-in)
    backup.recipients = [] (built-in)
    backup.rto = 4h (built-in)
    backup.rpo = 24h (built-in)
    "#);
}

/// The order of precedence that DESIGN §4 promises, seen at one value a layer.
#[test]
fn the_strongest_layer_wins_key_by_key() {
    let text = "[state]\nurl = \"postgres://a@db/kf\"\npassword = \"env:A\"\nlock-timeout = \"1s\"\n\
                [policy]\nretention-days = 1\nrollback-window = 2\n\
                [profile.ci.state]\nurl = \"postgres://b@db/kf\"\nlock-timeout = \"2s\"\n\
                [profile.ci.policy]\nretention-days = 9\n\
                [profile.other.policy]\nretention-days = 10\n";
    let env = [("KF_LOCK_TIMEOUT", "3s"), ("KF_PROFILE", "other"), ("KF_LOG_KEY", "hunter2"), ("KF_STATE_URL", "")];
    let all = loaded(text, &env, Some("ci"));
    assert_eq!(all.profile, Some(("ci".parse().expect("a name"), Origin::Flag("--profile"))));
    assert_eq!(all.profiles.len(), 2);
    let (url, password) = ("postgres://b@db/kf".to_owned(), Some(SecretRef::Env("A".into())));
    let place = StatePlace::Postgres { url, password, schema: "kf".into() };
    assert_eq!(all.project.state, State { place, lock_timeout: Duration::from_secs(3) });
    assert_eq!((all.project.policy.retention_days, all.project.policy.rollback_window), (9, 2));
    let told = origins(&all);
    for line in [
        "state.url = postgres://b@db/kf (mlops.toml:11 [profile.ci])\n",
        "state.password = env:A (mlops.toml:5)\n",
        "state.lock-timeout = 3s ($KF_LOCK_TIMEOUT)\n",
        "policy.retention-days = 9 (mlops.toml:14 [profile.ci])\n",
        "policy.rollback-window = 2 (mlops.toml:9)\n",
        "signing.log-key = env:KF_LOG_KEY ($KF_LOG_KEY)\n",
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }
    assert!(!format!("{told} {all:?}").contains("hunter2"));
    let by_env = loaded(text, &[("KF_PROFILE", "other")], None);
    assert_eq!((by_env.project.policy.retention_days, by_env.profile.map(|p| p.1)), (10, Some(Origin::Env("KF_PROFILE"))));
}

#[test]
fn a_profile_that_changes_the_kind_need_not_undo_the_rest() {
    let text = "[state]\nurl = \"postgres://a@db/kf\"\npassword = \"env:A\"\n\
                [system]\nkind = \"http\"\nurl = \"https://h/ask\"\nheaders = { a = \"1\", B = \"2\" }\n\
                [model.m]\ntype = \"prompt\"\npath = \"p\"\n\
                [profile.p.system]\nkind = \"command\"\ncommand = [\"x\"]\n\
                [profile.p.model.m]\npaths = [\"q\"]\n\
                [profile.h.system.headers]\na = \"env:A\"\n";
    let all = loaded(text, &[("KF_STATE_URL", "sqlite")], Some("p"));
    assert_eq!(all.project.state.place, StatePlace::Sqlite(".kf/state.db".into()));
    let command =
        System::Command { command: vec!["x".into()], files: Vec::new(), timeout: Duration::from_secs(60), concurrency: 4 };
    assert_eq!(all.project.system, command);
    assert_eq!(all.project.models[0].paths, ["q".parse().expect("a path")]);
    let System::Http { headers, .. } = loaded(text, &[], Some("h")).project.system else { panic!("http") };
    let plain = ("b".to_owned(), HeaderValue::Plain("2".into()));
    assert_eq!(headers.into_iter().collect::<Vec<_>>(), [("a".into(), HeaderValue::Secret(SecretRef::Env("A".into()))), plain]);
}

#[test]
fn gates_mean_what_they_say() {
    let text = "[model.faq]\ntype = \"dataset\"\npath = \"faq.jsonl\"\n[model.bot]\ntype = \"llm\"\npath = \"bot\"\n\
                [golden]\ndataset = \"faq@1.0.0\"\n\
                [gates.a]\nstage = [\"production\", \"staging\", \"production\"]\nkind = \"absolute\"\nmetric = \"faithfulness\"\nmin = 1\n\
                [gates.r]\nstage = \"production\"\nkind = \"regression\"\nmetric = \"context-recall\"\nmodels = [\"bot\"]\ndataset = \"./faq.jsonl\"\n\
                [gates.b]\nstage = \"staging\"\nkind = \"budget\"\nmetric = \"coverage\"\nmin = 0.9\nbound = \"mean\"\n";
    let p = loaded(text, &[], None).project;
    let gate = |name: &str| p.gate(name).expect("a gate").clone();
    assert_eq!(gate("a").stages, [Stage::Staging, Stage::Production]);
    assert_eq!(gate("a").rule, Rule::Absolute { metric: "faithfulness".into(), min: Some(1.0), max: None });
    assert_eq!(gate("a").dataset, Some(Dataset::Model("faq@1.0.0".parse().expect("a reference"))));
    let regression = Rule::Regression { metric: "context-recall".into(), margin: MARGIN, against: Against::Production };
    assert_eq!((gate("r").rule, gate("r").bound), (regression, Bound::Interval));
    assert_eq!(gate("r").dataset, Some(Dataset::Path("faq.jsonl".parse().expect("a path"))));
    assert_eq!(gate("b").rule, Rule::Budget { metric: Budget::Coverage, limit: 0.9 });
    assert_eq!((gate("b").bound, gate("b").kind(), gate("b").metric()), (Bound::Mean, GateKind::Budget, "coverage"));
    let (bot, faq) = ("bot".parse().expect("a name"), "faq".parse().expect("a name"));
    assert!(gate("r").guards(&bot, Stage::Production) && !gate("r").guards(&faq, Stage::Production));
    assert!(gate("a").guards(&faq, Stage::Staging) && !gate("b").guards(&faq, Stage::Production));
}

#[test]
fn stores_are_taken_apart() {
    let check = |url: &str, expected: Artifacts| {
        assert_eq!(loaded(&format!("[artifacts]\nurl = \"{url}\"\n"), &[], None).project.artifacts.place, expected, "{url}");
        assert_eq!(loaded("", &[("KF_ARTIFACTS_URL", url)], None).project.artifacts.place, expected, "{url}");
    };
    check("data/objects", Artifacts::Local("data/objects".into()));
    check("file:///var/lib/kf%20x", Artifacts::Local("/var/lib/kf x".into()));
    check("gs://b/x/y/", Artifacts::Gcs { bucket: "b".into(), prefix: "x/y".into() });
    check("az://c", Artifacts::Azure { container: "c".into(), prefix: String::new() });
    let (bucket, prefix, timeout) = ("b".to_owned(), "p".to_owned(), std::time::Duration::from_secs(300));
    check("s3://b/p", Artifacts::S3(S3 { bucket, prefix, endpoint: None, region: None, keys: None, allow_http: false, timeout }));
}

#[test]
fn a_domain_reports_in_the_same_manner() {
    let text = "[gates.a]\nstage = \"staging\"\nkind = \"budget\"\nmetric = \"coverage\"\nmin = 0.9\n";
    let problem =
        |key: &str, message: &str| Problem { key: key.into(), word: None, message: message.into(), hint: Some("do it".into()) };
    let all = loaded(text, &[], None);
    assert!(all.report(&[]).is_ok());
    let problems = [problem("gates.a.min", "too high"), problem("gates.a", "not used"), problem("policy.x", "gone")];
    insta::assert_snapshot!(all.report(&problems).expect_err("problems"), @r#"
    error: `policy.x`: gone
     |
     = help: do it

    error: `gates.a`: not used
     --> mlops.toml:4:9
      |
    4 | stage = "staging"
      |         ^^^^^^^^^
      |
      = help: do it

    error: `gates.a.min`: too high
     --> mlops.toml:7:7
      |
    7 | min = 0.9
      |       ^^^
      |
      = help: do it
    "#);
}

#[test]
fn the_repository_is_found_from_below() {
    let dir = tempfile::tempdir().expect("a directory");
    let root = dir.path().canonicalize().expect("a path");
    let below = root.join("a/b");
    fs::create_dir_all(&below).expect("made");
    assert_eq!(discover(&below), None);
    let error = load(&below, &Env::default(), None, &Vocabulary::default()).expect_err("nothing there");
    assert_eq!(error.kind(), Kind::NoRepository);
    assert!(error.to_string().starts_with("no `mlops.toml` in `") && error.hints()[0].contains("kf init"), "{error}");
    fs::create_dir(root.join("a/mlops.toml")).expect("made");
    fs::write(root.join("mlops.toml"), format!("\u{feff}{NAMED}")).expect("written");
    assert_eq!(discover(&below), Some(root.clone()));
    let all = load(&below, &Env::default(), None, &Vocabulary::default()).expect("a repository");
    assert_eq!((all.root, all.path, all.text.as_str()), (root.clone(), root.join("mlops.toml"), NAMED));
    let error = load(&root.join("nope"), &Env::default(), None, &Vocabulary::default()).expect_err("no directory");
    assert!(error.to_string().starts_with("there is no directory"), "{error}");
}

#[test]
fn the_start_is_the_flag_then_the_variable_then_here() {
    let env = Env::new([("KF_DIR", "e")]);
    let here = Path::new("/here");
    assert_eq!(start(Some(Path::new("f")), &env, here), PathBuf::from("/here/f"));
    assert_eq!(start(None, &env, here), PathBuf::from("/here/e"));
    assert_eq!(start(None, &Env::default(), here), here);
}

#[test]
fn what_is_too_large_or_no_text_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let said = |bytes: &[u8]| {
        fs::write(dir.path().join("mlops.toml"), bytes).expect("written");
        let error = load(dir.path(), &Env::default(), None, &Vocabulary::default()).expect_err("refused");
        assert_eq!(error.kind(), Kind::Usage);
        error.to_string()
    };
    assert!(said(&vec![b'#'; 1024 * 1024 + 1]).ends_with("mlops.toml` is larger than 1 MiB"));
    assert!(said(b"[project]\nname = \"\xff\"\n").ends_with("mlops.toml` is not UTF-8: line 2, byte 18 of the file"));
}

/// The largest file with a problem on every line, or with as many models as fit, takes seconds at most even unoptimised.
#[test]
fn the_largest_files_are_answered_soon() {
    let numbered = |line: &dyn Fn(usize) -> String| {
        let mut text = NAMED.to_owned();
        for line in (0..).map(line) {
            if text.len() + line.len() > 1024 * 1024 {
                break;
            }
            text.push_str(&line);
        }
        text
    };
    let began = Instant::now();
    let said = refused(&numbered(&|i| format!("a{i}=1\n")));
    assert!(said.contains("more problems in `mlops.toml`") && said.len() < 20_000, "{}", said.len());
    let chain = |i: usize| format!("[model.m{i}]\ntype=\"llm\"\npath=\"a\"\ndepends=[\"m{}\"]\n", i + 1);
    assert!(refused(&numbered(&chain)).contains("there is no model"));
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}

/// Pieces of real files, so that random texts get past the parser.
fn pieces() -> impl Strategy<Value = String> {
    let words = [
        "[project]\n",
        "[state]\n",
        "[gates.a]\n",
        "[model.m]\n",
        "[profile.p.system]\n",
        "[system]\n",
        "[artifacts]\n",
        "[golden]\n",
        "name = ",
        "url = ",
        "kind = ",
        "stage = ",
        "metric = ",
        "type = ",
        "path = ",
        "paths = ",
        "depends = ",
        "min = ",
        "max = ",
        "headers = ",
        "password = ",
        "lock-timeout = ",
        "dataset = ",
        "parts = ",
        "\"bot\"\n",
        "\"staging\"\n",
        "\"absolute\"\n",
        "0.5\n",
        "-1\n",
        "nan\n",
        "[\"m\", 1]\n",
        "{ a = \"env:X\" }\n",
        "\"postgres://u:p@h\"\n",
        "\"s3://b/c\"\n",
        "\"é\u{1f680}\"\r\n",
        "'''\n",
        "\"",
        "\u{feff}",
        "[[x]]\n",
        "a.b.c = 1979-05-27\n",
        "\"type\" = ",
        "\"dataset\"\n",
        "\"faithfulness\"\n",
        "\"command\"\n",
        "= ",
        "\n",
    ];
    prop::collection::vec(prop_oneof![9 => prop::sample::select(words.to_vec()).prop_map(str::to_owned), 1 => ".{0,6}"], 0..24)
        .prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_text_and_no_variable_make_it_panic(text in pieces(), named: bool, value in "\\PC{0,12}|[ -~]{0,20}") {
        let text = if named { format!("{NAMED}{text}") } else { text };
        let env = [("KF_STATE_URL", value.as_str()), ("KF_ARTIFACTS_URL", &value), ("KF_LOCK_TIMEOUT", &value)];
        for (env, profile) in [(&[] as &[_], None), (&env, Some("p"))] {
            match parsed(&text, env, profile) {
                Ok(all) => prop_assert!(!all.origins.is_empty()),
                Err(e) => prop_assert!(e.is_rendered() && e.to_string().starts_with("error: "), "{}", e),
            }
        }
    }

    #[test]
    fn what_loads_reads_back_from_its_settings(days in 0u32..10_000, millis in 0u64..10_000_000, most in 0.0..1e9f64) {
        let text = format!("[policy]\nretention-days = {days}\n[state]\nlock-timeout = \"{millis}ms\"\n\
            [gates.g]\nstage = \"staging\"\nkind = \"budget\"\nmetric = \"latency-p95\"\nmax = {most:?}\n");
        let all = loaded(&text, &[], None);
        let value = |key: &str| all.origins.iter().find(|s| s.key == key).map(|s| s.value.clone()).unwrap_or_default();
        let again = format!("[policy]\nretention-days = {}\n[state]\nlock-timeout = \"{}\"\n\
            [gates.g]\nstage = \"{}\"\nkind = \"{}\"\nmetric = \"{}\"\nmax = {}\n",
            value("policy.retention-days"), value("state.lock-timeout"), value("gates.g.stage"), value("gates.g.kind"),
            value("gates.g.metric"), value("gates.g.max"));
        prop_assert_eq!(loaded(&again, &[], None).project, all.project);
    }
}
