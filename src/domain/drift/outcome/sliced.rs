//! Rows by slice: what a reference keeps of them, and where new data moved or lost.
//!
//! Rows are told apart by the levels (or the ranges) of `slices`, without it by the columns of few levels. Cells of both columns are
//! those of the reference. With `slices` every column is looked at in each slice, without only predictions and labels, which are two
//! more readings. A slice counts when it stands out: when it lost more than the other rows did, or moved further than the column as a
//! whole by more than chance. A slice of a column that broke upstream is not told, nor losses when answers cannot be judged.

use super::cells::{NONE, Places, at_of};
use super::{Cause, Outcome, SHOWN};
use crate::base::error::{Error, Result};
use crate::base::text::visible;
use crate::data::Table;
use crate::domain::drift::baseline::{Kept, Profile, Selection};
use crate::domain::drift::change::Change;
use crate::domain::drift::concept;
use crate::domain::drift::figures::{Role, Sides};
use crate::domain::drift::policy::{Policy, Status};
use crate::domain::drift::slices::{Part, Slice, place, slices};
use crate::domain::drift::upstream::Part as Share;
use crate::domain::drift::verdict::Judgement;
use crate::domain::drift::why::share;
use crate::stats::multiplicity::benjamini_hochberg;
use crate::stats::tail::normal_two_sided;
use serde::{Deserialize, Serialize};

/// Columns that slice without being asked to.
const COLUMNS_MAX: usize = 4;
/// Levels of such a column.
const LEVELS_MAX: usize = 20;

/// Rows by slice and then by cell.
type Counts = Vec<Vec<u64>>;

/// A column that slices, and what the reference has in each of its slices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Cut {
    column: String,
    places: Places,
    targets: Vec<Target>,
    /// Wrong and right answers; absent without any.
    right: Option<Counts>,
}

/// A column within the slices of another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Target {
    column: String,
    places: Places,
    counts: Counts,
}

/// A slice and what it lost of what was right.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Loss {
    /// The column.
    pub column: String,
    /// Its level.
    pub level: String,
    /// Which share of the new rows with an answer it is.
    pub coverage: f64,
    /// The chance that it lost so much more than the other rows, adjusted for all slices.
    pub q: Option<f64>,
    /// In words.
    pub words: String,
    /// The share of right answers; its status is `ok` where chance may have made it.
    #[serde(flatten)]
    pub change: Change,
}

/// Counts the rows of a reference; `right`: wrong and right answers by row.
///
/// # Errors
/// A usage error when `slices` names what cannot slice; when a column cannot be read.
pub(super) fn reference(table: &dyn Table, columns: &[Kept], selection: &Selection, right: Option<&[u8]>) -> Result<Vec<Cut>> {
    let mut cuts: Vec<Cut> = match &selection.slices {
        Some(named) => named.iter().map(|name| cut(columns, name)).collect::<Result<_>>()?,
        None => columns.iter().filter(|kept| slices_unasked(kept, selection)).take(COLUMNS_MAX).filter_map(of_kept).collect(),
    };
    let wanted = |kept: &Kept| selection.slices.is_some() || selection.role(&kept.name) != Role::Feature;
    let targets: Vec<(&Kept, Places)> =
        columns.iter().filter(|kept| wanted(kept)).filter_map(|kept| Some((kept, Places::of(&kept.profile)?))).collect();
    if targets.is_empty() && right.is_none() {
        return Ok(Vec::new());
    }
    for cut in &mut cuts {
        let others = targets.iter().filter(|(kept, _)| kept.name != cut.column);
        cut.targets =
            others.map(|(kept, places)| Target { column: kept.name.clone(), places: places.clone(), counts: vec![] }).collect();
        cut.right = right.map(|_| vec![]);
    }
    let counted = counts(&cuts, table, right, &mut |at| Err(Error::new(format!("the column `{at}` is gone"))))?;
    for (cut, of_cut) in cuts.iter_mut().zip(counted) {
        cut.targets.iter_mut().zip(of_cut.targets).for_each(|(target, counts)| target.counts = counts.unwrap_or_default());
        cut.right = of_cut.right;
    }
    Ok(cuts)
}

fn of_kept(kept: &Kept) -> Option<Cut> {
    Some(Cut { column: kept.name.clone(), places: Places::of(&kept.profile)?, targets: vec![], right: None })
}

fn slices_unasked(kept: &Kept, selection: &Selection) -> bool {
    let few = matches!(&kept.profile, Profile::Levels(levels) if (2..=LEVELS_MAX).contains(&levels.counts().len()));
    few && selection.role(&kept.name) == Role::Feature
}

