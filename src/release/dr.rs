//! What runbooks name of a repository, and steps of one that are run for an exercise.

use crate::adapters::git;
use crate::adapters::process::Program;
use crate::base::error::Result;
use crate::base::event::{Event, Outcome as EventOutcome, Resource};
use crate::base::name::Name;
use crate::config::secret::SecretRef;
use crate::config::{Artifacts, BackupSource, Project, Splitter, StatePlace};
use crate::domain::backup::manifest;
use crate::domain::dr::exercise::{EXERCISES, Exercise, IN_USE, NOTE_MAX, Outcome};
use crate::domain::dr::facts::{Back, Component, Facts, Server, Target};
use crate::domain::dr::line::Word;
use crate::domain::dr::parts::OWN;
use crate::domain::dr::runbook::Step;
use crate::domain::ingest::table::{Scope, Tenant};
use crate::release::backup::Place;
use crate::store::{Store, View};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// The action of the event of an exercise.
pub const EXERCISED: &str = "dr.exercised";
/// How long a step may take.
const PATIENCE: Duration = Duration::from_secs(4 * 3600);

/// What is known of a repository; `view` is its state, where that can be read.
///
/// # Errors
/// When the Git repository or the state cannot be read.
pub fn facts(project: &Project, root: &Path, view: Option<View<'_>>) -> Result<Facts> {
    let backup = &project.backup;
    let place = |at: &Artifacts| match at {
        Artifacts::Local(path) => path.display().to_string(),
        Artifacts::S3(s3) => format!("s3://{}/{}", s3.bucket, s3.prefix),
        Artifacts::Gcs { bucket, prefix } => format!("gs://{bucket}/{prefix}"),
        Artifacts::Azure { container, prefix } => format!("az://{container}/{prefix}"),
    };
    let (tenants, collection) = match view {
        Some(view) => searched(view)?,
        None => (project.tenants.iter().map(|tenant| tenant.name.clone()).collect(), Some(project.ingest.collection.to_string())),
    };
    let models = project.models.iter().map(|model| model.name.clone()).collect();
    let target = |of: &crate::config::Target| Target {
        name: of.name.clone(),
        model: of.model.clone(),
        gateway: matches!(of.splitter, Splitter::Gateway(_)),
    };
    Ok(Facts {
        project: project.project.name.to_string(),
        owner: project.project.owner.clone(),
        place: backup.place.as_ref().map(place),
        recipients: backup.recipients.len(),
        identity: backup.identity.as_ref().map(SecretRef::to_string),
        smoke: backup.smoke.clone(),
        components: backup.components.iter().map(component).collect(),
        state: match &project.state.place {
            StatePlace::Sqlite(_) => None,
            StatePlace::Postgres { url, schema, .. } => Some(Server { url: url.clone(), schema: schema.clone() }),
        },
        artifacts: Some(&project.artifacts.place).filter(|at| !matches!(at, Artifacts::Local(_))).map(place),
        encrypted: !project.artifacts.encrypt.is_empty(),
        git: git::facts(root, &[])?.is_some(),
        log_key: project.signing.log_key.as_ref().map(SecretRef::to_string),
        models,
        targets: project.target.iter().map(target).collect(),
        tenants,
        collection,
        secondary: project.dr.secondary.clone(),
        terraform: project.dr.terraform.as_ref().map(ToString::to_string),
        dns: project.dr.dns.clone(),
        tenant_flag: project.dr.tenant_flag.clone(),
    })
}

/// Tenants that something is searched of, and the name of a collection of one.
fn searched(view: View<'_>) -> Result<(Vec<Name>, Option<String>)> {
    let (mut tenants, mut collection) = (Vec::new(), None);
    for tenant in Tenant::all(view)? {
        let Some(first) = Scope::all(view, &tenant.name)?.into_iter().next() else { continue };
        collection.get_or_insert(first.collection.name.to_string());
        tenants.push(tenant.name);
    }
    Ok((tenants, collection))
}

fn component(of: &crate::config::BackupComponent) -> Component {
    let back = match &of.source {
        BackupSource::Directory(path) => Back::Folder(path.clone()),
        BackupSource::Postgres { url, .. } => Back::Postgres(url.clone()),
        BackupSource::Redis { url, .. } | BackupSource::Qdrant { url, .. } => Back::Server(url.clone()),
        BackupSource::Neo4j { url, user, database, .. } => Back::Server(with_user(url, user, database)),
        BackupSource::Command { restore: Some(argv), .. } => Back::Program(argv.clone()),
        BackupSource::Command { restore: None, .. } => Back::Unknown,
    };
    Component { name: of.name.clone(), back }
}

