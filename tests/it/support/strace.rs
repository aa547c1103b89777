//! Faults at system calls, injected with strace: a kill -9, an I/O error or a full disk at the n-th call of one kind.
//!
//! strace counts calls by kind and by thread, so a point is (call, n): the first thread that reaches its n-th such call is hit.
//! A rehearsal without fault lists the points. strace filters in the kernel (`--seccomp-bpf`) only where nothing is injected:
//! together they inject nothing.

use super::program;
use super::sandbox::{Run, Sandbox};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::process::Command;

/// Every system call that changes a file, a directory or what the other side of a connection knows.
pub(crate) const CHANGING: &[&str] = &[
    "write",
    "writev",
    "pwrite64",
    "pwritev",
    "pwritev2",
    "copy_file_range",
    "sendfile",
    "fsync",
    "fdatasync",
    "sync_file_range",
    "ftruncate",
    "truncate",
    "fallocate",
    "open",
    "openat",
    "creat",
    "mkdir",
    "mkdirat",
    "rmdir",
    "link",
    "linkat",
    "symlink",
    "symlinkat",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "fchmod",
    "sendto",
    "sendmsg",
    "sendmmsg",
];

/// Calls by which a disk reports that it failed or is full.
pub(crate) const FAILING: &[&str] = &[
    "write",
    "pwrite64",
    "fsync",
    "fdatasync",
    "ftruncate",
    "fallocate",
    "mkdir",
    "link",
    "linkat",
    "rename",
    "renameat",
    "renameat2",
];

/// What happens at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// SIGKILL before the call takes effect.
    Kill,
    /// The call fails with EIO.
    IoError,
    /// The call fails with ENOSPC.
    NoSpace,
}

impl Fault {
    fn injection(self) -> &'static str {
        match self {
            Self::Kill => "signal=KILL",
            Self::IoError => "error=EIO",
            Self::NoSpace => "error=ENOSPC",
        }
    }
}

/// The n-th call of one kind in a thread.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Point {
    /// The system call.
    pub(crate) call: String,
    /// Which, from 1.
    pub(crate) n: u32,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} #{}", self.call, self.n)
    }
}

/// strace, where it is installed and may trace.
#[derive(Clone, Debug)]
pub(crate) struct Strace(PathBuf);

impl Strace {
    /// Finds strace and tries it; the error says why it cannot be used.
    pub(crate) fn find() -> Result<Self, String> {
        let strace = program("strace", &[]).ok_or("strace is not installed")?;
        let tried = Command::new(&strace).args(["-qq", "-f", "-o", "/dev/null", "true"]).output();
        match tried {
            Ok(out) if out.status.success() => Ok(Self(strace)),
            Ok(out) => Err(format!("strace may not trace here: {}", String::from_utf8_lossy(&out.stderr).trim())),
            Err(e) => Err(format!("strace does not run: {e}")),
        }
    }

    /// Runs a command without a fault: how it ended, and every point it passes, in the order in which they are first reached.
    pub(crate) fn rehearse(&self, sandbox: &Sandbox, calls: &[&str], command: &[String]) -> (Run, Vec<Point>) {
        let log = sandbox.root().join("strace.log");
        let mut strace = sandbox.command(&self.0);
        strace.args(["-f", "-qq", "-o"]).arg(&log).args(["-e", &traced(calls), "-e", "signal=none", "-s", "0"]).args(command);
        let run = sandbox.finish(&mut strace);
        (run, points(&std::fs::read_to_string(log).expect("strace wrote its log")))
    }

    /// Runs a command and gives what it called, in the order in which the calls ended, with the paths of descriptors: `(call, arguments)`.
    pub(crate) fn record(&self, sandbox: &Sandbox, calls: &[&str], command: &[String]) -> (Run, Vec<(String, String)>) {
        let log = sandbox.root().join("strace.log");
        let mut strace = sandbox.command(&self.0);
        strace
            .args(["-f", "-qq", "-y", "-o"])
            .arg(&log)
            .args(["-e", &traced(calls), "-e", "signal=none", "-s", "0"])
            .args(command);
        let run = sandbox.finish(&mut strace);
        (run, ended(&std::fs::read_to_string(log).expect("strace wrote its log")))
    }

