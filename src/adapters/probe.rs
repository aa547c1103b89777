//! Whether something answers: an address over HTTP or TCP, a program.

use super::http::{Http, Policy, Refused, Request};
use super::process::Program;
use crate::base::error::{Context, Error, Result};
use crate::base::quantity::Bytes;
use crate::base::random::Random;
use crate::base::text::visible;
use crate::config::Secret;
use crate::store::runtime::block_on;
use reqwest::Method;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::Path;
use std::time::{Duration, Instant};
use url::Url;

/// The most that a program may print.
const OUTPUT_MAX: Bytes = Bytes(1 << 20);
/// How much of what it printed is told, in characters.
const TOLD_MAX: usize = 200;

/// What answers at an address: 2xx over HTTP, a connection over `tcp://HOST:PORT`.
///
/// # Errors
/// When it does not, within this time.
pub fn address(url: &str, token: Option<&Secret>, timeout: Duration) -> Result<String> {
    let parsed: Url = url.parse().context(|| "the address is none")?;
    if parsed.scheme() == "tcp" { connect(&parsed, timeout) } else { get(parsed, token, timeout) }
}

/// What answers at an address at all, also when it wants another request or does not know who asks.
///
/// # Errors
/// When nothing does within this time, or the service says that it is broken (5xx).
pub fn reach(url: &str, timeout: Duration) -> Result<String> {
    let shown = visible(url, TOLD_MAX);
    match address(url, None, timeout) {
        Ok(_) => Ok(format!("{shown} answers")),
        Err(e) => match e.cause::<Refused>() {
            Some(refused) if refused.status < 500 => Ok(format!("{shown} answers (status {})", refused.status)),
            _ => Err(e),
        },
    }
}

fn get(url: Url, token: Option<&Secret>, timeout: Duration) -> Result<String> {
    let policy = Policy { attempts: 1, timeout, body_wait: Some(Duration::ZERO), ..Policy::default() };
    let mut request = Request::new(Method::GET, url);
    if let Some(token) = token {
        request = request.secret_header("authorization", &Secret::new(format!("Bearer {}", token.expose())))?;
    }
    let http = Http::new(policy, Random::System)?;
    let answer = block_on(http.send(&request))??;
    Ok(format!("{request:?} answers {}", answer.status))
}

fn connect(url: &Url, timeout: Duration) -> Result<String> {
    let what = || format!("{} takes no connection", visible(url.as_str(), TOLD_MAX));
    let (Some(host), Some(port)) = (url.host_str(), url.port()) else {
        return Err(Error::usage(format!("`{url}` has no host and port")));
    };
    let began = Instant::now();
    let mut last = None;
    for place in (host.trim_matches(['[', ']']), port).to_socket_addrs().context(what)? {
        let left = timeout.saturating_sub(began.elapsed()).max(Duration::from_millis(1));
        match TcpStream::connect_timeout(&place, left) {
            Ok(_) => return Ok(format!("{place} takes connections")),
            Err(e) => last = Some(e),
        }
    }
    match last {
        Some(e) => Err(e).context(what),
        None => Err(Error::new(what())),
    }
}

/// The first line that a program prints which ends with 0.
///
/// # Errors
/// When it cannot be run, ends otherwise, or not within this time.
pub fn program(argv: &[String], dir: &Path, timeout: Duration) -> Result<String> {
    let printed = Program::from_argv(argv)?.dir(dir).timeout(timeout).output_max(OUTPUT_MAX).output(&[])?;
    let text = String::from_utf8_lossy(&printed);
    let line = text.lines().next().map(str::trim).filter(|line| !line.is_empty()).unwrap_or("it ended with 0");
    Ok(visible(line, TOLD_MAX))
}
