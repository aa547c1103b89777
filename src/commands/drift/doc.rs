//! A check as reports show it: the sum, what broke upstream, the columns.

use super::size;
use crate::base::digest::Digest;
use crate::base::error::{Context, Result};
use crate::base::exit::Exit;
use crate::base::name::Name;
use crate::base::table::Table;
use crate::base::text::count;
use crate::base::time::Timestamp;
use crate::cli::arg::report_file;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report, json};
use crate::config::FailOn;
use crate::domain::drift::figures::{Effect, Role};
use crate::domain::drift::outcome::Outcome;
use crate::domain::drift::page::{self, ActionView, Page, together};
use crate::domain::drift::policy::Status;
use crate::domain::drift::report::{File, Found};
use crate::domain::drift::table::{self, ActionRow, BaselineRow};
use crate::domain::drift::verdict::{Judged, Judgement};
use crate::domain::drift::why::decimals;
use crate::release::evaluate::ReportFile;
use crate::store::Store;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A check.
#[derive(Serialize)]
pub(super) struct CheckDoc {
    pub(super) check: String,
    pub(super) name: Name,
    pub(super) version: String,
    pub(super) baseline: String,
    pub(super) rows_ref: u64,
    pub(super) rows: u64,
    pub(super) verdict: Status,
    pub(super) reason: String,
    pub(super) report: Digest,
    pub(super) event: i64,
    pub(super) at: Timestamp,
    pub(super) data: Vec<File>,
    /// Whether order statistics are of the reference's data; else they are of its profile, and say by how much they may be off.
    pub(super) whole: bool,
    pub(super) remarks: Vec<String>,
    pub(super) notes: Vec<String>,
    pub(super) left_out: Vec<(String, String)>,
    pub(super) actions: Vec<ActionRow>,
    /// What was asked for and is not begun again, in words.
    pub(super) held: Vec<String>,
    pub(super) judgement: Judgement,
    /// The index of columns in checks before.
    #[serde(skip)]
    history: BTreeMap<String, Vec<f64>>,
}

/// Where a check stands in the state.
pub(super) struct Entry {
    pub(super) uid: String,
    pub(super) report: Digest,
    pub(super) event: i64,
    pub(super) at: Timestamp,
}

/// How many checks before a page draws.
const DRAWN: u32 = 30;

impl CheckDoc {
    pub(super) fn new(store: &Store, entry: Entry, baseline: &BaselineRow, found: Found) -> Result<Self> {
        let history = store.read(|view| table::history(view, &baseline.name, entry.event, DRAWN))?;
        Ok(Self {
            history,
            at: entry.at,
            check: entry.uid,
            name: baseline.name.clone(),
            version: baseline.reference(),
            baseline: baseline.uid.clone(),
            rows_ref: found.rows_ref,
            rows: found.rows,
            verdict: found.judgement.status.weight(),
            reason: found.judgement.reason.clone(),
            report: entry.report,
            event: entry.event,
            data: found.data,
            whole: found.whole,
            remarks: found.remarks,
            notes: Vec::new(),
            left_out: found.left_out,
            actions: Vec::new(),
            held: Vec::new(),
            judgement: found.judgement,
        })
    }

    /// The check as a page.
    fn page(&self, kind: &str) -> Result<String> {
        let rows = |n: u64| count(size(n), "row");
        let data: Vec<String> = self.data.iter().map(|file| file.digest.short()).collect();
        let facts = [
            ("new data".to_owned(), format!("{} ({})", rows(self.rows), data.join(", "))),
            ("reference".to_owned(), format!("{} ({}), {}", rows(self.rows_ref), self.baseline, self.read_as())),
            ("check".to_owned(), self.check.clone()),
        ];
        let left_out = self.left_out.iter().map(|(name, why)| format!("{name} is not compared: {why}"));
        let remarks: Vec<String> = self.notes.iter().chain(&self.remarks).cloned().chain(left_out).collect();
        let action = |a: &ActionRow| ActionView {
            what: a.kind.to_string(),
            state: a.state.to_string(),
            band: a.band.to_string(),
            due: a.due,
        };
        let page = Page {
            name: self.name.as_str(),
            baseline: &self.version,
            at: self.at,
            facts: &facts,
            judgement: &self.judgement,
            remarks: &remarks,
            history: &self.history,
            actions: &self.actions.iter().map(action).collect::<Vec<_>>(),
        };
        if kind == "html" { page::html::render(&page) } else { Ok(page::markdown::render(&page)) }
    }

