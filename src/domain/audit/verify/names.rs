//! Names behind pseudonyms: the first entry that uses a pseudonym commits to the name, and the row that holds it must open that
//! commitment. A row that is gone was erased, which is its right; one that says another name was altered.

use super::super::body::Body;
use super::Finding;
use crate::base::error::Result;
use crate::store::View;
use crate::store::fields::Kept;
use crate::store::log::{SALT_LEN, commitment};
use crate::values;
use std::collections::BTreeMap;

/// Pseudonyms of some neighbouring entries.
#[derive(Debug, Default)]
pub(super) struct Pseudonyms {
    /// The first entry that uses each, as spelt in the bodies.
    used: BTreeMap<String, i64>,
    /// The entry that commits to the name of each, and the commitment.
    committed: BTreeMap<String, (i64, String)>,
}

impl Pseudonyms {
    /// Takes the pseudonyms of an entry.
    pub(super) fn take(&mut self, seq: i64, body: &Body<'_>, findings: &mut Vec<Finding>) {
        for id in [body.actor, body.host] {
            if !self.used.contains_key(id) {
                self.used.insert(id.to_owned(), seq);
            }
        }
        let names: BTreeMap<String, String> = body.names.map(|n| serde_json::from_str(n).unwrap_or_default()).unwrap_or_default();
        for (id, commitment) in names {
            self.commit(id, (seq, commitment), findings);
        }
    }

    fn commit(&mut self, id: String, (seq, commitment): (i64, String), findings: &mut Vec<Finding>) {
        if let Some((first, _)) = self.committed.get(&id) {
            findings.push(Finding::at(seq, format!("it commits to the name of {id}, as entry {first} does")));
            return;
        }
        self.committed.insert(id, (seq, commitment));
    }

    /// Takes those of the entries that follow, and says which of them nothing commits to.
    pub(super) fn follow(&mut self, next: Self, findings: &mut Vec<Finding>) {
        for (id, committed) in next.committed {
            self.commit(id, committed, findings);
        }
        for (id, seq) in next.used {
            if self.committed.get(&id).is_none_or(|(at, _)| *at > seq) && !self.used.contains_key(&id) {
                findings.push(Finding::at(seq, format!("it names {id}, and no entry up to it commits to the name behind that")));
            }
            self.used.entry(id).or_insert(seq);
        }
    }

    /// Compares the rows that hold the names, and says how many were compared, and how many no key of this host reads.
    pub(super) fn compare(&self, view: View<'_>, findings: &mut Vec<Finding>) -> Result<(u64, u64)> {
        let (mut names, mut locked) = (0, 0);
        view.each("SELECT id, kind, name, salt FROM pseudonym ORDER BY id", values![], |row| {
            let text = |i: usize| row.text_bytes(i).map(|b| String::from_utf8_lossy(b).into_owned());
            let (id, kind, name) = (text(0)?, text(1)?, text(2)?);
            let opened = match view.reveal().kept(&id, row.blob(3)?, &name) {
                Kept::Open { salt, text, .. } => commitment(&salt, &[&kind, &text]).ok().filter(|_| salt.len() == SALT_LEN),
                Kept::Locked if self.committed.contains_key(&id) => {
                    locked += 1;
                    return Ok(());
                }
                Kept::Locked | Kept::Damaged => None,
            };
            names += 1;
            match self.committed.get(&id) {
                Some((_, committed)) if opened.as_ref() == Some(committed) => {}
                Some((seq, _)) => findings.push(Finding::at(
                    *seq,
                    format!(
                        "the name behind {id} does not match the commitment in this entry: its kind, name or salt was altered"
                    ),
                )),
                None => findings.push(Finding::whole(format!("there is a name behind {id}, and no entry commits to it"))),
            }
            Ok(())
        })?;
        Ok((names, locked))
    }
}
