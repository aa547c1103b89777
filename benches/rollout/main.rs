//! How often rules take back a version that is as good as the old one, and how soon one that is worse:
//! `cargo bench --bench rollout -- [RUNS]`.
//!
//! Prints Markdown tables, the form of `docs/benchmarks.md`. Draws are fixed by the number of the run; `RUNS` (2,000 when not given)
//! is for each cell of the first table. Ends with 1 when kf takes back a good version, or misses a bad one, in more than one run of a
//! hundred, by more than chance makes of so many runs.

mod latency;
mod outage;
mod rules;
#[path = "../common/runs.rs"]
mod runs;
mod traffic;
mod way;

use kf::base::error::{Context as _, Result};
use kf::domain::rollout::judge::judge;
use kf::domain::rollout::machine::Phase;
use kf::domain::rollout::policy::Policy;
use kf::stats::rng::Rng;
use latency::Durations;
use outage::Outage;
use rules::{RULES, taken_back};
use std::io::Write as _;
use std::process::ExitCode;
use std::thread;
use std::time::Instant;
use traffic::Traffic;

/// Windows of a minute in a run, and the canary's share.
const WINDOWS: u64 = 60;
const SHARE: f64 = 0.1;
/// How often a good version may be taken back, or a bad one not.
const MOST_WRONG: f64 = 0.01;

const fn same(title: &'static str, rps: f64, rate: f64) -> Traffic {
    Traffic { title, rps, stable: rate, canary: rate, clumps: 0.0, swing: 0.0 }
}

/// The cases of the table.
const CASES: [Traffic; 9] = [
    same("same 1 %, 5 rps", 5.0, 0.01),
    same("same 3 %, 5 rps", 5.0, 0.03),
    same("same 1 %, 50 rps", 50.0, 0.01),
    Traffic { clumps: 0.02, ..same("same 1 % in clumps, 5 rps", 5.0, 0.01) },
    Traffic { swing: 0.8, ..same("same 1 %, load of a day, 5 rps", 5.0, 0.01) },
    Traffic { canary: 0.1, ..same("bad 10 vs 1 %, 5 rps", 5.0, 0.01) },
    Traffic { canary: 0.02, ..same("bad 2 vs 0.5 %, 50 rps", 50.0, 0.005) },
    Traffic { canary: 0.05, clumps: 0.02, ..same("bad 5 vs 1 % in clumps, 50 rps", 50.0, 0.01) },
    Traffic { canary: 0.1, swing: 0.8, ..same("bad 10 vs 1 %, load of a day, 5 rps", 5.0, 0.01) },
];

/// Both versions fail in the middle of the hour.
const OUTAGES: [Outage; 10] = [
    outage(CASES[0], 0.3, 1),
    outage(CASES[0], 0.3, 2),
    outage(CASES[0], 0.3, 5),
    outage(CASES[0], 1.0, 5),
    outage(CASES[0], 0.07, 10),
    outage(CASES[1], 0.3, 1),
    outage(CASES[1], 0.3, 5),
    outage(CASES[3], 0.3, 5),
    // Bad from the first window after it on, and bad from two windows before.
    Outage { bad_from: 35, ..outage(CASES[5], 0.3, 5) },
    Outage { bad_from: 28, ..outage(CASES[5], 0.3, 5) },
];

const fn outage(traffic: Traffic, fails: f64, lasts: u64) -> Outage {
    Outage { traffic, fails, lasts, bad_from: 0 }
}

const fn as_slow(title: &'static str) -> Durations {
    Durations { title, bad: false, times: 1.0, tail: 0.0, scatter: 0.5, swing: 0.0, pauses: 0.0 }
}

const fn slower(title: &'static str, times: f64) -> Durations {
    Durations { bad: true, times, ..as_slow(title) }
}

