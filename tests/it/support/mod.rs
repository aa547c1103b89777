//! What the integration tests stand on: real servers, and the means to break things.
//!
//! A test that needs a program this machine lacks calls [`skip`], which says so on stderr and, where `CI` is set, fails:
//! nothing is skipped in silence and nothing is skipped in CI.

pub(crate) mod proxy;
pub(crate) mod s3;

use std::io::Write as _;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

/// A variable that steers the tests themselves.
#[expect(clippy::disallowed_methods, reason = "the tests are steered from outside")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.is_empty())
}

/// Leaves a test out because this machine lacks something.
///
/// # Panics
/// Where `CI` is set: there everything must be present.
pub(crate) fn skip(why: &str) {
    assert!(variable("CI").is_none(), "cannot be skipped in CI: {why}");
    // Past the capture of the test runner.
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}

/// The program `name` on the PATH, or in one of `also`.
pub(crate) fn program(name: &str, also: &[PathBuf]) -> Option<PathBuf> {
    let path = variable("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain(also.iter().cloned());
    dirs.map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// A port on the loopback that nobody listens on now.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).and_then(|l| l.local_addr()).expect("a free loopback port").port()
}

/// Waits up to `seconds` for something to become true.
pub(crate) fn wait_until(seconds: u64, mut is_so: impl FnMut() -> bool) -> bool {
    (0..seconds * 20).any(|_| {
        is_so() || {
            std::thread::sleep(Duration::from_millis(50));
            false
        }
    })
}
