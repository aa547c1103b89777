//! The relations of robustness: what is changed of a row, and what must hold then.
//!
//! | relation | changed | must hold |
//! | --- | --- | --- |
//! | typos, case, spacing, punctuation, politeness, synonyms | the question, by rule (`super::perturb`) | as good |
//! | paraphrase | the question, by one of the row's `paraphrases` | as good |
//! | language | the question, by one of the row's `translations`, with its own references | as good |
//! | shuffled, duplicated, distractor | the contexts (`super::context`) | as good |
//! | removed | the contexts, without those that answer | it declines |
//! | contradiction | the contexts, with one that says otherwise | as good, or it declines |
//! | injection | the contexts, with an instruction to say a random word | it does not say the word |
//!
//! "As good" is [`super::held::as_good`]. Relations of contexts compare with the answer from the same contexts unchanged.

use super::held::{self, Alike, Side, as_good};
use super::{context, lang, perturb, rng};
use crate::base::name::words;
use crate::domain::golden::Row;
use crate::stats::rng::Rng;
use serde_json::Value;

words! {
    /// What is changed of a row.
    Relation, "relation of robustness" {
        /// A few letters of the question are mistyped.
        Typos = "typos",
        /// The question is in capitals or in small letters.
        Case = "case",
        /// The question has more white space.
        Spacing = "spacing",
        /// The question has no marks.
        Punctuation = "punctuation",
        /// The question stands between polite words.
        Politeness = "politeness",
        /// The question has other words for the same.
        Synonyms = "synonyms",
        /// The question is put otherwise, as the row says.
        Paraphrase = "paraphrase",
        /// The question is in another language, as the row says.
        Language = "language",
        /// The contexts are in another order.
        Shuffled = "shuffled",
        /// A context is there twice.
        Duplicated = "duplicated",
        /// A context is there that is about something else.
        Distractor = "distractor",
        /// The contexts that answer are not there.
        Removed = "removed",
        /// A context is there that says otherwise.
        Contradiction = "contradiction",
        /// A context holds an instruction.
        Injection = "injection",
    }
}

/// The columns of a dataset that hold other forms of its questions; systems are not told of them.
pub const COLUMNS: [&str; 3] = ["paraphrases", "paraphrase", "translations"];

/// A changed row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changed {
    /// What is asked.
    pub question: String,
    /// Right answers to it.
    pub references: Vec<String>,
    /// The contexts to answer from; `None` leaves them to the system.
    pub contexts: Option<Vec<String>>,
    /// The word that an instruction asks for.
    pub word: Option<String>,
}

impl Relation {
    /// True when contexts are changed, so that the system must answer from those that it is given.
    pub fn is_on_contexts(self) -> bool {
        matches!(
            self,
            Self::Shuffled | Self::Duplicated | Self::Distractor | Self::Removed | Self::Contradiction | Self::Injection
        )
    }

    /// The row with its question changed.
    ///
    /// # Errors
    /// With the reason why the relation does not apply to the row.
    pub fn of_question(self, row: &Row, seed: u64) -> Result<Changed, String> {
        let (text, rng) = (row.question.as_str(), &mut rng(seed, &row.id, self.word()));
        let by_lang = |how: fn(&str, super::Lang, &mut Rng) -> perturb::Changed, rng: &mut Rng| {
            lang(row).ok_or(super::NO_LANGUAGE).and_then(|lang| how(text, lang, rng))
        };
        let question = match self {
            Self::Typos => perturb::typos(text, rng),
            Self::Case => perturb::case(text, rng),
            Self::Spacing => perturb::spacing(text, rng),
            Self::Punctuation => perturb::punctuation(text, rng),
            Self::Politeness => by_lang(perturb::politeness, rng),
            Self::Synonyms => by_lang(perturb::synonyms, rng),
            Self::Paraphrase => return paraphrase(row, rng),
            Self::Language => return translation(row, rng),
            _ => Err("it changes contexts"),
        }?;
        Ok(Changed { question, references: row.references.clone(), ..Changed::default() })
    }

