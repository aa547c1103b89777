//! Declarative suites: prompts × providers × cases, with assertions on every answer, in the shape that promptfoo made known.
//!
//! `read` makes a suite of YAML, TOML or JSON and says everything that is wrong with it by file, line and column; `assertion` reads and
//! judges what must hold, `rated` what a model has to be asked for it; `schema` holds JSON against a schema; `outcome` is what came of it; `junit` is that as XML. Nothing here
//! asks a model or reads a file: who does hands in both.
//!
//! An assertion that cannot be judged (a cost that nobody stated, a rubric that needs a judge) is `unscored`: neither a pass nor a failure.
//! Code in a suite is never run.

pub mod assertion;
pub mod cases;
pub mod junit;
pub mod outcome;
pub mod rated;
pub mod read;
pub mod schema;

use crate::domain::registry::document::{Fault, Syntax};
use crate::domain::registry::place;
use crate::domain::registry::tree::KeyPath;
use assertion::Assertion;
use serde_json::{Map, Value};

/// A suite that was read.
#[derive(Clone, Debug)]
pub struct Suite {
    /// What it is about.
    pub description: Option<String>,
    /// What is asked, at least one.
    pub prompts: Vec<PromptSource>,
    /// Who answers, at least one.
    pub providers: Vec<ProviderSpec>,
    /// With which values, and what must hold; at least one.
    pub cases: Vec<Case>,
    syntax: Syntax,
    text: String,
}

impl Suite {
    /// The line and column at which something of the suite stands. It walks through the text, so it is asked only for what is wrong.
    pub fn place(&self, at: &KeyPath) -> (usize, usize) {
        place_in(self.syntax, &self.text, at)
    }
}

fn place_in(syntax: Syntax, text: &str, at: &KeyPath) -> (usize, usize) {
    let Fault { line, column, .. } = Fault::at(text, place::find(syntax, text, at).key, "");
    (line, column)
}

/// Where a prompt is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptSource {
    /// What it is called in reports.
    pub label: Option<String>,
    /// Where.
    pub from: From,
    /// The line and column in the suite.
    pub place: (usize, usize),
}

/// Where a prompt comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum From {
    /// The template itself.
    Text(String),
    /// A file, relative to the suite; which of its prompts, if it has several.
    File(String, Option<String>),
    /// A registered version; which of its prompts, if it has several.
    Version(String, Option<String>),
}

/// Who answers, as written.
#[derive(Clone, Debug, PartialEq)]
pub struct ProviderSpec {
    /// What it is: `echo`, `exec:PROGRAM …`, `system`.
    pub id: String,
    /// What it is called in reports.
    pub label: String,
    /// What else is said of it.
    pub config: Map<String, Value>,
    /// The line and column in the suite.
    pub place: (usize, usize),
}

/// Values and what must hold of the answer.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it is called in reports; unique.
    pub name: String,
    /// Values of variables.
    pub vars: Map<String, Value>,
    /// Variables that assertions name; a value that only those use is used.
    pub asked_by_assertions: Vec<String>,
    /// What must hold.
    pub assertions: Vec<Assertion>,
    /// The least weighted mean of the scores; without it every assertion must hold.
    pub threshold: Option<f64>,
    /// Where in the suite.
    pub at: KeyPath,
}
