//! `mlops.toml` and the environment.
