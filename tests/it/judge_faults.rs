//! What a judge or a system does wrong, and what kf must not make of it: keys told on, verdicts kept that nobody can use, calibrations
//! lost to an outage, money spent beyond a limit.

use crate::judge::{by, eval, many, means, of_row, row, with_judge, write_rows};
use crate::repo::{ends, json, ok};
use crate::schemas::fit;
use crate::support::models::{KEY, Models, forms};
use crate::support::sandbox::{Run, Sandbox};
use axum::Router;
use axum::http::HeaderMap;
use axum::response::IntoResponse as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::path::Path;

/// Rows that each ask the fake for a fault.
fn marked(marks: &[&str]) -> Vec<Value> {
    let one = |mark: &&str| {
        let text = format!("Parcels go out on day [[{mark}]].");
        row(mark, "When?", &text, &[&text], &text)
    };
    marks.iter().map(one).collect()
}

/// Fails when a piece of a key is in a file below a folder.
fn clean(folder: &Path, key: &str) {
    holds_no(folder, &key[..9]);
}

/// Fails when a text is in a file below a folder.
fn holds_no(folder: &Path, piece: &str) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            holds_no(&path, piece);
        } else {
            let bytes = std::fs::read(&path).unwrap_or_default();
            let found = bytes.windows(piece.len()).any(|part| part == piece.as_bytes());
            assert!(!found, "{} holds {piece}, a piece of a key", path.display());
        }
    }
}

fn silent(run: &Run, key: &str) {
    assert!(!run.to_string().contains(&key[..9]), "{run}");
}

#[test]
fn no_key_that_a_judge_repeats_is_told_or_kept() {
    for provider in ["anthropic", "openai"] {
        let (mut s, models) = (Sandbox::new(), Models::start());
        with_judge(&mut s, &models.keys(provider), "", &marked(&["echo-html", "echo-error", "echo-id", "ok"]));
        let (report, run) = eval(&s, 5, &[by(&["faithfulness"]), vec!["--report", "junit=eval.xml"]].concat());
        silent(&run, KEY);
        for mark in ["echo-html", "echo-error", "echo-id"] {
            let why = of_row(&report, mark)["unscored"]["faithfulness"].as_str().expect("a reason");
            assert!(why.starts_with("error: "), "{mark}: {why}");
        }
        let label = |mut row: Value| {
            row["label"] = json!("pass");
            format!("{row}\n")
        };
        s.write("labels.jsonl", marked(&["echo-html", "echo-error", "echo-id"]).into_iter().map(label).collect::<String>());
        silent(&ends(&s, 1, ["judge", "calibrate", "labels.jsonl", "--cache", "off"]), KEY);
        s.write("mlops.toml", format!("{}[llm]\n{}", s.read("mlops.toml"), models.keys(provider)));
        s.write("p.test.yaml", "prompts: ['Say [[echo-html]]', 'Say [[echo-error]]']\nproviders: [llm]\ntests: [{}]\n");
        let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(["prompt", "test", "p.test.yaml", "--format", "json"]));
        silent(&run, KEY);
        clean(&s.work(), KEY);
    }
}

/// What of the key nobody may read, in every encoding that the fake has.
fn pieces() -> Vec<String> {
    // What comes before this is the same in many keys.
    let secret = &KEY["sk-live-".len()..];
    let shifted = |n: usize| STANDARD.encode(format!("{}{secret}", "x".repeat(n)))[8..16].to_owned();
    let mut all: Vec<String> = [&secret[..8], "%34%35", "u0035", "343536373839"].map(str::to_owned).into();
    all.extend((0..3).map(shifted));
    all
}

