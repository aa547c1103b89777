use super::*;
use crate::base::name::Name;
use crate::stats::describe::Moments;
use std::fs;
use std::io::Write as _;

struct Log {
    dir: tempfile::TempDir,
    source: Source,
    model: Name,
}

impl Log {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let source = Source::new(dir.path().join("answers.jsonl"), Ranges::from([("tokens".to_owned(), (10.0, 1000.0))]));
        Self { dir, source, model: "bot".parse().expect("a name") }
    }

    fn append(&self, text: &str) {
        let opened = fs::OpenOptions::new().create(true).append(true).open(&self.source.path);
        opened.and_then(|mut file| file.write_all(text.as_bytes())).expect("written");
    }

    /// One request of the version, so many seconds after eight.
    fn line(&self, second: u32, version: &str, rest: &str) {
        self.append(&format!("{{\"time\":\"2026-11-21T08:00:{second:02}Z\",\"version\":\"{version}\"{rest}}}\n"));
    }

    fn read(&self, from: u32, to: u32, cursor: Option<&str>) -> Result<Reading> {
        let at = |second| format!("2026-11-21T08:00:{second:02}Z").parse().expect("a time");
        let (stable, canary) = (Some("1.0.0".parse().expect("a version")), "1.1.0".parse().expect("a version"));
        self.source.read(&Ask { model: &self.model, stable, canary, from: at(from), to: at(to), cursor })
    }

    /// Requests of both and the next cursor.
    fn counted(&self, from: u32, to: u32, cursor: Option<&str>) -> ([u64; 2], String) {
        let found = self.read(from, to, cursor).expect("counted");
        let n = |arm: &crate::seams::metrics::Counted| arm.requests.expect("counted");
        ([n(&found.stable), n(&found.canary)], found.cursor.expect("a cursor"))
    }

    fn rename(&self, to: &str) {
        fs::rename(&self.source.path, self.dir.path().join(to)).expect("renamed");
    }
}

#[test]
fn lines_are_counted_by_version() {
    let log = Log::new();
    log.line(1, "1.0.0", ",\"status\":200,\"seconds\":0.25,\"method\":\"POST\"");
    log.line(2, "1.0.0", ",\"status\":503,\"seconds\":2");
    log.line(3, "1.0.0", ",\"status\":499");
    log.line(3, "1.1.0", ",\"ok\":true,\"seconds\":0.5,\"costs\":{\"tokens\":1000000},\"scores\":{\"faithfulness\":0.75}");
    log.line(4, "1.1.0", ",\"ok\":false");
    // Judged later: a score and no request. Other versions, other models and blank lines are nobody's.
    log.line(5, "1.1.0", ",\"scores\":{\"faithfulness\":0.25,\"accuracy\":null}");
    log.line(5, "1.2.0", ",\"ok\":true");
    log.line(5, "-", ",\"ok\":true");
    log.line(5, "1.1.0", ",\"ok\":true,\"model\":\"other\"");
    log.append("\n{\"time\":1795248006.5,\"version\":\"1.0.0\",\"model\":\"bot\",\"ok\":true}\n");
    let found = log.read(0, 10, None).expect("counted");
    assert_eq!((found.stable.requests, found.stable.errors), (Some(4), Some(1)));
    assert_eq!((found.canary.requests, found.canary.errors), (Some(2), Some(1)));
    let seconds = |arm: &crate::seams::metrics::Counted| arm.latency.as_ref().map(crate::seams::metrics::Buckets::n);
    assert_eq!((seconds(&found.stable), seconds(&found.canary)), (Some(2), Some(1)));
    assert_eq!(found.canary.values["faithfulness"], Moments::of(&[0.75, 0.25]).expect("finite"));
    assert_eq!(found.canary.values["accuracy"].n, 0);
    // A dear answer counts as the dearest that counts.
    assert_eq!(found.canary.costs["tokens"].mean, 1000f64.ln());
}

#[test]
fn each_line_counts_once_and_a_half_written_one_waits() {
    let log = Log::new();
    log.line(1, "1.1.0", ",\"ok\":true");
    log.append("{\"time\":\"2026-11-21T08:00:02Z\",\"version\":\"1.1");
    let (first, cursor) = log.counted(0, 10, None);
    assert_eq!(first, [0, 1]);
    log.append(".0\",\"ok\":true}\n");
    log.line(11, "1.0.0", ",\"ok\":true");
    // The line that came late is of the window that goes on from the last one.
    let (second, cursor) = log.counted(10, 20, Some(&cursor));
    assert_eq!(second, [1, 1]);
    let (third, again) = log.counted(20, 30, Some(&cursor));
    assert_eq!(third, [0, 0]);
    // The same question again has the same answer.
    assert_eq!(log.counted(10, 20, Some(&cursor)).0, [0, 0]);
    // What happened between two windows, in a warm-up, is of neither.
    log.line(35, "1.1.0", ",\"ok\":true");
    log.line(41, "1.1.0", ",\"ok\":true");
    assert_eq!(log.counted(40, 50, Some(&again)).0, [0, 1]);
}

