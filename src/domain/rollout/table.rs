//! The rows of rollouts: what was decided, move by move, and what was seen in between. Nobody else queries them.
//!
//! The state of a rollout is that of the last thing that was seen after its last move, or of that move: what is only counted
//! (seconds, errors in a row, windows) costs no entry of the audit log.

use super::judge::Judgement;
use super::machine::State;
use super::setup::Setup;
use super::window::Window;
use crate::base::error::{Context, Error, Result};
use crate::base::name::Name;
use crate::base::text::did_you_mean;
use crate::base::time::Timestamp;
use crate::seams::traffic::Arm;
use crate::store::{Row, View, values};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A rollout as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollout {
    /// Its id.
    pub uid: String,
    /// What was decided at its start.
    pub setup: Setup,
    /// Where it is.
    pub state: State,
    /// True until it has ended.
    pub open: bool,
    /// The number of its last move, from 1.
    pub moves: i64,
    /// When it was started.
    pub created: Timestamp,
    /// When it moved last.
    pub changed: Timestamp,
    /// The audit event of that.
    pub event: i64,
    /// Why it stands where it does.
    pub reason: String,
}

impl Rollout {
    /// What commands call it: enough of its id.
    pub fn short(&self) -> &str {
        short(&self.uid)
    }
}

/// So much of an id tells rollouts of one state apart: its end is random.
const SHORT: usize = 8;

/// The end of an id.
pub fn short(uid: &str) -> &str {
    uid.get(uid.len().saturating_sub(SHORT)..).unwrap_or(uid)
}

/// Something that was decided.
#[derive(Clone, Debug, PartialEq)]
pub struct MoveRow {
    /// Its number, from 1.
    pub seq: i64,
    /// What happened.
    pub what: String,
    /// Why.
    pub reason: String,
    /// The state after it.
    pub state: State,
    /// What the judge found, when it decided.
    pub judgement: Option<Judgement>,
    /// When.
    pub at: Timestamp,
    /// By whom: a pseudonym.
    pub actor: String,
    /// The audit event.
    pub event: i64,
}

/// A window of time, with the step that it belongs to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// The attempt.
    pub attempt: u64,
    /// The step, from 0.
    pub step: usize,
    /// What was counted.
    pub window: Window,
    /// What the source had and could not be used, in words.
    pub left_out: Vec<String>,
}

/// How long answers took in a window: (end of the bucket in seconds, how many).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// The stable version's.
    pub stable: Vec<(f64, u64)>,
    /// The canary's.
    pub canary: Vec<(f64, u64)>,
}

/// Something that was seen between two moves.
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    /// Its number; of a window also the window's.
    pub id: i64,
    /// The move that it follows.
    pub base: i64,
    /// When.
    pub at: Timestamp,
    /// The state after it.
    pub state: State,
    /// What it was.
    pub reason: String,
    /// Where its window begins, when it is one.
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

/// JSON as a row keeps it.
///
/// # Errors
/// Never for what a rollout is made of.
pub(super) fn text<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).context(|| "cannot write a rollout as JSON")
}

fn read<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Result<T> {
    let text = row.text(column)?;
    serde_json::from_str(text).context(|| "a rollout cannot be read").hint(|| "run `kf fsck`".to_owned())
}

fn read_opt<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Result<Option<T>> {
    row.opt_text(column)?.is_some().then(|| read(row, column)).transpose()
}

const ROLLOUT: &str = "SELECT r.uid, r.setup, COALESCE(t.state, r.state), r.open, r.moves, r.created, r.changed, r.event, \
     COALESCE(t.reason, m.reason, '') FROM rollout r \
     LEFT JOIN rollout_move m ON m.rollout = r.uid AND m.seq = r.moves \
     LEFT JOIN rollout_tick t ON t.rollout = r.uid AND t.id = \
     (SELECT MAX(l.id) FROM rollout_tick l WHERE l.rollout = r.uid AND l.base = r.moves)";

