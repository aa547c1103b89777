//! Sources of metrics: a real Prometheus server, and the document of programs against its published schema.

use crate::schemas::{complaints, validator};
use crate::support::prometheus::Server;
use crate::support::skip;
use kf::adapters::source::{Ranges, Surroundings, open};
use kf::base::error::Error;
use kf::base::name::Name;
use kf::base::random::Random;
use kf::base::time::Timestamp;
use kf::config::{Counter, LatencyUnit, Prometheus, Queries, ScoreQueries};
use kf::domain::rollout::measure::{self, Frozen};
use kf::domain::rollout::policy::Policy;
use kf::domain::rollout::window::Figure;
use kf::seams::metrics::{Ask, Buckets, MetricSource, Reading};
use kf::stats::describe::Counts;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

/// Eight in the morning, in seconds since 1970.
const EIGHT: i64 = 1_795_248_000;

/// What a server scraped every 15 seconds for ten minutes: of stable 30 requests each time, one in ten of them failed, of the
/// canary 10, none of them failed, and its counters began anew after five minutes.
fn scraped() -> String {
    let mut text = String::new();
    let each = |text: &mut String, kind: &str, name: &str, line: &dyn Fn(&mut String, i64, i64, &str, i64)| {
        writeln!(text, "# TYPE {name} {kind}").expect("text");
        for (version, by) in [("1.0.0", 30), ("1.1.0", 10)] {
            for scrape in 0..=40_i64 {
                let begun = if version == "1.1.0" && scrape > 20 { 21 } else { 0 };
                line(text, EIGHT + 15 * scrape, (scrape - begun) * by, version, by);
            }
        }
    };
    each(&mut text, "counter", "requests", &|text, at, n, version, _| {
        for (pod, n) in [("a", n / 2), ("b", n - n / 2)] {
            writeln!(text, "requests_total{{version=\"{version}\",pod=\"{pod}\"}} {n} {at}").expect("text");
        }
    });
    each(&mut text, "counter", "failed", &|text, at, n, version, by| {
        if by == 30 {
            writeln!(text, "failed_total{{version=\"{version}\"}} {} {at}", n / 10).expect("text");
        }
    });
    each(&mut text, "histogram", "seconds", &|text, at, n, version, _| {
        for (le, part) in [("0.5", 0.6), ("1.0", 0.9), ("+Inf", 1.0)] {
            writeln!(text, "seconds_bucket{{version=\"{version}\",le=\"{le}\"}} {} {at}", n as f64 * part).expect("text");
        }
        writeln!(text, "seconds_count{{version=\"{version}\"}} {n} {at}").expect("text");
        writeln!(text, "seconds_sum{{version=\"{version}\"}} {n} {at}").expect("text");
    });
    each(&mut text, "counter", "faith", &|text, at, n, version, _| {
        writeln!(text, "faith_total{{version=\"{version}\"}} {} {at}", n as f64 * 0.75).expect("text");
    });
    text + "# EOF\n"
}

fn source(queries: Queries) -> Box<dyn MetricSource> {
    let secret = &|_: &_| Err(Error::new("no secret"));
    let around = Surroundings { dir: Path::new("."), secret, random: Random::seeded(7), ranges: Ranges::new() };
    open(&Counter::Prometheus(queries), around).expect("a source").expect("not the target")
}

fn read(queries: &Queries, (from, to): (i64, i64)) -> Result<Reading, Error> {
    let model: Name = "bot".parse().expect("a name");
    let at = |second: i64| Timestamp::from_micros((EIGHT + second) * 1_000_000);
    let version = |text: &str| text.parse().expect("a version");
    let (stable, canary) = (Some(version("1.0.0")), version("1.1.0"));
    source(queries.clone()).read(&Ask { model: &model, stable, canary, from: at(from), to: at(to), cursor: None })
}

fn queries(url: &str) -> Queries {
    let sum = |name: &str| format!("sum(increase({name}_total{{version=\"{{version}}\"}}[{{window}}]))");
    Queries {
        server: Prometheus { url: url.to_owned(), token: None, timeout: Duration::from_secs(10) },
        requests: sum("requests"),
        errors: Some(format!("{} or vector(0)", sum("failed"))),
        latency: Some("sum by (le) (increase(seconds_bucket{version=\"{version}\"}[{window}]))".into()),
        unit: LatencyUnit::Seconds,
        scores: vec![ScoreQueries { metric: "faithfulness".parse().expect("a name"), sum: sum("faith"), count: sum("requests") }],
    }
}