/// Durations, held against the stable version in the same windows.
const DURATIONS: [Durations; 8] = [
    as_slow("as slow"),
    Durations { scatter: 1.2, ..as_slow("as slow, answers that scatter widely") },
    Durations { swing: 0.8, ..as_slow("as slow, load of a day") },
    Durations { pauses: 0.15, ..as_slow("as slow, slow minutes of each version's own") },
    Durations { times: 1.15, ..as_slow("1.15 times as slow, which is allowed") },
    slower("twice as slow", 2.0),
    Durations { swing: 0.8, ..slower("twice as slow, load of a day", 2.0) },
    Durations { tail: 0.2, ..slower("a fifth of the answers three times as slow", 1.0) },
];

fn main() -> ExitCode {
    runs::simulated(2000, |runs| simulate(u64::from(runs)))
}

/// Prints all tables; false when kf is wrong too often.
fn simulate(runs: u64) -> Result<bool> {
    let right = [first_hour(runs)?, outages(runs)?, durations(runs)?];
    whole_way(runs.div_ceil(10))?;
    speed()?;
    Ok(right.iter().all(|right| *right))
}

/// What an outage of both makes of a canary within an hour.
fn outages(runs: u64) -> Result<bool> {
    say(&format!("\nBoth versions fail from window 31 on for a while, {runs} runs a row:\n"))?;
    say("| traffic | both fail | windows | the canary is bad | taken back, median window | ready after an hour |")?;
    say("| --- | ---: | ---: | --- | ---: | ---: |")?;
    let mut right = true;
    for case in OUTAGES {
        let said = each(runs, |run| case.run(run, WINDOWS, SHARE));
        let back: Vec<usize> = said.iter().filter_map(|s| s.back).collect();
        let (taken, ready) = (back.len() as u64, said.iter().filter(|s| s.ready).count() as u64);
        let bad = case.traffic.canary > case.traffic.stable;
        let from = if bad { format!("from window {} on", case.bad_from + 1) } else { "never".to_owned() };
        let (title, fails) = (case.traffic.title, 100.0 * case.fails);
        let (back, ready) = (cell(back, runs), percent(ready, runs));
        say(&format!("| {title} | {fails:.0} % | {} | {from} | {back} | {ready} |", case.lasts))?;
        right &= enough(if bad { runs - taken } else { taken }, taken, runs)?;
    }
    Ok(right)
}

/// What becomes of a canary within an hour by how long its answers take.
fn durations(runs: u64) -> Result<bool> {
    say(&format!("\nHeld against the stable version in the same windows, 5 rps, {runs} runs a row:\n"))?;
    say("| the canary is | taken back, median window | ready after an hour |\n| --- | ---: | ---: |")?;
    let mut right = true;
    for case in DURATIONS {
        let said = each(runs, |run| case.run(run, WINDOWS, SHARE));
        let back: Vec<usize> = said.iter().filter_map(|s| s.0).collect();
        let (taken, ready) = (back.len() as u64, said.iter().filter(|s| s.1).count() as u64);
        say(&format!("| {} | {} | {} |", case.title, cell(back, runs), percent(ready, runs)))?;
        right &= enough(if case.bad { runs - taken } else { taken }, taken, runs)?;
    }
    Ok(right)
}

/// Tells when kf was wrong too often.
fn enough(wrong: u64, taken: u64, runs: u64) -> Result<bool> {
    if !too_many(wrong, runs) {
        return Ok(true);
    }
    say(&format!("\nwrong: kf took {taken} of {runs} back\n"))?;
    Ok(false)
}

