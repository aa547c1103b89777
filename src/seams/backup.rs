//! A part of the system that a backup keeps.

use crate::base::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How many of what there is, by name: rows of a table, files, keys. What is restored must have as many.
pub type Counts = BTreeMap<String, u64>;

/// How the names of counts end of which there may be fewer by the time that they are counted again: keys that expire.
pub const FEWER: &str = " that expire";
/// What is counted of the dump alone: of what came out of it nobody asks for it again.
const OF_THE_DUMP: [&str; 3] = ["files", "links that lead out, left out", "roles"];

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

/// What was counted of a dump, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// How many of what.
    pub counts: Counts,
    /// What was done to know, for people: whether a server took it, or only the files were read.
    pub by: String,
}

/// What a component says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kind {
    /// `state`, `audit`, `git`, `directory`, `command`, `postgres`, `redis`, `qdrant`, `neo4j`.
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
    fn count(&self, files: &Path, scratch: &Path) -> Result<Option<Counted>>;

    /// What is in this place already, for people; `None` when it is empty, so that a dump can be loaded into it.
    ///
    /// # Errors
    /// When it cannot be asked, or nothing of this kind is loaded into a place.
    fn occupied(&self) -> Result<Option<String>> {
        Err(nowhere(&self.kind().kind))
    }

    /// Whether [`dump`](Self::dump) keeps what is in this place, so that something else may come in its stead.
    fn can_be_replaced(&self) -> bool {
        true
    }

    /// Loads the files of a dump into this place, with `over` in the stead of what is there, and counts what is there then. When that
    /// fails the place is left without a part of the dump. `scratch` is an empty folder in which a server may be started.
    ///
    /// # Errors
    /// When the place does not take all of it.
    fn load(&self, files: &Path, scratch: &Path, over: bool) -> Result<Counts> {
        let _ = (files, scratch, over);
        Err(nowhere(&self.kind().kind))
    }
}

fn nowhere(kind: &str) -> Error {
    Error::usage(format!("nothing of the kind `{kind}` is loaded into a place"))
        .hint("`kf backup restore SET --to FOLDER` brings its files")
}

/// What differs between what was kept and what was found, for people; `None` when nothing does.
pub fn difference(kept: &Counts, found: &Counts) -> Option<String> {
    let of_component = |name: &String| !OF_THE_DUMP.contains(&name.as_str());
    if !kept.keys().any(of_component) {
        // Nothing was counted when it was kept, because what counts it was not there.
        return kept.get("files").zip(found.get("files")).filter(|(a, b)| a != b).map(|(a, b)| format!("{b} files of {a}"));
    }
    let wrong = |name: &String| {
        let (had, has) = (kept.get(name).copied(), found.get(name).copied());
        let same = match (had, has) {
            (Some(_), None) => OF_THE_DUMP.contains(&name.as_str()) || name.ends_with(FEWER),
            (Some(had), Some(has)) if name.ends_with(FEWER) => has <= had,
            (had, has) => had == has,
        };
        let number = |n: Option<u64>| n.map_or("none".to_owned(), |n| n.to_string());
        (!same).then(|| format!("{name}: {} and {} were kept", number(has), number(had)))
    };
    let names: std::collections::BTreeSet<&String> = kept.keys().chain(found.keys()).collect();
    let all: Vec<String> = names.into_iter().filter_map(wrong).take(5).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(all: &[(&str, u64)]) -> Counts {
        all.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect()
    }

    #[test]
    fn what_is_missing_or_too_much_is_told_and_what_expires_may_go() {
        let kept = counts(&[("files", 3), ("rows of a", 2), ("rows of b", 0), ("keys of db0 that expire", 4)]);
        let same = |found: &[(&str, u64)]| difference(&kept, &counts(found));
        assert_eq!(same(&[("rows of a", 2), ("rows of b", 0), ("keys of db0 that expire", 4)]), None);
        assert_eq!(same(&[("rows of a", 2), ("rows of b", 0)]), None, "all of them have expired");
        assert_eq!(same(&[("rows of a", 1), ("rows of b", 0)]).as_deref(), Some("rows of a: 1 and 2 were kept"));
        assert_eq!(same(&[("rows of a", 2)]).as_deref(), Some("rows of b: none and 0 were kept"));
        let more = same(&[("rows of a", 2), ("rows of b", 0), ("rows of c", 1), ("keys of db0 that expire", 5)]);
        assert_eq!(more.as_deref(), Some("keys of db0 that expire: 5 and 4 were kept; rows of c: 1 and none were kept"));
        assert_eq!(difference(&counts(&[("files", 2)]), &counts(&[("keys of db0", 1)])), None, "nobody had counted");
        assert!(difference(&counts(&[("files", 2)]), &counts(&[("files", 1)])).is_some());
        assert!(difference(&counts(&[("files", 2), ("bytes", 1)]), &counts(&[("files", 1), ("bytes", 1)])).is_some());
    }
}
