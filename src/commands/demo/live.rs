//! Live traffic in the demo: a gateway on free ports of this machine, and users who ask one question after the other.

use crate::adapters::process::{Event, Program, Running};
use crate::base::error::{Context as _, Error, Result};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long a gateway may take to serve.
const READY: Duration = Duration::from_secs(30);
/// Users who ask at the same time, and how long each thinks before the next question.
const USERS: usize = 4;
const THINKS: Duration = Duration::from_millis(8);

/// Two ports of this machine that nobody listens on.
///
/// # Errors
/// When there are none.
pub(super) fn free_ports() -> Result<[u16; 2]> {
    let trouble = || "cannot find a free port on this machine";
    let any = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    // Both are held before either is given back, so that they differ.
    let (first, second) = (any().context(trouble)?, any().context(trouble)?);
    Ok([first.local_addr().context(trouble)?.port(), second.local_addr().context(trouble)?.port()])
}

/// A gateway with its users.
pub(super) struct Live {
    gateway: Running,
    over: Arc<AtomicBool>,
    users: Vec<JoinHandle<()>>,
}

impl Live {
    /// Starts `kf gateway run`, waits until it serves, and sends it users; gives what it said too.
    ///
    /// # Errors
    /// When it ends, or does not serve in time.
    pub(super) fn start(gateway: &Program, port: u16) -> Result<(Self, String)> {
        let mut gateway = gateway.start()?;
        gateway.close_input();
        let (until, mut said) = (Instant::now() + READY, String::new());
        while !said.contains("serves http") {
            match gateway.next_before(Some(until))? {
                Some(Event::Stdout(bytes)) => said.push_str(&String::from_utf8_lossy(&bytes)),
                Some(Event::Ended(ended)) => {
                    return Err(Error::new(format!("`kf gateway run` {ended}: {}", gateway.stderr())));
                }
                None => return Err(Error::new(format!("`kf gateway run` does not serve: {said}{}", gateway.stderr()))),
            }
        }
        let over = Arc::new(AtomicBool::new(false));
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let user = |_| {
            let over = Arc::clone(&over);
            thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    // A request that fails is counted where the judge looks: at the gateway.
                    let _ = ask(at);
                    thread::sleep(THINKS);
                }
            })
        };
        let users = (0..USERS).map(user).collect();
        Ok((Self { gateway, over, users }, said))
    }

    /// Sends the users home and stops the gateway.
    ///
    /// # Errors
    /// When the system cannot tell how it ended.
    pub(super) fn stop(mut self) -> Result<()> {
        self.over.store(true, Ordering::Relaxed);
        for user in self.users.drain(..) {
            // A user that panicked asks nothing more either.
            let _ = user.join();
        }
        self.gateway.end_within(Duration::ZERO);
        while !matches!(self.gateway.next()?, Event::Ended(_)) {}
        Ok(())
    }
}

/// Asks one question; the answer, as it came.
///
/// # Errors
/// When there is none.
pub(super) fn ask(at: SocketAddr) -> std::io::Result<String> {
    let mut gateway = TcpStream::connect_timeout(&at, Duration::from_secs(2))?;
    gateway.set_read_timeout(Some(Duration::from_secs(5)))?;
    gateway.write_all(format!("GET /answer?q=returns HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    gateway.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The tables of `mlops.toml` that the demo adds: a gateway that starts `kf` as the bot, and a plan of seconds.
pub(super) fn tables(kf: &Path, [listen, admin]: [u16; 2]) -> String {
    let kf = toml::Value::String(kf.to_string_lossy().into_owned());
    format!(
        "\n[target.local]\nkind = \"gateway\"\nmodel = \"bot\"\nlisten = \"127.0.0.1:{listen}\"\nadmin = \"127.0.0.1:{admin}\"\n\
         command = [{kf}, \"demo\", \"--serve\"]\n\n[rollout.quick]\nwindow = \"1s\"\nmonitor = \"3s\"\n\
         steps = [{{ weight = 20, hold = \"2s\" }}, {{ weight = 50, hold = \"2s\" }}, {{ weight = 100 }}]\n"
    )
}
