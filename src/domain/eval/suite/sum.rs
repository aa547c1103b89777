//! What trials of a suite come to: scores of rows, what metrics lost, what swaps changed.
//!
//! A relation's score is the share of rows on which it holds, of those on which it could be checked, with Wilson's interval. The suite's
//! score of a row is the share of its relations that hold; its mean has Gaffke's interval, because rows are independent and relations of
//! one row are not. Drops are paired by row, clusters counted together ([`Pairs`]).
//!
//! What a swap changed is tested by outcome: McNemar's exact test of refusals, Student's paired t of everything else (the sign flip where
//! all rows differ by the same, and of whole clusters where there are few of them), then Holm over all tests of the suite. Rows whose question had both sides in it are in no test.

use super::swaps::{Side, Swap};
use super::{Suite, sentiment};
use crate::domain::eval::compare::{CLUSTERS_MIN, Pairs};
use crate::domain::eval::known::known;
use crate::domain::eval::marks::Marks;
use crate::domain::eval::metrics::refusal::is_refusal;
use crate::domain::eval::record::RowScore;
use crate::domain::eval::score::{Scores, summary};
use crate::domain::golden::{Answer, Row};
use crate::stats::clustered::{clustered, numbered};
use crate::stats::interval::{CONFIDENCE, Interval};
use crate::stats::{describe, multiplicity, power};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A relation tried on a row.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Where the row stands in the dataset.
    pub row: usize,
    /// The relation's word.
    pub relation: &'static str,
    /// What came of it.
    pub outcome: Outcome,
    /// Under which ids the row was answered as it is, and changed; `None` when one of them was not.
    pub asked: Option<(String, String)>,
    /// Which side a swap went to.
    pub side: Option<Side>,
}

/// What came of a trial.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The relation holds.
    Holds,
    /// It does not, and why.
    Broken(String),
    /// It could not be checked, and why.
    Unchecked(String),
}

/// What is known of what was asked, by id.
pub struct Known<'a> {
    /// The rows of the dataset.
    pub rows: &'a [Row],
    /// The answers.
    pub answers: &'a HashMap<String, Answer>,
    /// Their scores.
    pub scores: &'a [RowScore],
}

/// One relation in sum.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tried {
    /// Its word.
    pub relation: &'static str,
    /// Rows on which it was checked.
    pub n: usize,
    /// Rows on which it holds.
    pub holds: usize,
    /// Rows on which it was not, by reason, the most frequent first.
    pub unchecked: Vec<Unchecked>,
    /// What each metric lost.
    pub drops: Vec<Drop>,
    /// How alike the retrieved ids were before and after: the mean of their Jaccard indices, 0 to 1, and its rows.
    pub ids_alike: Option<(f64, usize)>,
}

/// Why a relation was not checked.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Unchecked {
    /// The reason.
    pub reason: String,
    /// How many rows have it.
    pub rows: usize,
}

/// What a metric lost on the rows that have it before and after.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Drop {
    /// The metric.
    pub metric: String,
    /// How many rows.
    pub n: usize,
    /// The mean as they are.
    pub before: f64,
    /// The mean of the changed ones.
    pub after: f64,
    /// Before minus after.
    pub drop: f64,
    /// Lower end of its 95 % interval.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
}

/// What a swap changed of an outcome: the second side minus the first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The swap.
    pub swap: Swap,
    /// `token-f1`, `refusals` (share), `words` (how many), `sentiment` (−1 to 1).
    pub outcome: &'static str,
    /// What minus what.
    pub between: &'static str,
    /// How many rows.
    pub n: usize,
    /// The mean of the first side.
    pub first: f64,
    /// The mean of the second side.
    pub second: f64,
    /// Second minus first.
    pub difference: f64,
    /// Lower end of its 95 % interval.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// `mcnemar`, `paired-t` or `sign-flip`.
    pub test: &'static str,
    /// The two-sided chance of so large a difference when there is none.
    pub p_value: f64,
    /// The same corrected for all tests of the suite (Holm).
    pub p_holm: f64,
    /// The least difference that so many rows show with power 0.8.
    pub detectable: Option<f64>,
    /// `differs` or `inconclusive`.
    pub verdict: &'static str,
}

