//! `kf ingest` and what is found afterwards.

use crate::repo::{ends, events, init, json, ok, on_both, refused};
use crate::support::documents::{docx, eml, html, pdf, prose};
use crate::support::sandbox::Sandbox;
use serde_json::Value;

/// A folder of one document of each kind, each with a subject of its own.
fn mixed(s: &Sandbox) {
    init(s);
    s.write("docs/lanterns.md", format!("# Lanterns\n\n{}\n\n## Care\n\n{}\n", prose("lantern", 1), prose("wick", 2)));
    s.write("docs/kites.html", html("Kites", &prose("kite", 3)));
    s.write("docs/anchors.txt", prose("anchor", 4));
    s.write("docs/parcels.csv", format!("name,what\nparcel,{}\n", prose("parcel", 5)));
    s.write("docs/bells.json", format!("{{\"bell\": \"{}\"}}", prose("bell", 6)));
    s.write("docs/letters.eml", eml("The ladder", &prose("ladder", 7)));
    s.write("docs/sub/drums.docx", docx(&prose("drum", 8)));
    s.write("docs/sub/ferries.pdf", pdf(&prose("ferry", 9)));
}

fn counts(report: &Value) -> [u64; 4] {
    ["added", "replaced", "unchanged", "removed"].map(|key| report[key].as_u64().expect("a number"))
}

fn ingest<const N: usize>(s: &Sandbox, code: i32, more: [&str; N]) -> Value {
    let args = ["ingest", "docs", "--format", "json"].into_iter().chain(more);
    let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(args));
    assert_eq!(run.code, Some(code), "{run}");
    json(&run)
}

/// The documents that a search finds, best first, each once.
fn sources(s: &Sandbox, query: &[&str]) -> Vec<String> {
    let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(["search", "--format", "json", "-k", "20"]).args(query));
    assert_eq!(run.code, Some(0), "{run}");
    let hits = json(&run)["hits"].as_array().expect("hits").clone();
    let mut found = Vec::new();
    for hit in &hits {
        let source = hit["source"].as_str().expect("a source").to_owned();
        if !found.contains(&source) {
            found.push(source);
        }
    }
    found
}

fn soundly(s: &Sandbox) {
    ok(s, ["index", "verify"]);
    ok(s, ["fsck"]);
    ok(s, ["audit", "verify"]);
}

#[test]
fn what_goes_in_is_found_with_exact_citations() {
    on_both(|s| {
        mixed(s);
        assert_eq!(counts(&ingest(s, 0, [])), [8, 0, 0, 0]);
        for (word, source) in [
            ("lantern", "docs/lanterns.md"),
            ("kite", "docs/kites.html"),
            ("anchor", "docs/anchors.txt"),
            ("parcel", "docs/parcels.csv"),
            ("bell", "docs/bells.json"),
            ("ladder", "docs/letters.eml"),
            ("drum", "docs/sub/drums.docx"),
            ("ferry", "docs/sub/ferries.pdf"),
        ] {
            let found = json(&ok(s, ["search", word, "--hybrid", "-k", "1", "--format", "json"]));
            let hit = &found["hits"][0];
            assert_eq!(hit["source"], source, "{word}: {found}");
            let text: Vec<char> = ok(s, ["ingest", "show", source, "--text"]).stdout.chars().collect();
            let at = |key: &str| usize::try_from(hit[key].as_u64().expect("an offset")).expect("small");
            let slice: String = text[at("start")..at("stop")].iter().collect();
            assert_eq!(hit["text"], slice.as_str(), "{source}");
            assert!(slice.contains(word), "{slice}");
        }
        let ferry = json(&ok(s, ["search", "ferry", "-k", "1", "--hybrid", "--format", "json"]));
        assert_eq!(ferry["hits"][0]["pages"], serde_json::json!([1, 1]));
        let care = json(&ok(s, ["search", "wick", "-k", "1", "--hybrid", "--format", "json"]));
        assert_eq!(care["hits"][0]["heading"], "Lanterns › Care");
        soundly(s);
    });
}

