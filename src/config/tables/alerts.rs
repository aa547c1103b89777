//! `[alerts.<name>]`: who is told, and how.
//!
//! What whoever has it may write with, the address of a webhook too, is named by reference. Mail leaves this machine only over TLS:
//! `smtps` is TLS from the start, `smtp` must change to it (RFC 3207) unless the server is on this machine.

use crate::base::name::{Name, words};
use crate::config::check::{CheckNamed, Checker};
use crate::config::diag::{Diagnostic, Spot};
use crate::config::leaf::word_leaf;
use crate::config::path::RepoPath;
use crate::config::secret::SecretRef;
use crate::config::shape::{At, Item, Layer, Leaf, Part as _, Walk, shown, table};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::time::Duration;
use toml::Spanned;
use toml::de::DeValue;

/// Where GitHub's API is.
const GITHUB: &str = "https://api.github.com";

words! {
    /// How somebody is told.
    AlertKind, "kind of alerts" {
        /// A webhook that takes `kf.alert/1`.
        Webhook = "webhook",
        /// An incoming webhook of Slack.
        Slack = "slack",
        /// An integration of PagerDuty's Events API v2.
        PagerDuty = "pagerduty",
        /// Mail.
        Email = "email",
        /// An issue on GitHub.
        GitHub = "github",
        /// A file in the repository.
        File = "file",
    }
}

word_leaf! { AlertKind, "kind of alerts"; }

/// An address: a secret by reference, or written down where it is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) enum Address {
    Secret(SecretRef),
    Plain(String),
}

impl Leaf for Address {
    fn read(value: &Spanned<DeValue<'_>>, walk: &mut Walk<'_>) -> Option<Self> {
        if let Some(reference) = value.get_ref().as_str().and_then(|text| text.parse().ok()) {
            return Some(Self::Secret(reference));
        }
        // Whether it is a secret is not known before the kind is.
        let spot = walk.spot(value.span());
        walk.diags.hide(&spot);
        String::read(value, walk).map(Self::Plain)
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+|https?://.+)$" })
    }

    fn json(&self) -> Value {
        match self {
            Self::Secret(reference) => json!(reference.to_string()),
            Self::Plain(url) => json!(url),
        }
    }
}

table! {
    /// As written.
    RawAlerts {
        /// How they are told: `webhook`, `slack`, `pagerduty`, `email`, `github` or `file`.
        kind: At<AlertKind> = "kind", or AlertKind::Webhook;
        /// The address, as `env:NAME` or `file:PATH` (`webhook`, `slack`); that of another region as it is (`pagerduty`); that of the
        /// API of a GitHub of your own (`github`).
        url: Option<At<Address>> = "url";
        /// What messages are signed with, `whsec_` and base64 of 24 to 64 bytes, as `env:NAME` or `file:PATH` (`webhook`).
        secret: Option<At<SecretRef>> = "secret";
        /// The key of the integration, as `env:NAME` or `file:PATH` (`pagerduty`).
        routing_key: Option<At<SecretRef>> = "routing-key";
        /// The mail server: `smtps://HOST:465`, or `smtp://HOST:587` that must offer STARTTLS unless it is on this machine (`email`).
        smtp: Option<At<String>> = "smtp";
        /// The user on the mail server (`email`).
        user: Option<At<String>> = "user";
        /// Password of the user, as `env:NAME` or `file:PATH` (`email`).
        password: Option<At<SecretRef>> = "password";
        /// The sender, such as `kf <kf@example.org>` (`email`).
        from: Option<At<String>> = "from";
        /// The recipients (`email`).
        to: At<Vec<Item<String>>> = "to", or Vec::new();
        /// Where issues are opened: `OWNER/NAME` (`github`).
        repository: Option<At<String>> = "repository";
        /// What may write issues there, as `env:NAME` or `file:PATH` (`github`).
        token: Option<At<SecretRef>> = "token";
        /// The labels of an issue (`github`).
        labels: At<Vec<Item<String>>> = "labels", or vec![Item::built_in("incident".to_owned())];
        /// The folder that has a file for each incident, inside the repository (`file`).
        path: Option<At<RepoPath>> = "path";
        /// How long a message may take.
        timeout: At<Duration> = "timeout", or Duration::from_secs(10);
    }
}

