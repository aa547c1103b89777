//! Backups when something goes wrong in the middle, or somebody means harm: a clear word, nothing half restored, nothing lost.

use crate::backup::{files, prepare, set};
use crate::repo::{ends, json, next_bot, ok};
use crate::support::proxy::{Fault, Proxy};
use crate::support::sandbox::{Run, Sandbox};
use crate::support::{s3, skip};
use kf::adapters::age::{Identities, Recipients};
use kf::base::digest::Digest;
use kf::config::secret::Secret;
use kf::domain::audit::key::SignerKey;
use kf::domain::backup::manifest::{Manifest, Part, Stream};
use kf::release::backup::verify::{Depth, verify};
use kf::release::backup::{Place, sets};
use kf::store::objects::Objects;
use std::io::Write as _;
use std::path::PathBuf;

fn in_folder() -> Sandbox {
    let mut s = Sandbox::new();
    let place = format!("file://{}", s.work().join("place").display());
    prepare(&mut s, &place);
    s
}

/// The same on a host that has the key of its log.
fn signed() -> Sandbox {
    let s = in_folder();
    ok(&s, ["audit", "key", "--generate", "--out", "log.key"]);
    s.write("mlops.toml", s.read("mlops.toml") + "\n[signing]\nlog-key = \"file:log.key\"\n");
    s
}

fn back(s: &Sandbox) -> PathBuf {
    s.root().join("back")
}

/// Puts a text under a name, as anybody could who can write there.
fn plant(s: &Sandbox, id: &str, text: &str) {
    std::fs::write(s.work().join("place/sets").join(id), text).expect("planted");
}

fn manifest_of(s: &Sandbox, id: &str) -> String {
    std::fs::read_to_string(s.work().join("place/sets").join(id)).expect("a manifest")
}

/// The document in the text of a manifest.
fn bare(text: &str) -> String {
    format!("{}\n", text.split("\n\n").next().expect("a text").trim_end())
}

/// The text of a manifest as nobody signed it.
fn unsigned(text: &str) -> String {
    let text = bare(text);
    format!("{text}\nsha256 {}\n", Digest::of(text.as_bytes()).hex())
}

#[test]
fn a_server_that_never_answers_is_not_waited_for_for_ever() {
    let server = match s3::shared() {
        Ok(server) => server,
        Err(why) => return skip(why),
    };
    let mut s = Sandbox::new();
    prepare(&mut s, &server.fresh());
    s.write("mlops.toml", s.read("mlops.toml").replace("[backup.place]\nurl", "[backup.place]\ntimeout = \"1s\"\nurl"));
    ok(&s, ["backup", "run"]);
    let working = s.environment().remove("AWS_ENDPOINT_URL").expect("a server");
    // Connections are taken by the system, and nobody ever reads from them.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    s.set("AWS_ENDPOINT_URL", &format!("http://{}", silent.local_addr().expect("an address")));
    for command in [&["backup", "run"][..], &["backup", "verify"], &["backup", "restore", "latest", "--to", "../back"]] {
        let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(command));
        assert!(run.code == Some(1) && run.stderr.contains("s3://"), "{command:?} {run}");
        assert!(!back(&s).exists());
    }
    s.set("AWS_ENDPOINT_URL", &working);
    ok(&s, ["backup", "run"]);
    ok(&s, ["backup", "verify", "--read-data", "all"]);
}

const EXPIRED: &str = "<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>";

