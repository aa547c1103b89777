//! What broke before the data came: columns, types, nulls, tokens, ranges, levels, copies.
//!
//! Schema changes are facts. A share that moved is tested exactly (`stats::fisher`) in the family of the whole check and counts by its
//! band. Levels never seen are held against Good and Turing's estimate of what a sample has not seen yet; values beyond
//! the reference's least and greatest against the exact law of such records. What is rare in the reference is so no finding.

use super::figures::{ColumnComparison, Compared, Figures, Kind, Outside, Role, Sides, Variety};
use super::policy::{Policy, Status};
use super::why::{level, number, percent, share};
use crate::base::name::words;
use crate::base::text::count;
use crate::stats::fisher::fisher;
use serde::{Deserialize, Serialize};

words! {
    /// What was found.
    What, "finding" {
        /// A column of the reference is not there.
        Missing = "missing",
        /// A column holds other values than it did: another type, width or model.
        Retyped = "retyped",
        /// A column could not be read or compared.
        Error = "error",
        /// Cells that are no value of the column's kind.
        BadTokens = "bad-tokens",
        /// Cells without a value.
        Nulls = "nulls",
        /// NaN and infinities.
        NotFinite = "not-finite",
        /// One value where there were several.
        Constant = "constant",
        /// Values beyond the least and the greatest of the reference.
        Range = "range",
        /// More than twice as many levels.
        Cardinality = "cardinality",
        /// Levels never seen before.
        Unseen = "unseen",
        /// A column that the reference has not.
        New = "new",
    }
}

impl What {
    /// Whether the column's values say nothing about drift any more. Other ranges and other levels may be drift themselves.
    pub fn breaks(self) -> bool {
        matches!(
            self,
            Self::Missing | Self::Retyped | Self::Error | Self::BadTokens | Self::Nulls | Self::NotFinite | Self::Constant
        )
    }
}

/// Something that broke, most likely before the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The column; absent for what is of the whole table.
    pub column: Option<String>,
    /// What it is.
    pub what: What,
    /// How heavy.
    pub status: Status,
    /// In words.
    pub words: String,
    /// The shares of rows it is about.
    pub shares: Option<Sides<f64>>,
    /// The chance of such shares when nothing changed; absent for facts.
    pub p: Option<f64>,
    /// The same, adjusted for all tests of the check.
    pub q: Option<f64>,
}

/// How many rows of how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// How many.
    pub rows: u64,
    /// Of how many.
    pub of: u64,
}

/// A share that may have moved, before all tests are looked at together.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Suspect {
    pub(super) column: Option<usize>,
    pub(super) what: What,
    pub(super) shares: Sides<f64>,
    pub(super) p: f64,
    words: String,
}

impl Suspect {
    fn new(what: What, reference: Part, current: Part, words: String) -> Option<Self> {
        let p = fisher((reference.rows, reference.of), (current.rows, current.of))?;
        let shares = Sides::new(share(reference.rows, reference.of), share(current.rows, current.of));
        Some(Self { column: None, what, shares, p, words })
    }

    /// The finding, if its share moved more than chance and more than nothing.
    pub(super) fn judged(self, column: Option<&str>, q: f64, policy: &Policy) -> Option<Finding> {
        let status = policy.shares.of((self.shares.current - self.shares.reference).abs());
        let counts = q < policy.alpha && status.moved();
        counts.then(|| Finding {
            column: column.map(str::to_owned),
            what: self.what,
            status,
            words: self.words,
            shares: Some(self.shares),
            p: Some(self.p),
            q: Some(q),
        })
    }
}

/// What the schema says of a column.
pub(super) fn fact(column: &ColumnComparison) -> Option<Finding> {
    let name = level(&column.name);
    let (what, status, words) = match &column.compared {
        Compared::Values(figures) => {
            let own = figures.own.as_ref()?;
            let words = format!("{name} holds {} instead of {}, which can be read as before", own.current, own.reference);
            (What::Retyped, Status::Warning, words)
        }
        Compared::Missing => (What::Missing, Status::Missing, format!("{name} is missing")),
        Compared::New => (What::New, Status::New, format!("{name} is new: the reference has no such column")),
        Compared::Retyped(was) => {
            (What::Retyped, Status::Retyped, format!("{name} holds {} instead of {}", was.current, was.reference))
        }
        Compared::Error(why) => (What::Error, Status::Error, format!("{name} could not be compared: {why}")),
    };
    let status = status.weight();
    Some(Finding { column: Some(column.name.clone()), what, status, words, shares: None, p: None, q: None })
}

