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
use crate::cli::report::{Block, Report};
use crate::config::secret::Secret;
use crate::config::{Artifacts, Backup, BackupSource};
use crate::domain::audit::key::{SignerKey, VerifierKey};
use crate::domain::audit::seal::LogSigner;
use crate::domain::backup::manifest::{Found, Manifest};
use crate::release::backup::{Place, here, sets};
use crate::store::objects::Objects;
use crate::store::{DbTarget, Mode, Settings, Store, View};
use serde::Serialize;
use std::path::{Path, PathBuf};

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
pub(crate) struct Key {
    /// The key that reads them (default: `backup.identity` in mlops.toml)
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
}

/// Which sets are taken.
#[derive(clap::Args, Debug)]
struct Trust {
    /// Take a set that no key known here signed: anybody who can write there may have made it
    #[arg(long)]
    unsigned: bool,
}

/// Which set.
#[derive(clap::Args, Debug)]
struct Which {
    /// The set, its beginning or end, or `latest`
    set: Option<String>,
    /// The newest set that was begun at this time or before it
    #[arg(long, value_name = "TIME", conflicts_with = "set")]
    point_in_time: Option<Timestamp>,
}

impl Which {
    /// The newest with a component; with `unsigned` whoever signed it.
    fn find(&self, cx: &Cx, place: &Place<'_>, component: &str, unsigned: bool) -> Result<Found> {
        match self.point_in_time {
            Some(time) => sets::at(place, time, component, unsigned),
            None => sets::trusted(place, self.set.as_deref().unwrap_or("latest"), component, unsigned, &mut |why| cx.warn(why)),
        }
    }

    /// How far the set is from the time that was asked for, in words.
    fn distance(&self, set: &Found) -> Option<String> {
        let before = self.point_in_time?.micros().saturating_sub(set.manifest.began.micros());
        let ms = u64::try_from(before / 1000).unwrap_or(0);
        Some(format!("it was begun {} before {}: what came between is not in it", long(ms), self.point_in_time?))
    }

    /// The same in milliseconds.
    fn before_ms(&self, set: &Found) -> Option<i64> {
        self.point_in_time.map(|time| (time.micros() - set.manifest.began.micros()) / 1000)
    }
}

/// Opens the state of a set that was restored. What is written there is not signed: the log in use may have other entries at the same
/// places, and a key that signs both has lied.
fn copy_at(cx: &Cx, file: &Path) -> Result<Store> {
    let settings = cx.settings_for(DbTarget::Sqlite(file.to_owned()))?;
    Store::open(Settings { seal: None, ..settings }, Mode::Write)
}

/// Milliseconds, for people.
fn long(ms: u64) -> String {
    match ms {
        0..=9_999 => format!("{}.{:03} s", ms / 1000, ms % 1000),
        10_000..=599_999 => format!("{} s", ms / 1000),
        600_000..=7_199_999 => format!("{} min", ms / 60_000),
        _ => format!("{} h {} min", ms / 3_600_000, ms / 60_000 % 60),
    }
}

/// Tells of a restore over the state that was begun and did not end; the state is that of before, or the set's already.
pub(super) fn interrupted(cx: &Cx) {
    let Ok(kf) = cx.kf_dir() else { return };
    let read = |look: &mut dyn FnMut(View<'_>) -> Result<()>| cx.store_unsigned(Mode::Read)?.read(look);
    if let Some(set) = here::interrupted(&kf, &read) {
        let file = kf.join("restoring");
        cx.warn(&format!(
            "`kf backup restore --here` was stopped before {set} took the place of the state, which is as it was: run \
             `kf backup restore {set} --here --force` again, or remove {} to leave it so",
            file.display()
        ));
    }
}

/// All that is opened to work on backups.
pub(crate) struct Desk {
    objects: Objects,
    scratch: PathBuf,
    signer: Option<LogSigner>,
    known: Vec<VerifierKey>,
    identities: Option<Identities>,
    jobs: usize,
    now: Timestamp,
}

impl Desk {
    /// Opens the place of backups; its key too, where `key` is given.
    pub(crate) fn open(cx: &Cx, key: Option<&Key>) -> Result<Self> {
        let backup = configured(cx)?;
        let place = backup.place.as_ref().ok_or_else(|| {
            Error::usage("mlops.toml does not say where backups go")
                .hint("add `[backup.place]` with `url = \"file:///mnt/backup\"` or `url = \"s3://BUCKET/PREFIX\"`")
        })?;
        apart(cx, place)?;
        let signer = cx.log_signer()?;
        let identities = key.map(|key| key.read(cx, backup)).transpose()?.flatten();
        Ok(Self {
            objects: match backup.plans.iter().any(|plan| plan.lock.is_some()) {
                true => cx.locked_objects_of(place)?,
                false => cx.objects_of(place)?,
            },
            scratch: cx.kf_dir()?.join("cache").join("backup"),
            known: signer.iter().map(|s| s.key().public().clone()).collect(),
            signer,
            identities,
            jobs: cx.jobs(),
            now: cx.clock.now(),
        })
    }

    pub(crate) fn place(&self) -> Place<'_> {
        Place {
            objects: &self.objects,
            scratch: &self.scratch,
            signer: self.signer.as_ref().map(LogSigner::key).map(|key: &SignerKey| key),
            known: &self.known,
            identities: self.identities.as_ref(),
            jobs: self.jobs,
            now: self.now,
        }
    }
}

