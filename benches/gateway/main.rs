//! The gateway against its bars and against nginx, in one run: `cargo bench --bench gateway`, with `nginx` and `wrk` on the PATH.
//!
//! Each server is a process of its own, whose CPU time and memory the kernel counts in `/proc`; so a busy machine changes the
//! requests per second but hardly the verdicts. The upstream is a hyper server that answers 100 bytes. Linux only.

mod load;
mod servers;

use kf::base::error::{Context as _, Result};
use servers::Process;
use std::io::Write as _;
use std::process::ExitCode;

/// Rounds of load, in which the two proxies take turns.
const ROUNDS: usize = 5;
/// Requests one after the other, for what the gateway adds to each.
const SINGLE: usize = 5_000;
/// Idle connections.
const IDLE: usize = 2_000;
/// Streams of events at once; fewer where the system gives a process fewer than two files for each.
const STREAMS: usize = 10_000;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["upstream"] => servers::upstream().map(|()| true),
        ["gateway", upstream] => servers::gateway(upstream).map(|()| true),
        _ => measure(),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            let _ = writeln!(std::io::stderr(), "error: {e}");
            ExitCode::FAILURE
        }
    }
}

/// Prints a figure with its bar; whether the bar is kept.
fn held(what: &str, value: f64, bar: f64, unit: &str, note: &str) -> Result<bool> {
    let kept = value <= bar;
    let verdict = if kept { "pass" } else { "over" };
    let line = format!("{what:<34} {value:>10.3} {unit:<6} bar {bar:<8} {verdict}  {note}");
    writeln!(std::io::stdout().lock(), "{}", line.trim_end()).context(|| "cannot write to stdout")?;
    Ok(kept)
}

fn measure() -> Result<bool> {
    let upstream = Process::own(&["upstream"])?;
    let gateway = Process::own(&["gateway", &upstream.address.to_string()])?;
    let kept = [added(&upstream, &gateway)?, cpu(&upstream, &gateway)?, idle(&gateway)?, streams(&gateway)?];
    Ok(kept.into_iter().all(|k| k))
}

/// What the gateway adds to one request at a time.
fn added(upstream: &Process, gateway: &Process) -> Result<bool> {
    let (mut direct, mut through) = (Vec::new(), Vec::new());
    for _ in 0..10 {
        direct.extend(load::one_by_one(upstream.address, SINGLE / 10)?);
        through.extend(load::one_by_one(gateway.address, SINGLE / 10)?);
    }
    let (direct, through) = (load::Quantiles::of(direct), load::Quantiles::of(through));
    let note = format!("{:.3} ms direct, {:.3} ms through", direct.p50, through.p50);
    let p50 = held("added to the median", through.p50 - direct.p50, 0.3, "ms", &note)?;
    let note = format!("{:.3} ms direct, {:.3} ms through", direct.p99, through.p99);
    Ok(held("added to p99", through.p99 - direct.p99, 2.0, "ms", &note)? && p50)
}

/// CPU time a request, beside nginx.
fn cpu(upstream: &Process, gateway: &Process) -> Result<bool> {
    let nginx = Process::nginx(upstream.address)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(load::cpu_of_a_request(gateway)?);
        theirs.push(load::cpu_of_a_request(&nginx)?);
    }
    let (ours, theirs) = (load::Quantiles::of(ours).p50, load::Quantiles::of(theirs).p50);
    held("CPU of a request, to nginx's", ours / theirs, 1.5, "x", &format!("{ours:.1} and {theirs:.1} µs"))
}

/// Memory of a connection that has asked once and is idle.
fn idle(gateway: &Process) -> Result<bool> {
    let before = gateway.resident_kb()?;
    let connections = load::idle(gateway.address, IDLE)?;
    let each = (gateway.resident_kb()? - before) / IDLE as f64;
    drop(connections);
    held("memory of an idle connection", each, 64.0, "KB", &format!("{IDLE} connections"))
}

/// Many streams of events at once: each gets all of its events.
fn streams(gateway: &Process) -> Result<bool> {
    let before = gateway.resident_kb()?;
    let n = STREAMS.min(gateway.files()?.saturating_sub(1000) / 2);
    let (lost, peak) = load::streams(gateway, n)?;
    let note = format!("{n} at once, {:.1} KB each", (peak - before) / n as f64);
    held("streams that lost an event", lost as f64, 0.0, "", &note)
}
