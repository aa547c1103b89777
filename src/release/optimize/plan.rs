//! What a search takes at most, before anybody is asked.
//!
//! Questions and judgements are counted as the search goes when no variant drops out early. Tokens are rough: a passage is taken to be as
//! long as chunks may be, so the sum is rather too high. A judgement is taken to be as long as an answer.

use super::search::{FINALISTS, FIRST};
use crate::base::quantity::PicoUsd;
use crate::domain::eval::judged::{JudgedId, info};
use crate::release::judging::WRITTEN;
use crate::seams::answerer::Tokens;
use crate::seams::model::Model;
use serde::Serialize;

/// Tokens of a prompt of ours.
const PROMPT: u64 = 500;

/// What a search takes at most.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// Variants, proposed ones included.
    pub variants: usize,
    /// Questions that are answered.
    pub answers: u64,
    /// Requests to judges.
    pub judgements: u64,
    /// Requests for proposals.
    pub proposals: u64,
    /// What models cost, about, in US dollars; `None` when a price is not known.
    pub cost_usd: Option<PicoUsd>,
}

/// How much there is to do.
#[derive(Clone, Copy)]
pub struct Size<'a> {
    /// Variants.
    pub variants: usize,
    /// Rows that are searched on.
    pub dev: usize,
    /// Rows that decide.
    pub holdout: usize,
    /// All rows.
    pub rows: usize,
    /// Whether prompts are proposed.
    pub proposes: bool,
    /// The model that answers, where one does.
    pub writer: Option<&'a dyn Model>,
    /// The model that proposes.
    pub proposer: Option<&'a dyn Model>,
    /// Those that judge.
    pub judges: &'a [Box<dyn Model>],
    /// What is judged on the rows that are searched on.
    pub searched: &'a [JudgedId],
    /// What is judged on all others.
    pub judged: &'a [JudgedId],
    /// Tokens of the passages of a question.
    pub passages: u64,
}

/// Adds it up.
pub fn plan(size: Size<'_>) -> Plan {
    let searched = trials(size.variants, size.dev);
    let finalists = size.variants.min(FINALISTS);
    // The parent answers everything, finalists what decides, and the winner the rest.
    let decided = size.rows + finalists * size.holdout + (size.rows - size.dev - size.holdout) * usize::from(finalists > 0);
    let calls = |ids: &[JudgedId]| ids.iter().map(|id| u64::from(info(*id).calls)).sum::<u64>();
    // What decided is judged by all metrics at the end for the one that is kept.
    let judged =
        calls(size.searched) * searched as u64 + calls(size.judged) * (decided + size.dev * usize::from(finalists > 0)) as u64;
    let (answers, judgements) = ((searched + decided) as u64, judged * size.judges.len().max(1) as u64);
    let each = Tokens { input: Some(PROMPT + size.passages), output: Some(WRITTEN) };
    let sum = |model: &dyn Model, n: u64| {
        let tokens = Tokens { input: each.input.map(|t| t * n), output: each.output.map(|t| t * n) };
        model.cost(tokens)
    };
    let proposals = u64::from(size.proposes);
    let parts = [
        size.writer.map(|model| sum(model, answers)),
        size.proposer.filter(|_| size.proposes).map(|model| sum(model, proposals * PROPOSING)),
    ];
    let judges = size.judges.iter().map(|model| Some(sum(model.as_ref(), judged)));
    let cost_usd = parts.into_iter().chain(judges).flatten().try_fold(PicoUsd(0), |all, part| Some(all.and(part?)));
    Plan { variants: size.variants, answers, judgements, proposals, cost_usd }
}

/// A request for proposals is about as long as so many answers.
const PROPOSING: u64 = 20;

/// Questions that variants answer while they are searched through.
fn trials(variants: usize, dev: usize) -> usize {
    let (mut running, mut rows) = (variants, if variants > FINALISTS { FIRST.min(dev) } else { dev });
    let mut asked = running * rows;
    while rows < dev {
        running = running.min(running.div_ceil(2).max(FINALISTS));
        let next = (2 * rows).min(dev);
        asked += running * (next - rows);
        rows = next;
    }
    asked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_go_on_with_twice_as_many_rows() {
        // 16 variants on 16 rows, 8 on 16 more, 4 on 32 more, 3 on the last 36.
        assert_eq!(trials(16, 100), 16 * 16 + 8 * 16 + 4 * 32 + 3 * 36);
        assert_eq!((trials(3, 100), trials(0, 100), trials(9, 5)), (300, 0, 45));
    }

    #[test]
    fn what_is_not_priced_has_no_sum_and_nobody_costs_nothing() {
        let size = Size {
            variants: 2,
            dev: 10,
            holdout: 8,
            rows: 20,
            proposes: false,
            writer: None,
            proposer: None,
            judges: &[],
            searched: &[],
            judged: &[],
            passages: 100,
        };
        let found = plan(size);
        assert_eq!((found.answers, found.judgements, found.cost_usd), (20 + 20 + 16 + 2, 0, Some(PicoUsd(0))));
    }
}
