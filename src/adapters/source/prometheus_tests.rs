use super::*;
use crate::adapters::prometheus::Measured;
use crate::base::time::Timestamp;
use crate::config::{Prometheus as Server, ScoreQueries};
use proptest::prelude::*;
use std::time::Duration;

fn answered(values: &[(&str, f64)]) -> Answered {
    let measured = |(le, value): &(&str, f64)| Measured {
        labels: if le.is_empty() { Default::default() } else { [("le".to_owned(), (*le).to_owned())].into() },
        at: Timestamp::from_micros(0),
        value: *value,
    };
    Answered { values: values.iter().map(measured).collect(), ..Answered::default() }
}

fn queries() -> Queries {
    Queries {
        server: Server { url: "http://p".into(), token: None, timeout: Duration::from_secs(1) },
        requests: "r".into(),
        errors: Some("e".into()),
        latency: Some("l".into()),
        unit: LatencyUnit::Seconds,
        scores: vec![ScoreQueries { metric: "faithfulness".parse().expect("a name"), sum: "s".into(), count: "c".into() }],
    }
}

fn of(answers: [Answered; 5]) -> Result<Counted> {
    let names = ["requests", "errors", "latency", "sum", "count"].map(str::to_owned);
    counted(&queries(), names.into_iter().zip(&answers))
}

#[test]
fn stretched_numbers_are_rounded_and_evened_out() {
    let latency = answered(&[("+Inf", 100.2), ("0.5", 80.4), ("1", 80.1), ("2.5", 99.6)]);
    let one = |v| answered(&[("", v)]);
    let found = of([one(100.4), one(100.9), latency, one(45.0), one(50.2)]).expect("counted");
    // More errors than requests by what stretching does; a bucket that falls by as little.
    assert_eq!((found.requests, found.errors), (Some(100), Some(100)));
    assert_eq!(found.latency, Some(Buckets::dense([(0.5, 80), (1.0, 0), (2.5, 20), (f64::INFINITY, 0)])));
    let scores = found.values["faithfulness"];
    let mean = 45.0 / 50.2;
    assert_eq!((scores.n, scores.mean), (50, mean));
    assert!((scores.sd - (mean * (1.0 - mean) * 50.0 / 49.0_f64).sqrt()).abs() < 1e-12);
}

#[test]
fn no_series_is_absent() {
    let none = || answered(&[]);
    assert_eq!(of([none(), none(), none(), none(), none()]).expect("nothing"), Counted::default());
    let nobody = answered(&[("0.5", 0.0), ("+Inf", 0.0)]);
    let found = of([answered(&[("", 0.0)]), none(), nobody, answered(&[("", 0.0)]), answered(&[("", 0.0)])]).expect("no request");
    assert_eq!((found.requests, found.errors, found.latency.map(|b| b.n())), (Some(0), None, Some(0)));
    assert_eq!(found.values["faithfulness"].n, 0);
}

#[test]
fn garbage_is_an_error_with_its_name() {
    let one = |v| answered(&[("", v)]);
    let two = Answered { values: [one(1.0).values, one(2.0).values].concat(), ..Answered::default() };
    let nan = Answered { left_out: vec!["{} is `NaN`, which is no finite number".into()], ..Answered::default() };
    let partial = Answered { warnings: vec!["store a did not answer".into()], ..one(5.0) };
    let mut by_pod = answered(&[("0.5", 1.0)]);
    by_pod.values[0].labels.insert("pod".into(), "a".into());
    let fine = || [one(100.0), one(1.0), answered(&[("+Inf", 100.0)]), one(9.0), one(10.0)];
    assert!(of(fine()).is_ok());
    for (place, answer, why) in [
        (0, one(-1.0), "requests is -1, which is no count"),
        (0, one(1e18), "which is no count"),
        (0, two, "requests is 2 series, not one number"),
        (1, nan, "errors: {} is `NaN`"),
        (0, partial, "may lack a part: the server warns: store a did not answer"),
        (2, answered(&[("0.5", 10.0)]), "has no bucket `+Inf`"),
        (2, answered(&[("0.5", 50.0), ("+Inf", 10.0)]), "falls from 50 to 10 at le=inf"),
        (2, answered(&[("fast", 50.0), ("+Inf", 10.0)]), "a series {le=fast}, not one a bucket"),
        (2, by_pod, "a series {le=0.5,pod=a}, not one a bucket"),
        (3, one(20.0), "sum is 20 over 10"),
    ] {
        let mut answers = fine();
        answers[place] = answer;
        let said = of(answers).expect_err(why).to_string();
        assert!(said.contains(why), "{why}: {said}");
    }
    // Far more errors than requests is for whoever reads it to refuse.
    let mut answers = fine();
    answers[1] = one(150.0);
    assert_eq!(of(answers).expect("counted").errors, Some(150));
}

#[test]
fn windows_are_written_as_promql_has_them() {
    let (model, canary) = ("bot".parse().expect("a name"), "1.1.0".parse().expect("a version"));
    let written = |micros: i64| {
        let (from, to) = (Timestamp::from_micros(7), Timestamp::from_micros(7 + micros));
        window(&Ask { model: &model, stable: None, canary, from, to, cursor: None })
    };
    let found = [60_000_000, 1_500_900, 999, 0].map(|micros| written(micros).expect("a window"));
    assert_eq!(found, [Some("60s".to_owned()), Some("1500ms".to_owned()), None, None]);
    assert!(written(-1).is_err());
}

proptest! {
    /// However a histogram was stretched, no answer is lost or made up beyond the rounding of the last bucket.
    #[test]
    fn buckets_add_up_to_the_last_one(counts in prop::collection::vec(0.0..1000.0_f64, 1..12)) {
        let mut upto = 0.0;
        let mut ends: Vec<(String, f64)> = counts.iter().enumerate().map(|(i, n)| { upto += n; (format!("{}", i + 1), upto) }).collect();
        ends.last_mut().expect("one").0 = "+Inf".into();
        let borrowed: Vec<(&str, f64)> = ends.iter().map(|(le, n)| (le.as_str(), *n)).collect();
        let found = buckets("latency", &answered(&borrowed), LatencyUnit::Milliseconds).expect("buckets").expect("some");
        prop_assert_eq!(found.n(), upto.round() as u64);
        prop_assert!(found.counts.iter().take(ends.len() - 1).enumerate().all(|(i, b)| (b.most - (i + 1) as f64 / 1000.0).abs() < 1e-12));
    }
}
