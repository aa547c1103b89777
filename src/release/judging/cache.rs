//! Answers of models and vectors of services, kept by everything that made them.

use crate::base::digest::Digest;
use crate::base::error::{Context, Result};
use crate::base::name::words;
use crate::base::quantity::PicoUsd;
use crate::base::time::{Clock, Timestamp};
use crate::seams::answerer::Tokens;
use crate::seams::embedder;
use crate::seams::model::{About, Completion, Content};
use crate::store::answers::Answers;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;

words! {
    /// What the cache of answers is used for.
    CacheMode, "use of the cache" {
        /// What is in it is not asked for; nothing is added.
        Read = "read",
        /// What is in it is not asked for, and what is asked for is added.
        Write = "write",
        /// What is not in it is not asked for either: no request is sent.
        Only = "only",
        /// It is left alone.
        Off = "off",
    }
}

/// A cache with what it is used for.
#[derive(Debug)]
pub struct Cached {
    file: Option<Answers>,
    mode: CacheMode,
    /// Says when answers are given, where somebody wants to know.
    clock: Option<Arc<Clock>>,
}

/// What is kept of a completion. Its cost is in trillionths of a dollar.
#[derive(Serialize, Deserialize)]
struct Kept {
    content: Content,
    model: String,
    fingerprint: Option<String>,
    stop: String,
    input: Option<u64>,
    output: Option<u64>,
    cost: Option<i64>,
    latency_ms: f64,
    /// When it was given; answers of before do not say.
    #[serde(default)]
    at: Option<Timestamp>,
}

impl Cached {
    /// The cache in a file, as far as the mode needs one.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path, mode: CacheMode) -> Result<Self> {
        let file = match mode {
            CacheMode::Off => None,
            CacheMode::Read | CacheMode::Only => Answers::open_to_read(path)?,
            CacheMode::Write => Some(Answers::open(path)?),
        };
        Ok(Self { file, mode, clock: None })
    }

    /// Writes down when answers are given.
    #[must_use]
    pub fn timed(self, clock: Arc<Clock>) -> Self {
        Self { clock: Some(clock), ..self }
    }

    /// True when a later run finds what is asked for now.
    pub fn is_kept(&self) -> bool {
        self.mode == CacheMode::Write
    }

    /// True when nothing may be asked for.
    pub fn is_all(&self) -> bool {
        self.mode == CacheMode::Only
    }

    /// What a model answered before to the request of this digest.
    ///
    /// # Errors
    /// When the cache cannot be read.
    pub fn completion(&self, about: &About, request: &Digest) -> Result<Option<Completion>> {
        Ok(self.given(about, request)?.map(|(completion, _)| completion))
    }

    /// The same with when it was given, where that was written down.
    ///
    /// # Errors
    /// When the cache cannot be read.
    pub fn given(&self, about: &About, request: &Digest) -> Result<Option<(Completion, Option<Timestamp>)>> {
        let Some(text) = self.find(&call_key(about, request))? else { return Ok(None) };
        // A file of another version of kf is as good as an empty one.
        let Ok(kept) = serde_json::from_str::<Kept>(&text) else { return Ok(None) };
        let completion = Completion {
            content: kept.content,
            model: kept.model,
            fingerprint: kept.fingerprint,
            stop: kept.stop,
            tokens: Tokens { input: kept.input, output: kept.output },
            cost: kept.cost.map(PicoUsd),
            latency_ms: kept.latency_ms,
            cached: true,
        };
        Ok(Some((completion, kept.at)))
    }

    /// Keeps a whole answer. Failures are never kept: the next run asks again.
    ///
    /// # Errors
    /// When the cache cannot be written.
    pub fn keep(&self, about: &About, request: &Digest, answer: &Completion) -> Result<()> {
        let kept = Kept {
            content: answer.content.clone(),
            model: answer.model.clone(),
            fingerprint: answer.fingerprint.clone(),
            stop: answer.stop.clone(),
            input: answer.tokens.input,
            output: answer.tokens.output,
            cost: answer.cost.map(|c| c.0),
            latency_ms: answer.latency_ms,
            at: self.clock.as_ref().map(|clock| clock.now()),
        };
        self.put(&call_key(about, request), &kept)
    }

    /// Forgets an answer that nobody could use, so that the next run asks again.
    ///
    /// # Errors
    /// When the cache cannot be written.
    pub fn forget(&self, about: &About, request: &Digest) -> Result<()> {
        let file = self.file.as_ref().filter(|_| self.mode == CacheMode::Write);
        file.map_or(Ok(()), |file| file.forget(&call_key(about, request)))
    }

    /// The vector of a text that was made before.
    ///
    /// # Errors
    /// When the cache cannot be read.
    pub fn vector(&self, model: &embedder::Model, text: &str) -> Result<Option<Vec<f32>>> {
        let found = self.find(&vector_key(model, text))?;
        Ok(found.and_then(|text| serde_json::from_str(&text).ok()).filter(|v: &Vec<f32>| v.len() == model.dimensions))
    }

    /// Keeps the vector of a text.
    ///
    /// # Errors
    /// When the cache cannot be written.
    pub fn keep_vector(&self, model: &embedder::Model, text: &str, vector: &[f32]) -> Result<()> {
        self.put(&vector_key(model, text), &vector)
    }

    fn find(&self, key: &Digest) -> Result<Option<String>> {
        self.file.as_ref().map_or(Ok(None), |file| file.find(key))
    }

    fn put(&self, key: &Digest, value: &impl Serialize) -> Result<()> {
        let Some(file) = self.file.as_ref().filter(|_| self.mode == CacheMode::Write) else { return Ok(()) };
        file.keep(key, &serde_json::to_string(value).context(|| "an answer cannot be written")?)
    }
}

fn call_key(about: &About, request: &Digest) -> Digest {
    let parts = json!(["kf call", 1, about.provider, about.endpoint, about.model, request.hex()]);
    Digest::of(parts.to_string().as_bytes())
}

fn vector_key(model: &embedder::Model, text: &str) -> Digest {
    Digest::of(json!(["kf vector", 1, model.digest.hex(), text]).to_string().as_bytes())
}
