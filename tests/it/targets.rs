//! Targets that are web servers, the real ones, by what a controller asks of them: the same for nginx and for Envoy.

use crate::support::front::{Front, Kind, NEW, OLD, arms, both, while_weights_change, with_each};
use crate::support::{http, wait_until};
use kf::base::time::Timestamp;
use kf::base::version::Version;
use kf::base::weight::Weight;
use kf::seams::metrics::{Ask, Buckets, Reading};
use kf::seams::traffic::{Arms, Asked, Fault, Keep, Ready, Target};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

fn percent(percent: f64) -> Weight {
    Weight::from_percent(percent).expect("a weight")
}

/// What was refused, in words with the hints.
fn refusal(asked: Asked<()>) -> String {
    match asked {
        Err(Fault::Refused(e)) => format!("{e}\n{}", e.hints().join("\n")),
        other => panic!("{other:?}"),
    }
}

fn conflict(asked: Asked<()>) -> String {
    match asked {
        Err(Fault::Conflict(e)) => e.to_string(),
        other => panic!("{other:?}"),
    }
}

fn unclear(asked: Asked<()>) -> String {
    match asked {
        Err(Fault::Unclear(e)) => e.to_string(),
        other => panic!("{other:?}"),
    }
}

fn waits(target: &dyn Target, arms: &Arms, weight: Weight) -> String {
    match target.ready(arms, weight) {
        Ok(Ready::NotYet(why)) => why,
        other => panic!("{other:?}"),
    }
}

/// How many of so many users without a session get the new version.
fn new_ones(front: &Front, users: usize) -> usize {
    (0..users)
        .map(|_| front.ask(""))
        .inspect(|answer| assert!([OLD, NEW].map(|v| v.to_string()).contains(answer), "{answer}"))
        .filter(|answer| *answer == NEW.to_string())
        .count()
}

/// A rollout from the first look to the end, and back the other way.
#[test]
fn a_version_comes_step_by_step_and_can_be_taken_back() {
    with_each(|front| {
        let target = front.target();
        target.preflight(&both()).expect("all is well");
        let seen = front.seen();
        assert_eq!((seen.weight, seen.stable, seen.canary), (Weight::NONE, Some(OLD), None));
        assert_eq!(new_ones(&front, 50), 0);
        target.scale(&both(), percent(20.0)).expect("nothing to start");
        assert_eq!(target.ready(&both(), percent(20.0)).expect("asked"), Ready::Yes);
        assert!(target.preview(&both()).expect("asked").is_some_and(|url| url.ends_with('1')), "the new version's own");

        front.set(20.0).expect("written");
        let seen = front.seen();
        assert_eq!((seen.weight, seen.share, seen.stable, seen.canary), (percent(20.0), 0.2, Some(OLD), Some(NEW)));
        // Five standard deviations of a binomial, sqrt(0.2 * 0.8 / 2000) = 0.0089, on both sides.
        let found = new_ones(&front, 2_000);
        assert!((310..=490).contains(&found), "{found} of 2000 at 20 %");

        let guard = front.seen().guard;
        front.set(20.0).expect("the same again");
        assert_eq!(front.seen().guard, guard, "what is done already is left as it is");
        front.set(100.0).expect("written");
        assert_eq!((front.seen().weight, new_ones(&front, 50)), (Weight::FULL, 50));
        front.set(0.0).expect("taken back");
        assert_eq!((front.seen().weight, new_ones(&front, 50)), (Weight::NONE, 0));

        assert!(refusal(target.settle(&both(), Keep::Canary)).contains("bot@1.1.0 has 0 % of the traffic"));
        front.set(100.0).expect("written");
        assert!(refusal(target.settle(&both(), Keep::Stable)).contains("bot@1.0.0 has 0 % of the traffic"));
        for _ in 0..2 {
            target.settle(&both(), Keep::Canary).expect("settled");
            let seen = front.seen();
            assert_eq!((seen.weight, seen.stable, seen.canary), (Weight::FULL, Some(NEW), None));
        }
        front.set(100.0).expect("it has all already");
        assert_eq!(new_ones(&front, 50), 50);

        // Back to the old one, as a rollout of its own.
        let back = arms(Some(NEW), OLD);
        target.preflight(&back).expect("the target and the registry agree");
        let guard = target.read(&back).expect("read").guard;
        target.write(&back, Weight::FULL, &guard).expect("written");
        assert_eq!((target.read(&back).expect("read").weight, new_ones(&front, 50)), (Weight::FULL, 0));
    });
}