/// What becomes of a canary with a tenth of the traffic within an hour.
fn first_hour(runs: u64) -> Result<bool> {
    say(&format!("Taken back within {WINDOWS} windows of a minute, the median window, {runs} runs a cell:\n"))?;
    say(&format!("| traffic | {} |\n| --- |{}", RULES.join(" | "), " ---: |".repeat(RULES.len())))?;
    let mut right = true;
    for traffic in CASES {
        let found = each(runs, |run| {
            let mut rng = Rng::new(run);
            let windows: Vec<_> = (0..WINDOWS).map(|id| traffic.window(&mut rng, id, 60.0, SHARE)).collect();
            taken_back(&windows)
        });
        let by_rule = |rule: usize| found.iter().filter_map(|run| run[rule]).collect::<Vec<_>>();
        let cells: Vec<String> = (0..RULES.len()).map(|rule| cell(by_rule(rule), runs)).collect();
        say(&format!("| {} | {} |", traffic.title, cells.join(" | ")))?;
        let taken = by_rule(RULES.len() - 1).len() as u64;
        let wrong = if traffic.canary > traffic.stable { runs - taken } else { taken };
        right &= enough(wrong, taken, runs)?;
    }
    Ok(right)
}

/// What becomes of a version on the schedule `four-hours`.
fn whole_way(runs: u64) -> Result<()> {
    say(&format!("\nThrough the schedule `four-hours` with kf's controller, {runs} runs a row:\n"))?;
    say("| traffic | finished | taken back | held | median minutes until it ended |\n| --- | ---: | ---: | ---: | ---: |")?;
    for traffic in CASES {
        let ended: Vec<way::Ended> = each(runs, |run| way::through(&traffic, run)).into_iter().flatten().collect();
        let part = |phase: Phase| ended.iter().filter(|e| e.phase == phase).count() as u64;
        let (finished, back) = (part(Phase::Finished), part(Phase::RolledBack));
        let minutes = median(ended.iter().map(|e| e.minutes as usize).collect());
        let [finished, back, held] = [finished, back, runs - finished - back].map(|n| percent(n, runs));
        say(&format!("| {} | {finished} | {back} | {held} | {} |", traffic.title, minutes.unwrap_or(0)))?;
    }
    Ok(())
}

/// How long the judge takes for 10,000 windows of all its checks.
fn speed() -> Result<()> {
    let (mut rng, traffic) = (Rng::new(1), CASES[2]);
    let mut windows: Vec<_> = (0..10_000).map(|id| traffic.window(&mut rng, id, 60.0, SHARE)).collect();
    for window in &mut windows {
        if let Some(figure) = window.figures.get("errors").copied() {
            window.figures.extend(["slow", "slower", "degraded"].map(|metric| (metric.to_owned(), figure)));
        }
    }
    let started = Instant::now();
    let findings = judge(&Policy::default(), &windows).findings.len();
    let took = started.elapsed().as_millis();
    say(&format!("\n10,000 windows, {findings} checks: judged in {took} ms"))
}

/// Every run's outcome, on all cores.
fn each<T: Send>(runs: u64, one: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let workers = thread::available_parallelism().map_or(1, |n| n.get() as u64);
    thread::scope(|scope| {
        let one = &one;
        let parts: Vec<_> =
            (0..workers).map(|w| scope.spawn(move || (w..runs).step_by(workers as usize).map(one).collect::<Vec<T>>())).collect();
        parts.into_iter().flat_map(|part| part.join().expect("a run does not panic")).collect()
    })
}

fn cell(taken: Vec<usize>, runs: u64) -> String {
    let share = percent(taken.len() as u64, runs);
    median(taken).map_or_else(|| share.clone(), |window| format!("{share}, {window}"))
}

fn percent(part: u64, of: u64) -> String {
    format!("{:.1} %", 100.0 * part as f64 / of as f64)
}

fn median(mut values: Vec<usize>) -> Option<usize> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

/// More than three standard deviations above what a rule makes that is wrong as often as it may be.
fn too_many(wrong: u64, runs: u64) -> bool {
    let expected = runs as f64 * MOST_WRONG;
    wrong as f64 > expected + 3.0 * (expected * (1.0 - MOST_WRONG)).sqrt()
}

fn say(line: &str) -> Result<()> {
    writeln!(std::io::stdout().lock(), "{line}").context(|| "cannot write to stdout")
}
