//! One address of a version and the connections to it.
//!
//! Connections are kept per endpoint, the last used first; one is given back only when its answer was read to the end and the
//! request was sent to the end. Dropping a [`Link`] closes its connection, which ends what the upstream does for it: that is how a
//! client that went away cancels its request.

use super::body::Outgoing;
use super::health::Health;
use crate::base::error::{Context as _, Error, Result};
use hyper::Uri;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::header::HeaderValue;
use hyper::http::uri::Authority;
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How connections to upstreams are made and kept.
pub(super) struct Dialer {
    pub(super) connect: Duration,
    /// Bytes of the head of an answer.
    pub(super) head: usize,
    /// How long an unused connection is kept, and how many of them.
    pub(super) pooled: (Duration, usize),
    authorities: Vec<CertificateDer<'static>>,
    tls: OnceLock<TlsConnector>,
}

impl Dialer {
    pub(super) fn new(connect: Duration, head: usize, pooled: (Duration, usize), authorities: Option<&[u8]>) -> Result<Self> {
        let authorities = CertificateDer::pem_slice_iter(authorities.unwrap_or_default()).collect::<Result<_, _>>();
        let authorities = authorities.context(|| "the authorities of upstreams are not certificates in PEM")?;
        Ok(Self { connect, head, pooled, authorities, tls: OnceLock::new() })
    }

    /// TLS to upstreams, with the system's authorities, read on first use.
    fn tls(&self) -> &TlsConnector {
        self.tls.get_or_init(|| {
            let mut roots = rustls::RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            roots.add_parsable_certificates(self.authorities.iter().cloned());
            let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
            TlsConnector::from(Arc::new(config))
        })
    }
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) struct Unreachable {
    /// For logs and status, not for users.
    pub(super) why: String,
    /// The time for it was over.
    pub(super) late: bool,
}

/// A connection to an endpoint that is free.
pub(super) struct Link {
    pub(super) sender: SendRequest<Outgoing>,
    /// Whether it has answered a request before.
    pub(super) reused: bool,
    since: Instant,
}

/// One address of a version.
pub(super) struct Endpoint {
    /// As the table has it.
    pub(super) text: String,
    /// What `Host` is when the user named none.
    pub(super) authority: HeaderValue,
    pub(super) health: Health,
    host: String,
    port: u16,
    server_name: Option<ServerName<'static>>,
    free: Mutex<Vec<Link>>,
}

impl Endpoint {
    /// From `http://HOST:PORT` or `https://HOST:PORT`.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let bad = || {
            Error::new(format_args!("`{text}` is not the address of an endpoint"))
                .hint("write it as `http://HOST:PORT` or `https://HOST:PORT`, without a path")
        };
        let uri: Uri = text.parse().ok().ok_or_else(bad)?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(bad()),
        };
        let authority = uri.authority().filter(|a| !a.as_str().contains('@') && !a.host().is_empty()).ok_or_else(bad)?;
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(bad());
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let server_name = if tls { Some(ServerName::try_from(host.clone()).ok().ok_or_else(bad)?) } else { None };
        Ok(Self {
            text: text.to_owned(),
            authority: HeaderValue::from_str(authority.as_str()).ok().ok_or_else(bad)?,
            health: Health::default(),
            host,
            port: port_of(authority, if tls { 443 } else { 80 }).ok_or_else(bad)?,
            server_name,
            free: Mutex::default(),
        })
    }

    fn free(&self) -> MutexGuard<'_, Vec<Link>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A free connection, or a new one.
    pub(super) async fn link(&self, dialer: &Dialer) -> Result<Link, Unreachable> {
        loop {
            let Some(mut link) = self.free().pop() else { return self.dial(dialer).await };
            // An old one may be about to be closed by the other side.
            if link.since.elapsed() < dialer.pooled.0 && !link.sender.is_closed() && link.sender.ready().await.is_ok() {
                return Ok(link);
            }
        }
    }

    /// A new connection.
    pub(super) async fn dial(&self, dialer: &Dialer) -> Result<Link, Unreachable> {
        let made = tokio::time::timeout(dialer.connect, self.connect(dialer)).await;
        let late = |_| Err(Unreachable { why: format!("no connection within {} ms", dialer.connect.as_millis()), late: true });
        made.unwrap_or_else(late)
    }

    async fn connect(&self, dialer: &Dialer) -> Result<Link, Unreachable> {
        let failed = |e: std::io::Error| Unreachable { why: e.to_string(), late: false };
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        match &self.server_name {
            None => shake(stream, dialer.head).await,
            Some(name) => shake(dialer.tls().connect(name.clone(), stream).await.map_err(failed)?, dialer.head).await,
        }
    }

    /// Takes a connection back whose last answer and request are through.
    pub(super) fn give_back(&self, mut link: Link, dialer: &Dialer) {
        (link.reused, link.since) = (true, Instant::now());
        let mut free = self.free();
        if free.len() < dialer.pooled.1 && !link.sender.is_closed() {
            free.push(link);
        }
    }

    /// Closes the connections that were unused for too long.
    pub(super) fn sweep(&self, dialer: &Dialer) {
        self.free().retain(|link| link.since.elapsed() < dialer.pooled.0 && !link.sender.is_closed());
    }
}

/// The port of an authority, or the usual one when it names none; `None` when what it names is none.
pub(super) fn port_of(authority: &Authority, usual: u16) -> Option<u16> {
    let named = authority.as_str().rsplit_once('@').map_or(authority.as_str(), |(_, host)| host).len() > authority.host().len();
    if named { authority.port_u16() } else { Some(usual) }
}

/// Begins HTTP on a stream; a task drives the connection until it ends.
async fn shake<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S, head: usize) -> Result<Link, Unreachable> {
    let made = Builder::new().max_header_size(head).handshake(TokioIo::new(stream)).await;
    let (sender, connection) = made.map_err(|e| Unreachable { why: e.to_string(), late: false })?;
    // Its errors reach whoever waits for an answer.
    tokio::spawn(async { drop(connection.with_upgrades().await) });
    Ok(Link { sender, reused: false, since: Instant::now() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let e = Endpoint::parse("http://[::1]:8080").expect("an address");
        assert_eq!((e.host.as_str(), e.port, e.server_name.is_some()), ("::1", 8080, false));
        let e = Endpoint::parse("https://bot.internal/").expect("an address");
        assert_eq!((e.host.as_str(), e.port, e.server_name.is_some()), ("bot.internal", 443, true));
    }

    #[test]
    fn what_is_none_is_refused() {
        for bad in
            ["", "bot:80", "ftp://a:1", "http://a:1/x", "http://a:1?x", "http://u:p@a:1", "http://", "http://a:99999", "x y"]
        {
            let error = Endpoint::parse(bad).err().unwrap_or_else(|| panic!("{bad}"));
            assert!(!error.hints().is_empty());
        }
    }
}
