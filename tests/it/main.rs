//! The integration tests: the real binary against real servers. `docs/testing.md` says how they work.

mod crash;
mod faults;
mod layers;
mod objects_s3;
mod support;
mod surface;
