//! `[state]`: where models, versions, gates and the audit log are kept.

use crate::config::check::{CheckOne, Checker};
use crate::config::secret::SecretRef;
use crate::config::shape::{At, Part as _, table};
use std::path::PathBuf;
use std::time::Duration;

table! {
    /// As written.
    RawState {
        /// `sqlite` (the file .kf/state.db) or `postgres://USER@HOST/DATABASE`, without the password.
        url: At<String> = "url", or "sqlite".to_owned();
        /// Password of PostgreSQL, as `env:NAME` or `file:PATH`.
        password: Option<At<SecretRef>> = "password";
        /// Schema of PostgreSQL that holds kf's tables.
        schema: At<String> = "schema", or "kf".to_owned();
        /// How long to wait for another process that holds the state.
        lock_timeout: At<Duration> = "lock-timeout", or Duration::from_secs(30);
    }
}

/// Where the state is, and how long to wait for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Where it is.
    pub place: StatePlace,
    /// How long to wait for another process that holds it.
    pub lock_timeout: Duration,
}

/// The engine of the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatePlace {
    /// An SQLite file, relative to the repository.
    Sqlite(PathBuf),
    /// A PostgreSQL database.
    Postgres {
        /// `postgres://…`, without a password.
        url: String,
        /// Where the password is kept.
        password: Option<SecretRef>,
        /// The schema that holds the tables: a lower-case identifier of at most 63 bytes.
        schema: String,
    },
}

impl CheckOne for RawState {
    type Plain = State;
    fn check(&self, cx: &mut Checker<'_>) -> Option<State> {
        let place = if self.url.value == "sqlite" { self.sqlite(cx) } else { self.postgres(cx)? };
        Some(State { place, lock_timeout: self.lock_timeout.value })
    }
}

impl RawState {
    fn sqlite(&self, cx: &mut Checker<'_>) -> StatePlace {
        for (given, key) in [(self.password.given(), "password"), (self.schema.given(), "schema")] {
            cx.unused(given, &self.url, format!("`state.{key}` is for PostgreSQL, and `state.url` is `sqlite`"));
        }
        StatePlace::Sqlite([".kf", "state.db"].iter().collect())
    }

    fn postgres(&self, cx: &mut Checker<'_>) -> Option<StatePlace> {
        if !self.url.value.contains("://") {
            cx.refuse(
                &self.url.spot,
                "`state.url` must be `sqlite` or a URL",
                "write `sqlite` or `postgres://USER@HOST/DATABASE`",
            );
            return None;
        }
        let password = "take the password out and add `password = \"env:PGPASSWORD\"` to `[state]`";
        let url = cx.url("state.url", &self.url, &["postgres", "postgresql"], password);
        // PostgreSQL: unquoted identifiers fold to lower case, have at most 63 bytes, and `pg_` is its own.
        let name = self.schema.value.as_str();
        let fits = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            && name.len() <= 63
            && !name.starts_with("pg_");
        if !fits {
            let help = "use lower-case letters, digits and `_`, at most 63, not beginning with a digit or `pg_`";
            cx.refuse(&self.schema.spot, "`state.schema` cannot be the name of a schema", help);
        }
        let password = self.password.as_ref().map(|p| p.value.clone());
        Some(StatePlace::Postgres { url: url?, password, schema: name.to_owned() })
    }
}
