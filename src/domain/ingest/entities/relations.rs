//! Verbs between two things of one sentence, for a handful of relations. What stands between the two must be the phrase and
//! nothing more but articles and a few adverbs, so that what is found is nearly always said; much is not found.

use super::words::Word;
use super::{Mention, Relation};
use std::ops::Range;

/// A phrase without articles, its relation, and whether the second thing is the subject of it.
type Phrase = (&'static str, &'static str, bool);

const ENGLISH: &[Phrase] = &[
    ("acquired", "acquired", false),
    ("has acquired", "acquired", false),
    ("bought", "acquired", false),
    ("took over", "acquired", false),
    ("was acquired by", "acquired", true),
    ("was bought by", "acquired", true),
    ("founded", "founded", false),
    ("was founded by", "founded", true),
    ("leads", "leads", false),
    ("is led by", "leads", true),
    ("is based in", "located-in", false),
    ("is located in", "located-in", false),
    ("is headquartered in", "located-in", false),
    ("is part of", "part-of", false),
    ("belongs to", "part-of", false),
    ("is subsidiary of", "part-of", false),
    ("is division of", "part-of", false),
    ("uses", "uses", false),
    ("is used by", "uses", true),
    ("requires", "requires", false),
    ("depends on", "requires", false),
    ("needs", "requires", false),
    ("is required by", "requires", true),
    ("replaces", "replaces", false),
    ("replaced", "replaces", false),
    ("supersedes", "replaces", false),
    ("obsoletes", "replaces", false),
    ("is replaced by", "replaces", true),
    ("was replaced by", "replaces", true),
    ("is superseded by", "replaces", true),
];
const SPANISH: &[Phrase] = &[
    ("compró", "acquired", false),
    ("adquirió", "acquired", false),
    ("ha comprado", "acquired", false),
    ("ha adquirido", "acquired", false),
    ("fue comprada por", "acquired", true),
    ("fue adquirida por", "acquired", true),
    ("fundó", "founded", false),
    ("fue fundada por", "founded", true),
    ("fue fundado por", "founded", true),
    ("dirige", "leads", false),
    ("tiene su sede en", "located-in", false),
    ("tiene sede en", "located-in", false),
    ("está en", "located-in", false),
    ("pertenece a", "part-of", false),
    ("pertenece al", "part-of", false),
    ("forma parte de", "part-of", false),
    ("es filial de", "part-of", false),
    ("usa", "uses", false),
    ("utiliza", "uses", false),
    ("requiere", "requires", false),
    ("necesita", "requires", false),
    ("depende de", "requires", false),
    ("sustituye a", "replaces", false),
    ("reemplaza a", "replaces", false),
    ("fue sustituida por", "replaces", true),
    ("fue sustituido por", "replaces", true),
];
const FRENCH: &[Phrase] = &[
    ("a racheté", "acquired", false),
    ("a acquis", "acquired", false),
    ("rachète", "acquired", false),
    ("a été racheté par", "acquired", true),
    ("a été rachetée par", "acquired", true),
    ("a fondé", "founded", false),
    ("a été fondé par", "founded", true),
    ("a été fondée par", "founded", true),
    ("dirige", "leads", false),
    ("est basé à", "located-in", false),
    ("est basée à", "located-in", false),
    ("a son siège à", "located-in", false),
    ("se trouve à", "located-in", false),
    ("appartient à", "part-of", false),
    ("appartient au", "part-of", false),
    ("fait partie de", "part-of", false),
    ("est filiale de", "part-of", false),
    ("utilise", "uses", false),
    ("exige", "requires", false),
    ("nécessite", "requires", false),
    ("dépend de", "requires", false),
    ("remplace", "replaces", false),
    ("est remplacé par", "replaces", true),
    ("est remplacée par", "replaces", true),
];
const GERMAN: &[Phrase] = &[
    ("übernahm", "acquired", false),
    ("kaufte", "acquired", false),
    ("wurde von übernommen", "acquired", true),
    ("hat übernommen", "acquired", false),
    ("hat gekauft", "acquired", false),
    ("gründete", "founded", false),
    ("hat gegründet", "founded", false),
    ("wurde von gegründet", "founded", true),
    ("leitet", "leads", false),
    ("wird von geleitet", "leads", true),
    ("hat ihren sitz in", "located-in", false),
    ("hat seinen sitz in", "located-in", false),
    ("sitzt in", "located-in", false),
    ("gehört zu", "part-of", false),
    ("gehört zur", "part-of", false),
    ("gehört zum", "part-of", false),
    ("ist teil von", "part-of", false),
    ("ist tochter von", "part-of", false),
    ("nutzt", "uses", false),
    ("verwendet", "uses", false),
    ("benötigt", "requires", false),
    ("braucht", "requires", false),
    ("setzt voraus", "requires", false),
    ("ersetzt", "replaces", false),
    ("wird von ersetzt", "replaces", true),
    ("wurde durch ersetzt", "replaces", true),
    ("wird durch ersetzt", "replaces", true),
];

