//! A power cut keeps what was flushed and nothing else. What a kill cannot show, the order of the system calls does: bytes are
//! on disk before they get a name, names before a row speaks of them, and the database's own file before its log goes.

use crate::repo::{init, ok};
use crate::support::sandbox::Sandbox;
use crate::support::skip;
use crate::support::strace::Strace;
use std::collections::BTreeSet;

/// The calls that write, name and flush.
const CALLS: &[&str] = &[
    "write",
    "writev",
    "pwrite64",
    "pwritev",
    "copy_file_range",
    "sendfile",
    "ftruncate",
    "fsync",
    "fdatasync",
    "syncfs",
    "link",
    "linkat",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "mkdir",
    "mkdirat",
];

/// What is not on disk yet, and what was done wrong.
#[derive(Debug, Default)]
struct Disk {
    /// Files with bytes, and directories with names, that no flush covers.
    unflushed: BTreeSet<String>,
    wrong: Vec<String>,
    /// Objects that got their names, and commits.
    named: usize,
    commits: usize,
}

fn parent(path: &str) -> String {
    path.rsplit_once('/').map_or("", |(dir, _)| dir).to_owned()
}

/// What does not matter: scratch files lose their names before anybody relies on them.
fn is_scratch(path: &str) -> bool {
    !(path.contains("/.kf/") || path.ends_with("/.kf"))
        || path.contains("/objects/tmp")
        || path.ends_with("-shm")
        || path.ends_with("lock")
}

impl Disk {
    fn replay(calls: &[(String, String)]) -> Self {
        let mut disk = Self::default();
        calls.iter().for_each(|(call, arguments)| disk.step(call, arguments));
        disk
    }

    fn step(&mut self, call: &str, arguments: &str) {
        let descriptor = arguments.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or("", |(path, _)| path);
        let names: Vec<&str> = arguments.split('"').skip(1).step_by(2).collect();
        match (call, &names[..]) {
            ("fsync" | "fdatasync", _) => {
                self.unflushed.remove(descriptor);
                if descriptor.ends_with("state.db-wal") {
                    self.commit();
                }
            }
            ("syncfs", _) => self.unflushed.clear(),
            ("mkdir" | "mkdirat", [path]) => {
                self.unflushed.insert(parent(path));
            }
            ("unlink" | "unlinkat", [path]) => {
                let database = path.strip_suffix("-wal").filter(|db| self.unflushed.contains(*db));
                self.wrong.extend(database.map(|db| format!("{path} goes before {db} is on disk")));
                self.unflushed.remove(*path);
            }
            (_, [from, to]) => self.name(from, to),
            _ => {
                self.unflushed.insert(descriptor.to_owned());
            }
        }
    }

    fn name(&mut self, from: &str, to: &str) {
        let below = format!("{from}/");
        let early: Vec<String> = self.unflushed.iter().filter(|p| *p == from || p.starts_with(&below)).cloned().collect();
        self.wrong.extend(early.iter().map(|p| format!("{to} gets its name before {p} is on disk")));
        self.unflushed.retain(|p| !early.contains(p));
        self.named += usize::from(to.contains("/objects/sha256/"));
        self.unflushed.insert(parent(to));
    }

    fn commit(&mut self) {
        self.commits += 1;
        let late = self.unflushed.iter().filter(|p| !is_scratch(p) && !p.contains("/state.db"));
        self.wrong.extend(late.map(|p| format!("a row is committed before {p} is on disk")));
    }

    fn end(&mut self) {
        let late = self.unflushed.iter().filter(|p| !is_scratch(p));
        self.wrong.extend(late.map(|p| format!("the command ends before {p} is on disk")));
    }
}

fn check(files: usize) {
    let strace = match Strace::find() {
        Ok(strace) => strace,
        Err(why) => return skip(&why),
    };
    let sandbox = Sandbox::new();
    init(&sandbox);
    for i in 0..files {
        sandbox.write(format!("cfg/{i}.txt"), format!("text {i}"));
    }
    // The first registration also lays out the folders, the second finds them; the last meets objects that are there.
    for (version, new) in [("1.0.0", files + 1), ("2.0.0", 2), ("3.0.0", 2)] {
        sandbox.write("cfg/0.txt", format!("text of {version}"));
        let command = [env!("CARGO_BIN_EXE_kf"), "register", "bot", "cfg", "--type", "other", "--version", version];
        let (run, calls) = strace.record(&sandbox, CALLS, &command.map(str::to_owned));
        assert_eq!(run.code, Some(0), "{run}");
        let mut disk = Disk::replay(&calls);
        disk.end();
        assert_eq!(disk.wrong, Vec::<String>::new(), "{version} with {files} files");
        assert!(disk.named >= new && disk.commits > 0, "{} objects were named, {} commits", disk.named, disk.commits);
    }
    ok(&sandbox, ["fsck"]);
}

#[test]
fn objects_are_on_disk_before_they_are_named_and_named_before_a_row_names_them() {
    check(3);
}

#[test]
fn many_objects_share_their_flushes_in_the_same_order() {
    check(40);
}

/// The rules find what breaks them.
#[test]
fn a_wrong_order_is_found() {
    let wrong = |calls: &[(&str, &str)]| {
        let calls: Vec<_> = calls.iter().map(|(c, a)| ((*c).to_owned(), (*a).to_owned())).collect();
        let mut disk = Disk::replay(&calls);
        disk.end();
        disk.wrong.join("; ")
    };
    let write = ("write", "3</r/.kf/objects/tmp/kf-1.tmp>, \"\"..., 4) = 4");
    let flush = ("fsync", "3</r/.kf/objects/tmp/kf-1.tmp>) = 0");
    let name = ("rename", "\"/r/.kf/objects/tmp/kf-1.tmp\", \"/r/.kf/objects/sha256/ab/cd\") = 0");
    let flush_dir = ("fsync", "4</r/.kf/objects/sha256/ab>) = 0");
    let commit = ("fdatasync", "5</r/.kf/state.db-wal>) = 0");
    assert_eq!(wrong(&[write, flush, name, flush_dir, commit]), "");
    assert_eq!(
        wrong(&[write, name, flush_dir, commit]),
        "/r/.kf/objects/sha256/ab/cd gets its name before /r/.kf/objects/tmp/kf-1.tmp is on disk"
    );
    assert!(
        wrong(&[write, flush, name, commit, flush_dir]).contains("a row is committed before /r/.kf/objects/sha256/ab is on disk")
    );
    assert!(wrong(&[write, flush, name]).contains("the command ends before /r/.kf/objects/sha256/ab is on disk"));
    let database = ("pwrite64", "6</r/.kf/state.db>, \"\"..., 8192, 0) = 8192");
    let gone = ("unlink", "\"/r/.kf/state.db-wal\") = 0");
    assert!(wrong(&[commit, database, gone]).contains("state.db-wal goes before /r/.kf/state.db is on disk"));
}
