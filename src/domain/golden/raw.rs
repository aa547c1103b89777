//! Rows as the file has them: JSON arrays, JSON objects that hold rows or columns, JSON lines, CSV.
//!
//! The extension decides between JSON, JSON lines and CSV; without a known one the first character does. CSV is RFC 4180
//! with `,`, `;` or tab (the most frequent one in the header), with or without byte order mark; the first record names the
//! columns and an empty cell is an absent value.

use super::fields::normal;
use super::problems::Problems;
use super::scan::{Child, Lines, children};
use crate::base::text::{count, ellipsis};
use serde::Serialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use std::collections::BTreeSet;

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One JSON document.
    Json,
    /// One JSON object a line.
    Jsonl,
    /// Comma-, semicolon- or tab-separated values.
    Csv,
}

/// A value and the line it starts on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cell {
    pub value: Value,
    pub line: usize,
}

/// One row in the order of the file; keys are unique.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RawRow {
    pub line: usize,
    pub fields: Vec<(String, Cell)>,
}

/// Keys under which an object holds its rows, in the order they are tried.
const ROWS: &[&str] = &[
    "rows",
    "data",
    "examples",
    "samples",
    "items",
    "questions",
    "tests",
    "test_cases",
    "testcases",
    "goldens",
    "dataset",
    "golden_dataset",
    "records",
    "instances",
    "entries",
    "answers",
    "results",
];

/// Reads the rows of a file; problems are added to `problems`. `is_question` knows the keys that hold a question, which tells
/// a row from an object that holds rows.
pub(super) fn read(
    name: &str,
    bytes: &[u8],
    is_question: &dyn Fn(&str) -> bool,
    problems: &mut Problems,
) -> (Format, Vec<RawRow>) {
    let text = text_of(bytes, problems);
    let format = format_of(name, text);
    let rows = match format {
        _ if !problems.list.is_empty() => Vec::new(),
        _ if text.trim().is_empty() => {
            problems.push(1, "the file is empty");
            Vec::new()
        }
        Format::Csv => csv_rows(text, problems),
        Format::Jsonl => jsonl_rows(text, problems),
        Format::Json => json_rows(text, is_question, problems),
    };
    if rows.is_empty() && problems.list.is_empty() {
        problems.push(1, "the file has no rows");
    }
    for row in &rows {
        for (key, cell) in row.fields.iter().filter(|(key, cell)| key.contains('\0') || has_zero(&cell.value)) {
            let key = ellipsis(key, 40);
            problems
                .push(cell.line, format!("the field `{key}` holds the character U+0000, which no state can keep: take it out"));
        }
    }
    (format, rows)
}

/// What a file is, by its first bytes, when it is no text: gzip, ZIP (also spreadsheets), Parquet, Arrow, SQLite.
fn binary(content: &[u8]) -> Option<&'static str> {
    let magic: [(&[u8], &str); 5] = [
        (b"\x1f\x8b", "gzip"),
        (b"PK\x03\x04", "a ZIP file or a spreadsheet"),
        (b"PAR1", "Parquet"),
        (b"ARROW1", "Arrow"),
        (b"SQLite format 3\0", "an SQLite database"),
    ];
    magic.into_iter().find(|(start, _)| content.starts_with(start)).map(|(_, what)| what)
}

fn has_zero(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(all) => all.iter().any(has_zero),
        Value::Object(map) => map.iter().any(|(key, value)| key.contains('\0') || has_zero(value)),
        _ => false,
    }
}

fn text_of<'b>(bytes: &'b [u8], problems: &mut Problems) -> &'b str {
    let content = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if content.starts_with(b"\xff\xfe") || content.starts_with(b"\xfe\xff") {
        problems.push(1, "the file is UTF-16; save it as UTF-8");
        return "";
    }
    if let Some(what) = binary(content) {
        problems.push(1, format!("the file is {what}; export it as JSON, JSON lines or CSV"));
        return "";
    }
    // Text that is written without NUL characters is ASCII in every second byte of UTF-16.
    if let Some(at) = content.iter().position(|b| *b == 0) {
        let line = content[..at].iter().filter(|b| **b == b'\n').count() + 1;
        problems.push(line, "the file has NUL bytes; if it is UTF-16, save it as UTF-8");
        return "";
    }
    std::str::from_utf8(content).unwrap_or_else(|e| {
        let before = &content[..e.valid_up_to()];
        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
        problems.push(line, format!("byte 0x{:02x} is not UTF-8; save the file as UTF-8", content[e.valid_up_to()]));
        ""
    })
}

