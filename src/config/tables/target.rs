//! `[target.<name>]`: where the traffic of a model is, and how a version of it is started there.
//!
//! One file a kind beside this one says what the kind needs; keys that several kinds have mean the same in each.

mod address;
mod envoy;
mod gateway;
mod kubernetes;
mod nginx;
mod proxy;
mod servers;

use crate::base::name::{Name, words};
use crate::config::check::{CheckNamed, Checker};
use crate::config::diag::{Diagnostic, Spot};
use crate::config::leaf::word_leaf;
use crate::config::secret::SecretRef;
use crate::config::shape::{At, Item, Layer, Part as _, Sub, table};
pub use address::Address;
pub use envoy::EnvoyTarget;
pub use gateway::{GatewayTarget, Serves};
pub use kubernetes::{KubernetesTarget, SplitBy, Splits};
pub use nginx::NginxTarget;
pub use proxy::ProxyRules;
pub use servers::Behind;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

words! {
    /// What splits the traffic.
    TargetKind, "kind of target" {
        /// `kf gateway run`.
        Gateway = "gateway",
        /// nginx on this machine.
        Nginx = "nginx",
        /// Envoy on this machine.
        Envoy = "envoy",
        /// A cluster, by `kubectl`.
        Kubernetes = "kubernetes",
    }
}

word_leaf! { TargetKind, "kind of target"; }

table! {
    /// As written.
    RawTarget {
        /// What splits the traffic: `gateway`, `nginx`, `envoy` or `kubernetes`.
        kind: At<TargetKind> = "kind", or TargetKind::Gateway;
        /// The model whose versions answer there; not needed when there is one model.
        model: Option<At<Name>> = "model";
        /// Where a version answers, with `{model}` and `{version}` for their names: `http://bot-{version}.internal:8000`. For
        /// `nginx` and `envoy` also with `{major}`, `{minor}` and `{patch}`; for `kubernetes` where tests reach it before it has
        /// traffic, with `{deployment}` too.
        url: Option<At<String>> = "url";
        /// The path that answers 2xx when a version can take traffic.
        ready: At<String> = "ready", or "/ready".to_owned();
        /// How long one request to whatever controls the traffic may take.
        timeout: At<Duration> = "timeout", or Duration::from_secs(5);
        /// Where users' requests come in (`gateway`).
        listen: At<String> = "listen", or "127.0.0.1:8080".to_owned();
        /// Where it is asked and told: an address of this machine, or for the gateway any with `admin-token` (`gateway`, `envoy`).
        admin: At<String> = "admin", or "127.0.0.1:8081".to_owned();
        /// What whoever asks the gateway must show, as `env:NAME` or `file:PATH` (`gateway`).
        admin_token: Option<At<SecretRef>> = "admin-token";
        /// The program that serves a version and its arguments; it listens on port `$PORT` of this machine (`gateway`).
        command: Option<At<Vec<Item<String>>>> = "command";
        /// How the gateway answers requests (`gateway`).
        proxy: Sub<proxy::RawProxy> = "proxy";
        /// Where users' requests come in, as a URL that kf may ask often: what answers there is what counts (`nginx`, `envoy`).
        probe: Option<At<String>> = "probe";
        /// The program that starts a version and its arguments, with `KF_VERSION` and `KF_URL` in its environment; without it
        /// versions run already (`nginx`, `envoy`).
        start: Option<At<Vec<Item<String>>>> = "start";
        /// The program that stops a version, likewise (`nginx`, `envoy`).
        stop: Option<At<Vec<Item<String>>>> = "stop";
        /// The header whose value keeps a session at its version.
        sticky_header: Option<At<String>> = "sticky-header";
        /// The cookie that does so where that header is absent; the gateway sets one of its own unless it is told another.
        session_cookie: Option<At<String>> = "session-cookie";
        /// The file that kf writes and the configuration of nginx includes (`nginx`).
        file: Option<At<String>> = "file";
        /// The program that says whether nginx takes its configuration; `nginx -t` (`nginx`).
        test: Option<At<Vec<Item<String>>>> = "test";
        /// The program that has nginx read its configuration again; `nginx -s reload` (`nginx`).
        reload: Option<At<Vec<Item<String>>>> = "reload";
        /// Whether the configuration of nginx has a location for copies of requests (`nginx`).
        mirror: At<bool> = "mirror", or false;
        /// The folder that Envoy watches and kf writes to (`envoy`).
        dir: Option<At<String>> = "dir";
        /// By what a cluster splits: `service`, `deployment`, `httproute`, `ingress` or `virtualservice` (`kubernetes`).
        by: Option<At<SplitBy>> = "by";
        /// The context of kubectl's configuration (`kubernetes`).
        context: Option<At<String>> = "context";
        /// The namespace (`kubernetes`).
        namespace: At<String> = "namespace", or "default".to_owned();
        /// kubectl's configuration, when it is not where kubectl looks by itself (`kubernetes`).
        kubeconfig: Option<At<String>> = "kubeconfig";
        /// The program `kubectl`, or what stands for it with its first arguments: `["k3s", "kubectl"]` (`kubernetes`).
        kubectl: Option<At<Vec<Item<String>>>> = "kubectl";
        /// The two Deployments that take turns: one serves, the other gets the next version (`kubernetes`).
        deployments: Option<At<Vec<Item<String>>>> = "deployments";
        /// The Service that is switched (by `service`), or that selects the pods of both (by `deployment`).
        service: Option<At<String>> = "service";
        /// The label in which the pods of the two Deployments differ (by `service`).
        label: At<String> = "label", or "track".to_owned();
        /// The Services of the two Deployments, in their order (by `httproute`, `ingress` and `virtualservice`).
        services: Option<At<Vec<Item<String>>>> = "services";
        /// The HTTPRoute, Ingress or VirtualService that splits between the two Services.
        route: Option<At<String>> = "route";
        /// The image of a version, with `{model}` and `{version}`; without it only the annotations of the pods change (`kubernetes`).
        image: Option<At<String>> = "image";
        /// The container that gets the image; not needed when there is one (`kubernetes`).
        container: Option<At<String>> = "container";
        /// The pods of a version at full scale, of both together by `deployment` (`kubernetes`).
        replicas: Option<At<NonZeroU32>> = "replicas";
    }
}

