//! A check as GitHub-flavoured Markdown: for the summary of a step, a comment, a ticket.

use super::{INDEX, Page, chance, effect, held, nulls, spark, texts, three, together};
use crate::base::table::Table;
use crate::base::text::{count, markdown as escaped};
use crate::domain::drift::outcome::Outcome;
use crate::domain::drift::verdict::Judged;

/// Columns that are listed when nothing of them is to be said: a ticket is no archive.
const QUIET_MAX: usize = 10;
/// Columns that are listed at all.
const COLUMNS_MAX: usize = 60;

/// The text.
pub fn render(view: &Page<'_>) -> String {
    let judgement = view.judgement;
    let mut parts = vec![
        format!("## Drift of {}: {}\n", escaped(view.name), judgement.status),
        format!("{}\n", escaped(&judgement.reason)),
        facts(view).markdown(),
    ];
    parts.extend(view.remarks.iter().map(|remark| format!("- {}\n", escaped(remark))));
    if !view.actions.is_empty() {
        let mut t = Table::new(&["action", "state", "for", "due"]);
        for a in view.actions {
            t.row([a.what.clone(), a.state.clone(), a.band.clone(), a.due.map(|d| d.to_string()).unwrap_or_default()]);
        }
        parts.push(format!("### Actions\n\n{}", t.markdown()));
    }
    if !judgement.findings.is_empty() {
        let mut t = Table::new(&["status", "finding", "column", "what", ">q"]);
        for f in &judgement.findings {
            let column = f.column.as_deref().unwrap_or("all rows");
            t.row([f.status.to_string(), f.what.to_string(), escaped(column), escaped(&f.words), chance(f.q)]);
        }
        parts.push(format!("### Upstream\n\n{}", t.markdown()));
    }
    parts.extend(judgement.outcome.as_deref().map(answers));
    parts.push(columns(view));
    let moved = view.columns().into_iter().filter(|c| c.status.moved() && !c.figures.texts.is_empty());
    parts.extend(
        moved.map(|c| format!("### Texts of {} that moved\n\n{}", escaped(&c.name), texts(&c.figures, escaped).markdown())),
    );
    parts.join("\n")
}

/// What columns say together.
fn answers(outcome: &Outcome) -> String {
    let mut t = Table::new(&together::HEADINGS);
    let rows = together::answers(outcome);
    rows.iter().for_each(|(_, cells)| _ = t.row(cells.clone().map(|cell| escaped(&cell))));
    let table = if rows.is_empty() { String::new() } else { format!("{}\n", t.markdown()) };
    let lines: String = together::lines(outcome).iter().map(|line| format!("- {}\n", escaped(line))).collect();
    format!("### Answers, slices, series\n\n{table}{lines}")
}

fn facts(view: &Page<'_>) -> Table {
    let mut t = Table::new(&["", ""]);
    t.row(["reference".to_owned(), escaped(view.baseline)]).row(["at".to_owned(), view.at.to_string()]);
    for (word, value) in view.facts.iter().cloned().chain(view.judged_by()) {
        t.row([escaped(&word), escaped(&value)]);
    }
    t
}

fn columns(view: &Page<'_>) -> String {
    let all = view.columns();
    let loud = all.iter().filter(|c| c.status.weight() != super::super::policy::Status::Ok).count();
    let shown = (loud + QUIET_MAX).min(COLUMNS_MAX);
    let mut t = Table::new(&["column", "status", ">PSI", ">by chance", ">q", ">effect", ">rows", ">nulls", "history", "why"]);
    for c in all.iter().take(shown) {
        t.row(row(c, spark(view.history_of(c).into_iter().map(Some), INDEX)));
    }
    let left = all.len().saturating_sub(shown);
    let more = if left == 0 { String::new() } else { format!("\n{} more, none heavier.\n", count(left, "column")) };
    format!("### Columns\n\n{}{more}", t.markdown())
}

fn row(c: &Judged, history: String) -> [String; 10] {
    let f = &c.figures;
    [
        escaped(&c.name),
        c.status.to_string(),
        three(f.psi),
        three(f.psi_crit999),
        chance(c.q),
        effect(f.effect),
        held(f),
        nulls(f),
        history,
        escaped(&c.why),
    ]
}
