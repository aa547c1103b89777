//! Neo4j over HTTP: the Query API, version 2 (Neo4j documentation, "Query API": "Query the database", "Run transactions",
//! "Authorize requests").
//!
//! The server answers 202 whether a statement succeeded or not; only `errors` in the body tells. Reading is repeated when the
//! server is away. Writing is not: a transaction whose answer is lost would hold its locks until it expires, and what was not
//! confirmed is told again by whoever writes next.

mod projection;
mod read;

use crate::adapters::http::{Http, Policy, Request, Response};
use crate::base::digest::Digest;
use crate::base::error::{Context, Error, Result};
use crate::base::random::Random;
use crate::base::text::ellipsis;
use crate::config::Neo4jSettings;
use crate::config::secret::Secret;
use crate::store::runtime::block_on;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};
use url::Url;

/// How often a question is asked at most.
const ATTEMPTS: u32 = 3;
/// Which member of a cluster has the transaction; sent back with every request of it.
const AFFINITY: &str = "neo4j-cluster-affinity";

/// A database of a Neo4j server.
#[derive(Debug)]
pub struct Neo4j {
    reads: Http,
    writes: Http,
    /// The address up to `/query/v2`.
    base: Url,
    authorization: Option<Secret>,
}

/// The rows of an answer.
type Rows = Vec<Vec<Value>>;

impl Neo4j {
    /// The database that `mlops.toml` names; it is not asked yet.
    ///
    /// # Errors
    /// When TLS cannot be set up or the address is none.
    pub fn new(settings: &Neo4jSettings, password: Option<&Secret>) -> Result<Self> {
        let client = |attempts| Http::new(Policy { attempts, timeout: settings.timeout, ..Policy::default() }, Random::System);
        let mut base: Url = settings.url.parse().context(|| "`graph.url` is no address")?;
        let trouble = || Error::usage("`graph.url` cannot have a path below it");
        base.path_segments_mut().map_err(|()| trouble())?.pop_if_empty().extend(["db", &settings.database, "query", "v2"]);
        let basic = |password: &Secret| {
            let pair = format!("{}:{}", settings.user, password.expose().trim());
            Secret::new(format!("Basic {}", STANDARD.encode(pair)))
        };
        Ok(Self { reads: client(ATTEMPTS)?, writes: client(1)?, base, authorization: password.map(basic) })
    }

    /// The graph of one collection.
    pub fn at<'n>(&'n self, tenant: &str, place: &str) -> Spot<'n> {
        Spot { neo4j: self, tenant: tenant.to_owned(), place: place.to_owned() }
    }

    /// The address of its database, for people.
    pub fn describe(&self) -> String {
        self.base.as_str().trim_end_matches("/query/v2").to_owned()
    }

    /// Whether it answers, and this user may ask.
    ///
    /// # Errors
    /// When it cannot be reached or refuses.
    pub fn ping(&self) -> Result<()> {
        self.ask("RETURN 1", &json!({})).map(drop)
    }

    fn request(&self, method: Method, below: &[&str]) -> Result<Request> {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.extend(below);
        }
        let request = Request::new(method, url).header("accept", "application/json")?;
        match &self.authorization {
            Some(authorization) => request.secret_header("authorization", authorization),
            None => Ok(request),
        }
    }

    /// The rows that a statement gives, which changes nothing.
    fn ask(&self, statement: &str, parameters: &Value) -> Result<Rows> {
        let request = self.request(Method::POST, &[])?.json(&json!({"statement": statement, "parameters": parameters}));
        rows(&answer(&self.reads, &request)?.json()?)
    }

    /// Does a statement in a transaction of its own.
    fn tell(&self, statement: &str, parameters: &Value) -> Result<Rows> {
        let request = self.request(Method::POST, &[])?.json(&json!({"statement": statement, "parameters": parameters}));
        rows(&answer(&self.writes, &request)?.json()?)
    }

    /// Begins a transaction with a statement.
    fn begin(&self, statement: &str, parameters: &Value) -> Result<(Transaction<'_>, Rows)> {
        let body = json!({"statement": statement, "parameters": parameters});
        let response = answer(&self.writes, &self.request(Method::POST, &["tx"])?.json(&body))?;
        let said = response.json()?;
        let rows = rows(&said)?;
        let id = said["transaction"]["id"].as_str().ok_or_else(|| unexpected("no `transaction.id`"))?.to_owned();
        let affinity = response.headers.get(AFFINITY).and_then(|v| v.to_str().ok()).map(str::to_owned);
        Ok((Transaction { neo4j: self, id, affinity, open: true }, rows))
    }
}

