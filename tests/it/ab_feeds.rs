//! `kf ab record`: what comes from recorded evaluations and from a gateway, and whose it is.

use crate::ab::{analysis, create, two_bots};
use crate::repo::{events, json, ok, on_both, refused};
use crate::support::gateway::{Gateway, Place, register, repository};
use crate::support::sandbox::Sandbox;
use serde_json::{Value, json};

#[test]
fn evaluations_of_both_versions_are_pairs() {
    let s = &Sandbox::new();
    two_bots(s);
    let rows = (0..60).map(|i| format!("{{\"id\": \"q{i}\", \"question\": \"Question {i}?\", \"reference\": \"answer {i}\"}}\n"));
    s.write("golden.jsonl", rows.collect::<String>());
    let answers = |right: &dyn Fn(usize) -> bool| -> String {
        let text = |i: usize| if right(i) { format!("answer {i}") } else { "no idea".to_owned() };
        (0..60).map(|i| format!("{{\"id\": \"q{i}\", \"answer\": \"{}\"}}\n", text(i))).collect()
    };
    create(s, "prompts", ["--metric", "exact-match", "--paired"]);
    let run = refused(s, 1, ["ab", "record", "prompts", "--from", "evaluations"]);
    assert!(run.stderr.contains("no evaluation on the same dataset") && run.stderr.contains("`kf eval bot@1.0.0`"), "{run}");
    for (version, right) in [
        ("bot@1.0.0", &(|i: usize| i.is_multiple_of(2)) as &dyn Fn(usize) -> bool),
        ("bot@1.0.1", &|i: usize| !i.is_multiple_of(12) || i == 0),
    ] {
        s.write("a.jsonl", answers(right));
        ok(s, ["eval", version, "--dataset", "golden.jsonl", "--answers", "a.jsonl", "--no-gates"]);
    }
    let recorded = ok(s, ["ab", "record", "prompts", "--from", "evaluations"]).stdout;
    assert!(recorded.contains("recorded 120 values"), "{recorded}");
    assert!(ok(s, ["ab", "record", "prompts", "--from", "evaluations"]).stdout.contains("0 values, 120 there already"));
    let found = analysis(s, "prompts", 0);
    assert_eq!((&found["decision"], &found["design"]), (&json!("promote"), &json!("paired")), "{found:#}");
    // 30 of 60 gained, 4 lost: rows 12, 24, 36 and 48.
    assert_eq!(found["primary"]["difference"], json!(26.0 / 60.0));
    assert!(refused(s, 2, ["ab", "assign", "prompts", "--key", "u"]).stderr.contains("both versions"));
    ok(s, ["fsck"]);
}

/// Ids tell records of one unit apart: another user's record with the same id is another one.
#[test]
fn two_users_may_have_records_of_the_same_id() {
    on_both(|s| {
        two_bots(s);
        create(s, "visits", ["--metric", "solved"]);
        s.write("one.csv", "unit,variant,id,solved\na,control,1,1\nb,treatment,1,0\nc,control,2,1\n");
        s.write("two.csv", "unit,variant,id,solved\nd,control,1,1\ne,control,2,0\nd,control,2,0\n");
        for (file, new) in [("one.csv", 3), ("two.csv", 3), ("one.csv", 0), ("two.csv", 0)] {
            let done = json(&ok(s, ["ab", "record", "visits", "--from", file, "--format", "json"]));
            assert_eq!((&done["new"], &done["known"], &done["differing"]), (&json!(new), &json!(3 - new), &json!(0)), "{file}");
        }
        let found = analysis(s, "visits", 4);
        assert_eq!((&found["primary"]["control"]["n"], &found["primary"]["repeated"]), (&json!(4), &json!(1)), "{found:#}");
        ok(s, ["fsck"]);
    });
}

