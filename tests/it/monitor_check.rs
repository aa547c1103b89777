//! `kf monitor record`, `check`, `status` and `report`: metrics in, episodes out.

use crate::repo::{ends, events, json, ok, on_both, refused};
use crate::story;
use crate::support::receiver::Receiver;
use crate::support::sandbox::Sandbox;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::routing::get;
use insta::assert_snapshot;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

const HOUR: i64 = 3_600_000_000;

/// A line of a file of samples.
fn line(name: &str, at: i64, value: f64) -> String {
    format!("{{\"name\": \"{name}\", \"value\": {value}, \"at\": {}}}\n", at / 1_000_000)
}

/// So many hours of a metric that varies a little, the last one an hour before the next run.
fn hours(s: &Sandbox, name: &str, hours: i64) -> String {
    let now = s.next_start();
    (1..=hours).rev().map(|back| line(name, now - back * HOUR, 100.0 + (back * 7 % 5) as f64)).collect()
}

fn told(s: &Sandbox, action: &str) -> usize {
    let log = ok(s, ["audit", "log", "--action", action, "--format", "jsonl", "--limit", "500"]);
    log.stdout.lines().filter(|l| l.contains("\"action\"")).count()
}

/// Passes over the runs of so many hours.
fn sleep(s: &Sandbox, hours: i64) {
    s.skip_runs(hours * 60);
}

#[test]
fn an_alarm_is_an_episode_that_is_told_once_and_ends() {
    on_both(|s| {
        s.repository("[monitor.metrics.latency]\nfresh = \"90m\"\n");
        let unknown = ends(s, 4, ["monitor", "check"]);
        assert!(
            unknown.stdout.contains("nothing was recorded") && unknown.stdout.contains("of 1 nothing can be said"),
            "{unknown}"
        );

        s.write("week.jsonl", hours(s, "latency", 168));
        ok(s, ["monitor", "record", "--data", "week.jsonl"]);
        ok(s, ["monitor", "record", "latency=102"]);
        let quiet = events(s);
        assert!(ok(s, ["monitor", "check"]).stdout.contains("no episode is open"));
        assert_eq!(events(s), quiet, "a quiet check leaves no trace");

        sleep(s, 1);
        ok(s, ["monitor", "record", "latency=250"]);
        let new = ends(s, 3, ["monitor", "check"]);
        assert!(new.stdout.contains("(new)") && new.stdout.contains("find out what changed then"), "{new}");
        let again = ends(s, 3, ["monitor", "check"]);
        assert!(!again.stdout.contains("(new)") && again.stdout.contains("1 episode open"), "{again}");
        assert_eq!(told(s, "monitor.episode-opened"), 1);
        let figures = ok(s, ["monitor", "metrics"]).stdout;
        let open = "kf_monitor_episodes{metric=\"latency\",kind=\"anomaly\",severity=\"high\"} 1\n";
        assert!(figures.contains(open), "{figures}");

        // One usual value is not enough to call it over, two in a row are.
        sleep(s, 1);
        ok(s, ["monitor", "record", "latency=101"]);
        ends(s, 3, ["monitor", "check"]);
        sleep(s, 1);
        ok(s, ["monitor", "record", "latency=103"]);
        let over = ok(s, ["monitor", "check"]);
        assert!(over.stdout.contains("(over)") && over.stdout.contains("no episode is open, 1 over"), "{over}");
        assert_eq!((told(s, "monitor.episode-opened"), told(s, "monitor.episode-closed")), (1, 1));

        sleep(s, 2);
        let stale = ends(s, 4, ["monitor", "check"]);
        assert!(stale.stdout.contains("the newest sample is 2 h old; `fresh` allows 90 min"), "{stale}");
        ok(s, ["fsck"]);
    });
}

