//! Answers of the systems that `[system]` names, kept so that a run that was ended goes on where it was, and another can repeat it.
//!
//! An answer is in the cache before anybody scores it, under everything that made it: the identity of the system (`system::identity`), the
//! question with all that the system is told, and which of several answers to it this is. What failed is not kept. A system may answer
//! otherwise tomorrow although its version is the same, so unless somebody says otherwise only those answers are taken up that no run
//! which came to its end has used, and of them only what is at most a day old: a run goes on, and the next one asks again. What a system
//! said in a run in which it did not answer as is agreed is forgotten. Every answer that was taken up says so, with its time; latency
//! and cost are those of then.

use crate::base::digest::Digest;
use crate::base::error::{Context, Result};
use crate::base::quantity::MicroUsd;
use crate::base::time::{Clock, Timestamp};
use crate::release::judging::CacheMode;
use crate::seams::answerer::{self, Answer, Answered, Answerer, Question, Tokens, Untrusted};
use crate::store::answers::{Answers, Said};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;

/// How long an answer of a run that did not end is taken up, in microseconds: a day.
const RESUMED: i64 = 24 * 60 * 60 * 1_000_000;

/// What kept answers are used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// A run that did not end goes on; everything else is asked for. What is asked for is kept.
    Resume,
    /// As the word says, however old an answer is.
    As(CacheMode),
}

impl Use {
    /// True when nobody may be asked.
    pub fn is_all(self) -> bool {
        self == Self::As(CacheMode::Only)
    }

    fn takes(self, said: &Said, now: Timestamp) -> bool {
        match self {
            Self::Resume => !said.ended && said.at.plus_micros(RESUMED) >= now,
            Self::As(mode) => mode != CacheMode::Off,
        }
    }

    fn keeps(self) -> bool {
        matches!(self, Self::Resume | Self::As(CacheMode::Write))
    }
}

/// A system with what it said before.
pub struct Remembered<'a> {
    /// The system; `None` where nobody may be asked.
    system: Option<&'a dyn Answerer>,
    kind: &'static str,
    identity: Digest,
    file: Option<Answers>,
    how: Use,
    clock: &'a Clock,
    /// What this run rests on.
    used: RefCell<Vec<Digest>>,
}

/// The answers of a run that did not end yet.
#[derive(Debug)]
pub struct Ending {
    file: Option<Answers>,
    used: Vec<Digest>,
}

impl Ending {
    /// Notes that the run has ended: the next one asks again.
    ///
    /// # Errors
    /// When the cache cannot be written.
    pub fn note(&self) -> Result<()> {
        self.file.as_ref().map_or(Ok(()), |file| file.end(&self.used))
    }
}

/// What is kept of an answer. Its cost is in millionths of a dollar.
#[derive(Serialize, Deserialize)]
struct Line {
    text: String,
    contexts: Option<Vec<String>>,
    context_ids: Option<Vec<String>>,
    latency_ms: Option<f64>,
    cost: Option<i64>,
    input: Option<u64>,
    output: Option<u64>,
}

impl<'a> Remembered<'a> {
    /// What a system of this identity said before, in a file, as far as its use needs one. `kind` is the system's word.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(
        (system, kind, identity): (Option<&'a dyn Answerer>, &'static str, Digest),
        path: &Path,
        how: Use,
        clock: &'a Clock,
    ) -> Result<Self> {
        let file = match how {
            Use::As(CacheMode::Off) => None,
            Use::As(CacheMode::Read | CacheMode::Only) => Answers::open_to_read(path)?,
            Use::Resume | Use::As(CacheMode::Write) => Some(Answers::open(path)?),
        };
        Ok(Self { system, kind, identity, file, how, clock, used: RefCell::default() })
    }

    /// What is left to be noted when the run that rests on these answers has come to its end.
    pub fn ending(self) -> Ending {
        Ending { file: self.file.filter(|_| self.how.keeps()), used: self.used.into_inner() }
    }

    fn key(&self, question: &Question) -> Digest {
        let told = json!([question.id, question.question, question.contexts, question.meta]);
        Digest::of(json!(["kf answer", 1, self.identity.hex(), told, question.sample]).to_string().as_bytes())
    }

    fn find(&self, key: &Digest, now: Timestamp) -> Result<Option<Answer>> {
        let Some(file) = &self.file else { return Ok(None) };
        let Some(said) = file.said(key)?.filter(|said| self.how.takes(said, now)) else { return Ok(None) };
        // A line of another version of kf is as good as none.
        let Ok(line) = serde_json::from_str::<Line>(&said.value) else { return Ok(None) };
        Ok(Some(Answer {
            text: line.text,
            contexts: line.contexts,
            context_ids: line.context_ids,
            latency_ms: line.latency_ms,
            cost: line.cost.map(MicroUsd),
            tokens: Tokens { input: line.input, output: line.output },
            kept: Some(answerer::Kept { at: Some(said.at) }),
        }))
    }

    /// Forgets all that this run rests on: the next one must not go on from answers of a system that cannot be trusted.
    fn unsay(&self) -> Result<()> {
        let used = self.used.take();
        let file = self.file.as_ref().filter(|_| self.how.keeps());
        file.map_or(Ok(()), |file| file.unsay(&used))
    }

    fn keep(&self, key: &Digest, answer: &Answer) -> Result<()> {
        let Some(file) = self.file.as_ref().filter(|_| self.how.keeps()) else { return Ok(()) };
        let line = Line {
            text: answer.text.clone(),
            contexts: answer.contexts.clone(),
            context_ids: answer.context_ids.clone(),
            latency_ms: answer.latency_ms,
            cost: answer.cost.map(|cost| cost.0),
            input: answer.tokens.input,
            output: answer.tokens.output,
        };
        file.keep_said(key, &serde_json::to_string(&line).context(|| "an answer cannot be written")?, self.clock.now())
    }
}

