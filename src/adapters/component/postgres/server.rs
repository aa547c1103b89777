//! A PostgreSQL server of our own for a drill: on a socket in a folder, which nobody else reaches, and gone with it.
//!
//! PostgreSQL refuses to run as root. There it runs as an account without privileges (`postgres`, or else `nobody`), in a folder of that
//! account's below the one for temporary files, because the way to ours may be closed to it.

use super::{DUMP, GLOBALS, lines};
use crate::adapters::process::Program;
use crate::base::error::{Context, Result};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

/// Where Debian keeps the programs of a server, one folder a version: not on `PATH`.
const DEBIAN: &str = "/usr/lib/postgresql";
/// The accounts that a server may run as where we are root.
const ACCOUNTS: [&str; 2] = ["postgres", "nobody"];

/// A running server.
pub(super) struct Server {
    /// The folder of its socket, and of its files where we are root.
    home: tempfile::TempDir,
    data: PathBuf,
    bin: PathBuf,
    account: Option<(u32, u32)>,
    version: String,
}

impl Server {
    /// Starts one, with its files in `scratch`; `None` when the programs of a server are not here, or nobody can run it.
    pub(super) fn start(scratch: &Path) -> Result<Option<Self>> {
        let Some((bin, version)) = programs() else { return Ok(None) };
        let account = match rustix::process::geteuid().is_root() {
            false => None,
            true => match account() {
                Some(account) => Some(account),
                None => return Ok(None),
            },
        };
        let Some(home) = home(account)? else { return Ok(None) };
        let data = if account.is_none() { scratch.join("data") } else { home.path().join("data") };
        let server = Self { home, data, bin, account, version };
        server
            .own("initdb")
            .args(["--auth=trust", "--username=postgres", "--no-sync", "--encoding=UTF8", "-D"])
            .arg(&server.data)
            .output(b"")?;
        let home = server.home.path();
        let options = format!("-c listen_addresses='' -c unix_socket_directories='{}' -c fsync=off", home.display());
        let start = server.own("pg_ctl").args(["start", "--wait", "--silent", "-D"]).arg(&server.data);
        start.arg("-l").arg(home.join("log")).arg("-o").arg(options).output(b"")?;
        Ok(Some(server))
    }

    /// What it is, for people.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// A program that must not be root.
    fn own(&self, name: &str) -> Program {
        let program = self.bin.join(name);
        match self.account {
            None => Program::new(program),
            Some(account) => as_account(account).arg(program),
        }
        .dir(self.home.path())
    }

    fn client(&self, name: &str) -> Program {
        let program = Program::new(self.bin.join(name)).env("PGHOST", self.home.path()).env("PGUSER", "postgres");
        program.env("PGDATABASE", "postgres").unset("PGPORT").unset("PGPASSWORD").unset("PGSERVICE").unset("PGOPTIONS")
    }

    /// Restores a dump into its database `kept`.
    pub(super) fn restore(&self, files: &Path) -> Result<()> {
        // Roles that are there already are no fault; whether all are is asked afterwards.
        let _ = self.client("psql").args(["--quiet", "--no-psqlrc", "--file"]).arg(files.join(GLOBALS)).run(b"")?;
        self.client("createdb").args(["--template=template0", "kept"]).output(b"")?;
        self.client("pg_restore").args(["--dbname=kept", "--exit-on-error"]).arg(files.join(DUMP)).output(b"").map(drop)
    }

    /// The lines that a query of that database gives.
    pub(super) fn ask(&self, sql: &str) -> Result<Vec<String>> {
        lines(&self.client("psql").args([
            "--no-psqlrc",
            "--quiet",
            "--tuples-only",
            "--no-align",
            "--dbname=kept",
            "--command",
            sql,
        ]))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.own("pg_ctl").args(["stop", "--mode=immediate", "--silent", "-D"]).arg(&self.data).output(b"");
    }
}

fn as_account((user, group): (u32, u32)) -> Program {
    Program::new("setpriv").args([format!("--reuid={user}"), format!("--regid={group}"), "--clear-groups".to_owned()])
}

/// A folder with a short name, because that of a socket has room for about a hundred bytes; the account's own, and none when the way to
/// all of these places is closed to it.
fn home(account: Option<(u32, u32)>) -> Result<Option<tempfile::TempDir>> {
    for place in [tempfile::env::temp_dir(), "/tmp".into(), "/var/tmp".into()] {
        let ours = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        let made = tempfile::Builder::new().prefix("kf-drill-").permissions(ours).tempdir_in(&place);
        let home = made.context(|| format!("cannot make a folder for a PostgreSQL server in {}", place.display()))?;
        let Some((user, group)) = account else { return Ok(Some(home)) };
        chown(home.path(), Some(user), Some(group)).context(|| format!("cannot give away {}", home.path().display()))?;
        if as_account((user, group)).args(["test", "-w"]).arg(home.path()).run(b"")?.ended.success() {
            return Ok(Some(home));
        }
    }
    Ok(None)
}

/// The folder of the programs, empty for those on `PATH`, and what they say of their version.
fn programs() -> Option<(PathBuf, String)> {
    let there = |bin: PathBuf| {
        let says = |name: &str| super::super::version(&bin.join(name).display().to_string());
        let version = says("initdb")?;
        let all = ["pg_ctl", "psql", "createdb", "pg_restore"].iter().all(|name| says(name).is_some());
        all.then(|| (bin.clone(), version.replace("initdb (PostgreSQL)", "PostgreSQL")))
    };
    let mut debian: Vec<PathBuf> =
        std::fs::read_dir(DEBIAN).into_iter().flatten().flatten().map(|e| e.path().join("bin")).collect();
    let number = |bin: &PathBuf| bin.parent().and_then(|dir| dir.file_name()?.to_str()?.parse::<u32>().ok());
    debian.sort_by_key(number);
    std::iter::once(PathBuf::new()).chain(debian.into_iter().rev()).find_map(there)
}

/// The user and group that a server can run as.
fn account() -> Option<(u32, u32)> {
    super::super::version("setpriv")?;
    let id = |flag: &str, name: &str| -> Option<u32> {
        String::from_utf8(Program::new("id").args([flag, name]).output(b"").ok()?).ok()?.trim().parse().ok()
    };
    ACCOUNTS.iter().find_map(|name| Some((id("-u", name)?, id("-g", name)?)))
}