/// With one more part the same sessions stay, and more come; with less the last ones go.
#[test]
fn a_session_stays_with_its_version() {
    with_each(|front| {
        let sessions = |front: &Front| -> BTreeMap<usize, String> {
            let ask = |n: usize| front.ask(&format!("X-Session: user-{n}\r\n"));
            (0..300).map(|n| (n, ask(n))).collect()
        };
        let on_new = |all: &BTreeMap<usize, String>| all.values().filter(|v| **v == NEW.to_string()).count();
        front.set(30.0).expect("written");
        let at_30 = sessions(&front);
        assert_eq!(at_30, sessions(&front), "nobody moves by itself");
        front.set(60.0).expect("written");
        let at_60 = sessions(&front);
        front.set(30.0).expect("written");
        assert_eq!(at_30, sessions(&front), "back where they were");
        let moved_back = at_30.iter().filter(|(n, v)| **v == NEW.to_string() && at_60[n] != **v).count();
        assert_eq!(moved_back, 0, "a higher weight takes nobody from the new version");
        // Five standard deviations: 300 * 0.3 = 90, sqrt(300 * 0.3 * 0.7) = 7.9; 180 and 8.5.
        assert!((51..=129).contains(&on_new(&at_30)) && (138..=222).contains(&on_new(&at_60)), "{at_30:?} {at_60:?}");
    });
}

#[test]
fn who_names_a_version_gets_it() {
    with_each(|front| {
        front.set(1.0).expect("written");
        for (headers, version) in [
            ("X-Kf-Version: canary\r\n", NEW),
            ("X-Kf-Version: stable\r\n", OLD),
            ("X-Kf-Version: 1.1.0\r\n", NEW),
            ("X-Kf-Version: canary\r\nCookie: kf-version=stable\r\n", NEW),
            ("X-Kf-Version: stable\r\nCookie: kf-version=canary\r\n", OLD),
            ("Cookie: a=b; kf-version=canary; c=d\r\n", NEW),
            ("Cookie: kf-version=1.1.0\r\n", NEW),
            ("Cookie: kf-version=stable\r\n", OLD),
        ] {
            for _ in 0..5 {
                assert_eq!(front.ask(headers), version.to_string(), "{:?} {headers}", front.kind);
            }
        }
        for headers in ["X-Kf-Version: 1x1x0\r\n", "Cookie: xkf-version=canary\r\n", "Cookie: kf-version=canaryx\r\n"] {
            let asked = (0..20).filter(|_| front.ask(headers) == NEW.to_string()).count();
            assert!(asked < 10, "{:?} {headers} names none", front.kind);
        }
    });
}

#[test]
fn who_writes_meanwhile_wins() {
    with_each(|front| {
        let target = front.target();
        let guard = front.seen().guard;
        let won = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for n in 1..=4_u16 {
                let (front, guard, won) = (&front, &guard, &won);
                scope.spawn(move || match front.target().write(&both(), percent(f64::from(n)), guard) {
                    Ok(()) => {
                        won.fetch_add(1, Ordering::Relaxed);
                    }
                    other => assert!(conflict(other).ends_with("was changed meanwhile")),
                });
            }
        });
        assert_eq!(won.load(Ordering::Relaxed), 1);

        front.set(5.0).expect("written");
        let text = std::fs::read_to_string(front.file()).expect("the file");
        let edited = match front.kind {
            Kind::Nginx => text.replace("5.00%", "40%"),
            Kind::Envoy => text.replace("\"weight\": 500", "\"weight\": 4000").replace("\"weight\": 9500", "\"weight\": 6000"),
        };
        assert_ne!(text, edited);
        let guard = front.seen().guard;
        std::fs::write(front.dir.join("mine"), &edited).expect("written");
        std::fs::rename(front.dir.join("mine"), front.file()).expect("renamed");
        if front.kind == Kind::Nginx {
            front.reload();
        }
        conflict(target.write(&both(), percent(6.0), &guard));
        assert!(wait_until(20, || front.seen().weight == percent(40.0)), "the edit is what is there: {:?}", front.seen());
        assert!(conflict(front.set(50.0)).ends_with("was edited since kf wrote it"));
        assert_eq!(std::fs::read_to_string(front.file()).expect("the file"), edited, "the edit stays");
        what_is_advised_works(&front, (&text, &edited));
        front.set(0.0).expect("the way back is open");
        assert!(!beside(&front).exists(), "it is that of a file that is no more");
        assert_eq!((front.seen().weight, new_ones(&front, 30)), (Weight::NONE, 0));

        std::fs::write(front.file(), "mine\n").expect("written");
        let Err(Fault::Refused(e)) = target.read(&both()) else { panic!("not a file of kf") };
        assert!(e.to_string().contains("is not a file of kf") && e.hints()[0].contains("mv "), "{e}");
        std::fs::remove_file(front.file()).expect("moved away");
        front.set(10.0).expect("written anew");
        assert_eq!(front.seen().weight, percent(10.0));
    });
}

