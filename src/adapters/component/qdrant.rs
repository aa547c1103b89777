//! A Qdrant server or cluster: a snapshot of every collection from every node (Qdrant's OpenAPI document: `create_snapshot`,
//! `get_snapshot`, `delete_snapshot`, `recover_from_uploaded_snapshot`), and the aliases.
//!
//! A snapshot of a node has the shards of that node, so it is loaded into as many nodes as it came from. What was downloaded is held
//! against the SHA-256 that the server tells of it, and the server's own copy is deleted again, also when something fails.

use crate::adapters::http::{Http, Policy, Refused, Request};
use crate::base::digest::{Digest, Hasher};
use crate::base::error::{Context, Error, Result};
use crate::base::quantity::Bytes;
use crate::base::random::Random;
use crate::config::secret::Secret;
use crate::seams::backup::{Component, Counted, Counts, Dumped, Kind};
use crate::store::runtime::block_on;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufWriter, Read as _, Write as _};
use std::path::Path;
use std::time::Duration;
use url::Url;

/// The file that tells what each snapshot is.
const LIST: &str = "collections.json";
/// The form of it.
const SCHEMA: &str = "kf.qdrant-dump/1";
/// How often a collection is taken again that changes meanwhile.
const TRIES: u32 = 3;
/// How long a server may take to make or take in a snapshot, or to answer.
const TIMEOUT: Duration = Duration::from_secs(3600);

/// The nodes of a Qdrant server or cluster.
pub struct Qdrant {
    named: String,
    nodes: Vec<Url>,
    key: Option<Secret>,
    http: Http,
    /// For what would be done twice.
    once: Http,
}

/// What a dump holds.
#[derive(Serialize, Deserialize)]
struct List {
    schema: String,
    version: String,
    nodes: usize,
    collections: Vec<Collection>,
    aliases: Vec<Alias>,
}

#[derive(Serialize, Deserialize)]
struct Collection {
    name: String,
    /// `None` when it changed each time that it was taken.
    points: Option<u64>,
    /// What the server tells of it: vectors, indexes, optimizers; for people, since a snapshot has all of it.
    info: Value,
    snapshots: Vec<Snapshot>,
}

#[derive(Serialize, Deserialize)]
struct Snapshot {
    node: usize,
    file: String,
    size: u64,
    sha256: Digest,
}

#[derive(Serialize, Deserialize)]
struct Alias {
    alias_name: String,
    collection_name: String,
}

/// What a server tells of a snapshot that it made.
#[derive(Deserialize)]
struct Made {
    name: String,
    #[serde(default)]
    checksum: Option<String>,
}

impl Qdrant {
    /// The server at a URL, and all nodes of it, which are that one where none are named.
    ///
    /// # Errors
    /// When an address is none, or TLS cannot be set up.
    pub fn new(url: &str, nodes: &[String], key: Option<Secret>) -> Result<Self> {
        let policy = Policy {
            attempts: 3,
            first_wait: Duration::from_millis(250),
            longest_wait: Duration::from_secs(10),
            timeout: TIMEOUT,
            body_max: Bytes(64 << 20),
            body_wait: None,
        };
        let base = |url: &String| -> Result<Url> {
            format!("{}/", url.trim_end_matches('/')).parse().context(|| format!("`{url}` is no address"))
        };
        let own = [url.to_owned()];
        let nodes = if nodes.is_empty() { &own[..] } else { nodes };
        let nodes = nodes.iter().map(base).collect::<Result<Vec<Url>>>()?;
        let once = Http::new(Policy { attempts: 1, ..policy }, Random::System)?;
        Ok(Self { named: url.to_owned(), nodes, key, http: Http::new(policy, Random::System)?, once })
    }

    fn first(&self) -> Result<&Url> {
        self.nodes.first().ok_or_else(|| Error::usage("no node of the Qdrant server is named"))
    }

    fn request(&self, node: &Url, method: Method, path: &[&str]) -> Result<Request> {
        let mut url = node.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        let request = Request::new(method, url);
        match &self.key {
            Some(key) => request.secret_header("api-key", key),
            None => Ok(request),
        }
    }

    fn send<T: for<'de> Deserialize<'de>>(&self, request: &Request) -> Result<T> {
        let response = block_on(self.http.send(request))??;
        self.result(request, &response.json().context(|| format!("{request:?}: the answer is not Qdrant's"))?)
    }

    fn result<T: for<'de> Deserialize<'de>>(&self, request: &Request, said: &Value) -> Result<T> {
        T::deserialize(&said["result"]).context(|| format!("{request:?}: the answer is not Qdrant's"))
    }

    fn get<T: for<'de> Deserialize<'de>>(&self, path: &[&str]) -> Result<T> {
        self.send(&self.request(self.first()?, Method::GET, path)?)
    }

    fn version(&self) -> Result<String> {
        let request = self.request(self.first()?, Method::GET, &[])?;
        let about =
            block_on(self.http.send(&request))??.json().context(|| format!("{request:?}: this is not a Qdrant server"))?;
        Ok(about["version"].as_str().unwrap_or("of an unknown version").to_owned())
    }

