//! `kf status`: one screen: what stands where, what waits, whether the log was checked.

use super::canary::glance::{TakenBack, UnderWay};
use super::canary::next::Here;
use super::version_doc::VersionDoc;
use crate::base::error::Result;
use crate::base::exit::Exit;
use crate::base::name::{Name, Stage};
use crate::base::table::Table;
use crate::base::text::count;
use crate::base::time::Timestamp;
use crate::base::verdict::Verdict;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::config::Project;
use crate::domain::alert::table::counts;
use crate::domain::drift::anomaly::Severity;
use crate::domain::drift::policy::Status as Band;
use crate::domain::drift::table as drift;
use crate::domain::ingest::table::{Scope, Tenant};
use crate::domain::monitor::table as monitor;
use crate::domain::monitor::watch::title;
use crate::domain::registry::table;
use crate::release::backup::health::{in_a_line, told};
use crate::release::emergency::apart::{self, Apart};
use crate::release::gates;
use crate::store::{self, Mode, View, log};
use serde::Serialize;

/// Show models by stage, gates that wait, rollouts, and the state of the audit log
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf status\n  kf status --format json\n\nExits 3 while the state does not know of an emergency rollback, or users have another version than the registry says since one."
)]
pub(crate) struct Args {}

#[derive(Serialize)]
struct Waiting {
    version: VersionDoc,
    to: Stage,
    verdict: Verdict,
    /// How many gates guard that stage.
    gates: usize,
    open: Vec<String>,
    /// True when users had it, and it was taken back.
    #[serde(skip)]
    is_back: bool,
}

#[derive(Serialize)]
struct AuditState {
    origin: String,
    size: u64,
    signed: Option<u64>,
}

/// How a drift stands.
#[derive(Serialize)]
struct DriftState {
    name: Name,
    model: Name,
    /// Of its newest check; absent before the first.
    verdict: Option<Band>,
    checked: Option<Timestamp>,
    open_actions: usize,
    overdue: usize,
}

/// A metric that is unusual or beyond its limit.
#[derive(Serialize)]
struct OpenEpisode {
    metric: String,
    severity: Severity,
    since: Timestamp,
}

/// Episodes that are named in one line.
const NAMED: usize = 3;

/// What tenants' documents come to in all.
#[derive(Serialize)]
pub(super) struct Documents {
    tenants: usize,
    collections: usize,
    documents: i64,
    refused: i64,
    chunks: i64,
}

#[derive(Serialize)]
struct Status {
    project: String,
    state: String,
    moved_to: Option<String>,
    models: usize,
    versions: Vec<VersionDoc>,
    waiting: Vec<Waiting>,
    /// Those that have not ended, the oldest first.
    rollouts: Vec<UnderWay>,
    /// Versions whose rollout ended without them.
    taken_back: Vec<TakenBack>,
    drift: Vec<DriftState>,
    episodes: Vec<OpenEpisode>,
    documents: Documents,
    alerts: Alerts,
    /// What is wrong with backups, as the log tells; absent when nothing is, or nothing says where they go.
    #[serde(skip_serializing_if = "Option::is_none")]
    backup: Option<String>,
    audit: AuditState,
    /// Rollbacks past the state that it does not know of yet.
    emergencies: usize,
    /// Targets whose users have another version than the registry says since such a rollback.
    apart: Vec<Apart>,
}

/// What people were not told yet.
#[derive(Serialize)]
struct Alerts {
    waiting: i64,
    failed: i64,
}

/// How long a message that nobody took is told of here, in microseconds: a week.
const FAILED_SHOWN: i64 = 7 * 86_400_000_000;

impl Report for Status {
    const SCHEMA: &'static str = "kf.status/1";

    fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = vec![format!("{}  ({})", self.project, self.state).into()];
        if let Some(place) = &self.moved_to {
            let words =
                format!("This state was moved to {place}: what follows is how it was then. Set `state.url` in mlops.toml.");
            blocks.push(words.into());
        }
        if self.versions.is_empty() {
            blocks.push("No models yet: `kf register NAME PATH` registers a first version.".into());
        } else {
            let mut t = Table::new(&["model", "production", "staging", "newest"]);
            // By model, the newest first.
            for versions in self.versions.chunk_by(|a, b| a.name == b.name) {
                let of = |stage: Stage| {
                    let all = versions.iter().filter(|v| v.stage == stage);
                    all.map(|v| v.version.to_string()).collect::<Vec<_>>().join(", ")
                };
                let newest = versions.first().map(|v| format!("{} ({})", v.version, v.stage)).unwrap_or_default();
                let name = versions.first().map(|v| v.name.to_string()).unwrap_or_default();
                t.row([name, of(Stage::Production), of(Stage::Staging), newest]);
            }
            blocks.push(t.into());
        }
        // Of a version that was taken back it matters what came of it, and not that its gates let it through.
        let waiting = self.waiting.iter().filter(|w| !(w.open.is_empty() && w.is_back));
        let mut lines: Vec<String> = waiting.map(Waiting::words).collect();
        let rollouts = self.rollouts.iter().map(UnderWay::words).chain(self.taken_back.iter().map(TakenBack::words));
        lines.extend(rollouts.map(|[what, next]| format!("rollout {what}\n        {next}")));
        lines.extend(self.drift.iter().map(|drift| format!("drift   {}", drift.words())));
        lines.extend(OpenEpisode::words(&self.episodes).map(|words| format!("monitor {words}")));
        lines.extend(self.documents.words().map(|words| format!("search  {words}")));
        if self.alerts.waiting + self.alerts.failed > 0 {
            let Alerts { waiting, failed } = self.alerts;
            lines.push(format!("alerts  {waiting} waiting, {failed} failed: `kf alert list` tells why"));
        }
        lines.extend(self.backup.iter().map(|wrong| format!("backup  {wrong}")));
        if self.emergencies > 0 {
            let what = count(self.emergencies, "emergency rollback");
            lines.push(format!("red     {what} not in the state yet: `.kf/emergency` tells what was done"));
        }
        lines.extend(self.apart.iter().map(|apart| format!("red     {}\n        {}", apart.words(), apart.next())));
        lines.push(format!(
            "audit   {}{}",
            count(usize::try_from(self.audit.size).unwrap_or(usize::MAX), "event"),
            self.audit.signed_words()
        ));
        blocks.push(lines.join("\n").into());
        blocks
    }

    fn summary(&self) -> String {
        format!("{}, {} waiting", count(self.models, "model"), self.waiting.len())
    }

    fn exit(&self) -> Exit {
        if self.emergencies + self.apart.len() > 0 { Exit::No } else { Exit::Ok }
    }
}

impl Waiting {
    /// One line.
    fn words(&self) -> String {
        let why = match (self.gates, self.open.join(", ")) {
            (0, _) => "no gate is configured, so nothing is checked: `[gates.NAME]` in mlops.toml".to_owned(),
            (_, open) if open.is_empty() => "every gate passes".to_owned(),
            (_, open) => format!("{} on {open}", self.verdict),
        };
        format!("gates   {} → {}: {why}", self.version.reference(), self.to)
    }
}

impl DriftState {
    /// Of every name that has a baseline.
    fn all(view: View<'_>, now: Timestamp) -> Result<Vec<Self>> {
        let pending = drift::pending(view)?;
        // The newest of each name comes first.
        let mut baselines = drift::baselines(view)?;
        baselines.dedup_by(|a, b| a.name == b.name);
        let state = |baseline: drift::BaselineRow| {
            let check = drift::checks(view, &baseline.name, 1)?.pop();
            let own = || pending.iter().filter(|action| action.name == baseline.name);
            Ok(Self {
                verdict: check.as_ref().map(|check| check.verdict),
                checked: check.map(|check| check.at),
                open_actions: own().count(),
                overdue: own().filter(|action| action.due.is_some_and(|due| due < now)).count(),
                model: baseline.model,
                name: baseline.name,
            })
        };
        baselines.into_iter().map(state).collect()
    }

    /// One line.
    fn words(&self) -> String {
        let said = match (self.verdict, self.checked) {
            (Some(verdict), Some(at)) => format!("{verdict} on {at}"),
            _ => "not checked yet".to_owned(),
        };
        let due = match (self.open_actions, self.overdue) {
            (0, _) => String::new(),
            (open, 0) => format!(", {} to be done", count(open, "action")),
            (open, overdue) => format!(", {} to be done, {overdue} overdue: `kf drift due`", count(open, "action")),
        };
        format!("{}: {said}{due}", self.name)
    }
}

impl OpenEpisode {
    /// The heaviest first, of these the oldest.
    fn all(view: View<'_>) -> Result<Vec<Self>> {
        let open = monitor::open(view)?.into_iter();
        let mut all: Vec<Self> =
            open.map(|e| Self { metric: title(&e.name, &e.labels), severity: e.severity, since: e.since }).collect();
        all.sort_by_key(|e| (std::cmp::Reverse(e.severity), e.since));
        Ok(all)
    }

