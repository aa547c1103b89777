//! Texts from reading to figures: laws without drift, what is found and told, what storage keeps.

use super::classifier::{TOLD, TYPICAL};
use super::compare::{Figures, compare};
use super::*;
use crate::stats::rng::Rng;

const WORDS: [&str; 24] = [
    "how", "do", "i", "change", "my", "password", "the", "invoice", "is", "wrong", "please", "send", "order", "again", "where",
    "can", "find", "account", "settings", "delete", "address", "new", "phone", "number",
];
const TOPIC: [&str; 6] = ["refund", "shipping", "parcel", "customs", "delayed", "courier"];

pub(in crate::domain::drift) fn texts(rng: &mut Rng, rows: usize, on_topic: usize) -> Vec<String> {
    (0..rows)
        .map(|row| {
            let length = 4 + rng.below(9);
            let word =
                |rng: &mut Rng| if row < on_topic && rng.below(3) == 0 { TOPIC[rng.below(6)] } else { WORDS[rng.below(24)] };
            (0..length).map(|_| word(rng)).collect::<Vec<_>>().join(" ") + "?"
        })
        .collect()
}

pub(in crate::domain::drift) fn cells(texts: &[String]) -> Vec<Option<&str>> {
    texts.iter().map(|text| Some(text.as_str())).collect()
}

pub(in crate::domain::drift) fn reference(cells: &[Option<&str>], seed: u64) -> TextProfile {
    let mut fit = Fit::new(seed);
    fit.add(cells);
    let mut tally = Tally::reference(fit.words());
    tally.add(cells);
    tally.profile()
}

pub(in crate::domain::drift) fn current(reference: &TextProfile, cells: &[Option<&str>]) -> TextProfile {
    let mut tally = Tally::current(reference);
    tally.add(cells);
    tally.profile()
}

fn figures(a: &[String], b: &[String], seed: u64) -> Figures {
    let reference = reference(&cells(a), seed);
    compare(&reference, &current(&reference, &cells(b))).expect("the same words")
}

/// Sixty pairs without drift of 80 to 200 texts: of a chance of 0.05 more than 9 come once in a thousand, and of ½ fewer than 18 or
/// more than 42.
#[test]
fn without_drift_nothing_tells_texts_apart() {
    let all: Vec<Figures> = (0..60u64)
        .map(|seed| {
            let mut rng = Rng::new(700 + seed);
            let rows = 80 + 2 * seed as usize;
            figures(&texts(&mut rng, rows, 0), &texts(&mut rng, rows, 0), seed)
        })
        .collect();
    let p: Vec<f64> = all.iter().map(|f| f.classifier.as_ref().expect("enough texts").p_value).collect();
    let below = |bar: f64| p.iter().filter(|p| **p < bar).count();
    assert!(below(0.05) <= 9 && (18..=42).contains(&below(0.5)), "{} and {} of 60", below(0.05), below(0.5));
    // The deviation is neither too small nor half again too large.
    let squares = all.iter().filter_map(|f| f.classifier.as_ref()).map(|c| ((c.auc - 0.5) / c.null_sd).powi(2)).sum::<f64>();
    assert!((0.5..1.6).contains(&(squares / 60.0)), "{squares}");
    for which in 0..4 {
        let below = all.iter().filter(|f| f.descriptors[which].1.smirnov.is_none_or(|s| s.p_value < 0.05)).count();
        assert!(below <= 9, "{below} of 60 for {}", Descriptor::ALL[which]);
    }
}

#[test]
fn a_new_topic_is_found_and_told() {
    let mut rng = Rng::new(1);
    let got = figures(&texts(&mut rng, 300, 0), &texts(&mut rng, 300, 100), 3);
    let classifier = got.classifier.expect("enough texts");
    assert!(classifier.auc > 0.6 && classifier.p_value < 1e-3, "{classifier:?}");
    let told: Vec<&str> = classifier.current.iter().map(|term| term.text.as_str()).collect();
    assert!(TOPIC.iter().filter(|word| told[..TOLD].contains(word)).count() >= 5, "{told:?}");
    assert!(classifier.current.iter().all(|t| t.weight > 0.0) && classifier.reference.iter().all(|t| t.weight < 0.0));
    let topic = &classifier.current[0];
    assert!(topic.reference == 0 && topic.current > 10, "{topic:?}");
    assert_eq!(classifier.typical_current.len(), TYPICAL);
    assert!(classifier.typical_current.iter().all(|t| t.row < 100 && TOPIC.iter().any(|word| t.text.contains(word))));
    let (which, unknown) = &got.descriptors[3];
    assert!(*which == Descriptor::UnknownWords && unknown.smirnov.is_some_and(|s| s.p_value < 1e-3 && !s.current_lower));
}

