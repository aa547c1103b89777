//! A gateway from its start to its end: what it goes on from, who serves users and who serves its admin, how it ends.
//!
//! The thread that calls [`run`] has the state and the screen, neither of which other threads may use: they ask it (`asking`) and it
//! answers one after another. Everything else is tasks of the one runtime and a thread for each version.
//!
//! Invariants: one gateway at a time has a target (a lock, which the kernel gives back whatever happens); SIGTERM and SIGINT end
//! it once the requests under way are answered, a second one at once; when it has ended no program of it is left.

use super::Gateway;
use super::admin;
use super::admin::connections::{Life, serve as serve_admin};
use super::asking::{Asking, Said};
use super::control::{Control, Parts};
use super::saved::{Found, Saved};
use super::settings::Settings;
use super::table::{Answering, Standing, Table, Upstream};
use super::upstreams::{Ground, Upstreams};
use crate::base::error::{Context, Error, Kind, Result};
use crate::base::name::Name;
use crate::base::random::Random;
use crate::base::text::{count, visible};
use crate::base::time::Clock;
use crate::base::version::Version;
use crate::base::weight::Weight;
use crate::config::{GatewayTarget, Secret, Target};
use crate::domain::flag::Flag;
use crate::release::health::Probe;
use crate::seams::traffic::Arm;
use crate::store::runtime::runtime;
use serde::Serialize;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener as Listener};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

/// How often it is looked whether users are served and whether the fuse has blown.
const LOOK: Duration = Duration::from_millis(50);

/// What a gateway is started with.
pub struct Setup {
    /// The target.
    pub target: Target,
    /// What the target says of a gateway.
    pub gateway: GatewayTarget,
    /// How requests are answered.
    pub settings: Settings,
    /// What whoever asks it must show.
    pub token: Option<Secret>,
    /// The repository, where programs run.
    pub root: PathBuf,
    /// `.kf/gateway`.
    pub dir: PathBuf,
    /// kf itself.
    pub kf: PathBuf,
    /// Variables that programs are not handed.
    pub hidden: Vec<String>,
    /// Whose flags are meant where nobody says so.
    pub tenant: Name,
    /// How long what the system stands on may take to answer.
    pub health: Duration,
}

/// Who has the state and the screen.
pub trait Desk {
    /// The version in production; `None` when there is none.
    ///
    /// # Errors
    /// When the state cannot be read.
    fn production(&self) -> Result<Option<Arm>>;

    /// Writes the files of a version into a folder below this one, which it gives.
    ///
    /// # Errors
    /// When the state has no such version, or its files cannot be had.
    fn files(&self, runs: &Path, arm: &Arm) -> Result<PathBuf>;

    /// The flags of a tenant.
    ///
    /// # Errors
    /// When the state cannot be read.
    fn flags(&self, tenant: &Name) -> Result<Vec<Flag>>;

    /// What can be asked whether it answers.
    fn probes(&self) -> Vec<Probe>;

    /// Tells of something.
    ///
    /// # Errors
    /// When it cannot be written.
    fn tell(&self, event: &Event) -> Result<()>;
}

/// What happens to a gateway.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Users are served.
    Ready {
        /// The target.
        target: Name,
        /// Where users come in.
        listen: String,
        /// Where it is asked and told.
        admin: String,
        /// What it routes by.
        #[serde(flatten)]
        routed: Routed,
    },
    /// Another table is routed by.
    Table {
        /// The table.
        #[serde(flatten)]
        routed: Routed,
    },
    /// A version stands otherwise.
    Version {
        /// The version.
        version: Version,
        /// How it stands.
        standing: Standing,
        /// Why it is not ready.
        why: Option<String>,
        /// How often its program ended by itself.
        crashes: u64,
    },
    /// The canary was taken out at once.
    Fuse {
        /// Why, with the numbers.
        why: String,
    },
    /// Something is not as it should be.
    Trouble {
        /// What.
        what: String,
    },
    /// No new requests are taken, those under way are answered.
    Draining,
    /// It has ended.
    Stopped,
}

