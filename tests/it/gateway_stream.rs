//! The gateway passes bodies on as they come, both ways; who goes away is noticed on the other side, and blamed on nobody else.

use crate::support::wire::{LONG, Rig, Upstream, Wire, say, table, until};
use kf::gateway::settings::Settings;
use std::io::Write as _;
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

fn rig_with(settings: Settings, upstream: &Upstream) -> Rig {
    Rig::new(settings, table(1, &[upstream.address], &[], 0.0))
}

fn rig(upstream: &Upstream) -> Rig {
    rig_with(Settings::default(), upstream)
}

const EVENTS: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

fn event(wire: &mut Wire, text: &str) -> bool {
    wire.reader.get_mut().write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes()).is_ok()
}

/// An upstream that sends an event for each word it is told, until the teller is gone.
fn teller() -> (Upstream, mpsc::Sender<&'static str>) {
    let (tell, told) = mpsc::channel::<&'static str>();
    let told = Mutex::new(told);
    let upstream = Upstream::start(move |_, wire| {
        wire.send(EVENTS);
        while let Ok(word) = told.lock().expect("a lock").recv_timeout(LONG) {
            if word == "end" {
                wire.send("0\r\n\r\n");
                return true;
            }
            event(wire, word);
        }
        false
    });
    (upstream, tell)
}

