//! The JSON of the stable reports against `docs/schemas`, by the reference validator (`jsonschema`, Python).
//!
//! A published schema lets fields be added. Here it does not: a field that is not in it fails, so that none goes unpublished.

use crate::drift_judged;
use crate::monitor_check;
use crate::repo::{ends, init, json, next_bot, ok, on_both, with_bot, write_bot};
use crate::story;
use crate::support::sandbox::Sandbox;
use crate::support::{program, project, skip};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

/// Documents by the name of their schema.
type Documents = BTreeMap<&'static str, Vec<Value>>;

pub(crate) fn validator() -> Option<PathBuf> {
    program("jsonschema", &[project().join("target/test-tools/bin")])
}

/// The schema of a report, with every object closed that lists its fields.
fn schema(name: &str) -> Value {
    let file = project().join(format!("docs/schemas/{name}.json"));
    let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let mut schema: Value = serde_json::from_str(&text).expect("a schema is JSON");
    close(&mut schema);
    schema
}

fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.contains_key("required") {
                fields.insert("additionalProperties".into(), false.into());
            }
            fields.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

/// What the validator has to say of documents, empty when they fit.
pub(crate) fn complaints(validator: &PathBuf, name: &str, documents: &[Value]) -> String {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let put = |file: String, value: &Value| {
        let path = dir.path().join(file);
        std::fs::write(&path, value.to_string()).expect("a file");
        path
    };
    let mut command = Command::new(validator);
    command.env("PYTHONWARNINGS", "ignore").args(["--error-format", "{error.json_path}: {error.message}\n"]);
    for (i, document) in documents.iter().enumerate() {
        command.arg("-i").arg(put(format!("{i}.json"), document));
    }
    let run = command.arg(put("schema.json".into(), &schema(name))).output().expect("the validator runs");
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    if run.status.success() { String::new() } else { format!("{name}: {said}") }
}

/// Holds documents to a schema, where the validator is installed.
#[track_caller]
pub(crate) fn fit(name: &str, documents: &[Value]) {
    let Some(validator) = validator() else { return skip("`jsonschema` is not installed") };
    assert!(documents.iter().all(|d| d["schema"] == format!("kf.{name}/1")), "{name}: {documents:?}");
    assert_eq!(complaints(&validator, name, documents), "");
}

/// Reports of what needs a running gateway: `canary.rs`, `emergency.rs` and `gateway_run.rs` hold them to their schemas.
const TRAFFIC: [&str; 5] = ["canary", "canary-explain", "canary-history", "gateway-status", "rollback-emergency"];

/// Reports of what needs a language model: `judge.rs` holds them to their schemas.
const JUDGED: [&str; 1] = ["judge-calibrate"];

/// Reports of what needs backups: `dr.rs` and `backup_drill.rs` hold them to their schemas.
const RECOVERY: [&str; 4] = ["backup-history", "dr-exercise", "dr-history", "dr-plan"];

/// Reports of prompts: `prompt.rs` and `prompt_suite.rs` hold them to their schemas.
const PROMPTS: &str = "prompt-";

/// Reports of tests of versions and of searches for better ones: `ab.rs` and `optimize.rs` hold them to their schemas.
const AB: [&str; 3] = ["ab-analysis", "ab-assign", "optimize"];

/// The report of a branch: `ci_comment.rs` holds it to its schema.
const BRANCH: &str = "eval-changed";

