//! `kf monitor`: the figures, the alert rules by Prometheus's own `promtool`, the dashboard by the types that Grafana publishes.

use crate::repo::{ends, on_both};
use crate::story;
use crate::support::sandbox::Sandbox;
use crate::support::{packages_with, page_part, program, project, skip};
use insta::assert_snapshot;
use kf::domain::monitor::{metric, rules};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

fn promtool() -> Option<PathBuf> {
    program("promtool", &[project().join("target/test-tools/bin")])
}

/// Runs a program on this input.
fn fed(command: &mut Command, input: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads");
    child.wait_with_output().expect("it ends")
}

/// What a program said, when it found something wrong.
fn complaint(output: &Output) -> Option<String> {
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (!output.status.success()).then_some(said)
}

#[test]
fn the_figures_are_those_of_the_state() {
    on_both(|s| {
        story::tell(s);
        story::documents(s);
        let text = s.kf(["monitor", "metrics"]).stdout;
        let values: String = text.lines().filter(|l| !l.starts_with('#')).fold(String::new(), |all, l| all + l + "\n");
        assert_snapshot!(values, @r#"
        kf_build_info{version="0.1.0"} 1
        kf_figures_timestamp_seconds 1795249680
        kf_audit_events 27
        kf_audit_unsigned_events 0
        kf_model_versions{model="bot",stage="archived"} 2
        kf_model_versions{model="bot",stage="development"} 0
        kf_model_versions{model="bot",stage="production"} 1
        kf_model_versions{model="bot",stage="staging"} 0
        kf_model_versions{model="embedder",stage="archived"} 0
        kf_model_versions{model="embedder",stage="development"} 1
        kf_model_versions{model="embedder",stage="production"} 0
        kf_model_versions{model="embedder",stage="staging"} 0
        kf_model_versions{model="golden",stage="archived"} 0
        kf_model_versions{model="golden",stage="development"} 1
        kf_model_versions{model="golden",stage="production"} 0
        kf_model_versions{model="golden",stage="staging"} 0
        kf_model_stage_info{model="bot",stage="production",version="1.0.0"} 1
        kf_gate_verdict{model="bot",version="1.0.0",gate="exact",verdict="fail"} 0
        kf_gate_verdict{model="bot",version="1.0.0",gate="exact",verdict="inconclusive"} 0
        kf_gate_verdict{model="bot",version="1.0.0",gate="exact",verdict="pass"} 1
        kf_evaluation_score{model="bot",version="1.0.0",dataset="golden@1.0.0",metric="exact-match",better="higher"} 1
        kf_evaluation_score{model="bot",version="1.0.0",dataset="golden@1.0.0",metric="token-f1",better="higher"} 1
        kf_evaluation_scored_rows{model="bot",version="1.0.0",dataset="golden@1.0.0",metric="exact-match"} 7
        kf_evaluation_scored_rows{model="bot",version="1.0.0",dataset="golden@1.0.0",metric="token-f1"} 7
        kf_evaluation_error_ratio{model="bot",version="1.0.0",dataset="golden@1.0.0"} 0.125
        kf_evaluation_coverage_ratio{model="bot",version="1.0.0",dataset="golden@1.0.0"} 0.875
        kf_evaluation_timestamp_seconds{model="bot",version="1.0.0",dataset="golden@1.0.0"} 1795248480.001
        kf_documents{tenant="acme",collection="default"} 2
        kf_documents_refused{tenant="acme",collection="default"} 1
        kf_chunks{tenant="acme",collection="default"} 3
        kf_engine_waiting_changes{tenant="acme",collection="default"} 0
        "#);
        promtool_takes(&text);
    });
}

#[test]
fn the_newest_check_of_a_drift_and_what_is_overdue_are_figures() {
    on_both(|s| {
        story::tell(s);
        story::drift(s);
        let text = s.kf(["monitor", "metrics"]).stdout;
        let of_drift: Vec<&str> = text.lines().filter(|l| l.starts_with("kf_drift_")).collect();
        let has = |line: &str| assert!(of_drift.contains(&line), "{line} is not in {of_drift:#?}");
        has("kf_drift_verdict{name=\"bot\",model=\"bot\",verdict=\"critical\"} 1");
        has("kf_drift_verdict{name=\"bot\",model=\"bot\",verdict=\"ok\"} 0");
        assert_eq!(of_drift.iter().filter(|l| l.starts_with("kf_drift_verdict")).count(), 5, "{of_drift:#?}");
        // The program of the action ran; the ticket of what is critical is due at once, and every run is a minute later.
        has("kf_drift_pending_actions{name=\"bot\",model=\"bot\",action=\"open-ticket\"} 1");
        has("kf_drift_overdue_actions{name=\"bot\",model=\"bot\"} 1");
        let index = |l: &&str| l.split_once("\"} ").and_then(|(_, v)| v.parse::<f64>().ok()).is_some_and(|v| v > 0.3);
        assert!(of_drift.iter().any(|l| l.starts_with("kf_drift_index{") && index(l)), "{of_drift:#?}");

        ends(s, 0, ["drift", "close", "bot", "--reason", "retrained"]);
        let text = s.kf(["monitor", "metrics"]).stdout;
        assert!(text.contains("kf_drift_overdue_actions{name=\"bot\",model=\"bot\"} 0\n"), "{text}");
        assert!(!text.contains("kf_drift_pending_actions{"), "{text}");
        promtool_takes(&text);
    });
}

/// The linter of metrics of Prometheus itself.
fn promtool_takes(text: &str) {
    let Some(promtool) = promtool() else { return skip("`promtool` is not installed") };
    assert_eq!(complaint(&fed(Command::new(promtool).args(["check", "metrics"]), text)), None, "{text}");
}

#[test]
fn figures_are_written_whole_and_without_a_word() {
    let s = Sandbox::new();
    s.repository("");
    let run = ends(&s, 0, ["monitor", "metrics", "-o", "kf.prom"]);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""));
    assert!(s.read("kf.prom").ends_with("# EOF\n"));
}

