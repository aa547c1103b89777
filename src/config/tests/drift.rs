//! What kf says about drift.

use super::{loaded, refused};
use crate::config::{ActionKind, Channel, ColumnKind, Drift, FailOn, SecretRef};
use std::time::Duration;

#[test]
fn what_is_not_said_has_a_default() {
    let name = "bot".parse().expect("a name");
    let said = loaded("[drift.bot]\n", &[], None).project;
    assert_eq!(said.drift("bot"), Some(&Drift::named(&name)));
    let plain = Drift::named(&name);
    assert_eq!((plain.model.as_str(), plain.psi, plain.fail_on), ("bot", [0.1, 0.2, 0.3], FailOn::Warning));
    assert_eq!(plain.actions.warning, [ActionKind::OpenTicket]);
    assert_eq!(plain.actions.deadline, Duration::from_secs(48 * 3600));
}

#[test]
fn what_is_said_holds() {
    let text = "[alerts.team]\nurl = \"env:HOOK\"\n[drift.queries]\nmodel = \"bot\"\ndata = [\"a.csv\"]\n\
        kinds = { zip = \"category\" }\nfail-on = \"critical\"\non-critical = [\"notify\", \"command\", \"notify\"]\n\
        command = [\"retrain\", \"--now\"]\nalerts = [\"team\"]\nwindows = 2\n";
    let project = loaded(text, &[], None).project;
    let drift = project.drift("queries").expect("a table");
    assert_eq!(
        (drift.model.as_str(), &drift.data[..], drift.kinds["zip"]),
        ("bot", &["a.csv".to_owned()][..], ColumnKind::Category)
    );
    assert_eq!(drift.actions.critical, [ActionKind::Notify, ActionKind::Command]);
    assert_eq!((drift.fail_on, drift.actions.windows), (FailOn::Critical, 2));
    assert_eq!(project.alerts[0].channel, Channel::Webhook { url: SecretRef::Env("HOOK".to_owned()), secret: None });
}

#[test]
fn what_could_never_hold_is_refused_all_at_once() {
    let said = refused(
        r#"[project]
name = "shop"
[drift.bot]
columns = ["a", "b"]
exclude = ["b"]
psi = [0.2, 0.1, 0.3]
on-warning = ["notfy"]
on-critical = ["command", "notify"]
[drift.other]
on-monitor = ["notify"]
alerts = ["taem"]
[alerts.team]
url = "https://hooks.example.org/secret"
"#,
    );
    insta::assert_snapshot!(said, @r#"
    error: `drift.bot` compares the column `b` and excludes it
     --> mlops.toml:4:17
      |
    4 | columns = ["a", "b"]
      |                 ^^^
      |
      = help: take it out of `columns` or of `exclude`

    error: `psi` must be three numbers above 0 that rise: for `monitor`, `warning` and `critical`
     --> mlops.toml:6:7
      |
    6 | psi = [0.2, 0.1, 0.3]
      |       ^^^^^^^^^^^^^^^
      |
      = help: `[0.1, 0.2, 0.3]` is what is usual

    error: `notfy` is not a kind of action
     --> mlops.toml:7:15
      |
    7 | on-warning = ["notfy"]
      |               ^^^^^^^
      |
      = help: did you mean `notify`?

    error: there is no `[alerts.taem]`
      --> mlops.toml:11:11
       |
    11 | alerts = ["taem"]
       |           ^^^^^^
       |
       = help: did you mean `team`?

    error: `alerts.team.url` must be a reference to a secret, not the secret itself
      --> mlops.toml:13:7
       |
    13 | url = **********************************
       |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: write `env:NAME` for an environment variable or `file:PATH` for a file outside version control; a secret that was committed must be replaced
    "#);
}
