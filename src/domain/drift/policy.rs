//! What numbers mean: the bands, the rule, and what a check must know before it says anything.
//!
//! The bands of the index and of accuracy and the flag are the specification's. What it does not say is decided here: a band counts
//! only where chance cannot have made it ([`Rule::Calibrated`]), [`Policy::default`]'s `alpha` is half of the one run in a hundred
//! that may be wrong, because far out the law of the index is up to a third too low for numbers and parts of a check beside the columns need
//! room too; and the bands of shares.

use crate::base::name::words;
use serde::{Deserialize, Serialize};

words! {
    /// What is said of a column, of a kind of drift, of a whole check. The first five are in order of weight.
    Status, "status" {
        /// Nothing moved that matters.
        Ok = "ok",
        /// It cannot be said with these data.
        Inconclusive = "inconclusive",
        /// It moved: keep looking.
        Monitor = "monitor",
        /// It moved far: act soon.
        Warning = "warning",
        /// It moved very far: act now.
        Critical = "critical",
        /// The column is in the current data only.
        New = "new",
        /// The column is in the reference only.
        Missing = "missing",
        /// The column holds another kind of values, vectors of another width or of another model.
        Retyped = "retyped",
        /// The column could not be read or compared.
        Error = "error",
    }
}

impl Status {
    /// Its weight in a sum, one of the first five: a new column is worth a look, one that is gone or of another kind stops the model,
    /// one that could not be compared says nothing.
    #[must_use]
    pub fn weight(self) -> Self {
        match self {
            Self::New => Self::Monitor,
            Self::Missing | Self::Retyped => Self::Critical,
            Self::Error => Self::Inconclusive,
            weight => weight,
        }
    }

    /// Whether it says that something moved.
    pub fn moved(self) -> bool {
        self.weight() >= Self::Monitor
    }

    /// The heaviest; `Inconclusive` of none at all.
    #[must_use]
    pub fn heaviest(of: impl IntoIterator<Item = Self>) -> Self {
        of.into_iter().map(Self::weight).max().unwrap_or(Self::Inconclusive)
    }
}

words! {
    /// How bands are applied.
    Rule, "rule" {
        /// A band counts only above what chance reaches once in a thousand, and if the family of tests says so too.
        Calibrated = "calibrated",
        /// The specification's numbers literally, whatever the number of rows.
        Spec = "spec",
    }
}

/// Where bands begin: `[0, monitor)` is ok, `[monitor, warning)` monitor, `[warning, critical]` warning, above critical.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bands {
    /// From here on it is watched.
    pub monitor: f64,
    /// From here on somebody acts soon.
    pub warning: f64,
    /// Above this somebody acts now.
    pub critical: f64,
}

impl Bands {
    /// The band of a value.
    pub fn of(&self, value: f64) -> Status {
        match value {
            v if v > self.critical => Status::Critical,
            v if v >= self.warning => Status::Warning,
            v if v >= self.monitor => Status::Monitor,
            _ => Status::Ok,
        }
    }
}

/// The policy of a check.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// How bands are applied.
    pub rule: Rule,
    /// Bands of the population stability index.
    pub psi: Bands,
    /// Above this index a column has drifted: at least a warning.
    pub psi_flag: f64,
    /// Above this divergence KL(current ‖ reference), in nats, likewise.
    pub kl_flag: f64,
    /// Bands of the accuracy lost, as a share: 0.02 is two points.
    pub accuracy: Bands,
    /// Bands of how far a share (of nulls, of levels never seen, …) moved.
    pub shares: Bands,
    /// The chance of saying drift of data without any, over all columns together.
    pub alpha: f64,
    /// With fewer rows that hold values on either side nothing is said.
    pub min_rows: u64,
    /// Holm's adjustment instead of Benjamini and Hochberg's: right whatever columns have to do with each other, and slower to see.
    pub strict: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            rule: Rule::Calibrated,
            psi: Bands { monitor: 0.1, warning: 0.2, critical: 0.3 },
            psi_flag: 0.2,
            kl_flag: 0.15,
            accuracy: Bands { monitor: 0.02, warning: 0.05, critical: 0.10 },
            shares: Bands { monitor: 0.01, warning: 0.05, critical: 0.20 },
            alpha: 0.005,
            min_rows: 30,
            strict: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// M2: monitor from 0.1, retrain within 48 hours from 0.2, now above 0.3.
    #[test]
    fn bands_begin_where_the_specification_says() {
        let bands = Policy::default().psi;
        let cases = [
            (0.0, Status::Ok),
            (0.1f64.next_down(), Status::Ok),
            (0.1, Status::Monitor),
            (0.2f64.next_down(), Status::Monitor),
            (0.2, Status::Warning),
            (0.3, Status::Warning),
            (0.3f64.next_up(), Status::Critical),
        ];
        for (value, want) in cases {
            assert_eq!(bands.of(value), want, "{value}");
        }
    }

    #[test]
    fn the_heaviest_counts_and_none_is_unknown() {
        use Status::{Critical, Error, Inconclusive, Missing, Monitor, New, Ok};
        assert_eq!(Status::heaviest([]), Inconclusive);
        assert_eq!(Status::heaviest([Ok, Ok]), Ok);
        assert_eq!(Status::heaviest([Ok, Error]), Inconclusive);
        assert_eq!(Status::heaviest([Ok, New, Inconclusive]), Monitor);
        assert_eq!(Status::heaviest([Monitor, Missing]), Critical);
    }
}
