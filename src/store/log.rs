//! Appending to the audit log: completes an event, hashes it into the RFC 6962 tree, and writes the narrow row, the body,
//! sealed subtree hashes, openings and the new head, all inside the transaction of the change it describes.
//!
//! The body is RFC 8785 JSON of at most [`ENTRY_MAX`] bytes. What may have to be forgotten (names, reasons) is never in it:
//! pseudonyms and salted commitments are. A fact longer than [`FACT_MAX`] stands beside it; the body has its digest.

use super::Identity;
use super::db::{Db, Value};
use super::fields::refuse_mark;
use super::names::Names;
use crate::base::canonical;
use crate::base::digest::{Digest, hex};
use crate::base::error::{Context, Error, Kind, Result};
use crate::base::event::{Event, Outcome};
use crate::base::merkle::{Frontier, Hash, leaf_hash, node_hash};
use crate::base::random::Random;
use crate::base::time::Timestamp;
use crate::values;
use serde::Serialize;
use serde_json::{Map, json};

/// The largest entry in bytes: tlog-tiles prefixes its length with 16 bits.
pub const ENTRY_MAX: usize = 65_535;

/// The longest fact that an entry carries itself, in bytes of canonical JSON: a few of this length still fit an entry.
pub const FACT_MAX: usize = 8_192;

/// The length of the salt of a commitment, in bytes.
pub const SALT_LEN: usize = 32;

/// The longest ticket or name in bytes: an index of PostgreSQL has room for 2,704.
pub const WORD_MAX: usize = 2_000;

/// Each sealed run of this many hashes becomes one hash a level higher (256: the width of a C2SP tile).
pub const TILE_WIDTH: u64 = 256;

/// The head of the log as it is now.
#[derive(Clone, Debug)]
pub struct Head {
    /// Whose log it is; the first line of its checkpoints.
    pub origin: String,
    /// Roots of the perfect subtrees.
    pub frontier: Frontier,
}

/// Reads the head.
pub fn head(db: &Db) -> Result<Head> {
    let mut found = None;
    db.each("SELECT size, frontier, origin FROM log_head WHERE id = 1", &[], &mut |row| {
        let size = u64::try_from(row.int(0)?).context(|| "the audit log's size is negative")?;
        found = Frontier::from_bytes(size, row.blob(1)?).map(|frontier| (frontier, row.text(2).map(str::to_owned)));
        Ok(())
    })?;
    match found {
        Some((frontier, origin)) => Ok(Head { frontier, origin: origin? }),
        None => Err(Error::new("the audit log's head is missing or does not fit its size").hint("run `kf fsck`")),
    }
}

/// How many entries the newest signed checkpoint covers; `None` when nothing is signed.
pub fn signed_size(db: &Db) -> Result<Option<u64>> {
    let mut size = None;
    db.each("SELECT MAX(size) FROM checkpoint", &[], &mut |row| row.opt_int(0).map(|n| size = n))?;
    Ok(size.and_then(|n| u64::try_from(n).ok()))
}

/// The time of the newest entry; `None` in an empty log.
pub fn newest_time(db: &Db) -> Result<Option<Timestamp>> {
    let mut ts = None;
    db.each("SELECT MAX(ts) FROM ev", &[], &mut |row| row.opt_int(0).map(|n| ts = n))?;
    Ok(ts.map(Timestamp::from_micros))
}

/// Whether an entry from this index on has an action that does not begin so.
pub fn others_since(db: &Db, index: u64, prefix: &str) -> Result<bool> {
    let index = i64::try_from(index).unwrap_or(i64::MAX);
    others(db, "ev.seq >= ?1", index, prefix)
}

/// How many entries from this one on have an action that does not begin so.
pub fn count_others_since(db: &Db, index: u64, prefix: &str) -> Result<u64> {
    let index = i64::try_from(index).unwrap_or(i64::MAX);
    let sql = "SELECT COUNT(*) FROM ev JOIN dict ON dict.id = ev.action WHERE ev.seq >= ?1 AND dict.kind = 'action' AND dict.text NOT LIKE ?2";
    let mut count = 0;
    db.each(sql, values![index, format!("{prefix}%")], &mut |row| {
        count = u64::try_from(row.int(0)?).unwrap_or(0);
        Ok(())
    })?;
    Ok(count)
}

/// Whether an entry after this time has an action that does not begin so.
pub fn others_after(db: &Db, time: Timestamp, prefix: &str) -> Result<bool> {
    others(db, "ev.ts > ?1", time.micros(), prefix)
}

fn others(db: &Db, from: &str, value: i64, prefix: &str) -> Result<bool> {
    let sql = format!(
        "SELECT 1 FROM ev JOIN dict ON dict.id = ev.action WHERE {from} AND dict.kind = 'action' AND dict.text NOT LIKE ?2 LIMIT 1"
    );
    let mut found = false;
    db.each(&sql, values![value, format!("{prefix}%")], &mut |_| {
        found = true;
        Ok(())
    })?;
    Ok(found)
}

