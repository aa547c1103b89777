//! Models and versions.
