//! From files to text that can be cited: what a document says, whether it is good enough, and the pieces that are searched.
//!
//! Everything here is pure: bytes in, values out. Files are opened, rows are written and models are called elsewhere.
//!
//! Invariants:
//! - The canonical text of a document is the only text that offsets point into; a chunk is always a slice of it.
//! - The same bytes give the same text, blocks, verdicts and chunks, on any machine and any number of threads.
//! - A document that cannot be used has a [`reason::Refusal`]; no document stops another.

pub mod canon;
pub mod check;
pub mod chunk;
pub mod document;
pub mod entities;
pub mod extract;
pub mod quality;
pub mod reason;
pub mod roam;
pub mod table;
pub mod tokens;
pub mod verify;
