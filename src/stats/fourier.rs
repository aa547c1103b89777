//! Maximum mean discrepancy: whether two samples of vectors come from one distribution, whatever way they differ.
//!
//! The kernel is exp(−|x − y|²/s), s the [`bandwidth`]. Exactly it takes the products of all pairs ([`exact`]); instead vectors are mapped
//! to [`FEATURES`] random Fourier features (Rahimi and Recht 2007), whose products are the kernel's values on average and whose
//! sums are all that is kept, so that samples of any size are compared in time and space of their features. Rows are
//! summed in blocks of one size; [`discrepancy`] shuffles blocks between the sides. Under no drift every choice of blocks is equally
//! likely, so its chance holds for few rows and for every distribution, given that blocks are of rows drawn at random.

use super::components::columns;
use super::describe::quantile;
use super::rng::Rng;
use nalgebra::{DMatrix, DMatrixView};

/// Features of a vector: a cosine and a sine for each of half as many frequencies. The kernel is met to about √(2/512) = 0.06 a pair,
/// and the discrepancy of samples far better, because errors of pairs cancel.
pub const FEATURES: usize = 512;
/// The most choices that are tried: the least chance that can be told is one in ten thousand.
pub const MOST_PERMUTATIONS: usize = 9_999;
/// Choices at least as far apart as what was seen after which no more are tried (Besag and Clifford 1991, Biometrika 78): a chance that
/// is not small is known well enough then, to about 14 % of itself.
pub const ENOUGH: usize = 50;
/// Choices that are computed at once.
const BATCH: usize = 100;

/// The random features of one kernel on vectors of one width.
#[derive(Clone, Debug, PartialEq)]
pub struct Fourier(DMatrix<f32>);

/// The discrepancy of two samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Discrepancy {
    /// The squared discrepancy without bias: 0 on average when nothing drifted, and then below 0 half of the time; at most 2.
    pub value: f64,
    /// The chance of one this large when nothing drifted.
    pub p_value: f64,
    /// How many choices of blocks it rests on.
    pub permutations: usize,
    /// Rows of the reference and of the current data that were compared.
    pub rows: (u64, u64),
}

impl Fourier {
    /// The features that a seed determines. `None` unless the bandwidth, in the unit of the vectors squared, is above 0 and finite.
    pub fn new(width: usize, bandwidth: f64, seed: u64) -> Option<Self> {
        let scale = (2.0 / bandwidth).sqrt();
        let mut rng = Rng::new(seed);
        let sound = width > 0 && bandwidth > 0.0 && scale.is_finite() && scale > 0.0;
        sound.then(|| Self(DMatrix::from_fn(FEATURES / 2, width, |_, _| (rng.normal() * scale) as f32)))
    }

    /// The features of vectors that lie one after the other, [`FEATURES`] a vector. `None` when they do not divide into vectors of
    /// its width.
    pub fn features(&self, vectors: &[f32]) -> Option<Vec<f32>> {
        let angles = &self.0 * columns(vectors, self.0.ncols())?;
        let unit = (2.0 / FEATURES as f32).sqrt();
        let pair = |angle: &f32| {
            let (sine, cosine) = angle.sin_cos();
            [unit * cosine, unit * sine]
        };
        Some(angles.as_slice().iter().flat_map(pair).collect())
    }
}

/// Rows of features, [`FEATURES`] each, dealt at random into blocks of so many and summed, block after block; rows that fill no block are
/// left out. Empty for blocks of no rows.
pub fn dealt(features: &[f32], rows: usize, seed: u64) -> Vec<f32> {
    let mut order: Vec<&[f32]> = features.chunks_exact(FEATURES).collect();
    let count = order.len();
    Rng::new(seed).draw(&mut order, count);
    let mut sums = vec![0.0; count.checked_div(rows).unwrap_or(0) * FEATURES];
    for (block, members) in sums.chunks_exact_mut(FEATURES).zip(order.chunks(rows.max(1))) {
        for member in members {
            block.iter_mut().zip(*member).for_each(|(sum, v)| *sum += v);
        }
    }
    sums
}

