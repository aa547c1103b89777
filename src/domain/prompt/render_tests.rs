//! What is rendered against CPython, and what differs from it on purpose.

use super::*;
use crate::domain::prompt::value::from_json;
use proptest::prelude::*;
use serde_json::json;

/// Rendered by CPython itself: see `make.py` beside it.
const CASES: &str = include_str!("../../../tests/fixtures/format/cases.jsonl");

fn rendered(template: &str, args: &Value, named: &Value) -> Result<String, Vec<RenderFault>> {
    let (none, empty) = (Vec::new(), Map::new());
    let values = Values { positional: args.as_array().unwrap_or(&none), named: named.as_object().unwrap_or(&empty) };
    Compiled::new(template)?.render(values).map_err(|fault| vec![fault])
}

#[test]
fn every_case_is_what_cpython_rendered() {
    let mut lines = CASES.lines();
    let made = from_json(lines.next().expect("a head")).expect("JSON");
    assert_eq!((&made["python"], &made["implementation"]), (&json!("3.11.7"), &json!("cpython")));
    let (mut wrong, mut n, mut faults) = (Vec::new(), 0, 0);
    for line in lines {
        let case = from_json(line).expect(line);
        let template = case["t"].as_str().expect("a template");
        let found = match rendered(template, &case["args"], &case["named"]) {
            Ok(text) => text,
            Err(faults) => faults[0].kind.name().to_owned(),
        };
        let expected = ["kf", "out", "err"].iter().find_map(|key| case[key].as_str()).expect("an outcome");
        n += 1;
        faults += usize::from(case["out"].is_null());
        if found != expected {
            wrong.push(format!("{line}\n  {found}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {n}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(n > 1000 && faults > 300, "{n} cases, {faults} of them faults");
}

fn fault(template: &str, named: &Value) -> RenderFault {
    rendered(template, &Value::Null, named).expect_err(template).remove(0)
}

#[test]
fn faults_are_placed_and_say_why() {
    let check = |template: &str, named: Value, expected: &str| assert_eq!(fault(template, &named).to_string(), expected);
    check("a\n é{x}", json!({}), "2:3: KeyError: there is no value for `x`");
    check("{}", json!({}), "1:1: IndexError: there is no value for field 0: 0 given by position");
    check("{x[k]}", json!({"x": [1]}), "1:1: TypeError: `[k]` is no place in a value of type list: those are numbers");
    check("{x[0]}", json!({"x": {"0": 1}}), "1:1: KeyError: `[0]` looks for the number 0, and the keys of this map are texts");
    check("{x[2]}", json!({"x": [1]}), "1:1: IndexError: the list has no element 2");
    check("{x[k]}", json!({"x": {}}), "1:1: KeyError: there is no key `k`");
    check("{x[k]}", json!({"x": 1}), "1:1: TypeError: a value of type int has nothing in it to take");
    check("{x:.2f}", json!({"x": "3"}), "1:1: ValueError: `f` is for numbers, and this value is text");
    check("{x:>4}", json!({"x": null}), "1:1: TypeError: a value of type NoneType takes no format; `!s` makes text of it first");
    check("{x:c}", json!({"x": -1}), "1:1: OverflowError: -1 is no character: they go from 0 to 1114111");
    check("{x.y}", json!({"x": 1}), "1:1: AttributeError: attributes (`.y`) are not read from values; write `[y]`");
    check(
        "{x:{w}q}",
        json!({"x": 1, "w": 3}),
        "1:1: ValueError: `3q` is not a format of text or numbers: expected such as `>10`, `,`, \
        `.2f`, `d`, `%`; a brace as text is written `{{` and `}}`",
    );
    assert_eq!(rendered("{ } } {x!q}", &Value::Null, &json!({})).expect_err("two").len(), 2);
}

#[test]
fn what_cpython_allows_and_kf_bounds() {
    assert_eq!(fault("{x:c}", &json!({"x": 0xd800})).kind, PyKind::Value, "half a character");
    assert_eq!(fault("{x:1000001}", &json!({"x": 1})).kind, PyKind::Value);
    assert_eq!(rendered("{x:1000000}", &Value::Null, &json!({"x": 1})).expect("wide").len(), 1_000_000);
    let many = "{x:1000000}".repeat(17);
    assert_eq!(fault(&many, &json!({"x": 1})).kind, PyKind::Memory);
    assert_eq!(fault("{x:{w}}", &json!({"x": 1, "w": 10_000_000})).kind, PyKind::Value);
    let compiled = Compiled::new("{x}{x}").expect("valid");
    let named = json!({"x": "abc"});
    let values = Values { positional: &[], named: named.as_object().expect("a map") };
    assert_eq!(compiled.render_within(values, 6).as_deref(), Ok("abcabc"));
    assert_eq!(compiled.render_within(values, 5).expect_err("too long").kind, PyKind::Memory);
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec(("[a-z0-9]{0,2}", inner), 0..4).prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn rendering_never_panics(template in "(\\{(x|0|)(\\[[a0]\\]){0,2}(![sra])?(:([<>=^*0é{}]{0,3}[-+ z#0,_.0-9]{0,6}[bcdeEfFgGnosxX%]?))?\\}|[{}a ]){0,4}",
                              value in any_value()) {
        let _ = rendered(&template, &json!([value]), &json!({"x": value}));
    }

    /// The invariants that hold whatever Python does: a text without fields is itself, a value is never expanded again.
    #[test]
    fn text_stays_and_values_are_not_expanded(text in "\\PC{0,30}", value in "[a-z{}\\[\\]!:.]{0,20}") {
        let escaped = text.replace('{', "{{").replace('}', "}}");
        let template = format!("{escaped}{{x}}{escaped}");
        prop_assert_eq!(rendered(&template, &Value::Null, &json!({"x": value})), Ok(format!("{text}{value}{text}")));
    }

    /// A width is reached, and only exceeded by what is longer by itself.
    #[test]
    fn a_width_counts_characters(value in "\\PC{0,20}", width in 1_usize..40, align in "[<>^]") {
        let text = rendered(&format!("{{x:é{align}{width}}}"), &Value::Null, &json!({"x": value})).expect("fits");
        prop_assert_eq!(text.chars().count(), value.chars().count().max(width));
    }
}
