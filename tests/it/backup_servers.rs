//! Components of a backup whose servers are made from their published HTTP API here: Qdrant, Neo4j.

use crate::backup_components::{drilled, kept, load, prepare};
use crate::repo::{ends, json as read, ok};
use crate::support::proxy::{Fault, Proxy};
use crate::support::sandbox::Sandbox;
use crate::support::{free_port, neo4j, qdrant, skip};
use serde_json::{Value, json};

fn points(server: &qdrant::Server, name: &str, n: usize) {
    server.ask("PUT", &format!("/collections/{name}"), &json!({"vectors": {"size": 2, "distance": "Dot"}}));
    if n == 0 {
        return;
    }
    let all: Vec<Value> =
        (1..=n).map(|i| json!({"id": i, "vector": [0.5, i], "payload": {"text": format!("point {i}")}})).collect();
    server.ask("PUT", &format!("/collections/{name}/points?wait=true"), &json!({"points": all}));
}

fn snapshots(server: &qdrant::Server, name: &str) -> usize {
    server.ask("GET", &format!("/collections/{name}/snapshots"), &Value::Null).as_array().expect("a list").len()
}

#[test]
fn every_node_of_qdrant_is_kept_and_loaded_again() {
    let start = || qdrant::Server::start(free_port());
    let (a, b, c, d) = match (start(), start(), start(), start()) {
        (Ok(a), Ok(b), Ok(c), Ok(d)) => (a, b, c, d),
        (Err(why), ..) => return skip(&why),
        _ => panic!("a server did not start"),
    };
    let mut s = Sandbox::new();
    a.join(&mut s);
    for (node, n) in [(&a, 5), (&b, 3)] {
        points(node, "articles", n);
        points(node, "empty%20one", 0);
    }
    a.ask(
        "POST",
        "/collections/aliases",
        &json!({"actions": [{"create_alias": {"collection_name": "articles", "alias_name": "live"}}]}),
    );
    let (before_a, before_b) = (a.points("articles"), b.points("articles"));
    let proxy = Proxy::to(a.port());
    let url = |port: u16| format!("http://127.0.0.1:{port}");
    let config = format!(
        "[backup.components.vectors]\nkind = \"qdrant\"\nurl = \"{0}\"\nnodes = [\"{0}\", \"{1}\"]\napi-key = \"env:QDRANT_KEY\"\n",
        url(proxy.port()),
        url(b.port())
    );
    prepare(&s, &config);
    // It breaks off while it sends, sends something else, and does not know the key: no set, and no snapshot is left there.
    proxy.arm("GET /collections/articles/snapshots/", Fault::CutReply(100_000));
    let cut = ends(&s, 1, ["backup", "run"]);
    assert!(cut.stderr.contains("cannot keep the collection articles") && cut.stderr.contains("connection broke"), "{cut}");
    proxy.arm("GET /collections/articles/snapshots/", Fault::http("200 OK", "something else"));
    let other = ends(&s, 1, ["backup", "run"]);
    assert!(proxy.fired() == 2 && other.stderr.contains("its SHA-256 is another"), "{other}");
    assert_eq!((snapshots(&a, "articles"), snapshots(&b, "articles")), (0, 0));
    assert_eq!(read(&ok(&s, ["backup", "list", "--format", "json"]))["sets"], json!([]), "nothing half made");

    let counts = kept(&s, "vectors")["counts"].clone();
    assert_eq!(
        (&counts["points of articles"], &counts["points of empty one"], &counts["aliases"]),
        (&5.into(), &0.into(), &1.into()),
        "{counts}"
    );
    assert_eq!((snapshots(&a, "articles"), snapshots(&b, "articles")), (0, 0));
    assert!(drilled(&s, "vectors").contains("no Qdrant server has loaded them"));

    // Into as many nodes as it came from, and no other number.
    s.set("OTHER_KEY", "hunter22-qdrant");
    let (one, two) = (url(c.port()), url(d.port()));
    let wrong = load(&s, "vectors", &one, &["--secret", "env:OTHER_KEY"]);
    assert!(wrong.code == Some(2) && wrong.stderr.contains("came from 2 nodes, and 1 are named"), "{wrong}");
    let no_key = load(&s, "vectors", &one, &["--into", &two]);
    assert!(no_key.code == Some(1) && no_key.stderr.contains("401"), "{no_key}");
    let both = ["--into", &two, "--secret", "env:OTHER_KEY"];
    let run = load(&s, "vectors", &one, &both);
    assert_eq!(run.code, Some(0), "{run}");
    assert_eq!((c.points("articles"), d.points("articles")), (before_a.clone(), before_b));
    assert_eq!(c.ask("GET", "/aliases", &Value::Null)["aliases"][0]["alias_name"], "live");
    c.ask("POST", "/collections/articles/points/delete?wait=true", &json!({"points": [1]}));
    let refused = load(&s, "vectors", &one, &both);
    assert!(refused.code == Some(1) && refused.stderr.contains("2 collections, articles among them"), "{refused}");
    let forced = load(&s, "vectors", &one, &[&both[..], &["--force", "--format", "json"]].concat());
    assert_eq!((forced.code, c.points("articles")), (Some(0), before_a), "{forced}");
    assert!(read(&forced)["safety"].is_string(), "{forced}");
    // A node that does not take it: what the others took goes again.
    for node in [&c, &d] {
        node.collections("")
            .iter()
            .for_each(|name| drop(node.ask("DELETE", &format!("/collections/{}", name.replace(' ', "%20")), &Value::Null)));
    }
    let broken = Proxy::to(d.port());
    broken.arm("POST /collections/articles/snapshots/upload", Fault::http("500 Internal Server Error", "{}"));
    let failed = load(&s, "vectors", &one, &["--into", &url(broken.port()), "--secret", "env:OTHER_KEY"]);
    assert!(failed.code == Some(1) && failed.stderr.contains("was taken out again"), "{failed}");
    assert_eq!(c.collections(""), Vec::<String>::new());
}

