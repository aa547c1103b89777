//! Changes of the rows of rollouts. What is decided is a move, with its event; what is only seen goes through the feed, and the
//! event of the next move has the digest over it.
//!
//! Every write of a controller names its fence and the move that it follows: one whose lease was taken, or that did not see what a
//! person ordered meanwhile, changes nothing.

use super::judge::Judgement;
use super::machine::{Event as Happened, Move, Phase, State};
use super::setup::Setup;
use super::table::{self, Latency, Rollout, Seen, text};
use crate::base::digest::{Digest, Hasher};
use crate::base::error::Result;
use crate::base::event::{Event, Resource};
use crate::base::text::ellipsis;
use crate::base::time::Timestamp;
use crate::store::{Feed, Store, Tx, View, values};
use serde_json::json;

/// The longest reason that is kept, in characters: it may quote what a stranger answered.
const REASON_MAX: usize = 2_000;

/// What happened, in a word.
pub fn word(event: &Happened) -> &'static str {
    match event {
        Happened::Start => "start",
        Happened::Done => "done",
        Happened::Refused(_) => "refused",
        Happened::Error(_) => "error",
        Happened::Observed(_) => "observed",
        Happened::Astray(_) => "astray",
        Happened::Taken(_) => "taken",
        Happened::Left(..) => "left",
        Happened::Cleared(_) => "cleared",
        Happened::Judged { .. } => "judged",
        Happened::Pause => "pause",
        Happened::Resume => "resume",
        Happened::Approve => "approve",
        Happened::Promote { full: false } => "promote",
        Happened::Promote { full: true } => "promote-full",
        Happened::Abort(_) => "abort",
        Happened::Retry => "retry",
    }
}

/// The action of the event of a move to this state.
fn action(before: &State, after: &State) -> &'static str {
    match after.phase {
        phase if phase.ended() => "rollout.ended",
        Phase::RollingBack if before.phase != Phase::RollingBack => "rollout.turned-back",
        _ if after.held.is_some() && after.held != before.held => "rollout.held",
        _ => "rollout.moved",
    }
}

/// True when one state differs from another in what is decided, and not only in what is counted.
pub fn decides(before: &State, after: &State) -> bool {
    (before.phase, before.step, before.held, before.attempt) != (after.phase, after.step, after.held, after.attempt)
}

/// Who asked for a move, and why.
#[derive(Clone, Copy, Debug, Default)]
pub struct Because<'a> {
    /// The ticket.
    pub ticket: Option<&'a str>,
    /// The reason, in a person's words: only a commitment to it is hashed.
    pub reason: Option<&'a str>,
}

/// Records a rollout that nothing was done for yet, and gives its id.
///
/// # Errors
/// When the state cannot be written; as for all below.
pub fn plan(tx: &Tx<'_>, setup: &Setup, because: Because<'_>) -> Result<Rollout> {
    // What the rollout before could not stop is this one's to stop.
    let left = table::left(tx.view(), &setup.model, &setup.target)?;
    let planned = State { left, ..State::planned() };
    let (uid, state, kept) = (tx.uuid().to_string(), text(&planned)?, text(setup)?);
    let event = Event::new("rollout.planned", Resource::new("model", setup.model.as_str()))
        .with("rollout", uid.as_str())
        .with("canary", setup.canary.version.to_string())
        .with("digest", json!(setup.canary.digest))
        .with("stable", json!(setup.stable.as_ref().map(|s| s.version.to_string())))
        .with("target", setup.target.as_str())
        .with("strategy", setup.strategy.word())
        .with("plan", setup.named.as_str())
        .with("setup", json!(Digest::of(kept.as_bytes())))
        .with("state", json!(Digest::of(state.as_bytes())))
        .because(because.ticket, because.reason);
    let event = tx.record(event);
    let (canary, target) = (setup.canary.version.to_string(), setup.target.as_str());
    let sql = "INSERT INTO rollout (uid, model, canary, target, setup, state, open, moves, created, changed, actor, event) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, 0, ?7, ?8, ?9, ?10)";
    let (now, actor) = (tx.now(), tx.pseudonym()?);
    tx.execute(sql, values![&uid, setup.model.as_str(), canary, target, kept, state, now, now, actor, event])?;
    let (setup, state) = (setup.clone(), planned);
    Ok(Rollout { uid, setup, state, open: true, moves: 0, created: now, changed: now, event, reason: String::new() })
}

/// Records a move of a rollout, as it stands, and gives it as it stands then.
pub fn take(
    tx: &Tx<'_>,
    of: &Rollout,
    (event, made): (&Happened, &Move),
    judgement: Option<&Judgement>,
    because: Because<'_>,
) -> Result<Rollout> {
    let (seq, now) = (of.moves + 1, tx.now());
    let (state, reason) = (text(&made.state)?, ellipsis(&made.reason, REASON_MAX));
    let judgement = judgement.map(text).transpose()?;
    let (n, seen) = sum(tx.view(), &of.uid, of.moves)?;
    let digest = |text: &str| json!(Digest::of(text.as_bytes()));
    let recorded = Event::new(action(&of.state, &made.state), Resource::new("model", of.setup.model.as_str()))
        .with("rollout", of.uid.as_str())
        .with("canary", of.setup.canary.version.to_string())
        .with("move", seq)
        .with("what", word(event))
        .with("phase", json!(made.state.phase))
        .with("step", made.state.step)
        .with("weight", made.state.observed.hundredths())
        .with("state", digest(&state))
        .with("why", digest(&reason))
        .with("judgement", judgement.as_deref().map_or(json!(null), digest))
        .with("ticks", n)
        .with("seen", json!(seen))
        .with("open", !made.state.phase.ended())
        .because(because.ticket, because.reason);
    let number = tx.record(recorded);
    let sql = "INSERT INTO rollout_move (rollout, seq, what, reason, state, judgement, at, actor, event) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    tx.execute(sql, values![&of.uid, seq, word(event), &reason, &state, judgement, now, tx.pseudonym()?, number])?;
    let open = !made.state.phase.ended();
    let sql = "UPDATE rollout SET state = ?2, open = ?3, moves = ?4, changed = ?5, event = ?6 WHERE uid = ?1";
    tx.execute(sql, values![&of.uid, state, open, seq, now, number])?;
    let state = made.state.clone();
    Ok(Rollout { state, open, moves: seq, changed: now, event: number, reason, ..of.clone() })
}

