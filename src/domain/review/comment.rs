//! The comment of a pull request: Markdown for GitHub, read in seconds, with the evidence folded in below.
//!
//! First the verdict, then for each model why, what decides, the gates, and folded the worst rows, the other figures, cost and latency and
//! the change itself. A comment of GitHub has at most 65,536 characters; what has no room is said. Its first line is a comment of HTML
//! that no reader sees and by which a workflow finds the comment again, to change it and not to add one.

use super::decide::signed;
use super::doc::{BudgetDoc, FigureDoc, ModelReview, PromptDoc, Review, RowDoc, Tested};
use super::layout::{Part, lay_out};
use super::quote::{fenced, inline, labelled};
use crate::base::name::Name;
use crate::base::table::Table;
use crate::base::text::{count, fixed, group};
use crate::base::verdict::Verdict;

/// The most characters of a comment: GitHub's limit, less what a workflow may put before or behind.
pub const LENGTH_MAX: usize = 65_000;

/// What a comment is made of.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// An evaluation of changed models.
    Review(Review),
    /// A test of prompts.
    Tested(Tested),
}

impl Input {
    fn verdict(&self) -> Verdict {
        match self {
            Self::Review(review) => review.verdict,
            Self::Tested(tested) => verdict_of(tested),
        }
    }
}

/// A suite fails when something fails or nothing answers, and is open where nobody was asked or something could not be judged.
fn verdict_of(tested: &Tested) -> Verdict {
    match (tested.failed + tested.errors, tested.unscored, &tested.verdict) {
        (1.., ..) => Verdict::Fail,
        (0, 0, Some(_)) => Verdict::Pass,
        _ => Verdict::Inconclusive,
    }
}

/// The line by which a workflow finds the comment again.
pub fn marker(id: &Name) -> String {
    format!("<!-- kf-ci-comment:{id} -->")
}

/// The comment.
pub fn render(id: &Name, title: Option<&str>, inputs: &[Input]) -> String {
    let verdict = Verdict::all(inputs.iter().map(Input::verdict));
    let mut parts = vec![Part::whole(0, format!("{}\n## {}\n\n", marker(id), headline(title, verdict, inputs)))];
    for input in inputs {
        match input {
            Input::Review(review) => review_parts(review, &mut parts),
            Input::Tested(tested) => tested_parts(tested, &mut parts),
        }
    }
    let left_out = |n: usize| {
        let parts = count(n, "part");
        format!("\n_{parts} left out or shortened: a comment has room for 65,536 characters. The report of the step has all._\n")
    };
    lay_out(&parts, LENGTH_MAX, &left_out)
}

/// A word and a sign for a verdict; the word alone says it.
fn shown(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "✅ pass",
        Verdict::Fail => "❌ fail",
        Verdict::Inconclusive => "❔ inconclusive",
    }
}

fn headline(title: Option<&str>, verdict: Verdict, inputs: &[Input]) -> String {
    let name = inline(title.unwrap_or("Prompt evaluation"), 100);
    let reviews = || inputs.iter().filter_map(|i| if let Input::Review(r) = i { Some(r) } else { None });
    let needed = reviews().flat_map(|r| &r.models).filter_map(|m| m.needed).max().filter(|_| verdict == Verdict::Inconclusive);
    let changed = reviews().any(|r| !r.models.is_empty()) || inputs.iter().any(|i| matches!(i, Input::Tested(_)));
    match needed {
        _ if !changed => format!("{name}: no model changed"),
        Some(n) => format!("{name}: {}, needs n = {}", shown(verdict), rows(n)),
        None => format!("{name}: {}", shown(verdict)),
    }
}

fn rows(n: u64) -> String {
    group(usize::try_from(n).unwrap_or(usize::MAX))
}

/// The longest name, reason and text of others that is shown on a line, in characters.
const NAME_MAX: usize = 80;
const REASON_MAX: usize = 400;
/// The longest question and answer in a row's block.
const TEXT_MAX: usize = 800;
const TEXT_SHORT: usize = 200;
/// How many rows, slices, files and lines of a change are shown.
const ROWS_MAX: usize = 10;
const SLICES_MAX: usize = 12;
const FILES_MAX: usize = 20;
const DIFF_MAX: usize = 6_000;

