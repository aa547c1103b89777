//! The processes that are measured: an upstream, the gateway, nginx.

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use kf::base::error::{Context as _, Error, Result};
use kf::base::{random::Random, time::Clock, weight::Weight};
use kf::gateway::Gateway;
use kf::gateway::settings::Settings;
use kf::gateway::table::{Table, Upstream};
use std::convert::Infallible;
use std::future::Future as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::task::{Context as Task, Poll, ready};
use std::time::Duration;
use tokio::time::Sleep;

/// Events of a stream, and the time between two.
pub(crate) const EVENTS: usize = 3;
const BETWEEN: Duration = Duration::from_secs(10);
const EVENT: &[u8] = b"data: 0123456789\n\n";

/// 100 bytes, or a stream of events.
enum Answer {
    Short(Option<Bytes>),
    Events { left: usize, sleep: Pin<Box<Sleep>> },
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Task<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Short(bytes) => Poll::Ready(bytes.take().map(|b| Ok(Frame::data(b)))),
            Self::Events { left: 0, .. } => Poll::Ready(None),
            Self::Events { left, sleep } => {
                if *left < EVENTS {
                    ready!(sleep.as_mut().poll(cx));
                    sleep.as_mut().reset(tokio::time::Instant::now() + BETWEEN);
                }
                *left -= 1;
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(EVENT)))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Short(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Short(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64)),
            Self::Events { .. } => SizeHint::default(),
        }
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Answer>, Infallible> {
    Ok(Response::new(if request.uri().path() == "/events" {
        Answer::Events { left: EVENTS, sleep: Box::pin(tokio::time::sleep(BETWEEN)) }
    } else {
        Answer::Short(Some(Bytes::from_static(&[b'x'; 100])))
    }))
}

/// A port, told to whoever started this process.
fn listen() -> Result<TcpListener> {
    let listener = TcpListener::bind("127.0.0.1:0").context(|| "cannot listen")?;
    let address = listener.local_addr().context(|| "cannot listen")?;
    writeln!(std::io::stdout().lock(), "{address}").context(|| "cannot write to stdout")?;
    Ok(listener)
}

/// Runs the upstream.
pub(crate) fn upstream() -> Result<()> {
    let listener = listen()?;
    listener.set_nonblocking(true).context(|| "cannot listen")?;
    kf::store::runtime::block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener).context(|| "cannot listen")?;
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let _ = stream.set_nodelay(true);
            let serving = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
            tokio::spawn(async { drop(serving.await) });
        }
    })?
}

/// Runs the gateway: a canary with 10 %, as a rollout has it.
pub(crate) fn gateway(upstream: &str) -> Result<()> {
    let version = |text: &str| -> Result<Option<Upstream>> {
        let version = text.parse().map_err(|e| Error::new(format_args!("{e:?}")))?;
        Ok(Some(Upstream { version, endpoints: vec![format!("http://{upstream}")] }))
    };
    let table = Table {
        generation: 1,
        model: "bot".parse().map_err(|e| Error::new(format_args!("{e:?}")))?,
        stable: version("1.0.0")?,
        canary: version("1.1.0")?,
        weight: Weight::from_percent(10.0).unwrap_or_default(),
        shadow: Weight::NONE,
        salt: "bench".into(),
    };
    let gateway = Gateway::new(Settings::default(), table, Clock::System, Random::System)?;
    kf::store::runtime::block_on(gateway.serve(listen()?, std::future::pending()))?
}

/// A server in a process of its own, killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
    _files: Option<tempfile::TempDir>,
}

impl Process {
    /// This program in another role.
    pub(crate) fn own(words: &[&str]) -> Result<Self> {
        let program = std::env::current_exe().context(|| "cannot find this program")?;
        let child = Command::new(program).args(words).stdout(Stdio::piped()).spawn();
        let mut child = child.context(|| "cannot start a server")?;
        let mut line = String::new();
        let stdout = child.stdout.take().ok_or_else(|| Error::new("a server without stdout"))?;
        BufReader::new(stdout).read_line(&mut line).context(|| "cannot read a server's address")?;
        let address = line.trim().parse().context(|| format!("no address: {line:?}"))?;
        Ok(Self { child, address, _files: None })
    }

    /// nginx as a proxy that splits by a cookie, with connections kept on both sides, in one process.
    pub(crate) fn nginx(upstream: SocketAddr) -> Result<Self> {
        let files = tempfile::tempdir().context(|| "cannot make a folder")?;
        let free = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).context(|| "no port is free")?;
        let config = format!(
            "daemon off; master_process off; pid nginx.pid; error_log stderr crit; events {{ worker_connections 4096; }}\n\
             http {{ access_log off; keepalive_requests 1000000000;\n\
             client_body_temp_path t; proxy_temp_path t; fastcgi_temp_path t; uwsgi_temp_path t; scgi_temp_path t;\n\
             upstream stable {{ server {upstream}; keepalive 128; keepalive_requests 1000000000; }}\n\
             upstream canary {{ server {upstream}; keepalive 128; keepalive_requests 1000000000; }}\n\
             split_clients \"bench$cookie_session$request_id\" $to {{ 10% canary; * stable; }}\n\
             server {{ listen {free}; location / {{ proxy_pass http://$to; proxy_http_version 1.1;\n\
             proxy_set_header Connection \"\"; proxy_set_header Host $host;\n\
             proxy_set_header X-Forwarded-For $remote_addr; }} }} }}\n"
        );
        std::fs::write(files.path().join("nginx.conf"), config).context(|| "cannot write nginx' configuration")?;
        let mut command = Command::new("nginx");
        command.arg("-p").arg(files.path()).args(["-c", "nginx.conf"]).stdin(Stdio::null());
        let child = command.spawn().context(|| "cannot start nginx").hint(|| "put `nginx` on the PATH".into())?;
        let this = Self { child, address: free, _files: Some(files) };
        for _ in 0..200 {
            if std::net::TcpStream::connect(free).is_ok() {
                return Ok(this);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(Error::new("nginx does not listen"))
    }

    fn proc(&self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.child.id());
        std::fs::read_to_string(&path).context(|| format!("cannot read {path}"))
    }

    /// CPU time so far in microseconds: fields 14 and 15 of `stat` (proc(5)) in hundredths of a second.
    pub(crate) fn cpu_us(&self) -> Result<f64> {
        let text = self.proc("stat")?;
        let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok());
        ticks(11).zip(ticks(12)).map(|(user, system)| (user + system) * 10_000.0).ok_or_else(|| Error::new("no CPU time"))
    }

    /// Memory in use, in KB of 1024 bytes.
    pub(crate) fn resident_kb(&self) -> Result<f64> {
        let text = self.proc("status")?;
        let line = text.lines().find_map(|l| l.strip_prefix("VmRSS:"));
        line.and_then(|l| l.split_whitespace().next()?.parse().ok()).ok_or_else(|| Error::new("no memory in /proc"))
    }

    /// How many files it may open.
    pub(crate) fn files(&self) -> Result<usize> {
        let text = self.proc("limits")?;
        let line = text.lines().find_map(|l| l.strip_prefix("Max open files"));
        line.and_then(|l| l.split_whitespace().next()?.parse().ok()).ok_or_else(|| Error::new("no limit of files in /proc"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
