use super::*;
use crate::domain::golden::row::to_jsonl;
use proptest::prelude::*;
use serde_json::json;

fn rows(name: &str, text: &str) -> Vec<Row> {
    read(name, text.as_bytes(), &[]).unwrap_or_else(|e| panic!("{e}")).rows
}

/// Reads one row written as JSON and compares what it says with the fields given, in the canonical writing.
fn check(tool: &str, row: Value, expected: Value) {
    let read = rows("x.json", &json!([row]).to_string());
    let written: Value = serde_json::from_str(&to_jsonl(&read)).expect("one line");
    let mut expected = expected;
    expected["id"] = written["id"].clone();
    assert_eq!(written, expected, "{tool}");
}

fn check_problems(name: &str, text: &str, expected: &[&str]) {
    let e = read(name, text.as_bytes(), &[]).expect_err(text);
    let found = e.to_string();
    assert_eq!(found.lines().collect::<Vec<_>>(), expected.iter().map(|m| format!("{name}:{m}")).collect::<Vec<_>>(), "{text}");
}

/// Rows as the tools' documentation shows them (sources in `fields.rs`).
#[test]
fn rows_of_many_tools_read_as_one_kind() {
    check(
        "ragas 0.4",
        json!({"user_input": "q", "response": "a", "reference": "r", "retrieved_contexts": ["c"], "reference_contexts": ["d"],
               "retrieved_context_ids": [1, "x"], "reference_context_ids": ["y"], "persona_name": "p"}),
        json!({"question": "q", "references": ["r"], "response": "a", "retrieved_contexts": ["c"], "reference_contexts": ["d"],
               "retrieved_context_ids": ["1", "x"], "reference_context_ids": ["y"], "extra": {"persona_name": "p"}}),
    );
    check(
        "ragas 0.1",
        json!({"question": "q", "answer": "a", "contexts": ["c"], "ground_truths": ["r", "s"]}),
        json!({"question": "q", "references": ["r", "s"], "response": "a", "retrieved_contexts": ["c"]}),
    );
    check(
        "DeepEval",
        json!({"input": "q", "actual_output": "a", "expected_output": "r", "context": ["d"], "retrieval_context": ["c"],
               "tools_called": [{"name": "t"}]}),
        json!({"question": "q", "references": ["r"], "response": "a", "retrieved_contexts": ["c"], "reference_contexts": ["d"],
               "extra": {"tools_called": [{"name": "t"}]}}),
    );
    check(
        "promptfoo",
        json!({"vars": {"query": "q", "context": "c", "tone": "t"}, "assert": [{"type": "equals", "value": "r"}], "threshold": 0.5}),
        json!({"question": "q", "references": ["r"], "retrieved_contexts": ["c"],
               "extra": {"assert": [{"type": "equals", "value": "r"}], "vars": {"tone": "t"}, "threshold": 0.5}}),
    );
    check(
        "OpenAI evals",
        json!({"input": [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}], "ideal": ["r", "s"]}),
        json!({"question": "q", "references": ["r", "s"],
               "extra": {"input": [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}]}}),
    );
    check(
        "inspect_ai",
        json!({"input": "q", "target": "r", "choices": ["r", "s"], "metadata": {"language": "en", "k": 1}}),
        json!({"question": "q", "references": ["r"], "language": "en", "extra": {"choices": ["r", "s"], "metadata": {"k": 1}}}),
    );
    check(
        "MLflow",
        json!({"inputs": {"question": "q"}, "outputs": "a",
               "expectations": {"expected_response": "r", "expected_retrieved_context": [{"doc_uri": "u", "content": "d"}]}}),
        json!({"question": "q", "references": ["r"], "response": "a", "reference_contexts": ["d"], "reference_context_ids": ["u"]}),
    );
    check(
        "LangSmith",
        json!({"inputs": {"query": "q"}, "outputs": {"answer": "r"}, "metadata": {}, "split": "dev"}),
        json!({"question": "q", "references": ["r"], "split": "dev", "extra": {"metadata": {}}}),
    );
    check("Langfuse", json!({"input": {"x": "q"}, "expectedOutput": "r"}), json!({"question": "q", "references": ["r"]}));
    check("Phoenix", json!({"input": "q", "output": {"text": "r"}}), json!({"question": "q", "references": ["r"]}));
    check(
        "SQuAD 2",
        json!({"question": "q", "context": "d", "answers": {"text": [], "answer_start": []}, "is_impossible": true}),
        json!({"question": "q", "reference_contexts": ["d"], "answerable": false,
               "extra": {"answers": {"text": [], "answer_start": []}}}),
    );
    check("pairs", json!({"question": "q", "answer": "r"}), json!({"question": "q", "references": ["r"]}));
    check(
        "ours",
        json!({"question": "q", "ideal_answer": "r", "contexts": ["d"], "retrieved_contexts": ["c"], "must_pass": true,
               "relevance": {"x": 2}, "tokens": {"total": 5}}),
        json!({"question": "q", "references": ["r"], "retrieved_contexts": ["c"], "reference_contexts": ["d"], "must_pass": true,
               "relevance": {"x": 2.0}, "tokens": 5}),
    );
}

