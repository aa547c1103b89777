//! Traits that several rooms share, which know nothing of who implements them, and values that two rooms hand each other.

pub mod answerer;
pub mod backup;
pub mod embedder;
pub mod graph;
pub mod metrics;
pub mod model;
pub mod notifier;
pub mod routes;
pub mod traffic;
