//! A place where kf runs alone: own directories, own environment, fixed time and randomness, and one of the two engines.
//!
//! Every run of kf starts a minute later and with the next seed, so ids and dates are the same each time the tests run.
//! [`on_both_engines`] gives a test to SQLite with files, and to PostgreSQL with S3.

use super::{pg, program, s3, say, skip};
use kf::base::time::Timestamp;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicI64, Ordering};

/// When the first run of kf in a sandbox starts.
const START: &str = "2026-11-21T08:00:00Z";
/// How much later each further run starts, in microseconds.
const STEP_MICROS: i64 = 60_000_000;

/// Where a sandbox keeps its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    /// A SQLite file and a directory of objects.
    Files,
    /// A PostgreSQL database and a prefix of an S3 bucket.
    Servers,
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Files => "SQLite + files",
            Self::Servers => "PostgreSQL + S3",
        })
    }
}

/// When a run of kf starts.
fn starts(run: i64) -> Timestamp {
    START.parse::<Timestamp>().expect("a time").plus_micros(run * STEP_MICROS)
}

/// Runs a test on both engines, each time in a fresh sandbox.
///
/// # Panics
/// Where `CI` is set and a server is missing; elsewhere that half is skipped with a message.
pub(crate) fn on_both_engines(test: impl Fn(&mut Sandbox)) {
    for engine in [Engine::Files, Engine::Servers] {
        let mut sandbox = match Sandbox::on(engine) {
            Ok(sandbox) => sandbox,
            Err(why) => return skip(&format!("{engine}: {why}")),
        };
        let named = NamedOnPanic(engine);
        test(&mut sandbox);
        drop(named);
    }
}

/// Says on which engine a test failed.
struct NamedOnPanic(Engine);

impl Drop for NamedOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            say(&format!("failed on {}", self.0));
        }
    }
}

/// A hermetic place; everything in it goes when it is dropped.
pub(crate) struct Sandbox {
    dir: tempfile::TempDir,
    engine: Engine,
    variables: BTreeMap<String, String>,
    runs: AtomicI64,
    hidden: Vec<(String, &'static str)>,
}

impl Sandbox {
    /// A fresh sandbox on SQLite and files.
    pub(crate) fn new() -> Self {
        Self::on(Engine::Files).expect("a temporary directory")
    }

