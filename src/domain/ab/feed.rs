//! Results as they come in: JSON lines, or CSV with a header.
//!
//! A line has a `unit`, the values of metrics under their names (or within `metrics`), and may have a `variant` (else the one that the unit
//! is assigned) and an `id` (else the unit: one record each). What is wrong is said with its line and column, for all lines at once, and
//! then nothing of the file counts. A value that is not there is absent, never 0; one that is there twice is neither.

mod object;

use super::{Design, Kind, Metric, RESERVED, Setup, Variant};
use crate::base::text::visible;
use crate::data::separator::separator;
use object::Field;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The most problems of a file that are told.
const PROBLEMS_MAX: usize = 20;
/// The longest id of a unit or a record, in bytes.
const ID_MAX: usize = 1024;

/// A line that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Where it stands, from 1.
    pub line: u64,
    /// Its id: a second one of the unit with it is the same record.
    pub id: String,
    /// Whose it is.
    pub unit: String,
    /// What the unit got.
    pub variant: Variant,
    /// Its values, by the number of the metric in [`Setup::metrics`].
    pub values: Vec<(usize, f64)>,
}

/// A file that was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Records {
    /// Its lines.
    pub records: Vec<Record>,
    /// Fields that are nothing of the test, each once.
    pub unused: BTreeSet<String>,
}

/// Something wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1.
    pub line: u64,
    /// The character in it, from 1.
    pub column: usize,
    /// What.
    pub what: String,
}

/// What is wrong with a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    /// The first of them.
    pub first: Vec<Problem>,
    /// All of them.
    pub count: usize,
}

impl Problems {
    /// Notes one.
    pub fn add(&mut self, line: u64, column: usize, what: impl Into<String>) {
        self.count += 1;
        if self.first.len() < PROBLEMS_MAX {
            self.first.push(Problem { line, column, what: what.into() });
        }
    }

    /// Every problem with the name of its file, one a line.
    pub fn of(&self, file: &str) -> String {
        let mut lines: Vec<String> = self.first.iter().map(|p| format!("{file}:{p}")).collect();
        if self.count > self.first.len() {
            lines.push(format!("and {} more", self.count - self.first.len()));
        }
        lines.join("\n")
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.what)
    }
}

/// Reads a file.
///
/// # Errors
/// With every problem that is found in it.
pub fn read(setup: &Setup, bytes: &[u8]) -> Result<Records, Problems> {
    let mut problems = Problems::default();
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(e) => {
            let before = &bytes[..e.valid_up_to()];
            let line = 1 + before.iter().filter(|b| **b == b'\n').count();
            let column = 1 + before.iter().rev().take_while(|b| **b != b'\n').count();
            problems.add(line as u64, column, "it is not UTF-8");
            return Err(problems);
        }
    };
    let mut reader = Reader {
        setup,
        metrics: setup.metrics().collect(),
        found: Records::default(),
        problems,
        ids: BTreeMap::new(),
        units: BTreeMap::new(),
    };
    match text.trim_start().chars().next() {
        Some('{') => reader.json(text),
        Some('[') => reader.problems.add(1, 1, "it is a JSON array: write one object a line"),
        _ => reader.csv(text),
    }
    if reader.problems.count == 0 { Ok(reader.found) } else { Err(reader.problems) }
}

/// A value of a line with its place.
struct Cell<'t> {
    column: usize,
    text: &'t str,
    /// True for a JSON text, which is in quotes.
    quoted: bool,
    /// True for a JSON list, object, true or false, which name nobody.
    nameless: bool,
}

struct Reader<'s> {
    setup: &'s Setup,
    metrics: Vec<&'s Metric>,
    found: Records,
    problems: Problems,
    /// Where an id of a unit was first, of the treatment or not.
    ids: BTreeMap<(bool, String, String), u64>,
    /// What a unit got, and where.
    units: BTreeMap<String, (Variant, u64)>,
}

