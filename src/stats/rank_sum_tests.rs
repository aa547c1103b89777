use super::*;
use crate::stats::evidence::tests::reference;
use crate::stats::interval::CONFIDENCE;
use proptest::prelude::*;
use serde_json::Value;

fn sample(row: &Value, key: &str) -> Ordered {
    of(row[key].as_array().expect("values").iter().filter_map(Value::as_f64).map(|v| (v, 1)))
}

fn of(counted: impl IntoIterator<Item = (f64, u64)>) -> Ordered {
    Ordered::of_counted(counted).expect("a sample")
}

#[test]
fn ranks_agree_with_scipy() {
    for row in reference("ranks") {
        let got = compare(&sample(&row, "first"), &sample(&row, "second"), CONFIDENCE).expect("a comparison");
        for (key, value) in [("u", got.u), ("p", got.p_value), ("effect", got.effect), ("shift", got.shift)] {
            let want = row[key].as_f64().expect("a number");
            assert!((value - want).abs() < 1e-9, "{key}: {value} is not {want}");
        }
        assert!(got.interval.low <= got.shift && got.shift <= got.interval.high, "{got:?}");
    }
}

#[test]
fn what_cannot_be_had_is_none() {
    let some = of([(1.0, 2), (2.0, 1)]);
    assert_eq!(compare(&of([(1.0, 3)]), &of([(1.0, 4)]), 0.95), None);
    assert_eq!((compare(&some, &some, 1.0), compare(&some, &some, 0.0)), (None, None));
    assert_eq!(compare(&of([(f64::MIN, 1), (0.0, 1)]), &of([(f64::MAX, 2)]), 0.95), None);
}

proptest! {
    #[test]
    fn changing_sides_turns_the_answer_over(v in proptest::collection::vec(-50i32..50, 2..30), w in proptest::collection::vec(-50i32..50, 2..30)) {
        let of = |s: &[i32]| of(s.iter().map(|v| (f64::from(*v), 1)));
        if let (Some(a), Some(b)) = (compare(&of(&v), &of(&w), 0.95), compare(&of(&w), &of(&v), 0.95)) {
            prop_assert!((a.effect + b.effect - 1.0).abs() < 1e-12 && (a.p_value - b.p_value).abs() < 1e-12);
            prop_assert_eq!((a.shift, a.interval.low, a.interval.high), (-b.shift, -b.interval.high, -b.interval.low));
        }
    }
}
