//! Runs external programs: an argument list and never a shell, bounded in time and output, without deadlocks.
//!
//! Invariants: standard input is written and both outputs are read by threads of their own, so a full pipe blocks nobody; a
//! program runs in a process group of its own, so that what it started ends with it (SIGTERM, two seconds later SIGKILL);
//! its group is only signalled while the program is not yet reaped, so no stranger with a reused id is hit; when it has
//! ended, its output is read to the end unless something it left behind holds the pipe open for more than a second.
//! The environment is inherited, with the changes that the caller states.

mod running;

pub use running::{Ended, Event, Running};

use crate::base::error::{Context, Error, Result};
use crate::base::quantity::Bytes;
use crate::base::text::ellipsis;
use crate::config::Env;
use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The largest output that [`Program::run`] collects unless the caller says otherwise.
const OUTPUT_MAX: Bytes = Bytes(64 << 20);
/// How often [`Program::run_while`] asks whether its answer is still wanted.
const ASKED_EVERY: Duration = Duration::from_millis(100);

/// An external program and how to run it.
#[derive(Clone, Debug)]
pub struct Program {
    argv: Vec<OsString>,
    env: Vec<(OsString, Option<OsString>)>,
    dir: Option<PathBuf>,
    total: Option<Duration>,
    quiet: Option<Duration>,
    output_max: Bytes,
    attached: bool,
    bare: bool,
}

/// The variables that a program has which must not reach what is in use: where programs and words of its language are.
const BARE: [&str; 8] = ["PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TERM", "TMPDIR", "LD_LIBRARY_PATH"];

/// What a program wrote and how it ended.
#[derive(Clone, Debug)]
pub struct Output {
    /// How it ended.
    pub ended: Ended,
    /// All of its standard output.
    pub stdout: Vec<u8>,
    /// The last part of its standard error, at most 64 KiB.
    pub stderr: String,
}

impl Output {
    /// The standard output of a program of this name.
    ///
    /// # Errors
    /// When it ended otherwise than with exit status 0, with the last lines of its standard error.
    pub fn printed(self, name: &str) -> Result<Vec<u8>> {
        if self.ended.success() {
            return Ok(self.stdout);
        }
        Err(Error::new(why(name, &self.ended, &self.stderr)))
    }
}