    /// A fresh sandbox on an engine; the error says which program is missing.
    pub(crate) fn on(engine: Engine) -> Result<Self, String> {
        let dir = tempfile::Builder::new().prefix("kf-it-").tempdir().map_err(|e| format!("no temporary directory: {e}"))?;
        let mut sandbox = Self { dir, engine, variables: BTreeMap::new(), runs: AtomicI64::new(0), hidden: Vec::new() };
        for part in ["home", "tmp", "bin", "work"] {
            std::fs::create_dir(sandbox.root().join(part)).map_err(|e| format!("cannot make {part}: {e}"))?;
        }
        sandbox.link_programs();
        let root = sandbox.root();
        sandbox.hidden.push((root.display().to_string(), "[ROOT]"));
        let path = format!("{}:/usr/bin:/bin", root.join("bin").display());
        let (home, tmp) = (root.join("home").display().to_string(), root.join("tmp").display().to_string());
        for (name, value) in [
            ("PATH", path.as_str()),
            ("HOME", &home),
            ("TMPDIR", &tmp),
            ("USER", "ada"),
            ("LANG", "C.UTF-8"),
            ("TZ", "UTC"),
            ("COLUMNS", "120"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_AUTHOR_NAME", "Ada Example"),
            ("GIT_AUTHOR_EMAIL", "ada@example.com"),
            ("GIT_AUTHOR_DATE", START),
            ("GIT_COMMITTER_NAME", "Ada Example"),
            ("GIT_COMMITTER_EMAIL", "ada@example.com"),
            ("GIT_COMMITTER_DATE", START),
        ] {
            sandbox.set(name, value);
        }
        if engine == Engine::Servers {
            sandbox.use_servers()?;
        }
        Ok(sandbox)
    }

    /// A fresh sandbox whose state is on a PostgreSQL server with pgvector, its artifacts in files; the error says which
    /// program is missing.
    pub(crate) fn with_vectors() -> Result<Self, String> {
        let server = pg::shared_with_vectors()?;
        let mut sandbox = Self::on(Engine::Files)?;
        let name = server.database();
        sandbox.set("KF_STATE_URL", &server.url(&name, server.port()));
        sandbox.hidden.push((format!("127.0.0.1:{}/{name}", server.port()), "[PG]"));
        Ok(sandbox)
    }

    fn use_servers(&mut self) -> Result<(), String> {
        let (database, objects) = (pg::shared()?, s3::shared()?);
        let name = database.database();
        self.set("KF_STATE_URL", &database.url(&name, database.port()));
        self.set("KF_ARTIFACTS_URL", &objects.fresh());
        for (variable, value) in objects.environment(objects.port()) {
            self.set(variable, &value);
        }
        self.hidden.push((format!("127.0.0.1:{}/{name}", database.port()), "[PG]"));
        self.hidden.push((format!("127.0.0.1:{}", objects.port()), "[S3]"));
        Ok(())
    }

    /// `git` may live anywhere on the tester's PATH; `kf` must be found by shells.
    fn link_programs(&self) {
        let bin = self.root().join("bin");
        let git = program("git", &[]).map(|file| (file, "git"));
        for (file, name) in git.into_iter().chain([(PathBuf::from(env!("CARGO_BIN_EXE_kf")), "kf")]) {
            std::os::unix::fs::symlink(file, bin.join(name)).expect("a link in a fresh directory");
        }
    }

    /// The directory that holds everything.
    pub(crate) fn root(&self) -> PathBuf {
        // The kernel reports directories by their real names; a snapshot must hide those.
        self.dir.path().canonicalize().expect("the sandbox is there")
    }

    /// Where it keeps its state.
    pub(crate) fn engine(&self) -> Engine {
        self.engine
    }

    /// The directory in which kf and git run.
    pub(crate) fn work(&self) -> PathBuf {
        self.root().join("work")
    }

    /// Passes over the times and seeds of so many runs of kf.
    pub(crate) fn skip_runs(&self, runs: i64) {
        self.runs.fetch_add(runs, Ordering::Relaxed);
    }

    /// Sets a variable for everything that runs here from now on.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    /// When the next run of kf starts, in microseconds since 1970.
    pub(crate) fn next_start(&self) -> i64 {
        starts(self.runs.load(Ordering::Relaxed)).micros()
    }

    /// The variables for the next run: those of the sandbox, the time and the seed.
    pub(crate) fn environment(&self) -> BTreeMap<String, String> {
        let run = self.runs.fetch_add(1, Ordering::Relaxed);
        let mut all = self.variables.clone();
        all.insert("KF_CLOCK".into(), starts(run).to_string());
        all.insert("KF_SEED".into(), (run + 1).to_string());
        all
    }

    /// Writes a file below the working directory, making its directories.
    pub(crate) fn write(&self, path: impl AsRef<Path>, text: impl AsRef<[u8]>) -> PathBuf {
        let file = self.work().join(path);
        std::fs::create_dir_all(file.parent().expect("a file in a directory")).expect("directories of the sandbox");
        std::fs::write(&file, text).expect("a file in the sandbox");
        file
    }

    /// Makes a repository with an empty state; `config` is added to its `mlops.toml`.
    pub(crate) fn repository(&self, config: &str) {
        // The test's S3 server has no TLS, which nobody gets without asking.
        let place = if self.engine == Engine::Servers { "[artifacts]\nallow-http = true\n" } else { "" };
        self.write("mlops.toml", format!("[project]\nname = \"shop\"\n{place}{config}"));
        self.works(["init"]);
    }

    /// Runs kf, which must succeed.
    ///
    /// # Panics
    /// When it does not.
    pub(crate) fn works<const N: usize>(&self, args: [&str; N]) -> Run {
        let run = self.kf(args);
        assert_eq!(run.code, Some(0), "kf {args:?}\n{run}");
        run
    }

    /// Reads a file below the working directory.
    pub(crate) fn read(&self, path: impl AsRef<Path>) -> String {
        let file = self.work().join(path);
        std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("cannot read {}: {e}", file.display()))
    }

