//! The gateway gives each request to the version that it is for, and a new table at any time.

use crate::support::wire::{Rig, Upstream, table, until};
use kf::base::weight::Weight;
use kf::gateway::NotTaken;
use kf::gateway::settings::{Policy, Settings};
use kf::gateway::table::{Counters, Table};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

fn rig(percent: f64) -> (Rig, Upstream, Upstream) {
    let (stable, canary) = (Upstream::saying("old"), Upstream::saying("new"));
    let mut settings = Settings::default();
    settings.names.sticky_header = Some("x-user".into());
    settings.names.tenant_header = Some("x-tenant".into());
    settings.tenants = [("calm".to_owned(), Policy::StableOnly), ("keen".to_owned(), Policy::Canary)].into();
    let rig = Rig::new(settings, table(1, &[stable.address], &[canary.address], percent));
    (rig, stable, canary)
}

#[test]
fn answers_say_who_gave_them_and_come_from_there() {
    let (rig, ..) = rig(0.0);
    let reply = rig.get("x-kf-version: canary\r\n");
    assert_eq!((reply.status(), reply.version(), reply.text()), (200, "1.1.0".into(), "new".into()));
    let reply = rig.get("x-kf-version: 1.0.0\r\n");
    assert_eq!((reply.status(), reply.version(), reply.text()), (200, "1.0.0".into(), "old".into()));
    let reply = rig.get("Cookie: a=b; kf-version=canary\r\n");
    assert_eq!((reply.version(), reply.header("set-cookie")), ("1.1.0".into(), None));
    let reply = rig.get("x-kf-version: 2.0.0\r\n");
    assert_eq!((reply.status(), reply.header("content-type")), (404, Some("application/problem+json".into())));
    assert!(reply.text().contains("ask for `stable`"), "{}", reply.text());
}

#[test]
fn an_upstream_cannot_say_that_it_is_another_version() {
    let liar = Upstream::start(|_, wire| {
        wire.send("HTTP/1.1 200 OK\r\nx-kf-version: 9.9.9\r\nContent-Length: 0\r\n\r\n");
        true
    });
    let rig = Rig::new(Settings::default(), table(1, &[liar.address], &[], 0.0));
    assert_eq!(rig.get("").version(), "1.0.0");
}

#[test]
fn tenants_get_what_they_may() {
    let (rig, ..) = rig(100.0);
    assert_eq!(rig.get("x-tenant: calm\r\n").version(), "1.0.0");
    assert_eq!(rig.get("x-tenant: calm\r\nx-kf-version: canary\r\n").status(), 404);
    assert_eq!(rig.get("x-tenant: other\r\n").version(), "1.1.0");
    reweigh(&rig, 2, 0.0);
    assert_eq!(rig.get("x-tenant: keen\r\n").version(), "1.1.0");
    assert_eq!(rig.get("x-tenant: other\r\n").version(), "1.0.0");
}

/// Gives a rig another weight.
fn reweigh(rig: &Rig, generation: u64, percent: f64) {
    let weight = Weight::from_percent(percent).expect("a weight");
    rig.gateway.replace(Table { generation, weight, ..rig.gateway.table() }).expect("newer");
}

#[test]
fn a_browser_stays_where_it_is_by_its_cookie() {
    let (rig, ..) = rig(50.0);
    let first = rig.get("");
    let cookie = first.header("set-cookie").expect("a session begins");
    let parts: Vec<&str> = cookie.split("; ").collect();
    assert_eq!(parts[1..], ["Path=/", "Max-Age=86400", "HttpOnly", "SameSite=Lax"]);
    let key = parts[0].strip_prefix("kf-session=").expect("its name");
    assert_eq!(key.len(), 32, "128 bits");
    for _ in 0..20 {
        let again = rig.get(&format!("Cookie: {}\r\n", parts[0]));
        assert_eq!((again.version(), again.header("set-cookie")), (first.version(), None));
    }
    assert_ne!(rig.get("").header("set-cookie"), Some(cookie), "each session has a key of its own");
}

#[test]
fn sessions_move_only_to_the_canary_while_the_weight_rises() {
    let (rig, ..) = rig(0.0);
    let of = |i: usize| format!("x-user: user-{i}\r\n");
    let mut wire = rig.wire();
    let mut before = vec![String::from("1.0.0"); 200];
    for (generation, percent) in [(2, 5.0), (3, 20.0), (4, 50.0), (5, 100.0)] {
        reweigh(&rig, generation, percent);
        for (i, before) in before.iter_mut().enumerate() {
            wire.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", of(i)));
            let now = wire.reply().version();
            assert!(*before == "1.0.0" || now == "1.1.0", "user {i} went back at {percent} %");
            *before = now;
        }
        let canary = before.iter().filter(|v| *v == "1.1.0").count() as f64;
        let (mean, p) = (2.0 * percent, percent / 100.0);
        assert!((canary - mean).abs() <= 5.0 * (200.0 * p * (1.0 - p)).sqrt(), "{canary} of 200 at {percent} %");
    }
}

#[test]
fn who_keeps_no_cookie_rolls_the_dice_each_time() {
    let (rig, ..) = rig(30.0);
    let spread = rig.spread(1000, |_| String::new());
    let canary = spread["1.1.0"] as f64;
    assert!((canary - 300.0).abs() <= 5.0 * (1000.0_f64 * 0.3 * 0.7).sqrt(), "{spread:?}");
}

