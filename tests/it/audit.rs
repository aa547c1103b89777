//! `kf audit`: the log as people read it, and what it says when somebody was at it.

use crate::repo::{ends, events, init, json, next_bot, ok, on_both, refused, release, with_bot};
use crate::story::{self, alter};
use crate::support::sandbox::{Run, Sandbox, on_both_engines};
use insta::assert_snapshot;
use serde_json::Value;

/// The indexes of the entries that a filter lets through.
fn listed<const N: usize>(s: &Sandbox, filter: [&str; N]) -> Vec<u64> {
    let mut command = s.command(env!("CARGO_BIN_EXE_kf"));
    let run = s.finish(command.args(["audit", "log", "--format", "json", "--limit", "1000"]).args(filter));
    assert_eq!(run.code, Some(0), "{filter:?}\n{run}");
    let index = |e: &Value| e["index"].as_u64().expect("an index");
    json(&run)["entries"].as_array().expect("entries").iter().map(index).collect()
}

/// What an entry says.
fn shown(s: &Sandbox, index: u64) -> Value {
    json(&ok(s, ["audit", "show", &index.to_string(), "--format", "json"]))
}

/// The newest entry of an action.
fn newest(s: &Sandbox, action: &str) -> Value {
    shown(s, *listed(s, ["--action", action]).first().unwrap_or_else(|| panic!("no {action}")))
}

#[test]
fn each_filter_lets_through_what_fits() {
    on_both_engines(|s| {
        story::tell(s);
        let all = listed(s, []);
        let entries: Vec<Value> = all.iter().rev().map(|i| shown(s, *i)).collect();
        assert_eq!(all.len() as u64, events(s));
        let fitting = |fits: &dyn Fn(&Value) -> bool| -> Vec<u64> {
            entries.iter().rev().filter(|e| fits(e)).filter_map(|e| e["index"].as_u64()).collect()
        };
        let check = |filter: &[&str], fits: &dyn Fn(&Value) -> bool| {
            let mut command = s.command(env!("CARGO_BIN_EXE_kf"));
            let run = s.finish(command.args(["audit", "log", "--format", "json", "--limit", "1000"]).args(filter));
            let found: Vec<u64> =
                json(&run)["entries"].as_array().expect("entries").iter().filter_map(|e| e["index"].as_u64()).collect();
            let expected = fitting(fits);
            assert!(!expected.is_empty() && expected.len() < entries.len(), "{filter:?} tells nothing apart");
            assert_eq!(found, expected, "{filter:?}");
        };
        check(&["--actor", "nightly"], &|e| e["actor"] == "nightly");
        let pseudonym = newest(s, "version.archived")["actor_id"].as_str().expect("a pseudonym").to_owned();
        check(&["--actor", &pseudonym], &|e| e["actor_id"] == pseudonym.as_str());
        check(&["--action", "version.promoted"], &|e| e["action"] == "version.promoted");
        check(&["--action", "version."], &|e| e["action"].as_str().is_some_and(|a| a.starts_with("version.")));
        check(&["--resource", "bot"], &|e| e["resource"]["name"] == "bot");
        check(&["--resource", "bot@1.0.1"], &|e| e["resource"]["name"] == "bot" && e["resource"]["version"] == "1.0.1");
        check(&["--resource", "version:golden"], &|e| e["resource"]["name"] == "golden");
        check(&["--ticket", "OPS-2"], &|e| e["ticket"] == "OPS-2");
        check(&["--outcome", "denied"], &|e| e["outcome"] == "denied");
        check(&["--text", "customers complain"], &|e| e["reason"] == "customers complain");
        let middle = entries[entries.len() / 2]["at"].as_str().expect("a time").to_owned();
        check(&["--since", &middle], &|e| e["at"].as_str() >= Some(&middle));
        check(&["--until", &middle], &|e| e["at"].as_str() < Some(&middle));
        check(&["--action", "version.promoted", "--resource", "bot@1.0.0"], &|e| {
            e["action"] == "version.promoted" && e["resource"]["version"] == "1.0.0"
        });
        assert_eq!(listed(s, ["--actor", "nobody"]), [0; 0]);
        assert_eq!(json(&ok(s, ["audit", "log", "--limit", "2", "--format", "json"]))["limited"], true);
    });
}

