//! The driver against models that live in this process: what is asked, in which numbers, and when it ends.

use super::*;
use crate::seams::answerer::Tokens;
use crate::seams::model::{Completion, Content, Done, Failure, FailureKind, Request};
use serde_json::Value;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Say = Arc<dyn Fn(usize, &Request) -> crate::seams::model::Outcome + Send + Sync>;

struct Fake {
    about: About,
    say: Say,
    asked: Arc<AtomicUsize>,
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<Digest>>>,
}

impl Fake {
    fn new(concurrency: usize, say: Say) -> Self {
        let about = About { provider: "fake".into(), endpoint: "here".into(), model: "m".into(), concurrency };
        Self { about, say, asked: Arc::default(), now: Arc::default(), most: Arc::default(), seen: Arc::default() }
    }
}

impl Model for Fake {
    fn about(&self) -> &About {
        &self.about
    }

    fn cost(&self, tokens: Tokens) -> Option<PicoUsd> {
        Some(PicoUsd(i64::try_from(tokens.input? + tokens.output?).ok()?))
    }

    fn begin(&self, request: Request, done: Done) -> Result<()> {
        let number = self.asked.fetch_add(1, Ordering::SeqCst);
        let digest = request.digest()?;
        let mut seen = self.seen.lock().expect("nobody panicked");
        assert!(!seen.contains(&digest), "asked twice");
        seen.push(digest);
        self.most.fetch_max(self.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let (say, now) = (Arc::clone(&self.say), Arc::clone(&self.now));
        std::thread::spawn(move || {
            // Answers come in another order than they were asked for.
            std::thread::sleep(Duration::from_micros((number as u64 * 7919) % 900));
            let outcome = say(number, &request);
            now.fetch_sub(1, Ordering::SeqCst);
            done(outcome);
        });
        Ok(())
    }
}

fn completion(value: Value) -> Completion {
    Completion {
        content: Content::Json(value),
        model: "m".into(),
        fingerprint: None,
        stop: "stop".into(),
        tokens: Tokens { input: Some(60), output: Some(40) },
        cost: Some(PicoUsd(100)),
        latency_ms: 2.0,
        cached: false,
    }
}

/// Every statement follows, every mark is 8.
fn kind(_: usize, request: &Request) -> crate::seams::model::Outcome {
    let name = request.shape.as_ref().map(|s| s.name.clone()).unwrap_or_default();
    Ok(completion(match name.as_str() {
        "statements" => json!({"reason": "", "declines": false, "statements": ["So it is."]}),
        "verdicts" => json!({"verdicts": [{"id": "s1", "reason": "", "contexts": ["c1"], "supported": true}]}),
        _ => json!({"reason": "", "score": 8}),
    }))
}

fn bench<'a>(model: Fake, metrics: &[JudgedId], embedder: &'a dyn Embedder) -> Bench<'a> {
    let drawing = Drawing { max_tokens: 100, temperature: 0.0, seed: None };
    Bench {
        models: vec![Box::new(model)],
        settings: Settings { judges: vec![drawing], sentences: false, questions: 3, rubric: Some("Good.".into()) },
        embedder,
        metrics: metrics.to_vec(),
        repeat: 1,
        min_coverage: 0.9,
        max_cost: None,
        cache: Box::leak(Box::new(Cached::open(std::path::Path::new("nowhere"), CacheMode::Off).expect("no cache"))),
    }
}

fn rows(n: usize) -> (Vec<Row>, HashMap<String, Answer>) {
    let rows: Vec<Row> =
        (0..n).map(|i| Row { id: format!("r{i}"), question: format!("Question {i}?"), ..Row::default() }).collect();
    let answer =
        |i: usize| Answer { answer: Some(format!("Answer {i}.")), contexts: vec![format!("Context {i}.")], ..Answer::default() };
    let answers = rows.iter().enumerate().map(|(i, r)| (r.id.clone(), answer(i))).collect();
    (rows, answers)
}

