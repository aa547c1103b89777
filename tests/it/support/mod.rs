//! What the integration tests stand on: the sandbox, the real servers, and the means to break things.
//!
//! A test that needs a program this machine lacks calls [`skip`], which says so on stderr and, where `CI` is set, fails:
//! nothing is skipped in silence and nothing is skipped in CI.

pub(crate) mod crash;
pub(crate) mod daemon;
pub(crate) mod documents;
pub(crate) mod embeddings;
pub(crate) mod front;
pub(crate) mod gateway;
pub(crate) mod github;
pub(crate) mod k6;
pub(crate) mod kube;
pub(crate) mod models;
pub(crate) mod neo4j;
pub(crate) mod pg;
pub(crate) mod prometheus;
pub(crate) mod proxy;
pub(crate) mod qdrant;
pub(crate) mod receiver;
pub(crate) mod redis;
pub(crate) mod rollout;
pub(crate) mod s3;
pub(crate) mod sandbox;
pub(crate) mod smtp;
pub(crate) mod source;
pub(crate) mod strace;
pub(crate) mod tty;
pub(crate) mod wire;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
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

/// Compares the part of a page between `<!-- MARK -->` and `<!-- end -->` with what kf says, or writes it when `KF_UPDATE` is set.
///
/// # Panics
/// When they differ: `tests` names the tests that write it.
pub(crate) fn page_part(path: &str, mark: &str, text: &str, tests: &str) {
    let file = project().join(path);
    let page = std::fs::read_to_string(&file).expect("a page");
    let begin = format!("<!-- {mark} -->\n");
    let (before, rest) = page.split_once(&begin).expect("the part begins");
    let (found, after) = rest.split_once("<!-- end -->\n").expect("the part ends");
    if variable("KF_UPDATE").is_some() {
        std::fs::write(&file, format!("{before}{begin}{text}<!-- end -->\n{after}")).expect("written");
    } else {
        assert!(found == text, "{path} is not what kf says: `KF_UPDATE=1 cargo test --test it {tests}` writes it anew");
    }
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

/// One plain HTTP/1.1 request to a server of this machine: status and body. `headers` are whole lines.
pub(crate) fn http(port: u16, (method, path): (&str, &str), headers: &str, body: &str) -> Result<(u16, String), String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).map_err(|e| e.to_string())?;
    stream.set_read_timeout(Some(std::time::Duration::from_secs(20))).map_err(|e| e.to_string())?;
    let always = format!("Host: 127.0.0.1:{port}\r\nContent-Length: {}\r\nConnection: close", body.len());
    write!(stream, "{method} {path} HTTP/1.1\r\n{headers}{always}\r\n\r\n{body}").map_err(|e| e.to_string())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(|e| e.to_string())?;
    let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or_else(|| format!("no HTTP: {answer}"))?;
    Ok((status, answer.split_once("\r\n\r\n").map(|(_, b)| b.to_owned()).unwrap_or_default()))
}

/// A folder of the Python packages that lie in the virtual environments on the PATH and in that of `.ci/run`, which has `what`.
pub(crate) fn packages_with(what: &str) -> Option<PathBuf> {
    let path = variable("PATH").unwrap_or_default();
    let environments = std::env::split_paths(&path).filter_map(|bin| bin.parent().map(Path::to_owned));
    let own = project().join("target/test-tools");
    let libraries = environments.chain([own]).flat_map(|e| std::fs::read_dir(e.join("lib")).into_iter().flatten().flatten());
    libraries.map(|lib| lib.path().join("site-packages")).find(|packages| packages.join(what).exists())
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
