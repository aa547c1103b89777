//! Whoever takes a version back waits for nobody else: not for a receiver of alerts, not for who counts, not for a test.

use crate::canary::{Driver, PLAN, phase};
use crate::repo::{json, ok};
use crate::support::gateway::{Gateway, configure, register, repository};
use crate::support::rollout::{Users, live as kf, proof};
use crate::support::sandbox::Sandbox;
use crate::support::wait_until;
use serde_json::{Value, json as value};
use std::net::TcpListener;
use std::time::Duration;

/// Half of what the things below hang for, in seconds.
const SOON: u64 = 120;

/// Waits until the rollout, which may still be begun, is there.
fn is_in(s: &Sandbox, wanted: &str) -> bool {
    let shown = || kf(s, &["canary", "status", "bot", "--format", "json"]).stdout;
    wait_until(SOON, || serde_json::from_str::<Value>(&shown()).is_ok_and(|shown| shown["phase"] == wanted))
}

/// A shell script that says who it is in a file, and then hangs.
fn hangs(file: &str) -> String {
    format!("echo $$ > {file}; exec sleep {}", 2 * SOON)
}

/// The process that wrote its number into a file, once it did.
fn process(s: &Sandbox, file: &str) -> String {
    let path = s.work().join(file);
    let number = || std::fs::read_to_string(&path).unwrap_or_default().trim().to_owned();
    assert!(wait_until(SOON, || !number().is_empty()), "{file} is not there");
    number()
}

fn is_running(process: &str) -> bool {
    std::path::Path::new("/proc").join(process).exists()
}

#[test]
fn a_receiver_that_does_not_answer_keeps_nobody_from_going_back() {
    let s = &mut Sandbox::new();
    let receiver = TcpListener::bind("127.0.0.1:0").expect("a port");
    s.set("HOOK", &format!("http://{}/", receiver.local_addr().expect("an address")));
    let s = &*s;
    let place = repository(s);
    let asked = PLAN.replace("{ weight = 30, hold = \"1s\" }", "{ weight = 30, hold = \"1s\", approval = true }");
    let alerts = format!("alerts = [\"hook\"]\n[alerts.hook]\nurl = \"env:HOOK\"\ntimeout = \"{}s\"\n", 2 * SOON);
    configure(s, &place, &asked.replace("[policy]", &format!("{alerts}[policy]")));
    let _gateway = Gateway::serving(s);
    let _users = Users::of(place.users);
    register(s, &value!({"better": true}));
    let _driver = Driver::start(s, &["canary", "start", "bot@1.0.1"]);
    assert!(is_in(s, "awaiting-approval"), "{}", phase(s));
    let _order = Driver::start(s, &["rollback", "bot"]);
    assert!(is_in(s, "rolled-back"), "{}", phase(s));
    assert_eq!(place.get("/"), (200, "1.0.0".to_owned()));
    let told = json(&ok(s, ["alert", "list", "--all", "--format", "json"]));
    let tries: Vec<&Value> = told["deliveries"].as_array().expect("deliveries").iter().map(|d| &d["attempts"]).collect();
    assert!(tries.len() >= 2 && tries.iter().all(|n| **n == 0), "the receiver still keeps the sender waiting: {told}");
}

#[test]
fn who_counts_and_does_not_answer_keeps_nobody_from_going_back() {
    let s = &Sandbox::new();
    let place = repository(s);
    let counted = "{\\\"schema\\\":\\\"kf.counted/1\\\"}";
    let script = format!("if [ -e outage ]; then {}; fi; echo '{counted}'", hangs("asked"));
    let source = format!(
        "[rollout.bot.source]\nkind = \"command\"\ncommand = [\"sh\", \"-c\", \"{script}\"]\ntimeout = \"{}s\"\n",
        2 * SOON
    );
    configure(s, &place, &PLAN.replace("[policy]", &format!("{source}[policy]")));
    let _gateway = Gateway::serving(s);
    register(s, &value!({"better": true}));
    let _driver = Driver::start(s, &["canary", "start", "bot@1.0.1"]);
    assert!(is_in(s, "observing"), "{}", phase(s));
    s.write("outage", "");
    let asked = process(s, "asked");
    let back = kf(s, &["rollback", "bot"]);
    assert_eq!((back.code, phase(s)["phase"].as_str()), (Some(0), Some("rolled-back")), "{back}");
    assert!(!is_running(&asked), "what was asked was ended");
    assert_eq!(place.get("/"), (200, "1.0.0".to_owned()));
    ok(s, ["fsck"]);
}

