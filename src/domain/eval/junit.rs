//! An evaluation as JUnit XML, which every CI shows.
//!
//! A suite for each group of metrics, with a test case for each row: an error when the system or a judge gave no answer, skipped
//! with the reasons when a score is missing otherwise, passed otherwise, because what is good enough is for gates to say. Gates are a suite
//! of their own: fail is a failure, inconclusive is skipped with its reason. The format is the one of Jenkins' JUnit plugin,
//! as `quick-junit` writes it; characters that XML cannot hold are left out.

use super::score::ERROR;
use super::view::{EvalView, GateView, MetricView, RowView, ScoreView, number};
use crate::base::error::{Context, Result};
use crate::base::verdict::Verdict;
use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite};

/// Renders an evaluation as JUnit XML.
///
/// # Errors
/// When the XML cannot be written, which nothing in an evaluation causes.
pub fn render(view: &EvalView) -> Result<String> {
    let title = format!("{}@{} on {}", view.model, view.version, view.dataset);
    let mut report = Report::new(format!("kf eval {title}"));
    for group in view.groups() {
        report.add_test_suite(scores(view, group));
    }
    if !view.gates.is_empty() {
        let mut suite = TestSuite::new("gates");
        suite.add_test_cases(view.gates.iter().map(|g| gate(view, g)));
        facts(view, &mut suite);
        report.add_test_suite(suite);
    }
    report.to_string().context(|| format!("cannot write the JUnit report of {title}"))
}

/// What the numbers are of.
fn facts(view: &EvalView, suite: &mut TestSuite) {
    suite.add_property(Property::new("digest", view.digest.to_string()));
    suite.add_property(Property::new("dataset-digest", view.dataset_digest.to_string()));
    suite.add_property(Property::new("judge", view.judge.as_str()));
    suite.add_property(Property::new("system", view.system.as_str()));
    suite.add_property(Property::new("at", view.at.to_string()));
}

fn scores(view: &EvalView, group: &str) -> TestSuite {
    let metrics: Vec<&MetricView> = view.metrics.iter().filter(|m| m.group == group).collect();
    let mut suite = TestSuite::new(group);
    facts(view, &mut suite);
    for m in &metrics {
        let mean = m.mean.map_or_else(|| "unscored".to_owned(), |v| v.to_string());
        suite.add_property(Property::new(format!("{}.mean", m.name), mean));
        suite.add_property(Property::new(format!("{}.n", m.name), format!("{} of {}", m.n, m.total)));
    }
    suite.add_test_cases(view.rows.iter().filter_map(|row| case(view, group, &metrics, row)));
    suite
}

/// The test case of a row; none when no metric of the group looks at it.
fn case(view: &EvalView, group: &str, metrics: &[&MetricView], row: &RowView) -> Option<TestCase> {
    let of_group = |s: &&ScoreView| metrics.iter().any(|m| m.name == s.metric);
    let scores: Vec<&ScoreView> = row.scores.iter().filter(of_group).collect();
    let unscored: Vec<String> =
        scores.iter().filter(|s| s.value.is_none()).map(|s| format!("{}: {}", s.metric, reason(s))).collect();
    let status = match &row.answer {
        Err(why) => status(NonSuccessKind::Error, "no-answer", why),
        Ok(_) if scores.is_empty() => return None,
        Ok(_) if unscored.is_empty() => TestCaseStatus::success(),
        Ok(_) if scores.iter().any(|s| s.value.is_none() && reason(s).starts_with(ERROR)) => {
            status(NonSuccessKind::Error, "no-judgement", &unscored.join("; "))
        }
        Ok(_) => skipped(&unscored.join("; ")),
    };
    let mut case = TestCase::new(row.id.as_str(), status);
    case.set_classname(format!("{}.{}.{group}", view.model, view.dataset));
    let mut out = format!("question: {}\n", row.question);
    if let Ok(answer) = &row.answer {
        out.push_str(&format!("answer: {answer}\n"));
    }
    for s in &scores {
        if let Some(value) = s.value {
            let why = s.reason.as_deref().map(|r| format!(" ({r})")).unwrap_or_default();
            out.push_str(&format!("{}: {}{why}\n", s.metric, number(value)));
        }
    }
    case.set_system_out(out);
    Some(case)
}

fn reason(score: &ScoreView) -> &str {
    score.reason.as_deref().unwrap_or("unscored without a reason")
}

fn gate(view: &EvalView, gate: &GateView) -> TestCase {
    let status = match gate.verdict {
        Verdict::Pass => TestCaseStatus::success(),
        Verdict::Fail => status(NonSuccessKind::Failure, "gate", &gate.reason),
        Verdict::Inconclusive => skipped(&gate.reason),
    };
    let mut case = TestCase::new(gate.name.as_str(), status);
    case.set_classname(format!("{}.{}.gates", view.model, view.dataset));
    let measured = gate.measured.map_or_else(|| "not measured".to_owned(), number);
    case.set_system_out(format!("{}: {measured}, wanted {}\n{}: {}\n", gate.metric, gate.threshold, gate.verdict, gate.reason));
    case
}

fn status(kind: NonSuccessKind, kind_word: &str, message: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(kind_word).set_message(message);
    status
}

fn skipped(message: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(message);
    status
}

#[cfg(test)]
mod tests {
    use super::super::view::tests::{example, score};
    use super::*;

    fn read(view: &EvalView) -> (String, Report) {
        let xml = render(view).expect("written");
        let report = Report::deserialize_from_str(&xml).expect("well-formed");
        (xml, report)
    }

    fn suite<'a>(report: &'a Report, name: &str) -> &'a TestSuite {
        report.test_suites.iter().find(|s| s.name.as_str() == name).expect(name)
    }

    #[test]
    fn rows_and_gates_have_their_outcomes() {
        let (xml, report) = read(&example());
        let counts = |name: &str| {
            let s = suite(&report, name);
            (s.tests, s.failures, s.errors, s.skipped)
        };
        // Of four rows one has no answer and one no score; latency is known of two, and the one without an answer counts.
        assert_eq!(counts("generation"), (4, 0, 1, 1));
        assert_eq!(counts("cost"), (3, 0, 1, 0));
        assert_eq!(counts("gates"), (3, 1, 0, 1));
        let check = |part: &str| assert!(xml.contains(part), "{part} is not in\n{xml}");
        check(r#"<failure message="0.45 is below 0.85" type="gate"/>"#);
        check(r#"<skipped message="2 of 4 rows are scored"/>"#);
        check(r#"<skipped message="faithfulness: the judge answered no JSON"/>"#);
        check(r#"<error message="gave up after 5 attempts" type="no-answer"/>"#);
        check(r#"classname="support-bot.golden &amp; friends.generation""#);
        check(r#"<property name="relevancy.mean" value="unscored"/>"#);
        check("faithfulness: 0.100 (claim 2 is ");
    }

    #[test]
    fn hostile_text_stays_text() {
        let (xml, report) = read(&example());
        assert!(!xml.contains("<script>") && !xml.contains('\u{1b}'), "{xml}");
        let case = suite(&report, "generation").test_cases.iter().find(|c| c.name.as_str() == "bad").expect("there");
        assert!(case.system_out.as_ref().expect("output").as_str().contains("answer: <script>alert(1)</script>"));
    }

    #[test]
    fn without_gates_there_is_no_suite_of_gates() {
        let mut view = example();
        view.gates.clear();
        view.rows[2].scores = vec![score("unknown", Some(1.0), None)];
        let (_, report) = read(&view);
        assert_eq!(report.test_suites.len(), 2);
        assert_eq!(suite(&report, "generation").tests, 3);
    }
}
