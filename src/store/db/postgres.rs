//! PostgreSQL: the same tables in a schema of their own, reached with `tokio-postgres` on the program's one runtime.
//!
//! Every wait is bounded. A host that vanished is noticed by both sides within a minute or two by keep-alives and the limit on
//! unacknowledged data (`tcp(7)`; PostgreSQL, "Connections and Authentication"): the client stops waiting, and the server ends
//! a session that may hold the writer's lock. A server whose kernel still answers but which itself is stuck is given up after
//! [`ANSWER`] beyond the lock timeout; such a connection is not used again.

pub(super) mod copy;

use super::{Engine, Mode, Row, Value, no_state};
use crate::base::error::{Context, Error, Kind, Result};
use crate::config::secret::Secret;
use crate::store::runtime::{block_on, runtime};
use futures_util::TryStreamExt as _;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;
use tokio::task::AbortHandle;
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
        format!("{} schema {}", server(&self.url), self.schema)
    }
}

/// Server and database of a URL, without credentials.
pub(super) fn server(url: &str) -> String {
    url::Url::parse(url).map_or_else(
        |_| "PostgreSQL".to_owned(),
        |u| format!("PostgreSQL {}:{}{}", u.host_str().unwrap_or("localhost"), u.port().unwrap_or(5432), u.path()),
    )
}

/// A connection, with the statements it has seen. One that is asked for the first time goes out whole, in one round trip, with
/// the types of its values; one that comes again is prepared, so that the server plans it once for a whole batch.
pub struct Postgres {
    client: Client,
    seen: RefCell<HashMap<String, Option<Statement>>>,
    /// How long to wait for an answer, or for the next row of one.
    answer: Cell<Duration>,
    /// Set when that was too long.
    given_up: Cell<bool>,
    /// What reads and writes the connection; it would wait for a late answer even when nobody else does.
    carrier: AbortHandle,
}

/// How long the server may work on one statement, besides the wait for a lock: only what is stuck needs longer.
const ANSWER: Duration = Duration::from_secs(600);
/// How long connecting and authenticating may take together.
const HANDSHAKE: Duration = Duration::from_secs(15);
/// How long a connection may be silent before it is tested, how often it is, and how long sent data may stay unacknowledged.
const IDLE: Duration = Duration::from_secs(30);
const PROBE: Duration = Duration::from_secs(10);
const PROBES: u32 = 3;
const UNACKNOWLEDGED: Duration = Duration::from_secs(60);

impl Postgres {
    pub(super) fn open(target: &PostgresTarget, mode: Mode, lock_timeout: Duration) -> Result<Self> {
        let whom = target.describe();
        let mut config: tokio_postgres::Config =
            target.url.parse().context(|| format!("`state.url` is no PostgreSQL URL ({whom})"))?;
        if let Some(password) = &target.password {
            config.password(password.expose());
        }
        limit_waits(&mut config);
        let (client, carrier) = block_on(connect(config))?.context(|| format!("cannot connect to {whom}")).hint(|| {
            "is the server running, and do `state.url` and `state.password` in mlops.toml name it? `kf doctor` tells".into()
        })?;
        let this = Self::new(client, carrier);
        let schema = quote_ident(&target.schema);
        this.set_lock_timeout(lock_timeout)?;
        if mode == Mode::Create {
            // Two first commands at once would race on the catalogue: the lock makes the second wait.
            this.batch(&format!("SELECT pg_advisory_xact_lock(7018200110); CREATE SCHEMA IF NOT EXISTS {schema}"))?;
        } else if !this.schema_exists(&target.schema)? {
            return Err(no_state(&whom));
        }
        this.batch(&format!(
            "SET search_path TO {schema}; SET synchronous_commit = on; SET client_min_messages = warning; SET timezone = 'UTC'; {}",
            server_waits()
        ))?;
        Ok(this)
    }

    /// How long statements wait for a lock from now on.
    pub(super) fn set_lock_timeout(&self, lock_timeout: Duration) -> Result<()> {
        // Zero would mean to wait for ever, where on SQLite it means not at all.
        let millis = lock_timeout.as_millis().clamp(1, 2_147_483_647);
        self.answer.set(lock_timeout.saturating_add(ANSWER));
        self.batch(&format!("SET lock_timeout = {millis}"))
    }