fn review_parts(review: &Review, parts: &mut Vec<Part>) {
    let since = &review.since;
    let short = |id: &str| id.chars().filter(char::is_ascii_hexdigit).take(12).collect::<String>();
    let mut intro = format!(
        "Compared with {} at {}, where this branch parted from it",
        inline(&since.reference, NAME_MAX),
        short(&since.base)
    );
    if !since.uncommitted.is_empty() {
        intro.push_str(&format!("; {} not committed", count(since.uncommitted.len(), "file")));
    }
    intro.push_str(".\n\n");
    if review.models.len() > 1 {
        let mut t = Table::new(&["model", "verdict", "why"]);
        let mut models: Vec<&ModelReview> = review.models.iter().collect();
        models.sort_by_key(|m| order(m.verdict));
        for m in models {
            let why = m.reasons.first().map(|r| inline(r, 200)).unwrap_or_default();
            t.row([inline(&m.name, NAME_MAX), shown(m.verdict).to_owned(), why]);
        }
        intro.push_str(&format!("{}\n", t.markdown()));
    }
    let others =
        [("Not changed", &review.unchanged), ("Removed", &review.removed)].into_iter().filter(|(_, names)| !names.is_empty());
    for (what, names) in others {
        let names: Vec<String> = names.iter().take(FILES_MAX).map(|n| inline(n, NAME_MAX)).collect();
        intro.push_str(&format!("{what}: {}.\n\n", names.join(", ")));
    }
    if let Some(said) = review.elsewhere().filter(|_| review.models.is_empty()) {
        intro.push_str(&format!("{said}.\n\n"));
    }
    if review.verdict == Verdict::Inconclusive && review.inconclusive_allowed {
        intro.push_str("`policy.inconclusive` lets what is inconclusive through.\n\n");
    }
    parts.push(Part::whole(0, intro));
    let mut models: Vec<&ModelReview> = review.models.iter().collect();
    models.sort_by_key(|m| order(m.verdict));
    models.iter().enumerate().for_each(|(i, m)| model_parts(i, m, parts));
}

fn order(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Fail => 0,
        Verdict::Inconclusive => 1,
        Verdict::Pass => 2,
    }
}

/// The parts of the model of place `at`: what decides of every model goes before the details of any.
fn model_parts(at: usize, model: &ModelReview, parts: &mut Vec<Part>) {
    let (decides, details) = (1_000 + at, |rank: usize| 1_000_000 * rank + at);
    let mut head = format!("### {}: {}\n\n", inline(&model.name, NAME_MAX), shown(model.verdict));
    for reason in &model.reasons {
        head.push_str(&format!("- {}\n", inline(reason, REASON_MAX)));
    }
    for note in &model.notes {
        head.push_str(&format!("- note: {}\n", inline(note, REASON_MAX)));
    }
    let asked = format!(
        "\n{} of {}, answers: {}.\n\n",
        count(model.rows, "row"),
        inline(&model.dataset, NAME_MAX),
        inline(&model.system, NAME_MAX)
    );
    head.push_str(&asked);
    let (decide, rest): (Vec<&FigureDoc>, Vec<&FigureDoc>) = model.figures.iter().partition(|f| f.decides);
    if !decide.is_empty() {
        head.push_str(&format!("{}\n", figures(&decide).markdown()));
    }
    let brief = head.clone();
    if !model.gates.is_empty() {
        head.push_str(&format!("{}\n", gates(model).markdown()));
    }
    parts.push(Part { weight: decides, ways: vec![head, brief] });
    if !model.worst.is_empty() {
        parts.push(Part { weight: details(1), ways: worst(&model.worst, model.verdict == Verdict::Fail) });
    }
    if !model.slices.is_empty() {
        parts.push(Part::whole(details(2), slices(model)));
    }
    let budgets: Vec<&BudgetDoc> = model.budgets.iter().filter(|b| b.base.is_some() || b.head.is_some()).collect();
    if !budgets.is_empty() {
        parts.push(Part::whole(details(2), folded("Cost and latency", &table_of(&budgets).markdown())));
    }
    if !rest.is_empty() {
        let title = format!("{} beside what decides", count(rest.len(), "figure"));
        parts.push(Part::whole(details(4), folded(&title, &figures(&rest).markdown())));
    }
    parts.push(change(details(3), model));
}

/// Text that is seen when somebody asks for it.
fn folded(title: &str, text: &str) -> String {
    format!("<details><summary>{title}</summary>\n\n{}\n\n</details>\n\n", text.trim_end())
}

fn number(value: Option<f64>) -> String {
    value.map(|v| format!("{v:.4}")).unwrap_or_default()
}

