//! Health and flags on the admin interface of the real gateway: health in the words of the specification, flags as a flagd file and by
//! OpenFeature's Remote Evaluation Protocol, 0.3.0 (<https://github.com/open-feature/protocol/blob/main/service/openapi.yaml>).

use crate::repo::{json as json_of, ok};
use crate::support::gateway::{Gateway, Place, configure, repository};
use crate::support::sandbox::{Sandbox, on_both_engines};
use crate::support::wait_until;
use crate::support::wire::{Message, Wire};
use serde_json::{Value, json};

const ALL: &str = "/ofrep/v1/evaluate/flags";

/// An answer of the admin interface, whole.
fn answer(place: &Place, first: &str, headers: &str, body: &str) -> Message {
    let mut wire = Wire::to(([127, 0, 0, 1], place.admin).into());
    let always = format!("Host: 127.0.0.1\r\nContent-Length: {}\r\nConnection: close\r\n", body.len());
    wire.send(format!("{first} HTTP/1.1\r\n{always}{headers}\r\n{body}")).answer(false).expect("an answer")
}

fn post(place: &Place, path: &str, context: &Value) -> (u16, Value) {
    place.ask("POST", path, "", &json!({"context": context}))
}

fn one(place: &Place, flag: &str, context: &Value) -> (u16, Value) {
    post(place, &format!("{ALL}/{flag}"), context)
}

fn get(place: &Place, path: &str) -> (u16, Value) {
    place.ask("GET", path, "", &Value::Null)
}

#[test]
fn flags_follow_what_is_set_and_are_those_of_kf() {
    on_both_engines(|s| {
        let place = repository(s);
        ok(s, ["flag", "set", "beta", "--percent", "40"]);
        ok(s, ["flag", "set", "prompt", "--variant", "v2=30", "--variant", "v1=70"]);
        let _gateway = Gateway::serving(s);
        assert_eq!(one(&place, "live", &json!({})).1["errorCode"], "FLAG_NOT_FOUND");
        ok(s, ["flag", "set", "live", "--on"]);
        let live = json!({"key": "live", "value": true, "reason": "STATIC", "variant": "on"});
        assert!(wait_until(1, || one(&place, "live", &json!({})) == (200, live.clone())), "within a second");
        for key in ["user-1", "user-2", "user-3", "user-4", "ünï ☂"] {
            let context = json!({"targetingKey": key, "plan": "free"});
            let (_, all) = post(&place, ALL, &context);
            for (at, flag) in ["beta", "live", "prompt"].into_iter().enumerate() {
                let kf = json_of(&ok(s, ["flag", "eval", flag, "--key", key, "--format", "json"]));
                let reason = if flag == "live" { "STATIC" } else { "SPLIT" };
                let want = json!({"key": flag, "value": kf["value"], "reason": reason, "variant": kf["variant"]});
                assert_eq!(one(&place, flag, &context), (200, want.clone()), "{key}");
                assert_eq!(all["flags"][at], want, "{key}");
            }
            assert_eq!(all["metadata"], json!({"flagSetId": "default"}));
        }
        let file: Value = serde_json::from_str(&ok(s, ["flag", "export"]).stdout).expect("JSON");
        assert_eq!(get(&place, "/v1/flags"), (200, file));
        ok(s, ["flag", "remove", "live"]);
        assert!(wait_until(1, || one(&place, "live", &json!({})).0 == 404), "within a second");
    });
}

#[test]
fn tenants_see_their_own_flags() {
    let s = &Sandbox::new();
    let place = repository(s);
    ok(s, ["flag", "set", "zarquon", "--on", "--tenant", "acme"]);
    ok(s, ["flag", "set", "beta", "--off"]);
    let _gateway = Gateway::serving(s);
    let keys = |answer: &Value| answer["flags"].as_array().map(|all| all.iter().map(|f| f["key"].clone()).collect::<Vec<_>>());
    assert_eq!(keys(&post(&place, ALL, &json!({})).1), Some(vec![json!("beta")]));
    assert_eq!(keys(&post(&place, &format!("{ALL}?tenant=acme"), &json!({})).1), Some(vec![json!("zarquon")]));
    let by_header = place.ask("POST", ALL, "X-Kf-Tenant: acme\r\n", &json!({"context": {}}));
    assert_eq!(keys(&by_header.1), Some(vec![json!("zarquon")]));
    let (status, other) = one(&place, "zarquon", &json!({}));
    assert_eq!((status, &other["errorDetails"]), (404, &json!("the tenant default has no flag zarquon")));
    assert_eq!(get(&place, "/v1/flags?tenant=nobody").1["flags"], json!({}));
    assert_eq!(get(&place, "/v1/flags?tenant=a%2Fb").0, 400);
    assert_eq!(post(&place, &format!("{ALL}?tenant=a%2Fb"), &json!({})).1["errorCode"], "GENERAL");
}

