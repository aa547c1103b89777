//! Backups: what was there comes back, on both engines, from a folder and from an S3 server; what is damaged is found.

use crate::repo::{ends, json, next_bot, ok, with_bot};
use crate::support::sandbox::{Engine, Run, Sandbox, on_both_engines};
use crate::support::{s3, skip};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A repository with a commit, a version, a folder of uploads and a program that prints something; backups go to `place`.
pub(crate) fn prepare(s: &mut Sandbox, place: &str) {
    with_bot(s);
    s.write("uploads/a/photo.bin", vec![7; 200_000]);
    s.write("uploads/note.txt", "hello");
    s.git(["init", "--quiet", "."]);
    s.write(".gitignore", ".kf/\nuploads/\nbackup.key\nplace/\n");
    s.git(["add", "."]);
    s.git(["commit", "--quiet", "-m", "one"]);
    let made = json(&ok(s, ["backup", "keygen", "-o", "backup.key", "--format", "json"]));
    let recipient = made["recipient"].as_str().expect("a public key");
    let config = format!(
        "{}\n[backup]\nrecipients = [\"{recipient}\"]\nidentity = \"file:backup.key\"\n[backup.place]\nurl = \"{place}\"\n\
         [backup.components.uploads]\nkind = \"directory\"\npath = \"uploads\"\n\
         [backup.components.words]\nkind = \"command\"\ncommand = [\"echo\", \"some words\"]\nrestore = [\"grep\", \"words\"]\n",
        s.read("mlops.toml")
    );
    s.write("mlops.toml", config);
    if s.engine() == Engine::Servers {
        return;
    }
    if place.starts_with("s3:") {
        let server = s3::shared().expect("a server");
        server.environment(server.port()).iter().for_each(|(name, value)| s.set(name, value));
    }
}

/// Where the backups of a sandbox go: to the S3 server where its artifacts are, too.
pub(crate) fn place_of(s: &Sandbox) -> String {
    match s.engine() {
        Engine::Files => format!("file://{}", s.work().join("place").display()),
        Engine::Servers => s3::shared().expect("a server").fresh(),
    }
}

/// Runs kf in a repository that was restored, where nothing of the servers is known.
pub(crate) fn kf_in(s: &Sandbox, dir: &Path, args: &[&str]) -> Run {
    let mut command = s.command(env!("CARGO_BIN_EXE_kf"));
    command.env_remove("KF_STATE_URL").env_remove("KF_ARTIFACTS_URL").arg("-C").arg(dir).args(args);
    s.finish(&mut command)
}

pub(crate) fn set(run: &Run) -> String {
    json(run)["sets"][0]["set"].as_str().expect("a set").to_owned()
}

#[test]
fn what_was_there_comes_back_on_both_engines() {
    on_both_engines(|s| {
        let place = place_of(s);
        prepare(s, &place);
        let set = set(&ok(s, ["backup", "run", "--format", "json"]));
        assert_eq!(json(&ok(s, ["backup", "verify", "--format", "json"]))["verdict"], "complete");
        let read = json(&ok(s, ["backup", "verify", &set, "--read-data", "all", "--format", "json"]));
        assert_eq!((read["verdict"].as_str(), read["objects"] == read["read"]), (Some("restorable"), true), "{read}");

        // What is lost with the machine is the repository, not the place and not the key.
        let versions = ok(s, ["list", "bot", "--format", "json"]).stdout;
        let back = s.root().join("back");
        let to = back.display().to_string();
        ok(s, ["backup", "restore", "latest", "--to", &to]);
        let restored = kf_in(s, &back, &["list", "bot", "--format", "json"]);
        assert_eq!(restored.stdout, versions, "{restored}");
        assert_eq!(kf_in(s, &back, &["fsck"]).code, Some(0));
        assert_eq!(kf_in(s, &back, &["audit", "verify"]).code, Some(0));
        let out = kf_in(s, &back, &["checkout", "bot@1.0.0", "out"]);
        assert_eq!(out.code, Some(0), "{out}");
        assert_eq!(std::fs::read(back.join("restored/uploads/a/photo.bin")).expect("a file"), vec![7; 200_000]);
        assert_eq!(std::fs::read_to_string(back.join("restored/words/output")).expect("a file"), "some words\n");
        assert_eq!(std::fs::read_to_string(back.join("mlops.toml")).expect("a file"), s.git(["show", "HEAD:mlops.toml"]).stdout);
        let again = ends(s, 1, ["backup", "restore", "latest", "--to", &to]);
        assert!(again.stderr.contains("is there already, and nothing is restored over what is there"), "{again}");
    });
}

