//! What a cluster needs.
//!
//! Names are checked as the API server does it (RFC 1123), so that none can be taken for an option of `kubectl`.

use super::RawTarget;
use crate::base::name::{Name, words};
use crate::config::check::Checker;
use crate::config::diag::{Diagnostic, Spot};
use crate::config::leaf::word_leaf;
use crate::config::shape::{At, Item, Part as _};
use std::num::NonZeroU32;

/// The longest name of an object (Kubernetes, "Object Names and IDs").
const OBJECT_NAME_MAX: usize = 253;

words! {
    /// By what a cluster splits traffic.
    SplitBy, "way to split" {
        /// The selector of a Service: all or nothing.
        Service = "service",
        /// The replicas of two Deployments behind one Service.
        Deployment = "deployment",
        /// Weights of an HTTPRoute of the Gateway API.
        HttpRoute = "httproute",
        /// A second Ingress with the canary annotations of ingress-nginx.
        Ingress = "ingress",
        /// Weights of a VirtualService of Istio.
        VirtualService = "virtualservice",
    }
}

word_leaf! { SplitBy, "way to split"; }

/// A cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubernetesTarget {
    /// The context of kubectl's configuration.
    pub context: String,
    /// The namespace.
    pub namespace: String,
    /// kubectl's configuration, when it is not where kubectl looks by itself; relative to the repository.
    pub kubeconfig: Option<String>,
    /// The program and its first arguments; not empty.
    pub kubectl: Vec<String>,
    /// The two Deployments that take turns; different ones.
    pub deployments: [String; 2],
    /// By what it splits.
    pub splits: Splits,
    /// The image of a version, with `{model}` and `{version}` for their names.
    pub image: Option<String>,
    /// The container that gets it; `None` for the only one.
    pub container: Option<String>,
    /// The pods of a version at full scale, of both together by [`Splits::Deployment`]; `None` for as many as serve now.
    pub replicas: Option<NonZeroU32>,
    /// Where tests reach a version before it has traffic, with `{model}`, `{version}` and `{deployment}` for their names.
    pub url: Option<String>,
}

/// By what a cluster splits, with the names that it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Splits {
    /// The selector of a Service.
    Service {
        /// The Service.
        service: String,
        /// The label of its selector that is changed.
        label: String,
    },
    /// Replicas; `replicas` of the target is at least 2 then.
    Deployment {
        /// The Service that selects the pods of both.
        service: String,
    },
    /// Weights in the backends of a route of this kind (not [`SplitBy::Service`] or [`SplitBy::Deployment`]).
    Route {
        /// Its kind.
        by: SplitBy,
        /// The route.
        route: String,
        /// The Services of the two Deployments, in their order; different ones.
        services: [String; 2],
    },
}

impl RawTarget {
    pub(super) fn kubernetes(&self, name: &Name, cx: &mut Checker<'_>) -> Option<KubernetesTarget> {
        let Some(by) = &self.by else {
            let all = SplitBy::ALL.iter().map(|by| format!("`{by}`")).collect::<Vec<_>>().join(", ");
            return self.lacks(name, cx, "by", &format!("add `by = \"httproute\"`; there are {all}"));
        };
        self.unused_by(name, by, cx);
        let context = match &self.context {
            Some(at) if !at.value.is_empty() => Some(at.value.clone()),
            _ => self.lacks(name, cx, "context", "`kubectl config get-contexts -o name` shows those that there are"),
        };
        let deployments = self.pair(name, "deployments", self.deployments.as_ref(), cx);
        let splits = self.splits(name, by.value, cx);
        let kubectl = self.program(name, cx);
        let namespace = object_name(name, "namespace", &self.namespace.value, &self.namespace.spot, cx);
        let container = self.container.as_ref().map(|at| object_name(name, "container", &at.value, &at.spot, cx));
        let url = self.url.as_ref().map(|at| {
            let help = "headers with secrets are set by whoever asks, not in the address";
            cx.url(&format!("target.{name}.url"), at, &["http", "https"], help)
        });
        if let Some(at) =
            self.image.as_ref().filter(|at| !at.value.contains("{version}") || at.value.contains(char::is_whitespace))
        {
            let help = "write the image with `{version}` where the version stands: `registry.example.org/bot:{version}`";
            cx.refuse(&at.spot, format!("`target.{name}.image` does not tell one version from another"), help);
        }
        Some(KubernetesTarget {
            context: context?,
            namespace: namespace?,
            kubeconfig: self.kubeconfig.as_ref().map(|at| at.value.clone()),
            kubectl: kubectl?,
            deployments: deployments?,
            splits: splits?,
            image: self.image.as_ref().map(|at| at.value.clone()),
            container: match container {
                Some(container) => Some(container?),
                None => None,
            },
            replicas: self.replicas.as_ref().map(|at| at.value),
            url: match url {
                Some(url) => Some(url?),
                None => None,
            },
        })
    }