/// Backups are not where the state or the objects of versions are: each would remove what the other keeps, and be lost with it.
fn apart(cx: &Cx, place: &Artifacts) -> Result<()> {
    let loaded = cx.project()?;
    let real = |path: &Path| {
        let path = loaded.root.join(path);
        path.canonicalize().unwrap_or(path)
    };
    let kf = real(&cx.kf_dir()?);
    let own = if let Artifacts::Local(path) = place { Some(real(path)) } else { None };
    for component in &loaded.project.backup.components {
        let BackupSource::Directory(folder) = &component.source else { continue };
        let folder = real(Path::new(folder));
        // Again, because a link may lead there.
        if kf.starts_with(&folder) || own.as_ref().is_some_and(|own| own.starts_with(&folder)) {
            let what = format!("the folder of the component `{}` has the backups or the state of kf in it", component.name);
            return Err(Error::usage(what).hint("name folders beside it, or move the backups elsewhere"));
        }
    }
    let Artifacts::Local(path) = place else {
        return match *place == loaded.project.artifacts.place {
            true => Err(beside("the objects of versions")),
            false => Ok(()),
        };
    };
    let own = real(path);
    if own.starts_with(&kf) {
        return Err(beside("the state"));
    }
    match &loaded.project.artifacts.place {
        Artifacts::Local(other) if own.starts_with(real(other)) || real(other).starts_with(&own) => {
            Err(beside("the objects of versions"))
        }
        _ => Ok(()),
    }
}

fn beside(what: &str) -> Error {
    Error::usage(format!("`backup.place` is where {what} are: each would remove what the other keeps"))
        .hint("name a place of its own, best on another machine")
}

fn configured(cx: &Cx) -> Result<&Backup> {
    Ok(&cx.project()?.project.backup)
}

impl Key {
    /// The key that is named here, or else in mlops.toml; none where that one is not on this host.
    fn read(&self, cx: &Cx, backup: &Backup) -> Result<Option<Identities>> {
        let text = match (&self.identity, &backup.identity) {
            (Some(path), _) => {
                let path = cx.cwd.join(path);
                let text = std::fs::read_to_string(&path).context(|| format!("cannot read the key {}", path.display()));
                let hint = || "name the file that `kf backup keygen -o FILE` or `age-keygen` wrote".to_owned();
                Secret::new(text.hint(hint)?)
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
    locked_until: Option<Timestamp>,
}

/// What would be restored: a dry run writes nothing.
#[derive(Serialize)]
struct Planned {
    set: String,
    components: Vec<String>,
    objects: u64,
}

impl Planned {
    fn of(of: &Manifest) -> Self {
        let components = of.components.iter().map(|part| part.name.to_string()).collect();
        Self { set: of.id.clone(), components, objects: of.artifacts.map_or(0, |all| all.objects) }
    }
}

impl Report for Planned {
    const SCHEMA: &'static str = "kf.backup-restore-plan/1";

    fn blocks(&self) -> Vec<Block> {
        vec![self.summary().into()]
    }

    fn summary(&self) -> String {
        format!("{} would be restored: {}, {} objects", self.set, self.components.join(", "), self.objects)
    }
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
            locked_until: of.lock.map(|lock| lock.until),
        }
    }
}
