//! Where a version came from and what came from it: versions it names and that name it, its commit, its evaluations.

use crate::base::error::Result;
use crate::base::name::ModelType;
use crate::domain::eval::record;
use crate::domain::registry::change::PARENT;
use crate::domain::registry::lineage::{Edge, Graph, Node, NodeKind};
use crate::domain::registry::table::{self, VersionRow};
use crate::store::View;
use std::collections::BTreeSet;

/// How many evaluations of each version are shown.
const EVALUATIONS: u32 = 20;

/// The graph around a version and the id of its node.
///
/// # Errors
/// When the state cannot be read.
pub fn graph(view: View<'_>, version: &VersionRow) -> Result<(Graph, String)> {
    let mut walk = Walk { view, nodes: Vec::new(), edges: Vec::new(), seen: BTreeSet::new() };
    let id = walk.version(version)?;
    walk.up(version)?;
    walk.down(version)?;
    Ok((Graph::new(walk.nodes, walk.edges)?, id))
}

struct Walk<'a> {
    view: View<'a>,
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    seen: BTreeSet<String>,
}

impl Walk<'_> {
    fn node(&mut self, id: String, kind: NodeKind, label: String) -> String {
        if self.seen.insert(id.clone()) {
            self.nodes.push(Node { id: id.clone(), kind, label });
        }
        id
    }

    fn edge(&mut self, from: &str, to: &str, relation: &str) {
        self.edges.push(Edge { from: from.to_owned(), to: to.to_owned(), relation: relation.to_owned() });
    }

    /// The node of a version, with the commit it came from.
    fn version(&mut self, v: &VersionRow) -> Result<String> {
        let kind = if v.kind == ModelType::Dataset { NodeKind::Dataset } else { NodeKind::Version };
        let known = self.seen.contains(&v.reference());
        let id = self.node(v.reference(), kind, format!("{} ({})", v.reference(), v.stage));
        if let (false, Some(git)) = (known, &v.git) {
            let dirty = if git.dirty { ", with uncommitted changes" } else { "" };
            let short = git.commit.get(..12).unwrap_or(&git.commit);
            let commit = self.node(format!("commit:{}", git.commit), NodeKind::Commit, format!("commit {short}{dirty}"));
            self.edge(&id, &commit, "from");
        }
        Ok(id)
    }

    /// What a version was made from, and what that was made from.
    fn up(&mut self, v: &VersionRow) -> Result<()> {
        let id = v.reference();
        for e in record::of_version(self.view, v.id, EVALUATIONS)? {
            let evaluation =
                self.node(format!("evaluation:{}", e.id), NodeKind::Evaluation, format!("of {} on {}", e.at.day(), e.dataset));
            let dataset = self.node(
                format!("dataset:{}", e.dataset_digest),
                NodeKind::Dataset,
                format!("{} ({})", e.dataset, e.dataset_digest.short()),
            );
            self.edge(&id, &evaluation, "evaluated by");
            self.edge(&evaluation, &dataset, "on");
        }
        for (relation, target) in table::links_from(self.view, v.id)? {
            let known = self.seen.contains(&target.reference());
            let to = self.version(&target)?;
            self.edge(&id, &to, worded(&relation));
            if !known {
                self.up(&target)?;
            }
        }
        Ok(())
    }

    /// What was made from a version, and what was made from that.
    fn down(&mut self, v: &VersionRow) -> Result<()> {
        for (relation, user) in table::links_to(self.view, v.id)? {
            let known = self.seen.contains(&user.reference());
            let from = self.version(&user)?;
            self.edge(&from, &v.reference(), worded(&relation));
            if !known {
                self.down(&user)?;
            }
        }
        Ok(())
    }
}

/// A link in words.
fn worded(relation: &str) -> &'static str {
    match relation {
        "depends" => "depends on",
        PARENT => "varied from",
        _ => "made with",
    }
}
