//! JSON values as text: `path: value` for every value, one block an object; of JSON lines one block a line.
//!
//! The reader is a loop with an explicit stack (RFC 8259 without recursion), so depth costs a bit a level. Paths show their
//! last keys only, which bounds the text to a multiple of the input.

use super::limits::{Out, malformed};
use crate::domain::ingest::document::BlockKind;
use crate::domain::ingest::reason::Refused;
use std::borrow::Cow;

/// Levels that are told apart at all; a document that is deeper is no JSON for kf.
const DEPTH_MAX: usize = 1 << 20;
/// Keys of a path that are shown.
const KEYS_SHOWN: usize = 4;
/// A block ends after this many bytes though its object goes on.
const BLOCK_MAX: usize = 4_000;

/// What a JSON text consists of.
enum Event<'a> {
    Begin,
    End,
    Key(Cow<'a, str>),
    Value(Cow<'a, str>),
}

/// Reads a JSON text piece by piece.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// True for an object, false for an array.
    open: Vec<bool>,
    /// A value stands next (rather than a comma, a key or an end).
    value_next: bool,
    /// The container was just opened.
    fresh: bool,
    done: bool,
}

/// The text is no JSON.
struct Broken;

impl<'a> Scanner<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0, open: Vec::new(), value_next: true, fresh: false, done: false }
    }

    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    /// The next event; `None` at the end of the one value.
    fn next(&mut self) -> Result<Option<Event<'a>>, Broken> {
        if self.done {
            return if self.peek().is_none() { Ok(None) } else { Err(Broken) };
        }
        if self.value_next {
            return self.value().map(Some);
        }
        let object = *self.open.last().ok_or(Broken)?;
        match self.peek().ok_or(Broken)? {
            b'}' | b']' => {
                self.close(object)?;
                return Ok(Some(Event::End));
            }
            b',' if !self.fresh => self.at += 1,
            _ if self.fresh => {}
            _ => return Err(Broken),
        }
        self.fresh = false;
        self.value_next = true;
        if !object {
            return self.value().map(Some);
        }
        if self.peek() != Some(b'"') {
            return Err(Broken);
        }
        let key = self.string()?;
        if self.peek() != Some(b':') {
            return Err(Broken);
        }
        self.at += 1;
        Ok(Some(Event::Key(key)))
    }

    fn close(&mut self, object: bool) -> Result<(), Broken> {
        let sign = self.text.as_bytes()[self.at];
        if (sign == b'}') != object {
            return Err(Broken);
        }
        self.at += 1;
        self.open.pop();
        self.after_value();
        Ok(())
    }

    fn after_value(&mut self) {
        self.fresh = false;
        self.value_next = false;
        self.done = self.open.is_empty();
    }

    fn value(&mut self) -> Result<Event<'a>, Broken> {
        match self.peek().ok_or(Broken)? {
            sign @ (b'{' | b'[') => {
                if self.open.len() >= DEPTH_MAX {
                    return Err(Broken);
                }
                self.at += 1;
                self.open.push(sign == b'{');
                self.fresh = true;
                self.value_next = false;
                Ok(Event::Begin)
            }
            b'"' => {
                let text = self.string()?;
                self.after_value();
                Ok(Event::Value(text))
            }
            _ => {
                let rest = &self.text[self.at..];
                let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c))).unwrap_or(rest.len());
                let word = &rest[..end];
                let number = word.starts_with(|c: char| c.is_ascii_digit() || c == '-') && word.parse::<f64>().is_ok();
                if !number && !["true", "false", "null"].contains(&word) {
                    return Err(Broken);
                }
                self.at += end;
                self.after_value();
                Ok(Event::Value(word.into()))
            }
        }
    }

    /// A string whose opening quote stands next.
    fn string(&mut self) -> Result<Cow<'a, str>, Broken> {
        let start = self.at + 1;
        let bytes = self.text.as_bytes();
        let mut at = start;
        let mut escaped = false;
        loop {
            at += memchr::memchr2(b'"', b'\\', &bytes[at..]).ok_or(Broken)?;
            if bytes[at] == b'"' {
                break;
            }
            escaped = true;
            at += 2;
            if at > bytes.len() {
                return Err(Broken);
            }
        }
        self.at = at + 1;
        let raw = self.text.get(start..at).ok_or(Broken)?;
        if escaped { Ok(unescape(raw).into()) } else { Ok(raw.into()) }
    }
}

