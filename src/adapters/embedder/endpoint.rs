//! `embedder.kind = "endpoint"`: a service that makes vectors, asked as OpenAI's or as Voyage's `/embeddings` is.
//!
//! Texts go out in batches bounded in number and in tokens, several at a time. A batch that the service finds too large
//! (413, or 400 and 422 with a reason that says so) is cut in two and only its halves are sent; what succeeded is never sent
//! again. Answers are put in order by their `index`; their number and length are checked. After a batch fails for good no
//! further one is begun, but those under way are waited for, because they are paid for. An answer counts as under way until
//! the caller has taken it, so that a caller that keeps what it takes loses `concurrency` batches to a kill and no more.
//!
//! Voyage cuts long texts silently unless it is told not to (`truncation`), so it is. Tokens are counted by the built-in
//! tokenizer, which is near enough for English and cut batches take care of the rest.

use super::builtin::builtin;
use crate::adapters::http::{Http, Policy, Refused, Request, Response};
use crate::base::digest::Digest;
use crate::base::error::{Context, Error, Kind, Result};
use crate::base::quantity::Bytes;
use crate::base::random::Random;
use crate::base::text::ellipsis;
use crate::config::secret::Secret;
use crate::config::{EmbedderProtocol, Endpoint as Settings};
use crate::seams::embedder::{Each, Embedder, Model, Purpose, Tokens as _, normalise};
use crate::store::runtime::runtime;
use futures_util::StreamExt as _;
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Value, json};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

/// Changes whenever the same answer of a service would make another vector.
const VERSION: u32 = 1;
/// What one number of a vector takes in an answer at most, with its comma.
const NUMBER_BYTES: u64 = 32;
/// Tokens of a text that current models of these services read at least: OpenAI 8,192 less one, Voyage 32,000.
const OPENAI_TOKENS: u32 = 8_191;
const VOYAGE_TOKENS: u32 = 32_000;

/// A service that makes vectors.
#[derive(Debug)]
pub struct Endpoint {
    http: Arc<Http>,
    request: Request,
    model: Model,
    settings: Settings,
}

/// A text on its way: its place among those of the call, and itself.
type Text = (usize, String);

/// What a batch comes to.
enum Came {
    /// Vectors, and the leave for one more request, which comes with the end of their taking.
    Vectors(Vec<(usize, Vec<f32>)>, OwnedSemaphorePermit),
    Failed(Error),
}

impl Endpoint {
    /// The service that `mlops.toml` names; it is not asked yet.
    ///
    /// # Errors
    /// When TLS cannot be set up or the key cannot be sent.
    pub fn new(settings: &Settings, key: Option<&Secret>, random: Random) -> Result<Self> {
        let answer = u64::from(settings.batch) * u64::from(settings.dimensions) * NUMBER_BYTES;
        let default = Policy::default();
        let policy = Policy { timeout: settings.timeout, body_max: Bytes(default.body_max.0.max(answer)), ..default };
        Self::with(Http::new(policy, random)?, settings, key)
    }

    fn with(http: Http, settings: &Settings, key: Option<&Secret>) -> Result<Self> {
        let base = settings.url.trim_end_matches('/');
        let url = if base.ends_with("/embeddings") { base.to_owned() } else { format!("{base}/embeddings") };
        let mut request = Request::post(&url)?.timeout(settings.timeout);
        if let Some(key) = key {
            request = request.secret_header("authorization", &Secret::new(format!("Bearer {}", key.expose().trim())))?;
        }
        // The address is not in it: the same model behind another address makes the same vectors.
        let parts = json!([
            "kf endpoint",
            VERSION,
            settings.model,
            settings.dimensions,
            settings.shorten,
            settings.prefixes.query,
            settings.prefixes.document
        ]);
        let model = Model {
            name: settings.model.clone(),
            digest: Digest::of(parts.to_string().as_bytes()),
            dimensions: settings.dimensions as usize,
            max_tokens: if settings.protocol == EmbedderProtocol::Voyage { VOYAGE_TOKENS } else { OPENAI_TOKENS },
        };
        Ok(Self { http: Arc::new(http), request, model, settings: settings.clone() })
    }