/// Every share of a column that there is anything of.
pub(super) fn suspects(at: usize, column: &ColumnComparison) -> Vec<Suspect> {
    let Compared::Values(figures) = &column.compared else { return vec![] };
    let name = level(&column.name);
    let unusable = match figures.kind {
        // Texts of spaces, vectors of zeros.
        Some(Kind::Embedding | Kind::Text) => "hold nothing to compare",
        _ => "are no value of its kind",
    };
    let cells = [
        (What::BadTokens, figures.bad, unusable),
        (What::Nulls, figures.nulls, "are null"),
        (What::NotFinite, figures.not_finite, "are NaN or infinite"),
    ];
    // Labels come late, so that those that are not there yet are no break.
    let late = |what| what == What::Nulls && column.role == Role::Label;
    let counted = cells.into_iter().filter(|(what, rows, _)| (rows.reference > 0 || rows.current > 0) && !late(*what));
    let of_all = counted.filter_map(|(what, rows, verb)| {
        let parts = Sides::new(
            Part { rows: rows.reference, of: figures.rows.reference },
            Part { rows: rows.current, of: figures.rows.current },
        );
        Suspect::new(what, parts.reference, parts.current, instead(&name, verb, parts))
    });
    let of_values = [constant(&name, figures), range(&name, figures), levels(&name, figures)];
    of_all.chain(of_values.into_iter().flatten()).map(|suspect| Suspect { column: Some(at), ..suspect }).collect()
}

fn instead(of: &str, verb: &str, parts: Sides<Part>) -> String {
    let shares = parts.map(|part| percent(share(part.rows, part.of)));
    format!("{} of {of} {verb} instead of {}", shares.current, shares.reference)
}

fn constant(name: &str, figures: &Figures) -> Option<Suspect> {
    let constant = figures.constant.as_ref()?;
    let (reference, current) =
        (Part { rows: constant.reference, of: figures.n_ref }, Part { rows: figures.n_cur, of: figures.n_cur });
    let before = percent(share(reference.rows, reference.of));
    Suspect::new(
        What::Constant,
        reference,
        current,
        format!("{name} is always {}, which {before} of the reference are", constant.value),
    )
}

fn range(name: &str, figures: &Figures) -> Option<Suspect> {
    let outside = figures.outside.filter(|outside| outside.below > 0 || outside.above > 0)?;
    let Outside { least, greatest, below, above } = outside;
    let (n, m) = (figures.n_ref, figures.n_cur);
    let chance = |beyond: u64| all_of_current(beyond, n, m);
    let shares = Sides::new(0.0, share(below.saturating_add(above), m));
    let words = format!(
        "{} of {name} are outside of {} … {}, all that the reference has",
        percent(shares.current),
        number(least),
        number(greatest)
    );
    let p = (2.0 * chance(below).min(chance(above))).min(1.0);
    Some(Suspect { column: None, what: What::Range, shares, p, words })
}

/// The chance that the `most` largest of `n` and `m` rows of one law all are among the `m`.
fn all_of_current(most: u64, n: u64, m: u64) -> f64 {
    let mut chance = 1.0;
    for taken in 0..most {
        chance *= m.saturating_sub(taken) as f64 / (n as f64 + m as f64 - taken as f64);
        if chance < f64::MIN_POSITIVE {
            return 0.0;
        }
    }
    chance
}

/// Rows of levels that a sample has once or twice are, as Good and Turing have it, at least as many as those it has not seen
/// yet, and about as uncertain (Good 1953, Biometrika 40).
fn levels(name: &str, figures: &Figures) -> Option<Suspect> {
    let Variety { levels, unseen, unseen_rows, largest, rare, .. } =
        figures.variety.as_ref().filter(|variety| variety.unseen > 0)?;
    let (expected, found) = (Part { rows: *rare, of: figures.n_ref }, Part { rows: *unseen_rows, of: figures.n_cur });
    let doubled = levels.current > levels.reference.saturating_mul(2);
    let what = if doubled { What::Cardinality } else { What::Unseen };
    let named: Vec<&str> = largest.iter().map(|(level, _)| level.as_str()).collect();
    let rest = if *unseen > named.len() as u64 { ", …" } else { "" };
    let (now, before) = (count(as_usize(levels.current), "level"), levels.reference);
    let words = format!(
        "{} of {name} are {} never seen before ({}{rest}); {now} instead of {before}",
        percent(share(found.rows, found.of)),
        count(as_usize(*unseen), "level"),
        named.join(", "),
    );
    // More rare rows than unseen ones are no finding: the test is of too many.
    Suspect::new(what, expected, found, words).filter(|suspect| suspect.shares.current > suspect.shares.reference)
}

