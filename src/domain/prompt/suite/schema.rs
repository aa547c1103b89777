//! JSON Schema as assertions use it: the keywords of draft 2020-12 that say what a value is, and `$ref` within the schema.
//!
//! A keyword that is not checked here is a fault of the schema, because a schema that is half checked passes what it should refuse;
//! `title`, `description`, `default`, `examples`, `format`, `$schema`, `$id` and `$comment` say nothing that is checked.

use crate::base::text::ellipsis;
use regex_lite::Regex;
use serde_json::{Map, Value};

/// Schemas and references within each other go no deeper.
const DEPTH_MAX: usize = 64;

/// Keywords that only describe.
const SILENT: &[&str] = &[
    "$comment",
    "$defs",
    "$id",
    "$schema",
    "default",
    "definitions",
    "deprecated",
    "description",
    "examples",
    "format",
    "readOnly",
    "title",
    "writeOnly",
];

/// Keywords that are checked.
const CHECKED: &[&str] = &[
    "$ref",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "oneOf",
    "pattern",
    "patternProperties",
    "prefixItems",
    "properties",
    "propertyNames",
    "required",
    "type",
    "uniqueItems",
];

/// A schema whose keywords are all known.
#[derive(Clone, Debug, PartialEq)]
pub struct Schema(Value);

impl Schema {
    /// Takes a schema.
    ///
    /// # Errors
    /// What in it is not checked here, or is no schema.
    pub fn new(value: &Value) -> Result<Self, String> {
        known(value, value, 0)?;
        Ok(Self(value.clone()))
    }

    /// Holds a value against it.
    ///
    /// # Errors
    /// The first thing that does not fit, with its place in the value.
    pub fn check(&self, value: &Value) -> Result<(), String> {
        check(&self.0, &self.0, value, "", 0)
    }
}

fn known(root: &Value, schema: &Value, depth: usize) -> Result<(), String> {
    if depth > DEPTH_MAX {
        return Err("the schema is nested too deep".to_owned());
    }
    let map = match schema {
        Value::Bool(_) => return Ok(()),
        Value::Object(map) => map,
        _ => return Err(format!("a schema is a map, true or false, and this is {}", ellipsis(&schema.to_string(), 40))),
    };
    for (key, value) in map {
        let below: Vec<&Value> = match (key.as_str(), value) {
            ("properties" | "patternProperties" | "$defs" | "definitions", Value::Object(all)) => all.values().collect(),
            ("allOf" | "anyOf" | "oneOf" | "prefixItems", Value::Array(all)) => all.iter().collect(),
            ("items" | "additionalProperties" | "not" | "propertyNames", value) => vec![value],
            ("$ref", Value::String(way)) => {
                target(root, way).ok_or_else(|| format!("`$ref` leads nowhere in the schema: {}", ellipsis(way, 60)))?;
                Vec::new()
            }
            ("pattern", Value::String(pattern)) => {
                regex(pattern)?;
                Vec::new()
            }
            ("type", Value::String(_) | Value::Array(_)) => {
                let word = |v: &Value| v.as_str().is_some_and(|w| TYPES.contains(&w));
                let right = value.as_array().map_or_else(|| word(value), |all| all.iter().all(word));
                right.then_some(Vec::new()).ok_or_else(|| format!("`type` is one of {}", TYPES.join(", ")))?
            }
            ("required", Value::Array(all)) if all.iter().all(Value::is_string) => Vec::new(),
            ("enum", Value::Array(_)) | ("const", _) | ("uniqueItems", Value::Bool(_)) => Vec::new(),
            ("minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf", Value::Number(_)) => Vec::new(),
            (key, value) if SIZES.contains(&key) && value.is_u64() => Vec::new(),
            (key, _) if SILENT.contains(&key) => Vec::new(),
            (key, _) if CHECKED.contains(&key) => return Err(format!("`{key}` of the schema has a value that it cannot have")),
            (key, _) => return Err(format!("`{}` is no keyword of a schema that kf checks", ellipsis(key, 40))),
        };
        if key == "patternProperties" {
            value.as_object().into_iter().flat_map(Map::keys).try_for_each(|pattern| regex(pattern).map(|_| ()))?;
        }
        below.into_iter().try_for_each(|one| known(root, one, depth + 1))?;
    }
    Ok(())
}

