//! Whether a document is good enough to be searched.

pub mod duplicate;
pub mod encoding;
pub mod language;
mod prose;
pub mod readability;
mod syllables;
