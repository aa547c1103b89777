//! Waits that are cheap while nothing is late: a timer is set on the first wait and moved only when it fires or is needed earlier.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::time::Sleep;

/// Longer than anybody waits, and no overflow.
const FOREVER: Duration = Duration::from_secs(86_400 * 365);

/// The instant so much later.
pub(super) fn after(from: Instant, wait: Duration) -> Instant {
    from + wait.min(FOREVER)
}

/// A timer whose deadline may move at each look.
#[derive(Default)]
pub(super) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Whether the deadline is over; if not, the task is woken when it is.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, deadline: Instant) -> bool {
        // The runtime's timers go by whole milliseconds.
        if Instant::now() >= deadline {
            return true;
        }
        let sleep = self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline.into())));
        if sleep.deadline().into_std() > deadline {
            sleep.as_mut().reset(deadline.into());
        }
        while let Poll::Ready(()) = sleep.as_mut().poll(cx) {
            if Instant::now() >= deadline {
                return true;
            }
            sleep.as_mut().reset(deadline.into());
        }
        false
    }
}

/// Waits for pieces: so long for each, and so long for all. Time in which nobody asks for a piece is no wait for one.
pub(super) struct Patience {
    each: Duration,
    /// Since when a piece is waited for.
    since: Option<Instant>,
    end: Instant,
    alarm: Alarm,
}

impl Patience {
    pub(super) fn new(each: Duration, end: Instant) -> Self {
        Self { each, since: None, end, alarm: Alarm::default() }
    }

    /// A piece came.
    pub(super) fn moved(&mut self) {
        self.since = None;
    }

    /// There is no piece: whether the wait for it is over.
    pub(super) fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        let since = *self.since.get_or_insert_with(Instant::now);
        self.alarm.poll(cx, after(since, self.each).min(self.end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::runtime::block_on;

    async fn is_over(patience: &mut Patience) -> bool {
        std::future::poll_fn(|cx| Poll::Ready(patience.is_over(cx))).await
    }

    #[test]
    fn only_time_in_which_a_piece_is_asked_for_counts() {
        let each = Duration::from_millis(200);
        block_on(async {
            let mut patience = Patience::new(each, after(Instant::now(), Duration::MAX));
            tokio::time::sleep(each * 2).await;
            assert!(!is_over(&mut patience).await, "nobody asked before");
            patience.moved();
            tokio::time::sleep(each * 2).await;
            assert!(!is_over(&mut patience).await, "a piece came, and nobody asked for the next");
            tokio::time::sleep(each * 2).await;
            assert!(is_over(&mut patience).await);
        })
        .expect("it runs");
    }

    #[test]
    fn the_end_of_all_is_an_end_too() {
        block_on(async {
            let mut patience = Patience::new(Duration::MAX, Instant::now());
            assert!(is_over(&mut patience).await);
        })
        .expect("it runs");
    }
}
