//! Prompts: templates in Python's `str.format` syntax that are rendered as CPython renders them, the variables that they declare, and
//! suites that test them.
//!
//! Everything here is pure: texts and values in, texts and verdicts out. Who answers a rendered prompt is for others.

pub mod book;
pub mod change;
mod fault;
mod float;
mod format;
pub mod render;
mod show;
pub mod suite;
pub mod value;
pub mod variable;

pub use fault::{PyKind, RenderFault};
