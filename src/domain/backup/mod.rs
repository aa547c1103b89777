//! Backup sets: what is written of one, and which are kept.
//!
//! * [`anchors`]: checkpoints that a restored log must agree with.
//! * [`census`]: how many rows a database has.
//! * [`erasure`]: what a set does not know was to be forgotten.
//! * [`health`]: whether a plan can be relied on.
//! * [`manifest`]: what a set is; a set without a manifest that can be read does not exist.
//! * [`proof`]: what a drill found.
//! * [`retention`]: which sets are kept, and why.
//!
//! Sets live where backups go and nowhere else, so that they are all there when the state is lost; the audit log has an event of each.

pub mod anchors;
pub mod census;
pub mod erasure;
pub mod health;
pub mod manifest;
pub mod proof;
pub mod retention;
