//! A set comes back without kf: `examples/backup/restore.sh`, and the tools of others that it calls.

use crate::backup_components::prepare_signed;
use crate::repo::{json, ok};
use crate::support::sandbox::{Run, Sandbox};
use crate::support::{pg, program, project, skip};
use std::path::Path;

/// What the script calls; `age` reads what kf writes, and shares no code with it.
const TOOLS: [&str; 7] = ["age", "zstd", "tar", "jq", "sqlite3", "sha256sum", "pg_restore"];

fn restore(s: &Sandbox, set: &str, key: &str, to: &str) -> Run {
    let script = project().join("examples/backup/restore.sh");
    let mut command = s.command("sh");
    s.finish(command.arg(script).arg(s.root().join("place")).args([set, key, to]))
}

#[test]
fn a_set_is_restored_with_stock_tools_only() {
    if let Some(lacking) = TOOLS.iter().find(|name| program(name, &[]).is_none()) {
        return skip(&format!("{lacking} is not installed"));
    }
    let server = match pg::Server::start() {
        Ok(server) => server,
        Err(why) => return skip(&why),
    };
    let s = Sandbox::new();
    s.write("uploads/a/photo.bin", vec![7; 200_000]);
    let from = server.database();
    server
        .query(&from, "CREATE ROLE writer; CREATE TABLE t AS SELECT n, md5(n::text) AS m FROM generate_series(1, 500) n")
        .expect("rows");
    server.query(&from, "ALTER TABLE t OWNER TO writer").expect("an owner");
    let url = server.url(&from, server.port());
    prepare_signed(
        &s,
        &format!(
            "[backup.components.uploads]\nkind = \"directory\"\npath = \"uploads\"\n[backup.components.answers]\nkind = \"postgres\"\nurl = \"{url}\"\n\
             [backup.plans.all]\ncomponents = [\"state\", \"artifacts\", \"git\", \"audit\", \"uploads\", \"answers\"]\nkeep-days = 30\n"
        ),
    );
    s.write(".gitignore", ".kf/\nuploads/\nbackup.key\nlog.key\n");
    s.git(["init", "--quiet", "."]);
    s.git(["add", "."]);
    s.git(["commit", "--quiet", "-m", "one"]);
    ok(&s, ["backup", "run"]);
    let shown = json(&ok(&s, ["backup", "show", "latest", "--format", "json"]));
    let set = shown["manifest"]["id"].as_str().expect("a set");
    // kf is not on the way: whatever the script calls, it is not that.
    std::fs::remove_file(s.root().join("bin/kf")).expect("removed");
    let to = s.root().join("back");
    let run = restore(&s, set, "backup.key", &to.display().to_string());
    assert_eq!(run.code, Some(0), "{run}");
    assert!(run.stdout.contains("500 rows of public.t") && run.stdout.contains("audit: "), "{run}");

    let in_copy = |args: &[&str]| {
        let mut command = s.command(env!("CARGO_BIN_EXE_kf"));
        let run = s.finish(command.arg("-C").arg(&to).args(args));
        assert_eq!(run.code, Some(0), "{args:?}\n{run}");
        run.stdout
    };
    in_copy(&["fsck"]);
    // The key that verifies is with the one that signs, which is in no backup.
    std::fs::copy(s.work().join("log.key"), to.join("log.key")).expect("the log's key");
    in_copy(&["audit", "verify", "--against", "restored/audit/checkpoint"]);
    assert_eq!(in_copy(&["list", "bot", "--format", "json"]), ok(&s, ["list", "bot", "--format", "json"]).stdout);
    in_copy(&["checkout", "bot@1.0.0", "out"]);
    assert_eq!(std::fs::read(to.join("restored/uploads/a/photo.bin")).expect("a file"), vec![7; 200_000]);
    assert_eq!(std::fs::read_to_string(to.join("mlops.toml")).expect("a file"), s.read("mlops.toml"));
    assert_eq!(s.git(["-C", &to.display().to_string(), "log", "--format=%s"]).stdout, "one\n");

    // Into a server that has never seen it, as the page says.
    let other = pg::Server::start().expect("another server");
    let name = other.database();
    let place = other.url(&name, other.port());
    let globals = to.join("restored/answers/globals.sql");
    let roles = std::fs::read_to_string(globals)
        .expect("roles")
        .lines()
        .filter(|line| line.contains("writer"))
        .collect::<Vec<_>>()
        .join("\n");
    other.query(&name, &roles).expect("roles");
    let mut command = s.command("pg_restore");
    let run = s.finish(command.args(["--exit-on-error", "--dbname", &place]).arg(to.join("restored/answers/database")));
    assert_eq!(run.code, Some(0), "{run}");
    let all = "SELECT md5(string_agg(n || m, ',' ORDER BY n)), (SELECT tableowner FROM pg_tables WHERE tablename = 't') FROM t";
    assert_eq!(other.query(&name, all), server.query(&from, all));

    refused(&s, set);
}

/// Another key, an altered, missing or swapped object, a folder that is there: nothing that looks whole is left.
fn refused(s: &Sandbox, set: &str) {
    let to = s.root().join("never");
    let says = |key: &str, what: &str| {
        let run = restore(s, set, key, &to.display().to_string());
        assert!(run.code == Some(1) && run.stderr.contains(what), "{run}");
        assert!(!to.exists(), "{what}");
        let _ = std::fs::remove_dir_all(s.root().join("never.restoring"));
    };
    ok(s, ["backup", "keygen", "-o", "other.key"]);
    says("other.key", "this key does not open object");
    let objects = files(&s.root().join("place/sha256"));
    let (one, other) = (&objects[0], &objects[1]);
    let whole = std::fs::read(one).expect("an object");
    std::fs::remove_file(one).expect("removed");
    says("backup.key", "is missing");
    std::fs::copy(other, one).expect("swapped");
    says("backup.key", "was altered");
    std::fs::remove_file(one).expect("removed");
    std::fs::write(one, &whole).expect("written");
    let run = restore(s, set, "backup.key", &s.root().join("back").display().to_string());
    assert!(run.code == Some(1) && run.stderr.contains("is there already"), "{run}");
}

/// All files below a folder.
fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a folder").flatten() {
        if entry.path().is_dir() { all.extend(files(&entry.path())) } else { all.push(entry.path()) }
    }
    all.sort();
    all
}
