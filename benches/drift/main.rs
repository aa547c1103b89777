//! How often rules of drift are wrong when nothing drifted, and how often they see what did: `cargo bench --bench drift -- [RUNS]`.
//!
//! Prints one Markdown table a question, the form of `docs/benchmarks.md`. Draws are fixed by the number of the run, so a table comes out
//! the same on every machine; `RUNS` (1,000 when not given) is for each row. Ends with 1 when kf's own verdict is wrong without drift
//! in more than one run of a hundred from 200 rows a side on, by more than chance makes of so many runs.

mod draw;
mod rules;
#[path = "../common/runs.rs"]
mod runs;

use draw::{Drift, table};
use kf::base::error::{Context as _, Result};
use rules::{RULES, says};
use std::io::Write as _;
use std::process::ExitCode;

/// Rows of the reference and of the new data.
const SIZES: [(usize, usize); 7] = [(50, 50), (100, 100), (200, 200), (500, 500), (1000, 1000), (5000, 5000), (5000, 200)];
/// From here on, on both sides, kf's verdict must be right.
const TRUSTED: usize = 200;
/// How often it may be wrong.
const MOST_WRONG: f64 = 0.01;

/// What is asked: its title, and what drifted.
const QUESTIONS: [(&str, Drift); 4] = [
    ("Nothing drifted", Drift { columns: 0, by: 0.0 }),
    ("One numeric column of twenty moved by 0.5 standard deviations", Drift { columns: 1, by: 0.5 }),
    ("One numeric column of twenty moved by 1 standard deviation", Drift { columns: 1, by: 1.0 }),
    ("Ten numeric columns of twenty moved by 0.5 standard deviations", Drift { columns: 10, by: 0.5 }),
];

fn main() -> ExitCode {
    runs::simulated(1000, simulate)
}

/// Prints all tables; false when kf's verdict is wrong too often.
fn simulate(runs: u32) -> Result<bool> {
    let mut right = true;
    for (title, drift) in QUESTIONS {
        say(&format!(
            "{title}, {runs} runs a row:\n\n| reference, new rows | {} |\n| ---: |{}",
            RULES.join(" | "),
            " ---: |".repeat(RULES.len())
        ))?;
        for (n, m) in SIZES {
            let mut said = [0_u32; RULES.len()];
            for run in 0..runs {
                let found = says(&table(u64::from(run), (n, m), drift));
                said.iter_mut().zip(found).for_each(|(count, yes)| *count += u32::from(yes));
            }
            let percent = |count: &u32| format!("{:.1} %", f64::from(*count) / f64::from(runs) * 100.0);
            say(&format!("| {n}, {m} | {} |", said.iter().map(percent).collect::<Vec<_>>().join(" | ")))?;
            if drift.columns == 0 && n.min(m) >= TRUSTED && too_many(said[0], runs) {
                say(&format!("\nover: {} of {runs} runs are wrong\n", said[0]))?;
                right = false;
            }
        }
        say("")?;
    }
    Ok(right)
}

/// More than three standard deviations above what a rule makes that is wrong as often as it may be.
fn too_many(wrong: u32, runs: u32) -> bool {
    let expected = f64::from(runs) * MOST_WRONG;
    f64::from(wrong) > expected + 3.0 * (expected * (1.0 - MOST_WRONG)).sqrt()
}

fn say(line: &str) -> Result<()> {
    writeln!(std::io::stdout().lock(), "{line}").context(|| "cannot write to stdout")
}