#[test]
fn events_arrive_one_by_one_as_they_are_sent() {
    let (upstream, tell) = teller();
    let rig = rig(&upstream);
    let mut wire = rig.wire();
    wire.send("GET /events HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = wire.head().expect("the head comes before any event");
    assert_eq!((head.status(), head.version()), (200, "1.0.0".into()));
    for word in ["data: a\n\n", "data: b\n\n", "data: c\n\n"] {
        tell.send(word).expect("the upstream waits");
        assert_eq!(wire.chunk().as_deref(), Some(word.as_bytes()), "it is here before the next is sent");
        assert_eq!(rig.counted("1.0.0").active, 1);
    }
    tell.send("end").expect("the upstream waits");
    assert_eq!(wire.chunk().as_deref(), Some(&b""[..]));
    let counted = rig.counts("1.0.0", |c| c.requests == 1 && c.active == 0);
    assert_eq!((counted.errors, counted.aborted), (0, 0));
}

#[test]
fn an_upload_is_passed_on_as_it_comes() {
    let (heard, hear) = mpsc::channel();
    let heard = Mutex::new(heard);
    let upstream = Upstream::by_head(move |_, wire| {
        while let Some(chunk) = wire.chunk().filter(|c| !c.is_empty()) {
            heard.lock().expect("a lock").send(chunk).expect("the test waits");
        }
        wire.line();
        say(wire, "200 OK", "done")
    });
    let rig = rig(&upstream);
    let mut wire = rig.wire();
    wire.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for word in ["one", "two", "three"] {
        event(&mut wire, word);
        assert_eq!(hear.recv_timeout(LONG).as_deref(), Ok(word.as_bytes()), "it is there before the next is sent");
    }
    wire.send("0\r\n\r\n");
    assert_eq!(wire.reply().text(), "done");
}

#[test]
fn an_answer_may_come_before_the_request_is_whole() {
    let upstream = Upstream::by_head(|_, wire| {
        wire.send(EVENTS);
        event(wire, "early");
        while wire.chunk().is_some_and(|c| !c.is_empty()) {}
        wire.send("0\r\n\r\n");
        false
    });
    let rig = rig(&upstream);
    let mut wire = rig.wire();
    wire.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(wire.head().expect("a head").status(), 200);
    assert_eq!(wire.chunk().as_deref(), Some(&b"early"[..]));
    wire.send("3\r\nabc\r\n0\r\n\r\n");
    assert_eq!(wire.chunk().as_deref(), Some(&b""[..]));
}

#[test]
fn a_long_answer_is_whole_and_waits_for_a_slow_reader() {
    const PIECES: usize = 400;
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let upstream = Upstream::start(move |_, wire| {
        wire.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", PIECES * 65_536));
        (0..PIECES).all(|i| {
            count.fetch_add(1, Ordering::SeqCst);
            wire.reader.get_mut().write_all(&[i as u8; 65_536]).is_ok()
        })
    });
    let rig = rig(&upstream);
    let mut wire = rig.wire();
    wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    wire.head().expect("a head");
    let mut before = usize::MAX;
    until("the upstream has to wait", || std::mem::replace(&mut before, sent.load(Ordering::SeqCst)) == before && before > 0);
    std::thread::sleep(Duration::from_millis(200));
    assert!(sent.load(Ordering::SeqCst) < PIECES, "26 MB are nowhere held");
    for i in 0..PIECES {
        assert_eq!(wire.take(65_536).expect("a piece"), vec![i as u8; 65_536], "piece {i}");
    }
    rig.counts("1.0.0", |c| c.requests == 1 && c.errors == 0);
}

#[test]
fn a_client_that_goes_away_ends_the_work_and_is_nobodys_error() {
    let ended = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&ended);
    let upstream = Upstream::start(move |request, wire| {
        if request.first.contains("/stream") {
            wire.send(EVENTS);
            event(wire, "first");
        }
        // Nothing more is sent: only a closed connection ends this.
        assert!(wire.is_at_end());
        count.fetch_add(1, Ordering::SeqCst);
        false
    });
    let rig = rig(&upstream);
    let mut thinking = rig.wire();
    thinking.send("POST /think HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    let mut streaming = rig.wire();
    streaming.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(streaming.head().map(|_| streaming.chunk()), Some(Some(b"first".to_vec())));
    until("both are under way", || upstream.heard().len() == 2);
    drop((thinking, streaming));
    until("the upstream is told of both", || ended.load(Ordering::SeqCst) == 2);
    let counted = rig.counts("1.0.0", |c| c.aborted == 2 && c.active == 0);
    assert_eq!((counted.requests, counted.errors), (0, 0));
}

#[test]
fn an_answer_that_breaks_off_is_cut_for_the_user_too() {
    let upstream = Upstream::start(|request, wire| {
        match request.first.split(' ').nth(1).unwrap_or_default() {
            "/chunks" => wire.send(EVENTS).send("3\r\nabc\r\n"),
            "/length" => wire.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"),
            "/garbage" => wire.send(EVENTS).send("3\r\nabc\r\nnothing\r\n"),
            _ => wire.send("HTTP/1.1 503 No\r\nContent-Length: 10\r\n\r\nabc"),
        };
        false
    });
    let rig = rig(&upstream);
    for path in ["/chunks", "/length", "/garbage", "/error"] {
        let mut wire = rig.wire();
        wire.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert!(wire.answer(false).is_none(), "{path} ended as if it were whole");
    }
    let counted = rig.counts("1.0.0", |c| c.requests == 4 && c.active == 0);
    assert_eq!((counted.errors, counted.cut, counted.aborted), (4, 4, 0));
}

#[test]
fn an_answer_that_stops_is_cut_when_it_was_idle_for_too_long() {
    let (upstream, tell) = teller();
    let mut settings = Settings::default();
    settings.waits.idle = Duration::from_millis(300);
    let rig = rig_with(settings, &upstream);
    let mut wire = rig.wire();
    wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    tell.send("a").expect("the upstream waits");
    assert_eq!(wire.head().map(|_| wire.chunk()), Some(Some(b"a".to_vec())));
    assert_eq!(wire.chunk(), None);
    rig.counts("1.0.0", |c| (c.requests, c.errors, c.cut) == (1, 1, 1));
}

#[test]
fn a_request_ends_when_its_time_is_over_though_it_still_moves() {
    let over = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&over);
    let upstream = Upstream::start(move |_, wire| {
        wire.send(EVENTS);
        while event(wire, "tick") {
            std::thread::sleep(Duration::from_millis(20));
        }
        told.store(true, Ordering::SeqCst);
        false
    });
    let mut settings = Settings::default();
    settings.waits.total = Duration::from_millis(500);
    let rig = rig_with(settings, &upstream);
    let mut wire = rig.wire();
    wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    wire.head().expect("a head");
    while wire.chunk().is_some() {}
    until("the upstream is told", || over.load(Ordering::SeqCst));
    rig.counts("1.0.0", |c| (c.errors, c.cut, c.active) == (1, 1, 0));
}

const UPGRADE: &str =
    "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n";

/// Agrees to WebSockets and sends back what it gets.
fn echo() -> Upstream {
    Upstream::by_head(|request, wire| {
        if request.header("upgrade").as_deref() != Some("websocket") {
            return say(wire, "200 OK", "plain");
        }
        wire.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: y\r\n\r\n",
        );
        while let Some(bytes) = wire.take(4) {
            wire.send(bytes);
        }
        false
    })
}

