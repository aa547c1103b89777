//! How fast a service may be asked by all who share it: so many requests a minute, and nobody while it asks everybody to wait.
//!
//! Turns are handed out evenly, without a burst at the start, because a service counts a burst against its limit too. What a
//! service says to one request with `Retry-After` holds for all: asking it in the meantime only makes the wait longer.

use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The pace of one service.
#[derive(Debug, Default)]
pub struct Pace {
    /// The time between two requests.
    every: Option<Duration>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When the next turn is.
    next: Option<Instant>,
    /// Until when nobody has one.
    held: Option<Instant>,
}

impl Pace {
    /// At most so many requests a minute; `None` for as many as there are.
    pub fn per_minute(requests: Option<NonZeroU32>) -> Self {
        Self { every: requests.map(|n| Duration::from_secs(60) / n.get()), state: Mutex::default() }
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// How long everybody is still to wait, when that is longer than `longest`.
    pub(super) async fn turn(&self, longest: Duration) -> Result<(), Duration> {
        self.patient(longest)?;
        let mut until = self.take(Instant::now());
        while let Some(at) = until {
            tokio::time::sleep_until(at.into()).await;
            // Somebody may have been told to wait meanwhile.
            until = self.patient(longest)?;
        }
        Ok(())
    }

    /// Until when everybody waits, when that is not too long.
    fn patient(&self, longest: Duration) -> Result<Option<Instant>, Duration> {
        let now = Instant::now();
        let held = self.state().held.filter(|held| *held > now);
        match held.map(|held| held - now) {
            Some(wait) if wait > longest => Err(wait),
            _ => Ok(held),
        }
    }

    /// Lets nobody ask for so long.
    pub(super) fn hold(&self, wait: Duration) {
        let until = Instant::now().checked_add(wait);
        let mut state = self.state();
        state.held = state.held.max(until);
    }

    /// Takes the next turn and says when it is, when that is not now.
    fn take(&self, now: Instant) -> Option<Instant> {
        let mut state = self.state();
        let own = match self.every {
            Some(every) => {
                let at = state.next.unwrap_or(now).max(now);
                state.next = at.checked_add(every);
                at
            }
            None => now,
        };
        Some(state.held.unwrap_or(own).max(own)).filter(|at| *at > now)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_even_and_a_hold_is_for_all() {
        let now = Instant::now();
        let pace = Pace::per_minute(NonZeroU32::new(600));
        let turns: Vec<_> = (0..4).map(|_| pace.take(now).map_or(0, |at| (at - now).as_millis())).collect();
        assert_eq!(turns, [0, 100, 200, 300]);
        // Turns that nobody took do not add up.
        let later = now + Duration::from_secs(60);
        assert_eq!((pace.take(later), pace.take(later)), (None, Some(later + Duration::from_millis(100))));
        let free = Pace::default();
        assert_eq!(free.take(now), None);
        free.hold(Duration::from_secs(5));
        free.hold(Duration::from_secs(1));
        let until = free.take(now).expect("held");
        assert!((5.0..6.0).contains(&(until - now).as_secs_f64()), "the longer hold stands");
        assert!(free.patient(Duration::from_secs(6)).is_ok_and(|held| held.is_some()), "a wait that is short enough");
        assert!(free.patient(Duration::from_secs(4)).is_err_and(|wait| wait > Duration::from_secs(4)));
    }
}
