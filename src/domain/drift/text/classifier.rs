//! The classifier two-sample test (Lopez-Paz and Oquab 2017): if nothing can learn to tell the texts apart, they have not drifted.
//!
//! A logistic regression on words and pieces of words is fitted to one half of both samples and asked about the other, and the other way
//! round. Each half that is asked is new to what it is asked by, so that without drift its area under the curve is ½ with a deviation in
//! closed form. Both areas rest on the same two halves and are nearly one number (for weak weights each is the same product of
//! the halves' differences), so their mean has the deviation of one, not a smaller one.

use super::grams::{Gram, grams, plain};
use super::profile::Sampled;
use crate::stats::auc::{auc, null_sd};
use crate::stats::logistic::{Logistic, Sparse, logistic};
use crate::stats::rng::Rng;
use crate::stats::tail::normal_two_sided;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The fewest texts of a side.
pub const LEAST: usize = 20;
/// What a miss costs beside the ridge: scikit-learn's default.
const STRENGTH: f64 = 1.0;
/// Words, and as many pieces, that are told of each side.
pub const TOLD: usize = 10;
/// Typical rows that are told of each side.
pub const TYPICAL: usize = 3;

/// What the test found.
#[derive(Clone, Debug, PartialEq)]
pub struct Classifier {
    /// The chance that a current text looks more current than one of the reference: ½ when nothing tells them apart, 1 when each is
    /// recognised.
    pub auc: f64,
    /// Its standard deviation without drift.
    pub null_sd: f64,
    /// The chance of an area this large without drift.
    pub p_value: f64,
    /// Texts of the reference and of the current data that it rests on.
    pub rows: (usize, usize),
    /// What speaks for the current data, the strongest first: words, then pieces that are in none of these.
    pub current: Vec<Term>,
    /// What speaks for the reference, likewise.
    pub reference: Vec<Term>,
    /// Current texts that look most current.
    pub typical_current: Vec<Typical>,
    /// Texts of the reference that look least current.
    pub typical_reference: Vec<Typical>,
}

/// A word or piece with its weight.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// In small letters; of several in one place the most frequent.
    pub text: String,
    /// What it adds to the logarithm of the odds, before rows are scaled to one length; above 0 for the current data.
    pub weight: f64,
    /// Texts of the reference that have it.
    pub reference: usize,
    /// Current texts that have it.
    pub current: usize,
}

/// A text with its score.
#[derive(Clone, Debug, PartialEq)]
pub struct Typical {
    /// Its place among all rows of its side, from 0.
    pub row: u64,
    /// The logarithm of the odds that it is current, from weights that have not seen it.
    pub score: f64,
    /// Its beginning.
    pub text: String,
}

/// The texts of both sides, those of the reference first.
struct Texts<'a> {
    sampled: Vec<&'a Sampled>,
    plain: Vec<String>,
    reference: usize,
    /// Features by place: those of at least two texts.
    features: HashMap<usize, usize>,
    rows: Vec<Sparse>,
}

pub(super) fn classifier(reference: &[Sampled], current: &[Sampled], seed: u64) -> Option<Classifier> {
    (reference.len() >= LEAST && current.len() >= LEAST).then_some(())?;
    let texts = Texts::of(reference, current);
    let halves = halves(&texts, seed);
    let models = [&halves[1], &halves[0]].map(|others| texts.fitted(others));
    let (mut scores, mut area, mut deviation) = (vec![0.0; texts.rows.len()], 0.0, 0.0f64);
    for (half, model) in halves.iter().zip(&models) {
        let model = model.as_ref()?;
        half.iter().for_each(|i| scores[*i] = model.score(&texts.rows[*i]));
        let side =
            |current: bool| half.iter().filter(|i| texts.is_current(**i) == current).map(|i| scores[*i]).collect::<Vec<_>>();
        let (r, c) = (side(false), side(true));
        area += auc(&r, &c)? / 2.0;
        deviation = deviation.max(null_sd(r.len(), c.len())?);
    }
    let z = (area - 0.5) / deviation;
    let half_tail = normal_two_sided(z)? / 2.0;
    let [first, second] = models;
    let told = texts.terms(&mean(&first?, &second?));
    let typical = |current: bool| texts.typical(&scores, current);
    Some(Classifier {
        auc: area,
        null_sd: deviation,
        p_value: if z > 0.0 { half_tail } else { 1.0 - half_tail },
        rows: (reference.len(), current.len()),
        current: told.1,
        reference: told.0,
        typical_current: typical(true),
        typical_reference: typical(false),
    })
}

/// Both sides dealt in two, each as equally as its rows allow.
fn halves(texts: &Texts<'_>, seed: u64) -> [Vec<usize>; 2] {
    let mut rng = Rng::new(seed);
    let mut halves = [Vec::new(), Vec::new()];
    for side in [0..texts.reference, texts.reference..texts.rows.len()] {
        let mut order: Vec<usize> = side.collect();
        let rows = order.len();
        rng.draw(&mut order, rows);
        order.into_iter().enumerate().for_each(|(at, i)| halves[at % 2].push(i));
    }
    halves
}

fn mean(a: &Logistic, b: &Logistic) -> Vec<f64> {
    a.weights.iter().zip(&b.weights).map(|(a, b)| f64::midpoint(*a, *b)).collect()
}

