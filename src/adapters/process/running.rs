//! A program while it runs: its events in one stream, its end within its limits.

use super::Program;
use crate::base::error::{Context, Result};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid};
use std::collections::VecDeque;
use std::fmt;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdin, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// Bytes of standard error that are kept: its end says what went wrong.
const STDERR_KEPT: usize = 64 * 1024;
/// Pieces of output that wait for the caller before the program has to.
const BACKLOG: usize = 64;
/// How long a program may take to clean up after SIGTERM.
const AFTER_TERM: Duration = Duration::from_secs(2);
/// How long its pipes are still read after its end, when something it left behind holds them open.
const AFTER_END: Duration = Duration::from_secs(1);

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this status.
    Status(i32),
    /// By a signal that kf did not send.
    Signal(i32),
    /// It was stopped because it ran longer than this.
    Overtime(Duration),
    /// It was stopped because it wrote nothing for this long.
    Quiet(Duration),
    /// It was killed because nobody waits for it any more.
    GivenUp,
}

impl Ended {
    /// True for exit status 0.
    pub fn success(&self) -> bool {
        *self == Self::Status(0)
    }

    /// How a process with this status ended.
    pub fn of(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Status(code),
            (None, signal) => Self::Signal(signal.unwrap_or(0)),
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(code) => write!(f, "ended with exit status {code}"),
            Self::Signal(n) => match signal_name(*n) {
                Some(name) => write!(f, "was ended by {name} (signal {n})"),
                None => write!(f, "was ended by signal {n}"),
            },
            Self::Overtime(limit) => write!(f, "was stopped: it ran longer than {} s", limit.as_secs_f64()),
            Self::GivenUp => f.write_str("was stopped: nobody waits for it any more"),
            Self::Quiet(limit) => write!(f, "was stopped: it wrote nothing for {} s", limit.as_secs_f64()),
        }
    }
}

/// The names of the signals that end programs (POSIX.1-2024, `signal.h`); their numbers differ between systems.
fn signal_name(n: i32) -> Option<&'static str> {
    let names = [
        (Signal::HUP, "SIGHUP"),
        (Signal::INT, "SIGINT"),
        (Signal::QUIT, "SIGQUIT"),
        (Signal::ILL, "SIGILL"),
        (Signal::ABORT, "SIGABRT"),
        (Signal::BUS, "SIGBUS"),
        (Signal::FPE, "SIGFPE"),
        (Signal::KILL, "SIGKILL"),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::PIPE, "SIGPIPE"),
        (Signal::ALARM, "SIGALRM"),
        (Signal::TERM, "SIGTERM"),
        (Signal::XCPU, "SIGXCPU"),
        (Signal::XFSZ, "SIGXFSZ"),
    ];
    names.iter().find(|(s, _)| s.as_raw() == n).map(|(_, name)| *name)
}

/// What a running program does next.
#[derive(Debug)]
pub enum Event {
    /// It wrote to standard output.
    Stdout(Vec<u8>),
    /// It has ended, and all of its output was given out.
    Ended(Ended),
}

enum Message {
    Stdout(Vec<u8>),
    Stderr(Vec<u8>),
    PipeEnd,
    Exited,
}

/// How far stopping it has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stopping {
    No,
    Terminated,
    Killed,
}

/// A program that was started. Dropping it kills it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    group: bool,
    name: String,
    input: Option<Sender<Vec<u8>>>,
    messages: Receiver<Message>,
    stderr: VecDeque<u8>,
    open_pipes: u8,
    exited: bool,
    stopping: Stopping,
    stopped_for: Option<Ended>,
    quiet: Option<Duration>,
    total: Option<(Instant, Duration)>,
    /// When standard input or output last had something, or the last stage of stopping began.
    since: Instant,
}

impl Running {
    pub(super) fn new(mut child: Child, program: &Program) -> Result<Self> {
        let (sender, messages) = sync_channel(BACKLOG);
        let mut open_pipes = 0;
        if let Some(pipe) = child.stdout.take() {
            open_pipes += 1;
            read(pipe, sender.clone(), Message::Stdout);
        }
        if let Some(pipe) = child.stderr.take() {
            open_pipes += 1;
            read(pipe, sender.clone(), Message::Stderr);
        }
        let input = child.stdin.take().map(write);
        wait(Pid::from_child(&child), sender);
        let since = Instant::now();
        Ok(Self {
            child,
            group: !program.attached,
            name: program.name(),
            input,
            messages,
            stderr: VecDeque::new(),
            open_pipes,
            exited: false,
            stopping: Stopping::No,
            stopped_for: None,
            quiet: program.quiet,
            total: program.total.map(|t| (since, t)),
            since,
        })
    }

    /// Hands bytes to its standard input without waiting. A program that no longer reads is not an error.
    pub fn feed(&mut self, bytes: Vec<u8>) {
        if self.stopping == Stopping::No && !self.exited {
            self.since = Instant::now();
        }
        if self.input.as_ref().is_some_and(|i| i.send(bytes).is_err()) {
            self.input = None;
        }
    }

    /// Ends its standard input once all that was fed is written.
    pub fn close_input(&mut self) {
        self.input = None;
    }

    /// From now on it may run only this much longer.
    pub fn end_within(&mut self, limit: Duration) {
        self.total = Some((Instant::now(), limit));
    }

