//! Objects that are encrypted where they lie: everything works as without, on both engines; nothing is readable without the key, and
//! nothing is called right, replaced or lost for want of it.

use crate::repo::{ends, json, next_bot, ok, with_bot};
use crate::schemas;
use crate::support::crash::Sweep;
use crate::support::sandbox::{Engine, Run, Sandbox, on_both_engines};
use crate::support::strace::{CHANGING, FAILING, Fault, Strace};
use crate::support::{program, s3, skip};
use futures_util::StreamExt as _;
use kf::base::digest::Digest;
use kf::store::runtime::block_on;
use kf::store::{Db, DbTarget, Mode, PostgresTarget};
use object_store::aws::AmazonS3Builder;
use object_store::{ObjectStore as _, ObjectStoreExt as _, path::Path as Key};
use std::path::Path;
use std::time::Duration;

/// How every encrypted object begins.
const SEALED: &[u8] = b"age-encryption.org/v1\n-> kf-object ";

/// Makes a key in a file; its public key.
fn key(s: &Sandbox, file: &str) -> String {
    let made = json(&ok(s, ["backup", "keygen", "-o", file, "--format", "json"]));
    made["recipient"].as_str().expect("a public key").to_owned()
}

/// Makes `[artifacts]` say this, in place of what it said before.
fn say(s: &Sandbox, lines: &str) {
    let config = s.read("mlops.toml");
    let before = config.split("\n# keys").next().expect("a beginning").to_owned();
    s.write("mlops.toml", format!("{before}\n# keys\n[artifacts]\n{lines}"));
}

fn client() -> object_store::aws::AmazonS3 {
    // Clients need the TLS implementation that comes with the runtime.
    block_on(async {}).expect("a runtime");
    let port = s3::shared().expect("a server").port();
    let builder = AmazonS3Builder::new().with_bucket_name(s3::BUCKET).with_endpoint(format!("http://127.0.0.1:{port}"));
    builder.with_access_key_id("other").with_secret_access_key("other").with_allow_http(true).build().expect("a client")
}

/// Everything that lies in the place of the objects, by name.
fn lies(s: &Sandbox) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    if s.engine() == Engine::Files {
        files(&s.work().join(".kf/objects/sha256"), &mut all);
    } else {
        let url = s.environment().remove("KF_ARTIFACTS_URL").expect("a place");
        let prefix = Key::from(format!("{}/sha256", url.rsplit('/').next().expect("a prefix")));
        let client = client();
        let mut list = client.list(Some(&prefix));
        while let Some(meta) = block_on(list.next()).expect("waited") {
            let place = meta.expect("an object").location;
            let found = block_on(client.get(&place)).expect("waited").expect("an object");
            all.push((place.to_string(), block_on(found.bytes()).expect("waited").expect("bytes").to_vec()));
        }
    }
    all.sort();
    all
}

fn files(dir: &Path, all: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, all);
        } else {
            all.push((path.display().to_string(), std::fs::read(&path).expect("a file")));
        }
    }
}

fn sealed(s: &Sandbox) -> (usize, usize) {
    let all = lies(s);
    (all.iter().filter(|(_, bytes)| bytes.starts_with(SEALED)).count(), all.len())
}

/// What lies there is what the program of age itself reads, and is what its name says.
fn stock(s: &Sandbox, key: &str) {
    let Some(age) = program("age", &[]) else { return skip("age is not installed") };
    for (name, bytes) in lies(s) {
        let run = s.command(&age).args(["-d", "-i", key]).arg(s.write("../stream", bytes)).output().expect("age runs");
        let hex = Digest::of(&run.stdout).hex();
        assert!(run.status.success() && name.ends_with(&format!("{}/{}", &hex[..2], &hex[2..])), "{name} {run:?}");
    }
}

fn fsck(s: &Sandbox, code: i32) -> serde_json::Value {
    json(&ends(s, code, ["fsck", "--format", "json"]))
}

