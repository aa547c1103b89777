//! The cases of a suite: what stands below `tests` or in files that it names, what `defaultTest` adds to each, one case for each
//! combination of values where a variable has a list of them, and variables filled into the texts of assertions.

use super::Case;
use super::assertion::Assertion;
use super::read::Reader;
use crate::base::text::ellipsis;
use crate::domain::prompt::value::from_json;
use crate::domain::registry::document::{self, Syntax};
use crate::domain::registry::tree::{KeyPath, Step};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The most cases of a suite.
const CASES_MAX: usize = 100_000;

/// What a case says, or the default of all.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    vars: Map<String, Value>,
    assertions: Vec<(KeyPath, Value)>,
    threshold: Option<f64>,
    /// Lists are values, and not one value each.
    keeps_lists: Option<bool>,
}

/// The cases while they are read.
pub(super) struct Cases<'r, 's> {
    reader: &'r mut Reader<'s>,
    default: Scope,
    found: Vec<Case>,
    names: BTreeSet<String>,
}

impl<'r, 's> Cases<'r, 's> {
    pub(super) fn new(reader: &'r mut Reader<'s>, map: &Map<String, Value>) -> Self {
        let mut default = Scope::default();
        let key = if map.contains_key("default-test") { "default-test" } else { "defaultTest" };
        let at = KeyPath(vec![Step::Key(key.into())]);
        match map.get(key) {
            None => {}
            Some(Value::Object(said)) => default = scope(reader, said, &at),
            Some(_) => reader.fault(&at, "`defaultTest` is a map with `vars`, `assert` and `threshold`"),
        }
        Self { reader, default, found: Vec::new(), names: BTreeSet::new() }
    }

    pub(super) fn read(mut self, map: &Map<String, Value>) -> Vec<Case> {
        let at = KeyPath(vec![Step::Key("tests".into())]);
        match map.get("tests") {
            // Without cases the prompts are asked once, with what the default says.
            None => self.case(&Map::new(), &KeyPath::default()),
            Some(Value::Array(items)) => {
                for (i, item) in items.iter().enumerate() {
                    self.item(item, &at.with(Step::Index(i)));
                }
            }
            Some(one) => self.item(one, &at),
        }
        if self.found.is_empty() && self.reader.faults.is_empty() {
            self.reader.fault(&at, "the suite has no case");
        }
        self.found
    }

    fn item(&mut self, item: &Value, at: &KeyPath) {
        match item {
            Value::Object(said) => self.case(said, at),
            Value::String(file) => self.file(file, at),
            _ => self.reader.fault(at, "a case is a map with `vars` and `assert`, or a file of cases"),
        }
    }

    /// Cases of a file: a list in YAML or JSON, lines of JSON, or CSV with a column for each variable.
    fn file(&mut self, file: &str, at: &KeyPath) {
        let file = file.strip_prefix("file://").unwrap_or(file);
        let bytes = match (self.reader.files)(file) {
            Ok(bytes) => bytes,
            Err(why) => return self.reader.fault(at, why),
        };
        match cases_of(file, &bytes) {
            Ok(all) => {
                for said in all {
                    self.case(&said, at);
                }
            }
            Err(why) => self.reader.fault(at, why),
        }
    }

    /// One case, or several where a variable has several values.
    fn case(&mut self, said: &Map<String, Value>, at: &KeyPath) {
        let own = scope(self.reader, said, at);
        let mut vars = self.default.vars.clone();
        vars.extend(own.vars);
        let assertions: Vec<(KeyPath, Value)> = self.default.assertions.iter().cloned().chain(own.assertions).collect();
        let threshold = own.threshold.or(self.default.threshold);
        let number = self.found.len() + 1;
        let named = said.get("description").and_then(Value::as_str).filter(|d| !d.trim().is_empty()).map(str::to_owned);
        let all = if own.keeps_lists.or(self.default.keeps_lists).unwrap_or(false) { vec![vars] } else { combinations(vars) };
        let several = all.len() > 1;
        if self.found.len() + all.len() > CASES_MAX {
            return self.reader.fault(at, format!("the suite has more than {CASES_MAX} cases"));
        }
        for (i, vars) in all.into_iter().enumerate() {
            let name = named.clone().unwrap_or_else(|| format!("case {number}"));
            let name = if several { format!("{name} / {}", i + 1) } else { name };
            let name = if self.names.contains(&name) { format!("{name} ({})", self.found.len() + 1) } else { name };
            self.names.insert(name.clone());
            let (mut read, mut asked) = (Vec::new(), Vec::new());
            for (at, assertion) in &assertions {
                read.extend(self.assertion(assertion, at, &vars, &mut asked));
            }
            self.found.push(Case { name, vars, asked_by_assertions: asked, assertions: read, threshold, at: at.clone() });
        }
    }