/// Appends events to the log within the running transaction and gives the index of the first.
pub(super) struct Appender<'a> {
    pub(super) db: &'a Db,
    pub(super) who: &'a Identity,
    pub(super) names: &'a Names<'a>,
    pub(super) random: &'a Random,
    pub(super) now: Timestamp,
}

impl Appender<'_> {
    /// Appends one event with the given id.
    pub(super) fn append(&self, head: &mut Head, id: uuid::Uuid, event: &Event) -> Result<()> {
        let seq = i64::try_from(head.frontier.size()).context(|| "the audit log is full")?;
        let actor = self.names.pseudonym(&self.who.kind, &self.who.name)?;
        let host = self.names.pseudonym("host", &self.who.host)?;
        let body = self.body(seq, id, event, &actor, &host)?;
        let leaf = leaf_hash(body.as_bytes());
        let ticket = event.ticket.as_deref().map(|t| self.word("ticket", t)).transpose()?;
        let resource = format!("{}\u{1f}{}", event.resource.kind, event.resource.name);
        self.db.execute(
            "INSERT INTO ev (seq, id, ts, actor, action, res, outcome, ticket) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            values![
                seq,
                id.as_bytes().to_vec(),
                self.now,
                self.word("actor", &actor)?,
                self.word("action", event.action)?,
                self.word("res", &resource)?,
                outcome_number(event.outcome),
                ticket
            ],
        )?;
        self.db.execute("INSERT INTO eb (seq, leaf, body) VALUES (?1, ?2, ?3)", values![seq, leaf.to_vec(), body])?;
        head.frontier.push(leaf);
        self.seal(head.frontier.size())
    }

    fn body(&self, seq: i64, id: uuid::Uuid, event: &Event, actor: &str, host: &str) -> Result<String> {
        let mut entry = Map::new();
        entry.insert("v".into(), json!(1));
        entry.insert("id".into(), json!(id.to_string()));
        entry.insert("ts".into(), json!(self.now.micros()));
        entry.insert("actor".into(), json!({"id": actor, "kind": self.who.kind, "auth": "asserted"}));
        entry.insert("host".into(), json!(host));
        entry.insert("action".into(), json!(event.action));
        entry.insert("res".into(), json!(event.resource));
        entry.insert("outcome".into(), json!(event.outcome));
        if let Some(ticket) = &event.ticket {
            entry.insert("ticket".into(), json!(ticket));
        }
        let (detail, facts) = self.facts(seq, event)?;
        let personal = self.personal(seq, event)?;
        for (key, part) in [("detail", detail), ("facts", facts), ("pd", personal)] {
            if !part.is_empty() {
                entry.insert(key.into(), part.into());
            }
        }
        let body = canonical::to_string(&entry).context(|| format!("the event {} has no canonical form", event.action))?;
        if body.len() > ENTRY_MAX {
            return Err(entry_too_long(event, body.len()));
        }
        Ok(body)
    }

    /// The facts that the entry carries, and the digests of those that are too long for it and stand beside it.
    fn facts(&self, seq: i64, event: &Event) -> Result<(Map<String, serde_json::Value>, Map<String, serde_json::Value>)> {
        let (mut carried, mut beside) = (Map::new(), Map::new());
        for (key, value) in &event.detail {
            let text = canonical::to_string(value).context(|| format!("{key} of {} has no canonical form", event.action))?;
            if text.len() <= FACT_MAX {
                carried.insert(key.clone(), value.clone());
            } else {
                beside.insert(key.clone(), json!(Digest::of(text.as_bytes())));
                self.db.execute("INSERT INTO fact (seq, key, value) VALUES (?1, ?2, ?3)", values![seq, key, text])?;
            }
        }
        Ok((carried, beside))
    }

    /// Commitments to what may have to be forgotten: the reason, and the names behind pseudonyms that are new here.
    fn personal(&self, seq: i64, event: &Event) -> Result<Map<String, serde_json::Value>> {
        let mut personal = Map::new();
        let names = self.names.take_made();
        if !names.is_empty() {
            personal.insert("names".into(), json!(names));
        }
        if let Some(reason) = &event.reason {
            let salt = self.random.bytes::<SALT_LEN>();
            personal.insert("reason".into(), json!(commitment(&salt, reason)?));
            refuse_mark("the reason", reason)?;
            let row = match self.names.sealer()? {
                Some(key) => (Vec::new(), key.seal_opening(seq, "reason", &salt, reason)?),
                None => (salt.to_vec(), reason.clone()),
            };
            let sql = "INSERT INTO opening (seq, field, salt, value) VALUES (?1, ?2, ?3, ?4)";
            self.db.execute(sql, values![seq, "reason", row.0, row.1])?;
        }
        Ok(personal)
    }

    /// Stores the hash of each tile that the newest leaf completed.
    fn seal(&self, size: u64) -> Result<()> {
        let mut level = 0;
        let mut sealed = size;
        while sealed.is_multiple_of(TILE_WIDTH) && sealed > 0 {
            let index = sealed / TILE_WIDTH - 1;
            let hash = tile_root(&self.tile(level, index)?);
            level += 1;
            self.db.execute(
                "INSERT INTO tile (level, idx, hash) VALUES (?1, ?2, ?3)",
                values![level, i64_of(index)?, hash.to_vec()],
            )?;
            sealed /= TILE_WIDTH;
        }
        Ok(())
    }

    /// The 256 hashes of a full tile.
    fn tile(&self, level: i64, index: u64) -> Result<Vec<Hash>> {
        let from = i64_of(index * TILE_WIDTH)?;
        let (sql, values): (_, Vec<Value>) = if level == 0 {
            ("SELECT leaf FROM eb WHERE seq >= ?1 AND seq < ?2 ORDER BY seq", vec![from.into(), (from + 256).into()])
        } else {
            (
                "SELECT hash FROM tile WHERE level = ?3 AND idx >= ?1 AND idx < ?2 ORDER BY idx",
                vec![from.into(), (from + 256).into(), level.into()],
            )
        };
        let mut hashes = Vec::with_capacity(256);
        self.db.each(sql, &values, &mut |row| {
            hashes.push(row.digest(0)?.as_bytes().to_owned());
            Ok(())
        })?;
        if hashes.len() as u64 != TILE_WIDTH {
            return Err(Error::new(format!("the audit log lacks entries in tile {level}/{index}")).hint("run `kf audit verify`"));
        }
        Ok(hashes)
    }

    /// The number that stands for a word in the narrow rows.
    fn word(&self, kind: &str, text: &str) -> Result<i64> {
        let find = || {
            let mut id = None;
            self.db.each("SELECT id FROM dict WHERE kind = ?1 AND text = ?2", values![kind, text], &mut |row| {
                id = Some(row.int(0)?);
                Ok(())
            })?;
            Ok::<_, Error>(id)
        };
        if let Some(id) = find()? {
            return Ok(id);
        }
        if text.len() > WORD_MAX {
            return Err(too_long(&format!("this {kind}"), text.len(), WORD_MAX));
        }
        self.db.execute("INSERT INTO dict (kind, text) VALUES (?1, ?2)", values![kind, text])?;
        find()?.ok_or_else(|| Error::of(Kind::Bug, "a word just written is not there"))
    }
}

