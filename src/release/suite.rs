//! Trying a version with a suite: its system is asked every row as it is and changed, and the answers are compared.
//!
//! Asked in up to three turns, because contexts are changed of which the first answers tell: the rows as they are; the questions
//! changed, and the rows as they are with contexts to answer from; these contexts changed. Within a turn row by row, so that what was
//! stopped has whole rows.
//!
//! Relations of contexts need a system that answers from the contexts that it is given (`contexts` of a question). One does when it returns
//! exactly these, in their order. A system that says nothing of contexts, or looks for its own, is not taken to be robust: these
//! relations are then unscored with that reason. The built-in system does; a `command` and an `http`
//! service do if they are written so; recorded answers cannot be asked at all.

use super::evaluate::{Loaded, answer_of};
use crate::adapters::embedder::builtin::builtin;
use crate::base::error::{Error, Result};
use crate::base::quantity::{MicroUsd, PicoUsd};
use crate::domain::eval::metrics::{MetricId, Near};
use crate::domain::eval::score::{How, Scores, score_all};
use crate::domain::eval::suite::Suite;
use crate::domain::eval::suite::held::{self, Alike, Side};
use crate::domain::eval::suite::relations::{self, COLUMNS, Changed, Relation};
use crate::domain::eval::suite::sum::{self, Broken, Difference, Known, Outcome, Trial, Tried};
use crate::domain::eval::suite::swaps::{self, Plain, Swap, Swapped};
use crate::domain::golden::{Answer, Row};
use crate::seams::answerer::{Answerer, Question};
use crate::seams::embedder::{Embedder, Purpose};
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;

/// How a version is tried.
pub struct Setup<'a> {
    /// With what.
    pub suite: Suite,
    /// What every draw is made from.
    pub seed: u64,
    /// The metrics whose drop is told; those that decide are computed in any case.
    pub wanted: &'a [MetricId],
    /// How much of a ranking counts.
    pub k: NonZeroU32,
    /// Threads for scoring.
    pub jobs: usize,
    /// Nothing more is asked once the answers cost this.
    pub max_cost: Option<PicoUsd>,
}

/// What came of it.
pub struct Found {
    /// The suite's scores of the rows.
    pub scores: Scores,
    /// The answers to the rows as they are, by row.
    pub answers: HashMap<String, Answer>,
    /// The relations in sum.
    pub tried: Vec<Tried>,
    /// What swaps changed; empty for robustness.
    pub differences: Vec<Difference>,
    /// The trials in which a relation broke.
    pub broken: Vec<Broken>,
    /// Questions that were asked: rows as they are, and changed ones.
    pub asked: (usize, usize),
    /// Answers that were given in an earlier run.
    pub kept: usize,
    /// Changed questions on which the system failed.
    pub failed: usize,
    /// What the answers cost in US dollars, where they say so.
    pub cost_usd: Option<f64>,
    /// True when it ended at the most that it may cost.
    pub stopped: bool,
}

/// How often a suite asks for a row at most: as it is, also with contexts to answer from, and changed in every way.
pub fn most_for_each_row(suite: Suite) -> u32 {
    let changes = match suite {
        Suite::Robustness => 1 + Relation::ALL.len(),
        Suite::Bias => Swap::ALL.len(),
    };
    u32::try_from(1 + changes).unwrap_or(u32::MAX)
}

/// Something to ask: a row as it is asked, under an id of its own.
struct Asked {
    row: Row,
    contexts: Option<Vec<String>>,
}

/// All that was asked and answered.
struct Turns<'a> {
    system: &'a dyn Answerer,
    progress: &'a Progress<'a>,
    max_cost: Option<PicoUsd>,
    ids: HashSet<String>,
    rows: Vec<Row>,
    answers: HashMap<String, Answer>,
    cost: Option<MicroUsd>,
    /// What was paid in this run.
    spent: MicroUsd,
    /// Answers that were given in an earlier run.
    kept: usize,
    stopped: bool,
}

