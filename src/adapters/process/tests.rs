use super::*;
use std::time::Instant;

fn sh(script: &str) -> Program {
    Program::new("sh").arg("-c").arg(script).timeout(Duration::from_secs(20))
}

#[test]
fn how_a_program_ended_is_worded() {
    let check = |script: &str, ended: Ended, worded: &str| {
        let done = sh(script).run(b"").expect(script);
        assert_eq!((done.ended, done.ended.to_string().as_str()), (ended, worded), "{script}");
    };
    check("exit 0", Ended::Status(0), "ended with exit status 0");
    check("exit 3", Ended::Status(3), "ended with exit status 3");
    check("kill -TERM $$", Ended::Signal(15), "was ended by SIGTERM (signal 15)");
    check("kill -KILL $$", Ended::Signal(9), "was ended by SIGKILL (signal 9)");
}

/// More than any pipe holds, in both directions and on both outputs at once.
#[test]
fn full_pipes_block_nobody() {
    let input = vec![b'x'; 3_000_000];
    let done = sh("cat; head -c 1000000 /dev/zero >&2").run(&input).expect("runs");
    assert_eq!(done.stdout, input);
    assert_eq!(done.stderr.len(), 64 * 1024);
}

#[test]
fn input_that_is_not_read_is_no_error() {
    let done = sh("exec <&-; echo done").run(&vec![b'x'; 1_000_000]).expect("runs");
    assert_eq!((done.ended, done.stdout.as_slice()), (Ended::Status(0), b"done\n".as_slice()));
}

#[test]
fn arguments_are_never_words_of_a_shell() {
    let out = Program::new("printf").args(["%s|", "a b", "$(id)", "*"]).output(b"").expect("runs");
    assert_eq!(out, b"a b|$(id)|*|");
}

#[test]
fn environment_and_directory_are_as_stated() {
    let dir = tempfile::tempdir().expect("a directory");
    let out = sh("printf '%s %s %s' \"$KF_A\" \"${HOME-unset}\" \"$(pwd -P)\"")
        .env("KF_A", "1")
        .unset("HOME")
        .dir(dir.path())
        .output(b"")
        .expect("runs");
    let real = dir.path().canonicalize().expect("exists");
    assert_eq!(String::from_utf8_lossy(&out), format!("1 unset {}", real.display()));
}

/// `kill -0` succeeds while a process with this id exists and is not reaped.
fn alive(pid: &str) -> bool {
    sh(&format!("kill -0 {pid} 2>&-")).run(b"").expect("runs").ended.success()
}

fn gone_soon(pid: &str) -> bool {
    // Init may take a moment to reap what lost its parent.
    (0..50).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        !alive(pid) || std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|s| s.contains(") Z "))
    })
}

#[test]
fn overtime_ends_the_program_and_what_it_started() {
    let started = Instant::now();
    let done = sh("sleep 600 & echo $!; wait").timeout(Duration::from_millis(300)).run(b"").expect("runs");
    assert_eq!(done.ended, Ended::Overtime(Duration::from_millis(300)));
    assert!(done.ended.to_string().contains("was stopped: it ran longer than 0.3 s"));
    assert!(started.elapsed() < Duration::from_secs(10));
    assert!(gone_soon(String::from_utf8_lossy(&done.stdout).trim()));
}

#[test]
fn a_program_that_ignores_sigterm_is_killed() {
    let script = "trap '' TERM; echo $$; while :; do sleep 1; done";
    let done = sh(script).timeout(Duration::from_millis(300)).run(b"").expect("runs");
    assert_eq!(done.ended, Ended::Overtime(Duration::from_millis(300)));
    assert!(gone_soon(String::from_utf8_lossy(&done.stdout).trim()));
}

#[test]
fn output_puts_off_the_quiet_timeout() {
    let program = sh("for i in 1 2 3 4 5 6; do echo $i; sleep 0.2; done; sleep 600").quiet_timeout(Duration::from_millis(900));
    let done = program.run(b"").expect("runs");
    assert_eq!(done.ended, Ended::Quiet(Duration::from_millis(900)));
    assert_eq!(done.stdout, b"1\n2\n3\n4\n5\n6\n");
}

#[test]
fn what_is_left_behind_does_not_hold_us_up() {
    let started = Instant::now();
    let done = sh("sleep 600 & echo out; exit 4").run(b"").expect("runs");
    assert_eq!((done.ended, done.stdout.as_slice()), (Ended::Status(4), b"out\n".as_slice()));
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn dropping_ends_it() {
    let mut running = sh("echo $$; sleep 600").start().expect("starts");
    let Event::Stdout(pid) = running.next().expect("writes") else { panic!("ended early") };
    drop(running);
    assert!(!alive(String::from_utf8_lossy(&pid).trim()));
}

#[test]
fn errors_say_what_failed_and_what_to_do() {
    let check = |program: Program, message: &str, hint: &str| {
        let e = program.output(b"").expect_err(message);
        assert!(e.to_string().contains(message), "{e}");
        assert!(hint.is_empty() && e.hints().is_empty() || e.hints().iter().any(|h| h.contains(hint)), "{:?}", e.hints());
    };
    let here = tempfile::tempdir().expect("a directory");
    let plain = here.path().join("plain");
    std::fs::write(&plain, "x").expect("written");
    check(Program::new("kf-no-such-program"), "cannot run `kf-no-such-program`", "install `kf-no-such-program`");
    check(Program::new("./no/such"), "cannot run `./no/such`", "check that `./no/such`");
    check(Program::new(&plain), "cannot run", "chmod +x");
    check(Program::new("true").dir("/no/such"), "there is no such directory", "");
    check(sh("echo first >&2; echo 'bad key' >&2; exit 2"), "`sh` ended with exit status 2: first / bad key", "");
    check(sh("cat /dev/zero").output_max(Bytes(100_000)), "`sh` wrote more than 97.7 KiB", "");
    assert!(Program::from_argv::<&str>(&[]).is_err());
}

#[test]
fn an_attached_program_stays_in_our_group() {
    let group = |p: Program| String::from_utf8_lossy(&p.output(b"").expect("runs")).trim().to_owned();
    let ours = rustix::process::getpgrp().as_raw_nonzero().to_string();
    let script = "ps -o pgid= -p $$ 2>&- || cut -d' ' -f5 /proc/$$/stat";
    assert_eq!(group(sh(script).attached()), ours);
    assert_ne!(group(sh(script)), ours);
    let done = Program::new("sleep").arg("600").attached().timeout(Duration::from_millis(100)).run(b"").expect("runs");
    assert_eq!(done.ended, Ended::Overtime(Duration::from_millis(100)));
}
