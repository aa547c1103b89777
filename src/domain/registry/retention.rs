//! Which versions are kept, and why: everything that a stage, an alias, a link, the rollback window or the retention of
//! archived versions needs. What is left is collected.

use super::change::PARENT;
use super::table::{self, VersionRow};
use crate::base::digest::Digest;
use crate::base::error::Result;
use crate::base::name::Stage;
use crate::base::time::Timestamp;
use crate::store::{Tx, View, values};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// How long versions are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Days that an archived version is kept at least.
    pub retention_days: u32,
    /// How many production versions of a model, the newest first, are always kept.
    pub rollback_window: u32,
}

/// Versions with their files, sorted into those that are kept and those that are not.
#[derive(Clone, Debug, Default)]
pub struct Sorted {
    /// Kept, with the reason.
    pub kept: Vec<(VersionRow, String)>,
    /// Not needed any more.
    pub expired: Vec<VersionRow>,
}

/// Versions that something outside of the registry needs, by the digest of their manifest, with the reason.
pub type Held = BTreeMap<Digest, String>;

/// Sorts all versions whose files are there.
///
/// # Errors
/// When the registry cannot be read.
pub fn sort(view: View<'_>, rules: Rules, held: &Held, now: Timestamp) -> Result<Sorted> {
    let mut all = BTreeMap::new();
    let mut kept: BTreeMap<i64, String> = BTreeMap::new();
    for model in table::models(view)? {
        let window = in_window(view, model.id, rules.rollback_window)?;
        let aliases: BTreeMap<i64, String> =
            table::aliases(view, model.id)?.into_iter().map(|(alias, _, id)| (id, format!("alias {alias}"))).collect();
        for version in table::versions(view, model.id, u32::MAX)?.into_iter().filter(|v| v.purged.is_none()) {
            let why = by_stage(&version, rules, now)
                .or_else(|| window.contains(&version.id).then(|| "rollback window".to_owned()))
                .or_else(|| aliases.get(&version.id).cloned())
                .or_else(|| held.get(&version.digest).cloned());
            if let Some(why) = why {
                kept.insert(version.id, why);
            }
            all.insert(version.id, version);
        }
    }
    keep_what_is_needed(view, &all, &mut kept)?;
    let mut sorted = Sorted::default();
    for (id, version) in all {
        match kept.remove(&id) {
            Some(why) => sorted.kept.push((version, why)),
            None => sorted.expired.push(version),
        }
    }
    Ok(sorted)
}

fn by_stage(version: &VersionRow, rules: Rules, now: Timestamp) -> Option<String> {
    if version.stage != Stage::Archived {
        return Some(format!("stage {}", version.stage));
    }
    // An archived version without the time of its retirement is damage, not a reason to remove it.
    let Some(retired) = version.retired else { return Some("archived, nobody knows when".into()) };
    let until = retired.plus_micros(i64::from(rules.retention_days).saturating_mul(DAY));
    (now < until).then(|| format!("retention until {}", until.day()))
}

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

/// The last versions of a model that were in production.
fn in_window(view: View<'_>, model: i64, window: u32) -> Result<BTreeSet<i64>> {
    let mut last = BTreeSet::new();
    for change in table::history(view, model, u32::MAX)? {
        if last.len() >= window as usize {
            break;
        }
        if change.to == Stage::Production {
            last.insert(change.version_id);
        }
    }
    Ok(last)
}

/// What a kept version names is kept, and what that names in turn.
fn keep_what_is_needed(view: View<'_>, all: &BTreeMap<i64, VersionRow>, kept: &mut BTreeMap<i64, String>) -> Result<()> {
    let mut open: Vec<i64> = kept.keys().copied().collect();
    while let Some(id) = open.pop() {
        let Some(by) = all.get(&id) else { continue };
        for (relation, target) in table::links_from(view, id)? {
            // A variant stands by itself: what it was made from is history.
            if relation == PARENT {
                continue;
            }
            if let Entry::Vacant(slot) = kept.entry(target.id) {
                slot.insert(format!("needed by {}", by.reference()));
                open.push(target.id);
            }
        }
    }
    Ok(())
}

/// Marks a version whose files are about to be removed; true when it was not marked before.
///
/// # Errors
/// When the state cannot be written.
pub fn purge(tx: &Tx<'_>, version: &VersionRow) -> Result<bool> {
    let marked = tx.execute("UPDATE version SET purged = ?1 WHERE id = ?2 AND purged IS NULL", values![tx.now(), version.id])?;
    Ok(marked > 0)
}

#[cfg(test)]
mod tests;
