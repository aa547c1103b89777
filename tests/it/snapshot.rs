//! `kf index export` and `kf index import`: an index goes out as bytes that are the same everywhere, and comes back the same.

use crate::repo::{ends, events, json, ok};
use crate::story::RETURNS;
use crate::support::documents::prose;
use crate::support::sandbox::{Engine, Sandbox, on_both_engines};
use serde_json::Value;
use std::collections::BTreeMap;

/// Questions to the handbook, of which each answer is looked at whole.
const QUESTIONS: [&[&str]; 4] = [
    &["search", "how long do I have to send it back?", "-k", "20"],
    &["search", "money back", "--hybrid", "-k", "20"],
    &["search", "thing4", "--hybrid", "--filter", "source=docs/4"],
    &["search", "parcel", "--filter", "kind=manual"],
];

/// Documents of several kinds: near copies, a link, notes, refused ones, characters of several bytes.
fn take(s: &Sandbox, tenant: &str) {
    s.write("docs/returns.md", RETURNS);
    s.write(
        "docs/returns-again.md",
        format!("{RETURNS}\nSee [the page](returns.md). Überweisung dauert 3 Tage – nicht länger.\n"),
    );
    s.write("docs/short.txt", "Too short.");
    s.write("docs/copy.md", RETURNS);
    for i in 0..8 {
        s.write(format!("docs/{i}.txt"), prose(&format!("thing{i}"), i));
    }
    ok(s, ["ingest", "docs", "--skeleton", "--meta", "kind=manual", "--tenant", tenant, "--collection", "handbook", "-q"]);
}

/// The files of a folder.
fn folder(s: &Sandbox, dir: &str) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(s.work().join(dir)).expect("a folder").map(|e| e.expect("an entry").path());
    entries.map(|p| (p.file_name().expect("a name").to_string_lossy().into_owned(), std::fs::read(&p).expect("a file"))).collect()
}

/// What is found, but for the ids.
fn answers(s: &Sandbox, tenant: &str) -> Vec<Value> {
    let ask = |words: &&[&str]| {
        let mut command = s.command(env!("CARGO_BIN_EXE_kf"));
        let run = s.finish(command.args(*words).args(["--tenant", tenant, "--collection", "handbook", "--format", "json"]));
        assert_eq!(run.code, Some(0), "{words:?}: {run}");
        let mut found = json(&run);
        let hits = found["hits"].as_array_mut().expect("hits");
        assert!(!hits.is_empty(), "{words:?} finds nothing");
        for hit in hits {
            for id in ["document", "chunk"] {
                assert!(hit.as_object_mut().expect("a hit").remove(id).is_some(), "no {id}: {hit}");
            }
        }
        found
    };
    QUESTIONS.iter().map(ask).collect()
}

fn graph(s: &Sandbox) -> String {
    ok(s, ["graph", "show", "--collection", "handbook", "--format", "json"]).stdout
}

fn is_sound(s: &Sandbox) {
    for args in [&["fsck"][..], &["audit", "verify"], &["index", "verify", "--collection", "handbook"]] {
        let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(args));
        assert_eq!(run.code, Some(0), "{args:?}: {run}");
    }
}

const EXPORT: [&str; 5] = ["index", "export", "snap", "--collection", "handbook"];
const IMPORT: [&str; 5] = ["index", "import", "snap", "--collection", "handbook"];

/// Copies a folder of one sandbox into another.
fn carry(from: &Sandbox, to: &Sandbox, dir: &str) {
    for (name, bytes) in folder(from, dir) {
        to.write(format!("{dir}/{name}"), bytes);
    }
}

#[test]
fn a_registered_snapshot_comes_back_on_the_other_engine_with_the_same_answers() {
    for (here, there) in [(Engine::Files, Engine::Servers), (Engine::Servers, Engine::Files)] {
        let (Ok(one), Ok(other)) = (Sandbox::on(here), Sandbox::on(there)) else { continue };
        one.repository("");
        take(&one, "default");
        ok(&one, EXPORT);
        ok(&one, ["register", "handbook-index", "snap", "--type", "dataset"]);
        ok(&one, ["checkout", "handbook-index@1.0.0", "back"]);
        assert_eq!(folder(&one, "back"), folder(&one, "snap"));
        carry(&one, &other, "back");
        other.repository("");
        let run = ok(&other, ["index", "import", "back", "--collection", "handbook"]);
        assert!(run.stdout.starts_with("10 documents and "), "{run}");
        assert_eq!(answers(&other, "default"), answers(&one, "default"));
        assert_eq!(graph(&other), graph(&one));
        is_sound(&other);
        // The bytes are a function of what is searched, and of nothing of the state.
        ok(&other, EXPORT);
        assert_eq!(folder(&other, "snap"), folder(&one, "snap"));
        // And what is there already is not taken in twice.
        let before = events(&other);
        let again = ok(&other, IMPORT);
        assert!(again.stdout.contains("holds this snapshot already") && events(&other) == before, "{again}");
    }
}

