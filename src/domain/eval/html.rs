//! An evaluation as one HTML file: no script, nothing loaded from elsewhere, light and dark.
//!
//! Intervals are drawn on an axis from 0 to 1 where values allow it, else from 0 to the largest end; differences on an axis
//! with zero in its middle.

use super::view::{CompareView, EvalView, GateView, MetricView, RowView, ScoreView, number};
use crate::base::error::Result;
use crate::base::page;
use crate::base::text::{count, ellipsis};
use crate::base::verdict::Verdict;
use minijinja::context;
use minijinja::value::Value;

/// The page and the drawing of an interval, which it includes.
const TEMPLATES: [(&str, &str); 2] =
    [("report.html", include_str!("html/report.html")), ("bar.html", include_str!("html/bar.html"))];
/// What stands where a number is unknown.
const UNKNOWN: &str = "–";
/// Characters of a question in the line that opens a row.
const SUMMARY_MAX: usize = 90;

/// Renders an evaluation as a self-contained page.
///
/// # Errors
/// When the template does not fit the values, which no evaluation causes.
pub fn render(view: &EvalView) -> Result<String> {
    let what = || format!("cannot write the HTML report of {}@{}", view.model, view.version);
    let comparison = view.comparison.as_deref().unwrap_or_default();
    let values = context! {
        title => format!("{}@{} on {}", view.model, view.version, view.dataset),
        model => view.model.as_str(),
        version => view.version.as_str(),
        digest => view.digest.to_string(),
        dataset => view.dataset.as_str(),
        dataset_digest => view.dataset_digest.to_string(),
        judge => view.judge.as_str(),
        system => view.system.as_str(),
        at => view.at.to_string(),
        verdict => Verdict::all(view.gates.iter().map(|g| g.verdict)).word(),
        gates => view.gates.iter().map(gate).collect::<Vec<_>>(),
        metrics => view.metrics.iter().map(metric).collect::<Vec<_>>(),
        compared => view.comparison.is_some(),
        comparison => comparison.iter().map(compared).collect::<Vec<_>>(),
        rows => view.worst_first().into_iter().map(row).collect::<Vec<_>>(),
    };
    page::render(&TEMPLATES, values, what)
}

/// An interval as it is drawn, in hundredths of its axis.
struct Bar {
    low: f64,
    high: f64,
    at: f64,
    zero: Option<f64>,
    label: String,
}

impl Bar {
    fn value(self) -> Value {
        context! { low => self.low, high => self.high, at => self.at, zero => self.zero, label => self.label }
    }
}

/// A bar on the axis from `from` to `to`.
fn bar(at: Option<f64>, low: Option<f64>, high: Option<f64>, (from, to): (f64, f64), zero: Option<f64>) -> Option<Bar> {
    let place = |v: f64| {
        let hundredths = (v - from) / (to - from) * 100.0;
        hundredths.is_finite().then(|| page::place(hundredths.clamp(0.0, 100.0)))
    };
    let (at, low, high) = (at?, low?, high?);
    let label = format!("{}, 95 % interval {}", number(at), interval(Some(low), Some(high)));
    Some(Bar { low: place(low)?, high: place(high)?, at: place(at)?.min(99.0), zero: zero.and_then(place), label })
}

fn metric(m: &MetricView) -> Value {
    let ends = [m.mean, m.low, m.high].into_iter().flatten().filter(|v| v.is_finite());
    let (from, to) = ends.fold((0.0_f64, 1.0_f64), |(from, to), v| (from.min(v), to.max(v)));
    context! {
        name => m.name.as_str(),
        group => m.group.as_str(),
        mean => shown(m.mean),
        interval => interval(m.low, m.high),
        bar => bar(m.mean, m.low, m.high, (from, to), None).map(Bar::value),
        n => m.n,
        total => m.total,
        unscored => m.unscored.as_deref(),
        direction => m.direction.word(),
    }
}

fn compared(c: &CompareView) -> Value {
    let reach = [c.diff, c.low, c.high].into_iter().flatten().map(f64::abs).fold(0.0, f64::max);
    context! {
        metric => c.metric.as_str(),
        candidate => shown(c.candidate),
        production => shown(c.production),
        diff => shown(c.diff),
        interval => interval(c.low, c.high),
        bar => bar(c.diff, c.low, c.high, (-reach, reach), Some(0.0)).map(Bar::value),
        verdict => c.verdict.word(),
        word => match c.verdict {
            Verdict::Pass => "better",
            Verdict::Fail => "worse",
            Verdict::Inconclusive => "inconclusive",
        },
        needed => c.needed.map(|n| count(usize::try_from(n).unwrap_or(usize::MAX), "row")),
    }
}

