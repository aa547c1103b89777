//! The control path of the gateway: the real binary in front of real programs, asked as `docs/gateway.md` says.

use crate::repo::{ends, json as json_of};
use crate::schemas::{complaints, validator};
use crate::support::daemon::{alive, kill};
use crate::support::gateway::{Gateway, Place, configure, digest, register, repository};
use crate::support::sandbox::{Sandbox, on_both_engines};
use crate::support::{free_port, http, skip, wait_until};
use kf::adapters::gateway::Gateway as Steered;
use kf::base::name::Name;
use kf::base::random::Random;
use kf::base::time::Timestamp;
use kf::base::version::Version;
use kf::base::weight::Weight;
use kf::config::{Env, Secret, Vocabulary, parse};
use kf::seams::metrics::{Ask, MetricSource};
use kf::seams::traffic::{Arm, Arms, Fault, Keep, Ready, Seen, Target};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// Who answers so many requests, by version.
fn answers(place: &Place, n: usize) -> Vec<String> {
    (0..n).map(|_| place.get("/")).map(|(status, text)| if status == 200 { text } else { format!("status {status}") }).collect()
}

/// The process ids of programs below the gateway's mark.
fn programs(s: &Sandbox) -> Vec<u32> {
    let mark = format!("KF_GATEWAY={}", s.work().join(".kf/gateway/local").display());
    let all = std::fs::read_dir("/proc").expect("a /proc").flatten();
    let ids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let ours = |pid: &u32| {
        let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environ.split(|b| *b == 0).any(|line| line == mark.as_bytes())
    };
    ids.filter(ours).filter(|pid| alive(*pid)).collect()
}

#[test]
fn it_serves_what_is_in_production_and_splits_as_it_is_told() {
    on_both_engines(|s| {
        let place = repository(s);
        let mut gateway = Gateway::start(s);
        let ready = gateway.hears(|event| event["event"] == "ready");
        assert_eq!(
            (&ready["schema"], &ready["stable"], &ready["model"]),
            (&json!("kf.gateway-event/1"), &json!("1.0.0"), &json!("bot"))
        );
        assert_eq!(answers(&place, 3), ["1.0.0"; 3]);
        register(s, &json!({"new": true}));
        place.start(s, "1.0.1");
        assert_eq!(answers(&place, 5), ["1.0.0"; 5], "a version that only answers gets nothing");
        let wanted = json!({"stable": "1.0.0", "canary": "1.0.1", "weight": 5000});
        let (status, shown) = place.route(&wanted);
        assert_eq!((status, &shown["effective"]), (200, &json!(5000)), "{shown}");
        let got = answers(&place, 60);
        let canary = got.iter().filter(|version| *version == "1.0.1").count();
        assert!((10..=50).contains(&canary), "about half of {got:?}");
        assert_eq!(place.route(&json!({"stable": "1.0.1"})).0, 200);
        assert_eq!(answers(&place, 5), ["1.0.1"; 5]);
        assert_eq!(place.ask("DELETE", "/v1/versions/1.0.0", "", &Value::Null).0, 202);
        assert!(wait_until(20, || place.version("1.0.0").is_null()), "it is stopped");
        let status = ends(s, 0, ["gateway", "status"]);
        assert!(status.stdout.contains("1.0.1") && status.stdout.contains("100 %"), "{status}");
        let mut documents = vec![json_of(&ends(s, 0, ["gateway", "status", "--format", "json"]))];
        gateway.signal("TERM");
        assert_eq!(gateway.ended(), Some(0));
        assert_eq!(programs(s), Vec::<u32>::new());
        let down = ends(s, 3, ["gateway", "status"]);
        assert!(down.stdout.contains("does not answer"), "{down}");
        documents.push(json_of(&ends(s, 3, ["gateway", "status", "--format", "json"])));
        match validator() {
            Some(validator) => assert_eq!(complaints(&validator, "gateway-status", &documents), ""),
            None => skip("no jsonschema"),
        }
    });
}