const GRAPH: &str = "CREATE (a:Person:`Odd one` {name: 'Ada \\'L\\'', born: 1815, height: 1.65, tags: ['x', 'y'], alive: false}), \
    (b:Person {name: 'Bob'}), (:Empty), (a)-[:KNOWS {since: 1833}]->(b), (b)-[:KNOWS]->(a), (a)-[:`IS LIKE`]->(a)";
/// Types that plain JSON does not tell apart, as the Query API writes them.
const TYPES: [(&str, &str); 9] = [
    ("Date", "2015-03-26"),
    ("Time", "12:50:35.556+01:00"),
    ("LocalTime", "12:50:35.556"),
    ("OffsetDateTime", "2015-11-21T21:40:32.142+01:00"),
    ("ZonedDateTime", "2015-11-21T21:40:32.142+01:00[Antarctica/Troll]"),
    ("LocalDateTime", "2015-07-04T19:32:24"),
    ("Duration", "P14DT16H12M"),
    ("Point", "SRID=4979;POINT Z (12.994823 55.612191 2)"),
    ("Base64", "A2+/"),
];

/// The same with the keys of every map in order: a graph has none.
fn in_order(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let sorted: std::collections::BTreeMap<_, _> =
                map.iter().map(|(key, value)| (key.clone(), in_order(value))).collect();
            json!(sorted)
        }
        Value::Array(all) => all.iter().map(in_order).collect(),
        other => other.clone(),
    }
}

