//! Probes for Kubernetes: whether a container lives, may get requests, and has started.
//!
//! `/health` says that the process answers, `/ready` that it may get traffic: what is not ready is taken out of the service, what does
//! not live is started again, so the two ask different paths, and a slow start is given minutes by a probe of its own. The format and
//! its limits: <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#Probe>; names of ports are those
//! of RFC 6335.

use crate::base::error::{Context, Result};
use crate::base::text::visible;
use serde::Serialize;
use std::str::FromStr;

/// A port of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Port {
    /// By its number, 1 to 65535.
    Number(u16),
    /// By its name.
    Name(String),
}

/// The longest name of a port, in characters.
const NAME_MAX: usize = 15;

impl FromStr for Port {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        if s.parse::<u64>().is_ok() {
            let number = s.parse::<u16>().ok().filter(|n| *n > 0);
            return number.map(Self::Number).ok_or_else(|| format!("`{}` is no port: ports are 1 to 65535", visible(s, 40)));
        }
        let plain = s.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        let letters = s.chars().any(|c| c.is_ascii_lowercase());
        let fits = plain && letters && s.len() <= NAME_MAX && !s.starts_with('-') && !s.ends_with('-') && !s.contains("--");
        fits.then(|| Self::Name(s.to_owned())).ok_or_else(|| {
            let shown = visible(s, 40);
            format!("`{shown}` is no port: give a number, or a name of at most {NAME_MAX} characters of `a` to `z`, `0` to `9` and `-`")
        })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Get<'a> {
    path: &'static str,
    port: &'a Port,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Probe<'a> {
    http_get: Get<'a>,
    period_seconds: u32,
    timeout_seconds: u32,
    failure_threshold: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Probes<'a> {
    liveness_probe: Probe<'a>,
    readiness_probe: Probe<'a>,
    startup_probe: Probe<'a>,
}

/// The probes of a container that answers on this port.
///
/// # Errors
/// When they cannot be written, which no port causes.
pub fn file(port: &Port) -> Result<String> {
    let probe = |path, period_seconds, timeout_seconds, failure_threshold| {
        let http_get = Get { path, port };
        Probe { http_get, period_seconds, timeout_seconds, failure_threshold }
    };
    let probes = Probes {
        // A restart costs more than a late answer: half a minute of silence, not one.
        liveness_probe: probe("/health", 10, 2, 3),
        readiness_probe: probe("/ready", 5, 2, 2),
        // Two minutes to open the state and load a model before the others begin.
        startup_probe: probe("/health", 2, 2, 60),
    };
    let yaml = serde_yaml::to_string(&probes).context(|| "cannot write the probes")?;
    let version = env!("CARGO_PKG_VERSION");
    Ok(format!("# Probes of a container, by kf {version}; `kf monitor export probes` writes them anew.\n{yaml}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_numbers_or_names() {
        assert_eq!("8080".parse(), Ok(Port::Number(8080)));
        assert_eq!("http-alt".parse(), Ok(Port::Name("http-alt".into())));
        for wrong in ["", "0", "65536", "-1", "HTTP", "http--alt", "-http", "http-", "a-name-of-16-char", "h ttp", "8-080"] {
            let said = wrong.parse::<Port>().expect_err(wrong);
            assert!(said.contains("is no port"), "{said}");
        }
    }

    #[test]
    fn each_probe_asks_its_path_on_the_port() {
        let text = file(&Port::Number(8080)).expect("YAML");
        let read: serde_yaml::Value = serde_yaml::from_str(&text).expect("YAML");
        for (probe, path) in [("livenessProbe", "/health"), ("readinessProbe", "/ready"), ("startupProbe", "/health")] {
            let asked = &read[probe]["httpGet"];
            assert_eq!((asked["path"].as_str(), asked["port"].as_u64()), (Some(path), Some(8080)), "{text}");
            // Kubernetes takes nothing below 1, and cuts a probe that lasts longer than its period.
            let number = |key: &str| read[probe][key].as_u64().expect(key);
            assert!(number("timeoutSeconds") >= 1 && number("timeoutSeconds") <= number("periodSeconds"), "{text}");
            assert!(number("failureThreshold") >= 1, "{text}");
        }
        assert!(file(&Port::Name("http".into())).expect("YAML").contains("port: http\n"));
    }
}
