//! `embedder.kind = "directory"`: a sentence-transformers model in a folder, computed by kf itself.
//!
//! Read are `config.json`, `model.safetensors`, `tokenizer.json`, and where they are there `modules.json`, the pooling it names
//! and `sentence_bert_config.json`. Only what is computed exactly is taken: models of BERT's kind with uncased WordPiece, mean
//! or first-token pooling. Anything else is refused by name. Vectors are always made unit vectors, whether or not the model
//! has a module for it.
//!
//! A text with more tokens than the model reads is embedded in windows of equal length, as few as do, and its vector is the
//! mean of theirs: no part of a text is cut off. The model's digest is that of its files, so another model in the same folder
//! is noticed.

mod bert;
mod safetensors;

use super::wordpiece::WordPiece;
use crate::base::digest::Hasher;
use crate::base::error::{Context, Error, Result};
use crate::config::Prefixes;
use crate::seams::embedder::{Each, Embedder, Model, Purpose, normalise};
use bert::{Bert, Config};
use safetensors::Weights;
use serde_json::Value;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;

/// Changes whenever the same files would make another vector.
const VERSION: u32 = 1;
/// Vectors that are handed out together.
const HAND: usize = 64;
/// Tokens that stand around every text: `[CLS]` and `[SEP]`.
const AROUND: usize = 2;

/// How the vector of a text is made of those of its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pooling {
    Mean,
    First,
}

/// A model in a folder.
pub struct Directory {
    model: Model,
    bert: Bert,
    pieces: WordPiece,
    /// `[CLS]` and `[SEP]`.
    around: [u32; AROUND],
    /// Tokens of a window, without those around it.
    window: usize,
    pooling: Pooling,
    prefixes: Prefixes,
    threads: usize,
}

impl Directory {
    /// Reads the model in a folder; `threads` is how many texts are embedded at a time.
    ///
    /// # Errors
    /// When a file is missing or damaged, or the model is of a kind that kf does not compute.
    pub fn open(folder: &Path, prefixes: &Prefixes, threads: usize) -> Result<Self> {
        Self::read(folder, prefixes, threads).context(|| format!("cannot use the embedding model in {}", folder.display()))
    }

    fn read(folder: &Path, prefixes: &Prefixes, threads: usize) -> Result<Self> {
        let mut files = Files { folder, hasher: Hasher::new() };
        let config: Config =
            serde_json::from_value(files.json("config.json")?).context(|| "config.json is not that of a BERT model")?;
        config.check()?;
        let pooling = pooling(&mut files)?;
        let (pieces, around) = tokenizer(&files.json("tokenizer.json")?, config.vocab_size)?;
        let most = match files.maybe_json("sentence_bert_config.json")?.and_then(|v| v["max_seq_length"].as_u64()) {
            Some(n) => usize::try_from(n).unwrap_or(usize::MAX).min(config.max_position_embeddings),
            None => config.max_position_embeddings,
        };
        let window = most.checked_sub(AROUND).filter(|n| *n > 0);
        let window = window.ok_or_else(|| Error::new(format!("the model reads only {most} tokens of a text")))?;
        let bytes = files.bytes("model.safetensors")?;
        let bert = Bert::new(&config, &Weights::new(&bytes)?).context(|| "the weights in model.safetensors do not fit")?;
        files.add(&format!("kf directory {VERSION}"), prefixes.query.as_bytes());
        files.add("document prefix", prefixes.document.as_bytes());
        let name = folder.file_name().map_or_else(|| "directory".into(), |n| n.to_string_lossy().into_owned());
        let max_tokens = u32::try_from(window).unwrap_or(u32::MAX);
        let model = Model { name, digest: files.hasher.finish(), dimensions: config.hidden_size, max_tokens };
        Ok(Self { model, bert, pieces, around, window, pooling, prefixes: prefixes.clone(), threads: threads.max(1) })
    }

