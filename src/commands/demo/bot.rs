//! The bot of the demo as it serves users: a program that the gateway starts, one for each version.
//!
//! It looks every question up, which takes 1 to 5 ms by turns; a version whose `retrieval.yaml` has a shorter `timeout_ms` gives up on
//! some of them, as a service with too short a time-out does.

use crate::base::error::{Context, Error, Result};
use crate::cli::cx::Cx;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// Lookups take 1 to so many milliseconds, by turns.
const LOOKUP_MAX: u64 = 5;
/// How long a client may take to ask.
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves until it is stopped, on the port and with the files that the gateway names.
///
/// # Errors
/// When they are not named, or the port cannot be had.
pub(super) fn serve(cx: &Cx) -> Result<()> {
    let named = |name| cx.env.text(name).ok_or_else(|| Error::usage(format!("`{name}` is not set: the gateway starts this")));
    let port: u16 = named("PORT")?.parse().context(|| "`PORT` is no port")?;
    let timeout = timeout_of(Path::new(named("KF_VERSION_DIR")?))?;
    let (version, questions) = (named("KF_VERSION")?.to_owned(), AtomicU64::new(0));
    let bot = Arc::new(Bot { version, timeout, questions });
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).context(|| format!("cannot listen on port {port}"))?;
    for user in listener.incoming() {
        let bot = Arc::clone(&bot);
        // Who hangs up gets no answer; the others go on.
        thread::spawn(move || user.and_then(|user| bot.answer(&user)));
    }
    Ok(())
}

/// `timeout_ms` of a version's `retrieval.yaml`; none when it has none.
fn timeout_of(dir: &Path) -> Result<Option<u64>> {
    let path = dir.join("retrieval.yaml");
    let text = std::fs::read_to_string(&path).context(|| format!("cannot read {}", path.display()))?;
    let settings: serde_yaml::Value = serde_yaml::from_str(&text).context(|| format!("{} is no YAML", path.display()))?;
    Ok(settings.get("timeout_ms").and_then(serde_yaml::Value::as_u64))
}

struct Bot {
    version: String,
    timeout: Option<u64>,
    questions: AtomicU64,
}

impl Bot {
    /// One request and its answer.
    fn answer(&self, user: &TcpStream) -> std::io::Result<()> {
        user.set_read_timeout(Some(PATIENCE))?;
        let mut head = BufReader::new(user).lines();
        let asked = head.next().transpose()?.unwrap_or_default();
        while head.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
        let found = asked.starts_with("GET /ready ") || self.look_up();
        let (status, text) = if found { ("200 OK", "30 days [returns]") } else { ("504 Gateway Timeout", "retrieval timed out") };
        let body = format!("{text}, says {}\n", self.version);
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        let mut user = user;
        user.write_all((head + &body).as_bytes())
    }

    /// Whether a lookup ended in its time.
    fn look_up(&self) -> bool {
        let takes = 1 + self.questions.fetch_add(1, Ordering::Relaxed) % LOOKUP_MAX;
        let waits = self.timeout.map_or(takes, |timeout| takes.min(timeout));
        thread::sleep(Duration::from_millis(waits));
        waits == takes
    }
}
