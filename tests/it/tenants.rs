//! The wall between tenants, `kf tenant`, and that documents go with a state to another engine and back.

use crate::repo::{ends, json, ok};
use crate::story::{self, RETURNS};
use crate::support::pg;
use crate::support::sandbox::{Engine, Run, Sandbox, on_both_engines};
use kf::store::migrations;
use kf::store::schema::Type;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// A word that stands in one tenant's documents only, wherever text can stand: path, title, heading, text, note, collection.
const SECRET: &str = "zarquon";

/// Names that a tenant may have and that look like something else.
const LONG: &str = "t123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789";

fn take(s: &Sandbox, folder: &str, tenant: &str, collection: &str) -> Run {
    ok(s, ["ingest", folder, "--skeleton", "--tenant", tenant, "--collection", collection, "--meta", "kind=manual"])
}

fn two_tenants(s: &Sandbox) {
    s.repository("");
    // Also as a thing that the graph knows, and as a file that another one links to.
    let text = RETURNS.replace("parcel", SECRET).replace("The money", "With Zarquon Systems the money");
    s.write(format!("one/{SECRET}.md"), format!("# About {SECRET}\n\n{text}\nSee [the other page](shared.md).\n"));
    s.write("one/shared.md", RETURNS);
    s.write("two/shared.md", RETURNS);
    take(s, "one", "acme", &format!("{SECRET}-manuals"));
    take(s, "one", "acme", "manuals");
    take(s, "two", "default", "manuals");
    take(s, "two", LONG, "manuals");
}

/// Every id that a tenant's own answers show.
fn ids(s: &Sandbox, tenant: &str) -> BTreeSet<String> {
    let found = json(&ok(s, ["search", "parcel", "--tenant", tenant, "--collection", "manuals", "-k", "50", "--format", "json"]));
    let hits = found["hits"].as_array().expect("hits").iter();
    hits.flat_map(|h| ["document", "chunk"].map(|key| h[key].as_str().expect("an id").to_owned())).collect()
}

#[test]
fn no_command_of_a_tenant_tells_anything_of_another() {
    on_both_engines(|s| {
        two_tenants(s);
        let foreign = ids(s, "acme");
        let own = ids(s, "default");
        assert!(!own.is_empty() && own.is_disjoint(&foreign) && own.is_disjoint(&ids(s, LONG)));
        let source = format!("one/{SECRET}.md");
        let close = format!("{SECRET}-manual");
        let id = foreign.first().expect("an id").clone();
        let mut asked: Vec<Vec<&str>> = vec![vec!["ingest", "status", "--tenant", "default"]];
        for tenant in ["default", LONG, "nobody", "acm"] {
            for collection in ["manuals", close.as_str(), "default"] {
                let place = ["--tenant", tenant, "--collection", collection];
                for words in [
                    &["search", "about the manual"][..],
                    &["search", "about the manual", "--hybrid"],
                    &["search", "about the manual", "--filter", "source=one/"],
                    &["search", "about the manual", "--filter", "kind=manual", "--format", "json"],
                    &["ingest", "report"],
                    &["ingest", "report", "--format", "json"],
                    &["ingest", "show", source.as_str()],
                    &["ingest", "show", id.as_str()],
                    &["ingest", "rm", source.as_str()],
                    &["ingest", "rm", id.as_str()],
                    &["graph", "show"],
                    &["graph", "show", "zarquon systems"],
                    &["graph", "show", source.as_str()],
                    &["graph", "neighbors", source.as_str(), "--depth", "6"],
                    &["graph", "path", "two/shared.md", source.as_str()],
                    &["index", "verify"],
                    &["index", "rebuild"],
                ] {
                    asked.push([words, &place[..]].concat());
                }
            }
        }
        for words in asked {
            // What was asked for is repeated in some errors; everything else must not know it.
            let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(&words));
            let there =
                words.contains(&"search") && words.contains(&"manuals") && !words.contains(&"nobody") && !words.contains(&"acm");
            assert!(!there || run.code == Some(0), "kf {words:?}: {run}");
            let mut said = run.to_string().to_lowercase();
            for own in [source.as_str(), close.as_str(), id.as_str(), "zarquon systems"] {
                if words.contains(&own) {
                    said = said.replace(own, "ASKED");
                }
            }
            assert!(!said.contains(SECRET) && !said.contains("acme"), "kf {words:?}: {said}");
            assert!(!foreign.iter().any(|id| said.contains(id)), "kf {words:?}: {said}");
        }
        // Nothing of the other tenant was touched by all this.
        assert_eq!(ids(s, "acme"), foreign);
        ok(s, ["fsck"]);
    });
}

