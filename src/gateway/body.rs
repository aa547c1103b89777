//! Bodies on their way through, piece by piece, never held whole: what goes to an upstream, and what comes back to the user.
//!
//! Invariants: a piece is passed on when it is there and not asked for before there is room; a body that breaks on one side breaks
//! on the other, it is never ended as if it were whole; an answer gives its connection back only after its last byte.

use super::endpoint::{Dialer, Endpoint, Link};
use super::inbound::Turn;
use super::patience::Patience;
use super::shadow::Draft;
use super::tally::{End, Flight};
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::io::{Error, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};

/// Whether nobody asks for another piece: trailers are the last one, and a body of known length knows its end.
fn is_last(frame: &Frame<Bytes>, rest: &Incoming) -> bool {
    frame.is_trailers() || rest.is_end_stream()
}

/// How far a request's body got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Progress {
    /// It is on its way.
    Running,
    /// All of it was taken by the connection to the upstream.
    Sent,
    /// It is longer than allowed.
    TooLong,
    /// The user stopped sending.
    Stalled,
    /// The user went away, or sent what is no body.
    Broken,
}

/// How far a request's body got, for who waits for the answer.
#[derive(Default)]
pub(super) struct Upload {
    progress: AtomicU8,
    pieces: AtomicU64,
}

impl Upload {
    fn set(&self, progress: Progress) {
        self.progress.store(progress as u8, Ordering::Release);
    }

    pub(super) fn progress(&self) -> Progress {
        let known = [Progress::Running, Progress::Sent, Progress::TooLong, Progress::Stalled, Progress::Broken];
        let now = self.progress.load(Ordering::Acquire);
        known.into_iter().find(|p| *p as u8 == now).unwrap_or(Progress::Broken)
    }

    /// How many pieces were passed on.
    pub(super) fn pieces(&self) -> u64 {
        self.pieces.load(Ordering::Relaxed)
    }
}

/// The body of a request to an upstream.
pub(super) enum Outgoing {
    /// None.
    Empty,
    /// A copy that is held.
    Held(Option<Bytes>),
    /// The user's, as it comes.
    Passed(Box<Passed>),
}

/// A user's body as it comes.
pub(super) struct Passed {
    pub(super) inner: Incoming,
    pub(super) upload: Arc<Upload>,
    /// Bytes that it may still have.
    pub(super) left: u64,
    pub(super) patience: Patience,
    /// The copy for a shadow.
    pub(super) draft: Option<Box<Draft>>,
}

impl Outgoing {
    /// A body that is not there can be sent again.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Held(_) => false,
            Self::Passed(passed) => passed.inner.is_end_stream(),
        }
    }
}

impl Passed {
    fn fail(&mut self, progress: Progress, why: &'static str) -> Error {
        self.upload.set(progress);
        self.draft = None;
        Error::new(ErrorKind::ConnectionAborted, why)
    }

    fn take(&mut self, frame: &Frame<Bytes>) -> Result<(), Error> {
        let Some(data) = frame.data_ref() else { return Ok(()) };
        self.upload.pieces.fetch_add(1, Ordering::Relaxed);
        self.patience.moved();
        let Some(left) = self.left.checked_sub(data.len() as u64) else {
            return Err(self.fail(Progress::TooLong, "the body is longer than allowed"));
        };
        self.left = left;
        if self.draft.as_mut().is_some_and(|draft| !draft.push(data)) {
            self.draft = None;
        }
        Ok(())
    }

    fn ended(&mut self) {
        self.upload.set(Progress::Sent);
        if let Some(draft) = self.draft.take() {
            draft.send();
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let taken = self.take(&frame);
                if taken.is_ok() && is_last(&frame, &self.inner) {
                    self.ended();
                }
                Poll::Ready(Some(taken.map(|()| frame)))
            }
            Poll::Ready(Some(Err(_))) => Poll::Ready(Some(Err(self.fail(Progress::Broken, "the user's body broke off")))),
            Poll::Ready(None) => {
                self.ended();
                Poll::Ready(None)
            }
            Poll::Pending if self.patience.is_over(cx) => {
                Poll::Ready(Some(Err(self.fail(Progress::Stalled, "the user stopped sending"))))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Held(bytes) => Poll::Ready(bytes.take().map(|b| Ok(Frame::data(b)))),
            Self::Passed(passed) => passed.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Held(None)) || self.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty | Self::Held(None) => SizeHint::with_exact(0),
            Self::Held(Some(bytes)) => SizeHint::with_exact(bytes.len() as u64),
            Self::Passed(passed) => passed.inner.size_hint(),
        }
    }
}

/// The body of an answer, with the user's turn that ends when it is dropped.
pub(super) struct Answer {
    kind: Kind,
    /// The connection takes the next request when this is gone.
    _turn: Option<Turn>,
}

enum Kind {
    Held(Option<Bytes>),
    Passed(Box<Stream>),
}

/// An upstream's answer as it comes.
pub(super) struct Stream {
    pub(super) inner: Incoming,
    pub(super) flight: Flight,
    /// Where the connection goes when the answer is through.
    pub(super) link: Option<(Link, Arc<Endpoint>, Arc<Dialer>)>,
    /// How far the request's body got, when it has one.
    pub(super) upload: Option<Arc<Upload>>,
    pub(super) patience: Patience,
}

impl Stream {
    fn whole(&mut self) {
        self.flight.end(End::Whole);
        let sent = self.upload.as_ref().is_none_or(|upload| upload.progress() == Progress::Sent);
        if let (Some((link, endpoint, dialer)), true) = (self.link.take(), sent) {
            endpoint.give_back(link, &dialer);
        }
    }

    fn broken(&mut self, why: Error) -> Error {
        let by_user = self.upload.as_ref().is_some_and(|u| !matches!(u.progress(), Progress::Running | Progress::Sent));
        self.flight.end(if by_user { End::Client } else { End::Cut });
        self.link = None;
        why
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.patience.moved();
                if is_last(&frame, &self.inner) {
                    self.whole();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(e))) => Poll::Ready(Some(Err(self.broken(Error::other(e))))),
            Poll::Ready(None) => {
                self.whole();
                Poll::Ready(None)
            }
            Poll::Pending if self.patience.is_over(cx) => {
                let late = Error::new(ErrorKind::TimedOut, "the answer stopped");
                Poll::Ready(Some(Err(self.broken(late))))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Answer {
    /// Of the gateway itself.
    pub(super) fn held(bytes: Bytes, turn: Option<Turn>) -> Self {
        Self { kind: Kind::Held((!bytes.is_empty()).then_some(bytes)), _turn: turn }
    }

    /// Of an upstream. One without a body is over here, because nobody asks it for pieces.
    pub(super) fn passed(mut stream: Stream, turn: Option<Turn>) -> Self {
        if stream.inner.is_end_stream() {
            stream.whole();
        }
        Self { kind: Kind::Passed(Box::new(stream)), _turn: turn }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match &mut self.get_mut().kind {
            Kind::Held(bytes) => Poll::Ready(bytes.take().map(|b| Ok(Frame::data(b)))),
            Kind::Passed(stream) => stream.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Held(bytes) => bytes.is_none(),
            Kind::Passed(stream) => stream.inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Held(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64)),
            Kind::Passed(stream) => stream.inner.size_hint(),
        }
    }
}