#[test]
fn turning_it_on_changing_keys_and_turning_it_off() {
    on_both_engines(|s| {
        with_bot(s);
        s.write("large.bin", (0..6_000_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect::<Vec<_>>());
        ok(s, ["register", "weights", "large.bin", "--type", "other"]);
        assert_eq!(sealed(s), (0, 6));
        let refused = ends(s, 2, ["rekey"]);
        assert!(refused.stderr.contains("kf backup keygen -o kf.key"), "{refused}");

        // On: what is there stays readable, what is new is encrypted, `kf rekey` does the rest.
        let first = key(s, "first.key");
        say(s, &format!("encrypt = [\"{first}\"]\nidentity = \"file:first.key\"\n"));
        next_bot(s, 6);
        assert_eq!(sealed(s), (2, 8), "one file and one manifest are new");
        let found = fsck(s, 0);
        assert_eq!((found["content"]["clear"].as_u64(), found["content"]["verified"].as_u64()), (Some(6), Some(8)), "{found}");
        assert!(ok(s, ["doctor"]).stdout.contains("2 objects for the keys of now, 6 in the clear, 0 for other keys"));
        let before = lies(s);
        assert!(ok(s, ["rekey", "--dry-run"]).stdout.contains("6 objects"));
        assert_eq!(lies(s), before);
        let done = json(&ok(s, ["rekey", "--format", "json"]));
        assert_eq!((done["rewritten"].as_u64(), done["left"].as_u64()), (Some(6), Some(0)), "{done}");
        if let Some(validator) = schemas::validator() {
            assert_eq!(schemas::complaints(&validator, "rekey", &[done]), "");
        }
        assert_eq!(sealed(s), (8, 8));
        assert!(!lies(s).iter().any(|(_, bytes)| bytes.windows(8).any(|w| w == b"Answer {")));
        let log = ok(s, ["audit", "log", "--action", "artifacts.rekeyed", "--format", "json"]).stdout;
        assert_eq!(log.matches("artifacts.rekeyed").count(), 1, "{log}");
        assert!(!log.contains(&first), "{log}");
        stock(s, "first.key");
        assert!(ok(s, ["rekey"]).stdout.contains("all 8 objects are encrypted for 1 key"));
        let entries = ok(s, ["audit", "log", "--action", "artifacts.rekeyed", "--format", "json"]).stdout;
        assert_eq!(entries.matches("artifacts.rekeyed").count(), 1, "nothing was done, nothing is told");

        // What comes out is what went in, and storing it again writes nothing.
        ok(s, ["checkout", "weights", "out"]);
        assert!(
            std::fs::read(s.work().join("out/large.bin")).expect("a file")
                == std::fs::read(s.work().join("large.bin")).expect("a file")
        );
        let before = lies(s);
        ok(s, ["register", "copy", "large.bin", "--type", "other"]);
        let after = lies(s);
        assert!(before.iter().all(|object| after.contains(object)), "what is there is not written again");
        assert_eq!(after.len(), before.len(), "nor its manifest, which is the same");
        fsck(s, 0);

        // Other keys: nothing is encrypted for a key that is not here.
        let second = key(s, "second.key");
        say(s, &format!("encrypt = [\"{second}\"]\nidentity = \"file:first.key\"\n"));
        let refused = ends(s, 1, ["rekey"]);
        assert!(refused.stderr.contains("cannot read what is encrypted") && refused.stderr.contains("--blind"), "{refused}");
        assert_eq!(lies(s), after);
        s.write("both.key", s.read("first.key") + &s.read("second.key"));
        say(s, &format!("encrypt = [\"{second}\"]\nidentity = \"file:both.key\"\n"));
        assert_eq!(fsck(s, 0)["content"]["other_keys"], 8);
        ok(s, ["rekey"]);
        say(s, &format!("encrypt = [\"{second}\"]\nidentity = \"file:second.key\"\n"));
        assert_eq!(fsck(s, 0)["content"]["verified"], 8);
        say(s, "identity = \"file:first.key\"\n");
        let lost = ends(s, 1, ["checkout", "weights", "lost"]);
        assert!(lost.stderr.contains("no key here reads it"), "{lost}");

        say(s, &format!("encrypt = [\"{second}\"]\nidentity = \"file:second.key\"\n"));
        ends(s, 2, ["rekey", "--decrypt"]);
        say(s, "identity = \"file:second.key\"\n");
        ok(s, ["rekey", "--decrypt"]);
        assert_eq!(sealed(s), (0, 8));
        say(s, "");
        fsck(s, 0);
    });
}

#[test]
fn without_the_key_nothing_is_called_right_and_nothing_is_harmed() {
    on_both_engines(|s| {
        with_bot(s);
        let public = key(s, "kf.key");
        say(s, &format!("encrypt = [\"{public}\"]\nidentity = \"file:kf.key\"\n"));
        ok(s, ["rekey"]);
        let before = lies(s);
        std::fs::rename(s.work().join("kf.key"), s.root().join("lost.key")).expect("moved");
        for command in
            [&["list"][..], &["status"], &["history", "bot"], &["log", "bot"], &["tag", "bot@1.0.0", "x"], &["audit", "verify"]]
        {
            let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(command));
            assert_eq!(run.code, Some(0), "{command:?} needs no object: {run}");
        }
        for (i, say_now) in [
            format!("encrypt = [\"{public}\"]\nidentity = \"file:kf.key\"\n"),
            format!("encrypt = [\"{public}\"]\n"),
            String::new(),
        ]
        .into_iter()
        .enumerate()
        {
            let versions = 1 + i.min(1) as u64;
            say(s, &say_now);
            let refused = ends(s, 1, ["checkout", "bot", "out"]);
            assert!(
                refused.stderr.contains("no key here reads it") && refused.stderr.contains("artifacts.identity"),
                "{refused}"
            );
            assert!(refused.stderr.contains("hint:") && !s.work().join("out").exists(), "{refused}");
            for args in [&["fsck", "--format", "json"][..], &["fsck", "--repair", "--format", "json"]] {
                let run = s.finish(s.command(env!("CARGO_BIN_EXE_kf")).args(args));
                let found = json(&run);
                assert_eq!((run.code, found["verdict"].as_str()), (Some(4), Some("inconclusive")), "{run}");
                assert_eq!(
                    (found["content"]["verified"].as_u64(), found["content"]["locked"].as_u64()),
                    (Some(0), Some(versions)),
                    "{run}"
                );
                assert_eq!(found["content"]["orphans"], 0, "{run}");
            }
            assert!(ends(s, 4, ["fsck"]).stdout.contains("could not be read here"));
            // Collecting must read what versions name, and takes nothing it cannot know to be unneeded.
            ends(s, 1, ["gc", "--apply", "--grace", "1s", "--force"]);
            // The same files again are the same objects, and are not put there in the clear.
            ok(s, ["register", &format!("twin{i}"), "bot", "--type", "other"]);
            let after = lies(s);
            assert!(before.iter().all(|object| after.contains(object)), "{say_now}: what was encrypted is as it was");
        }
        std::fs::rename(s.root().join("lost.key"), s.work().join("kf.key")).expect("moved");
        say(s, &format!("encrypt = [\"{public}\"]\nidentity = \"file:kf.key\"\n"));
        fsck(s, 0);
    });
}