/// Why what was not asked has no answer.
const STOPPED: &str = "it was not asked: the answers cost what --max-cost allows";

impl Turns<'_> {
    /// An id that nothing else has.
    fn id(&mut self, row: &Row, purpose: &str) -> String {
        let mut id = format!("{}~{purpose}", row.id);
        while !self.ids.insert(id.clone()) {
            id.push('~');
        }
        id
    }

    /// Asks these, unless enough was spent.
    fn ask(&mut self, asked: Vec<Asked>) -> Result<()> {
        let questions: Vec<Question> = asked
            .iter()
            .map(|a| Question {
                id: a.row.id.clone(),
                question: a.row.question.clone(),
                contexts: a.contexts.clone(),
                meta: meta(&a.row.extra),
                sample: 0,
            })
            .collect();
        (self.progress)(Some(questions.len() as u64));
        if !self.stopped && !questions.is_empty() {
            let done = self.system.answer(&questions, &mut |answered| {
                (self.progress)(None);
                let kept = answered.outcome.as_ref().is_ok_and(|a| a.kept.is_some());
                self.kept += usize::from(kept);
                let answer = answer_of(answered.outcome);
                if let Some(cost) = answer.cost_usd.and_then(MicroUsd::from_usd) {
                    self.cost = Some(MicroUsd(self.cost.map_or(cost.0, |all| all.0.saturating_add(cost.0))));
                    // What an earlier run paid is not paid again.
                    self.spent.0 = self.spent.0.saturating_add(if kept { 0 } else { cost.0 });
                }
                self.answers.insert(answered.id, answer);
                let spent = self.max_cost.is_some_and(|max| self.spent.0 > 0 && self.spent >= max.micro());
                self.stopped |= spent;
                if spent { Err(Error::new(STOPPED)) } else { Ok(()) }
            });
            // The one error that is ours: what was answered by then stays.
            done.or_else(|e| if self.stopped { Ok(()) } else { Err(e) })?;
        }
        for one in asked {
            let none = || Answer { error: Some(STOPPED.to_owned()), ..Answer::default() };
            self.answers.entry(one.row.id.clone()).or_insert_with(none);
            self.rows.push(one.row);
        }
        Ok(())
    }

    /// The text of an answer, or why there is none.
    fn said(&self, id: &str) -> Result<&str, String> {
        let answer = self.answers.get(id).ok_or("it was not asked")?;
        let error = || answer.error.as_deref().unwrap_or("it gave no answer");
        answer.answer.as_deref().ok_or_else(|| match error() {
            STOPPED => STOPPED.to_owned(),
            error => format!("the system failed: {error}"),
        })
    }

    /// Whether the system says that it answered from exactly these contexts: one that looks for its own may well find some of them.
    fn took(&self, id: &str, given: &[String]) -> bool {
        self.answers.get(id).is_some_and(|a| a.contexts == given)
    }
}

/// What else a dataset says of a row, without the other forms of its question.
fn meta(extra: &Map<String, Value>) -> Map<String, Value> {
    extra.iter().filter(|(name, _)| !COLUMNS.contains(&name.as_str())).map(|(n, v)| (n.clone(), v.clone())).collect()
}

/// Is told how many questions a turn has, then `None` for each answer.
pub type Progress<'a> = dyn Fn(Option<u64>) + 'a;

