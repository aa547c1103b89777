//! Erasures that a backup set does not know of: what was to be forgotten after it was made must not come back with it.
//!
//! An erasure tells public ids of documents and no word of what was in them. A document that was changed since the set had another id
//! then: the log tells which one it took the place of, so that goes, too.

use super::manifest::Log;
use crate::base::digest::Digest;
use crate::base::error::{Context, Error, Result};
use crate::base::merkle::{Frontier, leaf_hash};
use crate::base::name::Name;
use crate::base::time::Timestamp;
use crate::domain::audit::query::{self, Filter};
use crate::store::View;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;

/// The action of an erasure.
const ERASED: &str = "privacy.erased";
/// The actions of a document that came, perhaps in the place of another: one that was refused is kept, too.
const CAME: [&str; 2] = ["document.ingested", "document.refused"];
/// The fact of an erasure that was done again: the id of the first one.
const AGAIN: &str = "again";

/// Something that was to be forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// The id of the entry that tells of it.
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// The tenant.
    pub tenant: Name,
    /// What of it.
    pub what: What,
}

/// What is to be forgotten of a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Everything.
    All,
    /// Documents of these public ids.
    Documents(Vec<String>),
}

/// An entry, as far as it matters here.
#[derive(Clone, Debug)]
struct Entry {
    id: String,
    at: Timestamp,
    name: String,
    action: String,
    detail: Map<String, Value>,
}

impl Entry {
    fn text(&self, key: &str) -> Option<&str> {
        self.detail.get(key).and_then(Value::as_str)
    }
}

/// The erasures that a state tells of.
///
/// # Errors
/// When its log cannot be read.
pub fn of_state(view: View<'_>) -> Result<Vec<Erasure>> {
    let read = |action: &str| -> Result<Vec<Entry>> {
        let filter = Filter { action: Some(action.to_owned()), ..Filter::default() };
        let entries = query::log(view, &filter, u64::MAX >> 1)?.into_iter();
        Ok(entries.map(|e| Entry { id: e.id, at: e.at, name: e.resource.name, action: e.action, detail: e.detail }).collect())
    };
    let mut entries = read(ERASED)?;
    // Only ids of documents need to be followed.
    if entries.iter().any(|entry| entry.text("scope") != Some("tenant")) {
        for action in CAME {
            entries.extend(read(action)?);
        }
    }
    told(&entries)
}

/// The ids of the erasures that a state has heard of, done again ones by the first.
///
/// # Errors
/// When its log cannot be read.
pub fn heard_of(view: View<'_>) -> Result<BTreeSet<String>> {
    let filter = Filter { action: Some(ERASED.to_owned()), ..Filter::default() };
    let entries = query::log(view, &filter, u64::MAX >> 1)?.into_iter();
    let again = |detail: &Map<String, Value>| detail.get(AGAIN).and_then(Value::as_str).map(str::to_owned);
    Ok(entries.flat_map(|entry| again(&entry.detail).into_iter().chain([entry.id])).collect())
}

/// The body of an entry in an export.
#[derive(Deserialize)]
struct Body {
    id: String,
    ts: i64,
    action: String,
    outcome: String,
    res: Subject,
    #[serde(default)]
    detail: Map<String, Value>,
}

#[derive(Deserialize)]
struct Subject {
    name: String,
}

/// The erasures that an export of a log tells of (`kf audit export jsonl`). It must go on from the log of the set: the entries that both
/// have are held against the manifest's root.
///
/// # Errors
/// When it is of another log or older than the set, or cannot be read.
pub fn of_export(lines: impl BufRead, log: &Log) -> Result<Vec<Erasure>> {
    let (mut entries, mut frontier, mut same) = (Vec::new(), Frontier::new(), log.size == 0);
    for line in lines.lines() {
        let line = line.context(|| "cannot read the export of the log")?;
        frontier.push(leaf_hash(line.as_bytes()));
        same |= frontier.size() == log.size && Digest::from_bytes(frontier.root()) == log.root;
        if !CAME.iter().chain([&ERASED]).any(|action| line.contains(action)) {
            continue;
        }
        let body: Body = serde_json::from_str(&line).context(|| format!("line {} is no entry of a log", frontier.size()))?;
        if body.outcome == "ok" || CAME.contains(&body.action.as_str()) {
            let (at, name) = (Timestamp::from_micros(body.ts), body.res.name);
            entries.push(Entry { id: body.id, at, name, action: body.action, detail: body.detail });
        }
    }
    match same {
        true => told(&entries),
        false => Err(Error::new("the export is of another log than the backup set, or was made before it").hint(
            "`kf audit export jsonl FILE` makes one where the state is in use; its first entries must be those of the set",
        )),
    }
}

