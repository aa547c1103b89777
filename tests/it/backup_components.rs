//! Components of a backup that are real servers here: each is kept, counted, restored by a drill, and loaded into another place.

use crate::repo::{ends, json, next_bot, ok, with_bot};
use crate::schemas::{complaints, validator};
use crate::support::proxy::{Fault, Proxy};
use crate::support::sandbox::{Run, Sandbox};
use crate::support::{pg, redis, skip};
use serde_json::Value;
use std::path::Path;

/// A repository that backs up to a folder beside it; `config` are its components and plans.
pub(crate) fn prepare(s: &Sandbox, config: &str) {
    with_bot(s);
    let made = json(&ok(s, ["backup", "keygen", "-o", "backup.key", "--format", "json"]));
    let recipient = made["recipient"].as_str().expect("a public key").to_owned();
    let place = s.root().join("place");
    let text = format!(
        "{}\n[backup]\nrecipients = [\"{recipient}\"]\nidentity = \"file:backup.key\"\n[backup.place]\nurl = \"file://{}\"\n{config}",
        s.read("mlops.toml"),
        place.display()
    );
    s.write("mlops.toml", text);
}

/// The same with a key for the audit log, and an entry that it signed.
pub(crate) fn prepare_signed(s: &Sandbox, config: &str) {
    prepare(s, &format!("{config}[signing]\nlog-key = \"file:log.key\"\n"));
    ok(s, ["audit", "key", "--generate", "--out", "log.key"]);
    next_bot(s, 6);
}

/// Makes a set; what its manifest says of a component.
#[track_caller]
pub(crate) fn kept(s: &Sandbox, component: &str) -> Value {
    ok(s, ["backup", "run"]);
    let shown = json(&ok(s, ["backup", "show", "latest", "--format", "json"]));
    let parts = shown["manifest"]["components"].as_array().expect("parts").clone();
    parts.into_iter().find(|part| part["name"] == component).expect("the component is in the set")
}

/// What a drill found of a component.
#[track_caller]
pub(crate) fn drilled(s: &Sandbox, component: &str) -> String {
    let doc = json(&ok(s, ["backup", "drill", "--format", "json"]));
    let step = doc["steps"].as_array().expect("steps").iter().find(|step| step["what"] == component).expect("a step").clone();
    step["found"].as_str().expect("a text").to_owned()
}

/// Loads a component of the newest set into a place.
pub(crate) fn load(s: &Sandbox, component: &str, into: &str, more: &[&str]) -> Run {
    let args = ["backup", "restore", "latest", "--component", component, "--into", into];
    s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(args).args(more))
}

/// The set that was made of what a load replaced.
#[track_caller]
fn safety(run: &Run) -> String {
    json(run)["safety"].as_str().expect("a set").to_owned()
}

fn sets(s: &Sandbox) -> usize {
    json(&ok(s, ["backup", "list", "--format", "json"]))["sets"].as_array().expect("sets").len()
}

const ROWS: &str = "CREATE ROLE writer NOLOGIN; CREATE SCHEMA \"odd one\"; \
    CREATE TABLE \"odd one\".t (id int PRIMARY KEY, words text, raw bytea); \
    INSERT INTO \"odd one\".t SELECT n, E'a\\nb\\\\' || n, decode(md5(n::text), 'hex') FROM generate_series(1, 1000) n; \
    CREATE TABLE empty (x int); CREATE TABLE parted (at date, n int) PARTITION BY RANGE (at); \
    CREATE TABLE parted_2026 PARTITION OF parted FOR VALUES FROM ('2026-01-01') TO ('2027-01-01'); \
    INSERT INTO parted VALUES ('2026-05-01', 1), ('2026-06-01', 2); \
    CREATE VIEW seen AS SELECT id FROM \"odd one\".t; ALTER TABLE empty OWNER TO writer; SELECT lo_from_bytea(0, 'large')";
const SUM: &str = "SELECT md5(string_agg(id || words || raw::text, ',' ORDER BY id)), (SELECT count(*) FROM seen), \
    (SELECT sum(n) FROM parted), (SELECT count(*) FROM pg_largeobject) FROM \"odd one\".t";

