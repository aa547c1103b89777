//! Models and versions.
pub mod change;
pub mod rollback;
mod select;
pub mod table;