    /// The tokens of a text with its prefix; none when there is nothing to embed.
    fn tokens(&self, text: &str, purpose: Purpose) -> Vec<u32> {
        let prefix = match purpose {
            Purpose::Query => &self.prefixes.query,
            Purpose::Document => &self.prefixes.document,
        };
        match self.pieces.ids(text) {
            ids if ids.is_empty() || prefix.is_empty() => ids,
            _ => self.pieces.ids(&format!("{prefix}{text}")),
        }
    }

    fn vector(&self, tokens: &[u32]) -> Vec<f32> {
        let mut sum = vec![0.0; self.model.dimensions];
        let windows = tokens.len().div_ceil(self.window);
        for window in 0..windows {
            let part = &tokens[window * tokens.len() / windows..(window + 1) * tokens.len() / windows];
            let mut all = Vec::with_capacity(part.len() + AROUND);
            all.push(self.around[0]);
            all.extend_from_slice(part);
            all.push(self.around[1]);
            let said = self.bert.forward(&all);
            let mut vector = match self.pooling {
                Pooling::Mean => said.column_mean(),
                Pooling::First => said.column(0).into_owned(),
            };
            normalise(vector.as_mut_slice());
            sum.iter_mut().zip(vector.iter()).for_each(|(s, v)| *s += v);
        }
        normalise(&mut sum);
        sum
    }
}

impl Embedder for Directory {
    fn model(&self) -> &Model {
        &self.model
    }

    fn is_costly(&self) -> bool {
        true
    }

    fn embed_each(&self, texts: &[&str], purpose: Purpose, each: &mut Each<'_>) -> Result<()> {
        let mut work: Vec<(usize, Vec<u32>)> = texts.iter().map(|text| self.tokens(text, purpose)).enumerate().collect();
        // The longest first, so that no thread begins a long one when the others are done.
        work.sort_by_key(|(_, tokens)| std::cmp::Reverse(tokens.len()));
        let (work, next, (sender, made)) = (&work, AtomicUsize::new(0), channel());
        std::thread::scope(|scope| {
            for _ in 0..self.threads.min(work.len()) {
                let (sender, next) = (sender.clone(), &next);
                scope.spawn(move || {
                    while let Some((at, tokens)) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                        // Nobody listens any more when the caller's own error ended the work.
                        if sender.send((*at, self.vector(tokens))).is_err() {
                            break;
                        }
                    }
                });
            }
            drop(sender);
            let mut hand = Vec::with_capacity(HAND);
            for vector in made {
                hand.push(vector);
                if hand.len() == HAND {
                    each(std::mem::take(&mut hand))?;
                }
            }
            if hand.is_empty() { Ok(()) } else { each(hand) }
        })
    }
}

/// The files of a model; what was read of them is summed up.
struct Files<'f> {
    folder: &'f Path,
    hasher: Hasher,
}

impl Files<'_> {
    /// Adds to the sum, with the length, so that no two lists of parts give the same.
    fn add(&mut self, name: &str, bytes: &[u8]) {
        self.hasher.update(format!("{name}\0{}\0", bytes.len()).as_bytes());
        self.hasher.update(bytes);
    }

    fn bytes(&mut self, name: &str) -> Result<Vec<u8>> {
        let hint = "a model has config.json, tokenizer.json and model.safetensors, as `SentenceTransformer.save` writes them";
        let read = std::fs::read(self.folder.join(name)).context(|| format!("cannot read {name}")).map_err(|e| e.hint(hint));
        read.inspect(|bytes| self.add(name, bytes))
    }

    fn json(&mut self, name: &str) -> Result<Value> {
        serde_json::from_slice(&self.bytes(name)?).context(|| format!("{name} is not JSON"))
    }

    fn maybe_json(&mut self, name: &str) -> Result<Option<Value>> {
        match self.folder.join(name).try_exists() {
            Ok(false) => Ok(None),
            _ => self.json(name).map(Some),
        }
    }
}

