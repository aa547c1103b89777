//! What is measured of a column before anything is judged: the numbers that a verdict rests on and a report shows.
//!
//! Small whatever the rows, so that columns can be compared one after the other and judged together. All numbers are finite; what
//! cannot be had is absent. Field names are those of the JSON reports.

use super::bins::Histogram;
use super::compare::{self, Cells};
use super::levels::{Laid, Levels};
use super::profile::Numeric;
use super::texts::Moved;
use super::why;
use crate::base::name::words;
use crate::stats::ordered::Ordered;
use crate::stats::smirnov::Smirnov;
use crate::stats::wasserstein::Scale;
use serde::{Deserialize, Serialize};

/// One thing of the reference and of the current data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sides<T> {
    /// Of what the model was accepted on.
    pub reference: T,
    /// Of the new data.
    pub current: T,
}

impl<T> Sides<T> {
    /// Both.
    pub fn new(reference: T, current: T) -> Self {
        Self { reference, current }
    }

    /// Both changed alike.
    pub fn map<U>(self, f: impl Fn(T) -> U) -> Sides<U> {
        Sides { reference: f(self.reference), current: f(self.current) }
    }
}

words! {
    /// What the values of a column are compared as.
    Kind, "kind" {
        /// Numbers or times.
        Numeric = "numeric",
        /// Words of which some repeat.
        Categorical = "categorical",
        /// Texts.
        Text = "text",
        /// Vectors.
        Embedding = "embedding",
    }
}

words! {
    /// What an effect size is.
    Measure, "measure" {
        /// The Wasserstein distance over a scale of the reference.
        Wasserstein = "wasserstein",
        /// Cramér's V.
        CramersV = "cramers-v",
        /// The maximum mean discrepancy.
        Mmd = "mmd",
        /// The area under the curve of a classifier that tells the sides apart.
        Auc = "auc",
    }
}

words! {
    /// What a distance is divided by, all of the reference.
    Unit, "unit" {
        /// The interquartile range over that of a standard normal distribution.
        MiddleHalf = "middle-half",
        /// The standard deviation.
        StandardDeviation = "standard-deviation",
        /// The magnitude of the median.
        Median = "median",
    }
}

/// How large a difference is, whatever the number of rows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// What it is.
    pub measure: Measure,
    /// Its size.
    pub value: f64,
    /// What a distance was divided by.
    pub unit: Option<Unit>,
}

/// The test of Kolmogorov and Smirnov: a second opinion, in no family.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shape {
    /// D, 0 to 1.
    pub statistic: f64,
    /// Where it is reached, in the unit of the values.
    pub at: f64,
    /// Whether the current data lie lower there.
    pub current_lower: bool,
    /// Its p-value.
    pub p: f64,
    /// The least and the greatest that the p-value can be when a side is a stored grid; both `p` when both are exact.
    pub p_range: (f64, f64),
}

impl Shape {
    /// Of a test as it was computed.
    pub fn of(test: Smirnov) -> Self {
        let Smirnov { statistic, at, current_lower, p_value, p_range, .. } = test;
        Self { statistic, at, current_lower, p: p_value, p_range }
    }
}

/// One cell of both distributions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// Its range or level in words: `> 120.5`, `DE`.
    pub label: String,
    /// Its rows lie above this, in the unit of the values; absent where it is open, and for levels.
    pub low: Option<f64>,
    /// Its rows lie at or below this, likewise.
    pub high: Option<f64>,
    /// Its rows on both sides.
    pub rows: Sides<u64>,
    /// What it adds to the index, with the sign of the change of its share.
    pub term: f64,
}

/// The shape of a sample in a few numbers, in the unit of the values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Mean; absent beyond `f64`.
    pub mean: Option<f64>,
    /// Standard deviation; absent for one row.
    pub sd: Option<f64>,
    /// Its quantiles at [`QUANTILES`].
    pub quantiles: Vec<f64>,
}

/// The quantiles of a [`Sample`].
pub const QUANTILES: [f64; 7] = [0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0];

