//! Figures of columns of vectors, for a verdict: the discrepancy is the test, the index is of clusters, all other effects are signs.

use super::cloud::compare::Figures as Found;
use super::cloud::rule::{Effect as Sort, Ruling};
use super::cloud::{CloudProfile, Counted};
use super::figures::{Cell, Effect, Figures, Kind, Measure, RARE, Sides, Sign};
use super::why::{level, signed};
use crate::stats::divergence::psi;

impl Figures {
    /// Those of two columns of vectors that were compared, as a rule read them: its effects are signs, its divergence is the `kl`. Rows
    /// that are all 0 are no values.
    pub fn of_vectors(reference: &CloudProfile, current: &CloudProfile, found: &Found, ruling: &Ruling) -> Self {
        let counted = Sides::new(reference.counted(), current.counted());
        let clusters = found.clusters.as_ref();
        let signs: Vec<Sign> = ruling.effects.iter().map(sign).collect();
        let divergence = ruling.effects.iter().find(|found| found.effect == Sort::Divergence);
        Self {
            kind: Some(Kind::Embedding),
            rows: counted.map(Counted::rows),
            n_ref: found.measured.0,
            n_cur: found.measured.1,
            nulls: counted.map(|counted| counted.absent),
            not_finite: counted.map(|counted| counted.not_finite),
            bad: counted.map(|counted| counted.zero),
            psi: clusters.map(|clusters| clusters.psi.value),
            psi_null: clusters.map(|clusters| clusters.psi.bias()),
            psi_crit999: clusters.and_then(|clusters| clusters.psi.critical(RARE)),
            psi_cells: clusters.map_or(0, |clusters| clusters.psi.cells),
            kl: divergence.map(|found| found.value),
            p: found.discrepancy.map(|test| test.p_value),
            effect: found.discrepancy.map(|test| Effect { measure: Measure::Mmd, value: test.value, unit: None }),
            signs,
            cells: clusters.map_or_else(Vec::new, |clusters| cells(reference, &clusters.reference, &clusters.current)),
            ..Self::default()
        }
    }
}

fn sign(found: &super::cloud::rule::Found) -> Sign {
    let name = match found.effect {
        Sort::Divergence => "divergence of Gaussians",
        Sort::Clusters => "PSI of clusters",
        Sort::Component => "largest PSI of a component",
        Sort::Components => "mean PSI of components",
        Sort::FromMean => "PSI of distances from the mean",
        Sort::Outside => "PSI of distances from the components",
        Sort::Reconstruction => "reconstruction error ratio",
        Sort::Novelty => "growth of novel rows",
    };
    let (value, limit, p) = (found.value, found.limit, found.p_value);
    Sign { name: name.to_owned(), value, limit, p, false_alarms: found.false_alarms, passed: found.passed }
}

/// The clusters, each named by the text nearest to its centre where that is known.
fn cells(profile: &CloudProfile, reference: &[u64], current: &[u64]) -> Vec<Cell> {
    let all = Sides::new(reference, current).map(|side| side.iter().sum());
    let terms = psi(reference, current).map(|psi| psi.terms).unwrap_or_default();
    let cells = reference.iter().zip(current).zip(terms).enumerate().map(|(at, ((r, c), term))| {
        let like = profile.near(at).iter().find_map(|near| near.text.as_deref());
        let like = like.map_or(String::new(), |text| format!(", like “{}”", level(text)));
        let rows = Sides::new(*r, *c);
        Cell { label: format!("cluster {}{like}", at + 1), low: None, high: None, rows, term: signed(term, rows, all) }
    });
    cells.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::drift::cloud::compare::compare;
    use crate::domain::drift::cloud::rule::{Limits, calibrated, specified};
    use crate::domain::drift::cloud::tests::{current, reference, vectors};
    use crate::domain::drift::figures::{ColumnComparison, Compared, Role};
    use crate::domain::drift::policy::{Policy, Rule, Status};
    use crate::domain::drift::verdict::{Judged, judge};
    use crate::stats::rng::Rng;

    const WIDTH: usize = 16;

    fn judged(before: &[f32], now: &[f32], rule: Rule) -> Judged {
        let reference = reference(before, WIDTH, 1);
        let current = current(&reference, now);
        let found = compare(&reference, &current).expect("one frame");
        let limits = Limits::default();
        let ruling = match rule {
            Rule::Calibrated => calibrated(&found, None, &limits),
            Rule::Spec => specified(&found, &limits),
        };
        let figures = Figures::of_vectors(&reference, &current, &found, &ruling);
        let compared = Compared::Values(Box::new(figures));
        let column = ColumnComparison { name: "query".to_owned(), role: Role::Feature, compared };
        judge(vec![column], None, &Policy { rule, ..Policy::default() }).columns.remove(0)
    }

    #[test]
    fn a_new_topic_is_a_warning_and_none_is_ok() {
        let mut rng = Rng::new(3);
        let before = vectors(&mut rng, 6000, WIDTH);
        let quiet = vectors(&mut rng, 3000, WIDTH);
        let got = judged(&before, &quiet, Rule::Calibrated);
        assert_eq!((got.status, got.flagged, got.figures.kind), (Status::Ok, false, Some(Kind::Embedding)), "{}", got.why);
        let mut moved = quiet;
        moved.chunks_mut(WIDTH).step_by(3).for_each(|row| row[..4].fill(9.0));
        for rule in [Rule::Calibrated, Rule::Spec] {
            let got = judged(&before, &moved, rule);
            assert!(got.status >= Status::Warning && got.flagged && !got.moved.is_empty(), "{got:?}");
            assert!(got.moved[0].starts_with("query = cluster "), "{:?}", got.moved);
        }
    }

    #[test]
    fn a_handful_of_vectors_says_nothing() {
        let mut rng = Rng::new(4);
        let before = vectors(&mut rng, 2000, WIDTH);
        let got = judged(&before, &vectors(&mut rng, 12, WIDTH), Rule::Calibrated);
        assert_eq!((got.band, got.needed), (Some(Status::Inconclusive), Some(Sides::new(got.figures.n_ref, 30))), "{}", got.why);
    }
}
