//! What kf says about targets in a cluster.

use super::{loaded, refused};
use crate::config::{KubernetesTarget, SplitBy, Splits, Splitter, TargetKind};
use std::num::NonZeroU32;

const MODEL: &str = "[model.bot]\ntype = \"other\"\npath = \"bot\"\n";

fn cluster(keys: &str) -> KubernetesTarget {
    let head = "[target.prod]\nkind = \"kubernetes\"\ncontext = \"prod-eu\"\ndeployments = [\"bot-blue\", \"bot-green\"]\n";
    let project = loaded(&format!("{MODEL}{head}{keys}"), &[], None).project;
    let target = project.target("prod").expect("a target");
    assert_eq!((target.kind(), target.model.as_str()), (TargetKind::Kubernetes, "bot"));
    let Splitter::Kubernetes(cluster) = target.splitter.clone() else { panic!("{target:?}") };
    cluster
}

fn pair(first: &str, second: &str) -> [String; 2] {
    [first.to_owned(), second.to_owned()]
}

#[test]
fn each_way_to_split_says_what_it_needs() {
    let by_service =
        cluster("by = \"service\"\nservice = \"bot\"\nnamespace = \"rag\"\nimage = \"r.example.org/bot:{version}\"\n");
    assert_eq!(by_service.splits, Splits::Service { service: "bot".into(), label: "track".into() });
    assert_eq!((by_service.namespace.as_str(), by_service.context.as_str()), ("rag", "prod-eu"));
    assert_eq!((by_service.kubectl, by_service.image), (vec!["kubectl".to_owned()], Some("r.example.org/bot:{version}".into())));
    let by_replicas = cluster("by = \"deployment\"\nservice = \"bot\"\nreplicas = 4\n");
    assert_eq!(by_replicas.splits, Splits::Deployment { service: "bot".into() });
    assert_eq!((by_replicas.replicas.map(NonZeroU32::get), by_replicas.deployments), (Some(4), pair("bot-blue", "bot-green")));
    for (word, by) in
        [("httproute", SplitBy::HttpRoute), ("ingress", SplitBy::Ingress), ("virtualservice", SplitBy::VirtualService)]
    {
        let keys = format!("by = \"{word}\"\nroute = \"front\"\nservices = [\"a\", \"b\"]\nkubectl = [\"k3s\", \"kubectl\"]\n");
        let by_route = cluster(&keys);
        assert_eq!(by_route.splits, Splits::Route { by, route: "front".into(), services: pair("a", "b") });
        assert_eq!(by_route.kubectl, ["k3s", "kubectl"]);
    }
}

#[test]
fn what_kubectl_would_take_for_something_else_is_refused_all_at_once() {
    let said = refused(
        r#"[project]
name = "shop"
[model.bot]
type = "other"
path = "bot"
[target.a]
kind = "kubernetes"
[target.b]
kind = "kubernetes"
by = "service"
context = "prod"
namespace = "--kubeconfig=/tmp/x"
deployments = ["bot", "bot"]
service = "Bot"
route = "bot"
image = "registry.example.org/bot:latest"
listen = "127.0.0.1:1"
[target.c]
kind = "kubernetes"
by = "deployment"
context = "prod"
deployments = ["bot-blue", "bot-green"]
service = "bot"
replicas = 1
kubectl = []
"#,
    );
    for why in [
        "`target.a` needs `by`",
        "`target.b.namespace` is not a name that Kubernetes has",
        "`target.b.deployments` must name two different objects",
        "`target.b.service` is not a name that Kubernetes has",
        "`target.b.route` is of no use to a split by `service`",
        "`target.b.image` does not tell one version from another",
        "`target.b.listen` is for targets of kind `gateway`, this one is `kubernetes`",
        "`target.c` splits by replicas and needs at least two of them",
        "`target.c.kubectl` names no program",
    ] {
        assert!(said.contains(why), "{why} is not in {said}");
    }
}
