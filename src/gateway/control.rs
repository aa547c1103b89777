//! What may be done to a running gateway: look at its table, replace it, have a version answer, stop one.
//!
//! Invariants: a table is on disk before it takes effect, and takes effect before it is answered; of two writers that saw the same
//! table one wins; no table that is written here leaves users without a version, sends them to one that is not ready, or names an
//! address: the gateway knows itself where its versions are.

use super::saved::Saved;
use super::table::{Answering, Blown, Routes, Shown, Standing, Table, Upstream};
use super::upstreams::Upstreams;
use super::{Gateway, NotTaken, run::Event};
use crate::base::digest::Digest;
use crate::base::error::{Error, Result};
use crate::base::name::Name;
use crate::base::version::Version;
use crate::base::weight::Weight;
use crate::seams::traffic::Arm;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Why something was not done.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It makes no sense, whatever the gateway's state.
    Invalid(String),
    /// Not now: what must be before is not.
    NotNow(String),
    /// The table is not the one that the writer saw; its generation.
    Stale(u64),
    /// There is no such version here.
    Unknown(Version),
    /// It could not be done.
    Failed(Error),
}

impl Refusal {
    /// Why, for people.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Invalid(why) | Self::NotNow(why) => why.clone(),
            Self::Stale(now) => format!("the table has generation {now} by now: read it again"),
            Self::Unknown(version) => format!("version {version} does not answer here"),
            Self::Failed(e) => worded(e),
        }
    }
}

/// What a gateway is made of.
pub(super) struct Parts {
    /// What answers users.
    pub(super) proxy: Arc<Gateway>,
    /// What the versions run in.
    pub(super) upstreams: Upstreams,
    /// Where the table is kept.
    pub(super) path: PathBuf,
    /// Is told of what happens; must not wait for the gateway.
    pub(super) tell: Box<dyn Fn(Event) + Send + Sync>,
}

/// The table and the versions of a running gateway.
pub(super) struct Control {
    proxy: Arc<Gateway>,
    upstreams: Upstreams,
    path: PathBuf,
    tell: Box<dyn Fn(Event) + Send + Sync>,
    /// What serves as soon as it is ready, where nothing does yet.
    first: Option<Version>,
    /// What is on disk; held while it is changed.
    now: Mutex<Saved>,
}

impl Control {
    /// Of a gateway that goes on as `now` says; `first` is to serve as soon as it is ready, where the table
    /// has nothing that does.
    pub(super) fn new(parts: Parts, now: Saved, first: Option<Version>) -> Self {
        let Parts { proxy, upstreams, path, tell } = parts;
        Self { proxy, upstreams, path, tell, first, now: Mutex::new(now) }
    }

    /// Starts the versions, each on the port that it had before, if it can.
    ///
    /// # Errors
    /// When the system has no threads for them.
    pub(super) fn begin(&self) -> Result<()> {
        let Saved { table, versions, .. } = &*self.now();
        let port = |version: Version| {
            let upstream = [&table.stable, &table.canary].into_iter().flatten().find(|u| u.version == version)?;
            upstream.endpoints.first()?.rsplit(':').next()?.parse().ok()
        };
        versions.iter().try_for_each(|arm| self.upstreams.start(arm, port(arm.version)).map(drop))
    }

    /// The proxy that answers users.
    pub(super) fn proxy(&self) -> &Arc<Gateway> {
        &self.proxy
    }

    /// The versions.
    pub(super) fn upstreams(&self) -> &Upstreams {
        &self.upstreams
    }

    /// What served before what serves now, with its files at hand.
    pub(super) fn previous(&self) -> Option<Arm> {
        self.now().previous.clone()
    }

    /// The table, and what becomes of it.
    pub(super) fn shown(&self) -> Shown {
        let now = self.now();
        let fuse = now.fuse.clone().or_else(|| self.proxy.blown());
        let effective = if fuse.is_some() || now.table.canary.is_none() { Weight::NONE } else { now.table.weight };
        Shown { table: now.table.clone(), effective, fuse }
    }

    /// Routes by something else, if the table is still the one of `seen`.
    ///
    /// # Errors
    /// Why not; nothing has changed then.
    pub(super) fn route(&self, wanted: &Routes, seen: u64) -> Result<Shown, Refusal> {
        {
            let mut now = self.now();
            if now.table.generation != seen {
                return Err(Refusal::Stale(now.table.generation));
            }
            self.check(&now.table, wanted)?;
            if now.table.routes() != *wanted || now.fuse.is_some() || self.proxy.blown().is_some() {
                let table = self.next(&now.table, wanted)?;
                self.set(&mut now, table, None)?;
            }
        }
        Ok(self.shown())
    }

