//! A state that is missing, locked, read-only, newer than the program, damaged, or on a full disk.

use crate::repo::{ends, init, next_bot, ok, on_both, refused, with_bot, write_bot};
use crate::support::sandbox::{Engine, Run, Sandbox};
use crate::support::{pg, skip, wait_until};
use insta::assert_snapshot;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout.trim_ascii() == b"0")
}

#[test]
fn no_repository() {
    on_both(|s| {
        assert_snapshot!(ends(s, 10, ["status"]), @"
        -- stderr --
        error: no `mlops.toml` in `[ROOT]/work` or in a directory above it
        hint: `kf init` makes one here, `-C DIR` looks elsewhere
        -- exit status: 10 --
        ");
        assert_snapshot!(ends(s, 10, ["register", "bot", "bot", "--format", "json"]), @r#"
        -- stderr --
        {"schema":"kf.error/1","error":"no `mlops.toml` in `[ROOT]/work` or in a directory above it","causes":[],"hints":["`kf init` makes one here, `-C DIR` looks elsewhere"]}
        -- exit status: 10 --
        "#);
    });
}

/// Where a state was, to begin anew is not what is wanted first.
#[test]
fn a_state_that_is_lost_is_to_be_put_back() {
    let s = Sandbox::new();
    s.write("mlops.toml", "[project]\nname = \"shop\"\n");
    s.write(".kf/objects/sha256/ab/cd", "a file of a version");
    let told = ends(&s, 10, ["status"]);
    assert_eq!(told.stderr, ends(&s, 10, ["canary", "status"]).stderr);
    assert_snapshot!(told, @"
    -- stderr --
    error: no state here: [ROOT]/work/.kf/state.db is gone, while `objects` beside it is there
    hint: put the file back from a backup: what it says of versions, stages and rollouts is nowhere else
    hint: a bad release is taken back without it: `kf rollback NAME --emergency`
    hint: `kf init` starts a new state that knows nothing of the old one: only when there is no backup
    -- exit status: 10 --
    ");
}

#[test]
fn a_clone_without_its_state_is_told_so() {
    let s = Sandbox::new();
    s.write("mlops.toml", "[project]\nname = \"shop\"\n");
    assert_snapshot!(ends(&s, 10, ["status"]), @"
    -- stderr --
    error: no state here: [ROOT]/work/.kf/state.db does not exist
    hint: run `kf init` to start a new state here, or set `state.url` in mlops.toml to the state your team shares
    -- exit status: 10 --
    ");
    write_bot(&s);
    assert_snapshot!(ends(&s, 10, ["register", "bot", "bot"]), @"
    -- stderr --
    error: no state here: [ROOT]/work/.kf/state.db does not exist
    hint: run `kf init` to start a new state here, or set `state.url` in mlops.toml to the state your team shares
    -- exit status: 10 --
    ");
    assert!(!s.work().join(".kf").exists(), "no state is made behind one's back");
    let Ok(servers) = Sandbox::on(Engine::Servers) else { return skip("PostgreSQL or S3 is missing") };
    servers.write("mlops.toml", "[project]\nname = \"shop\"\n");
    assert_snapshot!(ends(&servers, 10, ["status"]), @"
    -- stderr --
    error: no state here: PostgreSQL [PG] schema kf does not exist
    hint: run `kf init` to start a new state here, or set `state.url` in mlops.toml to the state your team shares
    -- exit status: 10 --
    ");
}

#[test]
fn a_state_that_another_process_writes_is_waited_for_and_reads_go_on() {
    on_both(|s| {
        with_bot(s);
        let held = hold(s);
        s.write("bot/routing.yaml", "default: large\n");
        let started = std::time::Instant::now();
        let run = ends(s, 11, ["register", "bot", "bot", "--lock-timeout", "1s"]);
        assert!(started.elapsed().as_secs_f64() >= 0.9, "it waits before it gives up");
        let engine = ["caused by: database is locked", "caused by: Error code 5", "caused by: db error", "caused by: ERROR:"];
        let told = run.to_string();
        let told: Vec<&str> = told.lines().filter(|l| engine.iter().all(|c| !l.starts_with(c))).collect();
        assert_snapshot!(told.join("\n"), @"
        -- stderr --
        error: cannot start to write
        caused by: the state is locked by another process
        hint: try again, or wait longer with `--lock-timeout 5m`
        -- exit status: 11 --
        ");
        assert_eq!(ok(s, ["list", "bot"]).stdout.lines().count(), 2, "reads do not wait");
        drop(held);
        ok(s, ["register", "bot", "bot", "--lock-timeout", "20s"]);
    });
}

/// Holds the writer's lock until dropped.
enum Held {
    Sqlite(#[expect(dead_code, reason = "the lock goes with the connection")] rusqlite::Connection),
    Postgres(String, Option<std::thread::JoinHandle<()>>),
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Self::Postgres(database, thread) = self {
            let end = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {}", sleeping(database));
            pg::shared().expect("running").query("postgres", &end).expect("ended");
            thread.take().map(std::thread::JoinHandle::join);
        }
    }
}

fn sleeping(database: &str) -> String {
    format!("datname = '{database}' AND wait_event = 'PgSleep'")
}

fn hold(s: &Sandbox) -> Held {
    let Some(database) = database(s) else {
        let db = rusqlite::Connection::open(s.work().join(".kf/state.db")).expect("the state");
        db.execute_batch("BEGIN IMMEDIATE").expect("the lock");
        return Held::Sqlite(db);
    };
    let server = pg::shared().expect("running");
    let name = database.clone();
    let sql = format!("{SCHEMA} BEGIN; SELECT size FROM log_head FOR UPDATE; SELECT pg_sleep(600)");
    let thread = std::thread::spawn(move || drop(server.query(&name, &sql)));
    let asked = format!("SELECT count(*) FROM pg_stat_activity WHERE {}", sleeping(&database));
    assert!(wait_until(20, || server.query("postgres", &asked).as_deref() == Ok("1")), "the lock is taken");
    Held::Postgres(database, Some(thread))
}

/// The name of the sandbox's database, when it is on PostgreSQL.
fn database(s: &Sandbox) -> Option<String> {
    let url = s.environment().get("KF_STATE_URL").cloned()?;
    url.rsplit('/').next().and_then(|d| d.split('?').next()).map(str::to_owned)
}

/// Where the tables are on PostgreSQL.
const SCHEMA: &str = "SET search_path = kf, public;";

#[test]
fn a_state_from_a_newer_kf_is_left_alone() {
    on_both(|s| {
        with_bot(s);
        let sql = "UPDATE meta SET value = '999' WHERE key = 'schema'";
        change(s, sql);
        change(s, "UPDATE meta SET value = '9.9.9' WHERE key = 'writer'");
        let current = format!("knows up to {}\n", kf::store::migrations::CURRENT);
        let told = |run: Run| run.to_string().replace(&current, "knows up to [CURRENT]\n");
        assert_snapshot!(told(ends(s, 1, ["list"])), @"
        -- stderr --
        error: this state has schema 999, written by kf 9.9.9; this kf 0.1.0 knows up to [CURRENT]
        hint: install kf 9.9.9 or newer
        -- exit status: 1 --
        ");
        assert_snapshot!(told(ends(s, 1, ["register", "bot", "bot"])), @"
        -- stderr --
        error: this state has schema 999, written by kf 9.9.9; this kf 0.1.0 knows up to [CURRENT]
        hint: install kf 9.9.9 or newer
        -- exit status: 1 --
        ");
    });
}

/// Changes the state behind kf's back.
fn change(s: &Sandbox, sql: &str) {
    match database(s) {
        None => {
            let db = rusqlite::Connection::open(s.work().join(".kf/state.db")).expect("the state");
            assert!(db.execute(sql, []).expect(sql) > 0, "{sql}");
        }
        Some(database) => {
            pg::shared().expect("running").query(&database, &format!("{SCHEMA} {sql}")).expect(sql);
        }
    }
}

#[test]
fn a_state_that_cannot_be_written_can_be_read() {
    if !is_root() {
        return skip("a read-only mount needs root");
    }
    let s = Sandbox::new();
    with_bot(&s);
    next_bot(&s, 8);
    let mount = Mount::read_only(&s.work());
    let Some(mount) = mount else { return skip("this machine does not allow mounts") };
    assert_eq!(ok(&s, ["list", "bot"]).stdout.lines().count(), 3);
    ok(&s, ["show", "bot"]);
    ok(&s, ["status"]);
    assert_snapshot!(ends(&s, 1, ["tag", "bot", "x"]), @"
    -- stderr --
    error: cannot open [ROOT]/work/.kf/state.db
    caused by: the state file cannot be opened
    caused by: unable to open database file
    caused by: Error code 14: unable to open database file
    hint: check who may read and write `.kf/`, and that its file system is not read-only (`kf doctor` tells)
    -- exit status: 1 --
    ");
    assert_snapshot!(ends(&s, 1, ["register", "bot", "bot", "--version", "3.0.0"]), @"
    -- stderr --
    error: cannot open [ROOT]/work/.kf/state.db
    caused by: the state file cannot be opened
    caused by: unable to open database file
    caused by: Error code 14: unable to open database file
    hint: check who may read and write `.kf/`, and that its file system is not read-only (`kf doctor` tells)
    -- exit status: 1 --
    ");
    drop(mount);
    ok(&s, ["tag", "bot", "x"]);
}

/// A cache of answers that comes with the work, as in CI, on a disk that takes nothing.
#[test]
fn answers_that_are_kept_can_be_read_where_nothing_can_be_written() {
    if !is_root() {
        return skip("a read-only mount needs root");
    }
    let s = Sandbox::new();
    init(&s);
    let llm = "[llm]\nprovider = \"openai\"\nmodel = \"m\"\nbase-url = \"http://127.0.0.1:9/v1\"\n";
    s.write("mlops.toml", s.read("mlops.toml") + llm);
    s.write("p.test.yaml", "prompts: ['Say {a}']\nproviders: [llm]\ntests: [{vars: {a: x}}]\n");
    // Whoever writes makes the file, though nobody answers.
    let write = |s: &Sandbox| ends(s, 1, ["prompt", "test", "p.test.yaml"]);
    s.write("mlops.toml", s.read("mlops.toml") + "max-retries = 0\n");
    assert!(write(&s).stdout.contains("cannot connect"));
    let Some(mount) = Mount::read_only(&s.work()) else { return skip("this machine does not allow mounts") };
    for cache in ["only", "read"] {
        let run = ends(&s, 1, ["prompt", "test", "p.test.yaml", "--cache", cache]);
        let why = if cache == "only" { "it is not in the cache" } else { "cannot connect" };
        assert!(run.stdout.contains(why) && !run.stderr.contains("cannot open the cache"), "{run}");
    }
    drop(mount);
}

#[test]
fn files_of_a_state_without_permission_to_write() {
    if is_root() {
        return crate::support::say("root may write anything: the read-only mount stands for this test");
    }
    let s = Sandbox::new();
    with_bot(&s);
    let mode = |path: &str, mode: u32| {
        std::fs::set_permissions(s.work().join(path), std::fs::Permissions::from_mode(mode)).expect("a mode");
    };
    mode(".kf/state.db", 0o444);
    mode(".kf", 0o555);
    ok(&s, ["list", "bot"]);
    let run = ends(&s, 1, ["tag", "bot", "x"]);
    mode(".kf", 0o755);
    assert!(run.stderr.contains("read-only"), "{run}");
}

/// A mount of the test, gone when dropped.
struct Mount(std::path::PathBuf);

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

impl Mount {
    fn read_only(path: &Path) -> Option<Self> {
        let mount = |args: &[&str]| Command::new("mount").args(args).arg(path).stderr(std::process::Stdio::null()).status();
        let shown = path.display().to_string();
        if !mount(&["--bind", &shown]).is_ok_and(|s| s.success()) {
            return None;
        }
        let mounted = Self(path.to_owned());
        mount(&["-o", "remount,ro,bind"]).is_ok_and(|s| s.success()).then_some(mounted)
    }

    fn tiny(path: &Path, size: &str) -> Option<Self> {
        let options = format!("size={size}");
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(path).status();
        done.is_ok_and(|s| s.success()).then(|| Self(path.to_owned()))
    }
}

/// Leaves no byte free where the state is.
fn fill(s: &Sandbox) {
    let left = s.command("df").args(["--output=avail", "-B1", ".kf"]).output().expect("df runs").stdout;
    let left: usize = String::from_utf8_lossy(&left).lines().nth(1).and_then(|l| l.trim().parse().ok()).expect("a number");
    // What does not fit fills it, too.
    for (name, size) in [("filler", left.saturating_sub(4096)), ("filler2", 4096)] {
        let _ = std::fs::write(s.work().join(".kf").join(name), vec![0; size]);
    }
    assert!(std::fs::write(s.work().join(".kf/filler3"), vec![0; 4096]).is_err(), "nothing more fits");
}

#[test]
fn a_full_disk_changes_nothing_and_is_named() {
    if !is_root() {
        return skip("a small file system needs root");
    }
    let s = Sandbox::new();
    std::fs::create_dir(s.work().join(".kf")).expect("a folder");
    let Some(mount) = Mount::tiny(&s.work().join(".kf"), "8M") else { return skip("this machine does not allow mounts") };
    with_bot(&s);
    s.write("big.bin", vec![7; 12_000_000]);
    let run = refused(&s, 1, ["register", "big", "big.bin"]);
    assert!(run.stderr.starts_with("error: cannot write to [ROOT]/work/.kf/objects\n"), "{run}");
    assert!(run.stderr.contains("hint: free some space on that file system"), "{run}");
    fill(&s);
    let run = s.kf(["tag", "bot", "x"]);
    assert_eq!(run.code, Some(1), "{run}");
    assert!(run.stderr.contains("full"), "{run}");
    std::fs::remove_file(s.work().join(".kf/filler")).expect("room again");
    ok(&s, ["tag", "bot", "x"]);
    drop(mount);
}

#[test]
fn whoever_cannot_drive_on_a_full_disk_says_what_users_get() {
    if !is_root() {
        return skip("a small file system needs root");
    }
    let s = Sandbox::new();
    std::fs::create_dir(s.work().join(".kf")).expect("a folder");
    let Some(mount) = Mount::tiny(&s.work().join(".kf"), "8M") else { return skip("this machine does not allow mounts") };
    let config = "[model.bot]\ntype = \"config\"\npath = \"bot\"\n[policy]\nskip-staging = true\n\
                  [target.edge]\nkind = \"gateway\"\nadmin = \"127.0.0.1:1\"\ncommand = [\"true\"]\n\
                  [rollout.bot]\n[rollout.bot.source]\nkind = \"command\"\ncommand = [\"cat\", \"count\"]\n";
    s.repository(config);
    s.write(
        "count",
        "{\"schema\":\"kf.counted/1\",\"stable\":{\"requests\":0,\"errors\":0},\"canary\":{\"requests\":0,\"errors\":0}}",
    );
    write_bot(&s);
    ok(&s, ["register", "bot", "bot"]);
    ok(&s, ["canary", "start", "bot@1.0.0", "--detach"]);
    let mut driver = s.command(env!("CARGO_BIN_EXE_kf"));
    driver.args(["canary", "run", "bot"]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let driver = driver.spawn().expect("kf starts");
    assert!(wait_until(30, || s.work().join(".kf/state.db-shm").exists()), "it drives");
    fill(&s);
    let run = s.ended(driver.wait_with_output().expect("it ends"));
    assert_eq!(run.code, Some(1), "{run}");
    let users = "hint: users are served as before: nothing changes the traffic of bot@1.0.0, which had 0 % when the target was last looked at";
    assert!(run.stderr.contains(users), "{run}");
    assert!(
        run.stderr.contains("hint: `kf canary run bot` goes on where it stopped, `kf canary abort bot` takes it back"),
        "{run}"
    );
    drop(mount);
}

#[test]
fn a_damaged_state_file_is_named() {
    let s = Sandbox::new();
    init(&s);
    s.write(".kf/state.db", vec![b'x'; 20_000]);
    let _ = std::fs::remove_file(s.work().join(".kf/state.db-wal"));
    assert_snapshot!(ends(&s, 1, ["status"]), @"
    -- stderr --
    error: cannot open [ROOT]/work/.kf/state.db
    caused by: the state file is damaged
    caused by: file is not a database
    caused by: Error code 26: file is not a database
    hint: `kf fsck` tells what can be read and how to restore `.kf/state.db`
    -- exit status: 1 --
    ");
}

#[test]
fn ctrl_c_in_the_middle_of_a_registration_leaves_the_state_as_it_was() {
    on_both(|s| {
        with_bot(s);
        let before = crate::repo::state(s);
        s.command("truncate").args(["-s", "8G", "big.bin"]).status().expect("truncate runs");
        let mut running = s.command(env!("CARGO_BIN_EXE_kf")).args(["register", "big", "big.bin"]).spawn().expect("kf starts");
        assert!(!wait_until(1, || running.try_wait().is_ok_and(|done| done.is_some())), "it is in the middle of it");
        Command::new("kill").args(["-INT", &running.id().to_string()]).status().expect("kill runs");
        // A shell makes 130 of this.
        assert_eq!(running.wait().expect("it ends").signal(), Some(2));
        assert_eq!(crate::repo::state(s), before);
        ok(s, ["fsck"]);
        ok(s, ["register", "bot", "bot/routing.yaml", "--version", "2.0.0"]);
    });
}
