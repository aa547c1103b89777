//! The audit log as strangers read it: signed checkpoints, proofs, tiles.
//!
//! Pure: texts and bytes in, texts and bytes out. Each format is a public one and is written to the byte: signed notes,
//! checkpoints, proofs and tiles of <https://c2sp.org> over the RFC 6962 tree of [`crate::base::merkle`].

pub mod checkpoint;
pub mod key;
pub mod note;
pub mod proof;
pub mod refused;
pub mod tiles;
