//! What a drill found: one text beside the sets, signed like a manifest. A set is proven by a report of its very manifest.

use crate::base::digest::Digest;
use crate::base::error::{Context, Error, Result};
use crate::base::time::Timestamp;
use crate::domain::audit::key::{SignerKey, VerifierKey};
use crate::domain::audit::statement;
use serde::{Deserialize, Serialize};

/// The form of a report.
const SCHEMA: &str = "kf.backup-drill/1";
/// The folder of reports.
pub const DRILLS: &str = "drills";

/// What a drill found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// The form of this text.
    pub schema: String,
    /// The set that was restored.
    pub set: String,
    /// The digest of its manifest.
    pub manifest: Digest,
    /// When it was begun.
    pub at: Timestamp,
    /// True when all was right.
    pub passed: bool,
    /// Milliseconds from the beginning until what was restored had answered: the recovery time.
    pub rto_ms: u64,
    /// Milliseconds from when the set was begun until the drill: what would have been lost by then.
    pub rpo_ms: u64,
    /// When the newest event that came back was recorded; `None` for a set without a state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest_event: Option<Timestamp>,
    /// How many events of the log in use were not in the set; `None` when that is another log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_events: Option<u64>,
    /// What was tried, in order.
    pub steps: Vec<Step>,
}

/// Something that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What it was.
    pub what: String,
    /// Why it failed; `None` when it did not.
    pub failed: Option<String>,
    /// What was found, for people.
    pub found: String,
    /// How many milliseconds it took.
    pub took_ms: u64,
}

impl Proof {
    /// The schema of a report that is written now.
    pub fn schema() -> String {
        SCHEMA.to_owned()
    }

    /// The text that is stored, signed where there is a key.
    ///
    /// # Errors
    /// Never for a report; kept as an error rather than a panic.
    pub fn text(&self, key: Option<&SignerKey>) -> Result<String> {
        statement::write(self, key)
    }

    /// Reads a report. Where keys are known, one of them must have signed it: else anybody who can write there could say that a set is
    /// proven.
    ///
    /// # Errors
    /// When it is damaged, or nobody who is known signed it.
    pub fn read(bytes: &[u8], known: &[VerifierKey]) -> Result<Self> {
        let damaged = || "the report of a drill is damaged".to_owned();
        let proof: Self = serde_json::from_str(&statement::read(bytes, known, damaged)?).context(damaged)?;
        if proof.schema != SCHEMA {
            return Err(Error::new(format!(
                "the report of a drill has the form `{}`, and this kf reads `{SCHEMA}`",
                proof.schema
            )));
        }
        Ok(proof)
    }
}
