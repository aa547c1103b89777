//! Evaluation.

pub mod metrics;
