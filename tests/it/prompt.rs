//! `kf prompt add`, `list`, `show`, `vars`, `check`, `render`, `diff` and `log`. Suites are in `prompt_suite.rs`.

use crate::repo::{ends, events, init, json, ok, on_both, refused, with_bot};
use crate::schemas::fit;
use crate::support::sandbox::Sandbox;
use serde_json::{Value, json};

const ANSWER: &str = "---\ndescription: answers from passages\nvariables:\n  question: text\n  price: {type: number, default: 9.5, examples: [1, 2]}\n---\n\
    Answer {question} for {price:.2f} EUR.\n";
const CHAT: &str = "messages:\n  - role: system\n    content: You help {company}.\n  - role: user\n    content: \"{question}\"\n";

/// Two prompts in a folder, and something that is none.
fn write_prompts(s: &Sandbox) {
    s.write("prompts/answer.txt", ANSWER);
    s.write("prompts/support/chat.yaml", CHAT);
    s.write("prompts/README.md", "Not {a prompt");
}

fn document<const N: usize>(s: &Sandbox, name: &str, args: [&str; N]) -> Value {
    let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(args).args(["--format", "json"]));
    let found = json(&run);
    fit(name, std::slice::from_ref(&found));
    found
}

#[test]
fn a_folder_of_prompts_becomes_versions_and_each_is_looked_at() {
    on_both(|s| {
        init(s);
        write_prompts(s);
        let before = events(s);
        let added = document(s, "prompt-add", ["prompt", "add", "prompts"]);
        let names: Vec<&str> = added["prompts"].as_array().expect("a list").iter().filter_map(|p| p["name"].as_str()).collect();
        assert_eq!(names, ["answer", "support.chat"]);
        assert_eq!(added["prompts"][0]["prompts"][0]["variables"], json!(["price", "question"]));
        assert_eq!(events(s), before + 2, "each version has its event");
        let again = document(s, "prompt-add", ["prompt", "add", "prompts"]);
        assert_eq!((&again["prompts"][0]["changed"], events(s)), (&json!(false), before + 2));

        let listed = document(s, "prompt-list", ["prompt", "list"]);
        assert_eq!(listed["versions"][0]["prompts"][0]["prompt"], "answer.txt");
        assert_eq!(listed["versions"][1]["prompts"][0]["chat"], true);
        let shown = document(s, "prompt-show", ["prompt", "show", "answer"]);
        assert_eq!(shown["prompts"][0]["description"], "answers from passages");
        assert_eq!(shown["prompts"][0]["messages"][0]["text"], "Answer {question} for {price:.2f} EUR.\n");
        assert!(shown["prompts"][0]["tokens"].as_u64().is_some_and(|n| (8..20).contains(&n)), "{shown}");
        let vars = document(s, "prompt-vars", ["prompt", "vars", "answer@1.0.0"]);
        let price = &vars["prompts"][0]["variables"][0];
        assert_eq!((&price["type"], &price["default"], &price["required"]), (&json!("number"), &json!(9.5), &json!(false)));
        assert_eq!(price["uses"], json!([{"field": "price", "line": 7, "column": 23}]));
        let text = ok(s, ["prompt", "vars", "support.chat"]).stdout;
        assert!(text.contains("company") && text.contains("not declared") && text.contains("required"), "{text}");
    });
}

#[test]
fn what_a_version_changed_is_told_by_text_variables_tokens_and_lineage() {
    on_both(|s| {
        init(s);
        write_prompts(s);
        ok(s, ["prompt", "add", "prompts/answer.txt", "--tag", "first"]);
        s.write("prompts/answer.txt", "Answer {question} in {language}.\n");
        let added = json(&ok(s, ["prompt", "add", "prompts/answer.txt", "--reason", "languages", "--format", "json"]));
        assert_eq!(
            (&added["prompts"][0]["bump"], &added["prompts"][0]["version"]["version"]),
            (&json!("major"), &json!("2.0.0"))
        );
        let diff = document(s, "prompt-diff", ["prompt", "diff", "answer@1.0.0", "answer"]);
        let change = &diff["prompts"][0];
        assert_eq!(
            (&change["status"], &change["variables_added"], &change["variables_removed"]),
            (&json!("changed"), &json!(["language"]), &json!(["price"]))
        );
        assert!(change["tokens_after"].as_u64() < change["tokens_before"].as_u64(), "{change}");
        let text = ok(s, ["prompt", "diff", "answer@1.0.0", "answer"]).stdout;
        assert!(text.contains("+Answer {question} in {language}.") && text.contains("+language -price"), "{text}");
        assert_eq!(document(s, "prompt-diff", ["prompt", "diff", "answer@1.0.0", "answer@1.0.0"])["same"], true);
        s.write("bot/prompts/a.txt", "Hello {name}");
        ok(s, ["register", "bot", "bot", "--depends", "answer@2.0.0"]);
        let log = document(s, "prompt-log", ["prompt", "log", "answer"]);
        let newest = &log["versions"][0];
        assert_eq!((&newest["variables_added"], &newest["used_by"]), (&json!(["language"]), &json!(["bot@1.0.0"])));
        assert_eq!(newest["tokens_change"].as_i64().map(|n| n < 0), Some(true));
        assert_eq!((&log["versions"][1]["tags"], &log["versions"][1]["tokens_change"]), (&json!(["first"]), &Value::Null));
        assert_eq!(
            document(s, "prompt-log", ["prompt", "log", "answer", "--limit", "1"])["versions"][0]["variables_added"],
            json!(["language"])
        );
        assert_eq!(document(s, "prompt-show", ["prompt", "show", "answer"])["lineage"]["used_by"], json!(["bot@1.0.0"]));
    });
}

