//! Recorded answers: what a system said to the questions of a golden dataset, in a file of its own.

use super::fields::{Field, Mapping, Mode, Override};
use super::problems::Problems;
use super::raw::Format;
use super::read::{File, Values};
use super::row::Row;
use super::values;
use crate::base::digest::Digest;
use crate::base::text::ellipsis;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use unicode_normalization::UnicodeNormalization as _;

/// What a system said to one question, or why it said nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Answer {
    /// The id of the row it answers.
    pub id: Option<String>,
    /// The question it answers; each answer has this or an id.
    pub question: Option<String>,
    /// What was said.
    pub answer: Option<String>,
    /// What was retrieved, best first.
    pub contexts: Vec<String>,
    /// Ids of what was retrieved, best first.
    pub context_ids: Vec<String>,
    /// How long it took, in milliseconds.
    pub latency_ms: Option<f64>,
    /// What it cost, in US dollars.
    pub cost_usd: Option<f64>,
    /// Tokens in and out.
    pub tokens: Option<u64>,
    /// Why there is no answer.
    pub error: Option<String>,
    /// What the file says beyond that.
    pub extra: Map<String, Value>,
}

impl Answer {
    /// The answer that was recorded with the question itself; `None` when there is none.
    pub fn of_row(row: &Row) -> Option<Self> {
        let answer = row.answer.clone()?;
        Some(Self {
            id: Some(row.id.clone()),
            question: Some(row.question.clone()),
            answer: Some(answer),
            contexts: row.contexts.clone(),
            context_ids: row.context_ids.clone(),
            latency_ms: row.latency_ms,
            cost_usd: row.cost_usd,
            tokens: row.tokens,
            error: None,
            extra: Map::new(),
        })
    }

    /// What it says that it answers: an id, else a question.
    pub fn names(&self) -> &str {
        self.id.as_deref().or(self.question.as_deref()).unwrap_or_default()
    }
}

/// A file of answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Answers {
    /// The answers in the order of the file.
    pub answers: Vec<Answer>,
    /// The line each starts on, from 1.
    pub lines: Vec<usize>,
    /// How its fields were read.
    pub mapping: Mapping,
    /// How it is written.
    pub format: Format,
    /// SHA-256 of the file's bytes.
    pub digest: Digest,
}

/// Reads a file of answers: the same formats and names as golden datasets, where `output`, `outputs` and `answer` are always
/// what a system said.
///
/// # Errors
/// All that is wrong: no rows, a row with neither id nor question, or with neither answer nor error, values of the wrong type.
pub fn read_answers(name: &str, bytes: &[u8], overrides: &[Override]) -> Result<Answers, Problems> {
    let mut problems = Problems::new(name);
    let file = File::read(name, bytes, Mode::Answers, overrides, &mut problems);
    let (mut answers, mut lines) = (Vec::new(), Vec::new());
    let needed = file.missing(overrides, &[Field::Id, Field::Question, Field::Answer, Field::Error]);
    for mut values in file.rows {
        lines.push(values.line);
        answers.push(answer_of(&mut values, &mut problems));
    }
    problems.because(needed);
    problems.or(Answers { answers, lines, mapping: file.mapping, format: file.format, digest: Digest::of(bytes) })
}

fn answer_of(values: &mut Values, problems: &mut Problems) -> Answer {
    let known = problems.total();
    let (contexts, context_ids) = values.passages(Field::Contexts, Field::ContextIds, problems);
    let said = values.get(Field::Answer, problems, values::answer);
    let error = values.get(Field::Error, problems, values::answer);
    let blank = said.is_none() && error.is_none() && values.answers_nothing();
    let answer = Answer {
        id: values.get(Field::Id, problems, values::text),
        question: values.get(Field::Question, problems, values::question),
        answer: if blank { Some(String::new()) } else { said },
        contexts,
        context_ids,
        latency_ms: values.get(Field::LatencyMs, problems, values::amount),
        cost_usd: values.get(Field::CostUsd, problems, values::amount),
        tokens: values.get(Field::Tokens, problems, values::whole),
        error,
        extra: values.extra(),
    };
    // A value of the wrong type was told already; it is not missing as well.
    if problems.total() == known {
        if answer.id.is_none() && answer.question.is_none() {
            problems.push(values.line, "the answer has neither `id` nor `question`, so it belongs to no row");
        }
        if answer.answer.is_none() && answer.error.is_none() {
            problems.push(values.line, "the row has neither `answer` nor `error`");
        }
    }
    answer
}