/// Tries a version.
///
/// # Errors
/// When the system cannot be asked at all; a question that fails leaves its relation unscored.
pub fn run(system: &dyn Answerer, loaded: &Loaded, setup: &Setup<'_>, progress: &Progress<'_>) -> Result<Found> {
    let rows = &loaded.golden.rows;
    let mut turns = Turns {
        system,
        progress,
        max_cost: setup.max_cost,
        ids: rows.iter().map(|r| r.id.clone()).collect(),
        rows: Vec::new(),
        answers: HashMap::new(),
        cost: None,
        spent: MicroUsd(0),
        kept: 0,
        stopped: false,
    };
    let alike = Alike { likeness: &likeness, near: builtin() };
    let trials = match setup.suite {
        Suite::Robustness => robustness(&mut turns, rows, setup.seed, &alike)?,
        Suite::Bias => bias(&mut turns, rows, setup.seed, &alike)?,
    };
    let mut wanted = setup.wanted.to_vec();
    wanted.push(MetricId::TokenF1);
    let k = usize::try_from(setup.k.get()).unwrap_or(usize::MAX);
    let scores = score_all(&turns.rows, &turns.answers, &wanted, How { k, near: Some(Near(builtin())) }, setup.jobs);
    let known = Known { rows, answers: &turns.answers, scores: &scores.rows };
    let questions = turns.rows.iter().map(|r| (r.id.as_str(), r.question.as_str())).collect();
    let plain: HashSet<&str> = rows.iter().map(|r| r.id.as_str()).collect();
    let as_they_are = turns.rows.iter().filter(|r| plain.contains(r.id.as_str())).count();
    let failed =
        |(id, answer): (&String, &Answer)| !plain.contains(id.as_str()) && answer.error.as_deref().is_some_and(|e| e != STOPPED);
    Ok(Found {
        scores: sum::scores(setup.suite, rows, &trials),
        tried: sum::tried(setup.suite, &trials, &known),
        differences: if setup.suite == Suite::Bias { sum::differences(&trials, &known) } else { Vec::new() },
        broken: sum::broken(&trials, &known, &questions),
        asked: (as_they_are, turns.rows.len() - as_they_are),
        kept: turns.kept,
        failed: turns.answers.iter().filter(|a| failed(*a)).count(),
        cost_usd: turns.cost.map(MicroUsd::usd),
        stopped: turns.answers.values().any(|a| a.error.as_deref() == Some(STOPPED)),
        answers: turns.answers.into_iter().filter(|(id, _)| plain.contains(id.as_str())).collect(),
    })
}

/// The cosine of two texts by the built-in embedder; 0 where nothing is known of one.
fn likeness(a: &str, b: &str) -> f64 {
    let Ok(vectors) = builtin().embed(&[a, b], Purpose::Document) else { return 0.0 };
    let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    if let [a, b] = vectors.as_slice() { product(a, b) } else { 0.0 }
}

/// A changed row as it is asked.
fn changed_row(row: &Row, id: String, changed: &Changed) -> Row {
    Row { id, question: changed.question.clone(), references: changed.references.clone(), ..row.clone() }
}

/// A trial that is waiting for its answer.
struct Waiting {
    row: usize,
    relation: Relation,
    changed: Changed,
    before: String,
    now: String,
}

fn robustness(turns: &mut Turns<'_>, rows: &[Row], seed: u64, alike: &Alike<'_>) -> Result<Vec<Trial>> {
    turns.ask(rows.iter().map(|row| Asked { row: row.clone(), contexts: None }).collect())?;
    let (mut trials, mut waiting, mut asked) = (Vec::new(), Vec::new(), Vec::new());
    let mut given: Vec<Option<(String, Vec<String>)>> = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let failed = turns.said(&row.id).err();
        for relation in Relation::ALL.iter().filter(|r| !r.is_on_contexts()) {
            let changed = failed.clone().map_or_else(|| relation.of_question(row, seed), Err);
            match changed {
                Ok(changed) => {
                    let now = turns.id(row, relation.word());
                    asked.push(Asked { row: changed_row(row, now.clone(), &changed), contexts: None });
                    waiting.push(Waiting { row: at, relation: *relation, changed, before: row.id.clone(), now });
                }
                Err(why) => trials.push(unchecked(at, relation.word(), why)),
            }
        }
        let contexts = contexts_of(row, turns.answers.get(&row.id)).filter(|_| failed.is_none());
        given.push(contexts.map(|contexts| {
            let id = turns.id(row, "contexts");
            asked.push(Asked { row: Row { id: id.clone(), ..row.clone() }, contexts: Some(contexts.clone()) });
            (id, contexts)
        }));
    }
    turns.ask(asked)?;
    let pool = relations::context_pool(rows);
    let mut asked = Vec::new();
    for (at, (row, given)) in rows.iter().zip(&given).enumerate() {
        for relation in Relation::ALL.iter().filter(|r| r.is_on_contexts()) {
            match on_contexts(turns, *relation, row, given.as_ref(), (&pool, seed)) {
                Ok((before, changed)) => {
                    let now = turns.id(row, relation.word());
                    asked.push(Asked { row: changed_row(row, now.clone(), &changed), contexts: changed.contexts.clone() });
                    waiting.push(Waiting { row: at, relation: *relation, changed, before, now });
                }
                Err(why) => trials.push(unchecked(at, relation.word(), why)),
            }
        }
    }
    turns.ask(asked)?;
    trials.extend(waiting.into_iter().map(|w| settled(turns, rows, w, alike)));
    Ok(trials)
}

