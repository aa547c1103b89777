//! A pull request as kf sees it: the models that it changes, each answered for as it was and as it is now, on the same rows.
//!
//! What a reviewer wants to know is what this change does, so it is compared with the commit at which its branch parted from the one it
//! goes into, and not with what is in production today. Both are played through in a state of their own that is thrown away: nothing about
//! what is not merged enters the state of the repository, and a runner that has none needs none.

pub mod base;
pub mod changed;
pub mod measured;
pub mod scratch;