/// What a gateway routes by, in short.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Routed {
    /// The model.
    pub model: Name,
    /// Rises with each table.
    pub generation: u64,
    /// What serves.
    pub stable: Option<Version>,
    /// What is on trial.
    pub canary: Option<Version>,
    /// The canary's part, in percent.
    pub percent: f64,
    /// The part that is copied for it, in percent.
    pub shadow_percent: f64,
}

impl Routed {
    fn of(table: &Table) -> Self {
        let version = |upstream: &Option<Upstream>| upstream.as_ref().map(|u| u.version);
        Self {
            model: table.model.clone(),
            generation: table.generation,
            stable: version(&table.stable),
            canary: version(&table.canary),
            percent: table.weight.percent(),
            shadow_percent: table.shadow.percent(),
        }
    }

    /// Who gets what, for people.
    pub fn words(&self) -> String {
        let Some(stable) = self.stable else { return format!("{} has no version that serves", self.model) };
        let Some(canary) = self.canary else { return format!("{} {stable} 100 %", self.model) };
        // Weights are hundredths of a percent.
        let rest = ((100.0 - self.percent) * 100.0).round() / 100.0;
        let shadow = if self.shadow_percent > 0.0 { format!(", copies of {} %", self.shadow_percent) } else { String::new() };
        format!("{} {stable} {rest} %, {canary} {} %{shadow}", self.model, self.percent)
    }
}

impl Event {
    pub(super) fn version(answering: &Answering) -> Self {
        let Answering { version, standing, why, crashes, .. } = answering.clone();
        Self::Version { version, standing, why, crashes }
    }

    pub(super) fn table(table: &Table) -> Self {
        Self::Table { routed: Routed::of(table) }
    }

    /// True when somebody should look after it.
    pub fn is_trouble(&self) -> bool {
        match self {
            Self::Fuse { .. } | Self::Trouble { .. } => true,
            Self::Version { standing, crashes, why, .. } => {
                *standing == Standing::Failed || (*crashes > 0 && *standing == Standing::Starting && why.is_some())
            }
            Self::Ready { .. } | Self::Table { .. } | Self::Draining | Self::Stopped => false,
        }
    }

    /// One line for people.
    pub fn words(&self) -> String {
        visible(&self.told(), 500)
    }

    fn told(&self) -> String {
        match self {
            Self::Ready { target, listen, admin, routed } => {
                format!("gateway {target} serves {listen}: {} (admin {admin})", routed.words())
            }
            Self::Table { routed } => format!("table {}: {}", routed.generation, routed.words()),
            Self::Version { version, standing: Standing::Stopping, .. } => format!("version {version} has stopped"),
            Self::Version { version, standing, why, crashes } => {
                let times = count(usize::try_from(*crashes).unwrap_or(usize::MAX), "time");
                let crashes = if *crashes > 0 { format!(", ended by itself {times}") } else { String::new() };
                let why = why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
                format!("version {version} {}{crashes}{why}", standing.told())
            }
            Self::Fuse { why } => format!("the canary gets no more requests: {why}"),
            Self::Trouble { what } => what.clone(),
            Self::Draining => "answering the requests under way; a second signal ends the gateway at once".to_owned(),
            Self::Stopped => "stopped".to_owned(),
        }
    }
}

/// Runs a gateway until a signal ends it.
///
/// # Errors
/// [`Kind::Locked`] when another gateway has the target; when an address is taken, what was saved is of a newer kf, or the gateway
/// was ended before the requests under way were answered.
pub fn run(setup: Setup, desk: &dyn Desk) -> Result<()> {
    std::fs::create_dir_all(&setup.dir).context(|| format!("cannot make {}", setup.dir.display()))?;
    let _held = hold(&setup.dir.join(format!("{}.lock", setup.target.name)), &setup.target.name)?;
    let (saved, first) = beginning(&setup, desk)?;
    let listener = listen(setup.gateway.listen, "listen", &setup.target.name)?;
    let admin = listen(setup.gateway.admin, "admin", &setup.target.name)?;
    let (say, heard) = channel();
    let (control, left) = assemble(&setup, saved, first, &say)?;
    if left > 0 {
        let what = format!("ended {left} processes that an earlier gateway of this target left behind");
        desk.tell(&Event::Trouble { what })?;
    }
    control.begin()?;
    let runs = control.upstreams().runs();
    let ports = Ports { listen: shown(setup.gateway.listen, &listener), admin: shown(setup.gateway.admin, &admin) };
    let parts = admin::Parts {
        control: Arc::clone(&control),
        token: setup.token,
        asking: Asking::new(say.clone()),
        tenant: setup.tenant,
        timeout: setup.health,
    };
    let served = serve(parts, (listener, admin), (setup.target.name.clone(), ports), say.clone());
    let task = runtime()?.spawn(async move {
        let over = served.await;
        // The thread that waits for this is there until it has it.
        let _ = say.send(Said::Over(over));
    });
    let ended = answer(&heard, desk, &runs);
    task.abort();
    ended
}

