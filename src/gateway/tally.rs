//! What became of the requests of one version: counters that only rise, and the guard that counts each request exactly once.
//!
//! Invariant: a [`Flight`] that is dropped before it was told how it ended was left by its client, and counts as aborted, or as an
//! error when its answer began as one: however a request ends, also by a task that is thrown away, it is counted.

use super::histogram::Histogram;
use super::routes::{Arm, Routes};
use super::table::Counted;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Counters of one version.
pub(super) struct Tally {
    requests: AtomicU64,
    errors: AtomicU64,
    cut: AtomicU64,
    aborted: AtomicU64,
    retries: AtomicU64,
    diverted: AtomicU64,
    shadowed: AtomicU64,
    active: AtomicU64,
    pub(super) latency: Histogram,
    pub(super) first_byte: Histogram,
}

fn one_more(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Tally {
    pub(super) fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            requests: zero(),
            errors: zero(),
            cut: zero(),
            aborted: zero(),
            retries: zero(),
            diverted: zero(),
            shadowed: zero(),
            active: zero(),
            latency: Histogram::new(),
            first_byte: Histogram::new(),
        }
    }

    pub(super) fn retried(&self) {
        one_more(&self.retries);
    }

    pub(super) fn diverted(&self) {
        one_more(&self.diverted);
    }

    /// A copy was answered, or was not; it is among the requests only while the version has none of its own.
    pub(super) fn shadowed(&self, failed: bool, took: Duration, alone: bool) {
        one_more(&self.shadowed);
        if alone {
            self.ended(failed, took);
        }
    }

    fn ended(&self, failed: bool, took: Duration) {
        one_more(&self.requests);
        if failed {
            one_more(&self.errors);
        }
        self.latency.add(took);
    }

    /// How many requests are being answered.
    pub(super) fn active(&self) -> u64 {
        self.active.load(Ordering::Relaxed)
    }

    /// The counters now.
    pub(super) fn counted(&self) -> Counted {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counted {
            requests: read(&self.requests),
            errors: read(&self.errors),
            cut: read(&self.cut),
            aborted: read(&self.aborted),
            retries: read(&self.retries),
            diverted: read(&self.diverted),
            shadowed: read(&self.shadowed),
            active: read(&self.active),
            latency: self.latency.filled(),
            first_byte: self.first_byte.filled(),
        }
    }
}

/// How an answer ended, as far as the version is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Whole.
    Whole,
    /// An error from its first byte on: 5xx, no connection, a time-out.
    Failed,
    /// Broken off after a good status.
    Cut,
    /// By the fault of the client.
    Client,
    /// Not at all: another version took it, because this one has no endpoint that is well.
    Elsewhere,
}

/// A request that a version is answering.
pub(super) struct Flight {
    routes: Arc<Routes>,
    arm: Arc<Arm>,
    began: Instant,
    status_failed: bool,
    ended: bool,
}

impl Flight {
    pub(super) fn new(routes: Arc<Routes>, arm: Arc<Arm>, began: Instant) -> Self {
        one_more(&arm.tally.active);
        Self { routes, arm, began, status_failed: false, ended: false }
    }

    pub(super) fn arm(&self) -> &Arc<Arm> {
        &self.arm
    }

    /// The head of the answer is there.
    pub(super) fn answered(&mut self, failed: bool) {
        self.status_failed = failed;
        self.arm.tally.first_byte.add(self.began.elapsed());
    }

    /// It is over; a second call changes nothing.
    pub(super) fn end(&mut self, end: End) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        match end {
            // An error is one for whoever reads no further than its status, too.
            End::Client if self.status_failed => {}
            End::Client => return one_more(&self.arm.tally.aborted),
            End::Elsewhere => return,
            End::Whole | End::Failed | End::Cut => {}
        }
        let failed = self.status_failed || end != End::Whole;
        if end == End::Cut {
            one_more(&self.arm.tally.cut);
        }
        self.arm.tally.ended(failed, self.began.elapsed());
        self.routes.judge_at_once(&self.arm, failed);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.end(End::Client);
        self.arm.tally.active.fetch_sub(1, Ordering::Relaxed);
    }
}