#[test]
fn a_database_is_proven_by_a_server_and_loaded_into_another() {
    let server = match pg::Server::start() {
        Ok(server) => server,
        Err(why) => return skip(&why),
    };
    let s = Sandbox::new();
    let (from, to) = (server.database(), server.database());
    server.query(&from, ROWS).expect("rows");
    let url = |name: &str| server.url(name, server.port());
    prepare(&s, &format!("[backup.components.answers]\nkind = \"postgres\"\nurl = \"{}\"\n", url(&from)));
    let part = kept(&s, "answers");
    let counts = &part["counts"];
    assert_eq!((&counts["rows of \"odd one\".t"], &counts["rows of public.parted_2026"]), (&1000.into(), &2.into()), "{counts}");
    let found = drilled(&s, "answers");
    assert!(found.contains("1000 rows of \"odd one\".t") && found.contains("(restored into PostgreSQL "), "{found}");
    assert!(found.contains("2 roles"), "{found}");

    let run = load(&s, "answers", &url(&to), &[]);
    assert!(run.code == Some(0) && run.stdout.contains("was loaded, as many as were kept"), "{run}");
    assert_eq!(server.query(&to, SUM), server.query(&from, SUM));
    let owner = "SELECT tableowner FROM pg_tables WHERE tablename = 'empty'";
    assert_eq!(server.query(&to, owner).as_deref(), Ok("writer"));

    // What is there stays, unless it may go; then it is kept first.
    server.query(&to, "DELETE FROM \"odd one\".t WHERE id > 1; CREATE TABLE precious AS SELECT 7 AS x").expect("changed");
    let before = sets(&s);
    let refused = load(&s, "answers", &url(&to), &[]);
    assert!(refused.code == Some(1) && refused.stderr.contains("nothing is loaded over it"), "{refused}");
    assert_eq!((sets(&s), server.query(&to, "SELECT x FROM precious").as_deref()), (before, Ok("7")));
    let dry = load(&s, "answers", &url(&to), &["--force", "--dry-run"]);
    assert!(dry.code == Some(0) && dry.stdout.contains("would be loaded"), "{dry}");
    assert_eq!((sets(&s), server.query(&to, "SELECT x FROM precious").as_deref()), (before, Ok("7")));
    let forced = load(&s, "answers", &url(&to), &["--force", "--format", "json"]);
    assert_eq!((forced.code, server.query(&to, SUM)), (Some(0), server.query(&from, SUM)), "{forced}");
    assert!(server.query(&to, "SELECT x FROM precious").is_err(), "it is the dump, and nothing else");
    let validator = validator().expect("jsonschema");
    assert_eq!(complaints(&validator, "backup-load", &[json(&forced)]), "");
    let (back, set) = (server.database(), safety(&forced));
    let args = ["backup", "restore", &set, "--component", "answers", "--into", &url(&back)];
    ok(&s, args);
    assert_eq!(server.query(&back, "SELECT x FROM precious").as_deref(), Ok("7"));
    assert_eq!(json(&ok(&s, ["backup", "show", "latest", "--format", "json"]))["manifest"]["plan"], "daily");
    let log = ok(&s, ["audit", "log", "--action", "backup.loaded", "--format", "json"]);
    assert!(log.stdout.contains(&set), "{log}");

    // A role that the server does not have: nothing of the dump is there afterwards.
    let other = pg::Server::start().expect("another server");
    let place = other.url(&other.database(), other.port());
    let no_role = load(&s, "answers", &place, &[]);
    assert!(no_role.code == Some(1) && no_role.stderr.contains("make the roles first"), "{no_role}");
    let name = place.rsplit('/').next().and_then(|end| end.split('?').next()).expect("a name");
    assert_eq!(other.query(name, "SELECT count(*) FROM pg_tables WHERE schemaname = 'odd one'").as_deref(), Ok("0"));
    let secret = load(&s, "answers", "postgres://kf:hunter22@127.0.0.1/x", &[]);
    assert!(
        secret.code == Some(2) && secret.stderr.contains("--secret env:NAME") && !secret.stderr.contains("hunter22"),
        "{secret}"
    );
}