    /// The last part of what it wrote to standard error so far.
    pub fn stderr(&self) -> String {
        let bytes: Vec<u8> = self.stderr.iter().copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits for what happens next.
    ///
    /// # Errors
    /// When the system cannot tell how the program ended.
    #[expect(clippy::should_implement_trait, reason = "an iterator would have to end after `Ended`; callers match on it")]
    pub fn next(&mut self) -> Result<Event> {
        loop {
            if let Some(event) = self.next_before(None)? {
                return Ok(event);
            }
        }
    }

    /// Waits for what happens next, at most until `at`; `None` when nothing did.
    ///
    /// # Errors
    /// When the system cannot tell how the program ended.
    pub fn next_before(&mut self, at: Option<Instant>) -> Result<Option<Event>> {
        loop {
            if self.exited && self.open_pipes == 0 {
                return self.reap().map(Some);
            }
            let message = match self.deadline().into_iter().chain(at).min() {
                Some(at) => self.messages.recv_timeout(at.saturating_duration_since(Instant::now())),
                None => self.messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match message {
                Ok(Message::Stdout(bytes)) => {
                    if self.stopping == Stopping::No && !self.exited {
                        self.since = Instant::now();
                    }
                    return Ok(Some(Event::Stdout(bytes)));
                }
                Ok(Message::Stderr(bytes)) => self.keep_stderr(&bytes),
                Ok(Message::PipeEnd) => self.open_pipes = self.open_pipes.saturating_sub(1),
                Ok(Message::Exited) => {
                    self.exited = true;
                    self.since = Instant::now();
                }
                Err(RecvTimeoutError::Timeout) if self.deadline().is_some_and(|d| Instant::now() >= d) => self.overdue(),
                Err(RecvTimeoutError::Timeout) => return Ok(None),
                // Every thread has said its last word: nothing more can come.
                Err(RecvTimeoutError::Disconnected) => (self.exited, self.open_pipes) = (true, 0),
            }
        }
    }

    /// When patience ends, if ever.
    fn deadline(&self) -> Option<Instant> {
        match self.stopping {
            Stopping::Terminated if !self.exited => Some(self.since + AFTER_TERM),
            Stopping::No if !self.exited => {
                let total = self.total.map(|(start, limit)| start + limit);
                let quiet = self.quiet.map(|limit| self.since + limit);
                total.into_iter().chain(quiet).min()
            }
            _ => Some(self.since + AFTER_END),
        }
    }

    /// Patience has ended: takes the next step of stopping the program, or what it left behind.
    fn overdue(&mut self) {
        let now = Instant::now();
        match (self.exited, self.stopping) {
            (false, Stopping::No) => {
                let overtime =
                    self.total.filter(|(start, limit)| now >= *start + *limit).map(|(_, limit)| Ended::Overtime(limit));
                self.stopped_for = overtime.or(self.quiet.map(Ended::Quiet));
                self.stopping = Stopping::Terminated;
                self.signal(Signal::TERM);
            }
            (_, Stopping::Killed) => {
                // Something outside its group holds the pipes, or the system does not let it go: do not wait for ever.
                self.exited = true;
                self.open_pipes = 0;
            }
            _ => {
                self.stopping = Stopping::Killed;
                self.signal(Signal::KILL);
            }
        }
        self.since = now;
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        // An error means that it is gone, which is what was wanted.
        let _ = if self.group { kill_process_group(pid, signal) } else { kill_process(pid, signal) };
    }

    fn keep_stderr(&mut self, bytes: &[u8]) {
        self.stderr.extend(bytes);
        let excess = self.stderr.len().saturating_sub(STDERR_KEPT);
        self.stderr.drain(..excess);
    }

    fn reap(&mut self) -> Result<Event> {
        let status = self.child.try_wait().context(|| format!("cannot learn how `{}` ended", self.name))?;
        let ended = self.stopped_for.or(status.map(Ended::of)).unwrap_or(Ended::Signal(Signal::KILL.as_raw()));
        Ok(Event::Ended(ended))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(Signal::KILL);
            // One that did not end by SIGKILL before will not end now either.
            if self.stopping != Stopping::Killed {
                let _ = self.child.wait();
            }
        }
    }
}

fn read(mut pipe: impl Read + Send + 'static, to: SyncSender<Message>, wrap: fn(Vec<u8>) -> Message) {
    thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match pipe.read(&mut buffer) {
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => break,
                Ok(n) => {
                    let piece = buffer.get(..n).unwrap_or_default().to_vec();
                    if to.send(wrap(piece)).is_err() {
                        return;
                    }
                }
            }
        }
        let _ = to.send(Message::PipeEnd);
    });
}

fn write(mut pipe: ChildStdin) -> Sender<Vec<u8>> {
    let (sender, pieces) = channel::<Vec<u8>>();
    thread::spawn(move || {
        for piece in pieces {
            // A program may end or close its input before it has read everything; how it ended tells whether that is wrong.
            if pipe.write_all(&piece).and_then(|()| pipe.flush()).is_err() {
                return;
            }
        }
    });
    sender
}

/// Waits for the end without reaping, so that the process id stays taken until [`Running`] lets it go.
fn wait(pid: Pid, to: SyncSender<Message>) {
    thread::spawn(move || {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        // Any error but an interruption means that there is nothing left to wait for.
        let _ = rustix::io::retry_on_intr(|| waitid(WaitId::Pid(pid), options));
        let _ = to.send(Message::Exited);
    });
}
