//! A PostgreSQL server of our own for a drill: on a socket in a folder, which nobody else reaches, and gone with it.
//!
//! PostgreSQL refuses to run as root. There it runs as an account without privileges (`postgres`, or else `nobody`), in a folder of that
//! account's below the one for temporary files, because the way to ours may be closed to it. What reads the archive runs as that account,
//! too; all of it gets nothing of our environment.
//!
//! Where its folder cannot be in the scratch folder that was given, its name is written there first, so that whoever sweeps that after a
//! kill finds the server ([`left`]).

use super::{DUMP, GLOBALS, lines, script};
use crate::adapters::process::Program;
use crate::base::error::{Context, Result};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};

/// Where Debian keeps the programs of a server, one folder a version: not on `PATH`.
const DEBIAN: &str = "/usr/lib/postgresql";
/// The accounts that a server may run as where we are root.
const ACCOUNTS: [&str; 2] = ["postgres", "nobody"];

/// The file of a scratch folder that names the folder of its server.
const HOME: &str = "server-home";
/// How the names of those folders begin.
const PREFIX: &str = "kf-drill-";
/// The longest path of a socket in bytes (`sun_path` of unix(7), without the end), and the name that PostgreSQL gives its own.
const SOCKET_MAX: usize = 107;
const SOCKET: &str = "/.s.PGSQL.5432";

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
        let Some(home) = home(account, scratch)? else { return Ok(None) };
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
        .bare()
        .dir(self.home.path())
    }

    fn client(&self, name: &str) -> Program {
        self.own(name).env("PGHOST", self.home.path()).env("PGUSER", "postgres").env("PGDATABASE", "postgres")
    }

    /// Restores a dump into its database `kept`.
    pub(super) fn restore(&self, files: &Path) -> Result<()> {
        let path = files.join(GLOBALS);
        let globals = std::fs::read(&path).context(|| format!("cannot read {}", path.display()))?;
        let globals = script::only_sql(GLOBALS, &globals)?;
        // Roles that are there already are no fault, nor places of tablespaces that are not here; whether all roles are is asked afterwards.
        let _ = self.client("psql").args(["--quiet", "--no-psqlrc", "--file=-"]).run(&globals)?;
        self.client("createdb").args(["--template=template0", "kept"]).output(b"")?;
        let dump = self.handed(&files.join(DUMP))?;
        self.client("pg_restore").args(["--dbname=kept", "--exit-on-error"]).arg(dump).output(b"").map(drop)
    }

    /// The files of a dump where the account of the server can read them.
    fn handed(&self, dump: &Path) -> Result<PathBuf> {
        let failed = || format!("cannot hand over {}", dump.display());
        let Some((user, group)) = self.account else { return std::path::absolute(dump).context(failed) };
        let to = self.home.path().join(DUMP);
        std::fs::create_dir(&to).context(failed)?;
        for entry in std::fs::read_dir(dump).context(failed)? {
            let entry = entry.context(failed)?;
            if !entry.file_type().context(failed)?.is_file() {
                continue;
            }
            let file = to.join(entry.file_name());
            // Nobody else needs the files of a drill any more, so they need not be there twice.
            std::fs::hard_link(entry.path(), &file).or_else(|_| std::fs::copy(entry.path(), &file).map(drop)).context(failed)?;
            chown(&file, Some(user), Some(group)).context(failed)?;
        }
        chown(&to, Some(user), Some(group)).context(failed)?;
        Ok(to)
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

/// A folder with a short name, because that of a socket has room for about a hundred bytes: in the scratch folder where that is short
/// enough; the account's own, and none when the way to all of these places is closed to it.
fn home(account: Option<(u32, u32)>, scratch: &Path) -> Result<Option<tempfile::TempDir>> {
    let mut places = vec![tempfile::env::temp_dir(), "/tmp".into(), "/var/tmp".into()];
    if account.is_none() && scratch.as_os_str().len() + 1 + PREFIX.len() + 6 + SOCKET.len() <= SOCKET_MAX {
        places.insert(0, scratch.to_owned());
    }
    for place in places {
        let ours = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        let made = tempfile::Builder::new().prefix(PREFIX).permissions(ours).tempdir_in(&place);
        let home = made.context(|| format!("cannot make a folder for a PostgreSQL server in {}", place.display()))?;
        let name = scratch.join(HOME);
        std::fs::write(&name, home.path().as_os_str().as_bytes()).context(|| format!("cannot write {}", name.display()))?;
        let Some((user, group)) = account else { return Ok(Some(home)) };
        chown(home.path(), Some(user), Some(group)).context(|| format!("cannot give away {}", home.path().display()))?;
        if as_account((user, group)).args(["test", "-w"]).arg(home.path()).run(b"")?.ended.success() {
            return Ok(Some(home));
        }
    }
    Ok(None)
}

/// The folder of the server that was started in a scratch folder, when it is elsewhere and still there. What else the file there may
/// say, because something that was restored wrote it: nothing but a folder that such a server could have is given.
pub(super) fn left(scratch: &Path) -> Option<PathBuf> {
    let name = std::fs::read(scratch.join(HOME)).ok()?;
    let home = PathBuf::from(std::ffi::OsStr::from_bytes(&name));
    let places = [tempfile::env::temp_dir(), "/tmp".into(), "/var/tmp".into()];
    let is = std::fs::symlink_metadata(&home).ok()?;
    let named =
        home.file_name()?.to_str()?.starts_with(PREFIX) && places.iter().any(|place| home.parent() == Some(place.as_path()));
    let me = rustix::process::geteuid();
    let owned = is.uid() == me.as_raw() || me.is_root() && account().is_some_and(|(user, _)| user == is.uid());
    (named && is.is_dir() && owned).then_some(home)
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
