//! Where a version came from and what came from it, as a graph that people and tools can read.
//!
//! An edge leads from what was made to what it was made from: `from` the version `to` its dataset. Going up follows the
//! edges to the sources, going down follows them backwards. Nodes and edges keep the order they were given in, so equal
//! graphs give equal text. A graph may have cycles (nothing here assumes otherwise): what was shown is not shown again.

use crate::base::error::Result;
use crate::base::name::words;
use crate::base::text::mermaid;
use crate::fail;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

words! {
    /// What a node stands for.
    NodeKind, "kind of lineage node" {
        /// A version of a model.
        Version = "version",
        /// A dataset, golden or not.
        Dataset = "dataset",
        /// A document that was ingested.
        Document = "document",
        /// A tracked experiment.
        Run = "run",
        /// A Git commit.
        Commit = "commit",
        /// An evaluation.
        Evaluation = "evaluation",
        /// A prompt.
        Prompt = "prompt",
    }
}

/// One thing in the graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Unique in the graph.
    pub id: String,
    /// What it stands for.
    pub kind: NodeKind,
    /// What people call it.
    pub label: String,
}

/// One thing was made from another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Edge {
    /// What was made.
    pub from: String,
    /// What it was made from.
    pub to: String,
    /// How, such as `evaluated on`.
    pub relation: String,
}

/// Which way a tree goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To what it was made from.
    Up,
    /// To what was made from it.
    Down,
}

/// Nodes and edges between them. Valid by existing: ids are unique and edges have both ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Graph {
    nodes: Vec<Node>,
    edges: Vec<Edge>,
}

impl Graph {
    /// A graph from its parts; an edge given twice counts once.
    ///
    /// # Errors
    /// When an id is there twice or an edge has an end that is no node.
    pub fn new(nodes: Vec<Node>, edges: Vec<Edge>) -> Result<Self> {
        let mut ids = BTreeSet::new();
        if let Some(node) = nodes.iter().find(|n| !ids.insert(n.id.as_str())) {
            fail!("the lineage has `{}` twice", node.id.escape_debug());
        }
        for edge in &edges {
            if let Some(end) = [&edge.from, &edge.to].into_iter().find(|e| !ids.contains(e.as_str())) {
                fail!("the lineage has an edge to `{}`, which is not in it", end.escape_debug());
            }
        }
        let mut seen = BTreeSet::new();
        let fresh: Vec<bool> = edges.iter().map(|e| seen.insert((&e.from, &e.to, &e.relation))).collect();
        let edges = edges.iter().zip(fresh).filter(|(_, fresh)| *fresh).map(|(e, _)| e.clone()).collect();
        Ok(Self { nodes, edges })
    }

    /// The nodes.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The edges.
    pub fn edges(&self) -> &[Edge] {
        &self.edges
    }

    /// The graph as `{"nodes": […], "edges": […]}`.
    pub fn json(&self) -> Value {
        json!({"nodes": self.nodes, "edges": self.edges})
    }

    /// A tree of lines from one node in one direction, one node a line; empty when there is no such node.
    pub fn tree(&self, root: &str, direction: Direction) -> String {
        let by_id: BTreeMap<&str, &Node> = self.nodes.iter().map(|n| (n.id.as_str(), n)).collect();
        let mut next: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
        for e in &self.edges {
            let (near, far) = if direction == Direction::Up { (&e.from, &e.to) } else { (&e.to, &e.from) };
            next.entry(near).or_default().push((far, &e.relation));
        }
        let Some(node) = by_id.get(root) else { return String::new() };
        let mut out = format!("{} {}\n", node.kind, one_line(&node.label));
        let mut shown = BTreeSet::from([root]);
        // (indent, id, relation, last of its siblings), the next one to show on top.
        let mut waiting: Vec<(String, &str, &str, bool)> = Vec::new();
        let children = |waiting: &mut Vec<(String, _, _, bool)>, indent: &str, id: &str| {
            let far = next.get(id).map(Vec::as_slice).unwrap_or_default();
            waiting.extend(far.iter().enumerate().rev().map(|(i, (id, r))| (indent.to_owned(), *id, *r, i + 1 == far.len())));
        };
        children(&mut waiting, "", root);
        while let Some((indent, id, relation, last)) = waiting.pop() {
            let Some(node) = by_id.get(id) else { continue };
            let branch = if last { "└─ " } else { "├─ " };
            let again = if shown.insert(id) { "" } else { " (shown above)" };
            let _ = writeln!(out, "{indent}{branch}{}: {} {}{again}", one_line(relation), node.kind, one_line(&node.label));
            if again.is_empty() {
                children(&mut waiting, &format!("{indent}{}", if last { "   " } else { "│  " }), id);
            }
        }
        out
    }

    /// The position of each node, which names it where its id could not.
    fn numbers(&self) -> BTreeMap<&str, usize> {
        self.nodes.iter().enumerate().map(|(i, n)| (n.id.as_str(), i)).collect()
    }

