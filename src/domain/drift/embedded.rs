//! Figures of columns of vectors and of texts, for a verdict.
//!
//! Of vectors the discrepancy is the test, the index is of clusters, all other effects are signs. Of texts the classifier is the test and
//! its area under the curve the sign: 0.6, which is ours, is what a new topic in every fifth text gives. Their descriptors are
//! numeric columns of their own ([`descriptors`]).

use super::cloud::compare::Figures as Found;
use super::cloud::rule::{Effect as Sort, Ruling};
use super::cloud::{CloudProfile, Counted};
use super::figures::{Cell, ColumnComparison, Compared, Effect, Figures, Kind, Measure, RARE, Role, Sides, Sign};
use super::text::compare::Figures as FoundTexts;
use super::text::{Descriptor, TextProfile};
use super::texts::typical;
use super::why::{level, signed};
use crate::stats::divergence::psi;
use crate::stats::tail::normal_two_sided;

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

/// The area under the curve above which texts differ enough to matter.
const AREA: f64 = 0.6;

impl Figures {
    /// Those of two columns of texts that were compared. Its rows are those of the samples that the classifier saw, its cells the words
    /// that tell them apart; texts of spaces are no values.
    pub fn of_texts(reference: &TextProfile, current: &TextProfile, found: &FoundTexts) -> Self {
        let sides = Sides::new(reference, current);
        let classifier = found.classifier.as_ref();
        let sampled = sides.map(|side| side.sample().len() as u64);
        let sign = classifier.map(|classifier| Sign {
            name: "area under the curve".to_owned(),
            value: classifier.auc,
            limit: AREA,
            p: classifier.p_value,
            false_alarms: normal_two_sided((AREA - 0.5) / classifier.null_sd).map(|p| p / 2.0),
            passed: classifier.auc > AREA && classifier.p_value < RARE,
        });
        let terms = classifier.into_iter().flat_map(|classifier| classifier.current.iter().chain(&classifier.reference));
        let cells = terms.map(|term| Cell {
            label: level(&term.text),
            low: None,
            high: None,
            rows: Sides::new(term.reference as u64, term.current as u64),
            term: term.weight,
        });
        Self {
            kind: Some(Kind::Text),
            rows: sides.map(TextProfile::rows),
            n_ref: sampled.reference,
            n_cur: sampled.current,
            nulls: sides.map(TextProfile::nulls),
            bad: sides.map(TextProfile::empty),
            p: classifier.map(|classifier| classifier.p_value),
            effect: classifier.map(|classifier| Effect { measure: Measure::Auc, value: classifier.auc, unit: None }),
            // Where nothing moved, no text leaves the data.
            texts: classifier.filter(|_| sign.as_ref().is_some_and(|sign| sign.passed)).map(typical).unwrap_or_default(),
            signs: sign.into_iter().collect(),
            cells: cells.collect(),
            ..Self::default()
        }
    }
}

/// The descriptors of a column of texts as columns of their own: `query, length`; unknown words only where there are more of them. Empty
/// when the current one was not counted in the cells of the reference.
pub fn descriptors(name: &str, role: Role, reference: &TextProfile, current: &TextProfile) -> Vec<ColumnComparison> {
    let mean = |side: &TextProfile, which| side.column(which).moments().map(|moments| moments.mean);
    let one = |which: &Descriptor| {
        // New data that repeat texts of the reference have fewer unknown words than its own other half, which is no drift.
        let fell = mean(current, *which).zip(mean(reference, *which)).is_some_and(|(now, before)| now <= before);
        if *which == Descriptor::UnknownWords && fell {
            return None;
        }
        let figures = Figures::of_numbers(reference.column(*which), current.column(*which))?;
        // Texts of one length, or with more new words than ever, are drift themselves and no broken pipe; a text without words is no null.
        // Only texts that are longer than any before may be something else than texts.
        let outside = figures.outside.filter(|_| *which == Descriptor::Length);
        let figures = Figures { outside, constant: None, nulls: Sides::new(0, 0), ..figures };
        let compared = Compared::Values(Box::new(figures));
        Some(ColumnComparison { name: format!("{name}, {which}"), role, compared })
    };
    Descriptor::ALL.iter().filter_map(one).collect()
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
    use crate::domain::drift::policy::{Policy, Rule, Status};
    use crate::domain::drift::text::{compare as text_compare, tests as text};
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
        judge(vec![column], &Policy { rule, ..Policy::default() }).columns.remove(0)
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
            assert!(got.moved[0].starts_with("query in cluster "), "{:?}", got.moved);
        }
    }

    #[test]
    fn a_handful_of_vectors_says_nothing() {
        let mut rng = Rng::new(4);
        let before = vectors(&mut rng, 2000, WIDTH);
        let got = judged(&before, &vectors(&mut rng, 12, WIDTH), Rule::Calibrated);
        assert_eq!((got.band, got.needed), (Some(Status::Inconclusive), Some(Sides::new(got.figures.n_ref, 30))), "{}", got.why);
    }

    #[test]
    fn a_new_topic_of_texts_is_named_and_none_is_ok() {
        let mut rng = Rng::new(5);
        let before = text::texts(&mut rng, 900, 0);
        let reference = text::reference(&text::cells(&before), 1);
        let mut judged = |on_topic: usize| {
            let now = text::texts(&mut rng, 600, on_topic);
            let current = text::current(&reference, &text::cells(&now));
            let found = text_compare::compare(&reference, &current).expect("the same words");
            let figures = Figures::of_texts(&reference, &current, &found);
            let compared = Compared::Values(Box::new(figures));
            let mut columns = vec![ColumnComparison { name: "query".to_owned(), role: Role::Feature, compared }];
            columns.extend(descriptors("query", Role::Feature, &reference, &current));
            judge(columns, &Policy::default())
        };
        let quiet = judged(0);
        assert_eq!((quiet.columns.len() / 4, quiet.columns[0].status), (1, Status::Ok), "{}", quiet.columns[0].why);
        assert_eq!(quiet.columns[1].name, "query, length");
        let moved = judged(300);
        let query = &moved.columns[0];
        assert_eq!((query.status, query.flagged, query.figures.psi), (Status::Warning, true, None), "{}", query.why);
        assert!(
            query.moved.len() == 3
                && query.moved[0].starts_with("query with ")
                && query.moved[0].ends_with(" % instead of 0.0 %"),
            "{:?}",
            query.moved
        );
        assert!(moved.tests.iter().any(|tested| tested.test == "text"), "{:?}", moved.tests);
    }
}