/// The event of a registration commits to everything that was said, the one of a promotion to what each gate rests on.
#[test]
fn entries_commit_to_what_decisions_rest_on() {
    on_both_engines(|s| {
        story::tell(s);
        let registered = listed(s, ["--action", "version.registered", "--resource", "bot@1.0.0"]);
        let detail = shown(s, registered[0])["detail"].clone();
        assert_eq!(detail["metrics"], serde_json::json!({"f1": "0.83", "loss": "0.25"}));
        assert_eq!((&detail["meta"], &detail["tags"]), (&serde_json::json!({"language": "en"}), &serde_json::json!(["new"])));
        let links: Vec<_> = detail["links"].as_array().expect("links").iter().map(|l| l["version"].clone()).collect();
        assert_eq!(links, ["embedder@1.0.0", "golden@1.0.0"]);
        assert_eq!(detail["git"]["branch"], "main");
        let golden = shown(s, listed(s, ["--action", "version.registered", "--resource", "golden"])[0])["detail"].clone();
        let bytes = kf::base::digest::Digest::of(s.read("golden.jsonl").as_bytes()).to_string();
        assert_eq!(golden["meta"]["file-digest"], bytes.as_str());

        let evaluated = |reference: &str| {
            let found = listed(s, ["--action", "evaluation.recorded", "--resource", reference]);
            shown(s, found[0])["detail"]["evaluation"].clone()
        };
        let promoted = newest(s, "version.promoted")["detail"].clone();
        let gate = |name: &str| {
            let gates = promoted["gates"].as_array().expect("gates");
            gates.iter().find(|g| g["gate"] == name).unwrap_or_else(|| panic!("no {name} in {promoted}")).clone()
        };
        let exact = gate("exact");
        assert_eq!((&exact["evaluation"], &exact["dataset"]), (&evaluated("bot@1.0.1"), &Value::from(bytes)));
        assert_eq!(
            (&exact["measured"], &exact["threshold"], &exact["verdict"]),
            (&"0.7142857142857143".into(), &"≥ 0.3".into(), &"pass".into())
        );
        assert_eq!(gate("no-worse")["against"], evaluated("bot@1.0.0"));
        let first = shown(s, listed(s, ["--ticket", "OPS-2"])[0])["detail"].clone();
        assert_eq!(first["waived"], "first-release");
    });
}

/// Hundreds of gates do not fit an entry: it has the digest of their list, which stands beside it and is shown with it.
#[test]
fn an_entry_stays_small_with_hundreds_of_gates() {
    on_both(|s| {
        with_bot(s);
        s.write("golden.jsonl", "{\"question\": \"Q\", \"answer\": \"A\"}\n");
        let gate = |i: usize| {
            format!("[gates.gate-number-{i:03}]\nstage = \"staging\"\nkind = \"absolute\"\nmetric = \"exact-match\"\nmin = 0.5\n")
        };
        let config = s.read("mlops.toml");
        s.write(
            "mlops.toml",
            format!("{config}[golden]\ndataset = \"golden.jsonl\"\n{}", (0..300).map(gate).collect::<String>()),
        );
        ends(s, 4, ["promote", "bot", "--to", "staging"]);
        let refused = newest(s, "version.promotion-refused");
        assert_eq!(refused["detail"]["gates"].as_array().map(Vec::len), Some(300));
        let raw = ok(s, ["audit", "show", &refused["index"].to_string(), "--raw"]).stdout;
        assert!(raw.len() < 2000 && raw.contains("\"facts\":{\"gates\":\"sha256:"), "{raw}");
        let list = kf::base::canonical::to_string(&refused["detail"]["gates"]).expect("canonical");
        assert!(raw.contains(&kf::base::digest::Digest::of(list.as_bytes()).to_string()), "{raw}");
        let store = story::open(s);
        assert_eq!(alter(s, &store, "UPDATE fact SET value = replace(value, '0.5', '0.1')"), 1);
        let found = ends(s, 3, ["audit", "verify"]);
        assert!(found.stdout.contains("its fact `gates` beside it does not have the digest"), "{found}");
    });
}

