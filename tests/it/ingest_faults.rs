//! Ingestion when it is killed, when its workers die, and on files that nobody would hand in on purpose.

use crate::repo::{ends, init, json, ok};
use crate::support::documents::{docx, docx_of, html, pdf, pdf_of, prose, zip};
use crate::support::sandbox::{Engine, Sandbox};
use crate::support::{pg, skip, variable, wait_until};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// All that is kept of documents but what chance and time put in, in one order.
const DUMP: &str = "SELECT d.source || '|' || coalesce(d.reason, '') || '|' || coalesce(d.detail, '') || '|' || \
    coalesce(d.language, '') || '|' || d.characters || '|' || d.chunks || '|' || coalesce(d.copy_of, '') || '|' || \
    d.stale || '|' || coalesce(CAST(d.quality * 1000 AS BIGINT), -1) || '|' || d.checks || '|' || d.warnings || '|' || \
    coalesce(c.start || '-' || c.fresh || '-' || c.stop || '|' || c.heading || '|' || HEX(c.vector), '') || '|' || \
    coalesce(HEX(t.body), '') AS line FROM document d LEFT JOIN chunk c ON c.document = d.id \
    LEFT JOIN document_text t ON t.document = d.id ORDER BY d.source, c.pos";

fn dump(s: &Sandbox) -> String {
    match s.engine() {
        Engine::Servers => {
            let url = s.environment().remove("KF_STATE_URL").expect("a server");
            let database = url.rsplit('/').next().and_then(|n| n.split('?').next()).expect("a database").to_owned();
            let sql = DUMP.replace("HEX(c.vector)", "encode(c.vector, 'hex')").replace("HEX(t.body)", "encode(t.body, 'hex')");
            pg::shared().expect("a server").query(&database, &sql).expect("a dump")
        }
        Engine::Files => {
            let db = rusqlite::Connection::open(s.work().join(".kf/state.db")).expect("a state");
            let mut select = db.prepare(DUMP).expect("a query");
            let lines = select.query_map([], |row| row.get::<_, String>(0)).expect("rows");
            lines.map(|line| line.expect("a row") + "\n").collect()
        }
    }
}

/// A folder on which a run makes several commits, with copies, refusals and files for workers among the others.
fn folder(s: &Sandbox) {
    init(s);
    for i in 0..150 {
        let text = prose(&format!("thing{i}"), i);
        match i % 25 {
            3 => s.write(format!("docs/{i:03}.pdf"), pdf(&text)),
            7 => s.write(format!("docs/{i:03}.docx"), docx(&text)),
            9 => s.write(format!("docs/{i:03}.txt"), "Too short."),
            12 => s.write(format!("docs/{i:03}.html"), html("Things", &text)),
            // Copies and near copies of files that go, that change and that stay.
            14 => s.write(format!("docs/{i:03}.txt"), prose("thing1", 1)),
            16 => s.write(format!("docs/{i:03}.txt"), near(5, i)),
            17 => s.write(format!("docs/{i:03}.txt"), near(6, i)),
            18 => s.write(format!("docs/{i:03}.txt"), near(10, i)),
            _ => s.write(format!("docs/{i:03}.txt"), text),
        };
    }
}

/// A text that says nearly what file `of` says.
fn near(of: usize, i: usize) -> String {
    format!("{} And {i} more words are here.\n", prose(&format!("thing{of}"), of))
}

/// What a later run finds: some files changed, some gone, some moved, some copies before what they are copies of.
fn change(s: &Sandbox) {
    let docs = s.work().join("docs");
    for i in [0, 5, 70, 100, 149] {
        s.write(format!("docs/{i:03}.txt"), prose(&format!("other{i}"), i));
    }
    for i in [1, 10, 90] {
        std::fs::remove_file(docs.join(format!("{i:03}.txt"))).expect("removed");
    }
    std::fs::rename(docs.join("002.txt"), docs.join("zzz.txt")).expect("moved");
    std::fs::rename(docs.join("120.txt"), docs.join("000a.txt")).expect("moved");
    s.write("docs/000b.txt", prose("thing8", 8));
    s.write("docs/000c.txt", near(6, 1_000));
    s.write("docs/034.txt", prose("thing110", 110));
}

