//! `kf fsck`, and what of a state is covered by what.

use crate::repo::{ends, json, ok, with_bot};
use crate::story::{self, alter};
use crate::support::page_part;
use crate::support::sandbox::{Engine, Sandbox, on_both_engines};
use kf::base::error::Result;
use kf::base::event::{Event, Resource};
use kf::config::secret::Secret;
use kf::domain::audit::key::VerifierKey;
use kf::release::fsck::{self, Options};
use kf::store::age::generate;
use kf::store::migrations;
use kf::store::objects::{Fetch, Keys, Objects};
use kf::store::schema::{Column, Table, Type};
use kf::store::{Row, Store, Value};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// What finds a column that was edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// `kf audit verify`: the log commits to it, or it is derived from the log again.
    Verify,
    /// `kf fsck`, which names the column.
    Fsck,
    /// `kf fsck`, which names the row: the column is what it is known by.
    Key,
    /// `kf fsck`, as what refers to it then refers to nothing.
    Id,
    /// `kf fsck`, which names the document: its entry has a seal over the column.
    Seal,
    /// `kf fsck`, by running `kf index verify`.
    Index,
    /// Nothing: it is a cache or marks work that is waiting, and nothing is told from it.
    Nothing,
}
use By::{Fsck, Id, Index, Key, Nothing, Seal, Verify};

