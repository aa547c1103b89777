//! `kf drift` on what a model says and what would have been right: accuracy, concept drift, calibration, slices, series, types.

use crate::repo::{ends, json, ok, on_both, with_bot};
use crate::support::sandbox::{Sandbox, on_both_engines};
use serde_json::Value;
use std::sync::Arc;

/// A number from 0 to 1 that looks drawn, the same for the same row and purpose.
fn draw(row: u32, of: u32) -> f64 {
    let mut x = u64::from(row).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(of).wrapping_mul(0xd1b5_4a32_d192_ed03);
    for _ in 0..3 {
        x = (x ^ (x >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    }
    (x >> 11) as f64 / (1_u64 << 53) as f64
}

/// A row of data: what the model sees, what it says, what is right.
pub(crate) struct Row {
    age: String,
    tenant: &'static str,
    at: String,
    label: String,
    answer: String,
    score: String,
    latency: String,
}

const HEADER: &str = "age,tenant,at,label,answer,score,latency_ms";

impl Row {
    fn line(&self) -> String {
        let Self { age, tenant, at, label, answer, score, latency } = self;
        format!("{age},{tenant},{at},{label},{answer},{score},{latency}\n")
    }
}

/// 6,000 rows of which 90 of 100 predictions are right as their scores say, before `edit` has its way with each; `by` is which rows
/// of all there are, so that two files have none in common.
pub(crate) fn data(by: u32, edit: impl Fn(u32, &mut Row)) -> String {
    let row = |i: u32| {
        let at = by * 1_000_000 + i;
        let label = ["yes", "no"][usize::from(draw(at, 1) < 0.4)];
        let score = 0.8 + 0.2 * draw(at, 2);
        let right = draw(at, 3) < score;
        let mut row = Row {
            age: format!("{:.2}", 20.0 + 40.0 * draw(at, 4)),
            tenant: ["acme", "acme", "acme", "beta", "beta", "cobalt"][(draw(at, 5) * 6.0) as usize],
            at: format!("2026-11-{:02}T{:02}:{:02}:{:02}Z", 10 + by, i / 600, i / 10 % 60, i % 10 * 6),
            label: label.to_owned(),
            answer: if right { label } else { other(label) }.to_owned(),
            score: format!("{score:.4}"),
            latency: format!("{:.1}", 150.0 + 100.0 * draw(at, 6)),
        };
        edit(i, &mut row);
        row.line()
    };
    format!("{HEADER}\n") + &(0..6000).map(row).collect::<String>()
}

fn other(label: &str) -> &'static str {
    if label == "yes" { "no" } else { "yes" }
}

/// Turns a right answer wrong in so many of a hundred rows.
pub(crate) fn worse(i: u32, row: &mut Row, of_hundred: f64) {
    if draw(i, 77) < of_hundred / 100.0 {
        row.answer = other(&row.label).to_owned();
    }
}

pub(crate) const TABLE: &str = "[drift.bot]\nlabel = \"label\"\nprediction = \"answer\"\nscore = \"score\"\n";

/// A bot with a baseline of such rows; `table` is what `[drift.bot]` says beside.
fn prepare(s: &Sandbox, table: &str) {
    with_bot(s);
    s.write("mlops.toml", format!("{}{TABLE}{table}", s.read("mlops.toml")));
    s.write("accepted.csv", data(0, |_, _| {}));
    let kept = ok(s, ["drift", "baseline", "bot@1.0.0", "--data", "accepted.csv"]);
    assert!(
        kept.stdout.contains("answers: 90.") && kept.stdout.contains("of predictions are right (6,000 labelled rows)"),
        "{kept}"
    );
}

/// What a check of these data says.
fn check(s: &Sandbox, code: i32, data: &str) -> Value {
    s.write("new.csv", data);
    json(&ends(s, code, ["drift", "check", "bot", "--data", "new.csv", "--format", "json"]))["checks"][0].clone()
}

fn accuracy(check: &Value) -> (&str, &Value) {
    let outcome = &check["judgement"]["outcome"];
    (outcome["accuracy"][0]["status"].as_str().expect("a status"), &outcome["cause"])
}

/// Quiet data say so, and a lost accuracy opens a ticket that is due sooner than one about data (M2).
#[test]
fn lost_accuracy_is_concept_drift_and_due_within_a_day() {
    on_both(|s| {
        prepare(s, "");
        let quiet = check(s, 0, &data(1, |_, _| {}));
        assert_eq!((accuracy(&quiet), &quiet["verdict"]), (("ok", &Value::Null), &"ok".into()), "{quiet:#}");
        let lost = check(s, 3, &data(2, |i, row| worse(i, row, 9.0)));
        assert_eq!(accuracy(&lost), ("warning", &"concept".into()));
        assert!(
            lost["reason"].as_str().is_some_and(|r| r.contains("concept drift, for what the model sees did not move: 8")),
            "{lost:#}"
        );
        let time = |text: &Value| text.as_str().and_then(|t| t.parse::<jiff::Timestamp>().ok()).expect("a time");
        let action = &lost["actions"][0];
        assert_eq!((time(&action["due"]) - time(&action["opened"])).total(jiff::Unit::Hour).expect("hours"), 24.0, "{action}");
        let critical = check(s, 3, &data(3, |i, row| worse(i, row, 30.0)));
        assert_eq!(accuracy(&critical), ("critical", &"concept".into()));
        assert!(critical["held"][0].as_str().is_some_and(|held| held.contains("raised to critical")), "{critical:#}");
        // The prediction moved with nothing else.
        let says_yes = check(
            s,
            3,
            &data(4, |i, row| {
                if draw(i, 9) < 0.6 {
                    row.label = "yes".into();
                    row.answer = "yes".into();
                }
            }),
        );
        assert_eq!(says_yes["judgement"]["prediction"], "warning", "{:#}", says_yes["judgement"]["columns"]);
        let replayed = ok(s, ["drift", "replay", "bot", "--data", "new.csv"]);
        assert!(replayed.stdout.contains("the same again"), "{replayed}");
        ok(s, ["fsck"]);
        ok(s, ["audit", "verify"]);
    });
}

/// Show 4: whatever breaks before the model, accuracy that fell with it is never called concept drift.
#[test]
fn a_break_upstream_is_never_concept_drift() {
    let s = &Sandbox::new();
    prepare(s, "");
    let without_age = |_, _: &mut Row| {};
    let lost = |edit: &dyn Fn(u32, &mut Row)| {
        data(2, |i, row| {
            worse(i, row, 30.0);
            edit(i, row);
        })
    };
    let breaks: [(&str, &str, String); 9] = [
        ("age", "missing", lost(&without_age).replace("age,", "aeg,")),
        (
            "age",
            "nulls",
            lost(&|i, row| {
                if i % 4 == 0 {
                    row.age.clear()
                }
            }),
        ),
        ("age", "retyped", lost(&|i, row| row.age = format!("about {}", i % 7))),
        (
            "age",
            "bad-tokens",
            lost(&|i, row| {
                if i % 5 == 0 {
                    row.age = "unknown".into()
                }
            }),
        ),
        ("age", "constant", lost(&|_, row| row.age = "-1".into())),
        (
            "age",
            "not-finite",
            lost(&|i, row| {
                if i % 5 == 0 {
                    row.age = "inf".into()
                }
            }),
        ),
        ("tenant", "retyped", lost(&|i, row| row.tenant = ["1", "2", "3"][(i % 3) as usize])),
        ("label", "unseen", lost(&|_, row| row.label = row.label.to_uppercase())),
        ("answer", "retyped", lost(&|_, row| row.answer = if row.answer == "yes" { "1" } else { "0" }.into())),
    ];
    for (column, what, data) in breaks {
        let got = check(s, 3, &data);
        let findings = got["judgement"]["findings"].as_array().expect("findings");
        assert!(findings.iter().any(|f| f["column"] == column && f["what"] == what), "{column} {what}: {findings:#?}");
        let (status, cause) = accuracy(&got);
        assert_eq!((status, cause), ("inconclusive", &"upstream".into()), "{column} {what}: {:#}", got["judgement"]["outcome"]);
        assert!(!got["reason"].as_str().is_some_and(|reason| reason.contains("concept")), "{column} {what}: {}", got["reason"]);
    }
    // Other units are no break by themselves, and no change of the concept either.
    let cents = check(s, 3, &lost(&|_, row| row.age = format!("{:.0}", row.age.parse::<f64>().expect("a number") * 100.0)));
    assert_eq!(accuracy(&cents), ("critical", &"data".into()), "{:#}", cents["judgement"]["outcome"]);
}

/// The same without the fourth column.
fn without_label(data: &str) -> String {
    let line = |line: &str| {
        line.split(',').enumerate().filter(|(at, _)| *at != 3).map(|(_, cell)| cell).collect::<Vec<_>>().join(",") + "\n"
    };
    data.lines().map(line).collect()
}

/// Labels come late: those that are there count, and too few say nothing.
#[test]
fn labels_that_are_not_there_yet_are_counted_and_wait() {
    let s = &Sandbox::new();
    prepare(s, "");
    let some = check(
        s,
        3,
        &data(2, |i, row| {
            worse(i, row, 30.0);
            if i >= 2000 {
                row.label.clear();
            }
        }),
    );
    let outcome = &some["judgement"]["outcome"];
    assert_eq!((accuracy(&some), &outcome["unlabelled"]["current"]), (("critical", &"concept".into()), &4000.into()));
    assert_eq!(some["judgement"]["findings"], serde_json::json!([]), "late labels are no break");
    let few = check(
        s,
        4,
        &data(2, |i, row| {
            if i >= 29 {
                row.label.clear()
            }
        }),
    );
    let change = &few["judgement"]["outcome"]["accuracy"][0];
    assert_eq!((&change["status"], &change["n"]["current"]), (&"inconclusive".into(), &29.into()), "{change:#}");
    for gone in [data(2, |_, row| row.label.clear()), without_label(&data(2, |_, _| {}))] {
        let none = check(s, 4, &gone);
        assert_eq!((accuracy(&none).0, &none["verdict"]), ("inconclusive", &"inconclusive".into()), "{none:#}");
    }
}

/// Numbers are not right or wrong, they are off; numbers of few values are classes.
#[test]
fn predicted_numbers_are_compared_by_their_errors() {
    let s = &Sandbox::new();
    with_bot(s);
    let config = s.read("mlops.toml");
    s.write("mlops.toml", format!("{config}[drift.bot]\nlabel = \"price\"\nprediction = \"guess\"\n"));
    let prices = |by: u32, spread: f64| {
        let row = |i: u32| {
            let price = 100.0 * draw(by * 100_000 + i, 1);
            format!("{price:.3},{:.3}\n", price + spread * (draw(by * 100_000 + i, 2) - 0.5))
        };
        "price,guess\n".to_owned() + &(0..12_000).map(row).collect::<String>()
    };
    s.write("accepted.csv", prices(0, 4.0));
    let kept = ok(s, ["drift", "baseline", "bot@1.0.0", "--data", "accepted.csv"]);
    assert!(kept.stdout.contains("the mean absolute error of predictions is 0.99"), "{kept}");
    let quiet = check(s, 0, &prices(1, 4.0));
    assert_eq!(accuracy(&quiet).0, "ok", "{quiet:#}");
    let off = check(s, 3, &prices(2, 5.0));
    let errors = &off["judgement"]["outcome"]["accuracy"];
    assert_eq!((&errors[0]["name"], &errors[1]["name"]), (&"mean absolute error".into(), &"root mean squared error".into()));
    assert_eq!(accuracy(&off), ("critical", &"concept".into()), "{errors:#}");

    let refused = |table: &str, data: &str, what: &str| {
        s.write("mlops.toml", format!("{config}[drift.bot]\n{table}"));
        s.write("other.csv", data);
        let run = ends(s, 2, ["drift", "baseline", "bot@1.0.0", "--data", "other.csv"]);
        assert!(run.stderr.contains(what), "{what}\n{run}");
    };
    refused("score = \"guess\"\n", &prices(0, 1.0), "`drift.bot.score` needs `prediction` and `label`");
    refused("label = \"price\"\nprediction = \"guess\"\nscore = \"guess\"\n", &prices(0, 1.0), "never just right");
    let percents = "label = \"a\"\nprediction = \"b\"\nscore = \"c\"\n";
    refused(percents, "a,b,c\nx,x,90\ny,x,80\n", "no labelled row has a `c` from 0 to 1");
    let mixed = "label = \"price\"\nprediction = \"word\"\n";
    refused(mixed, "price,word\n1.5,yes\n2.5,no\n", "holds numbers and the other words");
    refused(
        "label = \"price\"\nprediction = \"at\"\n",
        "price,at\n1.5,2026-11-21\n2.5,2026-11-22\n",
        "neither words nor numbers",
    );
    refused("accuracy = [0.1, 0.05, 0.2]\n", "price\n1\n", "`accuracy` must be three numbers above 0 that rise");
}

/// Chances that do not come true any more are told although as many answers are right.
#[test]
fn chances_that_exaggerate_are_told() {
    on_both_engines(|s| {
        prepare(s, "");
        let got = check(
            s,
            3,
            &data(2, |_, row| row.score = format!("{:.4}", 0.45 + 0.1 * row.score.parse::<f64>().expect("a chance"))),
        );
        let calibration = &got["judgement"]["outcome"]["calibration"]["error"];
        assert_eq!((accuracy(&got).1, &calibration["status"]), (&Value::Null, &"critical".into()), "{calibration:#}");
    });
}

/// A tenant that lost is named, tenants that lost as much as all are not; with `slices` every column is looked at.
#[test]
fn the_slice_that_stands_out_is_named() {
    let s = &Sandbox::new();
    prepare(s, "slices = [\"tenant\"]\n");
    let slices = |check: &Value, which: &str| -> Vec<String> {
        let all = check["judgement"]["outcome"][which].as_array().expect("slices").clone();
        all.iter().filter(|x| x["status"] != "ok").map(|x| x["words"].as_str().expect("words").to_owned()).collect()
    };
    let one = check(
        s,
        0,
        &data(2, |i, row| {
            if row.tenant == "cobalt" {
                worse(i, row, 20.0);
            }
        }),
    );
    let lost = slices(&one, "losses");
    assert!(matches!(&lost[..], [only] if only.starts_with("where tenant = cobalt, 1")), "{lost:?}");
    assert!(one["reason"].as_str().is_some_and(|reason| reason.contains("where tenant = cobalt")), "{one:#}");
    let all = check(s, 3, &data(3, |i, row| worse(i, row, 30.0)));
    assert_eq!((slices(&all, "losses"), slices(&all, "slices")), (vec![], vec![]), "{:#}", all["judgement"]["outcome"]);
    let moved = check(
        s,
        0,
        &data(4, |_, row| {
            if row.tenant == "beta" {
                row.latency = format!("{:.1}", row.latency.parse::<f64>().expect("a number") / 2.0 + 125.0);
            }
        }),
    );
    let told = slices(&moved, "slices");
    assert!(matches!(&told[..], [only] if only.starts_with("latency_ms where tenant = beta")), "{told:?}");
    let history = ok(s, ["drift", "history", "bot"]).stdout;
    assert!(history.contains("accuracy  ▇▅▇"), "{history}");
    let explained = ok(s, ["drift", "explain", "bot", "latency_ms"]).stdout;
    assert!(explained.contains("slices that moved most") && explained.contains("tenant = beta"), "{explained}");
    s.write("mlops.toml", s.read("mlops.toml").replace("[\"tenant\"]", "[\"at\"]"));
    let run = ends(s, 2, ["drift", "baseline", "bot@1.0.0", "--data", "accepted.csv"]);
    assert!(run.stderr.contains("`slices` names `at`, which tells no rows apart: times always move"), "{run}");
}

/// The row and the time from which on a series changed, whatever the order of the rows.
#[test]
fn a_series_tells_since_when_it_changed() {
    let s = &Sandbox::new();
    prepare(s, "stream = [\"latency_ms\"]\ntime = \"at\"\n");
    let slow = data(2, |i, row| {
        if i >= 4000 {
            row.latency = format!("{:.1}", row.latency.parse::<f64>().expect("a number") + 60.0);
        }
    });
    // The newest first, as a log is exported.
    let mut lines: Vec<&str> = slow.lines().skip(1).collect();
    lines.reverse();
    let reversed = format!("{HEADER}\n{}\n", lines.join("\n"));
    let got = check(s, 3, &reversed);
    let streams = &got["judgement"]["outcome"]["streams"];
    assert_eq!(
        (&streams[0]["column"], &streams[0]["changes"], &streams[1]["changes"]),
        (&"wrong answers".into(), &0.into(), &1.into()),
        "{streams:#}"
    );
    let turn = &streams[1]["turns"][0];
    let since = turn["since"].as_u64().expect("a row");
    // Row 4,001 of the series is the 2,000th of the file.
    assert!((1950..=2050).contains(&since) && turn["direction"] == "up", "{turn:#}");
    assert!(
        turn["since_at"].as_str().is_some_and(|at| at.starts_with("2026-11-12T06:3") || at.starts_with("2026-11-12T06:4")),
        "{turn:#}"
    );
    let shown = ok(s, ["drift", "report", "bot", "--report", "html=d.html", "--report", "markdown=d.md"]).stdout;
    for text in [shown, s.read("d.html"), s.read("d.md")] {
        assert!(text.contains(": since 2026-11-12T06:") && text.contains("(row "), "{text}");
        assert!(text.contains("2026-11-10T00:00:00Z … 2026-11-10T09:59:54Z"), "{text}");
    }
}

/// What the cells are by themselves counts, whatever they can still be read as.
#[test]
fn a_column_that_changed_its_type_is_told_with_both() {
    let s = &Sandbox::new();
    with_bot(s);
    s.write("mlops.toml", format!("{}[drift.bot]\nkinds = {{ zip = \"category\" }}\n", s.read("mlops.toml")));
    let rows = |row: &dyn Fn(u32) -> String| (0..2000).map(row).collect::<String>();
    let usual = |i: u32| {
        format!("{{\"amount\": {}, \"code\": \"{}\", \"zip\": {}}}\n", i % 97, ["A", "B", "C"][(i % 3) as usize], 10 + i % 5)
    };
    s.write("accepted.jsonl", rows(&usual));
    ok(s, ["drift", "baseline", "bot@1.0.0", "--data", "accepted.jsonl"]);
    let columns = |data: String, code: i32| {
        s.write("new.jsonl", data);
        let run = json(&ends(s, code, ["drift", "check", "bot", "--data", "new.jsonl", "--format", "json"]));
        let judgement = run["checks"][0]["judgement"].clone();
        let statuses =
            judgement["columns"].as_array().expect("columns").iter().map(|c| c["status"].as_str().expect("a status").to_owned());
        (statuses.collect::<Vec<_>>(), judgement["findings"][0]["words"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(columns(rows(&usual), 0), (vec!["ok".to_owned(), "ok".to_owned(), "ok".to_owned()], String::new()));
    let quoted = |i: u32| usual(i).replace(&format!("\"amount\": {}", i % 97), &format!("\"amount\": \"{}\"", i % 97));
    let (statuses, words) = columns(rows(&quoted), 3);
    assert_eq!(
        (statuses[0].as_str(), words.as_str()),
        ("warning", "amount holds texts instead of numbers, which can be read as before")
    );
    let numbered = |i: u32| usual(i).replace("\"A\"", "1").replace("\"B\"", "2").replace("\"C\"", "3");
    let (statuses, words) = columns(rows(&numbered), 3);
    assert_eq!((statuses[1].as_str(), words.as_str()), ("retyped", "code holds numbers instead of texts"));
    let zips = |i: u32| usual(i).replace(&format!("\"zip\": {}", 10 + i % 5), &format!("\"zip\": \"{}\"", 10 + i % 5));
    let (statuses, words) = columns(rows(&zips), 3);
    assert_eq!(
        (statuses[2].as_str(), words.as_str()),
        ("warning", "zip holds texts instead of numbers, which can be read as before")
    );
}

/// Words of which many are numbers do not change their type when a few rows are all numbers.
#[test]
fn codes_that_often_are_numbers_may_all_be() {
    let s = &Sandbox::new();
    with_bot(s);
    let code = |i: u32| if i.is_multiple_of(4) { "4A".to_owned() } else { (40 + i % 3).to_string() };
    let rows = |of: &dyn Fn(u32) -> bool| {
        "code\n".to_owned() + &(0..2000).filter(|i| of(*i)).map(|i| code(i) + "\n").collect::<String>()
    };
    s.write("accepted.csv", rows(&|_| true));
    ok(s, ["drift", "baseline", "bot@1.0.0", "--data", "accepted.csv"]);
    let first = |data: String, code: i32| {
        s.write("new.csv", data);
        json(&ends(s, code, ["drift", "check", "bot", "--data", "new.csv", "--format", "json"]))["checks"][0]["judgement"]["findings"][0]["what"].clone()
    };
    assert_eq!(first(rows(&|i| i < 13 && i % 4 != 0), 4), Value::Null, "nine numbers of three in four are chance");
    assert_eq!(first(rows(&|i| i % 4 != 0), 3), "retyped");
}

/// A Parquet file of three columns, `broken` of which has other bytes where its values should be.
fn parquet(words: bool, broken: &str) -> Vec<u8> {
    use parquet::data_type::{ByteArray, ByteArrayType, DoubleType};
    use parquet::file::properties::WriterProperties;
    use parquet::file::reader::{FileReader as _, SerializedFileReader};
    let kind = if words { "required byte_array b (STRING)" } else { "required double b" };
    let schema = format!("message m {{ required double a; {kind}; required double c; }}");
    let schema = Arc::new(parquet::schema::parser::parse_message_type(&schema).expect("a schema"));
    let mut writer = parquet::file::writer::SerializedFileWriter::new(Vec::new(), schema, Arc::new(WriterProperties::default()))
        .expect("a writer");
    let mut group = writer.next_row_group().expect("a group");
    for of in 0..3 {
        let mut column = group.next_column().expect("a column").expect("there is one");
        let numbers: Vec<f64> = (0..2000).map(|i| (draw(i, of) * 1000.0).round()).collect();
        if of == 1 && words {
            let words: Vec<ByteArray> = numbers.iter().map(|n| ByteArray::from(n.to_string().as_str())).collect();
            column.typed::<ByteArrayType>().write_batch(&words, None, None).expect("written");
        } else {
            column.typed::<DoubleType>().write_batch(&numbers, None, None).expect("written");
        }
        column.close().expect("closed");
    }
    group.close().expect("closed");
    let mut bytes = writer.into_inner().expect("the file");
    let reader = SerializedFileReader::new(bytes::Bytes::from(bytes.clone())).expect("read again");
    let chunks = reader.metadata().row_group(0).columns();
    for chunk in chunks.iter().filter(|chunk| chunk.column_path().string() == broken) {
        let (start, length) = chunk.byte_range();
        bytes[start as usize..(start + length) as usize].fill(0xff);
    }
    bytes
}

/// A column that cannot be read is told with the reason, and the others are compared.
#[test]
fn a_broken_column_takes_no_other_with_it() {
    on_both_engines(|s| {
        with_bot(s);
        s.write("accepted.parquet", parquet(false, ""));
        ok(s, ["drift", "baseline", "bot@1.0.0", "--data", "accepted.parquet"]);
        let statuses = |data: Vec<u8>, code: i32| {
            s.write("new.parquet", data);
            let run = json(&ends(s, code, ["drift", "check", "bot", "--data", "new.parquet", "--format", "json"]));
            let judgement = run["checks"][0]["judgement"].clone();
            let columns = judgement["columns"].as_array().expect("columns").clone();
            let statuses: Vec<String> = columns.iter().map(|c| c["status"].as_str().expect("a status").to_owned()).collect();
            (statuses.join(" "), judgement["findings"][0]["words"].as_str().unwrap_or_default().to_owned())
        };
        assert_eq!(statuses(parquet(false, ""), 0), ("ok ok ok".to_owned(), String::new()));
        // Words that are to be numbers are looked at one by one when the file is opened.
        for words in [false, true] {
            let (found, why) = statuses(parquet(words, "b"), 4);
            assert_eq!(found, "ok error ok", "{words}: {why}");
            assert!(why.starts_with("b could not be compared: cannot read ") && why.contains("it is broken"), "{why}");
        }
        let run = ends(s, 1, ["drift", "baseline", "bot@1.0.0", "--data", "new.parquet"]);
        assert!(run.stderr.contains("`b`") && run.stderr.contains("exclude"), "{run}");
        // Half of the cells are words: more than nothing can be said, and it is said.
        let mixed = |i: u32| if i.is_multiple_of(3) { format!("{i},n/k,{i}\n") } else { format!("{i},{i},{i}\n") };
        s.write("mixed.csv", "a,b,c\n".to_owned() + &(0..1000).map(mixed).collect::<String>());
        let run = ends(s, 3, ["drift", "check", "bot", "--data", "mixed.csv"]);
        assert!(run.stdout.contains("33.4 % of b are no value of its kind instead of 0.0 %"), "{run}");
    });
}

/// `kf status` says how each name stands; a baseline that `mlops.toml` says nothing of any more is no figure.
#[test]
fn status_has_a_line_and_what_is_not_watched_has_no_figures() {
    on_both_engines(|s| {
        prepare(s, "");
        let status = || ok(s, ["status"]).stdout;
        assert!(status().contains("drift   bot: not checked yet\n"), "{}", status());
        check(s, 3, &data(2, |i, row| worse(i, row, 30.0)));
        let line = status();
        assert!(
            line.contains("drift   bot: critical on ") && line.contains("1 action to be done, 1 overdue: `kf drift due`"),
            "{line}"
        );
        let figures = |has: bool| {
            let text = ok(s, ["monitor", "metrics"]).stdout;
            for name in ["kf_drift_verdict{", "kf_drift_check_timestamp_seconds{"] {
                assert_eq!(text.contains(name), has, "{name}\n{text}");
            }
            assert!(text.contains("kf_drift_overdue_actions{name=\"bot\",model=\"bot\"} 1"), "what is to be done stays: {text}");
        };
        figures(true);
        s.write("mlops.toml", s.read("mlops.toml").replace("[drift.bot]", "[drift.other]"));
        figures(false);
    });
}
