//! How a simulation is called: `cargo bench --bench NAME -- [RUNS]`.

use kf::base::error::Result;
use std::io::Write as _;
use std::process::ExitCode;

/// Runs a simulation with as many runs as the command line asks for, `usual` where it asks for nothing, and not at all where it names
/// another benchmark. Ends with 1 when the simulation found kf wrong too often, or could not be done.
pub(crate) fn simulated(usual: u32, simulate: impl FnOnce(u32) -> Result<bool>) -> ExitCode {
    // Cargo adds `--bench`; the names of other benchmarks mean nothing here.
    let mut args = std::env::args().skip(1).filter(|a| !a.starts_with('-')).peekable();
    let named = args.peek().is_some();
    let runs = args.find_map(|a| a.parse::<u32>().ok()).filter(|n| *n > 0);
    let Some(runs) = runs.or((!named).then_some(usual)) else { return ExitCode::SUCCESS };
    match simulate(runs) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            // When stderr is gone there is nobody to tell.
            let _ = writeln!(std::io::stderr().lock(), "error: {e:?}");
            ExitCode::FAILURE
        }
    }
}
