//! HTTPRoute (Gateway API, `gateway.networking.k8s.io`). Pure.

use super::object::{condition, generation, list, name, remove, set, told};
use super::way::Effect;
use super::weights::{Kind, Shape};
use crate::base::weight::Weight;
use crate::seams::traffic::Asked;
use serde_json::{Value, json};

/// The kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct HttpRoute;

/// The filter that copies a part of the requests to a backend.
fn mirror(backend: &Value, part: Weight) -> Value {
    let mut to = backend.clone();
    if let Some(members) = to.as_object_mut() {
        members.retain(|key, _| ["group", "kind", "name", "namespace", "port"].contains(&key.as_str()));
    }
    let mut filter = json!({"type": "RequestMirror", "requestMirror": {"backendRef": to}});
    if part != Weight::FULL {
        filter["requestMirror"]["fraction"] = json!({"numerator": part.hundredths(), "denominator": Weight::FULL.hundredths()});
    }
    filter
}

/// A reference to a parent with the defaults of the API (`ParentReference`).
fn whole(parent: &Value, route: &Value) -> Value {
    let or = |key: &str, default: &Value| parent.get(key).filter(|v| !v.is_null()).unwrap_or(default).clone();
    json!([
        or("group", &json!(HttpRoute::SHAPE.group)),
        or("kind", &json!("Gateway")),
        or("namespace", &route["metadata"]["namespace"]),
        parent["name"],
        parent["sectionName"],
        parent["port"],
    ])
}

/// What one condition of a gateway's report says of the newest route. Without a generation it counts for every one: the API
/// leaves it to the controller.
fn report(parent: &Value, kind: &str, route: &Value) -> Effect {
    let gateway = parent["parentRef"]["name"].as_str().unwrap_or_default();
    let Some(found) = condition(&parent["conditions"], kind).filter(|c| c["status"] != "Unknown") else {
        return Effect::NotYet(format!("gateway `{gateway}` does not say {kind} yet"));
    };
    if found["observedGeneration"].as_i64().is_some_and(|seen| seen < generation(route)) {
        return Effect::NotYet(format!("gateway `{gateway}` has not seen the newest HTTPRoute `{}` yet", name(route)));
    }
    if found["status"] == "True" {
        return Effect::Seen;
    }
    Effect::Never(format!("gateway `{gateway}` does not take HTTPRoute `{}`: {}", name(route), told(found)))
}

impl Kind for HttpRoute {
    /// An absent weight is 1 (Gateway API, `HTTPBackendRef`).
    const SHAPE: Shape = Shape {
        kind: "HTTPRoute",
        group: "gateway.networking.k8s.io",
        resource: "httproutes",
        rules: "rules",
        backends: "backendRefs",
        name: "/name",
        absent: 1,
    };

    fn means(name: &str, service: &str, _namespace: &str) -> bool {
        name == service
    }

    fn allows(_weight: Weight) -> Asked<()> {
        Ok(())
    }

    /// By what the gateways say that the route names as its parents. Where none reports, nothing else would ever come: other
    /// controllers (the Gateway API plugin of Argo Rollouts) do not even ask.
    fn effect(route: &Value) -> Effect {
        let asked: Vec<Value> = list(&route["spec"]["parentRefs"]).iter().map(|parent| whole(parent, route)).collect();
        let reports = list(&route["status"]["parents"]).iter();
        // Of a gateway that the route does not name any more a last report may stay for ever.
        let reports: Vec<&Value> = reports.filter(|p| asked.contains(&whole(&p["parentRef"], route))).collect();
        if reports.is_empty() {
            let why = format!("no gateway reports on HTTPRoute `{}`, so it goes by what is written there", name(route));
            return Effect::Untold(why);
        }
        let told = |parent: &&Value, kind: &str| report(parent, kind, route);
        let all = reports.iter().flat_map(|parent| ["Accepted", "ResolvedRefs"].map(|kind| told(parent, kind)));
        all.into_iter().find(|effect| *effect != Effect::Seen).unwrap_or(Effect::Seen)
    }