/// What entries tell of erasures.
fn told(entries: &[Entry]) -> Result<Vec<Erasure>> {
    let before: BTreeMap<&str, &str> = entries
        .iter()
        .filter(|entry| CAME.contains(&entry.action.as_str()))
        .filter_map(|entry| Some((entry.name.as_str(), entry.text("replaces")?)))
        .collect();
    let of = |entry: &Entry| {
        let damaged = |why: &str| Error::new(format!("the entry {} of the log tells of an erasure, but {why}", entry.id));
        let tenant = entry.name.parse().map_err(|_| damaged("names no tenant"))?;
        let what = match entry.text("scope") {
            Some("tenant") => What::All,
            _ => {
                let listed = entry.detail.get("erased").and_then(Value::as_array).ok_or_else(|| {
                    damaged("its list of documents is so long that it stands beside it")
                        .hint("run this in the repository whose state is in use, which has the list")
                })?;
                let mut all: Vec<String> = Vec::new();
                for uid in listed.iter().filter_map(Value::as_str) {
                    let chain = std::iter::successors(Some(uid), |uid| before.get(uid).copied());
                    // As long as the log is, and no longer: what replaces itself is damage.
                    all.extend(chain.take(before.len() + 1).map(str::to_owned));
                }
                all.sort();
                all.dedup();
                What::Documents(all)
            }
        };
        Ok(Erasure { id: entry.text(AGAIN).unwrap_or(&entry.id).to_owned(), at: entry.at, tenant, what })
    };
    entries.iter().filter(|entry| entry.action == ERASED).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn line(action: &str, id: &str, name: &str, detail: Value) -> String {
        let body =
            json!({"action": action, "id": id, "ts": 7, "outcome": "ok", "res": {"kind": "x", "name": name}, "detail": detail});
        body.to_string()
    }

    fn root(lines: &[String]) -> Log {
        let mut frontier = Frontier::new();
        lines.iter().for_each(|line| frontier.push(leaf_hash(line.as_bytes())));
        Log { origin: "kf/a/1".into(), size: lines.len() as u64, root: Digest::from_bytes(frontier.root()) }
    }

    #[test]
    fn an_export_that_goes_on_from_the_set_tells_of_all_and_what_came_before() {
        let all = [
            line("document.ingested", "a", "one", json!({})),
            line("document.ingested", "b", "two", json!({"replaces": "one"})),
            line("document.refused", "c", "three", json!({"replaces": "two"})).replace("\"ok\"", "\"denied\""),
            line("privacy.erased", "d", "acme", json!({"scope": "subject", "erased": ["three", "other"]})),
            line("privacy.erased", "e", "globex", json!({"scope": "tenant"})),
        ];
        let read = |log: &Log| of_export(all.join("\n").as_bytes(), log);
        let found = read(&root(&all[..1])).expect("erasures");
        let documents = ["one", "other", "three", "two"].map(str::to_owned).to_vec();
        assert_eq!(found.iter().map(|e| e.what.clone()).collect::<Vec<_>>(), [What::Documents(documents), What::All]);
        assert_eq!(found[0].tenant.as_str(), "acme");
        let older = root(&[all.to_vec(), vec!["{}".to_owned()]].concat());
        let another = Log { root: Digest::of(b"x"), ..root(&all[..1]) };
        for log in [older, another] {
            assert!(read(&log).expect_err("refused").to_string().contains("of another log than the backup set"));
        }
    }

    #[test]
    fn a_list_that_an_export_does_not_have_is_told_and_a_circle_ends() {
        let beside = line("privacy.erased", "d", "acme", json!({"scope": "subject"}));
        let log = root(&[]);
        let e = of_export(beside.as_bytes(), &log).expect_err("refused");
        assert!(e.to_string().contains("stands beside it"), "{e}");
        let circle = [
            line("document.ingested", "a", "one", json!({"replaces": "two"})),
            line("document.ingested", "b", "two", json!({"replaces": "one"})),
            line("privacy.erased", "c", "acme", json!({"scope": "subject", "erased": ["one"]})),
        ];
        let found = of_export(circle.join("\n").as_bytes(), &log).expect("erasures");
        assert_eq!(found[0].what, What::Documents(vec!["one".into(), "two".into()]));
    }
}
