//! What kf says about who is told.

use super::{loaded, refused};
use crate::config::{AlertKind, Channel, Email, EventsUrl, GitHub, Relay, SecretRef, Tls};
use std::time::Duration;

fn env(name: &str) -> SecretRef {
    SecretRef::Env(name.to_owned())
}

#[test]
fn each_kind_says_what_it_needs() {
    let text = "[alerts.system]\nurl = \"env:HOOK\"\nsecret = \"file:hook.key\"\ntimeout = \"3s\"\n\
        [alerts.team]\nkind = \"slack\"\nurl = \"env:SLACK\"\n\
        [alerts.oncall]\nkind = \"pagerduty\"\nrouting-key = \"env:KEY\"\nurl = \"https://events.eu.pagerduty.com/v2/enqueue\"\n\
        [alerts.owners]\nkind = \"email\"\nsmtp = \"smtp://mail.example.org\"\nuser = \"kf\"\npassword = \"env:PW\"\n\
        from = \"kf <kf@example.org>\"\nto = [\"ada@example.org\"]\n\
        [alerts.issues]\nkind = \"github\"\nrepository = \"acme/shop.bot\"\ntoken = \"env:TOKEN\"\n\
        [alerts.files]\nkind = \"file\"\npath = \"ops/incidents\"\n";
    let project = loaded(text, &[], None).project;
    let of = |name: &str| project.channel(name).expect(name).channel.clone();
    assert_eq!(of("system"), Channel::Webhook { url: env("HOOK"), secret: Some(SecretRef::File("hook.key".to_owned())) });
    assert_eq!(of("team"), Channel::Slack { url: env("SLACK") });
    let eu = EventsUrl::Plain("https://events.eu.pagerduty.com/v2/enqueue".to_owned());
    assert_eq!(of("oncall"), Channel::PagerDuty { routing_key: env("KEY"), url: Some(eu) });
    let relay = Relay { host: "mail.example.org".to_owned(), port: 587, tls: Tls::StartTls };
    let (from, to) = ("kf <kf@example.org>".to_owned(), vec!["ada@example.org".to_owned()]);
    assert_eq!(of("owners"), Channel::Email(Email { relay, login: Some(("kf".to_owned(), env("PW"))), from, to }));
    let github = GitHub {
        url: EventsUrl::Plain("https://api.github.com".to_owned()),
        repository: "acme/shop.bot".to_owned(),
        token: env("TOKEN"),
        labels: vec!["incident".to_owned()],
    };
    assert_eq!(of("issues"), Channel::GitHub(github));
    assert_eq!(of("files"), Channel::File { path: "ops/incidents".parse().expect("a path") });
    let kinds: Vec<AlertKind> = project.alerts.iter().map(super::super::Alerts::kind).collect();
    assert_eq!(
        kinds,
        [AlertKind::Webhook, AlertKind::Slack, AlertKind::PagerDuty, AlertKind::Email, AlertKind::GitHub, AlertKind::File]
    );
    assert_eq!(project.channel("system").expect("a channel").timeout, Duration::from_secs(3));
}

