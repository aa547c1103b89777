//! What kf says about models, the system and the golden dataset.

use super::{loaded, refused};
use crate::config::secret::SecretRef;
use crate::config::{Embedder, Prefixes};

#[test]
fn model_paths() {
    let said = refused(
        r#"[project]
name = "bot"
[model.a]
type = "prompt"
[model.b]
type = "prompt"
path = "p"
paths = ["q"]
[model.c]
type = "prompt"
paths = ["q", "./q"]
[model.d]
type = "prompt"
path = "../p"
[model."e f"]
type = "prompt"
"#,
    );
    insta::assert_snapshot!(said, @r#"
    error: model `a` has no `path`
     --> mlops.toml:3:8
      |
    3 | [model.a]
      |        ^
      |
      = help: add `path = "…"`, a file or folder of the repository

    error: model `b` has `path` and `paths`
     --> mlops.toml:7:1
      |
    7 | path = "p"
      | ^^^^
    8 | paths = ["q"]
      | -----
      |
      = help: keep one of them

    error: model `c` names `q` twice
      --> mlops.toml:11:15
       |
    11 | paths = ["q", "./q"]
       |          ---  ^^^^^
       |          |
       |          first here

    error: `../p` must be inside the repository, without `..`
      --> mlops.toml:14:8
       |
    14 | path = "../p"
       |        ^^^^^^

    error: `e f` cannot be a name: ` ` is not allowed, use letters, digits, `-`, `_` and `.`, such as `e-f`
      --> mlops.toml:15:8
       |
    15 | [model."e f"]
       |        ^^^^^
    "#);
}

#[test]
fn model_types_and_parts() {
    let said = refused(
        r#"[project]
name = "bot"
[model.a]
type = "promt"
path = "p"
[model.b]
type = "prompt"
path = "p"
parts = { prompts = "x" }
[model.c]
type = "config"
paths = ["p"]
[model.c.parts]
agents = "x"
"#,
    );
    insta::assert_snapshot!(said, @r#"
    error: `promt` is not a model type
     --> mlops.toml:4:8
      |
    4 | type = "promt"
      |        ^^^^^^^
      |
      = help: did you mean `prompt`?

    error: only a model of type `config` has `parts`
     --> mlops.toml:9:1
      |
    7 | type = "prompt"
      |        -------- this one is of type `prompt`
    8 | path = "p"
    9 | parts = { prompts = "x" }
      | ^^^^^

    error: `parts` are relative to `path`, and this model has `paths`
      --> mlops.toml:13:10
       |
    12 | paths = ["p"]
       | -----
    13 | [model.c.parts]
       |          ^^^^^
       |
       = help: name the folder that holds all parts in `path`
    "#);
}

#[test]
fn model_references() {
    let said = refused(
        r#"[project]
name = "bot"
[model.faq]
type = "dataset"
path = "faq.jsonl"
[model.bot]
type = "config"
path = "bot"
depends = ["faqq", "bot", "bot@1.2", "bot@1.0.0"]
dataset = "bot"
"#,
    );
    insta::assert_snapshot!(said, @r#"
    error: there is no model `faqq`
     --> mlops.toml:9:12
      |
    9 | depends = ["faqq", "bot", "bot@1.2", "bot@1.0.0"]
      |            ^^^^^^
      |
      = help: did you mean `faq`?

    error: model `bot` depends on itself
     --> mlops.toml:9:20
      |
    9 | depends = ["faqq", "bot", "bot@1.2", "bot@1.0.0"]
      |                    ^^^^^
      |
      = help: remove it, or name an earlier version: `NAME@1.0.0`

    error: in `bot@…`: `1.2` is not a version: expected MAJOR.MINOR.PATCH, such as 1.2.0
     --> mlops.toml:9:27
      |
    9 | depends = ["faqq", "bot", "bot@1.2", "bot@1.0.0"]
      |                           ^^^^^^^^^

    error: `bot` is not a dataset
      --> mlops.toml:10:11
       |
     7 | type = "config"
       |        -------- its type is config
    ...
    10 | dataset = "bot"
       |           ^^^^^
    "#);
}

#[test]
fn models_in_a_circle() {
    let said = refused(
        r#"[project]
name = "bot"
[model.a]
type = "other"
path = "a"
depends = ["b"]
[model.b]
type = "other"
path = "b"
depends = ["c"]
[model.c]
type = "other"
path = "c"
depends = ["a"]
"#,
    );
    insta::assert_snapshot!(said, @r#"
    error: no version of these models can be the first: `a` → `b` → `c` → `a`
      --> mlops.toml:14:12
       |
    14 | depends = ["a"]
       |            ^^^
       |
       = help: name a version in one of them: `NAME@1.0.0`
    "#);
}

#[test]
fn system_rules() {
    let said = refused(
        r#"[project]
name = "bot"
[system]
kind = "command"
url = "http://x"
"#,
    );
    insta::assert_snapshot!(said, @r#"
    error: a system of kind `command` needs `command`
     --> mlops.toml:4:8
      |
    4 | kind = "command"
      |        ^^^^^^^^^
      |
      = help: write the program and its arguments: `command = ["python", "answer.py"]`

    error: `system.url` is for systems of kind `http`, this one is `command`
     --> mlops.toml:5:1
      |
    4 | kind = "command"
      |        --------- decided here
    5 | url = "http://x"
      | ^^^
    "#);
}

#[test]
fn a_system_without_a_kind() {
    let said = refused(
        r#"[project]
name = "bot"
[system]
url = "http://x"
"#,
    );
    insta::assert_snapshot!(said, @r#"
    error: `system.url` is for systems of kind `http`, without `kind` this one is `recorded`
     --> mlops.toml:4:1
      |
    4 | url = "http://x"
      | ^^^
    "#);
}

#[test]
fn embedder_rules() {
    let said = refused(
        r#"[project]
name = "bot"
[embedder]
kind = "endpoint"
path = "models/x"
url = "ftp://h"
model = " "
protocol = "voyage"
batch = 1001
timeout = "0s"
"#,
    );
    insta::assert_snapshot!(said, @r#"
    error: an embedder of kind `endpoint` needs `dimensions`
     --> mlops.toml:4:8
      |
    4 | kind = "endpoint"
      |        ^^^^^^^^^^
      |
      = help: add the length of the model's vectors: `dimensions = 1536`

    error: `embedder.path` is for embedders of kind `directory`, this one is `endpoint`
     --> mlops.toml:5:1
      |
    4 | kind = "endpoint"
      |        ---------- decided here
    5 | path = "models/x"
      | ^^^^

    error: `embedder.url` must be a URL with `https://` or `http://` and a host
     --> mlops.toml:6:7
      |
    6 | url = "ftp://h"
      |       ^^^^^^^^^
      |
      = help: write `https://` or `http://`, a host, and what follows

    error: `embedder.model` is empty
     --> mlops.toml:7:9
      |
    7 | model = " "
      |         ^^^
      |
      = help: write the name that the service knows the model by

    error: `embedder.batch` is above 1000, the most texts that the protocol `voyage` takes
     --> mlops.toml:9:9
      |
    9 | batch = 1001
      |         ^^^^
      |
      = help: 128 is the usual batch

    error: `embedder.timeout` must not be zero
      --> mlops.toml:10:11
       |
    10 | timeout = "0s"
       |           ^^^^
       |
       = help: write how long a request may take: `60s`
    "#);
}

#[test]
fn an_embedder_without_a_kind() {
    let said = refused(
        r#"[project]
name = "bot"
[embedder]
query-prefix = "query: "
"#,
    );
    insta::assert_snapshot!(said, @r#"
    error: `embedder.query-prefix` is for embedders of kind `directory` and `endpoint`, without `kind` this one is `builtin`
     --> mlops.toml:4:1
      |
    4 | query-prefix = "query: "
      | ^^^^^^^^^^^^
    "#);
}

#[test]
fn embedders() {
    let of = |below: &str| loaded(&format!("[embedder]\n{below}"), &[], None).project.embedder;
    assert_eq!(of(""), Embedder::Builtin);
    let prefixes = Prefixes { query: "query: ".into(), document: String::new() };
    let directory = Embedder::Directory { path: "m".into(), prefixes };
    assert_eq!(of("kind = \"directory\"\npath = \"m\"\nquery-prefix = \"query: \"\n"), directory);
    let text = "kind = \"endpoint\"\nurl = \"http://h/v1\"\nmodel = \"m\"\ndimensions = 3\napi-key = \"env:K\"\n";
    let Embedder::Endpoint(e) = of(text) else { panic!("an endpoint") };
    assert_eq!((e.batch, e.batch_tokens, e.concurrency, e.dimensions), (128, 100_000, 4, 3));
    assert_eq!(e.api_key, Some(SecretRef::Env("K".into())));
}

#[test]
fn headers() {
    let said = refused(
        r#"[project]
name = "bot"
[system]
kind = "http"
url = "https://u:hunter2@h/ask"
timeout = "0s"
headers = { "X-Api-Key" = "hunter2", "a b" = "x", x = "1", X = "2", auth = "env:1" }
"#,
    );
    insta::assert_snapshot!(said, @r#"
    error: `system.url` holds a secret
     --> mlops.toml:5:7
      |
    5 | url = *************************
      |       ^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: take it out and add a header to `[system.headers]`: `authorization = "env:NAME"`

    error: `system.timeout` must not be zero
     --> mlops.toml:6:11
      |
    6 | timeout = "0s"
      |           ^^^^
      |
      = help: write how long an answer may take: `60s`

    error: the header `X-Api-Key` must be a reference to a secret, not the secret itself
     --> mlops.toml:7:27
      |
    7 | headers = { "X-Api-Key" = **********************************************************
      |                           ^^^^^^^^^
      |
      = help: write `env:NAME` or `file:PATH`; a secret that was committed must be replaced

    error: `a b` cannot be the name of a header
     --> mlops.toml:7:38
      |
    7 | headers = { "X-Api-Key" = **********************************************************
      |                                      ^^^^^
      |
      = help: use letters, digits and `-`

    error: the header `X` is there twice
     --> mlops.toml:7:60
      |
    7 | headers = { "X-Api-Key" = **********************************************************
      |                                                            ^
      |
      = help: names of headers have no case; keep one

    error: `system.headers.auth` must be a reference to a secret, not the secret itself
     --> mlops.toml:7:76
      |
    7 | headers = { "X-Api-Key" = **********************************************************
      |                                                                            ^^^^^^^
      |
      = help: write `env:NAME` for an environment variable or `file:PATH` for a file outside version control; a secret that was committed must be replaced
    "#);
}

#[test]
fn golden_rules() {
    let said = refused(
        r#"[project]
name = "bot"
[golden]
dataset = "/etc/x.jsonl"
map = { query = "" }
"#,
    );
    insta::assert_snapshot!(said, @r#"
    error: `/etc/x.jsonl` must be relative to the repository
     --> mlops.toml:4:11
      |
    4 | dataset = "/etc/x.jsonl"
      |           ^^^^^^^^^^^^^^
      |
      = help: name a model of type `dataset`, or a file of the repository

    error: `golden.map.query` has no name on one side
     --> mlops.toml:5:9
      |
    5 | map = { query = "" }
      |         ^^^^^
      |
      = help: write `column = "field"`
    "#);
}

#[test]
fn an_engine_of_vectors_that_the_state_cannot_have_is_refused() {
    let said = refused("[project]\nname = \"bot\"\n[state]\nurl = \"sqlite\"\n[vectors]\nengine = \"pgvector\"\n");
    insta::assert_snapshot!(said, @r#"
    error: `vectors.engine = "pgvector"` needs a state on PostgreSQL, and `state.url` is `sqlite`
     --> mlops.toml:6:10
      |
    4 | url = "sqlite"
      |       -------- decided here
    5 | [vectors]
    6 | engine = "pgvector"
      |          ^^^^^^^^^^
      |
      = help: write `embedded`, which works everywhere, or set `state.url`
    "#);
}

#[test]
fn a_qdrant_server_needs_an_address_and_hides_its_key() {
    let said = refused("[project]\nname = \"bot\"\n[vectors]\nengine = \"qdrant\"\n");
    insta::assert_snapshot!(said, @r#"
    error: `vectors.engine = "qdrant"` needs `url`
     --> mlops.toml:4:10
      |
    4 | engine = "qdrant"
      |          ^^^^^^^^
      |
      = help: add `url = "http://localhost:6333"`
    "#);
    let said = refused("[project]\nname = \"bot\"\n[vectors]\napi-key = \"env:KEY\"\ntimeout = \"0s\"\n");
    assert!(said.contains("`vectors.api-key` is for a Qdrant server") && said.contains("must not be zero"), "{said}");
    let said = refused("[project]\nname = \"bot\"\n[vectors]\nengine = \"qdrant\"\nurl = \"https://me:hunter2@host:6333\"\n");
    assert!(said.contains("`vectors.url` holds a secret") && !said.contains("hunter2"), "{said}");
}

#[test]
fn a_neo4j_server_needs_an_address_and_hides_its_password() {
    let said = refused("[project]\nname = \"bot\"\n[graph]\nengine = \"neo4j\"\n");
    assert!(said.contains("`graph.engine = \"neo4j\"` needs `url`") && said.contains("http://localhost:7474"), "{said}");
    let said = refused("[project]\nname = \"bot\"\n[graph]\nurl = \"http://localhost:7474\"\nuser = \"me\"\n");
    assert!(said.contains("`graph.url` is for") && said.contains("`graph.user` is for"), "{said}");
    let table = "[project]\nname = \"bot\"\n[graph]\nengine = \"neo4j\"\n";
    let said = refused(&format!("{table}url = \"https://me:hunter2@host:7474\"\ntimeout = \"0s\"\n"));
    assert!(said.contains("`graph.url` holds a secret") && said.contains("must not be zero"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}