/// What `modules.json` and the pooling it names say; a bare BERT is pooled by the mean, as sentence-transformers does.
fn pooling(files: &mut Files<'_>) -> Result<Pooling> {
    let mut pooling = Pooling::Mean;
    let Some(modules) = files.maybe_json("modules.json")? else { return Ok(pooling) };
    for module in modules.as_array().ok_or_else(|| Error::new("modules.json is not a list"))? {
        let (kind, path) = (module["type"].as_str().unwrap_or_default(), module["path"].as_str().unwrap_or_default());
        match kind.rsplit('.').next().unwrap_or_default() {
            "Transformer" if path.is_empty() => {}
            "Normalize" => {}
            "Pooling" if !path.split('/').any(|part| part == "..") && !path.starts_with('/') => {
                pooling = pooling_of(&files.json(&format!("{path}/config.json"))?)?;
            }
            other => {
                let error = Error::new(format!("the model has a module `{other}` in `{path}`, which kf does not compute"));
                return Err(error.hint("serve the model and set `kind = \"endpoint\"`"));
            }
        }
    }
    Ok(pooling)
}

fn pooling_of(config: &Value) -> Result<Pooling> {
    let flags = config.as_object().into_iter().flatten().filter(|(key, on)| key.starts_with("pooling_mode_") && **on == true);
    let mut modes: Vec<&str> =
        flags.map(|(key, _)| key.trim_start_matches("pooling_mode_").trim_end_matches("_tokens")).collect();
    modes.extend(config["pooling_mode"].as_str());
    match modes.as_slice() {
        ["mean"] => Ok(Pooling::Mean),
        ["cls" | "cls_token"] => Ok(Pooling::First),
        other => Err(Error::new(format!("the model pools its tokens by {other:?}, and kf computes only `mean` or `cls`"))
            .hint("serve the model and set `kind = \"endpoint\"`")),
    }
}

/// The tokenizer, when it is the one of uncased BERT, with `[CLS]` and `[SEP]`.
fn tokenizer(json: &Value, most: usize) -> Result<(WordPiece, [u32; AROUND])> {
    let (model, normalizer) = (&json["model"], &json["normalizer"]);
    let or = |value: &Value, default: Value| if value.is_null() { default } else { value.clone() };
    let bert = or(&model["type"], "WordPiece".into()) == "WordPiece"
        && or(&model["continuing_subword_prefix"], "##".into()) == "##"
        && or(&model["max_input_chars_per_word"], 100.into()) == 100
        && normalizer["type"] == "BertNormalizer"
        && or(&normalizer["lowercase"], true.into()) == true
        && or(&normalizer["strip_accents"], true.into()) == true
        && or(&normalizer["clean_text"], true.into()) == true
        && or(&normalizer["handle_chinese_chars"], true.into()) == true
        && json["pre_tokenizer"]["type"] == "BertPreTokenizer";
    if !bert {
        let error = Error::new("tokenizer.json is not the tokenizer of uncased BERT (WordPiece, lower case, no accents)");
        return Err(error.hint("serve the model and set `kind = \"endpoint\"`"));
    }
    let vocabulary = vocabulary(&model["vocab"]).filter(|tokens| tokens.len() <= most && tokens.contains(&"[UNK]"));
    let vocabulary = vocabulary.ok_or_else(|| {
        Error::new("the vocabulary in tokenizer.json has gaps, lacks `[UNK]`, or is larger than config.json says")
    })?;
    let id = |token: &str| {
        let id = vocabulary.iter().position(|t| *t == token).and_then(|at| u32::try_from(at).ok());
        id.ok_or_else(|| Error::new(format!("the vocabulary in tokenizer.json has no `{token}`")))
    };
    let around = [id("[CLS]")?, id("[SEP]")?];
    Ok((WordPiece::new(&vocabulary.join("\n")), around))
}

/// The tokens by number, when every number is there once and no token would be more than a line.
fn vocabulary(json: &Value) -> Option<Vec<&str>> {
    let given = json.as_object()?;
    let mut tokens: Vec<Option<&str>> = vec![None; given.len()];
    for (token, id) in given {
        let place = tokens.get_mut(usize::try_from(id.as_u64()?).ok()?)?;
        *place = Some(token.as_str()).filter(|t| !t.contains(['\n', '\r']));
    }
    tokens.into_iter().collect()
}

#[cfg(test)]
mod tests;