    fn program(&self, name: &Name, cx: &mut Checker<'_>) -> Option<Vec<String>> {
        let Some(at) = &self.kubectl else { return Some(vec!["kubectl".to_owned()]) };
        let words: Vec<String> = at.value.iter().map(|item| item.value.clone()).collect();
        if words.first().is_none_or(String::is_empty) {
            cx.refuse(&at.spot, format!("`target.{name}.kubectl` names no program"), "write `kubectl = [\"kubectl\"]`");
            return None;
        }
        Some(words)
    }

    fn splits(&self, name: &Name, by: SplitBy, cx: &mut Checker<'_>) -> Option<Splits> {
        match by {
            SplitBy::Service => {
                let service = self.named(name, "service", self.service.as_ref(), cx);
                Some(Splits::Service { service: service?, label: self.label.value.clone() })
            }
            SplitBy::Deployment => {
                let service = self.named(name, "service", self.service.as_ref(), cx);
                if self.replicas.as_ref().is_none_or(|at| at.value.get() < 2) {
                    let title = format!("`target.{name}` splits by replicas and needs at least two of them");
                    let spot = self.replicas.as_ref().map_or(&self.kind.spot, |at| &at.spot);
                    cx.refuse(spot, title, "add `replicas = 10`: the pods of both versions together, so that 10 % can be had");
                    return None;
                }
                Some(Splits::Deployment { service: service? })
            }
            by => {
                let route = self.named(name, "route", self.route.as_ref(), cx);
                let services = self.pair(name, "services", self.services.as_ref(), cx);
                Some(Splits::Route { by, route: route?, services: services? })
            }
        }
    }

    /// Refuses keys that another way to split would need.
    fn unused_by(&self, name: &Name, by: &At<SplitBy>, cx: &mut Checker<'_>) {
        let routes = [SplitBy::HttpRoute, SplitBy::Ingress, SplitBy::VirtualService];
        for (given, key, ways) in [
            (self.service.given(), "service", &[SplitBy::Service, SplitBy::Deployment] as &[SplitBy]),
            (self.label.given(), "label", &[SplitBy::Service]),
            (self.services.given(), "services", &routes),
            (self.route.given(), "route", &routes),
        ] {
            if !ways.contains(&by.value) {
                let title = format!("`target.{name}.{key}` is of no use to a split by `{}`", by.value);
                cx.unused(given, by, title);
            }
        }
    }

    /// Reports that a key is not there.
    fn lacks<T>(&self, name: &Name, cx: &mut Checker<'_>, key: &str, help: &str) -> Option<T> {
        let title = format!("`target.{name}` needs `{key}`");
        cx.absent(Diagnostic::new(title).at(&self.kind.spot).help(help));
        None
    }

    /// The name of one object.
    fn named(&self, name: &Name, key: &str, at: Option<&At<String>>, cx: &mut Checker<'_>) -> Option<String> {
        match at {
            Some(at) => object_name(name, key, &at.value, &at.spot, cx),
            None => self.lacks(name, cx, key, &format!("add `{key} = \"NAME\"`")),
        }
    }

    /// The names of two different objects.
    fn pair(&self, name: &Name, key: &str, at: Option<&At<Vec<Item<String>>>>, cx: &mut Checker<'_>) -> Option<[String; 2]> {
        let Some(at) = at else {
            return self.lacks(name, cx, key, &format!("add `{key} = [\"bot-blue\", \"bot-green\"]`"));
        };
        let names: Option<Vec<String>> =
            at.value.iter().map(|item| object_name(name, key, &item.value, &item.spot, cx)).collect();
        match <[String; 2]>::try_from(names?) {
            Ok([first, second]) if first != second => Some([first, second]),
            _ => {
                let title = format!("`target.{name}.{key}` must name two different objects");
                cx.refuse(&at.spot, title, "one serves while the other gets the next version: `[\"bot-blue\", \"bot-green\"]`");
                None
            }
        }
    }
}

/// A name as the API server takes it: lower-case letters, digits, `-` and `.`, a letter or digit at both ends.
fn object_name(target: &Name, key: &str, text: &str, spot: &Spot, cx: &mut Checker<'_>) -> Option<String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let ends = text.starts_with(plain) && text.ends_with(plain);
    if ends && text.len() <= OBJECT_NAME_MAX && text.chars().all(|c| plain(c) || matches!(c, '-' | '.')) {
        return Some(text.to_owned());
    }
    let title = format!("`target.{target}.{key}` is not a name that Kubernetes has");
    cx.refuse(spot, title, "use lower-case letters, digits, `-` and `.`, with a letter or digit at both ends");
    None
}
