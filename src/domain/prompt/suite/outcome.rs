//! What came of a suite: one cell for each case, prompt and provider, and their sums.

use super::assertion::Judged;
use crate::base::verdict::Verdict;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// How a cell ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// What must hold holds.
    Pass,
    /// Something does not hold.
    Fail,
    /// Nothing that was judged fails, and something could not be judged.
    Unscored,
    /// There is no answer.
    Error,
}

/// One case with one prompt and one provider.
#[derive(Clone, Debug, Serialize)]
pub struct Cell {
    /// The case.
    pub case: String,
    /// The prompt.
    pub prompt: String,
    /// The provider.
    pub provider: String,
    /// How it ended.
    pub end: End,
    /// The weighted mean of the scores; missing when nothing has one.
    pub score: Option<f64>,
    /// Why, for what did not pass.
    pub reason: Option<String>,
    /// The values.
    pub vars: Map<String, Value>,
    /// The answer.
    pub answer: Option<String>,
    /// In milliseconds.
    pub latency_ms: Option<f64>,
    /// In US dollars.
    pub cost_usd: Option<f64>,
    /// True when the answer was given in an earlier run: its time and its cost are those of then.
    pub kept: bool,
    /// What was held against it.
    pub assertions: Vec<Judged>,
}

/// Several assertions as one.
#[derive(Clone, Debug, PartialEq)]
pub struct Sum {
    /// Whether they hold.
    pub verdict: Verdict,
    /// The weighted mean of the scores that there are.
    pub score: Option<f64>,
    /// Which do not hold, or cannot be judged.
    pub reason: String,
}

/// Sums assertions up. Without a threshold each that counts must hold; with one their weighted mean must reach it, whatever those that are
/// unscored would be.
pub fn sum(all: &[Judged], threshold: Option<f64>) -> Sum {
    let counted: Vec<&Judged> = all.iter().filter(|j| j.weight > 0.0).collect();
    let weight: f64 = counted.iter().map(|j| j.weight).sum();
    let known: f64 = counted.iter().filter(|j| j.score.is_some()).map(|j| j.weight).sum();
    let reached: f64 = counted.iter().map(|j| j.weight * j.score.unwrap_or(0.0)).sum();
    let score = (known > 0.0).then(|| reached / known);
    let verdict = match threshold {
        _ if weight == 0.0 => Verdict::Pass,
        None => Verdict::all(counted.iter().map(|j| j.verdict)),
        // A hair below a mean that is reached exactly is rounding.
        Some(least) if reached / weight >= least - 1e-12 => Verdict::Pass,
        Some(least) if (reached + weight - known) / weight < least - 1e-12 => Verdict::Fail,
        Some(_) => Verdict::Inconclusive,
    };
    let one = |j: &&&Judged| j.verdict == verdict;
    let mut lines: Vec<String> = counted.iter().filter(one).map(|j| format!("{}: {}", j.name, j.reason)).collect();
    if let (Some(least), Verdict::Fail) = (threshold, verdict) {
        let failing = counted.iter().filter(|j| j.verdict == Verdict::Fail).map(|j| format!("{}: {}", j.name, j.reason));
        let mean = crate::base::text::fixed(reached / weight, 3);
        lines = std::iter::once(format!("the mean is {mean}, below {least}")).chain(failing).collect();
    }
    let reason = if verdict == Verdict::Pass { String::new() } else { lines.join("; ") };
    Sum { verdict, score, reason }
}

/// The cells of one prompt and one provider in numbers.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Tally {
    /// The prompt.
    pub prompt: String,
    /// The provider.
    pub provider: String,
    /// How many passed.
    pub passed: usize,
    /// How many failed.
    pub failed: usize,
    /// How many could not be judged.
    pub unscored: usize,
    /// How many have no answer.
    pub errors: usize,
    /// The mean of the scores that there are.
    pub score: Option<f64>,
    /// How many have one.
    pub scored: usize,
    /// The sum of the costs that were stated, if any was.
    pub cost_usd: Option<f64>,
    /// The median of the latencies that are known.
    pub latency_ms: Option<f64>,
    /// Means of named figures, each with how many scores it is of.
    pub metrics: BTreeMap<String, Figure>,
}

/// The mean of a named figure.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Figure {
    /// The mean.
    pub mean: f64,
    /// Of so many scores.
    pub n: usize,
}

