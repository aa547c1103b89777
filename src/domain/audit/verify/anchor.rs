//! Checkpoints from outside the state: the only thing that an attacker who holds state and key cannot change.

use super::super::checkpoint::{self, Checkpoint};
use super::super::key::VerifierKey;
use super::super::note::Note;
use super::super::refused::{Refused, Why, text};
use super::{Anchored, Finding};
use crate::base::digest::Digest;
use crate::base::error::{Context, Result};
use crate::base::merkle::Hash;

/// A checkpoint from outside: a signed note, or the bare text of one.
#[derive(Clone, Debug)]
pub struct Anchor {
    name: String,
    bytes: Vec<u8>,
    checkpoint: Checkpoint,
    is_note: bool,
}

impl Anchor {
    /// Reads an anchor; `name` says where it comes from.
    ///
    /// # Errors
    /// When the bytes are not a checkpoint, signed or not.
    pub fn read(name: impl Into<String>, bytes: &[u8]) -> Result<Self> {
        let name = name.into();
        let note = Note::parse(bytes);
        let read = || match &note {
            Ok(note) => Checkpoint::parse(note.text()),
            Err(_) => Checkpoint::parse(text(bytes, "checkpoint")?),
        };
        let checkpoint: Result<Checkpoint, Refused> = read();
        let checkpoint = checkpoint.context(|| format!("`{name}` is not a checkpoint"))?;
        Ok(Self { name, bytes: bytes.to_vec(), checkpoint, is_note: note.is_ok() })
    }

    /// Where it comes from.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it states.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Whether a known key signed it. A signature is not needed, as who brings the anchor trusts it; a false one is refused.
    fn signed(&self, keys: &[VerifierKey]) -> Result<bool, Refused> {
        if !self.is_note || keys.is_empty() {
            return Ok(false);
        }
        match checkpoint::open(&self.bytes, keys) {
            Ok(_) => Ok(true),
            Err(e) if e.why() == Why::Untrusted => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Compares with the log of this origin and size, which has the root `found` at the size of the anchor.
    pub(super) fn compare(
        &self,
        origin: &str,
        size: u64,
        found: Option<Hash>,
        keys: &[VerifierKey],
        findings: &mut Vec<Finding>,
    ) -> Anchored {
        let (name, stated) = (&self.name, &self.checkpoint);
        let signed = self.signed(keys);
        let wrong = if stated.origin != origin {
            Some(format!("{name} is a checkpoint of `{}`, this log is `{origin}`", stated.origin))
        } else if stated.size > size {
            Some(format!(
                "{name} covers {} entries, the log has {size}: it was rolled back to an older copy, or this is a fork",
                stated.size
            ))
        } else if found != Some(stated.root) {
            let root = |hash: &Hash| Digest::from_bytes(*hash).to_string();
            Some(format!(
                "{name} states the root {} for the first {} entries, they have {}: the log was rewritten, or forked before",
                root(&stated.root),
                stated.size,
                found.as_ref().map_or_else(|| "none".into(), root)
            ))
        } else {
            signed.as_ref().err().map(|e| format!("{name} is not valid: {e}"))
        };
        let agrees = wrong.is_none();
        findings.extend(wrong.map(Finding::whole));
        Anchored {
            name: name.clone(),
            size: stated.size,
            root: Digest::from_bytes(stated.root),
            found: found.map(Digest::from_bytes),
            signed: signed.unwrap_or(false),
            agrees,
        }
    }
}
