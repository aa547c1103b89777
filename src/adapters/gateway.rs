//! `kf gateway run`, asked and told over its admin interface: where traffic is split, and who counts.
//!
//! The interface is that of `docs/gateway.md`. A table is written with the generation that was read (`If-Match`), so of two writers
//! one wins. What is counted only rises while a gateway lives, so a window is the difference to where the last one ended; a gateway
//! that was started again counts from zero, which its `boot` tells.

pub(in crate::adapters) mod counted;

use super::http::{Http, Policy, Refused, Request};
use crate::base::error::{Context, Error, Result};
use crate::base::name::Name;
use crate::base::quantity::Bytes;
use crate::base::random::Random;
use crate::base::version::Version;
use crate::base::weight::Weight;
use crate::config::{GatewayTarget, Secret, Target as Settings};
use crate::seams::metrics::{Ask, MetricSource, Reading};
use crate::seams::routes::{Answering, Counters, Routes, Shown, Standing};
use crate::seams::traffic::{Arm, Arms, Asked, Before, Fault, Keep, Known, Ready, Seen, Target};
use crate::store::runtime::block_on;
use reqwest::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fmt;
use std::time::Duration;
use url::Url;

/// The largest answer: two histograms of a thousand buckets for each version are far less.
const ANSWER_MAX: Bytes = Bytes(8 << 20);

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    http: Http,
    base: Url,
    token: Option<Secret>,
    target: String,
    timeout: Duration,
}

#[derive(Deserialize)]
struct Versions {
    versions: Vec<Answering>,
    #[serde(default)]
    previous: Option<Arm>,
}

impl Gateway {
    /// The gateway of a target; it is not asked yet.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(target: &Settings, gateway: &GatewayTarget, token: Option<Secret>, random: Random) -> Result<Self> {
        let policy = Policy { attempts: 1, timeout: target.timeout, body_max: ANSWER_MAX, ..Policy::default() };
        let admin = gateway.admin;
        // A proxy for the rest of the world does not lead to this machine.
        let own = admin.ip().is_loopback();
        let http = if own { Http::direct(policy, random)? } else { Http::new(policy, random)? };
        let base = format!("http://{admin}/").parse().context(|| format!("`{admin}` is no address"))?;
        Ok(Self { http, base, token, target: target.name.to_string(), timeout: target.timeout })
    }

    /// The table, and what becomes of it.
    ///
    /// # Errors
    /// When the gateway does not answer.
    pub fn shown(&self) -> Asked<Shown> {
        self.ask(Method::GET, "v1/table", None, None)
    }

    /// The versions that answer there.
    ///
    /// # Errors
    /// When the gateway does not answer.
    pub fn versions(&self) -> Asked<Vec<Answering>> {
        self.ask(Method::GET, "v1/versions", None, None).map(|found: Versions| found.versions)
    }

    /// What it counted.
    ///
    /// # Errors
    /// When the gateway does not answer.
    pub fn counters(&self) -> Asked<Counters> {
        self.ask(Method::GET, "v1/counters", None, None)
    }

    fn start(&self, arm: &Arm) -> Asked<Answering> {
        let body = json!({"version": arm.version, "digest": arm.digest});
        self.ask(Method::POST, "v1/versions", Some(&body), None)
    }

    fn route(&self, routes: &Routes, generation: &str) -> Asked<Shown> {
        let body = serde_json::to_value(routes).context(|| "cannot write a table").map_err(Fault::Refused)?;
        self.ask(Method::PUT, "v1/table", Some(&body), Some(generation))
    }

    /// Stops a version; one that is not there is stopped.
    fn stop(&self, version: Version) -> Asked<()> {
        match self.ask::<Value>(Method::DELETE, &format!("v1/versions/{version}"), None, None) {
            Err(Fault::Refused(e)) if status(&e) == Some(404) => Ok(()),
            done => done.map(drop),
        }
    }

    /// Routes otherwise than it is, whatever it is by now; what is so already is left.
    fn route_from(&self, shown: &Shown, wanted: &Routes) -> Asked<()> {
        if shown.table.routes() == *wanted && shown.fuse.is_none() {
            return Ok(());
        }
        self.route(wanted, &shown.table.generation.to_string()).map(drop)
    }

    fn ask<T: DeserializeOwned>(&self, method: Method, path: &str, body: Option<&Value>, seen: Option<&str>) -> Asked<T> {
        let request = self.request(method, path, body, seen).map_err(Fault::Refused)?;
        let sent = block_on(self.http.send(&request)).map_err(Fault::Refused)?;
        let answer = sent.map_err(|e| self.fault(e))?;
        let value = serde_json::from_slice(&answer.body).context(|| format!("{request:?}: this is not a gateway of kf"));
        value.map_err(Fault::Unclear)
    }

    fn request(&self, method: Method, path: &str, body: Option<&Value>, seen: Option<&str>) -> Result<Request> {
        let url = self.base.join(path).context(|| format!("`{path}` is no path"))?;
        let mut request = Request::new(method, url).timeout(self.timeout);
        if let Some(token) = &self.token {
            request = request.secret_header("authorization", &Secret::new(format!("Bearer {}", token.expose())))?;
        }
        if let Some(generation) = seen {
            request = request.header("if-match", &format!("\"{generation}\""))?;
        }
        Ok(match body {
            Some(body) => request.json(body),
            None => request,
        })
    }

    /// What kind of no an error is, in the gateway's own words.
    fn fault(&self, e: Error) -> Fault {
        let said = e.cause::<Refused>().map(|refused| (refused.status, said(&refused.to_string())));
        let Some((status, said)) = said else {
            let target = &self.target;
            return Fault::Unclear(e.hint(format!("`kf gateway run --target {target}` starts it")));
        };
        match status {
            412 => Fault::Conflict(e),
            401 | 403 => Fault::Refused(e),
            // What is starting is ready a moment later.
            409 if said.as_ref().is_some_and(|said| said.contains(&format!("it {}", Standing::Starting.told()))) => {
                Fault::Unclear(e)
            }
            400..=499 => Fault::Refused(match said {
                Some(said) => keeping(Error::new(format!("the gateway says no: {said}")), e),
                None => e,
            }),
            _ => Fault::Unclear(e),
        }
    }

    /// Whether a version can take requests.
    fn is_ready(found: &[Answering], version: Version) -> Ready {
        let Some(found) = found.iter().find(|found| found.version == version) else {
            return Ready::NotYet(format!("version {version} is not started"));
        };
        let why = found.why.clone().unwrap_or_else(|| format!("it {}", found.standing.told()));
        let said = found.log.last().map(|line| format!(" (it wrote: {line})")).unwrap_or_default();
        match found.standing {
            Standing::Ready => Ready::Yes,
            Standing::Starting | Standing::Stopping => Ready::NotYet(format!("version {version}: {why}{said}")),
            Standing::Failed => Ready::Never(format!("version {version}: {why}{said}")),
        }
    }
}

