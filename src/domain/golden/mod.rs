//! Golden datasets: reviewed questions with reference answers and contexts, read from what other tools write.
//!
//! JSON (an array, or an object that holds one), JSON lines and CSV; fields by alias ([`fields`]), with the mapping given back
//! so that it can be shown. Every problem is reported with its line, up to [`PROBLEMS_MAX`]; a dataset with a problem is
//! refused as a whole, because a silently dropped row would move every mean. A dataset's identity is the SHA-256 of its bytes.

pub mod fields;
pub mod read;
mod row;

#[cfg(test)]
mod tests;

pub use read::{Golden, Problem, read, read_answers};
pub use row::{Answer, Row};

/// How many problems are reported at most.
pub const PROBLEMS_MAX: usize = 50;