/// Where the backups of a sandbox go.
fn place_of(s: &Sandbox) -> String {
    match s.engine() {
        Engine::Files => format!("file://{}", s.root().join("place").display()),
        Engine::Servers => s3::shared().expect("a server").fresh(),
    }
}

#[test]
fn backups_moves_and_collections_work_on_what_is_encrypted() {
    on_both_engines(|s| {
        with_bot(s);
        s.git(["init", "--quiet", "."]);
        s.write(".gitignore", ".kf/\n*.key\n");
        let (public, of_backups) = (key(s, "kf.key"), key(s, "backup.key"));
        let backup = format!(
            "[backup]\nrecipients = [\"{of_backups}\"]\nidentity = \"file:backup.key\"\n[backup.place]\nurl = \"{}\"\n",
            place_of(s)
        );
        say(s, &format!("encrypt = [\"{public}\"]\nidentity = \"file:kf.key\"\n{backup}"));
        ok(s, ["rekey"]);
        s.git(["add", "."]);
        s.git(["commit", "--quiet", "-m", "one"]);
        ok(s, ["backup", "run"]);
        ok(s, ["backup", "verify", "--read-data", "all"]);
        ok(s, ["backup", "drill"]);
        let back = s.root().join("back");
        let to = back.display().to_string();
        ok(s, ["backup", "restore", "latest", "--to", &to]);
        std::fs::copy(s.work().join("kf.key"), back.join("kf.key")).expect("copied");
        let there = |args: &[&str]| {
            let mut command = s.command(env!("CARGO_BIN_EXE_kf"));
            command.env_remove("KF_STATE_URL").env_remove("KF_ARTIFACTS_URL").arg("-C").arg(&back).args(args);
            s.finish(&mut command)
        };
        // They come back in the clear, which is told, and are encrypted again by the same command as ever.
        let run = there(&["fsck"]);
        assert!(run.code == Some(0) && run.stdout.contains("4 objects in the clear"), "{run}");
        assert_eq!(there(&["rekey"]).code, Some(0));
        assert!(!there(&["fsck"]).stdout.contains("in the clear"));
        assert_eq!(there(&["checkout", "bot", "out"]).code, Some(0));

        // A version goes to the trash and out of it.
        next_bot(s, 7);
        ok(s, ["archive", "bot@1.0.0"]);
        ok(s, ["gc"]);

        // A move brings plain bytes to the new place, encrypted for the same keys.
        if s.engine() == Engine::Files {
            return;
        }
        ok(s, ["state", "move", "--to", "sqlite", "--artifacts", "moved"]);
        let mut all = Vec::new();
        files(&s.work().join("moved/sha256"), &mut all);
        assert!(all.len() > 5 && all.iter().all(|(_, bytes)| bytes.starts_with(SEALED)), "{}", all.len());
        let mut command = s.command(env!("CARGO_BIN_EXE_kf"));
        let run = s.finish(command.arg("fsck").env("KF_STATE_URL", "sqlite").env("KF_ARTIFACTS_URL", "moved"));
        assert_eq!(run.code, Some(0), "{run}");
    });
}