#[test]
fn no_key_that_comes_back_in_another_encoding_is_told_or_kept() {
    for provider in ["anthropic", "openai"] {
        let (mut s, models) = (Sandbox::new(), Models::start());
        let all: Vec<usize> = (0..forms().len()).collect();
        let marks = |kinds: &[&str]| -> Vec<String> {
            all.iter().flat_map(|n| kinds.iter().map(move |kind| format!("form-{n}-{kind}"))).collect()
        };
        let mut judged = marks(&["refusal", "html", "verdict"]);
        judged.push("ok".to_owned());
        with_judge(&mut s, &models.keys(provider), "", &marked(&judged.iter().map(String::as_str).collect::<Vec<_>>()));
        let more = ["--report", "junit=eval.xml", "--report", "html=eval.html", "--report", "json=eval.json"];
        let (report, run) = eval(&s, 5, &[by(&["faithfulness"]), more.to_vec()].concat());
        assert_eq!(means(&report)["faithfulness"].1, 1);
        s.write("mlops.toml", format!("{}[llm]\n{}", s.read("mlops.toml"), models.keys(provider)));
        let prompts = marks(&["refusal", "html", "text"]).iter().map(|mark| format!("'Say [[{mark}]]'")).collect::<Vec<_>>();
        s.write("p.test.yaml", format!("prompts: [{}]\nproviders: [llm]\ntests: [{{}}]\n", prompts.join(", ")));
        let told = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(["prompt", "test", "p.test.yaml", "--format", "json"]));
        assert!(told.stdout.contains("It is ") && models.refused().is_empty(), "{told}");
        for piece in pieces() {
            for run in [&run, &told] {
                assert!(!run.to_string().contains(&piece), "{piece}: {run}");
            }
            holds_no(&s.work(), &piece);
        }
    }
}

/// A service that repeats the header which holds its key, in every place that becomes a reason.
#[test]
fn no_key_that_a_system_repeats_is_told_or_kept() {
    const SECRET: &str = "SYSSECRET-987654321";
    let app = Router::new().fallback(|headers: HeaderMap, body: String| async move {
        let key = headers.get("x-secret").and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
        let id = serde_json::from_str::<Value>(&body).map(|b| b["id"].clone()).unwrap_or_default();
        let filled = format!("{}{key}", "x".repeat(110));
        match id.as_str().unwrap_or_default() {
            "error" => axum::Json(json!({"id": id, "error": format!("denied for {key}")})).into_response(),
            "nested" => axum::Json(json!({"id": id, "error": {"code": {&key: [key]}}})).into_response(),
            "long" => axum::Json(json!({"id": id, "error": format!("{}{key}", "x".repeat(490))})).into_response(),
            "html" => format!("<html>{filled}</html>").into_response(),
            "list" => axum::Json(json!([filled])).into_response(),
            "type" => axum::Json(json!({"id": id, "answer": {"a": format!("{}{key}", "x".repeat(65))}})).into_response(),
            "other" => axum::Json(json!({"id": key, "answer": "x"})).into_response(),
            _ => axum::Json(json!({"id": id, "answer": format!("You sent {key}.")})).into_response(),
        }
    });
    let address = crate::support::serve(app);
    let mut s = Sandbox::new();
    s.set("SYS_KEY", SECRET);
    s.repository(&format!(
        "[golden]\ndataset = \"golden.jsonl\"\n[system]\nkind = \"http\"\nurl = \"http://{address}/\"\n[system.headers]\nx-secret = \"env:SYS_KEY\"\n"
    ));
    let ids = ["error", "nested", "long", "html", "list", "type", "other", "answer"];
    write_rows(&s, &ids.map(|id| json!({"id": id, "question": format!("{id}?"), "reference": "x"})));
    s.write("bot/prompts/answer.txt", "Answer {question} from {context}.\n");
    ok(&s, ["register", "bot", "bot"]);
    let run = ends(&s, 5, ["eval", "bot", "--metric", "exact-match", "--rows", "--format", "json"]);
    silent(&run, SECRET);
    assert_eq!(json(&run)["failures"].as_array().map(Vec::len), Some(7), "{run}");
    clean(&s.work(), SECRET);
}

