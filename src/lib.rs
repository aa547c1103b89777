//! `kf` as a library. The rooms, in layers: each uses only those above it in this list (`tests/it/layers.rs` holds it).
//!
//! `base` vocabulary · `stats` pure numerics · `config` `mlops.toml` · `store` repository, database, objects, transactions ·
//! `data` tables of typed columns · `seams` traits that several rooms share · `domain` the rules · `adapters` the outside
//! world · `release` what needs several domain rooms at once · `gateway` the reverse proxy · `cli` context and output ·
//! `commands` one file a subcommand.

pub mod adapters;
pub mod base;
pub mod cli;
mod commands;
pub mod config;
pub mod data;
pub mod domain;
pub mod gateway;
pub mod release;
pub mod seams;
pub mod stats;
pub mod store;
