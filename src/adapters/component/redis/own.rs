//! A Redis server of our own that starts from a snapshot, and is gone with this value.

use super::{Redis, SNAPSHOT};
use crate::adapters::process::{Event, Program, Running, why};
use crate::base::error::{Context, Error, Result};
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long it may take to start: it reads the whole snapshot first.
const START: Duration = Duration::from_secs(600);

/// A running server on a loopback port.
pub(super) struct Own {
    pub(super) client: Redis,
    // Dropping it ends the server.
    _server: Running,
}

impl Own {
    /// Starts one in `scratch`; `None` when there is no `redis-server` here.
    pub(super) fn start(snapshot: &Path, scratch: &Path) -> Result<Option<Self>> {
        if super::super::version("redis-server").is_none() {
            return Ok(None);
        }
        std::fs::copy(snapshot, scratch.join(SNAPSHOT)).context(|| "cannot copy the snapshot")?;
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).context(|| "there is no free port")?.port();
        let argv = ["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no", "--daemonize", "no"];
        let mut server =
            Program::new("redis-server").args(argv).arg("--dbfilename").arg(SNAPSHOT).arg("--dir").arg(scratch).start()?;
        let client = Redis::new(&format!("redis://127.0.0.1:{port}"), None)?;
        let until = Instant::now() + START;
        let mut said = Vec::new();
        loop {
            match client.keys() {
                Ok(_) => return Ok(Some(Self { client, _server: server })),
                Err(e) if Instant::now() > until => {
                    return Err(e).context(|| "a server of our own does not start from the snapshot");
                }
                Err(_) => match server.next_before(Some(Instant::now() + Duration::from_millis(50)))? {
                    Some(Event::Ended(ended)) => {
                        // It tells on its standard output why it does not start.
                        let lines = String::from_utf8_lossy(&said).into_owned() + &server.stderr();
                        return Err(Error::new(format!(
                            "the snapshot of Redis cannot be read: {}",
                            why("redis-server", &ended, &lines)
                        )));
                    }
                    Some(Event::Stdout(bytes)) => said.extend_from_slice(&bytes),
                    None => {}
                },
            }
        }
    }
}
