//! By the canary annotations of ingress-nginx: beside the Ingress of the user stands one of kf, which takes the other Service's
//! part. Pure.
//!
//! Invariants: the main Ingress is changed only when a rollout is over and the canary has all of the traffic, its backends and
//! nothing else; kf's own Ingress is only made where none is, and goes when it has no traffic of its own.

use super::object::{NUMBER_MAX, World, escaped, list, resource_version, set, test};
use super::rights::Right;
use super::track::{Parts, Roles, refused};
use super::way::{Change, Step, Way, beside, must_be_up, needed, parts_of};
use crate::base::weight::Weight;
use crate::seams::traffic::Asked;
use serde_json::{Map, Value, json};

const GROUP: &str = "networking.k8s.io";
const CANARY: &str = "nginx.ingress.kubernetes.io/canary";
const WEIGHT: &str = "nginx.ingress.kubernetes.io/canary-weight";
const TOTAL: &str = "nginx.ingress.kubernetes.io/canary-weight-total";

/// An Ingress and its canary.
#[derive(Clone, Debug)]
pub(super) struct CanaryIngress {
    pub(super) route: String,
    pub(super) services: [String; 2],
}

/// What the two Ingresses are now.
struct Pair<'w> {
    main: &'w Value,
    /// The Service of the main one, by its Deployment's place.
    on: usize,
    canary: Option<&'w Value>,
    /// The Service of the canary one.
    tries: Option<usize>,
    weight: u64,
    total: u64,
}

/// Where the names of Services in the backends of an Ingress are, with the names.
fn backends(ingress: &Value) -> Vec<(String, &str)> {
    let mut paths = vec!["/spec/defaultBackend/service/name".to_owned()];
    for (i, rule) in list(&ingress["spec"]["rules"]).iter().enumerate() {
        let all = 0..list(&rule["http"]["paths"]).len();
        paths.extend(all.map(|j| format!("/spec/rules/{i}/http/paths/{j}/backend/service/name")));
    }
    paths.into_iter().filter_map(|path| ingress.pointer(&path).and_then(Value::as_str).map(|name| (path.clone(), name))).collect()
}

fn annotation<'v>(ingress: &'v Value, key: &str) -> Option<&'v str> {
    ingress["metadata"]["annotations"][key].as_str()
}

impl CanaryIngress {
    fn canary_name(&self) -> String {
        format!("{}-canary", self.route)
    }

    fn object(&self) -> String {
        format!("ingresses.{GROUP}/{}", self.route)
    }

    fn canary_object(&self) -> String {
        format!("ingresses.{GROUP}/{}", self.canary_name())
    }

    /// Which of the two Services an Ingress sends to.
    fn on(&self, ingress: &Value) -> Option<usize> {
        let names: Vec<&str> = backends(ingress).into_iter().map(|(_, name)| name).collect();
        match self.services.each_ref().map(|s| names.contains(&s.as_str())) {
            [true, false] => Some(0),
            [false, true] => Some(1),
            _ => None,
        }
    }

    fn pair<'w>(&self, world: &'w World) -> Asked<Pair<'w>> {
        let main = needed(world, "Ingress", &self.route)?;
        let Some(on) = self.on(main) else {
            let [first, second] = &self.services;
            let message = format!("Ingress `{}` does not send to one of `{first}` and `{second}`", self.route);
            return refused(message, "its paths for the model must name one of the two, and none the other");
        };
        let canary = world.other("Ingress", &self.canary_name());
        let number =
            |key: &str| canary.and_then(|c| annotation(c, key)).and_then(|v| v.parse::<u64>().ok()).map(|n| n.min(NUMBER_MAX));
        if canary.is_some_and(|c| annotation(c, CANARY) != Some("true")) {
            let message = format!("Ingress `{}` is there and no canary", self.canary_name());
            return refused(message, format!("rename it: kf makes one of that name beside `{}`", self.route));
        }
        // ingress-nginx: without a total it is 100, and no more than all of it counts.
        let total = number(TOTAL).filter(|t| *t > 0).unwrap_or(100);
        let weight = number(WEIGHT).unwrap_or(0).min(total);
        Ok(Pair { main, on, canary, tries: canary.and_then(|c| self.on(c)), weight, total })
    }

    /// The canary Ingress for a main one: the same hosts and paths, only those of the model, to the other Service.
    fn made(&self, pair: &Pair<'_>, [weight, total]: [u64; 2]) -> Value {
        let (from, to) = (&self.services[pair.on], &self.services[1 - pair.on]);
        let spec = &pair.main["spec"];
        let mut rules = Vec::new();
        for rule in list(&spec["rules"]) {
            let ours = list(&rule["http"]["paths"]).iter().filter(|p| p["backend"]["service"]["name"] == from.as_str());
            let mut paths: Vec<Value> = ours.cloned().collect();
            paths.iter_mut().for_each(|path| path["backend"]["service"]["name"] = json!(to));
            if !paths.is_empty() {
                let mut rule = rule.clone();
                rule["http"]["paths"] = json!(paths);
                rules.push(rule);
            }
        }
        let mut made = Map::new();
        for key in ["ingressClassName", "tls"] {
            spec.get(key).map(|value| made.insert(key.to_owned(), value.clone()));
        }
        if spec["defaultBackend"]["service"]["name"] == from.as_str() {
            let mut backend = spec["defaultBackend"].clone();
            backend["service"]["name"] = json!(to);
            made.insert("defaultBackend".to_owned(), backend);
        }
        if !rules.is_empty() {
            made.insert("rules".to_owned(), json!(rules));
        }
        let annotations = json!({CANARY: "true", WEIGHT: weight.to_string(), TOTAL: total.to_string()});
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
            "metadata": {"name": self.canary_name(), "annotations": annotations, "labels": {"app.kubernetes.io/managed-by": "kf"}},
            "spec": made})
    }

    /// The change of the canary Ingress to a weight.
    fn weighed(&self, canary: &Value, [weight, total]: [u64; 2]) -> Step {
        let path = |key: &str| format!("/metadata/annotations/{}", escaped(key));
        let mut ops = vec![test("/metadata/resourceVersion", &canary["metadata"]["resourceVersion"])];
        ops.extend(backends(canary).into_iter().map(|(path, name)| test(&path, &json!(name))));
        ops.extend([set(&path(WEIGHT), json!(weight.to_string())), set(&path(TOTAL), json!(total.to_string()))]);
        Step::Change(Change::Patch(self.canary_object(), Value::Array(ops)))
    }
}

