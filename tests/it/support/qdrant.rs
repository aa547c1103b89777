//! A Qdrant server: the engine itself (the wheel `qdrant-edge-py`) behind the front of HTTP in `tests/tools`, or the server that
//! `KF_TEST_QDRANT` names (`HOST:PORT` of this machine; its key, if any, in `KF_TEST_QDRANT_KEY`).

use super::daemon::Daemon;
use super::sandbox::Sandbox;
use super::{free_port, http, packages_with, project, variable, wait_until};
use serde_json::{Value, json};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};

/// The key that the started servers ask for.
const KEY: &str = "hunter22-qdrant";

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    port: u16,
    key: String,
    daemon: Option<Daemon>,
}

/// The server that the tests of this process share.
pub(crate) fn shared() -> Result<&'static Server, &'static str> {
    static SERVER: OnceLock<Result<Server, String>> = OnceLock::new();
    SERVER.get_or_init(Server::live_or_started).as_ref().map_err(String::as_str)
}

impl Server {
    fn live_or_started() -> Result<Self, String> {
        let Some(live) = variable("KF_TEST_QDRANT") else { return Self::start(free_port()) };
        let port = live.rsplit(':').next().and_then(|port| port.trim_end_matches('/').parse().ok());
        let port = port.ok_or("KF_TEST_QDRANT is not HOST:PORT")?;
        Ok(Self { port, key: variable("KF_TEST_QDRANT_KEY").unwrap_or_default(), daemon: None })
    }

    /// Starts a server of its own on a port.
    pub(crate) fn start(port: u16) -> Result<Self, String> {
        let lacking = "the engine of Qdrant is not installed (`pip install qdrant-edge-py`; KF_TEST_QDRANT may name a server)";
        let packages = packages_with("qdrant_edge/__init__.py").ok_or(lacking)?;
        let environment = packages.ancestors().nth(3).ok_or(lacking)?;
        let dir = tempfile::Builder::new().prefix("kf-qdrant-").tempdir().map_err(|e| format!("no directory: {e}"))?.keep();
        let front = project().join("tests/tools/qdrant_front.py");
        let command = [
            environment.join("bin/python").display().to_string(),
            front.display().to_string(),
            port.to_string(),
            dir.join("shards").display().to_string(),
            KEY.to_owned(),
        ];
        let server = Self { port, key: KEY.into(), daemon: Some(Daemon::start(&dir, &dir.join("log"), &command)?) };
        match server.is_up() {
            true => Ok(server),
            false => Err(format!("Qdrant does not start: {}", std::fs::read_to_string(dir.join("log")).unwrap_or_default())),
        }
    }

    fn is_up(&self) -> bool {
        wait_until(60, || http(self.port, ("GET", "/"), "", "").is_ok_and(|(status, _)| status == 200))
    }

    /// Kills the server; what it holds stays.
    pub(crate) fn kill(&mut self) {
        self.daemon.as_mut().expect("a server that this test started").kill().expect("killed");
    }

    /// Starts the killed server again.
    pub(crate) fn start_again(&mut self) {
        self.daemon.as_mut().expect("a server that this test started").start_again().expect("started");
        assert!(self.is_up(), "it answers again");
    }

    /// The port on this machine.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// What `mlops.toml` says of the server when it is reached through a port, its own or a proxy's; the key is in
    /// the variable that [`join`](Self::join) sets.
    pub(crate) fn config(&self, port: u16) -> String {
        let key = if self.key.is_empty() { "" } else { "api-key = \"env:QDRANT_KEY\"\n" };
        format!("[vectors]\nengine = \"qdrant\"\nurl = \"http://127.0.0.1:{port}\"\n{key}")
    }

    /// Gives a sandbox the key, and ids that no other has: states of other tests are on the same server.
    pub(crate) fn join(&self, sandbox: &mut Sandbox) {
        static JOINED: AtomicI64 = AtomicI64::new(1);
        sandbox.set("QDRANT_KEY", &self.key);
        sandbox.skip_runs(1_000 * JOINED.fetch_add(1, Ordering::Relaxed));
    }

    /// Asks the server, past kf.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let header = format!("api-key: {}\r\nContent-Type: application/json\r\n", self.key);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, answer) = http(self.port, (method, path), &header, &body).expect("an answer");
        assert_eq!(status, 200, "{method} {path}: {answer}");
        serde_json::from_str::<Value>(&answer).expect("JSON")["result"].take()
    }

    /// The collections that begin so, by name.
    pub(crate) fn collections(&self, begin: &str) -> Vec<String> {
        let found = self.ask("GET", "/collections", &Value::Null);
        let names = found["collections"].as_array().expect("collections").iter();
        names.filter_map(|c| c["name"].as_str()).filter(|name| name.starts_with(begin)).map(str::to_owned).collect()
    }

    /// All points of a collection.
    pub(crate) fn points(&self, collection: &str) -> Vec<Value> {
        let body = json!({"limit": 10_000, "with_payload": true, "with_vector": true});
        let page = self.ask("POST", &format!("/collections/{collection}/points/scroll"), &body);
        page["points"].as_array().expect("points").clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::skip;

    #[test]
    fn the_front_keeps_points_and_refuses_what_the_api_does_not_have() {
        let server = match shared() {
            Ok(server) => server,
            Err(why) => return skip(why),
        };
        let put = |points: Value| server.ask("PUT", "/collections/self-test/points?wait=true", &json!({"points": points}));
        server.ask("DELETE", "/collections/self-test", &Value::Null);
        server.ask("PUT", "/collections/self-test", &json!({"vectors": {"size": 2, "distance": "Dot"}}));
        assert_eq!(put(json!([{"id": 7, "vector": [0.25, 0.5], "payload": {"number": 1}}]))["status"], "completed");
        let points = server.points("self-test");
        assert_eq!((points.len(), &points[0]["vector"]), (1, &json!([0.25, 0.5])));
        let header = format!("api-key: {}\r\nContent-Type: application/json\r\n", server.key);
        let status = |path: &str, header: &str, body: Value| {
            let path = format!("/collections/self-test/points{path}");
            http(server.port(), ("POST", &path), header, &body.to_string()).expect("an answer").0
        };
        assert_eq!(status("/query", &header, json!({"query": [1.0], "limit": 1})), 400, "another length");
        assert_eq!(status("/query", &header, json!({"query": [1.0, 0.0], "limit": "1"})), 400, "another type");
        if server.daemon.is_some() {
            assert_eq!(status("/query", &header, json!({"query": [1.0, 0.0], "lim": 1})), 400, "no such field");
            assert_eq!(status("/query", "", json!({"query": [1.0, 0.0], "limit": 1})), 401, "no key");
        }
        server.ask("DELETE", "/collections/self-test", &Value::Null);
    }
}
