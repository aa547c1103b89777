//! A Qdrant server over REST: collections of points, each a chunk's vector with its number, its document and its tenant.
//!
//! Invariants: a change counts as made only when the server says `completed` (`wait=true`); every request can be sent again;
//! what is sent and what is asked for at a time is bounded in bytes; every query names the tenant, though a collection holds
//! only one. Vectors are compared by their inner product, which leaves them as they are: the product of cosine would
//! normalise what is kept, and `kf index verify` compares it bit by bit.
//!
//! From Qdrant's OpenAPI document (1.11 or later, for `is_tenant`).

use crate::adapters::http::{Http, Policy, Refused, Request};
use crate::base::error::{Context, Error, Result};
use crate::base::quantity::Bytes;
use crate::base::random::Random;
use crate::config::Qdrant as Settings;
use crate::config::secret::Secret;
use crate::domain::ingest::table::Kept;
use crate::store::runtime::block_on;
use crate::store::vectors::literal;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::OnceLock;
use std::time::Duration;
use url::Url;

/// Bytes of a request or an answer with vectors, about; a server takes 32 MiB unless it is configured otherwise.
const BODY: usize = 4 << 20;
/// What a number of a vector and the rest of a point take in JSON, at most.
const NUMBER_BYTES: usize = 24;
const POINT_BYTES: usize = 256;
/// The largest answer.
const ANSWER_MAX: Bytes = Bytes(64 << 20);
/// The most dimensions that a collection takes (`VectorParams.size`).
const DIMENSIONS_MAX: usize = 65_536;

/// A server.
#[derive(Debug)]
pub struct Qdrant {
    http: Http,
    base: Url,
    key: Option<Secret>,
    timeout: Duration,
    given_up: OnceLock<String>,
}

/// A collection of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its name.
    pub name: String,
    /// What the tenant is called there.
    pub tenant: String,
    /// Numbers in a vector.
    pub dimensions: usize,
}

/// A point as the server holds it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Point {
    /// Its name; a number where somebody else put it there.
    pub id: Value,
    /// Its vector.
    #[serde(default)]
    pub vector: Option<Vec<f32>>,
    /// What is kept beside it.
    #[serde(default)]
    pub payload: Option<Payload>,
}

/// What is kept beside a vector.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Payload {
    /// The number of the chunk.
    #[serde(default)]
    pub number: Option<i64>,
    /// The public id of the document.
    #[serde(default)]
    pub document: Option<String>,
    /// What the tenant is called.
    #[serde(default)]
    pub tenant: Option<String>,
}

#[derive(Deserialize)]
struct Answer<T> {
    result: T,
}

#[derive(Deserialize)]
struct Page {
    points: Vec<Point>,
    #[serde(default)]
    next_page_offset: Value,
}

#[derive(Deserialize)]
struct Counted {
    count: u64,
}

#[derive(Deserialize)]
struct Updated {
    status: String,
}