impl Reader<'_> {
    fn json(&mut self, text: &str) {
        for (line, text) in (1..).zip(text.lines()) {
            if text.trim().is_empty() {
                continue;
            }
            match object::fields(text) {
                Ok(fields) => self.once(line, &fields),
                Err((column, what)) => self.problems.add(line, column, what),
            }
        }
    }

    /// Takes an object, of which no field that counts may be there twice.
    fn once(&mut self, line: u64, fields: &[Field]) {
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let twice: Vec<&Field> = fields.iter().filter(|f| !seen.insert(&f.name) && self.is_ours(&f.name)).collect();
        for field in &twice {
            self.problems.add(line, field.column, format!("`{}` is there twice", field.name));
        }
        if twice.is_empty() {
            self.take(
                line,
                fields.iter().filter(|f| f.text != "null" || f.quoted).map(|f| (f.name.as_str(), f.cell())).collect(),
            );
        }
    }

    /// Whether a field is one of the test.
    fn is_ours(&self, name: &str) -> bool {
        RESERVED.contains(&name) || self.metrics.iter().any(|m| m.name.as_str() == name)
    }

    /// The names of the columns; `None` where they are no header of results.
    fn header(&mut self, line: u64, raw: &str, by: u8, record: &csv::StringRecord) -> Option<Vec<String>> {
        let names: Vec<String> = record.iter().map(|n| n.trim().to_owned()).collect();
        let before = self.problems.count;
        for (i, name) in names.iter().enumerate().filter(|(i, name)| names[..*i].contains(name)) {
            if self.is_ours(name) {
                self.problems.add(line, column_of(raw, by, i), format!("the column `{name}` is there twice"));
            }
        }
        if !names.iter().any(|n| n == "unit") {
            self.problems.add(line, 1, "the header has no column `unit`");
        }
        (self.problems.count == before).then_some(names)
    }

    fn csv(&mut self, text: &str) {
        let by = separator(text);
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).delimiter(by).from_reader(text.as_bytes());
        let mut header: Option<Vec<String>> = None;
        for record in reader.records() {
            let record = match record {
                Ok(record) => record,
                Err(e) => {
                    self.problems.add(e.position().map_or(1, csv::Position::line), 1, "the line cannot be read");
                    return;
                }
            };
            let (line, start) = record.position().map_or((1, 0), |p| (p.line(), usize::try_from(p.byte()).unwrap_or(0)));
            let raw = text.get(start..).unwrap_or_default();
            let Some(names) = &header else {
                let Some(names) = self.header(line, raw, by, &record) else { return };
                header = Some(names);
                continue;
            };
            if record.len() != names.len() {
                self.problems.add(line, 1, format!("{} values under {} columns", record.len(), names.len()));
                continue;
            }
            let column = |i: usize| column_of(raw, by, i);
            let cells = names.iter().zip(record.iter()).enumerate().filter(|(_, (_, v))| !v.trim().is_empty());
            let cell = |i, text| Cell { column: column(i), text, quoted: false, nameless: false };
            let cells = cells.map(|(i, (name, value))| (name.as_str(), cell(i, value.trim())));
            let cells: BTreeMap<&str, Cell<'_>> = cells.collect();
            self.take(line, cells);
        }
        if header.is_none() {
            self.problems.add(1, 1, "it is empty");
        }
    }

    /// Takes the fields of a line.
    fn take(&mut self, line: u64, cells: BTreeMap<&str, Cell<'_>>) {
        let before = self.problems.count;
        let mut values = Vec::new();
        for (i, metric) in self.metrics.iter().enumerate() {
            if let Some(cell) = cells.get(metric.name.as_str()) {
                match value(metric, cell) {
                    Ok(found) => values.push((i, found)),
                    Err(what) => self.problems.add(line, cell.column, what),
                }
            }
        }
        let unused: Vec<String> = cells.keys().filter(|name| !self.is_ours(name)).map(|name| (*name).to_owned()).collect();
        self.found.unused.extend(unused);
        let unit = self.id(line, cells.get("unit"), "unit");
        let id = cells.get("id").and_then(|cell| self.id(line, Some(cell), "id"));
        let Some(unit) = unit else { return };
        let variant = match cells.get("variant") {
            None => Some(self.setup.assigned(&unit)),
            Some(cell) => match variant(self.setup, cell.text) {
                Ok(variant) => Some(variant),
                Err(what) => {
                    self.problems.add(line, cell.column, what);
                    None
                }
            },
        };
        if values.is_empty() && self.problems.count == before {
            let names: Vec<&str> = self.metrics.iter().map(|m| m.name.as_str()).collect();
            self.problems.add(line, 1, format!("it has no value of {}", names.join(", ")));
        }
        let Some(variant) = variant.filter(|_| self.problems.count == before) else { return };
        self.keep(
            Record { line, id: id.unwrap_or_else(|| unit.clone()), unit, variant, values },
            cells.get("unit").map_or(1, |c| c.column),
        );
    }

    fn id(&mut self, line: u64, cell: Option<&Cell<'_>>, what: &str) -> Option<String> {
        let Some(cell) = cell else {
            self.problems.add(line, 1, format!("it has no `{what}`"));
            return None;
        };
        if cell.nameless {
            let shown = visible(cell.text, 40);
            self.problems.add(line, cell.column, format!("`{what}` is `{shown}`, and is to be a text or a number"));
            return None;
        }
        if cell.text.is_empty() || cell.text.len() > ID_MAX || cell.text.contains('\0') {
            self.problems.add(
                line,
                cell.column,
                format!("`{what}` is empty, longer than {ID_MAX} bytes, or holds the character U+0000"),
            );
            return None;
        }
        Some(cell.text.to_owned())
    }

    fn keep(&mut self, record: Record, column: usize) {
        if self.setup.design == Design::Split {
            let (had, at) = *self.units.entry(record.unit.clone()).or_insert((record.variant, record.line));
            if had != record.variant {
                let what =
                    format!("the unit `{}` got {} on line {at}, and {} here", visible(&record.unit, 40), had, record.variant);
                return self.problems.add(record.line, column, what);
            }
        }
        let key = (record.variant == Variant::Treatment, record.unit.clone(), record.id.clone());
        if let Some(at) = self.ids.get(&key) {
            let hint = "give each record an `id` where a unit has several";
            let what = format!("`{}` is on line {at} already: {hint}", visible(&record.id, 40));
            return self.problems.add(record.line, column, what);
        }
        self.ids.insert(key, record.line);
        self.found.records.push(record);
    }
}

