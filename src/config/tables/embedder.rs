//! `[embedder]`: what makes vectors of texts.
//!
//! Limits of a request: OpenAI takes at most 2,048 inputs (API reference, "Create embeddings"), Voyage at most 1,000
//! (documentation, "Text embeddings"); tokens of a request differ by model, the smallest published limit is 120,000.

use crate::base::name::words;
use crate::config::check::{CheckOne, Checker};
use crate::config::diag::Diagnostic;
use crate::config::secret::SecretRef;
use crate::config::shape::{At, Layer, Part as _, table};
use std::num::NonZeroU32;
use std::time::Duration;

words! {
    /// Where vectors come from.
    EmbedderKind, "kind of embedder" {
        /// From the table that is part of kf.
        Builtin = "builtin",
        /// From a model in a local folder.
        Directory = "directory",
        /// From a service.
        Endpoint = "endpoint",
    }
}

words! {
    /// How a service is asked for vectors.
    EmbedderProtocol, "protocol" {
        /// As OpenAI's `/embeddings`, which most servers speak.
        OpenAi = "openai",
        /// As Voyage's `/embeddings`.
        Voyage = "voyage",
    }
}

crate::config::leaf::word_leaf! { EmbedderKind, "kind of embedder"; }
crate::config::leaf::word_leaf! { EmbedderProtocol, "protocol"; }

/// A number that cannot be zero, for defaults.
const fn at_least_one(n: u32) -> NonZeroU32 {
    match NonZeroU32::new(n) {
        Some(n) => n,
        None => NonZeroU32::MIN,
    }
}

table! {
    /// As written.
    RawEmbedder {
        /// What makes vectors: the table built into kf, a model in a local `directory`, or an `endpoint`.
        kind: At<EmbedderKind> = "kind", or EmbedderKind::Builtin;
        /// The folder of the model, below the repository or absolute (`directory`).
        path: Option<At<String>> = "path";
        /// The address of the service up to `/embeddings`, such as `https://api.openai.com/v1` (`endpoint`).
        url: Option<At<String>> = "url";
        /// The name of the model as the service knows it; it stands for the weights (`endpoint`).
        model: Option<At<String>> = "model";
        /// Key of the service, as `env:NAME` or `file:PATH` (`endpoint`).
        api_key: Option<At<SecretRef>> = "api-key";
        /// How the service is asked (`endpoint`).
        protocol: At<EmbedderProtocol> = "protocol", or EmbedderProtocol::OpenAi;
        /// Numbers in a vector; every answer is checked against it (`endpoint`).
        dimensions: Option<At<NonZeroU32>> = "dimensions";
        /// Ask the service for `dimensions` numbers, for models that can shorten their vectors (`endpoint`).
        shorten: At<bool> = "shorten", or false;
        /// The most texts in a request (`endpoint`).
        batch: At<NonZeroU32> = "batch", or at_least_one(128);
        /// The most tokens in a request, as kf estimates them (`endpoint`).
        batch_tokens: At<NonZeroU32> = "batch-tokens", or at_least_one(100_000);
        /// How many requests are under way at a time (`endpoint`).
        concurrency: At<NonZeroU32> = "concurrency", or at_least_one(4);
        /// How long a request may take (`endpoint`).
        timeout: At<Duration> = "timeout", or Duration::from_secs(60);
        /// Put before every query, for models that were trained so (`directory`, `endpoint`).
        query_prefix: Option<At<String>> = "query-prefix";
        /// Put before every text of a document, for models that were trained so (`directory`, `endpoint`).
        document_prefix: Option<At<String>> = "document-prefix";
    }
}

/// What makes vectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Embedder {
    /// The table that is part of kf.
    Builtin,
    /// A model in a local folder.
    Directory {
        /// The folder, relative to the repository or absolute.
        path: String,
        /// What is put before texts.
        prefixes: Prefixes,
    },
    /// A service.
    Endpoint(Endpoint),
}

/// What is put before texts, for models that were trained so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prefixes {
    /// Before a query.
    pub query: String,
    /// Before a text of a document.
    pub document: String,
}

/// A service that makes vectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its address up to `/embeddings`.
    pub url: String,
    /// The name of the model.
    pub model: String,
    /// Its key.
    pub api_key: Option<SecretRef>,
    /// How it is asked.
    pub protocol: EmbedderProtocol,
    /// Numbers in a vector; at least 1.
    pub dimensions: u32,
    /// Whether it is asked for so many numbers.
    pub shorten: bool,
    /// The most texts in a request; at least 1.
    pub batch: u32,
    /// The most tokens in a request; at least 1.
    pub batch_tokens: u32,
    /// Requests at a time; at least 1.
    pub concurrency: u32,
    /// How long a request may take; not zero.
    pub timeout: Duration,
    /// What is put before texts.
    pub prefixes: Prefixes,
}

/// The most texts that a request of a protocol may carry.
fn batch_max(protocol: EmbedderProtocol) -> u32 {
    match protocol {
        EmbedderProtocol::OpenAi => 2_048,
        EmbedderProtocol::Voyage => 1_000,
    }
}

