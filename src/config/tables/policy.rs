//! `[policy]`: what promotions need, and how long versions are kept.

use crate::base::name::{Stage, words};
use crate::config::check::{CheckOne, Checker};
use crate::config::leaf::word_leaf;
use crate::config::shape::{At, Item, table};
use std::num::NonZeroU32;

words! {
    /// What an inconclusive gate does to a promotion.
    OnInconclusive, "decision about inconclusive gates" {
        /// It is refused until there is an answer.
        Block = "block",
        /// It goes on, and the event says so.
        Allow = "allow",
    }
}

word_leaf! { OnInconclusive, "decision about inconclusive gates"; }

table! {
    /// As written.
    RawPolicy {
        /// Allow a version into production that has not been in staging.
        skip_staging: At<bool> = "skip-staging", or false;
        /// Stages into which nothing goes without `--ticket`.
        require_ticket: At<Vec<Item<Stage>>> = "require-ticket", or Vec::new();
        /// Refuse to register and to promote while Git has uncommitted changes.
        require_clean_git: At<bool> = "require-clean-git", or false;
        /// Days that an archived version is kept at least.
        retention_days: At<u32> = "retention-days", or 365;
        /// How many earlier production versions of a model are always kept, to roll back to.
        rollback_window: At<NonZeroU32> = "rollback-window", or NonZeroU32::new(5).unwrap_or(NonZeroU32::MIN);
        /// What an inconclusive gate does to a promotion.
        inconclusive: At<OnInconclusive> = "inconclusive", or OnInconclusive::Block;
    }
}

/// What promotions need, and how long versions are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// True when production is open to a version that has not been in staging.
    pub skip_staging: bool,
    /// Stages into which nothing goes without a ticket.
    pub require_ticket: Vec<Stage>,
    /// True when uncommitted changes are a reason to refuse.
    pub require_clean_git: bool,
    /// Days that an archived version is kept at least.
    pub retention_days: u32,
    /// How many earlier production versions of a model are always kept; at least 1.
    pub rollback_window: u32,
    /// What an inconclusive gate does to a promotion.
    pub inconclusive: OnInconclusive,
}

impl CheckOne for RawPolicy {
    type Plain = Policy;
    fn check(&self, _: &mut Checker<'_>) -> Option<Policy> {
        Some(Policy {
            skip_staging: self.skip_staging.value,
            require_ticket: self.require_ticket.value.iter().map(|s| s.value).collect(),
            require_clean_git: self.require_clean_git.value,
            retention_days: self.retention_days.value,
            rollback_window: self.rollback_window.value.get(),
            inconclusive: self.inconclusive.value,
        })
    }
}
