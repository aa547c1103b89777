//! What goes wrong behind the gateway: users are served by whoever can, are told in time, and each failure is counted once.

use crate::support::wire::{Rig, Upstream, say, table, until};
use kf::gateway::settings::Settings;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// Nobody is asked whether it is ready: every endpoint is tried.
fn unasked() -> Settings {
    let mut settings = Settings::default();
    settings.health.path = None;
    settings
}

#[test]
fn nobody_there_is_a_bad_gateway_that_tells_nothing() {
    let gone = Upstream::nobody();
    let rig = Rig::new(unasked(), table(1, &[gone], &[], 0.0));
    let reply = rig.get("");
    assert_eq!((reply.status(), reply.version()), (502, "1.0.0".into()));
    assert!(!reply.text().contains("127.0.0.1") && !reply.text().contains(&gone.port().to_string()), "{}", reply.text());
    rig.counts("1.0.0", |c| (c.requests, c.errors, c.cut) == (1, 1, 0));
    let trouble = rig.gateway.counters().endpoints[0].trouble.clone().expect("the status tells it");
    assert!(trouble.contains("refused"), "{trouble}");
}

#[test]
fn another_endpoint_of_the_version_takes_what_the_first_refused() {
    let (gone, there) = (Upstream::nobody(), Upstream::start(|request, wire| say(wire, "200 OK", &request.text())));
    let mut settings = unasked();
    settings.health.strikes = 1000;
    let rig = Rig::new(settings, table(1, &[gone, there.address], &[], 0.0));
    for _ in 0..10 {
        // Nothing was sent, so a POST is as safe as a GET.
        let reply = rig.ask("POST /", "", "hello");
        assert_eq!((reply.status(), reply.text()), (200, "hello".into()));
    }
    let counted = rig.counts("1.0.0", |c| c.requests == 10);
    assert_eq!((counted.errors, counted.retries), (0, 5));
}

#[test]
fn a_request_that_may_be_repeated_is_when_a_kept_connection_breaks() {
    for (line, body, status) in
        [("GET /", "", 200), ("DELETE /", "", 200), ("POST /", "x", 502), ("PUT /", "x", 502), ("POST /", "", 502)]
    {
        let seen = Arc::new(AtomicUsize::new(0));
        let taken = Arc::clone(&seen);
        // Breaks the second request that it gets, whoever sends it, and answers all others.
        let upstream = Upstream::start(move |_, wire| taken.fetch_add(1, Ordering::SeqCst) != 1 && say(wire, "200 OK", "ok"));
        let rig = Rig::new(Settings::default(), table(1, &[upstream.address], &[], 0.0));
        assert_eq!(rig.get("").status(), 200);
        rig.counts("1.0.0", |c| c.active == 0);
        assert_eq!(rig.ask(line, "", body).status(), status, "{line} {body:?}");
        let sent = if status == 200 { 3 } else { 2 };
        assert_eq!(seen.load(Ordering::SeqCst), sent, "{line} {body:?}");
        let counted = rig.counts("1.0.0", |c| c.requests == 2);
        assert_eq!((counted.errors, counted.retries), (u64::from(status != 200), u64::from(status == 200)));
    }
}

#[test]
fn a_connection_that_was_closed_meanwhile_is_not_used() {
    let upstream = Upstream::start(|request, wire| {
        say(wire, "200 OK", &request.text());
        false
    });
    let rig = Rig::new(Settings::default(), table(1, &[upstream.address], &[], 0.0));
    for i in 0..20 {
        assert_eq!(rig.ask("POST /", "", "hello").status(), 200, "request {i}");
        until("its connection is gone", || upstream.connections.load(Ordering::SeqCst) == i + 1);
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(rig.counted("1.0.0").errors, 0);
}

#[test]
fn an_upstream_that_does_not_answer_is_a_time_out_and_is_told() {
    let told = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&told);
    let upstream = Upstream::start(move |_, wire| {
        assert!(wire.is_at_end());
        count.fetch_add(1, Ordering::SeqCst);
        false
    });
    let mut settings = Settings::default();
    settings.waits.first_byte = Duration::from_millis(300);
    let rig = Rig::new(settings, table(1, &[upstream.address], &[], 0.0));
    for body in ["", "hi"] {
        let reply = rig.ask("POST /", "", body);
        assert_eq!((reply.status(), reply.header("content-type")), (504, Some("application/problem+json".into())));
    }
    until("the upstream is told", || told.load(Ordering::SeqCst) == 2);
    let counted = rig.counts("1.0.0", |c| (c.requests, c.errors, c.aborted, c.active) == (2, 2, 0, 0));
    assert_eq!((counted.latency.iter().map(|(_, _, n)| n).sum::<u64>(), counted.retries), (2, 0), "time-outs count as slow");
}