#[test]
fn the_same_documents_give_the_same_bytes_and_each_import_is_recorded() {
    on_both_engines(|s| {
        s.repository("");
        take(s, "default");
        ok(s, EXPORT);
        let first = folder(s, "snap");
        take(s, "acme");
        ok(s, ["index", "export", "deep/er/snap", "--tenant", "acme", "--collection", "handbook"]);
        assert_eq!(folder(s, "deep/er/snap"), first, "the same of another tenant, who has other keys");
        let before = events(s);
        let run = json(&ok(s, ["index", "import", "snap", "--tenant", "third", "--collection", "handbook", "--format", "json"]));
        let documents = run["documents"].as_u64().expect("a number");
        // The collection, its documents, and that they came from a snapshot.
        assert_eq!((events(s), documents), (before + documents + 2, 10), "{run}");
        // The file of a restored document is read anew and replaces it.
        let run =
            ok(s, ["ingest", "docs", "--skeleton", "--meta", "kind=manual", "--tenant", "third", "--collection", "handbook"]);
        assert!(run.stdout.contains("10 documents taken, 10 of them new versions"), "{run}");
        ok(s, ["index", "export", "snap", "--tenant", "third", "--collection", "handbook"]);
        assert_eq!(folder(s, "snap"), first);
        is_sound(s);
    });
}

#[test]
fn what_is_damaged_foreign_or_of_another_model_is_refused_and_nothing_changes() {
    on_both_engines(|s| {
        s.repository("");
        take(s, "default");
        ok(s, EXPORT);
        let whole = folder(s, "snap");
        let before = events(s);
        let refused = |says: &str| {
            let run = ends(s, 1, ["index", "import", "snap", "--collection", "new"]);
            assert!(run.stderr.contains(says) && run.stderr.contains("hint:"), "{says}: {run}");
            assert_eq!(events(s), before, "{says}");
        };
        for (name, bytes) in &whole {
            let middle = bytes.len() / 2;
            let mut flipped = bytes.clone();
            flipped[middle] ^= 1;
            let says = if name == "manifest.json" { "" } else { "the snapshot is damaged" };
            for (what, damaged) in
                [("flipped", &flipped[..]), ("cut", &bytes[..middle]), ("longer", &[&bytes[..], b"\n"].concat())]
            {
                // White space behind the manifest says nothing.
                if (what, name.as_str()) != ("longer", "manifest.json") {
                    s.write(format!("snap/{name}"), damaged);
                    refused(says);
                }
            }
            std::fs::remove_file(s.work().join("snap").join(name)).expect("removed");
            refused(if name == "manifest.json" { "is no snapshot of an index" } else { "cannot read" });
            s.write(format!("snap/{name}"), bytes);
        }
        // Files that fit their digests, and say what cannot be.
        for (name, from, to, says) in [
            ("documents.jsonl", "\"docs/1.txt\"", "\"docs/0.txt\"", "does not come after"),
            ("documents.jsonl", "\"graph\":true", "\"graph\":false", "nobody asked"),
            ("documents.jsonl", "\"format\":\"text\"", "\"format\":\"runes\"", "does not know the format `runes`"),
            ("chunks.jsonl", "\"fresh\":0", "\"fresh\":999999", "is not within its text"),
            ("chunks.jsonl", "\"text\":\"", "\"text\":\"x", "is not the slice"),
            ("chunks.jsonl", "\"tokens\":", "\"tokens\":-", "line 1 of chunks.jsonl"),
            ("mentions.jsonl", "\"confidence\":", "\"confidence\":9", "is not within 0 and 100"),
            ("mentions.jsonl", "\"start\":", "\"start\":-1", "is not within the chunks"),
            ("relations.jsonl", "\"stop\":", "\"stop\":99999", "is not within the text"),
        ] {
            let text = String::from_utf8(whole[name].clone()).expect("text");
            assert!(text.contains(from), "{name} has no {from}: {text}");
            // Not every document speaks of something.
            let changed = if from.contains("graph") { text.replace(from, to) } else { text.replacen(from, to, 1) };
            forge(s, &whole, name, changed.as_bytes());
            refused(says);
        }
        forge(s, &whole, "vectors.f32", &vec![0x7f; whole["vectors.f32"].len()]);
        refused("not of length 1");
        forge(s, &whole, "chunks.jsonl", b"");
        refused("has 0 chunks, its row says");
        let manifest = String::from_utf8(whole["manifest.json"].clone()).expect("text");
        for (from, to, says) in
            [("kf.index-snapshot/1", "kf.index-snapshot/9", "not `kf.index-snapshot/1`"), ("\"sha256:", "\"sha256:00", "")]
        {
            s.write("snap/manifest.json", manifest.replacen(from, to, 1));
            refused(says);
        }
        let at = manifest.find("sha256:").expect("a digest") + 7;
        s.write("snap/manifest.json", format!("{}{}{}", &manifest[..at], "0".repeat(64), &manifest[at + 64..]));
        refused("`[embedder]` says builtin");
    });
}