    /// How many answers of models and systems are in the cache.
    pub(crate) fn answers_kept(&self) -> u32 {
        let path = self.work().join(".kf/cache/answers.db");
        let open = || rusqlite::Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY);
        let count = |db: rusqlite::Connection| {
            db.query_row("SELECT (SELECT count(*) FROM answer) + (SELECT count(*) FROM said)", [], |row| row.get(0))
        };
        // It is not there, or not whole, before the first answer.
        open().and_then(count).unwrap_or(0)
    }

    /// Any program, ready to run in the working directory with the sandbox's environment.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.work()).env_clear().envs(self.environment()).stdin(Stdio::null());
        command
    }

    /// Runs kf to its end.
    pub(crate) fn kf<const N: usize>(&self, args: [&str; N]) -> Run {
        self.finish(self.command(env!("CARGO_BIN_EXE_kf")).args(args))
    }

    /// Runs git to its end.
    ///
    /// # Panics
    /// When git fails: a test that sets up a repository wants to know.
    pub(crate) fn git<const N: usize>(&self, args: [&str; N]) -> Run {
        let run = self.finish(self.command(self.root().join("bin/git")).args(args));
        assert_eq!(run.code, Some(0), "git {args:?}\n{run}");
        run
    }

    /// Runs a command to its end and hides in its output what differs from run to run.
    pub(crate) fn finish(&self, command: &mut Command) -> Run {
        self.ended(command.output().unwrap_or_else(|e| panic!("cannot run {command:?}: {e}")))
    }

    /// How a program ended, with what differs from run to run hidden in its output.
    pub(crate) fn ended(&self, out: Output) -> Run {
        Run { stdout: self.hide(&out.stdout), stderr: self.hide(&out.stderr), code: out.status.code(), status: out.status }
    }

    fn hide(&self, bytes: &[u8]) -> String {
        let text = String::from_utf8_lossy(bytes).into_owned();
        self.hidden.iter().fold(text, |text, (what, name)| text.replace(what, name))
    }

    /// Runs kf several times at once, and waits for all: the arguments of the n-th come from `args`.
    pub(crate) fn kf_at_once(&self, processes: usize, args: impl Fn(usize) -> Vec<String>) -> Vec<Run> {
        let started: Vec<_> = (0..processes)
            .map(|n| {
                let mut command = self.command(env!("CARGO_BIN_EXE_kf"));
                command.args(args(n)).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("kf starts")
            })
            .collect();
        started.into_iter().map(|child| self.ended(child.wait_with_output().expect("kf ends"))).collect()
    }
}

/// What a program printed and how it ended, with the sandbox's own paths and addresses hidden.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
    /// The exit code; `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    status: ExitStatus,
}

/// One text that says all: what was printed, and how it ended.
impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.stdout)?;
        if !self.stderr.is_empty() {
            write!(f, "-- stderr --\n{}", self.stderr)?;
        }
        write!(f, "-- {} --", self.status)
    }
}

impl Run {
    /// The same with every duration (`12 ms`, `3.4s`) written as `[TIME]`.
    #[must_use]
    pub(crate) fn without_durations(mut self) -> Self {
        self.stdout = hide_durations(&self.stdout);
        self.stderr = hide_durations(&self.stderr);
        self
    }
}