#[test]
fn what_is_damaged_is_found_and_set_aside_and_healed() {
    on_both_engines(|s| {
        with_bot(s);
        let public = key(s, "kf.key");
        say(s, &format!("encrypt = [\"{public}\"]\nidentity = \"file:kf.key\"\n"));
        ok(s, ["rekey"]);
        let (name, mut bytes) = lies(s).pop().expect("an object");
        let at = bytes.len() - 20;
        bytes[at] ^= 1;
        if s.engine() == Engine::Files {
            std::fs::remove_file(&name).expect("removed");
            std::fs::write(&name, &bytes).expect("written");
        } else {
            block_on(client().put(&Key::from(name.as_str()), bytes.into())).expect("waited").expect("written");
        }
        let found = fsck(s, 3);
        assert!(found["findings"][0]["problem"].as_str().is_some_and(|p| p.contains("it is corrupt")), "{found}");
        let left = ends(s, 0, ["rekey"]);
        assert!(left.stdout.contains("already"), "its label says so: {left}");
        let next = key(s, "next.key");
        s.write("both.key", s.read("kf.key") + &s.read("next.key"));
        say(s, &format!("encrypt = [\"{next}\"]\nidentity = \"file:both.key\"\n"));
        let partly = json(&ends(s, 5, ["rekey", "--format", "json"]));
        assert_eq!((partly["left"].as_u64(), partly["rewritten"].as_u64()), (Some(1), Some(3)), "{partly}");
        ends(s, 3, ["fsck", "--repair"]);
        ok(s, ["register", "bot", "bot"]);
        ok(s, ["register", "twin", "bot"]);
    });
}

/// A mixed store is brought to other keys; whenever that ends, everything can be read, and the same command goes on.
fn prepare() -> Sandbox {
    let mut s = Sandbox::on(Engine::Files).expect("a sandbox");
    s.set("KF_JOBS", "1");
    with_bot(&s);
    let (first, second) = (key(&s, "first.key"), key(&s, "second.key"));
    s.write("both.key", s.read("first.key") + &s.read("second.key"));
    say(&s, &format!("encrypt = [\"{first}\"]\nidentity = \"file:both.key\"\n"));
    s.write("bot/large.bin", vec![7; 300_000]);
    ok(&s, ["register", "bot", "bot"]);
    say(&s, &format!("encrypt = [\"{second}\"]\nidentity = \"file:both.key\"\n"));
    s
}