/// A further effect beside its limit, of columns that are compared in more than one way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sign {
    /// What was measured.
    pub name: String,
    /// Its size.
    pub value: f64,
    /// What it must be above.
    pub limit: f64,
    /// The chance of it when nothing drifted.
    pub p: f64,
    /// How often the limit is passed at these rows when nothing drifted, where there is a law.
    pub false_alarms: Option<f64>,
    /// Whether it is above, and for the calibrated rule not by chance alone.
    pub passed: bool,
}

/// Current data with a single value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Constant {
    /// The value in words.
    pub value: String,
    /// Rows of the reference that have it.
    pub reference: u64,
}

/// Current values beyond the least and the greatest of the reference.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outside {
    /// The reference's least value.
    pub least: f64,
    /// The reference's greatest value.
    pub greatest: f64,
    /// Current rows below the least.
    pub below: u64,
    /// Current rows above the greatest.
    pub above: u64,
}

/// Levels on both sides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Variety {
    /// How many there are.
    pub levels: Sides<u64>,
    /// How many only the current data have.
    pub unseen: u64,
    /// The current rows of these.
    pub unseen_rows: u64,
    /// The largest of these with their current rows.
    pub largest: Vec<(String, u64)>,
    /// Rows of levels that the reference has once or twice: what an unseen level is measured by.
    pub rare: u64,
    /// How many only the reference has.
    pub gone: u64,
    /// Present when every level is too rare to be compared on its own, so that nothing was: with so many rows on each side the
    /// largest would not be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lumped: Option<u64>,
}

/// The numbers of a column. Empty for one that could not be compared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// What it was compared as.
    pub kind: Option<Kind>,
    /// All rows.
    pub rows: Sides<u64>,
    /// Rows of the reference that hold a value.
    pub n_ref: u64,
    /// Rows of the current data that hold a value.
    pub n_cur: u64,
    /// Rows without.
    pub nulls: Sides<u64>,
    /// Rows that are NaN or infinite.
    pub not_finite: Sides<u64>,
    /// Rows whose text is no value of the column's kind.
    pub bad: Sides<u64>,
    /// The population stability index.
    pub psi: Option<f64>,
    /// What it is expected to be when nothing drifted.
    pub psi_null: Option<f64>,
    /// What it passes once in a thousand when nothing drifted.
    pub psi_crit999: Option<f64>,
    /// How many cells its law counts.
    pub psi_cells: usize,
    /// KL(current ‖ reference), in nats.
    pub kl: Option<f64>,
    /// The Jensen–Shannon distance, in nats.
    pub js: Option<f64>,
    /// The Hellinger distance.
    pub hellinger: Option<f64>,
    /// The p-value of the primary test. Of numbers by the law of the index; of levels the larger of that and of the table's test: far
    /// out, at 5e-5, either alone comes up to three times too often where levels are rare, both together never too often. Of vectors
    /// by the discrepancy.
    pub p: Option<f64>,
    /// The effect size.
    pub effect: Option<Effect>,
    /// By how much a distance may be off because the reference is a stored profile, in the same unit; absent when it is exact, the
    /// largest number when nothing is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect_error: Option<f64>,
    /// Further effects; any that passed flags the column.
    pub signs: Vec<Sign>,
    /// Kolmogorov and Smirnov's test.
    pub shape: Option<Shape>,
    /// Both distributions.
    pub cells: Vec<Cell>,
    /// Both samples in a few numbers.
    pub samples: Option<Sides<Sample>>,
    /// Present when the current data have one value and the reference more.
    pub constant: Option<Constant>,
    /// Present for numbers on both sides.
    pub outside: Option<Outside>,
    /// Present for levels.
    pub variety: Option<Variety>,
    /// What the cells are by themselves on both sides, when that changed and they can be read as before nevertheless.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<Sides<String>>,
    /// Texts that moved; none where nothing did.
    pub texts: Vec<Moved>,
}

