//! What a target gives users now, whatever the registry says: where a way back begins, and a release on a second target.

use crate::base::error::{Error, Result};
use crate::base::name::Name;
use crate::base::version::Version;
use crate::base::weight::Weight;
use crate::release::emergency::act::look;
use crate::seams::traffic::Target;

/// What most users get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Serving {
    /// The version.
    pub version: Version,
    /// Another version that the rest of them get.
    pub beside: Option<Version>,
}

impl Serving {
    /// True when all users get this version.
    pub fn is_all(&self, version: Version) -> bool {
        self.version == version && self.beside.is_none()
    }
}

/// Asks a target what it serves; `None` when it serves nothing, or does not tell what.
///
/// # Errors
/// When it does not answer.
pub fn serving(target: &dyn Target, model: &Name) -> Result<Option<Serving>> {
    let found = look(target, model).map_err(|e| Error::new(format!("{} does not say what it serves: {e}", target.describe())))?;
    let split = found.weight > Weight::NONE && found.weight < Weight::FULL;
    let beside = found.canary.filter(|_| split);
    Ok(found.serves().map(|version| Serving { version, beside }))
}