fn rollout(row: &Row<'_>) -> Result<Rollout> {
    Ok(Rollout {
        uid: row.text(0)?.to_owned(),
        setup: read(row, 1)?,
        state: read(row, 2)?,
        open: row.int(3)? != 0,
        moves: row.int(4)?,
        created: row.time(5)?,
        changed: row.time(6)?,
        event: row.int(7)?,
        reason: row.text(8)?.to_owned(),
    })
}

/// A rollout by its id.
///
/// # Errors
/// When the state cannot be read; as for all below.
pub fn find(view: View<'_>, uid: &str) -> Result<Option<Rollout>> {
    view.first(&format!("{ROLLOUT} WHERE r.uid = ?1"), values![uid], rollout)
}

/// How many moves a rollout has made: cheap enough to be asked ten times a second.
pub fn moves_made(view: View<'_>, uid: &str) -> Result<i64> {
    view.count("SELECT COALESCE(MAX(moves), 0) FROM rollout WHERE uid = ?1", values![uid])
}

/// Why a rollout was asked for, as whoever started it said.
pub fn asked_for(view: View<'_>, uid: &str) -> Result<Option<String>> {
    said(view, uid, 1)
}

/// Why a person ordered this move, in their words; `None` when nobody did, or said nothing.
pub fn said(view: View<'_>, uid: &str, seq: i64) -> Result<Option<String>> {
    let sql = "SELECT o.value FROM rollout_move m JOIN opening o ON o.seq = m.event AND o.field = 'reason' WHERE m.rollout = ?1 AND m.seq = ?2";
    let said = view.first(sql, values![uid, seq], |r| r.opened(0))?;
    Ok(said.flatten())
}

/// The rollouts that have not ended, the oldest first.
pub fn open(view: View<'_>) -> Result<Vec<Rollout>> {
    view.all(&format!("{ROLLOUT} WHERE r.open = 1 ORDER BY r.created, r.uid"), &[], rollout)
}

/// The newest rollouts, of a model when one is named, the newest first.
pub fn newest(view: View<'_>, model: Option<&Name>, limit: u32) -> Result<Vec<Rollout>> {
    let model = model.map(Name::as_str);
    let order = "ORDER BY r.created DESC, r.uid DESC LIMIT ?1";
    match model {
        None => view.all(&format!("{ROLLOUT} {order}"), values![limit], rollout),
        Some(model) => view.all(&format!("{ROLLOUT} WHERE r.model = ?2 {order}"), values![limit, model], rollout),
    }
}

/// The versions that the newest rollout of a model on a target could not stop.
pub fn left(view: View<'_>, model: &Name, target: &Name) -> Result<Vec<Arm>> {
    let sql = format!("{ROLLOUT} WHERE r.model = ?1 AND r.target = ?2 ORDER BY r.created DESC, r.uid DESC LIMIT 1");
    let newest = view.first(&sql, values![model.as_str(), target.as_str()], rollout)?;
    Ok(newest.map_or_else(Vec::new, |newest| newest.state.left))
}

/// The rollout that a person means: by a model's name the one that has not ended or else its newest, by an id or its end that
/// one, by nothing the only one that has not ended, or else the newest.
///
/// # Errors
/// When there is none, or there are several.
pub fn select(view: View<'_>, named: Option<&str>) -> Result<Rollout> {
    let Some(named) = named else {
        let mut open = open(view)?;
        return match (open.len(), newest(view, None, 1)?.pop()) {
            (0, Some(newest)) => Ok(newest),
            (1, _) => Ok(open.remove(0)),
            (0, None) => Err(Error::new("there is no rollout yet").hint("`kf canary start NAME@VERSION` starts one")),
            _ => {
                let all: Vec<String> = open.iter().map(|r| format!("`{}` ({})", r.short(), r.setup.reference())).collect();
                Err(Error::usage(format!("{} rollouts are under way", all.len())).hint(format!("name one of {}", all.join(", "))))
            }
        };
    };
    if let Ok(model) = named.parse::<Name>() {
        let all = newest(view, Some(&model), 20)?;
        let at = all.iter().position(|r| r.open).unwrap_or(0);
        if let Some(found) = all.into_iter().nth(at) {
            return Ok(found);
        }
    }
    let all = newest(view, None, 1000)?;
    let models: Vec<String> = all.iter().map(|r| r.setup.model.to_string()).collect();
    let mut found = all.into_iter().filter(|r| named.len() >= 4 && r.uid.ends_with(named));
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) => Err(Error::usage(format!("several rollouts end with `{named}`")).hint("write more of the id")),
        _ => {
            let hint = did_you_mean(named, models.iter().map(String::as_str));
            let hint = hint.unwrap_or_else(|| "`kf canary history` lists all; name a model or the end of an id".to_owned());
            Err(Error::new(format!("there is no rollout `{}`", crate::base::text::visible(named, 60))).hint(hint))
        }
    }
}