/// Begins to take in the folder `docs`.
pub(crate) fn start(s: &Sandbox) -> Child {
    let mut command = s.command(env!("CARGO_BIN_EXE_kf"));
    command.args(["ingest", "docs", "--format", "json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("kf starts")
}

/// All that verifies finds nothing.
pub(crate) fn sound(s: &Sandbox) {
    for args in [&["fsck"][..], &["audit", "verify"], &["index", "verify"]] {
        let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(args));
        // Killed before there was a collection: nothing to verify is right, too.
        let none = run.stderr.contains("has no collection");
        assert!(run.code == Some(0) || none && args[0] == "index", "{args:?}\n{run}");
    }
}

/// The next of a row of numbers that look random, below `below`.
fn next(seed: &mut u64, below: u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33) % below
}

fn killed_at_any_moment(engine: Engine, few: u64) {
    let fresh = || Sandbox::on(engine).map_err(|why| skip(&format!("{engine}: {why}")));
    let Ok(calm) = fresh() else { return };
    folder(&calm);
    let mut took = Vec::new();
    for step in [None, Some(change as fn(&Sandbox))] {
        step.iter().for_each(|change| change(&calm));
        let started = Instant::now();
        ok(&calm, ["ingest", "docs"]);
        took.push(u64::try_from(started.elapsed().as_millis()).expect("short"));
    }
    let wanted = dump(&calm);
    assert!(wanted.lines().count() > 120, "{wanted}");
    let Ok(at_once) = fresh() else { return };
    folder(&at_once);
    change(&at_once);
    ok(&at_once, ["ingest", "docs"]);
    assert_eq!(dump(&at_once), wanted, "two runs end as one that finds all of it");
    let times = if variable("KF_TEST_SWEEP").is_some_and(|v| v == "all") { 50 } else { few };
    let (mut seed, mut died) = (7, 0);
    for _ in 0..times {
        let Ok(s) = fresh() else { return };
        folder(&s);
        for (step, most) in [None, Some(change as fn(&Sandbox))].iter().zip(&took) {
            step.iter().for_each(|change| change(&s));
            let mut child = start(&s);
            std::thread::sleep(Duration::from_millis(next(&mut seed, *most)));
            child.kill().expect("killed");
            died += u64::from(child.wait().expect("ended").signal() == Some(9));
            sound(&s);
        }
        ok(&s, ["ingest", "docs"]);
        let found = dump(&s);
        let differs = found.lines().zip(wanted.lines()).find(|(a, b)| a != b);
        let shown = differs.map(|(a, b)| [a, b].map(|line| line.chars().take(400).collect::<String>()));
        assert!(found == wanted, "the state differs from that of an undisturbed run, first here: {shown:#?}");
        sound(&s);
    }
    assert!(died >= times, "{died} of {} runs were killed before their end", times * 2);
}

#[test]
fn killed_at_any_moment_it_ends_as_undisturbed_on_files() {
    killed_at_any_moment(Engine::Files, 4);
}

#[test]
fn killed_at_any_moment_it_ends_as_undisturbed_on_servers() {
    killed_at_any_moment(Engine::Servers, 2);
}

/// Copies, near copies and others; which is kept must not depend on how they came in.
fn copies() -> Vec<(String, String)> {
    let texts = [
        ("c", prose("thing1", 1)),
        ("a", near(2, 1)),
        ("m/b", prose("thing1", 1)),
        ("f", prose("thing2", 2)),
        ("b", prose("thing3", 3)),
        ("z/a", prose("thing1", 1)),
        ("e", near(2, 2)),
        ("d", near(2, 1)),
    ];
    texts.map(|(name, text)| (format!("docs/{name}.txt"), text)).into()
}

