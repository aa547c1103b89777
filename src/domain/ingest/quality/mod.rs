//! Whether a document is good enough to be searched: six checks, each with what it measured, its limit and a reason.
//!
//! The score is the share of the six that did not fail: one failure leaves 0.83, two leave 0.67 and a warning. A check that
//! could not be made (too little prose for a formula) takes nothing away and says what is missing. Too little text, lost
//! bytes and an exact copy refuse the document; the rest only lowers the score, unless the tenant's rules make it strict.
//!
//! Invariants:
//! - The same document, rules and answer about copies give the same result, on any number of threads.
//! - No reason holds text of the document, and no finding of personal data holds its value.
//! - Time is linear in the text; memory beyond the document is bounded by the samples, the signature and the findings.

pub mod duplicate;
pub mod encoding;
mod judge;
pub mod language;
pub mod pii;
mod prose;
pub mod readability;
mod syllables;

use crate::base::verdict::Verdict;
use crate::domain::ingest::document::Document;
use crate::domain::ingest::reason::{Refusal, Refused};
use std::collections::{BTreeMap, BTreeSet};

/// One of the six checks of requirement D2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CheckId {
    /// Enough characters.
    Length,
    /// An accepted language.
    Language,
    /// Characters that are whole.
    Encoding,
    /// Readable sentences.
    Readability,
    /// No copy of another document.
    Unique,
    /// No excess of personal data.
    Pii,
}

impl CheckId {
    /// The six, in the order of reports.
    pub const ALL: &'static [Self] = &[Self::Length, Self::Language, Self::Encoding, Self::Readability, Self::Unique, Self::Pii];

    /// The stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::Language => "language",
            Self::Encoding => "encoding",
            Self::Readability => "readability",
            Self::Unique => "unique",
            Self::Pii => "pii",
        }
    }

    /// The check of a word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|id| id.word() == word)
    }
}

/// What a document must be like. The defaults are those of requirement D2.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// A document needs more characters than this, white space not counted. Default 100.
    pub min_chars: usize,
    /// Languages that are taken, as two letters (ISO 639-1). Default `de en es fr`. Empty takes any.
    pub languages: BTreeSet<String>,
    /// The share of characters, 0 to 1, that may be lost, and the share that may be garbled. Default 0.01.
    pub max_damage: f64,
    /// Flesch reading ease that a text must exceed. Default 30.
    pub min_flesch: f64,
    /// Reading ease for single languages, instead of `min_flesch`: the scales of the formulas differ. Default none.
    pub min_flesch_of: BTreeMap<String, f64>,
    /// Jaccard index from which on a document is a near copy, 0 to 1. Default 0.8.
    pub near_duplicate: f64,
    /// Weight of personal data (see [`pii::excess`]) from which on it is too much. Default 3.
    pub max_pii: f64,
    /// The score below which a document is warned of, 0 to 1. Default 0.7.
    pub warn_below: f64,
    /// Checks whose failure refuses the document, besides lost bytes and exact copies, which always do. Default `length`.
    pub strict: BTreeSet<CheckId>,
    /// The score below which a document is refused, 0 to 1. Default 0: none is.
    pub min_score: f64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            min_chars: 100,
            languages: ["de", "en", "es", "fr"].map(str::to_owned).into(),
            max_damage: 0.01,
            min_flesch: 30.0,
            min_flesch_of: BTreeMap::new(),
            near_duplicate: 0.8,
            max_pii: 3.0,
            warn_below: 0.7,
            strict: [CheckId::Length].into(),
            min_score: 0.0,
        }
    }
}

/// What the caller found among the tenant's other documents, by [`duplicate`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Copies {
    /// There was nothing to compare with.
    NotCompared,
    /// The highest Jaccard index of another document, 0 to 1; 0 when none came near.
    Nearest(f64),
    /// Another document has the same text.
    Exact,
}

