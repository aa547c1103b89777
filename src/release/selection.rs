//! Which rows of a golden dataset are asked: all, a draw by a seed, the first, or those that an earlier evaluation names.

use super::evaluate::Loaded;
use crate::base::digest::Digest;
use crate::base::error::{Error, Result};
use serde_json::json;
use std::collections::BTreeSet;

/// Which rows of a dataset are asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    /// Only these rows, by id.
    pub only: Option<BTreeSet<String>>,
    /// So many of them, drawn by a seed; which ones does not depend on their order.
    pub sample: Option<(usize, u64)>,
    /// So many of those, from the start.
    pub limit: Option<usize>,
}

impl Selection {
    /// Leaves the rows that are asked; gives a name for them when they are not all.
    ///
    /// # Errors
    /// When none is left.
    pub fn apply(&self, loaded: &mut Loaded) -> Result<Option<String>> {
        let rows = &mut loaded.golden.rows;
        let all = rows.len();
        if let Some(only) = &self.only {
            rows.retain(|r| only.contains(&r.id));
        }
        if let Some((n, seed)) = self.sample.filter(|(n, _)| *n < rows.len()) {
            let drawn = |id: &str| Digest::of(format!("sample\0{seed}\0{id}").as_bytes()).hex();
            let mut order: Vec<(String, String)> = rows.iter().map(|r| (drawn(&r.id), r.id.clone())).collect();
            order.sort_unstable();
            let kept: BTreeSet<String> = order.into_iter().take(n).map(|(_, id)| id).collect();
            rows.retain(|r| kept.contains(&r.id));
        }
        rows.truncate(self.limit.unwrap_or(usize::MAX));
        if rows.is_empty() {
            return Err(
                Error::new(format!("no row of {} is left to ask", loaded.dataset.name)).hint("ask for other rows, or for all")
            );
        }
        let ids: Vec<&str> = rows.iter().map(|r| r.id.as_str()).collect();
        Ok((rows.len() < all).then(|| format!("{}-{}", rows.len(), Digest::of(json!(ids).to_string().as_bytes()).short())))
    }
}
