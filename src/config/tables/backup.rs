//! `[backup]`: where backups go, for whom they are encrypted, what is in them and how long they are kept.
//!
//! Defaults are those of the specification (000 §7.1): everything daily, kept for thirty days.

use super::artifacts::{Artifacts, RawArtifacts};
use crate::base::name::{Name, words};
use crate::config::check::{Check as _, CheckNamed, CheckOne, Checker};
use crate::config::diag::{Diagnostic, Spot};
use crate::config::leaf::word_leaf;
use crate::config::secret::SecretRef;
use crate::config::shape::{At, Item, Part as _, Sub, Tables, table};
use std::time::Duration;

/// What every backup can have without a table of its own.
pub const BUILT_IN: [&str; 3] = ["state", "artifacts", "git"];

words! {
    /// What a component is.
    ComponentKind, "kind of component" {
        /// The files below a folder.
        Directory = "directory",
        /// What a program prints.
        Command = "command",
        /// A PostgreSQL database.
        Postgres = "postgres",
        /// A Redis server.
        Redis = "redis",
    }
}

words! {
    /// When a plan is due.
    Every, "time of a backup" {
        /// An hour after the last one.
        Hour = "hour",
        /// A day after it.
        Day = "day",
        /// A week after it.
        Week = "week",
        /// When the audit log tells of a change since.
        Change = "change",
    }
}

word_leaf! { ComponentKind, "kind of component"; Every, "time of a backup"; }

table! {
    /// As written.
    RawBackup {
        /// Where backups go.
        place: Sub<RawPlace> = "place";
        /// Who can read them: age public keys (`age1…`) or SSH public keys (`ssh-ed25519 …`).
        recipients: At<Vec<Item<String>>> = "recipients", or Vec::new();
        /// A key that reads them, as `file:PATH` or `env:NAME`; a host that only writes needs none.
        identity: Option<At<SecretRef>> = "identity";
        /// A program and its arguments that a drill runs in what was restored; it must end with 0.
        smoke: Option<At<Vec<Item<String>>>> = "smoke";
        /// How long recovery may take: from 80 % of it on `kf backup status` says no.
        rto: At<Duration> = "rto", or Duration::from_secs(4 * 3600);
        /// How much time's work may be lost: likewise.
        rpo: At<Duration> = "rpo", or Duration::from_secs(24 * 3600);
        /// Parts of the system besides the state, its artifacts and the Git repository, by name.
        components: Tables<RawComponent> = "components";
        /// What is backed up when, and kept how long, by name.
        plans: Tables<RawPlan> = "plans";
    }
}

table! {
    /// As written.
    RawPlace {
        /// A folder of the repository, `file:///FOLDER`, `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX` or `az://CONTAINER/PREFIX`.
        url: Option<At<String>> = "url";
        /// Address of an S3-compatible service that is not AWS.
        endpoint: Option<At<String>> = "endpoint";
        /// Region of the bucket.
        region: Option<At<String>> = "region";
        /// Access key of S3, as `env:NAME` or `file:PATH`.
        access_key: Option<At<SecretRef>> = "access-key";
        /// Secret key of S3, as `env:NAME` or `file:PATH`.
        secret_key: Option<At<SecretRef>> = "secret-key";
        /// Allow an endpoint without TLS.
        allow_http: At<bool> = "allow-http", or false;
    }
}

table! {
    /// As written.
    RawComponent {
        /// directory, command, postgres or redis.
        kind: Option<At<ComponentKind>> = "kind";
        /// directory: the folder.
        path: Option<At<String>> = "path";
        /// postgres: `postgres://USER@HOST/DATABASE`; redis: `redis://HOST:PORT`.
        url: Option<At<String>> = "url";
        /// The password there, as `env:NAME` or `file:PATH`.
        password: Option<At<SecretRef>> = "password";
        /// command: a program and its arguments, whose output is kept.
        command: Option<At<Vec<Item<String>>>> = "command";
        /// command: a program and its arguments that reads it again.
        restore: Option<At<Vec<Item<String>>>> = "restore";
    }
}

