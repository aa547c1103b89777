//! The audit log as strangers read it: signed checkpoints, proofs, tiles.