#[test]
fn verdicts_that_nobody_can_use_are_errors_and_are_asked_for_again() {
    let (mut s, models) = (Sandbox::new(), Models::start());
    with_judge(&mut s, &models.keys("anthropic"), "", &marked(&["ids", "ids-once", "ok"]));
    let first = eval(&s, 5, &by(&["faithfulness"])).0;
    let why = of_row(&first, "ids")["unscored"]["faithfulness"].as_str().expect("a reason");
    assert!(why.starts_with("error: the judge's answer cannot be used, asked twice: "), "{why}");
    assert_eq!((models.requests(), &first["judging"]["errors"]), (8, &json!({"faithfulness": 1})));
    // Two answers that came to nothing are asked for again, by themselves too; the one that told the judge of its mistake is kept.
    let again = eval(&s, 5, &by(&["faithfulness"])).0;
    assert_eq!((models.requests(), &again["rows"]), (10, &first["rows"]));
    eval(&s, 1, &[by(&["faithfulness"]), vec!["--rows", "unscored"]].concat());
    assert_eq!(models.requests(), 12);
    fit("eval", &[first]);
}

#[test]
fn repeats_that_fail_are_counted_and_too_many_of_them_are_an_error() {
    let (mut s, models) = (Sandbox::new(), Models::start());
    with_judge(
        &mut s,
        &models.keys("anthropic"),
        "concurrency = 1\nstatements = \"sentences\"\nmin-coverage = 0.5\n",
        &marked(&["second", "ok"]),
    );
    let (report, _) = eval(&s, 5, &[by(&["faithfulness"]), vec!["--repeat", "3"]].concat());
    assert_eq!((&report["judging"]["failed_repeats"], &report["judging"]["errors"]), (&json!({"faithfulness": 1}), &json!({})));
    assert_eq!(means(&report)["faithfulness"], (Some(1.0), 2));
    let failed = &report["judging"]["failed"];
    assert_eq!((&failed["requests"], failed["cost_usd"].as_f64()), (&json!(1), Some(0.000_21)), "{failed}");
    fit("eval", &[report]);
    // What failed was not kept, and it does not fail again.
    eval(&s, 0, &[by(&["faithfulness"]), vec!["--repeat", "3"]].concat());
    s.write("mlops.toml", s.read("mlops.toml").replace("min-coverage = 0.5", "min-coverage = 0.9"));
    write_rows(&s, &[marked(&["second"])[0].clone(), many(1)[0].clone()]);
    let models = Models::start();
    let config = s.read("mlops.toml");
    let old = config.lines().find(|l| l.starts_with("base-url")).expect("an address").to_owned();
    let new = models.keys("anthropic").lines().find(|l| l.starts_with("base-url")).expect("an address").to_owned();
    s.write("mlops.toml", config.replace(&old, &new));
    let run = ends(&s, 5, ["eval", "bot", "--metric", "faithfulness", "--repeat", "3", "--rows", "--report", "json=eval.json"]);
    assert!(run.stdout.contains("faithfulness: 1 repeat failed"), "{run}");
    assert!(run.stdout.contains("paid for and of no use: 1 request, 1000 tokens in, 100 out, $0.0002"), "{run}");
    let report: Value = serde_json::from_str(&s.read("eval.json")).expect("JSON");
    let why = of_row(&report, "second")["unscored"]["faithfulness"].as_str().expect("a reason");
    assert!(why.starts_with("error: judging failed 1 of 3 times: judge-1: the answer was cut off"), "{why}");
}

/// A program that answers everything and then breaks what was agreed is not taken at its word by the next run.
#[test]
fn a_program_that_breaks_the_protocol_is_started_again() {
    let s = Sandbox::new();
    s.repository(
        "[golden]\ndataset = \"golden.jsonl\"\n[system]\nkind = \"command\"\ncommand = [\"sh\", \"answer.sh\"]\nconcurrency = 1\n",
    );
    write_rows(&s, &(0..4).map(|i| json!({"id": format!("r{i}"), "question": "?", "reference": "x"})).collect::<Vec<_>>());
    s.write("bot/prompts/answer.txt", "Answer {question} from {context}.\n");
    s.write(
        "answer.sh",
        "echo start >> starts.log\nfor i in 0 1 2 3; do read -r line; printf '{\"id\": \"r%s\", \"answer\": \"x\"}\\n' $i; done\necho done with it\n",
    );
    ok(&s, ["register", "bot", "bot"]);
    for starts in 1..=2 {
        let run = ends(&s, 1, ["eval", "bot", "--metric", "exact-match"]);
        assert!(run.stderr.contains("line 5 of the output of `sh` is not a JSON object"), "{run}");
        assert_eq!(s.read("starts.log").lines().count(), starts);
    }
}

