//! What a command says: one value, rendered as table, JSON, JSON lines, CSV or Markdown.
//!
//! JSON starts with `{"schema": "kf.<report>/1"`; within a number fields are added, never renamed or re-typed. Standard output
//! carries the report and nothing else.

use crate::base::error::{Context, Result};
use crate::base::exit::Exit;
use crate::base::format::Format;
use crate::base::table::{Align, Table};
use serde::Serialize;
use serde_json::{Map, Value};

/// A part of a report for people.
pub(crate) enum Block {
    /// Lines of text.
    Text(String),
    /// A table.
    Table(Table),
    /// Text that keeps its line breaks in Markdown: a diff, a tree, a file.
    Verbatim(String),
}

impl Block {
    /// A table, unless it has no row.
    pub(crate) fn filled(t: Table) -> Vec<Self> {
        if t.is_empty() { Vec::new() } else { vec![Self::Table(t)] }
    }
}

impl From<Table> for Block {
    fn from(t: Table) -> Self {
        Self::Table(t)
    }
}

impl From<String> for Block {
    fn from(t: String) -> Self {
        Self::Text(t)
    }
}

impl From<&str> for Block {
    fn from(t: &str) -> Self {
        Self::Text(t.to_owned())
    }
}

/// The result of a command.
pub(crate) trait Report: Serialize {
    /// `kf.<report>/<number>`.
    const SCHEMA: &'static str;

    /// What a person reads.
    fn blocks(&self) -> Vec<Block>;

    /// One line that says how it ended; what cron's mail starts with.
    fn summary(&self) -> String;

    /// How the command ends.
    fn exit(&self) -> Exit {
        Exit::Ok
    }

    /// The records of a list, one a line in JSON lines; `None` for a single thing.
    fn items(&self) -> Option<Vec<Value>> {
        None
    }

