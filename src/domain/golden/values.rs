//! From the values of a file to the types of a row. Strict: a value of the wrong type is a problem, not a guess. Only CSV,
//! where every value is text, is read by what the field must be.

use super::fields::Field;
use crate::base::text::ellipsis;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Keys under which an object holds a text, in the order they are tried.
const TEXT: &[&str] = &["text", "content", "page_content", "document", "passage", "chunk", "answer", "value"];

/// Keys under which a passage has its id, in the order they are tried.
const IDS: &[&str] = &["id", "context_id", "doc_id", "chunk_id", "doc_uri", "document_id", "source"];

/// Assertions of promptfoo whose value is a right answer.
const ASSERTS: &[&str] = &["equals", "similar", "factuality", "model-graded-factuality"];

/// True for what counts as absent: null, blank text, an empty list.
pub(super) fn is_absent(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(s) => s.trim().is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// `expected X, found Y`.
fn wrong<T>(expected: &str, found: &Value) -> Result<T, String> {
    Err(format!("expected {expected}, found {}", ellipsis(&found.to_string(), 60)))
}

/// A text; numbers and truth values are written out.
pub(super) fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(s) => Ok(s.clone()),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        _ => wrong("text", value),
    }
}

/// The text of an object: under one of the usual keys, or its only text.
fn text_within(map: &Map<String, Value>) -> Option<&str> {
    let known = TEXT.iter().find_map(|key| map.get(*key)?.as_str());
    let mut texts = map.values().filter_map(Value::as_str);
    known.or_else(|| texts.next().filter(|_| map.values().filter(|v| v.is_string()).count() == 1))
}

/// A question: text, chat messages (the last one of the user counts), or an object that holds one text.
pub(super) fn question(value: &Value) -> Result<String, String> {
    match value {
        Value::Array(messages) => {
            let user = messages.iter().rev().find(|m| m.get("role").and_then(Value::as_str) == Some("user"));
            match user.and_then(|m| m.get("content")) {
                Some(content) => message(content),
                None => wrong("text or messages with one of the user", value),
            }
        }
        Value::Object(map) => match map.get("messages") {
            Some(messages @ Value::Array(_)) => question(messages),
            _ => text_within(map).map_or_else(|| wrong("an object with one text", value), |s| Ok(s.to_owned())),
        },
        _ => text(value),
    }
}

/// The content of a message: text, or parts of which the texts count.
fn message(content: &Value) -> Result<String, String> {
    let Value::Array(parts) = content else { return text(content) };
    let texts: Vec<&str> = parts.iter().filter_map(|p| p.get("text")?.as_str()).collect();
    if texts.is_empty() { wrong("a message with text", content) } else { Ok(texts.join("\n")) }
}

/// An answer: text, an object that holds one, or chat messages of which the last counts.
pub(super) fn answer(value: &Value) -> Result<String, String> {
    match value {
        Value::Object(map) => text_within(map).map_or_else(|| wrong("an object with one text", value), |s| Ok(s.to_owned())),
        Value::Array(messages) => match messages.last().and_then(|m| m.get("content")) {
            Some(content) => message(content),
            None => wrong("text", value),
        },
        _ => text(value),
    }
}

/// One text or a list of them; absent ones are left out.
pub(super) fn texts(value: &Value) -> Result<Vec<String>, String> {
    match value {
        Value::Array(items) => items.iter().filter(|v| !is_absent(v)).map(answer).collect(),
        _ => Ok(vec![answer(value)?]),
    }
}

/// Right answers, also from promptfoo's assertions: a list of `{type, value}`, or `equals: …` in a CSV.
pub(super) fn references(value: &Value) -> Result<Vec<String>, String> {
    let kind = |v: &Value| v.get("type").and_then(Value::as_str).map(str::to_owned);
    match value {
        Value::Array(items) if !items.is_empty() && items.iter().all(|v| kind(v).is_some() && v.get("role").is_none()) => {
            let asserted = items.iter().filter(|v| kind(v).is_some_and(|k| ASSERTS.contains(&k.as_str())));
            asserted.filter_map(|v| v.get("value")).filter(|v| !is_absent(v)).map(text).collect()
        }
        _ => texts(value),
    }
}

