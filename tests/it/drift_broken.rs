//! Data that are broken in every way that people meet, as new data and as what a baseline is taken of: a status for each column and a
//! report, never a crash, never a verdict of NaN.

use crate::repo::{ends, events, json, ok, with_bot};
use crate::support::project;
use crate::support::sandbox::{Run, Sandbox};
use serde_json::Value;

/// Rows of an ordinary file: enough to decide.
const ROWS: usize = 1200;

/// The amount of a row.
fn amount(i: usize) -> f64 {
    f64::from(u8::try_from(i * 37 % 101).expect("small")) / 4.0
}

fn region(i: usize) -> &'static str {
    ["north", "south", "south", "east"][i % 4]
}

/// A file whose rows are made of their number.
fn csv(rows: usize, row: impl Fn(usize) -> String) -> String {
    "amount,region\n".to_owned() + &(0..rows).map(|i| row(i) + "\n").collect::<String>()
}

/// An ordinary file, with another amount in some rows.
fn amounts(of: impl Fn(usize) -> Option<&'static str>) -> String {
    csv(ROWS, |i| format!("{},{}", of(i).map_or_else(|| amount(i).to_string(), str::to_owned), region(i)))
}

/// Objects with a vector each.
fn vectors(of: impl Fn(usize) -> String) -> String {
    (0..ROWS).map(|i| format!("{{\"amount\": {}, \"region\": \"{}\", \"v\": {}}}\n", amount(i), region(i), of(i))).collect()
}

/// Two corners by turns, with a little noise.
fn corner(i: usize) -> String {
    let noise = |k: usize| f64::from(u16::try_from((i * 7919 + k * 104_729) % 1000).expect("small")) / 5000.0;
    format!("[{}, {}]", noise(1) + f64::from(u8::from(i.is_multiple_of(2))), noise(2) + f64::from(u8::from(i % 2 == 1)))
}

