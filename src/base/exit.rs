//! How a command ends, and the numbers that scripts act on (`docs/exit-codes.md`).

use super::error::Kind;
use super::verdict::Verdict;

/// The outcome of a command that ran to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, verdict pass, or nothing to do.
    Ok,
    /// The operation failed.
    Failed,
    /// Kf says no: gate failed, drift, verification broken.
    No,
    /// Too little data, no evaluation yet, waiting for approval.
    Inconclusive,
    /// Some items of a batch failed, the rest is done.
    Partial,
}

impl Exit {
    /// The process exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::No => 3,
            Self::Inconclusive => 4,
            Self::Partial => 5,
        }
    }

    /// The word that reports and GitHub outputs use.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "pass",
            Self::Failed => "failed",
            Self::No => "fail",
            Self::Inconclusive => "inconclusive",
            Self::Partial => "partial",
        }
    }

    /// Of several outcomes the strongest: 1, 3, 5, 4, 0.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let rank = |e: Self| match e {
            Self::Failed => 4,
            Self::No => 3,
            Self::Partial => 2,
            Self::Inconclusive => 1,
            Self::Ok => 0,
        };
        if rank(other) > rank(self) { other } else { self }
    }
}

impl From<Verdict> for Exit {
    fn from(v: Verdict) -> Self {
        match v {
            Verdict::Pass => Self::Ok,
            Verdict::Fail => Self::No,
            Verdict::Inconclusive => Self::Inconclusive,
        }
    }
}

/// The exit code of an error.
pub fn code_of(kind: Kind) -> u8 {
    match kind {
        Kind::Failed => 1,
        Kind::Usage => 2,
        Kind::Broken => 3,
        Kind::NoRepository => 10,
        Kind::Locked => 11,
        Kind::Bug => 101,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_of_several_wins() {
        assert_eq!(Exit::Inconclusive.and(Exit::Partial), Exit::Partial);
        assert_eq!(Exit::Partial.and(Exit::No), Exit::No);
        assert_eq!(Exit::No.and(Exit::Failed), Exit::Failed);
        assert_eq!(Exit::Ok.and(Exit::Ok).code(), 0);
    }
}
