//! A run of neighbouring entries with everything the state says about them, and what is wrong with each by itself: its leaf
//! hash, its body, its narrow columns, its opening, the signatures of checkpoints that end in it.
//!
//! Loading needs the database; checking is pure, so that chunks are checked side by side.

use super::super::body::{self, Body};
use super::super::checkpoint::{self, Checkpoint};
use super::super::key::VerifierKey;
use super::super::note::Note;
use super::Finding;
use super::names::Pseudonyms;
use super::words::Words;
use crate::base::digest::Digest;
use crate::base::error::Result;
use crate::base::event::Outcome;
use crate::base::merkle::{Hash, leaf_hash};
use crate::store::fields::{Kept, opening_context};
use crate::store::log::{SALT_LEN, commitment, outcome_number};
use crate::store::{Row, View};
use crate::values;
use std::collections::BTreeMap;
use std::ops::Range;

/// Entries in a chunk: enough work to make a thread worthwhile, a few megabytes of bodies.
const ENTRIES: i64 = 8192;

/// What the state holds about some neighbouring entries.
pub(super) struct Chunk {
    /// The first index, and the one after the last.
    pub(super) range: Range<i64>,
    bodies: Vec<u8>,
    entries: Vec<Stored>,
    narrow: Vec<Narrow>,
    openings: Vec<Opening>,
    facts: Vec<Fact>,
    checkpoints: Vec<(i64, String)>,
}

struct Stored {
    seq: i64,
    leaf: Option<Hash>,
    body: Range<usize>,
}

struct Narrow {
    seq: i64,
    id: Option<uuid::Uuid>,
    ts: i64,
    actor: i64,
    action: i64,
    res: i64,
    outcome: i64,
    ticket: Option<i64>,
}

struct Opening {
    seq: i64,
    field: String,
    kept: Kept,
}

/// A fact beside an entry.
struct Fact {
    seq: i64,
    key: String,
    digest: Digest,
}

/// What came out of a chunk.
pub(super) struct Checked {
    /// Index, hash of the body, and time when the body tells it.
    pub(super) leaves: Vec<(i64, Hash, Option<i64>)>,
    pub(super) findings: Vec<Finding>,
    pub(super) checkpoints: Vec<Signed>,
    /// Openings that were compared with their commitment.
    pub(super) openings: u64,
    /// Openings that no key of this host reads.
    pub(super) locked: u64,
    pub(super) facts: u64,
    pub(super) pseudonyms: Pseudonyms,
}

/// A stored checkpoint after its signature was looked at.
pub(super) struct Signed {
    /// The size under which it is stored.
    pub(super) size: i64,
    /// What it says, when it says anything.
    pub(super) says: Option<Checkpoint>,
    /// Whether a known key signed it; false also when no key is known.
    pub(super) trusted: bool,
}

impl Chunk {
    /// Reads the entries from `from` on; `None` when there are no more below `size`.
    pub(super) fn load(view: View<'_>, from: i64, size: i64) -> Result<Option<Self>> {
        let mut bodies = Vec::new();
        let mut entries = Vec::new();
        let sql = "SELECT seq, leaf, body FROM eb WHERE seq >= ?1 AND seq < ?2 ORDER BY seq LIMIT ?3";
        view.each(sql, values![from, size, ENTRIES], |row| {
            let start = bodies.len();
            bodies.extend_from_slice(row.text_bytes(2)?);
            entries.push(Stored { seq: row.int(0)?, leaf: row.blob(1)?.try_into().ok(), body: start..bodies.len() });
            Ok(())
        })?;
        // The last chunk also takes what the state says about entries that are not there.
        let full = entries.len() as i64 == ENTRIES;
        let until = entries.last().filter(|_| full).map_or(size, |e| e.seq + 1);
        if entries.is_empty() && from >= size {
            return Ok(None);
        }
        let mut chunk = Self {
            range: from..until,
            bodies,
            entries,
            narrow: Vec::new(),
            openings: Vec::new(),
            facts: Vec::new(),
            checkpoints: Vec::new(),
        };
        chunk.load_beside(view)?;
        Ok(Some(chunk))
    }