#[test]
fn people_are_told_that_it_began_and_that_it_is_over() {
    on_both(|s| {
        let receiver = Receiver::start();
        s.set("SLACK", &receiver.url("/slack"));
        s.repository("[monitor]\nalerts = [\"team\"]\n[alerts.team]\nkind = \"slack\"\nurl = \"env:SLACK\"\n");
        s.write("week.jsonl", hours(s, "latency", 168));
        ok(s, ["monitor", "record", "--data", "week.jsonl"]);
        ok(s, ["monitor", "record", "latency=250"]);
        ends(s, 3, ["monitor", "check", "--dry-run"]);
        assert_eq!(receiver.requests(), 0);
        for _ in 0..2 {
            ends(s, 3, ["monitor", "check"]);
            assert_eq!(receiver.requests(), 1, "{:?}", receiver.refused());
        }
        for value in ["latency=101", "latency=102"] {
            sleep(s, 1);
            ok(s, ["monitor", "record", value]);
        }
        ok(s, ["monitor", "check"]);
        let said: Vec<String> = receiver.heard().iter().map(|heard| heard.text.clone()).collect();
        assert_eq!((said.len(), receiver.requests()), (2, 2), "{said:?}");
        assert!(said[0].contains("latency is high: 250") && said[0].contains("farthest 250"), "{said:?}");
        assert!(said[1].contains("latency is usual again: 102"), "{said:?}");
        ok(s, ["fsck"]);
    });
}

/// What nobody watches any more would be open for ever, and those who were told would wait for its end.
#[test]
fn what_is_not_watched_any_more_is_over() {
    on_both(|s| {
        let receiver = Receiver::start();
        s.set("SLACK", &receiver.url("/slack"));
        let alerts = "[monitor]\nalerts = [\"team\"]\n[alerts.team]\nkind = \"slack\"\nurl = \"env:SLACK\"\n";
        s.repository(&format!("{alerts}[monitor.metrics.latency]\n[monitor.metrics.queue]\n"));
        s.write("week.jsonl", hours(s, "latency", 168) + &hours(s, "queue", 168));
        ok(s, ["monitor", "record", "--data", "week.jsonl"]);
        ok(s, ["monitor", "record", "latency=250", "queue=101"]);
        ends(s, 3, ["monitor", "check"]);
        s.write("mlops.toml", s.read("mlops.toml").replace("[monitor.metrics.latency]\n", ""));
        ok(s, ["monitor", "check", "queue"]);
        assert_eq!(receiver.requests(), 1, "only what is named is looked at");
        let over = ok(s, ["monitor", "check"]);
        assert!(over.stdout.contains("(over)") && over.stdout.contains("no episode is open, 1 over"), "{over}");
        assert!(receiver.heard()[1].text.contains("latency is not watched any more"), "{:?}", receiver.heard());
        let quiet = events(s);
        ok(s, ["monitor", "check"]);
        assert_eq!((events(s), told(s, "monitor.episode-closed"), receiver.requests()), (quiet, 1, 2));
        assert!(!ok(s, ["monitor", "metrics"]).stdout.contains("kf_monitor_episodes{"));
        ok(s, ["fsck"]);
    });
}

/// While nothing can be recorded, one message of a channel is sent and not all of them, so that few come twice.
#[test]
fn a_message_waits_until_the_one_before_it_is_recorded() {
    on_both(|s| {
        let receiver = Receiver::start();
        s.repository("[monitor]\nalerts = [\"system\"]\n[alerts.system]\nurl = \"env:HOOK\"\n");
        s.write("week.jsonl", ["a", "b", "c"].map(|name| hours(s, name, 168)).concat());
        ok(s, ["monitor", "record", "--data", "week.jsonl"]);
        ok(s, ["monitor", "record", "a=250", "b=250", "c=250"]);
        assert!(ends(s, 3, ["monitor", "check"]).stderr.contains("the secret `env:HOOK` is not set"));
        s.set("HOOK", &receiver.url("/hook"));
        s.set("KF_LOCK_TIMEOUT", "1s");
        let store = story::open(s);
        let held: kf::base::error::Result<()> = store.write(|_| {
            ends(s, 11, ["alert", "send", "--all"]);
            Err(kf::base::error::Error::new("nothing is to change"))
        });
        assert!(held.is_err() && receiver.heard().len() == 1, "{:?}", receiver.heard());
        ok(s, ["alert", "send", "--all"]);
        assert_eq!(receiver.heard().len(), 4);
        ok(s, ["fsck"]);
    });
}