/// Tallies by prompt and provider, in the order in which they come.
pub fn tallies(cells: &[Cell]) -> Vec<Tally> {
    let mut all: Vec<(Tally, Vec<&Cell>)> = Vec::new();
    for cell in cells {
        let at = all.iter().position(|(t, _)| t.prompt == cell.prompt && t.provider == cell.provider).unwrap_or_else(|| {
            all.push((Tally { prompt: cell.prompt.clone(), provider: cell.provider.clone(), ..Tally::default() }, Vec::new()));
            all.len() - 1
        });
        let (tally, its) = &mut all[at];
        match cell.end {
            End::Pass => tally.passed += 1,
            End::Fail => tally.failed += 1,
            End::Unscored => tally.unscored += 1,
            End::Error => tally.errors += 1,
        }
        its.push(cell);
    }
    all.into_iter().map(|(tally, cells)| figures(tally, &cells)).collect()
}

fn figures(tally: Tally, cells: &[&Cell]) -> Tally {
    let scores: Vec<f64> = cells.iter().filter_map(|c| c.score).collect();
    let costs: Vec<f64> = cells.iter().filter_map(|c| c.cost_usd).collect();
    let mut latencies: Vec<f64> = cells.iter().filter_map(|c| c.latency_ms).collect();
    latencies.sort_by(f64::total_cmp);
    let mut metrics: BTreeMap<String, Figure> = BTreeMap::new();
    for judged in cells.iter().flat_map(|c| &c.assertions) {
        if let (Some(metric), Some(score)) = (&judged.metric, judged.score) {
            let figure = metrics.entry(metric.clone()).or_default();
            figure.n += 1;
            figure.mean += (score - figure.mean) / figure.n as f64;
        }
    }
    let middle = |v: &[f64]| (!v.is_empty()).then(|| (v[(v.len() - 1) / 2] + v[v.len() / 2]) / 2.0);
    Tally {
        score: (!scores.is_empty()).then(|| scores.iter().sum::<f64>() / scores.len() as f64),
        scored: scores.len(),
        cost_usd: (!costs.is_empty()).then(|| costs.iter().sum()),
        latency_ms: middle(&latencies),
        metrics,
        ..tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(verdict: Verdict, score: Option<f64>, weight: f64) -> Judged {
        Judged { name: "x".into(), metric: Some("m".into()), weight, verdict, score, reason: "why".into() }
    }

    #[test]
    fn sums_are_three_valued() {
        use Verdict::{Fail, Inconclusive, Pass};
        let (pass, fail, open) = (judged(Pass, Some(1.0), 1.0), judged(Fail, Some(0.0), 1.0), judged(Inconclusive, None, 1.0));
        let check = |all: &[&Judged], threshold: Option<f64>, verdict: Verdict| {
            let all: Vec<Judged> = all.iter().map(|j| (*j).clone()).collect();
            assert_eq!(sum(&all, threshold).verdict, verdict, "{all:?} {threshold:?}");
        };
        check(&[], None, Pass);
        check(&[&pass, &fail], None, Fail);
        check(&[&pass, &open], None, Inconclusive);
        check(&[&fail, &open], None, Fail);
        check(&[&pass, &fail], Some(0.5), Pass);
        check(&[&pass, &fail], Some(0.6), Fail);
        check(&[&pass, &open], Some(0.5), Pass);
        check(&[&pass, &open], Some(0.6), Inconclusive);
        check(&[&fail, &open], Some(0.6), Fail);
        check(&[&judged(Fail, Some(0.0), 0.0), &pass], None, Pass);
        check(&[&judged(Fail, Some(0.0), 0.0)], Some(1.0), Pass);
        assert_eq!(sum(&[pass.clone(), fail.clone(), open], None).score, Some(0.5), "what is unscored is in no mean");
        assert_eq!(sum(&[pass, fail], Some(0.6)).reason, "the mean is 0.500, below 0.6; x: why");
    }

    #[test]
    fn tallies_are_by_prompt_and_provider() {
        let cell = |prompt: &str, end: End, score: Option<f64>, ms: Option<f64>| Cell {
            case: "c".into(),
            prompt: prompt.into(),
            provider: "echo".into(),
            end,
            score,
            reason: None,
            vars: Map::new(),
            answer: None,
            latency_ms: ms,
            cost_usd: None,
            kept: false,
            assertions: vec![judged(Verdict::Pass, score, 1.0)],
        };
        let cells = [
            cell("a", End::Pass, Some(1.0), Some(10.0)),
            cell("b", End::Error, None, None),
            cell("a", End::Fail, Some(0.5), Some(30.0)),
        ];
        let all = tallies(&cells);
        assert_eq!(all.len(), 2);
        assert_eq!(
            (all[0].passed, all[0].failed, all[0].score, all[0].latency_ms, all[0].cost_usd),
            (1, 1, Some(0.75), Some(20.0), None)
        );
        assert_eq!((all[0].metrics["m"].n, all[0].metrics["m"].mean), (2, 0.75));
        assert_eq!((all[1].errors, all[1].score, all[1].metrics.len()), (1, None, 0));
    }
}
