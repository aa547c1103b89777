//! The integration tests: the real binary against real servers. `docs/testing.md` says how they work.

mod completions;
mod crash;
mod faults;
mod layers;
mod objects_s3;
mod state;
mod support;
mod surface;
mod writers;
