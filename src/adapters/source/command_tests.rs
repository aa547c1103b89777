use super::*;
use crate::base::name::Name;
use serde_json::{Value, json};

/// What a shell prints counts.
fn read(script: &str, cursor: Option<&str>) -> Result<Reading> {
    let argv = ["sh", "-c", script].map(str::to_owned);
    let ranges = Ranges::from([("tokens".to_owned(), (10.0, 1000.0))]);
    let source = Source::new(&argv, &std::env::temp_dir(), Duration::from_secs(5), ranges).expect("a command");
    let at = |text: &str| text.parse().expect("a time");
    let (from, to) = (at("2026-11-21T08:00:00Z"), at("2026-11-21T08:01:00.5Z"));
    let model: Name = "bot".parse().expect("a name");
    source.read(&Ask { model: &model, stable: None, canary: "1.1.0".parse().expect("a version"), from, to, cursor })
}

fn printed(document: &Value) -> Result<Reading> {
    read(&format!("cat <<'END'\n{document}\nEND"), None)
}

fn arm() -> Value {
    json!({
        "requests": 40, "errors": 2, "latency": [{"most": 0.5, "n": 30}, {"most": 1, "n": 8}, {"n": 2}],
        "counts": {"refusals": {"hits": 1, "n": 40}},
        "scores": {"faithfulness": [0.5, 1.0], "accuracy": {"n": 10, "mean": 0.9, "sd": 0.3}},
        "costs": {"tokens": [0, 100, 1e6]}
    })
}

#[test]
fn a_document_is_read_whole() {
    let pairs = json!({"accuracy": [0, 1, 0]});
    let found =
        printed(&json!({"schema": SCHEMA, "stable": {"seconds": [0.1, 3.0]}, "canary": arm(), "pairs": pairs, "cursor": "7"}));
    let found = found.expect("counted");
    let canary = &found.canary;
    assert_eq!((canary.requests, canary.errors, canary.counts["refusals"]), (Some(40), Some(2), Counts { hits: 1, n: 40 }));
    assert_eq!(canary.latency, Some(Buckets::dense([(0.5, 30), (1.0, 8), (f64::INFINITY, 2)])));
    assert_eq!(canary.values["faithfulness"], Moments::of(&[0.5, 1.0]).expect("finite"));
    assert_eq!(canary.values["accuracy"], Moments { n: 10, mean: 0.9, sd: 0.3 });
    assert_eq!(canary.costs["tokens"], Moments::of(&[10f64.ln(), 100f64.ln(), 1000f64.ln()]).expect("finite"));
    assert_eq!((found.stable.requests, found.stable.latency.map(|b| b.n())), (None, Some(2)));
    assert_eq!((found.pairs["accuracy"].n, found.cursor.as_deref()), (3, Some("7")));
}

#[test]
fn the_program_is_told_what_is_asked() {
    let script = "printf '{\"schema\":\"kf.counted/1\",\"cursor\":\"%s\"}' \
        \"$KF_MODEL|${KF_STABLE-none}|$KF_CANARY|$KF_FROM|$KF_TO|${KF_CURSOR-first}\"";
    let told = |cursor| read(script, cursor).expect("counted").cursor.expect("a cursor");
    assert_eq!(told(None), "bot|none|1.1.0|2026-11-21T08:00:00Z|2026-11-21T08:01:00.500000Z|first");
    assert!(told(Some("41")).ends_with("|41"));
}

#[test]
fn what_is_no_count_is_refused_in_words() {
    let with = |key: &str, value: Value| {
        let mut canary = arm();
        canary[key] = value;
        printed(&json!({"schema": SCHEMA, "canary": canary}))
    };
    for (found, why) in [
        (read("echo no; exit 3", None), "ended with exit status 3"),
        (read("echo oops >&2; exit 1", None), "oops"),
        (read("echo hello", None), "expected value"),
        (read("true", None), "EOF while parsing"),
        (printed(&json!({"schema": "kf.counted/2"})), "its `schema` is not `kf.counted/1`"),
        (printed(&json!({"schema": SCHEMA, "cannary": {}})), "unknown field `cannary`"),
        (with("requets", json!(1)), "unknown field `requets`"),
        (with("requests", json!(-1)), "invalid value"),
        (with("requests", json!(1.5)), "invalid type"),
        (with("seconds", json!([1.0])), "two ways to say the same"),
        (with("costs", json!({"tokens": [-1]})), "canary: the costs of `tokens`"),
        (with("scores", json!({"faithfulness": ["high"]})), "did not match any variant"),
    ] {
        let said = found.expect_err(why).chain().join(": ");
        assert!(said.starts_with("the program `sh` ") && said.contains(why), "{why}: {said}");
    }
}

#[test]
fn a_program_that_hangs_is_ended() {
    let source = Source::new(&["sleep".into(), "60".into()], &std::env::temp_dir(), Duration::from_millis(50), Ranges::new());
    let (model, time) = ("bot".parse().expect("a name"), "2026-11-21T08:00:00Z".parse().expect("a time"));
    let canary = "1.1.0".parse().expect("a version");
    let ask = Ask { model: &model, stable: None, canary, from: time, to: time, cursor: None };
    let said = source.expect("a command").read(&ask).expect_err("too long").chain().join(": ");
    assert!(said.contains("`sleep`") && said.contains("cannot count"), "{said}");
}
