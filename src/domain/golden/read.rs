//! From the rows of a file to rows of a golden dataset.

use super::fields::{Field, Mapped, Mapping, Mode, Override, Source, names_answer, names_question, normal, plan};
use super::problems::Problems;
use super::raw::{self, Cell, Format, RawRow};
use super::row::Row;
use super::values;
use crate::base::digest::Digest;
use crate::base::text::ellipsis;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// A golden dataset.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// Its rows in the order of the file; ids are unique.
    pub rows: Vec<Row>,
    /// The line each row starts on, from 1.
    pub lines: Vec<usize>,
    /// How its fields were read.
    pub mapping: Mapping,
    /// How it is written.
    pub format: Format,
    /// SHA-256 of the file's bytes.
    pub digest: Digest,
}

/// Reads a golden dataset from the bytes of a file. `name` is the file's: its extension decides the format, and problems
/// name it.
///
/// # Errors
/// All that is wrong: no rows, rows without question, ids that are there twice, values of the wrong type, broken JSON or CSV.
pub fn read(name: &str, bytes: &[u8], overrides: &[Override]) -> Result<Dataset, Problems> {
    let mut problems = Problems::new(name);
    let file = File::read(name, bytes, Mode::Golden, overrides, &mut problems);
    let mut rows = Vec::with_capacity(file.rows.len());
    let mut lines = Vec::with_capacity(file.rows.len());
    let mut ids: BTreeMap<String, usize> = BTreeMap::new();
    let needed = file.missing(overrides, &[Field::Question]);
    for mut values in file.rows {
        let line = values.line;
        let Some(row) = row_of(&mut values, &mut problems) else { continue };
        if let Some(first) = ids.get(&row.id) {
            let id = ellipsis(&row.id, 60);
            let same = if values.named { "the id" } else { "same question, references and contexts without an id: the id" };
            problems.push(line, format!("{same} `{id}` is already that of the row in line {first}"));
            continue;
        }
        ids.insert(row.id.clone(), line);
        rows.push(row);
        lines.push(line);
    }
    problems.because(needed);
    problems.or(Dataset { rows, lines, mapping: file.mapping, format: file.format, digest: Digest::of(bytes) })
}

/// A file whose fields are known.
pub(super) struct File {
    pub rows: Vec<Values>,
    pub mapping: Mapping,
    pub format: Format,
}

impl File {
    pub(super) fn read(name: &str, bytes: &[u8], mode: Mode, overrides: &[Override], problems: &mut Problems) -> Self {
        let (format, rows) = raw::read(name, bytes, &|key| names_question(key, overrides), problems);
        let sources = plan(&rows, mode, overrides);
        let unknown = overrides.iter().map(Override::source).filter(|o| !sources.iter().any(|s| s.path == *o));
        let missing: Vec<String> = unknown.map(str::to_owned).collect();
        let mut counts = vec![(0, None); sources.len()];
        let mut kept = BTreeSet::new();
        let rows: Vec<Values> = rows
            .into_iter()
            .map(|row| {
                let values = Values::of(row, &sources, format == Format::Csv, &mut counts);
                kept.extend(values.extra.keys().filter(|k| !kept.contains(*k)).cloned().collect::<Vec<_>>());
                values
            })
            .collect();
        let used = sources.iter().zip(counts).filter(|(_, (rows, _))| *rows > 0).map(|(s, (rows, name))| Mapped {
            source: name.unwrap_or_else(|| s.path.clone()),
            field: s.field,
            rows,
            note: s.note.map(str::to_owned),
        });
        let mapping = Mapping { used: used.collect(), kept: kept.into_iter().collect(), missing };
        Self { rows, mapping, format }
    }

    /// What to say of overrides for fields that a row cannot do without, when no row has what they name: the reason why the
    /// rows are refused.
    pub(super) fn missing(&self, overrides: &[Override], needed: &[Field]) -> Vec<String> {
        let missing = |o: &&Override| needed.contains(&o.field()) && self.mapping.missing.iter().any(|m| m == o.source());
        let told =
            |o: &Override| format!("no row has the field `{}` that is to be mapped to `{}`", ellipsis(o.source(), 60), o.field());
        overrides.iter().filter(missing).map(told).collect()
    }
}