#[test]
fn a_failing_server_costs_time_and_nothing_else() {
    let server = match s3::shared() {
        Ok(server) => server,
        Err(why) => return skip(why),
    };
    let mut s = Sandbox::new();
    prepare(&mut s, &server.fresh());
    s.write("mlops.toml", s.read("mlops.toml") + "[backup.plans.daily]\nkeep-last = 2\n");
    let proxy = Proxy::to(server.port());
    s.set("AWS_ENDPOINT_URL", &format!("http://127.0.0.1:{}", proxy.port()));
    ok(&s, ["backup", "run"]);
    let commands: [(&[&str], &str); 4] = [
        (&["backup", "run"], "PUT /"),
        (&["backup", "verify", "--read-data", "all"], "/sha256/"),
        (&["backup", "restore", "latest", "--to", "../back"], "/sha256/"),
        (&["backup", "prune", "--apply"], "DELETE /"),
    ];
    let kf = |args: &[&str]| s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(args));
    for (command, request) in commands {
        let passing = [
            Fault::http("503 Service Unavailable", "<Error><Code>SlowDown</Code></Error>"),
            Fault::http("500 Internal Server Error", ""),
            Fault::Drop,
            Fault::CutReply(100),
        ];
        for (n, fault) in passing.into_iter().enumerate() {
            let _ = std::fs::remove_dir_all(back(&s));
            if command[1] == "prune" {
                // Something to remove.
                next_bot(&s, 10 + u32::try_from(n).expect("a small number"));
                ok(&s, ["backup", "run"]);
            }
            let before = proxy.fired();
            proxy.arm(request, fault.clone());
            let run = kf(command);
            assert_eq!((run.code, proxy.fired()), (Some(0), before + 1), "{command:?} with {fault:?} at {request}: {run}");
        }
        let _ = std::fs::remove_dir_all(back(&s));
        // Credentials that expire meanwhile: told, with what to set; and the same command goes on later.
        if command[1] == "prune" {
            next_bot(&s, 30);
            ok(&s, ["backup", "run"]);
        }
        proxy.arm(request, Fault::http("403 Forbidden", EXPIRED));
        let run = kf(command);
        assert!(
            run.code != Some(0) && format!("{run}").contains("the credentials have expired (ExpiredToken)"),
            "{command:?}: {run}"
        );
        assert!(run.stderr.contains("AWS_SESSION_TOKEN") || command[1] == "verify", "{run}");
        assert!(!back(&s).exists(), "{run}");
        proxy.disarm();
        assert_eq!(kf(command).code, Some(0), "{command:?} afterwards");
        ok(&s, ["backup", "verify", "--read-data", "all"]);
    }
    // Wrong bytes on the way: never restored, never called right.
    let _ = std::fs::remove_dir_all(back(&s));
    for command in [commands[1].0, commands[2].0] {
        proxy.arm("/sha256/", Fault::http("200 OK", "other bytes"));
        let run = kf(command);
        assert!(matches!(run.code, Some(1 | 3)) && !back(&s).exists(), "{command:?}: {run}");
        proxy.disarm();
        assert_eq!(kf(command).code, Some(0), "{command:?} afterwards");
    }
}

#[test]
fn a_source_that_dies_leaves_no_set_and_harms_none() {
    let s = in_folder();
    ok(&s, ["backup", "run"]);
    let text = s.read("mlops.toml");
    for (dump, why) in [
        ("\"sh\", \"-c\", \"echo half of it; kill -9 $$\"", "signal"),
        ("\"sh\", \"-c\", \"echo half of it; echo out of cheese >&2; exit 7\"", "out of cheese"),
        ("\"./nothing-here\"", "nothing-here"),
    ] {
        s.write("mlops.toml", text.replace("\"echo\", \"some words\"", dump));
        let run = ends(&s, 1, ["backup", "run"]);
        assert!(run.stderr.contains("cannot back up words") && run.stderr.contains(why), "{run}");
    }
    s.write("mlops.toml", text);
    assert!(ok(&s, ["backup", "list"]).stdout.contains("1 set in"));
    ok(&s, ["backup", "verify", "--read-data", "all"]);
    ok(&s, ["backup", "run"]);
}

