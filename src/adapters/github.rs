//! Incidents as issues on GitHub: one for each condition while it lasts, which is commented on and closed when it is over.
//!
//! By the REST API of 2022-11-28 ("List repository issues", "Create an issue", "List issue comments", "Create an issue comment",
//! "Update an issue"). A message carries a mark, so that one whose answer was lost is found and not said again. Nothing is retried
//! within a telling, because a request to create may have been done.

use super::http::{Http, Policy, Refused, Request};
use crate::base::error::{Error, Result};
use crate::base::quantity::Bytes;
use crate::base::random::Random;
use crate::base::time::Timestamp;
use crate::config::secret::Secret;
use crate::domain::alert::incident::{added, mark_of_id, mark_of_key, opened, title};
use crate::seams::notifier::{Act, Message, Notifier, Told};
use crate::store::runtime::block_on;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use url::Url;

/// Entries of a page, GitHub's most.
const PAGE: usize = 100;
/// Pages of issues, or of comments, that are looked through.
const PAGES_MAX: usize = 10;

/// The issues of a repository.
#[derive(Debug)]
pub struct Issues {
    http: Http,
    /// `…/repos/OWNER/NAME/issues`.
    url: Url,
    token: Secret,
    labels: Vec<String>,
    limit: Duration,
}

impl Issues {
    /// The issues of `repository` (`OWNER/NAME`) at the API's address; `what` is who needs them.
    ///
    /// # Errors
    /// When the address is none, or TLS cannot be set up.
    pub fn new(what: &str, (api, repository): (&str, &str), token: Secret, labels: Vec<String>, limit: Duration) -> Result<Self> {
        let whole = format!("{}/repos/{repository}/issues", api.trim().trim_end_matches('/'));
        let url = whole.parse().map_err(|e| Error::new(format!("the address of {what} is none: {e}")))?;
        let policy = Policy { attempts: 1, timeout: limit, body_max: Bytes(8 << 20), ..Policy::default() };
        let token = Secret::new(token.expose().trim().to_owned());
        Ok(Self { http: Http::new(policy, Random::System)?, url, token, labels, limit })
    }

    async fn say(&self, message: &Message) -> Result<String> {
        match (self.open_issue(message).await?, message.act) {
            (Some(issue), act) => self.go_on(&issue, act, message).await,
            (None, Act::Resolve) => Ok("no issue is open".to_owned()),
            (None, Act::Trigger) => {
                // Somebody may have closed what was opened before its answer was lost.
                if let Some(closed) = self.closed_issue(message).await? {
                    return Ok(format!("{} has it already", closed.link));
                }
                let issue = json!({"title": title(message), "body": opened(message), "labels": self.labels});
                let made = Issue::of(&self.ask(Method::POST, &[], &[], Some(&issue)).await?)?;
                Ok(made.link)
            }
        }
    }

    /// Comments on an issue, and closes it when what it is about is over.
    async fn go_on(&self, issue: &Issue, act: Act, message: &Message) -> Result<String> {
        let number = issue.number.to_string();
        if !issue.text.contains(&mark_of_id(&message.id)) && !self.is_said(&number, message).await? {
            self.ask(Method::POST, &[&number, "comments"], &[], Some(&json!({"body": added(message)}))).await?;
        }
        if act == Act::Resolve {
            let closed = json!({"state": "closed", "state_reason": "completed"});
            self.ask(Method::PATCH, &[&number], &[], Some(&closed)).await?;
        }
        Ok(issue.link.clone())
    }

    /// The issue that is open for the message's condition.
    async fn open_issue(&self, message: &Message) -> Result<Option<Issue>> {
        let mark = mark_of_key(&message.key);
        let labels = self.labels.join(",");
        let open: Vec<(&str, &str)> = [("state", "open"), ("labels", &labels)].into_iter().filter(|q| !q.1.is_empty()).collect();
        let found = self.find(&[], &open, |entry| text(entry, "body").contains(&mark)).await?;
        found.as_ref().map(Issue::of).transpose()
    }