#[test]
fn a_database_that_dies_while_it_is_read_leaves_no_set() {
    let mut server = match pg::Server::start() {
        Ok(server) => server,
        Err(why) => return skip(&why),
    };
    let s = Sandbox::new();
    let name = server.database();
    server.query(&name, "CREATE TABLE t AS SELECT n, repeat('x', 1000) AS x FROM generate_series(1, 20000) n").expect("rows");
    let proxy = Proxy::to(server.port());
    let url = server.url(&name, proxy.port());
    prepare(&s, &format!("[backup.components.answers]\nkind = \"postgres\"\nurl = \"{url}\"\n"));

    // Its connection breaks in the middle of the rows.
    proxy.arm("COPY public.t", Fault::CutReply(300_000));
    let cut = ends(&s, 1, ["backup", "run"]);
    assert!(proxy.fired() == 1 && cut.stderr.contains("cannot back up answers"), "{cut}");
    assert!(cut.stderr.contains("pg_dump"), "{cut}");
    // An administrator ends its backend while it waits for a table.
    let hold = "BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(3); \
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'kf backup'";
    let ended = std::thread::scope(|scope| {
        let held = scope.spawn(|| server.query(&name, hold));
        std::thread::sleep(std::time::Duration::from_secs(1));
        let run = s.kf(["backup", "run"]);
        held.join().expect("a thread").expect("ended it");
        run
    });
    assert!(ended.code == Some(1) && ended.stderr.contains("terminating connection"), "{ended}");
    // The server is gone.
    server.kill().expect("killed");
    let gone = ends(&s, 1, ["backup", "run"]);
    assert!(gone.stderr.contains("cannot back up answers"), "{gone}");
    assert_eq!(sets(&s), 0);
    let left = crate::backup::files(&s.work().join(".kf/cache/backup"));
    assert!(left.iter().all(|path| path.ends_with("lock")), "nothing of what was read is left on this machine; {left:?}");
    server.start_again().expect("started");
    assert_eq!(kept(&s, "answers")["counts"]["rows of public.t"], 20_000);
}

/// Values of every type, in three databases, some of which expire.
const KEYS: &str = "SET plain value\nSET soon 1 PXAT 4102444800123\nRPUSH list a b c\nSADD set x y\nZADD sorted 1.5 a 2 b\n\
    HSET hash one 1 two 2\nXADD stream 1-1 field value\nSETBIT bits 70 1\nPFADD loglog a b c\nGEOADD geo 13.4 52.5 berlin\n\
    SELECT 3\nSET there here\nSET gone 1 PX 1\nSELECT 15\nSET last one\n\
    FUNCTION LOAD \"#!lua name=lib\\nredis.register_function('f', function() return 1 end)\"";
const READ: &str = "GET plain\nPEXPIRETIME soon\nLRANGE list 0 -1\nSMISMEMBER set x y z\nZRANGE sorted 0 -1 WITHSCORES\nHGET hash one\n\
    HGET hash two\nXRANGE stream - +\nGETBIT bits 70\nPFCOUNT loglog\nGEOPOS geo berlin\nDBSIZE\nSELECT 3\nGET there\nSELECT 15\nGET last\nFUNCTION LIST";

#[test]
fn redis_comes_back_with_every_type_and_every_expiry() {
    let start = |password| redis::Server::start(password);
    let (from, mut to) = match (start("hunter22-redis"), start("")) {
        (Ok(from), Ok(to)) => (from, to),
        (Err(why), _) | (_, Err(why)) => return skip(&why),
    };
    let mut s = Sandbox::new();
    redis::link(&s).expect("a program");
    from.tell(KEYS);
    from.tell("ACL SETUSER keeper on >hunter22-keeper +sync");
    s.set("REDIS_PASSWORD", "hunter22-keeper");
    let proxy = Proxy::to(from.port());
    let config = format!(
        "[backup.components.cache]\nkind = \"redis\"\nurl = \"redis://keeper@127.0.0.1:{}\"\npassword = \"env:REDIS_PASSWORD\"\n",
        proxy.port()
    );
    prepare(&s, &config);
    // It stops while it sends.
    proxy.arm("SYNC", Fault::CutReply(60));
    let cut = ends(&s, 1, ["backup", "run"]);
    assert!(proxy.fired() == 1 && cut.stderr.contains("breaks off"), "{cut}");
    assert_eq!(sets(&s), 0);

    let part = kept(&s, "cache");
    let counts = &part["counts"];
    assert_eq!((&counts["keys of db0"], &counts["keys of db0 that expire"]), (&9.into(), &1.into()), "{counts}");
    assert_eq!((&counts["keys of db15"], &counts["libraries of functions"]), (&1.into(), &1.into()), "{counts}");
    assert!(drilled(&s, "cache").contains("(a server started from it)"));
    let place = format!("redis://127.0.0.1:{}", to.port());
    let run = load(&s, "cache", &place, &[]);
    assert_eq!(run.code, Some(0), "{run}");
    let same = |answer: String| answer.replacen("+OK\r\n", "", 1);
    assert_eq!(to.tell(READ), same(from.tell(READ)));

    to.tell("FLUSHALL\nSET precious 7");
    let refused = load(&s, "cache", &place, &[]);
    assert!(refused.code == Some(1) && refused.stderr.contains("nothing is loaded over it"), "{refused}");
    assert!(to.tell("GET precious").contains("$1\r\n7"));
    let forced = load(&s, "cache", &place, &["--force", "--format", "json"]);
    assert_eq!((forced.code, to.tell(READ)), (Some(0), same(from.tell(READ))), "{forced}");
    to.tell("FLUSHALL\nFUNCTION FLUSH");
    ok(&s, ["backup", "restore", &safety(&forced), "--component", "cache", "--into", &place]);
    assert!(to.tell("GET precious").contains("$1\r\n7"));

    // A key that the server refuses: what had arrived goes again, and nothing is half there.
    to.tell("FLUSHALL\nFUNCTION FLUSH\nCONFIG SET maxmemory 1");
    let full = load(&s, "cache", &place, &[]);
    assert!(full.code == Some(1) && full.stderr.contains("was taken out again"), "{full}");
    assert!(to.tell("DBSIZE").contains(":0"));
    to.kill();
    let gone = load(&s, "cache", &place, &[]);
    assert!(gone.code == Some(1) && gone.stderr.contains("no Redis server answers"), "{gone}");
    s.set("REDIS_PASSWORD", "wrong-password");
    let wrong = ends(&s, 1, ["backup", "run"]);
    assert!(
        wrong.stderr.contains("WRONGPASS") && wrong.stderr.contains("check `password`") && !wrong.stderr.contains("wrong-pass"),
        "{wrong}"
    );
    // A machine without the program still keeps the snapshot, and says that nobody counted it.
    s.set("REDIS_PASSWORD", "hunter22-keeper");
    std::fs::remove_file(s.root().join("bin/redis-server")).expect("removed");
    assert_eq!(kept(&s, "cache")["counts"], serde_json::json!({"files": 1}));
    assert!(drilled(&s, "cache").contains("is not on this machine"));
}