/// Somebody who is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alerts {
    /// The name.
    pub name: Name,
    /// How.
    pub channel: Channel,
    /// How long a message may take; not zero.
    pub timeout: Duration,
}

/// How somebody is told, and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Channel {
    /// A webhook that takes `kf.alert/1`.
    Webhook {
        /// Its address.
        url: SecretRef,
        /// What messages are signed with.
        secret: Option<SecretRef>,
    },
    /// An incoming webhook of Slack.
    Slack {
        /// Its address.
        url: SecretRef,
    },
    /// An integration of PagerDuty.
    PagerDuty {
        /// Its key.
        routing_key: SecretRef,
        /// Where events go; `None` for the usual place.
        url: Option<EventsUrl>,
    },
    /// Mail.
    Email(Email),
    /// Issues on GitHub.
    GitHub(GitHub),
    /// Files in the repository.
    File {
        /// The folder.
        path: RepoPath,
    },
}

/// Issues on GitHub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitHub {
    /// The address of the API.
    pub url: EventsUrl,
    /// `OWNER/NAME`.
    pub repository: String,
    /// What may write issues there.
    pub token: SecretRef,
    /// The labels of an issue.
    pub labels: Vec<String>,
}

/// Where events go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventsUrl {
    /// At this address.
    Plain(String),
    /// At an address that is a secret.
    Secret(SecretRef),
}

/// Mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    /// The server that takes it.
    pub relay: Relay,
    /// The user there, with the password.
    pub login: Option<(String, SecretRef)>,
    /// The sender.
    pub from: String,
    /// The recipients; not empty.
    pub to: Vec<String>,
}

/// A mail server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How it is kept from being read on the way.
    pub tls: Tls,
}

/// How a connection is kept from being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// TLS from the start.
    Implicit,
    /// TLS before anything is sent, or nothing is sent.
    StartTls,
    /// Not at all: it does not leave this machine.
    Local,
}

impl Alerts {
    /// The kind that was written.
    pub fn kind(&self) -> AlertKind {
        match &self.channel {
            Channel::Webhook { .. } => AlertKind::Webhook,
            Channel::Slack { .. } => AlertKind::Slack,
            Channel::PagerDuty { .. } => AlertKind::PagerDuty,
            Channel::Email(_) => AlertKind::Email,
            Channel::GitHub(_) => AlertKind::GitHub,
            Channel::File { .. } => AlertKind::File,
        }
    }
}

impl CheckNamed for RawAlerts {
    type Plain = Alerts;
    fn check(&self, name: &Name, _: &Spot, cx: &mut Checker<'_>) -> Option<Alerts> {
        if self.timeout.value.is_zero() {
            let title = format!("`alerts.{name}.timeout` must not be zero");
            cx.refuse(&self.timeout.spot, title, "write how long a message may take: `10s`");
        }
        self.refuse_unused(name, cx);
        let channel = match self.kind.value {
            AlertKind::Webhook => {
                let secret = self.secret.as_ref().map(|at| at.value.clone());
                self.address(name, "url = \"env:TEAM_WEBHOOK\"", cx).map(|url| Channel::Webhook { url, secret })
            }
            AlertKind::Slack => self.address(name, "url = \"env:SLACK_WEBHOOK\"", cx).map(|url| Channel::Slack { url }),
            AlertKind::PagerDuty => self.pagerduty(name, cx),
            AlertKind::Email => self.email(name, cx).map(Channel::Email),
            AlertKind::GitHub => self.github(name, cx).map(Channel::GitHub),
            AlertKind::File => {
                let path = self.path.as_ref().map(|at| at.value.clone());
                if path.is_none() {
                    self.lacks(name, "path", "path = \"incidents\"", cx);
                }
                path.map(|path| Channel::File { path })
            }
        };
        Some(Alerts { name: name.clone(), channel: channel?, timeout: self.timeout.value })
    }
}