#[test]
fn incidents_need_a_place() {
    let said = refused(
        "[project]\nname = \"shop\"\n[alerts.a]\nkind = \"github\"\nrepository = \"shop\"\nlabels = []\n[alerts.b]\nkind = \"file\"\n",
    );
    for part in [
        "`alerts.a` of kind `github` needs `token`",
        "`shop` in `alerts.a` is no repository",
        "`alerts.b` of kind `file` needs `path`",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
}

/// Mail in the clear does not leave this machine.
#[test]
fn where_a_mail_server_is_says_whether_tls_is_needed() {
    let relay = |smtp: &str| {
        let text = format!("[alerts.a]\nkind = \"email\"\nsmtp = \"{smtp}\"\nfrom = \"kf@x.org\"\nto = [\"a@x.org\"]\n");
        let channel = loaded(&text, &[], None).project.alerts[0].channel.clone();
        let Channel::Email(Email { relay: Relay { host, port, tls }, .. }) = channel else { panic!("{channel:?}") };
        (host, port, tls)
    };
    for (smtp, host, port, tls) in [
        ("smtps://mail.example.org", "mail.example.org", 465, Tls::Implicit),
        ("smtps://localhost:4650", "localhost", 4650, Tls::Implicit),
        ("smtp://mail.example.org:2525", "mail.example.org", 2525, Tls::StartTls),
        ("smtp://localhost.example.org", "localhost.example.org", 587, Tls::StartTls),
        ("smtp://127.0.0.1:2525", "127.0.0.1", 2525, Tls::Local),
        ("smtp://[::1]", "::1", 25, Tls::Local),
        ("smtp://LocalHost/", "LocalHost", 25, Tls::Local),
    ] {
        assert_eq!(relay(smtp), (host.to_owned(), port, tls), "{smtp}");
    }
}

#[test]
fn what_could_never_be_told_is_refused_all_at_once_and_no_secret_is_shown() {
    let said = refused(
        r#"[project]
name = "shop"
[alerts.team]
kind = "slack"
url = "https://hooks.slack.com/services/T0/B0/hunter2"
[alerts.oncall]
kind = "pagerduty"
routing-key = "hunter2hunter2hunter2hunter2hunter"
url = "https://kf:hunter2@events.example.org/"
[alerts.owners]
kind = "email"
smtp = "smtp://kf:hunter2@mail.example.org"
from = "kf"
password = "env:PW"
timeout = "0s"
[alerts.system]
to = ["ada@example.org"]
"#,
    );
    assert!(!said.contains("hunter2"), "{said}");
    insta::assert_snapshot!(said, @r#"
    error: `alerts.team.url` must be a reference to a secret, not the secret itself
     --> mlops.toml:5:7
      |
    5 | url = ************************************************
      |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: write `env:NAME` for an environment variable or `file:PATH` for a file outside version control; a secret that was committed must be replaced

    error: `alerts.oncall.routing-key` must be a reference to a secret, not the secret itself
     --> mlops.toml:8:15
      |
    8 | routing-key = ************************************
      |               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: write `env:NAME` for an environment variable or `file:PATH` for a file outside version control; a secret that was committed must be replaced

    error: `alerts.oncall.url` holds a secret
     --> mlops.toml:9:7
      |
    9 | url = ****************************************
      |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: name the whole address by `url = "env:NAME"`

    error: `alerts.owners` of kind `email` needs `to`
      --> mlops.toml:10:9
       |
    10 | [alerts.owners]
       |         ^^^^^^
       |
       = help: add `to = ["team@example.org"]` to `[alerts.owners]`

    error: `alerts.owners.smtp` holds a secret
      --> mlops.toml:12:8
       |
    12 | smtp = ************************************
       |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: take it out and name it by `password = "env:NAME"`

    error: `kf` in `alerts.owners` is no address of mail
      --> mlops.toml:13:8
       |
    13 | from = "kf"
       |        ^^^^
       |
       = help: write `team@example.org` or `Team <team@example.org>`

    error: `alerts.owners` has a `password` and no `user`
      --> mlops.toml:14:1
       |
    14 | password = "env:PW"
       | ^^^^^^^^
       |
       = help: add `user = "kf"`

    error: `alerts.owners.timeout` must not be zero
      --> mlops.toml:15:11
       |
    15 | timeout = "0s"
       |           ^^^^
       |
       = help: write how long a message may take: `10s`

    error: `alerts.system` of kind `webhook` needs `url`
      --> mlops.toml:16:9
       |
    16 | [alerts.system]
       |         ^^^^^^
       |
       = help: add `url = "env:TEAM_WEBHOOK"` to `[alerts.system]`

    error: `alerts.system.to` is for alerts of kind `email`, without `kind` this one is `webhook`
      --> mlops.toml:17:1
       |
    17 | to = ["ada@example.org"]
       | ^^
    "#);
}