#[test]
fn a_neo4j_database_comes_back_with_every_type() {
    let (from, to) = match (neo4j::Server::start(), neo4j::Server::start()) {
        (Ok(from), Ok(to)) => (from, to),
        (Err(why), _) | (_, Err(why)) => return skip(&why),
    };
    let mut s = Sandbox::new();
    from.join(&mut s);
    from.ask(GRAPH);
    let typed = |kind: &str, value: &str| json!({"$type": kind, "_value": value});
    let mut all: serde_json::Map<String, Value> =
        TYPES.iter().map(|(kind, value)| (kind.to_lowercase(), typed(kind, value))).collect();
    all.insert("nan".into(), typed("Float", "NaN"));
    all.insert("far".into(), typed("Float", "-Infinity"));
    all.insert("large".into(), typed("Integer", "9007199254740993"));
    let dates = json!([typed("Date", "2026-01-01"), typed("Date", "2026-01-02")]);
    all.insert("dates".into(), json!({"$type": "List", "_value": dates}));
    let properties = json!({"properties": {"$type": "Map", "_value": all}});
    from.ask_typed("CREATE (n:Typed) SET n = $properties", &properties);
    from.ask("UNWIND range(1, 2500) AS i CREATE (:Many {i: i})");
    from.ask(
        "CREATE CONSTRAINT `person name` FOR (n:`Person`) REQUIRE (n.`name`) IS UNIQUE"
            .replace("person name", "person_name")
            .as_str(),
    );
    from.ask("CREATE RANGE INDEX `born` FOR (n:`Person`) ON (n.`born`)");
    let proxy = Proxy::to(from.port());
    let url = |port: u16| format!("http://127.0.0.1:{port}");
    let config = format!(
        "[backup.components.graph]\nkind = \"neo4j\"\nurl = \"{}\"\npassword = \"env:NEO4J_PASSWORD\"\n",
        url(proxy.port())
    );
    prepare(&s, &config);
    proxy.arm("RETURN elementId(n)", Fault::CutReply(20_000));
    let cut = ends(&s, 1, ["backup", "run"]);
    assert!(proxy.fired() == 1 && cut.stderr.contains("cannot back up graph"), "{cut}");
    let counts = kept(&s, "graph")["counts"].clone();
    let expected = json!({"nodes": 2504, "nodes of Person": 2, "nodes of Odd one": 1, "nodes of Empty": 1, "nodes of Typed": 1, "nodes of Many": 2500,
        "relationships": 3, "relationships of KNOWS": 2, "relationships of IS LIKE": 1, "constraints": 1, "indexes": 1, "files": 3});
    assert_eq!(counts, expected);
    assert!(drilled(&s, "graph").contains("no Neo4j server has loaded it"));

    s.set("OTHER", "hunter22-neo4j");
    let run = load(&s, "graph", &format!("{}/neo4j", url(to.port())), &["--secret", "env:OTHER"]);
    assert_eq!(run.code, Some(0), "{run}");
    let same = |statement: &str| {
        let sorted = |server: &neo4j::Server| {
            let answer = server.ask_typed(statement, &json!({}));
            let mut rows: Vec<String> = answer.as_array().expect("rows").iter().map(|row| in_order(row).to_string()).collect();
            rows.sort();
            rows
        };
        assert_eq!(sorted(&to), sorted(&from), "{statement}");
    };
    same("MATCH (n) UNWIND labels(n) AS label RETURN label, properties(n)");
    same("MATCH (a)-[r]->(b) RETURN properties(a), type(r), properties(r), properties(b)");
    same("SHOW CONSTRAINTS YIELD name, createStatement RETURN name, createStatement");
    same("SHOW INDEXES YIELD name, type, owningConstraint, createStatement WHERE type <> 'LOOKUP' RETURN name, createStatement");
    let refused = load(&s, "graph", &url(to.port()), &["--secret", "env:OTHER"]);
    assert!(refused.code == Some(1) && refused.stderr.contains("2504 nodes, 1 constraints, 1 indexes"), "{refused}");
    to.ask("CREATE (:Precious {x: 7})");
    let forced = load(&s, "graph", &url(to.port()), &["--secret", "env:OTHER", "--force", "--format", "json"]);
    assert_eq!((forced.code, to.ask("MATCH (n:Precious) RETURN count(n)")), (Some(0), json!([[0]])), "{forced}");
    same("MATCH (n) UNWIND labels(n) AS label RETURN label, properties(n)");
    let safety = read(&forced)["safety"].as_str().expect("a set").to_owned();
    let parts = read(&ok(&s, ["backup", "show", &safety, "--format", "json"]))["manifest"]["components"].clone();
    assert_eq!(parts[0]["counts"]["nodes of Precious"], 1, "{parts}");

    // It dies in the middle: nothing of the dump stays.
    to.ask("MATCH (n) DETACH DELETE n");
    to.ask("DROP CONSTRAINT `person_name` IF EXISTS");
    to.ask("DROP INDEX `born` IF EXISTS");
    let broken = Proxy::to(to.port());
    broken.arm("CREATE (a)-[r:`KNOWS`]", Fault::http("503 Service Unavailable", "{}"));
    let failed = load(&s, "graph", &url(broken.port()), &["--secret", "env:OTHER"]);
    assert!(failed.code == Some(1) && failed.stderr.contains("was taken out again"), "{failed}");
    assert_eq!(to.ask("MATCH (n) RETURN count(n)"), json!([[0]]));
    s.set("NEO4J_PASSWORD", "wrong-password");
    let wrong = ends(&s, 1, ["backup", "run"]);
    assert!(wrong.stderr.contains("401") && !wrong.stderr.contains("wrong-password"), "{wrong}");
}
