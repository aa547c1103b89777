//! What came of a suite as JUnit XML, which every CI shows: a suite for each prompt and provider, a test case for each case. What has no
//! answer is an error, what does not hold a failure, what could not be judged is skipped with the reason.

use super::outcome::{Cell, End};
use crate::base::error::{Context, Result};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use std::time::Duration;

/// Renders cells as JUnit XML.
///
/// # Errors
/// When the XML cannot be written, which nothing in a suite causes.
pub fn render(title: &str, cells: &[Cell]) -> Result<String> {
    let mut report = Report::new(format!("kf prompt test {title}"));
    let mut suites: Vec<(String, TestSuite)> = Vec::new();
    for cell in cells {
        let name = format!("{} / {}", cell.prompt, cell.provider);
        match suites.iter_mut().find(|(n, _)| *n == name) {
            Some((_, suite)) => {
                suite.add_test_case(case(cell));
            }
            None => {
                let mut suite = TestSuite::new(name.as_str());
                suite.add_test_case(case(cell));
                suites.push((name, suite));
            }
        }
    }
    report.add_test_suites(suites.into_iter().map(|(_, suite)| suite));
    report.to_string().context(|| format!("cannot write the JUnit report of {title}"))
}

fn case(cell: &Cell) -> TestCase {
    let reason = cell.reason.clone().unwrap_or_default();
    let non_success = |kind: NonSuccessKind, word: &str| {
        let mut status = TestCaseStatus::non_success(kind);
        status.set_type(word).set_message(reason.as_str());
        status
    };
    let status = match cell.end {
        End::Pass => TestCaseStatus::success(),
        End::Fail => non_success(NonSuccessKind::Failure, "assertion"),
        End::Error => non_success(NonSuccessKind::Error, "no-answer"),
        End::Unscored => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(reason.as_str());
            status
        }
    };
    let mut case = TestCase::new(cell.case.as_str(), status);
    case.set_classname(format!("{}.{}", cell.prompt, cell.provider));
    if let Some(ms) = cell.latency_ms.filter(|ms| ms.is_finite() && *ms >= 0.0 && *ms < 1e12) {
        case.set_time(Duration::from_secs_f64(ms / 1e3));
    }
    let mut out = cell.answer.as_ref().map(|a| format!("answer: {a}\n")).unwrap_or_default();
    for j in &cell.assertions {
        out.push_str(&format!("{}: {} ({})\n", j.name, j.verdict, j.reason));
    }
    case.set_system_out(out);
    case
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Map;

    #[test]
    fn every_end_has_its_status() {
        let cell = |case: &str, end: End| Cell {
            case: case.into(),
            prompt: "p & q".into(),
            provider: "echo".into(),
            end,
            score: None,
            reason: (end != End::Pass).then(|| format!("<why {case}>")),
            vars: Map::new(),
            answer: Some("a\u{1b}[31m".into()),
            latency_ms: Some(1500.0),
            cost_usd: None,
            kept: false,
            assertions: Vec::new(),
        };
        let cells = [cell("1", End::Pass), cell("2", End::Fail), cell("3", End::Unscored), cell("4", End::Error)];
        let xml = render("suite.yaml", &cells).expect("written");
        let report = Report::deserialize_from_str(&xml).expect("well-formed");
        let suite = &report.test_suites[0];
        assert_eq!((suite.tests, suite.failures, suite.skipped, suite.errors), (4, 1, 1, 1));
        assert!(
            xml.contains("message=\"&lt;why 2&gt;\" type=\"assertion\"")
                && xml.contains("classname=\"p &amp; q.echo\"")
                && !xml.contains('\u{1b}'),
            "{xml}"
        );
    }
}