fn figures(all: &[&FigureDoc]) -> Table {
    let compared = all.iter().any(|f| f.difference.is_some());
    if !compared {
        let mut t = Table::new(&["metric", ">mean", "95 % interval", ">n"]);
        for f in all {
            let interval = f.low.zip(f.high).map(|(l, h)| format!("{l:.4} … {h:.4}")).unwrap_or_default();
            t.row([inline(&f.metric, NAME_MAX), number(f.head), interval, group(f.n)]);
        }
        return t;
    }
    let mut t = Table::new(&["metric", ">base", ">this", ">difference", "95 % interval", ">n", "verdict"]);
    for f in all {
        let interval = f.low.zip(f.high).map(|(l, h)| format!("{} … {}", signed(l), signed(h))).unwrap_or_default();
        let n = f.clusters.map_or_else(|| group(f.n), |k| format!("{} in {}", group(f.n), count(k, "cluster")));
        let word = f.verdict.as_deref().unwrap_or_default();
        let verdict = match (word, f.needed) {
            ("inconclusive", Some(needed)) => format!("inconclusive, needs n = {}", rows(needed)),
            ("worse", _) => "**worse**".to_owned(),
            (word, _) => inline(word, NAME_MAX),
        };
        t.row([
            inline(&f.metric, NAME_MAX),
            number(f.base),
            number(f.head),
            f.difference.map(signed).unwrap_or_default(),
            interval,
            n,
            verdict,
        ]);
    }
    t
}

fn gates(model: &ModelReview) -> Table {
    let mut t = Table::new(&["gate", "stage", "metric", ">measured", "threshold", "verdict", "why"]);
    for g in &model.gates {
        let needed = g.needed.map(|n| format!("; needs n = {}", rows(n))).unwrap_or_default();
        t.row([
            inline(&g.gate, NAME_MAX),
            inline(&g.stage, NAME_MAX),
            inline(&g.metric, NAME_MAX),
            number(g.measured),
            inline(&g.threshold, NAME_MAX),
            shown(g.verdict).to_owned(),
            format!("{}{needed}", inline(&g.reason, REASON_MAX)),
        ]);
    }
    t
}

/// The worst rows: all with long texts, all with short ones, the very worst alone. Of a model that fails they are open.
fn worst(rows: &[RowDoc], open: bool) -> Vec<String> {
    let block = |of: &[RowDoc], max: usize| -> String { of.iter().map(|row| row_block(row, max)).collect() };
    let all = &rows[..rows.len().min(ROWS_MAX)];
    let ways = [(all, TEXT_MAX), (all, TEXT_SHORT), (&all[..1], TEXT_SHORT)];
    let shown = |text: String| if open { text.replacen("<details>", "<details open>", 1) } else { text };
    ways.map(|(of, max)| shown(folded(&format!("The {} that lost most", count(of.len(), "row")), &block(of, max)))).to_vec()
}

fn row_block(row: &RowDoc, max: usize) -> String {
    let score = |v: Option<f64>| v.map_or("unscored".to_owned(), |v| format!("{v:.3}"));
    let scores: Vec<String> = row
        .scores
        .iter()
        .map(|(metric, (base, head))| format!("{} {} → {}", inline(metric, NAME_MAX), score(*base), score(*head)))
        .collect();
    let must = if row.must_pass { ", must pass" } else { "" };
    let mut text = labelled(" ", "question", &row.question, max);
    text.extend(row.expected.iter().map(|t| labelled(" ", "expected", t, max)));
    text.extend(row.base.iter().map(|t| labelled("-", "base", t, max)));
    text.extend(row.head.iter().map(|t| labelled("+", "this", t, max)));
    format!("**{}**{must}: {}\n\n{}\n", inline(&row.id, NAME_MAX), scores.join(", "), fenced("diff", &text))
}

fn slices(model: &ModelReview) -> String {
    let mut t = Table::new(&["slice", "metric", ">difference", ">n", ">q"]);
    for s in model.slices.iter().take(SLICES_MAX) {
        let q = s.q_value.map(|q| format!("{q:.4}")).unwrap_or_default();
        t.row([inline(&s.slice, NAME_MAX), inline(&s.metric, NAME_MAX), signed(s.difference), group(s.n), q]);
    }
    let more = model.slices.len().saturating_sub(SLICES_MAX);
    let more = if more > 0 { format!("\n… and {more} more") } else { String::new() };
    folded(&format!("{} got worse", count(model.slices.len(), "slice")), &format!("{}{more}", t.markdown()))
}

fn table_of(budgets: &[&BudgetDoc]) -> Table {
    let mut t = Table::new(&["figure", ">base", ">this", ">change"]);
    for b in budgets {
        let change = match (b.base, b.head) {
            (Some(base), Some(head)) if base != 0.0 => format!("{:+.1} %", (head - base) / base * 100.0),
            _ => String::new(),
        };
        let (name, digits) = match b.metric.as_str() {
            "cost-per-query" => ("cost-per-query (USD)".to_owned(), 6),
            "latency-p95" => ("latency-p95 (ms)".to_owned(), 1),
            other => (inline(other, NAME_MAX), 4),
        };
        let shown = |v: Option<f64>| v.map(|v| fixed(v, digits)).unwrap_or_default();
        let change = match (b.low, b.high) {
            (Some(low), Some(high)) => format!("{change}, 95 % interval {low:+.digits$} … {high:+.digits$}"),
            _ => change,
        };
        t.row([name, shown(b.base), shown(b.head), change]);
    }
    t
}

