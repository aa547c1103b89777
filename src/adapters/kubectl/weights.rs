//! By the weights of the backends in a route's rules, which HTTPRoute and VirtualService have under different names. Pure.
//!
//! Invariants: both weights are set in one patch, because they are relative to each other (10 beside 100 is 9.1 %); every index
//! is guarded by the name that stands there, because the lists have no keys; rules that do not split between the two Services are
//! left as they are. `spec.rules` is one field to server-side apply: applying a weight would take all rules from whoever owns
//! them, so it is a JSON patch, and who puts weights back (GitOps) is seen when the route is read.

use super::object::{NUMBER_MAX, World, generation, list, name, set, test, unchanged};
use super::rights::Right;
use super::track::{Parts, Roles, refused};
use super::way::{Change, Effect, Step, Way, beside, must_be_up, needed, parts_of};
use crate::base::weight::Weight;
use crate::seams::traffic::Asked;
use serde_json::{Value, json};

/// Where a kind of route has its rules, backends and names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) kind: &'static str,
    /// The group of its API.
    pub(super) group: &'static str,
    /// Its name in the API.
    pub(super) resource: &'static str,
    /// The member of `spec` with the rules.
    pub(super) rules: &'static str,
    /// The member of a rule with the backends.
    pub(super) backends: &'static str,
    /// The path of a Service's name in a backend.
    pub(super) name: &'static str,
    /// The weight of a backend that has none.
    pub(super) absent: u64,
}

/// What one kind of route has of its own.
pub(super) trait Kind: Send + Sync {
    /// Where it has its weights.
    const SHAPE: Shape;

    /// True when the name in a backend means this Service.
    fn means(name: &str, service: &str, namespace: &str) -> bool;

    /// Whether it can have this weight.
    fn allows(weight: Weight) -> Asked<()>;

    /// Whether what is set is in force.
    fn effect(route: &Value) -> Effect;

    /// The parts of a JSON patch after which a rule (at `path`) copies this part of its requests to the backend `to`, and to no
    /// other of those that `ours` tells; none when it does. Copies that somebody else sends elsewhere stay.
    fn copies(rule: &Value, path: &str, to: &Value, part: Weight, ours: &dyn Fn(&str) -> bool) -> Asked<Vec<Value>>;
}

/// A route that splits between two Services.
#[derive(Clone, Debug)]
pub(super) struct Weighted<K> {
    pub(super) kind: std::marker::PhantomData<K>,
    pub(super) route: String,
    pub(super) namespace: String,
    pub(super) services: [String; 2],
}

/// A rule that splits between the two Services.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    index: usize,
    /// The places of the two backends.
    places: [usize; 2],
    /// Their weights.
    parts: Parts,
}

impl Shape {
    fn path(&self, rule: usize) -> String {
        format!("/spec/{}/{rule}", self.rules)
    }

    fn backend(&self, rule: usize, place: usize) -> String {
        format!("{}/{}/{place}", self.path(rule), self.backends)
    }

    fn weight(&self, backend: &Value) -> u64 {
        backend["weight"].as_u64().unwrap_or(self.absent).min(NUMBER_MAX)
    }

    /// The parts of a JSON patch that set the weights of these rules; none when they are so.
    fn set(&self, route: &Value, rules: &[Rule], parts: Parts) -> Option<Value> {
        if rules.iter().all(|r| r.parts == parts) {
            return None;
        }
        let mut ops = vec![unchanged(route)];
        let each = || rules.iter().flat_map(|r| [0, 1].map(|i| (self.backend(r.index, r.places[i]), i)));
        for (path, _) in each() {
            let path = format!("{path}{}", self.name);
            ops.push(test(&path, route.pointer(&path).unwrap_or(&Value::Null)));
        }
        ops.extend(each().map(|(path, i)| set(&format!("{path}/weight"), json!(parts[i]))));
        Some(Value::Array(ops))
    }
}