    /// Has a version answer; one that does already is left as it is.
    ///
    /// # Errors
    /// When the same version is there with other files, or what is to be known of it cannot be written.
    pub(super) fn start(&self, arm: &Arm) -> Result<Answering, Refusal> {
        let mut now = self.now();
        let shown = self.upstreams.start(arm, None).map_err(|e| Refusal::NotNow(worded(&e)))?;
        if !now.versions.contains(arm) {
            let mut next = now.clone();
            next.versions.push(arm.clone());
            if let Err(e) = next.write(&self.path) {
                self.upstreams.stop(arm.version, false);
                return Err(Refusal::Failed(e));
            }
            *now = next;
        }
        Ok(shown)
    }

    /// Has a version stop, which no request is routed to.
    ///
    /// # Errors
    /// When it has traffic, or there is none.
    pub(super) fn stop(&self, version: Version) -> Result<(), Refusal> {
        let mut now = self.now();
        let Routes { stable, canary, weight, shadow } = now.table.routes();
        if stable == Some(version) {
            return Err(Refusal::NotNow(format!("version {version} serves: route to another one first")));
        }
        if canary == Some(version) && (weight > Weight::NONE || shadow > Weight::NONE) {
            return Err(Refusal::NotNow(format!("version {version} gets requests: set its weight and its shadow to 0 first")));
        }
        if self.upstreams.get(version).is_none() {
            return Err(Refusal::Unknown(version));
        }
        if canary == Some(version) {
            let mut table = now.table.clone();
            (table.generation, table.canary) = (table.generation + 1, None);
            self.set(&mut now, table, None)?;
        }
        let mut next = now.clone();
        next.versions.retain(|arm| arm.version != version);
        next.write(&self.path).map_err(Refusal::Failed)?;
        let keep = next.previous.as_ref().is_some_and(|arm| arm.version == version);
        *now = next;
        self.upstreams.stop(version, keep);
        Ok(())
    }

    /// A version stands otherwise: where it answers is where requests go from now on.
    pub(super) fn changed(&self, answering: &Answering) {
        (self.tell)(Event::version(answering));
        if answering.standing == Standing::Ready {
            self.proxy.ask_now();
        }
        let Some(endpoint) = &answering.endpoint else { return };
        let mut now = self.now();
        if now.table.stable.is_none() && self.first == Some(answering.version) && answering.standing == Standing::Ready {
            let wanted = Routes { stable: self.first, canary: None, weight: Weight::NONE, shadow: Weight::NONE };
            let table = self.next(&now.table, &wanted);
            let set = table.and_then(|table| self.set(&mut now, table, None));
            return self.trouble(set);
        }
        // What is blown and not yet noted must not be lost with the table that it belongs to.
        self.keep_fuse(&mut now);
        let mut table = now.table.clone();
        for upstream in [&mut table.stable, &mut table.canary].into_iter().flatten() {
            if upstream.version == answering.version {
                upstream.endpoints = vec![endpoint.clone()];
            }
        }
        if table != now.table {
            table.generation += 1;
            let fuse = now.fuse.clone();
            let set = self.set(&mut now, table, fuse);
            self.trouble(set);
        }
    }

    /// Tells of what could not be done, where nobody waits for an answer.
    fn trouble(&self, done: Result<(), Refusal>) {
        if let Err(refusal) = done {
            (self.tell)(Event::Trouble { what: refusal.words() });
        }
    }

    /// Whether users are served; why not.
    ///
    /// # Errors
    /// Why not, in words.
    pub(super) fn serves(&self) -> Result<Table, String> {
        let table = self.now().table.clone();
        let waited = table.stable.as_ref().map(|u| u.version).or(self.first);
        let Some(version) = waited else { return Err("no version serves".to_owned()) };
        self.ready(Some(version)).map_err(|refusal| refusal.words())?;
        if self.proxy.takes(version) { Ok(table) } else { Err(format!("version {version} is about to serve")) }
    }

