//! Golden datasets: reviewed questions with reference answers and contexts, and files of recorded answers to them.
//!
//! Whatever tool wrote a file (ragas, DeepEval, promptfoo, OpenAI evals, inspect_ai, MLflow, LangSmith …, `fields.rs` has
//! the table), it becomes rows of one kind, and the mapping from its fields to ours is returned so that it can be printed.
//! All problems of a file are reported with their lines, at most [`PROBLEMS_MAX`]. Nothing is dropped: what has no meaning
//! here is kept in a row's `extra`.
//!
//! The identity of a dataset is the SHA-256 of its file's bytes.

mod answers;
mod fields;
mod problems;
mod raw;
mod read;
mod row;
mod scan;
mod values;

pub use answers::{Answer, Answers, Joined, Unmatched, join, plain, read_answers};
pub use fields::{Field, Mapped, Mapping, Override};
pub use problems::{PROBLEMS_MAX, Problem, Problems};
pub use raw::Format;
pub use read::{Dataset, read};
pub use row::{Row, to_jsonl};