#[test]
fn an_old_table_is_refused_and_a_wrong_one_changes_nothing() {
    let (rig, stable, _) = rig(10.0);
    let next = |generation| table(generation, &[stable.address], &[], 0.0);
    assert!(matches!(rig.gateway.replace(next(1)), Err(NotTaken::Stale { has: 1 })));
    rig.gateway.replace(next(7)).expect("newer");
    assert!(matches!(rig.gateway.replace(next(6)), Err(NotTaken::Stale { has: 7 })));
    let mut wrong = next(8);
    wrong.stable.as_mut().expect("a version").endpoints = vec!["bot:80".into()];
    assert!(matches!(rig.gateway.replace(wrong), Err(NotTaken::Unusable(_))));
    let mut twice = next(8);
    twice.canary.clone_from(&twice.stable);
    assert!(matches!(rig.gateway.replace(twice), Err(NotTaken::Unusable(_))));
    assert_eq!((rig.gateway.table(), rig.gateway.counters().generation), (next(7), 7));
    assert_eq!(rig.get("").status(), 200);
}

#[test]
fn without_a_version_there_is_a_problem_and_a_time_to_come_back() {
    let rig = Rig::new(Settings::default(), table(1, &[], &[], 0.0));
    let reply = rig.get("");
    assert_eq!((reply.status(), reply.header("retry-after")), (503, Some("1".into())));
    let problem: serde_json::Value = serde_json::from_slice(&reply.body).expect("JSON");
    assert_eq!((problem["status"].as_u64(), problem["title"].as_str()), (Some(503), Some("Service Unavailable")));
}

#[test]
fn counters_and_metrics_tell_the_same() {
    let (rig, ..) = rig(0.0);
    (0..3).for_each(|_| drop(rig.get("")));
    rig.get("x-kf-version: canary\r\n");
    let stable = rig.counts("1.0.0", |c| c.requests == 3 && c.active == 0);
    let canary = rig.counts("1.1.0", |c| c.requests == 1 && c.active == 0);
    assert_eq!((stable.errors, canary.errors, stable.latency.iter().map(|(.., n)| n).sum::<u64>()), (0, 0, 3));
    assert!(stable.first_byte.iter().map(|(.., n)| n).sum::<u64>() == 3 && !rig.gateway.counters().boot.is_empty());
    let counters = rig.gateway.counters();
    let json = serde_json::to_string(&counters).expect("JSON");
    assert_eq!(
        serde_json::from_str::<Counters>(&json).expect("the same"),
        counters,
        "nothing is lost on the way to whoever asks"
    );
    let text = rig.gateway.metrics_text();
    for line in [
        "# TYPE kf_gateway_requests_total counter",
        "kf_gateway_requests_total{model=\"bot\",version=\"1.0.0\"} 3",
        "kf_gateway_requests_total{model=\"bot\",version=\"1.1.0\"} 1",
        "kf_gateway_errors_total{model=\"bot\",version=\"1.1.0\"} 0",
        "kf_gateway_request_duration_seconds_bucket{model=\"bot\",version=\"1.0.0\",le=\"+Inf\"} 3",
        "kf_gateway_request_duration_seconds_count{model=\"bot\",version=\"1.0.0\"} 3",
        "kf_gateway_weight_ratio{model=\"bot\",version=\"1.0.0\"} 1",
        "kf_gateway_table_generation{model=\"bot\"} 1",
        "kf_gateway_fuse_blown{model=\"bot\"} 0",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\n{text}");
    }
}

/// 100 tables come while eight clients ask on connections that stay: nothing is lost, and no connection is touched.
#[test]
fn a_hundred_tables_under_load_lose_nothing() {
    let (rig, stable, canary) = rig(0.0);
    let (over, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let seen = Mutex::new(std::collections::BTreeSet::new());
    let (stable_at, canary_at) = (stable.address, canary.address);
    std::thread::scope(|scope| {
        for client in 0..8 {
            let (rig, over, asked, seen) = (&rig, &over, &asked, &seen);
            scope.spawn(move || {
                let mut wire = rig.wire();
                while !over.load(Ordering::SeqCst) {
                    let user = asked.fetch_add(1, Ordering::SeqCst);
                    let body = "x".repeat(user % 500);
                    let length = body.len();
                    let head =
                        format!("POST /{client} HTTP/1.1\r\nHost: a\r\nx-user: {user}\r\nContent-Length: {length}\r\n\r\n");
                    wire.send(head + &body);
                    let reply = wire.reply();
                    assert_eq!(reply.status(), 200, "request {user}: {}", reply.text());
                    seen.lock().expect("a lock").insert(reply.version());
                }
            });
        }
        for generation in 2..=101 {
            // Half of the changes swap the versions' places, as a promotion does.
            let percent = (generation * 37 % 101) as f64;
            let mut next = table(generation, &[stable_at], &[canary_at], percent);
            if generation % 2 == 0 {
                std::mem::swap(&mut next.stable, &mut next.canary);
            }
            rig.gateway.replace(next).expect("newer");
            let before = asked.load(Ordering::SeqCst);
            until("requests go on", || asked.load(Ordering::SeqCst) > before + 8);
        }
        over.store(true, Ordering::SeqCst);
    });
    let n = asked.load(Ordering::SeqCst) as u64;
    until("all are counted", || rig.counted("1.0.0").requests + rig.counted("1.1.0").requests == n);
    assert_eq!((rig.counted("1.0.0").errors, rig.counted("1.1.0").errors), (0, 0));
    assert_eq!(seen.into_inner().expect("a lock").len(), 2);
    // Eight clients never have more than eight requests under way, at either version.
    assert!(stable.connections.load(Ordering::SeqCst) <= 16 && canary.connections.load(Ordering::SeqCst) <= 16);
}
