//! Keeps what was read for a moment: whoever asks meanwhile gets the same, and of many who ask at once one reads.
//!
//! Invariant: what could once be read is given until something newer can be: a state that is down takes nothing from whoever asks.

use std::future::Future;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// Something that is read anew when it is asked for later than this.
pub(super) struct Recent<T> {
    lasts: Duration,
    kept: Mutex<Option<(Instant, Result<T, String>)>>,
}

impl<T: Clone> Recent<T> {
    pub(super) fn new(lasts: Duration) -> Self {
        Self { lasts, kept: Mutex::default() }
    }

    /// What was read a moment ago, or is read now.
    ///
    /// # Errors
    /// Why it cannot be read, when it never could.
    pub(super) async fn get(&self, read: impl Future<Output = Result<T, String>>) -> Result<T, String> {
        let mut kept = self.kept.lock().await;
        if let Some((at, known)) = kept.as_ref()
            && at.elapsed() < self.lasts
        {
            return known.clone();
        }
        let found = match (read.await, kept.take()) {
            (Err(_), Some((_, Ok(before)))) => Ok(before),
            (found, _) => found,
        };
        *kept = Some((Instant::now(), found.clone()));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::runtime::block_on;
    use std::future::ready;

    fn get(recent: &Recent<u8>, read: Result<u8, String>) -> Result<u8, String> {
        block_on(recent.get(ready(read))).expect("a runtime")
    }

    #[test]
    fn what_is_recent_is_not_read_again() {
        let recent = Recent::new(Duration::from_secs(1000));
        assert_eq!((get(&recent, Ok(1)), get(&recent, Ok(2))), (Ok(1), Ok(1)));
        let recent = Recent::new(Duration::ZERO);
        assert_eq!((get(&recent, Ok(1)), get(&recent, Ok(2))), (Ok(1), Ok(2)));
    }

    #[test]
    fn what_was_known_is_given_while_nothing_can_be_read() {
        let recent = Recent::new(Duration::ZERO);
        let down = || Err("down".to_owned());
        assert_eq!((get(&recent, down()), get(&recent, Ok(1))), (down(), Ok(1)));
        assert_eq!((get(&recent, down()), get(&recent, down()), get(&recent, Ok(2))), (Ok(1), Ok(1), Ok(2)));
    }
}
