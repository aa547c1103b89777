//! What docs/kubernetes.md shows, tried: a cluster takes its manifests, with the checks of the real `kubectl` on.

use crate::kubernetes::with;
use crate::support::kube::Cluster;
use crate::support::project;

fn page() -> String {
    std::fs::read_to_string(project().join("docs/kubernetes.md")).expect("the page")
}

/// The block of the page behind a mark, in one language.
pub(crate) fn from_page(mark: &str, language: &str) -> String {
    let page = page();
    let (_, rest) = page.split_once(&format!("<!-- {mark} -->\n```{language}\n")).expect("the mark");
    rest.split_once("```").expect("its end").0.to_owned()
}

/// The manifests of the page, in its order.
fn manifests() -> Vec<String> {
    let page = page();
    let blocks = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split_once("\n```"));
    blocks.map(|(block, _)| format!("{block}\n")).filter(|block| block.starts_with("apiVersion:")).collect()
}

#[test]
fn a_cluster_takes_what_the_page_shows() {
    with(Cluster::fake(), [1, 0], "", |cluster| {
        let all = manifests();
        assert!(all.len() >= 4, "{all:?}");
        all.iter().for_each(|manifest| cluster.apply(manifest));
        // What kubectl waits for by watching comes, too.
        cluster.kubectl(&["rollout", "status", "deployment/bot-blue", "--timeout=60s"]);
        cluster.kubectl(&["annotate", "deployment", "bot-blue", "kf.dev/version=1.0.0"]);
        assert_eq!(cluster.part("deployment/bot-blue", "/metadata/annotations/kf.dev~1version"), "1.0.0");
        let typo = "apiVersion: v1\nkind: Service\nmetadata: {name: bott}\nspec: {selektor: {app: bot}, ports: [{port: 80}]}\n";
        let said = cluster.try_kubectl(&["apply", "--filename=-"], typo).expect_err("no such field");
        assert!(said.contains("unknown field \"spec.selektor\""), "{said}");
    });
}
