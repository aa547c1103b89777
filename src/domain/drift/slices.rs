//! Where a target moved most: its index inside each level of the columns with few of them.
//!
//! A family of its own, adjusted by Benjamini and Hochberg; a slice is looked at only with [`Policy::min_rows`] on both sides.

use super::figures::RARE;
use super::policy::{Policy, Status};
use super::why::{level, percent, share};
use crate::stats::contingency::{contingency, pool_rare, pooled};
use crate::stats::divergence::{Psi, psi};
use crate::stats::multiplicity::benjamini_hochberg;
use serde::{Deserialize, Serialize};

/// The target's rows by cell inside one level of a column, both sides over the same cells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The column that moved.
    pub target: String,
    /// The column whose level it is.
    pub column: String,
    /// Its level.
    pub level: String,
    /// Rows of the reference by the target's cells.
    pub reference: Vec<u64>,
    /// Rows of the current data, likewise.
    pub current: Vec<u64>,
}

/// What is said of a slice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// The column that moved.
    pub target: String,
    /// The column whose level it is.
    pub column: String,
    /// Its level.
    pub level: String,
    /// Rows of the reference in it.
    pub n_ref: u64,
    /// Rows of the current data in it.
    pub n_cur: u64,
    /// Which share of the current rows it is.
    pub coverage: f64,
    /// The target's index inside.
    pub psi: f64,
    /// What that passes once in a thousand without drift.
    pub psi_crit999: f64,
    /// Its chance without drift, by the law of the index or by the test of the table, whichever is larger.
    pub p: f64,
    /// The same, adjusted for all slices.
    pub q: f64,
    /// Its band, where chance did not make it; `Ok` otherwise.
    pub status: Status,
    /// In words.
    pub words: String,
}

/// All slices with enough rows, the one that moved most first. `rows`: the current rows of the table.
pub fn slices(parts: &[Part], rows: u64, policy: &Policy) -> Vec<Slice> {
    let found: Vec<Found<'_>> = parts.iter().filter_map(|part| measured(part, policy)).collect();
    let p: Vec<f64> = found.iter().map(|found| found.p).collect();
    let q = benjamini_hochberg(&p).unwrap_or_else(|| vec![1.0; p.len()]);
    let mut slices: Vec<Slice> = found
        .into_iter()
        .zip(q)
        .map(|(Found { part, psi, p, n_ref, n_cur }, q)| {
            let critical = psi.critical(RARE).unwrap_or(f64::MAX);
            let counts = psi.value > critical && q < policy.alpha;
            let coverage = share(n_cur, rows).min(1.0);
            Slice {
                words: format!("{} {}: PSI {:.2}", level(&part.target), place(&part.column, &part.level, coverage), psi.value),
                target: part.target.clone(),
                column: part.column.clone(),
                level: part.level.clone(),
                n_ref,
                n_cur,
                coverage,
                psi: psi.value,
                psi_crit999: critical,
                p,
                q,
                status: if counts { policy.psi.of(psi.value) } else { Status::Ok },
            }
        })
        .collect();
    let key = |slice: &Slice| (slice.target.clone(), slice.column.clone(), slice.level.clone());
    slices.sort_by(|a, b| b.status.cmp(&a.status).then_with(|| b.psi.total_cmp(&a.psi)).then_with(|| key(a).cmp(&key(b))));
    slices
}

/// `where land = FR, 20.0 % of the rows`.
pub(super) fn place(column: &str, of: &str, coverage: f64) -> String {
    format!("where {} = {}, {} of the rows", level(column), level(of), percent(coverage))
}

struct Found<'a> {
    part: &'a Part,
    psi: Psi,
    p: f64,
    n_ref: u64,
    n_cur: u64,
}

fn measured<'a>(part: &'a Part, policy: &Policy) -> Option<Found<'a>> {
    let rows = pool_rare(&part.reference, &part.current)?;
    let (reference, current) = (pooled(&part.reference, &rows), pooled(&part.current, &rows));
    let (n_ref, n_cur) = (reference.iter().sum::<u64>(), current.iter().sum::<u64>());
    let psi = psi(&reference, &current).filter(|_| n_ref.min(n_cur) >= policy.min_rows)?;
    // As of levels: the larger of two chances.
    let p = psi.p_value.max(contingency(&reference, &current)?.p_value);
    Some(Found { part, psi, p, n_ref, n_cur })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(level: &str, reference: &[u64], current: &[u64]) -> Part {
        Part {
            target: "churn".into(),
            column: "land".into(),
            level: level.into(),
            reference: reference.to_vec(),
            current: current.to_vec(),
        }
    }

    #[test]
    fn the_slice_that_moved_is_first_and_says_how_much_it_covers() {
        let parts = [
            part("DE", &[500, 500], &[505, 495]),
            part("FR", &[300, 100], &[100, 300]),
            part("few", &[29, 0], &[0, 400]),
            part("none", &[0, 0], &[0, 0]),
            part("torn", &[5], &[5, 6]),
        ];
        let got = slices(&parts, 2000, &Policy::default());
        let levels: Vec<&str> = got.iter().map(|s| s.level.as_str()).collect();
        assert_eq!((levels, got[0].status, got[1].status), (vec!["FR", "DE"], Status::Critical, Status::Ok));
        assert_eq!((got[0].coverage, got[0].n_ref, got[0].n_cur), (0.2, 400, 400));
        assert_eq!(got[0].words, "churn where land = FR, 20.0 % of the rows: PSI 1.09");
    }

    #[test]
    fn one_of_many_by_chance_is_no_finding() {
        let mut parts = vec![part("odd", &[300, 300], &[190, 410])];
        assert_eq!(slices(&parts, 600, &Policy::default())[0].status, Status::Monitor);
        // p is 0.0002: below 0.001 alone, not among two hundred.
        parts[0] = part("odd", &[60, 60], &[32, 88]);
        assert!(slices(&parts, 600, &Policy::default())[0].status.moved());
        parts.extend((0..200).map(|at| part(&at.to_string(), &[60, 60], &[60, 60])));
        assert_eq!(slices(&parts, 600, &Policy::default())[0].status, Status::Ok);
    }
}