/// Every column of every table of a state. `meta` is told by its keys.
const COVERED: &[(&str, &[(&str, By)])] = &[
    ("log_head", &[("id", Verify), ("size", Verify), ("frontier", Verify), ("origin", Verify)]),
    ("dict", &[("id", Verify), ("kind", Verify), ("text", Verify)]),
    (
        "ev",
        &[
            ("seq", Verify),
            ("id", Verify),
            ("ts", Verify),
            ("actor", Verify),
            ("action", Verify),
            ("res", Verify),
            ("outcome", Verify),
            ("ticket", Verify),
        ],
    ),
    ("eb", &[("seq", Verify), ("leaf", Verify), ("body", Verify)]),
    ("tile", &[("level", Verify), ("idx", Verify), ("hash", Verify)]),
    ("checkpoint", &[("size", Verify), ("note", Verify)]),
    ("fact", &[("seq", Verify), ("key", Verify), ("value", Verify)]),
    ("pseudonym", &[("id", Verify), ("kind", Verify), ("name", Verify), ("salt", Verify)]),
    ("opening", &[("seq", Verify), ("field", Verify), ("salt", Verify), ("value", Verify)]),
    // Which keys it is for only chooses a key to write with: who reads tries the key itself.
    ("data_key", &[("id", Verify), ("recipients", Nothing), ("wrapped", Verify), ("created", Nothing)]),
    ("model", &[("id", Id), ("name", Key), ("kind", Fsck), ("created", Fsck)]),
    (
        "version",
        &[
            ("id", Id),
            ("model", Key),
            ("major", Key),
            ("minor", Key),
            ("patch", Key),
            ("digest", Fsck),
            ("stage", Fsck),
            ("created", Fsck),
            ("author", Fsck),
            ("files", Fsck),
            ("bytes", Fsck),
            ("git_commit", Fsck),
            ("git_branch", Fsck),
            ("git_dirty", Fsck),
            ("retired", Fsck),
            ("purged", Fsck),
            ("event", Fsck),
        ],
    ),
    ("version_note", &[("version", Key), ("kind", Key), ("key", Key), ("value", Fsck)]),
    ("version_link", &[("version", Key), ("relation", Key), ("target", Key)]),
    ("alias", &[("model", Key), ("name", Key), ("version", Fsck)]),
    (
        "stage_change",
        &[
            ("event", Key),
            ("model", Fsck),
            ("version", Key),
            ("how", Fsck),
            ("from_stage", Fsck),
            ("to_stage", Fsck),
            ("replaced", Fsck),
            ("ts", Fsck),
            ("actor", Fsck),
            ("ticket", Fsck),
        ],
    ),
    (
        "evaluation",
        &[
            ("id", Key),
            ("version", Fsck),
            ("digest", Fsck),
            ("dataset", Fsck),
            ("dataset_digest", Fsck),
            ("judge", Fsck),
            ("system", Fsck),
            ("row_count", Fsck),
            ("rows_digest", Fsck),
            ("ts", Fsck),
            ("actor", Fsck),
            ("event", Fsck),
        ],
    ),
    (
        "evaluation_metric",
        &[("evaluation", Key), ("metric", Key), ("mean", Fsck), ("low", Fsck), ("high", Fsck), ("n", Fsck), ("total", Fsck)],
    ),
    ("tenant", &[("id", Id), ("name", Key), ("salt", Fsck), ("created", Fsck)]),
    (
        "collection",
        &[
            ("id", Id),
            ("tenant", Key),
            ("name", Key),
            ("embedder", Fsck),
            ("embedder_digest", Fsck),
            ("dimensions", Fsck),
            ("engine", Fsck),
            ("graph", Fsck),
            ("last_chunk", Fsck),
            ("created", Fsck),
            ("event", Fsck),
        ],
    ),
    (
        "document",
        &[
            ("id", Id),
            ("uid", Key),
            ("collection", Fsck),
            ("salt", Seal),
            ("copy_of", Seal),
            ("stale", Nothing),
            ("source", Seal),
            ("content", Seal),
            ("words", Seal),
            ("pipeline", Seal),
            ("format", Seal),
            ("language", Seal),
            ("title", Seal),
            ("bytes", Seal),
            ("characters", Seal),
            ("pages", Seal),
            ("chunks", Seal),
            ("chunks_digest", Seal),
            ("vectors", Index),
            ("graph_digest", Seal),
            ("quality", Seal),
            ("checks", Seal),
            ("warnings", Seal),
            ("reason", Seal),
            ("detail", Seal),
            ("created", Seal),
            ("event", Fsck),
        ],
    ),
    ("document_meta", &[("document", Seal), ("key", Seal), ("value", Seal)]),
    ("document_text", &[("document", Seal), ("body", Seal)]),
    (
        "chunk",
        &[
            ("collection", Index),
            ("number", Index),
            ("uid", Seal),
            ("document", Seal),
            ("pos", Seal),
            ("start", Seal),
            ("fresh", Seal),
            ("stop", Seal),
            ("tokens", Seal),
            ("page_first", Seal),
            ("page_last", Seal),
            ("heading", Seal),
            ("context", Seal),
            ("vector", Index),
        ],
    ),
    ("entity", &[("id", Id), ("collection", Index), ("kind", Seal), ("key", Seal), ("name", Seal)]),
    (
        "mention",
        &[
            ("collection", Index),
            ("document", Seal),
            ("start", Seal),
            ("stop", Seal),
            ("chunk_pos", Seal),
            ("entity", Index),
            ("method", Seal),
            ("confidence", Seal),
        ],
    ),
    (
        "edge",
        &[
            ("collection", Index),
            ("document", Seal),
            ("subject", Index),
            ("relation", Seal),
            ("object", Index),
            ("start", Seal),
            ("stop", Seal),
            ("method", Seal),
            ("confidence", Seal),
        ],
    ),
    ("signature", &[("document", Seal), ("minima", Seal)]),
    ("band", &[("collection", Index), ("hash", Seal), ("document", Seal)]),
    ("embedding", &[("tenant", Nothing), ("model", Nothing), ("text", Nothing), ("vector", Nothing), ("created", Nothing)]),
    (
        "outbox",
        &[
            ("event", Nothing),
            ("engine", Nothing),
            ("place", Nothing),
            ("act", Nothing),
            ("item", Nothing),
            ("collection", Nothing),
        ],
    ),
    (
        "baseline",
        &[
            ("uid", Key),
            ("name", Fsck),
            ("version", Fsck),
            ("profile", Fsck),
            ("profile_bytes", Fsck),
            ("data", Fsck),
            ("row_count", Fsck),
            ("column_count", Fsck),
            ("created", Fsck),
            ("actor", Fsck),
            ("event", Fsck),
        ],
    ),
    (
        "drift_check",
        &[
            ("uid", Key),
            ("name", Fsck),
            ("baseline", Fsck),
            ("data", Fsck),
            ("row_count", Fsck),
            ("verdict", Fsck),
            ("report", Fsck),
            ("report_bytes", Fsck),
            ("created", Fsck),
            ("actor", Fsck),
            ("event", Fsck),
        ],
    ),
    ("drift_figure", &[("drift_check", Key), ("pos", Key), ("column_name", Fsck), ("status", Fsck), ("psi", Fsck), ("n", Fsck)]),
    (
        "drift_action",
        &[
            ("uid", Key),
            ("name", Fsck),
            ("model", Fsck),
            ("drift_check", Fsck),
            ("kind", Fsck),
            ("band", Fsck),
            ("state", Fsck),
            ("due", Fsck),
            ("attempts", Fsck),
            ("opened", Fsck),
            ("changed", Fsck),
            ("event", Fsck),
        ],
    ),
    ("monitor_series", &[("id", Id), ("name", Key), ("labels", Key)]),
    ("monitor_batch", &[("event", Key), ("samples", Fsck), ("last", Fsck), ("digest", Fsck)]),
    ("monitor_sample", &[("series", Key), ("at", Key), ("value", Key), ("event", Key)]),
    (
        "monitor_episode",
        &[
            ("uid", Key),
            ("name", Fsck),
            ("labels", Fsck),
            ("kind", Fsck),
            ("severity", Fsck),
            ("since", Fsck),
            ("peak", Fsck),
            ("opened", Fsck),
            ("ended", Fsck),
            ("closed", Fsck),
            ("event", Fsck),
        ],
    ),
    (
        "alert",
        &[
            ("uid", Key),
            ("about", Fsck),
            ("act", Fsck),
            ("severity", Fsck),
            ("message", Fsck),
            ("created", Fsck),
            ("actor", Fsck),
            ("event", Fsck),
        ],
    ),
    (
        "alert_delivery",
        &[
            ("alert", Key),
            ("channel", Key),
            ("state", Fsck),
            ("attempts", Fsck),
            ("due", Fsck),
            ("error", Nothing),
            ("changed", Fsck),
            ("event", Fsck),
        ],
    ),
    (
        "rollout",
        &[
            ("uid", Key),
            ("model", Fsck),
            ("canary", Fsck),
            ("target", Fsck),
            ("setup", Fsck),
            ("state", Fsck),
            ("open", Fsck),
            ("moves", Fsck),
            ("created", Fsck),
            ("changed", Fsck),
            ("actor", Fsck),
            ("event", Fsck),
        ],
    ),
    (
        "rollout_move",
        &[
            ("rollout", Key),
            ("seq", Key),
            ("what", Fsck),
            ("reason", Fsck),
            ("state", Fsck),
            ("judgement", Fsck),
            ("at", Fsck),
            ("actor", Fsck),
            ("event", Fsck),
        ],
    ),
    (
        "rollout_tick",
        &[
            ("rollout", Key),
            ("id", Key),
            ("base", Key),
            ("at", Key),
            ("state", Key),
            ("reason", Key),
            ("since", Key),
            ("upto", Key),
            ("cursor", Key),
            ("figures", Key),
            ("judgement", Key),
            ("latency", Key),
        ],
    ),
    (
        "rollout_lease",
        &[
            ("rollout", Nothing),
            ("fence", Nothing),
            ("renewal", Nothing),
            ("host", Nothing),
            ("pid", Nothing),
            ("until", Nothing),
        ],
    ),
    ("flag", &[("tenant", Key), ("name", Key), ("rule", Fsck), ("changed", Fsck), ("actor", Fsck), ("event", Fsck)]),
    (
        "ab_test",
        &[
            ("name", Key),
            ("setup", Fsck),
            ("open", Fsck),
            ("batches", Fsck),
            ("decision", Fsck),
            ("analysis", Fsck),
            ("created", Fsck),
            ("changed", Fsck),
            ("actor", Fsck),
            ("event", Fsck),
        ],
    ),
    (
        "ab_batch",
        &[
            ("test", Key),
            ("seq", Key),
            ("source", Fsck),
            ("cursor", Fsck),
            ("row_count", Fsck),
            ("digest", Fsck),
            ("at", Fsck),
            ("actor", Fsck),
            ("event", Fsck),
        ],
    ),
    (
        "ab_value",
        &[
            ("test", Key),
            ("batch", Key),
            ("variant", Key),
            ("id", Key),
            ("unit", Key),
            ("metric", Key),
            ("n", Key),
            ("mean", Key),
            ("sd", Key),
        ],
    ),
    ("eval_row", &[("evaluation", Key), ("pos", Key), ("row_id", Key), ("metric", Key), ("value", Key), ("reason", Key)]),
];