    /// True when nothing serves and nothing is about to, so that there is nothing to wait for.
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none() && self.now().table.stable.is_none()
    }

    /// Notes that the proxy took the canary out by itself: the next table gives it nothing, so that neither a gateway that starts
    /// again nor a version that moves to another port does.
    pub(super) fn note_fuse(&self) {
        self.keep_fuse(&mut self.now());
    }

    fn keep_fuse(&self, now: &mut Saved) {
        if now.fuse.is_some() {
            return;
        }
        let Some(blown) = self.proxy.blown() else { return };
        (self.tell)(Event::Fuse { why: blown.why.clone() });
        let generation = now.table.generation + 1;
        let table = Table { generation, weight: Weight::NONE, shadow: Weight::NONE, ..now.table.clone() };
        // Where it cannot be written the proxy's own fuse stays blown.
        let set = self.set(now, table, Some(blown));
        self.trouble(set);
    }

    /// Whether the wanted routes may be.
    fn check(&self, table: &Table, wanted: &Routes) -> Result<(), Refusal> {
        let Routes { stable, canary, weight, shadow } = *wanted;
        let invalid = |why: &str| Err(Refusal::Invalid(why.to_owned()));
        let before = table.routes();
        if canary.is_some() && canary == stable {
            return invalid("the canary is the stable version");
        }
        if canary.is_none() && (weight > Weight::NONE || shadow > Weight::NONE) {
            return invalid("there is a weight or a shadow, and no canary to get it");
        }
        if stable.is_none() && before.stable.is_some() {
            return invalid("this would leave users without a version: name the one that is to serve");
        }
        if stable != before.stable {
            self.ready(stable)?;
        }
        if canary != before.canary || weight > before.weight || shadow > before.shadow {
            self.ready(canary.filter(|_| weight > Weight::NONE || shadow > Weight::NONE))?;
        }
        // A version need not be ready to get nothing, but it must be there.
        canary.map_or(Ok(()), |version| self.endpoint(version).map(drop))
    }

    /// Refuses a version that is not ready.
    fn ready(&self, version: Option<Version>) -> Result<(), Refusal> {
        let Some(version) = version else { return Ok(()) };
        let found = self.upstreams.get(version).ok_or_else(|| absent(version))?;
        if found.standing == Standing::Ready {
            return Ok(());
        }
        let why = found.why.map(|why| format!(": {why}")).unwrap_or_default();
        Err(Refusal::NotNow(format!("version {version} is not ready, it {}{why}", found.standing.told())))
    }

    fn endpoint(&self, version: Version) -> Result<String, Refusal> {
        let found = self.upstreams.get(version).ok_or_else(|| absent(version))?;
        found
            .endpoint
            .ok_or_else(|| Refusal::NotNow(format!("version {version} has no address yet: it {}", found.standing.told())))
    }

    /// The table after `before` that routes as wanted.
    fn next(&self, before: &Table, wanted: &Routes) -> Result<Table, Refusal> {
        let upstream = |version: Option<Version>| -> Result<Option<Upstream>, Refusal> {
            let Some(version) = version else { return Ok(None) };
            let old = [&before.stable, &before.canary].into_iter().flatten().find(|u| u.version == version);
            let endpoints = match old {
                Some(old) => old.endpoints.clone(),
                None => vec![self.endpoint(version)?],
            };
            Ok(Some(Upstream { version, endpoints }))
        };
        Ok(Table {
            generation: before.generation + 1,
            model: before.model.clone(),
            stable: upstream(wanted.stable)?,
            canary: upstream(wanted.canary)?,
            weight: wanted.weight,
            shadow: wanted.shadow,
            salt: salt(&before.model, wanted.stable, wanted.canary),
        })
    }

    /// Writes a table and routes by it.
    fn set(&self, now: &mut Saved, table: Table, fuse: Option<Blown>) -> Result<(), Refusal> {
        let mut next = now.clone();
        (next.table, next.fuse) = (table.clone(), fuse);
        let served = now.table.stable.as_ref().map(|upstream| upstream.version);
        if served != table.stable.as_ref().map(|upstream| upstream.version) {
            next.previous = now.versions.iter().find(|arm| Some(arm.version) == served).cloned();
        }
        let unneeded = now.previous.clone().filter(|_| next.previous != now.previous);
        next.write(&self.path).map_err(Refusal::Failed)?;
        self.proxy.replace(table.clone()).map_err(|e| match e {
            NotTaken::Stale { has } => Refusal::Stale(has),
            NotTaken::Unusable(e) => Refusal::Failed(e),
        })?;
        (self.tell)(Event::table(&table));
        *now = next;
        // The files of what served before that are of no more use, unless it answers by them.
        if let Some(arm) = unneeded.filter(|arm| self.upstreams.get(arm.version).is_none()) {
            self.upstreams.forget(&arm);
        }
        Ok(())
    }

    fn now(&self) -> MutexGuard<'_, Saved> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An error on one line.
fn worded(e: &Error) -> String {
    let hints = e.hints().iter().map(|hint| format!(" ({hint})")).collect::<String>();
    format!("{e}{hints}")
}

fn absent(version: Version) -> Refusal {
    Refusal::NotNow(format!("version {version} does not answer here: start it first, `POST /v1/versions`"))
}

/// The salt of a pair of versions: the same wherever the same two are compared, so that several gateways of one model send a
/// session to the same version; another for the next pair.
fn salt(model: &Name, stable: Option<Version>, canary: Option<Version>) -> String {
    let name = |version: Option<Version>| version.map(|v| v.to_string()).unwrap_or_default();
    Digest::of(format!("{model}\n{}\n{}", name(stable), name(canary)).as_bytes()).short()
}