/// A string without its escapes; what is no escape stays as it is.
fn unescape(raw: &str) -> String {
    let mut made = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        made.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let Some(sign) = rest.chars().next() else { break };
        rest = &rest[sign.len_utf8()..];
        match sign {
            'n' | 'r' | 't' | 'b' | 'f' => made.push(if sign == 't' { '\t' } else { '\n' }),
            'u' => {
                let first = unit(rest);
                rest = rest.get(if first.is_some() { 4 } else { 0 }..).unwrap_or_default();
                let second = rest.strip_prefix("\\u").and_then(unit).filter(|u| (0xDC00..0xE000).contains(u));
                let pair = first.filter(|u| (0xD800..0xDC00).contains(u)).zip(second);
                if pair.is_some() {
                    rest = &rest[6..];
                }
                let code = pair.map_or(first.map_or(0xFFFD, u32::from), |(high, low)| {
                    0x1_0000 + ((u32::from(high) - 0xD800) << 10) + (u32::from(low) - 0xDC00)
                });
                made.push(char::from_u32(code).unwrap_or('\u{fffd}'));
            }
            other => made.push(other),
        }
    }
    made.push_str(rest);
    made
}

/// Four hexadecimal digits.
fn unit(text: &str) -> Option<u16> {
    text.get(..4).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit())).and_then(|d| u16::from_str_radix(d, 16).ok())
}

/// True when the text is one JSON value.
pub(super) fn is_value(text: &str) -> bool {
    let mut scanner = Scanner::new(text);
    loop {
        match scanner.next() {
            Ok(Some(_)) => {}
            Ok(None) => return true,
            Err(Broken) => return false,
        }
    }
}

/// True when the first lines are each one JSON object or array, and there are two at least.
pub(super) fn are_lines(text: &str) -> bool {
    let mut lines = text.lines().filter(|l| !l.trim().is_empty()).take(3);
    let first = lines.next().is_some_and(|l| l.trim_start().starts_with(['{', '[']) && is_value(l));
    let mut more = lines.peekable();
    first && more.peek().is_some() && more.all(|l| l.trim_start().starts_with(['{', '[']) && is_value(l))
}

/// Reads one JSON value.
///
/// # Errors
/// `Malformed`, `TooLarge`, `TooSlow`.
pub(super) fn extract(text: &str, out: &mut Out) -> Result<(), Refused> {
    let mut pairs = Pairs { split: true, ..Pairs::default() };
    pairs.read(text, out)?.map_err(|Broken| malformed("it is no JSON from some place on"))?;
    pairs.flush(out)
}

/// Reads one JSON value a line.
///
/// # Errors
/// `Malformed` when no line is JSON; `TooLarge`, `TooSlow`.
pub(super) fn extract_lines(text: &str, out: &mut Out) -> Result<(), Refused> {
    let (mut lines, mut broken) = (0_usize, 0_usize);
    for line in text.lines().filter(|l| !l.trim().is_empty()) {
        lines += 1;
        let mut pairs = Pairs::default();
        if pairs.read(line, out)?.is_err() {
            broken += 1;
            pairs.text.clear();
            pairs.text.push_str(line);
        }
        pairs.flush(out)?;
    }
    match broken {
        0 => Ok(()),
        _ if broken == lines => Err(malformed("none of its lines is JSON")),
        _ => {
            out.canon.warn(format!("{broken} of {lines} lines are no JSON; they are kept as they are"));
            Ok(())
        }
    }
}

/// The text that is being made of values.
#[derive(Default)]
struct Pairs<'a> {
    /// A block ends where an object begins or ends.
    split: bool,
    text: String,
    path: Vec<Cow<'a, str>>,
    /// The path that the last value stood under, to write it once for an array.
    last: Option<usize>,
}

