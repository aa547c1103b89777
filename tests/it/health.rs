//! `kf health`.

use crate::repo::{ends, json, ok, on_both};
use crate::schemas::{complaints, fit, validator};
use crate::support::gateway::{Gateway, configure, repository};
use crate::support::sandbox::Sandbox;
use crate::support::{free_port, serve, skip};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use serde_json::{Value, json};

/// A service with a health of its own, one that only takes questions, and one that wants to know who asks.
fn service() -> std::net::SocketAddr {
    let known = |headers: HeaderMap| async move {
        let knows = headers.get("authorization").is_some_and(|v| v == "Bearer hunter2-hunter2");
        if knows { StatusCode::NO_CONTENT } else { StatusCode::UNAUTHORIZED }
    };
    serve(
        axum::Router::new()
            .route("/ready", get(|| async { "fine" }))
            .route("/broken", get(|| async { StatusCode::SERVICE_UNAVAILABLE }))
            .route("/ask", post(|| async { "answer" }))
            .route("/known", get(known))
            .route("/slow", get(|| async { tokio::time::sleep(std::time::Duration::from_secs(60)).await })),
    )
}

fn checks(health: &Value) -> Value {
    health["checks"].clone()
}

#[test]
fn what_is_not_configured_is_not_unhealthy() {
    on_both(|s| {
        s.repository("");
        let health = json(&ok(s, ["health", "--format", "json"]));
        assert_eq!((health["status"].as_str(), health["version"].as_str()), (Some("healthy"), Some(env!("CARGO_PKG_VERSION"))));
        let want = json!({"api": null, "database": true, "vector_db": true, "graph_db": true, "llm_api": null, "cache": null});
        assert_eq!(checks(&health), want);
        let run = ok(s, ["health"]);
        assert!(run.stdout.contains("cache      not-configured  nothing is configured"), "{run}");
    });
}

#[test]
fn everything_that_is_configured_is_asked() {
    let (address, nobody) = (service(), free_port());
    let mut s = Sandbox::new();
    s.set("TOKEN", "hunter2-hunter2");
    s.repository(&format!(
        "[system]\nkind = \"http\"\nurl = \"http://{address}/ask\"\n\
         [health.checks.cache]\nurl = \"tcp://{address}\"\n\
         [health.checks.llm_api]\nurl = \"http://{address}/known\"\ntoken = \"env:TOKEN\"\n\
         [health.checks.disk]\ncommand = [\"sh\", \"-c\", \"echo 41 % used; echo more\"]\n"
    ));
    let health = json(&ok(&s, ["health", "--format", "json"]));
    let want = json!({
        "api": true, "database": true, "vector_db": true, "graph_db": true, "llm_api": true, "cache": true, "disk": true
    });
    assert_eq!((health["status"].as_str(), checks(&health)), (Some("healthy"), want));
    assert_eq!(health["details"]["disk"]["told"], "41 % used");
    assert!(health["details"]["api"]["told"].as_str().is_some_and(|t| t.ends_with("/ask answers (status 405)")), "{health}");
    let mut documents = vec![health];

    s.write(
        "mlops.toml",
        format!(
            "{}[health]\ntimeout = \"2s\"\n[health.checks.broken]\nurl = \"http://{address}/broken\"\n\
             [health.checks.away]\nurl = \"http://127.0.0.1:{nobody}/\"\n[health.checks.shut]\nurl = \"tcp://127.0.0.1:{nobody}\"\n\
             [health.checks.slow]\nurl = \"http://{address}/slow\"\n[health.checks.stuck]\ncommand = [\"sleep\", \"60\"]\n\
             [health.checks.unknown]\nurl = \"http://{address}/known\"\ntoken = \"env:NOT_HERE\"\n\
             [health.checks.failing]\ncommand = [\"sh\", \"-c\", \"echo full >&2; exit 4\"]\n\
             [health.checks.missing]\ncommand = [\"./no-such-program\"]\n",
            s.read("mlops.toml")
        ),
    );
    let health = json(&ends(&s, 3, ["health", "--format", "json"]));
    assert_eq!(health["status"], "degraded");
    let all = checks(&health);
    let failing: Vec<&String> = all.as_object().expect("checks").iter().filter(|(_, v)| **v == false).map(|(k, _)| k).collect();
    assert_eq!(failing, ["broken", "away", "shut", "slow", "stuck", "unknown", "failing", "missing"]);
    for (name, why) in [
        ("broken", "503"),
        ("shut", "takes no connection"),
        ("unknown", "NOT_HERE"),
        ("failing", "full"),
        ("missing", "cannot run `./no-such-program`"),
    ] {
        let told = health["details"][name]["told"].as_str().expect("told");
        assert!(told.contains(why), "{name}: {told}");
    }
    let run = ends(&s, 3, ["health"]);
    assert!(run.stdout.contains("hint: missing:") && !format!("{run}").contains("hunter2"), "{run}");
    documents.push(health);
    let Some(validator) = validator() else { return skip("`jsonschema` is not installed") };
    assert_eq!(complaints(&validator, "health", &documents), "");
}