#[test]
fn a_second_run_does_nothing_and_says_nothing_under_quiet() {
    on_both(|s| {
        mixed(s);
        ingest(s, 0, []);
        let before = events(s);
        assert_eq!(counts(&ingest(s, 0, [])), [0, 0, 8, 0]);
        assert_eq!(counts(&ingest(s, 0, ["--rehash"])), [0, 0, 8, 0]);
        let quiet = ok(s, ["ingest", "docs", "--quiet"]);
        assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
        assert_eq!(events(s), before, "nothing happened");
    });
}

#[test]
fn changed_gone_and_removed_documents() {
    on_both(|s| {
        mixed(s);
        ingest(s, 0, []);
        s.write("docs/anchors.txt", prose("windmill", 11));
        assert_eq!(counts(&ingest(s, 0, [])), [0, 1, 7, 0]);
        assert_eq!(sources(s, &["windmill", "--hybrid"])[0], "docs/anchors.txt");
        assert!(!ok(s, ["ingest", "show", "docs/anchors.txt", "--text"]).stdout.contains("anchor"));
        std::fs::remove_file(s.work().join("docs/kites.html")).expect("removed");
        assert_eq!(counts(&ingest(s, 0, ["--keep-missing"])), [0, 0, 7, 0]);
        assert!(sources(s, &["kite"]).contains(&"docs/kites.html".to_owned()));
        assert_eq!(counts(&ingest(s, 0, ["--dry-run"])), [0, 0, 7, 1]);
        assert_eq!(counts(&ingest(s, 0, [])), [0, 0, 7, 1]);
        assert!(!sources(s, &["kite"]).contains(&"docs/kites.html".to_owned()));
        ok(s, ["ingest", "rm", "docs/bells.json"]);
        assert!(!sources(s, &["bell"]).contains(&"docs/bells.json".to_owned()));
        ends(s, 1, ["ingest", "show", "docs/bells.json"]);
        refused(s, 1, ["ingest", "rm", "docs/parcels.csv", "docs/none.txt"]);
        soundly(s);
    });
}

#[test]
fn a_dry_run_tells_and_changes_nothing() {
    on_both(|s| {
        mixed(s);
        let before = events(s);
        assert_eq!(counts(&ingest(s, 0, ["--dry-run"])), [8, 0, 0, 0]);
        assert_eq!(events(s), before);
        assert_eq!(json(&ok(s, ["ingest", "status", "--format", "json"]))["collections"], serde_json::json!([]));
        assert!(!s.work().join(".kf/cache/seen").exists(), "nor is anything noted as seen");
    });
}

#[test]
fn a_document_that_moves_is_never_lost() {
    on_both(|s| {
        mixed(s);
        s.write("docs/copy.txt", prose("anchor", 4));
        let first = ingest(s, 0, []);
        assert_eq!(first["refused"], serde_json::json!({"duplicate": 1}), "policy is no failure: {first}");
        // Another name, the copy stays one.
        std::fs::rename(s.work().join("docs/anchors.txt"), s.work().join("docs/an.txt")).expect("moved");
        let moved = ingest(s, 0, []);
        assert_eq!((counts(&moved), &moved["refused"]), ([1, 0, 7, 1], &serde_json::json!({"duplicate": 1})), "{moved}");
        // The original goes, so the copy takes its place in the same run.
        std::fs::remove_file(s.work().join("docs/an.txt")).expect("removed");
        let left = ingest(s, 0, []);
        assert_eq!((counts(&left), &left["refused"]), ([0, 1, 7, 1], &serde_json::json!({})), "{left}");
        assert_eq!(sources(s, &["anchor", "--hybrid"])[0], "docs/copy.txt");
        // Two that swap their names: both texts are there afterwards.
        let (a, b) = (s.read("docs/copy.txt"), s.read("docs/lanterns.md"));
        s.write("docs/lanterns.md", a);
        s.write("docs/copy.txt", b);
        let swapped = ingest(s, 0, []);
        assert_eq!(swapped["refused"], serde_json::json!({}), "{swapped}");
        assert_eq!(sources(s, &["anchor", "--hybrid"])[0], "docs/lanterns.md");
        assert_eq!(sources(s, &["lantern", "--hybrid"])[0], "docs/copy.txt");
        // Taken out by hand: the next run takes the copy, too.
        s.write("docs/z.txt", s.read("docs/lanterns.md"));
        assert_eq!(ingest(s, 0, [])["refused"], serde_json::json!({"duplicate": 1}));
        ok(s, ["ingest", "rm", "docs/lanterns.md"]);
        std::fs::remove_file(s.work().join("docs/lanterns.md")).expect("removed");
        assert_eq!(counts(&ingest(s, 0, [])), [0, 1, 7, 0]);
        soundly(s);
    });
}