#[test]
fn an_outage_does_not_take_the_place_of_a_calibration() {
    let (mut s, models) = (Sandbox::new(), Models::start());
    with_judge(&mut s, &models.keys("openai"), "", &many(2));
    let label = |i: usize, mark: &str| {
        let text = format!("Label {i} goes out on day {i}{mark}.");
        let answer = if i.is_multiple_of(2) { text.clone() } else { format!("Nobody ever said so{mark}.") };
        let mut label = row(&format!("l{i}"), "When?", &answer, &[&text], "");
        label["label"] = json!(if i.is_multiple_of(2) { "pass" } else { "fail" });
        format!("{label}\n")
    };
    let write = |cut: usize| {
        s.write("labels.jsonl", (0..30).map(|i| label(i, if i < cut { " [[cut]]" } else { "" })).collect::<String>());
    };
    let calibrate = |code: i32| ends(&s, code, ["judge", "calibrate", "labels.jsonl", "--format", "json"]);
    write(0);
    // A dry run says what it would ask for and judges nothing by nothing.
    let run = ends(&s, 0, ["judge", "calibrate", "labels.jsonl", "--dry-run"]);
    assert!(
        run.stdout.contains("nothing is recorded: 30 of 30 rows would be asked for") && !run.stdout.contains("kappa"),
        "{run}"
    );
    let good = json(&calibrate(0));
    assert_eq!((&good["errors"], &good["unrecorded"]), (&json!(0), &Value::Null));
    let events = || ok(&s, ["audit", "log"]).stdout.matches("judge.calibrated").count();
    let before = events();
    write(30);
    let run = calibrate(1);
    assert!(
        run.stderr.contains("the judge failed on all 30 rows, so nothing is recorded: judge-1: the answer was cut off"),
        "{run}"
    );
    write(4);
    let few = json(&calibrate(5));
    let why = "the judge failed on 4 of 30 rows, `judge.min-coverage` asks for 90 %";
    assert_eq!((&few["unrecorded"], &few["event"], &few["errors"]), (&json!(why), &json!(0), &json!(4)));
    assert_eq!(events(), before, "the good one stays");
    // As many as may fail.
    write(3);
    let most = json(&calibrate(5));
    assert_eq!((&most["unrecorded"], &most["refused"]), (&Value::Null, &Value::Null));
    assert_eq!(events(), before + 1);
    fit("judge-calibrate", &[good, few, most]);
}

#[test]
fn a_limit_of_cost_is_one_that_something_was_left_out_for() {
    let (mut s, models) = (Sandbox::new(), Models::start());
    with_judge(&mut s, &models.keys("openai"), "concurrency = 1\nstatements = \"sentences\"\n", &many(4));
    let spend = |code: i32, most: &str, cache: &str| {
        ends(&s, code, ["eval", "bot", "--metric", "faithfulness", "--max-cost", most, "--cache", cache])
    };
    // Four answers at 210 millionths of a dollar: the last of them reaches the limit, and nothing is left out.
    let run = spend(0, "0.00084", "off");
    assert!(!run.stdout.contains("stopped") && models.requests() == 4, "{run}");
    let run = spend(5, "0.0004", "off");
    assert!(run.stdout.contains("the judges stopped at --max-cost\n") && models.requests() == 6, "{run}");
    let run = spend(5, "0.0004", "write");
    assert!(run.stdout.contains("stopped at --max-cost: the same command with a higher one goes on from here"), "{run}");
    let before = models.requests();
    spend(5, "0", "off");
    assert_eq!(models.requests(), before, "nothing is sent for nothing");
    // What is there is no reason to stop.
    spend(0, "0.00042", "write");
    spend(0, "0", "write");
    assert_eq!(models.requests(), before + 2);
}
