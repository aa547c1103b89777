//! A document of kf as canonical JSON (RFC 8785) on one line: a signed note where there is a key, else with its own SHA-256, which shows
//! damage and proves nothing.

use super::key::{SignerKey, VerifierKey};
use super::note::Note;
use crate::base::canonical;
use crate::base::digest::Digest;
use crate::base::error::{Context, Result};
use serde::Serialize;

/// What stands before the digest of a document that nobody signed.
const SUM: &str = "sha256 ";

/// The text that is stored of a document.
///
/// # Errors
/// For a document that JSON cannot hold.
pub fn write(of: &impl Serialize, key: Option<&SignerKey>) -> Result<String> {
    let text = format!("{}\n", canonical::to_string(of).context(|| "a document has no canonical form")?);
    match key {
        None => Ok(format!("{text}\n{SUM}{}\n", Digest::of(text.as_bytes()).hex())),
        Some(key) => Ok(Note::sign(&text, &[key]).context(|| "a document cannot be signed")?.to_string()),
    }
}

/// The document in a text that nobody signed; `None` for any other text, damaged ones included.
pub fn unsigned(bytes: &[u8]) -> Option<String> {
    let (text, sum) = std::str::from_utf8(bytes).ok()?.split_once("\n\n")?;
    let text = format!("{text}\n");
    let hex = sum.strip_prefix(SUM)?.strip_suffix('\n')?;
    (Digest::of(text.as_bytes()).hex() == hex).then_some(text)
}

/// The document in a text. Where keys are known one of them must have signed it: else anybody who can write there could say anything.
///
/// # Errors
/// When it is no such text, or nobody who is known signed it.
pub fn read(bytes: &[u8], known: &[VerifierKey], damaged: impl Fn() -> String) -> Result<String> {
    if let Some(text) = unsigned(bytes).filter(|_| known.is_empty()) {
        return Ok(text);
    }
    let note = Note::parse(bytes).context(&damaged)?;
    if !known.is_empty() {
        note.verify(known).context(damaged)?;
    }
    Ok(note.text().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_signed_shows_every_bit_that_was_flipped() {
        let text = write(&serde_json::json!({"a": "two words", "b": 7}), None).expect("a text");
        assert_eq!(text.lines().next(), Some("{\"a\":\"two words\",\"b\":7}"));
        assert_eq!(unsigned(text.as_bytes()).as_deref(), Some("{\"a\":\"two words\",\"b\":7}\n"));
        for at in 0..text.len() * 8 {
            let mut bytes = text.clone().into_bytes();
            bytes[at / 8] ^= 1 << (at % 8);
            assert!(read(&bytes, &[], || "damaged".to_owned()).is_err(), "{at}");
        }
        let key = SignerKey::from_seed("kf/shop/1", [3; 32]).expect("a key");
        assert!(read(text.as_bytes(), &[key.public().clone()], || "damaged".to_owned()).is_err(), "a key is known");
    }
}
