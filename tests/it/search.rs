//! `kf search` and `kf index` with every engine of vectors: whichever finds the nearest, the answers are the same.

use crate::repo::{ends, events, json, ok, refused};
use crate::story;
use crate::support::embeddings::Embeddings;
use crate::support::sandbox::{Engine, Sandbox, on_both_engines};
use crate::support::{pg, qdrant, skip};

/// Documents on subjects that have little to do with each other.
const LIBRARY: &[(&str, &str)] = &[
    (
        "returns.md",
        "# Returns\n\nYou may return a parcel within thirty days. Print the label, put it on the box and take the parcel to any post office. The money comes back to your card within a week.\n",
    ),
    (
        "garden/roses.md",
        "# Roses\n\nCut roses back in early spring, before the buds open. Water them at the root in the morning, and never wet the leaves, because mildew grows on wet leaves overnight.\n",
    ),
    (
        "bread.txt",
        "Mix flour, water, salt and yeast, and let the dough rest until it has doubled. Fold it twice, shape a loaf and bake it in a hot oven with some steam for forty minutes.\n",
    ),
    (
        "router.md",
        "# Router\n\nHold the reset button for ten seconds to bring the router back to its first settings. The password of the wireless network is printed on the label below the device.\n",
    ),
    (
        "tides.txt",
        "The tide rises and falls twice a day, because the moon pulls the water of the sea towards it. When sun and moon stand in one line the spring tide is highest.\n",
    ),
    (
        "invoice.md",
        "# Invoices\n\nAn invoice is due fourteen days after it was sent. Whoever pays late gets a reminder by letter, and after the second reminder we charge a fee of five euros.\n",
    ),
    (
        "bees.txt",
        "A bee tells the others where flowers are by a dance on the comb. The angle of the dance shows the direction to the sun, and its length shows how far the flowers are.\n",
    ),
];

/// What is asked of the library.
pub(crate) const QUESTIONS: &[&[&str]] = &[
    &["how do I send a parcel back"],
    &["watering roses in the garden", "--filter", "source=garden/"],
    &["bake a loaf of dough"],
    &["the wireless password", "--hybrid"],
    &["moon and sea", "--filter", "format=text"],
    &["when must I pay", "-k", "3"],
];

/// One answer: its source, its characters, its cosine.
pub(crate) type Answer = (String, i64, i64, f64);

pub(crate) fn write_library(s: &Sandbox, repeat: usize) {
    for (name, text) in LIBRARY {
        s.write(format!("docs/{name}"), text);
    }
    // More than one statement adds or compares at a time.
    let chapters =
        |n: usize| format!("# Chapter {n}\n\n{} This is what chapter {n} says, and no other does.\n\n", LIBRARY[n % 7].1);
    s.write("docs/book.md", (0..repeat).map(chapters).collect::<String>());
}

pub(crate) fn asked(s: &Sandbox, question: &[&str]) -> Vec<Answer> {
    let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).arg("search").args(question).args(["--format", "json"]));
    assert_eq!(run.code, Some(0), "{question:?}\n{run}");
    let hit = |h: &serde_json::Value| {
        let number = |key: &str| h[key].as_i64().expect("a number");
        (h["source"].as_str().expect("a source").to_owned(), number("start"), number("stop"), h["cosine"].as_f64().unwrap_or(9.0))
    };
    json(&run)["hits"].as_array().expect("hits").iter().map(hit).collect()
}

pub(crate) fn answers(s: &Sandbox) -> Vec<Vec<Answer>> {
    QUESTIONS.iter().map(|q| asked(s, q)).collect()
}

#[track_caller]
pub(crate) fn same(a: &[Vec<Answer>], b: &[Vec<Answer>], note: &str) {
    assert_eq!(a.len(), b.len(), "{note}");
    for (a, b) in a.iter().flatten().zip(b.iter().flatten()) {
        assert_eq!((&a.0, a.1, a.2), (&b.0, b.1, b.2), "{note}");
        assert!((a.3 - b.3).abs() < 1e-3, "{note}: {a:?} {b:?}");
    }
    assert_eq!(a.iter().map(Vec::len).collect::<Vec<_>>(), b.iter().map(Vec::len).collect::<Vec<_>>(), "{note}");
}

