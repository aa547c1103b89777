//! Whether an endpoint gets requests: by what it says when it is asked, and by what it did with the last requests.
//!
//! Being asked decides between well and down (so many bad answers among the last ones, so many good ones in a row); requests that
//! it did not take strike it out for a while, whatever it says. The version that serves still uses an endpoint that is struck out
//! when it has no other: wrongly suspected is better than nothing.

use super::endpoint::{Dialer, Endpoint};
use super::patience::after;
use super::settings::Health as Rule;
use super::table::EndpointState;
use crate::base::version::Version;
use hyper::{Method, Request, Uri};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What is known of an endpoint, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Known {
    /// It gets requests.
    Well,
    /// It was not asked yet.
    Unknown,
    /// It did not take the last requests.
    StruckOut,
    /// It says that it is not ready, or says nothing.
    Down,
}

#[derive(Default)]
struct State {
    /// What it said when it was asked; `None` when it never was.
    says: Option<bool>,
    /// Its last answers, the newest in the lowest bit, 1 for a bad one.
    bad: u32,
    good_in_a_row: u32,
    strikes: u32,
    /// Until when it is struck out, and how often it was in a row.
    out: Option<(Instant, u32)>,
    trouble: Option<String>,
}

/// The health of one endpoint.
#[derive(Default)]
pub(super) struct Health(Mutex<State>);

impl Health {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn known(&self) -> Known {
        let state = self.state();
        match (state.says, state.out) {
            (Some(false), _) => Known::Down,
            (_, Some((until, _))) if Instant::now() < until => Known::StruckOut,
            (Some(true), _) => Known::Well,
            (None, _) => Known::Unknown,
        }
    }

    /// It took a request and answered.
    pub(super) fn took(&self) {
        let mut state = self.state();
        if state.strikes > 0 || state.out.is_some() {
            (state.strikes, state.out) = (0, None);
        }
    }

    /// It did not take a request, or never answered it.
    pub(super) fn strike(&self, rule: &Rule, why: &str) {
        let mut state = self.state();
        state.strikes += 1;
        state.trouble = Some(why.to_owned());
        if state.strikes >= rule.strikes {
            let times = state.out.map_or(0, |(_, times)| times.saturating_add(1).min(5));
            state.out = Some((after(Instant::now(), rule.out.saturating_mul(2_u32.pow(times))), times));
            state.strikes = 0;
        }
    }

    /// It was asked.
    fn said(&self, rule: &Rule, answer: Result<(), String>) {
        let mut state = self.state();
        let bad = answer.is_err();
        state.bad = (state.bad << 1) | u32::from(bad);
        state.good_in_a_row = if bad { 0 } else { state.good_in_a_row.saturating_add(1) };
        let window = u32::MAX >> (32 - rule.of.clamp(1, 32));
        let many_bad = (state.bad & window).count_ones() >= rule.bad;
        let before = state.says;
        state.says = match before {
            // The first answer decides: a version that is not up yet gets nothing.
            None => Some(!bad),
            Some(true) => Some(!many_bad),
            Some(false) => Some(state.good_in_a_row >= rule.good),
        };
        if before == Some(false) && state.says == Some(true) {
            // What it said while it was down says nothing of it now.
            (state.bad, state.trouble) = (0, None);
        }
        if let Err(why) = answer {
            state.trouble = Some(why);
        }
    }

    pub(super) fn shown(&self, version: Version, endpoint: &str) -> EndpointState {
        let healthy = match self.known() {
            Known::Well => Some(true),
            Known::Unknown => None,
            Known::StruckOut | Known::Down => Some(false),
        };
        EndpointState { version, endpoint: endpoint.to_owned(), healthy, trouble: self.state().trouble.clone() }
    }

    /// For a gateway that asks nobody.
    pub(super) fn assume_well(&self) {
        self.state().says = Some(true);
    }
}

/// Asks an endpoint whether it is ready, and keeps what it said.
pub(super) async fn ask(endpoint: Arc<Endpoint>, dialer: Arc<Dialer>, rule: Rule) {
    let Some(path) = &rule.path else { return endpoint.health.assume_well() };
    let answer = tokio::time::timeout(rule.timeout, probe(&endpoint, &dialer, path)).await;
    let late = |_| Err(format!("no answer to GET {path} within {} ms", Duration::as_millis(&rule.timeout)));
    endpoint.health.said(&rule, answer.unwrap_or_else(late));
}

async fn probe(endpoint: &Endpoint, dialer: &Dialer, path: &str) -> Result<(), String> {
    let mut link = endpoint.dial(dialer).await.map_err(|e| e.why)?;
    let mut request = Request::new(super::body::Outgoing::Empty);
    *request.method_mut() = Method::GET;
    *request.uri_mut() = path.parse::<Uri>().map_err(|e| format!("{path}: {e}"))?;
    request.headers_mut().insert(hyper::header::HOST, endpoint.authority.clone());
    let answer = link.sender.send_request(request).await.map_err(|e| format!("GET {path}: {e}"))?;
    if answer.status().is_success() { Ok(()) } else { Err(format!("GET {path} answered {}", answer.status().as_u16())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad() -> Result<(), String> {
        Err("503".into())
    }

    #[test]
    fn two_bad_answers_of_three_take_it_out_and_one_good_one_brings_it_back() {
        let (health, rule) = (Health::default(), Rule::default());
        assert_eq!(health.known(), Known::Unknown);
        let then = |answer, known| {
            health.said(&rule, answer);
            assert_eq!(health.known(), known);
        };
        then(Ok(()), Known::Well);
        then(bad(), Known::Well);
        then(Ok(()), Known::Well);
        then(bad(), Known::Down);
        then(Ok(()), Known::Well);
        then(bad(), Known::Well);
        then(bad(), Known::Down);
    }

    #[test]
    fn the_first_answer_decides() {
        let health = Health::default();
        health.said(&Rule::default(), bad());
        assert_eq!(health.known(), Known::Down);
        assert_eq!(health.shown(Version::FIRST, "http://a:1").trouble.as_deref(), Some("503"));
    }

    #[test]
    fn strikes_in_a_row_take_it_out_for_longer_each_time() {
        let health = Health::default();
        let rule = Rule { out: Duration::from_secs(1000), ..Rule::default() };
        health.assume_well();
        health.strike(&rule, "refused");
        health.strike(&rule, "refused");
        health.took();
        health.strike(&rule, "refused");
        health.strike(&rule, "refused");
        assert_eq!(health.known(), Known::Well, "never three in a row");
        health.strike(&rule, "refused");
        assert_eq!(health.known(), Known::StruckOut);
        let until = |health: &Health| health.state().out.map(|(until, _)| until).expect("out");
        assert!(until(&health) < Instant::now() + rule.out);
        (0..3).for_each(|_| health.strike(&rule, "refused"));
        assert!(until(&health) > Instant::now() + rule.out);
        health.took();
        assert_eq!(health.known(), Known::Well);
    }
}
