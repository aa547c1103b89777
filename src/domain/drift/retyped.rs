//! Columns whose cells are something else by themselves than they were, whatever they can still be read as.

use super::baseline::{Family, Kept, Profile};
use super::figures::{Compared, Figures, Sides};
use super::levels::Levels;
use crate::data::Column;

impl Kept {
    /// What came of laying a column over this one, knowing what its cells are by themselves: a column of words that now is all
    /// numbers still reads as words, but is another one, unless words of the reference are numbers so often that chance did it. Numbers
    /// with some words between them are not retyped but unreadable there.
    pub(super) fn retyped(&self, column: &Column, figures: Figures) -> Compared {
        let now = Family::of(column.own);
        // Where nothing is, nothing is of another kind.
        let both = figures.n_ref > 0 && figures.n_cur > 0;
        let Some(before) = self.own.filter(|before| *before != now && both) else {
            return Compared::Values(Box::new(figures));
        };
        let (sides, rows) = (Sides::new(before, now).map(|family| family.word().to_owned()), figures.n_cur as f64);
        let known = figures.variety.as_ref().map(|variety| figures.n_cur.saturating_sub(variety.unseen_rows) as f64);
        match (&self.profile, known) {
            (Profile::Levels(levels), Some(_)) if before == Family::Texts && all_numbers(levels).powf(rows) > CHANCE => {}
            (Profile::Levels(_), Some(known)) if known * 2.0 < rows => return Compared::Retyped(sides),
            (Profile::Numbers(_), _) if figures.bad.current as f64 * BAD > rows => {}
            _ => return Compared::Values(Box::new(Figures { own: Some(sides), ..figures })),
        }
        Compared::Values(Box::new(figures))
    }
}

/// More seldom than this, words that all are numbers are no chance.
const CHANCE: f64 = 0.005;
/// One unreadable cell of so many is nearly none, as where kinds are decided.
const BAD: f64 = 100.0;

/// How often a row of these words is a number, by the rule of succession.
fn all_numbers(levels: &Levels) -> f64 {
    let is_number = |level: &str| level.trim().parse::<f64>().is_ok();
    let rows: u64 = levels.counts().filter(|(level, _)| is_number(level)).map(|(_, rows)| rows).sum();
    (rows as f64 + 1.0) / (levels.rows() as f64 + 2.0)
}