/// Where kf puts what an edited file was.
fn beside(front: &Front) -> std::path::PathBuf {
    format!("{}.kf", front.file().display()).into()
}

/// The commands that a conflict names show the change and undo it; `text` is what kf wrote.
#[track_caller]
fn what_is_advised_works(front: &Front, (text, edited): (&str, &str)) {
    let Err(Fault::Conflict(e)) = front.set(50.0) else { panic!("it was edited") };
    let hint = e.hints().join("\n");
    let typed: Vec<&str> = hint.split('`').skip(1).step_by(2).collect();
    let run = |command: &str| {
        let done = std::process::Command::new("sh").args(["-c", command]).output().expect("sh runs");
        (done.status.code(), String::from_utf8_lossy(&done.stdout).into_owned())
    };
    assert!(typed.len() == 3 && typed[2] == "kf canary abort bot", "{hint}");
    let (code, shown) = run(typed[0]);
    let changed = edited.lines().zip(text.lines()).find(|(mine, ours)| mine != ours).expect("an edit");
    assert!(code == Some(1) && shown.contains(changed.0) && shown.contains(changed.1), "{hint}\n{shown}");
    assert_eq!(run(typed[1]).0, Some(0), "{hint}");
    assert_eq!(std::fs::read_to_string(front.file()).expect("the file"), text, "as kf wrote it");
    if front.kind == Kind::Nginx {
        front.reload();
    }
    assert!(wait_until(20, || front.seen().weight == percent(5.0)), "{:?}", front.seen());
    front.set(6.0).expect("nothing is in the way");
    // Once more as it was before it was asked.
    front.set(5.0).expect("written");
    let again = std::fs::read_to_string(front.file()).expect("the file");
    let edit = if front.kind == Kind::Nginx {
        again.replace("5.00%", "40%")
    } else {
        again.replace("\"timeout\": \"0s\"", "\"timeout\": \"9s\"")
    };
    std::fs::write(front.file(), edit).expect("written");
    assert!(conflict(front.set(50.0)).ends_with("was edited since kf wrote it") && beside(front).exists());
}

#[test]
fn a_version_that_does_not_answer_gets_no_traffic() {
    with_each(|mut front| {
        let target = front.target();
        front.down(NEW);
        assert!(waits(&*target, &both(), percent(5.0)).contains("bot@1.1.0"));
        let why = unclear(front.set(5.0));
        assert!(why.contains("bot@1.1.0 cannot take traffic") && why.contains("cannot connect"), "{why}");
        assert_eq!(front.seen().canary, None, "nothing was written");
        front.up(NEW);
        front.version(NEW).set_ready(false);
        assert!(waits(&*target, &both(), percent(5.0)).ends_with("/ready answers 503"));
        assert!(unclear(front.set(5.0)).ends_with("/ready answers 503"));
        front.version(NEW).set_ready(true);
        front.set(50.0).expect("written");
        front.down(NEW);
        front.set(0.0).expect("the way back needs nobody");
        assert_eq!(new_ones(&front, 30), 0);
        assert!(unclear(front.set(100.0)).contains("bot@1.1.0 cannot take traffic"));
        front.up(NEW);
        front.set(100.0).expect("written");
        front.down(OLD);
        assert!(
            unclear(front.set(0.0)).contains("bot@1.0.0 cannot take traffic"),
            "nobody is sent to a version that was stopped"
        );
        assert_eq!(new_ones(&front, 30), 30);
        front.set(100.0).expect("as it is");
        front.down(NEW);
        assert!(waits(&*target, &both(), Weight::NONE).contains("bot@1.1.0"));
        let Err(Fault::Unclear(e)) = target.preflight(&both()) else { panic!("the stable version is down") };
        let hints = e.hints().join("\n");
        assert!(e.to_string().contains("bot@1.0.0 cannot take traffic"), "{e}");
        assert!(hints.contains("start bot@1.0.0 at http://127.0.0.1:") && hints.contains("`start` of the target"), "{hints}");
    });
}