    /// The graph as a Mermaid flowchart (<https://mermaid.js.org/syntax/flowchart.html>).
    pub fn mermaid(&self) -> String {
        let numbers = self.numbers();
        let mut out = "flowchart LR\n".to_owned();
        for (i, n) in self.nodes.iter().enumerate() {
            let _ = writeln!(out, "    n{i}[\"{}: {}\"]", n.kind, mermaid(&n.label));
        }
        for e in &self.edges {
            let (from, to) = (numbers[e.from.as_str()], numbers[e.to.as_str()]);
            let _ = writeln!(out, "    n{from} -->|\"{}\"| n{to}", mermaid(&e.relation));
        }
        out
    }

    /// The graph in the DOT language of Graphviz (<https://graphviz.org/doc/info/lang.html>).
    pub fn dot(&self) -> String {
        let numbers = self.numbers();
        let mut out = "digraph lineage {\n    rankdir=LR;\n    node [shape=box];\n".to_owned();
        for (i, n) in self.nodes.iter().enumerate() {
            let _ = writeln!(out, "    n{i} [label=\"{}: {}\"];", n.kind, dot_text(&n.label));
        }
        for e in &self.edges {
            let (from, to) = (numbers[e.from.as_str()], numbers[e.to.as_str()]);
            let _ = writeln!(out, "    n{from} -> n{to} [label=\"{}\"];", dot_text(&e.relation));
        }
        out.push_str("}\n");
        out
    }
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Text between quotes in DOT. A backslash starts an escape sequence in labels, so it is doubled.
fn dot_text(text: &str) -> String {
    one_line(text).replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(labels: &[(&str, NodeKind, &str)], edges: &[(&str, &str, &str)]) -> Result<Graph> {
        let node = |(id, kind, label): &(&str, NodeKind, &str)| Node { id: (*id).into(), kind: *kind, label: (*label).into() };
        let edge = |(from, to, r): &(&str, &str, &str)| Edge { from: (*from).into(), to: (*to).into(), relation: (*r).into() };
        Graph::new(labels.iter().map(node).collect(), edges.iter().map(edge).collect())
    }

    fn sample() -> Graph {
        let nodes = [
            ("v", NodeKind::Version, "bot@1.0.0"),
            ("e", NodeKind::Evaluation, "ev \"1\""),
            ("g", NodeKind::Dataset, "golden"),
            ("c", NodeKind::Commit, "a\\b\n#1 <x>"),
        ];
        graph(&nodes, &[("v", "e", "scored by"), ("e", "g", "on"), ("v", "g", "tuned on"), ("v", "c", "at"), ("v", "c", "at")])
            .expect("valid")
    }

    #[test]
    fn trees_go_up_and_down() {
        let up = "version bot@1.0.0\n├─ scored by: evaluation ev \"1\"\n│  └─ on: dataset golden\n├─ tuned on: dataset golden (shown above)\n\
                  └─ at: commit a\\b #1 <x>\n";
        assert_eq!(sample().tree("v", Direction::Up), up);
        let down = "dataset golden\n├─ on: evaluation ev \"1\"\n│  └─ scored by: version bot@1.0.0\n\
                    └─ tuned on: version bot@1.0.0 (shown above)\n";
        assert_eq!(sample().tree("g", Direction::Down), down);
        assert_eq!(sample().tree("nobody", Direction::Up), "");
    }

    #[test]
    fn a_cycle_ends() {
        let g = graph(&[("a", NodeKind::Run, "a"), ("b", NodeKind::Run, "b")], &[("a", "b", "x"), ("b", "a", "y")]);
        assert_eq!(g.expect("valid").tree("a", Direction::Up), "run a\n└─ x: run b\n   └─ y: run a (shown above)\n");
    }

    #[test]
    fn drawings_escape_what_labels_hold() {
        let mermaid = sample().mermaid();
        assert!(mermaid.contains("n1[\"evaluation: ev #34;1#34;\"]\n"), "{mermaid}");
        assert!(mermaid.contains("n3[\"commit: a#92;b #35;1 #60;x#62;\"]\n"), "{mermaid}");
        assert!(mermaid.contains("n0 -->|\"scored by\"| n1\n"), "{mermaid}");
        let dot = sample().dot();
        assert!(dot.contains("n1 [label=\"evaluation: ev \\\"1\\\"\"];\n"), "{dot}");
        assert!(dot.contains("n3 [label=\"commit: a\\\\b #1 <x>\"];\n"), "{dot}");
        assert_eq!(dot.matches("n0 -> n3").count(), 1, "an edge given twice counts once");
        assert_eq!(sample().json()["nodes"][0]["kind"], "version");
    }

    #[test]
    fn broken_graphs_are_refused() {
        assert!(graph(&[("a", NodeKind::Run, "a"), ("a", NodeKind::Run, "b")], &[]).is_err());
        let e = graph(&[("a", NodeKind::Run, "a")], &[("a", "z", "x")]).expect_err("no such node");
        assert_eq!(e.to_string(), "the lineage has an edge to `z`, which is not in it");
    }
}
