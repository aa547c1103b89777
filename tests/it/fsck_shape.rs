//! `kf fsck` on what a state is made of: tables, indexes, what acts on its own, and a state that lost its own mark.

use crate::repo::{ends, ok};
use crate::story::{self, alter};
use crate::support::s3;
use crate::support::sandbox::{Engine, Sandbox, on_both_engines};
use crate::support::skip;

/// What is no row of kf's tables, and what stands in no entry.
#[test]
fn what_was_put_beside_the_tables_is_found() {
    for (damage, says) in [
        ("INSERT INTO log_head (id, size, frontier, origin) SELECT 2, size, frontier, origin FROM log_head", "more heads"),
        ("INSERT INTO dict (kind, text) VALUES ('ticket', 'OPS-999')", "no entry uses 1 of its words"),
        ("CREATE TABLE loot (a TEXT)", "table loot"),
        ("CREATE VIEW peek AS SELECT * FROM version", "view peek"),
        ("CREATE TRIGGER bite AFTER INSERT ON ev BEGIN DELETE FROM tag; END", "trigger bite"),
        ("CREATE INDEX odd ON version (created)", "index odd"),
    ] {
        let s = &Sandbox::new();
        story::tell(s);
        let db = rusqlite::Connection::open(s.work().join(".kf/state.db")).expect("a state");
        ok(s, ["fsck"]);
        db.execute_batch(damage).expect("damaged");
        let run = ends(s, 3, ["fsck"]);
        assert!(run.stdout.contains(says), "{damage}: {run}");
    }
    let s = &Sandbox::new();
    story::tell(s);
    let db = rusqlite::Connection::open(s.work().join(".kf/state.db")).expect("a state");
    let name: String =
        db.query_row("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql > ''", [], |r| r.get(0)).expect("an index");
    db.execute_batch(&format!("DROP INDEX {name}")).expect("dropped");
    assert!(ends(s, 3, ["fsck"]).stdout.contains(&format!("index {name}")));
}

/// What each collection makes for itself is known, and only that of collections that are there.
#[test]
fn the_indexes_of_collections_are_known_and_no_others() {
    on_both_engines(|s| {
        story::tell(s);
        story::documents(s);
        ok(s, ["fsck"]);
        let store = story::open(s);
        let run = |sql: &str| store.db().execute(sql, &[]).unwrap_or_else(|e| panic!("{sql}: {e}"));
        let files = s.engine() == Engine::Files;
        let trigger = match files {
            true => "CREATE TRIGGER bite AFTER INSERT ON version BEGIN SELECT 1; END",
            false => "CREATE TRIGGER bite AFTER INSERT ON fulltext_1 FOR EACH ROW EXECUTE FUNCTION nothing()",
        };
        if !files {
            run("CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'");
        }
        for (damage, undo, says) in [
            ("CREATE TABLE fulltext_9 (words TEXT)", "DROP TABLE fulltext_9", "table fulltext_9"),
            ("CREATE TABLE vectors_9 (number BIGINT)", "DROP TABLE vectors_9", "table vectors_9"),
            ("CREATE INDEX odd ON version (created)", "DROP INDEX odd", "index odd"),
            (trigger, if files { "DROP TRIGGER bite" } else { "DROP FUNCTION nothing CASCADE" }, "trigger bite"),
        ] {
            run(damage);
            let found = ends(s, 3, ["fsck", "--quick"]);
            assert!(found.stdout.contains(says), "{damage}: {found}");
            run(undo);
        }
        ok(s, ["fsck", "--quick"]);
        for gone in if files { &["TABLE fulltext_1"][..] } else { &["INDEX fulltext_1_words_idx", "TABLE fulltext_1"] } {
            run(&format!("DROP {gone}"));
            let found = ends(s, 3, ["fsck", "--quick"]);
            assert!(found.stdout.contains("fulltext_1") && found.stdout.contains("it is missing"), "{gone}: {found}");
            ok(s, ["index", "rebuild", "--tenant", "acme"]);
            ok(s, ["fsck"]);
        }
        ok(s, ["tenant", "erase", "acme", "--yes", "--reason", "asked for"]);
        ok(s, ["fsck"]);
    });
}