table! {
    /// As written.
    RawPlan {
        /// hour, day, week or change.
        every: At<Every> = "every", or Every::Day;
        /// What is in it; everything when it is left out.
        components: Option<At<Vec<Item<Name>>>> = "components";
        /// Kept: all that are at most so many days older than the newest.
        keep_days: At<u32> = "keep-days", or 0;
        /// Kept: so many of the newest.
        keep_last: At<u32> = "keep-last", or 0;
        /// Kept: the newest of so many hours that have one.
        keep_hourly: At<u32> = "keep-hourly", or 0;
        /// Kept: the newest of so many days that have one.
        keep_daily: At<u32> = "keep-daily", or 0;
        /// Kept: the newest of so many weeks that have one.
        keep_weekly: At<u32> = "keep-weekly", or 0;
        /// Kept: the newest of so many months that have one.
        keep_monthly: At<u32> = "keep-monthly", or 0;
        /// Kept: the newest of so many years that have one.
        keep_yearly: At<u32> = "keep-yearly", or 0;
        /// Keep all for ever.
        keep_forever: At<bool> = "keep-forever", or false;
    }
}

/// Where backups go and what is in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// Where they go; `None` when nothing is said.
    pub place: Option<Artifacts>,
    /// Who can read them, as written.
    pub recipients: Vec<String>,
    /// A key that reads them.
    pub identity: Option<SecretRef>,
    /// A program that a drill runs in what was restored; not empty.
    pub smoke: Option<Vec<String>>,
    /// How long recovery may take; not zero.
    pub rto: Duration,
    /// How much time's work may be lost; not zero.
    pub rpo: Duration,
    /// Parts of the system besides [`BUILT_IN`].
    pub components: Vec<Component>,
    /// What is backed up when; not empty.
    pub plans: Vec<Plan>,
}

/// A part of the system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// Its name; none of [`BUILT_IN`].
    pub name: Name,
    /// What it is.
    pub source: Source,
}

/// What a component is, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The files below a folder; of the repository unless absolute.
    Directory(String),
    /// A program whose output is kept, and one that reads it again.
    Command {
        /// Prints it; not empty.
        dump: Vec<String>,
        /// Reads it.
        restore: Option<Vec<String>>,
    },
    /// A PostgreSQL database.
    Postgres {
        /// `postgres://USER@HOST/DATABASE`, without a password.
        url: String,
        /// The password.
        password: Option<SecretRef>,
    },
    /// A Redis server.
    Redis {
        /// `redis://HOST:PORT`.
        url: String,
        /// The password.
        password: Option<SecretRef>,
    },
}

/// What is backed up when, and kept how long. Numbers of 0 are rules that do not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Its name.
    pub name: Name,
    /// When it is due.
    pub every: Every,
    /// What is in it; everything when `None`.
    pub components: Option<Vec<Name>>,
    /// Kept: all that are at most so many days older than the newest.
    pub keep_days: u32,
    /// Kept: so many of the newest.
    pub keep_last: u32,
    /// Kept: the newest of so many hours, days, weeks, months and years.
    pub keep_of: [u32; 5],
    /// Keep all for ever.
    pub keep_forever: bool,
}

impl CheckOne for RawBackup {
    type Plain = Backup;
    fn check(&self, cx: &mut Checker<'_>) -> Option<Backup> {
        let place = match self.place.body.artifacts() {
            Some(raw) => Some(raw.place("backup.place", cx)?),
            None => {
                if let Some((key, _)) = self.place.given() {
                    cx.absent(Diagnostic::new("`[backup.place]` has no `url`").at(key).help("add `url = \"file:///mnt/backup\"`"));
                    return None;
                }
                None
            }
        };
        for (at, key) in [(&self.rto, "rto"), (&self.rpo, "rpo")].into_iter().filter(|(at, _)| at.value.is_zero()) {
            cx.refuse(&at.spot, format!("`backup.{key}` must not be zero"), "write how long it may be: `4h`");
        }
        if let Some(at) = self.smoke.as_ref().filter(|at| at.value.first().is_none_or(|program| program.value.is_empty())) {
            cx.refuse(&at.spot, "`backup.smoke` names no program", "write the program and its arguments: `[\"./smoke-test.sh\"]`");
        }
        let components = self.components.check("backup.components", cx)?;
        let mut plans = self.plans.check("backup.plans", cx)?;
        for (raw, plan) in self.plans.0.iter().zip(&plans) {
            for item in raw.body.components.iter().flat_map(|at| &at.value) {
                let known = BUILT_IN.iter().copied().chain(components.iter().map(|c: &Component| c.name.as_str()));
                if !known.clone().any(|name| name == item.value.as_str()) {
                    let title = format!("`backup.plans.{}` names no component: `{}`", plan.name, item.value);
                    let help = crate::base::text::did_you_mean(item.value.as_str(), known.clone())
                        .unwrap_or_else(|| format!("there are: {}", known.collect::<Vec<_>>().join(", ")));
                    cx.refuse(&item.spot, title, help);
                }
            }
        }
        if plans.is_empty() {
            plans.push(RawPlan { keep_days: At::built_in(30), ..RawPlan::default() }.plain(&"daily".parse().ok()?));
        }
        Some(Backup {
            place,
            recipients: self.recipients.value.iter().map(|item| item.value.clone()).collect(),
            identity: self.identity.as_ref().map(|at| at.value.clone()),
            smoke: self.smoke.as_ref().map(argv).filter(|argv| !argv.is_empty()),
            rto: self.rto.value,
            rpo: self.rpo.value,
            components,
            plans,
        })
    }
}

