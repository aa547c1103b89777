//! The files that Envoy watches, as JSON, and what it says of them.
//!
//! Both are a `DiscoveryResponse` of Envoy's API v3: `routes.json` with one `RouteConfiguration`, `clusters.json` with a `Cluster`
//! for each version. `version_info` is the generation and a part of the digest of the rest, so that an edit is seen. The canary
//! comes first in `weighted_clusters`, whose weights always come to 10,000: a higher weight only moves sessions to it and a lower
//! one only back. `use_hash_policy` is what makes the choice of a cluster, not only of a host in it, go by the session.

use super::IDLE_SECONDS;
use super::split::{GENERATION, PROBE, Split, VERSION_COOKIE, VERSION_HEADER};
use crate::base::digest::Digest;
use crate::base::error::{Context, Error, Result};
use crate::base::name::Name;
use crate::base::version::Version;
use crate::base::weight::Weight;
use serde_json::{Value, json};
use url::Url;

const ROUTES: &str = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration";
const CLUSTER: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";

/// What of a target is in the files.
pub(super) struct Config {
    pub(super) target: Name,
    pub(super) sticky_header: Option<String>,
    pub(super) session_cookie: Option<String>,
}

impl Config {
    /// The name of the routes, which the listener of users asks for.
    pub(super) fn name(&self) -> String {
        format!("kf-{}", self.target.as_str().replace('.', "_"))
    }

    /// The name of a version's cluster; without dots, which would cut it short in Envoy's statistics.
    pub(super) fn cluster_name(&self, version: Version) -> String {
        format!("{}-{}_{}_{}", self.name(), version.major, version.minor, version.patch)
    }

    /// `clusters.json`: versions and where they answer.
    pub(super) fn clusters(&self, places: &[(Version, Url)]) -> String {
        let clusters: Vec<Value> = places.iter().map(|(v, url)| cluster(&self.cluster_name(*v), url)).collect();
        let digest = Digest::of(json!(clusters).to_string().as_bytes());
        response(&digest.short(), clusters)
    }

    /// `routes.json`.
    pub(super) fn routes(&self, split: &Split) -> String {
        let body = json!({
            "@type": ROUTES,
            "name": self.name(),
            "virtual_hosts": [{"name": self.name(), "domains": ["*"], "routes": self.list(split)}],
        });
        let version = version_info(split.generation, &body);
        response(&version, vec![body])
    }

    /// Whoever asks as kf, then whoever names a version by header, by cookie, and then everybody.
    fn list(&self, split: &Split) -> Vec<Value> {
        let exact = |name: &str, value: &str| json!({"name": name, "string_match": {"exact": value}});
        let pattern = |name: &str, regex: String| json!({"name": name, "string_match": {"safe_regex": {"regex": regex}}});
        let mut routes = vec![json!({
            "match": {"prefix": "/", "headers": [exact(PROBE, self.target.as_str())]},
            "direct_response": {"status": 200},
            "response_headers_to_add": [header(GENERATION, &split.line())],
        })];
        let named = [("canary", split.named()), ("stable", split.rest())];
        let named: Vec<_> = named.into_iter().filter_map(|(role, version)| Some((role, version?))).collect();
        let value = |role: &str, version: Version| format!("(?:{role}|{})", version.to_string().replace('.', "\\."));
        let by_header = named.iter().map(|(role, v)| (pattern(VERSION_HEADER, value(role, *v)), *v));
        let cookie = |value: String| format!("(?:.*;)?\\s*{VERSION_COOKIE}={value}\\s*(?:;.*)?");
        let by_cookie = named.iter().map(|(role, v)| (pattern("cookie", cookie(value(role, *v))), *v));
        routes.extend(by_header.chain(by_cookie).map(|(header, version)| {
            json!({
                "match": {"prefix": "/", "headers": [header]},
                "route": {"timeout": "0s", "cluster": self.cluster_name(version)},
                "response_headers_to_add": [given_by(version)],
            })
        }));
        routes.push(self.everybody(split));
        routes
    }