/// Everything that was decided in a rollout, the oldest first.
pub fn moves(view: View<'_>, uid: &str) -> Result<Vec<MoveRow>> {
    let sql = "SELECT seq, what, reason, state, judgement, at, actor, event FROM rollout_move WHERE rollout = ?1 ORDER BY seq";
    view.all(sql, values![uid], |row| {
        Ok(MoveRow {
            seq: row.int(0)?,
            what: row.text(1)?.to_owned(),
            reason: row.text(2)?.to_owned(),
            state: read(row, 3)?,
            judgement: read_opt(row, 4)?,
            at: row.time(5)?,
            actor: row.text(6)?.to_owned(),
            event: row.int(7)?,
        })
    })
}

const TICK: &str =
    "SELECT id, base, at, state, reason, since, upto, cursor, figures, judgement, latency FROM rollout_tick WHERE rollout = ?1";

fn tick(row: &Row<'_>) -> Result<Tick> {
    let time = |column| Ok(row.opt_int(column)?.map(Timestamp::from_micros));
    Ok(Tick {
        id: row.int(0)?,
        base: row.int(1)?,
        at: row.time(2)?,
        state: read(row, 3)?,
        reason: row.text(4)?.to_owned(),
        since: time(5)?,
        upto: time(6)?,
        cursor: row.opt_text(7)?.map(str::to_owned),
        seen: read_opt(row, 8)?,
        judgement: read_opt(row, 9)?,
        latency: read_opt(row, 10)?,
    })
}

/// The windows of an attempt, the oldest first.
pub fn windows(view: View<'_>, uid: &str, attempt: u64) -> Result<Vec<Tick>> {
    let all = view.all(&format!("{TICK} AND figures IS NOT NULL ORDER BY id"), values![uid], tick)?;
    Ok(all.into_iter().filter(|t| t.seen.as_ref().is_some_and(|s| s.attempt == attempt)).collect())
}

/// The end of the last window after a move, or where its first one begins.
pub fn last_mark(view: View<'_>, uid: &str, base: i64) -> Result<Option<Tick>> {
    let sql = format!("{TICK} AND base = ?2 AND upto IS NOT NULL ORDER BY id DESC LIMIT 1");
    view.first(&sql, values![uid, base], tick)
}

/// What is written down where a window begins as it should.
pub const BEGINS: &str = "a window begins";

/// When a window began because the one before could not be told, and why, the oldest first.
pub fn gaps(view: View<'_>, uid: &str) -> Result<Vec<(Timestamp, String)>> {
    let sql = "SELECT at, reason FROM rollout_tick WHERE rollout = ?1 AND upto IS NOT NULL AND figures IS NULL AND reason <> ?2 ORDER BY id";
    view.all(sql, values![uid, BEGINS], |row| Ok((row.time(0)?, row.text(1)?.to_owned())))
}

/// The newest window of a rollout.
pub fn last_window(view: View<'_>, uid: &str) -> Result<Option<Tick>> {
    view.first(&format!("{TICK} AND figures IS NOT NULL ORDER BY id DESC LIMIT 1"), values![uid], tick)
}
