//! The search: successive halving on the rows that it may look at (Jamieson and Talwalkar 2016).
//!
//! All variants answer the same few rows, drawn by the seed; the better half goes on with twice as many, until all rows are answered by
//! what is left. At most [`FINALISTS`] that are better than the parent there go on to the rows that decide. The gains that are seen here
//! are those of the best of many on rows that chose them, so they are shown and decide nothing.

use super::lab::{Lab, Player};
use crate::base::error::{Error, Result};
use crate::base::name::words;
use crate::base::text::count;
use crate::domain::optimize::{Operator, Variant};
use crate::stats::rng::Rng;
use serde::Serialize;
use std::collections::{BTreeSet, HashMap};

/// Rows of the first round.
pub const FIRST: usize = 16;
/// Variants that go on to the rows that decide.
pub const FINALISTS: usize = 3;

words! {
    /// What became of a variant.
    Came, "outcome of a variant" {
        /// It went on to the rows that decide.
        Finalist = "finalist",
        /// Others were better, or the parent was.
        Beaten = "beaten",
        /// It answered as the parent does.
        Same = "same-answers",
        /// It has no score.
        Failed = "failed",
        /// The money was spent before.
        Stopped = "stopped",
    }
}

/// A variant that was tried.
#[derive(Clone, Debug, Serialize)]
pub struct Trial {
    /// What it is called.
    pub name: String,
    /// How it was made.
    pub operator: Operator,
    /// Rows that it answered.
    pub rows: usize,
    /// Its mean difference to the parent on them, positive when better; `None` when it has no score.
    pub gain: Option<f64>,
    /// What became of it.
    pub came: Came,
    /// Why it has no score.
    pub reason: Option<String>,
}

/// A variant on its way.
pub struct Runner {
    /// Its files and answers.
    pub player: Player,
    /// What it was made from, and how.
    pub trial: Trial,
    shows: BTreeSet<String>,
}

/// Tries variants on the rows at `dev`, which the parent has answered; gives all of them, the finalists first, the best of them first.
///
/// # Errors
/// When no variant can be tried.
pub fn search(
    lab: &Lab<'_>,
    parent: &mut Player,
    variants: Vec<Variant>,
    dev: &[usize],
    number: &str,
    seed: u64,
) -> Result<Vec<Runner>> {
    let mut dev = dev.to_vec();
    Rng::new(seed).draw(&mut dev, usize::MAX);
    let base = parent.target(lab, &dev)?;
    let (mut running, mut done): (Vec<Runner>, Vec<Runner>) = (Vec::new(), Vec::new());
    for (n, variant) in (1..).zip(variants) {
        let player = Player::new(variant.files, format!("{number}+{n}"))?;
        let trial =
            Trial { name: variant.name, operator: variant.operator, rows: 0, gain: None, came: Came::Beaten, reason: None };
        running.push(Runner { player, trial, shows: variant.shows });
    }
    let mut rows = if running.len() > FINALISTS { FIRST.min(dev.len()) } else { dev.len() };
    loop {
        for mut runner in std::mem::take(&mut running) {
            match lab.purse.is_empty() {
                true => runner.trial.came = Came::Stopped,
                false => runner.run(lab, (parent, &base), &dev[..rows]),
            }
            if runner.trial.came == Came::Beaten { running.push(runner) } else { done.push(runner) }
        }
        running.sort_by(|a, b| b.trial.gain.unwrap_or(f64::MIN).total_cmp(&a.trial.gain.unwrap_or(f64::MIN)));
        if rows == dev.len() {
            break;
        }
        done.extend(running.split_off(running.len().min(running.len().div_ceil(2).max(FINALISTS))));
        rows = (2 * rows).min(dev.len());
    }
    if !lab.purse.is_empty() {
        for runner in running.iter_mut().take(FINALISTS).filter(|r| r.trial.gain.is_some_and(|gain| gain > 0.0)) {
            runner.trial.came = Came::Finalist;
        }
    }
    running.extend(done);
    // One that cannot answer is its own fault; all of them are not.
    match running.iter().find_map(|r| r.trial.reason.as_ref()) {
        Some(why) if running.iter().all(|r| r.trial.came == Came::Failed) => {
            Err(Error::new(format!("none of {} can be tried: {why}", count(running.len(), "variant"))))
        }
        _ => Ok(running),
    }
}

impl Runner {
    fn run(&mut self, lab: &Lab<'_>, (parent, base): (&Player, &HashMap<usize, f64>), at: &[usize]) {
        let asked = self.player.ask(lab, at).and_then(|()| self.player.target(lab, at));
        let found = match asked {
            Ok(found) => found,
            Err(e) => {
                self.trial.came = Came::Failed;
                self.trial.reason = Some(e.chain().join(": "));
                return;
            }
        };
        self.trial.rows = at.len();
        if self.is_same(lab, parent, at) {
            self.trial.came = Came::Same;
            self.trial.gain = Some(0.0);
            return;
        }
        // A row that has no score any more counts as the worst there is: here it only costs the way on.
        let row = |i: &usize| {
            let before = base.get(i).filter(|_| !self.shows.contains(&lab.rows[*i].id))?;
            Some(found.get(i).copied().unwrap_or(0.0) - before)
        };
        let gains: Vec<f64> = at.iter().filter_map(row).collect();
        if found.is_empty() || gains.is_empty() {
            self.trial.came = Came::Failed;
            self.trial.reason = Some(self.why(lab, at));
            return;
        }
        self.trial.gain = Some(gains.iter().sum::<f64>() / gains.len() as f64);
    }

    /// True when every answer is the parent's.
    fn is_same(&self, lab: &Lab<'_>, parent: &Player, at: &[usize]) -> bool {
        at.iter().map(|i| lab.rows[*i].id.as_str()).all(|id| match (self.player.answers.get(id), parent.answers.get(id)) {
            (Some(a), Some(b)) => {
                (&a.answer, &a.contexts, &a.context_ids, &a.error) == (&b.answer, &b.contexts, &b.context_ids, &b.error)
            }
            _ => false,
        })
    }

    fn why(&self, lab: &Lab<'_>, at: &[usize]) -> String {
        let error = |i: &usize| self.player.answers.get(&lab.rows[*i].id).and_then(|a| a.error.clone());
        at.iter().find_map(error).unwrap_or_else(|| format!("no row has a score of {}", lab.target.word()))
    }
}