/// How many things were seen after a move, and the digest over them.
pub(super) fn sum(view: View<'_>, uid: &str, base: i64) -> Result<(i64, Digest)> {
    let sql = "SELECT id, base, at, state, reason, since, upto, cursor, figures, judgement, latency FROM rollout_tick \
         WHERE rollout = ?1 AND base = ?2 ORDER BY id";
    let (mut n, mut hasher) = (0, Hasher::default());
    view.each(sql, values![uid, base], |row| {
        n += 1;
        for column in 0..11 {
            let cell = match column {
                0..=2 | 5 | 6 => row.opt_int(column)?.map(|n| n.to_string()),
                _ => row.opt_text(column)?.map(str::to_owned),
            };
            // A cell that is empty is another thing than one that is not there.
            let cell = cell.map_or_else(|| "-".to_owned(), |text| format!("+{text}"));
            hasher.update(&(cell.len() as u64).to_be_bytes());
            hasher.update(cell.as_bytes());
        }
        Ok(())
    })?;
    Ok((n, hasher.finish()))
}

/// Something that a controller saw.
#[derive(Clone, Debug, Default)]
pub struct Note {
    /// What it was.
    pub reason: String,
    /// Where its window begins.
    pub since: Option<Timestamp>,
    /// Where the next one begins.
    pub upto: Option<Timestamp>,
    /// From what its source reads on.
    pub cursor: Option<String>,
    /// What was counted.
    pub seen: Option<Seen>,
    /// What the judge found.
    pub judgement: Option<Judgement>,
    /// How long answers took.
    pub latency: Option<Latency>,
}

/// The number that the next thing seen has; of a window also the window's.
///
/// # Errors
/// When the state cannot be read.
pub fn next_tick(view: View<'_>, uid: &str) -> Result<i64> {
    view.count("SELECT COALESCE(MAX(id), 0) + 1 FROM rollout_tick WHERE rollout = ?1", values![uid])
}

/// Appends what was seen of a rollout, as it stands, and the state after it; false when its lease was taken, somebody ordered
/// something meanwhile, or the number is taken.
pub fn note(store: &Store, of: &Rollout, fence: i64, (id, state, note): (i64, &State, &Note)) -> Result<bool> {
    let now = store.now();
    let optional = |value: Option<Timestamp>| value.map(Timestamp::micros);
    let row = values![
        &of.uid,
        id,
        of.moves,
        now,
        text(state)?,
        ellipsis(&note.reason, REASON_MAX),
        optional(note.since),
        optional(note.upto),
        note.cursor.as_ref(),
        note.seen.as_ref().map(text).transpose()?,
        note.judgement.as_ref().map(text).transpose()?,
        note.latency.as_ref().map(text).transpose()?,
    ];
    let columns =
        ["rollout", "id", "base", "at", "state", "reason", "since", "upto", "cursor", "figures", "judgement", "latency"];
    store.feed(|feed| {
        let moves = feed.asked("SELECT moves FROM rollout WHERE uid = ?1", values![&of.uid])?;
        if moves != Some(of.moves) || holds(feed, &of.uid)? != Some(fence) {
            return Ok(false);
        }
        Ok(feed.append("rollout_tick", &columns, [row.to_vec()])? == 1 || store.is_dry_run())
    })
}

/// The fence of whoever has a rollout.
fn holds(feed: &Feed<'_>, uid: &str) -> Result<Option<i64>> {
    feed.asked("SELECT MAX(fence) FROM rollout_lease WHERE rollout = ?1", values![uid])
}

/// True while a rollout has not moved since it was seen, and the lease of this fence holds.
///
/// # Errors
/// When the state cannot be read.
pub fn unmoved(view: View<'_>, seen: &Rollout, fence: i64) -> Result<bool> {
    Ok(table::moves_made(view, &seen.uid)? == seen.moves && last_fence(view, &seen.uid)? == fence)
}

/// The fence of whoever had a rollout last; 0 when nobody did.
fn last_fence(view: View<'_>, uid: &str) -> Result<i64> {
    view.count("SELECT COALESCE(MAX(fence), 0) FROM rollout_lease WHERE rollout = ?1", values![uid])
}

/// A rollout as it stands under the writer's lock, when the lease of this fence still holds.
pub fn held(tx: &Tx<'_>, uid: &str, fence: i64) -> Result<Option<Rollout>> {
    if last_fence(tx.view(), uid)? == fence { table::find(tx.view(), uid) } else { Ok(None) }
}