#[test]
fn a_write_that_makes_no_sense_changes_nothing() {
    let s = &Sandbox::new();
    let place = repository(s);
    register(s, &json!({"unready": true}));
    let _gateway = Gateway::serving(s);
    let (_, before) = place.ask("GET", "/v1/table", "", &Value::Null);
    let seen = format!("If-Match: \"{}\"\r\n", before["table"]["generation"]);
    let put = |headers: &str, body: &Value| place.ask("PUT", "/v1/table", headers, body);
    let same = json!({"stable": "1.0.0"});
    let arm = json!({"version": "1.0.1", "digest": digest(s, "1.0.1")});
    assert_eq!(place.ask("POST", "/v1/versions", "", &arm).0, 202);
    let cases: &[(u16, &str, &str, &Value)] = &[
        (428, "which table you saw", "", &same),
        (412, "by now", "If-Match: \"999\"\r\n", &same),
        (400, "in quotes", "If-Match: seven\r\n", &same),
        (422, "cannot be read", &seen, &json!({"stable": "1.0.0", "weights": 5})),
        (422, "cannot be read", &seen, &json!({"stable": "one"})),
        (422, "at most 10000", &seen, &json!({"stable": "1.0.0", "canary": "1.0.1", "weight": 10_001})),
        (422, "no canary", &seen, &json!({"stable": "1.0.0", "weight": 500})),
        (422, "is the stable version", &seen, &json!({"stable": "1.0.0", "canary": "1.0.0"})),
        (422, "without a version", &seen, &json!({"stable": null})),
        (409, "start it first", &seen, &json!({"stable": "1.0.0", "canary": "3.0.0", "weight": 500})),
        (409, "not ready", &seen, &json!({"stable": "1.0.0", "canary": "1.0.1", "weight": 500})),
        (409, "not ready", &seen, &json!({"stable": "1.0.0", "canary": "1.0.1", "shadow": 500})),
        (409, "not ready", &seen, &json!({"stable": "1.0.1"})),
    ];
    for (status, why, headers, body) in cases {
        let (found, said) = put(headers, body);
        assert!(found == *status && said["error"].as_str().is_some_and(|said| said.contains(why)), "{body}: {found} {said}");
    }
    assert_eq!(http(place.admin, ("PUT", "/v1/table"), &seen, "{}").expect("an answer").0, 415);
    let large = json!({"stable": "1".repeat(100_000)});
    let (status, refused) = put(&seen, &large);
    assert_eq!((status, refused["error"].as_str()), (413, Some("a request may have 64 KiB")), "{refused}");
    let other = json!({"version": "1.0.0", "digest": digest(s, "1.0.1")});
    assert_eq!(place.ask("POST", "/v1/versions", "", &other).0, 409);
    assert_eq!(place.ask("DELETE", "/v1/versions/1.0.0", "", &Value::Null).0, 409, "it serves");
    assert_eq!(place.ask("DELETE", "/v1/versions/9.9.9", "", &Value::Null).0, 404);
    assert_eq!(place.ask("DELETE", "/v1/versions/..", "", &Value::Null).0, 400);
    assert_eq!((place.ask("GET", "/v2", "", &Value::Null).0, place.ask("POST", "/v1/table", "", &json!({})).0), (404, 405));
    assert_eq!(place.ask("GET", "/v1/table", "", &Value::Null).1, before);
    assert_eq!(answers(&place, 3), ["1.0.0"; 3]);
}

