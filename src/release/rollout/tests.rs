//! Smoke and load tests of a canary, before it gets traffic.
//!
//! A load test that made no requests proves nothing: scripts of k6 whose every iteration throws end with 0, and a threshold on p95
//! without a sample passes. So the number of requests is read from its summary (`K6_SUMMARY_EXPORT`), and thresholds again: there
//! `true` means crossed. Exit codes of k6: 99 for a threshold, 107 for a script that does not parse.

use crate::adapters::process::{Ended, Output, Program, why};
use crate::base::error::{Context, Error};
use crate::domain::rollout::setup::{Setup, Tests};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// Why a test does not let the canary on.
pub(super) enum Failed {
    /// It said no.
    No(String),
    /// It did not come to an answer.
    Unclear(String),
    /// Nobody waited for it any more.
    Stopped,
}

/// A program that a test is.
struct Test<'a> {
    setup: &'a Setup,
    /// Where the canary alone answers.
    preview: &'a str,
    dir: &'a Path,
    /// Says whether it is still waited for.
    goes_on: &'a mut dyn FnMut() -> bool,
}

/// Runs the tests that a step asks for, against the canary at this address, while `goes_on` says so.
pub(super) fn run(
    setup: &Setup,
    (smoke, load): (bool, bool),
    (preview, dir): (&str, &Path),
    goes_on: &mut dyn FnMut() -> bool,
) -> std::result::Result<String, Failed> {
    let tests = &setup.tests;
    let mut test = Test { setup, preview, dir, goes_on };
    let mut told = Vec::new();
    if let Some(argv) = tests.smoke.as_ref().filter(|_| smoke) {
        let done = test.run(argv, |program| program)?;
        if !done.ended.success() {
            return Err(Failed::No(format!("the smoke test says no: {}", why(&argv[0], &done.ended, &done.stderr))));
        }
        told.push("the smoke test passed".to_owned());
    }
    if let Some(argv) = tests.load.as_ref().filter(|_| load) {
        told.push(test.load(argv)?);
    }
    Ok(if told.is_empty() { "no test is asked for".to_owned() } else { told.join(", ") })
}

fn unclear(e: Error) -> Failed {
    Failed::Unclear(e.to_string())
}

impl Test<'_> {
    /// Runs a program to its end, with what it needs to know of the canary.
    fn run(&mut self, argv: &[String], more: impl FnOnce(Program) -> Program) -> std::result::Result<Output, Failed> {
        let setup = self.setup;
        let stable = setup.stable.as_ref().map_or_else(String::new, |s| s.version.to_string());
        let program = Program::from_argv(argv).map_err(unclear)?;
        let program = program
            .dir(self.dir)
            .timeout(Duration::from_secs(setup.tests.timeout))
            .env("KF_PREVIEW_URL", self.preview)
            .env("KF_MODEL", setup.model.as_str())
            .env("KF_VERSION", setup.canary.version.to_string())
            .env("KF_STABLE", stable);
        let done = more(program).run_while(&[], self.goes_on).map_err(unclear)?;
        if done.ended == Ended::GivenUp { Err(Failed::Stopped) } else { Ok(done) }
    }

    fn load(&mut self, argv: &[String]) -> std::result::Result<String, Failed> {
        let no = |what: String| Err(Failed::No(format!("the load test says no: {what}")));
        let place = tempfile::tempdir().context(|| "cannot make a folder for the summary of the load test").map_err(unclear)?;
        let summary = place.path().join("summary.json");
        let done = self.run(argv, |program| program.env("K6_SUMMARY_EXPORT", &summary).env("K6_NO_USAGE_REPORT", "true"))?;
        match done.ended {
            Ended::Status(0) => {}
            Ended::Status(99) => return no("a threshold was crossed (exit 99)".to_owned()),
            Ended::Status(107) => return no("its script cannot be used (exit 107)".to_owned()),
            ref ended => return no(why(&argv[0], ended, &done.stderr)),
        }
        let found = std::fs::read(&summary).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        judge(found.as_ref(), &self.setup.tests).or_else(no)
    }
}

/// What a summary of k6 comes to.
fn judge(summary: Option<&Value>, tests: &Tests) -> std::result::Result<String, String> {
    let metrics = summary.map(|s| &s["metrics"]);
    let crossed = metrics.and_then(Value::as_object).into_iter().flatten().find(|(_, metric)| {
        metric["thresholds"].as_object().is_some_and(|all| all.values().any(|crossed| crossed == &Value::Bool(true)))
    });
    if let Some((metric, _)) = crossed {
        return Err(format!("a threshold on {metric} was crossed"));
    }
    // A metric without a sample is not in the summary.
    let requests =
        metrics.and_then(Value::as_object).map(|m| m.get("http_reqs").map_or(0.0, |r| r["count"].as_f64().unwrap_or(0.0)));
    match requests {
        _ if tests.requests == 0 => Ok("the load test passed".to_owned()),
        Some(n) if n >= f64::from(tests.requests) => Ok(format!("the load test passed with {n} requests")),
        Some(n) => Err(format!("it made {n} requests, {} are asked for (`load-requests`)", tests.requests)),
        None => Err("how many requests it made is not known: it wrote no summary to K6_SUMMARY_EXPORT \
                     (`load-requests = 0` asks for none)"
            .to_owned()),
    }
}
