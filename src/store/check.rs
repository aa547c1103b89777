//! What checking a state needs of the log: one pass over its bodies, which hands each on to whoever compares it with the rows
//! it speaks of, and finds the hashes of full tiles that are missing.
//!
//! Those can be rebuilt, because the bodies that lead to the root of the log lead to one hash for each tile only.

mod altered;
pub mod rows;
pub mod shape;

use super::log::{self, TILE_WIDTH, tile_root};
use super::{Store, View};
use crate::base::digest::Digest;
use crate::base::error::{Context, Result};
use crate::base::event::{Event, Resource};
use crate::base::merkle::{Frontier, Hash, leaf_hash};
use crate::base::text::visible;
use crate::base::time::Timestamp;
use crate::base::version::Version;
use crate::values;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Something that does not agree.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// What is damaged: `audit log`, `version m@1.2.0`, `object sha256:…`.
    pub subject: String,
    /// What is wrong with it.
    pub problem: String,
    /// What to type.
    pub fix: String,
}

/// The longest subject and the longest problem that are told whole, in characters: rows that somebody edited may hold anything.
const TOLD_MAX: (usize, usize) = (300, 4_000);

impl Finding {
    /// A finding; the fix holds commands in backticks.
    pub fn new(subject: impl AsRef<str>, problem: impl AsRef<str>, fix: impl Into<String>) -> Self {
        let (subject, problem) = (visible(subject.as_ref(), TOLD_MAX.0), visible(problem.as_ref(), TOLD_MAX.1));
        Self { subject, problem, fix: fix.into() }
    }
}

/// Refusals that are kept as rows; any other leaves nothing behind but its entry.
const KEPT_REFUSALS: &[&str] = &["document.refused"];

/// What to do about rows or entries that somebody edited: nothing here can tell what they were.
pub fn restore_fix(event: Option<i64>) -> String {
    let restore = "restore the state from a backup";
    event.map_or_else(|| restore.to_owned(), |seq| format!("`kf audit show {seq}` prints what was recorded; {restore}"))
}

/// An entry as it stands in the state: its body, and the facts that were too long for it.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    /// Its index.
    pub seq: i64,
    /// The hashed bytes.
    pub body: &'a str,
    /// Facts beside it: key and canonical JSON.
    pub facts: &'a [(String, String)],
}

/// An entry of the log as it was recorded.
#[derive(Debug, Deserialize)]
pub struct Entry {
    /// Its index.
    #[serde(skip)]
    pub seq: i64,
    /// When.
    #[serde(rename = "ts", deserialize_with = "micros")]
    pub at: Timestamp,
    /// By whom.
    pub actor: Actor,
    /// What was done: `version.promoted`.
    pub action: String,
    /// To what.
    pub res: Subject,
    /// How it ended.
    pub outcome: String,
    /// The ticket that asked for it.
    #[serde(default)]
    pub ticket: Option<String>,
    /// Facts about it, those beside the entry included.
    #[serde(default)]
    pub detail: Map<String, Value>,
    /// The digests of the facts beside it.
    #[serde(default)]
    facts: BTreeMap<String, Digest>,
}

/// Who acted.
#[derive(Debug, Deserialize)]
pub struct Actor {
    /// The pseudonym.
    pub id: String,
}

/// What an entry is about.
#[derive(Debug, Deserialize)]
pub struct Subject {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: Option<Version>,
    /// Its digest.
    pub digest: Option<Digest>,
}

fn micros<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Timestamp, D::Error> {
    i64::deserialize(d).map(Timestamp::from_micros)
}

impl Entry {
    /// Reads a body when it tells of something that left a mark and its action starts with one of these words. `action` is the
    /// first key of canonical JSON, so the bodies of no interest are not parsed.
    pub fn governed(stored: Stored<'_>, actions: &[&str]) -> Option<Self> {
        let action = stored.body.strip_prefix("{\"action\":\"")?;
        if !actions.iter().any(|a| action.starts_with(a)) {
            return None;
        }
        Self::read(stored).filter(Self::took_effect)
    }

    fn took_effect(&self) -> bool {
        self.outcome == "ok" || KEPT_REFUSALS.contains(&self.action.as_str())
    }

    /// Reads an entry; of the facts beside it only those count whose digest it has.
    pub fn read(stored: Stored<'_>) -> Option<Self> {
        let mut entry: Self = serde_json::from_str(stored.body).ok()?;
        entry.seq = stored.seq;
        for (key, text) in stored.facts {
            if entry.facts.get(key) == Some(&Digest::of(text.as_bytes())) {
                entry.detail.insert(key.clone(), serde_json::from_str(text).ok()?);
            }
        }
        Some(entry)
    }

    /// `name@1.2.0` of the version that it is about.
    pub fn reference(&self) -> Option<String> {
        self.res.version.map(|v| format!("{}@{v}", self.res.name))
    }

    /// A fact that is text.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.detail.get(key)?.as_str()
    }
}

/// The facts beside an entry.
///
/// # Errors
/// When the log cannot be read.
pub fn facts(view: View<'_>, seq: i64) -> Result<Vec<(String, String)>> {
    let sql = "SELECT key, value FROM fact WHERE seq = ?1 ORDER BY key";
    view.all(sql, values![seq], |row| Ok((row.text(0)?.to_owned(), row.text(1)?.to_owned())))
}

/// Every entry of one action that took effect, in order, found by the log's index, without the facts beside it.
///
/// # Errors
/// When the log cannot be read.
pub fn entries(view: View<'_>, action: &str) -> Result<Vec<Entry>> {
    Ok(attempts(view, action)?.into_iter().filter(Entry::took_effect).collect())
}