/// From nothing: kf starts also the version that is in production, with the first file. Later one that is down is somebody's trouble.
#[test]
fn the_version_in_production_is_started_with_the_first_file() {
    with_each(|mut front| {
        std::fs::remove_file(front.file()).expect("as if kf had written none");
        front.down(OLD);
        front.down(NEW);
        let target = front.target_with("start = [\"sh\", \"-c\", \"echo $KF_VERSION >> calls\"]\n");
        for weight in [percent(5.0), Weight::FULL] {
            target.preflight(&both()).expect("it is about to be started");
            target.scale(&both(), weight).expect("the first file");
            let calls = std::fs::read_to_string(front.dir.join("calls")).expect("started");
            assert!(calls.ends_with("1.0.0\n1.1.0\n"), "{calls}");
            assert!(unclear(target.preflight(&both())).contains("bot@1.0.0 cannot take traffic"));
            std::fs::remove_file(front.file()).expect("once more from nothing");
        }
    });
}

/// What is to go need not answer, and what somebody wrote into the file for it is no reason to stay.
#[test]
fn the_way_back_from_a_version_that_is_dead_is_open() {
    with_each(|mut front| {
        front.set(100.0).expect("written");
        let target = front.target();
        target.settle(&both(), Keep::Canary).expect("settled");
        front.down(NEW);
        front.edited_by_hand();
        assert!(unclear(target.preflight(&arms(Some(NEW), OLD))).contains("bot@1.1.0 cannot take traffic"));
        let back = Arms { back: true, ..arms(Some(NEW), OLD) };
        target.preflight(&back).expect("a way back");
        target.scale(&back, Weight::FULL).expect("nothing to start");
        assert_eq!(target.ready(&back, Weight::FULL).expect("asked"), Ready::Yes);
        assert_eq!(target.shift(&back, Weight::FULL).expect("written").weight, Weight::FULL);
        assert_eq!(new_ones(&front, 30), 0);
    });
}

#[test]
fn a_server_that_starts_again_keeps_its_weights() {
    with_each(|mut front| {
        front.set(100.0).expect("written");
        front.restart();
        assert_eq!((front.seen().weight, new_ones(&front, 30)), (Weight::FULL, 30));
        front.kill();
        let target = front.target_with("timeout = \"300ms\"\n");
        let Err(Fault::Unclear(e)) = target.read(&both()) else { panic!("nobody answers") };
        assert!(e.to_string().contains("cannot connect") && e.hints().iter().any(|h| h.contains("`probe`")), "{e}");
        assert!(waits(&*target, &both(), percent(5.0)).contains("cannot connect"));
    });
}

#[test]
fn the_registry_and_the_target_must_agree() {
    with_each(|mut front| {
        let target = front.target();
        let third = Version::new(1, 2, 0);
        front.up(third);
        let said = refusal(target.preflight(&arms(Some(NEW), third)));
        assert!(said.contains("has bot@1.0.0 serve, not bot@1.1.0") && said.contains("kf deploy bot@VERSION"), "{said}");
        assert!(refusal(target.preflight(&arms(None, third))).contains("not no version"));
        let said = refusal(target.preflight(&arms(Some(OLD), Version::new(2, 0, 0))));
        assert!(said.contains("bot@1.0.0 and bot@2.0.0 would both answer at http://127.0.0.1:"), "{said}");
        front.set(10.0).expect("written");
        let said = refusal(target.preflight(&arms(Some(OLD), third)));
        assert!(said.contains("gives 10 % of the traffic to bot@1.1.0") && said.contains("kf canary abort bot"), "{said}");
    });
}

