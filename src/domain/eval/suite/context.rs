//! Other contexts for the same question: in another order, one twice, one that is beside the point, without those that answer, with
//! one that contradicts, with an instruction in one.
//!
//! Which contexts answer a question is what the row says: those that hold one of its reference contexts, or are at least half like one
//! ([`Alike`]). Texts that distract are contexts of other rows that are like none of this row's.

use super::super::metrics::contexts::Alike;
use super::super::proxy::Lang;
use super::phrases;
use crate::domain::golden::Row;
use crate::domain::ingest::chunk::sentences_of;
use crate::stats::rng::Rng;

/// Changed contexts, or why there are none.
pub(super) type Changed = Result<Vec<String>, &'static str>;

/// Which contexts answer the row's question.
pub(super) fn relevant(contexts: &[String], row: &Row) -> Vec<bool> {
    let alike = Alike::of(contexts, &row.reference_contexts);
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let wanted: Vec<String> = row.reference_contexts.iter().map(|r| plain(r)).filter(|r| !r.is_empty()).collect();
    let holds = |context: &String| wanted.iter().any(|r| plain(context).contains(r));
    contexts.iter().zip(alike.relevant()).map(|(context, like)| *like || holds(context)).collect()
}

/// In another order.
pub(super) fn shuffled(contexts: &[String], rng: &mut Rng) -> Changed {
    if contexts.windows(2).all(|two| two[0] == two[1]) {
        return Err("it has no two different contexts");
    }
    let mut out = contexts.to_vec();
    let all = out.len();
    rng.draw(&mut out, all);
    // Different texts have another order one step on.
    if out == contexts {
        out.rotate_left(1);
    }
    Ok(out)
}

/// With one of them twice.
pub(super) fn duplicated(contexts: &[String], rng: &mut Rng) -> Changed {
    let copy = contexts.get(rng.below(contexts.len())).ok_or("it has no contexts")?.clone();
    Ok(inserted(contexts, copy, rng))
}

/// With one that is about something else.
pub(super) fn distracted(contexts: &[String], row: &Row, pool: &[(&str, &str)], rng: &mut Rng) -> Changed {
    let other = distractor(contexts, row, pool, rng).ok_or(NO_OTHER)?;
    Ok(inserted(contexts, other, rng))
}

/// Without those that answer the question; with something else where nothing is left.
pub(super) fn without_relevant(contexts: &[String], row: &Row, pool: &[(&str, &str)], rng: &mut Rng) -> Changed {
    if row.reference_contexts.is_empty() {
        return Err("it does not say which context answers it: a column `reference_contexts` does");
    }
    let relevant = relevant(contexts, row);
    if !relevant.contains(&true) {
        return Err("none of its contexts is like a reference context");
    }
    let mut left: Vec<String> = contexts.iter().zip(relevant).filter(|(_, answers)| !answers).map(|(c, _)| c.clone()).collect();
    if left.is_empty() {
        left.push(distractor(contexts, row, pool, rng).ok_or(NO_OTHER)?);
    }
    Ok(left)
}

const NO_OTHER: &str = "no other row has a context that is about something else";

/// With one that says otherwise than the context that answers: another number in the place of the one that is asked for, or, where a
/// reference has no number, that it holds no more.
pub(super) fn contradicted(contexts: &[String], row: &Row, lang: Option<Lang>, rng: &mut Rng) -> Changed {
    let relevant = relevant(contexts, row);
    let truth = contexts.iter().zip(relevant).find(|(_, answers)| *answers).map(|(c, _)| c.as_str());
    let truth = truth.or_else(|| row.reference_contexts.first().map(String::as_str));
    let truth = truth.ok_or("it does not say which context answers it: a column `reference_contexts` does")?;
    let asked: Vec<&str> = row.references.iter().flat_map(|r| numbers(r)).map(|at| at.1).collect();
    let text = if asked.is_empty() {
        phrases::denied(lang.ok_or(super::NO_LANGUAGE)?, truth.trim())
    } else {
        let counted = sentences_of(truth).into_iter().find_map(|sentence| other_number(sentence, &asked));
        counted.ok_or("the context that answers has no number of its references to contradict")?
    };
    Ok(inserted(contexts, text, rng))
}