fn gate(g: &GateView) -> Value {
    context! {
        name => g.name.as_str(),
        metric => g.metric.as_str(),
        measured => shown(g.measured),
        threshold => g.threshold.as_str(),
        verdict => g.verdict.word(),
        reason => g.reason.as_str(),
    }
}

fn row(r: &RowView) -> Value {
    let answer = match &r.answer {
        Ok(text) => text,
        Err(why) => why,
    };
    context! {
        id => r.id.as_str(),
        summary => ellipsis(&r.question, SUMMARY_MAX),
        question => r.question.as_str(),
        lost => r.answer.is_err(),
        answer => answer,
        scores => r.scores.iter().map(score).collect::<Vec<_>>(),
    }
}

fn score(s: &ScoreView) -> Value {
    let value = s.value.map_or_else(|| "unscored".to_owned(), number);
    context! { metric => s.metric.as_str(), value => value, reason => s.reason.as_deref().unwrap_or_default() }
}

fn shown(value: Option<f64>) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), number)
}

fn interval(low: Option<f64>, high: Option<f64>) -> String {
    match (low, high) {
        (Some(low), Some(high)) => format!("{} to {}", number(low), number(high)),
        _ => UNKNOWN.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::view::Direction;
    use super::super::view::tests::example;
    use super::*;
    use proptest::prelude::*;

    fn place(page: &str, part: &str) -> usize {
        page.find(part).unwrap_or_else(|| panic!("`{part}` is not in\n{page}"))
    }

    #[test]
    fn everything_is_on_the_page_in_order() {
        let page = render(&example()).expect("rendered");
        let parts = [
            "<title>support-bot@1.2.0 on golden &amp; friends</title>",
            "2026-11-21T08:00:00Z · judge deterministic · answers recorded",
            "<span class=\"verdict fail\">fail</span>",
            "0.45 is below 0.85",
            "2 of 4 rows are scored",
            "<td class=\"n\">0.450 to 0.550</td>",
            "aria-label=\"0.500, 95 % interval 0.450 to 0.550\"",
            "x1=\"45.0\" y1=\"5\" x2=\"55.0\"",
            "unscored: the judge &lt;gave&gt; no score",
            "Against production",
            "inconclusive</span> <span class=\"soft\">needs 340 rows",
            "gave up after 5 attempts",
            "<summary>bad ",
            "<summary>good ",
            "<summary>unscored ",
            "the judge answered no JSON",
        ];
        let places: Vec<usize> = parts.iter().map(|p| place(&page, p)).collect();
        assert!(places.is_sorted(), "{places:?}");
    }

    #[test]
    fn text_is_never_markup() {
        let page = render(&example()).expect("rendered");
        assert!(!page.contains("<script") && !page.contains("<b>?"), "{page}");
        place(&page, "&lt;script&gt;alert(1)&lt;");
        place(&page, "claim 2 is &quot;made up&quot;");
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere() {
        let page = render(&example()).expect("rendered");
        for part in ["http:", "https:", "src=", "href=", "@import", "url("] {
            assert!(!page.contains(part), "{part}");
        }
    }

    #[test]
    fn what_is_not_there_is_said() {
        let mut view = example();
        (view.metrics, view.rows, view.gates) = (Vec::new(), Vec::new(), Vec::new());
        view.comparison = Some(Vec::new());
        let page = render(&view).expect("rendered");
        place(&page, "No metric was computed.");
        place(&page, "The two have no metric in common.");
        place(&page, "The dataset has no rows.");
        assert!(!page.contains("Gates"));
        let lost = CompareView { verdict: Verdict::Fail, ..example().comparison.expect("there is one").remove(0) };
        view.comparison = Some(vec![lost]);
        place(&render(&view).expect("rendered"), "<span class=\"verdict fail\">worse</span>");
        view.comparison = None;
        assert!(!render(&view).expect("rendered").contains("Against production"));
    }

    proptest! {
        #[test]
        fn bars_stay_on_their_axis(at in any::<Option<f64>>(), low in any::<Option<f64>>(), high in any::<Option<f64>>()) {
            let (name, group) = ("m".to_owned(), "g".to_owned());
            let mut view = example();
            view.metrics = vec![MetricView { name, group, direction: Direction::Higher, mean: at, low, high, n: 1, total: 1, unscored: None }];
            prop_assert!(render(&view).is_ok());
            if let Some(bar) = bar(at, low, high, (0.0, 1.0), Some(0.0)) {
                for x in [bar.low, bar.high, bar.at] {
                    prop_assert!((0.0..=100.0).contains(&x));
                }
            }
        }

        #[test]
        fn any_text_is_escaped(text in ".*") {
            let mut view = example();
            view.rows[0].question = text.clone();
            view.gates[0].reason = text;
            let tags = |page: &str| page.matches('<').count();
            let page = render(&view).expect("rendered");
            prop_assert_eq!(tags(&page), tags(&render(&example()).expect("rendered")));
        }
    }
}
