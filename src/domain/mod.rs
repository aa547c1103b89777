//! The rules of releases. Nothing here knows clap, a terminal, an exit code or HTTP.

pub mod ab;
pub mod alert;
pub mod audit;
pub mod backup;
pub mod dr;
pub mod drift;
pub mod eval;
pub mod flag;
pub mod golden;
pub mod ingest;
pub mod monitor;
pub mod optimize;
pub mod prompt;
pub mod registry;
pub mod review;
pub mod rollout;