    fn assertion(&mut self, said: &Value, at: &KeyPath, vars: &Map<String, Value>, asked: &mut Vec<String>) -> Option<Assertion> {
        let filled = match self.filled(said, vars, asked) {
            Ok(filled) => filled,
            Err(why) => {
                self.reader.fault(at, why);
                return None;
            }
        };
        let read = Assertion::read(&filled).and_then(|assertion| {
            let used = assertion.variables(vars).map_err(|why| (None, why))?;
            Ok((assertion, used))
        });
        match read {
            Ok((assertion, used)) => {
                asked.extend(used.into_iter().map(str::to_owned));
                Some(assertion)
            }
            Err((key, why)) => {
                let at = key.map_or_else(|| at.clone(), |key| at.with(Step::Key(key.to_owned())));
                self.reader.fault(&at, why);
                None
            }
        }
    }

    /// An assertion with variables in the places of `{{name}}`, and files in those of `file://…`, in its `value`.
    fn filled(&self, said: &Value, vars: &Map<String, Value>, asked: &mut Vec<String>) -> Result<Value, String> {
        let Some(map) = said.as_object() else { return Ok(said.clone()) };
        let mut map = map.clone();
        if let Some(value) = map.get_mut("value") {
            let fill = |text: &str, asked: &mut Vec<String>| -> Result<Value, String> {
                match text.strip_prefix("file://") {
                    Some(file) => self.read_value(file),
                    None => fill(text, vars, asked).map(Value::String),
                }
            };
            *value = match &*value {
                Value::String(text) => fill(text, asked)?,
                Value::Array(items) => Value::Array(
                    items
                        .iter()
                        .map(|item| item.as_str().map_or_else(|| Ok(item.clone()), |text| fill(text, asked)))
                        .collect::<Result<_, _>>()?,
                ),
                other => other.clone(),
            };
        }
        if let Some(Value::Array(items)) = map.get("assert") {
            let items = items.iter().map(|item| self.filled(item, vars, asked)).collect::<Result<Vec<_>, _>>()?;
            map.insert("assert".into(), Value::Array(items));
        }
        Ok(Value::Object(map))
    }

    /// What a file holds: a structured one its value, another its text.
    fn read_value(&self, file: &str) -> Result<Value, String> {
        let bytes = (self.reader.files)(file)?;
        value_of(file, &bytes)
    }
}

fn value_of(file: &str, bytes: &[u8]) -> Result<Value, String> {
    let placed = |f: document::Fault| format!("{file}:{}:{}: {}", f.line, f.column, f.message);
    match Syntax::of(file) {
        Some(syntax) => document::parse_finite(syntax, bytes).map_err(placed),
        None => document::text_of(bytes).map(|t| Value::String(t.trim_end_matches('\n').to_owned())).map_err(placed),
    }
}

