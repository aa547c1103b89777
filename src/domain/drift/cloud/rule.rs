//! What the figures of vectors amount to: two rules, each an answer with the numbers it rests on.
//!
//! [`calibrated`] calls drift when the discrepancy, adjusted in its family of tests, is unlikely without drift and an effect that a
//! person can read passes its limit. [`specified`] is the rule KL > 0.15 or PSI > 0.2, which says nothing of the number of rows: it
//! comes with the chance that each passes its limit without drift, so that the same can be asked of what passes by chance.

use super::compare::Figures;
use crate::stats::tail::chi_squared;

/// From where on something counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// The adjusted chance of the discrepancy without drift, below which there is one.
    pub q: f64,
    /// The divergence of Gaussians less its bias, in nats.
    pub divergence: f64,
    /// A stability index.
    pub psi: f64,
    /// The current mean squared distance from the components over the reference's.
    pub reconstruction: f64,
    /// By how much the share of novel rows may grow.
    pub novelty: f64,
    /// The chance without drift above which an effect is none, whatever its size: divided among the components.
    pub chance: f64,
}

impl Default for Limits {
    /// q 0.01; the specification's KL of 0.15 and PSI of 0.2, which are a shift of half a standard deviation; a quarter more outside of the
    /// components and five more novel rows of a hundred, which are ours; an effect is one above the 99.9 % it reaches without drift.
    fn default() -> Self {
        Self { q: 0.01, divergence: 0.15, psi: 0.2, reconstruction: 1.25, novelty: 0.05, chance: 0.001 }
    }
}

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The divergence of Gaussians along the leading components, less its bias.
    Divergence,
    /// The stability index over clusters.
    Clusters,
    /// The largest stability index along a component.
    Component,
    /// The mean of the stability indexes along the components.
    Components,
    /// The stability index of distances from the mean.
    FromMean,
    /// The stability index of distances from the components.
    Outside,
    /// The current mean squared distance from the components over the reference's.
    Reconstruction,
    /// By how much the share of novel rows grew.
    Novelty,
}

/// One effect beside its limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    /// What was measured.
    pub effect: Effect,
    /// What it is.
    pub value: f64,
    /// What it must be above.
    pub limit: f64,
    /// The chance of a value this large without drift.
    pub p_value: f64,
    /// The chance of one above the limit without drift at these numbers of rows, by the law of the effect, which for
    /// [`Effect::Divergence`] holds for normal vectors; `None` where there is no such law.
    pub false_alarms: Option<f64>,
    /// Whether the rule takes it as passed.
    pub passed: bool,
}

/// The answer of a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Ruling {
    /// Whether there is drift; `None` when what it rests on could not be had.
    pub drifted: Option<bool>,
    /// The adjusted chance of the discrepancy; `None` for a rule that does not ask for it.
    pub q: Option<f64>,
    /// The effects that could be had.
    pub effects: Vec<Found>,
}

/// Drift when the discrepancy's adjusted chance `q` is below its limit and an effect passes its own and is unlikely without drift. `q` is
/// `None` when there is no discrepancy; then nothing is decided.
pub fn calibrated(figures: &Figures, q: Option<f64>, limits: &Limits) -> Ruling {
    let effects = effects(figures, limits);
    let drifted = q.filter(|q| !q.is_nan()).map(|q| q < limits.q && effects.iter().any(|found| found.passed));
    Ruling { drifted, q, effects }
}

/// Drift when the divergence or a stability index (of clusters, or the mean of the components') passes its limit, taken literally: with
/// its bias, and however likely that is without drift. `None` when neither can be had.
pub fn specified(figures: &Figures, limits: &Limits) -> Ruling {
    let asked = |found: &Found| matches!(found.effect, Effect::Divergence | Effect::Clusters | Effect::Components);
    let mut effects: Vec<Found> = effects(figures, limits).into_iter().filter(asked).collect();
    for found in &mut effects {
        if let (Effect::Divergence, Some(gaussian)) = (found.effect, &figures.gaussian) {
            found.value = gaussian.divergence.value;
        }
        found.passed = found.value > found.limit;
    }
    let drifted = (!effects.is_empty()).then(|| effects.iter().any(|found| found.passed));
    Ruling { drifted, q: None, effects }
}

/// Every effect that could be had.
fn effects(figures: &Figures, limits: &Limits) -> Vec<Found> {
    let spread = 1.0 / figures.measured.0 as f64 + 1.0 / figures.measured.1 as f64;
    // The chance that indexes with so many degrees of freedom together pass the limit together.
    let above = |limit: f64, degrees: f64| if degrees > 0.0 { chi_squared(limit / spread, degrees) } else { Some(0.0) };
    let found = |effect, value: f64, limit: f64, p_value: f64, false_alarms: Option<f64>| {
        let passed = value > limit && p_value < limits.chance;
        Found { effect, value, limit, p_value, false_alarms, passed }
    };
    let gaussian = figures.gaussian.as_ref().map(|g| {
        let degrees = g.dimensions as f64 * (g.dimensions as f64 + 3.0) / 2.0;
        found(Effect::Divergence, g.value, limits.divergence, g.p_value, above(2.0 * limits.divergence, degrees))
    });
    let psi = |effect, psi: &crate::stats::divergence::Psi| {
        found(effect, psi.value, limits.psi, psi.p_value, above(limits.psi, psi.cells as f64 - 1.0))
    };
    let components = figures.components.as_ref();
    let largest = components.map(|c| {
        let largest = &c.each[c.largest];
        let among = c.each.len() as f64;
        let one = above(limits.psi, largest.cells as f64 - 1.0);
        // Of many that are looked at, the largest.
        let any = one.map(|p| 1.0 - (1.0 - p).powf(among));
        found(Effect::Component, largest.value, limits.psi, (largest.p_value * among).min(1.0), any)
    });
    let mean = components.map(|c| {
        let degrees: f64 = c.each.iter().map(|psi| psi.cells as f64 - 1.0).sum();
        found(Effect::Components, c.mean, limits.psi, c.mean_p_value, above(limits.psi * c.each.len() as f64, degrees))
    });
    let distances = [(Effect::FromMean, &figures.from_mean), (Effect::Outside, &figures.outside)];
    let distances = distances.into_iter().filter_map(|(effect, numbers)| Some(psi(effect, &numbers.cells.as_ref()?.psi)));
    let reconstruction = figures.reconstruction.zip(figures.outside.smirnov);
    let reconstruction =
        reconstruction.map(|(ratio, smirnov)| found(Effect::Reconstruction, ratio, limits.reconstruction, smirnov.p_value, None));
    let novelty = figures.novelty.map(|n| found(Effect::Novelty, n.difference, limits.novelty, n.p_value, None));
    let clusters = figures.clusters.as_ref().map(|c| psi(Effect::Clusters, &c.psi));
    let all = [gaussian, clusters, largest, mean].into_iter().flatten();
    all.chain(distances).chain([reconstruction, novelty].into_iter().flatten()).collect()
}
