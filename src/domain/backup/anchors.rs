//! Checkpoints of a log that a state keeps: what a copy of it from elsewhere must agree with.

use crate::base::error::{Context, Result};
use crate::domain::audit::verify::Anchor;
use crate::store::{View, values};

/// The newest checkpoints at this size or before it, at most so many.
///
/// # Errors
/// When they cannot be read.
pub fn of_state(view: View<'_>, size: u64, most: u32) -> Result<Vec<Anchor>> {
    let size = i64::try_from(size).context(|| "the audit log is full")?;
    let sql = "SELECT size, note FROM checkpoint WHERE size <= ?1 ORDER BY size DESC LIMIT ?2";
    let notes = view.all(sql, values![size, most], |row| Ok((row.int(0)?, row.text(1)?.to_owned())))?;
    let read =
        |(size, note): (i64, String)| Anchor::read(format!("the checkpoint at {size} in the state in use"), note.as_bytes());
    notes.into_iter().map(read).collect()
}