/// The error for a text that is longer than the log can hold.
pub(super) fn too_long(what: &str, len: usize, max: usize) -> Error {
    Error::usage(format!("{what} is {len} bytes long, at most {max} fit the audit log")).hint("say it in fewer words")
}

/// The error for an event that does not fit into an entry; it names the part that is to blame.
fn entry_too_long(event: &Event, bytes: usize) -> Error {
    let texts = [("resource", event.resource.name.len()), ("ticket", event.ticket.as_ref().map_or(0, String::len))];
    let facts = event.detail.iter().map(|(key, fact)| (key.as_str(), fact.to_string().len()));
    let longest = texts.into_iter().chain(facts).max_by_key(|(_, n)| *n).unwrap_or(("detail", 0));
    Error::new(format!(
        "the change cannot be recorded: the entry {} would be {bytes} bytes long and at most {ENTRY_MAX} fit; {} of them are its `{}`",
        event.action, longest.1, longest.0
    ))
    .hint(format!("nothing was changed: do it with fewer or shorter `{}` at once", longest.0))
}

/// The number that stands for an outcome in the narrow rows.
pub fn outcome_number(outcome: Outcome) -> i64 {
    match outcome {
        Outcome::Ok => 0,
        Outcome::Denied => 1,
        Outcome::Failed => 2,
    }
}

/// The commitment to a value that is not hashed itself: HMAC-SHA-256 under a random salt over its canonical JSON.
pub fn commitment<T: Serialize + ?Sized>(salt: &[u8], value: &T) -> Result<String> {
    let text = canonical::to_string(value).context(|| "a text has no canonical form")?;
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, salt);
    Ok(hex(ring::hmac::sign(&key, text.as_bytes()).as_ref()))
}

/// The root of a full tile's hashes.
pub fn tile_root(hashes: &[Hash]) -> Hash {
    let mut row = hashes.to_vec();
    while row.len() > 1 {
        row = row.chunks(2).map(|pair| node_hash(&pair[0], &pair[1])).collect();
    }
    row[0]
}

fn i64_of(n: u64) -> Result<i64> {
    i64::try_from(n).context(|| "the audit log is full")
}
