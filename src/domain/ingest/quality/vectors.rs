//! Holds the checks to the values of other implementations, made by `tests/fixtures/quality/make.py`.

use super::pii::{self, Kind};
use super::{readability, syllables};
use serde_json::Value;
use std::collections::BTreeMap;

fn rows(json: &str) -> Value {
    let mut fixture: Value = serde_json::from_str(json).expect("JSON");
    assert!(fixture["source"].as_str().is_some_and(|s| !s.is_empty()), "the source is named");
    fixture["rows"].take()
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

/// Words, sentences and, where the patterns are Pyphen's, the score itself; German patterns are a newer edition and English
/// syllables are counted by rule, so these may differ by some points.
#[test]
fn reading_ease_is_that_of_textstat() {
    let all = rows(include_str!("../../../../tests/fixtures/quality/prose.json"));
    for row in all.as_array().expect("rows") {
        let (language, text) = (row["language"].as_str().expect("a language"), row["text"].as_str().expect("a text"));
        let counts = readability::counts(&[text], language).expect("a formula");
        assert_eq!((counts.words as f64, counts.sentences as f64), (number(&row["words"]), number(&row["sentences"])), "{text}");
        let score = readability::flesch(&[text], language).expect("enough words");
        let tolerance = match language {
            "en" => 2.0,
            "de" => 3.0,
            _ => 1e-9,
        };
        assert!((score - number(&row["flesch"])).abs() <= tolerance, "{language} {score} {}", row["flesch"]);
    }
}

/// Share of words, 0 to 1, that have the reference's syllables, and how far their sum is off.
#[test]
fn syllables_are_those_of_the_dictionaries() {
    let all = rows(include_str!("../../../../tests/fixtures/quality/words.json"));
    for (language, right, off) in [("en", 0.95, 0.01), ("de", 0.90, 0.02), ("es", 1.0, 0.0), ("fr", 1.0, 0.0)] {
        let words = all[language].as_array().expect("words");
        let (mut same, mut sum, mut want) = (0, 0.0, 0.0);
        for pair in words {
            let (word, count) = (pair[0].as_str().expect("a word"), number(&pair[1]));
            let made = match language {
                "en" => f64::from(syllables::english(word)),
                _ => readability::counts(&[word], language).expect("a formula").syllables as f64,
            };
            same += usize::from(made == count);
            sum += made;
            want += count;
        }
        assert!(words.len() >= 300, "{language}");
        assert!(same as f64 >= right * words.len() as f64, "{language}: {same} of {}", words.len());
        assert!((sum / want - 1.0).abs() <= off, "{language}: {sum} of {want}");
    }
}

/// The kind of a rule's name.
fn kind(rule: &str) -> Kind {
    match rule {
        "iban" => Kind::Iban,
        "card" => Kind::Card,
        "phone" => Kind::Phone,
        "email" => Kind::Email,
        "ip" => Kind::Ip,
        _ => Kind::NationalId,
    }
}

/// Two hundred documents with known counts: every rule must be found by its name, and nothing else.
#[test]
fn personal_data_is_counted() {
    let all = rows(include_str!("../../../../tests/fixtures/quality/pii.json"));
    // By kind: wanted, found, found and wanted.
    let mut sums: BTreeMap<Kind, [usize; 3]> = BTreeMap::new();
    let mut wrong = Vec::new();
    for document in all["documents"].as_array().expect("documents") {
        let text = document["text"].as_str().expect("a text");
        let mut counts: BTreeMap<String, [usize; 2]> = BTreeMap::new();
        for (rule, count) in document["found"].as_object().expect("counts") {
            counts.entry(rule.clone()).or_default()[0] += number(count) as usize;
        }
        for finding in pii::find(text) {
            let rule = match finding.kind {
                Kind::Phone => "phone",
                Kind::Ip => "ip",
                _ => finding.rule,
            };
            counts.entry(rule.to_owned()).or_default()[1] += 1;
        }
        for (rule, [wanted, found]) in counts {
            let sum = sums.entry(kind(&rule)).or_default();
            *sum = [sum[0] + wanted, sum[1] + found, sum[2] + wanted.min(found)];
            if wanted != found {
                wrong.push(format!("{rule} {wanted} {found}: {text}"));
            }
        }
    }
    for kind in Kind::ALL {
        let [wanted, found, both] = sums[kind];
        assert!(wanted >= 10, "{kind:?}: only {wanted}");
        assert!(both as f64 >= 0.98 * wanted as f64, "{kind:?} recall {both}/{wanted}: {wrong:#?}");
        assert!(both as f64 >= 0.98 * found as f64, "{kind:?} precision {both}/{found}: {wrong:#?}");
    }
}

/// The length of every country's IBAN as schwifty has it: the right one is taken, one more is not.
#[test]
fn ibans_have_the_length_of_their_country() {
    let all = rows(include_str!("../../../../tests/fixtures/quality/pii.json"));
    for (country, length) in all["ibans"].as_object().expect("countries") {
        for (extra, want) in [(0, 1), (1, 0)] {
            let body = "1".repeat(number(length) as usize - 4 + extra);
            let iban = (2..99)
                .map(|check| format!("{country}{check:02}{body}"))
                .find(|iban| remainder(iban) == 1)
                .expect("one of the check digits is right");
            assert_eq!(pii::find(&iban).iter().filter(|f| f.kind == Kind::Iban).count(), want, "{iban}");
        }
    }
}

fn remainder(iban: &str) -> u64 {
    let turned = iban[4..].chars().chain(iban[..4].chars());
    turned.fold(0, |rest, c| {
        let value = u64::from(c.to_digit(36).expect("a letter or a digit"));
        (rest * if value > 9 { 100 } else { 10 } + value) % 97
    })
}
