//! What comes back from a backup: nothing that was to be forgotten, the state of a time that is named, and over what is in use only
//! together with a way back.

use crate::backup::{kf_in, place_of, prepare, set};
use crate::repo::{ends, events, json, next_bot, ok};
use crate::story::{RETURNS, TERMS};
use crate::support::crash::Sweep;
use crate::support::sandbox::{Engine, Run, Sandbox, on_both_engines};
use crate::support::skip;
use crate::support::strace::{CHANGING, Fault, Strace};
use serde_json::Value;
use std::path::Path;

/// Words of documents that are to be forgotten.
const ADA: &str = "Lovelacezarquon";
const OTHER: &str = "Globexquux";

/// A repository with a backup, whose documents mention somebody.
fn with_documents(s: &mut Sandbox) {
    let place = place_of(s);
    prepare(s, &place);
    s.write(format!("one/{ADA}.md"), RETURNS.replace("parcel", ADA));
    s.write("one/terms.md", TERMS);
    s.write(format!("two/{OTHER}.md"), RETURNS.replace("parcel", OTHER));
    ok(s, ["ingest", "one", "--tenant", "acme"]);
    ok(s, ["ingest", "two", "--tenant", "globex"]);
}

/// Whether a text stands in any file below a folder, whatever the case of its letters.
fn stands_in(dir: &Path, text: &str) -> Option<String> {
    let lower = text.to_lowercase().into_bytes();
    crate::backup::files(dir).into_iter().find_map(|path| {
        let bytes = std::fs::read(&path).expect("a file").to_ascii_lowercase();
        bytes.windows(lower.len()).any(|part| part == lower).then(|| path.display().to_string())
    })
}

/// Runs kf by the clock of the machine, which is that of the place, too.
fn now(s: &Sandbox, args: &[&str]) -> Run {
    let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).env_remove("KF_CLOCK").args(args));
    assert_eq!(run.code, Some(0), "kf {args:?}\n{run}");
    run
}

fn erase(s: &Sandbox) {
    ok(s, ["tenant", "erase", "acme", "--subject", ADA, "--yes", "--reason", "asked for"]);
    ok(s, ["tenant", "erase", "globex", "--yes", "--reason", "contract ended"]);
}

fn restored(s: &Sandbox, to: &str, more: &[&str]) -> Value {
    let to = s.root().join(to).display().to_string();
    let mut command = s.command(env!("CARGO_BIN_EXE_kf"));
    let run = s.finish(command.args(["backup", "restore", "latest", "--to", &to, "--format", "json"]).args(more));
    assert_eq!(run.code, Some(0), "{run}");
    json(&run)
}

#[test]
fn what_was_erased_since_does_not_come_back() {
    on_both_engines(|s| {
        with_documents(s);
        // The document is another one when the person asks, so the log has to be followed.
        ok(s, ["backup", "run"]);
        s.write(format!("one/{ADA}.md"), RETURNS.replace("parcel", ADA).replace("thirty", "fourteen"));
        ok(s, ["ingest", "one", "--tenant", "acme"]);
        let before = restored(s, "before", &[]);
        assert_eq!(
            (before["erasures"]["known"].as_bool(), before["erasures"]["again"].as_u64()),
            (Some(true), Some(0)),
            "{before}"
        );
        let state = s.root().join("before/.kf");
        assert!(stands_in(&state, ADA).is_some() && stands_in(&state, OTHER).is_some(), "the test finds what is there");
        erase(s);
        let doc = restored(s, "back", &[]);
        assert_eq!((doc["erasures"]["known"].as_bool(), doc["erasures"]["again"].as_u64()), (Some(true), Some(2)), "{doc}");
        let back = s.root().join("back");
        for word in [ADA, OTHER] {
            assert_eq!(stands_in(&back.join(".kf"), word), None, "{word}");
        }
        assert_eq!(kf_in(s, &back, &["fsck"]).code, Some(0));
        assert_eq!(kf_in(s, &back, &["audit", "verify"]).code, Some(0));
        let log = kf_in(s, &back, &["audit", "log", "--action", "state.restored", "--format", "json"]);
        assert!(log.stdout.contains("erased-again"), "{log}");
        let tenants = kf_in(s, &back, &["tenant", "list", "--format", "json"]);
        assert_eq!(json(&tenants)["tenants"].as_array().expect("tenants").len(), 1, "{tenants}");
        let found = kf_in(s, &back, &["search", "every supplier", "--tenant", "acme", "--format", "json"]);
        assert!(found.stdout.contains("one/terms.md"), "what was not to be forgotten is there: {found}");
        // A set of what was restored knows of them.
        let again = restored(s, "again", &[]);
        assert_eq!(again["erasures"]["again"], 2, "{again}");
    });
}