#[test]
fn an_error_counts_though_its_client_reads_only_the_status() {
    let upstream = Upstream::start(|_, wire| {
        wire.send("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 1000\r\n\r\nhalf");
        assert!(wire.is_at_end());
        false
    });
    let rig = Rig::new(Settings::default(), table(1, &[upstream.address], &[], 0.0));
    let mut wire = rig.wire();
    wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(wire.head().expect("a head").status(), 500);
    drop(wire);
    rig.counts("1.0.0", |c| (c.requests, c.errors, c.aborted, c.active) == (1, 1, 0, 0));
}

#[test]
fn answers_that_are_none_are_bad_gateways() {
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    for (bytes, what) in [
        ("", "nothing"),
        ("hello\r\n\r\n", "no HTTP"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "two lengths"),
        ("HTTP/1.1 2000 OK\r\n\r\n", "no status"),
        (long.as_str(), "too long"),
    ] {
        let bytes = bytes.to_owned();
        let upstream = Upstream::start(move |_, wire| {
            wire.send(&bytes);
            false
        });
        let rig = Rig::new(Settings::default(), table(1, &[upstream.address], &[], 0.0));
        assert_eq!(rig.ask("POST /", "", "x").status(), 502, "{what}");
        assert_eq!(upstream.heard().len(), 1, "{what} was sent again");
        rig.counts("1.0.0", |c| (c.requests, c.errors) == (1, 1));
    }
}

#[test]
fn a_version_that_says_it_is_not_ready_gets_nothing() {
    let (stable, canary) = (Upstream::saying("old"), Upstream::saying("new"));
    canary.ready.store(false, Ordering::SeqCst);
    let mut settings = Settings::default();
    settings.health.every = Duration::from_millis(50);
    let rig = Rig::new(settings, table(1, &[stable.address], &[canary.address], 100.0));
    assert_eq!(rig.get("").text(), "old");
    let counted = rig.counted("1.1.0");
    assert_eq!((counted.diverted, counted.requests, counted.errors), (1, 0, 0));
    assert_eq!(rig.get("x-kf-version: canary\r\n").status(), 503, "who asks for it is told");
    canary.ready.store(true, Ordering::SeqCst);
    until("it gets requests", || rig.get("").text() == "new");
    // And back, after two bad answers of three.
    canary.ready.store(false, Ordering::SeqCst);
    until("it gets none", || rig.get("").text() == "old");
    let state = rig.gateway.counters().endpoints.into_iter().find(|e| e.version.minor == 1).expect("the canary's");
    assert_eq!((state.healthy, state.trouble.as_deref()), (Some(false), Some("GET /ready answered 503")));
    stable.ready.store(false, Ordering::SeqCst);
    until("nothing can answer", || rig.get("").status() == 503);
    assert_eq!(rig.get("").header("retry-after"), Some("1".into()));
}

#[test]
fn a_canary_that_is_gone_costs_its_users_nothing_and_itself_an_error() {
    let stable = Upstream::start(|request, wire| say(wire, "200 OK", &request.text()));
    let mut settings = unasked();
    settings.health.strikes = 3;
    settings.health.out = Duration::from_secs(1000);
    let rig = Rig::new(settings, table(1, &[stable.address], &[Upstream::nobody()], 100.0));
    for _ in 0..10 {
        let reply = rig.ask("POST /", "", "hello");
        assert_eq!((reply.status(), reply.text(), reply.version()), (200, "hello".into(), "1.0.0".into()));
    }
    rig.counts("1.0.0", |c| (c.requests, c.errors) == (10, 0));
    let canary = rig.counted("1.1.0");
    assert_eq!((canary.requests, canary.errors, canary.diverted), (3, 3, 10), "three strikes and it is out");
}