/// A score that a file would be refused for is refused of an evaluation too, and what one version alone has is no pair.
#[test]
fn evaluations_give_only_what_the_metric_is() {
    let s = &Sandbox::new();
    two_bots(s);
    let rows = (0..12).map(|i| format!("{{\"id\": \"q{i}\", \"question\": \"Question {i}?\", \"reference\": \"answer {i}\"}}\n"));
    s.write("golden.jsonl", rows.collect::<String>());
    // Every second answer to a question is right.
    s.write(
        "system.py",
        "import json, sys\nopen('asked', 'a').write('.')\nright = len(open('asked').read()) % 2\nfor line in sys.stdin:\n    row = json.loads(line)\n    \
         print(json.dumps({'id': row['id'], 'answer': row['id'].replace('q', 'answer ') if right else 'no'}), flush=True)\n",
    );
    s.write("mlops.toml", s.read("mlops.toml") + "\n[system]\nkind = \"command\"\ncommand = [\"python3\", \"system.py\"]\n");
    let eval = |version: &str, metric: &str| {
        let run = ["eval", version, "--dataset", "golden.jsonl", "--no-gates", "--repeat", "2", "--metric", metric];
        ok(s, run);
    };
    eval("bot@1.0.0", "exact-match");
    eval("bot@1.0.1", "exact-match");
    create(s, "rate", ["--metric", "exact-match", "--paired"]);
    let before = events(s);
    let run = refused(s, 1, ["ab", "record", "rate", "--from", "evaluations"]);
    for part in [
        "nothing of the evaluations is recorded: bot@1.0.0, row q0 and 11 rows more of evaluation",
        "`exact-match` is a rate: 0 or 1, not 0.5",
        "begin a test of `exact-match:score:higher` with `kf ab create`",
    ] {
        assert!(run.stderr.contains(part), "{part}: {run}");
    }
    assert_eq!(events(s), before);
    create(s, "score", ["--metric", "exact-match:score", "--guardrail", "token-f1=0.1", "--paired"]);
    let run = ok(s, ["ab", "record", "score", "--from", "evaluations"]);
    assert!(run.stdout.contains("recorded 24 values"), "{run}");
    let neither = "warning: `token-f1`: neither bot@1.0.0 nor bot@1.0.1 has a score of it";
    assert!(run.stderr.contains(neither), "{run}");
    // One version alone has it: no pairs, and what to run.
    eval("bot@1.0.1", "token-f1");
    let run = refused(s, 1, ["ab", "record", "score", "--from", "evaluations"]);
    let missing = "`token-f1`: bot@1.0.1 has 12 scores on golden.jsonl, and bot@1.0.0 none, so nothing of it is recorded: run \
                   `kf eval bot@1.0.0 --dataset golden.jsonl --metric exact-match --metric token-f1`";
    assert!(run.stderr.contains(missing), "{run}");
    let all = ["--dataset", "golden.jsonl", "--no-gates", "--repeat", "2", "--metric", "exact-match", "--metric", "token-f1"];
    ok(s, ["eval", "bot@1.0.1", all[0], all[1], all[2], all[3], all[4], all[5], all[6], all[7], all[8]]);
    let run = ok(s, ["ab", "record", "score", "--from", "evaluations", "--format", "json"]);
    assert_eq!(json(&run)["new"], json!(12), "another evaluation of the treatment, the one of control as before");
    assert!(run.stderr.contains(missing) && json(&run)["lacking"][0].as_str() == Some(missing), "{run}");
    ok(s, ["fsck"]);
}

/// A dataset that grows is the same dataset, and what was asked together is one unit.
#[test]
fn rows_of_evaluations_count_once_and_those_of_a_cluster_together() {
    let s = &Sandbox::new();
    two_bots(s);
    let evaluate = |dataset: &str, rows: usize, cluster: &dyn Fn(usize) -> String| {
        let row =
            |i| format!("{{\"id\": \"q{i}\", \"question\": \"Question {i}?\", \"reference\": \"answer {i}\"{}}}\n", cluster(i));
        s.write(dataset, (0..rows).map(row).collect::<String>());
        for (version, wrong) in [("bot@1.0.0", 2), ("bot@1.0.1", 3)] {
            let text = |i: usize| if i.is_multiple_of(wrong) { "no idea".to_owned() } else { format!("answer {i}") };
            s.write(
                "a.jsonl",
                (0..rows).map(|i| format!("{{\"id\": \"q{i}\", \"answer\": \"{}\"}}\n", text(i))).collect::<String>(),
            );
            ok(s, ["eval", version, "--dataset", dataset, "--answers", "a.jsonl", "--no-gates"]);
        }
    };
    let record = |name: &str| {
        let new = json(&ok(s, ["ab", "record", name, "--from", "evaluations", "--format", "json"]))["new"].clone();
        (new, json(&s.kf(["ab", "analyze", name, "--format", "json"]))["primary"].clone())
    };
    let counted = |p: &Value| (p["control"]["n"].clone(), p["treatment"]["n"].clone(), p["repeated"].clone());
    for name in ["grows", "late"] {
        create(s, name, ["--metric", "exact-match", "--paired"]);
    }
    evaluate("golden.jsonl", 20, &|_| String::new());
    let (new, primary) = record("grows");
    assert_eq!((new, counted(&primary)), (json!(40), (json!(20), json!(20), json!(0))));
    evaluate("golden.jsonl", 24, &|_| String::new());
    let (new, primary) = record("grows");
    assert_eq!((new, counted(&primary)), (json!(48), (json!(24), json!(24), json!(20))), "20 rows were there");
    assert_eq!(record("grows").0, json!(0));
    let (new, primary) = record("late");
    assert_eq!((new, counted(&primary)), (json!(48), (json!(24), json!(24), json!(0))), "the newest bytes only");
    create(s, "talks", ["--metric", "exact-match", "--paired"]);
    evaluate("golden.jsonl", 24, &|i| if i < 20 { format!(", \"cluster\": \"talk {}\"", i / 5) } else { String::new() });
    let (new, primary) = record("talks");
    assert_eq!((new, counted(&primary)), (json!(48), (json!(8), json!(8), json!(4))), "four talks of five rows, four rows alone");
    ok(s, ["fsck"]);
}

