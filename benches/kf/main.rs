//! Benchmarks against the bars of `docs/benchmarks.md`: `cargo bench` runs all, `cargo bench -- NAME…` those whose name begins so.
//!
//! Each prints one line: name, CPU and wall time (median of several), bar, ratio to a stated baseline, and whether the bar is
//! kept; the process fails when one is not. CPU is user and system time as the kernel counts it, of the whole process
//! that a person would run, so that a busy machine changes the wall time but hardly the verdict. Linux only: it reads `/proc`.

mod ab;
mod audit;
mod backup;
mod hashing;
mod judging;
mod line;
mod measure;
mod memory;
mod prompts;
mod reads;
mod register;
mod scoring;
mod scratch;
mod search;
mod start;
mod writers;

use kf::base::error::Result;
use line::Line;
use std::process::ExitCode;

/// A benchmark: its name, by which it is chosen, and what measures it.
type Bench = (&'static str, fn() -> Result<Vec<Line>>);

const BENCHES: &[Bench] = &[
    ("start", start::run),
    ("read", reads::run),
    ("register", register::run),
    ("hash", hashing::run),
    ("score", scoring::run),
    ("judge", judging::run),
    ("search", search::run),
    ("render", prompts::run),
    ("ab", ab::run),
    ("audit", audit::run),
    ("writers", writers::run),
    ("memory", memory::run),
    ("backup", backup::run),
];

fn main() -> ExitCode {
    // Cargo adds `--bench`; nothing else with a dash means anything here.
    let args: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let done = match args.first().map(String::as_str) {
        Some(writers::CHILD) => writers::child(&args[1..]).map(|()| true),
        _ => run_all(&args),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            line::complain(&e);
            ExitCode::FAILURE
        }
    }
}

/// Runs the chosen benchmarks; true when every bar is kept.
fn run_all(chosen: &[String]) -> Result<bool> {
    if let Some(unknown) = chosen.iter().find(|c| !BENCHES.iter().any(|(name, _)| name.starts_with(c.as_str()))) {
        let names: Vec<&str> = BENCHES.iter().map(|(name, _)| *name).collect();
        kf::fail!("there is no benchmark `{unknown}`: there are {}", names.join(", "));
    }
    line::header()?;
    let mut kept = true;
    for (name, run) in BENCHES {
        if chosen.is_empty() || chosen.iter().any(|c| name.starts_with(c.as_str())) {
            for line in run()? {
                kept &= line.kept();
                line.print()?;
            }
        }
    }
    Ok(kept)
}