    fn copies(rule: &Value, path: &str, to: &Value, part: Weight, ours: &dyn Fn(&str) -> bool) -> Asked<Vec<Value>> {
        let filters = &rule["filters"];
        let target = |f: &Value| f["requestMirror"]["backendRef"]["name"].as_str().map(str::to_owned);
        let at = list(filters).iter().position(|f| f["type"] == "RequestMirror" && target(f).is_some_and(|name| ours(&name)));
        let wanted = mirror(to, part);
        // The server adds defaults to the backend, so it is compared by its name.
        let same =
            |f: &Value| target(f) == target(&wanted) && f["requestMirror"]["fraction"] == wanted["requestMirror"]["fraction"];
        Ok(match at {
            Some(at) if part == Weight::NONE => vec![remove(&format!("{path}/filters/{at}"))],
            Some(at) if same(&filters[at]) => Vec::new(),
            Some(at) => vec![json!({"op": "replace", "path": format!("{path}/filters/{at}"), "value": wanted})],
            None if part == Weight::NONE => Vec::new(),
            None if filters.is_array() => vec![set(&format!("{path}/filters/-"), wanted)],
            None => vec![set(&format!("{path}/filters"), json!([wanted]))],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(generation: i64, seen: i64, status: &str) -> Value {
        let condition =
            |kind: &str| json!({"type": kind, "status": status, "reason": "Why", "message": "so", "observedGeneration": seen});
        let namespace = json!({"name": "bot", "namespace": "rag", "generation": generation});
        json!({"metadata": namespace, "spec": {"parentRefs": [{"name": "front"}]}, "status": {"parents": [
            {"parentRef": {"name": "front"}, "conditions": [condition("Accepted"), condition("ResolvedRefs")]}]}})
    }

    #[test]
    fn weights_are_in_force_when_every_gateway_has_seen_them() {
        assert_eq!(HttpRoute::effect(&route(4, 4, "True")), Effect::Seen);
        assert!(matches!(HttpRoute::effect(&route(4, 3, "True")), Effect::NotYet(_)));
        let why = "gateway `front` does not take HTTPRoute `bot`: Why: so".to_owned();
        assert_eq!(HttpRoute::effect(&route(4, 4, "False")), Effect::Never(why));
        let silent = json!([{"parentRef": {"name": "front"}, "conditions": []}]);
        let mut quiet = route(4, 4, "True");
        quiet["status"]["parents"] = silent;
        assert!(matches!(HttpRoute::effect(&quiet), Effect::NotYet(_)));
        assert!(matches!(HttpRoute::effect(&route(4, 4, "Unknown")), Effect::NotYet(_)), "not looked at yet");
    }

    /// Conditions may come without a generation, parents with the defaults of the API.
    #[test]
    fn a_report_is_read_as_the_api_lets_it_be_written() {
        let mut plain = route(4, 3, "True");
        for condition in plain["status"]["parents"][0]["conditions"].as_array_mut().expect("conditions") {
            condition.as_object_mut().expect("an object").remove("observedGeneration");
        }
        plain["status"]["parents"][0]["parentRef"] =
            json!({"group": "gateway.networking.k8s.io", "kind": "Gateway", "namespace": "rag", "name": "front"});
        assert_eq!(HttpRoute::effect(&plain), Effect::Seen);
    }

    #[test]
    fn where_no_gateway_reports_it_is_said() {
        let untold = "no gateway reports on HTTPRoute `bot`, so it goes by what is written there";
        let mut nobody = route(4, 4, "True");
        nobody["status"] = Value::Null;
        assert_eq!(HttpRoute::effect(&nobody), Effect::Untold(untold.to_owned()));
        // The last report of a gateway that the route has left: nobody will ever bring it up to date.
        let mut left = route(9, 3, "False");
        left["spec"]["parentRefs"] = json!([{"name": "front", "sectionName": "https"}, {"name": "other"}]);
        assert_eq!(HttpRoute::effect(&left), Effect::Untold(untold.to_owned()));
    }

    #[test]
    fn copies_go_to_the_canary_once_and_end() {
        let to = json!({"name": "bot-green", "port": 8000, "weight": 0});
        let ours = |name: &str| name.starts_with("bot-");
        let copies = |rule: &Value, percent| {
            HttpRoute::copies(rule, "/spec/rules/0", &to, Weight::from_percent(percent).expect("a weight"), &ours)
                .expect("allowed")
        };
        let filter = json!({"type": "RequestMirror", "requestMirror": {
            "backendRef": {"name": "bot-green", "port": 8000}, "fraction": {"numerator": 1_000, "denominator": 10_000}}});
        let theirs = json!({"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "audit"}}});
        assert_eq!(copies(&json!({}), 10.0), [set("/spec/rules/0/filters", json!([filter]))]);
        assert_eq!(copies(&json!({"filters": [theirs]}), 10.0), [set("/spec/rules/0/filters/-", filter.clone())]);
        let both = json!({"filters": [theirs, filter]});
        assert!(copies(&both, 10.0).is_empty());
        assert_eq!(copies(&both, 20.0)[0]["path"], "/spec/rules/0/filters/1");
        assert_eq!(copies(&both, 0.0), [remove("/spec/rules/0/filters/1")]);
        assert!(copies(&json!({"filters": [theirs]}), 0.0).is_empty());
    }
}
