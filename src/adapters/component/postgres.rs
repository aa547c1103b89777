//! A PostgreSQL database: `pg_dump` in its directory format, which `pg_restore` reads, and the roles beside it.
//!
//! The rows are counted in the dump itself, so that what is restored can be held against exactly what was kept: `pg_restore` prints each
//! table as `COPY … FROM stdin;`, a line a row, and `\.`.

use crate::adapters::process::{Event, Program};
use crate::base::error::{Context, Error, Result};
use crate::config::secret::Secret;
use crate::domain::backup::census;
use crate::seams::backup::{Component, Counts, Dumped, Kind};
use std::collections::BTreeMap;
use std::path::Path;

/// The folder of the database's dump.
pub const DUMP: &str = "database";
/// The file of the roles.
const GLOBALS: &str = "globals.sql";

/// A PostgreSQL database.
pub struct Postgres {
    url: String,
    password: Option<Secret>,
    jobs: usize,
}

impl Postgres {
    /// The database of a URL without a password.
    pub fn new(url: &str, password: Option<Secret>, jobs: usize) -> Self {
        Self { url: url.to_owned(), password, jobs: jobs.max(1) }
    }

    fn program(&self, name: &str) -> Program {
        let program = Program::new(name).arg("--no-password").env("PGAPPNAME", "kf backup");
        match &self.password {
            Some(password) => program.env("PGPASSWORD", password.expose()),
            None => program,
        }
    }
}

impl Component for Postgres {
    fn kind(&self) -> Kind {
        Kind { kind: "postgres".into(), place: self.url.clone() }
    }

    fn dump(&self, scratch: &Path) -> Result<Dumped> {
        let hint = || "pg_dump must not be older than the server; `PATH` decides which one is taken".to_owned();
        let dump = self.program("pg_dump").args(["--format=directory", "--compress=0", &format!("--jobs={}", self.jobs)]);
        let made = dump.arg(format!("--file={}", scratch.join(DUMP).display())).arg(format!("--dbname={}", self.url));
        made.output(b"").hint(hint)?;
        let globals = self.program("pg_dumpall").args(["--globals-only", "--no-role-passwords"]);
        globals
            .arg(format!("--file={}", scratch.join(GLOBALS).display()))
            .arg(format!("--dbname={}", self.url))
            .output(b"")
            .hint(hint)?;
        Ok(Dumped { root: scratch.to_owned(), counts: rows(&scratch.join(DUMP))?, tool: super::version("pg_dump") })
    }

    fn count(&self, files: &Path, scratch: &Path) -> Result<Option<Counts>> {
        match Server::start(scratch)? {
            None => rows(&files.join(DUMP)).map(Some),
            Some(server) => {
                let restored = server.restore(files);
                restored.and_then(|()| server.rows()).map(Some)
            }
        }
    }
}

/// The rows of each table of a dump.
fn rows(dump: &Path) -> Result<Counts> {
    let program = Program::new("pg_restore").args(["--data-only", "--file=-"]).arg(dump);
    let mut running = program.start()?;
    running.close_input();
    let mut reader = Rows::default();
    loop {
        match running.next_before(None)? {
            None => {}
            Some(Event::Stdout(bytes)) => reader.take(&bytes),
            Some(Event::Ended(ended)) if ended.success() => return Ok(reader.counts),
            Some(Event::Ended(ended)) => {
                return Err(Error::new(crate::adapters::process::why("pg_restore", &ended, &running.stderr())));
            }
        }
    }
}

/// Counts rows in what `pg_restore` prints, in memory of one line's beginning.
#[derive(Default)]
struct Rows {
    counts: Counts,
    /// The table whose rows come.
    table: Option<String>,
    /// What of the line is there, at most as much as tells what it is.
    line: Vec<u8>,
}

/// More than the longest name of a table needs.
const LINE_MAX: usize = 4096;

