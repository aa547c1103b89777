//! `kf eval --suite`: the version's system asked every row as it is and changed, and what is told of it.

use super::report::{number, range};
use super::{Answers, Args, Live, Whose, live};
use crate::base::error::{Error, Result};
use crate::base::exit::Exit;
use crate::base::table::Table;
use crate::base::text::{count, ellipsis};
use crate::cli::cx::Cx;
use crate::cli::progress;
use crate::cli::report::Block;
use crate::domain::eval::metrics::MetricId;
use crate::domain::eval::record;
use crate::domain::eval::score::Scores;
use crate::domain::eval::suite::Suite;
use crate::domain::eval::suite::sum::{Broken, Difference, Tried};
use crate::release::evaluate::{self, Loaded};
use crate::release::gates::{FROM_CACHE, Reading};
use crate::release::suite::{Found, Setup, run};
use serde::Serialize;

/// The metrics whose drop is told unless `--metric` names others: of the answer, of declining, of what was retrieved.
const METRICS: [MetricId; 3] = [MetricId::TokenF1, MetricId::RefusalCorrect, MetricId::RecallAtK];

/// Trials in which a relation broke that a table shows.
const BROKEN_SHOWN: usize = 10;

/// How a version was tried.
#[derive(Serialize)]
pub(super) struct SuiteDoc {
    name: Suite,
    seed: u64,
    /// Rows that were asked as they are.
    rows: usize,
    /// Changed questions that were asked.
    changed: usize,
    /// Answers that were given in an earlier run; their time and cost are those of then.
    kept: usize,
    /// Changed questions on which the system failed.
    failed: usize,
    /// What the answers cost, where they say so.
    cost_usd: Option<f64>,
    /// True when it ended at `--max-cost`.
    stopped: bool,
    relations: Vec<Tried>,
    /// What swaps changed; empty for robustness.
    differences: Vec<Difference>,
    broken: Vec<Broken>,
}

/// A suite that was run.
pub(super) struct Ran {
    pub(super) scores: Scores,
    doc: SuiteDoc,
}

impl Ran {
    /// Under which name the evaluation is kept: one that was stopped counts for no gate.
    pub(super) fn judge(&self, reading: &Reading) -> String {
        let stopped = if self.doc.stopped { record::STOPPED } else { "" };
        format!("{}{stopped}", reading.judge_of(&self.doc.name.judge(self.doc.seed)))
    }

    /// Why gates take no notice of it; `None` when they do. How much of a ranking counts is none of its business.
    pub(super) fn ignored(&self, reading: &Reading, configured: &Reading) -> Option<String> {
        let read = Reading { k: configured.k, ..reading.clone() }.ignored(configured);
        let seed =
            (self.doc.seed != 0).then(|| "gates take no notice of this evaluation: they go by suites of seed 0".to_owned());
        let all: Vec<String> = read.into_iter().chain(seed).collect();
        (!all.is_empty()).then(|| all.join("\n"))
    }

    pub(super) fn into_doc(self) -> SuiteDoc {
        self.doc
    }
}