#[test]
fn where_the_state_is_lost_an_export_of_the_log_tells_of_erasures_or_nobody_does() {
    let mut s = Sandbox::new();
    with_documents(&mut s);
    ok(&s, ["backup", "run"]);
    ok(&s, ["audit", "export", "jsonl", "../older.jsonl"]);
    erase(&s);
    ok(&s, ["audit", "export", "jsonl", "../log.jsonl"]);
    std::fs::rename(s.work().join(".kf/state.db"), s.root().join("lost.db")).expect("moved");
    let doc = restored(&s, "unknown", &[]);
    assert_eq!(doc["erasures"]["known"], false, "{doc}");
    let told = s.kf(["backup", "restore", "latest", "--to", "../told"]);
    assert!(told.stdout.contains("What was erased since the set was made is not known, and may be back"), "{told}");
    let doc = restored(&s, "known", &["--erasures", "../log.jsonl"]);
    assert_eq!(doc["erasures"]["again"], 2, "{doc}");
    assert_eq!(stands_in(&s.root().join("known/.kf"), ADA), None);
    s.write("other.jsonl", "{}\n");
    let to = s.root().join("other").display().to_string();
    let other = ends(&s, 1, ["backup", "restore", "latest", "--to", &to, "--erasures", "other.jsonl"]);
    assert!(other.stderr.contains("of another log than the backup set, or was made before it"), "{other}");
    assert!(!s.root().join("other").exists());
    let older = restored(&s, "older", &["--erasures", "../older.jsonl"]);
    assert_eq!(older["erasures"]["again"], 0, "an export from before the erasures tells of none: {older}");
}

#[test]
fn over_what_is_in_use_a_set_is_restored_with_a_way_back() {
    on_both_engines(|s| {
        with_documents(s);
        let first = set(&now(s, &["backup", "run", "--format", "json"]));
        let versions = ok(s, ["list", "bot", "--format", "json"]).stdout;
        next_bot(s, 6);
        s.write("one/new.md", RETURNS.replace("parcel", "newsletter"));
        ok(s, ["ingest", "one", "--tenant", "acme"]);
        erase(s);
        let (later, size) = (ok(s, ["list", "bot", "--format", "json"]).stdout, events(s));
        let refused = ends(s, 2, ["backup", "restore", &first, "--here"]);
        assert!(refused.stderr.contains(&format!("has {size} log entries")), "{refused}");
        assert_eq!(events(s), size, "nothing was changed");

        let doc = json(&now(s, &["backup", "restore", &first, "--here", "--force", "--format", "json"]));
        let safety = doc["safety"].as_str().expect("a set of what was there").to_owned();
        assert_eq!(doc["erasures"]["again"], 2, "{doc}");
        assert_eq!(ok(s, ["list", "bot", "--format", "json"]).stdout, versions);
        ok(s, ["fsck"]);
        ok(s, ["audit", "verify"]);
        let found = ok(s, ["search", "every supplier", "--tenant", "acme", "--hybrid", "--format", "json"]);
        assert!(found.stdout.contains("one/terms.md") && !found.stdout.contains("newsletter"), "{found}");
        let log = json(&ok(s, ["audit", "log", "--action", "state.restored", "--format", "json"]));
        assert!(log.to_string().contains(&safety) && log.to_string().contains(&first), "{log}");
        // Changes go on from there.
        next_bot(s, 7);
        let pruned = now(s, &["backup", "prune"]);
        assert!(pruned.stdout.contains("what was there before a restore"), "{pruned}");
        let latest = json(&ok(s, ["backup", "show", "--format", "json"]));
        assert_eq!(latest["set"], first.as_str(), "the newest is that of a plan: {latest}");

        ok(s, ["backup", "restore", &safety, "--here", "--force"]);
        assert_eq!(ok(s, ["list", "bot", "--format", "json"]).stdout, later);
        ok(s, ["fsck"]);
    });
}