/// The same error with the answer that it came from as its cause, by which it is told apart.
fn keeping(error: Error, cause: Error) -> Error {
    match cause.cause::<Refused>().cloned() {
        Some(refused) => match Err::<(), _>(refused).context(|| error.to_string()) {
            Err(e) => e,
            Ok(()) => error,
        },
        None => error,
    }
}

/// The status of the answer that an error came from.
fn status(e: &Error) -> Option<u16> {
    e.cause::<Refused>().map(|refused| refused.status)
}

/// What a gateway gives as its reason.
fn said(message: &str) -> Option<String> {
    let body = &message[message.find('{')?..];
    let value: Value = serde_json::from_str(body).ok()?;
    value["error"].as_str().map(str::to_owned)
}

impl fmt::Display for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.base.port().map(|p| format!(":{p}")).unwrap_or_default();
        write!(f, "gateway at {}{port}", self.base.host_str().unwrap_or_default())
    }
}

impl Target for Gateway {
    fn describe(&self) -> String {
        self.to_string()
    }

    fn preflight(&self, arms: &Arms) -> Asked<()> {
        let Shown { table, .. } = self.shown()?;
        let refused = |e: Error| Err(Fault::Refused(e));
        if table.model != arms.model {
            return refused(Error::new(format!("the {self} serves {}, not {}", table.model, arms.model)));
        }
        let routes = table.routes();
        let known = arms.stable.as_ref().map(|arm| arm.version);
        if let (Some(serves), Some(stable)) = (routes.stable, known)
            && serves != stable
            && serves != arms.canary.version
        {
            return refused(
                Error::new(format!("the {self} serves version {serves}, and the rollout began against {stable}"))
                    .hint(arms.begin_anew(&self.target)),
            );
        }
        // Who leaves a version that somebody put on trial by hand names it as what serves.
        let apart = |other: &Version| *other != arms.canary.version && Some(*other) != known;
        let busy = routes.canary.filter(|other| apart(other) && routes.weight > Weight::NONE);
        busy.map_or(Ok(()), |other| refused(Error::new(format!("version {other} is on trial at the {self}"))))
    }

    fn scale(&self, arms: &Arms, _: Weight) -> Asked<()> {
        if let Some(stable) = arms.stable.as_ref().filter(|arm| arm.is_told()) {
            self.start(stable)?;
        }
        self.start(&arms.canary).map(drop)
    }

    fn ready(&self, arms: &Arms, weight: Weight) -> Asked<Ready> {
        let found = self.versions()?;
        let stable = arms.stable.as_ref().filter(|_| weight < Weight::FULL).map(|arm| arm.version);
        let needed = stable.into_iter().chain([arms.canary.version]);
        let not = needed.map(|version| Self::is_ready(&found, version)).find(|ready| *ready != Ready::Yes);
        Ok(not.unwrap_or(Ready::Yes))
    }

    fn preview(&self, arms: &Arms) -> Asked<Option<String>> {
        let found = self.versions()?;
        Ok(found.into_iter().find(|found| found.version == arms.canary.version).and_then(|found| found.endpoint))
    }