#[test]
fn what_was_there_before_the_first_window_does_not_count() {
    let log = Log::new();
    log.line(1, "1.1.0", ",\"ok\":true");
    log.line(12, "1.1.0", ",\"ok\":true");
    assert_eq!(log.counted(10, 20, None).0, [0, 1]);
}

#[test]
fn another_file_under_the_name_is_noticed() {
    for copy in [false, true] {
        let log = Log::new();
        log.line(1, "1.1.0", ",\"ok\":true");
        let (_, cursor) = log.counted(0, 10, None);
        log.line(11, "1.0.0", ",\"ok\":true");
        if copy {
            fs::copy(&log.source.path, log.dir.path().join("answers.jsonl.1")).expect("copied");
            fs::write(&log.source.path, "").expect("emptied");
        } else {
            log.rename("answers.jsonl.1");
        }
        // Longer than the old one was, and other.
        (12..16).for_each(|second| log.line(second, "1.1.0", ",\"ok\":true"));
        let (found, cursor) = log.counted(10, 20, Some(&cursor));
        assert_eq!(found, [1, 4], "copied: {copy}");
        log.line(21, "1.1.0", ",\"ok\":true");
        assert_eq!(log.counted(20, 30, Some(&cursor)).0, [0, 1]);
    }
    // Without the old one all of the new one counts.
    let log = Log::new();
    (1..9).for_each(|second| log.line(second, "1.1.0", ",\"ok\":true"));
    let (_, cursor) = log.counted(0, 10, None);
    log.rename("gone");
    log.line(11, "1.1.0", ",\"ok\":true");
    assert_eq!(log.counted(10, 20, Some(&cursor)).0, [0, 1]);
}

#[test]
fn a_few_broken_lines_are_passed_over_and_many_are_told() {
    let log = Log::new();
    log.append("{\"time\":\"2026-11-21T08:00:01Z\",\"ver{\"time\":\"2026\n");
    log.line(1, "1.1.0", ",\"ok\":true");
    assert_eq!(log.counted(0, 10, None).0, [0, 1]);
    log.line(2, "1.1.0", ",\"ok\":true,\"seconds\":-1");
    let said = log.read(0, 10, None).expect_err("too many").to_string();
    assert!(said.contains("2 of 3 lines cannot be read, first `{\"time\":\"2026-11-21T08:00:01Z\","), "{said}");
    (0..240).for_each(|i| log.line(i % 10, "1.1.0", ",\"ok\":true"));
    assert_eq!(log.counted(0, 10, None).0, [0, 241]);
    for bad in [
        "7",
        "[]",
        "{\"version\":\"1.1.0\"}",
        "{\"time\":\"soon\",\"version\":\"1.1.0\"}",
        "{\"time\":1e300,\"version\":\"1.1.0\"}",
        "{\"time\":5,\"version\":\"1.1.0\",\"ok\":\"yes\"}",
        "{\"time\":5,\"version\":\"1.1.0\",\"costs\":{\"tokens\":-3}}",
        "{\"time\":5,\"version\":\"1.1.0\",\"scores\":{\"faithfulness\":1e999}}",
        "\u{1}\u{2}",
    ] {
        let log = Log::new();
        log.append(&format!("{bad}\n{bad}\n"));
        let said = log.read(0, 10, None).expect_err(bad).to_string();
        assert!(said.contains("2 of 2 lines cannot be read"), "{said}");
    }
}

#[test]
fn long_lines_take_no_memory_and_do_not_hide_what_follows() {
    let log = Log::new();
    let long = "x".repeat(3 * LINE_MAX as usize + 7);
    log.append(&long);
    log.append(&"y".repeat(LINE_MAX as usize - 8));
    log.append("\n");
    log.line(1, "1.1.0", ",\"ok\":true");
    let (found, cursor) = log.counted(0, 10, None);
    assert_eq!(found, [0, 1]);
    log.line(11, "1.1.0", ",\"ok\":true");
    assert_eq!(log.counted(10, 20, Some(&cursor)).0, [0, 1]);
}

