//! PostgreSQL: the same tables in a schema of their own, reached with `tokio-postgres` on the program's one runtime.

use super::{Mode, Row, Value, no_state};
use crate::base::error::{Context, Error, Kind, Result};
use crate::config::secret::Secret;
use crate::store::runtime::{block_on, runtime};
use futures_util::TryStreamExt as _;
use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Statement};

/// How to reach a schema on a server.
#[derive(Clone, Debug)]
pub struct PostgresTarget {
    /// `postgres://user@host:port/database?sslmode=…`, without password.
    pub url: String,
    /// The password, when the URL or the server does not need another way.
    pub password: Option<Secret>,
    /// The schema that holds kf's tables.
    pub schema: String,
}

impl PostgresTarget {
    /// Server, database and schema, without credentials.
    pub fn describe(&self) -> String {
        let place = url::Url::parse(&self.url).map_or_else(
            |_| "PostgreSQL".to_owned(),
            |u| format!("PostgreSQL {}:{}{}", u.host_str().unwrap_or("localhost"), u.port().unwrap_or(5432), u.path()),
        );
        format!("{place} schema {}", self.schema)
    }
}

/// A connection, with the statements it has prepared.
pub struct Postgres {
    client: Client,
    prepared: RefCell<HashMap<String, Statement>>,
}

impl Postgres {
    pub(super) fn open(target: &PostgresTarget, mode: Mode, lock_timeout: Duration) -> Result<Self> {
        let whom = target.describe();
        let mut config: tokio_postgres::Config =
            target.url.parse().context(|| format!("`state.url` is no PostgreSQL URL ({whom})"))?;
        if let Some(password) = &target.password {
            config.password(password.expose());
        }
        config.application_name("kf").connect_timeout(Duration::from_secs(10));
        let client = block_on(connect(config))?.context(|| format!("cannot connect to {whom}")).hint(|| {
            "is the server running, and do `state.url` and `state.password` in mlops.toml name it? `kf doctor` tells".into()
        })?;
        let this = Self { client, prepared: RefCell::default() };
        let schema = quote_ident(&target.schema);
        // Zero would mean to wait for ever, where on SQLite it means not at all.
        let millis = lock_timeout.as_millis().clamp(1, 2_147_483_647);
        this.batch(&format!("SET lock_timeout = {millis}"))?;
        if mode == Mode::Create {
            // Two first commands at once would race on the catalogue: the lock makes the second wait.
            this.batch(&format!("SELECT pg_advisory_xact_lock(7018200110); CREATE SCHEMA IF NOT EXISTS {schema}"))?;
        } else if !this.schema_exists(&target.schema)? {
            return Err(no_state(&whom));
        }

        this.batch(&format!(
            "SET search_path TO {schema}; SET synchronous_commit = on; SET client_min_messages = warning; SET timezone = 'UTC'"
        ))?;
        Ok(this)
    }

    fn schema_exists(&self, schema: &str) -> Result<bool> {
        let mut found = false;
        self.each("SELECT 1::bigint FROM pg_namespace WHERE nspname = ?1", &[schema.into()], &mut |_| {
            found = true;
            Ok(())
        })?;
        Ok(found)
    }

    pub(super) fn version(&self) -> Result<String> {
        let mut version = String::new();
        self.each("SHOW server_version", &[], &mut |row| row.text(0).map(|v| version = v.to_owned()))?;
        Ok(format!("PostgreSQL {version}"))
    }

    pub(super) fn batch(&self, sql: &str) -> Result<()> {
        block_on(self.client.batch_execute(sql))?.map_err(|e| worded(e, sql))
    }

    pub(super) fn execute(&self, sql: &str, values: &[Value]) -> Result<u64> {
        let statement = self.statement(sql)?;
        block_on(self.client.execute_raw(&statement, values))?.map_err(|e| worded(e, sql))
    }