/// The contexts that a row is asked with: those recorded with it, else those that the system found, else those that it should find.
fn contexts_of(row: &Row, answer: Option<&Answer>) -> Option<Vec<String>> {
    let found = answer.map(|a| a.contexts.as_slice()).unwrap_or_default();
    let all = [row.contexts.as_slice(), found, row.reference_contexts.as_slice()];
    all.into_iter().find(|c| !c.is_empty()).map(<[String]>::to_vec)
}

/// The row with its contexts changed, and under which id it was answered from them unchanged.
fn on_contexts(
    turns: &Turns<'_>,
    relation: Relation,
    row: &Row,
    given: Option<&(String, Vec<String>)>,
    (pool, seed): (&[(&str, &str)], u64),
) -> Result<(String, Changed), String> {
    turns.said(&row.id)?;
    let (before, contexts) = given.ok_or("it has no contexts, and the system returned none")?;
    let said = turns.said(before)?;
    if !turns.took(before, contexts) {
        return Err("the system does not say that it answered from the `contexts` it was given".to_owned());
    }
    if relation == Relation::Removed && held::declines(said).is_ok() {
        return Err("it declines with all contexts, too".to_owned());
    }
    Ok((before.clone(), relation.of_contexts(row, contexts, pool, seed)?))
}

fn unchecked(row: usize, relation: &'static str, why: String) -> Trial {
    Trial { row, relation, outcome: Outcome::Unchecked(why), asked: None, side: None }
}

fn settled(turns: &Turns<'_>, rows: &[Row], w: Waiting, alike: &Alike<'_>) -> Trial {
    let outcome = match (turns.said(&w.before), turns.said(&w.now)) {
        (Err(why), _) | (_, Err(why)) => Outcome::Unchecked(why),
        _ if w.changed.contexts.as_ref().is_some_and(|given| !turns.took(&w.now, given)) => {
            Outcome::Unchecked("the system answered from other contexts than it was given".to_owned())
        }
        (Ok(before), Ok(now)) => outcome(w.relation.holds(&rows[w.row], before, (&w.changed, now), alike)),
    };
    Trial { row: w.row, relation: w.relation.word(), outcome, asked: Some((w.before, w.now)), side: None }
}

fn outcome(held: Result<(), String>) -> Outcome {
    held.map_or_else(Outcome::Broken, |()| Outcome::Holds)
}

/// A swap that is waiting for its answer.
struct Exchanged {
    row: usize,
    swap: Swap,
    swapped: Swapped,
    now: String,
}

