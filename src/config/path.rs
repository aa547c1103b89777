//! Paths and datasets as `mlops.toml` names them.

use crate::base::reference::Reference;
use crate::base::text::ellipsis;
use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

/// A path inside the repository: relative, `/` between its parts, without `.` and `..`, not kf's own `.kf`.
///
/// That a link on disk leads outside is for whoever opens it to see.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepoPath(String);

impl RepoPath {
    /// The path as text, relative to the repository.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path on disk.
    pub fn under(&self, root: &Path) -> PathBuf {
        root.join(&self.0)
    }
}

impl fmt::Display for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The text is not a path inside the repository; says why.
#[derive(Debug, PartialEq, Eq)]
pub struct BadPath(String);

impl fmt::Display for BadPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadPath {}

impl FromStr for RepoPath {
    type Err = BadPath;
    fn from_str(s: &str) -> Result<Self, BadPath> {
        let bad = |why: &str| Err(BadPath(format!("`{}` {why}", ellipsis(s, 80))));
        if s.contains(char::is_control) {
            return bad("cannot be a path: it has control characters");
        }
        let mut parts = Vec::new();
        for component in Path::new(s).components() {
            match component {
                Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
                Component::CurDir => {}
                Component::ParentDir => return bad("must be inside the repository, without `..`"),
                Component::RootDir | Component::Prefix(_) => return bad("must be relative to the repository"),
            }
        }
        match parts.first().map(String::as_str) {
            None => bad("is not a file or folder inside the repository"),
            Some(".kf") => bad("is kf's own folder"),
            Some(_) => Ok(Self(parts.join("/"))),
        }
    }
}

/// A dataset: a file of the repository, or a version of a model of type `dataset`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dataset {
    /// A file or folder of the repository.
    Path(RepoPath),
    /// A registered version.
    Model(Reference),
}

impl fmt::Display for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.fmt(f),
            Self::Model(reference) => reference.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_what_is_inside_is_a_path() {
        let check = |text: &str, path: &str| assert_eq!(text.parse::<RepoPath>().expect(text).as_str(), path);
        check("./prompts//answer.txt", "prompts/answer.txt");
        check("models/bot/", "models/bot");
        check("a..b", "a..b");
        for bad in ["", ".", "./", "/etc/passwd", "..", "a/../../b", "a/../b", ".kf/state.db", "./.kf", "a\0b", "a\nb"] {
            assert!(bad.parse::<RepoPath>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn a_path_stays_below_the_root_and_is_a_fixed_point(text in "[a-z./é ]{0,20}") {
            if let Ok(path) = text.parse::<RepoPath>() {
                prop_assert!(path.under(Path::new("/root")).starts_with("/root/"));
                prop_assert!(!path.as_str().split('/').any(|p| p == ".." || p == "." || p.is_empty()));
                prop_assert_eq!(path.as_str().parse::<RepoPath>(), Ok(path.clone()));
            }
        }
    }
}