#[test]
fn of_two_writers_that_saw_the_same_table_one_wins() {
    let s = &Sandbox::new();
    let place = repository(s);
    register(s, &json!({"new": true}));
    let _gateway = Gateway::serving(s);
    place.start(s, "1.0.1");
    let (_, now) = place.ask("GET", "/v1/table", "", &Value::Null);
    let seen = format!("If-Match: \"{}\"\r\n", now["table"]["generation"]);
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let writers: Vec<_> = (1..=8)
            .map(|i| {
                let (place, seen) = (&place, &seen);
                scope.spawn(move || {
                    let wanted = json!({"stable": "1.0.0", "canary": "1.0.1", "weight": i * 100});
                    place.ask("PUT", "/v1/table", seen, &wanted).0
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().expect("no panic")).collect()
    });
    let won = statuses.iter().filter(|status| **status == 200).count();
    assert!(won == 1 && statuses.iter().all(|status| [200, 412].contains(status)), "{statuses:?}");
}

/// The adapter, against the binary.
fn steered(s: &Sandbox, token: Option<&str>) -> Steered {
    let text = s.read("mlops.toml");
    let loaded = parse(&text, Path::new("mlops.toml"), &Env::default(), None, &Vocabulary::default()).expect("a configuration");
    let target = loaded.project.target("local").expect("a target");
    let gateway = target.gateway().expect("a gateway");
    Steered::new(target, gateway, token.map(|t| Secret::new(t.to_owned())), Random::System).expect("a client")
}

fn arm(s: &Sandbox, version: &str) -> Arm {
    Arm { version: version.parse().expect("a version"), digest: digest(s, version).parse().expect("a digest") }
}

fn arms(s: &Sandbox, stable: &str, canary: &str) -> Arms {
    Arms { model: "bot".parse().expect("a name"), stable: Some(arm(s, stable)), canary: arm(s, canary), back: false }
}

fn seen(target: &dyn Target, arms: &Arms) -> Seen {
    target.read(arms).expect("read")
}

fn percent(percent: f64) -> Weight {
    Weight::from_percent(percent).expect("a weight")
}

#[test]
fn a_rollout_is_driven_over_the_adapter() {
    let s = &Sandbox::new();
    let place = repository(s);
    register(s, &json!({"new": true}));
    let gateway = Gateway::serving(s);
    let (target, arms) = (&steered(s, None), &arms(s, "1.0.0", "1.0.1"));
    target.preflight(arms).expect("fit");
    assert!(matches!(target.ready(arms, Weight::NONE).expect("asked"), Ready::NotYet(_)));
    for _ in 0..2 {
        target.scale(arms, percent(5.0)).expect("scaled");
    }
    assert!(wait_until(60, || target.ready(arms, percent(5.0)).expect("asked") == Ready::Yes));
    let preview = target.preview(arms).expect("asked").expect("an address");
    let port: u16 = preview.rsplit(':').next().expect("a port").parse().expect("a number");
    assert_eq!(http(port, ("GET", "/"), "", "").expect("an answer").1, "1.0.1");
    let before = seen(target, arms);
    assert_eq!((before.weight, before.stable, before.canary), (Weight::NONE, Some(Version::new(1, 0, 0)), None));
    target.write(arms, percent(25.0), &before.guard).expect("written");
    let after = seen(target, arms);
    assert_eq!((after.weight, after.share, after.canary), (percent(25.0), 0.25, Some(Version::new(1, 0, 1))));
    let late = target.write(arms, percent(50.0), &before.guard);
    assert!(matches!(late, Err(Fault::Conflict(_))), "{late:?}");
    target.shadow(arms, percent(10.0)).expect("written");
    assert_eq!([10.0, 5.0, 0.0].map(|part| target.copies(arms, percent(part)).expect("asked")), [true, false, false]);
    target.write(arms, percent(30.0), &seen(target, arms).guard).expect("written");
    assert_eq!(place.ask("GET", "/v1/table", "", &Value::Null).1["table"]["shadow"], 1000, "copies go on");

    let model: Name = "bot".parse().expect("a name");
    let at = Timestamp::from_micros(0);
    let ask = |cursor| Ask {
        model: &model,
        stable: Some(Version::new(1, 0, 0)),
        canary: Version::new(1, 0, 1),
        from: at,
        to: at,
        cursor,
    };
    let first = MetricSource::read(target, &ask(None)).expect("read");
    let got = answers(&place, 40);
    let counted = || MetricSource::read(target, &ask(first.cursor.as_deref())).expect("read");
    let all = |reading: &kf::seams::metrics::Reading| [reading.stable.requests, reading.canary.requests].map(Option::unwrap);
    assert!(wait_until(10, || all(&counted()).iter().sum::<u64>() == 40), "{:?}", counted());
    let canary = got.iter().filter(|version| *version == "1.0.1").count() as u64;
    let reading = counted();
    assert_eq!((all(&reading), reading.canary.errors), ([40 - canary, canary], Some(0)));
    assert_eq!(reading.canary.latency.as_ref().map(kf::seams::metrics::Buckets::n), Some(canary));

    for _ in 0..2 {
        target.settle(arms, Keep::Canary).expect("settled");
    }
    assert_eq!(answers(&place, 3), ["1.0.1"; 3]);
    assert!(wait_until(20, || place.version("1.0.0").is_null()));
    drop(gateway);
    assert!(matches!(Target::read(target, arms), Err(Fault::Unclear(_))), "nobody is there");
}

#[test]
fn a_version_that_cannot_start_is_told_with_its_last_words() {
    let s = &Sandbox::new();
    let place = repository(s);
    register(s, &json!({"crash": true}));
    let _gateway = Gateway::serving(s);
    let (target, arms) = (&steered(s, None), &arms(s, "1.0.0", "1.0.1"));
    target.scale(arms, percent(5.0)).expect("asked");
    assert!(wait_until(60, || matches!(target.ready(arms, percent(5.0)), Ok(Ready::Never(_)))));
    let Ok(Ready::Never(why)) = target.ready(arms, percent(5.0)) else { panic!("it is ready") };
    assert!(why.contains("ended with exit status 3") && why.contains("this version cannot start"), "{why}");
    let refused = target.write(arms, percent(5.0), &seen(target, arms).guard);
    assert!(matches!(refused, Err(Fault::Refused(_))), "{refused:?}");
    target.settle(arms, Keep::Stable).expect("settled");
    assert_eq!(answers(&place, 3), ["1.0.0"; 3]);
    let log = s.read(".kf/gateway/log/local/1.0.1.log");
    assert!(log.lines().count() >= 3 && log.contains("this version cannot start"), "{log}");
}

#[test]
fn a_version_that_crashes_is_started_again() {
    let s = &Sandbox::new();
    let place = repository(s);
    let mut gateway = Gateway::serving(s);
    for crashes in 1..=2 {
        let _ = http(place.users, ("GET", "/crash"), "", "");
        let event = gateway.hears(|event| event["event"] == "version" && event["crashes"] == crashes);
        assert!(event["why"].as_str().is_some_and(|why| why.contains("exit status 7")), "{event}");
        assert!(wait_until(60, || place.get("/") == (200, "1.0.0".into())), "{}", place.version("1.0.0"));
    }
}

#[test]
fn after_kill_9_the_weights_are_kept_and_nothing_is_left_behind() {
    let s = &Sandbox::new();
    let place = repository(s);
    let child = s.root().join("child");
    register(s, &json!({"child": child.display().to_string()}));
    let gateway = Gateway::serving(s);
    place.start(s, "1.0.1");
    assert_eq!(place.route(&json!({"stable": "1.0.0", "canary": "1.0.1", "weight": 4000, "shadow": 100})).0, 200);
    let kept = place.ask("GET", "/v1/table", "", &Value::Null).1["table"].clone();
    let before = programs(s);
    assert!(before.len() >= 5, "two that tend, two that serve, and what one started: {before:?}");
    // A gateway alone: the processes that tend its programs end them.
    kill(gateway.child.id());
    assert!(wait_until(20, || programs(s).is_empty()), "{:?} run on", programs(s));
    drop(gateway);

    let gateway = Gateway::serving(s);
    assert!(wait_until(60, || place.version("1.0.1")["standing"] == "ready"));
    let table = place.ask("GET", "/v1/table", "", &Value::Null).1["table"].clone();
    for key in ["stable", "canary", "weight", "shadow", "salt"] {
        let version = |table: &Value| table[key].get("version").cloned().unwrap_or(table[key].clone());
        assert_eq!(version(&table), version(&kept), "{key}");
    }
    // All of kf's processes at once: the next gateway finds what they left.
    let tending: Vec<u32> = programs(s).into_iter().filter(|pid| is_kf(*pid)).collect();
    assert_eq!(tending.len(), 2);
    kill(gateway.child.id());
    tending.iter().for_each(|pid| kill(*pid));
    drop(gateway);
    let left = programs(s);
    let mut gateway = Gateway::start(s);
    if !left.is_empty() {
        let told = gateway.hears(|event| event["event"] == "trouble");
        assert!(told["what"].as_str().is_some_and(|what| what.contains("left behind")), "{told}");
    }
    gateway.hears(|event| event["event"] == "ready");
    assert!(left.iter().all(|pid| !alive(*pid)), "{left:?}");
    gateway.signal("INT");
    assert_eq!(gateway.ended(), Some(0));
    assert_eq!(programs(s), Vec::<u32>::new());
}

fn is_kf(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains("upstream-worker"))
}

