//! Paths and names that people get wrong: outside the repository, links that leave or run in circles, names that are none.

use crate::repo::{ends, init, on_both, refused};
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
    error: invalid value 'my model' for '[NAME]': `my model` cannot be a name: ` ` is not allowed, use letters, digits, `-`, `_` and `.`

    For more information, try '--help'.
    -- exit status: 2 --
    ");
    assert_snapshot!(refused(&s, 2, ["register", "it's", "w.bin"]), @r"
    -- stderr --
    error: invalid value 'it's' for '[NAME]': `it\'s` cannot be a name: `\'` is not allowed, use letters, digits, `-`, `_` and `.`

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
    error: invalid value 'x@1.0.0' for '[NAME]': `x@1.0.0` cannot be a name: `@` is not allowed, use letters, digits, `-`, `_` and `.`

    For more information, try '--help'.
    -- exit status: 2 --
    ");
    let long = "n".repeat(10_000);
    let run = refused(&s, 2, ["register", &long, "w.bin"]);
    assert!(run.stderr.contains("it is 10000 bytes long, at most 100 are allowed"), "{run}");
}

#[test]
fn file_names_that_no_system_shares_are_refused() {
    use std::os::unix::ffi::OsStrExt as _;
    on_both(|s| {
        init(s);
        s.write("m/back\\slash", "x");
        assert_snapshot!(refused(s, 1, ["register", "m", "m"]), @r"
        -- stderr --
        error: `back\\slash` cannot be a path in a version: it has a backslash; parts are separated by `/`
        hint: paths are relative to the model's folder, such as `prompts/system.txt`
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
