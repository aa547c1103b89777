//! `kf list`.

use crate::repo::{ends, json, next_bot, ok, on_both, release, with_bot};
use insta::assert_snapshot;

#[test]
fn models_and_versions_in_every_format() {
    on_both(|s| {
        with_bot(s);
        next_bot(s, 8);
        s.write("w.bin", "weights");
        ok(s, ["register", "ranker", "w.bin", "--type", "reranker", "--tag", "small"]);
        release(s, "bot@1.0.0");
        assert_snapshot!(s.kf(["list"]), @"
        MODEL   VERSION  TYPE      STAGE        DIGEST        FILES  SIZE  CREATED     AUTHOR
        bot     1.0.1    config    development  8d12a3e5e995      3  71 B  2026-11-21  ada
        bot     1.0.0    config    production   553a4168a31d      3  71 B  2026-11-21  ada
        ranker  1.0.0    reranker  development  b3ef818a574d      1   7 B  2026-11-21  ada
        -- exit status: 0 --
        ");
        assert_snapshot!(s.kf(["list", "bot", "--format", "markdown"]), @"
        | model | version | type | stage | digest | files | size | created | author |
        | --- | --- | --- | --- | --- | ---: | ---: | --- | --- |
        | bot | 1.0.1 | config | development | 8d12a3e5e995 | 3 | 71 B | 2026-11-21 | ada |
        | bot | 1.0.0 | config | production | 553a4168a31d | 3 | 71 B | 2026-11-21 | ada |
        -- exit status: 0 --
        ");
        assert_snapshot!(s.kf(["list", "--stage", "production", "--format", "csv"]), @"
        model,version,type,stage,digest,files,size,created,author
        bot,1.0.0,config,production,553a4168a31d,3,71 B,2026-11-21,ada
        -- exit status: 0 --
        ");
        assert_snapshot!(s.kf(["list", "--tag", "small"]), @"
        MODEL   VERSION  TYPE      STAGE        DIGEST        FILES  SIZE  CREATED     AUTHOR
        ranker  1.0.0    reranker  development  b3ef818a574d      1   7 B  2026-11-21  ada
        -- exit status: 0 --
        ");
        assert_snapshot!(s.kf(["list", "--tag", "nothing-has-it"]), @"
        No version is like that.
        -- exit status: 0 --
        ");
        assert_snapshot!(s.kf(["list", "bot", "--stage", "archived"]), @"
        No version is like that.
        -- exit status: 0 --
        ");
        let list = json(&ok(s, ["list", "bot", "--format", "json"]));
        assert_eq!((&list["schema"], list["versions"].as_array().map(Vec::len)), (&"kf.list/1".into(), Some(2)));
        let lines = ok(s, ["list", "bot", "--format", "jsonl"]).stdout;
        let documents = lines.lines().map(serde_json::from_str::<serde_json::Value>).collect::<Result<Vec<_>, _>>();
        assert_eq!(documents.expect("JSON").len(), 2);
        assert_eq!(ok(s, ["list", "bot", "--limit", "1"]).stdout.lines().count(), 2, "a header and a version");
    });
}

#[test]
fn a_name_that_is_not_there_gets_a_suggestion() {
    on_both(|s| {
        with_bot(s);
        assert_snapshot!(ends(s, 1, ["list", "bto"]), @"
        -- stderr --
        error: there is no model `bto`
        hint: there is: bot
        -- exit status: 1 --
        ");
        assert_snapshot!(ends(s, 2, ["list", "--stage", "prod"]), @"
        -- stderr --
        error: invalid value 'prod' for '--stage <STAGE>': `prod` is not a stage, expected one of: development, staging, production, archived

        For more information, try '--help'.
        -- exit status: 2 --
        ");
        assert_snapshot!(ends(s, 2, ["list", "--format", "xml"]), @"
        -- stderr --
        error: invalid value 'xml' for '--format <FORMAT>': `xml` is not a format, expected one of: table, json, jsonl, csv, markdown

        For more information, try '--help'.
        -- exit status: 2 --
        ");
    });
}