/// Every report of a repository in many states.
fn documents(s: &Sandbox) -> Documents {
    let mut found = Documents::new();
    fn take<const N: usize>(found: &mut Documents, s: &Sandbox, name: &'static str, code: i32, args: [&str; N]) {
        found.entry(name).or_default().push(json(&ends(s, code, args)));
    }
    let every = |found: &mut Documents| {
        take(found, s, "list", 0, ["list", "--format", "json"]);
        take(found, s, "health", 0, ["health", "--format", "json"]);
        take(found, s, "status", 0, ["status", "--format", "json"]);
        take(found, s, "fsck", 0, ["fsck", "--format", "json"]);
        take(found, s, "rekey", 0, ["rekey", "--decrypt", "--format", "json"]);
        take(found, s, "audit-log", 0, ["audit", "log", "--format", "json"]);
        take(found, s, "audit-verify", 0, ["audit", "verify", "--format", "json"]);
    };
    init(s);
    every(&mut found);
    write_bot(s);
    s.git(["init", "-q"]);
    s.git(["add", "."]);
    s.git(["commit", "-qm", "first"]);
    take(
        &mut found,
        s,
        "register",
        0,
        ["register", "bot", "bot", "--metric", "f1=0.8", "--meta", "author=ada", "--format", "json"],
    );
    take(&mut found, s, "history", 0, ["history", "bot", "--format", "json"]);
    take(&mut found, s, "show", 0, ["show", "bot", "--format", "json"]);
    let row = |i: usize| format!("{{\"id\": \"q{i}\", \"question\": \"Q{i}\", \"reference\": \"answer {i}\", \"topic\": 1}}\n");
    s.write("golden.jsonl", (0..8).map(row).collect::<String>());
    let answer = |i: usize| match i {
        0 => "{\"id\": \"q0\", \"error\": \"too busy\"}\n".to_owned(),
        _ => format!("{{\"id\": \"q{i}\", \"response\": \"answer {i}\", \"latency_ms\": 10, \"cost_usd\": 0.001}}\n"),
    };
    s.write("answers.jsonl", (0..8).map(answer).collect::<String>());
    let gates = "[golden]\ndataset = \"golden.jsonl\"\n\
        [gates.exact]\nstage = \"staging\"\nkind = \"absolute\"\nmetric = \"exact-match\"\nmin = 0.5\nallow-recorded = true\n\
        [gates.same]\nstage = \"production\"\nkind = \"regression\"\nmetric = \"exact-match\"\nallow-recorded = true\n";
    s.write("mlops.toml", format!("{}{gates}", s.read("mlops.toml")));
    take(&mut found, s, "promote", 4, ["promote", "bot", "--to", "staging", "--format", "json"]);
    let eval = ["eval", "bot", "--answers", "answers.jsonl", "--rows", "--format", "json"];
    take(&mut found, s, "eval", 5, eval);
    take(&mut found, s, "promote", 0, ["promote", "bot", "--to", "staging", "--format", "json"]);
    take(&mut found, s, "status", 0, ["status", "--format", "json"]);
    let first = ["promote", "bot", "--to", "production", "--first-release", "--format", "json"];
    take(&mut found, s, "promote", 0, first);
    next_bot(s, 9);
    take(&mut found, s, "eval", 5, eval);
    take(&mut found, s, "eval", 5, ["eval", "bot", "--answers", "answers.jsonl", "--k", "2", "--no-gates", "--format", "json"]);
    ok(s, ["promote", "bot", "--to", "staging"]);
    take(&mut found, s, "promote", 0, ["promote", "bot", "--to", "staging", "--format", "json"]);
    take(&mut found, s, "promote", 4, ["promote", "bot", "--to", "production", "--dry-run", "--format", "json"]);
    s.write("mlops.toml", s.read("mlops.toml").replace("[gates.same]", "[policy]\ninconclusive = \"allow\"\n[gates.same]"));
    take(&mut found, s, "promote", 0, ["promote", "bot", "--to", "production", "--ticket", "OPS-1", "--format", "json"]);
    take(&mut found, s, "rollback", 0, ["rollback", "bot", "--to", "1.0.0", "--format", "json"]);
    take(&mut found, s, "rollback", 0, ["rollback", "bot", "--to", "1.0.0", "--format", "json"]);
    take(&mut found, s, "register", 0, ["register", "bot", "bot", "--format", "json"]);
    ok(s, ["tag", "bot", "rag"]);
    ok(s, ["alias", "bot", "champion"]);
    take(&mut found, s, "show", 0, ["show", "bot@1.0.0", "--format", "json"]);
    take(&mut found, s, "show", 0, ["show", "bot", "--format", "json"]);
    take(&mut found, s, "history", 0, ["history", "bot", "--format", "json"]);
    every(&mut found);
    let text = "The library opens at nine and closes at six. Readers may borrow up to ten books for four weeks at a time.\n\n";
    s.write("docs/hours.md", format!("# Hours\n\n{}", text.repeat(6)));
    s.write("docs/short.txt", "Too short.");
    take(&mut found, s, "ingest-check", 3, ["ingest", "check", "docs/hours.md", "docs/short.txt", "--format", "json"]);
    take(&mut found, s, "ingest", 0, ["ingest", "docs", "--skeleton", "--format", "json"]);
    take(&mut found, s, "ingest", 0, ["ingest", "docs", "--skeleton", "--format", "json"]);
    take(&mut found, s, "ingest-report", 0, ["ingest", "report", "--format", "json"]);
    take(&mut found, s, "search", 0, ["search", "opening hours", "--limit", "3", "--format", "json"]);
    take(&mut found, s, "search", 0, ["search", "opening hours", "--hybrid", "--format", "json"]);
    take(&mut found, s, "index-list", 0, ["index", "list", "--format", "json"]);
    take(&mut found, s, "index-stats", 0, ["index", "stats", "--format", "json"]);
    for (name, document) in of_drift(s).into_iter().chain(of_monitor(s)) {
        found.entry(name).or_default().push(document);
    }
    found
}

