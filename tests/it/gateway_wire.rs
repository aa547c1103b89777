//! The gateway speaks HTTP/1.1 as the RFCs have it, byte by byte: what is ambiguous is refused, what is too much is bounded, what
//! belongs to one connection stays there.

use crate::support::wire::{Message, Rig, Upstream, say, table};
use kf::gateway::settings::Settings;
use std::sync::atomic::Ordering;
use std::time::Duration;

fn rig_with(settings: Settings, upstream: &Upstream) -> Rig {
    Rig::new(settings, table(1, &[upstream.address], &[], 0.0))
}

fn rig(upstream: &Upstream) -> Rig {
    rig_with(Settings::default(), upstream)
}

/// Sends bytes; the first answer, and whether the connection is closed after it.
fn sent(rig: &Rig, bytes: &str) -> (u16, bool) {
    let mut wire = rig.wire();
    wire.send(bytes);
    let status = wire.head().map_or(0, |head| {
        let length = head.header("content-length").map_or(0, |l| l.parse().expect("a length"));
        wire.take(length).expect("the body");
        head.status()
    });
    // A connection that stays open answers once more.
    let closed = wire.reader.get_mut().set_read_timeout(Some(Duration::from_millis(200))).is_ok() && wire.is_at_end();
    (status, closed)
}

#[test]
fn smuggled_requests_are_refused_and_reach_nobody() {
    let upstream = Upstream::saying("ok");
    let rig = rig(&upstream);
    let hidden = "0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
    for head in [
        // Two lengths.
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "transfer-encoding: chunked\r\nX: y\r\nCONTENT-LENGTH: 4\r\n",
        "Content-Length: 4\r\nContent-Length: 5\r\n",
        "Content-Length: 4, 5\r\n",
        "Content-Length: +4\r\n",
        "Content-Length: 4 4\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 0x4\r\n",
        "Content-Length: 99999999999999999999\r\n",
        // Codings that somebody may read otherwise.
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: \x0bchunked\r\n",
        // Names that are none.
        "Transfer-Encoding : chunked\r\n",
        "Content-Length : 4\r\n",
        " Content-Length: 4\r\n",
        "X: y\r\n Transfer-Encoding: chunked\r\n",
        "X: a\rContent-Length: 4\r\n",
        "X\0: y\r\n",
        "X: a\0b\r\n",
        "Host: b\r\n",
    ] {
        let (status, closed) = sent(&rig, &format!("POST / HTTP/1.1\r\nHost: a\r\n{head}\r\n{hidden}"));
        // What hyper cannot parse as lengths it closes without a word.
        let told = status == 400 || (status == 0 && !head.contains("ncoding: chunked\r\n"));
        assert!(told && closed, "{head:?}: {status}, closed: {closed}");
    }
    for line in [
        "GET / HTTP/1.1 x",
        "GET /a b HTTP/1.1",
        "GET / HTTP/2.0",
        "GET / HTTP/1.10",
        "GE T / HTTP/1.1",
        "GET\t/ HTTP/1.1",
        "GET http://b/ HTTP/1.1",
    ] {
        let (status, closed) = sent(&rig, &format!("{line}\r\nHost: a\r\n\r\n"));
        assert!((status == 400 || status == 0) && closed, "{line:?}: {status}, closed: {closed}");
    }
    assert_eq!(sent(&rig, "GET / HTTP/1.1\r\n\r\n").0, 400, "no host");
    assert_eq!(
        sent(&rig, "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").0,
        400,
        "chunks before HTTP/1.1"
    );
    assert_eq!(upstream.heard().len(), 0, "{:?}", upstream.heard());
}

#[test]
fn broken_chunks_end_the_connection_and_are_nobodys_error() {
    let upstream = Upstream::saying("ok");
    let rig = rig(&upstream);
    for body in ["zz\r\n", "4\nabcd\r\n0\r\n\r\n", "fffffffffffffffff\r\n", "4\r\nabcdX\r\n0\r\n\r\n", "-1\r\n\r\n"] {
        let (status, closed) = sent(&rig, &format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}"));
        assert!((status == 400 || status == 0) && closed, "{body:?}: {status}, closed: {closed}");
    }
    rig.counts("1.0.0", |c| c.aborted == 5 && c.requests == 0 && c.active == 0);
}

#[test]
fn whole_chunked_requests_keep_their_connection() {
    let upstream = Upstream::start(|request, wire| say(wire, "200 OK", &request.text()));
    let rig = rig(&upstream);
    let mut wire = rig.wire();
    for i in 0..3 {
        wire.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n");
        wire.send(format!("1\r\n{i}\r\n0\r\n\r\n"));
        assert_eq!(wire.reply().text(), format!("abc{i}"));
    }
    // The same length twice is one, and two requests in one packet are two.
    let twice = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi";
    wire.send(format!("{twice}{twice}"));
    assert_eq!((wire.reply().text(), wire.reply().text()), ("hi".into(), "hi".into()));
    assert_eq!(upstream.connections.load(Ordering::SeqCst), 1, "the upstream's connection was kept");
    assert_eq!(upstream.heard()[3].header("content-length"), Some("2".into()));
}

#[test]
fn heads_are_bounded() {
    let upstream = Upstream::saying("ok");
    let rig = rig(&upstream);
    let big = |n: usize| format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(n));
    assert_eq!(sent(&rig, &big(20_000)).0, 200);
    assert_eq!(sent(&rig, &big(40_000)).0, 431);
    let many = |n: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(n));
    assert_eq!(sent(&rig, &many(90)).0, 200);
    assert_eq!(sent(&rig, &many(200)).0, 431);
    assert_eq!(upstream.heard().len(), 2);
}