impl Program {
    /// A program by its path, or by its name on `PATH`.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            argv: vec![program.as_ref().to_owned()],
            env: Vec::new(),
            dir: None,
            total: None,
            quiet: None,
            output_max: OUTPUT_MAX,
            attached: false,
            bare: false,
        }
    }

    /// A program with its arguments in one list, as configuration gives it.
    ///
    /// # Errors
    /// When the list is empty.
    pub fn from_argv<S: AsRef<OsStr>>(argv: &[S]) -> Result<Self> {
        let (program, args) = argv.split_first().ok_or_else(|| Error::usage("the command is an empty list"))?;
        Ok(Self::new(program).args(args))
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.argv.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.argv.extend(args.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), Some(value.as_ref().to_owned())));
        self
    }

    /// Takes a variable out of its environment.
    #[must_use]
    pub fn unset(mut self, name: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), None));
        self
    }

    /// Gives it nothing of this process's environment but `BARE` and what it is given itself: no address, no credentials, no home.
    pub fn bare(mut self) -> Self {
        self.bare = true;
        self
    }

    /// The directory it runs in; without it, the one of this process.
    #[must_use]
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// How long it may run.
    #[must_use]
    pub fn timeout(mut self, total: Duration) -> Self {
        self.total = Some(total);
        self
    }

    /// How long it may go without writing to standard output.
    #[must_use]
    pub fn quiet_timeout(mut self, quiet: Duration) -> Self {
        self.quiet = Some(quiet);
        self
    }

    /// How much standard output [`Program::run`] takes before it gives up.
    #[must_use]
    pub fn output_max(mut self, max: Bytes) -> Self {
        self.output_max = max;
        self
    }

    /// Leaves it in this process's group, so that it may ask for a passphrase at the terminal and Ctrl-C reaches it. Then
    /// only the program itself is ended by a timeout, not what it started.
    #[must_use]
    pub fn attached(mut self) -> Self {
        self.attached = true;
        self
    }

    /// The name of the program, for messages.
    pub fn name(&self) -> String {
        self.argv.first().map(|p| Path::new(p).file_name().unwrap_or(p).to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// Starts it; its input stays open until [`Running::close_input`].
    ///
    /// # Errors
    /// When the program or its directory does not exist or may not be executed, or the system has no more processes.
    pub fn start(&self) -> Result<Running> {
        use std::os::unix::process::CommandExt as _;
        let (program, args) = self.argv.split_first().ok_or_else(|| Error::usage("the command is an empty list"))?;
        if let Some(dir) = self.dir.as_deref().filter(|d| !d.is_dir()) {
            return Err(Error::new(format!("cannot run `{}` in `{}`: there is no such directory", self.name(), dir.display())));
        }
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if self.bare {
            let own = Env::from_process();
            command.env_clear().envs(BARE.iter().filter_map(|name| Some((name, own.os(name)?))));
        }
        for (name, value) in &self.env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        if !self.attached {
            command.process_group(0);
        }
        let child = command.spawn().map_err(|e| cannot_run(program, e))?;
        Running::new(child, self)
    }

    /// Runs it to its end, feeds it `input` and collects its output. How it ended is for the caller to judge.
    ///
    /// # Errors
    /// What [`Program::start`] fails with; more output than allowed.
    pub fn run(&self, input: &[u8]) -> Result<Output> {
        self.run_while(input, &mut || true)
    }

    /// The same while `goes_on`, which is asked ten times a second, says so; then it is killed with all that it started, and its end
    /// is [`Ended::GivenUp`].
    ///
    /// # Errors
    /// As [`Program::run`].
    pub fn run_while(&self, input: &[u8], goes_on: &mut dyn FnMut() -> bool) -> Result<Output> {
        let mut running = self.start()?;
        running.feed(input.to_vec());
        running.close_input();
        let (mut stdout, mut asked) = (Vec::new(), Instant::now());
        loop {
            let happened = running.next_before(Some(asked + ASKED_EVERY))?;
            if asked.elapsed() >= ASKED_EVERY {
                if !matches!(happened, Some(Event::Ended(_))) && !goes_on() {
                    return Ok(Output { ended: Ended::GivenUp, stdout, stderr: running.stderr() });
                }
                asked = Instant::now();
            }
            match happened {
                None => {}
                Some(Event::Stdout(bytes)) => {
                    stdout.extend_from_slice(&bytes);
                    if stdout.len() as u64 > self.output_max.0 {
                        return Err(Error::new(format!("`{}` wrote more than {}", self.name(), self.output_max)));
                    }
                }
                Some(Event::Ended(ended)) => return Ok(Output { ended, stdout, stderr: running.stderr() }),
            }
        }
    }

    /// Runs it to its end and gives its standard output.
    ///
    /// # Errors
    /// What [`Program::run`] fails with; an end other than exit status 0, with the last lines of its standard error.
    pub fn output(&self, input: &[u8]) -> Result<Vec<u8>> {
        self.run(input)?.printed(&self.name())
    }
}

/// The file that [`Program::start`] would run for a program in the directory `dir`, with `path` as `PATH`; it is not run.
pub fn find(program: &str, dir: &Path, path: &OsStr) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let runs = |file: &PathBuf| std::fs::metadata(file).is_ok_and(|is| is.is_file() && is.permissions().mode() & 0o111 != 0);
    if program.contains('/') {
        return Some(dir.join(program)).filter(runs);
    }
    std::env::split_paths(path).map(|place| dir.join(place).join(program)).find(runs)
}

/// True when a process of this number runs on this machine, whosever it is.
pub fn is_alive(pid: i64) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| !matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH)))
}

/// One line on how a program ended, with the last lines of what it said.
pub fn why(name: &str, ended: &Ended, stderr: &str) -> String {
    let said: Vec<&str> = stderr.lines().map(str::trim_end).filter(|l| !l.is_empty()).collect();
    let last = &said[said.len().saturating_sub(5)..];
    let message = format!("`{name}` {ended}");
    if last.is_empty() { message } else { format!("{message}: {}", ellipsis(&last.join(" / "), 500)) }
}

/// Words why a program could not be started, and what helps.
pub fn cannot_run(program: &OsStr, e: io::Error) -> Error {
    let kind = e.kind();
    let shown = program.to_string_lossy().into_owned();
    let path = shown.contains('/');
    let hint = match kind {
        io::ErrorKind::NotFound if path => format!("check that `{shown}` and the interpreter in its first line exist"),
        io::ErrorKind::NotFound => format!("install `{shown}`, or put its directory on PATH"),
        io::ErrorKind::PermissionDenied => format!("make it executable: `chmod +x {shown}`"),
        _ => String::new(),
    };
    let error = match Err::<Infallible, _>(e).context(|| format!("cannot run `{shown}`")) {
        Err(e) => e,
        Ok(never) => match never {},
    };
    if hint.is_empty() { error } else { error.hint(hint) }
}

#[cfg(test)]
mod tests;
