//! A Redis server of our own that starts from a snapshot, and is gone with this value.

use super::{Redis, SNAPSHOT};
use crate::adapters::process::{Event, Program, Running, why};
use crate::base::digest::hex;
use crate::base::error::{Context, Error, Result};
use crate::base::random::Random;
use crate::config::secret::Secret;
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
        // What it holds is decrypted, and others of this machine reach its port: the password, which nobody sees in the list of processes,
        // keeps them out. It also tells this server from one that took the port meanwhile.
        let password = hex(&Random::System.bytes::<32>());
        let settings = format!(
            "bind 127.0.0.1\nport {port}\nsave \"\"\nappendonly no\ndaemonize no\ndbfilename {SNAPSHOT}\ndir \"{}\"\nrequirepass {password}\n",
            scratch.display()
        );
        let mut server = Program::new("redis-server").arg("-").dir(scratch).start()?;
        server.feed(settings.into_bytes());
        server.close_input();
        let client = Redis::new(&format!("redis://127.0.0.1:{port}"), Some(Secret::new(password)))?;
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
