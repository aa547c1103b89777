//! Models and versions: what a version is made of, how two versions differ, where each stands, and what people read about one.
//!
//! `table` reads and `change` writes the registry's own tables; everything else is pure: bytes and values in, values out.

pub mod answering;
pub mod bump;
pub mod card;
pub mod change;
pub mod check;
pub mod diff;
pub mod document;
pub mod format_spec;
pub mod lineage;
pub mod manifest;
pub mod parts;
pub mod place;
pub mod retention;
pub mod retrieval;
pub mod rollback;
mod select;
pub mod table;
pub mod template;
pub mod tree;

#[cfg(test)]
mod table_tests;