/// The address of a Neo4j server as `--into` takes it.
fn with_user(url: &str, user: &str, database: &str) -> String {
    format!("{}/{database}", url.replacen("://", &format!("://{user}@"), 1))
}

/// What a step of an exercise is run with.
pub struct Bench<'a> {
    /// This program.
    pub kf: &'a Path,
    /// The folder of the repository.
    pub root: &'a Path,
    /// What variables hold.
    pub known: &'a BTreeMap<String, String>,
}

/// What became of a step, what it said last, and how many milliseconds it took.
pub type Ran = (Outcome, String, Option<u64>);

/// Runs a step when it harms nobody.
///
/// # Errors
/// Never for a step that fails; when the program that runs this cannot be started again.
pub fn take(bench: &Bench<'_>, step: &Step) -> Result<Ran> {
    if !step.harmless {
        return Ok((Outcome::Skipped, IN_USE.to_owned(), None));
    }
    if let Some(name) = step.line.variables().find(|name| !bench.known.contains_key(*name)) {
        return Ok((Outcome::Skipped, format!("nobody said what `{name}` is: `--set {name}=…`"), None));
    }
    let argv = step.line.filled(bench.known).unwrap_or_default();
    let program = match argv.split_first() {
        Some((first, rest)) if first == "kf" => Program::new(bench.kf).args(rest),
        _ => Program::from_argv(&argv)?,
    };
    let mut program = program.dir(bench.root).timeout(PATIENCE);
    // What was restored has the mlops.toml of what is in use, and would open that.
    let plain = |at: usize, text: &str| matches!(step.line.words.get(at), Some(Word::Plain(word)) if word == text);
    let own = if plain(0, "kf") && !plain(1, "-C") { &[] } else { &OWN[..] };
    for (name, value) in step.line.env.iter().chain(own) {
        program = program.env(name, value);
    }
    let began = Instant::now();
    let out = program.run(b"")?;
    let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let last = |bytes: &[u8]| {
        String::from_utf8_lossy(bytes).lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default().to_owned()
    };
    let (outcome, said) = match out.ended.success() {
        true => (Outcome::Done, last(&out.stdout)),
        false => {
            let said = if out.stdout.is_empty() { last(out.stderr.as_bytes()) } else { last(&out.stdout) };
            (Outcome::Failed, format!("{}: {said}", out.ended))
        }
    };
    Ok((outcome, crate::base::text::ellipsis(&said, NOTE_MAX / 4), Some(took)))
}

/// Writes an exercise down: beside the backups, and in the log.
///
/// # Errors
/// When one of the two cannot be written.
pub fn record(store: &Store, place: &Place<'_>, of: &Exercise) -> Result<()> {
    let text = of.text(place.signer)?;
    if store.is_dry_run() {
        return Ok(());
    }
    let name = format!("{}-{}", manifest::stamp(of.at, &store.random().bytes()), of.scenario);
    place.objects.publish(&format!("{EXERCISES}/{name}"), text.as_bytes())?;
    let event = Event::new(EXERCISED, Resource::new("dr", of.scenario.word()))
        .with("mode", of.mode.word())
        .with("done", of.count(Outcome::Done))
        .with("skipped", of.count(Outcome::Skipped))
        .with("failed", of.count(Outcome::Failed))
        .with("report", text)
        .outcome(if of.passed() { EventOutcome::Ok } else { EventOutcome::Failed });
    store.write(|tx| Ok(tx.record(event)))?;
    Ok(())
}

/// The exercises that were made, the newest first; each that cannot be read with why.
///
/// # Errors
/// When the place cannot be read.
pub fn history(place: &Place<'_>) -> Result<Vec<(String, Result<Exercise>)>> {
    let mut all = Vec::new();
    for (name, _) in place.objects.names(EXERCISES)? {
        let Some(bytes) = place.objects.published(&format!("{EXERCISES}/{name}"))? else { continue };
        all.push((name, Exercise::read(&bytes, place.known)));
    }
    all.sort_by(|a, b| b.0.cmp(&a.0));
    Ok(all)
}