const TYPES: &[&str] = &["array", "boolean", "integer", "null", "number", "object", "string"];
const SIZES: &[&str] = &["maxItems", "maxLength", "maxProperties", "minItems", "minLength", "minProperties"];

fn regex(pattern: &str) -> Result<Regex, String> {
    Regex::new(pattern).map_err(|e| format!("`{}` is no pattern: {e}", ellipsis(pattern, 60)))
}

/// What `#/$defs/name` leads to.
fn target<'s>(root: &'s Value, way: &str) -> Option<&'s Value> {
    if way == "#" {
        return Some(root);
    }
    root.pointer(way.strip_prefix('#')?)
}

fn is_type(value: &Value, word: &str) -> bool {
    match word {
        "array" => value.is_array(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|f| f.fract() == 0.0),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "object" => value.is_object(),
        _ => value.is_string(),
    }
}

/// Equal as JSON Schema means it: numbers by their value.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => x == y || x.as_f64() == y.as_f64(),
        (Value::Array(x), Value::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y)),
        (Value::Object(x), Value::Object(y)) => x.len() == y.len() && x.iter().all(|(k, v)| y.get(k).is_some_and(|w| same(v, w))),
        _ => a == b,
    }
}

fn check(root: &Value, schema: &Value, value: &Value, at: &str, depth: usize) -> Result<(), String> {
    let here = if at.is_empty() { "the value".to_owned() } else { format!("`{at}`") };
    if depth > DEPTH_MAX {
        return Err(format!("{here}: the schema leads back to itself"));
    }
    let map = match schema {
        Value::Bool(true) => return Ok(()),
        Value::Object(map) => map,
        _ => return Err(format!("{here} may not be there")),
    };
    for (key, rule) in map {
        keyword(root, (key, rule), map, value, at, depth)
            .map_err(|why| if why.starts_with('`') || why.starts_with("the value") { why } else { format!("{here} {why}") })?;
    }
    Ok(())
}

fn keyword(
    root: &Value,
    (key, rule): (&str, &Value),
    map: &Map<String, Value>,
    value: &Value,
    at: &str,
    depth: usize,
) -> Result<(), String> {
    let fits = |schema: &Value| check(root, schema, value, at, depth + 1);
    let list = rule.as_array().map(Vec::as_slice).unwrap_or_default();
    match key {
        "$ref" => rule.as_str().and_then(|way| target(root, way)).map_or(Ok(()), fits),
        "type" => {
            let words: Vec<&str> = rule.as_str().into_iter().chain(list.iter().filter_map(Value::as_str)).collect();
            holds(words.iter().any(|w| is_type(value, w)), || {
                format!("is not of type {}: {}", words.join(" or "), ellipsis(&value.to_string(), 60))
            })
        }
        "const" => holds(same(rule, value), || format!("is not {}", ellipsis(&rule.to_string(), 60))),
        "enum" => holds(list.iter().any(|one| same(one, value)), || format!("is none of {}", ellipsis(&rule.to_string(), 80))),
        "allOf" => list.iter().try_for_each(fits),
        "anyOf" => holds(list.iter().any(|one| fits(one).is_ok()), || "fits none of `anyOf`".to_owned()),
        "oneOf" => {
            let n = list.iter().filter(|one| fits(one).is_ok()).count();
            holds(n == 1, || format!("fits {n} of `oneOf`, not one"))
        }
        "not" => holds(fits(rule).is_err(), || "fits what it must not".to_owned()),
        _ => match value {
            Value::Number(number) => numeric(key, rule, number.as_f64().unwrap_or(f64::NAN)),
            Value::String(text) => textual(key, rule, text),
            Value::Array(items) => listed(root, (key, rule), map, items, at, depth),
            Value::Object(fields) => mapped(root, (key, rule), map, fields, at, depth),
            _ => Ok(()),
        },
    }
}

fn holds(condition: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if condition { Ok(()) } else { Err(why()) }
}

fn numeric(key: &str, rule: &Value, number: f64) -> Result<(), String> {
    let Some(bound) = rule.as_f64() else { return Ok(()) };
    match key {
        "minimum" => holds(number >= bound, || format!("is {number}, below {bound}")),
        "maximum" => holds(number <= bound, || format!("is {number}, above {bound}")),
        "exclusiveMinimum" => holds(number > bound, || format!("is {number}, not above {bound}")),
        "exclusiveMaximum" => holds(number < bound, || format!("is {number}, not below {bound}")),
        "multipleOf" => holds(bound == 0.0 || (number / bound).fract() == 0.0, || format!("is {number}, no multiple of {bound}")),
        _ => Ok(()),
    }
}