/// A plan whose second step has a load test that lasts.
fn with_a_test() -> String {
    let plan = PLAN.replace("{ weight = 60,", "{ weight = 60, load = true,");
    plan.replace("[policy]", &format!("load = [\"sh\", \"-c\", \"{}\"]\nload-requests = 0\n[policy]", hangs("testing")))
}

#[test]
fn an_order_ends_a_test_and_is_carried_out() {
    let s = &Sandbox::new();
    let place = repository(s);
    configure(s, &place, &with_a_test());
    let _gateway = Gateway::serving(s);
    let _users = Users::of(place.users);
    register(s, &value!({"better": true}));
    let _driver = Driver::start(s, &["canary", "start", "bot@1.0.1"]);
    let testing = process(s, "testing");
    assert_eq!(phase(s)["weight"], 30.0);
    let back = kf(s, &["rollback", "bot"]);
    assert_eq!((back.code, phase(s)["phase"].as_str()), (Some(0), Some("rolled-back")), "{back}");
    assert!(!is_running(&testing), "the test was ended");
    assert_eq!(place.get("/"), (200, "1.0.0".to_owned()));
    ok(s, ["fsck"]);
}

#[test]
fn a_canary_that_breaks_a_limit_during_a_test_is_taken_back() {
    let s = &Sandbox::new();
    let place = repository(s);
    configure(s, &place, &with_a_test());
    let _gateway = Gateway::serving(s);
    let _users = Users::of(place.users);
    let outage = s.work().join("outage").display().to_string();
    register(s, &value!({"fail_while": outage, "each": 3}));
    let driver = Driver::start(s, &["canary", "start", "bot@1.0.1"]);
    let testing = process(s, "testing");
    assert_eq!((phase(s)["phase"].as_str(), phase(s)["weight"].as_f64()), (Some("testing"), Some(30.0)));
    s.write("outage", "");
    assert_eq!(driver.ended(), Some(3), "{}", phase(s));
    assert_eq!((phase(s)["phase"].as_str(), place.get("/").1.as_str()), (Some("rolled-back"), "1.0.0"));
    assert_eq!(proof(s)["check"], "error-rate");
    assert!(!is_running(&testing), "the test was ended");
    ok(s, ["fsck"]);
}

/// A target that hangs is waited for about as long as was said, whatever its own time-out.
#[test]
fn a_target_that_hangs_is_given_up_when_it_was_said() {
    let s = &Sandbox::new();
    let place = repository(s);
    configure(s, &place, &format!("timeout = \"{}s\"\n{}", 2 * SOON, PLAN.replace("hold = \"1s\"", "hold = \"1h\"")));
    let gateway = Gateway::serving(s);
    register(s, &value!({"better": true}));
    kf(s, &["canary", "start", "bot@1.0.1", "--detach"]);
    let up = || kf(s, &["canary", "tick", "bot"]).stdout.contains("observing, step 1 of 3, 30 %");
    assert!(wait_until(SOON, up), "{}", phase(s));
    gateway.signal("STOP");
    let began = std::time::Instant::now();
    let given_up = kf(s, &["rollback", "bot", "--max-wait", "2s"]);
    gateway.signal("CONT");
    assert!(began.elapsed() < Duration::from_secs(SOON), "{given_up}");
    assert!(given_up.code == Some(1) && given_up.stderr.contains("did not take bot@1.0.1 back within 2 s"), "{given_up}");
    let back = kf(s, &["canary", "run", "bot"]);
    assert_eq!((back.code, phase(s)["phase"].as_str()), (Some(0), Some("rolled-back")), "{back}");
}
