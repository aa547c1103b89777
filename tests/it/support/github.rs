//! A fake of GitHub's issues, made from the published REST API of 2022-11-28: list, create and update issues, list and create
//! comments. What the API refuses is refused with its status. Shares nothing with kf.

use axum::Json;
use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, patch};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const TOKEN: &str = "Bearer hunter2-token";

/// An issue with its comments.
#[derive(Clone, Debug)]
pub(crate) struct Issue {
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) labels: Vec<String>,
    pub(crate) open: bool,
    pub(crate) comments: Vec<String>,
}

#[derive(Debug, Default)]
struct Shared {
    issues: Vec<Issue>,
    /// Requests to be answered by a status; 0 is done, and then not answered.
    next: Vec<u16>,
}

/// The repository `acme/shop`.
#[derive(Clone, Debug)]
pub(crate) struct GitHub {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

type Repository = State<Arc<Mutex<Shared>>>;

impl GitHub {
    pub(crate) fn start() -> Self {
        let shared: Arc<Mutex<Shared>> = Arc::default();
        let issues = "/repos/acme/shop/issues";
        let app = Router::new()
            .route(issues, get(list).post(create))
            .route(&format!("{issues}/{{number}}"), patch(update))
            .route(&format!("{issues}/{{number}}/comments"), get(comments).post(comment))
            .layer(from_fn_with_state(Arc::clone(&shared), known))
            .with_state(Arc::clone(&shared));
        Self { address: super::serve(app), shared }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub(crate) fn issues(&self) -> Vec<Issue> {
        self.shared.lock().expect("nobody panicked").issues.clone()
    }

    /// What the next requests that write are answered; 0: it is done, and the answer is lost.
    pub(crate) fn answer(&self, statuses: &[u16]) {
        self.shared.lock().expect("nobody panicked").next = statuses.to_vec();
    }

    /// Somebody else's issues.
    pub(crate) fn crowd(&self, n: usize) {
        let issue = |i| Issue {
            title: format!("other {i}"),
            body: String::new(),
            labels: vec!["incident".to_owned()],
            open: true,
            comments: vec![],
        };
        self.shared.lock().expect("nobody panicked").issues.extend((0..n).map(issue));
    }
}

fn message(status: u16, text: &str) -> Response {
    (StatusCode::from_u16(status).expect("a status"), Json(json!({"message": text}))).into_response()
}

/// Who asks, and whether the request is to go wrong.
async fn known(State(shared): Repository, headers: HeaderMap, request: Request, next: Next) -> Response {
    let header = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    if header("user-agent").is_empty() {
        return message(403, "Request forbidden by administrative rules. Please make sure your request has a User-Agent header");
    }
    if header("authorization") != TOKEN {
        return message(401, "Bad credentials");
    }
    assert_eq!(
        (header("accept").as_str(), header("x-github-api-version").as_str()),
        ("application/vnd.github+json", "2022-11-28")
    );
    let writes = request.method() != "GET";
    let wrong = {
        let mut shared = shared.lock().expect("nobody panicked");
        (writes && !shared.next.is_empty()).then(|| shared.next.remove(0))
    };
    match wrong {
        None => next.run(request).await,
        Some(0) => {
            next.run(request).await;
            tokio::time::sleep(Duration::from_secs(60)).await;
            message(500, "late")
        }
        Some(403) => message(403, "API rate limit exceeded for user ID 1"),
        Some(status) => message(status, "no"),
    }
}

fn shown(number: usize, issue: &Issue) -> Value {
    let labels: Vec<Value> = issue.labels.iter().map(|l| json!({"name": l})).collect();
    json!({"number": number + 1, "title": issue.title, "body": issue.body, "labels": labels,
        "state": if issue.open { "open" } else { "closed" }, "html_url": format!("https://github.example/acme/shop/issues/{}", number + 1)})
}

fn asked(uri: &Uri) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect()
}

fn paged(all: Vec<Value>, query: &BTreeMap<String, String>) -> Response {
    let number = |key: &str, default: usize| query.get(key).map_or(default, |v| v.parse().expect("a number"));
    let (page, size) = (number("page", 1), number("per_page", 30).min(100));
    Json(all.into_iter().skip((page - 1) * size).take(size).collect::<Vec<_>>()).into_response()
}

async fn list(State(shared): Repository, uri: Uri) -> Response {
    let query = asked(&uri);
    let state = query.get("state").map_or("open", String::as_str);
    if !["open", "closed", "all"].contains(&state) {
        return message(422, "Validation Failed");
    }
    let wanted: Vec<String> = query.get("labels").map(|l| l.split(',').map(str::to_owned).collect()).unwrap_or_default();
    let shared = shared.lock().expect("nobody panicked");
    let fits = |i: &Issue| (state == "all" || i.open == (state == "open")) && wanted.iter().all(|l| i.labels.contains(l));
    let mut found: Vec<Value> = shared.issues.iter().enumerate().filter(|(_, i)| fits(i)).map(|(n, i)| shown(n, i)).collect();
    found.reverse();
    paged(found, &query)
}

async fn create(State(shared): Repository, Json(issue): Json<Value>) -> Response {
    let Some(title) = issue["title"].as_str().filter(|t| !t.is_empty() && t.chars().count() <= 256) else {
        return message(422, "Validation Failed");
    };
    let body = issue["body"].as_str().unwrap_or_default().to_owned();
    if body.chars().count() > 65_536 {
        return message(422, "body is too long (maximum is 65536 characters)");
    }
    let labels = issue["labels"].as_array().into_iter().flatten().filter_map(|l| l.as_str().map(str::to_owned)).collect();
    let mut shared = shared.lock().expect("nobody panicked");
    shared.issues.push(Issue { title: title.to_owned(), body, labels, open: true, comments: vec![] });
    let number = shared.issues.len() - 1;
    (StatusCode::CREATED, Json(shown(number, &shared.issues[number]))).into_response()
}

async fn update(State(shared): Repository, Path(number): Path<usize>, Json(change): Json<Value>) -> Response {
    let mut shared = shared.lock().expect("nobody panicked");
    let Some(issue) = number.checked_sub(1).and_then(|n| shared.issues.get_mut(n)) else { return message(404, "Not Found") };
    match (change["state"].as_str(), change["state_reason"].as_str()) {
        (Some("closed"), Some("completed" | "not_planned" | "duplicate") | None) => issue.open = false,
        (Some("open"), Some("reopened") | None) => issue.open = true,
        _ => return message(422, "Validation Failed"),
    }
    Json(shown(number - 1, issue)).into_response()
}

async fn comments(State(shared): Repository, Path(number): Path<usize>, uri: Uri) -> Response {
    let query = asked(&uri);
    let shared = shared.lock().expect("nobody panicked");
    let Some(issue) = number.checked_sub(1).and_then(|n| shared.issues.get(n)) else { return message(404, "Not Found") };
    paged(issue.comments.iter().map(|body| json!({"body": body})).collect(), &query)
}

async fn comment(State(shared): Repository, Path(number): Path<usize>, Json(comment): Json<Value>) -> Response {
    let mut shared = shared.lock().expect("nobody panicked");
    let Some(issue) = number.checked_sub(1).and_then(|n| shared.issues.get_mut(n)) else { return message(404, "Not Found") };
    let Some(body) = comment["body"].as_str().filter(|b| !b.is_empty()) else { return message(422, "Validation Failed") };
    issue.comments.push(body.to_owned());
    (StatusCode::CREATED, Json(json!({"body": body}))).into_response()
}
