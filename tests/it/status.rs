//! `kf status`.

use crate::repo::{next_bot, ok, on_both, release, with_bot};
use insta::assert_snapshot;

#[test]
fn one_screen_tells_what_stands_where_and_what_waits() {
    on_both(|s| {
        with_bot(s);
        release(s, "bot@1.0.0");
        next_bot(s, 8);
        s.write("golden.jsonl", "{\"question\": \"Q\", \"answer\": \"A\"}\n");
        s.write(
            "mlops.toml",
            "[project]\nname = \"shop\"\n[golden]\ndataset = \"golden.jsonl\"\n[gates.exact]\nstage = \"production\"\nkind = \"absolute\"\nmetric = \"exact-match\"\nmin = 0.9\n",
        );
        ok(s, ["promote", "bot", "--to", "staging"]);
        let run = ok(s, ["status"]);
        let (first, rest) = run.stdout.split_once('\n').expect("lines");
        assert!(
            first.starts_with("shop  (SQLite [ROOT]/work/.kf/state.db)") || first.starts_with("shop  (PostgreSQL"),
            "{first}"
        );
        assert_snapshot!(rest, @"

        MODEL  PRODUCTION  STAGING  NEWEST
        bot    1.0.0       1.0.1    1.0.1 (staging)

        gates   bot@1.0.1 → production: inconclusive on exact
        audit   6 events, unsigned: `kf audit key --generate` makes a key that signs them
        ");
    });
}