/// The answer of one check.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// Which one.
    pub id: CheckId,
    /// Pass, fail, or inconclusive when there is not enough to tell.
    pub verdict: Verdict,
    /// What was measured, in the unit of the limit; `None` when it could not be.
    pub value: Option<f64>,
    /// What it was compared with; `None` where the limit is a list.
    pub limit: Option<f64>,
    /// For a person: what was found, and for what is not a pass, why.
    pub reason: String,
}

/// The answer of all six checks.
#[derive(Clone, Debug, PartialEq)]
pub struct Quality {
    /// The six, in the order of [`CheckId::ALL`].
    pub checks: Vec<Check>,
    /// The share of the six that did not fail, 0 to 1.
    pub score: f64,
    /// The language found, as two letters, also when it is not accepted or uncertain.
    pub language: Option<&'static str>,
    /// Personal data, in the order of the text.
    pub findings: Vec<pii::Finding>,
    /// Why the document is refused, by these rules.
    pub refused: Option<Refused>,
    /// True when the score is below the line of warning.
    pub warning: bool,
    /// What was lost in decoding.
    damage: encoding::Damage,
}

impl Quality {
    /// The answer of one check.
    pub fn of(&self, id: CheckId) -> Option<&Check> {
        self.checks.iter().find(|check| check.id == id)
    }
}

/// Makes the six checks.
pub fn check(doc: &Document, rules: &Rules, copies: Copies) -> Quality {
    let damage = encoding::measure(doc);
    let language = language::detect(doc);
    let findings = pii::find(&doc.text);
    let checks = vec![
        judge::length(damage.characters, rules),
        judge::language(language, rules),
        judge::encoding(damage, rules),
        judge::readability(doc, language, rules),
        judge::unique(copies, rules),
        judge::personal(pii::excess(&doc.text, &findings), &findings, rules),
    ];
    let language = language.map(|l| l.code);
    let blank = Quality { checks, score: 0.0, language, findings, refused: None, warning: false, damage };
    blank.settled(copies, rules)
}

impl Quality {
    /// The same document with another answer about copies: what is measured once is judged again when others are known.
    #[must_use]
    pub fn with_copies(mut self, copies: Copies, rules: &Rules) -> Self {
        for check in self.checks.iter_mut().filter(|c| c.id == CheckId::Unique) {
            *check = judge::unique(copies, rules);
        }
        self.settled(copies, rules)
    }

    /// Score, refusal and warning from the checks.
    fn settled(mut self, copies: Copies, rules: &Rules) -> Self {
        let failed = self.checks.iter().filter(|c| c.verdict == Verdict::Fail).count();
        self.score = (self.checks.len() - failed) as f64 / self.checks.len() as f64;
        let lost = self.damage.lost_share() > rules.max_damage;
        self.refused = refusal(&self.checks, copies, lost, self.damage.characters == 0, rules)
            .or_else(|| (self.score < rules.min_score).then(|| Refused::new(Refusal::Quality, low_score(self.score, rules))));
        self.warning = self.score < rules.warn_below;
        self
    }
}

fn low_score(score: f64, rules: &Rules) -> String {
    format!("the score is {score:.2}, the limit is {:.2}", rules.min_score)
}

/// The first check that refuses the document.
fn refusal(checks: &[Check], copies: Copies, lost: bool, empty: bool, rules: &Rules) -> Option<Refused> {
    let failed = checks.iter().filter(|c| c.verdict == Verdict::Fail);
    let refuses = |c: &&Check| match c.id {
        CheckId::Encoding if lost => true,
        CheckId::Unique if copies == Copies::Exact => true,
        id => rules.strict.contains(&id),
    };
    failed.into_iter().find(refuses).map(|c| {
        let reason = match c.id {
            CheckId::Length if empty => Refusal::Empty,
            CheckId::Length => Refusal::TooShort,
            CheckId::Encoding => Refusal::BadEncoding,
            CheckId::Unique if copies == Copies::Exact => Refusal::Duplicate,
            _ => Refusal::Quality,
        };
        Refused::new(reason, c.reason.clone())
    })
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
