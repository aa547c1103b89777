//! The figures of two columns of vectors, each with its rows and the chance of it without drift. No thresholds.
//!
//! Which law a chance rests on: cells and clusters the chi-squared law of their counts; the discrepancy blocks dealt anew, which holds for any
//! distribution; the centroid shift Satterthwaite's approximation; the divergence of Gaussians the chi-squared law of normal vectors only,
//! so it is too small for heavy tails. The discrepancy is the test to act on, the others say what moved.

use super::{CloudProfile, Refused, seeds};
use crate::domain::drift::compare::{Numbers, numbers};
use crate::stats::cloud::{self, Divergence, bias, centroid_shift, directions, divergence};
use crate::stats::contingency::{Contingency, Proportions, contingency, pool_rare, pooled, proportions};
use crate::stats::divergence::{Psi, psi};
use crate::stats::fourier::{Discrepancy, discrepancy};
use crate::stats::multiplicity::benjamini_hochberg;
use crate::stats::tail::chi_squared;

/// The most components of the divergence of Gaussians.
pub const GAUSSIAN_MOST: usize = 16;
/// It is taken along as many of them as leave it a bias below this, in nats.
pub const BIAS_MOST: f64 = 0.05;

/// All that is told of two columns of vectors. What needs more rows or a spread that is not there is `None`.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// Usable rows of the reference and of the current data: those of centroids and kernel.
    pub rows: (u64, u64),
    /// Rows of both that cells, clusters and distances are told of.
    pub measured: (u64, u64),
    /// The share of rows without a vector; `None` when a side has no rows.
    pub absent: Option<Proportions>,
    /// The share of rows with NaN or infinities.
    pub not_finite: Option<Proportions>,
    /// The share of rows that are all 0.
    pub zero: Option<Proportions>,
    /// Whether both sides come from one distribution, in whatever way they differ.
    pub discrepancy: Option<Discrepancy>,
    /// Along each component, in falling order of the reference's variance.
    pub components: Option<Components>,
    /// The divergence of the current from the reference as Gaussians along the leading components.
    pub gaussian: Option<Gaussian>,
    /// Which clusters grew and shrank.
    pub clusters: Option<Clusters>,
    /// Distances from the reference's mean.
    pub from_mean: Numbers,
    /// Distances from the space of the components: what the components cannot tell.
    pub outside: Numbers,
    /// The current mean squared distance from that space over the reference's; `None` when the reference lies in it.
    pub reconstruction: Option<f64>,
    /// The share of rows farther from every centre than 99 % of the rows the frame was fitted to.
    pub novelty: Option<Proportions>,
    /// How far the centroids are apart.
    pub centroid: Option<Shift>,
    /// 1 − the cosine of the centroids, 0 to 2. It means little where the vectors are centred; `None` where one is 0.
    pub cosine: Option<f64>,
}

/// Stability indexes along the components.
#[derive(Clone, Debug, PartialEq)]
pub struct Components {
    /// One for each.
    pub each: Vec<Psi>,
    /// Their mean.
    pub mean: f64,
    /// The chance of a mean this large without drift.
    pub mean_p_value: f64,
    /// Where the largest is.
    pub largest: usize,
    /// The chance of the least p-value among them without drift (Simes 1986).
    pub p_value: f64,
}

/// The divergence of Gaussians.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gaussian {
    /// Along how many components.
    pub dimensions: usize,
    /// The divergence, and what of it is bias.
    pub divergence: Divergence,
    /// The divergence less its bias, in nats; 0 when that is negative.
    pub value: f64,
    /// The chance of it without drift, if the vectors are normal.
    pub p_value: f64,
}

/// Rows by cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Clusters {
    /// Rows of the reference in each.
    pub reference: Vec<u64>,
    /// Rows of the current data in each.
    pub current: Vec<u64>,
    /// Over the clusters.
    pub psi: Psi,
    /// The test of their table, rare clusters pooled.
    pub contingency: Contingency,
}

/// How far centroids are apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shift {
    /// The squared distance over what it is without drift: about 1.
    pub value: f64,
    /// Directions that vary, as if alike.
    pub directions: f64,
    /// The chance of a shift this large without drift.
    pub p_value: f64,
}

impl Clusters {
    /// The clusters by how much they moved, the most first: number, and the current share minus the reference's.
    pub fn moved(&self) -> Vec<(usize, f64)> {
        let share = |counts: &[u64], i: usize| counts[i] as f64 / counts.iter().sum::<u64>() as f64;
        let mut order: Vec<usize> = (0..self.psi.terms.len()).collect();
        order.sort_by(|a, b| self.psi.terms[*b].total_cmp(&self.psi.terms[*a]));
        order.into_iter().map(|i| (i, share(&self.current, i) - share(&self.reference, i))).collect()
    }
}