#[test]
fn what_becomes_of_copies_depends_on_the_files_alone() {
    for rules in ["", "[ingest]\nreject = [\"length\", \"unique\"]\n"] {
        let start = || {
            let s = Sandbox::new();
            init(&s);
            s.write("mlops.toml", s.read("mlops.toml") + rules);
            s
        };
        let calm = &start();
        copies().iter().for_each(|(path, text)| drop(calm.write(path, text)));
        let all = json(&ok(calm, ["ingest", "docs", "--format", "json"]));
        assert_eq!(all["added"], if rules.is_empty() { 5 } else { 3 }, "{all}");
        let wanted = dump(calm);
        let mut seed = 11;
        for round in 0..3 {
            let s = &start();
            // One by one, in another order each time, with others in the way that go again.
            let mut left = copies();
            while !left.is_empty() {
                let (path, text) = left.remove(usize::try_from(next(&mut seed, left.len() as u64)).expect("small"));
                let way = format!("docs/{}{}.txt", ["", "zz"][left.len() % 2], left.len());
                s.write(&way, &text);
                ok(s, ["ingest", &way]);
                s.write(&path, &text);
                std::fs::remove_file(s.work().join(&way)).expect("removed");
                match round {
                    // The folder's run takes out what is gone; a run that reads one file leaves that to the last one.
                    0 => ok(s, ["ingest", "docs"]),
                    _ => ok(s, ["ingest", &path]),
                };
            }
            ok(s, ["ingest", "docs"]);
            assert_eq!(dump(s), wanted, "round {round} with {rules:?}");
            sound(s);
        }
    }
}

#[test]
fn a_copy_that_is_judged_again_is_counted_once_and_keeps_its_notes() {
    let s = &Sandbox::new();
    init(s);
    s.write("docs/b/one.txt", prose("thing1", 1));
    ok(s, ["ingest", "docs/b", "--meta", "by=ada"]);
    s.write("docs/a/one.txt", prose("thing1", 1));
    // The file that is read comes first by its path, so the one that was there before becomes the copy.
    let run = json(&ok(s, ["ingest", "docs/a", "--format", "json"]));
    assert_eq!((&run["added"], &run["refused"]), (&1.into(), &serde_json::json!({"duplicate": 1})), "{run}");
    let kept = json(&ok(s, ["ingest", "show", "docs/b/one.txt", "--format", "json"]));
    assert_eq!((&kept["reason"], &kept["meta"]["by"]), (&"duplicate".into(), &"ada".into()), "{kept}");
    std::fs::remove_file(s.work().join("docs/a/one.txt")).expect("removed");
    let run = json(&ok(s, ["ingest", "docs/a", "--format", "json"]));
    assert_eq!((&run["removed"], &run["replaced"], &run["refused"]), (&1.into(), &1.into(), &serde_json::json!({})), "{run}");
    let kept = json(&ok(s, ["ingest", "show", "docs/b/one.txt", "--format", "json"]));
    assert_eq!((&kept["reason"], &kept["meta"]["by"]), (&Value::Null, &"ada".into()), "{kept}");
    sound(s);
}

/// The worker that a run of kf started, once it is there.
fn worker_of(kf: u32) -> Option<String> {
    let mut found = None;
    wait_until(60, || {
        let children = std::fs::read_to_string(format!("/proc/{kf}/task/{kf}/children")).unwrap_or_default();
        let tasks = std::fs::read_dir(format!("/proc/{kf}/task")).into_iter().flatten().flatten();
        let all = tasks.filter_map(|t| std::fs::read_to_string(t.path().join("children")).ok()).collect::<String>() + &children;
        let is_worker = |pid: &&str| {
            std::fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains("extract-worker"))
        };
        found = all.split_whitespace().find(is_worker).map(str::to_owned);
        found.is_some()
    });
    found
}

#[test]
fn a_worker_that_is_killed_costs_one_document_and_only_for_now() {
    let s = &Sandbox::new();
    init(s);
    for i in 0..5 {
        s.write(format!("docs/{i}.txt"), prose(&format!("thing{i}"), i));
    }
    s.write("docs/book.pdf", pdf(&prose("book", 3)));
    ok(s, ["ingest", "docs"]);
    // So long that its reading is still going on when it is found.
    let lines = "(So many words as nobody reads in a second.) Tj T*\n".repeat(400_000);
    s.write("docs/book.pdf", pdf_of(format!("BT /F1 11 Tf 14 TL 50 740 Td\n{lines}ET").as_bytes(), "", ""));
    s.write("docs/9.docx", docx(&prose("drum", 8)));
    s.write("docs/z.txt", prose("zebra", 9));
    // On one thread the small one that needs a worker is read first.
    let mut command = s.command(env!("CARGO_BIN_EXE_kf"));
    command.args(["ingest", "docs", "--format", "json", "--jobs", "1"]).stdout(Stdio::piped());
    let child = command.spawn().expect("kf starts");
    let worker = worker_of(child.id()).expect("a worker");
    // The small document takes milliseconds, the book seconds.
    std::thread::sleep(Duration::from_millis(700));
    s.finish(std::process::Command::new("sh").args(["-c", &format!("kill -9 {worker}")]));
    let out = child.wait_with_output().expect("kf ends");
    let report: Value = serde_json::from_slice(&out.stdout).expect("JSON");
    assert_eq!((out.status.code(), &report["refused"]), (Some(5), &serde_json::json!({"crashed": 1})), "{report}");
    assert_eq!((&report["added"], &report["unchanged"]), (&2.into(), &5.into()), "{report}");
    let kept = ok(s, ["ingest", "show", "docs/book.pdf", "--text"]);
    assert!(kept.stdout.contains("This page is about the book"), "what was taken before stays: {kept}");
    sound(s);
    s.write("docs/book.pdf", pdf(&prose("manual", 5)));
    assert_eq!(json(&ok(s, ["ingest", "docs", "--format", "json"]))["replaced"], 1, "it is read again");
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut out = ZlibEncoder::new(Vec::new(), Compression::fast());
    out.write_all(bytes).and_then(|()| out.finish()).expect("packed")
}

