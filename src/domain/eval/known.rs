//! What is to be known of a metric by its name, whoever computes it.

use super::judged::{self, registry};
use super::metrics::{self, Direction};
use super::suite;

/// A metric that has scores of rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Known {
    /// Which way it improves.
    pub direction: Direction,
    /// The lowest and the highest score there is.
    pub range: (f64, f64),
    /// True when a language model judges it.
    pub judged: bool,
    /// True when an answer is right or wrong by it: each score is 0 or 1.
    pub right_or_wrong: bool,
}

impl Known {
    /// The largest difference that two scores can have.
    pub fn span(&self) -> f64 {
        self.range.1 - self.range.0
    }

    /// True when more is better.
    pub fn higher_is_better(&self) -> bool {
        self.direction == Direction::HigherIsBetter
    }
}

/// The metric of a name; `None` for budgets, which are no scores of rows.
pub fn known(name: &str) -> Option<Known> {
    if let Some(m) = metrics::find(name) {
        return Some(Known { direction: m.direction, range: m.range, judged: false, right_or_wrong: m.id.is_right_or_wrong() });
    }
    let graded = Known { direction: Direction::HigherIsBetter, range: registry::RANGE, judged: false, right_or_wrong: false };
    if suite::of_metric(name).is_some() {
        return Some(Known { range: (0.0, 1.0), ..graded });
    }
    judged::find(name).map(|m| Known { direction: m.direction, judged: true, ..graded })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_known() {
        assert_eq!(known("token-f1").map(|k| (k.judged, k.higher_is_better())), Some((false, true)));
        assert_eq!(known("hallucination").map(|k| (k.judged, k.higher_is_better())), Some((true, false)));
        assert_eq!(known("robustness/typos").map(|k| (k.judged, k.span())), Some((false, 1.0)));
        let right_or_wrong = |name: &str| known(name).map(|k| k.right_or_wrong);
        assert_eq!((right_or_wrong("exact-match"), right_or_wrong("token-f1")), (Some(true), Some(false)));
        assert_eq!((right_or_wrong("rubric"), right_or_wrong("robustness/typos")), (Some(false), Some(false)));
        assert_eq!((known("latency-p95"), known("robustness/typo")), (None, None));
    }
}