#[test]
fn one_broken_prompt_stops_neither_the_others_nor_itself_in_silence() {
    on_both(|s| {
        init(s);
        write_prompts(s);
        s.write("prompts/broken.txt", "ok\n  {x");
        s.write("prompts/bad name!.txt", "{x}");
        let run = ends(s, 5, ["prompt", "add", "prompts"]);
        assert!(run.stdout.contains("answer") && run.stdout.contains("prompts/broken.txt:2:3: `{` has no `}`"), "{run}");
        assert!(run.stdout.contains("gives no name of a model") && run.stderr.contains("--name NAME"), "{run}");
        let alone = refused(s, 1, ["prompt", "add", "prompts/broken.txt"]);
        assert!(alone.stderr.contains("prompts/broken.txt:2:3") && alone.stderr.contains("hint: "), "{alone}");
        refused(s, 2, ["prompt", "add", "prompts", "--name", "x"]);
        refused(s, 1, ["prompt", "add", "nowhere"]);
        s.write("none/a.bin", "x");
        assert!(refused(s, 1, ["prompt", "add", "none"]).stderr.contains("there is no prompt in"));
        s.write("bot/retrieval.yaml", "top-k: 5\n");
        ok(s, ["register", "bot", "bot"]);
        s.write("prompts/bot.txt", "{x}");
        let other = refused(s, 1, ["prompt", "add", "prompts/bot.txt"]);
        assert!(other.stderr.contains("config"), "a model keeps its type: {other}");
        ok(s, ["prompt", "add", "prompts/bad name!.txt", "--name", "good-name", "--version", "0.1.0"]);
        let before = events(s);
        s.write("prompts/answer.txt", "New {q}");
        ok(s, ["prompt", "add", "prompts/answer.txt", "--dry-run"]);
        assert_eq!(events(s), before);
        assert_eq!(ok(s, ["prompt", "render", "good-name", "--var", "x=1"]).stdout, "1");
    });
}

#[test]
fn faults_are_found_before_there_are_values() {
    let s = &Sandbox::new();
    s.repository("[model.bot]\ntype = \"config\"\npath = \"bot\"\nparts = {prompts = \"texts\"}\n");
    s.write("bot/texts/a.txt", "---\nvariables:\n  q: text\n  never: map\n---\n{q:,} {z}\n");
    s.write("bot/texts/b.yaml", "variables: {q: txt}\nmessages:\n  - role: usr\n    content: 'Hi {q}'\n");
    s.write("bot/texts/c.json", "{\"user\": \"{a.b} }\"}");
    s.write("bot/retrieval.yaml", "note: '{not a prompt'\n");
    let run = s.kf(["prompt", "check", "--format", "json"]);
    assert_eq!(run.code, Some(2), "{run}");
    assert!(run.stderr.contains("7 things wrong with prompts"), "{run}");
    let found = json(&run);
    fit("prompt-check", std::slice::from_ref(&found));
    let shown: Vec<String> = found["faults"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|f| {
            format!(
                "{}:{}:{}: {}",
                f["path"].as_str().expect("a path"),
                f["line"],
                f["column"],
                f["message"].as_str().expect("words")
            )
        })
        .collect();
    let expected = [
        "bot/texts/a.txt:4:3: `never` is declared and never used",
        "bot/texts/a.txt:6:1: `q` is declared as text: sign, `=`, `#`, `z` and grouping are for numbers, and this value is text",
        "bot/texts/a.txt:6:7: `z` is used and not declared",
        "bot/texts/b.yaml:1:13: `txt` is not a type of a variable, did you mean `text`?",
        "bot/texts/b.yaml:3:5: `usr` is no role of a message: there is assistant, developer, function, system, tool, user",
        "bot/texts/c.json:1:11: in `user`: attributes (`.b`) are not read from values; write `[b]`",
        "bot/texts/c.json:1:17: in `user`: `}` has no `{` before it; a brace as text is written `}}`",
    ];
    assert_eq!(shown, expected);
    let table = s.kf(["prompt", "check", "bot/texts/a.txt"]);
    assert_eq!(table.code, Some(2), "{table}");
    assert!(
        table.stdout.starts_with("bot/texts/a.txt:4:3: ") && table.stdout.contains("1 prompt in 1 file: 3 things wrong"),
        "{table}"
    );
    s.write("bot/texts/a.txt", "{q}");
    std::fs::remove_file(s.work().join("bot/texts/b.yaml")).expect("removed");
    std::fs::remove_file(s.work().join("bot/texts/c.json")).expect("removed");
    assert_eq!(document(s, "prompt-check", ["prompt", "check"])["faults"], json!([]));
    ok(s, ["register", "bot"]);
    assert!(ok(s, ["prompt", "check", "bot@1.0.0", "bot/texts"]).stdout.contains("2 prompts in 2 files: nothing is wrong"));
    assert!(ends(s, 2, ["prompt", "check", "nowhere/at all"]).stderr.contains("is no file, and no reference either"));
}

