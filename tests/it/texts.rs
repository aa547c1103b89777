//! Texts that are too long for the log or hold what an engine cannot keep are refused before anything changes, alike on both.

use crate::locks::elsewhere;
use crate::repo::{ends, init, json, ok, on_both, refused, with_bot};
use kf::base::error::Kind;
use kf::base::event::{Event, Resource};
use kf::values;

#[test]
fn what_is_too_long_is_a_usage_error_that_does_not_repeat_it() {
    on_both(|s| {
        with_bot(s);
        let long = "x".repeat(70_000);
        for command in [
            &["register", "bot", "bot"][..],
            &["promote", "bot", "--to", "staging"],
            &["rollback", "bot"],
            &["archive", "bot"],
            &["restore", "bot"],
        ] {
            for flag in ["--ticket", "--reason", "--as"] {
                let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(command).args([flag, &long]));
                assert_eq!(run.code, Some(2), "{command:?} {flag}\n{run}");
                assert!(run.stderr.contains(&format!("`{flag} <")) && run.stderr.len() < 500, "{command:?}\n{run}");
                assert!(run.stderr.contains("is 70000 bytes long, at most "), "{command:?}\n{run}");
            }
        }
        refused(s, 2, ["promote", "bot", "--to", "staging", "--as", ""]);
    });
}

/// The longest that is allowed, of letters that no compression makes shorter: both engines keep them, in their indexes too.
#[test]
fn what_is_as_long_as_allowed_is_kept() {
    on_both(|s| {
        with_bot(s);
        let mut seed = 7_u32;
        let mut noise = |n: usize| -> String {
            let mut letter = || {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[(seed >> 26) as usize])
            };
            (0..n).map(|_| letter()).collect()
        };
        let (ticket, reason, actor) = (noise(1_000), noise(10_000), noise(500));
        ok(s, ["promote", "bot", "--to", "staging", "--ticket", &ticket, "--reason", &reason, "--as", &actor]);
        let log = json(&ok(s, ["audit", "log", "--ticket", &ticket, "--format", "json"]));
        assert_eq!(log["entries"][0]["reason"].as_str(), Some(reason.as_str()));
        ok(s, ["audit", "verify"]);
    });
}

#[test]
fn an_event_that_does_not_fit_names_its_longest_part_and_changes_nothing() {
    on_both(|s| {
        init(s);
        let store = elsewhere(s);
        let e = store.write(|tx| {
            tx.insert("INSERT INTO model (name, kind, created) VALUES (?1, ?2, ?3)", values!["m", "config", tx.now()])?;
            // Longer facts stand beside the entry; many that are nearly as long do not fit into it together.
            let event = Event::new("model.made", Resource::new("model", "m")).with("links", "x".repeat(8_100));
            tx.record((0..9).fold(event, |event, i| event.with(&format!("part-{i}"), "x".repeat(8_000))));
            Ok(())
        });
        let e = e.expect_err("it does not fit");
        assert_eq!(e.kind(), Kind::Failed);
        assert!(e.to_string().contains("the entry model.made would be ") && e.to_string().contains("`links`"), "{e}");
        assert!(e.hints()[0].contains("nothing was changed"), "{:?}", e.hints());
        assert_eq!(store.read(|view| view.count("SELECT count(*) FROM model", &[])).expect("read"), 0);
    });
}

#[test]
fn a_text_with_a_zero_is_refused_on_both_engines() {
    on_both(|s| {
        init(s);
        let store = elsewhere(s);
        let sql = "INSERT INTO model (name, kind, created) VALUES (?1, ?2, ?3)";
        let e = store.write(|tx| {
            tx.record(Event::new("model.made", Resource::new("model", "m")));
            tx.insert(sql, values!["a\0b", "config", tx.now()])
        });
        let e = e.expect_err("no such text");
        assert!(e.to_string().contains("the text `a b` holds the character U+0000 at byte 1"), "{e}");
        let rows = vec![values!["e", 1_i64, "r\0w", "m"].to_vec()];
        let e = store.feed(|feed| feed.append("eval_row", &["evaluation", "pos", "row_id", "metric"], rows));
        assert!(e.is_err_and(|e| e.to_string().contains("U+0000")), "telemetry too");
        store.write(|tx| tx.execute("DELETE FROM model", &[])).expect("the connection still works");
        assert_eq!(store.read(|view| view.count("SELECT count(*) FROM ev", &[])).expect("read"), 1);
    });
}

#[test]
fn a_zero_in_a_file_is_refused_with_its_line() {
    on_both(|s| {
        with_bot(s);
        s.write(
            "golden.jsonl",
            "{\"id\": \"a\", \"question\": \"x\"}\n{\"id\": \"b\", \"question\": \"y\", \"tags\": [\"a\\u0000b\"]}\n",
        );
        s.write("answers.jsonl", "{\"id\": \"a\", \"answer\": \"x\"}\n");
        let run = refused(s, 1, ["eval", "bot", "--dataset", "golden.jsonl", "--answers", "answers.jsonl"]);
        assert!(run.stderr.contains("golden.jsonl:2: the field `tags` holds the character U+0000"), "{run}");
        s.write("golden.jsonl", "{\"id\": \"a\", \"question\": \"x\"}\n");
        s.write("answers.jsonl", "{\"id\": \"a\", \"answer\": \"x\\u0000\"}\n");
        let run = refused(s, 1, ["eval", "bot", "--dataset", "golden.jsonl", "--answers", "answers.jsonl"]);
        assert!(run.stderr.contains("answers.jsonl:1: the field `answer` holds the character U+0000"), "{run}");
        let config = s.read("mlops.toml");
        s.write("mlops.toml", format!("{config}\n[model.bot]\npath = \"bot\"\ndescription = \"a\\u0000b\"\n"));
        let run = ends(s, 2, ["register", "bot"]);
        assert!(run.stderr.contains("`model.bot.description` holds the character U+0000"), "{run}");
    });
}

#[test]
fn what_steers_a_terminal_is_refused_or_not_written() {
    let s = crate::support::sandbox::Sandbox::new();
    crate::repo::with_bot(&s);
    for (flag, text) in [("--ticket", "OPS\u{1b}[2J"), ("--ticket", "a\nb"), ("--as", "ada\u{7}"), ("--as", " \t")] {
        crate::repo::refused(&s, 2, ["promote", "bot", "--to", "staging", flag, text]);
    }
    crate::repo::ok(&s, ["promote", "bot", "--to", "staging", "--reason", "red \u{1b}[31m alert"]);
    for format in ["table", "markdown", "csv"] {
        let run = crate::repo::ok(&s, ["history", "bot", "--format", format]);
        assert!(run.stdout.contains("alert") && !run.stdout.contains('\u{1b}'), "{format}: {run}");
    }
    crate::repo::refused(&s, 2, ["list", "--jobs", "0"]);
    let large = crate::repo::refused(&s, 2, ["register", "bot", "bot", "--version", "9223372036854775807.0.0"]);
    assert!(large.stderr.contains("is too large for a version"), "{large}");
    s.write("audit/checkpoint", "garbage");
    crate::repo::refused(&s, 3, ["audit", "verify"]);
    std::fs::remove_file(s.work().join("audit/checkpoint")).expect("removed");
    for (variable, wrong) in [("KF_CLOCK", "garbage"), ("KF_JOBS", "0")] {
        let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).arg("list").env(variable, wrong));
        assert_eq!(run.code, Some(2), "{variable}: {run}");
    }
    s.write(".kf/state.db", "garbage, not a database: ".repeat(1000));
    crate::repo::ends(&s, 3, ["audit", "verify"]);
}