impl Rows {
    fn take(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|b| *b == b'\n') {
            self.keep(&rest[..end]);
            self.ended();
            rest = &rest[end + 1..];
        }
        self.keep(rest);
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = LINE_MAX - self.line.len();
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn ended(&mut self) {
        let line = std::mem::take(&mut self.line);
        match &self.table {
            Some(_) if line == b"\\." => self.table = None,
            Some(table) => *self.counts.entry(table.clone()).or_default() += 1,
            None => {
                let text = String::from_utf8_lossy(&line);
                if let Some(rest) = text.strip_prefix("COPY ").filter(|_| text.contains(" FROM stdin")) {
                    let mut quoted = false;
                    let name = |c: &char| {
                        quoted ^= *c == '"';
                        quoted || *c != ' '
                    };
                    let table: String = rest.chars().take_while(name).collect();
                    self.counts.entry(format!("rows of {table}")).or_default();
                    self.table = Some(format!("rows of {table}"));
                }
            }
        }
    }
}

/// A server of our own on a socket in a folder, which nobody else reaches.
struct Server<'a> {
    dir: &'a Path,
}

impl<'a> Server<'a> {
    /// Starts one; `None` when the programs of a server are not here.
    fn start(dir: &'a Path) -> Result<Option<Self>> {
        if ["initdb", "pg_ctl", "psql", "createdb"].iter().any(|name| super::version(name).is_none()) || rustix::process::geteuid().is_root() {
            // PostgreSQL refuses to run as root.
            return Ok(None);
        }
        let server = Self { dir };
        let data = server.data();
        Program::new("initdb").args(["--auth=trust", "--username=postgres", "--no-sync", "--encoding=UTF8", "-D", &data]).bare().output(b"")?;
        let options = format!("-c listen_addresses='' -c unix_socket_directories='{}' -c fsync=off", dir.display());
        let log = dir.join("server.log").display().to_string();
        Program::new("pg_ctl").args(["start", "--wait", "--silent", "-D", &data, "-l", &log, "-o", &options]).bare().output(b"")?;
        Ok(Some(server))
    }

    fn data(&self) -> String {
        self.dir.join("data").display().to_string()
    }

    fn program(&self, name: &str) -> Program {
        Program::new(name).bare().env("PGHOST", self.dir).env("PGUSER", "postgres").env("PGDATABASE", "postgres")
    }

    fn restore(&self, files: &Path) -> Result<()> {
        // Roles that are there already are no fault.
        let _ = self.program("psql").args(["--quiet", "--no-psqlrc", "--file"]).arg(files.join(GLOBALS)).run(b"")?;
        self.program("createdb").arg("kept").output(b"")?;
        self.program("pg_restore").args(["--dbname=kept", "--exit-on-error"]).arg(files.join(DUMP)).output(b"").map(drop)
    }

    fn rows(&self) -> Result<Counts> {
        let ask = |sql: &str| -> Result<Vec<String>> {
            let out = self.program("psql").args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--dbname=kept", "--command", sql]);
            Ok(String::from_utf8_lossy(&out.output(b"")?).lines().filter(|l| !l.is_empty()).map(str::to_owned).collect())
        };
        let tables = ask(census::TABLES)?;
        let mut counts = BTreeMap::new();
        for table in tables {
            let n = ask(&census::rows_of(&table))?;
            let n = n.first().and_then(|n| n.parse().ok()).ok_or_else(|| Error::new(format!("cannot count {table}")))?;
            counts.insert(format!("rows of {table}"), n);
        }
        Ok(counts)
    }

    fn stop(&self) {
        let _ = Program::new("pg_ctl").args(["stop", "--mode=immediate", "--silent", "-D", &self.data()]).output(b"");
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_counted_however_the_output_is_cut() {
        let text = "SET x = 1;\nCOPY public.a (id, t) FROM stdin;\n1\tCOPY public.b (id) FROM stdin;\n2\t\\\\.\n\\.\n\n\
                    COPY s.\"od d\" (id) FROM stdin;\n\\.\nSELECT 1;\n";
        for step in 1..text.len() {
            let mut rows = Rows::default();
            text.as_bytes().chunks(step).for_each(|piece| rows.take(piece));
            assert_eq!(rows.counts, Counts::from([("rows of public.a".into(), 2), ("rows of s.\"od d\"".into(), 0)]), "{step}");
        }
    }
}