#[test]
fn nothing_to_check_is_said() {
    let s = &Sandbox::new();
    s.repository("");
    assert!(ends(s, 2, ["prompt", "check"]).stderr.contains("mlops.toml names no model with prompts"));
    s.write("docs/x.bin", "x");
    assert!(ends(s, 1, ["prompt", "check", "docs"]).stderr.contains("there is no prompt in docs"));
    assert!(ok(s, ["prompt", "list"]).stdout.contains("No prompt is registered here yet"));
}

#[test]
fn a_prompt_is_rendered_to_the_letter_or_not_at_all() {
    let s = &Sandbox::new();
    init(s);
    write_prompts(s);
    ok(s, ["prompt", "add", "prompts"]);
    assert_eq!(ok(s, ["prompt", "render", "answer", "--var", "question=why {x}?"]).stdout, "Answer why {x}? for 9.50 EUR.\n");
    s.write("v.yaml", "question: how\nprice: 2.675\n");
    assert_eq!(ok(s, ["prompt", "render", "answer", "--vars", "v.yaml"]).stdout, "Answer how for 2.67 EUR.\n");
    assert_eq!(
        ok(s, ["prompt", "render", "answer", "--vars", "v.yaml", "--var", "price=3"]).stdout,
        "Answer how for 3.00 EUR.\n"
    );
    s.write("all.txt", "{x!r:>8}|{x[0]}|{n:,}|{{}}|{f}");
    let exact = ["prompt", "render", "--file", "all.txt", "--var", "x=é", "--var", "n:=18446744073709551615", "--var", "f:=1e16"];
    assert_eq!(ok(s, exact).stdout, "     'é'|é|18,446,744,073,709,551,615|{}|1e+16");
    let unused = ["prompt", "render", "answer", "--var", "question=a", "--var", "other=b"];
    assert_eq!(ends(s, 2, unused).stdout, "");
    let allowed = ["prompt", "render", "answer", "--var", "question=a", "--var", "other=b", "--allow-unused"];
    assert_eq!(ok(s, allowed).stdout, "Answer a for 9.50 EUR.\n");
}

