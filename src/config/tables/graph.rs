//! `[graph]`: what is known beforehand of the things that documents speak of.

use crate::config::check::{CheckOne, Checker};
use crate::config::shape::{At, table};
use std::path::PathBuf;

table! {
    /// As written.
    RawGraph {
        /// A CSV file of the repository with names to find: `name,kind`, and optionally `aliases` (set apart by `|`) and `tenant`.
        gazetteer: Option<At<String>> = "gazetteer";
    }
}

/// What is known beforehand of the things that documents speak of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Graph {
    /// A CSV file with names to find, relative to the repository.
    pub gazetteer: Option<PathBuf>,
}

impl CheckOne for RawGraph {
    type Plain = Graph;
    fn check(&self, cx: &mut Checker<'_>) -> Option<Graph> {
        if let Some(at) = self.gazetteer.as_ref().filter(|at| at.value.is_empty()) {
            cx.refuse(&at.spot, "`graph.gazetteer` names no file", "write the path of a CSV file: `\"names.csv\"`");
        }
        Some(Graph { gazetteer: self.gazetteer.as_ref().map(|at| PathBuf::from(&at.value)) })
    }
}