/// Why an answer belongs to no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unmatched {
    /// No row has its id or its question.
    NoRow,
    /// It has no id, and several rows ask its question.
    Ambiguous,
    /// Its row has an earlier answer.
    Repeated,
}

/// Rows with their answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Joined<'a> {
    /// Every row in order, with its answer when there is one.
    pub pairs: Vec<(&'a Row, Option<&'a Answer>)>,
    /// Positions of the answers that belong to no row, with the reason.
    pub unmatched: Vec<(usize, Unmatched)>,
}

impl Joined<'_> {
    /// Ids of the rows without answer.
    pub fn unanswered(&self) -> Vec<&str> {
        self.pairs.iter().filter(|(_, a)| a.is_none()).map(|(r, _)| r.id.as_str()).collect()
    }
}

impl Answers {
    /// Holds every row to have one answer at most: which of two counts would be a guess. `name` is the file's.
    ///
    /// # Errors
    /// Every answer whose row has an earlier one.
    pub fn check_once(&self, name: &str, joined: &Joined<'_>) -> Result<(), Problems> {
        let mut problems = Problems::new(name);
        for (i, _) in joined.unmatched.iter().filter(|(_, why)| *why == Unmatched::Repeated) {
            let what = ellipsis(self.answers[*i].names(), 60);
            problems.push(self.lines[*i], format!("the row of `{what}` has an earlier answer in this file"));
        }
        problems.or(())
    }
}

/// Finds the row of each answer: by id, else by question. Questions are equal after NFC and with blanks run together.
pub fn join<'a>(rows: &'a [Row], answers: &'a [Answer]) -> Joined<'a> {
    let by_id: BTreeMap<&str, usize> = rows.iter().enumerate().map(|(i, r)| (r.id.as_str(), i)).collect();
    let mut by_question: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (i, row) in rows.iter().enumerate() {
        by_question.entry(plain(&row.question)).or_default().push(i);
    }
    let mut pairs: Vec<(&Row, Option<&Answer>)> = rows.iter().map(|r| (r, None)).collect();
    let mut unmatched = Vec::new();
    for (i, answer) in answers.iter().enumerate() {
        let named = answer.id.as_deref().and_then(|id| by_id.get(id).copied());
        let asked = || answer.question.as_deref().and_then(|q| by_question.get(&plain(q)).map(Vec::as_slice)).unwrap_or_default();
        let row = match (named, asked()) {
            (Some(row), _) | (None, &[row]) => Ok(row),
            (None, []) => Err(Unmatched::NoRow),
            (None, _) => Err(Unmatched::Ambiguous),
        };
        match row {
            Ok(row) if pairs[row].1.is_none() => pairs[row].1 = Some(answer),
            Ok(_) => unmatched.push((i, Unmatched::Repeated)),
            Err(why) => unmatched.push((i, why)),
        }
    }
    Joined { pairs, unmatched }
}