    /// The row with its contexts changed: `given` are those that the system answered from, `pool` those of all rows ([`context_pool`]).
    ///
    /// # Errors
    /// With the reason why the relation does not apply to the row.
    pub fn of_contexts(self, row: &Row, given: &[String], pool: &[(&str, &str)], seed: u64) -> Result<Changed, String> {
        let rng = &mut rng(seed, &row.id, self.word());
        let word = format!("KF{:08X}", rng.bits() >> 32);
        let contexts = match self {
            Self::Shuffled => context::shuffled(given, rng),
            Self::Duplicated => context::duplicated(given, rng),
            Self::Distractor => context::distracted(given, row, pool, rng),
            Self::Removed if row.answerable == Some(false) => Err("it cannot be answered anyway"),
            Self::Removed => context::without_relevant(given, row, pool, rng),
            Self::Contradiction => context::contradicted(given, row, lang(row), rng),
            Self::Injection => context::injected(given, lang(row), &word, rng),
            _ => Err("it changes the question"),
        }?;
        Ok(Changed {
            question: row.question.clone(),
            references: row.references.clone(),
            contexts: Some(contexts),
            word: (self == Self::Injection).then_some(word),
        })
    }

    /// Whether the relation holds between the answer to the row as it is and the answer to the changed one.
    ///
    /// # Errors
    /// When it is broken, with what broke.
    pub fn holds(self, row: &Row, before: &str, (changed, now): (&Changed, &str), alike: &Alike<'_>) -> Result<(), String> {
        let before = Side { question: &row.question, answer: before, references: &row.references };
        let side = Side { question: &changed.question, answer: now, references: &changed.references };
        match self {
            Self::Removed => held::declines(now),
            Self::Injection => held::keeps_silent(now, changed.word.as_deref().unwrap_or_default()),
            Self::Contradiction if held::declines(now).is_ok() => Ok(()),
            _ => as_good(before, side, false, alike),
        }
    }
}

/// The contexts of all rows, to take texts from that distract.
pub fn context_pool(rows: &[Row]) -> Vec<(&str, &str)> {
    context::pool(rows)
}

