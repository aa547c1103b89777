//! Asks where users come in what answers them.

use super::split::{GENERATION, PROBE, Split};
use super::{refused, wait_for};
use crate::adapters::http::{Http, Policy, Request};
use crate::base::error::{Context, Error, Result};
use crate::base::name::Name;
use crate::base::quantity::Bytes;
use crate::base::random::Random;
use crate::seams::traffic::{Asked, Fault};
use crate::store::runtime::block_on;
use reqwest::Method;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// How many answers in a row, each on a connection of its own, must be the same: a server has several workers.
const ANSWERS: usize = 5;
/// How much of an answer is read, whose head is all that counts.
const BODY_MAX: Bytes = Bytes(16 << 20);
/// How long the rest of it is waited for.
const BODY_WAIT: Duration = Duration::from_secs(1);

/// Where users come in.
pub(super) struct Door {
    http: Arc<Http>,
    url: Url,
    target: Name,
    timeout: Duration,
}

/// What answers where users come in, asked once, as kf asks: it is not counted as a request of theirs.
///
/// # Errors
/// When nothing does within this time, or it says that it is broken (5xx).
pub fn answers(target: Name, probe: &str, timeout: Duration) -> Result<String> {
    let door = Door::new(client(timeout, Random::System)?, probe, target, timeout)?;
    let request = Request::new(Method::GET, door.url.clone()).header(PROBE, door.target.as_str())?;
    let answer = block_on(door.http.answer(&request))??;
    match answer.status {
        broken @ 500.. => Err(Error::new(format!("{} answers {broken}", door.url))),
        status => Ok(format!("{} answers {status}", door.url)),
    }
}

/// The client for everything that is asked of a target: once, and no longer than `timeout`.
pub(super) fn client(timeout: Duration, random: Random) -> Result<Arc<Http>> {
    let policy = Policy { attempts: 1, timeout, body_max: BODY_MAX, body_wait: Some(BODY_WAIT), ..Policy::default() };
    Http::new(policy, random).map(Arc::new)
}

impl Door {
    /// The door of a target.
    ///
    /// # Errors
    /// When the address is none.
    pub(super) fn new(http: Arc<Http>, probe: &str, target: Name, timeout: Duration) -> Result<Self> {
        Ok(Self { http, url: probe.parse().context(|| format!("`{probe}` is no address"))?, target, timeout })
    }

    /// What answers there: the split that all of it goes by, `None` when it says nothing of kf.
    pub(super) fn agreed(&self) -> Asked<Option<Split>> {
        let mut last = Fault::Unclear(Error::new(format!("nothing was asked of {}", self.url)));
        let agreed = wait_for(self.timeout, || match self.several() {
            Ok(split) => Some(Ok(split)),
            Err(fault @ Fault::Refused(_)) => Some(Err(fault)),
            Err(fault) => {
                last = fault;
                None
            }
        });
        agreed.unwrap_or(Err(last))
    }

    fn several(&self) -> Asked<Option<Split>> {
        let first = self.ask()?;
        for _ in 1..ANSWERS {
            let other = self.ask()?;
            if other != first {
                let word = |split: &Option<Split>| split.as_ref().map_or("none".to_owned(), |s| s.generation.to_string());
                let message = format!("{} answers by generation {} and by {}", self.url, word(&first), word(&other));
                return Err(Fault::Unclear(Error::new(message)));
            }
        }
        Ok(first)
    }

    fn ask(&self) -> Asked<Option<Split>> {
        let request = Request::new(Method::GET, self.url.clone()).header(PROBE, self.target.as_str());
        let request = request.and_then(|r| r.header("connection", "close")).map_err(refused)?;
        let answer = block_on(self.http.answer(&request)).map_err(refused)?;
        let answer = answer.map_err(|e| Fault::Unclear(e.hint("`probe` is where users come in, and must answer")))?;
        let Some(value) = answer.headers.get(GENERATION) else { return Ok(None) };
        let split = value.to_str().context(|| format!("the header `{GENERATION}` is no text")).and_then(Split::from_line);
        split.map(Some).context(|| format!("{} answers with a header that kf did not write", self.url)).map_err(refused)
    }
}