impl RawAlerts {
    fn refuse_unused(&self, name: &Name, cx: &mut Checker<'_>) {
        use AlertKind::{Email, File, GitHub, PagerDuty, Slack, Webhook};
        for (given, key, kinds) in [
            (self.url.given(), "url", &[Webhook, Slack, PagerDuty, GitHub] as &[AlertKind]),
            (self.secret.given(), "secret", &[Webhook]),
            (self.routing_key.given(), "routing-key", &[PagerDuty]),
            (self.smtp.given(), "smtp", &[Email]),
            (self.user.given(), "user", &[Email]),
            (self.password.given(), "password", &[Email]),
            (self.from.given(), "from", &[Email]),
            (self.to.given(), "to", &[Email]),
            (self.repository.given(), "repository", &[GitHub]),
            (self.token.given(), "token", &[GitHub]),
            (self.labels.given(), "labels", &[GitHub]),
            (self.path.given(), "path", &[File]),
        ] {
            if !kinds.contains(&self.kind.value) {
                let kinds = kinds.iter().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(" and ");
                let this = if self.kind.layer == Layer::BuiltIn { "without `kind` this one is" } else { "this one is" };
                let title = format!("`alerts.{name}.{key}` is for alerts of kind {kinds}, {this} `{}`", self.kind.value);
                cx.unused(given, &self.kind, title);
            }
        }
    }

    fn lacks(&self, name: &Name, key: &str, add: &str, cx: &mut Checker<'_>) {
        let title = format!("`alerts.{name}` of kind `{}` needs `{key}`", self.kind.value);
        // Without a kind there is nothing of it in the file to point at.
        let problem = Diagnostic::new(title).help(format!("add `{add}` to `[alerts.{name}]`"));
        let spot = cx.raw.alerts.get(name.as_str()).map(|named| named.key.clone());
        cx.absent(problem.at(spot.as_ref().unwrap_or(&self.kind.spot)));
    }

    /// The address of a webhook, which is a secret.
    fn address(&self, name: &Name, add: &str, cx: &mut Checker<'_>) -> Option<SecretRef> {
        match &self.url {
            None => self.lacks(name, "url", add, cx),
            Some(At { value: Address::Secret(reference), .. }) => return Some(reference.clone()),
            Some(at) => {
                let title = format!("`alerts.{name}.url` must be a reference to a secret, not the secret itself");
                let help = "write `env:NAME` for an environment variable or `file:PATH` for a file outside version control; \
                            a secret that was committed must be replaced";
                cx.refuse(&at.spot, title, help);
            }
        }
        None
    }

    /// An address that is no secret, or one that its owner keeps as one.
    fn plain_address(&self, name: &Name, cx: &mut Checker<'_>) -> Option<EventsUrl> {
        let plain = match self.url.as_ref()? {
            At { value: Address::Secret(reference), .. } => return Some(EventsUrl::Secret(reference.clone())),
            at @ At { value: Address::Plain(text), .. } => {
                At { value: text.clone(), spot: at.spot.clone(), key: at.key.clone(), layer: at.layer }
            }
        };
        let help = "name the whole address by `url = \"env:NAME\"`";
        cx.url(&format!("alerts.{name}.url"), &plain, &["https", "http"], help).map(EventsUrl::Plain)
    }

    fn pagerduty(&self, name: &Name, cx: &mut Checker<'_>) -> Option<Channel> {
        let url = self.plain_address(name, cx);
        if self.url.is_some() && url.is_none() {
            return None;
        }
        let Some(key) = &self.routing_key else {
            self.lacks(name, "routing-key", "routing-key = \"env:PAGERDUTY_ROUTING_KEY\"", cx);
            return None;
        };
        Some(Channel::PagerDuty { routing_key: key.value.clone(), url })
    }

    fn github(&self, name: &Name, cx: &mut Checker<'_>) -> Option<GitHub> {
        for (lacking, key, add) in [
            (self.repository.is_none(), "repository", "repository = \"OWNER/NAME\""),
            (self.token.is_none(), "token", "token = \"env:GITHUB_TOKEN\""),
        ] {
            if lacking {
                self.lacks(name, key, add, cx);
            }
        }
        let url = self.plain_address(name, cx);
        if self.url.is_some() && url.is_none() {
            return None;
        }
        let at = self.repository.as_ref()?;
        if !is_repository(&at.value) {
            let title = format!("`{}` in `alerts.{name}` is no repository of GitHub", shown(&at.value));
            cx.refuse(&at.spot, title, "write `OWNER/NAME`, as its address has it");
            return None;
        }
        let labels = self.labels.value.iter().map(|item| item.value.clone()).collect();
        let token = self.token.as_ref()?.value.clone();
        Some(GitHub { url: url.unwrap_or(EventsUrl::Plain(GITHUB.to_owned())), repository: at.value.clone(), token, labels })
    }