    /// The texts with something in them, in batches, each with its prefix.
    fn batches(&self, texts: &[&str], purpose: Purpose) -> Vec<Vec<Text>> {
        let prefix = match purpose {
            Purpose::Query => &self.settings.prefixes.query,
            Purpose::Document => &self.settings.prefixes.document,
        };
        let texts: Vec<Text> = texts
            .iter()
            .enumerate()
            .filter(|(_, text)| !text.trim().is_empty())
            .map(|(at, text)| (at, format!("{prefix}{text}")))
            .collect();
        // Every model puts a token or two around each text.
        let costs: Vec<u64> = texts.iter().map(|(_, text)| u64::from(builtin().count(text)) + 2).collect();
        let ranges = ranges(&costs, self.settings.batch as usize, u64::from(self.settings.batch_tokens));
        let mut texts = texts.into_iter();
        ranges.into_iter().map(|range| texts.by_ref().take(range.len()).collect()).collect()
    }

    fn body(&self, input: &[&str], purpose: Purpose) -> Value {
        let mut body = json!({"model": self.settings.model, "input": input});
        let length = match self.settings.protocol {
            EmbedderProtocol::OpenAi => "dimensions",
            EmbedderProtocol::Voyage => {
                body["input_type"] = json!(if purpose == Purpose::Query { "query" } else { "document" });
                body["truncation"] = json!(false);
                "output_dimension"
            }
        };
        if self.settings.shorten {
            body[length] = json!(self.settings.dimensions);
        }
        body
    }

