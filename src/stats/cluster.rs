//! Draws that come in clumps: how alike the draws of one window are, and how many independent ones they are worth.
//!
//! Where the numbers come from: the analysis-of-variance estimator of the intraclass correlation of yes-or-no draws (Donner
//! 1986, International Statistical Review 54; Ridout, Demétrio and Firth 1999, Biometrics 55) and the design effect
//! 1 + (n − 1)·ρ (Kish 1965, "Survey Sampling").

/// The intraclass correlation of windows `(hits, n)`, within 0..=1: 0 for independent draws. Windows without draws do not
/// count; `None` with fewer than two windows, with no window of two draws, or when no draw differs from another.
pub fn correlation(windows: &[(u64, u64)]) -> Option<f64> {
    let filled: Vec<(f64, f64)> = windows.iter().filter(|(k, n)| *n > 0 && k <= n).map(|(k, n)| (*k as f64, *n as f64)).collect();
    let k = filled.len() as f64;
    let total: f64 = filled.iter().map(|w| w.1).sum();
    if k < 2.0 || total <= k {
        return None;
    }
    let mean = filled.iter().map(|w| w.0).sum::<f64>() / total;
    let between = filled.iter().map(|(h, n)| n * (h / n - mean).powi(2)).sum::<f64>() / (k - 1.0);
    let within = filled.iter().map(|(h, n)| h * (1.0 - h / n)).sum::<f64>() / (total - k);
    let size = (total - filled.iter().map(|w| w.1 * w.1).sum::<f64>() / total) / (k - 1.0);
    let spread = between + (size - 1.0) * within;
    (spread > 0.0).then(|| ((between - within) / spread).clamp(0.0, 1.0))
}

/// How many draws of a window of `n` tell as much as one independent draw; at least 1.
pub fn design_effect(n: u64, correlation: f64) -> f64 {
    1.0 + n.saturating_sub(1) as f64 * correlation.clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn windows_that_are_all_or_nothing_are_one_draw_each() {
        assert_eq!(correlation(&[(10, 10), (0, 10), (10, 10), (0, 10)]), Some(1.0));
        assert_eq!((design_effect(10, 1.0), design_effect(0, 0.5), design_effect(30, 0.02)), (10.0, 1.0, 1.58));
    }

    #[test]
    fn what_cannot_be_had_is_none() {
        for windows in
            [&[][..], &[(1, 9)], &[(1, 9), (0, 0)], &[(0, 9), (0, 7)], &[(9, 9), (7, 7)], &[(1, 1), (0, 1)], &[(3, 2), (1, 9)]]
        {
            assert_eq!(correlation(windows), None, "{windows:?}");
        }
    }

    proptest! {
        #[test]
        fn it_stays_within_its_range(w in proptest::collection::vec((0u64..50, 0u64..50), 0..20)) {
            prop_assert!(correlation(&w).is_none_or(|c| (0.0..=1.0).contains(&c)));
        }
    }
}
