//! Envoy: routes and clusters as files in a folder that it watches for renames, and its administration interface.
//!
//! A file that it cannot use is only logged, and fields that it does not know are left out with a warning, so what counts is what
//! its dump shows and what answers users. Clusters come before the routes that name them, and go after: a route to a cluster that
//! is not there answers 503.

use super::door::{Door, client};
use super::envoy_config::Config;
use super::envoy_counted;
use super::split::{Split, Written};
use super::versions::Versions;
use super::{Served, Server, place, refused, replace, wait_for};
use crate::adapters::gateway::counted;
use crate::adapters::http::{Http, Request};
use crate::base::error::{Context, Error, Result};
use crate::base::name::Name;
use crate::base::random::Random;
use crate::base::version::Version;
use crate::config::{Address, EnvoyTarget, Target};
use crate::seams::metrics::{Ask, MetricSource, Reading};
use crate::seams::routes::Counters;
use crate::seams::traffic::{Asked, Fault};
use crate::store::objects::atomic;
use crate::store::runtime::block_on;
use reqwest::Method;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Envoy with files of kf.
pub struct Envoy {
    config: Config,
    model: Name,
    url: Address,
    routes: PathBuf,
    clusters: PathBuf,
    admin: SocketAddr,
    http: Arc<Http>,
    door: Door,
    timeout: Duration,
}

impl Envoy {
    /// The Envoy of a target whose repository is at `root`, with the versions behind it.
    ///
    /// # Errors
    /// When an address is none, or TLS cannot be set up.
    pub fn open(target: &Target, settings: &EnvoyTarget, root: &Path, random: Random) -> Result<Served<Self>> {
        let (behind, timeout) = (&settings.behind, target.timeout);
        let http = client(timeout, random)?;
        let dir = place(root, &settings.dir);
        let server = Self {
            config: Config {
                target: target.name.clone(),
                sticky_header: behind.sticky_header.clone(),
                session_cookie: behind.session_cookie.clone(),
            },
            model: target.model.clone(),
            url: behind.url.clone(),
            routes: dir.join("routes.json"),
            clusters: dir.join("clusters.json"),
            admin: settings.admin,
            http: http.clone(),
            door: Door::new(http.clone(), &behind.probe, target.name.clone(), timeout)?,
            timeout,
        };
        Ok(Served { server, versions: Versions::new(target, behind, http, root.to_owned()), timeout })
    }

    /// A part of what Envoy goes by.
    fn dump(&self, resource: &str) -> Asked<Value> {
        self.interface("config_dump", &[("resource", resource)]).map_err(Fault::Unclear)
    }

    /// What its administration interface answers.
    fn interface(&self, path: &str, query: &[(&str, &str)]) -> Result<Value> {
        let address = format!("http://{}/{path}", self.admin);
        let url = Url::parse_with_params(&address, query).context(|| format!("`{address}` is no address"))?;
        let answer = block_on(self.http.send(&Request::new(Method::GET, url)))?;
        let hint = || "`admin` is where the administration interface of Envoy answers".to_owned();
        answer.and_then(|answer| answer.json()).hint(hint)
    }

    /// What it counted since it started.
    fn counters(&self) -> Result<Counters> {
        // The configuration that it started with is read once in a life.
        let start = self.interface("config_dump", &[("mask", "last_updated")])?;
        let boot = start["configs"].as_array().into_iter().flatten().find_map(|config| config["last_updated"].as_str());
        let boot = boot.ok_or_else(|| Error::new("Envoy does not say when it started"))?.to_owned();
        let filter = envoy_counted::filter(&self.config);
        let query = [("format", "json"), ("histogram_buckets", "detailed"), ("filter", filter.as_str())];
        envoy_counted::counters(&self.config, self.interface("stats", &query)?, boot)
    }

    /// Writes the clusters of these versions, unless they are there as they should be.
    fn write_clusters(&self, versions: &[Version]) -> Asked<()> {
        let places = versions.iter().map(|&version| {
            let address = self.url.at(&self.model, version);
            Ok((version, address.parse().context(|| format!("`{address}` is no address"))?))
        });
        let text = self.config.clusters(&places.collect::<Result<Vec<_>>>().map_err(refused)?);
        if std::fs::read_to_string(&self.clusters).is_ok_and(|there| there == text) {
            return Ok(());
        }
        atomic::write_file(&self.clusters, text.as_bytes(), 0o644).map_err(refused)
    }

