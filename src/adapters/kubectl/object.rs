//! Objects of the API as JSON: what is looked up in them, and the parts of JSON patches (RFC 6902) for them. Pure.

use serde_json::{Value, json};

/// What a target works with, as it was last seen.
#[derive(Clone, Debug)]
pub(super) struct World {
    /// The two Deployments, in the order of the configuration.
    pub(super) deployments: [Value; 2],
    /// What else the way to split needs, as far as it is there.
    pub(super) others: Vec<Value>,
}

impl World {
    /// The object of this kind and name among the others.
    pub(super) fn other(&self, kind: &str, name: &str) -> Option<&Value> {
        self.others.iter().find(|o| is(o, kind, name))
    }

    /// Puts an object as it is now in the place of what was seen before.
    pub(super) fn update(&mut self, object: Value) {
        let (kind, name) = (object["kind"].as_str().unwrap_or_default().to_owned(), name(&object).to_owned());
        let known = self.deployments.iter_mut().chain(self.others.iter_mut()).find(|o| is(o, &kind, &name));
        match known {
            Some(known) => *known = object,
            None => self.others.push(object),
        }
    }
}

/// True for an object of this kind and name.
pub(super) fn is(object: &Value, kind: &str, wanted: &str) -> bool {
    object["kind"] == kind && name(object) == wanted
}

/// The name of an object.
pub(super) fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

/// The version of an object as the server counts it; changes with its status, too.
pub(super) fn resource_version(object: &Value) -> &str {
    object["metadata"]["resourceVersion"].as_str().unwrap_or_default()
}

/// The generation of an object: changes with what is wanted of it, not with its status.
pub(super) fn generation(object: &Value) -> i64 {
    object["metadata"]["generation"].as_i64().unwrap_or_default()
}

/// True when the controller of an object has seen its newest generation.
pub(super) fn observed(object: &Value) -> bool {
    object["status"]["observedGeneration"].as_i64().unwrap_or_default() >= generation(object)
}

/// The most that a number of the API may be: it has 32 bits there, and sums of what is larger could overflow here.
pub(super) const NUMBER_MAX: u64 = u32::MAX as u64;

/// A whole number; absent is 0.
pub(super) fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default().min(NUMBER_MAX)
}

/// The elements of a list; absent is none.
pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The condition of this type in a list of conditions.
pub(super) fn condition<'v>(conditions: &'v Value, kind: &str) -> Option<&'v Value> {
    list(conditions).iter().find(|c| c["type"] == kind)
}

/// `REASON: MESSAGE` of a condition or a state of a container, as much as there is.
pub(super) fn told(value: &Value) -> String {
    let words = ["reason", "message"].into_iter().filter_map(|key| value[key].as_str()).filter(|w| !w.is_empty());
    words.collect::<Vec<_>>().join(": ")
}

/// True when these labels have all that a selector of equal values asks for.
pub(super) fn selects(selector: &Value, labels: &Value) -> bool {
    let Some(wanted) = selector.as_object().filter(|s| !s.is_empty()) else { return false };
    wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// A selector of labels (`matchLabels`, `matchExpressions`) as `--selector` takes it.
pub(super) fn selector_text(selector: &Value) -> String {
    let labels = selector["matchLabels"].as_object().into_iter().flatten();
    let mut parts: Vec<String> = labels.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    for expression in list(&selector["matchExpressions"]) {
        let key = expression["key"].as_str().unwrap_or_default();
        let values = list(&expression["values"]).iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",");
        parts.push(match expression["operator"].as_str() {
            Some("In") => format!("{key} in ({values})"),
            Some("NotIn") => format!("{key} notin ({values})"),
            Some("DoesNotExist") => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    parts.join(",")
}

/// A part of a JSON pointer (RFC 6901).
pub(super) fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// The change is only made while this is so.
pub(super) fn test(path: &str, value: &Value) -> Value {
    json!({"op": "test", "path": path, "value": value})
}

/// The change is only made while what is wanted of the object is as it was seen: by its generation, which reports of
/// controllers leave alone; by its resource version where a kind has none (Services).
pub(super) fn unchanged(object: &Value) -> Value {
    let by = if object["metadata"]["generation"].is_i64() { "generation" } else { "resourceVersion" };
    test(&format!("/metadata/{by}"), &object["metadata"][by])
}

/// A patch that changes nothing when it is only tried, but would be refused like the real change.
pub(super) fn rehearsal(object: &Value) -> Value {
    let annotations = annotate("/metadata", &object["metadata"], &[("kf.dev/rehearsal", "true".to_owned())]);
    std::iter::once(unchanged(object)).chain(annotations).collect()
}

/// Sets a member, whether it is there or not; what it is in must be there.
pub(super) fn set(path: &str, value: Value) -> Value {
    json!({"op": "add", "path": path, "value": value})
}

/// Takes a member out, which must be there.
pub(super) fn remove(path: &str) -> Value {
    json!({"op": "remove", "path": path})
}

/// Sets annotations of the object at `path` (that of its `metadata`), whose value is `metadata`.
pub(super) fn annotate(path: &str, metadata: &Value, annotations: &[(&str, String)]) -> Vec<Value> {
    let mut ops = Vec::new();
    if !metadata["annotations"].is_object() {
        ops.push(set(&format!("{path}/annotations"), json!({})));
    }
    let one = |(key, value): &(&str, String)| set(&format!("{path}/annotations/{}", escaped(key)), json!(value));
    ops.extend(annotations.iter().map(one));
    ops
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_without_keys_selects_nothing() {
        let labels = json!({"app": "bot", "track": "blue"});
        assert!(selects(&json!({"app": "bot"}), &labels));
        for selector in [json!({}), json!(null), json!({"app": "bot", "track": "green"}), json!({"tier": "x"})] {
            assert!(!selects(&selector, &labels), "{selector}");
        }
    }

    #[test]
    fn selectors_are_written_as_kubectl_takes_them() {
        let selector = json!({"matchLabels": {"app": "bot"}, "matchExpressions": [
            {"key": "track", "operator": "In", "values": ["blue", "teal"]},
            {"key": "old", "operator": "DoesNotExist"},
            {"key": "team", "operator": "Exists"},
        ]});
        assert_eq!(selector_text(&selector), "app=bot,track in (blue,teal),!old,team");
    }

    /// The example of RFC 6901 §5.
    #[test]
    fn keys_are_escaped_in_pointers() {
        let document = json!({"a/b": 1, "m~n": 8});
        assert_eq!(document.pointer(&format!("/{}", escaped("a/b"))), Some(&json!(1)));
        assert_eq!(document.pointer(&format!("/{}", escaped("m~n"))), Some(&json!(8)));
    }
}