#[test]
fn rows_are_found_in_every_kind_of_file() {
    let one = [("1", "q")];
    let check = |name: &str, text: &str| {
        let rows = rows(name, text);
        assert_eq!(rows.iter().map(|r| (r.id.as_str(), r.question.as_str())).collect::<Vec<_>>(), one, "{text}");
    };
    check("a.json", "[{\"id\": 1, \"question\": \"q\"}]");
    check("a.json", "{\"version\": 2, \"rows\": [{\"id\": 1, \"question\": \"q\"}]}");
    check("a.json", "{\"version\": [1], \"anything\": [{\"id\": 1, \"question\": \"q\"}]}");
    check("a.json", "{\"rows\": [{\"row_idx\": 0, \"row\": {\"id\": 1, \"question\": \"q\"}}]}");
    check("a.json", "{\"id\": [1], \"question\": [\"q\"]}");
    check("a.json", "{\"id\": 1, \"question\": \"q\", \"tools_called\": [{}]}");
    check("a.jsonl", "\u{feff}{\"id\": 1, \"question\": \"q\"}\r\n\r\n");
    check("a", "{\"id\": 1, \"question\": \"q\"}\n");
    check("a.csv", "\u{feff}id;Question;note\r\n1;q;a,b\r\n");
    check("a.tsv", "id\tquestion\n1\tq\n");
    check("a", "id,question\n1,\"q\"\n");
    assert_eq!(rows("a.json", "{\"question\": \"q\"}\n{\"question\": \"p\"}").len(), 2, "JSON lines under another name");
}

#[test]
fn cells_of_csv_become_what_their_field_is() {
    let csv = "question,ground_truth,contexts,tags,weight,must_pass,__expected\nq,r,\"['a', 'it\\'s']\",x;y,2,no,contains: z\n";
    let row = rows("a.csv", csv).remove(0);
    assert_eq!(row.contexts, ["a", "it's"]);
    assert_eq!(row.tags, ["x", "y"]);
    assert_eq!((row.weight, row.must_pass), (Some(2.0), Some(false)));
    assert_eq!(row.extra, *json!({"__expected": "contains: z"}).as_object().expect("object"));
}

