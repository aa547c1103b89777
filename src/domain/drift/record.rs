//! Changes of the rows of drift, each with its event.
//!
//! Events of baselines are about their version, of checks about the name of the drift, of actions about their model: what keeps a
//! model from being promoted is found by its name.

use super::action::{ActionState, Step};
use super::policy::Status;
use super::report::File;
use super::table::ActionRow;
use super::verdict::Judgement;
use crate::base::digest::Digest;
use crate::base::error::{Error, Result};
use crate::base::event::{Event, Resource};
use crate::base::name::Name;
use crate::base::time::Timestamp;
use crate::config::ActionKind;
use crate::domain::registry::change::resource;
use crate::domain::registry::table::VersionRow;
use crate::store::check::rows::real;
use crate::store::{Tx, values};
use serde_json::{Map, Value, json};

/// An object that was stored.
#[derive(Clone, Copy, Debug)]
pub struct Object {
    /// Its digest.
    pub digest: Digest,
    /// Its bytes.
    pub bytes: u64,
}

/// A baseline that is to be recorded.
#[derive(Clone, Debug)]
pub struct NewBaseline<'a> {
    /// The name of the drift.
    pub name: &'a Name,
    /// The version that was accepted on it.
    pub version: &'a VersionRow,
    /// The object of its profiles.
    pub profile: Object,
    /// Over its files.
    pub data: Digest,
    /// Its files.
    pub files: &'a [File],
    /// Rows.
    pub rows: u64,
    /// Columns.
    pub columns: usize,
}

/// Numbers of the log are at most 2^53; rows and bytes are fewer.
fn int(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Records a baseline and gives its id and its event.
///
/// # Errors
/// When the state cannot be written; as for all below.
pub fn baseline(tx: &Tx<'_>, new: &NewBaseline<'_>) -> Result<(String, i64)> {
    let uid = tx.uuid().to_string();
    let event = tx.record(
        Event::new("drift.baseline-set", resource(new.version))
            .with("baseline", uid.as_str())
            .with("name", new.name.as_str())
            .with("profile", json!({"digest": new.profile.digest, "bytes": new.profile.bytes}))
            .with("data", json!(new.data))
            .with("files", json!(new.files))
            .with("rows", new.rows)
            .with("columns", new.columns),
    );
    tx.execute(
        "INSERT INTO baseline (uid, name, version, profile, profile_bytes, data, row_count, column_count, created, actor, event) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        values![
            &uid,
            new.name.as_str(),
            new.version.id,
            new.profile.digest,
            int(new.profile.bytes),
            new.data,
            int(new.rows),
            int(new.columns as u64),
            tx.now(),
            tx.pseudonym()?,
            event
        ],
    )?;
    Ok((uid, event))
}

/// A check that is to be recorded.
#[derive(Clone, Debug)]
pub struct NewCheck<'a> {
    /// The name of the drift.
    pub name: &'a Name,
    /// The id of its baseline.
    pub baseline: &'a str,
    /// Over its files.
    pub data: Digest,
    /// Its files.
    pub files: &'a [File],
    /// Rows.
    pub rows: u64,
    /// What was found, as an object.
    pub report: Object,
    /// What was said.
    pub judgement: &'a Judgement,
}

/// A check that was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Its id.
    pub uid: String,
    /// Its event.
    pub event: i64,
    /// When.
    pub at: Timestamp,
}

/// Records a check.
pub fn check(tx: &Tx<'_>, new: &NewCheck<'_>) -> Result<Recorded> {
    let uid = tx.uuid().to_string();
    let verdict = new.judgement.status.weight();
    let figure = |c: &super::verdict::Judged| json!([c.name, c.status, real(c.figures.psi), c.figures.n_cur]);
    let event = tx.record(
        Event::new("drift.checked", Resource::new("drift", new.name.as_str()))
            .with("check", uid.as_str())
            .with("baseline", new.baseline)
            .with("data", json!(new.data))
            .with("files", json!(new.files))
            .with("rows", new.rows)
            .with("verdict", verdict.word())
            .with("report", json!({"digest": new.report.digest, "bytes": new.report.bytes}))
            .with("figures", new.judgement.columns.iter().map(figure).collect::<Vec<_>>()),
    );
    tx.execute(
        "INSERT INTO drift_check (uid, name, baseline, data, row_count, verdict, report, report_bytes, created, actor, event) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        values![
            &uid,
            new.name.as_str(),
            new.baseline,
            new.data,
            int(new.rows),
            verdict.word(),
            new.report.digest,
            int(new.report.bytes),
            tx.now(),
            tx.pseudonym()?,
            event
        ],
    )?;
    let rows =
        new.judgement.columns.iter().enumerate().map(|(pos, c)| {
            values![&uid, int(pos as u64), &c.name, c.status.word(), c.figures.psi, int(c.figures.n_cur)].to_vec()
        });
    tx.insert_all("drift_figure", &["drift_check", "pos", "column_name", "status", "psi", "n"], rows)?;
    Ok(Recorded { uid, event, at: tx.now() })
}

