//! Names that may have to be forgotten: of people, jobs and machines. Rows and log know them by a pseudonym; the name stands in
//! one row of `pseudonym`, encrypted where the host says so, and the first entry that uses a pseudonym commits to the name behind it.
//!
//! The commitment is HMAC-SHA-256 under 32 random bytes that stand beside the name, over the canonical JSON of `[kind, name]`.
//! So a name that was changed is found, and one whose row was erased can be guessed by nobody: the salt went with it.

use super::db::Db;
use super::fields::{DataKey, Fields, refuse_mark};
use super::log::{SALT_LEN, WORD_MAX, commitment, too_long};
use crate::base::digest::hex;
use crate::base::error::Result;
use crate::base::random::Random;
use crate::base::time::Timestamp;
use crate::values;
use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Pseudonyms within one transaction.
pub(super) struct Names<'a> {
    db: &'a Db,
    random: &'a Random,
    /// Those made in this transaction, with the commitment to their name.
    made: RefCell<BTreeMap<String, String>>,
    fields: &'a Fields,
    now: Timestamp,
    /// What this transaction seals with, once that was asked for.
    sealer: OnceCell<Option<Rc<DataKey>>>,
}

impl<'a> Names<'a> {
    pub(super) fn new(db: &'a Db, random: &'a Random, fields: &'a Fields, now: Timestamp) -> Self {
        Self { db, random, made: RefCell::default(), fields, now, sealer: OnceCell::new() }
    }

    /// What seals names and reasons in this transaction; nothing when they stand in the clear.
    pub(super) fn sealer(&self) -> Result<Option<Rc<DataKey>>> {
        if let Some(known) = self.sealer.get() {
            return Ok(known.clone());
        }
        let found = self.fields.sealer(self.db, self.now)?;
        Ok(self.sealer.get_or_init(|| found).clone())
    }

    fn find(&self, kind: &str, name: &str) -> Result<Option<String>> {
        let mut id = None;
        self.db.each("SELECT id FROM pseudonym WHERE kind = ?1 AND name = ?2", values![kind, name], &mut |row| {
            id = Some(row.text(0)?.to_owned());
            Ok(())
        })?;
        if id.is_some() {
            return Ok(id);
        }
        for key in self.fields.newest(self.db)? {
            let (from, to) = key.range(kind, name);
            let sql = "SELECT id FROM pseudonym WHERE kind = ?1 AND name >= ?2 AND name < ?3 ORDER BY name LIMIT 1";
            self.db.each(sql, values![kind, from, to], &mut |row| {
                id = Some(row.text(0)?.to_owned());
                Ok(())
            })?;
            if id.is_some() {
                break;
            }
        }
        Ok(id)
    }

    /// The pseudonym of a person, a job or a machine; made on first sight.
    pub(super) fn pseudonym(&self, kind: &str, name: &str) -> Result<String> {
        if let Some(id) = self.find(kind, name)? {
            return Ok(id);
        }
        refuse_mark(&format!("the name of this {kind}"), name)?;
        if name.len() > WORD_MAX {
            return Err(too_long(&format!("the name of this {kind}"), name.len(), WORD_MAX));
        }
        let id = format!("{kind}-{}", hex(&self.random.bytes::<6>()));
        let salt = self.random.bytes::<SALT_LEN>();
        let sql = "INSERT INTO pseudonym (id, kind, name, salt) VALUES (?1, ?2, ?3, ?4)";
        let row = match self.sealer()? {
            Some(key) => values![&id, kind, key.seal_name(&id, kind, name, &salt)?, Vec::<u8>::new()].to_vec(),
            None => values![&id, kind, name, salt.to_vec()].to_vec(),
        };
        self.db.execute(sql, &row)?;
        self.made.borrow_mut().insert(id.clone(), commitment(&salt, &[kind, name])?);
        Ok(id)
    }

    /// Whether some were made to which no entry commits yet.
    pub(super) fn has_made(&self) -> bool {
        !self.made.borrow().is_empty()
    }

    /// Those made since, with their commitments, for the next entry.
    pub(super) fn take_made(&self) -> BTreeMap<String, String> {
        self.made.take()
    }
}
