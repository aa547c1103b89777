//! `-C DIR`, `KF_DIR`, and running below the root of a repository.

use crate::repo::{ends, ok, with_bot, write_bot};
use crate::support::sandbox::Sandbox;
use insta::assert_snapshot;

/// Two repositories, `one` with a bot and `two` without.
fn two() -> Sandbox {
    let s = Sandbox::new();
    for name in ["one", "two"] {
        std::fs::create_dir_all(s.work().join(name).join("deep/er")).expect("folders");
        ok(&s, ["-C", name, "init", "--name", name]);
    }
    s.write("one/bot/prompts/answer.txt", "Answer {question}.\n");
    ok(&s, ["-C", "one", "register", "bot", "bot"]);
    s
}

#[test]
fn the_flag_wins_over_the_variable_and_the_place() {
    let mut s = two();
    assert!(ok(&s, ["-C", "one", "list"]).stdout.contains("bot"));
    assert!(ok(&s, ["list", "-C", "one/deep/er"]).stdout.contains("bot"), "from below, and after the command");
    s.set("KF_DIR", "two");
    assert!(ok(&s, ["list"]).stdout.starts_with("Nothing is registered"));
    assert!(ok(&s, ["-C", "one", "list"]).stdout.contains("bot"));
}

#[test]
fn paths_are_read_from_the_directory_named() {
    let s = two();
    s.write("one/deep/w.bin", "weights");
    ok(&s, ["-C", "one/deep", "register", "ranker", "w.bin", "--type", "reranker"]);
    ok(&s, ["-C", "one/deep", "checkout", "ranker", "out"]);
    assert_eq!(s.read("one/deep/out/w.bin"), "weights");
    ok(&s, ["-C", "one/deep", "card", "ranker", "-o", "card.md"]);
    assert!(s.work().join("one/deep/card.md").is_file());
}

#[test]
fn places_that_are_no_directories_are_named() {
    let s = two();
    s.write("file", "x");
    assert_snapshot!(ends(&s, 2, ["-C", "file", "list"]), @"
    -- stderr --
    error: there is no folder [ROOT]/work/file
    hint: check `-C` and KF_DIR
    -- exit status: 2 --
    ");
    assert_snapshot!(ends(&s, 2, ["-C", "", "list"]), @"
    -- stderr --
    error: a value is required for '-C <DIR>' but none was supplied

    For more information, try '--help'.
    -- exit status: 2 --
    ");
}

#[test]
fn a_repository_within_another_is_its_own() {
    let s = Sandbox::new();
    with_bot(&s);
    std::fs::create_dir(s.work().join("inner")).expect("a folder");
    assert_snapshot!(ends(&s, 2, ["-C", "inner", "init", "--name", "inner"]), @r#"
    -- stderr --
    error: the repository [ROOT]/work is there already, and its name is `shop`
    hint: leave `--name` out; a repository of its own within this one needs an mlops.toml first, with `[project]` and `name = "inner"`
    -- exit status: 2 --
    "#);
    s.write("inner/mlops.toml", "[project]\nname = \"inner\"\n");
    ok(&s, ["-C", "inner", "init"]);
    assert!(ok(&s, ["-C", "inner", "list"]).stdout.starts_with("Nothing is registered"));
    write_bot(&s);
    assert!(ok(&s, ["list"]).stdout.contains("bot"));
}
