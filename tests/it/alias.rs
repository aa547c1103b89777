//! `kf alias`.

use crate::repo::{events, json, next_bot, ok, on_both, refused, with_bot};
use insta::assert_snapshot;

#[test]
fn an_alias_moves_and_goes() {
    on_both(|s| {
        with_bot(s);
        next_bot(s, 8);
        assert_snapshot!(s.kf(["alias", "bot@1.0.0", "champion"]), @"
        bot@champion now means 1.0.0
        -- exit status: 0 --
        ");
        assert_snapshot!(refused(s, 0, ["alias", "bot@1.0.0", "champion"]), @"
        bot@champion means 1.0.0 already
        -- exit status: 0 --
        ");
        assert_snapshot!(refused(s, 0, ["alias", "bot", "champion", "--dry-run"]), @"
        bot@champion now means 1.0.1, before 1.0.0
        -- stderr --
        dry run: nothing was changed
        -- exit status: 0 --
        ");
        assert_snapshot!(s.kf(["alias", "bot", "champion"]), @"
        bot@champion now means 1.0.1, before 1.0.0
        -- exit status: 0 --
        ");
        assert_eq!(json(&ok(s, ["show", "bot@champion", "--format", "json"]))["version"], "1.0.1");
        let size = events(s);
        assert_snapshot!(s.kf(["alias", "bot", "champion", "--remove"]), @"
        bot has no alias champion any more
        -- exit status: 0 --
        ");
        assert_eq!(events(s), size + 1);
        assert_snapshot!(refused(s, 1, ["alias", "bot", "champion", "--remove"]), @"
        -- stderr --
        error: bot has no alias `champion`
        hint: `kf show bot` lists the aliases
        -- exit status: 1 --
        ");
    });
}

#[test]
fn words_that_mean_something_else_are_refused() {
    on_both(|s| {
        with_bot(s);
        assert_snapshot!(refused(s, 2, ["alias", "bot", "production"]), @"
        -- stderr --
        error: `production` cannot be an alias: after `@` it means something else
        hint: choose a word that is no stage, no version and not `latest`
        -- exit status: 2 --
        ");
        for word in ["latest", "1.0.0", "none", "Staging", "a b", "é"] {
            refused(s, 2, ["alias", "bot", word]);
        }
    });
}

#[test]
fn an_alias_a_tag_and_a_model_of_one_name_are_three_things() {
    on_both(|s| {
        with_bot(s);
        next_bot(s, 8);
        s.write("w.bin", "weights");
        ok(s, ["register", "champion", "w.bin"]);
        ok(s, ["alias", "bot@1.0.0", "champion"]);
        ok(s, ["tag", "bot@1.0.1", "champion"]);
        ok(s, ["alias", "champion", "bot"]);
        let shown = |reference: &str| json(&ok(s, ["show", reference, "--format", "json"]));
        let named = |reference: &str| {
            let doc = shown(reference);
            format!("{}@{}", doc["name"].as_str().unwrap_or_default(), doc["version"].as_str().unwrap_or_default())
        };
        assert_eq!(named("bot@champion"), "bot@1.0.0");
        assert_eq!(named("champion"), "champion@1.0.0");
        assert_eq!(named("champion@bot"), "champion@1.0.0");
        assert_eq!(shown("bot@1.0.1")["tags"], serde_json::json!(["champion"]));
        assert!(ok(s, ["list", "--tag", "champion"]).stdout.contains("1.0.1"), "the tag, not the alias");
        ok(s, ["tag", "bot@1.0.1", "champion", "--remove"]);
        assert_eq!(named("bot@champion"), "bot@1.0.0", "the alias stays");
        ok(s, ["alias", "bot", "champion", "--remove"]);
        assert_eq!(named("champion"), "champion@1.0.0", "the model stays");
        // What reads as a digest or a version without its marks is an alias like any other word.
        ok(s, ["alias", "bot@1.0.0", "ab12cd"]);
        ok(s, ["alias", "bot@1.0.0", "v1.0.1"]);
        assert_eq!((named("bot@ab12cd"), named("bot@v1.0.1")), ("bot@1.0.0".into(), "bot@1.0.0".into()));
    });
}
