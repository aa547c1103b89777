//! Principal components of a cloud of vectors, and vectors in their coordinates.
//!
//! Up to [`WHOLE`] numbers a vector by the eigenvectors of the covariance; beyond, where those take minutes, the leading ones only, by
//! subspace iteration from a fixed random start (Halko, Martinsson and Tropp 2011, SIAM Review 53): exact where the variances
//! of components kept and left out differ, and a basis of nearly the same variance where they do not.

use super::cloud::Cloud;
use super::rng::Rng;
use nalgebra::{DMatrix, DMatrixView, SymmetricEigen};

/// The most numbers a vector may have for its covariance to be taken apart whole.
pub const WHOLE: usize = 512;
/// Directions that are iterated beyond those asked for.
const SPARE: usize = 10;
/// Steps of the iteration; each squares the ratio of variances that separates what is kept.
const STEPS: usize = 15;

/// Less than this share of a squared length is what rounding left of a vector that lies in the space of the components.
const ROUNDING: f64 = 1e-12;

/// Principal components of a reference: stored with it, because their signs and order are arbitrary.
#[derive(Clone, Debug, PartialEq)]
pub struct Basis {
    /// The mean that is taken off first.
    pub mean: Vec<f64>,
    /// Unit vectors in falling order of variance.
    pub components: Vec<Vec<f64>>,
    /// The variance (divisor n − 1) along each, in the unit of the vectors squared.
    pub variances: Vec<f64>,
}

/// Vectors as a basis sees them.
#[derive(Clone, Debug, PartialEq)]
pub struct Projected {
    /// Coordinates along the components, vector after vector.
    pub along: Vec<f64>,
    /// The squared distance of each vector from the mean, in its unit squared.
    pub from_mean: Vec<f64>,
    /// The squared distance of each from the space of the components, in its unit squared; never negative.
    pub outside: Vec<f64>,
}

impl Basis {
    /// The `most` components along which the cloud is widest, fewer when the vectors have fewer numbers. `None` for a single vector.
    pub fn of(cloud: &Cloud, most: usize) -> Option<Self> {
        let covariance = cloud.covariance()?;
        let (values, vectors) = if cloud.width() <= WHOLE { eigen(covariance)? } else { leading(&covariance, most)? };
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|a, b| values[*b].total_cmp(&values[*a]));
        order.truncate(most);
        Some(Self {
            mean: cloud.mean().to_vec(),
            components: order.iter().map(|i| vectors.column(*i).iter().copied().collect()).collect(),
            // Rounding may leave a little less than no variance.
            variances: order.iter().map(|i| values[*i].max(0.0)).collect(),
        })
    }

    /// Vectors less [`Self::mean`], which lie one after the other, in the basis's coordinates. `None` when they do not divide into
    /// vectors of its width.
    pub fn projected<T: Copy + Into<f64>>(&self, centred: &[T]) -> Option<Projected> {
        let width = self.mean.len();
        let rows = centred.len().checked_div(width).filter(|rows| rows * width == centred.len())?;
        let matrix = DMatrix::from_iterator(width, rows, centred.iter().map(|v| (*v).into()));
        let components = DMatrix::from_row_iterator(self.components.len(), width, self.components.iter().flatten().copied());
        let along = components * &matrix;
        let from_mean: Vec<f64> = matrix.column_iter().map(|column| column.norm_squared()).collect();
        let inside = along.column_iter().map(|column| column.norm_squared());
        let outside = |(all, inside): (&f64, f64)| if all - inside > ROUNDING * all { all - inside } else { 0.0 };
        let outside = from_mean.iter().zip(inside).map(outside).collect();
        Some(Projected { along: along.as_slice().to_vec(), from_mean, outside })
    }
}

/// All eigenvalues with their vectors.
fn eigen(symmetric: DMatrix<f64>) -> Option<(Vec<f64>, DMatrix<f64>)> {
    let found = SymmetricEigen::try_new(symmetric, f64::EPSILON, 10_000)?;
    Some((found.eigenvalues.as_slice().to_vec(), found.eigenvectors))
}

