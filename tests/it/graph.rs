//! `kf graph` and `kf ingest --skeleton`, on both engines of the state, and on Neo4j beside each.

use crate::repo::{ends, init, json, ok, on_both, refused};
use crate::support::neo4j::Server;
use crate::support::sandbox::{Engine, Sandbox};
use crate::support::skip;
use serde_json::Value;

const RETURNS: &str = "# Returns\n\nThe Service Level Agreement (SLA) follows ISO 9001 and was signed on 3 March 2024 in Bristol. \
    Our partner Kestrel Systems acquired Plover Analytics last year, and nothing changed for customers. The full terms are in \
    [the terms](terms.md), and the old ones are [here](gone.md). Questions go to help@kestrel.example before the parcel is sent.\n";
const TERMS: &str = "# Terms\n\nEvery supplier must hold a certificate under ISO 9001 before the first order is placed with us. \
    The office of Plover Analytics is closed on public holidays, and the warehouse opens again on the next working day at noon. \
    A delivery that arrives after 5 May 2025 counts as late, whatever the reason was and whoever caused the delay.\n";
const LONELY: &str = "# Watering\n\nWater the plants in the morning, before the sun is high, and again in the evening when it is \
    cool. The tank on the roof of Marlow Freight holds enough for a week of dry weather, if nobody forgets to close the tap.\n";

/// Set where a server is to be asked: the port that it listens on.
const PORT: &str = "NEO4J_PORT";

/// Runs a test with the graph in the state and with the graph in Neo4j, on both engines of the state.
fn everywhere(test: impl Fn(&mut Sandbox)) {
    on_both(&test);
    on_both(|s| match Server::new() {
        Ok(server) => {
            server.join(s);
            s.set(PORT, &server.port().to_string());
            test(s);
            ok(s, ["index", "verify"]);
        }
        Err(why) => skip(&why),
    });
}

fn repository(s: &Sandbox) {
    init(s);
    if let Some(port) = s.environment().get(PORT) {
        let config = Server::config(port.parse().expect("a port"));
        s.write("mlops.toml", s.read("mlops.toml") + &config);
    }
    for (name, text) in [("returns.md", RETURNS), ("terms.md", TERMS), ("lonely.md", LONELY)] {
        s.write(format!("docs/{name}"), text);
    }
}

fn ingested(s: &Sandbox) {
    repository(s);
    ok(s, ["ingest", "docs", "--skeleton"]);
}

fn keys(doc: &Value, list: &str) -> Vec<String> {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let mut keys: Vec<_> =
        doc[list].as_array().expect("a list").iter().map(|e| format!("{}:{}", text(&e["kind"]), text(&e["key"]))).collect();
    keys.sort();
    keys
}

#[test]
fn what_documents_speak_of_is_shown_with_the_place() {
    everywhere(|s| {
        ingested(s);
        let doc = json(&ok(s, ["graph", "show", "--kind", "standard", "--format", "json"]));
        assert_eq!(keys(&doc, "entities"), ["standard:iso 9001"]);
        assert_eq!((doc["entities"][0]["documents"].as_i64(), doc["entities"][0]["mentions"].as_i64()), (Some(2), Some(2)));
        let doc = json(&ok(s, ["graph", "show", "iso 9001", "--format", "json"]));
        let place = &doc["places"][0];
        let (start, stop) = (place["start"].as_u64().expect("a start"), place["stop"].as_u64().expect("a stop"));
        let shown = json(&ok(s, ["ingest", "show", "docs/returns.md", "--format", "json"]));
        assert!(shown.is_object() && stop - start == 8, "{place}");
        assert!(place["text"].as_str().is_some_and(|t| t.contains("ISO 9001")), "{place}");
        let doc = json(&ok(s, ["graph", "show", "SLA", "--format", "json"]));
        assert_eq!(doc["relations"][0]["relation"], "short-for");
        assert!(doc["relations"][0]["evidence"][0]["text"].as_str().is_some_and(|t| t.starts_with("The Service Level")), "{doc}");
    });
}

#[test]
fn nothing_of_an_address_but_its_domain_reaches_the_graph() {
    everywhere(|s| {
        ingested(s);
        let doc = ok(s, ["graph", "show", "--limit", "1000", "--format", "json"]).stdout;
        assert!(doc.contains("kestrel.example") && !doc.contains("help@"), "{doc}");
    });
}

#[test]
fn neighbors_are_documents_things_and_what_is_said_of_them() {
    everywhere(|s| {
        ingested(s);
        let doc = json(&ok(s, ["graph", "neighbors", "plover analytics", "--format", "json"]));
        assert_eq!(keys(&doc, "neighbors"), ["document:docs/returns.md", "document:docs/terms.md", "name:kestrel systems"]);
        let acquired = doc["neighbors"].as_array().expect("a list").iter().find(|n| n["kind"] == "name").expect("a name");
        assert_eq!((acquired["relation"].as_str(), acquired["forward"].as_bool()), (Some("acquired"), Some(false)));
        let doc = json(&ok(s, ["graph", "neighbors", "docs/returns.md", "--kind", "document", "--format", "json"]));
        assert_eq!(keys(&doc, "neighbors"), ["document:docs/terms.md"], "a link to no document is not shown");
        ok(s, ["graph", "neighbors", "docs/returns.md", "--depth", "2", "--report", "mermaid=graph.mmd"]);
        let drawn = s.read("graph.mmd");
        assert!(drawn.starts_with("flowchart LR\n") && drawn.contains("|\"links-to\"|"), "{drawn}");
        assert!(refused(s, 2, ["graph", "neighbors", "SLA", "--kind", "standrad"]).stderr.contains("did you mean `standard`?"));
    });
}

