//! `kf doctor`: what of this machine kf can use, and what is wrong.

mod programs;

use crate::adapters::process::Program;
use crate::base::error::{Error, Kind, Result};
use crate::base::exit::Exit;
use crate::base::table::Table;
use crate::base::text::count;
use crate::cli::cx::Cx;
use crate::cli::report::{Block, Report};
use crate::commands::ingest::waits;
use crate::commands::status::Documents;
use crate::config::{Alerts, Loaded, VectorEngine};
use crate::domain::ingest::table::{NEO4J, QDRANT, Scope, same_model};
use crate::release::alert::{With, notifier};
use crate::store::db::sqlite_version;
use crate::store::objects::Cover;
use crate::store::vectors::pgvector;
use crate::store::{Mode, Store, View, log, outbox};
use serde::Serialize;
use std::time::Duration;

/// Check tools, state, permissions, clock, configuration and the programs that it names on this machine
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  kf doctor\n  kf doctor --format json\n\nExits 3 when something that kf needs here is broken; what is not set up, such as a repository, is told."
)]
pub(crate) struct Args {}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Health {
    Ok,
    Missing,
    Broken,
}

#[derive(Serialize)]
struct Check {
    what: String,
    health: Health,
    found: String,
    hint: Option<String>,
}

#[derive(Serialize)]
struct Diagnosis {
    checks: Vec<Check>,
}

impl Report for Diagnosis {
    const SCHEMA: &'static str = "kf.doctor/1";

    fn blocks(&self) -> Vec<Block> {
        let mut t = Table::new(&["check", "health", "found"]);
        for c in &self.checks {
            let word = match c.health {
                Health::Ok => "ok",
                Health::Missing => "not here",
                Health::Broken => "broken",
            };
            t.row([c.what.as_str(), word, &c.found]);
        }
        let hints: Vec<String> =
            self.checks.iter().filter_map(|c| c.hint.as_ref().map(|h| format!("hint: {}: {h}", c.what))).collect();
        let mut blocks = vec![Block::from(t)];
        if !hints.is_empty() {
            blocks.push(hints.join("\n").into());
        }
        blocks
    }

    fn summary(&self) -> String {
        match self.checks.iter().filter(|c| c.health == Health::Broken).count() {
            0 => "nothing is broken".into(),
            n => format!("{n} broken"),
        }
    }

    fn exit(&self) -> Exit {
        if self.checks.iter().any(|c| c.health == Health::Broken) { Exit::No } else { Exit::Ok }
    }
}

/// Programs that kf calls when a command needs them, and what for.
const TOOLS: [(&str, &[&str], &str); 4] = [
    ("git", &["--version"], "commits of versions and anchors"),
    ("dvc", &["--version"], "versions of data"),
    // Some builds ask the server of the current context even then, and keep the answer in the home.
    ("kubectl", &["version", "--client", "--cache-dir=/dev/null"], "releases on Kubernetes"),
    ("ssh-keygen", &["-?"], "signatures of people"),
];

pub(crate) fn run(cx: &Cx, _: &Args) -> Result<Exit> {
    let mut checks = vec![ok("kf", format!("{} with SQLite {}", env!("CARGO_PKG_VERSION"), sqlite_version()))];
    match cx.project() {
        Ok(loaded) => {
            checks.push(ok("configuration", loaded.path.display().to_string()));
            checks.extend(state_checks(cx));
            checks.push(match cx.objects() {
                Ok(objects) => ok("artifacts", objects.describe()),
                Err(e) => broken("artifacts", &e),
            });
            checks.extend(encryption_check(cx, loaded));
            checks.push(key_check(cx, loaded));
            checks.extend(document_checks(cx, loaded));
            checks.extend(qdrant_check(cx).unwrap_or_else(Some));
            checks.extend(neo4j_check(cx).unwrap_or_else(Some));
            checks.extend(programs::checks(cx, loaded));
            checks.extend(loaded.project.alerts.iter().map(|alerts| channel_check(cx, loaded, alerts)));
        }
        Err(e) => checks.push(troubled("configuration", &e)),
    }
    checks.extend(TOOLS.iter().map(|(tool, args, why)| tool_check(tool, args, why)));
    cx.out.emit(&Diagnosis { checks })
}

fn ok(what: &str, found: String) -> Check {
    Check { what: what.into(), health: Health::Ok, found, hint: None }
}

fn broken(what: &str, e: &Error) -> Check {
    Check { what: what.into(), health: Health::Broken, found: e.chain().join(": "), hint: e.hints().first().cloned() }
}