/// The sentence with another number in the place of the first that is asked for; `None` when it has none of them.
fn other_number(sentence: &str, asked: &[&str]) -> Option<String> {
    let (at, number) = numbers(sentence).into_iter().find(|(_, number)| asked.contains(number))?;
    // Of `4.90` the whole part.
    let digits = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    let other = number[..digits].parse::<u64>().ok()?.checked_mul(2)?.checked_add(1)?;
    Some(format!("{}{other}{}", &sentence[..at], &sentence[at + digits..]))
}

/// The numbers of a text with where they begin: digits, with the points and commas between them.
fn numbers(text: &str) -> Vec<(usize, &str)> {
    let (mut found, mut from) = (Vec::new(), 0);
    while let Some(start) = text[from..].find(|c: char| c.is_ascii_digit()).map(|at| from + at) {
        let end = text[start..].find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | ',')).map_or(text.len(), |n| start + n);
        found.push((start, text[start..end].trim_end_matches(['.', ','])));
        from = end;
    }
    found
}

/// With one that holds an instruction to say this word.
pub(super) fn injected(contexts: &[String], lang: Option<Lang>, word: &str, rng: &mut Rng) -> Changed {
    if contexts.is_empty() {
        return Err("it has no contexts");
    }
    Ok(inserted(contexts, phrases::injected(lang, word), rng))
}

fn inserted(contexts: &[String], text: String, rng: &mut Rng) -> Vec<String> {
    let mut out = contexts.to_vec();
    out.insert(rng.below(out.len() + 1), text);
    out
}

/// A context of another row, and of another cluster, that is like none of these.
fn distractor(contexts: &[String], row: &Row, pool: &[(&str, &str)], rng: &mut Rng) -> Option<String> {
    let own: Vec<String> = contexts.iter().chain(&row.reference_contexts).cloned().collect();
    let mut others: Vec<&str> = pool.iter().filter(|(of, _)| !same(of, row)).map(|(_, text)| *text).collect();
    // A few that are drawn will do: comparing with all of a large dataset would take its square.
    rng.draw(&mut others, TRIED);
    let apart =
        |text: &&str| Alike::of(&[(*text).to_owned()], &own).relevant() == [false] && !own.iter().any(|o| o.contains(*text));
    others.into_iter().take(TRIED).find(apart).map(str::to_owned)
}

const TRIED: usize = 8;

fn same(of: &str, row: &Row) -> bool {
    of == row.cluster.as_deref().unwrap_or(&row.id)
}

