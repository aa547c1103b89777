//! A document of kf as a signed note: canonical JSON (RFC 8785) on one line, signed where there is a key.

use super::key::{SignerKey, VerifierKey};
use super::note::Note;
use crate::base::canonical;
use crate::base::error::{Context, Result};
use serde::Serialize;

/// The text that is stored of a document.
///
/// # Errors
/// For a document that JSON cannot hold.
pub fn write(of: &impl Serialize, key: Option<&SignerKey>) -> Result<String> {
    let text = format!("{}\n", canonical::to_string(of).context(|| "a document has no canonical form")?);
    match key {
        None => Ok(text),
        Some(key) => Ok(Note::sign(&text, &[key]).context(|| "a document cannot be signed")?.to_string()),
    }
}

/// The document in a text. Where keys are known one of them must have signed it: else anybody who can write there could say anything.
///
/// # Errors
/// When it is no such text, or nobody who is known signed it.
pub fn read(bytes: &[u8], known: &[VerifierKey], damaged: impl Fn() -> String) -> Result<String> {
    if known.is_empty() && bytes.ends_with(b"}\n") {
        return String::from_utf8(bytes.to_vec()).context(damaged);
    }
    let note = Note::parse(bytes).context(&damaged)?;
    if !known.is_empty() {
        note.verify(known).context(damaged)?;
    }
    Ok(note.text().to_owned())
}
