//! A part of the system that a backup keeps.

use crate::base::error::Result;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How many of what there is, by name: rows of a table, files, keys. What is restored must have as many.
pub type Counts = BTreeMap<String, u64>;

/// What a component is as files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dumped {
    /// The folder whose files it is: the scratch folder, or one that is there anyway.
    pub root: PathBuf,
    /// What is in it.
    pub counts: Counts,
    /// The program that wrote it, with its version.
    pub tool: Option<String>,
}

/// What a component says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kind {
    /// `state`, `git`, `directory`, `command`, `postgres`, `redis`.
    pub kind: String,
    /// What it is, for people: without passwords.
    pub place: String,
}

/// A part of the system that can be kept as files.
pub trait Component {
    /// What it is.
    fn kind(&self) -> Kind;

    /// Puts all of it, as it is at one instant, into files: below `scratch`, an empty folder that only we can read, or where they are.
    ///
    /// # Errors
    /// When it cannot be read whole.
    fn dump(&self, scratch: &Path) -> Result<Dumped>;

    /// Reads the files of a dump again and counts what is in them; `scratch` is an empty folder in which a server may be started.
    /// `None` when what would count it is not here.
    ///
    /// # Errors
    /// When they are no whole dump.
    fn count(&self, files: &Path, scratch: &Path) -> Result<Option<Counts>>;
}