/// A gateway that sends half of the requests to each of two versions, and where it is asked.
fn halved(s: &Sandbox) -> (Place, Gateway) {
    let place = repository(s);
    register(s, &json!({"new": true}));
    let gateway = Gateway::serving(s);
    place.start(s, "1.0.1");
    assert_eq!(place.route(&json!({"stable": "1.0.0", "canary": "1.0.1", "weight": 5000})).0, 200);
    (place, gateway)
}

/// Requests as a real gateway counts them, from one reading to the next.
#[test]
fn a_gateway_feeds_what_it_counts() {
    let s = &Sandbox::new();
    let (place, _gateway) = halved(s);
    create(s, "errors", ["--metric", "error-rate:lower", "--guardrail", "latency-ms:mean:lower=500"]);
    let record = || ok(s, ["ab", "record", "errors", "--from", "gateway"]).stdout;
    assert!(record().contains("recorded 0 values"), "what was before the test does not count");
    (0..30).for_each(|_| drop(place.get("/")));
    let new = json(&ok(s, ["ab", "record", "errors", "--from", "gateway", "--format", "json"]))["new"].clone();
    assert_eq!(new, json!(4));
    assert!(record().contains("recorded 0 values"), "nothing is counted twice");
    (0..10).for_each(|_| drop(place.get("/")));
    record();
    let found = analysis(s, "errors", 4);
    let n = |side: &str| found["primary"][side]["n"].as_u64().expect("a number");
    assert_eq!((n("control") + n("treatment"), &found["counted"], &found["split"]["p_value"]), (40, &json!(true), &Value::Null));
    assert!(found["guardrails"][0]["control"]["mean"].as_f64().is_some_and(|ms| ms > 0.0), "{found:#}");
    ok(s, ["fsck"]);
}

/// What a gateway counted says nothing of the users that a file tells of, and takes nothing from them; a reading of one request is no user.
#[test]
fn a_reading_of_a_gateway_leaves_the_check_of_the_split_on() {
    let s = &Sandbox::new();
    let (place, _gateway) = halved(s);
    create(s, "mixed", ["--metric", "solved", "--guardrail", "error-rate:lower=0.5"]);
    create(s, "alone", ["--metric", "error-rate:lower"]);
    let users = |variant: &str, n: usize, good: usize| -> String {
        (0..n).map(|i| format!("{variant}{i},{variant},{}\n", u8::from(i < good))).collect()
    };
    s.write("lost.csv", format!("unit,variant,solved\n{}{}", users("control", 700, 280), users("treatment", 400, 260)));
    ok(s, ["ab", "record", "mixed", "--from", "lost.csv"]);
    assert_eq!(analysis(s, "mixed", 3)["decision"], "invalid");
    for name in ["mixed", "alone"] {
        ok(s, ["ab", "record", name, "--from", "gateway"]);
    }
    drop(place.get("/"));
    for name in ["mixed", "alone"] {
        let new = json(&ok(s, ["ab", "record", name, "--from", "gateway", "--format", "json"]))["new"].clone();
        assert_eq!(new, json!(1), "one request of one variant");
    }
    let found = analysis(s, "mixed", 3);
    let split = &found["split"];
    assert_eq!((&found["decision"], &found["counted"]), (&json!("invalid"), &json!(true)), "{found:#}");
    assert_eq!((&split["control"], &split["treatment"]), (&json!(700), &json!(400)), "{found:#}");
    let found = analysis(s, "alone", 4);
    assert_eq!((&found["counted"], &found["split"]["p_value"]), (&json!(true), &Value::Null), "{found:#}");
    let n = |side: &str| found["primary"][side]["n"].as_u64().expect("a number");
    assert_eq!(n("control") + n("treatment"), 1, "{found:#}");
}