impl<'a> Texts<'a> {
    fn of(reference: &'a [Sampled], current: &'a [Sampled]) -> Self {
        let sampled: Vec<&Sampled> = reference.iter().chain(current).collect();
        let plain: Vec<String> = sampled.iter().map(|s| plain(&s.text)).collect();
        let places: Vec<BTreeSet<usize>> = plain.iter().map(|text| grams(text).map(Gram::place).collect()).collect();
        let mut texts_with: HashMap<usize, usize> = HashMap::new();
        places.iter().flatten().for_each(|place| *texts_with.entry(*place).or_default() += 1);
        // What a single text has cannot tell others apart.
        let (mut features, mut rows) = (HashMap::new(), Vec::with_capacity(places.len()));
        for places in &places {
            let shared = places.iter().filter(|place| texts_with[place] > 1);
            let row: Vec<usize> = shared
                .map(|place| {
                    let next = features.len();
                    *features.entry(*place).or_insert(next)
                })
                .collect();
            // All rows of one length, so that a long text weighs no more than a short one.
            let value = 1.0 / (row.len().max(1) as f64).sqrt();
            rows.push(row.into_iter().map(|feature| (feature, value)).collect());
        }
        Self { sampled, plain, reference: reference.len(), features, rows }
    }

    fn is_current(&self, i: usize) -> bool {
        i >= self.reference
    }

    fn fitted(&self, rows: &[usize]) -> Option<Logistic> {
        let second: Vec<bool> = rows.iter().map(|i| self.is_current(*i)).collect();
        let rows: Vec<Sparse> = rows.iter().map(|i| self.rows[*i].clone()).collect();
        logistic(&rows, &second, self.features.len(), STRENGTH)
    }

    /// What speaks for the reference, and for the current data.
    fn terms(&self, weights: &[f64]) -> (Vec<Term>, Vec<Term>) {
        let mut order: Vec<usize> = (0..weights.len()).collect();
        order.sort_by(|a, b| weights[*b].total_cmp(&weights[*a]).then(a.cmp(b)));
        // Pieces of one word come together: more than are told must be looked at.
        let most = (20 * TOLD).min(order.len());
        let wanted: BTreeSet<usize> = order[..most].iter().chain(&order[order.len() - most..]).copied().collect();
        let named = self.named(weights, &wanted);
        let of = |side: &dyn Fn(f64) -> bool| {
            let mut terms: Vec<&(bool, Term)> = named.iter().filter(|(_, term)| side(term.weight)).collect();
            terms.sort_by(|(_, a), (_, b)| b.weight.abs().total_cmp(&a.weight.abs()).then_with(|| a.text.cmp(&b.text)));
            told(&terms)
        };
        (of(&|weight| weight < 0.0), of(&|weight| weight > 0.0))
    }

    /// The texts of features, whether they are words, with the rows that have them.
    fn named(&self, weights: &[f64], wanted: &BTreeSet<usize>) -> Vec<(bool, Term)> {
        let mut rows: BTreeMap<(usize, bool, &str), [usize; 2]> = BTreeMap::new();
        for (i, text) in self.plain.iter().enumerate() {
            let mut here = BTreeSet::new();
            for gram in grams(text) {
                let feature = self.features.get(&gram.place()).filter(|feature| wanted.contains(feature));
                here.extend(feature.map(|feature| (*feature, gram.is_word(), gram.text())));
            }
            here.into_iter().for_each(|key| rows.entry(key).or_default()[usize::from(self.is_current(i))] += 1);
        }
        let mut best: BTreeMap<usize, (bool, Term)> = BTreeMap::new();
        for ((feature, is_word, text), [reference, current]) in rows {
            let term = Term { text: text.to_owned(), weight: weights[feature], reference, current };
            let more = best.get(&feature).is_none_or(|(_, kept)| reference + current > kept.reference + kept.current);
            if more {
                best.insert(feature, (is_word, term));
            }
        }
        best.into_values().collect()
    }

    /// The rows of a side that look most like it, no text twice.
    fn typical(&self, scores: &[f64], current: bool) -> Vec<Typical> {
        let mut order: Vec<usize> = (0..scores.len()).filter(|i| self.is_current(*i) == current).collect();
        let like = |i: usize| if current { -scores[i] } else { scores[i] };
        order.sort_by(|a, b| like(*a).total_cmp(&like(*b)).then(a.cmp(b)));
        let mut seen = BTreeSet::new();
        let fresh = order.into_iter().filter(|i| seen.insert(&self.plain[*i])).take(TYPICAL);
        fresh.map(|i| Typical { row: self.sampled[i].row, score: scores[i], text: self.sampled[i].text.clone() }).collect()
    }
}

/// The strongest words, then the strongest pieces that tell something else.
fn told(terms: &[&(bool, Term)]) -> Vec<Term> {
    let words = terms.iter().filter(|(is_word, _)| *is_word).take(TOLD);
    let mut kept: Vec<Term> = words.map(|(_, term)| term.clone()).collect();
    let most = kept.len() + TOLD;
    for (_, piece) in terms.iter().filter(|(is_word, _)| !is_word) {
        let bare = piece.text.trim();
        let known = kept.iter().any(|term| term.text.contains(bare) || bare.contains(term.text.trim()));
        if kept.len() < most && !known {
            kept.push(piece.clone());
        }
    }
    kept
}