    /// Names and values for GitHub's step outputs, beside `verdict` and `report`.
    fn outputs(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// Failures worth an annotation: (file, title, message).
    fn annotations(&self) -> Vec<(Option<String>, String, String)> {
        Vec::new()
    }
}

/// The JSON document of a report.
pub(crate) fn json<R: Report>(report: &R) -> Result<Value> {
    let mut doc = Map::new();
    doc.insert("schema".into(), R::SCHEMA.into());
    match serde_json::to_value(report).context(|| format!("cannot write {} as JSON", R::SCHEMA))? {
        Value::Object(fields) => doc.extend(fields),
        other => {
            doc.insert("value".into(), other);
        }
    }
    Ok(Value::Object(doc))
}

/// The text of a report in one of the formats, ending in a line break when it is not empty.
pub(crate) fn render<R: Report>(report: &R, format: Format, width: Option<u16>) -> Result<String> {
    let mut out = match format {
        Format::Table => report.blocks().iter().map(|b| plain(b, width)).collect::<Vec<_>>().join("\n"),
        Format::Markdown => markdown(report),
        Format::Json => pretty(&json(report)?)?,
        Format::Jsonl => match report.items() {
            Some(items) => items.iter().map(|i| format!("{i}\n")).collect(),
            None => format!("{}\n", json(report)?),
        },
        Format::Csv => csv(report)?,
    };
    if !out.is_empty() && !out.ends_with('\n') {
        out.push('\n');
    }
    Ok(out)
}

fn pretty(value: &Value) -> Result<String> {
    serde_json::to_string_pretty(value).context(|| "cannot write JSON")
}

/// A report as Markdown, for files, step summaries and comments.
pub(crate) fn markdown<R: Report>(report: &R) -> String {
    let part = |b: &Block| match b {
        Block::Text(t) => format!("{}\n", t.trim_end()),
        Block::Table(t) => t.markdown(),
        Block::Verbatim(t) => {
            let longest = t.split(|c| c != '`').map(str::len).max().unwrap_or(0);
            let fence = "`".repeat(longest.max(2) + 1);
            format!("{fence}\n{}\n{fence}\n", t.trim_end())
        }
    };
    clean(&report.blocks().iter().map(part).collect::<Vec<_>>().join("\n"))
}

fn plain(block: &Block, width: Option<u16>) -> String {
    match block {
        Block::Text(t) | Block::Verbatim(t) => format!("{}\n", clean(t.trim_end())),
        Block::Table(t) => aligned(t, width),
    }
}

/// The narrowest a column can be read at, in characters.
const COLUMN_MIN: u16 = 8;

/// A table as aligned text; comfy-table measures and wraps, the look is ours: no frames, two spaces between columns.
fn aligned(table: &Table, width: Option<u16>) -> String {
    use comfy_table::presets;
    use comfy_table::{CellAlignment, ContentArrangement, Table as Drawn};
    let mut drawn = Drawn::new();
    drawn.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    drawn.set_header(table.columns().iter().map(|(name, _)| name.to_uppercase()));
    for row in table.rows() {
        drawn.add_row(row.iter().map(|c| cell(c)).collect::<Vec<_>>());
    }
    for (i, (_, align)) in table.columns().iter().enumerate() {
        if let Some(column) = drawn.column_mut(i) {
            column.set_padding((0, 2));
            column.set_cell_alignment(if *align == Align::Right { CellAlignment::Right } else { CellAlignment::Left });
        }
    }
    if let Some(width) = width {
        let least = drawn.column_max_content_widths().into_iter().map(|w| w.min(COLUMN_MIN) + 2).sum::<u16>();
        if least > width.saturating_add(2) {
            return stacked(table);
        }
        drawn.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    let mut out = table.title().map(|t| format!("{t}\n")).unwrap_or_default();
    for line in drawn.lines() {
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// A table for a terminal on which its columns have no room side by side: a line for each cell, a gap between rows.
fn stacked(table: &Table) -> String {
    let names: Vec<String> = table.columns().iter().map(|(name, _)| name.to_uppercase()).collect();
    let longest = names.iter().map(|n| n.chars().count()).max().unwrap_or_default();
    let line = |(name, cell): (&String, &String)| format!("{name:<longest$}  {}", self::cell(cell)).trim_end().to_owned() + "\n";
    let rows = table.rows().iter().map(|row| names.iter().zip(row).map(line).collect::<String>());
    let title = table.title().map(|t| format!("{t}\n")).unwrap_or_default();
    title + &rows.collect::<Vec<_>>().join("\n")
}

/// What a cell shows: one line.
fn cell(text: &str) -> String {
    clean(text).replace('\n', " ")
}

/// Characters of data that steer a terminal or turn the direction of writing never reach it; line ends and tabs do.
pub(crate) fn clean(text: &str) -> String {
    let turns = |c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let steers = |c: char| c.is_control() && c != '\n' && c != '\t';
    text.chars().map(|c| if steers(c) || turns(c) { '\u{fffd}' } else { c }).collect()
}

/// The first table of a report; without one its records, or itself as one record, by their plain fields.
fn csv<R: Report>(report: &R) -> Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let first = report.blocks().into_iter().find_map(|b| if let Block::Table(t) = b { Some(t) } else { None });
    let (header, rows) = match first {
        Some(table) => (table.columns().iter().map(|(name, _)| name.clone()).collect(), table.rows().to_vec()),
        None => records(&report.items().map_or_else(|| json(report).map(|doc| vec![doc]), Ok)?),
    };
    writer.write_record(&header).context(|| "cannot write CSV")?;
    for row in &rows {
        writer.write_record(row).context(|| "cannot write CSV")?;
    }
    let bytes = writer.into_inner().map_err(|e| crate::base::error::Error::new(format!("cannot write CSV: {e}")))?;
    String::from_utf8(bytes).context(|| "cannot write CSV").map(|text| clean(&text))
}

/// The fields that are no lists and no objects, in the order of the first record, and a row of them for each record.
fn records(docs: &[Value]) -> (Vec<String>, Vec<Vec<String>>) {
    let plain = |v: &Value| match v {
        Value::Null => Some(String::new()),
        Value::String(s) => Some(s.clone()),
        Value::Bool(_) | Value::Number(_) => Some(v.to_string()),
        Value::Array(_) | Value::Object(_) => None,
    };
    let fields = |doc: &Value| doc.as_object().cloned().unwrap_or_default();
    let header: Vec<String> = docs
        .first()
        .map(|d| fields(d).iter().filter(|(_, v)| plain(v).is_some()).map(|(k, _)| k.clone()).collect())
        .unwrap_or_default();
    let row = |doc: &Value| header.iter().map(|k| doc.get(k).and_then(plain).unwrap_or_default()).collect();
    let rows = docs.iter().map(row).collect();
    (header, rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Sample {
        n: u32,
    }

    impl Report for Sample {
        const SCHEMA: &'static str = "kf.sample/1";
        fn blocks(&self) -> Vec<Block> {
            let mut t = Table::new(&["name", ">n"]);
            t.row(["a\u{1b}[31m", "1"]).row(["long, \"quoted\"", "12"]);
            vec![t.into(), Block::Verbatim("x ``` y".into())]
        }
        fn summary(&self) -> String {
            "2 rows".into()
        }
    }

    #[test]
    fn one_value_renders_in_every_format() {
        let r = |f| render(&Sample { n: 1 }, f, None).expect("rendered");
        assert_eq!(r(Format::Json), "{\n  \"schema\": \"kf.sample/1\",\n  \"n\": 1\n}\n");
        assert_eq!(r(Format::Jsonl), "{\"schema\":\"kf.sample/1\",\"n\":1}\n");
        assert_eq!(r(Format::Csv), "name,n\na\u{fffd}[31m,1\n\"long, \"\"quoted\"\"\",12\n");
        assert_eq!(r(Format::Table), "NAME             N\na\u{fffd}[31m           1\nlong, \"quoted\"  12\n\nx ``` y\n");
        assert_eq!(
            r(Format::Markdown),
            "| name | n |\n| --- | ---: |\n| a\u{fffd}[31m | 1 |\n| long, \"quoted\" | 12 |\n\n````\nx ``` y\n````\n"
        );
    }

    #[test]
    fn a_narrow_terminal_gets_rows_of_lines() {
        let mut t = Table::new(&["model", "version", "stage", ">size", "author"]).titled("two");
        t.row(["support-bot", "1.0.0", "production", "12 B", "ada@example.com"]);
        t.row(["other", "1.0.1", "", "1 B", "ada\u{202e}"]);
        let wide = aligned(&t, Some(80));
        assert_eq!(wide.lines().nth(1), Some("MODEL        VERSION  STAGE       SIZE  AUTHOR"));
        assert_eq!(aligned(&t, Some(50)).lines().nth(1).map(|l| l.starts_with("MODEL")), Some(true));
        assert_eq!(
            aligned(&t, Some(30)),
            "two\nMODEL    support-bot\nVERSION  1.0.0\nSTAGE    production\nSIZE     12 B\nAUTHOR   ada@example.com\n\n\
             MODEL    other\nVERSION  1.0.1\nSTAGE\nSIZE     1 B\nAUTHOR   ada\u{fffd}\n"
        );
    }

    #[test]
    fn text_of_data_cannot_steer_a_terminal() {
        assert_eq!(plain(&Block::Text("a\u{1b}]0;x\u{7}\tb\nc\r".into()), None), "a\u{fffd}]0;x\u{fffd}\tb\nc\n");
        assert_eq!(plain(&Block::Verbatim("+x\r\n-y".into()), None), "+x\u{fffd}\n-y\n");
    }
}