/// Where the traffic of a model is.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// The name.
    pub name: Name,
    /// The model whose versions answer there.
    pub model: Name,
    /// The path that answers 2xx when a version can take traffic; begins with `/`.
    pub ready: String,
    /// How long one request to whatever controls the traffic may take; not zero.
    pub timeout: Duration,
    /// What splits it.
    pub splitter: Splitter,
}

/// What splits traffic, with what that kind needs.
#[derive(Clone, Debug, PartialEq)]
pub enum Splitter {
    /// `kf gateway run`.
    Gateway(GatewayTarget),
    /// nginx.
    Nginx(NginxTarget),
    /// Envoy.
    Envoy(EnvoyTarget),
    /// A cluster.
    Kubernetes(KubernetesTarget),
}

impl Target {
    /// What the embedded gateway needs, when it is one.
    pub fn gateway(&self) -> Option<&GatewayTarget> {
        match &self.splitter {
            Splitter::Gateway(gateway) => Some(gateway),
            _ => None,
        }
    }

    /// The kind that was written.
    pub fn kind(&self) -> TargetKind {
        match self.splitter {
            Splitter::Gateway(_) => TargetKind::Gateway,
            Splitter::Nginx(_) => TargetKind::Nginx,
            Splitter::Envoy(_) => TargetKind::Envoy,
            Splitter::Kubernetes(_) => TargetKind::Kubernetes,
        }
    }
}

impl CheckNamed for RawTarget {
    type Plain = Target;
    fn check(&self, name: &Name, key: &Spot, cx: &mut Checker<'_>) -> Option<Target> {
        if self.timeout.value.is_zero() {
            let title = format!("`target.{name}.timeout` must not be zero");
            cx.refuse(&self.timeout.spot, title, "write how long a request may take: `5s`");
        }
        if !self.ready.value.starts_with('/') {
            let title = format!("`target.{name}.ready` must be a path");
            cx.refuse(&self.ready.spot, title, "write it from the `/` on: `/ready`");
        }
        self.refuse_unused(name, cx);
        let splitter = match self.kind.value {
            TargetKind::Gateway => self.gateway(name, cx).map(Splitter::Gateway),
            TargetKind::Nginx => self.nginx(name, cx).map(Splitter::Nginx),
            TargetKind::Envoy => self.envoy(name, cx).map(Splitter::Envoy),
            TargetKind::Kubernetes => self.kubernetes(name, cx).map(Splitter::Kubernetes),
        };
        let model = self.model(name, key, cx)?;
        Some(Target {
            name: name.clone(),
            model,
            ready: self.ready.value.clone(),
            timeout: self.timeout.value,
            splitter: splitter?,
        })
    }
}