impl Answerer for Remembered<'_> {
    fn answer(&self, questions: &[Question], each: &mut dyn FnMut(Answered) -> Result<()>) -> Result<()> {
        let now = self.clock.now();
        let (mut missing, mut keys) = (Vec::new(), HashMap::new());
        for question in questions {
            let key = self.key(question);
            match (self.find(&key, now)?, self.system) {
                (Some(answer), _) => {
                    self.used.borrow_mut().push(key);
                    each(Answered { id: question.id.clone(), outcome: Ok(answer) })?;
                }
                (None, None) => {
                    let why = "nobody was asked: it is not in the cache".to_owned();
                    each(Answered { id: question.id.clone(), outcome: Err(why) })?;
                }
                (None, Some(_)) => {
                    keys.insert(question.id.clone(), key);
                    missing.push(question.clone());
                }
            }
        }
        let Some(system) = self.system.filter(|_| !missing.is_empty()) else { return Ok(()) };
        let asked = system.answer(&missing, &mut |answered| {
            if let (Ok(answer), Some(key)) = (&answered.outcome, keys.get(&answered.id)) {
                self.keep(key, answer)?;
                self.used.borrow_mut().push(*key);
            }
            each(answered)
        });
        if asked.as_ref().is_err_and(|e| e.cause::<Untrusted>().is_some()) {
            self.unsay()?;
        }
        asked
    }

    fn kind(&self) -> &'static str {
        self.kind
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::Error;

    /// Answers with how often it was asked, fails on the question `bad`, and is ended after so many, by somebody or for what it said.
    struct Counting {
        asked: RefCell<Vec<(String, u32)>>,
        most: usize,
        lies: bool,
    }

    impl Answerer for Counting {
        fn answer(&self, questions: &[Question], each: &mut dyn FnMut(Answered) -> Result<()>) -> Result<()> {
            for question in questions {
                if self.asked.borrow().len() == self.most && self.lies {
                    return Err(Untrusted("no JSON".into())).context(|| "line 4");
                }
                if self.asked.borrow().len() == self.most {
                    return Err(Error::new("killed"));
                }
                self.asked.borrow_mut().push((question.id.clone(), question.sample));
                let text = format!("answer {}", self.asked.borrow().len());
                let said = Answer { text, latency_ms: Some(7.5), cost: Some(MicroUsd(3)), ..Answer::default() };
                let outcome = if question.question == "bad" { Err("too busy".to_owned()) } else { Ok(said) };
                each(Answered { id: question.id.clone(), outcome })?;
            }
            Ok(())
        }

        fn kind(&self) -> &'static str {
            "fake"
        }
    }

    struct Bed {
        dir: tempfile::TempDir,
        system: Counting,
    }

    /// Texts by id, those that were kept marked, or why there is none.
    type Heard = Vec<(String, Result<(String, bool), String>)>;

    impl Bed {
        fn new(most: usize) -> Self {
            let dir = tempfile::tempdir().expect("a folder");
            Self { dir, system: Counting { asked: RefCell::default(), most, lies: false } }
        }

        fn run(&self, at: i64, how: Use, questions: &[Question], ends: bool) -> (Heard, usize) {
            let clock = Clock::stepping(Timestamp::from_micros(at));
            let system = (how != Use::As(CacheMode::Only)).then_some(&self.system as &dyn Answerer);
            let path = self.dir.path().join("answers.db");
            let all = Remembered::open((system, "fake", Digest::of(b"it")), &path, how, &clock).expect("opened");
            let (mut heard, before) = (Vec::new(), self.system.asked.borrow().len());
            let ended = all.answer(questions, &mut |a| {
                if let Ok(said) = &a.outcome {
                    assert_eq!((said.latency_ms, said.cost), (Some(7.5), Some(MicroUsd(3))), "of the first time");
                }
                heard.push((a.id, a.outcome.map(|said| (said.text, said.kept.is_some()))));
                Ok(())
            });
            if ended.is_ok() && ends {
                all.ending().note().expect("noted");
            }
            (heard, self.system.asked.borrow().len() - before)
        }
    }

    fn question(id: &str, question: &str) -> Question {
        Question { id: id.into(), question: question.into(), ..Question::default() }
    }

    #[test]
    fn a_run_that_did_not_end_goes_on_for_a_day_and_the_next_one_asks_again() {
        let bed = Bed::new(3);
        let all = [question("a", "x"), question("b", "bad"), question("c", "x"), question("d", "x"), question("e", "x")];
        assert_eq!(bed.run(0, Use::Resume, &all, true).1, 3, "killed after three, of which one failed");
        let mut bed = bed;
        bed.system.most = usize::MAX;
        let (heard, asked) = bed.run(RESUMED - 10_000, Use::Resume, &all, true);
        assert_eq!(asked, 3, "what failed and what was never asked");
        let kept: Vec<_> = heard.iter().filter(|(_, o)| matches!(o, Ok((_, true)))).map(|(id, _)| id.as_str()).collect();
        assert_eq!((kept, heard.len()), (vec!["a", "c"], 5));
        let (heard, asked) = bed.run(RESUMED, Use::Resume, &all, false);
        assert!(asked == 5 && heard.iter().all(|(_, o)| !matches!(o, Ok((_, true)))), "that run had ended: {heard:?}");
        assert_eq!(bed.run(2 * RESUMED, Use::Resume, &all, false).1, 1, "this one had not");
        assert_eq!(bed.run(4 * RESUMED, Use::Resume, &all, false).1, 5, "and is too old");
    }

    #[test]
    fn nothing_is_kept_of_a_run_in_which_the_system_could_not_be_trusted() {
        let mut bed = Bed::new(2);
        let all = [question("a", "x"), question("b", "x"), question("c", "x"), question("d", "x")];
        assert_eq!(bed.run(0, Use::Resume, &all, true).1, 2, "killed");
        (bed.system.most, bed.system.lies) = (3, true);
        assert_eq!(bed.run(1, Use::Resume, &all, true).1, 1, "it goes on, and then the system breaks what was agreed");
        bed.system.most = usize::MAX;
        let (heard, asked) = bed.run(2, Use::As(CacheMode::Write), &all, true);
        assert!(asked == 4 && heard.iter().all(|(_, o)| matches!(o, Ok((_, false)))), "{heard:?}");
    }

    #[test]
    fn each_use_asks_and_keeps_what_it_says() {
        let bed = Bed::new(usize::MAX);
        let all = [question("a", "x"), question("b", "bad")];
        let asked = |how, questions: &[Question]| bed.run(0, how, questions, true).1;
        let (heard, _) = bed.run(0, Use::As(CacheMode::Only), &all, true);
        assert_eq!(heard[0].1, Err("nobody was asked: it is not in the cache".to_owned()));
        assert_eq!(
            (asked(Use::As(CacheMode::Read), &all), asked(Use::As(CacheMode::Read), &all)),
            (2, 2),
            "reading keeps nothing"
        );
        assert_eq!((asked(Use::As(CacheMode::Off), &all), asked(Use::As(CacheMode::Write), &all)), (2, 2));
        assert_eq!(asked(Use::As(CacheMode::Write), &all), 1, "what failed alone, however old the rest is");
        assert_eq!(asked(Use::As(CacheMode::Off), &all), 2);
        assert_eq!(asked(Use::Resume, &all), 2);
        let (heard, n) = bed.run(9 * RESUMED, Use::As(CacheMode::Only), &all, true);
        assert!(n == 0 && matches!(&heard[0].1, Ok((text, true)) if text == "answer 12"), "the newest: {heard:?}");
        // Another question, another context, another field, another repeat: each is asked for itself.
        let other = [
            question("a", "y"),
            Question { contexts: Some(Vec::new()), ..question("a", "x") },
            Question { meta: [("lang".to_owned(), json!("de"))].into_iter().collect(), ..question("a", "x") },
            Question { sample: 1, ..question("a", "x") },
            question("z", "x"),
        ];
        for one in other {
            assert_eq!(asked(Use::As(CacheMode::Write), std::slice::from_ref(&one)), 1, "{one:?}");
            assert_eq!(asked(Use::As(CacheMode::Write), std::slice::from_ref(&one)), 0, "{one:?}");
        }
    }
}
