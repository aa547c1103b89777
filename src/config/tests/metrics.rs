//! Who counts what two versions did.

use super::NAMED;
use crate::config::Vocabulary;
use crate::config::check::Checker;
use crate::config::diag::{Diags, Source};
use crate::config::schema::Raw;
use crate::config::shape::{Layer, Walk, walk_table};
use crate::config::tables::metrics::RawMetrics;
use crate::config::{Counter, LatencyUnit, Metrics, Prometheus, SecretRef};
use std::time::Duration;
use toml::de::DeTable;

/// What a table means that stands in `[rollout.bot.source]`, or the titles of the problems.
fn checked(text: &str, whole: &str) -> Result<Metrics, String> {
    let whole = format!("{NAMED}{whole}");
    let mut diags = Diags::new("mlops.toml", text);
    let (mut raw, mut metrics) = (Raw::default(), RawMetrics::default());
    let mut walk = Walk { diags: &mut diags, layer: Layer::File, source: Source::File, path: Vec::new() };
    walk_table(&mut raw, DeTable::parse(&whole).expect("TOML").get_ref(), &[], &mut walk);
    walk.path.push("rollout.bot.source".into());
    walk_table(&mut metrics, DeTable::parse(text).expect("TOML").get_ref(), &[], &mut walk);
    let found = metrics.checked("rollout.bot.source", &mut Checker::new(&raw, &Vocabulary::default(), &mut diags));
    diags.finish().map(|()| found.expect("a source")).map_err(|e| e.to_string())
}

#[test]
fn each_kind_says_what_it_needs() {
    assert_eq!(checked("", "").expect("a source"), Metrics { counter: Counter::Target, evaluations: false });
    let counter = Counter::Command { argv: vec!["python3".into(), "count.py".into()], timeout: Duration::from_secs(3) };
    let text = "kind = \"command\"\ncommand = [\"python3\", \"count.py\"]\ntimeout = \"3s\"\nevaluations = true\n";
    assert_eq!(checked(text, "").expect("a source"), Metrics { counter, evaluations: true });
    let file = checked("kind = \"file\"\npath = \"/var/log/bot.jsonl\"\n", "").expect("a source");
    assert_eq!(file.counter, Counter::File("/var/log/bot.jsonl".into()));
}

const QUERIES: &str = "kind = \"prometheus\"\nrequests = 'a{version=\"{version}\"}[{window}]'\nlatency = '{arm} {window}'\nlatency-unit = \"ms\"\n\
     [scores.faithfulness]\nsum = 's {arm} {window}'\ncount = 'n {arm} {window}'\n";

#[test]
fn the_server_is_named_here_or_is_the_one_that_is_watched_by() {
    let watched = "[monitor.prometheus]\nurl = \"http://watched:9090\"\ntoken = \"env:TOKEN\"\ntimeout = \"4s\"\n";
    let of = |text: &str, whole: &str| match checked(text, whole).expect("a source").counter {
        Counter::Prometheus(queries) => queries,
        other => panic!("{other:?}"),
    };
    let queries = of(QUERIES, watched);
    let token = Some(SecretRef::Env("TOKEN".into()));
    let server = Prometheus { url: "http://watched:9090".into(), token, timeout: Duration::from_secs(4) };
    assert_eq!((queries.server, queries.unit, queries.errors), (server, LatencyUnit::Milliseconds, None));
    assert_eq!((queries.requests.as_str(), queries.scores.len()), ("a{version=\"{version}\"}[{window}]", 1));
    // The token of one server is not shown to another.
    let own = of(&format!("url = \"http://own:9090\"\n{QUERIES}"), watched).server;
    assert_eq!(own, Prometheus { url: "http://own:9090".into(), token: None, timeout: Duration::from_secs(10) });
}

#[test]
fn what_could_not_be_counted_is_refused() {
    for (text, why) in [
        ("kind = \"promethius\"", "promethius"),
        ("kind = \"prometheus\"\nurl = \"http://p\"", "needs `requests`"),
        ("kind = \"prometheus\"\nrequests = '{version} {window}'", "needs `url`"),
        (
            "kind = \"prometheus\"\nurl = \"http://u:hunter2@p\"\nrequests = '{version} {window}'",
            "`rollout.bot.source.url` holds a secret",
        ),
        ("kind = \"prometheus\"\nurl = \"http://p\"\nrequests = 'up {window}'", "both versions would count the same"),
        ("kind = \"prometheus\"\nurl = \"http://p\"\nrequests = 'up {version}'", "count all of the past in each window"),
        ("kind = \"command\"", "needs `command`"),
        ("kind = \"command\"\ncommand = []", "needs `command`"),
        ("kind = \"command\"\ncommand = [\"a\"]\ntimeout = \"0s\"", "must not be zero"),
        ("kind = \"file\"", "needs `path`"),
        ("path = \"a.jsonl\"", "is for a source of kind `file`, this one is `target`"),
        ("kind = \"file\"\npath = \"a\"\nurl = \"http://p\"", "is for a source of kind `prometheus`, this one is `file`"),
        ("kind = \"file\"\npaht = \"a\"", "unknown key `paht`"),
    ] {
        let said = checked(text, "").expect_err(why);
        assert!(said.contains(why) && !said.contains("hunter2"), "{why}: {said}");
    }
}
