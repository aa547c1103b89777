//! The graph in Neo4j: the same answers as from the state, told in whole documents, mended after every fault.

use crate::repo::{ends, init, ok, on_both, refused};
use crate::support::neo4j::Server;
use crate::support::proxy::{Fault, Proxy};
use crate::support::sandbox::Sandbox;
use crate::support::skip;
use std::net::TcpListener;

const LAW: &str = "# Law\n\nEvery supplier of Kestrel Systems must hold a certificate under ISO 9001, and the contract was signed in \
    Bristol on 3 March 2024. Kestrel Systems acquired Plover Analytics, and nothing changed for customers of either of them. \
    The rest is told [on another page](terms.md).\n\nThe Service Level Agreement (SLA) follows ISO 9001, as Plover Analytics does.\n";
const TERMS: &str = "# Terms\n\nThe office of Plover Analytics in Bristol is closed on public holidays, and the warehouse opens \
    again on the next working day at noon. A delivery that arrives after 5 May 2025 counts as late, whatever the reason was.\n";
const PLAIN: &str = "# Plain\n\nWater the plants in the morning, before the sun is high, and again in the evening when it is cool. \
    The tank on the roof of the shed holds enough for a week of dry weather, if nobody forgets to close the tap.\n";

/// What is asked of both engines.
fn answers(s: &Sandbox) -> Vec<String> {
    let first = |args: &[&str]| {
        let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(args).args(["--format", "json"]));
        assert!(matches!(run.code, Some(0 | 1 | 3)), "kf {args:?}: {run}");
        run.to_string()
    };
    vec![
        first(&["graph", "show", "--limit", "100"]),
        first(&["graph", "show", "--kind", "standard"]),
        first(&["graph", "show", "plover analytics"]),
        first(&["graph", "show", "standard:iso 9001"]),
        first(&["graph", "neighbors", "alder works", "--depth", "3"]),
        first(&["graph", "neighbors", "docs/law.md", "--depth", "2"]),
        first(&["graph", "neighbors", "iso 9001", "--kind", "document"]),
        first(&["graph", "path", "SLA", "2025-05-05"]),
        first(&["graph", "path", "docs/terms.md", "kestrel systems"]),
    ]
}

/// A repository with a graph of documents, and what its configuration is without an engine.
fn library(s: &Sandbox) -> String {
    init(s);
    // Enough chunks with the same things that some stand together more often than by chance.
    let rare = |n: usize| if n.is_multiple_of(2) { "Then Alder Works repairs what Birch Mill delivers." } else { "" };
    let part = |n: usize| format!("## Part {n}\n\n{}\n{}\n{}\n", LAW.replace("# Law\n", ""), rare(n), PLAIN.repeat(3));
    let long: String = (0..8).map(part).collect();
    for (name, text) in [("law.md", LAW.to_owned()), ("terms.md", TERMS.to_owned()), ("long.md", format!("# Long\n\n{long}"))] {
        s.write(format!("docs/{name}"), text);
    }
    s.read("mlops.toml")
}

/// Runs a test on both engines of the state with a server beside them.
fn with_server(test: impl Fn(&mut Sandbox, &mut Server)) {
    on_both(|s| match Server::new() {
        Ok(mut server) => {
            server.join(s);
            test(s, &mut server);
        }
        Err(why) => skip(&why),
    });
}

#[test]
fn the_same_questions_have_the_same_answers() {
    with_server(|s, server| {
        let plain = library(s);
        let shown = format!("{plain}{}", Server::config(server.port()));
        ok(s, ["ingest", "docs", "--skeleton"]);
        let before = answers(s);
        assert!(before[4].contains("together-with"), "{}", before[4]);
        s.write("mlops.toml", &shown);
        let run = refused(s, 1, ["graph", "show"]);
        assert!(run.stderr.contains("is not in Neo4j") && run.stderr.contains("kf index rebuild"), "{run}");
        ends(s, 3, ["index", "verify"]);
        ok(s, ["index", "rebuild"]);
        assert_eq!(answers(s), before);
        let doctor = ok(s, ["doctor"]);
        assert!(doctor.stdout.contains("Neo4j at http") && doctor.stdout.contains("answers"), "{doctor}");
        ok(s, ["index", "verify"]);
        // A document is replaced, one goes, one is linked to and has no graph of its own.
        s.write(
            "docs/law.md",
            LAW.replace("Bristol", "Bath").replace("[on another page](terms.md)", "[elsewhere](../plain/a.md)"),
        );
        s.write("plain/a.md", PLAIN);
        ok(s, ["ingest", "docs", "--skeleton"]);
        ok(s, ["ingest", "plain"]);
        ok(s, ["ingest", "rm", "docs/long.md"]);
        ok(s, ["index", "verify"]);
        ok(s, ["fsck"]);
        let after = answers(s);
        assert!(after != before && after[5].contains("plain/a.md"), "{}", after[5]);
        s.write("mlops.toml", &plain);
        assert_eq!(answers(s), after);
        // Without the engine in the configuration the next run leaves it, and says what waits for it.
        assert!(ends(s, 5, ["ingest", "docs", "--skeleton"]).stderr.contains("`graph.engine` is not `neo4j`"));
        s.write("mlops.toml", &shown);
        ok(s, ["ingest", "docs", "--skeleton"]);
        ok(s, ["index", "verify"]);
    });
}