    fn load_beside(&mut self, view: View<'_>) -> Result<()> {
        let range = values![self.range.start, self.range.end];
        let sql = "SELECT seq, id, ts, actor, action, res, outcome, ticket FROM ev WHERE seq >= ?1 AND seq < ?2 ORDER BY seq";
        self.narrow = view.all(sql, range, |row| {
            Ok(Narrow {
                seq: row.int(0)?,
                id: uuid::Uuid::from_slice(row.blob(1)?).ok(),
                ts: row.int(2)?,
                actor: row.int(3)?,
                action: row.int(4)?,
                res: row.int(5)?,
                outcome: row.int(6)?,
                ticket: row.opt_int(7)?,
            })
        })?;
        let sql = "SELECT seq, field, salt, value FROM opening WHERE seq >= ?1 AND seq < ?2 ORDER BY seq, field";
        self.openings = view.all(sql, range, |row| {
            let (seq, field, salt) = (row.int(0)?, lossy(row, 1)?, row.blob(2)?);
            let kept = match std::str::from_utf8(row.text_bytes(3)?) {
                Ok(stored) => view.reveal().kept(&opening_context(seq, &field), salt, stored),
                Err(_) => Kept::Damaged,
            };
            Ok(Opening { seq, field, kept })
        })?;
        let sql = "SELECT seq, key, value FROM fact WHERE seq >= ?1 AND seq < ?2 ORDER BY seq, key";
        self.facts = view
            .all(sql, range, |row| Ok(Fact { seq: row.int(0)?, key: lossy(row, 1)?, digest: Digest::of(row.text_bytes(2)?) }))?;
        let sql = "SELECT size, note FROM checkpoint WHERE size > ?1 AND size <= ?2 ORDER BY size";
        self.checkpoints = view.all(sql, range, |row| Ok((row.int(0)?, lossy(row, 1)?)))?;
        Ok(())
    }

    /// Checks each entry by itself.
    pub(super) fn check(&self, words: &Words, keys: &[VerifierKey]) -> Checked {
        let mut checked = Checked {
            leaves: Vec::with_capacity(self.entries.len()),
            findings: Vec::new(),
            checkpoints: Vec::new(),
            openings: self.openings.iter().filter(|o| o.kept != Kept::Locked).count() as u64,
            locked: self.openings.iter().filter(|o| o.kept == Kept::Locked).count() as u64,
            facts: self.facts.len() as u64,
            pseudonyms: Pseudonyms::default(),
        };
        let mut facts = self.facts.iter().peekable();
        let mut narrow = self.narrow.iter().peekable();
        let mut openings = self.openings.iter().peekable();
        for entry in &self.entries {
            let bytes = &self.bodies[entry.body.clone()];
            let leaf = leaf_hash(bytes);
            let mut say = |what: String| checked.findings.push(Finding::at(entry.seq, what));
            if entry.leaf != Some(leaf) {
                say("its body does not have the hash that is stored beside it: one of them was altered".into());
            }
            let body = match std::str::from_utf8(bytes)
                .map_err(|e| format!("no UTF-8 at byte {}", e.valid_up_to()))
                .and_then(body::read)
            {
                Ok(body) => Some(body),
                Err(why) => {
                    say(format!("its body is not a canonical entry: {why}"));
                    None
                }
            };
            checked.leaves.push((entry.seq, leaf, body.map(|b| b.ts)));
            while let Some(stray) = narrow.next_if(|n| n.seq < entry.seq) {
                checked.findings.push(stray_narrow(stray));
            }
            let row = narrow.next_if(|n| n.seq == entry.seq);
            check_narrow(entry.seq, row, body.as_ref(), words, &mut checked.findings);
            while let Some(opening) = openings.next_if(|o| o.seq <= entry.seq) {
                let body = body.as_ref().filter(|_| opening.seq == entry.seq);
                checked.findings.extend(check_opening(opening, body));
            }
            while let Some(stray) = facts.next_if(|f| f.seq < entry.seq) {
                checked.findings.push(stray_fact(stray));
            }
            let beside: Vec<&Fact> = std::iter::from_fn(|| facts.next_if(|f| f.seq == entry.seq)).collect();
            if let Some(body) = &body {
                check_facts(entry.seq, body, &beside, &mut checked.findings);
                checked.pseudonyms.take(entry.seq, body, &mut checked.findings);
            }
        }
        checked.findings.extend(facts.map(stray_fact));
        checked.findings.extend(narrow.map(stray_narrow));
        checked.findings.extend(openings.filter_map(|o| check_opening(o, None)));
        checked.checkpoints =
            self.checkpoints.iter().map(|(size, note)| signed(*size, note, keys, &mut checked.findings)).collect();
        checked
    }
}

fn lossy(row: &Row<'_>, i: usize) -> Result<String> {
    Ok(String::from_utf8_lossy(row.text_bytes(i)?).into_owned())
}

