//! Copies for a shadow: the canary gets them, users notice nothing.

use crate::support::wire::{Rig, Upstream, say, table, until};
use kf::base::weight::Weight;
use kf::gateway::settings::Settings;
use kf::gateway::table::Table;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

fn shadowed(stable: SocketAddr, canary: SocketAddr) -> Table {
    Table { shadow: Weight::FULL, ..table(1, &[stable], &[canary], 0.0) }
}

fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.shadow.paths = vec!["/ask".into()];
    settings
}

#[test]
fn a_copy_is_the_request_with_a_mark() {
    let (stable, canary) = (Upstream::saying("old"), Upstream::saying("new"));
    let rig = Rig::new(settings(), shadowed(stable.address, canary.address));
    assert_eq!(rig.get("X-Mine: 1\r\n").text(), "old");
    until("the copy is there", || canary.heard().len() == 1);
    assert_eq!(rig.ask("POST /ask?a=b", "", "hello").text(), "old");
    until("the copy is there", || canary.heard().len() == 2);
    let (get, post) = (canary.heard()[0].clone(), canary.heard()[1].clone());
    assert_eq!(
        (get.first.as_str(), get.header("x-kf-shadow"), get.header("x-mine")),
        ("GET / HTTP/1.1", Some("1".into()), Some("1".into()))
    );
    assert_eq!(
        (post.first.as_str(), post.text(), post.header("x-kf-shadow")),
        ("POST /ask?a=b HTTP/1.1", "hello".into(), Some("1".into()))
    );
    assert!(stable.heard().iter().all(|request| request.header("x-kf-shadow").is_none()));
    let original = stable.heard()[0].header("traceparent");
    assert_eq!(get.header("traceparent"), original, "both are one trace");
    let counted = rig.counts("1.1.0", |c| c.shadowed == 2);
    assert_eq!((counted.requests, counted.errors), (2, 0), "without requests of its own the copies are what it is judged by");
}

#[test]
fn what_may_not_be_made_twice_is_not_copied() {
    let (stable, canary) = (Upstream::saying("old"), Upstream::saying("new"));
    let rig = Rig::new(settings(), shadowed(stable.address, canary.address));
    assert_eq!(rig.ask("POST /pay", "", "hello").status(), 200);
    assert_eq!(rig.ask("DELETE /x", "", "").status(), 200);
    assert_eq!(rig.ask("HEAD /", "", "").status(), 200);
    until("the one copy is there", || !canary.heard().is_empty());
    assert_eq!(canary.only().first, "HEAD / HTTP/1.1");
}

#[test]
fn a_shadow_that_hangs_delays_nobody() {
    let stable = Upstream::saying("old");
    let canary = Upstream::start(|_, wire| {
        wire.is_at_end();
        false
    });
    let mut settings = settings();
    (settings.shadow.at_once, settings.shadow.timeout) = (4, Duration::from_secs(3600));
    let rig = Rig::new(settings, shadowed(stable.address, canary.address));
    let mut wire = rig.wire();
    for i in 0..50 {
        wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(wire.reply().text(), "old", "request {i}");
    }
    assert_eq!(rig.gateway.counters().shadow_dropped, 46, "four are under way, the others found no place");
    until("those are there", || canary.heard().len() == 4);
    let counted = rig.counts("1.0.0", |c| c.requests == 50);
    assert_eq!((counted.errors, rig.counted("1.1.0").requests), (0, 0));
}

#[test]
fn a_shadow_that_fails_is_counted_as_the_canarys_and_not_repeated() {
    let stable = Upstream::saying("old");
    let canary = Upstream::start(|request, wire| match request.first.as_str() {
        "GET /broken HTTP/1.1" => false,
        "GET /hangs HTTP/1.1" => {
            wire.is_at_end();
            false
        }
        _ => say(wire, "500 Oops", ""),
    });
    let mut settings = settings();
    settings.shadow.timeout = Duration::from_millis(300);
    let rig = Rig::new(settings, shadowed(stable.address, canary.address));
    for path in ["/broken", "/hangs", "/fails"] {
        assert_eq!(rig.ask(&format!("GET {path}"), "", "").text(), "old");
    }
    rig.counts("1.1.0", |c| (c.shadowed, c.requests, c.errors, c.retries) == (3, 3, 3, 0));
    assert_eq!((canary.heard().len(), rig.counted("1.0.0").errors), (3, 0));
}

#[test]
fn long_bodies_are_not_copied_and_half_ones_never() {
    let stable = Upstream::start(|request, wire| say(wire, "200 OK", &request.text()));
    let canary = Upstream::saying("new");
    let mut settings = settings();
    settings.shadow.body = 10;
    let rig = Rig::new(settings, shadowed(stable.address, canary.address));
    assert_eq!(rig.ask("POST /ask", "", "01234567890").text(), "01234567890");
    until("it is dropped", || rig.gateway.counters().shadow_dropped == 1);
    let mut wire = rig.wire();
    wire.send("POST /ask HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf");
    until("it is under way", || rig.counted("1.0.0").active == 1);
    drop(wire);
    rig.counts("1.0.0", |c| c.aborted == 1);
    assert_eq!(rig.ask("POST /ask", "", "0123456789").status(), 200);
    until("the copy is there", || !canary.heard().is_empty());
    assert_eq!(canary.only().text(), "0123456789");
}

#[test]
fn a_canary_with_requests_of_its_own_is_judged_by_those() {
    let (stable, canary) = (Upstream::saying("old"), Upstream::start(|_, wire| say(wire, "500 Oops", "")));
    let both = Table { weight: Weight::from_percent(1.0).expect("a weight"), ..shadowed(stable.address, canary.address) };
    let rig = Rig::new(settings(), both);
    (0..5).for_each(|_| assert_eq!(rig.get("x-kf-version: stable\r\n").text(), "old"));
    let counted = rig.counts("1.1.0", |c| c.shadowed == 5);
    assert_eq!((counted.requests, counted.errors), (0, 0));
    assert!(canary.connections.load(Ordering::SeqCst) > 0);
}