/// What changed: files, prompts with their variables and tokens, and the text.
fn change(weight: usize, model: &ModelReview) -> Part {
    let mut text = String::new();
    for why in &model.why {
        text.push_str(&format!("- {}\n", inline(why, REASON_MAX)));
    }
    for f in model.files.iter().take(FILES_MAX) {
        let from = f.from.as_ref().map(|from| format!(", was {}", inline(from, NAME_MAX))).unwrap_or_default();
        text.push_str(&format!("- {}: {}{from}\n", inline(&f.path, NAME_MAX), inline(&f.status, NAME_MAX)));
    }
    let more = model.files.len().saturating_sub(FILES_MAX);
    if more > 0 {
        text.push_str(&format!("- … and {}\n", count(more, "more file")));
    }
    text.push('\n');
    if !model.prompts.is_empty() {
        text.push_str(&format!("{}\n", prompts(&model.prompts).markdown()));
    }
    let title = match model.prompts.len() {
        0 => "What changed".to_owned(),
        n => format!("What changed: {}", count(n, "prompt")),
    };
    let brief = folded(&title, &text);
    let Some(diff) = &model.diff else { return Part::whole(weight, brief) };
    // Its lines are indented below the names of files; signs in front are what GitHub colours.
    let diff: String = diff.lines().map(|l| format!("{}\n", l.strip_prefix("    ").unwrap_or(l))).collect();
    let lines: String = diff.chars().take(DIFF_MAX).collect();
    let cut = if lines.len() < diff.len() { "\n… and more" } else { "" };
    Part { weight, ways: vec![folded(&title, &format!("{text}{}", fenced("diff", &format!("{lines}{cut}")))), brief] }
}

fn prompts(all: &[PromptDoc]) -> Table {
    let mut t = Table::new(&["prompt", "is", "variables", ">tokens before", ">now"]);
    for p in all {
        let added = p.variables_added.iter().map(|v| format!("+{v}"));
        let signs: Vec<String> = added.chain(p.variables_removed.iter().map(|v| format!("-{v}"))).collect();
        let tokens = |n: Option<u32>| n.map(|n| n.to_string()).unwrap_or_default();
        t.row([
            inline(&p.prompt, NAME_MAX),
            inline(&p.status, NAME_MAX),
            inline(&signs.join(" "), 200),
            tokens(p.tokens_before),
            tokens(p.tokens_after),
        ]);
    }
    t
}

fn tested_parts(tested: &Tested, parts: &mut Vec<Part>) {
    let all = tested.cells.len();
    let rest = [(tested.failed, "failed"), (tested.unscored, "could not be judged"), (tested.errors, "without an answer")];
    let rest: String = rest.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!(", {n} {what}")).collect();
    let said = match tested.verdict {
        None => "nobody was asked".to_owned(),
        Some(_) => format!("{} of {} passed{rest}", tested.passed, count(all, "answer")),
    };
    let head = format!("### Suite {}: {}\n\n{said}.\n\n", inline(&tested.suite, NAME_MAX), shown(verdict_of(tested)));
    parts.push(Part::whole(500, head));
    let bad: Vec<_> = tested.cells.iter().filter(|c| c.end != "pass").collect();
    if bad.is_empty() {
        return;
    }
    let block = |most: usize, max: usize| {
        let one = |c: &&super::doc::Cell| {
            let mut text = String::new();
            text.extend(c.reason.iter().map(|r| labelled("-", "why", r, max)));
            text.extend(c.answer.iter().map(|a| labelled(" ", "answer", a, max)));
            let (case, prompt) = (inline(&c.case, NAME_MAX), inline(&c.prompt, NAME_MAX));
            format!(
                "**{case}**, prompt {prompt}, by {}: {}\n\n{}\n",
                inline(&c.provider, NAME_MAX),
                inline(&c.end, NAME_MAX),
                fenced("diff", &text)
            )
        };
        let more = bad.len().saturating_sub(most);
        let more = if more > 0 { format!("… and {more} more") } else { String::new() };
        let blocks: String = bad.iter().take(most).map(one).collect();
        folded(&format!("{} did not pass", count(bad.len(), "answer")), &format!("{blocks}{more}"))
    };
    parts.push(Part {
        weight: 1_000_500,
        ways: vec![block(ROWS_MAX, TEXT_MAX), block(ROWS_MAX, TEXT_SHORT), block(1, TEXT_SHORT)],
    });
}

#[cfg(test)]
#[path = "comment_tests.rs"]
mod tests;
