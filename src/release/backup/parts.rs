//! What a plan keeps, from what `mlops.toml` says.

use crate::adapters::component::command::CommandComponent;
use crate::adapters::component::directory::Directory;
use crate::adapters::component::git::GitComponent;
use crate::adapters::component::neo4j::Neo4j;
use crate::adapters::component::postgres::Postgres;
use crate::adapters::component::qdrant::Qdrant;
use crate::adapters::component::redis::Redis;
use crate::adapters::git;
use crate::base::error::{Context, Error, Result};
use crate::base::name::Name;
use crate::config::secret::{Secret, SecretRef};
use crate::config::{BUILT_IN, Backup, BackupComponent, BackupPlan, BackupSource};
use crate::seams::backup::Component;
use std::path::Path;
use url::Url;

/// A part of a set.
pub struct Part {
    /// Its name.
    pub name: Name,
    /// What it is.
    pub source: Source,
}

/// What a part is.
pub enum Source {
    /// The state of this repository.
    State,
    /// The objects of its versions.
    Artifacts,
    /// Its audit log, apart from it.
    Audit,
    /// Something else.
    Other(Box<dyn Component>),
}

/// The parts of a plan; `only` one of them when it is named. The repository is left out where there is no Git repository with a commit,
/// unless the plan names it.
///
/// # Errors
/// When a password cannot be had.
pub fn of(
    backup: &Backup,
    plan: &BackupPlan,
    (root, jobs): (&Path, usize),
    secret: &dyn Fn(&SecretRef) -> Result<Secret>,
) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    let wants = |name: &str| plan.components.as_ref().is_none_or(|all| all.iter().any(|n| n.as_str() == name));
    for name in BUILT_IN.into_iter().filter(|name| wants(name)) {
        let source = match name {
            "state" => Source::State,
            "artifacts" => Source::Artifacts,
            // The state has it anyway.
            "audit" if plan.components.is_none() => continue,
            "audit" => Source::Audit,
            _ if plan.components.is_none() && git::facts(root, &[])?.is_none() => continue,
            _ => Source::Other(Box::new(GitComponent::new(root))),
        };
        parts.extend(name.parse().ok().map(|name| Part { name, source }));
    }
    for component in backup.components.iter().filter(|c| wants(c.name.as_str())) {
        parts.push(Part { name: component.name.clone(), source: Source::Other(made(component, (root, jobs), secret)?) });
    }
    Ok(parts)
}

fn made(
    component: &BackupComponent,
    (root, jobs): (&Path, usize),
    secret: &dyn Fn(&SecretRef) -> Result<Secret>,
) -> Result<Box<dyn Component>> {
    let password = |of: &Option<SecretRef>| of.as_ref().map(secret).transpose();
    Ok(match &component.source {
        BackupSource::Directory(path) => Box::new(Directory::new(root, path)),
        BackupSource::Command { dump, restore } => Box::new(CommandComponent::new(root, dump.clone(), restore.clone())),
        BackupSource::Postgres { url, password: of } => Box::new(Postgres::new(url, password(of)?, jobs)),
        BackupSource::Redis { url, password: of } => Box::new(Redis::new(url, password(of)?)?),
        BackupSource::Qdrant { url, nodes, key } => Box::new(Qdrant::new(url, nodes, password(key)?)?),
        BackupSource::Neo4j { url, user, database, password: of } => {
            Box::new(Neo4j::new(url, database, user, password(of)?.as_ref())?)
        }
    })
}

/// Where a component is loaded into.
pub struct Into<'a> {
    /// Its name.
    pub name: &'a Name,
    /// What it is, as the manifest of the set says.
    pub kind: &'a str,
    /// The server or folder; every node of a cluster.
    pub places: &'a [String],
    /// The password or key there; that of the configured component when it is the same server.
    pub secret: Option<Secret>,
    /// The folder from which a folder is named.
    pub cwd: &'a Path,
}

