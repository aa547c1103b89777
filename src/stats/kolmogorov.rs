//! The law of the one-sample Kolmogorov–Smirnov statistic Dₙ for finite n, to 1e-9 relative.
//!
//! Simard and L'Ecuyer 2011 (J. Stat. Software 39-11) choose the method by n and d: Durbin's matrix (Marsaglia, Tsang and Wang 2003)
//! where the chance is not small, the one-sided law twice in the tail, Pelz and Good's expansion (1976) in between for
//! large n. The limit law alone is 7 to 10 % off at n = 100. Where they take Pomeranz' recursion, the matrix gives the same
//! digits.

use super::beta::{binomial_density, stirling};
use std::f64::consts::{PI, TAU};

/// Above this the one-sided law is its asymptotic form, right to 1/n.
const LARGEST_SUM: u64 = 1_000_000;

/// P(Dₙ ≥ d) for `n` rows, at least 1; 1 for a `d` of 0 or less (or NaN), 0 from 1 up.
pub fn survival(n: u64, d: f64) -> f64 {
    let rows = n.max(1) as f64;
    let t = rows * d;
    if t.is_nan() || t <= 0.5 {
        return 1.0;
    }
    let square = t * d;
    // Beyond 370 the chance is below the smallest `f64`.
    if d >= 1.0 || square >= 370.0 {
        return 0.0;
    }
    let p = if t <= 1.0 {
        // n!/nⁿ·(2t − 1)ⁿ
        1.0 - (stirling(rows) + 0.5 * (TAU * rows).ln() - rows + rows * (2.0 * t - 1.0).ln()).exp()
    } else if t >= rows - 1.0 {
        2.0 * (1.0 - d).powf(rows)
    } else if d >= 0.5 || square > 4.0 || (n > 140 && square >= 2.2) {
        2.0 * one_sided(n, d)
    } else if n <= 140 || (n <= 100_000 && rows * d.powf(1.5) <= 1.4) {
        1.0 - durbin(n, d)
    } else {
        1.0 - pelz_good(rows, d)
    };
    p.clamp(0.0, 1.0)
}

/// P(Dₙ⁺ ≥ d), 0 < d < 1: Birnbaum and Tingey's sum (1951), all of whose terms are positive.
fn one_sided(n: u64, d: f64) -> f64 {
    let rows = n as f64;
    if n > LARGEST_SUM {
        return (-(6.0 * rows * d + 1.0).powi(2) / (18.0 * rows)).exp();
    }
    let last = (rows * (1.0 - d)).floor() as u64;
    let term = |j: u64| {
        let share = d + j as f64 / rows;
        d / share * binomial_density(j as f64, rows, share.min(1.0), ((n - j) as f64 / rows - d).max(0.0))
    };
    (0..=last).map(term).sum()
}

/// P(Dₙ < d) as the middle entry of n!/nⁿ·Hⁿ, with the power of ten apart.
fn durbin(n: u64, d: f64) -> f64 {
    let rows = n as f64;
    let k = (rows * d).ceil();
    let h = k - rows * d;
    let k = k as usize;
    let size = 2 * k - 1;
    let mut factor = Scaled { entries: first_matrix(size, h), size, exponent: 0 };
    let mut power: Option<Scaled> = None;
    let mut left = n;
    while left > 0 {
        if left % 2 == 1 {
            power = Some(power.map_or_else(|| factor.clone(), |power| power.times(&factor)));
        }
        left /= 2;
        if left > 0 {
            factor = factor.times(&factor);
        }
    }
    let Some(power) = power else { return 1.0 };
    let middle = power.entries[(k - 1) * size + k - 1];
    // ln n!/nⁿ, with what was scaled away.
    let log = stirling(rows) + 0.5 * (TAU * rows).ln() - rows + f64::from(power.exponent) * std::f64::consts::LN_10;
    if middle > 0.0 { (middle.ln() + log).exp() } else { 0.0 }
}

/// Entries in rows times ten to the exponent.
#[derive(Clone)]
struct Scaled {
    entries: Vec<f64>,
    size: usize,
    exponent: i32,
}

impl Scaled {
    fn times(&self, other: &Self) -> Self {
        let size = self.size;
        let mut entries = vec![0.0; size * size];
        for (row, out) in self.entries.chunks_exact(size).zip(entries.chunks_exact_mut(size)) {
            for (weight, from) in row.iter().zip(other.entries.chunks_exact(size)) {
                out.iter_mut().zip(from).for_each(|(out, from)| *out += weight * from);
            }
        }
        let mut exponent = self.exponent + other.exponent;
        if entries[(size / 2) * size + size / 2] > 1e140 {
            entries.iter_mut().for_each(|v| *v *= 1e-140);
            exponent += 140;
        }
        Self { entries, size, exponent }
    }
}