    fn email(&self, name: &Name, cx: &mut Checker<'_>) -> Option<Email> {
        let login = self.login(name, cx);
        for (lacking, key, add) in [
            (self.smtp.is_none(), "smtp", "smtp = \"smtps://smtp.example.org:465\""),
            (self.from.is_none(), "from", "from = \"kf <kf@example.org>\""),
            (self.to.value.is_empty(), "to", "to = [\"team@example.org\"]"),
        ] {
            if lacking {
                self.lacks(name, key, add, cx);
            }
        }
        let senders = self.from.iter().map(|at| (&at.value, &at.spot));
        let recipients = self.to.value.iter().map(|item| (&item.value, &item.spot));
        for (address, spot) in senders.chain(recipients).filter(|(address, _)| !is_mailbox(address)) {
            let title = format!("`{}` in `alerts.{name}` is no address of mail", shown(address));
            cx.refuse(spot, title, "write `team@example.org` or `Team <team@example.org>`");
        }
        let relay = self.smtp.as_ref().and_then(|at| relay(name, at, cx))?;
        let to: Vec<String> = self.to.value.iter().map(|item| item.value.clone()).collect();
        (!to.is_empty()).then_some(Email { relay, login, from: self.from.as_ref()?.value.clone(), to })
    }

    fn login(&self, name: &Name, cx: &mut Checker<'_>) -> Option<(String, SecretRef)> {
        match (&self.user, &self.password) {
            (Some(user), Some(password)) => Some((user.value.clone(), password.value.clone())),
            (Some(user), None) => {
                let title = format!("`alerts.{name}` has a `user` and no `password`");
                cx.absent(Diagnostic::new(title).at(&user.spot).help("add `password = \"env:SMTP_PASSWORD\"`"));
                None
            }
            (None, Some(password)) => {
                let title = format!("`alerts.{name}` has a `password` and no `user`");
                cx.absent(Diagnostic::new(title).at(&password.key).help("add `user = \"kf\"`"));
                None
            }
            (None, None) => None,
        }
    }
}

/// The server behind `smtp`.
fn relay(name: &Name, at: &At<String>, cx: &mut Checker<'_>) -> Option<Relay> {
    let key = format!("alerts.{name}.smtp");
    let text = cx.url(&key, at, &["smtps", "smtp"], "take it out and name it by `password = \"env:NAME\"`")?;
    let url = url::Url::parse(&text).ok()?;
    if !url.username().is_empty() || !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        cx.refuse(&at.spot, format!("`{key}` says more than host and port"), "write `smtps://HOST:465`, and `user = \"NAME\"`");
        return None;
    }
    let host = url.host_str()?.trim_matches(['[', ']']).to_owned();
    let (tls, port) = match url.scheme() {
        "smtps" => (Tls::Implicit, 465),
        _ if is_here(&host) => (Tls::Local, 25),
        _ => (Tls::StartTls, 587),
    };
    Some(Relay { host, port: url.port().unwrap_or(port), tls })
}

/// Whether a host is this machine, whatever its name server says.
fn is_here(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// `OWNER/NAME` of letters, digits, `-`, `_` and `.`, neither of them dots alone.
fn is_repository(text: &str) -> bool {
    let word = |part: &str| {
        let dots = part.chars().all(|c| c == '.');
        !dots && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    text.split_once('/').is_some_and(|(owner, name)| word(owner) && word(name))
}

/// `team@example.org` or `Team <team@example.org>`; whoever sends reads it more strictly.
fn is_mailbox(text: &str) -> bool {
    let inner = text.strip_suffix('>').and_then(|t| t.rsplit_once('<')).map_or(text, |(_, inner)| inner);
    let plain = !inner.contains(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | ',' | ';'));
    let sides = inner.rsplit_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
    plain && sides && !text.contains(char::is_control)
}
