//! Brings all values to the keys of now, in one transaction: seals what stands in the clear, seals anew what was sealed for others, or
//! opens all of it again.
//!
//! What no key of this host opens stays as it is, with its data key; data keys that nothing is sealed with any more go.

use super::{CLEAR, DataKey, Kept, NAME_MAX, Parts, Reveal, Unwrapped, framed, opening_context};
use crate::base::error::Result;
use crate::store::db::{Row, Value};
use crate::store::{Tx, View};
use crate::values;
use serde::Serialize;
use std::collections::BTreeSet;
use std::rc::Rc;

/// Rows that are read together.
const BATCH: i64 = 1_000;

/// Names and reasons beside the log, by what they are sealed with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Resealed {
    /// All of them.
    pub values: u64,
    /// Those that needed nothing.
    pub current: u64,
    /// Those that stood in the clear.
    pub clear: u64,
    /// Those that were sealed for others.
    pub other: u64,
    /// Those that were written anew.
    pub rewritten: u64,
    /// Those that could not be: no key of this host reads them, they are damaged, or too long.
    pub left: u64,
    /// Those that no key of this host reads.
    pub locked: u64,
    /// Those that cannot be what was written.
    pub damaged: u64,
}

impl Resealed {
    /// How many are not as they should be.
    pub fn open(&self) -> u64 {
        self.clear + self.other + self.damaged
    }
}

/// One of the two tables.
struct Sensitive {
    read: &'static str,
    write: &'static str,
}

const NAMES: Sensitive = Sensitive {
    read: "SELECT id, name, salt, kind FROM pseudonym WHERE id > ?1 ORDER BY id LIMIT ?2",
    write: "UPDATE pseudonym SET name = ?3, salt = ?4 WHERE id = ?1 AND kind = ?2",
};

const OPENINGS: Sensitive = Sensitive {
    read: "SELECT seq, value, salt, field FROM opening WHERE (seq, field) > (?1, ?3) ORDER BY seq, field LIMIT ?2",
    write: "UPDATE opening SET value = ?3, salt = ?4 WHERE seq = ?1 AND field = ?2",
};

/// A row of either table.
struct Found {
    /// A pseudonym, or the index of an entry.
    key: Value,
    stored: String,
    salt: Vec<u8>,
    /// The kind of a pseudonym, or the field of an entry.
    word: String,
}

impl Found {
    fn context(&self) -> String {
        match &self.key {
            Value::Int(seq) => opening_context(*seq, &self.word),
            Value::Text(pseudonym) => pseudonym.clone(),
            _ => String::new(),
        }
    }

    fn sealed(&self, sealer: Option<&Rc<DataKey>>, salt: &[u8], text: &str) -> Result<(String, Vec<u8>)> {
        let Some(key) = sealer else { return Ok((text.to_owned(), salt.to_vec())) };
        let sealed = match &self.key {
            Value::Int(seq) => key.seal_opening(*seq, &self.word, salt, text)?,
            _ => key.seal_name(&self.context(), &self.word, text, salt)?,
        };
        Ok((sealed, Vec::new()))
    }
}

impl View<'_> {
    /// How names and reasons are sealed now.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn sealed_fields(&self) -> Result<Resealed> {
        let (right, mut told, reveal) = (self.right()?, Resealed::default(), self.reveal());
        each(*self, &mut |found| {
            count(&mut told, right.as_ref(), reveal, found);
            Ok(())
        })?;
        Ok(told)
    }

    /// How many data keys there are, and how many of them no key of this host opens.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn data_keys(&self) -> Result<(usize, usize)> {
        let (reveal, ids) = (self.reveal(), self.all("SELECT id FROM data_key", &[], |row| Ok(row.text(0)?.to_owned()))?);
        let locked = ids.iter().filter(|id| !matches!(reveal.key(id), Some(Unwrapped::Key(_)))).count();
        Ok((ids.len(), locked))
    }

    /// The data keys for the recipients of now; `None` when everything should stand in the clear.
    fn right(&self) -> Result<Option<BTreeSet<String>>> {
        let Some((recipients, _)) = self.reveal().fields.keys.told() else { return Ok(None) };
        let sql = "SELECT id FROM data_key WHERE recipients = ?1";
        let ids = self.all(sql, values![recipients], |row| Ok(row.text(0)?.to_owned()))?;
        Ok(Some(ids.into_iter().collect()))
    }
}

