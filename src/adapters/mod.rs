//! The outside world: programs, services, protocols.

mod answer;
pub mod git;
pub mod process;
pub mod system_command;
