//! Going back while the state cannot be read: its file is locked or damaged, its server is gone.
//!
//! * [`act`]: what serves and what served before is asked of the target, and the traffic moves.
//! * [`journal`]: what was meant and what was done lies in a file, signed where this host has the log key, before and after it is done.
//! * [`take_in`]: the next command that can write the state takes it into registry, rollout and audit log.
//! * [`apart`]: where users have another version than the registry says since then.
//! * [`check`]: what of it is damaged or not in the state yet, for `kf fsck`.
//!
//! Invariants: an entry is on the disk before the target is touched; it goes only after the transaction that took it in, which knows it
//! again by its id; whoever is killed in between leaves an entry that says what was meant, and the target, which says what is.

pub mod act;
pub mod apart;
pub mod check;
pub mod journal;
pub mod take_in;
