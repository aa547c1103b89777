//! The outside world: programs, services, protocols.

mod answer;
pub mod component;
pub mod embedder;
pub mod extractor;
pub mod gateway;
pub mod git;
pub mod github;
pub mod hook;
pub mod http;
pub mod incident_file;
pub mod kubectl;
pub mod llm;
pub mod neo4j;
pub mod probe;
pub mod process;
pub mod prometheus;
pub mod qdrant;
mod redact;
pub mod servers;
pub mod smtp;
pub mod source;
pub mod system_command;
pub mod system_http;
pub mod webhook;

/// Encryption is under the objects of the store, too.
pub use crate::store::age;