fn format_of(name: &str, text: &str) -> Format {
    let extension = name.rsplit_once('.').map_or("", |(_, e)| e).to_ascii_lowercase();
    let first = text.trim_start();
    // Many tools write JSON lines into files called `.json`: two lines that are each an object cannot be one document.
    let lines = || {
        let mut lines = text.lines().filter(|l| !l.trim().is_empty());
        let object = |l: Option<&str>| l.is_some_and(|l| l.trim_start().starts_with('{') && is_json(l));
        object(lines.next()) && lines.next().is_some_and(|l| l.trim_start().starts_with('{'))
    };
    match extension.as_str() {
        "csv" | "tsv" => Format::Csv,
        "jsonl" | "ndjson" => Format::Jsonl,
        "json" if lines() => Format::Jsonl,
        "json" => Format::Json,
        _ if first.starts_with('[') => Format::Json,
        _ if first.starts_with('{') => {
            if lines() {
                Format::Jsonl
            } else {
                Format::Json
            }
        }
        _ => Format::Csv,
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Says what is wrong with a JSON text that starts on a line, after so many bytes of it.
fn json_fault(e: &serde_json::Error, (line, after): (usize, usize), problems: &mut Problems) {
    let message = e.to_string();
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(m, _)| m);
    problems.push(
        line + e.line().max(1) - 1,
        format!("not JSON: {message} (column {})", e.column().max(1) + if e.line() > 1 { 0 } else { after }),
    );
}

fn jsonl_rows(text: &str, problems: &mut Problems) -> Vec<RawRow> {
    let mut rows = Vec::new();
    for (i, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
        match serde_json::from_str::<IgnoredAny>(line) {
            Err(e) => json_fault(&e, (i + 1, 0), problems),
            Ok(_) => {
                let start = line.len() - line.trim_start().len();
                rows.extend(object_row(line, start, &|_| i + 1, problems));
            }
        }
    }
    rows
}

/// The row that is the object at a byte.
fn object_row(text: &str, start: usize, line: &dyn Fn(usize) -> usize, problems: &mut Problems) -> Option<RawRow> {
    if text.as_bytes().get(start) != Some(&b'{') {
        problems.push(line(start), "a row is an object with fields such as \"question\"");
        return None;
    }
    let mut entries = children(text, start);
    // The rows of Hugging Face's dataset server are wrapped: {"row_idx": 0, "row": {…}}.
    let wrapped = entries.iter().find(|c| c.key.as_deref() == Some("row") && text[c.start..].starts_with('{'));
    if let Some(row) = wrapped.filter(|_| entries.iter().any(|c| c.key.as_deref() == Some("row_idx"))) {
        entries = children(text, row.start);
    }
    let mut seen = BTreeSet::new();
    let mut fields = Vec::new();
    for Child { key, start: at, end } in entries {
        let key = key.unwrap_or_default();
        if !seen.insert(key.clone()) {
            problems.push(line(at), format!("the field `{}` is there twice in one row", ellipsis(&key, 40)));
            continue;
        }
        match serde_json::from_str(&text[at..end]) {
            Ok(value) => fields.push((key, Cell { value, line: line(at) })),
            Err(e) => {
                let before = text[..at].rfind('\n').map_or(at, |newline| at - newline - 1);
                json_fault(&e, (line(at), before), problems);
            }
        }
    }
    Some(RawRow { line: line(start), fields })
}

fn json_rows(text: &str, is_question: &dyn Fn(&str) -> bool, problems: &mut Problems) -> Vec<RawRow> {
    if let Err(e) = serde_json::from_str::<IgnoredAny>(text) {
        json_fault(&e, (1, 0), problems);
        return Vec::new();
    }
    let lines = Lines::of(text);
    let line = |byte| lines.line(byte);
    let root = text.len() - text.trim_start().len();
    let mut rows_at = |at: usize| -> Vec<RawRow> {
        children(text, at).into_iter().filter_map(|c| object_row(text, c.start, &line, problems)).collect()
    };
    if text[root..].starts_with('[') {
        return rows_at(root);
    }
    let entries = children(text, root);
    let starts = |c: &Child, with: char| text[c.start..].starts_with(with);
    let holds_objects = |c: &&Child| starts(c, '[') && children(text, c.start).first().is_none_or(|e| starts(e, '{'));
    let named = |name: &str| entries.iter().find(|c| c.key.as_deref().map(normal).as_deref() == Some(name));
    if let Some(rows) = ROWS.iter().filter_map(|n| named(n)).find(holds_objects) {
        return rows_at(rows.start);
    }
    let question = entries.iter().find(|c| c.key.as_deref().is_some_and(is_question));
    match question {
        Some(q) if starts(q, '[') && children(text, q.start).first().is_none_or(|e| !starts(e, '{')) => {
            return column_rows(text, &entries, q, &line, problems);
        }
        Some(_) => return object_row(text, root, &line, problems).into_iter().collect(),
        None => {}
    }
    let mut lists = entries.iter().filter(holds_objects);
    if let (Some(rows), None) = (lists.next(), lists.next()) {
        return rows_at(rows.start);
    }
    let keys: Vec<&str> = entries.iter().filter_map(|c| c.key.as_deref()).take(8).collect();
    problems.push(line(root), format!("found no rows: expected a list of them under `rows`, there is: {}", keys.join(", ")));
    Vec::new()
}

/// Rows from an object of columns (`Dataset.to_dict`): one list for each field, all as long as that of the questions.
fn column_rows(
    text: &str,
    entries: &[Child],
    question: &Child,
    line: &dyn Fn(usize) -> usize,
    problems: &mut Problems,
) -> Vec<RawRow> {
    let mut rows: Vec<RawRow> =
        children(text, question.start).iter().map(|c| RawRow { line: line(c.start), fields: Vec::new() }).collect();
    let mut seen = BTreeSet::new();
    for entry in entries {
        let key = entry.key.clone().unwrap_or_default();
        let shown = ellipsis(&key, 40);
        let cells = children(text, entry.start);
        if !seen.insert(key.clone()) {
            problems.push(line(entry.start), format!("the column `{shown}` is there twice"));
        } else if cells.len() != rows.len() || !text[entry.start..].starts_with('[') {
            let (found, wanted) = (cells.len(), rows.len());
            problems.push(line(entry.start), format!("the column `{shown}` has {found} values for {wanted} questions"));
        } else {
            for (row, cell) in rows.iter_mut().zip(cells) {
                match serde_json::from_str(&text[cell.start..cell.end]) {
                    Ok(value) => row.fields.push((key.clone(), Cell { value, line: line(cell.start) })),
                    Err(e) => json_fault(&e, (line(cell.start), 0), problems),
                }
            }
        }
    }
    rows
}

/// The delimiter that is most frequent in the header, outside quotes.
fn delimiter_of(text: &str) -> u8 {
    let mut counts = [(b',', 0usize), (b';', 0), (b'\t', 0)];
    let mut quoted = false;
    for b in text.bytes() {
        match b {
            b'"' => quoted = !quoted,
            b'\n' if !quoted => break,
            b => counts.iter_mut().filter(|(d, _)| *d == b && !quoted).for_each(|(_, n)| *n += 1),
        }
    }
    // max_by_key gives the last of equals, so the comma wins when it is seen last.
    counts.iter().rev().max_by_key(|(_, n)| *n).map_or(b',', |(d, _)| *d)
}

fn csv_rows(text: &str, problems: &mut Problems) -> Vec<RawRow> {
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter_of(text)).from_reader(text.as_bytes());
    let mut rows = Vec::new();
    let mut header: Vec<String> = Vec::new();
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(e) => {
                let line = e.position().map_or(1, csv::Position::line);
                problems.push(usize::try_from(line).unwrap_or(1), format!("not CSV: {e}"));
                break;
            }
        };
        let line = record.position().map_or(1, |p| usize::try_from(p.line()).unwrap_or(1));
        if header.is_empty() {
            header = record.iter().map(|h| h.trim().to_owned()).collect();
            check_header(&header, line, problems);
        } else if record.len() != header.len() {
            let open = record.len() < header.len() && record.iter().any(|cell| cell.contains('\n'));
            let why = if open { "; a quote in it may not be closed" } else { "" };
            problems.push(line, format!("the row has {}, the header {}{why}", count(record.len(), "cell"), header.len()));
        } else {
            let cells = header.iter().zip(&record).filter(|(_, cell)| !cell.trim().is_empty());
            let cell = |text: &str| Cell { value: Value::String(text.to_owned()), line };
            rows.push(RawRow { line, fields: cells.map(|(h, c)| (h.clone(), cell(c))).collect() });
        }
    }
    rows
}

fn check_header(header: &[String], line: usize, problems: &mut Problems) {
    let mut seen = BTreeSet::new();
    for name in header {
        if !seen.insert(name.as_str()) {
            let what =
                if name.is_empty() { "two columns have no name".to_owned() } else { format!("two columns are called `{name}`") };
            problems.push(line, what);
        }
    }
}
