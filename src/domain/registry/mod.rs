//! Models and versions: what a version is made of, how two versions differ, and what people read about one.

pub mod change;
pub mod document;
pub mod manifest;
pub mod rollback;
mod select;
pub mod table;
pub mod template;