/// What a table is made of on PostgreSQL, which keeps no statement to compare.
#[test]
fn altered_tables_are_found_on_postgresql() {
    let s = &match Sandbox::on(Engine::Servers) {
        Ok(sandbox) => sandbox,
        Err(why) => return skip(&why.to_string()),
    };
    story::tell(s);
    ok(s, ["fsck", "--quick"]);
    let store = story::open(s);
    let run = |sql: &str| store.db().execute(sql, &[]).unwrap_or_else(|e| panic!("{sql}: {e}"));
    for (damage, undo, says) in [
        ("ADD COLUMN loot TEXT", "DROP COLUMN loot", "there is `column loot text collate default`"),
        ("ALTER COLUMN text DROP NOT NULL", "ALTER COLUMN text SET NOT NULL", "kf makes `column text text collate C not null`"),
        ("ALTER COLUMN kind TYPE VARCHAR", "ALTER COLUMN kind TYPE TEXT COLLATE \"C\"", "`column kind character varying collate"),
        (
            "ALTER COLUMN text TYPE TEXT",
            "ALTER COLUMN text TYPE TEXT COLLATE \"C\"",
            "`column text text collate default not null`",
        ),
        ("ALTER COLUMN text SET DEFAULT 'x'", "ALTER COLUMN text DROP DEFAULT", "default 'x'"),
        ("DROP CONSTRAINT dict_kind_text_key", "ADD UNIQUE (kind, text)", "kf makes `key UNIQUE(kind,text)`"),
        ("ADD CONSTRAINT odd CHECK (id > 0)", "DROP CONSTRAINT odd", "there is `key CHECK((id>0))`"),
        ("ENABLE ROW LEVEL SECURITY", "DISABLE ROW LEVEL SECURITY", "there is `row security"),
        ("ADD CONSTRAINT kinds CHECK (kind <> '') NOT VALID", "DROP CONSTRAINT kinds", "NOTVALID"),
    ] {
        run(&format!("ALTER TABLE dict {damage}"));
        let found = ends(s, 3, ["fsck", "--quick"]);
        assert!(found.stdout.contains("table dict") && found.stdout.contains(says), "{damage}: {found}");
        run(&format!("ALTER TABLE dict {undo}"));
        ok(s, ["fsck", "--quick"]);
    }
    run("CREATE TABLE more () INHERITS (dict)");
    assert!(ends(s, 3, ["fsck", "--quick"]).stdout.contains("there is `rows of other tables`"));
    run("DROP TABLE more");
    ok(s, ["fsck", "--quick"]);
    // Also where nothing of the table can be read any more.
    run("ALTER TABLE evaluation_metric DROP COLUMN mean");
    let found = ends(s, 3, ["fsck", "--quick"]);
    assert!(found.stdout.contains("kf makes `column mean double precision`"), "{found}");
}

/// A state whose own mark is gone is damaged, never a place to start anew.
#[test]
fn a_state_without_its_schema_number_is_damaged_and_not_empty() {
    on_both_engines(|s| {
        story::tell(s);
        let store = story::open(s);
        for sql in [
            "UPDATE meta SET value = '999' WHERE key = 'schema'",
            "UPDATE meta SET value = 'x' WHERE key = 'schema'",
            "DELETE FROM meta WHERE key = 'schema'",
        ] {
            assert_eq!(alter(s, &store, sql), 1);
            for words in [["status"], ["fsck"], ["init"]] {
                let run = ends(s, 3, words);
                assert!(run.stderr.contains("the state is damaged") && !run.stderr.contains("kf init"), "{sql}: {run}");
            }
        }
    });
}

/// Wherever the objects are.
#[test]
fn a_state_file_that_was_emptied_is_not_made_anew() {
    for place in ["", "folder", "s3"] {
        let s = &mut Sandbox::new();
        if place == "folder" {
            s.set("KF_ARTIFACTS_URL", &format!("file://{}", s.root().join("elsewhere").display()));
        } else if place == "s3" {
            let objects = s3::shared().expect("a server");
            s.set("KF_ARTIFACTS_URL", &objects.fresh());
            objects.environment(objects.port()).iter().for_each(|(variable, value)| s.set(variable, value));
        }
        story::tell(s);
        std::fs::write(s.work().join(".kf/state.db"), b"").expect("emptied");
        for words in [["status"], ["fsck"], ["init"]] {
            let run = ends(s, 3, words);
            assert!(run.stderr.contains("the state is damaged") && !run.stderr.contains("kf init"), "{place}: {run}");
        }
        assert_eq!(std::fs::metadata(s.work().join(".kf/state.db")).expect("there").len(), 0);
    }
}

/// What never held anything is no damage: a first start that was cut short left it.
#[test]
fn an_empty_file_without_objects_is_a_new_state() {
    let s = &Sandbox::new();
    s.write("mlops.toml", "[project]\nname = \"shop\"\n");
    s.write(".kf/state.db", "");
    ok(s, ["init"]);
    ok(s, ["fsck"]);
}
