//! Models and versions: what a version is made of, how two versions differ, and what people read about one.
//!
//! Everything here is pure: bytes and values in, values out. Where bytes are needed, the caller passes them or a closure that
//! gets them by digest.

pub mod bump;
pub mod card;
pub mod diff;
pub mod document;
mod format_spec;
pub mod lineage;
pub mod manifest;
pub mod parts;
pub mod template;
pub mod tree;
