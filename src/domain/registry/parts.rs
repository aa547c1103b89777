//! The parts of a `config` version: prompts, routing, retrieval and agents. A `prompt` version has prompts only, other types
//! have no parts.
//!
//! A file belongs to a part by the layout of the project; without a rule there by its folder (`prompts/`, `prompt_templates/`,
//! `routing/`, `retrieval/`, `agents/`, the outermost counts) and then by its name (`prompt*`, `routing*`, `retrieval*`,
//! `agents*`, where the word ends at `.`, `_` or `-`, but for prompts). README, LICENSE and CHANGELOG files belong to none.
//!
//! Every YAML, TOML and JSON file of these types must parse, whatever part it belongs to, and every prompt must be a valid
//! template. A text file is one prompt; in a structured file every text is one, but for those below keys that describe the
//! prompt ([`DESCRIBING`]). A text file may begin with a head: YAML between two lines `---` whose keys are all such ones.

use super::document::{self, Fault, Syntax};
use super::manifest::{check_path, extension_of};
use super::place;
use super::template::Template;
use super::tree::{self, KeyPath, Step};
use crate::base::error::Result;
use crate::base::name::{ModelType, words};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

words! {
    /// A part of a configuration.
    Part, "part of a configuration" {
        /// Prompt templates.
        Prompts = "prompts",
        /// Which question goes where.
        Routing = "routing",
        /// How passages are found.
        Retrieval = "retrieval",
        /// Who answers, with which tools.
        Agents = "agents",
    }
}

/// Keys of a structured prompt file whose texts describe the prompt instead of being one; compared in lower case.
pub const DESCRIBING: &[&str] = &[
    "author",
    "authors",
    "config",
    "created",
    "description",
    "examples",
    "id",
    "input_variables",
    "language",
    "license",
    "metadata",
    "model",
    "model_config",
    "name",
    "owner",
    "parameters",
    "response_format",
    "role",
    "schema",
    "tags",
    "title",
    "tools",
    "type",
    "updated",
    "variables",
    "version",
];

/// Reading a structured file of prompts stops after this many faults.
const FAULTS_MAX: usize = 50;

/// Which paths belong to which part, where the names alone do not say it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    rules: Vec<(String, Part)>,
}

impl Layout {
    /// A layout from files or folders and their parts. A rule for a longer path beats one for a shorter path.
    ///
    /// # Errors
    /// When a path is not one that a version can hold, see [`check_path`].
    pub fn new(rules: impl IntoIterator<Item = (String, Part)>) -> Result<Self> {
        let mut rules: Vec<_> = rules.into_iter().map(|(path, part)| (path.trim_end_matches('/').to_owned(), part)).collect();
        rules.iter().try_for_each(|(path, _)| check_path(path))?;
        rules.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then_with(|| a.0.cmp(&b.0)));
        Ok(Self { rules })
    }

    /// The part a file belongs to in a version of this type.
    pub fn part_of(&self, kind: ModelType, path: &str) -> Option<Part> {
        if !has_parts(kind) {
            return None;
        }
        let within = |rule: &str| path.strip_prefix(rule).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if let Some((_, part)) = self.rules.iter().find(|(rule, _)| within(rule)) {
            return Some(*part);
        }
        let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
        let structured = Syntax::of(path).is_some();
        let text = matches!(extension_of(path).to_ascii_lowercase().as_str(), "txt" | "md");
        if ["readme", "license", "changelog"].iter().any(|word| name.starts_with(word)) || !(structured || text) {
            return None;
        }
        if kind == ModelType::Prompt {
            return Some(Part::Prompts);
        }
        let mut folders = path.split('/').rev().skip(1).collect::<Vec<_>>().into_iter().rev();
        let part = folders.find_map(|f| named(&f.to_ascii_lowercase())).or_else(|| named(&name))?;
        (structured || part == Part::Prompts).then_some(part)
    }
}

