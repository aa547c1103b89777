//! What `kf drift` reads: queries, packed files, arrays, the data of a reference, and files that are broken in every way of the list.

use crate::repo::{ends, events, json, ok, with_bot};
use crate::story::rows;
use crate::support::sandbox::{Run, Sandbox, on_both_engines};
use crate::support::{pg, project, skip};
use serde_json::Value;
use std::io::Write as _;

/// Runs kf, which must end with `code` and say `words`.
#[track_caller]
fn says<const N: usize>(s: &Sandbox, code: i32, args: [&str; N], words: &str) -> Run {
    let run = ends(s, code, args);
    assert!(run.to_string().contains(words), "kf {args:?}: {words}\n{run}");
    run
}

/// The same table in four forms gives the same profile and the same verdict.
#[test]
fn packed_files_and_arrays_are_the_same_table() {
    let s = &Sandbox::new();
    with_bot(s);
    let plain = rows(0, "region");
    s.write("a.csv", &plain);
    s.write("a.csv.gz", gzip(plain.as_bytes()));
    let objects: Vec<String> = plain.lines().skip(1).map(object).collect();
    s.write("a.jsonl.gz", gzip(objects.join("\n").as_bytes()));
    s.write("a.json", format!("\n[{}]\n", objects.join(",\n ")));
    let mut profiles = Vec::new();
    for (file, format) in [
        ("a.csv", "CSV, UTF-8, separated by ,"),
        ("a.csv.gz", "CSV, UTF-8, separated by ,, gzip"),
        ("a.jsonl.gz", "JSON lines, UTF-8, gzip"),
        ("a.json", "JSON, UTF-8"),
    ] {
        let kept = json(&ok(s, ["drift", "baseline", "bot", "--data", file, "--name", "n", "--format", "json"]));
        profiles.push(kept["profile"].clone());
        let check = json(&ok(s, ["drift", "check", "n", "--data", file, "--format", "json"]))["checks"][0].clone();
        assert_eq!((&check["data"][0]["format"], &check["verdict"]), (&format.into(), &"ok".into()), "{check}");
        let bytes = std::fs::metadata(s.work().join(file)).expect("the file").len();
        assert_eq!(check["data"][0]["bytes"], bytes, "the digest is of the file as it is");
    }
    assert!(profiles.iter().all(|profile| *profile == profiles[0]), "{profiles:?}");
    let whole = std::fs::read(s.work().join("a.csv.gz")).expect("the file");
    s.write("cut.csv.gz", &whole[..whole.len() / 2]);
    s.write("cut.json", &s.read("a.json")[..900]);
    s.write("twice.gz", gzip(&whole));
    says(s, 1, ["drift", "check", "n", "--data", "cut.csv.gz"], "cut short or broken");
    says(s, 1, ["drift", "check", "n", "--data", "cut.json"], "the array has no end");
    says(s, 1, ["drift", "check", "n", "--data", "twice.gz"], "gzip within gzip");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).expect("memory");
    packed.finish().expect("memory")
}

/// A row of [`rows`] as an object of JSON.
fn object(row: &str) -> String {
    let cells: Vec<&str> = row.split(',').collect();
    format!("{{\"id\": {}, \"amount\": {}, \"region\": \"{}\"}}", cells[0], cells[1], cells[2])
}

/// Fills a table `orders` with the rows of [`rows`], by statements that both engines take.
fn orders(by: u32) -> String {
    let values: Vec<String> = rows(by, "region")
        .lines()
        .skip(1)
        .map(|row| {
            let cells: Vec<&str> = row.split(',').collect();
            format!("({}, {}, '{}', '2026-11-21 08:00:00')", cells[0], cells[1], cells[2])
        })
        .collect();
    format!(
        "CREATE TABLE orders (id bigint PRIMARY KEY, amount double precision, region text, at timestamp); \
         INSERT INTO orders VALUES {};",
        values.join(",")
    )
}

