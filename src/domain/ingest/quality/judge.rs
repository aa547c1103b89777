//! From what was measured to a verdict with its reason.

use super::encoding::Damage;
use super::language::Language;
use super::pii::{Finding, Kind};
use super::{Check, CheckId, Copies, Rules, prose, readability};
use crate::base::verdict::Verdict;
use crate::domain::ingest::document::Document;

/// Bytes of prose that the formula is computed from; beyond that they come from three places. About 10,000 words, which
/// leaves the mean of sentences and syllables a standard error far below one point.
const FLESCH_SAMPLE: usize = 65_536;

fn verdict(pass: bool) -> Verdict {
    if pass { Verdict::Pass } else { Verdict::Fail }
}

/// `1 word`, `2 words`.
fn plural(count: usize, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

pub(super) fn length(characters: usize, rules: &Rules) -> Check {
    let more = format!("{} that are not white space, more than {} are needed", plural(characters, "character"), rules.min_chars);
    Check {
        id: CheckId::Length,
        verdict: verdict(characters > rules.min_chars),
        value: Some(characters as f64),
        limit: Some(rules.min_chars as f64),
        reason: if characters > rules.min_chars { plural(characters, "character") } else { more },
    }
}

pub(super) fn language(found: Option<Language>, rules: &Rules) -> Check {
    let accepted = rules.languages.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let (verdict, reason) = match found {
        None => (Verdict::Inconclusive, "too few words to tell the language".to_owned()),
        Some(l) if !l.certain => (Verdict::Inconclusive, format!("uncertain: perhaps `{}`, two detectors differ", l.code)),
        Some(l) if rules.languages.is_empty() || rules.languages.contains(l.code) => (Verdict::Pass, format!("`{}`", l.code)),
        Some(l) => (Verdict::Fail, format!("`{}` is not among the accepted languages {accepted}", l.code)),
    };
    Check { id: CheckId::Language, verdict, value: found.map(|l| l.confidence), limit: None, reason }
}

pub(super) fn encoding(damage: Damage, rules: &Rules) -> Check {
    let (lost, garbled) = (damage.lost_share(), damage.garbled_share());
    let percent = |share: f64| format!("{:.2} %", share * 100.0);
    let limit = percent(rules.max_damage);
    let reason = if lost > rules.max_damage {
        format!("{} could not be decoded, {} of the text, the limit is {limit}", plural(damage.lost, "byte"), percent(lost))
    } else if garbled > rules.max_damage {
        format!("{} of the characters are garbled (decoded twice or without a mapping), the limit is {limit}", percent(garbled))
    } else {
        format!("{} of the characters are damaged", percent(lost.max(garbled)))
    };
    Check {
        id: CheckId::Encoding,
        verdict: verdict(lost.max(garbled) <= rules.max_damage),
        value: Some(lost.max(garbled)),
        limit: Some(rules.max_damage),
        reason,
    }
}

pub(super) fn readability(doc: &Document, found: Option<Language>, rules: &Rules) -> Check {
    let unknown = |reason: String| Check {
        id: CheckId::Readability,
        verdict: Verdict::Inconclusive,
        value: None,
        limit: Some(rules.min_flesch),
        reason,
    };
    let Some(code) = found.filter(|l| l.certain).map(|l| l.code) else {
        return unknown("the language is not known".to_owned());
    };
    if !readability::knows(code) {
        return unknown(format!("there is no formula for `{code}`"));
    }
    let pieces = prose::sample(&prose::sentences(doc), FLESCH_SAMPLE);
    let Some(score) = readability::flesch(&pieces, code) else {
        let words = plural(readability::words(&pieces), "word");
        return unknown(format!("not enough prose: {words} in sentences, {} are needed", readability::MIN_WORDS));
    };
    let limit = rules.min_flesch_of.get(code).copied().unwrap_or(rules.min_flesch);
    let pass = score > limit;
    let reason = if pass {
        format!("reading ease {score:.1} (`{code}`)")
    } else {
        format!("reading ease {score:.1} (`{code}`), more than {limit} is needed")
    };
    Check { id: CheckId::Readability, verdict: verdict(pass), value: Some(score), limit: Some(limit), reason }
}

pub(super) fn unique(copies: Copies, rules: &Rules) -> Check {
    let (verdict, value, reason) = match copies {
        Copies::NotCompared => (Verdict::Inconclusive, None, "not compared with other documents".to_owned()),
        Copies::Exact => (Verdict::Fail, Some(1.0), "the same text as another document".to_owned()),
        Copies::Nearest(index) if index >= rules.near_duplicate => {
            let limit = rules.near_duplicate;
            (
                Verdict::Fail,
                Some(index),
                format!("a near copy of another document: similarity {index:.2}, the limit is {limit:.2}"),
            )
        }
        Copies::Nearest(index) if index > 0.0 => {
            (Verdict::Pass, Some(index), format!("the nearest document has similarity {index:.2}"))
        }
        Copies::Nearest(index) => (Verdict::Pass, Some(index), "no other document is near".to_owned()),
    };
    Check { id: CheckId::Unique, verdict, value, limit: Some(rules.near_duplicate), reason }
}

pub(super) fn personal(excess: f64, findings: &[Finding], rules: &Rules) -> Check {
    let count = |kind: &Kind| findings.iter().filter(|f| f.kind == *kind).count();
    let counts: Vec<String> =
        Kind::ALL.iter().filter(|kind| count(kind) > 0).map(|kind| format!("{} {}", count(kind), kind.word())).collect();
    let pass = excess < rules.max_pii;
    let found = if counts.is_empty() { "no personal data".to_owned() } else { counts.join(", ") };
    let reason = if pass { found } else { format!("{found}: weight {excess:.1}, less than {} is taken", rules.max_pii) };
    Check { id: CheckId::Pii, verdict: verdict(pass), value: Some(excess), limit: Some(rules.max_pii), reason }
}
