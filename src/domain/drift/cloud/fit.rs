//! The first reading of a reference: its frame, learnt from a seeded draw of its rows.

use super::profile::Counted;
use super::{
    CHUNK, CLUSTERS, COMPONENTS, NUMBERS_MOST, REACH, ROWS_A_CLUSTER, ROWS_LEAST, ROWS_MOST, Refused, WIDTH_MOST, drawn, packed,
    seeds,
};
use crate::domain::drift::bins;
use crate::stats::cloud::Cloud;
use crate::stats::components::{Basis, Projected};
use crate::stats::fourier::{Fourier, bandwidth};
use crate::stats::kmeans::{k_means, nearest};
use crate::stats::ordered::Ordered;
use serde::{Deserialize, Serialize};

/// The share of a small reference that its frame is learnt from.
const SHARE: f64 = 0.5;
/// Rows whose distances give the bandwidth of the kernel.
const BANDWIDTH_ROWS: usize = 300;
/// A component with less than this share of the variance of the first is rounding.
const NO_VARIANCE: f64 = 1e-10;
/// The share of the fit's rows that are nearer to a centre than what is called novel.
const USUAL: f64 = 0.99;

/// What a reference fixes: vectors of both sides are counted in it, so that neither moves it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Frame {
    pub(super) model: Option<String>,
    pub(super) seed: u64,
    /// The share of the reference's rows that it was learnt from.
    #[serde(with = "packed::one")]
    pub(super) share: f64,
    #[serde(with = "packed::basis")]
    pub(super) basis: Basis,
    /// In the coordinates of the components.
    #[serde(with = "packed::lists")]
    pub(super) centres: Vec<Vec<f64>>,
    /// Upper edges of the cells along each component.
    #[serde(with = "packed::lists")]
    pub(super) edges: Vec<Vec<f64>>,
    /// Rows farther than this from the nearest centre are novel; in the vectors' unit squared.
    #[serde(with = "packed::one")]
    pub(super) novel: f64,
    /// The spread of the kernel, in the vectors' unit squared; 0 when no two vectors differ.
    #[serde(with = "packed::one")]
    pub(super) bandwidth: f64,
    /// How far from the mean a vector is left where it is, in the vectors' unit.
    #[serde(with = "packed::one")]
    pub(super) reach: f64,
}

/// Rows of a chunk that can be used, row after row, less the mean; and where they stood.
pub(super) struct Usable {
    pub(super) centred: Vec<f32>,
    pub(super) rows: Vec<u64>,
}

/// A reference being read for the first time.
#[derive(Clone, Debug)]
pub struct Fit {
    width: usize,
    model: Option<String>,
    seed: u64,
    share: f64,
    seen: u64,
    vectors: Vec<f32>,
}

impl Fit {
    /// A reference of about `rows` vectors of `width` numbers, made by `model` where that is known; the same seed makes the same frame.
    ///
    /// # Errors
    /// [`Refused::Unusable`].
    pub fn new(width: usize, rows: u64, model: Option<&str>, seed: u64) -> Result<Self, Refused> {
        if !(1..=WIDTH_MOST).contains(&width) {
            return Err(Refused::Unusable { width });
        }
        let most = ROWS_MOST.min(NUMBERS_MOST / width as u64);
        let share = SHARE.min(most as f64 / rows.max(1) as f64);
        Ok(Self { width, model: model.map(str::to_owned), seed, share, seen: 0, vectors: Vec::new() })
    }

    /// The next rows: `width` numbers each, and which are there.
    ///
    /// # Errors
    /// [`Refused::Width`], [`Refused::Ragged`].
    pub fn add(&mut self, width: usize, values: &[f32], present: &[bool]) -> Result<(), Refused> {
        matching(self.width, width, values, present)?;
        for (row, there) in values.chunks(width).zip(present) {
            let usable = *there && usable(row);
            if drawn(self.seen, self.seed ^ seeds::FIT, self.share) && usable {
                self.vectors.extend_from_slice(row);
            }
            self.seen += 1;
        }
        Ok(())
    }

    /// The frame of what was read.
    ///
    /// # Errors
    /// [`Refused::TooFew`]; [`Refused::Overflow`].
    pub fn frame(self) -> Result<Frame, Refused> {
        let rows = self.vectors.len() / self.width;
        if rows < ROWS_LEAST {
            return Err(Refused::TooFew { usable: rows, least: ROWS_LEAST });
        }
        let cloud = whole(&self.vectors, self.width).ok_or(Refused::Overflow)?;
        let basis = components(&cloud).ok_or(Refused::Overflow)?;
        let projected = self.projected(&basis).ok_or(Refused::Overflow)?;
        let size = basis.components.len();
        let clusters = (rows / ROWS_A_CLUSTER).clamp(1, CLUSTERS);
        let centres = if size == 0 {
            vec![Vec::new()]
        } else {
            k_means(&projected.along, size, clusters, self.seed ^ seeds::CLUSTERS).ok_or(Refused::Overflow)?.centres
        };
        let from_centres = distances(&centres, &projected).ok_or(Refused::Overflow)?.into_iter().map(|(_, distance)| distance);
        let usual = Ordered::of(from_centres.collect()).and_then(|sample| sample.quantile(USUAL)).ok_or(Refused::Overflow)?;
        let along = |i: usize| projected.along.chunks(size).map(|row| row[i]).collect();
        let cells = |i: usize| Ordered::of(along(i)).map(|sample| bins::edges(&sample)).unwrap_or_default();
        let spread = projected.from_mean.iter().sum::<f64>() / rows as f64;
        let size_of_mean = basis.mean.iter().map(|v| v * v).sum::<f64>();
        let few = &self.vectors[..self.vectors.len().min(BANDWIDTH_ROWS * self.width)];
        Ok(Frame {
            edges: (0..size).map(cells).collect(),
            // A row that lies exactly on a centre of rows that are all alike is not novel for a rounding error.
            novel: usual + f64::EPSILON * (spread + size_of_mean),
            bandwidth: bandwidth(few, self.width).unwrap_or(0.0),
            reach: REACH * if spread > 0.0 { spread.sqrt() } else { size_of_mean.sqrt().max(1.0) },
            model: self.model,
            seed: self.seed,
            share: self.share,
            basis,
            centres,
        })
    }