/// A query on SQLite is a table: it gives what the same file gives, again the same digest, and nothing is written there.
#[test]
fn rows_of_a_query_are_data() {
    on_both_engines(|s| {
        with_bot(s);
        let place = s.work().join("shop.db");
        let shop = rusqlite::Connection::open(&place).expect("a database");
        shop.execute_batch(&orders(0)).expect("rows");
        s.write("moved.csv", rows(60, "region"));
        let query = "SELECT amount, region FROM orders ORDER BY id -- all";
        let kept = ok(s, ["drift", "baseline", "bot", "--sql", query, "--source", "sqlite:shop.db"]);
        assert!(kept.stdout.contains("amount  numbers") && kept.stdout.contains("1,000 rows, 2 columns"), "{kept}");
        s.write(
            "mlops.toml",
            format!("{}[drift.bot]\nexclude = [\"id\"]\nsource = \"sqlite:shop.db\"\nsql = \"{query}\"\n", s.read("mlops.toml")),
        );
        let same = ok(s, ["drift", "check"]);
        assert!(same.stdout.contains("the very bytes that the baseline was taken of"), "{same}");
        ends(s, 3, ["drift", "check", "bot", "--data", "moved.csv"]);
        let half = "SELECT amount, region FROM orders WHERE id < 500 ORDER BY id";
        ok(s, ["drift", "check", "bot", "--sql", half]);
        assert!(ok(s, ["drift", "replay", "bot", "--sql", half]).stdout.contains("the same again"));
        shop.execute("UPDATE orders SET amount = 7 WHERE id = 3", []).expect("a row");
        assert!(ends(s, 3, ["drift", "replay", "bot", "--sql", half]).stdout.contains("the data are others"));
        ok(s, ["fsck"]);
        ok(s, ["audit", "verify"]);
        let before = (events(s), std::fs::read(&place).expect("the file"));
        for (query, words) in [
            ("SELECT amount FROM ordres", "no such table: ordres"),
            ("SELEKT 1", "syntax error"),
            ("DELETE FROM orders", "the query writes"),
            ("DELETE FROM orders RETURNING id", "the query writes"),
            ("SELECT 1; DROP TABLE orders", "Multiple statements"),
            ("SELECT ?1", "parameter"),
            ("", "the query writes, or gives no rows"),
        ] {
            says(s, 1, ["drift", "check", "bot", "--sql", query], words);
        }
        says(s, 1, ["drift", "check", "bot", "--sql", query, "--source", "sqlite:gone.db"], "there is no file");
        says(s, 1, ["drift", "check", "bot", "--sql", query, "--source", "sqlite:moved.csv"], "file is not a database");
        says(s, 2, ["drift", "check", "bot", "--sql", query, "--source", "shop.db"], "`--source` cannot be used");
        let secret = says(s, 2, ["drift", "check", "bot", "--sql", query, "--source", "postgres://me:hunter2@h/d"], "`env:NAME`");
        assert!(!secret.to_string().contains("hunter2"), "{secret}");
        says(s, 1, ["drift", "check", "bot", "--sql", query, "--source", "env:WAREHOUSE"], "`env:WAREHOUSE` is not set");
        says(s, 2, ["drift", "check", "nobody", "--sql", query], "no database is named that `nobody` could ask");
        assert_eq!((events(s), std::fs::read(&place).expect("the file")), before);
    });
}