fn variant(setup: &Setup, text: &str) -> Result<Variant, String> {
    let is = |variant: Variant| {
        let arm = setup.arm(variant);
        let other = setup.arm(if variant == Variant::Control { Variant::Treatment } else { Variant::Control });
        text == arm.reference() || (text == arm.version.to_string() && arm.version != other.version)
    };
    if let Ok(found) = text.parse() {
        return Ok(found);
    }
    [Variant::Control, Variant::Treatment].into_iter().find(|v| is(*v)).ok_or_else(|| {
        let (control, treatment) = (setup.control.reference(), setup.treatment.reference());
        format!("`{}` is neither control ({control}) nor treatment ({treatment})", visible(text, 40))
    })
}

fn value(metric: &Metric, cell: &Cell<'_>) -> Result<f64, String> {
    let shown = visible(cell.text, 40);
    let number = match cell.text {
        "true" | "True" | "TRUE" if metric.kind == Kind::Rate => Some(1.0),
        "false" | "False" | "FALSE" if metric.kind == Kind::Rate => Some(0.0),
        _ if cell.quoted => None,
        text => text.parse::<f64>().ok().filter(|v| v.is_finite()),
    };
    let Some(number) = number else {
        return Err(format!("`{}` is `{shown}`, which is no finite number", metric.name));
    };
    metric.value(number, shown)
}

/// The column, from 1, in which the field of this number begins; a record may span lines, of which the last counts.
fn column_of(raw: &str, by: u8, field: usize) -> usize {
    let (mut number, mut quoted, mut column) = (0, false, 1);
    for c in raw.chars() {
        if number == field {
            break;
        }
        match c {
            '"' => quoted = !quoted,
            '\n' => column = 0,
            c if !quoted && c as u32 == u32::from(by) => number += 1,
            _ => {}
        }
        column += 1;
    }
    column
}

#[cfg(test)]
mod tests;