/// Whether a size is within a bound that is named `min…` or `max…`.
fn sized(key: &str, rule: &Value, size: usize, what: &str) -> Result<(), String> {
    let Some(bound) = rule.as_u64() else { return Ok(()) };
    let size = size as u64;
    match key.starts_with("min") {
        true => holds(size >= bound, || format!("has {size} {what}, fewer than {bound}")),
        false => holds(size <= bound, || format!("has {size} {what}, more than {bound}")),
    }
}

fn textual(key: &str, rule: &Value, text: &str) -> Result<(), String> {
    match (key, rule.as_str()) {
        ("minLength" | "maxLength", _) => sized(key, rule, text.chars().count(), "characters"),
        ("pattern", Some(pattern)) => {
            holds(regex(pattern)?.is_match(text), || format!("does not match `{}`", ellipsis(pattern, 60)))
        }
        _ => Ok(()),
    }
}

fn listed(
    root: &Value,
    (key, rule): (&str, &Value),
    map: &Map<String, Value>,
    items: &[Value],
    at: &str,
    depth: usize,
) -> Result<(), String> {
    let prefix = map.get("prefixItems").and_then(Value::as_array).map_or(0, Vec::len);
    let one = |i: usize, schema: &Value| check(root, schema, &items[i], &format!("{at}[{i}]"), depth + 1);
    match key {
        "minItems" | "maxItems" => sized(key, rule, items.len(), "elements"),
        "uniqueItems" if rule == &Value::Bool(true) => {
            let twice = items.iter().enumerate().any(|(i, a)| items[..i].iter().any(|b| same(a, b)));
            holds(!twice, || "has an element twice".to_owned())
        }
        "prefixItems" => rule.as_array().into_iter().flatten().take(items.len()).enumerate().try_for_each(|(i, s)| one(i, s)),
        "items" => (prefix..items.len()).try_for_each(|i| one(i, rule)),
        _ => Ok(()),
    }
}

