//! Which of the current vectors make the difference: those that lie in the direction in which the mean went.
//!
//! The difference of the means is the witness of the discrepancy for a linear kernel (Gretton et al. 2012, section 2.3): rows with a large
//! inner product with it are those of which there are more than there were.

use super::CHUNK;
use super::CloudProfile;
use super::profile::Counted;

/// A vector beside the difference of the means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Leaning {
    /// Its place among those given, from 0.
    pub place: usize,
    /// Its cluster, from 0.
    pub cluster: usize,
    /// Its inner product with the difference, less that of the reference's mean; in the vectors' unit squared.
    pub along: f64,
}

/// How far vectors of the current data, one after the other, lie in the direction in which their mean went; those that cannot be used are
/// left out. `None` when a side has none, or their width is another.
pub fn leaning(reference: &CloudProfile, current: &CloudProfile, vectors: &[f32]) -> Option<Vec<Leaning>> {
    let (frame, width) = (reference.frame(), reference.frame().width());
    let (before, now) = reference.0.centre.as_ref().zip(current.0.centre.as_ref())?;
    let went: Vec<f64> = before.mean.iter().zip(&now.mean).map(|(before, now)| now - before).collect();
    (vectors.len().is_multiple_of(width) && went.len() == width).then_some(())?;
    let start: f64 = before.mean.iter().zip(&went).map(|(mean, went)| mean * went).sum();
    let mut all = Vec::new();
    for (at, chunk) in vectors.chunks(CHUNK * width).enumerate() {
        let present = vec![true; chunk.len() / width];
        let usable = frame.usable((at * CHUNK) as u64, chunk, &present, &mut Counted::default());
        if usable.rows.is_empty() {
            continue;
        }
        let placed = frame.placed(&frame.basis.projected(&usable.centred)?)?;
        for ((row, vector), (cluster, _)) in usable.rows.iter().zip(usable.centred.chunks(width)).zip(placed) {
            let along = vector.iter().zip(&went).map(|(v, went)| f64::from(*v) * went).sum::<f64>() - start;
            all.push(Leaning { place: *row as usize, cluster, along });
        }
    }
    Some(all)
}
