//! The prompts of a file: text prompts, and chats (a list of messages with role and content), with the variables that they declare and
//! where they use them.
//!
//! Which file is one of prompts, and which of its texts are, is the registry's to say ([`prompts_of`]); here they are put together. A
//! list whose elements all have `role` and `content` is one chat, every other text is a prompt of its own.

use super::render::{Compiled, Values};
use super::variable::{self, Misdeclared, Variable, VariableType};
use super::{PyKind, RenderFault};
use crate::domain::registry::document::{self, Fault, Syntax};
use crate::domain::registry::parts::{Prompt as Piece, head_of, prompts_of, within};
use crate::domain::registry::place;
use crate::domain::registry::template::{Field, index};
use crate::domain::registry::tree::{KeyPath, Step};
use crate::seams::embedder::Tokens;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Roles of messages that services know.
const ROLES: &[&str] = &["assistant", "developer", "function", "system", "tool", "user"];

/// One text of a prompt.
#[derive(Clone, Debug)]
pub struct Message {
    /// Who says it, in a chat.
    pub role: Option<String>,
    /// The template.
    pub text: String,
    /// Where in the file, when that is structured.
    at: Option<KeyPath>,
    fields: Vec<Field>,
    compiled: Compiled,
    lines_before: usize,
}

/// A prompt.
#[derive(Clone, Debug)]
pub struct Prompt {
    /// Its file.
    pub path: String,
    /// Where in the file, when that is structured.
    pub key: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// The one text, or the messages of a chat.
    pub messages: Vec<Message>,
    /// What it declares; what is declared above several prompts too.
    pub declared: Vec<Variable>,
    /// The list of a chat, with the templates in it.
    chat: Option<(KeyPath, Value)>,
}

/// Where a variable is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Use {
    /// The variable, with what is taken from it: `config[tone]`.
    pub field: String,
    /// The line in the file, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
}

/// A rendered prompt.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Rendered {
    /// A text.
    Text(String),
    /// The list of messages.
    Chat(Value),
}

impl Rendered {
    /// The text, or the messages as JSON.
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Chat(messages) => messages.to_string(),
        }
    }

    /// What a model reads: the texts of the messages, each with its role before it.
    pub fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Chat(Value::Array(messages)) => messages.iter().map(shown).collect::<Vec<_>>().join("\n\n"),
            Self::Chat(other) => other.to_string(),
        }
    }
}

fn shown(message: &Value) -> String {
    let content = match &message["content"] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    format!("[{}]\n{content}", message["role"].as_str().unwrap_or_default())
}

/// A file of prompts that was read.
#[derive(Clone, Debug)]
pub struct Book {
    /// The prompts, in the order of the file.
    pub prompts: Vec<Prompt>,
    path: String,
    source: String,
    /// Declarations that cannot be read.
    misdeclared: Vec<Misdeclared>,
    /// Lines before what declarations are placed in: a head begins on the second line.
    head: Option<(String, usize)>,
}

impl Book {
    /// Reads a file of prompts.
    ///
    /// # Errors
    /// What is wrong with its syntax or its templates.
    pub fn read(path: &str, bytes: &[u8]) -> Result<Self, Vec<Fault>> {
        let pieces = prompts_of(path, bytes)?;
        let source = document::text_of(bytes).map_err(|fault| vec![fault])?.to_owned();
        let mut book = Self { prompts: Vec::new(), path: path.to_owned(), source, misdeclared: Vec::new(), head: None };
        match Syntax::of(path) {
            Some(syntax) => {
                let value = document::parse(syntax, bytes).map_err(|fault| vec![fault])?;
                book.structured(pieces, &value);
            }
            None => book.of_text(pieces),
        }
        Ok(book)
    }