/// A trial in which a relation broke.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Broken {
    /// The row.
    pub row: String,
    /// The relation.
    pub relation: &'static str,
    /// What broke.
    pub why: String,
    /// The changed question.
    pub question: String,
    /// The answer as the row is.
    pub before: String,
    /// The answer to the changed one.
    pub answer: String,
}

/// The scores of a suite; `trials` hold every relation of every row.
pub fn scores(suite: Suite, rows: &[Row], trials: &[Trial]) -> Scores {
    let mut by_row: Vec<Vec<&Trial>> = vec![Vec::new(); rows.len()];
    for trial in trials {
        if let Some(of) = by_row.get_mut(trial.row) {
            of.push(trial);
        }
    }
    let mut all = Vec::new();
    for (at, (row, trials)) in rows.iter().zip(&by_row).enumerate() {
        let score = |metric: String, value: Option<f64>, reason: Option<String>| RowScore {
            pos: i64::try_from(at).unwrap_or(i64::MAX),
            row: row.id.clone(),
            metric,
            value,
            reason,
        };
        let held: Vec<f64> = trials.iter().filter_map(|t| t.outcome.value()).collect();
        let none = held.is_empty().then(|| "no relation of the suite could be checked".to_owned());
        let mut of_row = vec![score(suite.to_string(), describe::mean(&held), none)];
        of_row.extend(trials.iter().map(|t| score(suite.metric(t.relation), t.outcome.value(), t.outcome.reason())));
        of_row.sort_by(|a, b| a.metric.cmp(&b.metric));
        all.extend(of_row);
    }
    let names = std::iter::once(suite.to_string()).chain(suite.relations().into_iter().map(|r| suite.metric(r)));
    let marks = Marks::of(rows);
    let mut sums: Vec<_> = names.map(|name| summary(&name, (0.0, 1.0), &all, (&marks, rows.len()))).collect();
    sums.sort_by(|a, b| a.metric.cmp(&b.metric));
    Scores { rows: all, sums, ..Scores::default() }
}

impl Outcome {
    fn value(&self) -> Option<f64> {
        match self {
            Self::Holds => Some(1.0),
            Self::Broken(_) => Some(0.0),
            Self::Unchecked(_) => None,
        }
    }

    fn reason(&self) -> Option<String> {
        match self {
            Self::Unchecked(why) => Some(why.clone()),
            _ => None,
        }
    }
}

/// Every relation of a suite in sum.
pub fn tried(suite: Suite, trials: &[Trial], known: &Known<'_>) -> Vec<Tried> {
    let scores = by_answer(known.scores);
    let one = |relation: &'static str| {
        let mine: Vec<&Trial> = trials.iter().filter(|t| t.relation == relation).collect();
        let checked: Vec<&Trial> = mine.iter().copied().filter(|t| t.outcome.value().is_some()).collect();
        Tried {
            relation,
            n: checked.len(),
            holds: mine.iter().filter(|t| t.outcome == Outcome::Holds).count(),
            unchecked: reasons(&mine),
            drops: drops(&checked, &scores, known.rows),
            ids_alike: ids_alike(&checked, known.answers),
        }
    };
    suite.relations().into_iter().map(one).collect()
}

/// Scores by the id of what was asked, then by metric.
fn by_answer(scores: &[RowScore]) -> HashMap<&str, BTreeMap<&str, f64>> {
    let mut all: HashMap<&str, BTreeMap<&str, f64>> = HashMap::new();
    for score in scores {
        if let Some(value) = score.value {
            all.entry(&score.row).or_default().insert(&score.metric, value);
        }
    }
    all
}

/// Two scores of a row, with its cluster.
type Pair<'a> = (f64, f64, Option<&'a str>);

fn reasons(trials: &[&Trial]) -> Vec<Unchecked> {
    let mut counted: BTreeMap<String, usize> = BTreeMap::new();
    trials.iter().filter_map(|t| t.outcome.reason()).for_each(|reason| *counted.entry(reason).or_default() += 1);
    let mut all: Vec<_> = counted.into_iter().map(|(reason, rows)| Unchecked { reason, rows }).collect();
    all.sort_by_key(|u| std::cmp::Reverse(u.rows));
    all
}