#[test]
fn what_is_no_request_for_flags_is_told_as_the_protocol_has_it() {
    let s = &Sandbox::new();
    let place = repository(s);
    ok(s, ["flag", "set", "beta", "--percent", "40"]);
    ok(s, ["flag", "set", "live", "--on"]);
    let _gateway = Gateway::serving(s);
    let of = |path: &str, body: &str| {
        let found = answer(&place, &format!("POST {path}"), "Content-Type: application/json\r\n", body);
        let said: Value = serde_json::from_str(&found.text()).expect("JSON");
        assert!(said["errorDetails"].as_str().is_some_and(|why| !why.is_empty()), "{said}");
        (found.status(), said["key"].clone(), said["errorCode"].clone())
    };
    let beta = format!("{ALL}/beta");
    assert_eq!(of(&beta, "{"), (400, json!("beta"), json!("PARSE_ERROR")));
    assert_eq!(of(&beta, "{}"), (400, json!("beta"), json!("INVALID_CONTEXT")));
    assert_eq!(of(&beta, "{\"context\": {\"targetingKey\": 7}}"), (400, json!("beta"), json!("INVALID_CONTEXT")));
    assert_eq!(of(&beta, "{\"context\": {}}"), (400, json!("beta"), json!("TARGETING_KEY_MISSING")));
    assert_eq!(of(&format!("{ALL}/a%20%22b"), "{\"context\": {}}"), (404, json!("a \"b"), json!("FLAG_NOT_FOUND")));
    assert_eq!(of(&format!("{ALL}/%ff%fe"), "{}"), (400, Value::Null, json!("GENERAL")), "no text");
    assert_eq!(of(ALL, "{"), (400, Value::Null, json!("PARSE_ERROR")));
    let (status, all) = post(&place, ALL, &json!({}));
    assert_eq!(
        (status, &all["flags"][0]["errorCode"], &all["flags"][1]["value"]),
        (200, &json!("TARGETING_KEY_MISSING"), &json!(true))
    );
    assert_eq!(get(&place, ALL).0, 405);
}

#[test]
fn what_a_client_has_is_not_sent_again() {
    let s = &Sandbox::new();
    let place = repository(s);
    ok(s, ["flag", "set", "beta", "--percent", "40"]);
    let _gateway = Gateway::serving(s);
    let (body, first) = ("{\"context\": {\"targetingKey\": \"u\"}}", format!("POST {ALL}"));
    for (first, body) in [(first.as_str(), body), ("GET /v1/flags", "")] {
        let whole = answer(&place, first, "", body);
        let tag = whole.header("etag").expect("a tag");
        assert_eq!((whole.status(), whole.header("content-type").as_deref()), (200, Some("application/json")));
        for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
            let again = answer(&place, first, &format!("If-None-Match: {known}\r\n"), body);
            assert_eq!((again.status(), again.header("etag"), again.text().as_str()), (304, Some(tag.clone()), ""), "{known}");
        }
        assert_eq!(answer(&place, first, "If-None-Match: \"other\"\r\n", body).status(), 200);
        ok(s, ["flag", "set", "beta", if first.starts_with("GET") { "--on" } else { "--off" }]);
        let changed = || answer(&place, first, &format!("If-None-Match: {tag}\r\n"), body).status() == 200;
        assert!(wait_until(1, changed), "{first}");
    }
}

#[test]
fn flags_are_given_while_the_state_is_away_and_only_to_whom_may_ask() {
    let s = &mut Sandbox::new();
    let place = repository(s);
    configure(s, &place, "admin-token = \"env:GATE\"");
    s.set("GATE", "s3cret-of-the-gate");
    ok(s, ["flag", "set", "live", "--on"]);
    let _gateway = Gateway::serving(s);
    let token = "Authorization: Bearer s3cret-of-the-gate\r\n";
    let ask = |headers: &str| place.ask("POST", &format!("{ALL}/live"), headers, &json!({"context": {}}));
    assert_eq!((ask("").0, ask(token).0, place.ask("GET", "/v1/flags", "", &Value::Null).0), (401, 200, 401));
    assert_eq!(ask(&format!("{token}Origin: https://evil.example\r\n")).0, 403);
    let (state, away) = (s.work().join(".kf/state.db"), s.work().join(".kf/away.db"));
    std::fs::rename(&state, &away).expect("moved");
    assert!(wait_until(10, || get(&place, "/health").1["checks"]["database"] != true), "the state is away");
    assert_eq!(ask(token).1["value"], true);
    let other = place.ask("GET", "/v1/flags?tenant=other", token, &Value::Null);
    assert!(other.0 == 500 && other.1["error"].is_string(), "{other:?}");
    std::fs::rename(&away, &state).expect("moved");
    ok(s, ["flag", "set", "live", "--off"]);
    assert!(wait_until(2, || ask(token).1["value"] == false));
}

#[test]
fn health_is_told_in_the_words_of_the_specification() {
    let s = &Sandbox::new();
    let place = repository(s);
    configure(
        s,
        &place,
        "[health.checks.cache]\ncommand = [\"sh\", \"-c\", \"test ! -e broken && echo hidden-words\"]\n[health.checks.llm_api]\ncommand = [\"sleep\", \"60\"]",
    );
    let gateway = Gateway::serving(s);
    let mut want = json!({
        "status": "degraded",
        "checks": {"api": true, "database": true, "vector_db": true, "graph_db": true, "llm_api": false, "cache": true},
        "version": env!("CARGO_PKG_VERSION")
    });
    assert_eq!(get(&place, "/health"), (200, want.clone()), "what hangs is not waited for");
    configure(s, &place, "");
    s.write("broken", "");
    want["checks"]["cache"] = false.into();
    assert!(wait_until(10, || get(&place, "/health") == (200, want.clone())), "{:?}", get(&place, "/health"));
    drop(gateway);
    let _gateway = Gateway::serving(s);
    let want = json!({"api": true, "database": true, "vector_db": true, "graph_db": true, "llm_api": null, "cache": null});
    let (_, found) = get(&place, "/health");
    assert_eq!((&found["status"], &found["checks"]), (&json!("healthy"), &want));
}
