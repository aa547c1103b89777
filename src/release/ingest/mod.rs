//! Taking documents in: from the paths that a person names to what can be searched, cited and audited.

mod flow;
pub mod open;
mod prepare;
pub mod run;
pub mod seen;
mod settle;
mod take;
pub mod told;
pub mod walk;

/// The version of all that decides what is made of a file: extraction, checks, chunks. A higher one takes every document anew.
const PIPELINE: u32 = 1;
