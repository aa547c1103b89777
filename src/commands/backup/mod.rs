//! `kf backup`: what a release depends on, kept elsewhere, and proven to come back.

mod drill;
mod keygen;
mod list;
mod load;
mod prune;
mod restore;
mod run;
mod status;
mod verify;

use crate::adapters::age::Identities;
use crate::base::error::{Context, Error, Result};
use crate::base::exit::Exit;
use crate::base::time::Timestamp;
use crate::cli::cx::Cx;
use crate::config::Backup;
use crate::config::secret::Secret;
use crate::domain::audit::key::{SignerKey, VerifierKey};
use crate::domain::audit::seal::LogSigner;
use crate::domain::backup::manifest::Found;
use crate::release::backup::Place;
use crate::store::objects::Objects;
use serde::Serialize;
use std::path::PathBuf;

/// Keep what a release depends on, and prove that it comes back
#[derive(clap::Subcommand, Debug)]
#[command(
    after_long_help = "Examples:\n  kf backup keygen -o backup.key\n  kf backup run\n  kf backup run --due            from cron, every hour\n  kf backup status\n  kf backup drill\n  kf backup restore latest --to /tmp/shop"
)]
pub(crate) enum Command {
    Drill(drill::Args),
    Keygen(keygen::Args),
    List(list::Args),
    Prune(prune::Args),
    Restore(restore::Args),
    Run(run::Args),
    Show(list::ShowArgs),
    Status(status::Args),
    Verify(verify::Args),
}

impl Command {
    pub(super) fn run(&self, cx: &Cx) -> Result<Exit> {
        match self {
            Self::Drill(args) => drill::run(cx, args),
            Self::Keygen(args) => keygen::run(cx, args),
            Self::List(args) => list::run(cx, args),
            Self::Prune(args) => prune::run(cx, args),
            Self::Restore(args) => restore::run(cx, args),
            Self::Run(args) => run::run(cx, args),
            Self::Show(args) => list::show(cx, args),
            Self::Status(args) => status::run(cx, args),
            Self::Verify(args) => verify::run(cx, args),
        }
    }
}

/// The key that reads backups.
#[derive(clap::Args, Debug)]
struct Key {
    /// The key that reads them (default: `backup.identity` in mlops.toml)
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
}

/// All that is opened to work on backups.
struct Desk {
    objects: Objects,
    scratch: PathBuf,
    signer: Option<LogSigner>,
    known: Vec<VerifierKey>,
    identities: Option<Identities>,
    jobs: usize,
}

impl Desk {
    /// Opens the place of backups; its key too, where `key` is given.
    fn open(cx: &Cx, key: Option<&Key>) -> Result<Self> {
        let backup = configured(cx)?;
        let place = backup.place.as_ref().ok_or_else(|| {
            Error::usage("mlops.toml does not say where backups go")
                .hint("add `[backup.place]` with `url = \"file:///mnt/backup\"` or `url = \"s3://BUCKET/PREFIX\"`")
        })?;
        let signer = cx.log_signer()?;
        let identities = key.map(|key| key.read(cx, backup)).transpose()?.flatten();
        Ok(Self {
            objects: cx.objects_of(place)?,
            scratch: cx.kf_dir()?.join("cache").join("backup"),
            known: signer.iter().map(|s| s.key().public().clone()).collect(),
            signer,
            identities,
            jobs: cx.jobs(),
        })
    }

    fn place(&self) -> Place<'_> {
        Place {
            objects: &self.objects,
            scratch: &self.scratch,
            signer: self.signer.as_ref().map(LogSigner::key).map(|key: &SignerKey| key),
            known: &self.known,
            identities: self.identities.as_ref(),
            jobs: self.jobs,
        }
    }
}

fn configured(cx: &Cx) -> Result<&Backup> {
    Ok(&cx.project()?.project.backup)
}

impl Key {
    /// The key that is named here, or else in mlops.toml; none where that one is not on this host.
    fn read(&self, cx: &Cx, backup: &Backup) -> Result<Option<Identities>> {
        let text = match (&self.identity, &backup.identity) {
            (Some(path), _) => {
                let text = std::fs::read_to_string(path).context(|| format!("cannot read {}", path.display()))?;
                Secret::new(text)
            }
            (None, Some(reference)) if cx.is_there(reference)? => cx.secret(reference)?,
            _ => return Ok(None),
        };
        Identities::parse(&text).map(Some)
    }
}

/// A set as reports show it.
#[derive(Serialize, Clone)]
struct SetDoc {
    set: String,
    plan: String,
    began: Timestamp,
    ended: Timestamp,
    components: Vec<String>,
    stored_bytes: u64,
    signed_by: Option<String>,
    proven: Option<Timestamp>,
}

impl SetDoc {
    fn of(found: &Found, proven: Option<Timestamp>) -> Self {
        let of = &found.manifest;
        let all = of.components.iter().map(|part| part.name.to_string());
        Self {
            set: of.id.clone(),
            plan: of.plan.to_string(),
            began: of.began,
            ended: of.ended,
            components: all.chain(of.artifacts.map(|_| "artifacts".to_owned())).collect(),
            stored_bytes: of.stored(),
            signed_by: found.signed_by.clone(),
            proven,
        }
    }
}