    fn collections(&self) -> Result<Vec<String>> {
        let found: Value = self.get(&["collections"])?;
        let names = found["collections"].as_array().into_iter().flatten().filter_map(|c| c["name"].as_str());
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.sort();
        Ok(names)
    }

    fn points(&self, collection: &str) -> Result<u64> {
        let path = ["collections", collection, "points", "count"];
        let request = self.request(self.first()?, Method::POST, &path)?.json(&json!({"exact": true}));
        let found: Value = self.send(&request)?;
        found["count"].as_u64().ok_or_else(|| Error::new(format!("{request:?}: the answer has no number")))
    }

    fn take(&self, collection: &str, at: usize, scratch: &Path) -> Result<Collection> {
        let info: Value = self.get(&["collections", collection])?;
        for round in 1.. {
            let before = self.points(collection)?;
            let mut snapshots = Vec::new();
            for (node, base) in self.nodes.iter().enumerate() {
                let dir = scratch.join(format!("node{node}"));
                std::fs::create_dir_all(&dir).context(|| format!("cannot make {}", dir.display()))?;
                let file = format!("node{node}/{at:05}.snapshot");
                let (size, sha256) = self.snapshot(base, collection, &scratch.join(&file))?;
                snapshots.push(Snapshot { node, file, size, sha256 });
            }
            let points = Some(before).filter(|n| self.points(collection).is_ok_and(|after| after == *n));
            if points.is_some() || round == TRIES {
                return Ok(Collection { name: collection.to_owned(), points, info, snapshots });
            }
        }
        Err(Error::new("a loop without end has ended"))
    }

    /// Makes a snapshot on a node, brings it, and deletes it there.
    fn snapshot(&self, node: &Url, collection: &str, file: &Path) -> Result<(u64, Digest)> {
        let all = ["collections", collection, "snapshots"];
        let create = self.request(node, Method::POST, &all)?;
        let made: Made = self.result(&create, &block_on(self.once.send(&create))??.json()?)?;
        let path = ["collections", collection, "snapshots", &made.name];
        let fetched = self.fetch(&self.request(node, Method::GET, &path)?, &made, file);
        let deleted = self.delete(node, &path);
        let fetched = fetched?;
        deleted.context(|| format!("the server keeps its own copy of the snapshot {}", made.name))?;
        Ok(fetched)
    }

    fn fetch(&self, request: &Request, made: &Made, file: &Path) -> Result<(u64, Digest)> {
        let failed = || format!("cannot write {}", file.display());
        let mut to = BufWriter::new(File::create(file).context(failed)?);
        let (mut hasher, mut size, mut announced) = (Hasher::new(), 0, None);
        let head = &mut |headers: &reqwest::header::HeaderMap| {
            announced = headers.get("content-length").and_then(|n| n.to_str().ok()?.parse::<u64>().ok());
        };
        block_on(self.http.download(request, head, &mut |piece| {
            hasher.update(piece);
            size += piece.len() as u64;
            to.write_all(piece).context(failed)
        }))??;
        to.flush().context(failed)?;
        let found = hasher.finish();
        let broken = announced.is_some_and(|n| n != size) || made.checksum.as_ref().is_some_and(|told| *told != found.hex());
        match broken {
            true => Err(Error::new(format!(
                "{request:?}: what came is not the snapshot that the server made: its SHA-256 is another"
            ))),
            false => Ok((size, found)),
        }
    }