/// Types of SQLite are what the cells are: a column may hold several.
#[test]
fn cells_of_sqlite_are_read_as_they_are() {
    let s = &Sandbox::new();
    with_bot(s);
    let shop = rusqlite::Connection::open(s.work().join("shop.db")).expect("a database");
    shop.execute_batch("CREATE TABLE t (n, w, at, v, b, m); PRAGMA journal_mode = WAL;").expect("a table");
    for i in 0..200 {
        let row = "INSERT INTO t VALUES (?1, ?2, ?3, ?4, ?5, CASE WHEN ?1 % 2 THEN ?1 % 4 ELSE 'word' END)";
        let values = rusqlite::params![
            (i % 10 > 0).then_some(i),
            (i % 7).to_string(),
            format!("2026-11-{:02}", i % 28 + 1),
            format!("[{}, 1.5]", i % 3),
            [1_u8, 255]
        ];
        shop.execute(row, values).expect("a row");
    }
    let kept = ok(s, ["drift", "baseline", "bot", "--sql", "SELECT *, n AS n FROM t", "--source", "sqlite:shop.db"]).stdout;
    for line in [
        "n       numbers",
        "w       levels",
        "at      not at all: times",
        "v       vectors",
        "b       levels",
        "m       levels",
        "n.1     numbers",
    ] {
        assert!(kept.contains(line), "{line}\n{kept}");
    }
    let check = ["drift", "check", "bot", "--sql", "SELECT *, n AS n FROM t", "--source", "sqlite:shop.db", "--format", "json"];
    let found = json(&ends(s, 4, check));
    assert_eq!(found["checks"][0]["judgement"]["columns"][0]["nulls"]["current"], 20, "{found}");
}

/// Types of PostgreSQL, all of one moment, by an address that is a secret; nothing is written there.
#[test]
fn rows_of_a_query_on_postgresql_are_data() {
    let server = match pg::shared_with_vectors() {
        Ok(server) => server,
        Err(why) => return skip(why),
    };
    let s = &mut Sandbox::new();
    with_bot(s);
    let database = server.database();
    server
        .query(
            &database,
            "CREATE EXTENSION vector; CREATE DOMAIN money2 AS numeric(12, 2); CREATE TYPE mood AS ENUM ('ok', 'sad'); \
             CREATE TABLE t AS SELECT i, (i / 7.0)::money2 AS n, CASE i WHEN 5 THEN 'NaN'::float8 WHEN 6 THEN '-Infinity'::float8 ELSE i END AS f, \
             i % 3 = 0 AS yes, E'a\\tb\\n' || i % 5 || '\\' AS w, (i % 4)::text AS digits, \
             now() AS at, '2026-11-21'::date + i AS day, ARRAY[i, 1.5]::float8[] AS list, ('[' || i || ',2]')::vector AS v, \
             (CASE i % 2 WHEN 0 THEN 'ok' ELSE 'sad' END)::mood AS mood, NULLIF(i, 9) AS hole, '{\"a\": 1}'::jsonb AS j \
             FROM generate_series(0, 399) AS i; \
             CREATE ROLE reader LOGIN; CREATE TABLE secret (x int)",
        )
        .expect("rows");
    s.set("WAREHOUSE", &server.url(&database, server.port()));
    s.write(
        "mlops.toml",
        format!("{}[drift.bot]\nsource = \"env:WAREHOUSE\"\nsql = \"SELECT * FROM t ORDER BY i;\"\n", s.read("mlops.toml")),
    );
    let kept = ok(s, ["drift", "baseline", "bot", "--sql", "SELECT * FROM t ORDER BY i;"]).stdout;
    for line in [
        "n       numbers",
        "f       numbers",
        "yes     levels",
        "w       levels",
        "digits  levels",
        "at      not at all: times",
        "day     not at all: times",
        "list    vectors",
        "v       vectors",
        "mood    levels",
        "hole    numbers",
        "j       levels",
        "400 rows",
    ] {
        assert!(kept.contains(line), "{line}\n{kept}");
    }
    let check = json(&ends(s, 4, ["drift", "check", "--format", "json"]))["checks"][0].clone();
    let column = |name: &str| {
        let columns = check["judgement"]["columns"].as_array().expect("columns");
        columns.iter().find(|c| c["name"] == name).unwrap_or_else(|| panic!("{name}: {check}")).clone()
    };
    assert_eq!((&column("f")["not_finite"]["current"], &column("hole")["nulls"]["current"]), (&2.into(), &1.into()));
    assert!(column("w")["cells"].to_string().contains("a\\\\tb"), "{}", column("w")["cells"]);
    assert_eq!(check["data"][0]["format"], "rows of a query, PostgreSQL");
    let before = events(s);
    for (query, words) in [
        ("SELECT * FROM tt", "relation \"tt\" does not exist"),
        ("SELECT * FORM t", "syntax error"),
        ("DELETE FROM t RETURNING i", "read-only transaction"),
        ("SELECT 1; DROP TABLE t", "cannot insert multiple commands"),
        ("SELECT 1) TO PROGRAM 'id' --", "syntax error"),
        ("SELECT set_config('transaction_read_only', 'off', true)", "read-write mode"),
        ("DROP TABLE t", "gives no rows"),
        ("SELECT 1 / (i - 9) FROM t", "division by zero"),
        ("SELECT $1::int", "no parameter $1"),
        ("", "gives no rows"),
    ] {
        says(s, 1, ["drift", "check", "bot", "--sql", query], words);
    }
    let reader = format!("postgres://reader@127.0.0.1:{}/{database}?sslmode=disable", server.port());
    says(s, 1, ["drift", "check", "bot", "--sql", "SELECT * FROM secret", "--source", &reader], "grant SELECT on it");
    s.set("WAREHOUSE", "postgres://me:hunter2@127.0.0.1:1/none");
    let lost = says(s, 1, ["drift", "check"], "cannot connect");
    s.set("WAREHOUSE", "hunter2");
    let wrong = says(s, 1, ["drift", "check"], "`env:WAREHOUSE` is no address of a database");
    assert!(!lost.to_string().contains("hunter2") && !wrong.to_string().contains("hunter2"), "{lost}{wrong}");
    assert_eq!(events(s), before);
    assert_eq!(server.query(&database, "SELECT count(*) FROM t").as_deref(), Ok("400"));
}

