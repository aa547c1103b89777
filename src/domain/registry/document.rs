//! YAML, TOML and JSON files read into one kind of value, strictly: what two readers could understand differently is refused
//! with line and column (duplicate keys, invalid UTF-8, several YAML documents in one file).
//!
//! Values are `serde_json::Value` in the order of the file. What JSON cannot say becomes text: dates of TOML, `.inf` and
//! `.nan`. A YAML tag `!name` becomes a mapping with the one key `!name`; merge keys (`<<`) are applied, as most readers do.

use super::manifest::extension_of;
use super::place;
use super::tree::{KeyPath, Step};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;

/// How a structured file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// YAML 1.1 as `libyaml` reads it.
    Yaml,
    /// TOML 1.1.
    Toml,
    /// JSON, RFC 8259.
    Json,
}

impl Syntax {
    /// The syntax that the extension of a path names.
    pub fn of(path: &str) -> Option<Self> {
        match extension_of(path).to_ascii_lowercase().as_str() {
            "yaml" | "yml" => Some(Self::Yaml),
            "toml" => Some(Self::Toml),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// Something wrong at a place in a text. Lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

impl Fault {
    /// A fault at a byte of a text.
    pub(crate) fn at(text: &str, byte: usize, message: impl Into<String>) -> Self {
        let before = text.get(..byte).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        let line = before.matches('\n').count() + 1;
        Self { line, column: before[line_start..].chars().count() + 1, message: message.into() }
    }
}

/// The text of a file, without its byte order mark.
///
/// # Errors
/// When the bytes are not UTF-8; names the place of the first bad byte.
pub fn text_of(bytes: &[u8]) -> Result<&str, Fault> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|e| {
        let good = std::str::from_utf8(&bytes[..e.valid_up_to()]).unwrap_or_default();
        Fault::at(good, good.len(), format!("byte 0x{:02x} is not UTF-8", bytes[e.valid_up_to()]))
    })
}

/// Reads a structured file.
///
/// # Errors
/// When it does not parse, has a key twice, or is not UTF-8.
pub fn parse(syntax: Syntax, bytes: &[u8]) -> Result<Value, Fault> {
    let text = text_of(bytes)?;
    match syntax {
        Syntax::Json => parse_json(text),
        Syntax::Toml => parse_toml(text),
        Syntax::Yaml => parse_yaml(text),
    }
}

/// Reads a structured file as [`parse`] does, and refuses numbers that JSON cannot say (`.nan`, `.inf`) rather than read them as text.
///
/// # Errors
/// As [`parse`], and where such a number stands.
pub fn parse_finite(syntax: Syntax, bytes: &[u8]) -> Result<Value, Fault> {
    let value = parse(syntax, bytes)?;
    let text = text_of(bytes)?;
    let found = match syntax {
        Syntax::Json => None,
        Syntax::Toml => text.parse::<toml::Table>().ok().and_then(|t| endless_in_toml(&toml::Value::Table(t))),
        Syntax::Yaml => serde_yaml::from_str(text).ok().and_then(|v| endless_in_yaml(&v)),
    };
    let Some(mut steps) = found else { return Ok(value) };
    steps.reverse();
    let spot = place::find(syntax, text, &KeyPath(steps));
    Err(Fault::at(text, spot.value, "this is no number that can be told; write it in quotes to have it as text"))
}

/// The way to the first number that is not finite, last step first.
fn endless_in_toml(value: &toml::Value) -> Option<Vec<Step>> {
    match value {
        toml::Value::Float(f) => (!f.is_finite()).then(Vec::new),
        toml::Value::Array(items) => items.iter().enumerate().find_map(|(i, v)| then(endless_in_toml(v), Step::Index(i))),
        toml::Value::Table(table) => table.iter().find_map(|(k, v)| then(endless_in_toml(v), Step::Key(k.clone()))),
        _ => None,
    }
}

fn endless_in_yaml(value: &serde_yaml::Value) -> Option<Vec<Step>> {
    match value {
        serde_yaml::Value::Number(n) => n.as_f64().is_some_and(|f| !f.is_finite()).then(Vec::new),
        serde_yaml::Value::Sequence(items) => {
            items.iter().enumerate().find_map(|(i, v)| then(endless_in_yaml(v), Step::Index(i)))
        }
        serde_yaml::Value::Mapping(map) => map.iter().find_map(|(k, v)| {
            let key = from_yaml(k.clone()).ok().map(|k| k.as_str().map_or_else(|| k.to_string(), str::to_owned));
            then(endless_in_yaml(v), Step::Key(key.unwrap_or_default()))
        }),
        serde_yaml::Value::Tagged(tagged) => endless_in_yaml(&tagged.value),
        _ => None,
    }
}

fn then(way: Option<Vec<Step>>, step: Step) -> Option<Vec<Step>> {
    let mut way = way?;
    way.push(step);
    Some(way)
}

fn parse_json(text: &str) -> Result<Value, Fault> {
    let strict: Strict = serde_json::from_str(text).map_err(|e| {
        let message = e.to_string();
        let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(m, _)| m);
        // serde_json counts columns in bytes and gives 0 for the position before a line's first byte.
        let line = e.line().max(1);
        let bytes = text.split('\n').nth(line - 1).unwrap_or_default();
        let column = (0..=e.column().saturating_sub(1).min(bytes.len())).rev().find(|i| bytes.is_char_boundary(*i));
        Fault { line, column: bytes[..column.unwrap_or(0)].chars().count() + 1, message: message.to_owned() }
    })?;
    Ok(strict.0)
}

