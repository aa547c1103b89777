//! What a service answered, in words that both protocols share, and what of it counts.

use crate::base::text::ellipsis;
use crate::seams::answerer::Tokens;
use crate::seams::model::{Content, FailureKind, Request};
use serde_json::Value;

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// By itself.
    Whole,
    /// At its limit of tokens.
    Cut,
    /// The model or a filter declined.
    Refused,
    /// In a way that nobody published.
    Unknown,
}

/// An answer as the protocols give it.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) ended: Ended,
    /// The service's own word for how it ended.
    pub(super) stop: String,
    /// The text, empty when there is none.
    pub(super) text: String,
    /// The object, from a protocol that gives one.
    pub(super) object: Option<Value>,
    /// What a refusal says for itself.
    pub(super) refusal: Option<String>,
    pub(super) model: Option<String>,
    pub(super) fingerprint: Option<String>,
    pub(super) tokens: Tokens,
}

impl Reply {
    /// What counts of it, or why nothing does; `redacted` takes out what nobody may read.
    pub(super) fn content(&self, request: &Request, redacted: &dyn Fn(&str) -> String) -> Result<Content, (FailureKind, String)> {
        let shown = |text: &str| ellipsis(redacted(text).trim(), 120);
        let said = || shown(&self.text);
        match self.ended {
            Ended::Whole => {}
            Ended::Cut => {
                let reason =
                    format!("the answer was cut off at {} tokens ({}): raise `max-tokens`", request.max_tokens, self.stop);
                return Err((FailureKind::Truncated, reason));
            }
            Ended::Refused => {
                let words = self.refusal.as_deref().map(shown).unwrap_or_else(said);
                let words = if words.is_empty() { String::new() } else { format!(": {words}") };
                return Err((FailureKind::Refused, format!("the model declined to answer ({}){words}", self.stop)));
            }
            Ended::Unknown => {
                return Err((
                    FailureKind::Malformed,
                    format!("the answer ended for a reason that kf does not know: `{}`", self.stop),
                ));
            }
        }
        if request.shape.is_none() {
            return match self.text.trim() {
                "" => Err((FailureKind::Empty, "the answer is empty".to_owned())),
                _ => Ok(Content::Text(self.text.clone())),
            };
        }
        if let Some(object) = &self.object {
            return Ok(Content::Json(object.clone()));
        }
        if self.text.trim().is_empty() {
            return Err((FailureKind::Empty, "the answer is empty".to_owned()));
        }
        let object = object_in(&self.text);
        object.map(Content::Json).ok_or_else(|| (FailureKind::Malformed, format!("the answer holds no JSON object: {}", said())))
    }
}

/// Braces of prose that are passed over; each costs a look at the rest of the text.
const OPEN_MAX: usize = 16;

/// The one JSON object of a text that models wrap in prose, in fences, or leave a comma too many in. Nothing is closed that the
/// model left open: what is missing may be what matters.
pub(super) fn object_in(text: &str) -> Option<Value> {
    let text = text.trim();
    let object = |text: &str| serde_json::from_str::<Value>(text).ok().filter(Value::is_object);
    if let Some(found) = object(text) {
        return Some(found);
    }
    // An example may stand before the answer, so the last object that is whole counts.
    let whole = spans(text);
    whole.iter().rev().find_map(|span| object(span).or_else(|| object(&without_trailing_commas(span))))
}

/// The outermost stretches from `{` to its `}`, braces in texts aside; none of a text in which an object is open at the end.
fn spans(text: &str) -> Vec<&str> {
    let (mut found, mut at, mut open) = (Vec::new(), 0, 0);
    while let Some(start) = text[at..].find('{').map(|i| at + i) {
        match end_of(&text[start..]) {
            Some(length) => {
                found.push(&text[start..start + length]);
                at = start + length;
            }
            // A brace of prose; one before a quote is an object that was cut, and what is whole inside of it is not the answer.
            None if open < OPEN_MAX && !text[start + 1..].trim_start().starts_with('"') => (at, open) = (start + 1, open + 1),
            None => return Vec::new(),
        }
    }
    found
}

/// The length of the object that a text begins with.
fn end_of(text: &str) -> Option<usize> {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for (i, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '{' if !quoted => depth += 1,
            '}' if !quoted => {
                depth -= 1;
                if depth == 0 {
                    return Some(i + 1);
                }
            }
            _ => {}
        }
    }
    None
}

fn without_trailing_commas(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut quoted, mut escaped) = (false, false);
    for (i, c) in text.char_indices() {
        let before_end = || text[i + 1..].trim_start().starts_with(['}', ']']);
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' if !quoted && before_end() => continue,
            _ => {}
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn objects_are_found_as_models_write_them() {
        let check = |text: &str, want: Option<Value>| assert_eq!(object_in(text), want, "{text}");
        check(r#" {"a": 1} "#, Some(json!({"a": 1})));
        check("Here it is:\n```json\n{\"a\": \"}\"}\n```\nDone.", Some(json!({"a": "}"})));
        check(r#"{"a": [1, 2,], "b": "x,]",}"#, Some(json!({"a": [1, 2], "b": "x,]"})));
        check(r#"For example {"a": 0}. The answer: {"a": 1}"#, Some(json!({"a": 1})));
        check(r#"The set {1, 2} gives {"a": {"b": "\"{"}}"#, Some(json!({"a": {"b": "\"{"}})));
        // What was cut is not mended.
        check(r#"{"a": [1, 2"#, None);
        check(r#"{"a": [{"b": 1}, {"b":"#, None);
        check(r#"A { is a brace. {"a": 1}"#, Some(json!({"a": 1})));
        check("[1]", None);
        check("no", None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "[{}\\[\\],\"\\\\a1: é\n`]{0,60}") {
            prop_assert!(object_in(&text).is_none_or(|v| v.is_object()));
        }

        #[test]
        fn what_is_wrapped_is_found(word in "[a-z{}\",\\\\]{0,12}") {
            let object = json!({"word": word, "list": [1, {"x": null}]});
            prop_assert_eq!(object_in(&format!("So:\n```json\n{object:#}\n```")), Some(object));
        }
    }
}