/// What is not set up yet is not broken.
fn troubled(what: &str, e: &Error) -> Check {
    let health = if e.kind() == Kind::NoRepository { Health::Missing } else { Health::Broken };
    Check { health, ..broken(what, e) }
}

fn state_checks(cx: &Cx) -> Vec<Check> {
    let store = match cx.store_unsigned(Mode::Write) {
        Ok(store) => store,
        Err(e) => return vec![troubled("state", &e)],
    };
    let mut checks = vec![match store.db().engine() {
        Ok(engine) => ok("state", format!("{}, {engine}", store.describe())),
        Err(e) => broken("state", &e),
    }];
    checks.push(match store.try_write() {
        Ok(()) => ok("permissions", "the state can be written".into()),
        Err(e) => broken("permissions", &e),
    });
    checks.push(clock_check(&store));
    checks
}

/// What documents there are, whether their vectors are those of the embedder, and what finds the nearest.
fn document_checks(cx: &Cx, loaded: &Loaded) -> Vec<Check> {
    let Ok(store) = cx.store(Mode::Read) else { return Vec::new() };
    let words = store.read(|view| Ok(Documents::read(view)?.words().unwrap_or_else(|| "none yet".into())));
    let checks = [
        ("documents", words),
        ("embedder", store.read(|view| embedder_found(cx, view))),
        ("engine", store.read(|view| engine_found(loaded.project.vectors.engine, view))),
    ];
    checks.into_iter().map(|(what, found)| found.map_or_else(|e| broken(what, &e), |found| ok(what, found))).collect()
}

/// The embedder, unless a collection holds vectors of another.
fn embedder_found(cx: &Cx, view: View<'_>) -> Result<String> {
    let embedder = cx.embedder()?;
    let model = embedder.model();
    Scope::everywhere(view)?.iter().try_for_each(|scope| same_model(scope, &model.name, model.digest))?;
    Ok(format!("{}, {} dimensions", model.name, model.dimensions))
}

/// The engine of new collections, and of how many collections each engine finds the nearest vectors.
fn engine_found(new: VectorEngine, view: View<'_>) -> Result<String> {
    let scopes = Scope::everywhere(view)?;
    let of = |engine| scopes.iter().filter(|s| s.collection.engine == engine).count();
    let pgvector = pgvector::version(view)?;
    if pgvector.is_none() && (new == VectorEngine::Pgvector || of(VectorEngine::Pgvector) > 0) {
        return Err(pgvector::missing());
    }
    let used = VectorEngine::ALL.iter().filter(|engine| of(**engine) > 0);
    let used: Vec<String> = used.map(|engine| format!("{} in {engine}", count(of(*engine), "collection"))).collect();
    let version = pgvector.map(|v| format!("pgvector {v} is on the server"));
    Ok(std::iter::once(format!("{new} for new collections")).chain(used).chain(version).collect::<Vec<_>>().join(", "))
}

/// The Qdrant server and what it has not been told yet, where one is configured.
fn qdrant_check(cx: &Cx) -> Result<Option<Check>, Check> {
    let failed = |e: Error| broken("vectors", &e);
    let Some(qdrant) = cx.qdrant().map_err(failed)? else { return Ok(None) };
    let version = qdrant.version().map_err(failed)?;
    Ok(Some(told_check(cx, "vectors", QDRANT, format!("{}, version {version}", qdrant.describe()))))
}

/// The Neo4j server and what it has not been told yet, where one is configured.
fn neo4j_check(cx: &Cx) -> Result<Option<Check>, Check> {
    let failed = |e: Error| broken("graph", &e);
    let Some(neo4j) = cx.neo4j().map_err(failed)? else { return Ok(None) };
    neo4j.ping().map_err(failed)?;
    Ok(Some(told_check(cx, "graph", NEO4J, format!("Neo4j at {} answers", neo4j.describe()))))
}

/// An engine that answers, with the changes that it has not confirmed.
fn told_check(cx: &Cx, what: &str, engine: &str, found: String) -> Check {
    let waiting = cx.store(Mode::Read).and_then(|store| store.read(outbox::waiting_by_engine)).unwrap_or_default();
    match waiting.get(engine) {
        None => ok(what, found),
        Some(n) => {
            let changes = count(usize::try_from(*n).unwrap_or(usize::MAX), "change");
            Check { hint: Some(waits(*n)), ..ok(what, format!("{found}, {changes} not confirmed")) }
        }
    }
}