/// The same, whatever came of it.
///
/// # Errors
/// When the log cannot be read.
pub fn attempts(view: View<'_>, action: &str) -> Result<Vec<Entry>> {
    let sql = "SELECT b.seq, b.body FROM dict d JOIN ev e ON e.action = d.id JOIN eb b ON b.seq = e.seq \
         WHERE d.kind = 'action' AND d.text = ?1 ORDER BY e.seq";
    let found =
        view.all(sql, values![action], |row| Ok(Entry::read(Stored { seq: row.int(0)?, body: row.text(1)?, facts: &[] })))?;
    Ok(found.into_iter().flatten().collect())
}

/// Entries of one action about one resource that took effect, after entry `seq`, found by the log's index, without the facts
/// beside them.
///
/// # Errors
/// When the log cannot be read.
pub fn later(view: View<'_>, action: &str, (kind, name): (&str, &str), seq: i64) -> Result<Vec<Entry>> {
    let sql = "SELECT b.seq, b.body FROM dict r JOIN ev e ON e.res = r.id JOIN dict d ON d.id = e.action JOIN eb b ON b.seq = e.seq \
         WHERE r.kind = 'res' AND r.text = ?1 AND e.seq > ?2 AND d.text = ?3 ORDER BY e.seq";
    let found = view.all(sql, values![format!("{kind}\u{1f}{name}"), seq, action], |row| {
        Ok(Entry::governed(Stored { seq: row.int(0)?, body: row.text(1)?, facts: &[] }, &[action]))
    })?;
    Ok(found.into_iter().flatten().collect())
}

/// A hash over a full tile of the log: level, index, hash.
pub type Tile = (i64, i64, Hash);

/// Gives every entry of the log to `each`, which must not query, and tells which hashes of full tiles are not
/// stored, with what they must be: none when the bodies do not lead to the head, as then nothing can be rebuilt from them.
///
/// # Errors
/// When the log cannot be read at all.
pub fn read_log(view: View<'_>, each: &mut dyn FnMut(Stored<'_>)) -> Result<Vec<Tile>> {
    let mut pass = Pass::default();
    let mut last: Option<(i64, String)> = None;
    let mut facts = Vec::new();
    let mut give = |entry: Option<(i64, String)>, facts: &mut Vec<(String, String)>| {
        if let Some((seq, body)) = &entry {
            pass.take(leaf_hash(body.as_bytes()));
            each(Stored { seq: *seq, body, facts });
        }
        facts.clear();
    };
    // An entry comes once for each fact beside it, which few have.
    let sql = "SELECT b.seq, b.body, f.key, f.value FROM eb b LEFT JOIN fact f ON f.seq = b.seq ORDER BY b.seq, f.key";
    view.each(sql, &[], |row| {
        let seq = row.int(0)?;
        if last.as_ref().is_none_or(|(before, _)| *before != seq) {
            // A body that is no text any more is a finding of whoever verifies the log; here it only breaks the tree.
            let next = (seq, row.text(1).unwrap_or_default().to_owned());
            give(last.replace(next), &mut facts);
        }
        if let (Ok(Some(key)), Ok(Some(value))) = (row.opt_text(2), row.opt_text(3)) {
            facts.push((key.to_owned(), value.to_owned()));
        }
        Ok(())
    })
    .context(|| "cannot read the audit log")?;
    give(last, &mut facts);
    if log::head(view.db()).map_or(true, |head| head.frontier != pass.frontier) {
        return Ok(Vec::new());
    }
    view.each("SELECT level, idx FROM tile", &[], |row| {
        pass.sealed.remove(&(row.int(0)?, row.int(1)?));
        Ok(())
    })?;
    Ok(pass.sealed.into_iter().map(|((level, index), hash)| (level, index, hash)).collect())
}

/// A pass over the leaves of the log.
#[derive(Default)]
struct Pass {
    frontier: Frontier,
    /// For each level, how many tiles are full, and the hashes since the last one.
    open: Vec<(i64, Vec<Hash>)>,
    /// The hash of each full tile, by level and index.
    sealed: BTreeMap<(i64, i64), Hash>,
}

impl Pass {
    fn take(&mut self, leaf: Hash) {
        self.frontier.push(leaf);
        let mut hash = leaf;
        for level in 0.. {
            if self.open.len() == level {
                self.open.push((0, Vec::new()));
            }
            let (full, row) = &mut self.open[level];
            row.push(hash);
            if (row.len() as u64) < TILE_WIDTH {
                break;
            }
            hash = tile_root(row);
            row.clear();
            self.sealed.insert((level as i64 + 1, *full), hash);
            *full += 1;
        }
    }
}

impl Store {
    /// Stores hashes of tiles that were missing and records the repair with `facts` about what else was repaired.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn record_repair(&self, tiles: &[Tile], facts: Map<String, Value>) -> Result<i64> {
        self.write(|tx| {
            for (level, index, hash) in tiles {
                let sql = "INSERT INTO tile (level, idx, hash) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
                tx.execute(sql, values![*level, *index, hash.to_vec()])?;
            }
            let id = super::meta(tx.view().db(), super::META_STATE_ID)?.unwrap_or_default();
            let mut event = Event::new("state.repaired", Resource::new("state", id));
            event.detail = facts;
            Ok(tx.record(event.with("tiles", tiles.len())))
        })
    }
}
