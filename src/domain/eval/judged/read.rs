//! Reading what a judge said. Every reader gives the whole or the fault, in words that the judge can mend it by; texts of the judge
//! come into a fault only shortened, because whoever wrote the judged text may have chosen them.

use crate::base::text::visible;
use serde_json::Value;
use std::collections::BTreeMap;

/// How many ids a fault names.
const NAMED: usize = 8;

/// Statements of a text, and whether it declines to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) declines: bool,
    pub(super) statements: Vec<String>,
}

/// A verdict with what it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Support {
    pub(super) supported: bool,
    /// Places of contexts, from 0, in order, each once; some when supported, none otherwise.
    pub(super) contexts: Vec<usize>,
}

pub(super) fn statements(value: &Value) -> Result<Said, String> {
    let declines = flag(value, "declines")?;
    let mut statements = texts(value, "statements")?;
    statements.retain(|s| !s.trim().is_empty());
    if declines && !statements.is_empty() {
        return Err("`declines` is true and `statements` is not empty".to_owned());
    }
    Ok(Said { declines, statements })
}

/// Verdicts on the statements `s1` … `sN`, which may cite the contexts `c1` … `cK`.
pub(super) fn support(value: &Value, statements: usize, contexts: usize) -> Result<Vec<Support>, String> {
    let found = by_id(value, "verdicts", "s", statements)?;
    found.into_iter().map(|(id, verdict)| cited(verdict, "supported", &id, contexts)).collect()
}

/// A yes or no for each of `PREFIX1` … `PREFIXn` in the list `key`.
pub(super) fn flags(value: &Value, key: &str, verdict: &str, prefix: &str, n: usize) -> Result<Vec<bool>, String> {
    by_id(value, key, prefix, n)?.into_iter().map(|(_, one)| flag(one, verdict)).collect()
}

/// The verdicts on statements that the judge made itself, in its order.
pub(super) fn recall(value: &Value, contexts: usize) -> Result<Vec<bool>, String> {
    let all = value["statements"].as_array().ok_or("`statements` is no list")?;
    let one = |(i, one): (usize, &Value)| {
        let id = format!("statement {}", i + 1);
        cited(one, "attributed", &id, contexts).map(|s| s.supported)
    };
    all.iter().enumerate().map(one).collect()
}

/// Exactly `n` questions, and whether the text commits to nothing.
pub(super) fn questions(value: &Value, n: usize) -> Result<(bool, Vec<String>), String> {
    let noncommittal = flag(value, "noncommittal")?;
    let questions = texts(value, "questions")?;
    if questions.len() != n || questions.iter().any(|q| q.trim().is_empty()) {
        return Err(format!("`questions` has {} texts, asked for were {n}, none of them empty", questions.len()));
    }
    Ok((noncommittal, questions))
}

pub(super) fn entities(value: &Value) -> Result<Vec<String>, String> {
    texts(value, "entities")
}

/// A whole number from 0 to 10.
pub(super) fn score(value: &Value) -> Result<f64, String> {
    // Some models write 7.0 for 7.
    let score = value["score"].as_f64().ok_or("`score` is no number")?;
    if !(0.0..=10.0).contains(&score) || score.fract() != 0.0 {
        return Err("`score` is no whole number from 0 to 10".to_owned());
    }
    Ok(score)
}

fn cited(verdict: &Value, key: &str, id: &str, contexts: usize) -> Result<Support, String> {
    let supported = flag(verdict, key).map_err(|e| format!("{id}: {e}"))?;
    let mut places = Vec::new();
    for name in texts(verdict, "contexts").map_err(|e| format!("{id}: {e}"))? {
        let number = name.trim().strip_prefix('c').and_then(|n| n.parse::<usize>().ok());
        match number.filter(|n| (1..=contexts).contains(n)) {
            Some(n) => places.push(n - 1),
            None => return Err(format!("{id} cites `{}`, and the contexts are c1 to c{contexts}", visible(&name, 20))),
        }
    }
    places.sort_unstable();
    places.dedup();
    match (supported, places.is_empty()) {
        (true, true) => Err(format!("{id} has `{key}` true and cites no context")),
        (true, false) => Ok(Support { supported, contexts: places }),
        // Models cite what they looked at; what does not support is no support.
        (false, _) => Ok(Support { supported, contexts: Vec::new() }),
    }
}

/// The elements of a list by their ids, which must be exactly `PREFIX1` … `PREFIXn`, each once; in the order of the numbers.
fn by_id<'v>(value: &'v Value, key: &str, prefix: &str, n: usize) -> Result<Vec<(String, &'v Value)>, String> {
    let all = value[key].as_array().ok_or_else(|| format!("`{key}` is no list"))?;
    let mut found: BTreeMap<usize, &Value> = BTreeMap::new();
    let (mut strange, mut twice) = (Vec::new(), Vec::new());
    for one in all {
        let id = one["id"].as_str().unwrap_or_default().trim();
        let number = id.strip_prefix(prefix).and_then(|rest| rest.parse::<usize>().ok());
        match number.filter(|number| (1..=n).contains(number) && id == format!("{prefix}{number}")) {
            None => strange.push(format!("`{}`", visible(id, 20))),
            Some(number) => {
                if found.insert(number, one).is_some() {
                    twice.push(id.to_owned());
                }
            }
        }
    }
    let missing: Vec<String> = (1..=n).filter(|i| !found.contains_key(i)).map(|i| format!("{prefix}{i}")).collect();
    let faults = [("has nothing for", missing), ("has more than one for", twice), ("has ids that nobody asked about:", strange)];
    let told: Vec<String> =
        faults.iter().filter(|(_, ids)| !ids.is_empty()).map(|(what, ids)| format!("{what} {}", named(ids))).collect();
    if told.is_empty() {
        return Ok(found.into_iter().map(|(i, one)| (format!("{prefix}{i}"), one)).collect());
    }
    Err(format!("`{key}` {}", told.join(" and ")))
}

