//! `kf init`.

use crate::repo::{ends, ok, on_both};
use crate::support::sandbox::Sandbox;
use insta::assert_snapshot;

#[test]
fn starts_a_repository_and_says_what_is_next() {
    let s = Sandbox::new();
    assert_snapshot!(s.kf(["init", "--name", "shop"]), @"
    wrote mlops.toml
    wrote .gitignore
    new state: SQLite [ROOT]/work/.kf/state.db

    Next: kf register NAME PATH registers a first version; kf demo shows a whole release; kf doctor checks this machine.
    -- exit status: 0 --
    ");
    assert_eq!(s.read(".gitignore"), ".kf/\n");
    assert!(s.read("mlops.toml").contains("[project]\nname = \"shop\"\n"));
    assert_snapshot!(s.kf(["status"]), @"
    shop  (SQLite [ROOT]/work/.kf/state.db)

    No models yet: `kf register NAME PATH` registers a first version.

    audit   1 event, unsigned: `kf audit key --generate` makes a key that signs them
    -- exit status: 0 --
    ");
    assert_snapshot!(s.kf(["list"]), @"
    Nothing is registered here yet: `kf register NAME PATH` registers a version.
    -- exit status: 0 --
    ");
}

#[test]
fn again_changes_nothing() {
    on_both(|s| {
        ok(s, ["init", "--name", "shop"]);
        s.write("mlops.toml", "[project]\nname = \"mine\"\n");
        let again = ok(s, ["init", "--format", "json"]);
        assert!(again.stdout.contains("\"wrote\": []") && again.stdout.contains("\"state_created\": false"), "{again}");
        assert_eq!(s.read("mlops.toml"), "[project]\nname = \"mine\"\n");
        assert_eq!(s.read(".gitignore"), ".kf/\n");
        assert!(ok(s, ["status"]).stdout.contains("1 event"), "only the first event");
    });
}

#[test]
fn state_on_servers_is_named_without_its_password() {
    let Ok(mut s) = Sandbox::on(crate::support::sandbox::Engine::Servers) else {
        return crate::support::skip("PostgreSQL or S3 is missing");
    };
    let url = s.environment()["KF_STATE_URL"].replace("kf@", "kf:hunter2@");
    s.set("KF_STATE_URL", &url);
    let run = ends(&s, 2, ["init", "--name", "shop"]);
    assert!(!run.to_string().contains("hunter2"), "{run}");
    let told = ["`state.url` holds a secret", "KF_STATE_URL=****", "add `password = \"env:PGPASSWORD\"` to `[state]`"];
    told.iter().for_each(|part| assert!(run.stderr.contains(part), "{part}: {run}"));
}

#[test]
fn a_folder_below_joins_the_repository_above() {
    let s = Sandbox::new();
    ok(&s, ["init", "--name", "shop"]);
    std::fs::create_dir(s.work().join("deep")).expect("a folder");
    let run = ok(&s, ["-C", "deep", "init"]);
    assert_snapshot!(run, @"
    the state is there already: SQLite [ROOT]/work/.kf/state.db

    Next: kf register NAME PATH registers a first version; kf demo shows a whole release; kf doctor checks this machine.
    -- exit status: 0 --
    ");
    assert!(!s.work().join("deep/mlops.toml").exists());
}

#[test]
fn a_name_that_is_none_is_refused_and_nothing_is_written() {
    let s = Sandbox::new();
    assert_snapshot!(ends(&s, 2, ["init", "--name", "../shop"]), @"
    -- stderr --
    error: invalid value '../shop' for '--name <NAME>': `../shop` cannot be a name: `/` is not allowed, use letters, digits, `-`, `_` and `.`, such as `shop`

    For more information, try '--help'.
    -- exit status: 2 --
    ");
    assert_eq!(std::fs::read_dir(s.work()).expect("the folder").count(), 0);
}
