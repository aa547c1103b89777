//! What makes vectors and counts tokens: the table that is built in, models in a folder, services; and the tokenizer they share.

pub mod builtin;
pub mod directory;
pub mod endpoint;
mod ngrams;
mod table;
pub mod wordpiece;