fn as_usize(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::drift::levels::Levels;
    use crate::domain::drift::profile::Numeric;
    use crate::stats::rng::Rng;

    fn found(figures: Figures) -> Vec<Suspect> {
        let compared = Compared::Values(Box::new(figures));
        suspects(0, &ColumnComparison { name: "x".into(), role: Role::Feature, compared })
    }

    fn numbers(reference: &[f64], current: &[f64]) -> Figures {
        let of = |values: &[f64], edges: Option<&[f64]>| Numeric::of(values.iter().copied().map(Some), edges).expect("edges");
        let reference = of(reference, None);
        Figures::of_numbers(&reference, &of(current, Some(reference.histogram().edges()))).expect("the same cells")
    }

    #[test]
    fn records_follow_their_law() {
        // One of each, and the current one is larger: a half. Two of each, and both are: 2/4 · 1/3.
        assert_eq!((all_of_current(1, 1, 1), all_of_current(2, 2, 2), all_of_current(0, 5, 5)), (0.5, 1.0 / 6.0, 1.0));
        assert_eq!(all_of_current(1_000_000, 1_000_000, 1_000_000), 0.0);
    }

    #[test]
    fn values_beyond_all_of_the_reference_are_told() {
        let week: Vec<f64> = (0..500).map(f64::from).collect();
        let cents: Vec<f64> = week.iter().map(|v| v * 100.0).collect();
        let range = |current: &[f64]| found(numbers(&week, current)).into_iter().find(|s| s.what == What::Range);
        assert_eq!(range(&week), None);
        let unit = range(&cents).expect("outside");
        assert!(unit.p < 1e-100 && unit.words == "99.0 % of x are outside of 0 … 499, all that the reference has", "{unit:?}");
        // One record of 500 against 500 comes every other time.
        assert!(range(&[&week[1..], &[777.0]].concat()).expect("outside").p > 0.5);
    }

    /// Heavy tails always have new records and new levels: neither is a finding.
    #[test]
    fn what_a_sample_has_not_seen_yet_is_no_finding() {
        let policy = Policy::default();
        let mut rng = Rng::new(21);
        let mut pareto = |rows: usize| (0..rows).map(|_| rng.unit().powf(-1.5)).collect::<Vec<f64>>();
        let names = |values: &[f64]| values.iter().map(|v| format!("{:.0}", v * 40.0)).collect::<Vec<_>>();
        for _ in 0..100 {
            let (reference, current) = (pareto(200), pareto(2000));
            let (r, c) = (names(&reference), names(&current));
            let levels = |names: &[String]| Levels::of(names.iter().map(|name| Some(name.as_str())));
            let texts = Figures::of_levels(&levels(&r), &levels(&c));
            assert!(texts.variety.as_ref().is_some_and(|v| v.unseen > 20), "{:?}", texts.variety);
            for suspect in found(texts).into_iter().chain(found(numbers(&reference, &current))) {
                let p = suspect.p;
                assert_eq!(suspect.judged(None, p, &Policy { alpha: 1e-4, ..policy }), None);
            }
        }
    }

    #[test]
    fn more_levels_than_there_were_are_told_once() {
        let of = |levels: usize, rows: usize| {
            let names: Vec<String> = (0..rows).map(|row| (row % levels).to_string()).collect();
            Levels::of(names.iter().map(|name| Some(name.as_str())))
        };
        let got = found(Figures::of_levels(&of(10, 1000), &of(30, 900)));
        assert_eq!(got.iter().map(|s| s.what).collect::<Vec<_>>(), [What::Cardinality]);
        assert_eq!(got[0].words, "66.7 % of x are 20 levels never seen before (10, 11, 12, 13, 14, …); 30 levels instead of 10");
        assert!(got[0].p < 1e-100);
        assert_eq!(found(Figures::of_levels(&of(10, 1000), &of(12, 900)))[0].what, What::Unseen);
    }
}
