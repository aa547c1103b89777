//! A repository with a bot whose versions are real programs, and a real gateway in front of them.

use super::sandbox::Sandbox;
use super::{free_port, http, program, project, wait_until};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// The ports of a gateway, and more of its `[target.local]`.
pub(crate) struct Place {
    /// Where users come in.
    pub(crate) users: u16,
    /// Where it is asked and told.
    pub(crate) admin: u16,
}

/// A running gateway; killed when dropped.
pub(crate) struct Gateway {
    /// Its process.
    pub(crate) child: Child,
    /// Everything that it told, one JSON object a line.
    told: Receiver<Value>,
    heard: Vec<Value>,
}

/// A repository whose bot has version 1.0.0 in production, with a gateway configured.
pub(crate) fn repository(s: &Sandbox) -> Place {
    let place = Place { users: free_port(), admin: free_port() };
    configure(s, &place, "");
    s.works(["init"]);
    register(s, &json!({}));
    s.works(["promote", "bot@1.0.0", "--to", "staging"]);
    s.works(["promote", "bot@1.0.0", "--to", "production"]);
    place
}

/// Writes `mlops.toml`; `more` belongs to `[target.local]`.
pub(crate) fn configure(s: &Sandbox, place: &Place, more: &str) {
    let python = program("python3", &[]).expect("python3 is on the PATH");
    let serve = project().join("tests/fixtures/gateway/serve.py");
    s.write(
        "mlops.toml",
        format!(
            "[project]\nname = \"shop\"\n[model.bot]\ntype = \"config\"\npath = \"bot\"\n[target.local]\ncommand = [{:?}, {:?}]\n\
             listen = \"127.0.0.1:{}\"\nadmin = \"127.0.0.1:{}\"\n{more}\n",
            python.display().to_string(),
            serve.display().to_string(),
            place.users,
            place.admin
        ),
    );
}

/// Registers the next version of the bot, which behaves so.
pub(crate) fn register(s: &Sandbox, behaviour: &Value) {
    s.write("bot/behaviour.json", behaviour.to_string());
    s.works(["register", "bot", "bot"]);
}

/// The digest of a version.
pub(crate) fn digest(s: &Sandbox, version: &str) -> String {
    let shown: Value =
        serde_json::from_str(&s.works(["show", &format!("bot@{version}"), "--format", "json"]).stdout).expect("JSON");
    shown["version"]["digest"].as_str().or(shown["digest"].as_str()).expect("a digest").to_owned()
}

impl Gateway {
    /// Starts the gateway of a repository.
    pub(crate) fn start(s: &Sandbox) -> Self {
        Self::run(s, &[])
    }

    /// Starts that of a target, and waits until it serves.
    pub(crate) fn at(s: &Sandbox, target: &str) -> Self {
        let mut gateway = Self::run(s, &["--target", target]);
        gateway.hears(|event| event["event"] == "ready");
        gateway
    }

    fn run(s: &Sandbox, more: &[&str]) -> Self {
        let mut command = s.command(env!("CARGO_BIN_EXE_kf"));
        command.args(["gateway", "run", "--format", "jsonl"]).args(more).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().expect("kf starts");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, told) = channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{line}: {e}"));
                if sender.send(value).is_err() {
                    return;
                }
            }
        });
        Self { child, told, heard: Vec::new() }
    }

    /// Starts it and waits until it serves.
    pub(crate) fn serving(s: &Sandbox) -> Self {
        let mut gateway = Self::start(s);
        gateway.hears(|event| event["event"] == "ready");
        gateway
    }

    /// Waits until it tells something; that.
    ///
    /// # Panics
    /// When it does not within a minute.
    pub(crate) fn hears(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            match self.told.recv_timeout(Duration::from_secs(60)) {
                Ok(event) if wanted(&event) => return event,
                Ok(event) => self.heard.push(event),
                Err(e) => panic!("the gateway does not tell it ({e}), but {:?}", self.heard),
            }
        }
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        let sent = std::process::Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Waits for its end; its exit code.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        self.child.wait().expect("waited for").code()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Place {
    /// What users get.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        http(self.users, ("GET", path), "", "").unwrap_or_else(|e| panic!("GET {path}: {e}"))
    }

    /// Asks the admin interface; `headers` are whole lines.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        let (status, text) = http(self.admin, (method, path), &format!("{kind}{headers}"), &body).expect("an answer");
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// Writes a table that follows the one there is.
    pub(crate) fn route(&self, wanted: &Value) -> (u16, Value) {
        let (_, now) = self.ask("GET", "/v1/table", "", &Value::Null);
        let seen = format!("If-Match: \"{}\"\r\n", now["table"]["generation"]);
        self.ask("PUT", "/v1/table", &seen, wanted)
    }

    /// Has a version answer, and waits until it does.
    pub(crate) fn start(&self, s: &Sandbox, version: &str) {
        let arm = json!({"version": version, "digest": digest(s, version)});
        assert_eq!(self.ask("POST", "/v1/versions", "", &arm).0, 202, "{arm}");
        assert!(wait_until(60, || self.version(version)["standing"] == "ready"), "{}", self.version(version));
    }

    /// How a version stands; null when it is not there.
    pub(crate) fn version(&self, version: &str) -> Value {
        let (_, found) = self.ask("GET", "/v1/versions", "", &Value::Null);
        let all = found["versions"].as_array().cloned().unwrap_or_default();
        all.into_iter().find(|v| v["version"] == version).unwrap_or(Value::Null)
    }
}
