//! The graph of one collection of one tenant, whoever keeps it: what is asked of it, and what an engine outside the state is told.
//!
//! A graph answers single questions; how a walk leads through it is the same for all (`domain::ingest::roam`). Everything that
//! an implementation answers is of one collection: it is opened with the tenant and the collection and knows no others.

use crate::base::error::Result;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the graph itself calls a thing; it means nothing to another one.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub String);

/// A thing that documents speak of, or a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Thing {
    /// What the graph calls it.
    #[serde(skip)]
    pub id: Id,
    /// What it is.
    pub kind: String,
    /// What makes it the same thing.
    pub key: String,
    /// As it was written first.
    pub name: String,
    /// Documents that speak of it.
    pub documents: i64,
    /// Places where they do.
    pub mentions: i64,
}

/// A place where a document speaks of a thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The document's public id.
    pub document: String,
    /// Where it came from.
    pub source: String,
    /// Characters of its text.
    pub start: i64,
    /// Characters of its text.
    pub stop: i64,
    /// What found it.
    pub method: String,
    /// 0 to 100.
    pub confidence: i64,
}

/// How two things hang together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Edge {
    /// `mentions`, `cites`, `together-with`, or what a document says: `part-of` …
    pub relation: String,
    /// True when it leads from the nearer thing to the farther one.
    pub forward: bool,
    /// How often it is said.
    pub times: i64,
    /// How likely it is right, 0 to 100; of several places the highest.
    pub confidence: Option<i64>,
    /// In bits, where it is known only that the two stand together.
    pub pmi: Option<f64>,
}

/// That two things hang together.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// The one that was asked for.
    pub near: Id,
    /// The other.
    pub far: Id,
    /// How.
    pub edge: Edge,
}

/// In how many chunks a thing stands, and others with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Together {
    /// Chunks that hold the thing.
    pub own: i64,
    /// Chunks that hold anything.
    pub all: i64,
    /// Other things: chunks that hold both, and chunks that hold the other.
    pub others: Vec<(Id, i64, i64)>,
}

/// A thing by what makes it the same everywhere in a collection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Named {
    /// What it is.
    pub kind: String,
    /// What makes it the same thing.
    pub key: String,
    /// As it was written first.
    pub name: String,
}

/// Where the document speaks of a thing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mentioned {
    /// Characters of the document's text.
    pub start: i64,
    /// Characters of the document's text.
    pub stop: i64,
    /// The thing.
    #[serde(flatten)]
    pub thing: Named,
    /// Which of its chunks holds it first.
    pub chunk: i64,
    /// What found it.
    pub method: String,
    /// 0 to 100.
    pub confidence: i64,
}

/// What the document says of two things.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Related {
    /// What is said.
    pub relation: String,
    /// Characters of the document's text that say so.
    pub start: i64,
    /// Characters of the document's text that say so.
    pub stop: i64,
    /// The one.
    pub subject: Named,
    /// The other.
    pub object: Named,
    /// What found it.
    pub method: String,
    /// 0 to 100.
    pub confidence: i64,
}

/// All that a document speaks of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spoken {
    /// Where it speaks of what.
    pub mentions: Vec<Mentioned>,
    /// What it says of two things.
    pub relations: Vec<Related>,
}

impl Spoken {
    /// Every thing, as often as it occurs.
    pub fn things(&self) -> impl Iterator<Item = &Named> {
        let related = self.relations.iter().flat_map(|r| [&r.subject, &r.object]);
        self.mentions.iter().map(|m| &m.thing).chain(related)
    }

    /// The same in the one order in which two of them are compared.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.mentions.sort();
        self.relations.sort();
        self
    }
}

/// Things that one answer names at most, unless it is asked for fewer.
pub const SEEN_MAX: usize = 5_000;
/// Chunks in which two things must stand together.
pub const TOGETHER_MIN: i64 = 3;

/// How a mention of a thing reads: documents cite norms and speak of everything else.
pub fn mention_word(kind: &str) -> &'static str {
    if matches!(kind, "standard" | "law" | "doi" | "cve") { "cites" } else { "mentions" }
}