    pub(super) fn each(&self, sql: &str, values: &[Value], each: &mut dyn FnMut(&Row<'_>) -> Result<()>) -> Result<()> {
        let statement = self.statement(sql)?;
        block_on(async {
            let rows = self.client.query_raw(&statement, values).await.map_err(|e| worded(e, sql))?;
            let mut rows = std::pin::pin!(rows);
            while let Some(row) = rows.try_next().await.map_err(|e| worded(e, sql))? {
                each(&Row::Postgres(&row))?;
            }
            Ok(())
        })?
    }

    fn statement(&self, sql: &str) -> Result<Statement> {
        if let Some(found) = self.prepared.borrow().get(sql) {
            return Ok(found.clone());
        }
        let statement = block_on(self.client.prepare(&translate(sql)))?.map_err(|e| worded(e, sql))?;
        self.prepared.borrow_mut().insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

/// How long connecting and authenticating may take together.
const HANDSHAKE: Duration = Duration::from_secs(15);

async fn connect(config: tokio_postgres::Config) -> Result<Client> {
    let mut roots = rustls::RootCertStore::empty();
    // The certificates that this system trusts, so that a private CA installed there works here.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let tls = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let tls = tokio_postgres_rustls::MakeRustlsConnect::new(tls);
    // `connect_timeout` ends with the TCP connection; a server that dies during the handshake must not be waited for either.
    let (client, connection) = tokio::time::timeout(HANDSHAKE, config.connect(tls))
        .await
        .context(|| "the server did not answer in time")?
        .context(|| "the server did not accept the connection")?;
    runtime()?.spawn(async move {
        // The client reports what went wrong to whoever waits for an answer.
        let _ = connection.await;
    });
    Ok(client)
}

/// `?1` becomes `$1`, except in quoted text.
fn translate(sql: &str) -> String {
    let mut quoted = false;
    sql.chars()
        .map(|c| match c {
            '\'' => {
                quoted = !quoted;
                c
            }
            '?' if !quoted => '$',
            c => c,
        })
        .collect()
}

fn quote_ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Words an error of the server so that a person knows what to do.
fn worded(e: tokio_postgres::Error, sql: &str) -> Error {
    let code = e.code().cloned();
    let closed = e.is_closed() || e.as_db_error().is_none();
    let (message, hint, kind) = match code {
        Some(c) if c == SqlState::LOCK_NOT_AVAILABLE || c == SqlState::T_R_DEADLOCK_DETECTED => (
            "the state is locked by another process".to_owned(),
            "try again, or wait longer with `--lock-timeout 5m`",
            Kind::Locked,
        ),
        Some(c) if c == SqlState::INSUFFICIENT_PRIVILEGE => (
            "this user may not do that on the server".to_owned(),
            "grant it, or connect as another user in `state.url`",
            Kind::Failed,
        ),
        Some(c) if c == SqlState::DISK_FULL => {
            ("the server's disk is full".to_owned(), "free some space there and run the command again", Kind::Failed)
        }
        Some(c) if c == SqlState::READ_ONLY_SQL_TRANSACTION => {
            ("the server is read-only".to_owned(), "point `state.url` at the primary", Kind::Failed)
        }
        _ if closed => {
            ("the connection to the server broke".to_owned(), "run the command again: a retry is harmless", Kind::Failed)
        }
        _ => (
            format!("PostgreSQL refused `{}`", sql.split_whitespace().take(6).collect::<Vec<_>>().join(" ")),
            "run `kf doctor`",
            Kind::Failed,
        ),
    };
    match Err::<(), _>(e).context(|| message) {
        Err(e) => e.hint(hint).kind_of(kind),
        Ok(()) => unreachable!("made from an error"),
    }
}

impl ToSql for Value {
    fn to_sql(&self, ty: &Type, out: &mut bytes::BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(i) if *ty == Type::FLOAT8 =>
            {
                #[expect(clippy::cast_precision_loss, reason = "what SQLite's REAL columns do with an integer")]
                (*i as f64).to_sql_checked(ty, out)
            }
            Self::Int(i) => i.to_sql_checked(ty, out),
            Self::Real(r) => r.to_sql_checked(ty, out),
            Self::Text(t) => t.to_sql_checked(ty, out),
            Self::Blob(b) => b.to_sql_checked(ty, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Binary
    }

    to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_translated_outside_of_text() {
        assert_eq!(translate("SELECT '?1' || ?2 WHERE a = ?1"), "SELECT '?1' || $2 WHERE a = $1");
        assert_eq!(quote_ident("a\"b"), "\"a\"\"b\"");
    }

    #[test]
    fn a_target_is_described_without_credentials() {
        let t = PostgresTarget { url: "postgres://me:secret@db:5433/kf".into(), password: None, schema: "kf".into() };
        assert_eq!(t.describe(), "PostgreSQL db:5433/kf schema kf");
    }
}