/// How a command ends, and what it says.
type Ends = (i32, &'static str);

/// A broken file: its name and bytes; how it is checked against an ordinary one; how a baseline is taken of it, and how an
/// ordinary one is checked against that.
struct Broken {
    name: &'static str,
    bytes: Vec<u8>,
    as_new: Ends,
    as_reference: Ends,
    then: Option<Ends>,
}

fn broken(name: &'static str, bytes: impl Into<Vec<u8>>, as_new: Ends, as_reference: Ends, then: Option<Ends>) -> Broken {
    Broken { name, bytes: bytes.into(), as_new, as_reference, then }
}

fn rows_and_numbers() -> Vec<Broken> {
    let kept = (0, "is kept");
    vec![
        broken("empty.csv", "", (1, "empty.csv: it is empty"), (1, "empty.csv: it is empty"), None),
        broken("blank.csv", "\n\n\n", (1, "blank.csv"), (1, "blank.csv"), None),
        broken("header.csv", "amount,region\n", (4, "no values to compare"), (1, "the data has no rows"), None),
        broken("one.csv", csv(1, |_| "5,north".to_owned()), (4, "30 are the least"), kept, Some((4, "30 are the least"))),
        broken(
            "nulls.csv",
            amounts(|_| Some("")),
            (3, "100.0 % of amount are null instead of 0.0 %"),
            kept,
            Some((3, "0.0 % of amount are null instead of 100.0 %")),
        ),
        broken(
            "nothing.csv",
            csv(ROWS, |_| ",".to_owned()),
            (3, "100.0 % of region are null"),
            kept,
            Some((3, "no values to compare")),
        ),
        broken("constant.csv", amounts(|_| Some("5")), (3, "amount is always 5"), kept, Some((3, "are outside of 5 … 5"))),
        broken("ties.csv", amounts(|i| Some(["0", "25"][i % 2])), (3, "amount critical"), kept, Some((3, "amount critical"))),
        broken(
            "outliers.csv",
            amounts(|i| [Some("1e308"), Some("-1e308")].get(i % 50).copied().flatten()),
            (3, "monitor: 4.0 % of amount are outside of 0 … 25"),
            kept,
            Some((0, "amount ok")),
        ),
        broken(
            "ends.csv",
            amounts(|i| [Some("inf"), Some("nan"), Some("-Infinity")].get(i % 10).copied().flatten()),
            (3, "30.0 % of amount are NaN or infinite instead of 0.0 %"),
            kept,
            Some((3, "0.0 % of amount are NaN or infinite instead of 30.0 %")),
        ),
        broken("tiny.csv", amounts(|_| Some("5e-324")), (3, "amount is always 5e-324"), kept, Some((3, "amount critical"))),
    ]
}

fn texts_and_levels() -> Vec<Broken> {
    let kept = (0, "is kept");
    let semicolons: String =
        (0..ROWS).map(|i| format!("{};{}\r\n", amount(i).to_string().replace('.', ","), region(i))).collect();
    vec![
        broken(
            "semicolon.csv",
            format!("\u{feff}amount;region\r\n{semicolons}"),
            (0, "none drifted"),
            kept,
            Some((0, "none drifted")),
        ),
        broken(
            "ragged.csv",
            csv(ROWS, |i| if i % 10 == 3 { "7".to_owned() } else { format!("{},{}", amount(i), region(i)) }),
            (0, "120 rows left out, because they have fewer or more cells than the header, the first at row 4"),
            kept,
            Some((0, "none drifted")),
        ),
        broken(
            "shredded.csv",
            csv(ROWS, |_| "1,2,3".to_owned()),
            (1, "do not have the 2 columns"),
            (1, "do not have the 2 columns"),
            None,
        ),
        broken(
            "mixed.csv",
            amounts(|i| i.is_multiple_of(3).then_some("word")),
            (3, "33.3 % of amount are no value of its kind instead of 0.0 %"),
            kept,
            Some((3, "amount holds numbers instead of texts")),
        ),
        broken("words.csv", amounts(|i| (i % 3 > 0).then_some("word")), (3, "amount holds texts instead of numbers"), kept, None),
        broken(
            "levels.csv",
            csv(100_000, |i| format!("{},r{i}", amount(i))),
            (3, "100.0 % of region are 100,000 levels never seen before"),
            kept,
            Some((0, "region is not compared: nearly every value differs")),
        ),
        broken(
            "binary.csv",
            [0_u8, 159, 146, 150, 0, 255, 10].repeat(50),
            (3, "amount is missing"),
            kept,
            Some((3, "is missing")),
        ),
    ]
}

/// A verdict is a word, and no number of a report is NaN or infinite: JSON has neither, and none stands there as a word.
#[track_caller]
fn sound(run: &Run, name: &str) {
    const WORDS: [&str; 9] = ["ok", "inconclusive", "monitor", "warning", "critical", "new", "missing", "retyped", "error"];
    let check = &json(run)["checks"][0];
    let said = |of: &Value| of.as_str().is_some_and(|word| WORDS.contains(&word));
    assert!(said(&check["verdict"]), "{name}: {run}");
    for column in check["judgement"]["columns"].as_array().expect("columns") {
        assert!(said(&column["status"]), "{name}: {column}");
        let why = column["why"].as_str().expect("a reason");
        assert!(!why.is_empty() && !why.replace("NaN or infinite", "").contains("NaN"), "{name}: {why}");
    }
}

/// Runs kf; of a table the words may stand with other spaces between them.
#[track_caller]
fn says<const N: usize>(s: &Sandbox, (code, words): Ends, args: [&str; N]) {
    let run = ends(s, code, args);
    let text = run.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains(words), "kf {args:?}: {words}\n{run}");
    assert!(code != 1 || run.stderr.contains("hint:"), "{run}");
}

fn all_ways(s: &Sandbox, ordinary: &str, files: Vec<Broken>) {
    for Broken { name, bytes, as_new, as_reference, then } in files {
        s.write(name, bytes);
        let before = events(s);
        says(s, as_new, ["drift", "check", "bot", "--data", name, "--fail-on", "monitor"]);
        if as_new.0 == 1 {
            assert_eq!(events(s), before, "{name} left a trace");
        } else {
            sound(
                &ends(s, as_new.0, ["drift", "check", "bot", "--data", name, "--fail-on", "monitor", "--format", "json"]),
                name,
            );
        }
        says(s, as_reference, ["drift", "baseline", "bot", "--data", name, "--name", "broken"]);
        if let Some(then) = then {
            says(s, then, ["drift", "check", "broken", "--data", ordinary]);
            sound(&ends(s, then.0, ["drift", "check", "broken", "--data", ordinary, "--format", "json"]), name);
        }
    }
    ok(s, ["fsck"]);
}

