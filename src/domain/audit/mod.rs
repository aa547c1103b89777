//! The audit log as strangers read it: signed checkpoints, proofs, tiles; and over the state: asking it, verifying it, proving
//! from it, carrying it out.
//!
//! The formats are pure: texts and bytes in, texts and bytes out. Each is a public one and is written to the byte: signed
//! notes, checkpoints, proofs and tiles of <https://c2sp.org> over the RFC 6962 tree of [`crate::base::merkle`]. Appending is
//! the business of `store`, so that no change can be made without it.

mod body;
pub mod checkpoint;
pub mod entry;
pub mod export;
pub mod key;
pub mod note;
pub mod proof;
pub mod prove;
pub mod query;
pub mod refused;
pub mod seal;
pub mod statement;
pub mod tiles;
pub mod verify;

#[cfg(test)]
mod testing;
