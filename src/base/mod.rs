//! The vocabulary that every other room speaks: identifiers, digests, versions, references, time, verdicts, errors.
//!
//! Nothing here reads a file, a clock (but [`time`]), an environment variable or a database, and nothing knows a terminal.

pub mod canonical;
pub mod digest;
pub mod encoding;
pub mod error;
pub mod event;
pub mod exit;
pub mod format;
pub mod guard;
pub mod merkle;
pub mod name;
pub mod page;
pub mod quantity;
pub mod random;
pub mod reference;
pub mod table;
pub mod text;
pub mod time;
pub mod unicode;
pub mod verdict;
pub mod version;
pub mod weight;
