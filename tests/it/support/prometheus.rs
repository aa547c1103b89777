//! A Prometheus server with a past of its own: the real one, on blocks that its `promtool` makes of OpenMetrics text.

use super::daemon::Daemon;
use super::{free_port, http, program, project, wait_until};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    port: u16,
    _daemon: Daemon,
}

impl Server {
    /// Starts one that has scraped these samples.
    pub(crate) fn with(samples: &str) -> Result<Self, String> {
        let dir = folder()?;
        let (metrics, data) = (dir.join("metrics"), dir.join("data"));
        std::fs::write(&metrics, samples).map_err(|e| e.to_string())?;
        let made =
            Command::new(tool("promtool")?).args(["tsdb", "create-blocks-from", "openmetrics"]).args([metrics, data]).output();
        let made = made.map_err(|e| e.to_string())?;
        if !made.status.success() {
            return Err(String::from_utf8_lossy(&made.stderr).into_owned());
        }
        Self::serving(&dir, "{}\n")
    }

    /// Starts one that scrapes as a configuration says.
    pub(crate) fn scraping(config: &str) -> Result<Self, String> {
        Self::serving(&folder()?, config)
    }

    fn serving(dir: &Path, text: &str) -> Result<Self, String> {
        let config = dir.join("prometheus.yml");
        std::fs::write(&config, text).map_err(|e| e.to_string())?;
        let port = free_port();
        let command = [
            tool("prometheus")?.display().to_string(),
            format!("--config.file={}", config.display()),
            format!("--storage.tsdb.path={}", dir.join("data").display()),
            "--storage.tsdb.retention.time=100y".into(),
            format!("--web.listen-address=127.0.0.1:{port}"),
        ];
        let daemon = Daemon::start(dir, &dir.join("log"), &command)?;
        let up = wait_until(60, || http(port, ("GET", "/-/ready"), "", "").is_ok_and(|(status, _)| status == 200));
        let log = || std::fs::read_to_string(dir.join("log")).unwrap_or_default();
        if up { Ok(Self { port, _daemon: daemon }) } else { Err(format!("Prometheus does not start: {}", log())) }
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

fn tool(name: &str) -> Result<PathBuf, String> {
    let tools = [project().join("target/test-tools/bin")];
    program(name, &tools).ok_or_else(|| format!("`{name}`, of Prometheus, is not installed"))
}

fn folder() -> Result<PathBuf, String> {
    let made = tempfile::Builder::new().prefix("kf-prometheus-").tempdir();
    Ok(made.map_err(|e| format!("no directory: {e}"))?.keep())
}
