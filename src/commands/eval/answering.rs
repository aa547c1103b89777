//! What of `kf eval` is about answers that somebody was asked for: how often, what is kept from before and from when.

use super::Args;
use crate::base::error::Result;
use crate::base::text::count;
use crate::base::time::Timestamp;
use crate::cli::cx::Cx;
use crate::cli::progress;
use crate::domain::eval::score::{COVERAGE, ERROR_RATE, Scores};
use crate::domain::golden::Answer;
use crate::release::answer::Builtin;
use crate::release::answer::forecast::Forecast;
use crate::release::evaluate::{self, Loaded, Round};
use crate::release::judging::Coming;
use crate::seams::answerer::Answerer;
use serde::Serialize;
use std::collections::{HashMap, HashSet};

/// How answers came that a system was asked for.
#[derive(Serialize)]
pub(super) struct AnsweringDoc {
    /// How often each question was asked.
    repeat: u32,
    /// Answers that the system was asked for now, failures included.
    asked: usize,
    /// Answers that were given in an earlier run; their time and cost are those of then.
    kept: usize,
    /// When the first of these was given, where that is known.
    since: Option<Timestamp>,
    /// When the last of them was given.
    until: Option<Timestamp>,
    /// Rows whose answers are not all the same.
    moved: usize,
    /// Rows without an answer because a dry run asks nobody.
    unasked: usize,
    /// True when something was not asked because of `--max-cost`.
    pub(super) stopped: bool,
}

/// What the model that writes answers will take, told before it is asked; `None` where there is none, or nobody may be asked.
pub(super) fn forecast(cx: &Cx, args: &Args, system: &Builtin<'_>, loaded: &Loaded, repeat: u32) -> Result<Option<Forecast>> {
    let Some(asking) = args.judging.asking(args.suite, repeat) else { return Ok(None) };
    let found = system.forecast(&loaded.golden.rows, asking)?;
    if let Some(found) = &found {
        cx.out.note(&found.estimate.to_string());
    }
    Ok(found)
}

/// The rows to which answers come that a dry run does not ask for.
pub(super) fn coming<'f>(cx: &Cx, forecast: Option<&'f Forecast>) -> Option<&'f Coming> {
    forecast.map(|f| &f.coming).filter(|_| cx.global.dry_run)
}

/// Leaves out how many rows failed where some were not asked: nobody has failed on these.
pub(super) fn leave_out_rates(scores: &mut Scores, unasked: usize) {
    if unasked > 0 {
        scores.sums.retain(|sum| ![COVERAGE, ERROR_RATE].contains(&sum.metric.as_str()));
    }
}

/// Takes out what is no failure because nobody was asked yet; gives how many rows lack an answer for it.
pub(super) fn leave_out(samples: &mut [HashMap<String, Answer>], coming: &Coming) -> usize {
    let mut left: HashSet<String> = HashSet::new();
    for answers in samples {
        answers.retain(|id, answer| {
            let out = answer.answer.is_none() && coming.contains_key(id);
            if out {
                left.insert(id.clone());
            }
            !out
        });
    }
    left.len()
}

/// Asks every question so often.
pub(super) fn rounds(cx: &Cx, system: &dyn Answerer, loaded: &Loaded, repeat: u32) -> Result<(Vec<Round>, AnsweringDoc)> {
    let all = loaded.golden.rows.len() as u64 * u64::from(repeat);
    let bar = progress::things(&cx.out, "answering", all);
    let rounds: Vec<Round> =
        (0..repeat).map(|sample| evaluate::round(system, &loaded.golden.rows, sample, &|| bar.inc(1))).collect::<Result<_>>()?;
    bar.finish_and_clear();
    let kept: Vec<Option<Timestamp>> = rounds.iter().flat_map(|round| round.kept.iter().copied()).collect();
    let doc = AnsweringDoc {
        repeat,
        asked: rounds.iter().map(|round| round.answers.len()).sum::<usize>() - kept.len(),
        kept: kept.len(),
        since: kept.iter().flatten().min().copied(),
        until: kept.iter().flatten().max().copied(),
        moved: moved(&rounds),
        unasked: 0,
        stopped: false,
    };
    Ok((rounds, doc))
}

fn moved(rounds: &[Round]) -> usize {
    let Some((first, others)) = rounds.split_first() else { return 0 };
    let text = |round: &Round, id: &str| round.answers.get(id).and_then(|a| a.answer.clone());
    first.answers.keys().filter(|id| others.iter().any(|round| text(round, id) != text(first, id))).count()
}

/// One answer to each row for reports that show one: the first that came, else why none did.
pub(super) fn shown(samples: &[HashMap<String, Answer>]) -> HashMap<String, Answer> {
    let mut all = HashMap::new();
    for (id, answer) in samples.iter().flatten() {
        let known: Option<&Answer> = all.get(id);
        if known.is_none_or(|known| known.answer.is_none() && answer.answer.is_some()) {
            all.insert(id.clone(), answer.clone());
        }
    }
    all
}

/// That rows have no answer because a dry run asks nobody, for a person.
pub(super) fn without(rows: usize) -> String {
    format!("{} without an answer, because a dry run asks nobody: no gate is judged by the others alone", count(rows, "row"))
}

impl AnsweringDoc {
    /// True when not everything was asked for now.
    pub(super) fn has_kept(&self) -> bool {
        self.kept > 0
    }

    /// Notes how many rows have no answer because a dry run asks nobody.
    pub(super) fn leave(&mut self, rows: usize) {
        self.unasked = rows;
        if rows > 0 {
            self.asked = 0;
        }
    }

    /// What a person is told above the table.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.kept > 0 {
            let when = match self.since.zip(self.until) {
                None => "at a time that nobody wrote down".to_owned(),
                Some((since, until)) if since == until => since.to_string(),
                Some((since, until)) => format!("{since} to {until}"),
            };
            lines.push(format!("{} of {} from the cache, given {when}", self.kept, count(self.kept + self.asked, "answer")));
        }
        if self.repeat > 1 {
            let differ = format!("{} answered differently from one time to the next", count(self.moved, "row"));
            lines.push(format!("each question was asked {} times; {differ}", self.repeat));
        }
        if self.unasked > 0 {
            lines.push(without(self.unasked));
        }
        if self.stopped {
            lines.push(
                "the model stopped at --max-cost: what it was not asked has no answer, and the evaluation counts for no gate"
                    .to_owned(),
            );
        }
        lines
    }
}
