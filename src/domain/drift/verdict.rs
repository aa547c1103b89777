//! The verdict on a table: every column, what broke upstream, and the sum.
//!
//! One family of tests: the primary test of each column with enough rows and every share that there is anything of, adjusted
//! together ([`Policy::strict`] chooses how). Under [`Rule::Calibrated`] a band counts only when the index is above what it passes
//! once in a thousand without drift and its adjusted chance is below [`Policy::alpha`]; a column is `ok` only if a band would have
//! shown. So all columns together are wrong about once in two hundred checks whatever their number and rows.
//!
//! Upstream first: a column that broke before the model (`upstream::What::breaks`) keeps its index, its `band` and its finding, and sets
//! no band of data drift: what moved there is the pipe, not the world.

use super::change::{could_decide, rows_for};
use super::figures::{ColumnComparison, Compared, Figures, Kind, RARE, Role, Sides};
use super::outcome::Outcome;
use super::policy::{Policy, Rule, Status};
use super::upstream::{self, Finding, Suspect};
use super::why::{self, rows_of};
use crate::base::text::{count, group};
use crate::stats::divergence::psi_false_alarms;
use crate::stats::multiplicity::{benjamini_hochberg, holm};
use crate::stats::tail::chi_squared_critical;
use serde::{Deserialize, Serialize};

/// How often thresholds of the index are passed at these rows when nothing drifted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FalseAlarms {
    /// That of `monitor`.
    pub monitor: f64,
    /// That of `warning`.
    pub warning: f64,
}

/// A column and what is said of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// Its name.
    pub name: String,
    /// What it is to the model.
    pub role: Role,
    /// What is said of it, findings included.
    pub status: Status,
    /// What its values alone say; absent when nothing could be compared.
    pub band: Option<Status>,
    /// True when it broke upstream, so that its band is shown and not counted.
    pub broken: bool,
    /// True when its index, its divergence or another sign is above its limit, and chance did not do it (where the rule asks).
    pub flagged: bool,
    /// The chance `p`, adjusted for all tests of the check.
    pub q: Option<f64>,
    /// How often thresholds would be passed at these rows without drift.
    pub false_alarms: Option<FalseAlarms>,
    /// Rows of both sides with which it could be decided, when it could not.
    pub needed: Option<Sides<u64>>,
    /// Why, in one sentence.
    pub why: String,
    /// The cells that changed most, the largest first; none of a column that is ok.
    pub moved: Vec<String>,
    /// The numbers.
    #[serde(flatten)]
    pub figures: Figures,
}

/// How many tests of one kind were made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tested {
    /// `psi`, `text`, `embedding` or the word of a finding.
    pub test: String,
    /// How many.
    pub tests: usize,
}

/// What is said of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// The sum, upstream included.
    pub status: Status,
    /// What broke upstream.
    pub upstream: Status,
    /// Drift of features and labels.
    pub data: Status,
    /// Drift of predictions; absent without such a column.
    pub prediction: Option<Status>,
    /// How often the model is right; absent without labels and predictions.
    #[serde(default)]
    pub accuracy: Option<Status>,
    /// Why, in one sentence.
    pub reason: String,
    /// Columns of which nothing can be said yet.
    pub undecided: usize,
    /// All tests that were looked at.
    pub family: usize,
    /// Which those are.
    pub tests: Vec<Tested>,
    /// `benjamini-hochberg` or `holm`.
    pub adjustment: String,
    /// What numbers were held against.
    pub policy: Policy,
    /// What broke upstream, the heaviest first.
    pub findings: Vec<Finding>,
    /// The columns in the order given.
    pub columns: Vec<Judged>,
    /// What columns say together; absent when nothing was asked for.
    #[serde(default)]
    pub outcome: Option<Box<Outcome>>,
}

impl Judgement {
    /// Whether the new data has none of the columns that are compared: most likely it is another file.
    pub fn is_of_other_data(&self) -> bool {
        other_data(&self.columns).is_some()
    }
}

