//! `kf drift` on texts: questions that people ask, by what they mean and how they read.

use crate::repo::{ends, json, ok, with_bot};
use crate::support::embeddings::Embeddings;
use crate::support::sandbox::{Run, Sandbox, on_both_engines};
use axum::extract::State;
use axum::routing::post;
use serde_json::Value;
use std::sync::{Arc, Mutex};

const USUAL: [&str; 15] = [
    "Where is my parcel",
    "When will my order arrive",
    "Can I change the delivery address",
    "Why is my parcel late",
    "Can the courier leave it with a neighbour",
    "How do I return the shoes",
    "How long can I send back the jacket",
    "When is my money refunded",
    "Can I exchange the trousers for another size",
    "Who pays for sending back the lamp",
    "How do I reset my password",
    "I cannot log in to my account",
    "Please delete my account",
    "How do I change my email address",
    "Where do I see my invoices",
];
const RECALL: [&str; 5] = [
    "Is the recalled charger dangerous",
    "My battery got hot and smells of smoke",
    "Which serial numbers are in the recall",
    "Do I get a replacement for the recalled charger",
    "The charger melted and burned the table",
];
const GERMAN: [&str; 5] = [
    "Wo bleibt mein Paket mit den Schuhen",
    "Wann kommt meine Bestellung bei mir an",
    "Wie kann ich die Jacke zurückschicken",
    "Warum wurde mein Konto gestern gesperrt",
    "Wie setze ich mein Passwort zurück",
];
const ENDS: [&str; 9] = [
    "bought in Berlin",
    "since Monday",
    "from last week",
    "with the red box",
    "in the app",
    "ordered in spring",
    "from Lyon",
    "before Friday",
    "on my phone",
];

/// Numbers from a seed, by the constants of Knuth's MMIX.
fn numbers(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed;
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    }
}

/// As many questions, `new` of a hundred of them about the other topic.
fn questions(seed: u64, rows: usize, topic: &[&str], new: usize) -> Vec<String> {
    let mut draw = numbers(seed);
    let mut one = || {
        let of = if draw(100) < new { topic } else { &USUAL };
        format!("{} {}? {}", of[draw(of.len())], ENDS[draw(9)], 10_000 + draw(90_000))
    };
    (0..rows).map(|_| one()).collect()
}

/// A table of one column, `question`.
fn lines<T: serde::Serialize>(cells: impl IntoIterator<Item = T>) -> String {
    cells.into_iter().map(|cell| serde_json::json!({ "question": cell }).to_string() + "\n").collect()
}

/// A bot that was accepted on a thousand questions, and the same and other ones of later days; `tables` end mlops.toml.
fn prepare(s: &Sandbox, tables: &str) {
    with_bot(s);
    s.write("mlops.toml", s.read("mlops.toml") + tables);
    s.write("accepted.jsonl", lines(questions(1, 1000, &RECALL, 0)));
    s.write("monday.jsonl", lines(questions(2, 1000, &RECALL, 0)));
    s.write("friday.jsonl", lines(questions(3, 1000, &RECALL, 35)));
}

fn column(run: &Run, name: &str) -> Value {
    let columns = json(run)["checks"][0]["judgement"]["columns"].clone();
    columns
        .as_array()
        .and_then(|all| all.iter().find(|c| c["name"] == name).cloned())
        .unwrap_or_else(|| panic!("no {name}\n{run}"))
}

fn told(column: &Value, way: &str) -> Vec<String> {
    let all = column["texts"].as_array().expect("texts").iter();
    all.filter(|moved| moved["way"] == way).map(|moved| moved["text"].as_str().expect("a text").to_owned()).collect()
}

fn open_tickets(s: &Sandbox) -> usize {
    json(&s.kf(["drift", "due", "--format", "json"]))["actions"].as_array().expect("actions").len()
}

