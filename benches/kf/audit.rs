//! Asking and verifying an audit log of a million entries.

use crate::line::{Bar, Line};
use crate::measure::{Of, kf, median, output};
use crate::scratch;
use kf::base::error::{Context as _, Result};
use kf::base::event::{Event, Outcome, Resource};
use kf::base::version::Version;
use std::path::Path;

/// Entries.
const ENTRIES: usize = 1_000_000;

/// Entries of a transaction.
const CHUNK: usize = 5000;

const ACTIONS: [&str; 4] = ["gate.checked", "version.tagged", "version.promoted", "version.registered"];

pub(crate) fn run() -> Result<Vec<Line>> {
    let dir = scratch::kept(&format!("log-{ENTRIES}"), seed)?;
    let since = middle_time(&dir)?;
    let since_args = ["--since", &since, "--action", "version.promoted"];
    let questions: [(&str, &[&str], f64); 12] = [
        ("the newest", &[], 100.0),
        ("actor", &["--actor", "ada-7@example.com"], 100.0),
        ("action", &["--action", "version.promoted"], 100.0),
        ("actions by prefix", &["--action", "version."], 100.0),
        ("resource", &["--resource", "bot-17"], 100.0),
        ("ticket", &["--ticket", "OPS-1007"], 100.0),
        ("since", &["--since", &since], 100.0),
        ("since, action", &since_args, 100.0),
        ("until", &["--until", &since], 100.0),
        ("outcome", &["--outcome", "denied"], 100.0),
        ("text that is there once", &["--text", "\"n\":4711,"], 500.0),
        ("text that is not there", &["--text", "no such text"], 500.0),
    ];
    let mut lines = Vec::new();
    for (name, args, bar) in questions {
        let sample = median(Of::Children, 3, || output(kf().arg("-C").arg(&dir).args(["audit", "log"]).args(args)).map(drop))?;
        lines.push(Line::timed(format!("audit log: {name}"), sample, Bar::WallMs(bar)));
    }
    let sample = median(Of::Children, 1, || output(kf().arg("-C").arg(&dir).args(["audit", "verify"])).map(drop))?;
    let rate = ENTRIES as f64 / sample.cpu_ms / 1000.0;
    lines.push(Line::timed("audit verify", sample, Bar::CpuMs(2000.0)).noted(format!("{rate:.2} M entries a CPU-second")));
    Ok(lines)
}

/// The time of the entry in the middle, so that half of the log lies behind it.
fn middle_time(dir: &Path) -> Result<String> {
    let json = output(kf().arg("-C").arg(dir).args(["audit", "show", &(ENTRIES / 2).to_string(), "--format", "json"]))?;
    let shown: serde_json::Value = serde_json::from_slice(&json).context(|| "`kf audit show` wrote no JSON")?;
    match shown["at"].as_str().or_else(|| shown["entry"]["at"].as_str()) {
        Some(time) => Ok(time.to_owned()),
        None => kf::fail!("`kf audit show` says no time: {shown}"),
    }
}

/// A log as a busy team writes it: twenty people and jobs, two hundred models, one event in fifty refused or failed, a ticket
/// with every tenth, a reason with every fortieth.
fn seed(dir: &Path) -> Result<()> {
    let stores = (0..20).map(|i| scratch::open(dir, &format!("ada-{i}@example.com"))).collect::<Result<Vec<_>>>()?;
    for (turn, from) in (1..ENTRIES).step_by(CHUNK).enumerate() {
        stores[turn % stores.len()].write(|tx| {
            for i in from..ENTRIES.min(from + CHUNK) {
                tx.record(event(i));
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn event(i: usize) -> Event {
    let name = format!("bot-{}", i % 200);
    let digest = kf::base::digest::Digest::of(&i.to_le_bytes());
    let patch = u32::try_from(i / 200).unwrap_or(u32::MAX);
    let resource = Resource::version(name, Version::new(1, 0, patch), digest);
    let outcome = match i % 100 {
        50 => Outcome::Denied,
        99 => Outcome::Failed,
        _ => Outcome::Ok,
    };
    let ticket = i.is_multiple_of(10).then(|| format!("OPS-{}", i / 50));
    let reason = i.is_multiple_of(40).then(|| format!("release train {}", i / 1000));
    Event::new(ACTIONS[i / 3 % 4], resource).outcome(outcome).because(ticket.as_deref(), reason.as_deref()).with("n", i)
}
