//! The six checks together.

use super::*;
use crate::domain::ingest::canon::Canon;
use crate::domain::ingest::document::BlockKind;
use proptest::prelude::*;

const PROSE: &str = "The cat sat on the mat and looked at the rain. It was a cold day, so nobody went out for a walk. We made tea and \
                     ate the cake that our aunt had left for us. Then the sun came out again, and the street was full of people.";

fn doc(text: &str) -> Document {
    let mut canon = Canon::new();
    text.split("\n\n").for_each(|part| {
        canon.push(BlockKind::Paragraph, None, part);
    });
    canon.finish()
}

fn good() -> String {
    [PROSE; 4].join("\n\n")
}

/// Checks the verdict of one check and the word of the refusal.
#[track_caller]
fn check_one(text: &str, copies: Copies, id: CheckId, verdict: Verdict, refused: Option<&str>) -> Quality {
    let made = check(&doc(text), &Rules::default(), copies);
    let one = made.of(id).expect("all six are made");
    assert_eq!(one.verdict, verdict, "{}", one.reason);
    assert_eq!(made.refused.as_ref().map(|r| r.reason.word()), refused);
    made
}

#[test]
fn good_prose_passes_everything() {
    let made = check(&doc(&good()), &Rules::default(), Copies::Nearest(0.1));
    assert!(made.checks.iter().all(|c| c.verdict == Verdict::Pass), "{made:?}");
    assert_eq!((made.score, made.language, made.warning, made.refused), (1.0, Some("en"), false, None));
    assert_eq!(made.checks.iter().map(|c| c.id).collect::<Vec<_>>(), CheckId::ALL);
}

#[test]
fn length_is_more_than_a_hundred_characters() {
    check_one("", Copies::NotCompared, CheckId::Length, Verdict::Fail, Some("empty"));
    check_one(&"ab ".repeat(50), Copies::NotCompared, CheckId::Length, Verdict::Fail, Some("too-short"));
    check_one(&"abc ".repeat(34), Copies::NotCompared, CheckId::Length, Verdict::Pass, None);
}

#[test]
fn other_languages_fail_and_short_ones_are_unknown() {
    let czech = "Všichni lidé rodí se svobodní a sobě rovní co do důstojnosti a práv. Jsou nadáni rozumem a svědomím a mají spolu \
                 jednat v duchu bratrství. Každý má všechna práva a všechny svobody stanovené touto deklarací.";
    let made = check_one(czech, Copies::NotCompared, CheckId::Language, Verdict::Fail, None);
    assert_eq!(made.language, Some("cs"));
    assert_eq!(made.of(CheckId::Readability).map(|c| c.verdict), Some(Verdict::Inconclusive));
    check_one("12 34 56", Copies::NotCompared, CheckId::Language, Verdict::Inconclusive, Some("too-short"));
}

#[test]
fn lost_bytes_refuse_and_mojibake_warns() {
    let lost = good().replace("the", "th\u{fffd}");
    check_one(&lost, Copies::NotCompared, CheckId::Encoding, Verdict::Fail, Some("bad-encoding"));
    let garbled = good().replace("the", "thÃ©");
    check_one(&garbled, Copies::NotCompared, CheckId::Encoding, Verdict::Fail, None);
}

#[test]
fn hard_sentences_fail_and_few_are_unknown() {
    let hard = "Interdepartmental organizational considerations necessitate comprehensive administrative reconfiguration, \
                notwithstanding institutional impossibilities regarding interoperability. "
        .repeat(12);
    check_one(&hard, Copies::NotCompared, CheckId::Readability, Verdict::Fail, None);
    let made = check_one(PROSE, Copies::NotCompared, CheckId::Readability, Verdict::Inconclusive, None);
    assert_eq!(
        made.of(CheckId::Readability).map(|c| c.reason.as_str()),
        Some("not enough prose: 50 words in sentences, 100 are needed")
    );
}

#[test]
fn a_limit_of_its_own_holds_for_a_language() {
    let rules = Rules { min_flesch_of: [("en".to_owned(), 200.0)].into(), ..Rules::default() };
    let made = check(&doc(&good()), &rules, Copies::NotCompared);
    assert_eq!(made.of(CheckId::Readability).map(|c| (c.verdict, c.limit)), Some((Verdict::Fail, Some(200.0))));
}

#[test]
fn copies_fail_and_only_exact_ones_refuse() {
    check_one(&good(), Copies::Exact, CheckId::Unique, Verdict::Fail, Some("duplicate"));
    check_one(&good(), Copies::Nearest(0.8), CheckId::Unique, Verdict::Fail, None);
    check_one(&good(), Copies::Nearest(0.79), CheckId::Unique, Verdict::Pass, None);
    check_one(&good(), Copies::NotCompared, CheckId::Unique, Verdict::Inconclusive, None);
}

#[test]
fn three_accounts_are_too_many_and_an_address_is_not() {
    let text = format!("{}\n\nIBAN DE89 3704 0044 0532 0130 00, GB29NWBK60161331926819 and card 4111 1111 1111 1111.", good());
    let made = check_one(&text, Copies::NotCompared, CheckId::Pii, Verdict::Fail, None);
    assert_eq!(made.of(CheckId::Pii).map(|c| c.reason.as_str()), Some("2 iban, 1 card: weight 3.0, less than 3 is taken"));
    let text = format!("{}\n\nWrite to someone@example.org.", good());
    check_one(&text, Copies::NotCompared, CheckId::Pii, Verdict::Pass, None);
}

#[test]
fn two_failures_warn_and_strict_rules_refuse() {
    let czech = format!("{} {{}}", "Všichni lidé rodí se svobodní a sobě rovní co do důstojnosti a práv.".repeat(4));
    let made = check(&doc(&czech), &Rules::default(), Copies::Nearest(0.9));
    assert!(made.warning && made.refused.is_none() && (made.score - 4.0 / 6.0).abs() < 1e-12);
    let strict = Rules { strict: [CheckId::Language].into(), ..Rules::default() };
    assert_eq!(check(&doc(&czech), &strict, Copies::NotCompared).refused.map(|r| r.reason), Some(Refusal::Quality));
    let line = Rules { min_score: 0.7, ..Rules::default() };
    assert_eq!(check(&doc(&czech), &line, Copies::Nearest(0.9)).refused.map(|r| r.reason), Some(Refusal::Quality));
}

#[test]
fn words_lead_back() {
    for id in CheckId::ALL {
        assert_eq!(CheckId::of(id.word()), Some(*id));
    }
    assert_eq!(CheckId::of("Length"), None);
}

proptest! {
    #[test]
    fn any_document_gets_an_answer(parts in prop::collection::vec(any::<String>(), 0..6)) {
        let made = check(&doc(&parts.join("\n\n")), &Rules::default(), Copies::NotCompared);
        prop_assert_eq!(made.checks.len(), 6);
        prop_assert!((0.0..=1.0).contains(&made.score));
    }
}