fn utf16(text: &str, bom: bool) -> Vec<u8> {
    text.encode_utf16().fold(if bom { vec![0xff, 0xfe] } else { Vec::new() }, |mut out, unit| {
        out.extend(unit.to_le_bytes());
        out
    })
}

/// The same PDF behind a password.
fn locked(bytes: &[u8]) -> Vec<u8> {
    let mut document = lopdf::Document::load_mem(bytes).expect("a PDF");
    let id = lopdf::Object::string_literal(&b"0123456789abcdef"[..]);
    document.trailer.set("ID", vec![id.clone(), id]);
    let version = lopdf::EncryptionVersion::V2 {
        document: &document,
        owner_password: "owner",
        user_password: "user",
        key_length: 128,
        permissions: lopdf::Permissions::all(),
    };
    let state = lopdf::EncryptionState::try_from(version).expect("keys");
    document.encrypt(&state).expect("encrypted");
    let mut out = Vec::new();
    document.save_to(&mut out).expect("saved");
    out
}

/// Names, bytes, and what is said of them: a reason, or a word that must be found in the text.
fn strange() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let umlauts = "Die Übung für die Größe der Tür ist möglich, weil das Gebäude über dem Fluss später gebaut wird und \
        die Bürger dafür gewöhnlich Verständnis haben, auch wenn es länger dauert. ";
    let french = "Un élève a écrit à sa mère que la forêt était très belle cet été, et qu'il espérait y rester jusqu'à la fête. ";
    let latin1 = |text: &str| text.chars().map(|c| u8::try_from(u32::from(c)).expect("Latin-1")).collect::<Vec<u8>>();
    let good = pdf(&prose("quarry", 21));
    let deep_html = format!("<html><body>{}{}</body></html>", "<div>".repeat(100_000), prose("cellar", 22));
    let zeros = vec![b'0'; 9 << 20];
    let xxe = r#"<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]>"#;
    let leak = format!("<w:p><w:r><w:t>{} &x; end</w:t></w:r></w:p>", prose("postbox", 23));
    vec![
        ("empty.txt", Vec::new(), "empty"),
        ("white.txt", b" \n\t \n".to_vec(), "empty"),
        ("twenty.txt", b"Exactly 20 letters..".to_vec(), "too-short"),
        ("image.pdf", pdf_of(b"q 100 0 0 100 0 0 cm /Im1 Do Q", "", ""), "no-text"),
        ("locked.pdf", locked(&good), "encrypted"),
        ("cut.pdf", good[..40].to_vec(), "malformed"),
        (
            "loop.pdf",
            String::from_utf8(good.clone()).expect("text").replace("/Kids [3 0 R]", "/Kids [2 0 R]").into_bytes(),
            "malformed",
        ),
        ("bomb.pdf", pdf_of(&deflated(&zeros), " /Filter /FlateDecode", ""), "too-large"),
        ("bomb.docx", docx(&"0".repeat(9 << 20)), "too-large"),
        ("bomb.zip", zip(&[("a.txt", &zeros)]), "too-large"),
        ("deep.html", deep_html.into_bytes(), "=cellar"),
        ("deep.json", "[".repeat(100_000).into_bytes(), "malformed"),
        ("elf.txt", [b"\x7fELF\x02\x01\x01".as_slice(), &[0; 300]].concat(), "unsupported"),
        ("latin1.txt", latin1(&french.repeat(2)), "=élève"),
        ("cp1252.txt", [latin1(&umlauts.repeat(2)), b"\x84Ja\x93 kostet 5 \x80.".to_vec()].concat(), "=€"),
        ("utf16.txt", utf16(&prose("harbour", 26), true), "=harbour"),
        ("utf16-no-bom.txt", utf16(&prose("mill", 27), false), "=mill"),
        ("new\nline.txt", prose("newline", 24).into_bytes(), "=newline"),
        ("xxe.docx", docx_of(xxe, &leak), "=postbox"),
        ("large.txt", vec![b'a'; (2 << 20) + 1], "too-large"),
    ]
}