#[test]
fn what_is_being_answered_when_it_ends_is_answered() {
    let s = &Sandbox::new();
    let place = repository(s);
    let mut gateway = Gateway::serving(s);
    std::thread::scope(|scope| {
        let slow: Vec<_> = (0..4).map(|_| scope.spawn(|| place.get("/slow"))).collect();
        assert!(wait_until(20, || {
            let counters = place.ask("GET", "/v1/counters", "", &Value::Null).1;
            counters["arms"]["1.0.0"]["active"] == 4
        }));
        gateway.signal("TERM");
        gateway.hears(|event| event["event"] == "draining");
        for answer in slow {
            assert_eq!(answer.join().expect("no panic"), (200, "1.0.0".to_owned()));
        }
    });
    assert_eq!(gateway.ended(), Some(0));
    assert!(http(place.users, ("GET", "/"), "", "").is_err(), "nobody listens");
}

#[test]
fn a_version_is_stopped_only_when_it_has_answered() {
    let s = &Sandbox::new();
    let place = repository(s);
    register(s, &json!({"new": true}));
    let _gateway = Gateway::serving(s);
    place.start(s, "1.0.1");
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| place.get("/slow"));
        assert!(wait_until(20, || place.ask("GET", "/v1/counters", "", &Value::Null).1["arms"]["1.0.0"]["active"] == 1));
        assert_eq!(place.route(&json!({"stable": "1.0.1"})).0, 200);
        assert_eq!(place.ask("DELETE", "/v1/versions/1.0.0", "", &Value::Null).0, 202);
        assert_eq!(slow.join().expect("no panic"), (200, "1.0.0".to_owned()));
    });
    assert!(wait_until(20, || place.version("1.0.0").is_null()));
}

