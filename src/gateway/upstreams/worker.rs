//! The process between a gateway and the program of a version: it starts the program, and ends it when its own standard input
//! ends, because the gateway closed it or is gone.
//!
//! So a gateway that is killed with SIGKILL leaves nothing that serves nobody, on every system, also of what the program started
//! itself. The program is in a process group of its own, which is signalled only while the program is not reaped, so that no
//! stranger with its number is hit.

use crate::adapters::process::{Ended, Program, cannot_run};
use crate::base::error::{Context, Error, Result};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use std::ffi::OsString;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The name of the hidden command.
pub const WORKER: &str = "upstream-worker";
/// How long a program may take to end after SIGTERM.
pub(super) const GRACE: Duration = Duration::from_secs(5);

/// The program of a version, tended; `kf` is kf itself.
pub(super) fn tended(kf: &Path, argv: &[String]) -> Program {
    Program::new(kf).arg(WORKER).arg("--").args(argv)
}

/// Starts a program and tends it until it has ended; how it ended is the last that it writes to standard error.
///
/// # Errors
/// When it cannot be waited for.
pub fn tend(argv: &[OsString]) -> Result<()> {
    let (program, args) = argv.split_first().ok_or_else(|| Error::usage("the command is an empty list"))?;
    let output = || std::io::stdout().as_fd().try_clone_to_owned().context(|| "cannot hand the output down");
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(output()?).stderr(output()?).process_group(0);
    let said = match command.spawn() {
        Ok(child) => format!("`{}` {}", program.to_string_lossy(), watched(child)?),
        Err(e) => cannot_run(program, e).to_string(),
    };
    writeln!(std::io::stderr(), "{said}").context(|| "cannot tell how the program ended")
}

/// Waits for the end of a program, and sees to it that it comes when standard input ends.
fn watched(mut child: Child) -> Result<Ended> {
    let pid = Pid::from_child(&child);
    let reaped = Arc::new(Mutex::new(false));
    let shared = Arc::clone(&reaped);
    std::thread::spawn(move || {
        // Whatever comes is not for the program; an error is as good as the end.
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        signal(pid, &shared, Signal::TERM);
        std::thread::sleep(GRACE);
        signal(pid, &shared, Signal::KILL);
    });
    // It stays unreaped, so that its number is not given away while what it left behind is ended.
    let waited = rustix::io::retry_on_intr(|| waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT));
    waited.map(drop).context(|| "cannot wait for the program")?;
    signal(pid, &reaped, Signal::KILL);
    *reaped.lock().unwrap_or_else(PoisonError::into_inner) = true;
    child.wait().map(Ended::of).context(|| "cannot learn how the program ended")
}

fn signal(pid: Pid, reaped: &Mutex<bool>, signal: Signal) {
    let reaped = reaped.lock().unwrap_or_else(PoisonError::into_inner);
    if !*reaped {
        // An error means that nobody of the group is there, which is what was wanted.
        let _ = kill_process_group(pid, signal);
    }
}