#[test]
fn the_shortest_way_leads_through_a_document() {
    everywhere(|s| {
        ingested(s);
        let doc = json(&ok(s, ["graph", "path", "SLA", "2025-05-05", "--format", "json"]));
        let way: Vec<_> = doc["path"].as_array().expect("a path").iter().map(|p| p["key"].as_str().unwrap_or_default()).collect();
        assert_eq!((way.first(), way.last(), way.len()), (Some(&"sla"), Some(&"2025-05-05"), 4), "{doc}");
        let run = ends(s, 3, ["graph", "path", "SLA", "marlow freight"]);
        assert_eq!(run.stdout, "No way leads from SLA to Marlow Freight.\n");
        let run = refused(s, 1, ["graph", "path", "SLA", "plover analitics"]);
        assert!(run.stderr.contains("did you mean `Plover Analytics`?"), "{run}");
    });
}

#[test]
fn the_graph_lives_and_dies_with_its_documents() {
    everywhere(|s| {
        ingested(s);
        let totals = || {
            let doc = json(&ok(s, ["index", "verify", "--format", "json"]));
            let n = |key: &str| doc["graph"][key].as_i64().unwrap_or(-1);
            (n("entities"), n("mentions"), n("relations"))
        };
        let before = totals();
        assert!(before.0 > 8 && before.1 > 8 && before.2 >= 4, "{before:?}");
        ok(s, ["ingest", "docs", "--skeleton", "--rehash"]);
        assert_eq!(totals(), before, "the same documents give the same graph");
        s.write("docs/returns.md", RETURNS.replace("Bristol", "Bath"));
        ok(s, ["ingest", "docs", "--skeleton"]);
        assert_eq!(totals(), before);
        refused(s, 1, ["graph", "show", "Bristol"]);
        ok(s, ["graph", "show", "Bath"]);
        for source in ["docs/returns.md", "docs/terms.md", "docs/lonely.md"] {
            ok(s, ["ingest", "rm", source]);
        }
        assert_eq!(totals(), (0, 0, 0));
    });
}

#[test]
fn no_graph_is_made_unless_it_is_asked_for() {
    on_both(|s| {
        repository(s);
        ok(s, ["ingest", "docs"]);
        assert_eq!(keys(&json(&ok(s, ["graph", "show", "--format", "json"])), "entities"), Vec::<String>::new());
        let config = s.read("mlops.toml");
        s.write("names.csv", "name,kind,aliases\nrain tank,part,the tank\n");
        s.write("mlops.toml", format!("{config}\n[ingest]\nskeleton = true\n\n[graph]\ngazetteer = \"names.csv\"\n"));
        ok(s, ["ingest", "docs"]);
        let doc = json(&ok(s, ["graph", "show", "--kind", "part", "--format", "json"]));
        assert_eq!(keys(&doc, "entities"), ["part:rain tank"]);
        s.write("names.csv", "name;kind\n");
        assert!(refused(s, 1, ["ingest", "docs"]).stderr.contains("names.csv"));
    });
}

#[test]
fn tenants_see_nothing_of_each_other() {
    everywhere(|s| {
        ingested(s);
        s.write("theirs/a.md", LONELY.replace("Marlow Freight", "Secret Harbour"));
        ok(s, ["ingest", "theirs", "--skeleton", "--tenant", "other"]);
        // What another tenant has and what nobody has are told alike.
        let told = |name: &str| {
            let show = refused(s, 1, ["graph", "show", name]).stderr;
            let walk = refused(s, 1, ["graph", "neighbors", name, "--depth", "6"]).stderr;
            let path = refused(s, 1, ["graph", "path", "SLA", name]).stderr;
            (show + &walk + &path).replace(name, "NAME")
        };
        assert_eq!(told("Secret Harbour"), told("Absent Harbour"));
        assert!(!ok(s, ["graph", "show", "--limit", "1000"]).stdout.contains("Secret"));
        ok(s, ["graph", "show", "Secret Harbour", "--tenant", "other"]);
    });
}

#[test]
fn a_changed_row_is_found() {
    on_both(|s| {
        if s.engine() != Engine::Files {
            return;
        }
        ingested(s);
        ok(s, ["index", "verify"]);
        let change = |sql: &str| {
            let db = rusqlite::Connection::open(s.work().join(".kf/state.db")).expect("the state");
            db.execute_batch(sql).expect("changed");
        };
        for (damage, mend) in [
            ("UPDATE mention SET confidence = confidence + 1", "UPDATE mention SET confidence = confidence - 1"),
            (
                "UPDATE entity SET key = key || 'x' WHERE kind = 'standard'",
                "UPDATE entity SET key = 'iso 9001' WHERE kind = 'standard'",
            ),
            (
                "UPDATE edge SET relation = 'founded' WHERE relation = 'acquired'",
                "UPDATE edge SET relation = 'acquired' WHERE relation = 'founded'",
            ),
            ("UPDATE mention SET chunk_pos = chunk_pos + 9", "UPDATE mention SET chunk_pos = chunk_pos - 9"),
        ] {
            change(damage);
            ends(s, 3, ["index", "verify"]);
            change(mend);
            ok(s, ["index", "verify"]);
        }
    });
}