impl Figures {
    /// Those of two numeric columns. `None` when they are not counted in the same cells.
    pub fn of_numbers(reference: &Numeric, current: &Numeric) -> Option<Self> {
        let found = compare::numbers(reference, current)?;
        let sides = Sides::new(reference, current);
        let effect = found.moved.and_then(|moved| moved.scaled).map(|(value, scale)| Effect {
            measure: Measure::Wasserstein,
            value,
            unit: Some(unit(scale)),
        });
        let error = found.moved.filter(|moved| moved.scaled.is_some()).map(|moved| moved.scaled_error.min(f64::MAX));
        let pair = reference.sample().zip(current.sample());
        let figures = Self {
            kind: Some(Kind::Numeric),
            rows: sides.map(Numeric::rows),
            n_ref: reference.finite,
            n_cur: current.finite,
            nulls: sides.map(|side| side.nulls),
            not_finite: sides.map(|side| side.nan.saturating_add(side.infinite)),
            effect,
            effect_error: error.filter(|off| *off > 0.0),
            shape: found.smirnov.map(Shape::of),
            cells: ranges(reference.histogram(), current.histogram(), found.cells.as_ref()),
            samples: pair.and_then(|(r, c)| Some(Sides::new(sample(reference, r)?, sample(current, c)?))),
            constant: pair.and_then(|(r, c)| constant(r, c)),
            outside: pair.map(|(r, c)| outside(r, c)),
            ..Self::default()
        };
        Some(figures.with_distances(found.cells))
    }

    /// Those of two categorical columns.
    pub fn of_levels(reference: &Levels, current: &Levels) -> Self {
        let found = compare::levels(reference, current);
        let sides = Sides::new(reference, current);
        let effect = found.contingency.map(|test| Effect { measure: Measure::CramersV, value: test.cramers_v, unit: None });
        let names = found.laid.names.iter().map(String::as_str).chain([why::OTHERS]);
        let term = |at| found.cells.as_ref().map_or(0.0, |cells| cells.psi.terms[at]);
        let rows = found.laid.reference.iter().zip(&found.laid.current).map(|(r, c)| Sides::new(*r, *c));
        let cells = names.zip(rows).enumerate().map(|(at, (name, rows))| Cell {
            label: why::level(name),
            low: None,
            high: None,
            rows,
            term: why::signed(term(at), rows, Sides::new(reference.rows(), current.rows())),
        });
        let figures = Self {
            kind: Some(Kind::Categorical),
            rows: sides.map(|side| side.rows().saturating_add(side.nulls())),
            n_ref: reference.rows(),
            n_cur: current.rows(),
            nulls: sides.map(Levels::nulls),
            effect,
            cells: cells.filter(|cell| cell.rows != Sides::new(0, 0)).collect(),
            constant: only_level(reference, current),
            variety: Some(variety(reference, current, &found.laid)),
            ..Self::default()
        };
        let lumped = figures.variety.as_ref().is_some_and(|variety| variety.lumped.is_some());
        if lumped {
            return Self { effect: None, cells: vec![], ..figures };
        }
        let figures = figures.with_distances(found.cells);
        let p = figures.p.zip(found.contingency).map(|(p, test)| p.max(test.p_value));
        Self { p, ..figures }
    }

    /// The same, knowing how many cells of each side were there and could not be read; they were counted as nulls.
    #[must_use]
    pub fn with_bad(mut self, bad: Sides<u64>) -> Self {
        self.nulls.reference = self.nulls.reference.saturating_sub(bad.reference);
        self.nulls.current = self.nulls.current.saturating_sub(bad.current);
        // Vectors have found some themselves.
        self.bad = Sides::new(self.bad.reference.saturating_add(bad.reference), self.bad.current.saturating_add(bad.current));
        self
    }

    fn with_distances(self, cells: Option<Cells>) -> Self {
        let Some(cells) = cells else { return self };
        Self {
            psi: Some(cells.psi.value),
            psi_null: Some(cells.psi.bias()),
            psi_crit999: cells.psi.critical(RARE),
            psi_cells: cells.psi.cells,
            kl: Some(cells.kullback_leibler),
            js: Some(cells.jensen_shannon),
            hellinger: Some(cells.hellinger),
            p: Some(cells.psi.p_value),
            ..self
        }
    }
}

words! {
    /// What a column is to the model.
    Role, "role" {
        /// What it sees.
        Feature = "feature",
        /// What it says.
        Prediction = "prediction",
        /// What would have been right.
        Label = "label",
    }
}