fn covered_by(table: &Table, column: &Column) -> By {
    let columns = COVERED.iter().find(|(t, _)| *t == table.name).map(|(_, columns)| *columns);
    let found = columns.and_then(|columns| columns.iter().find(|(c, _)| *c == column.name));
    found.unwrap_or_else(|| panic!("nobody decided what finds an edit of {}.{}", table.name, column.name)).1
}

fn tables() -> impl Iterator<Item = &'static Table> {
    migrations::tables().filter(|t| t.name != "meta")
}

/// The page says of each column what finds it, and nothing of columns that are not there.
#[test]
fn the_page_says_what_covers_what() {
    let mut text = String::from("| table | `kf audit verify` | `kf fsck` |\n| --- | --- | --- |\n");
    for table in tables() {
        let named = |verify: bool| {
            let by = |c: &&Column| match covered_by(table, c) {
                Nothing => false,
                by => (by == Verify) == verify,
            };
            table.columns.iter().filter(by).map(|c| format!("`{}`", c.name)).collect::<Vec<_>>().join(", ")
        };
        let _ = writeln!(text, "| `{}` | {} | {} |", table.name, named(true), named(false));
    }
    let known: usize = COVERED.iter().map(|(_, columns)| columns.len()).sum();
    assert_eq!(known, tables().map(|t| t.columns.len()).sum::<usize>(), "a column that is no more");
    page_part("docs/audit.md", "covered", &text, "fsck");
}

