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
        hint: there is: small
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
        assert_snapshot!(s.kf(["list", "bot", "--limit", "1"]), @"
        MODEL  VERSION  TYPE    STAGE        DIGEST        FILES  SIZE  CREATED     AUTHOR
        bot    1.0.1    config  development  8d12a3e5e995      3  71 B  2026-11-21  ada

        1 more version is not listed: `--limit N` lists more.
        -- exit status: 0 --
        ");
    });
}

#[test]
fn what_an_overview_leaves_out_is_counted_and_can_be_asked_for() {
    on_both(|s| {
        with_bot(s);
        assert!(!ok(s, ["list"]).stdout.contains("not listed"), "nothing is left out");
        next_bot(s, 8);
        next_bot(s, 9);
        assert_snapshot!(s.kf(["list"]), @"
        MODEL  VERSION  TYPE    STAGE        DIGEST        FILES  SIZE  CREATED     AUTHOR
        bot    1.0.2    config  development  88418ccfa908      3  71 B  2026-11-21  ada

        2 more versions are not listed: `kf list --all` lists all, `kf list NAME` those of a model.
        -- exit status: 0 --
        ");
        let listed = |args: &[&str]| {
            let list = json(&s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(args).args(["--format", "json"])));
            (list["versions"].as_array().map(Vec::len), list["not_listed"].as_u64())
        };
        assert_eq!(listed(&["list"]), (Some(1), Some(2)));
        assert_eq!(listed(&["list", "--all"]), (Some(3), Some(0)));
        assert_eq!(listed(&["list", "--all", "--limit", "2"]), (Some(2), Some(1)));
        assert_eq!(listed(&["list", "bot", "--limit", "0"]), (Some(0), Some(3)));
        assert_eq!(listed(&["list", "bot", "--stage", "production"]), (Some(0), Some(0)));
        let table = ok(s, ["list", "--format", "csv"]).stdout;
        assert_eq!(table.lines().count(), 2, "CSV is the table alone: {table}");
    });
}

#[test]
fn a_misspelt_tag_gets_a_suggestion() {
    on_both(|s| {
        with_bot(s);
        ok(s, ["tag", "bot", "reviewed"]);
        assert_snapshot!(s.kf(["list", "--tag", "reviwed"]), @"
        No version is like that.
        hint: did you mean `reviewed`?
        -- exit status: 0 --
        ");
        assert_snapshot!(s.kf(["tag", "bot", "reviwed", "--remove"]), @"
        bot@1.0.0 was not tagged reviwed
        -- stderr --
        hint: did you mean `reviewed`?
        -- exit status: 0 --
        ");
    });
}

#[test]
fn a_name_that_is_not_there_gets_a_suggestion() {
    on_both(|s| {
        with_bot(s);
        assert_snapshot!(ends(s, 1, ["list", "bto"]), @"
        -- stderr --
        error: there is no model `bto`
        hint: did you mean `bot`?
        -- exit status: 1 --
        ");
        assert_snapshot!(ends(s, 2, ["list", "--stage", "prod"]), @"
        -- stderr --
        error: invalid value 'prod' for '--stage <STAGE>': `prod` is not a stage, did you mean `production`?

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
