//! A Prometheus server: the value of a query now, or of several at one time.
//!
//! From the documentation of its HTTP API (<https://prometheus.io/docs/prometheus/latest/querying/api/>, "Instant queries" and
//! "Expression query result formats"). Numbers come as text, because JSON has no NaN: what is none is told and left out, since a
//! ratio of nothing to nothing is no value.

use super::http::{Http, Policy, Request};
use crate::base::error::{Context, Error, Result};
use crate::base::random::Random;
use crate::base::text::visible;
use crate::base::time::Timestamp;
use crate::config::{Prometheus as Settings, Secret};
use crate::domain::monitor::sample::from_seconds;
use crate::store::runtime::{block_on, block_on_while};
use futures_util::future::try_join_all;
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use url::Url;

/// A server.
#[derive(Debug)]
pub struct Prometheus {
    http: Http,
    base: Url,
    token: Option<Secret>,
}

/// A value that a query gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// The labels of its series, without the name of the metric.
    pub labels: BTreeMap<String, String>,
    /// When it was computed.
    pub at: Timestamp,
    /// The value, finite.
    pub value: f64,
}

/// What a query gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answered {
    /// The values.
    pub values: Vec<Measured>,
    /// What was left out, each in words.
    pub left_out: Vec<String>,
    /// What the server warns of: an answer of which a part may be missing.
    pub warnings: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status: String,
    data: Option<Data>,
    error_type: Option<String>,
    error: Option<String>,
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    result: Value,
}

#[derive(Deserialize)]
struct Element {
    #[serde(default)]
    metric: BTreeMap<String, String>,
    /// Absent for a native histogram, which has no single value.
    value: Option<(f64, String)>,
}

impl Prometheus {
    /// A client of the server of `[monitor.prometheus]`.
    ///
    /// # Errors
    /// When the address cannot be used, or TLS cannot be set up.
    pub fn new(settings: &Settings, token: Option<Secret>, random: Random) -> Result<Self> {
        let policy = Policy { attempts: 3, timeout: settings.timeout, ..Policy::default() };
        let mut base: Url = settings.url.parse().context(|| format!("`{}` is no address", settings.url))?;
        base.path_segments_mut()
            .map_err(|()| Error::new("the address of Prometheus takes no path"))?
            .pop_if_empty()
            .extend(["api", "v1", "query"]);
        Ok(Self { http: Http::new(policy, random)?, base, token })
    }

    /// The values of a query now.
    ///
    /// # Errors
    /// When the server is not reached, refuses the query, or answers with something else than values.
    pub fn query(&self, promql: &str) -> Result<Answered> {
        block_on(self.ask(promql, None))?
    }

    /// The values of several queries at one time, asked together, in their order, while `goes_on` says so; `None` once it does not.
    ///
    /// # Errors
    /// As [`Self::query`], of the first query that fails; it names the query.
    pub fn queries_while(&self, promql: &[String], at: Timestamp, goes_on: &dyn Fn() -> bool) -> Result<Option<Vec<Answered>>> {
        block_on_while(self.ask_all(promql, at), goes_on)?.transpose()
    }

    async fn ask_all(&self, promql: &[String], at: Timestamp) -> Result<Vec<Answered>> {
        let each = promql.iter().map(|query| async move {
            self.ask(query, Some(at)).await.context(|| format!("the query `{}`", visible(query, 200)))
        });
        try_join_all(each).await
    }

    async fn ask(&self, promql: &str, at: Option<Timestamp>) -> Result<Answered> {
        let mut url = self.base.clone();
        url.query_pairs_mut().append_pair("query", promql);
        if let Some(at) = at {
            url.query_pairs_mut().append_pair("time", &at.to_string());
        }
        let mut request = Request::new(Method::GET, url).header("accept", "application/json")?;
        if let Some(token) = &self.token {
            request = request.secret_header("authorization", &Secret::new(format!("Bearer {}", token.expose())))?;
        }
        read(self.http.send(&request).await?.json()?)
    }
}