    fn everybody(&self, split: &Split) -> Value {
        let to = json!({"prefix": "/"});
        let Some(rest) = split.rest() else {
            // Before the first version there is nobody to ask.
            return json!({"match": to, "direct_response": {"status": 503}});
        };
        let canary = split.canary.filter(|_| split.stable.is_some());
        let shared = |version: Version, weight: u16| {
            let (name, given) = (self.cluster_name(version), given_by(version));
            json!({"name": name, "weight": weight, "response_headers_to_add": [given]})
        };
        let part = canary.map_or(0, |_| split.weight.hundredths());
        let mut clusters: Vec<Value> = canary.map(|version| shared(version, part)).into_iter().collect();
        clusters.push(shared(rest, Weight::FULL.hundredths() - part));
        let mut route = json!({
            "timeout": "0s",
            "hash_policy": self.sessions(split),
            "weighted_clusters": {"clusters": clusters, "use_hash_policy": true},
        });
        if let Some(canary) = canary.filter(|_| split.shadow > Weight::NONE) {
            let part = json!({"numerator": split.shadow.hundredths(), "denominator": "TEN_THOUSAND"});
            let policy = json!({"cluster": self.cluster_name(canary), "runtime_fraction": {"default_value": part}});
            route["request_mirror_policies"] = json!([policy]);
        }
        json!({"match": to, "route": route})
    }

    /// What keeps a session where it is: the header, which is salted, or else the cookie, which Envoy cannot salt.
    fn sessions(&self, split: &Split) -> Vec<Value> {
        let by_header = self.sticky_header.as_ref().map(|name| {
            let rewrite = json!({"pattern": {"regex": "^(.*)$"}, "substitution": format!("{}:\\1", split.salt())});
            json!({"header": {"header_name": name, "regex_rewrite": rewrite}, "terminal": true})
        });
        let by_cookie = self.session_cookie.as_ref().map(|name| json!({"cookie": {"name": name}}));
        by_header.into_iter().chain(by_cookie).collect()
    }

    /// What `routes.json` says, and whether it is as [`Config::routes`] made it.
    ///
    /// # Errors
    /// When it is another file.
    pub(super) fn parse(&self, text: &str) -> Result<(Split, bool)> {
        let file: Value = serde_json::from_str(text).context(|| "it is not JSON")?;
        let (version, body) = (file["version_info"].as_str().unwrap_or_default(), &file["resources"][0]);
        let split = self.split(body)?;
        Ok((split.clone(), version == version_info(split.generation, body)))
    }

    /// `routes.json` as [`Config::routes`] made it, from what an edited one still says of that.
    ///
    /// # Errors
    /// When it is another file.
    pub(super) fn unedited(&self, text: &str) -> Result<String> {
        let file: Value = serde_json::from_str(text).context(|| "it is not JSON")?;
        self.told(&file["resources"][0]).map(|split| self.routes(&split))
    }

    /// What routes say, in a file or in a dump of what Envoy goes by. The weight is read where Envoy reads it.
    ///
    /// # Errors
    /// When they are not kf's.
    pub(super) fn split(&self, routes: &Value) -> Result<Split> {
        let mut split = self.told(routes)?;
        if let (Some(canary), Some(_)) = (split.canary, split.stable) {
            split.weight = self.weight_in(list(routes), canary)?;
        }
        Ok(split)
    }

    /// The split as it was written.
    fn told(&self, routes: &Value) -> Result<Split> {
        let told = list(routes).first().and_then(|probe| probe["response_headers_to_add"][0]["header"]["value"].as_str());
        let told = told.filter(|_| routes["name"] == self.name().as_str());
        Split::from_line(told.ok_or_else(|| Error::new("its first route is not that of kf"))?)
    }

    fn weight_in(&self, list: &[Value], canary: Version) -> Result<Weight> {
        let clusters = list.iter().filter_map(|route| route["route"]["weighted_clusters"]["clusters"].as_array()).next_back();
        let clusters = clusters.ok_or_else(|| Error::new("its last route splits nothing"))?;
        // A weight of zero is left out of a dump, as every default is.
        let weight = |cluster: &Value| cluster["weight"].as_u64().unwrap_or(0);
        let (name, total) = (self.cluster_name(canary), clusters.iter().map(weight).fold(0, u64::saturating_add));
        let part = clusters.iter().filter(|c| c["name"] == name.as_str()).map(weight).fold(0, u64::saturating_add);
        let hundredths = u128::from(part) * 10_000 / u128::from(total.max(1));
        let weight = u16::try_from(hundredths).ok().and_then(Weight::from_hundredths);
        weight.ok_or_else(|| Error::new("its weights are none"))
    }