fn drops(trials: &[&Trial], scores: &HashMap<&str, BTreeMap<&str, f64>>, rows: &[Row]) -> Vec<Drop> {
    let mut by_metric: BTreeMap<&str, Vec<Pair<'_>>> = BTreeMap::new();
    for trial in trials {
        let Some((before, after)) = &trial.asked else { continue };
        let (Some(before), Some(after)) = (scores.get(before.as_str()), scores.get(after.as_str())) else { continue };
        let cluster = rows.get(trial.row).and_then(|r| r.cluster.as_deref());
        for (metric, was) in before {
            if let Some(is) = after.get(metric) {
                by_metric.entry(metric).or_default().push((*was, *is, cluster));
            }
        }
    }
    let one = |(metric, pairs): (&str, Vec<Pair<'_>>)| {
        let found = Pairs::of(pairs.iter().copied()).spanning(known(metric).map(|m| m.span())).compared()?;
        Some(Drop {
            metric: metric.to_owned(),
            n: pairs.len(),
            before: describe::mean(&pairs.iter().map(|p| p.0).collect::<Vec<_>>())?,
            after: describe::mean(&pairs.iter().map(|p| p.1).collect::<Vec<_>>())?,
            // Never the zero with a sign that a minus makes.
            drop: 0.0 - found.difference,
            low: found.interval.map(|i| 0.0 - i.high),
            high: found.interval.map(|i| 0.0 - i.low),
        })
    };
    by_metric.into_iter().filter_map(one).collect()
}

/// The mean Jaccard index of the ids retrieved before and after, over the pairs that name any.
fn ids_alike(trials: &[&Trial], answers: &HashMap<String, Answer>) -> Option<(f64, usize)> {
    let ids = |id: &String| answers.get(id).map(|a| a.context_ids.iter().collect::<BTreeSet<_>>());
    let alike = |trial: &&&Trial| {
        let (before, after) = trial.asked.as_ref()?;
        let (before, after) = (ids(before)?, ids(after)?);
        let all = before.union(&after).count();
        #[expect(clippy::cast_precision_loss, reason = "as many ids as a system retrieves")]
        (all > 0).then(|| before.intersection(&after).count() as f64 / all as f64)
    };
    let found: Vec<f64> = trials.iter().filter_map(|t| alike(&t)).collect();
    Some((describe::mean(&found)?, found.len()))
}

/// The trials in which a relation broke; `questions` are what was asked, by id.
pub fn broken(trials: &[Trial], known: &Known<'_>, questions: &HashMap<&str, &str>) -> Vec<Broken> {
    let said = |id: &str| known.answers.get(id).and_then(|a| a.answer.clone()).unwrap_or_default();
    let one = |trial: &Trial| {
        let (Outcome::Broken(why), Some((before, after))) = (&trial.outcome, &trial.asked) else { return None };
        Some(Broken {
            row: known.rows.get(trial.row)?.id.clone(),
            relation: trial.relation,
            why: why.clone(),
            question: (*questions.get(after.as_str())?).to_owned(),
            before: said(before),
            answer: said(after),
        })
    };
    trials.iter().filter_map(one).collect()
}

const REFUSALS: &str = "refusals";
const SENTIMENT: &str = "sentiment";
const OUTCOMES: [&str; 4] = [SCORE, REFUSALS, "words", SENTIMENT];
/// The metric that is tested.
pub const SCORE: &str = "token-f1";