#[test]
fn texts_are_described() {
    let words = Fit::new(1).words();
    let mut tally = Tally::reference(words);
    tally.add(&[Some("Ab, 12!"), None, Some("  "), Some("")]);
    let profile = tally.profile();
    assert_eq!((profile.rows(), profile.nulls(), profile.empty()), (4, 1, 2));
    let mean = |which| profile.column(which).moments().map(|m| m.mean);
    assert_eq!(
        (mean(Descriptor::Length), mean(Descriptor::Words), mean(Descriptor::NonLetters)),
        (Some(7.0), Some(2.0), Some(4.0 / 6.0))
    );
}

#[test]
fn nothing_to_compare_is_none_and_never_nan() {
    let mut rng = Rng::new(2);
    let some = texts(&mut rng, 60, 0);
    let signs = vec!["?!".to_owned(); 60];
    let spaces = vec![" ".to_owned(); 60];
    for a in [&some, &signs, &spaces, &Vec::new()] {
        for b in [&some, &signs, &spaces, &Vec::new()] {
            let got = figures(a, b, 1);
            let told = format!("{got:?}");
            assert!(!told.contains("NaN") && !told.contains("inf"), "{told}");
            let enough = [a, b].iter().all(|side| **side == some || **side == signs);
            assert_eq!(got.classifier.is_some(), enough);
            assert!(a != b || got.classifier.is_none_or(|c| c.p_value > 0.01), "texts from themselves");
        }
    }
    let (one, other) = (reference(&cells(&some), 1), reference(&cells(&some), 2));
    assert!(compare(&one, &other).is_none() && one.merged(&other).is_none());
}

#[test]
fn parts_make_the_whole_and_survive_storage() {
    let mut rng = Rng::new(4);
    let (a, b) = (texts(&mut rng, 120, 0), texts(&mut rng, 90, 10));
    let profile = reference(&cells(&a), 5);
    let stored = serde_json::to_string(&profile.stored()).expect("JSON");
    let read: TextProfile = serde_json::from_str(&stored).expect("read back");
    assert_eq!(read, profile.stored());
    let (first, rest) = b.split_at(40);
    let merged = current(&read, &cells(first)).merged(&current(&read, &cells(rest))).expect("the same words");
    let whole = current(&read, &cells(&b));
    assert_eq!((merged.rows(), merged.column(Descriptor::Words)), (whole.rows(), whole.column(Descriptor::Words)));
    let rows = |profile: &TextProfile| {
        profile.sample().iter().map(|s| (s.row, s.text.clone())).collect::<std::collections::BTreeMap<_, _>>()
    };
    assert_eq!(rows(&merged), rows(&whole));
    let good = serde_json::to_value(&profile).expect("JSON");
    for (path, bad) in [("/words/known", "\"\""), ("/rows", "1e0"), ("/columns", "{}"), ("/nulls", "999")] {
        let mut changed = good.clone();
        *changed.pointer_mut(path).expect(path) = serde_json::from_str(bad).expect("JSON");
        assert!(serde_json::from_value::<TextProfile>(changed).is_err(), "{path}");
    }
}

/// Of more texts than are kept the sample is a draw of them, the same one in one piece or in many.
#[test]
fn a_sample_is_a_draw_of_all_rows() {
    let rows: Vec<String> = (0..5_000).map(|i| format!("text {i}")).collect();
    let profile = reference(&cells(&rows), 6);
    assert_eq!(profile.sample().len(), SAMPLE);
    let late = profile.sample().iter().filter(|s| s.row >= 2_500).count();
    // 500 on average, with a standard deviation of 14.
    assert!((444..=556).contains(&late), "{late}");
    let mut tally = Tally::reference(Fit::new(6).words());
    cells(&rows).chunks(7).for_each(|chunk| tally.add(chunk));
    assert_eq!(tally.profile().sample(), profile.sample());
}
