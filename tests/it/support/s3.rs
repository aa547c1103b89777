//! An S3 server: `moto_server`, one a test process, started when first asked for, on a free loopback port.
//!
//! moto is a fake of S3 made by others from its published API, conditional puts included; kf shares no code with it.

use super::daemon::Daemon;
use super::{free_port, http, program, project, variable, wait_until};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The bucket of the tests.
pub(crate) const BUCKET: &str = "kf-test";

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    port: u16,
    prefixes: AtomicU32,
    _daemon: Daemon,
}

/// The server that the tests of this process share.
pub(crate) fn shared() -> Result<&'static Server, &'static str> {
    static SERVER: OnceLock<Result<Server, String>> = OnceLock::new();
    SERVER.get_or_init(Server::start).as_ref().map_err(String::as_str)
}

impl Server {
    /// Starts a server with an empty bucket.
    pub(crate) fn start() -> Result<Self, String> {
        let moto = find().ok_or("moto_server is not installed (`pip install 'moto[server]'`; KF_TEST_MOTO may name it)")?;
        let dir = tempfile::Builder::new().prefix("kf-s3-").tempdir().map_err(|e| format!("no temporary directory: {e}"))?.keep();
        let port = free_port();
        let command = [moto.display().to_string(), "-H".into(), "127.0.0.1".into(), "-p".into(), port.to_string()];
        let daemon = Daemon::start(&dir, &dir.join("log"), &command)?;
        if !wait_until(60, || TcpStream::connect(("127.0.0.1", port)).is_ok()) {
            return Err(format!("moto_server does not start: {}", std::fs::read_to_string(dir.join("log")).unwrap_or_default()));
        }
        let server = Self { port, prefixes: AtomicU32::new(0), _daemon: daemon };
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

    /// Makes a bucket whose objects can be locked; its name.
    pub(crate) fn locked_bucket(&self) -> String {
        let name = format!("kf-locked-{}", self.prefixes.fetch_add(1, Ordering::Relaxed));
        let made = self.request_with("PUT", &format!("/{name}"), "x-amz-bucket-object-lock-enabled: true\r\n", "");
        assert_eq!(made.map(|(status, _)| status), Ok(200), "a bucket");
        name
    }

    /// A header of the answer to a `HEAD`; `None` when it has none such.
    pub(crate) fn header(&self, path: &str, name: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("connected");
        let signed = "AWS4-HMAC-SHA256 Credential=test/20261121/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
        write!(stream, "HEAD {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {signed}\r\nConnection: close\r\n\r\n").expect("asked");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let line =
            |line: &str| line.split_once(": ").filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned());
        answer.lines().find_map(line)
    }

    /// What kf needs in its environment to reach the server through `port` (its own or a proxy's).
    pub(crate) fn environment(&self, port: u16) -> [(&'static str, String); 5] {
        [
            ("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}")),
            ("AWS_ALLOW_HTTP", "true".into()),
            ("AWS_ACCESS_KEY_ID", "test".into()),
            ("AWS_SECRET_ACCESS_KEY", "test".into()),
            ("AWS_REGION", "us-east-1".into()),
        ]
    }

    /// One plain HTTP/1.1 request: status and body. moto wants a signature but does not check it.
    pub(crate) fn request(&self, method: &str, path: &str, body: &str) -> Result<(u16, String), String> {
        self.request_with(method, path, "", body)
    }

    /// The same with more headers, whole lines.
    pub(crate) fn request_with(&self, method: &str, path: &str, headers: &str, body: &str) -> Result<(u16, String), String> {
        let signed = "AWS4-HMAC-SHA256 Credential=test/20261121/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
        let header = format!("Authorization: {signed}\r\n{headers}");
        http(self.port, (method, path), &header, body).map_err(|e| format!("moto_server: {e}"))
    }
}

/// Where `.ci/run` puts the Python tools of the tests, seen from the project's root.
const TOOLS: &str = "target/test-tools/bin";

fn find() -> Option<PathBuf> {
    if let Some(file) = variable("KF_TEST_MOTO") {
        return Some(PathBuf::from(file));
    }
    let ours = project().join(TOOLS).join("moto_server");
    if ours.is_file() { Some(ours) } else { program("moto_server", &[]) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::skip;

    #[test]
    fn objects_are_kept() {
        let server = match shared() {
            Ok(server) => server,
            Err(why) => return skip(why),
        };
        let path = format!("/{BUCKET}/self-test/x");
        assert_eq!(server.request("PUT", &path, "hello").map(|(s, _)| s), Ok(200));
        assert_eq!(server.request("GET", &path, ""), Ok((200, "hello".into())));
        assert_eq!(server.request("GET", &format!("{path}y"), "").map(|(s, _)| s), Ok(404));
        assert_ne!(server.fresh(), server.fresh());
    }
}