impl<'a> Pairs<'a> {
    /// Reads one value; the inner result tells whether it was one.
    fn read(&mut self, text: &'a str, out: &mut Out) -> Result<Result<(), Broken>, Refused> {
        let mut scanner = Scanner::new(text);
        // Per open container: the keys in the path when it began.
        let mut marks: Vec<usize> = Vec::new();
        let mut serial = 0;
        loop {
            out.tick()?;
            match scanner.next() {
                Err(Broken) => return Ok(Err(Broken)),
                Ok(None) => return Ok(Ok(())),
                Ok(Some(Event::Begin)) => {
                    let array = scanner.open.last() == Some(&false);
                    self.begin(array, out)?;
                    serial += 1;
                    marks.push(self.path.len());
                }
                Ok(Some(Event::End)) => {
                    serial += 1;
                    let keys = marks.pop().unwrap_or(0);
                    self.path.truncate(keys.saturating_sub(usize::from(scanner.open.last() == Some(&true))));
                    if self.split {
                        self.flush(out)?;
                    }
                }
                Ok(Some(Event::Key(key))) => {
                    serial += 1;
                    self.path.truncate(marks.last().copied().unwrap_or(0));
                    if scanner.open.len() <= out.limits.max_depth {
                        self.path.push(key);
                    }
                }
                Ok(Some(Event::Value(value))) => {
                    if marks.len() == 1 && self.path.last().is_some_and(|k| k.eq_ignore_ascii_case("title")) {
                        out.canon.title(&value);
                    }
                    self.value(&value, serial);
                    if self.text.len() > BLOCK_MAX && self.split {
                        self.flush(out)?;
                    }
                }
            }
        }
    }

    fn begin(&mut self, array: bool, out: &mut Out) -> Result<(), Refused> {
        if self.split && !array { self.flush(out) } else { Ok(()) }
    }

    fn value(&mut self, value: &str, serial: usize) {
        let value = value.trim();
        if self.last == Some(serial) && !self.text.is_empty() {
            self.text.push_str(", ");
            self.text.push_str(value);
            return;
        }
        if !self.text.is_empty() {
            self.text.push_str("; ");
        }
        let shown = self.path.len().saturating_sub(KEYS_SHOWN);
        if !self.path.is_empty() {
            self.text.push_str(&self.path[shown..].join("."));
            self.text.push_str(": ");
        }
        self.text.push_str(value);
        self.last = Some(serial);
    }

    fn flush(&mut self, out: &mut Out) -> Result<(), Refused> {
        self.last = None;
        out.push(BlockKind::Paragraph, None, &self.text)?;
        self.text.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, read};
    use super::*;
    use crate::domain::ingest::reason::Refusal;
    use proptest::prelude::*;

    #[test]
    fn values_have_their_paths() {
        check(
            "a.json",
            r#"{"title": "T\u00e9 \ud83d\ude00\n", "n": [1, -2.5e3, null], "o": {"a": true, "p": {"q": "x"}}, "z": "end"}"#,
            "title: Té 😀; n: 1, -2.5e3, null\no.a: true\no.p.q: x\nz: end",
        );
        check("a.json", r#"[{"a": 1}, {"a": 2}]"#, "a: 1\na: 2");
    }

    #[test]
    fn lines_are_one_block_each() {
        check("a.jsonl", "{\"a\": 1, \"b\": {\"c\": [2]}}\n\n{\"a\": 3}\n", "a: 1; b.c: 2\na: 3");
        let made = read("a.jsonl", b"{\"a\": 1}\n{\"a\": 2}\n{\"a\": 3}\nbroken {\n").unwrap();
        assert_eq!(made.document.warnings, ["1 of 4 lines are no JSON; they are kept as they are"]);
        assert!(made.document.text.ends_with("broken {"));
    }

    #[test]
    fn what_is_no_json_is_refused_or_text() {
        assert_eq!(read("a.json", b"{\"a\": [1, 2").unwrap_err().reason, Refusal::Malformed);
        check("a.txt", "{not json} at all", "{not json} at all");
    }

    #[test]
    fn depth_is_no_matter() {
        check("a.json", &format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000)), "1");
        let deep = format!("{}1{}", "{\"k\":".repeat(100_000), "}".repeat(100_000));
        check("a.json", &deep, "k.k.k.k: 1");
    }

    fn any_value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            ".{0,8}".prop_map(Into::into)
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::vec((".{0,4}", inner), 0..4)
                    .prop_map(|m| m.into_iter().collect::<serde_json::Map<_, _>>().into()),
            ]
        })
    }

    proptest! {
        /// Agrees with serde_json on what is JSON.
        #[test]
        fn the_same_texts_are_json(value in any_value(), cut in 0_usize..80) {
            let text = value.to_string();
            prop_assert!(is_value(&text));
            let part = &text[..text.floor_char_boundary(cut)];
            prop_assert_eq!(is_value(part), serde_json::from_str::<serde_json::Value>(part).is_ok(), "{}", part);
        }
    }
}
