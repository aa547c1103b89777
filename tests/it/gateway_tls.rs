//! TLS on both sides of the gateway, and HTTP/2 where a client agrees on it.

use crate::support::skip;
use crate::support::smtp::{certificates, configuration};
use crate::support::wire::{Rig, Upstream, Wire, say, table};
use hyper::body::{Body as _, Bytes, Frame, Incoming, SizeHint};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use kf::gateway::settings::{Identity, Settings};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection, StreamOwned};
use std::convert::Infallible;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

fn identity(dir: &Path) -> Identity {
    let read = |name: &str| std::fs::read(dir.join(name)).expect("a file");
    Identity { certificates: read("cert.pem"), key: read("key.pem") }
}

fn client(dir: &Path, protocol: &str) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(dir.join("ca.pem")).expect("an authority")).expect("an authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("TLS");
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    Arc::new(config)
}

fn localhost() -> ServerName<'static> {
    ServerName::try_from("localhost").expect("a name")
}

fn secured(dir: &Path, upstream: &Upstream) -> Rig {
    let settings = Settings { tls: Some(identity(dir)), ..Settings::default() };
    Rig::new(settings, table(1, &[upstream.address], &[], 0.0))
}

#[test]
fn users_come_by_tls() {
    let dir = match certificates(&["localhost"]) {
        Ok(dir) => dir,
        Err(lacking) => return skip(lacking),
    };
    let upstream = Upstream::saying("ok");
    let rig = secured(dir.path(), &upstream);
    let connection = ClientConnection::new(client(dir.path(), "http/1.1"), localhost()).expect("a connection");
    let mut stream = StreamOwned::new(connection, TcpStream::connect(rig.address).expect("a connection"));
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("sent");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("an answer");
    assert!(reply.starts_with("HTTP/1.1 200 OK\r\n") && reply.ends_with("\r\n\r\nok"), "{reply}");
    assert_eq!(upstream.only().header("x-forwarded-proto"), Some("https".into()));
    // Who speaks no TLS gets no answer, and the next one does.
    let mut plain = Wire::to(rig.address);
    plain.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let answer = plain.line();
    assert!(!answer.as_deref().unwrap_or_default().contains("HTTP"), "{answer:?}");
    assert_eq!(upstream.heard().len(), 1);
}

/// A body in two pieces.
struct Pieces(Vec<&'static str>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;
    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop().map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes())))))
    }
    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

async fn text(response: Response<Incoming>) -> String {
    let mut body = pin!(response.into_body());
    let mut all = Vec::new();
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        all.extend_from_slice(frame.expect("a piece").data_ref().map_or(&[], |d| d));
    }
    String::from_utf8(all).expect("text")
}

#[test]
fn http2_is_spoken_where_it_is_agreed_on() {
    let dir = match certificates(&["localhost"]) {
        Ok(dir) => dir,
        Err(lacking) => return skip(lacking),
    };
    let upstream = Upstream::start(|request, wire| say(wire, "200 OK", &request.text()));
    let rig = secured(dir.path(), &upstream);
    let (address, config) = (rig.address, client(dir.path(), "h2"));
    kf::store::runtime::block_on(async move {
        let stream = tokio::net::TcpStream::connect(address).await.expect("a connection");
        let stream = tokio_rustls::TlsConnector::from(config).connect(localhost(), stream).await.expect("TLS");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let made = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
        let (mut sender, connection) = made.expect("HTTP/2");
        tokio::spawn(connection);
        for _ in 0..2 {
            let request = Request::post("https://localhost/a?b=c").header("cookie", "a=1").header("cookie", "b=2");
            let response =
                sender.send_request(request.body(Pieces(vec!["lo", "hel"])).expect("a request")).await.expect("an answer");
            assert_eq!(response.status().as_u16(), 200);
            assert_eq!(response.headers()["x-kf-version"], "1.0.0");
            assert_eq!(text(response).await, "hello");
        }
    })
    .expect("it runs");
    let got = &upstream.heard()[0];
    assert_eq!((got.first.as_str(), got.header("host")), ("POST /a?b=c HTTP/1.1", Some("localhost".into())));
    assert_eq!(got.header("cookie"), Some("a=1; b=2".into()));
    rig.counts("1.0.0", |c| (c.requests, c.errors, c.aborted) == (2, 0, 0));
}

/// An upstream that answers each connection once, by TLS.
fn secure_upstream(dir: &tempfile::TempDir) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let (address, config) = (listener.local_addr().expect("bound"), Arc::new(configuration(dir)));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let tls = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).expect("a connection"), stream);
            let mut reader = BufReader::new(tls);
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|n| n > 2) {
                line.clear();
            }
            // A handshake that the gateway gives up ends here.
            let _ = reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nsecret");
        }
    });
    address
}

#[test]
fn upstreams_are_reached_by_tls_when_their_authority_is_known() {
    let dir = match certificates(&["localhost"]) {
        Ok(dir) => dir,
        Err(lacking) => return skip(lacking),
    };
    let port = secure_upstream(&dir).port();
    let mut table = table(1, &[([127, 0, 0, 1], port).into()], &[], 0.0);
    table.stable.as_mut().expect("a version").endpoints = vec![format!("https://localhost:{port}")];
    let authorities = std::fs::read(dir.path().join("ca.pem")).ok();
    let known = Rig::new(Settings { authorities, ..Settings::default() }, table.clone());
    assert_eq!(known.get("").text(), "secret");
    let mut settings = Settings::default();
    settings.health.path = None;
    let unknown = Rig::new(settings, table);
    assert_eq!(unknown.get("").status(), 502);
    let trouble = unknown.gateway.counters().endpoints[0].trouble.clone().unwrap_or_default();
    assert!(trouble.contains("certificate"), "{trouble}");
}

#[test]
fn a_wrong_certificate_is_told_before_anything_is_served() {
    use kf::base::{random::Random, time::Clock};
    let tls = Some(Identity { certificates: b"nothing".to_vec(), key: b"nothing".to_vec() });
    let settings = Settings { tls, ..Settings::default() };
    let error =
        kf::gateway::Gateway::new(settings, table(1, &[], &[], 0.0), Clock::System, Random::System).err().expect("refused");
    assert!(error.to_string().contains("key is not in PEM") && !error.hints().is_empty(), "{error}");
}
