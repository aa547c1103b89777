//! `system.kind = "command"`: a program that answers, one JSON line in for each question and one out for each answer.
//!
//! The program finds the files of the version in the directory `KF_VERSION_DIR`, and `KF_MODEL` and `KF_VERSION` say which
//! it is. It may answer in any order. No more than `concurrency` lines are unanswered at a time, and the latency of an
//! answer is the time between the two lines, so a program that answers one by one is measured rightly with a concurrency
//! of 1. A program that has answered nothing for half its time may be one that reads to the end first: it gets all the
//! rest and the end of its input, and from then on a latency is only known if the program states it.
//!
//! Standard output is the protocol: a line that is not an answer ends the run with its number and text, because a program
//! that mixes logs into answers cannot be trusted to have answered. Its end, however it comes, is the reason of whatever is
//! unanswered then.

use super::answer;
use super::process::{Ended, Event, Program, Running, why};
use crate::base::error::{Context, Error, Result};
use crate::base::quantity::Bytes;
use crate::base::text::ellipsis;
use crate::seams::answerer::{Answered, Answerer, Question, Untrusted, index};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The longest line that a program may write.
const LINE_MAX: Bytes = Bytes(16 << 20);
/// How long a program may take to end once everything is answered.
const AFTER_LAST: Duration = Duration::from_secs(5);

/// A version that a program answers for.
#[derive(Clone, Debug)]
pub struct CommandSystem {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Further variables of its environment.
    pub env: Vec<(String, String)>,
    /// The directory that it runs in.
    pub dir: PathBuf,
    /// Where the files of the version are checked out.
    pub version_dir: PathBuf,
    /// The name of the model.
    pub model: String,
    /// Its version.
    pub version: String,
    /// How many questions may be unanswered at a time.
    pub concurrency: NonZeroUsize,
    /// How long the program may go without answering anything.
    pub timeout: Duration,
}

impl Answerer for CommandSystem {
    fn answer(&self, questions: &[Question], each: &mut dyn FnMut(Answered) -> Result<()>) -> Result<()> {
        let by_id = index(questions)?;
        if questions.is_empty() {
            return Ok(());
        }
        let mut talk = Talk {
            system: self,
            questions,
            by_id,
            running: self.program()?.start()?,
            sent: vec![None; questions.len()],
            answered: vec![false; questions.len()],
            room: self.concurrency.get(),
            measured: true,
            next: 0,
            open: 0,
            left: questions.len(),
            partial: Vec::new(),
            line: 0,
        };
        talk.hand_over();
        talk.listen(each)
    }

    fn kind(&self) -> &'static str {
        "command"
    }
}

impl CommandSystem {
    fn program(&self) -> Result<Program> {
        let mut program = Program::from_argv(&self.argv)?.dir(&self.dir).quiet_timeout(self.timeout);
        for (name, value) in &self.env {
            program = program.env(name, value);
        }
        // Last, so that nothing the configuration sets can make the program answer for another version.
        Ok(program.env("KF_VERSION_DIR", &self.version_dir).env("KF_MODEL", &self.model).env("KF_VERSION", &self.version))
    }
}

/// The exchange with one running program.
struct Talk<'a> {
    system: &'a CommandSystem,
    questions: &'a [Question],
    by_id: HashMap<&'a str, usize>,
    running: Running,
    /// When each question was handed over.
    sent: Vec<Option<Instant>>,
    answered: Vec<bool>,
    /// How many questions may be open.
    room: usize,
    /// True while the time from line to line says how long an answer took.
    measured: bool,
    /// The next question to hand over.
    next: usize,
    /// Questions handed over and not answered.
    open: usize,
    /// Questions not answered.
    left: usize,
    /// The start of a line whose end has not come yet.
    partial: Vec<u8>,
    /// Lines read so far.
    line: usize,
}