    fn read_as(&self) -> &'static str {
        if self.whole { "read in whole" } else { "as a profile" }
    }

    /// What a person reads of one check.
    pub(super) fn blocks(&self) -> Vec<Block> {
        let against = format!(
            "{}: {} against the {} that {} was accepted on",
            self.name,
            count(size(self.rows), "new row"),
            count(size(self.rows_ref), "row"),
            self.version
        );
        let mut head = vec![against];
        head.extend(self.notes.iter().chain(&self.remarks).map(|note| format!("note: {note}")));
        head.extend(self.left_out.iter().map(|(name, why)| format!("note: {name} is not compared: {why}")));
        head.extend(self.judgement.findings.iter().map(|f| format!("upstream: {}: {}", f.status, f.words)));
        let mut blocks: Vec<Block> = vec![head.join("\n").into()];
        if !self.judgement.columns.is_empty() {
            blocks.push(columns(&self.judgement.columns).into());
        }
        if let Some(outcome) = &self.judgement.outcome {
            blocks.extend(answers(outcome).map(Block::from));
            let lines = together::lines(outcome);
            blocks.extend((!lines.is_empty()).then(|| lines.join("\n").into()));
        }
        let mut tail: Vec<String> = together::kinds(&self.judgement).into_iter().collect();
        tail.extend(self.actions.iter().map(action_line));
        tail.extend(self.held.iter().cloned());
        tail.push(self.line());
        tail.extend(self.judgement.is_of_other_data().then(|| {
            let (version, name) = (&self.version, &self.name);
            format!(
                "hint: name the right file with `--data`, or take a baseline of these columns: `kf drift baseline {version} --name {name} --data FILE`"
            )
        }));
        blocks.push(tail.join("\n").into());
        blocks
    }

    /// The check in one line.
    pub(super) fn line(&self) -> String {
        format!("{}: {}: {}", self.name, self.verdict, self.reason)
    }

    /// How the check ends, by the band from which on it fails.
    pub(super) fn exit(&self, fail_on: FailOn) -> Exit {
        let least = match fail_on {
            FailOn::Inconclusive => Status::Inconclusive,
            FailOn::Monitor => Status::Monitor,
            FailOn::Warning => Status::Warning,
            FailOn::Critical => Status::Critical,
        };
        match self.verdict {
            verdict if verdict >= least => Exit::No,
            Status::Inconclusive => Exit::Inconclusive,
            _ => Exit::Ok,
        }
    }
}

/// The kinds of files that checks are written to.
pub(super) const KINDS: [&str; 3] = ["html", "markdown", "json"];

pub(super) fn report_of(text: &str) -> Result<ReportFile, String> {
    report_file(text, &KINDS)
}

/// Writes checks to the files that were asked for; `whole` is the report that they are part of.
pub(super) fn write<R: Report>(
    cx: &Cx,
    (files, paths): (&[ReportFile], &[PathBuf]),
    docs: &[&CheckDoc],
    whole: &R,
) -> Result<()> {
    for (file, path) in files.iter().zip(paths) {
        let text = match file.kind.as_str() {
            "json" => serde_json::to_string_pretty(&json(whole)?).context(|| "cannot write JSON")?,
            kind => docs.iter().map(|doc| doc.page(kind)).collect::<Result<Vec<_>>>()?.join("\n"),
        };
        cx.write_output(path, &text).context(|| format!("cannot write the report {}", path.display()))?;
    }
    Ok(())
}

/// An action in one line.
pub(super) fn action_line(action: &ActionRow) -> String {
    let due = action.due.map(|due| format!(", due {due}")).unwrap_or_default();
    format!("action: {} ({}) of {}: {}{due}", action.kind, action.uid, action.name, action.state)
}

/// How right answers are, as a table; `None` without any.
pub(super) fn answers(outcome: &Outcome) -> Option<Table> {
    let rows = together::answers(outcome);
    let mut t = Table::new(&together::HEADINGS);
    rows.iter().for_each(|(_, cells)| _ = t.row(cells.clone()));
    (!rows.is_empty()).then_some(t)
}

/// A column with what it is to the model, if that is more than something it sees.
fn named(column: &Judged) -> String {
    match column.role {
        Role::Feature => column.name.clone(),
        role => format!("{} ({role})", column.name),
    }
}

/// A number as reports show it; `-` for what cannot be had.
pub(super) fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |v| format!("{v:.3}"))
}

/// A chance as reports show it.
pub(super) fn chance(p: f64) -> String {
    if p < 0.001 { "< 0.001".to_owned() } else { format!("{p:.3}") }
}

/// An effect; with how far it may be off, when that shows.
fn effect(effect: Effect, error: Option<f64>) -> String {
    let off = match error {
        Some(error) if error >= f64::MAX => " ± ?".to_owned(),
        Some(error) if error >= 0.0005 => format!(" ± {}", decimals(error)),
        _ => String::new(),
    };
    format!("{}{off} {}", decimals(effect.value), effect.measure)
}

fn columns(judged: &[Judged]) -> Table {
    let mut t = Table::new(&["column", "status", ">psi", ">99.9 %", ">q", ">effect", ">n", ">nulls", "why"]);
    let mut order: Vec<&Judged> = judged.iter().collect();
    order.sort_by_key(|c| std::cmp::Reverse(c.status.weight()));
    for c in order {
        let f = &c.figures;
        let effect = f.effect.map_or_else(|| "-".to_owned(), |e| effect(e, f.effect_error));
        let n = format!("{} / {}", f.n_ref, f.n_cur);
        let nulls = format!("{} / {}", f.nulls.reference, f.nulls.current);
        let q = c.q.map_or_else(|| "-".to_owned(), chance);
        let cells = [named(c), c.status.to_string(), number(f.psi), number(f.psi_crit999), q, effect, n, nulls, c.why.clone()];
        t.row(cells);
    }
    t
}