/// A repository whose new collections begin with this engine.
fn begin(s: &Sandbox, engine: &str) {
    begin_with(s, &format!("[vectors]\nengine = \"{engine}\"\n"));
}

/// A repository with this configuration and the library in it.
pub(crate) fn begin_with(s: &Sandbox, config: &str) {
    s.repository(config);
    write_library(s, 230);
    ok(s, ["ingest", "docs"]);
}

pub(crate) fn engine(s: &Sandbox) -> String {
    let run = ok(s, ["index", "verify", "--format", "json"]);
    json(&run)["engine"].as_str().expect("an engine").to_owned()
}

/// The answers after each change of the collection.
pub(crate) fn story(s: &Sandbox) -> Vec<Vec<Vec<Answer>>> {
    let first = answers(s);
    s.write("docs/returns.md", "# Returns\n\nWe take nothing back. What you bought is yours, and the parcel stays with you for ever, whatever the reason may be and whoever asks.\n");
    s.write("docs/new.txt", "To send a parcel back, go to the counter in the station, show the letter that came with it and hand the parcel over before noon.\n");
    std::fs::remove_file(s.work().join("docs/bees.txt")).expect("a file");
    ok(s, ["ingest", "docs"]);
    let changed = answers(s);
    ok(s, ["ingest", "rm", "docs/tides.txt"]);
    let removed = answers(s);
    ok(s, ["index", "rebuild"]);
    ok(s, ["index", "rebuild", "--reembed"]);
    vec![first, changed, removed, answers(s)]
}

fn vectors_server(test: impl Fn(&Sandbox, &pg::Server, &str)) {
    let (server, sandbox) = match (pg::shared_with_vectors(), Sandbox::with_vectors()) {
        (Ok(server), Ok(sandbox)) => (server, sandbox),
        (Err(why), _) => return skip(why),
        (_, Err(why)) => return skip(&why),
    };
    let url = sandbox.environment()["KF_STATE_URL"].clone();
    let database = url.rsplit('/').next().and_then(|rest| rest.split('?').next()).expect("a database");
    test(&sandbox, server, database);
}

#[test]
fn every_engine_gives_the_same_answers() {
    let told = std::cell::RefCell::new(Vec::new());
    on_both_engines(|s| {
        begin(s, "embedded");
        told.borrow_mut().push((format!("embedded on {}", s.engine()), story(s)));
        assert_eq!(engine(s), "embedded");
    });
    vectors_server(|s, _, _| {
        begin(s, "pgvector");
        assert_eq!(engine(s), "pgvector");
        told.borrow_mut().push(("pgvector".to_owned(), story(s)));
        assert_eq!(engine(s), "pgvector");
    });
    on_both_engines(|s| {
        let server = match qdrant::shared() {
            Ok(server) => server,
            Err(why) => return skip(why),
        };
        server.join(s);
        begin_with(s, &server.config(server.port()));
        told.borrow_mut().push((format!("Qdrant with a state on {}", s.engine()), story(s)));
        assert_eq!(engine(s), "qdrant");
    });
    let told = told.into_inner();
    let (name, first) = &told[0];
    assert_eq!(first[0][0][0].0, "docs/returns.md", "the first question has an answer: {first:?}");
    assert_eq!(first[1][0][0].0, "docs/new.txt", "the newer one is nearer: {first:?}");
    for (other, answers) in &told[1..] {
        for (step, (a, b)) in first.iter().zip(answers).enumerate() {
            same(a, b, &format!("{name} and {other}, step {step}"));
        }
    }
}

