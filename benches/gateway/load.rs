//! What asks the servers: one request after the other, wrk, idle connections, streams of events.

use crate::servers::{EVENTS, Process};
use kf::base::error::{Context as _, Error, Result};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _};

/// The middle and the 99th percentile of values.
pub(crate) struct Quantiles {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

impl Quantiles {
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |q: f64| values.get(((values.len() as f64 * q) as usize).min(values.len().saturating_sub(1))).copied();
        Self { p50: at(0.5).unwrap_or(f64::NAN), p99: at(0.99).unwrap_or(f64::NAN) }
    }
}

/// A connection of a client that keeps it.
struct Client(BufReader<TcpStream>);

impl Client {
    fn to(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).context(|| "cannot connect")?;
        stream.set_nodelay(true).context(|| "cannot connect")?;
        Ok(Self(BufReader::new(stream)))
    }

    fn ask(&mut self) -> Result<()> {
        let request = b"GET / HTTP/1.1\r\nHost: bench\r\nCookie: kf-session=bench\r\n\r\n";
        self.0.get_mut().write_all(request).context(|| "cannot send")?;
        let (mut line, mut length) = (String::new(), None);
        while self.0.read_line(&mut line).context(|| "no answer")? > 2 {
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse::<usize>().ok();
            }
            line.clear();
        }
        let length = length.ok_or_else(|| Error::new("an answer without a length"))?;
        self.0.read_exact(&mut vec![0; length]).context(|| "half an answer")
    }
}

/// How long each of so many requests took, in milliseconds.
pub(crate) fn one_by_one(address: SocketAddr, n: usize) -> Result<Vec<f64>> {
    let mut client = Client::to(address)?;
    (0..n)
        .map(|_| {
            let began = Instant::now();
            client.ask().map(|()| began.elapsed().as_secs_f64() * 1000.0)
        })
        .collect()
}

/// CPU time that a server takes for a request, in microseconds, with 32 connections of wrk for three seconds.
pub(crate) fn cpu_of_a_request(server: &Process) -> Result<f64> {
    let before = server.cpu_us()?;
    let mut wrk = Command::new("wrk");
    wrk.args(["-t1", "-c32", "-d3s", "-H", "Cookie: kf-session=bench"]).arg(format!("http://{}/", server.address));
    let done = wrk.output().context(|| "cannot start wrk").hint(|| "put `wrk` on the PATH".into())?;
    let took = server.cpu_us()? - before;
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    if text.contains("Non-2xx") || text.contains("Socket errors") {
        return Err(Error::new(format_args!("requests failed:\n{text}")));
    }
    let line = text.lines().find_map(|l| l.trim().split_once(" requests in "));
    let requests: f64 =
        line.and_then(|(n, _)| n.parse().ok()).ok_or_else(|| Error::new(format_args!("what wrk says: {text}")))?;
    Ok(took / requests)
}

/// Connections that have asked once.
pub(crate) fn idle(address: SocketAddr, n: usize) -> Result<Vec<impl Sized>> {
    (0..n).map(|_| Client::to(address).and_then(|mut client| client.ask().map(|()| client))).collect()
}

/// Holds so many streams of events at once: how many did not get all of theirs, and the server's memory meanwhile in KB.
pub(crate) fn streams(server: &Process, n: usize) -> Result<(usize, f64)> {
    let address = server.address;
    kf::store::runtime::block_on(async move {
        let mut all = Vec::with_capacity(n);
        for i in 0..n {
            // Slower than the queue of a listener overflows.
            if i % 50 == 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            all.push(tokio::spawn(stream(address)));
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
        let peak = server.resident_kb()?;
        let mut lost = 0;
        for one in all {
            lost += usize::from(one.await.ok().flatten() != Some(EVENTS));
        }
        Ok((lost, peak))
    })?
}

/// How many events a stream got before it ended well.
async fn stream(address: SocketAddr) -> Option<usize> {
    let mut reader = tokio::io::BufReader::with_capacity(512, tokio::net::TcpStream::connect(address).await.ok()?);
    reader.get_mut().write_all(b"GET /events HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n").await.ok()?;
    let (mut line, mut events, mut ended) = (String::new(), 0, false);
    while reader.read_line(&mut line).await.ok()? > 0 {
        events += usize::from(line.starts_with("data: "));
        ended = line.trim_end() == "0";
        line.clear();
        if ended {
            break;
        }
    }
    ended.then_some(events)
}
