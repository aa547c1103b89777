//! What happened on a day, as a person reads it in the morning: releases, evaluations, drift, episodes, metrics.
//!
//! Plain values in, gathered elsewhere; the same tables on a terminal, in Markdown and in one HTML file.

use super::sample::Labels;
use super::table::Episode;
use super::watch::title;
use crate::base::error::Result;
use crate::base::name::Name;
use crate::base::page;
use crate::base::table::{Align, Table};
use crate::base::text::{count, markdown as escaped};
use crate::base::time::Timestamp;
use crate::domain::drift::table::ActionRow;
use crate::domain::drift::why::number;
use minijinja::context;
use serde::Serialize;
use std::collections::BTreeMap;

/// Something that the audit log tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Happened {
    /// When.
    pub at: Timestamp,
    /// What was done: `version.promoted`.
    pub what: String,
    /// To what: `version bot@1.2.0`.
    pub of: String,
    /// By whom.
    pub by: String,
    /// More of it: a verdict, a stage.
    pub said: String,
}

/// A metric's day.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetricDay {
    /// The metric.
    pub name: Name,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Samples of the day.
    pub samples: usize,
    /// The lowest value, in the unit of the metric.
    pub low: f64,
    /// The median.
    pub median: f64,
    /// The highest.
    pub high: f64,
    /// The median of the seven days before.
    pub week: Option<f64>,
}

/// A day.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Daily {
    /// The project.
    pub project: String,
    /// The day, of UTC: `2026-11-21`.
    pub day: String,
    /// Versions registered, promoted, refused, rolled back, archived, restored.
    pub releases: Vec<Happened>,
    /// Evaluations.
    pub evaluations: Vec<Happened>,
    /// Checks of drift, and what became of actions.
    pub drift: Vec<Happened>,
    /// Actions about drift that were overdue at the end of the day.
    pub overdue: Vec<ActionRow>,
    /// Episodes that were open at some time of the day.
    pub episodes: Vec<Episode>,
    /// The metrics.
    pub metrics: Vec<MetricDay>,
}

impl Daily {
    /// The day in one line.
    pub fn line(&self) -> String {
        let checks = self.drift.iter().filter(|h| h.what == "drift.checked").count();
        let open = self.episodes.iter().filter(|e| e.closed.is_none()).count();
        format!(
            "{}: {}, {}, {}, {} overdue, {} ({open} open), {}",
            self.day,
            count(self.releases.len(), "release event"),
            count(self.evaluations.len(), "evaluation"),
            count(checks, "drift check"),
            count(self.overdue.len(), "action"),
            count(self.episodes.len(), "episode"),
            count(self.metrics.len(), "metric"),
        )
    }

    /// What there is to tell, each a table; what did not happen has none.
    pub fn tables(&self) -> Vec<Table> {
        let happened = |name: &str, all: &[Happened]| {
            let mut t = Table::new(&["at", "what", "of", "by", "said"]).titled(name);
            all.iter().for_each(|h| {
                t.row([h.at.to_string(), h.what.clone(), h.of.clone(), h.by.clone(), h.said.clone()]);
            });
            t
        };
        let all = [
            happened("Releases", &self.releases),
            happened("Evaluations", &self.evaluations),
            happened("Drift", &self.drift),
            self.overdue_table(),
            self.episode_table(),
            self.metric_table(),
        ];
        all.into_iter().filter(|t| !t.is_empty()).collect()
    }

    fn overdue_table(&self) -> Table {
        let mut t = Table::new(&["action", "of", "band", "since", "due"]).titled("Overdue");
        for a in &self.overdue {
            let due = a.due.map(|due| due.to_string()).unwrap_or_default();
            t.row([a.kind.to_string(), a.name.to_string(), a.band.to_string(), a.opened.to_string(), due]);
        }
        t
    }

