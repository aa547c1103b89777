//! Ingestion when something around it fails: a service, a disk, a signal, permissions, files that become something else.

use crate::ingest_faults::{sound, start};
use crate::repo::{ends, init, json, ok};
use crate::support::documents::{pdf_of, prose};
use crate::support::sandbox::{Engine, Run, Sandbox, on_both_engines};
use crate::support::strace::{Fault, Point, Strace};
use crate::support::tty::{Shell, Tty};
use crate::support::{serve, skip, wait_until};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use kf::domain::ingest::reason::Refusal;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Child;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

fn signal(child: &Child, name: &str) {
    let sent = std::process::Command::new("kill").args([name, &child.id().to_string()]).status();
    assert!(sent.is_ok_and(|s| s.success()), "kill {name}");
}

/// A service of vectors as OpenAI's API reference describes it ("Create embeddings"); a fake.
#[derive(Default)]
struct Vectors {
    requests: AtomicUsize,
    /// From this request on every one is refused; 0 refuses none.
    refuses_from: AtomicUsize,
    /// From this request on every one waits until this is 0 again.
    waits_from: AtomicUsize,
    /// How often each text was given a vector.
    given: Mutex<HashMap<String, usize>>,
}

impl Vectors {
    fn answer(&self, asked: &Value) -> Response {
        let n = self.requests.fetch_add(1, Ordering::SeqCst) + 1;
        let from = self.refuses_from.load(Ordering::SeqCst);
        if from > 0 && n >= from {
            let said = json!({"error": {"message": "You exceeded your quota", "type": "insufficient_quota"}});
            return (StatusCode::FORBIDDEN, axum::Json(said)).into_response();
        }
        let texts: Vec<&str> = asked["input"].as_array().expect("texts").iter().map(|t| t.as_str().expect("a text")).collect();
        let data = texts.iter().enumerate().map(|(index, text)| {
            *self.given.lock().expect("lock").entry((*text).to_owned()).or_default() += 1;
            let first = text.bytes().map(u32::from).sum::<u32>() % 97 + 1;
            json!({"object": "embedding", "index": index, "embedding": [first, 50, 7, 1]})
        });
        let data: Vec<Value> = data.collect();
        axum::Json(json!({"object": "list", "data": data, "model": "m-1", "usage": {"prompt_tokens": 1, "total_tokens": 1}}))
            .into_response()
    }

