//! Values of variables read from JSON, exactly: a whole number that does not fit 64 bits is refused, since it would become a float that
//! prints other digits, and a float is the nearest one (`serde_json` may miss it by a bit).

use crate::domain::registry::document::{self, Fault, Syntax};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};
use std::collections::BTreeMap;

/// Reads a JSON text.
///
/// # Errors
/// Where it is no JSON, has a key twice, or holds a whole number outside of -2^63 … 2^64-1.
pub fn from_json(text: &str) -> Result<Value, Fault> {
    // The strict reader finds what is wrong and where; what it read is what numbers are put into.
    let mut value = document::parse(Syntax::Json, text.as_bytes())?;
    if let Ok(raw) = serde_json::from_str::<&RawValue>(text) {
        exact(raw, &mut value).map_err(|number| {
            let byte = text.find(&number).unwrap_or(0);
            Fault::at(
                text,
                byte,
                format!("`{number}` is beyond the whole numbers of 64 bits; write it in quotes to have it as text"),
            )
        })?;
    }
    Ok(value)
}

/// Puts every number of a text into its place. The error is a number that cannot be.
fn exact(raw: &RawValue, value: &mut Value) -> Result<(), String> {
    match value {
        Value::Number(number) => match exact_number(raw.get()) {
            Some(found) => *number = found,
            None => return Err(raw.get().to_owned()),
        },
        Value::Array(items) => {
            let raws: Vec<&RawValue> = serde_json::from_str(raw.get()).unwrap_or_default();
            raws.iter().zip(items).try_for_each(|(raw, item)| exact(raw, item))?;
        }
        Value::Object(map) => {
            let raws: BTreeMap<String, &RawValue> = serde_json::from_str(raw.get()).unwrap_or_default();
            map.iter_mut().filter_map(|(key, item)| Some((raws.get(key)?, item))).try_for_each(|(raw, item)| exact(raw, item))?;
        }
        _ => {}
    }
    Ok(())
}

fn exact_number(text: &str) -> Option<Number> {
    if text.contains(['.', 'e', 'E']) {
        return text.parse().ok().and_then(Number::from_f64);
    }
    // Python reads `-0` as the whole number 0.
    text.parse::<i64>().map(Number::from).or_else(|_| text.parse::<u64>().map(Number::from)).ok()
}

/// Reads a file of values by name: JSON, YAML or TOML, a map at its top.
///
/// # Errors
/// Where it cannot be read or has a number that is not finite, which would become text, or when it is no map.
pub fn from_file(path: &str, bytes: &[u8]) -> Result<Map<String, Value>, Fault> {
    let start = |message: &str| Fault { line: 1, column: 1, message: message.to_owned() };
    let value = match Syntax::of(path) {
        Some(Syntax::Json) => from_json(document::text_of(bytes)?)?,
        Some(syntax) => document::parse_finite(syntax, bytes)?,
        None => return Err(start("a file of values ends in .json, .yaml or .toml")),
    };
    match value {
        Value::Object(map) => Ok(map),
        _ => Err(start("a file of values has names and values at its top")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_are_exact_or_refused() {
        let value = from_json("{\"a\": [18446744073709551615, -9223372036854775808, -0], \"b\": 2.2250738585072011e-308}")
            .expect("valid");
        assert_eq!(value["a"], json!([u64::MAX, i64::MIN, 0]));
        assert_eq!(value["b"].as_f64().map(f64::to_bits), Some(2.225_073_858_507_201e-308_f64.to_bits()));
        let fault = from_json("{\"a\": 1,\n \"b\": [18446744073709551616]}").expect_err("too large");
        assert_eq!((fault.line, fault.column), (2, 8));
        assert!(from_json("{\"a\": 1, \"a\": 2}").is_err());
        assert!(from_file("a.txt", b"{}").is_err() && from_file("a.json", b"[]").is_err());
        let fault = from_file("a.yaml", b"k: 5\nx: .nan\n").expect_err("no number");
        assert_eq!((fault.line, fault.column), (2, 4));
        assert!(from_file("a.toml", b"x = inf").is_err());
        assert_eq!(from_file("a.toml", b"k = 5").expect("valid")["k"], json!(5));
    }
}