/// What a cell of promptfoo's `__expected` says is right; `None` for other assertions.
pub(super) fn expected(cell: &str) -> Option<String> {
    let (kind, rest) = cell.split_once(':').map_or(("", cell), |(k, r)| (k.trim(), r.trim()));
    let base = kind.split('(').next().unwrap_or(kind);
    if ASSERTS.contains(&base) {
        return Some(rest.to_owned());
    }
    let assertion = !base.is_empty() && base.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    (!assertion).then(|| cell.to_owned())
}

/// Passages with their ids where they have any.
pub(super) fn passages(value: &Value) -> Result<Vec<(String, Option<String>)>, String> {
    let one = |v: &Value| match v {
        Value::Object(map) => {
            let id = IDS.iter().find_map(|key| text(map.get(*key)?).ok());
            let known = TEXT.iter().find_map(|key| map.get(*key)?.as_str()).map(str::to_owned);
            match (known, &id) {
                (Some(text), _) => Ok((text, id)),
                (None, Some(_)) => Ok((String::new(), id)),
                (None, None) => wrong("a passage with `text`", v),
            }
        }
        _ => Ok((text(v)?, None)),
    };
    match value {
        Value::Array(items) => items.iter().filter(|v| !is_absent(v)).map(one).collect(),
        _ => Ok(vec![one(value)?]),
    }
}

/// A finite number.
pub(super) fn number(value: &Value) -> Result<f64, String> {
    value.as_f64().filter(|n| n.is_finite()).map_or_else(|| wrong("a number", value), Ok)
}

/// A finite number that is not negative.
pub(super) fn amount(value: &Value) -> Result<f64, String> {
    number(value).and_then(|n| if n < 0.0 { wrong("a number from 0", value) } else { Ok(n) })
}

/// A whole number from 0, also as the total of an object of counts.
pub(super) fn whole(value: &Value) -> Result<u64, String> {
    let total = value.as_object().and_then(|m| m.get("total").or_else(|| m.get("total_tokens")));
    total.unwrap_or(value).as_u64().map_or_else(|| wrong("a whole number from 0", value), Ok)
}

/// True or false.
pub(super) fn truth(value: &Value) -> Result<bool, String> {
    value.as_bool().map_or_else(|| wrong("true or false", value), Ok)
}

/// Grades by the id of a context; a list of grades goes with a list of ids of the same length.
pub(super) fn grades(value: &Value, ids: &[&[String]]) -> Result<BTreeMap<String, f64>, String> {
    match value {
        Value::Object(map) => map.iter().map(|(id, grade)| Ok((id.clone(), number(grade)?))).collect(),
        Value::Array(items) => {
            let Some(ids) = ids.iter().find(|ids| ids.len() == items.len()) else {
                return Err(format!("has {} grades, and no list of as many context ids to go with", items.len()));
            };
            ids.iter().zip(items).map(|(id, grade)| Ok((id.clone(), number(grade)?))).collect()
        }
        _ => wrong("grades by context id", value),
    }
}

/// The value that a cell of a CSV stands for, by what the field must be; what does not read as that stays text.
pub(super) fn from_cell(field: Field, cell: &str) -> Value {
    let trimmed = cell.trim();
    let kept = || Value::String(cell.to_owned());
    match field {
        Field::References | Field::Contexts | Field::ReferenceContexts | Field::ContextIds | Field::ReferenceContextIds => {
            list(trimmed).unwrap_or_else(kept)
        }
        Field::Tags => list(trimmed).unwrap_or_else(|| {
            Value::from(trimmed.split([',', ';', '|']).map(str::trim).filter(|t| !t.is_empty()).collect::<Vec<_>>())
        }),
        Field::Answerable | Field::MustPass => match trimmed.to_ascii_lowercase().as_str() {
            "true" | "yes" | "1" => Value::Bool(true),
            "false" | "no" | "0" => Value::Bool(false),
            _ => kept(),
        },
        Field::Weight | Field::LatencyMs | Field::CostUsd | Field::Tokens | Field::Relevance => {
            serde_json::from_str(trimmed).ok().filter(|v: &Value| !v.is_string()).unwrap_or_else(kept)
        }
        Field::Id | Field::Question | Field::Answer | Field::Language | Field::Cluster | Field::Split | Field::Error => kept(),
    }
}

/// A list in a cell, as JSON or as Python prints it (what pandas writes).
fn list(cell: &str) -> Option<Value> {
    if !cell.starts_with('[') || !cell.ends_with(']') {
        return None;
    }
    let json = serde_json::from_str::<Value>(cell)
        .ok()
        .filter(|v| v.as_array().is_some_and(|items| items.iter().all(|i| i.is_string() || i.is_object())));
    json.or_else(|| python_list(cell))
}