#[test]
fn a_second_set_brings_only_what_is_new_and_a_drill_proves_it() {
    on_both_engines(|s| {
        let place = place_of(s);
        prepare(s, &place);
        let unproven = ends(s, 3, ["backup", "status"]);
        assert!(unproven.stdout.contains("there is no backup: `kf backup run --plan daily`"), "{unproven}");
        ok(s, ["backup", "run"]);
        next_bot(s, 6);
        let second = set(&ok(s, ["backup", "run", "--format", "json"]));
        let shown = json(&ok(s, ["backup", "show", &second, "--format", "json"]));
        let first = json(&ok(s, ["backup", "list", "--format", "json"]))["sets"][1]["set"].as_str().expect("a set").to_owned();
        let before = json(&ok(s, ["backup", "show", &first, "--format", "json"]));
        let objects = |doc: &Value| doc["manifest"]["artifacts"]["objects"].as_u64().expect("a number");
        assert!(objects(&shown) > objects(&before), "{shown}");
        let drilled = ok(s, ["backup", "drill", "--format", "json"]);
        let doc = json(&drilled);
        assert_eq!((doc["passed"].as_bool(), doc["set"].as_str()), (Some(true), Some(second.as_str())), "{drilled}");
        let steps: Vec<&str> = doc["steps"].as_array().expect("steps").iter().filter_map(|s| s["what"].as_str()).collect();
        let asked = ["restore", "state", "audit log", "names and reasons", "production", "erasures", "search"];
        assert_eq!(steps, [&asked[..], &["git", "uploads", "words", "an altered copy is refused"]].concat());
        ok(s, ["backup", "status"]);
        let log = ok(s, ["audit", "log", "--action", "backup.drilled", "--format", "json"]);
        assert!(log.stdout.contains(&second), "{log}");
        assert!(ok(s, ["backup", "run", "--due"]).stdout.contains("nothing is due of daily"));
        let pruned = ok(s, ["backup", "prune", "--apply"]);
        assert!(pruned.stdout.contains("there is nothing to remove"), "{pruned}");
        ok(s, ["fsck"]);
    });
}

/// All files of a place of backups.
pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all.sort();
    all
}

#[test]
fn every_bit_that_was_flipped_is_found() {
    let mut s = Sandbox::new();
    let place = place_of(&s);
    prepare(&mut s, &place);
    ok(&s, ["backup", "run"]);
    let dir = s.work().join("place");
    let all = files(&dir);
    assert!(all.len() > 6, "{all:?}");
    for path in all {
        let whole = std::fs::read(&path).expect("a file");
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).expect("a mode");
        let step = (whole.len() / 4).max(1);
        for at in (0..whole.len()).step_by(step) {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            std::fs::write(&path, &bytes).expect("written");
            let run = s.kf(["backup", "verify", "latest", "--read-data", "all"]);
            assert!(matches!(run.code, Some(1 | 3)), "{path:?} at {at}: {run}");
        }
        std::fs::write(&path, &whole).expect("written");
    }
    ok(&s, ["backup", "verify", "latest", "--read-data", "all"]);
}

#[test]
fn what_is_missing_cut_off_or_swapped_is_refused_and_nothing_is_left_behind() {
    let mut s = Sandbox::new();
    let place = place_of(&s);
    prepare(&mut s, &place);
    ok(&s, ["backup", "run"]);
    let objects: Vec<PathBuf> = files(&s.work().join("place/sha256"));
    let to = s.root().join("back").display().to_string();
    let largest = objects.iter().max_by_key(|path| std::fs::metadata(path).expect("a file").len()).expect("objects");
    let other = objects.iter().find(|path| *path != largest).expect("another");
    let whole = std::fs::read(largest).expect("a file");
    let faults: [(&str, Option<Vec<u8>>); 3] = [
        ("missing", None),
        ("cut off", Some(whole[..whole.len() / 2].to_vec())),
        ("swapped", Some(std::fs::read(other).expect("a file"))),
    ];
    for (what, bytes) in faults {
        std::fs::remove_file(largest).expect("removed");
        if let Some(bytes) = bytes {
            std::fs::write(largest, bytes).expect("written");
        }
        ends(&s, 3, ["backup", "verify", "latest"]);
        let run = s.kf(["backup", "restore", "latest", "--to", &to]);
        assert_eq!(run.code, Some(1), "{what}: {run}");
        assert!(!s.root().join("back").exists(), "{what}");
        let drill = ends(&s, 3, ["backup", "drill"]);
        assert!(drill.stdout.contains("does not come back whole"), "{what}: {drill}");
        let _ = std::fs::remove_file(largest);
        std::fs::write(largest, &whole).expect("written");
    }
    ok(&s, ["backup", "restore", "latest", "--to", &to]);
}