#[test]
fn documents_of_others_change_neither_ranks_nor_scores_nor_duplicates() {
    on_both_engines(|s| {
        s.repository("");
        s.write("two/a.md", RETURNS);
        s.write("two/b.md", RETURNS.replace("parcel", "order").replace("days", "weeks"));
        take(s, "two", "default", "manuals");
        let ask = || {
            let words = ["search", "order of the parcel", "--hybrid", "--collection", "manuals", "--format", "json"];
            json(&ok(s, words))["hits"].clone()
        };
        let before = ask();
        for i in 0..5 {
            s.write(format!("one/{i}.md"), format!("# {i}\n\n{}", RETURNS.replace("money", "order order parcel")));
        }
        s.write("one/same.md", RETURNS);
        take(s, "one", "acme", "manuals");
        take(s, "two", "acme", "others");
        assert_eq!(ask(), before);
        // An equal document of another tenant is no duplicate: it would tell that the other one has it.
        let run = take(s, "two", "third", "manuals");
        assert!(!run.to_string().contains("duplicate") && !run.to_string().contains("copy"), "{run}");
    });
}

/// Bytes of a column of every row that hangs on a tenant's documents.
fn prints(s: &Sandbox, tenant: &str) -> BTreeSet<(String, String)> {
    let store = story::open(s);
    let mut found = BTreeSet::new();
    store
        .read(|view| {
            for table in migrations::tables().filter(|t| ["document", "chunk", "signature", "band"].contains(&t.name)) {
                let on = if table.name == "document" { "x.id = d.id" } else { "x.document = d.id" };
                for column in table.columns {
                    let identifies = match column.kind {
                        // What the document says is the same where the document is; what is made of it must not be.
                        Type::Blob => column.name != "vector",
                        Type::Text => column.name == "uid",
                        _ => column.name == "hash",
                    };
                    // What decides how documents are taken is the same for all who have the same settings.
                    if !identifies || column.name == "pipeline" {
                        continue;
                    }
                    let sql = format!(
                        "SELECT x.{} FROM {} x JOIN document d ON {on} JOIN collection c ON c.id = d.collection \
                         JOIN tenant t ON t.id = c.tenant WHERE t.name = ?1",
                        column.name, table.name
                    );
                    view.each(&sql, &[tenant.into()], |row| {
                        let value = match column.kind {
                            Type::Blob => format!("{:?}", row.opt_blob(0)?),
                            Type::Text => row.text(0)?.to_owned(),
                            _ => row.int(0)?.to_string(),
                        };
                        if value != "None" {
                            found.insert((format!("{}.{}", table.name, column.name), value));
                        }
                        Ok(())
                    })?;
                }
            }
            Ok(())
        })
        .expect("read");
    found
}

#[test]
fn equal_documents_of_two_tenants_have_nothing_in_common() {
    on_both_engines(|s| {
        s.repository("");
        s.write("two/a.md", RETURNS);
        take(s, "two", "one", "manuals");
        take(s, "two", "two", "manuals");
        let (one, two) = (prints(s, "one"), prints(s, "two"));
        assert!(one.len() > 20, "{one:?}");
        let common: Vec<_> = one.intersection(&two).collect();
        assert!(common.is_empty(), "{common:?}");
        let export = ok(s, ["audit", "log", "--format", "json", "--limit", "1000"]).stdout;
        assert!(!export.contains("a.md") && !export.contains("Returns"), "{export}");
    });
}

fn count(s: &Sandbox, needle: &str) -> usize {
    let Engine::Files = s.engine() else { return 0 };
    walk(&s.work().join(".kf")).iter().filter(|f| contains(&std::fs::read(f).expect("a file"), needle.as_bytes())).count()
}

fn walk(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(dir).expect("a folder").map(|e| e.expect("an entry").path());
    entries.flat_map(|p| if p.is_dir() { walk(&p) } else { vec![p] }).collect()
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|w| w.eq_ignore_ascii_case(needle))
}

