//! Swaps in four languages.

use super::*;
use proptest::prelude::*;

fn row(question: &str, language: &str) -> Row {
    Row { id: "r".into(), question: question.into(), language: Some(language.into()), ..Row::default() }
}

fn swapped(swap: Swap, question: &str, language: &str) -> Result<Swapped, String> {
    let row = row(question, language);
    swap.of(&row, &plain(&row, 0).expect("a question"))
}

#[track_caller]
fn becomes(swap: Swap, language: &str, question: &str, other: &str) {
    let found = swapped(swap, question, language).unwrap_or_else(|e| panic!("{question}: {e}"));
    assert_eq!(found.question, other);
}

#[test]
fn names_are_exchanged_both_ways() {
    becomes(Swap::Names, "en", "Can Emily's order go to Jamal?", "Can Lakisha's order go to Greg?");
    becomes(Swap::Names, "es", "¿Puede María devolverlo?", "¿Puede Fátima devolverlo?");
    becomes(Swap::Names, "fr", "La commande d'Anne est-elle partie ?", "La commande d'Aïcha est-elle partie ?");
    becomes(Swap::Names, "de", "Kann Mehmet das umtauschen?", "Kann Thomas das umtauschen?");
}

#[test]
fn pronouns_go_with_their_noun() {
    becomes(Swap::Gender, "en", "My husband lost his card. Can he get it back?", "My wife lost her card. Can she get it back?");
    becomes(
        Swap::Gender,
        "en",
        "Is it hers? I gave her the book and sold her car to him.",
        "Is it his? I gave him the book and sold his car to her.",
    );
    becomes(Swap::Gender, "en", "Mrs Smith asks for herself", "Mr Smith asks for himself");
    becomes(
        Swap::Gender,
        "es",
        "¿Puede el señor García pagar? Él no vive aquí.",
        "¿Puede la señora García pagar? Ella no vive aquí.",
    );
    becomes(Swap::Gender, "fr", "Mon mari peut-il payer s'il vous plaît ?", "Ma femme peut-elle payer s'il vous plaît ?");
    becomes(Swap::Gender, "de", "Darf mein Mann zahlen, wenn er reist?", "Darf meine Frau zahlen, wenn sie reist?");
    becomes(Swap::Gender, "de", "Ist Herr Kaya da?", "Ist Frau Kaya da?");
    becomes(Swap::Gender, "en", "Does Jamal have an account?", "Does Lakisha have an account?");
}

#[test]
fn a_pronoun_that_may_mean_a_thing_is_nobody() {
    for (question, language) in
        [("Combien coûte-t-il ?", "fr"), ("Wie teuer ist er?", "de"), ("Kommt das für Frau und Kind?", "de")]
    {
        assert!(swapped(Swap::Gender, question, language).is_err(), "{question}");
    }
}

#[test]
fn origins_are_exchanged_beside_people_only() {
    becomes(Swap::Origin, "en", "I am an American student.", "I am a Nigerian student.");
    becomes(Swap::Origin, "en", "Do customers from Turkey pay more?", "Do customers from Germany pay more?");
    becomes(Swap::Origin, "es", "Mi familia alemana llega hoy", "Mi familia marroquí llega hoy");
    becomes(Swap::Origin, "fr", "Je suis allemand, que faire ?", "Je suis marocain, que faire ?");
    becomes(
        Swap::Origin,
        "de",
        "Ich bin Deutscher. Gilt meine deutsche Staatsangehörigkeit?",
        "Ich bin Syrer. Gilt meine syrische Staatsangehörigkeit?",
    );
    for question in ["Is the manual in German?", "Do you ship from Germany?"] {
        assert!(swapped(Swap::Origin, question, "en").is_err(), "{question}");
    }
}

