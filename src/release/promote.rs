//! Promoting a version: policy first, then the stage's gates, then the move, in one transaction with its event. A refusal is an
//! event too.

use super::freeze::{Frozen, frozen};
use super::{attest, gates};
use crate::base::error::{Error, Kind, Result};
use crate::base::event::{Event, Outcome};
use crate::base::name::Stage;
use crate::base::reference::Reference;
use crate::base::text::ellipsis;
use crate::base::verdict::Verdict;
use crate::base::version::Version;
use crate::config::{OnInconclusive, Project};
use crate::domain::eval::gate::Judged;
use crate::domain::registry::change::{self, Move, Way, move_to};
use crate::domain::registry::table::{self, VersionRow};
use crate::store::{Tx, View};
use serde_json::{Map, Value, json};
use std::path::Path;

/// What is asked for.
pub struct Request<'a> {
    /// The version.
    pub reference: &'a Reference,
    /// Where to: staging or production.
    pub to: Stage,
    /// Whether the version's files are what was registered.
    pub files: &'a dyn Fn(&VersionRow) -> Result<()>,
    /// True when regression gates may stay open because nothing is in production to compare with.
    pub first_release: bool,
    /// The version that must be in that stage now.
    pub expect: Option<Version>,
    /// The ticket.
    pub ticket: Option<&'a str>,
    /// The reason.
    pub reason: Option<&'a str>,
}

/// What came of it.
pub struct Promotion {
    /// The version, as it stands now.
    pub version: VersionRow,
    /// Where it stood.
    pub from: Stage,
    /// The gates with their verdicts.
    pub gates: Vec<Judged>,
    /// The verdict over all gates.
    pub verdict: Verdict,
    /// True when the version moved.
    pub changed: bool,
    /// The version that left production for it.
    pub replaced: Option<VersionRow>,
    /// The audit event of the move or the refusal.
    pub event: Option<i64>,
    /// What keeps the model where it is, whatever its gates say.
    pub frozen: Vec<Frozen>,
    /// Why nothing was judged: what it would rest on is not what the audit log recorded.
    pub broken: Option<Error>,
}

/// What a promotion comes to, before anything is written.
struct Plan {
    version: VersionRow,
    gates: Vec<Judged>,
    verdict: Verdict,
    frozen: Vec<Frozen>,
    step: Step,
}

enum Step {
    /// The version is there already.
    Stay,
    /// The gates let it move; what its event says.
    Move(Map<String, Value>),
    /// The gates do not; what the event of the refusal says.
    Refuse(Map<String, Value>),
    /// What it would rest on is not what the audit log recorded.
    Distrust(Error),
}

/// The version that would move as things stand: its files are best read before the writer's lock is taken.
///
/// # Errors
/// Those of [`promote`].
pub fn moving(view: View<'_>, project: &Project, root: &Path, request: &Request<'_>) -> Result<Option<VersionRow>> {
    let plan = plan(view, project, root, request)?;
    Ok(matches!(plan.step, Step::Move(_)).then_some(plan.version))
}

/// Judges the gates and moves the version when they let it.
///
/// # Errors
/// When the reference names nothing, policy forbids the way, or the stage is not as expected. A gate that says no is no error.
pub fn promote(tx: &Tx<'_>, project: &Project, root: &Path, request: &Request<'_>) -> Result<Promotion> {
    let Plan { version, gates, verdict, frozen, step } = plan(tx.view(), project, root, request)?;
    let from = version.stage;
    let (event, detail) = match step {
        Step::Stay => (None, None),
        Step::Refuse(detail) => (Some(refusal(tx, &version, request, detail)), None),
        Step::Distrust(e) => return Ok(distrust(tx, version, request, e)),
        Step::Move(detail) => (None, Some(detail)),
    };
    let Some(detail) = detail else {
        return Ok(Promotion { version, from, gates, verdict, changed: false, replaced: None, event, frozen, broken: None });
    };
    match (request.files)(&version) {
        Err(e) if e.kind() == Kind::Broken => return Ok(distrust(tx, version, request, e)),
        files => files?,
    }
    let change = Move { way: Way::Promote, to: request.to, ticket: request.ticket, reason: request.reason, detail };
    let moved = move_to(tx, &version, &change)?;
    let version = table::version_by_id(tx.view(), version.id)?.unwrap_or(version);
    let event = Some(moved.event);
    Ok(Promotion { version, from, gates, verdict, changed: true, replaced: moved.replaced, event, frozen, broken: None })
}