    fn of_text(&mut self, pieces: Vec<Piece>) {
        let (mut declared, mut description) = (Vec::new(), None);
        let head = head_of(&self.source).ok().flatten().map(|head| (head.value, head.yaml.to_owned()));
        if let Some((value, yaml)) = head {
            self.declarations(&value, &KeyPath::default(), &mut declared);
            description = text_at(&value, "description");
            self.head = Some((yaml, 1));
        }
        for piece in pieces {
            let messages = vec![message(piece, None)];
            let (path, description, declared) = (self.path.clone(), description.clone(), declared.clone());
            self.prompts.push(Prompt { path, key: None, description, messages, declared, chat: None });
        }
    }

    fn structured(&mut self, pieces: Vec<Piece>, value: &Value) {
        for piece in pieces {
            let Some(key) = piece.key.clone() else { continue };
            let chat = chat_around(value, &key);
            let group = chat.as_ref().map_or(&key, |(group, _)| group).clone();
            let role = chat.as_ref().and_then(|(group, _)| role_of(value, &key, group));
            let last = self.prompts.last_mut().filter(|p| p.chat.as_ref().is_some_and(|(at, _)| *at == group));
            match last {
                Some(prompt) => prompt.messages.push(message(piece, role)),
                None => {
                    let (declared, description) = self.around(value, &group);
                    let key = (!group.0.is_empty()).then(|| group.to_string());
                    let messages = vec![message(piece, role)];
                    self.prompts.push(Prompt { path: self.path.clone(), key, description, messages, declared, chat });
                }
            }
        }
    }

    /// What is declared in the maps around a prompt, the nearer instead of the farther.
    fn around(&mut self, value: &Value, group: &KeyPath) -> (Vec<Variable>, Option<String>) {
        let (mut all, mut description): (Vec<Variable>, _) = (Vec::new(), None);
        for depth in 0..=group.0.len() {
            let at = KeyPath(group.0[..depth].to_vec());
            let Some(here) = value_at(value, &at).filter(|v| v.is_object()) else { continue };
            let mut found = Vec::new();
            self.declarations(here, &at, &mut found);
            all.retain(|v| !found.iter().any(|f| f.name == v.name));
            all.extend(found);
            description = text_at(here, "description").or(description);
        }
        (all, description)
    }

    fn declarations(&mut self, map: &Value, at: &KeyPath, into: &mut Vec<Variable>) {
        for key in ["variables", "input_variables"] {
            if let Some(value) = map.get(key) {
                let mut wrong = Vec::new();
                variable::declared(value, &at.with(Step::Key(key.to_owned())), into, &mut wrong);
                self.misdeclared.extend(wrong.into_iter().filter(|w| !self.misdeclared.contains(w)).collect::<Vec<_>>());
            }
        }
    }

    /// The place of a key in the file.
    fn place(&self, at: &KeyPath, message: impl Into<String>) -> Fault {
        if let Some((yaml, before)) = &self.head {
            let fault = Fault::at(yaml, place::find(Syntax::Yaml, yaml, at).key, message);
            return Fault { line: fault.line + before, ..fault };
        }
        let spot = Syntax::of(&self.path).map_or(0, |syntax| place::find(syntax, &self.source, at).key);
        Fault::at(&self.source, spot, message)
    }

    /// A place of a text of a prompt in the file.
    fn within(&self, message: &Message, line: usize, column: usize, what: impl Into<String>) -> Fault {
        let fault = Fault { line, column, message: what.into() };
        match &message.at {
            Some(key) => Fault { message: fault.message.clone(), ..within(&self.source, &message.text, key, fault) },
            None => Fault { line: line + message.lines_before, ..fault },
        }
    }

    /// Where a prompt uses its variables, in the order of the file.
    pub fn uses(&self, prompt: &Prompt) -> Vec<Use> {
        let mut uses = Vec::new();
        for message in &prompt.messages {
            for field in message.all_fields() {
                let Fault { line, column, .. } = self.within(message, field.line, field.column, "");
                uses.push(Use { field: field.to_string(), line, column });
            }
        }
        uses
    }

