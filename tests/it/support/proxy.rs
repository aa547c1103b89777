//! A TCP proxy that breaks a connection at a chosen moment, to lose the answer to a COMMIT or the request itself.
//!
//! It looks at the bytes as they pass and knows no protocol: a fault names text that must pass in one piece, as statements do.

use std::io::{Read, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// What goes wrong once, at the first client that sends the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The request does not arrive: both sides see a closed connection.
    LoseRequest,
    /// The request arrives and is served; its answer never comes back.
    LoseAnswer,
}

/// A running proxy; it serves until the process ends.
pub(crate) struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: u16,
    fault: Fault,
    trigger: Vec<u8>,
    armed: AtomicBool,
    struck: AtomicU32,
}

impl Proxy {
    /// A proxy to a port of this machine that strikes once armed, at the first request that contains `trigger`.
    pub(crate) fn start(upstream: u16, fault: Fault, trigger: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port on loopback");
        let port = listener.local_addr().expect("a bound address").port();
        let (armed, struck) = (AtomicBool::new(false), AtomicU32::new(0));
        let shared = Arc::new(Shared { upstream, fault, trigger: trigger.into(), armed, struck });
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = Arc::clone(&serving);
                std::thread::spawn(move || shared.serve(client));
            }
        });
        Self { port, shared }
    }

    /// The port to connect to.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The next request with the trigger meets the fault.
    pub(crate) fn arm(&self) {
        self.shared.armed.store(true, Ordering::SeqCst);
    }

    /// How often the fault has struck.
    pub(crate) fn struck(&self) -> u32 {
        self.shared.struck.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn serve(&self, client: TcpStream) {
        let Ok(server) = TcpStream::connect(("127.0.0.1", self.upstream)) else { return };
        let deaf = Arc::new(AtomicBool::new(false));
        if let (Ok(from), Ok(to)) = (server.try_clone(), client.try_clone()) {
            let deaf = Arc::clone(&deaf);
            std::thread::spawn(move || answers(from, to, &deaf));
        }
        self.requests(client, server, &deaf);
    }

    /// From the client to the server, until either ends or the fault strikes.
    fn requests(&self, mut client: TcpStream, mut server: TcpStream, deaf: &AtomicBool) {
        let mut buffer = [0; 64 * 1024];
        while let Ok(n @ 1..) = client.read(&mut buffer) {
            let has = buffer[..n].windows(self.trigger.len()).any(|w| w == self.trigger);
            let strikes = has && self.armed.swap(false, Ordering::SeqCst);
            if strikes {
                self.struck.fetch_add(1, Ordering::SeqCst);
            }
            if strikes && self.fault == Fault::LoseRequest {
                break;
            }
            deaf.fetch_or(strikes, Ordering::SeqCst);
            if server.write_all(&buffer[..n]).is_err() {
                break;
            }
        }
        let _ = client.shutdown(Shutdown::Both);
        let _ = server.shutdown(Shutdown::Both);
    }
}

/// From the server to the client. Once deaf, the first answer is the one that is lost: it has been made, so the work is done.
fn answers(mut server: TcpStream, mut client: TcpStream, deaf: &AtomicBool) {
    let mut buffer = [0; 64 * 1024];
    while let Ok(n @ 1..) = server.read(&mut buffer) {
        if deaf.load(Ordering::SeqCst) || client.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers each line with the number of lines it has seen, on any connection.
    fn counter() -> (u16, Arc<AtomicU32>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let (port, seen) = (listener.local_addr().expect("an address").port(), Arc::new(AtomicU32::new(0)));
        let counted = Arc::clone(&seen);
        std::thread::spawn(move || {
            for mut client in listener.incoming().flatten() {
                let mut byte = [0];
                while let Ok(1) = client.read(&mut byte) {
                    if byte[0] == b'\n' {
                        let n = counted.fetch_add(1, Ordering::SeqCst) + 1;
                        let _ = client.write_all(format!("{n}\n").as_bytes());
                    }
                }
            }
        });
        (port, seen)
    }

    fn ask(stream: &mut TcpStream, line: &str) -> String {
        let mut answer = [0; 16];
        let sent = stream.write_all(format!("{line}\n").as_bytes());
        let n = if sent.is_ok() { stream.read(&mut answer).unwrap_or(0) } else { 0 };
        String::from_utf8_lossy(&answer[..n]).into_owned()
    }

    fn check(fault: Fault, seen_at_fault: u32) {
        let (port, seen) = counter();
        let proxy = Proxy::start(port, fault, "COMMIT");
        let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).expect("connected");
        assert_eq!(ask(&mut stream, "COMMIT"), "1\n", "not armed yet");
        proxy.arm();
        assert_eq!(ask(&mut stream, "SELECT"), "2\n", "another text passes");
        assert_eq!(ask(&mut stream, "COMMIT"), "", "no answer");
        assert_eq!((proxy.struck(), seen.load(Ordering::SeqCst)), (1, seen_at_fault));
        let mut again = TcpStream::connect(("127.0.0.1", proxy.port())).expect("connected");
        assert_eq!(ask(&mut again, "COMMIT"), format!("{}\n", seen_at_fault + 1), "only once");
    }

    #[test]
    fn a_lost_request_does_not_arrive() {
        check(Fault::LoseRequest, 2);
    }

    #[test]
    fn a_lost_answer_is_to_a_request_that_arrived() {
        check(Fault::LoseAnswer, 3);
    }
}
