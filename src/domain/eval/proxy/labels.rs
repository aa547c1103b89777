//! How well scores tell answers that people labelled as supported from the others: areas under the curve, over all rows, against
//! contradictions alone, by language and by kind, each with its n and interval.
//!
//! Rows are those of `examples/proxy/pairs.jsonl`; the scores may be anybody's, a proxy's or a judge's. A row without score is
//! counted and takes no part. A third of the rows is held out by a hash of their ids: weights were never set on them.

use crate::base::name::words;
use crate::stats::auc;
use serde::Deserialize;
use std::collections::BTreeSet;

words! {
    /// What people say of an answer.
    Label, "label" {
        /// The contexts say so.
        Supported = "supported",
        /// The contexts say otherwise.
        Contradicted = "contradicted",
        /// The contexts do not say so.
        Unsupported = "unsupported",
    }
}

/// An answer with what people say of it.
#[derive(Clone, Debug, Deserialize)]
pub struct Labelled {
    /// Its id.
    pub id: String,
    /// The language, as a code of two letters.
    #[serde(default)]
    pub language: String,
    /// What was asked.
    #[serde(default)]
    pub question: String,
    /// What was retrieved.
    pub contexts: Vec<String>,
    /// What was answered.
    pub answer: String,
    /// What people say of it.
    pub label: Label,
    /// What is wrong with it, or how it was said in other words.
    #[serde(default)]
    pub kind: String,
}

impl Labelled {
    /// Whether the row is in the third that nothing was set on: FNV-1a of its id, divided by three, leaves nothing.
    pub fn is_held_out(&self) -> bool {
        let hash = self.id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
        hash.is_multiple_of(3)
    }
}

/// Reads labelled answers, one JSON object a line.
///
/// # Errors
/// The number of the line that is none, with the reason.
pub fn read(text: &str) -> Result<Vec<Labelled>, String> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(i, line)| serde_json::from_str(line).map_err(|e| format!("line {}: {e}", i + 1))).collect()
}

/// An area under the curve of some rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Area {
    /// Which rows.
    pub of: String,
    /// Supported rows with a score.
    pub supported: usize,
    /// Other rows with a score.
    pub others: usize,
    /// Rows without a score.
    pub unscored: usize,
    /// The chance that a supported row has more than another, with its 95 % interval; `None` when a side is empty.
    pub area: Option<(f64, f64, f64)>,
}

/// The areas of these rows: overall, against contradictions, by language, and of each kind against all that is supported.
pub fn areas(rows: &[(&Labelled, Option<f64>)]) -> Vec<Area> {
    let languages: BTreeSet<&str> = rows.iter().map(|(l, _)| l.language.as_str()).collect();
    let kinds: BTreeSet<&str> = rows.iter().filter(|(l, _)| l.label != Label::Supported).map(|(l, _)| l.kind.as_str()).collect();
    let mut all = vec![area("overall".into(), rows, &|_| true), area("contradicted".into(), rows, &of_kind(None))];
    all.extend(languages.into_iter().map(|lang| area(format!("language {lang}"), rows, &|l| l.language == lang)));
    all.extend(kinds.into_iter().map(|kind| area(format!("kind {kind}"), rows, &of_kind(Some(kind)))));
    all
}

/// What is supported, and of the rest only one kind, or only contradictions.
fn of_kind(kind: Option<&str>) -> impl Fn(&Labelled) -> bool + '_ {
    move |l| l.label == Label::Supported || kind.map_or(l.label == Label::Contradicted, |kind| l.kind == kind)
}

fn area(of: String, rows: &[(&Labelled, Option<f64>)], takes: &dyn Fn(&Labelled) -> bool) -> Area {
    let taken = || rows.iter().filter(|(l, _)| takes(l));
    let scores = |supported: bool| -> Vec<f64> {
        taken().filter(|(l, _)| (l.label == Label::Supported) == supported).filter_map(|(_, score)| *score).collect()
    };
    let (supported, others) = (scores(true), scores(false));
    let unscored = taken().filter(|(_, score)| score.is_none()).count();
    let found = auc::auc(&others, &supported);
    let area = found.and_then(|a| auc::interval(a, others.len(), supported.len()).map(|(low, high)| (a, low, high)));
    Area { of, supported: supported.len(), others: others.len(), unscored, area }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(id: &str, language: &str, label: Label, kind: &str) -> Labelled {
        let (id, language, kind) = (id.into(), language.into(), kind.into());
        Labelled { id, language, question: String::new(), contexts: Vec::new(), answer: String::new(), label, kind }
    }

    #[test]
    fn areas_are_by_language_and_kind() {
        let rows = [
            one("a", "en", Label::Supported, "copy"),
            one("b", "en", Label::Contradicted, "number"),
            one("c", "de", Label::Unsupported, "addition"),
            one("d", "de", Label::Supported, "copy"),
        ];
        let scores = [Some(0.9), Some(0.1), Some(0.95), None];
        let found = areas(&rows.iter().zip(scores).collect::<Vec<_>>());
        let told: Vec<_> =
            found.iter().map(|a| (a.of.as_str(), a.supported, a.others, a.unscored, a.area.map(|(a, ..)| a))).collect();
        assert_eq!(
            told,
            [
                ("overall", 1, 2, 1, Some(0.5)),
                ("contradicted", 1, 1, 1, Some(1.0)),
                ("language de", 0, 1, 1, None),
                ("language en", 1, 1, 0, Some(1.0)),
                ("kind addition", 1, 1, 1, Some(0.0)),
                ("kind number", 1, 1, 1, Some(1.0)),
            ]
        );
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        let e = read("\n{\"id\": \"a\"}").expect_err("no pair");
        assert!(e.starts_with("line 2: missing field"), "{e}");
    }
}