#[test]
fn the_mapping_can_be_printed_and_overruled() {
    let text = r#"[{"question": "q", "answer": "a", "contexts": ["c"], "Ground Truth": "r", "note": 1}, {"question": "p"}]"#;
    let data = read("a.json", text.as_bytes(), &[]).expect("valid");
    assert_eq!(
        data.mapping.to_string(),
        "question → question (2 rows)\nGround Truth → references (1 row)\nanswer → answer (1 row)\n\
         contexts → contexts (1 row; taken as what was retrieved, as in ragas)\nkept: note\n"
    );
    let maps = ["contexts=reference_contexts", "note = id"].map(|m| m.parse().expect("a mapping"));
    let data = read("a.json", text.as_bytes(), &maps).expect("valid");
    assert_eq!((data.rows[0].id.as_str(), data.rows[0].reference_contexts.len(), data.rows[0].contexts.len()), ("1", 1, 0));
    let read_with =
        |text: &str, map: &str| read("a.json", text.as_bytes(), &[map.parse().expect("a mapping")]).expect("valid").mapping;
    let here = read_with(text, "notes=tags");
    let e = Mapping::check(&[&here]).expect_err("no such field");
    assert_eq!(
        (e.to_string().as_str(), e.hints()),
        ("no row has the field `notes` that is to be mapped", &["did you mean `note`?".to_owned()][..])
    );
    let there = read_with(r#"[{"question": "q", "notes": "x"}]"#, "notes=tags");
    assert!(Mapping::check(&[&here, &there]).is_ok(), "one of the files has it");
    let e = read("a.json", b"[{\"Frage\": \"q\"}]", &["Fragen=question".parse().expect("a mapping")]).expect_err("no such field");
    assert_eq!(
        e.to_string(),
        "a.json:1: no row has the field `fragen` that is to be mapped to `question`\na.json:1: the row has no question; it has: Frage"
    );
    let e = "a=quesion".parse::<Override>().expect_err("no such field");
    assert_eq!(e.hints(), ["did you mean `question`?"]);
    assert!("question".parse::<Override>().is_err());
    let two = ["note=tags", "note=id"].map(|m| m.parse().expect("a mapping"));
    let row = read("a.json", text.as_bytes(), &two).expect("valid").rows.remove(0);
    assert_eq!((row.tags, row.id.len()), (vec!["1".to_owned()], 16), "the first of two overrides counts");
    let data = read("a.csv", b"Frage,x\nq,1\n", &["Frage=question".parse().expect("a mapping")]).expect("valid");
    assert_eq!(data.rows[0].question, "q");
}

#[test]
fn ids_come_from_the_content_when_there_are_none() {
    let [a, b, c] =
        ["r", "r", "s"].map(|r| rows("a.json", &json!([{"question": "q", "reference": r, "k": 1}]).to_string()).remove(0));
    assert_eq!(a.id, b.id);
    assert_ne!(a.id, c.id);
    // Computed by: printf '["q",["r"],[]]' | sha256sum
    assert_eq!(a.id, CONTENT_ID);
}

#[test]
fn problems_name_their_lines() {
    check_problems("a.json", "", &["1: the file is empty"]);
    check_problems("a.json", "[]", &["1: the file has no rows"]);
    check_problems("a.csv", "question\n", &["1: the file has no rows"]);
    check_problems("a.json", "[\n{\"question\": \"q\",}]", &["2: not JSON: key must be a string (column 18)"]);
    check_problems(
        "a.jsonl",
        "{\"question\": \"q\"}\n\n{\"question\"\n",
        &["3: not JSON: EOF while parsing an object (column 11)"],
    );
    check_problems("a.jsonl", "{\"question\": \"q\", \"cost\": 1e999}", &["1: not JSON: number out of range (column 31)"]);
    check_problems(
        "a.csv",
        "question,answer\n\"q,a\nb,c\n",
        &["2: the row has 1 cell, the header 2; a quote in it may not be closed"],
    );
    check_problems("a.csv", "question,answer\nq\n", &["2: the row has 1 cell, the header 2"]);
    check_problems("a.jsonl", "{\"question\": \"q\"}\nx\0", &["2: the file has NUL bytes; if it is UTF-16, save it as UTF-8"]);
    check_problems(
        "a.csv",
        "PK\u{3}\u{4}",
        &["1: the file is a ZIP file or a spreadsheet; export it as JSON, JSON lines or CSV"],
    );
    check_problems("a", "PAR1", &["1: the file is Parquet; export it as JSON, JSON lines or CSV"]);
    check_problems("a.json", "7", &["1: found no rows: expected a list of them under `rows`, there is: "]);
    check_problems(
        "a.json",
        "[\n  {\"question\": \"q\", \"id\": 1},\n  {\"answer\": \"a\"},\n  7,\n  {\"question\": \"p\",\n   \"id\": \"1\"},\n  {\"question\": \" \"}\n]",
        &[
            "3: the row has no question; it has: answer",
            "4: a row is an object with fields such as \"question\"",
            "5: the id `1` is already that of the row in line 2",
            "7: the row has no question; it has: question",
        ],
    );
    check_problems(
        "a.json",
        "[{\"question\": \"q\",\n\"weight\": -1,\n\"tokens\": 1.5,\n\"must_pass\": \"x\",\n\"question\": 1,\n\"ground_truth\": {\"a\": \"b\", \"c\": \"d\"}}]",
        &[
            "2: `weight`: expected a number from 0, found -1",
            "3: `tokens`: expected a whole number from 0, found 1.5",
            "4: `must_pass`: expected true or false, found \"x\"",
            "5: the field `question` is there twice in one row",
            "6: `ground_truth` as references: expected an object with one text, found {\"a\":\"b\",\"c\":\"d\"}",
        ],
    );
    check_problems(
        "a.csv",
        "question,id\n\"two\nlines\",1\nq,2,3\np,1\n",
        &["4: the row has 3 cells, the header 2", "5: the id `1` is already that of the row in line 2"],
    );
    check_problems("a.csv", "question,question\nq,p\n", &["1: two columns are called `question`"]);
    check_problems(
        "a.json",
        "{\"question\": [\"q\", \"p\"],\n \"id\": [1]}",
        &["2: the column `id` has 1 values for 2 questions"],
    );
    check_problems(
        "a.jsonl",
        "{\"question\": \"q\"}\n{\"question\": \"q\"}\n",
        &[&format!(
            "2: same question, references and contexts without an id: the id `{QUESTION_ID}` is already that of the row in line 1"
        )],
    );
}

/// First digits of SHA-256 of `["q",["r"],[]]` and of `["q",[],[]]`, by `sha256sum`.
const CONTENT_ID: &str = "7e16a468e402d752";
const QUESTION_ID: &str = "71cd5a1771c04da2";

#[test]
fn bytes_of_other_encodings_are_placed() {
    let e = read("a.csv", b"question\nq\ncaf\xe9\n", &[]).expect_err("Latin-1");
    assert_eq!(e.to_string(), "a.csv:3: byte 0xe9 is not UTF-8; save the file as UTF-8");
    let e = read("a.csv", b"\xff\xfeq\0", &[]).expect_err("UTF-16");
    assert_eq!(e.to_string(), "a.csv:1: the file is UTF-16; save it as UTF-8");
}

#[test]
fn only_the_first_problems_are_listed() {
    let e = read("a.jsonl", "{\"id\": 1}\n".repeat(60).as_bytes(), &[]).expect_err("problems");
    assert_eq!((e.list.len(), e.more), (50, 10));
    assert!(e.to_string().ends_with("\n… and 10 problems"), "{e}");
}

#[test]
fn deep_nesting_is_refused() {
    let deep = format!("[{{\"question\": \"q\", \"x\": {}1{}}}]", "[".repeat(100_000), "]".repeat(100_000));
    assert!(read("a.json", deep.as_bytes(), &[]).expect_err("deep").to_string().contains("recursion limit"));
    let rows = format!("{}{{\"question\": \"q\"}}{}", "{\"row_idx\": 0, \"row\": ".repeat(50_000), "}".repeat(50_000));
    assert!(read("a.json", format!("[{rows}]").as_bytes(), &[]).is_err());
}

fn any_row() -> impl Strategy<Value = Row> {
    let text = || "[ -~é\n]{0,8}x";
    let texts = || proptest::collection::vec(text(), 0..3);
    let number = || proptest::option::of((0..1000u32).prop_map(|n| f64::from(n) / 4.0));
    let first = (text(), texts(), proptest::option::of(text()), texts(), texts(), texts(), texts());
    let second = (
        proptest::option::of(proptest::collection::btree_map(text(), (0..9u32).prop_map(f64::from), 0..3)),
        proptest::option::of(any::<bool>()),
        proptest::option::of(text()),
        texts(),
        number(),
        proptest::option::of(any::<u64>()),
        proptest::collection::btree_map("[a-z_]{1,6}|extra|question|id", text().prop_map(Value::from), 0..3),
    );
    (first, second).prop_map(|(a, b)| Row {
        id: String::new(),
        question: a.0,
        references: a.1,
        answer: a.2,
        contexts: a.3,
        reference_contexts: a.4,
        context_ids: a.5,
        reference_context_ids: a.6,
        relevance: b.0,
        answerable: b.1,
        language: b.2.clone(),
        tags: b.3,
        cluster: b.2.clone(),
        split: b.2,
        weight: b.4,
        latency_ms: b.4,
        cost_usd: b.4,
        tokens: b.5,
        must_pass: b.1,
        extra: b.6.into_iter().collect(),
    })
}

proptest! {
    #[test]
    fn what_was_written_reads_back(mut rows in proptest::collection::vec(any_row(), 1..5)) {
        for (i, row) in rows.iter_mut().enumerate() {
            row.id = format!("r{i}");
        }
        let data = read("a.jsonl", to_jsonl(&rows).as_bytes(), &[]);
        prop_assert_eq!(data.expect("its own rows").rows, rows);
    }

    #[test]
    fn reading_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..80), text in "[\\[\\]{}\",:;\\\\a-c1é \r\n]{0,60}") {
        for name in ["a.json", "a.jsonl", "a.csv", "a"] {
            let _ = read(name, &bytes, &[]);
            let _ = read(name, text.as_bytes(), &[]);
        }
    }

    #[test]
    fn rows_of_any_values_never_panic(key in "question|input|inputs|contexts|answers|id|tags|relevance|assert|outputs", value in "[\\[\\]{}\",:a1 ]{0,20}") {
        let _ = read("a.json", format!("[{{\"question\": \"q\", \"{key}\": {value}}}]").as_bytes(), &[]);
        let _ = read("a.json", format!("[{{\"{key}\": [{value}]}}]").as_bytes(), &[]);
    }
}
