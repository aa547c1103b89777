//! A TCP proxy that breaks connections at a chosen point: what networks and servers do at the worst moment.
//!
//! A fault is armed with a text and fires once, on the first data from a client that contains the text; it knows no protocol,
//! so it serves HTTP (`PUT /`) and PostgreSQL (`COMMIT`) alike. [`Proxy::fired`] lets a test prove that its fault happened.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Meaning "nothing is to be cut" in a connection's budget of reply bytes.
const WHOLE: usize = usize::MAX;
/// A client that sends nothing for so long has sent its whole request.
const QUIET: Duration = Duration::from_millis(150);

/// What goes wrong.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// The connection breaks before the server gets the request.
    Drop,
    /// The server gets and handles the request; the connection breaks after so many bytes of its reply. 0 = the reply is lost.
    CutReply(usize),
    /// The server gets the request; the connection to the client breaks at once, while the server may still be at work.
    Leave,
    /// The client gets this answer, and the server nothing.
    Answer(String),
}

impl Fault {
    /// An HTTP answer with a status line such as `503 Service Unavailable`.
    pub(crate) fn http(status: &str, body: &str) -> Self {
        Self::Answer(format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()))
    }
}

#[derive(Debug, Default)]
struct Plan {
    armed: Mutex<Vec<(Vec<u8>, Fault)>>,
    fired: AtomicUsize,
    closed: AtomicBool,
}

impl Plan {
    /// Takes the first armed fault whose text is in `data`.
    fn take(&self, data: &[u8]) -> Option<Fault> {
        let mut armed = self.armed.lock().expect("no thread panics while it holds the plan");
        let at = armed.iter().position(|(text, _)| data.windows(text.len()).any(|w| w == text))?;
        self.fired.fetch_add(1, Ordering::SeqCst);
        Some(armed.remove(at).1)
    }
}

/// A running proxy; stops accepting when dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    port: u16,
    plan: Arc<Plan>,
}

impl Proxy {
    /// A proxy on a free loopback port for the server on the port `target` of this machine.
    pub(crate) fn to(target: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free loopback port");
        let port = listener.local_addr().expect("a bound address").port();
        let plan = Arc::<Plan>::default();
        let plans = Arc::clone(&plan);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if plans.closed.load(Ordering::SeqCst) {
                    break;
                }
                if let Ok(server) = TcpStream::connect(("127.0.0.1", target)) {
                    connect(client, server, &plans);
                }
            }
        });
        Self { port, plan }
    }

    /// The port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Arms a fault: it fires once, on the first data from a client that contains `text`.
    pub(crate) fn arm(&self, text: &str, fault: Fault) {
        self.plan.armed.lock().expect("no thread panics while it holds the plan").push((text.as_bytes().to_vec(), fault));
    }

    /// Takes back the faults that have not happened.
    pub(crate) fn disarm(&self) {
        self.plan.armed.lock().expect("no thread panics while it holds the plan").clear();
    }

    /// How many faults have happened.
    pub(crate) fn fired(&self) -> usize {
        self.plan.fired.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.plan.closed.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// Carries one connection on two threads until either side or a fault ends it.
fn connect(client: TcpStream, server: TcpStream, plan: &Arc<Plan>) {
    let (Ok(to_client), Ok(from_server)) = (client.try_clone(), server.try_clone()) else { return };
    let budget = Arc::new(AtomicUsize::new(WHOLE));
    let (plan, budgets) = (Arc::clone(plan), Arc::clone(&budget));
    std::thread::spawn(move || carry_requests(client, server, &plan, &budgets));
    std::thread::spawn(move || carry_replies(from_server, to_client, &budget));
}

fn carry_requests(mut client: TcpStream, mut server: TcpStream, plan: &Plan, budget: &AtomicUsize) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(n @ 1..) = client.read(&mut buffer) {
        match plan.take(&buffer[..n]) {
            None => {}
            Some(Fault::Drop) => break,
            Some(Fault::CutReply(after)) => budget.store(after, Ordering::SeqCst),
            Some(Fault::Leave) => {
                let _ = client.shutdown(Shutdown::Both);
                let _ = server.write_all(&buffer[..n]);
                break;
            }
            Some(Fault::Answer(text)) => {
                // An answer before the end of the request would be lost in the reset that follows.
                let _ = client.set_read_timeout(Some(QUIET));
                while let Ok(1..) = client.read(&mut buffer) {}
                let _ = client.write_all(text.as_bytes());
                break;
            }
        }
        if server.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    let _ = server.shutdown(Shutdown::Both);
    let _ = client.shutdown(Shutdown::Both);
}

fn carry_replies(mut server: TcpStream, mut client: TcpStream, budget: &AtomicUsize) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(n @ 1..) = server.read(&mut buffer) {
        let left = budget.load(Ordering::SeqCst);
        let pass = n.min(left);
        if left != WHOLE {
            budget.store(left - pass, Ordering::SeqCst);
        }
        if client.write_all(&buffer[..pass]).is_err() || pass < n {
            break;
        }
    }
    let _ = server.shutdown(Shutdown::Both);
    let _ = client.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers each line with the number of lines it has seen on all connections.
    fn counter() -> u16 {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let mut seen = 0;
            for mut stream in listener.incoming().map_while(Result::ok) {
                let mut buffer = [0; 64];
                while let Ok(n @ 1..) = stream.read(&mut buffer) {
                    seen += buffer[..n].iter().filter(|b| **b == b'\n').count();
                    stream.write_all(seen.to_string().as_bytes()).unwrap();
                }
            }
        });
        port
    }

    fn ask(port: u16, text: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        let mut buffer = [0; 64];
        let n = stream.read(&mut buffer).unwrap_or(0);
        String::from_utf8_lossy(&buffer[..n]).into_owned()
    }

    #[test]
    fn each_fault_does_what_it_says_once() {
        let proxy = Proxy::to(counter());
        assert_eq!(ask(proxy.port(), "a\n"), "1");
        proxy.arm("b", Fault::Drop);
        proxy.arm("c", Fault::CutReply(0));
        proxy.arm("d", Fault::Answer("no".into()));
        proxy.arm("e", Fault::Leave);
        assert_eq!(ask(proxy.port(), "a\n"), "2", "faults wait for their text");
        assert_eq!(ask(proxy.port(), "b\n"), "", "the server did not see it");
        assert_eq!(ask(proxy.port(), "c\n"), "", "the server saw it");
        assert_eq!(ask(proxy.port(), "d\n"), "no");
        assert_eq!(ask(proxy.port(), "e\n"), "", "the server saw it, whenever it answers");
        assert_eq!(proxy.fired(), 4);
        assert_eq!(ask(proxy.port(), "b\nc\nd\n"), "7");
    }
}