#[test]
fn slow_heads_are_told_and_idle_connections_only_closed() {
    let upstream = Upstream::saying("ok");
    let mut settings = Settings::default();
    (settings.waits.head, settings.waits.keep_alive) = (Duration::from_millis(300), Duration::from_millis(600));
    let rig = rig_with(settings, &upstream);
    let mut wire = rig.wire();
    wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(wire.reply().status(), 200);
    wire.send("GET / HTTP/1.1\r\nHo");
    assert_eq!(wire.reply().status(), 408);
    assert!(wire.is_at_end());
    let mut idle = rig.wire();
    assert!(idle.is_at_end(), "closed without a word");
    assert_eq!(upstream.heard().len(), 1);
}

#[test]
fn slow_bodies_are_given_up_and_are_nobodys_error() {
    let upstream = Upstream::saying("ok");
    let mut settings = Settings::default();
    settings.waits.stall = Duration::from_millis(300);
    let rig = rig_with(settings, &upstream);
    let mut wire = rig.wire();
    wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    assert_eq!(wire.reply().status(), 408);
    rig.counts("1.0.0", |c| c.aborted == 1 && c.requests == 0 && c.active == 0);
}

#[test]
fn long_bodies_are_refused_by_length_or_when_they_get_there() {
    let upstream = Upstream::saying("ok");
    let mut settings = Settings::default();
    settings.limits.body = 10;
    let rig = rig_with(settings, &upstream);
    assert_eq!(sent(&rig, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n").0, 413);
    assert_eq!(sent(&rig, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n01234567890\r\n").0, 413);
    assert_eq!(sent(&rig, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789").0, 200);
    assert_eq!(rig.counted("1.0.0").errors, 0);
}

#[test]
fn a_client_that_waits_for_100_gets_it() {
    let upstream = Upstream::start(|request, wire| {
        wire.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
        say(wire, "200 OK", &request.text())
    });
    let rig = rig(&upstream);
    let mut wire = rig.wire();
    wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(wire.answer(false).expect("an answer").status(), 100);
    wire.send("hi");
    assert_eq!(wire.reply().text(), "hi", "103 of the upstream is not the answer");
    assert_eq!(upstream.only().header("expect"), None);
}

#[test]
fn head_has_a_length_and_no_body_and_trailers_come_along() {
    let upstream = Upstream::start(|request, wire| {
        if request.first.starts_with("HEAD") {
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
        } else {
            wire.send("HTTP/1.1 200 OK\r\nTrailer: x-sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx-sum: 7\r\n\r\n");
        }
        true
    });
    let rig = rig(&upstream);
    let mut wire = rig.wire();
    wire.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = wire.answer(true).expect("a head");
    assert_eq!((head.status(), head.header("content-length")), (200, Some("5".into())));
    let body = "Trailer: x-up\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-up: 9\r\n\r\n";
    wire.send(format!("POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n{body}"));
    let reply = wire.reply();
    assert_eq!((reply.text(), reply.trailers), ("hi".into(), vec![("x-sum".into(), "7".into())]));
    assert_eq!(upstream.heard()[1].trailers, [("x-up".to_owned(), "9".to_owned())]);
    rig.counts("1.0.0", |c| c.requests == 2 && c.errors == 0 && c.aborted == 0);
}

#[test]
fn upstreams_see_who_asked_and_no_header_of_the_connection() {
    let upstream = Upstream::start(|_, wire| {
        wire.send("HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Own\r\nX-Own: 1\r\nKeep-Alive: timeout=5\r\nX-Kept: 1\r\nContent-Length: 0\r\n\r\n");
        true
    });
    let rig = rig(&upstream);
    let reply = rig.ask(
        "GET http://bot.example/a?b=c",
        "Connection: x-mine\r\nX-Mine: 1\r\nX-Forwarded-For: 6.6.6.6\r\nX-Kf-Shadow: 1\r\nX-Other: 2\r\n",
        "",
    );
    assert_eq!((reply.header("x-own"), reply.header("keep-alive"), reply.header("x-kept")), (None, None, Some("1".into())));
    let got = upstream.only();
    let of = |name: &str| got.header(name);
    assert_eq!(
        (got.first.as_str(), of("host"), of("x-other")),
        ("GET /a?b=c HTTP/1.1", Some("bot.example".into()), Some("2".into()))
    );
    assert_eq!((of("x-mine"), of("connection"), of("x-kf-shadow")), (None, None, None));
    assert_eq!(
        (of("x-forwarded-for"), of("x-forwarded-proto"), of("x-forwarded-host")),
        (Some("127.0.0.1".into()), Some("http".into()), Some("bot.example".into()))
    );
    let trace = of("traceparent").expect("a trace begins");
    assert!(trace.len() == 55 && trace.starts_with("00-"), "{trace}");
}

#[test]
fn old_clients_are_served() {
    let upstream = Upstream::start(|_, wire| {
        wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n");
        true
    });
    let rig = rig(&upstream);
    let mut wire = rig.wire();
    wire.send("GET / HTTP/1.0\r\n\r\n");
    let reply: Message = wire.reply();
    assert_eq!((reply.text(), reply.header("transfer-encoding")), ("hi".into(), None));
    assert_eq!(upstream.only().header("host"), Some(upstream.address.to_string()));
}

#[test]
fn methods_that_mean_the_gateway_itself_are_not_passed_on() {
    let upstream = Upstream::saying("ok");
    let rig = rig(&upstream);
    for line in ["CONNECT a:80", "TRACE /"] {
        assert_eq!(sent(&rig, &format!("{line} HTTP/1.1\r\nHost: a:80\r\n\r\n")).0, 501, "{line}");
    }
    assert_eq!(sent(&rig, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").0, 200);
    assert_eq!(upstream.only().first, "OPTIONS * HTTP/1.1");
}
