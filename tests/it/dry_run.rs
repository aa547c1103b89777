//! `--dry-run` writes nothing: not a byte of the state, not an object, not a file.

use crate::every;
use crate::repo::{ends, on_both, state, with_bot, write_bot};
use crate::support::s3;
use crate::support::sandbox::{Sandbox, on_both_engines};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Every file below a directory, with its bytes.
fn files(dir: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all.extend(files(&path));
            all.insert(path, None);
        } else {
            let bytes = std::fs::read(&path).expect("a file");
            all.insert(path, Some(bytes));
        }
    }
    all
}

/// What the object store lists below the sandbox's prefix.
fn listed(sandbox: &Sandbox) -> String {
    let Some(url) = sandbox.environment().remove("KF_ARTIFACTS_URL") else { return String::new() };
    let prefix = url.rsplit('/').next().expect("a prefix").to_owned();
    let path = format!("/{}?list-type=2&max-keys=1000&prefix={prefix}/", s3::BUCKET);
    let (status, body) = s3::shared().expect("a server").request("GET", &path, "").expect("a list");
    assert_eq!(status, 200, "{body}");
    body.split("<Key>").skip(1).filter_map(|rest| rest.split_once("</Key>")).map(|(key, _)| format!("{key}\n")).collect()
}

/// Every command, and some that write more than the table has: not a byte of the repository or beside it changes.
#[test]
fn a_dry_run_writes_nothing_at_all() {
    on_both_engines(|s| {
        every::prepare(s);
        let before = (files(&s.root()), listed(s), state(s));
        assert!(before.0.len() + before.1.lines().count() > 20, "there is something to change");
        let more: &[(&str, &[&str])] = &[
            ("register", &["bot", "bot", "--version", "9.0.0"]),
            ("promote", &["bot@1.0.2", "--to", "staging"]),
            ("audit checkpoint", &["--yes"]),
        ];
        let mut wrong = Vec::new();
        for entry in every::EVERY.iter().chain(more) {
            let words = every::typed(s, &["--dry-run"], *entry);
            let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(&words));
            let after = (files(&s.root()), listed(s));
            let other: Vec<_> = after.0.iter().filter(|(path, bytes)| before.0.get(*path) != Some(bytes)).map(|f| f.0).collect();
            let same = other.is_empty() && after.0.len() == before.0.len() && after.1 == before.1 && state(s) == before.2;
            if !same || !every::ended(&run) {
                wrong.push(format!("kf {words:?} wrote {other:?}\n{run}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}

#[test]
fn a_dry_run_advises_as_the_real_run_does() {
    on_both(|s| {
        with_bot(s);
        write_bot(s);
        s.write("bot/prompts/answer.txt", "Answer {question} from {context} in {language}.\n");
        let told = ends(s, 0, ["register", "bot", "bot", "--dry-run"]);
        let done = ends(s, 0, ["register", "bot", "bot"]);
        assert!(done.stdout.contains("MAJOR") || done.stdout.contains("major"), "{done}");
        let advice = |text: &str| text.lines().filter(|l| l.starts_with("  - ")).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(advice(&told.stdout), advice(&done.stdout), "{told}");
        assert!(!advice(&done.stdout).is_empty(), "{done}");
    });
}
