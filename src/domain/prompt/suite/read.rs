//! Suites read from YAML, TOML or JSON. Everything that is wrong is said at once, by line and column.
//!
//! The shape is promptfoo's: `prompts`, `providers` (or `models`), `defaultTest` (or `default-test`), `tests` with `vars`, `assert` and
//! `threshold`. What differs: prompts are Python format strings (`{name}`), as everywhere in kf; texts in assertions name variables as
//! promptfoo writes them (`{{name}}`). A key that kf does not read is a fault, but for those that only describe.

use super::cases::{Cases, Scope};
use super::{From, PromptSource, ProviderSpec, Suite, place_in};
use crate::base::text::{did_you_mean, ellipsis};
use crate::domain::registry::document::{self, Fault, Syntax};
use crate::domain::registry::tree::{KeyPath, Step};
use serde_json::{Map, Value};

/// Reads a file that a suite names, relative to the suite.
pub type Files<'f> = &'f dyn Fn(&str) -> Result<Vec<u8>, String>;

/// Keys of a suite.
const KEYS: &[&str] = &[
    "$schema",
    "default-test",
    "defaultTest",
    "description",
    "env",
    "metadata",
    "models",
    "outputPath",
    "prompts",
    "providers",
    "sharing",
    "tags",
    "tests",
];

/// Reading stops after this many faults.
const FAULTS_MAX: usize = 50;

/// A suite while it is read.
pub(super) struct Reader<'s> {
    syntax: Syntax,
    text: &'s str,
    pub(super) files: Files<'s>,
    pub(super) faults: Vec<Fault>,
}

impl Reader<'_> {
    pub(super) fn place(&self, at: &KeyPath) -> (usize, usize) {
        place_in(self.syntax, self.text, at)
    }

    pub(super) fn fault(&mut self, at: &KeyPath, message: impl Into<String>) {
        let (line, column) = self.place(at);
        let fault = Fault { line, column, message: message.into() };
        // A fault of what stands above several cases is one fault.
        if self.faults.len() < FAULTS_MAX && !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    /// Refuses keys that are not read.
    pub(super) fn only(&mut self, map: &Map<String, Value>, at: &KeyPath, keys: &[&str], of: &str) {
        for key in map.keys().filter(|key| !keys.contains(&key.as_str())) {
            let hint = did_you_mean(key, keys.iter().copied()).unwrap_or_default();
            self.fault(&at.with(Step::Key(key.clone())), format!("`{}` is not read of {of}; {hint}", ellipsis(key, 40)));
        }
    }
}

/// Reads a suite.
///
/// # Errors
/// All that is wrong with it, at most 50 faults, in the order of the file.
pub fn read(path: &str, bytes: &[u8], files: Files<'_>) -> Result<Suite, Vec<Fault>> {
    let start = |message: &str| vec![Fault { line: 1, column: 1, message: message.to_owned() }];
    let syntax = Syntax::of(path).ok_or_else(|| start("a suite ends in .yaml, .toml or .json"))?;
    let value = document::parse_finite(syntax, bytes).map_err(|fault| vec![fault])?;
    let text = document::text_of(bytes).map_err(|fault| vec![fault])?;
    let map = value.as_object().ok_or_else(|| start("a suite is a map with `prompts`, `providers` and `tests`"))?;
    let mut reader = Reader { syntax, text, files, faults: Vec::new() };
    let root = KeyPath::default();
    for (key, why) in [
        ("scenarios", "write its cases below `tests`"),
        ("evaluateOptions", "`--limit` and the `concurrency` of a provider say how much is asked"),
        ("derivedMetrics", "name figures by `metric` of assertions"),
        ("nunjucksFilters", "kf runs no code of a suite"),
        ("extensions", "kf runs no code of a suite"),
        ("redteam", "kf has no such suites"),
    ] {
        if map.contains_key(key) {
            reader.fault(&root.with(Step::Key(key.into())), format!("`{key}` is not read: {why}"));
        }
    }
    let refused = ["scenarios", "evaluateOptions", "derivedMetrics", "nunjucksFilters", "extensions", "redteam"];
    let known: Vec<&str> = KEYS.iter().chain(&refused).copied().collect();
    reader.only(map, &root, &known, "a suite");
    let prompts = prompts(&mut reader, map);
    let providers = providers(&mut reader, map);
    let cases = Cases::new(&mut reader, map).read(map);
    let description = map.get("description").and_then(Value::as_str).map(str::to_owned);
    if reader.faults.is_empty() {
        return Ok(Suite { description, prompts, providers, cases, syntax, text: text.to_owned() });
    }
    reader.faults.sort_by_key(|f| (f.line, f.column));
    Err(reader.faults)
}

/// The elements of a list, or the one thing that stands in its place, each with where it is.
fn elements<'v>(map: &'v Map<String, Value>, key: &str) -> Vec<(KeyPath, &'v Value)> {
    let at = KeyPath(vec![Step::Key(key.to_owned())]);
    match map.get(key) {
        None => Vec::new(),
        Some(Value::Array(items)) => items.iter().enumerate().map(|(i, item)| (at.with(Step::Index(i)), item)).collect(),
        Some(one) => vec![(at, one)],
    }
}

