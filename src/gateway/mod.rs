//! The reverse proxy: splits the requests of a model between two of its versions, and counts what became of them.
//!
//! * [`table`]: what it routes by and what it counts; [`settings`]: how it behaves.
//! * `server` takes connections, `inbound` watches them; `proxy` takes a request from its head to the head of its answer: `headers`
//!   checks and cleans it, `split` chooses the version, `send` an endpoint of it, `body` carries both bodies, `tunnel` what stops
//!   being HTTP; `shadow` sends copies; `problem` is what the gateway says itself.
//! * `routes` is a table made ready, `endpoint` one address with its connections, `health` whether it gets requests, `fuse` takes a
//!   failing canary out at once.
//! * `tally` and `histogram` count, `prometheus` prints.
//! * [`run`] is a gateway from its start to its end: `upstreams` has the versions answer, `control` says what may be done to it,
//!   `admin` is asked for that over HTTP (`asking` and `recent` get it what is in the state), `saved` is what it knows when it starts again; [`configured`] reads `mlops.toml`.
//!
//! Invariants: a request is answered by the table that it began with, and a new table touches no connection; nothing of a body is
//! held; every request is counted once, for the version whose fault its end is; what users get says nothing of what is behind.

mod admin;
mod asking;
mod body;
pub mod configured;
mod control;
mod endpoint;
mod fuse;
mod headers;
mod health;
mod histogram;
mod inbound;
mod patience;
mod problem;
mod prometheus;
mod proxy;
mod recent;
mod routes;
pub mod run;
mod saved;
mod send;
mod server;
pub mod settings;
mod shadow;
mod split;
mod tally;
mod tunnel;
mod upstreams;

pub use crate::seams::routes as table;
pub use upstreams::{files, worker};

use crate::base::digest::hex;
use crate::base::error::{Error, Result};
use crate::base::random::Random;
use crate::base::time::Clock;
use crate::base::version::Version;
use crate::store::runtime::runtime;
use endpoint::Dialer;
use fuse::Fuse;
use routes::Routes;
use settings::Settings;
use split::{Dice, Marks};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use table::{Blown, Counters, Table};
use tally::Tally;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

/// Why a table was not taken.
#[derive(Debug)]
pub enum NotTaken {
    /// The gateway has this generation already, or a newer one.
    Stale {
        /// The generation that it has.
        has: u64,
    },
    /// It is none: an endpoint that is no address, one version twice.
    Unusable(Error),
}

/// A gateway.
pub struct Gateway {
    settings: Settings,
    marks: Marks,
    tls: Option<TlsAcceptor>,
    dialer: Arc<Dialer>,
    dice: Dice,
    places: shadow::Places,
    clock: Arc<Clock>,
    random: Random,
    boot: String,
    routes: RwLock<Arc<Routes>>,
    /// Of every version that this life has seen.
    tallies: Mutex<BTreeMap<Version, Arc<Tally>>>,
    /// Wakes whoever asks endpoints how they are.
    changed: Arc<Notify>,
}

impl Gateway {
    /// A gateway that routes by this table and asks its endpoints how they are from now on; it takes requests when it is served.
    ///
    /// # Errors
    /// When a setting, a name, a certificate or an address is none, or the system gives no threads.
    pub fn new(settings: Settings, table: Table, clock: Clock, random: Random) -> Result<Arc<Self>> {
        settings.check()?;
        let runtime = runtime()?;
        let marks = Marks::new(&settings)?;
        let tls = settings.tls.as_ref().map(server::acceptor).transpose()?;
        let (waits, limits) = (&settings.waits, &settings.limits);
        let kept = (waits.pooled, limits.pooled);
        let dialer = Arc::new(Dialer::new(waits.connect, limits.head, kept, settings.authorities.as_deref())?);
        let clock = Arc::new(clock);
        let tallies = Mutex::default();
        let fuse = Fuse::new(settings.fuse.clone(), Arc::clone(&clock));
        let routes = Routes::new(table, None, fuse, |version| tally_of(&tallies, version))?;
        let gateway = Arc::new(Self {
            marks,
            tls,
            dialer,
            dice: Dice::new(&random),
            places: shadow::Places::new(settings.shadow.at_once),
            boot: random.uuid(clock.now()).to_string(),
            clock,
            random,
            routes: RwLock::new(Arc::new(routes)),
            tallies,
            changed: Arc::new(Notify::new()),
            settings,
        });
        runtime.spawn(watch(Arc::downgrade(&gateway)));
        Ok(gateway)
    }

