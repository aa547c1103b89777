//! What kf says about the file as a whole, its layers, and where things are kept.

use super::{refused, refused_with};

#[test]
fn a_syntax_error_shows_line_and_caret() {
    let said = refused(
        r#"[project]
name = "bot"
[state
url = "sqlite"
[policy]
retention-days = = 3
"#,
    );
    insta::assert_snapshot!(said, @r"
    error: not TOML: unclosed table, expected `]`
     --> mlops.toml:3:7
      |
    3 | [state
      |       ^

    error: not TOML: extra `=`, expected nothing
     --> mlops.toml:6:18
      |
    6 | retention-days = = 3
      |                  ^
    ");
}

#[test]
fn a_secret_in_broken_toml_is_not_shown() {
    let said = refused(
        r#"[project]
name = "bot"
[state]
password = "hunter2
"#,
    );
    insta::assert_snapshot!(said, @r#"
    error: not TOML: invalid basic string, expected `"`
     --> mlops.toml:4:20
      |
    4 | password = "*******
      |                    ^
    "#);
}

#[test]
fn a_key_that_is_there_twice() {
    let said = refused(
        r#"[project]
name = "bot"
name = "other"
"#,
    );
    insta::assert_snapshot!(said, @r#"
    error: not TOML: duplicate key
     --> mlops.toml:3:1
      |
    3 | name = "other"
      | ^^^^
    "#);
}

#[test]
fn unknown_keys_are_all_reported() {
    let said = refused(
        r#"[project]
name = "bot"
ower = "me"
[polcy]
x = 1
[gates.a]
stage = "staging"
kind = "absolute"
metric = "faithfulness"
mn = 0.5
"#,
    );
    insta::assert_snapshot!(said, @r#"
    error: unknown key `ower` in `[project]`
     --> mlops.toml:3:1
      |
    3 | ower = "me"
      | ^^^^
      |
      = help: did you mean `owner`?

    error: unknown key `polcy` at the top level
     --> mlops.toml:4:2
      |
    4 | [polcy]
      |  ^^^^^
      |
      = help: did you mean `policy`?

    error: unknown key `mn` in `[gates.a]`
      --> mlops.toml:10:1
       |
    10 | mn = 0.5
       | ^^
       |
       = help: did you mean `min`?
    "#);
}

#[test]
fn wrong_types_are_all_reported() {
    let said = refused(
        r#"[project]
name = 3
[policy]
skip-staging = "yes"
retention-days = -1
require-ticket = ["prod", 5]
[gates]
x = 1
"#,
    );
    insta::assert_snapshot!(said, @r#"
    error: `project.name` must be a name, found an integer
     --> mlops.toml:2:8
      |
    2 | name = 3
      |        ^

    error: `policy.skip-staging` must be true or false, found a string
     --> mlops.toml:4:16
      |
    4 | skip-staging = "yes"
      |                ^^^^^

    error: `policy.retention-days` must be between 0 and 4294967295
     --> mlops.toml:5:18
      |
    5 | retention-days = -1
      |                  ^^

    error: `prod` is not a stage
     --> mlops.toml:6:19
      |
    6 | require-ticket = ["prod", 5]
      |                   ^^^^^^
      |
      = help: did you mean `production`?

    error: `policy.require-ticket` must be a stage (development, staging, production, archived), found an integer
     --> mlops.toml:6:27
      |
    6 | require-ticket = ["prod", 5]
      |                           ^

    error: `gates.x` must be a table, found an integer
     --> mlops.toml:8:5
      |
    8 | x = 1
      |     ^
    "#);
}

#[test]
fn no_project() {
    let said = refused("");
    insta::assert_snapshot!(said, @r"
    error: `[project]` has no `name`
     --> mlops.toml:1:1
      |
    1 |
      | ^
      |
      = help: add `[project]` with `name = …`
    ");
}

#[test]
fn a_project_without_a_name() {
    let said = refused(
        r#"[project]
owner = "me"
"#,
    );
    insta::assert_snapshot!(said, @r"
    error: `[project]` has no `name`
     --> mlops.toml:1:2
      |
    1 | [project]
      |  ^^^^^^^
      |
      = help: add `name = …`
    ");
}

#[test]
fn a_profile_that_is_not_there() {
    let said = refused_with(
        r#"[project]
name = "bot"
[profile.staging]
"#,
        &[("KF_PROFILE", "stagin")],
        None,
    );
    insta::assert_snapshot!(said, @r"
    error: there is no profile `stagin`
     --> environment:1:12
      |
    1 | KF_PROFILE=stagin
      |            ^^^^^^
      |
      = help: did you mean `staging`?
    ");
}

#[test]
fn a_profile_of_the_flag_that_is_not_there() {
    let said = refused_with(
        r#"[project]
name = "bot"
"#,
        &[("KF_PROFILE", "x")],
        Some("prod"),
    );
    insta::assert_snapshot!(said, @r"
    error: there is no profile `prod`
     |
     = help: `mlops.toml` has no `[profile.NAME]`
    ");
}

#[test]
fn unknown_keys_in_a_profile_not_chosen() {
    let said = refused(
        r#"[project]
name = "bot"
[profile.ci.state]
ulr = "sqlite"
"#,
    );
    insta::assert_snapshot!(said, @r#"
    error: unknown key `ulr` in `[profile.ci.state]`
     --> mlops.toml:4:1
      |
    4 | ulr = "sqlite"
      | ^^^
      |
      = help: did you mean `url`?
    "#);
}

#[test]
fn a_bad_variable() {
    let said = refused_with(
        r#"[project]
name = "bot"
"#,
        &[("KF_LOCK_TIMEOUT", "soon"), ("KF_STATE_URL", "mysql://u:hunter2@h/db")],
        None,
    );
    insta::assert_snapshot!(said, @r"
    error: `state.url` must be a URL with `postgres://` or `postgresql://` and a host
     --> environment:1:14
      |
    1 | KF_STATE_URL=**********************
      |              ^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: write `postgres://` or `postgresql://`, a host, and what follows

    error: `soon` is not a duration
     --> environment:1:17
      |
    1 | KF_LOCK_TIMEOUT=soon
      |                 ^^^^
      |
      = help: write a number and a unit: `500ms`, `30s`, `5m`, `2h`, `7d`
    ");
}

#[test]
fn state_rules() {
    let said = refused(
        r#"[project]
name = "bot"
[state]
url = "sqlite"
password = "env:PW"
schema = "x"
"#,
    );
    insta::assert_snapshot!(said, @r#"
    error: `state.password` is for PostgreSQL, and `state.url` is `sqlite`
     --> mlops.toml:5:1
      |
    4 | url = "sqlite"
      |       -------- decided here
    5 | password = "env:PW"
      | ^^^^^^^^

    error: `state.schema` is for PostgreSQL, and `state.url` is `sqlite`
     --> mlops.toml:6:1
      |
    4 | url = "sqlite"
      |       -------- decided here
    5 | password = "env:PW"
    6 | schema = "x"
      | ^^^^^^
    "#);
}

#[test]
fn a_password_in_a_url() {
    let said = refused(
        r#"[project]
name = "bot"
[state]
url = "postgres://kf:hunter2@db/kf"
schema = "Kf"
"#,
    );
    insta::assert_snapshot!(said, @r#"
    error: `state.url` holds a secret
     --> mlops.toml:4:7
      |
    4 | url = *****************************
      |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: take the password out and add `password = "env:PGPASSWORD"` to `[state]`

    error: `state.schema` cannot be the name of a schema
     --> mlops.toml:5:10
      |
    5 | schema = "Kf"
      |          ^^^^
      |
      = help: use lower-case letters, digits and `_`, at most 63, not beginning with a digit or `pg_`
    "#);
}

#[test]
fn a_literal_secret() {
    let said = refused(
        r#"[project]
name = "bot"
[state]
url = "postgres://kf@db/kf"
password = "hunter2"
"#,
    );
    insta::assert_snapshot!(said, @r"
    error: `state.password` must be a reference to a secret, not the secret itself
     --> mlops.toml:5:12
      |
    5 | password = *********
      |            ^^^^^^^^^
      |
      = help: write `env:NAME` for an environment variable or `file:PATH` for a file outside version control; a secret that was committed must be replaced
    ");
}

#[test]
fn artifacts_rules() {
    let said = refused(
        r#"[project]
name = "bot"
[artifacts]
url = "s3://b/../x"
endpoint = "http://minio:9000"
access-key = "env:A"
"#,
    );
    insta::assert_snapshot!(said, @r#"
    error: `artifacts.url` is not a bucket and a prefix
     --> mlops.toml:4:7
      |
    4 | url = "s3://b/../x"
      |       ^^^^^^^^^^^^^
      |
      = help: write SCHEME://BUCKET/PREFIX with letters, digits, `-`, `_` and `.`; credentials have their own keys

    error: `artifacts.endpoint` has no TLS
     --> mlops.toml:5:12
      |
    5 | endpoint = "http://minio:9000"
      |            ^^^^^^^^^^^^^^^^^^^
      |
      = help: use `https://`, or add `allow-http = true`

    error: `artifacts.access-key` needs `secret-key` beside it
     --> mlops.toml:6:1
      |
    6 | access-key = "env:A"
      | ^^^^^^^^^^
      |
      = help: add `secret-key = "env:NAME"`
    "#);
}

#[test]
fn artifacts_of_another_store() {
    let said = refused(
        r#"[project]
name = "bot"
[artifacts]
url = "ftp://u:pw@h"
region = "eu"
"#,
    );
    insta::assert_snapshot!(said, @r#"
    error: `artifacts.url` names no store that kf knows
     --> mlops.toml:4:7
      |
    4 | url = **************
      |       ^^^^^^^^^^^^^^
      |
      = help: write a folder, `file:///FOLDER`, `s3://BUCKET/PREFIX`, `gs://…` or `az://…`

    error: `artifacts.region` is for `s3://…` only
     --> mlops.toml:5:1
      |
    4 | url = **************
      |       -------------- decided here
    5 | region = "eu"
      | ^^^^^^
    "#);
}

#[test]
fn a_folder_outside() {
    let said = refused(
        r#"[project]
name = "bot"
[artifacts]
url = "../objects"
"#,
    );
    insta::assert_snapshot!(said, @r#"
    error: `../objects` must be inside the repository, without `..`
     --> mlops.toml:4:7
      |
    4 | url = "../objects"
      |       ^^^^^^^^^^^^
      |
      = help: write `file:///FOLDER` for a folder outside the repository
    "#);
}

#[test]
fn an_old_windows_file_keeps_its_columns() {
    let said = refused("\u{feff}[project]\r\nname = \"bot\"\r\n\"önër\" = \"é\"\r\n[policy]\r\nretention-days = \"é\"\r\n");
    insta::assert_snapshot!(said, @r#"
    error: unknown key `önër` in `[project]`
     --> mlops.toml:3:1
      |
    3 | "önër" = "é"
      | ^^^^^^
      |
      = help: there is: name, description, owner

    error: `policy.retention-days` must be a whole number, found a string
     --> mlops.toml:5:18
      |
    5 | retention-days = "é"
      |                  ^^^
    "#);
}

#[test]
fn secret_keys_by_halves() {
    let said = refused(
        r#"[project]
name = "bot"
[artifacts]
url = "s3://b"
secret-key = "env:A"
access_key = "env:B"
[signing]
log-key = "hunter2"
"#,
    );
    insta::assert_snapshot!(said, @r#"
    error: unknown key `access_key` in `[artifacts]`
     --> mlops.toml:6:1
      |
    6 | access_key = "env:B"
      | ^^^^^^^^^^
      |
      = help: did you mean `access-key`?

    error: `signing.log-key` must be a reference to a secret, not the secret itself
     --> mlops.toml:8:11
      |
    8 | log-key = *********
      |           ^^^^^^^^^
      |
      = help: write `env:NAME` for an environment variable or `file:PATH` for a file outside version control; a secret that was committed must be replaced
    "#);
}
