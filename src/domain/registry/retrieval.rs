//! What a version's retrieval settings say, for the built-in way to answer.
//!
//! Read from the structured files of the part `retrieval`, at their top or below a key `retrieval`: `collection`, `top-k` (or
//! `k`), `hybrid-weight` (0 meaning alone, 1 words alone) or `mode` (`meaning`, `words`, `hybrid`), `filters` by key, with the
//! value `question` for the language of the question. `-` and `_` are the same. What is not among these is refused: a setting
//! that changes nothing must not look as if it were evaluated.

use super::parts::{Part, Parts};
use crate::base::error::{Context, Error, Result};
use crate::base::name::Name;
use crate::base::text::{nearest, visible};
use serde_json::Value;
use std::collections::BTreeMap;

/// How passages are found.
#[derive(Clone, Debug, PartialEq)]
pub struct Retrieval {
    /// The collection; `None` takes that of `mlops.toml`.
    pub collection: Option<Name>,
    /// How many passages; 1 to 1,000.
    pub k: usize,
    /// The weight of words beside meaning, 0 to 1.
    pub words: f64,
    /// Conditions on documents: key and value.
    pub filters: BTreeMap<String, String>,
}

impl Default for Retrieval {
    fn default() -> Self {
        Self { collection: None, k: 5, words: 0.0, filters: BTreeMap::new() }
    }
}

/// The weight of words in `mode: hybrid`, as in `kf search --hybrid`.
const HYBRID: f64 = 0.5;
/// The most passages, as in `kf search`.
const K_MAX: u64 = 1_000;
const KEYS: &[&str] = &["collection", "top-k", "k", "hybrid-weight", "mode", "filters"];

impl Retrieval {
    /// The settings of a version; those of later files, by path, win.
    ///
    /// # Errors
    /// When a setting is unknown or of the wrong kind, with its file.
    pub fn of(parts: &Parts) -> Result<Self> {
        let mut settings = Self::default();
        for (path, document) in parts.documents.iter().filter(|(_, d)| d.part == Some(Part::Retrieval)) {
            let said = document.value.get("retrieval").filter(|v| v.is_object()).unwrap_or(&document.value);
            for (key, value) in said.as_object().into_iter().flatten() {
                settings.set(&key.replace('_', "-"), value).context(|| format!("{path} cannot be used for retrieval"))?;
            }
        }
        Ok(settings)
    }

    fn set(&mut self, key: &str, value: &Value) -> Result<()> {
        let wrong = |what: &str| Error::new(format!("`{key}` is {}, not {what}", visible(&value.to_string(), 60)));
        match key {
            "collection" => {
                let name = value.as_str().and_then(|t| t.parse().ok());
                self.collection = Some(name.ok_or_else(|| wrong("the name of a collection"))?);
            }
            "top-k" | "k" => {
                let k = value.as_u64().filter(|k| (1..=K_MAX).contains(k)).and_then(|k| usize::try_from(k).ok());
                self.k = k.ok_or_else(|| wrong("a whole number from 1 to 1000"))?;
            }
            "hybrid-weight" => {
                let weight = value.as_f64().filter(|w| (0.0..=1.0).contains(w));
                self.words = weight.ok_or_else(|| wrong("a number from 0 to 1"))?;
            }
            "mode" => {
                self.words = match value.as_str() {
                    Some("meaning" | "vector" | "vectors") => 0.0,
                    Some("words" | "keyword" | "fulltext") => 1.0,
                    Some("hybrid") => HYBRID,
                    _ => return Err(wrong("meaning, words or hybrid")),
                };
            }
            "filters" => {
                let all = value.as_object().ok_or_else(|| wrong("a list of keys with texts"))?;
                for (key, value) in all {
                    let text = value.as_str().ok_or_else(|| wrong("a list of keys with texts"))?;
                    self.filters.insert(key.clone(), text.to_owned());
                }
            }
            _ => {
                let error = Error::new(format!("the built-in system knows no setting `{}`", visible(key, 40)));
                return Err(match nearest(key, KEYS.iter().copied()) {
                    Some(near) => error.hint(format!("did you mean `{near}`?")),
                    None => error.hint(format!("it knows {}", KEYS.join(", "))),
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::parts::{Layout, parse_parts};
    use super::*;
    use crate::base::name::ModelType;

    fn read(yaml: &str) -> Result<Retrieval> {
        let files: &[(&str, &[u8])] = &[("retrieval.yaml", yaml.as_bytes()), ("routing.yaml", b"k: none")];
        Retrieval::of(&parse_parts(ModelType::Config, &Layout::default(), files).expect("parses"))
    }

    #[test]
    fn settings_are_read_whatever_their_spelling() {
        let all =
            read("retrieval:\n  collection: handbook\n  top_k: 2\n  hybrid-weight: 0.25\n  filters: {language: question}\n");
        let all = all.expect("read");
        assert_eq!((all.collection.map(|c| c.to_string()), all.k, all.words), (Some("handbook".into()), 2, 0.25));
        assert_eq!(all.filters, BTreeMap::from([("language".into(), "question".into())]));
        assert_eq!(read("top-k: 5\nmode: hybrid\n").expect("read").words, HYBRID);
        assert_eq!(read("{}").expect("read"), Retrieval::default());
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_file() {
        for (yaml, why) in [
            ("top_k: 0", "`top-k` is 0, not a whole number from 1 to 1000"),
            ("k: many", "`k` is"),
            ("hybrid_weight: 2", "not a number from 0 to 1"),
            ("mode: magic", "not meaning, words or hybrid"),
            ("collection: a b", "not the name of a collection"),
            ("filters: [1]", "not a list of keys with texts"),
            ("rerank: {top: 3}", "knows no setting `rerank`"),
        ] {
            let e = read(yaml).expect_err(yaml);
            assert!(e.chain().join(": ").contains(why) && e.to_string().contains("retrieval.yaml"), "{yaml}: {:?}", e.chain());
        }
    }
}