fn prompts(reader: &mut Reader<'_>, map: &Map<String, Value>) -> Vec<PromptSource> {
    let mut all = Vec::new();
    for (at, said) in elements(map, "prompts") {
        let place = reader.place(&at);
        match said {
            Value::String(text) => match source(text) {
                Some(from) => all.push(PromptSource { label: None, from, place }),
                None => reader.fault(&at, "the prompt is empty"),
            },
            Value::Object(said) => all.extend(prompt_map(reader, &at, said)),
            _ => reader.fault(&at, "a prompt is a text, a file or a registered version"),
        }
    }
    if all.is_empty() && reader.faults.is_empty() {
        reader.fault(
            &KeyPath(vec![Step::Key("prompts".into())]),
            "the suite has no `prompts`: write `prompts: [prompts/answer.txt]`",
        );
    }
    all
}

fn prompt_map(reader: &mut Reader<'_>, at: &KeyPath, said: &Map<String, Value>) -> Option<PromptSource> {
    reader.only(said, at, &["id", "raw", "file", "version", "prompt", "label"], "a prompt");
    let text = |key: &str| said.get(key).and_then(Value::as_str).map(str::to_owned);
    let which = text("prompt");
    let from = match (text("raw"), text("file"), text("version"), text("id")) {
        (Some(raw), None, None, _) => Some(From::Text(raw)),
        (None, Some(file), None, _) => Some(From::File(file, which)),
        (None, None, Some(version), _) => Some(From::Version(version, which)),
        (None, None, None, Some(id)) => source(&id),
        _ => None,
    };
    let Some(from) = from else {
        reader.fault(at, "a prompt has one of `raw`, `file`, `version` and `id`");
        return None;
    };
    Some(PromptSource { label: text("label"), from, place: reader.place(at) })
}

/// What the text of a prompt means: `file://…`, `version:NAME[@…][#PROMPT]`, a path, or the template itself.
pub fn source(text: &str) -> Option<From> {
    let split = |text: &str| match text.split_once('#') {
        Some((first, which)) => (first.to_owned(), Some(which.to_owned())),
        None => (text.to_owned(), None),
    };
    if text.trim().is_empty() {
        return None;
    }
    if let Some(file) = text.strip_prefix("file://") {
        let (file, which) = split(file);
        return Some(From::File(file, which));
    }
    if let Some(version) = text.strip_prefix("version:") {
        let (version, which) = split(version.trim());
        return Some(From::Version(version, which));
    }
    let (path, which) = split(text);
    let extension = path.rsplit_once('.').map(|(_, e)| e).unwrap_or_default();
    let is_path = ["txt", "md", "yaml", "yml", "toml", "json", "prompt"].contains(&extension) && !text.contains(['\n', '{', ' ']);
    Some(if is_path { From::File(path, which) } else { From::Text(text.to_owned()) })
}

fn providers(reader: &mut Reader<'_>, map: &Map<String, Value>) -> Vec<ProviderSpec> {
    let key = if map.contains_key("models") { "models" } else { "providers" };
    if map.contains_key("models") && map.contains_key("providers") {
        reader.fault(&KeyPath(vec![Step::Key("models".into())]), "`models` and `providers` mean the same; keep one of them");
    }
    let mut all: Vec<ProviderSpec> = Vec::new();
    for (at, said) in elements(map, key) {
        let place = reader.place(&at);
        let spec = match said {
            Value::String(id) => Some(ProviderSpec { id: id.clone(), label: id.clone(), config: Map::new(), place }),
            Value::Object(said) => {
                reader.only(said, &at, &["id", "label", "config"], "a provider");
                let text = |key: &str| said.get(key).and_then(Value::as_str).map(str::to_owned);
                let config = match said.get("config") {
                    None => Map::new(),
                    Some(Value::Object(config)) => config.clone(),
                    Some(_) => {
                        reader.fault(&at.with(Step::Key("config".into())), "`config` of a provider is a map");
                        Map::new()
                    }
                };
                text("id").map(|id| ProviderSpec { label: text("label").unwrap_or_else(|| id.clone()), id, config, place })
            }
            _ => None,
        };
        match spec.filter(|s| !s.id.trim().is_empty()) {
            None => reader.fault(&at, "a provider is such as `echo`, `exec: python3 answer.py` or `system`, or a map with `id`"),
            Some(spec) if all.iter().any(|p| p.label == spec.label) => {
                reader.fault(&at, format!("two providers are called `{}`; give them a `label` each", ellipsis(&spec.label, 60)));
            }
            Some(spec) => all.push(spec),
        }
    }
    if all.is_empty() && reader.faults.is_empty() {
        reader.fault(
            &KeyPath(vec![Step::Key(key.into())]),
            "the suite has no `providers`: write `providers: [echo]` to test what is rendered",
        );
    }
    all
}

impl Scope {
    /// The keys of a case.
    pub(super) const KEYS: &'static [&'static str] = &["assert", "description", "metadata", "options", "threshold", "vars"];
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