/// Judges all columns of a table together.
pub fn judge(columns: Vec<ColumnComparison>, policy: &Policy) -> Judgement {
    let suspects: Vec<Suspect> = columns.iter().enumerate().flat_map(|(at, column)| upstream::suspects(at, column)).collect();
    let primary: Vec<(usize, f64)> = columns.iter().enumerate().filter_map(|(at, c)| Some((at, primary(c, policy)?))).collect();
    let p: Vec<f64> = primary.iter().map(|(_, p)| *p).chain(suspects.iter().map(|suspect| suspect.p)).collect();
    let adjusted = if policy.strict { holm(&p) } else { benjamini_hochberg(&p) };
    let q = adjusted.unwrap_or_else(|| vec![1.0; p.len()]);
    let tests = tested(&columns, &primary, &suspects);
    let mut of_columns = vec![None; columns.len()];
    primary.iter().zip(&q).for_each(|((at, _), q)| of_columns[*at] = Some(*q));
    let judged = suspects.into_iter().zip(&q[primary.len()..]).filter_map(|(suspect, q)| {
        let name = suspect.column.map(|at| columns[at].name.as_str());
        Some((suspect.column, suspect.judged(name, *q, policy)?))
    });
    let facts = columns.iter().enumerate().filter_map(|(at, column)| Some((Some(at), upstream::fact(column)?)));
    let mut findings: Vec<(Option<usize>, Finding)> = judged.chain(facts).collect();
    findings.sort_by(|(_, a), (_, b)| (b.status, a.what, &a.column).cmp(&(a.status, b.what, &b.column)));
    let family = p.len();
    let columns = columns.into_iter().zip(of_columns).enumerate().map(|(at, (column, q))| {
        let own = findings.iter().filter(|(of, _)| *of == Some(at)).map(|(_, finding)| finding);
        Column { column, q, findings: own.collect() }.judged(family, policy)
    });
    let columns: Vec<Judged> = columns.collect();
    let findings = findings.into_iter().map(|(_, finding)| finding).collect();
    summed(columns, findings, tests, family, policy)
}

/// The chance that is tested: of a column with enough rows.
fn primary(column: &ColumnComparison, policy: &Policy) -> Option<f64> {
    let Compared::Values(figures) = &column.compared else { return None };
    let enough = figures.n_ref.min(figures.n_cur) >= least_rows(policy);
    figures.p.filter(|p| enough && (0.0..=1.0).contains(p))
}

/// Rows of either side below which nothing is said.
pub(super) fn least_rows(policy: &Policy) -> u64 {
    match policy.rule {
        Rule::Calibrated => policy.min_rows.max(1),
        Rule::Spec => 1,
    }
}

fn tested(columns: &[ColumnComparison], primary: &[(usize, f64)], suspects: &[Suspect]) -> Vec<Tested> {
    let of_column = |at: usize| match &columns[at].compared {
        Compared::Values(figures) => {
            figures.kind.filter(|kind| matches!(kind, Kind::Text | Kind::Embedding)).map_or("psi", Kind::word)
        }
        _ => "psi",
    };
    let names = primary.iter().map(|(at, _)| of_column(*at)).chain(suspects.iter().map(|suspect| suspect.what.word()));
    let mut tests: Vec<Tested> = Vec::new();
    for name in names {
        match tests.iter_mut().find(|tested| tested.test == name) {
            Some(tested) => tested.tests += 1,
            None => tests.push(Tested { test: name.to_owned(), tests: 1 }),
        }
    }
    tests.sort_by(|a, b| a.test.cmp(&b.test));
    tests
}

/// One column on its way to a verdict.
struct Column<'a> {
    column: ColumnComparison,
    q: Option<f64>,
    findings: Vec<&'a Finding>,
}

/// What the values of a column say.
struct Band {
    status: Status,
    flagged: bool,
    needed: Option<Sides<u64>>,
    why: String,
}

impl Column<'_> {
    fn judged(self, family: usize, policy: &Policy) -> Judged {
        let Self { column: ColumnComparison { name, role, compared }, q, findings } = self;
        let heaviest = findings.first().map_or(Status::Ok, |finding| finding.status);
        let broken = findings.iter().any(|finding| finding.what.breaks() && finding.status >= Status::Warning);
        let said: Vec<&str> = findings.iter().map(|finding| finding.words.as_str()).collect();
        let (status, figures) = match compared {
            Compared::Values(figures) => (None, *figures),
            Compared::Missing => (Some(Status::Missing), Figures::default()),
            Compared::New => (Some(Status::New), Figures::default()),
            Compared::Retyped(_) => (Some(Status::Retyped), Figures::default()),
            Compared::Error(_) => (Some(Status::Error), Figures::default()),
        };
        if let Some(status) = status {
            let why = said.join("; ");
            let broken = status != Status::New;
            return Judged {
                name,
                role,
                status,
                band: None,
                broken,
                flagged: false,
                q,
                false_alarms: None,
                needed: None,
                why,
                moved: vec![],
                figures,
            };
        }
        let band = band(&figures, q, family, policy);
        let of_values = if broken { Status::Ok } else { band.status };
        let moved = if band.status.moved() { why::most_moved(&name, &figures) } else { vec![] };
        let texts = moved.first().and_then(|_| why::texts(&figures));
        let why =
            said.into_iter().map(str::to_owned).chain([band.why]).chain(moved.first().cloned()).chain(texts).collect::<Vec<_>>();
        Judged {
            status: of_values.max(heaviest),
            band: Some(band.status),
            flagged: band.flagged,
            false_alarms: false_alarms(&figures, policy),
            needed: band.needed,
            name,
            role,
            broken,
            q,
            why: why.join("; "),
            moved,
            figures,
        }
    }
}

