//! Changes of flags, each with its event.

use super::table::{all, find, get};
use super::{Flag, Rule};
use crate::base::error::{Context, Result};
use crate::base::event::{Event, Resource};
use crate::base::name::Name;
use crate::store::{Tx, values};

/// The action of a flag that was set.
pub(super) const SET: &str = "flag.set";
/// The action of a flag that was taken away.
pub(super) const REMOVED: &str = "flag.removed";

/// A rule as its row and its event have it.
///
/// # Errors
/// Never for a rule; kept as an error rather than a panic.
pub(super) fn words(rule: &Rule) -> Result<String> {
    serde_json::to_string(rule).context(|| "a rule has no JSON")
}

fn event(action: &'static str, tenant: &Name, name: &Name) -> Event {
    Event::new(action, Resource::new("flag", format!("{tenant}/{name}")))
        .with("tenant", tenant.as_str())
        .with("flag", name.as_str())
}

/// Sets a flag of a tenant and gives what it was before; records nothing when it is so already.
///
/// # Errors
/// When the state cannot be written; as for all below.
pub fn set(tx: &Tx<'_>, tenant: &Name, flag: &Flag) -> Result<Option<Rule>> {
    let before = find(tx.view(), tenant, &flag.name)?.map(|f| f.rule);
    if before.as_ref() == Some(&flag.rule) {
        return Ok(before);
    }
    let rule = words(&flag.rule)?;
    let was = before.as_ref().map(words).transpose()?;
    let event = tx.record(event(SET, tenant, &flag.name).with("rule", rule.as_str()).with("before", was));
    let sql = "INSERT INTO flag (tenant, name, rule, changed, actor, event) VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (tenant, name) \
         DO UPDATE SET rule = excluded.rule, changed = excluded.changed, actor = excluded.actor, event = excluded.event";
    tx.execute(sql, values![tenant.as_str(), flag.name.as_str(), rule, tx.now(), tx.pseudonym()?, event])?;
    Ok(before)
}

/// Takes a flag of a tenant away and gives what it was.
///
/// # Errors
/// When there is no such flag.
pub fn remove(tx: &Tx<'_>, tenant: &Name, name: &Name) -> Result<Rule> {
    let flag = get(tx.view(), tenant, name)?;
    tx.record(event(REMOVED, tenant, name).with("before", words(&flag.rule)?));
    tx.execute("DELETE FROM flag WHERE tenant = ?1 AND name = ?2", values![tenant.as_str(), name.as_str()])?;
    Ok(flag.rule)
}

/// Takes all flags of a tenant away and gives their number.
///
/// # Errors
/// As [`set`].
pub fn remove_all(tx: &Tx<'_>, tenant: &Name) -> Result<usize> {
    let flags = all(tx.view(), tenant)?;
    flags.iter().try_for_each(|flag| remove(tx, tenant, &flag.name).map(drop))?;
    Ok(flags.len())
}
