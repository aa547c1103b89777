//! Reading datasets and recorded answers from bytes.

use super::PROBLEMS_MAX;
use super::fields::{Field, Mapping};
use super::row::{Answer, Reader, Row};
use crate::base::text::ellipsis;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};

/// A dataset as it was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Golden {
    /// The rows, in the order of the file.
    pub rows: Vec<Row>,
    /// Which column is which field.
    pub mapping: Mapping,
}

/// Something wrong with a dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong: a fragment.
    pub message: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

fn problem(line: usize, message: impl Into<String>) -> Problem {
    Problem { line, message: message.into() }
}

/// Reads a golden dataset. `name` tells the format by its ending; without a known one the first character does.
///
/// # Errors
/// All problems found, at most [`PROBLEMS_MAX`], in the order of their lines; at least one.
pub fn read(name: &str, bytes: &[u8], overrides: &BTreeMap<String, String>) -> Result<Golden, Vec<Problem>> {
    let (objects, mapping) = load(name, bytes, overrides)?;
    let mut problems = Vec::new();
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut rows = Vec::with_capacity(objects.len());
    for (line, object) in &objects {
        let mut reader = Reader { object, mapping: &mapping, problems: Vec::new() };
        let row = reader.row(*line);
        problems.extend(reader.problems.into_iter().map(|m| problem(*line, m)));
        match seen.get(&row.id) {
            Some(first) => {
                problems.push(problem(*line, format!("the id `{}` stands on line {first} already", ellipsis(&row.id, 60))))
            }
            None => {
                seen.insert(row.id.clone(), *line);
                rows.push(row);
            }
        }
        if problems.len() >= PROBLEMS_MAX {
            break;
        }
    }
    if problems.is_empty() { Ok(Golden { rows, mapping }) } else { Err(problems) }
}

/// Recorded answers by row id, the mapping of their columns, and the ids or questions that no row of the dataset has.
pub type Answers = (HashMap<String, Answer>, Mapping, Vec<String>);

/// Reads recorded answers and joins them to rows by id, or by question where there is no id.
///
/// # Errors
/// All problems found: no answer, an answer given twice, wrong types.
pub fn read_answers(
    name: &str,
    bytes: &[u8],
    rows: &[Row],
    overrides: &BTreeMap<String, String>,
) -> Result<Answers, Vec<Problem>> {
    let (objects, mapping) = load(name, bytes, overrides)?;
    let by_id: HashMap<&str, &Row> = rows.iter().map(|r| (r.id.as_str(), r)).collect();
    let by_question: HashMap<&str, &Row> = rows.iter().map(|r| (r.question.as_str(), r)).collect();
    let (mut found, mut unmatched, mut problems) = (HashMap::new(), Vec::new(), Vec::new());
    for (line, object) in &objects {
        let mut reader = Reader { object, mapping: &mapping, problems: Vec::new() };
        let (id, question, answer) = (reader.id(), reader.question(), reader.answer());
        problems.extend(reader.problems.into_iter().map(|m| problem(*line, m)));
        let row = match (&id, &question) {
            (Some(id), _) => by_id.get(id.as_str()),
            (None, Some(q)) => by_question.get(q.as_str()),
            (None, None) => {
                problems.push(problem(*line, "it has neither id nor question, so it is not clear what it answers"));
                continue;
            }
        };
        match (row, answer) {
            (None, _) => unmatched.push(id.or(question).unwrap_or_default()),
            (Some(_), None) => problems.push(problem(*line, "it has neither answer nor error")),
            (Some(row), Some(answer)) => {
                if found.insert(row.id.clone(), answer).is_some() {
                    problems.push(problem(*line, format!("`{}` is answered twice", ellipsis(&row.id, 60))));
                }
            }
        }
        if problems.len() >= PROBLEMS_MAX {
            break;
        }
    }
    if problems.is_empty() { Ok((found, mapping, unmatched)) } else { Err(problems) }
}

type Objects = Vec<(usize, Map<String, Value>)>;

fn load(name: &str, bytes: &[u8], overrides: &BTreeMap<String, String>) -> Result<(Objects, Mapping), Vec<Problem>> {
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let line = bytes[..e.valid_up_to()].iter().filter(|b| **b == b'\n').count() + 1;
        vec![problem(line, "it is not UTF-8: save the file as UTF-8")]
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Err(vec![problem(1, "the file is empty")]);
    }
    let lower = name.to_ascii_lowercase();
    let objects = if lower.ends_with(".csv") || lower.ends_with(".tsv") {
        csv_objects(text, lower.ends_with(".tsv"))?
    } else if lower.ends_with(".jsonl") || lower.ends_with(".ndjson") {
        json_lines(text)?
    } else if text.trim_start().starts_with('[') {
        json_array(text)?
    } else {
        json_object_or_lines(text)?
    };
    if objects.is_empty() {
        return Err(vec![problem(1, "there is no row in it")]);
    }
    let mut columns: Vec<&str> = Vec::new();
    for (_, object) in &objects {
        for key in object.keys() {
            if !columns.contains(&key.as_str()) {
                columns.push(key);
            }
        }
    }
    let mapping = Mapping::of(&columns, overrides).map_err(|e| vec![problem(1, e)])?;
    Ok((objects, mapping))
}

