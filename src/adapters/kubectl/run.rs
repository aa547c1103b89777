//! Runs one `kubectl` command: always with context, namespace and deadlines, and its failure told apart by what it means.
//!
//! Invariants: no command outlives its deadline (`--request-timeout` ends each request, the process and what it started are
//! killed a little later: a frozen API server blocks even a `kubectl` with a time-out); texts come in English whatever the
//! user's language; nothing is retried here.

use super::failure::{Failure, classify, too_late};
use crate::adapters::process::{Ended, Program};
use crate::base::error::Error;
use crate::base::quantity::Bytes;
use crate::config::KubernetesTarget;
use crate::seams::traffic::{Asked, Fault};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// What a command may write: lists of pods of a large Deployment are some megabytes.
const OUTPUT_MAX: Bytes = Bytes(64 << 20);
/// Requests of one command that may follow each other: discovery and the call itself.
const REQUESTS: u32 = 2;
/// Asks whether the API server has read all that it answers by; everybody may (`system:public-info-viewer`).
const READY: [&str; 3] = ["get", "--raw", "/readyz"];
/// A cache in which nothing can be kept: no folder can be made there.
const NO_CACHE: &str = "/dev/null";
/// What starting the program may take besides.
const STARTING: Duration = Duration::from_secs(2);

/// How `kubectl` is called for one target.
#[derive(Clone, Debug)]
pub(super) struct Kubectl {
    program: Vec<String>,
    always: Vec<String>,
    timeout: Duration,
}

impl Kubectl {
    /// For a target whose requests may take `timeout`; relative paths are under `root`. What `kubectl` keeps of a cluster goes to
    /// `cache`, nowhere without one; never to the home of who calls.
    pub(super) fn new(target: &KubernetesTarget, timeout: Duration, root: &Path, cache: Option<&Path>) -> Self {
        let millis = timeout.as_millis().max(1);
        let mut always = vec![
            format!("--context={}", target.context),
            format!("--namespace={}", target.namespace),
            format!("--request-timeout={millis}ms"),
            format!("--cache-dir={}", cache.unwrap_or(Path::new(NO_CACHE)).display()),
        ];
        if let Some(path) = &target.kubeconfig {
            always.push(format!("--kubeconfig={}", root.join(path).display()));
        }
        Self { program: target.kubectl.clone(), always, timeout }
    }

    /// How long one request may take.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Runs a command that reads; gives the JSON documents that it printed, lists taken apart.
    pub(super) fn get(&self, what: &[String]) -> Asked<Vec<Value>> {
        let args = [&["get".to_owned(), "--ignore-not-found".to_owned(), "--output=json".to_owned()], what].concat();
        self.json(&args, "").map_err(Failure::into_fault)
    }

    /// Changes an object by a JSON patch; gives it as it is now. With `dry` the server only tells what it would do.
    pub(super) fn patch(&self, object: &str, ops: &Value, dry: bool) -> Result<Vec<Value>, Failure> {
        let mut args = vec!["patch".to_owned(), object.to_owned(), "--type=json".to_owned(), format!("--patch={ops}")];
        args.extend(["--field-manager=kf", "--output=json"].map(str::to_owned));
        if dry {
            args.push("--dry-run=server".to_owned());
        }
        self.json(&args, "")
    }

    /// Creates what is not there; gives it as it is now.
    pub(super) fn create(&self, object: &Value) -> Result<Vec<Value>, Failure> {
        // The server checks it: `kubectl` would fetch its whole schema first.
        let args = ["create", "--filename=-", "--validate=false", "--field-manager=kf", "--output=json"].map(str::to_owned);
        self.json(&args, &object.to_string())
    }

    /// Removes an object, which may be gone already.
    pub(super) fn delete(&self, object: &str) -> Result<(), Failure> {
        let args = ["delete", object, "--ignore-not-found", "--wait=false", "--output=name"].map(str::to_owned);
        self.text(&args, "").map(|_| ())
    }

    fn json(&self, args: &[String], input: &str) -> Result<Vec<Value>, Failure> {
        let printed = self.text(args, input)?;
        documents(&printed).map_err(|e| {
            let what = format!("`kubectl {}` printed what is no JSON: {e}", args.first().map_or("", String::as_str));
            Failure::unclear(Error::new(what))
        })
    }

    fn text(&self, args: &[String], input: &str) -> Result<Vec<u8>, Failure> {
        let program = Program::from_argv(&self.program).map_err(Failure::refused)?;
        // `KUBERC` could change what the options mean.
        let program = program.args(args).args(&self.always).env("LC_ALL", "C").env("LANGUAGE", "C").env("KUBERC", "off");
        let limit = self.timeout.saturating_mul(REQUESTS).saturating_add(STARTING);
        let done = program.timeout(limit).output_max(OUTPUT_MAX).run(input.as_bytes()).map_err(not_run)?;
        let what = args.iter().take(2).cloned().collect::<Vec<_>>().join(" ");
        match done.ended {
            Ended::Status(0) => Ok(done.stdout),
            Ended::Status(_) => Err(self.settled(classify(&what, &done.stderr), args)),
            ended => Err(too_late(&what, &ended, &done.stderr)),
        }
    }

    /// A failure with its real weight: a server that was just started denies rights and kinds that it has not read yet.
    fn settled(&self, failure: Failure, args: &[String]) -> Failure {
        if !failure.may_pass() || args == READY || self.text(&READY.map(str::to_owned), "").is_ok() {
            return failure;
        }
        failure.of_starting()
    }
}

/// A program that cannot be started was not asked for anything.
fn not_run(e: Error) -> Failure {
    let hint = "kf speaks to a cluster through `kubectl` (1.20 or newer): https://kubernetes.io/docs/tasks/tools/; \
                when it is not on PATH, name it: `kubectl = [\"/path/to/kubectl\"]` in `[target.NAME]`";
    Failure::refused(e.hint(hint))
}

/// The JSON documents of a text, with the items of lists in their place.
fn documents(text: &[u8]) -> serde_json::Result<Vec<Value>> {
    let mut all = Vec::new();
    for document in serde_json::Deserializer::from_slice(text).into_iter::<Value>() {
        let mut document = document?;
        match document["kind"].as_str() {
            Some(kind) if kind.ends_with("List") => {
                if let Value::Array(items) = document["items"].take() {
                    all.extend(items);
                }
            }
            _ => all.push(document),
        }
    }
    Ok(all)
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        failure.into_fault()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lists_and_documents_in_a_row_are_read_alike() {
        let read = |text: &str| documents(text.as_bytes()).map_err(|e| e.to_string());
        assert_eq!(read(""), Ok(vec![]));
        assert_eq!(read("{\"kind\":\"PodList\",\"items\":[]}"), Ok(vec![]));
        let both = "{\"kind\":\"List\",\"items\":[{\"kind\":\"Pod\"}]}\n{\"kind\":\"Service\"}\n";
        assert_eq!(read(both), Ok(vec![json!({"kind": "Pod"}), json!({"kind": "Service"})]));
        assert!(read("Error from server").is_err());
    }
}
