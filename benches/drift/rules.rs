//! What each rule says of a table: kf's own, the specification's literally, and Evidently's default.

use crate::draw::Column;
use kf::domain::drift::evidently::{self, DATASET_SHARE, Method};
use kf::domain::drift::figures::{ColumnComparison, Compared, Figures, Role};
use kf::domain::drift::levels::Levels;
use kf::domain::drift::policy::{Policy, Rule, Status};
use kf::domain::drift::profile::Numeric;
use kf::domain::drift::verdict::judge;
use kf::stats::ordered::Ordered;

/// The rules, in the order of [`says`].
pub(crate) const RULES: [&str; 5] = [
    "kf: monitor or more",
    "kf: warning or more",
    "specification: warning or more",
    "Evidently: a column",
    "Evidently: the data set",
];

/// Whether each rule says that the table drifted.
pub(crate) fn says(table: &[Column]) -> [bool; RULES.len()] {
    let compared: Vec<ColumnComparison> = table.iter().enumerate().filter_map(|(at, c)| compared(at, c)).collect();
    let spec = Policy { rule: Rule::Spec, ..Policy::default() };
    let literally = judge(compared.clone(), &spec).status;
    let own = judge(compared, &Policy::default()).status;
    let drifted = table.iter().filter(|c| by_evidently(c)).count();
    [
        own.weight() >= Status::Monitor,
        own.weight() >= Status::Warning,
        literally.weight() >= Status::Warning,
        drifted > 0,
        drifted as f64 / table.len() as f64 >= DATASET_SHARE,
    ]
}

fn compared(at: usize, column: &Column) -> Option<ColumnComparison> {
    let figures = match column {
        Column::Numbers(reference, current) => {
            let cells = |values: &[f64]| values.iter().copied().map(Some).collect::<Vec<_>>();
            let reference = Numeric::of(cells(reference), None)?;
            let current = Numeric::of(cells(current), Some(reference.histogram().edges()))?;
            Figures::of_numbers(&reference, &current)?
        }
        Column::Levels(reference, current) => {
            let counted = |side: &[usize]| {
                let mut levels = Levels::default();
                side.iter().for_each(|level| levels.add(Some(&level.to_string()), 1));
                levels
            };
            Figures::of_levels(&counted(reference), &counted(current))
        }
    };
    let compared = Compared::Values(Box::new(figures));
    Some(ColumnComparison { name: at.to_string(), role: Role::Feature, compared })
}

/// By its default for the column; what it cannot compute is no drift there.
fn by_evidently(column: &Column) -> bool {
    let (method, score) = match column {
        Column::Numbers(reference, current) => {
            let Some((r, c)) = Ordered::of(reference.clone()).zip(Ordered::of(current.clone())) else { return false };
            let method = Method::of_numbers(r.rows(), evidently::distinct(&r, &c));
            let whole = |side: &[f64]| side.iter().all(|v| v.fract() == 0.0);
            (method, evidently::numbers(method, &r, &c, whole(reference) && whole(current)))
        }
        Column::Levels(reference, current) => {
            let levels = reference.iter().chain(current).max().map_or(0, |most| most + 1);
            let counted = |side: &[usize]| {
                let mut counts = vec![0_u64; levels];
                side.iter().for_each(|level| counts[*level] += 1);
                counts
            };
            let (r, c): (Vec<u64>, Vec<u64>) =
                counted(reference).into_iter().zip(counted(current)).filter(|(r, c)| r + c > 0).unzip();
            let method = Method::of_levels(reference.len() as u64, r.len());
            (method, evidently::levels(method, &r, &c))
        }
    };
    score.is_some_and(|score| method.drifted(score))
}