#[test]
fn all_rows_are_judged_once_with_no_more_at_a_time_than_the_judge_takes() {
    let (rows, mut answers) = rows(60);
    answers.insert("r7".into(), Answer { error: Some("too busy".into()), ..Answer::default() });
    let mut model = Fake::new(4, Arc::new(kind));
    let (asked, most) = (Arc::clone(&model.asked), Arc::clone(&model.most));
    let seen = Arc::clone(&most);
    model.say = Arc::new(move |number, request| {
        // However slow this machine is, nobody answers before as many were asked as may be.
        let patience = std::time::Instant::now() + Duration::from_secs(30);
        while seen.load(Ordering::SeqCst) < 4 && std::time::Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(1));
        }
        kind(number, request)
    });
    let embedder = builtin();
    let metrics = [JudgedId::Hallucination, JudgedId::Rubric, JudgedId::Faithfulness, JudgedId::Rubric];
    let bench = bench(model, &metrics, &embedder);
    let done = AtomicUsize::new(0);
    let outcome = run(&bench, &rows, &answers, &|| {
        done.fetch_add(1, Ordering::SeqCst);
    })
    .expect("judged");
    assert_eq!((asked.load(Ordering::SeqCst), most.load(Ordering::SeqCst)), (59 * 3, 4), "two metrics share their requests");
    assert_eq!(done.load(Ordering::SeqCst), 180);
    let told: Vec<_> = outcome.scores.sums.iter().map(|s| (s.metric.as_str(), s.mean, s.n)).collect();
    assert_eq!(told, [("faithfulness", Some(1.0), 59), ("hallucination", Some(0.0), 59), ("rubric", Some(0.8), 59)]);
    let order: Vec<_> = outcome.scores.rows.iter().take(4).map(|r| (r.pos, r.metric.as_str())).collect();
    assert_eq!(order, [(0, "faithfulness"), (0, "hallucination"), (0, "rubric"), (1, "faithfulness")]);
    let failed = outcome.scores.rows.iter().find(|r| r.row == "r7").expect("a row");
    assert_eq!(failed.reason.as_deref(), Some("the system failed: too busy"));
    assert!(outcome.errors.is_empty(), "the judge did not fail");
    assert_eq!((outcome.asked.cost_usd, outcome.asked), (Some(PicoUsd(59 * 300)), outcome.total));
}

#[test]
fn repeats_are_averaged_and_their_changes_counted() {
    let (rows, answers) = rows(2);
    let say: Say = Arc::new(|_, request| {
        let score = if request.sample == 2 && request.messages[0].text.contains("Answer 1.") { 2 } else { 8 };
        Ok(completion(json!({"reason": "", "score": score})))
    });
    let embedder = builtin();
    let bench = Bench { repeat: 3, ..bench(Fake::new(2, say), &[JudgedId::Rubric], &embedder) };
    let outcome = run(&bench, &rows, &answers, &|| {}).expect("judged");
    let values: Vec<_> = outcome.scores.rows.iter().map(|r| r.value.map(|v| (v * 1e9).round() / 1e9)).collect();
    assert_eq!((values, outcome.moved), (vec![Some(0.8), Some(0.6)], 1));
}

#[test]
fn a_limit_of_cost_ends_asking_and_what_is_under_way_still_counts() {
    let (rows, answers) = rows(40);
    let embedder = builtin();
    let bench = Bench { max_cost: Some(PicoUsd(1_000)), ..bench(Fake::new(3, Arc::new(kind)), &[JudgedId::Rubric], &embedder) };
    let outcome = run(&bench, &rows, &answers, &|| {}).expect("judged");
    let scored = outcome.scores.rows.iter().filter(|r| r.value.is_some()).count();
    assert!(outcome.stopped && (10..=12).contains(&scored), "{scored}");
    assert_eq!(outcome.errors["rubric"], 40 - scored);
    assert_eq!(outcome.asked.cost_usd, Some(PicoUsd(100 * i64::try_from(scored).expect("few"))));
}

#[test]
fn a_limit_is_reached_only_when_something_is_left_to_ask() {
    let (rows, answers) = rows(10);
    let embedder = builtin();
    let with = |most: i64, say: Say| {
        let fake = Fake::new(1, say);
        let asked = Arc::clone(&fake.asked);
        let bench = Bench { max_cost: Some(PicoUsd(most)), ..bench(fake, &[JudgedId::Rubric], &embedder) };
        let outcome = run(&bench, &rows, &answers, &|| {}).expect("judged");
        (outcome, asked.load(Ordering::SeqCst))
    };
    let (exact, asked) = with(1_000, Arc::new(kind));
    assert_eq!((exact.stopped, exact.errors.len(), asked), (false, 0, 10));
    let (nothing, asked) = with(0, Arc::new(kind));
    assert_eq!((nothing.stopped, nothing.errors["rubric"], asked), (true, 10, 0));
    // Answers that were cut cost what the dearest did, where the service does not say; of the first of all nobody knows.
    let cut = |after: usize| -> Say {
        Arc::new(move |number, request| match number {
            n if n >= after => Err(Failure::new(FailureKind::Truncated, "cut")),
            _ => super::tests::kind(number, request),
        })
    };
    let (cheap, asked) = with(500, cut(2));
    assert_eq!((cheap.stopped, asked, cheap.failed.requests, cheap.asked.cost_usd), (true, 5, 3, None));
    let (unknown, asked) = with(500, cut(0));
    assert_eq!((unknown.stopped, asked), (true, 1));
    // One that nobody answered costs nothing.
    let away: Say = Arc::new(|_, _| Err(Failure::new(FailureKind::Unavailable, "away")));
    let (away, asked) = with(500, away);
    assert_eq!((away.stopped, asked, away.asked.cost_usd), (false, 10, Some(PicoUsd(0))));
}