#[test]
fn verify_tells_what_it_read_and_what_it_does_not_cover() {
    on_both(|s| {
        init(s);
        assert_snapshot!(root_hidden(&ok(s, ["audit", "verify"])), @"
        pass: nothing in the 1 entry of the audit log was changed

        log      kf/shop/67ec8e65a18debbe
        root     [ROOT]
        read     1 entry, 0 sealed tiles, 0 openings, 2 names, 0 long facts
        signed   nothing: whoever can write the state can rewrite it; `kf audit key --generate` makes a key
        covers   the log, its index, names, reasons; `kf fsck` compares versions, stages, evaluations and files with it
        -- exit status: 0 --
        ");
        let store = story::open(s);
        alter(s, &store, "UPDATE pseudonym SET name = 'eve@example.com' WHERE kind = 'user'");
        let found = ends(s, 3, ["audit", "verify"]);
        assert!(found.stdout.contains("look first at 0: the name behind user-"), "{found}");
    });
}

/// What a state says of itself has random parts.
fn root_hidden(run: &Run) -> String {
    let line = |l: &str| if l.starts_with("root") { "root     [ROOT]".to_owned() } else { l.to_owned() };
    run.to_string().lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn an_erased_name_leaves_a_log_that_verifies() {
    on_both_engines(|s| {
        with_bot(s);
        ok(s, ["archive", "bot", "--as", "gone@example.com", "--reason", "personal"]);
        let store = story::open(s);
        assert_eq!(alter(s, &store, "DELETE FROM pseudonym WHERE name = 'gone@example.com'"), 1);
        assert_eq!(alter(s, &store, "DELETE FROM opening"), 1);
        ok(s, ["audit", "verify"]);
        ok(s, ["fsck"]);
        let entry = newest(s, "version.archived");
        assert_eq!((&entry["actor"], &entry["reason_erased"]), (&entry["actor_id"], &true.into()));
        let everything = format!("{}{}", ok(s, ["history", "bot"]), ok(s, ["audit", "log"]));
        assert!(!everything.contains("gone@example.com") && everything.contains("(erased)"), "{everything}");
    });
}

/// What a promotion rests on is compared with the log before it is believed.
#[test]
fn edited_evidence_promotes_nothing_and_the_refusal_is_an_event() {
    on_both_engines(|s| {
        story::tell(s);
        ok(s, ["restore", "bot@1.0.2"]);
        let evaluated =
            |reference: &str| ends(s, 5, ["eval", reference, "--answers", "answers.jsonl", "--metric", "exact-match"]);
        evaluated("bot@1.0.2");
        let candidate = newest(s, "evaluation.recorded")["detail"]["evaluation"].as_str().expect("an id").to_owned();
        let store = story::open(s);
        let check = |edit: &str, undo: &str, names: &str| {
            assert!(alter(s, &store, edit) > 0, "{edit}");
            let before = events(s);
            let run = ends(s, 3, ["promote", "bot@1.0.2", "--to", "production"]);
            assert!(run.stderr.contains(names) && run.stderr.contains("kf fsck"), "{edit}: {run}");
            assert_eq!(events(s), before + 1, "{edit}: a refusal is recorded");
            let refused = newest(s, "version.promotion-refused");
            assert!(refused["detail"]["broken"].as_str().is_some_and(|b| b.contains(names)), "{refused}");
            assert!(alter(s, &store, undo) > 0, "{undo}");
        };
        let row = format!("WHERE evaluation = '{candidate}'");
        let named = format!("evaluation {candidate} of bot@1.0.2");
        check(
            &format!("UPDATE evaluation_metric SET mean = mean + 0.25 {row} AND metric = 'exact-match'"),
            &format!("UPDATE evaluation_metric SET mean = mean - 0.25 {row} AND metric = 'exact-match'"),
            &named,
        );
        check(
            &format!("UPDATE eval_row SET value = 1 - value {row} AND pos = 2"),
            &format!("UPDATE eval_row SET value = 1 - value {row} AND pos = 2"),
            &named,
        );
        // The version in production, with which it is compared.
        let base = "WHERE evaluation = (SELECT id FROM evaluation WHERE version = (SELECT id FROM version WHERE stage = 'production')) AND pos = 1";
        check(
            &format!("UPDATE eval_row SET value = value - 0.5 {base} AND metric = 'exact-match'"),
            &format!("UPDATE eval_row SET value = value + 0.5 {base} AND metric = 'exact-match'"),
            "of bot@1.0.0",
        );
        check(
            "UPDATE version_note SET value = replace(value, 'sha256:', 'sha256:0') WHERE key = 'file-digest'",
            "UPDATE version_note SET value = replace(value, 'sha256:0', 'sha256:') WHERE key = 'file-digest'",
            "`file-digest` of golden@1.0.0",
        );
        check(
            "UPDATE version SET stage = 'staging' WHERE major = 1 AND patch = 2",
            "UPDATE version SET stage = 'development' WHERE major = 1 AND patch = 2",
            "version bot@1.0.2",
        );
        // The newest evaluation is taken away, so that an older one would count.
        evaluated("bot@1.0.2");
        let newest_id = newest(s, "evaluation.recorded")["detail"]["evaluation"].as_str().expect("an id").to_owned();
        let gone = format!("UPDATE evaluation SET version = 0 WHERE id = '{newest_id}'");
        let back = format!(
            "UPDATE evaluation SET version = (SELECT id FROM version WHERE major = 1 AND patch = 2 AND model = (SELECT id FROM model WHERE name = 'bot')) WHERE id = '{newest_id}'"
        );
        check(&gone, &back, "recorded a newer one, whose row is gone");
        ok(s, ["promote", "bot@1.0.2", "--to", "production"]);
    });
}

#[test]
fn a_rollback_believes_no_edited_history_and_a_card_no_edited_evaluation() {
    on_both_engines(|s| {
        with_bot(s);
        release(s, "bot@1.0.0");
        next_bot(s, 8);
        let store = story::open(s);
        let never = "UPDATE stage_change SET version = (SELECT id FROM version WHERE patch = 1) WHERE to_stage = 'production'";
        assert_eq!(alter(s, &store, never), 1);
        let run = refused(s, 3, ["rollback", "bot", "--to", "1.0.1"]);
        assert!(run.stderr.contains("bot@1.0.1") && run.stderr.contains("kf fsck"), "{run}");
        let found = ends(s, 3, ["fsck"]);
        assert!(found.stdout.contains("move of bot@1.0.1 by entry 3"), "{found}");
    });
    on_both_engines(|s| {
        story::tell(s);
        ok(s, ["card", "bot@1.0.0"]);
        let store = story::open(s);
        assert!(alter(s, &store, "UPDATE evaluation_metric SET mean = 0.5 WHERE metric = 'exact-match'") > 0);
        let run = ends(s, 3, ["card", "bot@1.0.0"]);
        assert!(run.stderr.contains("mean is 0.5, recorded was 1"), "{run}");
    });
}

#[test]
fn proofs_and_checkpoints_are_written_and_read_again() {
    on_both_engines(|s| {
        story::tell(s);
        let key = ok(s, ["audit", "key"]).stdout.trim().to_owned();
        let size = events(s);
        ok(s, ["audit", "checkpoint", "-o", "then.checkpoint"]);
        assert_eq!(s.read("then.checkpoint").lines().nth(1), Some(size.to_string().as_str()));
        ok(s, ["tag", "bot@1.0.0", "later"]);
        ok(s, ["audit", "consistency", "then.checkpoint", "-o", "grown.proof"]);
        assert!(s.read("grown.proof").starts_with(&format!("old {size}\n")));
        ok(s, ["audit", "prove", "3", "-o", "3.proof", "--key", &key]);
        assert!(s.read("3.proof").starts_with("c2sp.org/tlog-proof@v1\nindex 3\n"));
        let beyond = ends(s, 1, ["audit", "consistency", "999"]);
        let told = format!("error: the audit log has {} entries, so it did not grow from 999\n", size + 1);
        assert!(beyond.stderr.starts_with(&told), "{beyond}");
        assert!(ends(s, 1, ["audit", "prove", "999"]).stderr.contains("there is no entry 999"));
        let verified = json(&ok(s, ["audit", "verify", "--against", "then.checkpoint", "--format", "json"]));
        assert_eq!((&verified["anchors"][0]["agrees"], &verified["signed"]), (&true.into(), &(size + 1).into()));
        // An older copy put back, shown by what was kept outside.
        let store = story::open(s);
        s.write("later.checkpoint", ok(s, ["audit", "checkpoint"]).stdout);
        for sql in ["DELETE FROM checkpoint WHERE size >", "DELETE FROM eb WHERE seq >=", "DELETE FROM ev WHERE seq >="] {
            assert!(alter(s, &store, &format!("{sql} {size}")) > 0, "{sql}");
        }
        let run = ends(s, 3, ["audit", "verify", "--against", "later.checkpoint"]);
        assert!(run.stdout.contains("DISAGREES"), "{run}");
    });
}

#[test]
fn an_anchor_in_git_is_compared_with() {
    on_both_engines(|s| {
        story::tell(s);
        let run = ok(s, ["audit", "anchor"]);
        assert!(run.stdout.contains("is committed as"), "{run}");
        let run = ok(s, ["audit", "verify"]);
        assert!(run.stdout.contains("anchor   audit/checkpoint at") && run.stdout.contains("agrees"), "{run}");
        let note = s.read("audit/checkpoint");
        let mut lines: Vec<&str> = note.lines().collect();
        let root = kf::base::digest::Digest::of(b"another");
        let other = base64(root.as_bytes());
        lines[2] = &other;
        s.write("audit/checkpoint", lines[..3].join("\n") + "\n");
        let run = ends(s, 3, ["audit", "verify"]);
        assert!(run.stdout.contains("DISAGREES"), "{run}");
        let run = ends(s, 3, ["audit", "anchor"]);
        assert!(run.stderr.contains("the log does not continue"), "{run}");
    });
}

/// Deleting or overwriting the file hides nothing, and no root that does not continue a committed one is anchored.
#[test]
fn an_anchor_that_was_deleted_is_read_from_git() {
    on_both_engines(|s| {
        story::tell(s);
        let store = story::open(s);
        ok(s, ["audit", "anchor"]);
        ok(s, ["tag", "bot@1.0.0", "later"]);
        ok(s, ["audit", "anchor"]);
        let run = ok(s, ["audit", "verify"]);
        assert!(run.stdout.contains("in 1 other version of Git agrees"), "{run}");
        std::fs::remove_file(s.work().join("audit/checkpoint")).expect("removed");
        let run = ok(s, ["audit", "verify"]);
        assert!(run.stdout.contains("in 2 other versions of Git agrees"), "{run}");
        let size = events(s);
        for sql in ["DELETE FROM checkpoint WHERE size >=", "DELETE FROM eb WHERE seq + 1 >=", "DELETE FROM ev WHERE seq + 1 >="]
        {
            assert!(alter(s, &store, &format!("{sql} {size}")) > 0, "{sql}");
        }
        let run = ends(s, 3, ["audit", "verify"]);
        assert!(run.stdout.contains("audit/checkpoint of commit") && run.stdout.contains("DISAGREES"), "{run}");
        let run = ends(s, 3, ["audit", "anchor"]);
        assert!(run.stderr.contains("the log does not continue `audit/checkpoint of commit"), "{run}");
    });
}

/// Whoever takes all checkpoints away gets nothing signed on the way; a person can start anew, and the log tells of it.
#[test]
fn a_log_without_its_checkpoints_is_signed_only_when_asked_to() {
    on_both_engines(|s| {
        story::tell(s);
        let store = story::open(s);
        assert!(alter(s, &store, "DELETE FROM checkpoint") > 0);
        assert!(ends(s, 3, ["audit", "verify"]).stdout.contains("its checkpoints were removed"));
        let run = ok(s, ["tag", "bot@1.0.0", "later"]);
        assert!(run.stderr.contains("what this command appends is not signed"), "{run}");
        for words in [["audit", "checkpoint"], ["audit", "anchor"]] {
            let run = ends(s, 3, words);
            assert!(run.stderr.contains("the audit log is not signed") && run.stderr.contains("--yes"), "{run}");
        }
        ok(s, ["audit", "checkpoint", "--yes"]);
        assert_eq!(newest(s, "audit.signing-restarted")["outcome"], "ok");
        assert_eq!(json(&ok(s, ["audit", "verify", "--format", "json"]))["unsigned"], 0);
        let run = ok(s, ["tag", "bot@1.0.0", "last"]);
        assert!(!run.stderr.contains("not signed"), "{run}");
    });
}

fn base64(bytes: &[u8]) -> String {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    BASE64_STANDARD.encode(bytes)
}

#[test]
fn exports_are_verified_first_whatever_way_they_are_asked_for() {
    on_both_engines(|s| {
        story::tell(s);
        let report = json(&ok(s, ["audit", "export", "tiles", "public", "--format", "json"]));
        assert_eq!((&report["schema"], &report["written"]), (&"kf.audit-export/1".into(), &2.into()));
        let same = ok(s, ["audit", "export", "--format", "tiles", "public"]);
        assert!(same.stdout.contains("0 files written, 2 were there already"), "{same}");
        let lines = ok(s, ["audit", "export", "--format", "jsonl", "log.jsonl"]);
        assert!(lines.stdout.contains("in [ROOT]/work/log.jsonl"), "the flag says what to export here: {lines}");
        assert_eq!(s.read("log.jsonl").lines().count() as u64, events(s));
        ok(s, ["audit", "export", "jsonl", "again.jsonl"]);
        assert_eq!(s.read("again.jsonl"), s.read("log.jsonl"));
        for args in [["--format", "json", "audit", "export", "out"], ["audit", "export", "--format", "json", "out"]] {
            let run = ends(s, 2, args);
            assert!(run.stderr.contains("kf audit export tiles out --format json"), "{run}");
        }
        assert!(ends(s, 2, ["audit", "export", "csv", "out"]).stderr.contains("as tiles or as jsonl"));
        assert!(!s.work().join("out").exists());
        let store = story::open(s);
        // Hash and body agree, the tree does not.
        alter(s, &store, "UPDATE ev SET outcome = 2 WHERE seq = 2");
        for (kind, path) in [("tiles", "evil"), ("jsonl", "evil.jsonl")] {
            let run = ends(s, 3, ["audit", "export", kind, path]);
            assert!(run.stderr.contains("was altered and is not exported") && run.stderr.contains("entry 2"), "{run}");
            assert!(!s.work().join(path).exists());
        }
    });
}

/// A host without the key appends what a host with it signs later.
#[test]
fn a_host_without_the_log_key_appends_and_says_so() {
    on_both_engines(|s| {
        story::tell(s);
        let key = ok(s, ["audit", "key"]).stdout.trim().to_owned();
        let signed = events(s);
        let (there, away) = (s.root().join("log.key"), s.root().join("log.key.away"));
        std::fs::rename(&there, &away).expect("taken away");
        assert!(ends(s, 1, ["audit", "key"]).stderr.contains("has no key for the audit log"));
        ok(s, ["restore", "bot@1.0.1"]);
        ok(s, ["promote", "bot@1.0.1", "--to", "staging"]);
        let blind = ends(s, 4, ["audit", "verify"]);
        assert!(blind.stdout.contains("that nobody could check: give the public key with `--key VKEY`"), "{blind}");
        let told = json(&ok(s, ["audit", "verify", "--key", &key, "--format", "json"]));
        assert_eq!((&told["signed"], &told["unsigned"]), (&signed.into(), &2.into()));
        assert!(ends(s, 1, ["audit", "prove", &signed.to_string()]).stderr.contains("is not signed yet"));
        std::fs::rename(&away, &there).expect("brought back");
        ok(s, ["audit", "checkpoint"]);
        assert_eq!(json(&ok(s, ["audit", "verify", "--format", "json"]))["unsigned"], 0);
    });
}

/// A key that this user may not read: reads work as without it, a change says why it cannot be signed. A folder in the place of
/// the key cannot be read by root either.
#[test]
fn a_log_key_that_cannot_be_read_stands_in_the_way_of_no_read() {
    on_both_engines(|s| {
        story::tell(s);
        let key = ok(s, ["audit", "key"]).stdout.trim().to_owned();
        let there = s.root().join("log.key");
        std::fs::remove_file(&there).expect("removed");
        std::fs::create_dir(&there).expect("a folder");
        for command in ["list", "status", "history"] {
            let args = if command == "history" { vec![command, "bot"] } else { vec![command] };
            let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(args));
            assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{command}: {run}");
        }
        let told = ok(s, ["audit", "verify", "--key", &key]);
        assert!(told.stderr.starts_with("warning: the log key of this host is left aside: cannot read the secret"), "{told}");
        ends(s, 4, ["audit", "verify"]);
        ok(s, ["fsck"]);
        let size = events(s);
        let refused = ends(s, 1, ["restore", "bot@1.0.1"]);
        assert!(refused.stderr.contains("hint: let this user read the key"), "{refused}");
        assert_eq!(events(s), size);
        s.set("KF_LOG_KEY", "garbage");
        ends(s, 2, ["restore", "bot@1.0.1"]);
    });
}

#[test]
fn a_new_key_inside_the_repository_is_kept_out_of_git() {
    on_both_engines(|s| {
        s.git(["init", "-q", "-b", "main"]);
        init(s);
        let made = ok(s, ["audit", "key", "--generate", "--out", "keys/log key"]);
        assert!(made.stdout.contains("log-key = \"file:keys/log key\""), "{made}");
        assert!(made.stdout.contains(".gitignore keeps it out of Git"), "{made}");
        let status = s.git(["status", "--porcelain", "--untracked-files=all"]).stdout;
        assert!(status.contains(".gitignore") && !status.contains("keys/"), "{status}");
        assert!(s.read(".gitignore").contains("/keys/log\\ key\n"), "{}", s.read(".gitignore"));
        // What Git ignores already needs no line, what is outside is nobody's business.
        s.write(".gitignore", "*.key\n");
        assert!(!ok(s, ["audit", "key", "--generate", "--out", "b.key"]).stdout.contains("keeps it out"));
        let outside = ok(s, ["audit", "key", "--generate", "--out", "../c.key"]);
        assert!(outside.stdout.contains("file:[ROOT]/c.key") && !outside.stdout.contains("keeps it out"), "{outside}");
        assert_eq!(s.read(".gitignore"), "*.key\n");
        assert!(ends(s, 1, ["audit", "key", "--generate", "--out", "b.key"]).stderr.contains("never overwritten"));
    });
}

#[test]
fn what_is_too_long_for_the_log_is_a_mistake_of_the_command() {
    on_both_engines(|s| {
        with_bot(s);
        let run = refused(s, 2, ["archive", "bot", "--ticket", &"x".repeat(3000)]);
        assert!(run.stderr.contains("is 3000 bytes long, at most 1000 are kept"), "{run}");
        refused(s, 2, ["archive", "bot", "--as", &"x".repeat(3000)]);
        refused(s, 2, ["archive", "bot", "--reason", &"x".repeat(70_000)]);
        ok(s, ["archive", "bot", "--reason", &"x".repeat(10_000)]);
        ok(s, ["audit", "verify"]);
    });
}
