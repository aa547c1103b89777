//! The forward pass of BERT (Devlin et al. 2019) as `transformers` computes it: embeddings, layers of attention and feed-forward
//! with the norm after each, exact GELU. One text at a time and no padding, so that a text's vector never depends on what else
//! is embedded with it. A column is a token.

use super::safetensors::Weights;
use crate::base::error::{Error, Result};
use nalgebra::{DMatrix, DVector, Dyn, MatrixView, U1};
use serde::Deserialize;

/// What `config.json` says of the model.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Config {
    pub(super) model_type: String,
    pub(super) hidden_size: usize,
    pub(super) num_attention_heads: usize,
    pub(super) num_hidden_layers: usize,
    pub(super) intermediate_size: usize,
    pub(super) hidden_act: String,
    pub(super) layer_norm_eps: f32,
    pub(super) max_position_embeddings: usize,
    pub(super) vocab_size: usize,
    pub(super) type_vocab_size: usize,
    pub(super) position_embedding_type: Option<String>,
}

impl Config {
    /// Refuses what the pass below does not compute.
    pub(super) fn check(&self) -> Result<()> {
        let refused = |what: &str, is: &str, known: &str| {
            let error = Error::new(format!("the model's {what} is `{is}`, and kf computes only `{known}`"));
            Err(error.hint("take a BERT model such as all-MiniLM-L6-v2, or serve this one and set `kind = \"endpoint\"`"))
        };
        if self.model_type != "bert" {
            return refused("architecture", &self.model_type, "bert");
        }
        if self.hidden_act != "gelu" {
            return refused("activation", &self.hidden_act, "gelu");
        }
        if let Some(kind) = self.position_embedding_type.as_deref().filter(|kind| *kind != "absolute") {
            return refused("kind of positions", kind, "absolute");
        }
        let sizes = [self.hidden_size, self.num_attention_heads, self.intermediate_size, self.vocab_size, self.type_vocab_size];
        if sizes.contains(&0) || !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            return Err(Error::new("the sizes in config.json do not make a model"));
        }
        Ok(())
    }
}

struct Linear {
    /// Numbers out × numbers in.
    weight: DMatrix<f32>,
    bias: DVector<f32>,
}

impl Linear {
    fn apply(&self, x: &DMatrix<f32>) -> DMatrix<f32> {
        let mut y = &self.weight * x;
        y.column_iter_mut().for_each(|mut column| column += &self.bias);
        y
    }
}

struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    epsilon: f32,
}

impl Norm {
    fn apply(&self, x: &mut DMatrix<f32>) {
        #[expect(clippy::cast_precision_loss, reason = "numbers of a vector are few")]
        let count = x.nrows() as f32;
        for mut column in x.column_iter_mut() {
            let mean = column.sum() / count;
            let variance = column.iter().map(|v| (v - mean) * (v - mean)).sum::<f32>() / count;
            let scale = 1.0 / (variance + self.epsilon).sqrt();
            let parts = self.weight.iter().zip(&self.bias);
            column.iter_mut().zip(parts).for_each(|(v, (w, b))| *v = (*v - mean) * scale * w + b);
        }
    }
}

struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    attended: Linear,
    attended_norm: Norm,
    wide: Linear,
    narrow: Linear,
    norm: Norm,
}

/// A model, ready.
pub(super) struct Bert {
    heads: usize,
    /// Numbers of each token of the vocabulary, one after the other.
    words: Vec<f32>,
    /// Numbers of each position, with those of the first kind of token already added.
    positions: Vec<f32>,
    norm: Norm,
    layers: Vec<Layer>,
}

/// Takes tensors below a name.
struct Loader<'w, 'b> {
    weights: &'w Weights<'b>,
    root: &'static str,
    epsilon: f32,
}

impl Loader<'_, '_> {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        self.weights.tensor(&format!("{}{name}", self.root), shape)
    }

    fn linear(&self, name: &str, out: usize, into: usize) -> Result<Linear> {
        let weight = self.tensor(&format!("{name}.weight"), &[out, into])?;
        let bias = DVector::from_vec(self.tensor(&format!("{name}.bias"), &[out])?);
        Ok(Linear { weight: DMatrix::from_row_slice(out, into, &weight), bias })
    }

    fn norm(&self, name: &str, width: usize) -> Result<Norm> {
        // Checkpoints that came from TensorFlow name them otherwise.
        let old = self.weights.has(&format!("{}{name}.gamma", self.root));
        let (weight, bias) = if old { ("gamma", "beta") } else { ("weight", "bias") };
        Ok(Norm {
            weight: self.tensor(&format!("{name}.{weight}"), &[width])?,
            bias: self.tensor(&format!("{name}.{bias}"), &[width])?,
            epsilon: self.epsilon,
        })
    }

    fn layer(&self, number: usize, config: &Config) -> Result<Layer> {
        let (width, wide) = (config.hidden_size, config.intermediate_size);
        let name = |part: &str| format!("encoder.layer.{number}.{part}");
        Ok(Layer {
            query: self.linear(&name("attention.self.query"), width, width)?,
            key: self.linear(&name("attention.self.key"), width, width)?,
            value: self.linear(&name("attention.self.value"), width, width)?,
            attended: self.linear(&name("attention.output.dense"), width, width)?,
            attended_norm: self.norm(&name("attention.output.LayerNorm"), width)?,
            wide: self.linear(&name("intermediate.dense"), wide, width)?,
            narrow: self.linear(&name("output.dense"), width, wide)?,
            norm: self.norm(&name("output.LayerNorm"), width)?,
        })
    }
}