fn parse_toml(text: &str) -> Result<Value, Fault> {
    let table: toml::Table = text.parse().map_err(|e: toml::de::Error| {
        let byte = e.span().map_or(0, |s| s.start);
        Fault::at(text, byte, e.message().trim().replace('\n', ", "))
    })?;
    Ok(Value::Object(table.into_iter().map(|(k, v)| (k, from_toml(v))).collect()))
}

fn from_toml(value: toml::Value) -> Value {
    match value {
        toml::Value::String(s) => Value::String(s),
        toml::Value::Integer(i) => Value::from(i),
        toml::Value::Float(f) => from_float(f),
        toml::Value::Boolean(b) => Value::Bool(b),
        toml::Value::Datetime(d) => Value::String(d.to_string()),
        toml::Value::Array(items) => Value::Array(items.into_iter().map(from_toml).collect()),
        toml::Value::Table(table) => Value::Object(table.into_iter().map(|(k, v)| (k, from_toml(v))).collect()),
    }
}

fn from_float(f: f64) -> Value {
    Number::from_f64(f).map_or_else(|| Value::String(f.to_string()), Value::Number)
}

fn parse_yaml(text: &str) -> Result<Value, Fault> {
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    let start = |message: String| Fault { line: 1, column: 1, message };
    let mut value: serde_yaml::Value = serde_yaml::from_str(text).map_err(|e| yaml_fault(text, &e))?;
    value.apply_merge().map_err(|e| start(e.to_string()))?;
    from_yaml(value).map_err(start)
}

fn yaml_fault(text: &str, e: &serde_yaml::Error) -> Fault {
    let message = e.to_string();
    let (line, column) = e.location().map_or((1, 1), |l| (l.line().max(1), l.column().max(1)));
    let message = message.replacen(&format!(" at line {line} column {column}"), "", 1);
    let duplicate = message.split_once("duplicate entry with key ").and_then(|(_, key)| {
        let key = key.trim().trim_matches('"');
        Some((second_key(text, line, column, key)?, format!("the key `{key}` is there twice")))
    });
    match duplicate {
        Some((line, message)) => Fault { line, column, message },
        None => Fault { line, column, message },
    }
}

