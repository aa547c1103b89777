//! The outside world: programs, services, protocols.

pub mod process;
