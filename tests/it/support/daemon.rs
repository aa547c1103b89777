//! A server that lives as long as the test process, and not a moment longer.
//!
//! The server is the child of a small shell which waits for the end of its input. The test process holds the other end: when
//! it ends, in whatever way (also by kill -9), the kernel closes the pipe, the shell stops the server and removes its files.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

/// Starts the server in the background and tells its process id; kills it or starts it again when told to; at the end of its
/// input stops it and removes the directory.
///
/// A server that forks could make a child between the look for its children and its death, and such an orphan keeps
/// PostgreSQL's shared memory, so that the server does not start again: it is stopped first, and all are dead before the answer.
const WATCHDOG: &str = r#"
dir=$1; log=$2; shift 2
start() { "$@" </dev/null >>"$log" 2>&1 & pid=$!; echo "$pid"; }
start "$@"
while read -r word; do
    case $word in
    kill)
        kill -STOP "$pid"
        while state=$(ps -o stat= -p "$pid") && case $state in T* | Z*) false ;; esac; do sleep 0.01; done
        all="$pid $(pgrep -P "$pid")"
        kill -KILL $all
        wait "$pid"
        while ps -o stat= -p "$(echo $all)" | grep -qv '^Z'; do sleep 0.01; done
        echo 0 ;;
    start) start "$@" ;;
    esac
done
kill -INT "$pid"
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do kill -0 "$pid" || break; sleep 0.2; done
kill -0 "$pid" && kill -KILL "$pid"
wait "$pid"
rm -rf "$dir"
"#;

/// A running server; stopped, and its directory removed, when this is dropped or the process ends.
#[derive(Debug)]
pub(crate) struct Daemon {
    watchdog: Child,
    answers: BufReader<ChildStdout>,
    pid: u32,
}

impl Daemon {
    /// Starts `command` (a program and its arguments), which owns the directory `dir` and logs to `log`.
    pub(crate) fn start(dir: &Path, log: &Path, command: &[String]) -> Result<Self, String> {
        let mut watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, "watchdog"])
            .args([dir, log])
            .args(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Ctrl-C at the terminal must not reach the shell before it has cleaned up.
            .process_group(0)
            .spawn()
            .map_err(|e| format!("cannot start sh: {e}"))?;
        let out = watchdog.stdout.take().ok_or("the watchdog has no output")?;
        let mut daemon = Self { watchdog, answers: BufReader::new(out), pid: 0 };
        daemon.pid = daemon.answer()?;
        Ok(daemon)
    }

    /// The process id of the server.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Kills the server and its children with SIGKILL, and returns when they are dead; their files stay.
    pub(crate) fn kill(&mut self) -> Result<(), String> {
        self.tell("kill").map(|_| ())
    }

    /// Starts the killed server again, with the same command and files.
    pub(crate) fn start_again(&mut self) -> Result<(), String> {
        self.pid = self.tell("start")?;
        Ok(())
    }

    fn tell(&mut self, word: &str) -> Result<u32, String> {
        let to = self.watchdog.stdin.as_mut().ok_or("the watchdog has no input")?;
        writeln!(to, "{word}").map_err(|e| format!("the watchdog is gone: {e}"))?;
        self.answer()
    }

    fn answer(&mut self) -> Result<u32, String> {
        let mut line = String::new();
        self.answers.read_line(&mut line).map_err(|e| format!("the watchdog says nothing: {e}"))?;
        line.trim().parse().map_err(|e| format!("the watchdog says {line:?}: {e}"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}

/// Sends SIGKILL to a process.
pub(crate) fn kill(pid: u32) {
    let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).stderr(Stdio::null()).status();
}

/// True while a process runs (a zombie does not).
pub(crate) fn alive(pid: u32) -> bool {
    let state = Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output();
    state.is_ok_and(|o| o.status.success() && !o.stdout.starts_with(b"Z"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::wait_until;

    #[test]
    fn a_server_goes_with_the_process_that_started_it() {
        let dir = tempfile::tempdir().expect("a directory").keep();
        let command = ["sleep", "300"].map(str::to_owned);
        let daemon = Daemon::start(&dir, &dir.join("log"), &command).expect("started");
        let pid = daemon.pid();
        assert!(alive(pid), "it runs");
        drop(daemon);
        assert!(!alive(pid), "it is stopped");
        assert!(!dir.exists(), "its files are gone");
    }

    #[test]
    fn a_server_that_never_stops_forking_is_killed_with_all_its_children() {
        let dir = tempfile::tempdir().expect("a directory").keep();
        let script = r#"while :; do sleep 300 & echo $! >>"$0/children"; done"#;
        let command = ["sh", "-c", script, &dir.display().to_string()].map(str::to_owned);
        let mut daemon = Daemon::start(&dir, &dir.join("log"), &command).expect("started");
        let children = || std::fs::read_to_string(dir.join("children")).unwrap_or_default();
        assert!(wait_until(10, || children().lines().count() > 20), "it forks");
        daemon.kill().expect("killed");
        let left: Vec<u32> = children().lines().filter_map(|l| l.parse().ok()).filter(|&pid| alive(pid)).collect();
        left.iter().for_each(|&pid| kill(pid));
        assert_eq!(left, Vec::<u32>::new(), "of {} children", children().lines().count());
    }

    /// The shell that starts the watchdog here stands for a test process that is killed.
    #[test]
    fn a_server_goes_when_its_process_is_killed() {
        let dir = tempfile::tempdir().expect("a directory").keep();
        let script = r#"sleep 300 | sh -c "$1" watchdog "$2" /dev/null sleep 301 >"$3" & wait"#;
        let told = tempfile::NamedTempFile::new().expect("a file");
        let mut parent = Command::new("bash")
            .args(["-c", script, "parent", WATCHDOG])
            .args([&dir, told.path()])
            .process_group(0)
            .spawn()
            .expect("bash runs");
        let read = || std::fs::read_to_string(told.path()).unwrap_or_default().trim().parse::<u32>().ok();
        assert!(wait_until(10, || read().is_some()), "the watchdog tells the process id");
        let server = read().expect("told");
        let holder =
            Command::new("pgrep").args(["-g", &parent.id().to_string(), "-x", "-f", "sleep 300"]).output().expect("pgrep");
        kill(String::from_utf8_lossy(&holder.stdout).trim().parse().expect("the holder of the pipe runs"));
        assert!(wait_until(10, || !alive(server) && !dir.exists()), "server and files are gone");
        let _ = parent.wait();
    }
}