    /// Loads a snapshot into a node; the collection is made by that.
    fn recover(&self, node: &Url, collection: &str, snapshot: &Snapshot, files: &Path) -> Result<()> {
        let mark = format!("kf-{}", snapshot.sha256.hex());
        let before = format!(
            "--{mark}\r\nContent-Disposition: form-data; name=\"snapshot\"; filename=\"kf.snapshot\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        let mut request = self.request(node, Method::POST, &["collections", collection, "snapshots", "upload"])?;
        request = request.header("content-type", &format!("multipart/form-data; boundary={mark}"))?;
        let request = request.query(&[("wait", "true"), ("priority", "snapshot"), ("checksum", &snapshot.sha256.hex())]);
        let path = files.join(&snapshot.file);
        let file = File::open(&path).context(|| format!("cannot read {}", path.display()))?;
        let response =
            block_on(self.http.upload(&request, before.into_bytes(), file, format!("\r\n--{mark}--\r\n").into_bytes()))??;
        match self.result::<bool>(&request, &response.json()?)? {
            true => Ok(()),
            false => Err(Error::new(format!("{request:?}: the server did not take it"))),
        }
    }

    fn remove(&self, collection: &str) -> Result<()> {
        self.delete(self.first()?, &["collections", collection])
    }

    /// Takes something away, if it is there.
    fn delete(&self, node: &Url, path: &[&str]) -> Result<()> {
        match self.send::<Value>(&self.request(node, Method::DELETE, path)?) {
            Err(e) if e.cause::<Refused>().map(|refused| refused.status) != Some(404) => Err(e),
            _ => Ok(()),
        }
    }

    fn fill(&self, list: &List, files: &Path) -> Result<()> {
        for collection in &list.collections {
            for snapshot in &collection.snapshots {
                let node =
                    self.nodes.get(snapshot.node).ok_or_else(|| Error::new("the dump has a snapshot of an unknown node"))?;
                self.recover(node, &collection.name, snapshot, files)
                    .context(|| format!("cannot load the collection {}", collection.name))?;
            }
        }
        let aliases: Vec<Value> = list.aliases.iter().map(|alias| json!({"create_alias": alias})).collect();
        if !aliases.is_empty() {
            let request = self.request(self.first()?, Method::POST, &["collections", "aliases"])?;
            self.send::<Value>(&request.json(&json!({"actions": aliases})))?;
        }
        Ok(())
    }
}

/// The list of a dump, after every snapshot was hashed again.
fn checked(files: &Path) -> Result<List> {
    let path = files.join(LIST);
    let read = || format!("cannot read {}", path.display());
    let list: List = serde_json::from_slice(&std::fs::read(&path).context(read)?).context(read)?;
    if list.schema != SCHEMA {
        return Err(Error::new(format!("the dump has the form `{}`, and this kf reads `{SCHEMA}`", list.schema)));
    }
    for snapshot in list.collections.iter().flat_map(|c| &c.snapshots) {
        let path = files.join(&snapshot.file);
        let failed = || format!("cannot read {}", path.display());
        let (mut from, mut hasher, mut piece) = (File::open(&path).context(failed)?, Hasher::new(), vec![0; 1 << 18]);
        loop {
            let n = from.read(&mut piece).context(failed)?;
            if n == 0 {
                break;
            }
            hasher.update(&piece[..n]);
        }
        if hasher.finish() != snapshot.sha256 {
            return Err(Error::new(format!("{} holds something else than the server gave", snapshot.file)));
        }
    }
    Ok(list)
}

/// What is counted of a dump; a collection that never stood still has no number.
fn counts(list: &List) -> Counts {
    let mut counts =
        Counts::from([("collections".into(), list.collections.len() as u64), ("aliases".into(), list.aliases.len() as u64)]);
    counts.extend(list.collections.iter().filter_map(|c| Some((format!("points of {}", c.name), c.points?))));
    counts
}

impl Component for Qdrant {
    fn kind(&self) -> Kind {
        Kind { kind: "qdrant".into(), place: self.named.clone() }
    }

    fn dump(&self, scratch: &Path) -> Result<Dumped> {
        let version = self.version()?;
        let mut collections = Vec::new();
        for (at, name) in self.collections()?.iter().enumerate() {
            collections.push(self.take(name, at, scratch).context(|| format!("cannot keep the collection {name}"))?);
        }
        let mut aliases: Value = self.get(&["aliases"])?;
        let aliases = Vec::<Alias>::deserialize(aliases["aliases"].take()).context(|| "the aliases are not Qdrant's")?;
        let list = List { schema: SCHEMA.into(), version, nodes: self.nodes.len(), collections, aliases };
        let text = serde_json::to_vec_pretty(&list).context(|| "a list has no JSON")?;
        std::fs::write(scratch.join(LIST), text).context(|| format!("cannot write {}", scratch.display()))?;
        Ok(Dumped { root: scratch.to_owned(), counts: counts(&list), tool: Some(format!("Qdrant {}", list.version)) })
    }

    fn count(&self, files: &Path, _: &Path) -> Result<Option<Counted>> {
        let list = checked(files)?;
        let by = "the snapshots hashed again: no Qdrant server has loaded them".into();
        Ok(Some(Counted { counts: counts(&list), by }))
    }

    fn occupied(&self) -> Result<Option<String>> {
        let all = self.collections()?;
        Ok((!all.is_empty()).then(|| format!("{} collections, {} among them", all.len(), all[0])))
    }

    fn load(&self, files: &Path, _: &Path, over: bool) -> Result<Counts> {
        let list = checked(files)?;
        if list.nodes != self.nodes.len() {
            let what = format!("the dump came from {} nodes, and {} are named to load it into", list.nodes, self.nodes.len());
            return Err(Error::usage(what).hint("a snapshot has the shards of its node: name as many, each by an `--into URL`"));
        }
        if over {
            self.collections()?.iter().try_for_each(|name| self.remove(name))?;
        }
        if let Err(e) = self.fill(&list, files) {
            let undone = list.collections.iter().all(|c| self.remove(&c.name).is_ok());
            let hint = if undone {
                "what had been loaded of it was taken out again"
            } else {
                "a part of it is there: `--force` loads it anew"
            };
            return Err(e.hint(hint));
        }
        let aliases: Value = self.get(&["aliases"])?;
        let found = self.collections()?;
        let mut counts = Counts::from([("collections".into(), found.len() as u64)]);
        counts.insert("aliases".into(), aliases["aliases"].as_array().map_or(0, Vec::len) as u64);
        for collection in list.collections.iter().filter(|c| c.points.is_some()) {
            counts.insert(format!("points of {}", collection.name), self.points(&collection.name)?);
        }
        Ok(counts)
    }
}