/// The median of the squared distances of all pairs of different vectors, in their unit squared: the bandwidth that suits them. `None`
/// when no two differ or they do not divide into vectors of the width.
pub fn bandwidth(vectors: &[f32], width: usize) -> Option<f64> {
    let distances = distances(columns(vectors, width)?, columns(vectors, width)?);
    let pairs = (0..distances.nrows()).flat_map(|i| (0..i).map(move |j| (i, j)));
    let apart: Vec<f64> = pairs.map(|at| distances[at]).filter(|d| *d > 0.0).collect();
    quantile(&apart, 0.5)
}

/// The squared discrepancy of two samples of vectors without bias, from all pairs. `None` with fewer than two vectors on a side,
/// or as [`Fourier::new`] and [`bandwidth`].
pub fn exact(reference: &[f32], current: &[f32], width: usize, bandwidth: f64) -> Option<f64> {
    let (reference, current) = (columns(reference, width)?, columns(current, width)?);
    let (n, m) = (reference.ncols() as f64, current.ncols() as f64);
    (n > 1.0 && m > 1.0 && bandwidth > 0.0).then_some(())?;
    let kernel = |a, b| distances(a, b).iter().map(|d| (-d / bandwidth).exp()).sum::<f64>();
    let within = |side, n: f64| (kernel(side, side) - n) / (n * (n - 1.0));
    let value = within(reference, n) + within(current, m) - 2.0 * kernel(reference, current) / (n * m);
    value.is_finite().then_some(value)
}

/// The squared distances of all pairs, never negative and exactly 0 for equal vectors.
fn distances(a: DMatrixView<'_, f32>, b: DMatrixView<'_, f32>) -> DMatrix<f64> {
    let one = |i: usize, j: usize| {
        let pairs = a.column(i).iter().zip(b.column(j).iter()).map(|(a, b)| f64::from(*a) - f64::from(*b)).collect::<Vec<_>>();
        pairs.iter().map(|d| d * d).sum()
    };
    DMatrix::from_fn(a.ncols(), b.ncols(), one)
}

/// Compares sums of blocks of `rows` rows each, [`FEATURES`] a block. `None` when a side has fewer than two rows, or sums that are no
/// whole blocks or not finite.
pub fn discrepancy(reference: &[f32], current: &[f32], rows: usize, seed: u64) -> Option<Discrepancy> {
    let shuffle = Shuffle::of(reference, current, rows)?;
    let seen = shuffle.value(&shuffle.seen());
    // Choices that are the one seen, or its equal, count as far apart as it whatever rounding says.
    let bar = seen - 1e-9 - seen.abs() * 1e-5;
    let mut rng = Rng::new(seed);
    let mut order: Vec<usize> = (0..shuffle.blocks()).collect();
    let (mut tried, mut hits) = (0, 0);
    while tried < MOST_PERMUTATIONS && hits < ENOUGH {
        for value in shuffle.values(&mut order, BATCH.min(MOST_PERMUTATIONS - tried), &mut rng) {
            tried += 1;
            hits += usize::from(value >= bar);
            if hits == ENOUGH {
                break;
            }
        }
    }
    let p_value = if hits == ENOUGH { hits as f64 / tried as f64 } else { (hits as f64 + 1.0) / (tried as f64 + 1.0) };
    let side = |blocks: usize| (blocks * rows) as u64;
    let current = current.len() / FEATURES;
    seen.is_finite().then_some(Discrepancy {
        value: seen,
        p_value: p_value.min(1.0),
        permutations: tried,
        rows: (side(shuffle.blocks() - current), side(current)),
    })
}

/// Blocks of both sides, to be dealt anew.
struct Shuffle {
    /// The sum of each block less what it is on average: one column a block, those of the current data last.
    sums: DMatrix<f32>,
    /// The sum of the squared lengths of each block's rows, about the average likewise.
    lengths: Vec<f64>,
    /// How many blocks are dealt: those of the side that has fewer.
    dealt: usize,
    /// Whether that is the reference.
    reference_dealt: bool,
    rows: usize,
}

/// What the discrepancy needs of a choice of blocks.
struct Choice {
    square: f64,
    lengths: f64,
}