/// One row with its values sorted by what they mean.
pub(super) struct Values {
    pub line: usize,
    /// True when the row came with an id.
    pub named: bool,
    known: BTreeMap<Field, (Cell, String)>,
    inverted: bool,
    extra: Map<String, Value>,
}

impl Values {
    fn of(row: RawRow, sources: &[Source], csv: bool, counts: &mut [(usize, Option<String>)]) -> Self {
        let mut left: Vec<(String, String, Cell)> = row.fields.into_iter().map(|(k, c)| (normal(&k), k, c)).collect();
        let mut values = Self { line: row.line, named: false, known: BTreeMap::new(), inverted: false, extra: Map::new() };
        for (source, count) in sources.iter().zip(counts) {
            if values.known.contains_key(&source.field) {
                continue;
            }
            if is_split(&left, source, sources) {
                continue;
            }
            let Some((name, mut cell)) = take(&mut left, &source.path) else { continue };
            if let Value::String(text) = &cell.value
                && csv
            {
                let expected = if source.path == "__expected" { values::expected(text) } else { Some(text.clone()) };
                let Some(text) = expected else {
                    values.keep(name, cell.value);
                    continue;
                };
                cell.value = values::from_cell(source.field, &text);
            }
            // A conversation and assertions say more than what is read from them.
            let more = match source.field {
                Field::Question => cell.value.as_array().is_some_and(|messages| messages.len() > 1),
                Field::References => source.path == "assert",
                _ => false,
            };
            if more {
                values.keep(name.clone(), cell.value.clone());
            }
            count.0 += 1;
            count.1.get_or_insert_with(|| name.clone());
            values.inverted |= source.inverted;
            values.known.insert(source.field, (cell, name));
        }
        for (normal, key, cell) in left {
            match cell.value {
                Value::Object(map) if normal == "extra" => map.into_iter().for_each(|(k, v)| values.keep(k, v)),
                Value::Null => {}
                value => values.keep(key, value),
            }
        }
        values.named = values.known.contains_key(&Field::Id);
        values
    }

    /// Keeps what has no meaning here; never over something that has the same name.
    fn keep(&mut self, mut key: String, value: Value) {
        while self.extra.contains_key(&key) {
            key.push('_');
        }
        self.extra.insert(key, value);
    }

    /// The value of a field; one of the wrong type is a problem.
    pub(super) fn get<T>(
        &mut self,
        field: Field,
        problems: &mut Problems,
        convert: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        let (cell, source) = self.known.remove(&field)?;
        let of = if normal(&source) == field.word() { String::new() } else { format!(" as {field}") };
        let told = |why| problems.push(cell.line, format!("`{}`{of}: {why}", ellipsis(&source, 60)));
        convert(&cell.value).map_err(told).ok()
    }

    /// True, and gone from what is kept, when a field that holds answers is there with blank text: an answer, though an empty one.
    pub(super) fn answers_nothing(&mut self) -> bool {
        let blank = |(key, value): (&String, &Value)| {
            let named = names_answer(key);
            (named && value.as_str().is_some_and(|text| text.trim().is_empty())).then(|| key.clone())
        };
        let found = self.extra.iter().find_map(blank);
        found.is_some_and(|key| self.extra.shift_remove(&key).is_some())
    }

    /// Passages and their ids: those of the list of ids, else those that every passage brings.
    pub(super) fn passages(&mut self, texts: Field, ids: Field, problems: &mut Problems) -> (Vec<String>, Vec<String>) {
        let found = self.get(texts, problems, values::passages).unwrap_or_default();
        let given = self.get(ids, problems, values::texts);
        let own = || found.iter().map(|(_, id)| id.clone()).collect::<Option<Vec<_>>>().unwrap_or_default();
        let ids = given.unwrap_or_else(own);
        (found.into_iter().map(|(text, _)| text).filter(|text| !text.trim().is_empty()).collect(), ids)
    }

