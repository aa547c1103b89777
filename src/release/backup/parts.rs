//! What a plan keeps, from what `mlops.toml` says.

use crate::adapters::component::command::CommandComponent;
use crate::adapters::component::directory::Directory;
use crate::adapters::component::git::GitComponent;
use crate::adapters::component::postgres::Postgres;
use crate::adapters::component::redis::Redis;
use crate::adapters::git;
use crate::base::error::Result;
use crate::base::name::Name;
use crate::config::secret::{Secret, SecretRef};
use crate::config::{BUILT_IN, Backup, BackupComponent, BackupPlan, BackupSource};
use crate::seams::backup::Component;
use std::path::Path;

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
    })
}