#[test]
fn repeats_that_fail_are_not_left_out_in_silence() {
    let (rows, answers) = rows(2);
    let embedder = builtin();
    let with = |min_coverage: f64| {
        let say: Say = Arc::new(|_, request| match request.sample {
            1 | 3 if request.messages[0].text.contains("Answer 1.") => Err(Failure::new(FailureKind::Unavailable, "away")),
            _ => Ok(completion(json!({"reason": "", "score": 8}))),
        });
        let bench = Bench { repeat: 5, min_coverage, ..bench(Fake::new(2, say), &[JudgedId::Rubric], &embedder) };
        run(&bench, &rows, &answers, &|| {}).expect("judged")
    };
    let few = with(0.9);
    assert_eq!((few.scores.rows[0].value, few.scores.rows[1].value), (Some(0.8), None));
    assert_eq!(few.scores.rows[1].reason.as_deref(), Some("error: judging failed 2 of 5 times: away"));
    assert_eq!((few.errors["rubric"], few.failed_repeats["rubric"]), (1, 2));
    let enough = with(0.6);
    assert_eq!((enough.scores.rows[1].value, enough.errors.len(), enough.failed_repeats["rubric"]), (Some(0.8), 0, 2));
}

#[test]
fn trouble_with_a_request_is_its_rows_and_a_wrong_key_is_everybodys() {
    let (rows, answers) = rows(6);
    let fails = |kind: FailureKind| -> Say {
        Arc::new(move |number, request| match number {
            2 => Err(Failure::new(kind, "m: it is away\0")),
            _ => super::tests::kind(number, request),
        })
    };
    let embedder = builtin();
    let away = bench(Fake::new(1, fails(FailureKind::Unavailable)), &[JudgedId::Rubric], &embedder);
    let outcome = run(&away, &rows, &answers, &|| {}).expect("judged");
    assert_eq!(outcome.scores.rows[2].reason.as_deref(), Some("error: m: it is away\u{fffd}"));
    assert_eq!((outcome.scores.sums[0].n, outcome.errors["rubric"]), (5, 1));
    let wrong = bench(Fake::new(1, fails(FailureKind::Misconfigured)), &[JudgedId::Rubric], &embedder);
    assert!(run(&wrong, &rows, &answers, &|| {}).expect_err("ends").to_string().contains("it is away"));
}

#[test]
fn what_it_takes_is_said_before() {
    let (rows, answers) = rows(10);
    let embedder = builtin();
    let bench = bench(Fake::new(1, Arc::new(kind)), &[JudgedId::Faithfulness, JudgedId::Rubric], &embedder);
    let found = estimate(bench.judges(), &rows, &answers, None);
    assert_eq!((found.rows, found.requests, found.judges.as_str()), (10, 30, "m"));
    assert!(
        found.tokens_in > 30 * 500
            && found.cost == Some(PicoUsd(i64::try_from(found.tokens_in + found.tokens_out).expect("few")))
    );
    assert!(found.to_string().starts_with("judging 10 rows by 2 metrics with m: at most 30 requests, about "), "{found}");
}

#[test]
fn what_answers_that_are_yet_to_come_take_is_said_too() {
    let (rows, mut answers) = rows(10);
    let embedder = builtin();
    let bench = bench(Fake::new(1, Arc::new(kind)), &[JudgedId::Rubric], &embedder);
    let all = estimate(bench.judges(), &rows, &answers, None);
    let gone = answers.remove(&rows[3].id).is_some() && answers.remove(&rows[4].id).is_some();
    let coming = HashMap::from([(rows[3].id.clone(), 1000)]);
    let found = estimate(bench.judges(), &rows, &answers, Some(&coming));
    // One comes, of the other nobody says so.
    assert!(gone && (found.rows, found.unanswered, found.requests) == (9, 1, 9), "{found:?}");
    // Eight as before, and one of a prompt, the passages and an answer.
    assert!(found.tokens_in > all.tokens_in / 10 * 8 + 500 + 1000 + 200, "{found:?} {all:?}");
    assert!(found.to_string().ends_with("; 1 of the answers are yet to come and taken to have 200 tokens each"), "{found}");
    assert_eq!(estimate(bench.judges(), &rows, &answers, None).rows, 8);
}
