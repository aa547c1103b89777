//! `mlops.toml` and the environment.
pub mod secret;