/// A component in another place than the configured one.
///
/// # Errors
/// When the place is none of this kind, or a password cannot be had.
pub fn into(
    backup: &Backup,
    into: Into<'_>,
    (root, jobs): (&Path, usize),
    secret: &dyn Fn(&SecretRef) -> Result<Secret>,
) -> Result<Box<dyn Component>> {
    let configured = backup.components.iter().find(|c| c.name == *into.name).map(|c| &c.source);
    let [first, more @ ..] = into.places else { return Err(Error::usage("no place is named")) };
    if !more.is_empty() && into.kind != "qdrant" {
        return Err(Error::usage(format!("a component of kind `{}` is loaded into one place", into.kind)));
    }
    if ["postgres", "redis", "qdrant", "neo4j"].contains(&into.kind) {
        into.places.iter().try_for_each(|place| without_secret(place))?;
    }
    let fallback = |url: &str, of: &Option<SecretRef>| match of.as_ref().filter(|_| same_server(url, first)) {
        Some(reference) if into.secret.is_none() => secret(reference).map(Some),
        _ => Ok(into.secret.clone()),
    };
    Ok(match (into.kind, configured) {
        ("directory", _) => Box::new(Directory::new(into.cwd, first)),
        ("command", Some(BackupSource::Command { dump, restore })) => {
            Box::new(CommandComponent::new(root, dump.clone(), restore.clone()).into(into.cwd.join(first)))
        }
        ("command", _) => {
            let what = format!("mlops.toml has no `[backup.components.{}]` of the kind `command`", into.name);
            return Err(Error::usage(what).hint("its `restore` is the program that reads what was kept"));
        }
        ("postgres", Some(BackupSource::Postgres { url, password })) => {
            Box::new(Postgres::new(first, fallback(url, password)?, jobs))
        }
        ("postgres", _) => Box::new(Postgres::new(first, into.secret, jobs)),
        ("redis", Some(BackupSource::Redis { url, password })) => Box::new(Redis::new(first, fallback(url, password)?)?),
        ("redis", _) => Box::new(Redis::new(first, into.secret)?),
        ("qdrant", Some(BackupSource::Qdrant { url, key, .. })) => {
            Box::new(Qdrant::new(first, into.places, fallback(url, key)?)?)
        }
        ("qdrant", _) => Box::new(Qdrant::new(first, into.places, into.secret)?),
        ("neo4j", Some(BackupSource::Neo4j { url, user, database, password })) => {
            neo4j(first, (user, database), fallback(url, password)?)?
        }
        ("neo4j", _) => neo4j(first, ("neo4j", "neo4j"), into.secret)?,
        (kind, _) => {
            let hint = match kind {
                "state" => "`kf backup restore SET --to FOLDER`, then `kf state move` in it brings the state to a server",
                "git" => "`kf backup restore SET --to FOLDER`, then `git push` from it",
                _ => "`kf backup restore SET --to FOLDER` brings its files",
            };
            return Err(Error::usage(format!("a component of kind `{kind}` is not loaded into a place")).hint(hint));
        }
    })
}

/// `http://[USER@]HOST:PORT[/DATABASE]`, with what is configured for what it does not say.
fn neo4j(place: &str, (user, database): (&str, &str), password: Option<Secret>) -> Result<Box<dyn Component>> {
    let mut url = Url::parse(place).context(|| format!("`{place}` is no address"))?;
    let user = Some(url.username().to_owned()).filter(|user| !user.is_empty()).unwrap_or_else(|| user.to_owned());
    let database =
        Some(url.path().trim_matches('/').to_owned()).filter(|name| !name.is_empty()).unwrap_or_else(|| database.to_owned());
    let _ = url.set_username("");
    url.set_path("");
    Ok(Box::new(Neo4j::new(url.as_str(), &database, &user, password.as_ref())?))
}

/// A password in an address would be in the list of processes and in the audit log.
fn without_secret(place: &str) -> Result<()> {
    let url = Url::parse(place).context(|| format!("`{place}` is no address"))?;
    match url.password().is_some() || url.query_pairs().any(|(name, _)| name.contains("password")) {
        true => Err(Error::usage("the address holds a password").hint("take it out and name it: `--secret env:NAME`")),
        false => Ok(()),
    }
}

/// Whether two addresses are of one server.
fn same_server(one: &str, other: &str) -> bool {
    let server = |url: &str| Url::parse(url).ok().map(|url| (url.host_str().map(str::to_owned), url.port_or_known_default()));
    server(one).is_some_and(|found| Some(found) == server(other))
}