impl<K: Kind> Weighted<K> {
    /// The places of the backends of a rule that mean one Service.
    fn places(&self, rule: &Value, track: usize) -> Vec<usize> {
        let backends = list(&rule[K::SHAPE.backends]).iter().enumerate();
        let means = |b: &Value| {
            let name = b.pointer(K::SHAPE.name).and_then(Value::as_str);
            name.is_some_and(|name| K::means(name, &self.services[track], &self.namespace))
        };
        backends.filter(|(_, b)| means(b)).map(|(place, _)| place).collect()
    }

    /// The rules that split between the two Services; not empty.
    fn splits(&self, route: &Value) -> Asked<Vec<Rule>> {
        let mut found = Vec::new();
        for (index, rule) in list(&route["spec"][K::SHAPE.rules]).iter().enumerate() {
            let named = [0, 1].map(|track| self.places(rule, track));
            let [&[first], &[second]] = named.each_ref().map(Vec::as_slice) else { continue };
            let (places, backends) = ([first, second], list(&rule[K::SHAPE.backends]));
            let others = backends.iter().enumerate().filter(|(i, _)| !places.contains(i));
            if others.map(|(_, b)| K::SHAPE.weight(b)).sum::<u64>() > 0 {
                let message = format!("rule {index} of {} `{}` has a third backend with traffic", K::SHAPE.kind, name(route));
                return refused(message, "set its weight to 0: kf splits between two");
            }
            found.push(Rule { index, places, parts: places.map(|place| K::SHAPE.weight(&backends[place])) });
        }
        if found.is_empty() {
            let [first, second] = &self.services;
            let message =
                format!("{} `{}` has no rule with both `{first}` and `{second}` as backends", K::SHAPE.kind, name(route));
            return refused(message, "name both in each rule that is to be split, the idle one with `weight: 0`");
        }
        Ok(found)
    }

    fn rules<'w>(&self, world: &'w World) -> Asked<(&'w Value, Vec<Rule>)> {
        let route = needed(world, K::SHAPE.kind, &self.route)?;
        Ok((route, self.splits(route)?))
    }

    fn object(&self) -> String {
        format!("{}.{}/{}", K::SHAPE.resource, K::SHAPE.group, self.route)
    }
}

impl<K: Kind> Way for Weighted<K> {
    fn describe(&self) -> String {
        format!("{} `{}`", K::SHAPE.kind, self.route)
    }

    fn objects(&self) -> Vec<String> {
        vec![self.object()]
    }

    fn rights(&self) -> Vec<Right> {
        ["get", "patch"].map(|verb| Right::named(verb, K::SHAPE.group, K::SHAPE.resource, &self.route)).to_vec()
    }

    fn allows(&self, weight: Weight) -> Asked<()> {
        K::allows(weight)
    }

    fn check(&self, world: &World) -> Asked<()> {
        self.rules(world).map(|_| ())
    }

    fn parts(&self, world: &World) -> Asked<Vec<Parts>> {
        Ok(self.rules(world)?.1.into_iter().map(|r| r.parts).collect())
    }

    fn service_of(&self, track: usize) -> Option<&str> {
        self.services.get(track).map(String::as_str)
    }

    fn effect(&self, world: &World) -> Effect {
        world.other(K::SHAPE.kind, &self.route).map_or(Effect::Seen, K::effect)
    }

    fn guard(&self, world: &World) -> String {
        // Not the resource version, which changes with every report of a gateway.
        world.other(K::SHAPE.kind, &self.route).map(generation).unwrap_or_default().to_string()
    }

    fn scale(&self, full: u64, weight: Weight) -> [u64; 2] {
        beside(full, weight)
    }

    fn step(&self, world: &World, roles: Roles, weight: Weight) -> Asked<Step> {
        K::allows(weight)?;
        let (route, rules) = self.rules(world)?;
        let parts = parts_of(weight, roles);
        let Some(ops) = K::SHAPE.set(route, &rules, parts) else { return Ok(Step::Done) };
        for (track, deployment) in world.deployments.iter().enumerate() {
            if rules.iter().any(|r| r.parts[track] < parts[track]) {
                must_be_up(deployment)?;
            }
        }
        Ok(Step::Change(Change::Patch(self.object(), ops)))
    }