/// A baseline of an ordinary file.
fn prepared(ordinary: &str, text: &str) -> Sandbox {
    let s = Sandbox::new();
    with_bot(&s);
    s.write(ordinary, text);
    ok(&s, ["drift", "baseline", "bot", "--data", ordinary]);
    s
}

#[test]
fn broken_rows_and_numbers_are_told() {
    all_ways(&prepared("good.csv", &amounts(|_| None)), "good.csv", rows_and_numbers());
}

#[test]
fn broken_texts_and_levels_are_told() {
    all_ways(&prepared("good.csv", &amounts(|_| None)), "good.csv", texts_and_levels());
}

#[test]
fn broken_vectors_are_told() {
    let kept = (0, "is kept");
    let mostly = |other: &'static str| vectors(move |i| if i.is_multiple_of(3) { other.to_owned() } else { corner(i) });
    let files = vec![
        broken(
            "wide.jsonl",
            vectors(|_| "[1, 2, 3]".to_owned()),
            (3, "v holds vectors of 3 instead of vectors of 2"),
            kept,
            Some((3, "v holds vectors of 2 instead of vectors of 3")),
        ),
        broken("widths.jsonl", mostly("[1, 2, 3]"), (3, "33.3 % of v hold nothing to compare"), kept, None),
        broken(
            "zero.jsonl",
            vectors(|_| "[0, 0]".to_owned()),
            (3, "of v hold nothing to compare"),
            kept,
            Some((0, "v is not compared: 0 usable vectors")),
        ),
        broken("zeros.jsonl", mostly("[0, 0]"), (3, "33.3 % of v hold nothing to compare"), kept, None),
        broken("nan.jsonl", mostly("[NaN, Infinity]"), (3, "33.3 % of v are NaN or infinite"), kept, None),
        broken("holes.jsonl", mostly("null"), (3, "33.3 % of v are null"), kept, None),
        broken("texts.jsonl", vectors(|_| "\"no vector\"".to_owned()), (3, "v holds texts instead of vectors"), kept, None),
    ];
    all_ways(&prepared("good.jsonl", &vectors(corner)), "good.jsonl", files);
}

/// Numbers between quotes are texts of JSON: they are read, and never in silence where they are words.
#[test]
fn numbers_as_texts_are_read() {
    let s = prepared("good.csv", &amounts(|_| None));
    let quoted = |i: usize| format!("{{\"amount\": \"{}\", \"region\": \"{}\"}}\n", amount(i), region(i));
    s.write("quoted.jsonl", (0..ROWS).map(quoted).collect::<String>());
    let run = s.kf(["drift", "check", "bot", "--data", "quoted.jsonl", "--format", "json"]);
    sound(&run, "quoted");
    let column = &json(&run)["checks"][0]["judgement"]["columns"][0];
    assert_eq!((&column["n_cur"], &column["bad"]["current"]), (&ROWS.into(), &0.into()), "{column}");
}

/// Parquet that is cut anywhere, and that has a byte changed anywhere: an error of the file or a report, and never more.
#[test]
fn broken_parquet_is_told() {
    let whole = std::fs::read(project().join("tests/fixtures/data/pyarrow.parquet")).expect("the fixture");
    let s = Sandbox::new();
    with_bot(&s);
    s.write("good.parquet", &whole);
    ok(&s, ["drift", "baseline", "bot", "--data", "good.parquet"]);
    for cut in [whole.len() - 1, whole.len() / 2, 12, 4] {
        s.write("cut.parquet", &whole[..cut]);
        says(&s, (1, "it is cut short"), ["drift", "check", "bot", "--data", "cut.parquet"]);
        says(&s, (1, "it is cut short"), ["drift", "baseline", "bot", "--data", "cut.parquet"]);
    }
    for at in (4..whole.len() - 4).step_by(whole.len() / 40) {
        let mut changed = whole.clone();
        changed[at] ^= 0x15;
        s.write("changed.parquet", changed);
        let run = s.kf(["drift", "check", "bot", "--data", "changed.parquet", "--format", "json"]);
        match run.code {
            Some(1) => assert!(run.stderr.contains("changed.parquet") && run.stderr.contains("\"hints\":[\""), "{at}: {run}"),
            Some(0 | 3 | 4) => sound(&run, "changed.parquet"),
            _ => panic!("{at}: {run}"),
        }
    }
}