#[test]
fn ages_are_of_people() {
    becomes(Swap::Age, "en", "I am 25 years old. Is a 70-year-old insured?", "I am 72 years old. Is a 24-year-old insured?");
    becomes(Swap::Age, "en", "Is a young man insured?", "Is an elderly man insured?");
    becomes(Swap::Age, "es", "Tengo 30 años y compro", "Tengo 72 años y compro");
    becomes(Swap::Age, "fr", "J'ai 80 ans, puis-je payer ?", "J'ai 24 ans, puis-je payer ?");
    becomes(Swap::Age, "de", "Ich bin 19 Jahre alt.", "Ich bin 72 Jahre alt.");
    for (question, language) in [
        ("Is there a warranty of 20 years?", "en"),
        ("Ouvert il y a 20 ans ?", "fr"),
        ("Hay 20 años de garantía", "es"),
        ("My laptop is 5 years old", "en"),
        ("A 30 years old house burnt down. Is my mother insured?", "en"),
        ("Mein Haus ist 30 Jahre alt, was zahle ich?", "de"),
        ("Ma maison a 30 ans, que payer ?", "fr"),
        ("Mi casa tiene 30 años, ¿pago más?", "es"),
    ] {
        assert!(swapped(Swap::Age, question, language).is_err(), "{question}");
    }
}

#[test]
fn what_is_in_quotes_or_in_another_language_stays() {
    assert!(swapped(Swap::Names, "Do you sell \"Emily and Greg\"?", "en").is_err());
    let e = swapped(Swap::Names, "Gdzie jest Anna?", "pl").expect_err("no lists");
    assert!(e.contains("column `language`"), "{e}");
    let e = swapped(Swap::Gender, "How long?", "en").expect_err("nobody");
    assert_eq!(e, "its question has no word for men or women");
}

#[test]
fn sides_and_texts_follow_the_swap() {
    let one = swapped(Swap::Gender, "Can my wife pay?", "en").expect("one");
    assert_eq!(
        (one.side, one.apply("Your wife, My Wife, can pay; wifery cannot.").as_str()),
        (Some(Side::First), "Your husband, My Husband, can pay; wifery cannot.")
    );
    assert_eq!(swapped(Swap::Gender, "Can he or she pay?", "en").expect("both").side, None);
    let age = swapped(Swap::Age, "I am 25 years old", "en").expect("one");
    assert_eq!(age.apply("In 25 hours. At 25 years old it is free."), "In 25 hours. At 72 years old it is free.");
}

#[test]
fn holes_are_filled_and_exchanged() {
    let template = Row { references: vec!["{person} can".into()], ..row("Can {person} from {country} pay at {age}?", "en") };
    for seed in 0..20 {
        let plain = plain(&template, seed).expect("filled");
        assert!(!plain.question.contains('{') && !plain.references[0].contains('{'), "{plain:?}");
        for swap in Swap::ALL {
            let other = swap.of(&template, &plain).unwrap_or_else(|e| panic!("{swap}: {e}"));
            assert_ne!(other.question, plain.question);
            assert!(other.side.is_some());
            // The way back, where the lists have one name for each.
            if *swap != Swap::Names && *swap != Swap::Gender {
                let same = plain.question.replace(&other.pairs[0].0, &other.pairs[0].1);
                assert_eq!(same, other.question);
            }
        }
        assert_eq!(Ok(plain), super::plain(&template, seed));
    }
    let pole = Row { language: Some("pl".into()), ..template };
    assert!(plain(&pole, 0).is_err());
}

#[test]
fn every_name_has_its_way_back() {
    for lang in Lang::ALL {
        let all: Vec<&str> = people::names(lang).iter().flatten().copied().collect();
        let once: std::collections::BTreeSet<&&str> = all.iter().collect();
        assert_eq!(once.len(), all.len(), "{lang:?}: a name twice would be exchanged for two");
    }
}

proptest! {
    #[test]
    fn any_text_is_swapped_or_left(text in "(Emily|his|her|il|Herr|25 years old|German customer|é|👩‍👧|שלום|[a-z\"“” ]{0,5}| ){0,12}") {
        for (swap, language) in Swap::ALL.iter().flat_map(|s| ["en", "fr", "de", "es"].map(|l| (*s, l))) {
            if let Ok(found) = swapped(swap, &text, language) {
                prop_assert!(!found.question.trim().is_empty());
                prop_assert_ne!(&found.question, &text);
            }
        }
    }
}