#[test]
fn a_real_prometheus_counts_windows() {
    let server = match Server::with(&scraped()) {
        Ok(server) => server,
        Err(why) => return skip(&why),
    };
    let queries = queries(&server.url());
    // The third minute; and the one in which the canary was started anew.
    let found = read(&queries, (120, 180)).expect("counted");
    assert_eq!((found.stable.requests, found.stable.errors), (Some(120), Some(12)));
    assert_eq!((found.canary.requests, found.canary.errors), (Some(40), Some(0)));
    assert_eq!(found.stable.latency, Some(Buckets::dense([(0.5, 72), (1.0, 36), (f64::INFINITY, 12)])));
    let faithfulness = found.canary.values["faithfulness"];
    assert_eq!((faithfulness.n, faithfulness.mean), (40, 0.75));
    let anew = read(&queries, (270, 330)).expect("counted").canary;
    assert_eq!((anew.requests, anew.latency.map(|b| b.n())), (Some(30), Some(30)));
    let frozen = Frozen::of(&Default::default()).expect("nothing");
    let window = measure::window(&found, &frozen.marks(&Policy::default(), &[]), &Policy::default(), 0, 0.25)
        .expect("figures that can be")
        .window;
    let counts = |hits, n| Counts { hits, n };
    assert_eq!(window.figures["slow"], Figure::Counts { stable: counts(12, 120), canary: counts(4, 40) });
    assert_eq!(window.figures["errors"], Figure::Counts { stable: counts(12, 120), canary: counts(0, 40) });

    // Asked where a reading begins, it counts nothing.
    assert_eq!(read(&queries, (120, 120)).expect("no time"), Reading::default());
    // Where nothing was scraped nothing was counted, which is not zero.
    let later = read(&Queries { errors: None, ..queries.clone() }, (7200, 7260)).expect("no series");
    assert_eq!(later, Reading::default());
    let with = |requests: &str| read(&Queries { requests: requests.into(), ..queries.clone() }, (120, 180));
    for (query, why) in [
        ("sum(", "unclosed left parenthesis"),
        ("increase(requests_total{version=\"{version}\"}[{window}])", "`requests` of stable is 2 series, not one number"),
        ("requests_total{version=\"{version}\"}[{window}]", "the query gives a matrix"),
        ("vector(0) / vector(0)", "`requests` of stable: {} is `NaN`"),
        ("vector(-3)", "`requests` of stable is -3, which is no count"),
    ] {
        let said = with(query).expect_err(why).chain().join(": ");
        assert!(said.contains(why), "{why}: {said}");
    }
}

#[test]
fn a_server_that_is_away_is_told() {
    let queries = queries(&format!("http://127.0.0.1:{}", crate::support::free_port()));
    let said = read(&queries, (0, 60)).expect_err("no server").chain().join(": ");
    assert!(said.starts_with("cannot ask Prometheus at http://127.0.0.1:"), "{said}");
}

/// What the page shows, with everything that a document may have.
fn document() -> Value {
    let arm = json!({
        "requests": 270, "errors": 3,
        "latency": [{"most": 0.5, "n": 250}, {"most": 1, "n": 15}, {"n": 5}],
        "counts": {"refusals": {"hits": 2, "n": 270}},
        "scores": {"faithfulness": [0.9, 1], "accuracy": {"n": 40, "mean": 0.93, "sd": 0.26}},
        "costs": {"tokens": [812, 440]},
    });
    let canary = json!({"requests": 30, "errors": 0, "seconds": [0.21, 0.4]});
    json!({"schema": "kf.counted/1", "stable": arm, "canary": canary, "pairs": {"accuracy": [0, 1, 0]}, "cursor": "line 300"})
}

#[test]
fn the_document_of_a_program_fits_its_schema_and_is_taken() {
    let printed = |document: &Value| {
        let argv = ["sh".into(), "-c".into(), format!("cat <<'END'\n{document}\nEND")];
        let counter = Counter::Command { argv: argv.into(), timeout: Duration::from_secs(10) };
        let secret = &|_: &_| Err(Error::new("no secret"));
        let around = Surroundings { dir: Path::new("."), secret, random: Random::seeded(7), ranges: Ranges::new() };
        let source = open(&counter, around).expect("a source").expect("not the target");
        let (model, at) = ("bot".parse().expect("a name"), Timestamp::from_micros(0));
        source.read(&Ask {
            model: &model,
            stable: None,
            canary: "1.1.0".parse().expect("a version"),
            from: at,
            to: at,
            cursor: None,
        })
    };
    let good = [document(), json!({"schema": "kf.counted/1"})];
    let mut bad = vec![json!({"schema": "kf.counted/2"}), json!({"schema": "kf.counted/1", "cannary": {}})];
    for (key, value) in
        [("requests", json!(-1)), ("requets", json!(1)), ("seconds", json!([-1])), ("latency", json!([{"most": 1}]))]
    {
        bad.push(json!({"schema": "kf.counted/1", "canary": {key: value}}));
    }
    assert!(good.iter().all(|d| printed(d).is_ok()) && bad.iter().all(|d| printed(d).is_err()));
    let Some(validator) = validator() else { return skip("jsonschema is not installed") };
    assert_eq!(complaints(&validator, "counted", &good), "");
    for document in bad {
        assert_ne!(complaints(&validator, "counted", std::slice::from_ref(&document)), "", "{document}");
    }
}