    /// One line; `None` when there are none.
    fn words(all: &[Self]) -> Option<String> {
        let named: Vec<String> =
            all.iter().take(NAMED).map(|e| format!("{} ({} since {})", e.metric, e.severity, e.since)).collect();
        let rest = if all.len() > NAMED { ", …" } else { "" };
        let open = count(all.len(), "episode");
        (!all.is_empty()).then(|| format!("{open} open: {}{rest}: `kf monitor status`", named.join(", ")))
    }
}

impl Documents {
    /// Of all tenants.
    pub(super) fn read(view: View<'_>) -> Result<Self> {
        let tenants = Tenant::all(view)?;
        let mut all = Self { tenants: tenants.len(), collections: 0, documents: 0, refused: 0, chunks: 0 };
        for tenant in tenants {
            for scope in Scope::all(view, &tenant.name)? {
                let totals = scope.totals(view)?;
                all.collections += 1;
                all.documents += totals.documents;
                all.refused += totals.refused.values().sum::<i64>();
                all.chunks += totals.chunks;
            }
        }
        Ok(all)
    }

    /// One line; `None` when there are none.
    pub(super) fn words(&self) -> Option<String> {
        let n = |n: i64, what: &str| count(usize::try_from(n).unwrap_or(0), what);
        (self.collections > 0).then(|| {
            format!(
                "{} in {} of {}, {}, {} refused",
                n(self.documents, "document"),
                count(self.collections, "collection"),
                count(self.tenants, "tenant"),
                n(self.chunks, "chunk"),
                self.refused
            )
        })
    }
}

impl AuditState {
    fn signed_words(&self) -> String {
        match self.signed {
            None => ", unsigned: `kf audit key --generate` makes a key that signs them".to_owned(),
            Some(n) if n == self.size => ", all signed".to_owned(),
            Some(n) => format!(", signed up to {n}: `kf audit checkpoint` signs the rest where the key is"),
        }
    }
}

/// Whether a target is still said: nobody is served by one that is not.
fn splits(project: &Project, apart: &Apart) -> bool {
    project.target.iter().any(|t| t.name == apart.target && t.model == apart.model)
}

pub(crate) fn run(cx: &Cx, _: &Args) -> Result<Exit> {
    let loaded = cx.project()?;
    let store = cx.store(Mode::Read)?;
    let here = Here::of(cx, &store)?;
    let report = store.read(|view| {
        let rows = table::overview(view)?;
        let (taken_back, back) = TakenBack::all(view, &rows, &here)?;
        let mut waiting = Vec::new();
        for row in rows.iter().filter(|r| r.stage == Stage::Staging) {
            let judged = gates::judge_all(view, &loaded.project, &loaded.root, row, Stage::Production, &[])?;
            let (verdict, gates) = (gates::overall(&judged), judged.len());
            let open = judged.into_iter().filter(|j| j.verdict != Verdict::Pass).map(|j| j.gate).collect();
            let is_back = back.contains(&row.id);
            waiting.push(Waiting { version: row.into(), to: Stage::Production, verdict, gates, open, is_back });
        }
        let (unsent, failed) = counts(view, store.now().plus_micros(-FAILED_SHOWN))?;
        let head = log::head(view.db())?;
        let signed = log::signed_size(view.db())?;
        Ok(Status {
            project: loaded.project.project.name.to_string(),
            state: store.describe(),
            moved_to: store::meta(view.db(), store::META_MOVED_TO)?,
            models: table::models(view)?.len(),
            versions: rows.iter().map(VersionDoc::from).collect(),
            waiting,
            rollouts: UnderWay::all(view, &here)?,
            taken_back,
            drift: DriftState::all(view, store.now())?,
            episodes: OpenEpisode::all(view)?,
            documents: Documents::read(view)?,
            alerts: Alerts { waiting: unsent, failed },
            backup: in_a_line(&told(view, &loaded.project.backup, store.now())?),
            audit: AuditState { origin: head.origin.clone(), size: head.frontier.size(), signed },
            emergencies: super::emergency::waiting(cx)?,
            apart: apart::all(view)?.into_iter().filter(|a| splits(&loaded.project, a)).collect(),
        })
    })?;
    cx.out.emit(&report)
}
