//! `[backup]`: where backups go, for whom they are encrypted, what is in them and how long they are kept.
//!
//! Defaults are those of the specification (000 §7.1): everything daily, kept for thirty days.

use super::artifacts::{Artifacts, RawArtifacts, TIMEOUT, recipients};
use crate::base::name::{Name, words};
use crate::config::check::{Check as _, CheckNamed, CheckOne, Checker};
use crate::config::diag::{Diagnostic, Spot};
use crate::config::leaf::word_leaf;
use crate::config::secret::SecretRef;
use crate::config::shape::{At, Item, Named, Part as _, Sub, Tables, table};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What every backup can have without a table of its own. The audit log is in the state; apart from it, it is in the plans that name it.
pub const BUILT_IN: [&str; 4] = ["state", "artifacts", "git", "audit"];

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
        /// A Qdrant server or cluster.
        Qdrant = "qdrant",
        /// A database of a Neo4j server.
        Neo4j = "neo4j",
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

words! {
    /// Who may end a lock before its time.
    LockMode, "mode of a lock" {
        /// Whoever has a special permission.
        Governance = "governance",
        /// Nobody.
        Compliance = "compliance",
    }
}

word_leaf! { ComponentKind, "kind of component"; Every, "time of a backup"; LockMode, "mode of a lock"; }

/// The longest lock in days: no bucket takes more than a hundred years.
const LOCK_MAX: u32 = 36_500;

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
        /// How long a request to S3 waits for a server that says nothing.
        timeout: At<Duration> = "timeout", or TIMEOUT;
    }
}

table! {
    /// As written.
    RawComponent {
        /// directory, command, postgres, redis, qdrant or neo4j.
        kind: Option<At<ComponentKind>> = "kind";
        /// directory: the folder.
        path: Option<At<String>> = "path";
        /// postgres: `postgres://USER@HOST/DATABASE`; redis: `redis://[USER@]HOST:PORT`; qdrant, neo4j: `http://HOST:PORT`.
        url: Option<At<String>> = "url";
        /// The password there, as `env:NAME` or `file:PATH`.
        password: Option<At<SecretRef>> = "password";
        /// qdrant: the key, as `env:NAME` or `file:PATH`.
        api_key: Option<At<SecretRef>> = "api-key";
        /// qdrant: the addresses of all nodes of a cluster; only `url` when it is left out.
        nodes: At<Vec<Item<String>>> = "nodes", or Vec::new();
        /// neo4j: the user.
        user: Option<At<String>> = "user";
        /// neo4j: the database.
        database: Option<At<String>> = "database";
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
        /// Locked: so many days nobody can remove what a set names; only in a bucket of S3 that was made with object lock.
        lock_days: At<u32> = "lock-days", or 0;
        /// governance (whoever has a special permission may end a lock) or compliance (nobody may).
        lock_mode: Option<At<LockMode>> = "lock-mode";
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
        /// `redis://[USER@]HOST:PORT`.
        url: String,
        /// The password.
        password: Option<SecretRef>,
    },
    /// The nodes of a Qdrant server or cluster.
    Qdrant {
        /// Who is asked.
        url: String,
        /// All nodes; only that one when empty.
        nodes: Vec<String>,
        /// The key.
        key: Option<SecretRef>,
    },
    /// A database of a Neo4j server.
    Neo4j {
        /// The address up to the port.
        url: String,
        /// The user.
        user: String,
        /// The database.
        database: String,
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
    /// How long what a set names is locked.
    pub lock: Option<Lock>,
}

/// How long what a set names is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lock {
    /// Days from when the set was begun; more than 0.
    pub days: u32,
    /// Who may end it.
    pub mode: LockMode,
}

