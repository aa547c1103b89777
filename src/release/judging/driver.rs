//! The jobs of a run on their way: what each waits for, what is asked, and who goes on when an answer comes.

use super::{Bench, Took, case_of};
use crate::base::digest::Digest;
use crate::base::error::{Error, Kind, Result};
use crate::base::quantity::PicoUsd;
use crate::domain::eval::judged::{self, Judged, JudgedId, Memo, Need, Reply, Tally};
use crate::domain::golden::{Answer, Row};
use crate::seams::answerer::Tokens;
use crate::seams::embedder::Purpose;
use crate::seams::model::{Completion, Content, FailureKind, Outcome, Request};
use std::collections::{HashMap, VecDeque};
use std::sync::mpsc::{Receiver, Sender, channel};

/// Requests that wait for a turn, for each that may be under way: enough that no judge ever waits for us.
const AHEAD: usize = 2;

/// A question by whom it goes to and what it is.
type Key = (usize, Digest);

pub(super) struct Driver<'a> {
    bench: &'a Bench<'a>,
    /// Every row with its answers, at least one.
    cases: &'a [(&'a Row, Vec<Option<&'a Answer>>)],
    metrics: &'a [JudgedId],
    progress: &'a dyn Fn(),
    memo: Memo,
    jobs: Vec<Job>,
    /// The first job that was not taken up yet.
    next: usize,
    /// Jobs that may go on.
    ready: VecDeque<usize>,
    /// Jobs that wait for a question.
    waiting: HashMap<Key, Vec<usize>>,
    /// Jobs that wait for vectors, with the texts.
    texts: Vec<(usize, String)>,
    /// Questions that were not sent yet, by judge.
    queues: Vec<VecDeque<(Digest, Request)>>,
    /// Questions under way, by judge.
    under_way: Vec<usize>,
    sender: Sender<(Key, Outcome)>,
    answers: Receiver<(Key, Outcome)>,
    pub(super) total: Took,
    pub(super) asked: Took,
    /// What of it came to nothing.
    pub(super) failed: Took,
    /// What counts against the limit of cost; `None` when nobody knows any more.
    spent: Option<PicoUsd>,
    /// The dearest answer, which one of unknown cost is taken for.
    dearest: Option<PicoUsd>,
    /// True once something was not asked because of the limit.
    pub(super) stopped: bool,
}

/// One row by one metric, once.
#[derive(Default)]
struct Job {
    done: Option<(Judged, Tally)>,
    /// How many things it waits for.
    open: usize,
}

impl<'a> Driver<'a> {
    pub(super) fn new(
        bench: &'a Bench<'a>,
        cases: &'a [(&'a Row, Vec<Option<&'a Answer>>)],
        metrics: &'a [JudgedId],
        progress: &'a dyn Fn(),
    ) -> Self {
        let jobs = cases.len() * metrics.len() * bench.repeat.max(1) as usize;
        let (sender, answers) = channel();
        let nothing = Took { cost_usd: Some(PicoUsd(0)), ..Took::default() };
        Self {
            bench,
            cases,
            metrics,
            progress,
            memo: Memo::default(),
            jobs: (0..jobs).map(|_| Job::default()).collect(),
            next: 0,
            ready: VecDeque::new(),
            waiting: HashMap::new(),
            texts: Vec::new(),
            queues: bench.models.iter().map(|_| VecDeque::new()).collect(),
            under_way: vec![0; bench.models.len()],
            sender,
            answers,
            total: nothing,
            asked: nothing,
            failed: nothing,
            spent: Some(PicoUsd(0)),
            dearest: None,
            stopped: false,
        }
    }

    /// Runs every job to its end; they are in the order of rows, then metrics, then samples.
    pub(super) fn run(mut self) -> Result<(Vec<(Judged, Tally)>, Self)> {
        loop {
            self.go_on()?;
            if self.embed()? {
                continue;
            }
            if self.under_way.iter().all(|n| *n == 0) {
                break;
            }
            // The sender lives as long as this does, so there is always an answer to come.
            let lost = |_| Error::of(Kind::Bug, "a question to a judge was lost");
            let (key, outcome) = self.answers.recv().map_err(lost)?;
            self.answered(key, outcome)?;
        }
        let mut done = Vec::with_capacity(self.jobs.len());
        for job in &mut self.jobs {
            done.push(job.done.take().ok_or_else(|| Error::of(Kind::Bug, "a row was never judged to its end"))?);
        }
        Ok((done, self))
    }

