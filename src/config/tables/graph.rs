//! `[graph]`: where the graph of documents is asked, and what is known beforehand of the things that they speak of.

use crate::base::name::words;
use crate::config::check::{CheckOne, Checker};
use crate::config::diag::Diagnostic;
use crate::config::leaf::word_leaf;
use crate::config::secret::SecretRef;
use crate::config::shape::{At, Part as _, table};
use std::path::PathBuf;
use std::time::Duration;

words! {
    /// What answers questions about the graph. The graph itself is in the state with either.
    GraphEngine, "engine of graphs" {
        /// The state.
        Embedded = "embedded",
        /// A Neo4j server.
        Neo4j = "neo4j",
    }
}

word_leaf! { GraphEngine, "engine of graphs"; }

table! {
    /// As written.
    RawGraph {
        /// A CSV file of the repository with names to find: `name,kind`, and optionally `aliases` (set apart by `|`) and `tenant`.
        gazetteer: Option<At<String>> = "gazetteer";
        /// What answers `kf graph`: the state, or a Neo4j server that is told of every change.
        engine: At<GraphEngine> = "engine", or GraphEngine::Embedded;
        /// The address of the Neo4j server's HTTP port, such as `http://localhost:7474` (`neo4j`).
        url: Option<At<String>> = "url";
        /// The database on the server (`neo4j`).
        database: At<String> = "database", or "neo4j".to_owned();
        /// The user on the server (`neo4j`).
        user: At<String> = "user", or "neo4j".to_owned();
        /// Password of the user, as `env:NAME` or `file:PATH`; without one nobody is named (`neo4j`).
        password: Option<At<SecretRef>> = "password";
        /// How long a request may take (`neo4j`).
        timeout: At<Duration> = "timeout", or Duration::from_secs(30);
    }
}

/// Where the graph is asked, and what is known beforehand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Graph {
    /// A CSV file with names to find, relative to the repository.
    pub gazetteer: Option<PathBuf>,
    /// The Neo4j server that answers; `None` when the state does.
    pub neo4j: Option<Neo4jSettings>,
}

impl Graph {
    /// What answers.
    pub fn engine(&self) -> GraphEngine {
        if self.neo4j.is_some() { GraphEngine::Neo4j } else { GraphEngine::Embedded }
    }
}

/// A Neo4j server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neo4jSettings {
    /// Its address.
    pub url: String,
    /// The database.
    pub database: String,
    /// The user.
    pub user: String,
    /// The user's password.
    pub password: Option<SecretRef>,
    /// How long a request may take; not zero.
    pub timeout: Duration,
}

impl CheckOne for RawGraph {
    type Plain = Graph;
    fn check(&self, cx: &mut Checker<'_>) -> Option<Graph> {
        if let Some(at) = self.gazetteer.as_ref().filter(|at| at.value.is_empty()) {
            cx.refuse(&at.spot, "`graph.gazetteer` names no file", "write the path of a CSV file: `\"names.csv\"`");
        }
        let gazetteer = self.gazetteer.as_ref().map(|at| PathBuf::from(&at.value));
        match self.engine.value {
            GraphEngine::Embedded => {
                self.refuse_unused(cx);
                Some(Graph { gazetteer, neo4j: None })
            }
            GraphEngine::Neo4j => self.neo4j(cx).map(|neo4j| Graph { gazetteer, neo4j: Some(neo4j) }),
        }
    }
}

impl RawGraph {
    fn refuse_unused(&self, cx: &mut Checker<'_>) {
        for (given, key) in [
            (self.url.given(), "url"),
            (self.database.given(), "database"),
            (self.user.given(), "user"),
            (self.password.given(), "password"),
            (self.timeout.given(), "timeout"),
        ] {
            cx.unused(given, &self.engine, format!("`graph.{key}` is for `engine = \"neo4j\"`"));
        }
    }

    fn neo4j(&self, cx: &mut Checker<'_>) -> Option<Neo4jSettings> {
        if self.timeout.value.is_zero() {
            cx.refuse(&self.timeout.spot, "`graph.timeout` must not be zero", "write how long a request may take: `30s`");
        }
        for (at, key) in [(&self.database, "database"), (&self.user, "user")] {
            if at.value.is_empty() {
                cx.refuse(&at.spot, format!("`graph.{key}` is empty"), "`neo4j` is what a new server has");
            }
        }
        let Some(at) = &self.url else {
            let problem = Diagnostic::new("`graph.engine = \"neo4j\"` needs `url`").at(&self.engine.spot);
            cx.absent(problem.help("add `url = \"http://localhost:7474\"`"));
            return None;
        };
        let url = cx.url("graph.url", at, &["https", "http"], "take it out and name it by `password = \"env:NAME\"`")?;
        Some(Neo4jSettings {
            url,
            database: self.database.value.clone(),
            user: self.user.value.clone(),
            password: self.password.as_ref().map(|at| at.value.clone()),
            timeout: self.timeout.value,
        })
    }
}