fn json_lines(text: &str) -> Result<Objects, Vec<Problem>> {
    let (mut objects, mut problems) = (Vec::new(), Vec::new());
    for (i, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
        match serde_json::from_str::<Value>(line) {
            Ok(value) => match flatten(value) {
                Some(object) => objects.push((i + 1, object)),
                None => problems.push(problem(i + 1, "it is not a JSON object")),
            },
            Err(e) => problems.push(problem(i + 1, format!("it is not JSON: {e}"))),
        }
        if problems.len() >= PROBLEMS_MAX {
            break;
        }
    }
    if problems.is_empty() { Ok(objects) } else { Err(problems) }
}

/// An array of objects; the line of each element is where it begins.
fn json_array(text: &str) -> Result<Objects, Vec<Problem>> {
    let raw: Vec<&serde_json::value::RawValue> =
        serde_json::from_str(text).map_err(|e| vec![problem(e.line(), format!("it is not JSON: {e}"))])?;
    let (mut objects, mut problems) = (Vec::new(), Vec::new());
    let (mut line, mut at) = (1, 0);
    for element in raw {
        // Elements point into the text, so where one begins is told by its address.
        let begins = element.get().as_ptr() as usize - text.as_ptr() as usize;
        line += text[at..begins].matches('\n').count();
        at = begins;
        match serde_json::from_str::<Value>(element.get()).ok().and_then(flatten) {
            Some(object) => objects.push((line, object)),
            None => problems.push(problem(line, "it is not a JSON object")),
        }
    }
    if problems.is_empty() { Ok(objects) } else { Err(problems) }
}

/// One object that holds the rows (`{"rows": […]}`, `{"examples": […]}`), or JSON lines in a file of another name.
fn json_object_or_lines(text: &str) -> Result<Objects, Vec<Problem>> {
    let Ok(Value::Object(map)) = serde_json::from_str::<Value>(text) else { return json_lines(text) };
    const HOLDERS: [&str; 8] = ["rows", "examples", "goldens", "samples", "data", "tests", "questions", "test_cases"];
    for holder in HOLDERS {
        if let Some(Value::Array(items)) = map.get(holder) {
            let line = text.lines().position(|l| l.contains(&format!("\"{holder}\""))).map_or(1, |l| l + 1);
            let objects: Option<Objects> = items.iter().map(|v| flatten(v.clone()).map(|o| (line, o))).collect();
            return objects.ok_or_else(|| vec![problem(line, format!("`{holder}` holds something that is no object"))]);
        }
    }
    flatten(Value::Object(map)).map(|o| vec![(1, o)]).ok_or_else(|| vec![problem(1, "it is not a JSON object")])
}

/// Lifts the fields that promptfoo (`vars`) and MLflow (`inputs`, `expectations`) nest, where they do not hide others.
fn flatten(value: Value) -> Option<Map<String, Value>> {
    let Value::Object(mut object) = value else { return None };
    for holder in ["vars", "inputs", "expectations", "outputs"] {
        if let Some(Value::Object(inner)) = object.get(holder).cloned() {
            let fresh = inner.keys().all(|k| !object.contains_key(k));
            if fresh {
                object.remove(holder);
                object.extend(inner);
            }
        }
    }
    Some(object)
}

fn csv_objects(text: &str, tabs: bool) -> Result<Objects, Vec<Problem>> {
    let header = text.lines().next().unwrap_or_default();
    let delimiter = if tabs {
        b'\t'
    } else if header.matches(';').count() > header.matches(',').count() {
        b';'
    } else {
        b','
    };
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(text.as_bytes());
    let columns = reader.headers().map_err(|e| vec![problem(1, e.to_string())])?.clone();
    let (mut objects, mut problems) = (Vec::new(), Vec::new());
    for record in reader.records() {
        match record {
            Ok(record) => {
                let line = record.position().map_or(0, |p| usize::try_from(p.line()).unwrap_or(0));
                let object =
                    columns.iter().zip(&record).map(|(c, v)| (c.trim().to_owned(), Value::String(v.to_owned()))).collect();
                objects.push((line, object));
            }
            Err(e) => {
                let line = e.position().map_or(0, |p| usize::try_from(p.line()).unwrap_or(0));
                problems.push(problem(line, format!("it is not CSV: {e}")));
            }
        }
        if problems.len() >= PROBLEMS_MAX {
            break;
        }
    }
    if problems.is_empty() { Ok(objects) } else { Err(problems) }
}

/// The field that a column is mapped to, for messages.
pub fn field_names() -> Vec<&'static str> {
    Field::ALL.iter().map(|f| f.word()).collect()
}