    /// Serves until the test ends; the address.
    fn serve(self: &Arc<Self>) -> String {
        let this = Arc::clone(self);
        let app = move |axum::Json(asked): axum::Json<Value>| async move {
            while (1..=this.requests.load(Ordering::SeqCst) + 1).contains(&this.waits_from.load(Ordering::SeqCst)) {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            this.answer(&asked)
        };
        format!("http://{}/v1", serve(axum::Router::new().route("/v1/embeddings", axum::routing::post(app))))
    }

    /// How many texts were given a vector so often.
    fn given(&self, times: usize) -> usize {
        self.given.lock().expect("lock").values().filter(|n| **n == times).count()
    }
}

/// A repository whose vectors come from a service, two texts a request, and 150 files.
fn served(s: &Sandbox, vectors: &Arc<Vectors>) {
    init(s);
    let config = format!(
        "{}\n[embedder]\nkind = \"endpoint\"\nurl = \"{}\"\nmodel = \"m-1\"\ndimensions = 4\nbatch = 2\nconcurrency = 1\n",
        s.read("mlops.toml"),
        vectors.serve()
    );
    s.write("mlops.toml", config);
    for i in 0..150 {
        s.write(format!("docs/{i:03}.txt"), prose(&format!("thing{i}"), i));
    }
}

#[test]
fn a_service_that_fails_at_batch_37_is_paid_for_nothing_twice() {
    on_both_engines(|s| {
        let vectors = Arc::new(Vectors::default());
        vectors.refuses_from.store(37, Ordering::SeqCst);
        served(s, &vectors);
        let failed = ends(s, 1, ["ingest", "docs"]);
        assert!(failed.stderr.contains("quota") && failed.stderr.contains("hint"), "{failed}");
        assert_eq!((vectors.given(1), vectors.given(2)), (72, 0), "36 batches of two were answered");
        sound(s);
        vectors.refuses_from.store(0, Ordering::SeqCst);
        let whole = json(&ok(s, ["ingest", "docs", "--format", "json"]));
        assert_eq!(whole["added"].as_u64().zip(whole["unchanged"].as_u64()).map(|(a, u)| a + u), Some(150), "{whole}");
        let chunks = json(&ok(s, ["ingest", "status", "--format", "json"]))["collections"][0]["chunks"].as_u64();
        assert_eq!((vectors.given(1) as u64, vectors.given(2)), (chunks.expect("a number"), 0), "each text once");
        sound(s);
    });
}

#[test]
fn vectors_that_were_kept_go_with_the_grace_and_answers_stay() {
    on_both_engines(|s| {
        let vectors = Arc::new(Vectors::default());
        served(s, &vectors);
        ok(s, ["ingest", "docs"]);
        let dropped = |when: &str, args: &[&str]| {
            let mut command = s.command(env!("CARGO_BIN_EXE_kf"));
            let run = s.finish(command.args(["gc", "--format", "json"]).args(args).env("KF_CLOCK", when));
            assert_eq!(run.code, Some(0), "{run}");
            json(&run)["vectors"].as_u64()
        };
        let now = s.environment()["KF_CLOCK"].clone();
        assert_eq!(dropped(&now, &["--apply"]), Some(0), "they are young");
        let (all, late) = (vectors.given(1) as u64, "2090-01-01T00:00:00Z");
        assert_eq!(dropped(late, &[]), Some(all), "only told");
        assert_eq!((dropped(late, &["--apply"]), dropped(late, &["--apply"])), (Some(all), Some(0)));
        assert!(ok(s, ["search", "thing7", "--hybrid"]).stdout.contains("docs/"));
        sound(s);
        // What comes back is embedded again, once.
        ok(s, ["ingest", "rm", "docs/007.txt"]);
        ok(s, ["ingest", "docs"]);
        assert_eq!(vectors.given(2), 1);
    });
}

#[test]
fn a_run_that_is_killed_pays_at_most_for_the_batch_on_its_way() {
    on_both_engines(|s| {
        let vectors = Arc::new(Vectors::default());
        served(s, &vectors);
        for kill_at in [5, 30, 60] {
            let mut child = start(s);
            assert!(wait_until(60, || vectors.requests.load(Ordering::SeqCst) >= kill_at), "it asks");
            child.kill().expect("killed");
            child.wait().expect("ended");
        }
        ok(s, ["ingest", "docs"]);
        let twice = vectors.given(2);
        assert!(twice <= 3 * 2, "{twice} texts were paid for twice by three kills of one batch of two each");
        assert_eq!(vectors.given(1) + twice, vectors.given.lock().expect("lock").len(), "none more often");
        sound(s);
    });
}

#[test]
fn a_run_that_is_interrupted_says_so_and_the_next_one_goes_on() {
    for (name, code) in [("-INT", 130), ("-TERM", 143)] {
        let s = &Sandbox::new();
        let vectors = Arc::new(Vectors::default());
        served(s, &vectors);
        vectors.waits_from.store(41, Ordering::SeqCst);
        let child = start(s);
        // The first batch of documents is committed when the second one is asked for.
        assert!(wait_until(60, || vectors.requests.load(Ordering::SeqCst) >= 40), "it asks");
        signal(&child, name);
        vectors.waits_from.store(0, Ordering::SeqCst);
        let out = child.wait_with_output().expect("ended");
        let ended = out.status.code().or(out.status.signal().map(|n| n + 128));
        assert_eq!(ended, Some(code), "{}", String::from_utf8_lossy(&out.stderr));
        sound(s);
        let rest = json(&ok(s, ["ingest", "docs", "--format", "json"]));
        assert!(rest["unchanged"].as_u64() >= Some(64), "{rest}");
        assert_eq!(vectors.given.lock().expect("lock").len(), 150);
        sound(s);
    }
}

/// The page's table and the program agree, reason by reason.
#[test]
fn the_page_says_how_a_run_ends_for_each_reason() {
    let page = std::fs::read_to_string(crate::support::project().join("docs/ingest.md")).expect("the page");
    let told: Vec<(&str, &str)> = page
        .lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.strip_prefix("| `")?.strip_suffix(" |")?.split(" | ").collect();
            Some((cells.first()?.strip_suffix('`')?, *cells.last()?))
        })
        .collect();
    let known: Vec<_> = Refusal::ALL.iter().map(|r| (r.word(), if r.is_by_rule() { "0" } else { "5" })).collect();
    assert_eq!(told, known);
}