impl Qdrant {
    /// The server that `mlops.toml` names; it is not asked yet.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(settings: &Settings, key: Option<Secret>, random: Random) -> Result<Self> {
        let policy = Policy {
            attempts: 4,
            first_wait: Duration::from_millis(250),
            longest_wait: Duration::from_secs(10),
            timeout: settings.timeout,
            body_max: ANSWER_MAX,
            body_wait: None,
        };
        Self::with(Http::new(policy, random)?, settings, key)
    }

    fn with(http: Http, settings: &Settings, key: Option<Secret>) -> Result<Self> {
        let base = format!("{}/", settings.url.trim_end_matches('/'));
        let base = base.parse().context(|| "`vectors.url` is no address")?;
        Ok(Self { http, base, key, timeout: settings.timeout, given_up: OnceLock::new() })
    }

    /// The server for people.
    pub fn describe(&self) -> String {
        let port = self.base.port().map(|p| format!(":{p}")).unwrap_or_default();
        format!("Qdrant at {}://{}{port}", self.base.scheme(), self.base.host_str().unwrap_or_default())
    }

    /// Why this process no longer asks it: whoever waited for it once in vain need not wait again for each question.
    pub fn given_up(&self) -> Option<&str> {
        self.given_up.get().map(String::as_str)
    }

    /// Asks it no more.
    pub fn give_up(&self, why: &str) {
        self.given_up.get_or_init(|| why.to_owned());
    }

    fn request(&self, method: Method, path: &str) -> Result<Request> {
        let url = self.base.join(path).context(|| format!("`{path}` is no path"))?;
        let request = Request::new(method, url).timeout(self.timeout);
        match &self.key {
            Some(key) => request.secret_header("api-key", key),
            None => Ok(request),
        }
    }

    fn send<T: for<'de> Deserialize<'de>>(&self, request: &Request) -> Result<T> {
        let response = block_on(self.http.send(request))??;
        let answer: Answer<T> =
            serde_json::from_slice(&response.body).context(|| format!("{request:?}: the answer is not Qdrant's"))?;
        Ok(answer.result)
    }

    fn post<T: for<'de> Deserialize<'de>>(&self, place: &Place, what: &str, body: &Value) -> Result<T> {
        self.send(&self.request(Method::POST, &format!("collections/{}/points/{what}", place.name))?.json(body))
    }

    /// Sends a change and believes it only when it is made.
    fn change(&self, request: &Request) -> Result<()> {
        let updated: Updated = self.send(request)?;
        if updated.status == "completed" {
            return Ok(());
        }
        Err(Error::new(format!("{request:?}: the server has not carried it out yet, it says `{}`", updated.status)))
    }

    /// Which version of Qdrant answers, asked in a way that needs the key.
    ///
    /// # Errors
    /// When the server is not reached or refuses the key.
    pub fn version(&self) -> Result<String> {
        #[derive(Deserialize)]
        struct About {
            version: String,
        }
        let request = self.request(Method::GET, "")?;
        let about: About = serde_json::from_slice(&block_on(self.http.send(&request))??.body)
            .context(|| format!("{request:?}: this is not a Qdrant server"))?;
        self.send::<Value>(&self.request(Method::GET, "collections")?)?;
        Ok(about.version)
    }

    /// Makes a collection, with indexes of what is filtered by; one that is there stays as it is.
    ///
    /// # Errors
    /// When the vectors are too long, or the server refuses.
    pub fn make(&self, place: &Place) -> Result<()> {
        if !(1..=DIMENSIONS_MAX).contains(&place.dimensions) {
            let said = format!("the vectors have {} dimensions, and Qdrant takes 1 to {DIMENSIONS_MAX}", place.dimensions);
            return Err(Error::new(said).hint("`kf index move --to embedded` takes any"));
        }
        let path = format!("collections/{}", place.name);
        let body = json!({"vectors": {"size": place.dimensions, "distance": "Dot"}});
        match self.send::<Value>(&self.request(Method::PUT, &path)?.json(&body)) {
            Err(e) if status(&e) != Some(409) => return Err(e),
            _ => {}
        }
        for (field, tenant) in [("tenant", true), ("document", false)] {
            let body = json!({"field_name": field, "field_schema": {"type": "keyword", "is_tenant": tenant}});
            self.change(&self.request(Method::PUT, &format!("{path}/index?wait=true"))?.json(&body))?;
        }
        Ok(())
    }

    /// Takes a collection away, if it is there.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn drop(&self, name: &str) -> Result<()> {
        match self.send::<Value>(&self.request(Method::DELETE, &format!("collections/{name}"))?) {
            Err(e) if status(&e) != Some(404) => Err(e),
            _ => Ok(()),
        }
    }

    /// How many vectors of so many dimensions go into one request.
    pub fn batch(dimensions: usize) -> usize {
        (BODY / (dimensions * NUMBER_BYTES + POINT_BYTES)).clamp(1, 1_000)
    }

    /// Puts points, in requests of [`batch`](Self::batch); a vector that holds something other than numbers is near nothing,
    /// and left out.
    ///
    /// # Errors
    /// When the collection is not there, or the server refuses.
    pub fn put(&self, place: &Place, points: &[Kept]) -> Result<()> {
        let sound: Vec<&Kept> = points.iter().filter(|p| p.vector.iter().all(|x| x.is_finite())).collect();
        for some in sound.chunks(Self::batch(place.dimensions)) {
            let points: Vec<String> = some.iter().map(|point| point_json(place, point)).collect();
            let body = format!("{{\"points\":[{}]}}", points.join(",")).into_bytes();
            let path = format!("collections/{}/points?wait=true", place.name);
            let request = self.request(Method::PUT, &path)?.header("content-type", "application/json")?;
            self.change(&request.body(body))?;
        }
        Ok(())
    }

    /// Takes all points of some documents out; a collection that is not there has none.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn take(&self, place: &Place, documents: &[&str]) -> Result<()> {
        let mut filter = of_tenant(place);
        if let Some(must) = filter["must"].as_array_mut() {
            must.push(json!({"key": "document", "match": {"any": documents}}));
        }
        let path = format!("collections/{}/points/delete?wait=true", place.name);
        match self.change(&self.request(Method::POST, &path)?.json(&json!({"filter": filter}))) {
            Err(e) if status(&e) == Some(404) => Ok(()),
            done => done,
        }
    }

    /// How many points of the tenant a collection holds; `None` when it is not there.
    ///
    /// # Errors
    /// When the server is not reached or refuses.
    pub fn count(&self, place: &Place) -> Result<Option<u64>> {
        match self.post::<Counted>(place, "count", &json!({"filter": of_tenant(place), "exact": true})) {
            Ok(counted) => Ok(Some(counted.count)),
            Err(e) if status(&e) == Some(404) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// The numbers of the `wanted` points that are nearest to a vector; by a full scan when `exact`, by the graph otherwise.
    ///
    /// # Errors
    /// When the server is not reached or refuses.
    pub fn best(&self, place: &Place, vector: &[f32], wanted: usize, exact: bool) -> Result<Vec<i64>> {
        let params = if exact { json!({"exact": true}) } else { json!({"hnsw_ef": wanted.max(256)}) };
        let body = json!({
            "query": vector, "filter": of_tenant(place), "limit": wanted, "params": params,
            "with_payload": ["number"], "with_vector": false,
        });
        let page: Page = self.post(place, "query", &body)?;
        Ok(page.points.into_iter().filter_map(|p| p.payload?.number).collect())
    }

    /// Calls `each` with all points of a collection, whoever's they are; false when it is not there.
    ///
    /// # Errors
    /// Those of `each`, and when the server is not reached or refuses.
    pub fn each(&self, place: &Place, each: &mut dyn FnMut(Vec<Point>) -> Result<()>) -> Result<bool> {
        let mut body = json!({"limit": Self::batch(place.dimensions), "with_payload": true, "with_vector": true});
        loop {
            let page: Page = match self.post(place, "scroll", &body) {
                Err(e) if status(&e) == Some(404) => return Ok(false),
                page => page?,
            };
            each(page.points)?;
            if page.next_page_offset.is_null() {
                return Ok(true);
            }
            body["offset"] = page.next_page_offset;
        }
    }
}

fn status(e: &Error) -> Option<u16> {
    e.cause::<Refused>().map(|refused| refused.status)
}

/// True when the server has no such collection.
pub fn is_missing(e: &Error) -> bool {
    status(e) == Some(404)
}

fn of_tenant(place: &Place) -> Value {
    json!({"must": [{"key": "tenant", "match": {"value": place.tenant}}]})
}

fn point_json(place: &Place, point: &Kept) -> String {
    let payload = json!({"number": point.number, "document": point.document, "tenant": place.tenant});
    format!("{{\"id\":\"{}\",\"vector\":{},\"payload\":{payload}}}", point.point, literal(&point.vector))
}