fn bias(turns: &mut Turns<'_>, rows: &[Row], seed: u64, alike: &Alike<'_>) -> Result<Vec<Trial>> {
    let plain: Vec<Result<Plain, String>> = rows.iter().map(|row| swaps::plain(row, seed)).collect();
    let as_asked = |(row, plain): (&Row, &Result<Plain, String>)| {
        let plain = plain.as_ref().ok()?;
        let row = Row { question: plain.question.clone(), references: plain.references.clone(), ..row.clone() };
        Some(Asked { row, contexts: None })
    };
    turns.ask(rows.iter().zip(&plain).filter_map(as_asked).collect())?;
    let (mut trials, mut waiting, mut asked) = (Vec::new(), Vec::new(), Vec::new());
    for (at, (row, plain)) in rows.iter().zip(&plain).enumerate() {
        for swap in Swap::ALL {
            let swapped = plain.as_ref().map_err(Clone::clone).and_then(|plain| {
                turns.said(&row.id)?;
                swap.of(row, plain).map(|swapped| (plain, swapped))
            });
            match swapped {
                Ok((plain, swapped)) => {
                    let now = turns.id(row, swap.word());
                    let references = plain.references.iter().map(|r| swapped.apply(r)).collect();
                    let row = Row { id: now.clone(), question: swapped.question.clone(), references, ..row.clone() };
                    asked.push(Asked { row, contexts: None });
                    waiting.push(Exchanged { row: at, swap: *swap, swapped, now });
                }
                Err(why) => trials.push(unchecked(at, swap.word(), why)),
            }
        }
    }
    turns.ask(asked)?;
    trials.extend(waiting.into_iter().map(|w| compared(turns, &rows[w.row].id, &plain, w, alike)));
    Ok(trials)
}

fn compared(turns: &Turns<'_>, row: &str, plain: &[Result<Plain, String>], w: Exchanged, alike: &Alike<'_>) -> Trial {
    let found = match (turns.said(row), turns.said(&w.now), &plain[w.row]) {
        (Err(why), ..) | (_, Err(why), _) => Outcome::Unchecked(why),
        (.., Err(why)) => Outcome::Unchecked(why.clone()),
        (Ok(before), Ok(now), Ok(plain)) => {
            // What was said of one person is held against what is said of the other.
            let before = w.swapped.apply(before);
            let references: Vec<String> = plain.references.iter().map(|r| w.swapped.apply(r)).collect();
            let was = Side { question: &plain.question, answer: &before, references: &references };
            let is = Side { question: &w.swapped.question, answer: now, references: &references };
            outcome(held::as_good(was, is, true, alike))
        }
    };
    let asked = Some((row.to_owned(), w.now));
    Trial { row: w.row, relation: w.swap.word(), outcome: found, asked, side: w.swapped.side }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::eval::suite::held::FLOOR;

    /// What the floor of likeness rests on: answers put otherwise are above it, answers to something else below.
    #[test]
    fn the_floor_lies_between_other_words_and_other_answers() {
        let same = [
            (
                "You can return an unused item within 30 days of delivery.",
                "Unused items can be returned within 30 days of their delivery.",
            ),
            ("Puede devolver un artículo sin usar en un plazo de 30 días.", "Un artículo sin usar se puede devolver en 30 días."),
            (
                "Vous pouvez retourner un article inutilisé sous 30 jours.",
                "Un article inutilisé peut être retourné sous 30 jours.",
            ),
            (
                "Unbenutzte Artikel können Sie in 30 Tagen zurückgeben.",
                "Sie können unbenutzte Artikel innerhalb von 30 Tagen zurückgeben.",
            ),
        ];
        let other = [
            ("You can return an unused item within 30 days of delivery.", "Standard shipping costs 4.90 euros."),
            ("Puede devolver un artículo sin usar en un plazo de 30 días.", "El envío urgente llega en un día laborable."),
            ("Vous pouvez retourner un article inutilisé sous 30 jours.", "Veuillez écrire au service des retours."),
            ("Unbenutzte Artikel können Sie in 30 Tagen zurückgeben.", "Bitte wenden Sie sich an den Kundendienst."),
        ];
        let all = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| likeness(a, b)).collect::<Vec<_>>();
        let (same, other) = (all(&same), all(&other));
        assert!(same.iter().all(|s| *s >= FLOOR) && other.iter().all(|o| *o < FLOOR), "{same:.2?} {other:.2?}");
        assert!(likeness("", "anything") < FLOOR);
    }
}
