//! `[vectors]`: what finds the nearest vectors.

use crate::base::name::words;
use crate::config::check::{CheckOne, Checker};
use crate::config::diag::Diagnostic;
use crate::config::leaf::word_leaf;
use crate::config::secret::SecretRef;
use crate::config::shape::{At, Layer, Part as _, table};
use std::time::Duration;

words! {
    /// What finds the nearest vectors of a collection. The vectors themselves are in the state with any of them.
    VectorEngine, "engine of vectors" {
        /// Files in the cache of each machine, made from the state when they are missing.
        Embedded = "embedded",
        /// The extension pgvector of the PostgreSQL server that holds the state.
        Pgvector = "pgvector",
        /// A Qdrant server.
        Qdrant = "qdrant",
    }
}

word_leaf! { VectorEngine, "engine of vectors"; }

table! {
    /// As written.
    RawVectors {
        /// What finds the nearest vectors of new collections; `kf index move` moves those that are there.
        engine: At<VectorEngine> = "engine", or VectorEngine::Embedded;
        /// The address of the Qdrant server, such as `http://localhost:6333`.
        url: Option<At<String>> = "url";
        /// Key of the Qdrant server, as `env:NAME` or `file:PATH`.
        api_key: Option<At<SecretRef>> = "api-key";
        /// How long a request to the Qdrant server may take.
        timeout: At<Duration> = "timeout", or Duration::from_secs(30);
    }
}

/// What finds the nearest vectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vectors {
    /// The engine of new collections.
    pub engine: VectorEngine,
    /// The Qdrant server, when one is named.
    pub qdrant: Option<Qdrant>,
}

/// A Qdrant server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Qdrant {
    /// Its address.
    pub url: String,
    /// Its key.
    pub api_key: Option<SecretRef>,
    /// How long a request may take; not zero.
    pub timeout: Duration,
}

impl CheckOne for RawVectors {
    type Plain = Vectors;
    fn check(&self, cx: &mut Checker<'_>) -> Option<Vectors> {
        self.engine_fits(cx);
        if self.timeout.value.is_zero() {
            cx.refuse(&self.timeout.spot, "`vectors.timeout` must not be zero", "write how long a request may take: `30s`");
        }
        let Some(at) = &self.url else {
            for (given, key) in [(self.api_key.given(), "api-key"), (self.timeout.given(), "timeout")] {
                cx.unused(given, &self.engine, format!("`vectors.{key}` is for a Qdrant server, and there is no `vectors.url`"));
            }
            return Some(Vectors { engine: self.engine.value, qdrant: None });
        };
        let url = cx.url("vectors.url", at, &["https", "http"], "take it out and name it by `api-key = \"env:NAME\"`")?;
        let api_key = self.api_key.as_ref().map(|at| at.value.clone());
        Some(Vectors { engine: self.engine.value, qdrant: Some(Qdrant { url, api_key, timeout: self.timeout.value }) })
    }
}

impl RawVectors {
    fn engine_fits(&self, cx: &mut Checker<'_>) {
        let state = &cx.raw.state.body.url;
        if self.engine.value == VectorEngine::Pgvector && state.value == "sqlite" {
            let problem =
                Diagnostic::new("`vectors.engine = \"pgvector\"` needs a state on PostgreSQL, and `state.url` is `sqlite`")
                    .at(&self.engine.spot)
                    .help("write `embedded`, which works everywhere, or set `state.url`");
            let decided = state.layer > Layer::BuiltIn;
            cx.diags.add(if decided { problem.at_with(&state.spot, "decided here") } else { problem });
        }
        if self.engine.value == VectorEngine::Qdrant && self.url.is_none() {
            let problem = Diagnostic::new("`vectors.engine = \"qdrant\"` needs `url`").at(&self.engine.spot);
            cx.absent(problem.help("add `url = \"http://localhost:6333\"`"));
        }
    }
}
