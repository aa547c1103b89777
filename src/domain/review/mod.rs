//! What a reviewer of a pull request is told: each model that changed against what it was, what decides, and the comment that says so.
//!
//! Documents are written by one command and read by another, on another machine perhaps, so they are plain data here. What comes from
//! datasets, answers and file names is somebody else's text: it never becomes Markdown, HTML or a mention.

pub mod comment;
pub mod decide;
pub mod doc;
mod layout;
mod quote;

pub use quote::cut as shortened;