/// Reports of baselines, of checks of every verdict with all that columns say together, and of what follows.
fn of_drift(s: &Sandbox) -> Vec<(&'static str, Value)> {
    let all = "slices = [\"tenant\"]\nstream = [\"latency_ms\"]\ntime = \"at\"\n";
    s.write("mlops.toml", format!("{}{}{all}[drift.plain]\nmodel = \"bot\"\n", s.read("mlops.toml"), drift_judged::TABLE));
    s.write("accepted.csv", drift_judged::data(0, |_, _| {}));
    s.write("quiet.csv", drift_judged::data(1, |_, _| {}));
    s.write("worse.csv", drift_judged::data(2, |i, row| drift_judged::worse(i, row, 30.0)));
    s.write("few.csv", drift_judged::data(1, |_, _| {}).lines().take(12).map(|l| format!("{l}\n")).collect::<String>());
    s.write("broken.csv", drift_judged::data(3, |_, _| {}).replace("age,", "size,").replace("beta", "gamma").replace("acme", ""));
    s.write("numbers.csv", "tenant\n".to_owned() + &"1\n2\n".repeat(500));
    let mut found = Vec::new();
    let mut take = |name, code, args: &[&str]| found.push((name, taken(s, code, args)));
    take("drift-list", 0, &["drift", "list"]);
    take("drift-due", 0, &["drift", "due"]);
    for name in ["bot", "plain"] {
        take("drift-baseline", 0, &["drift", "baseline", "bot@1.0.0", "--data", "accepted.csv", "--name", name]);
    }
    for (code, name, file) in [
        (0, "bot", "quiet.csv"),
        (4, "bot", "few.csv"),
        (3, "bot", "broken.csv"),
        (3, "plain", "numbers.csv"),
        (3, "plain", "broken.csv"),
        (3, "bot", "worse.csv"),
    ] {
        take("drift-check", code, &["drift", "check", name, "--data", file]);
        take("drift-report", 0, &["drift", "report", name]);
        take("drift-explain", 0, &["drift", "explain", name]);
        take("drift-history", 0, &["drift", "history", name]);
    }
    take("drift-explain", 0, &["drift", "explain", "bot", "tenant"]);
    take("drift-replay", 0, &["drift", "replay", "bot", "--data", "worse.csv"]);
    take("drift-replay", 3, &["drift", "replay", "bot", "--data", "quiet.csv"]);
    take("drift-list", 0, &["drift", "list"]);
    take("drift-due", 3, &["drift", "due"]);
    take("status", 0, &["status"]);
    found
}

/// What kf prints as JSON when it ends with this code.
#[track_caller]
fn taken(s: &Sandbox, code: i32, args: &[&str]) -> Value {
    let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(args).args(["--format", "json"]));
    assert_eq!(run.code, Some(code), "{args:?}\n{run}");
    json(&run)
}