    /// Steps every job that may go on, takes up new ones while judges are idle, and sends what may be sent.
    fn go_on(&mut self) -> Result<()> {
        loop {
            self.send()?;
            if let Some(job) = self.ready.pop_front() {
                self.step(job)?;
            } else if self.next < self.jobs.len() && self.has_room() {
                self.next += 1;
                self.step(self.next - 1)?;
            } else {
                return Ok(());
            }
        }
    }

    /// True while no judge has more to do than it can soon: where several judge, the slowest sets the pace for all.
    fn has_room(&self) -> bool {
        // While vectors are missing for many, they are made before more jobs want some.
        let free = |(judge, queue): (usize, &VecDeque<_>)| {
            let most = self.bench.models[judge].about().concurrency * AHEAD;
            queue.len() + self.under_way[judge] < most
        };
        self.texts.len() < 256 && self.queues.iter().enumerate().all(free)
    }

    fn step(&mut self, at: usize) -> Result<()> {
        let repeat = self.bench.repeat.max(1) as usize;
        let (sample, pair) = (at % repeat, at / repeat);
        let (metric, (row, answers)) = (self.metrics[pair % self.metrics.len()], &self.cases[pair / self.metrics.len()]);
        let answer = answers[sample % answers.len()];
        let failed = answer.and_then(|a| a.error.as_deref().filter(|_| a.answer.is_none()));
        if let Some(error) = failed {
            self.finish(at, (Judged::Unscored(format!("the system failed: {error}")), Tally::default()));
            return Ok(());
        }
        let sample = u32::try_from(sample).unwrap_or(u32::MAX);
        match judged::judge_and_tell(metric, &case_of(row, answer), &self.bench.settings, sample, &self.memo) {
            Ok((judged, tally, useless)) => {
                // They were kept before anybody read them, so that whoever is killed pays for none twice.
                for (judge, digest) in useless {
                    self.bench.cache.forget(self.bench.models[judge].about(), &digest)?;
                }
                self.finish(at, (judged, tally));
            }
            Err(needs) => {
                self.jobs[at].open = needs.len();
                for need in needs {
                    self.note(at, need)?;
                }
            }
        }
        Ok(())
    }

    fn finish(&mut self, at: usize, done: (Judged, Tally)) {
        self.jobs[at].done = Some(done);
        (self.progress)();
    }

    /// Notes what a job needs: found in the cache, asked for already, or to be asked.
    fn note(&mut self, at: usize, need: Need) -> Result<()> {
        let (judge, request, digest) = match need {
            Need::Vector(text) => {
                self.texts.push((at, text));
                return Ok(());
            }
            Need::Ask { judge, request, key } => (judge, request, key),
        };
        let key = (judge, digest);
        if let Some(others) = self.waiting.get_mut(&key) {
            others.push(at);
            return Ok(());
        }
        if self.memo.replies.contains_key(&key) {
            // Another job of this round found it in the cache.
            self.wake(at);
            return Ok(());
        }
        self.waiting.insert(key, vec![at]);
        if let Some(found) = self.bench.cache.completion(self.bench.models[judge].about(), &digest)? {
            self.total.add(found.tokens, found.cost, found.latency_ms);
            self.known(key, reply(found));
        } else if self.bench.cache.is_all() {
            self.known(key, not_asked("nobody was asked: it is not in the cache"));
        } else if self.is_spent() {
            self.stopped = true;
            self.known(key, not_asked(STOPPED));
        } else {
            self.queues[judge].push_back((digest, *request));
        }
        Ok(())
    }

    /// True when nothing more may be asked.
    fn is_spent(&self) -> bool {
        self.bench.max_cost.is_some_and(|most| self.spent.is_none_or(|spent| spent >= most))
    }

    fn pay(&mut self, cost: Option<PicoUsd>) {
        let cost = cost.or(self.dearest);
        self.dearest = self.dearest.max(cost);
        self.spent = self.spent.zip(cost).map(|(sum, cost)| sum.and(cost));
    }

    fn send(&mut self) -> Result<()> {
        if self.is_spent() {
            self.stop();
        }
        for judge in 0..self.queues.len() {
            let model = &self.bench.models[judge];
            while self.under_way[judge] < model.about().concurrency {
                let Some((digest, request)) = self.queues[judge].pop_front() else { break };
                let (sender, key) = (self.sender.clone(), (judge, digest));
                // Nobody listens only when the run has ended with an error.
                model.begin(request, Box::new(move |outcome| drop(sender.send((key, outcome)))))?;
                self.under_way[judge] += 1;
            }
        }
        Ok(())
    }

