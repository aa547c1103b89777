//! What became of each step of a runbook when people went through it: one text beside the drills of backups, signed like them.

use super::runbook::Scenario;
use crate::base::digest::Digest;
use crate::base::error::{Context, Error, Result};
use crate::base::name::words;
use crate::base::time::Timestamp;
use crate::base::verdict::Verdict;
use crate::domain::audit::key::{SignerKey, VerifierKey};
use crate::domain::audit::statement;
use serde::{Deserialize, Serialize};

/// The form of a report.
const SCHEMA: &str = "kf.dr-exercise/1";
/// The folder of reports.
pub const EXERCISES: &str = "exercises";
/// The longest note on a step, in bytes: the report is in the audit log, too.
pub const NOTE_MAX: usize = 500;
/// The note of a step that no exercise runs.
pub const IN_USE: &str = "it changes what is in use";

words! {
    /// What became of a step.
    Outcome, "outcome" {
        /// It was taken, or people could tell how.
        Done = "done",
        /// It was left out.
        Skipped = "skipped",
        /// It was tried and did not do what it should.
        Failed = "failed",
    }
}

words! {
    /// How an exercise was made.
    Mode, "way of an exercise" {
        /// People told what they would do.
        Tabletop = "tabletop",
        /// Steps that harm nobody were run.
        Run = "run",
    }
}

/// An exercise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exercise {
    /// The form of this text.
    pub schema: String,
    /// What happened.
    pub scenario: Scenario,
    /// How it was made.
    pub mode: Mode,
    /// When it was begun.
    pub at: Timestamp,
    /// When it was over.
    pub ended: Timestamp,
    /// Who made it.
    pub by: String,
    /// How many minutes it may take when it is real.
    pub target_minutes: u32,
    /// The digest of the runbook, as Markdown.
    pub runbook: Digest,
    /// What `mlops.toml` does not say.
    pub gaps: Vec<String>,
    /// What became of each step, in order.
    pub steps: Vec<Taken>,
}

/// What became of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Taken {
    /// What it does.
    pub what: String,
    /// The command.
    pub command: String,
    /// What became of it.
    pub outcome: Outcome,
    /// Who took it, or would.
    pub who: String,
    /// What there is to say.
    pub note: String,
    /// How many milliseconds it took, where it was run.
    pub took_ms: Option<u64>,
}

/// What somebody said of a step beforehand.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The number of the step, from 1.
    pub step: usize,
    /// What became of it.
    pub outcome: Outcome,
    /// Who took it.
    #[serde(default)]
    pub who: String,
    /// What there is to say.
    #[serde(default)]
    pub note: String,
}

/// Reads answers, one JSON object a line.
///
/// # Errors
/// With the line, for one that is none, or a second one to the same step, or to a step that there is not.
pub fn answers(text: &str, steps: usize) -> Result<Vec<Answer>> {
    let mut all: Vec<Answer> = Vec::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |why: String| {
            let hint = "each line is like {\"step\": 1, \"outcome\": \"done\", \"who\": \"ada\", \"note\": \"\"}";
            Error::usage(format!("line {} of the answers: {why}", at + 1)).hint(hint)
        };
        let answer: Answer = serde_json::from_str(line).map_err(|e| wrong(e.to_string()))?;
        if answer.step == 0 || answer.step > steps {
            return Err(wrong(format!("there is no step {}, there are {steps}", answer.step)));
        }
        if answer.note.len() > NOTE_MAX || answer.who.len() > NOTE_MAX {
            return Err(wrong(format!("it is longer than {NOTE_MAX} bytes")));
        }
        if all.iter().any(|other| other.step == answer.step) {
            return Err(wrong(format!("step {} has an answer already", answer.step)));
        }
        all.push(answer);
    }
    Ok(all)
}

impl Exercise {
    /// The schema of a report that is written now.
    pub fn schema() -> String {
        SCHEMA.to_owned()
    }

    /// What it came to: that all is well shows only when every step was taken that the way of the exercise takes.
    pub fn verdict(&self) -> Verdict {
        let left_out = |step: &Taken| {
            let by_rule = self.mode == Mode::Run && step.note == IN_USE;
            step.outcome == Outcome::Skipped && !by_rule
        };
        match (self.count(Outcome::Failed), self.count(Outcome::Done)) {
            (0, 0) => Verdict::Inconclusive,
            (0, _) if self.steps.iter().any(left_out) => Verdict::Inconclusive,
            (0, _) => Verdict::Pass,
            _ => Verdict::Fail,
        }
    }

    /// True when no step failed and none was left out that could have been taken.
    pub fn passed(&self) -> bool {
        self.verdict() == Verdict::Pass
    }

