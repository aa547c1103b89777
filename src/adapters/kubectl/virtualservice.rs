//! VirtualService of Istio (`networking.istio.io`). Its weights are whole percent. Pure.

use super::object::{remove, set};
use super::track::refused;
use super::way::Effect;
use super::weights::{Kind, Shape};
use crate::base::weight::Weight;
use crate::seams::traffic::Asked;
use serde_json::{Value, json};

/// The fields of a rule by which kf has copies made.
const OURS: [&str; 2] = ["mirror", "mirrorPercentage"];
/// Those by which others may.
const THEIRS: [&str; 3] = ["mirrors", "mirrorPercent", "mirror_percent"];

/// The kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct VirtualService;

impl Kind for VirtualService {
    /// Of several destinations one without a weight gets nothing (Istio, `HTTPRouteDestination`).
    const SHAPE: Shape = Shape {
        kind: "VirtualService",
        group: "networking.istio.io",
        resource: "virtualservices",
        rules: "http",
        backends: "route",
        name: "/destination/host",
        absent: 0,
    };

    /// A host is the short name of a Service, or its full one.
    fn means(name: &str, service: &str, namespace: &str) -> bool {
        let rest = name.strip_prefix(service);
        let full = |rest: &str| {
            rest.strip_prefix('.').and_then(|r| r.strip_prefix(namespace)).is_some_and(|r| r.is_empty() || r.starts_with(".svc"))
        };
        rest.is_some_and(|rest| rest.is_empty() || full(rest))
    }

    fn allows(weight: Weight) -> Asked<()> {
        if weight.hundredths().is_multiple_of(100) {
            return Ok(());
        }
        refused(
            format!("a VirtualService has weights in whole percent: {weight} cannot be had"),
            "write whole percent in the plan",
        )
    }

    /// Istio reports on nothing: what is set is what can be told.
    fn effect(_route: &Value) -> Effect {
        Effect::Seen
    }

    fn copies(rule: &Value, path: &str, to: &Value, part: Weight, ours: &dyn Fn(&str) -> bool) -> Asked<Vec<Value>> {
        let (to, is_ours) = (&to["destination"], rule["mirror"]["host"].as_str().is_some_and(ours));
        if part == Weight::NONE {
            let there = OURS.into_iter().filter(|key| is_ours && !rule[*key].is_null());
            return Ok(there.map(|key| remove(&format!("{path}/{key}"))).collect());
        }
        // There is one place for copies in a rule, and it may be somebody else's.
        let kept = if is_ours { &[][..] } else { &OURS[..] };
        if let Some(field) = kept.iter().chain(&THEIRS).find(|key| !rule[**key].is_null()) {
            let message = format!("`{field}` is set in `{path}` of the VirtualService, and not by kf");
            return refused(message, "take it out for the shadow: a rule of a VirtualService can copy to one place only");
        }
        if rule["mirror"] == *to && rule["mirrorPercentage"]["value"].as_f64() == Some(part.percent()) {
            return Ok(Vec::new());
        }
        let percent = json!({"value": part.percent()});
        Ok(vec![set(&format!("{path}/mirror"), to.clone()), set(&format!("{path}/mirrorPercentage"), percent)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_means_a_service_by_its_short_or_full_name() {
        for host in ["bot", "bot.rag", "bot.rag.svc", "bot.rag.svc.cluster.local"] {
            assert!(VirtualService::means(host, "bot", "rag") && !VirtualService::means(host, "bot-green", "rag"), "{host}");
        }
        for host in ["bot-green", "bot.other", "bot.ragged", "bot.example.org", "robot"] {
            assert!(!VirtualService::means(host, "bot", "rag"), "{host}");
        }
    }

    #[test]
    fn copies_go_to_the_canary_and_end() {
        let to = json!({"destination": {"host": "bot-green"}, "weight": 0});
        let ours = |host: &str| host.starts_with("bot-");
        let asked = |rule: &Value, percent| {
            VirtualService::copies(rule, "/spec/http/0", &to, Weight::from_percent(percent).expect("a weight"), &ours)
        };
        let copies = |rule: &Value, percent| asked(rule, percent).expect("allowed");
        let set_both = copies(&json!({}), 12.5);
        assert_eq!((&set_both[0]["value"], &set_both[1]["value"]), (&json!({"host": "bot-green"}), &json!({"value": 12.5})));
        let mirrored = json!({"mirror": {"host": "bot-green"}, "mirrorPercentage": {"value": 12.5}});
        assert!(copies(&mirrored, 12.5).is_empty());
        assert_eq!(copies(&mirrored, 0.0), [remove("/spec/http/0/mirror"), remove("/spec/http/0/mirrorPercentage")]);
        assert!(copies(&json!({}), 0.0).is_empty());
        for (field, value) in [
            ("mirror", json!({"host": "audit"})),
            ("mirrors", json!([{"destination": {"host": "audit"}}])),
            ("mirrorPercentage", json!({"value": 3.0})),
            ("mirrorPercent", json!(3)),
        ] {
            let theirs = json!({field: value});
            let told = asked(&theirs, 12.5).expect_err("somebody else's").into_error().to_string();
            assert_eq!(told, format!("`{field}` is set in `/spec/http/0` of the VirtualService, and not by kf"));
            assert!(copies(&theirs, 0.0).is_empty(), "what kf did not set it leaves");
        }
    }
}