#[test]
fn tenants_share_nothing_and_an_erased_one_leaves_nothing() {
    with_server(|s, server| {
        let plain = library(s);
        s.write("mlops.toml", format!("{plain}{}", Server::config(server.port())));
        ok(s, ["ingest", "docs", "--skeleton", "--tenant", "acme"]);
        s.write("theirs/a.md", TERMS.replace("Plover Analytics", "Secret Harbour"));
        ok(s, ["ingest", "theirs", "--skeleton", "--tenant", "other"]);
        let told = |name: &str| {
            let show = refused(s, 1, ["graph", "show", name, "--tenant", "acme"]).stderr;
            let walk = refused(s, 1, ["graph", "neighbors", name, "--depth", "6", "--tenant", "acme"]).stderr;
            (show + &walk).replace(name, "NAME")
        };
        assert_eq!(told("Secret Harbour"), told("Absent Harbour"));
        assert!(!ok(s, ["graph", "show", "--limit", "1000", "--tenant", "acme"]).stdout.contains("Secret"));
        let across = "MATCH (a:KfThing)-[r]->(b:KfThing) WHERE a.tenant <> b.tenant OR r.tenant <> a.tenant OR a.place <> b.place \
            OR r.place <> a.place RETURN count(r)";
        assert_eq!(server.ask(across), serde_json::json!([[0]]));
        let odd = "MATCH (n:KfThing) WHERE NOT n.node STARTS WITH n.tenant RETURN count(n)";
        assert_eq!(server.ask(odd), serde_json::json!([[0]]));
        let names = "MATCH (n:KfThing) WHERE n.name CONTAINS 'Secret' RETURN count(n)";
        assert_eq!(server.ask(names), serde_json::json!([[1]]));
        ok(s, ["tenant", "erase", "other", "--reason", "contract ended", "--yes"]);
        assert_eq!(server.ask(names), serde_json::json!([[0]]));
        ok(s, ["index", "verify", "--tenant", "acme"]);
        ok(s, ["fsck"]);
    });
}

/// Whatever the server does, a document is in the state, and on the server whole or not at all; the next run mends it.
#[test]
fn a_server_that_fails_leaves_no_half_document() {
    with_server(|s, server| {
        let plain = library(s);
        let proxy = Proxy::to(server.port());
        s.write("mlops.toml", format!("{plain}{}", Server::config(proxy.port())));
        ok(s, ["ingest", "docs", "--skeleton"]);
        let mut words = ["Alder", "Birch", "Cedar", "Elder", "Hazel", "Maple"].into_iter();
        let broken = Fault::http("500 Internal Server Error", "{}");
        for (at, fault) in [
            ("MERGE (a)-[r:KF_SAYS", broken),
            ("MERGE (a)-[r:KF_SAYS", Fault::Drop),
            ("MERGE (d)-[r:KF_MENTION", Fault::Leave),
            ("MERGE (n:KfThing", Fault::CutReply(0)),
            ("/commit", Fault::Drop),
            ("/commit", Fault::CutReply(0)),
        ] {
            let name = format!("{} Freight", words.next().expect("a word"));
            s.write("docs/law.md", LAW.replace("Plover Analytics", &name));
            proxy.arm(at, fault.clone());
            let run = ends(s, 5, ["ingest", "docs", "--skeleton"]);
            assert!(run.stderr.contains("tells it again"), "{fault:?}: {run}");
            let rows = |what: &str| server.ask(&format!("MATCH ()-[r]->(n:KfThing) WHERE n.name = '{name}' RETURN {what}"));
            let (mentions, documents) = (rows("count(r)"), rows("count(DISTINCT r.document)"));
            assert!(mentions == serde_json::json!([[0]]) || documents == serde_json::json!([[1]]), "{fault:?}: {mentions}");
            if mentions != serde_json::json!([[0]]) {
                let said = server.ask(&format!("MATCH ()-[r:KF_SAYS]->(n:KfThing) WHERE n.name = '{name}' RETURN count(r)"));
                assert_ne!(said, serde_json::json!([[0]]), "{fault:?}: with its mentions come its relations");
            }
            assert!(ok(s, ["search", &name]).stdout.contains("docs/law.md"), "the document is in the state");
            assert!(ok(s, ["ingest", "status"]).stdout.contains("not confirmed"));
            ok(s, ["ingest", "docs", "--skeleton"]);
            ok(s, ["index", "verify"]);
            ok(s, ["graph", "show", &name]);
        }
        assert_eq!(proxy.fired(), 6);
    });
}

