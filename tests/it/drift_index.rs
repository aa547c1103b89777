//! What `kf drift` reads of an index: the chunks of a collection with their vectors, within one tenant.

use crate::repo::{ends, events, json, ok, with_bot};
use crate::support::documents::prose;
use crate::support::sandbox::{Run, Sandbox, on_both_engines};
use serde_json::Value;
use std::fmt::Write as _;

const OLD: [&str; 4] = ["parcel", "jacket", "invoice", "password"];
const NEW: [&str; 2] = ["earthquake", "volcano"];

/// Writes pages of five sections each and takes them in.
fn take(s: &Sandbox, tenant: &str, folder: &str, subjects: &[&str], pages: usize) {
    for page in 0..pages {
        let mut text = format!("# Page {page}\n");
        for section in 0..5 {
            let number = page * 5 + section;
            let subject = subjects[number % subjects.len()];
            write!(text, "\n## The {subject}\n\n{}\n", prose(subject, number)).expect("text");
        }
        s.write(format!("{folder}/{page}.md"), text);
    }
    ok(s, ["ingest", folder, "--skeleton", "--tenant", tenant, "--collection", "manuals"]);
}

/// A bot whose drift is looked for in the vectors of `index:manuals`.
fn with_index(s: &Sandbox) {
    with_bot(s);
    let table = "[drift.manuals]\nmodel = \"bot\"\ndata = [\"index:manuals\"]\ncolumns = [\"language\", \"characters\", \"embedding\"]\n\
        kinds = { text = \"text\" }\n";
    s.write("mlops.toml", s.read("mlops.toml") + table);
    take(s, "acme", "old", &OLD, 30);
}

/// Takes the baseline `manuals` and answers its document.
fn baseline<const N: usize>(s: &Sandbox, data: [&str; N]) -> Value {
    let run = ["drift", "baseline", "bot@1.0.0", "--name", "manuals", "--tenant", "acme", "--format", "json", "--data"];
    json(&s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(run).args(data)))
}

fn column<'a>(check: &'a Value, name: &str) -> &'a Value {
    let columns = check["judgement"]["columns"].as_array().expect("columns");
    columns.iter().find(|c| c["name"] == name).unwrap_or_else(|| panic!("{name}: {check}"))
}

fn check(s: &Sandbox, code: i32) -> Value {
    json(&ends(s, code, ["drift", "check", "manuals", "--tenant", "acme", "--format", "json"]))["checks"][0].clone()
}

/// New documents of another subject move the vectors of an index; the same documents are the same data.
#[test]
fn the_vectors_of_an_index_are_compared() {
    on_both_engines(|s| {
        with_index(s);
        let kept = baseline(s, ["index:manuals"]);
        assert!(kept["rows"].as_u64().expect("rows") >= 150 && kept["columns"][2]["kind"] == "vectors", "{kept}");
        assert!(kept["notes"].to_string().contains("pieces of documents of acme"), "{kept}");
        // Vectors of so few rows decide nothing without drift.
        let same = check(s, 4);
        assert!(same["notes"].to_string().contains("the very bytes that the baseline was taken of"), "{same}");
        assert_eq!((&column(&same, "embedding")["status"], &same["rows"]), (&"inconclusive".into(), &kept["rows"]), "{same}");
        take(s, "acme", "new", &NEW, 20);
        let moved = check(s, 3);
        let embedding = column(&moved, "embedding");
        assert!(["warning", "critical"].contains(&embedding["status"].as_str().expect("a status")), "{embedding}");
        let why = embedding["why"].as_str().expect("words");
        assert!(OLD.iter().any(|subject| why.contains(&format!("This page is about the {subject}"))), "named by texts: {why}");
        let replay = ["drift", "replay", "manuals", "--data", "index:manuals", "--tenant", "acme"];
        assert!(ok(s, replay).stdout.contains("the same again"));
        ok(s, ["ingest", "rm", "new/0.md", "--tenant", "acme", "--collection", "manuals"]);
        assert!(ends(s, 3, replay).stdout.contains("the data are others"));
        ok(s, ["fsck"]);
        ok(s, ["audit", "verify"]);
    });
}