#[test]
fn a_newer_form_and_swapped_parts_are_told_and_nothing_is_removed() {
    let s = in_folder();
    s.write("mlops.toml", s.read("mlops.toml") + "[backup.plans.daily]\nkeep-last = 1\n");
    let first = set(&ok(&s, ["backup", "run", "--format", "json"]));
    next_bot(&s, 6);
    let second = set(&ok(&s, ["backup", "run", "--format", "json"]));
    let to = back(&s).display().to_string();
    let (one, two) = (manifest_of(&s, &first), manifest_of(&s, &second));
    let give = |a: &str, b: &str| {
        for (id, text) in [(&first, a), (&second, b)] {
            let _ = std::fs::remove_file(s.work().join("place/sets").join(id));
            plant(&s, id, text);
        }
    };
    give(&one, &unsigned(&two.replace("kf.backup-set/1", "kf.backup-set/2")));
    let newer = ends(&s, 1, ["backup", "restore", &second, "--to", &to]);
    assert!(
        newer.stderr.contains("has the form `kf.backup-set/2`") && newer.stderr.contains("use the kf that made it"),
        "{newer}"
    );
    assert!(ok(&s, ["backup", "list"]).stdout.contains("not a set: "));
    let objects = files(&s.work().join("place/sha256")).len();
    ok(&s, ["backup", "prune", "--apply"]);
    assert_eq!(files(&s.work().join("place/sha256")).len(), objects, "nobody knows what it needs");
    give(&two, &one);
    for id in [&first, &second] {
        let swapped = ends(&s, 3, ["backup", "verify", id]);
        assert!(swapped.stderr.contains("it says that it is"), "{swapped}");
    }
    give(&one, &two);
    // The lists of objects of the two sets, and two objects.
    let shown = |id: &str| json(&ok(&s, ["backup", "show", id, "--format", "json"]));
    let path = |digest: &str| {
        let hex = digest.trim_start_matches("sha256:");
        s.work().join("place/sha256").join(&hex[..2]).join(&hex[2..])
    };
    let index = |id: &str| path(shown(id)["manifest"]["artifacts"]["index"].as_str().expect("a digest"));
    let part = |id: &str, n: usize| path(shown(id)["manifest"]["components"][n]["stored"]["object"].as_str().expect("a digest"));
    for (a, b) in [(index(&first), index(&second)), (part(&second, 0), part(&second, 1))] {
        let swap = || {
            let (x, y) = (std::fs::read(&a).expect("a file"), std::fs::read(&b).expect("a file"));
            for (path, bytes) in [(&a, y), (&b, x)] {
                std::fs::remove_file(path).expect("removed");
                std::fs::write(path, bytes).expect("written");
            }
        };
        swap();
        ends(&s, 3, ["backup", "verify", &second, "--read-data", "all"]);
        let refused = ends(&s, 1, ["backup", "restore", &second, "--to", &to]);
        assert!(refused.stderr.contains("corrupt") && !back(&s).exists(), "{refused}");
        swap();
    }
    ok(&s, ["backup", "restore", &second, "--to", &to]);
}

#[test]
fn what_nobody_known_signed_is_neither_taken_nor_believed() {
    let s = signed();
    let right = set(&ok(&s, ["backup", "run", "--format", "json"]));
    let text = manifest_of(&s, &right);
    assert!(text.contains("\n\n— "), "signed: {text}");
    // Somebody who can write there, years ahead so that nothing else would be due.
    let (a, b) = ("20291121t080000z-daily-00000001", "20291121t080000z-daily-00000002");
    let theirs = |id: &str| bare(&text).replace(&right, id).replace("\"began\":\"2026", "\"began\":\"2029");
    plant(&s, a, &unsigned(&theirs(a)));
    let mallory = SignerKey::from_seed("kf/mallory/1", [9; 32]).expect("a key");
    let note = kf::domain::audit::note::Note::sign(&theirs(b), &[&mallory]).expect("signed");
    plant(&s, b, &note.to_string());
    let list = ok(&s, ["backup", "list"]);
    for id in [a, b] {
        assert!(list.stdout.contains(&format!("no key that is known here signed {id}")), "{list}");
        let to = back(&s).display().to_string();
        let refused = ends(&s, 3, ["backup", "restore", id, "--to", &to]);
        assert!(
            refused.stderr.contains("no key that is known here signed the backup set") && refused.stderr.contains("--unsigned"),
            "{refused}"
        );
        assert!(ends(&s, 3, ["backup", "drill", id]).stderr.contains("no key that is known here"));
        let read = ends(&s, 3, ["backup", "verify", id, "--read-data", "all"]);
        assert!(read.stdout.contains("no key that is known here signed it"), "{read}");
        ok(&s, ["backup", "verify", id, "--unsigned"]);
        ok(&s, ["backup", "restore", id, "--to", &to, "--unsigned"]);
        std::fs::remove_dir_all(back(&s)).expect("removed");
        assert!(ok(&s, ["backup", "show", id]).stdout.contains("not signed by a key that is known here"));
    }
    // The newest is the newest that is signed.
    let drilled = json(&ok(&s, ["backup", "drill", "--format", "json"]));
    assert_eq!(drilled["set"], right.as_str());
    let status = json(&ok(&s, ["backup", "status", "--format", "json"]));
    assert_eq!(status["plans"][0]["sets"], 1, "{status}");
    let pruned = ok(&s, ["backup", "prune"]);
    assert!(pruned.stdout.contains("no key that is known here signed it"), "{pruned}");
    // Whoever has no key of the log cannot tell, and says so.
    std::fs::rename(s.work().join("log.key"), s.root().join("log.key")).expect("moved");
    let read = ok(&s, ["backup", "verify", "latest"]);
    assert!(read.stdout.contains("not signed by a key known here"), "{read}");
}