/// Words that may stand in a phrase without changing it.
fn fillers(language: &str) -> &'static [&'static str] {
    match language {
        "en" => &["the", "a", "an", "also", "now", "still", "recently", "currently", "today"],
        "es" => &["el", "la", "los", "las", "un", "una", "también", "ahora", "hoy"],
        "fr" => &["le", "la", "les", "l", "un", "une", "aussi", "désormais", "société", "entreprise"],
        _ => &["der", "die", "das", "den", "dem", "ein", "eine", "auch", "heute", "jetzt", "nun", "firma"],
    }
}

/// Words between two things, at most.
const BETWEEN_MAX: usize = 8;

/// Relations between things that follow each other in a sentence, whose bytes are the evidence.
pub(super) fn find(words: &[Word<'_>], mentions: &[Mention], sentence: &Range<usize>, language: Option<&str>) -> Vec<Relation> {
    let (phrases, language) = match language {
        Some("en") => (ENGLISH, "en"),
        Some("es") => (SPANISH, "es"),
        Some("fr") => (FRENCH, "fr"),
        Some("de") => (GERMAN, "de"),
        _ => return Vec::new(),
    };
    let things: Vec<&Mention> = mentions.iter().filter(|m| !matches!(&*m.node.kind, "date" | "money" | "domain")).collect();
    let mut found = Vec::new();
    for (i, pair) in things.windows(2).enumerate() {
        let (a, b) = (pair[0], pair[1]);
        let next = things.get(i + 2).map_or(sentence.end, |m| m.span.start);
        let Some((relation, turned)) = said(words, a, b, next, phrases, language) else { continue };
        let (subject, object) = if turned { (b, a) } else { (a, b) };
        if subject.node == object.node {
            continue;
        }
        found.push(Relation {
            subject: subject.node.clone(),
            relation: relation.into(),
            object: object.node.clone(),
            evidence: sentence.clone(),
            method: "verb".into(),
            confidence: a.confidence.min(b.confidence).min(80),
        });
    }
    found
}

/// The relation that is said of two things, and whether the second one is its subject.
fn said(
    words: &[Word<'_>],
    a: &Mention,
    b: &Mention,
    next: usize,
    phrases: &[Phrase],
    language: &str,
) -> Option<(&'static str, bool)> {
    let skip = fillers(language);
    let first = words.partition_point(|w| w.span.start < a.span.end);
    let last = words.partition_point(|w| w.span.start < b.span.start);
    let between = words.get(first..last)?;
    let broken = between.iter().any(|w| w.opens || w.closes) || words.get(first.wrapping_sub(1)).is_some_and(|w| w.closes);
    if broken || between.len() > BETWEEN_MAX {
        return None;
    }
    let plain = |some: &[Word<'_>]| some.iter().map(Word::lower).filter(|w| !skip.contains(&w.as_str())).collect::<Vec<_>>();
    let is = |phrase: &[String]| {
        let phrase = phrase.join(" ");
        phrases.iter().find(|(p, ..)| *p == phrase).map(|(_, relation, turned)| (*relation, *turned))
    };
    let middle = plain(between);
    if let Some(found) = is(&middle) {
        return Some(found);
    }
    if language != "de" {
        return None;
    }
    // "… übernahm die A die B", with the verb before both.
    let before = plain(&words[..words.partition_point(|w| w.span.end <= a.span.start)]);
    if let (true, Some(verb)) = (middle.is_empty(), before.last()) {
        return is(std::slice::from_ref(verb));
    }
    // "A wurde von B übernommen", with the participle behind both.
    let after = words.get(words.partition_point(|w| w.span.start < b.span.end)).filter(|w| w.span.start < next)?;
    is(&[middle, vec![after.lower()]].concat())
}