/// The specification's `DataDriftMonitor`: production queries and the reference, embedded, with KL > 0.15 or PSI > 0.2.
#[test]
fn questions_about_a_new_topic_are_found_told_and_open_one_ticket() {
    on_both_engines(|s| {
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let hear = |State(heard): State<Arc<Mutex<Vec<String>>>>, body: String| async move {
            heard.lock().expect("nobody panicked").push(body);
            "ok"
        };
        let address = crate::support::serve(axum::Router::new().route("/", post(hear)).with_state(Arc::clone(&heard)));
        s.set("TEAM_HOOK", &format!("http://{address}/"));
        let act = "[\"notify\", \"open-ticket\"]";
        prepare(
            s,
            &format!(
                "[drift.bot]\non-warning = {act}\non-critical = {act}\nalerts = [\"team\"]\n[alerts.team]\nurl = \"env:TEAM_HOOK\"\n"
            ),
        );
        let kept = ok(s, ["drift", "baseline", "bot@1.0.0", "--data", "accepted.jsonl"]);
        assert!(kept.stdout.contains("question  texts"), "{kept}");
        let quiet = ok(s, ["drift", "check", "bot", "--data", "monday.jsonl", "--format", "json"]);
        let question = column(&quiet, "question");
        assert_eq!((&question["flagged"], &question["texts"]), (&false.into(), &Value::Array(vec![])));
        assert_eq!(open_tickets(s), 0);
        let moved = ends(s, 3, ["drift", "check", "bot", "--data", "friday.jsonl", "--format", "json"]);
        let question = column(&moved, "question");
        let number = |key: &str| question[key].as_f64().expect("a number");
        assert!(question["flagged"] == true && (number("kl") > 0.15 || number("psi") > 0.2), "{question}");
        for (column, words) in [(&question, "question"), (&column(&moved, "question, wording"), "wording")] {
            let new = told(column, "new");
            assert!(new.len() >= 3 && new.iter().all(|text| RECALL.iter().any(|of| text.starts_with(of))), "{words}: {new:?}");
            let gone = told(column, "gone");
            assert!(!gone.is_empty() && gone.iter().all(|text| USUAL.iter().any(|of| text.starts_with(of))), "{words}: {gone:?}");
        }
        assert_eq!(open_tickets(s), 1);
        let again = ends(s, 3, ["drift", "check", "bot", "--data", "friday.jsonl"]);
        assert!(again.stdout.contains("): open since "), "{again}");
        assert_eq!(open_tickets(s), 1);
        let heard = heard.lock().expect("nobody panicked").clone();
        let [alert] = &heard[..] else { panic!("{heard:?}") };
        assert!(alert.contains("drift of bot: critical: ") && alert.contains("new is “"), "{alert}");
        assert!(alert.contains(r#""columns":"question; question, wording; "#), "{alert}");
        ok(s, ["fsck"]);
    });
}

/// People, pages and tickets read the same texts; the same data give the same bytes.
#[test]
fn what_moved_is_shown_everywhere() {
    let s = &Sandbox::new();
    prepare(s, "");
    ok(s, ["drift", "baseline", "bot@1.0.0", "--data", "accepted.jsonl"]);
    ends(s, 3, ["drift", "check", "bot", "--data", "friday.jsonl", "--report", "html=d.html", "--report", "markdown=d.md"]);
    let explained = ok(s, ["drift", "explain", "bot", "question"]).stdout;
    for part in ["(drift is PSI > 0.2 or KL > 0.15)", "question: texts that moved\n", "new  ", "gone  ", "question by effect"] {
        assert!(explained.contains(part), "{part}\n{explained}");
    }
    let text =
        explained.lines().find_map(|line| line.strip_prefix("new ")).and_then(|line| line.split("  ").last()).expect("a text");
    assert!(s.read("d.md").contains("### Texts of question that moved") && s.read("d.md").contains(text), "{}", s.read("d.md"));
    assert!(s.read("d.html").contains(text), "{text}\n{}", s.read("d.html"));
    ok(s, ["drift", "replay", "bot", "--data", "friday.jsonl"]);
}

/// Files below a folder that hold one of these words.
fn with_words(folder: &std::path::Path, words: &[&str]) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let holds = |path: &std::path::PathBuf| {
        let bytes = std::fs::read(path).expect("a file");
        words.iter().any(|word| bytes.windows(word.len()).any(|at| at == word.as_bytes()))
    };
    files.into_iter().filter(holds).chain(folders.iter().flat_map(|folder| with_words(folder, words))).collect()
}

/// With `keep-texts = false` nothing that people wrote is in the state, in a report or in what is printed.
#[test]
fn texts_can_be_left_where_they_are() {
    let s = &Sandbox::new();
    prepare(s, "[drift.bot]\nkeep-texts = false\n");
    ok(s, ["drift", "baseline", "bot@1.0.0", "--data", "accepted.jsonl"]);
    let moved = ends(s, 3, ["drift", "check", "bot", "--data", "friday.jsonl", "--report", "html=d.html"]);
    assert!(moved.stdout.contains("new is “sha256:") && !moved.stdout.contains("question, wording"), "{moved}");
    let explained = ok(s, ["drift", "explain", "bot", "question"]).stdout;
    assert!(explained.contains("sha256:"), "{explained}");
    let words = ["parcel", "charger", "password", "neighbour"];
    assert!(words.iter().all(|word| !explained.contains(word) && !s.read("d.html").contains(word)), "{explained}");
    assert_eq!(with_words(&s.work().join(".kf"), &words), Vec::<std::path::PathBuf>::new());
    // Nor of what people ask again and again, which would be levels.
    let few = lines((0..900).map(|i| USUAL[i % 7]));
    s.write("again.jsonl", few.clone());
    s.write("new.jsonl", few + &lines((0..600).map(|i| RECALL[i % 3])));
    let taken = ok(s, ["drift", "baseline", "bot@1.0.0", "--data", "again.jsonl"]).stdout;
    assert!(taken.contains("question  texts"), "{taken}");
    let told = ends(s, 3, ["drift", "check", "bot", "--data", "new.jsonl"]).stdout;
    assert!(words.iter().all(|word| !told.contains(word)), "{told}");
    assert_eq!(with_words(&s.work().join(".kf"), &words), Vec::<std::path::PathBuf>::new());
    // The check sees texts where they are.
    s.write("mlops.toml", s.read("mlops.toml").replace("keep-texts = false", ""));
    ok(s, ["drift", "baseline", "bot@1.0.0", "--data", "accepted.jsonl"]);
    assert!(!with_words(&s.work().join(".kf"), &words).is_empty());
}

/// What cannot be compared is told of its column, and the others go on.
#[test]
fn another_embedder_and_one_that_is_away_are_told() {
    let s = &Sandbox::new();
    prepare(s, "");
    let plain = s.read("mlops.toml");
    ok(s, ["drift", "baseline", "bot@1.0.0", "--data", "accepted.jsonl"]);
    let service = Embeddings::start();
    s.write("mlops.toml", plain.clone() + &service.config());
    let other = ends(s, 4, ["drift", "check", "bot", "--data", "monday.jsonl", "--format", "json"]);
    let why = column(&other, "question")["why"].as_str().expect("a reason").to_owned();
    assert!(why.contains("made with another embedder, builtin (") && why.contains("names m-1 ("), "{why}");
    assert_eq!(column(&other, "question, wording")["status"], "ok");
    assert_eq!(service.asked(), 0, "nothing is embedded in vain");
    // Vectors that cost something are kept with those of the documents, and made once.
    s.write("documents/returns.md", crate::story::RETURNS);
    ok(s, ["ingest", "documents"]);
    ok(s, ["drift", "baseline", "bot@1.0.0", "--data", "accepted.jsonl"]);
    ok(s, ["drift", "check", "bot", "--data", "monday.jsonl"]);
    let asked = service.asked();
    assert!((2_000..2_100).contains(&asked), "{asked}");
    ok(s, ["drift", "check", "bot", "--data", "monday.jsonl"]);
    assert_eq!(service.asked(), asked);
    let gone = service.config().replace("127.0.0.1:", "127.0.0.1:1/");
    s.write("mlops.toml", plain + &gone);
    let away = ends(s, 3, ["drift", "check", "bot", "--data", "friday.jsonl", "--format", "json"]);
    assert_eq!(
        (&column(&away, "question")["status"], &column(&away, "question, wording")["status"]),
        (&"error".into(), &"warning".into())
    );
}

#[test]
fn odd_texts_have_a_status_and_the_language_is_named() {
    let s = &Sandbox::new();
    prepare(s, "[drift.bot]\nmin-rows = 20\n");
    ok(s, ["drift", "baseline", "bot@1.0.0", "--data", "accepted.jsonl"]);
    let check = |code: i32, cells: Vec<Option<String>>| {
        s.write("new.jsonl", lines(cells));
        ends(s, code, ["drift", "check", "bot", "--data", "new.jsonl", "--format", "json"])
    };
    let some = |rows| questions(4, rows, &RECALL, 0).into_iter().map(Some).collect::<Vec<_>>();
    let few = check(4, some(12));
    assert_eq!(column(&few, "question")["status"], "inconclusive");
    assert!(
        column(&few, "question")["why"]
            .as_str()
            .is_some_and(|why| why.contains("30 are the least") || why.contains("20 are the least"))
    );
    let german = check(3, questions(5, 1000, &GERMAN, 100).into_iter().map(Some).collect());
    let language = column(&german, "question, language");
    assert_eq!(language["status"], "critical");
    assert!(language["moved"].to_string().contains("question, language = de: "), "{language}");
    let blank = |i: usize, text| {
        if i.is_multiple_of(5) {
            None
        } else if i.is_multiple_of(2) {
            Some("  \n".to_owned())
        } else {
            text
        }
    };
    let blanks = check(3, some(1000).into_iter().enumerate().map(|(i, text)| blank(i, text)).collect());
    let why = column(&blanks, "question")["why"].to_string();
    assert!(why.contains("40.0 % of question hold nothing to compare") && why.contains("20.0 % of question are null"), "{why}");
    let same = check(3, vec![Some("Where is my parcel?".to_owned()); 200]);
    assert_eq!(told(&column(&same, "question"), "new"), ["Where is my parcel?"]);
    let long = |i: usize, text| if i.is_multiple_of(16) { Some("where is my parcel ".repeat(55_000)) } else { text };
    let huge = check(3, some(400).into_iter().enumerate().map(|(i, text)| long(i, text)).collect());
    assert!(column(&huge, "question, length")["why"].to_string().contains("outside of"), "{huge}");
    let rude = check(3, (0..600).map(|i| Some(format!("\u{1b}[31mred\0 alert <b>now</b> | {i}"))).collect());
    assert_eq!(column(&rude, "question")["status"], "critical");
    let shown = ok(s, ["drift", "explain", "bot"]).stdout;
    assert!(shown.contains("\\u{1b}[31mred\\0 alert") && !shown.contains('\u{1b}'), "{shown}");
}

/// What is language is found without being told; names and codes are not.
#[test]
fn language_is_found_among_columns() {
    let s = &Sandbox::new();
    with_bot(s);
    let row = |(i, text): (usize, String)| {
        serde_json::json!({ "id": format!("a7-{i}"), "who": format!("Ann{i} Lee"), "text": text }).to_string() + "\n"
    };
    s.write("rows.jsonl", questions(1, 200, &RECALL, 0).into_iter().enumerate().map(row).collect::<String>());
    let said = ok(s, ["drift", "baseline", "bot@1.0.0", "--data", "rows.jsonl", "--format", "json"]);
    let kinds: Vec<Value> = json(&said)["columns"].as_array().expect("columns").iter().map(|c| c["kind"].clone()).collect();
    assert_eq!(kinds, ["nothing", "nothing", "texts"], "{said}");
    s.write("mlops.toml", s.read("mlops.toml") + "[drift.bot]\nkinds = { who = \"text\", text = \"category\" }\n");
    let stale = ends(s, 4, ["drift", "check", "bot", "--data", "rows.jsonl"]).stdout;
    let note =
        |column: &str, kind: &str| format!("note: mlops.toml calls {column} {kind}, and the baseline took it for something else");
    assert!(stale.contains(&note("who", "text")) && stale.contains(&note("text", "category")), "{stale}");
    let said = ok(s, ["drift", "baseline", "bot@1.0.0", "--data", "rows.jsonl"]).stdout;
    assert!(said.contains("who     texts") && said.contains("text    levels"), "{said}");
    let anew = ends(s, 4, ["drift", "check", "bot", "--data", "rows.jsonl"]).stdout;
    assert!(!anew.contains("mlops.toml calls"), "{anew}");
}