fn cut(columns: &[Kept], name: &str) -> Result<Cut> {
    let why = match columns.iter().find(|kept| kept.name == name) {
        None => "it is not compared".to_owned(),
        Some(kept) => match (of_kept(kept), &kept.profile) {
            (Some(cut), _) => return Ok(cut),
            (None, Profile::LeftOut(why)) => why.clone(),
            (None, _) => "it has no levels".to_owned(),
        },
    };
    Err(Error::usage(format!("`slices` names `{}`, which tells no rows apart: {why}", visible(name, 60)))
        .hint("name columns of a few levels: a tenant, a language, a channel"))
}

/// What one table has in the cells of the cuts.
struct Counted {
    targets: Vec<Option<Counts>>,
    right: Option<Counts>,
}

/// Counts the rows of a table; `lost` says what is made of a column that is not there or cannot be read.
fn counts(
    cuts: &[Cut],
    table: &dyn Table,
    right: Option<&[u8]>,
    lost: &mut dyn FnMut(&str) -> Result<()>,
) -> Result<Vec<Counted>> {
    let mut read = |column: &str, places: &Places| match at_of(table, column).map(|at| places.read(table, at)) {
        Some(Ok(cells)) => Ok(Some(cells)),
        Some(Err(_)) | None => lost(column).map(|()| None),
    };
    let by: Vec<Option<Vec<u8>>> = cuts.iter().map(|cut| read(&cut.column, &cut.places)).collect::<Result<_>>()?;
    let mut all: Vec<Counted> = cuts
        .iter()
        .zip(&by)
        .map(|(cut, by)| Counted {
            targets: vec![None; cut.targets.len()],
            right: by
                .as_ref()
                .zip(right)
                .filter(|_| cut.right.is_some())
                .map(|(by, right)| cross(by, right, (cut.places.cells(), 2))),
        })
        .collect();
    // Each target is read once for all columns that slice.
    let mut names: Vec<&Target> = cuts.iter().flat_map(|cut| &cut.targets).collect();
    names.sort_by(|a, b| a.column.cmp(&b.column));
    names.dedup_by(|a, b| a.column == b.column);
    for target in names {
        let Some(cells) = read(&target.column, &target.places)? else { continue };
        for ((cut, by), counted) in cuts.iter().zip(&by).zip(&mut all) {
            let at = cut.targets.iter().position(|other| other.column == target.column);
            if let (Some(at), Some(by)) = (at, by) {
                counted.targets[at] = Some(cross(by, &cells, (cut.places.cells(), target.places.cells())));
            }
        }
    }
    Ok(all)
}

/// Rows by the cells of two columns.
fn cross(by: &[u8], of: &[u8], (slices, cells): (usize, usize)) -> Counts {
    let mut counts = vec![vec![0; cells]; slices];
    for (slice, cell) in by.iter().zip(of).filter(|(slice, cell)| **slice != NONE && **cell != NONE) {
        if let Some(count) = counts.get_mut(usize::from(*slice)).and_then(|of| of.get_mut(usize::from(*cell))) {
            *count += 1;
        }
    }
    counts
}

/// Lays the slices of new data over those of a reference.
pub(super) fn beside(
    cuts: &[Cut],
    (table, right): (&dyn Table, Option<&[u8]>),
    (judgement, policy): (&Judgement, &Policy),
    outcome: &mut Outcome,
) {
    let broken = |name: &str| judgement.columns.iter().any(|column| column.name == name && column.broken);
    // What cannot be read is told as such where the columns are.
    let Ok(now) = counts(cuts, table, right, &mut |_| Ok(())) else { return };
    let (mut parts, mut lost) = (Vec::new(), Vec::new());
    for (cut, now) in cuts.iter().zip(&now).filter(|(cut, _)| !broken(&cut.column)) {
        let named = || (0..cut.places.cells()).filter(|slice| !cut.places.is_rest(*slice));
        for (target, current) in cut.targets.iter().zip(&now.targets).filter(|(target, _)| !broken(&target.column)) {
            let of = named().filter_map(|slice| part(cut, target, current.as_ref()?, slice));
            parts.extend(of);
        }
        if let (Some(before), Some(now)) = (&cut.right, &now.right) {
            let all = Sides::new(sum(before), sum(now));
            lost.extend(named().filter_map(|slice| loss((cut, slice), (before.get(slice)?, now.get(slice)?), all, policy)));
        }
    }
    let mut moved = slices(&parts, table.rows(), policy);
    moved.iter_mut().for_each(|slice| stands_out(slice, judgement));
    moved.sort_by_key(|slice| std::cmp::Reverse(slice.status));
    outcome.sliced = moved.len() + lost.len();
    moved.truncate(SHOWN);
    outcome.slices = moved;
    if outcome.cause != Some(Cause::Upstream) {
        outcome.losses = judged(lost, policy);
    }
}

/// A column that moved everywhere moved in no slice of its own.
fn stands_out(slice: &mut Slice, judgement: &Judgement) {
    let whole = judgement.columns.iter().find(|column| column.name == slice.target).and_then(|column| column.figures.psi);
    if slice.psi <= whole.unwrap_or(0.0) + slice.psi_crit999 {
        slice.status = Status::Ok;
    }
}

