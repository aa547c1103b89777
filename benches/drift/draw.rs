//! The data of a run: twenty columns as tables have them, sixteen of numbers and four of levels.

use kf::stats::rng::Rng;

/// Numeric columns.
pub(crate) const NUMBERS: usize = 16;
/// Columns of levels: how many levels each has.
const LEVELS: [usize; 4] = [2, 8, 30, 100];

/// What moved: the first numeric columns, in standard deviations of the normal law below them.
#[derive(Clone, Copy)]
pub(crate) struct Drift {
    pub(crate) columns: usize,
    pub(crate) by: f64,
}

/// A column on both sides.
pub(crate) enum Column {
    /// Numbers.
    Numbers(Vec<f64>, Vec<f64>),
    /// Numbers of levels.
    Levels(Vec<usize>, Vec<usize>),
}

/// The table of a run.
pub(crate) fn table(run: u64, (n, m): (usize, usize), drift: Drift) -> Vec<Column> {
    let mut rng = Rng::new(run.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (n as u64) << 32 ^ m as u64);
    let mut columns: Vec<Column> = Vec::with_capacity(NUMBERS + LEVELS.len());
    for at in 0..NUMBERS {
        let by = if at < drift.columns { drift.by } else { 0.0 };
        let reference = (0..n).map(|_| shaped(at, normal(&mut rng))).collect();
        let current = (0..m).map(|_| shaped(at, normal(&mut rng) + by)).collect();
        columns.push(Column::Numbers(reference, current));
    }
    for levels in LEVELS {
        // Zipf's law, as levels are spread in practice.
        let upto: Vec<f64> = (1..=levels)
            .scan(0.0, |sum, k| {
                *sum += 1.0 / k as f64;
                Some(*sum)
            })
            .collect();
        let mut draws = |rows: usize| (0..rows).map(|_| level(&upto, uniform(&mut rng))).collect();
        columns.push(Column::Levels(draws(n), draws(m)));
    }
    columns
}

/// Four shapes by turns: normal, with a heavy tail, counts with many ties, and half of it zero.
fn shaped(column: usize, z: f64) -> f64 {
    match column % 4 {
        0 => z,
        1 => z.exp(),
        2 => (z * 2.0).exp().floor(),
        _ => z.max(0.0),
    }
}

/// From 0 to 1, neither of them.
fn uniform(rng: &mut Rng) -> f64 {
    ((rng.bits() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

/// Box and Muller's transformation.
fn normal(rng: &mut Rng) -> f64 {
    (-2.0 * uniform(rng).ln()).sqrt() * (std::f64::consts::TAU * uniform(rng)).cos()
}

fn level(upto: &[f64], u: f64) -> usize {
    let at = u * upto.last().copied().unwrap_or_default();
    upto.partition_point(|sum| *sum <= at).min(upto.len() - 1)
}