impl Way for CanaryIngress {
    fn describe(&self) -> String {
        format!("Ingress `{}` and its canary", self.route)
    }

    fn objects(&self) -> Vec<String> {
        vec![self.object(), self.canary_object()]
    }

    fn rights(&self) -> Vec<Right> {
        let main = ["get", "patch"].map(|verb| Right::named(verb, GROUP, "ingresses", &self.route));
        let canary = ["get", "patch", "delete"].map(|verb| Right::named(verb, GROUP, "ingresses", &self.canary_name()));
        main.into_iter().chain(canary).chain([Right::all("create", GROUP, "ingresses")]).collect()
    }

    fn allows(&self, _weight: Weight) -> Asked<()> {
        Ok(())
    }

    fn check(&self, world: &World) -> Asked<()> {
        self.pair(world).map(|_| ())
    }

    fn parts(&self, world: &World) -> Asked<Vec<Parts>> {
        let pair = self.pair(world)?;
        let mut parts = [0; 2];
        parts[pair.on] = pair.total;
        if pair.tries == Some(1 - pair.on) {
            parts = [pair.weight; 2];
            parts[pair.on] = pair.total - pair.weight;
        }
        Ok(vec![parts])
    }

    fn service_of(&self, track: usize) -> Option<&str> {
        self.services.get(track).map(String::as_str)
    }

    fn guard(&self, world: &World) -> String {
        let of = |name: &str| world.other("Ingress", name).map_or("-", resource_version).to_owned();
        format!("{}/{}", of(&self.route), of(&self.canary_name()))
    }

    fn scale(&self, full: u64, weight: Weight) -> [u64; 2] {
        beside(full, weight)
    }

    fn step(&self, world: &World, roles: Roles, weight: Weight) -> Asked<Step> {
        let pair = self.pair(world)?;
        let parts = parts_of(weight, roles);
        let wanted = [parts[1 - pair.on], parts[0] + parts[1]];
        let now = if pair.tries == Some(1 - pair.on) { pair.weight } else { 0 };
        // Compared as shares: 5 of 100 is 500 of 10,000.
        if now * wanted[1] == wanted[0] * pair.total {
            return Ok(Step::Done);
        }
        let gets = if wanted[0] * pair.total > now * wanted[1] { 1 - pair.on } else { pair.on };
        must_be_up(&world.deployments[gets])?;
        match pair.canary {
            Some(canary) if pair.tries == Some(1 - pair.on) => Ok(self.weighed(canary, wanted)),
            // Left over from a rollout that ended: it sends where the main one does.
            Some(_) => Ok(Step::Change(Change::Delete(self.canary_object()))),
            None => Ok(Step::Change(Change::Create(self.made(&pair, wanted)))),
        }
    }