    /// What is left.
    pub(super) fn extra(&mut self) -> Map<String, Value> {
        std::mem::take(&mut self.extra)
    }
}

/// True when the whole value is an object with a place of its own for the field, empty though it is: `answers: {text: []}`.
fn is_split(left: &[(String, String, Cell)], source: &Source, sources: &[Source]) -> bool {
    let whole = left.iter().find(|(normal, ..)| *normal == source.path).and_then(|(.., cell)| cell.value.as_object());
    let Some(whole) = whole else { return false };
    let inner = |s: &Source| s.path.strip_prefix(&source.path)?.strip_prefix('.').map(str::to_owned);
    let places: Vec<String> = sources.iter().filter(|s| s.field == source.field).filter_map(inner).collect();
    whole.keys().any(|k| places.contains(&normal(k)))
}

/// Takes the value at a path out of a row, with its name in the file; what counts as absent stays.
fn take(left: &mut Vec<(String, String, Cell)>, path: &str) -> Option<(String, Cell)> {
    if let Some(i) = left.iter().position(|(normal, ..)| normal == path) {
        return (!values::is_absent(&left[i].2.value)).then(|| left.remove(i)).map(|(_, key, cell)| (key, cell));
    }
    let (outer, inner) = path.split_once('.')?;
    let i = left.iter().position(|(normal, ..)| normal == outer)?;
    let (_, name, cell) = &mut left[i];
    let map = cell.value.as_object_mut()?;
    let key = map.iter().find(|(k, v)| normal(k) == inner && !values::is_absent(v)).map(|(k, _)| k.clone())?;
    let value = map.shift_remove(&key)?;
    let found = (format!("{name}.{key}"), Cell { value, line: cell.line });
    if map.is_empty() {
        left.remove(i);
    }
    Some(found)
}

/// A row of a golden dataset; `None` when it has no question, which is a problem.
fn row_of(values: &mut Values, problems: &mut Problems) -> Option<Row> {
    let before = problems.total();
    let question = values.get(Field::Question, problems, values::question);
    match &question {
        Some(q) if q.trim().is_empty() => problems.push(values.line, "the question is blank"),
        None if problems.total() == before => {
            let there = values.known.values().map(|(_, source)| source.as_str()).chain(values.extra.keys().map(String::as_str));
            let there = ellipsis(&there.collect::<Vec<_>>().join(", "), 120);
            problems.push(values.line, format!("the row has no question; it has: {there}"));
        }
        _ => {}
    }
    let (contexts, context_ids) = values.passages(Field::Contexts, Field::ContextIds, problems);
    let (reference_contexts, reference_context_ids) =
        values.passages(Field::ReferenceContexts, Field::ReferenceContextIds, problems);
    let ids: [&[String]; 2] = [&reference_context_ids, &context_ids];
    let relevance = values.get(Field::Relevance, problems, |v| values::grades(v, &ids));
    let inverted = values.inverted;
    let mut row = Row {
        id: values.get(Field::Id, problems, values::text).unwrap_or_default(),
        question: question.unwrap_or_default(),
        references: values.get(Field::References, problems, values::references).unwrap_or_default(),
        answer: values.get(Field::Answer, problems, values::answer),
        contexts,
        reference_contexts,
        context_ids,
        reference_context_ids,
        relevance,
        answerable: values.get(Field::Answerable, problems, values::truth).map(|v| v != inverted),
        language: values.get(Field::Language, problems, values::text),
        tags: values.get(Field::Tags, problems, values::texts).unwrap_or_default(),
        cluster: values.get(Field::Cluster, problems, values::text),
        split: values.get(Field::Split, problems, values::text),
        weight: values.get(Field::Weight, problems, values::amount),
        latency_ms: values.get(Field::LatencyMs, problems, values::amount),
        cost_usd: values.get(Field::CostUsd, problems, values::amount),
        tokens: values.get(Field::Tokens, problems, values::whole),
        must_pass: values.get(Field::MustPass, problems, values::truth),
        extra: values.extra(),
    };
    if row.question.trim().is_empty() {
        return None;
    }
    if row.id.is_empty() {
        row.id = row.content_id();
    }
    Some(row)
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
