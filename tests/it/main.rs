//! The integration tests: kf against real servers.

mod objects_s3;
mod support;
