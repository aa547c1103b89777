//! Files read, and what is refused of them.

use super::*;
use crate::domain::ab::tests::setup;
use proptest::prelude::*;

fn s() -> Setup {
    setup("converted", &["latency:mean:lower=20", "quality:score:higher=0.05"])
}

fn told(text: &str) -> Vec<String> {
    read(&s(), text.as_bytes()).expect_err("problems").first.iter().map(ToString::to_string).collect()
}

#[test]
fn lines_and_tables_say_the_same() {
    let json = "\u{feff}{\"unit\": \"u1\", \"variant\": \"control\", \"converted\": true, \"latency\": 12.5, \"at\": \"noon\"}\n\n\
         {\"unit\": \"u2\", \"variant\": \"bot@1.1.0\", \"id\": \"r9\", \"metrics\": {\"converted\": 0, \"quality\": 0.5}}\r\n\
         {\"unit\": \"u3\", \"variant\": \"1.0.0\", \"converted\": 1, \"latency\": null}\n";
    let csv = "unit;variant;id;converted;latency;quality;at\nu1;control;;1;12.5;;noon\n\"u2\";treatment;r9;false;;0.5;\nu3;control;;true;;;\n";
    let (json, csv) = (read(&s(), json.as_bytes()).expect("lines"), read(&s(), csv.as_bytes()).expect("a table"));
    let plain = |r: &Records| r.records.iter().map(|r| Record { line: 0, ..r.clone() }).collect::<Vec<_>>();
    assert_eq!(plain(&json), plain(&csv));
    assert_eq!((json.unused, json.records[1].line), (BTreeSet::from(["at".to_owned()]), 3));
    let second = &csv.records[1];
    assert_eq!((second.id.as_str(), second.unit.as_str(), second.variant), ("r9", "u2", Variant::Treatment));
    assert_eq!(second.values, [(0, 0.0), (2, 0.5)]);
}

#[test]
fn a_unit_without_a_variant_has_the_one_that_it_is_assigned() {
    let text: String = (0..50).map(|i| format!("{{\"unit\": \"u{i}\", \"converted\": 1}}\n")).collect();
    let found = read(&s(), text.as_bytes()).expect("lines").records;
    assert!(found.iter().all(|r| r.variant == s().assigned(&r.unit)));
    assert!(found.iter().any(|r| r.variant == Variant::Control) && found.iter().any(|r| r.variant == Variant::Treatment));
}

#[test]
fn what_is_wrong_is_said_where_it_stands() {
    let json = "{\"unit\": \"a\", \"variant\": \"control\", \"converted\": 2}\n{\"unit\": \"b\", \"converted\": \"yes\"}\n{\"unit\": \"ü\", \"variant\": \"x\", \"converted\": 1}\n\
         {\"converted\": 1}\n{\"unit\": \"c\"\n{\"unit\": \"d\"}\n{\"unit\": \"e\", \"quality\": 1.5}\n{\"unit\": \"f\", \"latency\": 1e999}\n{\"unit\": \"g\", \"metrics\": 3}\n[1]";
    assert_eq!(
        told(json),
        [
            "1:50: `converted` is a rate: 0 or 1, not 2",
            "2:28: `converted` is `yes`, which is no finite number",
            "3:26: `x` is neither control (bot@1.0.0) nor treatment (bot@1.1.0)",
            "4:1: it has no `unit`",
            "5:12: not a JSON object: EOF while parsing an object",
            "6:1: it has no value of converted, latency, quality",
            "7:26: `quality` is a score: from 0 to 1, not 1.5",
            "8:26: `latency` is `1e999`, which is no finite number",
            "9:26: `metrics` is not an object of numbers",
            "10:1: not a JSON object: invalid type: sequence, expected a map",
        ]
    );
    let csv = "unit,variant,converted,latency\n\"a,b\",control,1,NaN\nc,control,1\nd,\"con\ntrol\",1,2\n";
    assert_eq!(
        told(csv),
        [
            "2:17: `latency` is `NaN`, which is no finite number",
            "3:1: 3 values under 4 columns",
            "4:3: `con\\ntrol` is neither control (bot@1.0.0) nor treatment (bot@1.1.0)",
        ]
    );
    assert_eq!(told("user,converted\nu,1\n"), ["1:1: the header has no column `unit`"]);
    assert_eq!(
        (told(""), told("[{\"unit\": \"a\"}]")),
        (vec!["1:1: it is empty".to_owned()], vec!["1:1: it is a JSON array: write one object a line".to_owned()])
    );
    let bytes = read(&s(), b"unit,converted\n\xff,1\n").expect_err("no UTF-8");
    assert_eq!(bytes.first[0].to_string(), "2:1: it is not UTF-8");
}

