//! `system.kind = "http"`: a service that answers, one POST for each question.
//!
//! It is sent `{"id", "question", "contexts"?, "meta"?, "model", "version"}` and answers with the object that
//! `adapters::answer` reads. Latency, when the service does not state it, is the time of the attempt that brought the
//! answer: waiting before a retry is not the system's. Whatever goes wrong with one question is that question's reason.

use super::answer;
use super::http::{Http, Request};
use crate::base::error::{Error, Kind, Result};
use crate::base::text::ellipsis;
use crate::seams::answerer::{Answer, Answered, Answerer, Question, index};
use crate::store::runtime::runtime;
use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::Value;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::mpsc::channel;
use tokio::task::JoinHandle;

/// A version that a service answers for.
#[derive(Clone, Debug)]
pub struct HttpSystem {
    /// The client.
    pub http: Arc<Http>,
    /// Where and with which headers and time limit to ask; its method is POST and its body is replaced.
    pub request: Request,
    /// The name of the model.
    pub model: String,
    /// Its version.
    pub version: String,
    /// How many questions are asked at a time.
    pub concurrency: NonZeroUsize,
}

impl Answerer for HttpSystem {
    fn answer(&self, questions: &[Question], each: &mut dyn FnMut(Answered) -> Result<()>) -> Result<()> {
        index(questions)?;
        let asked: Vec<(String, Request)> = questions
            .iter()
            .map(|q| (q.id.clone(), self.request.clone().json(&answer::asked(q, &self.model, &self.version))))
            .collect();
        let http = Arc::clone(&self.http);
        let concurrency = self.concurrency.get();
        let (sender, answers) = channel();
        // A task of its own, because `each` may wait for the state, which is forbidden inside of one.
        let _asking = AbortOnDrop(runtime()?.spawn(async move {
            let mut all = stream::iter(asked).map(|(id, request)| ask(&http, id, request)).buffer_unordered(concurrency);
            while let Some(answered) = all.next().await {
                if sender.send(answered).is_err() {
                    return;
                }
            }
        }));
        for _ in questions {
            let lost = |_| Error::of(Kind::Bug, "the task that asks questions ended early");
            each(answers.recv().map_err(lost)?)?;
        }
        Ok(())
    }

    fn kind(&self) -> &'static str {
        "http"
    }
}

struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn ask(http: &Http, id: String, request: Request) -> Answered {
    let outcome = match http.send(&request).await {
        Ok(response) => read(&id, &request, &response.body).map(|mut found| {
            found.latency_ms = found.latency_ms.or(Some(response.elapsed.as_secs_f64() * 1e3));
            found
        }),
        Err(e) => Err(answer::bounded(&e.to_string())),
    };
    Answered { id, outcome }
}

/// Reads an answer; what a service says is redacted before anything of it is cut.
fn read(id: &str, request: &Request, body: &[u8]) -> Result<Answer, String> {
    let shown = || ellipsis(request.redacted(&String::from_utf8_lossy(body)).trim(), 120);
    let value: Value = serde_json::from_slice(body).map_err(|e| format!("the answer is not JSON ({e}): {}", shown()))?;
    let outcome = |value: &Value| {
        let object = value.as_object().ok_or_else(|| format!("the answer is not a JSON object: {}", shown()))?;
        if let Some(other) = answer::id(object).filter(|other| other != id) {
            return Err(format!("the service answered `{}` instead", ellipsis(&request.redacted(&other), 60)));
        }
        answer::outcome(object)
    };
    let found = outcome(&request.without_keys(value.clone()));
    // Reasons are made of less than answers: shorter secrets are taken out of them too, so the reason is made once more.
    found.or_else(|_| outcome(&request.redacted_json(value)))
}