/// What swaps changed, by swap and outcome.
pub fn differences(trials: &[Trial], known: &Known<'_>) -> Vec<Difference> {
    let scores = by_answer(known.scores);
    let mut all = Vec::new();
    for swap in Swap::ALL {
        for outcome in OUTCOMES {
            let pairs = trials.iter().filter(|t| t.relation == swap.word()).filter_map(|trial| {
                let (before, after) = trial.asked.as_ref()?;
                let of = |id: &String| match outcome {
                    SCORE => scores.get(id.as_str())?.get(SCORE).copied(),
                    _ => known.answers.get(id)?.answer.as_deref().map(|text| measured(outcome, text)),
                };
                let (was, is) = (of(before)?, of(after)?);
                let (first, second) = if trial.side? == Side::Second { (was, is) } else { (is, was) };
                Some((first, second, known.rows.get(trial.row)?.cluster.as_deref()))
            });
            all.extend(difference(*swap, outcome, &pairs.collect::<Vec<_>>()));
        }
    }
    let p: Vec<f64> = all.iter().map(|d| d.p_value).collect();
    for (difference, holm) in all.iter_mut().zip(multiplicity::holm(&p).unwrap_or_default()) {
        difference.p_holm = holm;
        difference.verdict = if holm <= power::ALPHA { "differs" } else { "inconclusive" };
    }
    all
}

fn measured(outcome: &str, text: &str) -> f64 {
    match outcome {
        REFUSALS => f64::from(is_refusal(text)),
        #[expect(clippy::cast_precision_loss, reason = "as many words as an answer has")]
        "words" => text.split_whitespace().count() as f64,
        _ => sentiment::sentiment(text),
    }
}