#[test]
fn what_is_there_twice_or_names_nobody_is_refused() {
    let json = "{\"unit\": \"a\", \"converted\": 1, \"converted\": 0}\n{\"unit\": \"b\", \"converted\": 1, \"metrics\": {\"converted\": 1}}\n\
         {\"unit\": [\"z\"], \"converted\": 1}\n{\"unit\": true, \"converted\": 1}\n{\"unit\": \"c\", \"id\": {}, \"converted\": 1}\n\
         {\"unit\": \"d\", \"unit\": null, \"converted\": 1}\n{\"metrics\": {\"unit\": \"e\", \"converted\": 1}}\n{\"unit\": 17, \"converted\": null}\n\
         {\"unit\": \"e\", \"metrics\": {}, \"metrics\": {\"converted\": 1}}";
    assert_eq!(
        told(json),
        [
            "1:44: `converted` is there twice",
            "2:56: `converted` is there twice",
            "3:10: `unit` is `[\"z\"]`, and is to be a text or a number",
            "4:10: `unit` is `true`, and is to be a text or a number",
            "5:21: `id` is `{}`, and is to be a text or a number",
            "6:23: `unit` is there twice",
            "7:22: `unit` is no metric: it stands beside `metrics`",
            "8:1: it has no value of converted, latency, quality",
            "9:41: `metrics` is there twice",
        ]
    );
    let csv = "unit,converted,note,converted,note\na,1,x,0,y\n";
    assert_eq!(told(csv), ["1:21: the column `converted` is there twice"]);
    // What is nothing of the test may be there as often as it likes, and numbers are names.
    let lines = "{\"unit\": 17, \"converted\": 1, \"note\": 1, \"note\": [2]}\n{\"unit\": \"null\", \"converted\": 0}";
    let found = read(&s(), lines.as_bytes()).expect("lines");
    assert_eq!(found.records.iter().map(|r| r.unit.as_str()).collect::<Vec<_>>(), ["17", "null"]);
}

#[test]
fn values_of_which_no_spread_can_be_computed_are_refused() {
    let csv = "unit,variant,latency\na,control,1e308\nb,treatment,-1e308\nc,control,1e140\n";
    let said = |at: &str| format!("{at}e308: beyond 1e140 nothing can be added up");
    assert_eq!(told(csv), [said("2:11: `latency` is 1"), said("3:13: `latency` is -1")]);
}

#[test]
fn an_id_tells_records_of_one_unit_apart() {
    let csv = "unit,variant,id,converted\na,control,1,1\nb,treatment,1,0\nc,control,1,1\n";
    assert_eq!(read(&s(), csv.as_bytes()).expect("three users").records.len(), 3);
}

#[test]
fn a_unit_has_one_variant_and_an_id_one_line() {
    let csv = "unit,variant,id,converted\nu,control,1,1\nu,treatment,2,1\nu,control,1,0\nu,control,3,0\n";
    assert_eq!(
        told(csv),
        [
            "3:1: the unit `u` got control on line 2, and treatment here",
            "4:1: `1` is on line 2 already: give each record an `id` where a unit has several",
        ]
    );
    let paired = Setup { design: Design::Paired, ..s() };
    assert_eq!(read(&paired, b"unit,variant,converted\nq,control,1\nq,treatment,0\n").expect("pairs").records.len(), 2);
    let many: String = (0..40).map(|_| "u,control,x\n").collect();
    let problems = read(&s(), format!("unit,variant,converted\n{many}").as_bytes()).expect_err("problems");
    assert_eq!((problems.count, problems.first.len()), (40, 20));
    assert!(problems.of("f.csv").ends_with("f.csv:21:11: `converted` is `x`, which is no finite number\nand 20 more"));
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(text in "(\\PC|\n|,|\"|\\{|\\}|:){0,80}") {
        let _ = read(&s(), text.as_bytes());
        let _ = read(&s(), format!("unit,converted\n{text}").as_bytes());
    }

    #[test]
    fn every_value_comes_back(v in proptest::collection::vec(-1e9f64..1e9, 1..20)) {
        let lines: String = v.iter().enumerate().map(|(i, v)| format!("{{\"unit\": \"u{i}\", \"latency\": {v}}}\n")).collect();
        let found: Vec<f64> = read(&s(), lines.as_bytes()).expect("lines").records.iter().map(|r| r.values[0].1).collect();
        prop_assert_eq!(found, v);
    }
}