impl CheckOne for RawBackup {
    type Plain = Backup;
    fn check(&self, cx: &mut Checker<'_>) -> Option<Backup> {
        let place = match self.place.body.artifacts() {
            Some(raw) => Some(raw.place("backup.place", cx)?),
            None => {
                if let Some((key, _)) = self.place.given() {
                    cx.absent(
                        Diagnostic::new("`[backup.place]` has no `url`").at(key).help("add `url = \"file:///mnt/backup\"`"),
                    );
                    return None;
                }
                None
            }
        };
        if let Some(url) = &self.place.body.url {
            check_place(url, cx);
        }
        for raw in &self.plans.0 {
            raw.body.check_lock(&raw.name, place.as_ref(), cx);
        }
        for (at, key) in [(&self.rto, "rto"), (&self.rpo, "rpo")].into_iter().filter(|(at, _)| at.value.is_zero()) {
            cx.refuse(&at.spot, format!("`backup.{key}` must not be zero"), "write how long it may be: `4h`");
        }
        if let Some(at) = self.smoke.as_ref().filter(|at| at.value.first().is_none_or(|program| program.value.is_empty())) {
            cx.refuse(
                &at.spot,
                "`backup.smoke` names no program",
                "write the program and its arguments: `[\"./smoke-test.sh\"]`",
            );
        }
        let recipients = recipients("backup.recipients", &self.recipients, cx);
        let components = self.components.check("backup.components", cx)?;
        for raw in &self.components.0 {
            check_apart(raw, self.place.body.url.as_ref(), cx);
        }
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
            recipients: recipients?,
            identity: self.identity.as_ref().map(|at| at.value.clone()),
            smoke: self.smoke.as_ref().map(argv).filter(|argv| !argv.is_empty()),
            rto: self.rto.value,
            rpo: self.rpo.value,
            components,
            plans,
        })
    }
}

/// Backups among the objects of versions, or in the folder of the state, would be taken for garbage there, and lost with them.
fn check_place(url: &At<String>, cx: &mut Checker<'_>) {
    let plain = |url: &str| url.trim_end_matches('/').to_owned();
    let (own, artifacts) = (plain(&url.value), plain(&cx.raw.artifacts.body.url.value));
    if own == artifacts {
        let title = "`backup.place.url` is where `artifacts.url` is: each would remove what the other keeps";
        cx.refuse(&url.spot, title, "name a place of its own, best on another machine");
    } else if own == ".kf" || own.starts_with(".kf/") {
        let title = "`backup.place.url` is in the folder of the state: whatever takes the one takes the other";
        cx.refuse(&url.spot, title, "name a place outside of `.kf`, best on another machine");
    }
}

/// A folder with the backups or the state in it would put all earlier sets into each set.
fn check_apart(of: &Named<RawComponent>, place: Option<&At<String>>, cx: &mut Checker<'_>) {
    let Some(path) =
        of.body.path.as_ref().filter(|_| of.body.kind.as_ref().is_some_and(|at| at.value == ComponentKind::Directory))
    else {
        return;
    };
    let folder = plain(&path.value);
    let kf = PathBuf::from(".kf");
    let place = place.filter(|url| !url.value.contains("://") || url.value.starts_with("file://"));
    let place = place.map(|url| plain(url.value.strip_prefix("file://").unwrap_or(&url.value)));
    let what = match place {
        Some(place) if place.starts_with(&folder) && place.is_absolute() == folder.is_absolute() => "the backups",
        _ if kf.starts_with(&folder) || folder.starts_with(&kf) => "the state of kf",
        _ => return,
    };
    let title = format!("`backup.components.{}.path` has {what} in it: each set would hold those before it", of.name);
    cx.refuse(&path.spot, title, "name folders beside it, one component each, or move the backups elsewhere");
}

/// A path without what changes nothing in it; `..` goes up where it can.
fn plain(path: &str) -> PathBuf {
    let mut of = PathBuf::new();
    for part in Path::new(path).components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir if of.file_name().is_some() => {
                of.pop();
            }
            part => of.push(part),
        }
    }
    of
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
            timeout: self.timeout.clone(),
            ..RawArtifacts::default()
        })
    }
}

impl CheckNamed for RawComponent {
    type Plain = Component;
    fn check(&self, name: &Name, key: &Spot, cx: &mut Checker<'_>) -> Option<Component> {
        let title = |what: &str| Diagnostic::new(format!("`[backup.components.{name}]` {what}")).at(key);
        if BUILT_IN.contains(&name.as_str()) {
            cx.absent(
                title("has a name that kf uses itself").help("every backup can have it without a table; take another name"),
            );
            return None;
        }
        let Some(kind) = self.kind.as_ref().map(|at| at.value) else {
            cx.absent(
                title("has no `kind`")
                    .help("add `kind = \"directory\"`, `\"command\"`, `\"postgres\"`, `\"redis\"`, `\"qdrant\"` or `\"neo4j\"`"),
            );
            return None;
        };
        let password = self.password.as_ref().map(|at| at.value.clone());
        let key = self.api_key.as_ref().map(|at| at.value.clone());
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
            ComponentKind::Qdrant => Source::Qdrant { url: url(&["http", "https"], cx)?, nodes: self.nodes(name, cx)?, key },
            ComponentKind::Neo4j => {
                let or = |at: &Option<At<String>>| at.as_ref().map_or_else(|| "neo4j".to_owned(), |at| at.value.clone());
                Source::Neo4j { url: url(&["http", "https"], cx)?, user: or(&self.user), database: or(&self.database), password }
            }
        };
        Some(Component { name: name.clone(), source })
    }
}