/// The band of a column's values, or why there is none.
fn band(figures: &Figures, q: Option<f64>, family: usize, policy: &Policy) -> Band {
    let open = |why: String, needed| Band { status: Status::Inconclusive, flagged: false, needed, why };
    let (least, values) = (least_rows(policy), Sides::new(figures.n_ref, figures.n_cur));
    let index = figures.psi.filter(|psi| psi.is_finite()).zip(figures.psi_crit999);
    let fewest = figures.n_ref.min(figures.n_cur);
    let lumped = figures.variety.as_ref().and_then(|variety| variety.lumped);
    if let Some(rows) = lumped.filter(|_| fewest >= least) {
        let needed = values.map(|now| now.max(rows));
        return open(format!("each of its levels is too rare to be compared{}", could_decide(Some(needed))), Some(needed));
    }
    if values == Sides::new(0, 0) && figures.rows.reference > 0 && figures.rows.current > 0 {
        return Band { status: Status::Ok, flagged: false, needed: None, why: "empty on both sides".to_owned() };
    }
    if index.is_none() && figures.p.is_none() && (fewest == 0 || fewest >= least) {
        return open("no values to compare".to_owned(), None);
    }
    if fewest < least {
        let needed = values.map(|rows| rows.max(least));
        return open(format!("{} hold a value, {least} are the least", rows_of(values)), Some(needed));
    }
    let signs = why::signs(figures);
    let (psi, critical) = index.unwrap_or((0.0, 0.0));
    let flagged = psi > policy.psi_flag || figures.kl.is_some_and(|kl| kl > policy.kl_flag) || !signs.is_empty();
    let status = policy.psi.of(psi).max(if flagged { Status::Warning } else { Status::Ok });
    let parts = index
        .map(|(psi, _)| format!("PSI {psi:.3}"))
        .into_iter()
        .chain(figures.kl.filter(|_| figures.kind == Some(Kind::Embedding)).map(|kl| {
            // Of vectors the specification names the rule by these two numbers.
            format!("KL {kl:.3} (drift is PSI > {} or KL > {})", policy.psi_flag, policy.kl_flag)
        }))
        .chain((!signs.is_empty()).then(|| why::passed(&signs)));
    let said = parts.collect::<Vec<_>>().join(", ");
    let said = if said.is_empty() { "no effect passed its limit".to_owned() } else { said };
    if policy.rule == Rule::Spec {
        return Band { status, flagged, needed: None, why: said };
    }
    let surely = (psi > critical || !signs.is_empty()) && q.is_some_and(|q| q < policy.alpha);
    let least_seen = least_seen(figures, policy);
    if surely || (status == Status::Ok && critical < least_seen) {
        let chance = index.map_or(String::new(), |(_, critical)| format!("; once in a thousand chance makes PSI {critical:.3}"));
        return Band { status, flagged: flagged && surely, needed: None, why: said + &chance };
    }
    let (level, threshold) =
        if status == Status::Ok { (RARE, least_seen) } else { (RARE.min(policy.alpha / family.max(1) as f64), psi) };
    let needed = needed(figures, level, threshold);
    open(format!("{said} may be chance with {}{}", rows_of(values), could_decide(needed)), needed)
}

/// The index that must have shown before a column is called ok: of vectors and texts, which are not judged by it alone, that of the
/// flag.
fn least_seen(figures: &Figures, policy: &Policy) -> f64 {
    match figures.kind {
        Some(Kind::Embedding | Kind::Text) => policy.psi_flag,
        _ => policy.psi.monitor,
    }
}

/// Rows of both sides with which the index passes `threshold` without drift less often than `level`.
fn needed(figures: &Figures, level: f64, threshold: f64) -> Option<Sides<u64>> {
    let unit = chi_squared_critical(level, figures.psi_cells.checked_sub(1)? as f64)?;
    rows_for(threshold / unit, figures.n_ref, figures.n_cur)
}

