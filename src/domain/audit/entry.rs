//! One entry as people read it: from the hashed body, with what is kept apart from it (names, reasons) put back.

use super::prove::damaged;
use crate::base::digest::Digest;
use crate::base::error::{Context, Result};
use crate::base::event::Outcome;
use crate::base::time::Timestamp;
use crate::store::View;
use crate::store::check::facts;
use crate::values;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::HashMap;

/// An entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Its index, from 0.
    pub index: u64,
    /// Its id (a UUID of version 7).
    pub id: String,
    /// When, by the clock of the host.
    pub at: Timestamp,
    /// Who: the name, or the pseudonym when the name was erased.
    pub actor: String,
    /// The pseudonym.
    pub actor_id: String,
    /// `user`, `ci` or `cron`.
    pub actor_kind: String,
    /// How it is known who it was: `asserted` or better.
    pub auth: String,
    /// On which machine.
    pub host: String,
    /// What was done, such as `version.promoted`.
    pub action: String,
    /// To what.
    pub resource: Resource,
    /// How it ended.
    pub outcome: Outcome,
    /// The ticket that asked for it.
    pub ticket: Option<String>,
    /// Why, in the actor's words; `None` when none was given, it was erased, or no key of this host reads it.
    pub reason: Option<String>,
    /// Whether a reason was given and is erased.
    pub reason_erased: bool,
    /// Whether a reason was given and is encrypted for others.
    pub reason_locked: bool,
    /// Facts about it, those too long for the entry included.
    pub detail: Map<String, Value>,
    /// Its leaf hash in the tree, as stored.
    pub hash: Digest,
}

/// What an entry is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// `model`, `version`, `state`, …
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its version, when it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its digest, when it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

impl std::fmt::Display for Resource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.version {
            Some(version) => f.pad(&format!("{} {}@{version}", self.kind, self.name)),
            None => f.pad(&format!("{} {}", self.kind, self.name)),
        }
    }
}

/// The body, as far as it is shown. Whether it is canonical is the business of verification.
#[derive(Deserialize)]
struct Body {
    id: String,
    ts: i64,
    actor: Actor,
    host: String,
    action: String,
    res: Resource,
    outcome: Outcome,
    #[serde(default)]
    ticket: Option<String>,
    #[serde(default)]
    pd: Map<String, Value>,
    #[serde(default)]
    detail: Map<String, Value>,
    #[serde(default)]
    facts: Map<String, Value>,
}

#[derive(Deserialize)]
struct Actor {
    id: String,
    kind: String,
    auth: String,
}

/// Reads entries, looking each name up once.
pub struct Reader<'a> {
    view: View<'a>,
    names: HashMap<String, Option<String>>,
}

impl<'a> Reader<'a> {
    /// A reader of this state.
    pub fn new(view: View<'a>) -> Self {
        Self { view, names: HashMap::new() }
    }

    /// Entry `index` with its body, byte by byte; `None` when there is none.
    ///
    /// # Errors
    /// When what is stored is not an entry.
    pub fn entry(&mut self, index: u64) -> Result<Option<(Entry, String)>> {
        let Ok(seq) = i64::try_from(index) else { return Ok(None) };
        let stored = self.view.first("SELECT body, leaf FROM eb WHERE seq = ?1", values![seq], |row| {
            Ok((row.text(0)?.to_owned(), row.digest(1)?))
        })?;
        let Some((text, hash)) = stored else { return Ok(None) };
        let body: Body =
            serde_json::from_str(&text).map_err(|e| damaged(format!("entry {index} of the audit log cannot be read: {e}")))?;
        let mut detail = body.detail;
        for (key, text) in facts(self.view, seq)?.into_iter().filter(|(key, _)| body.facts.contains_key(key)) {
            let fact = serde_json::from_str(&text)
                .map_err(|e| damaged(format!("the fact `{key}` beside entry {index} of the audit log cannot be read: {e}")))?;
            detail.insert(key, fact);
        }
        let sql = "SELECT value FROM opening WHERE seq = ?1 AND field = 'reason'";
        let reason = self.view.first(sql, values![seq], |row| row.opened(0))?;
        let entry = Entry {
            index,
            id: body.id,
            at: Timestamp::from_micros(body.ts),
            actor: self.name(&body.actor.id)?,
            actor_id: body.actor.id,
            actor_kind: body.actor.kind,
            auth: body.actor.auth,
            host: self.name(&body.host)?,
            action: body.action,
            resource: body.res,
            outcome: body.outcome,
            ticket: body.ticket,
            reason_erased: reason.is_none() && body.pd.contains_key("reason"),
            reason_locked: reason == Some(None),
            reason: reason.flatten(),
            detail,
            hash,
        };
        Ok(Some((entry, text)))
    }

    fn name(&mut self, pseudonym: &str) -> Result<String> {
        if !self.names.contains_key(pseudonym) {
            let sql = "SELECT name FROM pseudonym WHERE id = ?1";
            let name = self.view.first(sql, values![pseudonym], |row| row.name(0));
            let name = name.context(|| format!("cannot look up who `{pseudonym}` is"))?;
            self.names.insert(pseudonym.to_owned(), name);
        }
        Ok(self.names.get(pseudonym).cloned().flatten().unwrap_or_else(|| pseudonym.to_owned()))
    }
}