impl Bert {
    /// Takes the weights of a model.
    ///
    /// # Errors
    /// When one is missing or has another shape than `config.json` says.
    pub(super) fn new(config: &Config, weights: &Weights<'_>) -> Result<Self> {
        let root = if weights.has("bert.embeddings.word_embeddings.weight") { "bert." } else { "" };
        let from = Loader { weights, root, epsilon: config.layer_norm_eps };
        let width = config.hidden_size;
        let words = from.tensor("embeddings.word_embeddings.weight", &[config.vocab_size, width])?;
        let kinds = from.tensor("embeddings.token_type_embeddings.weight", &[config.type_vocab_size, width])?;
        let mut positions = from.tensor("embeddings.position_embeddings.weight", &[config.max_position_embeddings, width])?;
        for position in positions.chunks_exact_mut(width) {
            position.iter_mut().zip(&kinds).for_each(|(p, k)| *p += k);
        }
        Ok(Self {
            heads: config.num_attention_heads,
            words,
            positions,
            norm: from.norm("embeddings.LayerNorm", width)?,
            layers: (0..config.num_hidden_layers).map(|n| from.layer(n, config)).collect::<Result<_>>()?,
        })
    }

    /// What the last layer says of each token, one column each. Every token must be below the vocabulary's size and there may
    /// be no more of them than the model has positions.
    pub(super) fn forward(&self, tokens: &[u32]) -> DMatrix<f32> {
        let width = self.norm.weight.len();
        let mut x = DMatrix::zeros(width, tokens.len());
        for ((mut column, token), position) in x.column_iter_mut().zip(tokens).zip(self.positions.chunks_exact(width)) {
            let word = &self.words[*token as usize * width..][..width];
            column.iter_mut().zip(word).zip(position).for_each(|((v, w), p)| *v = w + p);
        }
        self.norm.apply(&mut x);
        for layer in &self.layers {
            let mut attended = layer.attended.apply(&layer.attention(&x, self.heads));
            attended += &x;
            layer.attended_norm.apply(&mut attended);
            let mut wide = layer.wide.apply(&attended);
            wide.iter_mut().for_each(|v| *v = gelu(*v));
            x = layer.narrow.apply(&wide);
            x += &attended;
            layer.norm.apply(&mut x);
        }
        x
    }
}

impl Layer {
    fn attention(&self, x: &DMatrix<f32>, heads: usize) -> DMatrix<f32> {
        let size = x.nrows() / heads;
        #[expect(clippy::cast_precision_loss, reason = "numbers of a head are few")]
        let scale = 1.0 / (size as f32).sqrt();
        let (query, key, value) = (self.query.apply(x) * scale, self.key.apply(x), self.value.apply(x));
        let mut out = DMatrix::zeros(x.nrows(), x.ncols());
        for head in (0..heads).map(|h| h * size) {
            let mut weights: DMatrix<f32> = key.rows(head, size).transpose() * query.rows(head, size);
            weights.column_iter_mut().for_each(|mut column| softmax(column.as_mut_slice()));
            let rows: MatrixView<'_, f32, Dyn, Dyn, U1, Dyn> = value.rows(head, size);
            out.rows_mut(head, size).copy_from(&(rows * weights));
        }
        out
    }
}

fn softmax(values: &mut [f32]) {
    let most = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    values.iter_mut().for_each(|v| *v = (*v - most).exp());
    let sum: f32 = values.iter().sum();
    values.iter_mut().for_each(|v| *v /= sum);
}

/// x·Φ(x), with the error function of Abramowitz and Stegun 7.1.26: off by at most 1.5e-7, as 32 bits are.
fn gelu(x: f32) -> f32 {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let sum = ((((1.061_405_4 * t - 1.453_152_1) * t) + 1.421_413_8) * t - 0.284_496_74) * t + 0.254_829_6;
    let erf = 1.0 - sum * t * (-z * z).exp();
    0.5 * x * (1.0 + erf.copysign(x))
}

#[cfg(test)]
mod tests {
    use super::*;
    use statrs::function::erf::erf;

    #[test]
    fn gelu_is_exact_to_the_bits_of_a_float() {
        for step in -800..=800_i16 {
            let x = f32::from(step) / 100.0;
            let exact = 0.5 * f64::from(x) * (1.0 + erf(f64::from(x) / std::f64::consts::SQRT_2));
            assert!((f64::from(gelu(x)) - exact).abs() < 2e-6, "{x}: {} {exact}", gelu(x));
        }
    }

    #[test]
    fn softmax_does_not_overflow() {
        let mut values = [1000.0, 1000.0, -1000.0];
        softmax(&mut values);
        assert_eq!(values, [0.5, 0.5, 0.0]);
    }
}
