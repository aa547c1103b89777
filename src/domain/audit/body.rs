//! Reads the body of an entry in one pass: that it is canonical JSON (RFC 8785), and the fields from which the narrow columns
//! were made.
//!
//! Verifying a log reads every body, so this neither allocates nor builds a tree. Texts stay as they are written, with their
//! escapes; since canonical JSON has one spelling for one text, comparing spellings compares texts.

use crate::base::canonical::INTEGER_MAX;
use std::cmp::Ordering;

/// The deepest nesting that is read; what kf writes has less than ten levels.
const DEPTH_MAX: usize = 100;

/// The form of entries that this kf knows.
const VERSION: i64 = 1;

/// What the narrow columns must agree with. Texts are as spelt in the JSON, without quotes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Body<'a> {
    pub(super) version: i64,
    pub(super) id: &'a str,
    /// Microseconds since 1970.
    pub(super) ts: i64,
    pub(super) actor: &'a str,
    pub(super) host: &'a str,
    pub(super) action: &'a str,
    pub(super) res_kind: &'a str,
    pub(super) res_name: &'a str,
    pub(super) outcome: &'a str,
    pub(super) ticket: Option<&'a str>,
    /// The commitment to the reason.
    pub(super) reason: Option<&'a str>,
    /// The commitments to names behind pseudonyms, an object as it is written.
    pub(super) names: Option<&'a str>,
    /// The digests of facts beside the entry, an object as it is written.
    pub(super) facts: Option<&'a str>,
}

/// Reads a body; the error says what is wrong with it, as in "… at byte 17".
pub(super) fn read(text: &str) -> Result<Body<'_>, String> {
    let mut scan = Scan { text, at: 0 };
    let mut body = Body::default();
    scan.object(0, &mut |s, key| {
        match key {
            "v" => body.version = s.integer()?,
            "id" => body.id = s.string()?,
            "ts" => body.ts = s.integer()?,
            "actor" => s.fields(&mut [("id", &mut body.actor)])?,
            "host" => body.host = s.string()?,
            "action" => body.action = s.string()?,
            "res" => s.fields(&mut [("kind", &mut body.res_kind), ("name", &mut body.res_name)])?,
            "outcome" => body.outcome = s.string()?,
            "ticket" => body.ticket = Some(s.string()?),
            "facts" => body.facts = Some(s.span()?),
            "pd" => s.object(1, &mut |s, key| {
                match key {
                    "reason" => body.reason = Some(s.string()?),
                    "names" => body.names = Some(s.span()?),
                    _ => s.value(2)?,
                }
                Ok(())
            })?,
            _ => s.value(1)?,
        }
        Ok(())
    })?;
    if scan.at != text.len() {
        return Err(scan.wrong("more text after the entry"));
    }
    complete(&body)?;
    Ok(body)
}

fn complete(body: &Body<'_>) -> Result<(), String> {
    if body.version != VERSION {
        return Err(format!("its form is {}, this kf knows {VERSION}", body.version));
    }
    let must = [
        ("id", body.id),
        ("actor", body.actor),
        ("host", body.host),
        ("action", body.action),
        ("res.kind", body.res_kind),
        ("outcome", body.outcome),
    ];
    match must.iter().find(|(_, value)| value.is_empty()) {
        Some((name, _)) => Err(format!("it has no `{name}`")),
        None => Ok(()),
    }
}

/// A position in a canonical text.
struct Scan<'a> {
    text: &'a str,
    at: usize,
}

/// Takes the value of one key of an object.
type Member<'f, 'a> = &'f mut dyn FnMut(&mut Scan<'a>, &'a str) -> Result<(), String>;

impl<'a> Scan<'a> {
    fn wrong(&self, what: &str) -> String {
        format!("{what} at byte {}", self.at)
    }

    #[inline]
    fn peek(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    #[inline]
    fn take(&mut self, wanted: u8) -> Result<(), String> {
        if self.peek() != wanted {
            return Err(self.wrong(&format!("no `{}`", char::from(wanted))));
        }
        self.at += 1;
        Ok(())
    }

    /// A value as it is written.
    fn span(&mut self) -> Result<&'a str, String> {
        let from = self.at;
        self.value(1)?;
        Ok(&self.text[from..self.at])
    }

    fn value(&mut self, depth: usize) -> Result<(), String> {
        if depth > DEPTH_MAX {
            return Err(self.wrong("nesting too deep"));
        }
        match self.peek() {
            b'"' => self.string().map(|_| ()),
            b'{' => self.object(depth, &mut |s, _| s.value(depth + 1)),
            b'[' => self.array(depth),
            b'-' | b'0'..=b'9' => self.integer().map(|_| ()),
            _ => self.word(),
        }
    }

