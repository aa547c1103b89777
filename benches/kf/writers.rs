//! Eight processes that write at once: no event is lost, none is doubled, the log has no gap and verifies.

use crate::line::{Bar, Line};
use crate::measure::{Of, kf, once, output};
use crate::scratch;
use kf::base::error::{Context as _, Error, Result};
use kf::base::event::{Event, Resource};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command};

/// The argument that makes this program one of the writers: then a folder and a number.
pub(crate) const CHILD: &str = "write-events";

/// Processes.
const WRITERS: usize = 8;

/// Events of each, one a transaction.
const EVENTS: usize = 500;

pub(crate) fn run() -> Result<Vec<Line>> {
    let dir = scratch::on_disk()?;
    scratch::init(dir.path())?;
    let sample = once(Of::Children, 1, || write_all(dir.path()))?;
    let wrong = check(dir.path())?;
    output(kf().arg("-C").arg(dir.path()).args(["audit", "verify"]))?;
    let rate = (WRITERS * EVENTS) as f64 / sample.wall_ms * 1000.0;
    let note = format!("{rate:.0} commits a second, each synced; log verified");
    Ok(vec![Line { name: "writers: 8 × 500 events".into(), sample, bar: Bar::Exact, value: wrong as f64, note }])
}

fn write_all(dir: &Path) -> Result<()> {
    let program = std::env::current_exe().context(|| "cannot find this program")?;
    let start = |n: usize| -> Result<Child> {
        Command::new(&program).arg(CHILD).arg(dir).arg(n.to_string()).spawn().context(|| "cannot start a writer")
    };
    let children = (0..WRITERS).map(start).collect::<Result<Vec<_>>>()?;
    for mut child in children {
        let status = child.wait().context(|| "cannot wait for a writer")?;
        if !status.success() {
            return Err(Error::new(format!("a writer ended with {status}")));
        }
    }
    Ok(())
}

/// One of the writers.
pub(crate) fn child(args: &[String]) -> Result<()> {
    let [dir, number] = args else { kf::fail!("`{CHILD}` takes a folder and a number") };
    let store = scratch::open(Path::new(dir), &format!("writer-{number}"))?;
    for i in 0..EVENTS {
        store.write(|tx| {
            tx.record(Event::new("bench.written", Resource::new("writer", number.as_str())).with("i", i));
            Ok(())
        })?;
    }
    Ok(())
}

/// How many events are missing, doubled or out of place.
fn check(dir: &Path) -> Result<usize> {
    let store = scratch::open(dir, "bench@example.com")?;
    let bodies =
        store.read(|view| view.all("SELECT seq, body FROM eb ORDER BY seq", &[], |r| Ok((r.int(0)?, r.text(1)?.to_owned()))))?;
    let mut seen = BTreeSet::new();
    let mut wrong = 0;
    for (place, (seq, body)) in bodies.iter().enumerate() {
        wrong += usize::from(usize::try_from(*seq) != Ok(place));
        let event: serde_json::Value = serde_json::from_str(body).context(|| "an entry is no JSON")?;
        if event["action"] == "bench.written" {
            wrong += usize::from(!seen.insert((event["res"]["name"].to_string(), event["detail"]["i"].to_string())));
        }
    }
    Ok(wrong + (WRITERS * EVENTS).abs_diff(seen.len()))
}
