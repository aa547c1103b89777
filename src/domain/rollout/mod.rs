//! Rollouts: how a version reaches users step by step, and is taken back when it is worse. Pure: what was seen goes in, what
//! to do comes out; whoever drives a rollout keeps the journal, moves the traffic and asks the metrics.
//!
//! * [`measure`]: from what a source of metrics counted to a window, with limits frozen at the start.
//! * [`window`]: what a controller writes down of each window of time, and gives the judge.
//! * [`policy`]: checks with their limits, and how sure one must be.
//! * [`judge`]: policy and windows in, a decision and a finding for every check out.
//! * `literal`: the same by the word of a specification's limits, with the false alarms that this brings.
//! * [`tail`]: ranks and quantiles of latencies, for people.
//! * [`plan`]: the steps of a rollout, the presets of the specifications.
//! * [`state`], [`machine`]: the states of a rollout: what is pending, and what an event makes of it.
//!
//! * [`setup`]: what is frozen when a rollout starts.
//! * [`table`], [`record`], [`check`]: its rows, their changes, and whether they say what the audit log says.
//! * [`lease`]: who drives it; [`outcome`]: what became of a version.
//!
//! A controller's tick: do what [`machine::pending`] says; for `Observe` write the window down under its id, give the windows
//! to [`judge::judge`], and report the decision and the weight that the target shows to [`machine::advance`]; write the
//! [`machine::Move`] into the journal before the next action. Windows begin when the target shows the step's weight, after
//! the warm-up; each is [`plan::Plan::window`] seconds, with [`window::Window::share`] the share that was seen.

pub mod check;
pub mod judge;
pub mod lease;
mod literal;
pub mod machine;
pub mod measure;
pub mod outcome;
pub mod plan;
pub mod policy;
mod reading;
pub mod record;
pub mod setup;
pub mod state;
pub mod table;
pub mod tail;
pub mod window;
