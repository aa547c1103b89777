//! Who drives a rollout: one controller at a time, known by a counter that only rises (its fence).
//!
//! A lease says for how long. It is taken over when that is over, or when its process is known to be gone; every write of a
//! controller is refused once somebody else has a higher fence. One that lasts for longer than any may, because a clock was ahead when
//! it was written, may be taken over as well. No lease is an act of somebody, so none has an event.

use crate::base::error::{Error, Kind, Result};
use crate::base::time::Timestamp;
use crate::store::{Store, View, values};
use std::time::Duration;

/// How long a lease lasts unless it is renewed.
pub const TTL: Duration = Duration::from_secs(30);

/// A lease as it was taken or renewed last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Its counter.
    pub fence: i64,
    /// How often it was renewed.
    renewal: i64,
    /// The machine of the controller.
    pub host: String,
    /// The process there.
    pub pid: i64,
    /// Until when.
    pub until: Timestamp,
}

/// The lease of a rollout.
///
/// # Errors
/// When the state cannot be read.
pub fn lease(view: View<'_>, uid: &str) -> Result<Option<Lease>> {
    let sql =
        "SELECT fence, renewal, host, pid, until FROM rollout_lease WHERE rollout = ?1 ORDER BY fence DESC, renewal DESC LIMIT 1";
    view.first(sql, values![uid], |row| {
        let host = row.text(2)?.to_owned();
        Ok(Lease { fence: row.int(0)?, renewal: row.int(1)?, host, pid: row.int(3)?, until: row.time(4)? })
    })
}

/// Takes the lease of a rollout; `gone` says of a machine and a process there whether it is known to be gone.
///
/// # Errors
/// [`Kind::Locked`] when somebody else has it, or was quicker.
pub fn take(store: &Store, uid: &str, pid: i64, gone: &dyn Fn(&str, i64) -> bool) -> Result<Lease> {
    let now = store.now();
    let before = store.read(|view| lease(view, uid))?;
    let holds = |held: &&Lease| held.until > now && !is_ahead(held, now) && !gone(&held.host, held.pid);
    if let Some(held) = before.as_ref().filter(holds) {
        return Err(driven(uid, held));
    }
    let fence = before.as_ref().map_or(0, |l| l.fence) + 1;
    let mine = Lease { fence, renewal: 0, host: store.identity().host.clone(), pid, until: after(now, TTL) };
    if write(store, uid, &mine, before.map_or(0, |l| l.fence))? {
        return Ok(mine);
    }
    let held = store.read(|view| lease(view, uid))?;
    Err(held.map_or_else(|| taken(uid), |held| driven(uid, &held)))
}

/// Makes sure that a lease is still held, and that it lasts on; nothing is written while most of its time is left.
///
/// # Errors
/// [`Kind::Locked`] when somebody else has taken it.
pub fn renew(store: &Store, uid: &str, mine: &Lease) -> Result<Lease> {
    if store.read(|view| lease(view, uid))?.is_none_or(|held| held.fence != mine.fence) {
        return Err(taken(uid));
    }
    let now = store.now();
    if mine.until > after(now, TTL * 2 / 3) && !is_ahead(mine, now) {
        return Ok(mine.clone());
    }
    again(store, uid, mine, after(now, TTL))
}

/// Gives a lease up: the next controller need not wait.
///
/// # Errors
/// When the state cannot be written.
pub fn give_up(store: &Store, uid: &str, mine: &Lease) -> Result<()> {
    match again(store, uid, mine, store.now()) {
        Err(e) if e.kind() != Kind::Locked => Err(e),
        _ => Ok(()),
    }
}

/// Raises the counter over that of whoever has it, so that nothing that they still do counts: for whoever cannot wait.
///
/// # Errors
/// When the state cannot be written, or several do this at once.
pub fn fence(store: &Store, uid: &str, pid: i64) -> Result<Lease> {
    take(store, uid, pid, &|_, _| true)
}

fn again(store: &Store, uid: &str, mine: &Lease, until: Timestamp) -> Result<Lease> {
    let next = Lease { renewal: mine.renewal + 1, until, ..mine.clone() };
    if write(store, uid, &next, mine.fence)? { Ok(next) } else { Err(taken(uid)) }
}

/// Writes a lease when the highest fence is still `found`; what it takes the place of goes.
fn write(store: &Store, uid: &str, lease: &Lease, found: i64) -> Result<bool> {
    store.feed(|feed| {
        let highest = feed.asked("SELECT COALESCE(MAX(fence), 0) FROM rollout_lease WHERE rollout = ?1", values![uid])?;
        if highest != Some(found) {
            return Ok(false);
        }
        let row = values![uid, lease.fence, lease.renewal, &lease.host, lease.pid, lease.until];
        feed.append("rollout_lease", &["rollout", "fence", "renewal", "host", "pid", "until"], [row.to_vec()])?;
        let older = "rollout = ?1 AND (fence < ?2 OR (fence = ?3 AND renewal < ?4))";
        feed.finish("rollout_lease", older, values![uid, lease.fence, lease.fence, lease.renewal])?;
        Ok(true)
    })
}

/// True of a lease that lasts for longer than any does: a clock was ahead that wrote it down, and nobody waits until it is right.
fn is_ahead(lease: &Lease, now: Timestamp) -> bool {
    lease.until > after(now, TTL * 4)
}

fn after(now: Timestamp, lasts: Duration) -> Timestamp {
    now.plus_micros(i64::try_from(lasts.as_micros()).unwrap_or(i64::MAX))
}

fn driven(uid: &str, held: &Lease) -> Error {
    let short = super::table::short(uid);
    let what = format!("rollout {short} is driven by process {} on {} until {}", held.pid, held.host, held.until);
    Error::of(Kind::Locked, what).hint(format!("`kf canary status {short} --watch` shows what it does"))
}

/// The error of whoever had it.
pub fn taken(uid: &str) -> Error {
    let short = super::table::short(uid);
    Error::of(Kind::Locked, format!("another controller has taken rollout {short} over"))
        .hint(format!("`kf canary status {short} --watch` shows what it does"))
}