/// Slips in `mlops.toml` are told where they stand, and a password in it is not shown.
#[test]
fn a_query_in_the_configuration_needs_a_database_and_no_files() {
    let s = &Sandbox::new();
    with_bot(s);
    let before = s.read("mlops.toml");
    for (table, words) in [
        ("sql = \"SELECT 1\"", "but there is no `source` to ask"),
        ("sql = \" \"\nsource = \"sqlite:a.db\"", "`drift.bot.sql` is empty"),
        ("sql = \"SELECT 1\"\nsource = \"sqlite:a.db\"\ndata = [\"a.csv\"]", "has both `data` and `sql`"),
        ("source = \"a.db\"", "`drift.bot.source` is no database"),
        ("source = \"postgres://me:hunter2@db/shop\"", "`drift.bot.source` holds a secret"),
    ] {
        s.write("mlops.toml", format!("{before}[drift.bot]\n{table}\n"));
        let run = says(s, 2, ["drift", "check"], words);
        assert!(!run.to_string().contains("hunter2"), "{run}");
    }
}

/// More distinct values than a profile keeps.
fn many(n: u32, by: f64) -> String {
    let value = |i: u32| (f64::from(i) * 0.618_033_988_749).fract() * 40.0 + by;
    "amount\n".to_owned() + &(0..n).map(|i| format!("{}\n", value(i))).collect::<String>()
}

