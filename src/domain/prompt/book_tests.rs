//! Files of prompts, read and checked.

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn read(path: &str, text: &str) -> Book {
    Book::read(path, text.as_bytes()).unwrap_or_else(|faults| panic!("{faults:?}"))
}

fn map(value: Value) -> Map<String, Value> {
    value.as_object().cloned().expect("a map")
}

const CHAT: &str = r#"description: answers from passages
variables:
  question: text
  top_k: {type: integer, default: 5}
messages:
  - role: system
    content: Use at most {top_k:d} passages.
  - role: user
    content:
      - {type: text, text: "Q: {question}"}
      - {type: image_url, image_url: {url: "{picture}"}}
"#;

#[test]
fn a_chat_is_one_prompt_and_keeps_its_shape() {
    let book = read("prompts/chat.yaml", CHAT);
    let [prompt] = &book.prompts[..] else { panic!("{:?}", book.prompts) };
    assert_eq!((prompt.name().as_str(), prompt.is_chat()), ("prompts/chat.yaml#messages", true));
    assert_eq!(prompt.variables().into_iter().collect::<Vec<_>>(), ["picture", "question", "top_k"]);
    let rendered = prompt.render(&map(json!({"question": "Why {x}?", "top_k": 3, "picture": "a.png"}))).expect("renders");
    let expected = json!([{"role": "system", "content": "Use at most 3 passages."}, {"role": "user", "content": [
        {"type": "text", "text": "Q: Why {x}?"}, {"type": "image_url", "image_url": {"url": "a.png"}}]}]);
    assert_eq!(rendered, Rendered::Chat(expected));
    assert!(rendered.shown().starts_with("[system]\nUse at most 3 passages.\n\n[user]\n["));
    let faults: Vec<String> = book.faults().iter().map(|f| format!("{}:{}: {}", f.line, f.column, f.message)).collect();
    assert_eq!(faults, ["11:45: `picture` is used and not declared"]);
}

#[test]
fn several_prompts_of_a_file_have_their_own_variables() {
    let text = "variables: {company: text}\nanswer:\n  variables:\n    question: text\n  template: '{company}: {question}'\nsum:\n  variables: {company: {default: 1, type: number}, extra: any}\n  text: |\n    {company:.2f}\n    {0}{1}\n";
    let book = read("p.yaml", text);
    let names: Vec<String> = book.prompts.iter().map(Prompt::name).collect();
    assert_eq!(names, ["p.yaml#answer.template", "p.yaml#sum.text"]);
    assert_eq!(
        book.prompts[1].declared.iter().map(|v| (v.name.as_str(), v.kind.word())).collect::<Vec<_>>(),
        [("company", "number"), ("extra", "any")]
    );
    let faults: Vec<String> = book.faults().iter().map(|f| format!("{}:{}: {}", f.line, f.column, f.message)).collect();
    assert_eq!(
        faults,
        ["7:52: `extra` is declared and never used", "10:5: `0` is used and not declared", "10:8: `1` is used and not declared"]
    );
    let values = map(json!({"company": 2, "0": "a", "1": "b"}));
    assert_eq!(book.prompts[1].render(&values), Ok(Rendered::Text("2.00\nab\n".into())));
    let uses = book.uses(&book.prompts[1]);
    assert_eq!((uses[0].field.as_str(), uses[0].line, uses[0].column), ("company", 9, 5));
}

#[test]
fn a_head_declares_for_a_text_and_places_stay_true() {
    let text = "---\ndescription: d\nvariables:\n  q: text\n  n: integer\n  unused: map\n---\nAnswer {q:.2f} {n:d} {n[x]}\n{w}";
    let book = read("a.md", text);
    assert_eq!(book.prompts[0].description.as_deref(), Some("d"));
    let faults: Vec<String> = book.faults().iter().map(|f| format!("{}:{}: {}", f.line, f.column, f.message)).collect();
    assert_eq!(
        faults,
        [
            "6:3: `unused` is declared and never used",
            "8:8: `q` is declared as text: `f` is for numbers, and this value is text",
            "8:22: `n[x]` is declared as integer: a value of type int has nothing in it to take",
            "9:1: `w` is used and not declared",
        ]
    );
    assert!(read("b.txt", "{anything} {else:.2f}").faults().is_empty(), "who declares nothing declares nothing wrong");
}

#[test]
fn formats_are_held_against_types() {
    let check = |kind: &str, field: &str, fits: bool| {
        let book = read("a.txt", &format!("---\nvariables:\n  x: {kind}\n---\n{field}"));
        assert_eq!(book.faults().is_empty(), fits, "{kind} {field}: {:?}", book.faults());
    };
    for (kind, field) in [
        ("text", "{x:>5}"),
        ("text", "{x[0]}"),
        ("integer", "{x:,.2f}"),
        ("number", "{x:%}"),
        ("boolean", "{x:d}"),
        ("list", "{x[0]:>5}"),
        ("list", "{x!r:>9}"),
        ("map", "{x[k][0]:d}"),
        ("any", "{x:d}"),
        ("text", "{x:{x}}"),
        ("integer", "{x:c}"),
    ] {
        check(kind, field, true);
    }
    for (kind, field) in [
        ("text", "{x:,}"),
        ("text", "{x[k]}"),
        ("integer", "{x:s}"),
        ("integer", "{x[0]}"),
        ("number", "{x:d}"),
        ("list", "{x:>5}"),
        ("list", "{x[k]}"),
        ("map", "{x[0]}"),
        ("map", "{x:5}"),
        ("boolean", "{x[0]}"),
    ] {
        check(kind, field, false);
    }
}

#[test]
fn roles_are_known_ones_and_a_list_of_texts_is_no_chat() {
    let book = read("c.json", "[{\"role\": \"usr\", \"content\": \"{q}\"}]");
    let faults = book.faults();
    assert_eq!((faults[0].line, faults[0].column), (1, 3));
    assert!(faults[0].message.starts_with("`usr` is no role"), "{faults:?}");
    assert_eq!(book.prompts[0].name(), "c.json");
    let book = read("c.toml", "hints = ['a {x}', 'b']\n");
    assert_eq!(book.prompts.iter().map(Prompt::name).collect::<Vec<_>>(), ["c.toml#hints[0]", "c.toml#hints[1]"]);
}

proptest! {
    #[test]
    fn reading_never_panics(text in "(---\n|variables:|  q: text\n|messages:\n|  - role: user\n|    content: |[{}\\[\\]\"':xq \n-]){0,12}") {
        for path in ["a.yaml", "a.toml", "a.json", "a.txt"] {
            if let Ok(book) = Book::read(path, text.as_bytes()) {
                let _ = book.faults();
                for prompt in &book.prompts {
                    let _ = (book.uses(prompt), prompt.render(&Map::new()));
                }
            }
        }
    }
}