/// Durbin's H: 1/(i − j + 1)! on and below the first superdiagonal, less powers of `h` in the first column and last row.
fn first_matrix(size: usize, h: f64) -> Vec<f64> {
    let mut inverse = vec![1.0; size + 2];
    for i in 1..inverse.len() {
        inverse[i] = inverse[i - 1] / i as f64;
    }
    let mut entries = vec![0.0; size * size];
    for i in 0..size {
        for j in 0..size.min(i + 2) {
            let power = |rows: usize| h.powi(rows as i32);
            // The corner has lost hᵐ twice and gets back what the two losses share.
            let mut lost = if j == 0 { power(i + 1) } else { 0.0 };
            lost += if i + 1 == size { power(size - j) } else { 0.0 };
            if j == 0 && i + 1 == size && h > 0.5 {
                lost -= (2.0 * h - 1.0).powi(size as i32);
            }
            entries[i * size + j] = (1.0 - lost) * inverse[i + 1 - j];
        }
    }
    entries
}

/// P(Dₙ < d) by four terms of Pelz and Good, each a theta series in z = d·√n.
fn pelz_good(rows: f64, d: f64) -> f64 {
    let z = d * rows.sqrt();
    let (z2, z4, z6) = (z.powi(2), z.powi(4), z.powi(6));
    let (pi2, pi4, pi6) = (PI.powi(2), PI.powi(4), PI.powi(6));
    let mut sums = [0.0f64; 4];
    let terms = (16.0 * z / PI).ceil() as i32;
    for k in (1..=terms).rev() {
        let odd = f64::from(2 * k - 1);
        let (m2, m4, m6) = (odd.powi(2), odd.powi(4), odd.powi(6));
        let weight = (-m2 * pi2 / (8.0 * z2)).exp();
        sums[0] += weight;
        sums[1] += weight * (pi2 / 4.0 * m2 - z2);
        sums[2] += weight * (6.0 * z6 + 2.0 * z4 + (2.0 * z4 - 5.0 * z2) * pi2 / 4.0 * m2 + pi4 * (1.0 - 2.0 * z2) / 16.0 * m4);
        sums[3] += weight
            * (-30.0 * z6 - 90.0 * z.powi(8)
                + pi2 * (135.0 * z4 - 96.0 * z6) / 4.0 * m2
                + pi4 * (212.0 * z4 - 60.0 * z2) / 16.0 * m4
                + pi6 * (5.0 - 30.0 * z2) / 64.0 * m6);
    }
    let (mut whole2, mut whole3) = (0.0, 0.0);
    for k in (1..=terms).rev() {
        let k2 = f64::from(k).powi(2);
        let weight = (-k2 * pi2 / (2.0 * z2)).exp();
        whole2 += weight * k2;
        whole3 += weight * k2 * (3.0 * z2 - pi2 * k2);
    }
    let root = TAU.sqrt();
    let k0 = root / z * sums[0];
    let k1 = root / (6.0 * z4) * sums[1];
    let k2 = root / (72.0 * z.powi(7)) * sums[2] - root * pi2 / (36.0 * z.powi(3)) * whole2;
    let k3 = root / (6480.0 * z.powi(10)) * sums[3] + root * pi2 / (216.0 * z6) * whole3;
    k0 + k1 / rows.sqrt() + k2 / rows + k3 / rows.powf(1.5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::vectors::{near, rows};

    /// scipy 1.17.1: `kstwo.sf(d, n)`.
    #[test]
    fn the_law_agrees_with_scipy() {
        for row in rows("kolmogorov") {
            let (n, d) = (row.u64("n"), row.f64("d"));
            near(Some(survival(n, d)), row.f64("p"), 1e-9, &format!("n {n}, d {d}"));
        }
    }

    #[test]
    fn the_ends_and_what_is_no_distance() {
        for (d, want) in [(0.0, 1.0), (-1.0, 1.0), (f64::NAN, 1.0), (1.0, 0.0), (f64::INFINITY, 0.0)] {
            assert_eq!(survival(50, d), want, "{d}");
        }
        assert_eq!(survival(0, 0.75), survival(1, 0.75));
    }

    #[test]
    fn the_law_falls_and_has_no_seams() {
        for n in [1u64, 2, 10, 140, 141, 1000, 4000] {
            let laws: Vec<f64> =
                (0..=80).map(|i| survival(n, f64::from(i) / 80.0 * (4.0 / (n as f64).sqrt()).min(1.0))).collect();
            assert!(laws.windows(2).all(|w| w[1] <= w[0] + 1e-9), "n {n}");
        }
    }
}
