//! Disaster recovery: what is done when something is lost, written down before, and exercises of it.
//!
//! * [`facts`]: what a runbook names of a repository.
//! * [`mod@line`]: a command as a shell takes it, with variables that nobody can know beforehand.
//! * [`runbook`]: a scenario, what it needs and its steps, as Markdown.
//! * [`parts`]: steps that several scenarios share; [`write`](mod@write): the steps of each.
//! * [`exercise`]: what became of each step when people went through it.

pub mod exercise;
pub mod facts;
pub mod line;
pub mod parts;
pub mod runbook;
pub mod write;