    /// Routes by another table from now on; requests that have begun go on by theirs.
    ///
    /// # Errors
    /// When it is not newer than the one that is there, or is none; the gateway then goes on as before.
    pub fn replace(&self, table: Table) -> Result<(), NotTaken> {
        let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
        if table.generation <= routes.table.generation {
            return Err(NotTaken::Stale { has: routes.table.generation });
        }
        let fuse = Fuse::new(self.settings.fuse.clone(), Arc::clone(&self.clock));
        let next = Routes::new(table, Some(&routes), fuse, |version| tally_of(&self.tallies, version));
        *routes = Arc::new(next.map_err(NotTaken::Unusable)?);
        self.changed.notify_one();
        Ok(())
    }

    /// The table that it routes by.
    pub fn table(&self) -> Table {
        self.routes().table.clone()
    }

    /// What it counted since it began.
    pub fn counters(&self) -> Counters {
        let routes = self.routes();
        let tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        Counters {
            boot: self.boot.clone(),
            generation: routes.table.generation,
            arms: tallies.iter().map(|(version, tally)| (*version, tally.counted())).collect(),
            shadow_dropped: self.places.dropped(),
            fuse: routes.fuse.blown().cloned(),
            endpoints: routes.arms().flat_map(|arm| arm.endpoints.iter().map(|e| e.health.shown(arm.version, &e.text))).collect(),
        }
    }

    /// Why the canary gets nothing although the table gives it something.
    pub fn blown(&self) -> Option<Blown> {
        self.routes().fuse.blown().cloned()
    }

    /// How many requests a version is answering.
    pub fn active(&self, version: Version) -> u64 {
        let tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        tallies.get(&version).map_or(0, |tally| tally.active())
    }

    /// Whether an endpoint of this version gets requests, as far as is known.
    pub fn takes(&self, version: Version) -> bool {
        let routes = self.routes();
        let mut endpoints = routes.arms().filter(|arm| arm.version == version).flat_map(|arm| &arm.endpoints);
        endpoints.any(|endpoint| endpoint.health.known() <= health::Known::Unknown)
    }

    /// Asks all endpoints at once how they are: one of them is said to have become ready.
    pub fn ask_now(&self) {
        self.changed.notify_one();
    }

    /// The same for Prometheus.
    pub fn metrics_text(&self) -> String {
        let (routes, counters) = (self.routes(), self.counters());
        let tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        prometheus::text(&routes, &counters, &tallies)
    }

    /// Takes requests on a listener until `shutdown` is there, then lets those that have begun finish, for as long as the settings say.
    /// Several listeners may be served at once.
    ///
    /// # Errors
    /// When the listener cannot be used.
    pub async fn serve(
        self: Arc<Self>,
        listener: std::net::TcpListener,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<()> {
        server::serve(self, listener, shutdown).await
    }

    fn routes(&self) -> Arc<Routes> {
        Arc::clone(&self.routes.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The key of a new session: nobody can guess another's.
    fn new_key(&self) -> String {
        hex(&self.random.bytes::<16>())
    }
}

/// The counters of a version, the same for the life of a gateway.
fn tally_of(tallies: &Mutex<BTreeMap<Version, Arc<Tally>>>, version: Version) -> Arc<Tally> {
    let mut tallies = tallies.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(tallies.entry(version).or_insert_with(|| Arc::new(Tally::new())))
}

/// Asks all endpoints how they are, and closes connections that nobody uses, until the gateway is gone.
async fn watch(gateway: Weak<Gateway>) {
    while let Some(alive) = gateway.upgrade() {
        let (routes, dialer, rule) = (alive.routes(), Arc::clone(&alive.dialer), alive.settings.health.clone());
        let changed = Arc::clone(&alive.changed);
        drop(alive);
        let asked = routes.endpoints().map(|endpoint| {
            endpoint.sweep(&dialer);
            health::ask(Arc::clone(endpoint), Arc::clone(&dialer), rule.clone())
        });
        futures_util::future::join_all(asked).await;
        drop(routes);
        // Late is as good as changed.
        let _ = tokio::time::timeout(rule.every, changed.notified()).await;
    }
}