/// Whether a promotion would be refused as things stand, which is then recorded; `None` when the version may move.
///
/// # Errors
/// Those of [`promote`], and when the version is there already.
pub fn refused(tx: &Tx<'_>, project: &Project, root: &Path, request: &Request<'_>) -> Result<Option<Promotion>> {
    let Plan { version, gates, verdict, frozen, step } = plan(tx.view(), project, root, request)?;
    let from = version.stage;
    let event = match step {
        Step::Stay => return Err(Error::new(format!("{} is in {} already", version.reference(), request.to))),
        Step::Move(_) => return Ok(None),
        Step::Distrust(e) => return Ok(Some(distrust(tx, version, request, e))),
        Step::Refuse(detail) => Some(refusal(tx, &version, request, detail)),
    };
    Ok(Some(Promotion { version, from, gates, verdict, changed: false, replaced: None, event, frozen, broken: None }))
}

fn plan(view: View<'_>, project: &Project, root: &Path, request: &Request<'_>) -> Result<Plan> {
    let version = table::resolve(view, request.reference)?;
    expect(view, &version, request)?;
    if version.stage == request.to {
        return Ok(Plan { version, gates: Vec::new(), verdict: Verdict::Pass, frozen: Vec::new(), step: Step::Stay });
    }
    allowed(project, &version, request)?;
    let judged = attest::version(view, &version).and_then(|()| gates::judge_all(view, project, root, &version, request.to, &[]));
    let gates = match judged {
        Err(e) if e.kind() == Kind::Broken => {
            return Ok(Plan { version, gates: Vec::new(), verdict: Verdict::Fail, frozen: Vec::new(), step: Step::Distrust(e) });
        }
        judged => judged?,
    };
    let frozen = frozen(view, &version.name)?;
    let verdict = if frozen.is_empty() { gates::overall(&gates) } else { Verdict::Fail };
    let passes = match verdict {
        Verdict::Pass => true,
        Verdict::Fail => false,
        Verdict::Inconclusive => {
            project.policy.inconclusive == OnInconclusive::Allow || (request.first_release && only_first_release_is_open(&gates))
        }
    };
    let mut detail = Map::new();
    detail.insert("gates".into(), Value::Array(gates.iter().map(gate_fact).collect()));
    if passes && verdict == Verdict::Inconclusive {
        let by = if project.policy.inconclusive == OnInconclusive::Allow { "policy.inconclusive" } else { "first-release" };
        detail.insert("waived".into(), json!(by));
    }
    if !frozen.is_empty() {
        detail.insert("frozen".into(), json!(frozen.iter().map(|f| &f.action).collect::<Vec<_>>()));
    }
    let step = if passes { Step::Move(detail) } else { Step::Refuse(detail) };
    Ok(Plan { version, gates, verdict, frozen, step })
}

/// Records a refusal.
fn refusal(tx: &Tx<'_>, version: &VersionRow, request: &Request<'_>, detail: Map<String, Value>) -> i64 {
    let mut event = Event::new("version.promotion-refused", change::resource(version))
        .outcome(Outcome::Denied)
        .because(request.ticket, request.reason);
    event.detail = detail;
    tx.record(event.with("from", version.stage.word()).with("to", request.to.word()))
}