#[test]
fn what_cannot_be_read_for_now_keeps_what_was_taken() {
    on_both(|s| {
        mixed(s);
        ingest(s, 0, []);
        let (sub, file) = (s.work().join("docs/sub"), s.work().join("docs/anchors.txt"));
        // Root reads everything: a loop of links stands for what cannot be looked at.
        std::fs::rename(&sub, s.work().join("aside")).expect("moved");
        std::os::unix::fs::symlink("sub", &sub).expect("a link");
        let run = ingest(s, 5, ["--keep-missing"]);
        assert_eq!((counts(&run), &run["refused"]), ([0, 0, 6, 0], &serde_json::json!({"not-a-file": 1})), "{run}");
        std::fs::remove_file(&sub).expect("removed");
        std::fs::rename(s.work().join("aside"), &sub).expect("moved back");
        assert_eq!(counts(&ingest(s, 0, [])), [0, 0, 8, 1], "only what was told of the link goes");
        assert!(file.exists());
    });
}

#[test]
fn notes_become_filters() {
    on_both(|s| {
        mixed(s);
        ok(s, ["ingest", "docs/sub", "--meta", "product=x200", "--meta", "team=sea"]);
        ok(s, ["ingest", "docs/kites.html", "--meta", "product=y1"]);
        assert_eq!(sources(s, &["page", "--filter", "product=y1"]), ["docs/kites.html"]);
        let mut sea = sources(s, &["page", "--filter", "team=sea", "--filter", "product=x200"]);
        sea.sort();
        assert_eq!(sea, ["docs/sub/drums.docx", "docs/sub/ferries.pdf"]);
        assert!(sources(s, &["page", "--filter", "team=land"]).is_empty());
        let said = |filter: &str| ok(s, ["search", "page", "--filter", filter]).stderr;
        assert_eq!(said("team=land"), "", "an answer: nothing is of that team");
        assert!(said("taem=sea").contains("has `taem` noted: did you mean `team`?"), "{}", said("taem=sea"));
        assert!(said("lang=de").contains("has `lang` noted"), "{}", said("lang=de"));
        let run = ends(s, 2, ["search", "page", "--filter", "language"]);
        assert!(run.stderr.contains("`language` is not a filter; write KEY=VALUE, such as `language=de`"), "{run}");
        ends(s, 2, ["ingest", "docs", "--meta", "a=1", "--meta", "a=2"]);
        let shown = json(&ok(s, ["ingest", "show", "docs/kites.html", "--format", "json"]));
        assert_eq!(shown["meta"], serde_json::json!({"product": "y1"}));
    });
}

#[test]
fn reports_tell_of_refusals_and_retry_reads_them_again() {
    on_both(|s| {
        mixed(s);
        s.write("docs/bad.pdf", "%PDF-1.4\nnothing of a PDF follows");
        s.write("docs/short.txt", "Too short.");
        let first = ingest(s, 5, ["--meta", "by=ada"]);
        let bad = first["documents"][0]["reason"].as_str().expect("a reason").to_owned();
        assert_eq!(first["refused"], serde_json::json!({bad.as_str(): 1, "too-short": 1}), "{first}");
        let report = json(&ok(s, ["ingest", "report", "--format", "json"]));
        assert_eq!(report["totals"]["documents"], 8);
        let named: Vec<_> = report["refused"].as_array().expect("a list").iter().map(|r| r["source"].clone()).collect();
        assert_eq!(named, ["docs/bad.pdf", "docs/short.txt"]);
        let only = json(&ok(s, ["ingest", "report", "--reason", "too-short", "--format", "json"]));
        assert_eq!(only["refused"].as_array().expect("a list").len(), 1);
        let unknown = ends(s, 2, ["ingest", "report", "--reason", "too-shrot"]);
        assert!(unknown.stderr.contains("too-short"), "{unknown}");
        // The same files, the same answers, nothing new in the log.
        refused(s, 5, ["ingest", "retry"]);
        refused(s, 0, ["ingest", "retry", "--reason", "too-short"]);
        // Another file under the name: what was noted of it stays.
        s.write("docs/short.txt", prose("zeppelin", 12));
        let retried = json(&ok(s, ["ingest", "retry", "--reason", "too-short", "--format", "json"]));
        assert_eq!(counts(&retried), [0, 1, 0, 0], "{retried}");
        assert_eq!(sources(s, &["zeppelin", "--hybrid", "--filter", "by=ada"])[0], "docs/short.txt");
        // One by name is read again though it was taken.
        let again = json(&ok(s, ["ingest", "retry", "docs/kites.html", "--format", "json"]));
        assert_eq!(counts(&again), [0, 1, 0, 0]);
        std::fs::remove_file(s.work().join("docs/bad.pdf")).expect("removed");
        assert_eq!(counts(&json(&ok(s, ["ingest", "retry", "--format", "json"]))), [0, 0, 0, 1]);
        assert_eq!(counts(&ingest(s, 0, ["--meta", "by=ada"])), [0, 0, 9, 0]);
        soundly(s);
    });
}

