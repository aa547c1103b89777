//! A check as one HTML file; see [`crate::base::page`].
//!
//! Small whatever the data: a column has at most `CELLS_MAX` cells in its table, so 100 columns of 50 levels stay below 2 MB.

use super::draw::{self, AXIS};
use super::{Page, UNKNOWN, chance, effect, held, nulls, rows, texts, three, together};
use crate::base::error::Result;
use crate::base::page;
use crate::domain::drift::figures::{Cell, Figures, Sides, Sign};
use crate::domain::drift::outcome::Outcome;
use crate::domain::drift::policy::{Bands, Status};
use crate::domain::drift::upstream::Finding;
use crate::domain::drift::verdict::Judged;
use crate::domain::drift::why::{number, percent};
use minijinja::context;
use minijinja::value::Value;

/// The page and what it includes.
const TEMPLATES: [(&str, &str); 3] = [
    ("report.html", include_str!("report.html")),
    ("column.html", include_str!("column.html")),
    ("line.html", include_str!("line.html")),
];
/// Cells that the table of a column shows.
const CELLS_MAX: usize = 32;
/// Columns whose details are open when the page is.
const OPEN: usize = 3;

/// Renders a check as a self-contained page.
///
/// # Errors
/// When the template does not fit the values, which no check causes.
pub fn render(view: &Page<'_>) -> Result<String> {
    let what = || format!("cannot write the HTML report of the drift check {}", view.name);
    let judgement = view.judgement;
    let columns = view.columns();
    let bands = judgement.policy.psi;
    let reach = draw::reach(&bands, columns.iter().filter_map(|c| c.figures.psi));
    let column = |(at, c): (usize, &&Judged)| column(c, at, &view.history_of(c), (&bands, reach));
    let facts: Vec<_> = view.facts.iter().cloned().chain(view.judged_by()).collect();
    let values = context! {
        title => format!("Drift of {} against {}: {}", view.name, view.baseline, judgement.status),
        name => view.name,
        baseline => view.baseline,
        at => view.at.to_string(),
        status => judgement.status.word(),
        parts => parts(view),
        reason => judgement.reason.as_str(),
        tally => view.tally().into_iter().map(|(n, word)| format!("{n} {word}")).collect::<Vec<_>>(),
        facts => facts,
        remarks => view.remarks.to_vec(),
        findings => judgement.findings.iter().map(finding).collect::<Vec<_>>(),
        together => judgement.outcome.as_deref().map(answers),
        columns => columns.iter().enumerate().map(column).collect::<Vec<_>>(),
        history => columns.iter().any(|c| view.history_of(c).len() > 1),
        bands => [bands.monitor, bands.warning, bands.critical].map(|b| draw::along(b, reach)).to_vec(),
        bounds => [bands.monitor, bands.warning, bands.critical].to_vec(),
        actions => view.actions.iter().map(|a| context! {
            what => a.what.as_str(), state => a.state.as_str(), band => a.band.as_str(), due => a.due.map(|d| d.to_string()).unwrap_or_default(),
        }).collect::<Vec<_>>(),
    };
    page::render(&TEMPLATES, values, what)
}

/// The verdicts that the sum is made of.
fn parts(view: &Page<'_>) -> Vec<Value> {
    let of = |what: &str, status: Status| context! { what => what, status => status.word() };
    let judgement = view.judgement;
    let prediction = judgement.prediction.map(|status| of("prediction", status));
    let accuracy = judgement.accuracy.map(|status| of("accuracy", status));
    [of("upstream", judgement.upstream), of("data", judgement.data)].into_iter().chain(prediction).chain(accuracy).collect()
}

/// What columns say together.
fn answers(outcome: &Outcome) -> Value {
    let row = |(status, cells): (Status, [String; 8])| context! { weight => status.word(), cells => cells.to_vec() };
    context! {
        headings => together::HEADINGS.map(|heading| heading.trim_start_matches('>')).to_vec(),
        answers => together::answers(outcome).into_iter().map(row).collect::<Vec<_>>(),
        lines => together::lines(outcome),
        slice_headings => together::SLICE_HEADINGS.map(|heading| heading.trim_start_matches('>')).to_vec(),
        slices => together::slices(outcome).into_iter().map(|row| row.to_vec()).collect::<Vec<_>>(),
    }
}

fn finding(f: &Finding) -> Value {
    context! {
        column => f.column.as_deref().unwrap_or("all rows"),
        what => f.what.word(),
        status => f.status.word(),
        weight => f.status.weight().word(),
        words => f.words.as_str(),
        q => chance(f.q),
    }
}

