//! What became of a COMMIT that failed.
//!
//! When a connection is lost, the server may have got the COMMIT or not, and if it has, it may still be at work on it: waiting
//! for a standby, or in a trigger that runs at the end. The id of the last event tells what happened. That it is there is an
//! answer at any time; that it is not there is one only to whoever holds the writer's lock, which the lost transaction held until
//! it ended. So the look is taken under that lock, on a new connection, and when that cannot be had in time the answer is that
//! nobody knows, and how to find out. SQLite has no other side: what failed there is rolled back and looked for at once.

use super::db::{Db, Mode};
use super::{DbTarget, Store};
use crate::base::error::{Context, Error, Result};
use crate::values;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How long it is tried at least to learn what became of a COMMIT; a longer lock timeout counts more.
const AT_LEAST: Duration = Duration::from_secs(5);
/// The time between two tries.
const PAUSE: Duration = Duration::from_millis(200);

/// The last event of a transaction: it is in the log if and only if the transaction took effect.
#[derive(Clone, Copy, Debug)]
pub(super) struct LastEvent {
    pub(super) id: uuid::Uuid,
    pub(super) action: &'static str,
}

impl Store {
    /// Tells whether a transaction whose COMMIT failed with `e` took effect; without an event nothing was to change.
    ///
    /// # Errors
    /// When it did not, or when it cannot be known.
    pub(super) fn settle(&self, e: Error, last: Option<LastEvent>) -> Result<()> {
        let Some(last) = last else { return Err(e) };
        let found = match &self.settings.target {
            DbTarget::Sqlite(_) => {
                let db = self.db();
                db.rollback();
                is_there(&db, last)
            }
            DbTarget::Postgres(_) => self.ask_until_known(last),
        };
        match found {
            Ok(true) => Ok(()),
            Ok(false) => Err(e).context(|| "the commit failed and nothing was changed").hint(|| "run the command again".into()),
            Err(again) => Err(e).context(|| format!("it is not known whether the change took effect ({again})")).hint(|| {
                format!(
                    "`kf audit log --action {} --limit 5` shows it if it did; to run the command again is harmless either way",
                    last.action
                )
            }),
        }
    }

    /// Asks on new connections until one of them knows.
    fn ask_until_known(&self, last: LastEvent) -> Result<bool> {
        let lock_timeout = self.settings.lock_timeout;
        let patience = lock_timeout.max(AT_LEAST);
        let started = Instant::now();
        loop {
            let left = patience.saturating_sub(started.elapsed());
            match ask(&self.settings.target, last, left) {
                Ok((db, found)) => {
                    db.set_lock_timeout(lock_timeout)?;
                    self.db.replace(Rc::new(db));
                    return Ok(found);
                }
                Err(_) if started.elapsed() < patience => std::thread::sleep(PAUSE),
                Err(e) => return Err(e),
            }
        }
    }
}

fn ask(target: &DbTarget, last: LastEvent, patience: Duration) -> Result<(Db, bool)> {
    let db = Db::open(target, Mode::Write, patience)?;
    if is_there(&db, last)? {
        return Ok((db, true));
    }
    db.begin_write()?;
    let found = is_there(&db, last);
    db.rollback();
    Ok((db, found?))
}

fn is_there(db: &Db, last: LastEvent) -> Result<bool> {
    let mut found = false;
    db.each("SELECT seq FROM ev WHERE id = ?1", values![last.id.as_bytes().to_vec()], &mut |_| {
        found = true;
        Ok(())
    })?;
    Ok(found)
}