fn sound(s: &Sandbox, struck: &Run) -> Result<(), String> {
    let demand = |what: &str, run: Run| if run.code == Some(0) { Ok(run) } else { Err(format!("{what}: {run}")) };
    demand("audit verify", s.kf(["audit", "verify"]))?;
    demand("fsck", s.kf(["fsck"]))?;
    let told = |run: Run| run.stdout.matches("artifacts.rekeyed").count();
    let found = told(demand("log", s.kf(["audit", "log", "--action", "artifacts.rekeyed", "--format", "jsonl"]))?);
    if found > 1 || (struck.code == Some(0) && found == 0) {
        return Err(format!("{found} events after {struck}"));
    }
    demand("the retry", s.kf(["rekey"]))?;
    let found = told(demand("log", s.kf(["audit", "log", "--action", "artifacts.rekeyed", "--format", "jsonl"]))?);
    let (done, all) = sealed(s);
    if found != 1 || done != all {
        return Err(format!("{found} events and {done} of {all} objects after the retry"));
    }
    // Only the new key is needed now.
    std::fs::rename(s.work().join("second.key"), s.work().join("both.key")).map_err(|e| e.to_string())?;
    demand("fsck with the new key", s.kf(["fsck"])).map(|_| ())
}

fn sweep(fault: Fault, calls: &[&str], every: usize) {
    let strace = match Strace::find() {
        Ok(strace) => strace,
        Err(why) => return skip(&why),
    };
    let command = [env!("CARGO_BIN_EXE_kf"), "rekey"].map(str::to_owned);
    let sweep = Sweep { name: "rekey", fault, calls, every, prepare: &prepare, command: &command, invariant: &sound };
    sweep.run(&strace).assert_sound();
}

#[test]
fn changing_keys_survives_a_kill() {
    sweep(Fault::Kill, CHANGING, 6);
}

#[test]
fn changing_keys_survives_a_full_disk() {
    sweep(Fault::NoSpace, FAILING, 8);
}

#[test]
fn a_key_that_is_none_is_told_with_its_line_and_never_shown_when_it_is_private() {
    let s = Sandbox::new();
    with_bot(&s);
    for (lines, said) in [
        ("encrypt = [\"age1nonsense\"]\n", "`artifacts.encrypt` holds what is no public key of age or SSH"),
        ("encrypt = [\"AGE-SECRET-KEY-1NOBODYMAYSEETHIS\"]\n", "`artifacts.encrypt` holds a private key"),
        ("identity = \"AGE-SECRET-KEY-1NOBODYMAYSEETHIS\"\n", "must be a reference to a secret, not the secret itself"),
        ("encrypt = \"age1x\"\n", "encrypt"),
        ("[backup]\nrecipients = [\"age1nonsense\"]\n", "`backup.recipients` holds what is no public key of age or SSH"),
        ("[backup]\nrecipients = [\"AGE-SECRET-KEY-1NOBODYMAYSEETHIS\"]\n", "`backup.recipients` holds a private key"),
    ] {
        say(&s, lines);
        let run = ends(&s, 2, ["list"]);
        let line = s.read("mlops.toml").lines().count();
        assert!(run.stderr.contains(said) && run.stderr.contains(&format!("mlops.toml:{line}:")), "{run}");
        assert!(!run.stderr.contains("NOBODYMAYSEETHIS"), "{run}");
    }
    say(&s, "identity = \"file:kf.key\"\n");
    s.write("kf.key", "no key\n");
    let (_, objects) = (ok(&s, ["list"]), lies(&s).len());
    assert_eq!(objects, 4);
    let public = key(&s, "other.key");
    say(&s, &format!("encrypt = [\"{public}\"]\nidentity = \"file:kf.key\"\n"));
    let refused = ends(&s, 1, ["rekey"]);
    assert!(refused.stderr.contains("the key that `artifacts.identity` names cannot be had"), "{refused}");
}

