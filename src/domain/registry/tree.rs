//! The difference of two structured values, key by key.
//!
//! Mappings are compared by key. Lists whose elements all carry their own `name` or `id` are compared by it, so that one
//! element more at the front is one change and not a change of every element; other lists are aligned like lines of text
//! (`similar`) and their changes named by index. The result is deterministic and in the order of the files.

use super::document::Syntax;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use similar::{Algorithm, DiffOp};
use std::collections::BTreeSet;
use std::fmt;

/// One step into a value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// A key of a mapping.
    Key(String),
    /// An element of a list, from 0; of the old list for what is removed, else of the new one.
    Index(usize),
    /// The element of a list that carries this name.
    Named {
        /// The key that names it: `name` or `id`.
        by: &'static str,
        /// Its value.
        name: String,
    },
    /// The order of the named elements of a list.
    Order,
}

/// Where something is in a value; prints as `agents[name=router].tools[0]`, the value itself as `.`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyPath(pub Vec<Step>);

impl KeyPath {
    /// This path and one step more.
    #[must_use]
    pub fn with(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    /// The last key of a mapping on the way, with what comes before it.
    pub fn last_key(&self) -> Option<&str> {
        self.0.iter().rev().find_map(|s| if let Step::Key(k) = s { Some(k.as_str()) } else { None })
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str(".");
        }
        for (i, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) => {
                    let dot = if i > 0 { "." } else { "" };
                    let plain = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '/' | '!'));
                    if plain { write!(f, "{dot}{key}")? } else { write!(f, "{dot}{key:?}")? }
                }
                Step::Index(n) => write!(f, "[{n}]")?,
                Step::Named { by, name } => write!(f, "[{by}={}]", name.escape_debug())?,
                Step::Order => f.write_str("[order]")?,
            }
        }
        Ok(())
    }
}

impl Serialize for KeyPath {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// A value that is new, gone or another one. `null` is a value: absent is `None`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KeyChange {
    /// Where.
    pub path: KeyPath,
    /// What was there.
    pub old: Option<Value>,
    /// What is there now.
    pub new: Option<Value>,
}

/// Long values are cut to this many characters when printed.
const SHOWN: usize = 80;

impl fmt::Display for KeyChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |v: &Value| crate::base::text::ellipsis(&v.to_string(), SHOWN);
        match (&self.old, &self.new) {
            (Some(old), Some(new)) => write!(f, "{}: {} → {}", self.path, show(old), show(new)),
            (None, Some(new)) => write!(f, "{}: added {}", self.path, show(new)),
            (Some(old), None) => write!(f, "{}: removed {}", self.path, show(old)),
            (None, None) => write!(f, "{}: unchanged", self.path),
        }
    }
}

/// What differs between two values.
pub fn changes(old: &Value, new: &Value) -> Vec<KeyChange> {
    let mut out = Vec::new();
    compare(&KeyPath::default(), old, new, &mut out);
    out
}

fn compare(path: &KeyPath, old: &Value, new: &Value, out: &mut Vec<KeyChange>) {
    match (old, new) {
        _ if old == new => {}
        (Value::Object(a), Value::Object(b)) => compare_maps(path, a, b, out),
        (Value::Array(a), Value::Array(b)) => match naming_key(a, b) {
            Some(by) => compare_named(path, by, a, b, out),
            None => compare_lists(path, a, b, out),
        },
        _ => out.push(KeyChange { path: path.clone(), old: Some(old.clone()), new: Some(new.clone()) }),
    }
}

fn compare_maps(path: &KeyPath, old: &Map<String, Value>, new: &Map<String, Value>, out: &mut Vec<KeyChange>) {
    for (key, a) in old {
        let path = path.with(Step::Key(key.clone()));
        match new.get(key) {
            Some(b) => compare(&path, a, b, out),
            None => out.push(KeyChange { path, old: Some(a.clone()), new: None }),
        }
    }
    for (key, b) in new.iter().filter(|(key, _)| !old.contains_key(*key)) {
        out.push(KeyChange { path: path.with(Step::Key(key.clone())), old: None, new: Some(b.clone()) });
    }
}

/// The key by which all elements of both lists can be told apart.
fn naming_key(old: &[Value], new: &[Value]) -> Option<&'static str> {
    let names = |list: &[Value], by: &str| {
        let names: Option<BTreeSet<&str>> = list.iter().map(|v| v.get(by)?.as_str()).collect();
        names.is_some_and(|n| n.len() == list.len())
    };
    ["name", "id"].into_iter().find(|by| !(old.is_empty() && new.is_empty()) && names(old, by) && names(new, by))
}

fn compare_named(path: &KeyPath, by: &'static str, old: &[Value], new: &[Value], out: &mut Vec<KeyChange>) {
    let name = |v: &Value| v[by].as_str().unwrap_or_default().to_owned();
    let names = |list: &[Value]| list.iter().map(name).collect::<Vec<_>>();
    let (old_names, new_names) = (names(old), names(new));
    let keyed = |list: &[Value]| list.iter().map(|v| (name(v), v.clone())).collect::<std::collections::BTreeMap<_, _>>();
    let (old_by, new_by) = (keyed(old), keyed(new));
    for (name, a) in old_names.iter().zip(old) {
        let path = path.with(Step::Named { by, name: name.clone() });
        match new_by.get(name) {
            Some(b) => compare(&path, a, b, out),
            None => out.push(KeyChange { path, old: Some(a.clone()), new: None }),
        }
    }
    for (name, b) in new_names.iter().zip(new).filter(|(name, _)| !old_by.contains_key(*name)) {
        out.push(KeyChange { path: path.with(Step::Named { by, name: name.clone() }), old: None, new: Some(b.clone()) });
    }
    let old_order: Vec<&String> = old_names.iter().filter(|n| new_by.contains_key(*n)).collect();
    let new_order: Vec<&String> = new_names.iter().filter(|n| old_by.contains_key(*n)).collect();
    if old_order != new_order {
        let list = |names: Vec<&String>| Some(Value::from(names.into_iter().cloned().collect::<Vec<_>>()));
        out.push(KeyChange { path: path.with(Step::Order), old: list(old_order), new: list(new_order) });
    }
}

