//! One line of the report: what was measured, its bar, and whether it is kept.

use crate::measure::Sample;
use kf::base::error::{Context as _, Error, Result};
use std::io::Write as _;

/// What is held against the bar.
#[derive(Clone, Copy)]
pub(crate) enum Bar {
    /// At most this much CPU time, in milliseconds.
    CpuMs(f64),
    /// At most this much wall time, in milliseconds.
    WallMs(f64),
    /// At least this ratio to the baseline.
    Ratio(f64),
    /// At most this many megabytes (10^6 bytes) of memory above the baseline's.
    AboveMb(f64),
    /// None missing.
    Exact,
}

/// One result.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) sample: Sample,
    pub(crate) bar: Bar,
    /// The value that `Bar::Ratio`, `Bar::AboveMb` or `Bar::Exact` (0 is right) looks at.
    pub(crate) value: f64,
    /// What else there is to say: the baseline, rates.
    pub(crate) note: String,
}

impl Line {
    /// A line whose bar is a time.
    pub(crate) fn timed(name: impl Into<String>, sample: Sample, bar: Bar) -> Self {
        Self { name: name.into(), sample, bar, value: 0.0, note: String::new() }
    }

    /// The same with a note.
    pub(crate) fn noted(self, note: impl Into<String>) -> Self {
        Self { note: note.into(), ..self }
    }

    /// Whether the bar is kept.
    pub(crate) fn kept(&self) -> bool {
        match self.bar {
            Bar::CpuMs(most) => self.sample.cpu_ms <= most,
            Bar::WallMs(most) => self.sample.wall_ms <= most,
            Bar::Ratio(least) => self.value >= least,
            Bar::AboveMb(most) => self.value <= most,
            Bar::Exact => self.value == 0.0,
        }
    }

    fn bar_words(&self) -> String {
        match self.bar {
            Bar::CpuMs(most) => format!("≤ {most} ms CPU"),
            Bar::WallMs(most) => format!("≤ {most} ms wall"),
            Bar::Ratio(least) => format!("ratio ≥ {least} (is {:.2})", self.value),
            Bar::AboveMb(most) => format!("≤ {most} MB above (is {:.1})", self.value),
            Bar::Exact => format!("0 wrong (is {})", self.value),
        }
    }

    /// Prints it.
    pub(crate) fn print(&self) -> Result<()> {
        let verdict = if self.kept() { "pass" } else { "over" };
        let Sample { cpu_ms, wall_ms } = self.sample;
        let line = format!("{:<34} {cpu_ms:>10.2} {wall_ms:>10.2}  {:<28} {verdict}  {}", self.name, self.bar_words(), self.note);
        say(line.trim_end())
    }
}

/// Names the columns.
pub(crate) fn header() -> Result<()> {
    say(&format!("{:<34} {:>10} {:>10}  {:<28} {}", "benchmark", "CPU ms", "wall ms", "bar", "verdict"))
}

fn say(line: &str) -> Result<()> {
    writeln!(std::io::stdout().lock(), "{line}").context(|| "cannot write to stdout")
}

/// Says why a benchmark could not be run.
pub(crate) fn complain(e: &Error) {
    // When stderr is gone there is nobody to tell.
    let _ = writeln!(std::io::stderr().lock(), "error: {e:?}");
}