/// The names and reasons of a state, as they stand there.
fn sensitive(s: &Sandbox) -> Vec<String> {
    let target = match s.environment().remove("KF_STATE_URL") {
        None => DbTarget::Sqlite(s.work().join(".kf/state.db")),
        Some(url) => DbTarget::Postgres(PostgresTarget { url, password: None, schema: "kf".into() }),
    };
    let db = Db::open(&target, Mode::Read, Duration::from_secs(5)).expect("the state");
    let mut all = Vec::new();
    for sql in ["SELECT name FROM pseudonym ORDER BY id", "SELECT value FROM opening ORDER BY seq"] {
        db.each(sql, &[], &mut |row| {
            all.push(row.text(0)?.to_owned());
            Ok(())
        })
        .expect("read");
    }
    all
}

#[test]
fn names_and_reasons_are_encrypted_with_the_objects() {
    on_both_engines(|s| {
        with_bot(s);
        ok(s, ["--as", "grace@example.com", "promote", "bot@1.0.0", "--to", "staging", "--reason", "Zürich asked for it"]);
        let public = key(s, "kf.key");
        say(s, &format!("encrypt = [\"{public}\"]\nidentity = \"file:kf.key\"\n"));
        assert!(sensitive(s).contains(&"grace@example.com".to_owned()));
        let doctor = ok(s, ["doctor"]).stdout;
        assert!(doctor.contains("`kf rekey` encrypts the rest"), "{doctor}");
        let done = json(&ok(s, ["rekey", "--format", "json"]));
        assert_eq!((&done["fields"]["rewritten"], &done["fields"]["left"]), (&done["fields"]["values"], &0.into()), "{done}");
        let stored = sensitive(s);
        assert!(stored.iter().all(|text| text.starts_with("kf-sealed:1:")), "{stored:?}");
        if s.engine() == Engine::Files {
            let file = std::fs::read(s.work().join(".kf/state.db")).expect("the state");
            for word in ["grace@example.com", "asked for it"] {
                assert!(!file.windows(word.len()).any(|w| w == word.as_bytes()), "{word} is in the file");
            }
        }

        // Whoever has the key sees what they always saw, and the same person stays the same person.
        ok(s, ["--as", "grace@example.com", "tag", "bot@1.0.0", "seen"]);
        let names = sensitive(s).len();
        ok(s, ["--as", "grace@example.com", "tag", "bot@1.0.0", "seen-again"]);
        assert_eq!(sensitive(s).len(), names, "no second pseudonym for one person");
        let history = ok(s, ["history", "bot"]).stdout;
        assert!(history.contains("grace@example.com") && history.contains("Zürich asked for it"), "{history}");
        for found in [&["--actor", "grace@example.com"][..], &["--text", "Zürich"]] {
            let mut command = s.command(env!("CARGO_BIN_EXE_kf"));
            let run = s.finish(command.args(["audit", "log", "--format", "json"]).args(found));
            assert!(run.code == Some(0) && run.stdout.contains("version.promoted"), "{found:?} {run}");
        }
        let verified = json(&ok(s, ["audit", "verify", "--format", "json"]));
        assert_eq!((&verified["locked"], &verified["finding_count"]), (&0.into(), &0.into()), "{verified}");

        // Whoever has not sees that somebody did it, and can still go on.
        say(s, &format!("encrypt = [\"{public}\"]\n"));
        let history = ok(s, ["history", "bot"]).stdout;
        assert!(!history.contains("grace") && !history.contains("Zürich") && history.contains("user-"), "{history}");
        let log = ok(s, ["audit", "log"]).stdout;
        assert!(log.contains("(encrypted)") && !log.contains("grace"), "{log}");
        let verified = ok(s, ["audit", "verify"]).stdout;
        assert!(verified.contains("no key of this host reads them"), "{verified}");
        ok(s, ["--as", "linus@example.com", "archive", "bot@1.0.0", "--reason", "at night"]);
        say(s, &format!("encrypt = [\"{public}\"]\nidentity = \"file:kf.key\"\n"));
        let log = ok(s, ["audit", "log"]).stdout;
        assert!(log.contains("linus@example.com") && log.contains("at night"), "{log}");

        // Off again.
        say(s, "identity = \"file:kf.key\"\n");
        ok(s, ["rekey", "--decrypt"]);
        assert!(sensitive(s).contains(&"grace@example.com".to_owned()), "{:?}", sensitive(s));
        say(s, "");
        fsck(s, 0);
    });
}
