//! A user's connection, watched: how long its heads take, how long it is idle, and what its heads say about their bodies.
//!
//! hyper answers by `Transfer-Encoding` alone when a head has `Content-Length` too, as RFC 9112 section 6.3 allows; here such a
//! request is refused, because whoever passed it on may have cut it otherwise. The bytes are only looked at, never changed. A head
//! that comes before the last answer is through (pipelining) is not looked at: hyper's rule holds for it, and closes after it.

use super::patience::{Alarm, after};
use super::settings::Waits;
use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What a client gets whose head does not end.
const TOO_SLOW: &[u8] = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// What the connection and whoever answers its requests tell each other.
#[derive(Default)]
pub(super) struct Gate {
    /// A request is being answered.
    busy: AtomicBool,
    /// The head of this request says twice how long its body is.
    ambiguous: AtomicBool,
}

impl Gate {
    /// Whether the request that begins says twice how long its body is.
    pub(super) fn is_ambiguous(&self) -> bool {
        self.ambiguous.swap(false, Ordering::AcqRel)
    }
}

/// While it is held, a request is being answered.
pub(super) struct Turn(Arc<Gate>);

impl Turn {
    pub(super) fn of(gate: &Arc<Gate>) -> Self {
        gate.busy.store(true, Ordering::Release);
        Self(Arc::clone(gate))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.busy.store(false, Ordering::Release);
    }
}

/// What is expected next.
#[derive(Clone, Copy)]
enum Phase {
    /// A head, of which nothing came yet.
    Idle(Instant),
    /// The rest of a head.
    Head(Instant),
    /// A body, or the end of an answer.
    Body,
    /// Frames of HTTP/2; when the last came.
    Frames(Instant),
}

/// A user's connection.
pub(super) struct Inbound<S> {
    stream: S,
    gate: Arc<Gate>,
    phase: Phase,
    head: Duration,
    keep_alive: Duration,
    stall: Duration,
    scan: Scan,
    alarm: Alarm,
    /// Since when the user takes nothing.
    blocked: Option<Instant>,
    write_alarm: Alarm,
}

impl<S> Inbound<S> {
    pub(super) fn new(stream: S, gate: Arc<Gate>, waits: &Waits, http2: bool) -> Self {
        let now = Instant::now();
        Self {
            stream,
            gate,
            phase: if http2 { Phase::Frames(now) } else { Phase::Idle(now) },
            head: waits.head,
            keep_alive: waits.keep_alive,
            stall: waits.stall,
            scan: Scan::default(),
            alarm: Alarm::default(),
            blocked: None,
            write_alarm: Alarm::default(),
        }
    }

    /// A turn that ended leaves the connection idle; one that began by itself (its head came before the last turn ended) has no
    /// head to wait for.
    fn step(&mut self) {
        match (self.phase, self.gate.busy.load(Ordering::Acquire)) {
            (Phase::Body, false) => self.phase = Phase::Idle(Instant::now()),
            (Phase::Idle(_) | Phase::Head(_), true) => (self.phase, self.scan) = (Phase::Body, Scan::default()),
            _ => {}
        }
    }

    fn came(&mut self, bytes: &[u8]) {
        self.step();
        match self.phase {
            Phase::Idle(_) => self.phase = Phase::Head(Instant::now()),
            Phase::Frames(_) => return self.phase = Phase::Frames(Instant::now()),
            Phase::Body => return,
            Phase::Head(_) => {}
        }
        if let Some(ambiguous) = self.scan.feed(bytes) {
            self.scan = Scan::default();
            self.gate.ambiguous.store(ambiguous, Ordering::Release);
            // Until the turn of this request begins, which ends with its answer.
            self.gate.busy.store(true, Ordering::Release);
            self.phase = Phase::Body;
        }
    }
}