    /// Everything that can be known to be wrong before there are values: declarations that cannot be read, variables that are declared
    /// and never used or used and not declared, formats that do not fit the type, unknown roles; in the order of the file.
    pub fn faults(&self) -> Vec<Fault> {
        let mut found: Vec<Fault> = self.misdeclared.iter().map(|(at, why)| self.place(at, why)).collect();
        let mut unused: Vec<&Variable> = Vec::new();
        let used: BTreeSet<(&KeyPath, &str)> = self
            .prompts
            .iter()
            .flat_map(|p| p.declared.iter().filter(|v| p.uses(&v.name)).map(|v| (&v.at, v.name.as_str())))
            .collect();
        for prompt in &self.prompts {
            unused.extend(
                prompt
                    .declared
                    .iter()
                    .filter(|v| !used.contains(&(&v.at, v.name.as_str())) && !unused.iter().any(|u| u.at == v.at))
                    .collect::<Vec<_>>(),
            );
            for message in &prompt.messages {
                self.message_faults(prompt, message, &mut found);
            }
        }
        found.extend(unused.into_iter().map(|v| self.place(&v.at, format!("`{}` is declared and never used", v.name))));
        found.sort_by_key(|f| (f.line, f.column));
        found.dedup();
        found
    }

    fn message_faults(&self, prompt: &Prompt, message: &Message, found: &mut Vec<Fault>) {
        if let (Some(role), Some(at)) = (&message.role, &message.at)
            && !ROLES.contains(&role.as_str())
        {
            let parent = KeyPath(at.0.iter().take(at.0.len().saturating_sub(1)).cloned().collect());
            let role_at = parent.with(Step::Key("role".into()));
            found.push(self.place(&role_at, format!("`{role}` is no role of a message: there is {}", ROLES.join(", "))));
        }
        if prompt.declared.is_empty() {
            return;
        }
        for field in message.all_fields() {
            let why = match prompt.declared.iter().find(|v| v.name == field.name) {
                Some(variable) => unfit(field, variable),
                None => Some(format!("`{}` is used and not declared", field.name)),
            };
            found.extend(why.map(|why| self.within(message, field.line, field.column, why)));
        }
    }
}

/// Why a field cannot be rendered for values of the declared type, as far as one of them tells.
fn unfit(field: &Field, variable: &Variable) -> Option<String> {
    let sample = variable.kind.sample()?;
    let text =
        if field.conversion.is_none() && field.nested.is_empty() { format!("{{x:{}}}", field.spec) } else { "{x}".to_owned() };
    let keys: String = field.path.iter().map(|key| format!("[{key}]")).collect();
    // What is in a list or a map is not known, but what can be taken from it is.
    let text = if keys.is_empty() { text } else { format!("{{x{keys}}}") };
    let named = Map::from_iter([("x".to_owned(), sample)]);
    let fault = Compiled::new(&text).ok()?.render(Values { positional: &[], named: &named }).err()?;
    // An empty sample has no key and no element, which says nothing of other values, but a number is never a key.
    let numbered = field.path.first().is_some_and(|key| index(key).is_some());
    let known = match fault.kind {
        PyKind::Type => true,
        PyKind::Value => keys.is_empty(),
        _ => numbered && variable.kind == VariableType::Map,
    };
    known.then(|| format!("`{field}` is declared as {}: {}", variable.kind, fault.message))
}

impl Message {
    fn render(&self, values: Values<'_>) -> Result<String, RenderFault> {
        self.compiled.render(values).map_err(|fault| RenderFault { line: fault.line + self.lines_before, ..fault })
    }

    /// The fields, those within specs too.
    fn all_fields(&self) -> Vec<&Field> {
        self.fields.iter().flat_map(|f| std::iter::once(f).chain(&f.nested)).collect()
    }
}

impl Prompt {
    /// True for a list of messages.
    pub fn is_chat(&self) -> bool {
        self.chat.is_some()
    }

