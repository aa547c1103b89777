//! What another tool would say of the same data, for people who compare. Nothing is recorded.

use super::{in_order, selection_of};
use crate::base::digest::Digest;
use crate::base::error::{Error, Result};
use crate::base::name::words;
use crate::config::Drift;
use crate::data::{self, Input};
use crate::domain::drift::evidently::DATASET_SHARE;
use crate::domain::drift::evidently::table::{Said, column};
use crate::domain::drift::report::{File, digest_of, files};

words! {
    /// A tool whose values are wanted.
    Tool, "tool" {
        /// Evidently 0.7.23.
        Evidently = "evidently",
    }
}

/// What Evidently says.
#[derive(Clone, Debug)]
pub struct Compat {
    /// The reference.
    pub reference: Vec<File>,
    /// The new data.
    pub data: Vec<File>,
    /// Rows of the reference.
    pub rows_ref: u64,
    /// Rows of the new data.
    pub rows: u64,
    /// Each column of the new data that is compared.
    pub columns: Vec<(String, Said)>,
}

impl Compat {
    /// How many columns have a score, and how many of them drifted.
    pub fn counted(&self) -> (usize, usize) {
        let scores = self.columns.iter().filter_map(|(_, said)| match said {
            Said::Score { method, score, .. } => Some(method.drifted(*score)),
            Said::Nothing(_) => None,
        });
        scores.fold((0, 0), |(all, drifted), one| (all + 1, drifted + usize::from(one)))
    }

    /// Its verdict on the data set; `None` without a score.
    pub fn drifted(&self) -> Option<bool> {
        let (all, drifted) = self.counted();
        (all > 0).then(|| drifted as f64 / all as f64 >= DATASET_SHARE)
    }

    /// One digest over the files of the reference.
    pub fn reference_digest(&self) -> Digest {
        digest_of(&self.reference)
    }
}

/// Compares two tables as Evidently 0.7.23 does when nothing is configured, with the columns and kinds that `mlops.toml` says.
///
/// # Errors
/// When the data cannot be read or have no rows.
pub fn evidently(config: &Drift, reference: &[Input], new: &[Input], jobs: usize) -> Result<Compat> {
    let selection = selection_of(config);
    let (before, now) = (data::open(reference, &selection.expected())?, data::open(new, &selection.expected())?);
    if before.rows() == 0 || now.rows() == 0 {
        return Err(Error::new("a side has no rows, so there is nothing to compare").hint("name files with rows"));
    }
    let names: Vec<&str> = now.columns().iter().map(|column| column.name.as_str()).filter(|name| selection.takes(name)).collect();
    let all: Vec<usize> = (0..names.len()).collect();
    let one = |at: usize| {
        let said = selection.kinds.get(names[at]).map(String::as_str);
        column(names[at], before.as_ref(), now.as_ref(), said).map(|said| (names[at].to_owned(), said))
    };
    let columns = in_order(jobs, &all, &one).into_iter().collect::<Result<Vec<_>>>()?;
    let (reference, data) = (files(before.as_ref()), files(now.as_ref()));
    Ok(Compat { reference, data, rows_ref: before.rows(), rows: now.rows(), columns })
}
