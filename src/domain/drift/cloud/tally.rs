//! The second reading: vectors of one side counted in the frame of the reference.

use super::near::{Near, offer};
use super::profile::{Counted, Parts};
use super::{BLOCKS, CHUNK, CURRENT_BLOCKS, CloudProfile, Frame, ROWS_MOST, Refused, drawn, fit, seeds};
use crate::domain::drift::bins::Histogram;
use crate::domain::drift::profile::Numeric;
use crate::stats::cloud::{Centre, Cloud};
use crate::stats::components::Projected;
use crate::stats::fourier::{FEATURES, Fourier, dealt};

/// Vectors being counted.
#[derive(Clone, Debug)]
pub struct Tally {
    /// What was counted; distances, blocks and the rows they need are still apart.
    parts: Parts,
    fourier: Option<Fourier>,
    /// Of the current data: the cells of the reference's distances.
    edges: Option<[Vec<f64>; 2]>,
    /// The share of all rows whose kernel features are kept, and those.
    share: f64,
    features: Vec<f32>,
    from_mean: Vec<Option<f64>>,
    outside: Vec<Option<f64>>,
}

impl Tally {
    /// The reference of about `rows` rows, which the frame was made from, read again from its first row.
    pub fn reference(frame: Frame, rows: u64) -> Self {
        Self::new(frame, ROWS_MOST as f64 / rows.max(1) as f64, 0, None)
    }

    /// About `rows` current rows, to be compared with a reference.
    ///
    /// # Errors
    /// [`Refused::Model`] when both sides tell what made their vectors and it differs.
    pub fn current(reference: &CloudProfile, rows: u64, model: Option<&str>) -> Result<Self, Refused> {
        let of = &reference.0;
        if let Some((reference, current)) = of.frame.model().zip(model).filter(|(a, b)| a != b) {
            return Err(Refused::Model { reference: reference.to_owned(), current: current.to_owned() });
        }
        let most = ROWS_MOST.min(CURRENT_BLOCKS.saturating_mul(of.block as u64));
        let edges = [&of.from_mean, &of.outside].map(|side| side.histogram().edges().to_vec());
        Ok(Self::new(of.frame.clone(), most as f64 / rows.max(1) as f64, of.block, Some(edges)))
    }

    fn new(frame: Frame, share: f64, block: usize, edges: Option<[Vec<f64>; 2]>) -> Self {
        let nothing = || Numeric::of([], Some(&[])).expect("no edges are in order");
        let clusters = frame.clusters();
        let parts = Parts {
            counted: Counted::default(),
            measured: 0,
            centre: None,
            cloud: None,
            along: frame.edges.iter().filter_map(|edges| Histogram::empty(edges.clone())).collect(),
            clusters: vec![0; clusters],
            from_mean: nothing(),
            outside: nothing(),
            novel: 0,
            block,
            blocks: Vec::new(),
            near: vec![Vec::new(); clusters],
            farthest: Vec::new(),
            frame,
        };
        let fourier = parts.frame.fourier();
        Self { parts, fourier, edges, share, features: Vec::new(), from_mean: Vec::new(), outside: Vec::new() }
    }

    /// The next rows: `width` numbers each, and which are there.
    ///
    /// # Errors
    /// [`Refused::Width`], [`Refused::Ragged`], [`Refused::Overflow`].
    pub fn add(&mut self, width: usize, values: &[f32], present: &[bool]) -> Result<(), Refused> {
        fit::matching(self.parts.frame.width(), width, values, present)?;
        for (values, present) in values.chunks(CHUNK * width).zip(present.chunks(CHUNK)) {
            self.chunk(values, present).ok_or(Refused::Overflow)?;
        }
        Ok(())
    }

    fn chunk(&mut self, values: &[f32], present: &[bool]) -> Option<()> {
        let first = self.parts.counted.rows();
        let usable = self.parts.frame.usable(first, values, present, &mut self.parts.counted);
        if usable.rows.is_empty() {
            return Some(());
        }
        let (width, seed) = (self.parts.frame.width(), self.parts.frame.seed);
        let centre = Centre::of(&usable.centred, width)?;
        self.parts.centre = Some(match &self.parts.centre {
            Some(before) => before.merged(&centre)?,
            None => centre,
        });
        if let Some(fourier) = &self.fourier {
            let sampled = usable.only(width, |row| drawn(row, seed ^ seeds::SAMPLE, self.share));
            self.features.extend(fourier.features(&sampled.centred)?);
        }
        let is_reference = self.edges.is_none();
        let frame = &self.parts.frame;
        let fresh = usable.only(width, |row| !is_reference || !frame.fitted(row));
        if fresh.rows.is_empty() { Some(()) } else { self.measure(&fresh) }
    }

    /// Counts rows that are new to the frame.
    fn measure(&mut self, fresh: &fit::Usable) -> Option<()> {
        let parts = &mut self.parts;
        let projected = parts.frame.basis.projected(&fresh.centred)?;
        let size = parts.frame.basis.components.len();
        if size > 0 {
            let cloud = Cloud::of(&projected.along, size)?;
            parts.cloud = Some(match &parts.cloud {
                Some(before) => before.merged(&cloud)?,
                None => cloud,
            });
            for row in projected.along.chunks(size) {
                parts.along.iter_mut().zip(row).for_each(|(cells, along)| cells.add(*along));
            }
        }
        let Projected { from_mean, outside, .. } = &projected;
        self.from_mean.extend(from_mean.iter().map(|square| Some(square.sqrt())));
        self.outside.extend(outside.iter().map(|square| Some(square.sqrt())));
        for ((cluster, distance), row) in parts.frame.placed(&projected)?.into_iter().zip(&fresh.rows) {
            let near = Near { row: *row, distance, text: None };
            parts.measured += 1;
            parts.clusters[cluster] += 1;
            parts.novel += u64::from(distance > parts.frame.novel);
            offer(&mut parts.near[cluster], &near, false);
            offer(&mut parts.farthest, &near, true);
        }
        Some(())
    }

    /// What was counted.
    pub fn profile(self) -> CloudProfile {
        let Self { mut parts, edges, features, from_mean, outside, .. } = self;
        let numeric = |values, side: usize| {
            let edges = edges.as_ref().map(|edges| edges[side].as_slice());
            Numeric::of(values, edges).expect("the edges of a profile are in order")
        };
        parts.from_mean = numeric(from_mean, 0);
        parts.outside = numeric(outside, 1);
        let rows = features.len() / FEATURES;
        if edges.is_none() {
            parts.block = rows.div_ceil(BLOCKS).max(1);
        }
        parts.blocks = dealt(&features, parts.block, parts.frame.seed ^ seeds::BLOCKS);
        parts.blocks.truncate(BLOCKS.max(CURRENT_BLOCKS as usize) * FEATURES);
        CloudProfile(parts)
    }
}

impl fit::Usable {
    /// Those rows of it that are chosen by their number.
    fn only(&self, width: usize, chosen: impl Fn(u64) -> bool) -> Self {
        let kept = self.rows.iter().zip(self.centred.chunks(width)).filter(|(row, _)| chosen(**row));
        let (rows, vectors): (Vec<u64>, Vec<&[f32]>) = kept.map(|(row, vector)| (*row, vector)).unzip();
        Self { rows, centred: vectors.concat() }
    }
}
