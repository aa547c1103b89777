//! `kf lineage`.

use crate::repo::{ends, json, next_bot, ok, on_both, refused, with_bot};
use insta::assert_snapshot;

#[test]
fn what_a_version_came_from_and_what_came_from_it() {
    on_both(|s| {
        with_bot(s);
        s.write("w.bin", "weights");
        ok(s, ["register", "embedder", "w.bin", "--type", "embedding"]);
        s.write("rows.jsonl", "{\"question\": \"Q\"}\n");
        ok(s, ["register", "rows", "rows.jsonl", "--type", "dataset"]);
        s.write("bot/retrieval.yaml", "top-k: 6\nmode: hybrid\n");
        ok(s, ["register", "bot", "bot", "--depends", "embedder@1.0.0", "--dataset", "rows@1.0.0"]);
        assert_snapshot!(s.kf(["lineage", "bot"]), @"
        Came from:

        version bot@1.1.0 (development)
        ├─ made with: dataset rows@1.0.0 (development)
        └─ depends on: version embedder@1.0.0 (development)

        What came from it:

        version bot@1.1.0 (development)
        -- exit status: 0 --
        ");
        assert_snapshot!(s.kf(["lineage", "embedder"]), @"
        Came from:

        version embedder@1.0.0 (development)

        What came from it:

        version embedder@1.0.0 (development)
        └─ depends on: version bot@1.1.0 (development)
        -- exit status: 0 --
        ");
        let doc = json(&ok(s, ["lineage", "bot", "--format", "json"]));
        assert_eq!(doc["schema"], "kf.lineage/1");
        assert!(doc["graph"].to_string().contains("embedder@1.0.0"), "{doc}");
    });
}

#[test]
fn a_graph_goes_to_files_but_not_over_kfs_own() {
    on_both(|s| {
        with_bot(s);
        next_bot(s, 8);
        ok(s, ["lineage", "bot", "--report", "mermaid=graph.mmd", "--report", "dot=graph.dot"]);
        assert!(s.read("graph.mmd").starts_with("flowchart"), "{}", s.read("graph.mmd"));
        assert!(s.read("graph.dot").starts_with("digraph"), "{}", s.read("graph.dot"));
        let before = s.read("mlops.toml");
        let run = refused(s, 2, ["lineage", "bot", "--report", "dot=mlops.toml"]);
        assert!(run.stderr.contains("one of kf's own files"), "{run}");
        assert_eq!(s.read("mlops.toml"), before);
        assert_snapshot!(ends(s, 2, ["lineage", "bot", "--report", "svg=x"]), @"
        -- stderr --
        error: invalid value 'svg=x' for '--report <KIND=PATH>': expected mermaid=PATH or dot=PATH

        For more information, try '--help'.
        -- exit status: 2 --
        ");
    });
}