#[test]
fn values_that_do_not_fit_are_refused_all_at_once() {
    let s = &Sandbox::new();
    init(s);
    write_prompts(s);
    let refused = |args: &[&str], words: &[&str]| {
        let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(["prompt", "render", "--file"]).args(args));
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{args:?}\n{run}");
        words.iter().for_each(|w| assert!(run.stderr.contains(w), "{args:?} {w}\n{run}"));
    };
    let answer = "prompts/answer.txt";
    refused(
        &[answer, "--var", "price:=\"x\"", "--var", "quest=1"],
        &[
            "there is no value for `question`",
            "`quest` is given and nothing uses it",
            "`price` is of type number",
            "--allow-unused",
        ],
    );
    refused(&[answer, "--var", "question=x", "--var", "price=cheap"], &["`price` is of type number, and `cheap` is none"]);
    refused(&[answer, "--var", "question:=[1, null]"], &["`question` is of type text, and the value is of Python's type list"]);
    refused(&[answer, "--var", "question:={"], &["column"]);
    refused(&[answer, "--var", "question:=18446744073709551616"], &["beyond the whole numbers of 64 bits"]);
    refused(&[answer, "--var", "question"], &["expected NAME=TEXT or NAME:=JSON"]);
    s.write("v.json", "{\"a\": 1,\n \"a\": 2}");
    refused(&[answer, "--vars", "v.json"], &["v.json:2:4: the key `a` is there twice"]);
    s.write("v.txt", "a");
    refused(&[answer, "--vars", "v.txt"], &["ends in .json, .yaml or .toml"]);
    // What only rendering can tell has Python's name and the place.
    for (template, value, words) in [
        ("a\n {x:d}", "\"s\"", "2:2: ValueError: `d` is for numbers"),
        ("{x[k]}", "[1]", "1:1: TypeError: `[k]` is no place"),
        ("{x[5]}", "[1]", "1:1: IndexError: the list has no element 5"),
        ("{x[k]}", "{}", "1:1: KeyError: there is no key `k`"),
        ("{x:c}", "1114112", "1:1: OverflowError: 1114112 is no character"),
        ("{x:>5}", "null", "1:1: TypeError: a value of type NoneType takes no format"),
        ("{x:{x}}", "\"q\"", "1:1: ValueError: `q` is not a format"),
        ("---\ninput_variables: [x]\n---\n\n{x:d}", "\"s\"", "5:1: ValueError: `d` is for numbers"),
    ] {
        s.write("t.txt", template);
        refused(&["t.txt", "--var", &format!("x:={value}")], &[words]);
    }
    for (template, words) in [
        ("{x.y}", "t.txt:1:1: attributes (`.y`) are not read from values"),
        ("{x", "t.txt:1:1: `{` has no `}`"),
        ("ok }", "t.txt:1:4: `}` has no `{`"),
        ("{} {0}", "t.txt:1:4: fields without a name"),
        ("{x!y}", "t.txt:1:1: `!y` is not a conversion"),
        ("{x:{y:{z}}}", "t.txt:1:7: a field within a field"),
        ("{x:9999999}", "t.txt:1:4: `9999999` is not a format"),
    ] {
        s.write("t.txt", template);
        refused(&["t.txt", "--var", "x=1"], &[words]);
    }
    s.write("t.txt", b"caf\xe9 {x}");
    refused(&["t.txt", "--var", "x=1"], &["t.txt:1:4: byte 0xe9 is not UTF-8"]);
}

#[test]
fn a_chat_is_rendered_as_messages_and_a_file_gets_exact_bytes() {
    let s = &Sandbox::new();
    init(s);
    write_prompts(s);
    let file = ["prompt", "render", "--file", "prompts/support/chat.yaml", "--var", "company=A & B", "--var", "question=Why?"];
    assert_eq!(ok(s, file).stdout, "[system]\nYou help A & B.\n\n[user]\nWhy?\n");
    let rendered = document(s, "prompt-render", file);
    assert_eq!(rendered["rendered"][1], json!({"role": "user", "content": "Why?"}));
    assert_eq!(rendered["values"], json!({"company": "A & B", "question": "Why?"}));
    s.write("t.txt", "\u{1b}[31m{0} {1}");
    ok(s, ["prompt", "render", "--file", "t.txt", "--var", "0=a", "--var", "1=b", "-o", "out.txt"]);
    assert_eq!(s.read("out.txt"), "\u{1b}[31ma b");
    ok(s, ["prompt", "render", "--file", "t.txt", "--var", "0=a", "--var", "1=b", "-o", "dry.txt", "--dry-run"]);
    assert!(!s.work().join("dry.txt").exists());
    assert!(
        ends(s, 2, ["prompt", "render", "--file", "t.txt", "--var", "0=a", "--var", "1=b", "-o", "mlops.toml"])
            .stderr
            .contains("kf's own files")
    );
}

#[test]
fn prompts_of_a_configuration_are_named_by_file_and_key() {
    on_both(|s| {
        with_bot(s);
        s.write("bot/prompts/more.yaml", "short: 'Say {x}'\nlong: 'Say {x} at length'\n");
        ok(s, ["register", "bot", "bot"]);
        let run = ends(s, 2, ["prompt", "render", "bot", "--var", "x=1"]);
        assert!(run.stderr.contains("has 3 prompts") && run.stderr.contains("`prompts/more.yaml#short`"), "{run}");
        for name in ["prompts/more.yaml#short", "short"] {
            assert_eq!(ok(s, ["prompt", "render", "bot", "--prompt", name, "--var", "x=1"]).stdout, "Say 1");
        }
        assert_eq!(
            ok(s, ["prompt", "render", "bot@1.0.0", "--var", "question=Q", "--var", "context=C"]).stdout,
            "Answer Q from C.\n"
        );
        assert!(ends(s, 2, ["prompt", "show", "bot", "--prompt", "shrot"]).stderr.contains("has no prompt `shrot`"));
        assert_eq!(document(s, "prompt-list", ["prompt", "list", "bot"])["versions"].as_array().map(Vec::len), Some(2));
        s.write("golden.jsonl", "{\"id\": 1}\n");
        ok(s, ["register", "golden", "golden.jsonl", "--type", "dataset"]);
        assert!(ends(s, 1, ["prompt", "show", "golden"]).stderr.contains("golden@1.0.0 has no prompt"));
    });
}
