//! What engines outside the state still have to be told.
//!
//! A change is noted in the transaction that makes it true here, told to the engine afterwards, and struck out once the engine
//! has confirmed it. So a note outlives a kill, a service that is away and a transaction that others overtake: whoever comes
//! next tells it again. That is harmless, because a note says what to look up and not what to write: `Put` brings what the
//! state says of an item now, which is nothing when the item has gone meanwhile.
//!
//! Notes are told in the order of their events and by one process at a time, so an engine never learns of an older state after
//! a newer one. They hold ids that name nothing, and stay when what they are about is erased: that is what takes it out there.

use super::lock::{Hold, Matter};
use super::{Feed, Row, Store, Tx, View};
use crate::base::error::{Error, Result};
use crate::values;
use std::collections::{BTreeMap, BTreeSet};

/// Notes that are read at a time.
const AT_ONCE: i64 = 256;

/// What is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// What the state says of an item.
    Put,
    /// That an item is gone.
    Take,
    /// All that the state says of the place, in the stead of whatever is there.
    Fill,
    /// That the place is gone.
    Drop,
}

impl Act {
    const ALL: [Self; 4] = [Self::Put, Self::Take, Self::Fill, Self::Drop];

    fn word(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Take => "take",
            Self::Fill => "fill",
            Self::Drop => "drop",
        }
    }
}

/// A place in an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'p> {
    /// The engine.
    pub engine: &'static str,
    /// The number of the collection that is shown there.
    pub collection: i64,
    /// What the engine calls it; never given to another collection.
    pub name: &'p str,
}

/// Something that is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The event of the change: later ones are higher, and none is given twice.
    pub event: i64,
    /// The number of the collection; there may be none any more.
    pub collection: i64,
    /// What the engine calls it.
    pub place: String,
    /// What is to be told.
    pub act: Act,
    /// The public id of the item; empty where the act is about the whole place.
    pub item: String,
}

/// Notes a change for an engine. What is about the whole place takes the stead of all that waits for it.
///
/// # Errors
/// Only those of the state.
pub fn note(tx: &Tx<'_>, place: Place<'_>, act: Act, item: &str) -> Result<()> {
    if matches!(act, Act::Fill | Act::Drop) {
        tx.execute("DELETE FROM outbox WHERE engine = ?1 AND place = ?2", values![place.engine, place.name])?;
    }
    let sql = "INSERT INTO outbox (event, engine, place, act, item, collection) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
        ON CONFLICT DO NOTHING";
    let values = values![tx.next_event(), place.engine, place.name, act.word(), item, place.collection];
    tx.execute(sql, values).map(|_| ())
}

const NOTE: &str = "SELECT event, collection, place, act, item FROM outbox WHERE engine = ?1";

/// One event may replace a document under its id: it is taken out before it is put in (`take` comes after `put` as a word).
const ORDER: &str = "event, place, act DESC, item";

fn note_of(row: &Row<'_>) -> Result<Note> {
    let word = row.text(3)?;
    let act = Act::ALL.into_iter().find(|a| a.word() == word);
    let act = act.ok_or_else(|| Error::new(format!("`{word}` is nothing that an engine can be told")).hint("run `kf fsck`"))?;
    Ok(Note { event: row.int(0)?, collection: row.int(1)?, place: row.text(2)?.to_owned(), act, item: row.text(4)?.to_owned() })
}

/// The notes for a collection that wait, in the order in which they will be told, `most` at most.
///
/// # Errors
/// Only those of the state.
pub fn of(view: View<'_>, engine: &str, collection: i64, most: usize) -> Result<Vec<Note>> {
    let sql = format!("{NOTE} AND collection = ?2 ORDER BY {ORDER} LIMIT ?3");
    view.all(&sql, values![engine, collection, i64::try_from(most).unwrap_or(i64::MAX)], note_of)
}

/// How many notes wait for a collection.
///
/// # Errors
/// Only those of the state.
pub fn waiting(view: View<'_>, collection: i64) -> Result<u64> {
    let n = view.count("SELECT count(*) FROM outbox WHERE collection = ?1", values![collection])?;
    Ok(u64::try_from(n).unwrap_or(0))
}

/// How many notes wait for each engine.
///
/// # Errors
/// Only those of the state.
pub fn waiting_by_engine(view: View<'_>) -> Result<BTreeMap<String, u64>> {
    let sql = "SELECT engine, count(*) FROM outbox GROUP BY engine";
    let counted = view.all(sql, &[], |row| Ok((row.text(0)?.to_owned(), u64::try_from(row.int(1)?).unwrap_or(0))))?;
    Ok(counted.into_iter().collect())
}