/// A question without what two people would write differently.
pub fn plain(question: &str) -> String {
    question.split_whitespace().collect::<Vec<_>>().join(" ").nfc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row(id: &str, question: &str) -> Row {
        Row { id: id.into(), question: question.into(), ..Row::default() }
    }

    #[test]
    fn answers_find_their_rows() {
        let text = r#"{"id": 1, "output": "a", "latency_ms": 12.5, "cost": 0.25, "usage": {"total_tokens": 7, "x": 1}}
            {"question": "what  is\nthis?", "answer": "b", "contexts": ["c"]}
            {"question": "twice", "answer": "d"}
            {"id": "1", "response": "again"}
            {"id": "nobody", "error": "timeout"}
            {"id": "y", "question": "lone", "error": "timeout"}"#;
        let file = read_answers("a.jsonl", text.as_bytes(), &[]).expect("valid");
        assert_eq!((file.answers[0].tokens, file.answers[0].cost_usd, file.lines[5]), (Some(7), Some(0.25), 6));
        assert_eq!(file.answers[0].extra["usage"]["x"], 1);
        let rows = [row("1", "one"), row("2", "what is this?"), row("3", "twice"), row("4", "twice"), row("5", "lone")];
        let joined = join(&rows, &file.answers);
        let said: Vec<_> = joined.pairs.iter().map(|(_, a)| a.and_then(|a| a.answer.as_deref())).collect();
        assert_eq!(said, [Some("a"), Some("b"), None, None, None]);
        assert_eq!(
            joined.pairs[4].1.and_then(|a| a.error.as_deref()),
            Some("timeout"),
            "an unknown id falls back to the question"
        );
        assert_eq!(joined.unmatched, [(2, Unmatched::Ambiguous), (3, Unmatched::Repeated), (4, Unmatched::NoRow)]);
        assert_eq!(joined.unanswered(), ["3", "4"]);
        let e = file.check_once("a.jsonl", &joined).expect_err("twice");
        assert_eq!(e.to_string(), "a.jsonl:4: the row of `1` has an earlier answer in this file");
    }

    #[test]
    fn answers_without_row_or_content_are_refused() {
        let e = read_answers("a.csv", b"id,answer\n,x\n2,\n3,ok\n", &[]).expect_err("problems");
        assert_eq!(
            e.to_string(),
            "a.csv:2: the answer has neither `id` nor `question`, so it belongs to no row\n\
             a.csv:3: the row has neither `answer` nor `error`"
        );
        let e = read_answers("a.json", br#"[{"id": "1", "answer": "x", "latency_ms": "fast"}]"#, &[]).expect_err("type");
        assert_eq!(e.to_string(), "a.json:1: `latency_ms`: expected a number, found \"fast\"");
    }

    /// As of a system that is asked: saying nothing is an answer. In CSV an empty cell is no value.
    #[test]
    fn an_empty_answer_is_an_answer_unless_there_is_an_error() {
        let text = r#"{"id": "1", "answer": ""}
            {"id": "2", "response": "  ", "note": ""}
            {"id": "3", "answer": "", "error": "timeout"}
            {"id": "4", "answer": "", "response": "said"}"#;
        let file = read_answers("a.jsonl", text.as_bytes(), &[]).expect("valid");
        let said: Vec<_> = file.answers.iter().map(|a| a.answer.as_deref()).collect();
        assert_eq!(said, [Some(""), Some(""), None, Some("said")]);
        assert_eq!(file.answers[1].extra.keys().collect::<Vec<_>>(), ["note"]);
        for missing in [r#"[{"id": "1", "answer": null}]"#, r#"[{"id": "1"}]"#, r#"[{"id": "1", "answer": []}]"#] {
            assert!(read_answers("a.json", missing.as_bytes(), &[]).is_err(), "{missing}");
        }
    }

    #[test]
    fn an_answer_recorded_with_its_question_counts() {
        let mut golden = row("1", "q");
        assert_eq!(Answer::of_row(&golden), None);
        golden.answer = Some("a".into());
        assert_eq!(Answer::of_row(&golden).and_then(|a| a.answer).as_deref(), Some("a"));
    }

    proptest! {
        #[test]
        fn reading_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..80), text in "[\\[\\]{}\",:;a-c1é \n]{0,60}") {
            for name in ["a.json", "a.jsonl", "a.csv", "a"] {
                let _ = read_answers(name, &bytes, &[]);
                let _ = read_answers(name, text.as_bytes(), &[]);
            }
        }
    }
}