impl<S: AsyncWrite + Unpin> Inbound<S> {
    /// Whether the wait is over; a client that began a head is told.
    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        self.step();
        let deadline = match self.phase {
            Phase::Idle(since) | Phase::Frames(since) => after(since, self.keep_alive),
            Phase::Head(since) => after(since, self.head),
            Phase::Body => return false,
        };
        let late = self.alarm.poll(cx, deadline);
        if late && matches!(self.phase, Phase::Head(_)) {
            // If it does not take it at once, it does not get it.
            let _ = Pin::new(&mut self.stream).poll_write(cx, TOO_SLOW);
        }
        late
    }

    fn wrote(&mut self, cx: &mut Context<'_>, result: Poll<Result<usize>>) -> Poll<Result<usize>> {
        if result.is_ready() {
            self.blocked = None;
            return result;
        }
        let since = *self.blocked.get_or_insert_with(Instant::now);
        if self.write_alarm.poll(cx, after(since, self.stall)) {
            return Poll::Ready(Err(Error::new(ErrorKind::TimedOut, "the user takes nothing")));
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Inbound<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        match Pin::new(&mut this.stream).poll_read(cx, buf) {
            Poll::Ready(Ok(())) => {
                let new = &buf.filled()[before..];
                if !new.is_empty() {
                    this.came(new);
                }
                Poll::Ready(Ok(()))
            }
            Poll::Pending if this.is_late(cx) => Poll::Ready(Err(Error::new(ErrorKind::TimedOut, "the user sends nothing"))),
            other => other,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Inbound<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.wrote(cx, result)
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_write_vectored(cx, bufs);
        this.wrote(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// Looks for the end of a head, and for what it says of its body. Lines end with LF, with or without CR, as hyper's parser has it.
#[derive(Default)]
struct Scan {
    /// The line that did not end in the last piece; no more of it than a name needs.
    line: Vec<u8>,
    /// A line that is not empty was seen: empty ones before a request are skipped.
    begun: bool,
    length: bool,
    encoding: bool,
}

/// As much of a line as is kept: the longer of the two names, its colon, and one more.
const KEPT: usize = "transfer-encoding:".len() + 1;

impl Scan {
    /// The next bytes; whether both lengths are there, when the head ends with them.
    fn feed(&mut self, mut bytes: &[u8]) -> Option<bool> {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
            let ended = if self.line.is_empty() {
                self.line(line)
            } else {
                self.keep(line);
                let line = std::mem::take(&mut self.line);
                self.line(&line)
            };
            if ended {
                return Some(self.length && self.encoding);
            }
            bytes = rest;
        }
        self.keep(bytes);
        None
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = KEPT.saturating_sub(self.line.len()).min(bytes.len());
        self.line.extend_from_slice(&bytes[..room]);
    }

    /// A line without its LF; whether it ends the head.
    fn line(&mut self, line: &[u8]) -> bool {
        if matches!(line, b"" | b"\r") {
            return self.begun;
        }
        self.begun = true;
        let is = |name: &[u8]| line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
        self.length |= is(b"content-length:");
        self.encoding |= is(b"transfer-encoding:");
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same whatever pieces it comes in.
    fn scanned(head: &str) -> Option<bool> {
        let whole = Scan::default().feed(head.as_bytes());
        for at in 1..head.len() {
            let mut scan = Scan::default();
            let first = scan.feed(&head.as_bytes()[..at]);
            assert_eq!(first.or_else(|| scan.feed(&head.as_bytes()[at..])), whole, "{head:?} at {at}");
        }
        let mut scan = Scan::default();
        assert_eq!(head.bytes().find_map(|b| scan.feed(&[b])), whole, "{head:?} byte by byte");
        whole
    }

    #[test]
    fn both_lengths_are_seen_in_either_order_and_case() {
        let both = "\r\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\ntransfer-ENCODING: chunked\r\n\r\n";
        assert_eq!(scanned(both), Some(true));
        assert_eq!(scanned("POST / HTTP/1.1\nTransfer-Encoding: chunked\ncontent-length:4\n\n"), Some(true));
    }

    #[test]
    fn one_length_and_names_elsewhere_are_fine() {
        for head in [
            "GET /content-length:transfer-encoding: HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n",
            "POST / HTTP/1.1\r\nX: transfer-encoding: chunked\r\nContent-Length: 4\r\n\r\n",
            "POST / HTTP/1.1\r\nX-Content-Length: 4\r\nContent-Lengths: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
        ] {
            assert_eq!(scanned(head), Some(false), "{head}");
        }
    }

    #[test]
    fn a_head_without_an_end_is_none() {
        assert_eq!(scanned("\r\n\r\n"), None);
        assert_eq!(scanned("GET / HTTP/1.1\r\nHost: a\r\n"), None);
        assert_eq!(scanned(""), None);
    }
}