#[test]
fn a_file_that_is_none_says_so() {
    let log = Log::new();
    let nowhere = Source::new(log.dir.path().join("no/answers.jsonl"), Ranges::new());
    let nowhere = Log { source: nowhere, dir: tempfile::tempdir().expect("a folder"), model: log.model.clone() };
    assert!(nowhere.read(0, 10, None).expect_err("no folder").to_string().contains("cannot read `"));
    fs::create_dir(&log.source.path).expect("a folder");
    assert!(log.read(0, 10, None).expect_err("a folder").to_string().contains("is not a file"));
    assert!(log.read(0, 10, Some("{}")).expect_err("no cursor").to_string().contains("the cursor of the file"));
}

/// Nobody has answered yet, or a rotation has taken the file away and nobody has answered since.
#[test]
fn a_file_that_is_not_there_yet_is_waited_for() {
    let log = Log::new();
    let found = log.read(0, 10, None).expect("unknown");
    assert_eq!((found.stable.requests, found.canary.requests), (None, None), "unknown is not zero");
    assert!(found.missing.as_deref().is_some_and(|why| why.ends_with("answers.jsonl` is not there yet")), "{found:?}");
    let again = log.read(10, 20, found.cursor.as_deref()).expect("unknown");
    log.line(12, "1.0.0", ",\"ok\":true");
    log.line(21, "1.1.0", ",\"ok\":true");
    let (new, cursor) = log.counted(20, 30, again.cursor.as_deref());
    assert_eq!(new, [0, 1], "what was before the window is not of it");
    log.line(31, "1.1.0", ",\"ok\":true");
    log.rename("answers.jsonl.1");
    let (rest, cursor) = log.counted(30, 40, Some(&cursor));
    assert_eq!(rest, [0, 1], "the rest of what was taken away");
    let (none, cursor) = log.counted(40, 50, Some(&cursor));
    assert_eq!(none, [0, 0]);
    log.line(51, "1.1.0", ",\"ok\":true");
    assert_eq!(log.counted(50, 60, Some(&cursor)).0, [0, 1]);
}

/// An old file beside a log that is not there is not read whole, however much of it nobody can read.
#[test]
fn what_a_rotation_left_long_ago_does_not_count() {
    let log = Log::new();
    (0..9).for_each(|second| log.line(second, "1.1.0", ",\"ok\":true"));
    log.rename("answers.jsonl.1");
    let first = log.read(10, 10, None).expect("unknown");
    assert_eq!(log.counted(10, 20, first.cursor.as_deref()).0, [0, 0]);
}

/// The past of a log may be as long as the disk, and in another format.
#[test]
fn a_window_begins_near_the_end_of_a_long_log() {
    let log = Log::new();
    log.append(&"127.0.0.1 - - [21/Nov/2026:05:00:00 +0000] \"GET / HTTP/1.1\" 200 5\n".repeat(3_000));
    // Four answers a second up to 50 seconds after eight; each fiftieth line is of one that was judged an hour later.
    let (eight, all) = (1_795_248_000_i64, 40_000_u32);
    let time = |n: u32| eight as f64 - 9_950.0 + f64::from(n) / 4.0;
    let late = |n: &u32| n % 50 == 7;
    let (mut text, mut starts, before) = (String::new(), Vec::new(), fs::metadata(&log.source.path).expect("there").len());
    for n in 0..all {
        starts.push(before + text.len() as u64);
        let time = time(n) - if late(&n) { 3_600.0 } else { 0.0 };
        text.push_str(&format!("{{\"time\":{time},\"version\":\"1.1.0\",\"ok\":true}}\n"));
    }
    log.append(&text);
    for (from, lines) in [(0, 200), (13, 148), (49, 4), (50, 0)] {
        let of_window = (all - lines..all).filter(|n| !late(n)).count() as u64;
        assert_eq!(log.counted(from, 60, None).0, [0, of_window], "from {from} on");
    }
    let mut file = File::open(&log.source.path).expect("the log");
    let mut first =
        |second: i64| first_line(&mut file, Timestamp::from_micros((eight + second) * 1_000_000), &time_of).expect("found");
    for second in [-9_000, -100, 49, 50, 5_000] {
        let line = usize::try_from(4 * (second + 9_950)).expect("after the first");
        let truth = starts.get(line).copied().unwrap_or(before + text.len() as u64);
        let found = first(second);
        assert!(found <= truth && truth - found <= 3 << 16, "{second}: {found} of {truth}");
        assert!(starts.contains(&found), "{second}: a line begins at {found}");
    }
    assert_eq!(first(-100_000_000), 0, "what does not tell its time may be of any");
}