#[test]
fn who_has_no_key_reads_nothing_and_who_has_another_one_neither() {
    let mut s = Sandbox::new();
    let place = place_of(&s);
    prepare(&mut s, &place);
    ok(&s, ["backup", "run"]);
    let to = s.root().join("back").display().to_string();
    std::fs::rename(s.work().join("backup.key"), s.root().join("elsewhere.key")).expect("moved");
    let read = json(&ok(&s, ["backup", "verify", "--read-data", "all", "--format", "json"]));
    assert_eq!(read["verdict"], "ciphertext verified");
    let none = ends(&s, 2, ["backup", "restore", "latest", "--to", &to]);
    assert!(none.stderr.contains("there is no key here that reads them"), "{none}");
    ok(&s, ["backup", "keygen", "-o", "other.key"]);
    let wrong = ends(&s, 1, ["backup", "restore", "latest", "--to", &to, "--identity", "other.key"]);
    assert!(wrong.stderr.contains("this key reads no such backup"), "{wrong}");
    let key = s.root().join("elsewhere.key").display().to_string();
    ok(&s, ["backup", "restore", "latest", "--to", &to, "--identity", &key]);
    let there = ends(&s, 1, ["backup", "keygen", "-o", "other.key"]);
    assert!(there.stderr.contains("may be the only key"), "{there}");
}

#[test]
fn wrong_settings_and_wrong_names_are_told() {
    let mut s = Sandbox::new();
    with_bot(&s);
    let nowhere = ends(&s, 2, ["backup", "run"]);
    assert!(nowhere.stderr.contains("mlops.toml does not say where backups go"), "{nowhere}");
    let place = place_of(&s);
    prepare(&mut s, &place);
    let none = ends(&s, 1, ["backup", "verify"]);
    assert!(none.stderr.contains("there is no backup set `latest`"), "{none}");
    ok(&s, ["backup", "run"]);
    let plan = ends(&s, 2, ["backup", "run", "--plan", "dayly"]);
    assert!(plan.stderr.contains("daily"), "{plan}");
    let to = s.root().join("back").display().to_string();
    let component = ends(&s, 2, ["backup", "restore", "latest", "--component", "stat", "--to", &to]);
    assert!(component.stderr.contains("it has: state, git, uploads, words, artifacts"), "{component}");
    s.write("mlops.toml", s.read("mlops.toml").replace("path = \"uploads\"", "path = \"nowhere\""));
    let gone = ends(&s, 1, ["backup", "run"]);
    assert!(gone.stderr.contains("cannot back up uploads"), "{gone}");
    assert!(ok(&s, ["backup", "list"]).stdout.contains("1 set in"), "what could not be made is not there");
    let log = ok(&s, ["audit", "log", "--action", "backup.failed"]);
    assert!(log.stdout.contains("failed"), "{log}");
}

#[test]
fn a_database_comes_back_row_by_row() {
    let server = match crate::support::pg::shared() {
        Ok(server) => server,
        Err(why) => return skip(why),
    };
    let mut s = Sandbox::new();
    let place = place_of(&s);
    prepare(&mut s, &place);
    let (from, to) = (server.database(), server.database());
    let sql = "CREATE SCHEMA \"odd one\"; CREATE TABLE \"odd one\".t (id int PRIMARY KEY, words text); \
               INSERT INTO \"odd one\".t SELECT n, E'a\\nb\\\\' || n FROM generate_series(1, 1000) n; CREATE TABLE empty (x int)";
    server.query(&from, sql).expect("rows");
    let url = server.url(&from, server.port());
    s.write("mlops.toml", format!("{}[backup.components.answers]\nkind = \"postgres\"\nurl = \"{url}\"\n", s.read("mlops.toml")));
    ok(&s, ["backup", "run"]);
    let shown = json(&ok(&s, ["backup", "show", "latest", "--format", "json"]));
    let part =
        shown["manifest"]["components"].as_array().expect("parts").iter().find(|p| p["name"] == "answers").expect("a part");
    assert_eq!(part["counts"]["rows of \"odd one\".t"], 1000, "{part}");
    assert_eq!(part["counts"]["rows of public.empty"], 0, "{part}");
    ok(&s, ["backup", "drill"]);
    let back = s.root().join("back");
    ok(&s, ["backup", "restore", "latest", "--component", "answers", "--to", &back.display().to_string()]);
    let restored = std::process::Command::new("pg_restore")
        .args(["--exit-on-error", "--dbname", &server.url(&to, server.port())])
        .arg(back.join("restored/answers/database"))
        .output()
        .expect("pg_restore runs");
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    let all = "SELECT md5(string_agg(id || words, ',' ORDER BY id)) FROM \"odd one\".t";
    assert_eq!(server.query(&to, all), server.query(&from, all));
}