    /// Waits for an answer, but not for ever.
    fn wait<T>(&self, sql: &str, answer: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T> {
        block_on(self.answered(sql, answer))?
    }

    async fn answered<T>(&self, sql: &str, answer: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T> {
        self.patient(answer).await?.map_err(|e| worded(e, sql))
    }

    /// What comes of an answer, unless it takes too long.
    async fn patient<T>(&self, answer: impl Future<Output = T>) -> Result<T> {
        if self.given_up.get() {
            return Err(silent("the connection was given up: the server did not answer in time"));
        }
        match tokio::time::timeout(self.answer.get(), answer).await {
            Ok(done) => Ok(done),
            Err(_) => {
                self.given_up.set(true);
                self.carrier.abort();
                Err(silent(&format!("the server did not answer within {} s", self.answer.get().as_secs())))
            }
        }
    }

    fn new(client: Client, carrier: AbortHandle) -> Self {
        Self { client, seen: RefCell::default(), answer: Cell::new(ANSWER), given_up: Cell::new(false), carrier }
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
        self.wait(sql, self.client.batch_execute(sql))
    }

    pub(super) fn execute(&self, sql: &str, values: &[Value]) -> Result<u64> {
        match self.statement(sql)? {
            Some(statement) => self.wait(sql, self.client.execute_raw(&statement, values)),
            None => {
                let typed: Vec<_> = values.iter().map(|v| (v as &(dyn ToSql + Sync), v.sent_as())).collect();
                let text = translate(sql);
                self.wait(sql, self.client.execute_typed(&text, &typed))
            }
        }
    }

    pub(super) fn each(&self, sql: &str, values: &[Value], each: &mut dyn FnMut(&Row<'_>) -> Result<()>) -> Result<()> {
        let statement = self.statement(sql)?;
        block_on(async {
            let rows = match &statement {
                Some(statement) => self.answered(sql, self.client.query_raw(statement, values)).await?,
                None => {
                    let typed = values.iter().map(|v| (v, v.sent_as()));
                    let text = translate(sql);
                    self.answered(sql, self.client.query_typed_raw(&text, typed)).await?
                }
            };
            let mut rows = std::pin::pin!(rows);
            while let Some(row) = self.answered(sql, rows.try_next()).await? {
                each(&Row::of(Engine::Postgres(&row)))?;
            }
            Ok(())
        })?
    }

    /// The prepared statement of a text that comes again; none for one that is new.
    fn statement(&self, sql: &str) -> Result<Option<Statement>> {
        let known = self.seen.borrow().get(sql).cloned();
        match known {
            Some(Some(prepared)) => return Ok(Some(prepared)),
            Some(None) => {}
            None => {
                self.seen.borrow_mut().insert(sql.to_owned(), None);
                return Ok(None);
            }
        }
        let translated = translate(sql);
        let statement = self.wait(sql, self.client.prepare(&translated))?;
        self.seen.borrow_mut().insert(sql.to_owned(), Some(statement.clone()));
        Ok(Some(statement))
    }
}

/// Limits the waits of the operating system on this side, where the URL does not say otherwise (its parameters are libpq's).
fn limit_waits(config: &mut tokio_postgres::Config) {
    config.application_name("kf");
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(Duration::from_secs(10));
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(UNACKNOWLEDGED);
    }
    if config.get_keepalives_idle() == tokio_postgres::Config::new().get_keepalives_idle() {
        config.keepalives_idle(IDLE);
    }
    if config.get_keepalives_interval().is_none() {
        config.keepalives_interval(PROBE);
    }
    if config.get_keepalives_retries().is_none() {
        config.keepalives_retries(PROBES);
    }
}

/// The same on the server's side, so that a session whose client vanished does not hold the writer's lock for hours.
/// `tcp_user_timeout` is there since PostgreSQL 12.
fn server_waits() -> String {
    format!(
        "SET tcp_keepalives_idle = {}; SET tcp_keepalives_interval = {}; SET tcp_keepalives_count = {PROBES}; \
         SELECT set_config(name, '{}', false) FROM pg_settings WHERE name = 'tcp_user_timeout'",
        IDLE.as_secs(),
        PROBE.as_secs(),
        UNACKNOWLEDGED.as_millis()
    )
}

/// The error for a server that does not answer.
fn silent(what: &str) -> Error {
    Error::new(what)
        .hint("look at the server (`kf doctor` tells whether it answers), then run the command again: a retry is harmless")
}

async fn connect(config: tokio_postgres::Config) -> Result<(Client, AbortHandle)> {
    let mut roots = rustls::RootCertStore::empty();
    // The certificates that this system trusts, so that a private CA installed there works here.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let tls = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let tls = tokio_postgres_rustls::MakeRustlsConnect::new(tls);
    // `connect_timeout` ends with the TCP connection; a server that dies during the handshake must not be waited for either.
    let patience = config.get_connect_timeout().map_or(HANDSHAKE, |t| HANDSHAKE.max(*t));
    let (client, connection) = tokio::time::timeout(patience, config.connect(tls))
        .await
        .context(|| "the server did not answer in time")?
        .context(|| "the server did not accept the connection")?;
    let carrier = runtime()?.spawn(async move {
        // The client reports what went wrong to whoever waits for an answer.
        let _ = connection.await;
    });
    Ok((client, carrier.abort_handle()))
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
        Some(c) if [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN, SqlState::CANNOT_CONNECT_NOW].contains(&c) => (
            "the server is going down or coming up".to_owned(),
            "run the command again when it is there: a retry is harmless",
            Kind::Failed,
        ),
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

impl Value {
    /// The type under which a value is sent when the server was not asked for the one it expects. Columns are 64-bit numbers,
    /// texts and bytes; what NULL stands for it finds out.
    fn sent_as(&self) -> Type {
        match self {
            Self::Null => Type::UNKNOWN,
            Self::Int(_) => Type::INT8,
            Self::Real(_) => Type::FLOAT8,
            Self::Text(_) => Type::TEXT,
            Self::Blob(_) => Type::BYTEA,
        }
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

    /// A server that lets everybody in and then says nothing (PostgreSQL, "Message Formats": AuthenticationOk, ReadyForQuery).
    fn mute() -> (u16, std::thread::JoinHandle<()>) {
        use std::io::{Read as _, Write as _};
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let served = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut buffer = [0; 1024];
            assert!(stream.read(&mut buffer).unwrap() > 0, "the client introduces itself");
            stream.write_all(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I").unwrap();
            while let Ok(1..) = stream.read(&mut buffer) {}
        });
        (port, served)
    }

    #[test]
    fn a_server_that_says_nothing_is_given_up_with_a_hint() {
        let (port, served) = mute();
        let config = format!("postgres://me@127.0.0.1:{port}/kf?sslmode=disable").parse().unwrap();
        let (client, carrier) = block_on(connect(config)).unwrap().unwrap();
        let db = Postgres::new(client, carrier);
        db.answer.set(Duration::from_millis(100));
        for e in [db.batch("COMMIT"), db.execute("SELECT 1", &[]).map(|_| ()), db.each("SELECT 1", &[], &mut |_| Ok(()))] {
            let e = e.unwrap_err();
            assert!(e.to_string().contains("did not answer"), "{e}");
            assert!(e.hints()[0].contains("`kf doctor`"), "{:?}", e.hints());
        }
        served.join().expect("the connection is closed");
    }

    #[test]
    fn waits_are_limited_unless_the_url_says_otherwise() {
        let limited = |url: &str| {
            let mut config: tokio_postgres::Config = url.parse().unwrap();
            limit_waits(&mut config);
            (config.get_tcp_user_timeout().copied(), config.get_keepalives_idle(), config.get_keepalives_interval())
        };
        assert_eq!(limited("postgres://db/kf"), (Some(UNACKNOWLEDGED), IDLE, Some(PROBE)));
        let own = "postgres://db/kf?tcp_user_timeout=7&keepalives_idle=8";
        assert_eq!(limited(own), (Some(Duration::from_secs(7)), Duration::from_secs(8), Some(PROBE)));
    }

    #[test]
    fn a_target_is_described_without_credentials() {
        let t = PostgresTarget { url: "postgres://me:secret@db:5433/kf".into(), password: None, schema: "kf".into() };
        assert_eq!(t.describe(), "PostgreSQL db:5433/kf schema kf");
    }
}