/// The parser places a duplicate key at the start of its mapping; in a block mapping the keys of one level start at the same
/// column, so the second line that has this key there is the culprit.
fn second_key(text: &str, line: usize, column: usize, key: &str) -> Option<usize> {
    let starts = |content: &str| {
        let rest = content.strip_prefix(['"', '\'']).unwrap_or(content);
        let rest = rest.strip_prefix(key).map(|r| r.strip_prefix(['"', '\'']).unwrap_or(r));
        rest.is_some_and(|r| r.trim_start().starts_with(':'))
    };
    let at_column = |l: &str| {
        let (indent, content) = l.char_indices().nth(column - 1).map_or((l, ""), |(i, _)| l.split_at(i));
        let lead = indent.chars().all(|c| matches!(c, ' ' | '-'));
        lead && !content.starts_with([' ', '-']) && starts(content)
    };
    text.lines().enumerate().skip(line - 1).filter(|(_, l)| at_column(l)).nth(1).map(|(i, _)| i + 1)
}

fn from_yaml(value: serde_yaml::Value) -> Result<Value, String> {
    Ok(match value {
        serde_yaml::Value::Null => Value::Null,
        serde_yaml::Value::Bool(b) => Value::Bool(b),
        serde_yaml::Value::Number(n) => match (n.as_i64(), n.as_u64(), n.as_f64()) {
            (Some(i), _, _) => Value::from(i),
            (_, Some(u), _) => Value::from(u),
            (_, _, Some(f)) => from_float(f),
            (None, None, None) => Value::String(n.to_string()),
        },
        serde_yaml::Value::String(s) => Value::String(s),
        serde_yaml::Value::Sequence(items) => Value::Array(items.into_iter().map(from_yaml).collect::<Result<_, _>>()?),
        serde_yaml::Value::Mapping(mapping) => {
            let mut map = Map::new();
            for (key, value) in mapping {
                let key = match from_yaml(key)? {
                    Value::String(s) => s,
                    scalar @ (Value::Null | Value::Bool(_) | Value::Number(_)) => scalar.to_string(),
                    _ => return Err("a list or mapping is used as a key; keys must be text".to_owned()),
                };
                if map.insert(key.clone(), from_yaml(value)?).is_some() {
                    return Err(format!("the key `{key}` is there twice, once in another notation"));
                }
            }
            Value::Object(map)
        }
        serde_yaml::Value::Tagged(tagged) => Value::Object(Map::from_iter([(tagged.tag.to_string(), from_yaml(tagged.value)?)])),
    })
}