/// The graph of one collection. A document that is only linked to is no thing that is shown: no question but those for links
/// answers with one.
pub trait Graph {
    /// The things that most documents speak of, of one kind or of all: by documents, mentions, kind and key.
    ///
    /// # Errors
    /// When the graph cannot be asked.
    fn most(&self, kind: Option<&str>, limit: usize) -> Result<Vec<Thing>>;

    /// The things with this key as it is or in small letters, by kind; of any kind, those with this name too.
    ///
    /// # Errors
    /// When the graph cannot be asked.
    fn named(&self, kind: Option<&str>, name: &str) -> Result<Vec<Thing>>;

    /// Names, in order.
    ///
    /// # Errors
    /// When the graph cannot be asked.
    fn names(&self, limit: usize) -> Result<Vec<String>>;

    /// Those of these things that are shown, in any order.
    ///
    /// # Errors
    /// When the graph cannot be asked.
    fn things(&self, ids: &[Id]) -> Result<Vec<Thing>>;

    /// What documents say of these things and others, and which documents speak of which things, in any order.
    ///
    /// # Errors
    /// When the graph cannot be asked.
    fn links(&self, here: &[Id]) -> Result<Vec<Link>>;

    /// In how many chunks a thing stands, and others in at least [`TOGETHER_MIN`] of these, at most [`SEEN_MAX`].
    ///
    /// # Errors
    /// When the graph cannot be asked.
    fn together(&self, thing: &Id) -> Result<Together>;

    /// Where documents speak of a thing, by source and place.
    ///
    /// # Errors
    /// When the graph cannot be asked.
    fn places(&self, thing: &Id, limit: usize) -> Result<Vec<Place>>;

    /// Where documents say that two things hang together, by source and place.
    ///
    /// # Errors
    /// When the graph cannot be asked.
    fn evidence(&self, a: &Id, b: &Id, limit: usize) -> Result<Vec<Place>>;
}

/// A document as an engine outside the state is to show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Its public id.
    pub uid: String,
    /// Where it came from, which is what makes it a thing.
    pub source: String,
    /// What it speaks of; `None` when nobody asked.
    pub spoken: Option<Spoken>,
    /// Public ids of the documents that it links to, as far as these are there, by source.
    pub linked: BTreeMap<String, String>,
}

/// What a graph outside the state holds, to be compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Documents that are there, by source.
    pub documents: BTreeMap<String, String>,
    /// Mentions in all.
    pub mentions: i64,
    /// Relations in all.
    pub relations: i64,
    /// Things that nothing hangs on.
    pub strays: i64,
}

/// A graph outside the state, which shows what the state says. Each call takes effect whole or not at all unless it says
/// otherwise, and the same call again changes nothing.
pub trait Projection: Graph {
    /// True when the collection is here: it was cleared and finished once.
    ///
    /// # Errors
    /// When the engine cannot be asked.
    fn is_there(&self) -> Result<bool>;

    /// Shows a document.
    ///
    /// # Errors
    /// When the engine cannot be told.
    fn put(&self, shown: &Shown) -> Result<()>;

    /// Takes out what a document says, by its public id.
    ///
    /// # Errors
    /// When the engine cannot be told.
    fn take(&self, document: &str) -> Result<()>;

    /// Takes everything out, in parts: first that the collection is here.
    ///
    /// # Errors
    /// When the engine cannot be told.
    fn clear(&self) -> Result<()>;

    /// Notes that the collection is here.
    ///
    /// # Errors
    /// When the engine cannot be told.
    fn finish(&self) -> Result<()>;

    /// What a document speaks of as it is shown.
    ///
    /// # Errors
    /// When the engine cannot be asked.
    fn spoken(&self, document: &str) -> Result<Spoken>;

    /// What is here in all.
    ///
    /// # Errors
    /// When the engine cannot be asked.
    fn held(&self) -> Result<Held>;
}