/// `['it\'s', "b"]`: Python's own writing of a list of texts; `None` for anything else.
fn python_list(cell: &str) -> Option<Value> {
    let mut chars = cell.strip_prefix('[')?.strip_suffix(']')?.chars().peekable();
    let mut items = Vec::new();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        let Some(quote) = chars.next() else { return Some(Value::Array(items)) };
        if !matches!(quote, '\'' | '"') {
            return None;
        }
        let mut item = String::new();
        loop {
            match chars.next()? {
                c if c == quote => break,
                '\\' => item.push(match chars.next()? {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    'x' => char::from_u32(hex(&mut chars, 2)?)?,
                    'u' => char::from_u32(hex(&mut chars, 4)?)?,
                    'U' => char::from_u32(hex(&mut chars, 8)?)?,
                    c => c,
                }),
                c => item.push(c),
            }
        }
        items.push(Value::String(item));
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        match chars.next() {
            Some(',') => {}
            Some(_) => return None,
            None => return Some(Value::Array(items)),
        }
    }
}

fn hex(chars: &mut impl Iterator<Item = char>, digits: usize) -> Option<u32> {
    (0..digits).try_fold(0, |n, _| Some(n * 16 + chars.next()?.to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn questions_come_in_many_shapes() {
        let check = |value: Value, expected: &str| assert_eq!(question(&value).as_deref(), Ok(expected), "{value}");
        check(json!("a"), "a");
        check(json!(7), "7");
        check(
            json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]),
            "c",
        );
        check(json!([{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url"}]}]), "a");
        check(json!({"x": "a", "k": 3}), "a");
        check(json!({"messages": [{"role": "user", "content": "a"}]}), "a");
        assert!(question(&json!([{"role": "system", "content": "a"}])).is_err());
        assert!(question(&json!({"x": "a", "y": "b"})).is_err());
        assert_eq!(question(&json!([])), Err("expected text or messages with one of the user, found []".to_owned()));
    }

    #[test]
    fn lists_of_python_read_as_lists() {
        let check = |cell: &str, expected: Value| assert_eq!(from_cell(Field::Contexts, cell), expected, "{cell}");
        check("['it\\'s', \"b\\n\", '\\xe9']", json!(["it's", "b\n", "é"]));
        check("[\"a\", \"b\"]", json!(["a", "b"]));
        check("[]", json!([]));
        check("[1] see above", json!("[1] see above"));
        check("[1]", json!("[1]"));
        check("['a' 'b']", json!("['a' 'b']"));
        assert_eq!(from_cell(Field::Tags, "a; b,c"), json!(["a", "b", "c"]));
        assert_eq!(from_cell(Field::MustPass, "Yes"), json!(true));
        assert_eq!(from_cell(Field::Answer, "[\"a\"]"), json!("[\"a\"]"));
    }

    #[test]
    fn promptfoo_says_what_is_expected() {
        assert_eq!(expected("equals: Paris").as_deref(), Some("Paris"));
        assert_eq!(expected("similar(0.8): Paris").as_deref(), Some("Paris"));
        assert_eq!(expected("Paris: the capital").as_deref(), Some("Paris: the capital"));
        assert_eq!(expected("contains: Paris"), None);
        let asserts = json!([{"type": "contains", "value": "x"}, {"type": "equals", "value": "Paris"}]);
        assert_eq!(references(&asserts), Ok(vec!["Paris".to_owned()]));
    }

    #[test]
    fn grades_go_with_ids() {
        let ids = ["a".to_owned(), "b".to_owned()];
        assert_eq!(grades(&json!([2, 0]), &[&ids]), Ok(BTreeMap::from([("a".to_owned(), 2.0), ("b".to_owned(), 0.0)])));
        assert_eq!(grades(&json!({"x": 1}), &[]).map(|g| g["x"]), Ok(1.0));
        assert!(grades(&json!([1]), &[&ids]).is_err());
        assert!(grades(&json!({"x": "1"}), &[]).is_err());
    }

    proptest! {
        #[test]
        fn any_cell_is_survived(cell in "[\\[\\]'\",\\\\xuU0-9a-f ]{0,30}") {
            for field in Field::ALL {
                let _ = from_cell(*field, &cell);
            }
        }
    }
}