fn value(row: &Row<'_>, i: usize, column: &Column) -> Result<Value> {
    Ok(match column.kind {
        Type::Id | Type::Int => row.opt_int(i)?.into(),
        Type::Real => row.opt_real(i)?.into(),
        Type::Text => row.opt_text(i)?.into(),
        Type::Blob => row.opt_blob(i)?.into(),
    })
}

fn rows(store: &Store, table: &Table) -> Vec<Vec<Value>> {
    let names: Vec<&str> = table.columns.iter().map(|c| c.name).collect();
    let sql = format!("SELECT {} FROM {}", names.join(", "), table.name);
    let read = |row: &Row<'_>| table.columns.iter().enumerate().map(|(i, c)| value(row, i, c)).collect();
    store.read(|view| view.all(&sql, &[], read)).expect("read")
}

/// Other values than this one that the column takes.
fn others(value: &Value, column: &Column) -> Vec<Value> {
    let mut others = match value {
        Value::Null => match column.kind {
            Type::Id | Type::Int => vec![Value::Int(1)],
            Type::Real => vec![Value::Real(0.5)],
            Type::Text => vec![Value::Text("x".into())],
            Type::Blob => vec![Value::Blob(vec![1])],
        },
        Value::Int(n) => vec![Value::Int(n + 1), Value::Int(n + 1_000_000)],
        Value::Real(r) => vec![Value::Real(r + 0.001)],
        Value::Text(t) => vec![Value::Text(flipped(t))],
        Value::Blob(b) => {
            let mut b = b.clone();
            match b.last_mut() {
                Some(last) => *last ^= 1,
                None => b.push(0),
            }
            vec![Value::Blob(b)]
        }
    };
    if column.null && !matches!(value, Value::Null) {
        others.push(Value::Null);
    }
    others
}

fn flipped(text: &str) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    match chars.last_mut() {
        Some(last) => *last = if *last == 'a' { 'b' } else { 'a' },
        None => chars.push('a'),
    }
    chars.into_iter().collect()
}

/// Writes another value into a column of one row; false when a key of the table refuses it.
fn edit(store: &Store, table: &Table, row: &[Value], i: usize, to: &Value) -> bool {
    let mut values = vec![to.clone()];
    let mut conditions = Vec::new();
    for (column, value) in table.columns.iter().zip(row) {
        if matches!(value, Value::Null) {
            conditions.push(format!("{} IS NULL", column.name));
        } else {
            values.push(value.clone());
            conditions.push(format!("{} = ?{}", column.name, values.len()));
        }
    }
    let sql = format!("UPDATE {} SET {} = ?1 WHERE {}", table.name, table.columns[i].name, conditions.join(" AND "));
    match store.db().execute(&sql, &values) {
        Ok(n) => {
            assert_eq!(n, 1, "{sql} {values:?}");
            true
        }
        Err(e) => {
            assert!(e.to_string().to_lowercase().contains("unique"), "{sql}: {e}");
            false
        }
    }
}

/// Rows of a table that are edited one by one; a document has dozens of bands, and one is like another.
const ROWS: usize = 30;