#[test]
fn a_server_that_is_away_or_refuses_is_told_later() {
    with_server(|s, _| {
        let Ok(mut server) = Server::start() else { return };
        server.join(s);
        let plain = library(s);
        let table = Server::config(server.port());
        let config = format!("{plain}{table}");
        s.write("mlops.toml", &config);
        ok(s, ["ingest", "docs", "--skeleton"]);
        let trouble = |s: &Sandbox, config: &str, says: &str| {
            s.write("mlops.toml", config);
            s.write("docs/terms.md", TERMS.replace("noon", &format!("noon {}", says.len())));
            let run = ends(s, 5, ["ingest", "docs", "--skeleton"]);
            assert!(run.stderr.contains(says) && run.stderr.contains("hint:"), "{says}: {run}");
            let run = ends(s, 1, ["graph", "show"]);
            assert!(run.stderr.contains(says), "{says}: {run}");
            let doctor = ends(s, 3, ["doctor"]);
            assert!(doctor.stdout.contains(says), "{says}: {doctor}");
        };
        s.write("wrong", "nobody");
        trouble(s, &format!("{plain}{}", table.replace("env:NEO4J_PASSWORD", "file:wrong")), "401");
        let other = table.replace("engine = \"neo4j\"", "engine = \"neo4j\"\ndatabase = \"other\"");
        trouble(s, &format!("{plain}{other}"), "DatabaseNotFound");
        // It takes the connection and never answers.
        let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = silent.local_addr().expect("an address").port();
        let slow = format!("{plain}{}", Server::config(port).replace("20s", "300ms"));
        trouble(s, &slow, "no answer within");
        server.kill();
        trouble(s, &config, "cannot connect");
        // It comes back empty: what waited is told, and the rest is missed and filled again.
        server.start_again();
        ok(s, ["ingest", "docs", "--skeleton"]);
        assert!(refused(s, 1, ["graph", "show"]).stderr.contains("kf index rebuild"));
        ok(s, ["index", "rebuild"]);
        ok(s, ["index", "verify"]);
        ok(s, ["graph", "show"]);
    });
}

#[test]
fn what_differs_on_the_server_is_found_and_mended() {
    with_server(|s, server| {
        let plain = library(s);
        s.write("mlops.toml", format!("{plain}{}", Server::config(server.port())));
        ok(s, ["ingest", "docs", "--skeleton"]);
        for damage in [
            "MATCH ()-[r:KF_MENTION {method: 'pattern'}]->() WITH r LIMIT 1 DELETE r",
            "MATCH ()-[r:KF_SAYS]->() WITH r LIMIT 1 SET r.confidence = 1",
            "MATCH (n:KfThing {kind: 'standard'}) SET n.name = 'ISO 9002'",
            "MATCH (n:KfThing {kind: 'document'}) WITH n LIMIT 1 SET n.document = 'x'",
            "MATCH (n:KfThing) WITH n LIMIT 1 CREATE (:KfThing {tenant: n.tenant, place: n.place, node: 'x', kind: 'name', key: 'x', name: 'x'})",
            "MATCH (n) DETACH DELETE n",
        ] {
            server.ask(damage);
            let run = ends(s, 3, ["index", "verify"]);
            assert!(run.stdout.contains("kf index rebuild"), "{damage}: {run}");
            ok(s, ["index", "rebuild"]);
            ok(s, ["index", "verify"]);
        }
    });
}
