//! RFC 8785 (JSON Canonicalization Scheme): one byte string for one JSON value, so that it can be hashed and signed.
//!
//! Kf's own documents hold no floating-point numbers, so numbers are integers within ±(2^53−1) and anything else is refused
//! instead of being rounded.

use serde::Serialize;
use serde_json::Value;
use std::fmt::Write as _;

/// The largest integer that JSON readers everywhere keep exactly.
pub const INTEGER_MAX: i64 = (1 << 53) - 1;

/// The value has no canonical form here; says what is wrong with it.
#[derive(Debug, PartialEq, Eq)]
pub struct NotCanonical(String);

impl std::fmt::Display for NotCanonical {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotCanonical {}

/// The canonical text of anything that serialises to JSON.
///
/// # Errors
/// When the value holds a floating-point number or an integer outside ±(2^53−1).
pub fn to_string<T: Serialize + ?Sized>(value: &T) -> Result<String, NotCanonical> {
    let value = serde_json::to_value(value).map_err(|e| NotCanonical(e.to_string()))?;
    let mut out = String::new();
    write_value(&mut out, &value)?;
    Ok(out)
}

fn write_value(out: &mut String, value: &Value) -> Result<(), NotCanonical> {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Number(n) => match n.as_i64().filter(|i| i.abs() <= INTEGER_MAX) {
            Some(i) => write!(out, "{i}").map_err(|e| NotCanonical(e.to_string()))?,
            None => return Err(NotCanonical(format!("{n} is not an integer within ±(2^53−1)"))),
        },
        Value::String(s) => write_string(out, s),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_value(out, item)?;
            }
            out.push(']');
        }
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by(|a, b| a.0.encode_utf16().cmp(b.0.encode_utf16()));
            out.push('{');
            for (i, (key, item)) in entries.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_string(out, key);
                out.push(':');
                write_value(out, item)?;
            }
            out.push('}');
        }
    }
    Ok(())
}

/// RFC 8785 §3.2.2.2: the two-character escapes, `\u00xx` for the other controls, everything else as it is.
fn write_string(out: &mut String, s: &str) {
    out.push('"');
    for c in s.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{9}' => out.push_str("\\t"),
            '\u{a}' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\u{d}' => out.push_str("\\r"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    /// RFC 8785 §3.2.3: keys order by UTF-16 code units, so U+1F600 (a surrogate pair) comes before U+FB33.
    #[test]
    fn keys_order_as_in_the_rfc() {
        let v = json!({"\u{20ac}": 1, "\r": 2, "\u{fb33}": 3, "1": 4, "\u{1f600}": 5, "\u{80}": 6, "\u{f6}": 7});
        let text = to_string(&v).expect("canonical");
        assert_eq!(text, "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"\u{f6}\":7,\"\u{20ac}\":1,\"\u{1f600}\":5,\"\u{fb33}\":3}");
    }

    /// RFC 8785 §3.2.2: the string of the sample.
    #[test]
    fn strings_escape_as_in_the_rfc() {
        let text = to_string(&json!("\u{20ac}$\u{000f}\u{000a}A'\u{0042}\u{0022}\u{005c}\\\"/")).expect("canonical");
        assert_eq!(text, "\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"");
    }

    #[test]
    fn numbers_that_readers_would_round_are_refused() {
        assert!(to_string(&json!(1.5)).is_err());
        assert!(to_string(&json!(9_007_199_254_740_992i64)).is_err());
        assert_eq!(to_string(&json!(-9_007_199_254_740_991i64)).expect("canonical"), "-9007199254740991");
    }

    proptest! {
        #[test]
        fn canonical_text_reads_back_and_is_a_fixed_point(s in ".*", n in -INTEGER_MAX..=INTEGER_MAX) {
            let v = json!({"s": s.clone(), s: [n, null, true]});
            let text = to_string(&v).expect("canonical");
            let back: Value = serde_json::from_str(&text).expect("JSON");
            prop_assert_eq!(&back, &v);
            prop_assert_eq!(to_string(&back).expect("canonical"), text);
        }
    }
}