/// Tries the version; the answers are those to the rows as they are.
pub(super) fn tried(
    cx: &Cx,
    args: &Args,
    suite: Suite,
    (whose, loaded): (&Whose<'_>, &Loaded),
    reading: &Reading,
) -> Result<(Answers, Option<Ran>)> {
    let config = cx.project()?;
    let (computed, judged) = evaluate::metrics_of(&args.metrics, &config.project.gates)?;
    if let Some(judged) = judged.first() {
        let error = Error::usage(format!("a model judges {judged}, and a suite asks no judge"));
        return Err(error.hint("name metrics that are computed, such as `--metric token-f1`"));
    }
    let wanted = if args.metrics.is_empty() { METRICS.to_vec() } else { computed };
    let setup =
        Setup { suite, seed: args.judging.seed, wanted: &wanted, k: reading.k, jobs: cx.jobs(), max_cost: args.judging.max_cost };
    let found = live(cx, args, (whose, loaded), &mut |system, (name, _)| {
        let bar = progress::things(&cx.out, "answering", 0);
        let found = run(system, loaded, &setup, &|turn| match turn {
            Some(questions) => bar.inc_length(questions),
            None => bar.inc(1),
        });
        bar.finish_and_clear();
        found.map(|found| (found, name))
    })?;
    let Some(Live { found: (found, system), ending, forecast }) = found else {
        return Err(Error::usage(format!("the suite {suite} asks changed questions, and answers are recorded here"))
            .hint("set `[system] kind = \"command\"`, \"http\" or \"builtin\" in mlops.toml"));
    };
    let Found { scores, answers, tried, differences, broken, asked, kept, failed, cost_usd, stopped } = found;
    let system = if kept > 0 { format!("{system}{FROM_CACHE}") } else { system };
    let doc = SuiteDoc {
        name: suite,
        seed: setup.seed,
        rows: asked.0,
        changed: asked.1,
        kept,
        failed,
        cost_usd,
        stopped,
        relations: tried,
        differences,
        broken,
    };
    let answers = Answers { samples: vec![answers], system, mapping: None, answering: None, ending, forecast };
    Ok((answers, Some(Ran { scores, doc })))
}

impl SuiteDoc {
    /// How asking ended: partly done when the system failed on a changed question, or it was stopped.
    pub(super) fn exit(&self) -> Exit {
        if self.stopped || self.failed > 0 { Exit::Partial } else { Exit::Ok }
    }

    /// What a person is told above the tables.
    pub(super) fn lines(&self) -> Vec<String> {
        let cost = self.cost_usd.map(|c| format!(", ${c:.4}")).unwrap_or_default();
        let (rows, changed) = (count(self.rows, "row"), count(self.changed, "changed question"));
        let mut lines = vec![format!("{}: {rows} as they are and {changed}, seed {}{cost}", self.name, self.seed)];
        if self.kept > 0 {
            lines.push(format!("{} from an earlier run", count(self.kept, "answer")));
        }
        if self.failed > 0 {
            lines.push(format!("the system failed on {}", count(self.failed, "changed question")));
        }
        if self.stopped {
            lines.push("it stopped at --max-cost: what was not asked is unscored".to_owned());
        }
        lines
    }

    pub(super) fn blocks(&self) -> Vec<Block> {
        [self.drops(), self.differences(), self.unchecked(), self.broken()].into_iter().flat_map(Block::filled).collect()
    }

    fn drops(&self) -> Table {
        let mut t = Table::new(&["relation", "metric", ">as it is", ">changed", ">drop", "95 % interval", ">n"])
            .titled("what answers to changed questions lost, paired by row".to_owned());
        for tried in &self.relations {
            for d in &tried.drops {
                t.row([
                    tried.relation.to_owned(),
                    d.metric.clone(),
                    number(d.before),
                    number(d.after),
                    format!("{:+.4}", d.drop),
                    range(d.low, d.high),
                    d.n.to_string(),
                ]);
            }
            if let Some((alike, n)) = tried.ids_alike {
                let cells = ["retrieved ids in both", "", &number(alike), "", "", &n.to_string()].map(str::to_owned);
                t.row(std::iter::once(tried.relation.to_owned()).chain(cells));
            }
        }
        t
    }

    fn differences(&self) -> Table {
        let columns = ["swap", "outcome", ">first", ">second", ">difference", "95 % interval", ">n", ">p", ">holm", "verdict"];
        let mut t = Table::new(&columns).titled("what swaps changed, second minus first; p corrected for all of them".to_owned());
        for d in &self.differences {
            t.row([
                d.between.to_owned(),
                d.outcome.to_owned(),
                number(d.first),
                number(d.second),
                format!("{:+.4}", d.difference),
                range(d.low, d.high),
                d.n.to_string(),
                number(d.p_value),
                number(d.p_holm),
                d.verdict.to_owned(),
            ]);
        }
        t
    }

    fn unchecked(&self) -> Table {
        let mut t = Table::new(&["relation", ">rows", "why"]).titled("not checked".to_owned());
        for tried in &self.relations {
            for u in &tried.unchecked {
                t.row([tried.relation.to_owned(), u.rows.to_string(), ellipsis(&u.reason, 100)]);
            }
        }
        t
    }

    fn broken(&self) -> Table {
        let shown = match self.broken.len() {
            n if n > BROKEN_SHOWN => format!("broken, {BROKEN_SHOWN} of {n} (`--format json` has all, with the answers)"),
            _ => "broken".to_owned(),
        };
        let mut t = Table::new(&["relation", "row", "why", "asked"]).titled(shown);
        for b in self.broken.iter().take(BROKEN_SHOWN) {
            t.row([b.relation.to_owned(), b.row.clone(), b.why.clone(), ellipsis(b.question.trim(), 60)]);
        }
        t
    }
}