#[test]
fn a_state_that_cannot_be_read_is_set_aside() {
    let mut s = Sandbox::new();
    with_documents(&mut s);
    ok(&s, ["backup", "run"]);
    let (versions, state) = (ok(&s, ["list", "bot", "--format", "json"]).stdout, s.work().join(".kf/state.db"));
    let whole = std::fs::read(&state).expect("a state");
    let middle = whole.len() / 2;
    let damaged = [&whole[..middle], &vec![0x5a; 3 * 4096], &whole[middle + 3 * 4096..]].concat();
    for (what, bytes) in [("damaged", Some(damaged)), ("no database", Some(b"nonsense".repeat(4096))), ("lost", None)] {
        std::fs::remove_file(&state).expect("removed");
        if let Some(bytes) = &bytes {
            std::fs::write(&state, bytes).expect("written");
        }
        let run = s.kf(["backup", "restore", "latest", "--here", "--force", "--format", "json"]);
        assert_eq!(run.code, Some(0), "{what}: {run}");
        let doc = json(&run);
        assert_eq!((doc["safety"].is_null(), doc["erasures"]["known"].as_bool()), (true, Some(false)), "{what}: {doc}");
        match (&bytes, doc["aside"].as_str()) {
            (Some(bytes), Some(_)) => {
                let aside = std::fs::read_dir(s.work().join(".kf")).expect("a folder").filter_map(Result::ok);
                let kept = aside.filter(|entry| entry.file_name().to_string_lossy().starts_with("damaged-"));
                assert!(
                    kept.map(|entry| std::fs::read(entry.path().join("state.db")).expect("kept")).any(|kept| kept == *bytes),
                    "{what}"
                );
            }
            (None, None) => {}
            _ => panic!("{what}: {doc}"),
        }
        assert_eq!(ok(&s, ["list", "bot", "--format", "json"]).stdout, versions, "{what}");
        ok(&s, ["fsck"]);
    }
}

#[test]
fn a_time_is_answered_by_the_set_before_it() {
    let mut s = Sandbox::new();
    let place = place_of(&s);
    prepare(&mut s, &place);
    let first = set(&ok(&s, ["backup", "run", "--format", "json"]));
    next_bot(&s, 6);
    let second = set(&ok(&s, ["backup", "run", "--format", "json"]));
    let began =
        |set: &str| json(&ok(&s, ["backup", "show", set, "--format", "json"]))["began"].as_str().expect("a time").to_owned();
    let (one, two) = (began(&first), began(&second));
    let at = |time: &str| json(&ok(&s, ["backup", "show", "--point-in-time", time, "--format", "json"]));
    assert_eq!((at(&one)["set"].as_str(), at(&one)["before_ms"].as_i64()), (Some(first.as_str()), Some(0)), "at the very time");
    assert_eq!(at(&two)["set"], second.as_str());
    let later = ok(&s, ["backup", "show", "--point-in-time", "2030-01-01"]);
    assert!(later.stdout.contains("it was begun") && later.stdout.contains("before 2030-01-01T00:00:00Z"), "{later}");
    let none = ends(&s, 1, ["backup", "show", "--point-in-time", "2001-01-01"]);
    assert!(none.stderr.contains("is as old as 2001-01-01") && none.stderr.contains(&one), "{none}");
    let to = s.root().join("back").display().to_string();
    let run = ok(&s, ["backup", "restore", "--point-in-time", &one, "--to", &to, "--format", "json"]);
    assert_eq!(json(&run)["set"], first.as_str());
    ends(&s, 2, ["backup", "restore", &first, "--point-in-time", &one, "--to", &to]);
    ends(&s, 2, ["backup", "restore", &first]);
}

/// One of the two versions of the story is there, or both.
fn versions(s: &Sandbox) -> usize {
    json(&ok(s, ["list", "bot", "--format", "json"]))["versions"].as_array().expect("versions").len()
}

#[test]
fn a_kill_at_any_time_leaves_one_state_or_the_other_and_the_next_command_tells() {
    let strace = match Strace::find() {
        Ok(strace) => strace,
        Err(why) => return skip(&why),
    };
    let prepare = || {
        let mut s = Sandbox::on(Engine::Files).expect("files");
        let place = place_of(&s);
        prepare(&mut s, &place);
        ok(&s, ["backup", "run"]);
        next_bot(&s, 6);
        s
    };
    let command =
        [env!("CARGO_BIN_EXE_kf"), "backup", "restore", "latest", "--here", "--force", "--lock-timeout", "5s"].map(str::to_owned);
    let killed = Sweep {
        name: "restore --here",
        fault: Fault::Kill,
        calls: CHANGING,
        every: 40,
        prepare: &prepare,
        command: &command,
        invariant: &|s, run| {
            let (there, status) = (versions(s), s.kf(["status"]));
            if !(1..=2).contains(&there) || s.kf(["fsck"]).code != Some(0) || s.kf(["audit", "verify"]).code != Some(0) {
                return Err(format!("{there} versions\n{run}"));
            }
            let told = status.stderr.contains("was stopped before");
            let marked = s.work().join(".kf/restoring").exists();
            if told != (marked && there == 2) || (run.code == Some(0) && (told || there != 1)) {
                return Err(format!("{there} versions, told: {told}, marked: {marked}\n{run}\n{status}"));
            }
            let again = s.kf(["backup", "restore", "latest", "--here", "--force"]);
            match (again.code, versions(s), s.kf(["status"]).stderr.contains("was stopped before")) {
                (Some(0), 1, false) => Ok(()),
                (_, there, told) => Err(format!("again: {there} versions, told: {told}\n{again}")),
            }
        },
    };
    killed.run(&strace).assert_sound();
}