#[test]
fn each_bad_file_has_its_reason_and_stops_nobody() {
    let s = &Sandbox::new();
    init(s);
    s.write("mlops.toml", s.read("mlops.toml") + "[ingest]\nmax-file-mib = 2\n");
    let strange = strange();
    for (name, bytes, _) in &strange {
        s.write(format!("docs/{name}"), bytes);
    }
    let docs = s.work().join("docs");
    s.write("outside.txt", prose("outside", 25));
    std::os::unix::fs::symlink("../outside.txt", docs.join("link.txt")).expect("a link");
    assert!(std::process::Command::new("mkfifo").arg(docs.join("pipe.txt")).status().expect("mkfifo runs").success());
    let run = ends(s, 5, ["ingest", "docs", "--format", "jsonl"]);
    assert!(run.stderr.is_empty(), "{}", run.stderr);
    let lines: Vec<Value> = run.stdout.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    let reasons: BTreeMap<&str, &str> = lines
        .iter()
        .map(|l| (l["source"].as_str().expect("a source"), l["reason"].as_str().unwrap_or(l["result"].as_str().expect("a word"))))
        .collect();
    let mut wrong = Vec::new();
    for (name, _, wanted) in &strange {
        let (source, found) = (format!("docs/{name}"), reasons[format!("docs/{name}").as_str()]);
        match wanted.strip_prefix('=') {
            Some(word) if found == "added" => {
                let text = ok(s, ["ingest", "show", &source, "--text"]).stdout;
                wrong.extend((!text.contains(word) || text.contains("root:")).then(|| format!("{name}: {text}")));
            }
            _ => wrong.extend((found != *wanted).then(|| format!("{name}: {found}, not {wanted}"))),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}\n{run}");
    assert_eq!((reasons["docs/link.txt"], reasons["docs/pipe.txt"]), ("not-a-file", "not-a-file"));
    sound(s);
}

#[test]
fn looks_are_believed_until_they_are_told_not_to_be() {
    let s = &Sandbox::new();
    init(s);
    s.write("docs/a.txt", prose("lantern", 1));
    // Long after the file was written, so that its looks can be trusted.
    let later = |more: &[&str]| {
        let mut command = s.command(env!("CARGO_BIN_EXE_kf"));
        let run =
            s.finish(command.args(["ingest", "docs", "--format", "json"]).args(more).env("KF_CLOCK", "2090-01-01T00:00:00Z"));
        json(&run)["replaced"].as_u64().expect("a number")
    };
    later(&[]);
    let seen =
        std::fs::read_dir(s.work().join(".kf/cache/seen")).expect("a folder").next().expect("a file").expect("a file").path();
    let text = std::fs::read_to_string(&seen).expect("what was seen");
    let file = s.write("docs/a.txt", prose("kitchen", 2));
    // The cache is made to say that this is how the old file looked.
    use std::os::unix::fs::MetadataExt as _;
    let meta = std::fs::metadata(&file).expect("a file");
    let mut lines = text.lines();
    let (head, line) = (lines.next().expect("a key"), lines.next().expect("a file"));
    let mut line: Value = serde_json::from_str(line).expect("JSON");
    let nanos = |s: i64, n: i64| Value::from(s * 1_000_000_000 + n);
    line["size"] = meta.size().into();
    line["modified"] = nanos(meta.mtime(), meta.mtime_nsec());
    line["changed"] = nanos(meta.ctime(), meta.ctime_nsec());
    std::fs::write(&seen, format!("{head}\n{line}\n")).expect("written");
    assert_eq!(later(&[]), 0, "its looks are those that are known");
    assert_eq!(later(&["--rehash"]), 1);
}
