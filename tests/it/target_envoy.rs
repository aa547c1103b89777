//! What only Envoy has: files that it logs but does not refuse, connections that stay open, copies.

use crate::support::front::{Front, Kind, NEW, OLD, USERS, both, while_weights_change};
use crate::support::{skip, wait_until};
use kf::base::weight::Weight;
use kf::seams::metrics::Ask;
use kf::seams::traffic::{Fault, Ready};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

fn envoy(test: impl FnOnce(Front)) {
    match Front::start(Kind::Envoy) {
        Ok(front) => test(front),
        Err(why) => skip(&why),
    }
}

fn percent(percent: f64) -> Weight {
    Weight::from_percent(percent).expect("a weight")
}

/// One POST on a connection that stays open; the status.
fn post(connection: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    write!(connection.get_mut(), "POST /v1/ask HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{{}}")?;
    let (mut status, mut line, mut length) = (String::new(), String::new(), 0);
    connection.read_line(&mut status)?;
    while connection.read_line(&mut line)? > 2 {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        line.clear();
    }
    connection.read_exact(&mut vec![0; length])?;
    Ok(status)
}

/// Clients keep their connections, as those of language models do, and no POST needs to be sent again.
#[test]
fn no_connection_is_closed_while_weights_change() {
    envoy(|front| {
        let connections: Vec<_> = (0..USERS).map(|_| TcpStream::connect(("127.0.0.1", front.port)).expect("connected")).collect();
        let connections: Vec<_> = connections.into_iter().map(|connection| Mutex::new(BufReader::new(connection))).collect();
        let turn = AtomicUsize::new(0);
        let asked = while_weights_change(&front, || {
            let one = &connections[turn.fetch_add(1, Ordering::Relaxed) % USERS];
            let status = post(&mut one.lock().expect("nobody panicked"));
            assert!(status.as_ref().is_ok_and(|s| s.starts_with("HTTP/1.1 200")), "{status:?}");
        });
        assert!(asked > 100, "{asked} requests");
    });
}

/// Envoy goes on with what it had when it cannot use a file, and says so only in its log.
#[test]
fn a_file_that_envoy_does_not_take_is_found_out() {
    envoy(|front| {
        front.set(20.0).expect("written");
        let text = std::fs::read_to_string(front.file()).expect("the file");
        // A weight that the API does not have: of all clusters together more than 32 bits.
        let broken = text.replace("\"weight\": 2000", "\"weight\": 4294967295");
        assert_ne!(text, broken);
        std::fs::write(front.dir.join("new"), broken).expect("written");
        std::fs::rename(front.dir.join("new"), front.file()).expect("renamed");
        assert!(
            wait_until(20, || front.log().contains("4294967295") || front.log().to_lowercase().contains("weight")),
            "{}",
            front.log()
        );
        assert_eq!(front.seen().weight, percent(20.0), "what it goes by, not what the file says");
        front.set(0.0).expect("the way back is open");
        front.set(50.0).expect("written");
        assert_eq!(front.seen().weight, percent(50.0));
    });
}

/// Envoy does not start without what kf is to write, so a first rollout begins without it, and without figures.
#[test]
fn a_first_rollout_begins_before_envoy_runs() {
    let mut front = match Front::stopped(Kind::Envoy) {
        Ok(front) => front,
        Err(why) => return skip(&why),
    };
    front.up(OLD);
    let time = |text: &str| text.parse().expect("a time");
    let (from, to, model) = (time("2026-01-01T00:00:00Z"), time("2999-01-01T00:00:00Z"), both().model);
    let ask = Ask { model: &model, stable: Some(OLD), canary: NEW, from, to, cursor: None };
    assert_eq!(front.counts().read(&ask).expect("unknown").stable.requests, None, "unknown is not zero");
    let target = front.target_with("timeout = \"300ms\"\n");
    target.preflight(&both()).expect("nothing is there yet");
    target.scale(&both(), Weight::NONE).expect("the first files");
    let Ok(Ready::NotYet(why)) = target.ready(&both(), Weight::NONE) else { panic!("it does not run") };
    assert!(why.contains("cannot connect"), "{why}");
    assert!(front.counts().read(&ask).is_err(), "now it should run");
}

/// Routes that answer users and the interface that is asked belong to one Envoy.
#[test]
fn the_interface_of_another_envoy_is_found_out() {
    envoy(|mut front| {
        front.admin = crate::support::free_port();
        let target = front.target();
        let Err(Fault::Unclear(e)) = target.read(&both()) else { panic!("nobody answers there") };
        assert!(e.hints().iter().any(|hint| hint.contains("`admin`")), "{e}");
    });
}

#[test]
fn copies_are_sent_and_ended() {
    envoy(|front| {
        let target = front.target();
        target.shadow(&both(), percent(50.0)).expect("written");
        let shows = |part: f64| target.copies(&both(), percent(part)).expect("asked");
        assert_eq!((front.seen().weight, shows(50.0), shows(0.0)), (Weight::NONE, true, false));
        for headers in ["X-Kf-Version: canary\r\n", "X-Kf-Version: 1.1.0\r\n", "Cookie: kf-version=canary\r\n"] {
            assert_eq!(front.ask(headers), OLD.to_string(), "nobody gets the answers of a shadow: {headers}");
        }
        let ask = |n: usize| (0..n).for_each(|_| assert_eq!(front.ask(""), OLD.to_string()));
        ask(400);
        // Five standard deviations of a binomial around 200, sqrt(400 * 0.25) = 10.
        assert!(wait_until(20, || (150..=250).contains(&front.version(NEW).copies())), "{:?}", front.version(NEW).copies());
        front.set(10.0).expect("copies go on beside a weight");
        target.shadow(&both(), Weight::NONE).expect("written");
        assert!(shows(0.0));
        let before = front.version(NEW).copies();
        (0..50).for_each(|_| drop(front.ask("X-Kf-Version: stable\r\n")));
        assert_eq!(front.version(NEW).copies(), before);
        front.set(0.0).expect("taken back");
        target.shadow(&both(), percent(1.0)).expect("written");
        target.shadow(&both(), Weight::NONE).expect("written");
        assert_eq!(front.ask("X-Kf-Version: canary\r\n"), OLD.to_string(), "nor when the copies have ended");
    });
}