    /// The issue that this message opened, if it is closed by now.
    async fn closed_issue(&self, message: &Message) -> Result<Option<Issue>> {
        let (mark, since) = (mark_of_id(&message.id), message.at.to_string());
        let found =
            self.find(&[], &[("state", "closed"), ("since", &since)], |entry| text(entry, "body").contains(&mark)).await?;
        found.as_ref().map(Issue::of).transpose()
    }

    async fn is_said(&self, number: &str, message: &Message) -> Result<bool> {
        let (mark, since) = (mark_of_id(&message.id), message.at.to_string());
        let found = self.find(&[number, "comments"], &[("since", &since)], |entry| text(entry, "body").contains(&mark)).await?;
        Ok(found.is_some())
    }

    /// The first entry of a list that is wanted.
    async fn find(&self, path: &[&str], query: &[(&str, &str)], wanted: impl Fn(&Value) -> bool) -> Result<Option<Value>> {
        let size = PAGE.to_string();
        for page in 1..=PAGES_MAX {
            let page = page.to_string();
            let query: Vec<_> = query.iter().copied().chain([("per_page", size.as_str()), ("page", page.as_str())]).collect();
            let Value::Array(entries) = self.ask(Method::GET, path, &query, None).await? else {
                return Err(Error::new(format!("{} answered no list: is `url` the address of a GitHub API?", self.url)));
            };
            let last = entries.len() < PAGE;
            if let Some(found) = entries.into_iter().find(|entry| entry["pull_request"].is_null() && wanted(entry)) {
                return Ok(Some(found));
            }
            if last {
                break;
            }
        }
        Ok(None)
    }

    async fn ask(&self, method: Method, path: &[&str], query: &[(&str, &str)], body: Option<&Value>) -> Result<Value> {
        let mut url = self.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let bearer = Secret::new(format!("Bearer {}", self.token.expose()));
        let request = Request::new(method, url)
            .header("accept", "application/vnd.github+json")?
            .header("x-github-api-version", "2022-11-28")?
            .secret_header("authorization", &bearer)?
            .hide(&self.token);
        let request = body.iter().fold(request, |request, body| request.json(body));
        self.http.send(&request).await?.json()
    }
}

/// An issue, as far as it matters here.
#[derive(Debug)]
struct Issue {
    number: u64,
    text: String,
    link: String,
}

impl Issue {
    fn of(entry: &Value) -> Result<Self> {
        let number = entry["number"].as_u64().ok_or_else(|| Error::new("GitHub answered an issue without a number"))?;
        Ok(Self { number, text: text(entry, "body").to_owned(), link: format!("#{number} {}", text(entry, "html_url")) })
    }
}

fn text<'v>(entry: &'v Value, key: &str) -> &'v str {
    entry[key].as_str().unwrap_or_default()
}

/// Whether GitHub may take it later: what is wrong on its side, and limits of rate, which it tells by 403 too.
fn is_for_now(refused: &Refused) -> bool {
    let limited = refused.status == 403 && (refused.retry_after.is_some() || refused.to_string().contains("rate limit"));
    limited || refused.is_temporary() || refused.status >= 500
}

impl Notifier for Issues {
    fn tell(&self, message: &Message, _: Timestamp) -> Told {
        let said = block_on(async { tokio::time::timeout(self.limit, self.say(message)).await });
        let missed = || Error::new(format!("{}: no answer within {} s", self.url, self.limit.as_secs_f64()));
        match said.and_then(|said| said.unwrap_or_else(|_| Err(missed()))) {
            Ok(link) => Told::Taken(link),
            Err(e) => match e.cause::<Refused>().map(|refused| (is_for_now(refused), refused.retry_after)) {
                Some((false, _)) => Told::Refused(e.hint(
                    "the token needs the right to write issues there, and issues must be turned on: `kf alert test CHANNEL` tries it",
                )),
                asked => Told::Missed(e, asked.and_then(|(_, asked)| asked)),
            },
        }
    }
}