fn mapped(
    root: &Value,
    (key, rule): (&str, &Value),
    map: &Map<String, Value>,
    fields: &Map<String, Value>,
    at: &str,
    depth: usize,
) -> Result<(), String> {
    let dot = if at.is_empty() { "" } else { "." };
    let one = |name: &str, schema: &Value, value: &Value| check(root, schema, value, &format!("{at}{dot}{name}"), depth + 1);
    let patterns = |name: &str| -> Result<Vec<&Value>, String> {
        let all = map.get("patternProperties").and_then(Value::as_object).into_iter().flatten();
        let mut found = Vec::new();
        for (pattern, schema) in all {
            found.extend(regex(pattern)?.is_match(name).then_some(schema));
        }
        Ok(found)
    };
    match key {
        "minProperties" | "maxProperties" => sized(key, rule, fields.len(), "keys"),
        "required" => {
            let missing =
                rule.as_array().into_iter().flatten().filter_map(Value::as_str).find(|name| !fields.contains_key(*name));
            missing.map_or(Ok(()), |name| Err(format!("has no `{}`", ellipsis(name, 60))))
        }
        "properties" => {
            let known = rule.as_object().into_iter().flatten();
            known.filter_map(|(name, schema)| Some((name, schema, fields.get(name)?))).try_for_each(|(n, s, v)| one(n, s, v))
        }
        "patternProperties" => fields
            .iter()
            .try_for_each(|(name, value)| patterns(name)?.into_iter().try_for_each(|schema| one(name, schema, value))),
        "propertyNames" => fields.keys().try_for_each(|name| check(root, rule, &Value::String(name.clone()), at, depth + 1)),
        "additionalProperties" => {
            let listed = map.get("properties").and_then(Value::as_object);
            for (name, value) in fields {
                if listed.is_none_or(|l| !l.contains_key(name)) && patterns(name)?.is_empty() {
                    one(name, rule, value)?;
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The keywords as the specification (draft 2020-12, "Validation") defines them; values chosen on both sides of each.
    #[test]
    fn every_keyword_is_checked() {
        let check = |schema: Value, good: &[Value], bad: &[Value]| {
            let compiled = Schema::new(&schema).unwrap_or_else(|why| panic!("{schema}: {why}"));
            good.iter().for_each(|v| assert_eq!(compiled.check(v), Ok(()), "{schema} {v}"));
            bad.iter().for_each(|v| assert!(compiled.check(v).is_err(), "{schema} {v}"));
        };
        check(json!({"type": "integer"}), &[json!(1), json!(1.0)], &[json!(1.5), json!("1"), json!(true), json!(null)]);
        check(json!({"type": ["string", "null"]}), &[json!("x"), json!(null)], &[json!(0)]);
        check(json!({"const": {"a": 1}}), &[json!({"a": 1.0})], &[json!({"a": 2})]);
        check(json!({"enum": [1, "a"]}), &[json!(1.0), json!("a")], &[json!("b")]);
        check(
            json!({"minimum": 1, "exclusiveMaximum": 3, "multipleOf": 0.5}),
            &[json!(1), json!(2.5), json!("any")],
            &[json!(0.5), json!(3), json!(1.2)],
        );
        check(json!({"exclusiveMinimum": 1, "maximum": 3}), &[json!(3)], &[json!(1), json!(3.1)]);
        check(
            json!({"minLength": 2, "maxLength": 3, "pattern": "^é"}),
            &[json!("éa"), json!(5)],
            &[json!("é"), json!("éabc"), json!("ae")],
        );
        check(
            json!({"items": {"type": "integer"}, "minItems": 1, "maxItems": 2, "uniqueItems": true}),
            &[json!([1, 2])],
            &[json!([]), json!([1, 2, 3]), json!([1, 1.0]), json!(["a"])],
        );
        check(
            json!({"prefixItems": [{"type": "string"}], "items": false}),
            &[json!(["a"]), json!([])],
            &[json!([1]), json!(["a", 1])],
        );
        check(
            json!({"properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": false}),
            &[json!({"a": "x"}), json!([])],
            &[json!({}), json!({"a": 1}), json!({"a": "x", "b": 1})],
        );
        check(
            json!({"patternProperties": {"^x": {"type": "integer"}}, "additionalProperties": {"type": "string"}}),
            &[json!({"x1": 1, "y": "s"})],
            &[json!({"x1": "s"}), json!({"y": 1})],
        );
        check(
            json!({"propertyNames": {"maxLength": 2}, "minProperties": 1, "maxProperties": 2}),
            &[json!({"ab": 1})],
            &[json!({"abc": 1}), json!({}), json!({"a": 1, "b": 2, "c": 3})],
        );
        check(json!({"anyOf": [{"type": "string"}, {"minimum": 5}]}), &[json!("a"), json!(6)], &[json!(4)]);
        check(json!({"oneOf": [{"type": "integer"}, {"minimum": 5}]}), &[json!(4), json!(5.5)], &[json!(6), json!(1.5)]);
        check(json!({"allOf": [{"type": "integer"}, {"not": {"const": 3}}]}), &[json!(4)], &[json!(3), json!("a")]);
        check(
            json!({"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}}}),
            &[json!({"next": {"next": {}}})],
            &[json!({"next": {"next": 1}})],
        );
    }

    #[test]
    fn what_does_not_fit_is_named_and_an_odd_schema_refused() {
        let schema = Schema::new(&json!({"properties": {"a": {"items": {"type": "integer"}}}})).expect("valid");
        assert_eq!(schema.check(&json!({"a": [1, "x"]})), Err("`a[1]` is not of type integer: \"x\"".into()));
        assert_eq!(
            Schema::new(&json!({"type": "objct"})).expect_err("no type"),
            "`type` is one of array, boolean, integer, null, number, object, string"
        );
        assert_eq!(
            Schema::new(&json!({"properties": {"a": {"requierd": []}}})).expect_err("unknown"),
            "`requierd` is no keyword of a schema that kf checks"
        );
        assert!(Schema::new(&json!({"minLength": "2"})).is_err() && Schema::new(&json!({"pattern": "("})).is_err());
        assert!(Schema::new(&json!({"$ref": "#/nowhere"})).is_err() && Schema::new(&json!(3)).is_err());
        let endless = Schema::new(&json!({"$ref": "#"})).expect("known");
        assert!(endless.check(&json!(1)).expect_err("endless").contains("leads back to itself"));
    }
}