    fn word(&mut self) -> Result<(), String> {
        let rest = &self.text.as_bytes()[self.at..];
        match ["true", "false", "null"].iter().find(|w| rest.starts_with(w.as_bytes())) {
            Some(word) => {
                self.at += word.len();
                Ok(())
            }
            None => Err(self.wrong("no value")),
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), String> {
        self.take(b'[')?;
        if self.peek() != b']' {
            self.value(depth + 1)?;
            while self.peek() == b',' {
                self.at += 1;
                self.value(depth + 1)?;
            }
        }
        self.take(b']')
    }

    /// An object whose keys come in the order of the RFC, none twice.
    fn object(&mut self, depth: usize, member: Member<'_, 'a>) -> Result<(), String> {
        if depth > DEPTH_MAX {
            return Err(self.wrong("nesting too deep"));
        }
        self.take(b'{')?;
        let mut last: Option<&str> = None;
        while self.peek() != b'}' {
            if last.is_some() {
                self.take(b',')?;
            }
            let key = self.string()?;
            if last.is_some_and(|last| order(last, key) != Ordering::Less) {
                return Err(self.wrong("keys out of order"));
            }
            self.take(b':')?;
            member(self, key)?;
            last = Some(key);
        }
        self.take(b'}')
    }

    /// An object of which some texts are wanted.
    fn fields(&mut self, wanted: &mut [(&str, &mut &'a str)]) -> Result<(), String> {
        self.object(1, &mut |s, key| match wanted.iter_mut().find(|(name, _)| *name == key) {
            Some((_, to)) => {
                **to = s.string()?;
                Ok(())
            }
            None => s.value(2),
        })
    }

    /// An integer within ±(2^53−1), without leading zeros.
    fn integer(&mut self) -> Result<i64, String> {
        let rest = &self.text[self.at..];
        let digits = rest.bytes().enumerate().take_while(|(i, b)| b.is_ascii_digit() || (*i == 0 && *b == b'-')).count();
        let number = &rest[..digits];
        let unsigned = number.strip_prefix('-').unwrap_or(number);
        let plain = !unsigned.is_empty() && (unsigned == "0" || !unsigned.starts_with('0')) && number != "-0";
        let value: Option<i64> = number.parse().ok();
        match value.filter(|n| plain && n.unsigned_abs() <= INTEGER_MAX.unsigned_abs()) {
            Some(n) => {
                self.at += digits;
                Ok(n)
            }
            None => Err(self.wrong("no canonical integer")),
        }
    }

    /// A text, as spelt between its quotes.
    fn string(&mut self) -> Result<&'a str, String> {
        self.take(b'"')?;
        let from = self.at;
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => self.escape()?,
                Some(b) if *b >= b' ' => self.at += 1,
                _ => return Err(self.wrong("a text that does not end")),
            }
        }
        let text = &self.text[from..self.at];
        self.at += 1;
        Ok(text)
    }

    /// One of the escapes that the RFC leaves no choice about.
    fn escape(&mut self) -> Result<(), String> {
        let rest = &self.text.as_bytes()[self.at + 1..];
        let len = match rest {
            [b'"' | b'\\' | b'b' | b't' | b'n' | b'f' | b'r', ..] => 1,
            [b'u', b'0', b'0', high @ (b'0' | b'1'), low, ..] if must_be_hex(*high, *low) => 5,
            _ => return Err(self.wrong("an escape that is not canonical")),
        };
        self.at += 1 + len;
        Ok(())
    }
}

/// True for the controls that have no two-character escape.
fn must_be_hex(high: u8, low: u8) -> bool {
    matches!(low, b'0'..=b'9' | b'a'..=b'f') && !(high == b'0' && matches!(low, b'8' | b'9' | b'a' | b'c' | b'd'))
}

/// The order of two keys by UTF-16 code units, from their spellings.
fn order(a: &str, b: &str) -> Ordering {
    let simple = |s: &str| s.bytes().all(|b| b.is_ascii() && b != b'\\');
    if simple(a) && simple(b) {
        return a.cmp(b);
    }
    let text = |s: &str| serde_json::from_str::<String>(&format!("\"{s}\"")).unwrap_or_else(|_| s.to_owned());
    text(a).encode_utf16().cmp(text(b).encode_utf16())
}

