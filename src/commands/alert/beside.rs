//! Alerts sent beside what a command does: a receiver that does not answer keeps nobody waiting who takes a version back.
//!
//! Invariants: one sender at a time; it has a connection of its own to the state, where everything waits that is not sent, also when
//! the command is killed.

use super::tell;
use crate::base::error::{Error, Result};
use crate::cli::cx::Cx;
use crate::domain::alert::table::Delivery;
use crate::release::alert::{self, Which, With};
use crate::store::{Mode, Store};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How soon what another process is sending is looked at again.
const AGAIN: Duration = Duration::from_secs(1);

/// Sends what waits in a thread of its own.
pub(crate) struct Beside<'a> {
    cx: &'a Cx,
    sending: Option<JoinHandle<Result<Vec<Delivery>>>>,
    /// Not before this.
    next: Option<Instant>,
}

impl<'a> Beside<'a> {
    /// Nothing is sent yet.
    pub(crate) fn new(cx: &'a Cx) -> Self {
        Self { cx, sending: None, next: None }
    }

    /// Begins to send what is due, when nothing is being sent, and warns of what could not be.
    pub(crate) fn look(&mut self, store: &Store) {
        if self.sending.as_ref().is_some_and(|sending| !sending.is_finished()) {
            return;
        }
        let waits = self.next.is_some_and(|next| Instant::now() < next);
        self.take();
        if store.is_dry_run() || waits {
            return;
        }
        match alert::due(store, Which::Due).and_then(|due| if due.is_empty() { Ok(None) } else { self.begin().map(Some) }) {
            Ok(sending) => self.sending = sending,
            Err(e) => self.failed(&e),
        }
    }

    /// Waits for what is being sent, and sends what was raised meanwhile.
    pub(crate) fn end(mut self, store: &Store) {
        self.take();
        super::deliver(self.cx, store);
    }

    fn begin(&self) -> Result<JoinHandle<Result<Vec<Delivery>>>> {
        let (settings, loaded, env) = (self.cx.settings_to_write()?, self.cx.project()?.clone(), self.cx.env.clone());
        Ok(std::thread::spawn(move || {
            let store = Store::open(settings, Mode::Write)?;
            let secret = |reference: &crate::config::SecretRef| reference.resolve(&env, &loaded.root);
            alert::deliver(&store, With { project: &loaded.project, root: &loaded.root, secret: &secret }, Which::Due)
        }))
    }

    /// Takes in what came of the last try, when it is known, or else waits for it.
    fn take(&mut self) {
        let Some(sending) = self.sending.take() else { return };
        match sending.join().unwrap_or_else(|_| Err(Error::new("the thread that sends them broke down"))) {
            Ok(tried) => {
                // Another process is at it.
                self.next = tried.is_empty().then(|| Instant::now() + AGAIN);
                tell(self.cx, &tried);
            }
            Err(e) => self.failed(&e),
        }
    }

    fn failed(&mut self, e: &Error) {
        self.next = Some(Instant::now() + AGAIN);
        self.cx.warn(&format!("alerts wait and could not be sent: {e}"));
    }
}
