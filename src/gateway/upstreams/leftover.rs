//! Programs that a gateway left behind: both it and the process that tends its programs were killed.
//!
//! Every program of a gateway has its mark in its environment, and the lock of a target lets only one gateway have that mark. So
//! whoever holds the lock and finds a process with the mark that it did not start has found a leftover. A process is held by a
//! descriptor before its environment is read, so that no stranger with its number is hit (`pidfd_open(2)`). Where there is no
//! `/proc`, only the tending process ends them.

/// Ends the processes whose environment has all of these lines, `NAME=VALUE`; how many there were.
#[cfg(target_os = "linux")]
pub(super) fn end(marks: &[String]) -> usize {
    use std::time::Duration;
    let found = marked(marks);
    for pidfd in &found {
        // An error means that it is gone, which is what was wanted.
        let _ = rustix::process::pidfd_send_signal(pidfd, rustix::process::Signal::KILL);
    }
    // They hold ports and files until they are gone; a process that the system does not let go is not waited for for ever.
    for _ in 0..50 {
        if marked(marks).is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    found.len()
}

#[cfg(target_os = "linux")]
fn marked(marks: &[String]) -> Vec<std::os::fd::OwnedFd> {
    use rustix::process::{Pid, PidfdFlags, getpid, pidfd_open};
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok()).filter_map(Pid::from_raw);
    let held = ids.filter(|pid| *pid != getpid()).filter_map(|pid| {
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        // Of others' processes the environment cannot be read, and a zombie has none.
        let environ = std::fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero())).ok()?;
        let has = |mark: &String| environ.split(|b| *b == 0).any(|line| line == mark.as_bytes());
        marks.iter().all(has).then_some(pidfd)
    });
    held.collect()
}

#[cfg(not(target_os = "linux"))]
pub(super) fn end(_: &[String]) -> usize {
    0
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn only_what_has_every_mark_is_ended() {
        let mine = format!("KF_GATEWAY=/test/{}", std::process::id());
        let value = mine.split_once('=').expect("a value").1;
        let start = |version: &str| {
            let mut command = Command::new("sleep");
            command.arg("600").env("KF_GATEWAY", value).env("KF_VERSION", version).spawn().expect("starts")
        };
        let (mut one, mut other) = (start("1.0.0"), start("1.0.1"));
        // A program that was only just started may not be itself yet.
        let marks = [mine.clone(), "KF_VERSION=1.0.0".to_owned()];
        while marked(&marks).is_empty() {
            std::thread::yield_now();
        }
        assert_eq!(end(&marks), 1);
        assert!(!one.wait().expect("ended").success());
        assert!(other.try_wait().expect("asked").is_none(), "the other one runs");
        while marked(std::slice::from_ref(&mine)).is_empty() {
            std::thread::yield_now();
        }
        assert_eq!(end(&[mine]), 1);
        other.wait().expect("ended");
    }
}
