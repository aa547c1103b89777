//! A PostgreSQL database: `pg_dump` in its directory format, which `pg_restore` reads, and the roles beside it.
//!
//! The rows are counted in the dump itself, so that what is restored can be held against exactly what was kept: `pg_restore` prints each
//! table as `COPY … FROM stdin;`, a line a row, and `\.`.

mod script;
mod server;

use crate::adapters::process::{Event, Program};
use crate::base::error::{Context, Error, Result};
use crate::config::secret::Secret;
use crate::domain::backup::census;
use crate::seams::backup::{Component, Counted, Counts, Dumped, Kind};
use server::Server;
use std::io::Read as _;
use std::path::{Path, PathBuf};

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
        let mut counts = rows(&scratch.join(DUMP))?;
        counts.insert("roles".into(), roles(scratch)?.len() as u64);
        Ok(Dumped { root: scratch.to_owned(), counts, tool: super::version("pg_dump") })
    }

    fn count(&self, files: &Path, scratch: &Path) -> Result<Option<Counted>> {
        let Some(server) = Server::start(scratch)? else {
            let counts = rows(&files.join(DUMP))?;
            return Ok(Some(Counted { counts, by: "read from the dump: no PostgreSQL server can be started here".into() }));
        };
        server.restore(files)?;
        let mut counts = counted(&mut |sql| server.ask(sql))?;
        let there: Vec<String> = server.ask(census::ROLES)?;
        let roles = roles(files)?;
        if let Some(missing) = roles.iter().find(|role| !there.contains(role)) {
            return Err(Error::new(format!("the role `{missing}` did not come back")));
        }
        counts.insert("roles".into(), roles.len() as u64);
        Ok(Some(Counted { counts, by: format!("restored into {}", server.version()) }))
    }

    fn occupied(&self) -> Result<Option<String>> {
        let found = self.ask(census::OCCUPIED)?;
        let n: u64 =
            found.first().and_then(|n| n.parse().ok()).ok_or_else(|| Error::new("the database does not tell what is in it"))?;
        Ok((n > 0).then(|| format!("{n} tables, indexes, functions and the like")))
    }

    fn load(&self, files: &Path, scratch: &Path, over: bool) -> Result<Counts> {
        // As one text, so that one transaction holds all of it: the database has all or nothing of the dump, whatever happens.
        let (clear, all) = (scratch.join("clear.sql"), scratch.join("restore.sql"));
        Program::new("pg_restore").bare().arg(format!("--file={}", all.display())).arg(files.join(DUMP)).output(b"")?;
        script::restricted(&beginning(&all)?)?;
        std::fs::write(&clear, if over { census::CLEAR } else { "" }).context(|| format!("cannot write {}", clear.display()))?;
        let psql = self.psql().args(["--set=ON_ERROR_STOP=1", "--single-transaction", "--output=/dev/null"]);
        let loaded = psql.arg(format!("--file={}", clear.display())).arg(format!("--file={}", all.display())).output(b"");
        let no_role = loaded.as_ref().is_err_and(|e| e.to_string().contains("role \""));
        loaded.hint(|| match no_role {
            true => format!("make the roles first: `kf backup restore SET --to FOLDER` has them, then `psql -f {GLOBALS}`"),
            false => {
                "the server must not be older than the one that was backed up; nothing of the dump is in the database".to_owned()
            }
        })?;
        counted(&mut |sql| self.ask(sql))
    }
}

impl Postgres {
    fn psql(&self) -> Program {
        self.program("psql").args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"]).arg(format!("--dbname={}", self.url))
    }

    fn ask(&self, sql: &str) -> Result<Vec<String>> {
        lines(&self.psql().args(["--command", sql]))
    }
}

/// The folder of a server that was started in a scratch folder and may still run, when it is not in there.
pub fn left(scratch: &Path) -> Option<PathBuf> {
    server::left(scratch)
}

/// What a file begins with.
fn beginning(file: &Path) -> Result<Vec<u8>> {
    let failed = || format!("cannot read {}", file.display());
    let mut bytes = Vec::new();
    std::fs::File::open(file).context(failed)?.take(4096).read_to_end(&mut bytes).context(failed)?;
    Ok(bytes)
}

/// The lines that a program prints.
fn lines(program: &Program) -> Result<Vec<String>> {
    Ok(String::from_utf8_lossy(&program.output(b"")?).lines().filter(|l| !l.is_empty()).map(str::to_owned).collect())
}

/// The rows of each table of a database.
fn counted(ask: &mut dyn FnMut(&str) -> Result<Vec<String>>) -> Result<Counts> {
    let mut counts = Counts::new();
    for table in ask(census::TABLES)? {
        let n = ask(&census::rows_of(&table))?;
        let n = n.first().and_then(|n| n.parse().ok()).ok_or_else(|| Error::new(format!("cannot count {table}")))?;
        counts.insert(format!("rows of {table}"), n);
    }
    Ok(counts)
}

/// The roles that a dump makes.
fn roles(files: &Path) -> Result<Vec<String>> {
    let path = files.join(GLOBALS);
    let text = std::fs::read_to_string(&path).context(|| format!("cannot read {}", path.display()))?;
    let name = |line: &str| {
        let name = line.strip_prefix("CREATE ROLE ")?.strip_suffix(';')?;
        Some(
            name.strip_prefix('"').and_then(|n| n.strip_suffix('"')).map_or_else(|| name.to_owned(), |n| n.replace("\"\"", "\"")),
        )
    };
    Ok(text.lines().filter_map(name).collect())
}

/// The rows of each table of a dump.
fn rows(dump: &Path) -> Result<Counts> {
    let program = Program::new("pg_restore").bare().args(["--data-only", "--file=-"]).arg(dump);
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