/// The `most` leading eigenvalues with their vectors, and some spare ones.
fn leading(covariance: &DMatrix<f64>, most: usize) -> Option<(Vec<f64>, DMatrix<f64>)> {
    let width = covariance.nrows();
    let directions = (most + SPARE).min(width);
    let mut rng = Rng::new(0);
    let mut space = DMatrix::from_fn(width, directions, |_, _| rng.normal());
    for _ in 0..STEPS {
        space = (covariance * space).qr().q();
    }
    let (values, turned) = eigen(space.transpose() * (covariance * &space))?;
    Some((values, space * turned))
}

/// Vectors of `width` numbers that lie one after the other, as the columns of a matrix.
pub(super) fn columns<T: nalgebra::Scalar>(values: &[T], width: usize) -> Option<DMatrixView<'_, T>> {
    let rows = values.len().checked_div(width).filter(|rows| rows * width == values.len())?;
    Some(DMatrixView::from_slice(values, width, rows))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::vectors::{near, rows};

    fn floats(values: &[f64]) -> Vec<f32> {
        values.iter().map(|v| *v as f32).collect()
    }

    /// scikit-learn's `PCA`: variances, and squared distances of other vectors from what it restores.
    #[test]
    fn components_agree_with_scikit_learn() {
        for row in rows("clouds") {
            let width = row.u64("width") as usize;
            let (a, b) = (floats(&row.list("a")), floats(&row.list("b")));
            let basis = Cloud::of(&a, width).and_then(|cloud| Basis::of(&cloud, 2)).expect("a basis");
            for (got, want) in basis.variances.iter().zip(row.list("variances")) {
                near(Some(*got), want, 1e-9, "variance");
            }
            let centred: Vec<f64> = b.iter().enumerate().map(|(i, v)| f64::from(*v) - basis.mean[i % width]).collect();
            let projected = basis.projected(&centred).expect("the same width");
            near(Some(projected.outside.iter().sum()), row.f64("residuals"), 1e-8, "residuals");
            let inside: f64 = projected.along.iter().map(|v| v * v).sum();
            near(Some(projected.from_mean.iter().sum()), inside + row.f64("residuals"), 1e-8, "Pythagoras");
        }
    }

    /// The way of wide vectors against the eigenvectors of the whole.
    #[test]
    fn iteration_finds_the_leading_components() {
        let (width, rows) = (60, 300);
        let mut rng = Rng::new(4);
        let spread = |i: usize| 0.8f64.powi(i as i32);
        let values: Vec<f64> = (0..rows * width).map(|i| rng.normal() * spread(i % width)).collect();
        let covariance = Cloud::of(&values, width).and_then(|cloud| cloud.covariance()).expect("a covariance");
        let sorted = |mut values: Vec<f64>| {
            values.sort_by(|a, b| b.total_cmp(a));
            values
        };
        let whole = sorted(eigen(covariance.clone()).expect("eigenvalues").0);
        let (values, vectors) = leading(&covariance, 8).expect("eigenvalues");
        for (got, want) in sorted(values).iter().zip(&whole).take(8) {
            near(Some(*got), *want, 1e-9, "a leading variance");
        }
        assert!((vectors.tr_mul(&vectors) - DMatrix::identity(18, 18)).amax() < 1e-12, "unit vectors at right angles");
    }

    #[test]
    fn wide_vectors_have_components_too() {
        let width = WHOLE + 8;
        let mut rng = Rng::new(1);
        let values: Vec<f32> = (0..40 * width).map(|i| rng.normal() as f32 * if i % width < 3 { 20.0 } else { 0.1 }).collect();
        let basis = Cloud::of(&values, width).and_then(|cloud| Basis::of(&cloud, 3)).expect("a basis");
        let inside = |c: &Vec<f64>| c[..3].iter().map(|v| v * v).sum::<f64>();
        assert!(basis.components.len() == 3 && basis.components.iter().all(|c| inside(c) > 0.99), "{:?}", basis.variances);
    }

    #[test]
    fn what_cannot_be_had_is_none() {
        let (zeros, one) = (Cloud::of(&[0f32; 4], 2).expect("zeros"), Cloud::of(&[1f32; 3], 3).expect("a vector"));
        assert_eq!(Basis::of(&one, 2), None);
        assert!(Basis::of(&zeros, 2).is_some_and(|b| b.variances == [0.0, 0.0] && b.projected(&[1f32]).is_none()));
        assert!(columns(&[1.0; 3], 2).is_none() && columns(&[1.0; 3], 0).is_none());
    }
}
