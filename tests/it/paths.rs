//! Paths and names that people get wrong: outside the repository, links that leave or run in circles, names that are none.

use crate::repo::{ends, init, ok, on_both, refused};
use crate::support::sandbox::Sandbox;
use insta::assert_snapshot;
use std::os::unix::fs::symlink;

#[test]
fn paths_that_make_no_version() {
    on_both(|s| {
        init(s);
        s.write("m/w.bin", "weights");
        std::fs::write(s.root().join("secret"), "s").expect("a file outside");
        std::fs::create_dir(s.work().join("none")).expect("an empty folder");
        assert_snapshot!(refused(s, 1, ["register", "m", "../secret"]), @"
        -- stderr --
        error: [ROOT]/work/../secret is outside the repository [ROOT]/work
        hint: put the files inside the repository, or run kf with `-C` in the repository that holds them
        -- exit status: 1 --
        ");
        assert_snapshot!(refused(s, 1, ["register", "m", "missing"]), @"
        -- stderr --
        error: cannot read [ROOT]/work/missing
        caused by: No such file or directory (os error 2)
        hint: check the path; a link to something that is gone counts as missing too
        -- exit status: 1 --
        ");
        assert_snapshot!(refused(s, 1, ["register", "m", "none"]), @"
        -- stderr --
        error: there is no file in [ROOT]/work/none
        hint: a version needs at least one file
        -- exit status: 1 --
        ");
        assert_snapshot!(refused(s, 1, ["register", "m", ".kf"]), @"
        -- stderr --
        error: [ROOT]/work/.kf belongs to .git or .kf, not to a model
        hint: name the files of the model
        -- exit status: 1 --
        ");
        s.command("mkfifo").arg("m/pipe").status().expect("mkfifo runs");
        assert_snapshot!(refused(s, 1, ["register", "m", "m"]), @"
        -- stderr --
        error: [ROOT]/work/m/pipe is neither a file nor a folder
        hint: pipes, sockets and devices cannot be part of a version
        -- exit status: 1 --
        ");
    });
}

#[test]
fn links_are_followed_inside_and_refused_outside_and_in_circles() {
    on_both(|s| {
        init(s);
        s.write("m/w.bin", "weights");
        symlink("w.bin", s.work().join("m/same")).expect("a link");
        assert_snapshot!(s.kf(["register", "m", "m"]), @"
        registered m@1.0.0 (cc16672fb50d, 2 files, 14 B)
        -- exit status: 0 --
        ");
        std::fs::write(s.root().join("secret"), "s").expect("a file outside");
        symlink("../../secret", s.work().join("m/out")).expect("a link");
        assert_snapshot!(refused(s, 1, ["register", "m", "m"]), @"
        -- stderr --
        error: [ROOT]/work/m/out is outside the repository [ROOT]/work
        hint: put the files inside the repository, or run kf with `-C` in the repository that holds them
        -- exit status: 1 --
        ");
        std::fs::remove_file(s.work().join("m/out")).expect("removed");
        symlink("..", s.work().join("m/up")).expect("a link");
        assert_snapshot!(refused(s, 1, ["register", "m", "m"]), @"
        -- stderr --
        error: a link on the way to [ROOT]/work/m/up/m runs in a circle
        hint: remove the link
        -- exit status: 1 --
        ");
        std::fs::remove_file(s.work().join("m/up")).expect("removed");
        symlink("self", s.work().join("m/self")).expect("a link");
        assert_snapshot!(refused(s, 1, ["register", "m", "m"]), @"
        -- stderr --
        error: cannot read [ROOT]/work/m/self
        caused by: Too many levels of symbolic links (os error 40)
        hint: this link runs in a circle: remove it or point it to a file
        -- exit status: 1 --
        ");
        std::fs::remove_file(s.work().join("m/self")).expect("removed");
        symlink("gone", s.work().join("m/dangling")).expect("a link");
        assert_snapshot!(refused(s, 1, ["register", "m", "m"]), @"
        -- stderr --
        error: cannot read [ROOT]/work/m/dangling
        caused by: No such file or directory (os error 2)
        hint: check the path; a link to something that is gone counts as missing too
        -- exit status: 1 --
        ");
    });
}

#[test]
fn names_of_models_are_plain_words() {
    let s = Sandbox::new();
    init(&s);
    s.write("w.bin", "weights");
    assert_snapshot!(refused(&s, 2, ["register", "my model", "w.bin"]), @"
    -- stderr --
    error: invalid value 'my model' for '[NAME]': `my model` cannot be a name: ` ` is not allowed, use letters, digits, `-`, `_` and `.`, such as `my-model`

    For more information, try '--help'.
    -- exit status: 2 --
    ");
    assert_snapshot!(refused(&s, 2, ["register", "it's", "w.bin"]), @"
    -- stderr --
    error: invalid value 'it's' for '[NAME]': `it's` cannot be a name: `'` is not allowed, use letters, digits, `-`, `_` and `.`, such as `it-s`

    For more information, try '--help'.
    -- exit status: 2 --
    ");
    assert_snapshot!(refused(&s, 2, ["register", "a..b", "w.bin"]), @"
    -- stderr --
    error: invalid value 'a..b' for '[NAME]': `a..b` cannot be a name: `..` is not allowed

    For more information, try '--help'.
    -- exit status: 2 --
    ");
    assert_snapshot!(refused(&s, 2, ["register", "🚀", "w.bin"]), @"
    -- stderr --
    error: invalid value '🚀' for '[NAME]': `🚀` cannot be a name: `🚀` is not allowed, use letters, digits, `-`, `_` and `.`

    For more information, try '--help'.
    -- exit status: 2 --
    ");
    assert_snapshot!(refused(&s, 2, ["register", "", "w.bin"]), @"
    -- stderr --
    error: invalid value '' for '[NAME]': `` cannot be a name: it is empty

    For more information, try '--help'.
    -- exit status: 2 --
    ");
    assert_snapshot!(refused(&s, 2, ["register", "x@1.0.0", "w.bin"]), @"
    -- stderr --
    error: invalid value 'x@1.0.0' for '[NAME]': `x@1.0.0` cannot be a name: `@` is not allowed, use letters, digits, `-`, `_` and `.`, such as `x-1.0.0`

    For more information, try '--help'.
    -- exit status: 2 --
    ");
    let long = "n".repeat(10_000);
    let run = refused(&s, 2, ["register", &long, "w.bin"]);
    assert!(run.stderr.contains("it is 10000 bytes long, at most 100 are allowed"), "{run}");
    assert!(run.stderr.len() < 400, "nobody wants to read it again: {run}");
}

#[test]
fn file_names_that_no_system_shares_are_refused() {
    use std::os::unix::ffi::OsStrExt as _;
    on_both(|s| {
        init(s);
        s.write("m/back\\slash", "x");
        assert_snapshot!(refused(s, 1, ["register", "m", "m"]), @r"
        -- stderr --
        error: `back\slash` cannot be a path in a version: it has a backslash; parts are separated by `/`
        hint: rename it: paths are relative to the model's folder, such as `prompts/system.txt`
        -- exit status: 1 --
        ");
        std::fs::remove_file(s.work().join("m/back\\slash")).expect("removed");
        s.write(std::path::Path::new("m").join(std::ffi::OsStr::from_bytes(b"\xff\xfe")), "x");
        assert_snapshot!(refused(s, 1, ["register", "m", "m"]), @"
        -- stderr --
        error: the name of [ROOT]/work/m/�� is not UTF-8
        hint: rename the file: names must read the same everywhere
        -- exit status: 1 --
        ");
    });
}

#[test]
fn a_folder_that_is_not_there() {
    let s = Sandbox::new();
    assert_snapshot!(ends(&s, 2, ["-C", "nowhere", "status"]), @"
    -- stderr --
    error: there is no folder [ROOT]/work/nowhere
    hint: check `-C` and KF_DIR
    -- exit status: 2 --
    ");
}

#[test]
fn files_of_every_harmless_kind_come_back_as_they_were() {
    on_both(|s| {
        init(s);
        let files: [(&str, &[u8]); 7] = [
            ("m/it's \"quoted\".txt", b"x"),
            ("m/🚀 launch.md", b"# up\n"),
            ("m/naïve/日本語.txt", "こんにちは".as_bytes()),
            ("m/-rf", b"dash"),
            ("m/--help", b"dashes"),
            ("m/empty", b""),
            ("m/$(touch pwned);`id`", b"shell"),
        ];
        for (path, bytes) in files {
            s.write(path, bytes);
        }
        s.write("m/.git/HEAD", "ref: x\n");
        s.write("m/.kf/inner", "x");
        ok(s, ["register", "m", "m"]);
        ok(s, ["checkout", "m", "out"]);
        for (path, bytes) in files {
            let back = s.work().join("out").join(path.strip_prefix("m/").expect("below m"));
            assert_eq!(std::fs::read(&back).expect(path), bytes, "{path}");
        }
        assert!(!s.work().join("out/.git").exists() && !s.work().join("out/.kf").exists(), "no tool's own folders");
        let shown = ok(s, ["show", "m"]).stdout;
        assert!(shown.contains("it's \"quoted\".txt") && shown.contains("🚀 launch.md"), "{shown}");
        for format in ["json", "jsonl", "csv", "markdown"] {
            ok(s, ["show", "m", "--format", format]);
        }
        ok(s, ["fsck"]);
    });
}

#[test]
fn an_empty_file_alone_makes_a_version() {
    on_both(|s| {
        init(s);
        s.write("zero", "");
        ok(s, ["register", "zero", "zero"]);
        ok(s, ["checkout", "zero", "out"]);
        assert_eq!(s.read("out/zero"), "");
    });
}

#[test]
fn what_is_no_file_is_named_and_changes_nothing() {
    let s = Sandbox::new();
    init(&s);
    s.write("m/w.bin", "weights");
    let socket = std::os::unix::net::UnixListener::bind(s.work().join("m/sock")).expect("a socket");
    let run = refused(&s, 1, ["register", "m", "m"]);
    assert!(run.stderr.starts_with("error: [ROOT]/work/m/sock is neither a file nor a folder\n"), "{run}");
    std::fs::remove_file(s.work().join("m/sock")).expect("removed");
    drop(socket);
    s.write("m/line\nbreak", "x");
    assert_snapshot!(refused(&s, 1, ["register", "m", "m"]), @r"
    -- stderr --
    error: `line\nbreak` cannot be a path in a version: it has a control character
    hint: rename it: paths are relative to the model's folder, such as `prompts/system.txt`
    -- exit status: 1 --
    ");
    std::fs::remove_file(s.work().join("m/line\nbreak")).expect("removed");
    if s.command("mknod").args(["m/null", "c", "1", "3"]).output().is_ok_and(|o| o.status.success()) {
        let run = refused(&s, 1, ["register", "m", "m"]);
        assert!(run.stderr.starts_with("error: [ROOT]/work/m/null is neither a file nor a folder\n"), "{run}");
        std::fs::remove_file(s.work().join("m/null")).expect("removed");
    }
    refused(&s, 1, ["register", "m", "/dev/zero"]);
    ok(&s, ["register", "m", "m"]);
}

/// Who owns nothing here: root itself would be allowed to read everything.
const NOBODY: &str = "65534";

#[test]
fn what_this_user_may_not_read_is_named() {
    use std::os::unix::fs::{PermissionsExt as _, chown};
    let s = Sandbox::new();
    init(&s);
    s.write("m/open.txt", "x");
    s.write("m/closed.txt", "x");
    let mode = |path: &str, mode| {
        std::fs::set_permissions(s.root().join(path), std::fs::Permissions::from_mode(mode)).expect("a mode");
    };
    let root = chown(s.root(), Some(65534), Some(65534)).is_ok();
    if root {
        let all = s.command("chown").args(["-R", "65534:65534"]).arg(s.root()).output().expect("chown runs");
        assert!(all.status.success());
    }
    let kf = |args: &[&str]| {
        let mut command = if root { s.command("setpriv") } else { s.command(env!("CARGO_BIN_EXE_kf")) };
        if root {
            let (user, group) = (format!("--reuid={NOBODY}"), format!("--regid={NOBODY}"));
            command.args([user.as_str(), &group, "--clear-groups", env!("CARGO_BIN_EXE_kf")]);
        }
        s.finish(command.args(args))
    };
    let run = kf(&["list"]);
    if run.code != Some(0) {
        return crate::support::skip(&format!("another user cannot run kf here: {run}"));
    }
    mode("work/m/closed.txt", 0o000);
    assert_snapshot!(kf(&["register", "m", "m"]), @"
    -- stderr --
    error: cannot read [ROOT]/work/m/closed.txt
    caused by: Permission denied (os error 13)
    hint: check who may read and write it with `ls -ld`
    -- exit status: 1 --
    ");
    mode("work/m/closed.txt", 0o644);
    s.write("m/sub/x", "x");
    mode("work/m/sub", 0o000);
    assert_snapshot!(kf(&["register", "m", "m"]), @"
    -- stderr --
    error: cannot read [ROOT]/work/m/sub
    caused by: Permission denied (os error 13)
    hint: check who may read it: `ls -l` tells
    -- exit status: 1 --
    ");
    mode("work/m/sub", 0o755);
    mode("work/mlops.toml", 0o000);
    assert_snapshot!(kf(&["list"]), @"
    -- stderr --
    error: cannot open `[ROOT]/work/mlops.toml`
    caused by: Permission denied (os error 13)
    hint: check who may read it with `ls -l`
    -- exit status: 1 --
    ");
    mode("work/mlops.toml", 0o644);
    mode("work/.kf/state.db", 0o000);
    let run = kf(&["list"]);
    assert_eq!(run.code, Some(1), "{run}");
    assert!(run.stderr.starts_with("error: cannot open [ROOT]/work/.kf/state.db\n") && run.stderr.contains("hint: "), "{run}");
    mode("work/.kf/state.db", 0o644);
    assert_snapshot!(kf(&["register", "m", "m"]), @"
    registered m@1.0.0 (fca0d68cd6f2, 3 files, 3 B)
    -- exit status: 0 --
    ");
}

#[test]
fn parts_that_are_bombs_or_broken_are_named_with_their_place() {
    on_both(|s| {
        init(s);
        crate::repo::write_bot(s);
        let bomb = (b'b'..b'n').fold("a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned(), |text, letter| {
            let (this, before) = (char::from(letter), char::from(letter - 1));
            text + &format!("{this}: &{this} [{}]\n", vec![format!("*{before}"); 9].join(", "))
        });
        for (name, text, place) in [
            ("retrieval.yaml", bomb.as_bytes(), "retrieval.yaml:1:1: "),
            ("retrieval.yaml", b"top-k: 5\ntop-k: 6\n", "retrieval.yaml:2:1: the key `top-k` is there twice"),
            ("retrieval.yaml", b"\ttop-k: 5\n", "retrieval.yaml:1:1: "),
            ("retrieval.yaml", b"\xff\xfet", "retrieval.yaml:1:1: byte 0xff is not UTF-8"),
            ("agents.toml", b"[a]\nx = 1\n[a]\ny = 2\n", "agents.toml:3:2: duplicate key"),
            ("routing.json", b"{\"a\": 1,}", "routing.json:1:9: trailing comma"),
            ("routing.json", b"{\"a\": 1, \"a\": 2}", "routing.json:1:12: the key `a` is there twice"),
            ("routing.json", "[".repeat(100_000).as_bytes(), "routing.json:1:128: "),
        ] {
            crate::repo::write_bot(s);
            s.write(format!("bot/{name}"), text);
            let run = refused(s, 1, ["register", "bot", "bot"]);
            assert!(run.stderr.starts_with(&format!("error: 1 part of this config cannot be read:\n{place}")), "{run}");
            assert!(run.stderr.contains("\nhint: mend these files"), "{run}");
            std::fs::remove_file(s.work().join(format!("bot/{name}"))).expect("removed");
        }
        s.write("bot/retrieval.yaml", "\u{feff}top-k: 5\n");
        ok(s, ["register", "bot", "bot"]);
    });
}
