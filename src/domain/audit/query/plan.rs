//! Which index answers a question. Each index of `ev` ends with the index of the entry, so that reading it backwards gives the
//! newest entries first; a question is one or more such runs, and their newest together are the answer.
//!
//! The field that is most selective by its nature drives: a ticket, a resource, a refusal or failure, then an actor with each
//! action, then an action. The other fields are residual conditions, written `+column` so that no engine takes their index
//! instead; the index that drives holds them too, so they cost no further read.

use super::lookup::{Numbers, usual};
use crate::base::error::Result;
use crate::store::{Row, View};
use crate::values;

/// One run through an index, or through all entries.
pub(super) struct Stream<'a> {
    drive: Vec<(&'static str, i64)>,
    numbers: &'a Numbers,
}

/// The runs that together hold all that fits.
pub(super) fn streams(numbers: &Numbers) -> Vec<Stream<'_>> {
    let one = |drive: Vec<(&'static str, i64)>| Stream { drive, numbers };
    let n = numbers;
    if let Some(ticket) = n.ticket {
        return vec![one(vec![("ticket", ticket)])];
    }
    if let Some(resources) = &n.resources {
        return resources.iter().map(|id| one(vec![("res", *id)])).collect();
    }
    if let Some(outcome) = n.outcome.filter(|o| *o != usual()) {
        return vec![one(vec![("outcome", outcome)])];
    }
    if let Some(actors) = &n.actors {
        let actions = n.actions.as_ref().unwrap_or(&n.all_actions);
        let pairs = actors.iter().flat_map(|actor| actions.iter().map(|action| (*actor, *action)));
        return pairs.map(|(actor, action)| one(vec![("actor", actor), ("action", action)])).collect();
    }
    if let Some(actions) = &n.actions {
        return actions.iter().map(|id| one(vec![("action", *id)])).collect();
    }
    vec![one(Vec::new())]
}

impl Stream<'_> {
    /// The newest `limit` entries of this run.
    pub(super) fn newest(&self, view: View<'_>, limit: i64) -> Result<Vec<i64>> {
        view.all(&self.newest_sql(), values![i64::MAX, limit], |row| row.int(0))
    }

    fn newest_sql(&self) -> String {
        format!("SELECT ev.seq FROM ev WHERE {} ORDER BY ev.seq DESC LIMIT ?2", self.conditions())
    }

    /// How SQLite goes about it: about the entries, and about their bodies.
    #[cfg(test)]
    pub(super) fn explain(&self, view: View<'_>) -> Result<[Vec<String>; 2]> {
        let explained = |sql: String| {
            let sql = format!("EXPLAIN QUERY PLAN {sql}");
            view.all(&sql, values![i64::MAX, 50i64], |row| Ok(row.text(3)?.to_owned()))
        };
        Ok([explained(self.newest_sql())?, explained(self.bodies_sql())?])
    }

    /// The newest `limit` bodies of this run before entry `before`: index and body.
    pub(super) fn bodies(&self, view: View<'_>, before: i64, limit: i64, each: impl FnMut(&Row<'_>) -> Result<()>) -> Result<()> {
        view.each(&self.bodies_sql(), values![before, limit], each)
    }

    /// Both tables are told where to begin: PostgreSQL does not conclude it for the second, and would merge the two from the
    /// newest body on, again for each batch. SQLite takes the tables of a `CROSS JOIN` in the order written.
    pub(super) fn bodies_sql(&self) -> String {
        let conditions = self.conditions();
        let from = match conditions.as_str() {
            UNCONDITIONAL => "eb AS ev WHERE ".to_owned(),
            _ => {
                let newest = self.numbers.range.map(|(_, to)| format!(" AND eb.seq <= {to}")).unwrap_or_default();
                format!("ev CROSS JOIN eb WHERE eb.seq = ev.seq AND eb.seq < ?1{newest} AND ")
            }
        };
        format!("SELECT ev.seq, body FROM {from}{conditions} ORDER BY ev.seq DESC LIMIT ?2")
    }

    /// Numbers are written out: both engines choose a partial index only for a value they can see, and no person's words are
    /// among them.
    fn conditions(&self) -> String {
        let n = self.numbers;
        let mut all = vec![UNCONDITIONAL.to_owned()];
        all.extend(self.drive.iter().map(|(column, id)| format!("ev.{column} = {id}")));
        if self.drive.iter().any(|(column, _)| *column == "outcome") {
            // The condition of the partial index, word by word: SQLite does not conclude it.
            all.push("ev.outcome <> 0".to_owned());
        }
        let mut also = |column: &str, ids: &[i64]| {
            if !self.drive.iter().any(|(driving, _)| *driving == column) {
                let ids: Vec<String> = ids.iter().map(i64::to_string).collect();
                all.push(format!("+ev.{column} IN ({})", ids.join(", ")));
            }
        };
        n.ticket.iter().for_each(|id| also("ticket", &[*id]));
        n.resources.iter().for_each(|ids| also("res", ids));
        n.outcome.iter().for_each(|id| also("outcome", &[*id]));
        n.actors.iter().for_each(|ids| also("actor", ids));
        n.actions.iter().for_each(|ids| also("action", ids));
        all.extend(n.range.map(|(from, to)| format!("ev.seq >= {from} AND ev.seq <= {to}")));
        all.extend(n.since.map(|t| format!("+ev.ts >= {t}")));
        all.extend(n.until.map(|t| format!("+ev.ts < {t}")));
        all.join(" AND ")
    }
}

/// What is asked in any case: where to go on.
const UNCONDITIONAL: &str = "ev.seq < ?1";