#[test]
fn what_the_server_lost_is_found_by_verify_and_mended_by_rebuild() {
    vectors_server(|s, server, database| {
        begin(s, "pgvector");
        let before = answers(s);
        let rows = server.query(database, "SELECT count(*) FROM kf.vectors_1").expect("a count");
        assert!(rows.parse::<u32>().is_ok_and(|n| n > 200), "{rows} vectors are there");
        let chunk = "SELECT number FROM kf.chunk c JOIN kf.document d ON d.id = c.document WHERE d.source = 'docs/";
        let all = format!(
            "DELETE FROM kf.vectors_1 WHERE number = ({chunk}returns.md'); \
             UPDATE kf.vectors_1 SET vector = (SELECT vector FROM kf.vectors_1 ORDER BY number DESC LIMIT 1) WHERE number = ({chunk}bread.txt'); \
             INSERT INTO kf.vectors_1 SELECT -5, vector FROM kf.vectors_1 LIMIT 1"
        );
        server.query(database, &all).expect("altered");
        assert!(!asked(s, QUESTIONS[0]).iter().any(|hit| hit.0 == "docs/returns.md"), "the server is what answers");
        let run = ends(s, 3, ["index", "verify"]);
        for problem in
            ["1 vectors are not in it", "1 vectors of it are not those of their chunks", "1 vectors of it have no chunk"]
        {
            assert!(run.stdout.contains(problem), "{problem}\n{run}");
        }
        assert!(run.stdout.contains("index of vectors (pgvector)"), "{run}");
        ok(s, ["index", "rebuild"]);
        ok(s, ["index", "verify"]);
        same(&before, &answers(s), "mended");
        // Without its table the collection is found by the embedded engine, and answers all the same.
        server.query(database, "DROP TABLE kf.vectors_1").expect("dropped");
        same(&before, &answers(s), "without the table");
        s.write("docs/returns.md", LIBRARY[0].1.replace("thirty", "forty"));
        ok(s, ["ingest", "docs"]);
        assert_eq!(engine(s), "embedded");
    });
}

#[test]
fn indexes_are_listed_and_measured() {
    on_both_engines(|s| {
        ok(s, ["init", "--name", "shop"]);
        assert!(ok(s, ["index", "list"]).stdout.contains("nothing to search yet"));
        s.write("docs/returns.md", LIBRARY[0].1);
        ok(s, ["ingest", "docs", "--tenant", "acme"]);
        let listed = json(&ok(s, ["index", "list", "--tenant", "acme", "--format", "json"]));
        let stats = json(&ok(s, ["index", "stats", "--tenant", "acme", "--format", "json"]));
        let chunks =
            json(&ok(s, ["ingest", "show", "docs/returns.md", "--tenant", "acme", "--format", "json"]))["chunks"].clone();
        let tokens: Vec<i64> = chunks.as_array().expect("chunks").iter().map(|c| c["tokens"].as_i64().expect("tokens")).collect();
        let one = &listed["indexes"][0];
        assert_eq!((&one["collection"], &one["engine"], &one["documents"]), (&"default".into(), &"embedded".into(), &1.into()));
        assert_eq!(stats["chunks"], tokens.len());
        assert_eq!(
            (stats["tokens"]["least"].as_i64(), stats["tokens"]["most"].as_i64()),
            (tokens.iter().min().copied(), tokens.iter().max().copied())
        );
        assert_eq!(stats["vector_bytes"], tokens.len() * 384 * 4);
        assert_eq!(json(&ok(s, ["index", "list", "--format", "json"]))["indexes"], serde_json::json!([]), "another tenant's");
        assert!(ends(s, 1, ["index", "stats"]).stderr.contains("default"));
    });
}

#[test]
fn an_index_moves_between_engines_and_back() {
    vectors_server(|s, server, database| {
        begin(s, "embedded");
        let before = answers(s);
        let run = ok(s, ["--dry-run", "index", "move", "--to", "pgvector"]);
        assert!(run.stdout.contains("pgvector"), "{run}");
        assert_eq!(engine(s), "embedded", "a dry run moves nothing");
        ok(s, ["index", "move", "--to", "pgvector"]);
        assert_eq!(engine(s), "pgvector");
        same(&before, &answers(s), "moved");
        let size = events(s);
        assert!(ok(s, ["index", "move", "--to", "pgvector"]).stdout.contains("already"));
        assert_eq!(events(s), size, "nothing was done");
        ok(s, ["index", "move", "--to", "embedded"]);
        assert_eq!(engine(s), "embedded");
        same(&before, &answers(s), "moved back");
        let there = server.query(database, "SELECT count(*) FROM pg_class WHERE relname = 'vectors_1'").expect("a count");
        assert_eq!(there, "0", "the table is gone");
        ok(s, ["audit", "verify"]);
        ok(s, ["fsck"]);
    });
}

