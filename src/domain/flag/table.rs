//! The rows of flags; every query takes a tenant.

use super::{Flag, Rule};
use crate::base::error::{Context, Error, Result};
use crate::base::name::Name;
use crate::base::text::did_you_mean;
use crate::store::{Row, View, values};

/// The flags of a tenant, by name.
///
/// # Errors
/// When the state cannot be read, or a rule is damaged.
pub fn all(view: View<'_>, tenant: &Name) -> Result<Vec<Flag>> {
    view.all("SELECT name, rule FROM flag WHERE tenant = ?1 ORDER BY name", values![tenant.as_str()], flag)
}

/// The flag of a tenant; `None` when it has none of this name.
///
/// # Errors
/// As [`all`].
pub fn find(view: View<'_>, tenant: &Name, name: &Name) -> Result<Option<Flag>> {
    view.first("SELECT name, rule FROM flag WHERE tenant = ?1 AND name = ?2", values![tenant.as_str(), name.as_str()], flag)
}

/// The flag of a tenant.
///
/// # Errors
/// When there is none: like names of this tenant's flags are suggested, those of other tenants never.
pub fn get(view: View<'_>, tenant: &Name, name: &Name) -> Result<Flag> {
    if let Some(found) = find(view, tenant, name)? {
        return Ok(found);
    }
    let names: Vec<String> = all(view, tenant)?.into_iter().map(|f| f.name.to_string()).collect();
    let error = Error::new(format!("the tenant {tenant} has no flag {name}"));
    Err(match did_you_mean(name.as_str(), names.iter().map(String::as_str)) {
        Some(hint) => error.hint(hint),
        None => error.hint(format!("`kf flag set {name} --tenant {tenant} --off` makes it")),
    })
}

fn flag(row: &Row<'_>) -> Result<Flag> {
    let name = row.text(0)?;
    let damaged = || format!("the flag {name} is damaged: `kf fsck` tells more");
    let rule: Rule = serde_json::from_str(row.text(1)?).context(damaged)?;
    Ok(Flag { name: name.parse().context(damaged)?, rule })
}