/// A column laid over its reference.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnComparison {
    /// Its name.
    pub name: String,
    /// What it is to the model.
    pub role: Role,
    /// What came of it.
    pub compared: Compared,
}

/// What came of laying a column over its reference.
#[derive(Clone, Debug, PartialEq)]
pub enum Compared {
    /// Both sides have it.
    Values(Box<Figures>),
    /// Only the reference has it.
    Missing,
    /// Only the current data have it.
    New,
    /// It is something else now, both in words: `numbers`, `texts`; `vectors of 384`, `vectors of 768`; the names of two models.
    Retyped(Sides<String>),
    /// It could not be read or compared; says why.
    Error(String),
}

/// How often the critical value that is shown is passed when nothing drifted.
pub const RARE: f64 = 0.001;
/// Unseen levels that are named.
const NAMED: usize = 5;

fn unit(scale: Scale) -> Unit {
    match scale {
        Scale::MiddleHalf => Unit::MiddleHalf,
        Scale::StandardDeviation => Unit::StandardDeviation,
        Scale::Median => Unit::Median,
    }
}

fn sample(column: &Numeric, ordered: &Ordered) -> Option<Sample> {
    let quantiles = QUANTILES.iter().map(|q| ordered.quantile(*q)).collect::<Option<_>>()?;
    let moments = column.moments();
    Some(Sample { mean: moments.map(|m| m.mean), sd: moments.and_then(|m| m.sd()), quantiles })
}

fn ranges(reference: &Histogram, current: &Histogram, found: Option<&Cells>) -> Vec<Cell> {
    let all = Sides::new(reference, current).map(|side| side.counts().iter().sum());
    let counts = reference.counts().iter().zip(current.counts());
    let cells = counts.enumerate().map(|(at, (r, c))| {
        let (low, high) = reference.range(at);
        let (rows, term) = (Sides::new(*r, *c), found.map_or(0.0, |cells| cells.psi.terms[at]));
        Cell { label: why::range(low, high), low, high, rows, term: why::signed(term, rows, all) }
    });
    cells.collect()
}

fn constant(reference: &Ordered, current: &Ordered) -> Option<Constant> {
    let [(value, _)] = *current.points() else { return None };
    let same = reference.at_most(value) - reference.below(value);
    (same < reference.rows()).then(|| Constant { value: why::number(value), reference: same })
}

fn only_level(reference: &Levels, current: &Levels) -> Option<Constant> {
    let (level, rows) = current.counts().next().filter(|_| current.counts().len() == 1)?;
    let same = reference.counts().find(|(name, _)| *name == level).map_or(0, |(_, rows)| rows);
    let constant = rows == current.rows() && same < reference.rows();
    constant.then(|| Constant { value: why::level(level), reference: same })
}

fn outside(reference: &Ordered, current: &Ordered) -> Outside {
    let ends = |points: &[(f64, u64)]| (points[0].0, points[points.len() - 1].0);
    let (least, greatest) = ends(reference.points());
    // Of a stored grid only what is surely outside counts.
    let below = current.below(least).saturating_sub(current.slack());
    let above = (current.rows() - current.at_most(greatest)).saturating_sub(current.slack());
    Outside { least, greatest, below, above }
}

fn variety(reference: &Levels, current: &Levels, laid: &Laid) -> Variety {
    let count = |levels: &Levels| levels.counts().len() as u64;
    let unseen = &laid.unseen;
    let smaller = reference.rows().min(current.rows());
    let alone = count(reference) == 1 && count(current) == 1 && laid.gone == 0;
    let lumped = laid.needed.filter(|rows| smaller > 0 && *rows > smaller && !alone);
    Variety {
        levels: Sides::new(count(reference), count(current)),
        unseen: unseen.len() as u64,
        unseen_rows: unseen.iter().map(|(_, rows)| rows).sum(),
        largest: unseen.iter().take(NAMED).map(|(name, rows)| (why::level(name), *rows)).collect(),
        rare: reference.counts().map(|(_, rows)| rows).filter(|rows| *rows <= 2).sum(),
        gone: laid.gone as u64,
        lumped,
    }
}
