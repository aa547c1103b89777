//! What kf says about gates.

use super::refused;

#[test]
fn a_gate_that_can_never_pass() {
    let said = refused(
        r#"[project]
name = "bot"
[gates.accuracy]
stage = "staging"
kind = "absolute"
metric = "faithfulness"
min = 0.9
max = 0.5
"#,
    );
    insta::assert_snapshot!(said, @r"
    error: gate `accuracy` can never pass: min > max
     --> mlops.toml:7:7
      |
    7 | min = 0.9
      |       ^^^
    8 | max = 0.5
      |       ---
      |
      = help: swap them
    ");
}

#[test]
fn gate_metrics() {
    let said = refused(
        r#"[project]
name = "bot"
[gates.a]
stage = "staging"
kind = "absolute"
metric = "faithfulnes"
min = 0.9
[gates.b]
stage = "staging"
kind = "absolute"
metric = "latency-p95"
max = 3
[gates.c]
stage = "staging"
kind = "budget"
metric = "faithfulness"
max = 1
"#,
    );
    insta::assert_snapshot!(said, @r#"
    error: there is no metric `faithfulnes`
     --> mlops.toml:6:10
      |
    6 | metric = "faithfulnes"
      |          ^^^^^^^^^^^^^
      |
      = help: did you mean `faithfulness`?

    error: `latency-p95` is not a score, it is a budget
      --> mlops.toml:11:10
       |
    10 | kind = "absolute"
       |        ----------
    11 | metric = "latency-p95"
       |          ^^^^^^^^^^^^^
       |
       = help: write `kind = "budget"`

    error: `faithfulness` is not a budget metric
      --> mlops.toml:16:10
       |
    16 | metric = "faithfulness"
       |          ^^^^^^^^^^^^^^
       |
       = help: expected one of: cost-per-query, latency-p95, error-rate, coverage
    "#);
}

#[test]
fn gate_keys_of_another_kind() {
    let said = refused(
        r#"[project]
name = "bot"
[gates.a]
stage = "staging"
kind = "absolute"
metric = "faithfulness"
margin = 0.1
[gates.b]
stage = "staging"
kind = "regression"
metric = "faithfulness"
min = 0.9
margin = -0.1
[gates.c]
stage = "staging"
kind = "budget"
metric = "coverage"
max = 1
[gates.d]
stage = "staging"
kind = "budget"
metric = "error-rate"
max = 5
"#,
    );
    insta::assert_snapshot!(said, @r#"
    error: gate `a` has no limit
     --> mlops.toml:3:8
      |
    3 | [gates.a]
      |        ^
    4 | stage = "staging"
    5 | kind = "absolute"
      |        ---------- needs one
      |
      = help: add `min`, `max` or both

    error: `margin` is for regression gates
     --> mlops.toml:7:1
      |
    5 | kind = "absolute"
      |        ---------- decided here
    6 | metric = "faithfulness"
    7 | margin = 0.1
      | ^^^^^^

    error: a regression gate takes `margin`, not `min`
      --> mlops.toml:12:1
       |
    10 | kind = "regression"
       |        ------------ decided here
    11 | metric = "faithfulness"
    12 | min = 0.9
       | ^^^

    error: `margin` must not be negative
      --> mlops.toml:13:10
       |
    13 | margin = -0.1
       |          ^^^^
       |
       = help: 0 accepts no loss, 0.01 a loss of one hundredth

    error: a budget of coverage needs `min`
      --> mlops.toml:14:8
       |
    14 | [gates.c]
       |        ^
    ...
    17 | metric = "coverage"
       |          ----------
       |
       = help: add `min = …`

    error: a budget of coverage takes `min`, not `max`
      --> mlops.toml:18:1
       |
    17 | metric = "coverage"
       |          ---------- decided here
    18 | max = 1
       | ^^^

    error: a limit of error-rate must be between 0 and 1
      --> mlops.toml:23:7
       |
    23 | max = 5
       |       ^
       |
       = help: 0.05 is five in a hundred; cost is in US dollars, latency in milliseconds
    "#);
}

#[test]
fn gate_scope() {
    let said = refused(
        r#"[project]
name = "bot"
[model.faq]
type = "dataset"
path = "faq.jsonl"
[gates.a]
stage = "development"
kind = "absolute"
metric = "faithfulness"
min = 0.9
[gates.b]
stage = []
kind = "absolute"
metric = "faithfulness"
min = 0.9
models = ["fak"]
dataset = "fac"
[gates.c]
kind = "regression"
"#,
    );
    insta::assert_snapshot!(said, @r#"
    error: `development` is not a stage that a gate guards
     --> mlops.toml:7:9
      |
    7 | stage = "development"
      |         ^^^^^^^^^^^^^
      |
      = help: expected one of: staging, production

    error: gate `b` guards no stage
      --> mlops.toml:12:9
       |
    12 | stage = []
       |         ^^
       |
       = help: name `staging`, `production` or both

    error: there is no model `fak`
      --> mlops.toml:16:11
       |
    16 | models = ["fak"]
       |           ^^^^^
       |
       = help: did you mean `faq`?

    error: there is no dataset `fac`
      --> mlops.toml:17:11
       |
    17 | dataset = "fac"
       |           ^^^^^
       |
       = help: did you mean `faq`?

    error: `[gates.c]` has no `stage`
      --> mlops.toml:18:8
       |
    18 | [gates.c]
       |        ^
       |
       = help: add `stage = …`

    error: `[gates.c]` has no `metric`
      --> mlops.toml:18:8
       |
    18 | [gates.c]
       |        ^
       |
       = help: add `metric = …`
    "#);
}

#[test]
fn a_flawed_table_is_checked_as_far_as_it_goes() {
    let said = refused(
        r#"[project]
name = "bot"
[gates.a]
stage = "prod"
kind = "absolute"
metric = "faithfulnes"
mn = 0.5
[gates.b]
stage = "staging"
kind = "regression"
metric = "faithfulness"
min = 1
max = "x"
[system]
kind = "http"
ulr = "http://x"
"#,
    );
    insta::assert_snapshot!(said, @r#"
    error: `prod` is not a stage that a gate guards
     --> mlops.toml:4:9
      |
    4 | stage = "prod"
      |         ^^^^^^
      |
      = help: did you mean `production`?

    error: there is no metric `faithfulnes`
     --> mlops.toml:6:10
      |
    6 | metric = "faithfulnes"
      |          ^^^^^^^^^^^^^
      |
      = help: did you mean `faithfulness`?

    error: unknown key `mn` in `[gates.a]`
     --> mlops.toml:7:1
      |
    7 | mn = 0.5
      | ^^
      |
      = help: did you mean `min`?

    error: a regression gate takes `margin`, not `min`
      --> mlops.toml:12:1
       |
    10 | kind = "regression"
       |        ------------ decided here
    11 | metric = "faithfulness"
    12 | min = 1
       | ^^^

    error: `gates.b.max` must be a number, found a string
      --> mlops.toml:13:7
       |
    13 | max = "x"
       |       ^^^

    error: unknown key `ulr` in `[system]`
      --> mlops.toml:16:1
       |
    16 | ulr = "http://x"
       | ^^^
       |
       = help: did you mean `url`?
    "#);
}
