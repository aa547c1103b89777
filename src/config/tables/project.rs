//! `[project]`: what this repository is.

use crate::base::name::Name;
use crate::config::check::{CheckOne, Checker};
use crate::config::shape::{At, table};

table! {
    /// As written.
    RawAbout {
        /// Name of the project.
        name: Option<At<Name>> = "name" [required];
        /// What it is for, in a sentence.
        description: Option<At<String>> = "description";
        /// Who answers for it: a person or a team.
        owner: Option<At<String>> = "owner";
    }
}

/// What this repository is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// Name of the project.
    pub name: Name,
    /// What it is for.
    pub description: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
}

impl CheckOne for RawAbout {
    type Plain = About;
    fn check(&self, _: &mut Checker<'_>) -> Option<About> {
        Some(About {
            name: self.name.as_ref()?.value.clone(),
            description: self.description.as_ref().map(|d| d.value.clone()),
            owner: self.owner.as_ref().map(|o| o.value.clone()),
        })
    }
}