    fn answered(&mut self, key: Key, outcome: Outcome) -> Result<()> {
        let (judge, digest) = key;
        self.under_way[judge] -= 1;
        match outcome {
            Ok(found) => {
                self.bench.cache.keep(self.bench.models[judge].about(), &digest, &found)?;
                for took in [&mut self.asked, &mut self.total] {
                    took.add(found.tokens, found.cost, found.latency_ms);
                }
                self.pay(found.cost);
                self.known(key, reply(found));
            }
            Err(failure) if failure.kind == FailureKind::Misconfigured => return Err(failure.into_error()),
            Err(failure) => {
                for took in [&mut self.asked, &mut self.failed] {
                    took.add(failure.tokens, failure.paid(), 0.0);
                }
                self.pay(failure.paid());
                self.known(key, Err((failure.kind, failure.reason)));
            }
        }
        Ok(())
    }

    /// Asks nothing that was not sent yet; what is under way comes, because it is paid for.
    fn stop(&mut self) {
        self.stopped |= self.queues.iter().any(|queue| !queue.is_empty());
        for judge in 0..self.queues.len() {
            for (digest, _) in std::mem::take(&mut self.queues[judge]) {
                self.known((judge, digest), not_asked(STOPPED));
            }
        }
    }

    fn known(&mut self, key: Key, reply: Reply) {
        self.memo.replies.insert(key, reply);
        for job in self.waiting.remove(&key).unwrap_or_default() {
            self.wake(job);
        }
    }

    /// One thing less that a job waits for.
    fn wake(&mut self, job: usize) {
        self.jobs[job].open -= 1;
        if self.jobs[job].open == 0 {
            self.ready.push_back(job);
        }
    }

    /// Makes the vectors that jobs wait for; true when some did.
    fn embed(&mut self) -> Result<bool> {
        let wanted = std::mem::take(&mut self.texts);
        if wanted.is_empty() {
            return Ok(false);
        }
        let (embedder, cache) = (self.bench.embedder, self.bench.cache);
        let mut missing: Vec<&str> = Vec::new();
        for (_, text) in &wanted {
            if self.memo.vectors.contains_key(text) || missing.contains(&text.as_str()) {
                continue;
            }
            let kept = if embedder.is_costly() { cache.vector(embedder.model(), text)? } else { None };
            match kept {
                Some(vector) => drop(self.memo.vectors.insert(text.clone(), Ok(vector))),
                None => missing.push(text),
            }
        }
        if embedder.is_costly() && cache.is_all() {
            for text in missing {
                let why = "nobody was asked: they are not in the cache";
                self.memo.vectors.insert(text.to_owned(), Err(why.to_owned()));
            }
        } else if !missing.is_empty() {
            // Whatever kind of text it is, it is compared with others of its kind.
            match embedder.embed(&missing, Purpose::Document) {
                Ok(vectors) => {
                    for (text, vector) in missing.into_iter().zip(vectors) {
                        if embedder.is_costly() {
                            cache.keep_vector(embedder.model(), text, &vector)?;
                        }
                        self.memo.vectors.insert(text.to_owned(), Ok(vector));
                    }
                }
                Err(e) => {
                    for text in missing {
                        self.memo.vectors.insert(text.to_owned(), Err(e.to_string()));
                    }
                }
            }
        }
        for (job, _) in wanted {
            self.wake(job);
        }
        Ok(true)
    }
}

/// Why a row has no score after the limit of cost was reached.
const STOPPED: &str = "nobody was asked, because `--max-cost` was reached";

fn reply(found: Completion) -> Reply {
    match found.content {
        Content::Json(value) => Ok(value),
        Content::Text(_) => Err((FailureKind::Malformed, "the answer is words".to_owned())),
    }
}

fn not_asked(why: &str) -> Reply {
    Err((FailureKind::NotAsked, why.to_owned()))
}

impl Took {
    fn add(&mut self, tokens: Tokens, cost: Option<PicoUsd>, latency_ms: f64) {
        self.requests += 1;
        self.tokens_in += tokens.input.unwrap_or(0);
        self.tokens_out += tokens.output.unwrap_or(0);
        self.cost_usd = self.cost_usd.zip(cost).map(|(sum, cost)| sum.and(cost));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a float becomes the nearest whole number there is"
        )]
        let us = (latency_ms * 1e3).round() as u64;
        self.latency_us = self.latency_us.saturating_add(us);
    }
}
