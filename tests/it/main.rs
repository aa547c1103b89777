<<<<<<< HEAD
//! The integration tests: kf against real servers.

mod objects_s3;
=======
//! The integration tests: the real binary against real servers. `docs/testing.md` says how they work.

mod layers;
>>>>>>> harness
mod support;