    fn close(&self, world: &World) -> Asked<Step> {
        let pair = self.pair(world)?;
        match pair.canary {
            None => Ok(Step::Done),
            Some(_) if pair.tries != Some(1 - pair.on) || pair.weight == 0 => {
                Ok(Step::Change(Change::Delete(self.canary_object())))
            }
            Some(_) if pair.weight == pair.total => {
                let (from, to) = (&self.services[pair.on], &self.services[1 - pair.on]);
                let mut ops = vec![test("/metadata/resourceVersion", &pair.main["metadata"]["resourceVersion"])];
                let ours: Vec<String> =
                    backends(pair.main).into_iter().filter(|(_, n)| n == from).map(|(path, _)| path).collect();
                ops.extend(ours.iter().map(|path| test(path, &json!(from))));
                ops.extend(ours.iter().map(|path| set(path, json!(to))));
                Ok(Step::Change(Change::Patch(self.object(), Value::Array(ops))))
            }
            Some(_) => {
                let message = format!("Ingress `{}` still has a part of the traffic", self.canary_name());
                refused(message, "give it all or none of it before the rollout ends")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLES: Roles = Roles { stable: 0, canary: 1 };

    fn way() -> CanaryIngress {
        CanaryIngress { route: "bot".into(), services: ["bot-blue".to_owned(), "bot-green".to_owned()] }
    }

    fn main() -> Value {
        let path = |path: &str, to: &str| json!({"path": path, "pathType": "Prefix", "backend": {"service": {"name": to, "port": {"number": 80}}}});
        json!({"kind": "Ingress", "metadata": {"name": "bot", "resourceVersion": "1"}, "spec": {"ingressClassName": "nginx",
            "tls": [{"hosts": ["bot.example.org"]}], "rules": [
                {"host": "bot.example.org", "http": {"paths": [path("/", "bot-blue"), path("/docs", "docs")]}},
                {"host": "docs.example.org", "http": {"paths": [path("/", "docs")]}}]}})
    }

    fn world(others: Vec<Value>) -> World {
        let one = |name: &str| json!({"kind": "Deployment", "metadata": {"name": name}, "spec": {"replicas": 2}, "status": {"readyReplicas": 2}});
        World { deployments: [one("bot-blue"), one("bot-green")], others }
    }

    fn weight(percent: f64) -> Weight {
        Weight::from_percent(percent).expect("a weight")
    }

    /// The canary has the paths of the model, and no others, whose main Ingress would otherwise lose them to it.
    #[test]
    fn a_canary_ingress_has_the_paths_of_the_model_only() {
        let step = way().step(&world(vec![main()]), ROLES, weight(5.0)).expect("a step");
        let Step::Change(Change::Create(made)) = step else { panic!("{step:?}") };
        assert_eq!(made["metadata"]["annotations"], json!({CANARY: "true", WEIGHT: "5", TOTAL: "100"}));
        assert_eq!((&made["spec"]["ingressClassName"], &made["spec"]["tls"]), (&json!("nginx"), &main()["spec"]["tls"]));
        assert_eq!(backends(&made), [("/spec/rules/0/http/paths/0/backend/service/name".to_owned(), "bot-green")]);
        assert_eq!(way().step(&world(vec![main()]), ROLES, Weight::NONE).expect("nothing to do"), Step::Done);
    }

    #[test]
    fn what_is_set_is_read_back_and_the_main_one_takes_over_at_the_end() {
        let mut canary = way().made(&way().pair(&world(vec![main()])).expect("a pair"), [25, 10_000]);
        canary["metadata"]["resourceVersion"] = json!("2");
        let parts = |others: Vec<Value>| way().parts(&world(others)).expect("parts");
        assert_eq!(parts(vec![main()]), [[100, 0]]);
        assert_eq!(parts(vec![main(), canary.clone()]), [[9_975, 25]]);
        assert!(way().close(&world(vec![main(), canary.clone()])).is_err(), "it has a part");
        canary["metadata"]["annotations"][WEIGHT] = json!("10000");
        assert_eq!(parts(vec![main(), canary.clone()]), [[0, 10_000]]);
        let Ok(Step::Change(Change::Patch(object, ops))) = way().close(&world(vec![main(), canary.clone()])) else {
            panic!("a patch")
        };
        assert_eq!((object.as_str(), ops.as_array().map(Vec::len)), ("ingresses.networking.k8s.io/bot", Some(3)));
        let mut moved = main();
        moved["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"] = json!("bot-green");
        assert_eq!(parts(vec![moved.clone(), canary.clone()]), [[0, 10_000]]);
        let gone = Step::Change(Change::Delete("ingresses.networking.k8s.io/bot-canary".to_owned()));
        assert_eq!(way().close(&world(vec![moved, canary])).expect("a step"), gone);
    }

    #[test]
    fn an_ingress_of_that_name_which_is_no_canary_is_left_alone() {
        let stranger = json!({"kind": "Ingress", "metadata": {"name": "bot-canary"}, "spec": {}});
        let told = way().check(&world(vec![main(), stranger])).expect_err("not ours").into_error().to_string();
        assert_eq!(told, "Ingress `bot-canary` is there and no canary");
    }
}
