//! What the integration tests stand on: the sandbox, the real servers, and the means to break things.
//!
//! A test that needs a program this machine lacks calls [`skip`], which says so on stderr and, where `CI` is set, fails:
//! nothing is skipped in silence and nothing is skipped in CI.

pub(crate) mod crash;
pub(crate) mod daemon;
pub(crate) mod documents;
pub(crate) mod pg;
pub(crate) mod proxy;
pub(crate) mod s3;
pub(crate) mod sandbox;
pub(crate) mod source;
pub(crate) mod strace;
pub(crate) mod tty;

use std::io::Write as _;
use std::path::{Path, PathBuf};

/// A variable that steers the tests themselves; kf under test never sees it.
#[expect(
    clippy::disallowed_methods,
    reason = "the tests are steered from outside; the program under test gets a cleared environment"
)]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.is_empty())
}

/// Says on stderr, past the capture of the test runner, what is going on.
pub(crate) fn say(message: &str) {
    let _ = writeln!(std::io::stderr(), "{message}");
}

/// Leaves a test out because this machine lacks something.
///
/// # Panics
/// Where `CI` is set: there everything must be present.
pub(crate) fn skip(why: &str) {
    assert!(variable("CI").is_none(), "cannot be skipped in CI: {why} (`.ci/run` installs it)");
    say(&format!("skipped: {why}"));
}

/// The program `name` on the PATH, or in one of `also`.
pub(crate) fn program(name: &str, also: &[PathBuf]) -> Option<PathBuf> {
    let path = variable("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain(also.iter().cloned());
    dirs.map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// The root of the project.
pub(crate) fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Waits until `ready` says yes, at most `seconds`; false when it never did.
pub(crate) fn wait_until(seconds: u64, mut ready: impl FnMut() -> bool) -> bool {
    let started = std::time::Instant::now();
    while started.elapsed().as_secs() < seconds {
        if ready() {
            return true;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    ready()
}

/// A TCP port of this machine that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port on loopback");
    listener.local_addr().expect("a bound address").port()
}

/// Serves on a free port until the process ends; its address.
pub(crate) fn serve(app: axum::Router) -> std::net::SocketAddr {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
            sender.send(listener.local_addr().expect("bound")).expect("somebody waits");
            axum::serve(listener, app).await.expect("serves");
        });
    });
    receiver.recv().expect("an address")
}
