//! Results as they come in: JSON lines, or CSV with a header.
//!
//! A line has a `unit`, the values of metrics under their names (or within `metrics`), and may have a `variant` (else the one that the unit
//! is assigned) and an `id` (else the unit: one record each). What is wrong is said with its line and column, for all lines at once, and
//! then nothing of the file counts. A value that is not there is absent, never 0.

use super::{Design, Kind, Metric, RESERVED, Setup, Variant};
use crate::base::text::visible;
use crate::data::separator::separator;
use serde_json::value::RawValue;
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
    /// Its id: a second one with it is the same record.
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
}

struct Reader<'s> {
    setup: &'s Setup,
    metrics: Vec<&'s Metric>,
    found: Records,
    problems: Problems,
    /// Where an id was first, of the treatment or not.
    ids: BTreeMap<(bool, String), u64>,
    /// What a unit got, and where.
    units: BTreeMap<String, (Variant, u64)>,
}

impl Reader<'_> {
    fn json(&mut self, text: &str) {
        for (line, text) in (1..).zip(text.lines()) {
            if text.trim().is_empty() {
                continue;
            }
            match serde_json::from_str::<BTreeMap<String, &RawValue>>(text) {
                Ok(fields) => {
                    let Some(flat) = self.flat(line, text, fields) else { continue };
                    self.take(line, flat.iter().map(|f| (f.name.as_str(), f.cell())).collect());
                }
                Err(e) => {
                    let said = e.to_string();
                    let why = said.rsplit_once(" at line ").map_or(said.as_str(), |(why, _)| why);
                    let column = text.get(..e.column().saturating_sub(1)).map_or(e.column(), |t| t.chars().count() + 1);
                    self.problems.add(line, column.max(1), format!("not a JSON object: {why}"));
                }
            }
        }
    }

    /// The fields of an object, those of `metrics` among them.
    fn flat(&mut self, line: u64, text: &str, fields: BTreeMap<String, &RawValue>) -> Option<Vec<Field>> {
        // A value is a part of the line, so its place is the distance of the two.
        let column = |raw: &RawValue| {
            let at = (raw.get().as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
            text.get(..at).map_or(1, |before| before.chars().count() + 1)
        };
        let mut flat = Vec::new();
        for (name, raw) in fields {
            if name != "metrics" {
                flat.extend(field(name, column(raw), raw.get()));
                continue;
            }
            let Ok(inner) = serde_json::from_str::<BTreeMap<String, &RawValue>>(raw.get()) else {
                self.problems.add(line, column(raw), "`metrics` is not an object of numbers");
                return None;
            };
            flat.extend(inner.into_iter().filter_map(|(name, raw)| field(name, column(raw), raw.get())));
        }
        Some(flat)
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
            let Some(names) = &header else {
                header = Some(record.iter().map(|n| n.trim().to_owned()).collect());
                if !record.iter().any(|n| n.trim() == "unit") {
                    self.problems.add(line, 1, "the header has no column `unit`");
                    return;
                }
                continue;
            };
            if record.len() != names.len() {
                self.problems.add(line, 1, format!("{} values under {} columns", record.len(), names.len()));
                continue;
            }
            let raw = text.get(start..).unwrap_or_default();
            let column = |i: usize| column_of(raw, by, i);
            let cells = names.iter().zip(record.iter()).enumerate().filter(|(_, (_, v))| !v.trim().is_empty());
            let cells =
                cells.map(|(i, (name, value))| (name.as_str(), Cell { column: column(i), text: value.trim(), quoted: false }));
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
        let ours = |name: &str| RESERVED.contains(&name) || self.metrics.iter().any(|m| m.name.as_str() == name);
        self.found.unused.extend(cells.keys().filter(|name| !ours(name)).map(|name| (*name).to_owned()));
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
        let key = (record.variant == Variant::Treatment, record.id.clone());
        if let Some(at) = self.ids.get(&key) {
            let hint = "give each record an `id` where a unit has several";
            let what = format!("`{}` is on line {at} already: {hint}", visible(&record.id, 40));
            return self.problems.add(record.line, column, what);
        }
        self.ids.insert(key, record.line);
        self.found.records.push(record);
    }
}

/// A field of a JSON object, with its text without quotes.
struct Field {
    name: String,
    column: usize,
    text: String,
    quoted: bool,
}

impl Field {
    fn cell(&self) -> Cell<'_> {
        Cell { column: self.column, text: &self.text, quoted: self.quoted }
    }
}