fn read(answer: Value) -> Result<Answered> {
    let unlike = |e: serde_json::Error| Error::new(format!("the answer is not one of Prometheus: {e}"));
    let answer: Answer = serde_json::from_value(answer).map_err(unlike)?;
    if answer.status != "success" {
        let kind = answer.error_type.unwrap_or_else(|| "error".to_owned());
        let why = answer.error.unwrap_or_else(|| "it does not say why".to_owned());
        return Err(Error::new(format!("Prometheus refused the query: {}: {}", visible(&kind, 40), visible(&why, 300))));
    }
    let data = answer.data.ok_or_else(|| Error::new("the answer of Prometheus has no data"))?;
    let elements: Vec<Element> = match data.result_type.as_str() {
        "vector" => serde_json::from_value(data.result).map_err(unlike)?,
        "scalar" => {
            let value = serde_json::from_value(data.result).map_err(unlike)?;
            vec![Element { metric: BTreeMap::new(), value: Some(value) }]
        }
        other => {
            let what = format!("the query gives a {}, not values at one time", visible(other, 40));
            return Err(Error::new(what).hint("wrap a range in a function: `avg_over_time(NAME[1h])`, `rate(NAME_total[5m])`"));
        }
    };
    let mut answered = Answered { warnings: answer.warnings, ..Answered::default() };
    for element in elements {
        match measured(element) {
            Ok(value) => answered.values.push(value),
            Err(why) => answered.left_out.push(why),
        }
    }
    Ok(answered)
}

/// # Errors
/// In words, for what is no finite number.
fn measured(element: Element) -> std::result::Result<Measured, String> {
    let mut labels = element.metric;
    labels.remove("__name__");
    let shown = visible(&labels.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(","), 80);
    let (seconds, text) = element.value.ok_or_else(|| format!("{{{shown}}} is a native histogram, which is no number"))?;
    let value = text.parse::<f64>().ok().filter(|v| v.is_finite());
    let value = value.ok_or_else(|| format!("{{{shown}}} is `{}`, which is no finite number", visible(&text, 40)))?;
    let at = from_seconds(seconds).ok_or_else(|| format!("{{{shown}}} has no time"))?;
    Ok(Measured { labels, at, value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The examples of the documentation, with values that are none.
    #[test]
    fn answers_are_read_as_they_are_documented() {
        let vector = json!({"status": "success", "data": {"resultType": "vector", "result": [
            {"metric": {"__name__": "up", "job": "prometheus"}, "value": [1_435_781_451.781, "1"]},
            {"metric": {"job": "node"}, "value": [1_435_781_451.781, "NaN"]},
            {"metric": {"job": "gone"}, "value": [1_435_781_451.781, "+Inf"]},
            {"metric": {"job": "h"}, "histogram": [1_435_781_451.781, {"count": "1", "sum": "2"}]},
        ]}});
        let got = read(vector).expect("values");
        assert_eq!(got.values.len(), 1);
        assert_eq!((got.values[0].value, got.values[0].at.to_string()), (1.0, "2015-07-01T20:10:51.781000Z".into()));
        assert_eq!(got.values[0].labels, BTreeMap::from([("job".into(), "prometheus".into())]));
        assert_eq!(
            got.left_out,
            [
                "{job=node} is `NaN`, which is no finite number",
                "{job=gone} is `+Inf`, which is no finite number",
                "{job=h} is a native histogram, which is no number"
            ]
        );
        let scalar = json!({"status": "success", "data": {"resultType": "scalar", "result": [1_435_781_451.0, "2.5"]}});
        assert_eq!(read(scalar).expect("a value").values[0].value, 2.5);
        let empty = json!({"status": "success", "data": {"resultType": "vector", "result": []}, "warnings": ["slow"]});
        assert_eq!(read(empty).expect("nothing"), Answered { warnings: vec!["slow".into()], ..Answered::default() });
    }

    #[test]
    fn what_is_no_value_says_what_it_is() {
        for (answer, why) in [
            (json!({"status": "error", "errorType": "bad_data", "error": "parse error"}), "bad_data: parse error"),
            (json!({"status": "success"}), "has no data"),
            (json!({"status": "success", "data": {"resultType": "matrix", "result": []}}), "gives a matrix"),
            (json!({"status": "success", "data": {"resultType": "string", "result": [1, "a"]}}), "gives a string"),
            (json!({"status": "success", "data": {"resultType": "vector", "result": [{"value": 1}]}}), "not one of Prometheus"),
            (json!([]), "not one of Prometheus"),
        ] {
            let said = read(answer).expect_err(why).to_string();
            assert!(said.contains(why), "{said}");
        }
    }
}
