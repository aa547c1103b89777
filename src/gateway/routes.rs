//! A table made ready to route by: parsed endpoints with their connections and health, the counters of each version, the fuse.
//!
//! Invariants: routes are never changed, only replaced; an endpoint or a version that the next table has too keeps its connections,
//! its health and its counters, so that a change of weights touches no connection.

use super::endpoint::Endpoint;
use super::fuse::Fuse;
use super::health::Known;
use super::table::{Table, Upstream};
use super::tally::Tally;
use crate::base::error::Result;
use crate::base::version::Version;
use crate::base::weight::Weight;
use hyper::header::HeaderValue;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// One version with its endpoints.
pub(super) struct Arm {
    pub(super) version: Version,
    /// What answers are marked with.
    pub(super) label: HeaderValue,
    pub(super) endpoints: Vec<Arc<Endpoint>>,
    pub(super) tally: Arc<Tally>,
    next: AtomicUsize,
}

impl Arm {
    /// The endpoints in the order in which a request tries them: those that are well, in turn; for the version that serves then
    /// those of which nobody knows, and those that are only struck out.
    pub(super) fn in_turn(&self, serves: bool) -> Vec<Arc<Endpoint>> {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let n = self.endpoints.len();
        let known = (0..n).map(|i| &self.endpoints[first.wrapping_add(i) % n]).map(|e| (e.health.known(), e));
        let mut usable: Vec<_> = known.filter(|(k, _)| *k == Known::Well || (serves && *k != Known::Down)).collect();
        usable.sort_by_key(|(known, _)| *known);
        usable.into_iter().map(|(_, e)| Arc::clone(e)).collect()
    }
}

/// A table, ready.
pub(super) struct Routes {
    pub(super) table: Table,
    pub(super) stable: Option<Arc<Arm>>,
    pub(super) canary: Option<Arc<Arm>>,
    pub(super) fuse: Fuse,
}

impl Routes {
    /// Makes a table ready; `before` is asked for what stays, `tally` for the counters of a version.
    pub(super) fn new(table: Table, before: Option<&Self>, fuse: Fuse, tally: impl Fn(Version) -> Arc<Tally>) -> Result<Self> {
        if let (Some(stable), Some(canary)) = (&table.stable, &table.canary)
            && stable.version == canary.version
        {
            crate::fail!("version {} cannot be the stable one and the canary at once", stable.version);
        }
        let arm = |upstream: &Option<Upstream>| -> Result<Option<Arc<Arm>>> {
            upstream.as_ref().map(|u| arm(u, before, tally(u.version)).map(Arc::new)).transpose()
        };
        let (stable, canary) = (arm(&table.stable)?, arm(&table.canary)?);
        Ok(Self { table, stable, canary, fuse })
    }

    pub(super) fn arms(&self) -> impl Iterator<Item = &Arc<Arm>> {
        self.stable.iter().chain(&self.canary)
    }

    pub(super) fn endpoints(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.arms().flat_map(|arm| &arm.endpoints)
    }

    /// The canary's part, which a blown fuse takes away.
    pub(super) fn weight(&self) -> Weight {
        if self.canary.is_none() || self.fuse.blown().is_some() { Weight::NONE } else { self.table.weight }
    }

    pub(super) fn is_canary(&self, arm: &Arc<Arm>) -> bool {
        self.canary.as_ref().is_some_and(|canary| Arc::ptr_eq(canary, arm))
    }

    /// True when the canary is a shadow: it gets copies, and nobody gets its answers, whatever a request asks for.
    pub(super) fn only_copies(&self) -> bool {
        self.table.shadow > Weight::NONE && self.table.weight == Weight::NONE
    }

    /// Counts for the fuse, while there is a canary that it may take out.
    pub(super) fn judge_at_once(&self, arm: &Arc<Arm>, failed: bool) {
        if self.canary.is_some() {
            self.fuse.count(self.is_canary(arm), failed);
        }
    }
}

fn arm(upstream: &Upstream, before: Option<&Routes>, tally: Arc<Tally>) -> Result<Arm> {
    if upstream.endpoints.is_empty() {
        crate::fail!("version {} has no endpoint", upstream.version);
    }
    let old = |text: &str| {
        let arms = before.into_iter().flat_map(Routes::arms).filter(|arm| arm.version == upstream.version);
        arms.flat_map(|arm| &arm.endpoints).find(|e| e.text == text).cloned()
    };
    let endpoint = |text: &String| old(text).map_or_else(|| Endpoint::parse(text).map(Arc::new), Ok);
    let endpoints = upstream.endpoints.iter().map(endpoint).collect::<Result<_>>()?;
    let label = HeaderValue::from_str(&upstream.version.to_string()).expect("digits and dots are a header's value");
    Ok(Arm { version: upstream.version, label, endpoints, tally, next: AtomicUsize::new(0) })
}