    fn read(&self, arms: &Arms) -> Asked<Seen> {
        let Shown { table, effective, fuse } = self.shown()?;
        let Routes { stable, canary, .. } = table.routes();
        let guard = table.generation.to_string();
        // What serves already has all that the other one does not get, and no fuse of that one is its own.
        if stable == Some(arms.canary.version) {
            let rest = Weight::FULL.hundredths() - effective.hundredths();
            let weight = Weight::from_hundredths(rest).unwrap_or(Weight::FULL);
            return Ok(Seen { weight, share: weight.share(), stable, canary, taken: None, guard });
        }
        let taken = fuse.map(|blown| blown.why);
        Ok(Seen { weight: effective, share: effective.share(), stable, canary, taken, guard })
    }

    fn write(&self, arms: &Arms, weight: Weight, guard: &str) -> Asked<()> {
        let Shown { table, .. } = self.shown()?;
        let before = table.routes();
        let canary = Some(arms.canary.version);
        if before.stable == canary && weight == Weight::FULL {
            return self
                .route(&Routes { stable: canary, canary: None, weight: Weight::NONE, shadow: Weight::NONE }, guard)
                .map(drop);
        }
        // Copies go on while the same version is tried.
        let shadow = if before.canary == canary { before.shadow } else { Weight::NONE };
        let known = arms.stable.as_ref().map(|arm| arm.version);
        // Who gets all of the traffic does not wait until a version is ready that gets none of it: what serves stays beside it.
        let stable = if weight == Weight::FULL { before.stable.or(known) } else { known.or(before.stable) };
        self.route(&Routes { stable, canary, weight, shadow }, guard).map(drop)
    }

    fn knows(&self, _: &Name) -> Asked<Known> {
        let Versions { versions, previous } = self.ask(Method::GET, "v1/versions", None, None)?;
        let arms = versions.into_iter().map(|found| Arm { version: found.version, digest: found.digest }).collect();
        let before = previous.into_iter().map(|arm| Before { arm, then: None }).collect();
        Ok(Known { arms, before, all: true })
    }

    fn shadow(&self, arms: &Arms, part: Weight) -> Asked<()> {
        let shown = self.shown()?;
        let before = shown.table.routes();
        let same = before.canary == Some(arms.canary.version);
        if part == Weight::NONE && !same {
            return Ok(());
        }
        let weight = if same { before.weight } else { Weight::NONE };
        let stable = before.stable.or(arms.stable.as_ref().map(|arm| arm.version));
        self.route_from(&shown, &Routes { stable, canary: Some(arms.canary.version), weight, shadow: part })
    }

    fn copies(&self, arms: &Arms, part: Weight) -> Asked<bool> {
        let now = self.shown()?.table.routes();
        let made = if now.canary == Some(arms.canary.version) { now.shadow } else { Weight::NONE };
        Ok(made == part)
    }

    fn settle(&self, arms: &Arms, keep: Keep) -> Asked<()> {
        let shown = self.shown()?;
        let stable = arms.stable.as_ref().map(|arm| arm.version);
        let canary = Some(arms.canary.version);
        // Where nobody says what serves, that is what the gateway has.
        let other = stable.or(shown.table.routes().stable.filter(|version| Some(*version) != canary));
        let (kept, gone) = match keep {
            Keep::Canary => (canary, other),
            Keep::Stable => (other, canary),
        };
        let wanted = Routes { stable: kept, canary: None, weight: Weight::NONE, shadow: Weight::NONE };
        self.route_from(&shown, &wanted)?;
        gone.filter(|gone| Some(*gone) != kept).map_or(Ok(()), |version| self.stop(version))
    }
}

impl MetricSource for Gateway {
    fn describe(&self) -> String {
        format!("counters of the {self}")
    }

    fn read(&self, ask: &Ask<'_>) -> Result<Reading> {
        let now = self.counters().map_err(Fault::into_error)?;
        counted::since(&now, ask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_taken_out_of_the_answer() {
        assert_eq!(said(r#"status 409 Conflict: {"error":"not ready"}"#).as_deref(), Some("not ready"));
        assert_eq!(
            (said("status 409 Conflict"), said("status 409: {\"error\": 1}"), said("status 409: {\"err")),
            (None, None, None)
        );
    }

    fn answering(standing: Standing) -> Answering {
        let version = Version::new(1, 1, 0);
        let digest = crate::base::digest::Digest::of(b"files");
        let why = Some("`python3` ended with exit status 3".to_owned());
        Answering { version, digest, standing, endpoint: None, why, crashes: 3, log: vec!["KeyError: 'top-k'".into()] }
    }

    #[test]
    fn what_waiting_does_not_help_is_told_with_its_last_words() {
        let of = |standing| Gateway::is_ready(&[answering(standing)], Version::new(1, 1, 0));
        assert_eq!(of(Standing::Ready), Ready::Yes);
        let never = "version 1.1.0: `python3` ended with exit status 3 (it wrote: KeyError: 'top-k')";
        assert_eq!(of(Standing::Starting), Ready::NotYet(never.into()));
        assert_eq!(of(Standing::Failed), Ready::Never(never.into()));
        let absent = Gateway::is_ready(&[answering(Standing::Ready)], Version::new(1, 2, 0));
        assert_eq!(absent, Ready::NotYet("version 1.2.0 is not started".into()));
    }
}
