//! Vectors and token counts: how meaning and length of a text are measured, whoever measures them.
//!
//! Invariants of every implementation: the same texts give the same vectors whatever stands beside them in a call; vectors
//! are of unit length (all zeros only for a text that holds nothing to embed); vectors are comparable only when
//! [`Model::digest`] is equal.

use crate::base::digest::Digest;
use crate::base::error::Result;

/// What makes vectors, and what about it a caller must know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// The name that people use: `builtin`, `text-embedding-3-small`.
    pub name: String,
    /// What makes vectors comparable: weights, algorithm and its version, prefixes. Two models with the same digest give the
    /// same vectors.
    pub digest: Digest,
    /// Numbers in a vector.
    pub dimensions: usize,
    /// Tokens of one text that the model reads; longer texts are read in windows or cut by the implementation.
    pub max_tokens: u32,
}

/// What a text is embedded for; some models put different words before each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// It will be found.
    Document,
    /// It looks for others.
    Query,
}

/// Something that turns texts into vectors.
pub trait Embedder: Send + Sync {
    /// The model behind it.
    fn model(&self) -> &Model;

    /// One vector a text, in the order of the texts.
    ///
    /// # Errors
    /// When the model cannot be asked or answers out of its protocol; one failed text fails the call.
    fn embed(&self, texts: &[&str], purpose: Purpose) -> Result<Vec<Vec<f32>>> {
        let mut all = vec![Vec::new(); texts.len()];
        self.embed_each(texts, purpose, &mut |some| {
            some.into_iter().for_each(|(at, vector)| all[at] = vector);
            Ok(())
        })?;
        Ok(all)
    }

    /// True when a vector costs a model's pass or a call over a network: it is then kept and never made twice.
    fn is_costly(&self) -> bool {
        false
    }

    /// As [`Self::embed`], but hands out vectors as they come, in any order, on the caller's thread: the place of the text
    /// among `texts` with its vector. Those that were handed out stay so when the call fails afterwards.
    ///
    /// # Errors
    /// As [`Self::embed`], and the first of `each`, which ends the work.
    fn embed_each(&self, texts: &[&str], purpose: Purpose, each: &mut Each<'_>) -> Result<()>;
}

/// Takes vectors as they come, each with the place of its text.
pub type Each<'a> = dyn FnMut(Vec<(usize, Vec<f32>)>) -> Result<()> + 'a;

/// Makes a vector one of unit length; false, and the vector unchanged, when it has no direction.
pub fn normalise(vector: &mut [f32]) -> bool {
    let length = vector.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    if !length.is_finite() || length == 0.0 {
        return false;
    }
    #[expect(clippy::cast_possible_truncation, reason = "a number of a unit vector fits 32 bits")]
    vector.iter_mut().for_each(|v| *v = (f64::from(*v) / length) as f32);
    true
}

/// Something that counts tokens as a model does.
pub trait Tokens: Send + Sync {
    /// Tokens of a stretch without white space; 0 when a model sees nothing in it. The tokens of a text are the sum over its
    /// words, which holds for tokenizers that never join words.
    fn count_word(&self, word: &str) -> u32;

    /// Tokens of a text, without those that a model puts around it.
    fn count(&self, text: &str) -> u32 {
        text.split_whitespace().fold(0, |sum, word| sum.saturating_add(self.count_word(word)))
    }
}

/// Something that tells cheaply how near two sentences are in meaning: table look-ups only, never a model's pass or a call
/// over a network, because it is asked for every sentence of a long section.
pub trait SentenceVectors: Send + Sync {
    /// Numbers in a vector.
    fn dimensions(&self) -> usize;

    /// Writes the sentence's unit vector over `into`, which is [`Self::dimensions`] long; zeros when nothing is known of it.
    fn sentence_vector(&self, sentence: &str, into: &mut [f32]);
}

/// Whoever is lent an embedder has one.
impl<E: Embedder + ?Sized> Embedder for &E {
    fn model(&self) -> &Model {
        (**self).model()
    }

    fn is_costly(&self) -> bool {
        (**self).is_costly()
    }

    fn embed_each(&self, texts: &[&str], purpose: Purpose, each: &mut Each<'_>) -> Result<()> {
        (**self).embed_each(texts, purpose, each)
    }
}