/// Programs that start and stop versions are told which; nothing that runs is started again.
#[test]
fn versions_are_started_and_stopped() {
    with_each(|mut front| {
        let program = |what: &str| {
            format!("{what} = [\"sh\", \"-c\", \"echo {what} $KF_TARGET $KF_MODEL $KF_VERSION $KF_URL >> calls\"]\n")
        };
        let target = front.target_with(&(program("start") + &program("stop")));
        let calls = |front: &Front| std::fs::read_to_string(front.dir.join("calls")).unwrap_or_default();
        target.scale(&both(), percent(5.0)).expect("it runs already");
        assert_eq!(calls(&front), "");
        front.down(NEW);
        target.scale(&both(), percent(5.0)).expect("started");
        assert!(calls(&front).contains("bot 1.1.0 http://127.0.0.1:"), "{}", calls(&front));
        front.up(NEW);
        front.set(100.0).expect("written");
        target.settle(&both(), Keep::Canary).expect("settled");
        let last = calls(&front).lines().last().unwrap_or_default().to_owned();
        assert!(last.starts_with("stop ") && last.contains("bot 1.0.0"), "{last}");
        front.down(OLD);
        let failing = front.target_with("start = [\"sh\", \"-c\", \"echo no room >&2; exit 3\"]\n");
        let said = refusal(failing.scale(&arms(Some(NEW), OLD), percent(5.0)));
        assert!(said.contains("cannot start bot@1.0.0") && said.contains("no room"), "{said}");
    });
}

/// Before the first version nobody is sent anywhere; then it gets all.
#[test]
fn the_first_version_gets_all() {
    with_each(|front| {
        let target = front.target();
        let first = arms(None, NEW);
        std::fs::remove_file(front.file()).expect("as if kf had written none");
        target.scale(&first, Weight::NONE).expect("the first file");
        assert!(wait_until(20, || target.read(&first).is_ok_and(|seen| seen.stable.is_none())));
        assert!(!front.ask("").starts_with('1'), "nobody is there");
        let guard = target.read(&first).expect("read").guard;
        target.write(&first, percent(10.0), &guard).expect("written");
        let seen = target.read(&first).expect("read");
        assert_eq!((seen.weight, seen.share, new_ones(&front, 30)), (percent(10.0), 1.0, 30));
        target.write(&first, Weight::FULL, &seen.guard).expect("written");
        target.settle(&first, Keep::Canary).expect("settled");
        assert_eq!((target.read(&first).expect("read").stable, new_ones(&front, 30)), (Some(NEW), 30));
    });
}

/// Users ask all the while, each on a connection of its own. nginx ends connections of which it has read nothing yet: who meets
/// that asks again, and no answer is wrong or cut. Envoy ends none.
#[test]
fn no_request_is_lost_while_weights_change() {
    with_each(|front| {
        let asked = while_weights_change(&front, || {
            let ask = || http(front.port, ("POST", "/v1/ask"), "", "a question");
            let tries = if front.kind == Kind::Nginx { 5 } else { 1 };
            let answer = (0..tries).map(|_| ask()).find(Result::is_ok).unwrap_or_else(ask);
            assert!(matches!(&answer, Ok((200, body)) if [OLD, NEW].map(|v| v.to_string()).contains(body)), "{answer:?}");
        });
        assert!(asked > 100, "{asked} requests");
    });
}

/// What kf itself asks is not counted, and nothing twice.
#[test]
fn requests_are_counted_by_version() {
    with_each(|front| {
        let (source, model) = (front.counts(), both().model);
        let (from, to) = (Timestamp::from_micros(0), "2999-01-01T00:00:00Z".parse().expect("a time"));
        let read = |cursor: Option<&str>| {
            source.read(&Ask { model: &model, stable: Some(OLD), canary: NEW, from, to, cursor }).expect("read")
        };
        front.set(50.0).expect("written");
        let told =
            |reading: &Reading| [&reading.stable, &reading.canary].map(|c| (c.requests.unwrap_or(0), c.errors.unwrap_or(0)));
        // nginx writes its log line after the answer, Envoy adds durations up every five seconds.
        let timed = |reading: &Reading| [&reading.stable, &reading.canary].map(|c| c.latency.as_ref().map_or(0, Buckets::n));
        // Durations of what was asked before the first reading may be added up only after it: then once more.
        let once = || {
            let first = read(None);
            let new = new_ones(&front, 60) as u64;
            let all = wait_until(8, || timed(&read(first.cursor.as_deref())) == [60 - new, new]);
            let next = read(first.cursor.as_deref());
            assert_eq!(told(&next), [(60 - new, 0), (new, 0)], "each request");
            all.then_some(next)
        };
        let next = (0..3).find_map(|_| once()).expect("each duration");
        assert_eq!(told(&read(next.cursor.as_deref())), [(0, 0); 2], "nothing is counted twice");
    });
}