/// With the data of the reference order statistics are exact, and lie within what a profile says of them.
#[test]
fn order_statistics_are_exact_with_the_data_of_the_reference() {
    let s = &Sandbox::new();
    with_bot(s);
    s.write("a.csv", many(20_000, 0.0));
    s.write("b.csv", many(3_000, 0.9));
    s.write("c.csv", many(3_000, 0.0));
    ok(s, ["drift", "baseline", "bot", "--data", "a.csv"]);
    let read = |run: &Run| {
        let check = json(run)["checks"][0].clone();
        let column = check["judgement"]["columns"][0].clone();
        let number = |value: &Value| value.as_f64().expect("a number");
        let ks = [0, 1].map(|end| number(&column["shape"]["p_range"][end]));
        (check["whole"] == true, number(&column["effect"]["value"]), column["effect_error"].as_f64(), ks, number(&column["psi"]))
    };
    let (whole, bounded, error, range, psi) = read(&ok(s, ["drift", "check", "bot", "--data", "b.csv", "--format", "json"]));
    let error = error.expect("a profile says how far it may be off");
    assert!(!whole && range[0] < range[1], "{range:?}");
    let check = ["drift", "check", "bot", "--data", "b.csv", "--reference", "a.csv", "--format", "json"];
    let (whole, exact, none, point, same) = read(&ok(s, check));
    assert!(whole && none.is_none() && point[0] == point[1], "{point:?}");
    assert!((exact - bounded).abs() <= error && range[0] <= point[0] && point[0] <= range[1], "{exact} {bounded} ± {error}");
    assert_eq!(psi, same, "the index is exact either way");
    says(s, 2, ["drift", "replay", "bot", "--data", "b.csv"], "`--reference FILE`");
    says(s, 0, ["drift", "replay", "bot", "--data", "b.csv", "--reference", "a.csv"], "the same again");
    let before = events(s);
    says(
        s,
        1,
        ["drift", "check", "bot", "--data", "b.csv", "--reference", "c.csv"],
        "the baseline `bot` of bot@1.0.0 was taken of",
    );
    assert_eq!(events(s), before);
}

/// The row of a table that `tests/fixtures/drift/make_compat.py` makes by the same rules.
fn compat_row(i: u32, s: u32) -> String {
    let over = |value: u32, by: u32| format!("{:?}", f64::from(value) / f64::from(by));
    let word = |at: u32| ["a", "b", "c", "d", "e"][at as usize];
    let hole = |when: bool, value: String| if when { String::new() } else { value };
    let ends = if i % 50 == 7 { "inf".to_owned() } else { over(i * 11 % (71 + 2 * s), 4) };
    [
        over((i * 37 + 11 * s) % 101 + s, 4),
        over((i * i * 7 + s * 13) % 997 * (i % 7 + 1), 8),
        (i * 31 % (57 + s)).to_string(),
        (i * 17 % (7 - s % 2)).to_string(),
        over(i * 3 % (4 + s % 2), 4),
        word((i * i + i / 3 * s) % 11 % 5).to_owned(),
        if i * 13 % (5 + s % 2) < 2 { "yes" } else { "no" }.to_owned(),
        hole(i % 9 == 4, over(i * 29 % (83 - s), 2)),
        hole(i % 61 == 3, ends),
        if i * 7 % (5 + s % 4) < 2 { "True" } else { "False" }.to_owned(),
        over((i * 41) % 97, 2),
    ]
    .join(",")
        + "\n"
}

fn compat_table(n: u64, s: u32) -> String {
    let rows = u32::try_from(n).expect("few");
    "amount,heavy,count,few,ratio,word,answer,holes,ends,flag,same\n".to_owned()
        + &(0..rows).map(|i| compat_row(i, s)).collect::<String>()
}

/// Evidently 0.7.23's own report on these tables (`tests/fixtures/drift/compat.json`), to 1e-9.
#[test]
fn evidently_s_values_are_its_own() {
    let s = &Sandbox::new();
    with_bot(s);
    let text = std::fs::read_to_string(project().join("tests/fixtures/drift/compat.json")).expect("the fixture");
    let tables: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    for table in &tables {
        let size = |key: &str| table[key].as_u64().expect("a number");
        s.write("ref.csv", compat_table(size("n"), 0));
        s.write("new.csv", compat_table(size("m"), u32::try_from(size("s")).expect("small")));
        let args =
            ["drift", "check", "bot", "--data", "new.csv", "--reference", "ref.csv", "--compat", "evidently", "--format", "json"];
        let wanted = table["columns"].as_array().expect("columns");
        let drifted = size("drifted");
        let found = json(&ends(s, if 2 * drifted >= wanted.len() as u64 { 3 } else { 0 }, args));
        assert_eq!((&found["drifted"], &found["scored"]), (&table["drifted"], &wanted.len().into()), "{found}");
        let got = found["columns"].as_array().expect("columns");
        for (got, want) in got.iter().zip(wanted) {
            for key in ["column", "taken_as", "method"] {
                assert_eq!(got[key], want[key], "{got} {want}");
            }
            let (got, want) = (got["score"].as_f64().expect("a score"), want["score"].as_f64().expect("a score"));
            assert!((got - want).abs() <= 1e-9 * want.abs(), "{want}: {got}\n{table}");
        }
    }
    assert_eq!(tables.len(), 4);
}