#[test]
fn a_stable_version_that_is_struck_out_is_still_tried() {
    let well = Arc::new(AtomicBool::new(false));
    let now = Arc::clone(&well);
    let upstream = Upstream::start(move |_, wire| now.load(Ordering::SeqCst) && say(wire, "200 OK", "back"));
    let mut settings = unasked();
    settings.health.out = Duration::from_secs(1000);
    let rig = Rig::new(settings, table(1, &[upstream.address], &[], 0.0));
    (0..5).for_each(|i| assert_eq!(rig.ask("POST /", "", "x").status(), 502, "{i}"));
    well.store(true, Ordering::SeqCst);
    assert_eq!(rig.get("").text(), "back");
    assert_eq!(rig.gateway.counters().endpoints[0].healthy, Some(true));
}

#[test]
fn the_fuse_takes_a_failing_canary_out_until_the_next_table() {
    let stable = Upstream::saying("old");
    let canary = Upstream::start(|_, wire| say(wire, "500 Oops", "new"));
    let rig = Rig::new(Settings::default(), table(1, &[stable.address], &[canary.address], 100.0));
    (0..20).for_each(|_| assert_eq!(rig.get("").status(), 500));
    rig.counts("1.1.0", |c| c.errors == 20 && c.active == 0);
    assert_eq!(rig.get("").text(), "old");
    let blown = rig.gateway.counters().fuse.expect("it blew");
    assert_eq!(blown.why, "20 of 20 requests of the canary failed within 10 s");
    assert!(rig.gateway.metrics_text().contains("kf_gateway_fuse_blown{model=\"bot\"} 1"));
    assert!(rig.gateway.metrics_text().contains("kf_gateway_weight_ratio{model=\"bot\",version=\"1.1.0\"} 0"));
    assert_eq!((rig.gateway.table().weight.percent(), rig.counted("1.0.0").errors), (100.0, 0));
    assert_eq!(rig.get("x-kf-version: canary\r\n").status(), 500, "who asks for it gets it");
    rig.gateway.replace(table(2, &[stable.address], &[canary.address], 100.0)).expect("newer");
    assert_eq!(rig.gateway.counters().fuse, None);
    assert_eq!(rig.get("").status(), 500);
}

#[test]
fn a_stable_version_that_fails_blows_no_fuse() {
    let stable = Upstream::start(|_, wire| say(wire, "500 Oops", "old"));
    let canary = Upstream::saying("new");
    let rig = Rig::new(Settings::default(), table(1, &[stable.address], &[canary.address], 0.0));
    (0..30).for_each(|_| assert_eq!(rig.get("").status(), 500));
    rig.counts("1.0.0", |c| c.errors == 30);
    assert_eq!(rig.gateway.counters().fuse, None);
}

/// What has broken for both is not the canary's fault, and its users would not be better off.
#[test]
fn while_both_versions_fail_the_fuse_stays() {
    let well = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&well);
    let stable = Upstream::start(move |_, wire| {
        let status = if seen.load(Ordering::Relaxed) { "200 OK" } else { "500 Oops" };
        say(wire, status, "old")
    });
    let canary = Upstream::start(|_, wire| say(wire, "500 Oops", "new"));
    let rig = Rig::new(Settings::default(), table(1, &[stable.address], &[canary.address], 50.0));
    let ask = |version: &str, n: usize| (0..n).for_each(|_| drop(rig.get(&format!("x-kf-version: {version}\r\n"))));
    ask("stable", 10);
    ask("canary", 30);
    rig.counts("1.1.0", |c| c.errors == 30);
    assert_eq!(rig.gateway.counters().fuse, None);
    well.store(true, Ordering::Relaxed);
    ask("stable", 11);
    rig.counts("1.0.0", |c| c.requests == 21);
    ask("canary", 1);
    until("the fuse blows", || rig.gateway.counters().fuse.is_some());
}

#[test]
fn an_answer_of_4xx_is_no_error_of_the_version() {
    let upstream = Upstream::start(|_, wire| say(wire, "404 Not Found", "no"));
    let rig = Rig::new(Settings::default(), table(1, &[upstream.address], &[], 0.0));
    assert_eq!(rig.get("").status(), 404);
    rig.counts("1.0.0", |c| (c.requests, c.errors) == (1, 0));
}
