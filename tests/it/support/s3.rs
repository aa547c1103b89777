//! An S3 server: `moto_server`, one a test process, started when first asked for, on a free loopback port.
//!
//! moto is a fake of S3 made by others from its published API, conditional puts included; kf shares no code with it.

use super::{free_port, program, variable, wait_until};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The bucket of the tests.
pub(crate) const BUCKET: &str = "kf-test";

/// Runs the server until this process closes the pipe, if only by dying.
const UNTIL_WE_END: &str = r#""$0" -H 127.0.0.1 -p "$1" >/dev/null 2>&1 & read _; kill $!"#;

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    port: u16,
    prefixes: AtomicU32,
    _process: Child,
}

/// The server that the tests of this process share.
pub(crate) fn shared() -> Result<&'static Server, &'static str> {
    static SERVER: OnceLock<Result<Server, String>> = OnceLock::new();
    SERVER.get_or_init(Server::start).as_ref().map_err(String::as_str)
}

impl Server {
    /// Starts a server with an empty bucket.
    pub(crate) fn start() -> Result<Self, String> {
        let moto = find().ok_or("moto_server not found (`pip install 'moto[server]'`; KF_TEST_MOTO may name it)")?;
        let port = free_port();
        let process = Command::new("sh")
            .args(["-c", UNTIL_WE_END])
            .arg(moto)
            .arg(port.to_string())
            .stdin(Stdio::piped())
            .spawn()
            .map_err(|e| format!("moto_server does not start: {e}"))?;
        if !wait_until(60, || TcpStream::connect(("127.0.0.1", port)).is_ok()) {
            return Err("moto_server does not start".into());
        }
        let server = Self { port, prefixes: AtomicU32::new(0), _process: process };
        match server.request("PUT", &format!("/{BUCKET}"), "")? {
            (200, _) => Ok(server),
            (status, body) => Err(format!("moto_server made no bucket: {status} {body}")),
        }
    }

    /// The port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The URL of a place in the bucket that nothing else uses.
    pub(crate) fn fresh(&self) -> String {
        format!("s3://{BUCKET}/t{}", self.prefixes.fetch_add(1, Ordering::Relaxed))
    }

    /// One plain HTTP/1.1 request: status and body. moto takes it unsigned.
    pub(crate) fn request(&self, method: &str, path: &str, body: &str) -> Result<(u16, String), String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).map_err(|e| format!("moto_server: {e}"))?;
        stream.set_read_timeout(Some(Duration::from_secs(20))).map_err(|e| e.to_string())?;
        let (length, host) = (body.len(), format!("127.0.0.1:{}", self.port));
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
            .map_err(|e| format!("moto_server: {e}"))?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map_err(|e| format!("moto_server: {e}"))?;
        let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or_else(|| format!("no HTTP: {answer}"))?;
        Ok((status, answer.split_once("\r\n\r\n").map(|(_, b)| b.to_owned()).unwrap_or_default()))
    }
}

fn find() -> Option<PathBuf> {
    match variable("KF_TEST_MOTO") {
        Some(file) => Some(PathBuf::from(file)),
        None => program("moto_server", &[PathBuf::from("/tmp/venv-moto/bin")]),
    }
}