    /// Sends a batch, in parts when it is too large, and hands each part's vectors on.
    async fn ask(&self, batch: Vec<Text>, purpose: Purpose, leaves: &Arc<Semaphore>, sender: &Sender<Came>) -> Result<()> {
        let mut parts = vec![batch];
        while let Some(mut part) = parts.pop() {
            let leave = Arc::clone(leaves).acquire_owned().await.context(|| "cannot wait for a turn")?;
            let input: Vec<&str> = part.iter().map(|(_, text)| text.as_str()).collect();
            match self.http.send(&self.request.clone().json(&self.body(&input, purpose))).await {
                Ok(response) => {
                    let vectors = read((&self.request, &response), part.len(), self.model.dimensions)
                        .context(|| format!("{:?}", self.request))?;
                    let placed = part.into_iter().map(|(at, _)| at).zip(vectors).collect();
                    if sender.send(Came::Vectors(placed, leave)).is_err() {
                        return Ok(());
                    }
                }
                Err(e) if is_too_large(&e) && part.len() > 1 => {
                    let rest = part.split_off(part.len() / 2);
                    parts.extend([rest, part]);
                }
                Err(e) if is_too_large(&e) => {
                    let hint = "make chunks smaller: `ingest.chunk-tokens` in mlops.toml";
                    return Err(e.hint(hint))
                        .context(|| format!("one text of {} bytes is too long for the model", part[0].1.len()));
                }
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// A second handle on the same service, for the task that asks.
    fn handle(&self) -> Self {
        Self {
            http: Arc::clone(&self.http),
            request: self.request.clone(),
            model: self.model.clone(),
            settings: self.settings.clone(),
        }
    }

    fn begin(&self, batches: Vec<Vec<Text>>, purpose: Purpose, sender: Sender<Came>) -> Result<AbortOnDrop> {
        let (service, total) = (self.handle(), batches.len());
        let at_once = service.settings.concurrency as usize;
        Ok(AbortOnDrop(runtime()?.spawn(async move {
            let (failed, leaves) = (AtomicBool::new(false), Arc::new(Semaphore::new(at_once)));
            let (service, failed, leaves, sender) = (&service, &failed, &leaves, &sender);
            let each = stream::iter(batches.into_iter().zip(1..)).map(|(batch, number): (_, usize)| async move {
                if failed.load(Ordering::Relaxed) {
                    return;
                }
                let done = service.ask(batch, purpose, leaves, sender).await.context(|| format!("batch {number} of {total}"));
                if let Err(e) = done {
                    failed.store(true, Ordering::Relaxed);
                    // Nobody listens only when the caller's own error ended the work.
                    let _ = sender.send(Came::Failed(e));
                }
            });
            each.buffer_unordered(at_once).for_each(|()| async {}).await;
        })))
    }
}

impl Embedder for Endpoint {
    fn model(&self) -> &Model {
        &self.model
    }

    fn is_costly(&self) -> bool {
        true
    }

    fn embed_each(&self, texts: &[&str], purpose: Purpose, each: &mut Each<'_>) -> Result<()> {
        let empty = texts.iter().enumerate().filter(|(_, text)| text.trim().is_empty());
        let nothing: Vec<_> = empty.map(|(at, _)| (at, vec![0.0; self.model.dimensions])).collect();
        let wanted = texts.len() - nothing.len();
        if !nothing.is_empty() {
            each(nothing)?;
        }
        let batches = self.batches(texts, purpose);
        if batches.is_empty() {
            return Ok(());
        }
        let (sender, came) = channel();
        let _asking = self.begin(batches, purpose, sender)?;
        let (mut failed, mut done) = (None, 0);
        for came in came {
            match came {
                Came::Vectors(some, leave) => {
                    done += some.len();
                    each(some)?;
                    drop(leave);
                }
                Came::Failed(e) => failed = failed.or(Some(e)),
            }
        }
        match failed {
            Some(e) => Err(e).context(|| format!("{} embedded {done} of {wanted} texts", self.model.name)),
            None if done < wanted => Err(Error::of(Kind::Bug, "the task that asks for vectors ended early")),
            None => Ok(()),
        }
    }
}

struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs of at most so many texts and so many tokens; a text that is larger than that alone is one run.
fn ranges(costs: &[u64], texts: usize, tokens: u64) -> Vec<Range<usize>> {
    let (mut ranges, mut start, mut sum) = (Vec::new(), 0, 0);
    for (at, cost) in costs.iter().enumerate() {
        if at > start && (at - start >= texts || sum + cost > tokens) {
            ranges.push(start..at);
            (start, sum) = (at, 0);
        }
        sum += cost;
    }
    if start < costs.len() {
        ranges.push(start..costs.len());
    }
    ranges
}

/// True when a smaller request may pass: 413, or a refusal whose reason speaks of size.
fn is_too_large(e: &Error) -> bool {
    let Some(refused) = e.cause::<Refused>() else { return false };
    let said = refused.to_string().to_lowercase();
    let size = ["token", "too long", "too large", "too many", "length", "maximum", "batch size", "exceed"];
    refused.status == 413 || (matches!(refused.status, 400 | 422) && size.iter().any(|word| said.contains(word)))
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    index: usize,
    embedding: Vec<f32>,
}

/// The unit vectors of an answer in the order of the texts.
fn read((request, response): (&Request, &Response), texts: usize, dimensions: usize) -> Result<Vec<Vec<f32>>> {
    // Redacted before it is cut, or the start of a key would stay.
    let shown = || ellipsis(request.redacted(&String::from_utf8_lossy(&response.body)).trim(), 120);
    // What is wrong with it is said in words that repeat it.
    let unread = |e: serde_json::Error| Error::new(ellipsis(&request.redacted(&e.to_string()), 120));
    let answer: Answer = serde_json::from_slice(&response.body)
        .map_err(unread)
        .context(|| format!("the answer is not a list of embeddings: {}", shown()))?;
    if answer.data.len() != texts {
        return Err(Error::new(format!("the service answered {} vectors for {texts} texts", answer.data.len())));
    }
    let mut all = vec![Vec::new(); texts];
    for Item { index, mut embedding } in answer.data {
        let place = all.get_mut(index).filter(|place| place.is_empty());
        let place = place.ok_or_else(|| Error::new(format!("the service answered index {index} twice or out of range")))?;
        if embedding.len() != dimensions {
            let said =
                format!("the service answers vectors of {} numbers, `embedder.dimensions` says {dimensions}", embedding.len());
            let hint =
                format!("write `dimensions = {}`, or `shorten = true` if the model can shorten its vectors", embedding.len());
            return Err(Error::new(said).hint(hint));
        }
        if !normalise(&mut embedding) {
            return Err(Error::new(format!("the vector of text {index} has no direction: it is all zeros or not finite")));
        }
        *place = embedding;
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