/// Longer vectors are no text's: the largest published models have 8,192 numbers.
const DIMENSIONS_MAX: u32 = 65_536;

impl CheckOne for RawEmbedder {
    type Plain = Embedder;
    fn check(&self, cx: &mut Checker<'_>) -> Option<Embedder> {
        self.refuse_unused(cx);
        let text = |at: &Option<At<String>>| at.as_ref().map(|at| at.value.clone()).unwrap_or_default();
        let prefixes = Prefixes { query: text(&self.query_prefix), document: text(&self.document_prefix) };
        match self.kind.value {
            EmbedderKind::Builtin => Some(Embedder::Builtin),
            EmbedderKind::Directory => {
                let path = self.needed(&self.path, "path", "add `path = \"models/all-MiniLM-L6-v2\"`", cx)?;
                Some(Embedder::Directory { path: path.value.clone(), prefixes })
            }
            EmbedderKind::Endpoint => self.endpoint(prefixes, cx).map(Embedder::Endpoint),
        }
    }
}

impl RawEmbedder {
    fn refuse_unused(&self, cx: &mut Checker<'_>) {
        use EmbedderKind::{Directory, Endpoint};
        for (given, key, kinds) in [
            (self.path.given(), "path", &[Directory] as &[EmbedderKind]),
            (self.url.given(), "url", &[Endpoint]),
            (self.model.given(), "model", &[Endpoint]),
            (self.api_key.given(), "api-key", &[Endpoint]),
            (self.protocol.given(), "protocol", &[Endpoint]),
            (self.dimensions.given(), "dimensions", &[Endpoint]),
            (self.shorten.given(), "shorten", &[Endpoint]),
            (self.batch.given(), "batch", &[Endpoint]),
            (self.batch_tokens.given(), "batch-tokens", &[Endpoint]),
            (self.concurrency.given(), "concurrency", &[Endpoint]),
            (self.timeout.given(), "timeout", &[Endpoint]),
            (self.query_prefix.given(), "query-prefix", &[Directory, Endpoint]),
            (self.document_prefix.given(), "document-prefix", &[Directory, Endpoint]),
        ] {
            if !kinds.contains(&self.kind.value) {
                let kinds = kinds.iter().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(" and ");
                let this = if self.kind.layer == Layer::BuiltIn { "without `kind` this one is" } else { "this one is" };
                let title = format!("`embedder.{key}` is for embedders of kind {kinds}, {this} `{}`", self.kind.value);
                cx.unused(given, &self.kind, title);
            }
        }
    }

    /// The value of a key without which this kind does not work.
    fn needed<'a, T>(&self, at: &'a Option<At<T>>, key: &str, help: &str, cx: &mut Checker<'_>) -> Option<&'a At<T>> {
        if at.is_none() {
            let title = format!("an embedder of kind `{}` needs `{key}`", self.kind.value);
            cx.absent(Diagnostic::new(title).at(&self.kind.spot).help(help));
        }
        at.as_ref()
    }

    fn endpoint(&self, prefixes: Prefixes, cx: &mut Checker<'_>) -> Option<Endpoint> {
        let help = "take it out and name it by `api-key = \"env:NAME\"`";
        let url = self.needed(&self.url, "url", "add `url = \"https://api.openai.com/v1\"`", cx);
        let url = url.and_then(|at| cx.url("embedder.url", at, &["https", "http"], help));
        let model = self.needed(&self.model, "model", "add `model = \"text-embedding-3-small\"`", cx);
        let dimensions =
            self.needed(&self.dimensions, "dimensions", "add the length of the model's vectors: `dimensions = 1536`", cx);
        if let Some(at) = dimensions.filter(|at| at.value.get() > DIMENSIONS_MAX) {
            cx.refuse(&at.spot, format!("`embedder.dimensions` must not be above {DIMENSIONS_MAX}"), "1536 is a usual length");
        }
        if let Some(at) = model.filter(|at| at.value.trim().is_empty()) {
            cx.refuse(&at.spot, "`embedder.model` is empty", "write the name that the service knows the model by");
        }
        let most = batch_max(self.protocol.value);
        if self.batch.value.get() > most {
            let title =
                format!("`embedder.batch` is above {most}, the most texts that the protocol `{}` takes", self.protocol.value);
            cx.refuse(&self.batch.spot, title, "128 is the usual batch");
        }
        if self.timeout.value.is_zero() {
            cx.refuse(&self.timeout.spot, "`embedder.timeout` must not be zero", "write how long a request may take: `60s`");
        }
        Some(Endpoint {
            url: url?,
            model: model?.value.clone(),
            api_key: self.api_key.as_ref().map(|at| at.value.clone()),
            protocol: self.protocol.value,
            dimensions: dimensions?.value.get(),
            shorten: self.shorten.value,
            batch: self.batch.value.get(),
            batch_tokens: self.batch_tokens.value.get(),
            concurrency: self.concurrency.value.get(),
            timeout: self.timeout.value,
            prefixes,
        })
    }
}