/// A rollback soon after a promotion: what was the old version is wanted again while it ends.
#[test]
fn a_version_that_is_being_stopped_can_be_started_again() {
    let s = &Sandbox::new();
    let place = repository(s);
    register(s, &json!({"new": true}));
    let _gateway = Gateway::serving(s);
    let arm = json!({"version": "1.0.1", "digest": digest(s, "1.0.1")});
    place.start(s, "1.0.1");
    for round in 0..8_u64 {
        assert_eq!(place.ask("DELETE", "/v1/versions/1.0.1", "", &Value::Null).0, 202);
        std::thread::sleep(Duration::from_millis(40 * round));
        let (status, said) = place.ask("POST", "/v1/versions", "", &arm);
        assert_eq!(status, 202, "{said}");
        assert!(wait_until(20, || place.version("1.0.1")["standing"] == "ready"), "{}", place.version("1.0.1"));
        let (status, said) = place.route(&json!({"stable": "1.0.1"}));
        assert_eq!((status, answers(&place, 1)), (200, vec!["1.0.1".to_owned()]), "{said}");
        assert_eq!(place.route(&json!({"stable": "1.0.0"})).0, 200);
    }
    assert_eq!(programs(s).len(), 4, "one keeper and one program of each version");
}

#[test]
fn a_state_that_cannot_be_read_is_set_aside() {
    let s = &Sandbox::new();
    let place = repository(s);
    s.write(".kf/gateway/local.json", "{\"schema\": \"kf.gateway-state/1\", \"table\"");
    let mut gateway = Gateway::start(s);
    let told = gateway.hears(|event| event["event"] == "trouble");
    assert!(told["what"].as_str().is_some_and(|what| what.contains("local.json.broken")), "{told}");
    gateway.hears(|event| event["event"] == "ready");
    assert_eq!(answers(&place, 1), ["1.0.0"]);
}