    /// Its file, and its key behind a `#` in a structured one.
    pub fn name(&self) -> String {
        self.key.as_ref().map_or_else(|| self.path.clone(), |key| format!("{}#{key}", self.path))
    }

    /// The variables that it uses, sorted.
    pub fn variables(&self) -> BTreeSet<&str> {
        self.messages.iter().flat_map(|m| m.all_fields()).map(|f| f.name.as_str()).collect()
    }

    /// Whether it uses a variable.
    fn uses(&self, name: &str) -> bool {
        self.messages.iter().any(|m| m.all_fields().iter().any(|f| f.name == name))
    }

    /// The templates, with roles before those of a chat.
    pub fn text(&self) -> String {
        let one = |m: &Message| m.role.as_ref().map_or_else(|| m.text.clone(), |role| format!("[{role}]\n{}", m.text));
        self.messages.iter().map(one).collect::<Vec<_>>().join("\n\n")
    }

    /// Tokens of its templates, fields as they are written.
    pub fn tokens(&self, tokens: &dyn Tokens) -> u32 {
        self.messages.iter().map(|m| tokens.count(&m.text)).sum()
    }

    /// Renders it. Variables whose names are numbers are given by position.
    ///
    /// # Errors
    /// The first field that cannot be rendered, with its place in the file, in a structured one in the text of the message.
    pub fn render(&self, values: &Map<String, Value>) -> Result<Rendered, RenderFault> {
        let positional: Vec<Value> = (0..).map_while(|i: usize| values.get(&i.to_string()).cloned()).collect();
        let values = Values { positional: &positional, named: values };
        let Some((list, chat)) = &self.chat else {
            return self.messages.iter().map(|m| m.render(values)).collect::<Result<String, _>>().map(Rendered::Text);
        };
        let mut chat = chat.clone();
        for message in &self.messages {
            let text = message.render(values)?;
            let place = message.at.as_ref().and_then(|at| value_at_mut(&mut chat, &at.0[list.0.len()..]));
            if let Some(place) = place {
                *place = Value::String(text);
            }
        }
        Ok(Rendered::Chat(chat))
    }
}

fn message(piece: Piece, role: Option<String>) -> Message {
    let compiled = Compiled::of(&piece.template);
    let fields = piece.template.fields().to_vec();
    Message { role, text: piece.text, at: piece.key, fields, compiled, lines_before: piece.lines_before }
}

fn text_at(map: &Value, key: &str) -> Option<String> {
    map.get(key).and_then(Value::as_str).map(str::to_owned)
}

/// The innermost list around a text whose elements are messages.
fn chat_around(value: &Value, key: &KeyPath) -> Option<(KeyPath, Value)> {
    let is_message = |item: &Value| item.get("role").is_some_and(Value::is_string) && item.get("content").is_some();
    let lists =
        key.0.iter().enumerate().filter(|(_, step)| matches!(step, Step::Index(_))).map(|(i, _)| KeyPath(key.0[..i].to_vec()));
    lists.into_iter().find_map(|at| {
        let list = value_at(value, &at)?;
        list.as_array().filter(|items| items.iter().all(is_message))?;
        Some((at, list.clone()))
    })
}

fn role_of(value: &Value, key: &KeyPath, list: &KeyPath) -> Option<String> {
    let item = KeyPath(key.0[..=list.0.len()].to_vec());
    text_at(value_at(value, &item)?, "role")
}

fn value_at<'v>(value: &'v Value, path: &KeyPath) -> Option<&'v Value> {
    path.0.iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.get(key),
        Step::Index(at) => value.get(at),
        _ => None,
    })
}

fn value_at_mut<'v>(value: &'v mut Value, path: &[Step]) -> Option<&'v mut Value> {
    path.iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.get_mut(key),
        Step::Index(at) => value.get_mut(at),
        _ => None,
    })
}

#[cfg(test)]
#[path = "book_tests.rs"]
mod tests;