/// Tells an engine all that waits for it, some notes at a time, and strikes out those that `tell` confirms by returning; how
/// many those were. Without any, no lock is taken and `tell` is not called. What was noted of a place before it is filled is
/// not told: it is filled with what the state says then.
///
/// # Errors
/// That of `tell`: notes that were confirmed before are struck out, the others wait. Those of the state, and
/// [`Kind::Locked`](crate::base::error::Kind::Locked) when another process is telling the same for longer than the lock timeout.
pub fn tell(store: &Store, engine: &'static str, tell: &mut dyn FnMut(&[Note]) -> Result<()>) -> Result<u64> {
    if store.is_dry_run() || store.read(|view| next(view, engine))?.0.is_empty() {
        return Ok(0);
    }
    let alone = store.lock(Matter::Outbox, Hold::Alone, "index", &mut |_| {})?;
    let mut told = 0;
    loop {
        let (notes, newest) = store.read(|view| next(view, engine))?;
        if notes.is_empty() {
            return Ok(told);
        }
        alone.check()?;
        tell(&notes)?;
        store.feed(|feed| notes.iter().try_for_each(|note| strike(feed, engine, note, newest)))?;
        told += notes.len() as u64;
    }
}

/// The notes to be told next, without those that a `Fill` among them makes needless, and the event of the newest note.
fn next(view: View<'_>, engine: &str) -> Result<(Vec<Note>, i64)> {
    let sql = format!("{NOTE} ORDER BY {ORDER} LIMIT ?2");
    let mut notes = view.all(&sql, values![engine, AT_ONCE], note_of)?;
    let filled: BTreeSet<String> = notes.iter().filter(|n| n.act == Act::Fill).map(|n| n.place.clone()).collect();
    notes.retain(|n| n.act == Act::Fill || !filled.contains(&n.place));
    let sql = "SELECT COALESCE(max(event), 0) FROM outbox WHERE engine = ?1";
    Ok((notes, view.count(sql, values![engine])?))
}