fn named(ids: &[String]) -> String {
    let shown = ids.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    if ids.len() > NAMED { format!("{shown} and {} more", ids.len() - NAMED) } else { shown }
}

fn flag(value: &Value, key: &str) -> Result<bool, String> {
    let said = &value[key];
    // Asked in words alone, models write 1 and "yes"; what is neither is no verdict.
    let word = said.as_str().map(|s| s.trim().to_ascii_lowercase());
    match (said.as_bool(), said.as_u64(), word.as_deref()) {
        (Some(flag), ..) => Ok(flag),
        (_, Some(1), _) | (.., Some("true" | "yes")) => Ok(true),
        (_, Some(0), _) | (.., Some("false" | "no")) => Ok(false),
        _ => Err(format!("`{key}` is neither true nor false")),
    }
}

fn texts(value: &Value, key: &str) -> Result<Vec<String>, String> {
    let all = value[key].as_array().ok_or_else(|| format!("`{key}` is no list"))?;
    all.iter().map(|t| t.as_str().map(str::to_owned).ok_or_else(|| format!("`{key}` has something that is no text"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn verdicts_belong_to_exactly_the_ids_that_were_asked() {
        let one = |id: &str| json!({"id": id, "reason": "r", "useful": true});
        let check = |ids: &[&str], want: Result<usize, &str>| {
            let value = json!({"verdicts": ids.iter().map(|id| one(id)).collect::<Vec<_>>()});
            let found = flags(&value, "verdicts", "useful", "c", 3).map(|all| all.len());
            assert_eq!(found, want.map_err(str::to_owned), "{ids:?}");
        };
        check(&["c3", "c1", "c2"], Ok(3));
        check(&["c1", "c3"], Err("`verdicts` has nothing for c2"));
        check(&["c1", "c2", "c3", "c2"], Err("`verdicts` has more than one for c2"));
        check(&["c1", "c2", "c3", "c4"], Err("`verdicts` has ids that nobody asked about: `c4`"));
        check(&["c01", "c2", "C3"], Err("`verdicts` has nothing for c1, c3 and has ids that nobody asked about: `c01`, `C3`"));
        check(&[], Err("`verdicts` has nothing for c1, c2, c3"));
    }

    #[test]
    fn a_verdict_in_favour_cites_a_context_that_is_there() {
        let check = |supported: Value, contexts: Value, want: Result<Vec<usize>, &str>| {
            let value = json!({"verdicts": [{"id": "s1", "reason": "", "contexts": contexts, "supported": supported}]});
            let found = support(&value, 1, 2).map(|all| all[0].contexts.clone());
            assert_eq!(found, want.map_err(str::to_owned), "{value}");
        };
        check(json!(true), json!(["c2", "c1", "c2"]), Ok(vec![0, 1]));
        check(json!(false), json!(["c1"]), Ok(vec![]));
        check(json!("Yes"), json!(["c1"]), Ok(vec![0]));
        check(json!(true), json!([]), Err("s1 has `supported` true and cites no context"));
        check(json!(true), json!(["c3"]), Err("s1 cites `c3`, and the contexts are c1 to c2"));
        check(json!("maybe"), json!(["c1"]), Err("s1: `supported` is neither true nor false"));
        check(json!(2), json!(["c1"]), Err("s1: `supported` is neither true nor false"));
    }

    #[test]
    fn numbers_and_lists_are_what_was_asked_for() {
        assert_eq!(score(&json!({"score": 7.0})), Ok(7.0));
        for bad in [json!(11), json!(-1), json!(7.5), json!("7"), Value::Null] {
            assert!(score(&json!({"score": bad})).is_err(), "{bad}");
        }
        assert!(questions(&json!({"noncommittal": false, "questions": ["a?", " "]}), 2).is_err());
        assert!(questions(&json!({"noncommittal": false, "questions": ["a?"]}), 2).is_err());
        assert!(statements(&json!({"declines": true, "statements": ["It is so."]})).is_err());
        let said = statements(&json!({"declines": false, "statements": ["It is so.", " "]})).expect("statements");
        assert_eq!(said.statements, ["It is so."]);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[sc0-9]{0,3}".prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            let key = prop_oneof![
                Just("verdicts"),
                Just("id"),
                Just("supported"),
                Just("contexts"),
                Just("statements"),
                Just("declines")
            ];
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::vec((key, inner), 0..4)
                    .prop_map(|all| Value::Object(all.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn nothing_is_read_out_of_anything_but_whole_verdicts(value in any_json()) {
            if let Ok(all) = support(&value, 2, 2) {
                prop_assert_eq!(all.len(), 2);
                prop_assert!(all.iter().all(|s| s.supported != s.contexts.is_empty()));
            }
            let _ = (statements(&value), recall(&value, 2), questions(&value, 3), entities(&value), score(&value));
        }
    }
}