#[test]
fn a_broken_database_is_degraded_and_one_that_is_not_there_yet_is_told() {
    let s = Sandbox::new();
    s.write("mlops.toml", "[project]\nname = \"shop\"\n");
    let health = json(&ok(&s, ["health", "--format", "json"]));
    assert_eq!((&health["checks"]["database"], health["status"].as_str()), (&Value::Null, Some("healthy")));
    assert!(!s.work().join(".kf/state.db").exists(), "asking makes no state");
    ok(&s, ["init"]);
    std::fs::write(s.work().join(".kf/state.db"), "this is not a database, however long it is").expect("spoilt");
    let health = json(&ends(&s, 3, ["health", "--format", "json"]));
    assert_eq!(health["checks"]["database"], false);
    s.write(
        "mlops.toml",
        "[project]\nname = \"shop\"\n[state]\nurl = \"postgres://kf@127.0.0.1:1/kf\"\n[health]\ntimeout = \"20s\"\n",
    );
    assert_eq!(json(&ends(&s, 3, ["health", "--format", "json"]))["checks"]["database"], false);
}

/// A gateway that was killed is degraded; so is nginx where nobody answers. A cluster is asked only by a check of its name.
#[test]
fn what_splits_traffic_is_asked() {
    let (s, address, nobody) = (&Sandbox::new(), service(), free_port());
    let place = repository(s);
    let cluster = "[target.far]\nkind = \"kubernetes\"\nby = \"service\"\ncontext = \"prod\"\nservice = \"bot\"\ndeployments = [\"a\", \"b\"]\n";
    let behind = "url = \"http://127.0.0.1:9{major}{minor}{patch}\"\n";
    let web = format!("[target.web]\nkind = \"nginx\"\nfile = \"web.conf\"\nprobe = \"http://{address}/ready\"\n{behind}");
    let edge = format!(
        "[target.edge]\nkind = \"envoy\"\ndir = \"edge\"\nadmin = \"{address}\"\nprobe = \"http://{address}/\"\n{behind}"
    );
    configure(s, &place, &format!("{cluster}{web}{edge}"));
    let mut gateway = Gateway::serving(s);
    let health = json(&ok(s, ["health", "--format", "json"]));
    let of = |health: &Value| ["local", "far", "web", "edge"].map(|name| health["checks"][format!("target_{name}")].clone());
    assert_eq!(of(&health), [json!(true), Value::Null, json!(true), json!(true)], "{health}");
    let told = |health: &Value| health["details"]["target_local"]["told"].as_str().unwrap_or_default().to_owned();
    assert_eq!(told(&health), format!("the gateway at 127.0.0.1:{} serves bot@1.0.0", place.admin));
    assert_eq!(health["details"]["target_far"]["standing"], "not-asked");
    gateway.child.kill().expect("killed");
    gateway.ended();
    configure(
        s,
        &place,
        &format!(
            "[health.checks.target_far]\ncommand = [\"true\"]\n{cluster}{}",
            web.replace(&address.to_string(), &format!("127.0.0.1:{nobody}"))
        ),
    );
    let down = json(&ends(s, 3, ["health", "--format", "json"]));
    assert_eq!(of(&down), [json!(false), json!(true), json!(false), Value::Null], "{down}");
    assert_eq!(
        (down["status"].as_str(), down["details"]["target_local"]["hint"].as_str()),
        (Some("degraded"), Some("`kf gateway run --target local` starts it"))
    );
    fit("health", &[health, down]);
}

#[test]
fn what_cannot_be_asked_is_refused() {
    let s = Sandbox::new();
    for (text, why) in [
        ("[health]\ntimeout = \"0s\"", "`health.timeout` must not be zero"),
        ("[health.checks.a]", "needs one of `url` and `command`"),
        ("[health.checks.a]\nurl = \"http://h\"\ncommand = [\"x\"]", "needs one of `url` and `command`"),
        ("[health.checks.a]\ncommand = []", "needs one of `url` and `command`"),
        ("[health.checks.a]\nurl = \"redis://h:1\"", "must be a URL with `https://` or `http://` or `tcp://`"),
        ("[health.checks.a]\nurl = \"tcp://h\"", "has no port"),
        ("[health.checks.a]\nurl = \"tcp://h:1\"\ntoken = \"env:T\"", "is for `http` and `https`"),
        ("[health.checks.a]\ncommand = [\"x\"]\ntoken = \"env:T\"", "is for `url`"),
        ("[health.checks.a]\nurl = \"http://u:hunter2@h\"", "holds a secret"),
    ] {
        s.write("mlops.toml", format!("[project]\nname = \"shop\"\n{text}\n"));
        let run = ends(&s, 2, ["health"]);
        assert!(run.stderr.contains(why) && !run.stderr.contains("hunter2"), "{why}: {run}");
    }
}