impl RawPlace {
    /// The same as a place of artifacts; none without a URL.
    fn artifacts(&self) -> Option<RawArtifacts> {
        Some(RawArtifacts {
            url: self.url.clone()?,
            endpoint: self.endpoint.clone(),
            region: self.region.clone(),
            access_key: self.access_key.clone(),
            secret_key: self.secret_key.clone(),
            allow_http: self.allow_http.clone(),
        })
    }
}

impl CheckNamed for RawComponent {
    type Plain = Component;
    fn check(&self, name: &Name, key: &Spot, cx: &mut Checker<'_>) -> Option<Component> {
        let title = |what: &str| Diagnostic::new(format!("`[backup.components.{name}]` {what}")).at(key);
        if BUILT_IN.contains(&name.as_str()) {
            cx.absent(title("has a name that kf uses itself").help("every backup can have it without a table; take another name"));
            return None;
        }
        let Some(kind) = self.kind.as_ref().map(|at| at.value) else {
            cx.absent(title("has no `kind`").help("add `kind = \"directory\"`, `\"command\"`, `\"postgres\"` or `\"redis\"`"));
            return None;
        };
        let password = self.password.as_ref().map(|at| at.value.clone());
        let url = |schemes: &[&str], cx: &mut Checker<'_>| {
            let Some(at) = &self.url else {
                cx.absent(title("has no `url`").help(format!("add `url = \"{}://HOST\"`", schemes[0])));
                return None;
            };
            cx.url(&format!("backup.components.{name}.url"), at, schemes, "take it out and name it by `password = \"env:NAME\"`")
        };
        let source = match kind {
            ComponentKind::Directory => match &self.path {
                Some(path) if !path.value.is_empty() => Source::Directory(path.value.clone()),
                _ => {
                    cx.absent(title("has no `path`").help("add `path = \"data\"`"));
                    return None;
                }
            },
            ComponentKind::Command => match self.command.as_ref().map(argv).filter(|argv| !argv.is_empty()) {
                Some(dump) => Source::Command { dump, restore: self.restore.as_ref().map(argv).filter(|argv| !argv.is_empty()) },
                None => {
                    cx.absent(title("has no `command`").help("add `command = [\"./dump.sh\"]`"));
                    return None;
                }
            },
            ComponentKind::Postgres => Source::Postgres { url: url(&["postgres", "postgresql"], cx)?, password },
            ComponentKind::Redis => Source::Redis { url: url(&["redis"], cx)?, password },
        };
        Some(Component { name: name.clone(), source })
    }
}

fn argv(at: &At<Vec<Item<String>>>) -> Vec<String> {
    at.value.iter().map(|item| item.value.clone()).collect()
}

impl RawPlan {
    fn plain(&self, name: &Name) -> Plan {
        Plan {
            name: name.clone(),
            every: self.every.value,
            components: self.components.as_ref().map(|at| at.value.iter().map(|item| item.value.clone()).collect()),
            keep_days: self.keep_days.value,
            keep_last: self.keep_last.value,
            keep_of: [
                self.keep_hourly.value,
                self.keep_daily.value,
                self.keep_weekly.value,
                self.keep_monthly.value,
                self.keep_yearly.value,
            ],
            keep_forever: self.keep_forever.value,
        }
    }
}

impl CheckNamed for RawPlan {
    type Plain = Plan;
    fn check(&self, name: &Name, key: &Spot, cx: &mut Checker<'_>) -> Option<Plan> {
        let plan = self.plain(name);
        let kept = plan.keep_forever || plan.keep_days > 0 || plan.keep_last > 0 || plan.keep_of.iter().any(|n| *n > 0);
        if !kept {
            let help = "add `keep-days = 30`, or `keep-forever = true`";
            cx.absent(Diagnostic::new(format!("`[backup.plans.{name}]` does not say what is kept")).at(key).help(help));
            return None;
        }
        Some(plan)
    }
}
