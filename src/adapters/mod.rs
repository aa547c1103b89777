//! The outside world: programs, services, protocols.

mod answer;
pub mod process;
pub mod system_command;