#[test]
fn a_subject_is_erased_from_everywhere_and_the_log_still_verifies() {
    on_both_engines(|s| {
        two_tenants(s);
        ok(s, ["search", SECRET, "--tenant", "acme", "--collection", "manuals", "--hybrid"]);
        assert_eq!(count(s, SECRET) > 0, s.engine() == Engine::Files, "it is there before");
        let subject = ["tenant", "erase", "acme", "--subject", "ZARQUON", "--reason", "GDPR Art. 17"];
        let refused = ends(s, 2, subject);
        assert!(refused.stderr.contains("--dry-run lists them; --yes erases them"), "{refused}");
        let dry = ok(s, ["tenant", "erase", "acme", "--subject", "ZARQUON", "--reason", "GDPR Art. 17", "--dry-run"]);
        assert!(dry.stdout.contains(&format!("manuals/one/{SECRET}.md")), "{dry}");
        assert_eq!(ids(s, "acme").len(), ids(s, "acme").len());
        ends(s, 2, ["tenant", "erase", "acme", "--subject", "ZARQUON", "--yes"]);
        let done = ok(s, ["tenant", "erase", "acme", "--subject", "ZARQUON", "--reason", "GDPR Art. 17", "--yes"]);
        assert!(done.stdout.contains("2 documents with"), "{done}");
        let report = ok(s, ["ingest", "report", "--tenant", "acme", "--collection", "manuals"]).stdout;
        assert!(report.contains("1 document"), "what does not mention the subject stays: {report}");
        ok(s, ["audit", "verify"]);
        ok(s, ["fsck"]);
        let log = ok(s, ["audit", "log", "--format", "json", "--limit", "1000"]).stdout;
        assert!(log.contains("privacy.erased") && !log.contains(&format!("{SECRET}.md")), "{log}");
        let again = ok(s, ["tenant", "erase", "acme", "--subject", "ZARQUON", "--reason", "GDPR Art. 17", "--yes"]);
        assert!(again.stdout.contains("nothing of acme is to be erased"), "{again}");
        // The collection whose name a person chose stays; its documents do not.
        let log_name = format!("{SECRET}-manuals");
        for file in if s.engine() == Engine::Files { walk(&s.work().join(".kf")) } else { Vec::new() } {
            let bytes = std::fs::read(&file).expect("a file");
            let rest = String::from_utf8_lossy(&bytes).to_lowercase().replace(&log_name, "");
            assert!(!rest.contains(SECRET), "{} still has it", file.display());
        }
    });
}

#[test]
fn a_tenant_is_erased_whole_and_others_stay() {
    on_both_engines(|s| {
        two_tenants(s);
        let others = ids(s, "default");
        ok(s, ["tenant", "erase", "acme", "--reason", "contract ended", "--ticket", "C-1", "--yes"]);
        let list = json(&ok(s, ["tenant", "list", "--format", "json"]));
        let names: Vec<&Value> = list["tenants"].as_array().expect("tenants").iter().map(|t| &t["tenant"]).collect();
        assert_eq!(names, ["default", LONG]);
        assert_eq!(ids(s, "default"), others);
        ok(s, ["audit", "verify"]);
        ok(s, ["fsck"]);
        let run = ends(s, 1, ["tenant", "erase", "defaul", "--reason", "x", "--yes"]);
        assert!(run.stderr.contains("did you mean `default`"), "{run}");
        // The same name begins anew, and shares nothing with what was.
        take(s, "two", "acme", "manuals");
        assert!(ids(s, "acme").is_disjoint(&others));
        ok(s, ["fsck"]);
    });
}