fn hide_durations(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let number = rest[at..].find(|c: char| !c.is_ascii_digit() && c != '.').map_or(rest.len(), |n| at + n);
        let after = &rest[number..];
        let spaced = after.strip_prefix(' ').unwrap_or(after);
        let unit = ["ms", "µs", "ns", "s"]
            .into_iter()
            .find(|u| spaced.strip_prefix(u).is_some_and(|tail| !tail.starts_with(|c: char| c.is_alphanumeric())));
        // A digit inside a word (`v1s`) does not begin a number.
        let alone = !rest[..at].ends_with(|c: char| c.is_alphanumeric());
        if let (Some(unit), true) = (unit, alone) {
            out.push_str(&rest[..at]);
            out.push_str("[TIME]");
            rest = &spaced[unit.len()..];
        } else {
            out.push_str(&rest[..number]);
            rest = after;
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaks_in_and_time_steps() {
        let mut sandbox = Sandbox::new();
        sandbox.set("EXTRA", "1");
        let show = || sandbox.finish(&mut sandbox.command("env")).stdout;
        let (first, second) = (show(), show());
        assert!(first.contains("HOME=[ROOT]/home\n") && first.contains("EXTRA=1\n"), "{first}");
        assert!(first.contains("KF_CLOCK=2026-11-21T08:00:00Z\n") && first.contains("KF_SEED=1\n"), "{first}");
        assert!(second.contains("KF_CLOCK=2026-11-21T08:01:00Z\n") && second.contains("KF_SEED=2\n"), "{second}");
        assert!(!first.contains("CARGO"), "{first}");
    }

    #[test]
    fn one_text_says_all() {
        let sandbox = Sandbox::new();
        let run = sandbox.finish(sandbox.command("sh").args(["-c", "pwd; echo oops in 1.5 s >&2; exit 3"]));
        assert_eq!(
            run.clone().without_durations().to_string(),
            "[ROOT]/work\n-- stderr --\noops in [TIME]\n-- exit status: 3 --"
        );
        assert_eq!(run.code, Some(3));
    }

    #[test]
    fn durations_are_hidden_and_nothing_else() {
        let check = |text: &str, hidden: &str| assert_eq!(hide_durations(text), hidden);
        check("took 12 ms", "took [TIME]");
        check("0.25s, 3µs and 4 ns.", "[TIME], [TIME] and [TIME].");
        check("5 models, 2 states, v1s", "5 models, 2 states, v1s");
        check("1.2.3", "1.2.3");
    }

    #[test]
    fn shells_find_the_binary_under_test() {
        let sandbox = Sandbox::new();
        let run = sandbox.kf(["--version"]);
        assert_eq!(sandbox.finish(sandbox.command("sh").args(["-c", "kf --version"])), run);
        let at_once = sandbox.kf_at_once(3, |_| vec!["--version".to_owned()]);
        assert_eq!(at_once, [run.clone(), run.clone(), run]);
    }

    #[test]
    fn git_knows_its_user() {
        let sandbox = Sandbox::new();
        sandbox.git(["init", "-q", "-b", "main"]);
        sandbox.write("a/b.txt", "text");
        sandbox.git(["add", "."]);
        sandbox.git(["commit", "-q", "-m", "first"]);
        let log = sandbox.git(["log", "--format=%an %ae %cI"]);
        assert_eq!(log.stdout, "Ada Example ada@example.com 2026-11-21T08:00:00Z\n");
        assert_eq!(sandbox.read("a/b.txt"), "text");
    }

    #[test]
    fn each_engine_is_named_and_fresh() {
        let seen = std::cell::RefCell::new(std::collections::BTreeSet::new());
        on_both_engines(|sandbox| {
            let place = sandbox.environment().get("KF_STATE_URL").cloned();
            assert!(seen.borrow_mut().insert(place), "each engine once");
            sandbox.repository("# kept\n");
            assert!(sandbox.read("mlops.toml").contains("kept"), "init leaves the file alone");
        });
        assert!(seen.borrow().contains(&None), "SQLite is where no URL is set");
    }
}
