//! The outside world: programs, services, protocols.