/// Strikes out what was told, and with a `Fill` all that was noted of its place up to the event `newest`.
fn strike(feed: &Feed<'_>, engine: &str, note: &Note, newest: i64) -> Result<()> {
    if note.act == Act::Fill {
        let all = "engine = ?1 AND place = ?2 AND event <= ?3";
        return feed.finish("outbox", all, values![engine, note.place.as_str(), newest]);
    }
    let one = "engine = ?1 AND place = ?2 AND event = ?3 AND act = ?4 AND item = ?5";
    let values = values![engine, note.place.as_str(), note.event, note.act.word(), note.item.as_str()];
    feed.finish("outbox", one, values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::Kind;
    use crate::base::event::{Event, Resource};
    use crate::store::tests::settings;

    const ENGINE: &str = "far";

    fn place(collection: i64, name: &str) -> Place<'_> {
        Place { engine: ENGINE, collection, name }
    }

    fn noted(store: &Store, notes: &[(i64, &str, Act, &str)]) {
        store
            .write(|tx| {
                for (collection, name, act, item) in notes {
                    note(tx, place(*collection, name), *act, item)?;
                    tx.record(Event::new("document.ingested", Resource::new("document", *item)));
                }
                Ok(())
            })
            .expect("noted");
    }

    fn told(store: &Store, fails_at: usize) -> (Result<u64>, Vec<(Act, String)>) {
        let mut seen = Vec::new();
        let done = tell(store, ENGINE, &mut |notes| {
            if seen.len() >= fails_at {
                return Err(Error::new("the engine is away"));
            }
            seen.extend(notes.iter().map(|note| (note.act, note.item.clone())));
            Ok(())
        });
        (done, seen)
    }

    fn open() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().expect("a directory");
        let (store, _) = Store::init(settings(dir.path())).expect("a state");
        (dir, store)
    }

    #[test]
    fn notes_are_told_in_order_and_struck_out_once_confirmed() {
        let (_dir, store) = open();
        assert_eq!(told(&store, 0).0.expect("nothing waits"), 0);
        noted(&store, &[(1, "p", Act::Put, "b"), (1, "p", Act::Put, "a"), (2, "q", Act::Take, "c")]);
        assert_eq!(store.read(|view| waiting(view, 1)).expect("a count"), 2);
        assert_eq!(told(&store, 0).0.expect_err("away").to_string(), "the engine is away");
        assert_eq!(store.read(waiting_by_engine).expect("counts"), BTreeMap::from([(ENGINE.to_owned(), 3)]), "all wait");
        let (done, seen) = told(&store, 9);
        assert_eq!(done.expect("told"), 3);
        assert_eq!(seen, [(Act::Put, "b".to_owned()), (Act::Put, "a".to_owned()), (Act::Take, "c".to_owned())]);
        assert_eq!(store.read(waiting_by_engine).expect("counts"), BTreeMap::new());
        assert_eq!(told(&store, 0).0.expect("nothing waits any more"), 0);
    }

    #[test]
    fn what_is_replaced_under_its_id_is_taken_out_first() {
        let (_dir, store) = open();
        let both = store.write(|tx| {
            note(tx, place(1, "p"), Act::Take, "a")?;
            note(tx, place(1, "p"), Act::Put, "a")?;
            tx.record(Event::new("document.ingested", Resource::new("document", "a")));
            Ok(())
        });
        both.expect("noted");
        assert_eq!(told(&store, 9).1, [(Act::Take, "a".to_owned()), (Act::Put, "a".to_owned())]);
    }

    #[test]
    fn what_was_confirmed_before_a_failure_is_not_told_again() {
        let (_dir, store) = open();
        let most = usize::try_from(AT_ONCE).expect("small");
        let items: Vec<String> = (0..=most).map(|i| format!("{i:04}")).collect();
        noted(&store, &items.iter().map(|item| (1, "p", Act::Put, item.as_str())).collect::<Vec<_>>());
        let (done, seen) = told(&store, 1);
        assert!(done.is_err());
        assert_eq!((seen.len(), store.read(|view| waiting(view, 1)).expect("a count")), (most, 1));
        assert_eq!(told(&store, 9).1, [(Act::Put, items[most].clone())]);
    }

    #[test]
    fn what_is_about_the_whole_place_takes_the_stead_of_what_waits_for_it() {
        let (_dir, store) = open();
        noted(&store, &[(1, "p", Act::Put, "a"), (2, "q", Act::Put, "b"), (1, "p", Act::Fill, "")]);
        let waiting = store.read(|view| of(view, ENGINE, 1, 9)).expect("notes");
        assert_eq!(waiting.iter().map(|n| (n.act, n.place.as_str())).collect::<Vec<_>>(), [(Act::Fill, "p")]);
    }

    #[test]
    fn what_was_noted_before_a_place_is_filled_is_not_told_and_what_comes_meanwhile_is() {
        let (_dir, store) = open();
        noted(&store, &[(1, "p", Act::Fill, ""), (2, "q", Act::Put, "b"), (1, "p", Act::Take, "a")]);
        // More than are read at a time.
        let most = usize::try_from(AT_ONCE).expect("small");
        let items: Vec<String> = (0..2 * most).map(|i| format!("{i:04}")).collect();
        noted(&store, &items.iter().map(|item| (1, "p", Act::Put, item.as_str())).collect::<Vec<_>>());
        let mut seen = Vec::new();
        let done = tell(&store, ENGINE, &mut |notes| {
            if seen.is_empty() {
                noted(&store, &[(1, "p", Act::Put, "late")]);
            }
            seen.extend(notes.iter().map(|note| (note.act, note.item.clone())));
            Ok(())
        });
        assert_eq!(done.expect("told"), 3);
        assert_eq!(seen, [(Act::Fill, String::new()), (Act::Put, "b".to_owned()), (Act::Put, "late".to_owned())]);
        assert_eq!(store.read(waiting_by_engine).expect("counts"), BTreeMap::new());
    }

    #[test]
    fn a_change_that_does_not_commit_is_not_told_and_one_of_another_engine_neither() {
        let (_dir, store) = open();
        let failed = store.write(|tx| {
            note(tx, place(1, "p"), Act::Put, "a")?;
            tx.record(Event::new("document.ingested", Resource::new("document", "a")));
            Err::<(), _>(Error::new("no"))
        });
        assert!(failed.is_err());
        noted(&store, &[(1, "p", Act::Put, "b")]);
        assert_eq!(tell(&store, "other", &mut |_| panic!("not for this one")).expect("nothing"), 0);
        store.set_dry_run(true);
        assert_eq!(told(&store, 9).1, []);
    }

    /// What comes in while the engine is being told is told in the same go.
    #[test]
    fn notes_that_come_meanwhile_are_told_too() {
        let (_dir, store) = open();
        noted(&store, &[(1, "p", Act::Put, "a")]);
        let mut seen = 0;
        let done = tell(&store, ENGINE, &mut |_| {
            seen += 1;
            if seen == 1 {
                noted(&store, &[(1, "p", Act::Put, "b")]);
            }
            Ok(())
        });
        assert_eq!((done.expect("told"), seen), (2, 2));
    }

    #[test]
    fn one_process_tells_at_a_time() {
        let (dir, store) = open();
        noted(&store, &[(1, "p", Act::Put, "a")]);
        let _held = store.lock(Matter::Outbox, Hold::Alone, "index", &mut |_| {}).expect("the lock");
        let impatient = crate::store::Settings { lock_timeout: std::time::Duration::ZERO, ..settings(dir.path()) };
        let other = Store::open(impatient, crate::store::Mode::Write).expect("the state");
        assert_eq!(told(&other, 9).0.expect_err("locked").kind(), Kind::Locked);
    }
}