    fn episode_table(&self) -> Table {
        let mut t = Table::new(&["metric", "kind", "severity", "since", "until", ">peak"]).titled("Episodes");
        for e in &self.episodes {
            let until = e.ended.map_or_else(|| "open".to_owned(), |at| at.to_string());
            let name = title(&e.name, &e.labels);
            t.row([name, e.kind.to_string(), e.severity.to_string(), e.since.to_string(), until, number(e.peak)]);
        }
        t
    }

    fn metric_table(&self) -> Table {
        let mut t = Table::new(&["metric", ">samples", ">lowest", ">median", ">highest", ">week before"]).titled("Metrics");
        for m in &self.metrics {
            let labels = Labels::of(&m.labels).unwrap_or_default();
            let week = m.week.map_or_else(|| "-".to_owned(), number);
            t.row([title(&m.name, &labels), m.samples.to_string(), number(m.low), number(m.median), number(m.high), week]);
        }
        t
    }

    /// As GitHub-flavoured Markdown.
    pub fn markdown(&self) -> String {
        let head = format!("## {}: {}\n\n{}\n", escaped(&self.project), self.day, escaped(&self.line()));
        let tables = self.tables().into_iter().map(|t| t.markdown());
        std::iter::once(head).chain(tables).collect::<Vec<_>>().join("\n")
    }

    /// As one HTML file; see [`crate::base::page`].
    ///
    /// # Errors
    /// When the template does not fit the values, which no day causes.
    pub fn html(&self) -> Result<String> {
        let tables = self.tables();
        let table = |t: &Table| {
            let right = |i: usize| t.columns().get(i).is_some_and(|(_, align)| *align == Align::Right);
            let cells = |row: &Vec<String>| {
                row.iter().enumerate().map(|(i, cell)| context! { text => cell, right => right(i) }).collect::<Vec<_>>()
            };
            context! {
                title => t.title().unwrap_or_default(),
                columns => t.columns().iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(),
                rows => t.rows().iter().map(cells).collect::<Vec<_>>(),
            }
        };
        let values = context! {
            title => format!("{}: {}", self.project, self.day),
            line => self.line(),
            tables => tables.iter().map(table).collect::<Vec<_>>(),
        };
        page::render(&[("daily.html", include_str!("daily.html"))], values, || format!("cannot write the report of {}", self.day))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day() -> Daily {
        let at = "2026-11-21T08:00:00Z".parse().expect("a time");
        let happened = |what: &str, said: &str| Happened {
            at,
            what: what.into(),
            of: "version bot@1.0.0".into(),
            by: "<ada>".into(),
            said: said.into(),
        };
        let labels = BTreeMap::from([("host".to_owned(), "a|b".to_owned())]);
        let name: Name = "latency".parse().expect("a name");
        Daily {
            project: "shop".into(),
            day: "2026-11-21".into(),
            releases: vec![happened("version.promoted", "to production")],
            evaluations: vec![],
            drift: vec![happened("drift.checked", "critical")],
            overdue: vec![],
            episodes: vec![],
            metrics: vec![MetricDay { name, labels, samples: 24, low: 0.5, median: 1.0, high: 2.5, week: None }],
        }
    }

    #[test]
    fn a_day_is_told_in_each_form() {
        let day = day();
        assert_eq!(
            day.line(),
            "2026-11-21: 1 release event, 0 evaluations, 1 drift check, 0 actions overdue, 0 episodes (0 open), 1 metric"
        );
        let text = day.markdown();
        assert!(text.starts_with("## shop: 2026-11-21\n") && text.contains("**Metrics**"), "{text}");
        assert!(text.contains("| latency{host=\"a\\|b\"} | 24 | 0.5 | 1 | 2.5 | - |") && !text.contains("Overdue"), "{text}");
        let page = day.html().expect("a page");
        assert!(page.contains("&lt;ada&gt;") && page.contains("<h2>Metrics</h2>") && !page.contains("<script"), "{page}");
        assert!(page.contains("<td class=\"n\">2.5</td>"), "{page}");
    }
}