#[test]
fn an_export_holds_everything_and_says_so_by_digests() {
    on_both_engines(|s| {
        two_tenants(s);
        ok(s, ["tenant", "export", "acme", "out"]);
        let manifest: Value = serde_json::from_str(&s.read("out/manifest.json")).expect("JSON");
        for file in manifest["files"].as_array().expect("files") {
            let text = s.read(format!("out/{}", file["path"].as_str().expect("a name")));
            assert_eq!(file["digest"], kf::base::digest::Digest::of(text.as_bytes()).to_string());
            assert_eq!(file["lines"], text.lines().count());
        }
        let lines = |file: &str| -> Vec<Value> { s.read(file).lines().map(|l| serde_json::from_str(l).expect("JSON")).collect() };
        let documents = lines("out/documents.jsonl");
        assert_eq!(documents.len(), 4);
        for chunk in lines("out/chunks.jsonl") {
            let of = documents.iter().find(|d| d["document"] == chunk["document"]).expect("its document");
            let at = |key: &str| usize::try_from(chunk[key].as_u64().expect("an offset")).expect("small");
            let text = of["text"].as_str().expect("a text").chars();
            assert_eq!(chunk["text"], text.skip(at("start")).take(at("stop") - at("start")).collect::<String>());
        }
        let mentions = lines("out/mentions.jsonl");
        assert!(mentions.iter().any(|m| m["key"] == "zarquon systems"), "{mentions:?}");
        for mention in &mentions {
            let of = documents.iter().find(|d| d["document"] == mention["document"]).expect("its document");
            let at = |key: &str| usize::try_from(mention[key].as_u64().expect("an offset")).expect("small");
            let text: String =
                of["text"].as_str().expect("a text").chars().skip(at("start")).take(at("stop") - at("start")).collect();
            assert_eq!(text, mention["name"].as_str().expect("a name"), "the only way in which it is written here");
        }
        let relations = lines("out/relations.jsonl");
        assert!(relations.iter().any(|r| r["relation"] == "links-to" && r["object"]["key"] == "one/shared.md"), "{relations:?}");
        assert_eq!(documents[0]["meta"], serde_json::json!({"kind": "manual"}));
        let run = ends(s, 1, ["tenant", "export", "acme", "out"]);
        assert!(run.stderr.contains("is there already"), "{run}");
        ends(s, 1, ["tenant", "export", "nobody", "elsewhere"]);
        assert!(!s.work().join("elsewhere").exists());
        ok(s, ["audit", "verify"]);
    });
}

#[test]
fn documents_move_to_another_engine_and_back_and_are_found_the_same() {
    let Ok(server) = pg::shared() else { return crate::support::skip("PostgreSQL is not here") };
    let mut s = Sandbox::new();
    two_tenants(&s);
    let ask = |s: &Sandbox, how: &str| {
        let words =
            ["search", "how many days for a parcel", "--tenant", "acme", "--collection", "manuals", how, "--format", "json"];
        json(&ok(s, words))["hits"].clone()
    };
    let words = |s: &Sandbox| -> BTreeSet<String> {
        let hits = ask(s, "--hybrid");
        hits.as_array().expect("hits").iter().map(|h| h["chunk"].as_str().expect("an id").to_owned()).collect()
    };
    let (before, before_words) = (ask(&s, "-k5"), words(&s));
    let graph = |s: &Sandbox| {
        let source = format!("one/{SECRET}.md");
        let [tenant, collection, format] = ["--tenant=acme", "--collection=manuals", "--format=json"];
        let show = ok(s, ["graph", "show", tenant, collection, format]).stdout;
        show + &ok(s, ["graph", "neighbors", &source, "--depth", "3", tenant, collection, format]).stdout
    };
    let before_graph = graph(&s);
    assert!(before_graph.contains("zarquon systems") && before_graph.contains("links-to"), "{before_graph}");
    let url = server.url(&server.database(), server.port());
    ok(&s, ["state", "move", "--to", &url]);
    s.set("KF_STATE_URL", &url);
    assert_eq!((ask(&s, "-k5"), words(&s), graph(&s)), (before.clone(), before_words.clone(), before_graph.clone()));
    ok(&s, ["index", "verify", "--tenant", "acme", "--collection", "manuals"]);
    ok(&s, ["fsck"]);
    // New documents go on where the numbers ended.
    s.write("one/new.md", RETURNS.replace("parcel", "bicycle"));
    take(&s, "one", "acme", "manuals");
    ok(&s, ["ingest", "rm", "one/new.md", "--tenant", "acme", "--collection", "manuals"]);
    for file in ["state.db", "state.db-wal", "state.db-shm"] {
        let _ = std::fs::remove_file(s.work().join(".kf").join(file));
    }
    ok(&s, ["state", "move", "--to", "sqlite"]);
    s.set("KF_STATE_URL", "sqlite");
    assert_eq!((ask(&s, "-k5"), words(&s), graph(&s)), (before, before_words, before_graph));
    ok(&s, ["index", "verify", "--tenant", "acme", "--collection", "manuals"]);
    ok(&s, ["fsck"]);
}