fn false_alarms(figures: &Figures, policy: &Policy) -> Option<FalseAlarms> {
    let of = |threshold| psi_false_alarms(threshold, figures.psi_cells, figures.n_ref, figures.n_cur);
    Some(FalseAlarms { monitor: of(policy.psi.monitor)?, warning: of(policy.psi.warning)? })
}

fn summed(columns: Vec<Judged>, findings: Vec<Finding>, tests: Vec<Tested>, family: usize, policy: &Policy) -> Judgement {
    let counted = || columns.iter().filter(|column| !column.broken);
    let bands = |is: fn(Role) -> bool| counted().filter(move |c| is(c.role)).filter_map(|c| c.band);
    let data = Status::heaviest(bands(|role| role != Role::Prediction));
    let predicts = columns.iter().any(|column| column.role == Role::Prediction);
    let asked = !predicts || columns.iter().any(|column| column.role != Role::Prediction);
    let prediction = predicts.then(|| Status::heaviest(bands(|role| role == Role::Prediction)));
    // The finding that a column could not be read weighs as not knowing.
    let upstream = Status::heaviest(findings.iter().map(|finding| finding.status).chain([Status::Ok]));
    let reason = reason(&columns, &findings);
    Judgement {
        // Of predictions alone the data say nothing, and nothing is asked of them.
        status: Status::heaviest([upstream].into_iter().chain(asked.then_some(data)).chain(prediction)),
        upstream,
        data,
        prediction,
        accuracy: None,
        reason,
        undecided: counted().filter(|column| column.status == Status::Inconclusive).count(),
        family,
        tests,
        adjustment: if policy.strict { "holm" } else { "benjamini-hochberg" }.to_owned(),
        policy: *policy,
        findings,
        columns,
        outcome: None,
    }
}

/// What is named in one sentence: findings, then columns that drifted.
const NAMED: usize = 3;

/// The same in one sentence, with the columns of both sides; `None` when any is shared.
fn other_data(columns: &[Judged]) -> Option<String> {
    // A label that is not there yet is told as one that cannot be compared.
    let is_gone = |c: &&Judged| c.status == Status::Missing || (c.role == Role::Label && c.status == Status::Error);
    let (gone, rest): (Vec<&Judged>, Vec<&Judged>) = columns.iter().partition(is_gone);
    let all_new = rest.iter().all(|c| c.status == Status::New);
    if !all_new || gone.iter().all(|c| c.status != Status::Missing) {
        return None;
    }
    let names = |columns: &[&Judged]| {
        let named: Vec<String> = columns.iter().take(NAMED).map(|c| why::level(&c.name)).collect();
        named.join(", ") + if columns.len() > NAMED { ", …" } else { "" }
    };
    let has = if rest.is_empty() { String::new() } else { format!(", and it has {}", names(&rest)) };
    Some(format!("the new data has no column of the reference ({}){has}: most likely it is the wrong file", names(&gone)))
}

fn reason(columns: &[Judged], findings: &[Finding]) -> String {
    if let Some(other) = other_data(columns) {
        return other;
    }
    let mut parts: Vec<String> = findings.iter().take(NAMED).map(|finding| finding.words.clone()).collect();
    if findings.len() > NAMED {
        parts.push(format!("{} more upstream", count(findings.len() - NAMED, "finding")));
    }
    let counted = || columns.iter().filter(|column| !column.broken);
    let mut drifted: Vec<&Judged> = counted().filter(|column| column.band.is_some_and(Status::moved)).collect();
    drifted.sort_by(|a, b| b.band.cmp(&a.band).then_with(|| psi_of(b).total_cmp(&psi_of(a))).then_with(|| a.name.cmp(&b.name)));
    let open = counted().filter(|column| column.band == Some(Status::Inconclusive)).count();
    let of_all = |n: usize| format!("{} of {}", group(n), count(columns.len(), "column"));
    if !drifted.is_empty() {
        let named: Vec<String> = drifted
            .iter()
            .take(NAMED)
            .map(|column| format!("{} ({})", why::level(&column.name), why::size(&column.figures)))
            .collect();
        let rest = if drifted.len() > NAMED { ", …" } else { "" };
        parts.push(format!("{} drifted: {}{rest}", of_all(drifted.len()), named.join(", ")));
    }
    if open > 0 {
        parts.push(format!("{} cannot be decided yet", of_all(open)));
    }
    if parts.is_empty() {
        parts.push(if columns.is_empty() {
            "no columns".to_owned()
        } else {
            format!("{}, none drifted", count(columns.len(), "column"))
        });
    }
    parts.join("; ")
}

fn psi_of(column: &Judged) -> f64 {
    column.figures.psi.unwrap_or(0.0)
}

#[cfg(test)]
mod tests;
