//! How long the program needs to start.

use crate::line::{Bar, Line};
use crate::measure::{Of, kf, median, output};
use kf::base::error::Result;

/// Runs in a batch.
const RUNS: usize = 50;

pub(crate) fn run() -> Result<Vec<Line>> {
    let sample = median(Of::Children, RUNS, || output(kf().arg("--version")).map(drop))?;
    Ok(vec![Line::timed("start: kf --version", sample, Bar::CpuMs(5.0))])
}