#[test]
fn a_rule_that_decides_is_an_answer_and_a_file_that_cannot_be_read_a_failure() {
    let s = &Sandbox::new();
    init(s);
    s.write("mlops.toml", s.read("mlops.toml") + "\n[ingest]\nreject = [\"length\", \"readability\"]\nmax-file-mib = 1\n");
    let hard = "Notwithstanding aforementioned jurisdictional considerations, intergovernmental organizational accountability \
        necessitates comprehensive interdisciplinary methodological standardization, institutionalization and operationalization. ";
    s.write("docs/1/good.txt", prose("lantern", 1));
    s.write("docs/1/short.txt", "Too short.");
    s.write("docs/2/copy.txt", prose("lantern", 1));
    s.write("docs/3/hard.txt", hard.repeat(8));
    s.write("docs/4/empty.txt", "");
    s.write("docs/5/image.pdf", pdf_of(b"q 100 0 0 100 0 0 cm /Im1 Do Q", "", ""));
    s.write("docs/6/large.txt", vec![b'a'; (1 << 20) + 1]);
    s.write("docs/7/cut.pdf", "%PDF-1.4\n1 0 obj");
    for (folder, reason, code) in [
        ("docs/1", "too-short", 0),
        ("docs/2", "duplicate", 0),
        ("docs/3", "quality", 0),
        ("docs/4", "empty", 5),
        ("docs/5", "no-text", 5),
        ("docs/6", "too-large", 5),
        ("docs/7", "malformed", 5),
    ] {
        // A run does not become good by being repeated.
        for _ in 0..2 {
            let run = json(&ends(s, code, ["ingest", folder, "--format", "json"]));
            assert_eq!(run["refused"], json!({reason: 1}), "{run}");
        }
    }
}

#[test]
fn who_may_not_read_a_file_is_told_so_and_keeps_what_was_taken() {
    if !rustix::process::geteuid().is_root() {
        return skip("only root can become somebody else");
    }
    let s = &Sandbox::new();
    init(s);
    for i in 0..3 {
        s.write(format!("docs/{i}.txt"), prose(&format!("thing{i}"), i));
    }
    s.write("docs/sub/3.txt", prose("thing3", 3));
    let owned = std::process::Command::new("chown").args(["-R", "65534:65534"]).arg(s.root()).status();
    assert!(owned.is_ok_and(|s| s.success()), "chown runs");
    let nobody = |args: &[&str]| -> Run {
        let mut command = s.command("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", env!("CARGO_BIN_EXE_kf")]).args(args);
        s.finish(&mut command)
    };
    let first = nobody(&["ingest", "docs"]);
    assert_eq!(first.code, Some(0), "{first}");
    let locked = [s.work().join("docs/1.txt"), s.work().join("docs/sub")];
    let lock = |mode| {
        let set = |path| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("its mode");
        locked.iter().for_each(set);
    };
    lock(0o000);
    let run = nobody(&["ingest", "docs", "--rehash", "--format", "json"]);
    assert_eq!((run.code, &json(&run)["refused"]), (Some(5), &json!({"unreadable": 2})), "{run}");
    assert_eq!(json(&run)["removed"], 0, "what is below a folder that cannot be read is not gone: {run}");
    assert!(run.stdout.contains("Permission denied"), "{run}");
    for source in ["docs/1.txt", "docs/sub/3.txt"] {
        assert_eq!(nobody(&["ingest", "show", source]).code, Some(0), "{source} stays");
    }
    lock(0o755);
    let run = nobody(&["ingest", "docs", "--rehash", "--format", "json"]);
    assert_eq!((run.code, &json(&run)["unchanged"]), (Some(0), &4.into()), "{run}");
}

#[test]
fn a_file_that_becomes_a_folder_and_back_is_followed() {
    on_both_engines(|s| {
        init(s);
        let file = s.write("docs/a.txt", prose("lantern", 1));
        ok(s, ["ingest", "docs"]);
        std::fs::remove_file(&file).expect("removed");
        s.write("docs/a.txt/b.txt", prose("kite", 2));
        let run = json(&ok(s, ["ingest", "docs", "--format", "json"]));
        assert_eq!((&run["added"], &run["removed"]), (&1.into(), &1.into()), "{run}");
        ends(s, 1, ["ingest", "show", "docs/a.txt"]);
        std::fs::remove_dir_all(&file).expect("removed");
        s.write("docs/a.txt", prose("anchor", 3));
        let run = json(&ok(s, ["ingest", "docs", "--format", "json"]));
        assert_eq!((&run["added"], &run["removed"]), (&1.into(), &1.into()), "{run}");
        sound(s);
    });
}

