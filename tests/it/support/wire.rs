//! A gateway of the library on a port, raw HTTP/1.1 upstreams behind it, and a raw client before it: what is sent and read is bytes,
//! so that nothing between a test and the wire tidies up.

use kf::base::random::Random;
use kf::base::time::Clock;
use kf::base::weight::Weight;
use kf::gateway::Gateway;
use kf::gateway::settings::Settings;
use kf::gateway::table::{Counted, Table, Upstream as Endpoints};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::oneshot;

/// Longer than anything here takes on a busy machine; only a broken test waits for it.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Waits until something is so.
pub(crate) fn until(what: &str, mut is: impl FnMut() -> bool) {
    let began = std::time::Instant::now();
    while !is() {
        assert!(began.elapsed() < LONG, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A message as it was read: its first line, its headers in lower case, its body without framing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    pub(crate) first: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
}

impl Message {
    /// All values of a header, joined.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let all: Vec<&str> = self.headers.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect();
        (!all.is_empty()).then(|| all.join("|"))
    }

    pub(crate) fn status(&self) -> u16 {
        self.first.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or_else(|| panic!("no status: {:?}", self.first))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn version(&self) -> String {
        self.header("x-kf-version").unwrap_or_default()
    }
}

/// A connection whose bytes are read as messages.
pub(crate) struct Wire {
    pub(crate) reader: BufReader<TcpStream>,
}

impl Wire {
    pub(crate) fn to(address: SocketAddr) -> Self {
        Self::of(TcpStream::connect(address).expect("a connection"))
    }

    fn of(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(LONG)).expect("a time-out");
        stream.set_nodelay(true).expect("no delay");
        Self { reader: BufReader::new(stream) }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.reader.get_mut().write_all(bytes.as_ref()).expect("sent");
        self
    }

    /// A line without its end; `None` at the end of the stream.
    pub(crate) fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line).ok().filter(|n| *n > 0)?;
        Some(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned())
    }

    fn headers(&mut self) -> Option<Vec<(String, String)>> {
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else { return Some(headers) };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    /// First line and headers; `None` when the other side has closed.
    pub(crate) fn head(&mut self) -> Option<Message> {
        let first = self.line()?;
        Some(Message { first, headers: self.headers()?, ..Message::default() })
    }

    pub(crate) fn take(&mut self, n: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; n];
        self.reader.read_exact(&mut bytes).ok()?;
        Some(bytes)
    }

    /// One chunk; empty at the end.
    pub(crate) fn chunk(&mut self) -> Option<Vec<u8>> {
        let size = usize::from_str_radix(self.line()?.split(';').next()?, 16).ok()?;
        let bytes = self.take(size)?;
        if size > 0 {
            self.line()?;
        }
        Some(bytes)
    }

    /// A request, whole; `None` when it is not.
    pub(crate) fn request(&mut self) -> Option<Message> {
        let mut message = self.head()?;
        self.body(&mut message, false)?;
        Some(message)
    }

    /// An answer, whole; `None` when it is cut short. `head` for one to HEAD, which has no body.
    pub(crate) fn answer(&mut self, head: bool) -> Option<Message> {
        let mut message = self.head()?;
        let bodiless = head || matches!(message.status(), 100..=199 | 204 | 304);
        if !bodiless {
            self.body(&mut message, true)?;
        }
        Some(message)
    }

    pub(crate) fn reply(&mut self) -> Message {
        self.answer(false).expect("a whole answer")
    }

    fn body(&mut self, message: &mut Message, to_end: bool) -> Option<()> {
        if message.header("transfer-encoding").is_some_and(|v| v.contains("chunked")) {
            loop {
                let chunk = self.chunk()?;
                if chunk.is_empty() {
                    message.trailers = self.headers()?;
                    return Some(());
                }
                message.body.extend(chunk);
            }
        }
        match message.header("content-length") {
            Some(length) => message.body = self.take(length.parse().expect("a length"))?,
            None if to_end => drop(self.reader.read_to_end(&mut message.body).ok()?),
            None => {}
        }
        Some(())
    }

    /// Whether the other side has closed and sent nothing more.
    pub(crate) fn is_at_end(&mut self) -> bool {
        let mut byte = [0];
        match self.reader.read(&mut byte) {
            Ok(n) => n == 0,
            Err(e) => matches!(e.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
        }
    }
}

/// What an upstream does with a request; false closes its connection.
type Handler = dyn Fn(&Message, &mut Wire) -> bool + Send + Sync;

/// A server behind the gateway. `GET /ready` answers 200 while [`Upstream::ready`] is set; the rest is the handler's.
#[derive(Clone)]
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    pub(crate) ready: Arc<AtomicBool>,
    /// Connections that were taken, without those that only asked whether it is ready.
    pub(crate) connections: Arc<AtomicUsize>,
    heard: Arc<Mutex<Vec<Message>>>,
}

impl Upstream {
    /// One that gets each whole request.
    pub(crate) fn start(handler: impl Fn(&Message, &mut Wire) -> bool + Send + Sync + 'static) -> Self {
        Self::at(TcpListener::bind("127.0.0.1:0").expect("a port"), true, Arc::new(handler))
    }

    /// One that gets each head, and reads the body itself.
    pub(crate) fn by_head(handler: impl Fn(&Message, &mut Wire) -> bool + Send + Sync + 'static) -> Self {
        Self::at(TcpListener::bind("127.0.0.1:0").expect("a port"), false, Arc::new(handler))
    }