/// What a map says of cases.
fn scope(reader: &mut Reader<'_>, said: &Map<String, Value>, at: &KeyPath) -> Scope {
    reader.only(said, at, Scope::KEYS, "a case");
    let mut scope = Scope::default();
    let here = |key: &str| at.with(Step::Key(key.to_owned()));
    match said.get("vars") {
        None => {}
        Some(Value::Object(vars)) => {
            for (name, value) in vars {
                match value
                    .as_str()
                    .and_then(|t| t.strip_prefix("file://"))
                    .map(|f| (reader.files)(f).and_then(|b| value_of(f, &b)))
                {
                    None => _ = scope.vars.insert(name.clone(), value.clone()),
                    Some(Ok(value)) => _ = scope.vars.insert(name.clone(), value),
                    Some(Err(why)) => reader.fault(&here("vars").with(Step::Key(name.clone())), why),
                }
            }
        }
        Some(_) => reader.fault(&here("vars"), "`vars` is a map from names to values"),
    }
    match said.get("assert") {
        None => {}
        Some(Value::Array(items)) => {
            let at = here("assert");
            scope.assertions = items.iter().enumerate().map(|(i, item)| (at.with(Step::Index(i)), item.clone())).collect();
        }
        Some(_) => reader.fault(&here("assert"), "`assert` is a list"),
    }
    if let Some(value) = said.get("threshold") {
        scope.threshold = value.as_f64().filter(|n| (0.0..=1.0).contains(n));
        if scope.threshold.is_none() {
            reader.fault(
                &here("threshold"),
                format!("`threshold` of a case is a number from 0 to 1, and this is {}", ellipsis(&value.to_string(), 40)),
            );
        }
    }
    if let Some(value) = said.get("options") {
        let options = value.as_object().cloned().unwrap_or_default();
        reader.only(&options, &here("options"), &["disableVarExpansion"], "the options of a case");
        scope.keeps_lists = options.get("disableVarExpansion").and_then(Value::as_bool);
    }
    scope
}

/// One set of values for each combination of the values of those that have a list of them, the last varying first.
fn combinations(vars: Map<String, Value>) -> Vec<Map<String, Value>> {
    let mut all = vec![Map::new()];
    for (name, value) in vars {
        let values = match value {
            Value::Array(items) => items,
            other => vec![other],
        };
        if all.len().saturating_mul(values.len()) > CASES_MAX {
            // Too many to make: the caller refuses so many cases.
            return vec![Map::new(); CASES_MAX + 1];
        }
        let with = |known: &Map<String, Value>| {
            values
                .iter()
                .map(|value| {
                    let mut next = known.clone();
                    next.insert(name.clone(), value.clone());
                    next
                })
                .collect::<Vec<_>>()
        };
        all = all.iter().flat_map(with).collect();
    }
    all
}

/// A text with values in the places of `{{name}}`, `{{name.key}}` and `{{name[0]}}`.
fn fill(text: &str, vars: &Map<String, Value>, asked: &mut Vec<String>) -> Result<String, String> {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((inside, behind)) = after.split_once("}}") else { break };
        let way = inside.trim();
        let pointer = format!("/{}", way.replace('[', ".").replace(']', "").replace('.', "/"));
        let name = pointer.split('/').nth(1).unwrap_or_default().to_owned();
        let plain = way.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '[' | ']' | ' '));
        if !plain || way.is_empty() {
            return Err(format!(
                "only the name of a variable stands between `{{{{` and `}}}}`, and this is `{}`",
                ellipsis(way, 40)
            ));
        }
        let value = vars.get(&name).and_then(|v| match pointer[1..].split_once('/') {
            None => Some(v),
            Some((_, keys)) => v.pointer(&format!("/{keys}")),
        });
        let value = value.ok_or_else(|| format!("there is no value for `{{{{{}}}}}`", ellipsis(way, 40)))?;
        asked.push(name);
        out.push_str(before);
        match value {
            Value::String(text) => out.push_str(text),
            other => out.push_str(&other.to_string()),
        }
        rest = behind;
    }
    out.push_str(rest);
    Ok(out)
}