#[test]
fn folders_and_programs_are_loaded_whole_or_not_at_all() {
    let s = Sandbox::new();
    s.write("uploads/a/photo.bin", vec![7; 200_000]);
    s.write("uploads/note.txt", "hello");
    std::os::unix::fs::symlink("note.txt", s.work().join("uploads/link")).expect("a link");
    s.write("load.sh", "#!/bin/sh\ncat > words.txt\ngrep -q words words.txt\n");
    std::fs::set_permissions(s.work().join("load.sh"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("a mode");
    prepare(
        &s,
        "[backup.components.uploads]\nkind = \"directory\"\npath = \"uploads\"\n\
         [backup.components.words]\nkind = \"command\"\ncommand = [\"echo\", \"some words\"]\nrestore = [\"./load.sh\"]\n",
    );
    ok(&s, ["backup", "run"]);
    let into = |name: &str| s.root().join(name).display().to_string();
    let run = load(&s, "uploads", &into("files"), &[]);
    assert_eq!(run.code, Some(0), "{run}");
    let read = |path: &str| std::fs::read(s.root().join(path)).unwrap_or_default();
    assert_eq!((read("files/a/photo.bin"), read("files/link")), (vec![7; 200_000], b"hello".to_vec()));
    std::fs::write(s.root().join("files/precious"), "7").expect("written");
    let refused = load(&s, "uploads", &into("files"), &[]);
    assert!(refused.code == Some(1) && refused.stderr.contains("it has 4 files: nothing is loaded over it"), "{refused}");
    let forced = load(&s, "uploads", &into("files"), &["--force", "--format", "json"]);
    assert!(forced.code == Some(0) && read("files/precious").is_empty(), "{forced}");
    ok(&s, ["backup", "restore", &safety(&forced), "--component", "uploads", "--into", &into("again")]);
    assert_eq!(read("again/precious"), b"7");

    let run = load(&s, "words", &into("made"), &[]);
    assert_eq!((run.code, read("made/words.txt")), (Some(0), b"some words\n".to_vec()), "{run}");
    let forced = load(&s, "words", &into("made"), &["--force"]);
    assert!(forced.code == Some(1) && forced.stderr.contains("kf cannot keep what a program made there"), "{forced}");
    s.write("load.sh", "#!/bin/sh\ncat > half.txt\nexit 3\n");
    let half = load(&s, "words", &into("half"), &[]);
    assert!(half.code == Some(1) && half.stderr.contains("`load.sh` ended with exit status 3"), "{half}");
    let names: Vec<_> = std::fs::read_dir(s.root()).expect("read").flatten().map(|e| e.file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().starts_with("half")), "{names:?}");

    for (component, says) in [("state", "kf state move"), ("uploads2", "it has: ")] {
        let run = load(&s, component, &into("x"), &[]);
        assert!(run.code == Some(2) && run.stderr.contains(says), "{run}");
    }
    let none = ends(&s, 2, ["backup", "restore", "latest", "--into", "x"]);
    assert!(none.stderr.contains("--component"), "{none}");
    ends(&s, 2, ["backup", "restore", "latest"]);
}

#[test]
fn the_audit_log_is_kept_by_itself() {
    let s = Sandbox::new();
    prepare_signed(
        &s,
        "[backup.plans.audit]\nevery = \"hour\"\ncomponents = [\"audit\"]\nkeep-forever = true\n[backup.plans.daily]\nkeep-days = 30\n",
    );
    let made = json(&ok(&s, ["backup", "run", "--format", "json"]));
    let names = |set: usize| made["sets"][set]["components"].clone();
    assert!(names(0) == serde_json::json!(["audit"]) || names(1) == serde_json::json!(["audit"]), "{made}");
    assert!(
        !made["sets"]
            .as_array()
            .expect("sets")
            .iter()
            .any(|set| set["components"].as_array().is_some_and(|c| c.len() > 1 && c.contains(&"audit".into())))
    );
    let set = made["sets"].as_array().expect("sets").iter().find(|set| set["plan"] == "audit").expect("a set")["set"]
        .as_str()
        .expect("a name")
        .to_owned();
    let part = json(&ok(&s, ["backup", "show", &set, "--format", "json"]))["manifest"]["components"][0].clone();
    assert_eq!((&part["kind"], &part["counts"]["entries"]), (&"audit".into(), &part["log"]["size"]), "{part}");
    let drill = ok(&s, ["backup", "drill", &set]);
    assert!(drill.stdout.contains("whose root was computed again"), "{drill}");

    // What comes back is what others read, and what the log itself exports.
    let back = s.root().join("back");
    ok(&s, ["backup", "restore", &set, "--to", &back.display().to_string()]);
    let tiles = back.join("restored/audit");
    let checkpoint = tiles.join("checkpoint").display().to_string();
    ok(&s, ["audit", "verify", "--against", &checkpoint]);
    ok(&s, ["audit", "export", "tiles", "exported"]);
    let first =
        |dir: &Path| std::fs::read(dir.join("tile/entries/000.p").join(part["log"]["size"].to_string())).expect("entries");
    let exported =
        std::fs::read_dir(s.work().join("exported/tile/entries/000.p")).expect("read").next().expect("a file").expect("an entry");
    assert!(std::fs::read(exported.path()).expect("entries").starts_with(&first(&tiles)));
    // `latest` is the newest with the state, however often the log is kept.
    ok(&s, ["backup", "run", "--plan", "audit"]);
    assert_eq!(json(&ok(&s, ["backup", "show", "latest", "--format", "json"]))["manifest"]["plan"], "daily");
    assert!(ok(&s, ["backup", "run", "--plan", "audit", "--due"]).stdout.contains("nothing is due"));
    s.write("mlops.toml", format!("{}[backup.components.audit]\nkind = \"directory\"\npath = \"x\"\n", s.read("mlops.toml")));
    assert!(ends(&s, 2, ["backup", "list"]).stderr.contains("has a name that kf uses itself"));
}

#[test]
fn a_component_that_says_too_little_or_too_much_is_told() {
    let s = Sandbox::new();
    prepare(&s, "");
    let good = s.read("mlops.toml");
    for (table, says) in [
        ("kind = \"qdrant\"", "has no `url`"),
        ("kind = \"neo4j\"\nurl = \"bolt://db:7687\"", "must be a URL with `http://` or `https://` and a host"),
        (
            "kind = \"qdrant\"\nurl = \"http://db:6333\"\nnodes = [\"http://db:6333\", \"db1:6333\"]",
            "x.nodes` must be a URL with",
        ),
        ("kind = \"qdrant\"\nurl = \"http://db:6333\"\nnodes = [\"http://u:hunter22@db:6333\"]", "x.nodes` holds a secret"),
        ("kind = \"mongodb\"", "`mongodb` is not a kind of component"),
        ("kind = \"redis\"\nurl = \"redis://ada:hunter22@db\"", "holds a secret"),
    ] {
        s.write("mlops.toml", format!("{good}[backup.components.x]\n{table}\n"));
        let run = ends(&s, 2, ["backup", "list"]);
        assert!(run.stderr.contains(says) && !run.stderr.contains("hunter22"), "{table}: {run}");
    }
}