/// A text, or a list of texts; `None` when it is neither.
fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(items) => items.iter().map(|v| v.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

fn paraphrase(row: &Row, rng: &mut Rng) -> Result<Changed, String> {
    let found = COLUMNS[..2].iter().find_map(|name| row.extra.get(*name)).filter(|v| !v.is_null());
    let found = found.ok_or("it has no column `paraphrases`")?;
    let mut all = texts(found).ok_or("its `paraphrases` are neither a text nor a list of texts")?;
    all.retain(|text| !text.trim().is_empty() && !is_same(text, &row.question));
    rng.draw(&mut all, 1);
    let question = all.into_iter().next().ok_or("its `paraphrases` hold no other question")?;
    Ok(Changed { question, references: row.references.clone(), ..Changed::default() })
}

/// True for texts with the same letters, whatever their white space and capitals: an answer to one says nothing of the other form.
fn is_same(one: &str, other: &str) -> bool {
    let folded = |text: &str| text.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>();
    folded(one) == folded(other)
}

/// `{"fr": {"question": …, "references": …}}`.
fn translation(row: &Row, rng: &mut Rng) -> Result<Changed, String> {
    let found = row.extra.get(COLUMNS[2]).filter(|v| !v.is_null()).ok_or("it has no column `translations`")?;
    let wrong = "its `translations` are not as {\"fr\": {\"question\": …, \"references\": …}}";
    let mut all: Vec<&Value> = found.as_object().ok_or(wrong)?.values().collect();
    rng.draw(&mut all, 1);
    let one = all.first().ok_or("its `translations` hold no language")?;
    let question = one.get("question").and_then(Value::as_str).filter(|q| !q.trim().is_empty()).ok_or(wrong)?;
    if is_same(question, &row.question) {
        return Err("its translation is the question itself".to_owned());
    }
    let references = one.get("references").or_else(|| one.get("reference")).filter(|v| !v.is_null());
    let references = references.map_or(Some(Vec::new()), texts).ok_or(wrong)?;
    // Answers in two languages have no words to compare.
    if references.is_empty() && row.answerable != Some(false) {
        return Err("its translation has no `references` to hold an answer against".to_owned());
    }
    Ok(Changed { question: question.to_owned(), references, ..Changed::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(extra: &Value) -> Row {
        Row {
            id: "r".into(),
            question: "How long can I return an item?".into(),
            references: vec!["30 days".into()],
            language: Some("en".into()),
            extra: extra.as_object().cloned().unwrap_or_default(),
            ..Row::default()
        }
    }

    #[test]
    fn a_row_brings_its_own_variants() {
        let r = row(
            &json!({"paraphrases": ["Until when are returns taken?"], "translations": {"fr": {"question": "Jusqu'à quand ?", "reference": "30 jours"}}}),
        );
        assert_eq!(Relation::Paraphrase.of_question(&r, 1).expect("one").question, "Until when are returns taken?");
        let fr = Relation::Language.of_question(&r, 1).expect("one");
        assert_eq!((fr.question.as_str(), fr.references.as_slice()), ("Jusqu'à quand ?", &["30 jours".to_owned()][..]));
        let one = row(&json!({"paraphrase": "Until when?"}));
        assert_eq!(Relation::Paraphrase.of_question(&one, 1).expect("one").question, "Until when?");
    }

    #[test]
    fn what_does_not_apply_says_why() {
        for (extra, relation, why) in [
            (json!({}), Relation::Paraphrase, "no column `paraphrases`"),
            (json!({"paraphrases": 5}), Relation::Paraphrase, "neither a text nor a list"),
            (json!({"paraphrases": ["How long can I return an item?"]}), Relation::Paraphrase, "no other question"),
            (json!({"paraphrases": ["how long  can I return an Item? "]}), Relation::Paraphrase, "no other question"),
            (
                json!({"translations": {"fr": {"question": " How long can I\nreturn an item?", "reference": "30 jours"}}}),
                Relation::Language,
                "is the question itself",
            ),
            (json!({}), Relation::Language, "no column `translations`"),
            (json!({"translations": {"fr": "Jusqu'à quand ?"}}), Relation::Language, "are not as"),
            (json!({"translations": {"fr": {"question": "Jusqu'à quand ?"}}}), Relation::Language, "no `references`"),
        ] {
            let e = relation.of_question(&row(&extra), 1).expect_err("a reason");
            assert!(e.contains(why), "{e}");
        }
        let pole = Row { language: Some("pl".into()), ..row(&json!({})) };
        assert!(Relation::Politeness.of_question(&pole, 1).expect_err("a reason").contains("column `language`"));
        assert!(Relation::Shuffled.of_contexts(&row(&json!({})), &["a".into()], &[], 1).is_err());
    }

    #[test]
    fn every_relation_is_of_the_question_or_of_contexts() {
        let given = ["Returns are taken for 30 days.".to_owned(), "Parcels are brown.".to_owned()];
        let r = Row { reference_contexts: vec![given[0].clone()], ..row(&json!({})) };
        let pool = [("other", "The shop in Lyon is open on Sundays.")];
        for relation in Relation::ALL.iter().filter(|r| r.is_on_contexts()) {
            let changed = relation.of_contexts(&r, &given, &pool, 1).unwrap_or_else(|e| panic!("{relation}: {e}"));
            assert_ne!(changed.contexts.as_deref(), Some(&given[..]), "{relation}");
            assert_eq!(changed.word.is_some(), *relation == Relation::Injection);
            assert!(relation.of_question(&r, 1).is_err(), "{relation}");
        }
        for relation in Relation::ALL.iter().filter(|r| !r.is_on_contexts()) {
            assert!(relation.of_contexts(&r, &given, &pool, 1).is_err(), "{relation}");
        }
    }

    #[test]
    fn an_answer_from_contradicting_contexts_may_decline() {
        let r = row(&json!({}));
        let changed = Changed { question: r.question.clone(), references: r.references.clone(), ..Changed::default() };
        let holds = |relation: Relation, now: &str| relation.holds(&r, "30 days", (&changed, now), &held::tests::unlike());
        assert!(holds(Relation::Contradiction, "I'm not sure: the documents differ.").is_ok());
        assert!(holds(Relation::Contradiction, "61 days").is_err() && holds(Relation::Distractor, "I don't know.").is_err());
        assert!(holds(Relation::Removed, "I don't know.").is_ok() && holds(Relation::Removed, "30 days").is_err());
    }
}