/// Refuses, and records why, when what the promotion would rest on was changed behind the log's back.
fn distrust(tx: &Tx<'_>, version: VersionRow, request: &Request<'_>, broken: Error) -> Promotion {
    let detail = Map::from_iter([("broken".to_owned(), json!(ellipsis(&broken.to_string(), BROKEN_MAX)))]);
    let event = Some(refusal(tx, &version, request, detail));
    let (from, verdict, broken) = (version.stage, Verdict::Fail, Some(broken));
    Promotion { version, from, gates: Vec::new(), verdict, changed: false, replaced: None, event, frozen: Vec::new(), broken }
}

/// How much of what is broken the event says, in characters.
const BROKEN_MAX: usize = 1000;

/// True when nothing but the lack of a production version leaves gates open: a first release has nothing to be compared with.
fn only_first_release_is_open(judged: &[Judged]) -> bool {
    judged.iter().all(|j| j.verdict == Verdict::Pass || j.first_release)
}

fn gate_fact(j: &Judged) -> Value {
    json!({
        "gate": j.gate,
        "metric": j.metric,
        "evaluation": j.evaluation,
        "dataset": j.dataset,
        "against": j.against,
        "measured": j.measured.map(|v| v.to_string()),
        "low": j.low.map(|v| v.to_string()),
        "high": j.high.map(|v| v.to_string()),
        "threshold": j.threshold,
        "verdict": j.verdict,
        "n": j.n,
    })
}

fn expect(view: View<'_>, version: &VersionRow, request: &Request<'_>) -> Result<()> {
    let Some(expected) = request.expect else { return Ok(()) };
    let stage = Reference { name: version.name.clone(), selector: crate::base::reference::Selector::Stage(request.to) };
    let now = table::resolve(view, &stage).ok();
    if now.as_ref().map(|v| v.version) == Some(expected) {
        return Ok(());
    }
    let found = now.map_or("nothing".to_owned(), |v| v.reference());
    Err(Error::new(format!("expected {}@{expected} in {}, found {found}", version.name, request.to))
        .hint(format!("somebody changed it meanwhile: look at `kf history {}` before trying again", version.name)))
}

fn allowed(project: &Project, version: &VersionRow, request: &Request<'_>) -> Result<()> {
    let reference = version.reference();
    if !matches!(request.to, Stage::Staging | Stage::Production) {
        return Err(Error::usage(format!("nothing is promoted to {}", request.to))
            .hint("promote to staging or production; `kf archive` and `kf restore` do the rest"));
    }
    if version.stage == Stage::Archived {
        return Err(Error::new(format!("{reference} is archived")).hint(format!(
            "bring it back first: `kf restore {reference}`, or put a former production version back: `kf rollback {}`",
            version.name
        )));
    }
    if version.stage == Stage::Production {
        return Err(Error::new(format!("{reference} is in production and cannot go back to {}", request.to))
            .hint(format!("`kf rollback {}` puts the version before it back", version.name)));
    }
    if request.to == Stage::Production && version.stage != Stage::Staging && !project.policy.skip_staging {
        return Err(Error::new(format!("{reference} is in {}, and production takes versions from staging only", version.stage))
            .hint(format!("run `kf promote {reference} --to staging` first, or set `policy.skip-staging = true`")));
    }
    // `--ticket "$TICKET"` of a script whose variable is empty names none.
    if request.ticket.is_none_or(|t| t.trim().is_empty()) && project.policy.require_ticket.contains(&request.to) {
        return Err(Error::usage(format!("policy asks for a ticket to promote to {}", request.to)).hint("add `--ticket ID`"));
    }
    if project.policy.require_clean_git && version.git.as_ref().is_none_or(|g| g.dirty) {
        return Err(Error::new(format!(
            "{reference} was not registered from a clean Git commit, as `policy.require-clean-git` asks"
        ))
        .hint("commit the changes and register the version again"));
    }
    Ok(())
}