/// Reports of metrics without samples and with few, of an episode that is open and one that ended, of a server that does not know a query.
fn of_monitor(s: &Sandbox) -> Vec<(&'static str, Value)> {
    let mut found = Vec::new();
    let mut take = |name, code, args: &[&str]| found.push((name, taken(s, code, args)));
    take("monitor-check", 0, &["monitor", "check"]);
    take("monitor-status", 0, &["monitor", "status"]);
    story::monitor(s);
    take("monitor-record", 0, &["monitor", "record", "errors=0.5"]);
    take("monitor-check", 4, &["monitor", "check", "errors"]);
    take("monitor-check", 3, &["monitor", "check"]);
    take("monitor-record", 0, &["monitor", "record", "queue=101", "--label", "host=a"]);
    take("monitor-record", 0, &["monitor", "record", "queue=102", "--label", "host=a"]);
    take("status", 0, &["status"]);
    take("monitor-check", 4, &["monitor", "check"]);
    take("monitor-status", 0, &["monitor", "status"]);
    take("monitor-report", 0, &["monitor", "report", "--daily"]);
    let (address, _) = monitor_check::prometheus();
    let watched = format!(
        "[monitor.prometheus]\nurl = \"http://{address}/prom/\"\n[monitor.metrics.latency]\nquery = \"max by (host) (latency_seconds)\"\n\
         [monitor.metrics.idle]\nquery = \"sum(\"\nlimit = \"success-rate\"\nmethod = \"none\"\n"
    );
    s.write("mlops.toml", format!("{}{watched}", s.read("mlops.toml")));
    take("monitor-record", 5, &["monitor", "record", "errors=1", "--prometheus"]);
    take("monitor-check", 4, &["monitor", "check"]);
    take("monitor-status", 0, &["monitor", "status"]);
    found
}

#[test]
fn every_stable_report_fits_its_schema() {
    let Some(validator) = validator() else { return skip("`jsonschema` is not installed") };
    on_both(|s| {
        for (name, documents) in documents(s) {
            assert!(documents.iter().all(|d| d["schema"] == format!("kf.{name}/1")), "{name}");
            let said = complaints(&validator, name, &documents);
            assert!(said.is_empty(), "{said}");
        }
    });
}

#[test]
fn every_schema_is_used_and_bad_news_fit_too() {
    let Some(validator) = validator() else { return skip("`jsonschema` is not installed") };
    let s = Sandbox::new();
    let found = documents(&s);
    let mut files: Vec<String> = std::fs::read_dir(project().join("docs/schemas"))
        .expect("the schemas")
        .map(|f| f.expect("a file").path().file_stem().expect("a name").to_string_lossy().into_owned())
        // What a webhook is sent and what a program counts are no reports: `alerts.rs` and `sources.rs` hold them to their schemas;
        // `backup_components.rs` has a server that something is loaded into.
        .filter(|name| {
            !["mlops", "alert", "counted", "backup-load"].contains(&name.as_str()) && !TRAFFIC.contains(&name.as_str())
        })
        .filter(|name| !RECOVERY.contains(&name.as_str()) && !name.starts_with(PROMPTS) && !AB.contains(&name.as_str()))
        .filter(|name| !JUDGED.contains(&name.as_str()) && name != BRANCH)
        .collect();
    files.sort_unstable();
    assert_eq!(files, found.keys().copied().collect::<Vec<_>>());
    std::fs::remove_dir_all(s.work().join(".kf/objects/sha256")).expect("the objects are removed");
    let damaged = json(&ends(&s, 3, ["fsck", "--format", "json"]));
    assert!(damaged["findings"].as_array().is_some_and(|f| !f.is_empty()));
    assert_eq!(complaints(&validator, "fsck", &[damaged]), "");
}

#[test]
fn what_does_not_fit_is_refused() {
    let Some(validator) = validator() else { return skip("`jsonschema` is not installed") };
    let s = Sandbox::new();
    with_bot(&s);
    let good = json(&ok(&s, ["list", "--format", "json"]));
    assert_eq!(complaints(&validator, "list", std::slice::from_ref(&good)), "");
    let changed = |change: fn(&mut Value)| {
        let mut bad = good.clone();
        change(&mut bad["versions"][0]);
        complaints(&validator, "list", &[bad])
    };
    assert!(changed(|v| v["stage"] = json!("live")).contains("live"));
    assert!(changed(|v| v["unheard"] = json!(1)).contains("unheard"));
    assert!(changed(|v| v["digest"] = Value::Null).contains("None"));
    assert!(changed(|v| _ = v.as_object_mut().expect("an object").remove("bytes")).contains("bytes"));
}