/// A field; none of `null`.
fn field(name: String, column: usize, raw: &str) -> Option<Field> {
    let quoted = raw.starts_with('"');
    let text = if quoted { serde_json::from_str(raw).unwrap_or_default() } else { raw.to_owned() };
    (raw != "null").then_some(Field { name, column, text, quoted })
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
mod tests {
    use super::*;
    use crate::domain::ab::tests::setup;
    use proptest::prelude::*;

    fn s() -> Setup {
        setup("converted", &["latency:mean:lower=20", "quality:score:higher=0.05"])
    }

    fn told(text: &str) -> Vec<String> {
        read(&s(), text.as_bytes()).expect_err("problems").first.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn lines_and_tables_say_the_same() {
        let json = "\u{feff}{\"unit\": \"u1\", \"variant\": \"control\", \"converted\": true, \"latency\": 12.5, \"at\": \"noon\"}\n\n\
             {\"unit\": \"u2\", \"variant\": \"bot@1.1.0\", \"id\": \"r9\", \"metrics\": {\"converted\": 0, \"quality\": 0.5}}\r\n\
             {\"unit\": \"u3\", \"variant\": \"1.0.0\", \"converted\": 1, \"latency\": null}\n";
        let csv = "unit;variant;id;converted;latency;quality;at\nu1;control;;1;12.5;;noon\n\"u2\";treatment;r9;false;;0.5;\nu3;control;;true;;;\n";
        let (json, csv) = (read(&s(), json.as_bytes()).expect("lines"), read(&s(), csv.as_bytes()).expect("a table"));
        let plain = |r: &Records| r.records.iter().map(|r| Record { line: 0, ..r.clone() }).collect::<Vec<_>>();
        assert_eq!(plain(&json), plain(&csv));
        assert_eq!((json.unused, json.records[1].line), (BTreeSet::from(["at".to_owned()]), 3));
        let second = &csv.records[1];
        assert_eq!((second.id.as_str(), second.unit.as_str(), second.variant), ("r9", "u2", Variant::Treatment));
        assert_eq!(second.values, [(0, 0.0), (2, 0.5)]);
    }

    #[test]
    fn a_unit_without_a_variant_has_the_one_that_it_is_assigned() {
        let text: String = (0..50).map(|i| format!("{{\"unit\": \"u{i}\", \"converted\": 1}}\n")).collect();
        let found = read(&s(), text.as_bytes()).expect("lines").records;
        assert!(found.iter().all(|r| r.variant == s().assigned(&r.unit)));
        assert!(found.iter().any(|r| r.variant == Variant::Control) && found.iter().any(|r| r.variant == Variant::Treatment));
    }

    #[test]
    fn what_is_wrong_is_said_where_it_stands() {
        let json = "{\"unit\": \"a\", \"variant\": \"control\", \"converted\": 2}\n{\"unit\": \"b\", \"converted\": \"yes\"}\n{\"unit\": \"ü\", \"variant\": \"x\", \"converted\": 1}\n\
             {\"converted\": 1}\n{\"unit\": \"c\"\n{\"unit\": \"d\"}\n{\"unit\": \"e\", \"quality\": 1.5}\n{\"unit\": \"f\", \"latency\": 1e999}\n{\"unit\": \"g\", \"metrics\": 3}\n[1]";
        assert_eq!(
            told(json),
            [
                "1:50: `converted` is a rate: 0 or 1, not 2",
                "2:28: `converted` is `yes`, which is no finite number",
                "3:26: `x` is neither control (bot@1.0.0) nor treatment (bot@1.1.0)",
                "4:1: it has no `unit`",
                "5:12: not a JSON object: EOF while parsing an object",
                "6:1: it has no value of converted, latency, quality",
                "7:26: `quality` is a score: from 0 to 1, not 1.5",
                "8:26: `latency` is `1e999`, which is no finite number",
                "9:26: `metrics` is not an object of numbers",
                "10:1: not a JSON object: invalid type: sequence, expected a map",
            ]
        );
        let csv = "unit,variant,converted,latency\n\"a,b\",control,1,NaN\nc,control,1\nd,\"con\ntrol\",1,2\n";
        assert_eq!(
            told(csv),
            [
                "2:17: `latency` is `NaN`, which is no finite number",
                "3:1: 3 values under 4 columns",
                "4:3: `con\\ntrol` is neither control (bot@1.0.0) nor treatment (bot@1.1.0)",
            ]
        );
        assert_eq!(told("user,converted\nu,1\n"), ["1:1: the header has no column `unit`"]);
        assert_eq!(
            (told(""), told("[{\"unit\": \"a\"}]")),
            (vec!["1:1: it is empty".to_owned()], vec!["1:1: it is a JSON array: write one object a line".to_owned()])
        );
        let bytes = read(&s(), b"unit,converted\n\xff,1\n").expect_err("no UTF-8");
        assert_eq!(bytes.first[0].to_string(), "2:1: it is not UTF-8");
    }

    #[test]
    fn a_unit_has_one_variant_and_an_id_one_line() {
        let csv = "unit,variant,id,converted\nu,control,1,1\nu,treatment,2,1\nu,control,1,0\nu,control,3,0\n";
        assert_eq!(
            told(csv),
            [
                "3:1: the unit `u` got control on line 2, and treatment here",
                "4:1: `1` is on line 2 already: give each record an `id` where a unit has several",
            ]
        );
        let paired = Setup { design: Design::Paired, ..s() };
        assert_eq!(read(&paired, b"unit,variant,converted\nq,control,1\nq,treatment,0\n").expect("pairs").records.len(), 2);
        let many: String = (0..40).map(|_| "u,control,x\n").collect();
        let problems = read(&s(), format!("unit,variant,converted\n{many}").as_bytes()).expect_err("problems");
        assert_eq!((problems.count, problems.first.len()), (40, 20));
        assert!(problems.of("f.csv").ends_with("f.csv:21:11: `converted` is `x`, which is no finite number\nand 20 more"));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "(\\PC|\n|,|\"|\\{|\\}|:){0,80}") {
            let _ = read(&s(), text.as_bytes());
            let _ = read(&s(), format!("unit,converted\n{text}").as_bytes());
        }

        #[test]
        fn every_value_comes_back(v in proptest::collection::vec(-1e9f64..1e9, 1..20)) {
            let lines: String = v.iter().enumerate().map(|(i, v)| format!("{{\"unit\": \"u{i}\", \"latency\": {v}}}\n")).collect();
            let found: Vec<f64> = read(&s(), lines.as_bytes()).expect("lines").records.iter().map(|r| r.values[0].1).collect();
            prop_assert_eq!(found, v);
        }
    }
}