impl Shuffle {
    fn of(reference: &[f32], current: &[f32], rows: usize) -> Option<Self> {
        let (r, c) = (columns(reference, FEATURES)?, columns(current, FEATURES)?);
        let dealt = r.ncols().min(c.ncols());
        (dealt * rows > 1).then_some(())?;
        let all = r.column_iter().chain(c.column_iter()).map(|column| column.map(f64::from));
        let sums = DMatrix::from_columns(&all.collect::<Vec<_>>());
        let average = sums.column_mean();
        // Σ |φ − g|² of a block's rows with |φ| = 1, g the average of a row.
        let row = &average / rows as f64;
        let of_block = |sum| rows as f64 * (1.0 + row.norm_squared()) - 2.0 * row.dot(&sum);
        let lengths = sums.column_iter().map(|sum| of_block(sum.into_owned())).collect();
        let mut sums = sums;
        sums.column_iter_mut().for_each(|mut column| column -= &average);
        Some(Self { sums: sums.map(|v| v as f32), lengths, dealt, reference_dealt: r.ncols() < c.ncols(), rows })
    }

    fn blocks(&self) -> usize {
        self.sums.ncols()
    }

    /// The choice that was seen.
    fn seen(&self) -> Choice {
        let from = if self.reference_dealt { 0 } else { self.blocks() - self.dealt };
        let square = self.sums.columns(from, self.dealt).map(f64::from).column_sum().norm_squared();
        Choice { square, lengths: self.lengths[from..from + self.dealt].iter().sum() }
    }

    /// The discrepancy of the blocks of a choice from all others. About the average the sums of both sides cancel, so one tells both.
    fn value(&self, choice: &Choice) -> f64 {
        let m = (self.dealt * self.rows) as f64;
        let n = ((self.blocks() - self.dealt) * self.rows) as f64;
        let others = self.lengths.iter().sum::<f64>() - choice.lengths;
        (choice.square - choice.lengths) / (m * (m - 1.0))
            + (choice.square - others) / (n * (n - 1.0))
            + 2.0 * choice.square / (n * m)
    }

