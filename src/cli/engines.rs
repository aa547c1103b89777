//! The engines of a command: who embeds, who searches, who splits and counts the traffic, as `mlops.toml` names them.
//!
//! Nothing is connected before it is asked for, and a secret is fetched only for the engine that needs it.

use super::cx::Cx;
use crate::adapters::embedder::builtin::builtin;
use crate::adapters::embedder::directory::Directory;
use crate::adapters::embedder::endpoint::Endpoint;
use crate::adapters::gateway::Gateway;
use crate::adapters::kubectl::Kubernetes;
use crate::adapters::llm;
use crate::adapters::neo4j::Neo4j;
use crate::adapters::qdrant::Qdrant;
use crate::adapters::servers::{Envoy, Nginx};
use crate::adapters::source::{self, Ranges, Surroundings};
use crate::base::error::{Error, Result};
use crate::base::random::Random;
use crate::config::secret::SecretRef;
use crate::config::{self, Metrics, Splitter, VectorEngine};
use crate::domain::ingest::table::Scope;
use crate::release::judging::{CacheMode, Cached};
use crate::seams::embedder::Embedder;
use crate::seams::metrics::MetricSource;
use crate::seams::model::Model;
use crate::seams::traffic::Target;
use std::path::PathBuf;
use std::sync::Arc;

impl Cx {
    /// What makes vectors of texts here.
    ///
    /// # Errors
    /// When the model in the folder cannot be used, or the key of the service cannot be fetched.
    pub(crate) fn embedder(&self) -> Result<Box<dyn Embedder>> {
        let loaded = self.project()?;
        Ok(match &loaded.project.embedder {
            config::Embedder::Builtin => Box::new(builtin()),
            config::Embedder::Directory { path, prefixes } => {
                Box::new(Directory::open(&loaded.root.join(path), prefixes, self.jobs())?)
            }
            config::Embedder::Endpoint(endpoint) => {
                let key = endpoint.api_key.as_ref().map(|key| self.secret(key)).transpose()?;
                Box::new(Endpoint::new(endpoint, key.as_ref(), Random::System)?)
            }
        })
    }

    /// The language models of these settings, with their keys or, where nobody will be asked, without.
    ///
    /// # Errors
    /// When a key cannot be fetched, or an address cannot be used.
    pub(crate) fn models(&self, settings: &[config::Llm], keys: bool) -> Result<Vec<Box<dyn Model>>> {
        let one = |model: &config::Llm| {
            let key = model.api_key.as_ref().filter(|_| keys).map(|key| self.secret(key)).transpose()?;
            Ok(Box::new(llm::Endpoint::new(model, key.as_ref(), Random::System)?) as Box<dyn Model>)
        };
        settings.iter().map(one).collect()
    }

    /// What language models answered before.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub(crate) fn answers(&self, mode: CacheMode) -> Result<Cached> {
        Ok(Cached::open(&self.answers_file()?, mode)?.timed(Arc::clone(&self.clock)))
    }

    /// Where answers are kept; it may be deleted at any time.
    pub(crate) fn answers_file(&self) -> Result<PathBuf> {
        Ok(self.kf_dir()?.join("cache").join("answers.db"))
    }

    /// The Qdrant server, when `mlops.toml` names one.
    ///
    /// # Errors
    /// When its key cannot be fetched.
    pub(crate) fn qdrant(&self) -> Result<Option<Qdrant>> {
        let Some(settings) = &self.project()?.project.vectors.qdrant else { return Ok(None) };
        let key = settings.api_key.as_ref().map(|key| self.secret(key)).transpose()?;
        Qdrant::new(settings, key, Random::System).map(Some)
    }

    /// The Neo4j server, when `mlops.toml` names one.
    ///
    /// # Errors
    /// When its password cannot be fetched.
    pub(crate) fn neo4j(&self) -> Result<Option<Neo4j>> {
        let Some(settings) = &self.project()?.project.graph.neo4j else { return Ok(None) };
        let password = settings.password.as_ref().map(|password| self.secret(password)).transpose()?;
        Neo4j::new(settings, password.as_ref()).map(Some)
    }

    /// The same for what reads one collection: only when it is there, so that others do not need the key.
    ///
    /// # Errors
    /// As [`qdrant`](Self::qdrant).
    pub(crate) fn qdrant_for(&self, scope: &Scope) -> Result<Option<Qdrant>> {
        if scope.collection.engine == VectorEngine::Qdrant { self.qdrant() } else { Ok(None) }
    }

    /// Where the traffic of a target is split.
    ///
    /// # Errors
    /// When a secret cannot be fetched, or an address cannot be used.
    pub(crate) fn traffic(&self, place: &config::Target) -> Result<Box<dyn Target>> {
        let root = &self.project()?.root;
        Ok(match &place.splitter {
            Splitter::Gateway(gateway) => Box::new(self.gateway(place, gateway)?),
            Splitter::Nginx(nginx) => Box::new(Nginx::open(place, nginx, root, Random::System)?),
            Splitter::Envoy(envoy) => Box::new(Envoy::open(place, envoy, root, Random::System)?),
            Splitter::Kubernetes(cluster) => {
                let cache = self.program_cache("kubectl")?;
                Box::new(Kubernetes::new(cluster, place.timeout, root, cache.as_deref()))
            }
        })
    }

    /// Who counts what the versions of a target do, as a rollout says; `ranges` is where costs are cut off.
    ///
    /// # Errors
    /// As [`traffic`](Self::traffic), and when the target would have to count, and does not.
    pub(crate) fn counts(&self, place: &config::Target, said: &Metrics, ranges: Ranges) -> Result<Box<dyn MetricSource>> {
        let secret = |reference: &SecretRef| self.secret(reference);
        let around = Surroundings { dir: &self.project()?.root, secret: &secret, random: Random::System, ranges };
        if let Some(source) = source::open(&said.counter, around)? {
            return Ok(source);
        }
        match &place.splitter {
            Splitter::Gateway(gateway) => Ok(Box::new(self.gateway(place, gateway)?)),
            Splitter::Envoy(envoy) => Ok(Box::new(Envoy::open(place, envoy, &self.project()?.root, Random::System)?)),
            Splitter::Nginx(_) | Splitter::Kubernetes(_) => {
                let what =
                    format!("`target.{}` is of kind `{}`, which does not count what versions do", place.name, place.kind());
                Err(Error::usage(what)
                    .hint("say who does: `[rollout.NAME.source]` with `kind = \"prometheus\"`, `command` or `file`"))
            }
        }
    }

    /// A target that counts itself what its versions do.
    ///
    /// # Errors
    /// As [`counts`](Self::counts) without another source.
    pub(crate) fn counter(&self, place: &config::Target) -> Result<Box<dyn MetricSource>> {
        self.counts(place, &Metrics { counter: config::Counter::Target, evaluations: false }, Ranges::default())
    }

    /// A running gateway.
    fn gateway(&self, place: &config::Target, gateway: &config::GatewayTarget) -> Result<Gateway> {
        let token = gateway.admin_token.as_ref().map(|token| self.secret(token)).transpose()?;
        Gateway::new(place, gateway, token, Random::System)
    }
}
