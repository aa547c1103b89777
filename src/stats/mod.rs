//! Pure numerics on slices: no files, no thresholds, no verdicts.
//!
//! Contract of every function here: what goes in is finite. A statistic that cannot be had (too few values, a value that is
//! not finite, a sum beyond the range of `f64`) is `None`; no function returns NaN or an infinity, and none panics.

pub mod attempts;
pub mod auc;
pub mod beta;
pub mod bootstrap;
pub mod bounded;
pub mod cloud;
pub mod cluster;
pub mod clustered;
pub mod components;
pub mod contingency;
pub mod describe;
pub mod divergence;
pub mod evidence;
pub mod fisher;
pub mod fourier;
pub mod interval;
pub mod kmeans;
pub mod kolmogorov;
pub mod logistic;
pub mod moments;
pub mod multiplicity;
pub mod ordered;
pub mod paired;
pub mod posterior;
pub mod power;
pub mod rank;
pub mod rank_sum;
pub mod rng;
pub mod sequential;
pub mod smirnov;
pub mod split;
pub mod stream;
pub mod tail;
#[cfg(test)]
mod vectors;
pub mod wasserstein;