#[test]
fn promtool_takes_the_rules_and_every_alert_fires_when_it_should() {
    let Some(promtool) = promtool() else { return skip("`promtool` is not installed") };
    let s = Sandbox::new();
    s.repository("");
    ends(&s, 0, ["monitor", "export", "prometheus-rules", "-o", "kf.rules.yml"]);
    let tests = std::fs::read_to_string(project().join("tests/fixtures/monitor/kf.rules.test.yml")).expect("a fixture");
    s.write("kf.rules.test.yml", &tests);
    let run = |args: [&str; 3]| complaint(&fed(Command::new(&promtool).args(args).current_dir(s.work()), ""));
    assert_eq!(run(["check", "rules", "kf.rules.yml"]), None);
    assert_eq!(run(["test", "rules", "kf.rules.test.yml"]), None);

    let read: serde_yaml::Value = serde_yaml::from_str(&tests).expect("YAML");
    let cases =
        read["tests"].as_sequence().expect("tests").iter().flat_map(|t| t["alert_rule_test"].as_sequence().expect("cases"));
    let (firing, silent): (Vec<_>, Vec<_>) = cases.partition(|c| c.get("exp_alerts").is_some());
    let names = |cases: Vec<&serde_yaml::Value>| -> BTreeSet<String> {
        cases.iter().filter_map(|c| c["alertname"].as_str()).map(str::to_owned).collect()
    };
    let all: BTreeSet<String> = rules::GROUPS.iter().flat_map(|(_, rules)| *rules).map(|r| r.alert.to_owned()).collect();
    assert_eq!((names(firing), names(silent)), (all.clone(), all));
}

/// The first field that is not in what was read back, or is another there.
fn lost(given: &Value, kept: &Value, at: &str) -> Option<String> {
    match (given, kept) {
        (Value::Object(given), Value::Object(kept)) => {
            given.iter().find_map(|(k, v)| lost(v, kept.get(k).unwrap_or(&Value::Null), &format!("{at}/{k}")))
        }
        (Value::Array(given), Value::Array(kept)) if given.len() == kept.len() => {
            given.iter().zip(kept).enumerate().find_map(|(i, (g, k))| lost(g, k, &format!("{at}/{i}")))
        }
        (Value::Number(given), Value::Number(kept)) if given.as_f64() == kept.as_f64() => None,
        _ => (given != kept).then(|| format!("{at}: {given} became {kept}")),
    }
}

/// What Grafana's types make of a dashboard; `None` when they are not installed.
fn by_grafana(dashboard: &str) -> Option<Value> {
    let packages = packages_with("grafana_foundation_sdk/cog/encoder.py")?;
    let mut reader = Command::new("python3");
    reader.arg(project().join("tests/tools/grafana_dashboard.py")).env("PYTHONPATH", packages);
    let output = fed(&mut reader, dashboard);
    assert_eq!(complaint(&output), None);
    Some(serde_json::from_slice(&output.stdout).expect("JSON"))
}

#[test]
fn grafanas_own_types_lose_nothing_of_the_dashboard() {
    let s = Sandbox::new();
    s.repository("");
    let text = s.kf(["monitor", "export", "grafana"]).stdout;
    let given: Value = serde_json::from_str(&text).expect("JSON");
    let Some(kept) = by_grafana(&text) else { return skip("`grafana-foundation-sdk` is not installed") };
    assert_eq!(lost(&given, &kept, ""), None);
    // A check that finds nothing in a dashboard that is wrong would say nothing about one that is right.
    let wrong = text.replace("\"gridPos\"", "\"gridPosition\"");
    assert!(lost(&serde_json::from_str(&wrong).expect("JSON"), &by_grafana(&wrong).expect("installed"), "").is_some());
}

#[test]
fn the_page_lists_every_metric_and_every_alert() {
    let mut metrics = String::from("| metric | labels | what it is |\n| --- | --- | --- |\n");
    for m in metric::ALL {
        let labels: Vec<String> = m.labels.iter().map(|l| format!("`{l}`")).collect();
        writeln!(metrics, "| `{}` | {} | {} |", m.name, labels.join(", "), m.help).expect("a string");
    }
    page_part("docs/monitoring.md", "metrics", &metrics, "monitor::the_page");
    let mut alerts = String::from("| alert | severity | after | fires when |\n| --- | --- | --- | --- |\n");
    for r in rules::GROUPS.iter().flat_map(|(_, rules)| *rules) {
        let after = if r.lasting.is_empty() { "at once" } else { r.lasting };
        let expr = r.expr.replace('|', "\\|");
        writeln!(alerts, "| `{}` | {} | {after} | `{expr}` |", r.alert, r.severity).expect("a string");
    }
    page_part("docs/monitoring.md", "alerts", &alerts, "monitor::the_page");
    let mut machine = String::from("| metric | what it is |\n| --- | --- |\n");
    for (name, what) in metric::COLLECTOR {
        writeln!(machine, "| `{name}` | {what} |").expect("a string");
    }
    page_part("docs/monitoring.md", "machine", &machine, "monitor::the_page");
}
