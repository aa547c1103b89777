//! `kf diff`.

use crate::repo::{ends, json, ok, on_both, with_bot};
use insta::assert_snapshot;

#[test]
fn texts_by_line_structures_by_key_prompts_by_variable_metrics_by_number() {
    on_both(|s| {
        with_bot(s);
        s.write("bot/prompts/answer.txt", "Answer {question} from {context} in {language}.\n");
        s.write("bot/retrieval.yaml", "mode: hybrid\ntop-k: 8\n");
        s.write("bot/agents.toml", "[planner]\nmodel = \"small\"\n");
        s.write("bot/logo.bin", [0_u8, 1, 2]);
        std::fs::remove_file(s.work().join("bot/routing.yaml")).expect("removed");
        ok(s, ["register", "bot", "bot", "--metric", "f1=0.8"]);
        assert_snapshot!(s.kf(["diff", "bot@1.0.0", "bot@latest"]), @"
        bot@1.0.0 → bot@2.0.0: 5 files differ, a major change

        added agents.toml (26 B)
        added logo.bin (3 B)
        changed prompts/answer.txt
            prompt: +{language}
            --- a/prompts/answer.txt
            +++ b/prompts/answer.txt
            @@ -1 +1 @@
            -Answer {question} from {context}.
            +Answer {question} from {context} in {language}.
        changed retrieval.yaml
            top-k: 5 → 8
        removed routing.yaml (15 B)
        metric f1: none → 0.8
        -- exit status: 0 --
        ");
        let doc = json(&ok(s, ["diff", "bot@1.0.0", "bot", "--format", "json"]));
        assert_eq!((&doc["schema"], &doc["same"]), (&"kf.diff/1".into(), &false.into()));
    });
}

#[test]
fn nothing_differs_or_nothing_is_there() {
    on_both(|s| {
        with_bot(s);
        assert_snapshot!(s.kf(["diff", "bot@1.0.0", "bot"]), @"
        bot@1.0.0 and bot@1.0.0 have the same files and dependencies
        -- exit status: 0 --
        ");
        assert_snapshot!(ends(s, 1, ["diff", "bot@1.0.0", "bot@2.0.0"]), @"
        -- stderr --
        error: there is no bot@2.0.0
        hint: the newest versions are: 1.0.0
        -- exit status: 1 --
        ");
        assert_snapshot!(ends(s, 2, ["diff", "bot@1.0.0"]), @"
        -- stderr --
        error: the following required arguments were not provided:
          <NEW>

        Usage: kf diff <OLD> <NEW>

        For more information, try '--help'.
        -- exit status: 2 --
        ");
    });
}