fn compare_lists(path: &KeyPath, old: &[Value], new: &[Value], out: &mut Vec<KeyChange>) {
    let texts = |list: &[Value]| list.iter().map(Value::to_string).collect::<Vec<_>>();
    let at = |i: usize| path.with(Step::Index(i));
    let removed = |i: usize| KeyChange { path: at(i), old: Some(old[i].clone()), new: None };
    let added = |i: usize| KeyChange { path: at(i), old: None, new: Some(new[i].clone()) };
    for op in similar::capture_diff_slices(Algorithm::Myers, &texts(old), &texts(new)) {
        match op {
            DiffOp::Equal { .. } => {}
            DiffOp::Delete { old_index, old_len, .. } => out.extend((old_index..old_index + old_len).map(removed)),
            DiffOp::Insert { new_index, new_len, .. } => out.extend((new_index..new_index + new_len).map(added)),
            DiffOp::Replace { old_index, old_len, new_index, new_len } => {
                let both = old_len.min(new_len);
                for i in 0..both {
                    compare(&at(new_index + i), &old[old_index + i], &new[new_index + i], out);
                }
                out.extend((old_index + both..old_index + old_len).map(removed));
                out.extend((new_index + both..new_index + new_len).map(added));
            }
        }
    }
}

/// Every text in a value with its path, in the order of the file, leaving out what is below the keys that `skip` names.
pub fn texts<'v>(value: &'v Value, skip: &[&str]) -> Vec<(KeyPath, &'v str)> {
    let mut out = Vec::new();
    collect_texts(&KeyPath::default(), value, skip, &mut out);
    out
}

fn collect_texts<'v>(path: &KeyPath, value: &'v Value, skip: &[&str], out: &mut Vec<(KeyPath, &'v str)>) {
    match value {
        Value::String(s) => out.push((path.clone(), s)),
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                collect_texts(&path.with(Step::Index(i)), item, skip, out);
            }
        }
        Value::Object(map) => {
            for (key, item) in map.iter().filter(|(key, _)| !skip.contains(&key.to_ascii_lowercase().as_str())) {
                collect_texts(&path.with(Step::Key(key.clone())), item, skip, out);
            }
        }
        _ => {}
    }
}

/// The difference of two structured files; `None` when either does not parse.
pub fn file_changes(old: (Syntax, &[u8]), new: (Syntax, &[u8])) -> Option<Vec<KeyChange>> {
    let old = super::document::parse(old.0, old.1).ok()?;
    let new = super::document::parse(new.0, new.1).ok()?;
    Some(changes(&old, &new))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn check(old: Value, new: Value, expected: &[&str]) {
        let found: Vec<String> = changes(&old, &new).iter().map(ToString::to_string).collect();
        assert_eq!(found, expected, "{old} → {new}");
    }

    #[test]
    fn keys_are_named_by_their_path() {
        check(json!({"retrieval": {"top_k": 5}}), json!({"retrieval": {"top_k": 8}}), &["retrieval.top_k: 5 → 8"]);
        check(json!({"a": 1, "b": 2}), json!({"b": 2, "a b.c": null}), &["a: removed 1", "\"a b.c\": added null"]);
        check(json!({"a": {"b": 1}}), json!({"a": [1]}), &["a: {\"b\":1} → [1]"]);
        check(json!(1), json!("1"), &[".: 1 → \"1\""]);
        check(json!({"a": 1, "b": 2}), json!({"b": 2, "a": 1}), &[]);
    }

    #[test]
    fn lists_are_aligned_and_named_by_index() {
        check(json!({"l": ["en", "fr"]}), json!({"l": ["de", "en", "fr"]}), &["l[0]: added \"de\""]);
        check(json!({"l": ["en", "fr"]}), json!({"l": ["fr"]}), &["l[0]: removed \"en\""]);
        check(json!([{"x": 1, "y": 2}, 3]), json!([{"x": 1, "y": 4}, 3]), &["[0].y: 2 → 4"]);
        check(json!([1, 2]), json!([5, 6, 7]), &["[0]: 1 → 5", "[1]: 2 → 6", "[2]: added 7"]);
    }

    #[test]
    fn elements_with_a_name_are_compared_by_it() {
        let old = json!({"agents": [{"name": "a", "model": "x"}, {"name": "b", "model": "y"}]});
        let new = json!({"agents": [{"name": "c", "model": "z"}, {"name": "b", "model": "w"}, {"name": "a", "model": "x"}]});
        check(
            old,
            new,
            &[
                "agents[name=b].model: \"y\" → \"w\"",
                "agents[name=c]: added {\"name\":\"c\",\"model\":\"z\"}",
                "agents[order]: [\"a\",\"b\"] → [\"b\",\"a\"]",
            ],
        );
        check(json!([{"name": "a"}, {"name": "a"}]), json!([{"name": "a"}]), &["[1]: removed {\"name\":\"a\"}"]);
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), (0..3i64).prop_map(Value::from)];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::vec(("[ab]|name", inner), 0..4).prop_map(|kv| Value::Object(kv.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_change_means_equal(old in any_value(), new in any_value()) {
            prop_assert_eq!(changes(&old, &new).is_empty(), old == new);
            prop_assert!(changes(&old, &old).is_empty());
        }
    }
}