/// True for the types whose versions have parts.
pub fn has_parts(kind: ModelType) -> bool {
    matches!(kind, ModelType::Config | ModelType::Prompt)
}

/// The part that a lower-case folder or file name says.
fn named(name: &str) -> Option<Part> {
    let says = |word: &str| name.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '_', '-']));
    if name.starts_with("prompt") {
        return Some(Part::Prompts);
    }
    let words = [("routing", Part::Routing), ("retrieval", Part::Retrieval), ("agents", Part::Agents), ("agent", Part::Agents)];
    words.into_iter().find(|(word, _)| says(word)).map(|(_, part)| part)
}

/// One prompt of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// The file it is in.
    pub path: String,
    /// Where in the file, when the file is structured.
    pub key: Option<KeyPath>,
    /// The template's text.
    pub text: String,
    /// Its fields.
    pub template: Template,
    /// Lines of its file before the text, when the file is no structured one.
    pub lines_before: usize,
}

impl Prompt {
    /// Texts of one list (the messages of a chat) make one prompt for its callers: the key up to the first list.
    pub fn group(&self) -> Option<KeyPath> {
        let key = self.key.as_ref()?;
        Some(KeyPath(key.0.iter().take_while(|s| matches!(s, Step::Key(_))).cloned().collect()))
    }
}

impl fmt::Display for Prompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        self.key.as_ref().map_or(Ok(()), |key| write!(f, "#{key}"))
    }
}

/// A structured file of a version.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// The part it belongs to, if any.
    pub part: Option<Part>,
    /// What it says.
    pub value: Value,
}

/// What a configuration is made of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parts {
    /// The prompts, by path and then in the order of their file.
    pub prompts: Vec<Prompt>,
    /// The structured files by path.
    pub documents: BTreeMap<String, Document>,
}

impl Parts {
    /// The parts that are there.
    pub fn present(&self) -> BTreeSet<Part> {
        let prompts = (!self.prompts.is_empty()).then_some(Part::Prompts);
        self.documents.values().filter_map(|d| d.part).chain(prompts).collect()
    }

    /// What all prompts together need.
    pub fn variables(&self) -> BTreeSet<String> {
        self.prompts.iter().flat_map(|p| p.template.variables()).collect()
    }
}

/// Why a file cannot be part of a version. Prints as `path:line:column: message`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartProblem {
    /// The file.
    pub path: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

impl PartProblem {
    fn new(path: &str, fault: Fault) -> Self {
        Self { path: path.to_owned(), line: fault.line, column: fault.column, message: fault.message }
    }
}

impl fmt::Display for PartProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.path, self.line, self.column, self.message)
    }
}

/// Reads the parts of a version from its files. Versions of types without parts give empty parts and are not checked.
///
/// # Errors
/// Everything that does not parse, in the order of the files.
pub fn parse_parts(kind: ModelType, layout: &Layout, files: &[(&str, &[u8])]) -> Result<Parts, Vec<PartProblem>> {
    let mut parts = Parts::default();
    let mut problems = Vec::new();
    if !has_parts(kind) {
        return Ok(parts);
    }
    let mut files = files.to_vec();
    files.sort_by_key(|(path, _)| *path);
    for (path, bytes) in files {
        let part = layout.part_of(kind, path);
        let read = match Syntax::of(path) {
            Some(syntax) => document::parse(syntax, bytes).map_err(|fault| vec![fault]).and_then(|value| {
                let prompts = if part == Some(Part::Prompts) { prompts_in(path, bytes, &value)? } else { Vec::new() };
                parts.documents.insert(path.to_owned(), Document { part, value });
                Ok(prompts)
            }),
            None if part == Some(Part::Prompts) => prompt_of(path, bytes).map(|p| vec![p]),
            None => Ok(Vec::new()),
        };
        match read {
            Ok(prompts) => parts.prompts.extend(prompts),
            Err(faults) => problems.extend(faults.into_iter().map(|fault| PartProblem::new(path, fault))),
        }
    }
    if problems.is_empty() { Ok(parts) } else { Err(problems) }
}