/// A snapshot with another file, whose digest the manifest has.
fn forge(s: &Sandbox, whole: &BTreeMap<String, Vec<u8>>, name: &str, bytes: &[u8]) {
    whole.iter().for_each(|(name, bytes)| drop(s.write(format!("snap/{name}"), bytes)));
    s.write(format!("snap/{name}"), bytes);
    let mut manifest: Value = serde_json::from_slice(&whole["manifest.json"]).expect("JSON");
    let files = manifest["files"].as_array_mut().expect("files");
    let entry = files.iter_mut().find(|f| f["path"] == name).expect("the file");
    entry["bytes"] = bytes.len().into();
    entry["digest"] = kf::base::digest::Digest::of(bytes).to_string().into();
    if name != "vectors.f32" {
        entry["lines"] = bytes.iter().filter(|b| **b == b'\n').count().into();
    }
    s.write("snap/manifest.json", manifest.to_string());
}

#[test]
fn what_is_there_is_replaced_only_when_that_is_asked_for() {
    on_both_engines(|s| {
        s.repository("");
        take(s, "default");
        let asked = answers(s, "default");
        ok(s, EXPORT);
        let first = folder(s, "snap");
        s.write("docs/new.txt", prose("novelty", 99));
        s.write("docs/3.txt", prose("another", 33));
        std::fs::remove_file(s.work().join("docs/returns.md")).expect("removed");
        ok(s, ["ingest", "docs", "--skeleton", "--meta", "kind=manual", "--collection", "handbook", "-q"]);
        let before = events(s);
        let run = ends(s, 1, IMPORT);
        assert!(run.stderr.contains("that are not those of the snapshot") && run.stderr.contains("`--replace`"), "{run}");
        assert_eq!(events(s), before);
        let run = ok(s, ["index", "import", "snap", "--collection", "handbook", "--replace"]);
        assert!(run.stdout.contains("removed"), "{run}");
        assert_eq!(answers(s, "default"), asked);
        ok(s, EXPORT);
        assert_eq!(folder(s, "snap"), first, "an older snapshot is replaced, and nothing is beside it");
        let left = std::fs::read_dir(s.work()).expect("a folder").map(|e| e.expect("an entry").file_name());
        assert!(!left.into_iter().any(|name| name.to_string_lossy().starts_with(".kf-export")));
        is_sound(s);
        // What is no snapshot is not touched.
        s.write("snap/manifest.json", "{}");
        let before = (folder(s, "snap"), folder(s, "docs"));
        for dir in ["snap", "docs", "docs/3.txt"] {
            let run = ends(s, 1, ["index", "export", dir, "--collection", "handbook"]);
            assert!(run.stderr.contains("is there already"), "{run}");
        }
        assert_eq!((folder(s, "snap"), folder(s, "docs")), before);
    });
}

#[test]
fn a_snapshot_has_nothing_of_another_tenant() {
    on_both_engines(|s| {
        s.repository("");
        s.write("own/secret.md", RETURNS.replace("parcel", "zarquon"));
        ok(s, ["ingest", "own", "--skeleton", "--tenant", "acme", "--collection", "handbook", "-q"]);
        take(s, "default");
        ok(s, EXPORT);
        for (name, bytes) in folder(s, "snap") {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            assert!(!text.contains("zarquon") && !text.contains("acme") && !text.contains("secret"), "{name}: {text}");
        }
        let run = ends(s, 1, ["index", "export", "stolen", "--tenant", "nobody", "--collection", "handbook"]);
        assert!(!run.to_string().contains("acme") && !s.work().join("stolen").exists(), "{run}");
        let theirs = ok(s, ["search", "zarquon", "--tenant", "acme", "--collection", "handbook"]).stdout;
        ok(s, ["index", "import", "snap", "--tenant", "acme", "--collection", "second"]);
        assert_eq!(ok(s, ["search", "zarquon", "--tenant", "acme", "--collection", "handbook"]).stdout, theirs);
        let run = ends(s, 1, ["search", "parcel", "--collection", "second"]);
        assert!(run.stderr.contains("has no collection second"), "{run}");
    });
}