fn part(cut: &Cut, target: &Target, current: &Counts, slice: usize) -> Option<Part> {
    Some(Part {
        target: target.column.clone(),
        column: cut.column.clone(),
        level: cut.places.label(slice),
        reference: target.counts.get(slice)?.clone(),
        current: current.get(slice)?.clone(),
    })
}

/// Right answers among all of these rows.
fn sum(counts: &Counts) -> Share {
    let of = |cell: usize| counts.iter().filter_map(|slice| slice.get(cell)).sum::<u64>();
    Share { rows: of(1), of: of(0) + of(1) }
}

/// What a slice lost, if it has enough rows; its chance is that of losing so much more than all other rows.
fn loss((cut, slice): (&Cut, usize), (before, now): (&[u64], &[u64]), all: Sides<Share>, policy: &Policy) -> Option<Loss> {
    let part = |of: &[u64]| Some(Share { rows: *of.get(1)?, of: of.iter().sum() });
    let own = Sides::new(part(before)?, part(now)?);
    (own.reference.of.min(own.current.of) >= policy.min_rows).then_some(())?;
    let change = concept::accuracy(own.reference, own.current, policy);
    let rest = |all: Share, own: Share| Share { rows: all.rows.saturating_sub(own.rows), of: all.of.saturating_sub(own.of) };
    let others = Sides::new(rest(all.reference, own.reference), rest(all.current, own.current));
    let coverage = share(own.current.of, all.current.of);
    let level = cut.places.label(slice);
    let words = format!("{}: {}", place(&cut.column, &level, coverage), change.why);
    let change = Change { p: Some(beyond(own, others)), ..change };
    Some(Loss { column: cut.column.clone(), level, coverage, q: None, words, change })
}

/// The chance that rows lose so much more than others when both lose alike: the difference of two differences of shares, by the normal
/// law, each share with one row more of either kind (Agresti and Caffo 2000) so that none is sure.
fn beyond(own: Sides<Share>, others: Sides<Share>) -> f64 {
    let adjusted = |part: Share| {
        let (rows, of) = (part.rows as f64 + 1.0, part.of as f64 + 2.0);
        (rows / of, rows / of * (1.0 - rows / of) / of)
    };
    let lost = |sides: Sides<Share>| {
        let (before, now) = (adjusted(sides.reference), adjusted(sides.current));
        (before.0 - now.0, before.1 + now.1)
    };
    let (own, others) = (lost(own), lost(others));
    let z = (own.0 - others.0) / (own.1 + others.1).sqrt();
    // A share with rows of both kinds has a spread, so that z is a number.
    let two = normal_two_sided(z).unwrap_or(1.0);
    if z > 0.0 { two / 2.0 } else { 1.0 - two / 2.0 }
}

/// The slices that lost most, as a family of tests: what chance may have made is `ok`.
fn judged(mut all: Vec<Loss>, policy: &Policy) -> Vec<Loss> {
    let p: Vec<f64> = all.iter().map(|loss| loss.change.p.unwrap_or(1.0)).collect();
    let q = benjamini_hochberg(&p).unwrap_or_else(|| vec![1.0; p.len()]);
    for (loss, q) in all.iter_mut().zip(q) {
        loss.q = Some(q);
        if q >= policy.alpha || !loss.change.status.moved() {
            loss.change.status = Status::Ok;
        }
    }
    let key = |loss: &Loss| (loss.column.clone(), loss.level.clone());
    all.sort_by(|a, b| {
        let by = |loss: &Loss| loss.change.change.unwrap_or(0.0);
        b.change.status.cmp(&a.change.status).then_with(|| by(b).total_cmp(&by(a))).then_with(|| key(a).cmp(&key(b)))
    });
    all.truncate(SHOWN);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_is_held_against_the_other_rows() {
        let of = |own: [(u64, u64); 2], others: [(u64, u64); 2]| {
            let sides = |[before, now]: [(u64, u64); 2]| {
                Sides::new(Share { rows: before.0, of: before.1 }, Share { rows: now.0, of: now.1 })
            };
            beyond(sides(own), sides(others))
        };
        // Python: z = (d1 - d2) / sqrt(v1 + v2) of shares (k + 1)/(n + 2) with v = p(1 - p)/(n + 2); erfc(z / sqrt 2) / 2.
        let far = of([(90, 100), (60, 100)], [(900, 1000), (880, 1000)]);
        assert!((far / 1.772_036_997_593_079e-6 - 1.0).abs() < 1e-9, "{far}");
        let alike = of([(90, 100), (60, 100)], [(900, 1000), (600, 1000)]);
        assert!((0.4..0.6).contains(&alike), "{alike}");
        assert!(of([(60, 100), (90, 100)], [(900, 1000), (880, 1000)]) > 0.999);
        assert!(of([(5, 5), (5, 5)], [(0, 0), (0, 0)]).is_finite());
    }
}