    /// The discrepancies of so many random choices.
    fn values(&self, order: &mut [usize], choices: usize, rng: &mut Rng) -> Vec<f64> {
        let mut chosen = DMatrix::<f32>::zeros(self.blocks(), choices);
        let mut lengths = Vec::with_capacity(choices);
        for mut column in chosen.column_iter_mut() {
            rng.draw(order, self.dealt);
            order[..self.dealt].iter().for_each(|block| column[*block] = 1.0);
            lengths.push(order[..self.dealt].iter().map(|block| self.lengths[*block]).sum());
        }
        let sums = &self.sums * chosen;
        let square = |column: &[f32]| column.iter().map(|v| f64::from(*v).powi(2)).sum();
        let columns = sums.as_slice().chunks(FEATURES).map(square);
        columns.zip(lengths).map(|(square, lengths)| self.value(&Choice { square, lengths })).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::vectors::{cloud_rows, near};

    fn floats(values: &[f64]) -> Vec<f32> {
        values.iter().map(|v| *v as f32).collect()
    }

    fn draws(rng: &mut Rng, rows: usize, width: usize, shift: f64) -> Vec<f32> {
        (0..rows * width).map(|_| (rng.normal() + shift) as f32).collect()
    }

    /// The sums of blocks of `rows` rows.
    fn blocks(fourier: &Fourier, vectors: &[f32], rows: usize) -> Vec<f32> {
        dealt(&fourier.features(vectors).expect("vectors"), rows, 3)
    }

    /// numpy 2.4.6 from the formulas.
    #[test]
    fn bandwidth_and_exact_discrepancy_agree_with_numpy() {
        for row in cloud_rows("mmd") {
            let (width, a, b) = (row.u64("width") as usize, floats(&row.list("a")), floats(&row.list("b")));
            let s = bandwidth(&a, width);
            near(s, row.f64("bandwidth"), 1e-9, "bandwidth");
            near(exact(&a, &b, width, s.expect("vectors differ")), row.f64("mmd"), 1e-7, "discrepancy");
        }
    }

    /// The error of 512 features on samples whose pairs' errors cancel, over several seeds of the features.
    #[test]
    fn features_come_near_the_exact_discrepancy() {
        let (width, mut rng) = (16, Rng::new(2));
        let (a, b) = (draws(&mut rng, 300, width, 0.0), draws(&mut rng, 200, width, 0.25));
        let s = bandwidth(&a[..100 * width], width).expect("vectors differ");
        let want = exact(&a, &b, width, s).expect("a discrepancy");
        for seed in 0..2 {
            let fourier = Fourier::new(width, s, seed).expect("features");
            let (r, c) = (blocks(&fourier, &a, 2), blocks(&fourier, &b, 2));
            let got = discrepancy(&r, &c, 2, 1).expect("a discrepancy");
            assert!((got.value / want - 1.0).abs() < 0.15, "{got:?} is not about {want}");
            assert_eq!((got.rows, got.permutations, got.p_value), ((300, 200), MOST_PERMUTATIONS, 1e-4));
            let turned = discrepancy(&c, &r, 2, 1).expect("a discrepancy");
            assert!((turned.value - got.value).abs() < 1e-9, "both sides alike");
        }
    }

    /// Without drift the chance is uniform, for few rows and skewed distributions too: of 100 seeds more than 13 are below 0.05 once in
    /// a thousand, and those below 0.5 outside of 34..=66.
    #[test]
    fn chances_hold_without_drift() {
        for (n, m, rows) in [(60, 40, 1), (200, 30, 5)] {
            let p: Vec<f64> = (0..100)
                .map(|seed| {
                    let mut rng = Rng::new(1_000 + seed);
                    let mut side = |rows| (0..rows * 3).map(|_| rng.normal().exp() as f32).collect::<Vec<f32>>();
                    let (a, b) = (side(n), side(m));
                    let fourier = Fourier::new(3, 4.0, 7).expect("features");
                    discrepancy(&blocks(&fourier, &a, rows), &blocks(&fourier, &b, rows), rows, seed).expect("rows").p_value
                })
                .collect();
            let below = |bar: f64| p.iter().filter(|p| **p < bar).count();
            assert!(below(0.05) <= 13 && (34..=66).contains(&below(0.5)), "{} {}", below(0.05), below(0.5));
        }
    }

    /// With one block of many there are only as many choices, and the chance is never below one of them.
    #[test]
    fn few_choices_make_no_small_chance() {
        let (width, mut rng) = (2, Rng::new(3));
        let fourier = Fourier::new(width, 2.0, 1).expect("features");
        let (a, b) = (draws(&mut rng, 90, width, 0.0), draws(&mut rng, 10, width, 9.0));
        let got = discrepancy(&blocks(&fourier, &a, 10), &blocks(&fourier, &b, 10), 10, 1).expect("blocks");
        assert!((got.p_value - 0.1).abs() < 0.04, "{got:?}");
    }

    #[test]
    fn what_cannot_be_had_is_none() {
        assert!([0.0, -1.0, f64::NAN, f64::INFINITY, 1e-320].iter().all(|s| Fourier::new(2, *s, 0).is_none()));
        assert!(Fourier::new(0, 1.0, 0).is_none() && bandwidth(&[1.0, 1.0], 1).is_none() && bandwidth(&[1.0], 2).is_none());
        assert!(exact(&[1.0], &[1.0, 2.0], 1, 1.0).is_none() && exact(&[1.0, 2.0], &[1.0, 2.0], 1, 0.0).is_none());
        let one = [0.5f32; FEATURES];
        assert!(discrepancy(&one, &one, 1, 0).is_none() && discrepancy(&one[1..], &one, 2, 0).is_none());
        assert!(discrepancy(&one, &[f32::NAN; FEATURES], 2, 0).is_none() && discrepancy(&one, &[], 2, 0).is_none());
        let fourier = Fourier::new(1, 1.0, 0).expect("features");
        assert!(fourier.features(&[]).is_some_and(|f| f.is_empty()));
        assert!(Fourier::new(2, 1.0, 0).is_some_and(|f| f.features(&[1.0]).is_none()));
        assert!(dealt(&one, 0, 0).is_empty() && dealt(&one, 2, 0).is_empty() && dealt(&one, 1, 0) == one);
    }
}
