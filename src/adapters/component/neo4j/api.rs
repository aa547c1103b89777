//! The Query API of Neo4j, version 2, in its form with types (Neo4j documentation, "Query API": "Typed JSON"), in which every value says
//! what it is: `{"$type": "Date", "_value": "2026-11-21"}`. What comes so can be sent back so, and is the same.

use super::rows::Rows;
use crate::adapters::http::{Http, Policy, Request};
use crate::base::error::{Context, Error, Result};
use crate::base::quantity::Bytes;
use crate::base::random::Random;
use crate::base::text::ellipsis;
use crate::config::secret::Secret;
use crate::store::runtime::block_on;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::time::Duration;
use url::Url;

/// The forms that we read, the one with most types first; servers before 2025 have only the second one.
const FORMS: &str = "application/vnd.neo4j.query.v1.1, application/vnd.neo4j.query;q=0.9";
/// Which member of a cluster has the transaction; sent back with every request of it.
const AFFINITY: &str = "neo4j-cluster-affinity";
/// How long a statement may take.
const TIMEOUT: Duration = Duration::from_secs(3600);

/// A database of a server.
pub(super) struct Api {
    http: Http,
    /// The address up to `/query/v2`.
    base: Url,
    authorization: Option<Secret>,
    /// The form in which the server answered, for what is sent.
    form: RefCell<String>,
}

/// A transaction under way, only for reading; it ends when this is dropped.
pub(super) struct Reading<'a> {
    api: &'a Api,
    id: String,
    affinity: Option<String>,
}

impl Api {
    pub(super) fn new(url: &str, database: &str, user: &str, password: Option<&Secret>) -> Result<Self> {
        let policy = Policy { attempts: 1, timeout: TIMEOUT, body_max: Bytes(64 << 20), ..Policy::default() };
        let mut base: Url = url.parse().context(|| format!("`{url}` is no address"))?;
        let trouble = || Error::usage(format!("`{url}` is no address of a server"));
        base.path_segments_mut().map_err(|()| trouble())?.pop_if_empty().extend(["db", database, "query", "v2"]);
        let basic =
            |password: &Secret| Secret::new(format!("Basic {}", STANDARD.encode(format!("{user}:{}", password.expose().trim()))));
        let form = RefCell::new("application/vnd.neo4j.query".to_owned());
        Ok(Self { http: Http::new(policy, Random::System)?, base, authorization: password.map(basic), form })
    }

    fn request(&self, method: Method, below: &[&str]) -> Result<Request> {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.extend(below);
        }
        let request = Request::new(method, url).header("accept", FORMS)?;
        match &self.authorization {
            Some(authorization) => request.secret_header("authorization", authorization),
            None => Ok(request),
        }
    }

    fn statement(&self, below: &[&str], body: &Value) -> Result<Request> {
        let form = self.form.borrow().clone();
        self.request(Method::POST, below)?.json(body).header("content-type", &form)
    }

    /// Sends a statement and gives out its rows; what is around them, and which member answered.
    fn rows(&self, request: &Request, each: &mut dyn FnMut(Vec<Value>) -> Result<()>) -> Result<(Value, Option<String>)> {
        let (mut rows, mut affinity) = (Rows::default(), None);
        let mut row = |bytes: &[u8]| each(serde_json::from_slice(bytes).context(|| "a row of Neo4j is no list")?);
        let head = &mut |headers: &reqwest::header::HeaderMap| {
            let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
            affinity = text(AFFINITY).map(str::to_owned);
            if let Some(form) = text("content-type").filter(|form| form.starts_with("application/vnd.neo4j.query")) {
                *self.form.borrow_mut() = form.split(';').next().unwrap_or(form).to_owned();
            }
        };
        block_on(self.http.download(request, head, &mut |piece| rows.take(piece, &mut row)))?.context(|| "cannot ask Neo4j")?;
        let around = rows.end()?;
        if let Some(error) = around["errors"].as_array().and_then(|errors| errors.first()) {
            let text = |key: &str| error[key].as_str().unwrap_or_default();
            let e = Error::new(format!("Neo4j refused: {}: {}", text("code"), ellipsis(text("message"), 300)));
            return Err(match text("code").contains(".Security.") {
                true => e.hint("check `user` and `password` of the component, and what this user may do"),
                false => e,
            });
        }
        Ok((around, affinity))
    }

    /// The rows that a statement gives, all at once; it is a transaction of its own.
    pub(super) fn ask(&self, statement: &str, parameters: &Value) -> Result<Vec<Vec<Value>>> {
        let mut all = Vec::new();
        let request = self.statement(&[], &json!({"statement": statement, "parameters": parameters}))?;
        self.rows(&request, &mut |row| {
            all.push(row);
            Ok(())
        })?;
        Ok(all)
    }

    /// The number that a statement gives.
    pub(super) fn number(&self, statement: &str) -> Result<u64> {
        self.ask(statement, &json!({}))?.first().and_then(|row| number(row.first()?)).ok_or_else(|| unexpected("no number"))
    }

    /// Begins a transaction that only reads.
    pub(super) fn reading(&self) -> Result<Reading<'_>> {
        // Not of the members that only read (`accessMode`): those may be behind.
        let request = self.statement(&["tx"], &json!({"statement": "RETURN 1"}))?;
        let (around, affinity) = self.rows(&request, &mut |_| Ok(()))?;
        let id = around["transaction"]["id"].as_str().ok_or_else(|| unexpected("no `transaction.id`"))?.to_owned();
        Ok(Reading { api: self, id, affinity })
    }
}

