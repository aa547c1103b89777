//! Sweeps: a command is struck at each point where it changes something, and what is left must be sound.
//!
//! After every strike the caller's invariant runs `kf fsck` and the next command. By default each k-th point is taken, so that
//! a change is tested in minutes; `KF_TEST_SWEEP=all` takes them all. The first and the last point are always taken.

use super::sandbox::{Run, Sandbox};
use super::strace::{Fault, Point, Strace};
use super::{say, variable};

/// One sweep of one command.
pub(crate) struct Sweep<'a> {
    /// What it is called in messages.
    pub(crate) name: &'a str,
    /// What happens at each point.
    pub(crate) fault: Fault,
    /// The system calls at which it happens.
    pub(crate) calls: &'a [&'a str],
    /// Each how-manieth point is taken unless all are asked for.
    pub(crate) every: usize,
    /// Makes a fresh sandbox in the state from which the command starts.
    pub(crate) prepare: &'a dyn Fn() -> Sandbox,
    /// The command: program and arguments.
    pub(crate) command: &'a [String],
    /// Says what is wrong after a strike, if anything: it gets the sandbox and how the command ended.
    pub(crate) invariant: &'a dyn Fn(&Sandbox, &Run) -> Result<(), String>,
}

/// What a sweep did.
#[derive(Debug)]
pub(crate) struct Swept {
    /// Command and fault.
    name: String,
    /// How many points the rehearsal passed.
    pub(crate) points: usize,
    /// How many were taken.
    pub(crate) taken: usize,
    /// At how many of those the command felt it: it was killed, or ended otherwise than in the rehearsal.
    pub(crate) felt: usize,
    /// What the invariant said, by point.
    pub(crate) broken: Vec<(Point, String)>,
}

impl Sweep<'_> {
    /// Strikes at the points of the sweep and asks the invariant after each.
    ///
    /// # Panics
    /// When the command does not succeed without a fault, or leaves something unsound.
    pub(crate) fn run(&self, strace: &Strace) -> Swept {
        let sandbox = (self.prepare)();
        let (rehearsed, points) = strace.rehearse(&sandbox, self.calls, self.command);
        assert_eq!(rehearsed.code, Some(0), "{} without a fault:\n{rehearsed}", self.name);
        (self.invariant)(&sandbox, &rehearsed).unwrap_or_else(|why| panic!("{} without a fault: {why}", self.name));
        let step = if variable("KF_TEST_SWEEP").is_some_and(|v| v == "all") { 1 } else { self.every };
        let last = points.len().saturating_sub(1);
        let name = format!("{}: {:?}", self.name, self.fault);
        let mut swept = Swept { name, points: points.len(), taken: 0, felt: 0, broken: Vec::new() };
        for (_, point) in points.into_iter().enumerate().filter(|(i, _)| i % step == 0 || *i == last) {
            let sandbox = (self.prepare)();
            let Some(run) = strace.strike(&sandbox, self.fault, &point, self.command) else { continue };
            swept.taken += 1;
            swept.felt += usize::from(run.code != rehearsed.code);
            if let Err(why) = (self.invariant)(&sandbox, &run) {
                swept.broken.push((point, why));
            }
        }
        swept
    }
}

impl Swept {
    /// Demands that the invariant held at every point, and says what was tested.
    ///
    /// # Panics
    /// When it did not hold, or when the command felt no fault at all.
    pub(crate) fn assert_sound(&self) {
        say(&format!("{} at {} of {} points, felt at {}", self.name, self.taken, self.points, self.felt));
        assert!(self.felt > 0, "{}: no fault was felt, so nothing was tested", self.name);
        let broken: Vec<_> = self.broken.iter().map(|(point, why)| format!("{point}: {why}")).collect();
        assert!(broken.is_empty(), "{}: broken at {} points\n{}", self.name, broken.len(), broken.join("\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::skip;
    use crate::support::strace::{CHANGING, FAILING};

    /// Replaces a file by a script; after a fault it must hold the old or the new text whole.
    fn replace(script: &str, fault: Fault, calls: &[&str], every: usize) -> Option<Swept> {
        let strace = Strace::find().map_err(|why| skip(&why)).ok()?;
        let prepare = || {
            let sandbox = Sandbox::new();
            sandbox.write("file", "old text");
            sandbox
        };
        let whole = |sandbox: &Sandbox, _: &Run| match sandbox.read("file").as_str() {
            "old text" | "new text" => Ok(()),
            other => Err(format!("half a file: {other:?}")),
        };
        let command = ["sh", "-c", script].map(str::to_owned);
        let sweep = Sweep { name: script, fault, calls, every, prepare: &prepare, command: &command, invariant: &whole };
        Some(sweep.run(&strace))
    }

    const ATOMIC: &str = "printf 'new ' >next && printf text >>next && mv next file";
    const CARELESS: &str = "printf 'new ' >file && printf text >>file";

    #[test]
    fn an_atomic_writer_survives_every_kill() {
        let Some(swept) = replace(ATOMIC, Fault::Kill, CHANGING, 1) else { return };
        swept.assert_sound();
        assert!(swept.points >= 4 && swept.felt == swept.taken, "two opens, two writes, one rename, all killed: {swept:?}");
    }

    #[test]
    fn a_careless_writer_is_found() {
        let Some(swept) = replace(CARELESS, Fault::Kill, CHANGING, 1) else { return };
        let at: Vec<_> = swept.broken.iter().map(|(point, _)| point.to_string()).collect();
        assert!(at.contains(&"write #1".to_owned()) && at.contains(&"write #2".to_owned()), "{swept:?}");
    }

    #[test]
    fn a_failing_and_a_full_disk_are_felt() {
        for fault in [Fault::IoError, Fault::NoSpace] {
            let Some(swept) = replace(CARELESS, fault, FAILING, 1) else { return };
            assert!(swept.felt > 0 && !swept.broken.is_empty(), "{swept:?}");
            let Some(swept) = replace(ATOMIC, fault, FAILING, 1) else { return };
            assert!(swept.felt > 0 && swept.broken.is_empty(), "{swept:?}");
        }
    }

    #[test]
    fn a_sample_takes_the_first_and_the_last_point() {
        let Some(swept) = replace(ATOMIC, Fault::Kill, CHANGING, 1000) else { return };
        let all = variable("KF_TEST_SWEEP").is_some_and(|v| v == "all");
        assert_eq!(swept.taken, if all { swept.points } else { 2 }, "{swept:?}");
    }
}
