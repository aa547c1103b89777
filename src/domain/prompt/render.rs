//! Templates in Python's `str.format` syntax, made ready once and rendered many times.
//!
//! What is rendered is what CPython 3.11 renders for the same values of JSON, letter by letter: `tests/fixtures/format` holds
//! cases that CPython itself rendered. What differs is stated here. Faults of the template are found before any value is looked
//! at, where Python raises a KeyError first if the field comes first. Attributes (`{user.name}`) are refused, because walking them is how
//! format strings leak secrets. Widths, precisions and numbers of fields end at 1,000,000, a rendered text at the size that the
//! caller gives. Whole numbers are those of 64 bits: readers of values refuse others. Halves of characters (`{:c}` of a
//! surrogate) are refused, since UTF-8 has none.
//!
//! Values are never expanded again: a brace in a value is a character. Rendering takes time in proportion to the template and what it
//! writes; there is nothing in it that loops.

use super::fault::{PyKind, RenderFault, Wrong};
use super::format::{format, format_text, plain};
use super::show::{ascii, repr, str_of, type_name};
use crate::domain::registry::format_spec::Spec;
use crate::domain::registry::template::{Field, Piece, Template, index};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// The largest text that is rendered unless the caller says otherwise, in bytes.
pub const SIZE_MAX: usize = 16 << 20;

/// A template that is ready to be rendered.
#[derive(Clone, Debug)]
pub struct Compiled {
    parts: Vec<Part>,
    /// Bytes of its literal texts: the least room that a rendered text needs.
    literal: usize,
}

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Field(Box<Slot>),
}

#[derive(Clone, Debug)]
struct Slot {
    root: Root,
    path: Vec<Key>,
    conversion: Option<char>,
    spec: How,
    line: usize,
    column: usize,
}

#[derive(Clone, Debug)]
enum Root {
    Named(String),
    Position(usize),
}

#[derive(Clone, Debug)]
enum Key {
    Index(usize),
    Name(String),
}

/// The spec of a field.
#[derive(Clone, Debug)]
enum How {
    Plain,
    Fixed(Spec),
    /// It has fields of its own.
    Nested(Vec<Part>),
}

/// What a template is rendered with.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    /// Values of `{}` and `{0}`.
    pub positional: &'a [Value],
    /// Values of `{name}`.
    pub named: &'a Map<String, Value>,
}

impl Compiled {
    /// Makes a text ready.
    ///
    /// # Errors
    /// All that is wrong with the template, at most 50 faults, in the order of the text.
    pub fn new(text: &str) -> Result<Self, Vec<RenderFault>> {
        let template = Template::read(text).map_err(|faults| {
            let one = |f: crate::domain::registry::template::SyntaxFault| RenderFault {
                kind: if f.attribute { PyKind::Attribute } else { PyKind::Value },
                line: f.fault.line,
                column: f.fault.column,
                message: f.fault.message,
            };
            faults.into_iter().map(one).collect::<Vec<_>>()
        })?;
        Ok(Self::of(&template))
    }

    /// Makes a template ready that was read before.
    pub fn of(template: &Template) -> Self {
        let parts = parts(template.pieces(), template.fields());
        let literal = parts.iter().map(|p| if let Part::Text(text) = p { text.len() } else { 0 }).sum();
        Self { parts, literal }
    }

    /// Renders it.
    ///
    /// # Errors
    /// The first thing that cannot be rendered; a text of more than [`SIZE_MAX`] bytes.
    pub fn render(&self, values: Values<'_>) -> Result<String, RenderFault> {
        self.render_within(values, SIZE_MAX)
    }

    /// Renders it into at most `most` bytes.
    ///
    /// # Errors
    /// The first thing that cannot be rendered; a longer text.
    pub fn render_within(&self, values: Values<'_>, most: usize) -> Result<String, RenderFault> {
        let mut out = String::with_capacity((self.literal + self.literal / 2).min(most));
        write(&mut out, &self.parts, values, most)?;
        Ok(out)
    }
}

fn parts(pieces: &[Piece], fields: &[Field]) -> Vec<Part> {
    let one = |piece: &Piece| match piece {
        Piece::Text(text) => Some(Part::Text(text.clone())),
        Piece::Field(at) => fields.get(*at).map(|field| Part::Field(Box::new(slot(field)))),
    };
    pieces.iter().filter_map(one).collect()
}

fn slot(field: &Field) -> Slot {
    let key = |key: &String| index(key).map_or_else(|| Key::Name(key.clone()), Key::Index);
    let spec = match (&field.nested[..], field.spec.as_str()) {
        ([], "") => How::Plain,
        // The parser let through only specs that can be read.
        ([], text) => Spec::parse(text).map_or(How::Plain, How::Fixed),
        (nested, _) => How::Nested(parts(&field.spec_pieces, nested)),
    };
    Slot {
        root: index(&field.name).map_or_else(|| Root::Named(field.name.clone()), Root::Position),
        path: field.path.iter().map(key).collect(),
        conversion: field.conversion,
        spec,
        line: field.line,
        column: field.column,
    }
}