#[test]
fn a_full_disk_at_any_step_leaves_nothing_half_there() {
    let strace = match Strace::find() {
        Ok(strace) => strace,
        Err(why) => return skip(&why),
    };
    let fresh = || {
        let s = Sandbox::new();
        init(&s);
        for i in 0..70 {
            s.write(format!("docs/{i:03}.txt"), prose(&format!("thing{i}"), i));
        }
        s
    };
    let command: Vec<String> = [env!("CARGO_BIN_EXE_kf"), "ingest", "docs"].map(str::to_owned).into();
    let (calm, points) = strace.rehearse(&fresh(), &["pwrite64", "fdatasync", "ftruncate"], &command);
    assert_eq!(calm.code, Some(0), "{calm}");
    assert!(points.len() > 10, "{points:?}");
    // The rows, their vectors among them, are the bulk of what is written.
    let last = points.iter().filter(|p| p.call == "pwrite64").map(|p| p.n).max().expect("writes");
    for n in [1, last / 4, last / 2, last * 3 / 4, last] {
        let s = &fresh();
        let struck = strace.strike(s, Fault::NoSpace, &Point { call: "pwrite64".to_owned(), n: n.max(1) }, &command);
        let struck = struck.expect("an eventfd is written by `write`");
        // The last writes are those of closing, when all was committed.
        assert!(struck.code == Some(1) || n == last, "write {n} of {last}: {struck}");
        if struck.code == Some(1) {
            assert!(struck.stderr.contains("full") || struck.stderr.contains("space"), "write {n}: {struck}");
        }
        ok(s, ["fsck"]);
        ok(s, ["audit", "verify"]);
        let whole = json(&ok(s, ["ingest", "docs", "--format", "json"]));
        assert_eq!(whole["added"].as_u64().zip(whole["unchanged"].as_u64()).map(|(a, u)| a + u), Some(70), "{whole}");
        sound(s);
    }
}

/// A run over files that are as they were costs the state the same, however many they are, taken and refused ones alike.
#[test]
fn files_that_are_as_they_were_cost_the_state_nothing_each() {
    let strace = match Strace::find() {
        Ok(strace) => strace,
        Err(why) => return skip(&why),
    };
    let calls_of = |engine: Engine, files: usize, text: &dyn Fn(usize) -> String, code: i32| -> Option<usize> {
        let s = Sandbox::on(engine).map_err(|why| skip(&format!("{engine}: {why}"))).ok()?;
        init(&s);
        for i in 0..files {
            s.write(format!("docs/{i:03}.txt"), text(i));
        }
        ends(&s, code, ["ingest", "docs"]);
        let command: Vec<String> = [env!("CARGO_BIN_EXE_kf"), "ingest", "docs", "--jobs", "1"].map(str::to_owned).into();
        // A transaction on a file locks it, a statement on a server is sent.
        let (run, calls) = strace.record(&s, &[if engine == Engine::Files { "fcntl" } else { "sendto" }], &command);
        assert_eq!(run.code, Some(code), "{run}");
        Some(calls.iter().filter(|(call, arguments)| call == "sendto" || arguments.contains("state.db")).count())
    };
    let taken = |i: usize| prose(&format!("thing{i}"), i);
    let refused = |i: usize| format!("Short {i}.");
    let empty = |_: usize| String::new();
    for engine in [Engine::Files, Engine::Servers] {
        let kinds: [(&dyn Fn(usize) -> String, i32); 3] = [(&taken, 0), (&refused, 0), (&empty, 5)];
        for (text, code) in kinds {
            let (Some(few), Some(many)) = (calls_of(engine, 10, text, code), calls_of(engine, 300, text, code)) else { return };
            assert!(few > 0 && many <= few + 4, "{engine}, exit {code}: {few} calls for 10 files, {many} for 300");
        }
    }
}

#[test]
fn a_person_sees_how_far_it_is_and_a_pipe_does_not() {
    let s = &mut Sandbox::new();
    init(s);
    s.write("docs/a.txt", prose("lantern", 1));
    // So long that it is still being read when somebody looks.
    let lines = "(So many words as nobody reads in a second.) Tj T*\n".repeat(200_000);
    s.write("docs/book.pdf", pdf_of(format!("BT /F1 11 Tf 14 TL 50 740 Td\n{lines}ET").as_bytes(), "", ""));
    let piped = s.kf(["ingest", "docs/a.txt", "--collection", "piped"]);
    assert_eq!((piped.code, piped.stderr.as_str()), (Some(0), ""), "{piped}");
    s.set("CI", "");
    s.set("TERM", "screen");
    let tty = match Tty::start(s, Shell::Bash) {
        Ok(tty) => tty,
        Err(why) => return skip(&why),
    };
    tty.line("kf ingest docs; echo ended");
    let seen = tty.wait_for("1 of 2 documents, 0 refused");
    assert!(seen.contains('/') && seen.contains("MiB"), "bytes of all bytes: {seen}");
    tty.wait_for("in default");
    let left = tty.wait_for("\nended");
    assert!(!left.contains("of 2 documents"), "the bar is gone: {left}");
}

#[test]
fn what_is_said_of_a_file_stays_on_one_line() {
    let s = Sandbox::new();
    init(&s);
    s.write("docs/two\nlines\u{1b}[31m.txt", "Too short.");
    let run = ok(&s, ["ingest", "docs"]);
    assert!(run.stdout.starts_with("too-short: docs/two\\nlines\\u{1b}[31m.txt: "), "{run}");
    assert_eq!(run.stdout.lines().count(), 2, "{run}");
}
