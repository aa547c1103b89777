//! One file a table of `mlops.toml`: what may be written, what it means, and the rules between the two.

pub(super) mod alerts;
pub(super) mod artifacts;
pub(super) mod backup;
pub(super) mod dr;
pub(super) mod drift;
pub(super) mod embedder;
pub(super) mod gates;
pub(super) mod golden;
pub(super) mod graph;
pub(super) mod health;
pub(super) mod ingest;
pub(super) mod judge;
pub(super) mod llm;
pub(super) mod metrics;
pub(super) mod model;
pub(super) mod monitor;
pub(super) mod policy;
pub(super) mod project;
pub(super) mod rollout;
pub(super) mod signing;
pub(super) mod state;
pub(super) mod system;
pub(super) mod target;
pub(super) mod vectors;
