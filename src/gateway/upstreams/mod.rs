//! The versions that a gateway has answer: each with a thread of its own that starts its program, waits until it is ready, starts
//! it again when it ends, and stops it when it is not wanted any more; or that asks a version which runs elsewhere whether it is
//! ready.
//!
//! Invariants: a program that ends at once is never started in a busy loop; one that is stopped has answered its requests before,
//! or had its time for it; no program outlives its gateway (`worker`, `leftover`); what a program writes is bounded on disk.

pub mod files;
mod leftover;
mod log;
mod version;
pub mod worker;

use super::table::Answering;
use crate::adapters::http::{Http, Policy};
use crate::base::error::{Error, Result};
use crate::base::name::Name;
use crate::base::random::Random;
use crate::base::version::Version;
use crate::config::Serves;
use crate::seams::traffic::Arm;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use version::One;

/// The variable by which programs of a gateway are told from others.
const MARK: &str = "KF_GATEWAY";
/// How long one question for readiness may take.
const PROBE: Duration = Duration::from_secs(2);

/// Gives the folder with the files of a version, once they are in it.
pub(super) type Fetch = dyn Fn(&Arm) -> Result<PathBuf> + Send + Sync;

/// How versions are brought to answer, and what they need for it.
pub(super) struct Ground {
    /// The name of the target.
    pub(super) target: Name,
    /// The model.
    pub(super) model: Name,
    /// A program or an address.
    pub(super) serves: Serves,
    /// The path that answers 2xx when a version can take traffic.
    pub(super) ready: String,
    /// Where programs run: the repository.
    pub(super) root: PathBuf,
    /// `.kf/gateway`.
    pub(super) dir: PathBuf,
    /// kf itself.
    pub(super) kf: PathBuf,
    /// Variables that programs are not handed: they hold secrets of the gateway.
    pub(super) hidden: Vec<String>,
    /// How long a version that is stopped may finish its requests.
    pub(super) drain: Duration,
    /// Gets the files of a version that are not there yet.
    pub(super) fetch: Box<Fetch>,
    /// How many requests a version is answering.
    pub(super) active: Box<dyn Fn(Version) -> u64 + Send + Sync>,
    /// Is told of every change of a version.
    pub(super) changed: Box<dyn Fn(&Answering) + Send + Sync>,
}

/// The versions that a gateway has answer.
pub(super) struct Upstreams {
    ground: Arc<Ground>,
    http: Arc<Http>,
    all: Mutex<BTreeMap<Version, Arc<One>>>,
}

impl Upstreams {
    /// None yet. Programs that an earlier gateway of this target left behind are ended; how many there were is told.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub(super) fn new(ground: Ground) -> Result<(Self, usize)> {
        let policy = Policy { attempts: 1, timeout: PROBE, ..Policy::default() };
        // Programs of this machine are asked directly, whatever proxy it has for the rest of the world.
        let http = match ground.serves {
            Serves::Command(_) => Http::direct(policy, Random::System)?,
            Serves::Url(_) => Http::new(policy, Random::System)?,
        };
        let left = leftover::end(&[ground.mark()]);
        files::sweep(&ground.runs());
        Ok((Self { ground: Arc::new(ground), http: Arc::new(http), all: Mutex::default() }, left))
    }

    /// Has a version answer, from now on, if it can on the port that it had before; one that does already is left as it is.
    ///
    /// # Errors
    /// When the same version is there with other files, or no thread can be started.
    pub(super) fn start(&self, arm: &Arm, port: Option<u16>) -> Result<Answering> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(one) = all.get(&arm.version).filter(|one| !one.is_over()) {
            let shown = one.shown();
            if shown.digest != arm.digest {
                let known = shown.digest;
                return Err(Error::new(format!(
                    "version {} answers here with the digest {known}, not {}",
                    arm.version, arm.digest
                )));
            }
            // One that is being stopped goes on, or begins anew.
            if one.want() {
                return Ok(one.shown());
            }
        }
        let one = One::start(arm.clone(), port, Arc::clone(&self.ground), Arc::clone(&self.http))?;
        let shown = one.shown();
        all.insert(arm.version, one);
        Ok(shown)
    }

    /// Every version, those that are being stopped too.
    pub(super) fn shown(&self) -> Vec<Answering> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, one| !one.is_over());
        all.values().map(|one| one.shown()).collect()
    }

    /// Where the files of versions are.
    pub(super) fn runs(&self) -> PathBuf {
        self.ground.runs()
    }

    /// One version.
    pub(super) fn get(&self, version: Version) -> Option<Answering> {
        self.shown().into_iter().find(|shown| shown.version == version)
    }

    /// Has a version stop once it has answered its requests; its files go with it unless they are kept. False when there is none.
    pub(super) fn stop(&self, version: Version, keep: bool) -> bool {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let found = all.get(&version).filter(|one| !one.is_over());
        found.inspect(|one| one.stop(!keep)).is_some()
    }

    /// Removes the files of a version that does not answer.
    pub(super) fn forget(&self, arm: &Arm) {
        // What is left of them is overwritten when the version comes again.
        let _ = files::forget(&self.ground.runs(), arm);
    }

    /// Stops every version and waits until they are gone. Their files stay for the next start.
    pub(super) fn end(&self) {
        let all = std::mem::take(&mut *self.all.lock().unwrap_or_else(PoisonError::into_inner));
        all.values().for_each(|one| one.stop(false));
        all.values().for_each(|one| one.join());
    }
}

impl Ground {
    /// `NAME=VALUE` as programs of this gateway have it.
    fn mark(&self) -> String {
        format!("{MARK}={}", self.mark_value())
    }

    fn mark_value(&self) -> String {
        self.dir.join(self.target.as_str()).display().to_string()
    }

    fn runs(&self) -> PathBuf {
        self.dir.join("run").join(self.target.as_str())
    }

    fn log(&self, version: Version) -> PathBuf {
        self.dir.join("log").join(self.target.as_str()).join(format!("{version}.log"))
    }
}
