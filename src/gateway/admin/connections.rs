//! The connections of an admin interface: short ones, whatever their clients do.
//!
//! Requests here are small and answered at once. A connection that lives longer is asked to end after its request and then broken off, so
//! that clients who send a head or a body byte by byte do not take the file descriptors that users need.

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::pin::pin;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

/// How long to wait after the system had no connection to give.
const PAUSE: Duration = Duration::from_millis(50);

/// How long the head of a request may take, the wait for it included.
const HEAD: Duration = Duration::from_secs(10);

/// How long a connection lives.
#[derive(Clone, Copy)]
pub(in crate::gateway) struct Life {
    /// Until it takes no more requests.
    pub(in crate::gateway) whole: Duration,
    /// From then on, for the request that has begun.
    pub(in crate::gateway) rest: Duration,
}

impl Default for Life {
    fn default() -> Self {
        Self { whole: Duration::from_secs(60), rest: Duration::from_secs(10) }
    }
}

/// Takes connections for as long as it is polled.
pub(in crate::gateway) async fn serve(router: Router, listener: TcpListener, life: Life) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(connection(router.clone(), stream, life))),
            Err(_) => sleep(PAUSE).await,
        }
    }
}

/// One connection, until it ends. Its errors are its client's.
async fn connection(router: Router, stream: TcpStream, life: Life) {
    // What this only makes quicker is no reason to refuse it.
    let _ = stream.set_nodelay(true);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)));
    if timeout(life.whole, connection.as_mut()).await.is_err() {
        connection.as_mut().graceful_shutdown();
        let _ = timeout(life.rest, connection).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::runtime::runtime;
    use axum::routing::get;
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream as Client;

    #[test]
    fn who_is_slow_is_cut_off_and_others_are_answered() {
        let runtime = runtime().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).expect("a port");
        let address = listener.local_addr().expect("bound");
        let router = Router::new().route("/", get(async || "answered").post(async |body: String| body));
        let life = Life { whole: Duration::from_millis(300), rest: Duration::from_millis(100) };
        let serving = runtime.spawn(serve(router, listener, life));
        let whole = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        for (sent, answered) in [
            (whole, true),
            ("", false),
            ("GET / HTTP/1.1\r\nHo", false),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc", false),
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", false),
        ] {
            let mut client = Client::connect(address).expect("connected");
            client.set_read_timeout(Some(Duration::from_secs(60))).expect("a time-out");
            client.write_all(sent.as_bytes()).expect("sent");
            let mut got = Vec::new();
            // Whether it is closed or reset, it ends.
            let ended = client.read_to_end(&mut got).map_err(|e| e.kind());
            assert!(!matches!(ended, Err(std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)), "{sent:?}: {ended:?}");
            assert_eq!(String::from_utf8_lossy(&got).contains("answered"), answered, "{sent:?}");
        }
        serving.abort();
    }
}
