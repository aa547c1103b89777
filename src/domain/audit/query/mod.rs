//! Asks the log: entries by who, what, which, when, how it ended and what is said in them; newest first, which is by index and
//! not by time, since the index cannot be set back.
//!
//! A question is answered from the narrow rows: its words become numbers, one of them picks an index that is already in the
//! wanted order, and the others are checked on the way (see `plan`). Only a version or a text needs bodies, which are then
//! read newest first until enough is found.

mod lookup;
mod plan;

use super::body::spelt;
use super::entry::{Entry, Reader};
use crate::base::error::Result;
use crate::base::event::Outcome;
use crate::base::time::Timestamp;
use crate::store::{Row, View};
use crate::values;
use lookup::Numbers;
use plan::Stream;
use std::collections::BTreeSet;

/// Bodies read at a time.
const BATCH: i64 = 4096;

/// Which entries; all that is set must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The name or the pseudonym of who did it.
    pub actor: Option<String>,
    /// The action, or when it ends with `.` or `.*`, all that begin so.
    pub action: Option<String>,
    /// The resource: `NAME`, `NAME@VERSION` or `KIND:NAME`.
    pub resource: Option<String>,
    /// The ticket.
    pub ticket: Option<String>,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// A text in the entry or in the reason, exactly as written.
    pub text: Option<String>,
}

/// The newest entries that fit, at most `limit`.
///
/// # Errors
/// When the state cannot be read.
pub fn log(view: View<'_>, filter: &Filter, limit: u64) -> Result<Vec<Entry>> {
    let mut reader = Reader::new(view);
    let mut entries = Vec::new();
    for seq in find(view, filter, limit)? {
        let Ok(index) = u64::try_from(seq) else { continue };
        entries.extend(reader.entry(index)?.map(|(entry, _)| entry));
    }
    Ok(entries)
}

/// Indexes of the newest entries that fit, newest first.
fn find(view: View<'_>, filter: &Filter, limit: u64) -> Result<Vec<i64>> {
    let Some(numbers) = lookup::numbers(view, filter)? else { return Ok(Vec::new()) };
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let wanted = Wanted::new(filter, &numbers);
    let mut found = Vec::new();
    for stream in plan::streams(&numbers) {
        match &wanted {
            None => found.extend(stream.newest(view, limit)?),
            Some(wanted) => found.extend(wanted.search(view, &stream, limit)?),
        }
    }
    found.sort_unstable_by(|a, b| b.cmp(a));
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(found)
}

/// What only the body tells.
struct Wanted {
    /// As spelt in the JSON.
    text: Option<String>,
    /// As written, for reasons.
    plain: Option<String>,
    version: Option<String>,
}

impl Wanted {
    fn new(filter: &Filter, numbers: &Numbers) -> Option<Self> {
        let plain = filter.text.clone().filter(|t| !t.is_empty());
        let version = numbers.version.as_deref().map(|v| {
            let key = if v.starts_with("sha256:") { "digest" } else { "version" };
            // A digest may be given by its beginning.
            format!("\"{key}\":\"{}{}", spelt(v), if key == "digest" { "" } else { "\"" })
        });
        if plain.is_none() && version.is_none() {
            return None;
        }
        Some(Self { text: plain.as_deref().map(spelt), plain, version })
    }

    /// The newest entries of a stream whose bodies fit. Both reads of a batch cover the same range.
    fn search(&self, view: View<'_>, stream: &Stream<'_>, limit: i64) -> Result<Vec<i64>> {
        let mut found = Vec::new();
        let mut before = i64::MAX;
        loop {
            let (mut read, mut others) = (0, BTreeSet::new());
            let (mut last, mut fits) = (before, Vec::new());
            stream.bodies(view, before, BATCH, |row: &Row<'_>| {
                read += 1;
                last = row.int(0)?;
                let body = row.text_bytes(1)?;
                if self.version.as_ref().is_none_or(|v| of_resource(body, v)) {
                    if self.text.as_ref().is_none_or(|t| contains(body, t)) {
                        fits.push(last);
                    } else {
                        others.insert(last);
                    }
                }
                Ok(())
            })?;
            if let Some(plain) = self.plain.as_ref().filter(|_| !others.is_empty()) {
                let sql = "SELECT seq, value FROM opening WHERE seq >= ?1 AND seq < ?2";
                view.each(sql, values![last, before], |row| {
                    let seq = row.int(0)?;
                    if others.contains(&seq) && contains(row.opened(1)?.unwrap_or_default().as_bytes(), plain) {
                        fits.push(seq);
                    }
                    Ok(())
                })?;
            }
            fits.sort_unstable_by(|a, b| b.cmp(a));
            found.extend(fits);
            before = last;
            if read < BATCH || found.len() as i64 >= limit {
                return Ok(found);
            }
        }
    }
}

/// Whether the body has this member in its `res`, which canonical JSON puts after `pd` and before `ticket`.
fn of_resource(body: &[u8], member: &str) -> bool {
    let Ok(body) = std::str::from_utf8(body) else { return false };
    let Some(from) = body.rfind(",\"res\":{") else { return false };
    body[from..].contains(member)
}

fn contains(haystack: &[u8], needle: &str) -> bool {
    match std::str::from_utf8(haystack) {
        Ok(text) => text.contains(needle),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests;
