//! CPU and wall time of child processes and of calls, without unsafe code: from `/proc/self/stat` (proc(5)), whose counters are
//! exact sums cut to a hundredth of a second when they are read; therefore many runs are read at once.

use kf::base::error::{Context as _, Error, Result};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Milliseconds of a tick of `/proc/self/stat`: `USER_HZ` is 100 on every architecture that Rust's std supports on Linux but
/// Alpha.
const TICK_MS: f64 = 10.0;

/// Batches of which the median counts.
const BATCHES: usize = 5;

/// One measurement, a run's share.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sample {
    /// User and system time, in milliseconds.
    pub(crate) cpu_ms: f64,
    /// Elapsed time, in milliseconds.
    pub(crate) wall_ms: f64,
}

/// Whose CPU time.
#[derive(Clone, Copy)]
pub(crate) enum Of {
    /// This process.
    Own,
    /// Children that were waited for.
    Children,
}

/// CPU time so far, in milliseconds. Fields 14 to 17 of the file, counted behind the name in parentheses, are utime, stime,
/// cutime and cstime.
fn cpu_ms(of: Of) -> Result<f64> {
    let text = std::fs::read_to_string("/proc/self/stat").context(|| "cannot read /proc/self/stat")?;
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let first = match of {
        Of::Own => 11,
        Of::Children => 13,
    };
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok());
    match (ticks(first), ticks(first + 1)) {
        (Some(user), Some(system)) => Ok((user + system) * TICK_MS),
        _ => Err(Error::new("/proc/self/stat does not have the fields it should")),
    }
}

/// The median of several batches of `runs` runs each, as a run's share. One run comes first, so that caches are warm.
pub(crate) fn median(of: Of, runs: usize, mut run: impl FnMut() -> Result<()>) -> Result<Sample> {
    run()?;
    let samples = (0..BATCHES).map(|_| once(of, runs, &mut run)).collect::<Result<Vec<_>>>()?;
    Ok(middle_of(&samples))
}

/// The medians of two, whose batches take turns: what else the machine does meanwhile meets both alike.
pub(crate) fn medians(
    of: Of,
    runs: usize,
    mut this: impl FnMut() -> Result<()>,
    mut that: impl FnMut() -> Result<()>,
) -> Result<[Sample; 2]> {
    this()?;
    that()?;
    let (mut these, mut those) = (Vec::with_capacity(BATCHES), Vec::with_capacity(BATCHES));
    for _ in 0..BATCHES {
        these.push(once(of, runs, &mut this)?);
        those.push(once(of, runs, &mut that)?);
    }
    Ok([middle_of(&these), middle_of(&those)])
}

/// One batch of `runs` runs, as a run's share.
pub(crate) fn once(of: Of, runs: usize, mut run: impl FnMut() -> Result<()>) -> Result<Sample> {
    let (cpu, start) = (cpu_ms(of)?, Instant::now());
    for _ in 0..runs {
        run()?;
    }
    let wall = start.elapsed().as_secs_f64() * 1000.0;
    Ok(Sample { cpu_ms: (cpu_ms(of)? - cpu) / runs as f64, wall_ms: wall / runs as f64 })
}

fn middle_of(samples: &[Sample]) -> Sample {
    Sample { cpu_ms: middle(samples.iter().map(|s| s.cpu_ms)), wall_ms: middle(samples.iter().map(|s| s.wall_ms)) }
}

fn middle(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The binary that is measured, with nothing of this machine's settings.
pub(crate) fn kf() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kf"));
    command.env_clear().env("HOME", "/nonexistent").env("KF_AS", "bench@example.com").stdin(Stdio::null());
    command
}

/// Runs a command to its good end and gives what it wrote.
pub(crate) fn output(command: &mut Command) -> Result<Vec<u8>> {
    let done = command.output().context(|| format!("cannot run {command:?}"))?;
    checked(command, done)
}

fn checked(command: &Command, done: Output) -> Result<Vec<u8>> {
    if done.status.success() {
        return Ok(done.stdout);
    }
    Err(Error::new(format!("{command:?} ended with {}: {}", done.status, String::from_utf8_lossy(&done.stderr).trim())))
}

/// Runs a command and gives the most memory it held, in bytes: its high-water mark, asked for until it ends.
pub(crate) fn peak_memory(command: &mut Command) -> Result<u64> {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().context(|| format!("cannot run {command:?}"))?;
    let mut peak = 0;
    while running(&mut child)? {
        peak = peak.max(high_water(child.id()).unwrap_or(0));
        std::thread::sleep(Duration::from_micros(200));
    }
    let done = child.wait_with_output().context(|| "cannot wait for kf")?;
    checked(command, done)?;
    if peak == 0 {
        return Err(Error::new("the process ended before its memory could be read"));
    }
    Ok(peak)
}

fn running(child: &mut Child) -> Result<bool> {
    Ok(child.try_wait().context(|| "cannot wait for kf")?.is_none())
}

/// `VmHWM` of a process; none once it has ended.
fn high_water(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}
