//! Clusters of vectors: k-means++ (Arthur and Vassilvitskii 2007) and Lloyd's iteration, the same for the same seed.

use super::components::columns;
use super::rng::Rng;
use nalgebra::DMatrix;

/// Steps of Lloyd's iteration after which it ends although rows still change sides.
const STEPS: usize = 100;

/// Centres of clusters. Invariant: at least one, all of one width.
#[derive(Clone, Debug, PartialEq)]
pub struct Clusters {
    /// The mean of the rows of each.
    pub centres: Vec<Vec<f64>>,
    /// The sum of the squared distances of all rows from the nearest centre, in their unit squared.
    pub inertia: f64,
}

/// At most `most` clusters of rows of `width` numbers that lie one after the other, fewer when fewer rows differ. `None` for no
/// rows, a rest, numbers that are not finite, or no clusters asked for.
pub fn k_means(rows: &[f64], width: usize, most: usize, seed: u64) -> Option<Clusters> {
    if rows.is_empty() || most == 0 || !rows.iter().all(|v| v.is_finite()) {
        return None;
    }
    columns(rows, width)?;
    lloyd(rows, spread_out(rows, width, most, &mut Rng::new(seed)))
}

/// Lloyd's iteration from the centres given, until no row changes sides. `None` as [`k_means`], or for centres of another width.
pub fn lloyd(rows: &[f64], mut centres: Vec<Vec<f64>>) -> Option<Clusters> {
    let width = centres.first()?.len();
    let data = columns(rows, width).filter(|_| centres.iter().all(|c| c.len() == width))?;
    let mut sides: Vec<usize> = Vec::new();
    for _ in 0..STEPS {
        let now: Vec<usize> = nearest(&centres, rows)?.into_iter().map(|(side, _)| side).collect();
        if now == sides {
            break;
        }
        sides = now;
        let mut held = vec![0u32; centres.len()];
        let mut sums = vec![vec![0.0; width]; centres.len()];
        for (row, side) in data.column_iter().zip(&sides) {
            held[*side] += 1;
            sums[*side].iter_mut().zip(row.iter()).for_each(|(sum, v)| *sum += v);
        }
        for ((centre, sum), held) in centres.iter_mut().zip(sums).zip(held).filter(|(_, held)| *held > 0) {
            *centre = sum.into_iter().map(|v| v / f64::from(held)).collect();
        }
    }
    let inertia = nearest(&centres, rows)?.into_iter().map(|(_, distance)| distance).sum::<f64>();
    inertia.is_finite().then_some(Clusters { centres, inertia })
}

/// For each row the nearest centre and the squared distance from it, in the unit of the rows squared. `None` when rows and centres
/// differ in width or there are no centres.
pub fn nearest(centres: &[Vec<f64>], rows: &[f64]) -> Option<Vec<(usize, f64)>> {
    let width = centres.first()?.len();
    let data = columns(rows, width).filter(|_| centres.iter().all(|c| c.len() == width))?;
    let table = DMatrix::from_row_iterator(centres.len(), width, centres.iter().flatten().copied());
    let half: Vec<f64> = centres.iter().map(|c| c.iter().map(|v| v * v).sum::<f64>() / 2.0).collect();
    let products = table * data;
    let of_row = |(at, products): (usize, &[f64])| {
        // |x − c|² is least where x·c − |c|²/2 is greatest.
        let gain = |i: &usize| products[*i] - half[*i];
        let side = (0..centres.len()).reduce(|best, i| if gain(&i) > gain(&best) { i } else { best }).unwrap_or(0);
        (side, apart(&rows[at * width..(at + 1) * width], &centres[side]))
    };
    Some(products.as_slice().chunks(centres.len()).enumerate().map(of_row).collect())
}

/// Rows far from each other to begin with: each drawn with a chance in proportion to its squared distance from those before it.
fn spread_out(rows: &[f64], width: usize, most: usize, rng: &mut Rng) -> Vec<Vec<f64>> {
    let row = |i: usize| &rows[i * width..(i + 1) * width];
    let count = rows.len() / width;
    let mut centres = vec![row(rng.below(count)).to_vec()];
    let mut distances = vec![f64::INFINITY; count];
    while centres.len() < most {
        let last = &centres[centres.len() - 1];
        distances.iter_mut().enumerate().for_each(|(i, d)| *d = d.min(apart(row(i), last)));
        let mut left = distances.iter().sum::<f64>() * rng.unit();
        // Rows that are a centre already have no weight; with none left, all rows are centres.
        let weighted = distances.iter().enumerate().filter(|(_, d)| **d > 0.0);
        let mut chosen = None;
        for (i, distance) in weighted {
            chosen = Some(i);
            left -= distance;
            if left <= 0.0 {
                break;
            }
        }
        match chosen {
            Some(i) => centres.push(row(i).to_vec()),
            None => break,
        }
    }
    centres
}

fn apart(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::vectors::{cloud_rows, near};

    /// scikit-learn 1.9.1 `KMeans(init=…, n_init=1, algorithm="lloyd", tol=0)` from the same centres, and the best of ten of its own.
    #[test]
    fn clusters_agree_with_scikit_learn() {
        for row in cloud_rows("kmeans") {
            let (width, rows, k) = (row.u64("width") as usize, row.list("rows"), row.u64("k") as usize);
            let start = rows[..k * width].chunks(width).map(<[f64]>::to_vec).collect();
            near(lloyd(&rows, start).map(|c| c.inertia), row.f64("inertia"), 1e-9, "inertia");
            let best = (0..10).filter_map(|seed| k_means(&rows, width, k, seed)).map(|c| c.inertia).reduce(f64::min);
            near(best, row.f64("best"), 0.01, "the best of ten");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_clusters() {
        let rows: Vec<f64> = (0..300).map(|i| f64::from((i * i) % 41)).collect();
        assert_eq!(k_means(&rows, 3, 4, 9), k_means(&rows, 3, 4, 9));
    }

    #[test]
    fn rows_that_are_alike_make_few_clusters() {
        let rows = [1.0, 1.0, 5.0, 5.0, 1.0, 1.0];
        let got = k_means(&rows, 2, 32, 0).expect("clusters");
        assert_eq!((got.centres.len(), got.inertia), (2, 0.0));
        assert_eq!(nearest(&got.centres, &[4.0, 5.0]).map(|n| n[0].1), Some(1.0));
    }

    #[test]
    fn what_cannot_be_had_is_none() {
        assert!(k_means(&[], 2, 3, 0).is_none() && k_means(&[1.0], 2, 3, 0).is_none() && k_means(&[1.0], 1, 0, 0).is_none());
        assert!(k_means(&[f64::NAN], 1, 1, 0).is_none() && lloyd(&[1.0, 2.0], vec![vec![1.0, 2.0], vec![1.0]]).is_none());
        assert!(nearest(&[], &[1.0]).is_none() && nearest(&[vec![1.0]], &[]).is_some_and(|n| n.is_empty()));
    }
}