/// Compares the current profile with the reference's, in whose frame it was counted.
///
/// # Errors
/// [`Refused::Frame`].
pub fn compare(reference: &CloudProfile, current: &CloudProfile) -> Result<Figures, Refused> {
    let (r, c) = (&reference.0, &current.0);
    if r.frame != c.frame || r.block != c.block {
        return Err(Refused::Frame);
    }
    let (from_mean, outside) = numbers(&r.from_mean, &c.from_mean).zip(numbers(&r.outside, &c.outside)).ok_or(Refused::Frame)?;
    let share = |of: fn(&CloudProfile) -> u64| {
        proportions((of(reference), reference.counted().rows()), (of(current), current.counted().rows()))
    };
    Ok(Figures {
        rows: (r.counted.usable, c.counted.usable),
        measured: (r.measured, c.measured),
        absent: share(|p| p.counted().absent),
        not_finite: share(|p| p.counted().not_finite),
        zero: share(|p| p.counted().zero),
        discrepancy: discrepancy(&r.blocks, &c.blocks, r.block, r.frame.seed ^ seeds::SHUFFLE),
        components: components(reference, current),
        gaussian: gaussian(reference, current),
        clusters: clusters(&r.clusters, &c.clusters),
        from_mean,
        outside,
        reconstruction: reconstruction(reference, current),
        novelty: proportions((r.novel, r.measured), (c.novel, c.measured)),
        centroid: shift(reference, current),
        cosine: cosine(reference, current),
    })
}

fn components(reference: &CloudProfile, current: &CloudProfile) -> Option<Components> {
    let pairs = reference.0.along.iter().zip(&current.0.along);
    let each = pairs.map(|(r, c)| psi(r.counts(), c.counts())).collect::<Option<Vec<Psi>>>()?;
    let largest = (0..each.len()).reduce(|best, i| if each[i].value > each[best].value { i } else { best })?;
    let p: Vec<f64> = each.iter().map(|psi| psi.p_value).collect();
    let sum = each.iter().map(|psi| psi.value).sum::<f64>();
    let degrees = each.iter().map(|psi| psi.cells as f64 - 1.0).sum::<f64>();
    let spread = 1.0 / reference.0.measured as f64 + 1.0 / current.0.measured as f64;
    Some(Components {
        mean: sum / each.len() as f64,
        mean_p_value: if degrees > 0.0 { chi_squared(sum / spread, degrees)? } else { 1.0 },
        largest,
        p_value: benjamini_hochberg(&p)?.into_iter().reduce(f64::min)?,
        each,
    })
}

fn gaussian(reference: &CloudProfile, current: &CloudProfile) -> Option<Gaussian> {
    let (r, c) = reference.0.cloud.as_ref().zip(current.0.cloud.as_ref())?;
    let sizes = (1..=GAUSSIAN_MOST.min(r.width())).rev();
    let dimensions = sizes.into_iter().find(|k| bias(*k, r.rows(), c.rows()) < BIAS_MOST)?;
    let divergence = divergence(&r.leading(dimensions)?, &c.leading(dimensions)?)?;
    // Without drift 2·KL/(1/n + 1/m) has k(k + 3)/2 degrees of freedom, whose mean makes the bias.
    let degrees = dimensions as f64 * (dimensions as f64 + 3.0) / 2.0;
    let p_value = chi_squared(divergence.value / divergence.bias * degrees, degrees)?;
    Some(Gaussian { dimensions, divergence, value: (divergence.value - divergence.bias).max(0.0), p_value })
}

fn clusters(reference: &[u64], current: &[u64]) -> Option<Clusters> {
    let rows = pool_rare(reference, current)?;
    Some(Clusters {
        psi: psi(reference, current)?,
        contingency: contingency(&pooled(reference, &rows), &pooled(current, &rows))?,
        reference: reference.to_vec(),
        current: current.to_vec(),
    })
}

fn reconstruction(reference: &CloudProfile, current: &CloudProfile) -> Option<f64> {
    let mean_square = |profile: &CloudProfile| {
        let moments = profile.0.outside.moments()?;
        Some(moments.mean * moments.mean + moments.squares / moments.rows as f64)
    };
    Some(mean_square(current)? / mean_square(reference)?).filter(|ratio| ratio.is_finite())
}

fn shift(reference: &CloudProfile, current: &CloudProfile) -> Option<Shift> {
    let (r, c) = reference.0.centre.as_ref().zip(current.0.centre.as_ref())?;
    let value = centroid_shift(r, c)?;
    let along = both_sides(reference.0.cloud.as_ref()?, current.0.cloud.as_ref()?)?;
    // The pooled variance that the components leave.
    let all = (r.squares + c.squares) / (r.rows as f64 + c.rows as f64 - 2.0);
    let rest = (all - along.variance()?).max(0.0);
    let directions = directions(along, rest, r.mean.len() - along.width())?;
    Some(Shift { value, directions, p_value: chi_squared(value * directions, directions)? })
}

/// The larger of both sides, whose variances stand for those of both.
fn both_sides<'a>(reference: &'a cloud::Cloud, current: &'a cloud::Cloud) -> Option<&'a cloud::Cloud> {
    let larger = if current.rows() > reference.rows() { current } else { reference };
    (larger.rows() > 1).then_some(larger)
}

fn cosine(reference: &CloudProfile, current: &CloudProfile) -> Option<f64> {
    let origin = &reference.0.frame.basis.mean;
    let mean = |profile: &CloudProfile| {
        let centre = profile.0.centre.as_ref()?;
        Some(centre.mean.iter().zip(origin).map(|(v, mean)| v + mean).collect::<Vec<f64>>())
    };
    let (r, c) = (mean(reference)?, mean(current)?);
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let cosine = product(&r, &c) / (product(&r, &r).sqrt() * product(&c, &c).sqrt());
    cosine.is_finite().then(|| (1.0 - cosine).clamp(0.0, 2.0))
}
