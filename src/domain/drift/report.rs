//! What a check found, as the object that is kept of it.
//!
//! The same reference, data and settings give the same bytes: it holds digests and no names of files, no time and nobody's name.

use super::baseline::{Baseline, Selection};
use super::verdict::Judgement;
use crate::base::digest::{Digest, Hasher};
use crate::base::error::{Context, Error, Result};
use crate::data::Table;
use serde::{Deserialize, Serialize};

/// The format that this kf writes.
const FORMAT: u32 = 1;

/// A file of data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// The digest of its bytes.
    pub digest: Digest,
    /// Their number.
    pub bytes: u64,
    /// Its rows.
    pub rows: u64,
    /// How it was read.
    pub format: String,
}

/// The files of a table, in their order.
pub fn files(table: &dyn Table) -> Vec<File> {
    let one = |s: &crate::data::Source| File { digest: s.digest, bytes: s.bytes, rows: s.rows, format: s.format.clone() };
    table.sources().iter().map(one).collect()
}

/// One digest for all files: that of the file when there is one.
pub fn digest_of(files: &[File]) -> Digest {
    if let [one] = files {
        return one.digest;
    }
    let mut hasher = Hasher::new();
    files.iter().for_each(|file| hasher.update(file.digest.as_bytes()));
    hasher.finish()
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Found {
    format: u32,
    /// The kf that made it.
    pub kf: String,
    /// The object of the baseline.
    pub profile: Digest,
    /// The new data.
    pub data: Vec<File>,
    /// Rows of the reference.
    pub rows_ref: u64,
    /// Rows of the new data.
    pub rows: u64,
    /// True when the reference's data were read, so that order statistics are exact; else they are those of its profile.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub whole: bool,
    /// What was wrong with the files beyond single cells, in words.
    pub remarks: Vec<String>,
    /// How columns were taken.
    pub selection: Selection,
    /// Columns of the reference that were not compared, with the reason.
    pub left_out: Vec<(String, String)>,
    /// What is said of them.
    pub judgement: Judgement,
}

impl Found {
    /// What was found of a table.
    pub fn new(profile: Digest, baseline: &Baseline, table: &dyn Table, selection: Selection, judgement: Judgement) -> Self {
        let remark =
            |r: &crate::data::Remark| format!("{} {}, the first at row {}: {}", r.count, r.what, r.example.0, r.example.1);
        Self {
            format: FORMAT,
            kf: env!("CARGO_PKG_VERSION").to_owned(),
            profile,
            data: files(table),
            rows_ref: baseline.rows,
            rows: table.rows(),
            whole: false,
            remarks: table.remarks().iter().map(remark).collect(),
            left_out: baseline.left_out().map(|(name, why)| (name.to_owned(), why.to_owned())).collect(),
            selection,
            judgement,
        }
    }

    /// The object.
    ///
    /// # Errors
    /// Never for what a check found; kept as an error rather than a panic.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).context(|| "cannot write the report")
    }

    /// What an object holds.
    ///
    /// # Errors
    /// When it is of a newer format, or no report of a check.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
            kf: String,
        }
        let head: Head = serde_json::from_slice(bytes).context(|| "the object is no report of a check")?;
        if head.format != FORMAT {
            return Err(Error::new(format!(
                "the report has format {}, written by kf {}; this kf knows {FORMAT}",
                head.format, head.kf
            ))
            .hint(format!("install kf {} or newer", head.kf)));
        }
        serde_json::from_slice(bytes).context(|| "the object is no report of a check")
    }
}
