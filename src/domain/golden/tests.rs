//! Datasets as other tools write them, and what is wrong with the rest.

use super::fields::Field;
use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn rows(name: &str, text: &str) -> Vec<Row> {
    read(name, text.as_bytes(), &BTreeMap::new()).unwrap_or_else(|e| panic!("{e:?}")).rows
}

fn problems(name: &str, text: &str) -> Vec<String> {
    read(name, text.as_bytes(), &BTreeMap::new()).expect_err("problems").iter().map(ToString::to_string).collect()
}

#[test]
fn every_tool_names_the_same_things_otherwise() {
    let check = |name: &str, text: &str| {
        let row = rows(name, text).remove(0);
        assert_eq!((row.question.as_str(), row.references.as_slice()), ("q", &["a".to_owned()][..]), "{text}");
    };
    check("d.jsonl", r#"{"question": "q", "ground_truth": "a"}"#);
    check("d.jsonl", r#"{"user_input": "q", "reference": "a", "retrieved_contexts": ["c"]}"#);
    check("d.json", r#"[{"input": "q", "expected_output": "a", "actual_output": "x"}]"#);
    check("d.json", r#"{"goldens": [{"input": "q", "expected_output": "a"}]}"#);
    check("d.jsonl", r#"{"input": [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}], "ideal": ["a"]}"#);
    check("d.jsonl", r#"{"input": "q", "target": "a", "choices": ["a", "b"]}"#);
    check("d.jsonl", r#"{"inputs": {"question": "q"}, "expectations": {"expected_response": "a"}}"#);
    check("d.jsonl", r#"{"vars": {"question": "q"}, "reference": "a"}"#);
    check("d.csv", "\u{feff}question;ground_truth\nq;a\n");
    check("d.csv", "question,reference\nq,\"[\"\"a\"\"]\"\n");
    check("d", r#"{"query": "q", "expected": "a"}"#);
}

#[test]
fn contexts_mean_what_the_other_columns_leave() {
    let old = rows("d.jsonl", r#"{"question": "q", "answer": "x", "contexts": ["got"]}"#).remove(0);
    assert_eq!(old.answer.expect("an answer").contexts, ["got"]);
    let both =
        rows("d.jsonl", r#"{"question": "q", "answer": "x", "contexts": ["want"], "retrieved_contexts": ["got"]}"#).remove(0);
    assert_eq!(
        (both.reference_contexts, both.answer.expect("an answer").contexts),
        (vec!["want".to_owned()], vec!["got".to_owned()])
    );
}

#[test]
fn problems_come_with_their_line_and_all_at_once() {
    assert_eq!(
        problems("d.jsonl", "{\"question\": \"q\"}\n\n{\"answer\": \"x\"}\n{\"question\": \"q2\", \"latency_ms\": \"soon\"}\n"),
        ["line 3: it has no question", "line 4: `latency_ms` must be a number that is not negative"]
    );
    assert_eq!(
        problems("d.json", "[\n  {\"id\": 1, \"question\": \"a\"},\n  {\"id\": 1, \"question\": \"b\"}\n]"),
        ["line 3: the id `1` stands on line 2 already"]
    );
    assert!(problems("d.jsonl", "{\"question\": \"q\"}\n{oops}\n")[0].starts_with("line 2: it is not JSON"));
    assert_eq!(problems("d.jsonl", "  \n"), ["line 1: the file is empty"]);
    assert!(problems("d.csv", "question,reference\nq\n")[0].starts_with("line 2: it is not CSV"));
    assert_eq!(read("d.jsonl", b"{\"question\": \"q\"}\n\xff", &BTreeMap::new()).expect_err("no UTF-8")[0].line, 2);
}

#[test]
fn columns_can_be_mapped_by_hand_and_the_mapping_is_told() {
    let overrides = BTreeMap::from([("frage".to_owned(), "question".to_owned())]);
    let golden = read("d.csv", b"frage,ground_truth,x\nq,a,1\n", &overrides).expect("read");
    assert_eq!(golden.mapping.renamed(), [("frage".to_owned(), Field::Question), ("ground_truth".to_owned(), Field::Reference)]);
    assert_eq!(golden.rows[0].extra.get("x").and_then(|v| v.as_str()), Some("1"));
    let wrong = BTreeMap::from([("fragen".to_owned(), "question".to_owned())]);
    assert!(read("d.csv", b"frage\nq\n", &wrong).expect_err("no such column")[0].message.contains("no column `fragen`"));
}

#[test]
fn answers_join_by_id_or_question() {
    let rows = rows("d.jsonl", "{\"id\": \"r1\", \"question\": \"q1\"}\n{\"id\": \"r2\", \"question\": \"q2\"}\n");
    let text = "{\"id\": \"r1\", \"answer\": \"a1\", \"cost_usd\": 0.5}\n{\"question\": \"q2\", \"error\": \"timeout\"}\n{\"id\": \"r9\", \"answer\": \"x\"}\n";
    let (found, _, unmatched) = read_answers("a.jsonl", text.as_bytes(), &rows, &BTreeMap::new()).expect("answers");
    assert_eq!((found["r1"].text.as_deref(), found["r1"].cost_usd), (Some("a1"), Some(0.5)));
    assert_eq!(found["r2"].error.as_deref(), Some("timeout"));
    assert_eq!(unmatched, ["r9"]);
    let twice = "{\"id\": \"r1\", \"answer\": \"a\"}\n{\"id\": \"r1\", \"answer\": \"b\"}\n";
    assert_eq!(read_answers("a.jsonl", twice.as_bytes(), &rows, &BTreeMap::new()).expect_err("twice")[0].line, 2);
}

#[test]
fn rows_without_id_get_one_from_their_content() {
    let a = rows("d.jsonl", "{\"question\": \"q\", \"reference\": \"a\"}\n").remove(0);
    let b = rows("d.csv", "reference,question\na,q\n").remove(0);
    assert_eq!(a.id, b.id);
    assert_eq!(a.id.len(), 12);
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), csv: bool) {
        let _ = read(if csv { "d.csv" } else { "d.json" }, &bytes, &BTreeMap::new());
    }

    #[test]
    fn no_json_makes_the_reader_panic(key in "question|contexts|tags|relevance|id", value in "[\\[\\]{}\":,a0 ]{0,30}") {
        let _ = read("d.jsonl", format!("{{\"{key}\": {value}, \"question\": \"q\"}}").as_bytes(), &BTreeMap::new());
    }
}