/// The prompts of one file that belongs to the prompts.
///
/// # Errors
/// What is wrong with the file.
pub fn prompts_of(path: &str, bytes: &[u8]) -> Result<Vec<Prompt>, Vec<Fault>> {
    match Syntax::of(path) {
        Some(syntax) => prompts_in(path, bytes, &document::parse(syntax, bytes).map_err(|fault| vec![fault])?),
        None => prompt_of(path, bytes).map(|p| vec![p]),
    }
}

fn prompt_of(path: &str, bytes: &[u8]) -> Result<Prompt, Vec<Fault>> {
    let whole = document::text_of(bytes).map_err(|fault| vec![fault])?;
    let (lines_before, text) = match head_of(whole).map_err(|fault| vec![fault])? {
        Some(head) => (head.lines, head.body),
        None => (0, whole),
    };
    let moved = |fault: Fault| Fault { line: fault.line + lines_before, ..fault };
    let template = Template::parse(text).map_err(|faults| faults.into_iter().map(moved).collect::<Vec<_>>())?;
    Ok(Prompt { path: path.to_owned(), key: None, text: text.to_owned(), template, lines_before })
}

/// What describes the prompt of a text file.
#[derive(Clone, Debug, PartialEq)]
pub struct Head<'a> {
    /// What it says: a map with keys of [`DESCRIBING`].
    pub value: Value,
    /// The YAML that says it, which begins on the second line of the file.
    pub yaml: &'a str,
    /// Its lines with the two that bound it.
    pub lines: usize,
    /// The prompt.
    pub body: &'a str,
}

/// The head of a text file. A text that begins with a line `---` for another reason has none: what follows is no map, or has keys
/// that describe nothing and no `variables`.
///
/// # Errors
/// When it declares variables beside keys that describe nothing, or is YAML no further than its first keys.
pub fn head_of(text: &str) -> Result<Option<Head<'_>>, Fault> {
    let Some(rest) = text.strip_prefix("---\n").or_else(|| text.strip_prefix("---\r\n")) else { return Ok(None) };
    let (mut end, mut lines) = (0, 2);
    let mut all = rest.split_inclusive('\n');
    let body = loop {
        let Some(line) = all.next() else { return Ok(None) };
        if line.trim_end() == "---" {
            break &rest[end + line.len()..];
        }
        end += line.len();
        lines += 1;
    };
    let yaml = &rest[..end];
    let declares = yaml.lines().any(|line| line.starts_with("variables:") || line.starts_with("input_variables:"));
    let value = match document::parse(Syntax::Yaml, yaml.as_bytes()) {
        Ok(value) => value,
        Err(fault) if declares => return Err(Fault { line: fault.line + 1, ..fault }),
        Err(_) => return Ok(None),
    };
    let Some(map) = value.as_object().filter(|map| !map.is_empty()) else { return Ok(None) };
    match map.keys().find(|key| !DESCRIBING.contains(&key.to_ascii_lowercase().as_str())) {
        None => Ok(Some(Head { value, yaml, lines, body })),
        Some(_) if !declares => Ok(None),
        Some(other) => {
            let spot = place::find(Syntax::Yaml, yaml, &KeyPath(vec![Step::Key(other.clone())]));
            let message = format!("`{other}` is not what the head of a prompt says; there is {}", DESCRIBING.join(", "));
            let fault = Fault::at(yaml, spot.key, message);
            Err(Fault { line: fault.line + 1, ..fault })
        }
    }
}

fn prompts_in(path: &str, bytes: &[u8], value: &Value) -> Result<Vec<Prompt>, Vec<Fault>> {
    let source = document::text_of(bytes).map_err(|fault| vec![fault])?;
    let mut prompts = Vec::new();
    let mut faults = Vec::new();
    for (key, text) in tree::texts(value, DESCRIBING) {
        match Template::parse(text) {
            Ok(template) => {
                let (path, text) = (path.to_owned(), text.to_owned());
                prompts.push(Prompt { path, key: Some(key), text, template, lines_before: 0 });
            }
            Err(found) => faults.extend(found.into_iter().map(|fault| within(source, text, &key, fault))),
        }
        if faults.len() >= FAULTS_MAX {
            break;
        }
    }
    if faults.is_empty() { Ok(prompts) } else { Err(faults) }
}

