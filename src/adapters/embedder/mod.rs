//! What makes vectors and counts tokens: the table that is built in, and the tokenizer it shares with the models of its family.

pub mod builtin;
mod ngrams;
mod table;
pub mod wordpiece;