/// A text as canonical JSON spells it, without quotes.
pub(super) fn spelt(text: &str) -> String {
    if text.bytes().all(|b| b >= b' ' && b != b'"' && b != b'\\') {
        return text.to_owned();
    }
    let quoted = crate::base::canonical::to_string(text).expect("every text has a canonical form");
    quoted[1..quoted.len() - 1].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::canonical;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn entry(detail: Value) -> Value {
        json!({
            "v": 1, "id": "0193-a", "ts": 1_700_000_000_000_000i64, "host": "host-1",
            "actor": {"id": "user-1", "kind": "user", "auth": "asserted"},
            "action": "version.promoted", "outcome": "ok", "ticket": "T-\"1\"",
            "res": {"kind": "version", "name": "b\u{1f}ot", "version": "1.2.0"},
            "pd": {"reason": "abcd", "names": {"user-1": "ef"}}, "detail": detail, "facts": {"gates": "sha256:00"},
        })
    }

    #[test]
    fn the_fields_are_found() {
        let text = canonical::to_string(&entry(json!({"a": [1, -2, {"b": null}], "c": true}))).expect("canonical");
        let body = read(&text).expect("a body");
        let wanted = Body {
            version: 1,
            id: "0193-a",
            ts: 1_700_000_000_000_000,
            actor: "user-1",
            action: "version.promoted",
            res_kind: "version",
            res_name: "b\\u001fot",
            outcome: "ok",
            ticket: Some("T-\\\"1\\\""),
            reason: Some("abcd"),
            host: "host-1",
            names: Some("{\"user-1\":\"ef\"}"),
            facts: Some("{\"gates\":\"sha256:00\"}"),
        };
        assert_eq!(body, wanted);
        assert_eq!((spelt("b\u{1f}ot").as_str(), spelt("T-\"1\"").as_str()), ("b\\u001fot", "T-\\\"1\\\""));
    }

    #[test]
    fn what_is_not_canonical_is_refused() {
        let good = canonical::to_string(&entry(json!({"n": 10, "s": "a\n\u{1}"}))).expect("canonical");
        assert!(read(&good).is_ok());
        let check = |from: &str, to: &str| {
            let bad = good.replacen(from, to, 1);
            assert_ne!(bad, good, "{from}");
            assert!(read(&bad).is_err(), "{bad}");
        };
        check("{", "{ ");
        check(",\"v\":1}", ",\"v\":1} ");
        check(",\"v\":1}", ",\"v\":1");
        check("\"v\":1", "\"v\":2");
        check("\"v\":1", "\"v\":1,\"v\":1");
        check("\"n\":10", "\"n\":010");
        check("\"n\":10", "\"n\":-0");
        check("\"n\":10", "\"n\":1e1");
        check("\"n\":10", "\"n\":9007199254740992");
        check("\"n\":10", "\"n\":nil");
        check("\"n\":10,\"s\"", "\"s\":\"\",\"n\"");
        check("\\n", "\\u000a");
        check("\\u0001", "\\u0041");
        check("\\u0001", "\\/");
        check("\\u0001", "\u{1}");
        check("\"outcome\":\"ok\",", "");
        check("\"id\":\"user-1\"", "\"id\":7");
        assert!(read(&good.replace("10", &format!("{}{}", "[".repeat(5000), "]".repeat(5000)))).is_err());
        assert!(read("").is_err());
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-INTEGER_MAX..=INTEGER_MAX).prop_map(Value::from),
            "(\\PC|[\u{0}-\u{20}\"\\\\])*".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 20, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("[a-c\"\\\\\u{1}é\u{fb33}\u{1f600}]{0,3}", inner, 0..5)
                    .prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn whatever_is_canonical_is_read(detail in any_json()) {
            let text = canonical::to_string(&entry(detail)).expect("canonical");
            prop_assert!(read(&text).is_ok(), "{}", text);
        }

        /// One byte changed: it is read exactly when the full parser finds its own spelling again.
        #[test]
        fn what_is_read_is_canonical(detail in any_json(), at: prop::sample::Index, with in 0u8..128) {
            let mut bytes = canonical::to_string(&entry(detail)).expect("canonical").into_bytes();
            let at = at.index(bytes.len());
            bytes[at] = with;
            if let Ok(text) = String::from_utf8(bytes) && read(&text).is_ok() {
                let value: Value = serde_json::from_str(&text).expect("JSON");
                prop_assert_eq!(canonical::to_string(&value).expect("canonical"), text);
            }
        }

        #[test]
        fn no_text_panics(text in "(\\PC|\n)*", json in "[{}\\[\\]\":,0-9a-z\\\\-]*") {
            prop_assert!(read(&text).is_err());
            let _ = read(&json);
        }
    }
}