    /// One that answers 200 with a text.
    pub(crate) fn saying(text: &'static str) -> Self {
        Self::start(move |_, wire| say(wire, "200 OK", text))
    }

    /// An address where nobody listens.
    pub(crate) fn nobody() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port")
    }

    fn at(listener: TcpListener, whole: bool, handler: Arc<Handler>) -> Self {
        let address = listener.local_addr().expect("bound");
        let (ready, heard) = (Arc::new(AtomicBool::new(true)), Arc::default());
        let this = Self { address, ready, connections: Arc::default(), heard };
        let shared = this.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (upstream, handler) = (shared.clone(), Arc::clone(&handler));
                std::thread::spawn(move || upstream.serve(Wire::of(stream), whole, &*handler));
            }
        });
        this
    }

    fn serve(&self, mut wire: Wire, whole: bool, handler: &Handler) {
        let mut counted = false;
        while let Some(message) = if whole { wire.request() } else { wire.head() } {
            if message.first.starts_with("GET /ready ") {
                let status = if self.ready.load(Ordering::SeqCst) { "200 OK" } else { "503 Service Unavailable" };
                say(&mut wire, status, "");
                continue;
            }
            if !std::mem::replace(&mut counted, true) {
                self.connections.fetch_add(1, Ordering::SeqCst);
            }
            self.heard.lock().expect("a lock").push(message.clone());
            if !handler(&message, &mut wire) {
                return;
            }
        }
    }

    pub(crate) fn heard(&self) -> Vec<Message> {
        self.heard.lock().expect("a lock").clone()
    }

    /// The only request that it got.
    pub(crate) fn only(&self) -> Message {
        let heard = self.heard();
        assert_eq!(heard.len(), 1, "{heard:?}");
        heard[0].clone()
    }
}

/// Answers; true, so that it ends a handler.
pub(crate) fn say(wire: &mut Wire, status: &str, text: &str) -> bool {
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{text}", text.len());
    wire.reader.get_mut().write_all(answer.as_bytes()).is_ok()
}

/// A table of versions 1.0.0 and 1.1.0 at these addresses; the canary has none when its list is empty.
pub(crate) fn table(generation: u64, stable: &[SocketAddr], canary: &[SocketAddr], percent: f64) -> Table {
    let at = |version: &str, addresses: &[SocketAddr]| {
        (!addresses.is_empty()).then(|| Endpoints {
            version: version.parse().expect("a version"),
            endpoints: addresses.iter().map(|a| format!("http://{a}")).collect(),
        })
    };
    Table {
        generation,
        model: "bot".parse().expect("a name"),
        stable: at("1.0.0", stable),
        canary: at("1.1.0", canary),
        weight: Weight::from_percent(percent).expect("a weight"),
        shadow: Weight::NONE,
        salt: "1.0.0+1.1.0".into(),
    }
}

/// A gateway on a port.
pub(crate) struct Rig {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) address: SocketAddr,
    shutdown: Option<oneshot::Sender<()>>,
    served: tokio::task::JoinHandle<()>,
}

impl Rig {
    pub(crate) fn new(settings: Settings, table: Table) -> Self {
        let gateway = Gateway::new(settings, table, Clock::System, Random::System).expect("a gateway");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let (shutdown, told) = oneshot::channel::<()>();
        let runtime = kf::store::runtime::runtime().expect("a runtime");
        let serving = Arc::clone(&gateway);
        let served = runtime.spawn(async move {
            serving.serve(listener, async { drop(told.await) }).await.expect("serves");
        });
        let rig = Self { gateway, address, shutdown: Some(shutdown), served };
        rig.asked();
        rig
    }

    /// Waits until every endpoint was asked how it is.
    pub(crate) fn asked(&self) {
        until("every endpoint was asked", || self.gateway.counters().endpoints.iter().all(|e| e.healthy.is_some()));
    }

    pub(crate) fn wire(&self) -> Wire {
        Wire::to(self.address)
    }

    /// One request on a connection of its own; lines of headers end with CR LF.
    pub(crate) fn ask(&self, line: &str, headers: &str, body: &str) -> Message {
        let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let mut wire = self.wire();
        wire.send(format!("{line} HTTP/1.1\r\nHost: bot.example\r\nConnection: close\r\n{headers}{length}\r\n{body}"));
        wire.answer(line.starts_with("HEAD")).expect("a whole answer")
    }

    pub(crate) fn get(&self, headers: &str) -> Message {
        self.ask("GET /", headers, "")
    }

    /// What was counted of a version.
    pub(crate) fn counted(&self, version: &str) -> Counted {
        self.gateway.counters().arms.get(&version.parse().expect("a version")).cloned().unwrap_or_default()
    }

    /// Waits until a version's counters are as told: an answer is counted just after its last byte was sent.
    pub(crate) fn counts(&self, version: &str, is: impl Fn(&Counted) -> bool) -> Counted {
        until(&format!("the counters of {version}: {:?}", self.counted(version)), || is(&self.counted(version)));
        self.counted(version)
    }

    /// Tells it to end; [`Self::has_ended`] when it has.
    pub(crate) fn end(&mut self) {
        drop(self.shutdown.take());
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.served.is_finished()
    }

    /// How many answers each version gave to so many requests with these headers.
    pub(crate) fn spread(&self, n: usize, headers: impl Fn(usize) -> String) -> BTreeMap<String, usize> {
        let mut wire = self.wire();
        let mut counts = BTreeMap::new();
        for i in 0..n {
            wire.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", headers(i)));
            *counts.entry(wire.reply().version()).or_default() += 1;
        }
        counts
    }
}