/// Whether all that a channel needs is here; nobody is told anything.
fn channel_check(cx: &Cx, loaded: &Loaded, alerts: &Alerts) -> Check {
    let what = format!("alerts.{}", alerts.name);
    let with = With { project: &loaded.project, root: &loaded.root, secret: &|reference| cx.secret(reference) };
    match notifier(alerts, with) {
        Ok(_) => ok(&what, format!("{}; `kf alert test {}` tries it", alerts.kind(), alerts.name)),
        Err(e) => broken(&what, &e),
    }
}

/// Whether this host reads what it encrypts, and what is not encrypted for the keys of now.
fn encryption_check(cx: &Cx, loaded: &Loaded) -> Option<Check> {
    if loaded.project.artifacts.encrypt.is_empty() {
        return None;
    }
    let found = cx.objects().and_then(|objects| {
        let (mut current, mut clear, mut other) = (0, 0, 0);
        objects.survey(&mut |_, _, _, cover| {
            match cover {
                Cover::Current => current += 1,
                Cover::Plain => clear += 1,
                Cover::Other => other += 1,
            }
            Ok(())
        })?;
        let fields = cx.store(Mode::Read)?.read(|view| view.sealed_fields())?;
        if fields.damaged > 0 {
            let what = format!(
                "{} of {} names and reasons are damaged, or the data keys that they are sealed with",
                fields.damaged, fields.values
            );
            return Err(Error::of(Kind::Broken, what).hint("`kf audit verify` names them; a backup from before has them"));
        }
        let words = format!(
            "{} for the keys of now, {clear} in the clear, {other} for other keys; of the names and reasons {}, {} and {}",
            count(current, "object"),
            fields.current,
            fields.clear,
            fields.other
        );
        let hint =
            (clear + other > 0 || fields.open() > 0).then(|| "`kf rekey` encrypts the rest for the keys of now".to_owned());
        match loaded.project.artifacts.identity {
            Some(_) => objects.prove_keys().map(|()| Check { hint, ..ok("encryption", words) }),
            None => Ok(Check { hint, ..ok("encryption", format!("{words}; this host stores and cannot read")) }),
        }
    });
    Some(found.unwrap_or_else(|e| broken("encryption", &e)))
}

fn key_check(cx: &Cx, loaded: &Loaded) -> Check {
    let origin = || cx.store(Mode::Read).and_then(|store| store.read(|view| Ok(log::head(view.db())?.origin))).ok();
    let told = |health, found, hint: &str| Check { what: "log key".into(), health, found, hint: Some(hint.into()) };
    match (cx.log_signer(), &loaded.project.signing.log_key) {
        (Ok(Some(signer)), _) => match origin() {
            Some(origin) if origin != signer.key().public().name() => told(
                Health::Broken,
                format!("it is the key of the log `{}`, this log is `{origin}`", signer.key().public().name()),
                "`kf audit key --generate` makes a key for this log; or take `signing.log-key` or KF_LOG_KEY away",
            ),
            _ => ok("log key", "this host signs the audit log".into()),
        },
        (Ok(None), Some(reference)) => told(
            Health::Broken,
            format!(
                "`signing.log-key` names {reference}, which is not on this host: it appends to the audit log and does not sign it"
            ),
            "bring the key here, or sign where it is with `kf audit checkpoint`",
        ),
        (Ok(None), None) => told(
            Health::Missing,
            "this host appends to the audit log and does not sign it".into(),
            "`kf audit key --generate` makes one",
        ),
        (Err(e), _) => broken("log key", &e),
    }
}

fn clock_check(store: &Store) -> Check {
    let newest = log::newest_time(&store.db());
    let now = store.now();
    match newest {
        Ok(Some(ts)) if ts > now => Check {
            what: "clock".into(),
            health: Health::Broken,
            found: format!("it says {now}, but the newest audit event is from {ts}"),
            hint: Some("set the clock of this machine, for example with NTP".into()),
        },
        Ok(_) => ok("clock", now.to_string()),
        Err(e) => broken("clock", &e),
    }
}

fn tool_check(tool: &str, args: &[&str], why: &str) -> Check {
    match Program::new(tool).args(args).timeout(Duration::from_secs(5)).run(&[]) {
        Ok(done) => {
            let text =
                if done.stdout.is_empty() { done.stderr.clone() } else { String::from_utf8_lossy(&done.stdout).into_owned() };
            let line = text.lines().next().unwrap_or_default().trim().to_owned();
            ok(tool, if tool == "ssh-keygen" { "found".into() } else { line })
        }
        Err(_) => {
            Check { what: tool.into(), health: Health::Missing, found: format!("not on PATH; needed for {why}"), hint: None }
        }
    }
}