/// Every column of every row is edited in turn, and each edit is found by what the table says, which names it.
#[test]
fn an_edit_of_any_column_of_any_row_is_found() {
    on_both_engines(|s| {
        story::tell(s);
        story::documents(s);
        story::drift(s);
        story::monitor(s);
        story::rollouts(s);
        story::flags(s);
        story::ab(s);
        let key: VerifierKey = ok(s, ["audit", "key"]).stdout.trim().parse().expect("a key");
        let store = story::open(s);
        let long = Event::new("model.looked-at", Resource::new("model", "m")).with("long", "x".repeat(9_000));
        store.write(|tx| Ok(tx.record(long.clone()))).expect("written");
        story::lift(s, &store);
        let (private, public) = generate();
        let sealing = || {
            let private = private.expose().to_owned();
            let fetch: Fetch = Box::new(move || Ok(Secret::new(private.clone())));
            story::open_with(s, Keys::new(std::slice::from_ref(&public), Some(fetch)).expect("keys"))
        };
        let sealed = Event::new("model.looked-at", Resource::new("model", "m")).because(None, Some("for nobody else to read"));
        sealing().write(|tx| Ok(tx.record(sealed.clone()))).expect("written");
        let objects = Objects::files(&s.root().join("no-objects")).expect("objects");
        let keys = [key];
        let check = || {
            // Data keys that were opened once stay so for as long as the state is open.
            let store = sealing();
            let options = Options { quick: false, repair: false, jobs: 2, keys: &keys, journal: None };
            let report = fsck::check(&store, &objects, options, &mut |_, _| {}, &mut |_| {}).expect("checked");
            // That the objects are elsewhere is not what is looked for.
            let told = report.findings.into_iter().filter(|f| !f.subject.starts_with("object "));
            told.map(|f| (f.subject, f.problem)).collect::<BTreeSet<_>>()
        };
        assert_eq!(check(), BTreeSet::new(), "sound before");
        for table in tables().filter(|t| covered_by(t, &t.columns[0]) != Nothing) {
            let all = rows(&store, table);
            assert!(!all.is_empty() || table.name == "tile", "the story has nothing in {}", table.name);
            // A server answers slower than a file: there one row stands for all.
            let rows = if s.engine() == Engine::Files { &all[..all.len().min(ROWS)] } else { &all[..all.len().min(1)] };
            for row in rows {
                for (i, column) in table.columns.iter().enumerate().filter(|(_, c)| covered_by(table, c) != Nothing) {
                    let mut taken = Vec::new();
                    for other in others(&row[i], column) {
                        // The larger number is for columns whose next one is another row's.
                        let again = matches!((&other, taken.last()), (Value::Int(_), Some(Value::Int(_))));
                        if again || !edit(&store, table, row, i, &other) {
                            continue;
                        }
                        expect(table, column, row, &check());
                        let mut now = row.clone();
                        now[i] = other.clone();
                        assert!(edit(&store, table, &now, i, &row[i]), "put back");
                        taken.push(other);
                    }
                    assert!(!taken.is_empty(), "{}.{} takes no other value", table.name, column.name);
                }
            }
        }
        assert_eq!(check(), BTreeSet::new(), "all was put back");
    });
}

#[track_caller]
fn expect(table: &Table, column: &Column, row: &[Value], found: &BTreeSet<(String, String)>) {
    let place = format!("{}.{} of {row:?}", table.name, column.name);
    let log = |subject: &str| subject.starts_with("audit log");
    match covered_by(table, column) {
        Verify => assert!(found.iter().any(|(subject, _)| log(subject)), "{place}: verify finds nothing: {found:#?}"),
        Fsck => {
            let named = format!("{} is ", column.name);
            assert!(found.iter().any(|(s, what)| !log(s) && what.contains(&named)), "{place} is not named: {found:#?}");
        }
        Nothing => unreachable!("caches are left out"),
        Seal => assert!(found.iter().any(|(s, _)| s.starts_with("document ")), "{place}: no document is named: {found:#?}"),
        Key | Id | Index => assert!(found.iter().any(|(subject, _)| !log(subject)), "{place}: nothing is found: {found:#?}"),
    }
}