    /// Runs a command with a fault at a point.
    pub(crate) fn strike(&self, sandbox: &Sandbox, fault: Fault, point: &Point, command: &[String]) -> Run {
        let inject = format!("inject={}:{}:when={}", point.call, fault.injection(), point.n);
        let mut strace = sandbox.command(&self.0);
        strace
            .args(["-f", "-qq", "-o", "/dev/null", "-e", &traced(&[&point.call]), "-e", "signal=none", "-e", &inject])
            .args(command);
        sandbox.finish(&mut strace)
    }
}

/// A call that this machine's architecture lacks is passed over (`?`).
fn traced(calls: &[&str]) -> String {
    let known: Vec<_> = calls.iter().map(|c| format!("?{c}")).collect();
    format!("trace={}", known.join(","))
}

/// The calls that succeeded. One that another thread interrupted in the log has its arguments where it began.
fn ended(log: &str) -> Vec<(String, String)> {
    let mut begun: BTreeMap<&str, &str> = BTreeMap::new();
    let mut found = Vec::new();
    for (pid, rest) in log.lines().filter_map(|l| l.split_once(' ')) {
        let rest = rest.trim_start();
        if let Some(start) = rest.strip_suffix(" <unfinished ...>") {
            begun.insert(pid, start);
            continue;
        }
        let text = if rest.starts_with("<... ") { begun.remove(pid).unwrap_or_default() } else { rest };
        let failed = rest.rsplit_once(" = ").is_none_or(|(_, result)| result.starts_with('-'));
        if let (Some((call, arguments)), false) = (text.split_once('('), failed) {
            found.push((call.to_owned(), arguments.to_owned()));
        }
    }
    found
}

/// The points in strace's log. A line is `PID call(…) = result`, or `PID call(… <unfinished ...>` when threads interleave.
fn points(log: &str) -> Vec<Point> {
    let mut counts: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    let mut found = Vec::new();
    for (pid, rest) in log.lines().filter_map(|l| l.split_once(' ')) {
        let Some((call, arguments)) = rest.trim_start().split_once('(') else { continue };
        if !call.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            continue;
        }
        let n = counts.entry((pid, call)).or_insert(0);
        *n += 1;
        let point = Point { call: call.to_owned(), n: *n };
        // Opening a file changes something only when it makes it.
        let reads = call.starts_with("open") && !arguments.contains("O_CREAT") && !arguments.contains("O_TRUNC");
        if !reads && !found.contains(&point) {
            found.push(point);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_listed_as_they_end() {
        let log = "7 fsync(3</a/b> <unfinished ...>\n8 rename(\"/a\", \"/b\") = 0\n7 <... fsync resumed>) = 0\n\
                   7 mkdir(\"/a\", 0777) = -1 EEXIST (File exists)\n7 +++ exited with 0 +++\n";
        let found: Vec<_> = ended(log).iter().map(|(call, arguments)| format!("{call} {arguments}")).collect();
        assert_eq!(found, ["rename \"/a\", \"/b\") = 0", "fsync 3</a/b>"]);
    }

    #[test]
    fn points_are_counted_by_call_and_thread() {
        let log = "7 write(1, \"\"..., 1) = 1\n8 write(1 <unfinished ...>\n7  fsync(3) = 0\n7 write(1, \"\"..., 1) = 1\n\
                   8 <... write resumed>) = 1\n7 openat(AT_FDCWD, \"\"..., O_RDONLY) = 3\n7 openat(1, \"\"..., O_RDWR|O_CREAT, 0666) = 3\n\
                   7 +++ exited with 0 +++\n";
        let found: Vec<_> = points(log).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["write #1", "fsync #1", "write #2", "openat #2"]);
    }
}
