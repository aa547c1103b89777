//! Traits that several rooms share; they know nothing of who implements them.

pub mod answerer;
pub mod embedder;
pub mod graph;
pub mod notifier;