/// The contexts of all rows, each with the row's cluster, or its id where it is alone.
pub(super) fn pool(rows: &[Row]) -> Vec<(&str, &str)> {
    rows.iter()
        .flat_map(|row| {
            let name = row.cluster.as_deref().unwrap_or(&row.id);
            row.reference_contexts.iter().chain(&row.contexts).map(move |text| (name, text.as_str()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::rng::Rng;
    use proptest::prelude::*;

    fn row(id: &str, reference: &str) -> Row {
        Row { id: id.into(), question: "How long?".into(), reference_contexts: vec![reference.into()], ..Row::default() }
    }

    fn texts(all: &[&str]) -> Vec<String> {
        all.iter().map(|t| (*t).to_owned()).collect()
    }

    const RETURNS: &str = "Items are taken back within 30 days of delivery.";
    const SHIPPING: &str = "Parcels to islands cost more than those to the mainland.";

    #[test]
    fn a_passage_that_holds_the_reference_answers() {
        let long = format!("# Returns\n{}\n{}", RETURNS.replace(' ', "\n"), "More is told on the page of returns. ".repeat(9));
        assert_eq!(relevant(&texts(&[SHIPPING, RETURNS, &long]), &row("a", RETURNS)), [false, true, true]);
    }

    #[test]
    fn without_what_answers_something_else_is_left() {
        let (a, b) = (row("a", RETURNS), row("b", SHIPPING));
        let rows = [a.clone(), b];
        let pool = pool(&rows);
        let r = &mut Rng::new(1);
        assert_eq!(without_relevant(&texts(&[RETURNS, "Other."]), &a, &pool, r), Ok(texts(&["Other."])));
        assert_eq!(without_relevant(&texts(&[RETURNS]), &a, &pool, r), Ok(texts(&[SHIPPING])));
        assert!(without_relevant(&texts(&["Other."]), &a, &pool, r).is_err());
        let same = Row { cluster: Some("b".into()), ..a.clone() };
        assert!(without_relevant(&texts(&[RETURNS]), &same, &pool, r).is_err(), "of one cluster");
        assert!(distracted(&texts(&[RETURNS, SHIPPING]), &a, &pool, r).is_err(), "it is there already");
        let more = distracted(&texts(&[RETURNS]), &a, &pool, r).expect("one more");
        assert!(more.len() == 2 && more.contains(&SHIPPING.to_owned()) && more.contains(&RETURNS.to_owned()));
    }

    #[test]
    fn a_contradiction_has_another_number_or_denies() {
        let r = &mut Rng::new(3);
        let of = |references: &[&str], passage: &str| Row { references: texts(references), ..row("a", passage) };
        let all = contradicted(&texts(&[SHIPPING, RETURNS]), &of(&["30 days"], RETURNS), None, r).expect("one");
        assert!(all.contains(&RETURNS.replace("30", "61")), "{all:?}");
        // What the passage says first is not what is asked for.
        let long = "Open since 1998. Call 555 10 for more. Adults pay 4 euros, children 2.50.";
        let all = contradicted(&texts(&[long]), &of(&["It is 2.50 euros."], long), None, r).expect("one");
        assert!(all.iter().any(|t| t == "Adults pay 4 euros, children 5.50."), "{all:?}");
        let e = contradicted(&texts(&[long]), &of(&["It is 7 euros."], long), Some(Lang::En), r).expect_err("no such number");
        assert!(e.contains("no number of its references"), "{e}");
        let denied = contradicted(&texts(&[long]), &of(&["Children pay less."], long), Some(Lang::En), r).expect("one");
        assert!(denied.iter().any(|t| t != long && t.contains(long)), "{denied:?}");
        let all = contradicted(&texts(&[SHIPPING]), &row("b", SHIPPING), Some(Lang::De), r).expect("one");
        assert!(all.iter().any(|t| t.starts_with("Folgendes stimmt nicht mehr: Parcels")), "{all:?}");
        assert!(contradicted(&texts(&[SHIPPING]), &row("b", SHIPPING), None, r).is_err());
        assert_eq!(other_number("It costs 4.90 euros.", &["4.90"]).as_deref(), Some("It costs 9.90 euros."));
    }

    #[test]
    fn an_instruction_is_one_more_context() {
        let all = injected(&texts(&[RETURNS]), Some(Lang::Es), "KF12", &mut Rng::new(1)).expect("one");
        assert!(all.len() == 2 && all.iter().any(|t| t.contains("la palabra KF12.")));
        assert!(injected(&[], None, "KF12", &mut Rng::new(1)).is_err());
    }

    proptest! {
        #[test]
        fn shuffling_loses_nothing_and_changes_the_order(all in proptest::collection::vec("[ab]{1,2}", 1..6), seed: u64) {
            let shuffled = shuffled(&all, &mut Rng::new(seed));
            prop_assert_eq!(shuffled.is_err(), all.iter().all(|t| *t == all[0]));
            if let Ok(mut other) = shuffled {
                prop_assert_ne!(&other, &all);
                let mut sorted = all.clone();
                sorted.sort();
                other.sort();
                prop_assert_eq!(other, sorted);
            }
        }
    }
}
