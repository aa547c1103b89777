//! Takes the connections of users, with TLS or without, until it is told to end; then lets requests finish.
//!
//! HTTP/1.1, and HTTP/2 where TLS agreed on it. When all places are taken, new connections wait in the kernel.

use super::Gateway;
use super::headers::From;
use super::inbound::{Gate, Inbound};
use super::proxy::{Peer, answer};
use super::settings::Identity;
use crate::base::error::{Context as _, Result};
use futures_util::future::{Either, select};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;

/// How long to wait after the system had no connection to give: out of file descriptors, mostly.
const PAUSE: Duration = Duration::from_millis(50);
/// How often a silent HTTP/2 connection is asked whether anybody is there.
const PING: Duration = Duration::from_secs(30);

/// How far a gateway is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It takes requests.
    Serving,
    /// It takes no more connections; requests go on.
    Draining,
    /// Whatever is still going on is broken off.
    Ended,
}

/// TLS with users: HTTP/2 when they can.
pub(super) fn acceptor(identity: &Identity) -> Result<TlsAcceptor> {
    let hint = || "give a certificate chain and its key, both in PEM".to_owned();
    let chain = CertificateDer::pem_slice_iter(&identity.certificates).collect::<Result<Vec<_>, _>>();
    let chain = chain.context(|| "the gateway's certificate is not in PEM").hint(hint)?;
    let key = PrivateKeyDer::from_pem_slice(&identity.key).context(|| "the gateway's key is not in PEM").hint(hint)?;
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key);
    let mut config = config.context(|| "the gateway's certificate and key do not belong together").hint(hint)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Serves a listener until `shutdown`, then until all requests are through or the drain is over.
pub(super) async fn serve(
    gateway: Arc<Gateway>,
    listener: std::net::TcpListener,
    shutdown: impl Future<Output = ()>,
) -> Result<()> {
    listener.set_nonblocking(true).context(|| "cannot listen without blocking")?;
    let listener = TcpListener::from_std(listener).context(|| "cannot listen")?;
    let (phase, first) = watch::channel(Phase::Serving);
    let places = Arc::new(Semaphore::new(gateway.settings.limits.connections.min(Semaphore::MAX_PERMITS)));
    let mut shutdown = pin!(shutdown);
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (listener.accept().await, place)
        };
        match select(shutdown.as_mut(), pin!(next)).await {
            Either::Left(((), _)) => break,
            Either::Right(((Ok((stream, address)), place), _)) => {
                let (gateway, phase) = (Arc::clone(&gateway), first.clone());
                tokio::spawn(async move {
                    connection(gateway, stream, address, phase).await;
                    drop(place);
                });
            }
            Either::Right(((Err(_), _), _)) => tokio::time::sleep(PAUSE).await,
        }
    }
    drop((listener, first));
    phase.send_replace(Phase::Draining);
    if tokio::time::timeout(gateway.settings.waits.drain, phase.closed()).await.is_err() {
        phase.send_replace(Phase::Ended);
        phase.closed().await;
    }
    Ok(())
}

/// One connection, until it ends. Its errors are its user's: nobody here can do anything about them.
async fn connection(gateway: Arc<Gateway>, stream: TcpStream, address: SocketAddr, phase: watch::Receiver<Phase>) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let Some(tls) = gateway.tls.clone() else {
        return speak(gateway, stream, From::new(address.ip(), false), phase).await;
    };
    let from = From::new(address.ip(), true);
    let Ok(Ok(stream)) = tokio::time::timeout(gateway.settings.waits.head, tls.accept(stream)).await else { return };
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        speak_http2(gateway, stream, from, phase).await;
    } else {
        speak(gateway, stream, from, phase).await;
    }
}

async fn speak<S>(gateway: Arc<Gateway>, stream: S, from: From, phase: watch::Receiver<Phase>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let gate = Arc::new(Gate::default());
    let io = TokioIo::new(Inbound::new(stream, Arc::clone(&gate), &gateway.settings.waits, false));
    let mut http = http1::Builder::new();
    // Slow heads are the watched connection's matter, which also tells the client.
    http.header_read_timeout(None)
        .max_header_size(gateway.settings.limits.head)
        .max_buf_size(gateway.settings.limits.head.saturating_add(64 << 10));
    let peer = Arc::new(Peer { from, gate: Some(gate), phase: phase.clone() });
    let service = service_fn(move |request| respond(Arc::clone(&gateway), Arc::clone(&peer), request));
    let connection = http.serve_connection(io, service).with_upgrades();
    drive(pin!(connection), |c| c.graceful_shutdown(), phase).await;
}

async fn speak_http2<S>(gateway: Arc<Gateway>, stream: S, from: From, phase: watch::Receiver<Phase>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io = TokioIo::new(Inbound::new(stream, Arc::default(), &gateway.settings.waits, true));
    let mut http = http2::Builder::new(TokioExecutor::new());
    let head = u32::try_from(gateway.settings.limits.head).unwrap_or(u32::MAX);
    http.timer(TokioTimer::new()).keep_alive_interval(PING).max_header_list_size(head);
    let peer = Arc::new(Peer { from, gate: None, phase: phase.clone() });
    let service = service_fn(move |request| respond(Arc::clone(&gateway), Arc::clone(&peer), request));
    drive(pin!(http.serve_connection(io, service)), |c| c.graceful_shutdown(), phase).await;
}

async fn respond(
    gateway: Arc<Gateway>,
    peer: Arc<Peer>,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<super::body::Answer>, Infallible> {
    Ok(answer(gateway, peer, request).await)
}

/// Lets a connection go on, to the end of its requests when the gateway drains, and no longer when it has ended.
async fn drive<C: Future>(mut connection: Pin<&mut C>, finish: impl Fn(Pin<&mut C>), mut phase: watch::Receiver<Phase>) {
    loop {
        match select(connection.as_mut(), pin!(phase.changed())).await {
            Either::Left(_) => return,
            Either::Right((Err(_), _)) => return,
            Either::Right((Ok(()), _)) => {}
        }
        match *phase.borrow_and_update() {
            Phase::Serving => {}
            Phase::Draining => finish(connection.as_mut()),
            Phase::Ended => return,
        }
    }
}
