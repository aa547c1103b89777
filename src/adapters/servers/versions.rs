//! Versions behind a server: where each answers, whether it does, how it is started and stopped.

use super::refused;
use crate::adapters::http::{Http, Request};
use crate::adapters::process::Program;
use crate::base::error::{Context, Error, Result};
use crate::base::name::Name;
use crate::base::version::Version;
use crate::config::{Address, Target};
use crate::seams::traffic::{Arm, Arms, Asked};
use crate::store::runtime::block_on;
use reqwest::Method;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How long a program may take that starts or stops a version.
const PROGRAM_LIMIT: Duration = Duration::from_secs(60);

/// Whether a version can take traffic.
pub(super) enum Standing {
    /// Its `ready` path answers 2xx.
    Ready,
    /// It does not, and why.
    Not(String),
}

/// All versions of a target's model.
pub(super) struct Versions {
    pub(super) http: Arc<Http>,
    pub(super) target: Name,
    pub(super) url: Address,
    pub(super) ready: String,
    pub(super) start: Option<Vec<String>>,
    pub(super) stop: Option<Vec<String>>,
    pub(super) root: PathBuf,
}

impl Versions {
    /// Those of a target whose repository is at `root`.
    pub(super) fn new(target: &Target, behind: &crate::config::Behind, http: Arc<Http>, root: PathBuf) -> Self {
        Self {
            http,
            target: target.name.clone(),
            url: behind.url.clone(),
            ready: target.ready.clone(),
            start: behind.start.clone(),
            stop: behind.stop.clone(),
            root,
        }
    }

    /// Where a version answers.
    pub(super) fn address(&self, model: &Name, version: Version) -> String {
        self.url.at(model, version)
    }

    /// Makes sure that the two versions do not come to one address: of `9{minor}{patch}` 1.1.11 and 1.11.1 do.
    ///
    /// # Errors
    /// When they do.
    pub(super) fn apart(&self, arms: &Arms) -> Result<()> {
        let canary = self.address(&arms.model, arms.canary.version);
        match arms.stable.as_ref().filter(|stable| self.address(&arms.model, stable.version) == canary) {
            Some(stable) if stable.version != arms.canary.version => {
                let (model, target) = (&arms.model, &self.target);
                let message =
                    format!("{model}@{} and {model}@{} would both answer at {canary}", stable.version, arms.canary.version);
                let hint =
                    format!("put more of the version into `url` of `[target.{target}]`: `{{version}}` is another for each");
                Err(Error::new(message).hint(hint))
            }
            _ => Ok(()),
        }
    }

    /// Whether a version can take traffic now.
    pub(super) fn standing(&self, model: &Name, version: Version) -> Asked<Standing> {
        let address = format!("{}{}", self.address(model, version).trim_end_matches('/'), self.ready);
        let url = address.parse().context(|| format!("`{address}` is no address")).map_err(refused)?;
        let answer = block_on(self.http.answer(&Request::new(Method::GET, url))).map_err(refused)?;
        Ok(match answer {
            Ok(answer) if (200..300).contains(&answer.status) => Standing::Ready,
            Ok(answer) => Standing::Not(format!("{address} answers {}", answer.status)),
            Err(e) => Standing::Not(e.to_string()),
        })
    }

    /// Whether kf can start versions.
    pub(super) fn can_start(&self) -> bool {
        self.start.is_some()
    }

    /// Starts a version, unless it answers already.
    pub(super) fn start(&self, model: &Name, arm: &Arm) -> Asked<()> {
        let Some(program) = &self.start else { return Ok(()) };
        if matches!(self.standing(model, arm.version)?, Standing::Ready) {
            return Ok(());
        }
        self.run(program, model, arm).context(|| format!("cannot start {model}@{}", arm.version)).map_err(refused)
    }

    /// Stops a version.
    pub(super) fn stop(&self, model: &Name, arm: &Arm) -> Asked<()> {
        let Some(program) = &self.stop else { return Ok(()) };
        self.run(program, model, arm).context(|| format!("cannot stop {model}@{}", arm.version)).map_err(refused)
    }

    fn run(&self, program: &[String], model: &Name, arm: &Arm) -> Result<()> {
        let program = Program::from_argv(program)?.dir(&self.root).timeout(PROGRAM_LIMIT);
        let program = program
            .env("KF_TARGET", self.target.as_str())
            .env("KF_MODEL", model.as_str())
            .env("KF_VERSION", arm.version.to_string())
            .env("KF_DIGEST", arm.digest.to_string())
            .env("KF_URL", self.address(model, arm.version));
        program.output(b"").map(drop)
    }
}