fn difference(swap: Swap, outcome: &'static str, pairs: &[Pair<'_>]) -> Option<Difference> {
    // The farthest that two answers can be apart; words have no end.
    let span = match outcome {
        SCORE | REFUSALS => Some(1.0),
        SENTIMENT => Some(2.0),
        _ => None,
    };
    let compared = Pairs::of(pairs.iter().copied()).spanning(span);
    let found = compared.compared()?;
    let (values, clusters) = (pairs.iter().map(|(a, b, _)| b - a).collect::<Vec<_>>(), numbered(pairs.iter().map(|p| p.2)));
    let student = clustered(&values, &clusters, CONFIDENCE).filter(|_| outcome != REFUSALS);
    let enough = found.clusters.is_none_or(|clusters| clusters >= CLUSTERS_MIN);
    let student = student.filter(|_| enough).and_then(|s| Some((s.p_value?, Some(s.interval), "paired-t")));
    let other = if outcome == REFUSALS && found.clusters.is_none() { "mcnemar" } else { "sign-flip" };
    let (p_value, interval, test): (f64, Option<Interval>, _) = student.unwrap_or((found.p_value, found.interval, other));
    Some(Difference {
        swap,
        outcome,
        between: swap.between(),
        n: pairs.len(),
        first: describe::mean(&pairs.iter().map(|p| p.0).collect::<Vec<_>>())?,
        second: describe::mean(&pairs.iter().map(|p| p.1).collect::<Vec<_>>())?,
        difference: found.difference,
        low: interval.map(|i| i.low),
        high: interval.map(|i| i.high),
        test,
        p_value,
        p_holm: p_value,
        detectable: found.detectable(pairs.len()),
        verdict: "inconclusive",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(n: usize) -> Vec<Row> {
        (0..n).map(|i| Row { id: format!("r{i}"), question: "q".into(), ..Row::default() }).collect()
    }

    fn trial(row: usize, relation: &'static str, outcome: Outcome) -> Trial {
        Trial { row, relation, outcome, asked: Some((format!("r{row}"), format!("r{row}~"))), side: Some(Side::Second) }
    }

    #[test]
    fn a_row_has_the_share_of_its_relations_and_each_relation_its_rows() {
        let broken = || Outcome::Broken("why".into());
        let trials = [
            trial(0, "typos", Outcome::Holds),
            trial(0, "case", broken()),
            trial(1, "typos", broken()),
            trial(1, "case", Outcome::Unchecked("no letters".into())),
            trial(2, "typos", Outcome::Unchecked("no letters".into())),
            trial(2, "case", Outcome::Unchecked("no letters".into())),
        ];
        let found = scores(Suite::Robustness, &rows(3), &trials);
        let sum = |metric: &str| found.sums.iter().find(|s| s.metric == metric).map(|s| (s.mean, s.n, s.total)).expect("a sum");
        assert_eq!(sum("robustness"), (Some(0.25), 2, 3));
        assert_eq!((sum("robustness/typos"), sum("robustness/case")), ((Some(0.5), 2, 3), (Some(0.0), 1, 3)));
        assert_eq!(sum("robustness/injection"), (None, 0, 3));
        let of_last: Vec<_> = found.rows.iter().filter(|r| r.row == "r2").map(|r| (r.metric.as_str(), r.value)).collect();
        assert_eq!(of_last, [("robustness", None), ("robustness/case", None), ("robustness/typos", None)]);
        let answers = HashMap::new();
        let known = Known { rows: &rows(3), answers: &answers, scores: &[] };
        let tried = tried(Suite::Robustness, &trials, &known);
        let case = tried.iter().find(|t| t.relation == "case").expect("one");
        assert_eq!(
            (case.n, case.holds, case.unchecked.as_slice()),
            (1, 0, &[Unchecked { reason: "no letters".into(), rows: 2 }][..])
        );
    }

    fn answer(text: &str, ids: &[&str]) -> Answer {
        let context_ids = ids.iter().map(|i| (*i).to_owned()).collect();
        Answer { answer: Some(text.into()), context_ids, ..Answer::default() }
    }

    /// scipy 1.17.1: `ttest_rel` of the lengths below gives t = 3.44988 and this chance on 6 degrees of freedom.
    const P_VALUE: f64 = 0.013_635_071_373_793_037;

    #[test]
    fn a_swap_that_changes_answers_is_tested_in_one_direction() {
        let rows = rows(7);
        let lengths = [(5, 9), (6, 8), (7, 7), (5, 12), (8, 9), (6, 11), (7, 10)];
        let mut answers = HashMap::new();
        let mut trials = Vec::new();
        for (i, (few, many)) in lengths.iter().enumerate() {
            let (few, many) = (answer(&"word ".repeat(*few), &["a", "b"]), answer(&"word ".repeat(*many), &["b", "c"]));
            // Every other row is asked the other way round, and the difference stays what it is.
            let second = i % 2 == 0;
            let (before, after) = if second { (few, many) } else { (many, few) };
            answers.insert(format!("r{i}"), before);
            answers.insert(format!("r{i}~"), after);
            let side = Some(if second { Side::Second } else { Side::First });
            trials.push(Trial { side, ..trial(i, "gender", Outcome::Holds) });
        }
        let known = Known { rows: &rows, answers: &answers, scores: &[] };
        let found = differences(&trials, &known);
        let words = found.iter().find(|d| d.outcome == "words").expect("a test");
        assert_eq!((words.n, words.test, words.between), (7, "paired-t", "women minus men"));
        assert!((words.difference - 22.0 / 7.0).abs() < 1e-12, "{words:?}");
        assert!((words.p_value - P_VALUE).abs() < 1e-9, "{words:?}");
        assert!((words.p_holm - 3.0 * words.p_value).abs() < 1e-12 && words.verdict == "differs", "{words:?}");
        let refusals = found.iter().find(|d| d.outcome == REFUSALS).expect("a test");
        assert_eq!((refusals.test, refusals.p_value, refusals.difference), ("mcnemar", 1.0, 0.0));
        let gender = tried(Suite::Bias, &trials, &known).into_iter().find(|t| t.relation == "gender").expect("one");
        assert_eq!(gender.ids_alike, Some((1.0 / 3.0, 7)));
    }

    #[test]
    fn a_drop_is_what_was_lost() {
        let score = |row: &str, value: f64| RowScore {
            pos: 0,
            row: row.into(),
            metric: "token-f1".into(),
            value: Some(value),
            reason: None,
        };
        let scores = [score("r0", 1.0), score("r0~", 0.25), score("r1", 0.5), score("r1~", 0.75)];
        let answers = HashMap::new();
        let known = Known { rows: &rows(2), answers: &answers, scores: &scores };
        let trials = [trial(0, "typos", Outcome::Holds), trial(1, "typos", Outcome::Holds)];
        let typos = tried(Suite::Robustness, &trials, &known).into_iter().find(|t| t.relation == "typos").expect("one");
        let drop = &typos.drops[0];
        assert_eq!((drop.n, drop.before, drop.after, drop.drop), (2, 0.75, 0.5, 0.25));
        assert!(drop.low.is_some_and(|l| l < 0.25) && drop.high.is_some_and(|h| h > 0.25));
    }
}