    fn can_copy(&self) -> Asked<()> {
        Ok(())
    }

    fn shadow(&self, world: &World, roles: Roles, part: Weight) -> Asked<Step> {
        let (route, rules) = self.rules(world)?;
        let ours = |name: &str| self.services.iter().any(|service| K::means(name, service, &self.namespace));
        let copies = |rule: &Rule| {
            let value = &route["spec"][K::SHAPE.rules][rule.index];
            let to = &value[K::SHAPE.backends][rule.places[roles.canary]];
            K::copies(value, &K::SHAPE.path(rule.index), to, part, &ours)
        };
        let ops = rules.iter().map(copies).collect::<Asked<Vec<_>>>()?.concat();
        if ops.is_empty() {
            return Ok(Step::Done);
        }
        if part != Weight::NONE {
            must_be_up(&world.deployments[roles.canary])?;
        }
        Ok(Step::Change(Change::Patch(self.object(), std::iter::once(unchanged(route)).chain(ops).collect())))
    }
}

#[cfg(test)]
mod tests {
    use super::super::httproute::HttpRoute;
    use super::*;

    fn way() -> Weighted<HttpRoute> {
        let services = ["bot-blue".to_owned(), "bot-green".to_owned()];
        Weighted { kind: std::marker::PhantomData, route: "bot".into(), namespace: "rag".into(), services }
    }

    fn splits(rules: Value) -> Asked<Vec<Rule>> {
        way().splits(&json!({"kind": "HTTPRoute", "metadata": {"name": "bot"}, "spec": {"rules": rules}}))
    }

    fn backend(name: &str, weight: u64) -> Value {
        json!({"name": name, "port": 8000, "weight": weight})
    }

    #[test]
    fn only_rules_with_both_services_are_split() {
        let found = splits(json!([
            {"backendRefs": [backend("other", 1)]},
            {"matches": [{"headers": [{"name": "x-kf", "value": "canary"}]}], "backendRefs": [backend("bot-green", 1)]},
            {"backendRefs": [backend("bot-green", 5), {"name": "bot-blue"}, backend("old", 0)]},
        ]));
        assert_eq!(found.expect("one"), [Rule { index: 2, places: [1, 0], parts: [1, 5] }]);
        for (rules, why) in [
            (json!([{"backendRefs": [backend("bot-blue", 1)]}]), "no rule with both"),
            (json!(null), "no rule with both"),
            (json!([{"backendRefs": [backend("bot-blue", 1), backend("bot-green", 0), backend("x", 1)]}]), "a third backend"),
            (
                json!([{"backendRefs": [backend("bot-blue", 1), backend("bot-blue", 1), backend("bot-green", 0)]}]),
                "no rule with both",
            ),
        ] {
            let told = splits(rules).expect_err(why).into_error().to_string();
            assert!(told.contains(why), "{told}");
        }
    }

    #[test]
    fn both_weights_are_in_one_patch_behind_all_tests() {
        let route = json!({"metadata": {"name": "bot", "resourceVersion": "7"},
            "spec": {"rules": [{"backendRefs": [backend("bot-blue", 100), backend("bot-green", 0)]}]}});
        let rules = way().splits(&route).expect("one");
        assert_eq!(HttpRoute::SHAPE.set(&route, &rules, [100, 0]), None);
        let want = json!([
            {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
            {"op": "test", "path": "/spec/rules/0/backendRefs/0/name", "value": "bot-blue"},
            {"op": "test", "path": "/spec/rules/0/backendRefs/1/name", "value": "bot-green"},
            {"op": "add", "path": "/spec/rules/0/backendRefs/0/weight", "value": 95},
            {"op": "add", "path": "/spec/rules/0/backendRefs/1/weight", "value": 5},
        ]);
        assert_eq!(HttpRoute::SHAPE.set(&route, &rules, [95, 5]), Some(want));
    }
}