#[test]
fn a_websocket_is_a_tunnel() {
    let upstream = echo();
    let rig = rig(&upstream);
    let mut wire = rig.wire();
    wire.send(UPGRADE);
    let head = wire.head().expect("a head");
    let of = |name: &str| head.header(name);
    assert_eq!((head.status(), of("upgrade"), of("connection")), (101, Some("websocket".into()), Some("upgrade".into())));
    assert_eq!((of("sec-websocket-accept"), head.version()), (Some("y".into()), "1.0.0".into()));
    for word in [b"ping", b"pong", b"\0\xff\x01\x02"] {
        wire.send(word);
        assert_eq!(wire.take(4).as_deref(), Some(&word[..]));
    }
    rig.counts("1.0.0", |c| c.requests == 1 && c.active == 1);
    wire.reader.get_mut().shutdown(Shutdown::Both).expect("shut");
    rig.counts("1.0.0", |c| (c.requests, c.errors, c.aborted, c.active) == (1, 0, 0, 0));
}

#[test]
fn a_quiet_tunnel_is_no_idle_connection_and_no_slow_head() {
    let upstream = echo();
    let mut settings = Settings::default();
    (settings.waits.head, settings.waits.keep_alive) = (Duration::from_millis(200), Duration::from_millis(200));
    let rig = rig_with(settings, &upstream);
    let mut wire = rig.wire();
    wire.send(UPGRADE);
    wire.head().expect("a head");
    for word in [b"GET ", b"ping"] {
        std::thread::sleep(Duration::from_millis(500));
        wire.send(word);
        assert_eq!(wire.take(4).as_deref(), Some(&word[..]));
    }
}

#[test]
fn a_slow_answer_to_a_request_that_came_early_is_no_slow_head() {
    let upstream = Upstream::start(|_, wire| {
        std::thread::sleep(Duration::from_millis(400));
        say(wire, "200 OK", "slow")
    });
    let mut settings = Settings::default();
    settings.waits.head = Duration::from_millis(200);
    let rig = rig_with(settings, &upstream);
    let mut wire = rig.wire();
    // The second head begins while the first is answered, and ends with the two bytes of its last line.
    wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n");
    assert_eq!(wire.reply().text(), "slow");
    wire.send("\r\n");
    assert_eq!(wire.reply().text(), "slow");
}

#[test]
fn an_upgrade_that_is_refused_or_unwanted_stays_http() {
    let upstream = Upstream::start(|_, wire| say(wire, "426 Upgrade Required", "no"));
    let refusing = rig(&upstream);
    let mut wire = refusing.wire();
    wire.send(UPGRADE);
    assert_eq!(wire.reply().status(), 426);
    let upstream = echo();
    let rig = rig(&upstream);
    let mut wire = rig.wire();
    wire.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n");
    assert_eq!(wire.reply().text(), "plain");
    assert_eq!((upstream.only().header("upgrade"), upstream.only().header("http2-settings")), (None, None));
}

#[test]
fn an_upstream_that_switches_unasked_is_a_bad_gateway() {
    let upstream = Upstream::start(|_, wire| {
        wire.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
        false
    });
    let rig = rig(&upstream);
    assert_eq!(rig.get("").status(), 502);
    rig.counts("1.0.0", |c| (c.requests, c.errors) == (1, 1));
}

#[test]
fn draining_lets_requests_finish_and_takes_no_more() {
    let (upstream, tell) = teller();
    let mut rig = rig(&upstream);
    let (mut busy, mut idle) = (rig.wire(), rig.wire());
    busy.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    busy.head().expect("under way");
    rig.end();
    assert!(idle.is_at_end(), "an idle connection is closed at once");
    until("nobody listens", || std::net::TcpStream::connect(rig.address).is_err());
    assert!(!rig.has_ended());
    tell.send("last").expect("the upstream waits");
    tell.send("end").expect("the upstream waits");
    assert_eq!((busy.chunk().as_deref(), busy.chunk().as_deref()), (Some(&b"last"[..]), Some(&b""[..])));
    until("it has ended", || rig.has_ended());
}

#[test]
fn draining_does_not_wait_for_ever() {
    let upstream = echo();
    let mut settings = Settings::default();
    settings.waits.drain = Duration::from_millis(300);
    let mut rig = rig_with(settings, &upstream);
    let mut wire = rig.wire();
    wire.send(UPGRADE);
    assert_eq!(wire.head().expect("a head").status(), 101);
    rig.end();
    assert!(wire.is_at_end());
    until("it has ended", || rig.has_ended());
}