    fn projected(&self, basis: &Basis) -> Option<Projected> {
        let mut all = Projected { along: Vec::new(), from_mean: Vec::new(), outside: Vec::new() };
        for chunk in self.vectors.chunks(CHUNK * self.width) {
            let centred: Vec<f64> = chunk.iter().enumerate().map(|(i, v)| f64::from(*v) - basis.mean[i % self.width]).collect();
            let part = basis.projected(&centred)?;
            all.along.extend(part.along);
            all.from_mean.extend(part.from_mean);
            all.outside.extend(part.outside);
        }
        Some(all)
    }
}

impl Frame {
    /// Numbers in a vector.
    pub fn width(&self) -> usize {
        self.basis.mean.len()
    }

    /// What made the vectors, where that is known.
    pub fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// Clusters that rows are counted in.
    pub fn clusters(&self) -> usize {
        self.centres.len()
    }

    /// The features of its kernel; `None` when no two vectors of the reference differ.
    pub(super) fn fourier(&self) -> Option<Fourier> {
        Fourier::new(self.width(), self.bandwidth, self.seed ^ seeds::FEATURES)
    }

    /// Whether a row of the reference was drawn for the fit.
    pub(super) fn fitted(&self, row: u64) -> bool {
        drawn(row, self.seed ^ seeds::FIT, self.share)
    }

    /// For each vector its cluster, and its squared distance from the centre.
    pub(super) fn placed(&self, projected: &Projected) -> Option<Vec<(usize, f64)>> {
        distances(&self.centres, projected)
    }

    /// The rows of a chunk that can be used, those too far off drawn in, all less the mean; what cannot is counted.
    pub(super) fn usable(&self, first: u64, values: &[f32], present: &[bool], counted: &mut Counted) -> Usable {
        let mut usable = Usable { centred: Vec::with_capacity(values.len()), rows: Vec::with_capacity(present.len()) };
        for ((row, there), number) in values.chunks(self.width()).zip(present).zip(first..) {
            if !counted.usable(row, *there) {
                continue;
            }
            let away = || row.iter().zip(&self.basis.mean).map(|(v, mean)| f64::from(*v) - mean);
            let distance = away().map(|v| v * v).sum::<f64>().sqrt();
            let scale = if distance > self.reach { self.reach / distance } else { 1.0 };
            counted.far += u64::from(scale < 1.0);
            usable.centred.extend(away().map(|v| (v * scale) as f32));
            usable.rows.push(number);
        }
        usable
    }
}

/// Whether a row is one vector of finite numbers that are not all 0.
pub(super) fn usable(row: &[f32]) -> bool {
    row.iter().all(|v| v.is_finite()) && row.iter().any(|v| *v != 0.0)
}

/// Whether rows are as they are said to be, and as the frame's.
pub(super) fn matching(reference: usize, width: usize, values: &[f32], present: &[bool]) -> Result<(), Refused> {
    if width != reference {
        return Err(Refused::Width { reference, current: width });
    }
    if values.len() == present.len() * width { Ok(()) } else { Err(Refused::Ragged) }
}

fn whole(vectors: &[f32], width: usize) -> Option<Cloud> {
    let mut chunks = vectors.chunks(CHUNK * width).map(|chunk| Cloud::of(chunk, width));
    let first = chunks.next()??;
    chunks.try_fold(first, |cloud, chunk| cloud.merged(&chunk?))
}

/// The leading components that vary.
fn components(cloud: &Cloud) -> Option<Basis> {
    let mut basis = Basis::of(cloud, COMPONENTS)?;
    // Rows that are all alike vary by rounding, in proportion to their size.
    let size = cloud.mean().iter().map(|v| v * v).sum::<f64>();
    let least = (NO_VARIANCE * basis.variances.first().copied().unwrap_or(0.0)).max(f64::EPSILON * f64::EPSILON * size);
    let vary = basis.variances.iter().take_while(|v| **v > least).count();
    basis.components.truncate(vary);
    basis.variances.truncate(vary);
    Some(basis)
}

fn distances(centres: &[Vec<f64>], projected: &Projected) -> Option<Vec<(usize, f64)>> {
    if centres.first()?.is_empty() {
        return Some(projected.outside.iter().map(|outside| (0, *outside)).collect());
    }
    let inside = nearest(centres, &projected.along)?;
    // What is outside of the components is as far from every centre.
    Some(inside.into_iter().zip(&projected.outside).map(|((cluster, within), outside)| (cluster, within + outside)).collect())
}