/// Moves a fault from a text to the file that holds it. Readers of YAML, TOML and JSON keep no positions of texts, so the
/// line of the text is looked for in the file (its first occurrence); escapes hide it, then the line of its key is given.
pub fn within(source: &str, text: &str, key: &KeyPath, fault: Fault) -> Fault {
    let message = format!("in `{key}`: {}", fault.message);
    let line = text.split('\n').nth(fault.line - 1).unwrap_or_default();
    let (lead, content) = (line.chars().take_while(|c| c.is_whitespace()).count(), line.trim());
    if let Some(byte) = source.find(content).filter(|_| !content.is_empty()) {
        let start = Fault::at(source, byte, message);
        let column = (start.column + fault.column).saturating_sub(1 + lead).max(1);
        return Fault { column, ..start };
    }
    let byte = key.last_key().and_then(|k| source.find(k)).unwrap_or(0);
    Fault::at(source, byte, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check_part(path: &str, part: Option<Part>) {
        assert_eq!(Layout::default().part_of(ModelType::Config, path), part, "{path}");
    }

    #[test]
    fn files_belong_to_parts_by_folder_and_name() {
        check_part("prompts/system.txt", Some(Part::Prompts));
        check_part("prompt_templates/routing.yaml", Some(Part::Prompts));
        check_part("prompt.md", Some(Part::Prompts));
        check_part("prompts.yaml", Some(Part::Prompts));
        check_part("routing_config.yaml", Some(Part::Routing));
        check_part("conf/retrieval.toml", Some(Part::Retrieval));
        check_part("agents/writer.json", Some(Part::Agents));
        check_part("agent_config.yml", Some(Part::Agents));
        for none in
            ["routing.md", "routings.yaml", "prompts/README.md", "prompts/logo.png", "evaluation_results.json", "agents/a.py"]
        {
            check_part(none, None);
        }
        assert_eq!(Layout::default().part_of(ModelType::Llm, "prompts/a.txt"), None);
        assert_eq!(Layout::default().part_of(ModelType::Prompt, "hook.txt"), Some(Part::Prompts));
    }

    #[test]
    fn rules_beat_names_and_longer_rules_beat_shorter_ones() {
        let rules = [("conf".to_owned(), Part::Routing), ("conf/search/".to_owned(), Part::Retrieval)];
        let layout = Layout::new(rules).expect("valid");
        assert_eq!(layout.part_of(ModelType::Config, "conf/prompt.txt"), Some(Part::Routing));
        assert_eq!(layout.part_of(ModelType::Config, "conf/search/x.yaml"), Some(Part::Retrieval));
        assert_eq!(layout.part_of(ModelType::Config, "config/x.yaml"), None);
        assert!(Layout::new([("../x".to_owned(), Part::Agents)]).is_err());
    }

    const FILES: &[(&str, &[u8])] = &[
        ("routing.yaml", b"routes:\n  - {name: legal, model: gpt-4o}\n"),
        ("prompts/system.txt", b"You help {company}.\nUse {config[tone]}."),
        ("prompts/chat.yaml", b"description: uses {braces\nmessages:\n  - role: user\n    content: 'Q: {question}'\n"),
        ("weights.bin", b"\xff\xfe"),
        ("results.json", b"{\"f\": 0.9}"),
    ];

    #[test]
    fn a_configuration_knows_its_parts() {
        let parts = parse_parts(ModelType::Config, &Layout::default(), FILES).expect("valid");
        assert_eq!(parts.present().into_iter().collect::<Vec<_>>(), [Part::Prompts, Part::Routing]);
        let names: Vec<String> = parts.prompts.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["prompts/chat.yaml#messages[0].content", "prompts/system.txt"]);
        assert_eq!(parts.variables().into_iter().collect::<Vec<_>>(), ["company", "config[tone]", "question"]);
        assert_eq!(parts.prompts[0].group().map(|g| g.to_string()).as_deref(), Some("messages"));
        assert_eq!(parts.documents["results.json"].part, None);
    }

    fn check_problems(files: &[(&str, &[u8])], expected: &[&str]) {
        let problems = parse_parts(ModelType::Config, &Layout::default(), files).expect_err("problems");
        let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(shown.len(), expected.len(), "{shown:?}");
        for (shown, start) in shown.iter().zip(expected) {
            assert!(shown.starts_with(start), "{shown}");
        }
        assert!(parse_parts(ModelType::Llm, &Layout::default(), files).is_ok(), "other types are not checked");
    }

    #[test]
    fn what_does_not_parse_is_refused_with_its_place() {
        check_problems(
            &[
                ("routing.yaml", b"a: 1\na: 2\n"),
                ("x/results.json", b"{\"a\": 1,}"),
                ("retrieval.toml", b"k = 5\nk = 6\n"),
                ("prompts/latin.txt", b"caf\xe9 {x}"),
            ],
            &[
                "prompts/latin.txt:1:4: byte 0xe9",
                "retrieval.toml:2:1: ",
                "routing.yaml:2:1: the key `a`",
                "x/results.json:1:9: trailing comma",
            ],
        );
    }

    #[test]
    fn faults_of_prompts_are_placed_in_their_file() {
        let yaml = "system: |\n  Hello.\n    é Use {name\nuser: \"line\\nbad } here\"\n";
        check_problems(
            &[("prompts/a.yaml", yaml.as_bytes()), ("prompts/b.txt", b"ok\n {x")],
            &[
                "prompts/a.yaml:3:11: in `system`: `{` has no `}`",
                "prompts/a.yaml:4:18: in `user`: `}` has no `{`",
                "prompts/b.txt:2:2: `{` has no `}`",
            ],
        );
        check_problems(&[("prompts/c.json", br#"{"a": {"user": "\u00e9 } x"}}"#)], &["prompts/c.json:1:9: in `a.user`: `}`"]);
    }

    #[test]
    fn the_head_of_a_text_describes_its_prompt() {
        let text = "---\ndescription: x {\nvariables:\n  q: text\n---\nAnswer {q}.\n{";
        let faults = prompts_of("a.txt", text.as_bytes()).expect_err("a brace");
        assert_eq!((faults[0].line, faults[0].column), (7, 1));
        let prompts = prompts_of("a.md", text.trim_end_matches('{').as_bytes()).expect("valid");
        assert_eq!((prompts[0].text.as_str(), prompts[0].lines_before), ("Answer {q}.\n", 5));
        for text in [
            "---\nA rule above.\n---\n{q}",
            "---\nkey: v\n---\n{q}",
            "---\nname: x\n{q}",
            "--- \nname: x\n---\n",
            "---\n---\n{q}",
        ] {
            assert_eq!(prompts_of("a.txt", text.as_bytes()).expect(text)[0].text, text);
        }
        for (text, line) in [("---\nvariables: {q: text}\nspeed: 1\n---\n", 3), ("---\nvariables: [\n---\n", 3)] {
            assert_eq!(prompts_of("a.txt", text.as_bytes()).expect_err(text)[0].line, line, "{text}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..60), text in "[a-z:{}\\[\\]\"' \n\\\\é|>-]{0,60}") {
            for path in ["prompts/a.yaml", "prompts/a.toml", "prompts/a.json", "prompts/a.txt", "agents.yaml"] {
                let _ = parse_parts(ModelType::Config, &Layout::default(), &[(path, &bytes)]);
                let _ = parse_parts(ModelType::Config, &Layout::default(), &[(path, text.as_bytes())]);
            }
        }
    }
}