/// Whom an action is about.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The name of the drift.
    pub name: &'a Name,
    /// The model.
    pub model: &'a Name,
    /// Its number in the state.
    pub model_id: i64,
    /// The check that asks for it.
    pub check: &'a Recorded,
}

/// Takes the steps that a verdict led to; what is held back leaves no trace.
pub fn take(tx: &Tx<'_>, about: About<'_>, steps: &[Step]) -> Result<()> {
    for step in steps {
        match step {
            Step::Open { kind, band, due } => open(tx, about, *kind, *band, due.map(|t| t.micros()))?,
            Step::Raise { uid, kind, band, due } => {
                let due = due.map(|t| t.micros());
                let event = Event::new("drift.action-raised", Resource::new("model", about.model.as_str()))
                    .with("action", uid.as_str())
                    .with("kind", kind.word())
                    .with("check", about.check.uid.as_str())
                    .with("band", band.word())
                    .with("due", json!(due));
                let event = tx.record(event);
                let sql = "UPDATE drift_action SET band = ?2, due = ?3, changed = ?4, event = ?5 WHERE uid = ?1";
                tx.execute(sql, values![uid, band.word(), due, tx.now(), event])?;
            }
            Step::Hold { .. } => {}
        }
    }
    Ok(())
}

fn open(tx: &Tx<'_>, about: About<'_>, kind: ActionKind, band: Status, due: Option<i64>) -> Result<()> {
    let uid = tx.uuid().to_string();
    let event = tx.record(
        Event::new("drift.action-opened", Resource::new("model", about.model.as_str()))
            .with("action", uid.as_str())
            .with("name", about.name.as_str())
            .with("check", about.check.uid.as_str())
            .with("kind", kind.word())
            .with("band", band.word())
            .with("due", json!(due)),
    );
    let sql = "INSERT INTO drift_action (uid, name, model, drift_check, kind, band, state, due, attempts, opened, changed, event) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10, ?11)";
    let state = ActionState::Open.word();
    let row = values![
        &uid,
        about.name.as_str(),
        about.model_id,
        &about.check.uid,
        kind.word(),
        band.word(),
        state,
        due,
        0,
        tx.now(),
        event
    ];
    tx.execute(sql, row).map(|_| ())
}

/// What comes of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn<'a> {
    /// Somebody begins to do it again.
    Retried,
    /// It was done.
    Done,
    /// It was tried and failed; says why.
    Failed(&'a str),
    /// Somebody closes it; says why.
    Closed(&'a str),
}

impl Turn<'_> {
    fn action(self) -> &'static str {
        match self {
            Self::Retried => "drift.action-retried",
            Self::Done => "drift.action-done",
            Self::Failed(_) => "drift.action-failed",
            Self::Closed(_) => "drift.action-closed",
        }
    }

    fn state(self) -> ActionState {
        match self {
            Self::Retried => ActionState::Open,
            Self::Done => ActionState::Done,
            Self::Failed(_) => ActionState::Failed,
            Self::Closed(_) => ActionState::Closed,
        }
    }
}

/// The state that an event leaves an action in, and whether it counts as a try; `None` for other events.
pub fn left_by(action: &str) -> Option<(ActionState, bool)> {
    let turns = [Turn::Retried, Turn::Done, Turn::Failed(""), Turn::Closed("")];
    let turn = turns.into_iter().find(|turn| turn.action() == action)?;
    Some((turn.state(), matches!(turn, Turn::Done | Turn::Failed(_))))
}

/// Records what came of an action; nothing when somebody else changed it since it was read.
pub fn turn(tx: &Tx<'_>, action: &ActionRow, turn: Turn<'_>, ticket: Option<&str>) -> Result<bool> {
    let now = super::table::find_action(tx.view(), &action.uid)?;
    if (now.state, now.event) != (action.state, action.event) {
        return Ok(false);
    }
    let mut detail = Map::<String, Value>::new();
    detail.insert("action".into(), json!(action.uid));
    detail.insert("kind".into(), json!(action.kind));
    let reason = match turn {
        Turn::Closed(reason) => Some(reason),
        Turn::Failed(why) => {
            detail.insert("why".into(), json!(why));
            None
        }
        Turn::Retried | Turn::Done => None,
    };
    let mut event = Event::new(turn.action(), Resource::new("model", action.model.as_str())).because(ticket, reason);
    event.detail = detail;
    let event = tx.record(event);
    let tried = i64::from(left_by(turn.action()).is_some_and(|(_, tried)| tried));
    let sql = "UPDATE drift_action SET state = ?2, attempts = attempts + ?3, changed = ?4, event = ?5 WHERE uid = ?1";
    tx.execute(sql, values![&action.uid, turn.state().word(), tried, tx.now(), event])?;
    Ok(true)
}

/// Closes an action.
///
/// # Errors
/// When it is over already.
pub fn close(tx: &Tx<'_>, action: &ActionRow, reason: &str, ticket: Option<&str>) -> Result<()> {
    if action.state.is_over() {
        return Err(Error::new(format!("the action {} is {} since {}", action.uid, action.state, action.changed))
            .hint("`kf drift due` lists those that are open"));
    }
    turn(tx, action, Turn::Closed(reason), ticket).map(|_| ())
}