fn write(out: &mut String, parts: &[Part], values: Values<'_>, most: usize) -> Result<(), RenderFault> {
    for part in parts {
        let slot = match part {
            Part::Text(text) => {
                out.push_str(text);
                None
            }
            Part::Field(slot) => {
                slot.write(out, values, most)?;
                Some(slot)
            }
        };
        if out.len() > most {
            let (line, column) = slot.map_or((1, 1), |s| (s.line, s.column));
            let message = format!("the text is larger than {}", crate::base::quantity::Bytes(most as u64));
            return Err(RenderFault { kind: PyKind::Memory, line, column, message });
        }
    }
    Ok(())
}

impl Slot {
    fn write(&self, out: &mut String, values: Values<'_>, most: usize) -> Result<(), RenderFault> {
        let placed = |Wrong(kind, message)| RenderFault { kind, line: self.line, column: self.column, message };
        let value = self.value(values).map_err(placed)?;
        let text = self.conversion.map(|c| match c {
            'r' => repr(&value),
            'a' => ascii(&value),
            _ => str_of(&value),
        });
        let with = |spec: &Spec| match &text {
            Some(text) => format_text(text, spec),
            None => format(&value, spec),
        };
        let expanded = match &self.spec {
            How::Plain => String::new(),
            How::Fixed(spec) => {
                out.push_str(&with(spec).map_err(placed)?);
                return Ok(());
            }
            How::Nested(parts) => {
                let mut spec = String::new();
                write(&mut spec, parts, values, most)?;
                spec
            }
        };
        if expanded.is_empty() {
            out.push_str(&text.map_or_else(|| plain(&value), Cow::Owned));
            return Ok(());
        }
        // Python asks the type of the value before it reads the spec.
        let container = text.is_none() && matches!(*value, Value::Null | Value::Array(_) | Value::Object(_));
        let spec = match Spec::parse(&expanded) {
            Ok(spec) => spec,
            Err(_) if container => Spec::default(),
            Err(why) => {
                let shown = crate::base::text::ellipsis(&expanded, 40);
                return Err(placed(Wrong::value(format!("`{shown}` is not a format of text or numbers: {why}"))));
            }
        };
        out.push_str(&with(&spec).map_err(placed)?);
        Ok(())
    }

    /// The value that the field names.
    fn value<'v>(&self, values: Values<'v>) -> Result<Cow<'v, Value>, Wrong> {
        let root = match &self.root {
            Root::Named(name) => {
                values.named.get(name).ok_or_else(|| Wrong(PyKind::Key, format!("there is no value for `{name}`")))?
            }
            Root::Position(at) => values.positional.get(*at).ok_or_else(|| {
                Wrong(PyKind::Index, format!("there is no value for field {at}: {} given by position", values.positional.len()))
            })?,
        };
        self.path.iter().try_fold(Cow::Borrowed(root), step)
    }
}

/// What a key takes from a value.
fn step<'v>(value: Cow<'v, Value>, key: &Key) -> Result<Cow<'v, Value>, Wrong> {
    match value {
        Cow::Borrowed(value) => match (value, key) {
            (Value::Object(map), Key::Name(name)) => map.get(name).map(Cow::Borrowed).ok_or_else(|| no_key(name)),
            (Value::Array(items), Key::Index(at)) => items.get(*at).map(Cow::Borrowed).ok_or_else(|| no_element("list", *at)),
            (value, key) => of_other(value, key),
        },
        // A character of a text, which is all that is ever made on the way.
        Cow::Owned(value) => of_other(&value, key),
    }
}

fn of_other(value: &Value, key: &Key) -> Result<Cow<'static, Value>, Wrong> {
    match (value, key) {
        (Value::String(text), Key::Index(at)) => match text.chars().nth(*at) {
            Some(c) => Ok(Cow::Owned(Value::String(c.to_string()))),
            None => Err(no_element("text", *at)),
        },
        // Keys of JSON are texts, so a number is never among them.
        (Value::Object(_), Key::Index(at)) => {
            Err(Wrong(PyKind::Key, format!("`[{at}]` looks for the number {at}, and the keys of this map are texts")))
        }
        (Value::Array(_) | Value::String(_), Key::Name(name)) => {
            let shown = crate::base::text::ellipsis(name, 40);
            Err(Wrong(
                PyKind::Type,
                format!("`[{shown}]` is no place in a value of type {}: those are numbers", type_name(value)),
            ))
        }
        _ => Err(Wrong(PyKind::Type, format!("a value of type {} has nothing in it to take", type_name(value)))),
    }
}

fn no_key(name: &str) -> Wrong {
    Wrong(PyKind::Key, format!("there is no key `{}`", crate::base::text::ellipsis(name, 40)))
}

fn no_element(what: &str, at: usize) -> Wrong {
    Wrong(PyKind::Index, format!("the {what} has no element {at}"))
}

#[cfg(test)]
#[path = "render_tests.rs"]
mod tests;