    /// Waits until Envoy has the clusters of these versions.
    fn await_clusters(&self, versions: &[Version]) -> Asked<()> {
        let mut last = Error::new("they are not in its dump");
        let there = wait_for(self.timeout, || match self.dump("dynamic_active_clusters") {
            Ok(dump) => self.config.has_clusters(&dump, versions).then_some(()),
            Err(fault) => {
                last = fault.into_error();
                None
            }
        });
        there.ok_or_else(|| {
            let message = format!("Envoy did not take `{}` within {:?}: {last}", self.clusters.display(), self.timeout);
            Fault::Unclear(Error::new(message).hint("its own log says why: a file that it cannot use is only told there"))
        })
    }
}

impl MetricSource for Served<Envoy> {
    fn describe(&self) -> String {
        format!("Envoy at {}", self.server.admin)
    }

    fn read(&self, ask: &Ask<'_>) -> Result<Reading> {
        if !self.server.routes.exists() {
            // Before the first rollout Envoy cannot run with files that are not there: nothing is known.
            let missing = Some(format!("`{}` is not there yet", self.server.routes.display()));
            return Ok(Reading { missing, ..Reading::default() });
        }
        let now = self.server.counters()?;
        // A cluster that was taken out and is back counts from zero: the window begins there.
        counted::since(&now, ask).or_else(|_| counted::since(&now, &Ask { cursor: None, ..ask.clone() }))
    }
}

impl Server for Envoy {
    fn name(&self) -> &'static str {
        "Envoy"
    }

    fn file(&self) -> &Path {
        &self.routes
    }

    fn how_to_include(&self) -> String {
        format!(
            "start it with the route configuration `{}` from `{}` in the listener of users and with clusters from `{}`, as \
             docs/targets.md shows",
            self.config.name(),
            self.routes.display(),
            self.clusters.display()
        )
    }

    fn parse(&self, text: &str) -> Result<(Split, bool)> {
        self.config.parse(text)
    }

    fn unedited(&self, text: &str) -> Result<String> {
        self.config.unedited(text)
    }

    fn running(&self) -> Asked<Option<Split>> {
        let mut last = Ok(None);
        // The door and the dump are asked one after the other: both must show one generation.
        let agreed = wait_for(self.timeout, || {
            let door = match self.door.agreed() {
                Ok(Some(split)) => split,
                other => return Some(other),
            };
            let dump = match self.dump("dynamic_route_configs") {
                Ok(dump) => dump,
                Err(fault) => return Some(Err(fault)),
            };
            let Some((version, routes)) = self.config.dumped(&dump) else {
                let message =
                    format!("Envoy at {} has no routes `{}`: another one answers users", self.admin, self.config.name());
                return Some(Err(Fault::Unclear(Error::new(message))));
            };
            let split = match self.config.split(routes) {
                Ok(split) => split,
                Err(e) => return Some(Err(refused(e))),
            };
            if split.generation == door.generation {
                return Some(Ok(Some(split)));
            }
            let message = format!("Envoy goes by routes `{version}`, and answers users by generation {}", door.generation);
            last = Err(Fault::Unclear(Error::new(message)));
            None
        });
        agreed.unwrap_or(last)
    }

    fn check(&self) -> Asked<()> {
        [&self.routes, &self.clusters].into_iter().try_for_each(|file| atomic::probe(file)).map_err(refused)
    }

    fn can_copy(&self) -> Asked<()> {
        Ok(())
    }

    fn install(&self, split: &Split, before: Option<&Written>, good: bool) -> Asked<()> {
        let old = before.map(|w| w.split.versions()).unwrap_or_default();
        let new: Vec<Version> = split.versions().into_iter().filter(|version| !old.contains(version)).collect();
        self.write_clusters(&[old.as_slice(), &new].concat())?;
        // The way back needs none that is not in use, so it does not wait for the interface either.
        if before.is_some() && !new.is_empty() {
            self.await_clusters(&new)?;
        }
        replace(&self.routes, &self.config.routes(split), before, good).map(drop).map_err(refused)
    }

    fn prune(&self, split: &Split) -> Asked<()> {
        self.write_clusters(&split.versions())
    }
}