impl RawComponent {
    /// The addresses of all nodes.
    fn nodes(&self, name: &Name, cx: &mut Checker<'_>) -> Option<Vec<String>> {
        let (key, help) = (format!("backup.components.{name}.nodes"), "take it out; the key is `api-key = \"env:NAME\"`");
        let nodes = &self.nodes;
        let one = |item: &Item<String>| {
            let at = At { value: item.value.clone(), spot: item.spot.clone(), key: nodes.key.clone(), layer: nodes.layer };
            cx.url(&key, &at, &["http", "https"], help)
        };
        nodes.value.iter().map(one).collect()
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
            lock: self.lock(),
        }
    }

    fn lock(&self) -> Option<Lock> {
        let mode = self.lock_mode.as_ref().map_or(LockMode::Governance, |at| at.value);
        (self.lock_days.value > 0).then_some(Lock { days: self.lock_days.value, mode })
    }

    /// What is wrong with the lock; `place` is where backups go, when that is said.
    fn check_lock(&self, name: &Name, place: Option<&Artifacts>, cx: &mut Checker<'_>) {
        if let (Some(mode), 0) = (&self.lock_mode, self.lock_days.value) {
            let title = format!("`backup.plans.{name}.lock-mode` locks nothing without `lock-days`");
            cx.refuse(&mode.spot, title, "add `lock-days = 30`, or take it out");
        }
        if self.lock_days.value > LOCK_MAX {
            let title = format!("`backup.plans.{name}.lock-days` is more than a hundred years");
            cx.refuse(&self.lock_days.spot, title, "nothing could remove what is locked by mistake: take a number that you mean");
        }
        if self.lock_days.value > 0 && place.is_some_and(|place| !matches!(place, Artifacts::S3(_))) {
            let title = format!("`backup.plans.{name}.lock-days` needs a place with locks, and `backup.place` has none");
            let help = "only a bucket of S3 that was made with object lock has them: name it, or take `lock-days` out";
            cx.refuse(&self.lock_days.spot, title, help);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Vocabulary;
    use crate::config::check::Checker;
    use crate::config::diag::{Diags, Source as From};
    use crate::config::schema::Raw;
    use crate::config::shape::{Layer, Walk, walk_table};
    use toml::de::DeTable;

    /// What is wrong with a folder among components, with the backups in a place.
    fn wrong(place: &str, path: &str) -> String {
        let text = format!(
            "[backup]\nrecipients = [\"age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p\"]\n[backup.place]\nurl = \"{place}\"\n\
             [backup.components.all]\nkind = \"directory\"\npath = \"{path}\"\n"
        );
        let mut diags = Diags::new("mlops.toml", &text);
        let mut raw = Raw::default();
        let mut walk = Walk { diags: &mut diags, layer: Layer::File, source: From::File, path: Vec::new() };
        walk_table(&mut raw, DeTable::parse(&text).expect("TOML").get_ref(), &[], &mut walk);
        raw.backup.body.check(&mut Checker::new(&raw, &Vocabulary::default(), &mut diags));
        diags.finish().err().map(|e| e.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_folder_with_the_backups_or_the_state_in_it_is_refused_where_it_is_written() {
        for (place, path, what) in [
            ("back", ".", "the backups"),
            ("back", "./", "the backups"),
            ("data/back", "data", "the backups"),
            ("file:///mnt/backup", "/mnt", "the backups"),
            ("file:///mnt/backup/", "/mnt/backup/", "the backups"),
            ("data/back", "data/sub/..", "the backups"),
            ("s3://bucket/kf", ".", "the state of kf"),
            ("s3://bucket/kf", ".kf", "the state of kf"),
            ("s3://bucket/kf", "./.kf/objects", "the state of kf"),
        ] {
            let e = wrong(place, path);
            assert!(e.contains(&format!("`backup.components.all.path` has {what} in it")), "{place} {path}: {e}");
            assert!(e.contains("mlops.toml:7:8"), "{e}");
        }
        for (place, path) in
            [("back", "data"), ("file:///mnt/backup", "/mnt/data"), ("data-back", "data"), ("s3://bucket/data", "data")]
        {
            assert_eq!(wrong(place, path), "", "{place} {path}");
        }
    }
}