#[test]
fn lines_come_one_a_document() {
    on_both(|s| {
        mixed(s);
        s.write("docs/short.txt", "Too short.");
        let run = ok(s, ["ingest", "docs", "--format", "jsonl"]);
        let lines: Vec<Value> = run.stdout.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
        let told: Vec<_> = lines.iter().map(|l| (l["source"].as_str().expect("a source"), l["result"].clone())).collect();
        assert_eq!(told.len(), 9, "{run}");
        assert_eq!(told[0], ("docs/anchors.txt", "added".into()));
        assert!(told.contains(&("docs/short.txt", "refused".into())), "{run}");
        let again = ok(s, ["ingest", "docs", "--format", "jsonl"]);
        assert_eq!(again.stdout.matches("\"unchanged\"").count(), 8, "{again}");
        assert_eq!(ok(s, ["ingest", "docs", "--format", "jsonl", "--quiet"]).stdout, "");
    });
}

#[test]
fn a_list_names_what_is_read() {
    on_both(|s| {
        mixed(s);
        s.write("list", "docs/sub\n\ndocs/kites.html\n");
        let run = json(&ok(s, ["ingest", "--watch-list", "list", "--format", "json"]));
        assert_eq!(counts(&run), [3, 0, 0, 0]);
        ends(s, 2, ["ingest"]);
        ends(s, 1, ["ingest", "--watch-list", "nowhere"]);
        let mut piped = s.command("sh");
        piped.args(["-c", "echo docs/anchors.txt | kf ingest --watch-list - --format json"]);
        assert_eq!(counts(&json(&s.finish(&mut piped))), [1, 0, 0, 0]);
    });
}

#[test]
fn checks_alone_take_nothing_in() {
    on_both(|s| {
        mixed(s);
        s.write("docs/short.txt", "Too short.");
        let good = json(&ok(s, ["ingest", "check", "docs/anchors.txt", "--format", "json"]));
        assert_eq!(good["files"][0]["checks"].as_array().expect("checks").len(), 6);
        let bad = json(&refused(s, 3, ["ingest", "check", "docs/short.txt", "docs/sub/ferries.pdf", "--format", "json"]));
        assert_eq!((&bad["files"][0]["reason"], &bad["files"][1]["format"]), (&"too-short".into(), &"pdf".into()));
    });
}

#[test]
fn two_runs_at_once_take_each_document_once() {
    on_both(|s| {
        init(s);
        for i in 0..150 {
            s.write(format!("docs/{i:03}.txt"), prose(&format!("thing{i}"), i));
        }
        let args = |_| ["ingest", "docs", "--format", "json"].map(str::to_owned).to_vec();
        let runs = s.kf_at_once(2, args);
        let added: u64 = runs.iter().map(|run| counts(&json(run))[0]).sum();
        assert_eq!(added, 150, "{}\n{}", runs[0], runs[1]);
        let status = json(&ok(s, ["ingest", "status", "--format", "json"]));
        assert_eq!(status["collections"][0]["documents"], 150);
        soundly(s);
    });
}