impl Talk<'_> {
    /// Hands over as many questions as may be open.
    fn hand_over(&mut self) {
        while let Some(question) = self.questions.get(self.next).filter(|_| self.open < self.room) {
            let mut line = answer::asked(question, &self.system.model, &self.system.version).to_string();
            line.push('\n');
            // Before the line goes out: the program may have read it before this thread gets the next turn.
            if let Some(sent) = self.sent.get_mut(self.next) {
                *sent = Some(Instant::now());
            }
            self.running.feed(line.into_bytes());
            self.next += 1;
            self.open += 1;
        }
        if self.next == self.questions.len() {
            self.running.close_input();
        }
    }

    /// Hands over everything: the program seems to wait for the end of its input.
    fn hand_over_all(&mut self) {
        if self.next < self.questions.len() {
            (self.room, self.measured) = (usize::MAX, false);
            self.hand_over();
        }
    }

    fn listen(&mut self, each: &mut dyn FnMut(Answered) -> Result<()>) -> Result<()> {
        let mut patience = Some(Instant::now() + self.system.timeout / 2);
        loop {
            match self.running.next_before(patience)? {
                None => {
                    patience = None;
                    self.hand_over_all();
                }
                Some(Event::Stdout(bytes)) => {
                    let now = Instant::now();
                    patience = None;
                    for piece in bytes.split_inclusive(|b| *b == b'\n') {
                        self.partial.extend_from_slice(piece);
                        if piece.ends_with(b"\n") {
                            let line = std::mem::take(&mut self.partial);
                            self.take(&line, now, each)?;
                        }
                    }
                    if self.partial.len() as u64 > LINE_MAX.0 {
                        self.line += 1;
                        return Err(self.bad_line(&self.partial, &format!("is longer than {LINE_MAX}")));
                    }
                    self.hand_over();
                }
                Some(Event::Ended(ended)) => {
                    let rest = std::mem::take(&mut self.partial);
                    // A line that the program was writing when it was ended is no answer and no breach of the protocol.
                    if matches!(ended, Ended::Status(_)) {
                        self.take(&rest, Instant::now(), each)?;
                    }
                    return self.leave(&ended, each);
                }
            }
        }
    }

    /// Takes one line of output.
    fn take(&mut self, line: &[u8], now: Instant, each: &mut dyn FnMut(Answered) -> Result<()>) -> Result<()> {
        self.line += 1;
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        let object: Map<String, Value> =
            serde_json::from_slice(line).map_err(|e| self.bad_line(line, &format!("is not a JSON object ({e})")))?;
        let id = answer::id(&object).ok_or_else(|| self.bad_line(line, "has no `id`"))?;
        let at = self.by_id.get(id.as_str()).copied();
        let at = at.filter(|at| *at < self.next).ok_or_else(|| self.bad_line(line, "answers a question that was not asked"))?;
        if self.answered.get(at).copied().unwrap_or(true) {
            return Err(self.bad_line(line, &format!("answers `{}` a second time", ellipsis(&id, 60))));
        }
        self.answered[at] = true;
        self.open -= 1;
        self.left -= 1;
        if self.left == 0 {
            self.running.end_within(AFTER_LAST);
        }
        let mut outcome = answer::outcome(&object);
        let sent = self.sent.get(at).copied().flatten().filter(|_| self.measured);
        if let (Ok(found), Some(sent)) = (&mut outcome, sent) {
            found.latency_ms = found.latency_ms.or(Some(now.duration_since(sent).as_secs_f64() * 1e3));
        }
        each(Answered { id, outcome })
    }

    fn bad_line(&self, line: &[u8], what: &str) -> Error {
        let number = self.line;
        let text = ellipsis(String::from_utf8_lossy(line).trim(), 120);
        let name = self.system.argv.first().map(String::as_str).unwrap_or_default();
        let untrusted = Untrusted(format!("line {number} of the output of `{name}` {what}: {text}"));
        let told: Result<Infallible> = Err(untrusted).hint(|| {
            "write one JSON object a line to standard output, `{\"id\": …, \"answer\": …}`, and logs to standard error".into()
        });
        match told {
            Err(e) => e,
            Ok(never) => match never {},
        }
    }

    /// Gives every question that is unanswered the reason.
    fn leave(&self, ended: &Ended, each: &mut dyn FnMut(Answered) -> Result<()>) -> Result<()> {
        let name = self.system.argv.first().map(String::as_str).unwrap_or_default();
        let reason = answer::bounded(&format!("no answer: {}", why(name, ended, &self.running.stderr())));
        let unanswered = self.questions.iter().zip(&self.answered).filter(|(_, answered)| !**answered);
        for (question, _) in unanswered {
            each(Answered { id: question.id.clone(), outcome: Err(reason.clone()) })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