/// Rows are what `kf index export` writes: the same vectors and texts give the same profile, which holds no trace of where they were read.
#[test]
fn rows_are_those_of_the_index() {
    let s = &Sandbox::new();
    with_index(s);
    let of_index = baseline(s, ["index:manuals"]);
    ok(s, ["index", "export", "out", "--tenant", "acme", "--collection", "manuals"]);
    let lines = |path: &str| s.read(path).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect::<Vec<Value>>();
    let documents = lines("out/documents.jsonl");
    let vectors = std::fs::read(s.work().join("out/vectors.f32")).expect("vectors");
    let chunks = lines("out/chunks.jsonl");
    let width = vectors.len() / chunks.len();
    let row = |(chunk, vector): (&Value, &[u8])| {
        let document = documents.iter().find(|d| d["source"] == chunk["document"]).expect("its document");
        let numbers: Vec<f32> = vector.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        let (language, characters) = (&document["language"], chunk["text"].as_str().expect("a text").chars().count());
        // Columns are kept in the order of the keys.
        let (text, numbers) = (&chunk["text"], serde_json::to_string(&numbers).expect("numbers"));
        format!("{{\"language\":{language},\"text\":{text},\"characters\":{characters},\"embedding\":{numbers}}}\n")
    };
    s.write("rows.jsonl", chunks.iter().zip(vectors.chunks(width)).map(row).collect::<String>());
    let of_file = baseline(s, ["rows.jsonl"]);
    assert_eq!((&of_file["profile"], &of_file["rows"]), (&of_index["profile"], &of_index["rows"]));
}

/// A tenant sees its own collections only, and nobody can tell from the log that two tenants have the same documents.
#[test]
fn an_index_is_read_within_one_tenant() {
    on_both_engines(|s| {
        with_index(s);
        take(s, "globex", "old", &OLD, 30);
        s.write("short/note.txt", "Too short.\n");
        s.kf(["ingest", "short", "--tenant", "globex", "--collection", "notes"]);
        let before = events(s);
        let ask = |code: i32, tenant: &str, data: &str| -> Run {
            ends(s, code, ["drift", "baseline", "bot@1.0.0", "--name", "x", "--tenant", tenant, "--data", data])
        };
        let says = |run: Run, words: &[&str]| words.iter().for_each(|w| assert!(run.to_string().contains(w), "{w}: {run}"));
        says(ask(1, "acme", "index:manual"), &["the tenant acme has no collection manual", "`manuals`", "index:COLLECTION"]);
        says(ask(1, "acm", "index:manuals"), &["the tenant acm has no collection manuals", "kf ingest"]);
        says(ask(1, "globex", "index:notes"), &["the collection notes of the tenant globex has no chunks"]);
        let other = ask(1, "acme", "index:note");
        assert!(!other.to_string().contains("notes"), "another tenant's: {other}");
        says(ask(2, "acme", "index:"), &["`index:` names no collection", "it is empty"]);
        says(ask(2, "acme", "index:a b"), &["`index:a b` names no collection"]);
        says(ends(s, 1, ["drift", "check", "manuals"]), &["the tenant default has no collection manuals"]);
        assert_eq!(events(s), before);
        let digest = |tenant: &str| {
            let take = ["drift", "baseline", "bot@1.0.0", "--name", tenant, "--tenant", tenant, "--data", "index:manuals"];
            let kept = json(&s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(take).args(["--format", "json"])));
            ok(s, ["audit", "show", &kept["event"].to_string(), "--format", "json"]).stdout
        };
        let (acme, globex) = (digest("acme"), digest("globex"));
        let files = |event: &str| {
            let at = event.find("\"files\"").unwrap_or_else(|| panic!("{event}"));
            event[at..].chars().take_while(|c| *c != '}').filter(|c| !c.is_whitespace()).collect::<String>()
        };
        let (acme, globex) = (files(&acme), files(&globex));
        let bytes =
            |files: &str| files.split_once("\"bytes\":").map(|(_, rest)| rest.split(',').next().unwrap_or_default().to_owned());
        assert_eq!(bytes(&acme), bytes(&globex), "the same rows: {acme}");
        assert_ne!(acme, globex, "and digests that tell nobody so");
    });
}

/// A file may be called like a collection, and a slip in `mlops.toml` is told where it stands.
#[test]
fn a_file_of_such_a_name_and_a_slip_are_told_apart() {
    let s = &Sandbox::new();
    with_bot(s);
    s.write("index:a.csv", "x\n".to_owned() + &(0..50).map(|i| format!("{}\n", i % 7)).collect::<String>());
    ok(s, ["drift", "baseline", "bot@1.0.0", "--data", "./index:a.csv"]);
    let before = s.read("mlops.toml");
    s.write("mlops.toml", format!("{before}[drift.bot]\ndata = [\"index:a b\"]\n"));
    let run = ends(s, 2, ["drift", "check"]);
    assert!(
        run.to_string().contains("`drift.bot.data` names no collection") && run.to_string().contains("index:COLLECTION"),
        "{run}"
    );
    s.write("mlops.toml", format!("{before}[drift.bot]\nrule = \"spec\"\ndata = [\"./index:a.csv\"]\n"));
    ok(s, ["drift", "check"]);
}