/// What the gateway goes on from, and the version that is to serve once it is ready.
fn beginning(setup: &Setup, desk: &dyn Desk) -> Result<(Saved, Option<Version>)> {
    match Saved::read(&state_file(setup), &setup.target.model)? {
        Found::State(saved) => return Ok((*saved, None)),
        Found::SetAside(what) => desk.tell(&Event::Trouble { what })?,
        Found::Nothing => {}
    }
    let first = desk.production()?;
    let table = Table {
        generation: 1,
        model: setup.target.model.clone(),
        stable: None,
        canary: None,
        weight: Weight::NONE,
        shadow: Weight::NONE,
        salt: String::new(),
    };
    let version = first.as_ref().map(|arm| arm.version);
    Ok((Saved::new(table, first.into_iter().collect()), version))
}

fn state_file(setup: &Setup) -> PathBuf {
    setup.dir.join(format!("{}.json", setup.target.name))
}

/// Puts the parts together; also how many processes an earlier gateway had left.
fn assemble(setup: &Setup, saved: Saved, first: Option<Version>, say: &Sender<Said>) -> Result<(Arc<Control>, usize)> {
    let proxy = Gateway::new(setup.settings.clone(), saved.table.clone(), Clock::System, Random::System)?;
    let link: Arc<OnceLock<Weak<Control>>> = Arc::default();
    let (hearing, counting, asking) = (Arc::clone(&link), Arc::clone(&proxy), Asking::new(say.clone()));
    let ground = Ground {
        target: setup.target.name.clone(),
        model: setup.target.model.clone(),
        serves: setup.gateway.serves.clone(),
        ready: setup.target.ready.clone(),
        root: setup.root.clone(),
        dir: setup.dir.clone(),
        kf: setup.kf.clone(),
        hidden: setup.hidden.clone(),
        drain: setup.settings.waits.drain,
        fetch: Box::new(move |arm| asking.files(arm)),
        active: Box::new(move |version| counting.active(version)),
        changed: Box::new(move |answering| {
            if let Some(control) = hearing.get().and_then(Weak::upgrade) {
                control.changed(answering);
            }
        }),
    };
    let (upstreams, left) = Upstreams::new(ground)?;
    let telling = say.clone();
    // Whoever no longer listens has ended the gateway.
    let tell = Box::new(move |event| drop(telling.send(Said::Event(event))));
    let parts = Parts { proxy, upstreams, path: state_file(setup), tell };
    let control = Arc::new(Control::new(parts, saved, first));
    // Nobody else has set it.
    let _ = link.set(Arc::downgrade(&control));
    Ok((control, left))
}

/// Where a gateway is reached, for people.
struct Ports {
    listen: String,
    admin: String,
}

/// The address as it is: port 0 asks for any.
fn shown(asked: SocketAddr, listener: &Listener) -> String {
    format!("http://{}", listener.local_addr().unwrap_or(asked))
}

