//! The outside world: programs, services, protocols.

mod answer;
pub mod embedder;
pub mod extractor;
pub mod git;
pub mod hook;
pub mod http;
pub mod neo4j;
pub mod process;
pub mod prometheus;
pub mod qdrant;
pub mod smtp;
pub mod system_command;
pub mod system_http;
pub mod webhook;
