//! `kf deploy --strategy blue-green` through a real gateway, and weights that change, while k6 asks all the while: nobody loses a request.

use crate::support::gateway::{Gateway, Place, configure, register, repository};
use crate::support::k6::{Load, k6};
use crate::support::rollout::{in_production, live, proof};
use crate::support::sandbox::{Run, Sandbox};
use crate::support::{program, project, say, skip};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// Asks the version once, where nobody else does.
const SMOKE: &str = "import os, urllib.request; urllib.request.urlopen(os.environ['KF_PREVIEW_URL'] + '/')";
/// How often weights change.
const CHANGES: u32 = 100;

/// A plan with a smoke test and with k6 as load test, by this script.
fn plan(k6: &Path, script: &Path) -> String {
    let python = program("python3", &[]).expect("python3 is on the PATH").display().to_string();
    let load = [
        k6.display().to_string(),
        "run".into(),
        "--quiet".into(),
        "--address".into(),
        "127.0.0.1:0".into(),
        script.display().to_string(),
    ];
    format!(
        "[rollout.bot]\nwindow = \"1s\"\nmonitor = \"4s\"\nmin-requests = 20\nsmoke = {:?}\nload = {load:?}\nload-requests = 20\n[policy]\nskip-staging = true\n",
        [&python, "-c", SMOKE]
    )
}

/// A version that behaves so, released at once to all.
fn deploy(s: &Sandbox, version: &str, behaviour: &Value) -> Run {
    register(s, behaviour);
    live(s, &["deploy", &format!("bot@{version}"), "--strategy", "blue-green"])
}

/// Gives a version every part of the traffic from 1 to 100 percent, and then none.
fn change_weights(s: &Sandbox, place: &Place, version: &str) {
    place.start(s, version);
    for percent in 1..=CHANGES {
        let (status, said) = place.route(&json!({"stable": "1.0.0", "canary": version, "weight": percent * 100}));
        assert_eq!(status, 200, "{said}");
        std::thread::sleep(Duration::from_millis(25));
    }
    assert_eq!(place.route(&json!({"stable": "1.0.0"})).0, 200);
}

#[test]
fn nobody_loses_a_request_by_a_switch() {
    let k6 = match k6() {
        Ok(found) => found,
        Err(why) => return skip(&why),
    };
    let s = &Sandbox::new();
    let place = repository(s);
    let load = project().join("tests/fixtures/k6/load.js");
    configure(s, &place, &plan(&k6, &load));
    let _gateway = Gateway::serving(s);

    register(s, &json!({"good": 1}));
    let users = Load::start(&s.root(), place.users, &["1.0.0", "1.0.1"]).expect("k6 runs");
    change_weights(s, &place, "1.0.1");
    let asked = users.end();
    say(&format!("k6: {} lost of {} during {CHANGES} changes of weight", asked.lost(), asked.lost() + asked.answered()));
    assert_eq!(asked.lost(), 0, "lost during {CHANGES} changes of weight");
    assert!(asked.by("1.0.0") > 50 && asked.by("1.0.1") > 50, "both answered");

    // An answer of a version that is not named here would be in no count.
    let users = Load::start(&s.root(), place.users, &["1.0.0", "1.0.3", "1.0.4"]).expect("k6 runs");
    let refused = deploy(s, "1.0.2", &json!({"fail": true}));
    assert!(refused.code == Some(3) && refused.stdout.contains("the smoke test says no"), "{refused}");

    let good = deploy(s, "1.0.3", &json!({"good": 3}));
    assert_eq!((good.code, in_production(s)), (Some(0), "1.0.3".to_owned()), "{good}");
    assert_eq!(place.get("/"), (200, "1.0.3".to_owned()));

    // Neither test asks what users ask: what they meet is seen afterwards, while the old version stands by.
    let bad = deploy(s, "1.0.4", &json!({"fail": 3, "only": "/v1/ask"}));
    assert!(bad.code == Some(3) && bad.stdout.contains("was taken back: error-rate"), "{bad}");
    assert_eq!((proof(s)["check"].as_str(), in_production(s)), (Some("error-rate"), "1.0.3".to_owned()));
    assert_eq!(place.get("/"), (200, "1.0.3".to_owned()));
    let asked = users.end();
    say(&format!("k6: {} lost of {} during two switches and one back", asked.lost(), asked.lost() + asked.answered()));
    assert_eq!(asked.lost(), 0, "lost during switches");
    assert_eq!(asked.by("1.0.0") + asked.by("1.0.3") + asked.by("1.0.4"), asked.answered(), "nobody else answered");
    assert!(asked.by("1.0.0") > 20 && asked.by("1.0.3") > 20 && asked.by("1.0.4") > 20, "each had users");
    s.works(["fsck"]);
}

/// k6 ends with 0 when every iteration throws, and then nothing was tested.
#[test]
fn a_load_test_without_requests_says_no() {
    let k6 = match k6() {
        Ok(found) => found,
        Err(why) => return skip(&why),
    };
    let s = &Sandbox::new();
    let place = repository(s);
    let script = s.write("load.js", "export default function () { throw new Error('no address') }\n");
    configure(s, &place, &plan(&k6, &script));
    let _gateway = Gateway::serving(s);
    let refused = deploy(s, "1.0.1", &json!({"good": 1}));
    assert!(refused.code == Some(3) && refused.stdout.contains("it made 0 requests, 20 are asked for"), "{refused}");
    assert_eq!(place.get("/"), (200, "1.0.0".to_owned()));
}