/// It needs the data of both sides, records nothing, and says what it does not score.
#[test]
fn evidently_s_values_need_the_reference_and_are_not_recorded() {
    let s = &Sandbox::new();
    with_bot(s);
    s.write("a.csv", rows(0, "region"));
    s.write(
        "b.jsonl",
        "{\"amount\": 1.5, \"region\": \"north\", \"at\": \"2026-11-21\", \"v\": [1, 2], \"only\": 1}\n".repeat(40),
    );
    ok(s, ["drift", "baseline", "bot", "--data", "a.csv"]);
    let before = events(s);
    says(s, 2, ["drift", "check", "bot", "--data", "a.csv", "--compat", "evidently"], "cannot be had from a profile");
    says(s, 2, ["drift", "check", "--data", "a.csv", "--reference", "a.csv", "--compat", "evidently"], "compares one thing");
    says(s, 2, ["drift", "check", "bot", "--data", "a.csv", "--compat", "evidentlie"], "evidently");
    let found = says(
        s,
        3,
        ["drift", "check", "bot", "--data", "b.jsonl", "--reference", "a.csv", "--compat", "evidently"],
        "nothing is recorded",
    );
    for words in ["not scored: it is not in both", "2 of 2 scored columns drifted"] {
        assert!(found.stdout.contains(words), "{words}\n{found}");
    }
    s.write("vectors.jsonl", "{\"amount\": [1, 2], \"region\": [1, 2]}\n".repeat(40));
    let vectors = ["drift", "check", "bot", "--data", "a.csv", "--reference", "vectors.jsonl", "--compat", "evidently"];
    assert!(says(s, 4, vectors, "the reference has no levels there").stdout.contains("the reference has no numbers there"));
    let other = ["drift", "check", "bot", "--data", "a.csv", "--reference", "b.jsonl", "--compat", "evidently"];
    says(s, 3, other, "the reference is not the data that the baseline of bot@1.0.0 was taken of");
    assert_eq!(events(s), before);
}

/// Numbers of rows and times as numbers are always others: they are told apart from what can drift, unless somebody asks for them.
#[test]
fn numbers_that_only_rise_are_not_compared() {
    let s = &Sandbox::new();
    with_bot(s);
    let rows = |from: usize| {
        let row = |i: usize| format!("{i},{},{},{}\n", 1_700_000_000 + i * 7, i * i % 101, i * 31 % 400);
        "id,at,amount,price\n".to_owned() + &(from..from + 1000).map(row).collect::<String>()
    };
    s.write("a.csv", rows(0));
    s.write("b.csv", rows(4000));
    let taken = ok(s, ["drift", "baseline", "bot@1.0.0", "--data", "a.csv"]).stdout;
    assert_eq!(taken.matches("go one way").count(), 2, "{taken}");
    let check = json(&ok(s, ["drift", "check", "bot", "--data", "b.csv", "--format", "json"]));
    let names: Vec<&str> = check["checks"][0]["judgement"]["columns"]
        .as_array()
        .expect("columns")
        .iter()
        .map(|column| column["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(names, ["amount", "price"]);
    s.write("mlops.toml", s.read("mlops.toml") + "[drift.bot]\nkinds = { at = \"number\" }\n");
    ok(s, ["drift", "baseline", "bot@1.0.0", "--data", "a.csv"]);
    ends(s, 3, ["drift", "check", "bot", "--data", "b.csv"]);
    s.write("one.csv", (1..1000).fold("x\n".to_owned(), |all, i| format!("{all}{i}\n")));
    let alone = ok(s, ["drift", "baseline", "bot@1.0.0", "--name", "one", "--data", "one.csv"]).stdout;
    assert!(!alone.contains("go one way"), "{alone}");
}
