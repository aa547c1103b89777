//! `[dr]`: what kf cannot know of the place where work goes on when this one is lost; runbooks name it.

use crate::base::name::Name;
use crate::config::check::{CheckOne, Checker};
use crate::config::path::RepoPath;
use crate::config::shape::{At, Item, table};

table! {
    /// As written.
    RawDr {
        /// Where work goes on, in words: a region, a site.
        secondary: Option<At<String>> = "secondary";
        /// The folder of the repository whose Terraform makes it.
        terraform: Option<At<RepoPath>> = "terraform";
        /// A program and its arguments that sends users there.
        dns: Option<At<Vec<Item<String>>>> = "dns";
        /// The flag that the application asks before it serves a tenant: off for one that is isolated.
        tenant_flag: Option<At<Name>> = "tenant-flag";
    }
}

/// What kf cannot know of the place where work goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dr {
    /// Where work goes on, in words.
    pub secondary: Option<String>,
    /// The folder whose Terraform makes it.
    pub terraform: Option<RepoPath>,
    /// A program and its arguments that sends users there; not empty.
    pub dns: Option<Vec<String>>,
    /// The flag that the application asks before it serves a tenant.
    pub tenant_flag: Option<Name>,
}

impl CheckOne for RawDr {
    type Plain = Dr;
    fn check(&self, cx: &mut Checker<'_>) -> Option<Dr> {
        let dns: Option<Vec<String>> = self.dns.as_ref().map(|at| at.value.iter().map(|item| item.value.clone()).collect());
        if let Some(at) = self.dns.as_ref().filter(|at| at.value.first().is_none_or(|program| program.value.is_empty())) {
            cx.refuse(
                &at.spot,
                "`dr.dns` names no program",
                "write the program and its arguments: `[\"./failover.sh\", \"secondary\"]`",
            );
        }
        Some(Dr {
            secondary: self.secondary.as_ref().map(|at| at.value.clone()),
            terraform: self.terraform.as_ref().map(|at| at.value.clone()),
            dns,
            tenant_flag: self.tenant_flag.as_ref().map(|at| at.value.clone()),
        })
    }
}