#[cfg(test)]
mod tests {
    use super::super::http::Policy;
    use super::super::http::tests::{client, nowhere, serve};
    use super::*;
    use axum::http::{HeaderMap, StatusCode};
    use axum::response::{IntoResponse, Response};
    use axum::routing::post;
    use axum::{Json, Router};
    use reqwest::Method;
    use serde_json::json;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};
    use url::Url;

    fn system(url: Url) -> HttpSystem {
        HttpSystem {
            http: Arc::new(client(Policy { attempts: 2, ..Policy::default() })),
            request: Request::new(Method::POST, url).timeout(Duration::from_secs(2)).header("x-team", "qa").expect("fits"),
            model: "support-bot".into(),
            version: "1.2.0".into(),
            concurrency: NonZeroUsize::new(4).expect("not zero"),
        }
    }

    fn question(id: &str) -> Question {
        Question { id: id.into(), question: "Why?".into(), ..Question::default() }
    }

    fn answers(system: &HttpSystem, questions: &[Question]) -> Vec<Answered> {
        let mut all = Vec::new();
        let each = &mut |a| {
            // What an evaluation does here: waits for its state.
            crate::store::runtime::block_on(async {}).expect("may block");
            all.push(a);
            Ok(())
        };
        system.answer(questions, each).expect("asked");
        all
    }

    #[test]
    fn questions_go_out_and_answers_come_in() {
        let app = Router::new().fallback(post(|headers: HeaderMap, Json(asked): Json<Value>| async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let team = headers.get("x-team").and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
            let said = format!("{} {} {} {}", asked["question"], asked["model"], asked["version"], team);
            Json(json!({"response": said, "retrieved_contexts": ["c"], "cost_usd": 0.001}))
        }));
        let all = answers(&system(serve(app)), &[question("q1")]);
        let a = all[0].outcome.as_ref().expect("answered");
        assert_eq!(a.text, r#""Why?" "support-bot" "1.2.0" qa"#);
        assert_eq!((a.contexts.as_deref(), a.cost.map(|c| c.0)), (Some(&["c".to_owned()][..]), Some(1000)));
        assert!(a.latency_ms.is_some_and(|ms| (20.0..2_000.0).contains(&ms)), "{:?}", a.latency_ms);
    }

    #[test]
    fn no_more_than_so_many_are_asked_at_a_time() {
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (n, m) = (Arc::clone(&now), Arc::clone(&most));
        let app = Router::new().fallback(post(move || async move {
            m.fetch_max(n.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(30)).await;
            n.fetch_sub(1, Ordering::SeqCst);
            Json(json!({"answer": "x"}))
        }));
        let questions: Vec<Question> = (0..20).map(|i| question(&i.to_string())).collect();
        let mut ids: Vec<usize> =
            answers(&system(serve(app)), &questions).iter().map(|a| a.id.parse().expect("a number")).collect();
        ids.sort_unstable();
        assert_eq!(ids, (0..20).collect::<Vec<_>>());
        assert_eq!(most.load(Ordering::SeqCst), 4);
    }

    #[test]
    fn trouble_with_one_question_is_its_reason() {
        async fn app(Json(asked): Json<Value>) -> Response {
            match asked["id"].as_str().unwrap_or_default() {
                "ok" => Json(json!({"id": "ok", "answer": "fine", "latency_ms": 3})).into_response(),
                "other" => Json(json!({"id": "ok", "answer": "fine"})).into_response(),
                "said" => Json(json!({"error": "no documents"})).into_response(),
                "text" => "<html>".into_response(),
                "list" => "[]".into_response(),
                "broken" => (StatusCode::INTERNAL_SERVER_ERROR, "boom").into_response(),
                _ => {
                    tokio::time::sleep(Duration::from_secs(30)).await;
                    ().into_response()
                }
            }
        }
        let ids = ["ok", "other", "said", "text", "list", "broken", "slow"];
        let mut s = system(serve(Router::new().fallback(post(app))));
        s.request = s.request.timeout(Duration::from_millis(500));
        let all = answers(&s, &ids.map(question));
        assert_eq!(all.len(), ids.len());
        let check = |id: &str, reason: &str| {
            let a = all.iter().find(|a| a.id == id).expect(id);
            let found = a.outcome.as_ref().map_or_else(String::clone, |a| format!("{} {:?}", a.text, a.latency_ms));
            assert!(found.contains(reason), "{id}: {found}");
        };
        check("ok", "fine Some(3.0)");
        check("other", "the service answered `ok` instead");
        check("said", "no documents");
        check("text", "the answer is not JSON (expected value at line 1 column 1): <html>");
        check("list", "the answer is not a JSON object: []");
        check("broken", "gave up after 2 attempts: POST http://127.0.0.1");
        check("broken", "status 500 Internal Server Error: boom");
        check("slow", "no answer within 0.5 s");
    }

    #[test]
    fn a_service_that_is_away_is_a_reason_for_every_question() {
        let questions: Vec<Question> = (0..50).map(|i| question(&i.to_string())).collect();
        let all = answers(&system(nowhere()), &questions);
        assert!(all.len() == 50 && all.iter().all(|a| a.outcome.as_ref().is_err_and(|e| e.contains("cannot connect"))));
    }

    #[test]
    fn the_callers_error_stops_the_asking() {
        let seen = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&seen);
        let app = Router::new().fallback(post(move || async move {
            counter.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(50)).await;
            Json(json!({"answer": "x"}))
        }));
        let questions: Vec<Question> = (0..100).map(|i| question(&i.to_string())).collect();
        let started = Instant::now();
        let e = system(serve(app)).answer(&questions, &mut |_| Err(Error::new("disk full"))).expect_err("refused");
        assert_eq!(e.to_string(), "disk full");
        std::thread::sleep(Duration::from_millis(200));
        assert!(seen.load(Ordering::SeqCst) < 30, "asked {} in {:?}", seen.load(Ordering::SeqCst), started.elapsed());
    }
}