    /// The same in a word, for people.
    pub fn result(&self) -> &'static str {
        match self.verdict() {
            Verdict::Pass => "passed",
            Verdict::Fail => "failed",
            Verdict::Inconclusive => "partly",
        }
    }

    /// The steps of which this became.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.steps.iter().filter(|step| step.outcome == outcome).count()
    }

    /// The text that is stored, signed where there is a key.
    ///
    /// # Errors
    /// Never for a report; kept as an error rather than a panic.
    pub fn text(&self, key: Option<&SignerKey>) -> Result<String> {
        statement::write(self, key)
    }

    /// Reads a report that somebody who is known signed, where anybody is.
    ///
    /// # Errors
    /// When it is damaged, of a newer kf, or nobody who is known signed it.
    pub fn read(bytes: &[u8], known: &[VerifierKey]) -> Result<Self> {
        let damaged = || "the report of an exercise is damaged".to_owned();
        let of: Self = serde_json::from_str(&statement::read(bytes, known, damaged)?).context(damaged)?;
        match of.schema == SCHEMA {
            true => Ok(of),
            false => {
                Err(Error::new(format!("the report of an exercise has the form `{}`, and this kf reads `{SCHEMA}`", of.schema)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_line_by_line_and_wrong_ones_told() {
        let good = "{\"step\": 2, \"outcome\": \"skipped\", \"note\": \"no time\"}\n\n{\"step\": 1, \"outcome\": \"done\", \"who\": \"ada\"}\n";
        let read = answers(good, 3).expect("answers");
        assert_eq!(read.iter().map(|a| (a.step, a.outcome)).collect::<Vec<_>>(), [(2, Outcome::Skipped), (1, Outcome::Done)]);
        let long = format!("{{\"step\": 1, \"outcome\": \"done\", \"note\": \"{}\"}}", "x".repeat(NOTE_MAX + 1));
        for (text, why) in [
            ("{\"step\": 4, \"outcome\": \"done\"}", "there is no step 4, there are 3"),
            ("{\"step\": 0, \"outcome\": \"done\"}", "there is no step 0"),
            ("{\"step\": 1, \"outcome\": \"well\"}", "expected one of: done, skipped, failed"),
            (
                "{\"step\": 1, \"outcome\": \"done\"}\n{\"step\": 1, \"outcome\": \"done\"}",
                "line 2 of the answers: step 1 has an answer",
            ),
            ("done", "line 1"),
            (long.as_str(), "longer than 500 bytes"),
        ] {
            let e = answers(text, 3).expect_err(text).to_string();
            assert!(e.contains(why), "{text}: {e}");
        }
    }

    #[test]
    fn what_was_altered_proves_nothing() {
        let key = SignerKey::from_seed("kf/shop/1", [3; 32]).expect("a key");
        let taken = |outcome| Taken {
            what: "look".into(),
            command: "kf status".into(),
            outcome,
            who: "ada".into(),
            note: String::new(),
            took_ms: None,
        };
        let at = Timestamp::from_micros(1_795_000_000_000_000);
        let mut of = Exercise {
            schema: Exercise::schema(),
            scenario: Scenario::BadRelease,
            mode: Mode::Tabletop,
            at,
            ended: at,
            by: "ada".into(),
            target_minutes: 5,
            runbook: Digest::of(b"r"),
            gaps: Vec::new(),
            steps: vec![taken(Outcome::Skipped)],
        };
        assert!(!of.passed(), "nothing was done");
        of.steps.push(taken(Outcome::Done));
        assert_eq!((of.passed(), of.result()), (false, "partly"), "one of two steps shows little");
        of.steps[0].outcome = Outcome::Done;
        assert_eq!((of.passed(), of.result()), (true, "passed"));
        of.steps.push(Taken { note: IN_USE.into(), ..taken(Outcome::Skipped) });
        assert_eq!(of.result(), "partly", "people can talk through every step");
        of.mode = Mode::Run;
        assert_eq!(of.result(), "passed", "what changes what is in use is not run");
        of.steps.push(taken(Outcome::Failed));
        assert_eq!(of.result(), "failed");
        of.steps.pop();
        let text = of.text(Some(&key)).expect("a text");
        let known = [key.public().clone()];
        assert_eq!(Exercise::read(text.as_bytes(), &known).expect("read"), of);
        let altered = text.replace("skipped", "done");
        assert!(Exercise::read(altered.as_bytes(), &known).is_err());
        let unsigned = of.text(None).expect("a text");
        assert!(Exercise::read(unsigned.as_bytes(), &known).is_err(), "nobody signed it");
        assert!(Exercise::read(unsigned.as_bytes(), &[]).is_ok());
    }
}