    /// The routes by which Envoy goes, with their `version_info`, in its dump; `None` when it has none of this target.
    pub(super) fn dumped<'a>(&self, dump: &'a Value) -> Option<(&'a str, &'a Value)> {
        let name = self.name();
        let found = dump["configs"].as_array()?.iter().find(|config| config["route_config"]["name"] == name.as_str())?;
        Some((found["version_info"].as_str().unwrap_or_default(), &found["route_config"]))
    }

    /// The versions whose clusters are in use, in a dump.
    pub(super) fn has_clusters(&self, dump: &Value, versions: &[Version]) -> bool {
        let configs = dump["configs"].as_array().map(Vec::as_slice).unwrap_or_default();
        let has = |name: String| configs.iter().any(|config| config["cluster"]["name"] == name.as_str());
        versions.iter().all(|&version| has(self.cluster_name(version)))
    }
}

/// The routes themselves.
fn list(routes: &Value) -> &[Value] {
    routes["virtual_hosts"][0]["routes"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// One version, found by its name; Envoy asks for it again as its record in the DNS says.
fn cluster(name: &str, url: &Url) -> Value {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let address = json!({"socket_address": {"address": host, "port_value": url.port_or_known_default().unwrap_or(80)}});
    json!({
        "@type": CLUSTER,
        "name": name,
        "type": "STRICT_DNS",
        "connect_timeout": "5s",
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "common_http_protocol_options": {"idle_timeout": format!("{IDLE_SECONDS}s")},
            "explicit_http_config": {"http_protocol_options": {}},
        }},
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    })
}

/// Generation and digest: what Envoy names as the version of routes.
fn version_info(generation: u64, body: &Value) -> String {
    format!("{generation}-{}", Digest::of(body.to_string().as_bytes()).short())
}

fn response(version: &str, resources: Vec<Value>) -> String {
    let mut text = serde_json::to_string_pretty(&json!({"version_info": version, "resources": resources})).expect("JSON");
    text.push('\n');
    text
}

fn header(name: &str, value: &str) -> Value {
    json!({"header": {"key": name, "value": value}})
}

fn given_by(version: Version) -> Value {
    header(VERSION_HEADER, &version.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn config() -> Config {
        Config { target: "web.eu".parse().expect("a name"), sticky_header: Some("x-session".to_owned()), session_cookie: None }
    }

    fn split(weight: u16) -> Split {
        let weight = Weight::from_hundredths(weight).expect("a weight");
        let (stable, canary) = (Some(Version::new(1, 0, 0)), Some(Version::new(1, 1, 0)));
        Split { generation: 7, stable, canary, weight, shadow: Weight::NONE, replaced: None }
    }

    #[test]
    fn an_edit_is_seen_and_its_weight_read() {
        let text = config().routes(&split(500));
        assert_eq!(config().parse(&text).expect("ours"), (split(500), true));
        let edited = text.replace("\"weight\": 500", "\"weight\": 9500");
        assert_eq!(config().parse(&edited).expect("ours"), (split(5_000), false), "weights are relative");
        let other = text.replace("\"timeout\": \"0s\"", "\"timeout\": \"9s\"");
        assert_eq!(config().parse(&other).expect("ours"), (split(500), false));
        for foreign in ["", "{}", "[]", "{\"resources\":[{\"name\":\"kf-web_eu\"}]}", "null"] {
            assert!(config().parse(foreign).is_err(), "{foreign}");
        }
        let elsewhere = Config { target: "web2".parse().expect("a name"), ..config() };
        assert!(elsewhere.parse(&text).is_err(), "of another target");
    }

    #[test]
    fn nobody_is_sent_to_a_version_that_is_not_there() {
        let all = |split: &Split| config().everybody(split)["route"]["weighted_clusters"]["clusters"].clone();
        let first = Split { stable: None, ..split(500) };
        assert_eq!((&all(&first)[0]["name"], &all(&first)[0]["weight"]), (&json!("kf-web_eu-1_1_0"), &json!(10_000)));
        assert_eq!(config().everybody(&Split { stable: None, ..split(0) })["direct_response"]["status"], 503);
        assert_eq!(config().everybody(&Split::of(None))["direct_response"]["status"], 503);
        assert_eq!(all(&Split::of(Some(Version::FIRST))).as_array().map(Vec::len), Some(1));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(weight in 0_u16..=10_000, shadow in 0_u16..=10_000) {
            let wanted = Split { shadow: Weight::from_hundredths(shadow).expect("a weight"), ..split(weight) };
            prop_assert_eq!(config().parse(&config().routes(&wanted)).expect("ours"), (wanted, true));
        }
    }
}