/// A JSON value that refuses a key that is there twice; serde_json's own keeps the last one silently.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(Value::from(v))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(Value::from(v))
    }

    fn visit_f64<E>(self, v: f64) -> Result<Value, E> {
        Ok(from_float(v))
    }

    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(Value::String(v.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Strict(item)) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            if map.contains_key(&key) {
                return Err(de::Error::custom(format!("the key `{key}` is there twice")));
            }
            let Strict(value) = access.next_value()?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::Syntax::{Json, Toml, Yaml};
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn check_fault(syntax: Syntax, text: &str, line: usize, column: usize, words: &str) {
        let fault = parse(syntax, text.as_bytes()).expect_err(text);
        assert_eq!((fault.line, fault.column), (line, column), "{fault:?} in {text}");
        assert!(fault.message.contains(words), "{fault:?}");
    }

    #[test]
    fn three_syntaxes_give_one_value() {
        let expected = json!({"retrieval": {"top_k": 5, "rerank": true, "alpha": 0.5}, "languages": ["en", "fr"]});
        let yaml = "retrieval:\n  top_k: 5\n  rerank: true\n  alpha: 0.5\nlanguages: [en, fr]\n";
        let toml = "languages = ['en', 'fr']\n[retrieval]\ntop_k = 5\nrerank = true\nalpha = 0.5\n";
        assert_eq!(parse(Yaml, yaml.as_bytes()), Ok(expected.clone()));
        assert_eq!(parse(Toml, toml.as_bytes()), Ok(expected.clone()));
        assert_eq!(parse(Json, format!("\u{feff}{expected}").as_bytes()), Ok(expected));
    }

    #[test]
    fn what_does_not_parse_is_placed() {
        check_fault(Json, "{\n  \"é\": 1,\n}", 3, 1, "trailing comma");
        check_fault(Json, "{\"é\": x}", 1, 7, "expected value");
        check_fault(Toml, "a = 1\nb = \n", 2, 5, "value");
        check_fault(Yaml, "a: 1\nb: [1, 2\nc: 3\n", 3, 2, "flow sequence");
        check_fault(Yaml, "a: 1\n\tb: 2\n", 2, 1, "");
        check_fault(Json, "", 1, 1, "EOF");
    }

    #[test]
    fn keys_that_are_there_twice_are_refused_where_they_are() {
        check_fault(Json, "{\n  \"a\": {\"b\": 1},\n  \"a\": 2\n}", 3, 5, "`a` is there twice");
        check_fault(Toml, "a = 1\nb = 2\na = 3\n", 3, 1, "duplicate key");
        check_fault(Yaml, "x: 1\nr:\n  top_k: 5\n  k: 1\n  top_k: 8\n", 5, 3, "`top_k` is there twice");
        check_fault(Yaml, "- a: 1\n  b: 2\n  a: 3\n", 3, 3, "`a` is there twice");
        check_fault(Yaml, "1: a\n\"1\": b\n", 1, 1, "another notation");
    }

    #[test]
    fn bytes_that_are_not_utf8_are_placed() {
        let fault = parse(Yaml, b"a: 1\nb: caf\xe9\n").expect_err("Latin-1");
        assert_eq!(fault, Fault { line: 2, column: 7, message: "byte 0xe9 is not UTF-8".to_owned() });
    }

    #[test]
    fn what_json_cannot_say_becomes_text() {
        assert_eq!(
            parse(Yaml, b"a: .inf\nb: !x 1\n2: c\n~: d\n"),
            Ok(json!({"a": "inf", "b": {"!x": 1}, "2": "c", "null": "d"}))
        );
        assert_eq!(parse(Toml, b"d = 2026-11-21\n"), Ok(json!({"d": "2026-11-21"})));
        assert_eq!(parse(Yaml, b"base: &b {k: 1}\nx:\n  <<: *b\n  y: 2\n").map(|v| v["x"].clone()), Ok(json!({"y": 2, "k": 1})));
        assert_eq!(parse(Yaml, b"# nothing\n"), Ok(Value::Null));
    }

    #[test]
    fn numbers_without_an_end_are_refused_where_asked_for() {
        for (syntax, text, line, column) in [
            (Yaml, "a: 1\nb:\n  - 2\n  - .nan\n", 4, 5),
            (Yaml, "a: {b: -.INF}\n", 1, 8),
            (Yaml, "1: .inf\n", 1, 4),
            (Toml, "a = 1\n[t]\nb = [0.5, nan]\n", 3, 11),
            (Toml, "b = -inf\n", 1, 5),
        ] {
            let fault = parse_finite(syntax, text.as_bytes()).expect_err(text);
            assert_eq!((fault.line, fault.column), (line, column), "{text}: {fault:?}");
        }
        for (syntax, text) in [(Yaml, "a: \".nan\"\nb: nan\n"), (Toml, "a = \"inf\"\n"), (Json, "{\"a\": \"nan\"}")] {
            assert_eq!(parse_finite(syntax, text.as_bytes()), parse(syntax, text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn hostile_documents_are_refused_quickly() {
        let bomb: String = (1..30).fold("a0: &a0 [x]\n".to_owned(), |s, i| {
            let p = i - 1;
            format!("{s}a{i}: &a{i} [*a{p}, *a{p}, *a{p}, *a{p}, *a{p}, *a{p}, *a{p}, *a{p}, *a{p}]\n")
        });
        check_fault(Yaml, &bomb, 1, 1, "repetition limit");
        assert!(parse(Json, "[".repeat(100_000).as_bytes()).is_err());
        assert!(parse(Yaml, "[".repeat(10_000).as_bytes()).is_err());
        assert!(parse(Toml, format!("a = {}", "[".repeat(10_000)).as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn reading_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..80), text in "[a-z0-9:{}\\[\\]\"', =\n#&*!<|>é-]{0,60}") {
            for syntax in [Yaml, Toml, Json] {
                let _ = parse(syntax, &bytes);
                if let Err(fault) = parse(syntax, text.as_bytes()) {
                    prop_assert!(fault.line >= 1 && fault.column >= 1);
                }
            }
        }
    }
}