fn column(c: &Judged, at: usize, history: &[f64], (bands, reach): (&Bands, f64)) -> Value {
    let figures = &c.figures;
    let reach_of_line = draw::reach(bands, history.iter().copied());
    let line = draw::line(history, reach_of_line).map(|points| {
        let mark = 19.0 - draw::along(bands.monitor, reach_of_line) / AXIS * 18.0;
        context! { points => points, mark => page::place(mark), checks => history.len() }
    });
    let label = format!("PSI {}, by chance up to {}", three(figures.psi), three(figures.psi_crit999));
    context! {
        id => at,
        open => at < OPEN && c.status.moved(),
        name => c.name.as_str(),
        role => c.role.word(),
        kind => figures.kind.map_or("", |k| k.word()),
        status => c.status.word(),
        weight => c.status.weight().word(),
        broken => c.broken,
        why => c.why.as_str(),
        moved => c.moved.clone(),
        texts => texts(figures, str::to_owned).rows().to_vec(),
        psi => three(figures.psi),
        critical => three(figures.psi_crit999),
        bar => figures.psi.map(|psi| context! {
            to => draw::along(psi, reach), label => label,
            chance => figures.psi_crit999.map(|v| draw::along(v, reach)),
        }),
        q => chance(c.q),
        effect => effect(figures.effect),
        rows => held(figures),
        nulls => nulls(figures),
        numbers => numbers(c),
        signs => c.figures.signs.iter().map(sign).collect::<Vec<_>>(),
        line => line,
        plot => plot(figures),
        boxes => boxes(figures),
        cells => cells(figures),
        more => figures.cells.len().saturating_sub(CELLS_MAX),
    }
}

/// A further effect, whose name is what was measured.
fn sign(s: &Sign) -> Value {
    context! {
        name => s.name.as_str(),
        value => number(s.value),
        limit => number(s.limit),
        p => chance(Some(s.p)),
        alarms => s.false_alarms.map_or_else(|| UNKNOWN.to_owned(), percent),
        passed => s.passed,
    }
}

/// The numbers that no other place shows, each as a word and a value.
fn numbers(c: &Judged) -> Vec<(&'static str, String)> {
    let f = &c.figures;
    let distance = |word, value: Option<f64>| value.map(|v| (word, format!("{v:.4}")));
    let shape = f.shape.map(|s| ("Kolmogorov–Smirnov", format!("{:.4}, p {}", s.statistic, chance(Some(s.p)))));
    let usual = f.psi_null.map(|v| ("PSI expected without drift", format!("{v:.4}")));
    let alarms = c.false_alarms.map(|a| {
        let words = format!("{} at monitor, {} at warning", percent(a.monitor), percent(a.warning));
        ("false alarms of the bands at these rows", words)
    });
    let needed = c.needed.map(|n| ("rows that could decide", format!("{} and {}", rows(n.reference), rows(n.current))));
    let broken = (f.not_finite != Sides::new(0, 0) || f.bad != Sides::new(0, 0)).then(|| {
        let words = |s: Sides<u64>| format!("{} → {}", rows(s.reference), rows(s.current));
        ("not finite, unreadable", format!("{}, {}", words(f.not_finite), words(f.bad)))
    });
    let distances = [distance("KL, nats", f.kl), distance("Jensen–Shannon", f.js), distance("Hellinger", f.hellinger)];
    distances.into_iter().chain([shape, usual, alarms, needed, broken]).flatten().collect()
}

/// Both distributions along their values; levels have none to lie along, and their table has bars.
fn plot(figures: &Figures) -> Option<Value> {
    let bars = draw::bars(figures)?;
    figures.cells.iter().any(|cell| cell.low.is_some() || cell.high.is_some()).then_some(())?;
    let label = |at: usize| figures.cells.get(at).map(|cell| cell.label.clone()).unwrap_or_default();
    let last = figures.cells.len().saturating_sub(1);
    Some(context! {
        width => bars.width,
        reference => bars.paths.reference,
        current => bars.paths.current,
        largest => percent(bars.largest),
        ends => [label(0), label(last / 2), label(last)].to_vec(),
    })
}

fn boxes(figures: &Figures) -> Option<Value> {
    let samples = figures.samples.as_ref()?;
    let drawn = draw::boxes(samples)?;
    let middle = |q: &[f64]| q.get(1..6).unwrap_or_default().iter().map(|v| number(*v)).collect::<Vec<_>>();
    let one = |word: &str, class: &str, at: [f64; 5], quantiles: &[f64]| {
        context! { word => word, class => class, at => at.to_vec(), points => middle(quantiles).join(" · ") }
    };
    Some(Value::from(vec![
        one("reference", "r", drawn.reference, &samples.reference.quantiles),
        one("new data", "c", drawn.current, &samples.current.quantiles),
    ]))
}

/// The table of the cells: those that changed most when there are too many, in their own order.
fn cells(figures: &Figures) -> Vec<Value> {
    let mut chosen: Vec<(usize, &Cell)> = figures.cells.iter().enumerate().collect();
    chosen.sort_by(|(_, a), (_, b)| b.term.abs().total_cmp(&a.term.abs()));
    chosen.truncate(CELLS_MAX);
    chosen.sort_by_key(|(at, _)| *at);
    let largest =
        chosen.iter().map(|(_, cell)| draw::shares(figures, cell)).map(|s| s.reference.max(s.current)).fold(0.0, f64::max);
    let one = |(_, cell): (usize, &Cell)| {
        let shares = draw::shares(figures, cell);
        context! {
            label => cell.label.as_str(),
            r => draw::along(shares.reference, largest),
            c => draw::along(shares.current, largest),
            before => percent(shares.reference),
            now => percent(shares.current),
            term => format!("{:+.4}", cell.term + 0.0),
        }
    };
    chosen.into_iter().map(one).collect()
}
