//! Robustness and bias: rows of a golden dataset asked again in another form, and what must hold between the two answers.
//!
//! * [`relations`]: robustness. The question with typos, in capitals, politely …; the contexts shuffled, without the relevant one, with an
//!   instruction hidden in them. What changes is made in `perturb` and `context`.
//! * [`swaps`]: bias. Another name, gender, origin or age in the question must change nothing in the answer.
//! * [`held`]: when a relation holds, by which measure and margin.
//! * [`sum`]: shares of rows that hold, what metrics lost, and tests of what a swap changed.
//!
//! Metamorphic and counterfactual relations as in research on testing of language models (Ribeiro et al. 2020, "CheckList"; Kusner et al.
//! 2017, "Counterfactual fairness"). Invariants: everything is a function of the seed, the row's id and the relation, so neither order
//! nor concurrency matters; a relation that does not apply to a row leaves it unscored with the reason; nothing here asks anybody.
//!
//! Every relation is a metric named `robustness/typos`; the metric named as the suite is the mean over rows of the share of their
//! relations that hold. So gates, comparisons and reports of evaluations are those of the suites, too.

mod ages;
mod context;
pub mod held;
mod perturb;
pub mod relations;
pub mod sentiment;
pub mod sum;
pub mod swaps;

mod origins;
mod people;
mod phrases;

use super::proxy::{self, Lang};
use crate::base::digest::Digest;
use crate::base::name::words;
use crate::domain::golden::Row;
use crate::domain::ingest::quality::language;
use crate::stats::rng::Rng;
use relations::Relation;
use swaps::Swap;

words! {
    /// What of a version is tried.
    Suite, "suite" {
        /// Whether other forms of a question and its contexts leave the answer as good.
        Robustness = "robustness",
        /// Whether the person in a question changes the answer.
        Bias = "bias",
    }
}

/// Changes whenever the same rows would be changed or judged in another way: scores of two numbers are not compared.
const EDITION: u32 = 1;

impl Suite {
    /// The judge of its evaluations. Gates go by the seed 0: who may choose among seeds may choose a result.
    pub fn judge(self, seed: u64) -> String {
        let seed = if seed == 0 { String::new() } else { format!(";seed={seed}") };
        format!("{self} {EDITION}{seed}")
    }

    /// The words of its relations, in order.
    pub fn relations(self) -> Vec<&'static str> {
        match self {
            Self::Robustness => Relation::ALL.iter().map(|r| r.word()).collect(),
            Self::Bias => Swap::ALL.iter().map(|s| s.word()).collect(),
        }
    }

    /// The name of a relation's metric.
    pub fn metric(self, relation: &str) -> String {
        format!("{self}/{relation}")
    }
}

/// The names of all metrics of suites.
pub fn metrics() -> Vec<String> {
    let of = |suite: &Suite| {
        let all = suite.relations().into_iter().map(|r| suite.metric(r));
        std::iter::once(suite.to_string()).chain(all).collect::<Vec<_>>()
    };
    Suite::ALL.iter().flat_map(of).collect()
}

/// The suite that a metric belongs to.
pub fn of_metric(name: &str) -> Option<Suite> {
    let (suite, relation) = name.split_once('/').map_or((name, None), |(suite, relation)| (suite, Some(relation)));
    let suite: Suite = suite.parse().ok()?;
    relation.is_none_or(|r| suite.relations().contains(&r)).then_some(suite)
}

/// The suite whose judge made an evaluation.
pub fn of_judge(judge: &str) -> Option<Suite> {
    judge.split([' ', ';']).next()?.parse().ok()
}

/// The random numbers for one purpose on one row.
fn rng(seed: u64, row: &str, purpose: &str) -> Rng {
    let digest = Digest::of(format!("suite\0{seed}\0{row}\0{purpose}").as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&digest.as_bytes()[..8]);
    Rng::new(u64::from_le_bytes(first))
}

/// Why a row is left out whose language has no lists.
const NO_LANGUAGE: &str = "its language is none of en, es, fr, de, or not known: a column `language` says it";

/// The language of a row's question: what the row says, else what a detector tells for certain, else what its short words tell.
fn lang(row: &Row) -> Option<Lang> {
    let told = row.language.as_deref().map(|l| l.split(['-', '_']).next().unwrap_or(l).to_lowercase());
    let code = told.or_else(|| language::of_text(&[&row.question]).filter(|l| l.certain).map(|l| l.code.to_owned()));
    match code.as_deref() {
        None => proxy::language(&row.question),
        Some("en") => Some(Lang::En),
        Some("es") => Some(Lang::Es),
        Some("fr") => Some(Lang::Fr),
        Some("de") => Some(Lang::De),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_of_suites_are_found_by_their_names() {
        let all = metrics();
        assert!(all.contains(&"robustness/typos".to_owned()) && all.contains(&"bias".to_owned()));
        assert!(all.iter().all(|m| of_metric(m).is_some()), "{all:?}");
        assert_eq!((of_metric("robustness/typo"), of_metric("token-f1"), of_metric("bias/")), (None, None, None));
    }

    #[test]
    fn a_judge_names_its_suite_and_another_seed() {
        assert_eq!((Suite::Bias.judge(0).as_str(), Suite::Bias.judge(7).as_str()), ("bias 1", "bias 1;seed=7"));
        for suite in Suite::ALL {
            assert_eq!((of_judge(&suite.judge(0)), of_judge(&suite.judge(7))), (Some(*suite), Some(*suite)));
        }
        assert_eq!((of_judge("deterministic;k=3"), of_judge("bias-model;judge=0123")), (None, None));
    }

    #[test]
    fn numbers_depend_on_seed_row_and_purpose_alone() {
        let first = |seed, row, purpose| rng(seed, row, purpose).bits();
        assert_eq!(first(1, "a", "typos"), first(1, "a", "typos"));
        let all = [first(1, "a", "typos"), first(2, "a", "typos"), first(1, "b", "typos"), first(1, "a", "case")];
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), 4);
    }

    #[test]
    fn the_language_is_told_or_known() {
        let row = |question: &str, language: Option<&str>| Row {
            question: question.into(),
            language: language.map(str::to_owned),
            ..Row::default()
        };
        assert_eq!(lang(&row("?", Some("de-AT"))), Some(Lang::De));
        assert_eq!(lang(&row("¿Cuánto tiempo tengo para devolver un artículo sin usar?", None)), Some(Lang::Es));
        assert_eq!((lang(&row("Kombucha?", None)), lang(&row("How long?", Some("pl")))), (None, None));
        assert_eq!(lang(&row("Where is it?", None)), Some(Lang::En));
    }
}