/// What the binary says of an edit: the row, the column, both values, the entry to look at, and how to restore.
#[test]
fn an_edited_row_is_named_with_its_column_and_the_way_back() {
    on_both_engines(|s| {
        story::tell(s);
        assert!(ok(s, ["fsck"]).stdout.contains("rows, objects, manifests and log agree"));
        let store = story::open(s);
        alter(s, &store, "UPDATE stage_change SET actor = 'user-000000000000', ticket = 'OPS-9' WHERE how = 'rollback'");
        let found = json(&ends(s, 3, ["fsck", "--format", "json"]));
        let [finding] = &found["findings"].as_array().expect("findings")[..] else { panic!("{found}") };
        assert!(finding["subject"].as_str().is_some_and(|t| t.starts_with("move of bot@1.0.0 by entry ")), "{finding}");
        let problem = finding["problem"].as_str().expect("a problem");
        assert!(problem.contains("actor is user-000000000000, recorded was user-"), "{problem}");
        assert!(problem.contains("ticket is OPS-9, recorded was INC-1"), "{problem}");
        assert!(finding["fix"].as_str().is_some_and(|f| f.contains("`kf audit show ") && f.contains("backup")), "{finding}");
        let table = ends(s, 3, ["fsck"]).stdout;
        assert!(table.contains("to restore: "), "{table}");
    });
}

/// Rows that were slipped in, taken out or exchanged.
#[test]
fn rows_without_event_and_events_without_row_are_found() {
    on_both_engines(|s| {
        story::tell(s);
        let store = story::open(s);
        let check = |sql: &str, undo: &str, subject: &str, problem: &str| {
            assert!(alter(s, &store, sql) > 0, "{sql}");
            let found = json(&ends(s, 3, ["fsck", "--format", "json"]));
            let says = |f: &serde_json::Value| {
                f["subject"].as_str().is_some_and(|t| t.contains(subject))
                    && f["problem"].as_str().is_some_and(|t| t.contains(problem))
            };
            assert!(found["findings"].as_array().expect("findings").iter().any(says), "{sql}: {found:#}");
            assert!(alter(s, &store, undo) > 0, "{undo}");
        };
        check(
            "INSERT INTO version_note (version, kind, key, value) SELECT id, 'tag', 'approved', '' FROM version WHERE patch = 2",
            "DELETE FROM version_note WHERE key = 'approved'",
            "tag approved of bot@1.0.2",
            "no event of the audit log tells of this row",
        );
        check(
            "DELETE FROM version_note WHERE key = 'praised'",
            "INSERT INTO version_note (version, kind, key, value) SELECT version, 'tag', 'praised', '' FROM alias",
            "tag praised of bot@1.0.0",
            "its row is gone",
        );
        check(
            "INSERT INTO meta (key, value) VALUES ('moved-to', 'elsewhere')",
            "DELETE FROM meta WHERE key = 'moved-to'",
            "meta moved-to",
            "no event",
        );
        check(
            "UPDATE meta SET key = 'write' WHERE key = 'writer'",
            "UPDATE meta SET key = 'writer' WHERE key = 'write'",
            "meta write",
            "no event",
        );
        check(
            "UPDATE meta SET value = 'x' || value WHERE key = 'state-id'",
            "UPDATE meta SET value = substr(value, 2) WHERE key = 'state-id'",
            "audit log entry 0",
            "the state-id in meta",
        );
        ok(s, ["fsck"]);
    });
}

/// What is done to the bytes of a file.
type Damage<'a> = &'a dyn Fn(&mut Vec<u8>);

/// A file that is no database any more: the answer is how to get it back, not to run the command that just ran.
#[test]
fn a_damaged_file_is_answered_with_how_to_restore_it() {
    let s = Sandbox::new();
    with_bot(&s);
    let file = s.work().join(".kf/state.db");
    let sound = std::fs::read(&file).expect("a state");
    let damages: [(&str, Damage<'_>); 4] = [
        ("no header", &|b| b[..100].fill(0x55)),
        ("cut short", &|b| b.truncate(b.len() / 2)),
        ("no pages", &|b| b[100..].fill(0)),
        ("noise within", &|b| {
            let from = b.len() / 3;
            b[from..2 * from].iter_mut().enumerate().for_each(|(i, byte)| *byte = (i * 7 % 251) as u8);
        }),
    ];
    for (what, damage) in damages {
        let mut bytes = sound.clone();
        damage(&mut bytes);
        std::fs::write(&file, bytes).expect("damaged");
        for beside in ["state.db-wal", "state.db-shm"] {
            let _ = std::fs::remove_file(s.work().join(".kf").join(beside));
        }
        let run = ends(&s, 3, ["fsck"]);
        let said = run.to_string();
        assert!(said.contains("to restore: stop what writes, put a backup in the place of `.kf/state.db`"), "{what}: {run}");
        assert!(!said.contains("run `kf fsck`"), "{what}: {run}");
    }
    std::fs::write(&file, sound).expect("restored");
    ok(&s, ["fsck"]);
}