#[test]
fn a_table_tells_what_is_usual_and_what_to_do() {
    let s = Sandbox::new();
    s.repository(
        "[monitor]\nfail-on = \"high\"\n[monitor.metrics.latency]\nlimit = \"response-time\"\n\
         [monitor.metrics.success]\nmethod = \"none\"\nlimit = \"success-rate\"\n\
         [monitor.metrics.memory]\nmethod = \"none\"\nlimit = \"resource\"\nscale = 16\n[monitor.metrics.queue]\n",
    );
    let now = s.next_start();
    let mut lines = hours(&s, "latency", 200);
    for back in (1..=30).rev() {
        let sway = (back % 3) as f64;
        lines += &line("success", now - back * HOUR, 0.90 + sway * 0.01);
        lines += &line("memory", now - back * HOUR, 14.0 + sway * 0.1);
    }
    s.write("all.jsonl", lines);
    ok(&s, ["monitor", "record", "--data", "all.jsonl"]);
    let run = ends(&s, 3, ["monitor", "check"]);
    assert_snapshot!(run.stdout, @r#"
    METRIC                    NOW  USUAL         Z  STATUS   SINCE                       WHAT TO DO
    latency                   102  97.7 … 106  0.0  normal
    latency (response-time)   102  ≤ 122         -  normal
    success (success-rate)   0.91  ≥ 0.95        -  high     2026-11-21T07:01:00Z (new)  investigate what fails: 9.0 % of requests fail, limit 5.0 %
    memory (resource)        14.1  ≤ 12.8        -  medium   2026-11-21T07:01:00Z (new)  add to what there is, or use less: 88.1 % of the scale is used, limit 80.0 %
    queue                       -                -  unknown                              nothing was recorded

    5 findings: 2 episodes open, 2 new; of 1 nothing can be said
    "#);
    let status = ok(&s, ["monitor", "status"]).stdout;
    assert!(
        status.contains("zscore, response-time") && status.contains("4 metrics watched, 1 not fresh, 2 episodes open"),
        "{status}"
    );
    // Only what is as severe as that fails; what is not known is told, when nothing is worse.
    assert_eq!(ends(&s, 0, ["monitor", "check", "memory"]).code, Some(0));
    ends(&s, 3, ["monitor", "check", "memory", "--fail-on", "medium"]);
    ends(&s, 4, ["monitor", "check", "queue"]);
    let unknown = ends(&s, 2, ["monitor", "check", "latancy"]).stderr;
    assert!(unknown.contains("the metric `latancy` is not watched") && unknown.contains("did you mean `latency`?"), "{unknown}");
}

#[test]
fn all_that_was_recorded_is_watched_when_nothing_is_named() {
    on_both(|s| {
        s.repository("");
        assert!(ok(s, ["monitor", "check"]).stdout.starts_with("Nothing was recorded yet"));
        assert!(ok(s, ["monitor", "status"]).stdout.starts_with("nothing is watched"));
        ok(s, ["monitor", "record", "queue=3", "--label", "host=b", "--label", "zone=\"x\""]);
        ok(s, ["monitor", "record", "queue=4", "errors=0"]);
        let found = json(&ends(s, 4, ["monitor", "check", "--format", "json"]));
        let series: Vec<String> =
            found["metrics"].as_array().expect("metrics").iter().map(|m| format!("{} {}", m["name"], m["labels"])).collect();
        assert_eq!(series, ["\"errors\" {}", "\"queue\" {}", "\"queue\" {\"host\":\"b\",\"zone\":\"\\\"x\\\"\"}"]);
    });
}

/// To record again changes nothing, whatever the order; what is there with another value stays and is told.
#[test]
fn a_sample_is_recorded_once() {
    on_both(|s| {
        s.repository("");
        let mut lines: Vec<String> = hours(s, "latency", 400).lines().map(|l| format!("{l}\n")).collect();
        s.write("some.jsonl", lines[..300].concat());
        lines.reverse();
        s.write("all.jsonl", lines.concat() + &lines[0]);
        assert_eq!(ok(s, ["monitor", "record", "--data", "some.jsonl"]).stdout, "recorded 300 samples\n");
        assert_eq!(ok(s, ["monitor", "record", "--data", "all.jsonl"]).stdout, "recorded 100 samples, 301 there already\n");
        let before = events(s);
        assert_eq!(ok(s, ["monitor", "record", "--data", "all.jsonl"]).stdout, "recorded 0 samples, 401 there already\n");
        assert_eq!(events(s), before);
        s.write("other.jsonl", lines[0].replace("\"value\": 1", "\"value\": 9"));
        let run = ok(s, ["monitor", "record", "--data", "other.jsonl"]);
        assert_eq!(run.stdout, "recorded 0 samples, 1 there with another value, which stays\n");
        ok(s, ["fsck"]);
        assert_eq!(told(s, "monitor.recorded"), 2);
    });
}

#[test]
fn what_is_no_sample_is_refused_and_nothing_of_its_batch_recorded() {
    on_both(|s| {
        s.repository("");
        let good = line("latency", s.next_start(), 1.0);
        let far = s.next_start() + 24 * HOUR;
        for (name, text, why) in [
            (
                "nan",
                format!("{good}{{\"name\": \"latency\", \"value\": NaN}}\n"),
                "nan.jsonl, line 2, column 29: the value is no number",
            ),
            ("inf", format!("{good}{{\"name\": \"latency\", \"value\": \"-Inf\"}}\n"), "`-Inf` is no finite number"),
            ("future", line("latency", far, 2.0), "is of the future"),
        ] {
            let file = format!("{name}.jsonl");
            s.write(&file, text);
            let run = refused(s, 1, ["monitor", "record", "--data", &file]);
            assert!(run.stderr.contains(why), "{run}");
        }
        assert!(refused(s, 2, ["monitor", "record", "latency=nan"]).stderr.contains("column 9: `nan` is no finite number"));
        assert!(refused(s, 2, ["monitor", "record"]).stderr.contains("has no `[monitor.metrics.NAME]` with a `query`"));
        assert!(refused(s, 1, ["monitor", "record", "--data", "missing.jsonl"]).stderr.contains("cannot open missing.jsonl"));
    });
}

/// Samples go with the batch they came in, once all of it is too old; the log still agrees with what is left.
#[test]
fn samples_that_are_too_old_go() {
    on_both(|s| {
        s.repository("[monitor]\nkeep = \"8d\"\n");
        s.write("old.jsonl", hours(s, "latency", 300) + &hours(s, "gone", 10));
        let run = ok(s, ["monitor", "record", "--data", "old.jsonl"]);
        assert_eq!(run.stdout, "recorded 201 samples, 109 older than what is kept\n");
        sleep(s, 24);
        assert_eq!(ok(s, ["monitor", "record", "latency=101"]).stdout, "recorded 1 sample\n");
        sleep(s, 8 * 24);
        let run = ok(s, ["monitor", "record", "latency=102"]);
        assert_eq!(run.stdout, "recorded 1 sample, 202 given up for their age\n");
        ok(s, ["fsck"]);
        let status = json(&ok(s, ["monitor", "status", "--format", "json"]));
        assert_eq!(status["metrics"].as_array().map(Vec::len), Some(1), "a series without samples goes too: {status}");
        let store = story::open(s);
        assert!(story::alter(s, &store, "UPDATE monitor_sample SET value = 55 WHERE value = 102") > 0);
        let found = ends(s, 3, ["fsck"]);
        assert!(found.stdout.contains("they are not those that the audit log tells of"), "{found}");
    });
}

/// What a Prometheus server was asked: the query and the token.
pub(crate) type Heard = Arc<Mutex<Vec<(String, String)>>>;

/// A fake of Prometheus, from the documentation of its HTTP API: it knows a few queries by their text.
async fn answer(
    State(heard): State<Heard>,
    uri: Uri,
    headers: HeaderMap,
) -> (StatusCode, [(header::HeaderName, &'static str); 1], String) {
    let query = uri.query().and_then(|q| url::form_urlencoded::parse(q.as_bytes()).find(|(k, _)| k == "query"));
    let query = query.map(|(_, v)| v.into_owned()).unwrap_or_default();
    let token = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    heard.lock().expect("unshared").push((query.clone(), token));
    let vector =
        |result: &str| format!("{{\"status\":\"success\",\"data\":{{\"resultType\":\"vector\",\"result\":[{result}]}}}}");
    let (status, body) = match query.as_str() {
        "max by (host) (latency_seconds)" => {
            let at = "1795247990.5";
            let one = |host: &str, value: &str| format!("{{\"metric\":{{\"host\":\"{host}\"}},\"value\":[{at},\"{value}\"]}}");
            (StatusCode::OK, vector(&[one("a", "0.25"), one("b", "NaN"), one("c", "1e-3")].join(",")))
        }
        "scalar(up)" => {
            (StatusCode::OK, "{\"status\":\"success\",\"data\":{\"resultType\":\"scalar\",\"result\":[1795247990,\"1\"]}}".to_owned())
        }
        "absent_metric" => (StatusCode::OK, vector("")),
        _ => (
            StatusCode::BAD_REQUEST,
            "{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"invalid parameter \\\"query\\\": unexpected end of input\"}".to_owned(),
        ),
    };
    (status, [(header::CONTENT_TYPE, "application/json")], body)
}

/// Starts it below `/prom/`; keeps what it is asked, with the tokens.
pub(crate) fn prometheus() -> (std::net::SocketAddr, Heard) {
    let heard = Heard::default();
    let app = axum::Router::new().route("/prom/api/v1/query", get(answer)).with_state(Arc::clone(&heard));
    (crate::support::serve(app), heard)
}

#[test]
fn values_come_from_prometheus() {
    on_both(|s| {
        let (address, heard) = prometheus();
        s.set("PROM_TOKEN", "hunter2-hunter2");
        let metrics = "[monitor.metrics.latency]\nquery = \"max by (host) (latency_seconds)\"\n\
             [monitor.metrics.up]\nquery = \"scalar(up)\"\n[monitor.metrics.silent]\nquery = \"absent_metric\"\n";
        let server = format!("[monitor.prometheus]\nurl = \"http://{address}/prom/\"\ntoken = \"env:PROM_TOKEN\"\n");
        s.repository(&format!("{server}{metrics}"));
        let run = ok(s, ["monitor", "record"]);
        assert_eq!(run.stdout, "recorded 3 samples\n");
        assert!(run.stderr.contains("warning: latency: {host=b} is `NaN`, which is no finite number"), "{run}");
        let asked = heard.lock().expect("unshared").clone();
        assert_eq!(asked[1], ("scalar(up)".to_owned(), "Bearer hunter2-hunter2".to_owned()));
        let status = json(&ok(s, ["monitor", "status", "--format", "json"]));
        let newest: Vec<String> =
            status["metrics"].as_array().expect("metrics").iter().map(|m| m["newest"].to_string()).collect();
        assert!(
            newest.contains(&"\"2026-11-21T07:59:50.500000Z\"".to_owned()) && newest.contains(&"null".to_owned()),
            "{status}"
        );
        // The same moment again is no new sample.
        assert_eq!(ok(s, ["monitor", "record"]).stdout, "recorded 0 samples, 3 there already\n");

        let config = s.read("mlops.toml");
        s.write("mlops.toml", config.replace("absent_metric", "sum("));
        let run = ends(s, 5, ["monitor", "record", "queue=3", "--prometheus"]);
        assert!(run.stdout.contains("recorded 1 sample") && run.stderr.contains("bad_data"), "{run}");
        s.write(
            "mlops.toml",
            config.replace("max by (host) (latency_seconds)", "x").replace("scalar(up)", "y").replace("absent_metric", "z"),
        );
        let run = refused(s, 1, ["monitor", "record"]);
        assert!(run.stderr.contains("no query could be answered") && !run.stderr.contains("hunter2"), "{run}");
    });
}

#[test]
fn a_day_is_reported() {
    on_both(|s| {
        story::tell(s);
        story::drift(s);
        story::monitor(s);
        let report = ["monitor", "report", "--daily", "--report", "html=day.html", "--report", "markdown=day.md"];
        let run = ok(s, report);
        for told in [
            "version.promoted",
            "evaluation.recorded",
            "drift.checked",
            "critical",
            "Overdue",
            "latency{host=\"a\"}",
            "to production",
        ] {
            assert!(run.stdout.contains(told), "{told}: {run}");
        }
        assert!(run.stdout.contains("2 episodes (1 open)"), "{run}");
        assert!(s.read("day.md").starts_with("## shop: 2026-11-21\n"));
        assert!(s.read("day.html").contains("<h2>Episodes</h2>"));
        let empty = ok(s, ["monitor", "report", "--daily", "--date", "2026-11-01"]);
        assert!(empty.stdout.contains("2026-11-01: 0 release events"), "{empty}");
        assert!(refused(s, 2, ["monitor", "report", "--daily", "--date", "2026-12-24"]).stderr.contains("has not begun"));
        assert!(refused(s, 2, ["monitor", "report"]).stderr.contains("--daily"));
    });
}

#[test]
fn what_cannot_be_watched_is_refused_where_it_stands() {
    let s = Sandbox::new();
    s.repository("");
    let config = "[monitor]\nkeep = \"3d\"\n[monitor.metrics.a]\nquery = \"up\"\nwindow = \"5m\"\n\
         [monitor.metrics.b]\nlimit = \"resource\"\n[monitor.metrics.c]\nmethod = \"none\"\nscale = 3\n\
         [monitor.metrics.d]\nlimit = \"success-rate\"\nlimit-at = 95\nmethod = \"zscor\"\n[monitor.prometheus]\ntoken = \"hunter2\"\n";
    s.write("mlops.toml", s.read("mlops.toml") + config);
    let said = ends(&s, 2, ["config", "check"]).stderr;
    let mut titles = String::new();
    said.lines().filter(|l| l.starts_with("error: ")).for_each(|l| writeln!(titles, "{l}").expect("a string"));
    assert_snapshot!(titles, @r#"
    error: `monitor.keep` must be at least `8d`: a value is held against the week before it
    error: `monitor.metrics.a` has a query, and there is no server to ask
    error: `monitor.metrics.a.window` must be from an hour to a week
    error: `monitor.metrics.b.limit = "resource"` needs `scale`
    error: `monitor.metrics.c` has neither a method nor a limit, so nothing would be watched
    error: `monitor.metrics.c.scale` says nothing without `limit`
    error: `monitor.metrics.d.limit-at` must be a share
    error: `zscor` is not a method
    error: `monitor.prometheus.token` must be a reference to a secret, not the secret itself
    "#);
}

/// Many samples are taken as a stream, in batches of which each has its event.
#[test]
fn many_samples_are_recorded_in_batches() {
    let s = Sandbox::new();
    s.repository("");
    let now = s.next_start() / 1_000_000;
    let all: String =
        (0..200_001).map(|i| format!("{{\"name\":\"n\",\"value\":{},\"at\":{}}}\n", i % 97, now - 300_000 + i)).collect();
    s.write("many.jsonl", all);
    assert_eq!(ok(&s, ["monitor", "record", "--data", "many.jsonl"]).stdout, "recorded 200,001 samples\n");
    assert_eq!(told(&s, "monitor.recorded"), 2);
    ok(&s, ["fsck"]);
}