/// A transaction under way; rolled back when it is dropped before it is committed.
struct Transaction<'n> {
    neo4j: &'n Neo4j,
    id: String,
    affinity: Option<String>,
    open: bool,
}

impl Transaction<'_> {
    fn request(&self, method: Method, below: &[&str]) -> Result<Request> {
        let path: Vec<&str> = ["tx", &self.id].into_iter().chain(below.iter().copied()).collect();
        let request = self.neo4j.request(method, &path)?;
        match &self.affinity {
            Some(affinity) => request.header(AFFINITY, affinity),
            None => Ok(request),
        }
    }

    fn run(&mut self, statement: &str, parameters: &Value) -> Result<Rows> {
        let request = self.request(Method::POST, &[])?.json(&json!({"statement": statement, "parameters": parameters}));
        rows(&answer(&self.neo4j.writes, &request)?.json()?)
    }

    fn commit(mut self) -> Result<()> {
        let request = self.request(Method::POST, &["commit"])?;
        let response = answer(&self.neo4j.writes, &request)?;
        self.open = false;
        // The documentation shows an answer without a body.
        if response.body.is_empty() { Ok(()) } else { rows(&response.json()?).map(drop) }
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.open
            && let Ok(request) = self.request(Method::DELETE, &[])
        {
            // If even this does not arrive, the server rolls back by itself when the transaction expires.
            let _ = answer(&self.neo4j.writes, &request);
        }
    }
}

fn answer(http: &Http, request: &Request) -> Result<Response> {
    block_on(http.send(request))?.context(|| "cannot ask Neo4j")
}

fn unexpected(what: &str) -> Error {
    Error::new(format!("what answers at `graph.url` is no Query API of Neo4j: {what}"))
        .hint("it is on by default from Neo4j 5.25; `graph.url` is the address up to the port, such as http://localhost:7474")
}

/// The rows of an answer, or what the server says against the statement.
fn rows(said: &Value) -> Result<Rows> {
    if let Some(error) = said["errors"].as_array().and_then(|errors| errors.first()) {
        let text = |key: &str| error[key].as_str().unwrap_or_default();
        let error = Error::new(format!("Neo4j refused: {}: {}", text("code"), ellipsis(text("message"), 300)));
        return Err(match text("code") {
            code if code.contains("DatabaseNotFound") => error.hint("check `graph.database`"),
            code if code.contains(".Security.") => error.hint("check `graph.user`, `graph.password` and what this user may do"),
            _ => error,
        });
    }
    match &said["data"]["values"] {
        Value::Array(rows) => {
            rows.iter().map(|row| row.as_array().cloned().ok_or_else(|| unexpected("a row is no list"))).collect()
        }
        Value::Null if said.is_object() => Ok(Vec::new()),
        _ => Err(unexpected("`data.values` is no list")),
    }
}

/// The graph of one collection of one tenant in Neo4j. The tenant is in the key of every node, on every relationship and in
/// every question; the place is never given to another collection.
#[derive(Debug)]
pub struct Spot<'n> {
    neo4j: &'n Neo4j,
    tenant: String,
    place: String,
}

impl Spot<'_> {
    /// The key of a thing's node: tenant, place, and what makes it the same thing.
    fn node(&self, kind: &str, key: &str) -> String {
        format!("{}/{}/{}", self.tenant, self.place, Digest::of(format!("{kind}\0{key}").as_bytes()).hex())
    }

    /// The parameters of a statement, tenant and place with them.
    fn with(&self, mut parameters: Value) -> Value {
        parameters["tenant"] = self.tenant.as_str().into();
        parameters["place"] = self.place.as_str().into();
        parameters
    }

    fn ask(&self, statement: &str, parameters: Value) -> Result<Rows> {
        self.neo4j.ask(statement, &self.with(parameters))
    }
}

/// A column of a row as text.
fn text(row: &[Value], i: usize) -> Result<String> {
    row.get(i).and_then(Value::as_str).map(str::to_owned).ok_or_else(|| unexpected("a column is no text"))
}

/// A column of a row as a number.
fn number(row: &[Value], i: usize) -> Result<i64> {
    row.get(i).and_then(Value::as_i64).ok_or_else(|| unexpected("a column is no number"))
}

/// The first number of the only row.
fn count(rows: &[Vec<Value>]) -> Result<i64> {
    rows.first().map_or(Ok(0), |row| number(row, 0))
}