/// The cases of a file.
fn cases_of(file: &str, bytes: &[u8]) -> Result<Vec<Map<String, Value>>, String> {
    let lower = file.to_ascii_lowercase();
    if lower.ends_with(".csv") {
        return of_csv(file, bytes);
    }
    let object = |value: Value, what: String| match value {
        Value::Object(map) => Ok(map),
        _ => Err(format!("{file}: {what} is no map with `vars` and `assert`")),
    };
    if lower.ends_with(".jsonl") || lower.ends_with(".ndjson") {
        let text = document::text_of(bytes).map_err(|f| format!("{file}:{}:{}: {}", f.line, f.column, f.message))?;
        let lines = text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty());
        return lines
            .map(|(i, line)| {
                let value = from_json(line).map_err(|f| format!("{file}:{}:{}: {}", i + 1, f.column, f.message))?;
                object(value, format!("line {}", i + 1))
            })
            .collect();
    }
    if Syntax::of(file).is_none() {
        return Err(format!("{file}: cases are in .yaml, .json, .jsonl or .csv"));
    }
    match value_of(file, bytes)? {
        Value::Array(items) => items.into_iter().enumerate().map(|(i, v)| object(v, format!("element {}", i + 1))).collect(),
        _ => Err(format!("{file}: cases are a list")),
    }
}

/// CSV with a column for each variable; `__expected`, `__expected1` … hold assertions as promptfoo writes them in a line, and
/// `__description`, `__metric` and `__threshold` what they say.
fn of_csv(file: &str, bytes: &[u8]) -> Result<Vec<Map<String, Value>>, String> {
    let text = document::text_of(bytes).map_err(|f| format!("{file}:{}:{}: {}", f.line, f.column, f.message))?;
    let wrong = |e: csv::Error| format!("{file}: {e}");
    let mut reader = csv::ReaderBuilder::new().from_reader(text.as_bytes());
    let head = reader.headers().map_err(wrong)?.clone();
    let mut all = Vec::new();
    for record in reader.records() {
        let record = record.map_err(wrong)?;
        let line = record.position().map_or(0, csv::Position::line);
        let (mut vars, mut case, mut assertions) = (Map::new(), Map::new(), Vec::new());
        let mut metric = None;
        for (name, cell) in head.iter().map(str::trim).zip(&record) {
            match name {
                "__description" => _ = case.insert("description".into(), cell.into()),
                "__metric" => metric = Some(cell.to_owned()).filter(|m| !m.is_empty()),
                "__threshold" if cell.trim().is_empty() => {}
                "__threshold" => {
                    let n: f64 = cell.trim().parse().map_err(|_| format!("{file}:{line}: `__threshold` is no number"))?;
                    case.insert("threshold".into(), json!(n));
                }
                _ if name.starts_with("__expected") => assertions.extend((!cell.trim().is_empty()).then(|| in_a_line(cell))),
                _ if name.starts_with("__") => return Err(format!("{file}:1: the column `{name}` is not read")),
                _ => _ = vars.insert(name.to_owned(), cell.into()),
            }
        }
        for (assertion, metric) in assertions.iter_mut().zip(std::iter::repeat(&metric)) {
            if let Some(metric) = metric {
                assertion["metric"] = json!(metric);
            }
        }
        case.insert("vars".into(), Value::Object(vars));
        case.insert("assert".into(), Value::Array(assertions));
        // A cell is one value, whatever is in it.
        case.insert("options".into(), json!({"disableVarExpansion": true}));
        all.push(case);
    }
    Ok(all)
}

/// `contains: text`, `levenshtein(3): text`, `is-json`; anything else must be equal.
fn in_a_line(cell: &str) -> Value {
    let (head, value) = cell.split_once(':').map_or((cell.trim(), None), |(head, value)| (head.trim(), Some(value.trim())));
    let (name, threshold) = match head.strip_suffix(')').and_then(|h| h.split_once('(')) {
        Some((name, number)) => (name.trim(), number.trim().parse::<f64>().ok()),
        None => (head, None),
    };
    let is_name = !name.is_empty() && super::assertion::is_name(name.strip_prefix("not-").unwrap_or(name));
    if !is_name {
        return json!({"type": "equals", "value": cell});
    }
    let mut said = json!({"type": name});
    if let Some(value) = value.filter(|v| !v.is_empty()) {
        said["value"] = json!(value);
    }
    if let Some(threshold) = threshold {
        said["threshold"] = json!(threshold);
    }
    said
}