#[test]
fn files_of_a_version_that_were_changed_are_written_anew() {
    let s = &Sandbox::new();
    let place = repository(s);
    let mut gateway = Gateway::serving(s);
    gateway.signal("TERM");
    assert_eq!(gateway.ended(), Some(0));
    let file = ".kf/gateway/run/local/1.0.0/files/behaviour.json";
    assert_eq!(s.read(file), "{}");
    s.write(file, "{\"fail\": true}");
    let _gateway = Gateway::serving(s);
    assert_eq!((answers(&place, 1), s.read(file)), (vec!["1.0.0".to_owned()], "{}".to_owned()));
}

#[test]
fn a_target_has_one_gateway_and_an_address_one_owner() {
    let s = &Sandbox::new();
    let place = repository(s);
    let _gateway = Gateway::serving(s);
    let second = ends(s, 11, ["gateway", "run"]);
    assert!(second.stderr.contains("runs already") && second.stderr.contains("hint:"), "{second}");
    let text = s.read("mlops.toml").replace("target.local", "target.other");
    s.write("mlops.toml", text.replace(&format!(":{}", place.admin), &format!(":{}", free_port())));
    let taken = ends(s, 1, ["gateway", "run"]);
    assert!(taken.stderr.contains(&format!("cannot listen on 127.0.0.1:{}", place.users)), "{taken}");
    assert_eq!(answers(&place, 1), ["1.0.0"], "the first one serves on");
}

#[test]
fn a_token_is_asked_for_and_handed_to_nobody() {
    let s = &mut Sandbox::new();
    let place = repository(s);
    configure(s, &place, "admin-token = \"env:GATE\"");
    let without = ends(s, 1, ["gateway", "run"]);
    assert!(without.stderr.contains("env:GATE"), "{without}");
    s.set("GATE", "s3cret-of-the-gate");
    s.set("SEEN", "handed down");
    let _gateway = Gateway::serving(s);
    assert_eq!(place.ask("GET", "/v1/table", "", &Value::Null).0, 401);
    assert_eq!(place.ask("GET", "/metrics", "Authorization: Bearer other\r\n", &Value::Null).0, 401);
    assert_eq!(place.ask("GET", "/v1/table", "Authorization: Bearer s3cret-of-the-gate\r\n", &Value::Null).0, 200);
    assert_eq!((place.ask("GET", "/health", "", &Value::Null).0, place.ask("GET", "/ready", "", &Value::Null).0), (200, 200));
    let environment: Value = serde_json::from_str(&place.get("/environment").1).expect("JSON");
    assert_eq!((environment.get("GATE"), &environment["SEEN"]), (None, &json!("handed down")));
    let files = s.work().join(".kf/gateway/run/local/1.0.0/files");
    assert_eq!(environment["KF_VERSION_DIR"], json!(files.display().to_string()));
    assert_eq!((&environment["KF_MODEL"], &environment["KF_VERSION"]), (&json!("bot"), &json!("1.0.0")));
    assert_eq!(environment["cwd"], json!(s.work().display().to_string()));
    let arms = arms(s, "1.0.0", "1.0.0");
    let wrong = Target::read(&steered(s, Some("wrong-token")), &arms);
    let Err(Fault::Refused(e)) = wrong else { panic!("{wrong:?}") };
    assert!(!e.to_string().contains("wrong-token"), "{e}");
    Target::read(&steered(s, Some("s3cret-of-the-gate")), &arms).expect("admitted");
    ends(s, 0, ["gateway", "status"]);
}