impl Reading<'_> {
    fn of_it(&self, request: Request) -> Result<Request> {
        match &self.affinity {
            Some(affinity) => request.header(AFFINITY, affinity),
            None => Ok(request),
        }
    }

    /// Gives out the rows of a statement as they come.
    pub(super) fn each(&self, statement: &str, each: &mut dyn FnMut(Vec<Value>) -> Result<()>) -> Result<()> {
        let request = self.api.statement(&["tx", &self.id], &json!({"statement": statement}))?;
        self.api.rows(&self.of_it(request)?, each).map(drop)
    }

    /// The number that a statement gives.
    pub(super) fn number(&self, statement: &str) -> Result<u64> {
        let mut found = None;
        self.each(statement, &mut |row| {
            found = row.first().and_then(number);
            Ok(())
        })?;
        found.ok_or_else(|| unexpected("no number"))
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        // When this does not arrive, the server ends it by itself after a while.
        if let Ok(request) = self.api.request(Method::DELETE, &["tx", &self.id]).and_then(|request| self.of_it(request)) {
            let _ = block_on(self.api.http.send(&request));
        }
    }
}

fn unexpected(what: &str) -> Error {
    Error::new(format!("what answers is no Query API of Neo4j: {what}"))
        .hint("it is on by default from Neo4j 5.25; `url` is the address up to the port, such as http://localhost:7474")
}

/// A typed number.
pub(super) fn number(value: &Value) -> Option<u64> {
    (value["$type"] == "Integer").then(|| value["_value"].as_str()?.parse().ok()).flatten()
}

/// A typed text.
pub(super) fn text(value: Option<&Value>) -> Result<String> {
    let text = value.filter(|v| v["$type"] == "String").and_then(|v| v["_value"].as_str());
    text.map(str::to_owned).ok_or_else(|| unexpected("a column is no text"))
}

/// The names in a typed list.
pub(super) fn texts(value: Option<&Value>) -> Result<Vec<String>> {
    let list = value.filter(|v| v["$type"] == "List").and_then(|v| v["_value"].as_array());
    list.ok_or_else(|| unexpected("a column is no list"))?.iter().map(|one| text(Some(one))).collect()
}

/// A text with its type.
pub(super) fn typed(text: &str) -> Value {
    json!({"$type": "String", "_value": text})
}

/// A map with its type.
pub(super) fn map(all: Value) -> Value {
    json!({"$type": "Map", "_value": all})
}

/// A list with its type.
pub(super) fn list(all: Vec<Value>) -> Value {
    json!({"$type": "List", "_value": all})
}