impl Tx<'_> {
    /// Brings all names and reasons to the keys of now.
    ///
    /// # Errors
    /// When the state cannot be read or written.
    pub fn reseal_fields(&self) -> Result<Resealed> {
        let view = self.view();
        let (right, mut told, mut used) = (view.right()?, Resealed::default(), BTreeSet::new());
        let sealer = self.names.sealer()?;
        let reveal = view.reveal();
        each(view, &mut |found| {
            let key = Parts::of(&found.stored).map(|parts| parts.key.to_owned());
            if count(&mut told, right.as_ref(), reveal, found) {
                used.extend(key);
                return Ok(());
            }
            if !self.rewrite(reveal, found, sealer.as_ref())? {
                told.left += 1;
                used.extend(key);
                return Ok(());
            }
            told.rewritten += 1;
            Ok(())
        })?;
        used.extend(sealer.map(|key| key.id.clone()));
        self.forget_keys(&used)?;
        Ok(told)
    }

    fn rewrite(&self, reveal: &Reveal<'_>, found: &Found, sealer: Option<&Rc<DataKey>>) -> Result<bool> {
        let Kept::Open { salt, text, .. } = reveal.kept(&found.context(), &found.salt, &found.stored) else { return Ok(false) };
        if sealer.is_some() && matches!(found.key, Value::Text(_)) && text.len() > NAME_MAX {
            return Ok(false);
        }
        let (stored, salt) = match (&found.key, sealer) {
            (Value::Text(pseudonym), None) if self.is_named(&found.word, &text)? => (framed(pseudonym, &salt, &text), Vec::new()),
            _ => found.sealed(sealer, &salt, &text)?,
        };
        let sql = if matches!(found.key, Value::Int(_)) { OPENINGS.write } else { NAMES.write };
        self.execute(sql, &[found.key.clone(), (&found.word).into(), stored.into(), salt.into()])?;
        Ok(true)
    }

    fn is_named(&self, kind: &str, name: &str) -> Result<bool> {
        Ok(self.view().count("SELECT count(*) FROM pseudonym WHERE kind = ?1 AND name = ?2", values![kind, name])? > 0)
    }

    fn forget_keys(&self, used: &BTreeSet<String>) -> Result<()> {
        let all = self.view().all("SELECT id FROM data_key", &[], |row| Ok(row.text(0)?.to_owned()))?;
        for id in all.into_iter().filter(|id| !used.contains(id)) {
            self.execute("DELETE FROM data_key WHERE id = ?1", values![id])?;
        }
        Ok(())
    }
}

/// How a value is kept, held against how it should be.
enum Seen {
    Right,
    Clear,
    Other,
}

fn seen(right: Option<&BTreeSet<String>>, found: &Found) -> Seen {
    match (Parts::of(&found.stored), right) {
        (None, None) => Seen::Right,
        (None, Some(_)) => Seen::Clear,
        (Some(parts), None) if parts.key == CLEAR => Seen::Right,
        (Some(parts), Some(_)) if parts.key == CLEAR => Seen::Clear,
        (Some(parts), Some(ids)) if ids.contains(parts.key) => Seen::Right,
        (Some(_), _) => Seen::Other,
    }
}

/// Counts a value, and says whether it is as it should be. Each is opened, as far as the keys of this host reach: that it names a data key
/// for the recipients of now does not show that anybody can read it.
fn count(told: &mut Resealed, right: Option<&BTreeSet<String>>, reveal: &Reveal<'_>, found: &Found) -> bool {
    told.values += 1;
    let kept = reveal.kept(&found.context(), &found.salt, &found.stored);
    told.locked += u64::from(kept == Kept::Locked);
    if kept == Kept::Damaged {
        told.damaged += 1;
        return false;
    }
    match seen(right, found) {
        Seen::Right => told.current += 1,
        Seen::Clear => told.clear += 1,
        Seen::Other => told.other += 1,
    }
    matches!(seen(right, found), Seen::Right)
}

/// Reads both tables, a batch at a time, so that what is given may be written.
fn each(view: View<'_>, give: &mut dyn FnMut(&Found) -> Result<()>) -> Result<()> {
    let mut after = (Value::Text(String::new()), String::new());
    for (table, start) in [(NAMES, Value::Text(String::new())), (OPENINGS, Value::Int(i64::MIN))] {
        after.0 = start;
        loop {
            let is_number = matches!(after.0, Value::Int(_));
            let mut values = vec![after.0.clone(), BATCH.into()];
            if is_number {
                values.push((&after.1).into());
            }
            let rows = view.all(table.read, &values, |row| found(row, is_number))?;
            let Some(last) = rows.last() else { break };
            after = (last.key.clone(), last.word.clone());
            rows.iter().try_for_each(&mut *give)?;
        }
    }
    Ok(())
}

fn found(row: &Row<'_>, is_number: bool) -> Result<Found> {
    let key = if is_number { Value::Int(row.int(0)?) } else { Value::Text(row.text(0)?.to_owned()) };
    Ok(Found { key, stored: row.text(1)?.to_owned(), salt: row.blob(2)?.to_vec(), word: row.text(3)?.to_owned() })
}