/// The key that reads backups.
fn key(s: &Sandbox) -> Secret {
    Secret::new(s.read("backup.key"))
}

/// A component of an archive that somebody wrote, encrypted rightly for everybody who reads the backups.
fn sealed(s: &Sandbox, tar: &[u8], claimed: Option<u64>) -> Stream {
    let recipient =
        s.read("backup.key").lines().find_map(|l| l.strip_prefix("# public key: ").map(str::to_owned)).expect("a public key");
    let mut bytes = Vec::new();
    let mut age = Recipients::parse(&[recipient]).expect("keys").writer(&mut bytes).expect("a stream");
    age.write_all(&zstd::encode_all(tar, 3).expect("compressed")).expect("written");
    age.finish().expect("finished");
    let objects = Objects::files(&s.work().join("place")).expect("objects");
    let stored = objects.put_bytes(&bytes).expect("stored");
    Stream { object: stored.digest, size: stored.size, plain: Digest::of(tar), plain_size: claimed.unwrap_or(tar.len() as u64) }
}

fn entry(name: &str, kind: tar::EntryType, text: &str) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o644);
    let link = kind.is_symlink() || kind.is_hard_link();
    if link {
        header.as_old_mut().linkname[..text.len()].copy_from_slice(text.as_bytes());
    }
    header.set_size(if link { 0 } else { text.len() as u64 });
    header.set_cksum();
    builder.append(&header, if link { &b""[..] } else { text.as_bytes() }).expect("an entry");
    builder.into_inner().expect("a tar")
}

#[test]
fn a_hostile_archive_in_a_right_stream_leaves_its_folder_nowhere() {
    use tar::EntryType::{Char, Link, Regular, Symlink};
    let s = in_folder();
    let right = set(&ok(&s, ["backup", "run", "--format", "json"]));
    let of = Manifest::read(&right, manifest_of(&s, &right).as_bytes(), &[]).expect("a manifest").manifest;
    let out = s.root().join("escaped").display().to_string();
    let bomb = "0".repeat(8 << 20);
    let cases: [(Vec<u8>, Option<u64>, &str); 7] = [
        (entry(&out, Regular, "x"), None, "leads out of it"),
        (entry("../../../escaped", Regular, "x"), None, "leads out of it"),
        (entry("link", Symlink, "/etc"), None, "leads out of it"),
        (entry("link", Symlink, "../../../.."), None, "leads out of it"),
        (entry("hard", Link, "../../../../mlops.toml"), None, "no file, folder or link"),
        (entry("device", Char, ""), None, "no file, folder or link"),
        (entry("bomb", Regular, &bomb), Some(4096), "cannot"),
    ];
    for (n, (tar, claimed, why)) in cases.iter().enumerate() {
        let id = format!("20291121t08000{n}z-daily-00000000");
        let part = of.components.iter().find(|part| part.name.as_str() == "uploads").expect("a component");
        let hostile = Part { stored: sealed(&s, tar, *claimed), ..part.clone() };
        let manifest = Manifest { id: id.clone(), components: vec![hostile], artifacts: None, log: None, ..of.clone() };
        plant(&s, &id, &manifest.text(None).expect("a text"));
        let to = back(&s).display().to_string();
        let run = s.kf(["backup", "restore", &id, "--to", &to]);
        assert!(matches!(run.code, Some(1 | 3)) && run.stderr.contains(why), "{n}: {run}");
        assert!(!back(&s).exists() && !s.root().join("escaped").exists(), "{n}: {run}");
        assert_eq!(ends(&s, 3, ["backup", "verify", &id, "--read-data", "all"]).code, Some(3));
        let large = files(&s.root())
            .into_iter()
            .any(|path| path.ends_with("bomb") && std::fs::metadata(&path).is_ok_and(|m| m.len() > 1 << 20));
        assert!(!large, "a bomb is stopped before it fills the disk");
        std::fs::remove_dir_all(s.root().join("back.restoring"))
            .expect("what is half is not called by the name that was asked for");
    }
    ok(&s, ["backup", "restore", &right, "--to", &back(&s).display().to_string()]);
}