impl RawTarget {
    fn refuse_unused(&self, name: &Name, cx: &mut Checker<'_>) {
        use TargetKind::{Envoy, Gateway, Kubernetes, Nginx};
        for (given, key, kinds) in [
            (self.url.given(), "url", &[Gateway, Nginx, Envoy, Kubernetes] as &[TargetKind]),
            (self.listen.given(), "listen", &[Gateway]),
            (self.admin.given(), "admin", &[Gateway, Envoy]),
            (self.admin_token.given(), "admin-token", &[Gateway]),
            (self.command.given(), "command", &[Gateway]),
            (self.probe.given(), "probe", &[Nginx, Envoy]),
            (self.start.given(), "start", &[Nginx, Envoy]),
            (self.stop.given(), "stop", &[Nginx, Envoy]),
            (self.sticky_header.given(), "sticky-header", &[Gateway, Nginx, Envoy]),
            (self.session_cookie.given(), "session-cookie", &[Gateway, Nginx, Envoy]),
            (self.file.given(), "file", &[Nginx]),
            (self.test.given(), "test", &[Nginx]),
            (self.reload.given(), "reload", &[Nginx]),
            (self.mirror.given(), "mirror", &[Nginx]),
            (self.dir.given(), "dir", &[Envoy]),
            (self.proxy.given(), "proxy", &[Gateway]),
            (self.by.given(), "by", &[Kubernetes]),
            (self.context.given(), "context", &[Kubernetes]),
            (self.namespace.given(), "namespace", &[Kubernetes]),
            (self.kubeconfig.given(), "kubeconfig", &[Kubernetes]),
            (self.kubectl.given(), "kubectl", &[Kubernetes]),
            (self.deployments.given(), "deployments", &[Kubernetes]),
            (self.service.given(), "service", &[Kubernetes]),
            (self.label.given(), "label", &[Kubernetes]),
            (self.services.given(), "services", &[Kubernetes]),
            (self.route.given(), "route", &[Kubernetes]),
            (self.image.given(), "image", &[Kubernetes]),
            (self.container.given(), "container", &[Kubernetes]),
            (self.replicas.given(), "replicas", &[Kubernetes]),
        ] {
            if !kinds.contains(&self.kind.value) {
                let kinds = kinds.iter().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(" and ");
                let this = if self.kind.layer == Layer::BuiltIn { "without `kind` this one is" } else { "this one is" };
                let title = format!("`target.{name}.{key}` is for targets of kind {kinds}, {this} `{}`", self.kind.value);
                cx.unused(given, &self.kind, title);
            }
        }
    }

    /// The model, which is told or the only one.
    fn model(&self, name: &Name, key: &Spot, cx: &mut Checker<'_>) -> Option<Name> {
        if let Some(at) = &self.model {
            cx.known_model(&at.value, &at.spot);
            return Some(at.value.clone());
        }
        let mut models = cx.models.keys();
        match (models.next(), models.next()) {
            (Some(only), None) => only.parse().ok(),
            _ => {
                let title = format!("`target.{name}` needs `model`");
                let help = format!("add `model = \"NAME\"` to `[target.{name}]`: the model whose versions answer there");
                cx.absent(Diagnostic::new(title).at(key).help(help));
                None
            }
        }
    }
}

/// An address and a port.
fn socket(name: &Name, key: &str, at: &At<String>, cx: &mut Checker<'_>) -> Option<SocketAddr> {
    let parsed = at.value.parse().ok();
    if parsed.is_none() {
        let title = format!("`target.{name}.{key}` must be an address and a port");
        cx.refuse(&at.spot, title, "write it as `127.0.0.1:8080` or `[::1]:8080`");
    }
    parsed
}