fn stray_narrow(row: &Narrow) -> Finding {
    Finding::at(row.seq, "it has narrow columns and no body: the body was removed".into())
}

fn check_narrow(seq: i64, row: Option<&Narrow>, body: Option<&Body<'_>>, words: &Words, findings: &mut Vec<Finding>) {
    let Some(row) = row else {
        findings.push(Finding::at(seq, "it has a body and no narrow columns: the row was removed from the index".into()));
        return;
    };
    let Some(body) = body else { return };
    let outcome = Outcome::ALL.iter().find(|o| o.word() == body.outcome).map(|o| outcome_number(*o));
    let columns = [
        ("id", row.id.is_some_and(|id| id.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()) == body.id)),
        ("time", row.ts == body.ts),
        ("actor", words.is("actor", row.actor, body.actor)),
        ("action", words.is("action", row.action, body.action)),
        ("resource", words.is_resource(row.res, body.res_kind, body.res_name)),
        ("outcome", outcome == Some(row.outcome)),
        (
            "ticket",
            match (row.ticket, body.ticket) {
                (None, None) => true,
                (Some(id), Some(ticket)) => words.is("ticket", id, ticket),
                _ => false,
            },
        ),
    ];
    let wrong: Vec<&str> = columns.iter().filter(|(_, fits)| !fits).map(|(name, _)| *name).collect();
    if !wrong.is_empty() {
        findings.push(Finding::at(seq, format!("the index says something else than its body about: {}", wrong.join(", "))));
    }
}

fn check_opening(opening: &Opening, body: Option<&Body<'_>>) -> Option<Finding> {
    let say = |what: &str| Some(Finding::at(opening.seq, format!("its opening of `{}` {what}", opening.field)));
    let committed = body.and_then(|b| b.reason).filter(|_| opening.field == "reason");
    let Some(committed) = committed else { return say("opens nothing that the entry commits to") };
    match &opening.kept {
        Kept::Locked => None,
        // HMAC fills a short key up with zeros, so another salt may open the same commitment.
        Kept::Open { salt, .. } if salt.len() != SALT_LEN => {
            say("has a salt of another length than it was made with: the salt was altered")
        }
        Kept::Open { salt, text, .. } if commitment(salt, text).is_ok_and(|opened| opened == committed) => None,
        Kept::Open { .. } | Kept::Damaged => say("does not match its commitment: the text or the salt was altered"),
    }
}

fn stray_fact(fact: &Fact) -> Finding {
    Finding::at(fact.seq, format!("its fact `{}` beside it is none that the entry has a digest of", fact.key))
}

/// Compares the facts beside an entry with the digests that it has of them.
fn check_facts(seq: i64, body: &Body<'_>, beside: &[&Fact], findings: &mut Vec<Finding>) {
    // Both are in order and rare.
    let wanted: BTreeMap<String, String> = body.facts.map(|f| serde_json::from_str(f).unwrap_or_default()).unwrap_or_default();
    for (key, digest) in &wanted {
        match beside.iter().find(|fact| fact.key == *key) {
            Some(fact) if fact.digest.to_string() == *digest => {}
            Some(_) => findings
                .push(Finding::at(seq, format!("its fact `{key}` beside it does not have the digest that the entry has of it"))),
            None => findings.push(Finding::at(seq, format!("its fact `{key}`, which stands beside it, is missing"))),
        }
    }
    findings.extend(beside.iter().filter(|fact| !wanted.contains_key(&fact.key)).map(|fact| stray_fact(fact)));
}

/// Opens a stored checkpoint. Without a known key only its form is looked at.
fn signed(size: i64, text: &str, keys: &[VerifierKey], findings: &mut Vec<Finding>) -> Signed {
    let note = Note::parse(text.as_bytes());
    let says = note.as_ref().ok().and_then(|n| Checkpoint::parse(n.text()).ok());
    let opened = match (&note, &says) {
        (Err(e), _) => Err(e.to_string()),
        (_, None) => Err("its text is not a checkpoint".to_owned()),
        (Ok(_), Some(_)) if keys.is_empty() => Ok(false),
        (Ok(_), Some(_)) => checkpoint::open(text.as_bytes(), keys).map(|_| true).map_err(|e| e.to_string()),
    };
    let trusted = opened.as_ref().is_ok_and(|trusted| *trusted);
    if let Err(why) = opened {
        findings.push(Finding::at(size - 1, format!("the checkpoint at {size} entries is not valid: {why}")));
    }
    Signed { size, says, trusted }
}