/// Every kind of object, fifty bits of each: all are found.
#[test]
fn every_flipped_bit_of_every_kind_is_found() {
    let s = signed();
    ok(&s, ["backup", "run"]);
    ok(&s, ["backup", "drill"]);
    let dir = s.work().join("place");
    let objects = Objects::files(&dir).expect("objects");
    let signer = SignerKey::parse(s.read("log.key").trim()).expect("a key");
    let (known, identities) = ([signer.public().clone()], Identities::parse(&key(&s)).expect("a key"));
    let scratch = s.root().join("scratch");
    let now = kf::base::time::Timestamp::from_micros(s.next_start());
    let place =
        Place { objects: &objects, scratch: &scratch, signer: None, known: &known, identities: Some(&identities), jobs: 2, now };
    let found = sets::trusted(&place, "latest", sets::STATE, false, &mut |_| {}).expect("a set");
    assert!(sets::all(&place).expect("sets")[0].proven.is_some());
    let of = |digest: &Digest| dir.join("sha256").join(&digest.hex()[..2]).join(&digest.hex()[2..]);
    let component = found.manifest.components.iter().find(|part| part.name.as_str() == "words").expect("a component");
    let artifacts = found.manifest.artifacts.expect("objects");
    let list = std::fs::read_to_string(of(&artifacts.index)).expect("a list");
    let artifact: Stream = serde_json::from_str(list.lines().next().expect("a line")).expect("a stream");
    let whole = |what: &str| {
        // A manifest whose signature is no longer that of a known key is not taken.
        let Ok(set) = sets::trusted(&place, "latest", sets::STATE, false, &mut |_| {}) else { return false };
        let read = verify(&place, &set, Depth::All, &mut |_, _| {}).unwrap_or_else(|e| panic!("{what}: {e}"));
        read.wrong.is_empty()
    };
    let proven = || sets::all(&place).expect("sets")[0].proven.is_some();
    let kinds: [(&str, PathBuf, &dyn Fn() -> bool); 5] = [
        ("manifest", dir.join("sets").join(&found.manifest.id), &|| whole("manifest")),
        ("component", of(&component.stored.object), &|| whole("component")),
        ("artifact", of(&artifact.object), &|| whole("artifact")),
        ("list", of(&artifacts.index), &|| whole("list")),
        ("report", files(&dir.join("drills")).remove(0), &proven),
    ];
    for (kind, path, right) in kinds {
        assert!(right(), "{kind}");
        let bytes = std::fs::read(&path).expect("a file");
        std::fs::remove_file(&path).expect("removed");
        for n in 0..50 {
            let at = n * (bytes.len() - 1) / 49;
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (n % 8);
            std::fs::write(&path, &flipped).expect("written");
            assert!(!right(), "{kind}: bit {} of byte {at} of {}", n % 8, bytes.len());
        }
        std::fs::write(&path, &bytes).expect("written");
        assert!(right(), "{kind}");
    }
}

#[test]
fn backups_where_the_state_or_the_objects_are_are_refused() {
    let s = in_folder();
    let text = s.read("mlops.toml");
    let place = |url: &str, more: &str| {
        let (before, rest) = text.split_once("url = \"file://").expect("the place");
        let (_, after) = rest.split_once('"').expect("its end");
        s.write("mlops.toml", format!("{before}url = \"{url}\"{after}{more}"));
        let run: Run = s.kf(["backup", "list"]);
        assert_eq!(run.code, Some(2), "{url}: {run}");
        run.stderr
    };
    let work = s.work().display().to_string();
    assert!(place(".kf/objects", "").contains("is where `artifacts.url` is"));
    assert!(place(&format!("file://{work}/.kf/backup"), "").contains("is where the state"));
    assert!(
        place(&format!("file://{work}/store/"), "[artifacts]\nurl = \"store\"\n")
            .contains("is where the objects of versions are")
    );
    assert!(place("s3://bucket/kf", "[artifacts]\nurl = \"s3://bucket/kf/\"\n").contains("is where `artifacts.url` is"));
    assert_eq!(s.kf(["config", "check"]).code, Some(2));
}