#[test]
fn pages_and_strangers_names_are_not_answered() {
    let s = &Sandbox::new();
    let place = repository(s);
    let _gateway = Gateway::serving(s);
    assert_eq!(place.ask("GET", "/v1/table", "Origin: https://evil.example\r\n", &Value::Null).0, 403);
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", place.admin)).expect("connected");
    write!(stream, "GET /v1/table HTTP/1.1\r\nHost: evil.example:{}\r\nConnection: close\r\n\r\n", place.admin).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    assert!(answer.starts_with("HTTP/1.1 421 "), "{answer}");
}

/// Whoever begins a request of the admin and does not go on is not waited for.
#[test]
fn a_head_that_does_not_come_ends_its_connection() {
    use std::io::{Read as _, Write as _};
    let s = &Sandbox::new();
    let place = repository(s);
    let _gateway = Gateway::serving(s);
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", place.admin)).expect("connected");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("set");
    write!(stream, "GET /v1/table HTTP/1.1\r\nHost: 127.0.0.1").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the gateway ends it");
    assert!(!answer.contains(" 200 "), "{answer}");
    assert_eq!(place.ask("GET", "/v1/table", "", &Value::Null).0, 200, "others are answered");
}

#[test]
fn the_fuse_holds_over_a_restart() {
    let s = &Sandbox::new();
    let place = repository(s);
    register(s, &json!({"fail": true}));
    let mut gateway = Gateway::serving(s);
    place.start(s, "1.0.1");
    assert_eq!(place.route(&json!({"stable": "1.0.0", "canary": "1.0.1", "weight": 9000})).0, 200);
    answers(&place, 40);
    let event = gateway.hears(|event| event["event"] == "fuse");
    assert!(event["why"].as_str().is_some_and(|why| why.contains("failed")), "{event}");
    assert_eq!(answers(&place, 10), ["1.0.0"; 10]);
    let target = steered(s, None);
    let taken = || seen(&target, &arms(s, "1.0.0", "1.0.1"));
    assert_eq!((taken().weight, taken().taken.as_deref()), (Weight::NONE, event["why"].as_str()));
    let status = ends(s, 0, ["gateway", "status"]);
    assert!(status.stdout.contains("blown"), "{status}");
    let document = json_of(&ends(s, 0, ["gateway", "status", "--format", "json"]));
    assert_eq!((&document["percent"], &document["effective_percent"]), (&json!(0.0), &json!(0.0)));
    if let Some(validator) = validator() {
        assert_eq!(complaints(&validator, "gateway-status", &[document]), "");
    }
    kill(gateway.child.id());
    drop(gateway);
    let _gateway = Gateway::serving(s);
    assert_eq!(answers(&place, 10), ["1.0.0"; 10]);
    assert_eq!(taken().taken.as_deref(), event["why"].as_str());
    assert_eq!(place.route(&json!({"stable": "1.0.0", "canary": "1.0.1", "weight": 0})).0, 200);
    assert_eq!(taken().taken, None, "an order clears it");
}