#[test]
fn an_engine_that_cannot_be_had_is_refused_and_changes_nothing() {
    on_both_engines(|s| {
        begin(s, "embedded");
        let run = refused(s, 1, ["index", "move", "--to", "pgvector"]);
        let why = if s.engine() == Engine::Files { "this one is on SQLite" } else { "does not have the extension pgvector" };
        assert!(run.stderr.contains(why) && run.stderr.contains("embedded"), "{run}");
        let run = refused(s, 2, ["index", "move", "--to", "faiss"]);
        assert!(run.stderr.contains("possible values: embedded, pgvector, qdrant"), "{run}");
        ok(s, ["index", "move", "--to", "embedded"]);
    });
}

#[test]
fn tenants_share_no_vectors() {
    vectors_server(|s, server, database| {
        begin(s, "pgvector");
        s.write("other/secret.md", "# Returns\n\nThe secret of the other tenant: return the parcel within thirty days to the house beside the harbour, and tell nobody.\n");
        ok(s, ["ingest", "other", "--tenant", "other"]);
        let found = |tenant: &str| asked(s, &["return the parcel within thirty days", "-k", "1000", "--tenant", tenant]);
        assert!(found("default").iter().all(|hit| hit.0 != "other/secret.md"), "the wall holds");
        assert_eq!(found("other").iter().map(|hit| hit.0.as_str()).collect::<Vec<_>>(), ["other/secret.md"]);
        let rows = server.query(database, "SELECT count(*) FROM kf.vectors_2").expect("a count");
        assert_eq!(rows, "1", "each collection has a table of its own");
        ok(s, ["index", "move", "--to", "embedded", "--tenant", "other"]);
        assert_eq!(engine(s), "pgvector", "the other tenant's stays where it is");
        ok(s, ["fsck"]);
        ok(s, ["index", "move", "--to", "pgvector", "--tenant", "other"]);
        ok(s, ["tenant", "erase", "other", "--yes", "--reason", "asked for"]);
        let left = server.query(database, "SELECT count(*) FROM pg_class WHERE relname IN ('vectors_1', 'vectors_2')");
        assert_eq!(left.expect("a count"), "1", "an erased tenant leaves no table of vectors");
        ok(s, ["fsck"]);
    });
}

/// Chunks below headings that they do not show, and inside a table: what stands before them is embedded with them.
fn nested() -> String {
    let rows: String =
        (0..120).map(|n| format!("| part {n} | a bolt of steel for the wheel number {n} of the old cart |\n")).collect();
    let section = |n: usize| format!("### Step {n}\n\n{} This is step {n}.\n\n", LIBRARY[n % 7].1.replace("# ", "About "));
    let steps: String = (0..40).map(section).collect();
    format!("# Handbook\n\n## Spare parts\n\n| name | what it is |\n| --- | --- |\n{rows}\n## Steps\n\n{steps}")
}

/// What is embedded of every chunk is the same when its vector is made again: the service is asked for nothing then.
#[test]
fn rebuilding_with_the_same_model_changes_no_vector_and_embeds_nothing() {
    on_both_engines(|s| {
        let service = Embeddings::start();
        s.repository(&service.config());
        s.write("docs/handbook.md", nested());
        write_library(s, 3);
        ok(s, ["ingest", "docs"]);
        let vectors = || {
            let store = story::open(s);
            let sql = "SELECT c.uid, c.vector, c.context FROM chunk c ORDER BY c.uid";
            let read = |row: &kf::store::Row<'_>| Ok((row.text(0)?.to_owned(), row.blob(1)?.to_vec(), row.text(2)?.to_owned()));
            store.read(|view| view.all(sql, &[], read)).expect("read")
        };
        let (before, asked) = (vectors(), service.asked());
        assert!(asked > 10, "{asked} texts were embedded");
        let header = before.iter().any(|(_, _, context)| context.ends_with("name | what it is"));
        assert!(header && before.iter().any(|(_, _, context)| context.contains("Handbook")), "{before:?}");
        ok(s, ["index", "rebuild", "--reembed"]);
        assert_eq!((service.asked(), vectors()), (asked, before));
        ok(s, ["index", "verify"]);
        ok(s, ["fsck"]);
    });
}
