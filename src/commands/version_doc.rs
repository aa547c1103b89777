//! A version as reports show it: the promise to scripts, apart from the registry's own rows.

use crate::base::digest::Digest;
use crate::base::name::{ModelType, Name, Stage};
use crate::base::time::Timestamp;
use crate::base::version::Version;
use crate::domain::registry::table::{GitFacts, VersionRow};
use serde::Serialize;

/// A version in a report.
#[derive(Serialize, Clone)]
pub(crate) struct VersionDoc {
    pub(crate) name: Name,
    pub(crate) version: Version,
    #[serde(rename = "type")]
    pub(crate) kind: ModelType,
    pub(crate) stage: Stage,
    pub(crate) digest: Digest,
    pub(crate) created: Timestamp,
    pub(crate) author: String,
    pub(crate) files: i64,
    pub(crate) bytes: i64,
    pub(crate) git: Option<GitFacts>,
    pub(crate) retired: Option<Timestamp>,
    pub(crate) purged: Option<Timestamp>,
}

impl From<&VersionRow> for VersionDoc {
    fn from(v: &VersionRow) -> Self {
        Self {
            name: v.name.clone(),
            version: v.version,
            kind: v.kind,
            stage: v.stage,
            digest: v.digest,
            created: v.created,
            author: v.author.clone(),
            files: v.files,
            bytes: v.bytes,
            git: v.git.clone(),
            retired: v.retired,
            purged: v.purged,
        }
    }
}

impl VersionDoc {
    /// `name@1.2.0`.
    pub(crate) fn reference(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }
}