/// Serves users and the admin until a signal ends it.
async fn serve(
    parts: admin::Parts,
    (listener, admin): (Listener, Listener),
    (target, ports): (Name, Ports),
    say: Sender<Said>,
) -> Result<()> {
    let control = Arc::clone(&parts.control);
    let trouble = || "cannot wait for signals";
    let (mut term, mut int) =
        (signal(SignalKind::terminate()).context(trouble)?, signal(SignalKind::interrupt()).context(trouble)?);
    let stop = Arc::new(Notify::new());
    let stopping = Arc::clone(&stop);
    let mut users = tokio::spawn(Arc::clone(control.proxy()).serve(listener, async move { stopping.notified().await }));
    let admin = TcpListener::from_std(admin).context(|| "cannot use the admin address")?;
    let router = admin::router(parts);
    let admin = tokio::spawn(serve_admin(router, admin, Life::default()));
    let looking = tokio::spawn(look(Arc::clone(&control), (target, ports), say.clone()));
    let by_itself = |e| Err(Error::of(Kind::Bug, format!("the proxy ended by itself: {e}")));
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
        // It ends before it is told to only when it cannot listen.
        ended = &mut users => return ended.unwrap_or_else(by_itself),
    }
    // Whoever no longer listens has ended the gateway.
    let _ = say.send(Said::Event(Event::Draining));
    stop.notify_one();
    let drained = async {
        let served = users.await;
        let ending = Arc::clone(&control);
        let _ = tokio::task::spawn_blocking(move || ending.upstreams().end()).await;
        served
    };
    let served = tokio::select! {
        served = drained => served,
        _ = term.recv() => return Err(at_once()),
        _ = int.recv() => return Err(at_once()),
    };
    looking.abort();
    admin.abort();
    let _ = say.send(Said::Event(Event::Stopped));
    served.unwrap_or_else(by_itself)
}

fn at_once() -> Error {
    Error::new("the gateway was ended by a second signal before the requests under way were answered")
}

/// Tells once that users are served, and notes it when the fuse blows.
async fn look(control: Arc<Control>, (target, ports): (Name, Ports), say: Sender<Said>) {
    let mut told = false;
    loop {
        tokio::time::sleep(LOOK).await;
        let looked = Arc::clone(&control);
        // What is noted is written to disk.
        let serves = tokio::task::spawn_blocking(move || {
            looked.note_fuse();
            let serves = || looked.serves().ok().or_else(|| looked.is_empty().then(|| looked.shown().table));
            if told { None } else { serves() }
        });
        if let Ok(Some(table)) = serves.await {
            told = true;
            let (listen, admin) = (ports.listen.clone(), ports.admin.clone());
            let ready = Event::Ready { target: target.clone(), listen, admin, routed: Routed::of(&table) };
            if say.send(Said::Event(ready)).is_err() {
                return;
            }
        }
    }
}

/// Answers what the rest of the gateway asks of this thread, until it has ended.
fn answer(heard: &Receiver<Said>, desk: &dyn Desk, runs: &Path) -> Result<()> {
    for said in heard {
        match said {
            Said::Event(event) => desk.tell(&event)?,
            // Who asked may have been stopped meanwhile, or not have waited.
            Said::Files(arm, asked) => drop(asked.send(desk.files(runs, &arm))),
            Said::Flags(tenant, asked) => drop(asked.send(desk.flags(&tenant))),
            Said::Probes(asked) => drop(asked.send(desk.probes())),
            Said::Over(ended) => return ended,
        }
    }
    Ok(())
}

/// Holds a target, so that no second gateway has it.
fn hold(path: &Path, target: &Name) -> Result<File> {
    let trouble = || format!("cannot hold {}", path.display());
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    let mut file = opened.context(trouble)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            let who = if holder.trim().is_empty() { String::new() } else { format!(" (process {})", holder.trim()) };
            return Err(Error::of(Kind::Locked, format!("a gateway of the target `{target}` runs already{who}")).hint(format!(
                "`kf gateway status --target {target}` shows it; another gateway needs a `[target.NAME]` of its own"
            )));
        }
        Err(TryLockError::Error(e)) => return Err(e).context(trouble),
    }
    file.set_len(0).and_then(|()| file.write_all(std::process::id().to_string().as_bytes())).context(trouble)?;
    Ok(file)
}

/// Takes an address.
fn listen(address: SocketAddr, key: &str, target: &Name) -> Result<Listener> {
    let bound = Listener::bind(address).and_then(|listener| listener.set_nonblocking(true).map(|()| listener));
    bound.context(|| format!("cannot listen on {address}")).hint(|| {
        format!("find what has it with `ss -ltnp`, or set `target.{target}.{key}` to an address of this machine that is free")
    })
}
